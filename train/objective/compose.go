package objective

import (
	"maps"
	"math"
	"slices"
)

// costPrefix begins the names of components that are costs: they are kept apart from the reward.
const costPrefix = "cost:"

// component returns the value of the named component, the mean where it occurs more than once. ok is false where one of them could not be judged or none is there.
func component(s *Sample, name string) (value float64, ok bool) {
	n := 0
	for _, c := range s.Rewards {
		if c.Name != name {
			continue
		}
		if !c.OK {
			return 0, false
		}
		value += c.Value
		n++
	}
	if n == 0 {
		return 0, false
	}
	return value / float64(n), true
}

// costs returns the components that are costs, in the order of their names.
func costs(s *Sample) []float64 {
	byName := map[string]float64{}
	for _, c := range s.Rewards {
		if len(c.Name) > len(costPrefix) && c.Name[:len(costPrefix)] == costPrefix && c.OK {
			byName[c.Name] += c.Value
		}
	}
	var out []float64
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

func weightParams(weights map[string]float64) Params {
	var p Params
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		p = append(p, par(name, weights[name], 1, "weight"))
	}
	return p
}

// Weighted is the weighted sum of the named components; nil weighs each component that is no cost with 1. A component that could not be judged makes the sample not OK.
// An additive mix is safe only where the weight of a rule exceeds what a violation can buy elsewhere; Gate is safe without such a condition.
func Weighted(weights map[string]float64) Compose {
	return Compose{
		About: About{Name: "weighted", Formula: "R = Σ_k w_k c_k", Source: "reward shaping, common", Shapes: "components → 1", Units: "reward", Params: weightParams(weights)},
		Do: func(p Params, s *Sample) (float64, []float64, bool) {
			total := 0.0
			if len(p) == 0 {
				for _, c := range s.Rewards {
					if !c.OK {
						return 0, nil, false
					}
					if len(c.Name) <= len(costPrefix) || c.Name[:len(costPrefix)] != costPrefix {
						total += c.Value
					}
				}
				return total, costs(s), true
			}
			for _, w := range p {
				v, ok := component(s, w.Name)
				if !ok {
					return 0, nil, false
				}
				total += w.Value * v
			}
			return total, costs(s), true
		},
	}
}

// Gate is the weighted sum where every gate, a component in [0, 1], holds, and 0 where one does not: Π gates · (floor + Σ w·c). Every compliant answer above 0 beats every violation, whatever the weights.
// Its price is that a group in which all violate has no gradient; sample with the policy shown, edit, or add anchors.
func Gate(gates []string, weights map[string]float64) Compose {
	params := append(Params{par("floor", 1, 1, "reward")}, weightParams(weights)...)
	return Compose{
		About: About{Name: "gate", Formula: "R = Π_g 1[g ≥ 1] · (floor + Σ_k w_k c_k)", Source: "SafeGRPO (XuankunRong/SafeGRPO): reward/safetygrpo.py", Shapes: "components → 1", Units: "reward", Params: params},
		Do: func(p Params, s *Sample) (float64, []float64, bool) {
			open := true
			for _, g := range gates {
				v, ok := component(s, g)
				if !ok {
					return 0, nil, false
				}
				open = open && v >= 1
			}
			total := p.value("floor")
			for _, w := range p[1:] {
				v, ok := component(s, w.Name)
				if !ok {
					return 0, nil, false
				}
				total += w.Value * v
			}
			if !open {
				total = 0
			}
			return total, costs(s), true
		},
	}
}

// MinUnder is the weighted mean of the components, or their minimum where one of them lies under a threshold, so that a bad aspect cannot be bought off.
func MinUnder(threshold float64, weights map[string]float64) Compose {
	params := append(Params{par("threshold", threshold, 0.2, "reward")}, weightParams(weights)...)
	return Compose{
		About: About{Name: "min-under", Formula: "R = min_k c_k if min_k c_k < threshold, else Σ w_k c_k / Σ w_k", Source: "ArGen (Principled-Evolution/argen-demo): reward_functions", Shapes: "components → 1", Units: "reward", Params: params},
		Do: func(p Params, s *Sample) (float64, []float64, bool) {
			total, weight, least := 0.0, 0.0, math.Inf(1)
			for _, w := range p[1:] {
				v, ok := component(s, w.Name)
				if !ok {
					return 0, nil, false
				}
				total += w.Value * v
				weight += w.Value
				least = min(least, v)
			}
			switch {
			case weight == 0:
				return 0, costs(s), false
			case least < p.value("threshold"):
				return least, costs(s), true
			}
			return total / weight, costs(s), true
		},
	}
}
