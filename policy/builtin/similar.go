package builtin

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
)

// TextLeaks tells whether a text gives a protected value away.
var TextLeaks = &Func{
	Name: "text.leaks",
	Doc: `Tells whether a text has a protected value, or a piece of it of at least so many letters and digits in a row. Both are folded by text.fold, and only letters and digits count, so that neither case nor blanks nor punctuation hide it. A value shorter than that must occur whole, as words of its own; one without letters and digits cannot be found.
The second argument is a text or a list of texts, the third between 4 and 1000. It does not find a paraphrase, a translation, or an encoding.
text.leaks('As they say: "merger with ACME, in March"!', 'The merger with Acme in March is secret.', 12) // true
text.leaks('We talk about a merger.', 'The merger with Acme in March is secret.', 12) // false
text.leaks('Your code is 4471.', ['4471', '9982'], 8) // true
text.leaks('Order 144719.', ['4471', '9982'], 8) // false
text.leaks('anything', 'abc', 2) // error: between 4 and 1000`,
	Overloads: []Overload{
		{ID: "proviso_text_leaks", In: []*cel.Type{cel.StringType, cel.StringType, cel.IntType}, Out: cel.BoolType, Cost: 500, Eval: eval3(func(s, value string, least int64) (bool, error) {
			return leaks(s, []string{value}, least)
		})},
		{ID: "proviso_text_leaks_of", In: []*cel.Type{cel.StringType, texts, cel.IntType}, Out: cel.BoolType, Cost: 500, Eval: eval3(leaks)},
	},
}

// TextSimilarity measures how much of one text is in another.
var TextSimilarity = &Func{
	Name: "text.similarity",
	Doc: `How much of the shorter of two texts is in the other, from 0.0 to 1.0: the share of its runs of four letters and digits, both texts folded as for text.leaks. Order counts only within the runs. A text of fewer than four letters and digits is in the other or not.
text.similarity('Cancel my order', 'Please cancel my order today.') // 1.0
text.similarity('Cancel my order', 'What is the weather?') // 0.0
text.similarity('a refund of 50 dollars', 'refunds of fifty dollars') > 0.4 // true`,
	Overloads: []Overload{{ID: "proviso_text_similarity", In: twoTexts, Out: cel.DoubleType, Eval: eval2(similarity), Cost: 500}},
}

// The limits of what counts as a piece of a protected value.
const (
	shortestLeak = 4
	longestLeak  = 1000
	gram         = 4 // characters of a run that text.similarity compares
)

// essence keeps the letters and digits of a folded text.
func essence(s string) (string, error) {
	s, err := fold(s)
	if err != nil {
		return "", err
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s), nil
}

func leaks(s string, values []string, least int64) (bool, error) {
	if least < shortestLeak || least > longestLeak {
		return false, fmt.Errorf("%d letters and digits are no measure of a leak; give a number between %d and %d", least, shortestLeak, longestLeak)
	}
	folded, err := essence(s)
	if err != nil {
		return false, err
	}
	spoken, err := inWords(s)
	if err != nil {
		return false, err
	}
	pieces := pieces{size: int(least), at: map[uint64][]piece{}}
	for _, v := range values {
		e, err := essence(v)
		if err != nil {
			return false, err
		}
		switch value := []rune(e); {
		case int64(len(value)) >= least:
			pieces.add(value)
		case len(value) > 0:
			whole, err := inWords(v)
			if err != nil || strings.Contains(spoken, whole) {
				return err == nil, err
			}
		}
	}
	return pieces.in([]rune(folded)), nil
}

// pieces are the runs of some length of several texts, by their hash, so that a text is searched for all of them at once.
type pieces struct {
	size int
	at   map[uint64][]piece
}

type piece []rune

func (p *pieces) add(value []rune) {
	windows(value, p.size, func(h uint64, run piece) bool {
		if !p.has(h, run) {
			p.at[h] = append(p.at[h], run)
		}
		return true
	})
}

func (p *pieces) has(h uint64, run piece) bool {
	return slices.ContainsFunc(p.at[h], func(x piece) bool { return slices.Equal(x, run) })
}

func (p *pieces) in(text []rune) bool {
	found := false
	windows(text, p.size, func(h uint64, run piece) bool {
		found = p.has(h, run)
		return !found
	})
	return found
}

// rolling is the factor of a hash over a window that moves by one character at a time; what has an equal hash is compared in full.
const rolling = 0x9e3779b97f4a7c15

// windows calls yield with the hash of every run of n characters until it returns false.
func windows(s []rune, n int, yield func(h uint64, run piece) bool) {
	var h, out uint64 = 0, 1
	for range n - 1 {
		out *= rolling
	}
	for i, r := range s {
		if i >= n {
			h -= uint64(s[i-n]+1) * out
		}
		h = h*rolling + uint64(r+1)
		if i >= n-1 && !yield(h, s[i-n+1:i+1]) {
			return
		}
	}
}

func similarity(a, b string) (float64, error) {
	pa, err := essence(a)
	if err != nil {
		return 0, err
	}
	pb, err := essence(b)
	if err != nil {
		return 0, err
	}
	short, long := []rune(pa), []rune(pb)
	if len(short) > len(long) {
		short, long = long, short
	}
	switch {
	case len(short) == 0:
		return 0, nil
	case len(short) < gram:
		if strings.Contains(string(long), string(short)) {
			return 1, nil
		}
		return 0, nil
	}
	have := grams(long)
	mine := grams(short)
	shared := 0
	for g := range mine {
		if have[g] {
			shared++
		}
	}
	return float64(shared) / float64(len(mine)), nil
}

func grams(s []rune) map[[gram]rune]bool {
	out := map[[gram]rune]bool{}
	for i := 0; i+gram <= len(s); i++ {
		out[[gram]rune(s[i:i+gram])] = true
	}
	return out
}
