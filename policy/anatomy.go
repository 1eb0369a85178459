package policy

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// Anatomy is everything that decides the calls of one tool, laid open for proofs. Nothing in it may be changed.
// The trees of grants and rules share the numbering of Atoms.
type Anatomy struct {
	Tool   string
	Decl   pack.Tool
	Args   *schema.Shape
	Grants [][]GrantAnatomy // by rank that states grants: within a rank they unite, across ranks they intersect
	Rules  []RuleAnatomy    // in the order of their ids; those switched off are left out
	Atoms  []AtomAnatomy
	Slots  []SlotAnatomy
}

// GrantAnatomy is one grant.
type GrantAnatomy struct {
	Agents []string
	Scope  string     // empty: in every scope
	Root   *tree.Node // nil: without a condition
	Words  string
	Pos    proviso.Pos
}

// RuleAnatomy is one rule. It fires where Root, which is when ∧ ¬require, is true.
type RuleAnatomy struct {
	ID      string
	Clauses []proviso.Clause
	Rank    pack.Rank
	Agents  []string
	Scopes  []string
	Effect  pack.Effect
	Mode    pack.Mode
	Lifted  bool       // an override may switch it off for a time
	When    *tree.Node // nil: always
	Require *tree.Node // nil: none
	Root    *tree.Node
	Sets    []SetAnatomy
	Pos     proviso.Pos
}

// SetAnatomy is one path that a rule sets, and the expression of its value.
type SetAnatomy struct {
	Path string
	Expr ast.Expr
}

// AtomAnatomy is one atom: a question, or a boolean CEL expression without connectives, whose comparisons are written with == and < only.
// In Expr an identifier @fN stands for the slot N, and a call of @called, @count, @sum, @last or @since has the number of a query (Policy.Queries) as its second argument and the values of the query's filter as its third.
type AtomAnatomy struct {
	Text     string
	Expr     ast.Expr
	TypeOf   func(ast.Expr) *types.Type // nil for an expression that is not part of the atom
	Question string                     // the id of the question that this is, else empty
	Native   bool                       // compiled to a closure, not left to CEL
}

// SlotAnatomy is one fully indexed look-up of a fact.
type SlotAnatomy struct {
	Fact int // its number in Policy.Facts
	Text string
	Keys []ast.Expr // one for each part of the key
}

// Anatomy lays open what decides the calls of a tool; ok is false where the policy does not know it.
func (p *Policy) Anatomy(name string) (a Anatomy, ok bool) {
	t := p.tools[name]
	if t == nil {
		return Anatomy{}, false
	}
	a = Anatomy{Tool: name, Decl: t.decl, Args: t.args}
	for _, rank := range t.call.grants {
		gs := make([]GrantAnatomy, len(rank))
		for i, g := range rank {
			gs[i] = GrantAnatomy{g.agents, g.scope, g.root, g.words, g.pos}
		}
		a.Grants = append(a.Grants, gs)
	}
	for _, r := range t.call.rules {
		ra := RuleAnatomy{ID: r.id, Clauses: r.clauses, Rank: r.rank, Agents: r.agents, Scopes: r.scopes, Effect: r.effect, Mode: r.mode,
			Lifted: len(r.lifted) > 0, When: r.when, Require: r.require, Root: r.root, Pos: r.pos}
		for _, s := range r.sets {
			ra.Sets = append(ra.Sets, SetAnatomy{s.path, s.checked.AST.Expr()})
		}
		a.Rules = append(a.Rules, ra)
	}
	for _, at := range t.call.atoms {
		aa := AtomAnatomy{Text: at.text, Expr: at.expr, Native: at.native != nil, TypeOf: func(e ast.Expr) *types.Type { return at.checked.AST.GetType(e.ID()) }}
		if at.question != nil {
			aa.Question = at.question.id
		}
		a.Atoms = append(a.Atoms, aa)
	}
	for _, s := range t.call.slots {
		a.Slots = append(a.Slots, SlotAnatomy{s.fact.index, s.text, s.exprs})
	}
	return a, true
}

// Table returns the value at a path of the tables, as conditions read it under data; ok is false where there is none.
func (p *Policy) Table(path ...string) (v any, ok bool) {
	v = p.data
	for _, name := range path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// TimeZone is the name of the zone that conditions read as tz.
func (p *Policy) TimeZone() string { return p.zone }

// Scopes returns the names of the compiled scopes, sorted.
func (p *Policy) Scopes() []string {
	out := make([]string, len(p.scopes))
	for i, s := range p.scopes {
		out[i] = s.name
	}
	return out
}

// OpenOnErrors reports whether a pack opens a point on errors (on_error: allow).
func (p *Policy) OpenOnErrors(pt proviso.Point) bool { return p.onError[pt] }
