package session

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso/policy"
)

// A proposal names a call where its text holds every key argument: texts verbatim but for case and spaces, as whole tokens, so that 12 is not found inside 123 or 12-34;
// numbers in any usual spelling (1234, 1,234, $1,234.00, and the words two to twelve); dates as 2024-05-20 or with the month's name, and a time of day besides where there is one;
// a truth value by the words of its argument's name. A call without key arguments is named by the words of its tool's name.
// A text such as basic_economy may be written with spaces, and a leading # may be left out.
type proposal []needle

// needle is one value: any of its spellings will do.
type needle struct {
	texts  []string
	all    []string // every one of these words, where there are no texts
	number float64
	isNum  bool
	clock  []string // spellings of the time of day that is needed besides
}

func proposalOf(in *policy.Input, args map[string][]any) proposal {
	var p proposal
	names := make([]string, 0, len(args))
	for n := range args {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		for _, v := range args[n] {
			p = appendNeedles(p, n, v)
		}
	}
	if len(p) == 0 {
		p = proposal{{all: identifierWords(toolOf(in))}}
	}
	return p
}

// termsOf writes key arguments so that the needles of a call that says no more are found in it.
func termsOf(args map[string][]any) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(args)) {
		for _, v := range args[n] {
			appendTerm(&b, n, v)
		}
	}
	return b.String()
}

func appendTerm(b *strings.Builder, name string, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v)
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
	case bool:
		b.WriteString(strings.Join(identifierWords(name), " "))
	case time.Time:
		b.WriteString(v.Format(time.RFC3339) + " ; " + v.Format("2006-01-02 15:04"))
	case []any:
		for _, e := range v {
			appendTerm(b, name, e)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			appendTerm(b, k, v[k])
		}
	}
	b.WriteString(" ; ")
}

func appendNeedles(p proposal, name string, v any) proposal {
	switch v := v.(type) {
	case string:
		if n, ok := textNeedle(v); ok {
			return append(p, n)
		}
	case int64:
		return append(p, needle{number: float64(v), isNum: true})
	case float64:
		return append(p, needle{number: v, isNum: true})
	case bool:
		return append(p, needle{all: identifierWords(name)})
	case time.Time:
		return append(p, dateNeedle(v))
	case []any:
		for _, e := range v {
			p = appendNeedles(p, name, e)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			p = appendNeedles(p, k, v[k])
		}
	}
	return p
}

func textNeedle(s string) (needle, bool) {
	f := strings.TrimSpace(fold(s))
	if f == "" {
		return needle{}, false
	}
	n := needle{texts: []string{f}}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return dateNeedle(t), true
	}
	if bare := strings.TrimPrefix(f, "#"); bare != f && bare != "" {
		n.texts = append(n.texts, bare)
	}
	if strings.Contains(f, "_") {
		n.texts = append(n.texts, strings.ReplaceAll(f, "_", " "))
	}
	return n, true
}

func dateNeedle(t time.Time) needle {
	var n needle
	for _, layout := range []string{time.DateOnly, "January 2", "Jan 2", "2 January", "2 Jan", "2 of January", "January 2 2006", "1/2/2006", "01/02/2006"} {
		n.texts = append(n.texts, strings.ToLower(t.Format(layout)))
	}
	for _, suffix := range []string{"st", "nd", "rd", "th"} {
		n.texts = append(n.texts, strings.ToLower(t.Format("January 2"))+suffix, t.Format("2")+suffix+" of "+strings.ToLower(t.Format("January")))
	}
	if h, m, s := t.Clock(); h != 0 || m != 0 || s != 0 {
		layouts := []string{"15:04", "3:04 pm", "3:04pm"}
		if m == 0 {
			layouts = append(layouts, "3 pm", "3pm")
		}
		for _, l := range layouts {
			n.clock = append(n.clock, t.Format(l))
		}
		n.texts = append(n.texts, strings.ToLower(t.Format(time.RFC3339)))
	}
	return n
}

// identifierWords splits cancel_all or cancelAll into its words.
func identifierWords(s string) []string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return wordsOf(strings.ReplaceAll(strings.ToLower(b.String()), "_", " "))
}

