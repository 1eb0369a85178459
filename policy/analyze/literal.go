package analyze

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/policy"
)

// A literal is an atom that the solver understands. assert adds that it is true, or false, to a conjunction.
type literal interface {
	assert(c *conjunction, v bool)
	variables() []string
}

// variable is a value that conditions read: where it stands, and what kind of value it is.
type variable struct {
	name  string // canonical
	kind  types.Kind
	place place
}

// place says where a variable's value is put to show a case. The zero place is nowhere: the variable is an expression that is not understood.
type place struct {
	root  string // args, session, fact, now, past, label, question, confirmed
	path  []string
	fact  string
	keys  []ast.Expr // of a fact, read in src
	src   *source
	query string // of the past: the query as a text
	asked *policy.Query
	part  string // of the past: the function
	label string
	of    ast.Expr // of a label
}

type (
	compares struct { // Σ coef·v < bound, or = bound
		coef  map[string]*big.Rat
		bound *big.Rat
		equal bool
	}
	textIn struct { // path is in a finite set of texts
		path string
		set  []string
	}
	textMatch struct{ path, pattern string }
	textSame  struct{ a, b string }
	truth     struct{ name string } // a boolean variable
	presence  struct{ path string }
)

func (l compares) assert(c *conjunction, v bool)  { c.compare(l, v) }
func (l textMatch) assert(c *conjunction, v bool) { c.match(l.path, l.pattern, v) }
func (l textIn) assert(c *conjunction, v bool)    { c.among(l.path, l.set, v) }
func (l textSame) assert(c *conjunction, v bool)  { c.same(l.a, l.b, v) }
func (l truth) assert(c *conjunction, v bool)     { c.setBool(l.name, v) }
func (l presence) assert(c *conjunction, v bool)  { c.setPresent(l.path, v) }

func (l compares) variables() []string  { return sortedNames(l.coef) }
func (l textMatch) variables() []string { return []string{l.path} }
func (l textIn) variables() []string    { return []string{l.path} }
func (l textSame) variables() []string  { return []string{l.a, l.b} }
func (l truth) variables() []string     { return []string{l.name} }
func (l presence) variables() []string  { return []string{l.path} }

// literal reads an atom; nil where it is opaque.
func (r *reader) literal(e ast.Expr) literal {
	switch e.Kind() {
	case ast.IdentKind:
		if q, ok := strings.CutPrefix(e.AsIdent(), "judged."); ok {
			return truth{r.variable(r.canonical(e), types.BoolKind, place{root: "question", fact: q, src: r.src})}
		}
		return r.truth(e)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			operand := e.AsSelect().Operand()
			if _, ok := r.pathPlace(operand); !ok && !isRoot(operand) {
				return nil
			}
			r.note(operand)
			return presence{r.canonical(operand) + "." + e.AsSelect().FieldName()}
		}
		return r.truth(e)
	case ast.CallKind:
		return r.call(e)
	}
	return nil
}

// isRoot recognises a variable whose fields may be absent.
func isRoot(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && (e.AsIdent() == "args" || e.AsIdent() == "session")
}

func (r *reader) truth(e ast.Expr) literal {
	if name, ok := r.path(e, types.BoolKind); ok {
		return truth{name}
	}
	return nil
}

func (r *reader) call(e ast.Expr) literal {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.Equals:
		return r.equals(args[0], args[1])
	case operators.Less:
		return r.comparison(args[0], args[1], false)
	case operators.In:
		return r.membership(args[0], args[1])
	case "startsWith", "endsWith", "contains", "matches":
		return r.textTest(call)
	case "confirmed":
		return truth{r.variable("confirmed", types.BoolKind, place{root: "confirmed"})}
	case "@called":
		// It was called where the count is at least one.
		v := r.pastVariable(call, "@count", types.IntKind)
		return compares{map[string]*big.Rat{v: big.NewRat(-1, 1)}, big.NewRat(0, 1), false}
	}
	return nil
}

func (r *reader) equals(a, b ast.Expr) literal {
	if _, isText := r.text(a); isText {
		a, b = b, a
	}
	if s, isText := r.text(b); isText {
		if path, ok := r.textPath(a); ok {
			return textIn{path, []string{s}}
		}
		return nil
	}
	if path, ok := r.path(a, types.StringKind); ok {
		if other, isPath := r.path(b, types.StringKind); isPath {
			return textSame{path, other}
		}
		return nil
	}
	return r.comparison(a, b, true)
}

// text reads a constant text: a literal or a value of a table.
func (r *reader) text(e ast.Expr) (string, bool) {
	if s, ok := textLiteral(e); ok {
		return s, true
	}
	if v, ok := r.table(e); ok {
		s, isText := v.(string)
		return s, isText
	}
	return "", false
}

