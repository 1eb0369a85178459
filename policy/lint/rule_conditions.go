package lint

import (
	"fmt"
	"math/big"
	"regexp/syntax"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/debug"
	"cel.dev/cel-go/common/operators"

	"github.com/proviso-dev/proviso"
)

// eachAtom calls f for the atoms of all conditions of the pack. A part of a let that several rules use is seen once for each.
func (s *Subject) eachAtom(f func(x *site, e ast.Expr, sign int)) {
	for _, x := range s.sites {
		if x.place == inGrant || x.place == inWhen || x.place == inRequire {
			x.atoms(f)
		}
	}
}

// unanchoredPattern looks at patterns of which finding a part anywhere permits something.
func unanchoredPattern(s *Subject) (out proviso.Diagnostics) {
	s.eachAtom(func(x *site, e ast.Expr, sign int) {
		if sign <= 0 || e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		pattern, ok := textLiteral(args[len(args)-1])
		if ok && !anchored(pattern) {
			out = append(out, found(x.at(e), fmt.Sprintf("pattern %q is satisfied by any text that holds a match somewhere", pattern), "begin it with ^ and end it with $"))
		}
	})
	return onceEach(out)
}

// anchored reports whether a pattern, or each of its alternatives, begins at the beginning and ends at the end. One that is no RE2 is left to the compiler.
func anchored(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	return err != nil || edge(re, syntax.OpBeginText, 0) && edge(re, syntax.OpEndText, -1)
}

// edge reports whether every match of re has the given anchor at its first (side 0) or last (side -1) place.
func edge(re *syntax.Regexp, anchor syntax.Op, side int) bool {
	switch re.Op {
	case anchor:
		return true
	case syntax.OpConcat:
		if side == 0 {
			return edge(re.Sub[0], anchor, side)
		}
		return edge(re.Sub[len(re.Sub)-1], anchor, side)
	case syntax.OpCapture, syntax.OpPlus:
		return edge(re.Sub[0], anchor, side)
	case syntax.OpAlternate:
		for _, k := range re.Sub {
			if !edge(k, anchor, side) {
				return false
			}
		}
		return true
	}
	return false
}

// floatEquality looks at == and != on computed numbers, or against a decimal fraction that no double holds.
func floatEquality(s *Subject) (out proviso.Diagnostics) {
	s.eachAtom(func(x *site, e ast.Expr, _ int) {
		if e.Kind() != ast.CallKind {
			return
		}
		c := e.AsCall()
		if fn := c.FunctionName(); fn != operators.Equals && fn != operators.NotEquals {
			return
		}
		a, b := c.Args()[0], c.Args()[1]
		if s.inexact(x, a, 0) || s.inexact(x, b, 0) {
			out = append(out, found(x.at(e), "numbers with fractions are compared for being exactly equal", "compare money.cents(…) of both, or say how far they may differ"))
		}
	})
	return onceEach(out)
}

var arithmetic = map[string]bool{operators.Add: true, operators.Subtract: true, operators.Multiply: true, operators.Divide: true}

// inexact reports whether the value of an expression is a double that may be off by a rounding.
func (s *Subject) inexact(x *site, e ast.Expr, depth int) bool {
	if depth > 8 { // lets that name each other, perhaps in a circle
		return false
	}
	if v, ok := literal(e); ok {
		f, isFloat := v.(float64)
		if !isFloat {
			return false
		}
		return f*1024 != float64(int64(f*1024)) // binary fractions, such as 0.5, are exact
	}
	if e.Kind() == ast.IdentKind {
		let := x.lets[e.AsIdent()]
		if let == nil || let.expr == nil {
			return false
		}
		use := *let
		use.tools = x.tools
		return s.inexact(&use, let.expr, depth+1)
	}
	if e.Kind() != ast.CallKind {
		return false
	}
	c := e.AsCall()
	if fn := c.FunctionName(); fn == "sum" || fn == "total" {
		return true
	}
	if !arithmetic[c.FunctionName()] || len(c.Args()) != 2 {
		return false
	}
	for _, a := range c.Args() {
		if v, ok := literal(a); ok {
			if _, isFloat := v.(float64); isFloat {
				return true
			}
			continue
		}
		for _, schema := range s.schemas(x, a) {
			if isNumberType(schema) {
				return true
			}
		}
		if s.inexact(x, a, depth+1) {
			return true
		}
	}
	return false
}

