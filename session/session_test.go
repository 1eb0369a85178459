package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

func TestFacts(t *testing.T) {
	p := play(t)
	p.wantFact("unknown", "reservation", "R1")
	p.call("1", "get", `{"id":"R1"}`)
	p.wantFact("unknown", "reservation", "R1")
	p.result("1", factResult("reservation", "old", "R1"))
	p.wantFact("old", "reservation", "R1")
	p.wantFact("unknown", "reservation", "R2")
	p.wantFact("|", "trail", "R1") // nothing was observed of it

	p.call("2", "find", `{}`)
	p.result("2", factResult("auth", "mia"))
	p.call("3", "find", `{}`)
	p.result("3", factResult("auth", "eve"))
	p.wantFact("mia", "auth") // keep: first

	p.call("4", "get", `{"id":"R1"}`)
	p.result("4", factResult("reservation", "new", "R1"))
	p.wantFact("new", "reservation", "R1") // keep: last

	p.call("5", "get", `{"id":"R9"}`)
	p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "5", Content: proviso.JSON(`{"facts":[{"fact":"reservation","key":["R9"],"error":"no text"}]}`)}, proviso.Allow)
	p.wantFact("broken", "reservation", "R9")
}

func TestResultsThatSupplyNothing(t *testing.T) {
	for name, result := range map[string]func(p *player) proviso.Record{
		"of no call": func(p *player) proviso.Record { return p.result("77", factResult("auth", "x")) },
		"of a denied call": func(p *player) proviso.Record {
			p.deny("2", "get", `{}`)
			return p.result("2", factResult("auth", "x"))
		},
		"of an answered call": func(p *player) proviso.Record { p.fails("1"); return p.result("1", factResult("auth", "x")) },
		"of another tool": func(p *player) proviso.Record {
			return p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "1", Tool: "find", Content: proviso.JSON(factResult("auth", "x"))}, proviso.Allow)
		},
		"without an id": func(p *player) proviso.Record {
			return p.do(proviso.ToolResultPoint, &proviso.ToolResult{Tool: "get", Content: proviso.JSON(factResult("auth", "x"))}, proviso.Allow)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			p.call("1", "get", `{}`)
			if r := result(p); !r.Unverified || r.Facts != nil || r.Phase != "" {
				t.Errorf("recorded as unverified %v, phase %q, facts %v", r.Unverified, r.Phase, r.Facts)
			}
			p.wantFact("unknown", "auth")
		})
	}
	t.Run("an error", func(t *testing.T) {
		p := play(t)
		p.call("1", "get", `{}`)
		r := p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "1", Content: proviso.JSON(factResult("auth", "x")), IsError: true}, proviso.Allow)
		if r.Phase != proviso.Failed || r.Facts != nil {
			t.Errorf("phase %q, facts %v", r.Phase, r.Facts)
		}
		p.wantFact("unknown", "auth")
	})
	t.Run("withheld from the agent", func(t *testing.T) {
		p := play(t)
		p.call("1", "get", `{}`)
		r := p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "1", Content: proviso.JSON(factResult("auth", "x"))}, proviso.Deny)
		if r.Phase != proviso.OK || r.Facts != nil {
			t.Errorf("phase %q, facts %v", r.Phase, r.Facts)
		}
	})
}

// A call without an id is answered by the only result of its tool; where two could be meant, neither is.
func TestCallsWithoutID(t *testing.T) {
	p := play(t)
	p.call("", "get", `{"id":"R1"}`)
	answer := func(tool string) proviso.Record {
		return p.do(proviso.ToolResultPoint, &proviso.ToolResult{Tool: tool, Content: proviso.JSON(factResult("auth", "x"))}, proviso.Allow)
	}
	if r := answer("get"); r.Unverified {
		t.Error("the only call in flight was not found")
	}
	p.call("", "get", `{"id":"R1"}`)
	p.call("", "get", `{"id":"R2"}`)
	if r := answer("get"); !r.Unverified {
		t.Error("one of two calls was guessed")
	}
}

