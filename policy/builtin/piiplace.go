package builtin

import (
	"crypto/sha256"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
)

// ---- dates

var monthNames = map[string]bool{"january": true, "february": true, "march": true, "april": true, "may": true, "june": true, "july": true, "august": true, "september": true, "october": true,
	"november": true, "december": true, "jan": true, "feb": true, "mar": true, "apr": true, "jun": true, "jul": true, "aug": true, "sep": true, "sept": true, "oct": true, "nov": true, "dec": true,
	"januar": true, "februar": true, "märz": true, "mai": true, "juni": true, "juli": true, "oktober": true, "dezember": true,
	"janvier": true, "février": true, "mars": true, "avril": true, "juin": true, "juillet": true, "août": true, "septembre": true, "octobre": true, "novembre": true, "décembre": true,
	"enero": true, "febrero": true, "marzo": true, "abril": true, "mayo": true, "junio": true, "julio": true, "agosto": true, "septiembre": true, "octubre": true, "noviembre": true, "diciembre": true}

// dateAt takes a date in figures, or one with the name of a month.
func dateAt(p *page, i int) (int, int, bool) {
	if end, ok := p.figures(i); ok {
		return p.words[i].start, end, true
	}
	const longest = 5 // the 4th of July, 1990
	month, number, end := false, false, 0
	for k := i; k < min(len(p.words), i+longest); k++ {
		w := p.words[k]
		switch name := strings.ToLower(p.word(k)); {
		case k > i && len(p.gap(k)) > 3:
			k = len(p.words)
			continue
		case monthNames[name]:
			month, end = true, w.end
		case w.digits > 0 && w.end-w.start <= 4:
			number, end = true, w.end
			if w.digits == 4 { // nothing follows the year
				k = len(p.words)
			}
		case !fillerWords[name] && name != "de" && name != "in":
			k = len(p.words)
			continue
		}
	}
	return p.words[i].start, end, month && number
}

// figures reads year-month-day, or day and month in either order and the year, held together by the same mark.
func (p *page) figures(i int) (end int, ok bool) {
	if !p.numeric(i) || i+2 >= len(p.words) || !p.numeric(i+1) || p.gap(i+1) != p.gap(i+2) || len(p.gap(i+1)) != 1 || !strings.Contains("-/.", p.gap(i+1)) {
		return 0, false
	}
	third := p.word(i + 2)
	n := 0
	for n < len(third) && class(third[n]).is(digit) {
		n++
	}
	within := func(s string, most int) bool {
		v, err := strconv.Atoi(s)
		return err == nil && len(s) <= 2 && 1 <= v && v <= most
	}
	first, second, third := p.word(i), p.word(i+1), third[:n]
	year := func(s string) bool { return len(s) == 4 && "1850" <= s && s <= "2100" || len(s) == 2 }
	ok = year(first) && len(first) == 4 && within(second, 12) && within(third, 31) ||
		year(third) && (within(first, 31) && within(second, 12) || within(first, 12) && within(second, 31))
	return p.words[i+2].start + n, ok
}

// ---- telephone numbers

// phoneAt takes a number behind a word such as phone; a date or an address of the network is none.
func phoneAt(p *page, i int) (int, int, bool) {
	start, end, ok := groupsOf(7, 15, nil)(p, i)
	if !ok {
		return 0, 0, false
	}
	if _, date := p.figures(i); date {
		return 0, 0, false
	}
	_, err := netip.ParseAddr(p.s[start:end])
	return start, end, err != nil
}

