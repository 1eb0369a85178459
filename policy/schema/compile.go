package schema

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Compiler compiles JSON Schemas to shapes and remembers the object types that CEL has to know.
// Structs has to be made by the caller; Loc is the zone of times without one, nil for UTC.
type Compiler struct {
	Loc     *time.Location
	Structs map[string]*Shape // by CEL type name
	Library *Library          // what was compiled before; nil: nothing

	parts  int            // shapes made for the schema being compiled
	inside map[string]int // references being expanded
}

// Where a schema contains itself, or grows beyond MaxParts parts by references, what lies deeper has no type for conditions and is checked by the library, as it came.
const (
	MaxParts  = 4096
	maxNested = 2 // expansions of one reference inside of each other
	maxDepth  = 32
)

// typed are the keywords that shapes check themselves, with the kinds for which they do; of other kinds they say nothing, unless the type is not known or the library is named.
// Any keyword that is neither here nor in untyped is left to the library.
var typed = map[string]struct{ library []Kind }{
	"properties": {}, "additionalProperties": {}, "items": {}, "maxItems": {}, "minimum": {}, "maximum": {},
	"required":  {[]Kind{MapKind}},
	"maxLength": {[]Kind{TimeKind}},
}

// untyped are the keywords that shapes check whatever the type, and those that assert nothing. Formats beyond dates are annotations, as in JSON Schema itself.
var untyped = map[string]bool{
	"type": true, "enum": true, "const": true, "default": true, "$ref": true, "$defs": true, "definitions": true,
	"title": true, "description": true, "examples": true, "example": true, "$schema": true, "$id": true, "$comment": true, "deprecated": true, "readOnly": true, "writeOnly": true, "strict": true, "nullable": true, "format": true,
}

var formatted = map[string]bool{"date-time": true, "date": true}

// Compile turns a JSON Schema, as decoded by proviso.DecodeJSON, into a shape. name becomes the CEL type name of its object.
// extra says whether objects without additionalProperties admit members that they do not name. It returns an error for a schema that is none: a keyword with a value of another type would restrict nothing.
func (c *Compiler) Compile(name string, schema map[string]any, extra bool) (*Shape, error) {
	c.parts, c.inside = 0, map[string]int{}
	return c.shape(name, schema, schema, extra, 0)
}

func (c *Compiler) shape(name string, s, root map[string]any, extra bool, depth int) (*Shape, error) {
	if c.parts++; c.parts > MaxParts || depth > maxDepth {
		return c.deep(name, s, root)
	}
	if err := wellFormed(s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.referred(name, ref, s, root, extra, depth)
	}
	if inner, ok := optionalOf(s); ok {
		sh, err := c.shape(name, inner, root, extra, depth+1)
		if err != nil {
			return nil, err
		}
		sh.Nullable, sh.orNull = true, true
		sh.checks, sh.beside = append(sh.checks, sh.beside...), nil
		sh.Type = nullableType(sh)
		return sh, c.beside(sh, name, s, root, "anyOf", "oneOf")
	}
	sh := &Shape{Loc: c.Loc}
	if err := c.fill(sh, name, s, root, extra, depth); err != nil {
		return nil, err
	}
	if needsLibrary(s, sh.Kind) {
		check, err := c.library(name, s, root)
		if err != nil {
			return nil, err
		}
		sh.checks = append(sh.checks, check)
	}
	if sh.Type == nil {
		sh.Type = c.Declare(sh, name)
	}
	if sh.Nullable {
		sh.Type = nullableType(sh)
	}
	return sh, nil
}

// deep is the shape of what is not expanded any more: dynamic for conditions, and checked as it came.
func (c *Compiler) deep(name string, s, root map[string]any) (*Shape, error) {
	check, err := c.library(name, s, root)
	return &Shape{Type: types.DynType, Loc: c.Loc, checks: []*jsonschema.Schema{check}}, err
}

func (c *Compiler) referred(name, ref string, s, root map[string]any, extra bool, depth int) (*Shape, error) {
	target, err := resolveRef(root, ref)
	if err != nil {
		return nil, err
	}
	if c.inside[ref] >= maxNested {
		return c.deep(name, s, root)
	}
	c.inside[ref]++
	sh, err := c.shape(name, target, root, extra, depth+1)
	c.inside[ref]--
	if err != nil {
		return nil, err
	}
	return sh, c.beside(sh, name, s, root, "$ref")
}

// beside leaves what stands beside the keywords given to the library, together with them.
func (c *Compiler) beside(sh *Shape, name string, s, root map[string]any, but ...string) error {
	for k := range s {
		if !slices.Contains(but, k) && (!untyped[k] || k == "type" || k == "enum" || k == "const") {
			check, err := c.library(name, s, root)
			sh.beside = append(sh.beside, check)
			return err
		}
	}
	return nil
}

