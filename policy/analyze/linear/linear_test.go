package linear

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func cmpLess(bound int64, strict bool, terms ...any) Comparison {
	c := Comparison{Coef: map[string]*big.Rat{}, Bound: big.NewRat(bound, 1), Strict: strict}
	for i := 0; i < len(terms); i += 2 {
		c.Coef[terms[i+1].(string)] = big.NewRat(int64(terms[i].(int)), 1)
	}
	return c
}

func TestSolve(t *testing.T) {
	whole := map[string]Unknown{"x": {Integer: true}}
	for _, c := range []struct {
		name     string
		cs       []Comparison
		unknowns map[string]Unknown
		found    bool
	}{
		{"nothing", nil, nil, true},
		{"between", []Comparison{cmpLess(5, true, 1, "x"), cmpLess(-3, true, -1, "x")}, nil, true},
		{"nothing between", []Comparison{cmpLess(3, true, 1, "x"), cmpLess(-3, false, -1, "x")}, nil, false},
		{"one point", []Comparison{cmpLess(3, false, 1, "x"), cmpLess(-3, false, -1, "x")}, nil, true},
		{"no whole number between", []Comparison{cmpLess(4, true, 1, "x"), cmpLess(-3, true, -1, "x")}, whole, false},
		{"a fraction between", []Comparison{cmpLess(4, true, 1, "x"), cmpLess(-3, true, -1, "x")}, nil, true},
		{"later than a day ago and before that", []Comparison{cmpLess(24, true, 1, "now", -1, "t"), cmpLess(-48, true, -1, "now", 1, "t")}, nil, false},
		{"transitive", []Comparison{cmpLess(0, true, 1, "x", -1, "y"), cmpLess(0, true, 1, "y", -1, "z"), cmpLess(0, true, 1, "z", -1, "x")}, nil, false},
		{"a value that it must not have", []Comparison{cmpLess(3, false, 1, "x"), cmpLess(-1, false, -1, "x")}, map[string]Unknown{"x": {Integer: true, Not: []*big.Rat{big.NewRat(1, 1), big.NewRat(2, 1)}}}, true},
	} {
		values, found, err := Solve(c.cs, c.unknowns)
		if err != nil || found != c.found || found && !satisfied(c.cs, values) {
			t.Errorf("%s: %v, %v, %v", c.name, values, found, err)
		}
	}
}

func satisfied(cs []Comparison, values map[string]*big.Rat) bool {
	for _, c := range cs {
		sum := new(big.Rat)
		for v, a := range c.Coef {
			sum.Add(sum, new(big.Rat).Mul(a, values[v]))
		}
		if d := sum.Cmp(c.Bound); d > 0 || d == 0 && c.Strict {
			return false
		}
	}
	return true
}

// Random systems over three small whole numbers: an answer satisfies them, and where none exists over the reals no whole numbers do either.
func TestSolveAgreesWithTrying(t *testing.T) {
	vars := []string{"x", "y", "z"}
	rapid.Check(t, func(rt *rapid.T) {
		var cs []Comparison
		for range rapid.IntRange(1, 6).Draw(rt, "comparisons") {
			c := Comparison{Coef: map[string]*big.Rat{}, Bound: big.NewRat(int64(rapid.IntRange(-4, 4).Draw(rt, "bound")), 1), Strict: rapid.Bool().Draw(rt, "strict")}
			for _, v := range vars {
				if a := rapid.IntRange(-2, 2).Draw(rt, "a"); a != 0 {
					c.Coef[v] = big.NewRat(int64(a), 1)
				}
			}
			cs = append(cs, c)
		}
		unknowns := map[string]Unknown{}
		for _, v := range vars {
			unknowns[v] = Unknown{Integer: rapid.Bool().Draw(rt, "whole")}
		}
		values, found, err := Solve(cs, unknowns)
		if err != nil {
			return
		}
		if found {
			for _, v := range vars {
				if unknowns[v].Integer && !values[v].IsInt() {
					rt.Fatalf("%s = %v is no whole number", v, values[v])
				}
			}
			if !satisfied(cs, values) {
				rt.Fatalf("%v does not satisfy them", values)
			}
			return
		}
		for x := int64(-6); x <= 6; x++ {
			for y := int64(-6); y <= 6; y++ {
				for z := int64(-6); z <= 6; z++ {
					try := map[string]*big.Rat{"x": big.NewRat(x, 1), "y": big.NewRat(y, 1), "z": big.NewRat(z, 1)}
					if satisfied(cs, try) {
						rt.Fatalf("none was found, but %v satisfies them", try)
					}
				}
			}
		}
	})
}
