package pack

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
)

// noticeObject is the map form of a notice; its order is kept by readNotice.
var noticeObject = &object[Messages]{name: "notice", doc: messageObject.doc, props: messageObject.props}

// effectForm is one key of the map form of else.
type effectForm struct {
	key    string
	schema func(defs) map[string]any
	read   func(l *loader, n *yamlNode, e *Effect) bool
}

var setShape = entries(textShape, exprShape, makeLet)

var effectForms = []effectForm{
	{"notice", noticeObject.schema, readNotice},
	{"redact", redactSchema, readRedact},
	{"with", fixed(map[string]any{"type": "string"}), readWith},
	{"set", setShape.schema, func(l *loader, n *yamlNode, e *Effect) (ok bool) { e.Set, ok = setShape.read(l, n); return ok }},
}

// kindsShape is true for all kinds of a family, or the names of some.
var kindsShape = form[[]Text]{
	func(d defs) map[string]any {
		return map[string]any{"anyOf": []any{map[string]any{"const": true}, textsShape.schema(d)}}
	},
	func(l *loader, n *yamlNode) ([]Text, bool) {
		if n.kind == yamlBool && n.value() == true {
			return []Text{{S: "*", Pos: n.pos()}}, true
		}
		return textsShape.read(l, n)
	},
}

// redactObject is the map form of redact, which names detectors beside patterns.
var redactObject = &object[Effect]{
	name: "redact", doc: "What is replaced in the text.",
	props: []prop[Effect]{
		opt("patterns", textsShape, func(e *Effect) *[]Text { return &e.Redact }, "RE2 patterns whose matches are replaced."),
		opt("pii", kindsShape, func(e *Effect) *[]Text { return &e.PII }, "Kinds of personal data, as pii.find names them, or true for all."),
		opt("secrets", kindsShape, func(e *Effect) *[]Text { return &e.Secrets }, "Kinds of secrets, as secret.find names them, or true for all."),
	},
}

func redactSchema(d defs) map[string]any {
	return map[string]any{"anyOf": []any{textsShape.schema(d), redactObject.schema(d)}}
}

func readRedact(l *loader, n *yamlNode, e *Effect) (ok bool) {
	if n.kind == yamlMap {
		return redactObject.into(l, n, e)
	}
	e.Redact, ok = textsShape.read(l, n)
	return ok
}

var effectShape = form[Effect]{effectSchema, readEffect}

func effectSchema(d defs) map[string]any {
	return d.ref("effect", func() map[string]any {
		props := map[string]any{}
		for _, f := range effectForms {
			props[f.key] = f.schema(d)
		}
		return map[string]any{"anyOf": []any{
			map[string]any{"enum": []any{"deny", "escalate"}},
			map[string]any{"type": "object", "properties": props, "additionalProperties": false, "minProperties": 1},
		}}
	})
}

var effectOutcomes = oneOf(map[string]proviso.Outcome{"deny": proviso.Deny, "escalate": proviso.Escalate})

func readEffect(l *loader, n *yamlNode) (Effect, bool) {
	e := Effect{Pos: n.pos()}
	if n.kind != yamlMap {
		o, ok := effectOutcomes.read(l, n)
		e.Outcome = o
		return e, ok
	}
	e.Outcome = proviso.Allow
	names, ok := make([]string, len(effectForms)), true
	for i, f := range effectForms {
		names[i] = f.key
		if v := n.get(f.key); v != nil {
			ok = f.read(l, v, &e) && ok
		}
	}
	for _, f := range n.fields {
		if !contains(names, f.key.text) {
			l.fail(f.key.pos(), CodeUnknownKey, fmt.Sprintf("unknown key %q in else", f.key.text), unknownHint(f.key.text, names))
			ok = false
		}
	}
	if ok && len(e.Redact)+len(e.PII)+len(e.Secrets)+len(e.Set)+len(e.Notice) == 0 {
		l.fail(n.pos(), CodeValue, "this else does nothing", "write deny, escalate, or one of notice, redact, set")
		ok = false
	}
	if len(e.Redact) > 0 && len(e.PII)+len(e.Secrets) == 0 && n.get("with") == nil {
		e.With = "[redacted]"
	}
	return e, ok
}

func readWith(l *loader, n *yamlNode, e *Effect) bool {
	if n.kind != yamlText {
		l.wrong(n, "a text")
		return false
	}
	e.With = n.text
	return true
}

func readNotice(l *loader, n *yamlNode, e *Effect) bool {
	if _, ok := noticeObject.read(l, n); !ok {
		return false
	}
	for _, f := range n.fields {
		e.Notice = append(e.Notice, NoticeText{To: f.key.text, Text: f.value.text})
	}
	return true
}

// matcherKinds are the events that move scopes.
var matcherKinds = []string{"handoff", "call", "result"}

var matcherShape = form[Matcher]{
	fixed(map[string]any{"type": "string", "pattern": `^(handoff|call|result)\(('.+'|".+")\)$`}),
	func(l *loader, n *yamlNode) (Matcher, bool) {
		t, ok := textShape.read(l, n)
		if !ok {
			return Matcher{}, false
		}
		kind, arg, _ := strings.Cut(t.S, "(")
		arg, closed := strings.CutSuffix(arg, ")")
		quoted := len(arg) > 2 && (arg[0] == '\'' || arg[0] == '"') && arg[len(arg)-1] == arg[0]
		if !closed || !quoted {
			l.fail(n.pos(), CodeValue, fmt.Sprintf("%q names no event", t.S), "write handoff('name'), call('tool') or result('tool')")
			return Matcher{}, false
		}
		if !contains(matcherKinds, kind) {
			l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not an event that moves a scope", kind), proviso.DidYouMean(kind, matcherKinds))
			return Matcher{}, false
		}
		return Matcher{Kind: kind, Name: arg[1 : len(arg)-1], Pos: n.pos()}, true
	},
}
