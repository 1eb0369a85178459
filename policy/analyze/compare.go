package analyze

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// Relation says how what a new policy permits relates to what an old one did. Unknown is the zero value.
type Relation uint8

// The relations.
const (
	Unknown   Relation = iota
	Same               // both decide every call alike
	Narrowing          // no call gets a milder outcome, some a stricter one
	Widening           // some call gets a milder outcome, none a stricter one
	Both               // some get milder ones, others stricter ones
)

// String returns the relation in lower case.
func (r Relation) String() string {
	return [...]string{"unknown", "same", "narrowing", "widening", "both"}[r]
}

// Change is what a new policy does to the calls of one tool.
type Change struct {
	Tool     string
	Relation Relation
	Widens   *Witness // a call that the new policy treats more mildly; nil where there is none, or none was found
	Narrows  *Witness // a call that it treats more strictly
	// NoWiden and NoNarrow tell what is proved: that no call is treated more mildly, and none more strictly.
	NoWiden, NoNarrow bool
	Why               string // what kept a proof from being finished, where the relation is Unknown
}

// Compare relates the calls of every tool that either policy knows, in the order of the tools' names. The outcomes are ordered as they are everywhere:
// deny is stricter than escalate, and that than allow; an edit that is dropped is milder. Time, memory and answers are bounded per tool.
func Compare(old, new *policy.Policy) []Change {
	var out []Change
	for _, name := range union(old.Tools(), new.Tools()) {
		out = append(out, compareTool(old, new, name))
	}
	return out
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// pair is one tool under two policies over one space of atoms.
type pair struct {
	s        *space
	old, new *side
}

// side is one policy's share.
type side struct {
	src    *source
	known  bool // the policy knows the tool
	grants [][]permission
	rules  []restriction
}

type permission struct {
	policy.GrantAnatomy
	root *tree.Node
}

type restriction struct {
	policy.RuleAnatomy
	root *tree.Node
	sets string // what it sets, canonically
}

func (s *space) side(p *policy.Policy, tool string) *side {
	a, ok := p.Anatomy(tool)
	sd := &side{src: &source{p, a}, known: ok}
	for _, rank := range a.Grants {
		var ps []permission
		for _, g := range rank {
			ps = append(ps, permission{g, s.mapped(sd.src, g.Root)})
		}
		sd.grants = append(sd.grants, ps)
	}
	for _, r := range a.Rules {
		sd.rules = append(sd.rules, restriction{r, s.mapped(sd.src, r.Root), sd.src.sets(r.Sets)})
	}
	return sd
}

// situation is who calls, and in which scope.
type situation struct{ agent, scope string }

// atLeast lists the conditions that are all true where the outcome is o or milder: the grants of every rank, and no rule that is stricter.
func (sd *side) atLeast(o proviso.Outcome, at situation) []*tree.Node {
	if !sd.known || len(sd.grants) == 0 {
		return []*tree.Node{{Op: tree.Any}}
	}
	var all []*tree.Node
	for _, rank := range sd.grants {
		any := &tree.Node{Op: tree.Any}
		for _, g := range rank {
			if (g.Scope == "" || g.Scope == at.scope) && named(g.Agents, at.agent) {
				any.Kids = append(any.Kids, g.root)
			}
		}
		all = append(all, any)
	}
	for _, r := range sd.rules {
		if r.takesPart(at) && r.Effect.Outcome < o {
			all = append(all, not(r.root))
		}
	}
	return all
}

func not(n *tree.Node) *tree.Node { return &tree.Node{Op: tree.Not, Kids: []*tree.Node{n}} }

// implies reports whether a list of conditions obviously implies one: it has the same, or a disjunction of some of its parts.
func implies(list []*tree.Node, n *tree.Node) bool {
	want := parts(n)
	return slices.ContainsFunc(list, func(have *tree.Node) bool {
		for _, p := range parts(have) {
			if !slices.Contains(want, p) {
				return false
			}
		}
		return true
	})
}

// parts writes the parts of a disjunction, or the condition itself.
func parts(n *tree.Node) []string {
	write := func(n *tree.Node) string { return tree.Print(n, strconv.Itoa) }
	if n == nil || n.Op != tree.Any {
		return []string{write(n)}
	}
	out := make([]string, len(n.Kids))
	for i, k := range n.Kids {
		out[i] = write(k)
	}
	return out
}

func (r *restriction) takesPart(at situation) bool {
	return r.Mode == pack.Enforce && named(r.Agents, at.agent) && (len(r.Scopes) == 0 || slices.Contains(r.Scopes, at.scope))
}

func named(globs []string, agent string) bool {
	return len(globs) == 0 || pack.MatchAny(texts(globs), agent)
}

func texts(ss []string) []pack.Text {
	out := make([]pack.Text, len(ss))
	for i, s := range ss {
		out[i] = pack.Text{S: s}
	}
	return out
}

// situations are enough agents and scopes to tell apart everything that the sides tell apart; exact is false where two patterns with * might overlap in a way that no example meets.
func situations(sides ...*side) (out []situation, exact bool) {
	agents, scopes := []string{""}, []string{""}
	globs := map[string]bool{}
	for _, sd := range sides {
		for _, rank := range sd.grants {
			for _, g := range rank {
				scopes = append(scopes, g.Scope)
				for _, a := range g.Agents {
					globs[a] = true
				}
			}
		}
		for _, r := range sd.rules {
			scopes = append(scopes, r.Scopes...)
			for _, a := range r.Agents {
				globs[a] = true
			}
		}
	}
	stars := 0
	for _, g := range sortedNames(globs) {
		if strings.ContainsAny(g, "*?[") {
			stars++
		}
		agents = append(agents, strings.NewReplacer("*", "x", "?", "x").Replace(g))
	}
	if len(globs) > 0 {
		agents = append(agents, "someone-else")
	}
	for _, a := range unique(agents) {
		for _, sc := range unique(scopes) {
			out = append(out, situation{a, sc})
		}
	}
	return out, stars <= 1
}

func unique(ss []string) []string {
	slices.Sort(ss)
	return slices.Compact(ss)
}

func compareTool(old, new *policy.Policy, name string) Change {
	s := newSpace()
	pr := &pair{s, s.side(old, name), s.side(new, name)}
	c := Change{Tool: name}
	doubts := pr.doubts()
	var st status
	if c.Widens, st = pr.milder(pr.old, pr.new); st == undecided {
		doubts = append(doubts, "whether a call is treated more mildly was not decided")
	}
	// A proof needs everything to be understood; a witness speaks for itself.
	c.NoWiden = st == unsatisfiable && len(doubts) == 0
	var back status
	if c.Narrows, back = pr.milder(pr.new, pr.old); back == undecided {
		doubts = append(doubts, "whether a call is treated more strictly was not decided")
	}
	c.NoNarrow = back == unsatisfiable && len(doubts) == 0
	switch {
	case c.Widens != nil && c.Narrows != nil:
		c.Relation = Both
	case c.NoWiden && c.NoNarrow:
		c.Relation = Same
	case c.NoWiden && c.Narrows != nil:
		c.Relation = Narrowing
	case c.NoNarrow && c.Widens != nil:
		c.Relation = Widening
	default:
		c.Why = strings.Join(doubts, "; ")
	}
	return c
}

// doubts lists what the trees do not say.
func (pr *pair) doubts() []string {
	var out []string
	if pr.old.known && pr.new.known && !sameSchema(pr.old.src.a.Decl, pr.new.src.a.Decl) {
		out = append(out, "the tool's schema changed")
	}
	if _, exact := situations(pr.old, pr.new); !exact {
		out = append(out, "several agent patterns may overlap")
	}
	for _, sd := range []*side{pr.old, pr.new} {
		for _, r := range sd.rules {
			if r.Lifted {
				out = append(out, fmt.Sprintf("an override lifts rule %s for a time", r.ID))
			}
		}
		if sd.src.p.OpenOnErrors(proviso.ToolCallPoint) {
			out = append(out, "a pack opens tool calls on errors")
		}
	}
	return out
}

// milder looks for a call that to treats more mildly than from.
func (pr *pair) milder(from, to *side) (*Witness, status) {
	worst := unsatisfiable
	all, _ := situations(from, to)
	for _, at := range all {
		for _, o := range []proviso.Outcome{proviso.Allow, proviso.Escalate} {
			permitted := to.atLeast(o, at)
			for _, n := range from.atLeast(o, at) {
				if implies(permitted, n) {
					continue
				}
				w, st := pr.s.find(append([]*tree.Node{not(n)}, permitted...), to.src, func(m *model) *Witness {
					w := pr.s.build(to.src, m, at.agent, at.scope)
					if w == nil || rank(w.Decide(to.src.p)) < o || rank(w.Decide(from.src.p)) >= o {
						return nil
					}
					return w
				})
				if w != nil {
					return w, satisfiable
				}
				worst = max(worst, st)
			}
		}
		w, st := pr.dropped(from, to, at)
		if w != nil {
			return w, satisfiable
		}
		worst = max(worst, st)
	}
	return nil, worst
}

// rank is the outcome of a decision; a call that waits for information is not allowed.
func rank(d proviso.Decision) proviso.Outcome {
	if d.Outcome == proviso.NeedInfo {
		return proviso.Deny
	}
	return d.Outcome
}

// dropped looks for a call that both permit, and from which only from makes an edit.
func (pr *pair) dropped(from, to *side, at situation) (*Witness, status) {
	worst := unsatisfiable
	for i := range from.rules {
		r := &from.rules[i]
		if !r.takesPart(at) || r.Effect.Outcome != proviso.Allow || len(r.Effect.Set) == 0 {
			continue
		}
		goal := slices.Concat([]*tree.Node{r.root}, to.atLeast(proviso.Escalate, at), from.atLeast(proviso.Escalate, at))
		for j := range to.rules {
			if o := &to.rules[j]; o.takesPart(at) && r.sets == o.sets {
				goal = append(goal, not(o.root))
			}
		}
		w, st := pr.s.find(goal, to.src, func(m *model) *Witness {
			w := pr.s.build(to.src, m, at.agent, at.scope)
			if w == nil || len(w.Decide(from.src.p).Edits) <= len(w.Decide(to.src.p).Edits) {
				return nil
			}
			return w
		})
		if w != nil {
			return w, satisfiable
		}
		worst = max(worst, st)
	}
	return nil, worst
}

// sets writes what a rule sets so that it is the same text wherever it means the same.
func (src *source) sets(ss []policy.SetAnatomy) string {
	r := &reader{src: src}
	var b strings.Builder
	for _, s := range ss {
		fmt.Fprintf(&b, "%s = %s\n", s.Path, r.canonical(s.Expr))
	}
	return b.String()
}
