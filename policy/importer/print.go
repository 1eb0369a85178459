package importer

import (
	"cmp"
	"maps"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/proviso-dev/proviso/policy/pack"
)

// keyOrder is how the keys of pack files follow each other; others stand behind them by name.
var keyOrder = []string{"name", "version", "defaults", "grants", "facts", "questions", "rules", "id", "clause", "on", "mode", "tools", "ask", "about", "when", "require", "else", "message",
	"answers", "steps", "call", "user", "assistant", "args", "want"}

// file writes a value of maps, lists and plain values as a file of a pack, laid out as proviso fmt does.
func file(name string, v any) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(ordered(v), yaml.IndentSequence(true))
	if err != nil {
		return nil, err
	}
	return pack.Format(name, b)
}

// ordered gives the maps of a value the order of keyOrder.
func ordered(v any) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.SortedFunc(maps.Keys(v), func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
		out := yaml.MapSlice{}
		for _, k := range keys {
			out = append(out, yaml.MapItem{Key: k, Value: ordered(v[k])})
		}
		return out
	case []map[string]any:
		var out []any
		for _, m := range v {
			out = append(out, ordered(m))
		}
		return out
	case []any:
		var out []any
		for _, m := range v {
			out = append(out, ordered(m))
		}
		return out
	}
	return v
}

func rank(key string) int {
	if i := slices.Index(keyOrder, key); i >= 0 {
		return i
	}
	return len(keyOrder)
}
