package session

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// findThings looks for everything that has several spellings.
//
//   - dates: 2024-05-20, 2024/5/20, 20.05.2024, 05/20/2024 and 20/05/2024 (both readings where both are dates), May 20 2024, 20th of May, 2024; without a year as that day of any year
//   - times of day: 15:30, 3:30 pm, 3 pm
//   - e-mail addresses, whatever their case
//   - URLs, without regard to scheme, www, default port, final slash and fragment; and their hosts
//   - IBANs, with or without spaces
//   - digits in groups, such as phone and card numbers: the digits, from seven on, without a leading + or 00
func (r *reading) findThings() {
	for i := range r.words {
		r.date(i)
		r.clock(i)
		r.iban(i)
		r.digits(i)
	}
	r.addresses()
	r.urls()
	r.hosts()
	slices.SortStableFunc(r.things, func(a, b thing) int { return a.from - b.from })
	r.reaches, r.nextStrict = append(r.reaches[:0], 0), r.nextStrict[:0]
	furthest := 0
	for _, t := range r.things {
		if t.strict {
			furthest = max(furthest, t.to)
		}
		r.reaches = append(r.reaches, furthest)
		r.nextStrict = append(r.nextStrict, 0)
	}
	next := len(r.words)
	r.nextStrict = append(r.nextStrict, next)
	for i := len(r.things) - 1; i >= 0; i-- {
		if r.things[i].strict {
			next = r.things[i].from
		}
		r.nextStrict[i] = next
	}
}

// beginning returns the things that begin with word i, how many words strict ones of them have, whether i stands inside of a strict one, and the first word behind i with which a strict one begins.
func (r *reading) beginning(i int) (ts []thing, strict int, inside bool, next int) {
	from, _ := slices.BinarySearchFunc(r.things, i, func(t thing, i int) int { return t.from - i })
	to := from
	for ; to < len(r.things) && r.things[to].from == i; to++ {
		if r.things[to].strict {
			strict = max(strict, r.things[to].to-i)
		}
	}
	return r.things[from:to], strict, r.reaches[from] > i, r.nextStrict[to]
}

// maxAddress bounds what is read as one URL, in bytes.
const maxAddress = 2048

// hosts reads domains that stand without a scheme, with the path behind them.
func (r *reading) hosts() {
	for i := 0; i+1 < len(r.words); i++ {
		if r.gap(i) != "." || r.words[i].digits || i > 0 && strings.HasSuffix(r.gap(i-1), "/") && strings.Contains(r.gap(i-1), "://") {
			continue
		}
		last := i + 1
		for r.gap(last) == "." || r.gap(last) == "-" {
			last++
		}
		if w := r.words[last]; w.letters && w.chars > 1 {
			start := r.words[i].start
			end := r.words[last].end
			host := r.text[start:end]
			r.found(i, last+1, false, aHost, strings.TrimPrefix(host, "www."))
			for end < len(r.text) && end-start < maxAddress && r.text[end] > ' ' && strings.IndexByte("\"'<>`|{},;", r.text[end]) < 0 {
				end++
			}
			whole := strings.TrimRight(r.text[start:end], ".,;:!?)]*/")
			if _, to := r.spanning(start, start+len(whole)); to > i {
				r.found(i, to, false, aURL, strings.TrimPrefix(whole, "www."))
				last = max(last, to-1)
			}
		}
		i = last
	}
}

func (r *reading) found(from, to int, strict bool, kind byte, s string) {
	r.things = append(r.things, thing{from, to, printOf(kind, s), strict})
}

// The kinds of things.
const (
	aDate   = 'd'
	aDay    = 'y' // of any year
	aTime   = 't'
	anEmail = '@'
	aURL    = 'u'
	aHost   = 'h'
	anIBAN  = 'i'
	someID  = 'p'
)

func (r *reading) at(i int) string {
	if i < 0 || i >= len(r.words) {
		return ""
	}
	return r.text[r.words[i].start:r.words[i].end]
}

// gap is what stands between word i and the next.
func (r *reading) gap(i int) string {
	if i < 0 || i+1 >= len(r.words) {
		return "\n"
	}
	return r.text[r.words[i].end:r.words[i+1].start]
}

