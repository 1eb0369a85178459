package objective

import "math"

// perPair makes a term of View.Pairs. margin returns the log-ratio of a whole sample to what the loss compares with; f returns loss and its derivative by h = margin(chosen) − margin(rejected).
// Pairs weigh the same. View.Weight is not read, since a preference is about whole answers; View.Mask is.
func perPair(a About, margin func(p Params, v *View, i int, logp []float64) float64, f func(p Params, pair Pair, h float64) (loss, slope float64)) Term {
	a.Needs = append(a.Needs, NeedPairs)
	return Term{About: a, Do: func(p Params, v *View, logp [][]float64, out *Loss) {
		n := float64(len(v.Pairs))
		for _, pair := range v.Pairs {
			h := margin(p, v, pair.Chosen, logp[pair.Chosen]) - margin(p, v, pair.Rejected, logp[pair.Rejected])
			loss, slope := f(p, pair, h)
			out.Value += loss / n
			for _, side := range []struct {
				i    int
				sign float64
			}{{pair.Chosen, 1}, {pair.Rejected, -1}} {
				for t, m := range v.Mask[side.i] {
					if m {
						out.W[side.i][t] -= side.sign * slope / n
					}
				}
			}
			out.Stats.Margin += h / n
			if h > 0 {
				out.Stats.Accuracy += 1 / n
			}
		}
	}}
}

func overRef(_ Params, v *View, i int, logp []float64) float64 {
	return v.sum(i, logp) - v.sum(i, v.Samples[i].Ref)
}

func overOld(_ Params, v *View, i int, logp []float64) float64 {
	return v.sum(i, logp) - v.sum(i, v.Samples[i].Old)
}

// PreferenceLogistic is the likelihood of the preferences under the reward β log π/π_ref. On pairs that are always one-sided the margin grows without end; watch it.
func PreferenceLogistic(beta float64) Term {
	return perPair(About{Name: "preference-logistic", Formula: "L = −log σ(βh), h = Δ log π/π_ref; W = ±βσ(−βh)", Source: "DPO (Rafailov et al. 2023)", Shapes: "pairs", Units: "nats", Params: Params{par("beta", beta, 0.1, "1/nat")}, Needs: []Need{NeedRef}}, overRef,
		func(p Params, _ Pair, h float64) (float64, float64) {
			b := p.value("beta")
			return -logSigmoid(b * h), -b * sigmoid(-b*h)
		})
}

// PreferenceSquare ends at a margin of 1/2β instead of growing.
func PreferenceSquare(beta float64) Term {
	return perPair(About{Name: "preference-square", Formula: "L = (h − 1/2β)², h = Δ log π/π_ref", Source: "IPO (Azar et al. 2024)", Shapes: "pairs", Units: "nats²", Params: Params{par("beta", beta, 0.1, "1/nat")}, Needs: []Need{NeedRef}}, overRef,
		func(p Params, _ Pair, h float64) (float64, float64) {
			d := h - 1/(2*p.value("beta"))
			return d * d, 2 * d
		})
}

// GameSquare moves towards the Nash equilibrium of a preference that need not be transitive: a mirror step with rate 1/η from the past policies, regularised by τ towards the reference.
// weights are the shares of Sample.Hist, the youngest first; they are scaled to sum to 1. Past policies beyond the weights, and weights beyond the past policies, count for nothing.
func GameSquare(eta, tau float64, weights ...float64) Term {
	params := Params{par("eta", eta, 0.0075, "nats"), par("tau", tau, 0.0025, "nats")}
	for k, w := range weights {
		params = append(params, par("weight"+string(rune('1'+k)), w, 1, "share"))
	}
	return perPair(About{Name: "game-square", Formula: "L = (h − 1/2η)², h = Δ[log π − (τ/η) log π_ref − (1−τ/η) Σ_k λ_k log π_{t−k}]", Source: "INPO (Zhang et al. 2024), MNPO (smiles724/MNPO)", Shapes: "pairs", Units: "nats²", Params: params, Needs: []Need{NeedRef, NeedHist}},
		func(p Params, v *View, i int, logp []float64) float64 {
			s := &v.Samples[i]
			share := p.value("tau") / p.value("eta")
			m := v.sum(i, logp) - share*v.sum(i, s.Ref)
			used := p[2:]
			used = used[:min(len(used), len(s.Hist))]
			total := 0.0
			for _, w := range used {
				total += w.Value
			}
			for k, w := range used {
				if total > 0 {
					m -= (1 - share) * w.Value / total * v.sum(i, s.Hist[k])
				}
			}
			return m
		},
		func(p Params, _ Pair, h float64) (float64, float64) {
			d := h - 1/(2*p.value("eta"))
			return d * d, 2 * d
		})
}

// Regress fits the difference of log-ratios to the difference of rewards. Its minimizer is exactly π_old e^{ηR}, normalised.
func Regress(eta float64) Term {
	return perPair(About{Name: "regress", Formula: "L = (Δ log π/π_old − η ΔR)²", Source: "REBEL (Gao et al. 2024), REFUEL (ZhaolinGao/REFUEL)", Shapes: "pairs", Units: "nats²", Params: Params{par("eta", eta, 1000, "nats per reward")}, Needs: []Need{NeedOld}}, overOld,
		func(p Params, pair Pair, h float64) (float64, float64) {
			d := h - p.value("eta")*pair.Gap
			return d * d, 2 * d
		})
}

