package main

import "fmt"

// products emits the kernels of matrix products.
func (a *asm) products() {
	a.tile()
	a.packRows(a.mr)
	a.packRows(a.nv * a.lanes)
	a.packCols()
	for _, rows := range []int{1, 2, 4} {
		a.dots(rows)
	}
	a.combine()
}

// rowAt is the memory of row i, below 16, of a matrix whose row 0 is at base and row 8 at base8, where odd holds one, three, five and seven strides.
func rowAt(i int, base, base8 string, odd [4]string) string {
	if i >= 8 {
		base, i = base8, i-8
	}
	switch i {
	case 0:
		return mem(base, 0)
	case 6:
		return indexed(base, odd[1], 2, 0)
	case 2, 4:
		return indexed(base, odd[0], i, 0)
	}
	return indexed(base, odd[i/2], 1, 0)
}

// tile keeps mr×nv vectors of sums in registers, the highest ones. For each p it loads nv vectors of B and multiplies them by mr values of A, each spread over a vector.
func (a *asm) tile() {
	a.fn("tile", "k int, a *float32, aRow int, aCol int, b *float32, bRow int, c *float32, cRow int, acc int", "", func() {
		a.get("k", "CX", "a", "SI", "aRow", "R8", "aCol", "R10", "b", "DI", "bRow", "R11", "c", "DX", "cRow", "R12", "acc", "AX")
		for _, r := range []string{"R8", "R10", "R11", "R12"} {
			a.op("SHLQ", "$2", r)
		}
		a.op("LEAQ", "(R8)(R8*2)", "R9")
		a.op("LEAQ", "(SI)(R8*4)", "R13")
		last := 31
		if a.name == avx2.name {
			last = 15
		}
		sum := func(i, j int) int { return last - i*a.nv - j }
		a.op("MOVQ", "DX", "BX")
		for i := range a.mr {
			for j := range a.nv {
				a.zero(sum(i, j))
			}
			a.op("PREFETCHT0", mem("BX", 4*a.lanes*a.nv-4))
			a.op("ADDQ", "R12", "BX")
		}
		from := func(i int) string {
			base := "SI"
			if i >= 4 {
				base, i = "R13", i-4
			}
			return [4]string{mem(base, 0), indexed(base, "R8", 1, 0), indexed(base, "R8", 2, 0), indexed(base, "R9", 1, 0)}[i]
		}
		spare := last + 1 - a.mr*a.nv - a.nv // registers for values of A
		step := func() {
			for j := range a.nv {
				a.op("VMOVUPS", mem("DI", 4*a.lanes*j), a.v(j))
			}
			for i := range a.mr {
				r := a.nv + i%spare
				a.op("VBROADCASTSS", from(i), a.v(r))
				for j := range a.nv {
					a.op("VFMADD231PS", a.v(j), a.v(r), a.v(sum(i, j)))
				}
			}
			a.op("ADDQ", "R10", "SI")
			a.op("ADDQ", "R10", "R13")
			a.op("ADDQ", "R11", "DI")
		}
		const unroll = 4
		wide, rest, one, done, set := a.label("wide"), a.label("rest"), a.label("one"), a.label("sums"), a.label("set")
		a.op("SUBQ", imm(unroll), "CX")
		a.op("JLT", rest)
		a.at(wide)
		for range unroll {
			step()
		}
		a.op("SUBQ", imm(unroll), "CX")
		a.op("JGE", wide)
		a.at(rest)
		a.op("ADDQ", imm(unroll), "CX")
		a.op("JEQ", done)
		a.at(one)
		step()
		a.op("DECQ", "CX")
		a.op("JNE", one)
		a.at(done)
		a.op("TESTQ", "AX", "AX")
		a.op("JEQ", set)
		a.op("MOVQ", "DX", "BX")
		for i := range a.mr {
			for j := range a.nv {
				a.op("VADDPS", mem("BX", 4*a.lanes*j), a.v(sum(i, j)), a.v(sum(i, j)))
			}
			a.op("ADDQ", "R12", "BX")
		}
		a.at(set)
		for i := range a.mr {
			for j := range a.nv {
				a.op("VMOVUPS", a.v(sum(i, j)), mem("DX", 4*a.lanes*j))
			}
			a.op("ADDQ", "R12", "DX")
		}
	})
}

