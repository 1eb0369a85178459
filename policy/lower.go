package policy

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// This file lowers conditions to trees: connectives of YAML and of CEL become nodes, everything between them becomes atoms.

// formula is a condition on its way to a tree: connectives opened up, leaves still CEL.
type formula struct {
	op   tree.Op
	kids []*formula
	x    *checked // of a leaf
	e    ast.Expr
}

// condition compiles a condition as written. present names the optional paths that are known to be present where it is evaluated.
// The result is nil, and ok true, for an absent condition.
func (u *unit) condition(c *pack.Cond) (f *formula, ok bool) {
	if c == nil {
		return nil, true
	}
	if c.Op == tree.Atom {
		x, ok := u.expression(c.Expr)
		if !ok {
			return nil, false
		}
		if t := x.ast.GetType(x.ast.Expr().ID()); t.Kind() != types.BoolKind && t.Kind() != types.DynKind {
			u.c.diag(c.Expr.Pos, codeType, fmt.Sprintf("a condition must be true or false, this is %s%s", plainMessage(t.String()), u.inTool()), "compare it with something")
			return nil, false
		}
		return u.open(x, x.ast.Expr()), true
	}
	f, ok = &formula{op: c.Op}, true
	for _, k := range c.Kids {
		kf, kok := u.condition(k)
		f.kids = append(f.kids, kf)
		ok = ok && kok
	}
	return f, ok
}

var celOps = map[string]tree.Op{operators.LogicalAnd: tree.All, operators.LogicalOr: tree.Any, operators.LogicalNot: tree.Not, operators.Conditional: tree.If}

// open opens the connectives of a CEL expression.
func (u *unit) open(x *checked, e ast.Expr) *formula {
	if e.Kind() == ast.CallKind {
		if op, ok := celOps[e.AsCall().FunctionName()]; ok {
			f := &formula{op: op}
			for _, a := range e.AsCall().Args() {
				f.kids = append(f.kids, u.open(x, a))
			}
			return f
		}
	}
	return &formula{x: x, e: e}
}

// ---- presence: an optional argument or field may be read only where has() guards it

type paths map[string]bool

func (a paths) with(bs ...paths) paths {
	out := paths{}
	for k := range a {
		out[k] = true
	}
	for _, b := range bs {
		for k := range b {
			out[k] = true
		}
	}
	return out
}

func intersect(ps []paths) paths {
	out := paths{}
	for k := range ps[0] {
		in := true
		for _, p := range ps[1:] {
			in = in && p[k]
		}
		if in {
			out[k] = true
		}
	}
	return out
}

// shows returns the paths that are present wherever f has the value v.
func (f *formula) shows(v bool) paths {
	if f == nil {
		return nil
	}
	switch f.op {
	case tree.Atom:
		return shows(f.e, v)
	case tree.Not:
		return f.kids[0].shows(!v)
	case tree.If:
		return nil
	}
	conj := f.op == tree.All || f.op == tree.Chain
	if conj == v {
		var out paths
		for _, k := range f.kids {
			out = out.with(k.shows(v))
		}
		return out
	}
	return intersectAll(len(f.kids), func(i int) paths { return f.kids[i].shows(v) })
}

func intersectAll(n int, at func(int) paths) paths {
	if n == 0 {
		return nil
	}
	ps := make([]paths, n)
	for i := range ps {
		ps[i] = at(i)
	}
	return intersect(ps)
}

