package nn

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Net is a network with its weights. Forward, Backward and LogProbs share memory that the network keeps between calls, so only one of them may run at a time;
// Decoders have memory of their own and may run beside each other, and beside nothing that changes the weights.
type Net struct {
	// Workers is the number of goroutines that share the work; 0: one for each processor Go may use. It changes no result.
	Workers int

	cfg    Config
	embed  *Param
	patch  *stack // nil: no patches
	layers []*layer
	norm   *Param
	head   *stack // of embed's memory where they are tied
	params []*Param
	byName map[string]*Param
	lora   LoRA
	turns  turns
	pass   pass
}

// layer is one block.
type layer struct {
	norm1, norm2 *Param
	qNorm, kNorm *Param // nil without QKNorm
	qkv          *stack
	out          *stack
	gateUp       *stack
	down         *stack
}

// New allocates a network with all weights zero except norms, which are one. Init draws starting weights; package model fills them from files.
// Only the weights are allocated; Train adds gradients.
func New(c Config) (*Net, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	sayOnce()
	c = c.withDefaults()
	n := &Net{cfg: c, byName: map[string]*Param{}}
	n.embed = n.vector("model.embed_tokens.weight", normal, c.Vocab, c.Hidden)
	if c.Patch > 0 {
		n.patch = n.stack(c.Patch, []string{"model.patch_embed"}, []int{c.Hidden})
		n.bias(n.patch, "model.patch_embed")
	}
	for i := range c.Layers {
		n.layers = append(n.layers, n.newLayer(fmt.Sprintf("model.layers.%d.", i)))
	}
	n.norm = n.vector("model.norm.weight", ones, c.Hidden)
	if c.Tied {
		n.head = &stack{parts: []*Param{n.embed}, rows: c.Vocab, cols: c.Hidden, data: n.embed.Data, lora: make([]*adapter, 1)}
	} else {
		n.head = n.stack(c.Hidden, []string{"lm_head"}, []int{c.Vocab})
	}
	return n, nil
}

func (n *Net) newLayer(at string) *layer {
	c := n.cfg
	l := &layer{}
	l.norm1 = n.vector(at+"input_layernorm.weight", ones, c.Hidden)
	l.qkv = n.stack(c.Hidden, []string{at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"}, []int{c.qWidth(), c.kvWidth(), c.kvWidth()})
	if c.QKVBias {
		n.bias(l.qkv, at+"self_attn.q_proj", at+"self_attn.k_proj", at+"self_attn.v_proj")
	}
	if c.QKNorm {
		l.qNorm = n.vector(at+"self_attn.q_norm.weight", ones, c.HeadDim)
		l.kNorm = n.vector(at+"self_attn.k_norm.weight", ones, c.HeadDim)
	}
	l.out = n.stack(c.qWidth(), []string{at + "self_attn.o_proj"}, []int{c.Hidden})
	l.norm2 = n.vector(at+"post_attention_layernorm.weight", ones, c.Hidden)
	l.gateUp = n.stack(c.Hidden, []string{at + "mlp.gate_proj", at + "mlp.up_proj"}, []int{c.FFN, c.FFN})
	l.down = n.stack(c.FFN, []string{at + "mlp.down_proj"}, []int{c.Hidden})
	return l
}

// vector adds a parameter that is no linear layer.
func (n *Net) vector(name string, start initial, shape ...int) *Param {
	size := 1
	for _, d := range shape {
		size *= d
	}
	p := &Param{Name: name, Shape: shape, Data: alloc(size), init: start}
	if start == ones {
		p.fill(nil)
	}
	n.add(p)
	return p
}

func (n *Net) stack(cols int, names []string, rows []int) *stack {
	s := newStack(cols, names, rows)
	n.add(s.parts...)
	return s
}

// bias adds a bias for each part of s.
func (n *Net) bias(s *stack, names ...string) {
	s.bias = alloc(s.rows)
	at := 0
	for i, name := range names {
		r := s.parts[i].Shape[0]
		p := &Param{Name: name + ".bias", Shape: []int{r}, Data: s.bias[at : at+r : at+r], init: zeros}
		s.biases = append(s.biases, p)
		n.add(p)
		at += r
	}
}

func (n *Net) add(ps ...*Param) {
	n.params = append(n.params, ps...)
	for _, p := range ps {
		n.byName[p.Name] = p
	}
}

// Config returns what the network was made of, defaults filled in.
func (n *Net) Config() Config { return n.cfg }

// Params lists the tensors in the order of a checkpoint: embedding, blocks from the bottom, norm, output layer, then adapters. The slice is the caller's, the tensors are the network's.
func (n *Net) Params() []*Param { return append([]*Param(nil), n.params...) }

// Param returns the tensor of that name, or nil.
func (n *Net) Param(name string) *Param { return n.byName[name] }

// Init draws starting weights: matrices normal with deviation 0.02, norms one, biases zero, adapters as LoRA says. Each tensor is drawn from the seed and its own name, so
// that a network with one layer more starts with the same layers below.
func (n *Net) Init(seed uint64) {
	for _, p := range n.params {
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		p.fill(rand.New(rand.NewPCG(seed, h.Sum64())))
	}
}

// All is a choice for Train.
func All(*Param) bool { return true }

// Adapters is a choice for Train: LoRA only.
func Adapters(p *Param) bool { return p.adapter }

// Train allocates zero gradients for the parameters that trained chooses and drops those of all others, which are then frozen. Without a call to it nothing is trained and Backward is an error.
func (n *Net) Train(trained func(*Param) bool) {
	for _, p := range n.params {
		p.Grad = nil
	}
	for _, s := range n.stacks() {
		s.train(trained)
	}
	for _, p := range n.params {
		if p.Grad == nil && trained(p) {
			p.Grad = alloc(len(p.Data))
		}
	}
	if n.cfg.Tied {
		n.head.grad = n.embed.Grad
	}
}

// stacks lists the linear layers that own their memory.
func (n *Net) stacks() []*stack {
	var all []*stack
	if n.patch != nil {
		all = append(all, n.patch)
	}
	for _, l := range n.layers {
		all = append(all, l.qkv, l.out, l.gateUp, l.down)
	}
	if !n.cfg.Tied {
		all = append(all, n.head)
	}
	return all
}

// ZeroGrad sets all gradients to zero.
func (n *Net) ZeroGrad() {
	parallel(n.workers(), len(n.params), func(_, i int) { clear(n.params[i].Grad) })
}

func (n *Net) workers() int { return workersOr(n.Workers) }
