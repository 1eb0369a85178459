package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
)

// TestEngine is the contract of an Engine. open returns one with random or empty weights, a vocabulary of at least 16 tokens and a context of at least 16; each subtest opens its own, and two that are opened are equal.
// tolerance is how far two computations of one log-probability may differ: 0 for exact engines, about 1e-4 for float32.
func TestEngine(t *testing.T, open func(testing.TB) Engine, tolerance float64) {
	c := contract{open: open, tolerance: tolerance}
	for _, s := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"log-probabilities are a distribution", c.distribution},
		{"training raises what has a positive weight and lowers what has a negative one", c.direction},
		{"the loss falls along the gradient", c.descent},
		{"gradients of two calls add up", c.accumulates},
		{"weights chosen between the passes are the same as weights chosen before", c.weighs},
		{"samples repeat by their seed and say their log-probabilities", c.samples},
		{"a save survives training, and loading it continues bit for bit", c.resumes},
		{"mixtures of weights lie between their parts", c.merges},
		{"bad input is refused and changes nothing", c.refuses},
		{"a context that has ended is obeyed", c.cancelled},
	} {
		t.Run(s.name, s.run)
	}
}

type contract struct {
	open      func(testing.TB) Engine
	tolerance float64
}

var (
	contractText = []int32{1, 5, 9, 2, 7, 3, 8, 4}
	contractAdam = Adam{LearningRate: 0.01}
)

func contractRow(weight float64) Datum {
	d, _ := Continue(contractText[:2], contractText[2:])
	d.Weight = make([]float64, len(d.Input))
	for i := 1; i < len(d.Weight); i++ {
		d.Weight[i] = weight / float64(len(d.Weight)-1)
	}
	return d
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func scored(t *testing.T, e Engine, path string, d ...Datum) []float64 {
	t.Helper()
	out, err := e.LogProbs(context.Background(), path, d)
	var all []float64
	for _, row := range must(t, out, err).LogProbs {
		all = append(all, row...)
	}
	return all
}

func step(t *testing.T, e Engine, d ...Datum) Step {
	t.Helper()
	_, err := e.ForwardBackward(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.OptimStep(context.Background(), contractAdam)
	return must(t, s, err)
}

func (c contract) near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= c.tolerance+1e-12) {
			t.Fatalf("%s: value %d is %.9g, want %.9g", what, i, got[i], want[i])
		}
	}
}

func (c contract) distribution(t *testing.T) {
	e := c.open(t)
	info, err := e.Info(context.Background())
	if must(t, info, err); info.Vocab < 16 || info.Context < 16 {
		t.Fatalf("the contract needs 16 tokens of vocabulary and context; got %+v", info)
	}
	step(t, e, contractRow(1))
	var batch []Datum
	for v := range min(info.Vocab, 4096) {
		batch = append(batch, Datum{Input: contractText[:3], Target: []int32{5, 9, int32(v)}})
	}
	out, err := e.LogProbs(context.Background(), "", batch)
	must(t, out, err)
	sum, entropy := 0.0, 0.0
	for _, row := range out.LogProbs {
		l := row[2]
		if !(l <= c.tolerance) {
			t.Fatalf("a log-probability is %g", l)
		}
		sum += math.Exp(l)
		entropy -= math.Exp(l) * l
	}
	if info.Vocab > 4096 {
		return
	}
	if math.Abs(sum-1) > 1e-9+float64(info.Vocab)*c.tolerance {
		t.Errorf("the probabilities of all tokens sum to %.9f", sum)
	}
	none := Datum{Input: contractText[:3], Target: []int32{NoTarget, 9, NoTarget}, Weight: []float64{3, 0, 3}}
	out2, err := e.ForwardBackward(context.Background(), []Datum{none})
	if must(t, out2, err); out2.LogProbs[0][0] != 0 || out2.LogProbs[0][2] != 0 || out2.LogProbs[0][1] == 0 {
		t.Errorf("positions without a target say %v", out2.LogProbs[0])
	}
	if info.Entropy && math.Abs(out.Entropy[0][2]-entropy) > 1e-9+100*c.tolerance {
		t.Errorf("the entropy is %.6f; the log-probabilities say %.6f", out.Entropy[0][2], entropy)
	}
}

