package objective

import (
	"fmt"
	"math"
	"slices"
)

// None takes rewards as scores.
func None() Normalize {
	return Normalize{
		About: About{Name: "none", Formula: "A = R", Source: "REINFORCE (Williams 1992)", Shapes: "n → n", Units: "reward"},
		Do:    func(_ Params, v *View) []float64 { return slices.Clone(v.zeroed(v.Reward)) },
	}
}

// zeroed returns x with zeros where a sample could not be judged.
func (v *View) zeroed(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, a := range x {
		if v.OK[i] {
			out[i] = a
		}
	}
	return out
}

// inGroups applies f to the rewards of the judged samples of each group. A group of one has nothing to be compared with: its score is 0.
func (v *View) inGroups(f func(r []float64) []float64) []float64 {
	out := make([]float64, len(v.Samples))
	for _, g := range v.groups() {
		at := v.judged(g)
		if len(at) < 2 {
			continue
		}
		for k, a := range f(v.rewards(at)) {
			out[at[k]] = a
		}
	}
	return out
}

// Mean subtracts the mean of the group.
func Mean() Normalize {
	return Normalize{
		About:   About{Name: "mean", Formula: "A_i = R_i − mean_group R", Source: "Dr. GRPO (Liu et al. 2025)", Shapes: "n → n, by group", Units: "reward", Needs: []Need{NeedGroup}},
		Centred: true,
		Do: func(_ Params, v *View) []float64 {
			return v.inGroups(centred)
		},
	}
}

func centred(r []float64) []float64 {
	mean, _ := moments(r)
	out := make([]float64, len(r))
	for i, a := range r {
		out[i] = a - mean
	}
	return out
}

// LeaveOneOut subtracts the mean of the others, which makes the expected gradient that of the expected reward.
func LeaveOneOut() Normalize {
	return Normalize{
		About:   About{Name: "leave-one-out", Formula: "A_i = R_i − mean_{j≠i} R_j = (R_i − mean R)·G/(G−1)", Source: "RLOO (Kool et al. 2019, Ahmadian et al. 2024)", Shapes: "n → n, by group of G", Units: "reward", Needs: []Need{NeedGroup}},
		Centred: true,
		Do: func(_ Params, v *View) []float64 {
			return v.inGroups(func(r []float64) []float64 {
				out := centred(r)
				for i := range out {
					out[i] *= float64(len(r)) / float64(len(r)-1)
				}
				return out
			})
		},
	}
}

// MeanStd divides the centred reward by the group's standard deviation. A group whose deviation is not above floor scores 0: without a floor, noise of .02 in one of eight answers weighs as much as a failure.
// biased 1 divides by the population form, with G in place of G−1.
func MeanStd(floor float64) Normalize {
	return Normalize{
		About: About{Name: "mean-std", Formula: "A_i = (R_i − mean R)/std R; 0 where std R ≤ floor", Source: "GRPO (Shao et al. 2024), verl compute_grpo_outcome_advantage", Shapes: "n → n, by group", Units: "standard deviations", Needs: []Need{NeedGroup},
			Params: Params{par("floor", floor, 0, "reward"), par("biased", 0, 0, "0 or 1")}},
		Centred: true,
		Do: func(p Params, v *View) []float64 {
			return v.inGroups(func(r []float64) []float64 { return standardized(r, p.value("floor"), p.value("biased") != 0) })
		},
	}
}

func standardized(r []float64, floor float64, biased bool) []float64 {
	_, variance := moments(r)
	if biased {
		variance *= float64(len(r)-1) / float64(len(r))
	}
	out := centred(r)
	std := math.Sqrt(variance)
	// Rewards that are equal but for rounding have no order.
	if std <= max(floor, 1e-12*math.Abs(slices.Max(r))) {
		clear(out)
		return out
	}
	for i := range out {
		out[i] /= std
	}
	return out
}

