package pack

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// maxSchemaNodes bounds what one schema may grow to when its references are written out.
const maxSchemaNodes = 20_000

var schemaShape = form[Schema]{
	fixed(map[string]any{"type": "object", "description": "A JSON Schema, or {$ref: \"file.json#/pointer\"}."}),
	func(l *loader, n *yamlNode) (Schema, bool) {
		if n.kind != yamlMap {
			l.wrong(n, "a JSON Schema")
			return Schema{}, false
		}
		doc, ok := l.resolveSchema(n.value().(map[string]any), "", false, func(ptr string) proviso.Pos { return n.at(ptr).pos() })
		return Schema{Doc: doc, Pos: n.pos()}, ok
	},
}

// at follows a JSON pointer as far as it leads.
func (n *yamlNode) at(ptr string) *yamlNode {
	for _, part := range splitPointer(ptr) {
		var next *yamlNode
		if i, err := strconv.Atoi(part); err == nil && n.kind == yamlList && i >= 0 && i < len(n.items) {
			next = n.items[i]
		} else if n.kind == yamlMap {
			next = n.get(part)
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// How a key stands in a JSON pointer (RFC 6901).
var (
	pointerEscape   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")
)

func splitPointer(ptr string) []string {
	if ptr == "" || ptr == "/" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(ptr, "/"), "/")
	for i, p := range parts {
		parts[i] = pointerUnescape.Replace(p)
	}
	return parts
}

func joinPointer(ptr, part string) string {
	return ptr + "/" + pointerEscape.Replace(part)
}

// resolver writes the references of one schema out.
type resolver struct {
	l     *loader
	pos   func(ptr string) proviso.Pos // of a place in the schema that is resolved
	count int
	open  []string // references being written out, to find circles
	cut   bool     // a circle ends in {} instead of an error
	ok    bool
}

// resolveSchema returns a copy of doc without references, and checks that it is a schema. file is the file of the pack that doc stands in, empty where it stands in a YAML file;
// pos translates JSON pointers into positions. cut ends recursion in {}: tool lists come from generators, so their authors cannot.
func (l *loader) resolveSchema(doc map[string]any, file string, cut bool, pos func(ptr string) proviso.Pos) (map[string]any, bool) {
	r := &resolver{l: l, pos: pos, cut: cut, ok: true}
	out := r.schema(doc, file, doc, "")
	m, _ := out.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	delete(m, "$defs")
	delete(m, "definitions")
	return m, r.ok
}

func (r *resolver) fail(ptr, code, msg, hint string) any {
	if r.ok {
		r.l.fail(r.pos(ptr), code, msg, hint)
	}
	r.ok = false
	return map[string]any{}
}

// schemaMaps, schemaLists and schemaValues are the keywords that hold schemas by name, in a list, or alone (JSON Schema 2020-12 and the older "definitions").
var (
	schemaMaps   = wordSet("properties patternProperties dependentSchemas")
	schemaLists  = wordSet("allOf anyOf oneOf prefixItems")
	schemaValues = wordSet("items additionalProperties contains not if then else propertyNames unevaluatedItems unevaluatedProperties")
)

// schema returns a copy of v in which references are written out. ptr is the place in the schema that was asked for, not in what it refers to.
func (r *resolver) schema(v any, file string, root any, ptr string) any {
	if r.count++; r.count > maxSchemaNodes {
		return r.fail(ptr, CodeLimit, fmt.Sprintf("this schema has more than %d parts when its references are written out", maxSchemaNodes), "simplify it; {} stands for anything")
	}
	m, ok := v.(map[string]any)
	if !ok {
		if _, isBool := v.(bool); isBool {
			return v
		}
		return r.fail(ptr, CodeSchema, "a JSON Schema is a map, not "+jsonType(v), "write a schema such as {type: string}")
	}
	if ref, has := m["$ref"]; has {
		return r.reference(m, ref, file, root, ptr)
	}
	out := make(map[string]any, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		x, at := m[k], joinPointer(ptr, k)
		switch {
		case k == "$defs" || k == "definitions":
		case schemaMaps[k]:
			kids, ok := x.(map[string]any)
			if !ok {
				return r.fail(at, CodeSchema, fmt.Sprintf("%q of a JSON Schema is a map of schemas, not %s", k, jsonType(x)), "")
			}
			res := make(map[string]any, len(kids))
			for _, name := range slices.Sorted(maps.Keys(kids)) {
				res[name] = r.schema(kids[name], file, root, joinPointer(at, name))
			}
			out[k] = res
		case schemaLists[k]:
			kids, ok := x.([]any)
			if !ok {
				return r.fail(at, CodeSchema, fmt.Sprintf("%q of a JSON Schema is a list of schemas, not %s", k, jsonType(x)), "")
			}
			res := make([]any, len(kids))
			for i, kid := range kids {
				res[i] = r.schema(kid, file, root, joinPointer(at, strconv.Itoa(i)))
			}
			out[k] = res
		case schemaValues[k]:
			out[k] = r.schema(x, file, root, at)
		default:
			if msg := badKeyword(k, x); msg != "" {
				return r.fail(at, CodeSchema, msg, keywordHint(k, x))
			}
			out[k] = x
		}
	}
	return out
}

var schemaTypes = []string{"string", "number", "integer", "boolean", "object", "array", "null"}

// badKeyword says what is wrong with the value of a keyword that conditions and conversions rely on.
func badKeyword(k string, x any) string {
	switch k {
	case "type":
		for _, t := range asList(x) {
			if s, ok := t.(string); !ok || !contains(schemaTypes, s) {
				return fmt.Sprintf("%v is not a type of JSON Schema", t)
			}
		}
	case "required":
		for _, t := range asList(x) {
			if _, ok := t.(string); !ok {
				return "\"required\" lists names of properties"
			}
		}
		if _, ok := x.([]any); !ok {
			return "\"required\" is a list of names of properties"
		}
	case "enum":
		if l, ok := x.([]any); !ok || len(l) == 0 {
			return "\"enum\" is a list of at least one value"
		}
	case "pattern":
		s, ok := x.(string)
		if !ok {
			return "\"pattern\" is a text"
		}
		if _, err := syntax.Parse(s, syntax.Perl); err != nil {
			return fmt.Sprintf("pattern %q is not a regular expression of RE2", s)
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		if t := jsonType(x); t != "integer" && t != "number" {
			return fmt.Sprintf("%q is a number, not %s", k, t)
		}
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
		if n, ok := x.(int64); !ok || n < 0 {
			return fmt.Sprintf("%q is a whole number from 0", k)
		}
	}
	return ""
}

func keywordHint(k string, x any) string {
	if s, ok := x.(string); ok && k == "type" {
		return proviso.DidYouMean(s, schemaTypes)
	}
	return "correct the schema"
}

func asList(x any) []any {
	if l, ok := x.([]any); ok {
		return l
	}
	return []any{x}
}

// annotations beside a $ref replace those of what it refers to; anything else beside it must not contradict.
var annotations = wordSet("title description default examples deprecated readOnly writeOnly $comment $schema $id")

func (r *resolver) reference(m map[string]any, ref any, file string, root any, ptr string) any {
	at := joinPointer(ptr, "$ref")
	s, ok := ref.(string)
	if !ok {
		return r.fail(at, CodeReference, "a $ref is a text", "write {$ref: \"file.json#/pointer\"}")
	}
	name, frag, _ := strings.Cut(s, "#")
	if strings.Contains(name, ":") {
		return r.fail(at, CodeReference, fmt.Sprintf("%q leads out of the pack", s), "copy the schema into a file of the pack")
	}
	if name != "" {
		name = path.Clean(path.Join(path.Dir(file), name))
		root, ok = r.l.schemaFile(name, r.pos(at))
		if !ok {
			r.ok = false
			return map[string]any{}
		}
		file = name
	}
	target, missing := follow(root, frag)
	if missing != "" {
		return r.fail(at, CodeReference, fmt.Sprintf("%q leads nowhere: there is no %q", s, missing), refHint(root, frag))
	}
	id := file + "#" + frag
	if slices.Contains(r.open, id) {
		if r.cut {
			return map[string]any{}
		}
		return r.fail(at, CodeReference, fmt.Sprintf("schema %q contains itself", s), "end the recursion with {}, which stands for anything")
	}
	r.open = append(r.open, id)
	out := r.schema(target, file, root, ptr)
	r.open = r.open[:len(r.open)-1]
	om, isMap := out.(map[string]any)
	if !isMap {
		return out
	}
	beside := maps.Clone(m)
	delete(beside, "$ref")
	delete(beside, "$defs")
	delete(beside, "definitions")
	if len(beside) == 0 {
		return om
	}
	merged := maps.Clone(om)
	extra, _ := r.schema(beside, file, root, ptr).(map[string]any)
	for k, v := range extra {
		if old, has := om[k]; has && !annotations[k] && !reflect.DeepEqual(old, v) {
			return r.fail(joinPointer(ptr, k), CodeReference, fmt.Sprintf("%q beside $ref says something else than %q", k, s), "say it in one place only")
		}
		merged[k] = v
	}
	return merged
}

// schemaFile reads a file that a $ref names.
func (l *loader) schemaFile(name string, at proviso.Pos) (any, bool) {
	if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
		n := l.readYAML(name, at)
		if n == nil {
			return nil, false
		}
		return n.value(), true
	}
	v, _, ok := l.readJSON(name, at)
	return v, ok
}

// follow walks a JSON pointer; missing is the first part that is not there.
func follow(v any, ptr string) (target any, missing string) {
	for _, part := range splitPointer(ptr) {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[part]
			if !ok {
				return nil, part
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(x) {
				return nil, part
			}
			v = x[i]
		default:
			return nil, part
		}
	}
	return v, ""
}

// refHint names the nearest key where a pointer's last step fails.
func refHint(root any, ptr string) string {
	for _, part := range splitPointer(ptr) {
		m, ok := root.(map[string]any)
		if !ok {
			break
		}
		next, ok := m[part]
		if !ok {
			if hint := proviso.DidYouMean(part, slices.Collect(maps.Keys(m))); hint != "" {
				return hint
			}
			break
		}
		root = next
	}
	return "write file.json#/path/to/schema"
}
