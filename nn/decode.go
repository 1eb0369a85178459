package nn

import "fmt"

// Decoder generates: it keeps the keys and values of many sequences, its slots, each at its own length, and advances any of them in one step. A slot's numbers do not depend, not in one bit,
// on the others in the step. It reads the network's weights and adapters as they are at each step. A Decoder is not safe for concurrent use; several of one network may run beside each other.
type Decoder struct {
	n     *Net
	slots []slot
	w     decodeScratch
}

// slot is one sequence. Memory grows with its length.
type slot struct {
	length       int
	keys, values [][]float32 // of each block: [length, kvWidth], keys rotated
}

// Input is what one slot reads in a step.
type Input struct {
	Slot    int
	Tokens  []int32   // one when generating, many when a prompt is read; PatchInput takes the next patch
	Patches []float32 // Config.Patch values for each PatchInput
}

// chunk is how many positions of prompts are computed at a time.
const chunk = 256

// decodeScratch is the memory of a step.
type decodeScratch struct {
	x, h, qkv, y, gu, s, rstd []float32
	last                      []float32 // hidden states whose logits are wanted
	logits                    []float32
	attend                    []attendScratch
	angles                    angles
}

// span is consecutive positions of one slot inside the rows of a step.
type span struct {
	slot, row, past, count int
	input                  int // whose logits follow the last position, -1 where the prompt goes on
}

// NewDecoder returns a decoder with that many empty slots.
func (n *Net) NewDecoder(slots int) *Decoder {
	return &Decoder{n: n, slots: make([]slot, max(slots, 1))}
}

// Slots is the number of slots.
func (d *Decoder) Slots() int { return len(d.slots) }

// Len is the number of positions that a slot holds.
func (d *Decoder) Len(slot int) int { return d.slots[slot].length }

// Truncate forgets what a slot holds from position length on; 0 empties it. The memory stays with the slot.
func (d *Decoder) Truncate(slot, length int) {
	d.slots[slot].length = min(d.slots[slot].length, max(length, 0))
}

// Fork makes slot to a copy of slot from, so that a prompt that many answers share is read once.
func (d *Decoder) Fork(to, from int) {
	if to == from {
		return
	}
	src, dst := &d.slots[from], &d.slots[to]
	dst.length = 0
	dst.grow(d.n.cfg, src.length)
	dst.length = src.length
	size := src.length * d.n.cfg.kvWidth()
	for i := range src.keys {
		copy(dst.keys[i][:size], src.keys[i])
		copy(dst.values[i][:size], src.values[i])
	}
}

// Bytes is the memory that keys and values take.
func (d *Decoder) Bytes() int64 {
	var sum int64
	for i := range d.slots {
		for b := range d.slots[i].keys {
			sum += 4 * int64(cap(d.slots[i].keys[b])+cap(d.slots[i].values[b]))
		}
	}
	return sum
}

// grow makes room for length positions, keeping what is there.
func (s *slot) grow(c Config, length int) {
	if s.keys == nil {
		s.keys, s.values = make([][]float32, c.Layers), make([][]float32, c.Layers)
	}
	if length*c.kvWidth() <= len(s.keys[0]) {
		return
	}
	room := min(max(length, 2*s.length, 64), c.Context) * c.kvWidth()
	for i := range s.keys {
		for _, at := range []*[]float32{&s.keys[i], &s.values[i]} {
			b := alloc(room)
			copy(b, (*at)[:min(len(*at), s.length*c.kvWidth())])
			*at = b
		}
	}
}

// Step appends the tokens of each input to its slot and returns the logits of what follows its last token, one slice of Vocab values for each input, valid until the next Step.
// A slot may appear once. On an error of the arguments nothing has changed; with ErrNotFinite the slots are as if the step had been taken.
func (d *Decoder) Step(in []Input) ([][]float32, error) {
	if err := d.check(in); err != nil {
		return nil, err
	}
	c, w := d.n.cfg, &d.w
	longest := 0
	for _, x := range in {
		s := &d.slots[x.Slot]
		longest = max(longest, s.length+len(x.Tokens))
		s.grow(c, s.length+len(x.Tokens))
	}
	w.angles = d.n.turns.upTo(longest, c)
	w.last = grow(w.last, len(in)*c.Hidden)
	var single []int
	for i, x := range in {
		if len(x.Tokens) == 1 {
			single = append(single, i)
			continue
		}
		d.prompt(i, x)
	}
	d.generate(in, single)
	return d.logits(len(in))
}