// Beta divides by a Beta density that is fitted to the success rates of the groups in the batch. Rewards have to be in [0, 1]. With one group, equal rates, or moments that no Beta has, it is Mean.
func Beta() Normalize {
	return Normalize{
		About: About{Name: "beta", Formula: "A = (R − p)/f(p; α, β); p group mean; m, v mean and variance of p; a = (m(1−m)/v − 1)m, b = (m(1−m)/v − 1)(1−m); α = max(1, 1+a/3), β = max(1, 1+b/3); 0 where p is 0 or 1",
			Source: "BNPO (changyi7231/BNPO): bnpo_ray_trainer.py:105", Shapes: "n → n, over the batch", Units: "reward", Needs: []Need{NeedGroup}, Params: Params{par("max", 1e6, 1e6, "weight")}},
		Centred: true,
		Do: func(p Params, v *View) []float64 {
			var rates []float64
			for _, g := range v.groups() {
				if at := v.judged(g); len(at) >= 2 {
					rate, _ := moments(v.rewards(at))
					rates = append(rates, rate)
				}
			}
			alpha, beta := betaShape(rates)
			return v.inGroups(func(r []float64) []float64 {
				out := centred(r)
				rate, _ := moments(r)
				w := 0.0
				if rate > 0 && rate < 1 {
					w = min(1/betaDensity(rate, alpha, beta), p.value("max"))
				}
				for i := range out {
					out[i] *= w
				}
				return out
			})
		},
	}
}

// betaShape returns the α and β of the normalizer for the success rates of a batch.
func betaShape(rates []float64) (alpha, beta float64) {
	m, v := moments(rates)
	if v == 0 || m <= 0 || m >= 1 {
		return 1, 1
	}
	k := m*(1-m)/v - 1
	return max(1, 1+k*m/3), max(1, 1+k*(1-m)/3)
}

func betaDensity(x, alpha, beta float64) float64 {
	ga, _ := math.Lgamma(alpha)
	gb, _ := math.Lgamma(beta)
	gab, _ := math.Lgamma(alpha + beta)
	return math.Exp((alpha-1)*math.Log(x) + (beta-1)*math.Log1p(-x) - (ga + gb - gab))
}

// PerComponent standardizes each component within the group and adds the results, so that breaking two rules counts twice as much as breaking one. weights nil takes every component that is no cost with 1.
func PerComponent(floor float64, weights map[string]float64) Normalize {
	params := append(Params{par("floor", floor, 0, "reward")}, weightParams(weights)...)
	return Normalize{
		About:   About{Name: "per-component", Formula: "A_i = Σ_k w_k (c_ik − mean c_k)/std c_k, each within the group", Source: "GDPO (NVlabs/GDPO: grpo_trainer.py:1221)", Shapes: "n × components → n, by group", Units: "standard deviations", Params: params, Needs: []Need{NeedGroup}},
		Centred: true,
		Do: func(p Params, v *View) []float64 {
			weight := map[string]float64{}
			for _, w := range p[1:] {
				weight[w.Name] = w.Value
			}
			out := make([]float64, len(v.Samples))
			for _, g := range v.groups() {
				at := v.judged(g)
				if len(at) < 2 {
					continue
				}
				for _, name := range componentNames(v, at) {
					w, chosen := weight[name]
					if len(weight) == 0 {
						w = 1
					} else if !chosen {
						continue
					}
					values := make([]float64, len(at))
					for k, i := range at {
						values[k], _ = component(&v.Samples[i], name)
					}
					for k, a := range standardized(values, p.value("floor"), false) {
						out[at[k]] += w * a
					}
				}
			}
			return out
		},
	}
}