func (r *reader) comparison(a, b ast.Expr, equal bool) literal {
	if !numeric(r.kind(a)) || !numeric(r.kind(b)) {
		return nil
	}
	la, lb := r.linear(a), r.linear(b)
	coef := map[string]*big.Rat{}
	for v, k := range la.coef {
		coef[v] = k
	}
	for v, k := range lb.coef {
		if old := coef[v]; old != nil {
			coef[v] = new(big.Rat).Sub(old, k)
			continue
		}
		coef[v] = new(big.Rat).Neg(k)
	}
	return compares{coef, new(big.Rat).Sub(lb.constant, la.constant), equal}
}

func numeric(k types.Kind) bool {
	return k == types.IntKind || k == types.DoubleKind || k == types.TimestampKind || k == types.DurationKind
}

// kind is the kind of value that the checker promised; a nullable one promises nothing.
func (r *reader) kind(e ast.Expr) types.Kind {
	t := r.typeOf(e)
	if t == nil || t.Kind() != types.NullTypeKind && t.Kind() != types.StructKind && t.Kind() != types.TimestampKind && t.Kind() != types.DurationKind && t.IsAssignableType(types.NullType) {
		return types.DynKind
	}
	return t.Kind()
}

// form is a linear form; times are nanoseconds since 1970, durations nanoseconds.
type form struct {
	coef     map[string]*big.Rat
	constant *big.Rat
}

func constantForm(r *big.Rat) form { return form{map[string]*big.Rat{}, r} }

// linear reads a numeric expression. What it does not understand is a variable of its own: the same wherever it is written the same, and anything otherwise.
func (r *reader) linear(e ast.Expr) form {
	switch e.Kind() {
	case ast.LiteralKind:
		switch v := e.AsLiteral().Value().(type) {
		case int64:
			return constantForm(new(big.Rat).SetInt64(v))
		case float64:
			if x := new(big.Rat).SetFloat64(v); x != nil {
				return constantForm(x)
			}
		}
	case ast.CallKind:
		if f, ok := r.linearCall(e.AsCall(), r.kind(e)); ok {
			return f
		}
	}
	if v, ok := r.table(e); ok {
		switch v := v.(type) {
		case int64:
			return constantForm(new(big.Rat).SetInt64(v))
		case float64:
			if x := new(big.Rat).SetFloat64(v); x != nil {
				return constantForm(x)
			}
		}
	}
	name, ok := r.path(e, r.kind(e))
	if !ok {
		name = r.variable(r.canonical(e), r.kind(e), place{})
	}
	return form{map[string]*big.Rat{name: big.NewRat(1, 1)}, new(big.Rat)}
}

func (r *reader) linearCall(call ast.CallExpr, kind types.Kind) (form, bool) {
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.Add, operators.Subtract:
		// Sums of doubles are rounded: they stay what they are.
		if kind == types.DoubleKind || len(args) != 2 {
			return form{}, false
		}
		sign := big.NewRat(1, 1)
		if name == operators.Subtract {
			sign.Neg(sign)
		}
		return sum(r.linear(args[0]), r.linear(args[1]), sign), true
	case "duration":
		if s, ok := textLiteral(args[0]); ok {
			if d, err := time.ParseDuration(s); err == nil {
				return constantForm(new(big.Rat).SetInt64(int64(d))), true
			}
		}
	case "timestamp":
		if s, ok := textLiteral(args[0]); ok {
			if t, err := time.Parse(time.RFC3339, s); err == nil {
				return constantForm(nanoseconds(t)), true
			}
		}
	case "size":
		operand := call.Target()
		if !call.IsMemberFunction() {
			operand = args[0]
		}
		k := r.kind(operand)
		if pl, ok := r.pathPlace(operand); ok && (k == types.StringKind || k == types.ListKind) {
			pl.part = "size"
			if k == types.StringKind {
				r.path(operand, types.StringKind)
			}
			v := r.variable("size:"+r.canonical(operand), types.IntKind, pl)
			return form{map[string]*big.Rat{v: big.NewRat(1, 1)}, new(big.Rat)}, true
		}
	case "@count", "@sum", "@last", "@since":
		v := r.pastVariable(call, name, kind)
		return form{map[string]*big.Rat{v: big.NewRat(1, 1)}, new(big.Rat)}, true
	}
	return form{}, false
}

func sum(a, b form, sign *big.Rat) form {
	out := form{map[string]*big.Rat{}, new(big.Rat).Add(a.constant, new(big.Rat).Mul(sign, b.constant))}
	for v, k := range a.coef {
		out.coef[v] = k
	}
	for v, k := range b.coef {
		k = new(big.Rat).Mul(sign, k)
		if old := out.coef[v]; old != nil {
			k.Add(k, old)
		}
		out.coef[v] = k
	}
	return out
}

func nanoseconds(t time.Time) *big.Rat {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return new(big.Rat).SetInt(n.Add(n, big.NewInt(int64(t.Nanosecond()))))
}