func (c contract) direction(t *testing.T) {
	for _, w := range []float64{1, -1} {
		e := c.open(t)
		before := scored(t, e, "", contractRow(0))
		s := step(t, e, contractRow(w))
		if s.Number != 1 || !(s.GradNorm > 0) {
			t.Errorf("the first step says %+v", s)
		}
		change := 0.0
		for i, l := range scored(t, e, "", contractRow(0))[1:] {
			change += l - before[1+i]
		}
		if change*w <= 0 {
			t.Errorf("weight %g moved the log-probability by %g", w, change)
		}
	}
}

// descent compares the fall of the loss over a small step of nearly plain gradient descent with the norm of the gradient, which is a finite-difference check of the whole gradient.
func (c contract) descent(t *testing.T) {
	e := c.open(t)
	step(t, e, contractRow(1))
	row := contractRow(1)
	info, err := e.Info(context.Background())
	must(t, info, err)
	loss := func() float64 {
		out, err := e.LogProbs(context.Background(), "", []Datum{row})
		l := 0.0
		for j, x := range must(t, out, err).LogProbs[0] {
			l -= row.Weight[j] * x
		}
		return l
	}
	_, err = e.ForwardBackward(context.Background(), []Datum{row})
	must(t, 0, err)
	// A huge eps turns Adam into x −= lr/eps · (1−β1)/(1−β1^t)·g + momentum; with both betas next to 0 it is gradient descent.
	const rate, eps = 1e-3, 1e6
	before := loss()
	s, err := e.OptimStep(context.Background(), Adam{LearningRate: rate * eps, Beta1: 1e-12, Beta2: 1e-12, Eps: eps})
	must(t, s, err)
	want := rate * s.GradNorm * s.GradNorm
	if fall := before - loss(); math.Abs(fall-want) > 0.05*want+10*c.tolerance {
		t.Errorf("the loss fell by %.6g; the gradient promised %.6g", fall, want)
	}
}

func (c contract) accumulates(t *testing.T) {
	other := Datum{Input: []int32{3, 3, 4}, Target: []int32{3, 4, 6}, Weight: []float64{0.2, -0.1, 0.3}}
	one, two := c.open(t), c.open(t)
	step(t, one, contractRow(1), other)
	_, err := two.ForwardBackward(context.Background(), []Datum{contractRow(1)})
	must(t, 0, err)
	step(t, two, other)
	c.near(t, "after one call and after two", scored(t, two, "", contractRow(0), other), scored(t, one, "", contractRow(0), other))
}

func (c contract) weighs(t *testing.T) {
	one, two := c.open(t), c.open(t)
	step(t, one, contractRow(1))
	plain := contractRow(0)
	plain.Weight = nil
	out, err := ForwardBackwardWith(context.Background(), two, []Datum{plain}, func(out Output) ([][]float64, [][]float64, error) {
		if len(out.LogProbs) != 1 || len(out.LogProbs[0]) != len(plain.Input) {
			t.Errorf("the forward pass found %v", out.LogProbs)
		}
		return [][]float64{contractRow(1).Weight}, nil, nil
	})
	must(t, out, err)
	_, err = two.OptimStep(context.Background(), contractAdam)
	must(t, 0, err)
	c.near(t, "after both", scored(t, two, "", plain), scored(t, one, "", plain))
	wrong := errors.New("wrong")
	if _, err := ForwardBackwardWith(context.Background(), two, []Datum{plain}, func(Output) ([][]float64, [][]float64, error) { return nil, nil, wrong }); !errors.Is(err, wrong) {
		t.Errorf("the error of weigh became %v", err)
	}
}

