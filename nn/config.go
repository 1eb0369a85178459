package nn

import (
	"fmt"
	"math"
)

// Config describes a decoder-only transformer: RMSNorm, rotary positions, grouped-query attention, SwiGLU. Llama, Qwen2 (QKVBias) and Qwen3 (QKNorm) are of this form.
type Config struct {
	Layers  int // blocks
	Hidden  int // width of the residual stream
	Heads   int // query heads
	KVHeads int // key and value heads; 0: as many as Heads; Heads is a multiple of it
	HeadDim int // width of a head, even; 0: Hidden/Heads
	FFN     int // width of the feed-forward layer
	Vocab   int // tokens
	Context int // longest sequence, in positions

	Rope    Rope
	NormEps float64 // added to the mean square in RMSNorm; 0: 1e-5

	QKNorm  bool // RMSNorm over each query and key head before the rotation (Qwen3)
	QKVBias bool // biases of the query, key and value projections (Qwen2)
	Tied    bool // the output layer is the token embedding
	Patch   int  // values of one image patch that a linear layer turns into an input; 0: the network takes no patches
}

// Rope is the rotary position embedding (Su et al. 2021): the two halves of a head are rotated by position times a frequency per pair, Theta^(-2i/HeadDim).
type Rope struct {
	Theta   float64 // base of the frequencies; 0: 10000
	Scaling Scaling // how the frequencies change; the zero value: not at all

	Factor          float64 // by how much contexts grow
	OriginalContext int     // context of the pre-trained network (llama3, yarn)
	LowFreqFactor   float64 // llama3: wavelengths above OriginalContext/LowFreqFactor are stretched by Factor
	HighFreqFactor  float64 // llama3: wavelengths below OriginalContext/HighFreqFactor stay
	BetaFast        float64 // yarn: rotations within OriginalContext above which a frequency stays; 0: 32
	BetaSlow        float64 // yarn: rotations below which it is divided by Factor; 0: 1
	AttentionFactor float64 // yarn: multiplies the rotated vectors; 0: 1 + ln(Factor)/10
}

// Scaling names a change of the rotary frequencies for contexts longer than the pre-trained one, as rope_type does in a checkpoint's config.json.
type Scaling string

// The scalings: none; all frequencies divided (position interpolation, Chen et al. 2023); by wavelength (Llama 3.1); by rotations with a temperature (YaRN, Peng et al. 2023).
const (
	NoScaling     Scaling = ""
	LinearScaling Scaling = "linear"
	Llama3Scaling Scaling = "llama3"
	YarnScaling   Scaling = "yarn"
)

// withDefaults fills what zero stands for.
func (c Config) withDefaults() Config {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.NormEps == 0 {
		c.NormEps = 1e-5
	}
	if c.Rope.Theta == 0 {
		c.Rope.Theta = 10000
	}
	return c
}

// Limits, so that sizes do not overflow and a hostile config.json is refused before memory is asked for.
const (
	maxDim    = 1 << 24
	maxParams = 1 << 36
)

