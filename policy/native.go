package policy

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/tree"
)

// This file compiles common atoms to Go closures, five times as fast as CEL and without allocation. It only takes what the checker typed:
// conversion to schemas on entry guarantees those types while deciding. Everything else, and every dynamic value, is left to CEL, which stays the reference.

type (
	anyGetter  func(*frame) (any, state)
	strGetter  func(*frame) (string, state)
	intGetter  func(*frame) (int64, state)
	dblGetter  func(*frame) (float64, state)
	boolGetter func(*frame) (bool, state)
	timeGetter func(*frame) (time.Time, state)
	durGetter  func(*frame) (time.Duration, state)
)

// anyGetter compiles a path: a variable, a literal, a field of a path, or a member of a path. It returns nil for anything else.
func (u *unit) anyGetter(x *condition.Checked, e ast.Expr) anyGetter {
	switch e.Kind() {
	case ast.LiteralKind:
		v := e.AsLiteral().Value()
		if v == nil || e.AsLiteral() == types.NullValue {
			v = nil
		}
		return func(*frame) (any, state) { return v, known }
	case ast.IdentKind:
		return u.identGetter(e)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return nil
		}
		return u.fieldGetter(x, e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index {
			return u.memberGetter(x, call.Args()[0], call.Args()[1])
		}
	}
	return nil
}

func (u *unit) identGetter(e ast.Expr) anyGetter {
	if n, ok := condition.SlotNumber(e); ok {
		return func(f *frame) (any, state) {
			s := f.slot(n)
			return s.val, s.state
		}
	}
	switch e.AsIdent() {
	case "args":
		return func(f *frame) (any, state) { return f.in.Args, known }
	case "session":
		return func(f *frame) (any, state) { return f.v.Session, known }
	case "data":
		d := u.c.p.data
		return func(*frame) (any, state) { return d, known }
	case "text":
		return func(f *frame) (any, state) { return f.in.Text, known }
	case "tool":
		return func(f *frame) (any, state) { return f.in.Tool(), known }
	case "role":
		return func(f *frame) (any, state) { return f.in.role(), known }
	case "result":
		return func(f *frame) (any, state) {
			v, err := f.resultVal()
			if err != nil {
				return nil, failed
			}
			return v, known
		}
	case "is_error":
		return func(f *frame) (any, state) { return f.in.isError(), known }
	case "tz":
		z := u.c.p.zone
		return func(*frame) (any, state) { return z, known }
	case "now":
		return func(f *frame) (any, state) { return f.now, known }
	}
	return nil
}

func (u *unit) fieldGetter(x *condition.Checked, operand ast.Expr, name string) anyGetter {
	if operand.Kind() == ast.IdentKind && operand.AsIdent() == "args" {
		return func(f *frame) (any, state) { return field1(f.in.Args, name) }
	}
	if operand.Kind() == ast.IdentKind && operand.AsIdent() == "session" {
		return func(f *frame) (any, state) { return field1(f.v.Session, name) }
	}
	g := u.anyGetter(x, operand)
	if g == nil {
		return nil
	}
	return func(f *frame) (any, state) {
		v, st := g(f)
		if st != known {
			return nil, st
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, failed
		}
		return field1(m, name)
	}
}

func field1(m map[string]any, name string) (any, state) {
	v, ok := m[name]
	if !ok {
		return nil, absent
	}
	return v, known
}

func (u *unit) memberGetter(x *condition.Checked, operand, index ast.Expr) anyGetter {
	g := u.anyGetter(x, operand)
	t := x.AST.GetType(operand.ID())
	if g == nil || t == nil {
		return nil
	}
	switch t.Kind() {
	case types.MapKind:
		k := u.strGetter(x, index)
		if k == nil {
			return nil
		}
		return func(f *frame) (any, state) {
			v, st := g(f)
			key, kst := k(f)
			if st != known || kst != known {
				return nil, first(st, kst)
			}
			m, ok := v.(map[string]any)
			if !ok {
				return nil, failed
			}
			return field1(m, key)
		}
	case types.ListKind:
		k := u.intGetter(x, index)
		if k == nil {
			return nil
		}
		return func(f *frame) (any, state) {
			v, st := g(f)
			i, kst := k(f)
			if st != known || kst != known {
				return nil, first(st, kst)
			}
			l, ok := v.([]any)
			if !ok || i < 0 || i >= int64(len(l)) {
				return nil, absent
			}
			return l[i], known
		}
	}
	return nil
}