func componentNames(v *View, at []int) []string {
	var out []string
	for _, i := range at {
		for _, c := range v.Samples[i].Rewards {
			isCost := len(c.Name) > len(costPrefix) && c.Name[:len(costPrefix)] == costPrefix
			if !isCost && !slices.Contains(out, c.Name) {
				out = append(out, c.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Rank scores by the share of the others that a sample beats minus the share that beats it, which only the order of the rewards decides.
func Rank() Normalize {
	return Normalize{
		About:   About{Name: "rank", Formula: "A_i = (#{j: R_i > R_j} − #{j: R_i < R_j})/(G−1)", Source: "URPO (2025), Kendall's τ", Shapes: "n → n, by group of G", Units: "share in [−1, 1]", Needs: []Need{NeedGroup}},
		Centred: true,
		Do: func(_ Params, v *View) []float64 {
			return v.inGroups(func(r []float64) []float64 {
				out := make([]float64, len(r))
				for i, a := range r {
					for _, b := range r {
						switch {
						case a > b:
							out[i] += 1 / float64(len(r)-1)
						case a < b:
							out[i] -= 1 / float64(len(r)-1)
						}
					}
				}
				return out
			})
		},
	}
}

// RunningClip standardizes with moments of earlier rewards, which Moments keeps, and clips. std 0 means that nothing is known yet: rewards are only clipped.
func RunningClip(mean, std, delta float64) Normalize {
	return Normalize{
		About: About{Name: "running-clip", Formula: "A = clip((R − mean)/std, ±delta)", Source: "PPO-max (OpenLMLab/MOSS-RLHF): ppo_trainer.py", Shapes: "n → n", Units: "standard deviations",
			Params: Params{par("mean", mean, 0, "reward"), par("std", std, 0, "reward"), par("delta", delta, 5, "standard deviations")}},
		Do: func(p Params, v *View) []float64 {
			mean, std, delta := p.value("mean"), p.value("std"), p.value("delta")
			if std == 0 {
				mean, std = 0, 1
			}
			out := v.zeroed(v.Reward)
			for i := range out {
				if v.OK[i] {
					out[i] = min(max((out[i]-mean)/std, -delta), delta)
				}
			}
			return out
		},
	}
}

// TopHalf weighs the better half of the batch by a softmax of its advantage over a temperature, and the rest with 0. The weights sum to the number of samples.
func TopHalf(temperature float64) Normalize {
	return Normalize{
		About: About{Name: "top-half", Formula: "ψ_i = softmax over the better half of (R_i/η), × n", Source: "V-MPO (Song et al. 2020)", Shapes: "n → n, over the batch", Units: "weight", Params: Params{par("temperature", temperature, 1, "reward")}},
		Do: func(p Params, v *View) []float64 {
			var at []int
			for i := range v.Samples {
				if v.OK[i] {
					at = append(at, i)
				}
			}
			slices.SortStableFunc(at, func(a, b int) int { return compare(v.Reward[b], v.Reward[a]) })
			at = at[:(len(at)+1)/2]
			out := make([]float64, len(v.Samples))
			if len(at) == 0 {
				return out
			}
			sum := 0.0
			for _, i := range at {
				out[i] = math.Exp((v.Reward[i] - v.Reward[at[0]]) / p.value("temperature"))
				sum += out[i]
			}
			for _, i := range at {
				out[i] *= float64(len(v.Samples)) / sum
			}
			return out
		},
	}
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// SetShare gives every member of a set the same score: mean reward times the share of distinct answers among those that earned something, minus the mean over the sets of the group.
// Counting distinct answers among all of them instead would pay for variety in failure.
func SetShare() Normalize {
	return Normalize{
		About:   About{Name: "set-share", Formula: "A_i = f(S_i) − mean_S f(S), f(S) = mean_{S} R · |distinct {y ∈ S: R > 0}|/|S|", Source: "Polychromic PPO (2025)", Shapes: "n → n, by set within group", Units: "reward", Needs: []Need{NeedGroup}},
		Centred: false,
		Do: func(_ Params, v *View) []float64 {
			out := make([]float64, len(v.Samples))
			for _, g := range v.groups() {
				sets := map[int][]int{}
				var order []int
				for _, i := range v.judged(g) {
					set := v.Samples[i].Set
					if sets[set] == nil {
						order = append(order, set)
					}
					sets[set] = append(sets[set], i)
				}
				if len(order) < 2 {
					continue
				}
				value, mean := map[int]float64{}, 0.0
				for _, set := range order {
					value[set] = diversity(v, sets[set])
					mean += value[set] / float64(len(order))
				}
				for _, set := range order {
					for _, i := range sets[set] {
						out[i] = value[set] - mean
					}
				}
			}
			return out
		},
	}
}

func diversity(v *View, set []int) float64 {
	mean, distinct := 0.0, map[uint64]bool{}
	for _, i := range set {
		mean += v.Reward[i] / float64(len(set))
		if v.Reward[i] > 0 {
			distinct[Fingerprint(0, v.Samples[i].Tokens)] = true
		}
	}
	return mean * float64(len(distinct)) / float64(len(set))
}

// ByRole normalizes each role of a group on its own.
func ByRole(inner Normalize) Normalize {
	out := inner
	out.Name = inner.Name + "-by-role"
	out.Source = inner.Source + "; M-GRPO (AQ-MedAI/MrlX)"
	out.Do = func(p Params, v *View) []float64 {
		split := *v
		split.Samples = slices.Clone(v.Samples)
		ids := map[string]GroupID{}
		for i := range split.Samples {
			key := fmt.Sprintf("%d/%s", v.Samples[i].Group, v.Samples[i].Role)
			if _, seen := ids[key]; !seen {
				ids[key] = GroupID(len(ids))
			}
			split.Samples[i].Group = ids[key]
		}
		return inner.Do(p, &split)
	}
	return out
}
