package analyze

import (
	"encoding/json"
	"fmt"
	"testing"
)

// largePack has 1,000 rules, five for each of 200 tools; limit moves one bound of one rule.
func largePack(limit float64) (tools []byte, rules map[string]any) {
	var ts, grants, rs []any
	for i := range 200 {
		name := fmt.Sprintf("tool_%d", i)
		ts = append(ts, map[string]any{"type": "function", "function": map[string]any{"name": name, "parameters": map[string]any{"type": "object", "additionalProperties": false,
			"required":   []any{"amount", "to", "kind"},
			"properties": map[string]any{"amount": map[string]any{"type": "number"}, "to": map[string]any{"type": "string"}, "kind": map[string]any{"type": "string", "enum": []any{"a", "b", "c"}}}}}})
		grants = append(grants, map[string]any{"tools": []any{name}})
		bound := 1000.0
		if i == 7 {
			bound = limit
		}
		for j, require := range []string{
			fmt.Sprintf("args.amount <= %v", bound), "args.to.matches('^[a-z0-9._-]+@(example|corp)[.]com$')", "args.kind != 'c' || args.amount < 10.0",
			"!args.to.startsWith('root') || confirmed(call)", fmt.Sprintf("count('%s', {'to': args.to}) < 5", name)} {
			rs = append(rs, map[string]any{"id": fmt.Sprintf("r%d-%d", i, j), "tools": []any{name}, "require": require, "else": []string{"deny", "escalate"}[j%2]})
		}
	}
	tools, err := json.Marshal(ts)
	if err != nil {
		panic(err)
	}
	return tools, map[string]any{"grants": grants, "rules": rs}
}

// BenchmarkCompareLarge relates two packs of 1,000 rules that differ in one bound.
func BenchmarkCompareLarge(b *testing.B) {
	tools, a := largePack(1000)
	_, c := largePack(2000)
	old, new := compiled(b, tools, a), compiled(b, tools, c)
	for b.Loop() {
		changes := 0
		for _, ch := range Compare(old, new) {
			if ch.Relation == Unknown {
				b.Fatal(ch.Tool, ch.Why)
			}
			if ch.Relation != Same {
				changes++
			}
		}
		if changes != 1 {
			b.Fatal(changes)
		}
	}
}

// BenchmarkCheckLarge proves what it can about each of 1,000 rules.
func BenchmarkCheckLarge(b *testing.B) {
	tools, rules := largePack(1000)
	p := compiled(b, tools, rules)
	for b.Loop() {
		Check(p)
	}
}

// BenchmarkCompareTool proves one changed tool, as runtime.md's unsound examples do.
func BenchmarkCompareTool(b *testing.B) {
	tools, _ := largePack(1000)
	grant := func(when string) map[string]any {
		return map[string]any{"grants": []any{map[string]any{"tools": []any{"tool_0"}, "when": when}}}
	}
	for _, c := range []struct{ name, old, new string }{
		{"two_email_patterns", "args.to.matches('^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+[.][a-zA-Z]{2,}$')", "args.to.matches('^[a-z0-9._]+@(example|corp)[.]com$')"},
		{"searched_pattern", "!args.to.matches('evil')", "args.to == 'x@evil.com'"},
		{"bounds", "args.amount <= 100.0", "args.amount <= 50.0 && args.kind in ['a', 'b']"},
	} {
		b.Run(c.name, func(b *testing.B) {
			old, new := compiled(b, tools, grant(c.old)), compiled(b, tools, grant(c.new))
			for b.Loop() {
				compareTool(old, new, "tool_0")
			}
		})
	}
}
