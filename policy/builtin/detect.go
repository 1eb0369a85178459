package builtin

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
)

// Match is a span of a text, in bytes, in which a detector found something of a kind.
type Match struct {
	Kind       string
	Start, End int
}

// Finder returns the matches in a text in the order of their position; no two of them overlap.
// It takes time in proportion to the length of the text, and is safe for concurrent use.
type Finder func(text string) []Match

// AllKinds stands for every kind of a family where kinds are named.
const AllKinds = "*"

// NewFinder returns a finder of the kinds of personal data and of secrets that are named; AllKinds stands for all of a family.
// It returns an error that says what to write instead for a kind that no family has.
func NewFinder(pii, secrets []string) (Finder, error) {
	var wanted []func(string) []Match
	for _, f := range []struct {
		family *detectors
		kinds  []string
	}{{piiDetectors, pii}, {secretDetectors, secrets}} {
		if len(f.kinds) == 0 {
			continue
		}
		pick, err := f.family.only(f.kinds)
		if err != nil {
			return nil, err
		}
		family := f.family
		wanted = append(wanted, func(text string) []Match {
			return slices.DeleteFunc(family.find(text), func(m Match) bool { return !pick(m.Kind) })
		})
	}
	return func(text string) []Match {
		var out []Match
		for _, find := range wanted {
			out = append(out, find(text)...)
		}
		return outermost(out)
	}, nil
}

// Pattern returns a finder of the matches of a regular expression that are not empty; their kind is "redacted".
func Pattern(re *regexp.Regexp) Finder {
	return func(text string) []Match {
		var out []Match
		for _, m := range re.FindAllStringIndex(text, -1) {
			if m[0] < m[1] {
				out = append(out, Match{"redacted", m[0], m[1]})
			}
		}
		return out
	}
}

// PIIKinds returns the kinds of personal data that are detected, sorted. The caller owns the list.
func PIIKinds() []string { return piiDetectors.kinds() }

// SecretKinds returns the kinds of secrets that are detected, sorted. The caller owns the list.
func SecretKinds() []string { return secretDetectors.kinds() }

// detector finds some kinds; several detectors may share one. A detector further up in its family's table wins where two overlap.
type detector struct {
	kinds []string
	cues  []string // words that announce a value, in small letters; empty for a detector that finds values by their form
	value valueAt  // of what a cue announces
	find  func(p *page, yield func(kind string, start, end int))
}

// valueAt returns the span of the value that begins with the i-th word, and false where that is none.
type valueAt func(p *page, i int) (start, end int, ok bool)

// announced is a detector of values of a form behind cues.
func announced(kind string, value valueAt, cues ...string) detector {
	return detector{kinds: []string{kind}, cues: cues, value: value}
}

// one is a detector of one kind.
func one(kind string, find func(p *page, yield func(start, end int))) detector {
	return detector{kinds: []string{kind}, find: func(p *page, yield func(string, int, int)) {
		find(p, func(start, end int) { yield(kind, start, end) })
	}}
}

// detectors is a family of them.
type detectors struct {
	name  string
	table []detector
	cues  func() map[string][]cue // by their first word, made when the first text is read
}

// cue is the further words of an announcement and the row of the table that it belongs to.
type cue struct {
	row  int
	rest []string
}

func family(name string, table []detector) *detectors {
	return &detectors{name, table, sync.OnceValue(func() map[string][]cue {
		out := map[string][]cue{}
		for row, d := range table {
			for _, words := range d.cues {
				f := strings.Fields(words)
				out[f[0]] = append(out[f[0]], cue{row, f[1:]})
			}
		}
		for _, cues := range out { // the longest announcement of a row first
			slices.SortFunc(cues, func(a, b cue) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(len(b.rest), len(a.rest))) })
		}
		return out
	})}
}

// find reports what the family finds, without overlaps, in the order of position.
func (d *detectors) find(text string) []Match {
	p := newPage(text)
	var out []Match
	var taken cover
	yield := func(kind string, start, end int) {
		if taken.claim(start, end) {
			out = append(out, Match{kind, p.origin(start), p.origin(end)})
		}
	}
	announcements := p.announcements(d.cues())
	for row, x := range d.table {
		if x.find != nil {
			x.find(p, yield)
		}
		for ; len(announcements) > 0 && announcements[0].row == row; announcements = announcements[1:] {
			if start, end, ok := x.value(p, announcements[0].word); ok {
				yield(x.kinds[0], start, end)
			}
		}
	}
	slices.SortFunc(out, func(a, b Match) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// cover is the bytes of a page that a match has claimed, one bit each.
type cover []uint64

// claim marks a span, and reports false where a byte of it was marked before.
func (c *cover) claim(start, end int) bool {
	for len(*c)*64 < end {
		*c = append(*c, 0)
	}
	for i := start; i < end; i++ {
		if (*c)[i/64]&(1<<(i%64)) != 0 {
			return false
		}
	}
	for i := start; i < end; i++ {
		(*c)[i/64] |= 1 << (i % 64)
	}
	return true
}

// outermost joins matches that overlap; the kind of the first stands.
func outermost(ms []Match) []Match {
	slices.SortStableFunc(ms, func(a, b Match) int { return cmp.Compare(a.Start, b.Start) })
	out := ms[:0]
	for _, m := range ms {
		if n := len(out); n > 0 && m.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, m.End)
			continue
		}
		out = append(out, m)
	}
	return out
}

