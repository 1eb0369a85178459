package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// isa is an instruction set.
type isa struct {
	name  string
	lanes int    // fp32 values in a vector
	reg   string // the letter of its vector registers
	mr    int    // rows of the tile of a matrix product
	nv    int    // vectors in a row of the tile
}

// Both tiles leave registers for a row of B and a value of A besides the sums. On processors that split a 512-bit operation in two, 8×32 reads less than AVX2's 6×16 can.
var (
	avx512 = isa{name: "avx512", lanes: 16, reg: "Z", mr: 8, nv: 2}
	avx2   = isa{name: "avx2", lanes: 8, reg: "Y", mr: 6, nv: 2}
)

// asm is one file of assembly in the making.
type asm struct {
	isa
	text, stubs bytes.Buffer
	constants   []constant
	labels      int
	partial     bool // instructions emitted now see a vector of which mask tells the live part
	frame       map[string]string
	suffix      string
}

type constant struct {
	name  string
	value float32
}

func newAsm(s isa) *asm {
	return &asm{isa: s, suffix: strings.ToUpper(s.name)}
}

// file returns the whole file: constants, then functions.
func (a *asm) file() []byte {
	var out bytes.Buffer
	out.WriteString(notice + "#include \"textflag.h\"\n\n")
	for _, c := range a.constants {
		for i := range a.lanes {
			fmt.Fprintf(&out, "DATA %s<>+%d(SB)/4, $0x%08x\n", c.name, 4*i, math.Float32bits(c.value))
		}
		fmt.Fprintf(&out, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n\n", c.name, 4*a.lanes)
	}
	if a.name == avx2.name {
		for i := range 2 * a.lanes {
			fmt.Fprintf(&out, "DATA live<>+%d(SB)/4, $%d\n", 4*i, i/a.lanes-1)
		}
		fmt.Fprintf(&out, "GLOBL live<>(SB), RODATA|NOPTR, $%d\n\n", 8*a.lanes)
	}
	out.Write(bytes.TrimRight(a.text.Bytes(), "\n"))
	out.WriteByte('\n')
	return out.Bytes()
}

// op emits one instruction, operands in Go's order: destination last.
func (a *asm) op(name string, operands ...string) {
	a.text.WriteString("\t" + name)
	if len(operands) > 0 {
		a.text.WriteString(" " + strings.Join(operands, ", "))
	}
	a.text.WriteByte('\n')
}

// label returns a new name for a place.
func (a *asm) label(name string) string {
	a.labels++
	return fmt.Sprintf("%s%d", name, a.labels)
}

// at puts a label here.
func (a *asm) at(label string) { fmt.Fprintf(&a.text, "%s:\n", label) }

// v is vector register i.
func (a *asm) v(i int) string { return fmt.Sprintf("%s%d", a.reg, i) }

// x is the lowest 128 bits of vector register i.
func x(i int) string { return fmt.Sprintf("X%d", i) }

// imm is a number in an instruction.
func imm(n int) string { return fmt.Sprintf("$%d", n) }

// mem is the memory at base plus bytes.
func mem(base string, bytes int) string {
	if bytes == 0 {
		return "(" + base + ")"
	}
	return fmt.Sprintf("%d(%s)", bytes, base)
}

// indexed is the memory at base plus scale times index, plus bytes.
func indexed(base, index string, scale, bytes int) string {
	if bytes == 0 {
		return fmt.Sprintf("(%s)(%s*%d)", base, index, scale)
	}
	return fmt.Sprintf("%d(%s)(%s*%d)", bytes, base, index, scale)
}

// fn emits a function. params is a Go parameter list of the kinds that kernels have; results too. Inside body, arg and result name their places on the stack.
func (a *asm) fn(name, params, results string, body func()) {
	a.frame = map[string]string{}
	offset := 0
	place := func(list string) {
		for _, field := range strings.Split(list, ", ") {
			if field == "" {
				continue
			}
			n, kind, _ := strings.Cut(field, " ")
			size := map[string]int{"[]float32": 24, "float32": 4}[kind]
			if size == 0 {
				size = 8
			}
			step := min(size, 8)
			offset = (offset + step - 1) / step * step
			if size == 24 {
				a.frame[n] = fmt.Sprintf("%s_base+%d(FP)", n, offset)
				a.frame["len "+n] = fmt.Sprintf("%s_len+%d(FP)", n, offset+8)
			} else {
				a.frame[n] = fmt.Sprintf("%s+%d(FP)", n, offset)
			}
			offset += size
		}
	}
	place(params)
	if results != "" {
		offset = (offset + 7) / 8 * 8
		place(results)
	}
	fmt.Fprintf(&a.text, "// func %s%s(%s)%s\n", name, a.suffix, params, parens(results))
	fmt.Fprintf(&a.text, "TEXT ·%s%s(SB), NOSPLIT, $0-%d\n", name, a.suffix, offset)
	body()
	a.op("VZEROUPPER")
	a.op("RET")
	a.text.WriteByte('\n')
	fmt.Fprintf(&a.stubs, "\n//go:noescape\nfunc %s%s(%s)%s\n", name, a.suffix, params, parens(results))
}

func parens(results string) string {
	if results == "" {
		return ""
	}
	return " (" + results + ")"
}

// arg is the place of a parameter or result; of a slice, its first value's address.
func (a *asm) arg(name string) string {
	place, ok := a.frame[name]
	if !ok {
		panic("no parameter " + name)
	}
	return place
}

// get loads parameters into general registers: pairs of name and register.
func (a *asm) get(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		a.op("MOVQ", a.arg(pairs[i]), pairs[i+1])
	}
}

