package condition

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

var undeclared = lazyregexp.New(`undeclared reference to '([^']+)'`)

// MaxRegexProgram is the largest RE2 program that a pattern may compile to.
const MaxRegexProgram = 2000

// PatternHint goes with every finding about a pattern.
const PatternHint = "patterns are RE2; split a large one into several conditions"

// Checked is an expression after the checker.
type Checked struct {
	Text   pack.Text
	AST    *ast.AST
	where  map[int64]origin // of expressions that came from a let
	Source map[int64]string // as written, of sub-expressions before inlining, by id
}

// origin is where an inlined expression was written.
type origin struct {
	text   pack.Text
	offset int
}

// Check compiles a text to a checked tree; ok is false after a finding was reported.
func (u *Unit) Check(t pack.Text) (*Checked, bool) {
	return u.checkWith(t, map[int64]bool{})
}

func (u *Unit) checkWith(t pack.Text, doubles map[int64]bool) (*Checked, bool) {
	if strings.TrimSpace(t.S) == "" {
		u.Report(t.Pos, CodeCEL, "empty expression", "write a CEL expression, such as args.amount <= 100.0")
		return nil, false
	}
	parsed, iss := u.Parser.Parse(u.Env(), t.S)
	if iss.Err() != nil {
		for _, e := range iss.Errors() {
			u.Report(t.At(offsetOf(t.S, e.Location)), CodeCEL, "syntax: "+PlainMessage(e.Message), "conditions are CEL expressions")
		}
		return nil, false
	}
	native := parsed.NativeRep()
	x := &Checked{Text: t, AST: native, where: map[int64]origin{}, Source: map[int64]string{}}
	u.rememberSource(x, native.Expr())
	in := &inliner{u: u, x: x, next: 1 << 20}
	if !in.inline(native.Expr(), u.Lets, nil) || !u.takeHistory(x, native.Expr()) {
		return nil, false
	}
	schema.Promote(native.Expr(), doubles)
	u.Provider.Asked = map[string][]string{}
	out, iss := u.Env().Check(parsed)
	if iss.Err() == nil {
		x.AST = out.NativeRep()
		return x, u.checkFilters(x) && u.checkLabels(x) && u.checkKeys(x)
	}
	// A literal that was written 2 beside a number is meant as 2.0: mark it and check again.
	again := false
	for _, e := range iss.Errors() {
		if !doubles[e.ExprID] && (strings.Contains(e.Message, "(double, int)") || strings.Contains(e.Message, "(int, double)") || mixed(e.Message)) {
			doubles[e.ExprID] = true
			again = again || schema.Promotable(native.Expr(), e.ExprID)
		}
	}
	if again {
		return u.checkWith(t, doubles)
	}
	for _, e := range iss.Errors() {
		u.report(x, e)
	}
	return nil, false
}

func mixed(msg string) bool {
	return strings.Contains(msg, "no matching overload") && strings.Contains(msg, "double") && strings.Contains(msg, "int")
}

// report turns an error of the checker into a diagnostic with the nearest name.
func (u *Unit) report(x *Checked, e *common.Error) {
	pos := u.position(x, e.ExprID, e.Location)
	for name, candidates := range u.Provider.Asked {
		if strings.Contains(e.Message, "'"+name+"'") {
			u.Report(pos, CodeUndeclared, fmt.Sprintf("undefined field %q%s", name, u.InTool()), proviso.DidYouMean(name, candidates))
			return
		}
	}
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		name := m[1]
		msg, hint := fmt.Sprintf("undeclared name %q%s", name, u.InTool()), proviso.DidYouMean(name, u.visible())
		switch {
		case name == "judged" || strings.HasPrefix(name, "judged."):
			hint = "questions are declared under questions: and read as judged.<id>"
			asked := strings.TrimPrefix(name, "judged.")
			if name == "judged" {
				asked = afterDot(x.Text.S, "judged.")
			}
			if q := proviso.DidYouMean(asked, u.Questions); q != "" {
				hint = q
			}
		case name == "turns":
			hint = "turns(n) is only for the about: of a question"
		}
		u.Report(pos, CodeUndeclared, msg, hint)
		return
	}
	if strings.Contains(e.Message, "regex program size") {
		u.Report(pos, CodeRegex, "pattern: "+PlainMessage(e.Message)+u.InTool(), PatternHint)
		return
	}
	hint := ""
	if mixed(e.Message) {
		hint = "CEL does not mix integers and numbers; write 2.0, or double(x)"
	}
	u.Report(pos, CodeType, PlainMessage(e.Message)+u.InTool(), hint)
}

// InTool says, for a message, which tool the conditions are checked for.
func (u *Unit) InTool() string {
	if u.Tool == "" {
		return ""
	}
	return " (checked for tool " + u.Tool + ")"
}