// shows is the same for a CEL expression.
func shows(e ast.Expr, v bool) paths {
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() && v {
		return paths{exprKey(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName(): true}
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.LogicalNot:
		return shows(args[0], !v)
	case operators.LogicalAnd, operators.LogicalOr:
		if (e.AsCall().FunctionName() == operators.LogicalAnd) == v {
			return shows(args[0], v).with(shows(args[1], v))
		}
		return intersect([]paths{shows(args[0], v), shows(args[1], v)})
	}
	return nil
}

// guarded checks every optional read below f.
func (u *unit) guarded(f *formula, present paths) bool {
	if f == nil {
		return true
	}
	switch f.op {
	case tree.Atom:
		return u.guardedExpr(f.x, f.e, present)
	case tree.Not:
		return u.guarded(f.kids[0], present)
	case tree.If:
		return u.guarded(f.kids[0], present) && u.guarded(f.kids[1], present.with(f.kids[0].shows(true))) && u.guarded(f.kids[2], present.with(f.kids[0].shows(false)))
	}
	conj := f.op == tree.All || f.op == tree.Chain
	ok := true
	for i, k := range f.kids {
		p := present
		for j, other := range f.kids {
			if j != i {
				p = p.with(other.shows(conj))
			}
		}
		ok = u.guarded(k, p) && ok
	}
	return ok
}

func (u *unit) guardedExpr(x *checked, e ast.Expr, present paths) bool {
	switch e.Kind() {
	case ast.SelectKind:
		s := e.AsSelect()
		if !u.guardedExpr(x, s.Operand(), present) {
			return false
		}
		return s.IsTestOnly() || u.present(x, e, present)
	case ast.CallKind:
		return u.guardedCall(x, e, present)
	case ast.ListKind:
		return u.guardedAll(x, e.AsList().Elements(), present)
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			if !u.guardedAll(x, []ast.Expr{m.AsMapEntry().Key(), m.AsMapEntry().Value()}, present) {
				return false
			}
		}
	case ast.ComprehensionKind:
		q := e.AsComprehension()
		return u.guardedAll(x, []ast.Expr{q.IterRange(), q.AccuInit(), q.LoopCondition(), q.LoopStep(), q.Result()}, present)
	}
	return true
}

func (u *unit) guardedAll(x *checked, es []ast.Expr, present paths) bool {
	for _, e := range es {
		if !u.guardedExpr(x, e, present) {
			return false
		}
	}
	return true
}

func (u *unit) guardedCall(x *checked, e ast.Expr, present paths) bool {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		v := call.FunctionName() == operators.LogicalAnd
		return u.guardedExpr(x, args[0], present.with(shows(args[1], v))) && u.guardedExpr(x, args[1], present.with(shows(args[0], v)))
	case operators.Conditional:
		return u.guardedExpr(x, args[0], present) && u.guardedExpr(x, args[1], present.with(shows(args[0], true))) && u.guardedExpr(x, args[2], present.with(shows(args[0], false)))
	case operators.OptSelect, operators.OptIndex:
		return u.guardedExpr(x, args[0], present)
	}
	if call.IsMemberFunction() && !u.guardedExpr(x, call.Target(), present) {
		return false
	}
	return u.guardedAll(x, args, present)
}

// present checks one field selection.
func (u *unit) present(x *checked, e ast.Expr, present paths) bool {
	s := e.AsSelect()
	t := x.ast.GetType(s.Operand().ID())
	if t == nil || t.Kind() != types.StructKind {
		return true
	}
	sh := u.c.prov.Structs[t.TypeName()]
	if sh == nil {
		return true
	}
	f := sh.Fields[s.FieldName()]
	if f == nil || f.Required || f.HasDefault || present[exprKey(s.Operand())+"."+s.FieldName()] {
		return true
	}
	text := u.pathText(s.Operand()) + "." + s.FieldName()
	u.c.diag(x.at(e), codeAbsent, fmt.Sprintf("%s may be absent%s", text, u.inTool()),
		fmt.Sprintf("guard it with has(%s) && …, use .?%s.orValue(…), or give the schema a default", text, s.FieldName()))
	return false
}

// ---- facts and questions

// checkFacts refuses facts that are not fully indexed, and questions inside larger atoms.
func (u *unit) checkFacts(x *checked, e ast.Expr, indexed int) bool {
	ok := true
	switch e.Kind() {
	case ast.IdentKind:
		if i, isFact := u.c.p.factIndex[e.AsIdent()]; isFact {
			f := u.c.p.facts[i]
			if indexed < len(f.keys) {
				u.c.diag(x.at(e), codeFactIndex, fmt.Sprintf("fact %s is read without its whole key", f.name), fmt.Sprintf("write %s[%s]", f.name, strings.Join(f.keyNames(), "][")))
				return false
			}
		}
	case ast.SelectKind:
		return u.checkFacts(x, e.AsSelect().Operand(), 0)
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index {
			return u.checkFacts(x, call.Args()[0], indexed+1) && u.checkFacts(x, call.Args()[1], 0)
		}
		if call.IsMemberFunction() {
			ok = u.checkFacts(x, call.Target(), 0)
		}
		for _, a := range call.Args() {
			ok = u.checkFacts(x, a, 0) && ok
		}
	case ast.ListKind:
		for _, m := range e.AsList().Elements() {
			ok = u.checkFacts(x, m, 0) && ok
		}
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			ok = u.checkFacts(x, m.AsMapEntry().Key(), 0) && u.checkFacts(x, m.AsMapEntry().Value(), 0) && ok
		}
	case ast.ComprehensionKind:
		q := e.AsComprehension()
		for _, k := range []ast.Expr{q.IterRange(), q.AccuInit(), q.LoopCondition(), q.LoopStep(), q.Result()} {
			ok = u.checkFacts(x, k, 0) && ok
		}
	}
	return ok
}

func questionOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.IdentKind {
		return "", false
	}
	return strings.CutPrefix(e.AsIdent(), "judged.")
}

func mentionsQuestion(e ast.Expr) (found string) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if q, ok := questionOf(k); ok {
			found = q
		}
	}))
	return found
}

// hoist replaces every fully indexed look-up of a fact whose keys are plain paths by a slot, so that equal look-ups are resolved once.
func (u *unit) hoist(x *checked) {
	ast.PostOrderVisit(x.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		name, keys, ok := indexChain(e)
		if !ok {
			return
		}
		i, isFact := u.c.p.factIndex[name]
		if !isFact || len(keys) != len(u.c.p.facts[i].keys) {
			return
		}
		n, ok := u.slot(x, u.c.p.facts[i], e, keys)
		if !ok {
			return
		}
		ident := fmt.Sprintf("@f%d", n)
		e.SetKindCase(factory.NewIdent(e.ID(), ident))
		x.ast.SetReference(e.ID(), ast.NewIdentReference(ident, nil))
	}))
}

// indexChain recognises name[k1][k2]…; a bare name has no keys.
func indexChain(e ast.Expr) (name string, keys []ast.Expr, ok bool) {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent(), nil, true
	}
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return "", nil, false
	}
	name, keys, ok = indexChain(e.AsCall().Args()[0])
	return name, append(keys, e.AsCall().Args()[1]), ok
}

func (u *unit) slot(x *checked, f *fact, e ast.Expr, keys []ast.Expr) (int, bool) {
	key := exprKey(e)
	if n, ok := u.prog.slotKey[key]; ok {
		return n, true
	}
	s := &slot{fact: f}
	var names []string
	for i, k := range keys {
		g := u.keyGetter(x, k, f.keys[i].Type)
		if g == nil {
			return 0, false
		}
		s.keys = append(s.keys, g)
		s.deps = append(s.deps, slotsBelow(k)...)
		names = append(names, u.pathText(k))
	}
	s.text = f.name
	if len(names) > 0 {
		s.text += "[" + strings.Join(names, "][") + "]"
	}
	n := len(u.prog.slots)
	u.prog.slots = append(u.prog.slots, s)
	u.prog.slotKey[key] = n
	return n, true
}

// pathText prints a path as a person would write it, slots expanded.
func (u *unit) pathText(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		if n, ok := slotNumber(e); ok {
			return u.prog.slots[n].text
		}
		return e.AsIdent()
	case ast.SelectKind:
		return u.pathText(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName()
	case ast.LiteralKind:
		return schema.Show(e.AsLiteral().Value())
	case ast.CallKind:
		if e.AsCall().FunctionName() == operators.Index {
			return u.pathText(e.AsCall().Args()[0]) + "[" + u.pathText(e.AsCall().Args()[1]) + "]"
		}
		return e.AsCall().FunctionName() + "(…)"
	}
	return "…"
}

func slotNumber(e ast.Expr) (n int, ok bool) {
	if e.Kind() != ast.IdentKind || !strings.HasPrefix(e.AsIdent(), "@f") {
		return 0, false
	}
	_, err := fmt.Sscanf(e.AsIdent(), "@f%d", &n)
	return n, err == nil
}

// ---- atoms

