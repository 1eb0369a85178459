package proviso

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// factValueJSON is a FactValue on the wire. Types names, by JSON pointer (RFC 6901), the parts of the value that JSON has no type for.
type factValueJSON struct {
	Fact  string            `json:"fact"`
	Key   []string          `json:"key,omitempty"`
	Value JSON              `json:"value,omitempty"`
	Types map[string]string `json:"types,omitempty"`
	Err   string            `json:"error,omitempty"`
}

// MarshalJSON writes the fact so that UnmarshalJSON returns a value of the same Go types: timestamps and durations are text and are listed under "types",
// and a float64 keeps a fraction or an exponent even where it is whole. A replay from records would otherwise compare text where the live session compared times.
// Values of types that a conversion to a schema never yields are errors.
func (f FactValue) MarshalJSON() ([]byte, error) {
	w := valueWriter{}
	out := factValueJSON{Fact: f.Fact, Key: f.Key, Err: f.Err}
	if f.Value != nil {
		b, err := w.value(nil, "", f.Value)
		if err != nil {
			return nil, fmt.Errorf("fact %s: %w", f.Fact, err)
		}
		out.Value, out.Types = b, w.types
	}
	return AppendJSON(nil, &out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *FactValue) UnmarshalJSON(b []byte) error {
	var in factValueJSON
	if err := DecodeStrict(b, &in); err != nil {
		return err
	}
	*f = FactValue{FactKey: FactKey{in.Fact, in.Key}, Err: in.Err}
	if len(in.Value) == 0 {
		return nil
	}
	v, err := DecodeResultJSON(in.Value)
	if err != nil {
		return fmt.Errorf("fact %s: %w", in.Fact, err)
	}
	for _, path := range sortedPaths(in.Types) {
		if v, err = retype(v, strings.Split(path, "/")[1:], in.Types[path]); err != nil {
			return fmt.Errorf("fact %s: types: %q: %w", in.Fact, path, err)
		}
	}
	f.Value = v
	return nil
}

// valueWriter writes a value and notes which parts need a type beside them.
type valueWriter struct{ types map[string]string }

func (w *valueWriter) note(path, kind string) {
	if w.types == nil {
		w.types = map[string]string{}
	}
	w.types[path] = kind
}

func (w *valueWriter) value(b []byte, path string, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil, bool, string, int64:
		return AppendCanonical(b, v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v at %q is no JSON number", v, path)
		}
		from := len(b)
		if b = strconv.AppendFloat(b, v, 'g', -1, 64); !slices.ContainsFunc(b[from:], func(c byte) bool { return c == '.' || c == 'e' }) {
			b = append(b, ".0"...)
		}
		return b, nil
	case time.Time:
		w.note(path, "time")
		return appendText(b, v.UTC().Format(time.RFC3339Nano)), nil
	case time.Duration:
		w.note(path, "duration")
		return appendText(b, v.String()), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = w.value(b, path+"/"+strconv.Itoa(i), e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, k), ':')
			if b, err = w.value(b, path+"/"+pointerEscape.Replace(k), v[k]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("a value of type %T at %q cannot be recorded; convert it to the fact's schema", v, path)
}

var (
	pointerEscape   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")
)

func sortedPaths(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// retype gives the part of v at path its type back.
func retype(v any, path []string, kind string) (any, error) {
	if len(path) > 0 {
		switch c := v.(type) {
		case map[string]any:
			k := pointerUnescape.Replace(path[0])
			if _, ok := c[k]; !ok {
				break
			}
			part, err := retype(c[k], path[1:], kind)
			c[k] = part
			return v, err
		case []any:
			i, err := strconv.Atoi(path[0])
			if err != nil || i < 0 || i >= len(c) {
				break
			}
			c[i], err = retype(c[i], path[1:], kind)
			return v, err
		}
		return nil, fmt.Errorf("leads nowhere at %q", path[0])
	}
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("a %s is written as text", kind)
	}
	switch kind {
	case "time":
		t, err := time.Parse(time.RFC3339Nano, s)
		return t.UTC(), err
	case "duration":
		return time.ParseDuration(s)
	}
	return nil, fmt.Errorf("unknown type %q", kind)
}
