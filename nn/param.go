package nn

import (
	"math/rand/v2"
	"unsafe"
)

// Param is one tensor of a network. Data and Grad are the network's own memory: writing to Data changes the network.
type Param struct {
	Name    string    // as in a Hugging Face checkpoint, for example model.layers.0.self_attn.q_proj.weight
	Shape   []int     // rows first; a matrix of a linear layer is [outputs, inputs]
	Data    []float32 // row-major, as long as the product of Shape
	Grad    []float32 // parallel to Data; nil: the parameter is frozen
	NoDecay bool      // AdamW leaves weight decay out

	init    initial
	adapter bool // LoRA
}

// initial says how Init fills a parameter.
type initial uint8

const (
	normal initial = iota // normal with deviation 0.02
	ones
	zeros
	fanIn // uniform within ±1/√inputs, as PEFT starts lora_A
)

// align is the boundary of every tensor in bytes: a cache line, which is also the widest vector.
const align = 64

// alloc returns n zeros that begin on a cache line.
func alloc(n int) []float32 {
	const lane = align / 4
	b := make([]float32, n+lane)
	largePages(b)
	skip := 0
	if n > 0 {
		skip = int(-uintptr(unsafe.Pointer(&b[0]))%align) / 4
	}
	return b[skip : skip+n : skip+n]
}

// grow returns a slice of n values that begins on a cache line, b itself where it is long enough. What it holds is undefined.
func grow(b []float32, n int) []float32 {
	if cap(b) >= n {
		return b[:n]
	}
	return alloc(n)
}

// fill draws the starting values of p.
func (p *Param) fill(r *rand.Rand) {
	switch p.init {
	case ones:
		for i := range p.Data {
			p.Data[i] = 1
		}
	case zeros:
		clear(p.Data)
	case normal:
		for i := range p.Data {
			p.Data[i] = float32(0.02 * r.NormFloat64())
		}
	case fanIn:
		bound := 1 / sqrt32(float32(p.Shape[len(p.Shape)-1]))
		for i := range p.Data {
			p.Data[i] = bound * (2*r.Float32() - 1)
		}
	}
}
