package nn

import (
	"runtime"
	"testing"
)

// Training takes 16 bytes for each parameter, beside activations and what products pack: at most 18.
func TestMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	c := Config{Layers: 4, Hidden: 192, Heads: 3, FFN: 512, Vocab: 4000, Context: 64}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	n.Init(1)
	n.Train(All)
	batch := []Sequence{{Tokens: make([]int32, 64)}, {Tokens: make([]int32, 40)}}
	a := AdamW{Rate: 1e-3}
	for range 2 {
		o := forward(t, n, batch)
		backward(t, n, Weights{LogProbs: o.LogProbs})
		if _, err := a.Step(n); err != nil {
			t.Fatal(err)
		}
	}
	took := heap() - before
	activations := c.ActivationBytes(104)
	if perParameter := float64(took-activations) / float64(c.Params()); perParameter > 18 || perParameter < 15 {
		t.Errorf("%.2f bytes for each of %d parameters beside %d of activations; want about 16, at most 18", perParameter, c.Params(), activations)
	}
	runtime.KeepAlive(n)
	runtime.KeepAlive(a)
}

// A step allocates next to nothing once it has run, so that the collector has no work in the loop.
func TestStepAllocates(t *testing.T) {
	c := tiny()
	n := made(t, c, LoRA{})
	n.Train(All)
	n.Workers = 1
	b := batch(c, 40, 30)
	a := AdamW{Rate: 1e-3}
	step := func() {
		o := forward(t, n, b)
		backward(t, n, Weights{LogProbs: o.LogProbs})
		if _, err := a.Step(n); err != nil {
			t.Fatal(err)
		}
	}
	step()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		step()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 10; each > 64<<10 {
		t.Errorf("a step allocates %d bytes", each)
	}
}
