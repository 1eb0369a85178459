// Package engine holds the verbs of training and their types: forward and backward, optimizer step, sample, log-probabilities, save, load.
//
// They are the verbs of the Tinker protocol (Thinking Machines Lab, 2025), so that one loop drives an engine in this process, one behind HTTP, and a cluster. What is
// minimised is no business of an engine: it takes W = −dLoss/dlogp for each token, which is all that any of the objectives of package train/objective has to say to a model,
// and returns the log-probabilities from which the next W is made.
//
// Table is the twin without a network of neurons: softmax tables over the last tokens, exact and small. TestEngine is the contract that every implementation passes.
package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Engine owns one set of weights with its gradient and optimizer state. Calls that change any of these are made one after another; implementations serialise them, so that
// concurrent use is safe but has no promised order. No call keeps its arguments or results.
//
// A path names weights that SaveWeights stored; the empty path names the weights that are being trained. Errors wrap one of the errors of this package or the context's.
type Engine interface {
	// Info says what is being trained.
	Info(ctx context.Context) (Info, error)
	// ForwardBackward adds the gradient of Loss = −Σ Weight·logp − Σ Entropy·H over all rows to the gradient, and returns what the forward pass found.
	// Where the batch is refused with ErrInput the gradient is as before; where anything fails later, it is cleared.
	ForwardBackward(ctx context.Context, batch []Datum) (Output, error)
	// LogProbs is the forward pass alone, under the weights of a path. Weight and Entropy of the rows are not read.
	LogProbs(ctx context.Context, path string, batch []Datum) (Output, error)
	// OptimStep updates the weights with the gradient and clears it. A gradient that is not finite is cleared, the weights stay, and the error wraps ErrNotFinite.
	OptimStep(ctx context.Context, p Adam) (Step, error)
	// Sample continues a prompt under the weights of a path. The same request under the same weights gives the same answer.
	Sample(ctx context.Context, path string, req SampleRequest) ([]Sequence, error)
	// SaveWeights stores weights and optimizer state under a name, whole or not at all, and returns their path. A name that is taken is replaced.
	SaveWeights(ctx context.Context, name string) (path string, err error)
	// LoadWeights goes back to a path: the steps after it give the bits that they would have given then. The gradient is cleared.
	LoadWeights(ctx context.Context, path string) error
}

// The errors of engines.
var (
	// ErrInput is wrapped where a request could never be carried out: shapes that do not agree, a token outside of the vocabulary, more tokens than the context holds, a weight that is not finite.
	ErrInput = errors.New("bad input")
	// ErrNotFound is wrapped where a path names nothing.
	ErrNotFound = errors.New("no such weights")
	// ErrNotFinite is wrapped where training has left the numbers: a log-probability or a gradient is NaN or infinite.
	ErrNotFinite = errors.New("not finite")
	// ErrNoGradient is wrapped by an optimizer step that no backward pass came before.
	ErrNoGradient = errors.New("no gradient")
	// ErrUnsupported is wrapped where an engine lacks what a request needs, such as the gradient of the entropy.
	ErrUnsupported = errors.New("not supported by this engine")
)

// Info describes the model of an engine. Fields that an engine does not know are zero.
type Info struct {
	Name       string // of the base model
	Vocab      int    // tokens are in [0, Vocab)
	Context    int    // the longest row, in tokens
	Params     int64  // all parameters
	Trainable  int64  // those that OptimStep changes
	Entropy    bool   // Output.Entropy is filled, and Datum.Entropy is understood
	Patch      int    // values of one image patch; 0: the model takes none
	LoRARank   int    // 0: every parameter is trained
	StepsTaken int    // optimizer steps in the state being trained
}

// NoTarget in Datum.Target says that nothing is predicted there: the position only gives context, costs no output layer, and its log-probability is 0.
const NoTarget int32 = -1

// PatchInput in Datum.Input says that the position reads the next image patch instead of a token.
const PatchInput int32 = -1

// Datum is one row: position i reads Input[i] and predicts Target[i], so that a text t of n tokens has Input t[:n-1] and Target t[1:]. All slices have the same length, at least 1.
type Datum struct {
	Input  []int32
	Target []int32
	// Weight is W = −dLoss/dlogp for each target: 1/n for plain supervised training over n tokens, 0 for tokens that only give context. Nil is all zeros.
	Weight []float64
	// Entropy is −dLoss/dH for each position, H being the entropy in nats of the next-token distribution there. Nil is all zeros.
	Entropy []float64
	// Patches holds Info.Patch values for each PatchInput, in order. A patch is never a target, so that images are masked from the loss.
	Patches []float32
}

// Continue returns the row that scores a continuation after a prompt, and the position of the continuation's first token in Target; before it nothing is predicted. An empty prompt leaves the first token of the continuation without a prediction; first is then −1.
func Continue(prompt, continuation []int32) (d Datum, first int) {
	all := make([]int32, 0, len(prompt)+len(continuation))
	all = append(append(all, prompt...), continuation...)
	n := max(len(all)-1, 0)
	d = Datum{Input: all[:n:n], Target: append([]int32(nil), all[len(all)-n:]...)}
	for i := 0; i < len(prompt)-1 && i < n; i++ {
		d.Target[i] = NoTarget
	}
	return d, len(prompt) - 1
}