// first joins the states of two operands of a strict operation as CEL does: the left one that has no value decides.
func first(a, b state) state {
	if a != known {
		return a
	}
	return b
}

// typed wraps a path getter with the Go type that the checker promised.
func typed[T any](g anyGetter) func(*frame) (T, state) {
	return func(f *frame) (t T, st state) {
		v, st := g(f)
		if st != known {
			return t, st
		}
		t, ok := v.(T)
		if !ok {
			return t, failed
		}
		return t, known
	}
}

// kind is the kind of value that the checker promised. A nullable value promises nothing, and is left to CEL.
func (u *unit) kind(x *condition.Checked, e ast.Expr) types.Kind {
	t := x.AST.GetType(e.ID())
	if t == nil || t.Kind() != types.NullTypeKind && t.Kind() != types.StructKind && t.Kind() != types.TimestampKind && t.Kind() != types.DurationKind && t.IsAssignableType(types.NullType) {
		return types.DynKind
	}
	return t.Kind()
}

func (u *unit) strGetter(x *condition.Checked, e ast.Expr) strGetter {
	if u.kind(x, e) != types.StringKind {
		return nil
	}
	if s, ok := condition.TextLiteral(e); ok {
		return func(*frame) (string, state) { return s, known }
	}
	if g := u.anyGetter(x, e); g != nil {
		return typed[string](g)
	}
	return nil
}

// keyGetter gives one part of a fact's key as text.
func (u *unit) keyGetter(x *condition.Checked, e ast.Expr, kind string) strGetter {
	if kind != "integer" {
		return u.strGetter(x, e)
	}
	g := u.intGetter(x, e)
	if g == nil {
		return nil
	}
	return func(f *frame) (string, state) {
		i, st := g(f)
		if st != known {
			return "", st
		}
		return strconv.FormatInt(i, 10), known
	}
}

func (u *unit) intGetter(x *condition.Checked, e ast.Expr) intGetter {
	if u.kind(x, e) != types.IntKind {
		return nil
	}
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case "size":
			return u.sizeGetter(x, e)
		case "@count":
			if q, get := u.pastGetter(x, call); get != nil {
				return func(f *frame) (int64, state) {
					vals, st := get(f)
					if st != known {
						return 0, st
					}
					return f.past(q, vals).Count, known
				}
			}
			return nil
		case operators.Add, operators.Subtract:
			return u.intSum(x, call)
		}
	}
	if g := u.anyGetter(x, e); g != nil {
		return typed[int64](g)
	}
	return nil
}

func (u *unit) intSum(x *condition.Checked, call ast.CallExpr) intGetter {
	a, b := u.intGetter(x, call.Args()[0]), u.intGetter(x, call.Args()[1])
	if a == nil || b == nil {
		return nil
	}
	minus := call.FunctionName() == operators.Subtract
	return func(f *frame) (int64, state) {
		l, st := a(f)
		r, st2 := b(f)
		if st != known || st2 != known {
			return 0, first(st, st2)
		}
		if minus {
			if r < 0 && l > math.MaxInt64+r || r > 0 && l < math.MinInt64+r {
				return 0, failed
			}
			return l - r, known
		}
		if r > 0 && l > math.MaxInt64-r || r < 0 && l < math.MinInt64-r {
			return 0, failed
		}
		return l + r, known
	}
}

func (u *unit) sizeGetter(x *condition.Checked, e ast.Expr) intGetter {
	call := e.AsCall()
	operand := call.Target()
	if !call.IsMemberFunction() {
		operand = call.Args()[0]
	}
	g := u.anyGetter(x, operand)
	if g == nil {
		return nil
	}
	switch u.kind(x, operand) {
	case types.StringKind, types.ListKind, types.MapKind:
	default:
		return nil
	}
	return func(f *frame) (int64, state) {
		v, st := g(f)
		if st != known {
			return 0, st
		}
		switch c := v.(type) {
		case string:
			return int64(utf8.RuneCountInString(c)), known
		case []any:
			return int64(len(c)), known
		case map[string]any:
			return int64(len(c)), known
		}
		return 0, failed
	}
}

