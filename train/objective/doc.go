// Package objective is what training minimises: pure functions from samples and log-probabilities to one weight per token.
//
// Every objective of a sequence model that is built here has a gradient of one shape,
//
//	g = Σ_i Σ_t W[i,t] · ∇θ log πθ(y[i,t] | c_i, y[i,<t])   (+ an entropy term),
//
// so a loss is a function of a slice of log-probabilities that returns W = −dLoss/dlogp, and nothing here knows a model, a clock or a network: a gradient is checked by finite differences on bare slices.
//
// A Recipe is one algorithm, as one choice in each slot:
//
//	Compose    components of a judgement → one reward, and costs
//	Normalize  rewards of a group → a score per sample: what counts as good
//	Credit     a score → an advantage per token: where it counts
//	Select     which rows and tokens count, and which rows are compared in pairs
//	Aggregate  what one token weighs in the whole
//	Terms      surrogate, preference and divergence losses, which add up
//
// A recipe is a literal; there is no registry, and a diff of two literals says how two algorithms differ. Slots are named by their formula: acronyms of papers clash (DAPO names
// three things, SPO three, bnpo two), so they stand in the documentation only. Every slot carries its formula, source, shapes, units and parameters with defaults, from which the reference of
// `proviso train recipes` is printed.
//
// Conventions: r = π/π_old per token, A the advantage, ρ = π_ref/π, logarithms are natural, a standard deviation is unbiased unless it says otherwise. Rows are parallel to Sample.Tokens.
// A division that could be by zero has a stated meaning for zero, never an epsilon.
package objective
