package flow

import (
	"regexp"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// formula is a condition on a text, given what is known of each pattern: whether it matches. What else a condition asks is open.
type formula func(matches func(*pattern) tree.Set) tree.Set

// personal stands for personal data among the patterns.
var personal = &pattern{}

func constant(s tree.Set) formula { return func(func(*pattern) tree.Set) tree.Set { return s } }

func and(a, b formula) formula {
	return func(m func(*pattern) tree.Set) tree.Set { return a(m).And(b(m)) }
}

func or(a, b formula) formula {
	return func(m func(*pattern) tree.Set) tree.Set { return a(m).Or(b(m)) }
}

func not(a formula) formula { return func(m func(*pattern) tree.Set) tree.Set { return a(m).Not() } }

// reader makes formulas of the conditions of a rule, and has the text watch what they name.
type reader struct {
	text  *Text
	lets  map[string]string
	depth int
}

// maxLets bounds how deep lets name lets.
const maxLets = 16

func (r *reader) cond(c *pack.Cond) formula {
	switch c.Op {
	case tree.Atom:
		return r.condition(c.Expr.S)
	case tree.Not:
		return not(r.cond(c.Kids[0]))
	case tree.All, tree.Chain:
		all := constant(tree.IsTrue)
		for _, k := range c.Kids {
			all = and(all, r.cond(k))
		}
		return all
	case tree.Any, tree.Gate:
		any := constant(tree.IsFalse)
		for _, k := range c.Kids {
			any = or(any, r.cond(k))
		}
		return any
	}
	return constant(tree.Open)
}

// environment parses what a rule says. The compiler has accepted it, so that names and types are right.
var environment = sync.OnceValue(func() *cel.Env {
	env, err := cel.NewEnv()
	if err != nil {
		return nil // unreachable: there is nothing in it that could be wrong
	}
	return env
})

func (r *reader) condition(text string) formula {
	env := environment()
	if env == nil || r.lets["text"] != "" || r.lets["role"] != "" || r.depth > maxLets {
		return constant(tree.Open)
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return constant(tree.Open)
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.expr(parsed.NativeRep().Expr())
}

func (r *reader) expr(e ast.Expr) formula {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok && bool(b) {
			return constant(tree.IsTrue)
		} else if ok {
			return constant(tree.IsFalse)
		}
	case ast.IdentKind:
		if let, ok := r.lets[e.AsIdent()]; ok {
			return r.condition(let)
		}
	case ast.CallKind:
		return r.call(e.AsCall())
	}
	return constant(tree.Open)
}

func (r *reader) call(c ast.CallExpr) formula {
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		return and(r.expr(args[0]), r.expr(args[1]))
	case operators.LogicalOr:
		return or(r.expr(args[0]), r.expr(args[1]))
	case operators.LogicalNot:
		return not(r.expr(args[0]))
	case operators.Equals:
		// A model speaks in one role.
		if isName(args[0], "role") && stringOf(args[1]) == string(proviso.Assistant) {
			return constant(tree.IsTrue)
		}
	case "contains", "matches":
		if c.IsMemberFunction() && isName(c.Target(), "text") && len(args) == 1 {
			return r.pattern(c.FunctionName(), stringOf(args[0]))
		}
	case "has":
		if c.IsMemberFunction() && isName(c.Target(), "pii") && isName(args[0], "text") {
			return r.personal(args[1:])
		}
	}
	return constant(tree.Open)
}

func (r *reader) pattern(function, pattern string) formula {
	if function == "contains" {
		pattern = regexp.QuoteMeta(pattern)
	}
	if pattern == "" {
		return constant(tree.Open)
	}
	p := r.text.add(pattern)
	if p == nil {
		return constant(tree.Open)
	}
	p.holds = true
	return p.matches
}

// personal is whether a text has personal data: of any kind, of one, or of one of several that are written out.
func (r *reader) personal(args []ast.Expr) formula {
	kinds := []string{builtin.AllKinds}
	if len(args) == 1 {
		kinds = textsOf(args[0])
	}
	if len(args) > 1 || len(kinds) == 0 {
		return constant(tree.Open)
	}
	r.text.personal = append(r.text.personal, kinds...)
	return personal.matches
}

// textsOf are the texts of a literal, or of a list of literals; nil for everything else.
func textsOf(e ast.Expr) (out []string) {
	list := []ast.Expr{e}
	if e.Kind() == ast.ListKind {
		list = e.AsList().Elements()
	}
	for _, x := range list {
		s := stringOf(x)
		if s == "" {
			return nil
		}
		out = append(out, s)
	}
	return out
}

func isName(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// stringOf is the text of a literal; empty for everything else.
func stringOf(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	s, _ := e.AsLiteral().(types.String)
	return string(s)
}