func (u *unit) dblGetter(x *condition.Checked, e ast.Expr) dblGetter {
	if u.kind(x, e) != types.DoubleKind {
		return nil
	}
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case "@sum":
			if q, get := u.pastGetter(x, call); get != nil {
				return func(f *frame) (float64, state) {
					vals, st := get(f)
					if st != known {
						return 0, st
					}
					return f.past(q, vals).Sum, known
				}
			}
			return nil
		case operators.Add, operators.Subtract, operators.Multiply:
			return u.dblArithmetic(x, call)
		}
	}
	if g := u.anyGetter(x, e); g != nil {
		return typed[float64](g)
	}
	return nil
}

func (u *unit) dblArithmetic(x *condition.Checked, call ast.CallExpr) dblGetter {
	a, b := u.dblGetter(x, call.Args()[0]), u.dblGetter(x, call.Args()[1])
	if a == nil || b == nil {
		return nil
	}
	fn := call.FunctionName()
	return func(f *frame) (float64, state) {
		l, st := a(f)
		r, st2 := b(f)
		if st != known || st2 != known {
			return 0, first(st, st2)
		}
		switch fn {
		case operators.Add:
			return l + r, known
		case operators.Subtract:
			return l - r, known
		}
		return l * r, known
	}
}

func (u *unit) timeGetter(x *condition.Checked, e ast.Expr) timeGetter {
	if u.kind(x, e) != types.TimestampKind {
		return nil
	}
	if e.Kind() == ast.IdentKind && e.AsIdent() == "now" {
		return func(f *frame) (time.Time, state) { return f.now, known }
	}
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Add, operators.Subtract:
			return u.timeShift(x, call)
		case "@last":
			if q, get := u.pastGetter(x, call); get != nil {
				return func(f *frame) (time.Time, state) {
					vals, st := get(f)
					if st != known {
						return time.Time{}, st
					}
					return f.past(q, vals).last(), known
				}
			}
			return nil
		case "timestamp":
			if s, ok := condition.TextLiteral(call.Args()[0]); ok {
				if t, err := time.Parse(time.RFC3339, s); err == nil {
					return func(*frame) (time.Time, state) { return t, known }
				}
			}
			return nil
		}
	}
	if g := u.anyGetter(x, e); g != nil {
		return typed[time.Time](g)
	}
	return nil
}

// timeShift is a time plus or minus a duration.
func (u *unit) timeShift(x *condition.Checked, call ast.CallExpr) timeGetter {
	t, d := u.timeGetter(x, call.Args()[0]), u.durGetter(x, call.Args()[1])
	if t == nil || d == nil {
		return nil
	}
	sign := time.Duration(1)
	if call.FunctionName() == operators.Subtract {
		sign = -1
	}
	return func(f *frame) (time.Time, state) {
		at, st := t(f)
		by, st2 := d(f)
		if st != known || st2 != known {
			return time.Time{}, first(st, st2)
		}
		out := at.Add(sign * by)
		if out.Year() < 1 || out.Year() > 9999 {
			return time.Time{}, failed
		}
		return out, known
	}
}

func (u *unit) durGetter(x *condition.Checked, e ast.Expr) durGetter {
	if u.kind(x, e) != types.DurationKind {
		return nil
	}
	if d, ok := condition.DurationLiteral(e); ok {
		return func(*frame) (time.Duration, state) { return d, known }
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	switch call.FunctionName() {
	case "@since":
		if q, get := u.pastGetter(x, call); get != nil {
			return func(f *frame) (time.Duration, state) {
				vals, st := get(f)
				if st != known {
					return 0, st
				}
				return f.past(q, vals).since(f.now), known
			}
		}
	case operators.Subtract:
		a, b := u.timeGetter(x, call.Args()[0]), u.timeGetter(x, call.Args()[1])
		if a == nil || b == nil {
			return nil
		}
		return func(f *frame) (time.Duration, state) {
			l, st := a(f)
			r, st2 := b(f)
			if st != known || st2 != known {
				return 0, first(st, st2)
			}
			d := l.Sub(r)
			if !r.Add(d).Equal(l) { // Sub saturates where CEL overflows
				return 0, failed
			}
			return d, known
		}
	}
	return nil
}

// pastGetter compiles the filter of a history call.
func (u *unit) pastGetter(x *condition.Checked, call ast.CallExpr) (q int, get func(*frame) ([]any, state)) {
	q = int(call.Args()[1].AsLiteral().Value().(int64))
	var gs []anyGetter
	for _, v := range call.Args()[2].AsList().Elements() {
		g := u.anyGetter(x, v)
		if g == nil {
			return 0, nil
		}
		gs = append(gs, g)
	}
	if len(gs) == 0 {
		return q, func(*frame) ([]any, state) { return nil, known }
	}
	return q, func(f *frame) ([]any, state) {
		vals := make([]any, len(gs))
		for i, g := range gs {
			v, st := g(f)
			if st != known {
				return nil, st
			}
			vals[i] = v
		}
		return vals, known
	}
}

func setOfState(st state) tree.Set {
	if st == unknown {
		return tree.Open
	}
	return tree.Err
}

func setOf(b bool) tree.Set {
	if b {
		return tree.IsTrue
	}
	return tree.IsFalse
}

// nativeAtom compiles a boolean expression, or returns nil.
func (u *unit) nativeAtom(x *condition.Checked, e ast.Expr) func(*frame) tree.Set {
	switch e.Kind() {
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return u.hasAtom(x, e.AsSelect())
		}
		return u.boolAtom(x, e)
	case ast.IdentKind:
		return u.boolAtom(x, e)
	case ast.CallKind:
		return u.callAtom(x, e.AsCall())
	}
	return nil
}

