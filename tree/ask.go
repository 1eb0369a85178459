package tree

import (
	"cmp"
	"math"
	"slices"

	"github.com/proviso-dev/proviso"
)

// Question is an open atom that is worth asking about. Gain is how much its answer is expected to tell about the value of the tree, in bits per unit of cost.
type Question struct {
	Atom int
	Gain float64
}

// Ask returns the open atoms to ask about next, the most informative first: of those that Missing names, each whose value can still change n.
// It returns none where n is decided.
//
// The gain of an atom is the expected drop of the entropy of n's value when the atom is answered, divided by its cost; atoms count as independent. about gives the
// probability that an atom is true and the cost of asking, which must be positive; nil stands for ½ and 1. Where gains are equal the order of evidence decides. An atom
// that tells nothing alone but matters together with another has the gain 0 and is listed.
//
// The sets are those of Eval with the same onErr. The result is exact where no open atom occurs twice in n and none errs, or at most MaxEnumerate atoms are open;
// beyond, atoms may be listed that only seem to matter, and gains are estimates.
func Ask(n *Node, onErr Set, atom func(int) Set, about func(int) (prior, cost float64)) []Question {
	if about == nil {
		about = func(int) (float64, float64) { return 0.5, 1 }
	}
	c := &chances{n: n, onErr: onErr, atom: atom, prior: func(i int) float64 { p, _ := about(i); return p }}
	c.enumerate()
	seen := map[int]bool{}
	var out []Question
	for _, i := range Missing(n, onErr, atom, c.matters, nil) {
		if seen[i] {
			continue
		}
		seen[i] = true
		p, cost := about(i)
		left := p*entropy(c.given(i, IsTrue)) + (1-p)*entropy(c.given(i, IsFalse))
		gain := max(0, entropy(c.given(i, Open))-left) / cost
		out = append(out, Question{i, math.Round(gain*1e9) / 1e9}) // rounded, so that noise does not order equal gains
	}
	slices.SortStableFunc(out, func(a, b Question) int { return cmp.Compare(b.Gain, a.Gain) })
	return out
}

// entropy is that of a truth value which is true with probability p, in bits.
func entropy(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -p*math.Log2(p) - (1-p)*math.Log2(1-p)
}

// chances computes with the probabilities of one tree.
type chances struct {
	n     *Node
	onErr Set
	atom  func(int) Set
	prior func(int) float64
	// open and table are set where an open atom occurs twice or an atom errs: the value of the tree under each completion of the open atoms, whose bits are in the order of open.
	open  []int
	table []bool
}

// enumerate fills the table where the formulas for independent operands would not be exact.
func (c *chances) enumerate() {
	count := map[int]int{}
	var open []int
	dependent := false // an erring condition decides a whole If
	for _, i := range c.n.Atoms(nil) {
		s := c.atom(i)
		dependent = dependent || s == Err
		if s != Open {
			continue
		}
		if count[i]++; count[i] == 1 {
			open = append(open, i)
		}
		dependent = dependent || count[i] > 1
	}
	if !dependent || len(open) > MaxEnumerate {
		return
	}
	bit := map[int]int{}
	for j, i := range open {
		bit[i] = j
	}
	c.open, c.table = open, make([]bool, 1<<len(open))
	for m := range c.table {
		v := Eval(c.n, c.onErr, func(i int) Set {
			j, ok := bit[i]
			if !ok {
				return c.atom(i)
			}
			return SetOf(proviso.TriOf(m>>j&1 == 1))
		})
		c.table[m] = v == IsTrue
	}
}

// matters reports whether the value of an open atom can still change the tree.
func (c *chances) matters(i int) bool {
	if c.table == nil {
		return true
	}
	bit := 1 << slices.Index(c.open, i)
	for m := range c.table {
		if m&bit == 0 && c.table[m] != c.table[m|bit] {
			return true
		}
	}
	return false
}

// given is the probability that the tree is true where atom i has the value s.
func (c *chances) given(i int, s Set) float64 {
	chance := func(k int) float64 {
		v := c.atom(k)
		if k == i {
			v = s
		}
		switch v {
		case IsTrue:
			return 1
		case IsFalse:
			return 0
		}
		return c.prior(k)
	}
	if c.table == nil {
		return c.chance(c.n, c.onErr, chance)
	}
	total := 0.0
	for m, v := range c.table {
		if !v {
			continue
		}
		w := 1.0
		for j, k := range c.open {
			if p := chance(k); m>>j&1 == 1 {
				w *= p
			} else {
				w *= 1 - p
			}
		}
		total += w
	}
	return total
}

// chance is the probability that n is true where its operands are independent.
func (c *chances) chance(n *Node, onErr Set, of func(int) float64) float64 {
	if n == nil {
		return 1
	}
	switch n.Op {
	case Atom:
		if c.atom(n.Atom) == Err {
			return float64(onErr >> 1)
		}
		return of(n.Atom)
	case Not:
		return 1 - c.chance(n.Kids[0], onErr.Not(), of)
	case If:
		p := c.chance(n.Kids[0], onErr, of)
		return p*c.chance(n.Kids[1], onErr, of) + (1-p)*c.chance(n.Kids[2], onErr, of)
	}
	p := 1.0
	for _, k := range n.Kids {
		q := c.chance(k, onErr, of)
		if n.Op == Any || n.Op == Gate {
			q = 1 - q
		}
		p *= q
	}
	if n.Op == Any || n.Op == Gate {
		return 1 - p
	}
	return p
}
