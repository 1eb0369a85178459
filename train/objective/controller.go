package objective

import (
	"math"
	"slices"
)

// The controllers turn what a step measured into the coefficients of the next one. They and the optimizer are the only state of training.

// AdaptiveKL is the coefficient of a divergence penalty that steers towards a target. Source: Ziegler et al. 2019, verl AdaptiveKLController.
type AdaptiveKL struct {
	Coefficient float64
	Target      float64 // nats
	Horizon     float64 // samples
}

// Update follows kl, measured on n samples: coefficient *= 1 + clip(kl/target − 1, ±0.2)·n/horizon.
func (a *AdaptiveKL) Update(kl float64, n int) {
	if a.Target > 0 && a.Horizon > 0 {
		a.Coefficient *= 1 + min(max(kl/a.Target-1, -0.2), 0.2)*float64(n)/a.Horizon
	}
}

// Dual is a Lagrange multiplier: λ ← max(0, λ + rate·(cost − budget)). The last policy of such a game may swing; ship the averaged or the slowed one.
type Dual struct {
	Lambda float64
	Budget float64 // allowed mean cost
	Rate   float64
}

// Update follows a measured mean cost.
func (d *Dual) Update(cost float64) { d.Lambda = max(0, d.Lambda+d.Rate*(cost-d.Budget)) }

// Combine returns (A_r − λA_c)/(1 + λ) of advantages of reward and cost that were normalized apart. Inside a standardized reward λ would have no scale.
func (d *Dual) Combine(reward, cost []float64) []float64 {
	out := make([]float64, len(reward))
	for i := range out {
		out[i] = (reward[i] - d.Lambda*cost[i]) / (1 + d.Lambda)
	}
	return out
}

// Lagrangian is a recipe's normalizer applied to reward and first cost apart and combined by λ. A sample without costs has cost 0.
func Lagrangian(inner Normalize, lambda float64) Normalize {
	return Normalize{
		About: About{Name: "lagrangian", Formula: "A = (A_R − λA_C)/(1 + λ); A_R, A_C each by " + inner.Name, Source: "constrained MDP (Altman 1999)", Shapes: inner.Shapes, Units: inner.Units,
			Params: append(Params{par("lambda", lambda, 0, "reward per cost")}, inner.Params...), Needs: inner.Needs},
		Centred: inner.Centred,
		Do: func(p Params, v *View) []float64 {
			byCost := *v
			byCost.Reward = make([]float64, len(v.Reward))
			for i, c := range v.Costs {
				if len(c) > 0 {
					byCost.Reward[i] = c[0]
				}
			}
			d := Dual{Lambda: p.value("lambda")}
			return d.Combine(inner.Do(p[1:], v), inner.Do(p[1:], &byCost))
		},
	}
}

// FixupCoefficient is the penalty of FixedUp between steps: β ← max(0, β − rate·(bound − 2·maxKL)). Source: FixPO (Zentner et al. 2023).
type FixupCoefficient struct {
	Beta  float64
	Bound float64 // nats
	Rate  float64
}

// Update follows the largest divergence of a step.
func (f *FixupCoefficient) Update(maxKL float64) {
	f.Beta = max(0, f.Beta-f.Rate*(f.Bound-2*maxKL))
}

// Fixup repeats step, which descends the divergence alone (never times β, which may be 0) and returns its largest value over the states of the batch before the step, until that is at most bound. It returns how often it
// stepped and whether the bound was reached within cap steps.
func Fixup(bound float64, most int, maxKL func() float64, step func()) (steps int, ok bool) {
	for ; steps < most; steps++ {
		if maxKL() <= bound {
			return steps, true
		}
		step()
	}
	return steps, maxKL() <= bound
}

