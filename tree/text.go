package tree

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The text form of a tree: all(a, any(b, not(`x > 1`)), chain(c, gate(d, e)), if(f, g, h)).
// An atom is a bare name (letters, digits, _ . -, not starting with a digit or -) or any text in back quotes, in which a back quote and a backslash are escaped by a backslash.
// all() is true and any() is false.

// maxTextDepth bounds the nesting that Parse accepts, so that hostile text cannot exhaust the stack.
const maxTextDepth = 200

// Print writes n in the text form; name gives the text of an atom. Parse reads it back to an equal tree.
func Print(n *Node, name func(int) string) string {
	var b strings.Builder
	printNode(&b, n, name)
	return b.String()
}

func printNode(b *strings.Builder, n *Node, name func(int) string) {
	if n == nil {
		b.WriteString("all()")
		return
	}
	if n.Op == Atom {
		printAtom(b, name(n.Atom))
		return
	}
	b.WriteString(n.Op.String())
	b.WriteByte('(')
	for i, k := range n.Kids {
		if i > 0 {
			b.WriteString(", ")
		}
		printNode(b, k, name)
	}
	b.WriteByte(')')
}

func printAtom(b *strings.Builder, s string) {
	if _, op := ParseOp(s); isBare(s) && !op {
		b.WriteString(s)
		return
	}
	b.WriteByte('`')
	for i := 0; i < len(s); i++ {
		if s[i] == '`' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('`')
}

func isBare(s string) bool {
	for i := 0; i < len(s); i++ {
		if !bareByte(s[i], i == 0) {
			return false
		}
	}
	return s != ""
}

func bareByte(c byte, first bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		return true
	case c >= '0' && c <= '9', c == '.', c == '-':
		return !first
	}
	return false
}

// SyntaxError is an error of Parse at a byte offset of the text.
type SyntaxError struct {
	Offset int
	Msg    string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Msg) }

// Parse reads the text form. Atoms are numbered in order of their first occurrence; names holds their texts by number.
// Equal texts are one atom. The error is a *SyntaxError.
func Parse(text string) (n *Node, names []string, err error) {
	p := &textParser{s: text, index: map[string]int{}}
	n, err = p.node(0)
	if err == nil {
		p.space()
		if p.i < len(text) {
			err = p.fail("unexpected text after the tree")
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return n, p.names, nil
}

type textParser struct {
	s     string
	i     int
	names []string
	index map[string]int
}

func (p *textParser) fail(format string, a ...any) error {
	return &SyntaxError{p.i, fmt.Sprintf(format, a...)}
}

func (p *textParser) space() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *textParser) node(depth int) (*Node, error) {
	if depth > maxTextDepth {
		return nil, p.fail("nested deeper than %d", maxTextDepth)
	}
	p.space()
	if p.i >= len(p.s) {
		return nil, p.fail("a node is missing; write an atom or a connective such as all(…)")
	}
	if p.s[p.i] == '`' {
		return p.quoted()
	}
	start := p.i
	for p.i < len(p.s) && bareByte(p.s[p.i], p.i == start) {
		p.i++
	}
	if p.i == start {
		return nil, p.fail("unexpected %q; quote atoms that are not plain names with back quotes", firstRune(p.s[p.i:]))
	}
	word := p.s[start:p.i]
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != '(' {
		return p.atom(word), nil
	}
	op, ok := ParseOp(word)
	if !ok {
		return nil, &SyntaxError{start, fmt.Sprintf("unknown connective %q; use all any not chain gate if", word)}
	}
	p.i++
	return p.kids(op, start, depth)
}

func (p *textParser) kids(op Op, start, depth int) (*Node, error) {
	n := &Node{Op: op}
	for {
		p.space()
		if p.i < len(p.s) && p.s[p.i] == ')' && len(n.Kids) == 0 {
			p.i++
			break
		}
		k, err := p.node(depth + 1)
		if err != nil {
			return nil, err
		}
		n.Kids = append(n.Kids, k)
		p.space()
		if p.i >= len(p.s) {
			return nil, p.fail("%s( is not closed", op)
		}
		c := p.s[p.i]
		if c != ',' && c != ')' {
			return nil, p.fail("unexpected %q; want , or )", firstRune(p.s[p.i:]))
		}
		p.i++
		if c == ')' {
			break
		}
	}
	want := map[Op]int{Not: 1, If: 3}[op]
	if want > 0 && len(n.Kids) != want {
		return nil, &SyntaxError{start, fmt.Sprintf("%s takes %d, got %d", op, want, len(n.Kids))}
	}
	return n, nil
}

func (p *textParser) quoted() (*Node, error) {
	start := p.i
	p.i++
	var b strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch c {
		case '`':
			return p.atom(b.String()), nil
		case '\\':
			if p.i >= len(p.s) {
				break
			}
			c = p.s[p.i]
			p.i++
		}
		b.WriteByte(c)
	}
	p.i = start
	return nil, p.fail("the back quote is not closed")
}

func (p *textParser) atom(text string) *Node {
	i, ok := p.index[text]
	if !ok {
		i = len(p.names)
		p.index[text] = i
		p.names = append(p.names, text)
	}
	return Leaf(i)
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}
