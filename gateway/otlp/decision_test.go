package otlp

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/gateway"
)

// form is what a test reads of a span in OTLP's JSON form.
type form struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	StartTimeUnixNano, EndTimeUnixNano  string
	Attributes                          []pair
	Events                              []struct {
		Name, TimeUnixNano string
		Attributes         []pair
	}
}

type pair struct {
	Key   string
	Value struct{ StringValue string }
}

// genAI lists the attributes of the GenAI conventions in order.
func genAI(list []pair) string {
	var out []string
	for _, a := range list {
		if name, ok := strings.CutPrefix(a.Key, "gen_ai."); ok {
			out = append(out, name+"="+a.Value.StringValue)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func read(t *testing.T, s *span) (f form) {
	b, err := json.Marshal(s.form())
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A decision is a span below that of its request, in the words of the proposal for guardrails, with an event for each rule that found something.
func TestGuardrailSpans(t *testing.T) {
	const all = "operation.name=run_guardrail security.action.type="
	for _, c := range []struct {
		name   string
		set    map[string]any
		want   string
		events []string
	}{
		{"a call is denied", map[string]any{"proviso.outcome": "deny", "proviso.point": "tool_call", "proviso.rules": []string{"a", "b"}, "proviso.policy": "d1", "proviso.call_id": "c1", "proviso.session": "s"},
			"conversation.id=s " + all + "block security.guardrail.name=proviso security.policy.id=d1 security.policy.rule.id=a,b security.target.id=c1 security.target.subtype=input security.target.type=tool_call security.verdict.type=deny",
			[]string{"a", "b"}},
		{"something is missing", map[string]any{"proviso.outcome": "needs_info", "proviso.point": "tool_call"},
			all + "block security.guardrail.name=proviso security.target.subtype=input security.target.type=tool_call security.verdict.type=deny", nil},
		{"a person has to approve", map[string]any{"proviso.outcome": "escalate", "proviso.point": "tool_call"},
			all + "escalate security.guardrail.name=proviso security.target.subtype=input security.target.type=tool_call security.verdict.type=escalate", nil},
		{"an input is denied", map[string]any{"proviso.outcome": "deny", "proviso.point": "input"},
			all + "block security.guardrail.name=proviso security.target.subtype=input security.target.type=llm security.verdict.type=deny", nil},
		{"an answer is edited", map[string]any{"proviso.outcome": "allow", "proviso.point": "output", "proviso.edited": true, "proviso.rules": []string{"cards"}},
			all + "modify security.guardrail.name=proviso security.policy.rule.id=cards security.target.subtype=output security.target.type=llm security.verdict.type=modify", []string{"cards"}},
		{"a rule in roll-out would deny", map[string]any{"proviso.outcome": "allow", "proviso.point": "tool_result", "proviso.audited_rules": []string{"new"}},
			all + "allow security.guardrail.name=proviso security.policy.rule.id=new security.target.subtype=output security.target.type=tool_call security.verdict.type=warn", []string{"new"}},
		{"a list of tools", map[string]any{"proviso.outcome": "allow", "proviso.point": "tool_list"},
			all + "allow security.guardrail.name=proviso security.target.type=tool_definition security.verdict.type=allow", nil},
		{"a session begins", map[string]any{"proviso.outcome": "allow", "proviso.point": "session_start"},
			all + "allow security.guardrail.name=proviso security.target.type=session_start security.verdict.type=allow", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := &Exporter{GenAI: true, queue: make(chan *span, 2)}
			_, request := x.Start(httptest.NewRequest("POST", "/", nil), "chat")
			began := time.Now().Add(-time.Second)
			s := request.(gateway.Parent).Decision("run_guardrail proviso", began)
			for k, v := range c.set {
				s.Set(k, v)
			}
			s.End("")
			request.End("")
			child, parent := read(t, <-x.queue), read(t, <-x.queue)
			if child.TraceID != parent.TraceID || child.ParentSpanID != parent.SpanID || child.SpanID == parent.SpanID || child.Name != "run_guardrail proviso" || child.Kind != 1 || parent.Kind != 2 || child.StartTimeUnixNano != nano(began) {
				t.Errorf("%+v below %+v", child, parent)
			}
			if got := genAI(child.Attributes); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			var rules []string
			for _, e := range child.Events {
				if e.Name != "gen_ai.security.finding" || e.TimeUnixNano != child.EndTimeUnixNano {
					t.Errorf("%+v", e)
				}
				for _, a := range e.Attributes {
					if a.Key == "gen_ai.security.policy.rule.id" {
						rules = append(rules, a.Value.StringValue)
					}
				}
			}
			if !slices.Equal(rules, c.events) {
				t.Errorf("findings of %q, want %q", rules, c.events)
			}
		})
	}
}

// Without the opt-in, and in a trace that is not sampled, there are no spans of decisions; by a clock that was put back a span has no time below zero.
func TestGuardrailSpansAreOptedInto(t *testing.T) {
	unsampled := httptest.NewRequest("POST", "/", nil)
	unsampled.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	for _, x := range []*Exporter{{}, {GenAI: true}} {
		_, request := x.Start(unsampled, "chat")
		if !x.GenAI {
			_, request = x.Start(httptest.NewRequest("POST", "/", nil), "chat")
		}
		if s := request.(gateway.Parent).Decision("run_guardrail proviso", time.Now()); s != nil {
			t.Errorf("opted in %v: %+v", x.GenAI, s)
		}
	}
	x := &Exporter{GenAI: true, queue: make(chan *span, 1)}
	_, request := x.Start(httptest.NewRequest("POST", "/", nil), "chat")
	s := request.(gateway.Parent).Decision("run_guardrail proviso", time.Now().Add(time.Hour))
	s.Set("proviso.tool", strings.Repeat("é", 2000))
	s.End("")
	got := read(t, <-x.queue)
	if got.StartTimeUnixNano != got.EndTimeUnixNano || len(got.Attributes[0].Value.StringValue) > maxText {
		t.Errorf("%+v", got)
	}
}
