package importer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

// progentSays decides as Progent's check_tool_call does, holes included, with a schema library of its own: rules by priority, forbidding first, per argument and only where it is there.
func progentSays(t testing.TB, policy map[string][][]any, tool string, args map[string]any) proviso.Outcome {
	rules, known := policy[tool]
	if !known {
		return proviso.Deny
	}
	rules = slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b []any) int {
		if a[0] != b[0] {
			return a[0].(int) - b[0].(int)
		}
		return b[1].(int) - a[1].(int)
	})
	outcome := func(fallback any) proviso.Outcome {
		if fallback == 2 {
			return proviso.Escalate
		}
		return proviso.Deny
	}
	last := proviso.Deny
	for _, r := range rules {
		for name, restriction := range r[2].(map[string]any) {
			_, isPattern := restriction.(string)
			if _, isText := args[name].(string); isPattern && has(args, name) && !isText {
				return proviso.Deny // re.match raises TypeError, and the call fails
			}
		}
		holds := true
		for name, restriction := range r[2].(map[string]any) {
			if v, has := args[name]; has && holds {
				holds = progentHolds(t, restriction, v)
			}
		}
		switch {
		case r[1] == 1 && holds:
			return outcome(r[3])
		case r[1] == 0 && holds:
			return proviso.Allow
		case r[1] == 0 && r[0] == 100 && r[3] == 0:
			return proviso.Deny
		}
		last = outcome(r[3])
	}
	return last
}

func has(m map[string]any, k string) bool {
	_, ok := m[k]
	return ok
}

func progentHolds(t testing.TB, restriction, v any) bool {
	if re, isText := restriction.(string); isText {
		s, isText := v.(string)
		return isText && regexp.MustCompile(`\A(?:`+re+`)`).MatchString(s)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///s.json", restriction); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///s.json")
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v) == nil
}

// progentRules draws the rules of a tool, with the schema keywords that prompts use; progentArgs draws arguments near them.
func progentRules() *rapid.Generator[[][]any] {
	pattern := rapid.SampledFrom([]string{"a", "ab*", "^b", "b$", "[ab]{2}", "a|b", "^$"})
	leaf := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"string", "number", "integer", "boolean", "array", "object", "null"}), func(s string) any { return map[string]any{"type": s} }),
		rapid.Map(pattern, func(p string) any { return map[string]any{"pattern": p} }),
		rapid.Map(pattern, func(p string) any {
			return map[string]any{"type": "string", "pattern": p, "minLength": json.Number("1")}
		}),
		rapid.Map(rapid.IntRange(-2, 3), func(n int) any { return map[string]any{"minimum": json.Number(fmt.Sprint(n))} }),
		rapid.Map(rapid.IntRange(-2, 3), func(n int) any {
			return map[string]any{"type": "integer", "exclusiveMaximum": json.Number(fmt.Sprint(n))}
		}),
		rapid.Map(rapid.IntRange(0, 2), func(n int) any { return map[string]any{"maxItems": json.Number(fmt.Sprint(n))} }),
		rapid.Map(rapid.IntRange(0, 2), func(n int) any { return map[string]any{"maxLength": json.Number(fmt.Sprint(n))} }),
		rapid.Just[any](map[string]any{"enum": []any{"a", "ab", json.Number("1"), true, nil}}),
		rapid.Just[any](map[string]any{"const": json.Number("2")}),
		rapid.Just[any](map[string]any{"multipleOf": json.Number("2"), "type": "integer"}),
		rapid.Just[any](map[string]any{"required": []any{"k"}, "properties": map[string]any{"k": map[string]any{"type": "integer"}}}),
		rapid.Just[any](map[string]any{"additionalProperties": false, "properties": map[string]any{"k": true}}),
	)
	schema := rapid.OneOf(leaf, leaf,
		rapid.Map(leaf, func(s any) any { return map[string]any{"not": s} }),
		rapid.Map(leaf, func(s any) any { return map[string]any{"items": s} }),
		rapid.Map(leaf, func(s any) any { return map[string]any{"contains": s} }),
		rapid.Map(rapid.SliceOfN(leaf, 1, 3), func(s []any) any { return map[string]any{"anyOf": s} }),
		rapid.Map(rapid.SliceOfN(leaf, 1, 3), func(s []any) any { return map[string]any{"oneOf": s} }),
		rapid.Map(rapid.SliceOfN(leaf, 1, 3), func(s []any) any { return map[string]any{"allOf": s} }),
		rapid.Map(rapid.SliceOfN(leaf, 3, 3), func(s []any) any { return map[string]any{"if": s[0], "then": s[1], "else": s[2]} }),
		rapid.Map(pattern, func(p string) any { return p }),
	)
	rule := rapid.Custom(func(t *rapid.T) []any {
		args := map[string]any{}
		for _, a := range []string{"x", "y"} {
			if rapid.Bool().Draw(t, a) {
				args[a] = schema.Draw(t, "schema")
			}
		}
		return []any{rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "priority"), rapid.IntRange(0, 1).Draw(t, "effect"), args, rapid.IntRange(0, 2).Draw(t, "fallback")}
	})
	return rapid.SliceOfN(rule, 0, 4)
}

