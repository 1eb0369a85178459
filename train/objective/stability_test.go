package objective

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What a step does to the entropy: −η·Cov(log π, A) for natural steps, −η·Cov(log π, πA) for plain ones.
func TestEntropyLedger(t *testing.T) {
	theta, r := []float64{.2, -.5, .4, 1}, []float64{1, .3, -.2, .8}
	p := softmax(theta)
	m := dot(p, r)
	cov := func(x, y func(int) float64) float64 {
		ex, ey, exy := 0.0, 0.0, 0.0
		for i := range p {
			ex, ey, exy = ex+p[i]*x(i), ey+p[i]*y(i), exy+p[i]*x(i)*y(i)
		}
		return exy - ex*ey
	}
	logp := func(i int) float64 { return math.Log(p[i]) }
	const eta = 1e-3
	for _, c := range []struct {
		name string
		step func(int) float64
	}{
		{"natural", func(i int) float64 { return r[i] - m }},
		{"plain", func(i int) float64 { return p[i] * (r[i] - m) }},
	} {
		moved := make([]float64, 4)
		for i := range moved {
			moved[i] = theta[i] + eta*c.step(i)
		}
		want := -eta * cov(logp, c.step)
		near(t, c.name, (entropy(softmax(moved))-entropy(p))/want, 1, 2e-3)
	}
}

// Masked tokens have no gradient at all, picked ones pay for moving, and nothing else changes.
func TestCovSelects(t *testing.T) {
	batch, logp := randomBatch(rand.New(rand.NewPCG(5, 6)))
	base := Recipe{Name: "base", Normalize: LeaveOneOut(), Aggregate: Constant(1), Terms: []Term{Ratio()}}
	masked := base
	masked.Select = []Select{CovMask(.2, 0, 100)}
	_, plain := run(t, &base, batch, logp)
	v, out := run(t, &masked, batch, logp)
	gone := 0
	for i := range batch {
		for j := range batch[i].Tokens {
			switch {
			case batch[i].live(j) && !v.Mask[i][j]:
				gone++
				if out.W[i][j] != 0 {
					t.Errorf("a masked token weighs %g", out.W[i][j])
				}
			case out.W[i][j] != plain.W[i][j]:
				t.Errorf("a token that was not masked changed from %g to %g", plain.W[i][j], out.W[i][j])
			}
		}
	}
	if gone == 0 {
		t.Error("nothing was masked")
	}
	picked := base
	picked.Select, picked.Terms = []Select{CovTop(.2)}, []Term{Ratio(), PickedKL(1)}
	v, out = run(t, &picked, batch, logp)
	n := 0
	for i := range batch {
		for j := range batch[i].Tokens {
			want := plain.W[i][j]
			if v.Picked[i][j] {
				n++
				want -= v.Weight[i][j] * math.Copysign(1, logp[i][j]-batch[i].Old[j])
			}
			near(t, "weight", out.W[i][j], want, 1e-12)
		}
	}
	if n == 0 {
		t.Error("nothing was picked")
	}
}

// Sampled: twenty arms, the best of which is rare. The plain gradient loses its entropy first; each of the remedies finds the arm more often, and an entropy bonus or a reference does no worse than the covariance methods.
func TestRareArm(t *testing.T) {
	const arms, seeds = 20, 16
	found := map[string]int{}
	for _, c := range []struct {
		name string
		r    Recipe
	}{
		{"plain", Recipe{Terms: []Term{Clip(.2, .2)}}},
		{"cov-mask", Recipe{Select: []Select{CovMask(.05, .1, 100)}, Terms: []Term{Clip(.2, .2)}}},
		{"cov-top", Recipe{Select: []Select{CovTop(.05)}, Terms: []Term{Ratio(), PickedKL(1)}}},
		{"entropy", Recipe{Terms: []Term{Clip(.2, .2), EntropySampled(.03)}}},
		{"reference", Recipe{Terms: []Term{Clip(.2, .2), K2(.03)}}},
	} {
		c.r.Name, c.r.Normalize, c.r.Aggregate = c.name, Mean(), SequenceSum()
		for seed := range uint64(seeds) {
			dice := rand.New(rand.NewPCG(seed, 9))
			p, rewards := newTable(1, arms), make([]float64, arms)
			for i := range arms {
				p[0][i], rewards[i] = .5*dice.NormFloat64(), .5*dice.Float64()
			}
			p[0][arms-1], rewards[arms-1] = -2, 1
			ref := softmax(p[0])
			for range 100 {
				var batch []Sample
				now := softmax(p[0])
				for range 48 {
					a := pick(dice, now)
					s := Sample{Group: 1, Tokens: []int32{a}, Old: []float64{math.Log(now[a])}, Ref: []float64{math.Log(ref[a])}, Rewards: reward(rewards[a])}
					batch = append(batch, s)
				}
				v, err := c.r.Prepare(batch, seed)
				if err != nil {
					t.Fatal(err)
				}
				for range 4 {
					out := evaluate(t, &c.r, v, p.all(batch))
					p.add(p.gradient(batch, out.W), 1)
				}
			}
			if softmax(p[0])[arms-1] > .5 {
				found[c.name]++
			}
		}
	}
	t.Log("found in 16 runs:", found)
	for _, remedy := range []string{"cov-mask", "cov-top", "entropy", "reference"} {
		if found[remedy] <= found["plain"] {
			t.Errorf("%s found the arm %d times, plain %d times", remedy, found[remedy], found["plain"])
		}
	}
	if max(found["entropy"], found["reference"]) < max(found["cov-mask"], found["cov-top"]) {
		t.Errorf("the covariance methods dominate: %v", found)
	}
}

