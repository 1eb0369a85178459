package condition

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// Formula is a condition on its way to a tree: connectives opened up, leaves still CEL.
type Formula struct {
	Op   tree.Op
	Kids []*Formula
	X    *Checked // of a leaf: the expression that it is a part of
	E    ast.Expr // of a leaf
}

// Open checks a condition as written and opens its connectives.
// The result is nil, and ok true, for an absent condition.
func (u *Unit) Open(c *pack.Cond) (f *Formula, ok bool) {
	if c == nil {
		return nil, true
	}
	if c.Op == tree.Atom {
		x, ok := u.Check(c.Expr)
		if !ok {
			return nil, false
		}
		if t := x.AST.GetType(x.AST.Expr().ID()); t.Kind() != types.BoolKind && t.Kind() != types.DynKind {
			u.Report(c.Expr.Pos, CodeType, fmt.Sprintf("a condition must be true or false, this is %s%s", PlainMessage(t.String()), u.InTool()), "compare it with something")
			return nil, false
		}
		return u.open(x, x.AST.Expr()), true
	}
	f, ok = &Formula{Op: c.Op}, true
	for _, k := range c.Kids {
		kf, kok := u.Open(k)
		f.Kids = append(f.Kids, kf)
		ok = ok && kok
	}
	return f, ok
}

var celOps = map[string]tree.Op{operators.LogicalAnd: tree.All, operators.LogicalOr: tree.Any, operators.LogicalNot: tree.Not, operators.Conditional: tree.If}

// open opens the connectives of a CEL expression.
func (u *Unit) open(x *Checked, e ast.Expr) *Formula {
	if e.Kind() == ast.CallKind {
		if op, ok := celOps[e.AsCall().FunctionName()]; ok {
			f := &Formula{Op: op}
			for _, a := range e.AsCall().Args() {
				f.Kids = append(f.Kids, u.open(x, a))
			}
			return f
		}
	}
	return &Formula{X: x, E: e}
}

// FactsIndexed refuses facts below f that are not read fully indexed.
func (u *Unit) FactsIndexed(f *Formula) bool {
	if f == nil {
		return true
	}
	if f.Op == tree.Atom {
		return u.checkFacts(f.X, f.E, 0)
	}
	ok := true
	for _, k := range f.Kids {
		ok = u.FactsIndexed(k) && ok
	}
	return ok
}

// FactsIndexedExpr is the same for one expression.
func (u *Unit) FactsIndexedExpr(x *Checked, e ast.Expr) bool { return u.checkFacts(x, e, 0) }

func (u *Unit) checkFacts(x *Checked, e ast.Expr, indexed int) bool {
	ok := true
	switch e.Kind() {
	case ast.IdentKind:
		if keys, isFact := u.Facts[e.AsIdent()]; isFact {
			if indexed < len(keys) {
				u.Report(x.At(e), CodeFactIndex, fmt.Sprintf("fact %s is read without its whole key", e.AsIdent()), fmt.Sprintf("write %s[%s]", e.AsIdent(), strings.Join(keys, "][")))
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
		for _, name := range []string{q.IterVar(), q.IterVar2(), q.AccuVar()} {
			if _, isFact := u.Facts[name]; isFact {
				u.Report(x.At(e), CodeFactIndex, fmt.Sprintf("%s is a fact, and a variable here", name), "rename the variable")
				return false
			}
		}
		for _, k := range []ast.Expr{q.IterRange(), q.AccuInit(), q.LoopCondition(), q.LoopStep(), q.Result()} {
			ok = u.checkFacts(x, k, 0) && ok
		}
	}
	return ok
}

// QuestionOf recognises judged.id.
func QuestionOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.IdentKind {
		return "", false
	}
	return strings.CutPrefix(e.AsIdent(), "judged.")
}

// MentionsQuestion returns a question that stands anywhere in an expression, or nothing.
func MentionsQuestion(e ast.Expr) (found string) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if q, ok := QuestionOf(k); ok {
			found = q
		}
	}))
	return found
}

// IndexChain recognises name[k1][k2]…; a bare name has no keys.
func IndexChain(e ast.Expr) (name string, keys []ast.Expr, ok bool) {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent(), nil, true
	}
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return "", nil, false
	}
	name, keys, ok = IndexChain(e.AsCall().Args()[0])
	return name, append(keys, e.AsCall().Args()[1]), ok
}

// PathText prints a path as a person would write it; slots are the texts of the look-ups that were hoisted out of it, by number.
func PathText(e ast.Expr, slots []string) string {
	switch e.Kind() {
	case ast.IdentKind:
		if n, ok := SlotNumber(e); ok {
			return slots[n]
		}
		return e.AsIdent()
	case ast.SelectKind:
		return PathText(e.AsSelect().Operand(), slots) + "." + e.AsSelect().FieldName()
	case ast.LiteralKind:
		return schema.Show(e.AsLiteral().Value())
	case ast.CallKind:
		if e.AsCall().FunctionName() == operators.Index {
			return PathText(e.AsCall().Args()[0], slots) + "[" + PathText(e.AsCall().Args()[1], slots) + "]"
		}
		return e.AsCall().FunctionName() + "(…)"
	}
	return "…"
}

// SlotNumber recognises the variable @fN that stands for a hoisted look-up of a fact.
func SlotNumber(e ast.Expr) (n int, ok bool) {
	if e.Kind() != ast.IdentKind || !strings.HasPrefix(e.AsIdent(), "@f") {
		return 0, false
	}
	_, err := fmt.Sscanf(e.AsIdent(), "@f%d", &n)
	return n, err == nil
}
