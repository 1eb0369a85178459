package objective

import "math"

// PerSequence gives every token the score of its sample.
func PerSequence() Credit {
	return Credit{
		About: About{Name: "per-sequence", Formula: "A_it = A_i", Source: "outcome rewards, common", Shapes: "n → n × T_i", Units: "as the score"},
		Do: func(_ Params, v *View) [][]float64 {
			out := rows(v)
			for i := range out {
				for t := range out[i] {
					out[i][t] = v.Score[i]
				}
			}
			return out
		},
	}
}

// GAE is generalized advantage estimation over the live tokens: the score is paid at the last of them, and kl times log π_old/π_ref is charged at each. Tokens that others wrote are passed over.
// whiten 1 makes the advantages of the batch have mean 0 and deviation 1. It fills View.Return.
func GAE(gamma, lambda, kl float64) Credit {
	return Credit{
		About: About{Name: "gae", Formula: "δ_t = r_t + γV_{t+1} − V_t; A_t = δ_t + γλA_{t+1}; r_t = 1[t last]·R − kl·log(π_old/π_ref)", Source: "Schulman et al. 2016; PPO-max (OpenLMLab/MOSS-RLHF)", Shapes: "n, values n × T_i → n × T_i", Units: "reward",
			Params: Params{par("gamma", gamma, 1, "per token"), par("lambda", lambda, 0.95, "per token"), par("kl", kl, 0.05, "reward per nat"), par("whiten", 0, 0, "0 or 1")},
			Needs:  []Need{NeedValue, NeedOld, NeedRef}},
		Do: func(p Params, v *View) [][]float64 {
			out, returns := rows(v), rows(v)
			gamma, lambda, kl := p.value("gamma"), p.value("lambda"), p.value("kl")
			var all []float64
			for i := range v.Samples {
				s := &v.Samples[i]
				next, value, first := 0.0, 0.0, true
				for t := len(s.Tokens) - 1; t >= 0; t-- {
					if !v.Mask[i][t] {
						continue
					}
					r := 0.0
					if first {
						r = v.Score[i]
					}
					if kl != 0 {
						r -= kl * (s.Old[t] - s.Ref[t])
					}
					next = r + gamma*value - s.Value[t] + gamma*lambda*next
					value, first = s.Value[t], false
					out[i][t], returns[i][t] = next, next+s.Value[t]
					all = append(all, next)
				}
			}
			v.Return = returns
			if p.value("whiten") == 0 {
				return out
			}
			mean, variance := moments(all)
			std := math.Sqrt(variance)
			for i, row := range out {
				for t := range row {
					if v.Mask[i][t] {
						row[t] -= mean
						if std > 0 {
							row[t] /= std
						}
					}
				}
			}
			return out
		},
	}
}

// turnRewards returns, for each turn of a sample, the sum of the judged components that are about it.
func turnRewards(s *Sample) []float64 {
	out := make([]float64, len(s.Turns))
	for k, turn := range s.Turns {
		for _, c := range s.Rewards {
			if c.OK && c.At == turn {
				out[k] += c.Value
			}
		}
	}
	return out
}

// turnCredit spreads the score over turns in proportion to credits: A = score · credit_k · #nonzero / Σ credit. Where the credits do not sum to more than 0 they say nothing about shares, so that every turn
// gets the score: a dialogue that failed as a whole keeps its negative signal, and a sum near 0 cannot multiply it.
func turnCredit(name, formula string, params Params, credit func(p Params, r []float64) []float64) Credit {
	return Credit{
		About: About{Name: name, Formula: "A_it = A_i · c_k · #{c ≠ 0}/Σ c; A_i where Σ c ≤ 0; " + formula, Source: "UserRL (SalesforceAIResearch/UserRL): core_algos.py:682", Shapes: "n, turn rewards → n × T_i", Units: "as the score", Params: params},
		Do: func(p Params, v *View) [][]float64 {
			out := PerSequence().Do(nil, v)
			for i := range v.Samples {
				s := &v.Samples[i]
				c := credit(p, turnRewards(s))
				sum, nonzero := 0.0, 0.0
				for _, x := range c {
					sum += x
					if x != 0 {
						nonzero++
					}
				}
				if sum <= 0 {
					continue
				}
				for k, turn := range s.Turns {
					for t := turn.Start; t < turn.End; t++ {
						out[i][t] = v.Score[i] * c[k] * nonzero / sum
					}
				}
			}
			return out
		},
	}
}

