package objective

import (
	"fmt"
	"math"
	"strings"
)

func betaParam(beta, normal float64) Params { return Params{par("beta", beta, normal, "loss per nat")} }

// K2 is the penalty whose gradient on samples of the policy is that of KL(π‖π_ref); it equals K1 charged in the reward.
func K2(beta float64) Term {
	return perToken(About{Name: "kl2", Formula: "L = β·½(log π/π_ref)²; W = −β log(π/π_ref)", Source: "Schulman 2020 (k2); gradient of KL(π‖ref)", Shapes: "n × T_i", Units: "nats", Params: betaParam(beta, 0.001), Needs: []Need{NeedRef}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			d := l - v.Samples[i].Ref[t]
			return -p.value("beta") * d * d / 2, -p.value("beta") * d
		})
}

// K3 is the penalty of most papers. On samples of the policy its gradient is that of KL(π_ref‖π), not of KL(π‖π_ref).
func K3(beta float64) Term {
	return perToken(About{Name: "kl3", Formula: "L = β(ρ − 1 − log ρ), ρ = π_ref/π; W = −β(1 − ρ)", Source: "Schulman 2020 (k3), GRPO; gradient of KL(ref‖π)", Shapes: "n × T_i", Units: "nats", Params: betaParam(beta, 0.001), Needs: []Need{NeedRef}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			d := l - v.Samples[i].Ref[t]
			rho := ratio(-d, 0)
			return -p.value("beta") * (rho - 1 + d), -p.value("beta") * (1 - rho)
		})
}

// OldKL holds the policy near the one that drew the samples: the gradient of KL(π_old‖π) on its samples is that of −log π, here with the value of the k3 estimator.
func OldKL(beta float64) Term {
	return perToken(About{Name: "old-kl", Formula: "L = β(r − 1 − log r); W = −β(r − 1)", Source: "KL(old‖new), k3 form; FixPO (Zentner et al. 2023)", Shapes: "n × T_i", Units: "nats", Params: betaParam(beta, 1), Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			r := ratio(l, v.Samples[i].Old[t])
			return -p.value("beta") * (r - 1 - (l - v.Samples[i].Old[t])), -p.value("beta") * (r - 1)
		})
}

// PickedKL replaces the surrogate on picked tokens: −rA + c|log r|, without a clip. The terms beside it have to be Ratio, which it adds to.
func PickedKL(c float64) Term {
	return perToken(About{Name: "picked-kl", Formula: "L = c|log r| on picked tokens; W = −c·sign(log r)", Source: "KL-Cov (PRIME-RL/Entropy-Mechanism-of-RL): core_algos.py", Shapes: "n × T_i", Units: "nats", Params: Params{par("c", c, 1, "loss per nat")}, Needs: []Need{NeedOld}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			d := l - v.Samples[i].Old[t]
			if v.Picked == nil || !v.Picked[i][t] || d == 0 {
				return 0, 0
			}
			return -p.value("c") * math.Abs(d), -p.value("c") * math.Copysign(1, d)
		})
}

// Entropy pays for the entropy of the next-token distribution at counted tokens, with its exact gradient. The value is left out, since only the engine knows the entropy.
func Entropy(bonus float64) Term {
	return Term{
		About: About{Name: "entropy", Formula: "L = −c·H(π(·|y_<t)); weight of ∇H = c", Source: "A2C (Mnih et al. 2016)", Shapes: "n × T_i", Units: "nats", Params: Params{par("bonus", bonus, 0.001, "loss per nat")}, Needs: []Need{NeedEntropy}},
		Do: func(p Params, v *View, _ [][]float64, out *Loss) {
			if out.Entropy == nil {
				out.Entropy = rows(v)
			}
			for i, row := range v.Weight {
				for t, w := range row {
					out.Entropy[i][t] += w * p.value("bonus")
				}
			}
		},
	}
}

// EntropySampled is Entropy by its score-function estimate on samples of the policy, for engines without the exact gradient: ∇H = −E[log π ∇log π]. The mean log-probability is the baseline.
func EntropySampled(bonus float64) Term {
	return Term{
		About: About{Name: "entropy-sampled", Formula: "W = −c(log π − mean log π), the mean held constant", Source: "score-function gradient of H", Shapes: "n × T_i", Units: "nats", Params: Params{par("bonus", bonus, 0.001, "loss per nat")}},
		Do: func(p Params, v *View, logp [][]float64, out *Loss) {
			sum, total := 0.0, 0.0
			for i, row := range v.Weight {
				for t, w := range row {
					sum += w * logp[i][t]
					total += w
				}
			}
			if total == 0 {
				return
			}
			mean := sum / total
			for i, row := range v.Weight {
				for t, w := range row {
					d := logp[i][t] - mean
					out.Value += p.value("bonus") * w * d * d / 2
					out.W[i][t] -= p.value("bonus") * w * d
				}
			}
		},
	}
}

// Distill brings the policy to a teacher that saw more, on the policy's own samples: the gradient of KL(π‖teacher).
func Distill(beta float64) Term {
	return perToken(About{Name: "distill", Formula: "L = β·½(log π/π_teacher)²; W = −β(log π − log π_teacher)", Source: "on-policy context distillation, TRL SDFT", Shapes: "n × T_i", Units: "nats", Params: betaParam(beta, 1), Needs: []Need{NeedTeacher}},
		func(p Params, v *View, i, t int, l float64) (float64, float64) {
			d := l - v.Samples[i].Teacher[t]
			return -p.value("beta") * d * d / 2, -p.value("beta") * d
		})
}

// extras are the terms that can stand beside the terms of any recipe, sorted by name.
var extras = []func(coefficient float64) Term{Entropy, EntropySampled, K2, K3, OldKL}

// Extra returns a term that can stand beside the terms of any recipe: entropy, entropy-sampled, kl2, kl3, old-kl.
func Extra(name string, coefficient float64) (Term, error) {
	var names []string
	for _, make := range extras {
		t := make(coefficient)
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Term{}, fmt.Errorf("no term %q can be added; there are %s", name, strings.Join(names, ", "))
}
