package objective

import (
	"math"
	"slices"
	"testing"
)

func judged(values ...float64) []Component {
	names := []string{"rule", "style", "help"}
	var out []Component
	for i, v := range values {
		out = append(out, Component{Name: names[i], Value: v, OK: true})
	}
	return out
}

// Gates, minima and sums as truth tables; what could not be judged is no number.
func TestComposeTables(t *testing.T) {
	gate := Gate([]string{"rule"}, map[string]float64{"style": .5})
	weighted := Weighted(map[string]float64{"rule": .5, "style": .5})
	least := MinUnder(.2, map[string]float64{"rule": .3, "style": .4, "help": .3})
	unjudged := []Component{{Name: "rule", OK: false}, {Name: "style", Value: 1, OK: true}, {Name: "help", Value: 1, OK: true}}
	for _, c := range []struct {
		name    string
		compose Compose
		rewards []Component
		want    float64
		ok      bool
	}{
		{"gate open, plain", gate, judged(1, 0), 1, true},
		{"gate open, with style", gate, judged(1, 1), 1.5, true},
		{"gate shut, with style", gate, judged(0, 1), 0, true},
		{"gate half shut", gate, judged(.9, 1), 0, true},
		{"gate not judged", gate, unjudged, 0, false},
		{"gate that is not there", gate, nil, 0, false},
		{"weighted", weighted, judged(0, 1), .5, true},
		{"weighted, not judged", weighted, unjudged, 0, false},
		{"sum of everything", Weighted(nil), judged(.25, .5), .75, true},
		{"sum of everything, not judged", Weighted(nil), unjudged, 0, false},
		{"mean above the threshold", least, judged(1, .5, 1), .8, true},
		{"minimum under it", least, judged(1, .1, 1), .1, true},
		{"a rule that is judged twice is their mean", weighted, append(judged(1, 1), Component{Name: "rule", Value: 0, OK: true}), .75, true},
	} {
		got, _, ok := c.compose.Do(c.compose.Params, &Sample{Rewards: c.rewards})
		if ok != c.ok || ok && math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, %v; want %g, %v", c.name, got, ok, c.want, c.ok)
		}
	}
	s := Sample{Rewards: append(judged(1), Component{Name: "cost:harm", Value: .3, OK: true})}
	r, cost, _ := Weighted(nil).Do(nil, &s)
	if r != 1 || !slices.Equal(cost, []float64{.3}) {
		t.Errorf("costs are apart: %g, %v", r, cost)
	}
}

// An additive mix prefers a violation with enough style; the gate never does.
func TestGateIsSafe(t *testing.T) {
	arms := [][]Component{judged(1, .4), judged(1, .6), judged(0, 1)}
	best := func(c Compose) int {
		at, top := -1, math.Inf(-1)
		for i, a := range arms {
			if r, _, _ := c.Do(c.Params, &Sample{Rewards: a}); r > top {
				at, top = i, r
			}
		}
		return at
	}
	for _, w := range []float64{.1, .25, .3, .5, .75} {
		// The rule's weight has to exceed what the violation buys: (1−w)·(1 − .6) < w.
		if got, want := best(Weighted(map[string]float64{"rule": w, "style": 1 - w})) == 1, w > .4*(1-w); got != want {
			t.Errorf("additive, rule weighs %g: the best is compliant: %v, want %v", w, got, want)
		}
		if best(Gate([]string{"rule"}, map[string]float64{"style": 1 - w})) != 1 {
			t.Errorf("gate with style %g prefers a violation", 1-w)
		}
	}
}

