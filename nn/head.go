package nn

// headRows is how many positions the output layer takes at a time, so that their logits stay in the cache.
const headRows = 512

// logitBudget is how many logits Forward keeps for Backward; where there are more, Backward computes them again.
const logitBudget = 64 << 20

// ask computes the last norm and the output layer for the positions that were asked, and fills out.
func (n *Net) ask(out *Output) error {
	c, p, w := n.cfg, &n.pass, n.workers()
	d, count := c.Hidden, len(p.asked)
	p.hidden, p.rstd = grow(p.hidden, count*d), grow(p.rstd, count)
	p.lse, p.entropy = grow(p.lse, count), grow(p.entropy, count)
	p.logits = grow(p.logits, p.logitRows(c.Vocab)*c.Vocab)
	blocks(w, count, normRows, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			at := p.asked[i].row * d
			p.rstd[i] = active.norm(p.hidden[i*d:(i+1)*d], p.last[at:at+d], n.norm.Data, float32(c.NormEps))
		}
	})
	for i := 0; i < count; i += headRows {
		rows := min(headRows, count-i)
		z := n.logitsOf(i, rows)
		blocks(w, rows, 8, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				row, q := z[r*c.Vocab:(r+1)*c.Vocab], p.asked[i+r]
				lse, entropy := active.lse(row)
				p.lse[i+r], p.entropy[i+r] = lse, entropy
				if q.target != NoTarget {
					out.LogProbs[q.seq][q.pos] = row[q.target] - lse
				}
				for j, t := range q.candidates {
					out.Candidates[q.seq][q.pos][j] = row[t] - lse
				}
				out.Entropy[q.seq][q.pos] = entropy
			}
		})
	}
	for i, q := range p.asked {
		if !finite(p.lse[i]) || !finite(out.LogProbs[q.seq][q.pos]) {
			return n.notFinite(q)
		}
	}
	return nil
}

// logitRows is how many rows of logits are in memory at once.
func (p *pass) logitRows(vocab int) int {
	if len(p.asked)*vocab <= logitBudget {
		return len(p.asked)
	}
	return headRows
}

// logitsOf computes the logits of rows asked positions from i, in the place where Backward looks for them.
func (n *Net) logitsOf(i, rows int) []float32 {
	c, p := n.cfg, &n.pass
	z := p.logits
	if p.logitRows(c.Vocab) == len(p.asked) {
		z = z[i*c.Vocab:]
	}
	z = z[:rows*c.Vocab]
	n.linear(n.head, z, p.hidden[i*c.Hidden:], rows, false, byTiles, nil)
	return z
}

// askBack adds the gradient of the output layer and the last norm, and sets p.dx to that of the last block's output. p.dx is zero before.
func (n *Net) askBack(weights Weights) {
	c, p, w := n.cfg, &n.pass, n.workers()
	d, count := c.Hidden, len(p.asked)
	p.dhidden = grow(p.dhidden, count*d)
	all := p.logitRows(c.Vocab) == count
	for i := 0; i < count; i += headRows {
		rows := min(headRows, count-i)
		var z []float32
		if all {
			z = p.logits[i*c.Vocab : (i+rows)*c.Vocab]
		} else {
			z = n.logitsOf(i, rows)
		}
		blocks(w, rows, 8, func(lo, hi int) {
			for r := lo; r < hi; r++ {
				gradLogits(z[r*c.Vocab:(r+1)*c.Vocab], weights, p.asked[i+r], p.lse[i+r], p.entropy[i+r])
			}
		})
		n.linearBack(n.head, p.dhidden[i*d:], z, p.hidden[i*d:], rows, false, nil)
	}
	n.inBlocks(n.norm, count, func(_, i int, dw []float32) {
		at := p.asked[i].row * d
		active.normBack(p.dx[at:at+d], dw, p.dhidden[i*d:(i+1)*d], p.last[at:at+d], n.norm.Data, p.rstd[i])
	})
}

// gradLogits turns a row of logits into the gradient of the loss. With S the sum of the weights on log-probabilities, E that on the entropy H and p the probabilities,
// it is p·(S + E·(H + ln p)), less each token's own weight.
func gradLogits(z []float32, weights Weights, q asked, lse, entropy float32) {
	target, candidates, e := weights.terms(q)
	sum := target
	for _, v := range candidates {
		sum += v
	}
	if sum == 0 && e == 0 && target == 0 {
		clear(z)
	} else {
		active.lseBack(z, lse, sum+e*entropy, e)
	}
	if q.target != NoTarget {
		z[q.target] -= target
	}
	for i, v := range candidates {
		z[q.candidates[i]] -= v
	}
}
