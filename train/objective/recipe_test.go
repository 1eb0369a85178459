package objective

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// What holds for every recipe on any batch: nothing where the model did not write, permutations permute, invariants hold.
func TestInvariants(t *testing.T) {
	for _, recipe := range All {
		t.Run(recipe.Name, func(t *testing.T) {
			r := tuned(t, recipe)
			// Dice that a select throws depend on places; everything else must not.
			dice := slices.ContainsFunc(r.Select, func(s Select) bool { return s.Name == "cov-mask" || s.Name == "token-budget" })
			rapid.Check(t, func(rt *rapid.T) {
				batch, logp := randomBatch(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
				if rapid.Bool().Draw(rt, "unjudged") {
					batch[rapid.IntRange(0, 7).Draw(rt, "which")].Rewards[0].OK = false
				}
				v, out := run(t, r, batch, logp)
				for _, x := range Check(v, logp, out, false, 0) {
					if x.Fatal {
						rt.Fatalf("%s: %s", x.Rule, x.Detail)
					}
				}
				for i := range batch {
					for j, w := range out.W[i] {
						if w != 0 && (!batch[i].live(j) || !v.OK[i]) {
							rt.Fatalf("sample %d, token %d: W is %g", i, j, w)
						}
					}
				}
				if dice {
					return
				}
				order := rand.New(rand.NewPCG(2, rapid.Uint64().Draw(rt, "order"))).Perm(len(batch))
				shuffled, moved := make([]Sample, len(batch)), make([][]float64, len(batch))
				for to, from := range order {
					shuffled[to], moved[to] = batch[from], logp[from]
				}
				_, again := run(t, r, shuffled, moved)
				for to, from := range order {
					if d := far(again.W[to], out.W[from]); d > 1e-9 {
						rt.Fatalf("sample %d weighs otherwise at place %d, by %g", from, to, d)
					}
				}
			})
		})
	}
}

// The weights are made for the batch as a whole, so that an engine may take it in pieces: their sum is that of the batch. A token mean of each piece would not do.
func TestMicroBatches(t *testing.T) {
	batch, logp := randomBatch(rand.New(rand.NewPCG(8, 8)))
	_, whole := run(t, GroupClipHigher, batch, logp)
	sum := 0.0
	for _, row := range whole.W {
		for _, w := range row {
			sum += w
		}
	}
	pieces := 0.0
	for _, piece := range [][]int{{0, 1, 2}, {3, 4}, {5, 6, 7}} {
		for _, i := range piece {
			for _, w := range whole.W[i] {
				pieces += w
			}
		}
	}
	near(t, "sum of the pieces", pieces, sum, 1e-12)
	_, half := run(t, GroupClipHigher, batch[:4], logp[:4])
	if far(half.W[0], whole.W[0]) < 1e-9 {
		t.Error("a piece prepared on its own weighs the same; the test has lost its point")
	}
}

func TestLossRefuses(t *testing.T) {
	batch, logp := randomBatch(rand.New(rand.NewPCG(1, 1)))
	v, _ := run(t, GroupClip, batch, logp)
	logp[2][1] = math.NaN()
	for name, l := range map[string][][]float64{"sample 2, token 1": logp, "7 samples": logp[:7], "sample 0: 0 log-prob": append([][]float64{{}}, logp[1:]...)} {
		if _, err := GroupClip.Loss(v, l); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(name, "7 samples")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := GroupClip.Prepare(nil, 1); err == nil {
		t.Error("an empty batch was taken")
	}
	batch[3].Rewards[0].Value = math.Inf(1)
	if _, err := GroupClip.Prepare(batch, 1); err == nil || !strings.Contains(err.Error(), "the reward is +Inf") {
		t.Errorf("an infinite reward: %v", err)
	}
	if _, err := PairsLogistic.PreparePairs(arms([]float64{.5, .5}, []float64{0, 0}), []Pair{{0, 2, 1}}, 1); err == nil {
		t.Error("a pair outside of the batch was taken")
	}
}

func TestWith(t *testing.T) {
	changed, err := GroupClip.With("clip.high", .5)
	if err != nil {
		t.Fatal(err)
	}
	if got := changed.Terms[0].Params.value("high"); got != .5 {
		t.Errorf("clip.high is %g", got)
	}
	if got := GroupClip.Terms[0].Params.value("high"); got != .2 {
		t.Errorf("the recipe itself changed to %g", got)
	}
	if _, err := GroupClip.With("clip.hihg", .5); err == nil || !strings.Contains(err.Error(), "clip.high") {
		t.Errorf("a parameter that does not exist: %v", err)
	}
}

func TestExtra(t *testing.T) {
	for _, name := range []string{"entropy", "entropy-sampled", "kl2", "kl3", "old-kl"} {
		term, err := Extra(name, .25)
		if err != nil || term.Params[0].Value != .25 {
			t.Errorf("%s: %+v, %v", name, term.About, err)
		}
	}
	if _, err := Extra("clip", 1); err == nil {
		t.Error("a surrogate was added")
	}
}

func TestByName(t *testing.T) {
	for _, r := range All {
		if got, err := ByName(r.Name); err != nil || got != r {
			t.Errorf("%s: %v, %v", r.Name, got, err)
		}
	}
	if _, err := ByName("DAPO"); err == nil || !strings.Contains(err.Error(), "group-clip-higher") {
		t.Errorf("a name of a paper: %v", err)
	}
	if !slices.IsSortedFunc(All, func(a, b *Recipe) int { return strings.Compare(a.Name, b.Name) }) {
		var names []string
		for _, r := range All {
			names = append(names, r.Name)
		}
		slices.Sort(names)
		t.Error("the table is not sorted by name; it should be", names)
	}
}

// The printed reference, which is made of the code.
func TestDescribe(t *testing.T) {
	var b strings.Builder
	for _, r := range All {
		for _, s := range r.Slots() {
			if s.Name == "" || s.Formula == "" || s.Source == "" || s.Shapes == "" || s.Units == "" {
				t.Errorf("%s: slot %s lacks documentation: %+v", r.Name, s.Kind, s.About)
			}
		}
		b.WriteString(r.Describe() + "\n")
	}
	testkit.Golden(t, "testdata/recipes.md", []byte(b.String()))
}

func BenchmarkGroupClip(b *testing.B) {
	batch, logp := randomBatch(rand.New(rand.NewPCG(1, 1)))
	for b.Loop() {
		run(b, GroupClip, batch, logp)
	}
}