func (u *Unit) visible() []string {
	out := append([]string{"args", "tool", "call", "now", "tz", "session", "data", "text", "role", "result", "is_error", "tools", "judged", "confirmed", "origin", "has", "size", "duration", "timestamp"}, u.Functions...)
	out = append(out, sortedKeys(pastFunctions)...)
	out = append(out, sortedKeys(u.Facts)...)
	return append(out, sortedKeys(u.Lets)...)
}

// position finds where the expression that an error speaks of was written.
func (u *Unit) position(x *Checked, id int64, loc common.Location) proviso.Pos {
	if o, ok := x.where[id]; ok {
		return o.text.At(o.offset)
	}
	if loc == nil || loc.Line() < 1 {
		return x.Text.Pos
	}
	return x.Text.At(offsetOf(x.Text.S, loc))
}

// At is the position of a sub-expression after the check.
func (x *Checked) At(e ast.Expr) proviso.Pos {
	if o, ok := x.where[e.ID()]; ok {
		return o.text.At(o.offset)
	}
	if r, ok := x.AST.SourceInfo().GetOffsetRange(e.ID()); ok {
		return x.Text.At(byteOffset(x.Text.S, int(r.Start)))
	}
	return x.Text.Pos
}

func afterDot(s, prefix string) string {
	i := strings.Index(s, prefix)
	if i < 0 {
		return ""
	}
	s = s[i+len(prefix):]
	for j, r := range s {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return s[:j]
		}
	}
	return s
}

// offsetOf converts a CEL location, lines from 1 and columns in code points from 0, to a byte offset.
func offsetOf(s string, loc common.Location) int {
	off := 0
	for l := 1; l < loc.Line(); l++ {
		i := strings.IndexByte(s[off:], '\n')
		if i < 0 {
			break
		}
		off += i + 1
	}
	return off + byteOffset(s[off:], loc.Column())
}

func byteOffset(s string, runes int) int {
	for i := range s {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(s)
}

// PlainMessage drops the parser's own prefix and the internal names of our types.
func PlainMessage(m string) string {
	m = strings.TrimPrefix(m, "Syntax error: ")
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration", "@", "").Replace(m)
}

// rememberSource keeps the text of every operand of a connective as it was written.
func (u *Unit) rememberSource(x *Checked, e ast.Expr) {
	if s, err := parser.Unparse(e, x.AST.SourceInfo()); err == nil {
		x.Source[e.ID()] = s
	}
	if e.Kind() == ast.CallKind && isConnective(e.AsCall().FunctionName()) {
		for _, k := range e.AsCall().Args() {
			u.rememberSource(x, k)
		}
	}
}

func isConnective(fn string) bool {
	switch fn {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		return true
	}
	return false
}

// checkLabels checks every text that is compared with an origin: a misspelt label would never be found, and permit.
func (u *Unit) checkLabels(x *Checked) bool {
	ok := true
	builtin.OriginLabels(x.AST.Expr(), func(at ast.Expr, label string) {
		if !u.HasLabel(label) {
			names := slices.DeleteFunc(sortedKeys(u.Labels), func(n string) bool { return strings.HasSuffix(n, ".*") })
			u.Report(x.At(at), CodeUndeclared, fmt.Sprintf("no source has the label %q", label), proviso.DidYouMean(label, names))
			ok = false
		} else if !slices.Contains(u.Traced, label) {
			u.Traced = append(u.Traced, label)
			slices.Sort(u.Traced)
		}
	})
	return ok
}

// checkKeys refuses a map written out with a key twice, or with one that no map can have: CEL leaves it to its implementations what such a map holds.
func (u *Unit) checkKeys(x *Checked) bool {
	ok := true
	ast.PreOrderVisit(x.AST.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.MapKind {
			return
		}
		var keys []ref.Val
		for _, m := range e.AsMap().Entries() {
			k := m.AsMapEntry().Key()
			if k.Kind() != ast.LiteralKind {
				continue
			}
			v := k.AsLiteral()
			switch v.(type) {
			case types.Bool, types.Int, types.Uint, types.String:
			default:
				u.Report(x.At(k), CodeConstant, fmt.Sprintf("%v cannot be the key of a map", v.Value()), "keys are texts, integers or true and false")
				ok = false
				return
			}
			if slices.ContainsFunc(keys, func(o ref.Val) bool { return o.Equal(v) == types.True }) {
				u.Report(x.At(k), CodeConstant, fmt.Sprintf("the key %v stands twice in a map", v.Value()), "write each key once")
				ok = false
				return
			}
			keys = append(keys, v)
		}
	}))
	return ok
}
