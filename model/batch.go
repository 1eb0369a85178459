package model

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/proviso-dev/proviso/nn"
)

// promptChunk is how many tokens of a prompt are read in one step, so that a long prompt does not keep the other requests waiting. It is the chunk of nn.Decoder, so that a prompt gives the same bits however it is dealt.
const promptChunk = 256

// run is the loop of continuous batching: between two steps of the network requests leave and others take their slots.
func (g *Generator) run() {
	defer close(g.done)
	slots := make([]*job, g.dec.Slots())
	for {
		if !g.admit(slots) {
			for _, j := range slots {
				if j != nil {
					j.end("", ErrClosed)
				}
			}
			return
		}
		g.step(slots)
	}
}

// admit fills free slots with requests that wait. Where nothing is being answered it waits for one. It returns false when the generator is closed.
func (g *Generator) admit(slots []*job) bool {
	busy := 0
	for i, j := range slots {
		if j != nil && j.ctx.Err() != nil {
			g.leave(slots, i, "", fmt.Errorf("generate: %w", j.ctx.Err()))
		}
		if slots[i] != nil {
			busy++
		}
	}
	for i := range slots {
		if slots[i] != nil {
			continue
		}
		if busy == 0 {
			select {
			case j := <-g.queue:
				slots[i] = j
			case <-g.quit:
				return false
			}
		} else {
			select {
			case j := <-g.queue:
				slots[i] = j
			case <-g.quit:
				return false
			default:
				return true
			}
		}
		if err := slots[i].ctx.Err(); err != nil {
			g.leave(slots, i, "", fmt.Errorf("generate: %w", err))
			continue
		}
		busy++
	}
	return true
}

// leave ends the request of a slot and frees it.
func (g *Generator) leave(slots []*job, i int, stop string, err error) {
	slots[i].end(stop, err)
	slots[i] = nil
	g.dec.Truncate(i, 0)
}

// input returns what a request reads in the next step.
func (j *job) input(slot, patch int) nn.Input {
	in := nn.Input{Slot: slot}
	if j.read == len(j.Prompt) {
		in.Tokens = []int32{j.last}
		return in
	}
	in.Tokens = j.Prompt[j.read:min(j.read+promptChunk, len(j.Prompt))]
	used := 0
	for _, t := range in.Tokens {
		if t == nn.PatchInput {
			used += patch
		}
	}
	in.Patches = j.Patches[min(j.patches, len(j.Patches)):min(j.patches+used, len(j.Patches))]
	j.patches += used
	j.read += len(in.Tokens)
	return in
}

// step advances every request by one step of the network.
func (g *Generator) step(slots []*job) {
	var in []nn.Input
	for i, j := range slots {
		if j != nil {
			in = append(in, j.input(i, g.m.Config.Net.Patch))
		}
	}
	if len(in) == 0 {
		return
	}
	logits, err := g.dec.Step(in)
	if err != nil {
		g.failed(slots, in, err)
		return
	}
	// Choosing goes through the whole vocabulary for each request; the requests share the processors.
	verdicts := make([]verdict, len(in))
	var wg sync.WaitGroup
	next := make(chan int, len(in))
	for i := range in {
		next <- i
	}
	close(next)
	for range min(len(in), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				verdicts[i] = g.advance(slots[in[i].Slot], logits[i])
			}
		})
	}
	wg.Wait()
	for i, v := range verdicts {
		if v.stop != "" || v.err != nil {
			g.leave(slots, in[i].Slot, v.stop, v.err)
		}
	}
}

// failed ends the requests of a step that the network did not take. An input that is at fault alone is found by asking for each by itself.
func (g *Generator) failed(slots []*job, in []nn.Input, err error) {
	err = fmt.Errorf("generate: %w", err)
	if errors.Is(err, nn.ErrNotFinite) && !strings.Contains(err.Error(), "patch") || len(in) == 1 {
		for _, x := range in {
			g.leave(slots, x.Slot, "", err)
		}
		return
	}
	for _, x := range in {
		logits, err := g.dec.Step([]nn.Input{x})
		if err != nil {
			g.leave(slots, x.Slot, "", diagnose("", CodeRequest, "change the prompt", "%s", strings.TrimPrefix(err.Error(), "nn: ")))
			continue
		}
		if v := g.advance(slots[x.Slot], logits[0]); v.stop != "" || v.err != nil {
			g.leave(slots, x.Slot, v.stop, v.err)
		}
	}
}

// verdict says whether a request is over.
type verdict struct {
	stop string
	err  error
}

// advance chooses the next token of a request.
func (g *Generator) advance(j *job, logits []float32) verdict {
	if j.read < len(j.Prompt) {
		return verdict{}
	}
	var allowed func(int32) bool
	if j.Within != nil {
		mask := j.Within.Mask(j.state)
		if mask.Count == 0 && j.state.Final() {
			return verdict{stop: StopEnd}
		}
		final := j.state.Final()
		allowed = func(id int32) bool { return mask.Has(id) || final && slices.Contains(j.End, id) }
	}
	c, ok := j.sampler.choose(logits, allowed)
	if !ok {
		return verdict{err: diagnose("", CodeRequest, "change the grammar", "no token of the model may follow what was written")}
	}
	lse := logSumOf(logits)
	t := Token{ID: c.ID, Drawn: c.LogProb, LogProb: float64(logits[c.ID]) - lse}
	if j.Top > 0 {
		t.Top = top(logits, j.Top, lse)
	}
	j.last = c.ID
	j.count++
	if slices.Contains(j.End, c.ID) {
		j.give("", t)
		return verdict{stop: StopEnd}
	}
	if j.Within != nil {
		j.state, _ = j.Within.Next(j.state, c.ID)
	}
	if j.stream != nil {
		j.held += j.stream.Next(c.ID)
	}
	text, over := j.settle()
	j.give(text, t)
	switch {
	case over:
		return verdict{stop: StopText}
	case j.Within != nil && j.state.Final() && j.Within.Mask(j.state).Count == 0:
		return verdict{stop: StopEnd}
	case j.count == j.MaxTokens:
		return verdict{stop: StopLength}
	}
	return verdict{}
}

// settle returns the part of the held text that can no longer become a text of Stop, and whether one has appeared; then it is the text before it.
func (j *job) settle() (text string, over bool) {
	first := -1
	for _, s := range j.Stop {
		if i := strings.Index(j.held, s); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		return j.held[:first], true
	}
	keep := 0
	for _, s := range j.Stop {
		for n := min(len(s)-1, len(j.held)); n > keep; n-- {
			if strings.HasSuffix(j.held, s[:n]) {
				keep = n
				break
			}
		}
	}
	text = j.held[:len(j.held)-keep]
	j.held = j.held[len(j.held)-keep:]
	return text, false
}
