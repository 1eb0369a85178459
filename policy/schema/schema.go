// Package schema compiles JSON Schemas to shapes: one tree gives CEL the type of a value, and converts decoded JSON to values of that type.
package schema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/proviso-dev/proviso"
)

// A Shape is a compiled JSON Schema. It gives CEL the type of a value, and converts decoded JSON to the values that conditions compute with:
// int64, float64, string, bool, time.Time, []any, map[string]any and nil. One tree serves both, so that a value that was converted always has the type that was checked.
type Shape struct {
	Kind     Kind
	Nullable bool
	Fields   map[string]*Field
	Names    []string             // of fields, sorted
	Elem     *Shape               // of list members, of map values, or of members that an object does not name
	Open     bool                 // an object that admits members beside its fields
	Dynamic  bool                 // and whose schema says so, so that conditions may read them
	enum     []any                // raw JSON values, nil for none
	min, max any                  // inclusive: int64 or float64, nil for none
	maxLen   *int                 // of strings and lists
	orNull   bool                 // null is admitted, whatever enum and checks say
	checks   []*jsonschema.Schema // keywords beyond these are left to the library
	beside   []*jsonschema.Schema // what stands beside a reference or an optional schema
	Loc      *time.Location
	Type     *types.Type
}

type Field struct {
	Name       string
	Shape      *Shape
	Required   bool
	Default    any // converted default
	HasDefault bool
}

type Kind uint8

const (
	AnyKind Kind = iota
	BoolKind
	IntKind
	DoubleKind
	StringKind
	TimeKind
	ListKind
	ObjectKind // named fields
	MapKind    // any keys
)

// The codes of values that do not conform, explained in docs/errors.md.
const (
	CodeNonconforming = "PV303" // a value that its schema does not admit
	CodeUnnamed       = "PV304" // a member that its schema does not name
)

// MaxExact is the largest integer below which every integer is a double.
const MaxExact = 1 << 53

// conversionError says where in a value a schema is not met.
type Error struct {
	Path string
	Code string
	Msg  string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Msg
	}
	return e.Path + ": " + e.Msg
}

func nonconforming(path, format string, a ...any) error {
	return &Error{path, CodeNonconforming, fmt.Sprintf(format, a...)}
}

// Convert returns v as the shape's type. It never changes v; containers are copied where a member changes.
func (s *Shape) Convert(v any, path string) (any, error) {
	if v == nil && s.orNull {
		return nil, s.pass(s.beside, v, path)
	}
	if v == nil && !s.Nullable && s.Kind != AnyKind {
		return nil, nonconforming(path, "null where the schema wants %s", s.KindName())
	}
	if s.enum != nil && !inEnum(s.enum, v) {
		return nil, nonconforming(path, "%s is not one of %s", Show(v), showAll(s.enum))
	}
	out := v
	if v != nil {
		var err error
		if out, err = s.convertKind(v, path); err != nil {
			return nil, err
		}
	}
	if err := s.pass(s.checks, v, path); err != nil {
		return nil, err
	}
	if err := s.pass(s.beside, v, path); err != nil {
		return nil, err
	}
	return out, nil
}

// pass has the library check a value as it came.
func (s *Shape) pass(checks []*jsonschema.Schema, v any, path string) error {
	for _, c := range checks {
		if err := c.Validate(v); err != nil {
			return nonconforming(path, "%s", firstCause(err))
		}
	}
	return nil
}

func (s *Shape) convertKind(v any, path string) (any, error) {
	switch s.Kind {
	case BoolKind:
		if _, ok := v.(bool); ok {
			return v, nil
		}
	case StringKind:
		if t, ok := v.(string); ok {
			if s.maxLen != nil && utf8.RuneCountInString(t) > *s.maxLen {
				return nil, nonconforming(path, "longer than %d characters", *s.maxLen)
			}
			return v, nil
		}
	case IntKind:
		return s.convertInt(v, path)
	case DoubleKind:
		return s.convertDouble(v, path)
	case TimeKind:
		if t, ok := v.(string); ok {
			at, err := ParseTime(t, s.Loc)
			if err != nil {
				return nil, nonconforming(path, "%v", err)
			}
			return at, nil
		}
		if t, ok := v.(time.Time); ok {
			return t, nil
		}
	case ListKind:
		if l, ok := v.([]any); ok {
			return s.convertList(l, path)
		}
	case MapKind:
		if m, ok := v.(map[string]any); ok {
			return s.convertMap(m, path)
		}
	case ObjectKind:
		if m, ok := v.(map[string]any); ok {
			return s.convertObject(m, path)
		}
	default:
		return v, nil
	}
	return nil, nonconforming(path, "%s where the schema wants %s", KindOf(v), s.KindName())
}

func (s *Shape) convertInt(v any, path string) (any, error) {
	switch n := v.(type) {
	case int64:
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > MaxExact {
			return nil, nonconforming(path, "%v is not an integer that can be represented exactly", n)
		}
		v = int64(n)
	default:
		return nil, nonconforming(path, "%s where the schema wants integer", KindOf(v))
	}
	return v, s.inRange(v, path)
}

func (s *Shape) convertDouble(v any, path string) (any, error) {
	switch n := v.(type) {
	case float64:
	case int64:
		if n > MaxExact || n < -MaxExact {
			return nil, nonconforming(path, "%d cannot be represented exactly as a number; declare it an integer or send it as a string", n)
		}
		v = float64(n)
	default:
		return nil, nonconforming(path, "%s where the schema wants number", KindOf(v))
	}
	return v, s.inRange(v, path)
}

