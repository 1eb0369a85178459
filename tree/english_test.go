package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// Each archive is a text and the tree that it says, or what is wrong with it.
func TestEnglish(t *testing.T) {
	testkit.Archives(t, "testdata/english/*.txtar", func(t *testing.T, a *testkit.Archive) {
		for i := 1; ; i++ {
			text, ok := a.File(fmt.Sprintf("%d.txt", i))
			if !ok {
				if i == 1 {
					t.Fatal("no file 1.txt")
				}
				return
			}
			n, leaves, err := English(string(text))
			got := fmt.Sprintln(err)
			if err == nil {
				got = indented(n, leaves)
			}
			a.Expect(t, fmt.Sprintf("%d.tree", i), []byte(got))
		}
	})
}

// A list within an item that has no heading combines as the caller says, and is refused where nobody says it.
func TestEnglishWith(t *testing.T) {
	const flat = "ALL of these conditions must be met:\n" +
		"• These steps must be completed in order:\n" +
		"  1. The order exists.\n" +
		"  2.     • The order is lost.\n" +
		"  • The order is late.\n" +
		"• The user is logged in.\n"
	const nested = "ALL of these:\n- - The order is lost.\n  - ANY ONE of these:\n      - It is late.\n      - It is broken.\n  - It is wrong.\n- The user is logged in.\n"
	const ambiguous = "ALL of these:\n  •    • The order is lost.\n  • The order is late.\n"
	const alone = "ALL of these:\n- - The order is lost.\n"
	for _, c := range []struct {
		text     string
		unheaded Op
		want     string
	}{
		{flat, Gate, "all(chain(The order exists., gate(The order is lost., The order is late.)), The user is logged in.)"},
		{flat, All, "all(chain(The order exists., all(The order is lost., The order is late.)), The user is logged in.)"},
		{nested, Any, "all(any(The order is lost., It is late., It is broken., It is wrong.), The user is logged in.)"},
		{nested, Chain, "all(chain(The order is lost., any(It is late., It is broken.), It is wrong.), The user is logged in.)"},
		{ambiguous, Gate, "gate(The order is lost., The order is late.)"},
		{alone, Gate, "gate(The order is lost.)"},
	} {
		n, leaves, err := EnglishWith(c.text, c.unheaded)
		if err != nil {
			t.Errorf("%v\n%s", err, c.text)
			continue
		}
		if got := strings.ReplaceAll(Print(n, func(i int) string { return leaves[i] }), "`", ""); got != c.want {
			t.Errorf("read %s, want %s\n%s", got, c.want, c.text)
		}
		if _, _, err := English(c.text); err == nil {
			t.Errorf("read without being told how the list combines\n%s", c.text)
		}
	}
	for _, text := range []string{"ALL of these:\n- - - three deep\n", "ALL of these:\n- 2. begins with two\n", "ALL of these:\n- -\n", "ALL of these:\n- - a\nb:\n"} {
		if n, _, err := EnglishWith(text, Gate); err == nil {
			t.Errorf("%q is read as %s", text, Print(n, name))
		}
	}
}

// indented shows a tree with one node a line.
func indented(n *Node, leaves []string) string {
	var b strings.Builder
	var show func(n *Node, depth int)
	show = func(n *Node, depth int) {
		b.WriteString(strings.Repeat("  ", depth))
		if n == nil {
			b.WriteString("no condition\n")
			return
		}
		if n.Op == Atom {
			b.WriteString(leaves[n.Atom] + "\n")
			return
		}
		b.WriteString(n.Op.String() + "\n")
		for _, k := range n.Kids {
			show(k, depth+1)
		}
	}
	show(n, 0)
	return b.String()
}

// A tree that is written with every list indented is read back as it was.
func TestEnglishReadsWhatIsWritten(t *testing.T) {
	titles := map[Op]string{
		All: "ALL of these conditions must be met:", Any: "ANY ONE of these conditions must be met:", Not: "NONE of these conditions may be met:",
		Chain: "These steps must be completed in order:", Gate: "ANY ONE of these conditions must be met, checked in order:",
	}
	rapid.Check(t, func(t *rapid.T) {
		atoms := 0
		var gen func(depth int, under Op) *Node
		gen = func(depth int, under Op) *Node {
			op := rapid.SampledFrom([]Op{Atom, All, Any, Not, Chain, Gate}).Draw(t, "op")
			if depth == 0 || op == under && (op == All || op == Any || op == Not) { // what New would flatten
				op = Atom
			}
			if op == Atom {
				atoms++
				return Leaf(atoms - 1)
			}
			kids := make([]*Node, rapid.IntRange(2, 3).Draw(t, "kids"))
			inner := op
			if op == Not {
				inner = Any
			}
			for i := range kids {
				kids[i] = gen(depth-1, inner)
			}
			if op == Not {
				return New(Not, New(Any, kids...))
			}
			return New(op, kids...)
		}
		n := gen(4, Atom)
		var write func(b *strings.Builder, n *Node, bullet string, depth int)
		write = func(b *strings.Builder, n *Node, bullet string, depth int) {
			b.WriteString(strings.Repeat("  ", depth) + bullet)
			if n.Op == Atom {
				b.WriteString(name(n.Atom) + "\n")
				return
			}
			b.WriteString(titles[n.Op] + "\n")
			if n.Op == Not {
				n = n.Kids[0]
			}
			for i, k := range n.Kids {
				bullet := "• "
				if n.Op == Chain || n.Op == Gate {
					bullet = fmt.Sprintf("%d. ", i+1)
				}
				write(b, k, bullet, depth+1)
			}
		}
		var b strings.Builder
		write(&b, n, "", 0)
		got, leaves, err := English(b.String())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if g, w := Print(got, func(i int) string { return leaves[i] }), Print(n, name); g != w {
			t.Fatalf("read %s, want %s\n%s", g, w, b.String())
		}
	})
}

func FuzzEnglish(f *testing.F) {
	f.Add("ALL of these conditions must be met:\n• a\n• ANY ONE of these conditions must be met:\n  • b\n  • c\n")
	f.Add("These steps must be completed in order:\n1. ALL of these:\n• a\n• b\n2. c")
	f.Add("None of these:\n\t- a\n\t- b\nmore\n")
	f.Add("ALL of these:\n- - a\n  - b\n- c\n")
	f.Add("In order:\n1.   • a\n • b\n2. c\n")
	f.Fuzz(func(t *testing.T, s string) {
		if n, leaves, err := English(s); err == nil { // what can be read without being told is read as it is
			with, more, err := EnglishWith(s, Gate)
			if err != nil || !slices.Equal(leaves, more) || Print(n, name) != Print(with, name) {
				t.Fatalf("%q: %v", s, err)
			}
		}
		n, leaves, err := EnglishWith(s, Gate)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(s) || n != nil || leaves != nil {
				t.Fatalf("%q: %#v", s, err)
			}
			return
		}
		used := map[int]bool{}
		for _, i := range n.Atoms(nil) {
			used[i] = true
		}
		if len(used) != len(leaves) {
			t.Fatalf("%q: %d atoms of %q", s, len(used), leaves)
		}
		if d := n.Depth(); d > maxTextDepth {
			t.Fatalf("%q: depth %d", s, d)
		}
	})
}
