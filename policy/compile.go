package policy

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	_ "time/tzdata" // time zones resolve at compile on any machine

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// Compile joins packs of any ranks into one policy. The policy is nil where a diagnostic of severity Error was found.
// The order of packs and of their sections does not matter; packs are not changed and must not be changed afterwards.
func Compile(packs ...*pack.Pack) (*Policy, proviso.Diagnostics) {
	var m Compiler
	return m.Compile(packs...)
}

// Compiler compiles variants of the same packs one after the other, and reads each expression and each schema that it met before only once. The zero value is ready for use, by one goroutine at a time.
type Compiler struct {
	parser  schema.Parser
	library schema.Library
}

// Compile joins packs as the function of that name does.
func (m *Compiler) Compile(packs ...*pack.Pack) (*Policy, proviso.Diagnostics) {
	packs = append([]*pack.Pack(nil), packs...)
	sort.SliceStable(packs, func(i, j int) bool {
		if packs[i].Rank != packs[j].Rank {
			return packs[i].Rank < packs[j].Rank
		}
		return packs[i].Name < packs[j].Name
	})
	c := &compiler{p: &Policy{packs: packs}, seen: map[string]bool{}, library: &m.library}
	c.space.Parser = &m.parser
	c.run()
	c.diags.Sort()
	if c.diags.Worst(proviso.Error) {
		return nil, c.diags
	}
	c.p.digest = pack.Digest(packs)
	return c.p, c.diags
}

// compiler is the state of one compilation.
type compiler struct {
	p         *Policy
	diags     proviso.Diagnostics
	seen      map[string]bool // diagnostics already given: a rule on many tools reports an error once
	library   *schema.Library
	shaper    *schema.Compiler
	prov      *schema.Provider
	base      *cel.Env
	data      *schema.Shape
	toolNames []string
	space     condition.Space
	factPacks map[string]pack.Fact
	scoped    map[string][]string // rule id → scopes
	lifts     map[string][]lift   // qualified rule id → overrides
}

func (c *compiler) diag(pos proviso.Pos, code, msg, hint string) {
	// The tool in brackets is left out of the comparison: one mistake in a rule on * is one finding.
	key := pos.String() + code + checkedFor.ReplaceAllString(msg, "")
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.diags = append(c.diags, proviso.Diagnostic{Pos: pos, Code: code, Severity: proviso.Error, Msg: msg, Hint: hint})
}

var checkedFor = lazyregexp.New(` \(checked for tool [^)]*\)`)

func (c *compiler) run() {
	p := c.p
	p.tools, p.points = map[string]*tool{}, map[proviso.Point]*program{}
	p.factIndex, p.questions = map[string]int{}, map[string]*question{}
	p.outcome, p.onError = map[proviso.Point]proviso.Outcome{}, map[proviso.Point]bool{}
	c.factPacks = map[string]pack.Fact{}
	c.scoped, c.lifts = map[string][]string{}, map[string][]lift{}
	c.settings()
	c.shaper = &schema.Compiler{Loc: p.loc, Structs: map[string]*schema.Shape{}, Library: c.library}
	reg, err := builtin.Registry()
	if err != nil { // unreachable: the types are constants, and tests make registries of them
		panic(err)
	}
	c.prov = &schema.Provider{Provider: reg, Structs: c.shaper.Structs}
	c.space.Provider, c.space.Report = c.prov, c.diag
	c.tools()
	c.labels()
	c.sessionShape()
	c.tables()
	c.declareFacts()
	c.questions()
	if !c.environment(reg) {
		return
	}
	c.scopes()
	c.overrides()
	c.sources()
	c.rules()
	c.programs()
	c.suppliers()
	p.queries, p.tracks, p.traced = c.space.Queries, c.space.Tracks, c.space.Traced
}

