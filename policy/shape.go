package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/proviso-dev/proviso"
)

// A shape is a compiled JSON Schema. It gives CEL the type of a value, and converts decoded JSON to the values that conditions compute with:
// int64, float64, string, bool, time.Time, []any, map[string]any and nil. One tree serves both, so that a value that was converted always has the type that was checked.
type shape struct {
	kind     shapeKind
	nullable bool
	fields   map[string]*field
	names    []string           // of fields, sorted
	elem     *shape             // of list members, or of map values
	open     bool               // an object that admits members beside its fields
	dynamic  bool               // and whose schema says so, so that conditions may read them
	enum     []any              // raw JSON values, nil for none
	min, max *float64           // inclusive
	maxLen   int                // of strings and lists, 0 for none
	check    *jsonschema.Schema // keywords beyond these are left to the library
	loc      *time.Location
	typ      *types.Type
}

type field struct {
	name     string
	shape    *shape
	required bool
	def      any // converted default
	hasDef   bool
}

type shapeKind uint8

const (
	anyKind shapeKind = iota
	boolKind
	intKind
	doubleKind
	stringKind
	timeKind
	listKind
	objectKind // named fields
	mapKind    // any keys
)

// maxExact is the largest integer below which every integer is a double.
const maxExact = 1 << 53

// conversionError says where in a value a schema is not met.
type conversionError struct {
	path string
	code string
	msg  string
}

func (e *conversionError) Error() string {
	if e.path == "" {
		return e.msg
	}
	return e.path + ": " + e.msg
}

func nonconforming(path, format string, a ...any) error {
	return &conversionError{path, codeArgSchema, fmt.Sprintf(format, a...)}
}

// convert returns v as the shape's type. It never changes v; containers are copied where a member changes.
func (s *shape) convert(v any, path string) (any, error) {
	if v == nil {
		if s.nullable || s.kind == anyKind {
			return nil, nil
		}
		return nil, nonconforming(path, "null where the schema wants %s", s.kindName())
	}
	if len(s.enum) > 0 && !inEnum(s.enum, v) {
		return nil, nonconforming(path, "%s is not one of %s", show(v), showAll(s.enum))
	}
	out, err := s.convertKind(v, path)
	if err != nil {
		return nil, err
	}
	if s.check != nil {
		if err := s.check.Validate(v); err != nil {
			return nil, nonconforming(path, "%s", firstCause(err))
		}
	}
	return out, nil
}

func (s *shape) convertKind(v any, path string) (any, error) {
	switch s.kind {
	case boolKind:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case stringKind:
		if t, ok := v.(string); ok {
			if s.maxLen > 0 && len([]rune(t)) > s.maxLen {
				return nil, nonconforming(path, "longer than %d characters", s.maxLen)
			}
			return t, nil
		}
	case intKind:
		return s.convertInt(v, path)
	case doubleKind:
		return s.convertDouble(v, path)
	case timeKind:
		if t, ok := v.(string); ok {
			at, err := parseTime(t, s.loc)
			if err != nil {
				return nil, nonconforming(path, "%v", err)
			}
			return at, nil
		}
		if t, ok := v.(time.Time); ok {
			return t, nil
		}
	case listKind:
		if l, ok := v.([]any); ok {
			return s.convertList(l, path)
		}
	case mapKind:
		if m, ok := v.(map[string]any); ok {
			return s.convertMap(m, path)
		}
	case objectKind:
		if m, ok := v.(map[string]any); ok {
			return s.convertObject(m, path)
		}
	default:
		return v, nil
	}
	return nil, nonconforming(path, "%s where the schema wants %s", kindOf(v), s.kindName())
}

func (s *shape) convertInt(v any, path string) (any, error) {
	var i int64
	switch n := v.(type) {
	case int64:
		i = n
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > maxExact {
			return nil, nonconforming(path, "%v is not an integer that can be represented exactly", n)
		}
		i = int64(n)
	default:
		return nil, nonconforming(path, "%s where the schema wants integer", kindOf(v))
	}
	return i, s.inRange(float64(i), path)
}

