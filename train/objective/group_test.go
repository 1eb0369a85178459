package objective

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// All groups of four draws from four arms, enumerated: what is the expected gradient of each normalizer against that of the expected reward?
func TestGroupGradients(t *testing.T) {
	p, rewards := table{{.2, -.5, .4, 1}}, []float64{1, 0, 0, 1}
	const g = 4
	prob := softmax(p[0])
	mean := dot(prob, rewards)
	truth := make([]float64, 4)
	for a := range truth {
		truth[a] = prob[a] * (rewards[a] - mean)
	}
	biased, err := Recipe{Name: "biased", Normalize: MeanStd(0), Aggregate: SequenceSum(), Terms: []Term{Score()}}.With("mean-std.biased", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		recipe Recipe
		scale  float64
	}{
		{*Reinforce, 1},
		{*GroupLeaveOneOut, 1},
		{Recipe{Name: "mean", Normalize: Mean(), Aggregate: SequenceSum(), Terms: []Term{Score()}}, (g - 1.0) / g},
		{Recipe{Name: "unbiased", Normalize: MeanStd(0), Aggregate: SequenceSum(), Terms: []Term{Score()}}, 1.41},
		{biased, 1.63},
	} {
		got, kept := make([]float64, 4), 0.0
		for k := range 256 {
			batch, chance := make([]Sample, g), 1.0
			mixed := false
			for i := range batch {
				a := k >> (2 * i) & 3
				batch[i] = Sample{Group: 1, Tokens: []int32{int32(a)}, Rewards: reward(rewards[a])}
				chance *= prob[a]
				mixed = mixed || rewards[a] != batch[0].Rewards[0].Value
			}
			if mixed {
				kept += chance
			}
			_, out := run(t, &c.recipe, batch, p.all(batch))
			for j, x := range p.gradient(batch, out.W)[0] {
				got[j] += chance * x
			}
		}
		scale := dot(got, truth) / dot(truth, truth)
		near(t, c.recipe.Name+": scale", scale, c.scale, .005)
		for j := range got {
			near(t, c.recipe.Name+": direction", got[j], scale*truth[j], 1e-9)
		}
		near(t, "share of mixed groups", kept, KeepProbability(mean, g), 1e-12)
	}
}

// Aggregations agree exactly where lengths do.
func TestAggregation(t *testing.T) {
	weigh := func(a Aggregate, lengths ...int) [][]float64 {
		var batch []Sample
		for _, n := range lengths {
			batch = append(batch, Sample{Tokens: make([]int32, n)})
		}
		v, _ := run(t, &Recipe{Name: "weights", Aggregate: a, Terms: []Term{LogLikelihood()}}, batch, rows(&View{Samples: batch}))
		return v.Weight
	}
	for _, c := range []struct {
		a          Aggregate
		short, len float64 // of a token of a sample of 2 and of one of 8
	}{
		{TokenMean(), .1, .1}, {SequenceMean(), .25, 1. / 16}, {SequenceSum(), .5, .5}, {Constant(5), .1, .1}, {Budget(20), .05, .05},
	} {
		w := weigh(c.a, 2, 8)
		near(t, c.a.Name, w[0][0], c.short, 1e-15)
		near(t, c.a.Name, w[1][7], c.len, 1e-15)
	}
	for _, a := range []Aggregate{SequenceMean(), Constant(4)} {
		w, want := weigh(a, 4, 4), weigh(TokenMean(), 4, 4)
		for i := range w {
			near(t, a.Name+" with equal lengths", far(w[i], want[i]), 0, 1e-15)
		}
	}
	// A budget of two tokens takes one whole sample, whichever the seed brings first.
	batch := []Sample{{Tokens: make([]int32, 2)}, {Tokens: make([]int32, 8)}}
	v, _ := run(t, &Recipe{Name: "budget", Select: []Select{TokenBudget(2)}, Aggregate: Budget(2), Terms: []Term{LogLikelihood()}}, batch, rows(&View{Samples: batch}))
	if v.counted(0)*v.counted(1) != 0 || v.counted(0)+v.counted(1) < 2 {
		t.Errorf("a budget of 2 tokens kept %d and %d", v.counted(0), v.counted(1))
	}
}

