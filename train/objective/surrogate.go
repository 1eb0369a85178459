package objective

import "math"

// perToken makes a term from the value and the derivative, by log π, of what one token contributes to the objective that is maximised. Counted tokens are weighed by View.Weight.
func perToken(a About, f func(p Params, v *View, i, t int, logp float64) (value, slope float64)) Term {
	return Term{About: a, Do: func(p Params, v *View, logp [][]float64, out *Loss) {
		for i := range v.Samples {
			for t, w := range v.Weight[i] {
				if w != 0 {
					value, slope := f(p, v, i, t, logp[i][t])
					out.Value -= w * value
					out.W[i][t] += w * slope
				}
			}
		}
	}}
}

// LogLikelihood is supervised training: every counted token gains.
func LogLikelihood() Term {
	return perToken(About{Name: "log-likelihood", Formula: "L = −log π; W = 1", Source: "maximum likelihood", Shapes: "n × T_i", Units: "nats"},
		func(_ Params, _ *View, _, _ int, l float64) (float64, float64) { return l, 1 })
}

// Score is the score-function gradient: W = A.
func Score() Term {
	return perToken(About{Name: "score", Formula: "L = −A log π; W = A", Source: "REINFORCE (Williams 1992)", Shapes: "n × T_i", Units: "advantage · nats"},
		func(_ Params, v *View, i, t int, l float64) (float64, float64) {
			a := v.Advantage[i][t]
			return a * l, a
		})
}

// Ratio is the surrogate without a bound: W = rA.
func Ratio() Term {
	return perToken(About{Name: "ratio", Formula: "L = −rA; W = rA", Source: "TRPO (Schulman et al. 2015), FixPO (Zentner et al. 2023)", Shapes: "n × T_i", Units: "advantage", Needs: []Need{NeedOld}},
		func(_ Params, v *View, i, t int, l float64) (float64, float64) {
			x := ratio(l, v.Samples[i].Old[t]) * v.Advantage[i][t]
			return x, x
		})
}

// clipped returns the value and the slope of min(rA, clip(r)A), with the dual clip max(·, dual·A) for A < 0 where dual > 0.
func clipped(r, a, low, high, dual float64) (value, slope float64) {
	bounded := min(max(r, 1-low), 1+high)
	value = min(r*a, bounded*a)
	out := a > 0 && r > 1+high || a < 0 && r < 1-low
	if a < 0 && dual > 0 && r > dual {
		return dual * a, 0
	}
	if out {
		return value, 0
	}
	return value, r * a
}

func clipParams(low, high float64) Params {
	return Params{par("low", low, 0.2, "ratio"), par("high", high, 0.2, "ratio"), par("dual", 0, 0, "ratio, 0 for none")}
}

// Clip is the clipped surrogate: no gradient once a token has moved far enough in the right direction.
func Clip(low, high float64) Term {
	return perToken(About{Name: "clip", Formula: "L = −min(rA, clip(r, 1−low, 1+high)A); with dual c and A < 0: L = min(L, −cA)", Source: "PPO (Schulman et al. 2017); dual clip (Ye et al. 2020)", Shapes: "n × T_i", Units: "advantage", Params: clipParams(low, high), Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			return clipped(ratio(l, v.Samples[i].Old[t]), v.Advantage[i][t], p.value("low"), p.value("high"), p.value("dual"))
		})
}

// Quadratic has its optimum at r = 1 ± ε, and a gradient that leads back from beyond.
func Quadratic(epsilon float64) Term {
	return perToken(About{Name: "quadratic", Formula: "L = −(rA − |A|(r−1)²/2ε); W = r(A − |A|(r−1)/ε)", Source: "Simple Policy Optimization (MyRepositories-hub/Simple-Policy-Optimization)", Shapes: "n × T_i", Units: "advantage", Params: Params{par("epsilon", epsilon, 0.2, "ratio")}, Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			r, a, e := ratio(l, v.Samples[i].Old[t]), v.Advantage[i][t], p.value("epsilon")
			return r*a - math.Abs(a)*(r-1)*(r-1)/(2*e), r * (a - math.Abs(a)*(r-1)/e)
		})
}

// ClippedWeight keeps the gradient of every token and bounds its weight instead. Its value is that of the weight held constant.
func ClippedWeight(low, high float64) Term {
	return perToken(About{Name: "clipped-weight", Formula: "L = −sg(clip(r, 1−low, 1+high))·A·log π", Source: "CISPO (MiniMax-M1, 2025), verl", Shapes: "n × T_i", Units: "advantage · nats", Params: Params{par("low", low, 1, "ratio"), par("high", high, 0.28, "ratio")}, Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			w := min(max(ratio(l, v.Samples[i].Old[t]), 1-p.value("low")), 1+p.value("high")) * v.Advantage[i][t]
			return w * l, w
		})
}

