package nn

import (
	"fmt"
	"os"
	"sync"
)

// kernels is one set of inner loops. The lengths of the slices are the caller's promise; assembly does not check them.
type kernels struct {
	name   string
	mr, nr int // the tile of C that tile computes

	// tile sets C[mr×nr] = A[mr×k]·B[k×nr], or adds to it where acc is 1. Strides are in values: A[i,p] is a[i*aRow+p*aCol], B[p,j] is b[p*bRow+j], C[i,j] is c[i*cRow+j].
	tile func(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int, acc int)

	// packRows writes n rows of width values, stride values apart, one after the other to dst; width is mr or nr. packCols does the same for nr columns:
	// dst[p*nr+i] = src[i*stride+p], p < n. Both return how many they did; plain Go does the rest, and all of it where they are nil.
	packRows func(dst, src []float32, stride, width, n int) int
	packCols func(dst, src []float32, stride, n int) int

	// skinny computes a product with transB and without transA for few rows of A, and a B that fits the second-level cache. The order of the sum of an element does not depend on m and n.
	// ahead is how many rows after its own the part of B begins that will be asked for next; it is fetched meanwhile. 0: nothing is.
	skinny func(p product, ahead int)

	// combine sets y = Σ s[t]·v[t*vRow:], a weighted sum of rows as long as y.
	combine func(y, s, v []float32, vRow int)

	add         func(dst, src []float32)                         // dst += src
	scale       func(dst []float32, by float32)                  // dst *= by
	dot         func(x, y []float32) float32                     // Σ x·y
	axpy        func(dst, x []float32, by float32)               // dst += by·x
	norm        func(y, x, w []float32, eps float32) float32     // y = x·r·w with r = 1/√(mean x² + eps), which it returns
	normBack    func(dx, dw, dy, x, w []float32, r float32)      // adds the gradients of norm to dx and dw
	softmax     func(x []float32, scale float32) float32         // x = softmax(scale·x); returns ln Σ exp(scale·x)
	softmaxBack func(s, dp []float32, scale, lse, delta float32) // s = exp(scale·s-lse), dp = scale·s·(dp-delta)
	swiglu      func(y, gate, up []float32)                      // y = gate·σ(gate)·up
	swigluBack  func(dy, gate, up []float32)                     // gate and up become their gradients
	rope        func(x, cos, sin []float32, sign float32)        // rotates each head of 2·len(cos) values by ±the angles
	lse         func(z []float32) (lse, entropy float32)         // ln Σ exp z, and the entropy of softmax(z)
	lseBack     func(z []float32, lse, a, b float32)             // z = p·(a+b·ln p) with p = exp(z-lse)
	adamw       func(w, g, m, v []float32, s *adamScalars)       // one step
}

// adamScalars is what is the same for every weight of a step. The order is the one that the assembly reads.
type adamScalars struct {
	beta1, rest1 float32 // first moment: kept, new
	beta2, rest2 float32 // second moment
	clip         float32 // factor of the gradient
	keep         float32 // 1 - rate·decay
	step         float32 // -rate/(1-beta1^t)
	root         float32 // 1/√(1-beta2^t)
	eps          float32
}

// active is the set in use. It is chosen once, before any goroutine of the package runs; tests change it.
var active = choose(os.Getenv("PROVISO_SIMD"), supported())

// SIMD names the set of kernels in use: "avx512", "avx2" or "off" for plain Go.
func SIMD() string { return active.name }

// choose returns the set called name where the processor has it, else the best one there is; sets is in order of preference and ends with plain Go.
func choose(name string, sets []*kernels) *kernels {
	for _, s := range sets {
		if s.name == name {
			return s
		}
	}
	return sets[0]
}

// sayOnce tells people at a terminal why everything takes so long.
var sayOnce = sync.OnceFunc(func() {
	if active == &plain {
		fmt.Fprintln(os.Stderr, "nn: no AVX2 or AVX-512 kernels in use; computing in plain Go, about ten times as slow")
	}
})
