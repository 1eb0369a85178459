package condition

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// testUnit is a tool pay(amount, to, note optional) and a fact account[id].
func testUnit(t *testing.T) (*Unit, *[]string) {
	shaper := &schema.Compiler{Structs: map[string]*schema.Shape{}}
	args, err := shaper.Compile("tool.pay", map[string]any{"type": "object", "required": []any{"amount", "to"}, "properties": map[string]any{
		"amount": map[string]any{"type": "number"}, "to": map[string]any{"type": "string"}, "note": map[string]any{"type": "string"}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := types.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	prov := &schema.Provider{Provider: reg, Structs: shaper.Structs}
	env, err := cel.NewEnv(cel.OptionalTypes(), cel.CustomTypeProvider(prov), cel.CustomTypeAdapter(reg), cel.EnableMacroCallTracking(),
		cel.Variable("args", args.Type), cel.Variable("account", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("@frame", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	var findings []string
	u := &Unit{Space: &Space{Provider: prov, Tools: map[string]*schema.Shape{"pay": args}, Facts: map[string][]string{"account": {"id"}},
		Report: func(_ proviso.Pos, code, msg, hint string) {
			findings = append(findings, code+" "+msg+hintSuffix(hint))
		}},
		Env: func() *cel.Env { return env }, Tool: "pay"}
	return u, &findings
}

// Each expression is accepted, or refused with the finding beside it.
func TestCheck(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"args.amount > 2", ""},
		{"args.amount > 2 &&", "PV101 syntax"},
		{"args.amuont > 2.0", `PV102 undefined field "amuont" (checked for tool pay); did you mean "amount"`},
		{"args.amount", "PV103 a condition must be true or false"},
		{"args.note == 'x'", "PV104 args.note may be absent"},
		{"has(args.note) && args.note == 'x'", ""},
		{"!has(args.note) || args.note == 'x'", ""},
		{"has(args.note) || args.note == 'x'", "PV104 args.note may be absent"},
		{"has(args.note) ? args.note == 'x' : true", ""},
		{"account == account", "PV105 fact account is read without its whole key; write account[id]"},
		{"account['x'].owner == args.to", ""},
		{"args.to.matches('(')", "PV108 pattern: "},
		{"args.amount > {'a': 1.0, 'b': 2.0}[args.to]", ""},
		{"args.amount > {'a': 1.0, 'a': 2.0}[args.to]", `PV111 the key a stands twice in a map`},
		{"args.to == {1: 'a', 1u: 'b'}[dyn(1)]", "PV111 the key 1 stands twice in a map"},
		{"args.to == {1.5: 'a'}[dyn(1.5)]", "PV111 1.5 cannot be the key of a map"},
	} {
		u, findings := testUnit(t)
		f, ok := u.Open(&pack.Cond{Expr: pack.Text{S: c.text}})
		if ok {
			ok = u.Present(f, nil) && u.FactsIndexed(f)
		}
		if ok && f.E != nil {
			ok = u.Patterns(f.X, f.E)
		}
		got := strings.Join(*findings, "\n")
		if ok != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: accepted %v, %q, want %q", c.text, ok, got, c.want)
		}
	}
}

// Comparisons that mean the same have one key, and those that mean the opposite differ by a negation.
func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		differ bool
	}{
		{"args.amount < 2.0", "2.0 > args.amount", false},
		{"args.amount <= 2.0", "args.amount > 2.0", true},
		{"args.amount >= 2.0", "args.amount < 2.0", true},
		{"args.to == 'x'", "'x' == args.to", false},
		{"args.to != 'x'", "'x' == args.to", true},
	} {
		key := func(text string) (string, bool) {
			u, findings := testUnit(t)
			x, ok := u.Check(pack.Text{S: text})
			if !ok {
				t.Fatalf("%s: %q", text, *findings)
			}
			e, negated := Normalise(x.AST.Expr())
			return Key(e), negated
		}
		ka, na := key(c.a)
		kb, nb := key(c.b)
		if ka != kb || (na != nb) != c.differ {
			t.Errorf("%s and %s: keys %q and %q, negated %v and %v", c.a, c.b, ka, kb, na, nb)
		}
	}
}

// A label is known by itself or by a source whose fields nobody declared.
func TestHasLabel(t *testing.T) {
	s := Space{Labels: map[string]bool{"user": true, "tool:find.*": true}}
	for label, want := range map[string]bool{"user": true, "users": false, "tool:find.a": true, "tool:find.a.b": true, "tool:other.a": false} {
		if s.HasLabel(label) != want {
			t.Errorf("%s: %v", label, !want)
		}
	}
}

// Equal queries share a number, so that a session keeps one index for them.
func TestQueriesAreShared(t *testing.T) {
	var s Space
	a := s.number(Query{Tools: []string{"pay"}})
	b := s.number(Query{Tools: []string{"pay"}, Field: "amount"})
	if c := s.number(Query{Tools: []string{"pay"}}); a == b || a != c || len(s.Queries) != 2 {
		t.Errorf("numbers %d %d %d of %d queries", a, b, c, len(s.Queries))
	}
}
