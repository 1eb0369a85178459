package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// trie finds added tokens in a text: the leftmost, and of those the longest. A nil trie finds none.
type trie struct {
	next map[byte]*trie
	here *Added
}

func (t *trie) insert(a *Added) {
	n := t
	for i := 0; i < len(a.Content); i++ {
		c := a.Content[i]
		if n.next == nil {
			n.next = map[byte]*trie{}
		}
		if n.next[c] == nil {
			n.next[c] = &trie{}
		}
		n = n.next[c]
	}
	n.here = a
}

// longest returns the longest token at the head of s.
func (t *trie) longest(s string) *Added {
	var found *Added
	n := t
	for i := 0; i < len(s); i++ {
		if n = n.next[s[i]]; n == nil {
			break
		}
		if n.here != nil {
			found = n.here
		}
	}
	return found
}

// split calls f for every added token of the text, and for the pieces between them that are not empty, in order; at is where a piece begins in the text.
func (t *trie) split(text string, literal []Span, f func(piece string, at int, a *Added)) {
	if text == "" {
		return
	}
	if t == nil || len(t.next) == 0 {
		f(text, 0, nil)
		return
	}
	begin := 0
	for i := 0; i < len(text); {
		if t.next[text[i]] == nil {
			i++
			continue
		}
		a := t.longest(text[i:])
		if a == nil {
			i++
			continue
		}
		end := i + len(a.Content)
		if overlaps(literal, Span{i, end}) || a.SingleWord && inWord(text, i, end) {
			i++
			continue
		}
		start := i
		if a.LStrip {
			start = begin + len(strings.TrimRightFunc(text[begin:i], unicode.IsSpace))
		}
		if a.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if start > begin {
			f(text[begin:start], begin, nil)
		}
		f(a.Content, start, a)
		begin, i = end, end
	}
	if begin < len(text) {
		f(text[begin:], begin, nil)
	}
}

func overlaps(spans []Span, s Span) bool {
	for _, o := range spans {
		if o.Start < s.End && s.Start < o.End {
			return true
		}
	}
	return false
}

// inWord reports whether a letter, digit or underscore touches the range.
func inWord(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	behind, _ := utf8.DecodeRuneInString(text[end:])
	return start > 0 && wordRune(before) || end < len(text) && wordRune(behind)
}

func wordRune(r rune) bool {
	return r == '_' || unicode.Is(unicode.L, r) || unicode.Is(unicode.N, r) || unicode.Is(unicode.M, r)
}
