package tree

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxEnglish bounds the text that English reads, in bytes.
const maxEnglish = 64 << 10

// headings are the phrases by which a heading says how the members of its list combine, in lower case. The first that a heading has decides.
// A heading that has a phrase of order beside it is a Chain instead of an All and a Gate instead of an Any.
var headings = []struct {
	phrase string
	op     Op
}{
	{"none of", Not},
	{"any one of", Any},
	{"any of", Any},
	{"at least one of", Any},
	{"one or more of", Any},
	{"either of", Any},
	{"one of", Any},
	{"all of", All},
	{"each of", All},
	{"both of", All},
	{"every one of", All},
}

var orders = []string{"in order", "in this order", "in the order", "in sequence", "one after the other"}

// otherwise are words that make a heading mean something else than its phrase does: "not all of", "exactly one of", "all of these, except".
var otherwise = map[string]bool{
	"not": true, "exactly": true, "most": true, "only": true, "except": true, "unless": true, "never": true, "cannot": true, "without": true, "if": true, "when": true,
}

// English reads structured English: one condition, or a heading with a list of conditions and of further headings.
//
//	ALL of these conditions must be met:
//	• The user is logged in.
//	• ANY ONE of these conditions must be met:
//	  • The order is new.
//	  • These steps must be completed in order:
//	    1. The order exists.
//	    2. The order is paid.
//
// A heading ends in a colon and says "all of", "any one of", "none of" or "in order", or a usual variant; "none of" is the negation of Any, what is in order is a Chain, and any one of what is in order a Gate.
// An item begins with a bullet (• - * – ◦ ‣ ·), a number (1. or 1)) or a letter (a)); a line without one continues the item before it.
// Every other item is an atom. Atoms are numbered in order of their first occurrence and leaves holds their texts by number; equal texts are one atom.
// An empty text, or the word None, is no condition: a nil Node, which is true.
//
// Lists need not be indented deeper than their heading. Where they are not, numbers are followed by the next number of their list, bullets belong to the innermost list
// of the same bullet, and a heading ends a list of at least two members that it could only repeat (ALL within ALL): such text is ambiguous, and this reading is a convention.
// A list without heading, a heading without list, a heading that says more than this (not all of, exactly one of) and steps out of number are errors, since what they mean cannot be known.
// The error is a *SyntaxError at a byte of the text. Texts of more than 64 KiB and lists in more than 200 lists are refused.
func English(text string) (n *Node, leaves []string, err error) { return EnglishWith(text, Atom) }

// EnglishWith is English for texts whose author is known to leave out one heading: an item that begins with another bullet is a list that combines by unheaded, which is
// All, Any, Chain or Gate. With Atom such a list is refused, as English does, since a guess would let through or stop what it must not.
//
//  2. • The order does not exist.
//     • The order is not paid.
//
// The members that follow stand in the column of the first, or, in text that does not indent, in that of the item; then the list is the innermost one as any other.
func EnglishWith(text string, unheaded Op) (n *Node, leaves []string, err error) {
	if len(text) > maxEnglish {
		return nil, nil, &SyntaxError{maxEnglish, fmt.Sprintf("longer than %d bytes; split the text", maxEnglish)}
	}
	if !utf8.ValidString(text) {
		return nil, nil, &SyntaxError{0, "not UTF-8"}
	}
	if t := strings.TrimSpace(text); t == "" || strings.EqualFold(strings.TrimSuffix(t, "."), "none") {
		return nil, nil, nil
	}
	items, err := englishItems(text, unheaded)
	if err != nil {
		return nil, nil, err
	}
	p := &englishParser{index: map[string]int{}}
	for _, it := range items {
		if err := p.add(it); err != nil {
			return nil, nil, err
		}
	}
	for len(p.open) > 0 {
		if err := p.close(); err != nil {
			return nil, nil, err
		}
	}
	return p.root, p.leaves, nil
}

// englishItem is one item with the lines that continue it.
type englishItem struct {
	offset, indent int
	column         int  // of the first member, where the item is a list without a heading; else 0
	bullet         rune // '1' for numbers, 'a' for letters, 0 for none
	number         int  // of a numbered or lettered item, from 1
	text           string
	op             Op // of a heading; Atom for a condition
	negated        bool
}

func englishItems(text string, unheaded Op) ([]englishItem, error) {
	var items []englishItem
	offset := 0
	for line := range strings.Lines(text) {
		it := englishItem{offset: offset}
		offset += len(line)
		rest := strings.TrimRight(line, " \t\r\n")
		for rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
			it.indent += map[byte]int{' ': 1, '\t': 4}[rest[0]]
			rest = rest[1:]
		}
		if rest == "" {
			continue
		}
		it.bullet, it.number, it.text = cutBullet(rest)
		if it.bullet == 0 && len(items) > 0 {
			last := &items[len(items)-1]
			if strings.HasSuffix(last.text, ":") {
				return nil, &SyntaxError{it.offset, "a condition without a bullet under a heading; begin it with a bullet"}
			}
			last.text += " " + it.text
			continue
		}
		if bullet, number, inner := cutBullet(it.text); bullet != 0 {
			if again, _, _ := cutBullet(inner); again != 0 || unheaded == Atom || number > 1 {
				return nil, &SyntaxError{it.offset, "a list within an item, without a heading that says how its members combine"}
			}
			head := it
			head.op, head.column = unheaded, it.indent+utf8.RuneCountInString(rest)-utf8.RuneCountInString(it.text)
			items = append(items, head)
			it.bullet, it.number, it.text = bullet, number, inner
		}
		if it.text == "" {
			return nil, &SyntaxError{it.offset, "an item without text"}
		}
		items = append(items, it)
	}
	for i := range items {
		it := &items[i]
		if it.op != Atom || !strings.HasSuffix(it.text, ":") {
			continue
		}
		var ok bool
		if it.op, it.negated, ok = heading(it.text); !ok {
			return nil, &SyntaxError{it.offset, "ends in a colon but does not say how its list combines; write ALL of, ANY ONE of, NONE of or in order"}
		}
	}
	return items, nil
}