func (d *Decoder) check(in []Input) error {
	seen := make([]bool, len(d.slots))
	for i, x := range in {
		switch {
		case x.Slot < 0 || x.Slot >= len(d.slots):
			return fmt.Errorf("nn: input %d is for slot %d of %d", i, x.Slot, len(d.slots))
		case seen[x.Slot]:
			return fmt.Errorf("nn: input %d is for slot %d, which has one already; join them", i, x.Slot)
		case len(x.Tokens) == 0:
			return fmt.Errorf("nn: input %d has no tokens", i)
		case d.slots[x.Slot].length+len(x.Tokens) > d.n.cfg.Context:
			return fmt.Errorf("nn: input %d: %d positions and %d tokens are longer than the context of %d", i, d.slots[x.Slot].length, len(x.Tokens), d.n.cfg.Context)
		}
		seen[x.Slot] = true
		if err := d.n.checkTokens(x.Tokens, x.Patches); err != nil {
			return fmt.Errorf("nn: input %d: %w", i, err)
		}
	}
	return nil
}

// prompt reads several tokens of one slot, chunk by chunk.
func (d *Decoder) prompt(i int, x Input) {
	patches := x.Patches
	for at := 0; at < len(x.Tokens); at += chunk {
		tokens := x.Tokens[at:min(at+chunk, len(x.Tokens))]
		s := span{slot: x.Slot, past: d.slots[x.Slot].length, count: len(tokens), input: -1}
		if at+chunk >= len(x.Tokens) {
			s.input = i
		}
		used := 0
		for _, t := range tokens {
			if t == PatchInput {
				used += d.n.cfg.Patch
			}
		}
		d.rows([]span{s}, tokens, patches[:used], byTiles)
		patches = patches[used:]
	}
}

// generate reads one token of each of the inputs listed.
func (d *Decoder) generate(in []Input, single []int) {
	if len(single) == 0 {
		return
	}
	var tokens []int32
	var patches []float32
	spans := make([]span, len(single))
	for row, i := range single {
		x := in[i]
		tokens = append(tokens, x.Tokens...)
		patches = append(patches, x.Patches...)
		spans[row] = span{slot: x.Slot, row: row, past: d.slots[x.Slot].length, count: 1, input: i}
	}
	d.rows(spans, tokens, patches, byRows)
}

// rows takes the tokens of the spans through all blocks, adds their keys and values to the slots, and keeps the last hidden states.
func (d *Decoder) rows(spans []span, tokens []int32, patches []float32, way way) {
	n, c, w, count := d.n, d.n.cfg, &d.w, len(tokens)
	width, workers := c.qWidth()+2*c.kvWidth(), n.workers()
	w.x, w.h, w.rstd = grow(w.x, count*c.Hidden), grow(w.h, count*c.Hidden), grow(w.rstd, count)
	w.qkv, w.y = grow(w.qkv, count*width), grow(w.y, count*c.qWidth())
	w.gu, w.s = grow(w.gu, count*2*c.FFN), grow(w.s, count*c.FFN)
	for len(w.attend) < workers {
		w.attend = append(w.attend, attendScratch{scratch: newScratch()})
	}
	n.embedRows(w.x, tokens, patches)
	for i, l := range n.layers {
		n.normRows(w.h, w.x, w.rstd, l.norm1, count)
		n.linear(l.qkv, w.qkv, w.h, count, false, way, nil)
		d.store(i, l, spans)
		d.attend(i, spans)
		n.linear(l.out, w.x, w.y, count, true, way, nil)
		n.normRows(w.h, w.x, w.rstd, l.norm2, count)
		n.linear(l.gateUp, w.gu, w.h, count, false, way, nil)
		n.gate(w.s, w.gu, count)
		n.linear(l.down, w.x, w.s, count, true, way, nil)
	}
	for _, s := range spans {
		d.slots[s.slot].length += s.count
		if s.input >= 0 {
			at := (s.row + s.count - 1) * c.Hidden
			active.norm(w.last[s.input*c.Hidden:(s.input+1)*c.Hidden], w.x[at:at+c.Hidden], n.norm.Data, float32(c.NormEps))
		}
	}
}

