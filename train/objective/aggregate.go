package objective

// aggregated makes token weights from the number of counted tokens of a sample and of the samples and tokens of the batch that count.
func aggregated(a About, weight func(p Params, tokens, samples, total int) float64) Aggregate {
	return Aggregate{About: a, Do: func(p Params, v *View) [][]float64 {
		out := rows(v)
		samples, total := 0, 0
		for i := range v.Samples {
			if n := v.counted(i); n > 0 {
				samples++
				total += n
			}
		}
		for i := range out {
			n := v.counted(i)
			for t, m := range v.Mask[i] {
				if m {
					out[i][t] = weight(p, n, samples, total)
				}
			}
		}
		return out
	}}
}

// TokenMean weighs every token of the batch the same; long samples weigh more.
func TokenMean() Aggregate {
	return aggregated(About{Name: "token-mean", Formula: "1/Σ_i T_i", Source: "DAPO (ByteDance, Yu et al. 2025)", Shapes: "n × T_i", Units: "per token"},
		func(_ Params, _, _, total int) float64 { return 1 / float64(total) })
}

// SequenceMean weighs every sample the same and spreads that over its tokens; tokens of long samples weigh less.
func SequenceMean() Aggregate {
	return aggregated(About{Name: "sequence-mean", Formula: "1/(n·T_i)", Source: "GRPO (Shao et al. 2024)", Shapes: "n × T_i", Units: "per token"},
		func(_ Params, tokens, samples, _ int) float64 { return 1 / float64(tokens*samples) })
}

// SequenceSum adds the tokens of a sample up, which is the log-probability of the sample as a whole.
func SequenceSum() Aggregate {
	return aggregated(About{Name: "sequence-sum", Formula: "1/n", Source: "REINFORCE, RLOO", Shapes: "n × T_i", Units: "per token"},
		func(_ Params, _, samples, _ int) float64 { return 1 / float64(samples) })
}

// Constant is SequenceSum over a length that is the same for all batches, so that no length is favoured.
func Constant(length float64) Aggregate {
	return aggregated(About{Name: "constant", Formula: "1/(n·length)", Source: "Dr. GRPO (Liu et al. 2025)", Shapes: "n × T_i", Units: "per token", Params: Params{par("length", length, 512, "tokens")}},
		func(p Params, _, samples, _ int) float64 { return 1 / (float64(samples) * p.value("length")) })
}

// Budget divides by a number of tokens that is the same for all batches; TokenBudget picks samples up to it.
func Budget(tokens float64) Aggregate {
	return aggregated(About{Name: "budget", Formula: "1/Φ", Source: "C3PO of Ring-lite (inclusionAI/Ring)", Shapes: "n × T_i", Units: "per token", Params: Params{par("tokens", tokens, 409600, "tokens")}},
		func(p Params, _, _, _ int) float64 { return 1 / p.value("tokens") })
}
