package nn

import (
	"fmt"
	"slices"
	"strings"
)

// LoRA describes low-rank adapters (Hu et al. 2021): to each target W is added Alpha/Rank·B·A, with A [Rank, inputs] and B [outputs, Rank]. B starts at zero, A uniform within ±1/√inputs, as PEFT does.
type LoRA struct {
	Rank    int
	Alpha   float64
	Targets []string // names of projections as PEFT writes them, such as q_proj; empty: all seven of a block
}

// Projections lists the targets that a block has.
func Projections() []string {
	return []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
}

// adapter is the pair of matrices beside one part of a stack.
type adapter struct {
	a, b   *Param
	rank   int
	factor float32
}

// AddLoRA gives the targets adapters, with parameters named after the layer: model.layers.0.self_attn.q_proj.lora_A.weight (PEFT's files put base_model.model. before).
// They are not drawn until Init, and not trained until Train. A network has one set of adapters at a time.
func (n *Net) AddLoRA(l LoRA) error {
	if n.lora.Rank != 0 {
		return fmt.Errorf("nn: the network has adapters of rank %d; merge or remove them first", n.lora.Rank)
	}
	if l.Rank < 1 || l.Rank > n.cfg.Hidden {
		return fmt.Errorf("nn: the rank of LoRA is %d; it must be from 1 to %d", l.Rank, n.cfg.Hidden)
	}
	if !(l.Alpha > 0) {
		return fmt.Errorf("nn: the alpha of LoRA is %g; it must be above 0", l.Alpha)
	}
	l.Targets = slices.Clone(l.Targets)
	if len(l.Targets) == 0 {
		l.Targets = Projections()
	}
	for _, t := range l.Targets {
		if !slices.Contains(Projections(), t) {
			return fmt.Errorf("nn: LoRA has no target %q; targets are %s", t, strings.Join(Projections(), ", "))
		}
	}
	n.lora = l
	for _, s := range n.stacks() {
		for i, p := range s.parts {
			layer := strings.TrimSuffix(p.Name, ".weight")
			if !slices.Contains(l.Targets, layer[strings.LastIndex(layer, ".")+1:]) {
				continue
			}
			a := &Param{Name: layer + ".lora_A.weight", Shape: []int{l.Rank, s.cols}, Data: alloc(l.Rank * s.cols), init: fanIn, adapter: true}
			b := &Param{Name: layer + ".lora_B.weight", Shape: []int{p.Shape[0], l.Rank}, Data: alloc(p.Shape[0] * l.Rank), init: zeros, adapter: true}
			s.lora[i] = &adapter{a: a, b: b, rank: l.Rank, factor: float32(l.Alpha / float64(l.Rank))}
			n.add(a, b)
		}
	}
	return nil
}

// LoRA returns the adapters' description; Rank is 0 where there are none.
func (n *Net) LoRA() LoRA { return n.lora }

// MergeLoRA adds the adapters to the weights and removes them.
func (n *Net) MergeLoRA() {
	for _, s := range n.stacks() {
		for i, l := range s.lora {
			if l == nil {
				continue
			}
			b := slices.Clone(l.b.Data)
			active.scale(b, l.factor)
			p := s.parts[i]
			Gemm(n.Workers, false, false, p.Shape[0], s.cols, l.rank, b, l.rank, l.a.Data, s.cols, p.Data, s.cols, true)
		}
	}
	n.RemoveLoRA()
}

// RemoveLoRA forgets the adapters.
func (n *Net) RemoveLoRA() {
	for _, s := range n.stacks() {
		clear(s.lora)
	}
	n.params = slices.DeleteFunc(n.params, func(p *Param) bool {
		if p.adapter {
			delete(n.byName, p.Name)
		}
		return p.adapter
	})
	n.lora = LoRA{}
}

// loraKept is factor·x·Aᵀ of each adapted part, kept for the backward pass, and room for its gradient.
type loraKept struct{ inner [][]float32 }

// adapt adds the adapters' share to y.
func (n *Net) adapt(s *stack, y, x []float32, rows int, way way, keep *loraKept) {
	at := 0
	for i, l := range s.lora {
		out := s.parts[i].Shape[0]
		if l != nil {
			u := keep.room(i, len(s.lora), rows*l.rank)
			w := n.workers()
			multiply(w, way, rows, l.rank, s.cols, x, l.a.Data, u, l.rank, false)
			active.scale(u, l.factor)
			multiply(w, way, rows, out, l.rank, u, l.b.Data, y[at:], s.rows, true)
		}
		at += out
	}
}

// room returns the memory for the inner products of part i of parts.
func (k *loraKept) room(i, parts, size int) []float32 {
	if k == nil {
		return alloc(size)
	}
	if k.inner == nil {
		k.inner = make([][]float32, parts)
	}
	k.inner[i] = grow(k.inner[i], size)
	return k.inner[i]
}

// adaptBack adds the adapters' gradients, and their share of dx.
func (n *Net) adaptBack(s *stack, dx, dy, x []float32, rows int, keep *loraKept) {
	at := 0
	for i, l := range s.lora {
		out := s.parts[i].Shape[0]
		if l != nil {
			w := n.workers()
			u := keep.inner[i]
			if l.b.Grad != nil {
				gemm(w, product{true, false, out, l.rank, rows, dy[at:], s.rows, u, l.rank, l.b.Grad, l.rank, true})
			}
			gemm(w, product{false, false, rows, l.rank, out, dy[at:], s.rows, l.b.Data, l.rank, u, l.rank, false}) // u becomes its gradient
			active.scale(u, l.factor)
			if l.a.Grad != nil {
				gemm(w, product{true, false, l.rank, s.cols, rows, u, l.rank, x, s.cols, l.a.Grad, s.cols, true})
			}
			if dx != nil {
				gemm(w, product{false, false, rows, s.cols, l.rank, u, l.rank, l.a.Data, s.cols, dx, s.cols, true})
			}
		}
		at += out
	}
}
