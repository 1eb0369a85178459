package condition

import (
	"fmt"

	"cel.dev/cel-go/common/ast"

	"github.com/proviso-dev/proviso/policy/pack"
)

// inliner replaces let names in place, before the check. CEL's own inliner would bind repeated uses to variables, which hides connectives.
type inliner struct {
	u    *Unit
	x    *Checked
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
			if k != q.IterVar() && k != q.IterVar2() && k != q.AccuVar() { // the accumulator is the variable of cel.bind
				inner[k] = v
			}
		}
		return in.all([]ast.Expr{q.IterRange(), q.AccuInit()}, lets, stack) && in.all([]ast.Expr{q.LoopCondition(), q.LoopStep(), q.Result()}, inner, stack)
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
			in.u.Report(t.Pos, CodeLet, fmt.Sprintf("let %s refers to itself", name), "write the expression out")
			return false
		}
	}
	parsed, iss := in.u.Parser.Parse(in.u.Env(), t.S)
	if iss.Err() != nil {
		for _, err := range iss.Errors() {
			in.u.Report(t.At(offsetOf(t.S, err.Location)), CodeCEL, fmt.Sprintf("let %s: syntax: %s", name, PlainMessage(err.Message)), "conditions are CEL expressions")
		}
		return false
	}
	info := parsed.NativeRep().SourceInfo()
	copied := factory.CopyExpr(parsed.NativeRep().Expr())
	root := &Checked{AST: parsed.NativeRep(), Source: map[int64]string{}}
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
		if s, ok := root.Source[old]; ok {
			in.x.Source[in.next] = s
		}
		return in.next
	})
	// The identifier keeps its id, so that the checker's errors about the whole let point at its use, those inside at the let,
	// and an explanation shows the let's name where the let is one atom.
	e.SetKindCase(copied)
	return in.inline(e, in.u.Lets, append(stack[:len(stack):len(stack)], name))
}