// Generalized advantages, and the switches of PPO-max.
func TestGAE(t *testing.T) {
	s := Sample{
		Tokens: []int32{1, 2, 3, 4}, Live: []bool{true, true, false, true}, Rewards: reward(2),
		Old: []float64{-1, -2, -3, -1.5}, Ref: []float64{-1.5, -1, -3, -2}, Value: []float64{.5, 1, 9, .2},
	}
	advantages := func(gamma, lambda, kl float64) (*View, []float64) {
		v, err := (&Recipe{Name: "gae", Credit: GAE(gamma, lambda, kl), Terms: []Term{Score()}}).Prepare([]Sample{s}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return v, v.Advantage[0]
	}
	// The tool's token between 1 and .2 is passed over: its value of 9 is never read.
	_, td := advantages(1, 0, 0)
	near(t, "λ=0", far(td, []float64{1 - .5, .2 - 1, 0, 2 - .2}), 0, 1e-12)
	v, mc := advantages(1, 1, 0)
	near(t, "λ=1", far(mc, []float64{2 - .5, 2 - 1, 0, 2 - .2}), 0, 1e-12)
	near(t, "returns", far(v.Return[0], []float64{2, 2, 0, 2}), 0, 1e-12)
	_, kl := advantages(1, 1, .1)
	near(t, "with KL in the reward", far(kl, []float64{2 - .1*(.5-1+.5) - .5, 2 - .1*(-1+.5) - 1, 0, 2 - .1*.5 - .2}), 0, 1e-12)

	white, err := Recipe{Name: "white", Credit: GAE(1, 1, 0), Terms: []Term{Score()}}.With("gae.whiten", 1)
	if err != nil {
		t.Fatal(err)
	}
	v, _ = run(t, &white, []Sample{s}, [][]float64{s.Old})
	live := []float64{v.Advantage[0][0], v.Advantage[0][1], v.Advantage[0][3]}
	mean, variance := moments(live)
	near(t, "whitened mean", mean, 0, 1e-12)
	near(t, "whitened variance", variance, 1, 1e-12)

	clip := RunningClip(1, 2, 1.5)
	for in, want := range map[float64]float64{1: 0, 3: 1, 100: 1.5, -100: -1.5} {
		v := &View{Samples: make([]Sample, 1), OK: []bool{true}, Reward: []float64{in}}
		near(t, "running clip", clip.Do(clip.Params, v)[0], want, 1e-12)
	}
}

func TestClipGates(t *testing.T) {
	for _, c := range []struct{ a, r, dual, want float64 }{
		{1, 1.1, 0, 1.1}, {1, 1.21, 0, 0}, {1, .5, 0, .5}, {-1, 1.1, 0, -1.1}, {-1, .79, 0, 0}, {-1, 3, 0, -3}, {-1, 3.1, 3, 0}, {-1, 2.9, 3, -2.9},
	} {
		r, err := Recipe{Name: "clip", Terms: []Term{Clip(.2, .2)}}.With("clip.dual", c.dual)
		if err != nil {
			t.Fatal(err)
		}
		s := Sample{Tokens: []int32{1}, Old: []float64{-1}, Rewards: reward(c.a)}
		_, out := run(t, &r, []Sample{s}, [][]float64{{-1 + math.Log(c.r)}})
		near(t, fmt.Sprintf("A=%g r=%g dual=%g", c.a, c.r, c.dual), out.W[0][0], c.want, 1e-12)
	}
}

// needle is a task that a policy without the text of the policy has no chance of: six tokens of eight must all be right. With the text each is right with probability .9.
type needle struct {
	target   []int32
	aware    table
	accuracy float64
}

func newNeedle(length int, accuracy float64) needle {
	n := needle{target: []int32{3, 1, 7, 0, 5, 2}[:length], aware: newTable(length, 8), accuracy: accuracy}
	for t, y := range n.target {
		if accuracy > 0 {
			n.aware[t][y] = math.Log(accuracy / ((1 - accuracy) / 7))
		} else {
			n.aware[t][y] = -1e3
		}
	}
	return n
}

func (n needle) success(p table) float64 {
	s := 1.0
	for t, y := range n.target {
		s *= softmax(p[t])[y]
	}
	return s
}

// steps trains with plain samples without and informed samples with the policy text in the context, and returns the step at which the policy without the text succeeds nine times in ten, or most.
func (n needle) steps(t *testing.T, r *Recipe, seed uint64, rate float64, plain, informed, most int, old func(p table, s *Sample) []float64) int {
	dice := rand.New(rand.NewPCG(seed, 1))
	p := newTable(len(n.target), 8)
	for step := range most {
		if n.success(p) > .9 {
			return step
		}
		var batch []Sample
		for i := range plain + informed {
			s := Sample{Group: 1, Scored: 1, Drawn: 1, Digest: "pack"}
			from := p
			if i >= plain {
				s.Drawn, from = 2, n.aware
			}
			s.Tokens = from.draw(dice)
			s.Behaviour = from.logp(s.Tokens)
			s.Old = old(p, &s)
			s.Ref = s.Old
			hit := 0.0
			if slices.Equal(s.Tokens, n.target) {
				hit = 1
			}
			s.Rewards = reward(hit)
			batch = append(batch, s)
		}
		logp := p.all(batch)
		v, out := run(t, r, batch, logp)
		fresh := r.Name != "weights per token" && r.Name != "weights per sample"
		for _, x := range Check(v, logp, out, fresh, 0) {
			if x.Fatal {
				t.Fatalf("%s: %s: %s", r.Name, x.Rule, x.Detail)
			}
		}
		p.add(p.gradient(batch, out.W), rate)
	}
	return most
}

// inContext is the right Old: of the policy that is trained, in the context that is scored.
func inContext(p table, s *Sample) []float64 { return p.logp(s.Tokens) }

// asDrawn is Old of the sampler, which makes r an importance weight between the two contexts.
func asDrawn(_ table, s *Sample) []float64 { return s.Behaviour }

// Samples that read the policy find what the model does not find by itself; with importance weights between the two contexts they find it later or never.
func TestPolicyRollout(t *testing.T) {
	n := newNeedle(6, .9)
	near(t, "success with the text", n.success(n.aware), .531441, 1e-9)
	near(t, "success without", n.success(newTable(6, 8)), math.Pow(8, -6), 1e-12)
	std := Recipe{Name: "std", Normalize: MeanStd(1e-3), Aggregate: SequenceSum(), Terms: []Term{Clip(.2, .2)}}
	perToken := std
	perToken.Name = "weights per token"
	product := std
	product.Name, product.Terms = "weights per sample", []Term{perSequence(About{Name: "product"}, func(_ Params, v *View, i int, logp, slope []float64) float64 {
		value, s := clipped(ratio(v.sum(i, logp), v.sum(i, v.Samples[i].Old)), v.Score[i], .2, .2, 0)
		for t := range slope {
			slope[t] = s
		}
		return value
	})}
	leaveOneOut := *PolicyRollout
	leaveOneOut.Aggregate = SequenceSum()
	type result struct {
		solved int
		steps  float64
	}
	play := func(n needle, r *Recipe, rate float64, plain, informed, seeds, most int, old func(table, *Sample) []float64) (out result) {
		for seed := range seeds {
			if k := n.steps(t, r, uint64(seed), rate, plain, informed, most, old); k < most {
				out.solved++
				out.steps += float64(k)
			}
		}
		out.steps /= max(float64(out.solved), 1)
		return out
	}
	for _, c := range []struct {
		name            string
		got             result
		solved, of      int
		atLeast, atMost float64
	}{
		{"group of 6 without the text", play(n, &std, 2, 6, 0, 10, 100, inContext), 0, 10, 0, 0},
		{"group of 12 without the text", play(n, &std, 2, 12, 0, 10, 100, inContext), 0, 10, 0, 0},
		{"6 without and 6 with it", play(n, &std, 2, 6, 6, 10, 100, inContext), 10, 10, 15, 30},
		{"weighed per token", play(n, &perToken, 2, 6, 6, 10, 100, asDrawn), 10, 10, 32, 60},
		{"weighed per sample", play(n, &product, 2, 6, 6, 10, 100, asDrawn), 0, 10, 0, 0},
		{"leave-one-out in place of the deviation", play(n, &leaveOneOut, 2, 6, 6, 10, 100, inContext), 10, 10, 30, 60},
	} {
		if c.got.solved != c.solved || c.got.steps < c.atLeast || c.got.steps > c.atMost {
			t.Errorf("%s: solved %d of %d in %.1f steps, want %d in %g to %g", c.name, c.got.solved, c.of, c.got.steps, c.solved, c.atLeast, c.atMost)
		}
	}
	// On an easy task samples that read the text help as well, and hurt only where they are always wrong.
	group := play(newNeedle(2, .9), &std, 1, 12, 0, 20, 200, inContext)
	informed := play(newNeedle(2, .9), &std, 1, 6, 6, 20, 200, inContext)
	misled := play(newNeedle(2, 0), &std, 1, 6, 6, 20, 200, inContext)
	if !(informed.steps < group.steps && group.steps < misled.steps) || informed.solved+group.solved+misled.solved != 60 {
		t.Errorf("easy task: informed %+v, group %+v, misled %+v", informed, group, misled)
	}
}

// Old of a sample that was drawn with the text must be taken without it; taking the sampler's is found out on the first step.
func TestFreshRatioIsChecked(t *testing.T) {
	n := newNeedle(6, .9)
	p := newTable(6, 8)
	s := Sample{Group: 1, Drawn: 2, Scored: 1, Tokens: n.target, Behaviour: n.aware.logp(n.target), Rewards: reward(1)}
	s.Old = s.Behaviour
	other := s
	other.Rewards = reward(0)
	r := Recipe{Name: "r", Normalize: Mean(), Terms: []Term{Clip(.2, .2)}}
	v, out := run(t, &r, []Sample{s, other}, p.all([]Sample{s, other}))
	if found := Check(v, p.all(v.Samples), out, true, 0); len(found) == 0 || found[0].Rule != "fresh-ratio" || !found[0].Fatal {
		t.Errorf("found %+v", found)
	}
	s.Old, s.Stamp = p.logp(s.Tokens), Fingerprint(2, s.Tokens)
	if _, err := r.Prepare([]Sample{s}, 1); err == nil {
		t.Error("Old of another context was taken")
	}
}
