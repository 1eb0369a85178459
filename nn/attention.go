package nn

// attendScratch is one worker's memory in attention.
type attendScratch struct {
	scratch
	keys, values []float32 // keysᵀ and valuesᵀ of one head, in panels
	s, dp        []float32 // scores of queryRows queries
}

// queryRows is how many queries are scored together. Causality is by blocks of so many: a block scores the keys up to its own last query.
const queryRows = 64

// scoreRow is the distance between rows of scores: not a power of two, so that the rows of a tile do not fall into one set of the cache.
func scoreRow(length int) int { return roundUp(length, 16) + 16 }

// attend computes causal attention for every sequence: softmax(q·kᵀ/√HeadDim)·v. Scores are not kept; the logarithms of their sums are, and from them the backward pass makes the
// probabilities again (Dao et al. 2022), so that memory grows with the length and not with its square.
func (n *Net) attend(k *kept) {
	c, p := n.cfg, &n.pass
	width, group := c.qWidth()+2*c.kvWidth(), c.Heads/c.KVHeads
	scale := 1 / sqrt32(float32(c.HeadDim))
	parallel(n.workers(), len(p.lengths)*c.KVHeads, func(worker, task int) {
		seq, kv := task/c.KVHeads, task%c.KVHeads
		length, row := p.lengths[seq], p.starts[seq]
		if length == 0 {
			return
		}
		w, ks, hd := &p.attend[worker], active, c.HeadDim
		keys := k.qkv[row*width+c.qWidth()+kv*hd:]
		values := keys[c.kvWidth():]
		w.keys = grow(w.keys, roundUp(length, ks.nr)*hd)
		ks.pack(w.keys, keys, width, true, ks.nr, length, hd)
		ld := scoreRow(length)
		w.s = grow(w.s, queryRows*ld)
		for h := kv * group; h < (kv+1)*group; h++ {
			q, y := k.qkv[row*width+h*hd:], k.y[row*c.qWidth()+h*hd:]
			for i := 0; i < length; i += queryRows {
				rows := min(queryRows, length-i)
				upTo := i + rows
				ks.direct(&w.scratch, rows, upTo, hd, q[i*width:], width, 1, w.keys, 0, true, w.s, ld, false)
				for r := range rows {
					s := w.s[r*ld : r*ld+upTo]
					k.lse[(row+i+r)*c.Heads+h] = ks.softmax(s[:i+r+1], scale)
					clear(s[i+r+1:])
				}
				ks.direct(&w.scratch, rows, hd, upTo, w.s, ld, 1, values, width, false, y[i*c.qWidth():], c.qWidth(), false)
			}
		}
	})
}

// attendBack computes the gradient of queries, keys and values, n.pass.dqkv, from that of attention's output, dy [rows, qWidth].
func (n *Net) attendBack(k *kept, dy []float32) {
	c, p := n.cfg, &n.pass
	width, group := c.qWidth()+2*c.kvWidth(), c.Heads/c.KVHeads
	scale := 1 / sqrt32(float32(c.HeadDim))
	parallel(n.workers(), len(p.lengths)*c.KVHeads, func(worker, task int) {
		seq, kv := task/c.KVHeads, task%c.KVHeads
		length, row := p.lengths[seq], p.starts[seq]
		if length == 0 {
			return
		}
		w, ks, hd := &p.attend[worker], active, c.HeadDim
		at := row*width + c.qWidth() + kv*hd
		keys, values := k.qkv[at:], k.qkv[at+c.kvWidth():]
		dkeys, dvalues := p.dqkv[at:], p.dqkv[at+c.kvWidth():]
		w.keys, w.values = grow(w.keys, roundUp(length, ks.nr)*hd), grow(w.values, roundUp(length, ks.nr)*hd)
		ks.pack(w.keys, keys, width, true, ks.nr, length, hd)
		ks.pack(w.values, values, width, true, ks.nr, length, hd)
		ld := scoreRow(length)
		w.s, w.dp = grow(w.s, queryRows*ld), grow(w.dp, queryRows*ld)
		for t := range length {
			clear(dkeys[t*width : t*width+hd])
			clear(dvalues[t*width : t*width+hd])
		}
		for h := kv * group; h < (kv+1)*group; h++ {
			q, dq := k.qkv[row*width+h*hd:], p.dqkv[row*width+h*hd:]
			y, d := k.y[row*c.qWidth()+h*hd:], dy[row*c.qWidth()+h*hd:]
			for i := 0; i < length; i += queryRows {
				rows := min(queryRows, length-i)
				upTo := i + rows
				qi, di := q[i*width:], d[i*c.qWidth():]
				ks.direct(&w.scratch, rows, upTo, hd, qi, width, 1, w.keys, 0, true, w.s, ld, false)
				ks.direct(&w.scratch, rows, upTo, hd, di, c.qWidth(), 1, w.values, 0, true, w.dp, ld, false)
				for r := range rows {
					from := (i + r) * c.qWidth()
					delta := ks.dot(d[from:from+hd], y[from:from+hd])
					live := i + r + 1
					s, dp := w.s[r*ld:r*ld+upTo], w.dp[r*ld:r*ld+upTo]
					ks.softmaxBack(s[:live], dp[:live], scale, k.lse[(row+i+r)*c.Heads+h], delta)
					clear(s[live:])
					clear(dp[live:])
				}
				ks.direct(&w.scratch, upTo, hd, rows, w.s, 1, ld, di, c.qWidth(), false, dvalues, width, true)
				ks.direct(&w.scratch, rows, hd, upTo, w.dp, ld, 1, keys, width, false, dq[i*width:], width, false)
				ks.direct(&w.scratch, upTo, hd, rows, w.dp, 1, ld, qi, width, false, dkeys, width, true)
			}
		}
	})
}
