package objective

// MaximumLikelihood is supervised training and continued pre-training.
var MaximumLikelihood = &Recipe{
	Name: "maximum-likelihood", Also: "SFT, CPT",
	Doc:   "Every live token gains. Rewards are not read beyond whether the sample could be judged.",
	Terms: []Term{LogLikelihood()},
}

// BestOfN is maximum likelihood on the best sample of each group.
var BestOfN = &Recipe{
	Name: "best-of-n", Also: "RFT, rejection sampling",
	Doc:    "Imitates the best of several answers. Simple and hard to break; it learns nothing from what is bad.",
	Select: []Select{DropConstant(), TopOne()}, Aggregate: SequenceMean(), Terms: []Term{LogLikelihood()},
}

// Reinforce is the plain policy gradient.
var Reinforce = &Recipe{
	Name: "reinforce", Also: "REINFORCE",
	Doc:       "The gradient of the expected reward, without a baseline: unbiased and noisy.",
	Aggregate: SequenceSum(), Terms: []Term{Score()},
}

// GroupLeaveOneOut is the policy gradient with the mean of the others as the baseline.
var GroupLeaveOneOut = &Recipe{
	Name: "group-leave-one-out", Also: "RLOO",
	Doc:       "Unbiased, and with graded rewards the first choice among the group recipes: a deviation in the denominator would delete how severe a violation is.",
	Normalize: LeaveOneOut(), Select: []Select{DropConstant()}, Aggregate: SequenceSum(), Terms: []Term{Score()},
}

// GroupMean subtracts the mean of the group and divides by a constant length.
var GroupMean = &Recipe{
	Name: "group-mean", Also: "Dr.GRPO",
	Doc:       "As group-clip, without the two biases: no deviation in the denominator and no favour for short or long samples. Its expected gradient is (G−1)/G of the true one.",
	Normalize: Mean(), Aggregate: Constant(512), Terms: []Term{Clip(.2, .2)},
}

// GroupClip is the group-relative policy gradient in its first form.
var GroupClip = &Recipe{
	Name: "group-clip", Also: "GRPO",
	Doc:       "Standard scores within a group, clipped ratios, a k3 penalty to the reference. Fast on rare successes with binary verdicts; the effective step depends on the success rate.",
	Normalize: MeanStd(1e-3), Aggregate: SequenceMean(), Terms: []Term{Clip(.2, .2), K3(.001)},
}

// GroupClipHigher clips later upwards, weighs tokens alike and drops groups without a difference.
var GroupClipHigher = &Recipe{
	Name: "group-clip-higher", Also: "DAPO, DAPO (ByteDance)",
	Doc:       "As group-clip with more room for rare tokens, every token weighing the same, and no penalty. The sampler should draw again until a group is mixed.",
	Normalize: MeanStd(1e-3), Select: []Select{DropConstant()}, Aggregate: TokenMean(), Terms: []Term{Clip(.2, .28)},
}

// SequenceClip clips the ratio of whole samples.
var SequenceClip = &Recipe{
	Name: "sequence-clip", Also: "GSPO",
	Doc:       "One ratio per sample, the geometric mean of its tokens'. The bounds are those of a mean, hence far narrower.",
	Normalize: MeanStd(1e-3), Aggregate: SequenceMean(), Terms: []Term{ClipSequence(3e-4, 4e-4)},
}

// ClippedWeights bounds the weight of a token and keeps its gradient.
var ClippedWeights = &Recipe{
	Name: "clipped-weight", Also: "CISPO",
	Doc:       "No token loses its gradient; its importance weight is bounded instead.",
	Normalize: MeanStd(1e-3), Aggregate: TokenMean(), Terms: []Term{ClippedWeight(1, .28)},
}

// SigmoidGated fades the gradient as the ratio leaves 1.
var SigmoidGated = &Recipe{
	Name: "sigmoid-gate", Also: "SAPO",
	Doc:       "A smooth gate in place of a clip.",
	Normalize: MeanStd(1e-3), Aggregate: SequenceMean(), Terms: []Term{SigmoidGate(1, 1.05)},
}

