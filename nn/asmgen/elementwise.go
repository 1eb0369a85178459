package main

import "math"

// elementwise emits the kernels whose rows are read once or twice.
func (a *asm) elementwise() {
	a.add()
	a.scale()
	a.axpy()
	a.dot()
	a.norm()
	a.normBack()
	a.softmax()
	a.softmaxBack()
	a.swiglu()
	a.swigluBack()
	a.rope()
	a.largest()
	a.sumExp()
	a.lseBack()
	a.adamw()
}

func (a *asm) add() {
	a.fn("add", "dst []float32, src []float32", "", func() {
		a.get("dst", "DI", "src", "SI", "len dst", "CX")
		a.each([]string{"DI", "SI"}, func() {
			a.load("(SI)", 0)
			a.load("(DI)", 1)
			a.op("VADDPS", a.v(0), a.v(1), a.v(1))
			a.store(1, "(DI)")
		})
	})
}

func (a *asm) scale() {
	a.fn("scale", "dst []float32, by float32", "", func() {
		a.get("dst", "DI", "len dst", "CX")
		a.fill("by", 2)
		a.each([]string{"DI"}, func() {
			a.load("(DI)", 0)
			a.op("VMULPS", a.v(2), a.v(0), a.v(0))
			a.store(0, "(DI)")
		})
	})
}

func (a *asm) axpy() {
	a.fn("axpy", "dst []float32, src []float32, by float32", "", func() {
		a.get("dst", "DI", "src", "SI", "len dst", "CX")
		a.fill("by", 2)
		a.each([]string{"DI", "SI"}, func() {
			a.load("(SI)", 0)
			a.load("(DI)", 1)
			a.op("VFMADD231PS", a.v(2), a.v(0), a.v(1))
			a.store(1, "(DI)")
		})
	})
}

// products4 adds the products of vectors at two pointers to registers 0 to 3 in turn, which hides the latency of the sums, and then to register 0.
func (a *asm) products4(p, q string) {
	for r := range 4 {
		a.zero(r)
	}
	loop, rest := a.label("wide"), a.label("narrow")
	a.op("SUBQ", imm(4*a.lanes), "CX")
	a.op("JLT", rest)
	a.at(loop)
	for r := range 4 {
		a.op("VMOVUPS", mem(p, 4*a.lanes*r), a.v(4+r))
		a.op("VFMADD231PS", mem(q, 4*a.lanes*r), a.v(4+r), a.v(r))
	}
	a.op("ADDQ", imm(16*a.lanes), p)
	if p != q {
		a.op("ADDQ", imm(16*a.lanes), q)
	}
	a.op("SUBQ", imm(4*a.lanes), "CX")
	a.op("JGE", loop)
	a.at(rest)
	a.op("ADDQ", imm(4*a.lanes), "CX")
	pointers := []string{p}
	if p != q {
		pointers = append(pointers, q)
	}
	a.each(pointers, func() {
		a.load(mem(p, 0), 4)
		a.load(mem(q, 0), 5)
		a.op("VFMADD231PS", a.v(4), a.v(5), a.v(0))
	})
	a.op("VADDPS", a.v(1), a.v(0), a.v(0))
	a.op("VADDPS", a.v(3), a.v(2), a.v(2))
	a.op("VADDPS", a.v(2), a.v(0), a.v(0))
	a.fold("VADDPS", 0, 1)
}

func (a *asm) dot() {
	a.fn("dot", "x []float32, y []float32", "ret float32", func() {
		a.get("x", "SI", "y", "DI", "len x", "CX")
		a.products4("SI", "DI")
		a.op("VMOVSS", "X0", a.arg("ret"))
	})
}

func (a *asm) norm() {
	a.fn("norm", "y []float32, x []float32, w []float32, eps float32", "ret float32", func() {
		a.get("x", "SI", "len x", "CX")
		a.products4("SI", "SI")
		a.get("y", "DI", "x", "SI", "w", "DX", "len x", "CX")
		a.op("VXORPS", "X1", "X1", "X1")
		a.op("VCVTSI2SSQ", "CX", "X1", "X1")
		a.op("VDIVSS", "X1", "X0", "X0")
		a.op("VADDSS", a.arg("eps"), "X0", "X0")
		a.op("VSQRTSS", "X0", "X0", "X0")
		a.op("VMOVSS", a.num(1), "X1")
		a.op("VDIVSS", "X0", "X1", "X2")
		a.op("VMOVSS", "X2", a.arg("ret"))
		a.spread(2)
		a.each([]string{"DI", "SI", "DX"}, func() {
			a.load("(SI)", 0)
			a.load("(DX)", 1)
			a.op("VMULPS", a.v(2), a.v(0), a.v(0))
			a.op("VMULPS", a.v(1), a.v(0), a.v(0))
			a.store(0, "(DI)")
		})
	})
}

