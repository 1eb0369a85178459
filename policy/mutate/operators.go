package mutate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// Operator is one kind of mistake. Doc is what it does to a rule, for the list that people read.
type Operator struct {
	Name, Doc string
	spoil     func(*spoiler)
}

// Operators are the twelve kinds of mistakes, in the order in which mutants are made and listed. It is read-only; programs choose from it by name.
var Operators = []Operator{
	{"rule", "leaves the rule out", dropRule},
	{"effect", "asks a person where the rule denied, or denies where it asked; leaves out a redaction, a setting or a notice", flipEffect},
	{"tool", "leaves out one of the tools", dropTool},
	{"agent", "leaves out one of the agents, or the only one", dropAgent},
	{"when", "applies the rule always", dropWhen},
	{"negate", "reverses a part of the condition", negate},
	{"connective", "takes and for or, all for any, and the reverse", swapConnective},
	{"operand", "leaves out one of the parts that and or or join: a requirement, or an exception", dropOperand},
	{"order", "gathers the evidence of a chain or gate in another order", swapOrder},
	{"comparator", "takes < for <=, > for >=, == for !=, and the reverse", swapComparator},
	{"boundary", "moves a number or a span of time by one", moveBoundary},
	{"value", "compares with another text", changeValue},
}

func dropRule(s *spoiler) {
	m := s.m
	m.Was, m.Now, m.with = "the rule", "nothing", nil
	s.out = append(s.out, m)
}

func flipEffect(s *spoiler) {
	e := s.rule.Else
	if len(e.Redact)+len(e.PII)+len(e.Secrets) > 0 {
		s.add(e.Pos, "redact", "nothing", func(r *pack.Rule) { r.Else.Redact, r.Else.PII, r.Else.Secrets = nil, nil, nil; silent(r) })
	}
	if len(e.Set) > 0 {
		s.add(e.Pos, "set", "nothing", func(r *pack.Rule) { r.Else.Set = nil; silent(r) })
	}
	if len(e.Notice) > 0 {
		s.add(e.Pos, "notice", "nothing", func(r *pack.Rule) { r.Else.Notice = nil; silent(r) })
	}
	switch e.Outcome {
	case proviso.Deny:
		s.add(e.Pos, "deny", "escalate", func(r *pack.Rule) { r.Else.Outcome = proviso.Escalate })
	case proviso.Escalate:
		s.add(e.Pos, "escalate", "deny", func(r *pack.Rule) { r.Else.Outcome = proviso.Deny })
	}
}

// silent switches a rule off whose effect is gone.
func silent(r *pack.Rule) {
	if e := r.Else; len(e.Redact)+len(e.PII)+len(e.Secrets)+len(e.Set)+len(e.Notice) == 0 {
		r.Mode = pack.Off
	}
}

func dropTool(s *spoiler) {
	for i, t := range s.rule.Tools {
		if len(s.rule.Tools) > 1 {
			s.add(t.Pos, t.S, "nothing", func(r *pack.Rule) { r.Tools = slices.Delete(slices.Clone(r.Tools), i, i+1) })
		}
	}
}

func dropAgent(s *spoiler) {
	for i, a := range s.rule.Agents {
		now := "nothing"
		if len(s.rule.Agents) == 1 {
			now = "every agent"
		}
		s.add(a.Pos, a.S, now, func(r *pack.Rule) { r.Agents = slices.Delete(slices.Clone(r.Agents), i, i+1) })
	}
}

func dropWhen(s *spoiler) {
	if s.rule.When != nil {
		s.add(s.rule.When.Pos, "when", "always", func(r *pack.Rule) { r.When = nil })
	}
}

func negate(s *spoiler) {
	s.conditions(func(c *pack.Cond, set func(*pack.Rule, *pack.Cond)) {
		if !leaf(c) && c.Op != tree.Not {
			return
		}
		if c.Op == tree.Not && len(c.Kids) == 1 {
			s.add(c.Pos, "not", "nothing", func(r *pack.Rule) { set(r, c.Kids[0]) })
			return
		}
		s.add(c.Expr.Pos, brief(c.Expr.S), "not "+brief(c.Expr.S), func(r *pack.Rule) {
			set(r, &pack.Cond{Op: tree.Not, Kids: []*pack.Cond{c}, Pos: c.Pos})
		})
	})
	s.texts(func(t pack.Text, set func(*pack.Rule, string)) {
		for _, k := range scan(t.S) {
			if k.text == "!" {
				s.edit(t, k, "", set)
			}
		}
	})
}

