package nn

import (
	"fmt"
	"runtime"
)

// pass is the memory of Forward and Backward, kept between calls and grown as batches grow.
type pass struct {
	ready   bool  // Forward has run and Backward may
	rows    int   // positions in the batch
	starts  []int // first row of each sequence, and the end
	lengths []int
	tokens  []int32
	patches []float32
	angles  angles

	layers []kept
	last   []float32 // [rows, Hidden] after the last block

	asked    []asked
	hidden   []float32 // [asked, Hidden] after the last norm
	rstd     []float32 // [asked]
	lse      []float32 // [asked]
	entropy  []float32 // [asked]
	logits   []float32 // of all asked where they fit in logitBudget, else of one chunk
	headKeep loraKept

	dx, dh, dqkv, ds, dhidden []float32
	partial                   []float32 // sums of norms' gradients, one row for each block of tokens
	attend                    []attendScratch
}

// kept is what the backward pass of one block needs.
type kept struct {
	x, h1, r1  []float32 // [rows, Hidden] input, its norm, the norm's factors [rows]
	qkv        []float32 // [rows, qkv.rows] after the rotation
	raw, rq    []float32 // queries and keys before QKNorm, and its factors
	y, lse     []float32 // [rows, qWidth] attention's output, ln Σ exp of its scores [rows, Heads]
	x2, h2, r2 []float32
	gu, s      []float32 // [rows, 2·FFN] gate and up, [rows, FFN] their SwiGLU

	loraQKV, loraOut, loraGU, loraDown loraKept
}

// normRows is how many rows share a partial sum of a norm's gradient. It is part of the order of the sum and thus of the bits.
const normRows = 64

func workersOr(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// Forward computes the log-probabilities of a batch and keeps what Backward needs, about Config.ActivationBytes. The batch may be empty; so may a sequence.
// It fails where the batch does not fit the network, and with ErrNotFinite where the result is not a number.
func (n *Net) Forward(batch []Sequence) (*Output, error) {
	return n.forward(batch, true)
}

// LogProbs is Forward for those who will not call Backward: it keeps one block's memory instead of all blocks', and ends the chance to call Backward for an earlier Forward.
func (n *Net) LogProbs(batch []Sequence) (*Output, error) {
	return n.forward(batch, false)
}

func (n *Net) forward(batch []Sequence, keep bool) (*Output, error) {
	p := &n.pass
	p.ready = false
	if err := n.check(batch); err != nil {
		return nil, err
	}
	p.begin(batch)
	p.angles = n.turns.upTo(p.longest(), n.cfg)
	n.reserve(keep)
	n.embedRows(p.layers[0].x, p.tokens, p.patches)
	for i, l := range n.layers {
		k := &p.layers[0]
		next := p.last
		if keep {
			k = &p.layers[i]
			if i+1 < len(n.layers) {
				next = p.layers[i+1].x
			}
		}
		n.block(l, k, next)
		if !keep {
			p.last, k.x = k.x, p.last
		}
	}
	if !keep {
		p.last, p.layers[0].x = p.layers[0].x, p.last
	}
	out := newOutput(batch)
	if err := n.ask(out); err != nil {
		return nil, err
	}
	p.ready = keep
	return out, nil
}

// begin lays the sequences one after the other.
func (p *pass) begin(batch []Sequence) {
	p.starts, p.lengths, p.tokens, p.patches = append(p.starts[:0], 0), p.lengths[:0], p.tokens[:0], p.patches[:0]
	for _, s := range batch {
		p.tokens = append(p.tokens, s.Tokens...)
		p.patches = append(p.patches, s.Patches...)
		p.starts = append(p.starts, len(p.tokens))
		p.lengths = append(p.lengths, len(s.Tokens))
	}
	p.rows = len(p.tokens)
	p.asked = questions(batch)
}

func (p *pass) longest() int {
	most := 1
	for _, l := range p.lengths {
		most = max(most, l)
	}
	return most
}

// reserve makes room for the batch: for every block where it is kept, else for one.
func (n *Net) reserve(keep bool) {
	c, p := n.cfg, &n.pass
	want := 1
	if keep {
		want = c.Layers
	}
	for len(p.layers) < want {
		p.layers = append(p.layers, kept{})
	}
	for i := range want {
		k := &p.layers[i]
		for _, f := range []struct {
			s     *[]float32
			width int
		}{
			{&k.x, c.Hidden}, {&k.h1, c.Hidden}, {&k.r1, 1}, {&k.qkv, c.qWidth() + 2*c.kvWidth()}, {&k.y, c.qWidth()}, {&k.lse, c.Heads},
			{&k.x2, c.Hidden}, {&k.h2, c.Hidden}, {&k.r2, 1}, {&k.gu, 2 * c.FFN}, {&k.s, c.FFN},
		} {
			*f.s = grow(*f.s, p.rows*f.width)
		}
		if c.QKNorm {
			k.raw = grow(k.raw, p.rows*(c.qWidth()+c.kvWidth()))
			k.rq = grow(k.rq, p.rows*(c.Heads+c.KVHeads))
		}
	}
	p.last = grow(p.last, p.rows*c.Hidden)
	n.equip()
}

// equip gives each worker its memory. Workers may have changed since the last call.
func (n *Net) equip() {
	for p := &n.pass; len(p.attend) < n.workers(); {
		p.attend = append(p.attend, attendScratch{scratch: newScratch()})
	}
}

// embedRows writes the input of each token to x.
func (n *Net) embedRows(x []float32, tokens []int32, patches []float32) {
	d, size, at := n.cfg.Hidden, n.cfg.Patch, 0
	for i, t := range tokens {
		row := x[i*d : (i+1)*d]
		if t != PatchInput {
			copy(row, n.embed.Data[int(t)*d:])
			continue
		}
		n.linear(n.patch, row, patches[at:at+size], 1, false, byRows, nil)
		at += size
	}
}

// block computes one block: next = x + attention + feed-forward.
func (n *Net) block(l *layer, k *kept, next []float32) {
	rows := n.pass.rows
	n.normRows(k.h1, k.x, k.r1, l.norm1, rows)
	n.linear(l.qkv, k.qkv, k.h1, rows, false, byTiles, &k.loraQKV)
	n.rotate(l, k)
	n.attend(k)
	n.residual(l.out, k.x2, k.x, k.y, rows, &k.loraOut)
	n.normRows(k.h2, k.x2, k.r2, l.norm2, rows)
	n.linear(l.gateUp, k.gu, k.h2, rows, false, byTiles, &k.loraGU)
	n.gate(k.s, k.gu, rows)
	n.residual(l.down, next, k.x2, k.s, rows, &k.loraDown)
}

// gate computes SwiGLU of rows: gate and up lie side by side in gu.
func (n *Net) gate(s, gu []float32, rows int) {
	f := n.cfg.FFN
	blocks(n.workers(), rows, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			active.swiglu(s[i*f:(i+1)*f], gu[2*i*f:(2*i+1)*f], gu[(2*i+1)*f:(2*i+2)*f])
		}
	})
}

