package policy

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/condition"
)

// inputs lists the paths that an expression reads, and what it asks of the past, for explanations. What has() asks for is listed where it is present.
func (u *unit) inputs(x *condition.Checked, e ast.Expr, out []input, seen map[string]bool) []input {
	add := func(text string, g anyGetter) []input {
		if seen[text] {
			return out
		}
		seen[text] = true
		return append(out, input{text, g})
	}
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		if e.Kind() == ast.IdentKind && (e.AsIdent() == "@frame" || e.AsIdent() == "call") {
			return out
		}
		if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
			s := e.AsSelect()
			if g := u.fieldGetter(x, s.Operand(), s.FieldName()); g != nil {
				return add(u.pathText(s.Operand())+"."+s.FieldName(), g)
			}
			return out
		}
		if g := u.anyGetter(x, e); g != nil {
			return add(u.pathText(e), g)
		}
		if e.Kind() == ast.SelectKind {
			return u.inputs(x, e.AsSelect().Operand(), out, seen)
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index {
			if g := u.anyGetter(x, e); g != nil {
				return add(u.pathText(e), g)
			}
		}
		if value := pastValues[call.FunctionName()]; value != nil {
			if q, get := u.pastGetter(x, call); get != nil {
				out = add(u.pastText(call.FunctionName(), q), func(f *frame) (any, state) {
					vals, st := get(f)
					if st != known {
						return nil, st
					}
					return value(f, f.past(q, vals))
				})
			}
			return u.inputs(x, call.Args()[2], out, seen)
		}
		if call.IsMemberFunction() {
			out = u.inputs(x, call.Target(), out, seen)
		}
		for _, a := range call.Args() {
			out = u.inputs(x, a, out, seen)
		}
	case ast.ListKind:
		for _, m := range e.AsList().Elements() {
			out = u.inputs(x, m, out, seen)
		}
	case ast.ComprehensionKind:
		out = u.inputs(x, e.AsComprehension().IterRange(), out, seen)
		out = u.inputs(x, e.AsComprehension().AccuInit(), out, seen) // what cel.bind gives a name to
	}
	return out
}

// pastValues are the history functions whose value an explanation shows, absent where no call matches.
var pastValues = map[string]func(*frame, Past) (any, state){
	"@count": func(_ *frame, p Past) (any, state) { return p.Count, known },
	"@sum":   func(_ *frame, p Past) (any, state) { return p.Sum, known },
	"@last":  func(_ *frame, p Past) (any, state) { return p.Last, happened(p) },
	"@since": func(f *frame, p Past) (any, state) { return p.since(f.now).String(), happened(p) },
}

func happened(p Past) state {
	if p.Last.IsZero() {
		return absent
	}
	return known
}

// pastText names a question about the past: the function, the tools, and the arguments that calls are told apart by.
func (u *unit) pastText(internal string, n int) string {
	q := u.Queries[n]
	name := internal[1:]
	if internal == "@sum" && q.Phase == Reserved {
		name = "total"
	}
	text := name + "(" + strings.Join(q.Tools, " or ")
	if q.Field != "" {
		text += ", " + q.Field
	}
	if len(q.Filter) > 0 {
		text += ", {" + strings.Join(q.Filter, ", ") + "}"
	}
	if q.Phase != proviso.OK && name != "total" {
		text += ", " + string(q.Phase)
	}
	if q.Within > 0 {
		text += ", within " + q.Within.String()
	}
	return text + ")"
}
