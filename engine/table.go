package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// Table is an engine without a network of neurons: the distribution of the next token is a softmax over a row of logits that the last Order tokens select, rows beginning at zero.
// Everything is exact and in memory, so it is fit for tests of loops and objectives, and for nothing else. Paths live as long as the value.
type Table struct {
	info  Info
	order int

	mu    sync.Mutex
	live  tableState
	grad  map[string][]float64
	saved map[string]tableState
}

// tableState is what a save keeps.
type tableState struct {
	steps        int
	logits, m, v map[string][]float64
}

func (s tableState) clone() tableState {
	c := func(m map[string][]float64) map[string][]float64 {
		out := make(map[string][]float64, len(m))
		for k, row := range m {
			out[k] = slices.Clone(row)
		}
		return out
	}
	return tableState{s.steps, c(s.logits), c(s.m), c(s.v)}
}

// NewTable returns a table over vocab tokens that looks back at order tokens, with a context of length tokens. All are at least 1.
func NewTable(vocab, order, length int) *Table {
	empty := func() map[string][]float64 { return map[string][]float64{} }
	return &Table{
		info:  Info{Name: "table", Vocab: vocab, Context: length, Entropy: true},
		order: order,
		live:  tableState{logits: empty(), m: empty(), v: empty()},
		saved: map[string]tableState{},
	}
}

// Info counts the rows that have been trained so far.
func (t *Table) Info(ctx context.Context) (Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.info
	i.Params = int64(len(t.live.logits) * i.Vocab)
	i.Trainable, i.StepsTaken = i.Params, t.live.steps
	return i, ctx.Err()
}

// key names the row for the tokens before position i+1 of a text.
func (t *Table) key(text []int32, i int) string {
	from := max(0, i+1-t.order)
	var b []byte
	for _, x := range text[from : i+1] {
		b = binary.AppendUvarint(b, uint64(x))
	}
	return string(b)
}

// logSoftmax returns the log-probabilities of a row; a row that does not exist is uniform.
func (t *Table) logSoftmax(s tableState, key string) []float64 {
	out := make([]float64, t.info.Vocab)
	copy(out, s.logits[key])
	top, sum := slices.Max(out), 0.0
	for _, x := range out {
		sum += math.Exp(x - top)
	}
	lse := top + math.Log(sum)
	for i := range out {
		out[i] -= lse
	}
	return out
}

func entropyOf(logp []float64) float64 {
	h := 0.0
	for _, l := range logp {
		if p := math.Exp(l); p > 0 {
			h -= p * l
		}
	}
	return h
}

func (t *Table) state(path string) (tableState, error) {
	if path == "" {
		return t.live, nil
	}
	s, ok := t.saved[path]
	if !ok {
		return s, fmt.Errorf("%q: %w", path, ErrNotFound)
	}
	return s, nil
}

// LogProbs scores rows.
func (t *Table) LogProbs(ctx context.Context, path string, batch []Datum) (Output, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmp.Or(ctx.Err(), CheckBatch(t.info, batch)); err != nil {
		return Output{}, fmt.Errorf("log-probs: %w", err)
	}
	s, err := t.state(path)
	if err != nil {
		return Output{}, fmt.Errorf("log-probs: %w", err)
	}
	return t.forward(s, batch)
}

func (t *Table) forward(s tableState, batch []Datum) (Output, error) {
	out := Output{LogProbs: make([][]float64, len(batch)), Entropy: make([][]float64, len(batch))}
	for i, d := range batch {
		out.LogProbs[i], out.Entropy[i] = make([]float64, len(d.Input)), make([]float64, len(d.Input))
		for j, target := range d.Target {
			if target == NoTarget {
				continue
			}
			logp := t.logSoftmax(s, t.key(d.Input, j))
			if math.IsNaN(logp[target]) {
				return Output{}, fmt.Errorf("forward: row %d, position %d: the log-probability is %w", i, j, ErrNotFinite)
			}
			out.LogProbs[i][j], out.Entropy[i][j] = logp[target], entropyOf(logp)
		}
	}
	return out, nil
}