func scores(t *testing.T, n Normalize, rewards ...[]Component) []float64 {
	t.Helper()
	var batch []Sample
	for _, r := range rewards {
		batch = append(batch, Sample{Group: 1, Tokens: []int32{1}, Rewards: r})
	}
	v, err := (&Recipe{Name: "scores", Normalize: n}).Prepare(batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v.Score
}

func TestSeverity(t *testing.T) {
	// Two answers: one breaks nothing. The other breaks one rule, or two.
	one := scores(t, MeanStd(0), judged(1, 1), judged(0, 1))
	two := scores(t, MeanStd(0), judged(1, 1), judged(0, 0))
	near(t, "sum first, one violation", one[1], -math.Sqrt(.5), 1e-12)
	near(t, "sum first, two violations", two[1], -math.Sqrt(.5), 1e-12)
	near(t, "apart, one violation", scores(t, PerComponent(0, nil), judged(1, 1), judged(0, 1))[1], -math.Sqrt(.5), 1e-12)
	near(t, "apart, two violations", scores(t, PerComponent(0, nil), judged(1, 1), judged(0, 0))[1], -math.Sqrt(2), 1e-12)

	eight := func(n Normalize, last float64) float64 {
		var all [][]Component
		for range 7 {
			all = append(all, judged(1))
		}
		return scores(t, n, append(all, judged(last))...)[7]
	}
	near(t, "one failure in eight", eight(MeanStd(0), 0), -2.4749, 1e-4)
	near(t, "noise in eight", eight(MeanStd(0), .98), -2.4749, 1e-4)
	near(t, "noise under a floor", eight(MeanStd(.05), .98), 0, 0)
	near(t, "leave-one-out keeps severity", eight(LeaveOneOut(), .98)/eight(LeaveOneOut(), 0), .02, 1e-9)
}

// What could not be judged is neither a zero nor part of a mean, and a task of which nothing was judged is reported.
func TestUnjudged(t *testing.T) {
	bad := []Component{{Name: "rule", OK: false}}
	for _, n := range []Normalize{None(), Mean(), LeaveOneOut(), MeanStd(0), Beta(), Rank(), PerComponent(0, nil), RunningClip(1, 1, 5), TopHalf(1)} {
		with := scores(t, n, judged(1), bad, judged(0), judged(.5))
		without := scores(t, n, judged(1), judged(0), judged(.5))
		if with[1] != 0 {
			t.Errorf("%s: an unjudged sample scores %g", n.Name, with[1])
		}
		// Weights of the better half count all samples of the batch; the others do not see the unjudged one at all.
		if n.Name != "top-half" {
			near(t, n.Name, far([]float64{with[0], with[2], with[3]}, without), 0, 1e-12)
		}
	}
	batch := []Sample{{Group: 7, Tokens: []int32{1}, Rewards: bad}, {Group: 8, Tokens: []int32{1}, Rewards: judged(1)}}
	v, out := run(t, MaximumLikelihood, batch, [][]float64{{-1}, {-1}})
	found := Check(v, [][]float64{{-1}, {-1}}, out, false, 0)
	if len(found) != 1 || found[0].Rule != "unjudged" || out.W[0][0] != 0 || out.W[1][0] == 0 || out.Stats.Unjudged != 1 {
		t.Errorf("found %+v, W %v, stats %+v", found, out.W, out.Stats)
	}
}

// The Beta normalizer: closed forms, the minimum that its shape is, and its guards.
func TestBetaNorm(t *testing.T) {
	// Equal rates, one prompt: the mean is the baseline and the density is that of the uniform distribution.
	near(t, "one group", far(scores(t, Beta(), judged(1), judged(0)), []float64{.5, -.5}), 0, 1e-12)
	near(t, "α=β=1.5 against (π/8)/std", 1/betaDensity(.3, 1.5, 1.5), math.Pi/8/math.Sqrt(.3*.7), 1e-9)

	// (1+a/3, 1+b/3) is a stationary minimum of B(α,β)²·B(a+3−2α, b+3−2β)/B(a,b), the variance of the gradient.
	lbeta := func(a, b float64) float64 {
		x, _ := math.Lgamma(a)
		y, _ := math.Lgamma(b)
		z, _ := math.Lgamma(a + b)
		return x + y - z
	}
	a, b := 2.3, 1.1
	f := func(alpha, beta float64) float64 {
		return 2*lbeta(alpha, beta) + lbeta(a+3-2*alpha, b+3-2*beta) - lbeta(a, b)
	}
	alpha, beta := 1+a/3, 1+b/3
	const h = 1e-5
	near(t, "∂/∂α", (f(alpha+h, beta)-f(alpha-h, beta))/(2*h), 0, 1e-8)
	near(t, "∂/∂β", (f(alpha, beta+h)-f(alpha, beta-h))/(2*h), 0, 1e-8)
	for _, d := range []float64{-.2, -.05, .05, .2} {
		if f(alpha+d, beta) < f(alpha, beta) || f(alpha, beta+d) < f(alpha, beta) {
			t.Errorf("not a minimum at distance %g", d)
		}
	}
	// The moments of a Beta lead back to its shape: rates at ±σ of the mean, in the limit of many prompts.
	m, v := a/(a+b), a*b/((a+b)*(a+b)*(a+b+1))
	var rates []float64
	for range 5000 {
		rates = append(rates, m-math.Sqrt(v), m+math.Sqrt(v))
	}
	gotA, gotB := betaShape(rates)
	near(t, "α", gotA, alpha, 1e-3)
	near(t, "β", gotB, beta, 1e-3)
	// Guards: no spread, no success, no failure.
	for _, r := range [][]float64{nil, {.5}, {.5, .5}, {0, 0}, {1, 1}, {0, 1}} {
		if x, y := betaShape(r); math.IsNaN(x+y) || x < 1 || y < 1 {
			t.Errorf("rates %v give %g, %g", r, x, y)
		}
	}
	near(t, "no success", far(scores(t, Beta(), judged(0), judged(0)), []float64{0, 0}), 0, 0)
}

// The Lagrangian: the average of the policies is the constrained optimum, the last one need not be.
func TestLagrangian(t *testing.T) {
	r, c := []float64{1, .5, 0}, []float64{1, 0, 0}
	p, dual, average := table{{0, 0, 0}}, Dual{Budget: .3, Rate: .01}, make([]float64, 3)
	const steps = 20000
	for k := range steps {
		prob := softmax(p[0])
		u := make([]float64, 3)
		for i := range u {
			u[i] = r[i] - dual.Lambda*c[i]
		}
		m := dot(prob, u)
		for i := range u {
			p[0][i] += .05 * prob[i] * (u[i] - m)
		}
		dual.Update(dot(prob, c))
		for i := range average {
			if k >= steps/4 {
				average[i] += prob[i] / (steps * .75)
			}
		}
	}
	near(t, "share of the costly arm, averaged", average[0], .3, .02)
	near(t, "share of the free arm, averaged", average[1], .7, .02)
	// Normalized apart, the multiplier keeps its scale; inside a standardized reward a constant cost would vanish.
	cost := func(x float64) Component { return Component{Name: "cost:harm", Value: x, OK: true} }
	got := scores(t, Lagrangian(Mean(), 1), append(judged(1), cost(1)), append(judged(0), cost(0)))
	near(t, "reward and cost cancel at λ=1", got[0], 0, 1e-12)
	got = scores(t, Lagrangian(Mean(), 3), append(judged(1), cost(1)), append(judged(0), cost(0)))
	near(t, "λ=3", got[0], (.5-3*.5)/4, 1e-12)
}
