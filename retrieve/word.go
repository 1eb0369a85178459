package retrieve

import (
	"strings"
	"unicode"
)

// words of English that say nothing about what a passage is about.
var stopWords = set(`a an and are as at be been but by for from had has have he her his i if in into is it its of on or she such than that the their them then there these they this
those to under was were which who whom will with would shall we you your our us me my so s t any all not no nor do does did done can could may might must should each other am ours
yours too very just also about`)

// words with which a question is put. They are searched for with half the weight, since a clause that happens to use them is no likelier to answer.
var askingWords = set(`what how when where why which explain provide specify describe clarify clarification elaborate detail details detailed further information regarding context guidance
example examples specific considered consider outline please tell happens happen many much long often soon one there ever get say need want allowed permitted possible`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// tokens cuts text into words of letters and digits in lower case.
func tokens(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// term is a word to look for: its stem, and whether it only puts the question.
type term struct {
	stem   string
	asking bool
}

// terms are the words of a text that say something, stemmed, in their order.
func terms(text string) []term {
	var out []term
	for _, w := range tokens(text) {
		if !stopWords[w] {
			out = append(out, term{Stem(w), askingWords[w]})
		}
	}
	return out
}
