package starter

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso/policy/pack"
)

// Class is what the writer took a tool for.
type Class struct {
	Tool   string
	Effect Effect
	Reason string // which words said so
	Args   []Arg  // sorted by path
}

// Arg is what the writer took one argument for.
type Arg struct {
	Path     string // dotted, from args; "[]" marks the members of a list
	Role     Role
	Reason   string
	Optional bool           // it may be left out
	Nullable bool           // it may be null
	schema   map[string]any // of the value, or of the members of the list
	absent   []string       // the path and those above it that may be left out without a default
	fallback any            // its default

	memberAbsent, memberNullable bool // of a field of the members of a list
}

// Changes reports whether the tool does more than read.
func (c Class) Changes() bool { return c.Effect != Read && c.Effect != Fetch }

// Lasting reports whether what the tool does cannot be undone by another call.
func (c Class) Lasting() bool {
	switch c.Effect {
	case Read, Fetch, Create, Update, Member:
		return false
	}
	return true
}

// Classify says what a tool does and what its arguments are for, from names, descriptions, formats and types. Where these disagree or say nothing, it takes the stricter reading.
func Classify(t pack.Tool) Class {
	c := Class{Tool: t.Name}
	c.Effect, c.Reason = effectOf(t)
	walk(t.Args, "", nil, func(a Arg, name string) { c.Args = append(c.Args, roleOf(a, name, c.Effect)) })
	for _, a := range c.Args {
		for _, n := range strings.Split(strings.ReplaceAll(a.Path, "[]", ""), ".") {
			if !nameable(n) {
				c.Effect, c.Reason = Unclear, fmt.Sprintf("no condition can name its argument %q", a.Path)
			}
		}
	}
	sort.Slice(c.Args, func(i, j int) bool { return c.Args[i].Path < c.Args[j].Path })
	if c.Effect == Read {
		for _, a := range c.Args {
			if a.Role == URL {
				c.Effect, c.Reason = Fetch, c.Reason+", at the address "+a.Path
				break
			}
		}
	}
	return c
}

// effectOf reads the main verb of the name and of the first sentence of the description.
func effectOf(t pack.Tool) (Effect, string) {
	byName, nameVerb := mainVerb(words(t.Name))
	byText, textVerb := mainVerb(words(sentence(t.Description)))
	all := append(words(t.Name), words(sentence(t.Description))...)
	if t.Destructive {
		return Delete, "it is published as destructive"
	}
	if t.ReadOnly && !harmful(byName) && !harmful(byText) {
		return outside(Read, all), "it is published as read-only"
	}
	verb, e := textVerb, byText
	switch {
	case nameVerb == "" && textVerb == "":
		return Unclear, "no word of its name or description says what it does"
	case nameVerb == "":
	case textVerb == "" || rank(byName) > rank(byText):
		verb, e = nameVerb, byName
	}
	if e == Read || e == Fetch {
		for _, ws := range [][]string{words(t.Name), words(sentence(t.Description))} {
			if second, ok := joined(ws); ok {
				return second, fmt.Sprintf("%q, and then more than that", verb)
			}
		}
		return outside(e, all), fmt.Sprintf("%q", verb)
	}
	return turned(e, words(t.Name), words(sentence(t.Description)), verb)
}

// rank orders effects by how much harm they do.
func rank(e Effect) int {
	return slices.Index([]Effect{Read, Fetch, Create, Update, Member, Send, Book, Pay, Share, Delete, Run, Secret, Unclear}, e)
}

func harmful(e Effect) bool { return e != Unclear && rank(e) > rank(Update) }

// mainVerb is the first word that is a verb of the table. A description begins with its verb; what comes later is about something else, so that only a few words are read.
func mainVerb(ws []string) (Effect, string) {
	for i, w := range ws {
		if i == 4 {
			break
		}
		if e, ok := lookup(verbs(), w); ok {
			return e, w
		}
	}
	return Unclear, ""
}

// joined finds a harmful verb that a conjunction adds to a read: "retrieves and deletes".
func joined(ws []string) (Effect, bool) {
	for i := 1; i+1 < len(ws); i++ {
		if ws[i] != "and" && ws[i] != "then" {
			continue
		}
		if e, ok := lookup(verbs(), ws[i+1]); ok && harmful(e) && inflected(ws[i+1], ws[0]) {
			return e, true
		}
	}
	return Unclear, false
}

// inflected reports whether two words can be verbs of one subject, both with or both without the s of the third person.
func inflected(a, b string) bool { return strings.HasSuffix(a, "s") == strings.HasSuffix(b, "s") }

func outside(e Effect, ws []string) Effect {
	for _, w := range ws {
		if _, ok := lookup(outsideNouns, w); ok {
			return Fetch
		}
	}
	return e
}

// turned lets the noun that a verb acts on make the effect stricter.
func turned(e Effect, name, text []string, verb string) (Effect, string) {
	object := append(slices.Clone(name), text[:min(len(text), 6)]...)
	for _, t := range []struct {
		of    []Effect
		nouns map[string]bool
		to    Effect
	}{
		{[]Effect{Create, Update, Run}, secretNouns, Secret},
		{[]Effect{Create, Update, Member}, accessNouns, Share},
		{[]Effect{Create, Send}, payNouns, Pay},
		{[]Effect{Create}, bookNouns, Book},
	} {
		if !slices.Contains(t.of, e) {
			continue
		}
		for _, w := range object {
			if _, ok := lookup(t.nouns, w); ok {
				return t.to, fmt.Sprintf("%q with %q", verb, w)
			}
		}
	}
	return e, fmt.Sprintf("%q", verb)
}

