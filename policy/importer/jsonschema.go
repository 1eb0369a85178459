package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// jsonSchema writes schemas of single values as conditions, by the meaning that Python's jsonschema gives them: a keyword for another type than the value's says nothing, and pattern is searched for.
type jsonSchema struct {
	*sheet
	at  string // for messages
	typ string // the type that the value is known to have where the rest of the schema is read
}

// schemaTypes are the tests for the types of JSON Schema.
var schemaTypes = map[string]string{
	"string": "type(%[1]s) == string", "number": "type(%[1]s) in [int, double]", "boolean": "type(%[1]s) == bool", "null": "%[1]s == null", "array": "type(%[1]s) == list",
	"object": "type(%[1]s) == map", "integer": "type(%[1]s) == int || type(%[1]s) == double && %[1]s == math.floor(%[1]s)",
}

// schemaNotes say nothing about values.
var schemaNotes = map[string]bool{"title": true, "description": true, "default": true, "examples": true, "$schema": true, "$comment": true, "$id": true, "format": true, "deprecated": true, "readOnly": true, "writeOnly": true}

// schemaBounds are the keywords that compare: the type they speak of, what is compared, and how.
var schemaBounds = map[string][3]string{
	"minLength": {"string", "size(%s)", ">="}, "maxLength": {"string", "size(%s)", "<="}, "minItems": {"array", "size(%s)", ">="}, "maxItems": {"array", "size(%s)", "<="},
	"minimum": {"number", "%s", ">="}, "maximum": {"number", "%s", "<="}, "exclusiveMinimum": {"number", "%s", ">"}, "exclusiveMaximum": {"number", "%s", "<"},
	"minProperties": {"object", "size(%s)", ">="}, "maxProperties": {"object", "size(%s)", "<="},
}

// check is where the value x satisfies a schema. Depth names the variables of members.
func (c jsonSchema) check(x string, schema any, s side, depth int) string {
	if b, isBool := schema.(bool); isBool {
		return fmt.Sprint(b)
	}
	m, isMap := schema.(map[string]any)
	if !isMap {
		c.r.foreign(c.file, "write it as a JSON Schema or a regular expression", "%s: a restriction is a schema or a text", c.at)
		return "false"
	}
	var parts []string
	if _, typed := m["type"]; typed {
		parts = append(parts, c.keyword(x, m, "type", s, depth))
	}
	c.typ, _ = m["type"].(string)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k == "type" {
			continue
		}
		if part := c.keyword(x, m, k, s, depth); part != "true" {
			parts = append(parts, part)
		}
	}
	return joined(" && ", "true", parts)
}

// joined puts operands together, in brackets where they have an operator.
func joined(op, none string, parts []string) string {
	switch len(parts) {
	case 0:
		return none
	case 1:
		return parts[0]
	}
	for i, p := range parts {
		if strings.Contains(p, " || ") || strings.Contains(p, " && ") || strings.Contains(p, " ? ") {
			parts[i] = "(" + p + ")"
		}
	}
	return strings.Join(parts, op)
}

func negated(cel string) string {
	if bare.MatchString(cel) {
		return "!" + cel
	}
	return "!(" + cel + ")"
}

// bare is a call or a name, in front of which ! needs no brackets.
var bare = lazyregexp.New(`^[a-z][A-Za-z0-9_.]*(?:\([A-Za-z0-9_.]*\))?$`)

// unless is a check of values of one type; all others pass.
func (c jsonSchema) unless(x, typ, holds string) string {
	if c.typ == typ || c.typ == "integer" && typ == "number" {
		return holds
	}
	return joined(" || ", "false", []string{negated(fmt.Sprintf(schemaTypes[typ], x)), holds})
}

func (c jsonSchema) each(x string, v any, s side, depth int) (out []string) {
	list, isList := v.([]any)
	if !isList || len(list) == 0 {
		c.r.unreadable(c.file, "%s: want a list of schemas", c.at)
	}
	for _, e := range list {
		out = append(out, c.check(x, e, s, depth))
	}
	return out
}

