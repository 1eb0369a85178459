package objective

import (
	"math"
	"slices"
)

// DropConstant drops groups whose rewards are all equal: nothing in them is better than anything else.
func DropConstant() Select {
	return Select{
		About: About{Name: "drop-constant", Formula: "drop groups with max R = min R", Source: "DAPO (ByteDance), dynamic sampling", Shapes: "n", Units: "–", Needs: []Need{NeedGroup}},
		Do: func(_ Params, v *View, _ uint64) {
			for _, g := range v.groups() {
				r := v.rewards(v.judged(g))
				if len(r) == 0 || slices.Max(r) == slices.Min(r) {
					for _, i := range g {
						v.drop(i)
					}
				}
			}
		},
	}
}

// DropTruncated drops samples that were cut off before they ended.
func DropTruncated() Select {
	return Select{
		About: About{Name: "drop-truncated", Formula: "drop samples that did not end", Source: "TRL mask_truncated_completions", Shapes: "n", Units: "–"},
		Do: func(_ Params, v *View, _ uint64) {
			for i := range v.Samples {
				if v.Samples[i].Truncated {
					v.drop(i)
				}
			}
		},
	}
}

// Fresh drops samples drawn more than some steps before the youngest of the batch.
func Fresh(steps float64) Select {
	return Select{
		About: About{Name: "fresh", Formula: "drop samples with max Version − Version > steps", Source: "Asynchronous RLHF (Noukhovitch et al. 2024)", Shapes: "n", Units: "optimizer steps", Params: Params{par("steps", steps, 1, "steps")}},
		Do: func(p Params, v *View, _ uint64) {
			var youngest uint64
			for i := range v.Samples {
				youngest = max(youngest, v.Samples[i].Version)
			}
			for i := range v.Samples {
				if float64(youngest-v.Samples[i].Version) > p.value("steps") {
					v.drop(i)
				}
			}
		},
	}
}

// TruncatedIS weighs each token by min(cap, π_old/π_sampler), for samplers that do not compute what the engine computes. Samples that nobody sampled, and those scored in another context than they were drawn in, keep their weight.
func TruncatedIS(most float64) Select {
	return Select{
		About: About{Name: "truncated-is", Formula: "scale = min(cap, π_old/π_behaviour) where Drawn = Scored", Source: "OpenRLHF, TRL: truncated importance sampling", Shapes: "n × T_i", Units: "ratio", Params: Params{par("cap", most, 2, "ratio")}, Needs: []Need{NeedOld}},
		Do: func(p Params, v *View, _ uint64) {
			if v.Scale == nil {
				v.Scale = rows(v)
				for _, row := range v.Scale {
					for t := range row {
						row[t] = 1
					}
				}
			}
			for i := range v.Samples {
				s := &v.Samples[i]
				for t := range s.Behaviour {
					if s.Drawn == s.Scored {
						v.Scale[i][t] *= min(p.value("cap"), ratio(s.Old[t], s.Behaviour[t]))
					}
				}
			}
		},
	}
}

// TokenBudget keeps whole samples, in an order that the seed shuffles, until their tokens reach the budget.
func TokenBudget(tokens float64) Select {
	return Select{
		About: About{Name: "token-budget", Formula: "keep whole samples until Σ T_i ≥ Φ", Source: "C3PO of Ring-lite (inclusionAI/Ring)", Shapes: "n", Units: "tokens", Params: Params{par("tokens", tokens, 409600, "tokens")}},
		Do: func(p Params, v *View, seed uint64) {
			order := make([]int, len(v.Samples))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int {
				return compare(uniform(seed, uint64(a)), uniform(seed, uint64(b)))
			})
			used := 0.0
			for _, i := range order {
				if used >= p.value("tokens") {
					v.drop(i)
					continue
				}
				used += float64(v.counted(i))
			}
		},
	}
}

// place is one token of a view.
type place struct{ i, t int }

