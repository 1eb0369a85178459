package builtin

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"golang.org/x/text/unicode/norm"

	"github.com/proviso-dev/proviso"
)

// TextLanguage guesses the language of a text.
var TextLanguage = &Func{
	Name: "text.language",
	Doc: `The language of a text as a code of two letters, guessed from its commonest little words and its alphabet: da, de, en, es, fi, fr, it, nl, pl, pt, sv, tr; ar, el, he, hi, ja, ko, ru, th, zh by alphabet alone, so that ru stands for every language in Cyrillic letters.
Empty where the text is too short to tell, or two languages fit as well; a sentence of eight words is usually enough.
text.language('Please tell me what the status of my order is.') // 'en'
text.language('Bitte sagen Sie mir, wie es um die Bestellung steht und wann sie kommt.') // 'de'
text.language('Какой статус у моего заказа?') // 'ru'
text.language('OK 42') // ''`,
	Overloads: []Overload{{ID: "proviso_text_language", In: text, Out: cel.StringType, Eval: eval1(guessLanguage), Cost: 500}},
}

// TextLength counts what a text is made of.
var TextLength = &Func{
	Name: "text.length",
	Doc: `How long a text is, in one of the units characters (as a reader counts them: marks on a letter and invisible characters do not count), words (as text.words gives them), sentences (as text.sentences gives them) and lines. Another unit is an error.
text.length('Crème brûlée, please.', 'characters') // 21
text.length('Crème brûlée, please.', 'words') // 3
text.length('Yes. It is e.g. here!', 'sentences') // 2
text.length('x', 'pages') // error: no unit "pages"`,
	Overloads: []Overload{{ID: "proviso_text_length", In: twoTexts, Out: cel.IntType, Eval: eval2(length), Cost: 200}},
}

// TextSentences splits a text into sentences.
var TextSentences = &Func{
	Name: "text.sentences",
	Doc: `The sentences of a text in their order, without blanks at their ends: each ends with . ! ? or … before a blank, or with the end of a line that an empty line, a list or a heading follows. A full stop behind one letter, a number, or a common abbreviation ends nothing.
text.sentences('Done. Is it, Dr. Li? Yes!') // ['Done.', 'Is it, Dr. Li?', 'Yes!']
text.sentences('') // []`,
	Overloads: []Overload{{ID: "proviso_text_sentences", In: text, Out: texts, Eval: eval1(sentences), Cost: 200}},
}

// units are what text.length counts in.
var units = map[string]func(string) (int, error){
	"characters": characters,
	"words":      func(s string) (int, error) { w, err := words(s); return len(w), err },
	"sentences":  func(s string) (int, error) { w, err := sentences(s); return len(w), err },
	"lines": func(s string) (int, error) {
		if s = strings.TrimRight(s, "\r\n"); s == "" {
			return 0, nil
		}
		return strings.Count(s, "\n") + 1, nil
	},
}

func length(s, unit string) (int, error) {
	count := units[unit]
	if count == nil {
		names := []string{"characters", "lines", "sentences", "words"}
		hint := proviso.DidYouMean(unit, names)
		if hint == "" {
			hint = "there are " + strings.Join(names, ", ")
		}
		return 0, fmt.Errorf("no unit %s (%s)", quote(unit), hint)
	}
	return count(s)
}

func characters(s string) (int, error) {
	n := 0
	for _, r := range norm.NFC.String(s) {
		if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			n++
		}
	}
	return n, nil
}

// abbreviations have a full stop of their own.
var abbreviations = map[string]bool{"dr": true, "mr": true, "mrs": true, "ms": true, "prof": true, "st": true, "no": true, "nr": true, "vs": true, "etc": true, "e.g": true, "a.m": true, "p.m": true, "i.e": true, "inc": true, "ltd": true,
	"co": true, "approx": true, "jr": true, "sr": true, "dept": true, "fig": true, "jan": true, "feb": true, "mar": true, "apr": true, "jun": true, "jul": true, "aug": true, "sep": true, "oct": true, "nov": true, "dec": true,
	"z.b": true, "d.h": true, "bzw": true, "ca": true, "usw": true, "sra": true, "bspw": true}

func sentences(s string) ([]string, error) {
	out := []string{}
	start := 0
	add := func(end int) {
		if t := strings.TrimSpace(s[start:end]); strings.IndexFunc(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) >= 0 {
			out = append(out, t)
		}
		start = end
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\n' && breaks(s[i+1:]):
			add(i)
		case strings.IndexByte(".!?", s[i]) >= 0 || strings.HasPrefix(s[i:], "…") || strings.HasPrefix(s[i:], "。"):
			end := i + 1
			for end < len(s) && (strings.IndexByte(".!?\"')]", s[end]) >= 0 || s[end] >= 0x80) {
				end++
			}
			ideographic := strings.HasPrefix(s[i:], "。")
			if ideographic {
				end = i + len("。")
			}
			if end < len(s) && !ideographic && strings.IndexByte(" \t\r\n", s[end]) < 0 || s[i] == '.' && end == i+1 && abbreviated(s[start:i]) && end < len(s) {
				continue
			}
			add(end)
			i = end - 1
		}
	}
	add(len(s))
	return out, nil
}