func (c jsonSchema) keyword(x string, m map[string]any, k string, s side, depth int) string {
	v := m[k]
	if b, bounded := schemaBounds[k]; bounded {
		n, ok := celValue(v)
		if _, isText := v.(string); !ok || isText {
			c.r.unreadable(c.file, "%s: %s wants a number", c.at, k)
			return "false"
		}
		return c.unless(x, b[0], fmt.Sprintf(b[1], x)+" "+b[2]+" "+n)
	}
	member := fmt.Sprintf("e%d", depth)
	switch k {
	case "type":
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		var parts []string
		for _, t := range list {
			name, _ := t.(string)
			test, known := schemaTypes[name]
			if !known {
				c.r.unreadable(c.file, "%s: no type %v", c.at, t)
				return "false"
			}
			parts = append(parts, fmt.Sprintf(test, x))
		}
		return joined(" || ", "false", parts)
	case "enum", "const":
		text, ok := celValue(v)
		if _, isList := v.([]any); !ok || k == "enum" && !isList {
			c.r.unreadable(c.file, "%s: %s wants values", c.at, k)
			return "false"
		}
		if k == "const" {
			return x + " == " + text
		}
		return x + " in " + text
	case "pattern":
		p, isText := v.(string)
		if !isText {
			c.r.unreadable(c.file, "%s: pattern wants a text", c.at)
			return "false"
		}
		return c.unless(x, "string", c.pattern(x, p, false, s, false))
	case "multipleOf":
		n, isInt := v.(int64)
		if !isInt || n <= 0 {
			c.r.foreign(c.file, "use a whole number", "%s: multipleOf %v", c.at, v)
			return "false"
		}
		if s == most {
			return fmt.Sprintf("type(%s) != int || %s %% %d == 0", x, x, n)
		}
		return c.unless(x, "number", fmt.Sprintf("type(%s) == int && %s %% %d == 0", x, x, n))
	case "items":
		return c.unless(x, "array", fmt.Sprintf("%s.all(%s, %s)", x, member, c.check(member, v, s, depth+1)))
	case "contains":
		return c.unless(x, "array", fmt.Sprintf("%s.exists(%s, %s)", x, member, c.check(member, v, s, depth+1)))
	case "properties", "required", "additionalProperties":
		return c.object(x, m, k, s, depth)
	case "allOf":
		return joined(" && ", "true", c.each(x, v, s, depth))
	case "anyOf":
		return joined(" || ", "false", c.each(x, v, s, depth))
	case "oneOf":
		yes, no := c.each(x, v, s, depth), c.each(x, v, !s, depth)
		var ways []string
		for i := range yes {
			way := []string{yes[i]}
			for j := range no {
				if j != i {
					way = append(way, negated(no[j]))
				}
			}
			ways = append(ways, joined(" && ", "true", way))
		}
		return joined(" || ", "false", ways)
	case "not":
		return negated(c.check(x, v, !s, depth))
	case "if":
		then, otherwise := any(true), any(true)
		if t, has := m["then"]; has {
			then = t
		}
		if e, has := m["else"]; has {
			otherwise = e
		}
		return joined(" && ", "true", []string{
			joined(" || ", "false", []string{negated(c.check(x, v, !s, depth)), c.check(x, then, s, depth)}),
			joined(" || ", "false", []string{c.check(x, v, s, depth), c.check(x, otherwise, s, depth)})})
	case "then", "else":
		return "true" // read with if, and of no effect without
	}
	if !schemaNotes[k] {
		c.r.foreign(c.file, "write the rule by hand", "%s: the keyword %s", c.at, k)
		return "false"
	}
	return "true"
}

// object is what a schema says of members.
func (c jsonSchema) object(x string, m map[string]any, k string, s side, depth int) string {
	var parts []string
	switch k {
	case "properties":
		fields, isMap := m[k].(map[string]any)
		if !isMap {
			c.r.unreadable(c.file, "%s: properties wants an object", c.at)
		}
		for _, f := range slices.Sorted(maps.Keys(fields)) {
			at := x + "[" + celText(f) + "]"
			if holds := c.check(at, fields[f], s, depth); holds != "true" {
				parts = append(parts, joined(" || ", "false", []string{"!(" + celText(f) + " in " + x + ")", holds}))
			}
		}
	case "required":
		list, isList := m[k].([]any)
		if !isList {
			c.r.unreadable(c.file, "%s: required wants names", c.at)
		}
		for _, f := range list {
			name, _ := f.(string)
			parts = append(parts, celText(name)+" in "+x)
		}
	case "additionalProperties":
		fields, _ := m["properties"].(map[string]any)
		key := fmt.Sprintf("k%d", depth)
		named := key + " in " + celTexts(slices.Sorted(maps.Keys(fields)))
		parts = append(parts, fmt.Sprintf("%s.all(%s, %s)", x, key, joined(" || ", "false", []string{named, c.check(x+"["+key+"]", m[k], s, depth+1)})))
	}
	return c.unless(x, "object", joined(" && ", "true", parts))
}

// pattern is where a text matches. Start says that a match has to begin where the text does, as with Python's match. Unless holes are kept, a pattern that lets calls through has to match the whole text.
// Typed says that x may be no text: that is an error in Python, which stops the call.
func (c jsonSchema) pattern(x, p string, start bool, s side, typed bool) string {
	whole := s == least && !c.r.Holes
	if start && !whole {
		p = `\A(?:` + p + ")"
		if strings.HasPrefix(p, `\A(?:(?`) && pyFlags.MatchString(p[5:]) {
			flags := pyFlags.FindString(p[5:])
			p = flags + `\A(?:` + p[5+len(flags):]
		}
	}
	re, err := pyRegex(p, whole, s)
	if err != nil {
		c.r.foreign(c.file, "write a pattern that RE2 has", "%s: the pattern %q: %v", c.at, short(p), err)
		return "false"
	}
	holds := x + ".matches(" + celPattern(re) + ")"
	switch {
	case !typed:
		return holds
	case s == most:
		return "type(" + x + ") != string || " + holds
	}
	return "type(" + x + ") == string && " + holds
}