// residual sets y = old + layer(x).
func (n *Net) residual(s *stack, y, old, x []float32, rows int, keep *loraKept) {
	copy(y[:rows*s.rows], old)
	n.linear(s, y, x, rows, true, byTiles, keep)
}

// normRows normalises rows of x.
func (n *Net) normRows(y, x, rstd []float32, p *Param, rows int) {
	d, eps := len(p.Data), float32(n.cfg.NormEps)
	blocks(n.workers(), rows, normRows, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			rstd[i] = active.norm(y[i*d:(i+1)*d], x[i*d:(i+1)*d], p.Data, eps)
		}
	})
}

// rotate applies QKNorm and the rotary embedding to the queries and keys of every row, each at its position in its sequence.
func (n *Net) rotate(l *layer, k *kept) {
	c, p := n.cfg, &n.pass
	width, both := c.qWidth()+2*c.kvWidth(), c.qWidth()+c.kvWidth()
	parallel(n.workers(), len(p.lengths), func(_, s int) {
		for t := range p.lengths[s] {
			i := p.starts[s] + t
			qk := k.qkv[i*width : i*width+both]
			if l.qNorm != nil {
				raw := k.raw[i*both : (i+1)*both]
				copy(raw, qk)
				n.headNorm(l, qk, raw, k.rq[i*(c.Heads+c.KVHeads):])
			}
			cos, sin := p.angles.at(t)
			active.rope(qk, cos, sin, 1)
		}
	})
}

// headNorm normalises each head of raw into qk.
func (n *Net) headNorm(l *layer, qk, raw, rstd []float32) {
	c, eps := n.cfg, float32(n.cfg.NormEps)
	for h := range c.Heads + c.KVHeads {
		w := l.qNorm.Data
		if h >= c.Heads {
			w = l.kNorm.Data
		}
		rstd[h] = active.norm(qk[h*c.HeadDim:(h+1)*c.HeadDim], raw[h*c.HeadDim:(h+1)*c.HeadDim], w, eps)
	}
}

// notFinite names the first block whose output is not finite in that row.
func (n *Net) notFinite(q asked) error {
	d, p := n.cfg.Hidden, &n.pass
	for i := range p.layers {
		if k := &p.layers[i]; !allFinite(k.x[q.row*d : (q.row+1)*d]) {
			return fmt.Errorf("nn: sequence %d, position %d, input of block %d: %w", q.seq, q.pos, i, ErrNotFinite)
		}
	}
	return fmt.Errorf("nn: sequence %d, position %d, output: %w", q.seq, q.pos, ErrNotFinite)
}

func allFinite(x []float32) bool {
	for _, v := range x {
		if !finite(v) {
			return false
		}
	}
	return true
}
