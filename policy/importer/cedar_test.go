package importer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

// cedarConditions draws conditions over the context and over who acts.
func cedarConditions() *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{
		`context.n < 3`, `context.n >= context.m`, `context.n == 1`, `context.n != context.m`, `context.n + 1 > context.m * 2`, `context.s == "a"`, `context.s like "a*\*b"`, `context has n`, `context has r.k`, `context.r.k == "x"`,
		`context.l.contains(1)`, `context.l.containsAll([1, 2])`, `context.l.containsAny([2, 3])`, `context.l.isEmpty()`, `["a", "b"].contains(context.s)`, `context.b`, `principal == User::"u1"`, `principal in Group::"g"`,
		`principal has level`, `principal.level > 2`, `principal is User`, `resource == Doc::"d"`, `true`, `false`, `context.n == context.s`,
	})
	return rapid.Custom(func(t *rapid.T) string {
		a, b, c := leaf.Draw(t, "a"), leaf.Draw(t, "b"), leaf.Draw(t, "c")
		return fmt.Sprintf(rapid.SampledFrom([]string{"%[1]s", "%[1]s && %[2]s", "%[1]s || %[2]s", "!(%[1]s)", "!(%[1]s && %[2]s) || %[3]s", "if %[1]s then %[2]s else %[3]s", "%[1]s && (%[2]s || !(%[3]s))"}).Draw(t, "form"), a, b, c)
	})
}

// What cedar-go evaluates without an error is decided alike; what it passes over because of one is at most stricter.
func TestCedarDifferential(t *testing.T) {
	entities := `[{"uid": {"type": "User", "id": "u1"}, "attrs": {"level": 3}, "parents": [{"type": "Team", "id": "t"}]},
		{"uid": {"type": "User", "id": "u2"}, "attrs": {}, "parents": []}, {"uid": {"type": "Team", "id": "t"}, "attrs": {}, "parents": [{"type": "Group", "id": "g"}]}]`
	var known types.EntityMap
	if err := json.Unmarshal([]byte(entities), &known); err != nil {
		t.Fatal(err)
	}
	conditions := cedarConditions()
	calls := rapid.Custom(func(t *rapid.T) map[string]any {
		args := map[string]any{}
		for name, values := range map[string][]any{"n": {0, 1, 2, 5, "1"}, "m": {1, 2}, "s": {"a", "ab", "a*b", 7}, "b": {true, false, "true"}, "l": {[]int{}, []int{1}, []int{1, 2}, "x"}, "r": {map[string]any{"k": "x"}, map[string]any{}}} {
			if rapid.IntRange(0, 4).Draw(t, name) > 0 {
				args[name] = rapid.SampledFrom(values).Draw(t, "value")
			}
		}
		return args
	})
	same, stricter := 0, 0
	for seed := range 25 {
		var src strings.Builder
		for n := range 8 {
			for i := range 3 {
				effect := []string{"permit", "permit", "forbid"}[i]
				fmt.Fprintf(&src, "%s (principal, action == Action::\"t%d\", resource) when { %s };\n", effect, n, conditions.Example(1000*seed+10*n+i))
			}
		}
		got := Cedar.Import(fstest.MapFS{"p.cedar": {Data: []byte(src.String())}, "entities.json": {Data: []byte(entities)}}, "p.cedar", Options{})
		if got.Files == nil {
			t.Fatalf("%v\n%s", got.Found, src.String())
		}
		p, ds := compile(got.Files)
		if p == nil {
			t.Fatalf("%v\n%s", ds, got.Files["rules.yaml"])
		}
		set, err := cedar.NewPolicySetFromBytes("p.cedar", []byte(src.String()))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 80 {
			args := calls.Example(1000*seed + n)
			b, _ := json.Marshal(args)
			var context types.Record
			if err := json.Unmarshal(b, &context); err != nil {
				t.Fatal(err)
			}
			who := []string{"u1", "u2"}[n%2]
			tool := fmt.Sprintf("t%d", n%8)
			decision, diag := cedar.Authorize(set, known, cedar.Request{Principal: types.NewEntityUID("User", types.String(who)), Action: types.NewEntityUID("Action", types.String(tool)), Resource: types.NewEntityUID("Doc", "d"), Context: context})
			d := decide(t, p, tool, string(b), map[string]any{"principal": `User::"` + who + `"`, "resource": `Doc::"d"`})
			switch allowed := d.Outcome == proviso.Allow; {
			case allowed == bool(decision):
				same++
			case allowed || len(diag.Errors) == 0:
				t.Fatalf("%s of %s by %s: %v, in Cedar %v %v\n%s", tool, b, who, d.Outcome, decision, diag.Errors, src.String())
			default:
				stricter++
			}
		}
	}
	if same < 1500 {
		t.Errorf("only %d calls are decided alike, %d stricter", same, stricter)
	}
	t.Logf("%d decided alike, %d stricter because a policy fails in Cedar", same, stricter)
}
