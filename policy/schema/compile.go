package schema

import (
	"bytes"
	"cel.dev/cel-go/common/types"
	"fmt"
	"github.com/proviso-dev/proviso"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Compiler compiles JSON Schemas to shapes and remembers the object types that CEL has to know.
type Compiler struct {
	Loc     *time.Location
	Structs map[string]*Shape // by CEL type name
}

// ownKeywords are the keywords that shapes check themselves; any other assertion is left to the library.
var ownKeywords = map[string]bool{
	"type": true, "properties": true, "required": true, "items": true, "additionalProperties": true, "enum": true, "const": true, "default": true,
	"minimum": true, "maximum": true, "maxLength": true, "maxItems": true, "$ref": true, "$defs": true, "definitions": true,
	// annotations
	"title": true, "description": true, "examples": true, "example": true, "$schema": true, "$id": true, "$comment": true, "deprecated": true, "readOnly": true, "writeOnly": true, "strict": true, "nullable": true,
}

var formatted = map[string]bool{"date-time": true, "date": true}

// Compile turns a JSON Schema, as decoded by proviso.DecodeJSON, into a shape. name becomes the CEL type name of its object.
// extra says whether objects without additionalProperties admit members that they do not name.
func (c *Compiler) Compile(name string, schema map[string]any, extra bool) (*Shape, error) {
	return c.shape(name, schema, schema, extra, 0)
}

func (c *Compiler) shape(name string, s, root map[string]any, extra bool, depth int) (*Shape, error) {
	if depth > 32 {
		return &Shape{Type: types.DynType}, nil // a recursive schema is dynamic below this depth
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
		sh.Nullable = true
		sh.Type = nullableType(sh)
		return sh, nil
	}
	sh := &Shape{Loc: c.Loc}
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
	if sh.Type == nil {
		sh.Type = c.Declare(sh, name)
	}
	if sh.Nullable {
		sh.Type = nullableType(sh)
	}
	return sh, nil
}

func (c *Compiler) fill(sh *Shape, name string, s, root map[string]any, extra bool, depth int) error {
	kind, nullable, err := typeKeyword(s)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	sh.Nullable = nullable
	sh.enum = enumOf(s)
	sh.min, sh.max = floatKeyword(s, "minimum"), floatKeyword(s, "maximum")
	if n := floatKeyword(s, "maxLength"); n != nil {
		sh.maxLen = int(*n)
	}
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
		if n := floatKeyword(s, "maxItems"); n != nil {
			sh.maxLen = int(*n)
		}
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
	sort.Strings(sh.Names)
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

var notIdent = regexp.MustCompile(`[^A-Za-z0-9_.]`)

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

func floatKeyword(s map[string]any, key string) *float64 {
	if f, ok := Number(s[key]); ok {
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
		return nil, fmt.Errorf("$ref %q is %s, want a schema", ref, KindOf(at))
	}
	return m, nil
}