func (u *unit) boolAtom(x *condition.Checked, e ast.Expr) func(*frame) tree.Set {
	g := u.anyGetter(x, e)
	if g == nil || u.kind(x, e) != types.BoolKind {
		return nil
	}
	get := typed[bool](g)
	return func(f *frame) tree.Set {
		b, st := get(f)
		if st != known {
			return setOfState(st)
		}
		return setOf(b)
	}
}

// hasAtom is has(path.field).
func (u *unit) hasAtom(x *condition.Checked, s ast.SelectExpr) func(*frame) tree.Set {
	g := u.anyGetter(x, s.Operand())
	if g == nil {
		return nil
	}
	name := s.FieldName()
	return func(f *frame) tree.Set {
		v, st := g(f)
		if st != known {
			return setOfState(st)
		}
		m, ok := v.(map[string]any)
		if !ok {
			return tree.Err
		}
		_, ok = m[name]
		return setOf(ok)
	}
}

func (u *unit) callAtom(x *condition.Checked, call ast.CallExpr) func(*frame) tree.Set {
	switch call.FunctionName() {
	case operators.Equals, operators.Less:
		return u.comparison(x, call.FunctionName() == operators.Less, call.Args()[0], call.Args()[1])
	case operators.In:
		return u.membership(x, call.Args()[0], call.Args()[1])
	case "startsWith", "endsWith", "contains", "matches":
		return u.textTest(x, call)
	case "confirmed":
		return (*frame).confirmed
	case "@called":
		q, get := u.pastGetter(x, call)
		if get == nil {
			return nil
		}
		return func(f *frame) tree.Set {
			vals, st := get(f)
			if st != known {
				return setOfState(st)
			}
			return setOf(f.past(q, vals).Count > 0)
		}
	}
	return nil
}

func compareAtom[T any](a, b func(*frame) (T, state), test func(T, T) bool) func(*frame) tree.Set {
	return func(f *frame) tree.Set {
		l, st := a(f)
		r, st2 := b(f)
		if st != known || st2 != known {
			return setOfState(first(st, st2))
		}
		return setOf(test(l, r))
	}
}

func (u *unit) comparison(x *condition.Checked, less bool, a, b ast.Expr) func(*frame) tree.Set {
	if !less && (isNull(a) || isNull(b)) {
		return u.nullTest(x, a, b)
	}
	if u.kind(x, a) != u.kind(x, b) {
		return nil
	}
	switch u.kind(x, a) {
	case types.StringKind:
		if l, r := u.strGetter(x, a), u.strGetter(x, b); l != nil && r != nil {
			if less {
				return compareAtom(l, r, func(l, r string) bool { return l < r })
			}
			return compareAtom(l, r, func(l, r string) bool { return l == r })
		}
	case types.IntKind:
		if l, r := u.intGetter(x, a), u.intGetter(x, b); l != nil && r != nil {
			if less {
				return compareAtom(l, r, func(l, r int64) bool { return l < r })
			}
			return compareAtom(l, r, func(l, r int64) bool { return l == r })
		}
	case types.DoubleKind:
		if l, r := u.dblGetter(x, a), u.dblGetter(x, b); l != nil && r != nil {
			return doubleComparison(l, r, less)
		}
	case types.TimestampKind:
		if l, r := u.timeGetter(x, a), u.timeGetter(x, b); l != nil && r != nil {
			if less {
				return compareAtom(l, r, time.Time.Before)
			}
			return compareAtom(l, r, time.Time.Equal)
		}
	case types.DurationKind:
		if l, r := u.durGetter(x, a), u.durGetter(x, b); l != nil && r != nil {
			if less {
				return compareAtom(l, r, func(l, r time.Duration) bool { return l < r })
			}
			return compareAtom(l, r, func(l, r time.Duration) bool { return l == r })
		}
	case types.BoolKind:
		if l, r := u.anyGetter(x, a), u.anyGetter(x, b); !less && l != nil && r != nil {
			return compareAtom(typed[bool](l), typed[bool](r), func(l, r bool) bool { return l == r })
		}
	}
	return nil
}

