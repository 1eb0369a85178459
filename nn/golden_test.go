package nn

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// golden is one network of testdata/golden.json, which golden.py made with PyTorch.
type golden struct {
	Config struct {
		Layers, Hidden, Heads, KVHeads, HeadDim, FFN, Vocab, Context, Patch, Original, Rank int
		Theta, Eps, Factor, Low, High, Alpha                                                float64
		Bias, QKNorm, Tied                                                                  bool
		Rope                                                                                Scaling
	}
	Order []string // parameters, in the order in which starting weights are numbered
	Batch []struct {
		Tokens, Targets           []int32
		Patches, Weights, Entropy []float32
	}
	Said []struct { // by the first forward pass, where there is a target
		LogProbs, Entropy []float64
	}
	Losses, Norms []float64             // of three steps of AdamW at 0.001 with decay 0.1, gradients clipped to 20
	Gradients     map[string][3]float64 // of the first step, not clipped: norm, first value, last value
}

func (g golden) net(t *testing.T) *Net {
	c := g.Config
	n, err := New(Config{
		Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, FFN: c.FFN, Vocab: c.Vocab, Context: c.Context,
		NormEps: c.Eps, QKNorm: c.QKNorm, QKVBias: c.Bias, Tied: c.Tied, Patch: c.Patch,
		Rope: Rope{Theta: c.Theta, Scaling: c.Rope, Factor: c.Factor, OriginalContext: c.Original, LowFreqFactor: c.Low, HighFreqFactor: c.High},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Rank > 0 {
		if err := n.AddLoRA(LoRA{Rank: c.Rank, Alpha: c.Alpha, Targets: []string{"q_proj", "down_proj"}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.Order) != len(n.Params()) {
		t.Fatalf("%d parameters, PyTorch has %d", len(n.Params()), len(g.Order))
	}
	for number, name := range g.Order {
		p := n.Param(name)
		if p == nil {
			t.Fatalf("no parameter %s", name)
		}
		for i := range p.Data {
			x := float64(i+1) * ((math.Sqrt(5)-1)/2 + float64(number)/16)
			x -= math.Floor(x) + 0.5
			p.Data[i] = float32(x * 0.8)
			if p.init == ones {
				p.Data[i] = float32(x*0.2 + 1)
			}
		}
	}
	return n
}

// Networks of every supported kind agree with PyTorch on log-probabilities, entropies, gradients, and three steps of training.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]golden
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 8 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, g := range cases {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T) { g.check(t) })
		})
	}
}

func (g golden) check(t *testing.T) {
	n := g.net(t)
	n.Train(All)
	var batch []Sequence
	var w Weights
	for _, s := range g.Batch {
		batch = append(batch, Sequence{Tokens: s.Tokens, Targets: s.Targets, Patches: s.Patches})
		w.LogProbs, w.Entropy = append(w.LogProbs, s.Weights), append(w.Entropy, s.Entropy)
	}
	a := AdamW{Rate: 1e-3, Decay: 0.1, Clip: 20}
	for step := range g.Losses {
		n.ZeroGrad()
		o := forward(t, n, batch)
		loss := 0.0
		for i, s := range g.Batch {
			for j := range s.Tokens {
				loss -= float64(s.Weights[j])*float64(o.LogProbs[i][j]) + float64(s.Entropy[j])*float64(o.Entropy[i][j])
			}
		}
		if math.Abs(loss-g.Losses[step]) > 2e-4*math.Abs(g.Losses[step]) {
			t.Errorf("step %d: loss %.6f, want %.6f", step, loss, g.Losses[step])
		}
		backward(t, n, w)
		if step == 0 {
			g.checkFirst(t, n, o)
		}
		norm, err := a.Step(n)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(norm-g.Norms[step]) > 1e-3*g.Norms[step] {
			t.Errorf("step %d: norm of the gradient %.6f, want %.6f", step, norm, g.Norms[step])
		}
	}
}

func (g golden) checkFirst(t *testing.T, n *Net, o *Output) {
	for i, s := range g.Batch {
		var logp, entropy []float32
		for j, target := range s.Targets {
			if target != NoTarget {
				logp, entropy = append(logp, o.LogProbs[i][j]), append(entropy, o.Entropy[i][j])
			}
		}
		for j, want := range g.Said[i].LogProbs {
			if math.Abs(float64(logp[j])-want) > 5e-5*(1+math.Abs(want)) {
				t.Errorf("sequence %d, target %d: log-probability %.6f, want %.6f", i, j, logp[j], want)
			}
		}
		for j, want := range g.Said[i].Entropy {
			if math.Abs(float64(entropy[j])-want) > 5e-5*(1+want) {
				t.Errorf("sequence %d, target %d: entropy %.6f, want %.6f", i, j, entropy[j], want)
			}
		}
	}
	for name, want := range g.Gradients {
		grad := n.Param(name).Grad
		var sum float64
		for _, v := range grad {
			sum += float64(v) * float64(v)
		}
		got := [3]float64{math.Sqrt(sum), float64(grad[0]), float64(grad[len(grad)-1])}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 5e-4*slices.Max(want[:1]) {
				t.Errorf("%s: gradient's norm, first and last value are %.6g, want %.6g", name, got, want)
				break
			}
		}
	}
}