func TestCallIDInFlight(t *testing.T) {
	p := play(t)
	p.call("1", "get", `{}`)
	_, in := p.look(&proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{}`)})
	if in.Fault == nil || in.Fault.Code != CodeCallID {
		t.Errorf("fault %v, want %s", in.Fault, CodeCallID)
	}
	p.result("1", `{}`)
	if _, in = p.look(&proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{}`)}); in.Fault != nil {
		t.Errorf("an answered id may come again: %v", in.Fault)
	}
}

// A fact is unknown from the release of the call that makes it stale; what was read before the call ended proves nothing about the time after.
func TestStale(t *testing.T) {
	p := play(t)
	p.call("1", "get", `{}`)
	p.result("1", factResult("reservation", "before", "R1"))
	p.call("2", "get", `{}`)
	p.deny("3", "cancel", `{"id":"R1"}`)
	p.wantFact("before", "reservation", "R1")
	p.call("4", "cancel", `{"id":"R1"}`)
	p.wantFact("unknown", "reservation", "R1")
	p.result("2", factResult("reservation", "read before", "R1"))
	p.wantFact("unknown", "reservation", "R1")
	p.call("5", "get", `{}`)
	p.call("6", "get", `{}`)
	p.result("5", factResult("reservation", "read meanwhile", "R1"))
	p.wantFact("unknown", "reservation", "R1")
	p.result("4", factResult("reservation", "own result", "R1"))
	p.wantFact("own result", "reservation", "R1")
	p.result("6", factResult("reservation", "begun before the end", "R1"))
	p.wantFact("own result", "reservation", "R1")
	p.call("7", "get", `{}`)
	p.result("7", factResult("reservation", "after", "R1"))
	p.wantFact("after", "reservation", "R1")
	if n := len(p.s.facts.marks); n != 0 {
		t.Errorf("%d marks are left", n)
	}
}

func TestStaleBelowAKey(t *testing.T) {
	p := play(t)
	put := func(name string, key ...string) {
		p.call("x", "get", `{}`)
		p.result("x", factResult(name, "v", key...))
	}
	put("reservation", "R1")
	put("reservation", "R2")
	put("flight", "F1", "mon")
	put("flight", "F1", "tue")
	put("flight", "F2", "mon")
	p.call("w", "wipe", `{"id":"F1"}`)
	for _, want := range []struct {
		value, name string
		key         []string
	}{
		{"unknown", "reservation", []string{"R1"}}, {"unknown", "reservation", []string{"R2"}},
		{"unknown", "flight", []string{"F1", "mon"}}, {"unknown", "flight", []string{"F1", "tue"}}, {"v", "flight", []string{"F2", "mon"}},
	} {
		p.wantFact(want.value, want.name, want.key...)
	}
	p.fails("w")
	p.wantFact("unknown", "reservation", "R1")
	put("reservation", "R1")
	p.wantFact("v", "reservation", "R1")
	if n := p.s.facts.tables[1].n; n != 1 {
		t.Errorf("%d flights are counted, want 1", n)
	}
}

func TestHistoryPhases(t *testing.T) {
	p := play(t)
	p.call("1", "pay", `{"to":"ann","amount":10}`)
	p.wantPast(0, 0, payOK)
	p.wantPast(1, 0, payInFlight)
	p.wantPast(1, 10, payReserved)
	p.result("1", `{}`)
	p.wantPast(1, 0, payOK)
	p.wantPast(0, 0, payInFlight)
	p.wantPast(1, 10, payReserved)
	p.call("2", "pay", `{"to":"bob","amount":0.1}`)
	p.call("3", "pay", `{"to":"ann","amount":0.2}`)
	p.wantPast(3, 10.3, payReserved)
	p.fails("2")
	p.wantPast(2, 10.2, payReserved)
	p.wantPast(1, 0, payFailed)
	p.result("3", `{}`)
	p.deny("4", "pay", `{"to":"ann","amount":99}`)
	p.wantPast(2, 10.2, paySum)
	p.wantPast(2, 0, payTo, "ann")
	p.wantPast(0, 0, payTo, "bob")
	p.wantPast(2, 10.2, payDay, "ann")
	p.wantPast(1, 0, payDenied)
	p.wantPast(4, 0, payAttempted)
	if got := p.past(payOK).Last; !got.Equal(p.records[5].Event.Time) {
		t.Errorf("last at %v, want the time of the result %v", got, p.records[5].Event.Time)
	}
}