// in reports whether the folded text names every value.
func (p proposal) in(text string) bool {
	for i := range p {
		if !p[i].in(text) {
			return false
		}
	}
	return len(p) > 0
}

func (n *needle) in(text string) bool {
	switch {
	case n.isNum:
		return hasNumber(text, n.number)
	case len(n.texts) > 0:
		return hasAny(text, n.texts) && (len(n.clock) == 0 || hasAny(text, n.clock) || hasToken(text, n.texts[len(n.texts)-1]))
	}
	for _, w := range n.all {
		if !hasToken(text, w) {
			return false
		}
	}
	return len(n.all) > 0
}

func hasAny(text string, spellings []string) bool {
	return slices.ContainsFunc(spellings, func(s string) bool { return hasToken(text, s) })
}

// hasToken reports whether s stands in the text as a whole token.
func hasToken(text, s string) bool {
	for from := 0; from <= len(text)-len(s); {
		i := strings.Index(text[from:], s)
		if i < 0 {
			return false
		}
		i += from
		if edge(text[:i], s, true) && edge(text[i+len(s):], s, false) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		from = i + size
	}
	return false
}

// joins are characters that make one token of what stands on both sides; comma and colon do so between digits only.
const joins = `-./\@+#&=~`

// edge reports whether a token ends where rest begins, looking away from the token.
func edge(rest, token string, left bool) bool {
	next, beyond, inside := around(rest, token, left)
	switch {
	case isWord(next):
		return false
	case strings.ContainsRune(joins, next):
		return !isWord(beyond)
	case next == ',' || next == ':':
		return !unicode.IsDigit(beyond) || !unicode.IsDigit(inside)
	}
	return true
}

// around returns the two characters next to a token, and the token's own outermost one; 0 beyond the text.
func around(rest, token string, left bool) (next, beyond, inside rune) {
	decode := utf8.DecodeRuneInString
	inner := utf8.DecodeLastRuneInString
	if left {
		decode, inner = inner, decode
	}
	inside, _ = inner(token)
	if rest == "" {
		return 0, 0, inside
	}
	next, size := decode(rest)
	if left {
		rest = rest[:len(rest)-size]
	} else {
		rest = rest[size:]
	}
	if rest != "" {
		beyond, _ = decode(rest)
	}
	return next, beyond, inside
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// numberWords spell small numbers. One is left out, because it is mostly a pronoun.
var numberWords = map[float64]string{0: "zero", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}

// hasNumber reports whether a number of the text equals v.
func hasNumber(text string, v float64) bool {
	if w, ok := numberWords[v]; ok && hasToken(text, w) {
		return true
	}
	for i := 0; i < len(text); {
		if !isDigit(text[i]) {
			i++
			continue
		}
		end := numberEnd(text, i)
		lit := text[i:end]
		sign := ""
		before := text[:i]
		if strings.HasSuffix(before, "-") && (len(before) == 1 || before[len(before)-2] == ' ') {
			sign, before = "-", before[:len(before)-1]
		}
		if edge(before, lit, true) && edge(text[end:], lit, false) {
			if f, err := strconv.ParseFloat(sign+strings.ReplaceAll(lit, ",", ""), 64); err == nil && f == v {
				return true
			}
		}
		i = end
	}
	return false
}

// numberEnd returns the end of the number that begins at i: digits, groups of three behind commas, and a fraction.
func numberEnd(s string, i int) int {
	digits := func(i int) int {
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		return i
	}
	i = digits(i)
	for i < len(s) && s[i] == ',' && digits(i+1) == i+4 {
		i += 4
	}
	if i+1 < len(s) && s[i] == '.' && isDigit(s[i+1]) {
		i = digits(i + 1)
	}
	return i
}

// fold makes texts comparable: lower case, runs of spaces as one, typographic dashes and quotes as plain ones, nothing invisible.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		case unicode.Is(unicode.Cf, r):
			continue
		case r >= '\u2010' && r <= '\u2015' || r == '\u2212':
			r = '-'
		case r == '\u2018' || r == '\u2019' || r == '\u02bc':
			r = '\''
		case r == '\u201c' || r == '\u201d':
			r = '"'
		}
		space = false
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