func (c *Compiler) library(name string, s, root map[string]any) (*jsonschema.Schema, error) {
	check, err := c.Library.compile(s, root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return check, nil
}

// wellFormed refuses keywords that cannot be what they have to be.
func wellFormed(s map[string]any) error {
	for _, k := range sortedKeys(keywords) {
		if v, ok := s[k]; ok && !keywords[k].fits(v) {
			return fmt.Errorf("%s is %s, want %s", k, Show(v), keywords[k].want)
		}
	}
	return nil
}

var keywords = map[string]struct {
	want string
	fits func(any) bool
}{
	"minimum":              {"a number", isNumber},
	"maximum":              {"a number", isNumber},
	"maxLength":            {"a length", isLength},
	"maxItems":             {"a length", isLength},
	"enum":                 {"a list", func(v any) bool { _, ok := v.([]any); return ok }},
	"required":             {"a list of names", isNames},
	"properties":           {"an object of schemas", isSchemas},
	"items":                {"a schema", func(v any) bool { _, list := v.([]any); return list || isSchema(v) }},
	"additionalProperties": {"a schema", isSchema},
	"$ref":                 {"a text", func(v any) bool { _, ok := v.(string); return ok }},
}

func isNumber(v any) bool {
	_, ok := Number(v)
	return ok
}

func isLength(v any) bool {
	n, ok := Number(v)
	return ok && n >= 0 && n == float64(int(n))
}

func isNames(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok })
}

func isSchema(v any) bool {
	_, object := v.(map[string]any)
	_, boolean := v.(bool)
	return object || boolean
}

func isSchemas(v any) bool {
	m, ok := v.(map[string]any)
	for _, s := range m {
		ok = ok && isSchema(s)
	}
	return ok
}

// asSchema returns the object form of a schema that may be true or false.
func asSchema(v any) map[string]any {
	switch x := v.(type) {
	case map[string]any:
		return x
	case bool:
		if !x {
			return map[string]any{"not": map[string]any{}}
		}
	}
	return map[string]any{}
}

func (c *Compiler) fill(sh *Shape, name string, s, root map[string]any, extra bool, depth int) error {
	kind, nullable, err := typeKeyword(s)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	sh.Nullable, sh.orNull = nullable, s["nullable"] == true
	sh.enum = enumOf(s)
	sh.min, sh.max = s["minimum"], s["maximum"]
	sh.maxLen = lengthKeyword(s, "maxLength")
	switch kind {
	case "boolean":
		sh.Kind = BoolKind
	case "integer":
		sh.Kind = IntKind
	case "number":
		sh.Kind = DoubleKind
	case "string":
		sh.Kind = StringKind
		if f, _ := s["format"].(string); formatted[f] {
			sh.Kind = TimeKind
		}
	case "array":
		sh.Kind = ListKind
		sh.maxLen = lengthKeyword(s, "maxItems")
		if items, ok := s["items"].(map[string]any); ok {
			sh.Elem, err = c.shape(name+".item", items, root, extra, depth+1)
		}
	case "object":
		err = c.object(sh, name, s, root, extra, depth)
	case "null":
		sh.Nullable = true
	}
	return err
}

func (c *Compiler) object(sh *Shape, name string, s, root map[string]any, extra bool, depth int) error {
	props, _ := s["properties"].(map[string]any)
	required := map[string]bool{}
	if list, ok := s["required"].([]any); ok {
		for _, r := range list {
			required[r.(string)] = true
		}
	}
	more, _ := s["additionalProperties"].(map[string]any)
	closed := s["additionalProperties"] == false
	if len(props) == 0 && !closed && (depth > 0 || more != nil || s["properties"] == nil) {
		sh.Kind = MapKind
		if len(more) > 0 {
			var err error
			sh.Elem, err = c.shape(name+".value", more, root, extra, depth+1)
			return err
		}
		return nil
	}
	sh.Kind, sh.Fields = ObjectKind, map[string]*Field{}
	_, stated := s["additionalProperties"]
	sh.Dynamic = stated && !closed
	sh.Open = sh.Dynamic || !stated && extra
	if len(more) > 0 {
		var err error
		if sh.Elem, err = c.shape(name+".value", more, root, extra, depth+1); err != nil {
			return err
		}
	}
	props = maps.Clone(props)
	for n := range required {
		if _, named := props[n]; !named {
			props[n] = true // what is required is admitted, even where only its name is known
		}
	}
	for _, n := range sortedKeys(props) {
		ps := asSchema(props[n])
		fs, err := c.shape(name+"."+n, ps, root, extra, depth+1)
		if err != nil {
			return err
		}
		f := &Field{Name: n, Shape: fs, Required: required[n]}
		if d, ok := ps["default"]; ok && (d != nil || fs.Nullable) {
			if f.Default, err = fs.Convert(d, n); err != nil {
				return fmt.Errorf("%s: the default of %s does not conform: %w", name, n, err)
			}
			f.HasDefault = true
		}
		sh.Fields[n] = f
		sh.Names = append(sh.Names, n)
	}
	return nil
}

