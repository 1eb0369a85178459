package nn

import (
	"runtime"
	"sync"
)

// Blocking of large products, in values: a panel of B, blockK×nr, and a block of A, blockM×blockK, stay in the second-level cache, from where a tile reads them in order; blockK×blockN of B
// stays in the third. blockM is a multiple of every tile's mr, blockN of every nr.
const (
	blockK = 512
	blockM = 120
	blockN = 2016
)

// scratch is what one worker needs for products: packed panels and a tile for the edges.
type scratch struct{ a, b, tile []float32 }

// newScratch has room for the largest tile; panels grow as they are needed.
func newScratch() scratch { return scratch{tile: alloc(16 * 32)} }

var scratches = sync.Pool{New: func() any { s := newScratch(); return &s }}

// Gemm computes C = A·B, or C += A·B where accumulate is set, on at most workers goroutines (0: one for each processor Go may use).
// C is m×n with rows ldc values apart. A is m×k with rows lda apart, or with transA its transpose is stored: k×m. B is k×n, or with transB stored as n×k. No slice may overlap C.
// It panics, as an index does, where a slice is too short for its matrix. Each element of C is one sum in one order, so the bits do not depend on workers.
// Blocking follows Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).
func Gemm(workers int, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	_ = c[(m-1)*ldc+n-1]
	if k = max(k, 0); k > 0 {
		_, _ = a[lastOf(m, k, lda, transA)], b[lastOf(k, n, ldb, transB)]
	}
	gemm(workers, product{transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate})
}

// lastOf is the index of the last value of a rows×cols matrix, or of its stored transpose.
func lastOf(rows, cols, ld int, trans bool) int {
	if trans {
		rows, cols = cols, rows
	}
	return (rows-1)*ld + cols - 1
}

// product is the arguments of Gemm.
type product struct {
	transA, transB bool
	m, n, k        int
	a              []float32
	lda            int
	b              []float32
	ldb            int
	c              []float32
	ldc            int
	acc            bool
}