// findPhones finds telephone numbers by their form: international ones, those of North America, and those with a leading zero in groups.
func findPhones(p *page, yield func(int, int)) {
	for i, w := range p.words {
		if !p.numeric(i) {
			continue
		}
		start := w.start
		for start > 0 && w.start-start < 2 && p.s[start] != '+' && strings.IndexByte("(+", p.s[start-1]) >= 0 {
			start--
		}
		if start > 0 && (class(p.s[start-1]).is(alnum) || strings.IndexByte("-/._#$€£+:=,", p.s[start-1]) >= 0 && p.s[start] != '+') {
			continue
		}
		international := strings.HasPrefix(p.s[start:], "+")
		digits, widths := p.groupsFrom(i, 16, joined)
		if !international && p.continues(i, " ") {
			continue
		}
		n := phoneGroups(digits, widths, international)
		if n == 0 || !international && strings.ContainsRune(p.s[w.start:p.words[i+n-1].end], '(') {
			continue
		}
		end := p.words[i+n-1].end
		if end+1 < len(p.s) && strings.IndexByte("-_/.:", p.s[end]) >= 0 && class(p.s[end+1]).is(alnum) && !international {
			continue
		}
		yield(start, end)
	}
}

// phoneGroups tells how many of the groups make a telephone number, 0 where they make none.
func phoneGroups(digits string, widths []int, international bool) int {
	if len(widths) == 0 { // the first group alone is too long
		return 0
	}
	first := widths[0]
	switch {
	case international:
		if len(digits) >= 8 && digits[0] != '0' {
			return len(widths)
		}
	case len(widths) >= 3 && sameGroups(widths[:3], 3, 3, 4):
		if digits[0] >= '2' && digits[3] >= '2' {
			return 3
		}
	case len(widths) >= 4 && sameGroups(widths[:4], 1, 3, 3, 4):
		if digits[0] == '1' && digits[1] >= '2' && digits[4] >= '2' {
			return 4
		}
	case digits[0] == '0' && !strings.HasPrefix(digits, "000") && len(widths) >= 2 && 2 <= first && first <= 6:
		if 9 <= len(digits) && len(digits) <= 12 || strings.HasPrefix(digits, "00") && len(digits) > 9 && digits[2] != '0' {
			return len(widths)
		}
	}
	return 0
}

// ---- places

// minDecimals is how precise both numbers must be to tell where somebody is: 4 decimals are 11 metres.
const minDecimals = 4

func findCoordinates(p *page, yield func(int, int)) {
	for i := 0; i+3 < len(p.words); i++ {
		if !p.numeric(i) || !p.numeric(i+1) || !p.numeric(i+2) || !p.numeric(i+3) || p.gap(i+1) != "." || p.gap(i+3) != "." {
			continue
		}
		between := p.gap(i + 2)
		comma, blank := strings.Count(between, ","), strings.Trim(between, ", -") == ""
		lat, lon := p.words[i], p.words[i+2]
		wide := lat.digits >= 2 || lon.digits >= 2
		if comma != 1 || !blank || len(between) > 3 || !wide || lat.digits > 2 || lon.digits > 3 || p.words[i+1].digits < minDecimals || p.words[i+3].digits < minDecimals {
			continue
		}
		if p.word(i) > "90" && lat.digits == 2 || p.word(i+2) > "180" && lon.digits == 3 {
			continue
		}
		start := lat.start
		if start > 0 && p.s[start-1] == '-' {
			start--
		}
		yield(start, p.words[i+3].end)
	}
}

