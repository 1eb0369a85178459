package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/nn"
)

// batch is requests for samples under way: continuations wait, take a slot of the decoder when one is free, and give it back when they end. One slot more holds the prompt that was read last, from which continuations of its request begin.
type batch struct {
	e    *Engine
	reqs []engine.SampleRequest
	out  [][]engine.Sequence

	d      *nn.Decoder
	slots  []job
	free   []int
	prompt int       // request whose prompt is in the last slot; -1: none
	start  []float64 // logits after it
	steps  []nn.Input
}

// job is one continuation.
type job struct {
	req, index int
	dice       *rand.Rand
}

func newBatch(e *Engine, reqs []engine.SampleRequest) *batch {
	b := &batch{e: e, reqs: reqs, prompt: -1}
	total := 0
	for _, r := range reqs {
		b.out = append(b.out, make([]engine.Sequence, max(1, r.Count)))
		total += max(1, r.Count)
	}
	n := min(total, samplingSlots)
	b.d, b.slots = e.o.Net.NewDecoder(n+1), make([]job, n)
	for slot := range b.slots {
		b.free = append(b.free, slot)
	}
	return b
}

func (b *batch) run(ctx context.Context) error {
	for r := range b.out {
		for i := range b.out[r] {
			for len(b.free) == 0 {
				if err := b.step(ctx); err != nil {
					return err
				}
			}
			if err := b.begin(r, i); err != nil {
				return err
			}
		}
	}
	for len(b.steps) > 0 {
		if err := b.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// begin gives a continuation a slot and draws its first token.
func (b *batch) begin(r, i int) error {
	last := len(b.slots)
	if b.prompt != r {
		b.d.Truncate(last, 0)
		logits, err := b.d.Step([]nn.Input{{Slot: last, Tokens: b.reqs[r].Prompt}})
		if err != nil {
			return finite("sample", err)
		}
		b.prompt, b.start = r, widen(logits)[0]
	}
	slot := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	b.d.Fork(slot, last)
	b.slots[slot] = job{r, i, rand.New(rand.NewPCG(b.reqs[r].Seed, uint64(i)))}
	b.draw(slot, b.start)
	return nil
}

// draw adds a token to the continuation of a slot, and either asks for the next one or gives the slot back.
func (b *batch) draw(slot int, logits []float64) {
	j := b.slots[slot]
	req, s := &b.reqs[j.req], &b.out[j.req][j.index]
	token, l := engine.Draw(logits, *req, j.dice.Float64())
	s.Tokens, s.LogProbs = append(s.Tokens, token), append(s.LogProbs, l)
	switch {
	case slices.Contains(req.Stop, token):
		s.Stop = "stop"
	case len(s.Tokens) == req.MaxTokens || len(req.Prompt)+len(s.Tokens) == b.e.info.Context:
		s.Stop = "length"
	default:
		b.steps = append(b.steps, nn.Input{Slot: slot, Tokens: []int32{token}})
		return
	}
	b.d.Truncate(slot, 0)
	b.free = append(b.free, slot)
}

// step reads the tokens that were drawn and draws those that follow.
func (b *batch) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	steps := b.steps
	b.steps = nil
	logits, err := b.d.Step(steps)
	if err != nil {
		return finite("sample", err)
	}
	for k, row := range widen(logits) {
		b.draw(steps[k].Slot, row)
	}
	return nil
}