// doubleComparison errs on NaN where CEL does: it cannot be ordered, and it equals nothing.
func doubleComparison(a, b dblGetter, less bool) func(*frame) tree.Set {
	return func(f *frame) tree.Set {
		l, st := a(f)
		r, st2 := b(f)
		if st != known || st2 != known {
			return setOfState(first(st, st2))
		}
		if less && (math.IsNaN(l) || math.IsNaN(r)) {
			return tree.Err
		}
		if less {
			return setOf(l < r)
		}
		return setOf(l == r)
	}
}

func isNull(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind && e.AsLiteral() == types.NullValue
}

func (u *unit) nullTest(x *condition.Checked, a, b ast.Expr) func(*frame) tree.Set {
	if isNull(a) {
		a = b
	}
	g := u.anyGetter(x, a)
	if g == nil {
		return nil
	}
	return func(f *frame) tree.Set {
		v, st := g(f)
		if st != known {
			return setOfState(st)
		}
		return setOf(v == nil)
	}
}

// membership is x in [literals], x in path.
func (u *unit) membership(x *condition.Checked, e, in ast.Expr) func(*frame) tree.Set {
	if u.kind(x, e) != types.StringKind {
		return nil
	}
	g := u.strGetter(x, e)
	if g == nil {
		return nil
	}
	if in.Kind() == ast.ListKind {
		set := map[string]bool{}
		for _, m := range in.AsList().Elements() {
			s, ok := condition.TextLiteral(m)
			if !ok {
				return nil
			}
			set[s] = true
		}
		return func(f *frame) tree.Set {
			s, st := g(f)
			if st != known {
				return setOfState(st)
			}
			return setOf(set[s])
		}
	}
	t := x.AST.GetType(in.ID())
	coll := u.anyGetter(x, in)
	if coll == nil || t == nil || t.Kind() != types.MapKind && !(t.Kind() == types.ListKind && t.Parameters()[0].Kind() == types.StringKind) {
		return nil
	}
	return func(f *frame) tree.Set {
		s, st := g(f)
		c, st2 := coll(f)
		if st != known || st2 != known {
			return setOfState(first(st, st2))
		}
		switch c := c.(type) {
		case map[string]any:
			_, ok := c[s]
			return setOf(ok)
		case []any:
			for _, v := range c {
				if v == any(s) {
					return tree.IsTrue
				}
			}
			return tree.IsFalse
		}
		return tree.Err
	}
}

// textTest is one of the methods of texts with a text argument.
func (u *unit) textTest(x *condition.Checked, call ast.CallExpr) func(*frame) tree.Set {
	if !call.IsMemberFunction() || len(call.Args()) != 1 {
		return nil
	}
	s, arg := u.strGetter(x, call.Target()), u.strGetter(x, call.Args()[0])
	if s == nil || arg == nil {
		return nil
	}
	switch call.FunctionName() {
	case "startsWith":
		return compareAtom(s, arg, strings.HasPrefix)
	case "endsWith":
		return compareAtom(s, arg, strings.HasSuffix)
	case "contains":
		return compareAtom(s, arg, strings.Contains)
	}
	pattern, ok := condition.TextLiteral(call.Args()[0])
	if !ok {
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil
	}
	return func(f *frame) tree.Set {
		v, st := s(f)
		if st != known {
			return setOfState(st)
		}
		return setOf(re.MatchString(v))
	}
}