// store rotates queries and keys, and copies keys and values of block i to their slots.
func (d *Decoder) store(i int, l *layer, spans []span) {
	n, c := d.n, d.n.cfg
	width, both, kv := c.qWidth()+2*c.kvWidth(), c.qWidth()+c.kvWidth(), c.kvWidth()
	rstd := make([]float32, c.Heads+c.KVHeads)
	raw := make([]float32, both)
	for _, s := range spans {
		for t := range s.count {
			row := d.w.qkv[(s.row+t)*width : (s.row+t+1)*width]
			if l.qNorm != nil {
				copy(raw, row)
				n.headNorm(l, row, raw, rstd)
			}
			at := s.past + t
			cos, sin := d.w.angles.at(at)
			active.rope(row[:both], cos, sin, 1)
			copy(d.slots[s.slot].keys[i][at*kv:(at+1)*kv], row[c.qWidth():])
			copy(d.slots[s.slot].values[i][at*kv:(at+1)*kv], row[both:])
		}
	}
}

// attend computes attention of block i for the queries of the spans.
func (d *Decoder) attend(i int, spans []span) {
	c := d.n.cfg
	parallel(d.n.workers(), len(spans)*c.KVHeads, func(worker, task int) {
		s, kv := spans[task/c.KVHeads], task%c.KVHeads
		w := &d.w.attend[worker]
		keys, values := d.slots[s.slot].keys[i][kv*c.HeadDim:], d.slots[s.slot].values[i][kv*c.HeadDim:]
		if s.count == 1 {
			d.attendOne(w, s, kv, keys, values)
			return
		}
		d.attendMany(w, s, kv, keys, values)
	})
}

// attendOne is for one query of each head that shares the keys.
func (d *Decoder) attendOne(w *attendScratch, s span, kv int, keys, values []float32) {
	c, ks := d.n.cfg, active
	hd, group, length, step := c.HeadDim, c.Heads/c.KVHeads, s.past+1, c.kvWidth()
	ld := scoreRow(length)
	w.s = grow(w.s, group*ld)
	q := d.w.qkv[s.row*(c.qWidth()+2*step)+kv*group*hd:]
	ks.skinny(product{false, true, group, length, hd, q, hd, keys, step, w.s, ld, false}, 0)
	for g := range group {
		p := w.s[g*ld : g*ld+length]
		ks.softmax(p, 1/sqrt32(float32(hd)))
		at := s.row*c.qWidth() + (kv*group+g)*hd
		ks.combine(d.w.y[at:at+hd], p, values, step)
	}
}

// attendMany is for the queries of a prompt.
func (d *Decoder) attendMany(w *attendScratch, s span, kv int, keys, values []float32) {
	c, ks := d.n.cfg, active
	hd, group, length, step := c.HeadDim, c.Heads/c.KVHeads, s.past+s.count, c.kvWidth()
	width, scale := c.qWidth()+2*step, 1/sqrt32(float32(hd))
	ld := scoreRow(length)
	w.s = grow(w.s, queryRows*ld)
	w.keys = grow(w.keys, roundUp(length, ks.nr)*hd)
	ks.pack(w.keys, keys, step, true, ks.nr, length, hd)
	for h := kv * group; h < (kv+1)*group; h++ {
		for i := 0; i < s.count; i += queryRows {
			rows := min(queryRows, s.count-i)
			upTo := s.past + i + rows
			ks.direct(&w.scratch, rows, upTo, hd, d.w.qkv[(s.row+i)*width+h*hd:], width, 1, w.keys, 0, true, w.s, ld, false)
			for r := range rows {
				p := w.s[r*ld : r*ld+upTo]
				ks.softmax(p[:s.past+i+r+1], scale)
				clear(p[s.past+i+r+1:])
			}
			ks.direct(&w.scratch, rows, hd, upTo, w.s, ld, 1, values, step, false, d.w.y[(s.row+i)*c.qWidth()+h*hd:], c.qWidth(), false)
		}
	}
}

// logits computes the output layer for the hidden states kept.
func (d *Decoder) logits(count int) ([][]float32, error) {
	c, w := d.n.cfg, &d.w
	w.logits = grow(w.logits, count*c.Vocab)
	d.n.linear(d.n.head, w.logits, w.last, count, false, byRows, nil)
	out := make([][]float32, count)
	for i := range out {
		out[i] = w.logits[i*c.Vocab : (i+1)*c.Vocab : (i+1)*c.Vocab]
		if lse, _ := active.lse(out[i]); !finite(lse) {
			return nil, fmt.Errorf("nn: logits of input %d: %w", i, ErrNotFinite)
		}
	}
	return out, nil
}
