package session

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/builtin"
)

// randomPlay lets anything happen: calls of every kind, results of calls in flight and of others, errors, messages, handoffs.
func randomPlay(rt *rapid.T, p *player, steps int, each func()) {
	var open []string
	n := 0
	draw := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, name) }
	outcome := func() proviso.Outcome {
		return rapid.SampledFrom([]proviso.Outcome{proviso.Allow, proviso.Allow, proviso.Allow, proviso.Deny, proviso.NeedInfo, proviso.Escalate}).Draw(rt, "outcome")
	}
	id := func() string { return draw("id", "R1", "R2", "R12") }
	for range steps {
		switch rapid.IntRange(0, 9).Draw(rt, "step") {
		case 0, 1, 2:
			n++
			c := &proviso.ToolCall{ID: fmt.Sprint(n), Tool: draw("tool", "get", "pay", "cancel", "wipe", "close"), Response: draw("response", "", "m1", "m2")}
			c.Args = proviso.JSON(fmt.Sprintf(`{"id":%q,"to":%q,"amount":%d.%d}`, id(), draw("to", "ann", "bob"), rapid.IntRange(0, 99).Draw(rt, "units"), rapid.IntRange(0, 9).Draw(rt, "tenths")))
			if rapid.IntRange(0, 9).Draw(rt, "bad") == 0 {
				c.Args = proviso.JSON(`{`)
			}
			if rapid.IntRange(0, 4).Draw(rt, "anonymous") == 0 {
				c.ID = ""
			}
			var edits []proviso.Edit
			if rapid.IntRange(0, 4).Draw(rt, "edited") == 0 && len(c.Args) > 1 {
				edits = []proviso.Edit{{Rule: "cap", Path: "amount", Value: int64(1)}}
			}
			d := proviso.Decision{Outcome: outcome(), Edits: edits}
			if d.Outcome == proviso.NeedInfo {
				d.Missing = []proviso.Missing{{Kind: proviso.MissingConfirmation}}
			}
			if r := p.decided(proviso.ToolCallPoint, c, d); r.Phase == proviso.Released {
				open = append(open, c.ID)
			}
		case 3, 4, 5:
			r := &proviso.ToolResult{CallID: "none", Tool: draw("tool", "", "", "get"), IsError: rapid.IntRange(0, 4).Draw(rt, "fails") == 0}
			if len(open) > 0 && rapid.IntRange(0, 5).Draw(rt, "stray") > 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
				r.CallID = open[i]
				if rapid.IntRange(0, 4).Draw(rt, "again") > 0 {
					open = slices.Delete(open, i, i+1)
				}
			}
			value := draw("value", `"a"`, `{"n":1,"x":2.5}`, `"2026-03-01T10:00:00Z"`, `[1,2.0,null]`)
			fact := draw("fact", `"reservation","key":["`+id()+`"]`, `"flight","key":["R1","`+id()+`"]`, `"auth","key":[]`, `"auth","key":[],"error":"bad"`, `"trail","key":["`+id()+`"]`)
			r.Content = proviso.JSON(`{"facts":[{"fact":` + fact + `,"value":` + value + `}]}`)
			p.do(proviso.ToolResultPoint, r, outcome())
		case 6:
			m := &proviso.Message{Role: proviso.User, Text: draw("text", "yes", "no", "yes but", "hello")}
			if rapid.IntRange(0, 4).Draw(rt, "button") == 0 {
				m.Confirms = []string{script{}.Bind(&proviso.Event{Body: &proviso.ToolCall{Tool: "cancel", Args: proviso.JSON(`{"id":"R1"}`)}}, nil).Hash}
			}
			p.do(proviso.Input, m, outcome())
		case 7:
			p.do(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Shall I do it for " + id() + " and ann, 1.0?"}, outcome())
		case 8:
			p.do(proviso.SessionStart, &proviso.Lifecycle{Kind: draw("kind", "start", "handoff", "return", "idle"), Name: "desk", User: "mia", Attributes: map[string]any{"tier": "gold"}}, outcome())
		case 9:
			if v, in := p.view("pay", `{}`); v.Answers.Answer("q", []any{id()}) == proviso.Unknown && in.Fault == nil {
				asked := p.s.Questions([]proviso.Missing{{Kind: proviso.MissingQuestion, Question: "q"}})
				p.s.Answer([]proviso.Answer{{Question: "q", Hash: asked[0].Hash, Value: proviso.True}})
			}
			p.do(proviso.ToolCallPoint, &proviso.ToolCall{Tool: "peek", Args: proviso.JSON(`{}`)}, proviso.Deny)
		}
		p.at = p.at.Add(day / 8 * time.Duration(rapid.IntRange(0, 3).Draw(rt, "pause")))
		each()
	}
}

