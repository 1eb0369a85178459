package objective

import (
	"math"
	"math/rand/v2"
	"testing"
)

// table is a policy that is a softmax of its own at each position, the smallest model there is.
type table [][]float64

func newTable(positions, tokens int) table {
	out := make(table, positions)
	for t := range out {
		out[t] = make([]float64, tokens)
	}
	return out
}

func softmax(logits []float64) []float64 {
	p := append([]float64(nil), logits...)
	softmaxInPlace(p)
	return p
}

func (p table) logp(tokens []int32) []float64 {
	out := make([]float64, len(tokens))
	for t, y := range tokens {
		out[t] = math.Log(softmax(p[t])[y])
	}
	return out
}

func (p table) all(batch []Sample) [][]float64 {
	prob := make([][]float64, len(p))
	for t := range p {
		prob[t] = softmax(p[t])
	}
	out := make([][]float64, len(batch))
	for i, s := range batch {
		out[i] = make([]float64, len(s.Tokens))
		for t, y := range s.Tokens {
			out[i][t] = math.Log(prob[t][y])
		}
	}
	return out
}

// gradient is Σ W ∇log π.
func (p table) gradient(batch []Sample, w [][]float64) table {
	g := newTable(len(p), len(p[0]))
	for t := range p {
		prob := softmax(p[t])
		for i, s := range batch {
			if t < len(s.Tokens) && w[i][t] != 0 {
				for j := range g[t] {
					g[t][j] -= w[i][t] * prob[j]
				}
				g[t][s.Tokens[t]] += w[i][t]
			}
		}
	}
	return g
}

func (p table) add(g table, rate float64) {
	for t := range p {
		for j := range p[t] {
			p[t][j] += rate * g[t][j]
		}
	}
}

func (p table) draw(dice *rand.Rand) []int32 {
	out := make([]int32, len(p))
	for t := range p {
		out[t] = pick(dice, softmax(p[t]))
	}
	return out
}

func pick(dice *rand.Rand, p []float64) int32 {
	u := dice.Float64()
	for i, x := range p {
		if u -= x; u < 0 {
			return int32(i)
		}
	}
	return int32(len(p) - 1)
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func entropy(p []float64) float64 {
	h := 0.0
	for _, x := range p {
		h -= x * math.Log(x)
	}
	return h
}

func divergence(p, q []float64) float64 {
	k := 0.0
	for i := range p {
		k += p[i] * math.Log(p[i]/q[i])
	}
	return k
}

func far(a, b []float64) float64 {
	m := 0.0
	for i := range a {
		m = max(m, math.Abs(a[i]-b[i]))
	}
	return m
}

// reward is a sample's single judged component.
func reward(x float64) []Component { return []Component{{Name: "reward", Value: x, OK: true}} }

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.9g, want %.9g ± %g", what, got, want, tolerance)
	}
}

// run prepares a batch and evaluates it at logp.
func run(t testing.TB, r *Recipe, batch []Sample, logp [][]float64) (*View, *Loss) {
	t.Helper()
	v, err := r.Prepare(batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v, evaluate(t, r, v, logp)
}

func evaluate(t testing.TB, r *Recipe, v *View, logp [][]float64) *Loss {
	t.Helper()
	out, err := r.Loss(v, logp)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// randomBatch is a batch that every recipe accepts: two groups of four, continuations that part after a common prefix, turns, values, past policies.
func randomBatch(dice *rand.Rand) ([]Sample, [][]float64) {
	var batch []Sample
	var logp [][]float64
	noise := func(base []float64, scale float64) []float64 {
		out := make([]float64, len(base))
		for i := range out {
			out[i] = min(base[i]+scale*dice.NormFloat64(), -1e-3)
		}
		return out
	}
	for i := range 8 {
		n := 4 + dice.IntN(4)
		s := Sample{
			ID: SampleID(i + 1), Group: GroupID(1 + i/4), Set: i / 2, Branch: 2, Tokens: make([]int32, n), Live: make([]bool, n),
			Turns: []Span{{0, 2}, {2, n}},
		}
		if i%4 != 0 {
			s.Parent = SampleID(i/4*4 + 1)
		}
		for t := range s.Tokens {
			s.Tokens[t], s.Live[t] = int32(dice.IntN(9)), t != 3
			if t < 2 {
				s.Tokens[t] = int32(i/4 + t)
			}
		}
		base := make([]float64, n)
		for t := range base {
			base[t] = -0.5 - dice.ExpFloat64()
		}
		s.Old = base
		s.Behaviour, s.Ref, s.Teacher, s.Value = noise(base, .01), noise(base, .2), noise(base, .3), noise(base, .5)
		s.Hist = [][]float64{noise(base, .1), noise(base, .2)}
		s.Rewards = []Component{
			{Name: "rule", Value: float64(dice.IntN(2)) / 2, OK: true},
			{Name: "style", Value: dice.Float64() / 2, OK: true},
			{Name: "turn", At: s.Turns[0], Value: dice.Float64() - .3, OK: true},
			{Name: "turn", At: s.Turns[1], Value: dice.Float64() - .3, OK: true},
			{Name: "cost:harm", Value: dice.Float64(), OK: true},
		}
		batch = append(batch, s)
		logp = append(logp, noise(base, .15))
	}
	return batch, logp
}
