package session

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

// bare is a record whose body a journal took out: what the call was, not what it carried.
func bare(r proviso.Record) proviso.Record {
	r.Redacted = true
	r.Decision.Edits = nil
	switch b := r.Event.Body.(type) {
	case *proviso.Message:
		r.Event.Body = &proviso.Message{Role: b.Role, Confirms: b.Confirms}
	case *proviso.ToolCall:
		r.Event.Body = &proviso.ToolCall{ID: b.ID, Tool: b.Tool, Response: b.Response, Index: b.Index}
	case *proviso.ToolResult:
		r.Event.Body = &proviso.ToolResult{CallID: b.CallID, Tool: b.Tool, IsError: b.IsError}
	}
	return r
}

// A fold over records whose bodies were taken out gives the facts, counts, sums, windows, scopes, turns and answers that the live session had. Agreements that nobody can read any more are forgotten, and origins are those of the reachable context; nothing else differs.
func TestFoldOfRedactedRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := play(t)
		randomPlay(rt, p, 25, func() {})
		from := rapid.IntRange(0, len(p.records)).Draw(rt, "from")
		folded := New(p.s.rules, p.s.id)
		for i, r := range p.records {
			if i >= from {
				r = bare(r)
			}
			if err := folded.Apply(nil, &r); err != nil {
				rt.Fatal(err)
			}
		}
		want, got := observation(p.s, p), observation(folded, p)
		for k, w := range want {
			if strings.HasSuffix(k, " context") {
				wantLabels(rt, k, got[k], w)
				continue
			}
			if g := got[k]; !strings.Contains(k, " origin ") && !reflect.DeepEqual(w, g) && !(strings.HasSuffix(k, " confirmed") && g == proviso.Unknown) {
				rt.Fatalf("%s: %v, want %v", k, g, w)
			}
		}
		var events []proviso.Event
		for _, r := range p.records {
			events = append(events, r.Event)
		}
		fresh, changed := p.s.Resync(events)
		again, changedToo := folded.Resync(events)
		if len(fresh) != len(again) || changed != changedToo {
			rt.Fatalf("a transcript that is sent again has %d new events (changed %v), want %d (%v)", len(again), changedToo, len(fresh), changed)
		}
	})
}

// Under another policy what was redacted cannot be read anew: facts do not count, and a count by an argument that was not kept ends the session.
func TestRedactedUnderAnotherPolicy(t *testing.T) {
	p := play(t)
	p.call("1", "get", `{"id":"R1"}`)
	p.do(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "1", Content: proviso.JSON(`{"facts":[{"fact":"reservation","key":["R1"],"value":"a"}]}`)}, proviso.Allow)
	v, _ := p.view("look", `{}`)
	if got := factOf(v, "reservation", "R1"); got != "a" {
		t.Fatalf("the fact was not observed: %q", got)
	}
	p.call("2", "pay", `{"id":"R1","to":"ann","amount":1.5}`)
	for kept, faults := range map[bool]int{true: 0, false: 1} {
		folded := New(script{"d2"}, "s")
		for _, r := range p.records {
			r = bare(r)
			if !kept {
				r.Kept = nil
			}
			if err := folded.Apply(nil, &r); err != nil {
				t.Fatal(err)
			}
		}
		in := folded.Bind(&proviso.Event{Session: "s", Seq: folded.Next(), Time: p.at, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "9", Tool: "look", Args: proviso.JSON(`{}`)}})
		if got := factOf(folded.View(in), "reservation", "R1"); got != factOf(New(script{"d2"}, "s").View(in), "reservation", "R1") {
			t.Errorf("a fact of the other policy counts: %v", got)
		}
		if got := factOf(folded.View(in), "trail", "R1"); got != "unknown" {
			t.Errorf("a fact has its initial value, although nobody can read what changed it: %v", got)
		}
		snap, err := folded.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Restore(folded.rules, snap); err != nil || factOf(again.View(in), "trail", "R1") != "unknown" {
			t.Errorf("the snapshot forgot that: %v", err)
		}
		if n := len(folded.Faults()); n != faults {
			t.Errorf("arguments kept: %v: %v", kept, folded.Faults())
		}
	}
}

// wantLabels looks that no label of the reachable context is lost but those of single fields, which no condition of the script asks for.
func wantLabels(rt *rapid.T, at string, got, want any) {
	list := func(v any) []string { return strings.Fields(strings.Trim(v.(string), "[]")) }
	for _, l := range list(want) {
		if _, field, _ := strings.Cut(l, "."); field == "" && !slices.Contains(list(got), l) {
			rt.Fatalf("%s: the label %s is lost: %v, want %v", at, l, got, want)
		}
	}
}
