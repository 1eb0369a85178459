package pack

import (
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// caseFile is one file of tests.
type caseFile struct{ Cases []Case }

var caseFileObject = &object[caseFile]{
	name: "test file", doc: "Cases of a policy pack: events in, decisions wanted.",
	props: []prop[caseFile]{
		req("cases", listOf(caseObject.form()), func(f *caseFile) *[]Case { return &f.Cases }, "The cases."),
	},
}

type namedValue struct {
	name  string
	value any
}

type namedTri struct {
	name  string
	value proviso.Tri
}

var caseObject = &object[Case]{
	name: "case", doc: "One conversation and the decisions wanted in it.",
	place: func(c *Case, p proviso.Pos) { c.Pos = p },
	props: []prop[Case]{
		req("name", stringShape, func(c *Case) *string { return &c.Name }, "What the case shows, in words."),
		opt("now", timeShape, func(c *Case) *time.Time { return &c.Now }, "The time of the first event."),
		opt("session", as(entries(textShape, anyShape, func(n Text, v any) namedValue { return namedValue{n.S, v} }), valueMap), func(c *Case) *map[string]any { return &c.Session }, "Session attributes, such as user."),
		opt("agent", stringShape, func(c *Case) *string { return &c.Agent }, "The agent that acts."),
		opt("answers", as(entries(textShape, as(boolShape, proviso.TriOf), func(n Text, t proviso.Tri) namedTri { return namedTri{n.S, t} }), answerMap), func(c *Case) *map[string]proviso.Tri { return &c.Answers }, "Scripted answers to questions; absent is unanswered."),
		req("steps", listOf(stepObject.form()), func(c *Case) *[]Step { return &c.Steps }, "The events."),
	},
}

func valueMap(list []namedValue) map[string]any {
	out := make(map[string]any, len(list))
	for _, e := range list {
		out[e.name] = e.value
	}
	return out
}

func answerMap(list []namedTri) map[string]proviso.Tri {
	out := make(map[string]proviso.Tri, len(list))
	for _, e := range list {
		out[e.name] = e.value
	}
	return out
}

// spokenShape is what somebody says; saying nothing is possible.
var spokenShape = form[*string]{fixed(map[string]any{"type": "string"}), func(l *loader, n *yamlNode) (*string, bool) {
	if n.kind != yamlText {
		l.wrong(n, "a text")
		return nil, false
	}
	return &n.text, true
}}

var argsShape = form[map[string]any]{fixed(map[string]any{"type": "object"}), func(l *loader, n *yamlNode) (map[string]any, bool) {
	if n.kind != yamlMap {
		l.wrong(n, "a map of arguments")
		return nil, false
	}
	return n.value().(map[string]any), true
}}

var stepObject = &object[Step]{
	name: "step", doc: "One event: exactly one of call, user, assistant, system, handoff, return, end.",
	place: func(s *Step, p proviso.Pos) { s.Pos = p },
	props: []prop[Step]{
		opt("call", stringShape, func(s *Step) *string { return &s.Call }, "The tool that the agent calls."),
		opt("args", argsShape, func(s *Step) *map[string]any { return &s.Args }, "The arguments of the call."),
		opt("raw", stringShape, func(s *Step) *string { return &s.RawArgs }, "The arguments as the very bytes, instead of args."),
		opt("result", form[any]{anyShape.schema, anyShape.read}, func(s *Step) *any { s.HasResult = true; return &s.Result }, "What the tool answers where the call is allowed."),
		opt("error", boolShape, func(s *Step) *bool { return &s.Error }, "The result is an error."),
		opt("user", spokenShape, func(s *Step) **string { return &s.User }, "The user says this."),
		opt("assistant", spokenShape, func(s *Step) **string { return &s.Assistant }, "The agent says this."),
		opt("system", spokenShape, func(s *Step) **string { return &s.System }, "The system says this."),
		opt("handoff", stringShape, func(s *Step) *string { return &s.Handoff }, "The work goes to this agent or scope."),
		opt("return", boolShape, func(s *Step) *bool { return &s.Return }, "The top scope is left."),
		opt("end", boolShape, func(s *Step) *bool { return &s.End }, "The session ends."),
		opt("after", durationShape, func(s *Step) *time.Duration { return &s.After }, "Time since the step before."),
		opt("agent", stringShape, func(s *Step) *string { return &s.Agent }, "The agent that acts, for this step."),
		opt("want", wantShape, func(s *Step) **Want { return &s.Want }, "allow, deny rule …, escalate rule … or needs_info fact …; allow only rule … wants no edit or notice of another rule"),
		opt("result_want", wantShape, func(s *Step) **Want { return &s.ResultWant }, "The decision wanted about the result; left out, it must be allowed."),
	},
	finish: finishStep,
}

// stepEvents are the keys of which a step has exactly one.
var stepEvents = []string{"call", "user", "assistant", "system", "handoff", "return", "end"}

// callOnly are the keys that belong to calls.
var callOnly = []string{"args", "raw", "result", "error", "result_want"}

func finishStep(l *loader, n *yamlNode, s *Step) bool {
	var given []string
	for _, k := range stepEvents {
		if n.get(k) != nil {
			given = append(given, k)
		}
	}
	if len(given) != 1 {
		what := "none"
		if len(given) > 0 {
			what = strings.Join(given, " and ")
		}
		l.fail(n.pos(), CodeValue, fmt.Sprintf("a step is exactly one of %s; this one has %s", strings.Join(stepEvents, ", "), what), "split the step, or name its event")
		return false
	}
	for _, k := range []string{"return", "end"} {
		if v := n.get(k); v != nil && v.text != "true" {
			l.fail(v.pos(), CodeValue, k+": is written with true only", "leave the step out")
			return false
		}
	}
	if s.Call == "" {
		for _, k := range callOnly {
			if v := n.get(k); v != nil {
				l.fail(v.pos(), CodeValue, fmt.Sprintf("%q belongs to a call", k), "leave it out, or make the step a call")
				return false
			}
		}
	}
	if v := n.get("result_want"); v != nil && !s.HasResult && !s.Error {
		l.fail(v.pos(), CodeValue, "result_want belongs to a call with a result", "give the call a result, or error: true")
		return false
	}
	if v := n.get("raw"); v != nil && n.get("args") != nil {
		l.fail(v.pos(), CodeValue, "a call has args or raw, not both", "keep one of them")
		return false
	}
	return true
}

var wantShape = form[*Want]{fixed(map[string]any{"type": "string", "pattern": `^(allow|deny|escalate|needs_info)( \S+)*$`}), func(l *loader, n *yamlNode) (*Want, bool) {
	t, ok := textShape.read(l, n)
	if !ok {
		return nil, false
	}
	words := strings.Fields(t.S)
	outcomes := []string{"allow", "deny", "escalate", "needs_info"}
	if len(words) == 0 || !contains(outcomes, words[0]) {
		l.fail(n.pos(), CodeValue, fmt.Sprintf("%q is not a decision", t.S), unknownHint(t.S, outcomes))
		return nil, false
	}
	o, _ := proviso.ParseOutcome(words[0])
	w := &Want{Outcome: o, Pos: n.pos()}
	words = words[1:]
	if len(words) > 0 && words[0] == "only" {
		w.Only, words = true, words[1:]
	}
	if w.Only && o != proviso.Allow {
		l.fail(n.pos(), CodeValue, "only goes with allow", "write the rules that decide after the outcome")
		return nil, false
	}
	if len(words) > 0 {
		w.Names = words
	}
	return w, true
}}

// tests reads one file of cases.
func (l *loader) tests(f fileRef) {
	if n := l.readYAML(f.name, f.at); n != nil {
		file, _ := caseFileObject.read(l, n)
		l.pack.Tests = append(l.pack.Tests, file.Cases...)
	}
}

// ReadCases reads a file of cases that is no part of a pack, such as cases that were held back while the pack was written. Positions and findings name the file as it is given.
// With findings of severity Error the cases are as complete as they could be made.
func ReadCases(file string, src []byte) ([]Case, proviso.Diagnostics) {
	n, ds := parseYAML(file, src)
	l := &loader{pack: &Pack{}, ds: ds}
	if n == nil {
		return nil, l.ds
	}
	cases, _ := caseFileObject.read(l, n)
	l.ds.Sort()
	return cases.Cases, l.ds
}