func (c contract) samples(t *testing.T) {
	ctx, e := context.Background(), c.open(t)
	for range 20 {
		step(t, e, contractRow(1))
	}
	req := SampleRequest{Prompt: contractText[:2], Count: 3, MaxTokens: 6, Temperature: 1, Seed: 7, Stop: []int32{4}}
	a, err := e.Sample(ctx, "", req)
	must(t, a, err)
	b, err := e.Sample(ctx, "", req)
	must(t, b, err)
	if len(a) != 3 {
		t.Fatalf("%d samples, want 3", len(a))
	}
	for i, s := range a {
		if !slices.Equal(s.Tokens, b[i].Tokens) {
			t.Errorf("sample %d is %v and then %v", i, s.Tokens, b[i].Tokens)
		}
		if n := len(s.Tokens); n == 0 || n > 6 || n != len(s.LogProbs) {
			t.Fatalf("sample %d has %d tokens and %d log-probabilities", i, n, len(s.LogProbs))
		}
		stopped := s.Tokens[len(s.Tokens)-1] == 4
		if stopped != (s.Stop == "stop") || !stopped && s.Stop != "length" {
			t.Errorf("sample %d is %v and stopped by %q", i, s.Tokens, s.Stop)
		}
		d, first := Continue(req.Prompt, s.Tokens)
		c.near(t, "log-probabilities of a sample", s.LogProbs, scored(t, e, "", d)[first:])
	}
	longer := SampleRequest{Prompt: contractText[:5], Count: 2, MaxTokens: 9, Temperature: 1, Seed: 3}
	one, err := e.Sample(ctx, "", longer)
	must(t, one, err)
	together, err := SampleBatch(ctx, e, "", []SampleRequest{req, longer, req})
	must(t, together, err)
	for i, want := range [][]Sequence{a, one, a} {
		for k, s := range want {
			if got := together[i][k]; !slices.Equal(got.Tokens, s.Tokens) || got.Stop != s.Stop {
				t.Errorf("request %d, sample %d is %v together with others and %v alone", i, k, got.Tokens, s.Tokens)
			}
			c.near(t, "log-probabilities together with others", together[i][k].LogProbs, s.LogProbs)
		}
	}
	req.Seed = 8
	other, err := e.Sample(ctx, "", req)
	must(t, other, err)
	if slices.Equal(other[0].Tokens, a[0].Tokens) && slices.Equal(other[1].Tokens, a[1].Tokens) && slices.Equal(other[2].Tokens, a[2].Tokens) {
		t.Error("another seed gives the same three samples")
	}
	greedy, err := e.Sample(ctx, "", SampleRequest{Prompt: contractText[:2], MaxTokens: 3, Temperature: 0, Seed: 1})
	must(t, greedy, err)
	sure, err := e.Sample(ctx, "", SampleRequest{Prompt: contractText[:2], MaxTokens: 3, Temperature: 1, TopK: 1, Seed: 2})
	must(t, sure, err)
	if !slices.Equal(greedy[0].Tokens, sure[0].Tokens) {
		t.Errorf("temperature 0 gives %v, top-k 1 gives %v", greedy[0].Tokens, sure[0].Tokens)
	}
	for i, l := range sure[0].LogProbs {
		if math.Abs(l) > 1e-9 {
			t.Errorf("top-k 1: token %d has log-probability %g", i, l)
		}
	}
}

func (c contract) resumes(t *testing.T) {
	ctx, e := context.Background(), c.open(t)
	step(t, e, contractRow(1))
	path, err := e.SaveWeights(ctx, "first")
	must(t, path, err)
	then := scored(t, e, "", contractRow(0))
	step(t, e, contractRow(-1))
	later := scored(t, e, "", contractRow(0))
	if slices.Equal(then, later) {
		t.Fatal("a step changed nothing")
	}
	c.near(t, "the save after more training", scored(t, e, path, contractRow(0)), then)
	// A gradient that is under way is not part of a save.
	_, err = e.ForwardBackward(ctx, []Datum{contractRow(5)})
	must(t, 0, err)
	if err := e.LoadWeights(ctx, path); err != nil {
		t.Fatal(err)
	}
	if got := scored(t, e, "", contractRow(0)); !slices.Equal(got, then) {
		t.Errorf("loading gives %v, want %v", got, then)
	}
	if s := step(t, e, contractRow(-1)); s.Number != 2 {
		t.Errorf("the step after loading is number %d, want 2", s.Number)
	}
	if got := scored(t, e, "", contractRow(0)); !slices.Equal(got, later) {
		t.Errorf("the step after loading gives %v, want %v", got, later)
	}
	for _, err := range []error{e.LoadWeights(ctx, "nothing-here"), func() error { _, err := e.LogProbs(ctx, "nothing-here", []Datum{contractRow(0)}); return err }()} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("a path that names nothing: %v", err)
		}
	}
}

