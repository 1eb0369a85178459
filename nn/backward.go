package nn

import "errors"

// Backward adds to the gradients of trained parameters that of the loss whose derivative w gives, for the batch of the last Forward. One Forward serves one Backward, because
// the gradient overwrites what was kept. It fails where no Forward is waiting, where nothing is trained, and where w does not fit or is not finite.
func (n *Net) Backward(w Weights) error {
	p := &n.pass
	if !p.ready {
		return errors.New("nn: no Forward is waiting for Backward; call Forward first, once for each Backward")
	}
	if !n.trains() {
		return errors.New("nn: no parameter is trained; call Train first")
	}
	if err := w.check(p.lengths, p.asked); err != nil {
		return err
	}
	p.ready = false
	n.equip()
	c := n.cfg
	p.dx, p.dh = grow(p.dx, p.rows*c.Hidden), grow(p.dh, p.rows*max(c.Hidden, c.qWidth()))
	p.dqkv, p.ds = grow(p.dqkv, p.rows*(c.qWidth()+2*c.kvWidth())), grow(p.ds, p.rows*c.FFN)
	clear(p.dx)
	n.askBack(w)
	for i := len(n.layers) - 1; i >= 0; i-- {
		n.blockBack(n.layers[i], &p.layers[i])
	}
	n.embedBack()
	return nil
}

func (n *Net) trains() bool {
	for _, p := range n.params {
		if p.Grad != nil {
			return true
		}
	}
	return false
}

// blockBack turns p.dx from the gradient of a block's output into that of its input.
func (n *Net) blockBack(l *layer, k *kept) {
	c, p, w := n.cfg, &n.pass, n.workers()
	rows, f := p.rows, c.FFN
	n.linearBack(l.down, p.ds, p.dx, k.s, rows, false, &k.loraDown)
	blocks(w, rows, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			active.swigluBack(p.ds[i*f:(i+1)*f], k.gu[2*i*f:(2*i+1)*f], k.gu[(2*i+1)*f:(2*i+2)*f])
		}
	})
	n.linearBack(l.gateUp, p.dh, k.gu, k.h2, rows, false, &k.loraGU)
	n.normBack(l.norm2, p.dx, p.dh, k.x2, k.r2)
	n.linearBack(l.out, p.dh, p.dx, k.y, rows, false, &k.loraOut)
	n.attendBack(k, p.dh)
	n.rotateBack(l, k)
	n.linearBack(l.qkv, p.dh, p.dqkv, k.h1, rows, false, &k.loraQKV)
	n.normBack(l.norm1, p.dx, p.dh, k.x, k.r1)
}

// normBack adds the gradient through a norm of all rows to dx and to the norm's weight.
func (n *Net) normBack(norm *Param, dx, dy, x, rstd []float32) {
	d := len(norm.Data)
	n.inBlocks(norm, n.pass.rows, func(_, i int, dw []float32) {
		at := i * d
		active.normBack(dx[at:at+d], dw, dy[at:at+d], x[at:at+d], norm.Data, rstd[i])
	})
}

// inBlocks calls f for each row, with a partial sum that rows of one block share, and adds the sums to the parameter's gradient in the order of the blocks.
func (n *Net) inBlocks(param *Param, rows int, f func(worker, row int, dw []float32)) {
	p, d := &n.pass, len(param.Data)
	count := (rows + normRows - 1) / normRows
	p.partial = grow(p.partial, count*d)
	parallel(n.workers(), count, func(worker, t int) {
		dw := p.partial[t*d : (t+1)*d]
		clear(dw)
		for i := t * normRows; i < min((t+1)*normRows, rows); i++ {
			f(worker, i, dw)
		}
	})
	if param.Grad == nil {
		return
	}
	for t := range count {
		active.add(param.Grad, p.partial[t*d:(t+1)*d])
	}
}

// rotateBack takes the gradient of queries and keys back through the rotation and QKNorm.
func (n *Net) rotateBack(l *layer, k *kept) {
	c, p := n.cfg, &n.pass
	width, both := c.qWidth()+2*c.kvWidth(), c.qWidth()+c.kvWidth()
	parallel(n.workers(), len(p.lengths), func(_, s int) {
		for t := range p.lengths[s] {
			i := p.starts[s] + t
			cos, sin := p.angles.at(t)
			active.rope(p.dqkv[i*width:i*width+both], cos, sin, -1)
		}
	})
	if l.qNorm == nil {
		return
	}
	n.headNormBack(l.qNorm, k, 0, c.Heads)
	n.headNormBack(l.kNorm, k, c.Heads, c.Heads+c.KVHeads)
}

// headNormBack is for heads from ≤ h < to.
func (n *Net) headNormBack(norm *Param, k *kept, from, to int) {
	c, p := n.cfg, &n.pass
	width, both, hd, heads := c.qWidth()+2*c.kvWidth(), c.qWidth()+c.kvWidth(), c.HeadDim, c.Heads+c.KVHeads
	n.inBlocks(norm, p.rows, func(worker, i int, dw []float32) {
		w := &p.attend[worker]
		w.dp = grow(w.dp, hd)
		dx := w.dp
		for h := from; h < to; h++ {
			dy := p.dqkv[i*width+h*hd : i*width+(h+1)*hd]
			clear(dx)
			active.normBack(dx, dw, dy, k.raw[i*both+h*hd:i*both+(h+1)*hd], norm.Data, k.rq[i*heads+h])
			copy(dy, dx)
		}
	})
}

// embedBack adds the gradient of the inputs to the embedding, in the order of the rows.
func (n *Net) embedBack() {
	p, d, at := &n.pass, n.cfg.Hidden, 0
	for i, t := range p.tokens {
		row := p.dx[i*d : (i+1)*d]
		switch {
		case t == PatchInput:
			n.linearBack(n.patch, nil, row, p.patches[at:at+n.cfg.Patch], 1, false, nil)
			at += n.cfg.Patch
		case n.embed.Grad != nil:
			active.add(n.embed.Grad[int(t)*d:(int(t)+1)*d], row)
		}
	}
}
