package retrieve

import "strings"

// Stem reduces an English word to its stem by the algorithm of M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, in the order of its steps 1 to 5.
// word is in lower case. Words of fewer than three letters, and words with anything but the letters a to z, come back as they are.
func Stem(word string) string {
	if len(word) < 3 {
		return word
	}
	for i := 0; i < len(word); i++ {
		if word[i] < 'a' || word[i] > 'z' {
			return word
		}
	}
	s := stemmer(word)
	s.plurals()
	s.pasts()
	s.finalY()
	s.suffixes(doubleSuffixes)
	s.suffixes(fullSuffixes)
	s.lastSuffixes()
	s.tidy()
	return string(s)
}

type stemmer []byte

// consonant reports whether the letter at i is one: y is one at the start and behind a vowel.
func (s stemmer) consonant(i int) bool {
	switch s[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !s.consonant(i-1)
	}
	return true
}

// measure counts the sequences of vowels followed by consonants in the first n letters: m of the paper.
func (s stemmer) measure(n int) int {
	m, vowel := 0, false
	for i := range n {
		if s.consonant(i) {
			if vowel {
				m++
			}
			vowel = false
		} else {
			vowel = true
		}
	}
	return m
}

func (s stemmer) hasVowel(n int) bool {
	for i := range n {
		if !s.consonant(i) {
			return true
		}
	}
	return false
}

func (s stemmer) ends(suffix string) bool { return strings.HasSuffix(string(s), suffix) }

// doubled reports whether the word ends in the same consonant twice: *d of the paper.
func (s stemmer) doubled() bool {
	n := len(s)
	return n >= 2 && s[n-1] == s[n-2] && s.consonant(n-1)
}

// short reports whether the first n letters end in consonant, vowel, consonant, the last not w, x or y: *o of the paper.
func (s stemmer) short(n int) bool {
	if n < 3 || !s.consonant(n-1) || s.consonant(n-2) || !s.consonant(n-3) {
		return false
	}
	return s[n-1] != 'w' && s[n-1] != 'x' && s[n-1] != 'y'
}

func (s *stemmer) cut(n int, end string) { *s = append((*s)[:len(*s)-n], end...) }

func (s *stemmer) plurals() {
	switch {
	case s.ends("sses"), s.ends("ies"):
		s.cut(2, "")
	case s.ends("ss"):
	case s.ends("s"):
		s.cut(1, "")
	}
}

func (s *stemmer) pasts() {
	n := len(*s)
	switch {
	case s.ends("eed"):
		if s.measure(n-3) > 0 {
			s.cut(1, "")
		}
		return
	case s.ends("ed") && s.hasVowel(n-2):
		s.cut(2, "")
	case s.ends("ing") && s.hasVowel(n-3):
		s.cut(3, "")
	default:
		return
	}
	switch n := len(*s); {
	case s.ends("at"), s.ends("bl"), s.ends("iz"):
		s.cut(0, "e")
	case s.doubled() && !s.ends("l") && !s.ends("s") && !s.ends("z"):
		s.cut(1, "")
	case s.measure(n) == 1 && s.short(n):
		s.cut(0, "e")
	}
}

func (s *stemmer) finalY() {
	if s.ends("y") && s.hasVowel(len(*s)-1) {
		s.cut(1, "i")
	}
}

// suffix is a line of the paper's tables: the longest suffix that fits is replaced where the stem before it has a measure above 0.
type suffix struct{ old, new string }

var (
	doubleSuffixes = []suffix{
		{"ational", "ate"}, {"ization", "ize"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"tional", "tion"}, {"biliti", "ble"}, {"entli", "ent"},
		{"ousli", "ous"}, {"ation", "ate"}, {"alism", "al"}, {"aliti", "al"}, {"iviti", "ive"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"abli", "able"},
		{"alli", "al"}, {"ator", "ate"}, {"eli", "e"},
	}
	fullSuffixes = []suffix{{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ness", ""}, {"ful", ""}}
	endings      = []string{"ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "ion", "al", "er", "ic", "ou"}
)

func (s *stemmer) suffixes(table []suffix) {
	for _, x := range table {
		if s.ends(x.old) {
			if s.measure(len(*s)-len(x.old)) > 0 {
				s.cut(len(x.old), x.new)
			}
			return
		}
	}
}

func (s *stemmer) lastSuffixes() {
	for _, e := range endings {
		if !s.ends(e) {
			continue
		}
		n := len(*s) - len(e)
		if e == "ion" && (n == 0 || (*s)[n-1] != 's' && (*s)[n-1] != 't') {
			return
		}
		if s.measure(n) > 1 {
			s.cut(len(e), "")
		}
		return
	}
}

func (s *stemmer) tidy() {
	if n := len(*s) - 1; s.ends("e") && (s.measure(n) > 1 || s.measure(n) == 1 && !s.short(n)) {
		s.cut(1, "")
	}
	if s.ends("ll") && s.measure(len(*s)) > 1 {
		s.cut(1, "")
	}
}
