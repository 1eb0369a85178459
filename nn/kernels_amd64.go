package nn

import "golang.org/x/sys/cpu"

// supported lists the sets that this processor runs, the best first.
func supported() []*kernels {
	var sets []*kernels
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW {
		sets = append(sets, &kernelsAVX512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		sets = append(sets, &kernelsAVX2)
	}
	return append(sets, &plain)
}

var kernelsAVX512 = kernels{
	name: "avx512", mr: 8, nr: 32,
	tile: tileAVX512,
	packRows: func(dst, src []float32, stride, width, n int) int {
		switch width {
		case 8:
			packRows8AVX512(&dst[0], &src[0], stride, n)
		case 32:
			packRows32AVX512(&dst[0], &src[0], stride, n)
		}
		return n
	},
	packCols: func(dst, src []float32, stride, n int) int {
		if n >= 16 {
			packColsAVX512(&dst[0], &src[0], stride, n/16)
			packColsAVX512(&dst[16], &src[16*stride], stride, n/16)
		}
		return n / 16 * 16
	},
	skinny:  func(p product, ahead int) { skinny(p, ahead, 16, dots4AVX512, dots2AVX512, dots1AVX512) },
	combine: func(y, s, v []float32, vRow int) { combineAVX512(y, s, &v[0], vRow) },
	add:     addAVX512, scale: scaleAVX512, dot: dotAVX512, axpy: axpyAVX512, norm: normAVX512, normBack: normBackAVX512,
	softmax: func(s []float32, scale float32) float32 {
		top, sum := softmaxAVX512(s, scale)
		return top + ln32(sum)
	},
	softmaxBack: softmaxBackAVX512, swiglu: swigluAVX512, swigluBack: swigluBackAVX512, rope: ropeAVX512,
	lse:     func(z []float32) (float32, float32) { return lse(z, largestAVX512(z), sumExpAVX512) },
	lseBack: lseBackAVX512, adamw: adamwAVX512,
}

var kernelsAVX2 = kernels{
	name: "avx2", mr: 6, nr: 16,
	tile: tileAVX2,
	packRows: func(dst, src []float32, stride, width, n int) int {
		switch width {
		case 6:
			packRows6AVX2(&dst[0], &src[0], stride, n)
		case 16:
			packRows16AVX2(&dst[0], &src[0], stride, n)
		}
		return n
	},
	packCols: func(dst, src []float32, stride, n int) int {
		if n >= 8 {
			packColsAVX2(&dst[0], &src[0], stride, n/8)
			packColsAVX2(&dst[8], &src[8*stride], stride, n/8)
		}
		return n / 8 * 8
	},
	skinny:  func(p product, ahead int) { skinny(p, ahead, 8, dots4AVX2, dots2AVX2, dots1AVX2) },
	combine: func(y, s, v []float32, vRow int) { combineAVX2(y, s, &v[0], vRow) },
	add:     addAVX2, scale: scaleAVX2, dot: dotAVX2, axpy: axpyAVX2, norm: normAVX2, normBack: normBackAVX2,
	softmax: func(s []float32, scale float32) float32 {
		top, sum := softmaxAVX2(s, scale)
		return top + ln32(sum)
	},
	softmaxBack: softmaxBackAVX2, swiglu: swigluAVX2, swigluBack: swigluBackAVX2, rope: ropeAVX2,
	lse:     func(z []float32) (float32, float32) { return lse(z, largestAVX2(z), sumExpAVX2) },
	lseBack: lseBackAVX2, adamw: adamwAVX2,
}

// lse sums runs in fp32 and the runs in float64, so that a large vocabulary costs no digits.
func lse(z []float32, top float32, sumExp func([]float32, float32) (sum, mean float32)) (float32, float32) {
	const run = 4096
	var sum, mean float64
	for len(z) > 0 {
		n := min(run, len(z))
		s, m := sumExp(z[:n], top)
		sum, mean, z = sum+float64(s), mean+float64(m), z[n:]
	}
	return logs(top, sum, mean)
}

// dots multiplies some rows of x by sums/rows rows of w; see asmgen.
type dots func(k int, x *float32, xRow int, w *float32, wRow int, ahead, out *float32, outRow, acc int)

// skinnyK is how many values of four rows of A the first-level cache holds while rows of B pass.
const skinnyK = 1024

// skinny takes four rows of A at a time, then two, then one. They stay in the first-level cache while the rows of B pass, which the first of them brings into the second. Long rows are cut, whatever the
// number of rows, so that the order of the sums is always the same.
func skinny(p product, ahead, sums int, four, two, one dots) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	a, b, k := p.a, p.b, p.k
	step := evenly(k, skinnyK, 16)
	for q := 0; q < k; q += step {
		p.a, p.b, p.k = a[q:], b[q:], min(step, k-q)
		done := 0
		for _, by := range [...]struct {
			rows, times int
			f           dots
		}{{4, p.m / 4, four}, {2, p.m % 4 / 2, two}, {1, p.m % 2, one}} {
			if by.times > 0 {
				skinnyRows(p, s, ahead, done, by.rows, by.times, sums/by.rows, by.f)
				done += by.rows * by.times
			}
		}
		p.acc = true
	}
}

// skinnyRows computes times groups of rows, from row first of A, and cols columns at a time. Columns that do not fill a tile are computed again with their neighbours to the left or,
// where there are too few, each as a tile of its own.
func skinnyRows(p product, s *scratch, ahead, first, rows, times, cols int, f dots) {
	for i := range times {
		row := first + i*rows
		x, y := &p.a[row*p.lda], p.c[row*p.ldc:]
		for j, width := 0, cols; j < p.n; j += width {
			at, step := j, p.ldb
			soon := &p.b[j*p.ldb]
			if next := (j + ahead + i%cols) * p.ldb; next < len(p.b) { // each group of rows asks for one row of a tile
				soon = &p.b[next]
			}
			switch {
			case j+cols <= p.n:
				f(p.k, x, p.lda, &p.b[j*p.ldb], p.ldb, soon, &y[j], p.ldc, one(p.acc))
				continue
			case p.n >= cols:
				at = p.n - cols
			default:
				width, step = 1, 0
			}
			f(p.k, x, p.lda, &p.b[at*p.ldb], step, soon, &s.tile[0], cols, 0)
			scatter(y[j:], p.ldc, s.tile[j-at:], cols, rows, min(width, p.n-j), p.acc)
		}
	}
}

// scatter writes rows×cols values of a tile to C, or adds them.
func scatter(c []float32, ldc int, tile []float32, step, rows, cols int, acc bool) {
	for r := range rows {
		to, from := c[r*ldc:r*ldc+cols], tile[r*step:]
		if !acc {
			copy(to, from)
			continue
		}
		for i := range to {
			to[i] += from[i]
		}
	}
}
