// Package regular decides whether a text exists that satisfies a conjunction of RE2 patterns and length bounds, and shows one.
//
// The search walks the product of the patterns' automata from short texts to long ones, so that a text it finds is a shortest one, and one that it
// does not find does not exist. It knows nothing of policies.
package regular

import (
	"errors"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Constraint is one pattern that a text must match, or, with Not, must not match. A match may be anywhere in the text, as with CEL's matches and Go's MatchString.
type Constraint struct {
	Pattern string
	Not     bool
}

// Bounds are the lengths of a text in characters, inclusive. Max below zero means no bound; the zero value admits only the empty text, so use Any.
type Bounds struct{ Min, Max int }

// Any admits every length.
var Any = Bounds{0, -1}

// ErrBudget says that the search was given up: whether a text exists is unknown.
var ErrBudget = errors.New("too many states")

// ErrUnsupported says that a pattern has an assertion, such as a word boundary, that the search does not follow.
var ErrUnsupported = errors.New("the pattern has an assertion that cannot be analysed")

// Solve returns a shortest text that satisfies every constraint, and whether there is one. budget bounds the states visited; beyond it the error is ErrBudget.
// With an error nothing is known. Printable characters are preferred where a pattern leaves the choice.
func Solve(cs []Constraint, length Bounds, budget int) (text string, found bool, err error) {
	if length.Max >= 0 && length.Min > length.Max {
		return "", false, nil
	}
	s := &search{cs: cs, length: length}
	for _, c := range cs {
		a, err := compile(c.Pattern)
		if err != nil {
			return "", false, err
		}
		s.autos = append(s.autos, a)
	}
	return s.run(budget)
}

// automaton is a compiled pattern that reads a whole text: what may stand before and after a match is a part of it.
type automaton struct{ prog *syntax.Prog }

func compile(pattern string) (*automaton, error) {
	// The pattern must be one by itself: a bracket too many could close the group around it.
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return nil, err
	}
	re, err := syntax.Parse(`(?s:.*)(?:`+pattern+`)(?s:.*)`, syntax.Perl)
	if err != nil {
		return nil, err
	}
	p, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	for i := range p.Inst {
		if in := &p.Inst[i]; in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil, ErrUnsupported
		}
	}
	return &automaton{p}, nil
}

// closure follows the steps that read nothing. It returns the instructions that read a character or wait for the end, sorted, and whether the text matches if it ends here.
func (a *automaton) closure(from []uint32, begin bool) (set []uint32, accepts bool) {
	seen := make(map[uint32]uint8, 2*len(from)+8) // 1: reached, 2: reached only if the text ends here
	var walk func(pc uint32, ended bool)
	walk = func(pc uint32, ended bool) {
		mark := uint8(1)
		if ended {
			mark = 2
		}
		if old := seen[pc]; old == 1 || old == mark {
			return
		}
		seen[pc] = mark
		in := &a.prog.Inst[pc]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			walk(in.Out, ended)
			walk(in.Arg, ended)
		case syntax.InstCapture, syntax.InstNop:
			walk(in.Out, ended)
		case syntax.InstEmptyWidth:
			op := syntax.EmptyOp(in.Arg)
			if op&syntax.EmptyBeginText != 0 && !begin {
				return
			}
			walk(in.Out, ended || op&syntax.EmptyEndText != 0)
		case syntax.InstMatch:
			accepts = true
		case syntax.InstFail:
		default:
			if !ended {
				set = append(set, pc)
			}
		}
	}
	for _, pc := range from {
		walk(pc, false)
	}
	slices.Sort(set)
	return slices.Compact(set), accepts
}

func (a *automaton) step(set []uint32, r rune) []uint32 {
	var out []uint32
	for _, pc := range set {
		if in := &a.prog.Inst[pc]; in.MatchRune(r) {
			out = append(out, in.Out)
		}
	}
	return out
}

// search is one walk over the product.
type search struct {
	cs     []Constraint
	autos  []*automaton
	length Bounds
	alpha  []rune
}

// node is a state of the product: the sets of every automaton after the text that parent and r spell.
type node struct {
	sets   [][]uint32
	good   bool // the text may end here
	parent int
	r      rune
	depth  int
}