// streetTypes are the words that end the name of a street, and those that are read so in small letters as well.
var (
	streetTypes = map[string]bool{"street": true, "st": true, "avenue": true, "ave": true, "road": true, "rd": true, "lane": true, "ln": true, "drive": true, "dr": true, "boulevard": true, "blvd": true,
		"court": true, "ct": true, "way": true, "place": true, "pl": true, "square": true, "sq": true, "terrace": true, "parkway": true, "pkwy": true, "circle": true, "cir": true, "close": true,
		"crescent": true, "highway": true, "hwy": true, "row": true, "gardens": true, "mews": true, "trail": true, "alley": true, "loop": true,
		"ridge": true, "vista": true, "view": true, "hill": true, "hills": true, "point": true, "harbor": true, "heights": true, "grove": true, "park": true, "plaza": true, "pike": true, "path": true, "pass": true,
		"run": true, "crossing": true, "valley": true, "village": true, "meadow": true, "meadows": true, "glen": true, "green": true, "bridge": true, "creek": true, "ranch": true, "island": true, "walk": true}
	plainStreets = map[string]bool{"street": true, "st": true, "avenue": true, "ave": true, "road": true, "rd": true, "blvd": true, "boulevard": true, "lane": true}
	streetStarts = map[string]bool{"rue": true, "avenue": true, "boulevard": true, "place": true, "chemin": true, "impasse": true, "quai": true, "allée": true, "via": true, "viale": true, "piazza": true}
	streetFirst  = map[string]bool{"calle": true, "avenida": true, "av": true, "rua": true, "via": true, "viale": true, "piazza": true, "plaza": true, "paseo": true, "corso": true, "ulica": true, "ul": true}
	ofStreets    = map[string]bool{"de": true, "del": true, "la": true, "las": true, "los": true, "di": true, "da": true, "do": true, "das": true, "dos": true}
	states       = map[string]bool{"AL": true, "AK": true, "AZ": true, "AR": true, "CA": true, "CO": true, "CT": true, "DE": true, "DC": true, "FL": true, "GA": true, "HI": true, "ID": true, "IL": true, "IN": true, "IA": true,
		"KS": true, "KY": true, "LA": true, "ME": true, "MD": true, "MA": true, "MI": true, "MN": true, "MS": true, "MO": true, "MT": true, "NE": true, "NV": true, "NH": true, "NJ": true, "NM": true, "NY": true, "NC": true,
		"ND": true, "OH": true, "OK": true, "OR": true, "PA": true, "RI": true, "SC": true, "SD": true, "TN": true, "TX": true, "UT": true, "VT": true, "VA": true, "WA": true, "WV": true, "WI": true, "WY": true}
	streetEnds = []string{"straße", "strasse", "str", "weg", "platz", "allee", "gasse", "ring", "damm", "straat", "laan", "gracht", "ufer"}
	notStreets = map[string]bool{"the": true, "a": true, "an": true, "of": true, "on": true, "in": true, "down": true, "to": true, "and": true, "or": true, "is": true, "was": true, "for": true, "at": true,
		"by": true, "with": true, "miles": true, "minutes": true, "minute": true, "hours": true, "days": true, "km": true, "mile": true, "per": true, "from": true, "this": true, "that": true, "more": true, "other": true}
)

// findAddresses finds postal addresses: number and street in the English, French, German and Romance order, post boxes, and what stands before an American state and postcode.
func findAddresses(p *page, yield func(int, int)) {
	for i, w := range p.words {
		switch {
		case w.digits > 0 && w.digits <= 5 && class(p.s[w.start]).is(digit) && w.end-w.start <= w.digits+1:
			if w.start > 0 && strings.IndexByte("-/._#$€£:", p.s[w.start-1]) >= 0 {
				continue
			}
			if k := p.street(i); k > 0 {
				yield(w.start, p.words[p.locality(k)].end)
			}
		case states[p.word(i)] && p.postcode(i+1):
			if k := p.houseBefore(i); k >= 0 {
				for n := 0; n < 3 && k > 0 && p.capital(k-1) && p.gap(k) == " "; n++ { // the street stands before its number
					k--
				}
				yield(p.words[k].start, p.words[p.locality(i+1)].end)
			}
		case p.capital(i) && streetFirst[strings.ToLower(p.word(i))]:
			if k := p.romanceStreet(i); k > 0 {
				yield(w.start, p.words[p.locality(k)].end)
			}
		case p.capital(i) && p.germanStreet(i):
			yield(w.start, p.words[p.locality(i+1)].end)
		case strings.EqualFold(p.word(i), "po") && strings.EqualFold(p.word(i+1), "box") && p.numeric(i+2) && p.close(i+1) && p.close(i+2):
			yield(w.start, p.words[p.locality(i+2)].end)
		case strings.EqualFold(p.word(i), "p") && p.gap(i+1) == "." && strings.EqualFold(p.word(i+1), "o") && strings.EqualFold(p.word(i+2), "box") && p.numeric(i+3) && p.close(i+2) && p.close(i+3):
			yield(w.start, p.words[p.locality(i+3)].end)
		}
	}
}