func (a *asm) normBack() {
	a.fn("normBack", "dx []float32, dw []float32, dy []float32, x []float32, w []float32, r float32", "", func() {
		a.get("dw", "DI", "dy", "SI", "x", "DX", "w", "BX", "len x", "CX")
		a.fill("r", 2)
		a.zero(3) // Σ dy·w·x
		a.each([]string{"DI", "SI", "DX", "BX"}, func() {
			a.load("(SI)", 4)
			a.load("(DX)", 5)
			a.load("(BX)", 6)
			a.load("(DI)", 7)
			a.op("VMULPS", a.v(4), a.v(5), a.v(5))
			a.op("VFMADD231PS", a.v(5), a.v(6), a.v(3))
			a.op("VFMADD231PS", a.v(5), a.v(2), a.v(7))
			a.store(7, "(DI)")
		})
		a.fold("VADDPS", 3, 4)
		a.get("dx", "DI", "dy", "SI", "x", "DX", "w", "BX", "len x", "CX")
		a.op("VXORPS", "X4", "X4", "X4")
		a.op("VCVTSI2SSQ", "CX", "X4", "X4")
		for range 3 {
			a.op("VMULSS", "X2", "X3", "X3")
		}
		a.op("VDIVSS", "X4", "X3", "X3")
		a.spread(3)
		a.each([]string{"DI", "SI", "DX", "BX"}, func() {
			a.load("(SI)", 4)
			a.load("(BX)", 6)
			a.load("(DI)", 7)
			a.load("(DX)", 5)
			a.op("VMULPS", a.v(6), a.v(4), a.v(4))
			a.op("VFMADD231PS", a.v(4), a.v(2), a.v(7))
			a.op("VFNMADD231PS", a.v(5), a.v(3), a.v(7))
			a.store(7, "(DI)")
		})
	})
}

// exp sets register r to e to its power, within two units in the last place from -86 to 88 and clamped to that range; NaN stays NaN. It spoils t and u.
// The power is split into 2^n and a rest within ±ln(2)/2, for which the polynomial is that of Cephes' expf.
func (a *asm) exp(r, t, u int) {
	x, n, p := a.v(r), a.v(t), a.v(u)
	a.op("VMOVUPS", a.num(-86), n)
	a.op("VMAXPS", x, n, x) // the second source, x, is the result where one is NaN
	a.op("VMOVUPS", a.num(88), n)
	a.op("VMINPS", x, n, x)
	a.op("VMULPS", a.num(math.Log2E), x, n)
	if a.name == avx512.name {
		a.op("VRNDSCALEPS", "$8", n, n)
	} else {
		a.op("VROUNDPS", "$8", n, n)
	}
	a.op("VFNMADD231PS", a.num(0.693359375), n, x)
	a.op("VFNMADD231PS", a.num(-2.12194440e-4), n, x)
	a.op("VMOVUPS", a.num(1.9875691500e-4), p)
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1} {
		a.op("VFMADD213PS", a.num(c), x, p)
	}
	if a.name == avx512.name {
		a.op("VSCALEFPS", n, p, x)
		return
	}
	a.op("VCVTPS2DQ", n, n)
	a.op("VPSLLD", "$23", n, n)
	a.op("VPADDD", n, p, x)
}

// maximum leaves the largest of the CX values at SI in the lowest lane of register 0. It spoils 1 and 2.
func (a *asm) maximum() {
	a.op("VBROADCASTSS", "(SI)", a.v(0))
	a.op("VMOVUPS", a.v(0), a.v(2))
	a.each([]string{"SI"}, func() {
		a.load("(SI)", 1)
		a.deadFrom(1, 2)
		a.op("VMAXPS", a.v(1), a.v(0), a.v(0))
	})
	a.fold("VMAXPS", 0, 1)
}

