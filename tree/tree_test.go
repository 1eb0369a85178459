package tree

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

// genNode draws a tree over atoms 0..atoms-1; with once, every atom occurs at most once.
func genNode(t *rapid.T, atoms int, once bool) *Node {
	free := make([]int, atoms)
	for i := range free {
		free[i] = i
	}
	var gen func(depth int) *Node
	gen = func(depth int) *Node {
		op := Op(rapid.IntRange(0, int(If)).Draw(t, "op"))
		if depth == 0 || op == Atom {
			if once {
				if len(free) == 0 {
					return &Node{Op: Any}
				}
				i := rapid.IntRange(0, len(free)-1).Draw(t, "atom")
				a := free[i]
				free = append(free[:i:i], free[i+1:]...)
				return Leaf(a)
			}
			return Leaf(rapid.IntRange(0, atoms-1).Draw(t, "atom"))
		}
		k := map[Op]int{Not: 1, If: 3}[op]
		if k == 0 {
			k = rapid.IntRange(0, 3).Draw(t, "kids")
		}
		n := &Node{Op: op}
		for range k {
			n.Kids = append(n.Kids, gen(depth-1))
		}
		return n
	}
	return gen(4)
}

// completions returns the values that Kleene's logic gives over all completions of the open atoms, an unknown root read as onErr.
func completions(n *Node, onErr Set, vals []Set) (s Set) {
	var open []int
	for i, v := range vals {
		if v == Open {
			open = append(open, i)
		}
	}
	for m := range 1 << len(open) {
		v := func(i int) proviso.Tri {
			for j, o := range open {
				if o == i {
					return proviso.TriOf(m>>j&1 == 1)
				}
			}
			return vals[i].Tri()
		}
		switch Kleene(n, v) {
		case proviso.True:
			s |= IsTrue
		case proviso.False:
			s |= IsFalse
		default:
			s |= onErr
		}
	}
	return s
}

func genVals(t *rapid.T, n int) []Set {
	vals := make([]Set, n)
	for i := range vals {
		vals[i] = rapid.SampledFrom([]Set{IsFalse, IsTrue, Open, Open, Err}).Draw(t, "val")
	}
	return vals
}

func TestEvalIsExactWhereAtomsOccurOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 7, true)
		vals := genVals(t, 7)
		onErr := rapid.SampledFrom([]Set{IsFalse, IsTrue}).Draw(t, "onErr")
		got := Eval(n, onErr, func(i int) Set { return vals[i] })
		want := completions(n, onErr, vals)
		if got != want {
			t.Fatalf("%s over %v: got %b, completions give %b", Print(n, name), vals, got, want)
		}
	})
}

func TestEvalNeverLacksAValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 5, false)
		vals := genVals(t, 5)
		onErr := rapid.SampledFrom([]Set{IsFalse, IsTrue}).Draw(t, "onErr")
		got := Eval(n, onErr, func(i int) Set { return vals[i] })
		if want := completions(n, onErr, vals); got&want != want {
			t.Fatalf("%s over %v: got %b, completions give %b", Print(n, name), vals, got, want)
		}
	})
}

func TestMissingNamesOnlyAtomsThatMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 6, true)
		vals := genVals(t, 6)
		for i, v := range vals { // errors blur relevance inside a tree; they have their own test
			if v == Err {
				vals[i] = Open
			}
		}
		atom := func(i int) Set { return vals[i] }
		missing := Missing(n, IsFalse, atom, nil, nil)
		if open := Eval(n, IsFalse, atom) == Open; open != (len(missing) > 0) {
			t.Fatalf("%s over %v: open %v but missing %v", Print(n, name), vals, open, missing)
		}
		for _, m := range missing {
			if !flips(n, vals, m) {
				t.Fatalf("%s over %v: %s cannot change the value", Print(n, name), vals, name(m))
			}
		}
	})
}