// observation is everything that a decision could ask of a state.
func observation(s *State, p *player) map[string]any {
	out := map[string]any{}
	for _, response := range []string{"", "m1"} {
		for _, args := range []string{`{"id":"R1"}`, `{"id":"R1","to":"ann","amount":1}`} {
			ev := &proviso.Event{Session: "s", Seq: s.Next(), Time: p.at, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "look", Tool: "cancel", Args: proviso.JSON(args), Response: response}}
			in := s.Bind(ev)
			v := s.View(in)
			at := response + args
			out[at+" fault"] = in.Fault
			out[at+" session"] = fmt.Sprint(v.Session, v.Scope)
			out[at+" confirmed"] = v.Consent.Confirmed(in)
			out[at+" answer"] = v.Answers.Answer("q", []any{"R1"})
			for _, key := range [][]string{{"R1"}, {"R2"}, {"R12"}} {
				out[at+" reservation "+key[0]] = factOf(v, "reservation", key...)
				out[at+" trail "+key[0]] = factOf(v, "trail", key...)
				out[at+" flight "+key[0]] = factOf(v, "flight", "R1", key[0])
			}
			out[at+" auth"] = factOf(v, "auth")
			for _, x := range []any{"R1", "ann", "a", "2026-03-01", 2.5, "yes but", "nowhere"} {
				out[fmt.Sprint(at, " origin ", x)] = fmt.Sprint(v.Origins.Of(x, builtin.ByValue), v.Origins.Every(x))
			}
			out[at+" context"] = fmt.Sprint(v.Origins.Of("", builtin.ByContext))
			for q := range scriptQueries {
				var values []any
				if len(scriptQueries[q].Filter) > 0 {
					values = []any{"ann"}
				}
				out[fmt.Sprint(at, " query ", q)] = v.History.Past(q, values, v.Now)
			}
		}
	}
	return out
}

// throughJSON is what a journal on disk gives back.
func throughJSON(t testing.TB, rs []proviso.Record) []proviso.Record {
	t.Helper()
	out := make([]proviso.Record, len(rs))
	for i := range rs {
		b, err := proviso.AppendJSON(nil, &rs[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := proviso.DecodeStrict(b, &out[i]); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return out
}

func foldAll(t testing.TB, rs []proviso.Record) *State {
	t.Helper()
	s, err := Fold(script{"d1"}, "s", slices.Values(rs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The state that lived through the events, the one folded from its records at any moment (as after a crash), the one folded from the records as a disk gives them back,
// and one that was snapshot at some point and went on from there are the same to every decision; equal states have equal snapshots.
func TestFoldEqualsLive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := play(t)
		restored := New(script{"d1"}, "s")
		cut := rapid.IntRange(1, 40).Draw(rt, "cut")
		randomPlay(rt, p, rapid.IntRange(1, 40).Draw(rt, "steps"), func() {
			want := snap(t, p.s)
			if got := snap(t, foldAll(t, p.records)); !bytes.Equal(got, want) {
				rt.Fatalf("folded after record %d:\n%s\nlive:\n%s", len(p.records), got, want)
			}
			for n := int(restored.Next()); n <= len(p.records); n++ {
				if err := restored.Apply(nil, &p.records[n-1]); err != nil {
					rt.Fatal(err)
				}
				if n == cut {
					again, err := Restore(script{"d1"}, snap(t, restored))
					if err != nil {
						rt.Fatal(err)
					}
					restored = again
				}
			}
			if got := snap(t, restored); !bytes.Equal(got, want) {
				rt.Fatalf("restored after record %d, now %d:\n%s\nlive:\n%s", cut, len(p.records), got, want)
			}
		})
		live := observation(p.s, p)
		for name, s := range map[string]*State{"folded": foldAll(t, p.records), "folded from disk": foldAll(t, throughJSON(t, p.records)), "restored": restored} {
			got := observation(s, p)
			for k, v := range live {
				if !reflect.DeepEqual(got[k], v) {
					rt.Errorf("%s: %s is %v, live %v", name, k, got[k], v)
				}
			}
		}
	})
}

func TestRestoreRefuses(t *testing.T) {
	p := play(t)
	p.call("1", "pay", `{"to":"ann","amount":1}`)
	p.result("1", `{}`)
	p.call("2", "pay", `{"to":"ann","amount":1}`)
	good := string(snap(t, p.s))
	for name, c := range map[string]struct{ from, to, want string }{
		"another policy":         {`"policy":"d1"`, `"policy":"d2"`, "fold the records"},
		"another version":        {`"version":3`, `"version":9`, "fold the records"},
		"an unknown key":         {`"version":3`, `"version":3,"extra":2`, "PV007"},
		"a cut text":             {`}`, ``, CodeSnapshot},
		"a reservation too many": {`"open":"BoD`, `"open":"EoD`, "without its call"},
		"half a point":           {`pgxAAA="`, `pgxAA=="`, "cut off"},
		"an unknown query":       {`"queries":{`, `"queries":{"x":[],`, "does not ask"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, c.from, c.to, 1)
			if bad == good {
				t.Fatalf("the snapshot has no %s: %s", c.from, good)
			}
			if _, err := Restore(script{"d1"}, []byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