// num is a constant in every lane, in memory.
func (a *asm) num(value float64) string {
	for i, c := range a.constants {
		if c.value == float32(value) {
			return fmt.Sprintf("number%d<>(SB)", i)
		}
	}
	a.constants = append(a.constants, constant{fmt.Sprintf("number%d", len(a.constants)), float32(value)})
	return fmt.Sprintf("number%d<>(SB)", len(a.constants)-1)
}

// zero clears vector register r.
func (a *asm) zero(r int) {
	if a.name == avx512.name {
		a.op("VPXORD", a.v(r), a.v(r), a.v(r))
		return
	}
	a.op("VXORPS", a.v(r), a.v(r), a.v(r))
}

// fill sets every lane of r to the float32 parameter.
func (a *asm) fill(name string, r int) { a.op("VBROADCASTSS", a.arg(name), a.v(r)) }

// spread sets every lane of r to its lowest one.
func (a *asm) spread(r int) { a.op("VBROADCASTSS", x(r), a.v(r)) }

// maskReg is reserved for the mask of a part of a vector where there are no mask registers.
const maskReg = 15

// load reads a vector, with zeros in the lanes that are not live.
func (a *asm) load(from string, r int) {
	switch {
	case !a.partial:
		a.op("VMOVUPS", from, a.v(r))
	case a.name == avx512.name:
		a.op("VMOVUPS.Z", from, "K1", a.v(r))
	default:
		a.op("VMASKMOVPS", from, a.v(maskReg), a.v(r))
	}
}

// store writes the live lanes of r.
func (a *asm) store(r int, to string) {
	switch {
	case !a.partial:
		a.op("VMOVUPS", a.v(r), to)
	case a.name == avx512.name:
		a.op("VMOVUPS", a.v(r), "K1", to)
	default:
		a.op("VMASKMOVPS", a.v(r), a.v(maskReg), to)
	}
}

// dead zeroes the lanes of r that are not live.
func (a *asm) dead(r int) {
	switch {
	case !a.partial:
	case a.name == avx512.name:
		a.op("VMOVAPS.Z", a.v(r), "K1", a.v(r))
	default:
		a.op("VANDPS", a.v(maskReg), a.v(r), a.v(r))
	}
}

// deadFrom sets the lanes of r that are not live to those of other.
func (a *asm) deadFrom(r, other int) {
	switch {
	case !a.partial:
	case a.name == avx512.name:
		a.op("VBLENDMPS", a.v(r), a.v(other), "K1", a.v(r))
	default:
		a.op("VBLENDVPS", a.v(maskReg), a.v(r), a.v(other), a.v(r))
	}
}

// mask makes the first CX lanes live, CX below lanes. It spoils AX and CX.
func (a *asm) mask() {
	if a.name == avx512.name {
		a.op("MOVL", "$1", "AX")
		a.op("SHLL", "CX", "AX")
		a.op("DECL", "AX")
		a.op("KMOVW", "AX", "K1")
		return
	}
	a.op("LEAQ", "live<>(SB)", "AX")
	a.op("NEGQ", "CX")
	a.op("VMOVUPS", fmt.Sprintf("%d(AX)(CX*4)", 4*a.lanes), a.v(maskReg))
}

// each emits body for every vector of CX values: a loop for whole vectors, and once more for the part that may remain. The registers in pointers advance. It spoils AX and CX.
func (a *asm) each(pointers []string, body func()) {
	loop, rest, done := a.label("loop"), a.label("rest"), a.label("done")
	a.op("SUBQ", imm(a.lanes), "CX")
	a.op("JLT", rest)
	a.at(loop)
	body()
	for _, p := range pointers {
		a.op("ADDQ", imm(4*a.lanes), p)
	}
	a.op("SUBQ", imm(a.lanes), "CX")
	a.op("JGE", loop)
	a.at(rest)
	a.op("ADDQ", imm(a.lanes), "CX")
	a.op("JEQ", done)
	a.mask()
	a.partial = true
	body()
	a.partial = false
	a.at(done)
}

// fold reduces vector r to its lowest lane with op, such as VADDPS. It spoils register t.
func (a *asm) fold(op string, r, t int) {
	if a.name == avx512.name {
		a.op("VEXTRACTF64X4", "$1", a.v(r), fmt.Sprintf("Y%d", t))
		a.op(op, fmt.Sprintf("Y%d", t), fmt.Sprintf("Y%d", r), fmt.Sprintf("Y%d", r))
	}
	a.op("VEXTRACTF128", "$1", fmt.Sprintf("Y%d", r), x(t))
	a.op(op, x(t), x(r), x(r))
	a.op("VMOVHLPS", x(r), x(r), x(t))
	a.op(op, x(t), x(r), x(r))
	a.op("VMOVSHDUP", x(r), x(t))
	a.op(op, x(t), x(r), x(r))
}