// DirectAdvantage fits log π/π_ref of each step to A/β, off-line and without pairs. Without a partition term its optimum is the KL optimum only where E_ref e^{A/β} = 1; SoftAdvantage repairs that.
func DirectAdvantage(beta float64) Term {
	return perSequence(About{Name: "direct-advantage", Formula: "L = ½(A/β − log π/π_ref)², per sample over its counted tokens", Source: "Direct Advantage PO (arXiv 2412.18279)", Shapes: "n × T_i", Units: "nats²", Params: Params{par("beta", beta, 1, "reward per nat")}, Needs: []Need{NeedRef}},
		func(p Params, v *View, i int, logp, slope []float64) float64 {
			return regressed(v, i, logp, slope, v.sum(i, v.Advantage[i])/float64(v.counted(i))/p.value("beta"))
		})
}

// SoftAdvantage is DirectAdvantage with A = R − V*, V* = β log E e^{R/β} over the group's samples of the reference, which makes π_ref e^{R/β} its exact optimum.
func SoftAdvantage(beta float64) Term {
	return perSequence(About{Name: "soft-advantage", Formula: "L = ½((R − V*)/β − log π/π_ref)², V* = β log mean_group e^{R/β}", Source: "A*-PO (TRL experimental/a2po)", Shapes: "n × T_i", Units: "nats²", Params: Params{par("beta", beta, 1, "reward per nat")}, Needs: []Need{NeedRef, NeedGroup}},
		func(p Params, v *View, i int, logp, slope []float64) float64 {
			b := p.value("beta")
			top, sum, n := math.Inf(-1), 0.0, 0.0
			for j := range v.Samples {
				if v.OK[j] && v.Samples[j].Group == v.Samples[i].Group {
					top = max(top, v.Reward[j])
				}
			}
			for j := range v.Samples {
				if v.OK[j] && v.Samples[j].Group == v.Samples[i].Group {
					sum += math.Exp((v.Reward[j] - top) / b)
					n++
				}
			}
			return regressed(v, i, logp, slope, (v.Reward[i]-top)/b-math.Log(sum/n))
		})
}

// regressed returns −½(target − log π/π_ref)² and its slopes.
func regressed(v *View, i int, logp, slope []float64, target float64) float64 {
	d := target - overRef(nil, v, i, logp)
	for t, m := range v.Mask[i] {
		if m {
			slope[t] = d
		}
	}
	return -d * d / 2
}

// Posterior matches the policy, self-normalised over the samples of a group, to the posterior π_ref·p(good) self-normalised over the same samples. R is log p(good); Behaviour is the proposal that drew them.
// With two samples of the reference and a hard label it is PreferenceLogistic with β = 1.
func Posterior() Term {
	return Term{
		About: About{Name: "posterior", Formula: "W_i = α_i − β_i; α = softmax_i(log π_ref + R − log q), β = softmax_i(log π − log q); L = −Σ α log β", Source: "BRAIn (Pandey et al. 2024)", Shapes: "n, by group", Units: "nats", Needs: []Need{NeedRef, NeedBehaviour, NeedGroup}},
		Do: func(_ Params, v *View, logp [][]float64, out *Loss) {
			groups := v.groups()
			for _, g := range groups {
				at := v.judged(g)
				if len(at) < 2 {
					continue
				}
				alpha, beta := make([]float64, len(at)), make([]float64, len(at))
				for k, i := range at {
					s := &v.Samples[i]
					q := v.sum(i, s.Behaviour)
					alpha[k], beta[k] = v.sum(i, s.Ref)+v.Reward[i]-q, v.sum(i, logp[i])-q
				}
				softmaxInPlace(alpha)
				softmaxInPlace(beta)
				for k, i := range at {
					if alpha[k] > 0 {
						out.Value -= alpha[k] * math.Log(beta[k]) / float64(len(groups))
					}
					for t, m := range v.Mask[i] {
						if m {
							out.W[i][t] += (alpha[k] - beta[k]) / float64(len(groups))
						}
					}
				}
			}
		},
	}
}

func softmaxInPlace(x []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, a := range x {
		top = max(top, a)
	}
	for i, a := range x {
		x[i] = math.Exp(a - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// ValueLoss is the clipped squared error of a critic: L = mean ½ max((V−R)², (clip(V, V_old ± clip) − R)²) over the counted values, and dL/dV. clip 0 does not clip. The slices are parallel.
func ValueLoss(value, old, target []float64, clip float64) (loss float64, slope []float64) {
	slope = make([]float64, len(value))
	n := float64(len(value))
	for i, v := range value {
		d := v - target[i]
		l, g := d*d/2, d
		if clip > 0 {
			c := min(max(v, old[i]-clip), old[i]+clip)
			if e := c - target[i]; e*e > d*d {
				l, g = e*e/2, 0
			}
		}
		loss += l / n
		slope[i] = g / n
	}
	return loss, slope
}
