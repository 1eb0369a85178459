package builtin

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Precision says how closely the origin of a value is looked at.
type Precision string

// The precisions. A coarser one never has fewer labels.
const (
	ByValue   Precision = "value"   // the sources in which the value itself is found; found nowhere, it may come from anything in the context
	ByContext Precision = "context" // every source that the model could still read
	BySession Precision = "session" // every source of the session
)

// OriginEvery is how a Tracer is asked by origin_all(x): for the labels that every part of a value is known to have.
const OriginEvery Precision = "every"

// Tracer tells the labels of a value. The first argument of the internal function is one.
type Tracer interface {
	Trace(v ref.Val, how Precision) ([]string, error)
}

// originCall is the function that origin(x), origin(x, precision) and origin_all(x) become; no text can name it.
const originCall = "@origin"

// OriginOptions declares the internal function over values of the type tracer, which must be Tracers.
func OriginOptions(tracer *cel.Type) []cel.EnvOption {
	in := []*cel.Type{tracer, cel.DynType, cel.StringType}
	const id = "proviso_origin"
	return []cel.EnvOption{
		cel.Function(originCall, cel.Overload(id, in, texts, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			labels, err := args[0].(Tracer).Trace(args[1], Precision(args[2].(types.String)))
			if err != nil {
				return types.WrapErr(err)
			}
			return types.NewStringList(types.DefaultTypeAdapter, labels)
		}))),
		cel.CostModel(cost.Overload(id, cost.EvalCost(cost.Const(originCost)), cost.ResultSize(cost.List(cost.AtMost(cost.Const(originLabels)), cost.AtMost(cost.Const(originLabels*shortText)))))),
	}
}

// What tracing one value costs, and how many labels it may have, in CEL's cost units.
const (
	originCost   = 1000
	originLabels = 256
)

// TakeOrigin rewrites a call of origin or origin_all to the internal function over the variable frame. fresh gives an id to each new node.
// It reports whether the call was one of these; problem says what is wrong with its arguments, and is empty where nothing is.
func TakeOrigin(factory ast.ExprFactory, e ast.Expr, frame string, fresh func() int64) (taken bool, problem string) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	how := ByValue
	switch {
	case name == "origin_all" && len(args) == 1:
		how = OriginEvery
	case name == "origin" && len(args) == 1:
	case name == "origin" && len(args) == 2:
		s, _ := args[1].AsLiteral().(types.String)
		how = Precision(s)
		if args[1].Kind() != ast.LiteralKind || !slices.Contains([]Precision{ByValue, ByContext, BySession}, how) {
			return true, "the precision must be 'value', 'context' or 'session'"
		}
	case name == "origin" || name == "origin_all":
		return true, "write origin(x), origin(x, 'context') or origin_all(x)"
	default:
		return false, ""
	}
	e.SetKindCase(factory.NewCall(e.ID(), originCall, factory.NewIdent(fresh(), frame), args[0], factory.NewLiteral(fresh(), types.String(how))))
	return true, ""
}

// OriginLabels calls found with every literal text that an expression compares with labels: beside ==, != and in, inside of exists, all and filter over an origin, and in the functions of sets.
func OriginLabels(e ast.Expr, found func(at ast.Expr, label string)) {
	(&labelFinder{found: found, vars: map[string]int{}}).visit(e)
}

type labelFinder struct {
	found func(ast.Expr, string)
	vars  map[string]int // variables that stand for a label
}

// comparisons are the calls whose operands are labels where one of them is.
var comparisons = map[string]bool{operators.Equals: true, operators.NotEquals: true, operators.In: true, operators.OldIn: true,
	"sets.contains": true, "sets.equivalent": true, "sets.intersects": true}

func (f *labelFinder) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		args := call.Args()
		if call.IsMemberFunction() {
			args = append([]ast.Expr{call.Target()}, args...)
		}
		if comparisons[call.FunctionName()] && slices.ContainsFunc(args, f.isLabel) {
			for _, a := range args {
				f.literals(a)
			}
		}
		for _, a := range args {
			f.visit(a)
		}
	case ast.SelectKind:
		f.visit(e.AsSelect().Operand())
	case ast.ListKind:
		for _, m := range e.AsList().Elements() {
			f.visit(m)
		}
	case ast.MapKind:
		for _, m := range e.AsMap().Entries() {
			f.visit(m.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		f.visit(c.IterRange())
		f.visit(c.AccuInit())
		for _, v := range []struct {
			name string
			of   ast.Expr
		}{{c.IterVar(), c.IterRange()}, {c.IterVar2(), c.IterRange()}, {c.AccuVar(), c.AccuInit()}} { // the accumulator is the variable of cel.bind
			if v.name != "" && f.isLabel(v.of) {
				f.vars[v.name]++
				defer func() { f.vars[v.name]-- }()
			}
		}
		f.visit(c.LoopStep())
		f.visit(c.Result())
	}
}

// isLabel reports whether an expression is a label or a list of labels.
func (f *labelFinder) isLabel(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return f.vars[e.AsIdent()] > 0
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case originCall:
			return true
		case operators.Add, operators.Index:
			return slices.ContainsFunc(call.Args(), f.isLabel)
		}
	case ast.ComprehensionKind:
		return f.isLabel(e.AsComprehension().IterRange())
	}
	return false
}

func (f *labelFinder) literals(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := e.AsLiteral().(types.String); ok {
			f.found(e, string(s))
		}
	case ast.ListKind:
		for _, m := range e.AsList().Elements() {
			f.literals(m)
		}
	}
}
