// Package linear decides whether numbers exist that satisfy a conjunction of linear comparisons, and shows some.
//
// The method is Fourier and Motzkin's: one unknown after the other is eliminated, and the values are found on the way back. Arithmetic is exact. It knows nothing of policies.
package linear

import (
	"errors"
	"math/big"
	"slices"
)

// Comparison is Sum(Coef[v]·v) < Bound, or ≤ Bound where Strict is false.
type Comparison struct {
	Coef   map[string]*big.Rat
	Bound  *big.Rat
	Strict bool
}

// Unknown says what is known of an unknown beside the comparisons.
type Unknown struct {
	Integer bool
	Prefer  *big.Rat   // the value to take where the comparisons leave the choice; nil for 0
	Not     []*big.Rat // values that it must not have
}

// ErrBudget says that the elimination was given up, ErrInteger that real numbers exist but no whole ones were found. In both cases whether numbers exist is unknown.
var (
	ErrBudget  = errors.New("too many comparisons")
	ErrInteger = errors.New("no whole numbers were found")
)

// maxComparisons bounds the system at every step of the elimination.
const maxComparisons = 4000

// Solve returns a value for every unknown that a comparison or the map of unknowns names, and whether there are any. With an error nothing is known.
// Bounds of whole numbers are tightened first, so that 1 < x < 2 has no answer; relations of several whole numbers are solved over the reals, and the answer is tried.
func Solve(cs []Comparison, unknowns map[string]Unknown) (values map[string]*big.Rat, found bool, err error) {
	names := map[string]bool{}
	for v := range unknowns {
		names[v] = true
	}
	system := make([]Comparison, 0, len(cs))
	for _, c := range cs {
		c = tightened(c, unknowns)
		for v := range c.Coef {
			names[v] = true
		}
		system = append(system, c)
	}
	order := make([]string, 0, len(names))
	for v := range names {
		order = append(order, v)
	}
	slices.Sort(order)
	steps := make([][]Comparison, len(order))
	for i, v := range order {
		steps[i] = system
		if system, err = eliminate(system, v); err != nil {
			return nil, false, err
		}
	}
	for _, c := range system {
		if holds := c.Bound.Sign() > 0 || c.Bound.Sign() == 0 && !c.Strict; !holds {
			return nil, false, nil
		}
	}
	values = map[string]*big.Rat{}
	for i := len(order) - 1; i >= 0; i-- {
		v := order[i]
		val, ok := pick(steps[i], v, unknowns[v], values)
		if !ok {
			return nil, false, ErrInteger
		}
		values[v] = val
	}
	return values, true, nil
}

// tightened divides a comparison of one whole number by its coefficient and rounds the bound.
func tightened(c Comparison, unknowns map[string]Unknown) Comparison {
	coef := map[string]*big.Rat{}
	for v, a := range c.Coef {
		if a.Sign() != 0 {
			coef[v] = a
		}
	}
	c.Coef = coef
	if len(coef) != 1 {
		return c
	}
	for v, a := range coef {
		if !unknowns[v].Integer {
			return c
		}
		// a·v < b is v < b/a, or v > b/a where a is negative; written ±v ≤ whole number.
		size := new(big.Rat).Abs(a)
		b := new(big.Rat).Quo(c.Bound, size)
		n := floor(b)
		if c.Strict && new(big.Rat).SetInt(n).Cmp(b) == 0 {
			n.Sub(n, big.NewInt(1))
		}
		return Comparison{Coef: map[string]*big.Rat{v: new(big.Rat).Quo(a, size)}, Bound: new(big.Rat).SetInt(n)}
	}
	return c
}

func floor(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	_ = m // Euclidean division: the remainder is never negative
	return q
}

// eliminate returns the comparisons without v that hold for some value of v exactly where all of cs do.
func eliminate(cs []Comparison, v string) ([]Comparison, error) {
	var upper, lower, rest []Comparison
	for _, c := range cs {
		switch a := c.Coef[v]; {
		case a == nil || a.Sign() == 0:
			rest = append(rest, c)
		case a.Sign() > 0:
			upper = append(upper, c)
		default:
			lower = append(lower, c)
		}
	}
	if len(rest)+len(upper)*len(lower) > maxComparisons {
		return nil, ErrBudget
	}
	for _, u := range upper {
		for _, l := range lower {
			rest = append(rest, combined(u, l, v))
		}
	}
	return rest, nil
}

