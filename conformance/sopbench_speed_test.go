package conformance

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// sopReady is a session in which everything that a call needs is known, and the call, which was not made yet.
type sopReady struct {
	policy *policy.Policy
	state  *session.State
	call   *proviso.Event
	want   proviso.Outcome
}

// step decides an event and makes it part of the session.
func (r *sopReady) step(t testing.TB, point proviso.Point, body proviso.Body) proviso.Decision {
	t.Helper()
	ev := &proviso.Event{Session: r.state.ID(), Seq: r.state.Next(), Time: sopNow, Point: point, Body: body}
	in := r.state.Bind(ev)
	d := r.policy.Decide(in, r.state.View(in))
	rec := r.state.Record(in, d)
	must(t, r.state.Apply(in, &rec))
	return d
}

func (r *sopReady) bind() *policy.Input { return r.state.Bind(r.call) }

func (r *sopReady) decide(in *policy.Input) proviso.Decision {
	return r.policy.Decide(in, r.state.View(in))
}

var sopNow = time.Date(2024, 5, 15, 15, 0, 0, 0, time.UTC)

// ready reads what the decision about a call asks for, until it asks for nothing more.
func (c sopCall) ready(t testing.TB, p *policy.Policy, books json.RawMessage) *sopReady {
	t.Helper()
	r := &sopReady{policy: p, state: session.New(p, c.ID)}
	r.step(t, proviso.SessionStart, &proviso.Lifecycle{Kind: "start", Attributes: c.attributes()})
	for range maxSteps {
		r.call = &proviso.Event{Session: c.ID, Seq: r.state.Next(), Time: sopNow, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "asked", Tool: c.Tool, Args: proviso.JSON(c.Args)}}
		d := r.decide(r.bind())
		if r.want = d.Outcome; r.want != proviso.NeedInfo {
			break
		}
		for i, m := range d.Missing {
			for _, s := range m.Suppliers[:min(1, len(m.Suppliers))] {
				id := fmt.Sprint("read-", r.state.Next(), "-", i)
				if r.step(t, proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: s.Tool, Args: proviso.JSON(encode(t, s.Args))}).Outcome != proviso.Allow {
					continue
				}
				raw, err := sopReads[s.Tool](books, s.Args)
				if err != nil {
					raw = encode(t, err.Error())
				}
				r.step(t, proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Tool: s.Tool, Content: proviso.JSON(raw), IsError: err != nil})
			}
		}
	}
	return r
}

// BenchmarkSOPBenchDecide decides the suite's calls, those with conditions, by the hand-written packs, each in a session that has read the books; the view is made and the decision carries its reasons.
// From bytes, the arguments are parsed and checked as well. Side by side encoding/json parses the arguments and no more, so that a figure does not depend on the machine.
// The rates are those of the fastest round, since others use the machine as well.
func BenchmarkSOPBenchDecide(b *testing.B) {
	data := readSOP(b)
	var calls []*sopReady
	var bound []*policy.Input
	for _, domain := range data.domains() {
		dir, ok := sopPackOf(domain)
		if !ok {
			continue
		}
		d := newSOPDesk(b, dir)
		for _, c := range data.calls {
			if c.Domain != domain || c.Permit == nil || c.Tree == nil {
				continue
			}
			rules, err := d.rulesFor(c)
			must(b, err)
			r := c.ready(b, d.policy(b, rules), data.books[c.DB])
			calls, bound = append(calls, r), append(bound, r.bind())
		}
	}
	if len(calls) == 0 {
		b.Skip("no domain of the suite has a pack")
	}
	check := func(r *sopReady, d proviso.Decision) {
		if d.Outcome != r.want {
			b.Fatal("a decision changed")
		}
	}
	rounds := []struct {
		play func(i int, r *sopReady)
		best time.Duration
	}{
		{play: func(i int, r *sopReady) { check(r, r.decide(bound[i])) }},
		{play: func(_ int, r *sopReady) { check(r, r.decide(r.bind())) }},
		{play: func(_ int, r *sopReady) {
			var args any
			must(b, json.Unmarshal(r.call.Body.(*proviso.ToolCall).Args, &args))
		}},
	}
	b.ReportAllocs()
	for b.Loop() {
		for k := range rounds {
			start := time.Now()
			for i, r := range calls {
				rounds[k].play(i, r)
			}
			if took := time.Since(start); rounds[k].best == 0 || took < rounds[k].best {
				rounds[k].best = took
			}
		}
	}
	rate := func(k int) float64 { return float64(len(calls)) / rounds[k].best.Seconds() }
	b.ReportMetric(rate(0), "decisions/s")
	fmt.Printf("figure: sopbench.decisions_per_second = %.0f (n=%d)\n", rate(0), len(calls))
	fmt.Printf("figure: sopbench.decisions_per_second_from_bytes = %.0f (n=%d)\n", rate(1), len(calls))
	fmt.Printf("figure: sopbench.decision_over_json = %.3g (n=%d)\n", float64(rounds[0].best)/float64(rounds[2].best), len(calls))
}