// covariances returns the counted tokens with (A − mean A)(log π − mean log π), the share of each in the change of the entropy.
func covariances(v *View) ([]place, []float64) {
	var at []place
	var a, l []float64
	for i := range v.Samples {
		for t, m := range v.Mask[i] {
			if m {
				at = append(at, place{i, t})
				a, l = append(a, v.Advantage[i][t]), append(l, v.Samples[i].Old[t])
			}
		}
	}
	meanA, _ := moments(a)
	meanL, _ := moments(l)
	cov := make([]float64, len(at))
	for k := range at {
		cov[k] = (a[k] - meanA) * (l[k] - meanL)
	}
	return at, cov
}

// CovMask takes the gradient from a random fraction of the tokens whose covariance lies between low and high, which are those that the entropy is lost at.
func CovMask(fraction, low, high float64) Select {
	return Select{
		About: About{Name: "cov-mask", Formula: "mask a random fraction of all tokens among those with cov_t ∈ (low, high); cov_t = (A_t − Ā)(log π_t − mean log π)", Source: "Clip-Cov (PRIME-RL/Entropy-Mechanism-of-RL): core_algos.py", Shapes: "n × T_i", Units: "reward · nats",
			Params: Params{par("fraction", fraction, 2e-4, "share of tokens"), par("low", low, 1, "reward · nats"), par("high", high, 5, "reward · nats")}, Needs: []Need{NeedOld}},
		Do: func(p Params, v *View, seed uint64) {
			at, cov := covariances(v)
			var candidates []int
			for k, c := range cov {
				if c > p.value("low") && c < p.value("high") {
					candidates = append(candidates, k)
				}
			}
			slices.SortStableFunc(candidates, func(a, b int) int {
				return compare(uniform(seed, uint64(a)), uniform(seed, uint64(b)))
			})
			n := min(len(candidates), int(math.Ceil(p.value("fraction")*float64(len(at)))))
			for _, k := range candidates[:n] {
				v.Mask[at[k].i][at[k].t] = false
			}
		},
	}
}

// CovTop marks the tokens with the largest covariance for PickedKL.
func CovTop(fraction float64) Select {
	return Select{
		About: About{Name: "cov-top", Formula: "pick the top fraction of tokens by cov_t", Source: "KL-Cov (PRIME-RL/Entropy-Mechanism-of-RL): core_algos.py", Shapes: "n × T_i", Units: "reward · nats", Params: Params{par("fraction", fraction, 2e-3, "share of tokens")}, Needs: []Need{NeedOld}},
		Do: func(p Params, v *View, _ uint64) {
			at, cov := covariances(v)
			order := make([]int, len(at))
			for k := range order {
				order[k] = k
			}
			slices.SortStableFunc(order, func(a, b int) int { return compare(cov[b], cov[a]) })
			v.Picked = make([][]bool, len(v.Samples))
			for i := range v.Picked {
				v.Picked[i] = make([]bool, len(v.Samples[i].Tokens))
			}
			for _, k := range order[:min(len(order), int(math.Ceil(p.value("fraction")*float64(len(at)))))] {
				v.Picked[at[k].i][at[k].t] = true
			}
		},
	}
}

// TopOne keeps the best judged sample of each group, the first of equals, and drops the rest.
func TopOne() Select {
	return Select{
		About: About{Name: "top-one", Formula: "keep argmax_i R_i of each group", Source: "best-of-n, rejection sampling", Shapes: "n", Units: "–", Needs: []Need{NeedGroup}},
		Do: func(_ Params, v *View, _ uint64) {
			for _, g := range v.groups() {
				best := -1
				for _, i := range v.judged(g) {
					if best < 0 || v.Reward[i] > v.Reward[best] {
						best = i
					}
				}
				for _, i := range g {
					if i != best {
						v.drop(i)
					}
				}
			}
		},
	}
}

// EditsThatHelp drops edited samples that did not raise the reward of their parent, so that no edit is learnt for its own sake.
func EditsThatHelp() Select {
	return Select{
		About: About{Name: "edits-that-help", Formula: "drop edited i with R_i ≤ R_parent(i)", Source: "EditGRPO (taokz/EditGRPO)", Shapes: "n", Units: "–"},
		Do: func(_ Params, v *View, _ uint64) {
			at := map[SampleID]int{}
			for i := range v.Samples {
				at[v.Samples[i].ID] = i
			}
			for i := range v.Samples {
				s := &v.Samples[i]
				if parent, known := at[s.Parent]; s.Origin == Edited && known && s.Parent != 0 && v.OK[parent] && v.Reward[i] <= v.Reward[parent] {
					v.drop(i)
				}
			}
		},
	}
}