func (s *search) run(budget int) (string, bool, error) {
	s.alpha = alphabet(s.autos)
	from := make([][]uint32, len(s.autos))
	for i, a := range s.autos {
		from[i] = []uint32{uint32(a.prog.Start)}
	}
	first, _ := s.enter(from, true, 0)
	first.parent = -1
	nodes := []node{first}
	seen := map[string]bool{s.key(&first): true}
	for at := 0; at < len(nodes); at++ {
		if nodes[at].good {
			return spell(nodes, at), true, nil
		}
		depth := nodes[at].depth + 1
		if s.length.Max >= 0 && depth > s.length.Max {
			continue
		}
		for _, r := range s.alpha {
			next := make([][]uint32, len(s.autos))
			for i, a := range s.autos {
				next[i] = a.step(nodes[at].sets[i], r)
			}
			n, alive := s.enter(next, false, depth)
			if !alive {
				continue
			}
			k := s.key(&n)
			if seen[k] {
				continue
			}
			if len(seen) >= budget {
				return "", false, ErrBudget
			}
			seen[k] = true
			n.parent, n.r = at, r
			nodes = append(nodes, n)
		}
	}
	return "", false, nil
}

// enter closes the sets of a new node; alive is false where a pattern that must match no longer can.
func (s *search) enter(from [][]uint32, begin bool, depth int) (n node, alive bool) {
	n = node{sets: make([][]uint32, len(from)), depth: depth, good: depth >= s.length.Min}
	alive = true
	for i, a := range s.autos {
		set, accepts := a.closure(from[i], begin)
		n.sets[i] = set
		n.good = n.good && accepts != s.cs[i].Not
		if !s.cs[i].Not && len(set) == 0 && !accepts {
			alive = false
		}
	}
	return n, alive
}

// key identifies what the rest of a text depends on: the sets, and how many characters are still wanted. That a text is at most so long needs no part in it, because
// the first visit of a state is by a shortest text.
func (s *search) key(n *node) string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(min(n.depth, s.length.Min)))
	for i, set := range n.sets {
		b.WriteByte('|')
		if n.parent < 0 && i == 0 {
			b.WriteByte('^') // nothing was read: assertions of the beginning hold
		}
		for _, pc := range set {
			b.WriteString(strconv.FormatUint(uint64(pc), 36))
			b.WriteByte(',')
		}
	}
	if n.good {
		b.WriteByte('!')
	}
	return b.String()
}

func spell(nodes []node, at int) string {
	var rs []rune
	for ; nodes[at].parent >= 0; at = nodes[at].parent {
		rs = append(rs, nodes[at].r)
	}
	slices.Reverse(rs)
	return string(rs)
}

// alphabet returns one character for each class that no pattern tells apart, the readable ones first.
func alphabet(autos []*automaton) []rune {
	cuts := map[rune]bool{0: true, '\n': true, '\n' + 1: true}
	cut := func(lo, hi rune) {
		cuts[lo] = true
		if hi < unicode.MaxRune {
			cuts[hi+1] = true
		}
	}
	for _, a := range autos {
		for i := range a.prog.Inst {
			in := &a.prog.Inst[i]
			if in.Op != syntax.InstRune && in.Op != syntax.InstRune1 {
				continue
			}
			if len(in.Rune) == 1 {
				cut(in.Rune[0], in.Rune[0])
				for f := unicode.SimpleFold(in.Rune[0]); f != in.Rune[0]; f = unicode.SimpleFold(f) {
					cut(f, f)
				}
				continue
			}
			for k := 0; k+1 < len(in.Rune); k += 2 {
				cut(in.Rune[k], in.Rune[k+1])
			}
		}
	}
	cut(0xD800, 0xDFFF) // surrogates are no characters
	starts := make([]rune, 0, len(cuts))
	for r := range cuts {
		starts = append(starts, r)
	}
	slices.Sort(starts)
	out := make([]rune, 0, len(starts))
	for i, lo := range starts {
		hi := unicode.MaxRune
		if i+1 < len(starts) {
			hi = starts[i+1] - 1
		}
		if lo == 0xD800 {
			continue
		}
		out = append(out, readable(lo, hi))
	}
	slices.SortStableFunc(out, func(a, b rune) int { return rank(a) - rank(b) })
	return out
}

// readable picks from a class what a person reads best.
func readable(lo, hi rune) rune {
	for _, r := range "axAX0019-_.@/ " {
		if r >= lo && r <= hi {
			return r
		}
	}
	if r := max(lo, '!'); r <= min(hi, '~') {
		return r
	}
	for r := lo; r <= hi && r < lo+64; r++ {
		if unicode.IsPrint(r) {
			return r
		}
	}
	return lo
}

func rank(r rune) int {
	switch {
	case r >= 'a' && r <= 'z':
		return 0
	case r >= '0' && r <= '9' || r >= 'A' && r <= 'Z':
		return 1
	case r > ' ' && r <= '~':
		return 2
	case unicode.IsPrint(r):
		return 3
	}
	return 4
}