// combined adds multiples of two comparisons so that v goes.
func combined(u, l Comparison, v string) Comparison {
	up := new(big.Rat).Inv(u.Coef[v])
	down := new(big.Rat).Inv(new(big.Rat).Neg(l.Coef[v]))
	out := Comparison{Coef: map[string]*big.Rat{}, Strict: u.Strict || l.Strict}
	add := func(c Comparison, by *big.Rat) {
		for x, a := range c.Coef {
			if x == v {
				continue
			}
			sum := new(big.Rat).Mul(a, by)
			if old := out.Coef[x]; old != nil {
				sum.Add(sum, old)
			}
			if sum.Sign() == 0 {
				delete(out.Coef, x)
				continue
			}
			out.Coef[x] = sum
		}
	}
	add(u, up)
	add(l, down)
	out.Bound = new(big.Rat).Add(new(big.Rat).Mul(u.Bound, up), new(big.Rat).Mul(l.Bound, down))
	return out
}

// limit is one end of what an unknown may be; a nil value is no end.
type limit struct {
	val  *big.Rat
	open bool
}

// pick chooses a value of v that satisfies the comparisons, in which every other unknown has its value.
func pick(cs []Comparison, v string, u Unknown, values map[string]*big.Rat) (*big.Rat, bool) {
	var lo, hi limit
	for _, c := range cs {
		a := c.Coef[v]
		if a == nil || a.Sign() == 0 {
			continue
		}
		b := new(big.Rat).Set(c.Bound)
		for x, k := range c.Coef {
			if x != v {
				b.Sub(b, new(big.Rat).Mul(k, values[x]))
			}
		}
		b.Quo(b, a)
		if a.Sign() > 0 {
			if hi.val == nil || b.Cmp(hi.val) < 0 || b.Cmp(hi.val) == 0 && c.Strict {
				hi = limit{b, c.Strict}
			}
		} else if lo.val == nil || b.Cmp(lo.val) > 0 || b.Cmp(lo.val) == 0 && c.Strict {
			lo = limit{b, c.Strict}
		}
	}
	fits := func(x *big.Rat) bool {
		if lo.val != nil && (x.Cmp(lo.val) < 0 || lo.open && x.Cmp(lo.val) == 0) || hi.val != nil && (x.Cmp(hi.val) > 0 || hi.open && x.Cmp(hi.val) == 0) {
			return false
		}
		return (!u.Integer || x.IsInt()) && !slices.ContainsFunc(u.Not, func(n *big.Rat) bool { return n.Cmp(x) == 0 })
	}
	for _, x := range candidates(lo, hi, u) {
		if fits(x) {
			return x, true
		}
	}
	return nil, false
}

// candidates lists values worth trying, the preferred one first, then those near the ends, then ones between them.
func candidates(lo, hi limit, u Unknown) []*big.Rat {
	prefer := u.Prefer
	if prefer == nil {
		prefer = new(big.Rat)
	}
	out := []*big.Rat{prefer}
	near := func(at *big.Rat, sign int64) {
		base := new(big.Rat).Set(at)
		if !at.IsInt() {
			base = new(big.Rat).SetInt(floor(at))
		}
		// One more than the excluded values, so that some candidate is left.
		for k := int64(0); k <= int64(len(u.Not))+2; k++ {
			out = append(out, new(big.Rat).Add(base, new(big.Rat).SetInt64(sign*k)))
		}
		out = append(out, at)
	}
	if lo.val != nil {
		near(lo.val, 1)
	}
	if hi.val != nil {
		near(hi.val, -1)
	}
	near(prefer, 1)
	near(prefer, -1)
	if lo.val != nil && hi.val != nil && !u.Integer {
		width := new(big.Rat).Sub(hi.val, lo.val)
		n := int64(len(u.Not)) + 2
		for k := int64(1); k < n; k++ {
			out = append(out, new(big.Rat).Add(lo.val, new(big.Rat).Mul(width, big.NewRat(k, n))))
		}
	}
	return out
}