// TurnReturn weighs turns by their discounted reward to go.
func TurnReturn(gamma float64) Credit {
	return turnCredit("turn-return", "c_k = Σ_{j≥k} γ^{j−k} r_j", Params{par("gamma", gamma, 0.8, "per turn")}, func(p Params, r []float64) []float64 {
		out, run := make([]float64, len(r)), 0.0
		for k := len(r) - 1; k >= 0; k-- {
			run = r[k] + p.value("gamma")*run
			out[k] = run
		}
		return out
	})
}

// TurnSaturating weighs turns between a half and one, by how much they earned.
func TurnSaturating() Credit {
	return turnCredit("turn-saturating", "c_k = ½ + ½(1 − e^{−2r_k})/(1 − e^{−2})", nil, func(_ Params, r []float64) []float64 {
		out := make([]float64, len(r))
		for k, x := range r {
			out[k] = 0.5 + 0.5*(1-math.Exp(-2*x))/(1-math.Exp(-2))
		}
		return out
	})
}

// BranchMean gives a token that several samples share through a common prefix the mean of their scores. With on-policy branches its gradient is that of PerSequence; it only says so more clearly.
func BranchMean() Credit {
	return Credit{
		About: About{Name: "branch-mean", Formula: "A_it = mean of A_j over the samples j that share the first t tokens through Parent and Branch", Source: "ARPO (dongguanting/ARPO): vllm_rollout_with_tools.py", Shapes: "n → n × T_i", Units: "as the score"},
		Do: func(_ Params, v *View) [][]float64 {
			at := map[SampleID]int{}
			for i := range v.Samples {
				if id := v.Samples[i].ID; id != 0 {
					at[id] = i
				}
			}
			// owner returns the sample whose own token t of sample i is.
			owner := func(i, t int) int {
				for range v.Samples {
					parent, known := at[v.Samples[i].Parent]
					if !known || v.Samples[i].Parent == 0 || t >= v.Samples[i].Branch {
						return i
					}
					i = parent
				}
				return i
			}
			type place struct{ owner, t int }
			sum, count := map[place]float64{}, map[place]float64{}
			out := rows(v)
			for i, row := range out {
				for t := range row {
					if v.OK[i] {
						p := place{owner(i, t), t}
						sum[p] += v.Score[i]
						count[p]++
					}
				}
			}
			for i, row := range out {
				for t := range row {
					if p := (place{owner(i, t), t}); v.OK[i] {
						row[t] = sum[p] / count[p]
					}
				}
			}
			return out
		},
	}
}

// OwnAttempt pays each turn its own reward, and the last one a bonus for improving on the first. Paying the bonus to the first attempt as well teaches a model to fail first.
func OwnAttempt(bonus float64) Credit {
	return Credit{
		About: About{Name: "own-attempt", Formula: "A_it = r_k(t); in the last turn + bonus·(r_last − r_first)", Source: "SCoRe (Kumar et al. 2024), with each attempt's own credit", Shapes: "turn rewards → n × T_i", Units: "reward", Params: Params{par("bonus", bonus, 10, "reward per reward")}},
		Do: func(p Params, v *View) [][]float64 {
			out := rows(v)
			for i := range v.Samples {
				s := &v.Samples[i]
				r := turnRewards(s)
				for k, turn := range s.Turns {
					a := r[k]
					if k > 0 && k == len(r)-1 {
						a += p.value("bonus") * (r[k] - r[0])
					}
					for t := turn.Start; t < turn.End && v.OK[i]; t++ {
						out[i][t] = a
					}
				}
			}
			return out
		},
	}
}

// StepValue is the rise of a critic's value over a turn, the last turn ending at the score: A(step) = V(after) − V(before).
func StepValue() Credit {
	return Credit{
		About: About{Name: "step-value", Formula: "A_it = V(s_{k+1}) − V(s_k) for t in turn k; V after the last turn is R", Source: "Direct Advantage PO (arXiv 2412.18279)", Shapes: "values n × T_i → n × T_i", Units: "reward", Needs: []Need{NeedValue}},
		Do: func(_ Params, v *View) [][]float64 {
			out := rows(v)
			for i := range v.Samples {
				s := &v.Samples[i]
				turns := s.Turns
				if len(turns) == 0 {
					turns = []Span{{0, len(s.Tokens)}}
				}
				for k, turn := range turns {
					after := v.Score[i]
					if k+1 < len(turns) {
						after = s.Value[turns[k+1].Start]
					}
					for t := turn.Start; t < turn.End && v.OK[i]; t++ {
						out[i][t] = after - s.Value[turn.Start]
					}
				}
			}
			return out
		},
	}
}