// BestAgainstWorst makes one pair of each group whose rewards differ: the best, and the worst.
func BestAgainstWorst() Select {
	return Select{
		About: About{Name: "best-against-worst", Formula: "(argmax R, argmin R) of each group", Source: "online DPO (Noukhovitch et al. 2024): online_dpo_trainer.py", Shapes: "n → pairs", Units: "–", Needs: []Need{NeedGroup}},
		Do: func(_ Params, v *View, _ uint64) {
			for _, g := range v.groups() {
				at := v.judged(g)
				if len(at) < 2 {
					continue
				}
				best, worst := at[0], at[0]
				for _, i := range at {
					if v.Reward[i] > v.Reward[best] {
						best = i
					}
					if v.Reward[i] < v.Reward[worst] {
						worst = i
					}
				}
				if gap := v.Reward[best] - v.Reward[worst]; gap > 0 {
					v.Pairs = append(v.Pairs, Pair{best, worst, gap})
				}
			}
		},
	}
}

// MinePairs makes every ordered pair of a group whose difference is certain enough. Ties never make a pair.
func MinePairs(margin, temperature float64) Select {
	return Select{
		About: About{Name: "mine-pairs", Formula: "every (i, j) with σ((R_i − R_j)/τ) > η and R_i > R_j", Source: "RS-DPO (Khaki et al. 2024), Algorithm 1", Shapes: "n → pairs", Units: "probability",
			Params: Params{par("margin", margin, 0.7, "probability"), par("temperature", temperature, 1, "reward")}, Needs: []Need{NeedGroup}},
		Do: func(p Params, v *View, _ uint64) {
			for _, g := range v.groups() {
				at := v.judged(g)
				for _, i := range at {
					for _, j := range at {
						gap := v.Reward[i] - v.Reward[j]
						if gap > 0 && sigmoid(gap/p.value("temperature")) > p.value("margin") {
							v.Pairs = append(v.Pairs, Pair{i, j, gap})
						}
					}
				}
			}
		},
	}
}

// PairByPrefix makes a pair of every two samples of a group that share a prefix up to the same Branch, and leaves only the turn that begins there (the rest of the sample, where turns are not marked).
// Ties are pairs too: they say that two continuations are equally good.
func PairByPrefix() Select {
	return Select{
		About: About{Name: "pair-by-prefix", Formula: "pairs with equal Branch; mask = the turn at Branch", Source: "REFUEL (ZhaolinGao/REFUEL): setting_one/refuel.py", Shapes: "n → pairs", Units: "–", Needs: []Need{NeedGroup}},
		Do: func(_ Params, v *View, _ uint64) {
			paired := make([]bool, len(v.Samples))
			for _, g := range v.groups() {
				at := v.judged(g)
				for k, i := range at {
					for _, j := range at[k+1:] {
						a, b := &v.Samples[i], &v.Samples[j]
						if a.Branch != b.Branch || !slices.Equal(a.Tokens[:a.Branch], b.Tokens[:b.Branch]) {
							continue
						}
						first, second := i, j
						if v.Reward[j] > v.Reward[i] {
							first, second = j, i
						}
						v.Pairs = append(v.Pairs, Pair{first, second, v.Reward[first] - v.Reward[second]})
						paired[i], paired[j] = true, true
					}
				}
			}
			for i := range v.Samples {
				if !paired[i] {
					v.drop(i)
					continue
				}
				turn := divergent(&v.Samples[i])
				for t := range v.Mask[i] {
					v.Mask[i][t] = v.Mask[i][t] && t >= turn.Start && t < turn.End
				}
			}
		},
	}
}

// divergent is the part of the turn at Branch that is the sample's own.
func divergent(s *Sample) Span {
	for _, turn := range s.Turns {
		if s.Branch >= turn.Start && s.Branch < turn.End {
			return Span{s.Branch, turn.End}
		}
	}
	return Span{s.Branch, len(s.Tokens)}
}
