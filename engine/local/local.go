package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/nn"
)

// Options say what an engine trains.
type Options struct {
	// Net is the network with its weights, which the engine owns from now on. One with adapters trains these alone, any other trains every parameter.
	Net *nn.Net
	// Name is the name of the base model, for Info.
	Name string
	// Dir is the folder of checkpoints; it is made where it does not exist.
	Dir string
	// Files are written beside the weights of each checkpoint, by name, so that it can be loaded as a model: config.json, tokenizer.json.
	Files map[string][]byte
	// Positions is how many tokens go through the network at a time; a batch of more is cut between rows. 0: 4096. It bounds the memory of activations and changes no objective, only rounding.
	Positions int
	// Resident is how many checkpoints besides the live weights stay in memory for LogProbs and Sample. 0: 1.
	Resident int
}

const (
	defaultPositions = 4096
	defaultResident  = 1
	samplingSlots    = 32 // continuations that are decoded together
)

// Engine implements engine.Engine, engine.Weigher and engine.Merger.
type Engine struct {
	o       Options
	info    engine.Info
	trained []*nn.Param

	mu      sync.Mutex
	adam    nn.AdamW
	pending bool // there is a gradient
	visits  []visit
}

// visit is the trained weights of a checkpoint, kept in memory.
type visit struct {
	path string
	data [][]float32 // parallel to Engine.trained
}

// New returns an engine over a network.
func New(o Options) (*Engine, error) {
	if o.Net == nil {
		return nil, fmt.Errorf("local engine: %w: no network", engine.ErrInput)
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, err
	}
	o.Positions, o.Resident = cmp.Or(o.Positions, defaultPositions), cmp.Or(o.Resident, defaultResident)
	c := o.Net.Config()
	choose := nn.All
	if o.Net.LoRA().Rank > 0 {
		choose = nn.Adapters
	}
	o.Net.Train(choose)
	e := &Engine{o: o, info: engine.Info{Name: o.Name, Vocab: c.Vocab, Context: c.Context, Entropy: true, Patch: c.Patch, LoRARank: o.Net.LoRA().Rank}}
	for _, p := range o.Net.Params() {
		p.NoDecay = len(p.Shape) == 1 // norms and biases, as is usual for AdamW
		e.info.Params += int64(len(p.Data))
		if p.Grad != nil {
			e.info.Trainable += int64(len(p.Data))
			e.trained = append(e.trained, p)
		}
	}
	return e, nil
}

// Net returns the network, for those who save or merge it when training is over. It must not be used while a call of the engine runs.
func (e *Engine) Net() *nn.Net { return e.o.Net }

// Info describes the network.
func (e *Engine) Info(ctx context.Context) (engine.Info, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.info
	i.StepsTaken = e.adam.Steps
	return i, ctx.Err()
}

// pieces cuts a batch between rows so that each piece has at most Positions tokens, or is one row.
func (e *Engine) pieces(batch []engine.Datum) [][]engine.Datum {
	var out [][]engine.Datum
	from, used := 0, 0
	for i, d := range batch {
		if i > from && used+len(d.Input) > e.o.Positions {
			out = append(out, batch[from:i])
			from, used = i, 0
		}
		used += len(d.Input)
	}
	return append(out, batch[from:])
}

func sequences(batch []engine.Datum) []nn.Sequence {
	out := make([]nn.Sequence, len(batch))
	for i, d := range batch {
		out[i] = nn.Sequence{Tokens: d.Input, Targets: d.Target, Patches: d.Patches}
	}
	return out
}

func weights(batch []engine.Datum) nn.Weights {
	w := nn.Weights{LogProbs: make([][]float32, len(batch))}
	for i, d := range batch {
		w.LogProbs[i] = narrow(d.Weight, len(d.Input))
		if d.Entropy != nil && w.Entropy == nil {
			w.Entropy = make([][]float32, len(batch))
		}
	}
	for i, d := range batch {
		if w.Entropy != nil {
			w.Entropy[i] = narrow(d.Entropy, len(d.Input))
		}
	}
	return w
}