// Output is what a forward pass found: for each row, as long as it, the natural logarithms of the probabilities of the targets, and, from engines that know it, the entropy in nats.
type Output struct {
	LogProbs [][]float64
	Entropy  [][]float64
}

// Adam is the update of Kingma and Ba (2015) with decoupled weight decay (Loshchilov and Hutter, 2019) and, before it, clipping of the gradient's norm.
type Adam struct {
	LearningRate float64
	Beta1, Beta2 float64 // both 0: 0.9 and 0.95
	Eps          float64 // 0: 1e-8
	WeightDecay  float64 // of matrices; an engine may leave norms and biases out
	ClipNorm     float64 // 0: the gradient is taken as it is
}

// WithDefaults fills in what is zero.
func (a Adam) WithDefaults() Adam {
	if a.Beta1 == 0 && a.Beta2 == 0 {
		a.Beta1, a.Beta2 = 0.9, 0.95
	}
	if a.Eps == 0 {
		a.Eps = 1e-8
	}
	return a
}

// Check returns an error that wraps ErrInput where a setting is outside of its range.
func (a Adam) Check() error {
	for _, f := range []struct {
		name  string
		value float64
		below float64
	}{
		{"learning rate", a.LearningRate, math.Inf(1)}, {"beta1", a.Beta1, 1}, {"beta2", a.Beta2, 1},
		{"eps", a.Eps, math.Inf(1)}, {"weight decay", a.WeightDecay, math.Inf(1)}, {"clip norm", a.ClipNorm, math.Inf(1)},
	} {
		if !(f.value >= 0 && f.value < f.below) {
			return fmt.Errorf("optim step: %w: %s is %g; it has to be at least 0 and below %g", ErrInput, f.name, f.value, f.below)
		}
	}
	return nil
}

// Step is what an optimizer step did. GradNorm is the Euclidean norm before clipping; Number counts the steps of this state, from 1.
type Step struct {
	Number   int
	GradNorm float64
}

// SampleRequest asks for continuations. Temperature 0 takes the likeliest token; TopK 0 and TopP 0 or 1 cut nothing off.
type SampleRequest struct {
	Prompt      []int32 // at least one token
	Count       int     // 0 is 1
	MaxTokens   int     // at least 1; a continuation also ends where the context is full
	Temperature float64
	TopK        int
	TopP        float64
	Seed        uint64
	Stop        []int32 // a continuation ends with the first of these tokens, which belongs to it
}

// Sequence is one continuation. LogProbs are those of the distribution that it was drawn from, after temperature and cuts; with temperature 0 they are those at temperature 1.
type Sequence struct {
	Tokens   []int32
	LogProbs []float64
	Stop     string // "stop": it ends with a token of Stop; "length": it was cut off
}

// BatchSampler is implemented by engines that draw for several prompts faster together than one after another.
type BatchSampler interface {
	// SampleBatch answers each request as Sample would, number for number.
	SampleBatch(ctx context.Context, path string, reqs []SampleRequest) ([][]Sequence, error)
}

// SampleBatch draws for several prompts on any engine: together where it is a BatchSampler, else one after another.
func SampleBatch(ctx context.Context, e Engine, path string, reqs []SampleRequest) ([][]Sequence, error) {
	if b, ok := e.(BatchSampler); ok {
		return b.SampleBatch(ctx, path, reqs)
	}
	out := make([][]Sequence, len(reqs))
	for i, r := range reqs {
		drawn, err := e.Sample(ctx, path, r)
		if err != nil {
			return nil, err
		}
		out[i] = drawn
	}
	return out, nil
}

// Merger is implemented by engines that can mix stored weights: θ = Σ λ·θ_path. It serves model soups, moving averages and the reset of a reference.
type Merger interface {
	// MergeWeights stores Σ Lambda·weights under a name and returns its path; the optimizer state is empty.
	MergeWeights(ctx context.Context, name string, parts []Part) (path string, err error)
}

// Part is one term of a mixture of weights. The empty path is the weights being trained.
type Part struct {
	Path   string
	Lambda float64
}

// Weigher is implemented by engines that can ask for W between the forward and the backward pass, which saves a second forward pass.
type Weigher interface {
	// ForwardBackwardWith is ForwardBackward with the weights that weigh returns for what the forward pass found. weigh returns rows as long as those of the batch; an error of weigh ends the call.
	ForwardBackwardWith(ctx context.Context, batch []Datum, weigh Weigh) (Output, error)
}

// Weigh makes W and the weights of the entropy from log-probabilities. entropy may be nil.
type Weigh func(out Output) (weight, entropy [][]float64, err error)