// ForwardBackward adds dLoss/dlogit = W(p − e_target) + E·p(log p + H) to the gradient.
func (t *Table) ForwardBackward(ctx context.Context, batch []Datum) (Output, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmp.Or(ctx.Err(), CheckBatch(t.info, batch)); err != nil {
		return Output{}, fmt.Errorf("forward-backward: %w", err)
	}
	out, err := t.forward(t.live, batch)
	if err != nil {
		return Output{}, err
	}
	t.backward(batch, out)
	return out, nil
}

func (t *Table) backward(batch []Datum, out Output) {
	if t.grad == nil {
		t.grad = map[string][]float64{}
	}
	for i, d := range batch {
		for j, target := range d.Target {
			var w, e float64
			if d.Weight != nil {
				w = d.Weight[j]
			}
			if d.Entropy != nil {
				e = d.Entropy[j]
			}
			if w == 0 && e == 0 || target == NoTarget {
				continue
			}
			key := t.key(d.Input, j)
			g := t.grad[key]
			if g == nil {
				g = make([]float64, t.info.Vocab)
				t.grad[key] = g
			}
			for k, l := range t.logSoftmax(t.live, key) {
				p := math.Exp(l)
				g[k] += w * p
				if e != 0 && p > 0 {
					g[k] += e * p * (l + out.Entropy[i][j])
				}
			}
			g[target] -= w
		}
	}
}

// ForwardBackwardWith asks for the weights between the passes.
func (t *Table) ForwardBackwardWith(ctx context.Context, batch []Datum, weigh Weigh) (Output, error) {
	out, err := t.LogProbs(ctx, "", batch)
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
	if err := CheckBatch(t.info, weighted); err != nil {
		return Output{}, fmt.Errorf("forward-backward: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.backward(weighted, out)
	return out, nil
}

// OptimStep updates the rows that have a gradient or a momentum, in the order of their keys.
func (t *Table) OptimStep(ctx context.Context, p Adam) (Step, error) {
	p = p.WithDefaults()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmp.Or(ctx.Err(), p.Check()); err != nil {
		return Step{}, fmt.Errorf("optim step: %w", err)
	}
	if t.grad == nil {
		return Step{}, fmt.Errorf("optim step: %w; run forward-backward before it", ErrNoGradient)
	}
	square := 0.0
	for _, k := range slices.Sorted(maps.Keys(t.grad)) {
		for _, g := range t.grad[k] {
			square += g * g
		}
	}
	norm := math.Sqrt(square)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		t.grad = nil
		return Step{}, fmt.Errorf("optim step: the norm of the gradient is %w", ErrNotFinite)
	}
	scale := 1.0
	if p.ClipNorm > 0 && norm > p.ClipNorm {
		scale = p.ClipNorm / norm
	}
	t.live.steps++
	for k := range t.grad {
		if t.live.logits[k] == nil {
			t.live.logits[k], t.live.m[k], t.live.v[k] = make([]float64, t.info.Vocab), make([]float64, t.info.Vocab), make([]float64, t.info.Vocab)
		}
	}
	c1, c2 := 1-math.Pow(p.Beta1, float64(t.live.steps)), 1-math.Pow(p.Beta2, float64(t.live.steps))
	for k, x := range t.live.logits {
		g, m, v := t.grad[k], t.live.m[k], t.live.v[k]
		for i := range x {
			d := 0.0
			if g != nil {
				d = g[i] * scale
			}
			m[i] = p.Beta1*m[i] + (1-p.Beta1)*d
			v[i] = p.Beta2*v[i] + (1-p.Beta2)*d*d
			x[i] -= p.LearningRate * (m[i]/c1/(math.Sqrt(v[i]/c2)+p.Eps) + p.WeightDecay*x[i])
		}
	}
	t.grad = nil
	return Step{Number: t.live.steps, GradNorm: norm}, nil
}

// Sample draws continuations, each from a stream of its own.
func (t *Table) Sample(ctx context.Context, path string, req SampleRequest) ([]Sequence, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmp.Or(ctx.Err(), CheckSample(t.info, req)); err != nil {
		return nil, err
	}
	s, err := t.state(path)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	out := make([]Sequence, max(1, req.Count))
	for i := range out {
		dice := rand.New(rand.NewPCG(req.Seed, uint64(i)))
		text := slices.Clone(req.Prompt)
		out[i].Stop = "length"
		for len(out[i].Tokens) < req.MaxTokens && len(text) < t.info.Context {
			logp := t.logSoftmax(s, t.key(text, len(text)-1))
			next, l := Draw(logp, req, dice.Float64())
			text = append(text, next)
			out[i].Tokens, out[i].LogProbs = append(out[i].Tokens, next), append(out[i].LogProbs, l)
			if slices.Contains(req.Stop, next) {
				out[i].Stop = "stop"
				break
			}
		}
	}
	return out, nil
}

// Draw picks a token from log-probabilities (or logits) by the temperature and the cuts of a request, given a number u drawn from [0, 1), and returns it with its log-probability as Sequence defines it.
// Tokens of equal probability are ordered by number, so that the pick depends on nothing else.
func Draw(logits []float64, req SampleRequest, u float64) (token int32, logp float64) {
	scale := req.Temperature
	if scale == 0 {
		scale = 1
	}
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	p := make([]float64, len(logits))
	sum := 0.0
	for i, x := range logits {
		p[i] = math.Exp((x - logits[best]) / scale)
		sum += p[i]
	}
	switch {
	case req.Temperature == 0:
		return int32(best), math.Log(p[best] / sum)
	case req.TopK > 0 || req.TopP > 0 && req.TopP < 1:
		return drawCut(p, sum, req, u)
	}
	rest := u * sum
	for i, x := range p {
		if rest -= x; rest < 0 {
			return int32(i), math.Log(x / sum)
		}
	}
	return int32(best), math.Log(p[best] / sum) // rounding left a rest
}

// drawCut is Draw among the likeliest tokens.
func drawCut(p []float64, sum float64, req SampleRequest, u float64) (token int32, logp float64) {
	order := make([]int32, len(p))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(p[b], p[a]) })
	if req.TopK > 0 && req.TopK < len(order) {
		order = order[:req.TopK]
	}
	if req.TopP > 0 && req.TopP < 1 {
		kept, mass := 0, 0.0
		for kept < len(order) && (kept == 0 || mass < req.TopP*sum) {
			mass += p[order[kept]]
			kept++
		}
		order = order[:kept]
	}
	sum = 0
	for _, i := range order {
		sum += p[i]
	}
	rest := u * sum
	for _, i := range order {
		if rest -= p[i]; rest < 0 {
			return i, math.Log(p[i] / sum)
		}
	}
	return order[0], math.Log(p[order[0]] / sum) // rounding left a rest
}

