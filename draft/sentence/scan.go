package sentence

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	word kind = iota
	number
	quoted
	mark // punctuation
	aside
)

// token is one word, number, quoted name, aside in brackets, or mark of a sentence. start and end are bytes of the text that was scanned.
type token struct {
	text, low  string
	kind       kind
	start, end int
}

func (t token) is(s string) bool { return t.low == s }

// closers end what a quote or bracket opens.
var closers = map[rune]rune{'"': '"', '“': '”', '‘': '’', '`': '`', '(': ')', '[': ']'}

// scan cuts a text into tokens. What stands in brackets is one token, an aside; so is what stands in quotes. An opening mark without its end is punctuation.
func scan(s string) []token {
	var out []token
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(r) || r == '*' || r == '_' && (i == 0 || s[i-1] == ' ') {
			i += n
			continue
		}
		end, k := i+n, mark
		if c, ok := closers[r]; ok {
			if j := strings.IndexRune(s[i+n:], c); j >= 0 {
				end, k = i+n+j+utf8.RuneLen(c), quoted
				if c == ')' || c == ']' {
					k = aside
				}
			}
		} else if letter(r) {
			end, k = wordEnd(s, i), word
			if unicode.IsDigit(r) && numeric(s[i:end]) {
				k = number
			}
		}
		t := token{text: s[i:end], kind: k, start: i, end: end}
		t.low = strings.ReplaceAll(strings.ToLower(t.text), "’", "'")
		out = append(out, t)
		i = end
	}
	return out
}

func letter(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '€' || r == '$' || r == '£'
}

// wordEnd is where the word that begins at i ends. Hyphens, apostrophes, dots and commas belong to it between letters or digits.
func wordEnd(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !letter(r) && r != '_' {
			next, _ := utf8.DecodeRuneInString(s[i+n:])
			prev := rune(s[max(i-1, 0)])
			switch {
			case (r == '-' || r == '\'' || r == '’') && (unicode.IsLetter(next) || unicode.IsDigit(next)):
			case r == '%':
			case (r == '.' || r == ',' || r == ':' || r == '/') && unicode.IsDigit(next) && unicode.IsDigit(prev):
			case (r == '\'' || r == '’') && prev == 's':
			default:
				return i
			}
		}
		i += n
	}
	return i
}

func numeric(s string) bool {
	for _, r := range s {
		if unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// join writes tokens as a phrase.
func join(ts []token) string {
	var b strings.Builder
	for i, t := range ts {
		if i > 0 && !(t.kind == mark && strings.ContainsAny(t.text, ",.;:!?")) {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}