func (s *shape) convertDouble(v any, path string) (any, error) {
	var f float64
	switch n := v.(type) {
	case float64:
		f = n
	case int64:
		if n > maxExact || n < -maxExact {
			return nil, nonconforming(path, "%d cannot be represented exactly as a number; declare it an integer or send it as a string", n)
		}
		f = float64(n)
	default:
		return nil, nonconforming(path, "%s where the schema wants number", kindOf(v))
	}
	return f, s.inRange(f, path)
}

func (s *shape) inRange(f float64, path string) error {
	if s.min != nil && f < *s.min {
		return nonconforming(path, "%v is below the minimum %v", f, *s.min)
	}
	if s.max != nil && f > *s.max {
		return nonconforming(path, "%v is above the maximum %v", f, *s.max)
	}
	return nil
}

func (s *shape) convertList(l []any, path string) (any, error) {
	if s.maxLen > 0 && len(l) > s.maxLen {
		return nil, nonconforming(path, "more than %d members", s.maxLen)
	}
	if s.elem == nil || s.elem.plain() {
		return l, nil
	}
	out := make([]any, len(l))
	for i, v := range l {
		c, err := s.elem.convert(v, fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func (s *shape) convertMap(m map[string]any, path string) (any, error) {
	if s.elem == nil || s.elem.plain() {
		return m, nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		c, err := s.elem.convert(v, join(path, k))
		if err != nil {
			return nil, err
		}
		out[k] = c
	}
	return out, nil
}

// convertObject returns m itself where nothing has to change: most arguments are texts.
func (s *shape) convertObject(m map[string]any, path string) (any, error) {
	out := m
	edit := func() {
		if len(out) == 0 || sameMap(out, m) {
			out = make(map[string]any, len(s.fields))
			for k, v := range m {
				out[k] = v
			}
		}
	}
	for k, v := range m {
		f, ok := s.fields[k]
		if !ok {
			if !s.open {
				return nil, &conversionError{join(path, k), codeArgUnknown, "not named by the schema" + hintSuffix(proviso.DidYouMean(k, s.names))}
			}
			continue
		}
		// The path is built only for an error: this is the way of every call.
		c, err := f.shape.convert(v, "")
		if err != nil {
			_, err = f.shape.convert(v, join(path, k))
			return nil, err
		}
		if !unchanged(c, v) {
			edit()
			out[k] = c
		}
	}
	for _, n := range s.names {
		f := s.fields[n]
		if _, ok := m[n]; ok {
			continue
		}
		if f.hasDef {
			edit()
			out[n] = f.def
		} else if f.required {
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
func (s *shape) plain() bool { return s.kind == anyKind && s.check == nil && len(s.enum) == 0 }

func (s *shape) kindName() string {
	return [...]string{"any value", "boolean", "integer", "number", "string", "a date-time", "array", "object", "object"}[s.kind]
}

func kindOf(v any) string {
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

func inEnum(enum []any, v any) bool {
	for _, e := range enum {
		if e == v {
			return true
		}
		if ef, ok := number(e); ok {
			if vf, ok := number(v); ok && ef == vf {
				return true
			}
		}
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// show prints a value shortly for a message.
func show(v any) string {
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
	var b strings.Builder
	for i, v := range vs {
		if i == 8 {
			fmt.Fprintf(&b, " … (%d in all)", len(vs))
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(show(v))
	}
	return b.String()
}

var timeLayouts = []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads RFC 3339; a time without a zone, or a bare date, is read in loc.
func parseTime(s string, loc *time.Location) (time.Time, error) {
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
	return time.Time{}, fmt.Errorf("%s is not a date or date-time (want 2006-01-02T15:04:05Z)", show(s))
}

func firstCause(err error) string {
	if ve, ok := err.(*jsonschema.ValidationError); ok {
		for len(ve.Causes) > 0 {
			ve = ve.Causes[0]
		}
		lines := strings.Split(ve.Error(), "\n")
		return strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- ")
	}
	return err.Error()
}

// shaper compiles JSON Schemas to shapes and remembers the object types that CEL has to know.
type shaper struct {
	loc     *time.Location
	structs map[string]*shape // by CEL type name
}

// ownKeywords are the keywords that shapes check themselves; any other assertion is left to the library.
var ownKeywords = map[string]bool{
	"type": true, "properties": true, "required": true, "items": true, "additionalProperties": true, "enum": true, "const": true, "default": true,
	"minimum": true, "maximum": true, "maxLength": true, "maxItems": true, "$ref": true, "$defs": true, "definitions": true,
	// annotations
	"title": true, "description": true, "examples": true, "example": true, "$schema": true, "$id": true, "$comment": true, "deprecated": true, "readOnly": true, "writeOnly": true, "strict": true, "nullable": true,
}

var formatted = map[string]bool{"date-time": true, "date": true}

// compile turns a JSON Schema, as decoded by proviso.DecodeJSON, into a shape. name becomes the CEL type name of its object.
// extra says whether objects without additionalProperties admit members that they do not name.
func (c *shaper) compile(name string, schema map[string]any, extra bool) (*shape, error) {
	return c.shape(name, schema, schema, extra, 0)
}

func (c *shaper) shape(name string, s, root map[string]any, extra bool, depth int) (*shape, error) {
	if depth > 32 {
		return &shape{typ: types.DynType}, nil // a recursive schema is dynamic below this depth
	}
	if ref, ok := s["$ref"].(string); ok {
		target, err := resolveRef(root, ref)
		if err != nil {
			return nil, err
		}
		return c.shape(name, target, root, extra, depth+1)
	}
	if inner, ok := optionalOf(s); ok {
		sh, err := c.shape(name, inner, root, extra, depth+1)
		if err != nil {
			return nil, err
		}
		sh.nullable = true
		sh.typ = nullableType(sh)
		return sh, nil
	}
	sh := &shape{loc: c.loc}
	if err := c.fill(sh, name, s, root, extra, depth); err != nil {
		return nil, err
	}
	if needsLibrary(s) {
		check, err := compileLibrary(s, root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		sh.check = check
	}
	if sh.typ == nil {
		sh.typ = c.typeOf(sh, name)
	}
	if sh.nullable {
		sh.typ = nullableType(sh)
	}
	return sh, nil
}

func (c *shaper) fill(sh *shape, name string, s, root map[string]any, extra bool, depth int) error {
	kind, nullable, err := typeKeyword(s)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	sh.nullable = nullable
	sh.enum = enumOf(s)
	sh.min, sh.max = floatKeyword(s, "minimum"), floatKeyword(s, "maximum")
	if n := floatKeyword(s, "maxLength"); n != nil {
		sh.maxLen = int(*n)
	}
	switch kind {
	case "boolean":
		sh.kind = boolKind
	case "integer":
		sh.kind = intKind
	case "number":
		sh.kind = doubleKind
	case "string":
		sh.kind = stringKind
		if f, _ := s["format"].(string); formatted[f] {
			sh.kind = timeKind
		}
	case "array":
		sh.kind = listKind
		if n := floatKeyword(s, "maxItems"); n != nil {
			sh.maxLen = int(*n)
		}
		if items, ok := s["items"].(map[string]any); ok {
			sh.elem, err = c.shape(name+".item", items, root, extra, depth+1)
		}
	case "object":
		err = c.object(sh, name, s, root, extra, depth)
	case "null":
		sh.nullable = true
	}
	return err
}

func (c *shaper) object(sh *shape, name string, s, root map[string]any, extra bool, depth int) error {
	props, _ := s["properties"].(map[string]any)
	more, _ := s["additionalProperties"].(map[string]any)
	closed := s["additionalProperties"] == false
	if len(props) == 0 && !closed && (depth > 0 || more != nil || s["properties"] == nil) {
		sh.kind = mapKind
		if len(more) > 0 {
			var err error
			sh.elem, err = c.shape(name+".value", more, root, extra, depth+1)
			return err
		}
		return nil
	}
	sh.kind, sh.fields = objectKind, map[string]*field{}
	_, stated := s["additionalProperties"]
	sh.dynamic = stated && !closed
	sh.open = sh.dynamic || !stated && extra
	required := map[string]bool{}
	if list, ok := s["required"].([]any); ok {
		for _, r := range list {
			if n, ok := r.(string); ok {
				required[n] = true
			}
		}
	}
	for n, p := range props {
		ps, ok := p.(map[string]any)
		if !ok {
			ps = map[string]any{}
		}
		fs, err := c.shape(name+"."+n, ps, root, extra, depth+1)
		if err != nil {
			return err
		}
		f := &field{name: n, shape: fs, required: required[n]}
		if d, ok := ps["default"]; ok && (d != nil || fs.nullable) {
			if f.def, err = fs.convert(d, n); err != nil {
				return fmt.Errorf("%s: the default of %s does not conform: %w", name, n, err)
			}
			f.hasDef = true
		}
		sh.fields[n] = f
		sh.names = append(sh.names, n)
	}
	sort.Strings(sh.names)
	return nil
}

// typeOf gives the CEL type and registers object types under a unique name.
func (c *shaper) typeOf(sh *shape, name string) *types.Type {
	elem := types.DynType
	if sh.elem != nil {
		elem = sh.elem.typ
	}
	switch sh.kind {
	case boolKind:
		return types.BoolType
	case intKind:
		return types.IntType
	case doubleKind:
		return types.DoubleType
	case stringKind:
		return types.StringType
	case timeKind:
		return types.TimestampType
	case listKind:
		return types.NewListType(elem)
	case mapKind:
		return types.NewMapType(types.StringType, elem)
	case objectKind:
		n := typeName(name)
		for i := 2; c.structs[n] != nil; i++ {
			n = fmt.Sprintf("%s_%d", typeName(name), i)
		}
		c.structs[n] = sh
		return types.NewObjectType(n)
	}
	return types.DynType
}

var notIdent = regexp.MustCompile(`[^A-Za-z0-9_.]`)

// typeName starts with a character that no expression can write: data.fees must be the table, never the type of the table.
func typeName(s string) string { return "@" + notIdent.ReplaceAllString(s, "_") }

func nullableType(sh *shape) *types.Type {
	switch sh.kind {
	case boolKind, intKind, doubleKind, stringKind:
		return types.NewNullableType(sh.typ)
	case listKind, mapKind:
		return types.DynType // CEL has no nullable lists and maps
	}
	return sh.typ
}

// optionalOf recognises anyOf [X, null], which is how Pydantic writes an optional X.
func optionalOf(s map[string]any) (map[string]any, bool) {
	for _, key := range []string{"anyOf", "oneOf"} {
		list, ok := s[key].([]any)
		if !ok || len(list) != 2 || s["type"] != nil {
			continue
		}
		for i, v := range list {
			m, _ := v.(map[string]any)
			other, _ := list[1-i].(map[string]any)
			if m["type"] == "null" && other != nil {
				return other, true
			}
		}
	}
	return nil, false
}

// typeKeyword returns the one type of a schema; several types beside null make it dynamic.
func typeKeyword(s map[string]any) (kind string, nullable bool, err error) {
	if s["nullable"] == true {
		nullable = true
	}
	switch t := s["type"].(type) {
	case string:
		if !jsonTypes[t] {
			return "", false, fmt.Errorf("unknown type %q%s", t, hintSuffix(proviso.DidYouMean(t, []string{"array", "boolean", "integer", "null", "number", "object", "string"})))
		}
		return t, nullable, nil
	case []any:
		var kinds []string
		for _, k := range t {
			n, _ := k.(string)
			if !jsonTypes[n] {
				return "", false, fmt.Errorf("unknown type %s", show(k))
			}
			if n == "null" {
				nullable = true
				continue
			}
			kinds = append(kinds, n)
		}
		if len(kinds) == 1 {
			return kinds[0], nullable, nil
		}
		return "", nullable, nil
	case nil:
		if _, ok := s["properties"]; ok {
			return "object", nullable, nil
		}
		if _, ok := s["items"]; ok {
			return "array", nullable, nil
		}
		return "", nullable, nil
	}
	return "", false, fmt.Errorf("type is %s, want a string or a list", kindOf(s["type"]))
}

var jsonTypes = map[string]bool{"array": true, "boolean": true, "integer": true, "null": true, "number": true, "object": true, "string": true}

func enumOf(s map[string]any) []any {
	if e, ok := s["enum"].([]any); ok {
		return e
	}
	if c, ok := s["const"]; ok {
		return []any{c}
	}
	return nil
}

func floatKeyword(s map[string]any, key string) *float64 {
	if f, ok := number(s[key]); ok {
		return &f
	}
	return nil
}

func needsLibrary(s map[string]any) bool {
	for k := range s {
		if k == "format" {
			continue // formats beyond dates are annotations, as in JSON Schema itself
		}
		if !ownKeywords[k] {
			return true
		}
	}
	if list, ok := s["type"].([]any); ok && len(list) > 2 {
		return true
	}
	_, tuple := s["items"].([]any)
	return tuple
}

// compileLibrary hands a schema to the library. Schemas never load anything from elsewhere.
func compileLibrary(s, root map[string]any) (*jsonschema.Schema, error) {
	whole := map[string]any{}
	for k, v := range s {
		whole[k] = v
	}
	for _, k := range []string{"$defs", "definitions"} {
		if v, ok := root[k]; ok {
			whole[k] = v
		}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(proviso.CanonicalJSON(whole)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("pack:schema", doc); err != nil {
		return nil, err
	}
	return c.Compile("pack:schema")
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %s: references outside the pack are not loaded", url)
}

func resolveRef(root map[string]any, ref string) (map[string]any, error) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, fmt.Errorf("$ref %q: only references inside the schema (#/…) are resolved here", ref)
	}
	var at any = root
	for _, part := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		m, _ := at.(map[string]any)
		if at, ok = m[part]; !ok {
			return nil, fmt.Errorf("$ref %q points nowhere", ref)
		}
	}
	m, ok := at.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("$ref %q is %s, want a schema", ref, kindOf(at))
	}
	return m, nil
}

// shapeOfValue infers the type of a table from what it holds: objects whose members differ in type become objects with fields,
// others maps, so that data.fees[r.cabin] and data.limits.day both type-check.
func (c *shaper) shapeOfValue(name string, v any) *shape {
	sh := &shape{loc: c.loc}
	switch x := v.(type) {
	case bool:
		sh.kind = boolKind
	case int64:
		sh.kind = intKind
	case float64:
		sh.kind = doubleKind
	case string:
		sh.kind = stringKind
	case []any:
		sh.kind = listKind
		sh.elem = c.unify(name+".item", x)
	case map[string]any:
		keys := sortedKeys(x)
		vals := make([]any, len(keys))
		for i, k := range keys {
			vals[i] = x[k]
		}
		sh.elem = c.unify(name+".value", vals)
		if sh.elem != nil && sh.elem.kind != anyKind || len(x) == 0 {
			sh.kind = mapKind
			break
		}
		sh.kind, sh.elem, sh.fields = objectKind, nil, map[string]*field{}
		for i, k := range keys {
			sh.fields[k] = &field{name: k, shape: c.shapeOfValue(name+"."+k, vals[i]), required: true}
			sh.names = append(sh.names, k)
		}
	}
	sh.typ = c.typeOf(sh, name)
	return sh
}

// unify returns the one shape of all values, integers and numbers together being numbers; nil for no values, dynamic where they differ.
func (c *shaper) unify(name string, vs []any) *shape {
	if len(vs) == 0 {
		return nil
	}
	kinds := map[shapeKind]bool{}
	for _, v := range vs {
		kinds[plainKind(v)] = true
	}
	if len(kinds) == 2 && kinds[intKind] && kinds[doubleKind] {
		return &shape{kind: doubleKind, typ: types.DoubleType}
	}
	if len(kinds) != 1 {
		return &shape{typ: types.DynType}
	}
	switch plainKind(vs[0]) {
	case listKind:
		var all []any
		for _, v := range vs {
			all = append(all, v.([]any)...)
		}
		sh := &shape{kind: listKind, elem: c.unify(name+".item", all)}
		sh.typ = c.typeOf(sh, name)
		return sh
	case mapKind:
		return c.unifyMaps(name, vs)
	}
	return c.shapeOfValue(name, vs[0])
}

// unifyMaps joins objects of a list or map: members that are all of one plain type make them maps; else they are one object type, in which a member that some lack is optional.
func (c *shaper) unifyMaps(name string, vs []any) *shape {
	members := map[string][]any{}
	var all []any
	for _, v := range vs {
		for k, m := range v.(map[string]any) {
			members[k] = append(members[k], m)
			all = append(all, m)
		}
	}
	if elem := c.unify(name+".value", all); elem != nil && elem.kind != anyKind && elem.kind != objectKind {
		sh := &shape{kind: mapKind, elem: elem}
		sh.typ = c.typeOf(sh, name)
		return sh
	}
	sh := &shape{kind: objectKind, fields: map[string]*field{}}
	for _, k := range sortedKeys(members) {
		fs := c.unify(name+"."+k, members[k])
		sh.fields[k] = &field{name: k, shape: fs, required: len(members[k]) == len(vs)}
		sh.names = append(sh.names, k)
	}
	sh.typ = c.typeOf(sh, name)
	return sh
}

func plainKind(v any) shapeKind {
	switch v.(type) {
	case bool:
		return boolKind
	case int64:
		return intKind
	case float64:
		return doubleKind
	case string:
		return stringKind
	case []any:
		return listKind
	case map[string]any:
		return mapKind
	}
	return anyKind
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// provider lets CEL's checker see the object types. Values stay map[string]any: only the checker needs structs.
// A field that does not exist is remembered with the fields that do, for the message.
type provider struct {
	types.Provider
	structs map[string]*shape
	asked   map[string][]string
}

func (p *provider) FindStructType(n string) (*types.Type, bool) {
	if _, ok := p.structs[n]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(n)), true
	}
	return p.Provider.FindStructType(n)
}

func (p *provider) FindStructFieldNames(n string) ([]string, bool) {
	if s, ok := p.structs[n]; ok {
		return s.names, true
	}
	return p.Provider.FindStructFieldNames(n)
}

// FindStructFieldType leaves IsSet and GetFrom nil on purpose: with IsSet, has() of an unobserved fact would be false instead of unknown, and !has() would permit.
func (p *provider) FindStructFieldType(n, name string) (*types.FieldType, bool) {
	s, ok := p.structs[n]
	if !ok {
		return p.Provider.FindStructFieldType(n, name)
	}
	f, ok := s.fields[name]
	if !ok {
		if s.dynamic {
			return &types.FieldType{Type: types.DynType}, true
		}
		if p.asked != nil {
			p.asked[name] = s.names
		}
		return nil, false
	}
	t := types.DynType
	if f.shape != nil {
		t = f.shape.typ
	}
	return &types.FieldType{Type: t}, true
}