// TopHalfTemperature is the temperature for TopHalf that keeps the divergence of its weights from uniform at a bound: the minimum over η of ηε + η log mean e^{A/η} over the better half. Source: V-MPO (Song et al. 2020), ε = 0.01.
func TopHalfTemperature(advantage []float64, bound float64) float64 {
	best := slices.Clone(advantage)
	slices.Sort(best)
	best = best[len(best)/2:]
	top := best[len(best)-1]
	dual := func(eta float64) float64 {
		sum := 0.0
		for _, a := range best {
			sum += math.Exp((a-top)/eta) / float64(len(best))
		}
		return eta*bound + eta*math.Log(sum)
	}
	// The dual is convex: narrow its minimum down on a logarithmic scale.
	low, high := math.Log(1e-4), math.Log(1e4)
	for range 200 {
		x, y := low+(high-low)/3, high-(high-low)/3
		if dual(math.Exp(x)) < dual(math.Exp(y)) {
			high = y
		} else {
			low = x
		}
	}
	return math.Exp((low + high) / 2)
}

// Moments keeps mean and variance of a stream (Welford 1962), for RunningClip. Its zero value is empty.
type Moments struct {
	N        int
	Mean, M2 float64
}

// Add takes a value.
func (m *Moments) Add(x float64) {
	m.N++
	d := x - m.Mean
	m.Mean += d / float64(m.N)
	m.M2 += d * (x - m.Mean)
}

// Std is the unbiased standard deviation, 0 for fewer than two values.
func (m *Moments) Std() float64 {
	if m.N < 2 {
		return 0
	}
	return math.Sqrt(m.M2 / float64(m.N-1))
}

// Horizon is how long a guide acts before the policy takes over: it shrinks where the policy holds what it had. Source: JSRL (Uchendu et al. 2023).
type Horizon struct {
	Steps     int     // of the guide
	Shrink    int     // by how much at once
	Tolerance float64 // share of the best
	Best      float64
	started   bool
}

// Update follows a measured mean return and reports whether the horizon shrank.
func (h *Horizon) Update(mean float64) bool {
	held := !h.started || mean >= h.Best-h.Tolerance*math.Abs(h.Best)
	if !h.started || mean > h.Best {
		h.Best, h.started = mean, true
	}
	if !held || h.Steps == 0 {
		return false
	}
	h.Steps = max(0, h.Steps-h.Shrink)
	return true
}

// Bucket says how hard a task is for the policy. Source: CLPO (csuking/CLPO).
type Bucket uint8

// The buckets of tasks.
const (
	Hard   Bucket = iota // accuracy ≤ 0.3: make it simpler
	Medium               // ≤ 0.7: make variants of it
	Easy
)

// BucketOf sorts a task by the share of samples that solved it.
func BucketOf(accuracy float64) Bucket {
	switch {
	case accuracy <= 0.3:
		return Hard
	case accuracy <= 0.7:
		return Medium
	}
	return Easy
}

// KeepProbability is the chance that a group of g samples of a task with success rate p is mixed, hence informative: 1 − p^g − (1−p)^g.
func KeepProbability(p float64, g int) float64 {
	return 1 - math.Pow(p, float64(g)) - math.Pow(1-p, float64(g))
}

// Soup is the weighted mean of parameters that were trained from one start: θ = Σ λ_k θ_k. Lengths have to agree and λ to sum to 1 where the scale matters. Sources: rewarded soups (Ramé et al. 2023), personalized soups (Jang et al. 2023).
// For logits of a table with one reference and a KL penalty it is exactly the optimum of the mixed reward.
func Soup[T float32 | float64](lambda []float64, theta ...[]T) []T {
	out := make([]T, len(theta[0]))
	for i := range out {
		x := 0.0
		for k, part := range theta {
			x += lambda[k] * float64(part[i])
		}
		out[i] = T(x)
	}
	return out
}

// MovingAverage moves slow towards fast: slow ← slow + rate·(fast − slow). rate 1 is a reset.
func MovingAverage[T float32 | float64](slow, fast []T, rate float64) {
	for i := range slow {
		slow[i] += T(rate * (float64(fast[i]) - float64(slow[i])))
	}
}