// walk visits the leaves of a schema of objects.
func walk(schema map[string]any, path string, absent []string, visit func(a Arg, name string)) {
	props, needed := mapOf(schema["properties"]), required(schema)
	for _, name := range sortedKeys(props) {
		whole := mapOf(props[name])
		p, nullable := present(whole)
		if !nameable(name) {
			visit(Arg{Path: strings.ReplaceAll(path+name, ".", "\u00b7"), schema: p}, name)
			continue
		}
		at := path + name
		a := Arg{Path: at, Optional: !slices.Contains(needed, name) || len(absent) > 0, Nullable: nullable, schema: p, absent: absent, fallback: whole["default"]}
		if _, has := whole["default"]; !slices.Contains(needed, name) && !has {
			a.absent = append(slices.Clone(absent), at)
		}
		items := mapOf(p["items"])
		switch {
		case p["type"] == "object" && len(mapOf(p["properties"])) > 0 && !strings.Contains(at, "[]") && !nullable && strings.Count(at, ".") < 2:
			walk(p, at+".", a.absent, visit)
			continue
		case p["type"] == "array" && !strings.Contains(at, "[]"):
			a.Path += "[]"
			if members := mapOf(items["properties"]); len(members) > 0 {
				for _, field := range sortedKeys(members) {
					f := a
					f.Path += "." + field
					f.schema, f.memberNullable = present(mapOf(members[field]))
					f.memberAbsent = !slices.Contains(required(items), field)
					visit(f, field)
				}
				continue
			}
			d, _ := p["description"].(string)
			a.schema, a.memberNullable = present(withDescription(items, d))
		}
		visit(a, name)
	}
}

// required lists the properties that a schema requires.
func required(schema map[string]any) (out []string) {
	list, _ := schema["required"].([]any)
	for _, r := range list {
		if s, ok := r.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// present is a schema without the alternative null.
func present(p map[string]any) (out map[string]any, nullable bool) {
	for _, key := range []string{"anyOf", "oneOf"} {
		list, ok := p[key].([]any)
		if !ok {
			continue
		}
		var rest []map[string]any
		for _, e := range list {
			if m := mapOf(e); m["type"] == "null" {
				nullable = true
			} else if m != nil {
				rest = append(rest, m)
			}
		}
		if len(rest) != 1 {
			continue
		}
		d, _ := p["description"].(string)
		return withDescription(rest[0], d), nullable
	}
	if list, ok := p["type"].([]any); ok {
		var rest []any
		for _, t := range list {
			if t == "null" {
				nullable = true
			} else {
				rest = append(rest, t)
			}
		}
		if len(rest) == 1 {
			q := map[string]any{}
			for k, v := range p {
				q[k] = v
			}
			q["type"] = rest[0]
			return q, nullable
		}
	}
	return p, nullable
}

func withDescription(p map[string]any, d string) map[string]any {
	if d == "" {
		return p
	}
	q := map[string]any{}
	for k, v := range p {
		q[k] = v
	}
	q["description"] = d
	return q
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// formats are the formats of JSON Schema that say what a value is.
var formats = map[string]Role{
	"email": Recipient, "idn-email": Recipient, "uri": URL, "url": URL, "iri": URL, "hostname": URL, "ipv4": URL, "ipv6": URL,
	"date": Time, "date-time": Time, "time": Time, "duration": Time, "uuid": ID, "password": Credential, "byte": Body, "binary": Body,
}

// roleOf decides what an argument is for. The type bounds what it can be; format, name and description say what it is.
func roleOf(a Arg, name string, e Effect) Arg {
	kind, _ := a.schema["type"].(string)
	description, _ := a.schema["description"].(string)
	if f, _ := a.schema["format"].(string); formats[f] != "" {
		a.Role, a.Reason = formats[f], "format "+f
		return a
	}
	if enum, ok := a.schema["enum"].([]any); ok && len(enum) > 0 || kind == "boolean" {
		a.Role, a.Reason = Setting, "one of few values"
		if r, _ := phrase(words(name)); r == Access {
			a.Role, a.Reason = Access, "what others may do"
		}
		return a
	}
	byName, nameWord := phrase(words(name))
	byText, textWord := phrase(head(description))
	a.Role, a.Reason = stricter(byName, byText), nameWord
	if a.Role == byText && byText != "" {
		a.Reason = textWord
	}
	switch {
	case a.Role == "" && (kind == "number" || kind == "integer"):
		a.Role, a.Reason = Setting, "a number that nothing says more of"
	case a.Role == "":
		a.Role, a.Reason = Thing, "nothing says what it is"
	case kind == "number" || kind == "integer":
		a.Role = numeric(a.Role)
	}
	return a
}

// numeric is what a number can be of what a role's words say.
func numeric(r Role) Role {
	switch r {
	case Amount, ID, Time, Setting, Credential, Account:
		return r
	case Thing, Place, Subject, Body, Data:
		return Setting
	}
	return ID
}

// phrase gives the role of a noun phrase: pairs of words first, else the last word that names a role, since English puts the noun last.
func phrase(ws []string) (Role, string) {
	for i := len(ws) - 1; i > 0; i-- {
		if r, ok := pairs[bases(ws[i-1])[0]+" "+single(ws[i])]; ok {
			return r, ws[i-1] + " " + ws[i]
		}
	}
	for i := len(ws) - 1; i >= 0; i-- {
		if ws[i] == "name" && i > 0 {
			continue
		}
		if r, ok := lookup(nouns(), ws[i]); ok {
			return r, ws[i]
		}
	}
	return "", ""
}

// single is a word without its plural, where the pairs know it so.
func single(w string) string {
	for _, b := range bases(w) {
		for p := range pairs {
			if strings.HasSuffix(p, " "+b) {
				return b
			}
		}
	}
	return w
}

func stricter(a, b Role) Role {
	for _, r := range strictness {
		if r == a || r == b {
			return r
		}
	}
	return ""
}