// flips reports whether some completion of the other open atoms lets atom a change the value of n.
func flips(n *Node, vals []Set, a int) bool {
	var open []int
	for i, v := range vals {
		if v == Open && i != a {
			open = append(open, i)
		}
	}
	for m := range 1 << len(open) {
		at := func(x proviso.Tri) proviso.Tri {
			return Kleene(n, func(i int) proviso.Tri {
				if i == a {
					return x
				}
				for j, o := range open {
					if o == i {
						return proviso.TriOf(m>>j&1 == 1)
					}
				}
				return vals[i].Tri()
			})
		}
		if at(proviso.True) != at(proviso.False) {
			return true
		}
	}
	return false
}

func TestChainAndGateAskInOrder(t *testing.T) {
	for _, c := range []struct {
		text, open, want string
	}{
		{"chain(a, b, c)", "abc", "a"},
		{"chain(a, b, c)", "bc", "b"}, // a is true
		{"gate(a, b)", "ab", "a"},
		{"all(a, b)", "ab", "a b"},
		{"chain(all(a, b), c)", "abc", "a b"},
		{"chain(a, gate(b, c))", "bc", "b"},
		{"if(a, b, c)", "abc", "a b c"},
		{"if(a, b, c)", "bc", "b"},
		{"any(chain(a, b), c)", "abc", "a c"},
	} {
		n, names, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		atom := func(i int) Set {
			if strings.Contains(c.open, names[i]) {
				return Open
			}
			return IsTrue
		}
		var got []string
		for _, m := range Missing(n, IsFalse, atom, nil, nil) {
			got = append(got, names[m])
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s with %s open: missing %q, want %q", c.text, c.open, g, c.want)
		}
	}
}

func name(i int) string { return fmt.Sprintf("a%d", i) }

func TestPrintParseIsAFixpoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 5, false)
		odd := []string{"a", "b.c", "x > `1`", `back\slash`, "all"}
		text := Print(n, func(i int) string { return odd[i] })
		m, names, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again := Print(m, func(i int) string { return names[i] })
		if again != text {
			t.Fatalf("printed %s, then %s", text, again)
		}
	})
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "offset 0: a node is missing",
		"both(a, b)":                `offset 0: unknown connective "both"`,
		"all(a":                     "offset 5: all( is not closed",
		"all(a b)":                  `offset 6: unexpected "b"`,
		"not(a, b)":                 "offset 0: not takes 1, got 2",
		"`a":                        "offset 0: the back quote is not closed",
		"a)":                        "offset 1: unexpected text after the tree",
		"all(a,)":                   `offset 6: unexpected ")"`,
		strings.Repeat("not(", 999): "nested deeper than 200",
	} {
		if _, _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", text, err, want)
		}
	}
}

func TestEquivalent(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"not(all(a, b))", "any(not(a), not(b))", true},
		{"if(a, b, c)", "any(all(a, b), all(not(a), c))", true},
		{"any(all(b, a), all(b, not(a)))", "b", true},
		{"all(a, b)", "any(a, b)", false},
	} {
		// One parse numbers the atoms of both.
		n, _, err := Parse("all(" + c.a + ", " + c.b + ")")
		if err != nil {
			t.Fatal(err)
		}
		if eq, ok := Equivalent(n.Kids[0], n.Kids[1]); !ok || eq != c.equal {
			t.Errorf("%s and %s: %v %v", c.a, c.b, eq, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("all(a, any(b, not(`x > 1`)), chain(c, gate(d, e)), if(f, g, h))")
	f.Add("all()")
	f.Fuzz(func(t *testing.T, s string) {
		n, names, err := Parse(s)
		if err != nil {
			return
		}
		text := Print(n, func(i int) string { return names[i] })
		m, names2, err := Parse(text)
		if err != nil {
			t.Fatalf("%q parses, its print %q does not: %v", s, text, err)
		}
		if again := Print(m, func(i int) string { return names2[i] }); again != text {
			t.Fatalf("printed %q, then %q", text, again)
		}
	})
}
