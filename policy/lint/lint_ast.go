package lint

import (
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/tree"
)

// negation is the connective that turns a sign around.
const negation = tree.Not

// lintParser reads the same language as the compiler's environment, without types. It is made when it is first needed: programs that do not lint start faster.
var lintParser = sync.OnceValues(func() (*parser.Parser, error) {
	env, err := cel.NewEnv(builtin.Options()...)
	if err != nil {
		return nil, err
	}
	return parser.NewParser(
		parser.Macros(env.Macros()...), parser.EnableOptionalSyntax(true), parser.EnableIdentEscapeSyntax(true),
		parser.MaxRecursionDepth(64), parser.ExpressionSizeCodePointLimit(16384),
	)
})

// parseCEL parses an expression; nil where it is no CEL.
func parseCEL(text string) (ast.Expr, *ast.SourceInfo) {
	p, err := lintParser()
	if err != nil { // unreachable: the options are constants that tests make environments of
		return nil, nil
	}
	a, errs := p.Parse(common.NewTextSource(text))
	if len(errs.GetErrors()) > 0 {
		return nil, nil
	}
	return a.Expr(), a.SourceInfo()
}

// kids calls f for the parts of an expression. bound are the names that f's expression sees as loop variables in addition.
func kids(e ast.Expr, f func(e ast.Expr, bound ...string)) {
	switch e.Kind() {
	case ast.CallKind:
		if c := e.AsCall(); c.IsMemberFunction() {
			f(c.Target())
		}
		for _, a := range e.AsCall().Args() {
			f(a)
		}
	case ast.SelectKind:
		f(e.AsSelect().Operand())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			f(x)
		}
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			f(m.AsMapEntry().Key())
			f(m.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, m := range e.AsStruct().Fields() {
			f(m.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		f(c.IterRange())
		f(c.AccuInit())
		inner := []string{c.IterVar(), c.AccuVar()}
		if c.HasIterVar2() {
			inner = append(inner, c.IterVar2())
		}
		f(c.LoopCondition(), inner...)
		f(c.LoopStep(), inner...)
		f(c.Result(), inner...)
	}
}

// walk calls f for e and everything below it.
func walk(e ast.Expr, f func(ast.Expr)) {
	f(e)
	kids(e, func(k ast.Expr, _ ...string) { walk(k, f) })
}

// freePaths adds the names that an expression reads from outside to set: identifiers, and paths of one step such as "data.fees" or "judged.q".
func freePaths(e ast.Expr, set map[string]bool) {
	var visit func(e ast.Expr, bound map[string]bool)
	visit = func(e ast.Expr, bound map[string]bool) {
		if e.Kind() == ast.IdentKind && !bound[e.AsIdent()] {
			set[strings.TrimPrefix(e.AsIdent(), ".")] = true
		}
		if root, step, ok := firstStep(e); ok && !bound[root] {
			set[root+"."+step] = true
		}
		kids(e, func(k ast.Expr, names ...string) {
			inner := bound
			if len(names) > 0 {
				inner = map[string]bool{}
				for n := range bound {
					inner[n] = true
				}
				for _, n := range names {
					inner[n] = true
				}
			}
			visit(k, inner)
		})
	}
	visit(e, map[string]bool{})
}

// firstStep recognises x.name and x['name'] on an identifier.
func firstStep(e ast.Expr) (root, step string, ok bool) {
	switch e.Kind() {
	case ast.SelectKind:
		if o := e.AsSelect().Operand(); o.Kind() == ast.IdentKind {
			return o.AsIdent(), e.AsSelect().FieldName(), true
		}
	case ast.CallKind:
		c := e.AsCall()
		if fn := c.FunctionName(); (fn == operators.Index || fn == operators.OptIndex || fn == operators.OptSelect) && c.Args()[0].Kind() == ast.IdentKind {
			if s, isText := textLiteral(c.Args()[1]); isText {
				return c.Args()[0].AsIdent(), s, true
			}
		}
	}
	return "", "", false
}

// at is the position in the file of the first byte of a part of a site's expression.
func (x *site) at(e ast.Expr) proviso.Pos {
	first := -1
	walk(e, func(k ast.Expr) {
		if r, ok := x.info.GetOffsetRange(k.ID()); ok && (first < 0 || int(r.Start) < first) {
			first = int(r.Start)
		}
	})
	if first < 0 {
		return x.text.Pos
	}
	return x.text.At(byteOffset(x.text.S, first))
}

// atoms calls f for every maximal boolean part of a condition that holds no connective. Lets are followed, each once for each sign,
// so that x, the site where the part is written, may be another than the one asked.
func (x *site) atoms(f func(x *site, e ast.Expr, sign int)) {
	if x.expr != nil {
		(&atomWalk{f: f, seen: map[letUse]bool{}}).visit(x, x.expr, x.sign)
	}
}

type letUse struct {
	let  *site
	sign int
}

type atomWalk struct {
	f    func(x *site, e ast.Expr, sign int)
	seen map[letUse]bool
}

func (w *atomWalk) visit(x *site, e ast.Expr, sign int) {
	switch e.Kind() {
	case ast.IdentKind:
		let := x.lets[e.AsIdent()]
		if let == nil || let.expr == nil {
			break
		}
		if u := (letUse{let, sign}); !w.seen[u] {
			w.seen[u] = true
			use := *let // the let is read as part of this condition
			use.tools, use.rule, use.place = x.tools, x.rule, x.place
			w.visit(&use, let.expr, sign)
		}
		return
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			for _, a := range args {
				w.visit(x, a, sign)
			}
			return
		case operators.LogicalNot:
			w.visit(x, args[0], -sign)
			return
		case operators.Conditional:
			w.visit(x, args[0], 0)
			w.visit(x, args[1], sign)
			w.visit(x, args[2], sign)
			return
		}
	}
	w.f(x, e, sign)
}

// literal returns the value of a literal as a Go value: bool, int64, float64 or string.
func literal(e ast.Expr) (v any, ok bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch l := e.AsLiteral().(type) {
		case types.Bool:
			return bool(l), true
		case types.Int:
			return int64(l), true
		case types.Uint:
			return int64(l), l < 1<<62
		case types.Double:
			return float64(l), true
		case types.String:
			return string(l), true
		}
	case ast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Negate {
			v, ok := literal(c.Args()[0])
			switch v := v.(type) {
			case int64:
				return -v, ok
			case float64:
				return -v, ok
			}
		}
	}
	return nil, false
}

// textLiteral returns the text of a string literal.
func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

// byteOffset is the offset of the code point with number runes.
func byteOffset(s string, runes int) int {
	for i := range s {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(s)
}
