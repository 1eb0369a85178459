package objective

import (
	"fmt"
	"math"
)

// Stats describes a step. Means are over counted tokens, or over judged samples.
type Stats struct {
	Samples   int     // in the batch
	Unjudged  int     // of them, not OK
	Tokens    int     // that count
	Reward    float64 // mean
	Cost      float64 // mean of the first cost
	Constant  float64 // share of groups whose rewards are all equal
	OldKL     float64 // k3 estimate of KL(π_old‖π), in nats per token
	RefKL     float64 // mean of log π/π_ref, the k1 estimate of KL(π‖π_ref) on samples of π, in nats per token
	ClipShare float64 // share of tokens with |r − 1| > 0.2 on the side that clipping stops
	MaxRatio  float64 // the largest |r − 1|
	Margin    float64 // mean h of the pairs
	Accuracy  float64 // share of pairs with h > 0
}

// clipMark is the distance from 1 beyond which ClipShare counts, whatever the clip of the recipe, so that recipes can be compared.
const clipMark = 0.2

func (s *Stats) measure(v *View, logp [][]float64) {
	s.Samples = len(v.Samples)
	judged, refs, olds := 0, 0, 0
	for i := range v.Samples {
		if !v.OK[i] {
			s.Unjudged++
			continue
		}
		judged++
		s.Reward += v.Reward[i]
		if len(v.Costs[i]) > 0 {
			s.Cost += v.Costs[i][0]
		}
		sample := &v.Samples[i]
		for t, m := range v.Mask[i] {
			if !m {
				continue
			}
			s.Tokens++
			if sample.Old != nil {
				d := logp[i][t] - sample.Old[t]
				r := ratio(d, 0)
				s.OldKL += r - 1 - d
				s.MaxRatio = max(s.MaxRatio, math.Abs(r-1))
				if a := v.Advantage[i][t]; a > 0 && r > 1+clipMark || a < 0 && r < 1-clipMark {
					s.ClipShare++
				}
				olds++
			}
			if sample.Ref != nil {
				s.RefKL += logp[i][t] - sample.Ref[t]
				refs++
			}
		}
	}
	groups := v.groups()
	constant := 0
	for _, g := range groups {
		r := v.rewards(v.judged(g))
		same := true
		for _, x := range r {
			same = same && x == r[0]
		}
		if same {
			constant++
		}
	}
	over := func(x *float64, n int) {
		if n > 0 {
			*x /= float64(n)
		}
	}
	over(&s.Reward, judged)
	over(&s.Cost, judged)
	over(&s.OldKL, olds)
	over(&s.ClipShare, olds)
	over(&s.RefKL, refs)
	s.Constant = float64(constant) / float64(len(groups))
}

// The tolerances of Check.
const (
	freshTolerance = 1e-6 // of |r − 1| at the first inner step, for log-probabilities that are exact
	driftTolerance = 0.05 // of |log π_old − log π_behaviour| in one context
	sumTolerance   = 1e-9 // of the sum of the scores of a group, times their size
)

// Violation is an invariant of a step that does not hold.
type Violation struct {
	Rule   string // fresh-ratio, centred-scores, constant-group, dead-token, unjudged, sampler-drift, not-finite
	Detail string
	Fatal  bool // the step must not be taken; else it is reported
}

// Check asserts what holds on every step, whatever the recipe, and returns what does not. first says that logp was computed with the weights that Old was computed with; exact is how far two computations of one log-probability may differ.
//
// fresh-ratio: r = 1 on the first inner step of fresh data. centred-scores: the scores of a group sum to 0 for normalizers that say so. constant-group: equal rewards give equal scores. dead-token: W is 0 where the model did not write the token.
// unjudged: a task none of whose samples could be judged. sampler-drift: in the context it was drawn in, a sample has the log-probabilities that its sampler said. not-finite: loss and weights are numbers.
func Check(v *View, logp [][]float64, out *Loss, first bool, exact float64) []Violation {
	var found []Violation
	report := func(rule string, fatal bool, format string, args ...any) {
		found = append(found, Violation{rule, fmt.Sprintf(format, args...), fatal})
	}
	if math.IsNaN(out.Value) || math.IsInf(out.Value, 0) {
		report("not-finite", true, "the loss is %g", out.Value)
	}
	drift := 0.0
	for i := range v.Samples {
		s := &v.Samples[i]
		for t, w := range out.W[i] {
			switch {
			case math.IsNaN(w) || math.IsInf(w, 0):
				report("not-finite", true, "sample %d, token %d: W is %g", i, t, w)
			case w != 0 && !s.live(t):
				report("dead-token", true, "sample %d, token %d: W is %g, but the model did not write it", i, t, w)
			}
			if first && s.Old != nil && v.Mask[i][t] && math.Abs(ratio(logp[i][t], s.Old[t])-1) > freshTolerance+2*exact {
				report("fresh-ratio", true, "sample %d, token %d: π/π_old is %g before any step; Old was computed for another text, context or weights", i, t, ratio(logp[i][t], s.Old[t]))
				first = false // once is enough
			}
			if s.Behaviour != nil && s.Old != nil && s.Drawn == s.Scored && s.Origin == Policy && s.live(t) {
				drift = max(drift, math.Abs(s.Old[t]-s.Behaviour[t]))
			}
		}
	}
	if drift > driftTolerance {
		report("sampler-drift", false, "sampler and engine differ by up to %.3f nats; add truncated-is, or sample at temperature 1 without cuts", drift)
	}
	for _, g := range v.groups() {
		at := v.judged(g)
		if len(at) == 0 {
			report("unjudged", false, "no sample of group %d could be judged; it is not trained on", v.Samples[g[0]].Group)
			continue
		}
		if !v.Centred {
			continue
		}
		sum, size, same := 0.0, 1.0, true
		for _, i := range at {
			sum += v.Score[i]
			size += math.Abs(v.Score[i])
			same = same && v.Reward[i] == v.Reward[at[0]] && len(v.Samples[i].Rewards) <= 1
		}
		if math.Abs(sum) > sumTolerance*size {
			report("centred-scores", true, "the scores of group %d sum to %g", v.Samples[g[0]].Group, sum)
		}
		for _, i := range at {
			if same && v.Score[i] != 0 {
				report("constant-group", true, "group %d has equal rewards, but sample %d scores %g", v.Samples[g[0]].Group, i, v.Score[i])
			}
		}
	}
	return found
}
