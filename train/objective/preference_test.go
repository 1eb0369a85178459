package objective

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// descend follows Σ W∇log π of one-token samples, one for each action, and returns the policy. weigh may change the view of each evaluation.
func descend(t *testing.T, actions int, rate float64, steps int, gradient func(p table) []float64) []float64 {
	t.Helper()
	p := newTable(1, actions)
	for range steps {
		for j, g := range gradient(p) {
			p[0][j] += rate * g
		}
	}
	return softmax(p[0])
}

// arms is one sample of each action, with the reference and the old policy of a distribution.
func arms(base []float64, rewards []float64) []Sample {
	out := make([]Sample, len(base))
	for a := range base {
		l := []float64{math.Log(base[a])}
		out[a] = Sample{ID: SampleID(a + 1), Group: 1, Tokens: []int32{int32(a)}, Old: l, Ref: l, Behaviour: l, Hist: [][]float64{l}, Rewards: reward(rewards[a])}
	}
	return out
}

// overPairs is the gradient of the expected loss of a pairwise recipe, the pair (i, j) having the given chance.
func overPairs(t *testing.T, r *Recipe, batch []Sample, chance func(i, j int) float64) func(p table) []float64 {
	r = &Recipe{Name: r.Name, Terms: r.Terms}
	views := map[Pair]*View{}
	for i := range batch {
		for j := range batch {
			if i != j {
				pair := Pair{i, j, batch[i].Rewards[0].Value - batch[j].Rewards[0].Value}
				v, err := r.PreparePairs(batch, []Pair{pair}, 1)
				if err != nil {
					t.Fatal(err)
				}
				views[pair] = v
			}
		}
	}
	return func(p table) []float64 {
		g, logp := make([]float64, len(p[0])), p.all(batch)
		for pair, v := range views {
			c := chance(pair.Chosen, pair.Rejected)
			if c == 0 {
				continue
			}
			for j, x := range p.gradient(batch, evaluate(t, r, v, logp).W)[0] {
				g[j] += c * x
			}
		}
		return g
	}
}

func tilted(base, exponent []float64) []float64 {
	l := make([]float64, len(base))
	for i := range l {
		l[i] = math.Log(base[i]) + exponent[i]
	}
	return softmax(l)
}

func scaled(x []float64, by float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] * by
	}
	return out
}

