package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/debug"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// This file takes one expression text to a checked CEL tree: parsed, lets inlined, history calls taken out, checked against the schemas, numbers adjusted.

var undeclared = regexp.MustCompile(`undeclared reference to '([^']+)'`)

// maxRegexProgram is the largest RE2 program that a pattern may compile to.
const maxRegexProgram = 2000

const patternHint = "patterns are RE2; split a large one into several conditions"

// unit is what expressions of one program are compiled against.
type unit struct {
	c     *compiler
	prog  *program
	tool  string // for messages, empty for points without a tool
	lets  map[string]pack.Text
	about string // where the expression stands, for messages
}

// checked is an expression after the checker.
type checked struct {
	text   pack.Text
	ast    *ast.AST
	where  map[int64]origin // of expressions that came from a let
	source map[int64]string // as written, of sub-expressions before inlining
}

// origin is where an inlined expression was written.
type origin struct {
	text   pack.Text
	offset int
}

// expression compiles a text to a checked tree; ok is false after a diagnostic.
func (u *unit) expression(t pack.Text) (*checked, bool) {
	return u.expressionWith(t, map[int64]bool{})
}

func (u *unit) expressionWith(t pack.Text, doubles map[int64]bool) (*checked, bool) {
	if strings.TrimSpace(t.S) == "" {
		u.c.diag(t.Pos, codeCEL, "empty expression", "write a CEL expression, such as args.amount <= 100.0")
		return nil, false
	}
	parsed, iss := u.c.parser.Parse(u.env(), t.S)
	if iss.Err() != nil {
		for _, e := range iss.Errors() {
			u.c.diag(t.At(offsetOf(t.S, e.Location)), codeCEL, "syntax: "+plainMessage(e.Message), "conditions are CEL expressions")
		}
		return nil, false
	}
	native := parsed.NativeRep()
	x := &checked{text: t, ast: native, where: map[int64]origin{}, source: map[int64]string{}}
	u.rememberSource(x, native.Expr())
	in := &inliner{u: u, x: x, next: 1 << 20}
	if !in.inline(native.Expr(), u.lets, nil) || !u.takeHistory(x, native.Expr()) {
		return nil, false
	}
	schema.Promote(native.Expr(), doubles)
	u.c.prov.Asked = map[string][]string{}
	out, iss := u.env().Check(parsed)
	if iss.Err() == nil {
		x.ast = out.NativeRep()
		return x, u.checkFilters(x) && u.checkLabels(x)
	}
	// A literal that was written 2 beside a number is meant as 2.0: mark it and check again.
	again := false
	for _, e := range iss.Errors() {
		if !doubles[e.ExprID] && (strings.Contains(e.Message, "(double, int)") || strings.Contains(e.Message, "(int, double)") || mixed(e.Message)) {
			doubles[e.ExprID] = true
			again = again || schema.Promotable(native.Expr(), e.ExprID)
		}
	}
	if again {
		return u.expressionWith(t, doubles)
	}
	for _, e := range iss.Errors() {
		u.report(x, e)
	}
	return nil, false
}

func mixed(msg string) bool {
	return strings.Contains(msg, "no matching overload") && strings.Contains(msg, "double") && strings.Contains(msg, "int")
}

// report turns an error of the checker into a diagnostic with the nearest name.
func (u *unit) report(x *checked, e *common.Error) {
	pos := u.position(x, e.ExprID, e.Location)
	for name, candidates := range u.c.prov.Asked {
		if strings.Contains(e.Message, "'"+name+"'") {
			u.c.diag(pos, codeUndeclared, fmt.Sprintf("undefined field %q%s", name, u.inTool()), proviso.DidYouMean(name, candidates))
			return
		}
	}
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		name := m[1]
		msg, hint := fmt.Sprintf("undeclared name %q%s", name, u.inTool()), proviso.DidYouMean(name, u.visible())
		switch {
		case name == "judged" || strings.HasPrefix(name, "judged."):
			hint = "questions are declared under questions: and read as judged.<id>"
			asked := strings.TrimPrefix(name, "judged.")
			if name == "judged" {
				asked = afterDot(x.text.S, "judged.")
			}
			if q := proviso.DidYouMean(asked, sortedKeys(u.c.p.questions)); q != "" {
				hint = q
			}
		case name == "turns":
			hint = "turns(n) is only for the about: of a question"
		}
		u.c.diag(pos, codeUndeclared, msg, hint)
		return
	}
	if strings.Contains(e.Message, "regex program size") {
		u.c.diag(pos, codeRegex, "pattern: "+plainMessage(e.Message)+u.inTool(), patternHint)
		return
	}
	hint := ""
	if mixed(e.Message) {
		hint = "CEL does not mix integers and numbers; write 2.0, or double(x)"
	}
	u.c.diag(pos, codeType, plainMessage(e.Message)+u.inTool(), hint)
}