func heading(text string) (op Op, negated, ok bool) {
	text = strings.ToLower(strings.ReplaceAll(text, "*", ""))
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if otherwise[w] {
			return Atom, false, false
		}
	}
	ordered := false
	for _, o := range orders {
		ordered = ordered || strings.Contains(text, o)
	}
	op, ok = All, ordered
	for _, h := range headings {
		if strings.HasPrefix(text, h.phrase+" ") || strings.Contains(text, " "+h.phrase+" ") {
			op, ok = h.op, true
			break
		}
	}
	if op == Not {
		op, negated = Any, true
	}
	if ordered {
		op = map[Op]Op{All: Chain, Any: Gate}[op]
	}
	return op, negated, ok
}

// cutBullet splits the bullet, number or letter off a line; the blank after it may be missing only at the end of the line.
func cutBullet(s string) (bullet rune, number int, rest string) {
	r, size := utf8.DecodeRuneInString(s)
	end := 0
	switch {
	case strings.ContainsRune("•-*–◦‣·", r):
		bullet, end = r, size
	case r >= '0' && r <= '9':
		for end < len(s) && end < 4 && s[end] >= '0' && s[end] <= '9' {
			number = number*10 + int(s[end]-'0')
			end++
		}
		if end < len(s) && (s[end] == '.' || s[end] == ')') {
			bullet, end = '1', end+1
		}
	case r >= 'a' && r <= 'z' && len(s) > 1 && s[1] == ')':
		bullet, number, end = 'a', int(r-'a')+1, 2
	}
	if bullet == 0 || end < len(s) && s[end] != ' ' && s[end] != '\t' {
		return 0, 0, s
	}
	return bullet, number, strings.TrimLeft(s[end:], " \t")
}

// englishList is a list under a heading that may get further members.
type englishList struct {
	head   englishItem
	indent int // of its members, as of the first
	bullet rune
	deeper bool // the members are indented deeper than the heading
	next   int  // the number of the next member, where they are numbered
	kids   []*Node
}

type englishParser struct {
	open   []*englishList // innermost last
	root   *Node
	leaves []string
	index  map[string]int
}

func (p *englishParser) add(it englishItem) error {
	if err := p.place(it); err != nil {
		return err
	}
	if it.op != Atom {
		if len(p.open) >= maxTextDepth {
			return &SyntaxError{it.offset, fmt.Sprintf("lists in more than %d lists", maxTextDepth)}
		}
		p.open = append(p.open, &englishList{head: it})
		return nil
	}
	i, ok := p.index[it.text]
	if !ok {
		i = len(p.leaves)
		p.index[it.text] = i
		p.leaves = append(p.leaves, it.text)
	}
	p.attach(Leaf(i))
	return nil
}

// place closes lists until the innermost open one is the one that the item belongs to.
func (p *englishParser) place(it englishItem) error {
	if len(p.open) == 0 {
		if p.root != nil {
			return &SyntaxError{it.offset, "a list without a heading that says how its members combine"}
		}
		return nil
	}
	if l := p.open[len(p.open)-1]; len(l.kids) == 0 && l.next == 0 {
		if it.indent < l.head.indent || it.number > 1 {
			return &SyntaxError{l.head.offset, "a heading without a list"}
		}
		l.indent, l.bullet, l.next = it.indent, it.bullet, 2
		l.deeper = it.indent > l.head.indent || l.head.bullet == 0
		return nil
	}
	for {
		l := p.open[len(p.open)-1]
		if l.takes(it) {
			l.next++
			return nil
		}
		if it.indent > l.indent {
			return &SyntaxError{it.offset, "indented deeper than the list it stands in, without a heading of its own"}
		}
		if len(p.open) == 1 {
			return &SyntaxError{it.offset, "belongs to no list: neither bullet, number nor indentation continues one"}
		}
		if err := p.close(); err != nil {
			return err
		}
	}
}

// takes reports whether the item continues the list.
func (l *englishList) takes(it englishItem) bool {
	if it.bullet != l.bullet {
		return false
	}
	if l.head.column > 0 && len(l.kids) == 1 && it.indent == l.head.column {
		l.indent, l.deeper = it.indent, true
	}
	if it.indent != l.indent {
		return false
	}
	if it.number > 0 {
		return it.number == l.next
	}
	repeats := it.op == l.head.op && it.negated == l.head.negated
	return l.deeper || !repeats || len(l.kids) < 2
}

// close ends the innermost list.
func (p *englishParser) close() error {
	l := p.open[len(p.open)-1]
	if len(l.kids) == 0 {
		return &SyntaxError{l.head.offset, "a heading without a list"}
	}
	p.open = p.open[:len(p.open)-1]
	n := New(l.head.op, l.kids...)
	if l.head.negated {
		n = New(Not, n)
	}
	p.attach(n)
	return nil
}

func (p *englishParser) attach(n *Node) {
	if len(p.open) == 0 {
		p.root = n
		return
	}
	l := p.open[len(p.open)-1]
	l.kids = append(l.kids, n)
}
