package mutate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/analyze"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Case writes a case that a survivor fails and the original passes, from the call by which the proof tells the two apart. It was played against both.
// ok is false where there is no such call, or where what the call rests on could not be put into the steps of a case: calls of the past, labels, scopes, facts without a plain supplier.
func (s *Suite) Case(at int, r Result) (src []byte, ok bool) {
	w := r.Witness()
	if w == nil || w.Scope != "" || len(w.Labels) > 0 {
		return nil, false
	}
	original, _ := policy.Compile(s.Packs...)
	if original == nil {
		return nil, false
	}
	for _, p := range w.Past {
		if p.Count != 0 {
			return nil, false
		}
	}
	packs := slices.Clone(s.Packs)
	packs[at] = r.Pack()
	spoiled, _ := policy.Compile(packs...)
	steps, ok := s.supply(w)
	if !ok || spoiled == nil {
		return nil, false
	}
	if w.Confirmed != nil && *w.Confirmed {
		steps = append(steps,
			yaml.MapSlice{{Key: "assistant", Value: fmt.Sprintf("I will call %s with %s. Do you agree?", w.Tool, proviso.CanonicalJSON(w.Args))}},
			yaml.MapSlice{{Key: "user", Value: "yes"}})
	}
	steps = append(steps, yaml.MapSlice{{Key: "call", Value: w.Tool}, {Key: "args", Value: w.Args}, {Key: "want", Value: wanted(w.Decide(original))}})
	c := yaml.MapSlice{{Key: "name", Value: fmt.Sprintf("%s has no mistake of %s at %d:%d: %s → %s", r.Rule, r.Operator, r.Pos.Line, r.Pos.Col, r.Was, r.Now)}, {Key: "now", Value: w.Now.Add(-time.Duration(2*len(steps)) * time.Second).Format(time.RFC3339)}}
	if w.Agent != "" {
		c = append(c, yaml.MapItem{Key: "agent", Value: w.Agent})
	}
	if len(w.Session) > 0 {
		c = append(c, yaml.MapItem{Key: "session", Value: plain(w.Session)})
	}
	if len(w.Answers) > 0 {
		c = append(c, yaml.MapItem{Key: "answers", Value: w.Answers})
	}
	src, err := yaml.MarshalWithOptions(yaml.MapSlice{{Key: "cases", Value: []any{append(c, yaml.MapItem{Key: "steps", Value: steps})}}}, yaml.IndentSequence(true))
	if err != nil {
		return nil, false
	}
	cases, ds := pack.ReadCases("tests/mutants.yaml", src)
	if len(ds) > 0 || len(cases) != 1 {
		return nil, false
	}
	if _, passes := s.Play(original, cases); !passes {
		return nil, false
	}
	if _, passes := s.Play(spoiled, cases); passes {
		return nil, false
	}
	return src, true
}

func wanted(d proviso.Decision) string {
	if d.Outcome == proviso.NeedInfo {
		return "needs_info"
	}
	return strings.ToLower(d.Outcome.String())
}

// supply writes the calls whose results show the facts of a witness, those without a key first.
func (s *Suite) supply(w *analyze.Witness) (steps []yaml.MapSlice, ok bool) {
	facts := slices.Clone(w.Facts)
	slices.SortStableFunc(facts, func(a, b proviso.FactValue) int { return len(a.Key) - len(b.Key) })
	for _, f := range facts {
		step, ok := s.supplier(f)
		if !ok {
			return nil, false
		}
		steps = append(steps, step)
	}
	return steps, true
}

// supplier is a call of one tool whose whole result is the fact.
func (s *Suite) supplier(f proviso.FactValue) (yaml.MapSlice, bool) {
	for _, p := range s.Packs {
		for _, fact := range p.Facts {
			if fact.Name.S != f.Fact {
				continue
			}
			for _, src := range fact.From {
				if strings.Contains(src.Tool.S, "*") || src.Each != nil || src.When != nil || src.Value != nil && src.Value.S != "result" {
					continue
				}
				if args, ok := s.arguments(src, fact, f.Key); ok {
					return yaml.MapSlice{{Key: "call", Value: src.Tool.S}, {Key: "args", Value: args}, {Key: "result", Value: plain(f.Value)}}, true
				}
			}
		}
	}
	return nil, false
}

// arguments are those of a supplying call: the keys, and something for every other argument that it needs.
func (s *Suite) arguments(src pack.Source, fact pack.Fact, key []string) (map[string]any, bool) {
	args := map[string]any{}
	for _, p := range s.Packs {
		for _, t := range p.Tools {
			if t.Name != src.Tool.S {
				continue
			}
			props, _ := t.Args["properties"].(map[string]any)
			required, _ := t.Args["required"].([]any)
			for _, n := range required {
				if name, ok := n.(string); ok {
					schema, _ := props[name].(map[string]any)
					args[name] = filler(schema)
				}
			}
		}
	}
	for i, k := range fact.Key {
		name, ok := strings.CutPrefix(src.Keys[k.Name.S].S, "args.")
		if !ok || strings.ContainsAny(name, ".[(") || i >= len(key) {
			return nil, false
		}
		args[name] = key[i]
	}
	return args, true
}

// filler is a value of a schema, as small as can be.
func filler(schema map[string]any) any {
	if list, ok := schema["enum"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	switch schema["type"] {
	case "integer", "number":
		if least, ok := schema["minimum"]; ok {
			return least
		}
		return 0
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		return map[string]any{}
	}
	switch schema["format"] {
	case "date":
		return "2025-01-01"
	case "date-time":
		return "2025-01-01T12:00:00Z"
	case "email":
		return "a@example.com"
	}
	return "x"
}

// plain replaces times by their texts, as results and sessions write them.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case time.Duration:
		return v.String()
	case map[string]any:
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[k] = plain(v[k])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}