func TestHistoryWindow(t *testing.T) {
	p := play(t)
	for i := range 100 {
		p.call("1", "pay", `{"to":"ann","amount":1}`)
		p.result("1", `{}`)
		p.at = p.at.Add(time.Hour - 2*time.Second)
		p.wantPast(int64(min(i+1, 24)), float64(min(i+1, 24)), payDay, "ann")
	}
	if n := len(p.s.past.q[payDay].many["s3:ann"].ring); n > 64 {
		t.Errorf("%d points are kept for 24 in the window", n)
	}
	// Where the clock of a door runs backwards, the latest event is now: 25 results lie within the 24 hours before the last one, both ends included.
	p.at = p.at.Add(-50 * time.Hour)
	p.wantPast(25, 25, payDay, "ann")
	p.at = p.at.Add(100 * time.Hour)
	p.wantPast(0, 0, payDay, "ann")
	p.call("2", "pay", `{"to":"ann","amount":7}`)
	p.wantPast(1, 7, payReserved)
	p.at = p.at.Add(48 * time.Hour)
	p.wantPast(0, 0, payReserved)
}

func TestSumBeyondRange(t *testing.T) {
	p := play(t)
	p.call("1", "pay", `{"to":"ann","amount":1e300}`)
	if f := p.s.Faults(); len(f) != 1 || f[0].Code != CodeFull {
		t.Fatalf("faults %v", f)
	}
	if _, in := p.view("get", `{}`); in.Fault == nil || in.Fault.Code != CodeFull {
		t.Errorf("a call after a lost sum has fault %v", in.Fault)
	}
}

// Calls of one response see what their siblings reserved, and none of their results.
func TestParallelCalls(t *testing.T) {
	p := play(t)
	p.sibling("m1", 0, "1", "get", `{}`)
	p.sibling("m1", 1, "2", "pay", `{"to":"ann","amount":5}`)
	p.result("1", factResult("auth", "mia"))
	p.result("2", `{}`)
	v, _ := p.look(&proviso.ToolCall{ID: "3", Tool: "pay", Args: proviso.JSON(`{}`), Response: "m1", Index: 2})
	if got := factOf(v, "auth"); got != "unknown" {
		t.Errorf("a sibling sees auth as %s", got)
	}
	if got := v.History.Past(payReserved, nil, v.Now); got.Count != 1 || got.Sum != 5 {
		t.Errorf("a sibling sees %v reserved", got)
	}
	if got := v.History.Past(payOK, nil, v.Now); got.Count != 0 {
		t.Errorf("a sibling sees %d ok", got.Count)
	}
	if r := p.result("2", `{}`); !r.Unverified {
		t.Error("a second result of a held call counts")
	}
	v, _ = p.look(&proviso.ToolCall{ID: "4", Tool: "pay", Args: proviso.JSON(`{}`), Response: "m2"})
	if got := factOf(v, "auth"); got != "mia" {
		t.Errorf("the next response sees auth as %s", got)
	}
	if got := v.History.Past(payOK, nil, v.Now); got.Count != 1 {
		t.Errorf("the next response sees %d ok", got.Count)
	}
}

