package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Schema makes a grammar of a JSON Schema (2020-12 and the drafts before, without remote references), given as JSON text. What it allows is valid, on one line, with properties in the order of the schema.
// The error is a proviso.Diagnostic with CodeUnsupported that names the place and the keyword, or a *proviso.JSONError.
func Schema(text []byte) (*Grammar, error) { return OneOf([]Framed{{Schema: text}}) }

// Framed is a text before and a text after JSON of a schema: a call of a tool, say, whose arguments are of the schema.
type Framed struct {
	Before string
	Schema []byte
	After  string
}

// OneOf makes a grammar of several framed schemas, any one of which may be written. Errors are those of Schema.
func OneOf(list []Framed) (*Grammar, error) {
	c := &schemas{defs: jsonRules()}
	start := altOf()
	for i, f := range list {
		if err := proviso.CheckResultJSON(f.Schema); err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(f.Schema))
		d.UseNumber()
		doc, err := ordered(d)
		if err != nil {
			return nil, refuse("schema: %v", err)
		}
		c.root, c.prefix = doc, fmt.Sprint(i)
		start.kids = append(start.kids, seqOf(lit(f.Before), c.value(doc, "#"), lit(f.After)))
	}
	if c.err != nil {
		return nil, c.err
	}
	c.defs["#start"] = start
	return compile(c.defs, "#start")
}

// object is a JSON object that knows the order of its keys.
type object struct {
	keys []string
	m    map[string]any
}