// GAEClip is proximal policy optimization with a critic.
var GAEClip = &Recipe{
	Name: "gae-clip", Also: "PPO",
	Doc:    "Generalized advantages from a critic's values, clipped ratios, divergence from the reference charged in the reward. The critic is the caller's: ValueLoss has its loss, View.Return its targets.",
	Credit: GAE(1, .95, .05), Aggregate: TokenMean(), Terms: []Term{Clip(.2, .2)},
}

// GAEClipRunning is GAEClip with rewards that are standardized by their history and clipped.
var GAEClipRunning = &Recipe{
	Name: "gae-clip-running", Also: "PPO-max",
	Doc:       "As gae-clip, with rewards standardized by running moments and clipped, which keeps a reward model's outliers from deciding.",
	Normalize: RunningClip(0, 0, 5), Credit: GAE(1, .95, .05), Aggregate: TokenMean(), Terms: []Term{Clip(.2, .2)},
}

// PolicyRollout scores without the policy text what was drawn with it.
var PolicyRollout = &Recipe{
	Name: "policy-rollout", Also: "PoRo, PolicyRollout, TriMPI",
	Doc: "Half of each group is drawn with the policy text in the context and half without; all of it is scored without. Samples that read the policy show what the model does not find by itself. " +
		"Biased by design (no weight π(y|q)/π(y|q, policy)): with such weights it stops working. Needs Old in the Scored context.",
	Normalize: LeaveOneOut(), Select: []Select{DropConstant()}, Aggregate: Constant(512), Terms: []Term{Clip(.2, .28), K2(.001)},
}

// GatedRules standardizes each rule on its own.
var GatedRules = &Recipe{
	Name: "gated-rules", Also: "GDPO, SafeGRPO",
	Doc:       "Each rule is standardized within the group before they are added, so that two violations weigh twice one. The gate decides the reward that is reported; costs stay apart.",
	Normalize: PerComponent(.05, nil), Select: []Select{DropConstant()}, Aggregate: Constant(512), Terms: []Term{Clip(.2, .28), K2(.001)},
}

// BetaNorm normalizes binary rewards by a fitted Beta density.
var BetaNorm = &Recipe{
	Name: "beta-norm", Also: "BNPO",
	Doc:       "For binary verdicts: the weight of a group follows how success rates are distributed over the batch. Not TRL's loss of that name.",
	Normalize: Beta(), Aggregate: TokenMean(), Terms: []Term{Clip(.2, .28)},
}

// CovMasked takes the gradient from tokens that the entropy is lost at.
var CovMasked = &Recipe{
	Name: "cov-mask", Also: "Clip-Cov",
	Doc:       "A few tokens whose covariance of advantage and log-probability is high lose their gradient, so that the entropy does not collapse. An entropy bonus does as well on small problems.",
	Normalize: MeanStd(1e-3), Select: []Select{CovMask(2e-4, 1, 5)}, Aggregate: TokenMean(), Terms: []Term{Clip(.2, .2)},
}

// CovKL holds such tokens where they are.
var CovKL = &Recipe{
	Name: "cov-kl", Also: "KL-Cov",
	Doc:       "As cov-mask, but the tokens of the highest covariance pay for moving instead. The fraction is 2e-3 for small models and 2e-4 for large ones.",
	Normalize: MeanStd(1e-3), Select: []Select{CovTop(2e-3)}, Aggregate: TokenMean(), Terms: []Term{Ratio(), PickedKL(1)},
}

// QuadraticRatio draws ratios back to 1 ± ε.
var QuadraticRatio = &Recipe{
	Name: "quadratic", Also: "SPO, Simple Policy Optimization",
	Doc:       "A parabola in place of the clip: a token that went too far is drawn back. With shared parameters neither bounds what other tokens do.",
	Normalize: MeanStd(1e-3), Aggregate: TokenMean(), Terms: []Term{Quadratic(.2)},
}