// environment builds the CEL environment that every program extends.
func (c *compiler) environment(reg *types.Registry) bool {
	opts := append(builtin.Options(), // before the type provider: they declare types, which only CEL's own provider takes
		cel.OptionalTypes(),
		cel.CustomTypeProvider(c.prov), cel.CustomTypeAdapter(reg),
		cel.ParserExpressionSizeLimit(16384), cel.ParserRecursionLimit(64), cel.RegexProgramSizeLimit(condition.MaxRegexProgram),
		cel.EnableMacroCallTracking(), cel.EnableIdentifierEscapeSyntax(),
		cel.Variable("now", cel.TimestampType), cel.Variable("tz", cel.StringType),
		cel.Variable("session", c.p.session.Type), cel.Variable("data", c.data.Type),
	)
	opts = append(opts, frameOptions()...)
	for _, f := range c.p.facts {
		if reservedNames[f.name] {
			c.diag(c.factPacks[f.name].Name.Pos, codeConflict, fmt.Sprintf("a fact cannot be called %q: conditions have a variable of that name", f.name), "rename the fact")
			return false
		}
		t := types.DynType
		if f.shape != nil {
			t = f.shape.Type
		}
		for i := len(f.keys) - 1; i >= 0; i-- {
			k := types.StringType
			if f.keys[i].Type == "integer" {
				k = types.IntType
			}
			t = types.NewMapType(k, t)
		}
		opts = append(opts, cel.Variable(f.name, t))
	}
	c.space.Questions = sortedKeys(c.p.questions)
	for _, q := range c.space.Questions {
		opts = append(opts, cel.Variable("judged."+q, cel.BoolType))
	}
	for _, f := range builtin.All {
		c.space.Functions = append(c.space.Functions, f.Name)
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		c.diag(proviso.Pos{File: "proviso.yaml"}, codeConflict, "the names of facts and questions do not fit together: "+err.Error(), "rename the fact or question that clashes with a built-in name")
		return false
	}
	c.base = env
	return true
}

// reservedNames are the variables of conditions, which facts may not hide.
var reservedNames = map[string]bool{"args": true, "call": true, "data": true, "former": true, "is_error": true, "item": true, "judged": true, "now": true, "result": true,
	"role": true, "session": true, "text": true, "tool": true, "tools": true, "tz": true}

func (c *compiler) scopes() {
	for _, pk := range c.p.packs {
		for _, s := range pk.Scopes {
			c.p.scopes = append(c.p.scopes, &scope{s.Name.S, s.Push, s.Pop})
			for _, m := range append(append([]pack.Matcher(nil), s.Push...), s.Pop...) {
				if m.Kind != "handoff" && !c.anyTool(m.Name) {
					c.diag(m.Pos, codeScope, fmt.Sprintf("scope %s: no tool matches %q", s.Name.S, m.Name), proviso.DidYouMean(m.Name, c.toolNames))
				}
			}
			for _, r := range pk.Rules {
				if pack.MatchAny(s.Rules, r.ID.S) {
					id := pk.Name + ":" + r.ID.S
					c.scoped[id] = append(c.scoped[id], s.Name.S)
				}
			}
		}
	}
	// An order of their own: where one event pushes several, the last by name is on top.
	sort.SliceStable(c.p.scopes, func(i, j int) bool { return c.p.scopes[i].name < c.p.scopes[j].name })
}

func (c *compiler) anyTool(glob string) bool {
	for _, n := range c.toolNames {
		if pack.Match(glob, n) {
			return true
		}
	}
	return false
}

// overrides resolves what each override lifts: a deny of a pack of strictly lower rank.
func (c *compiler) overrides() {
	for _, pk := range c.p.packs {
		for _, o := range pk.Overrides {
			c.cite(pk, o.Clause)
			lower, others := c.liftable(pk, o.Lifts.S)
			for _, id := range lower {
				c.lifts[id] = append(c.lifts[id], lift{o.By.S, o.Until})
			}
			// A name that no attached pack has is no error: the overlay that has the rule may be attached elsewhere.
			if len(lower) == 0 && len(others) > 0 {
				c.diag(o.Lifts.Pos, codeOverride, fmt.Sprintf("rule %s belongs to rank %s; a pack of rank %s may only lift rules of a lower rank", o.Lifts.S, others[0], pk.Rank), "change the rule, or let a higher rank lift it")
			}
		}
	}
}

// liftable finds the rules that a name means: those of lower ranks by their qualified ids, and the ranks of all others.
func (c *compiler) liftable(by *pack.Pack, name string) (lower []string, others []pack.Rank) {
	for _, other := range c.p.packs {
		for _, r := range other.Rules {
			switch {
			case name != r.ID.S && name != other.Name+":"+r.ID.S:
			case other.Rank > by.Rank:
				lower = append(lower, other.Name+":"+r.ID.S)
			default:
				others = append(others, other.Rank)
			}
		}
	}
	return lower, others
}