func (a *asm) softmax() {
	a.fn("softmax", "s []float32, scale float32", "top float32, sum float32", func() {
		a.get("s", "SI", "len s", "CX")
		a.maximum()
		a.fill("scale", 3)
		a.op("VMULSS", "X3", "X0", "X0")
		a.op("VMOVSS", "X0", a.arg("top"))
		a.spread(0)
		a.zero(4)
		a.get("s", "SI", "len s", "CX")
		a.each([]string{"SI"}, func() {
			a.load("(SI)", 5)
			a.op("VFMSUB213PS", a.v(0), a.v(3), a.v(5))
			a.exp(5, 6, 7)
			a.store(5, "(SI)")
			a.dead(5)
			a.op("VADDPS", a.v(5), a.v(4), a.v(4))
		})
		a.fold("VADDPS", 4, 5)
		a.op("VMOVSS", "X4", a.arg("sum"))
		a.op("VMOVSS", a.num(1), "X5")
		a.op("VDIVSS", "X4", "X5", "X5")
		a.spread(5)
		a.get("s", "SI", "len s", "CX")
		a.each([]string{"SI"}, func() {
			a.load("(SI)", 6)
			a.op("VMULPS", a.v(5), a.v(6), a.v(6))
			a.store(6, "(SI)")
		})
	})
}

func (a *asm) softmaxBack() {
	a.fn("softmaxBack", "s []float32, dp []float32, scale float32, lse float32, delta float32", "", func() {
		a.get("s", "SI", "dp", "DI", "len s", "CX")
		a.fill("scale", 0)
		a.fill("lse", 1)
		a.fill("delta", 2)
		a.each([]string{"SI", "DI"}, func() {
			a.load("(SI)", 3)
			a.op("VFMSUB213PS", a.v(1), a.v(0), a.v(3))
			a.exp(3, 4, 5)
			a.store(3, "(SI)")
			a.load("(DI)", 6)
			a.op("VSUBPS", a.v(2), a.v(6), a.v(6))
			a.op("VMULPS", a.v(0), a.v(3), a.v(3))
			a.op("VMULPS", a.v(3), a.v(6), a.v(6))
			a.store(6, "(DI)")
		})
	})
}

// sigmoid sets register s to 1/(1+exp(-g)). It spoils t and u.
func (a *asm) sigmoid(g, s, t, u int) {
	a.zero(s)
	a.op("VSUBPS", a.v(g), a.v(s), a.v(s))
	a.exp(s, t, u)
	a.op("VMOVUPS", a.num(1), a.v(t))
	a.op("VADDPS", a.v(t), a.v(s), a.v(s))
	a.op("VDIVPS", a.v(s), a.v(t), a.v(s))
}

func (a *asm) swiglu() {
	a.fn("swiglu", "y []float32, gate []float32, up []float32", "", func() {
		a.get("y", "DI", "gate", "SI", "up", "DX", "len y", "CX")
		a.each([]string{"DI", "SI", "DX"}, func() {
			a.load("(SI)", 0)
			a.load("(DX)", 1)
			a.sigmoid(0, 2, 3, 4)
			a.op("VMULPS", a.v(0), a.v(2), a.v(2))
			a.op("VMULPS", a.v(1), a.v(2), a.v(2))
			a.store(2, "(DI)")
		})
	})
}

func (a *asm) swigluBack() {
	a.fn("swigluBack", "dy []float32, gate []float32, up []float32", "", func() {
		a.get("dy", "DI", "gate", "SI", "up", "DX", "len dy", "CX")
		a.each([]string{"DI", "SI", "DX"}, func() {
			a.load("(SI)", 0)
			a.sigmoid(0, 2, 3, 4)
			a.load("(DX)", 1)
			a.load("(DI)", 5)
			a.op("VMULPS", a.v(0), a.v(2), a.v(3)) // gate·σ
			a.op("VMULPS", a.v(5), a.v(3), a.v(6))
			a.store(6, "(DX)")
			a.op("VSUBPS", a.v(3), a.v(0), a.v(0))
			a.op("VADDPS", a.num(1), a.v(0), a.v(0)) // 1 + gate - gate·σ
			a.op("VMULPS", a.v(2), a.v(0), a.v(0))
			a.op("VMULPS", a.v(1), a.v(0), a.v(0))
			a.op("VMULPS", a.v(5), a.v(0), a.v(0))
			a.store(0, "(SI)")
		})
	})
}