// linear is a policy of many states that share features, as the tokens of a language model share its weights.
type linear struct {
	x     [][]float64 // states × features
	theta [][]float64 // features × actions
}

func (l *linear) at(s int) []float64 {
	out := make([]float64, len(l.theta[0]))
	for d, x := range l.x[s] {
		for k, w := range l.theta[d] {
			out[k] += x * w
		}
	}
	return softmax(out)
}

// Many steps on one batch under shared parameters. Neither the clip nor the parabola bounds anything; fixup bounds the divergence on the batch.
func TestTrustRegions(t *testing.T) {
	const states, actions, features, bound = 40, 6, 8, .05
	type result struct{ maxRatio, maxKL float64 }
	got := map[string]result{}
	for _, r := range []*Recipe{
		{Name: "clip", Terms: []Term{Clip(.2, .2)}},
		{Name: "quadratic", Terms: []Term{Quadratic(.2)}},
		{Name: "fixed-up", Terms: []Term{Ratio()}},
	} {
		r.Aggregate = SequenceSum()
		dice := rand.New(rand.NewPCG(7, 7))
		l := &linear{theta: newTable(features, actions)}
		old, batch := make([][]float64, states), make([]Sample, states)
		for s := range states {
			x := make([]float64, features)
			for d := range x {
				x[d] = dice.NormFloat64()
			}
			l.x = append(l.x, x)
			old[s] = l.at(s)
			a := pick(dice, old[s])
			batch[s] = Sample{Tokens: []int32{a}, Old: []float64{math.Log(old[s][a])}, Rewards: reward(dice.NormFloat64())}
		}
		v, err := r.Prepare(batch, 1)
		if err != nil {
			t.Fatal(err)
		}
		maxKL := func() float64 {
			k := 0.0
			for s := range states {
				k = max(k, divergence(old[s], l.at(s)))
			}
			return k
		}
		climb := func(slope func(s int, p []float64) []float64) {
			g := newTable(features, actions)
			for s := range states {
				d := slope(s, l.at(s))
				for f, x := range l.x[s] {
					for k := range d {
						g[f][k] += x * d[k]
					}
				}
			}
			table(l.theta).add(g, .1)
		}
		away := func(s int, p []float64) []float64 { // −∇KL(old‖π)
			out := make([]float64, actions)
			for k := range out {
				out[k] = (old[s][k] - p[k]) / states
			}
			return out
		}
		penalty := FixupCoefficient{Beta: 1, Bound: bound, Rate: .01}
		for range 400 {
			logp := make([][]float64, states)
			for s := range states {
				logp[s] = []float64{math.Log(l.at(s)[batch[s].Tokens[0]])}
			}
			out := evaluate(t, r, v, logp)
			kl := maxKL()
			climb(func(s int, p []float64) []float64 {
				d := make([]float64, actions)
				for k := range d {
					d[k] = -out.W[s][0] * p[k]
				}
				d[batch[s].Tokens[0]] += out.W[s][0]
				if r.Name == "fixed-up" {
					for k, x := range away(s, p) {
						d[k] += penalty.Beta * x
					}
				}
				return d
			})
			penalty.Update(kl)
		}
		if r.Name == "fixed-up" {
			steps, ok := Fixup(bound, 10000, maxKL, func() { climb(away) })
			if !ok || steps == 0 {
				t.Errorf("fixup took %d steps and ended %v", steps, ok)
			}
		}
		m := 0.0
		for s := range states {
			a := batch[s].Tokens[0]
			m = max(m, math.Abs(l.at(s)[a]/old[s][a]-1))
		}
		got[r.Name] = result{m, maxKL()}
	}
	if got["clip"].maxRatio < .5 || got["quadratic"].maxRatio < .21 || got["quadratic"].maxRatio > got["clip"].maxRatio {
		t.Errorf("ratios: %+v", got)
	}
	if got["fixed-up"].maxKL > bound || got["clip"].maxKL < 2*bound {
		t.Errorf("divergences: %+v", got)
	}
	if steps, ok := Fixup(1, 3, func() float64 { return 2 }, func() {}); ok || steps != 3 {
		t.Errorf("a fixup that does not help ended after %d steps, %v", steps, ok)
	}
}