func (r *reader) pastVariable(call ast.CallExpr, part string, kind types.Kind) string {
	q := r.src.p.Queries()[call.Args()[1].AsLiteral().Value().(int64)]
	name := part + "(" + queryText(q) + ";" + r.join(call.Args()[2].AsList().Elements()) + ")"
	return r.variable(name, kind, place{root: "past", query: queryText(q), asked: &q, part: part, keys: call.Args()[2].AsList().Elements(), src: r.src})
}

// membership is path in a finite set of texts, or a label in an origin.
func (r *reader) membership(a, in ast.Expr) literal {
	if label, ok := r.text(a); ok && in.Kind() == ast.CallKind && strings.HasPrefix(in.AsCall().FunctionName(), "@origin") {
		args := in.AsCall().Args()
		name := r.canonical(in) + "∋" + label
		return truth{r.variable(name, types.BoolKind, place{root: "label", part: in.AsCall().FunctionName(), label: label, of: args[1], src: r.src})}
	}
	path, ok := r.textPath(a)
	if !ok {
		return nil
	}
	var set []string
	if in.Kind() == ast.ListKind {
		for _, m := range in.AsList().Elements() {
			s, isText := r.text(m)
			if !isText {
				return nil
			}
			set = append(set, s)
		}
		return textIn{path, set}
	}
	v, ok := r.table(in)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case []any:
		for _, m := range v {
			if s, isText := m.(string); isText {
				set = append(set, s)
			}
		}
	case map[string]any:
		set = sortedNames(v)
	default:
		return nil
	}
	return textIn{path, set}
}

func (r *reader) textTest(call ast.CallExpr) literal {
	target, args := call.Target(), call.Args()
	if !call.IsMemberFunction() || len(args) != 1 {
		return nil
	}
	path, ok := r.path(target, types.StringKind)
	if !ok {
		return nil
	}
	s, ok := r.text(args[0])
	if !ok {
		return nil
	}
	quoted := regexp.QuoteMeta(s)
	pattern := map[string]string{"startsWith": `\A` + quoted, "endsWith": quoted + `\z`, "contains": quoted, "matches": s}[call.FunctionName()]
	return textMatch{path, pattern}
}

// variable registers a variable.
func (r *reader) variable(name string, kind types.Kind, at place) string {
	if r.s.vars[name] == nil {
		r.s.vars[name] = &variable{name, kind, at}
	}
	return name
}

// path reads a path of a kind as a variable, and notes what of it may be absent.
func (r *reader) path(e ast.Expr, kind types.Kind) (string, bool) {
	if r.kind(e) != kind {
		return "", false
	}
	at, ok := r.pathPlace(e)
	if !ok {
		return "", false
	}
	r.note(e)
	return r.variable(r.canonical(e), kind, at), true
}

// textPath is the path of a text, or of a value of any type that is only compared with texts: one that is no text differs from all of them, as some text does.
func (r *reader) textPath(e ast.Expr) (string, bool) {
	if r.kind(e) != types.DynKind {
		return r.path(e, types.StringKind)
	}
	at, ok := r.pathPlace(e)
	if !ok {
		return "", false
	}
	r.note(e)
	return r.variable(r.canonical(e), types.StringKind, at), true
}

// pathPlace recognises a path below the arguments, the session, a fact, and now.
func (r *reader) pathPlace(e ast.Expr) (place, bool) {
	if e.Kind() == ast.IdentKind && e.AsIdent() == "now" {
		return place{root: "now"}, true
	}
	for _, root := range []string{"args", "session"} {
		if path, ok := pathOf(e, root); ok && len(path) > 0 {
			return place{root: root, path: path}, true
		}
	}
	base := e
	for base.Kind() != ast.IdentKind {
		switch base.Kind() {
		case ast.SelectKind:
			base = base.AsSelect().Operand()
		case ast.CallKind:
			if base.AsCall().FunctionName() != operators.Index {
				return place{}, false
			}
			base = base.AsCall().Args()[0]
		default:
			return place{}, false
		}
	}
	n, ok := slotNumber(base)
	if !ok {
		return place{}, false
	}
	path, ok := pathOf(e, base.AsIdent())
	if !ok {
		return place{}, false
	}
	s := r.src.a.Slots[n]
	return place{root: "fact", path: path, fact: r.src.p.Facts()[s.Fact].Name, keys: s.Keys, src: r.src}, true
}

// note remembers every field on the way that could be absent. That has() guards it was checked by the compiler.
func (r *reader) note(e ast.Expr) {
	for e.Kind() == ast.SelectKind {
		if name := r.canonical(e); !slices.Contains(r.uses, name) {
			r.uses = append(r.uses, name)
		}
		e = e.AsSelect().Operand()
	}
}

// cutSize recognises the variable that is the length of another one.
func cutSize(name string) (of string, ok bool) { return strings.CutPrefix(name, "size:") }