// rules compiles what a rule is everywhere. Ids are unique over all packs: those that occur in two are written pack:id.
func (c *compiler) rules() {
	count := map[string]int{}
	for _, pk := range c.p.packs {
		own := map[string]bool{}
		for _, r := range pk.Rules {
			if own[r.ID.S] {
				c.diag(r.ID.Pos, codeConflict, fmt.Sprintf("rule %s exists twice", r.ID.S), "rename one")
			}
			own[r.ID.S] = true
			count[r.ID.S]++
		}
	}
	for _, pk := range c.p.packs {
		for _, r := range pk.Rules {
			cr := &rule{id: r.ID.S, pack: pk.Name, rank: pk.Rank, clauses: c.cite(pk, r.Clauses), points: r.On, agents: texts(r.Agents),
				scopes: c.scoped[pk.Name+":"+r.ID.S], effect: r.Else, message: r.Message, hint: r.Hint, class: r.Class, mode: r.Mode,
				lifted: c.lifts[pk.Name+":"+r.ID.S], pos: r.Pos}
			if count[r.ID.S] > 1 {
				cr.id = pk.Name + ":" + r.ID.S
			}
			if len(cr.points) == 0 {
				cr.points = []proviso.Point{proviso.ToolCallPoint}
			}
			for _, pt := range r.Else.Redact {
				if msg := condition.RegexProblem(pt.S); msg != "" {
					c.diag(pt.Pos, condition.CodeRegex, "redact: "+msg, "patterns are RE2")
					continue
				}
				cr.redact = append(cr.redact, redaction{builtin.Pattern(regexp.MustCompile(pt.S)), r.Else.With})
			}
			if find, err := builtin.NewFinder(texts(r.Else.PII), texts(r.Else.Secrets)); err != nil {
				c.diag(r.Else.Pos, codeEffect, "redact: "+err.Error(), "use the kinds of pii.find and secret.find, or true for all")
			} else if len(r.Else.PII)+len(r.Else.Secrets) > 0 {
				cr.redact = append(cr.redact, redaction{find, r.Else.With})
			}
			c.effectFits(r, cr)
			c.p.rules = append(c.p.rules, cr)
		}
	}
}

// effectFits refuses effects that a point cannot carry out.
func (c *compiler) effectFits(r pack.Rule, cr *rule) {
	for _, pt := range cr.points {
		text := pt == proviso.Input || pt == proviso.Output || pt == proviso.ModelRequestPoint || pt == proviso.ModelResponsePoint || pt == proviso.ToolResultPoint
		if len(r.Else.Redact)+len(r.Else.PII)+len(r.Else.Secrets) > 0 && !text {
			c.diag(r.Else.Pos, codeEffect, fmt.Sprintf("redact needs a text, but %s has none", pt), "use set for arguments")
		}
		if len(r.Else.Set) > 0 && pt != proviso.ToolCallPoint {
			c.diag(r.Else.Pos, codeEffect, fmt.Sprintf("set changes arguments, but %s has none", pt), "use redact for texts")
		}
		if pt != proviso.ToolCallPoint && pt != proviso.ToolResultPoint && len(r.Tools) > 0 {
			c.diag(r.Tools[0].Pos, codeEffect, fmt.Sprintf("tools cannot be given for %s", pt), "leave tools out, or use tool_call")
		}
	}
}

// programs compiles everything that applies to each tool's calls and results, and to each other point.
func (c *compiler) programs() {
	for _, n := range c.toolNames {
		t := c.p.tools[n]
		t.call = c.program(proviso.ToolCallPoint, t)
		t.answer = c.program(proviso.ToolResultPoint, t)
	}
	for _, pt := range proviso.Points() {
		if pt != proviso.ToolCallPoint && pt != proviso.ToolResultPoint {
			c.p.points[pt] = c.program(pt, nil)
		}
	}
	for _, r := range c.p.rules {
		sort.Strings(r.tools)
	}
}

func pointVariables(pt proviso.Point, t *tool) []cel.EnvOption {
	var out []cel.EnvOption
	text := []cel.EnvOption{cel.Variable("text", cel.StringType), cel.Variable("role", cel.StringType)}
	switch pt {
	case proviso.ToolCallPoint:
		return []cel.EnvOption{cel.Variable("args", t.args.Type), cel.Variable("tool", cel.StringType), cel.Variable("call", frameCELType)}
	case proviso.ToolResultPoint:
		res := types.DynType
		if t.result != nil {
			res = t.result.Type
		}
		return []cel.EnvOption{cel.Variable("args", t.args.Type), cel.Variable("tool", cel.StringType), cel.Variable("result", res),
			cel.Variable("text", cel.StringType), cel.Variable("is_error", cel.BoolType)}
	case proviso.Input, proviso.Output:
		return text
	case proviso.ModelRequestPoint, proviso.ModelResponsePoint:
		return append(text, cel.Variable("tools", cel.ListType(cel.StringType)))
	case proviso.ToolListPoint:
		return []cel.EnvOption{cel.Variable("tools", cel.ListType(cel.StringType))}
	}
	return out
}