func (d *detectors) kinds() []string {
	var out []string
	for _, x := range d.table {
		out = append(out, x.kinds...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var errNoKinds = errors.New("no kind is named")

// only returns the test for some kinds of the family.
func (d *detectors) only(kinds []string) (func(string) bool, error) {
	known := d.kinds()
	if len(kinds) == 0 {
		return nil, errNoKinds
	}
	for _, k := range kinds {
		if k != AllKinds && !slices.Contains(known, k) {
			return nil, fmt.Errorf("%s has no kind %s (%s)", d.name, quote(k), cmp.Or(proviso.DidYouMean(k, known), "there are "+strings.Join(known, ", ")))
		}
	}
	return func(k string) bool { return slices.Contains(kinds, k) || slices.Contains(kinds, AllKinds) }, nil
}

// found lists the kinds that occur, sorted.
func (d *detectors) found(text string) ([]string, error) {
	out := []string{}
	for _, m := range d.find(text) {
		out = append(out, m.Kind)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (d *detectors) any(text string) (bool, error) { return len(d.find(text)) > 0, nil }

func (d *detectors) has(text string, kinds []string) (bool, error) {
	pick, err := d.only(kinds)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(d.find(text), func(m Match) bool { return pick(m.Kind) }), nil
}

func (d *detectors) hasOne(text, kind string) (bool, error) { return d.has(text, []string{kind}) }

// page is a text as the detectors read it. What they find in it is given in offsets of s.
type page struct {
	s     string
	at    []int32 // original offset of each byte of s and of its end, nil where s is the original
	words []run
}

// run is a run of letters and digits. Bytes of other alphabets count as letters.
type run struct {
	start, end int
	digits     int
}

func (p *page) origin(i int) int {
	if p.at == nil {
		return i
	}
	return int(p.at[i])
}

// word returns the i-th word, empty beyond the ends.
func (p *page) word(i int) string {
	if i < 0 || i >= len(p.words) {
		return ""
	}
	return p.s[p.words[i].start:p.words[i].end]
}

// gap returns what stands between the i-th word and the one before.
func (p *page) gap(i int) string {
	start, end := 0, len(p.s)
	if i > 0 {
		start = p.words[i-1].end
	}
	if i < len(p.words) {
		end = p.words[i].start
	}
	return p.s[start:end]
}

// upTo returns at most n bytes from start, so that a value without an end costs no more than a long one.
func (p *page) upTo(start, n int) string { return p.s[start:min(len(p.s), start+n)] }

func (p *page) numeric(i int) bool {
	return i >= 0 && i < len(p.words) && p.words[i].digits == p.words[i].end-p.words[i].start
}

func newPage(text string) *page {
	p := &page{s: text}
	if strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 || r == '\\' }) >= 0 {
		p.s, p.at = plain(text)
	}
	for i := 0; i < len(p.s); i++ {
		if !class(p.s[i]).is(alnum) {
			continue
		}
		w := run{start: i}
		for ; i < len(p.s) && class(p.s[i]).is(alnum); i++ {
			if class(p.s[i]).is(digit) {
				w.digits++
			}
		}
		w.end = i
		p.words = append(p.words, w)
	}
	return p
}

// plain rewrites a text so that spellings which a reader takes for the same are the same to detectors: JSON escapes become what they stand for, invisible
// characters go, and full-width forms, foreign digits, blanks and dashes become ASCII. It also returns where each byte came from.
func plain(text string) (string, []int32) {
	var b strings.Builder
	b.Grow(len(text))
	at := make([]int32, 0, len(text)+1)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == '\\' {
			r, n = unescape(text[i:])
		}
		if r = simple(r); r >= 0 {
			before := b.Len()
			b.WriteRune(r)
			for range b.Len() - before {
				at = append(at, int32(i))
			}
		}
		i += n
	}
	return b.String(), append(at, int32(len(text)))
}

// escapes are the characters behind a backslash in JSON and what detectors read for both.
var escapes = map[byte]rune{'n': ' ', 't': ' ', 'r': ' ', '"': '"', '/': '/', '\\': '\\'}

func unescape(s string) (rune, int) {
	if len(s) < 2 {
		return '\\', 1
	}
	if r, ok := escapes[s[1]]; ok {
		return r, 2
	}
	const unit = len(`\u0000`)
	if s[1] != 'u' || len(s) < unit {
		return '\\', 1
	}
	var r rune
	for _, c := range []byte(s[2:unit]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if d < 0 {
			return '\\', 1
		}
		r = r<<4 | rune(d)
	}
	if r == '\n' || r == '\r' || r == '\t' {
		r = ' '
	}
	return r, unit
}

// foreignDigits are the zeros of scripts whose digits follow in order.
var foreignDigits = []rune{0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6}

// unspaced are scripts that put no blanks between words, so that a number may follow a letter at once.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai}

// simple returns the character that detectors read for r, negative where they read nothing.
func simple(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case 0xff01 <= r && r <= 0xff5e:
		return r - 0xff01 + '!'
	case unicode.Is(unicode.Cf, r):
		return -1
	case unicode.Is(unicode.Pd, r), r == 0x2212:
		return '-'
	}
	for _, zero := range foreignDigits {
		if zero <= r && r <= zero+9 {
			return r - zero + '0'
		}
	}
	if unicode.In(r, unspaced...) || !unicode.In(r, unicode.L, unicode.M, unicode.N) {
		return ' '
	}
	return r
}

// charClass is a set of classes of bytes.
type charClass uint8

const (
	digit charClass = 1 << iota
	upper
	lower
	foreign // a byte of a character that is not ASCII

	letter = upper | lower | foreign
	alnum  = letter | digit
)

func (c charClass) is(of charClass) bool { return c&of != 0 }

func class(c byte) charClass { return classes[c] }

var classes = func() (t [256]charClass) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = digit
		case 'a' <= c && c <= 'z':
			t[c] = lower
		case 'A' <= c && c <= 'Z':
			t[c] = upper
		case c >= 0x80:
			t[c] = foreign
		}
	}
	return t
}()

