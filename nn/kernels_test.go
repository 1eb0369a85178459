package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A kernelCase runs one kernel of a set on slices that it draws, and returns everything that the kernel wrote.
type kernelCase struct {
	name string
	run  func(ks *kernels, n int, draw func(n int) []float32) [][]float32
}

var kernelCases = []kernelCase{
	{"add", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x, y := draw(n), draw(n)
		ks.add(x, y)
		return [][]float32{x, y}
	}},
	{"scale", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x := draw(n)
		ks.scale(x, -1.5)
		return [][]float32{x}
	}},
	{"axpy", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x, y := draw(n), draw(n)
		ks.axpy(x, y, 0.7)
		return [][]float32{x, y}
	}},
	{"dot", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		return [][]float32{{ks.dot(draw(n), draw(n))}}
	}},
	{"norm", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		y, x := draw(n), draw(n)
		r := ks.norm(y, x, draw(n), 1e-5)
		return [][]float32{y, x, {r}}
	}},
	{"normBack", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		dx, dw, dy := draw(n), draw(n), draw(n)
		ks.normBack(dx, dw, dy, draw(n), draw(n), 0.8)
		return [][]float32{dx, dw, dy}
	}},
	{"softmax", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x := draw(n)
		lse := ks.softmax(x, 3)
		return [][]float32{x, {lse}}
	}},
	{"softmaxBack", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		s, dp := draw(n), draw(n)
		ks.softmaxBack(s, dp, 0.5, 2, 0.3)
		return [][]float32{s, dp}
	}},
	{"swiglu", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		y, gate := draw(n), draw(n)
		ks.scale(gate, 20)
		ks.swiglu(y, gate, draw(n))
		return [][]float32{y, gate}
	}},
	{"swigluBack", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		dy, gate, up := draw(n), draw(n), draw(n)
		ks.swigluBack(dy, gate, up)
		return [][]float32{dy, gate, up}
	}},
	{"rope", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x := draw(6*n + 1)
		ks.rope(x[:6*n], draw(n), draw(n), -1)
		return [][]float32{x}
	}},
	{"lse", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x := draw(n)
		ks.scale(x, 5)
		lse, entropy := ks.lse(x)
		return [][]float32{x, {lse, entropy}}
	}},
	{"lseBack", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		x := draw(n)
		ks.lseBack(x, 2.5, 0.3, -0.2)
		return [][]float32{x}
	}},
	{"adamw", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		w, g, m, v := draw(n), draw(n), draw(n), draw(n)
		for i := range v {
			v[i] *= v[i]
		}
		ks.adamw(w, g, m, v, &adamScalars{0.9, 0.1, 0.99, 0.01, 0.5, 0.999, -0.01, 1.1, 1e-8})
		return [][]float32{w, g, m, v}
	}},
	{"combine", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		y := draw(n)
		ks.combine(y, draw(1+n%13), draw(14*n+14*3), n+3)
		return [][]float32{y}
	}},
	{"skinny", func(ks *kernels, n int, draw func(int) []float32) [][]float32 {
		m, k := 1+n%9, 1+n%37+n%3*1000
		a, c := draw(m*(k+1)), draw(m*(n+2)+5)
		plain.scale(a, 1/sqrt32(float32(k))) // sums of the size of their errors would tell nothing
		ks.skinny(product{transB: true, m: m, n: n, k: k, a: a, lda: k + 1, b: draw(n * (k + 3)), ldb: k + 3, c: c, ldc: n + 2, acc: n%2 == 0}, n%50)
		return [][]float32{c}
	}},
}

// Every set computes what plain Go computes, within rounding, for lengths around and between the widths of vectors; and it writes nothing beside its slices.
func TestKernels(t *testing.T) {
	for _, ks := range supported() {
		if ks == &plain {
			continue
		}
		for _, c := range kernelCases {
			t.Run(ks.name+"/"+c.name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					n := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 700)).Draw(t, "n")
					offset, seed := rapid.IntRange(0, 5).Draw(t, "offset"), rapid.Uint64().Draw(t, "seed")
					got, spilled := run(ks, c, n, offset, seed)
					want, _ := run(&plain, c, n, offset, seed)
					if spilled {
						t.Fatal("wrote beside its slices")
					}
					for i := range want {
						for j := range want[i] {
							if d := math.Abs(float64(got[i][j] - want[i][j])); !(d <= 2e-5*(1+math.Abs(float64(want[i][j])))) {
								t.Fatalf("slice %d, value %d: got %v, want %v", i, j, got[i][j], want[i][j])
							}
						}
					}
				})
			})
		}
	}
}

// run draws slices that begin anywhere, between guards.
func run(ks *kernels, c kernelCase, n, offset int, seed uint64) (out [][]float32, spilled bool) {
	const guard, mark = 40, 12345
	r := source(seed)
	var all [][]float32
	out = c.run(ks, n, func(n int) []float32 {
		x := alloc(offset + guard + n + guard)
		for i := range x {
			x[i] = mark
		}
		all = append(all, x)
		in := x[offset+guard : offset+guard+n]
		for i := range in {
			in[i] = float32(r.NormFloat64())
		}
		return in
	})
	for _, x := range all {
		for i, v := range x {
			if (i < offset+guard || i >= len(x)-guard) && v != mark {
				spilled = true
			}
		}
	}
	return out, spilled
}