// Check returns an error that names the first field that cannot be, and says what it must be. Zero fields with a default are accepted.
func (c Config) Check() error {
	c = c.withDefaults()
	for _, f := range []struct {
		name  string
		value int
	}{
		{"Layers", c.Layers}, {"Hidden", c.Hidden}, {"Heads", c.Heads}, {"KVHeads", c.KVHeads},
		{"HeadDim", c.HeadDim}, {"FFN", c.FFN}, {"Vocab", c.Vocab}, {"Context", c.Context},
	} {
		if f.value < 1 || f.value > maxDim {
			return fmt.Errorf("nn: %s is %d; it must be from 1 to %d", f.name, f.value, maxDim)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("nn: %d query heads cannot share %d key heads; Heads must be a multiple of KVHeads", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("nn: HeadDim is %d; rotary positions need an even number", c.HeadDim)
	case c.Heads > maxDim/c.HeadDim:
		return fmt.Errorf("nn: %d heads of %d values are too wide", c.Heads, c.HeadDim)
	case c.Patch < 0 || c.Patch > maxDim:
		return fmt.Errorf("nn: Patch is %d; it must be from 0 to %d", c.Patch, maxDim)
	case !(c.NormEps > 0 && c.NormEps < 1):
		return fmt.Errorf("nn: NormEps is %g; it must be above 0 and below 1", c.NormEps)
	case c.outside() > maxParams || int64(c.Layers) > maxParams/c.block():
		return fmt.Errorf("nn: %d blocks of %d parameters and %d around them are more than any machine holds", c.Layers, c.block(), c.outside())
	}
	return c.Rope.check()
}

func (r Rope) check() error {
	if !(r.Theta > 1) || math.IsInf(r.Theta, 0) {
		return fmt.Errorf("nn: rope theta is %g; it must be above 1", r.Theta)
	}
	switch r.Scaling {
	case NoScaling:
		return nil
	case LinearScaling, Llama3Scaling, YarnScaling:
	default:
		return fmt.Errorf("nn: rope scaling %q is unknown; known are linear, llama3 and yarn", r.Scaling)
	}
	if !(r.Factor >= 1) || math.IsInf(r.Factor, 0) {
		return fmt.Errorf("nn: rope factor is %g; it must be at least 1", r.Factor)
	}
	if r.Scaling != LinearScaling && r.OriginalContext < 1 {
		return fmt.Errorf("nn: rope scaling %s needs the original context", r.Scaling)
	}
	if r.Scaling == Llama3Scaling && !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor) {
		return fmt.Errorf("nn: rope frequency factors are %g and %g; the high one must be above the low one, and both above 0", r.LowFreqFactor, r.HighFreqFactor)
	}
	return nil
}

// qWidth is the width of all query heads, kvWidth that of all key heads.
func (c Config) qWidth() int  { return c.Heads * c.HeadDim }
func (c Config) kvWidth() int { return c.KVHeads * c.HeadDim }

// Params returns the number of parameters, adapters not counted.
func (c Config) Params() int64 {
	c = c.withDefaults()
	return int64(c.Layers)*c.block() + c.outside()
}

// block is the number of parameters of a block.
func (c Config) block() int64 {
	h, q, kv := int64(c.Hidden), int64(c.qWidth()), int64(c.kvWidth())
	block := 2*h + 2*h*q + 2*h*kv + 3*h*int64(c.FFN)
	if c.QKNorm {
		block += 2 * int64(c.HeadDim)
	}
	if c.QKVBias {
		block += q + 2*kv
	}
	return block
}

// outside is the number of parameters that belong to no block.
func (c Config) outside() int64 {
	h := int64(c.Hidden)
	n := int64(c.Vocab)*h + h
	if !c.Tied {
		n += int64(c.Vocab) * h
	}
	if c.Patch > 0 {
		n += int64(c.Patch)*h + h
	}
	return n
}

// ActivationBytes returns what Forward keeps for Backward on a batch of that many positions with a target at each, in bytes, adapters not counted. It is what comes on top of
// 16 bytes per trained parameter (weight, gradient, two moments).
func (c Config) ActivationBytes(positions int) int64 {
	c = c.withDefaults()
	h, q, kv := int64(c.Hidden), int64(c.qWidth()), int64(c.kvWidth())
	block := 4*h + 2*q + 2*kv + 3*int64(c.FFN) + int64(c.Heads) + 2
	if c.QKNorm {
		block += q + kv + int64(c.Heads+c.KVHeads)
	}
	gradients := 4*h + max(h, q) + q + 2*kv + int64(c.FFN) // of one block, beside the last hidden states
	logits := int64(positions) * int64(c.Vocab)
	if logits > logitBudget {
		logits = headRows * int64(c.Vocab)
	}
	return 4 * (int64(positions)*(int64(c.Layers)*block+gradients) + logits)
}