// breaks tells whether what follows an end of line begins something new.
func breaks(rest string) bool {
	rest = strings.TrimLeft(rest, " \t\r")
	return rest == "" || strings.IndexByte("\n-*#•|", rest[0]) >= 0
}

// abbreviated tells whether the text before a full stop ends with an abbreviation, an initial, or the number of a list.
func abbreviated(before string) bool {
	word := strings.ToLower(before[strings.LastIndexAny(before, " \t\n(\"'")+1:])
	if len(word) == 1 && 'a' <= word[0] && word[0] <= 'z' && word != "i" {
		return true
	}
	number := word != "" && strings.Trim(word, "0123456789") == "" && strings.TrimSpace(before) == word
	return number || abbreviations[word]
}

// littleWords are the commonest words of a language that have little meaning; a word that several languages share counts for each.
var littleWords = map[string]string{
	"da": "og er ikke det jeg på til af en for med som har de du vi kan vil den et min dig mig hvad hvor hvordan der fra skal",
	"de": "und der die das ist nicht ich sie es ein eine mit auf für den von zu wie was kann bitte mein meine mir im dem auch wir wann werden haben sind zum an",
	"en": "the and is are to of in that it you i my for with this be have on not what how can please your was do at as me would will from a an we",
	"es": "el la los las de que y en un una es por para con no mi se lo su como qué cuál puedo quiero está son del al pero más me favor",
	"fi": "ja on ei se että en minun mikä miten olen voi kun mutta hän tämä ovat myös oli niin kuin voinko haluan",
	"fr": "le la les des de et est un une que qui je vous ne pas pour dans mon ma sur avec ce il nous quel comment puis du au aux sont plus par mes votre",
	"it": "il lo la gli le di che e è un una per non con mi sono come del della questo cosa quando mio mia posso ho dei si al ma più vorrei",
	"nl": "de het een en is van ik niet dat in op te met voor mijn je zijn wat hoe kan wil er naar u aan om ook dit als graag wordt",
	"pl": "i w nie na się jest to że z do jak co mój moje mam czy dla za od po są proszę jaki gdzie kiedy ale chcę mogę mojego",
	"pt": "o a os as de que e é em um uma para com não meu minha por se do da no na como qual eu você está mais são foi quero mas posso",
	"sv": "och är inte det jag på till av en för med som har de du vi kan vill den ett min dig mig vad hur var från ska att om",
	"tr": "ve bir bu için ne mi mı ben de da ile nasıl çok var benim o daha değil gibi kadar sipariş ama olarak istiyorum lütfen",
}

// alphabets tell a language by their letters alone.
var alphabets = []struct {
	language string
	table    *unicode.RangeTable
}{{"ja", unicode.Hiragana}, {"ja", unicode.Katakana}, {"ko", unicode.Hangul}, {"zh", unicode.Han}, {"ru", unicode.Cyrillic}, {"el", unicode.Greek}, {"ar", unicode.Arabic}, {"he", unicode.Hebrew}, {"hi", unicode.Devanagari}, {"th", unicode.Thai}}

func guessLanguage(s string) (string, error) {
	counts := make([]int, len(alphabets))
	letters, other := 0, 0
	for _, r := range s {
		if !unicode.IsLetter(r) {
			continue
		}
		letters++
		if r < 0x250 {
			continue
		}
		if i := slices.IndexFunc(alphabets, func(a struct {
			language string
			table    *unicode.RangeTable
		}) bool {
			return unicode.Is(a.table, r)
		}); i >= 0 {
			counts[i]++
			other++
		}
	}
	if other*2 > letters {
		best := 0
		for i := range counts {
			if counts[i] > counts[best] {
				best = i
			}
		}
		// Japanese is written in its syllables and in Chinese characters; some of the former tell.
		if alphabets[best].language == "zh" && counts[0]+counts[1] > 0 {
			return "ja", nil
		}
		return alphabets[best].language, nil
	}
	score := map[string]int{}
	for _, w := range strings.FieldsFunc(strings.ToLower(norm.NFC.String(s)), func(r rune) bool { return !unicode.IsLetter(r) }) {
		for language, little := range littleWords {
			if hasField(little, w) {
				score[language]++
			}
		}
	}
	best, first, second := "", 0, 0
	for language, n := range score {
		switch {
		case n > first:
			best, first, second = language, n, first
		case n > second:
			second = n
		}
	}
	const least = 2
	if first < least || first == second {
		return "", nil
	}
	return best, nil
}
