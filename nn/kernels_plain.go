package nn

import (
	"math"
	"unsafe"
)

// plain is the reference: each kernel as its formula reads, with sums in float64 where that costs nothing.
var plain = kernels{
	name: "off", mr: 4, nr: 2,
	tile: tilePlain, skinny: skinnyPlain, combine: combinePlain,
	add: addPlain, scale: scalePlain, dot: dotPlain, axpy: axpyPlain,
	norm: normPlain, normBack: normBackPlain,
	softmax: softmaxPlain, softmaxBack: softmaxBackPlain,
	swiglu: swigluPlain, swigluBack: swigluBackPlain, rope: ropePlain,
	lse: lsePlain, lseBack: lseBackPlain, adamw: adamwPlain,
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
func exp32(x float32) float32  { return float32(math.Exp(float64(x))) }
func ln32(x float32) float32   { return float32(math.Log(float64(x))) }

// tilePlain keeps its eight sums in registers, which is all that the compiler's scalar code has.
func tilePlain(k int, a *float32, aRow, aCol int, b *float32, bRow int, c *float32, cRow int, acc int) {
	as := unsafe.Slice(a, 3*aRow+(k-1)*aCol+1)
	bs := unsafe.Slice(b, (k-1)*bRow+2)
	cs := unsafe.Slice(c, 3*cRow+2)
	var c00, c01, c10, c11, c20, c21, c30, c31 float32
	for p := range k {
		at := p * aCol
		b0, b1 := bs[p*bRow], bs[p*bRow+1]
		a0, a1, a2, a3 := as[at], as[at+aRow], as[at+2*aRow], as[at+3*aRow]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
	}
	for i, row := range [4][2]float32{{c00, c01}, {c10, c11}, {c20, c21}, {c30, c31}} {
		if acc == 0 {
			cs[i*cRow], cs[i*cRow+1] = row[0], row[1]
			continue
		}
		cs[i*cRow] += row[0]
		cs[i*cRow+1] += row[1]
	}
}

func skinnyPlain(p product, _ int) {
	for j := range p.n {
		row := p.b[j*p.ldb : j*p.ldb+p.k]
		for i := range p.m {
			s := dotPlain(p.a[i*p.lda:i*p.lda+p.k], row)
			if p.acc {
				s += p.c[i*p.ldc+j]
			}
			p.c[i*p.ldc+j] = s
		}
	}
}

func combinePlain(y, s, v []float32, vRow int) {
	clear(y)
	for t, by := range s {
		axpyPlain(y, v[t*vRow:], by)
	}
}

func addPlain(dst, src []float32) {
	for i, v := range src[:len(dst)] {
		dst[i] += v
	}
}

func scalePlain(dst []float32, by float32) {
	for i := range dst {
		dst[i] *= by
	}
}

func dotPlain(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	for len(x) >= 4 && len(y) >= 4 {
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for i := range x {
		s0 += x[i] * y[i]
	}
	return s0 + s1 + (s2 + s3)
}

func axpyPlain(dst, x []float32, by float32) {
	for i, v := range x[:len(dst)] {
		dst[i] += by * v
	}
}

func normPlain(y, x, w []float32, eps float32) float32 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	r := float32(1 / math.Sqrt(s/float64(len(x))+float64(eps)))
	for i, v := range x {
		y[i] = v * r * w[i]
	}
	return r
}

func normBackPlain(dx, dw, dy, x, w []float32, r float32) {
	var s float64
	for i, v := range x {
		dw[i] += dy[i] * v * r
		s += float64(dy[i]) * float64(w[i]) * float64(v)
	}
	c := float32(s) * r * r * r / float32(len(x))
	for i, v := range x {
		dx[i] += dy[i]*w[i]*r - v*c
	}
}

func softmaxPlain(x []float32, scale float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		top = max(top, v*scale) // NaN stays NaN
	}
	var sum float64
	for i, v := range x {
		e := math.Exp(float64(v*scale - top))
		x[i] = float32(e)
		sum += e
	}
	for i := range x {
		x[i] /= float32(sum)
	}
	return top + float32(math.Log(sum))
}

func softmaxBackPlain(s, dp []float32, scale, lse, delta float32) {
	for i, v := range s {
		p := exp32(v*scale - lse)
		s[i] = p
		dp[i] = scale * p * (dp[i] - delta)
	}
}

func swigluPlain(y, gate, up []float32) {
	for i, g := range gate[:len(y)] {
		y[i] = g / (1 + exp32(-g)) * up[i]
	}
}

func swigluBackPlain(dy, gate, up []float32) {
	for i, d := range dy {
		g := gate[i]
		s := 1 / (1 + exp32(-g))
		gate[i] = d * up[i] * s * (1 + g - g*s)
		up[i] = d * g * s
	}
}

func ropePlain(x, cos, sin []float32, sign float32) {
	h := len(cos)
	for ; len(x) >= 2*h; x = x[2*h:] {
		for i, c := range cos {
			s := sin[i] * sign
			a, b := x[i], x[i+h]
			x[i], x[i+h] = a*c-b*s, b*c+a*s
		}
	}
}

func lsePlain(z []float32) (lse, entropy float32) {
	top := float32(math.Inf(-1))
	for _, v := range z {
		top = max(top, v)
	}
	var sum, mean float64
	for _, v := range z {
		d := float64(v - top)
		e := math.Exp(d)
		sum += e
		mean += e * d
	}
	return logs(top, sum, mean)
}

// logs returns the logarithm of a sum of exponentials and the entropy, from the largest exponent, Σ exp(z-top) and Σ exp(z-top)·(z-top).
func logs(top float32, sum, mean float64) (lse, entropy float32) {
	ln := math.Log(sum)
	return float32(float64(top) + ln), float32(ln - mean/sum)
}

func lseBackPlain(z []float32, lse, a, b float32) {
	for i, v := range z {
		z[i] = exp32(v-lse) * (a + b*(v-lse))
	}
}

func adamwPlain(w, g, m, v []float32, s *adamScalars) {
	for i := range w {
		d := g[i] * s.clip
		m[i] = m[i]*s.beta1 + d*s.rest1
		v[i] = v[i]*s.beta2 + d*d*s.rest2
		w[i] = w[i]*s.keep + s.step*m[i]/(sqrt32(v[i])*s.root+s.eps)
	}
}
