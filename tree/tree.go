// Package tree holds expression trees: Kleene's logic, exact decisions over completions, missing evidence, and the text form.
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
