package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// player plays events into a state as a guard would, one second apart, and keeps the records.
type player struct {
	t       testing.TB
	s       *State
	at      time.Time
	records []proviso.Record
}

func play(t testing.TB) *player {
	return &player{t: t, s: New(script{"d1"}, "s"), at: noon}
}

func (p *player) do(point proviso.Point, body proviso.Body, o proviso.Outcome, edits ...proviso.Edit) proviso.Record {
	p.t.Helper()
	return p.decided(point, body, proviso.Decision{Outcome: o, Edits: edits})
}

func (p *player) decided(point proviso.Point, body proviso.Body, d proviso.Decision) proviso.Record {
	p.t.Helper()
	p.at = p.at.Add(time.Second)
	ev := &proviso.Event{Session: "s", Seq: p.s.Next(), Time: p.at, Point: point, Body: body}
	in := p.s.Bind(ev)
	p.s.View(in)
	if in.Fault != nil {
		d.Outcome = proviso.Deny
	}
	d.Policy = "d1"
	r := p.s.Record(in, d)
	if err := p.s.Apply(in, &r); err != nil {
		p.t.Fatal(err)
	}
	p.records = append(p.records, r)
	return r
}

func (p *player) call(id, tool, args string) proviso.Record {
	p.t.Helper()
	return p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args)}, proviso.Allow)
}

func (p *player) sibling(response string, index int, id, tool, args string) proviso.Record {
	p.t.Helper()
	return p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args), Response: response, Index: index}, proviso.Allow)
}

func (p *player) deny(id, tool, args string) proviso.Record {
	p.t.Helper()
	return p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args)}, proviso.Deny)
}

// hold attempts a call that waits for the user's word.
func (p *player) hold(id, tool, args string) proviso.Record {
	p.t.Helper()
	return p.decided(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args)},
		proviso.Decision{Outcome: proviso.NeedInfo, Missing: []proviso.Missing{{Kind: proviso.MissingConfirmation}}})
}

func (p *player) result(id, content string) proviso.Record {
	p.t.Helper()
	return p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Content: proviso.JSON(content)}, proviso.Allow)
}

func (p *player) fails(id string) proviso.Record {
	p.t.Helper()
	return p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Text: "down", IsError: true}, proviso.Allow)
}

func (p *player) user(text string, confirms ...string) {
	p.t.Helper()
	p.do(proviso.Input, &proviso.Message{Role: proviso.User, Text: text, Confirms: confirms}, proviso.Allow)
}

func (p *player) assistant(text string) {
	p.t.Helper()
	p.do(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: text}, proviso.Allow)
}

// view shows what a call would see.
func (p *player) view(tool, args string) (*policy.View, *policy.Input) {
	return p.look(&proviso.ToolCall{ID: "look", Tool: tool, Args: proviso.JSON(args)})
}

func (p *player) look(b *proviso.ToolCall) (*policy.View, *policy.Input) {
	in := p.s.Bind(&proviso.Event{Session: "s", Seq: p.s.Next(), Time: p.at, Point: proviso.ToolCallPoint, Body: b})
	return p.s.View(in), in
}

func (p *player) fact(name string, key ...string) string {
	v, _ := p.view("peek", "{}")
	return factOf(v, name, key...)
}

func factOf(v *policy.View, name string, key ...string) string {
	k := policy.Key{N: len(key)}
	copy(k.Part[:], key)
	for i, f := range scriptFacts {
		if f.Name == name {
			val, st := v.Facts.Fact(i, k)
			switch st {
			case policy.Observed:
				return fmt.Sprint(val)
			case policy.Broken:
				return "broken"
			}
		}
	}
	return "unknown"
}

func (p *player) past(q int, values ...any) policy.Past {
	v, _ := p.view("peek", "{}")
	return v.History.Past(q, values, v.Now)
}

func (p *player) wantFact(want, name string, key ...string) {
	p.t.Helper()
	if got := p.fact(name, key...); got != want {
		p.t.Errorf("%s%v is %s, want %s", name, key, got, want)
	}
}

func (p *player) wantPast(count int64, sum float64, q int, values ...any) {
	p.t.Helper()
	if got := p.past(q, values...); got.Count != count || got.Sum != sum {
		p.t.Errorf("query %d%v: count %d, sum %v; want %d, %v", q, values, got.Count, got.Sum, count, sum)
	}
}

func factResult(name, value string, key ...string) string {
	b := proviso.CanonicalJSON(map[string]any{"facts": []any{map[string]any{"fact": name, "key": anys(key), "value": value}}})
	return string(b)
}

func anys(ss []string) []any {
	out := []any{}
	for _, s := range ss {
		out = append(out, s)
	}
	return out
}