// packRows copies n rows of width values, stride values apart, to one place.
func (a *asm) packRows(width int) {
	a.fn(fmt.Sprintf("packRows%d", width), "dst *float32, src *float32, stride int, n int", "", func() {
		if rest := width % a.lanes; rest != 0 {
			a.op("MOVQ", imm(rest), "CX")
			a.mask()
		}
		a.get("dst", "DI", "src", "SI", "stride", "R8", "n", "CX")
		a.op("SHLQ", "$2", "R8")
		row := a.label("row")
		a.at(row)
		for at := 0; at < width; at += a.lanes {
			a.partial = width-at < a.lanes
			a.load(mem("SI", 4*at), 0)
			a.store(0, mem("DI", 4*at))
			a.partial = false
		}
		a.op("ADDQ", "R8", "SI")
		a.op("ADDQ", imm(4*width), "DI")
		a.op("DECQ", "CX")
		a.op("JNE", row)
	})
}

// packCols turns squares of lanes rows and columns, n of them side by side, and writes their columns width values apart: one half or quarter of a panel of B.
func (a *asm) packCols() {
	a.fn("packCols", "dst *float32, src *float32, stride int, n int", "", func() {
		a.get("dst", "DI", "src", "SI", "stride", "R8", "n", "CX")
		a.op("SHLQ", "$2", "R8")
		a.op("LEAQ", "(R8)(R8*2)", "R9")
		a.op("LEAQ", "(R8)(R8*4)", "R10")
		a.op("LEAQ", "(R9)(R8*4)", "R11")
		odd := [4]string{"R8", "R9", "R10", "R11"}
		a.op("LEAQ", "(SI)(R8*8)", "R12")
		square := a.label("square")
		a.at(square)
		for i := range a.lanes {
			a.op("VMOVUPS", rowAt(i, "SI", "R12", odd), a.v(i))
		}
		regs := a.transpose()
		for i, r := range regs {
			a.op("VMOVUPS", a.v(r), mem("DI", 4*i*a.lanes*a.nv))
		}
		a.op("ADDQ", imm(4*a.lanes), "SI")
		a.op("ADDQ", imm(4*a.lanes), "R12")
		a.op("ADDQ", imm(4*a.lanes*a.lanes*a.nv), "DI")
		a.op("DECQ", "CX")
		a.op("JNE", square)
	})
}

// transpose turns the square in registers 0 to lanes-1 and returns the registers of its columns, in order. It spoils all registers.
func (a *asm) transpose() []int {
	if a.name == avx2.name {
		return a.transpose8()
	}
	r, t := 0, 16
	for i := range 8 {
		a.op("VUNPCKLPS", a.v(r+2*i+1), a.v(r+2*i), a.v(t+2*i))
		a.op("VUNPCKHPS", a.v(r+2*i+1), a.v(r+2*i), a.v(t+2*i+1))
	}
	for i := 0; i < 16; i += 4 {
		for j := range 2 {
			a.op("VUNPCKLPD", a.v(t+i+2+j), a.v(t+i+j), a.v(r+i+2*j))
			a.op("VUNPCKHPD", a.v(t+i+2+j), a.v(t+i+j), a.v(r+i+2*j+1))
		}
	}
	for i := 0; i < 16; i += 8 {
		for j := range 4 {
			a.op("VSHUFF32X4", "$0x88", a.v(r+i+4+j), a.v(r+i+j), a.v(t+i+j))
			a.op("VSHUFF32X4", "$0xdd", a.v(r+i+4+j), a.v(r+i+j), a.v(t+i+4+j))
		}
	}
	for j := range 8 {
		a.op("VSHUFF32X4", "$0x88", a.v(t+8+j), a.v(t+j), a.v(r+j))
		a.op("VSHUFF32X4", "$0xdd", a.v(t+8+j), a.v(t+j), a.v(r+8+j))
	}
	return []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
}