// gemm divides the larger side of C among the workers.
func gemm(workers int, p product) {
	if p.k == 0 && !p.acc {
		for i := range p.m {
			clear(p.c[i*p.ldc : i*p.ldc+p.n])
		}
	}
	if p.m == 0 || p.n == 0 || p.k == 0 {
		return
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	const worth = 1 << 16 // multiplications below which waking a worker costs more than it saves
	if workers == 1 || p.m*p.n*p.k < worth {
		active.gemm(p)
		return
	}
	side, grain := p.m, active.mr
	if p.n > p.m {
		side, grain = p.n, active.nr
	}
	each := (side + workers - 1) / workers
	each = (each + grain - 1) / grain * grain
	parallel(workers, (side+each-1)/each, func(_, i int) {
		q, lo, hi := p, i*each, min((i+1)*each, side)
		if p.n > p.m {
			q.n, q.c = hi-lo, p.c[lo:]
			q.b = p.b[offset(lo, p.ldb, !p.transB):]
		} else {
			q.m, q.c = hi-lo, p.c[lo*p.ldc:]
			q.a = p.a[offset(lo, p.lda, p.transA):]
		}
		active.gemm(q)
	})
}

// offset is where row i of a matrix begins; along is set where its rows are stored as columns.
func offset(i, ld int, along bool) int {
	if along {
		return i
	}
	return i * ld
}

// gemm computes a product on one worker.
func (ks *kernels) gemm(p product) {
	w := scratches.Get().(*scratch)
	defer scratches.Put(w)
	mStep, nStep, kStep := evenly(p.m, blockM, ks.mr), evenly(p.n, blockN, ks.nr), evenly(p.k, blockK, 16)
	w.a, w.b = grow(w.a, mStep*kStep), grow(w.b, nStep*kStep)
	for j := 0; j < p.n; j += nStep {
		nc := min(nStep, p.n-j)
		for q := 0; q < p.k; q += kStep {
			kc := min(kStep, p.k-q)
			at := q*p.ldb + j
			if p.transB {
				at = j*p.ldb + q
			}
			ks.pack(w.b, p.b[at:], p.ldb, p.transB, ks.nr, nc, kc)
			for i := 0; i < p.m; i += mStep {
				mc := min(mStep, p.m-i)
				at := i*p.lda + q
				if p.transA {
					at = q*p.lda + i
				}
				a := left{w.a, p.a[at:], p.lda}
				if p.transA {
					ks.pack(w.a, p.a[at:], p.lda, false, ks.mr, mc, kc)
					a.rows = nil
				} else if full := mc / ks.mr * ks.mr; full < mc {
					ks.pack(w.a[full*kc:], p.a[at+full*p.lda:], p.lda, true, ks.mr, mc-full, kc)
				}
				ks.block(w, a, mc, nc, kc, p.c[i*p.ldc+j:], p.ldc, p.acc || q > 0)
			}
		}
	}
}

// evenly is the length of the parts, at most most, into which n is best cut: as few as possible, all about as long, and of whole units, of which most is a multiple.
func evenly(n, most, unit int) int {
	parts := (n + most - 1) / most
	return roundUp((n+parts-1)/parts, unit)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// pack writes the count vectors of a matrix, each kc long, in panels of width vectors: panel[p*width+i] is value p of vector i. Vectors are rows where byRow is set, else columns.
// A last panel that is not full is filled with zeros.
func (ks *kernels) pack(dst, src []float32, ld int, byRow bool, width, count, kc int) {
	for v := 0; v < count; v += width {
		panel := dst[v*kc : (v+width)*kc]
		have := min(width, count-v)
		from := src[offset(v, ld, !byRow):]
		done := 0
		switch {
		case have < width:
			clear(panel)
		case byRow && width == ks.nr && ks.packCols != nil:
			done = ks.packCols(panel, from, ld, kc)
		case !byRow && ks.packRows != nil:
			done = ks.packRows(panel, from, ld, width, kc)
		}
		if byRow {
			for i := range have {
				for p, x := range from[i*ld+done : i*ld+kc] {
					panel[(done+p)*width+i] = x
				}
			}
			continue
		}
		for p := done; p < kc; p++ {
			copy(panel[p*width:p*width+have], from[p*ld:])
		}
	}
}

// left is a block of A: panels, and, where it is stored by rows, those rows, which the tile reads in place.
type left struct {
	panels, rows []float32
	ld           int
}

// block multiplies a block of A, mc×kc, by the packed panels of B, kc×nc.
func (ks *kernels) block(w *scratch, a left, mc, nc, kc int, c []float32, ldc int, acc bool) {
	for j := 0; j < nc; j += ks.nr {
		cols := min(ks.nr, nc-j)
		for i := 0; i < mc; i += ks.mr {
			rows := min(ks.mr, mc-i)
			if a.rows != nil && rows == ks.mr {
				ks.into(w, rows, cols, kc, &a.rows[i*a.ld], a.ld, 1, &w.b[j*kc], ks.nr, c[i*ldc+j:], ldc, acc)
				continue
			}
			ks.into(w, rows, cols, kc, &a.panels[i*kc], 1, ks.mr, &w.b[j*kc], ks.nr, c[i*ldc+j:], ldc, acc)
		}
	}
}

// into computes one tile and stores the part of it that C has.
func (ks *kernels) into(w *scratch, rows, cols, k int, a *float32, aRow, aCol int, b *float32, bRow int, c []float32, ldc int, acc bool) {
	if rows == ks.mr && cols == ks.nr {
		ks.tile(k, a, aRow, aCol, b, bRow, &c[0], ldc, one(acc))
		return
	}
	ks.tile(k, a, aRow, aCol, b, bRow, &w.tile[0], ks.nr, 0)
	for r := range rows {
		to, from := c[r*ldc:r*ldc+cols], w.tile[r*ks.nr:]
		if !acc {
			copy(to, from)
			continue
		}
		for i := range to {
			to[i] += from[i]
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// direct computes a small product without packing what the tile can read in place; it serves attention, whose factors are narrow and used once.
// A[i,p] is a[i*aRow+p*aCol]. B[p,j] is b[p*bRow+j], or, where panels is set, b holds panels of nr columns as pack makes them, each k long. c is m×n.
func (ks *kernels) direct(w *scratch, m, n, k int, a []float32, aRow, aCol int, b []float32, bRow int, panels bool, c []float32, ldc int, acc bool) {
	full := m / ks.mr * ks.mr
	if full < m { // the last rows of A, padded
		w.a = grow(w.a, k*ks.mr)
		clear(w.a)
		for p := range k {
			for i := full; i < m; i++ {
				w.a[p*ks.mr+i-full] = a[i*aRow+p*aCol]
			}
		}
	}
	for j := 0; j < n; j += ks.nr {
		cols := min(ks.nr, n-j)
		from, step := b[min(j, len(b)-1):], bRow
		switch {
		case panels:
			from, step = b[j*k:], ks.nr
		case cols < ks.nr:
			w.b = grow(w.b, k*ks.nr)
			clear(w.b)
			for p := range k {
				copy(w.b[p*ks.nr:p*ks.nr+cols], b[p*bRow+j:])
			}
			from, step = w.b, ks.nr
		}
		for i := 0; i < full; i += ks.mr {
			ks.into(w, ks.mr, cols, k, &a[i*aRow], aRow, aCol, &from[0], step, c[i*ldc+j:], ldc, acc)
		}
		if full < m {
			ks.into(w, m-full, cols, k, &w.a[0], 1, ks.mr, &from[0], step, c[full*ldc+j:], ldc, acc)
		}
	}
}
