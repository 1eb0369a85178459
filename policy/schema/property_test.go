package schema

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

type obj = map[string]any

// conforms says where a converted value is not what the shape promises, nothing where it is.
func conforms(s *Shape, v any, path string) string {
	if v == nil {
		if s.Nullable || s.Kind == AnyKind {
			return ""
		}
		return path + " is null"
	}
	ok := true
	switch s.Kind {
	case BoolKind:
		_, ok = v.(bool)
	case IntKind:
		_, ok = v.(int64)
	case DoubleKind:
		_, ok = v.(float64)
	case StringKind:
		_, ok = v.(string)
	case TimeKind:
		_, ok = v.(time.Time)
	case ListKind:
		var l []any
		l, ok = v.([]any)
		for i, m := range l {
			if s.Elem != nil {
				if why := conforms(s.Elem, m, fmt.Sprintf("%s[%d]", path, i)); why != "" {
					return why
				}
			}
		}
	case MapKind, ObjectKind:
		var m map[string]any
		m, ok = v.(map[string]any)
		for k, x := range m {
			sh := s.Elem
			if f := s.Fields[k]; f != nil {
				sh = f.Shape
			} else if s.Kind == ObjectKind && !s.Open {
				return path + " has " + k
			}
			if sh != nil {
				if why := conforms(sh, x, path+"."+k); why != "" {
					return why
				}
			}
		}
		for n, f := range s.Fields {
			if _, there := m[n]; ok && !there && f.Required {
				return path + " lacks " + n
			}
		}
	}
	if !ok {
		return fmt.Sprintf("%s is %T, want %s", path, v, s.KindName())
	}
	return ""
}

var words = []string{"a", "b", "c", "ab"}

// genSchema makes a schema with all the keywords that shapes check themselves, and some that the library checks. A required member has no default: the library knows no defaults.
func genSchema(t *rapid.T, depth int) obj {
	kinds := []string{"boolean", "integer", "number", "string", "date", "any", "null", "several", "optional", "not", "ref"}
	if depth > 0 {
		kinds = append(kinds, "array", "object", "map", "array", "object")
	}
	s := obj{}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	sometimes := func(key string, g func() any) {
		if rapid.IntRange(0, 3).Draw(t, key) == 0 {
			s[key] = g()
		}
	}
	number := func() any { return genNumber(t) }
	switch kind {
	case "boolean", "null":
		s["type"] = kind
	case "integer", "number":
		s["type"] = kind
		sometimes("minimum", number)
		sometimes("maximum", number)
		sometimes("exclusiveMinimum", number)
	case "string":
		s["type"] = kind
		sometimes("maxLength", func() any { return int64(rapid.IntRange(0, 2).Draw(t, "length")) })
		sometimes("pattern", func() any { return "^a" })
	case "date":
		return obj{"type": "string", "format": "date"}
	case "several":
		s["type"] = []any{"string", rapid.SampledFrom([]any{"null", "integer", "array"}).Draw(t, "other")}
		sometimes("maxLength", func() any { return int64(1) })
	case "optional":
		s["anyOf"] = []any{genSchema(t, depth-1), obj{"type": "null"}}
		sometimes("maximum", number)
	case "not":
		s["not"] = obj{"type": rapid.SampledFrom([]any{"string", "number", "null"}).Draw(t, "not")}
	case "ref":
		s["$ref"] = rapid.SampledFrom([]any{"#/$defs/leaf", "#/$defs/node"}).Draw(t, "ref")
		sometimes("maxLength", func() any { return int64(1) })
	case "array":
		s["type"] = kind
		sometimes("items", func() any {
			return rapid.SampledFrom([]any{true, false, genSchema(t, depth-1), genSchema(t, depth-1)}).Draw(t, "items schema")
		})
		sometimes("maxItems", func() any { return int64(rapid.IntRange(0, 2).Draw(t, "length")) })
	case "map":
		s["type"] = "object"
		sometimes("additionalProperties", func() any { return genSchema(t, depth-1) })
		sometimes("required", func() any { return []any{"a"} })
	case "object":
		s["type"] = kind
		props := obj{}
		var required []any
		for _, n := range words[:3] {
			switch rapid.IntRange(0, 3).Draw(t, n) {
			case 0:
				props[n] = genSchema(t, depth-1)
			case 1:
				required = append(required, n)
				props[n] = genSchema(t, depth-1)
			case 2:
				props[n] = rapid.SampledFrom([]any{true, false}).Draw(t, "any or none")
			}
		}
		s["properties"] = props
		if required != nil {
			s["required"] = required
		}
		sometimes("additionalProperties", func() any { return rapid.SampledFrom([]any{true, false, obj{"type": "integer"}}).Draw(t, "rest") })
	}
	if rapid.IntRange(0, 5).Draw(t, "listed") == 0 {
		s["enum"] = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return genValue(t, 1) }), 1, 3).Draw(t, "enum")
	}
	return s
}

func genNumber(t *rapid.T) any {
	return rapid.SampledFrom([]any{int64(0), int64(1), int64(-1), 0.5, 1.0, int64(1<<53 + 1), int64(1 << 53), float64(1 << 53), 1e300, int64(-1 << 63)}).Draw(t, "number")
}

func genValue(t *rapid.T, depth int) any {
	n := 4
	if depth > 0 {
		n = 6
	}
	switch rapid.IntRange(0, n).Draw(t, "value") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return genNumber(t)
	case 3, 4:
		return rapid.SampledFrom([]any{"", "a", "ab", "é", "2025-07-01", "2025-07-01T10:00:00Z"}).Draw(t, "text")
	case 5:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return genValue(t, depth-1) }), 0, 3).Draw(t, "list")
	}
	return rapid.MapOfN(rapid.SampledFrom(words), rapid.Custom(func(t *rapid.T) any { return genValue(t, depth-1) }), 0, 4).Draw(t, "object")
}