func (a *asm) transpose8() []int {
	for i := range 4 {
		a.op("VUNPCKLPS", a.v(2*i+1), a.v(2*i), a.v(8+2*i))
		a.op("VUNPCKHPS", a.v(2*i+1), a.v(2*i), a.v(8+2*i+1))
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 {
			a.op("VUNPCKLPD", a.v(8+i+2+j), a.v(8+i+j), a.v(i+2*j))
			a.op("VUNPCKHPD", a.v(8+i+2+j), a.v(8+i+j), a.v(i+2*j+1))
		}
	}
	for j := range 4 {
		a.op("VPERM2F128", "$0x20", a.v(4+j), a.v(j), a.v(8+j))
		a.op("VPERM2F128", "$0x31", a.v(4+j), a.v(j), a.v(12+j))
	}
	return []int{8, 9, 10, 11, 12, 13, 14, 15}
}

// dots multiplies rows of x by rows of w, rows·cols of them together, each product of two rows in a register of its own, and writes the sums to out, or adds them where acc is 1.
// The order of each sum is the same whatever rows is: lane by lane along k, then the lanes by the tree of reduce.
func (a *asm) dots(rows int) {
	sums := 16
	if a.name == avx2.name {
		sums = 8
	}
	cols := sums / rows
	a.fn(fmt.Sprintf("dots%d", rows), "k int, x *float32, xRow int, w *float32, wRow int, ahead *float32, out *float32, outRow int, acc int", "", func() {
		a.get("k", "CX", "x", "SI", "xRow", "R8", "w", "DI", "wRow", "R9", "ahead", "BX")
		a.op("SHLQ", "$2", "R8")
		a.op("SHLQ", "$2", "R9")
		a.op("LEAQ", "(R8)(R8*2)", "R10")
		a.op("LEAQ", "(R9)(R9*2)", "R11")
		a.op("LEAQ", "(R9)(R9*4)", "R12")
		a.op("LEAQ", "(R11)(R9*4)", "R13")
		a.op("LEAQ", "(DI)(R9*8)", "R15")
		for i := range sums {
			a.zero(i)
		}
		pointers := []string{"SI", "DI", "BX"}
		if cols > 8 {
			pointers = append(pointers, "R15")
		}
		a.each(pointers, func() {
			a.op("PREFETCHT1", "(BX)")
			// Few rows of x stay in registers while those of w pass.
			for i := range rows {
				a.load(rowAt(i, "SI", "", [4]string{"R8", "R10"}), sums+i)
			}
			for j := range cols {
				from := rowAt(j, "DI", "R15", [4]string{"R9", "R11", "R12", "R13"})
				if rows == 1 && !a.partial {
					a.op("VFMADD231PS", from, a.v(sums), a.v(j))
					continue
				}
				a.load(from, sums+rows)
				for i := range rows {
					a.op("VFMADD231PS", a.v(sums+rows), a.v(sums+i), a.v(i*cols+j))
				}
			}
		})
		a.reduce(sums)
		a.get("out", "DX", "outRow", "R8", "acc", "AX")
		a.op("SHLQ", "$2", "R8")
		a.sums(rows, cols)
	})
}

// reduce adds up each of the registers 0 to sums-1 and leaves the sums in register 0.
func (a *asm) reduce(sums int) {
	// Two levels inside each 128 bits: after them, register 4i holds in each quarter one partial sum of each of registers 4i to 4i+3.
	t := sums
	if a.name == avx2.name {
		t = 8
	}
	for i := 0; i < sums; i += 2 {
		a.op("VUNPCKLPS", a.v(i+1), a.v(i), a.v(t))
		a.op("VUNPCKHPS", a.v(i+1), a.v(i), a.v(t+1))
		a.op("VADDPS", a.v(t), a.v(t+1), a.v(i))
	}
	for i := 0; i < sums; i += 4 {
		a.op("VUNPCKLPD", a.v(i+2), a.v(i), a.v(t))
		a.op("VUNPCKHPD", a.v(i+2), a.v(i), a.v(t+1))
		a.op("VADDPS", a.v(t), a.v(t+1), a.v(i))
	}
	if a.name == avx2.name {
		a.op("VPERM2F128", "$0x20", a.v(4), a.v(0), a.v(t))
		a.op("VPERM2F128", "$0x31", a.v(4), a.v(0), a.v(t+1))
		a.op("VADDPS", a.v(t), a.v(t+1), a.v(0))
		return
	}
	for i := 0; i < sums; i += 8 {
		a.op("VSHUFF32X4", "$0x88", a.v(i+4), a.v(i), a.v(t))
		a.op("VSHUFF32X4", "$0xdd", a.v(i+4), a.v(i), a.v(t+1))
		a.op("VADDPS", a.v(t), a.v(t+1), a.v(i))
	}
	a.op("VSHUFF32X4", "$0x88", a.v(8), a.v(0), a.v(t))
	a.op("VSHUFF32X4", "$0xdd", a.v(8), a.v(0), a.v(t+1))
	a.op("VADDPS", a.v(t), a.v(t+1), a.v(0))
}

