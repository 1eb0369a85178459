package objective

import (
	"math"
	"slices"
)

// What follows is for policies that are tables: a choice among a few dialogue acts in a few states, where everything can be computed exactly. A sequence model has no use for it.

// NaturalStep is one step of trust-region policy optimization for a softmax over actions: direction x with (F + damping)x = g by conjugate gradients, length √(2·bound/xᵀFx), shortened by 0.8 until KL(old‖new) is within
// bound and the expected advantage has risen. It returns the new logits; ok is false where no length did, and the logits are the old ones. Source: Schulman et al. 2015, PolicyGradientsJax: bound 0.01, damping 0.1, 10 iterations, 10 shortenings.
func NaturalStep(logits, advantage []float64, bound, damping float64) (next []float64, ok bool) {
	const iterations, shortenings, shrink = 10, 10, 0.8
	p := softmaxOf(logits)
	mean := inner(p, advantage)
	g := make([]float64, len(p))
	for i := range g {
		g[i] = p[i] * (advantage[i] - mean)
	}
	fisher := func(x []float64) []float64 {
		m, out := inner(p, x), make([]float64, len(x))
		for i := range x {
			out[i] = p[i] * (x[i] - m)
		}
		return out
	}
	x := conjugateGradients(func(v []float64) []float64 {
		out := fisher(v)
		for i := range out {
			out[i] += damping * v[i]
		}
		return out
	}, g, iterations)
	curvature := inner(x, fisher(x))
	if curvature <= 0 {
		return slices.Clone(logits), false
	}
	length := math.Sqrt(2 * bound / curvature)
	for range shortenings {
		next = make([]float64, len(logits))
		for i := range next {
			next[i] = logits[i] + length*x[i]
		}
		if q := softmaxOf(next); klOf(p, q) <= bound && inner(q, advantage) > mean {
			return next, true
		}
		length *= shrink
	}
	return slices.Clone(logits), false
}

// conjugateGradients solves Ax = b for a positive definite A that is known by its products (Hestenes and Stiefel 1952).
func conjugateGradients(product func([]float64) []float64, b []float64, iterations int) []float64 {
	x, r := make([]float64, len(b)), slices.Clone(b)
	d := slices.Clone(b)
	rr := inner(r, r)
	for k := 0; k < iterations && rr > 1e-20; k++ {
		ad := product(d)
		step := rr / inner(d, ad)
		for i := range x {
			x[i] += step * d[i]
			r[i] -= step * ad[i]
		}
		before := rr
		rr = inner(r, r)
		for i := range d {
			d[i] = r[i] + rr/before*d[i]
		}
	}
	return x
}

// Process is a decision process in tables: Reward[s][a], and Next[s][a] the distribution of the state that follows.
type Process struct {
	Reward [][]float64
	Next   [][][]float64
}

// BackwardInTime trains a policy for each of horizon steps, the last first, by exact softmax policy gradient of so many steps and rate, each given the policies after it. It returns the policies, first step first, and the value of each state at the first.
// It reaches the value of dynamic programming where training all steps at once may stall. Source: dynamic policy gradient (Klein, Weissmann and Döring 2023).
func (m *Process) BackwardInTime(horizon, steps int, rate float64) (policies [][][]float64, value []float64) {
	value = make([]float64, len(m.Reward))
	for range horizon {
		policy, now := make([][]float64, len(m.Reward)), make([]float64, len(m.Reward))
		for s := range m.Reward {
			q := make([]float64, len(m.Reward[s]))
			for a := range q {
				q[a] = m.Reward[s][a] + inner(m.Next[s][a], value)
			}
			logits := make([]float64, len(q))
			for range steps {
				p := softmaxOf(logits)
				mean := inner(p, q)
				for a := range logits {
					logits[a] += rate * p[a] * (q[a] - mean)
				}
			}
			policy[s] = softmaxOf(logits)
			now[s] = inner(policy[s], q)
		}
		policies, value = append(policies, policy), now
	}
	slices.Reverse(policies)
	return policies, value
}

// WorstCase is the distribution within an L1 distance of p that has the least expected value: it moves up to radius/2 of mass to the worst outcome, from the best ones. Source: DRPG (JerrisonWang/ICML-DRPG), Nilim and El Ghaoui 2005.
func WorstCase(p, value []float64, radius float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compare(value[a], value[b]) })
	out := slices.Clone(p)
	worst := order[0]
	move := min(radius/2, 1-p[worst])
	out[worst] += move
	for k := len(order) - 1; k > 0 && move > 0; k-- {
		taken := min(move, out[order[k]])
		out[order[k]] -= taken
		move -= taken
	}
	return out
}

// RobustValue is the value of each state under a policy where the world answers with the worst case within radius at every step, discounted; policy nil is the best policy. So many sweeps of value iteration.
func (m *Process) RobustValue(policy [][]float64, discount, radius float64, sweeps int) []float64 {
	value := make([]float64, len(m.Reward))
	for range sweeps {
		next := make([]float64, len(value))
		for s := range next {
			best, mean := math.Inf(-1), 0.0
			for a, r := range m.Reward[s] {
				q := r + discount*inner(WorstCase(m.Next[s][a], value, radius), value)
				best = max(best, q)
				if policy != nil {
					mean += policy[s][a] * q
				}
			}
			next[s] = best
			if policy != nil {
				next[s] = mean
			}
		}
		value = next
	}
	return value
}

// Robust trains a policy by gradient steps under the world's worst case at the present policy, from a uniform start. Source: double-loop robust policy gradient, DRPG (JerrisonWang/ICML-DRPG).
func (m *Process) Robust(discount, radius, rate float64, steps, sweeps int) [][]float64 {
	logits := make([][]float64, len(m.Reward))
	policy := make([][]float64, len(m.Reward))
	for s := range logits {
		logits[s] = make([]float64, len(m.Reward[s]))
	}
	for range steps {
		for s := range logits {
			policy[s] = softmaxOf(logits[s])
		}
		value := m.RobustValue(policy, discount, radius, sweeps)
		visits := m.visits(policy, value, discount, radius, sweeps)
		for s := range logits {
			for a, r := range m.Reward[s] {
				q := r + discount*inner(WorstCase(m.Next[s][a], value, radius), value)
				logits[s][a] += rate * visits[s] * policy[s][a] * (q - value[s])
			}
		}
	}
	return policy
}

// visits is how often each state is entered, discounted, from a uniform start under the worst case of a value.
func (m *Process) visits(policy [][]float64, value []float64, discount, radius float64, sweeps int) []float64 {
	now, total := make([]float64, len(value)), make([]float64, len(value))
	for s := range now {
		now[s] = 1 / float64(len(now))
	}
	for range sweeps {
		next := make([]float64, len(now))
		for s, mass := range now {
			total[s] += mass
			for a, p := range policy[s] {
				for to, x := range WorstCase(m.Next[s][a], value, radius) {
					next[to] += discount * mass * p * x
				}
			}
		}
		now = next
	}
	return total
}

func softmaxOf(logits []float64) []float64 {
	p := slices.Clone(logits)
	softmaxInPlace(p)
	return p
}

func inner(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func klOf(p, q []float64) float64 {
	k := 0.0
	for i := range p {
		if p[i] > 0 {
			k += p[i] * math.Log(p[i]/q[i])
		}
	}
	return k
}