// all tells whether every byte of s is ASCII and of the classes.
func all(s string, of charClass) bool {
	for i := range len(s) {
		if !class(s[i]).is(of &^ foreign) {
			return false
		}
	}
	return true
}

// span returns how many bytes at the beginning of s are ASCII letters, digits, or one of the marks.
func span(s, marks string) int {
	for i := range len(s) {
		if c := s[i]; !class(c).is(alnum&^foreign) && strings.IndexByte(marks, c) < 0 {
			return i
		}
	}
	return len(s)
}

// maxGap is how many bytes may lie between a cue and what it announces, beside filler words.
const maxGap = 5

// fillerWords may stand between a cue and its value.
var fillerWords = map[string]bool{"no": true, "nr": true, "num": true, "number": true, "numbers": true, "id": true, "code": true, "is": true, "was": true, "are": true, "in": true,
	"my": true, "the": true, "his": true, "her": true, "it": true, "s": true, "card": true, "on": true, "at": true, "to": true, "of": true, "your": true, "a": true, "holder": true,
	"reads": true, "me": true, "us": true, "ist": true, "est": true, "es": true, "as": true, "for": true, "account": true, "field": true, "value": true, "current": true, "new": true}

// maxFillers bounds how many filler words are skipped.
const maxFillers = 4

// announcement is a word that a cue announces, fillers skipped, and the row that the cue belongs to.
type announcement struct{ row, word int }

// announcements finds what the cues of a family announce, in the order of rows and then of words.
func (p *page) announcements(cues map[string][]cue) []announcement {
	const longest = 24
	var out []announcement
	for i := range p.words {
		if p.words[i].end-p.words[i].start > longest {
			continue
		}
		row := -1
		for _, c := range cues[strings.ToLower(p.word(i))] {
			if c.row == row || !p.follow(i+1, c.rest) {
				continue
			}
			row = c.row
			if k := p.valueBehind(i + 1 + len(c.rest)); k > 0 {
				out = append(out, announcement{row, k})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b announcement) int { return cmp.Compare(a.row, b.row) })
	return out
}

// valueBehind skips fillers from the k-th word and returns the index of the word that is announced, 0 where none is near enough.
func (p *page) valueBehind(k int) int {
	for n := 0; n < maxFillers && p.near(k) && fillerWords[strings.ToLower(p.word(k))]; n++ {
		k++
	}
	if p.near(k) {
		return k
	}
	return 0
}

// near tells whether the k-th word follows the one before closely and in the same sentence; a full stop may abbreviate a short word.
func (p *page) near(k int) bool {
	const short = 4
	if k >= len(p.words) {
		return false
	}
	gap := p.gap(k)
	if len(p.word(k-1)) <= short {
		gap = strings.TrimPrefix(gap, ".")
	}
	return len(gap) <= maxGap && !strings.ContainsAny(gap, ".!?;")
}

func (p *page) follow(i int, words []string) bool {
	for j, w := range words {
		if !strings.EqualFold(p.word(i+j), w) {
			return false
		}
	}
	return true
}