func TestSessionVariablesAndScopes(t *testing.T) {
	p := play(t)
	life := func(l proviso.Lifecycle) { p.do(proviso.SessionStart, &l, proviso.Allow) }
	life(proviso.Lifecycle{Kind: "start", User: "mia", Attributes: map[string]any{"tier": "gold", "age": 7}})
	p.user("hello")
	v, _ := p.view("get", `{}`)
	if v.Session["user"] != "mia" || v.Session["tier"] != "gold" || v.Session["turns"] != int64(1) || v.Session["id"] != "s" || v.Session["age"] != nil {
		t.Errorf("session variables %v", v.Session)
	}
	if at := v.Session["started"].(time.Time); !at.Equal(p.records[0].Event.Time) {
		t.Errorf("started %v", at)
	}
	life(proviso.Lifecycle{Kind: "start", User: "eve"})
	if v, _ = p.view("get", `{}`); v.Session["user"] != "mia" {
		t.Error("a second start made the session somebody else's")
	}
	for _, want := range []struct {
		l     proviso.Lifecycle
		scope string
	}{
		{proviso.Lifecycle{Kind: "handoff", Name: "refund"}, "refund"}, {proviso.Lifecycle{Kind: "handoff", Name: "inner"}, "inner"},
		{proviso.Lifecycle{Kind: "return"}, "refund"}, {proviso.Lifecycle{Kind: "idle"}, "refund"},
	} {
		life(want.l)
		if v, _ = p.view("get", `{}`); v.Scope != want.scope {
			t.Errorf("after %s the scope is %q, want %q", want.l.Kind, v.Scope, want.scope)
		}
	}
	p.deny("1", "close", `{}`)
	p.call("2", "close", `{}`)
	if v, _ = p.view("get", `{}`); v.Scope != "" {
		t.Errorf("scope %q after it was closed", v.Scope)
	}
}

func TestAttributeThatDoesNotConform(t *testing.T) {
	p := play(t)
	p.do(proviso.SessionStart, &proviso.Lifecycle{Kind: "start", Attributes: map[string]any{"tier": 5}}, proviso.Allow)
	v, _ := p.view("get", `{}`)
	if tier, ok := v.Session["tier"]; ok {
		t.Errorf("tier is %v; neither the value nor the default may count", tier)
	}
}

func TestChild(t *testing.T) {
	p := play(t)
	p.do(proviso.SessionStart, &proviso.Lifecycle{Kind: "start", User: "mia", Attributes: map[string]any{"tier": "gold"}}, proviso.Allow)
	c := p.s.Child("s.1", "billing")
	start := func(s *State) proviso.Record {
		ev := &proviso.Event{Session: s.ID(), Seq: 1, Time: noon, Point: proviso.SessionStart, Body: &proviso.Lifecycle{Kind: "start"}}
		in := s.Bind(ev)
		r := s.Record(in, proviso.Decision{Outcome: proviso.Allow, Policy: "d1"})
		if err := s.Apply(in, &r); err != nil {
			t.Fatal(err)
		}
		if ev.Agents != nil || ev.Body.(*proviso.Lifecycle).User != "" {
			t.Error("Bind changed the event")
		}
		return r
	}
	start(c)
	g := c.Child("s.2", "refunds")
	r := start(g)
	again, err := Fold(script{"d1"}, "s.2", func(yield func(proviso.Record) bool) { yield(r) })
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*State{"live": g, "folded": again} {
		in := s.Bind(&proviso.Event{Session: "s.2", Seq: 2, Time: noon, Body: &proviso.ToolCall{Tool: "get", Args: proviso.JSON(`{}`)}})
		if v := s.View(in); v.Session["user"] != "mia" || v.Session["tier"] != "gold" || strings.Join(in.Event.Agents, " ") != "refunds billing" {
			t.Errorf("%s: session %v, agents %v", name, v.Session, in.Event.Agents)
		}
	}
}

