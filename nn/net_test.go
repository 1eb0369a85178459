package nn

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
)

// tiny is a network in which every feature is on and no dimension is a multiple of a vector.
func tiny() Config {
	return Config{
		Layers: 2, Hidden: 12, Heads: 4, KVHeads: 2, HeadDim: 6, FFN: 18, Vocab: 23, Context: 160,
		QKNorm: true, QKVBias: true, Patch: 5,
	}
}

// made returns a network with weights large enough that every layer bends.
func made(t testing.TB, c Config, lora LoRA) *Net {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if lora.Rank > 0 {
		if err := n.AddLoRA(lora); err != nil {
			t.Fatal(err)
		}
	}
	r := source(7)
	for _, p := range n.Params() {
		for i := range p.Data {
			p.Data[i] = float32(0.3 * r.NormFloat64())
			if p.init == ones {
				p.Data[i]++
			}
		}
	}
	return n
}

// batch is three sequences of different lengths with patches, masked targets and candidates.
func batch(c Config, lengths ...int) []Sequence {
	r := source(3)
	var out []Sequence
	for i, l := range lengths {
		s := Sequence{}
		for t := range l {
			token, target := int32(r.IntN(c.Vocab)), int32(r.IntN(c.Vocab))
			if c.Patch > 0 && t%5 == 1 {
				token = PatchInput
				s.Patches = append(s.Patches, random(r, c.Patch)...)
			}
			if t%4 == 2 {
				target = NoTarget
			}
			s.Tokens, s.Targets = append(s.Tokens, token), append(s.Targets, target)
			var cs []int32
			if t%3 == 0 {
				cs = []int32{int32(r.IntN(c.Vocab)), int32(r.IntN(c.Vocab))}
			}
			s.Candidates = append(s.Candidates, cs)
		}
		if i%2 == 1 {
			s.Candidates = nil
		}
		out = append(out, s)
	}
	return out
}

// loss is a made-up one with every kind of term, and its gradient: Σ w·logp + v·H + u·logp(candidates).
func loss(batch []Sequence, o *Output) (float64, Weights) {
	r := source(5)
	w := Weights{LogProbs: make([][]float32, len(batch)), Entropy: make([][]float32, len(batch)), Candidates: make([][][]float32, len(batch))}
	sum := 0.0
	for i, s := range batch {
		w.LogProbs[i], w.Entropy[i] = make([]float32, len(s.Tokens)), make([]float32, len(s.Tokens))
		if s.Candidates != nil {
			w.Candidates[i] = make([][]float32, len(s.Tokens))
		}
		for t := range s.Tokens {
			w.LogProbs[i][t], w.Entropy[i][t] = float32(r.NormFloat64()), float32(r.NormFloat64())
			sum -= float64(w.LogProbs[i][t])*float64(o.LogProbs[i][t]) + float64(w.Entropy[i][t])*float64(o.Entropy[i][t])
			if s.Candidates == nil {
				continue
			}
			w.Candidates[i][t] = make([]float32, len(s.Candidates[t]))
			for j := range w.Candidates[i][t] {
				w.Candidates[i][t][j] = float32(r.NormFloat64())
				sum -= float64(w.Candidates[i][t][j]) * float64(o.Candidates[i][t][j])
			}
		}
	}
	return sum, w
}

func forward(t testing.TB, n *Net, b []Sequence) *Output {
	t.Helper()
	o, err := n.Forward(b)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func backward(t testing.TB, n *Net, w Weights) {
	t.Helper()
	if err := n.Backward(w); err != nil {
		t.Fatal(err)
	}
}

// Every parameter tensor is probed in several places against a central difference of the loss.
func TestGradients(t *testing.T) {
	tied := tiny()
	tied.Tied, tied.QKNorm, tied.QKVBias, tied.Patch = true, false, false, 0
	tied.Rope = Rope{Scaling: Llama3Scaling, Factor: 4, OriginalContext: 16, LowFreqFactor: 1, HighFreqFactor: 4}
	for name, c := range map[string]struct {
		Config
		lora LoRA
		long int
	}{
		"everything": {Config: tiny(), long: 9},
		"tied":       {Config: tied, long: 9},
		"adapters":   {Config: tiny(), lora: LoRA{Rank: 3, Alpha: 5}, long: 9},
		"long":       {Config: tiny(), long: 150}, // several blocks of queries
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T) { checkGradients(t, made(t, c.Config, c.lora), batch(c.Config, 7, c.long, 1, 0)) })
		})
	}
}

