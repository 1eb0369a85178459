package flow

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso/tree"
)

// maxMatch is the longest match, in bytes, that a window is kept for; text under a pattern with longer ones is held.
const maxMatch = 4096

// pattern is a regular expression whose matches are of bounded length.
type pattern struct {
	source string
	holds  bool // where it matches the text waits; else its matches are replaced and the text flows on
	// any finds a match, and lasting one that stays whatever follows: in a text, and behind its first character where what comes before that is not at hand.
	any, lasting [2]*regexp.Regexp
}

// matches is the formula of a text that the pattern matches.
func (p *pattern) matches(m func(*pattern) tree.Set) tree.Set { return m(p) }

// add takes one more pattern that must not match; nil where its matches have no bound that a window can have.
func (t *Text) add(source string) *pattern {
	if i := slices.IndexFunc(t.patterns, func(p *pattern) bool { return p.source == source }); i >= 0 {
		return t.patterns[i]
	}
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil
	}
	n := longestMatch(re)
	if n < 0 || n > maxMatch {
		return nil
	}
	const character = `(?s:.)`
	match := `(?:` + source + `)`
	lasting := match
	if looksAhead(re) {
		lasting += character // what it looks at is there
	}
	p := &pattern{source: source}
	for i, before := range []string{"", character} {
		if p.any[i], err = regexp.Compile(before + match); err != nil {
			return nil
		}
		if p.lasting[i], err = regexp.Compile(before + lasting); err != nil {
			return nil
		}
	}
	t.longest = max(t.longest, n)
	t.patterns = append(t.patterns, p)
	return p
}

// looksAhead reports whether a pattern looks at what is behind its match.
func looksAhead(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(re.Sub, looksAhead)
}

// longestMatch is how many bytes of UTF-8 a match has at most; negative for no bound, or one beyond maxMatch. What an assertion looks at is no part of a match.
func longestMatch(re *syntax.Regexp) int {
	total := 0
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			total += widest(r, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		for _, r := range re.Rune {
			total = max(total, widest(r, false))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpStar, syntax.OpPlus:
		return -1
	case syntax.OpCapture, syntax.OpQuest:
		return longestMatch(re.Sub[0])
	case syntax.OpRepeat:
		n := longestMatch(re.Sub[0])
		if n < 0 || re.Max < 0 {
			return -1
		}
		total = n * re.Max
	case syntax.OpConcat, syntax.OpAlternate:
		for _, sub := range re.Sub {
			n := longestMatch(sub)
			switch {
			case n < 0:
				return -1
			case re.Op == syntax.OpConcat:
				total += n
			default:
				total = max(total, n)
			}
			if total > maxMatch {
				return -1
			}
		}
	}
	if total > maxMatch {
		return -1
	}
	return total
}

func widest(r rune, fold bool) int {
	n := utf8.RuneLen(r)
	if n < 0 {
		n = len(string(utf8.RuneError)) // no character of a text; counted as the one that stands for it
	}
	for o := unicode.SimpleFold(r); fold && o != r; o = unicode.SimpleFold(o) {
		n = max(n, utf8.RuneLen(o))
	}
	return n
}