// lower turns a checked formula into a tree and registers its atoms. occurs receives the written text of every leaf.
func (u *unit) lower(f *formula, occurs map[*tree.Node]string) (*tree.Node, bool) {
	if f == nil {
		return nil, true
	}
	if f.op != tree.Atom {
		kids := make([]*tree.Node, len(f.kids))
		ok := true
		for i, k := range f.kids {
			var kok bool
			kids[i], kok = u.lower(k, occurs)
			ok = ok && kok
		}
		if !ok {
			return nil, false
		}
		if f.op == tree.Not {
			// Kept where it undoes the negation of a normalised comparison: the leaf below is explained as it was written.
			return &tree.Node{Op: tree.Not, Kids: kids}, true
		}
		return tree.New(f.op, kids...), true
	}
	if v, ok := boolLiteral(f.e); ok {
		if v {
			return &tree.Node{Op: tree.All}, true
		}
		return &tree.Node{Op: tree.Any}, true
	}
	text := f.x.source[f.e.ID()]
	if text == "" {
		text = u.pathText(f.e)
	}
	e, negated := normalise(f.e)
	i, ok := u.atom(f.x, e, text)
	if !ok {
		return nil, false
	}
	n := tree.Leaf(i)
	if negated {
		n = &tree.Node{Op: tree.Not, Kids: []*tree.Node{n}}
	}
	if occurs != nil {
		occurs[n] = text
	}
	return n, true
}

func boolLiteral(e ast.Expr) (v, ok bool) {
	if e.Kind() != ast.LiteralKind {
		return false, false
	}
	v, ok = e.AsLiteral().Value().(bool)
	return v, ok
}

// normalise writes comparisons with == and < only, so that a < b and b > a are one atom and a >= b is its negation.
func normalise(e ast.Expr) (out ast.Expr, negated bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 || e.AsCall().IsMemberFunction() {
		return e, false
	}
	a, b := e.AsCall().Args()[0], e.AsCall().Args()[1]
	swap := func(fn string, x, y ast.Expr, neg bool) (ast.Expr, bool) {
		return factory.NewCall(e.ID(), fn, x, y), neg
	}
	switch e.AsCall().FunctionName() {
	case operators.Equals, operators.NotEquals:
		if exprKey(b) < exprKey(a) {
			a, b = b, a
		}
		return swap(operators.Equals, a, b, e.AsCall().FunctionName() == operators.NotEquals)
	case operators.Greater:
		return swap(operators.Less, b, a, false)
	case operators.LessEquals:
		return swap(operators.Less, b, a, true)
	case operators.GreaterEquals:
		return swap(operators.Less, a, b, true)
	}
	return e, false
}

// fixReference gives a rewritten comparison every overload of its operator: the checker chose one for the operator as it was written.
func fixReference(x *checked, e ast.Expr) {
	if e.Kind() != ast.CallKind {
		return
	}
	switch e.AsCall().FunctionName() {
	case operators.Equals:
		x.ast.SetReference(e.ID(), ast.NewFunctionReference(overloads.Equals))
	case operators.Less:
		x.ast.SetReference(e.ID(), ast.NewFunctionReference(lessOverloads...))
	}
}

var lessOverloads = []string{
	overloads.LessBool, overloads.LessString, overloads.LessBytes, overloads.LessTimestamp, overloads.LessDuration,
	overloads.LessInt64, overloads.LessInt64Double, overloads.LessInt64Uint64,
	overloads.LessUint64, overloads.LessUint64Double, overloads.LessUint64Int64,
	overloads.LessDouble, overloads.LessDoubleInt64, overloads.LessDoubleUint64,
}

// atom registers an atom, or finds the equal one.
func (u *unit) atom(x *checked, e ast.Expr, text string) (int, bool) {
	key := exprKey(e)
	if i, ok := u.prog.byKey[key]; ok {
		return i, true
	}
	a := &atom{key: key, text: text}
	if q, ok := questionOf(e); ok {
		if !u.questionAtom(x, e, a, q) {
			return 0, false
		}
	} else {
		if q := mentionsQuestion(e); q != "" {
			u.c.diag(x.at(e), codeQuestion, fmt.Sprintf("judged.%s stands inside a larger expression", q), "a question is a condition of its own: join it with && || ! or in a tree")
			return 0, false
		}
		if !u.patterns(x, e) || !u.bounded(x, e, a) {
			return 0, false
		}
		a.native = u.nativeAtom(x, e)
		if a.native == nil {
			if _, err := a.plan(); err != nil {
				u.c.diag(x.at(e), codeConstant, plainMessage(err.Error()), "literals such as duration('24h') and timestamp('2025-01-01T00:00:00Z') must be valid")
				return 0, false
			}
			a.prg, _ = a.plan()
		}
		a.inputs = u.inputs(x, e, nil, map[string]bool{})
		a.confirm = mentionsCall(e, "confirmed")
		u.c.p.consents = u.c.p.consents || a.confirm
	}
	a.slots = slotsBelow(e)
	i := len(u.prog.atoms)
	u.prog.atoms = append(u.prog.atoms, a)
	u.prog.byKey[key] = i
	return i, true
}