// hasRequired looks at has() on arguments that every call carries.
func hasRequired(s *Subject) (out proviso.Diagnostics) {
	s.eachAtom(func(x *site, e ast.Expr, _ int) {
		if e.Kind() != ast.SelectKind || !e.AsSelect().IsTestOnly() || e.AsSelect().Operand().Kind() != ast.IdentKind || e.AsSelect().Operand().AsIdent() != "args" || len(x.tools) == 0 {
			return
		}
		name := e.AsSelect().FieldName()
		for _, t := range x.tools {
			if !requires(s.tools[t].Args, name) {
				return
			}
		}
		out = append(out, found(x.at(e), fmt.Sprintf("has(args.%s) is always true: every tool that this is about requires the argument", name), "leave it out, or compare the argument with a value"))
	})
	return onceEach(out)
}

func requires(schema map[string]any, name string) bool {
	list, _ := schema["required"].([]any)
	for _, r := range list {
		if r == name {
			return true
		}
	}
	return false
}

// constantCondition looks at conditions that are true, or false, for every input that the schemas allow.
func constantCondition(s *Subject) (out proviso.Diagnostics) {
	s.eachAtom(func(x *site, e ast.Expr, _ int) {
		why, value, ok := s.constant(x, e)
		if ok {
			out = append(out, found(x.at(e), fmt.Sprintf("this is always %t: %s", value, why), "correct the value, or leave the condition out"))
		}
	})
	return onceEach(out)
}

// comparisons are the operators that order two values, as a test of the sign of their difference.
var comparisons = map[string]func(sign int) bool{
	operators.Equals: func(s int) bool { return s == 0 }, operators.NotEquals: func(s int) bool { return s != 0 },
	operators.Less: func(s int) bool { return s < 0 }, operators.LessEquals: func(s int) bool { return s <= 0 },
	operators.Greater: func(s int) bool { return s > 0 }, operators.GreaterEquals: func(s int) bool { return s >= 0 },
}

// mirrored is the operator with its operands exchanged.
var mirrored = map[string]string{
	operators.Equals: operators.Equals, operators.NotEquals: operators.NotEquals, operators.Less: operators.Greater, operators.LessEquals: operators.GreaterEquals,
	operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals,
}

// constant says whether an atom has one value for every input, and why.
func (s *Subject) constant(x *site, e ast.Expr) (why string, value, ok bool) {
	if v, isLit := literal(e); isLit {
		b, isBool := v.(bool)
		return "it is written out", b, isBool
	}
	if e.Kind() != ast.CallKind {
		return "", false, false
	}
	c := e.AsCall()
	if c.FunctionName() == operators.In {
		return s.constantIn(x, c.Args()[0], c.Args()[1])
	}
	if comparisons[c.FunctionName()] == nil {
		return "", false, false
	}
	a, b, op := c.Args()[0], c.Args()[1], c.FunctionName()
	if debug.ToDebugString(a) == debug.ToDebugString(b) {
		return "both sides are the same", comparisons[op](0), true
	}
	va, litA := literal(a)
	vb, litB := literal(b)
	switch {
	case litA && litB:
		sign, comparable := compareLiterals(va, vb)
		return "both sides are written out", comparable && comparisons[op](sign), comparable
	case litA:
		a, vb, op = b, va, mirrored[op]
	case !litB:
		return "", false, false
	}
	return sameAnswer(s.schemas(x, a), func(schema map[string]any) (string, bool, bool) { return decideBySchema(schema, op, vb) })
}

// sameAnswer asks about each schema and answers only where all answers are the same.
func sameAnswer(schemas []map[string]any, ask func(map[string]any) (string, bool, bool)) (why string, value, ok bool) {
	for i, schema := range schemas {
		w, v, known := ask(schema)
		if !known || i > 0 && v != value {
			return "", false, false
		}
		why, value, ok = w, v, true
	}
	return why, value, ok
}

