package nn

// stack is the matrices of one linear layer, or of several that read the same input, one below the other in one piece of memory, so that one product computes all of them.
type stack struct {
	parts      []*Param   // each a view of rows
	biases     []*Param   // nil, or parallel to parts
	lora       []*adapter // parallel to parts; nil where a part has none
	rows, cols int
	data, bias []float32
	grad       []float32 // nil: every part is frozen
	biasGrad   []float32
}

// newStack allocates matrices of cols inputs and the given outputs; names has one for each.
func newStack(cols int, names []string, rows []int) *stack {
	s := &stack{cols: cols, lora: make([]*adapter, len(names))}
	for _, r := range rows {
		s.rows += r
	}
	s.data = alloc(s.rows * cols)
	at := 0
	for i, name := range names {
		n := rows[i] * cols
		s.parts = append(s.parts, &Param{Name: name + ".weight", Shape: []int{rows[i], cols}, Data: s.data[at : at+n : at+n]})
		at += n
	}
	return s
}

// train gives the parameters that trained chooses their part of the layer's gradient, which is in one piece as the weights are.
func (s *stack) train(trained func(*Param) bool) {
	s.grad = gradients(s.parts, len(s.data), trained)
	s.biasGrad = gradients(s.biases, len(s.bias), trained)
}

func gradients(parts []*Param, size int, trained func(*Param) bool) []float32 {
	var all []float32
	at := 0
	for _, p := range parts {
		if trained(p) {
			if all == nil {
				all = alloc(size)
			}
			p.Grad = all[at : at+len(p.Data) : at+len(p.Data)]
		}
		at += len(p.Data)
	}
	return all
}

// way is how a product of a few or many rows with weights is computed. The sums of the two ways differ in order, and each way's do not depend on the number of rows.
type way bool

const (
	byTiles way = false // weights are packed: for many rows
	byRows  way = true  // weights are read once, where they are: for few rows, where memory is the limit
)

// linear sets y = x·Wᵀ + b for rows of x, or adds to y where acc is set. keep holds the inner products of adapters for the backward pass; nil where nobody will ask.
func (n *Net) linear(s *stack, y, x []float32, rows int, acc bool, way way, keep *loraKept) {
	w := n.workers()
	multiply(w, way, rows, s.rows, s.cols, x, s.data, y, s.rows, acc)
	if s.bias != nil {
		blocks(w, rows, 64, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				active.add(y[i*s.rows:(i+1)*s.rows], s.bias)
			}
		})
	}
	n.adapt(s, y, x, rows, way, keep)
}

// skinnyPart is how many weights of a product by rows are computed together: they and the next part, which is on its way meanwhile, fit half of a second-level cache of 1 MiB.
const skinnyPart = 64 << 10

// multiply sets y = x·wᵀ, or adds to it: x is [rows, in], w is [out, in], y has rows that are ldy apart.
func multiply(workers int, way way, rows, out, in int, x, w, y []float32, ldy int, acc bool) {
	if way == byTiles {
		gemm(workers, product{false, true, rows, out, in, x, in, w, in, y, ldy, acc})
		return
	}
	ldx := in
	if rows > 1 && in%512 == 0 { // rows of x that fall into one set of the cache push each other out
		ldx = in + 16
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		s.a = grow(s.a, rows*ldx)
		for i := range rows {
			copy(s.a[i*ldx:], x[i*in:(i+1)*in])
		}
		x = s.a
	}
	each := max(skinnyPart/in/16*16, 16) // rows of w that one worker takes
	parallel(workers, (out+each-1)/each, func(_, t int) {
		lo, hi := t*each, min((t+1)*each, out)
		active.skinny(product{false, true, rows, hi - lo, in, x, ldx, w[lo*in:], in, y[lo:], ldy, acc}, each*workers)
	})
}

// linearBack sets dx = dy·W, or adds to dx where acc is set, and adds the gradients of W and b. A nil dx is not computed.
func (n *Net) linearBack(s *stack, dx, dy, x []float32, rows int, acc bool, keep *loraKept) {
	w := n.workers()
	if dx != nil {
		gemm(w, product{false, false, rows, s.cols, s.rows, dy, s.rows, s.data, s.cols, dx, s.cols, acc})
	}
	if s.grad != nil {
		gemm(w, product{true, false, s.rows, s.cols, rows, dy, s.rows, x, s.cols, s.grad, s.cols, true})
	}
	if s.biasGrad != nil {
		const cut = 64 // columns of one worker; each sum goes down the rows in order
		parallel(w, (s.rows+cut-1)/cut, func(_, t int) {
			lo, hi := t*cut, min((t+1)*cut, s.rows)
			for i := range rows {
				active.add(s.biasGrad[lo:hi], dy[i*s.rows+lo:i*s.rows+hi])
			}
		})
	}
	n.adaptBack(s, dx, dy, x, rows, keep)
}