func (u *unit) inTool() string {
	if u.tool == "" {
		return ""
	}
	return " (checked for tool " + u.tool + ")"
}

func (u *unit) visible() []string {
	out := append([]string{"args", "tool", "call", "now", "tz", "session", "data", "text", "role", "result", "is_error", "tools", "judged", "confirmed", "origin", "has", "size", "duration", "timestamp"}, u.c.functions...)
	out = append(out, sortedKeys(pastFunctions)...)
	out = append(out, sortedKeys(u.c.p.factIndex)...)
	return append(out, sortedKeys(u.lets)...)
}

// position finds where the expression that an error speaks of was written.
func (u *unit) position(x *checked, id int64, loc common.Location) proviso.Pos {
	if o, ok := x.where[id]; ok {
		return o.text.At(o.offset)
	}
	if loc == nil || loc.Line() < 1 {
		return x.text.Pos
	}
	return x.text.At(offsetOf(x.text.S, loc))
}

// at is the position of a sub-expression after the check.
func (x *checked) at(e ast.Expr) proviso.Pos {
	if o, ok := x.where[e.ID()]; ok {
		return o.text.At(o.offset)
	}
	if r, ok := x.ast.SourceInfo().GetOffsetRange(e.ID()); ok {
		return x.text.At(byteOffset(x.text.S, int(r.Start)))
	}
	return x.text.Pos
}

func afterDot(s, prefix string) string {
	i := strings.Index(s, prefix)
	if i < 0 {
		return ""
	}
	s = s[i+len(prefix):]
	for j, r := range s {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return s[:j]
		}
	}
	return s
}

// offsetOf converts a CEL location, lines from 1 and columns in code points from 0, to a byte offset.
func offsetOf(s string, loc common.Location) int {
	off := 0
	for l := 1; l < loc.Line(); l++ {
		i := strings.IndexByte(s[off:], '\n')
		if i < 0 {
			break
		}
		off += i + 1
	}
	return off + byteOffset(s[off:], loc.Column())
}

func byteOffset(s string, runes int) int {
	for i := range s {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(s)
}

// plainMessage drops the parser's own prefix and the internal names of our types.
func plainMessage(m string) string {
	m = strings.TrimPrefix(m, "Syntax error: ")
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration", "@", "").Replace(m)
}

// rememberSource keeps the text of every operand of a connective as it was written.
func (u *unit) rememberSource(x *checked, e ast.Expr) {
	if s, err := parser.Unparse(e, x.ast.SourceInfo()); err == nil {
		x.source[e.ID()] = s
	}
	if e.Kind() == ast.CallKind && isConnective(e.AsCall().FunctionName()) {
		for _, k := range e.AsCall().Args() {
			u.rememberSource(x, k)
		}
	}
}

func isConnective(fn string) bool {
	switch fn {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		return true
	}
	return false
}

// inliner replaces let names in place, before the check. CEL's own inliner would bind repeated uses to variables, which hides connectives.
type inliner struct {
	u    *unit
	x    *checked
	next int64
}

func (in *inliner) inline(e ast.Expr, lets map[string]pack.Text, stack []string) bool {
	switch e.Kind() {
	case ast.IdentKind:
		t, ok := lets[e.AsIdent()]
		return !ok || in.replace(e, t, stack)
	case ast.SelectKind:
		return in.inline(e.AsSelect().Operand(), lets, stack)
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() && !in.inline(e.AsCall().Target(), lets, stack) {
			return false
		}
		return in.all(e.AsCall().Args(), lets, stack)
	case ast.ListKind:
		return in.all(e.AsList().Elements(), lets, stack)
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			if !in.inline(m.AsMapEntry().Key(), lets, stack) || !in.inline(m.AsMapEntry().Value(), lets, stack) {
				return false
			}
		}
	case ast.ComprehensionKind:
		q := e.AsComprehension()
		inner := map[string]pack.Text{}
		for k, v := range lets {
			if k != q.IterVar() && k != q.IterVar2() {
				inner[k] = v
			}
		}
		return in.inline(q.IterRange(), lets, stack) && in.all([]ast.Expr{q.LoopCondition(), q.LoopStep(), q.Result()}, inner, stack)
	}
	return true
}