func (c *compiler) program(pt proviso.Point, t *tool) *program {
	prog := &program{point: pt, tool: t, vars: pointVariables(pt, t), byKey: map[string]int{}, slotKey: map[string]int{}}
	u := c.unit(prog)
	if pt == proviso.ToolCallPoint {
		c.grants(u)
	}
	next := 0
	for _, pk := range c.p.packs {
		for i := range pk.Rules {
			cr := c.p.rules[next]
			next++
			if !cr.at(pt) || t != nil && len(pk.Rules[i].Tools) > 0 && !pack.MatchAny(pk.Rules[i].Tools, t.decl.Name) {
				continue
			}
			if t != nil {
				if n := len(cr.tools); n == 0 || cr.tools[n-1] != t.decl.Name {
					cr.tools = append(cr.tools, t.decl.Name)
				}
			}
			u.Lets = lets(pk.Lets, pk.Rules[i].Lets)
			gr, ok := c.guardRule(u, pk.Rules[i], cr)
			if ok && cr.mode != pack.Off {
				prog.rules = append(prog.rules, gr)
			}
		}
	}
	// Rules are reported by id, whatever their order in the files.
	sort.SliceStable(prog.rules, func(i, j int) bool { return prog.rules[i].id < prog.rules[j].id })
	prog.countAtoms()
	return prog
}

func (r *rule) at(pt proviso.Point) bool {
	for _, p := range r.points {
		if p == pt {
			return true
		}
	}
	return false
}

func lets(outer, inner []pack.Let) map[string]pack.Text {
	out := map[string]pack.Text{}
	for _, l := range append(append([]pack.Let(nil), outer...), inner...) {
		out[l.Name.S] = l.Expr
	}
	return out
}

func (c *compiler) grants(u *unit) {
	add := func(pk *pack.Pack, rank int, g pack.Grant, scope string) {
		if !pack.MatchAny(g.Tools, u.Tool) {
			return
		}
		u.Lets = lets(pk.Lets, g.Lets)
		f, ok := u.Open(g.When)
		if !ok || !u.Present(f, nil) || !u.FactsIndexed(f) {
			return
		}
		occurs := map[*tree.Node]string{}
		root, ok := u.lowered(f, occurs)
		if !ok {
			return
		}
		u.prog.grants[rank] = append(u.prog.grants[rank], grant{texts(g.Agents), scope, root, occurs, written(g.When), g.Pos})
	}
	rankAt := map[pack.Rank]int{}
	for _, pk := range c.p.packs {
		// The highest rank always speaks: without grants it permits nothing. An overlay without a grants section leaves grants alone.
		if _, known := rankAt[pk.Rank]; !known && (pk.HasGrants || pk.Rank == c.p.packs[0].Rank) {
			rankAt[pk.Rank] = len(u.prog.grants)
			u.prog.grants = append(u.prog.grants, nil)
		}
	}
	for _, pk := range c.p.packs {
		i, speaks := rankAt[pk.Rank]
		if !speaks {
			continue
		}
		for _, g := range pk.Grants {
			add(pk, i, g, "")
		}
		for _, s := range pk.Scopes {
			for _, g := range s.Grants {
				add(pk, i, g, s.Name.S)
			}
		}
	}
	// Grants are reported by their words, whatever their order in the files.
	for _, rank := range u.prog.grants {
		sort.SliceStable(rank, func(i, j int) bool { return rank[i].words < rank[j].words })
	}
}

// written is a condition as one text.
func written(c *pack.Cond) string {
	switch {
	case c == nil:
		return ""
	case c.Op == tree.Atom:
		return c.Expr.S
	}
	s := c.Op.String()
	for _, k := range c.Kids {
		s += " (" + written(k) + ")"
	}
	return s
}

// environment returns the CEL environment of a program. Most programs of a large pack have no expression at all and never need one.
func (p *program) environment(base *cel.Env) *cel.Env {
	if p.env == nil {
		env, err := base.Extend(p.vars...)
		if err != nil { // unreachable: names that clash were refused in declareFacts
			panic(err)
		}
		p.env = env
	}
	return p.env
}

// unit is what the expressions of one program are compiled against.
type unit struct {
	condition.Unit
	c    *compiler
	prog *program
}

func (c *compiler) unit(prog *program) *unit {
	u := &unit{c: c, prog: prog}
	u.Space = &c.space
	u.Env = func() *cel.Env { return prog.environment(c.base) }
	if prog.tool != nil {
		u.Tool = prog.tool.decl.Name
	}
	return u
}

