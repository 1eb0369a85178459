package builtin

import (
	"net/netip"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

const piiKindsDoc = `Kinds: bank_account, birth_date, br_cpf, ca_sin, card, card_code, coordinates, crypto_address, de_tax_id, driver_license, email, es_dni, fr_nir, iban, imei,
in_aadhaar, in_pan, ip_address, it_fiscal_code, license_plate, mac_address, medical_record, nl_bsn, passport, phone, pl_pesel, postal_address, routing_number, ssn, swift_code, tax_id, uk_nhs, uk_nino, vin.`

// PIIFind lists the kinds of personal data in a text.
var PIIFind = &Func{
	Name: "pii.find",
	Doc: `The kinds of personal data that a text has, sorted, each once. Numbers with a checksum are found where it holds; what has no form of its own is found behind words that announce it, such as "passport no".
` + piiKindsDoc + `
Names of people are not found, nor what is spelt in words, or in an encoding other than JSON's escapes.
pii.find('Write to ann@example.org or call +1 415 555 0132.') // ['email', 'phone']
pii.find('card 4111 1111 1111 1111') // ['card']
pii.find('order 4111 1111 1111 1112 of 2025-03-01') // []`,
	Overloads: []Overload{{ID: "proviso_pii_find", In: text, Out: texts, Eval: eval1(piiDetectors.found), Cost: detectCost}},
}

// PIIHas tells whether a text has personal data.
var PIIHas = &Func{
	Name: "pii.has",
	Doc: `Tells whether a text has personal data: of any kind, of one kind, or of one of several. The kinds are those of pii.find; another one is an error.
pii.has('I am ann@example.org') // true
pii.has('I am ann@example.org', 'card') // false
pii.has('IBAN GB82 WEST 1234 5698 7654 32', ['card', 'iban']) // true
pii.has('…', 'emial') // error: did you mean "email"?`,
	Overloads: hasOverloads("pii", piiDetectors),
}

// PIIValues lists the personal data of a kind.
var PIIValues = &Func{
	Name: "pii.values",
	Doc: `What a text has of one kind of personal data, as it is written, in order: to let some values pass and not others. The kinds are those of pii.find.
pii.values('From ann@example.org to bob@example.com', 'email') // ['ann@example.org', 'bob@example.com']
pii.values('no address', 'email') // []
pii.values('ann@example.org, eve@example.net', 'email').all(a, email.in_domain(a, 'example.org')) // false`,
	Overloads: []Overload{{ID: "proviso_pii_values", In: twoTexts, Out: texts, Cost: detectCost, Eval: eval2(func(s, kind string) ([]string, error) {
		pick, err := piiDetectors.only([]string{kind})
		if err != nil {
			return nil, err
		}
		out := []string{}
		for _, m := range piiDetectors.find(s) {
			if pick(m.Kind) {
				out = append(out, s[m.Start:m.End])
			}
		}
		return out, nil
	})}},
}

// detectCost is what a text costs beside being read once, in CEL's units.
const detectCost = 2000

// hasOverloads are the signatures of has in a family.
func hasOverloads(family string, d *detectors) []Overload {
	return []Overload{
		{ID: "proviso_" + family + "_has_any", In: text, Out: cel.BoolType, Eval: eval1(d.any), Cost: detectCost},
		{ID: "proviso_" + family + "_has", In: twoTexts, Out: cel.BoolType, Eval: eval2(d.hasOne), Cost: detectCost},
		{ID: "proviso_" + family + "_has_of", In: []*cel.Type{cel.StringType, texts}, Out: cel.BoolType, Eval: eval2(d.has), Cost: detectCost},
	}
}

// piiDetectors finds personal data; where two overlap, the one with the stronger evidence stands first.
var piiDetectors = family("pii", []detector{
	one("email", findEmails),
	one("crypto_address", findCrypto),
	one("iban", findIBANs),
	announced("card_code", digitsBetween(3, 4), "cvv", "cvc", "cvv2", "cvc2", "csc", "security code", "card verification value"),
	announced("imei", checkedDigits(15, luhn), "imei"),
	announced("uk_nhs", checkedDigits(10, weighted(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)), "nhs"),
	announced("in_aadhaar", checkedDigits(12, verhoeff), "aadhaar", "aadhar", "uidai", "uid"),
	announced("de_tax_id", checkedDigits(11, mod11and10), "steuer id", "steueridentifikationsnummer", "steuernummer", "steuerid", "idnr", "german tax", "tax identification"),
	announced("nl_bsn", checkedDigits(9, weighted(11, 9, 8, 7, 6, 5, 4, 3, 2, -1)), "bsn", "burgerservicenummer"),
	announced("pl_pesel", checkedDigits(11, weighted(10, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)), "pesel"),
	announced("ca_sin", checkedDigits(9, luhn), "sin", "social insurance"),
	announced("routing_number", checkedDigits(9, weighted(10, 3, 7, 1, 3, 7, 1, 3, 7, 1)), "routing", "aba", "rtn", "routing transit"),
	announced("ssn", groupsOf(9, 9, socialSecurity), "ssn", "social security", "socialsecurity", "itin"),
	announced("passport", codeOf(6, 9, 4), "passport", "passportnumber", "passeport", "reisepass", "pasaporte", "passportno"),
	announced("driver_license", codeOf(5, 18, 4), "driver license", "drivers license", "driver s license", "driving licence", "driving license", "drivers licence", "driver s licence", "driver licence",
		"driverlicense", "driverslicense", "dl", "führerschein", "permis de conduire"),
	announced("medical_record", codeOf(6, 14, 5), "mrn", "medical record", "patient id", "patient number", "patient no", "patientid", "health insurance", "medicare", "medicaid", "member id"),
	announced("license_plate", plateAt, "license plate", "licence plate", "number plate", "plate", "kennzeichen", "registration plate"),
	announced("tax_id", codeOf(8, 14, 7), "ein", "tin", "tax id", "taxpayer", "vat", "taxid", "vat id", "ust idnr", "tax identification", "employer identification"),
	announced("swift_code", swiftCode, "swift", "bic", "swift bic", "bic swift"),
	announced("bank_account", digitsBetween(7, 17), "bank account", "account", "acct", "accountnumber", "checking account", "savings account", "sort code", "kontonummer"),
	announced("birth_date", dateAt, "date of birth", "birth date", "dob", "born", "birthday", "birthdate", "dateofbirth", "d o b", "geburtsdatum", "geboren", "née le", "né le", "date de naissance", "fecha de nacimiento"),
	announced("phone", phoneAt, "phone", "phones", "tel", "telephone", "telefon", "téléphone", "teléfono", "mobile", "cell", "cellphone", "fax", "whatsapp", "handy", "call", "text me", "dial", "reach me", "reached", "ring", "sms", "phonenumber", "contact number", "contact", "contact me", "text", "my number"),
	one("coordinates", findCoordinates),
	one("mac_address", findMACs),
	one("ip_address", findIPs),
	one("vin", wholeWords(17, 17, vehicle)),
	one("it_fiscal_code", wholeWords(16, 16, fiscalCode)),
	one("es_dni", wholeWords(9, 9, spanishID)),
	one("in_pan", wholeWords(10, 10, indianPAN)),
	one("uk_nino", findNINOs),
	one("fr_nir", alone(15, 15, " ", frenchNIR)),
	one("br_cpf", alone(11, 11, ".-", brazilianCPF)),
	one("card", findCards),
	one("in_aadhaar", alone(12, 12, " -", func(d string, groups []int) bool { return sameGroups(groups, 4, 4, 4) && verhoeff(d) })),
	one("ssn", alone(9, 9, " -", func(d string, groups []int) bool { return sameGroups(groups, 3, 2, 4) && socialSecurity(d, groups) })),
	one("phone", findPhones),
	one("postal_address", findAddresses),
})

// ---- values behind a cue

// joined are the marks that hold the groups of a number together; one of them, or ") ", stands between two.
const joined = " -./()"

// maxGroups bounds the groups of one number.
const maxGroups = 8

// groupsFrom reads the groups of digits that begin with the i-th word, up to most digits; widths are their lengths.
func (p *page) groupsFrom(i, most int, marks string) (digits string, widths []int) {
	var buf [32]byte
	n := 0
	for k := i; k < len(p.words) && len(widths) < maxGroups; k++ {
		if gap := p.gap(k); k > i && (len(gap) > 3 || gap == "" || strings.Trim(gap, marks) != "" || len(gap) == 3 && gap != " - " && !strings.ContainsAny(gap, "()")) {
			break
		}
		group, last := p.word(k), false
		if !p.numeric(k) {
			if group, last = extended(group); k == i || !last {
				break
			}
		}
		if n+len(group) > min(most, len(buf)) {
			break
		}
		n += copy(buf[n:], group)
		if widths == nil {
			widths = make([]int, 0, maxGroups)
		}
		if widths = append(widths, len(group)); last {
			break
		}
	}
	return string(buf[:n]), widths
}

// extended returns the digits of a telephone number's last group before its extension, such as 0132x389.
func extended(word string) (digits string, ok bool) {
	digits, extension, ok := strings.Cut(word, "x")
	return digits, ok && len(digits) == 4 && extension != "" && all(digits+extension, digit)
}

// groupsOf takes a number of between least and most digits, written in groups or not.
func groupsOf(least, most int, check func(string, []int) bool) valueAt {
	return func(p *page, i int) (int, int, bool) {
		digits, widths := p.groupsFrom(i, most, joined)
		if len(digits) < least || check != nil && !check(digits, widths) {
			return 0, 0, false
		}
		start := p.words[i].start
		for start > 0 && (p.s[start-1] == '+' || p.s[start-1] == '(') {
			start--
		}
		return start, p.words[i+len(widths)-1].end, true
	}
}

func checkedDigits(n int, check func(string) bool) valueAt {
	return groupsOf(n, n, func(d string, _ []int) bool { return check(d) })
}

// digitsBetween takes one run of digits.
func digitsBetween(least, most int) valueAt {
	return func(p *page, i int) (int, int, bool) {
		w := p.words[i]
		return w.start, w.end, p.numeric(i) && least <= w.digits && w.digits <= most
	}
}

// codeOf takes a code of letters and digits with at least some digits, of one word or of several held together by blanks or hyphens; its letters are capitals.
func codeOf(least, most, digits int) valueAt {
	return func(p *page, i int) (int, int, bool) {
		n, d, end := 0, 0, 0
		for k := i; k < len(p.words); k++ {
			w := p.words[k]
			gap := p.gap(k)
			if k > i && (len(gap) != 1 || !strings.Contains(" -", gap)) || n+w.end-w.start > most || !all(p.word(k), digit|upper) || k > i && gap == " " && w.digits == 0 {
				break
			}
			n, d, end = n+w.end-w.start, d+w.digits, w.end
		}
		return p.words[i].start, end, n >= least && d >= digits
	}
}

// plateAt takes up to three groups of capitals and digits, with both among them.
func plateAt(p *page, i int) (int, int, bool) {
	const least, most, groups = 5, 8, 3
	n, digits, end := 0, 0, 0
	for k := i; k < min(len(p.words), i+groups); k++ {
		w := p.words[k]
		if gap := p.gap(k); k > i && gap != " " && gap != "-" || n+w.end-w.start > most || !all(p.word(k), digit|upper) {
			break
		}
		n, digits, end = n+w.end-w.start, digits+w.digits, w.end
	}
	return p.words[i].start, end, n >= least && digits > 0 && digits < n
}

func swiftCode(p *page, i int) (int, int, bool) {
	w := p.words[i]
	n := w.end - w.start
	return w.start, w.end, (n == 8 || n == 11) && all(p.s[w.start:w.start+6], upper) && all(p.word(i), upper|digit)
}

// ---- words and numbers with a form of their own

// wholeWords finds words of a length that a check accepts.
func wholeWords(least, most int, check func(string) bool) func(*page, func(int, int)) {
	return func(p *page, yield func(int, int)) {
		for i, w := range p.words {
			if n := w.end - w.start; least <= n && n <= most && w.digits > 0 && check(p.word(i)) && !p.inside(i) {
				yield(w.start, w.end)
			}
		}
	}
}

// inside tells whether a word is a part of a longer name, such as a path, a UUID or an identifier.
func (p *page) inside(i int) bool {
	const glue = "-_/@\\"
	w := p.words[i]
	return w.start > 0 && strings.IndexByte(glue, p.s[w.start-1]) >= 0 || w.end < len(p.s) && strings.IndexByte(glue, p.s[w.end]) >= 0
}

// continues tells whether a group of digits stands before the i-th word, held to it by one of the marks.
func (p *page) continues(i int, marks string) bool {
	return i > 0 && i < len(p.words) && p.numeric(i-1) && p.numeric(i) && len(p.gap(i)) == 1 && strings.Contains(marks, p.gap(i))
}

// alone finds numbers as numbers does, but none that is a part of a longer one.
func alone(least, most int, marks string, check func(digits string, widths []int) bool) func(*page, func(int, int)) {
	return func(p *page, yield func(int, int)) {
		for i := range p.words {
			if !p.numeric(i) || p.continues(i, marks) {
				continue
			}
			digits, widths := p.groupsFrom(i, most, marks)
			if len(digits) >= least && !p.continues(i+len(widths), marks) && check(digits, widths) && !p.glued(i, i+len(widths)-1) {
				yield(p.words[i].start, p.words[i+len(widths)-1].end)
			}
		}
	}
}

// glued tells whether the words from i to k are a part of a longer identifier.
func (p *page) glued(i, k int) bool {
	start, end := p.words[i].start, p.words[k].end
	return start > 0 && strings.IndexByte("-_#.", p.s[start-1]) >= 0 || end+1 < len(p.s) && strings.IndexByte("-_.", p.s[end]) >= 0 && class(p.s[end+1]).is(alnum)
}

// findCards finds the numbers of payment cards; they may begin and end within a longer row of groups.
func findCards(p *page, yield func(int, int)) {
	const least, most, first = 13, 19, 4
	for i, w := range p.words {
		if !p.numeric(i) || w.digits < first {
			continue
		}
		digits, widths := p.groupsFrom(i, most, " -.")
		for n := len(widths); n > 0 && len(digits) >= least; n-- {
			if cardNumber(digits, widths[:n]) && !p.glued(i, i+n-1) {
				yield(w.start, p.words[i+n-1].end)
				break
			}
			digits = digits[:len(digits)-widths[n-1]]
		}
	}
}

func sameGroups(widths []int, want ...int) bool {
	return slices.Equal(widths, want)
}

// cardGroups are the ways in which cards are printed; one group is always accepted.
var cardGroups = [][]int{{4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}, {4, 4, 4, 4, 3}, {4, 4, 4, 1}, {6, 10}, {4, 4, 5}, {8, 8}}

// issuers are the ranges of the first digits of payment cards and the lengths of their numbers.
var issuers = []struct {
	from, to    string
	least, most int
}{
	{"34", "34", 15, 15}, {"37", "37", 15, 15}, // American Express
	{"300", "305", 14, 16}, {"36", "36", 14, 19}, {"38", "39", 14, 19}, // Diners
	{"3528", "3589", 16, 19},                       // JCB
	{"4", "4", 13, 19},                             // Visa
	{"51", "55", 16, 16}, {"2221", "2720", 16, 16}, // Mastercard
	{"50", "50", 13, 19}, {"56", "59", 13, 19}, {"63", "63", 13, 19}, {"67", "67", 13, 19}, // Maestro
	{"6011", "6011", 16, 19}, {"644", "649", 16, 19}, {"65", "65", 16, 19}, // Discover
	{"62", "62", 16, 19}, {"81", "81", 16, 19}, // UnionPay
}

func cardNumber(d string, widths []int) bool {
	printed := len(widths) == 1
	for _, g := range cardGroups {
		printed = printed || sameGroups(widths, g...)
	}
	if !printed || !luhn(d) || strings.Count(d, d[:1]) == len(d) {
		return false
	}
	for _, i := range issuers {
		if n := len(i.from); i.least <= len(d) && len(d) <= i.most && i.from <= d[:n] && d[:n] <= i.to {
			return true
		}
	}
	return false
}

// socialSecurity refuses the numbers that the United States never issued, except those of taxpayers without one, which begin with 9.
func socialSecurity(d string, widths []int) bool {
	if len(widths) > 1 && !sameGroups(widths, 3, 2, 4) {
		return false
	}
	if d[0] == '9' {
		return d[3:5] >= "50" && d[5:] != "0000"
	}
	return d[:3] != "000" && d[:3] != "666" && d[3:5] != "00" && d[5:] != "0000"
}

func findNINOs(p *page, yield func(int, int)) {
	for i, w := range p.words {
		if len(p.word(i)) < 2 || !all(p.s[w.start:w.start+2], upper) || w.start+9 > len(p.s) {
			continue
		}
		// AB123456C, or in pairs with blanks
		compact := ""
		end := w.start
		for end < len(p.s) && len(compact) < 9 {
			switch {
			case class(p.s[end]).is(digit | upper):
				compact += p.s[end : end+1]
			case p.s[end] != ' ' || len(compact)%2 != 0:
				end = len(p.s)
				continue
			}
			end++
		}
		if len(compact) == 9 && nationalInsurance(compact) && (end == len(p.s) || !class(p.s[end]).is(alnum)) {
			yield(w.start, end)
		}
	}
}

func nationalInsurance(s string) bool {
	switch s[:2] {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return all(s[:2], upper) && !strings.ContainsAny(s[:1], "DFIQUV") && !strings.ContainsAny(s[1:2], "DFIOQUV") && all(s[2:8], digit) && 'A' <= s[8] && s[8] <= 'D'
}

func findIBANs(p *page, yield func(int, int)) {
	for _, w := range p.words {
		if w.end-w.start < 4 || !all(p.s[w.start:w.start+2], letter&^foreign) || !all(p.s[w.start+2:w.start+4], digit) {
			continue
		}
		want := ibanLengths[strings.ToUpper(p.s[w.start:w.start+2])]
		var compact []byte
		end := w.start
		for ; end < len(p.s) && len(compact) < want; end++ {
			c := p.s[end]
			if class(c).is(alnum &^ foreign) {
				compact = append(compact, c)
			} else if c != ' ' && c != '-' || len(compact)%4 != 0 || p.s[end-1] == c {
				break
			}
		}
		if check := p.s[w.start+2 : w.start+4]; check < "02" || check > "98" || w.start > 0 && strings.IndexByte("-_", p.s[w.start-1]) >= 0 {
			continue
		}
		if want > 0 && len(compact) == want && mod97(string(compact)) && (end == len(p.s) || !class(p.s[end]).is(alnum)) {
			yield(w.start, end)
		}
	}
}

// ---- addresses of the network

func findEmails(p *page, yield func(int, int)) {
	from := 0 // a local part does not reach back beyond the last address
	for at := 0; ; at++ {
		n := strings.IndexByte(p.s[at:], '@')
		if n < 0 {
			return
		}
		at += n
		start := at
		for start > max(from, at-64) && (class(p.s[start-1]).is(alnum) || strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", p.s[start-1]) >= 0) {
			start--
		}
		for start < at && strings.IndexByte(".'`/=?{}|#*&", p.s[start]) >= 0 {
			start++
		}
		if cut := strings.LastIndexAny(p.s[start:at], "/=?"); cut >= 0 {
			start += cut + 1
		}
		end := at + 1
		for end < len(p.s) && end-at < 254 && (class(p.s[end]).is(alnum) || p.s[end] == '-' || p.s[end] == '.' && end+1 < len(p.s) && class(p.s[end+1]).is(alnum)) {
			end++
		}
		domain := strings.TrimRight(p.s[at+1:end], "-.")
		end = at + 1 + len(domain)
		dot := strings.LastIndexByte(domain, '.')
		if start == at || dot < 1 || len(domain)-dot < 3 || class(domain[dot+1]).is(digit) || p.userInfo(start) {
			continue
		}
		yield(start, end)
		from = end
	}
}

// userInfo tells whether a text before an @ is the password of a URL.
func (p *page) userInfo(start int) bool {
	before := p.s[max(0, start-64):start]
	before = before[strings.LastIndexAny(before, " \t\n\"'<>")+1:]
	return strings.Contains(before, "://") && !strings.Contains(before[strings.Index(before, "://")+3:], "/")
}

const hexDigits = "0123456789abcdefABCDEF"

func findMACs(p *page, yield func(int, int)) {
	for i := 0; i+5 < len(p.words); i++ {
		w := p.words[i]
		if w.end-w.start != 2 || w.start > 0 && strings.IndexByte(":-", p.s[w.start-1]) >= 0 {
			continue
		}
		sep, ok, letters := p.gap(i+1), true, false
		for k := i; k < i+6 && ok; k++ {
			ok = len(p.word(k)) == 2 && strings.Trim(p.word(k), hexDigits) == "" && (k == i || p.gap(k) == sep)
			letters = letters || !p.numeric(k)
		}
		end := p.words[i+5].end
		follows := end+1 < len(p.s) && p.s[end:end+1] == sep && class(p.s[end+1]).is(alnum)
		if ok && (sep == ":" || sep == "-" && letters) && !follows {
			yield(w.start, end)
		}
	}
}

func findIPs(p *page, yield func(int, int)) {
	for i := 0; i < len(p.s); {
		if !isAddress(p.s[i]) {
			i++
			continue
		}
		start := i
		for i < len(p.s) && isAddress(p.s[i]) {
			i++
		}
		if start > 0 && class(p.s[start-1]).is(alnum) || i < len(p.s) && class(p.s[i]).is(alnum) {
			continue
		}
		s := strings.TrimRight(p.s[start:i], ".:")
		if trimmed := strings.TrimLeft(s, "."); len(trimmed) != len(s) {
			start, s = start+len(s)-len(trimmed), trimmed
		}
		if host, _, ok := strings.Cut(s, ":"); ok && strings.Count(s, ":") == 1 {
			s = host
		}
		if p.address(s, start) {
			yield(start, start+len(s))
		}
	}
}

func isAddress(c byte) bool {
	return class(c).is(digit) || c == '.' || c == ':' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// address tells whether s, which begins at start, is an IP address of a machine and not a version or a clock time.
func (p *page) address(s string, start int) bool {
	if len(s) < 6 || len(s) > 45 {
		return false
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() {
		return false
	}
	if ip.Is6() {
		return strings.Count(s, ":") >= 3 || s[0] == '2' || s[0]|0x20 == 'f'
	}
	before := strings.ToLower(strings.TrimRight(p.s[max(0, start-16):start], " :=\"'"))
	if o := ip.As4(); o[0] != 10 && max(o[0], o[1], o[2], o[3]) < 32 && !hasAnySuffix(before, []string{"ip", "address", "host", "server", "ssh", "ping", "://", "@"}) {
		return false // the number of a section or of a version
	}
	for _, v := range []string{"version", "release", "firmware", "build", "v", "ver", "ver.", "v.", "rev", "upgrade to", "update", "section", "sections", "rule", "article", "paragraph", "clause", "chapter", "passageid", "§"} {
		if strings.HasSuffix(before, v) && (len(before) == len(v) || !class(before[len(before)-len(v)-1]).is(alnum)) {
			return false
		}
	}
	// 1.2.3.4-rc1, 1.2.3.4_5
	end := start + len(s)
	return (end == len(p.s) || p.s[end] != '-' && p.s[end] != '_') && (start == 0 || p.s[start-1] != '-' && p.s[start-1] != '_')
}