// Where preference losses end: the logistic one at π_ref e^{r/β}, the square one at a margin of 1/2β, and the logistic one on certain pairs nowhere.
func TestPreferenceOptima(t *testing.T) {
	ref, r := softmax([]float64{-.3, .6, .1}), []float64{1, .2, -.4}
	const beta = .7
	batch := arms(ref, r)
	logistic := &Recipe{Name: "dpo", Terms: []Term{PreferenceLogistic(beta)}}
	got := descend(t, 3, 2, 1500, overPairs(t, logistic, batch, func(i, j int) float64 { return sigmoid(r[i] - r[j]) }))
	near(t, "population optimum against π_ref e^{r/β}", far(got, tilted(ref, scaled(r, 1/beta))), 0, 1e-6)

	certain := func(i, j int) float64 {
		if i == 0 && j == 1 {
			return 1
		}
		return 0
	}
	square := &Recipe{Name: "ipo", Terms: []Term{PreferenceSquare(beta)}}
	got = descend(t, 3, .1, 800, overPairs(t, square, batch, certain))
	near(t, "margin of certain pairs", math.Log(got[0]/ref[0])-math.Log(got[1]/ref[1]), 1/(2*beta), 1e-6)

	// The logistic margin has no end, and the statistics show it.
	p, grad := newTable(1, 3), overPairs(t, logistic, batch, certain)
	v, err := logistic.PreparePairs(batch, []Pair{{0, 1, 1}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	last := 0.0
	for range 4 {
		for range 200 {
			for j, g := range grad(p) {
				p[0][j] += 2 * g
			}
		}
		s := evaluate(t, logistic, v, p.all(batch)).Stats
		if s.Margin <= last+.1 || s.Accuracy != 1 {
			t.Errorf("the margin went from %g to %g, accuracy %g", last, s.Margin, s.Accuracy)
		}
		last = s.Margin
	}
}

// With two samples of the reference and a hard label the posterior's gradient is that of the logistic preference with β = 1.
func TestPosterior(t *testing.T) {
	ref := softmax([]float64{-.3, .6, .1})
	batch := arms(ref, []float64{0, 0, math.Log(1e-300)})
	pair := []Sample{batch[0], batch[2]}
	p := table{{.4, -.2, .9}}
	_, out := run(t, PosteriorMatch, pair, p.all(pair))
	logistic := &Recipe{Name: "dpo", Terms: []Term{PreferenceLogistic(1)}}
	v, err := logistic.PreparePairs(pair, []Pair{{0, 1, 1}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := evaluate(t, logistic, v, p.all(pair))
	near(t, "gradient", far(p.gradient(pair, out.W)[0], p.gradient(pair, want.W)[0]), 0, 1e-11)
}

func TestPairMiner(t *testing.T) {
	var batch []Sample
	for i, r := range []float64{1, .2, .2, -1, 5} {
		batch = append(batch, Sample{Group: GroupID(1 + i/4), Tokens: []int32{int32(i)}, Ref: []float64{-1}, Rewards: reward(r)})
	}
	pairs := func(margin, temperature float64) string {
		r := Recipe{Name: "mine", Select: []Select{MinePairs(margin, temperature)}}
		v, err := r.Prepare(batch, 1)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range v.Pairs {
			out = append(out, fmt.Sprintf("%d>%d", p.Chosen, p.Rejected))
		}
		slices.Sort(out)
		if len(slices.Compact(slices.Clone(out))) != len(out) {
			t.Errorf("a pair occurs twice: %v", out)
		}
		return fmt.Sprint(out)
	}
	for _, c := range []struct {
		margin, temperature float64
		want                string
	}{
		{.5, 1, "[0>1 0>2 0>3 1>3 2>3]"}, {.7, 1, "[0>3 1>3 2>3]"}, {.8, 1, "[0>3]"}, {.95, 1, "[]"}, {.95, .1, "[0>1 0>2 0>3 1>3 2>3]"}, {0, 1, "[0>1 0>2 0>3 1>3 2>3]"},
	} {
		if got := pairs(c.margin, c.temperature); got != c.want {
			t.Errorf("margin %g, temperature %g: %s, want %s", c.margin, c.temperature, got, c.want)
		}
	}
	v, err := PairsLogistic.Prepare(batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Pairs) != 1 || v.Pairs[0] != (Pair{0, 3, 2}) {
		t.Errorf("best against worst: %v", v.Pairs)
	}
}

// The population update of the game loss is the mirror step π ∝ π_ref^{τ/η} π_t^{1−τ/η} e^{P/η}.
func TestGameSquare(t *testing.T) {
	p := [][]float64{{.5, .9, .2}, {.1, .5, .7}, {.8, .3, .5}} // intransitive
	ref := []float64{.5, .3, .2}
	const tau, eta = .2, 1.0
	mirror := func(p [][]float64, ref, now []float64, tau, eta float64) []float64 {
		l := make([]float64, len(ref))
		for i := range l {
			l[i] = tau/eta*math.Log(ref[i]) + (1-tau/eta)*math.Log(now[i]) + dot(p[i], now)/eta
		}
		return softmax(l)
	}
	game := &Recipe{Name: "game", Terms: []Term{GameSquare(eta, tau, 1)}}
	now := []float64{.2, .2, .6}
	batch := arms(ref, []float64{0, 0, 0})
	for a := range batch {
		batch[a].Hist = [][]float64{{math.Log(now[a])}}
	}
	got := descend(t, 3, .5, 1500, overPairs(t, game, batch, func(i, j int) float64 { return now[i] * now[j] * p[i][j] }))
	near(t, "one update", far(got, mirror(p, ref, now, tau, eta)), 0, 1e-6)

	now = ref
	for range 400 {
		now = mirror(p, ref, now, tau, eta)
	}
	fixed := make([]float64, 3)
	for i := range fixed {
		fixed[i] = dot(p[i], now) / tau
	}
	near(t, "fixed point against π_ref e^{Pπ/τ}", far(now, tilted(ref, fixed)), 0, 1e-12)

	// Rock, paper, scissors: with a reference the last policy is uniform, without one it goes in circles and only the average is.
	rps := [][]float64{{.5, 1, 0}, {0, .5, 1}, {1, 0, .5}}
	third := []float64{1. / 3, 1. / 3, 1. / 3}
	for _, c := range []struct {
		tau   float64
		still bool
	}{{.1, true}, {0, false}} {
		now, average := softmax([]float64{1, 0, -.5}), make([]float64, 3)
		for range 3000 {
			now = mirror(rps, third, now, c.tau, 5)
			for i := range average {
				average[i] += now[i] / 3000
			}
		}
		if settled := far(now, third) < 1e-3; settled != c.still {
			t.Errorf("τ=%g: the last policy is %.3f", c.tau, now)
		}
		if far(average, third) > .05 {
			t.Errorf("τ=%g: the average is %.3f", c.tau, average)
		}
	}
}

// A history of one is the game against the last policy, and the weights of a longer one count.
func TestGameHistory(t *testing.T) {
	batch := arms([]float64{.5, .3, .2}, []float64{1, 0, 0})
	for a := range batch {
		batch[a].Hist = [][]float64{{-1 - float64(a)}, {-2 + float64(a)/2}}
	}
	w := func(weights ...float64) [][]float64 {
		r := &Recipe{Name: "game", Terms: []Term{GameSquare(1, .3, weights...)}}
		v, err := r.PreparePairs(batch, []Pair{{0, 1, 1}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return evaluate(t, r, v, [][]float64{{-1}, {-1}, {-1}}).W
	}
	one, also, half, other := w(1), w(1, 0), w(.5, .5), w(1, 3)
	near(t, "a weight of 0 counts for nothing", far(one[0], also[0]), 0, 1e-15)
	near(t, "weights are shares", far(half[0], w(2, 2)[0]), 0, 1e-15)
	if far(half[0], one[0]) < 1e-6 || far(half[0], other[0]) < 1e-6 {
		t.Error("the weights of the history change nothing")
	}
}

// Regressions on rewards end at π_t e^{ηR}; without a partition term they do not.
func TestRegression(t *testing.T) {
	base, r := softmax([]float64{.1, .5, -.2, 0}), []float64{1, .2, -.4, .6}
	const eta = 1.5
	batch := arms(base, r)
	want := tilted(base, scaled(r, eta))
	got := descend(t, 4, .5, 800, overPairs(t, &Recipe{Name: "rebel", Terms: []Term{Regress(eta)}}, batch, func(i, j int) float64 { return base[i] * base[j] }))
	near(t, "minimizer against π_t e^{ηR}", far(got, want), 0, 1e-6)

	// Direct advantage: each action with its probability under the reference.
	expected := func(term Term, value float64) []float64 {
		r := &Recipe{Name: "direct", Credit: StepValue(), Terms: []Term{term}}
		for a := range batch {
			batch[a].Value = []float64{value}
		}
		v, err := r.Prepare(batch, 1)
		if err != nil {
			t.Fatal(err)
		}
		for a := range batch {
			v.Weight[a][0] = base[a]
		}
		return descend(t, 4, .5, 1500, func(p table) []float64 { return p.gradient(batch, evaluate(t, r, v, p.all(batch)).W)[0] })
	}
	mean, soft := dot(base, r), 0.0
	for a := range r {
		soft += base[a] * math.Exp(r[a]*eta)
	}
	soft = math.Log(soft) / eta
	near(t, "with the mean as the value", far(expected(DirectAdvantage(1/eta), mean), want), .043, .002)
	near(t, "with the soft value", far(expected(DirectAdvantage(1/eta), soft), want), 0, 1e-6)

	// The group estimates the soft value: here with two samples of the reference, one for each of two equal actions.
	two := arms([]float64{.5, .5}, []float64{1, 0})
	p := table{{0, 0}}
	for range 500 {
		_, out := run(t, SoftAdvantages, two, p.all(two))
		for j, g := range p.gradient(two, out.W)[0] {
			p[0][j] += g
		}
	}
	near(t, "soft advantage of a group", far(softmax(p[0]), tilted([]float64{.5, .5}, []float64{1, 0})), 0, 1e-6)
}

// Only the turn at which two continuations part has a gradient.
func TestPairByPrefix(t *testing.T) {
	sample := func(r float64, branch int, tokens ...int32) Sample {
		s := Sample{Group: 1, Branch: branch, Tokens: tokens, Turns: []Span{{0, 2}, {2, 4}, {4, 6}}, Rewards: reward(r)}
		s.Old = make([]float64, len(tokens))
		for i := range s.Old {
			s.Old[i] = -1
		}
		return s
	}
	batch := []Sample{sample(1, 2, 1, 2, 3, 4, 5, 6), sample(0, 2, 1, 2, 7, 8, 9, 6), sample(0, 2, 9, 9, 7, 8, 9, 6), sample(1, 4, 1, 2, 3, 4, 7, 7)}
	v, out := run(t, RegressPairs, batch, [][]float64{{-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1}})
	if len(v.Pairs) != 1 || v.Pairs[0] != (Pair{0, 1, 1}) {
		t.Fatalf("pairs %v", v.Pairs)
	}
	for i := range batch {
		for j, w := range out.W[i] {
			want := i < 2 && (j == 2 || j == 3)
			if (w != 0) != want || i == 0 && w < 0 || i == 1 && w > 0 {
				t.Errorf("sample %d, token %d: W is %g", i, j, w)
			}
		}
	}
}