func snap(t testing.TB, s *State) []byte {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A recording shows what ran: its calls count even where we would have denied them.
func TestRecordExecuted(t *testing.T) {
	p := play(t)
	ev := &proviso.Event{Session: "s", Seq: 1, Time: noon, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "1", Tool: "pay", Args: proviso.JSON(`{"amount":3}`)}}
	in := p.s.Bind(ev)
	r := p.s.RecordExecuted(in, proviso.Decision{Outcome: proviso.Deny, Policy: "d1"})
	if err := p.s.Apply(in, &r); err != nil || r.Phase != proviso.Released {
		t.Fatal(r.Phase, err)
	}
	p.result("1", `{}`)
	p.wantPast(1, 3, paySum)
	p.wantPast(0, 0, payDenied)
}

func TestApplyRefuses(t *testing.T) {
	s := New(script{"d1"}, "s")
	for name, ev := range map[string]proviso.Event{
		"another session": {Session: "x", Seq: 1}, "a gap": {Session: "s", Seq: 2}, "seq 0": {Session: "s"},
	} {
		if err := s.Apply(nil, &proviso.Record{Event: ev}); err == nil || !strings.Contains(err.Error(), CodeFold) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Next() != 1 {
		t.Error("a refused record changed the state")
	}
	var zero State
	in := zero.Bind(&proviso.Event{Body: &proviso.ToolCall{}})
	if in.Fault == nil || zero.View(in).Facts != nil || zero.Apply(in, &proviso.Record{}) == nil {
		t.Error("the zero state works")
	}
}

// A record of another policy is read anew with this one.
func TestNewPolicyReadsFactsAnew(t *testing.T) {
	p := play(t)
	p.call("1", "get", `{}`)
	p.result("1", factResult("auth", "mia"))
	p.records[1].Facts = nil // as if the old policy had no such fact
	s, err := Fold(script{"d2"}, "s", func(yield func(proviso.Record) bool) {
		for _, r := range p.records {
			if !yield(r) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.s = s
	p.wantFact("mia", "auth")
}

func TestEditedCallCounts(t *testing.T) {
	p := play(t)
	r := p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: "1", Tool: "pay", Args: proviso.JSON(`{"to":"ann","amount":100}`)}, proviso.Allow, proviso.Edit{Rule: "cap", Path: "amount", Value: int64(5)})
	if in := (script{}).Bind(&r.Event, nil); r.ArgsHash == in.Hash || r.ArgsHash == "" {
		t.Error("the hash is not that of the edited arguments")
	}
	p.wantPast(1, 5, payReserved)
	bad := p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: "2", Tool: "pay", Args: proviso.JSON(`{"to":"ann","amount":100}`)}, proviso.Allow, proviso.Edit{Rule: "cap", Path: "amount.x", Value: int64(5)})
	if bad.Decision.Outcome != proviso.Deny || bad.Phase != proviso.Denied || bad.Decision.Errors[0].Code != CodeEdit {
		t.Errorf("an edit that does not fit: %s, %s", bad.Decision.Outcome, bad.Phase)
	}
}

func TestAnswers(t *testing.T) {
	p := play(t)
	v, in := p.view("get", `{}`)
	about := []any{"storm", int64(3)}
	if got := v.Answers.Answer("covered", about); got != proviso.Unknown {
		t.Fatal(got)
	}
	v.Answers.Answer("covered", about)
	asked := p.s.Questions([]proviso.Missing{{Kind: proviso.MissingQuestion, Question: "covered", Ask: "is it?"}, {Kind: proviso.MissingFact}})
	if len(asked) != 1 || asked[0].Ask != "is it?" || asked[0].About[0] != "storm" {
		t.Fatalf("asked %+v", asked)
	}
	p.s.Answer([]proviso.Answer{{Question: "covered", Hash: asked[0].Hash, Value: proviso.True}})
	if got := p.s.View(in).Answers.Answer("covered", about); got != proviso.True {
		t.Errorf("the answer is %s", got)
	}
	if got := p.s.View(in).Answers.Answer("covered", []any{"fog", int64(3)}); got != proviso.Unknown {
		t.Errorf("about other values the answer is %s", got)
	}
	if r := p.call("1", "get", `{}`); len(r.Answers) != 1 {
		t.Errorf("the record carries %d answers", len(r.Answers))
	}
	if r := p.call("2", "get", `{}`); len(r.Answers) != 0 {
		t.Errorf("the next record carries %d answers", len(r.Answers))
	}
	v, _ = p.view("get", `{}`)
	if got := v.Answers.Answer("covered", about); got != proviso.True {
		t.Errorf("later the answer is %s", got)
	}
	p.user("in fact it was fog")
	v, _ = p.view("get", `{}`)
	if got := v.Answers.Answer("covered", about); got != proviso.Unknown {
		t.Errorf("after more was said the answer is %s", got)
	}
}