func (a *asm) rope() {
	a.fn("rope", "v []float32, cos []float32, sin []float32, sign float32", "", func() {
		a.get("v", "SI", "len v", "R8", "len cos", "R9")
		a.fill("sign", 6)
		head, done := a.label("head"), a.label("end")
		a.op("LEAQ", "(R9)(R9*1)", "R10")
		a.at(head)
		a.op("CMPQ", "R8", "R10")
		a.op("JLT", done)
		a.get("cos", "DX", "sin", "BX")
		a.op("LEAQ", "(SI)(R9*4)", "DI")
		a.op("MOVQ", "R9", "CX")
		a.op("MOVQ", "SI", "R11")
		a.each([]string{"R11", "DI", "DX", "BX"}, func() {
			a.load("(R11)", 0)
			a.load("(DI)", 1)
			a.load("(DX)", 2)
			a.load("(BX)", 3)
			a.op("VMULPS", a.v(6), a.v(3), a.v(3))
			a.op("VMULPS", a.v(2), a.v(0), a.v(4))
			a.op("VFNMADD231PS", a.v(3), a.v(1), a.v(4))
			a.op("VMULPS", a.v(2), a.v(1), a.v(5))
			a.op("VFMADD231PS", a.v(3), a.v(0), a.v(5))
			a.store(4, "(R11)")
			a.store(5, "(DI)")
		})
		a.op("LEAQ", "(SI)(R10*4)", "SI")
		a.op("SUBQ", "R10", "R8")
		a.op("JMP", head)
		a.at(done)
	})
}

func (a *asm) largest() {
	a.fn("largest", "z []float32", "ret float32", func() {
		a.get("z", "SI", "len z", "CX")
		a.maximum()
		a.op("VMOVSS", "X0", a.arg("ret"))
	})
}

func (a *asm) sumExp() {
	a.fn("sumExp", "z []float32, top float32", "sum float32, mean float32", func() {
		a.get("z", "SI", "len z", "CX")
		a.fill("top", 0)
		a.zero(1)
		a.zero(2)
		a.each([]string{"SI"}, func() {
			a.load("(SI)", 3)
			a.op("VSUBPS", a.v(0), a.v(3), a.v(3))
			a.op("VMOVUPS", a.v(3), a.v(4))
			a.exp(3, 5, 6)
			a.dead(3)
			a.op("VADDPS", a.v(3), a.v(1), a.v(1))
			a.op("VFMADD231PS", a.v(3), a.v(4), a.v(2))
		})
		a.fold("VADDPS", 1, 3)
		a.fold("VADDPS", 2, 3)
		a.op("VMOVSS", "X1", a.arg("sum"))
		a.op("VMOVSS", "X2", a.arg("mean"))
	})
}

func (a *asm) lseBack() {
	a.fn("lseBack", "z []float32, lse float32, a float32, b float32", "", func() {
		a.get("z", "SI", "len z", "CX")
		a.fill("lse", 0)
		a.fill("a", 1)
		a.fill("b", 2)
		a.each([]string{"SI"}, func() {
			a.load("(SI)", 3)
			a.op("VSUBPS", a.v(0), a.v(3), a.v(3))
			a.op("VMOVUPS", a.v(3), a.v(4))
			a.exp(3, 5, 6)
			a.op("VFMADD213PS", a.v(1), a.v(2), a.v(4))
			a.op("VMULPS", a.v(4), a.v(3), a.v(3))
			a.store(3, "(SI)")
		})
	})
}

// adamw reads the fields of adamScalars in their order.
func (a *asm) adamw() {
	a.fn("adamw", "w []float32, g []float32, m []float32, v []float32, s *adamScalars", "", func() {
		a.get("s", "AX")
		const first = 5 // registers 5 to 13: beta1 rest1 beta2 rest2 clip keep step root eps
		for i := range 9 {
			a.op("VBROADCASTSS", mem("AX", 4*i), a.v(first+i))
		}
		a.get("w", "DI", "g", "SI", "m", "DX", "v", "BX", "len w", "CX")
		a.each([]string{"DI", "SI", "DX", "BX"}, func() {
			a.load("(SI)", 0)
			a.op("VMULPS", a.v(first+4), a.v(0), a.v(0))
			a.load("(DX)", 1)
			a.op("VMULPS", a.v(first), a.v(1), a.v(1))
			a.op("VFMADD231PS", a.v(first+1), a.v(0), a.v(1))
			a.store(1, "(DX)")
			a.op("VMULPS", a.v(0), a.v(0), a.v(0))
			a.load("(BX)", 2)
			a.op("VMULPS", a.v(first+2), a.v(2), a.v(2))
			a.op("VFMADD231PS", a.v(first+3), a.v(0), a.v(2))
			a.store(2, "(BX)")
			a.op("VSQRTPS", a.v(2), a.v(2))
			a.op("VFMADD213PS", a.v(first+8), a.v(first+7), a.v(2))
			a.op("VMULPS", a.v(first+6), a.v(1), a.v(1))
			a.op("VDIVPS", a.v(2), a.v(1), a.v(1))
			a.load("(DI)", 3)
			a.op("VFMADD231PS", a.v(first+5), a.v(3), a.v(1))
			a.store(1, "(DI)")
		})
	})
}