func (s *Shape) inRange(v any, path string) error {
	if s.min != nil && compare(v, s.min) < 0 {
		return nonconforming(path, "%v is below the minimum %v", v, s.min)
	}
	if s.max != nil && compare(v, s.max) > 0 {
		return nonconforming(path, "%v is above the maximum %v", v, s.max)
	}
	return nil
}

// compare orders two numbers, int64 or float64, exactly.
func compare(a, b any) int {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	}
	return exact(a).Cmp(exact(b))
}

func exact(v any) *big.Float {
	if i, ok := v.(int64); ok {
		return new(big.Float).SetInt64(i)
	}
	f, _ := v.(float64)
	return big.NewFloat(f)
}

func (s *Shape) convertList(l []any, path string) (any, error) {
	if s.maxLen != nil && len(l) > *s.maxLen {
		return nil, nonconforming(path, "more than %d members", *s.maxLen)
	}
	if s.Elem == nil || s.Elem.plain() {
		return l, nil
	}
	out := make([]any, len(l))
	for i, v := range l {
		c, err := s.Elem.Convert(v, fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func (s *Shape) convertMap(m map[string]any, path string) (any, error) {
	if s.Elem == nil || s.Elem.plain() {
		return m, nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		c, err := s.Elem.Convert(v, join(path, k))
		if err != nil {
			return nil, err
		}
		out[k] = c
	}
	return out, nil
}

// convertObject returns m itself where nothing has to change: most arguments are texts.
func (s *Shape) convertObject(m map[string]any, path string) (any, error) {
	out := m
	edit := func() {
		if len(out) == 0 || sameMap(out, m) {
			out = make(map[string]any, len(s.Fields))
			for k, v := range m {
				out[k] = v
			}
		}
	}
	for k, v := range m {
		shape := s.Elem
		if f, ok := s.Fields[k]; ok {
			shape = f.Shape
		} else {
			if !s.Open {
				return nil, &Error{join(path, k), CodeUnnamed, "not named by the schema" + hintSuffix(proviso.DidYouMean(k, s.Names))}
			}
			if shape == nil {
				continue
			}
		}
		// The path is built only for an error: this is the way of every call.
		c, err := shape.Convert(v, "")
		if err != nil {
			_, err = shape.Convert(v, join(path, k))
			return nil, err
		}
		if !unchanged(c, v) {
			edit()
			out[k] = c
		}
	}
	for _, n := range s.Names {
		f := s.Fields[n]
		if _, ok := m[n]; ok {
			continue
		}
		if f.HasDefault {
			edit()
			out[n] = f.Default
		} else if f.Required {
			return nil, nonconforming(join(path, n), "missing, but the schema requires it")
		}
	}
	return out, nil
}

func sameMap(a, b map[string]any) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// unchanged reports whether conversion left a value as it was; containers are the same only where they are the same object.
func unchanged(c, v any) bool {
	switch x := c.(type) {
	case map[string]any:
		y, ok := v.(map[string]any)
		return ok && sameMap(x, y)
	case []any:
		y, ok := v.([]any)
		return ok && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	case time.Time:
		return false
	}
	return c == v
}

// plain reports whether conversion never changes or refuses a value.
func (s *Shape) plain() bool {
	return s.Kind == AnyKind && s.checks == nil && s.beside == nil && s.enum == nil
}

func (s *Shape) KindName() string {
	return [...]string{"any value", "boolean", "integer", "number", "string", "a date-time", "array", "object", "object"}[s.Kind]
}

func KindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int64, float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

func join(path, k string) string {
	if path == "" {
		return k
	}
	return path + "." + k
}

func hintSuffix(h string) string {
	if h == "" {
		return ""
	}
	return "; " + h
}

// inEnum compares by value: 1 is 1.0, and integers are compared exactly.
func inEnum(enum []any, v any) bool {
	if _, ok := v.(string); ok {
		return slices.Contains(enum, v)
	}
	text := proviso.CanonicalJSON(v)
	return slices.ContainsFunc(enum, func(e any) bool { return bytes.Equal(proviso.CanonicalJSON(e), text) })
}

func Number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// show prints a value shortly for a message.
func Show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 80 {
		return strings.ToValidUTF8(string(b[:77]), "") + "…"
	}
	return string(b)
}

func showAll(vs []any) string {
	if len(vs) == 0 {
		return "an empty list"
	}
	var b strings.Builder
	for i, v := range vs {
		if i == 8 {
			fmt.Fprintf(&b, " … (%d in all)", len(vs))
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Show(v))
	}
	return b.String()
}

var timeLayouts = []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads RFC 3339; a time without a zone, or a bare date, is read in loc.
func ParseTime(s string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	if loc == nil {
		loc = time.UTC
	}
	for _, l := range timeLayouts {
		if t, err := time.ParseInLocation(l, s, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a date or date-time (want 2006-01-02T15:04:05Z)", Show(s))
}

func firstCause(err error) string {
	if ve, ok := err.(*jsonschema.ValidationError); ok {
		for len(ve.Causes) > 0 {
			ve = ve.Causes[0]
		}
		lines := strings.Split(ve.Error(), "\n")
		return strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- "), "at '': ")
	}
	return err.Error()
}
