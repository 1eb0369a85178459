package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// each runs f once for each kernel set that the processor has.
func each(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := active
	t.Cleanup(func() { active = before })
	for _, s := range supported() {
		active = s
		t.Run("simd="+s.name, f)
	}
}

func random(r *rand.Rand, n int) []float32 {
	x := alloc(n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// near reports whether two sums of terms of the given size agree within fp32 rounding.
func near(got, want, size float64) bool { return math.Abs(got-want) <= 2e-6*size+1e-6 }

// Shapes are odd and strides longer than rows: what lies between rows must not be read as values nor written.
func TestGemm(t *testing.T) {
	each(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			dim := func(name string) int { return rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 300)).Draw(t, name) }
			m, n, k := dim("m"), dim("n"), dim("k")
			ta, tb, acc := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB"), rapid.Bool().Draw(t, "acc")
			pad := rapid.IntRange(0, 9).Draw(t, "pad")
			lda, ldb, ldc := k+pad, n+pad, n+pad
			if ta {
				lda = m + pad
			}
			if tb {
				ldb = k + pad
			}
			r := source(rapid.Uint64().Draw(t, "seed"))
			a, b := random(r, lastOf(m, k, lda, ta)+1), random(r, lastOf(k, n, ldb, tb)+1)
			c := random(r, (m-1)*ldc+n)
			old := append([]float32(nil), c...)
			Gemm(rapid.IntRange(1, 3).Draw(t, "workers"), ta, tb, m, n, k, a, lda, b, ldb, c, ldc, acc)
			for i := range c {
				row, col := i/ldc, i%ldc
				if col >= n {
					if c[i] != old[i] {
						t.Fatalf("wrote to the padding of row %d", row)
					}
					continue
				}
				var want, size float64
				if acc {
					want = float64(old[i])
				}
				for p := range k {
					x, y := a[offset(row, lda, ta)+offset(p, lda, !ta)], b[offset(p, ldb, tb)+offset(col, ldb, !tb)]
					want += float64(x) * float64(y)
					size += math.Abs(float64(x) * float64(y))
				}
				if !near(float64(c[i]), want, size) {
					t.Fatalf("element %d,%d is %v, want %v", row, col, c[i], want)
				}
			}
		})
	})
}

// The bits do not depend on the number of workers.
func TestGemmWorkers(t *testing.T) {
	each(t, func(t *testing.T) {
		const m, n, k = 130, 290, 515
		r := source(1)
		a, b := random(r, m*k), random(r, k*n)
		want := alloc(m * n)
		Gemm(1, false, false, m, n, k, a, k, b, n, want, n, false)
		for _, workers := range []int{2, 3, 7} {
			got := alloc(m * n)
			Gemm(workers, false, false, m, n, k, a, k, b, n, got, n, false)
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%d workers: element %d is %v, want %v", workers, i, got[i], want[i])
				}
			}
		}
	})
}

func TestGemmEmpty(t *testing.T) {
	c := []float32{1, 2, 3, 4}
	Gemm(1, false, false, 2, 2, 0, nil, 0, nil, 2, c, 2, true)
	if fmt.Sprint(c) != "[1 2 3 4]" {
		t.Errorf("adding an empty product gave %v", c)
	}
	Gemm(1, false, false, 2, 2, 0, nil, 0, nil, 2, c, 2, false)
	if fmt.Sprint(c) != "[0 0 0 0]" {
		t.Errorf("an empty product gave %v", c)
	}
	Gemm(1, false, false, 0, 2, 5, nil, 5, nil, 2, nil, 2, false)
}

// The small products of attention: A read by rows or by columns, B in place or in panels, odd sizes, strides longer than rows.
func TestDirect(t *testing.T) {
	each(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			dim := func(name string) int { return rapid.IntRange(1, 70).Draw(t, name) }
			m, n, k := dim("m"), dim("n"), dim("k")
			byColumns, panels, acc := rapid.Bool().Draw(t, "byColumns"), rapid.Bool().Draw(t, "panels"), rapid.Bool().Draw(t, "acc")
			r := source(rapid.Uint64().Draw(t, "seed"))
			aRow, aCol, ldb, ldc := k+3, 1, n+2, n+5
			if byColumns {
				aRow, aCol = 1, m+4
			}
			a, b, c := random(r, (m-1)*aRow+(k-1)*aCol+1), random(r, (k-1)*ldb+n), random(r, (m-1)*ldc+n)
			old := append([]float32(nil), c...)
			factor, step := b, ldb
			if panels {
				factor, step = alloc(roundUp(n, active.nr)*k), 0
				active.pack(factor, b, ldb, false, active.nr, n, k)
			}
			w := newScratch()
			active.direct(&w, m, n, k, a, aRow, aCol, factor, step, panels, c, ldc, acc)
			for i := range c {
				row, col := i/ldc, i%ldc
				if col >= n {
					if c[i] != old[i] {
						t.Fatalf("wrote to the padding of row %d", row)
					}
					continue
				}
				var want, size float64
				if acc {
					want = float64(old[i])
				}
				for p := range k {
					x := float64(a[row*aRow+p*aCol]) * float64(b[p*ldb+col])
					want, size = want+x, size+math.Abs(x)
				}
				if !near(float64(c[i]), want, size) {
					t.Fatalf("element %d,%d is %v, want %v", row, col, c[i], want)
				}
			}
		})
	})
}
