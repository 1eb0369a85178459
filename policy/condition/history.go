package condition

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// pastFunctions gives, by name, the internal function, and whether an argument name follows the tool.
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
func (u *Unit) takeHistory(x *Checked, root ast.Expr) bool {
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
			u.Tracks = true
			if problem != "" {
				u.Report(u.position(x, e.ID(), nil), CodeType, call.FunctionName()+": "+problem, "the precisions are 'value', 'context' and 'session'")
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
			factory.NewLiteral(u.fresh(x, e), types.Int(u.number(q))),
			factory.NewList(u.fresh(x, e), values, nil)))
	}))
	return ok
}

// CalendarParts are CEL's methods of timestamps that may take a time zone.
var CalendarParts = map[string]bool{"getFullYear": true, "getMonth": true, "getDate": true, "getDayOfMonth": true, "getDayOfWeek": true, "getDayOfYear": true,
	"getHours": true, "getMinutes": true, "getSeconds": true, "getMilliseconds": true}

// takeZone replaces t.getHours(zone) by @local(t, zone).getHours(): CEL's own way looks the zone up on disk at every call, ours resolves it once.
func (u *Unit) takeZone(x *Checked, e ast.Expr) bool {
	call := e.AsCall()
	if !CalendarParts[call.FunctionName()] || len(call.Args()) != 1 {
		return true
	}
	if name, literal := TextLiteral(call.Args()[0]); literal {
		if _, err := builtin.ZoneOrOffset(name); err != nil {
			u.Report(u.position(x, call.Args()[0].ID(), nil), CodeTime, err.Error(), "use an IANA name such as Europe/Berlin, or an offset such as +02:00")
			return false
		}
	}
	local := factory.NewCall(u.fresh(x, e), "@local", call.Target(), call.Args()[0])
	e.SetKindCase(factory.NewMemberCall(e.ID(), call.FunctionName(), local))
	return true
}

func (u *Unit) fresh(x *Checked, at ast.Expr) int64 {
	if u.ids == 0 {
		u.ids = firstID
	}
	u.ids++
	id := u.ids
	if o, ok := x.where[at.ID()]; ok {
		x.where[id] = o
	} else if r, ok := x.AST.SourceInfo().GetOffsetRange(at.ID()); ok {
		x.where[id] = origin{x.Text, byteOffset(x.Text.S, int(r.Start))}
	}
	return id
}

// query reads the literal parts of a history call.
func (u *Unit) query(x *Checked, e ast.Expr, field bool) (q Query, values []ast.Expr, ok bool) {
	name, args := e.AsCall().FunctionName(), e.AsCall().Args()
	usage := name + "('tool', {'argument': value}, {'phase': 'ok', 'within': duration('24h')})"
	if field {
		usage = name + "('tool', 'argument', {'argument': value}, {'within': duration('24h')})"
	}
	bad := func(at ast.Expr, format string, a ...any) (Query, []ast.Expr, bool) {
		u.Report(u.position(x, at.ID(), nil), CodeHistory, name+": "+fmt.Sprintf(format, a...), "write "+usage)
		return Query{}, nil, false
	}
	need := 1
	if field {
		need = 2
	}
	if len(args) < need || len(args) > need+2 {
		return bad(e, "takes %d to %d arguments, got %d", need, need+2, len(args))
	}
	glob, isText := TextLiteral(args[0])
	if !isText {
		return bad(args[0], "the tool must be a literal text")
	}
	q.Phase = proviso.OK
	if name == "total" {
		q.Phase = Reserved
	}
	for _, n := range u.toolNames() {
		if pack.Match(glob, n) {
			q.Tools = append(q.Tools, n)
		}
	}
	if len(q.Tools) == 0 {
		u.Report(u.position(x, args[0].ID(), nil), CodeHistory, fmt.Sprintf("%s: no tool matches %q", name, glob), proviso.DidYouMean(glob, u.toolNames()))
		return Query{}, nil, false
	}
	if field {
		if q.Field, isText = TextLiteral(args[1]); !isText {
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

func (u *Unit) filter(x *Checked, e ast.Expr, name string, q *Query) ([]ast.Expr, bool) {
	if e.Kind() != ast.MapKind {
		u.Report(u.position(x, e.ID(), nil), CodeHistory, name+": the filter must be a map literal of arguments", "write {} for no filter")
		return nil, false
	}
	by := map[string]ast.Expr{}
	for _, m := range e.AsMap().Entries() {
		k, isText := TextLiteral(m.AsMapEntry().Key())
		if !isText {
			u.Report(u.position(x, e.ID(), nil), CodeHistory, name+": the filter's keys must be literal argument names", "")
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

func (u *Unit) options(x *Checked, e ast.Expr, name string, q *Query) bool {
	bad := func(msg string) bool {
		u.Report(u.position(x, e.ID(), nil), CodeHistory, name+": "+msg, "write {'phase': 'attempted', 'within': duration('24h')}")
		return false
	}
	if e.Kind() != ast.MapKind {
		return bad("the options must be a map literal")
	}
	for _, m := range e.AsMap().Entries() {
		k, _ := TextLiteral(m.AsMapEntry().Key())
		v := m.AsMapEntry().Value()
		switch k {
		case "phase":
			s, _ := TextLiteral(v)
			ph, ok := phases[s]
			if !ok {
				return bad(fmt.Sprintf("unknown phase %q%s", s, hintSuffix(proviso.DidYouMean(s, sortedKeys(phases)))))
			}
			q.Phase = ph
		case "within":
			d, ok := DurationLiteral(v)
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
func (u *Unit) toolsHave(x *Checked, at ast.Expr, name string, tools []string, arg string, numeric bool) bool {
	for _, n := range tools {
		args := u.Tools[n]
		f := args.Fields[arg]
		if f == nil {
			u.Report(u.position(x, at.ID(), nil), CodeHistory, fmt.Sprintf("%s: tool %s has no argument %q", name, n, arg), proviso.DidYouMean(arg, args.Names))
			return false
		}
		if numeric && f.Shape.Kind != schema.IntKind && f.Shape.Kind != schema.DoubleKind {
			u.Report(u.position(x, at.ID(), nil), CodeHistory, fmt.Sprintf("%s: argument %q of tool %s is not a number", name, arg, n), "")
			return false
		}
	}
	return true
}

// checkFilters makes sure that filter values have the type of the argument they are compared with: a filter that can never match would count nothing, and permit.
func (u *Unit) checkFilters(x *Checked) bool {
	ok := true
	ast.PreOrderVisit(x.AST.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 3 {
			return
		}
		switch e.AsCall().FunctionName() {
		case "@called", "@count", "@sum", "@last", "@since":
		default:
			return
		}
		q := u.Queries[e.AsCall().Args()[1].AsLiteral().Value().(int64)]
		for i, v := range e.AsCall().Args()[2].AsList().Elements() {
			got := x.AST.GetType(v.ID())
			for _, t := range q.Tools {
				want := u.Tools[t].Fields[q.Filter[i]].Shape
				if !comparable(got, want) {
					u.Report(x.At(v), CodeHistory, fmt.Sprintf("argument %q of tool %s is %s, but the filter gives %s: it would never match", q.Filter[i], t, want.KindName(), PlainMessage(got.String())), "convert the value")
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