func checkGradients(t *testing.T, n *Net, b []Sequence) {
	t.Helper()
	n.Train(All)
	o := forward(t, n, b)
	_, w := loss(b, o)
	backward(t, n, w)
	r := source(9)
	value := func() float64 {
		o, err := n.LogProbs(b)
		if err != nil {
			t.Fatal(err)
		}
		l, _ := loss(b, o)
		return l
	}
	for _, p := range n.Params() {
		for range 6 {
			i := r.IntN(len(p.Data))
			if p == n.embed {
				i = int(b[0].Tokens[0])*n.cfg.Hidden + i%n.cfg.Hidden
			}
			const step = 4e-3
			old := p.Data[i]
			p.Data[i] = old + step
			up := value()
			p.Data[i] = old - step
			down := value()
			p.Data[i] = old
			want := (up - down) / (2 * step)
			if got := float64(p.Grad[i]); math.Abs(got-want) > 0.02*math.Abs(want)+0.02 {
				t.Errorf("%s[%d]: gradient %.5f, difference %.5f", p.Name, i, got, want)
			}
		}
	}
}

// One step has the same bits for every number of workers.
func TestWorkers(t *testing.T) {
	each(t, func(t *testing.T) {
		c := tiny()
		b := batch(c, 40, 3, 150, 70)
		var want []float32
		for _, workers := range []int{1, 2, 5} {
			n := made(t, c, LoRA{Rank: 2, Alpha: 2})
			n.Workers = workers
			n.Train(All)
			a := &AdamW{Rate: 1e-2, Decay: 0.01, Clip: 1}
			for range 2 {
				n.ZeroGrad()
				_, w := loss(b, forward(t, n, b))
				backward(t, n, w)
				if _, err := a.Step(n); err != nil {
					t.Fatal(err)
				}
			}
			var got []float32
			for _, p := range n.Params() {
				got = append(got, p.Data...)
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%d workers: weight %d is %v, with one worker %v", workers, i, got[i], want[i])
				}
			}
		}
	})
}

// A batch says of each sequence what that sequence alone says.
func TestPacking(t *testing.T) {
	each(t, func(t *testing.T) {
		c := tiny()
		n := made(t, c, LoRA{})
		b := batch(c, 30, 1, 100)
		all := forward(t, n, b)
		for i, s := range b {
			alone := forward(t, n, []Sequence{s})
			for j := range s.Tokens {
				if all.LogProbs[i][j] != alone.LogProbs[0][j] {
					t.Fatalf("sequence %d, position %d: %v in the batch, %v alone", i, j, all.LogProbs[i][j], alone.LogProbs[0][j])
				}
			}
		}
	})
}

// Decoding token by token, by prompt and by chunks, and beside others, agrees with Forward.
func TestDecoder(t *testing.T) {
	each(t, func(t *testing.T) {
		c := tiny()
		n := made(t, c, LoRA{Rank: 2, Alpha: 2})
		b := batch(c, 90)
		b[0].Candidates = nil
		tokens, targets := b[0].Tokens, b[0].Targets
		want := forward(t, n, b).LogProbs[0]
		d := n.NewDecoder(3)
		at := func(slot, from, to int, others ...Input) {
			t.Helper()
			in := append([]Input{{Slot: slot, Tokens: tokens[from:to], Patches: patchesOf(b[0], c, from, to)}}, others...)
			z, err := d.Step(in)
			if err != nil {
				t.Fatal(err)
			}
			lse, _ := plain.lse(z[0])
			if target := targets[to-1]; target != NoTarget {
				if got := z[0][target] - lse; math.Abs(float64(got-want[to-1])) > 2e-4 {
					t.Errorf("slot %d, position %d: log-probability %v, want %v", slot, to-1, got, want[to-1])
				}
			}
		}
		for i := range 20 {
			at(0, i, i+1)
		}
		at(0, 20, 90)
		at(1, 0, 30, Input{Slot: 2, Tokens: []int32{4}})
		for i := 30; i < 60; i++ {
			at(1, i, i+1, Input{Slot: 2, Tokens: []int32{5}})
		}
		d.Fork(2, 1)
		at(2, 60, 90)
		d.Truncate(2, 10)
		at(2, 10, 12)
		if d.Len(0) != 90 || d.Len(1) != 60 || d.Len(2) != 12 {
			t.Errorf("lengths are %d, %d, %d", d.Len(0), d.Len(1), d.Len(2))
		}
	})
}

func patchesOf(s Sequence, c Config, from, to int) []float32 {
	at := 0
	var out []float32
	for i, t := range s.Tokens[:to] {
		if t != PatchInput {
			continue
		}
		if i >= from {
			out = append(out, s.Patches[at:at+c.Patch]...)
		}
		at += c.Patch
	}
	return out
}