func (in *inliner) all(es []ast.Expr, lets map[string]pack.Text, stack []string) bool {
	for _, e := range es {
		if !in.inline(e, lets, stack) {
			return false
		}
	}
	return true
}

func (in *inliner) replace(e ast.Expr, t pack.Text, stack []string) bool {
	name := e.AsIdent()
	for _, s := range stack {
		if s == name {
			in.u.c.diag(t.Pos, codeLet, fmt.Sprintf("let %s refers to itself", name), "write the expression out")
			return false
		}
	}
	parsed, iss := in.u.c.parser.Parse(in.u.env(), t.S)
	if iss.Err() != nil {
		for _, err := range iss.Errors() {
			in.u.c.diag(t.At(offsetOf(t.S, err.Location)), codeCEL, fmt.Sprintf("let %s: syntax: %s", name, plainMessage(err.Message)), "conditions are CEL expressions")
		}
		return false
	}
	info := parsed.NativeRep().SourceInfo()
	copied := factory.CopyExpr(parsed.NativeRep().Expr())
	root := &checked{ast: parsed.NativeRep(), source: map[int64]string{}}
	in.u.rememberSource(root, parsed.NativeRep().Expr())
	copied.RenumberIDs(func(old int64) int64 {
		if old == 0 {
			return 0
		}
		in.next++
		off := 0
		if r, ok := info.GetOffsetRange(old); ok {
			off = byteOffset(t.S, int(r.Start))
		}
		in.x.where[in.next] = origin{t, off}
		if s, ok := root.source[old]; ok {
			in.x.source[in.next] = s
		}
		return in.next
	})
	// The identifier keeps its id, so that the checker's errors about the whole let point at its use, those inside at the let,
	// and an explanation shows the let's name where the let is one atom.
	e.SetKindCase(copied)
	return in.inline(e, in.u.lets, append(stack[:len(stack):len(stack)], name))
}

// ---- history

// past functions by name: the internal function, and whether an argument name follows the tool.
var pastFunctions = map[string]struct {
	internal string
	field    bool
}{
	"called": {"@called", false},
	"count":  {"@count", false},
	"sum":    {"@sum", true},
	"total":  {"@sum", true},
	"last":   {"@last", false},
	"since":  {"@since", false},
}

var phases = map[string]proviso.Phase{"attempted": proviso.Attempted, "denied": proviso.Denied, "released": proviso.Released, "ok": proviso.OK, "error": proviso.Failed, "reserved": Reserved}

// takeHistory replaces history calls and origin() by internal calls that carry the number of a query, and time zones by times in that zone.
func (u *unit) takeHistory(x *checked, root ast.Expr) bool {
	ok := true
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !ok {
			return
		}
		call := e.AsCall()
		if call.IsMemberFunction() {
			ok = u.takeZone(x, e)
			return
		}
		if taken, problem := builtin.TakeOrigin(factory, e, "@frame", func() int64 { return u.fresh(x, e) }); taken {
			u.c.p.tracks = true
			if problem != "" {
				u.c.diag(u.position(x, e.ID(), nil), codeType, call.FunctionName()+": "+problem, "the precisions are 'value', 'context' and 'session'")
				ok = false
			}
			return
		}
		f, isPast := pastFunctions[call.FunctionName()]
		if !isPast {
			return
		}
		q, values, qok := u.query(x, e, f.field)
		if !qok {
			ok = false
			return
		}
		e.SetKindCase(factory.NewCall(e.ID(), f.internal,
			factory.NewIdent(u.fresh(x, e), "@frame"),
			factory.NewLiteral(u.fresh(x, e), types.Int(u.c.queryNumber(q))),
			factory.NewList(u.fresh(x, e), values, nil)))
	}))
	return ok
}