// pathText prints a path as a person would write it, hoisted look-ups expanded.
func (u *unit) pathText(e ast.Expr) string {
	texts := make([]string, len(u.prog.slots))
	for i, s := range u.prog.slots {
		texts[i] = s.text
	}
	return condition.PathText(e, texts)
}

// lowered hoists facts and lowers a checked formula.
func (u *unit) lowered(f *condition.Formula, occurs map[*tree.Node]string) (*tree.Node, bool) {
	u.hoistTree(f, map[*condition.Checked]bool{})
	return u.lower(f, occurs)
}

func (u *unit) hoistTree(f *condition.Formula, done map[*condition.Checked]bool) {
	if f == nil {
		return
	}
	if f.Op == tree.Atom && !done[f.X] {
		done[f.X] = true
		u.hoist(f.X)
	}
	for _, k := range f.Kids {
		u.hoistTree(k, done)
	}
}

func (c *compiler) guardRule(u *unit, r pack.Rule, cr *rule) (guardRule, bool) {
	gr := guardRule{rule: cr, occurs: map[*tree.Node]string{}}
	when, ok1 := u.Open(r.When)
	require, ok2 := u.Open(r.Require)
	if !ok1 || !ok2 {
		return gr, false
	}
	present := when.Shows(true)
	if !u.Present(when, nil) || !u.Present(require, present) || !u.FactsIndexed(when) || !u.FactsIndexed(require) {
		return gr, false
	}
	var ok bool
	if gr.when, ok = u.lowered(when, gr.occurs); !ok {
		return gr, false
	}
	if gr.require, ok = u.lowered(require, gr.occurs); !ok {
		return gr, false
	}
	gr.root = fireRoot(gr.when, gr.require, r.Require != nil)
	gr.always = len(gr.root.Atoms(nil)) == 0
	for _, s := range r.Else.Set {
		se, ok := u.setEdit(s, present)
		if !ok {
			return gr, false
		}
		gr.sets = append(gr.sets, se)
	}
	return gr, true
}

// fireRoot is when ∧ ¬require; without require a rule fires wherever it applies.
func fireRoot(when, require *tree.Node, hasRequire bool) *tree.Node {
	if !hasRequire {
		return when
	}
	if require == nil {
		return &tree.Node{Op: tree.Any}
	}
	not := tree.New(tree.Not, require)
	if when == nil {
		return not
	}
	return &tree.Node{Op: tree.All, Kids: []*tree.Node{when, not}}
}

func (u *unit) setEdit(s pack.Let, present condition.Paths) (setEdit, bool) {
	name := strings.SplitN(s.Name.S, ".", 2)[0]
	if t := u.prog.tool; t != nil && t.args.Fields[name] == nil {
		u.c.diag(s.Name.Pos, condition.CodeUndeclared, fmt.Sprintf("set: tool %s has no argument %q", u.Tool, name), proviso.DidYouMean(name, t.args.Names))
		return setEdit{}, false
	}
	x, ok := u.Check(s.Expr)
	if !ok || !u.FactsIndexedExpr(x, x.AST.Expr()) || !u.PresentExpr(x, x.AST.Expr(), present) {
		return setEdit{}, false
	}
	u.hoist(x)
	get := u.anyGetter(x, x.AST.Expr())
	if get == nil {
		get = u.programGetter(x, x.AST.Expr())
	}
	return setEdit{path: s.Name.S, get: get, checked: x}, get != nil
}

// programGetter evaluates any expression by CEL.
func (u *unit) programGetter(x *condition.Checked, e interface{ ID() int64 }) anyGetter {
	prg, err := u.Env().PlanProgram(x.AST, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		u.c.diag(x.Text.Pos, condition.CodeConstant, condition.PlainMessage(err.Error()), "")
		return nil
	}
	return func(f *frame) (any, state) {
		out, _, err := prg.Eval(f)
		switch {
		case err != nil:
			return nil, failed
		case types.IsUnknown(out):
			return nil, unknown
		}
		return native(out), known
	}
}

// countAtoms finds the atoms that occur more than once over all trees of the program.
func (p *program) countAtoms() {
	n := make([]int, len(p.atoms))
	count := func(t *tree.Node) {
		for _, i := range t.Atoms(nil) {
			n[i]++
		}
	}
	for _, rank := range p.grants {
		for _, g := range rank {
			count(g.root)
		}
	}
	for _, r := range p.rules {
		count(r.root)
	}
	p.repeated = make([]bool, len(n))
	for i := range n {
		p.repeated[i] = n[i] > 1
	}
}
