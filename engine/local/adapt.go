package local

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/proviso-dev/proviso/nn"
)

// Adapt gives a network adapters and draws them, leaving its weights as they are: A uniform within ±1/√inputs and B zero, as PEFT begins (Hu et al. 2021), so that the network says what it said before.
func Adapt(net *nn.Net, l nn.LoRA, seed uint64) error {
	if err := net.AddLoRA(l); err != nil {
		return err
	}
	for _, p := range net.Params() {
		if !nn.Adapters(p) || !strings.HasSuffix(p.Name, "lora_A.weight") {
			continue
		}
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		dice, bound := rand.New(rand.NewPCG(seed, h.Sum64())), 1/math.Sqrt(float64(p.Shape[len(p.Shape)-1]))
		for i := range p.Data {
			p.Data[i] = float32(bound * (2*dice.Float64() - 1))
		}
	}
	return nil
}

// Bytes is about how much memory training takes: weights, and for those that are trained a gradient, two moments and a copy for each resident checkpoint, all of 4 bytes, and the activations of so many positions. params and trainable are those of engine.Info.
func Bytes(c nn.Config, params, trainable int64, positions, resident int) int64 {
	return 4*(params+int64(3+resident)*trainable) + c.ActivationBytes(positions)
}
