package objective

import (
	"fmt"
	"math"
)

// Recipe is one algorithm. Empty slots mean the plain choice: the sum of the components, scores as they are, one score for a whole sample, every token weighing the same.
type Recipe struct {
	Name      string // by its formula
	Also      string // what papers and programs call it
	Doc       string // what it is for, and what it is not
	Compose   Compose
	Normalize Normalize
	Credit    Credit
	Select    []Select
	Aggregate Aggregate
	Terms     []Term
}

func (r *Recipe) compose() Compose {
	if r.Compose.Do == nil {
		return Weighted(nil)
	}
	return r.Compose
}

func (r *Recipe) normalize() Normalize {
	if r.Normalize.Do == nil {
		return None()
	}
	return r.Normalize
}

func (r *Recipe) credit() Credit {
	if r.Credit.Do == nil {
		return PerSequence()
	}
	return r.Credit
}

func (r *Recipe) aggregate() Aggregate {
	if r.Aggregate.Do == nil {
		return TokenMean()
	}
	return r.Aggregate
}

// Pair says that one sample was preferred to another, by their places in the batch.
type Pair struct {
	Chosen, Rejected int
	Gap              float64 // difference of the rewards
}

// View is a batch with what the slots have made of it. It is computed once for a batch; the terms see it at every inner step.
type View struct {
	Samples   []Sample
	OK        []bool      // the sample could be judged
	Reward    []float64   // after Compose
	Costs     [][]float64 // after Compose, kept apart
	Score     []float64   // after Normalize
	Advantage [][]float64 // after Credit
	Return    [][]float64 // targets of a critic, from credits that make them; else nil
	Mask      [][]bool    // tokens that count
	Scale     [][]float64 // correction of a token's weight; nil: 1
	Picked    [][]bool    // tokens that a select marked for a term; nil: none
	Pairs     []Pair
	Weight    [][]float64 // after Aggregate, Scale included
	Seed      uint64
	Centred   bool // the scores of each group sum to zero
}

// Prepare runs every slot but the terms. The samples are not copied and must not change while the view is in use. An error names the sample that cannot be used.
func (r *Recipe) Prepare(batch []Sample, seed uint64) (*View, error) {
	return r.PreparePairs(batch, nil, seed)
}

// PreparePairs is Prepare for a batch whose pairs are known, such as recorded preferences.
func (r *Recipe) PreparePairs(batch []Sample, pairs []Pair, seed uint64) (*View, error) {
	if len(batch) == 0 {
		return nil, fmt.Errorf("%s: the batch has no samples", r.Name)
	}
	needs := map[Need]bool{}
	for _, n := range r.Needs() {
		needs[n] = true
	}
	digests := map[GroupID]string{}
	v := &View{
		Samples: batch, Seed: seed, Pairs: pairs,
		OK: make([]bool, len(batch)), Reward: make([]float64, len(batch)), Costs: make([][]float64, len(batch)), Mask: make([][]bool, len(batch)),
	}
	compose := r.compose()
	for i := range batch {
		s := &batch[i]
		if err := s.check(needs); err != nil {
			return nil, fmt.Errorf("%s: sample %d: %w", r.Name, i, err)
		}
		if d, seen := digests[s.Group]; seen && d != s.Digest {
			return nil, fmt.Errorf("%s: sample %d: group %d mixes samples of different policies or rewards (%q and %q)", r.Name, i, s.Group, d, s.Digest)
		}
		digests[s.Group] = s.Digest
		v.Reward[i], v.Costs[i], v.OK[i] = compose.Do(compose.Params, s)
		if math.IsNaN(v.Reward[i]) || math.IsInf(v.Reward[i], 0) {
			return nil, fmt.Errorf("%s: sample %d: the reward is %g; a reward that cannot be computed is not OK, never a number", r.Name, i, v.Reward[i])
		}
		v.Mask[i] = make([]bool, len(s.Tokens))
		for t := range s.Tokens {
			v.Mask[i][t] = v.OK[i] && s.live(t)
		}
	}
	for _, p := range pairs {
		if min(p.Chosen, p.Rejected) < 0 || max(p.Chosen, p.Rejected) >= len(batch) || p.Chosen == p.Rejected {
			return nil, fmt.Errorf("%s: the pair (%d, %d) does not name two of %d samples", r.Name, p.Chosen, p.Rejected, len(batch))
		}
	}
	n := r.normalize()
	v.Centred = n.Centred
	v.Score = n.Do(n.Params, v)
	c := r.credit()
	v.Advantage = c.Do(c.Params, v)
	for k, s := range r.Select {
		s.Do(s.Params, v, mix(seed, uint64(k)))
	}
	a := r.aggregate()
	v.Weight = a.Do(a.Params, v)
	if v.Scale != nil {
		for i, row := range v.Weight {
			for t := range row {
				row[t] *= v.Scale[i][t]
			}
		}
	}
	return v, nil
}