// decideBySchema decides "value op v" for all values of a schema.
func decideBySchema(schema map[string]any, op string, v any) (why string, value, ok bool) {
	if enum := enumOf(schema); enum != nil {
		return decideByMembers(enum, op, v)
	}
	n, isNum := rational(v)
	if !isNum {
		return "", false, false
	}
	low, lowOpen := bound(schema, "minimum", "exclusiveMinimum")
	high, highOpen := bound(schema, "maximum", "exclusiveMaximum")
	holds := comparisons[op]
	belowAll := low != nil && (n.Cmp(low) < 0 || lowOpen && n.Cmp(low) == 0)     // every value is greater than v
	aboveAll := high != nil && (n.Cmp(high) > 0 || highOpen && n.Cmp(high) == 0) // every value is less than v
	atLow := low != nil && !belowAll && n.Cmp(low) == 0                          // every value is v or greater
	atHigh := high != nil && !aboveAll && n.Cmp(high) == 0                       // every value is v or less
	switch {
	case belowAll:
		return "by its schema it is above " + trim(n), holds(1), true
	case aboveAll:
		return "by its schema it is below " + trim(n), holds(-1), true
	case atLow && holds(0) == holds(1):
		return "by its schema it is at least " + trim(n), holds(1), true
	case atHigh && holds(0) == holds(-1):
		return "by its schema it is at most " + trim(n), holds(-1), true
	}
	return "", false, false
}

// decideByMembers decides "value op v" where the values are listed.
func decideByMembers(enum []any, op string, v any) (why string, value, ok bool) {
	for i, m := range enum {
		sign, comparable := compareLiterals(m, v)
		if !comparable {
			return "", false, false
		}
		r := comparisons[op](sign)
		if i > 0 && r != value {
			return "", false, false
		}
		value = r
	}
	return "the schema allows " + listed(enum) + nearestMember(enum, v), value, true
}

func nearestMember(enum []any, v any) string {
	s, isText := v.(string)
	if !isText {
		return ""
	}
	var texts []string
	for _, m := range enum {
		if t, ok := m.(string); ok {
			texts = append(texts, t)
		}
	}
	if near := proviso.Nearest(s, texts); near != "" && near != s {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func listed(enum []any) string {
	parts := make([]string, 0, len(enum))
	for _, m := range enum {
		parts = append(parts, fmt.Sprint(m))
	}
	return "only " + strings.Join(parts, ", ")
}

// constantIn decides "value in [literals]" by the enum of the value.
func (s *Subject) constantIn(x *site, v, list ast.Expr) (why string, value, ok bool) {
	if list.Kind() != ast.ListKind {
		return "", false, false
	}
	var members []any
	for _, e := range list.AsList().Elements() {
		m, isLit := literal(e)
		if !isLit {
			return "", false, false
		}
		members = append(members, m)
	}
	return sameAnswer(s.schemas(x, v), func(schema map[string]any) (string, bool, bool) {
		enum, hits := enumOf(schema), 0
		for _, m := range enum {
			for _, w := range members {
				if sign, comparable := compareLiterals(m, w); comparable && sign == 0 {
					hits++
					break
				}
			}
		}
		if enum == nil || hits > 0 && hits < len(enum) {
			return "", false, false
		}
		return "the schema allows " + listed(enum), hits > 0, true
	})
}

// compareLiterals orders two texts or two numbers; booleans are only equal or not.
func compareLiterals(a, b any) (sign int, ok bool) {
	switch a := a.(type) {
	case string:
		t, isText := b.(string)
		return strings.Compare(a, t), isText
	case bool:
		t, isBool := b.(bool)
		if a == t {
			return 0, isBool
		}
		return 1, isBool
	}
	x, ok1 := rational(a)
	y, ok2 := rational(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	return x.Cmp(y), true
}

// rational is the exact value of a number.
func rational(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v), true
	case float64:
		r := new(big.Rat).SetFloat64(v)
		return r, r != nil
	}
	return nil, false
}

// bound is a limit of a schema; open limits are not reached themselves.
func bound(schema map[string]any, closed, open string) (limit *big.Rat, isOpen bool) {
	if r, ok := rational(schema[closed]); ok {
		return r, false
	}
	r, ok := rational(schema[open])
	if !ok {
		return nil, false
	}
	return r, true
}

func trim(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(6), "0")
}

// onceEach drops findings that were made once for each use of a let.
func onceEach(ds proviso.Diagnostics) (out proviso.Diagnostics) {
	seen := map[proviso.Diagnostic]bool{}
	for _, d := range ds {
		if !seen[d] {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}
