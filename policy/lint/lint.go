// Package lint finds what loads and compiles but may not say what its author means: one value per check.
package lint

import (
	"cel.dev/cel-go/common/ast"
	"maps"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Lint is one check of packs that load and compile but may not say what their author means.
// Code and Name are stable and unique; Doc is one sentence that completes "finds …"; the section of docs/errors.md under the code tells more.
// Run looks at one pack. It sets position, message and hint of its findings; Check fills in code and severity.
type Lint struct {
	Code, Name, Doc string
	Severity        proviso.Severity
	Run             func(*Subject) proviso.Diagnostics
}

// Check runs every lint over the packs and returns the findings, sorted by position. p is the policy that the packs compile to, nil where they do not compile.
// None of the findings keeps a pack from being used; those of severity Error say that a part of it can never work.
func Check(packs []*pack.Pack, p *policy.Policy) proviso.Diagnostics {
	var out proviso.Diagnostics
	for _, pk := range packs {
		s := newSubject(pk, packs, p)
		for _, l := range Lints {
			for _, d := range l.Run(s) {
				d.Code, d.Severity = l.Code, l.Severity
				out = append(out, d)
			}
		}
	}
	out.Sort()
	return out
}

// Subject is a pack under lint, with what the checks share: its expressions parsed once, and the tools of all packs.
type Subject struct {
	Pack   *pack.Pack
	Packs  []*pack.Pack   // all packs that are checked together, Pack among them
	Policy *policy.Policy // nil where the packs do not compile

	tools map[string]pack.Tool // of all packs
	names []string             // of the tools, sorted
	sites []*site
	reads map[string]bool // identifiers and paths that the expressions of all packs read
}

// place is where an expression stands in a pack.
type place uint8

const (
	inGrant place = iota
	inWhen
	inRequire
	inSet
	inLet
	inSource
	inQuestion
)

// site is one expression of a pack, parsed. expr is nil where the text is no CEL; compiling reports that.
type site struct {
	text  pack.Text
	place place
	sign  int // of conditions: +1 where true permits, -1 where true forbids, 0 where neither can be said
	expr  ast.Expr
	info  *ast.SourceInfo
	tools []string   // that the expression is evaluated for
	rule  *pack.Rule // nil outside of rules
	lets  map[string]*site
	let   *pack.Let // of place inLet
}

func newSubject(pk *pack.Pack, packs []*pack.Pack, p *policy.Policy) *Subject {
	s := &Subject{Pack: pk, Packs: packs, Policy: p, tools: map[string]pack.Tool{}, reads: map[string]bool{}}
	for _, x := range packs {
		for _, t := range x.Tools {
			s.tools[t.Name] = t
		}
	}
	s.names = slices.Sorted(maps.Keys(s.tools))
	for _, x := range packs {
		sites := s.collect(x)
		if x == pk {
			s.sites = sites
		}
		for _, e := range sites {
			if e.expr != nil {
				freePaths(e.expr, s.reads)
			}
		}
	}
	return s
}

// collect parses every expression of a pack.
func (s *Subject) collect(pk *pack.Pack) (out []*site) {
	shared := map[string]*site{}
	add := func(e *site) *site {
		e.expr, e.info = parseCEL(e.text.S)
		out = append(out, e)
		return e
	}
	lets := func(list []pack.Let, outer map[string]*site, tools []string, r *pack.Rule) map[string]*site {
		if len(list) == 0 {
			return outer
		}
		inner := make(map[string]*site, len(outer)+len(list))
		for k, v := range outer {
			inner[k] = v
		}
		for i := range list {
			inner[list[i].Name.S] = add(&site{text: list[i].Expr, place: inLet, tools: tools, rule: r, lets: inner, let: &list[i]})
		}
		return inner
	}
	lets(pk.Lets, shared, nil, nil)
	for i := range pk.Lets {
		for _, e := range out {
			if e.let == &pk.Lets[i] {
				shared[pk.Lets[i].Name.S] = e
				e.lets = shared
			}
		}
	}
	conds := func(c *pack.Cond, at place, sign int, tools []string, r *pack.Rule, scope map[string]*site) {
		eachLeaf(c, sign, func(t pack.Text, sign int) {
			add(&site{text: t, place: at, sign: sign, tools: tools, rule: r, lets: scope})
		})
	}
	grant := func(g *pack.Grant) {
		tools := s.matching(g.Tools)
		conds(g.When, inGrant, 1, tools, nil, lets(g.Lets, shared, tools, nil))
	}
	for i := range pk.Grants {
		grant(&pk.Grants[i])
	}
	for i := range pk.Scopes {
		for j := range pk.Scopes[i].Grants {
			grant(&pk.Scopes[i].Grants[j])
		}
	}
	for i := range pk.Rules {
		r := &pk.Rules[i]
		tools := s.ruleTools(r)
		scope := lets(r.Lets, shared, tools, r)
		require := 1
		if r.Else.Outcome == proviso.Allow { // edits and notices follow where require is false: neither direction is the safe one
			require = 0
		}
		conds(r.When, inWhen, -require, tools, r, scope)
		conds(r.Require, inRequire, require, tools, r, scope)
		for _, x := range r.Else.Set {
			add(&site{text: x.Expr, place: inSet, tools: tools, rule: r, lets: scope})
		}
	}
	for _, f := range pk.Facts {
		for _, src := range append(append([]pack.Source(nil), f.From...), f.Stale...) {
			tools := s.matching([]pack.Text{src.Tool})
			for _, k := range slices.Sorted(maps.Keys(src.Keys)) {
				add(&site{text: src.Keys[k], place: inSource, tools: tools})
			}
			for _, t := range []*pack.Text{src.Each, src.Value, src.When} {
				if t != nil {
					add(&site{text: *t, place: inSource, tools: tools})
				}
			}
		}
	}
	for _, q := range pk.Questions {
		for _, t := range q.About {
			add(&site{text: t, place: inQuestion, lets: shared})
		}
	}
	return out
}

// matching returns the known tools that one of the globs matches.
func (s *Subject) matching(globs []pack.Text) (out []string) {
	for _, n := range s.names {
		if pack.MatchAny(globs, n) {
			out = append(out, n)
		}
	}
	return out
}

// ruleTools returns the tools that a rule is about; none for a rule on points without a tool.
func (s *Subject) ruleTools(r *pack.Rule) []string {
	for _, p := range ruleOn(r) {
		if p == proviso.ToolCallPoint || p == proviso.ToolResultPoint {
			if len(r.Tools) == 0 {
				return s.names
			}
			return s.matching(r.Tools)
		}
	}
	return nil
}

// ruleOn returns the points of a rule, with the default written out.
func ruleOn(r *pack.Rule) []proviso.Point {
	if len(r.On) == 0 {
		return []proviso.Point{proviso.ToolCallPoint}
	}
	return r.On
}

// eachLeaf calls f for every expression of a condition with the sign that a true expression has for the whole.
func eachLeaf(c *pack.Cond, sign int, f func(t pack.Text, sign int)) {
	if c == nil {
		return
	}
	switch {
	case len(c.Kids) == 0:
		f(c.Expr, sign)
	case c.Op == negation:
		eachLeaf(c.Kids[0], -sign, f)
	default:
		for _, k := range c.Kids {
			eachLeaf(k, sign, f)
		}
	}
}

// granted reports whether every rank that states grants has one for the tool, whatever its condition.
func (s *Subject) granted(tool string) bool {
	stated, found := map[pack.Rank]bool{}, map[pack.Rank]bool{}
	for _, p := range s.Packs {
		stated[p.Rank] = stated[p.Rank] || p.HasGrants
		for _, g := range p.Grants {
			found[p.Rank] = found[p.Rank] || pack.MatchAny(g.Tools, tool)
		}
		for _, sc := range p.Scopes {
			for _, g := range sc.Grants {
				found[p.Rank] = found[p.Rank] || pack.MatchAny(g.Tools, tool)
			}
		}
	}
	any := false
	for rank := range stated {
		if stated[rank] && !found[rank] {
			return false
		}
		any = any || found[rank]
	}
	return any
}

// isRead reports whether a tool is declared to read only.
func (s *Subject) isRead(tool string) bool {
	if s.tools[tool].ReadOnly {
		return true
	}
	for _, p := range s.Packs {
		if pack.MatchAny(p.Reads, tool) {
			return true
		}
	}
	return false
}

// found is one finding; Check completes it.
func found(pos proviso.Pos, msg, hint string) proviso.Diagnostic {
	return proviso.Diagnostic{Pos: pos, Msg: msg, Hint: hint}
}