// Loss is what the terms of a recipe say about a batch at given log-probabilities. Value is nats times the units of the advantage; W and Entropy are −dValue/dlogp and −dValue/dH, parallel to the samples' tokens; Entropy is nil where no term uses it.
type Loss struct {
	Value   float64
	W       [][]float64
	Entropy [][]float64
	Stats   Stats
}

// Loss evaluates the terms. logp holds the present log-probabilities of the samples in their Scored context; shapes that do not agree are an error.
func (r *Recipe) Loss(v *View, logp [][]float64) (*Loss, error) {
	if len(logp) != len(v.Samples) {
		return nil, fmt.Errorf("%s: log-probabilities of %d samples for %d", r.Name, len(logp), len(v.Samples))
	}
	out := &Loss{W: rows(v)}
	for i, row := range logp {
		if len(row) != len(v.Samples[i].Tokens) {
			return nil, fmt.Errorf("%s: sample %d: %d log-probabilities for %d tokens", r.Name, i, len(row), len(v.Samples[i].Tokens))
		}
		for t, l := range row {
			if math.IsNaN(l) || math.IsInf(l, 0) {
				return nil, fmt.Errorf("%s: sample %d, token %d: the log-probability is %g", r.Name, i, t, l)
			}
		}
	}
	for _, t := range r.Terms {
		t.Do(t.Params, v, logp, out)
	}
	out.Stats.measure(v, logp)
	return out, nil
}

// rows returns zeros parallel to the tokens of a view.
func rows(v *View) [][]float64 {
	out := make([][]float64, len(v.Samples))
	for i := range out {
		out[i] = make([]float64, len(v.Samples[i].Tokens))
	}
	return out
}

// groups lists the places of the samples of each group, in order of first appearance.
func (v *View) groups() [][]int {
	at := map[GroupID]int{}
	var out [][]int
	for i := range v.Samples {
		g, seen := at[v.Samples[i].Group]
		if !seen {
			g = len(out)
			at[v.Samples[i].Group] = g
			out = append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}

// judged returns those of the places that are OK.
func (v *View) judged(at []int) []int {
	var out []int
	for _, i := range at {
		if v.OK[i] {
			out = append(out, i)
		}
	}
	return out
}

// rewards returns the rewards at places.
func (v *View) rewards(at []int) []float64 {
	out := make([]float64, len(at))
	for k, i := range at {
		out[k] = v.Reward[i]
	}
	return out
}

// counted returns how many tokens of a sample count.
func (v *View) counted(i int) int {
	n := 0
	for _, m := range v.Mask[i] {
		if m {
			n++
		}
	}
	return n
}

// share is the weight of a whole sample.
func (v *View) share(i int) float64 {
	w := 0.0
	for _, x := range v.Weight[i] {
		w += x
	}
	return w
}

// drop makes a sample count for nothing.
func (v *View) drop(i int) { clear(v.Mask[i]) }

// sum adds up the entries of a row that count.
func (v *View) sum(i int, row []float64) float64 {
	s := 0.0
	for t, m := range v.Mask[i] {
		if m {
			s += row[t]
		}
	}
	return s
}

// logRatioCap bounds log r before it is exponentiated, as verl does (20).
const logRatioCap = 20

// ratio is π/π_old of a token.
func ratio(logp, old float64) float64 {
	return math.Exp(min(max(logp-old, -logRatioCap), logRatioCap))
}

// mix derives a number from a seed and a counter (SplitMix64, Steele, Lea and Flood 2014).
func mix(seed, n uint64) uint64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform derives a number in [0, 1).
func uniform(seed, n uint64) float64 { return float64(mix(seed, n)>>11) / (1 << 53) }

// moments returns mean and unbiased variance; the variance of fewer than two numbers is 0.
func moments(x []float64) (mean, variance float64) {
	if len(x) == 0 {
		return 0, 0
	}
	for _, a := range x {
		mean += a / float64(len(x))
	}
	if len(x) < 2 {
		return mean, 0
	}
	for _, a := range x {
		variance += (a - mean) * (a - mean) / float64(len(x)-1)
	}
	return mean, variance
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// logSigmoid is log σ(x) without overflow.
func logSigmoid(x float64) float64 { return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x))) }