// The parabola's slope is zero at r = 1 ± ε, and nowhere else for its sign of A.
func TestQuadraticOptimum(t *testing.T) {
	for _, a := range []float64{1, -2} {
		for _, r := range []float64{.7, .8, .9, 1, 1.1, 1.2, 1.3} {
			s := Sample{Tokens: []int32{1}, Old: []float64{-1}, Rewards: reward(a)}
			_, out := run(t, quadraticPlain(), []Sample{s}, [][]float64{{-1 + math.Log(r)}})
			want := r * (a - math.Abs(a)*(r-1)/.2)
			near(t, "slope", out.W[0][0], want, 1e-12)
			if at := 1 + .2*math.Copysign(1, a); math.Abs(r-at) < 1e-9 {
				near(t, "slope at the optimum", out.W[0][0], 0, 1e-12)
			}
		}
	}
}

func quadraticPlain() *Recipe { return &Recipe{Name: "quadratic", Terms: []Term{Quadratic(.2)}} }

func TestControllers(t *testing.T) {
	kl := AdaptiveKL{Coefficient: 1, Target: 1, Horizon: 10}
	kl.Update(100, 10)
	near(t, "coefficient", kl.Coefficient, 1.2, 1e-12)
	kl.Update(0, 5)
	near(t, "coefficient", kl.Coefficient, 1.08, 1e-12)

	var m Moments
	for _, x := range []float64{2, 4, 4, 4, 5, 5, 7, 9} {
		m.Add(x)
	}
	near(t, "mean", m.Mean, 5, 1e-12)
	near(t, "std", m.Std(), math.Sqrt(32./7), 1e-12)

	h := Horizon{Steps: 4, Shrink: 2, Tolerance: .1}
	for k, c := range []struct {
		mean  float64
		moved bool
		left  int
	}{{1, true, 2}, {.5, false, 2}, {.95, true, 0}, {2, false, 0}} {
		if moved := h.Update(c.mean); moved != c.moved || h.Steps != c.left {
			t.Errorf("step %d: moved %v, %d left", k, moved, h.Steps)
		}
	}
	for share, want := range map[float64]Bucket{0: Hard, .3: Hard, .5: Medium, .7: Medium, .71: Easy} {
		if BucketOf(share) != want {
			t.Errorf("%g is %d", share, BucketOf(share))
		}
	}
	slow := []float64{0, 2}
	MovingAverage(slow, []float64{1, 1}, .25)
	near(t, "average", far(slow, []float64{.25, 1.75}), 0, 1e-12)
}

// Soups: for logits of tables with one reference, mixing the weights is mixing the rewards.
func TestSoup(t *testing.T) {
	ref, r1, r2 := []float64{.1, .2, -.3}, []float64{1, 0, .3}, []float64{-.2, .9, .5}
	const beta, share = .5, .3
	one, two, mixed := make([]float64, 3), make([]float64, 3), make([]float64, 3)
	for i := range ref {
		one[i], two[i] = ref[i]+r1[i]/beta, ref[i]+r2[i]/beta
		mixed[i] = ref[i] + (share*r1[i]+(1-share)*r2[i])/beta
	}
	near(t, "soup", far(softmax(Soup([]float64{share, 1 - share}, one, two)), softmax(mixed)), 0, 1e-15)
}

// V-MPO: the temperature's optimum keeps the divergence of the weights from uniform at its bound.
func TestTopHalf(t *testing.T) {
	a := []float64{1.2, .3, .8, 2.1, .1, -3, -3, -3, -3, -3}
	const bound = .01
	var rewards [][]Component
	for _, x := range a {
		rewards = append(rewards, judged(x))
	}
	psi := scores(t, TopHalf(TopHalfTemperature(a, bound)), rewards...)
	uniform := []float64{.2, .2, .2, .2, .2}
	var top []float64
	for i, w := range psi {
		if a[i] < 0 && w != 0 {
			t.Errorf("the worse half weighs %g", w)
		} else if a[i] > 0 {
			top = append(top, w/10)
		}
	}
	near(t, "KL(ψ‖uniform)", divergence(top, uniform), bound, 1e-6)
}

// TayPO-2: exact for two tokens, (12, 15, 16) for ratios (2, 3, 4).
func TestTaylor(t *testing.T) {
	slopes := func(ratios ...float64) (float64, []float64) {
		s := Sample{Tokens: make([]int32, len(ratios)), Old: make([]float64, len(ratios)), Rewards: reward(1)}
		logp := make([]float64, len(ratios))
		for i, r := range ratios {
			s.Old[i], logp[i] = -5, -5+math.Log(r)
		}
		_, out := run(t, &Recipe{Name: "t", Aggregate: Aggregate{About: About{Name: "one"}, Do: func(_ Params, v *View) [][]float64 {
			w := rows(v)
			w[0][0] = 1
			return w
		}}, Terms: []Term{Taylor2()}}, []Sample{s}, [][]float64{logp})
		return -out.Value, out.W[0]
	}
	_, w := slopes(2, 3, 4)
	near(t, "slopes", far(w, []float64{12, 15, 16}), 0, 1e-12)
	value, _ := slopes(2, 3)
	near(t, "value of two tokens", value, 6, 1e-12)
}
