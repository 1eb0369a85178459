package pack

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// form is what may stand at one place of a pack file. It reads a node, and it describes itself as a JSON Schema;
// because both come from one value, the editor's schema and the loader cannot disagree.
type form[V any] struct {
	schema func(defs) map[string]any
	read   func(l *loader, n *yamlNode) (V, bool)
}

// defs collects the $defs of a schema by name.
type defs map[string]any

// ref registers a named schema and returns the reference to it; build is called once.
func (d defs) ref(name string, build func() map[string]any) map[string]any {
	if _, done := d[name]; !done {
		d[name] = true // a recursive shape meets itself here
		d[name] = build()
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func fixed(schema map[string]any) func(defs) map[string]any {
	return func(defs) map[string]any { return schema }
}

// howTo shows how a value of a kind is written.
var howTo = map[string]string{
	"a text":             "write a word, or a text in quotes",
	"an expression":      "write a CEL expression as one text; put it in quotes where it holds ': ' or ' #'",
	"a list":             "write it like [a, b]",
	"a map":              "write it like {key: value}",
	"a map of arguments": "write it like {name: value}",
	"a JSON Schema":      "write it like {type: string} or {$ref: \"file.json#/pointer\"}",
	"true or false":      "write true or false",
}

// wrong reports a value of the wrong kind.
func (l *loader) wrong(n *yamlNode, want string) {
	hint := howTo[want]
	if want == "a text" && n.kind >= yamlBool && n.kind <= yamlFloat {
		hint = "put it in quotes"
	}
	l.fail(n.pos(), CodeValue, fmt.Sprintf("%s is wanted here, not %s", want, n.kind), hint)
}

// as converts what a shape has read.
func as[V, W any](s form[V], convert func(V) W) form[W] {
	return form[W]{s.schema, func(l *loader, n *yamlNode) (w W, ok bool) {
		v, ok := s.read(l, n)
		if ok {
			w = convert(v)
		}
		return w, ok
	}}
}

var textShape = form[Text]{fixed(map[string]any{"type": "string", "minLength": 1}), func(l *loader, n *yamlNode) (Text, bool) {
	if n.kind != yamlText {
		l.wrong(n, "a text")
		return Text{}, false
	}
	if n.text == "" {
		l.fail(n.pos(), CodeValue, "this text is empty", "fill it in, or leave the key out")
		return Text{}, false
	}
	return n.asText(), true
}}

// exprShape is a CEL expression; a number or a boolean is an expression as it stands.
var exprShape = form[Text]{fixed(map[string]any{"type": []any{"string", "number", "boolean"}, "description": "A CEL expression."}), func(l *loader, n *yamlNode) (Text, bool) {
	switch n.kind {
	case yamlNull, yamlList, yamlMap:
		l.wrong(n, "an expression")
		return Text{}, false
	}
	if strings.TrimSpace(n.text) == "" {
		l.fail(n.pos(), CodeValue, "this expression is empty", "write a condition, or leave the key out")
		return Text{}, false
	}
	return n.asText(), true
}}

var stringShape = as(textShape, func(t Text) string { return t.S })

var boolShape = form[bool]{fixed(map[string]any{"type": "boolean"}), func(l *loader, n *yamlNode) (bool, bool) {
	if n.kind != yamlBool {
		l.wrong(n, "true or false")
		return false, false
	}
	return n.value().(bool), true
}}

var anyShape = form[any]{fixed(map[string]any{}), func(l *loader, n *yamlNode) (any, bool) { return n.value(), true }}

var timeShape = form[time.Time]{fixed(map[string]any{"type": "string", "format": "date-time"}), func(l *loader, n *yamlNode) (time.Time, bool) {
	if n.kind == yamlText {
		if t, err := time.Parse(time.RFC3339Nano, n.text); err == nil {
			return t, true
		}
	}
	l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not a time", n.text), "write it like 2025-03-01T10:00:00Z")
	return time.Time{}, false
}}

var durationShape = form[time.Duration]{fixed(map[string]any{"type": "string", "description": "A duration such as 90s, 15m or 2h."}), func(l *loader, n *yamlNode) (time.Duration, bool) {
	if n.kind == yamlText {
		if d, err := time.ParseDuration(n.text); err == nil && d >= 0 {
			return d, true
		}
	}
	l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not a duration", n.text), "write it like 90s, 15m or 48h")
	return 0, false
}}

// named is a text of a fixed form, such as an identifier; what completes "x is not …".
func named(what, pattern, hint string, valid func(string) bool) form[Text] {
	return form[Text]{fixed(map[string]any{"type": "string", "pattern": pattern}), func(l *loader, n *yamlNode) (Text, bool) {
		t, ok := textShape.read(l, n)
		if ok && !valid(t.S) {
			l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not %s", t.S, what), hint)
			return t, false
		}
		return t, ok
	}}
}

// oneOf is a text out of a list.
func oneOf[V any](values map[string]V) form[V] {
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	sort.Strings(names)
	enum := make([]any, len(names))
	for i, n := range names {
		enum[i] = n
	}
	return form[V]{fixed(map[string]any{"enum": enum}), func(l *loader, n *yamlNode) (v V, ok bool) {
		if n.kind != yamlText {
			l.fail(n.pos(), CodeValue, fmt.Sprintf("one of %s is wanted here, not %s", strings.Join(names, ", "), n.kind), "write one of these words")
			return v, false
		}
		v, ok = values[n.text]
		if !ok {
			hint := "write one of these words"
			if near := proviso.Nearest(n.text, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not one of %s", n.text, strings.Join(names, ", ")), hint)
		}
		return v, ok
	}}
}

// listOf is a list; an empty one is refused, since "none" and "left out" mean opposite things in most places.
func listOf[V any](s form[V]) form[[]V] { return list(s, 1) }

// section is a list that may be empty.
func section[V any](s form[V]) form[[]V] { return list(s, 0) }

func list[V any](s form[V], least int) form[[]V] {
	return form[[]V]{
		func(d defs) map[string]any {
			m := map[string]any{"type": "array", "items": s.schema(d)}
			if least > 0 {
				m["minItems"] = least
			} else {
				m["type"] = []any{"array", "null"}
			}
			return m
		},
		func(l *loader, n *yamlNode) ([]V, bool) {
			if n.kind == yamlNull && least == 0 {
				return nil, true
			}
			if n.kind != yamlList {
				l.wrong(n, "a list")
				return nil, false
			}
			if len(n.items) < least {
				l.fail(n.pos(), CodeValue, "this list is empty", "name at least one, or leave the key out")
				return nil, false
			}
			out, all := make([]V, 0, len(n.items)), true
			for _, x := range n.items {
				v, ok := s.read(l, x)
				if ok {
					out = append(out, v)
				}
				all = all && ok
			}
			return out, all
		},
	}
}

// oneOrMany is one value or a list of them.
func oneOrMany[V any](s form[V]) form[[]V] {
	many := listOf(s)
	return form[[]V]{
		func(d defs) map[string]any { return map[string]any{"anyOf": []any{s.schema(d), many.schema(d)}} },
		func(l *loader, n *yamlNode) ([]V, bool) {
			if n.kind == yamlList {
				return many.read(l, n)
			}
			v, ok := s.read(l, n)
			if !ok {
				return nil, false
			}
			return []V{v}, true
		},
	}
}

// entries is a map from names to values; put makes one value of each, in the order of the file.
func entries[V, W any](key form[Text], s form[V], put func(name Text, v V) W) form[[]W] {
	return form[[]W]{
		func(d defs) map[string]any {
			return map[string]any{"type": []any{"object", "null"}, "propertyNames": key.schema(d), "additionalProperties": s.schema(d)}
		},
		func(l *loader, n *yamlNode) ([]W, bool) {
			if n.kind == yamlNull {
				return nil, true
			}
			if n.kind != yamlMap {
				l.wrong(n, "a map")
				return nil, false
			}
			out, all := make([]W, 0, len(n.fields)), true
			for _, f := range n.fields {
				f.key.kind = yamlText // 2024: and true: are names like any other here
				name, ok1 := key.read(l, f.key)
				v, ok2 := s.read(l, f.value)
				if ok1 && ok2 {
					out = append(out, put(name, v))
				}
				all = all && ok1 && ok2
			}
			return out, all
		},
	}
}

// prop is one key of an object.
type prop[T any] struct {
	name, doc string
	required  bool
	schema    func(defs) map[string]any
	read      func(l *loader, n *yamlNode, t *T) bool
}

// opt is a key that may be left out; at says where its value goes.
func opt[T, V any](name string, s form[V], at func(*T) *V, doc string) prop[T] {
	return prop[T]{name: name, doc: doc, schema: s.schema, read: func(l *loader, n *yamlNode, t *T) bool {
		v, ok := s.read(l, n)
		if ok {
			*at(t) = v
		}
		return ok
	}}
}

// req is a key that must be given.
func req[T, V any](name string, s form[V], at func(*T) *V, doc string) prop[T] {
	p := opt(name, s, at, doc)
	p.required = true
	return p
}

// object is a map with a fixed set of keys that becomes a T.
type object[T any] struct {
	name, doc string
	props     []prop[T]
	place     func(t *T, p proviso.Pos)               // keeps the position, may be nil
	rest      *rest[T]                                // takes further keys, may be nil
	finish    func(l *loader, n *yamlNode, t *T) bool // checks what concerns several keys, may be nil
	notes     map[string]string                       // hints for keys that people expect here and that do not exist
}

// rest reads the keys of an object that are not fixed.
type rest[T any] struct {
	schema map[string]any
	read   func(l *loader, key, value *yamlNode, t *T) bool
}

func (o *object[T]) form() form[T] { return form[T]{o.schema, o.read} }

func (o *object[T]) schema(d defs) map[string]any {
	return d.ref(o.name, func() map[string]any { return o.inline(d) })
}

func (o *object[T]) inline(d defs) map[string]any {
	props := map[string]any{}
	var required []any
	for _, p := range o.props {
		m := map[string]any{"description": p.doc}
		for k, v := range p.schema(d) {
			m[k] = v
		}
		props[p.name] = m
		if p.required {
			required = append(required, p.name)
		}
	}
	m := map[string]any{"type": "object", "description": o.doc, "properties": props, "additionalProperties": false}
	if o.rest != nil {
		m["additionalProperties"] = o.rest.schema
	}
	if required != nil {
		m["required"] = required
	}
	return m
}

func (o *object[T]) names() []string {
	out := make([]string, len(o.props))
	for i, p := range o.props {
		out[i] = p.name
	}
	return out
}

func (o *object[T]) read(l *loader, n *yamlNode) (t T, ok bool) {
	ok = o.into(l, n, &t)
	return t, ok
}

// into reads the keys of n into t, which may hold values already.
func (o *object[T]) into(l *loader, n *yamlNode, t *T) bool {
	if n.kind != yamlMap {
		l.fail(n.pos(), CodeValue, fmt.Sprintf("%s is a map, not %s", o.name, n.kind), "its keys are "+strings.Join(o.names(), ", "))
		return false
	}
	if o.place != nil {
		o.place(t, n.pos())
	}
	all, meant := true, map[string]bool{}
	for _, f := range n.fields {
		i := slices.IndexFunc(o.props, func(p prop[T]) bool { return p.name == f.key.text })
		switch {
		case i >= 0:
			all = o.props[i].read(l, f.value, t) && all
		case o.rest != nil:
			all = o.rest.read(l, f.key, f.value, t) && all
		default:
			l.fail(f.key.pos(), CodeUnknownKey, fmt.Sprintf("unknown key %q in %s", f.key.text, o.name), o.hint(f.key.text))
			meant[proviso.Nearest(f.key.text, o.names())] = true
			all = false
		}
	}
	for _, p := range o.props {
		if p.required && n.get(p.name) == nil {
			all = false
			if !meant[p.name] { // a misspelt key has been reported as such
				l.fail(n.pos(), CodeValue, fmt.Sprintf("%s lacks the key %q", o.name, p.name), "add it: "+strings.ToLower(p.doc[:1])+strings.TrimSuffix(p.doc[1:], "."))
			}
		}
	}
	if all && o.finish != nil {
		all = o.finish(l, n, t)
	}
	return all
}

func (o *object[T]) hint(key string) string {
	if note := o.notes[key]; note != "" {
		return note
	}
	return unknownHint(key, o.names())
}

// unknownHint names the nearest key, else all of them.
func unknownHint(got string, names []string) string {
	if near := proviso.Nearest(got, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "it is one of " + strings.Join(names, ", ")
}
