package tree

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Only atoms that can change the value are asked about, and there is one exactly where the tree is open, repeated atoms included.
func TestAskOnlyWhatCanChangeTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 6, rapid.Bool().Draw(t, "once"))
		vals := genVals(t, 6)
		for i, v := range vals {
			if v == Err {
				vals[i] = Open
			}
		}
		got := Ask(n, IsFalse, func(i int) Set { return vals[i] }, nil)
		for _, q := range got {
			if !flips(n, vals, q.Atom) {
				t.Fatalf("%s over %v: %s cannot change the value", Print(n, name), vals, name(q.Atom))
			}
		}
		if open := completions(n, IsFalse, vals) == Open; open != (len(got) > 0) {
			t.Fatalf("%s over %v: open %v, asked %v", Print(n, name), vals, open, got)
		}
	})
}

// The gains are those that summing over all completions gives.
func TestAskGainsAreExpectedEntropyDrops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNode(t, 5, rapid.Bool().Draw(t, "once"))
		vals := genVals(t, 5)
		prior := make([]float64, 5)
		for i := range prior {
			prior[i] = float64(rapid.IntRange(1, 9).Draw(t, "prior")) / 10
		}
		onErr := rapid.SampledFrom([]Set{IsFalse, IsTrue}).Draw(t, "onErr")
		chance := func(a int, s Set) (p float64) {
			for m := range 1 << len(vals) {
				full, w := make([]Set, len(vals)), 1.0
				for i, v := range vals {
					if i == a {
						v = s
					}
					bit := m>>i&1 == 1
					switch {
					case v != Open:
						full[i] = v
						if bit {
							w = 0
						}
					case bit:
						full[i] = IsTrue
						w *= prior[i]
					default:
						full[i] = IsFalse
						w *= 1 - prior[i]
					}
				}
				if completions(n, onErr, full) == IsTrue {
					p += w
				}
			}
			return p
		}
		for _, q := range Ask(n, onErr, func(i int) Set { return vals[i] }, func(i int) (float64, float64) { return prior[i], 2 }) {
			p := prior[q.Atom]
			want := (entropy(chance(q.Atom, Open)) - p*entropy(chance(q.Atom, IsTrue)) - (1-p)*entropy(chance(q.Atom, IsFalse))) / 2
			if math.Abs(q.Gain-want) > 1e-6 {
				t.Fatalf("%s over %v: the gain of %s is %v, completions give %v", Print(n, name), vals, name(q.Atom), q.Gain, want)
			}
		}
	})
}

func TestAskMostInformativeFirst(t *testing.T) {
	for _, c := range []struct {
		text, open string
		cost       map[string]float64
		want       string
	}{
		{"all(a, any(b, c))", "abc", nil, "a b c"},
		{"all(any(b, c), a)", "abc", nil, "a b c"}, // a decides more than b, though b comes first
		{"all(a, any(b, c))", "abc", map[string]float64{"a": 20}, "b c a"},
		{"chain(any(b, c), a)", "abc", nil, "b c"}, // the order of evidence wins over what a would tell
		{"any(all(b, a), all(b, not(a)))", "ab", nil, "b"},
		{"any(all(a, not(b)), all(not(a), b))", "ab", nil, "a b"}, // neither tells anything alone
		{"all(a, b)", "b", nil, "b"},
		{"any(a, b)", "b", nil, ""},
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
		for _, q := range Ask(n, IsFalse, atom, func(i int) (float64, float64) { return 0.5, max(1, c.cost[names[i]]) }) {
			got = append(got, names[q.Atom])
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s with %s open: asks %q, want %q", c.text, c.open, g, c.want)
		}
	}
}

// More atoms than can be tried out are estimated, not refused.
func TestAskBeyondEnumeration(t *testing.T) {
	n := &Node{Op: Any}
	for i := range 2 * MaxEnumerate {
		n.Kids = append(n.Kids, New(All, Leaf(i), Leaf(0)))
	}
	got := Ask(n, IsFalse, func(int) Set { return Open }, nil)
	if len(got) != 2*MaxEnumerate || got[0].Atom != 0 {
		t.Error(fmt.Sprint(got))
	}
}