// What a slot says does not depend on its neighbours, to the bit.
func TestDecoderNeighbours(t *testing.T) {
	each(t, func(t *testing.T) {
		n := made(t, tiny(), LoRA{})
		alone, crowd := n.NewDecoder(1), n.NewDecoder(9)
		for step := range 12 {
			tokens := []int32{int32(step % 23)}
			if step%4 == 0 {
				tokens = []int32{1, 2, 3}
			}
			want, err := alone.Step([]Input{{Tokens: tokens}})
			if err != nil {
				t.Fatal(err)
			}
			in := []Input{}
			for s := range 9 {
				in = append(in, Input{Slot: s, Tokens: []int32{int32((s * step) % 23)}})
			}
			in[step%9].Slot, in[4].Slot = in[4].Slot, in[step%9].Slot
			for i := range in {
				if in[i].Slot == 4 {
					in[i].Tokens = tokens
				}
			}
			got, err := crowd.Step(in)
			if err != nil {
				t.Fatal(err)
			}
			for i := range in {
				if in[i].Slot != 4 {
					continue
				}
				for j := range want[0] {
					if got[i][j] != want[0][j] {
						t.Fatalf("step %d: logit %d is %v in the crowd, %v alone", step, j, got[i][j], want[0][j])
					}
				}
			}
		}
	})
}