// ForwardBackwardWith runs ForwardBackward on any engine with weights that depend on the log-probabilities at the present weights: in one pass where the engine is a Weigher, else as LogProbs followed by ForwardBackward.
func ForwardBackwardWith(ctx context.Context, e Engine, batch []Datum, weigh Weigh) (Output, error) {
	if w, ok := e.(Weigher); ok {
		return w.ForwardBackwardWith(ctx, batch, weigh)
	}
	out, err := e.LogProbs(ctx, "", batch)
	if err != nil {
		return Output{}, err
	}
	weight, entropy, err := weigh(out)
	if err != nil {
		return Output{}, err
	}
	weighted, err := Weighted(batch, weight, entropy)
	if err != nil {
		return Output{}, err
	}
	return e.ForwardBackward(ctx, weighted)
}

// Weighted returns the rows of a batch with these weights. The batch is left as it is.
func Weighted(batch []Datum, weight, entropy [][]float64) ([]Datum, error) {
	if len(weight) != len(batch) || entropy != nil && len(entropy) != len(batch) {
		return nil, fmt.Errorf("weigh: %w: %d rows of weights for %d rows", ErrInput, len(weight), len(batch))
	}
	out := make([]Datum, len(batch))
	for i, d := range batch {
		d.Weight, d.Entropy = weight[i], nil
		if entropy != nil {
			d.Entropy = entropy[i]
		}
		out[i] = d
	}
	return out, nil
}

// CheckBatch returns an error that wraps ErrInput where a row of the batch is not fit for a model, naming the row. Engines call it before anything else.
func CheckBatch(info Info, batch []Datum) error {
	if len(batch) == 0 {
		return fmt.Errorf("batch: %w: it has no rows", ErrInput)
	}
	for i, d := range batch {
		if err := checkDatum(info, d); err != nil {
			return fmt.Errorf("row %d: %w: %w", i, ErrInput, err)
		}
	}
	return nil
}

func checkDatum(info Info, d Datum) error {
	n := len(d.Input)
	switch {
	case n == 0:
		return errors.New("it has no tokens")
	case len(d.Target) != n:
		return fmt.Errorf("%d targets for %d tokens", len(d.Target), n)
	case d.Weight != nil && len(d.Weight) != n:
		return fmt.Errorf("%d weights for %d tokens", len(d.Weight), n)
	case d.Entropy != nil && len(d.Entropy) != n:
		return fmt.Errorf("%d entropy weights for %d tokens", len(d.Entropy), n)
	case d.Entropy != nil && !info.Entropy:
		return fmt.Errorf("%w: the gradient of the entropy; use a sampled estimate of it", ErrUnsupported)
	case info.Context > 0 && n > info.Context:
		return fmt.Errorf("%d tokens, but the context holds %d; shorten the text or split it", n, info.Context)
	}
	patches := 0
	for k, tokens := range [][]int32{d.Input, d.Target} {
		for i, t := range tokens {
			if k == 1 && t == NoTarget {
				continue
			}
			if k == 0 && t == PatchInput && info.Patch > 0 {
				patches++
				continue
			}
			if t < 0 || info.Vocab > 0 && int(t) >= info.Vocab {
				return fmt.Errorf("position %d: token %d is not in the vocabulary of %d; was the text cut by another tokenizer?", i, t, info.Vocab)
			}
		}
	}
	if len(d.Patches) != patches*info.Patch {
		return fmt.Errorf("%d values for %d patches of %d", len(d.Patches), patches, info.Patch)
	}
	for i, x := range d.Patches {
		if v := float64(x); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("value %d of the patches is %g", i, x)
		}
	}
	for _, w := range [][]float64{d.Weight, d.Entropy} {
		for i, x := range w {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("position %d: the weight is %g", i, x)
			}
		}
	}
	return nil
}

// CheckSample returns an error that wraps ErrInput where a request for samples is not fit for a model.
func CheckSample(info Info, r SampleRequest) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("sample: %w: "+format, append([]any{ErrInput}, args...)...)
	}
	switch {
	case len(r.Prompt) == 0:
		return bad("the prompt has no tokens")
	case info.Context > 0 && len(r.Prompt) >= info.Context:
		return bad("a prompt of %d tokens leaves no room in a context of %d", len(r.Prompt), info.Context)
	case r.MaxTokens < 1:
		return bad("at most %d tokens; ask for at least one", r.MaxTokens)
	case r.Count < 0 || r.TopK < 0:
		return bad("count %d and top-k %d may not be negative", r.Count, r.TopK)
	case !(r.Temperature >= 0 && r.Temperature <= 100):
		return bad("temperature %g is not in [0, 100]", r.Temperature)
	case !(r.TopP >= 0 && r.TopP <= 1):
		return bad("top-p %g is not in [0, 1]", r.TopP)
	}
	for _, t := range r.Prompt {
		if t < 0 || info.Vocab > 0 && int(t) >= info.Vocab {
			return bad("token %d of the prompt is not in the vocabulary of %d", t, info.Vocab)
		}
	}
	return nil
}

// CheckName returns an error that wraps ErrInput for a name that SaveWeights does not take: letters, digits, '.', '_' and '-', at most 128, not beginning with a dot.
func CheckName(name string) error {
	ok := name != "" && len(name) <= 128 && name[0] != '.'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
	}
	if !ok {
		return fmt.Errorf("save weights: %w: the name %q; use letters, digits, '.', '_' and '-'", ErrInput, name)
	}
	return nil
}
