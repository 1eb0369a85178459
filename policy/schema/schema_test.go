package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// decode reads JSON as a pack does.
func decode(t testing.TB, text []byte) any {
	t.Helper()
	v, err := proviso.DecodeResultJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// render writes a converted value with the Go types that conditions will meet.
func render(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(x)
	case int64:
		return "int " + strconv.FormatInt(x, 10)
	case float64:
		return "number " + strconv.FormatFloat(x, 'g', -1, 64)
	case string:
		return strconv.Quote(x)
	case time.Time:
		return "time " + x.Format(time.RFC3339Nano)
	case []any:
		parts := make([]string, len(x))
		for i, m := range x {
			parts[i] = render(m)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, k := range sortedKeys(x) {
			parts = append(parts, k+": "+render(x[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("%T", v)
}

// refusal writes code, path and message of an error.
func refusal(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "an error without a code: " + err.Error()
	}
	path := e.Path
	if path == "" {
		path = "(the value)"
	}
	return e.Code + " at " + path + ": " + e.Msg
}

// describe writes a shape as an author would want to know it: what CEL sees, and for an object its members.
func describe(sh *Shape) string {
	var b strings.Builder
	b.WriteString("type " + sh.Type.String())
	if sh.Nullable {
		b.WriteString(", or null")
	}
	b.WriteByte('\n')
	for _, n := range sh.Names {
		f := sh.Fields[n]
		fmt.Fprintf(&b, "  %s %s", n, f.Shape.Type)
		if f.Shape.Nullable {
			b.WriteString(", or null")
		}
		if f.Required {
			b.WriteString(", required")
		}
		if f.HasDefault {
			b.WriteString(", default " + render(f.Default))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Each archive of testdata/convert has cases NAME.schema, NAME.values with one JSON value per line, and NAME.want. Words in the archive's comment set the compiler up: "extra" admits unnamed members, "in ZONE" reads naive times there.
func TestConvert(t *testing.T) {
	testkit.Archives(t, "testdata/convert/*.txtar", func(t *testing.T, a *testkit.Archive) {
		c := compilerOf(t, a.Comment)
		for _, f := range a.Files {
			name, ok := strings.CutSuffix(f.Name, ".schema")
			if !ok {
				continue
			}
			schema, _ := decode(t, f.Data).(map[string]any)
			before := proviso.CanonicalJSON(schema)
			sh, err := c.Compile(name, schema, strings.Contains(a.Comment, "extra"))
			if err != nil {
				a.Expect(t, name+".want", []byte("error: "+err.Error()))
				continue
			}
			var out strings.Builder
			out.WriteString(describe(sh))
			values, _ := a.File(name + ".values")
			for line := range strings.Lines(string(values)) {
				text := strings.TrimSpace(line)
				v := decode(t, []byte(text))
				got, err := sh.Convert(v, "")
				result := render(got)
				if err != nil {
					result = refusal(err)
				}
				fmt.Fprintf(&out, "%s -> %s\n", text, result)
				if after := proviso.CanonicalJSON(v); string(after) != string(proviso.CanonicalJSON(decode(t, []byte(text)))) {
					t.Errorf("%s: conversion changed %s to %s", name, text, after)
				}
			}
			a.Expect(t, name+".want", []byte(out.String()))
			if string(before) != string(proviso.CanonicalJSON(schema)) {
				t.Errorf("%s: compiling changed the schema", name)
			}
		}
	})
}

func compilerOf(t testing.TB, comment string) *Compiler {
	t.Helper()
	c := &Compiler{Structs: map[string]*Shape{}}
	if _, zone, ok := strings.Cut(comment, "in zone "); ok {
		loc, err := time.LoadLocation(strings.Fields(zone)[0])
		if err != nil {
			t.Fatal(err)
		}
		c.Loc = loc
	}
	return c
}

// Tables have no schema: their shape is inferred from what they hold. Each archive has NAME.table and NAME.want.
func TestOfValue(t *testing.T) {
	testkit.Archives(t, "testdata/infer/*.txtar", func(t *testing.T, a *testkit.Archive) {
		for _, f := range a.Files {
			name, ok := strings.CutSuffix(f.Name, ".table")
			if !ok {
				continue
			}
			c := compilerOf(t, a.Comment)
			v := decode(t, f.Data)
			sh := c.OfValue("data."+name, v)
			var out strings.Builder
			out.WriteString(describe(sh))
			for _, n := range sortedKeys(c.Structs) {
				if c.Structs[n] != sh {
					out.WriteString(n + ": " + describe(c.Structs[n]))
				}
			}
			got, err := sh.Convert(v, "")
			if err != nil {
				t.Fatalf("%s: the table does not conform to its own shape: %s", name, refusal(err))
			}
			out.WriteString(render(got) + "\n")
			a.Expect(t, name+".want", []byte(out.String()))
		}
	})
}

// A value that does not need to change is handed on as it is: most arguments are texts, and copies cost.
func TestConvertKeepsWhatDoesNotChange(t *testing.T) {
	c := &Compiler{Structs: map[string]*Shape{}}
	sh, err := c.Compile("args", decode(t, []byte(`{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {}}, "c": {"type": "object"}}}`)).(map[string]any), false)
	if err != nil {
		t.Fatal(err)
	}
	v := decode(t, []byte(`{"a": "x", "b": [1, 2], "c": {"d": 1}}`)).(map[string]any)
	got, err := sh.Convert(v, "")
	if err != nil || reflect.ValueOf(got).UnsafePointer() != reflect.ValueOf(v).UnsafePointer() {
		t.Errorf("a copy was made: %v %v", got, err)
	}
}

// The zero Shape is that of any value.
func TestZeroShape(t *testing.T) {
	for _, v := range []any{nil, true, int64(1), 1.5, "x", []any{"x"}, map[string]any{"a": nil}} {
		if got, err := (&Shape{}).Convert(v, ""); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%v becomes %v, %v", v, got, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		in   *time.Location
		want string // empty: refused
	}{
		{"2025-07-01T10:00:00Z", berlin, "2025-07-01T10:00:00Z"},
		{"2025-07-01T10:00:00+05:30", berlin, "2025-07-01T10:00:00+05:30"},
		{"2025-07-01T10:00:00", berlin, "2025-07-01T10:00:00+02:00"},
		{"2025-01-01T10:00", berlin, "2025-01-01T10:00:00+01:00"},
		{"2025-01-01 10:00:00.25", berlin, "2025-01-01T10:00:00.25+01:00"},
		{"2025-07-01", berlin, "2025-07-01T00:00:00+02:00"},
		{"2025-07-01", nil, "2025-07-01T00:00:00Z"},
		{"2025-02-29", nil, ""},
		{"2025-13-01", nil, ""},
		{"2025-07-01T25:00:00Z", nil, ""},
		{"2025-07-01T10:00:00 Europe/Berlin", nil, ""},
		{"01.07.2025", nil, ""},
		{"tomorrow", nil, ""},
		{"", nil, ""},
	} {
		got, err := ParseTime(c.text, c.in)
		if (err != nil) != (c.want == "") || err == nil && got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%q: %v, %v, want %q", c.text, got, err, c.want)
		}
	}
}