// ordered reads a JSON value with *object for objects and json.Number for numbers.
func ordered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{m: map[string]any{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := k.(string)
			if o.m[key], err = ordered(d); err != nil {
				return nil, err
			}
			o.keys = append(o.keys, key)
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := ordered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// compact writes a value as JSON without spaces, keys in their order.
func compact(v any) string {
	switch v := v.(type) {
	case *object:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = compact(k) + ":" + compact(v.m[k])
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = compact(x)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case json.Number:
		return v.String()
	}
	b, err := proviso.AppendJSON(nil, v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// schemas turns schemas into expressions; the first thing that cannot be kept stays in err.
type schemas struct {
	root   any
	prefix string // of the rules that references name, different for each root
	defs   map[string]*expr
	made   int
	err    error
}

func (c *schemas) fail(at, format string, args ...any) *expr {
	if c.err == nil {
		c.err = refuse("schema %s: %s", at, fmt.Sprintf(format, args...))
	}
	return lit("")
}

// notKept are the keywords that restrict values in a way that no grammar of this kind keeps.
var notKept = []string{"not", "if", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties", "propertyNames", "minProperties", "maxProperties",
	"contains", "minContains", "maxContains", "unevaluatedItems", "additionalItems", "multipleOf", "$dynamicRef", "$recursiveRef"}

// besides are the keywords that do not restrict values.
var besides = map[string]bool{"title": true, "description": true, "default": true, "examples": true, "$schema": true, "$id": true, "$comment": true, "$defs": true, "definitions": true,
	"readOnly": true, "writeOnly": true, "deprecated": true, "$anchor": true, "strict": true}

// alone refuses keywords beside one that is taken for the whole schema.
func (c *schemas) alone(o *object, at, keyword string) {
	for _, k := range o.keys {
		if k != keyword && !besides[k] {
			c.fail(at, "%s beside %s is not supported", k, keyword)
		}
	}
}

func (c *schemas) value(v any, at string) *expr {
	if c.err != nil {
		return lit("")
	}
	if b, ok := v.(bool); ok {
		if b {
			return refTo("any")
		}
		return altOf() // nothing; rules that need it are pruned
	}
	o, ok := v.(*object)
	if !ok {
		return c.fail(at, "a schema is an object, true or false")
	}
	for _, k := range notKept {
		if _, there := o.m[k]; there && !harmless(k, o.m[k]) {
			return c.fail(at, "%s is not supported", k)
		}
	}
	for _, k := range []string{"$ref", "anyOf", "oneOf", "allOf", "const", "enum"} {
		if _, there := o.m[k]; there {
			return c.whole(o, at, k)
		}
	}
	return c.typed(o, at)
}

func harmless(keyword string, v any) bool {
	n, ok := v.(json.Number)
	return ok && (keyword == "minProperties" && n == "0" || keyword == "multipleOf" && n == "1")
}

// whole is for the keywords that are a schema by themselves.
func (c *schemas) whole(o *object, at, keyword string) *expr {
	v := o.m[keyword]
	if keyword != "enum" && keyword != "const" {
		c.alone(o, at, keyword)
	}
	if keyword == "$ref" {
		return c.reference(v, at)
	}
	if keyword == "const" {
		return lit(compact(v))
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return c.fail(at, "%s is no list with something in it", keyword)
	}
	e := altOf()
	for i, x := range list {
		if keyword == "enum" {
			e.kids = append(e.kids, lit(compact(x)))
			continue
		}
		e.kids = append(e.kids, c.value(x, fmt.Sprintf("%s/%s/%d", at, keyword, i)))
	}
	switch {
	case keyword == "allOf" && len(list) > 1:
		return c.fail(at, "allOf of several schemas is not supported")
	case keyword == "oneOf":
		for i, a := range list {
			for _, b := range list[i+1:] {
				if !c.disjoint(a, b) {
					return c.fail(at, "the schemas of oneOf may both be true of a value; use anyOf, or tell them apart by a const")
				}
			}
		}
	}
	return e
}

func (c *schemas) reference(v any, at string) *expr {
	ref, _ := v.(string)
	target, ok := c.resolve(ref)
	if !ok {
		return c.fail(at, "the reference %.80q leads to nothing in the schema", ref)
	}
	rule := c.prefix + ref
	if c.defs[rule] == nil {
		c.defs[rule] = altOf() // the rule exists while it is made, because it may refer to itself
		c.defs[rule] = c.value(target, ref)
	}
	return refTo(rule)
}

// pointerUnescape undoes how a key stands in a JSON pointer (RFC 6901).
var pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")

// resolve follows a JSON pointer of the schema.
func (c *schemas) resolve(ref string) (any, bool) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	v := c.root
	if path == "" {
		return v, true
	}
	for _, part := range strings.Split(path, "/")[1:] {
		part = pointerUnescape.Replace(part)
		o, ok := v.(*object)
		if !ok {
			return nil, false
		}
		if v, ok = o.m[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

// disjoint reports whether no value can be of both schemas, as far as can be told: other types, or objects with a required constant that differs.
func (c *schemas) disjoint(a, b any) bool {
	x, y := c.seen(a), c.seen(b)
	if x == nil || y == nil {
		return false
	}
	s, t := kinds(x), kinds(y)
	if len(s) > 0 && len(t) > 0 && !slices.ContainsFunc(s, func(k string) bool { return overlapsKind(k, t) }) {
		return true
	}
	if p, q := constants(x), constants(y); p != nil && q != nil {
		return !slices.ContainsFunc(p, func(k string) bool { return slices.Contains(q, k) })
	}
	if !slices.Equal(s, []string{"object"}) || !slices.Equal(t, []string{"object"}) {
		return false
	}
	px, _ := x.m["properties"].(*object)
	py, _ := y.m["properties"].(*object)
	if px == nil || py == nil {
		return false
	}
	for _, k := range px.keys {
		u, v := c.seen(px.m[k]), c.seen(py.m[k])
		if u == nil || v == nil || !required(x)[k] || !required(y)[k] {
			continue
		}
		p, q := constants(u), constants(v)
		if p != nil && q != nil && !slices.ContainsFunc(p, func(k string) bool { return slices.Contains(q, k) }) {
			return true
		}
	}
	return false
}

// seen is a schema with its reference followed.
func (c *schemas) seen(v any) *object {
	o, _ := v.(*object)
	for range maxNesting {
		if o == nil || o.m["$ref"] == nil {
			return o
		}
		ref, _ := o.m["$ref"].(string)
		target, _ := c.resolve(ref)
		o, _ = target.(*object)
	}
	return nil
}

func overlapsKind(k string, in []string) bool {
	return slices.Contains(in, k) || k == "integer" && slices.Contains(in, "number") || k == "number" && slices.Contains(in, "integer")
}

// constants returns the only values of a schema of const or enum, nil for others.
func constants(o *object) []string {
	if v, ok := o.m["const"]; ok {
		return []string{compact(v)}
	}
	list, _ := o.m["enum"].([]any)
	var out []string
	for _, v := range list {
		out = append(out, compact(v))
	}
	return out
}

func required(o *object) map[string]bool {
	out := map[string]bool{}
	list, _ := o.m["required"].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out[s] = true
		}
	}
	return out
}

// ofType returns what makes an expression for a type, nil for one that is not known.
func (c *schemas) ofType(kind string) func(o *object, at string) *expr {
	return map[string]func(*object, string) *expr{
		"object":  c.object,
		"array":   c.array,
		"string":  c.text,
		"integer": func(o *object, at string) *expr { return c.number(o, at, true) },
		"number":  func(o *object, at string) *expr { return c.number(o, at, false) },
		"boolean": func(*object, string) *expr { return refTo("boolean") },
		"null":    func(*object, string) *expr { return refTo("null") },
	}[kind]
}

// hints are the keywords that tell the type where it is not given.
var hints = []struct{ keyword, kind string }{
	{"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"}, {"maxItems", "array"}, {"uniqueItems", "array"},
	{"pattern", "string"}, {"minLength", "string"}, {"maxLength", "string"}, {"format", "string"}, {"minimum", "number"}, {"maximum", "number"}, {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},
}

// kinds returns the types of a schema, none where it does not say.
func kinds(o *object) []string {
	switch t := o.m["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, v := range t {
			s, _ := v.(string)
			out = append(out, s)
		}
		return out
	}
	for _, h := range hints {
		if _, ok := o.m[h.keyword]; ok {
			return []string{h.kind}
		}
	}
	return nil
}

func (c *schemas) typed(o *object, at string) *expr {
	list := kinds(o)
	if len(list) == 0 {
		return refTo("any")
	}
	e := altOf()
	for _, k := range list {
		f := c.ofType(k)
		if f == nil {
			return c.fail(at, "the type %.40q is not known", k)
		}
		e.kids = append(e.kids, f(o, at))
	}
	return e
}

// count reads a bound that is a whole number.
func (c *schemas) count(o *object, at, keyword string, absent int) int {
	v, ok := o.m[keyword]
	if !ok {
		return absent
	}
	n, _ := v.(json.Number)
	i, err := n.Int64()
	if err != nil || i < 0 || i > math.MaxInt32 {
		c.fail(at, "%s is no whole number that can be kept", keyword)
		return 0
	}
	return int(i)
}

// rule puts an expression into a rule of its own, which others can name.
func (c *schemas) rule(e *expr) *expr {
	name := fmt.Sprintf("#%d", c.made)
	c.made++
	c.defs[name] = e
	return refTo(name)
}

func (c *schemas) object(o *object, at string) *expr {
	props, _ := o.m["properties"].(*object)
	if props == nil {
		props = &object{m: map[string]any{}}
	}
	need := required(o)
	rest, given := o.m["additionalProperties"]
	if !given {
		rest = true
	}
	if len(props.keys) == 0 && len(need) == 0 {
		if rest == false {
			return lit("{}")
		}
		return seqOf(lit("{"), listOf(seqOf(refTo("string"), colon(), c.value(rest, at+"/additionalProperties")), 0, -1), lit("}"))
	}
	keys := slices.Clone(props.keys)
	for _, k := range slices.Sorted(maps.Keys(need)) { // required, and described by additionalProperties only
		if _, ok := props.m[k]; !ok {
			keys = append(keys, k)
		}
	}
	// From the last property to the first: what may follow when none was written yet, and when one was.
	first, later := lit(""), lit("")
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
		schema, ok := props.m[k]
		if !ok {
			schema = rest
		}
		member := c.rule(seqOf(lit(compact(k)), colon(), c.value(schema, at+"/properties/"+k)))
		begin, next := seqOf(member, later), seqOf(comma(), member, later)
		if !need[k] {
			begin, next = altOf(begin, first), altOf(next, later)
		}
		first, later = c.rule(begin), c.rule(next)
	}
	return seqOf(lit("{"), first, lit("}"))
}

func (c *schemas) array(o *object, at string) *expr {
	least, most := c.count(o, at, "minItems", 0), c.count(o, at, "maxItems", -1)
	if o.m["uniqueItems"] == true && (most < 0 || most > 1) {
		return c.fail(at, "uniqueItems is not supported")
	}
	items, given := o.m["items"]
	if !given {
		items = true
	}
	prefix, _ := o.m["prefixItems"].([]any)
	if list, ok := items.([]any); ok { // as drafts before 2020-12 write it
		prefix, items = list, true
	}
	item := altOf()
	if items != false {
		item = c.rule(c.value(items, at+"/items"))
	}
	if len(prefix) == 0 {
		if items == false {
			most = 0
		}
		if most >= 0 && most < least {
			return altOf()
		}
		return seqOf(lit("["), listOf(item, least, most), lit("]"))
	}
	// The tail behind the prefix, then the prefix from its end; fewer items than the prefix are allowed down to minItems.
	more := most
	if most >= 0 {
		more = max(most-len(prefix), 0)
	}
	if items == false {
		more = 0
	}
	tail := times(seqOf(comma(), item), max(least-len(prefix), 0), more)
	if more == 0 {
		tail = lit("")
	}
	for i := len(prefix) - 1; i >= 0; i-- {
		one := c.value(prefix[i], fmt.Sprintf("%s/prefixItems/%d", at, i))
		if i > 0 {
			one = seqOf(comma(), one)
		}
		switch {
		case most >= 0 && i >= most:
			tail = lit("")
		case i < least:
			tail = c.rule(seqOf(one, tail))
		default:
			tail = c.rule(altOf(seqOf(one, tail), lit("")))
		}
	}
	return seqOf(lit("["), tail, lit("]"))
}

// formats are patterns for the formats that are kept; others only say what a text is for.
var formats = map[string]string{
	"date":      `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`,
	"time":      `^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`,
	"date-time": `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`,
	"uuid":      `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`,
}

func (c *schemas) text(o *object, at string) *expr {
	p, given := o.m["pattern"].(string)
	_, short := o.m["minLength"]
	_, long := o.m["maxLength"]
	if format, _ := o.m["format"].(string); formats[format] != "" && !given && !short && !long {
		p, given = formats[format], true
	}
	if !given {
		return seqOf(lit(`"`), times(stringChar(), c.count(o, at, "minLength", 0), c.count(o, at, "maxLength", -1)), lit(`"`))
	}
	if short || long {
		return c.fail(at, "pattern beside minLength or maxLength is not supported")
	}
	e, err := pattern(p)
	if err != nil {
		return c.fail(at, "%s", err.(proviso.Diagnostic).Msg)
	}
	return seqOf(lit(`"`), e, lit(`"`))
}
