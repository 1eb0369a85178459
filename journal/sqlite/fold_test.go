package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/session"
)

// A session whose bodies were redacted goes on with the facts that it knew and the budget that it had used up.
func TestRedactedSessionGoesOn(t *testing.T) {
	pol := shopPolicy(t)
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	st := session.New(pol, "s")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	step := func(st *session.State, b proviso.Body) (proviso.Record, error) {
		at = at.Add(time.Second)
		ev := &proviso.Event{Session: "s", Seq: st.Next(), Time: at, Point: pointOf(b), Body: b}
		in := st.Bind(ev)
		r := st.Record(in, pol.Decide(in, st.View(in)))
		return r, st.Apply(in, &r)
	}
	refund := func(id string, amount string) *proviso.ToolCall {
		return &proviso.ToolCall{ID: id, Tool: "refund", Args: proviso.JSON(`{"id":"R1","amount":` + amount + `,"note":"` + secret + `"}`)}
	}
	for _, b := range []proviso.Body{
		&proviso.ToolCall{ID: "1", Tool: "get_order", Args: proviso.JSON(`{"id":"R1"}`)},
		&proviso.ToolResult{CallID: "1", Tool: "get_order", Content: proviso.JSON(`{"id":"R1","total":999999.5}`)},
		refund("2", "999999.0"),
		&proviso.ToolResult{CallID: "2", Tool: "refund", Text: secret},
		&proviso.ToolCall{ID: "3", Tool: "get_order", Args: proviso.JSON(`{"id":"R1"}`)},
		&proviso.ToolResult{CallID: "3", Tool: "get_order", Content: proviso.JSON(`{"id":"R1","total":50}`)},
	} {
		r, err := step(st, b)
		if err != nil || r.Decision.Outcome != proviso.Allow {
			t.Fatalf("%+v: %v", r.Decision, err)
		}
		add(t, s, r)
	}
	if n, err := s.Redact(ctx, "s", 1, 0, "asked by the customer"); err != nil || n != 6 {
		t.Fatal(n, err)
	}
	for amount, want := range map[string]proviso.Outcome{"1.0": proviso.Allow, "2.0": proviso.Deny, "51.0": proviso.Deny} {
		again := session.New(pol, "s")
		for r, err := range s.Read(ctx, "s", 1) {
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Apply(nil, &r); err != nil {
				t.Fatal(err)
			}
		}
		for name, st := range map[string]*session.State{"redacted": again, "live": st} {
			ev := &proviso.Event{Session: "s", Seq: st.Next(), Time: at, Point: proviso.ToolCallPoint, Body: refund("4", amount)}
			in := st.Bind(ev)
			if d := pol.Decide(in, st.View(in)); d.Outcome != want {
				t.Errorf("%s: a refund of %s is %s, want %s: %+v", name, amount, d.Outcome, want, d.Reasons)
			}
		}
	}
}