// small reads a number of one or two digits, with or without the ending of an ordinal; -1 for anything else.
func (r *reading) small(i int) int {
	s := r.at(i)
	if n := len(s); n > 2 {
		switch s[n-2:] {
		case "st", "nd", "rd", "th":
			s = s[:n-2]
		}
	}
	if s == "" || len(s) > 2 || !allDigits(s) {
		return -1
	}
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func (r *reading) year(i int) int {
	s := r.at(i)
	if len(s) != 4 || !allDigits(s) {
		return -1
	}
	var y int
	fmt.Sscanf(s, "%d", &y)
	return y
}

var months = func() map[string]int {
	out := map[string]int{}
	for i, m := range strings.Fields("january february march april may june july august september october november december") {
		out[m], out[m[:3]] = i+1, i+1
	}
	out["sept"] = 9
	return out
}()

// date reads the dates that begin with word i.
func (r *reading) date(i int) {
	if r.words[i].letters {
		if m := months[r.at(i)]; m > 0 {
			if d := r.small(i + 1); spaces(r.gap(i)) {
				r.day(i, i+2, m, d)
			}
		}
		return
	}
	if !r.words[i].digits {
		if d := r.small(i); d > 0 {
			r.dayMonth(i, d)
		}
		return
	}
	sep := r.gap(i)
	if y := r.year(i); y > 0 && (sep == "-" || sep == "/" || sep == ".") && r.gap(i+1) == sep {
		r.ymd(i, i+3, y, r.small(i+1), r.small(i+2))
		return
	}
	d := r.small(i)
	if d < 0 {
		return
	}
	if (sep == "-" || sep == "/" || sep == ".") && r.gap(i+1) == sep {
		y := r.year(i + 2)
		if n := r.small(i + 2); y < 0 && n >= 0 && len(r.at(i+2)) == 2 {
			y = 2000 + n
		}
		r.ymd(i, i+3, y, r.small(i+1), d)
		if sep != "." {
			r.ymd(i, i+3, y, d, r.small(i+1))
		}
		return
	}
	r.dayMonth(i, d)
}

// dayMonth reads 20 May and 20th of May.
func (r *reading) dayMonth(i, d int) {
	j := i + 1
	if r.at(j) == "of" {
		j++
	}
	if m := months[r.at(j)]; m > 0 && spaces(r.gap(i)) && spaces(r.gap(j-1)) {
		r.day(i, j+1, m, d)
	}
}

// day adds a day of a month, with the year that may follow.
func (r *reading) day(from, to, m, d int) {
	if y := r.year(to); y > 0 && spaces(r.gap(to-1)) {
		r.ymd(from, to+1, y, m, d)
		return
	}
	if d >= 1 && d <= 31 {
		r.found(from, to, false, aDay, dayText(m, d))
	}
}

func (r *reading) ymd(from, to, y, m, d int) {
	if y > 0 && m >= 1 && m <= 12 && d >= 1 && d <= 31 {
		r.found(from, to, false, aDate, dateText(y, m, d))
		// Last, because a day alone says less: it counts where the date is not found.
		r.found(from, to, false, aDay, dayText(m, d))
	}
}

func dateText(y, m, d int) string { return fmt.Sprintf("%04d-%02d-%02d", y, m, d) }
func dayText(m, d int) string     { return fmt.Sprintf("%02d-%02d", m, d) }

// spaces reports whether a gap joins the words of one date: spaces, a comma, a point or a dash.
func spaces(gap string) bool { return len(gap) > 0 && len(gap) < 4 && strings.Trim(gap, " ,.-") == "" }

// clock reads the time of day that begins with word i.
func (r *reading) clock(i int) {
	if !r.words[i].digits && !strings.HasSuffix(r.at(i), "m") {
		return
	}
	s, end := r.at(i), i+1
	pm := ""
	if n := len(s); n > 2 && (s[n-2:] == "am" || s[n-2:] == "pm") {
		s, pm = s[:n-2], s[n-2:]
	}
	if len(s) > 2 || !allDigits(s) {
		return
	}
	h, m, hasMinutes := r.smallText(s), 0, false
	if pm == "" && r.gap(i) == ":" {
		rest := r.at(i + 1)
		if n := len(rest); n == 4 && (rest[2:] == "am" || rest[2:] == "pm") {
			rest, pm = rest[:2], rest[2:]
		}
		if rest = strings.TrimSuffix(rest, "z"); len(rest) != 2 || !allDigits(rest) {
			return
		}
		m, end, hasMinutes = r.smallText(rest), i+2, true
	}
	if next := r.at(end); pm == "" && (next == "am" || next == "pm") && r.gap(end-1) == " " {
		pm = next
		end++
	}
	if pm == "" && !hasMinutes || h > 23 || m > 59 {
		return
	}
	if pm == "pm" && h < 12 {
		h += 12
	} else if pm == "am" && h == 12 {
		h = 0
	}
	if s := r.at(end); pm == "" && r.gap(end-1) == ":" && len(s) >= 2 && allDigits(s[:2]) {
		end++ // seconds
	}
	r.found(i, end, false, aTime, fmt.Sprintf("%02d:%02d", h, m))
}

func (r *reading) smallText(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// The lengths of an IBAN.
const minIBAN, maxIBAN = 15, 34

func (r *reading) iban(i int) {
	s := r.at(i)
	if len(s) < 4 || len(s) > maxIBAN || isDigit(s[0]) || isDigit(s[1]) || !isDigit(s[2]) || !isDigit(s[3]) || s[0] >= 0x80 || s[1] >= 0x80 {
		return
	}
	joined, end := s, i+1
	for len(s) == 4 && end < len(r.words) && len(joined) < maxIBAN {
		next := r.at(end)
		if g := r.gap(end - 1); g != " " && g != "-" || len(next) > 4 || !r.words[end].digits && r.words[end].letters && len(next) != 4 {
			break
		}
		joined += next
		end++
		if len(next) < 4 {
			break
		}
	}
	if len(joined) >= minIBAN && len(joined) <= maxIBAN {
		r.found(i, end, true, anIBAN, joined)
	}
}

// minDigits is how many digits make an account, card or phone number.
const minDigits, maxDigits = 7, 19

// digits reads the groups of digits that begin with word i.
func (r *reading) digits(i int) {
	if !r.words[i].digits || i > 0 && r.words[i-1].digits && groupGap(r.gap(i-1)) {
		return
	}
	joined, end := r.at(i), i+1
	for end < len(r.words) && r.words[end].digits && groupGap(r.gap(end-1)) && len(joined) < maxDigits {
		joined += r.at(end)
		end++
	}
	joined = strings.TrimPrefix(joined, "00")
	if n := len(joined); n >= minDigits && n <= maxDigits {
		r.found(i, end, false, someID, joined)
	}
}

func groupGap(gap string) bool {
	return len(gap) > 0 && len(gap) < 4 && strings.Trim(gap, " -./()") == ""
}

// spanning returns the words that a range of the text covers, from the first up to but not including the last.
func (r *reading) spanning(start, end int) (from, to int) {
	from, _ = slices.BinarySearchFunc(r.words, start, func(w word, at int) int { return w.start - at })
	for to = from; to < len(r.words) && r.words[to].end <= end; to++ {
	}
	return from, to
}

func (r *reading) addresses() {
	for i := 0; ; {
		at := strings.IndexByte(r.text[i:], '@')
		if at < 0 {
			return
		}
		at += i
		start, end := at, at+1
		for start > i && mailByte(r.text[start-1]) {
			start--
		}
		for end < len(r.text) && (mailByte(r.text[end]) && r.text[end] != '+' && r.text[end] != '%') {
			end++
		}
		end -= len(r.text[at+1:end]) - len(strings.TrimRight(r.text[at+1:end], ".-_"))
		if from, to := r.spanning(start, end); start < at && end > at+1 && to > from {
			r.found(from, to, true, anEmail, r.text[start:end])
		}
		i = at + 1
	}
}

func mailByte(c byte) bool {
	return c >= 'a' && c <= 'z' || isDigit(c) || strings.IndexByte("._%+-", c) >= 0 || c >= 0x80
}

func (r *reading) urls() {
	scheme, www := -1, -1 // where the next ones stand
	for i := 0; i < len(r.text); {
		scheme, www = nextOf(r.text, "://", i, scheme), nextOf(r.text, "www.", i, www)
		start := min(scheme, www)
		if start == len(r.text) {
			return
		}
		if start == scheme {
			for start > i && r.text[start-1] >= 'a' && r.text[start-1] <= 'z' {
				start--
			}
		}
		end := start
		for end < len(r.text) && end-start < maxAddress && r.text[end] > ' ' && strings.IndexByte("\"'<>`|{}", r.text[end]) < 0 {
			end++
		}
		s := strings.TrimRight(r.text[start:end], ".,;:!?)]*")
		r.url(start, s)
		i = max(end, start+4)
	}
}

// nextOf is where s stands next in a text from i on, or the length of the text; known is the last answer.
func nextOf(text, s string, i, known int) int {
	if known >= i {
		return known
	}
	if at := strings.Index(text[i:], s); at >= 0 {
		return i + at
	}
	return len(text)
}

func (r *reading) url(start int, s string) {
	bare := s
	if !strings.Contains(s, "://") {
		bare = "http://" + s
	}
	u, err := url.Parse(bare)
	if err != nil || u.Host == "" {
		return
	}
	from, to := r.spanning(start, start+len(s))
	if to == from {
		return
	}
	host := strings.TrimPrefix(u.Host, "www.")
	for _, port := range []string{":80", ":443"} {
		host = strings.TrimSuffix(host, port)
	}
	if u.User != nil {
		host = u.User.String() + "@" + host
	}
	whole := host + strings.TrimSuffix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		whole += "?" + u.RawQuery
	}
	r.found(from, to, true, aURL, whole)
	if i := strings.Index(s, u.Host); i >= 0 {
		if hf, ht := r.spanning(start+i, start+i+len(u.Host)); ht > hf {
			r.found(hf, ht, false, aHost, host)
		}
	}
}
