// Package builtin holds the functions that a condition may call, one family per file.
// Every function is pure: the same arguments give the same result for ever, on any machine, without clock, disk or network.
// A function that cannot give a true answer gives an error, never a guess, because an error restricts.
package builtin

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Limits on the arguments of one call; a call with more is an error.
const (
	MaxText  = 64 << 10 // bytes of one text
	MaxItems = 10_000   // members of one list
)

// Func is one function of the condition language: its declaration, its documentation and its code.
// Name is dotted, its first part the family. Doc is the contract in full sentences, followed by examples, one on each line, in the form `expression // result`.
type Func struct {
	Name      string
	Doc       string
	Overloads []Overload
}

// Overload is one signature of a function.
// Eval gets arguments of exactly the types In, never unknown and never an error, and within the package's limits; it must not keep or change them.
// Cost bounds what one call does beyond reading its arguments once, in CEL's cost units; 0 means small.
type Overload struct {
	ID     string // unique over all functions and stable, because compiled conditions refer to it
	Member bool   // called as first.name(rest) rather than name(first, rest)
	In     []*cel.Type
	Out    *cel.Type
	Eval   func(args ...ref.Val) ref.Val
	Cost   uint64
}

// Example is a line of a function's documentation: an expression and the expression it equals, or "error: " and a part of the message.
type Example struct{ Expr, Result string }

// Examples returns the examples of the function's documentation in order.
func (f *Func) Examples() []Example {
	var out []Example
	for line := range strings.Lines(f.Doc) {
		if expr, result, ok := strings.Cut(line, " // "); ok {
			out = append(out, Example{strings.TrimSpace(expr), strings.TrimSpace(result)})
		}
	}
	return out
}

// Contract returns the documentation without its examples, in one paragraph.
func (f *Func) Contract() string {
	var out []string
	for line := range strings.Lines(f.Doc) {
		if !strings.Contains(line, " // ") {
			out = append(out, strings.Fields(line)...)
		}
	}
	return strings.Join(out, " ")
}

// Lookup returns the function of that name, nil where there is none.
func Lookup(name string) *Func {
	for _, f := range All {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Options declares every function of All to a CEL environment, with its cost model, and beside them CEL's own extensions that are pure:
// strings (lowerAscii, split, substring, format …), math, sets, lists, encoders (base64), network addresses (ip, cidr), cel.bind, and comprehensions
// over two variables. Of encoders and cel.bind the first version is taken: later ones add functions that read JSON less strictly than ours, and what only optimisers write.
// Arguments that have to be one of some words are checked where they are written out.
func Options() []cel.EnvOption {
	out := []cel.EnvOption{ext.Strings(), ext.Math(), ext.Sets(), ext.Lists(ext.ListsMaxRangeSize(MaxItems)), ext.Encoders(ext.EncodersVersion(0)), ext.Network(),
		ext.Bindings(ext.BindingsVersion(0)), ext.TwoVarComprehensions(), cel.ASTValidators(literals{})}
	for _, f := range All {
		var overloads []cel.FunctionOpt
		for _, o := range f.Overloads {
			overloads = append(overloads, o.declare(f.Name))
			out = append(out, cel.CostModel(o.model()))
		}
		out = append(out, cel.Function(f.Name, overloads...))
	}
	return out
}

// Registry returns the types that expressions can name: CEL's own, and those of the extensions that Options declares.
func Registry() (*types.Registry, error) {
	reg, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	return reg, reg.RegisterType(types.OptionalType, ext.IPType, ext.CIDRType)
}

// declare binds the overload with its limits checked and its errors named after the function.
func (o Overload) declare(name string) cel.FunctionOpt {
	call := func(args ...ref.Val) ref.Val {
		for _, a := range args {
			if err := bounded(a); err != nil {
				return types.NewErr("%s: %v", name, err)
			}
		}
		v := o.Eval(args...)
		if e, ok := v.(*types.Err); ok {
			return types.NewErr("%s: %v", name, e)
		}
		if err := grown(v, args); err != nil {
			return types.NewErr("%s: %v", name, err)
		}
		return v
	}
	var binding cel.OverloadOpt
	switch len(o.In) {
	case 1:
		binding = cel.UnaryBinding(func(a ref.Val) ref.Val { return call(a) })
	case 2:
		binding = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return call(a, b) })
	default:
		binding = cel.FunctionBinding(call)
	}
	if o.Member {
		return cel.MemberOverload(o.ID, o.In, o.Out, binding)
	}
	return cel.Overload(o.ID, o.In, o.Out, binding)
}

// A result may be longer than the texts it was made from, but not without bound; the cost model relies on it.
const (
	shortText  = 64 // bytes, or members, that a function may return whatever its arguments
	maxGrowth  = 4  // bytes returned for each byte of the arguments
	perElement = 2  // list members returned for each byte of the arguments
)