// sums stores rows times cols lanes of register 0 at DX, rows R8 bytes apart, after adding what is there unless AX is 0.
func (a *asm) sums(rows, cols int) {
	reg := map[int]string{2: "X", 4: "X", 8: "Y", 16: "Z"}[cols]
	move := "VMOVUPS"
	if cols == 2 {
		move = "VMOVSD"
	}
	part := reg + "1"
	for i := range rows {
		switch {
		case i == 0:
			a.op("VMOVAPS", a.v(0), a.v(1))
		case cols == 8:
			a.op("VEXTRACTF64X4", "$1", "Z0", "Y1")
		case a.name == avx512.name:
			a.op("VEXTRACTF32X4", imm(i), "Z0", "X1")
		case cols == 4 || i == 2:
			a.op("VEXTRACTF128", "$1", "Y0", "X1")
		case i == 1: // the upper half of 128 bits
			a.op("VMOVHLPS", "X0", "X0", "X1")
		default:
			a.op("VEXTRACTF128", "$1", "Y0", "X1")
			a.op("VMOVHLPS", "X1", "X1", "X1")
		}
		set := a.label("set")
		a.op("TESTQ", "AX", "AX")
		a.op("JEQ", set)
		if cols == 2 {
			a.op(move, "(DX)", "X2")
			a.op("VADDPS", "X2", part, part)
		} else {
			a.op("VADDPS", "(DX)", part, part)
		}
		a.at(set)
		a.op(move, part, "(DX)")
		a.op("ADDQ", "R8", "DX")
	}
}

// combine keeps sums of four vectors of columns in registers while it goes down the rows, then of one vector, then of what remains.
func (a *asm) combine() {
	a.fn("combine", "y []float32, s []float32, v *float32, vRow int", "", func() {
		a.get("y", "DI", "len y", "R8", "v", "DX", "vRow", "R9", "len s", "R10")
		a.op("SHLQ", "$2", "R9")
		columns := func(vectors int) {
			for r := range vectors {
				a.zero(r)
			}
			row, done := a.label("row"), a.label("end")
			a.op("MOVQ", a.arg("s"), "SI")
			a.op("MOVQ", "DX", "BX")
			a.op("MOVQ", "R10", "CX")
			a.op("TESTQ", "CX", "CX")
			a.op("JEQ", done)
			a.at(row)
			a.op("VBROADCASTSS", "(SI)", a.v(4))
			for r := range vectors {
				a.load(mem("BX", 4*a.lanes*r), 5)
				a.op("VFMADD231PS", a.v(5), a.v(4), a.v(r))
			}
			a.op("ADDQ", "$4", "SI")
			a.op("ADDQ", "R9", "BX")
			a.op("DECQ", "CX")
			a.op("JNE", row)
			a.at(done)
			for r := range vectors {
				a.store(r, mem("DI", 4*a.lanes*r))
			}
		}
		for _, vectors := range []int{4, 1} {
			loop, rest := a.label("columns"), a.label("fewer")
			a.at(loop)
			a.op("CMPQ", "R8", imm(vectors*a.lanes))
			a.op("JLT", rest)
			columns(vectors)
			a.op("ADDQ", imm(4*a.lanes*vectors), "DI")
			a.op("ADDQ", imm(4*a.lanes*vectors), "DX")
			a.op("SUBQ", imm(a.lanes*vectors), "R8")
			a.op("JMP", loop)
			a.at(rest)
		}
		done := a.label("done")
		a.op("MOVQ", "R8", "CX")
		a.op("TESTQ", "CX", "CX")
		a.op("JEQ", done)
		a.mask()
		a.partial = true
		columns(1)
		a.partial = false
		a.at(done)
	})
}
