package condition

import (
	"fmt"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/tree"
)

// Paths are optional arguments and fields that are known to be present: an optional one may be read only where has() guards it.
type Paths map[string]bool

func (a Paths) with(bs ...Paths) Paths {
	out := Paths{}
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

func intersect(ps []Paths) Paths {
	out := Paths{}
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

// Shows returns the paths that are present wherever f has the value v.
func (f *Formula) Shows(v bool) Paths {
	if f == nil {
		return nil
	}
	switch f.Op {
	case tree.Atom:
		return shows(f.E, v)
	case tree.Not:
		return f.Kids[0].Shows(!v)
	case tree.If:
		return nil
	}
	conj := f.Op == tree.All || f.Op == tree.Chain
	if conj == v {
		var out Paths
		for _, k := range f.Kids {
			out = out.with(k.Shows(v))
		}
		return out
	}
	return intersectAll(len(f.Kids), func(i int) Paths { return f.Kids[i].Shows(v) })
}

func intersectAll(n int, at func(int) Paths) Paths {
	if n == 0 {
		return nil
	}
	ps := make([]Paths, n)
	for i := range ps {
		ps[i] = at(i)
	}
	return intersect(ps)
}

// shows is the same for a CEL expression.
func shows(e ast.Expr, v bool) Paths {
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() && v {
		return Paths{Key(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName(): true}
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
		return intersect([]Paths{shows(args[0], v), shows(args[1], v)})
	}
	return nil
}

// Present checks every optional read below f; present names the paths known to be there where f is evaluated.
func (u *Unit) Present(f *Formula, present Paths) bool {
	if f == nil {
		return true
	}
	switch f.Op {
	case tree.Atom:
		return u.PresentExpr(f.X, f.E, present)
	case tree.Not:
		return u.Present(f.Kids[0], present)
	case tree.If:
		return u.Present(f.Kids[0], present) && u.Present(f.Kids[1], present.with(f.Kids[0].Shows(true))) && u.Present(f.Kids[2], present.with(f.Kids[0].Shows(false)))
	}
	conj := f.Op == tree.All || f.Op == tree.Chain
	ok := true
	for i, k := range f.Kids {
		p := present
		for j, other := range f.Kids {
			if j != i {
				p = p.with(other.Shows(conj))
			}
		}
		ok = u.Present(k, p) && ok
	}
	return ok
}

// PresentExpr is the same for one expression.
func (u *Unit) PresentExpr(x *Checked, e ast.Expr, present Paths) bool {
	switch e.Kind() {
	case ast.SelectKind:
		s := e.AsSelect()
		if !u.PresentExpr(x, s.Operand(), present) {
			return false
		}
		return s.IsTestOnly() || u.present(x, e, present)
	case ast.CallKind:
		return u.presentCall(x, e, present)
	case ast.ListKind:
		return u.presentAll(x, e.AsList().Elements(), present)
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			if !u.presentAll(x, []ast.Expr{m.AsMapEntry().Key(), m.AsMapEntry().Value()}, present) {
				return false
			}
		}
	case ast.ComprehensionKind:
		q := e.AsComprehension()
		return u.presentAll(x, []ast.Expr{q.IterRange(), q.AccuInit(), q.LoopCondition(), q.LoopStep(), q.Result()}, present)
	}
	return true
}

func (u *Unit) presentAll(x *Checked, es []ast.Expr, present Paths) bool {
	for _, e := range es {
		if !u.PresentExpr(x, e, present) {
			return false
		}
	}
	return true
}

func (u *Unit) presentCall(x *Checked, e ast.Expr, present Paths) bool {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr:
		v := call.FunctionName() == operators.LogicalAnd
		return u.PresentExpr(x, args[0], present.with(shows(args[1], v))) && u.PresentExpr(x, args[1], present.with(shows(args[0], v)))
	case operators.Conditional:
		return u.PresentExpr(x, args[0], present) && u.PresentExpr(x, args[1], present.with(shows(args[0], true))) && u.PresentExpr(x, args[2], present.with(shows(args[0], false)))
	case operators.OptSelect, operators.OptIndex:
		return u.PresentExpr(x, args[0], present)
	}
	if call.IsMemberFunction() && !u.PresentExpr(x, call.Target(), present) {
		return false
	}
	return u.presentAll(x, args, present)
}

// present checks one field selection.
func (u *Unit) present(x *Checked, e ast.Expr, present Paths) bool {
	s := e.AsSelect()
	t := x.AST.GetType(s.Operand().ID())
	if t == nil || t.Kind() != types.StructKind {
		return true
	}
	sh := u.Provider.Structs[t.TypeName()]
	if sh == nil {
		return true
	}
	f := sh.Fields[s.FieldName()]
	if f == nil || f.Required || f.HasDefault || present[Key(s.Operand())+"."+s.FieldName()] {
		return true
	}
	text := PathText(s.Operand(), nil) + "." + s.FieldName()
	u.Report(x.At(e), CodeAbsent, fmt.Sprintf("%s may be absent%s", text, u.InTool()),
		fmt.Sprintf("guard it with has(%s) && …, use .?%s.orValue(…), or give the schema a default", text, s.FieldName()))
	return false
}
