package tree

import "github.com/proviso-dev/proviso"

// Set is the set of truth values that a node takes over the completions of its open atoms.
type Set uint8

// The sets. A node whose set is Open can still become either.
const (
	IsFalse Set = 1
	IsTrue  Set = 2
	Open    Set = IsFalse | IsTrue
	// Err is the value of an atom whose evaluation failed. It is never completed: it counts as the value that restricts, whatever the sign under which it stands.
	Err Set = 4
)

// SetOf converts a truth value; Unknown is Open.
func SetOf(t proviso.Tri) Set { return [...]Set{IsFalse, Open, IsTrue}[t] }

// Tri converts a set back; Open and Err are Unknown.
func (s Set) Tri() proviso.Tri {
	switch s {
	case IsFalse:
		return proviso.False
	case IsTrue:
		return proviso.True
	}
	return proviso.Unknown
}

// And returns the values of a conjunction of independent operands.
func (s Set) And(t Set) Set { return (s|t)&IsFalse | s&t&IsTrue }

// Or returns the values of a disjunction of independent operands.
func (s Set) Or(t Set) Set { return s&t&IsFalse | (s|t)&IsTrue }

// Not returns the values of the negation.
func (s Set) Not() Set { return s&IsFalse<<1 | s&IsTrue>>1 }

// Eval returns the values that n can take. atom gives the set of each atom and is called at most as often as needed.
//
// onErr is what an erring atom counts as under a positive sign: IsFalse where a true root permits (a grant then does not match), IsTrue where a true root restricts (a rule then fires).
// Under a negation the opposite holds. This is Kleene's logic with the erring atoms left unknown and the unknown root read strictly: the pessimistic completion of a
// formula is true exactly when Kleene's value is True. An If whose condition errs is in error as a whole, as in CEL.
//
// The result is exact where every open atom occurs once in n; else it may contain values that no completion reaches, never lack one.
func Eval(n *Node, onErr Set, atom func(int) Set) Set {
	if n == nil {
		return IsTrue
	}
	switch n.Op {
	case Atom:
		s := atom(n.Atom)
		if s == Err {
			return onErr
		}
		return s
	case Not:
		return Eval(n.Kids[0], onErr.Not(), atom).Not()
	case All, Chain:
		acc := IsTrue
		for _, k := range n.Kids {
			if acc = acc.And(Eval(k, onErr, atom)); acc == IsFalse {
				return IsFalse
			}
		}
		return acc
	case Any, Gate:
		acc := IsFalse
		for _, k := range n.Kids {
			if acc = acc.Or(Eval(k, onErr, atom)); acc == IsTrue {
				return IsTrue
			}
		}
		return acc
	default: // If
		c := values(n.Kids[0], atom)
		var acc Set
		if c&IsTrue != 0 {
			acc |= Eval(n.Kids[1], onErr, atom)
		}
		if c&IsFalse != 0 {
			acc |= Eval(n.Kids[2], onErr, atom)
		}
		if c&Err != 0 {
			acc |= onErr
		}
		return acc
	}
}

// values is Eval with errors kept apart: the set may hold Err, where Kleene's value is unknown because of an error.
// A condition needs it, because an If reads its condition under both signs at once.
func values(n *Node, atom func(int) Set) Set {
	if n == nil {
		return IsTrue
	}
	switch n.Op {
	case Atom:
		return atom(n.Atom)
	case Not:
		s := values(n.Kids[0], atom)
		return s.Not() | s&Err
	case All, Chain:
		acc := IsTrue
		for _, k := range n.Kids {
			if acc = and3(acc, values(k, atom)); acc == IsFalse {
				return IsFalse
			}
		}
		return acc
	case Any, Gate:
		acc := IsTrue // of the negation
		for _, k := range n.Kids {
			s := values(k, atom)
			if acc = and3(acc, s.Not()|s&Err); acc == IsFalse {
				return IsTrue
			}
		}
		return acc.Not() | acc&Err
	}
	c := values(n.Kids[0], atom)
	acc := c & Err
	if c&IsTrue != 0 {
		acc |= values(n.Kids[1], atom)
	}
	if c&IsFalse != 0 {
		acc |= values(n.Kids[2], atom)
	}
	return acc
}