// maxBreak is how many bytes may lie between two words of an address: a new line, indented.
const maxBreak = 24

// close tells whether the i-th word may belong to the same address as the one before.
func (p *page) close(i int) bool { return i <= len(p.words) && len(p.gap(i)) <= maxBreak }

func (p *page) capital(i int) bool {
	c := p.word(i)
	return c != "" && class(c[0]).is(upper|foreign)
}

// street returns the index of the last word of the street's name behind a house number, 0 where there is none.
func (p *page) street(i int) int {
	const longest = 5
	if streetStarts[strings.ToLower(p.word(i+1))] && p.capital(i+2) && len(p.gap(i+1)) <= 2 && p.close(i+2) {
		return i + 2
	}
	if streetStarts[strings.ToLower(p.word(i+1))] && len(p.gap(i+1)) <= 2 { // rue de la Paix
		for k := i + 2; k < i+longest && p.close(k); k++ {
			if p.capital(k) {
				return k
			}
		}
	}
	capitals := true
	for k := i + 1; k <= i+longest && k < len(p.words); k++ {
		name := strings.ToLower(p.word(k))
		gap := p.gap(k)
		if len(gap) > 2 || strings.Trim(gap, " .'") != "" || !strings.Contains(gap, " ") && gap != "'" || k == i+1 && gap != " " {
			return 0
		}
		if k > i+1 && streetTypes[name] && (capitals && p.capital(k) || plainStreets[name] && k <= i+3 && p.endsStreet(k)) {
			return k
		}
		if notStreets[name] {
			return 0
		}
		capitals = capitals && (p.capital(k) || p.words[k].digits > 0 || p.gap(k) == "'")
	}
	return 0
}

// postcode tells whether the i-th word is an American one behind a blank.
func (p *page) postcode(i int) bool {
	const length = 5
	return p.numeric(i) && p.words[i].digits == length && p.gap(i) == " "
}

// houseBefore returns the index of the house number that an American address begins with, whose state is the i-th word; negative where there is none.
func (p *page) houseBefore(i int) int {
	const longest = 9
	if !strings.HasPrefix(p.gap(i), ",") || !p.close(i) {
		return -1
	}
	for k := i - 1; k >= max(0, i-longest); k-- {
		gap := p.gap(k + 1)
		if len(gap) > 3 || strings.Trim(gap, " ,.#\n") != "" {
			return -1
		}
		if p.numeric(k) && p.words[k].digits <= 5 && p.capital(k+1) && k < i-2 && (p.gap(k+1) == " " || p.capital(k-1) && p.gap(k) == " ") && !flats[strings.ToLower(p.word(k-1))] {
			return k
		}
	}
	return -1
}

// romanceStreet returns the index of the house number behind a street such as Calle Mayor, 0 where there is none.
func (p *page) romanceStreet(i int) int {
	const longest = 5
	for k := i + 1; k <= i+longest && k < len(p.words); k++ {
		gap := p.gap(k)
		switch {
		case len(gap) > 2 || strings.Trim(gap, " ,.") != "":
			return 0
		case p.numeric(k) && p.words[k].digits <= 4 && k > i+1:
			return k
		case !p.capital(k) && !ofStreets[p.word(k)]:
			return 0
		}
	}
	return 0
}

// endsStreet tells whether nothing that belongs to a sentence follows a street in small letters.
func (p *page) endsStreet(k int) bool {
	gap := p.gap(k + 1)
	return k+1 == len(p.words) || !p.close(k+1) || strings.ContainsAny(gap, ",.;\n") || p.words[k+1].digits > 0
}

