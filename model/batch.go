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

// slot is a place for one request.
type slot struct {
	job  *job    // nil: it is free
	held []int32 // the whole chunks of the last prompt, whose keys and values are still there
}

// run is the loop of continuous batching: between two steps of the network requests leave and others take their slots.
func (g *Generator) run() {
	defer close(g.done)
	slots := make([]slot, g.dec.Slots())
	for g.admit(slots) {
		g.step(slots)
	}
	for i := range slots {
		if slots[i].job != nil {
			slots[i].job.end("", ErrClosed)
		}
	}
}

// admit fills free slots with requests that wait. Where nothing is being answered it waits for one. It returns false when the generator is closed.
func (g *Generator) admit(slots []slot) bool {
	busy := 0
	for i := range slots {
		if j := slots[i].job; j != nil && j.ctx.Err() != nil {
			g.leave(&slots[i], i, "", fmt.Errorf("generate: %w", j.ctx.Err()))
		}
		if slots[i].job != nil {
			busy++
		}
	}
	for busy < len(slots) {
		var j *job
		if busy == 0 {
			select {
			case j = <-g.queue:
			case <-g.quit:
				return false
			}
		} else {
			select {
			case j = <-g.queue:
			case <-g.quit:
				return false
			default:
				return true
			}
		}
		if err := j.ctx.Err(); err != nil {
			j.end("", fmt.Errorf("generate: %w", err))
			continue
		}
		g.place(slots, j)
		busy++
	}
	return true
}

// place gives a request a free slot, of which there is one. Where a slot, free or not, has read the same beginning, its keys and values are taken over.
// Only whole chunks are shared: the rest is then read in the same pieces as if nothing were shared, and the bits of the answer are the same.
func (g *Generator) place(slots []slot, j *job) {
	to, from, best := -1, -1, 0
	for i := range slots {
		n := shared(slots[i].held, j.Prompt)
		if n > best {
			from, best = i, n
		}
		if slots[i].job == nil && (to < 0 || len(slots[i].held) < len(slots[to].held)) {
			to = i
		}
	}
	if from >= 0 && slots[from].job == nil {
		to = from
	}
	if from >= 0 {
		g.dec.Fork(to, from)
	}
	g.dec.Truncate(to, best)
	j.read, j.reused = best, best
	slots[to] = slot{job: j, held: j.Prompt[:best]}
}

// shared is how many tokens of a prompt are there already, in whole chunks. One token is always left to read, and images are always read anew, because their values are not compared.
func shared(held, prompt []int32) int {
	n := 0
	for n < len(held) && n < len(prompt)-1 && held[n] == prompt[n] && held[n] != nn.PatchInput {
		n++
	}
	return n / promptChunk * promptChunk
}

// leave ends the request of a slot and frees it. What was read of its prompt stays.
func (g *Generator) leave(s *slot, i int, stop string, err error) {
	s.job.end(stop, err)
	s.job = nil
	g.dec.Truncate(i, len(s.held))
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
func (g *Generator) step(slots []slot) {
	var in []nn.Input
	for i := range slots {
		if j := slots[i].job; j != nil {
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
				verdicts[i] = g.advance(slots[in[i].Slot].job, logits[i])
			}
		})
	}
	wg.Wait()
	for i, v := range verdicts {
		g.settle(&slots[in[i].Slot], in[i].Slot, v)
	}
}

// settle keeps account of a slot after a step, and frees it where its request is over.
func (g *Generator) settle(s *slot, i int, v verdict) {
	s.held = s.job.Prompt[:s.job.read/promptChunk*promptChunk]
	if v.stop != "" || v.err != nil {
		g.leave(s, i, v.stop, v.err)
	}
}

// failed ends the requests of a step that the network did not take. An input that is at fault alone is found by asking for each by itself.
func (g *Generator) failed(slots []slot, in []nn.Input, err error) {
	err = fmt.Errorf("generate: %w", err)
	lost := func(i int, err error) {
		slots[i].held = nil // what the slot holds is not known any more
		g.leave(&slots[i], i, "", err)
	}
	if errors.Is(err, nn.ErrNotFinite) {
		for _, x := range in {
			lost(x.Slot, err)
		}
		return
	}
	for _, x := range in {
		logits, err := g.dec.Step([]nn.Input{x})
		if err != nil {
			lost(x.Slot, diagnose("", CodeRequest, "change the prompt", "%s", strings.TrimPrefix(err.Error(), "nn: ")))
			continue
		}
		g.settle(&slots[x.Slot], x.Slot, g.advance(slots[x.Slot].job, logits[0]))
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
	lse := logSumOf(logits)
	c, ok := j.sampler.choose(logits, lse, allowed)
	if !ok {
		return verdict{err: diagnose("", CodeRequest, "change the grammar", "no token of the model may follow what was written")}
	}
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
	text, over := j.shown()
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

// shown returns the part of the held text that can no longer become a text of Stop, and whether one has appeared; then it is the text before it.
func (j *job) shown() (text string, over bool) {
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
