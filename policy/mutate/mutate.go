package mutate

import (
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Mutant is a pack with one mistake.
type Mutant struct {
	Operator string // its name
	Rule     string // the rule that has the mistake
	Pos      proviso.Pos
	Was, Now string // what stood there, and what stands there now; in words where it is not text

	pack *pack.Pack
	rule int
	with *pack.Rule // nil: the rule is left out
}

// String tells the mistake in one line.
func (m Mutant) String() string {
	return fmt.Sprintf("%s %s: %s → %s", m.Rule, m.Operator, m.Was, m.Now)
}

// Pack returns the spoiled pack. It shares everything but the rule with the original, and neither may be changed.
func (m Mutant) Pack() *pack.Pack {
	p := *m.pack
	p.Rules = slices.Clone(m.pack.Rules)
	if m.with == nil {
		p.Rules = slices.Delete(p.Rules, m.rule, m.rule+1)
	} else {
		p.Rules[m.rule] = *m.with
	}
	return &p
}

// Original is the rule as it was.
func (m Mutant) Original() pack.Rule { return m.pack.Rules[m.rule] }

// Mutants makes every mutant of a pack that the operators make, in the order of the rules and of the operators. Rules that are switched off have none. nil stands for all operators.
func Mutants(p *pack.Pack, ops []Operator) []Mutant {
	if ops == nil {
		ops = Operators
	}
	var out []Mutant
	for i, r := range p.Rules {
		if r.Mode == pack.Off {
			continue
		}
		for _, op := range ops {
			s := &spoiler{m: Mutant{Operator: op.Name, Rule: r.ID.S, Pos: r.Pos, pack: p, rule: i}, rule: r}
			op.spoil(s)
			out = append(out, s.out...)
		}
	}
	return out
}

// spoiler collects the mutants of one rule and one operator.
type spoiler struct {
	m    Mutant
	rule pack.Rule
	out  []Mutant
}

// add adds a mutant whose rule was changed by change, which gets a copy that it may change at its top level.
func (s *spoiler) add(pos proviso.Pos, was, now string, change func(r *pack.Rule)) {
	r := s.rule
	change(&r)
	m := s.m
	m.Was, m.Now, m.with = was, now, &r
	if pos.Line > 0 {
		m.Pos = pos
	}
	s.out = append(s.out, m)
}

// texts calls f for every expression of the rule, with a function that makes a rule in which it reads otherwise.
func (s *spoiler) texts(f func(t pack.Text, set func(r *pack.Rule, expr string))) {
	for i, l := range s.rule.Lets {
		f(l.Expr, func(r *pack.Rule, expr string) {
			r.Lets = slices.Clone(r.Lets)
			r.Lets[i].Expr = pack.Text{S: expr, Pos: l.Expr.Pos}
		})
	}
	s.conditions(func(c *pack.Cond, set func(r *pack.Rule, with *pack.Cond)) {
		if leaf(c) {
			f(c.Expr, func(r *pack.Rule, expr string) {
				set(r, &pack.Cond{Op: c.Op, Expr: pack.Text{S: expr, Pos: c.Expr.Pos}, Pos: c.Pos})
			})
		}
	})
}

// conditions calls f for every node of the rule's conditions, with a function that puts another in its place.
func (s *spoiler) conditions(f func(c *pack.Cond, set func(r *pack.Rule, with *pack.Cond))) {
	each(s.rule.When, func(c *pack.Cond) {
		f(c, func(r *pack.Rule, with *pack.Cond) { r.When = replaced(s.rule.When, c, with) })
	})
	each(s.rule.Require, func(c *pack.Cond) {
		f(c, func(r *pack.Rule, with *pack.Cond) { r.Require = replaced(s.rule.Require, c, with) })
	})
}

func leaf(c *pack.Cond) bool { return len(c.Kids) == 0 }

func each(c *pack.Cond, f func(*pack.Cond)) {
	if c == nil {
		return
	}
	f(c)
	for _, k := range c.Kids {
		each(k, f)
	}
}

// replaced returns a tree with one node in the place of another; what does not contain it is shared.
func replaced(root, at, with *pack.Cond) *pack.Cond {
	if root == at {
		return with
	}
	if root == nil || leaf(root) {
		return root
	}
	c := *root
	c.Kids = make([]*pack.Cond, len(root.Kids))
	for i, k := range root.Kids {
		c.Kids[i] = replaced(k, at, with)
	}
	return &c
}