// turned are the connectives that people take for each other.
var turned = map[tree.Op]tree.Op{tree.All: tree.Any, tree.Any: tree.All, tree.Chain: tree.Gate, tree.Gate: tree.Chain}

func swapConnective(s *spoiler) {
	s.conditions(func(c *pack.Cond, set func(*pack.Rule, *pack.Cond)) {
		if op, ok := turned[c.Op]; ok && len(c.Kids) > 1 {
			s.add(c.Pos, c.Op.String(), op.String(), func(r *pack.Rule) { set(r, &pack.Cond{Op: op, Kids: c.Kids, Pos: c.Pos}) })
		}
	})
	s.replaceTokens(map[string]string{"&&": "||", "||": "&&"})
}

func dropOperand(s *spoiler) {
	s.conditions(func(c *pack.Cond, set func(*pack.Rule, *pack.Cond)) {
		if _, ok := turned[c.Op]; !ok || len(c.Kids) < 2 {
			return
		}
		for i, k := range c.Kids {
			s.add(k.Pos, told(k), "nothing", func(r *pack.Rule) {
				set(r, &pack.Cond{Op: c.Op, Kids: slices.Delete(slices.Clone(c.Kids), i, i+1), Pos: c.Pos})
			})
		}
	})
	s.texts(func(t pack.Text, set func(*pack.Rule, string)) {
		for _, o := range operands(t.S) {
			s.add(t.At(o.start), brief(strings.TrimSpace(t.S[o.start:o.end])), "nothing", func(r *pack.Rule) { set(r, o.without(t.S)) })
		}
	})
}

func swapOrder(s *spoiler) {
	s.conditions(func(c *pack.Cond, set func(*pack.Rule, *pack.Cond)) {
		if c.Op != tree.Chain && c.Op != tree.Gate {
			return
		}
		for i := 0; i+1 < len(c.Kids); i++ {
			s.add(c.Kids[i].Pos, told(c.Kids[i])+" before "+told(c.Kids[i+1]), "the reverse", func(r *pack.Rule) {
				kids := slices.Clone(c.Kids)
				kids[i], kids[i+1] = kids[i+1], kids[i]
				set(r, &pack.Cond{Op: c.Op, Kids: kids, Pos: c.Pos})
			})
		}
	})
}

func swapComparator(s *spoiler) {
	s.replaceTokens(map[string]string{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="})
}

func moveBoundary(s *spoiler) {
	s.texts(func(t pack.Text, set func(*pack.Rule, string)) {
		for _, k := range scan(t.S) {
			for _, now := range beside(k) {
				s.edit(t, k, now, set)
			}
		}
	})
}

func changeValue(s *spoiler) {
	s.texts(func(t pack.Text, set func(*pack.Rule, string)) {
		toks := scan(t.S)
		for i, k := range toks {
			if k.kind != text || i > 0 && toks[i-1].text == "(" && !valued(toks, i) || i+1 < len(toks) && toks[i+1].text == ":" {
				continue
			}
			s.edit(t, k, other(k), set)
		}
	})
}

// replaceTokens makes a mutant for every token of the table.
func (s *spoiler) replaceTokens(by map[string]string) {
	s.texts(func(t pack.Text, set func(*pack.Rule, string)) {
		for _, k := range scan(t.S) {
			if now, ok := by[k.text]; ok && k.kind == sign {
				s.edit(t, k, now, set)
			}
		}
	})
}

// edit makes the mutant whose expression has other text in the place of a token.
func (s *spoiler) edit(t pack.Text, k token, now string, set func(*pack.Rule, string)) {
	expr := t.S[:k.start] + now + t.S[k.end:]
	s.add(t.At(k.start), brief(t.S), brief(expr), func(r *pack.Rule) { set(r, expr) })
}

func told(c *pack.Cond) string {
	if leaf(c) {
		return brief(c.Expr.S)
	}
	return fmt.Sprintf("%s of %d", c.Op, len(c.Kids))
}

// brief shortens an expression for a line.
func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 90 {
		return string(r[:89]) + "…"
	}
	return s
}