func (p *page) germanStreet(i int) bool {
	name := strings.ToLower(p.word(i))
	next := i + 1
	if next >= len(p.words) || p.words[next].digits == 0 || p.words[next].digits > 3 || p.words[next].end-p.words[next].start > p.words[next].digits+1 || strings.Trim(p.gap(next), " .") != "" || !p.close(next) {
		return false
	}
	for _, e := range streetEnds {
		if strings.HasSuffix(name, e) && len(name) > len(e)+2 {
			return true
		}
	}
	return false
}

// locality extends a street that ends with the k-th word by what follows it: a flat, the town, the state and the postcode.
func (p *page) locality(k int) int {
	last := k
	const longest = 8
	for i := k + 1; i <= k+longest && i < len(p.words); i++ {
		gap := p.gap(i)
		if len(gap) > 3 || strings.Trim(gap, " ,.#\n") != "" || strings.Contains(gap, ". ") && i > k+1 && !flats[strings.ToLower(p.word(i-1))] {
			break
		}
		w := p.words[i]
		switch {
		case w.digits > 0 && w.end-w.start <= 5:
			last = i
		case !p.capital(i) || i == k+1 && !strings.ContainsAny(gap, ",\n#") && !flats[strings.ToLower(p.word(i))]:
			return last
		case w.end-w.start == 2 && all(p.word(i), upper):
			last = i
		}
	}
	return last
}

var flats = map[string]bool{"apt": true, "apartment": true, "suite": true, "ste": true, "unit": true, "flat": true, "floor": true}

// ---- addresses of crypto currencies

const (
	base58  = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	bech32  = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	bech32m = 0x2bc830a3 // the constant of version 1 and later (BIP 350)
)

func findCrypto(p *page, yield func(int, int)) {
	for i, w := range p.words {
		s := p.word(i)
		n := len(s)
		switch {
		case n == 42 && strings.HasPrefix(s, "0x") && strings.Trim(s[2:], hexDigits) == "":
			yield(w.start, w.end)
		case 26 <= n && n <= 35 && strings.IndexByte("13LMDT", s[0]) >= 0 && base58Check(s, 21):
			yield(w.start, w.end)
		case 14 <= n && n <= 90 && bech32Check(s):
			yield(w.start, w.end)
		}
	}
}

// base58Check tells whether s holds a number of bytes with the right checksum behind them.
func base58Check(s string, size int) bool {
	value := new(big.Int)
	radix := big.NewInt(int64(len(base58)))
	for i := range len(s) {
		d := strings.IndexByte(base58, s[i])
		if d < 0 {
			return false
		}
		value.Add(value.Mul(value, radix), big.NewInt(int64(d)))
	}
	const sum = 4
	if value.BitLen() > (size+sum)*8 {
		return false
	}
	b := value.FillBytes(make([]byte, size+sum))
	once := sha256.Sum256(b[:size])
	twice := sha256.Sum256(once[:])
	return string(twice[:sum]) == string(b[size:])
}

// bech32Check tells whether s is a Bitcoin, test net or Litecoin address whose checksum holds (BIP 173 and BIP 350).
func bech32Check(s string) bool {
	s = strings.ToLower(s)
	human, data, ok := strings.Cut(s, "1")
	if !ok || human != "bc" && human != "tb" && human != "ltc" {
		return false
	}
	values := make([]int, 0, len(s)*2)
	for _, c := range []byte(human) {
		values = append(values, int(c>>5))
	}
	values = append(values, 0)
	for _, c := range []byte(human) {
		values = append(values, int(c&31))
	}
	for _, c := range []byte(data) {
		d := strings.IndexByte(bech32, c)
		if d < 0 {
			return false
		}
		values = append(values, d)
	}
	generators := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generators {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum == 1 || sum == bech32m
}