func (c contract) merges(t *testing.T) {
	ctx, e := context.Background(), c.open(t)
	m, ok := e.(Merger)
	if !ok {
		t.Skip("skipped: this engine does not mix weights")
	}
	step(t, e, contractRow(1))
	a, err := e.SaveWeights(ctx, "a")
	must(t, a, err)
	then := scored(t, e, "", contractRow(0))
	step(t, e, contractRow(-1))
	same, err := m.MergeWeights(ctx, "same", []Part{{a, 0.25}, {a, 0.75}})
	must(t, same, err)
	c.near(t, "a mixture of one with itself", scored(t, e, same, contractRow(0)), then)
	now, err := m.MergeWeights(ctx, "now", []Part{{"", 1}})
	must(t, now, err)
	c.near(t, "a mixture of the present alone", scored(t, e, now, contractRow(0)), scored(t, e, "", contractRow(0)))
	if _, err := m.MergeWeights(ctx, "bad", []Part{{"nothing-here", 1}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a part that names nothing: %v", err)
	}
}

func (c contract) refuses(t *testing.T) {
	ctx, e := context.Background(), c.open(t)
	info, err := e.Info(ctx)
	must(t, info, err)
	before := scored(t, e, "", contractRow(0))
	if _, err := e.OptimStep(ctx, contractAdam); !errors.Is(err, ErrNoGradient) {
		t.Errorf("a step without a gradient: %v", err)
	}
	long := make([]int32, info.Context+1)
	for _, b := range []struct {
		name  string
		batch []Datum
	}{
		{"no rows", nil},
		{"no tokens", []Datum{{}}},
		{"lengths", []Datum{{Input: []int32{1, 2}, Target: []int32{2}}}},
		{"weights", []Datum{{Input: []int32{1}, Target: []int32{2}, Weight: []float64{1, 2}}}},
		{"a token outside", []Datum{{Input: []int32{1}, Target: []int32{int32(info.Vocab)}, Weight: []float64{1}}}},
		{"a negative token", []Datum{{Input: []int32{-1}, Target: []int32{1}, Weight: []float64{1}}}},
		{"not a number", []Datum{contractRow(1), {Input: []int32{1}, Target: []int32{2}, Weight: []float64{math.NaN()}}}},
		{"longer than the context", []Datum{{Input: long, Target: long}}},
	} {
		if _, err := e.ForwardBackward(ctx, b.batch); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", b.name, err)
		}
	}
	for _, r := range []SampleRequest{
		{MaxTokens: 1}, {Prompt: []int32{1}}, {Prompt: []int32{1}, MaxTokens: 1, Temperature: -1}, {Prompt: []int32{1}, MaxTokens: 1, TopP: 2},
		{Prompt: []int32{int32(info.Vocab)}, MaxTokens: 1}, {Prompt: long, MaxTokens: 1},
	} {
		if _, err := e.Sample(ctx, "", r); !errors.Is(err, ErrInput) {
			t.Errorf("sample %+v: %v", r, err)
		}
	}
	for _, name := range []string{"", "../up", ".hidden", "a/b"} {
		if _, err := e.SaveWeights(ctx, name); !errors.Is(err, ErrInput) {
			t.Errorf("save as %q: %v", name, err)
		}
	}
	if _, err := e.OptimStep(ctx, contractAdam); !errors.Is(err, ErrNoGradient) {
		t.Errorf("what was refused left a gradient: %v", err)
	}
	if _, err := e.ForwardBackward(ctx, []Datum{contractRow(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.OptimStep(ctx, Adam{LearningRate: math.NaN()}); !errors.Is(err, ErrInput) {
		t.Errorf("a learning rate that is no number: %v", err)
	}
	if got := scored(t, e, "", contractRow(0)); !slices.Equal(got, before) {
		t.Error("what was refused changed the weights")
	}
}

func (c contract) cancelled(t *testing.T) {
	e := c.open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.ForwardBackward(ctx, []Datum{contractRow(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("forward-backward: %v", err)
	}
	if _, err := e.Sample(ctx, "", SampleRequest{Prompt: []int32{1}, MaxTokens: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("sample: %v", err)
	}
}