// grown is an error where a result is longer than the cost model says.
func grown(v ref.Val, args []ref.Val) error {
	n := 0
	for _, a := range args {
		if s, ok := a.(types.String); ok {
			n += len(s)
		}
	}
	switch v := v.(type) {
	case types.String:
		if len(v) > shortText+maxGrowth*n {
			return fmt.Errorf("the result is more than %d times as long as the arguments", maxGrowth)
		}
	case traits.Lister:
		if v.Size().(types.Int) > types.Int(shortText+perElement*n) {
			return fmt.Errorf("the result has more than %d members for each byte of the arguments", perElement)
		}
	}
	return nil
}

func bounded(v ref.Val) error {
	switch v := v.(type) {
	case types.String:
		if len(v) > MaxText {
			return fmt.Errorf("the text has %d bytes, more than %d", len(v), MaxText)
		}
	case traits.Lister:
		n, ok := v.Size().(types.Int)
		if !ok || n > MaxItems {
			return fmt.Errorf("the list has more than %d members", MaxItems)
		}
		total := 0
		for i := range n {
			if s, ok := v.Get(i).(types.String); ok {
				if total += len(s); total > MaxText {
					return fmt.Errorf("the texts of the list have more than %d bytes together", MaxText)
				}
			}
		}
	}
	return nil
}

// model states the overload's cost and the size of its result in terms of its arguments.
func (o Overload) model() cost.OverloadModel {
	arg := cost.Arg
	build := cost.Overload
	if o.Member {
		build = cost.MemberOverload
		arg = func(i int) cost.QuantityExpr {
			if i == 0 {
				return cost.Target()
			}
			return cost.Arg(i - 1)
		}
	}
	size := cost.Const(0)
	for i, t := range o.In {
		switch t.Kind() {
		case types.StringKind:
			size = cost.Sum(size, cost.Length(arg(i)))
		case types.ListKind:
			size = cost.Sum(size, cost.ElemTotal(arg(i)))
		}
	}
	eval := cost.EvalCost(cost.Sum(cost.Const(cost.CallCost+o.Cost), cost.StringScan(size)))
	longest := cost.Sum(cost.Const(shortText), cost.Scale(size, maxGrowth))
	switch o.Out.Kind() {
	case types.StringKind:
		return build(o.ID, eval, cost.ResultSize(cost.AtMost(longest)))
	case types.ListKind:
		return build(o.ID, eval, cost.ResultSize(cost.List(cost.AtMost(cost.Sum(cost.Const(shortText), cost.Scale(size, perElement))), cost.AtMost(longest))))
	case types.DynKind, types.MapKind:
		return build(o.ID, eval, cost.ResultSize(cost.AtMost(longest)))
	}
	return build(o.ID, eval)
}

// errType is returned where a value of another type reached a function through a dynamic argument.
var errType = errors.New("the argument has the wrong type")

// native returns the Go value of an argument.
func native[A any](v ref.Val) (A, error) {
	if a, ok := v.Value().(A); ok {
		return a, nil
	}
	x, err := v.ConvertToNative(reflect.TypeFor[A]())
	if err != nil {
		var zero A
		return zero, err
	}
	a, ok := x.(A)
	if !ok {
		return a, errType
	}
	return a, nil
}

// result wraps what a function returned as a CEL value.
func result[R any](r R, err error) ref.Val {
	if err != nil {
		return types.NewErrFromString(err.Error())
	}
	return types.DefaultTypeAdapter.NativeToValue(r)
}

// eval1 makes a function of one Go value callable from CEL.
func eval1[A, R any](f func(A) (R, error)) func(...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		a, err := native[A](args[0])
		if err != nil {
			return types.NewErrFromString(err.Error())
		}
		return result(f(a))
	}
}

// eval2 makes a function of two Go values callable from CEL.
func eval2[A, B, R any](f func(A, B) (R, error)) func(...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		a, err := native[A](args[0])
		if err != nil {
			return types.NewErrFromString(err.Error())
		}
		b, err := native[B](args[1])
		if err != nil {
			return types.NewErrFromString(err.Error())
		}
		return result(f(a, b))
	}
}

// eval3 makes a function of three Go values callable from CEL.
func eval3[A, B, C, R any](f func(A, B, C) (R, error)) func(...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		c, err := native[C](args[2])
		if err != nil {
			return types.NewErrFromString(err.Error())
		}
		return eval2(func(a A, b B) (R, error) { return f(a, b, c) })(args...)
	}
}

// The signatures that several families share.
var (
	text     = []*cel.Type{cel.StringType}
	twoTexts = []*cel.Type{cel.StringType, cel.StringType}
	texts    = cel.ListType(cel.StringType)
)