// What is not a number must not be lost on the way to a sum, wherever it stands.
func TestKernelsKeepNaN(t *testing.T) {
	for _, ks := range supported() {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			for _, at := range []int{0, 5, 16, 36} {
				x := make([]float32, 37)
				x[at] = bad
				if lse, _ := ks.lse(slices.Clone(x)); finite(lse) {
					t.Errorf("%s: lse of %v at %d is %v", ks.name, bad, at, lse)
				}
				if lse := ks.softmax(slices.Clone(x), 1); finite(lse) {
					t.Errorf("%s: softmax of %v at %d gives %v", ks.name, bad, at, lse)
				}
				if d := ks.dot(x, x); finite(d) {
					t.Errorf("%s: dot of %v at %d is %v", ks.name, bad, at, d)
				}
			}
		}
	}
}

// exp is only as good as its worst argument.
func TestExp(t *testing.T) {
	for _, ks := range supported() {
		for x := -80.0; x < 0; x += 0.0137 {
			z := []float32{float32(x)}
			ks.lseBack(z, 0, 1, 0)
			want := math.Exp(float64(float32(x)))
			if got := float64(z[0]); math.Abs(got-want) > 3e-7*want {
				t.Fatalf("%s: exp(%v) is %v, want %v", ks.name, x, got, want)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	sets := []*kernels{{name: "avx512"}, {name: "avx2"}, &plain}
	for name, want := range map[string]string{"": "avx512", "avx2": "avx2", "off": "off", "sse": "avx512"} {
		if got := choose(name, sets).name; got != want {
			t.Errorf("PROVISO_SIMD=%q chooses %s, want %s", name, got, want)
		}
	}
	if SIMD() != active.name {
		t.Errorf("SIMD is %s, the set in use is %s", SIMD(), active.name)
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, n := range []int{256, 512, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := source(1)
			x, y, z := random(r, n*n), random(r, n*n), alloc(n*n)
			for b.Loop() {
				Gemm(1, false, false, n, n, n, x, n, y, n, z, n, false)
			}
			b.ReportMetric(2*float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}

// BenchmarkStep is forward, backward and AdamW of networks of 5.5 M and 134 M parameters; bench/torch compares them with PyTorch.
func BenchmarkStep(b *testing.B) {
	for _, s := range []struct {
		name          string
		config        Config
		batch, length int
	}{
		{"5M", Config{Layers: 4, Hidden: 256, Heads: 4, FFN: 768, Vocab: 4096, Context: 256}, 8, 256},
		{"134M", Config{Layers: 12, Hidden: 768, Heads: 12, FFN: 2048, Vocab: 32000, Context: 256}, 2, 256},
	} {
		b.Run(s.name, func(b *testing.B) { benchmarkStep(b, s.config, s.batch, s.length) })
	}
}

func benchmarkStep(b *testing.B, c Config, sequences, length int) {
	n, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	n.Init(1)
	n.Train(All)
	var batch []Sequence
	var w Weights
	for i := range sequences {
		s := Sequence{Tokens: make([]int32, length)}
		for t := range s.Tokens {
			s.Tokens[t] = int32((i*length + t) * 2654435 % c.Vocab)
		}
		batch, w.LogProbs = append(batch, s), append(w.LogProbs, make([]float32, length))
		for t := range length - 1 {
			w.LogProbs[i][t] = 1 / float32(sequences*length)
		}
	}
	a := AdamW{Rate: 1e-3}
	for b.Loop() {
		n.ZeroGrad()
		if _, err := n.Forward(batch); err != nil {
			b.Fatal(err)
		}
		if err := n.Backward(w); err != nil {
			b.Fatal(err)
		}
		if _, err := a.Step(n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sequences*length*b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDecode is one step of a network of 134 M parameters after a prompt of 32 tokens, for one stream and for sixteen.
func BenchmarkDecode(b *testing.B) {
	n, err := New(Config{Layers: 12, Hidden: 768, Heads: 12, FFN: 2048, Vocab: 32000, Context: 256})
	if err != nil {
		b.Fatal(err)
	}
	n.Init(1)
	for _, streams := range []int{1, 16} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			d := n.NewDecoder(streams)
			in := make([]Input, streams)
			for i := range in {
				in[i] = Input{Slot: i, Tokens: make([]int32, 32)}
			}
			for b.Loop() {
				if d.Len(0) > 200 {
					for i := range in {
						d.Truncate(i, 32)
					}
				}
				if _, err := d.Step(in); err != nil {
					b.Fatal(err)
				}
				for i := range in {
					in[i].Tokens = []int32{1}
				}
			}
			b.ReportMetric(float64(streams)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