func and3(s, t Set) Set {
	r := s.And(t)
	if s&Err != 0 && t&(Err|IsTrue) != 0 || t&Err != 0 && s&IsTrue != 0 {
		r |= Err
	}
	return r
}

// Missing appends the open atoms whose value can still change n, in the order in which evidence is gathered:
// of the children of Chain and Gate only the first that yields any. relevant may veto atoms; nil vetoes none.
// The sets are those of Eval with the same onErr.
func Missing(n *Node, onErr Set, atom func(int) Set, relevant func(int) bool, out []int) []int {
	return (&collector{atom, relevant, true}).collect(n, onErr, out)
}

// OpenAtoms appends all open atoms whose value can still change n, whatever the order of evidence.
func OpenAtoms(n *Node, onErr Set, atom func(int) Set, out []int) []int {
	return (&collector{atom, nil, false}).collect(n, onErr, out)
}

type collector struct {
	atom     func(int) Set
	relevant func(int) bool
	ordered  bool
}

func (c *collector) collect(n *Node, onErr Set, out []int) []int {
	if n == nil || Eval(n, onErr, c.atom) != Open {
		return out
	}
	switch n.Op {
	case Atom:
		if c.relevant == nil || c.relevant(n.Atom) {
			out = append(out, n.Atom)
		}
		return out
	case Not:
		return c.collect(n.Kids[0], onErr.Not(), out)
	case If:
		return c.branches(n, onErr, out)
	}
	for _, k := range n.Kids {
		before := len(out)
		out = c.collect(k, onErr, out)
		if c.ordered && (n.Op == Chain || n.Op == Gate) && len(out) > before {
			return out
		}
	}
	return out
}

func (c *collector) branches(n *Node, onErr Set, out []int) []int {
	before := len(out)
	if out = c.collect(n.Kids[0], IsFalse, out); len(out) == before {
		out = c.collect(n.Kids[0], IsTrue, out)
	}
	v := values(n.Kids[0], c.atom)
	if v&IsTrue != 0 {
		out = c.collect(n.Kids[1], onErr, out)
	}
	if v&IsFalse != 0 {
		out = c.collect(n.Kids[2], onErr, out)
	}
	return out
}

// Kleene is the slow, obvious evaluation that Eval is checked against: strong three-valued logic without shortcuts.
func Kleene(n *Node, atom func(int) proviso.Tri) proviso.Tri {
	if n == nil {
		return proviso.True
	}
	switch n.Op {
	case Atom:
		return atom(n.Atom)
	case Not:
		return Kleene(n.Kids[0], atom).Not()
	case All, Chain:
		v := proviso.True
		for _, k := range n.Kids {
			v = min(v, Kleene(k, atom))
		}
		return v
	case Any, Gate:
		v := proviso.False
		for _, k := range n.Kids {
			v = max(v, Kleene(k, atom))
		}
		return v
	}
	switch Kleene(n.Kids[0], atom) {
	case proviso.True:
		return Kleene(n.Kids[1], atom)
	case proviso.False:
		return Kleene(n.Kids[2], atom)
	}
	return proviso.Unknown
}

// MaxEnumerate is the number of open atoms up to which completions are enumerated.
const MaxEnumerate = 16

// Equivalent reports whether a and b have the same value under every assignment of their atoms.
// ok is false where they hold more than MaxEnumerate different atoms; the answer is then not known.
func Equivalent(a, b *Node) (equal, ok bool) {
	index := map[int]int{}
	for _, i := range b.Atoms(a.Atoms(nil)) {
		if _, seen := index[i]; !seen {
			index[i] = len(index)
		}
	}
	if len(index) > MaxEnumerate {
		return false, false
	}
	for m := range 1 << len(index) {
		v := func(i int) proviso.Tri { return proviso.TriOf(m>>index[i]&1 == 1) }
		if Kleene(a, v) != Kleene(b, v) {
			return false, true
		}
	}
	return true, true
}