// SigmoidGate fades the gradient smoothly as r leaves 1, faster for negative advantages.
func SigmoidGate(positive, negative float64) Term {
	return perToken(About{Name: "sigmoid-gate", Formula: "L = −(4/τ)σ(τ(r−1))A; W = 4σ(1−σ)rA; τ by the sign of A", Source: "SAPO (2025), verl", Shapes: "n × T_i", Units: "advantage", Params: Params{par("positive", positive, 1, "1/ratio"), par("negative", negative, 1.05, "1/ratio")}, Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			r, a, tau := ratio(l, v.Samples[i].Old[t]), v.Advantage[i][t], p.value("positive")
			if a < 0 {
				tau = p.value("negative")
			}
			s := sigmoid(tau * (r - 1))
			return 4 / tau * s * a, 4 * s * (1 - s) * r * a
		})
}

// perSequence makes a term of the counted tokens of a sample together: f returns what the sample contributes to the objective and adds its slopes. A sample weighs the sum of its tokens' weights, 1/n under SequenceMean.
func perSequence(a About, f func(p Params, v *View, i int, logp, slope []float64) float64) Term {
	return Term{About: a, Do: func(p Params, v *View, logp [][]float64, out *Loss) {
		for i := range v.Samples {
			w := v.share(i)
			if w == 0 {
				continue
			}
			slope := make([]float64, len(logp[i]))
			out.Value -= w * f(p, v, i, logp[i], slope)
			for t, s := range slope {
				out.W[i][t] += w * s
			}
		}
	}}
}

// ClipSequence clips the ratio of a whole sample, the geometric mean of its tokens' ratios. A is the mean of the sample's advantages.
func ClipSequence(low, high float64) Term {
	return perSequence(About{Name: "clip-sequence", Formula: "L = −min(sA, clip(s)A), s = exp(mean_t log r_t); W = sA/T_i inside", Source: "GSPO (Zheng et al. 2025)", Shapes: "n × T_i", Units: "advantage", Params: clipParams(low, high), Needs: []Need{NeedOld}},
		func(p Params, v *View, i int, logp, slope []float64) float64 {
			n := float64(v.counted(i))
			mean := (v.sum(i, logp) - v.sum(i, v.Samples[i].Old)) / n
			value, s := clipped(ratio(mean, 0), v.sum(i, v.Advantage[i])/n, p.value("low"), p.value("high"), p.value("dual"))
			for t, m := range v.Mask[i] {
				if m {
					slope[t] = s / n
				}
			}
			return value
		})
}

// Taylor2 expands the product of ratios of a sample to the second order, for rewards at the end that are exact for two tokens and less wrong than the first order for more.
func Taylor2() Term {
	return perSequence(About{Name: "taylor-2", Formula: "L = −A(1 + Σ_t d_t + Σ_{t<u} d_t d_u), d = r − 1; W = r_t(1 + Σ_{u≠t} d_u)A", Source: "TayPO-2 (Tang, Valko and Munos 2020)", Shapes: "n × T_i", Units: "advantage", Needs: []Need{NeedOld}},
		func(_ Params, v *View, i int, logp, slope []float64) float64 {
			a := v.sum(i, v.Advantage[i]) / float64(v.counted(i))
			sum, squares := 0.0, 0.0
			for t, m := range v.Mask[i] {
				if m {
					d := ratio(logp[t], v.Samples[i].Old[t]) - 1
					sum += d
					squares += d * d
				}
			}
			for t, m := range v.Mask[i] {
				if m {
					r := ratio(logp[t], v.Samples[i].Old[t])
					slope[t] = r * (1 + sum - (r - 1)) * a
				}
			}
			return a * (1 + sum + (sum*sum-squares)/2)
		})
}

// CentredClip subtracts the mean log-ratio of the counted tokens before it clips: under the old policy log r lies below zero by KL(old‖new), so that the upper bound binds too late. The mean is held constant in the gradient.
func CentredClip(low, high float64) Term {
	return Term{
		About: About{Name: "centred-clip", Formula: "Clip with log r − sg(mean log r)", Source: "GRPO-Guard (2025), for tokens", Shapes: "n × T_i", Units: "advantage", Params: clipParams(low, high), Needs: []Need{NeedOld}},
		Do: func(p Params, v *View, logp [][]float64, out *Loss) {
			sum, n := 0.0, 0.0
			for i := range v.Samples {
				sum += v.sum(i, logp[i]) - v.sum(i, v.Samples[i].Old)
				n += float64(v.counted(i))
			}
			if n == 0 {
				return
			}
			centre := sum / n
			for i := range v.Samples {
				for t, w := range v.Weight[i] {
					if w != 0 {
						value, slope := clipped(ratio(logp[i][t]-centre, v.Samples[i].Old[t]), v.Advantage[i][t], p.value("low"), p.value("high"), p.value("dual"))
						out.Value -= w * value
						out.W[i][t] += w * slope
					}
				}
			}
		},
	}
}

// Exponential is advantage-weighted regression: tokens gain by exp(αA), at most by cap.
func Exponential(alpha, most float64) Term {
	return perToken(About{Name: "exponential", Formula: "L = −min(e^{αA}, cap)·log π", Source: "AWR (Peng et al. 2019), HIQL (Park et al. 2023)", Shapes: "n × T_i", Units: "nats", Params: Params{par("alpha", alpha, 1, "1/advantage"), par("cap", most, 100, "weight")}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			w := min(math.Exp(p.value("alpha")*v.Advantage[i][t]), p.value("cap"))
			return w * l, w
		})
}