func progentArgs() *rapid.Generator[map[string]any] {
	value := rapid.SampledFrom([]any{"", "a", "b", "ab", "abab", "ba\n", json.Number("0"), json.Number("1"), json.Number("2"), json.Number("1.5"), json.Number("2.0"), true, nil,
		[]any{}, []any{"a"}, []any{json.Number("1"), "b"}, map[string]any{}, map[string]any{"k": json.Number("1")}, map[string]any{"k": "v", "l": json.Number("1")}})
	return rapid.Custom(func(t *rapid.T) map[string]any {
		args := map[string]any{}
		for _, a := range []string{"x", "y"} {
			if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
				args[a] = value.Draw(t, "value")
			}
		}
		return args
	})
}

// With the holes kept a policy decides as Progent does; with them closed it never lets more through. A policy has many tools, because compiling is what costs.
func TestProgentDifferential(t *testing.T) {
	rules, calls := progentRules(), progentArgs()
	for seed := range 12 {
		policy := map[string][][]any{}
		for n := range 20 {
			policy[fmt.Sprintf("f%d", n)] = rules.Example(100*seed + n)
		}
		src, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, holes := range []bool{true, false} {
			got := Progent.Import(fstest.MapFS{"p.json": {Data: src}}, "p.json", Options{Holes: holes})
			if got.Files == nil {
				t.Fatalf("%s: %v", src, got.Found)
			}
			p, ds := compile(got.Files)
			if p == nil {
				t.Fatalf("%s: %v\n%s", src, ds, got.Files["rules.yaml"])
			}
			for n := range 200 {
				tool, args := fmt.Sprintf("f%d", n%20), calls.Example(1000*seed+n)
				call, _ := json.Marshal(args)
				want, d := progentSays(t, policy, tool, args), decide(t, p, tool, string(call), nil)
				if holes && d.Outcome != want || d.Outcome > want {
					t.Fatalf("holes %t: %s is %v of %s, in Progent %v: %v", holes, tool, d.Outcome, call, want, policy[tool])
				}
			}
		}
	}
}

// A pattern of Python means the same in RE2, or more, or less, as was asked for.
func TestPyRegex(t *testing.T) {
	for _, c := range []struct {
		in    string
		whole bool
		s     side
		want  string // an error where it begins with !
	}{
		{`^a\d+$`, false, most, `\Aa[\p{Nd}]+(?:\n?\z)`},
		{`^a\d+$`, true, least, `\A(?:\Aa[\p{Nd}]+\z)\z`},
		{`\brm\b`, false, most, `rm`},
		{`\brm\b`, true, least, `!counts other letters`},
		{`[^\w.-]`, false, most, `[^\p{L}\p{N}_.-]`},
		{`[\W]`, false, most, `!is not in RE2`},
		{`(?=a)`, false, most, `!look ahead`},
		{`(?<!a)b`, false, most, `!look ahead`},
		{`(a)\1`, false, most, `!is not in RE2`},
		{`a{,3}`, false, most, `a{0,3}`},
		{`(?i)in[a-z]`, false, most, `(?i)[iIİı]n[a-zİı]`},
		{`(?i)[^a]`, true, least, `!negated class`},
		{`[[:alpha:]]`, false, most, `[\[:alpha:]]`},
		{`a++`, false, most, `!nested repetition`},
		{`[]a]`, false, most, `[\]a]`},
		{`\u00e9\.`, false, most, `\x{e9}\.`},
		{`a\Z`, false, least, `a\z`},
		{`[a`, false, most, `!not closed`},
		{`\`, false, most, `!backslash`},
	} {
		got, err := pyRegex(c.in, c.whole, c.s)
		if reason, refused := strings.CutPrefix(c.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %q, %v; want an error of %s", c.in, got, err, reason)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}
