package builtin

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// TextContainsAny tells whether a text has one of several passages.
var TextContainsAny = &Func{
	Name: "text.contains_any",
	Doc: `Tells whether a text has at least one of the passages, both folded by text.fold first. An empty passage, or one that folds to nothing, is an error.
text.contains_any('My PASSWORD is …', ['password', 'secret']) // true
text.contains_any('nothing here', ['password', 'secret']) // false
text.contains_any('anything', []) // false`,
	Overloads: []Overload{{ID: "proviso_text_contains_any", In: []*cel.Type{cel.StringType, texts}, Out: cel.BoolType, Eval: eval2(containsAny), Cost: 100}},
}

// TextDigits keeps the digits of a text.
var TextDigits = &Func{
	Name: "text.digits",
	Doc: `The digits 0 to 9 of a text in their order, full-width and similar forms as ASCII, everything else left out: to compare telephone and card numbers that are written differently.
text.digits('+1 (555) 010-4477') // '15550104477'
text.digits('none') // ''`,
	Overloads: []Overload{{ID: "proviso_text_digits", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		return strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return r
			}
			return -1
		}, norm.NFKC.String(s)), nil
	})}},
}

// TextFold reduces a text to what a reader sees.
var TextFold = &Func{
	Name: "text.fold",
	Doc: `A form of a text in which spellings that look alike are alike: Unicode compatibility forms, case and accents are folded, invisible characters removed, Greek and Cyrillic letters whose small form looks Latin made Latin, and white space runs made one blank, none at the ends.
It does not undo digits for letters (p4ssw0rd), words with separators inside (p-a-s-s), spelling mistakes, other languages, or look-alikes of other scripts. It is for comparing, not for showing: accents that distinguish words are lost.
text.fold('  Crème  BRÛLÉE ') // 'creme brulee'
text.fold('раssword') // 'password'
text.fold('ｐａｓｓ\u200bword') // 'password'`,
	Overloads: []Overload{{ID: "proviso_text_fold", In: text, Out: cel.StringType, Cost: 100, Eval: eval1(fold)}},
}

// TextHasWord tells whether a text has a word.
var TextHasWord = &Func{
	Name: "text.has_word",
	Doc: `Tells whether a text has a word, or several words in a row, compared as text.words gives them. A search without a word is an error.
text.has_word('Please CANCEL it.', 'cancel') // true
text.has_word('a cancellation', 'cancel') // false
text.has_word('my credit-card number', 'credit card') // true`,
	Overloads: []Overload{{ID: "proviso_text_has_word", In: twoTexts, Out: cel.BoolType, Eval: eval2(hasWord), Cost: 100}},
}

// TextLower lower-cases a text.
var TextLower = &Func{
	Name: "text.lower",
	Doc: `The text in lower case by Unicode's rules, the same in every language.
text.lower('ÀB-Σ') // 'àb-σ'
text.lower('abc') // 'abc'`,
	Overloads: []Overload{{ID: "proviso_text_lower", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) { return strings.ToLower(s), nil })}},
}

// TextWords splits a text into words.
var TextWords = &Func{
	Name: "text.words",
	Doc: `The words of a text in their order: runs of letters and digits, folded by text.fold.
text.words('Cancel R-1, please!') // ['cancel', 'r', '1', 'please']
text.words('…') // []`,
	Overloads: []Overload{{ID: "proviso_text_words", In: text, Out: texts, Eval: eval1(words), Cost: 100}},
}

// maxFolds bounds the rounds of folding until nothing changes; no character is known that needs three.
const maxFolds = 4

// fold is the same applied twice as applied once. A text of characters that unfold into whole sentences is an error.
func fold(s string) (string, error) {
	if isASCII(s) { // the common case, a hundred times as fast
		return strings.Join(strings.Fields(strings.ToLower(s)), " "), nil
	}
	most := shortText + maxGrowth*len(s)
	for range maxFolds {
		t := foldOnce(s)
		if t == s {
			break
		}
		s = t
	}
	if len(s) > most {
		return "", fmt.Errorf("the text becomes more than %d times as long when folded", maxGrowth)
	}
	return s, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func foldOnce(s string) string {
	s = norm.NFKD.String(s)
	s = strings.Map(visible, s)
	s = cases.Fold().String(s) // a new one each time, because it may keep state
	s = strings.Map(latin, s)
	s = norm.NFKC.String(s)
	return strings.Join(strings.Fields(s), " ")
}

// fillers are letters and symbols that are drawn as nothing, although Unicode does not class them as format characters.
const fillers = "\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5"

// visible drops accents, format characters and fillers.
func visible(r rune) rune {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) || r > 0x7f && strings.ContainsRune(fillers, r) {
		return -1
	}
	return r
}

func latin(r rune) rune {
	if r < 0x80 {
		return r
	}
	if l, ok := lookalikes[r]; ok {
		return l
	}
	return r
}

// lookalikes maps lower-case letters of other alphabets to the Latin letters that common fonts draw the same.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range []struct{ from, to string }{
		{"асԁеһіјӏорԛѕѵԝхуьгвмнтк", "acdehijlopqsvwxybrbmhtk"}, // Cyrillic
		{"αβεηικνορτυχγωϲϳ", "abenikvoptuxywcj"},               // Greek
		{"ıɡɑⅼո", "igaln"}, // dotless i, script g, alpha, Roman fifty, Armenian vo
	} {
		to := []rune(pair.to)
		for i, r := range []rune(pair.from) {
			m[r] = to[i]
		}
	}
	return m
}()

func words(s string) ([]string, error) {
	s, err := fold(s)
	return append([]string{}, strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })...), err
}

var errNothing = errors.New("what is searched for has no letter or digit that can be found")

func hasWord(s, search string) (bool, error) {
	have, err := inWords(s)
	if err != nil {
		return false, err
	}
	want, err := inWords(search)
	if err != nil {
		return false, err
	}
	if want == wordMark+wordMark {
		return false, errNothing
	}
	return strings.Contains(have, want), nil
}

// wordMark stands between words where they are joined; no word has it.
const wordMark = "\x00"

// inWords joins the words of a text with marks, so that a run of words of one text is a substring of another.
func inWords(s string) (string, error) {
	w, err := words(s)
	return wordMark + strings.Join(w, wordMark) + wordMark, err
}

func containsAny(s string, passages []string) (bool, error) {
	s, err := fold(s)
	if err != nil {
		return false, err
	}
	found := false
	for _, p := range passages {
		p, err := fold(p)
		if err != nil {
			return false, err
		}
		if p == "" {
			return false, errNothing
		}
		found = found || strings.Contains(s, p)
	}
	return found, nil
}