// calendarParts are CEL's methods of timestamps that may take a time zone.
var calendarParts = map[string]bool{"getFullYear": true, "getMonth": true, "getDate": true, "getDayOfMonth": true, "getDayOfWeek": true, "getDayOfYear": true,
	"getHours": true, "getMinutes": true, "getSeconds": true, "getMilliseconds": true}

// takeZone replaces t.getHours(zone) by @local(t, zone).getHours(): CEL's own way looks the zone up on disk at every call, ours resolves it once.
func (u *unit) takeZone(x *checked, e ast.Expr) bool {
	call := e.AsCall()
	if !calendarParts[call.FunctionName()] || len(call.Args()) != 1 {
		return true
	}
	if name, literal := textLiteral(call.Args()[0]); literal {
		if _, err := builtin.ZoneOrOffset(name); err != nil {
			u.c.diag(u.position(x, call.Args()[0].ID(), nil), codeTime, err.Error(), "use an IANA name such as Europe/Berlin, or an offset such as +02:00")
			return false
		}
	}
	local := factory.NewCall(u.fresh(x, e), "@local", call.Target(), call.Args()[0])
	e.SetKindCase(factory.NewMemberCall(e.ID(), call.FunctionName(), local))
	return true
}

func (u *unit) fresh(x *checked, at ast.Expr) int64 {
	u.c.fresh++
	id := u.c.fresh
	if o, ok := x.where[at.ID()]; ok {
		x.where[id] = o
	} else if r, ok := x.ast.SourceInfo().GetOffsetRange(at.ID()); ok {
		x.where[id] = origin{x.text, byteOffset(x.text.S, int(r.Start))}
	}
	return id
}

// query reads the literal parts of a history call.
func (u *unit) query(x *checked, e ast.Expr, field bool) (q Query, values []ast.Expr, ok bool) {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	usage := name + "('tool', {'argument': value}, {'phase': 'ok', 'within': duration('24h')})"
	if field {
		usage = name + "('tool', 'argument', {'argument': value}, {'within': duration('24h')})"
	}
	bad := func(at ast.Expr, format string, a ...any) (Query, []ast.Expr, bool) {
		u.c.diag(u.position(x, at.ID(), nil), codeHistory, name+": "+fmt.Sprintf(format, a...), "write "+usage)
		return Query{}, nil, false
	}
	need := 1
	if field {
		need = 2
	}
	if len(args) < need || len(args) > need+2 {
		return bad(e, "takes %d to %d arguments, got %d", need, need+2, len(args))
	}
	glob, isText := textLiteral(args[0])
	if !isText {
		return bad(args[0], "the tool must be a literal text")
	}
	q.Phase = proviso.OK
	if name == "total" {
		q.Phase = Reserved
	}
	for _, n := range u.c.toolNames {
		if pack.Match(glob, n) {
			q.Tools = append(q.Tools, n)
		}
	}
	if len(q.Tools) == 0 {
		u.c.diag(u.position(x, args[0].ID(), nil), codeHistory, fmt.Sprintf("%s: no tool matches %q", name, glob), proviso.DidYouMean(glob, u.c.toolNames))
		return Query{}, nil, false
	}
	if field {
		if q.Field, isText = textLiteral(args[1]); !isText {
			return bad(args[1], "the argument to sum must be a literal text")
		}
		if !u.toolsHave(x, args[1], name, q.Tools, q.Field, true) {
			return Query{}, nil, false
		}
	}
	if len(args) > need {
		if values, ok = u.filter(x, args[need], name, &q); !ok {
			return Query{}, nil, false
		}
	}
	if len(args) > need+1 && !u.options(x, args[need+1], name, &q) {
		return Query{}, nil, false
	}
	return q, values, true
}

func (u *unit) filter(x *checked, e ast.Expr, name string, q *Query) ([]ast.Expr, bool) {
	if e.Kind() != ast.MapKind {
		u.c.diag(u.position(x, e.ID(), nil), codeHistory, name+": the filter must be a map literal of arguments", "write {} for no filter")
		return nil, false
	}
	by := map[string]ast.Expr{}
	for _, m := range e.AsMap().Entries() {
		k, isText := textLiteral(m.AsMapEntry().Key())
		if !isText {
			u.c.diag(u.position(x, e.ID(), nil), codeHistory, name+": the filter's keys must be literal argument names", "")
			return nil, false
		}
		if !u.toolsHave(x, m.AsMapEntry().Key(), name, q.Tools, k, false) {
			return nil, false
		}
		by[k] = m.AsMapEntry().Value()
	}
	q.Filter = sortedKeys(by)
	var values []ast.Expr
	for _, k := range q.Filter {
		values = append(values, by[k])
	}
	return values, true
}

