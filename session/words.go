package session

import (
	"crypto/sha256"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// This file cuts texts into what origins are found by: words, numbers, and things that have several spellings.
//
// Texts are compared in Unicode's form NFKC, in lower case, without invisible characters. A word is a run of letters and digits; a symbol such as an emoji is a word of its own; punctuation and spaces only separate.
// A number is one word whatever its separators: 1,234.50 and 1234.5 are the same. A thing is a date, a time of day, an e-mail address, a URL or its host, an IBAN, or seven digits and more that are written in groups;
// it is found in every spelling that is listed in things.go.

// print is what is kept of a word or thing: its hash, so that a session holds no texts, and so that nobody can make up two words that are taken for one.
type print [16]byte

func printOf(kind byte, s string) print {
	var buf [64]byte
	b := append(append(buf[:0], kind), s...)
	sum := sha256.Sum256(b)
	return print(sum[:16])
}

// The kinds of prints. Different kinds are never equal.
const (
	aWord   = 'w'
	aNumber = '#'
	aTruth  = '!'
	aLeaf   = 'l'
)

// word is one word of a text.
type word struct {
	print      print
	start, end int // in the folded text
	chars      int
	letters    bool // has no digit
	digits     bool // has nothing else
}

// thing is a run of words, from the first up to but not including the last, read as one.
type thing struct {
	from, to int
	print    print
	strict   bool // a text that is this thing comes from nowhere where only its words do
}

// reading is a text cut up. It is scratch space, used again for the next text.
type reading struct {
	text   string
	words  []word
	things []thing // by their first word
	// of things[:i], the furthest word that a strict one reaches; of things[i:], the first word of the first strict one.
	reaches, nextStrict []int
	joined              bool // the text has no white space: an identifier, a path, an address
}

// read cuts a text up.
func (r *reading) read(s string) {
	r.text, r.words, r.things = canonical(unglued(s)), r.words[:0], r.things[:0]
	r.joined = strings.IndexFunc(strings.TrimSpace(r.text), unicode.IsSpace) < 0
	for i := 0; i < len(r.text); {
		c, size := rune(r.text[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(r.text[i:])
		}
		switch {
		case wordly(c):
			i = r.word(i)
		case c >= utf8.RuneSelf && (unicode.IsSymbol(c) || c == utf8.RuneError):
			r.add(i, i+size, aWord, r.text[i:i+size])
			i += size
		default:
			i += size
		}
	}
	r.findThings()
}

// unglued separates a sentence from the address that the one before ends with, where the blank was forgotten: "see example.com.Then go on".
func unglued(s string) string {
	var b strings.Builder
	done, dot := 0, -1
	for i := 0; i+2 < len(s); i++ {
		if s[i] != '.' {
			continue
		}
		if dot > 0 && s[i+1] >= 'A' && s[i+1] <= 'Z' && s[i+2] >= 'a' && s[i+2] <= 'z' && endsDomains[s[dot+1:i]] {
			b.WriteString(s[done : i+1])
			b.WriteByte(' ')
			done = i + 1
		}
		dot = i
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// endsDomains are common last labels of domains.
var endsDomains = map[string]bool{"com": true, "org": true, "net": true, "edu": true, "gov": true, "io": true, "info": true, "dev": true, "app": true, "ai": true}

// canonical makes spellings that look alike equal. It is cheap where nothing has to be changed.
func canonical(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	s = norm.NFKC.String(s)
	return strings.Map(func(c rune) rune {
		switch {
		case c < utf8.RuneSelf:
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			return c
		case unicode.Is(unicode.Cf, c):
			return -1
		case c >= '\u2010' && c <= '\u2015' || c == '\u2212':
			return '-'
		case c == '\u2018' || c == '\u2019' || c == '\u02bc':
			return '\''
		}
		return unicode.ToLower(c)
	}, s)
}

func wordly(c rune) bool {
	if c < utf8.RuneSelf {
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)
}

// word reads the word or number that begins at i and returns where it ends.
func (r *reading) word(i int) int {
	end, digits := i, true
	for end < len(r.text) {
		c, size := utf8.DecodeRuneInString(r.text[end:])
		switch {
		case wordly(c):
			digits = digits && c < utf8.RuneSelf && isDigit(byte(c))
			end += size
			continue
		case c == '\'' && end+1 < len(r.text) && !digits && wordly(rune(r.text[end+1])):
			end++
			continue
		}
		break
	}
	if digits {
		return r.number(i, end)
	}
	s := r.text[i:end]
	if len(s) == 5 && s[2] == 't' && allDigits(s[:2]) && allDigits(s[3:]) && i > 0 && r.text[i-1] == '-' {
		// The middle of 2024-05-20T15:30 is the end of a date and the beginning of a time.
		r.number(i, i+2)
		r.number(i+3, end)
		return end
	}
	r.add(i, end, aWord, strings.ReplaceAll(s, "'", ""))
	return end
}

// maxNumber is how many bytes a number with separators may have.
const maxNumber = 40

// number reads the number whose first digits stand in [i, end), with the separators that follow it, and returns where it ends.
func (r *reading) number(i, end int) int {
	stop := end
	for stop+1 < len(r.text) && stop-i < maxNumber && (r.text[stop] == '.' || r.text[stop] == ',') && isDigit(r.text[stop+1]) {
		stop++
		for stop < len(r.text) && isDigit(r.text[stop]) {
			stop++
		}
	}
	if stop < len(r.text) && stop > end {
		if c, _ := utf8.DecodeRuneInString(r.text[stop:]); wordly(c) {
			stop = end
		}
	}
	lit := r.text[i:stop]
	value, other, ok := decimal(lit)
	if !ok {
		stop = end
		lit = r.text[i:end]
		value, other = lit, ""
		if v, _, plain := decimal(lit); plain {
			value = v
		}
	}
	n := len(r.words)
	if len(lit) > 1 && lit[0] == '0' && allDigits(lit) {
		// 007 is no seven, but it may be meant as one.
		r.add(i, stop, aWord, lit)
		other = value
	} else {
		r.add(i, stop, aNumber, value)
	}
	if other != "" {
		r.things = append(r.things, thing{n, n + 1, printOf(aNumber, other), false})
	}
	r.words[n].digits = allDigits(lit)
	return stop
}

func (r *reading) add(start, end int, kind byte, s string) {
	chars, letters := 0, true
	for _, c := range s {
		chars++
		letters = letters && !unicode.IsDigit(c)
	}
	r.words = append(r.words, word{print: printOf(kind, s), start: start, end: end, chars: chars, letters: letters && kind == aWord})
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// decimal reads a number with separators: the value as digits, a point and digits without needless zeros, and the other value where the separator can be meant either way (1.234 and 1,234).
func decimal(lit string) (value, other string, ok bool) {
	dots, commas := strings.Count(lit, "."), strings.Count(lit, ",")
	switch {
	case dots == 0 && commas == 0:
		return trimZeros(lit), "", true
	case dots == 1 && commas == 0:
		if grouped(lit, ".") {
			other = trimZeros(strings.ReplaceAll(lit, ".", ""))
		}
		return trimZeros(lit), other, true
	case commas == 1 && dots == 0:
		if grouped(lit, ",") {
			return trimZeros(strings.ReplaceAll(lit, ",", "")), trimZeros(strings.ReplaceAll(lit, ",", ".")), true
		}
		return trimZeros(strings.ReplaceAll(lit, ",", ".")), "", true
	}
	group, point := ",", "."
	if strings.LastIndex(lit, ",") > strings.LastIndex(lit, ".") && dots > 0 || commas == 0 {
		group, point = ".", ","
	}
	whole, fraction, hasFraction := strings.Cut(lit, point)
	if !grouped(whole, group) || hasFraction && !allDigits(fraction) {
		return "", "", false
	}
	whole = strings.ReplaceAll(whole, group, "")
	if hasFraction {
		whole += "." + fraction
	}
	return trimZeros(whole), "", true
}

// grouped reports whether a separator parts digits into groups of three.
func grouped(lit, sep string) bool {
	parts := strings.Split(lit, sep)
	for i, p := range parts {
		if !allDigits(p) || i > 0 && len(p) != 3 || i == 0 && (len(p) > 3 || p == "0") {
			return false
		}
	}
	return true
}

func trimZeros(s string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		whole += "." + fraction
	}
	return whole
}