func narrow(x []float64, n int) []float32 {
	out := make([]float32, n)
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func widen(rows [][]float32) [][]float64 {
	out := make([][]float64, len(rows))
	for i, r := range rows {
		out[i] = make([]float64, len(r))
		for j, v := range r {
			out[i][j] = float64(v)
		}
	}
	return out
}

func join(to *engine.Output, from *nn.Output) {
	to.LogProbs = append(to.LogProbs, widen(from.LogProbs)...)
	to.Entropy = append(to.Entropy, widen(from.Entropy)...)
}

// begin checks a call and its batch.
func (e *Engine) begin(ctx context.Context, verb string, batch []engine.Datum) error {
	if err := cmp.Or(ctx.Err(), engine.CheckBatch(e.info, batch)); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// finite gives nn's error its name here.
func finite(verb string, err error) error {
	if errors.Is(err, nn.ErrNotFinite) {
		return fmt.Errorf("%s: %w: %w", verb, engine.ErrNotFinite, err)
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// ForwardBackward adds a gradient.
func (e *Engine) ForwardBackward(ctx context.Context, batch []engine.Datum) (engine.Output, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin(ctx, "forward-backward", batch); err != nil {
		return engine.Output{}, err
	}
	return e.accumulate(ctx, batch)
}

func (e *Engine) accumulate(ctx context.Context, batch []engine.Datum) (out engine.Output, err error) {
	defer func() {
		if err != nil {
			e.clear()
		}
	}()
	for _, piece := range e.pieces(batch) {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("forward-backward: %w", err)
		}
		found, err := e.o.Net.Forward(sequences(piece))
		if err != nil {
			return out, finite("forward-backward", err)
		}
		if err := e.o.Net.Backward(weights(piece)); err != nil {
			return out, finite("forward-backward", err)
		}
		join(&out, found)
		e.pending = true
	}
	return out, nil
}

// ForwardBackwardWith asks for the weights between the passes. A batch that fits in one piece is computed once, any other twice.
func (e *Engine) ForwardBackwardWith(ctx context.Context, batch []engine.Datum, weigh engine.Weigh) (engine.Output, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin(ctx, "forward-backward", batch); err != nil {
		return engine.Output{}, err
	}
	once := len(e.pieces(batch)) == 1
	out, err := e.forward(ctx, batch, once)
	if err != nil {
		return out, err
	}
	weight, entropy, err := weigh(out)
	if err != nil {
		return engine.Output{}, err
	}
	weighted, err := engine.Weighted(batch, weight, entropy)
	if err != nil {
		return engine.Output{}, err
	}
	if err := e.begin(ctx, "forward-backward", weighted); err != nil {
		return engine.Output{}, err
	}
	if !once {
		return e.accumulate(ctx, weighted)
	}
	if err := e.o.Net.Backward(weights(weighted)); err != nil {
		e.clear()
		return engine.Output{}, finite("forward-backward", err)
	}
	e.pending = true
	return out, nil
}

// forward scores a batch with the weights that the network has now. keep says that a backward pass follows, for a batch of one piece.
func (e *Engine) forward(ctx context.Context, batch []engine.Datum, keep bool) (out engine.Output, err error) {
	run := e.o.Net.LogProbs
	if keep {
		run = e.o.Net.Forward
	}
	for _, piece := range e.pieces(batch) {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("log-probs: %w", err)
		}
		found, err := run(sequences(piece))
		if err != nil {
			return out, finite("log-probs", err)
		}
		join(&out, found)
	}
	return out, nil
}

// LogProbs scores a batch.
func (e *Engine) LogProbs(ctx context.Context, path string, batch []engine.Datum) (out engine.Output, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin(ctx, "log-probs", batch); err != nil {
		return out, err
	}
	err = e.under(path, func() error {
		out, err = e.forward(ctx, batch, false)
		return err
	})
	return out, err
}

// under runs f with the weights of a path in the network, and puts the live ones back.
func (e *Engine) under(path string, f func() error) error {
	if path == "" {
		return f()
	}
	v, err := e.visit(path)
	if err != nil {
		return err
	}
	e.exchange(v.data)
	defer e.exchange(v.data)
	return f()
}

func (e *Engine) exchange(data [][]float32) {
	for i, p := range e.trained {
		for j, x := range data[i] {
			p.Data[j], data[i][j] = x, p.Data[j]
		}
	}
}

// visit returns the weights of a checkpoint, from memory if they were used lately.
func (e *Engine) visit(path string) (visit, error) {
	if at := slices.IndexFunc(e.visits, func(v visit) bool { return v.path == path }); at >= 0 {
		v := e.visits[at]
		e.visits = append(slices.Delete(e.visits, at, at+1), v)
		return v, nil
	}
	v := visit{path: path}
	if len(e.visits) >= e.o.Resident {
		v.data = e.visits[0].data
		e.visits = e.visits[1:]
	} else {
		for _, p := range e.trained {
			v.data = append(v.data, make([]float32, len(p.Data)))
		}
	}
	if _, err := e.readWeights(path, v.data); err != nil {
		return visit{}, err
	}
	e.visits = append(e.visits, v)
	return v, nil
}

// forget drops what memory holds of a path, because the folder has changed.
func (e *Engine) forget(path string) {
	e.visits = slices.DeleteFunc(e.visits, func(v visit) bool { return v.path == path })
}

func (e *Engine) clear() {
	e.o.Net.ZeroGrad()
	e.pending = false
}

// OptimStep takes a step of AdamW.
func (e *Engine) OptimStep(ctx context.Context, p engine.Adam) (engine.Step, error) {
	p = p.WithDefaults()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := cmp.Or(ctx.Err(), p.Check()); err != nil {
		return engine.Step{}, fmt.Errorf("optim step: %w", err)
	}
	if !e.pending {
		return engine.Step{}, fmt.Errorf("optim step: %w; run forward-backward before it", engine.ErrNoGradient)
	}
	e.adam.Rate, e.adam.Beta1, e.adam.Beta2 = p.LearningRate, p.Beta1, p.Beta2
	e.adam.Eps, e.adam.Decay, e.adam.Clip = p.Eps, p.WeightDecay, p.ClipNorm
	norm, err := e.adam.Step(e.o.Net)
	e.clear()
	if err != nil {
		return engine.Step{}, finite("optim step", err)
	}
	return engine.Step{Number: e.adam.Steps, GradNorm: norm}, nil
}

// Sample decodes continuations together; each has dice of its own, so that none depends on its neighbours.
func (e *Engine) Sample(ctx context.Context, path string, req engine.SampleRequest) ([]engine.Sequence, error) {
	out, err := e.SampleBatch(ctx, path, []engine.SampleRequest{req})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// SampleBatch decodes the continuations of all requests together.
func (e *Engine) SampleBatch(ctx context.Context, path string, reqs []engine.SampleRequest) ([][]engine.Sequence, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range reqs {
		if err := cmp.Or(ctx.Err(), engine.CheckSample(e.info, r)); err != nil {
			return nil, err
		}
	}
	b := newBatch(e, reqs)
	if err := e.under(path, func() error { return b.run(ctx) }); err != nil {
		return nil, err
	}
	return b.out, nil
}
