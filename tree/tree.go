// Package tree holds expression trees, the one form in which Proviso decides, explains, asks, proves and generates:
// exact evaluation over all completions of open atoms, the evidence that is missing, equivalence, and the text form.
package tree

// Op is the kind of a node.
type Op uint8

// The kinds. All and Any without children are the constants true and false.
const (
	Atom  Op = iota // a leaf; its number is Node.Atom
	All             // and
	Any             // or
	Not             // negation of its one child
	Chain           // and, whose evidence is gathered from left to right
	Gate            // or, whose evidence is gathered from left to right
	If              // Kids[0] ? Kids[1] : Kids[2]
)

var opNames = [...]string{"atom", "all", "any", "not", "chain", "gate", "if"}

// String returns the connective's name as packs and the text form write it.
func (o Op) String() string { return opNames[o] }

// ParseOp returns the connective of that name; "atom" is none.
func ParseOp(s string) (Op, bool) {
	for i, n := range opNames {
		if i > 0 && n == s {
			return Op(i), true
		}
	}
	return Atom, false
}

// Node is one node of an expression tree. A nil *Node is the constant true, which is what an absent condition means.
// Nodes are immutable once built and may be shared between trees; an atom's number identifies it within one program.
type Node struct {
	Op   Op
	Atom int
	Kids []*Node
}

// Leaf returns the atom numbered i.
func Leaf(i int) *Node { return &Node{Op: Atom, Atom: i} }

// New returns a connective over kids. Nested nodes of the same commutative connective are flattened and double negation is removed,
// so that trees that differ only in bracketing are one.
func New(op Op, kids ...*Node) *Node {
	switch op {
	case Not:
		if kids[0] != nil && kids[0].Op == Not {
			return kids[0].Kids[0]
		}
	case All, Any:
		flat := make([]*Node, 0, len(kids))
		for _, k := range kids {
			if k != nil && k.Op == op {
				flat = append(flat, k.Kids...)
				continue
			}
			flat = append(flat, k)
		}
		if len(flat) == 1 {
			return flat[0]
		}
		kids = flat
	}
	return &Node{Op: op, Kids: kids}
}

// Atoms appends the numbers of all atoms of n, from left to right and once per occurrence.
func (n *Node) Atoms(out []int) []int {
	if n == nil {
		return out
	}
	if n.Op == Atom {
		return append(out, n.Atom)
	}
	for _, k := range n.Kids {
		out = k.Atoms(out)
	}
	return out
}

// Depth is the number of connectives on the longest path to an atom; negations do not count.
func (n *Node) Depth() int {
	if n == nil || n.Op == Atom {
		return 0
	}
	d := 0
	for _, k := range n.Kids {
		d = max(d, k.Depth())
	}
	if n.Op == Not {
		return d
	}
	return d + 1
}
