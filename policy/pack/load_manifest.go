package pack

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// manifestFile is proviso.yaml: what it says about the pack goes into the pack, what it says about files is used up by loading.
type manifestFile struct {
	pack            *Pack
	Document, Tools Text
	Rules           []Text
	Data, Tests     []Text
}

var manifestObject = &object[manifestFile]{
	name: "proviso.yaml", doc: "A policy pack.",
	props: []prop[manifestFile]{
		req("name", as(packShape, text), func(m *manifestFile) *string { return &m.pack.Name }, "The pack's name."),
		req("version", stringShape, func(m *manifestFile) *string { return &m.pack.Version }, "The pack's version, a text."),
		opt("rank", rankShape, func(m *manifestFile) *Rank { return &m.pack.Rank }, "Whose policy it is: org (default), user or task; a lower rank only narrows."),
		opt("document", textShape, func(m *manifestFile) *Text { return &m.Document }, "The owner's text; default policy.md."),
		opt("tools", textShape, func(m *manifestFile) *Text { return &m.Tools }, "The tools as the agent publishes them; default tools.json."),
		opt("rules", textsShape, func(m *manifestFile) *[]Text { return &m.Rules }, "Files of rules or globs; default rules.yaml."),
		opt("data", textsShape, func(m *manifestFile) *[]Text { return &m.Data }, "Tables that rules read; default data/*."),
		opt("tests", textsShape, func(m *manifestFile) *[]Text { return &m.Tests }, "Files of cases; default tests/*.yaml."),
		opt("timezone", zoneShape, func(m *manifestFile) *Text { return &m.pack.Timezone }, "IANA name of the zone in which naive times are read; default UTC."),
		opt("clock", clockShape, func(m *manifestFile) *Text { return &m.pack.Clock }, "event (default), or a fixed RFC 3339 time."),
		opt("defaults", defaultsObject.form(), func(m *manifestFile) *Defaults { return &m.pack.Defaults }, "What holds where no rule speaks."),
		opt("reads", textsShape, func(m *manifestFile) *[]Text { return &m.pack.Reads }, "Globs of tools that only read."),
		opt("trusted", textsShape, func(m *manifestFile) *[]Text { return &m.pack.Trusted }, "Globs of tools whose results are trusted."),
		opt("key_arguments", entries(textShape, listOf(textShape), func(n Text, a []Text) KeyArgs { return KeyArgs{n, a} }), func(m *manifestFile) *[]KeyArgs { return &m.pack.Keys }, "What a proposal must name before the user can confirm the call, by tool."),
		opt("session", entries(attributeShape, paramShape, func(n Text, p Param) Param { p.Name = n; return p }), func(m *manifestFile) *[]Param { return &m.pack.Session }, "Session attributes beside user, id, turns and started."),
		opt("attach", listOf(attachObject.form()), func(m *manifestFile) *[]Attachment { return &m.pack.Attach }, "Overlays and the agents that they are attached to."),
	},
}

func text(t Text) string { return t.S }

// zoneShape checks the form only: whether a zone of that name exists is a question to the zone table, which compilation asks.
var zoneShape = named("the name of a time zone", `^[A-Za-z][A-Za-z0-9_+/-]*$`, "use an IANA name such as America/New_York", func(s string) bool {
	return s != "Local" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/-") == ""
})

var clockShape = named("a clock", `^(event|\d{4}-\d{2}-\d{2}T.+)$`, "write event, or a time like 2025-03-01T10:00:00Z", func(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return s == "event" || err == nil
})

var attachObject = &object[Attachment]{
	name: "attachment", doc: "An overlay and its agents.",
	props: []prop[Attachment]{
		req("pack", textShape, func(a *Attachment) *Text { return &a.Pack }, "The overlay's folder."),
		opt("agents", textsShape, func(a *Attachment) *[]Text { return &a.Agents }, "Globs of the agents; left out: all."),
	},
}

var defaultsObject = &object[Defaults]{
	name: "defaults", doc: "What holds where no rule speaks, and what errors do.",
	notes: map[string]string{"tool_call": "tool calls are denied unless granted, which cannot be changed; grant tools: ['*'] to permit all"},
	props: append(pointDefaults(),
		opt("on_error", form[map[proviso.Point]proviso.Outcome]{onErrorSchema, readOnError}, func(d *Defaults) *map[proviso.Point]proviso.Outcome { return &d.OnError }, "What an error does, per point; allow is loud."),
		opt("extra_arguments", oneOf(map[string]string{"allow": "allow", "deny": "deny"}), func(d *Defaults) *string { return &d.Extra }, "Arguments that the tool's schema does not name; default deny."),
		opt("parallel", oneOf(map[string]string{"atomic": "atomic"}), func(d *Defaults) *string { return &d.Parallel }, "atomic: siblings of a denied call are denied as well."),
	),
}

func pointDefaults() (out []prop[Defaults]) {
	for _, p := range proviso.Points() {
		if p == proviso.ToolCallPoint {
			continue
		}
		out = append(out, prop[Defaults]{
			name: p.String(), doc: "What holds at " + p.String() + " where no rule speaks; default allow.", schema: allowDeny.schema,
			read: func(l *loader, n *yamlNode, d *Defaults) bool {
				o, ok := allowDeny.read(l, n)
				if d.Outcome == nil {
					d.Outcome = map[proviso.Point]proviso.Outcome{}
				}
				d.Outcome[p] = o
				return ok
			},
		})
	}
	return out
}

// pointTextShape is the name of a point as a key.
var pointTextShape = form[Text]{pointShape.schema, func(l *loader, n *yamlNode) (Text, bool) {
	_, ok := pointShape.read(l, n)
	return n.asText(), ok
}}

type pointOutcome struct {
	point   proviso.Point
	outcome proviso.Outcome
}

var onErrorEntries = entries(pointTextShape, allowDeny, func(n Text, o proviso.Outcome) pointOutcome {
	p, _ := proviso.ParsePoint(n.S)
	return pointOutcome{p, o}
})

func onErrorSchema(d defs) map[string]any { return onErrorEntries.schema(d) }

func readOnError(l *loader, n *yamlNode) (map[proviso.Point]proviso.Outcome, bool) {
	list, ok := onErrorEntries.read(l, n)
	out := make(map[proviso.Point]proviso.Outcome, len(list))
	for _, e := range list {
		out[e.point] = e.outcome
	}
	return out, ok
}

// paramShape is a JSON Schema with an optional default.
var paramShape = form[Param]{schemaShape.schema, func(l *loader, n *yamlNode) (Param, bool) {
	s, ok := schemaShape.read(l, n)
	if !ok {
		return Param{}, false
	}
	p := Param{Schema: maps.Clone(s.Doc)}
	if d, has := p.Schema["default"]; has {
		p.Default = d
		if msg := defaultMismatch(p.Schema, d); msg != "" {
			l.fail(n.get("default").pos(), CodeValue, msg, "change the default or the type")
			return p, false
		}
	}
	return p, true
}}

// defaultMismatch says why a default is not of the schema's type, empty where it is.
func defaultMismatch(schema map[string]any, d any) string {
	want, _ := schema["type"].(string)
	got := jsonType(d)
	if want == "" || got == want || want == "number" && got == "integer" {
		return ""
	}
	return fmt.Sprintf("the default is of type %s, the schema says %s", got, want)
}

// jsonType names the JSON Schema type of a decoded value.
func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