// FixedUp bounds the divergence on the batch by extra steps.
var FixedUp = &Recipe{
	Name: "fixed-up", Also: "FixPO",
	Doc:       "An unclipped ratio with a penalty on KL(old‖new) whose coefficient follows the largest divergence; after the update, Fixup repeats steps on the divergence alone until it is under the bound on every state of the batch.",
	Normalize: MeanStd(1e-3), Aggregate: TokenMean(), Terms: []Term{Ratio(), OldKL(1)},
}

// PairsLogistic is preference training on given pairs.
var PairsLogistic = &Recipe{
	Name: "pairs-logistic", Also: "DPO, online DPO",
	Doc:    "Preferred against rejected answers, given or the best and worst of a group. Robust to stale samples; on one-sided pairs its margin grows without end.",
	Select: []Select{BestAgainstWorst()}, Terms: []Term{PreferenceLogistic(.1)},
}

// PairsMined makes pairs of all answers that differ clearly.
var PairsMined = &Recipe{
	Name: "pairs-mined", Also: "RS-DPO",
	Doc:    "As pairs-logistic, with every pair of a group that a logistic of the rewards is sure of.",
	Select: []Select{MinePairs(.7, 1)}, Terms: []Term{PreferenceLogistic(.1)},
}

// PairsSquare ends at a margin.
var PairsSquare = &Recipe{
	Name: "pairs-square", Also: "IPO",
	Doc:    "As pairs-logistic, with a loss that ends at a margin of 1/2β; for pairs that are certain.",
	Select: []Select{BestAgainstWorst()}, Terms: []Term{PreferenceSquare(.1)},
}

// PosteriorMatch matches the posterior over good answers.
var PosteriorMatch = &Recipe{
	Name: "posterior", Also: "BRAIn",
	Doc:   "Self-normalised weights of the policy approach those of reference times p(good), over all samples of a group. Rewards are log p(good).",
	Terms: []Term{Posterior()},
}

// GamePairs plays preferences that need not be transitive against past policies.
var GamePairs = &Recipe{
	Name: "game-pairs", Also: "INPO, MNPO",
	Doc:    "Preference pairs as a game against one or more past policies. With τ > 0 the last policy converges; with τ = 0 it may go in circles.",
	Select: []Select{BestAgainstWorst()}, Terms: []Term{GameSquare(.0075, .0025, 1)},
}

// RegressPairs fits differences of rewards between continuations of one prefix.
var RegressPairs = &Recipe{
	Name: "regress-pairs", Also: "REBEL, REFUEL",
	Doc:    "Two continuations of one dialogue; only the turn at which they part is trained, on the reward at the end. For dialogues of several turns.",
	Select: []Select{PairByPrefix()}, Terms: []Term{Regress(1000)},
}

// DirectAdvantages regresses steps on a critic's differences, off-line.
var DirectAdvantages = &Recipe{
	Name: "direct-advantage", Also: "DAPO (Direct Advantage), Direct Advantage PO",
	Doc:       "Logged steps, whose advantage is the rise of a critic's value. Not the DAPO of ByteDance.",
	Credit:    StepValue(),
	Aggregate: SequenceMean(), Terms: []Term{DirectAdvantage(1)},
}

// SoftAdvantages regresses on the reward above the soft value.
var SoftAdvantages = &Recipe{
	Name: "soft-advantage", Also: "A*-PO, A2PO",
	Doc:       "As direct-advantage with the partition term estimated from several samples of the reference, which makes the optimum exact.",
	Aggregate: SequenceMean(), Terms: []Term{SoftAdvantage(1)},
}