// whole is a schema with definitions, one of which contains itself.
func whole(t *rapid.T) obj {
	s := obj{"type": "object", "properties": obj{"a": genSchema(t, 2), "b": genSchema(t, 1)}, "$defs": obj{
		"leaf": genSchema(t, 0),
		"node": obj{"type": "object", "properties": obj{"a": obj{"type": "string"}, "b": obj{"type": "array", "items": obj{"$ref": "#/$defs/node"}}, "c": obj{"$ref": "#/$defs/node"}}},
	}}
	if leaf := s["$defs"].(obj)["leaf"].(obj); leaf["$ref"] == "#/$defs/leaf" {
		leaf["$ref"] = "#/$defs/node"
	}
	return s
}

func libraryOf(t interface{ Fatalf(string, ...any) }, s obj) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(proviso.CanonicalJSON(s)))
	if err != nil {
		t.Fatalf("%v", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pack:whole", doc); err != nil {
		t.Fatalf("%v", err)
	}
	out, err := c.Compile("pack:whole")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

// What converts is of the promised types, was admitted by the schema, and converts to itself.
func TestConverted(t *testing.T) {
	admitted := 0
	rapid.Check(t, func(t *rapid.T) {
		s := whole(t)
		c := &Compiler{Structs: map[string]*Shape{}}
		sh, err := c.Compile("args", s, rapid.Bool().Draw(t, "extra"))
		if err != nil {
			t.Fatalf("%s: %v", proviso.CanonicalJSON(s), err)
		}
		v := any(rapid.MapOfN(rapid.SampledFrom(words[:2]), rapid.Custom(func(t *rapid.T) any { return genValue(t, 2) }), 0, 2).Draw(t, "arguments"))
		before := proviso.CanonicalJSON(v)
		got, err := sh.Convert(v, "")
		if !bytes.Equal(before, proviso.CanonicalJSON(v)) {
			t.Fatalf("conversion changed %s to %s", before, proviso.CanonicalJSON(v))
		}
		if err != nil {
			return
		}
		admitted++
		if why := conforms(sh, got, "args"); why != "" {
			t.Fatalf("%s by %s: %s", before, proviso.CanonicalJSON(s), why)
		}
		if err := libraryOf(t, s).Validate(v); err != nil {
			t.Fatalf("%s is admitted by the shape of %s, but not by JSON Schema: %v", before, proviso.CanonicalJSON(s), err)
		}
		if holdsTime(got) {
			return // a listed or patterned date is compared as it was written
		}
		if again, err := sh.Convert(got, ""); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%s by %s: converting %v again gives %v, %v", before, proviso.CanonicalJSON(s), got, again, err)
		}
	})
	if admitted == 0 {
		t.Error("no value was admitted: the test shows nothing")
	}
}

// A schema whose references multiply stays small, and still refuses what it does not admit, however deep.
func TestReferencesDoNotMultiply(t *testing.T) {
	defs := obj{"z": obj{"type": "integer"}}
	last := "z"
	for i := range 20 {
		n := fmt.Sprintf("d%d", i)
		ref := obj{"$ref": "#/$defs/" + last}
		defs[n] = obj{"type": "object", "properties": obj{"a": ref, "b": ref, "c": ref}}
		last = n
	}
	c := &Compiler{Structs: map[string]*Shape{}}
	sh, err := c.Compile("args", obj{"$ref": "#/$defs/" + last, "$defs": defs}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Structs) > MaxParts {
		t.Errorf("%d types were declared", len(c.Structs))
	}
	v, bad := any(int64(1)), any("x")
	for range 20 {
		v, bad = obj{"b": v}, obj{"b": bad}
	}
	if _, err := sh.Convert(v, ""); err != nil {
		t.Error(err)
	}
	if _, err := sh.Convert(bad, ""); err == nil {
		t.Error("a text is admitted where the schema wants an integer, twenty levels down")
	}
}

// FuzzConvert compiles any schema and converts any value: neither panics, and what converts is of the promised types.
func FuzzConvert(f *testing.F) {
	for _, c := range [][2]string{
		{`{"type": "object", "properties": {"a": {"type": "string", "format": "date"}, "b": {"$ref": "#"}}, "required": ["a"]}`, `{"a": "2025-07-01", "b": {"a": "2025-07-02"}}`},
		{`{"enum": [[1], {"a": null}, 9007199254740993]}`, `[1.0]`},
		{`{"anyOf": [{"type": "array", "items": {"type": ["integer", "null"]}}, {"type": "null"}], "maxItems": 1}`, `[1e3]`},
		{`{"type": "object", "properties": {"a": false, "b": {"default": 1}}, "additionalProperties": {"type": "number"}}`, `{"c": 1}`},
		{`{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}`, `1`},
		{`{"properties": {"/": {"const": {}}}, "maxLength": 1e3}`, `{"/": {}}`},
	} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		s, err := proviso.DecodeResultJSON(schema)
		m, ok := s.(map[string]any)
		if err != nil || !ok {
			return
		}
		v, err := proviso.DecodeJSON(value)
		if err != nil {
			return
		}
		c := &Compiler{Structs: map[string]*Shape{}}
		sh, err := c.Compile("args", m, false)
		if err != nil {
			return
		}
		got, err := sh.Convert(v, "")
		if err != nil {
			return
		}
		if why := conforms(sh, got, "args"); why != "" {
			t.Fatalf("%s by %s: %s", value, schema, why)
		}
	})
}