// SaveWeights keeps a copy in memory; the path is the name.
func (t *Table) SaveWeights(ctx context.Context, name string) (string, error) {
	if err := cmp.Or(ctx.Err(), CheckName(name)); err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved[name] = t.live.clone()
	return name, nil
}

// LoadWeights goes back to a copy.
func (t *Table) LoadWeights(ctx context.Context, path string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.saved[path]
	if !ok {
		return fmt.Errorf("load weights: %q: %w", path, ErrNotFound)
	}
	t.live, t.grad = s.clone(), nil
	return ctx.Err()
}

// MergeWeights mixes logits; a row that one part lacks counts as zeros.
func (t *Table) MergeWeights(ctx context.Context, name string, parts []Part) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := cmp.Or(ctx.Err(), CheckName(name)); err != nil {
		return "", err
	}
	mixed := tableState{logits: map[string][]float64{}, m: map[string][]float64{}, v: map[string][]float64{}}
	for _, part := range parts {
		s, err := t.state(part.Path)
		if err != nil {
			return "", fmt.Errorf("merge weights: %w", err)
		}
		for k, row := range s.logits {
			if mixed.logits[k] == nil {
				mixed.logits[k], mixed.m[k], mixed.v[k] = make([]float64, len(row)), make([]float64, len(row)), make([]float64, len(row))
			}
			for i, x := range row {
				mixed.logits[k][i] += part.Lambda * x
			}
		}
	}
	t.saved[name] = mixed
	return name, nil
}
