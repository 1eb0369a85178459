package objective

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// heldConstant names the terms in whose gradient something is held constant, so that the finite difference of their value is not W. Their W has tests of its own.
var heldConstant = []string{"clipped-weight", "centred-clip", "entropy-sampled"}

// tuned brings recipes whose usual parameters suit long texts to the scale of the random batch.
func tuned(t *testing.T, r *Recipe) *Recipe {
	out := *r
	for name, value := range map[string]float64{"clip-sequence.low": .1, "clip-sequence.high": .1, "regress.eta": 2, "game-square.eta": 1, "game-square.tau": .3, "cov-mask.fraction": .1, "cov-mask.low": .05, "cov-top.fraction": .1, "mine-pairs.margin": .5} {
		if slices.Contains(out.ParamNames(), name) {
			changed, err := out.With(name, value)
			if err != nil {
				t.Fatal(err)
			}
			out = changed
		}
	}
	return &out
}

// W = −dLoss/dlogp, for every recipe, by central differences. At a kink the two one-sided differences disagree and say nothing; there are few.
func TestGradients(t *testing.T) {
	for _, recipe := range All {
		t.Run(recipe.Name, func(t *testing.T) {
			r := tuned(t, recipe)
			r.Terms = slices.DeleteFunc(slices.Clone(r.Terms), func(x Term) bool { return slices.Contains(heldConstant, x.Name) })
			if len(r.Terms) == 0 {
				t.Skip("skipped: its only term holds something constant; TestHeldConstant looks at it")
			}
			dice := rand.New(rand.NewPCG(1, 2))
			checked, kinks := 0, 0
			for range 6 {
				batch, logp := randomBatch(dice)
				v, out := run(t, r, batch, logp)
				for i := range logp {
					for j := range logp[i] {
						at := func(h float64) float64 {
							old := logp[i][j]
							logp[i][j] += h
							defer func() { logp[i][j] = old }()
							return evaluate(t, r, v, logp).Value
						}
						const h = 1e-5
						here := at(0)
						left, right := (here-at(-h))/h, (at(h)-here)/h
						if math.Abs(left-right) > 1e-3*(1+math.Abs(left)) {
							kinks++
							continue
						}
						if want := -(left + right) / 2; math.Abs(out.W[i][j]-want) > 1e-6*(1+math.Abs(want)) {
							t.Fatalf("sample %d, token %d: W is %.9g, finite differences say %.9g", i, j, out.W[i][j], want)
						}
						checked++
					}
				}
			}
			if kinks > checked/20 {
				t.Errorf("%d kinks and %d places checked", kinks, checked)
			}
		})
	}
}

// A term in whose gradient something is held constant: with that constant frozen, W is −dLoss/dlogp.
func TestHeldConstant(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	batch, logp := randomBatch(dice)
	base := Recipe{Name: "held", Normalize: LeaveOneOut(), Aggregate: TokenMean()}

	weights := base
	weights.Terms = []Term{ClippedWeight(.9, .1)}
	v, out := run(t, &weights, batch, logp)
	for i, row := range out.W {
		for j, w := range row {
			r := math.Exp(logp[i][j] - batch[i].Old[j])
			near(t, "clipped weight", w, v.Weight[i][j]*min(max(r, .1), 1.1)*v.Advantage[i][j], 1e-12)
		}
	}

	centred := base
	centred.Terms = []Term{CentredClip(.2, .2)}
	v, out = run(t, &centred, batch, logp)
	sum, n := 0.0, 0.0
	for i := range batch {
		for j, m := range v.Mask[i] {
			if m {
				sum += logp[i][j] - batch[i].Old[j]
				n++
			}
		}
	}
	plain := base
	plain.Terms = []Term{Clip(.2, .2)}
	shifted := make([][]float64, len(logp))
	for i := range logp {
		shifted[i] = slices.Clone(logp[i])
		for j := range shifted[i] {
			shifted[i][j] -= sum / n
		}
	}
	_, want := run(t, &plain, batch, shifted)
	for i := range out.W {
		near(t, "centred clip", far(out.W[i], want.W[i]), 0, 1e-12)
	}
	near(t, "centred loss", out.Value, want.Value, 1e-12)
}

// E[W∇log π] of EntropySampled is the gradient of the entropy, and that of K2 and of the k3 form are the gradients of the two divergences; K1 as a loss would have none. By enumeration of one token.
func TestDivergenceGradients(t *testing.T) {
	p, ref := table{{.2, -.5, .4, 1}}, softmax([]float64{-.3, .6, .1, .2})
	prob := softmax(p[0])
	expected := func(term Term) []float64 {
		g := make([]float64, 4)
		for a := range prob {
			s := Sample{Tokens: []int32{int32(a)}, Rewards: reward(0), Ref: []float64{math.Log(ref[a])}, Teacher: []float64{math.Log(ref[a])}}
			s.Old = p.logp(s.Tokens)
			_, out := run(t, &Recipe{Name: "kl", Terms: []Term{term}}, []Sample{s}, [][]float64{s.Old})
			for j, x := range p.gradient([]Sample{s}, out.W)[0] {
				g[j] += prob[a] * x
			}
		}
		return g
	}
	differences := func(f func(q []float64) float64) []float64 {
		g := make([]float64, 4)
		for j := range g {
			at := func(h float64) float64 {
				l := slices.Clone(p[0])
				l[j] += h
				return f(softmax(l))
			}
			g[j] = -(at(1e-5) - at(-1e-5)) / 2e-5
		}
		return g
	}
	near(t, "kl2 against ∇KL(π‖ref)", far(expected(K2(1)), differences(func(q []float64) float64 { return divergence(q, ref) })), 0, 1e-9)
	near(t, "kl3 against ∇KL(ref‖π)", far(expected(K3(1)), differences(func(q []float64) float64 { return divergence(ref, q) })), 0, 1e-9)
	near(t, "distill against ∇KL(π‖teacher)", far(expected(Distill(1)), differences(func(q []float64) float64 { return divergence(q, ref) })), 0, 1e-9)

	// The entropy needs its whole batch at once, since the baseline is a mean over it: each action with its probability as the weight.
	var batch []Sample
	for a := range prob {
		batch = append(batch, Sample{Tokens: []int32{int32(a)}, Rewards: reward(0)})
	}
	r := Recipe{Name: "entropy", Terms: []Term{EntropySampled(1)}}
	v, err := r.Prepare(batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	for a := range prob {
		v.Weight[a][0] = prob[a]
	}
	out := evaluate(t, &r, v, p.all(batch))
	near(t, "sampled entropy", far(p.gradient(batch, out.W)[0], differences(func(q []float64) float64 { return -entropy(q) })), 0, 1e-9)
}

func TestValueLoss(t *testing.T) {
	value, old, target := []float64{1, 2, -1}, []float64{.9, 1, -1.1}, []float64{3, 2.5, -1.05}
	for _, clip := range []float64{0, .2} {
		_, slope := ValueLoss(value, old, target, clip)
		for i := range value {
			at := func(h float64) float64 {
				v := slices.Clone(value)
				v[i] += h
				l, _ := ValueLoss(v, old, target, clip)
				return l
			}
			near(t, "slope", slope[i], (at(1e-6)-at(-1e-6))/2e-6, 1e-6)
		}
	}
}