func TestFullFactIsInError(t *testing.T) {
	p := play(t)
	f := &p.s.facts
	f.tables[0].n = MaxEntries
	p.call("1", "get", `{}`)
	p.result("1", factResult("reservation", "v", "R1"))
	p.wantFact("broken", "reservation", "R1")
	if fs := p.s.Faults(); len(fs) != 1 || fs[0].Code != CodeFactsFull {
		t.Errorf("faults %v", fs)
	}
}

// Facts that take too much memory are in error: a further entry is not found, and one that is replaced is not what it was.
func TestFactsAreBoundedInBytes(t *testing.T) {
	p := play(t)
	observe := func(id string, bytes int) {
		p.call(id, "get", `{}`)
		p.result(id, factResult("reservation", strings.Repeat("x", bytes), id))
	}
	before := p.s.facts.bytes
	observe("R1", 10)
	p.s.facts.bytes += MaxFacts - 100
	observe("R2", 200)
	p.wantFact("broken", "reservation", "R2")
	observe("R1", 200)
	p.wantFact("broken", "reservation", "R1")
	again, err := Restore(script{"d1"}, snap(t, p.s))
	if err != nil {
		t.Fatal(err)
	}
	key := policy.Key{N: 1}
	key.Part[0] = "R1"
	if _, st := again.facts.Fact(0, key); st != policy.Broken {
		t.Errorf("restored: %v", st)
	}
	p.s.facts.bytes -= MaxFacts - 100
	observe("R1", 20)
	p.wantFact(strings.Repeat("x", 20), "reservation", "R1")
	p.call("c", "cancel", `{"id":"R1"}`)
	if p.s.facts.bytes != before {
		t.Errorf("%d bytes are counted of facts that are forgotten", p.s.facts.bytes-before)
	}
}

