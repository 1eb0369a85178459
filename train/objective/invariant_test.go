package objective

import (
	"math"
	"slices"
	"testing"
)

// Every invariant can be broken, and is then named.
func TestCheckFinds(t *testing.T) {
	for _, c := range []struct {
		rule  string
		fatal bool
		spoil func(v *View, logp [][]float64, out *Loss)
	}{
		{"not-finite", true, func(_ *View, _ [][]float64, out *Loss) { out.Value = math.NaN() }},
		{"not-finite", true, func(_ *View, _ [][]float64, out *Loss) { out.W[1][0] = math.Inf(1) }},
		{"dead-token", true, func(_ *View, _ [][]float64, out *Loss) { out.W[0][1] = 1 }},
		{"fresh-ratio", true, func(_ *View, logp [][]float64, _ *Loss) { logp[1][0] += 1e-5 }},
		{"centred-scores", true, func(v *View, _ [][]float64, _ *Loss) { v.Score[0] += .1 }},
		{"constant-group", true, func(v *View, _ [][]float64, _ *Loss) {
			v.Reward[0], v.Reward[1] = .5, .5
		}},
		{"sampler-drift", false, func(v *View, _ [][]float64, _ *Loss) { v.Samples[0].Behaviour[0] -= .06 }},
		{"unjudged", false, func(v *View, _ [][]float64, _ *Loss) {
			v.OK[0], v.OK[1] = false, false
			clear(v.Score)
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var batch []Sample
			for i := range 2 {
				batch = append(batch, Sample{Group: 1, Tokens: []int32{1, 2}, Live: []bool{true, false}, Old: []float64{-1, -1}, Behaviour: []float64{-1, -1}, Rewards: reward(float64(i))})
			}
			logp := [][]float64{{-1, -1}, {-1, -1}}
			r := Recipe{Name: "r", Normalize: Mean(), Terms: []Term{Clip(.2, .2)}}
			v, out := run(t, &r, batch, logp)
			if found := Check(v, logp, out, true, 0); len(found) > 0 {
				t.Fatalf("before anything was spoilt: %+v", found)
			}
			c.spoil(v, logp, out)
			found := Check(v, logp, out, true, 0)
			if len(found) == 0 || !slices.ContainsFunc(found, func(x Violation) bool { return x.Rule == c.rule && x.Fatal == c.fatal && x.Detail != "" }) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// The bonus goes to counted tokens by their weight; the value is the engine's to know.
func TestEntropyTerm(t *testing.T) {
	batch := []Sample{{Tokens: []int32{1, 2}, Live: []bool{true, false}, Rewards: reward(0)}, {Tokens: []int32{1}, Rewards: reward(0)}}
	r := Recipe{Name: "entropy", Terms: []Term{Entropy(.5), Entropy(.25)}}
	_, out := run(t, &r, batch, [][]float64{{-1, -1}, {-1}})
	near(t, "weights", far(append(out.Entropy[0], out.Entropy[1]...), []float64{.375, 0, .375}), 0, 1e-12)
	if out.Value != 0 || out.W[0][0] != 0 {
		t.Errorf("loss %g, W %v", out.Value, out.W)
	}
}

// What has nothing to be compared with scores nothing, and components can be chosen and weighed.
func TestSmallGroups(t *testing.T) {
	for _, n := range []Normalize{Mean(), LeaveOneOut(), MeanStd(0), Beta(), Rank(), PerComponent(0, nil), SetShare()} {
		if got := scores(t, n, judged(1)); got[0] != 0 {
			t.Errorf("%s: a sample alone scores %g", n.Name, got[0])
		}
	}
	got := scores(t, PerComponent(0, map[string]float64{"style": 2}), judged(1, 1), judged(0, 0))
	near(t, "style alone, twice", got[0], math.Sqrt(2), 1e-12)
	if got := scores(t, TopHalf(1), []Component{{Name: "x", OK: false}}); got[0] != 0 {
		t.Errorf("nothing judged scores %g", got[0])
	}
	if (&Moments{}).Std() != 0 {
		t.Error("the deviation of nothing")
	}
	c := MinUnder(.2, nil)
	if _, _, ok := c.Do(c.Params, &Sample{}); ok {
		t.Error("no components were judged")
	}
	g := Gate([]string{"rule"}, map[string]float64{"style": 1})
	if _, _, ok := g.Do(g.Params, &Sample{Rewards: judged(1)}); ok {
		t.Error("a missing component was judged")
	}
}