// EditedGroup puts repaired answers beside drawn ones.
var EditedGroup = &Recipe{
	Name: "edited-group", Also: "EditGRPO, Critique-Post-Edit",
	Doc:       "Samples of the policy and corrected copies of them in one group. Old of an edited sample is computed on the edited text; an edit that did not help is dropped.",
	Normalize: Mean(), Select: []Select{EditsThatHelp()}, Aggregate: Constant(512), Terms: []Term{Clip(.2, .2), K3(.01)},
}

// TurnCredit weighs the turns of a dialogue.
var TurnCredit = &Recipe{
	Name: "turn-credit", Also: "UserRL",
	Doc:       "Standard scores of whole dialogues, spread over turns by their discounted reward to go.",
	Normalize: MeanStd(1e-3), Credit: TurnReturn(.8), Aggregate: TokenMean(), Terms: []Term{Clip(.2, .2)},
}

// BranchCredit gives shared prefixes the mean of their branches.
var BranchCredit = &Recipe{
	Name: "branch-credit", Also: "ARPO",
	Doc:       "For samples that branch after tool results. Tokens of tools are not live.",
	Normalize: MeanStd(1e-3), Credit: BranchMean(), Aggregate: TokenMean(), Terms: []Term{Clip(.2, .2)},
}

// SetCredit rewards sets for being good in different ways.
var SetCredit = &Recipe{
	Name: "set-credit", Also: "Polychromic PPO",
	Doc:       "All members of a set share its reward times its variety among successes, so that several good answers survive.",
	Normalize: SetShare(), Aggregate: SequenceMean(), Terms: []Term{Clip(.2, .2)},
}

// AttemptCredit trains second attempts.
var AttemptCredit = &Recipe{
	Name: "attempt-credit", Also: "SCoRe",
	Doc:       "Two attempts; each is paid for itself, the second also for improving. First train with K2 on the first attempt only, then on both.",
	Credit:    OwnAttempt(10),
	Aggregate: SequenceSum(), Terms: []Term{Score(), K2(.01)},
}

// ContextDistill brings the model without the policy text to what it does with it.
var ContextDistill = &Recipe{
	Name: "context-distill", Also: "SDFT, on-policy self-distillation",
	Doc:   "No reward: the teacher is the same model with the policy in its context. Dense and cheap; it cannot become better than its teacher, so it is the warm start of policy-rollout.",
	Terms: []Term{Distill(1)},
}

// GroupTokenBudget trains on a constant number of tokens.
var GroupTokenBudget = &Recipe{
	Name: "group-token-budget", Also: "C3PO",
	Doc:       "As group-clip with whole samples up to a budget of tokens, and the budget as the divisor, so that the step does not depend on lengths.",
	Normalize: MeanStd(1e-3), Select: []Select{TokenBudget(409600)}, Aggregate: Budget(409600), Terms: []Term{Clip(.2, .2), K3(.001)},
}

// TaylorTwo expands the product of ratios.
var TaylorTwo = &Recipe{
	Name: "taylor-2", Also: "TayPO-2",
	Doc:       "For stale samples of few tokens: the second order of the product of ratios.",
	Normalize: LeaveOneOut(), Aggregate: SequenceMean(), Terms: []Term{Taylor2()},
}

// CentredRatio centres the log-ratio before it clips.
var CentredRatio = &Recipe{
	Name: "centred-clip", Also: "GRPO-Guard",
	Doc:       "As group-clip with log-ratios centred on zero, so that the upper bound binds.",
	Normalize: MeanStd(1e-3), Aggregate: SequenceMean(), Terms: []Term{CentredClip(.2, .2)},
}

// TopHalfLikelihood imitates the better half, by a softmax of its advantage.
var TopHalfLikelihood = &Recipe{
	Name: "top-half", Also: "V-MPO (the policy's part)",
	Doc:       "Weighted imitation of the better half of the batch. Temperature's own update keeps KL(ψ‖uniform) at a bound.",
	Normalize: TopHalf(1), Aggregate: SequenceMean(), Terms: []Term{Score()},
}
