package condition

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/debug"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/policy/builtin"
)

// BoolLiteral reads true and false.
func BoolLiteral(e ast.Expr) (v, ok bool) {
	if e.Kind() != ast.LiteralKind {
		return false, false
	}
	v, ok = e.AsLiteral().Value().(bool)
	return v, ok
}

// Normalise writes comparisons with == and < only, so that a < b and b > a are one atom and a >= b is its negation.
func Normalise(e ast.Expr) (out ast.Expr, negated bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 || e.AsCall().IsMemberFunction() {
		return e, false
	}
	a, b := e.AsCall().Args()[0], e.AsCall().Args()[1]
	swap := func(fn string, x, y ast.Expr, neg bool) (ast.Expr, bool) {
		return factory.NewCall(e.ID(), fn, x, y), neg
	}
	switch e.AsCall().FunctionName() {
	case operators.Equals, operators.NotEquals:
		if Key(b) < Key(a) {
			a, b = b, a
		}
		return swap(operators.Equals, a, b, e.AsCall().FunctionName() == operators.NotEquals)
	case operators.Greater:
		return swap(operators.Less, b, a, false)
	case operators.LessEquals:
		return swap(operators.Less, b, a, true)
	case operators.GreaterEquals:
		return swap(operators.Less, a, b, true)
	}
	return e, false
}

// fixReference gives a rewritten comparison every overload of its operator: the checker chose one for the operator as it was written.
func fixReference(x *Checked, e ast.Expr) {
	if e.Kind() != ast.CallKind {
		return
	}
	switch e.AsCall().FunctionName() {
	case operators.Equals:
		x.AST.SetReference(e.ID(), ast.NewFunctionReference(overloads.Equals))
	case operators.Less:
		x.AST.SetReference(e.ID(), ast.NewFunctionReference(lessOverloads...))
	}
}

var lessOverloads = []string{
	overloads.LessBool, overloads.LessString, overloads.LessBytes, overloads.LessTimestamp, overloads.LessDuration,
	overloads.LessInt64, overloads.LessInt64Double, overloads.LessInt64Uint64,
	overloads.LessUint64, overloads.LessUint64Double, overloads.LessUint64Int64,
	overloads.LessDouble, overloads.LessDoubleInt64, overloads.LessDoubleUint64,
}

// Patterns checks literal regular expressions.
func (u *Unit) Patterns(x *Checked, e ast.Expr) bool {
	ok := true
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(k ast.Expr) {
		if k.Kind() != ast.CallKind || k.AsCall().FunctionName() != "matches" {
			return
		}
		args := k.AsCall().Args()
		p := args[len(args)-1]
		s, isText := TextLiteral(p)
		if !isText {
			return // the size of other patterns is bounded while deciding
		}
		if msg := RegexProblem(s); msg != "" {
			u.Report(x.At(p), CodeRegex, "pattern: "+msg, PatternHint)
			ok = false
		}
	}))
	return ok
}

// Static cost bounds, in CEL's cost units: above limitCost an expression is refused, above trustCost it runs under a limit.
const (
	trustCost = 200_000
	limitCost = 20_000_000
	runCost   = 1_000_000
)

// Plan estimates the worst cost of an atom and returns how to plan its CEL program; ok is false after a finding was reported. An atom that may be dear, or whose cost cannot be told, runs under a limit.
func (u *Unit) Plan(x *Checked, e ast.Expr) (plan func() (cel.Program, error), ok bool) {
	sub := ast.NewCheckedAST(ast.NewAST(e, x.AST.SourceInfo()), x.AST.TypeMap(), x.AST.ReferenceMap())
	fixReference(x, e)
	est, err := cost.Cost(sub, sizes{})
	if err == nil && est.Max > limitCost {
		u.Report(x.At(e), CodeCost, fmt.Sprintf("this may cost %d units in the worst case, more than the %d that are allowed", est.Max, limitCost), "bound the lists with maxItems in their schemas, or avoid nesting all and exists")
		return nil, false
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if err != nil || est.Max > trustCost {
		opts = append(opts, cel.CostLimit(runCost))
	}
	env := u.Env()
	return func() (cel.Program, error) { return env.PlanProgram(sub, opts...) }, true
}

// sizes are the caps on events that make costs finite: texts of 1,000 characters, containers of 100 members.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	max := uint64(100)
	if t := n.Type(); t != nil && (t.Kind() == types.StringKind || t.Kind() == types.BytesKind) {
		max = 1000
	}
	return &cost.SizeEstimate{Min: 0, Max: max}
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// TextLiteral reads a literal text.
func TextLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

// DurationLiteral reads duration('24h').
func DurationLiteral(e ast.Expr) (time.Duration, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "duration" || len(e.AsCall().Args()) != 1 {
		return 0, false
	}
	s, ok := TextLiteral(e.AsCall().Args()[0])
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// Key identifies an expression up to positions and ids.
func Key(e ast.Expr) string { return debug.ToDebugString(e) }

// RegexProblem says why a pattern cannot be used, or nothing.
func RegexProblem(pattern string) string { return builtin.PatternProblem(pattern, MaxRegexProgram) }