// A fact that is nested so deeply that its record could not be read again is in error; the record is read again.
func TestDeepFactIsInError(t *testing.T) {
	for depth, broken := range map[int]bool{maxFactDepth - 1: false, maxFactDepth: false, maxFactDepth + 1: true, proviso.MaxJSONDepth: true} {
		v, err := proviso.DecodeResultJSON(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if err != nil {
			t.Fatal(err)
		}
		got := inUTC([]proviso.FactValue{{Value: v}})
		if (got[0].Err != "") != broken || (got[0].Value == nil) != broken {
			t.Errorf("depth %d: %q", depth, got[0].Err)
		}
		b, err := proviso.AppendJSON(nil, &proviso.Record{Facts: got})
		if err == nil {
			err = proviso.DecodeStrict(b, new(proviso.Record))
		}
		if err != nil {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// What calls in flight carry is bounded, and counted no longer when they are answered.
func TestCallsInFlightAreBoundedInBytes(t *testing.T) {
	p := play(t)
	args := `{"note":"` + strings.Repeat("x", 1<<19) + `"}`
	for i := range MaxFlight / len(args) {
		p.call(fmt.Sprint(i), "get", args)
	}
	if _, in := p.view("get", args); in.Fault == nil || in.Fault.Code != CodeFull {
		t.Errorf("fault %v", in.Fault)
	}
	p.result("0", `{}`)
	if _, in := p.view("get", args); in.Fault != nil {
		t.Errorf("fault %v", in.Fault)
	}
	for i := range MaxFlight/len(args) - 1 {
		p.result(fmt.Sprint(i+1), `{}`)
	}
	if n := p.s.calls.bytes; n != 0 {
		t.Errorf("%d bytes are counted of calls that are answered", n)
	}
}

func TestTooManyCallsInFlight(t *testing.T) {
	p := play(t)
	for range MaxOpen {
		p.call("", "get", `{}`)
	}
	if _, in := p.view("get", `{}`); in.Fault == nil || in.Fault.Code != CodeFull {
		t.Errorf("fault %v", in.Fault)
	}
}

func TestMarksAreBounded(t *testing.T) {
	p := play(t)
	p.call("stuck", "get", `{}`)
	for range maxMarks + 10 {
		p.call("c", "cancel", `{"id":"R1"}`)
		p.result("c", `{}`)
	}
	if n := len(p.s.facts.marks); n > maxMarks {
		t.Errorf("%d marks", n)
	}
	p.result("stuck", factResult("reservation", "ancient", "R1"))
	p.wantFact("unknown", "reservation", "R1")
	p.call("g", "get", `{}`)
	p.result("g", factResult("reservation", "fresh", "R1"))
	p.wantFact("fresh", "reservation", "R1")
}

// Facts keep their times in UTC, as a record gives them back; a value that others share is copied before it is changed.
func TestFactsAreInUTC(t *testing.T) {
	there := time.FixedZone("there", 3600)
	at := time.Date(2026, 3, 1, 13, 0, 0, 0, there)
	shared := map[string]any{"at": at, "list": []any{"x", map[string]any{"at": at}}, "n": int64(1)}
	got := inUTC([]proviso.FactValue{{Value: shared}})[0].Value.(map[string]any)
	for name, v := range map[string]any{"at": got["at"], "list.1.at": got["list"].([]any)[1].(map[string]any)["at"]} {
		if v := v.(time.Time); v.Location() != time.UTC || !v.Equal(at) {
			t.Errorf("%s is %v", name, v)
		}
	}
	if shared["at"].(time.Time).Location() != there || shared["list"].([]any)[1].(map[string]any)["at"].(time.Time).Location() != there {
		t.Error("the shared value was changed")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	s := New(script{"d1"}, "s")
	for i := range MaxAnswers + 5 {
		s.Answer([]proviso.Answer{{Hash: fmt.Sprint(i), Value: proviso.True}, {Hash: "open", Value: proviso.Unknown}})
	}
	if n := len(s.answers.by); n != MaxAnswers || s.answers.by["0"] == proviso.True {
		t.Errorf("%d answers", n)
	}
}

func TestMessages(t *testing.T) {
	p := play(t)
	p.user("one")
	p.assistant("two")
	p.user("three")
	if got := p.s.Messages(2); len(got) != 2 || got[0].Text != "two" || got[0].Role != proviso.Assistant || got[1].Text != "three" {
		t.Errorf("%+v", got)
	}
	if got := len(p.s.Messages(9)) + len(p.s.Messages(0)) + len(p.s.Messages(-1)); got != 3 {
		t.Errorf("%d messages", got)
	}
}

var _ Rules = (*policy.Policy)(nil)

// A fact with an initial value counts the result of every parallel call, whatever their order, and misses none that a stale mark of another fact holds back.
func TestFormer(t *testing.T) {
	p := play(t)
	for _, id := range []string{"a", "b", "c"} {
		p.do(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: "get", Args: proviso.JSON(`{}`), Response: "m1"}, proviso.Allow)
	}
	for _, id := range []string{"b", "a", "c"} {
		p.result(id, factResult("trail", id, "R1"))
	}
	p.wantFact("|bac", "trail", "R1")
	p.wantFact("|", "trail", "R2")
	p.s.facts.floor = 1 << 40 // what calls released so far tell of other facts is outdated
	p.call("d", "get", `{}`)
	p.result("d", factResult("trail", "d", "R1"))
	p.wantFact("|bacd", "trail", "R1")
}