func (u *unit) options(x *checked, e ast.Expr, name string, q *Query) bool {
	bad := func(msg string) bool {
		u.c.diag(u.position(x, e.ID(), nil), codeHistory, name+": "+msg, "write {'phase': 'attempted', 'within': duration('24h')}")
		return false
	}
	if e.Kind() != ast.MapKind {
		return bad("the options must be a map literal")
	}
	for _, m := range e.AsMap().Entries() {
		k, _ := textLiteral(m.AsMapEntry().Key())
		v := m.AsMapEntry().Value()
		switch k {
		case "phase":
			s, _ := textLiteral(v)
			ph, ok := phases[s]
			if !ok {
				return bad(fmt.Sprintf("unknown phase %q%s", s, hintSuffix(proviso.DidYouMean(s, sortedKeys(phases)))))
			}
			q.Phase = ph
		case "within":
			d, ok := durationLiteral(v)
			if !ok || d <= 0 {
				return bad("within must be a literal duration above zero, such as duration('24h')")
			}
			q.Within = d
		default:
			return bad(fmt.Sprintf("unknown option %q; phase and within are known", k))
		}
	}
	return true
}

// toolsHave checks that every tool of a query has the argument; a sum needs a numeric one.
func (u *unit) toolsHave(x *checked, at ast.Expr, name string, tools []string, arg string, numeric bool) bool {
	for _, n := range tools {
		t := u.c.p.tools[n]
		f := t.args.Fields[arg]
		if f == nil {
			u.c.diag(u.position(x, at.ID(), nil), codeHistory, fmt.Sprintf("%s: tool %s has no argument %q", name, n, arg), proviso.DidYouMean(arg, t.args.Names))
			return false
		}
		if numeric && f.Shape.Kind != schema.IntKind && f.Shape.Kind != schema.DoubleKind {
			u.c.diag(u.position(x, at.ID(), nil), codeHistory, fmt.Sprintf("%s: argument %q of tool %s is not a number", name, arg, n), "")
			return false
		}
	}
	return true
}

// checkFilters makes sure that filter values have the type of the argument they are compared with: a filter that can never match would count nothing, and permit.
func (u *unit) checkFilters(x *checked) bool {
	ok := true
	ast.PreOrderVisit(x.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 3 {
			return
		}
		switch e.AsCall().FunctionName() {
		case "@called", "@count", "@sum", "@last", "@since":
		default:
			return
		}
		q := u.c.p.queries[e.AsCall().Args()[1].AsLiteral().Value().(int64)]
		for i, v := range e.AsCall().Args()[2].AsList().Elements() {
			got := x.ast.GetType(v.ID())
			for _, t := range q.Tools {
				want := u.c.p.tools[t].args.Fields[q.Filter[i]].Shape
				if !comparable(got, want) {
					u.c.diag(x.at(v), codeHistory, fmt.Sprintf("argument %q of tool %s is %s, but the filter gives %s: it would never match", q.Filter[i], t, want.KindName(), plainMessage(got.String())), "convert the value")
					ok = false
					return
				}
			}
		}
	}))
	return ok
}

func comparable(got *types.Type, want *schema.Shape) bool {
	if got == nil || got.Kind() == types.DynKind || want.Type.Kind() == types.DynKind {
		return true
	}
	w := want.Type
	if w.Kind() == got.Kind() {
		return true
	}
	// A nullable value compares with its plain type.
	return strings.Contains(got.String(), w.String()) || strings.Contains(w.String(), got.String())
}

func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

// durationLiteral reads duration('24h').
func durationLiteral(e ast.Expr) (time.Duration, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "duration" || len(e.AsCall().Args()) != 1 {
		return 0, false
	}
	s, ok := textLiteral(e.AsCall().Args()[0])
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// exprKey identifies an expression up to positions and ids.
func exprKey(e ast.Expr) string { return debug.ToDebugString(e) }

// regexProblem says why a pattern cannot be used, or nothing.
func regexProblem(pattern string) string { return builtin.PatternProblem(pattern, maxRegexProgram) }