// Decoders of one network run beside each other, and beside LogProbs; the race detector watches.
func TestBesideEachOther(t *testing.T) {
	c := tiny()
	n := made(t, c, LoRA{Rank: 2, Alpha: 1})
	n.Workers = 2
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			d := n.NewDecoder(2)
			for i := range 40 {
				if _, err := d.Step([]Input{{Slot: 0, Tokens: []int32{int32(i % 23)}}, {Slot: 1, Tokens: []int32{1, 2, 3}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		if _, err := n.LogProbs(batch(c, 150, 20)); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

// Merged adapters compute what adapters beside the weights did.
func TestMergeLoRA(t *testing.T) {
	c := tiny()
	n := made(t, c, LoRA{Rank: 3, Alpha: 6, Targets: []string{"q_proj", "v_proj", "down_proj"}})
	b := batch(c, 20)
	before := forward(t, n, b)
	n.MergeLoRA()
	after := forward(t, n, b)
	for i, v := range before.LogProbs[0] {
		if math.Abs(float64(v-after.LogProbs[0][i])) > 1e-4 {
			t.Errorf("position %d: %v with adapters, %v merged", i, v, after.LogProbs[0][i])
		}
	}
	for _, p := range n.Params() {
		if strings.Contains(p.Name, "lora") {
			t.Errorf("%s is still there", p.Name)
		}
	}
}

// What is not a number is found, and said where.
func TestNotFinite(t *testing.T) {
	n := made(t, tiny(), LoRA{})
	n.Train(All)
	b := batch(tiny(), 12)
	b[0].Patches[3] = float32(math.NaN())
	if _, err := n.Forward(b); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "patch value 3") {
		t.Errorf("a NaN in a patch: %v", err)
	}
	b[0].Patches[3] = 0
	o := forward(t, n, b)
	_, w := loss(b, o)
	w.LogProbs[0][0] = float32(math.Inf(1))
	if err := n.Backward(w); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "position 0") {
		t.Errorf("an infinite weight: %v", err)
	}
	n.Param("model.layers.0.mlp.up_proj.weight").Data[0] = float32(math.NaN())
	if _, err := n.Forward(b); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "input of block 1") {
		t.Errorf("a NaN in block 0: %v", err)
	}
	if _, err := n.NewDecoder(1).Step([]Input{{Tokens: []int32{1}}}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("a NaN when decoding: %v", err)
	}
	n.Param("model.norm.weight").Grad[1] = float32(math.NaN())
	a := &AdamW{Rate: 1}
	before := n.embed.Data[0]
	if _, err := a.Step(n); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "model.norm.weight") || n.embed.Data[0] != before || a.Steps != 0 {
		t.Errorf("a NaN in a gradient: %v", err)
	}
}

// Configurations come from files: every one that cannot be is refused before memory is asked for.
func TestConfigCheck(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"Layers is 0":                  func(c *Config) { c.Layers = 0 },
		"Hidden is -1":                 func(c *Config) { c.Hidden = -1 },
		"Vocab is 16777217":            func(c *Config) { c.Vocab = 1<<24 + 1 },
		"cannot share":                 func(c *Config) { c.KVHeads = 3 },
		"HeadDim is 5":                 func(c *Config) { c.HeadDim = 5 },
		"too wide":                     func(c *Config) { c.Heads, c.KVHeads = 1<<20, 1; c.HeadDim = 1 << 10 },
		"Patch is -1":                  func(c *Config) { c.Patch = -1 },
		"NormEps is NaN":               func(c *Config) { c.NormEps = math.NaN() },
		"more than any machine":        func(c *Config) { c.Layers, c.Hidden, c.FFN = 1<<24, 1<<24, 1<<24 },
		"theta is 1":                   func(c *Config) { c.Rope.Theta = 1 },
		`scaling "dynamic" is unknown`: func(c *Config) { c.Rope.Scaling = "dynamic" },
		"factor is 0.5":                func(c *Config) { c.Rope = Rope{Scaling: LinearScaling, Factor: 0.5} },
		"needs the original context":   func(c *Config) { c.Rope = Rope{Scaling: YarnScaling, Factor: 2} },
		"factors are 4 and 1": func(c *Config) {
			c.Rope = Rope{Scaling: Llama3Scaling, Factor: 2, OriginalContext: 8, LowFreqFactor: 4, HighFreqFactor: 1}
		},
	} {
		c := tiny()
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	n := made(t, tiny(), LoRA{})
	count := int64(0)
	for _, p := range n.Params() {
		count += int64(len(p.Data))
	}
	if count != n.Config().Params() {
		t.Errorf("%d parameters, Params says %d", count, n.Config().Params())
	}
}

// A batch of nothing, and more workers for the way back than for the way there.
func TestCorners(t *testing.T) {
	n := made(t, tiny(), LoRA{})
	n.Train(All)
	for _, b := range [][]Sequence{nil, {{}}, {{Tokens: []int32{3}}}, {{Tokens: []int32{3, 4}, Targets: []int32{NoTarget, NoTarget}}}, batch(tiny(), 66)} {
		n.Workers = 1
		o := forward(t, n, b)
		n.Workers = 4
		backward(t, n, Weights{LogProbs: o.LogProbs})
		if norm, err := n.GradNorm(); err != nil || (len(o.LogProbs) == 0) != (norm == 0) && len(b) == 0 {
			t.Errorf("gradient's norm %v, %v", norm, err)
		}
	}
}

func TestBadArguments(t *testing.T) {
	c := tiny()
	n := made(t, c, LoRA{})
	for want, s := range map[string]Sequence{
		"longer than the context of 160": {Tokens: make([]int32, 161)},
		"token 23 at position 1":         {Tokens: []int32{0, 23}},
		"token -2 at position 0":         {Tokens: []int32{-2}},
		"1 targets for 2 tokens":         {Tokens: []int32{0, 1}, Targets: []int32{1}},
		"target 99 at position 0":        {Tokens: []int32{0}, Targets: []int32{99}},
		"candidate 50 at position 0":     {Tokens: []int32{0}, Candidates: [][]int32{{50}}},
		"candidates at 2 positions of 1": {Tokens: []int32{0}, Candidates: [][]int32{nil, nil}},
		"0 values for 1 patches of 5":    {Tokens: []int32{PatchInput}},
		"5 values for 0 patches of 5":    {Tokens: []int32{1}, Patches: make([]float32, 5)},
	} {
		if _, err := n.Forward([]Sequence{{}, s}); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "nn: sequence 1: ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := n.Backward(Weights{}); err == nil || !strings.Contains(err.Error(), "call Forward first") {
		t.Errorf("Backward without Forward: %v", err)
	}
	b := batch(c, 5)
	forward(t, n, b)
	if err := n.Backward(Weights{LogProbs: [][]float32{make([]float32, 5)}}); err == nil || !strings.Contains(err.Error(), "call Train first") {
		t.Errorf("Backward without Train: %v", err)
	}
	n.Train(All)
	for want, w := range map[string]Weights{
		"weights for 0 sequences":             {},
		"4 log-probability weights for the 5": {LogProbs: [][]float32{make([]float32, 4)}},
		"candidate weights of sequence 0":     {LogProbs: [][]float32{make([]float32, 5)}, Candidates: [][][]float32{make([][]float32, 5)}},
	} {
		if err := n.Backward(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	d := n.NewDecoder(2)
	for want, in := range map[string][]Input{
		"slot 2 of 2":     {{Slot: 2, Tokens: []int32{1}}},
		"has one already": {{Tokens: []int32{1}}, {Tokens: []int32{1}}},
		"has no tokens":   {{}},
		"the context":     {{Tokens: make([]int32, 161)}},
	} {
		if _, err := d.Step(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