func mentionsCall(e ast.Expr, fn string) (found bool) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		found = found || k.Kind() == ast.CallKind && k.AsCall().FunctionName() == fn
	}))
	return found
}

func slotsBelow(e ast.Expr) (out []int) {
	seen := map[int]bool{}
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if n, ok := slotNumber(k); ok && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}))
	return out
}

// questionAtom compiles what a question is asked about.
func (u *unit) questionAtom(x *checked, e ast.Expr, a *atom, id string) bool {
	q, ok := u.c.p.questions[id]
	if !ok {
		u.c.diag(x.at(e), codeQuestion, fmt.Sprintf("unknown question %q", id), proviso.DidYouMean(id, sortedKeys(u.c.p.questions)))
		return false
	}
	a.question = q
	a.inputs = nil
	for _, t := range q.about {
		if turnsOnly.MatchString(t.S) {
			continue
		}
		ax, ok := u.expression(t)
		if !ok || !u.checkFacts(ax, ax.ast.Expr(), 0) || !u.guardedExpr(ax, ax.ast.Expr(), nil) {
			return false
		}
		u.hoist(ax)
		get := u.anyGetter(ax, ax.ast.Expr())
		if get == nil {
			if get = u.programGetter(ax, ax.ast.Expr()); get == nil {
				return false
			}
		}
		a.inputs = append(a.inputs, input{t.S, get})
		for _, s := range slotsBelow(ax.ast.Expr()) {
			a.slots = append(a.slots, s)
		}
	}
	return true
}

var turnsOnly = regexp.MustCompile(`^\s*turns\(\s*\d+\s*\)\s*$`)

// patterns checks literal regular expressions.
func (u *unit) patterns(x *checked, e ast.Expr) bool {
	ok := true
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if k.Kind() != ast.CallKind || k.AsCall().FunctionName() != "matches" {
			return
		}
		args := k.AsCall().Args()
		p := args[len(args)-1]
		s, isText := textLiteral(p)
		if !isText {
			return // the size of other patterns is bounded while deciding
		}
		if msg := regexProblem(s); msg != "" {
			u.c.diag(x.at(p), codeRegex, "pattern: "+msg, patternHint)
			ok = false
		}
	}))
	return ok
}

// Static cost bounds, in CEL's cost units: above limitCost an expression is refused, above trustCost it runs under a limit.
const (
	trustCost = 200_000
	limitCost = 20_000_000
	runCost   = 1_000_000
)

// bounded estimates the worst cost of an atom and prepares its CEL program.
func (u *unit) bounded(x *checked, e ast.Expr, a *atom) bool {
	sub := ast.NewCheckedAST(ast.NewAST(e, x.ast.SourceInfo()), x.ast.TypeMap(), x.ast.ReferenceMap())
	fixReference(x, e)
	est, err := cost.Cost(sub, sizes{})
	if err == nil && est.Max > limitCost {
		u.c.diag(x.at(e), codeCost, fmt.Sprintf("this may cost %d units in the worst case, more than the %d that are allowed", est.Max, limitCost), "bound the lists with maxItems in their schemas, or avoid nesting all and exists")
		return false
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if err != nil || est.Max > trustCost {
		opts = append(opts, cel.CostLimit(runCost))
	}
	env := u.env()
	a.plan = func() (cel.Program, error) { return env.PlanProgram(sub, opts...) }
	return true
}

// sizes are the caps on events that make costs finite: texts of 1,000 characters, containers of 100 members.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	max := uint64(100)
	if t := n.Type(); t != nil && (t.Kind() == types.StringKind || t.Kind() == types.BytesKind) {
		max = 1000
	}
	return &cost.SizeEstimate{Min: 0, Max: max}
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