// Declare gives the CEL type and registers object types under a unique name.
func (c *Compiler) Declare(sh *Shape, name string) *types.Type {
	elem := types.DynType
	if sh.Elem != nil {
		elem = sh.Elem.Type
	}
	switch sh.Kind {
	case BoolKind:
		return types.BoolType
	case IntKind:
		return types.IntType
	case DoubleKind:
		return types.DoubleType
	case StringKind:
		return types.StringType
	case TimeKind:
		return types.TimestampType
	case ListKind:
		return types.NewListType(elem)
	case MapKind:
		return types.NewMapType(types.StringType, elem)
	case ObjectKind:
		n := typeName(name)
		for i := 2; c.Structs[n] != nil; i++ {
			n = fmt.Sprintf("%s_%d", typeName(name), i)
		}
		c.Structs[n] = sh
		return types.NewObjectType(n)
	}
	return types.DynType
}

var notIdent = lazyregexp.New(`[^A-Za-z0-9_.]`)

// typeName starts with a character that no expression can write: data.fees must be the table, never the type of the table.
func typeName(s string) string { return "@" + notIdent.ReplaceAllString(s, "_") }

func nullableType(sh *Shape) *types.Type {
	switch sh.Kind {
	case BoolKind, IntKind, DoubleKind, StringKind:
		return types.NewNullableType(sh.Type)
	case ListKind, MapKind:
		return types.DynType // CEL has no nullable lists and maps
	}
	return sh.Type
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
				return "", false, fmt.Errorf("unknown type %s", Show(k))
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
	return "", false, fmt.Errorf("type is %s, want a string or a list", KindOf(s["type"]))
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

func lengthKeyword(s map[string]any, key string) *int {
	if f, ok := Number(s[key]); ok {
		n := int(f)
		return &n
	}
	return nil
}

// needsLibrary reports whether a schema says something that the shape of its kind does not check.
func needsLibrary(s map[string]any, kind Kind) bool {
	for k, v := range s {
		if untyped[k] {
			continue
		}
		t, own := typed[k]
		_, list := v.([]any)
		switch {
		case !own, kind == AnyKind, slices.Contains(t.library, kind):
			return true
		case k == "items" && (list || v == false):
			return true
		}
	}
	return kind == AnyKind && s["type"] != nil
}

// Library remembers the schemas that it compiled, for those who compile the same ones again and again. The zero value is ready for use, by one goroutine at a time.
type Library struct{ known map[string]*jsonschema.Schema }

// compile hands a schema to the library of JSON Schema. Schemas never load anything from elsewhere. A nil Library remembers nothing.
func (l *Library) compile(s, root map[string]any) (*jsonschema.Schema, error) {
	// The part is put below the whole, so that its references are those of the whole.
	whole := maps.Clone(root)
	delete(whole, "$id")
	defs := map[string]any{}
	if d, ok := root["$defs"].(map[string]any); ok {
		defs = maps.Clone(d)
	}
	defs[partName] = s
	whole["$defs"] = defs
	text := proviso.CanonicalJSON(whole)
	if l != nil && l.known[string(text)] != nil {
		return l.known[string(text)], nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("pack:schema", doc); err != nil {
		return nil, err
	}
	check, err := c.Compile("pack:schema#/$defs/" + partName)
	var broken *jsonschema.SchemaValidationError
	if errors.As(err, &broken) {
		return nil, errors.New(strings.ReplaceAll(firstCause(broken.Err), "/$defs/"+partName, ""))
	}
	if err == nil && l != nil {
		if l.known == nil {
			l.known = map[string]*jsonschema.Schema{}
		}
		l.known[string(text)] = check
	}
	return check, err
}

// partName is a name that no schema uses.
const partName = "proviso:part"

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %s: references outside the pack are not loaded", url)
}

// pointerUnescape undoes how a key stands in a JSON pointer (RFC 6901).
var pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")

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
		part = pointerUnescape.Replace(part)
		m, _ := at.(map[string]any)
		if at, ok = m[part]; !ok {
			return nil, fmt.Errorf("$ref %q points nowhere", ref)
		}
	}
	m, ok := at.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("$ref %q is %s, want a schema", ref, KindOf(at))
	}
	return m, nil
}
