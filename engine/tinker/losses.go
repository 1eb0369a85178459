package tinker

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/engine"
)

// row is one datum with what the losses read, all as long as the targets.
type row struct {
	weight, advantage, old []float64
}

// loss is a loss function of the protocol: from the log-probabilities of a row to its loss per token and W = −dLoss/dlogp.
type loss struct {
	name  string
	needs []string // of advantages, logprobs
	doc   string
	row   func(r row, logp []float64, config map[string]float64) (loss, w []float64)
}

// losses are the loss functions that clients can name, sorted. Clients of ours need cross_entropy alone. The thresholds are ratios, 0.8 and 1.2 where a client names none.
var losses = []loss{
	{"cispo", []string{"advantages", "logprobs"}, "L = −sg(clip(r, low, high))·A·log π", perToken(func(r, a, logp, low, high float64) (float64, float64) {
		c := min(max(r, low), high) * a
		return -c * logp, c
	})},
	{"cross_entropy", nil, "L = −w·log π", func(r row, logp []float64, _ map[string]float64) (loss, w []float64) {
		loss = make([]float64, len(logp))
		for i, l := range logp {
			loss[i] = -r.weight[i] * l
		}
		return loss, r.weight
	}},
	{"gspo", []string{"advantages", "logprobs"}, "L = −min(sA, clip(s)A), s = exp(mean log r) over the row", sequenceClip},
	{"importance_sampling", []string{"advantages", "logprobs"}, "L = −rA", perToken(func(r, a, _, _, _ float64) (float64, float64) { return -r * a, r * a })},
	{"ppo", []string{"advantages", "logprobs"}, "L = −min(rA, clip(r, low, high)A)", perToken(func(r, a, _, low, high float64) (float64, float64) {
		return clipped(r, a, low, high)
	})},
}

func clipped(r, a, low, high float64) (loss, w float64) {
	bounded := min(max(r, low), high)
	if bounded*a < r*a {
		return -bounded * a, 0
	}
	return -r * a, r * a
}

func thresholds(config map[string]float64) (low, high float64) {
	low, high = 0.8, 1.2
	if x, given := config["clip_low_threshold"]; given {
		low = x
	}
	if x, given := config["clip_high_threshold"]; given {
		high = x
	}
	return low, high
}

// maxLogRatio keeps a ratio finite.
const maxLogRatio = 20

func ratioOf(d float64) float64 { return math.Exp(min(max(d, -maxLogRatio), maxLogRatio)) }

// perToken makes a loss of one token's; the weights of the row multiply it.
func perToken(f func(r, a, logp, low, high float64) (loss, w float64)) func(row, []float64, map[string]float64) ([]float64, []float64) {
	return func(r row, logp []float64, config map[string]float64) (loss, w []float64) {
		low, high := thresholds(config)
		loss, w = make([]float64, len(logp)), make([]float64, len(logp))
		for i, l := range logp {
			x, y := f(ratioOf(l-r.old[i]), r.advantage[i], l, low, high)
			loss[i], w[i] = r.weight[i]*x, r.weight[i]*y
		}
		return loss, w
	}
}

func sequenceClip(r row, logp []float64, config map[string]float64) (loss, w []float64) {
	loss, w = make([]float64, len(logp)), make([]float64, len(logp))
	sum, a, n := 0.0, 0.0, 0.0
	for i, l := range logp {
		if r.weight[i] != 0 {
			sum += l - r.old[i]
			a += r.advantage[i]
			n++
		}
	}
	if n == 0 {
		return loss, w
	}
	low, high := thresholds(config)
	x, y := clipped(ratioOf(sum/n), a/n, low, high)
	for i := range logp {
		if r.weight[i] != 0 {
			loss[i], w[i] = x/n, y/n
		}
	}
	return loss, w
}

func lossNamed(name string) (loss, error) {
	var names []string
	for _, l := range losses {
		if l.name == name {
			return l, nil
		}
		names = append(names, l.name)
	}
	return loss{}, fmt.Errorf("%w: there is no loss %q here; losses are %s", engine.ErrInput, name, strings.Join(names, ", "))
}

// read makes rows of an engine and of the losses from the wire.
func (in *forwardInput) read() (batch []engine.Datum, rows []row, fn loss, err error) {
	if fn, err = lossNamed(in.Loss); err != nil {
		return nil, nil, fn, err
	}
	for i, d := range in.Data {
		tokens, err := d.Input.tokens()
		if err != nil {
			return nil, nil, fn, fmt.Errorf("datum %d: %w", i, err)
		}
		if d.Inputs.Targets == nil {
			return nil, nil, fn, fmt.Errorf("datum %d: %w: no target_tokens", i, engine.ErrInput)
		}
		n := len(d.Inputs.Targets.Data)
		one := func(name string, t *tensor[float64], otherwise float64) ([]float64, error) {
			switch {
			case t != nil && len(t.Data) == n:
				return t.Data, nil
			case t != nil && len(t.Data) > 0:
				return nil, fmt.Errorf("datum %d: %w: %d %s for %d targets", i, engine.ErrInput, len(t.Data), name, n)
			case slices.Contains(fn.needs, name):
				return nil, fmt.Errorf("datum %d: %w: %s needs %s", i, engine.ErrInput, fn.name, name)
			}
			out := make([]float64, n)
			for k := range out {
				out[k] = otherwise
			}
			return out, nil
		}
		var r row
		for _, f := range []struct {
			to        *[]float64
			name      string
			from      *tensor[float64]
			otherwise float64
		}{{&r.weight, "weights", orTensor(d.Inputs.Weights, d.Inputs.Mask), 1}, {&r.advantage, "advantages", d.Inputs.Advantages, 0}, {&r.old, "logprobs", d.Inputs.LogProbs, 0}} {
			if *f.to, err = one(f.name, f.from, f.otherwise); err != nil {
				return nil, nil, fn, err
			}
		}
		batch = append(batch, engine.Datum{Input: tokens, Target: d.Inputs.Targets.Data})
		rows = append(rows, r)
	}
	return batch, rows, fn, nil
}

func orTensor(a, b *tensor[float64]) *tensor[float64] {
	if a != nil {
		return a
	}
	return b
}
