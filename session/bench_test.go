package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// grown is a session in which n calls were made and answered.
func grown(b testing.TB, n int) *player {
	p := play(b)
	for i := range n {
		p.call("c", "pay", fmt.Sprintf(`{"to":"p%d","amount":1.5}`, i%50))
		p.result("c", factResult("reservation", "v", fmt.Sprint("R", i)))
		p.at = p.at.Add(30 * time.Second)
	}
	return p
}

// The cost of a step must not depend on how long the session is: what a decision asks of the view, and what a call and its result add to the state.
func BenchmarkSession(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		p := grown(b, n)
		call := p.look2("pay", `{"to":"p1","amount":1}`)
		key := policy.Key{N: 1}
		key.Part[0] = "R1"
		values := []any{"p1"}
		b.Run(fmt.Sprintf("view/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v := p.s.View(call)
				v.Facts.Fact(0, key)
				v.History.Past(payDay, values, v.Now)
				v.History.Past(payReserved, nil, v.Now)
			}
		})
		b.Run(fmt.Sprintf("step/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			d := proviso.Decision{Outcome: proviso.Allow, Policy: "d1"}
			answer := &proviso.ToolResult{CallID: "look", Content: proviso.JSON(`{}`)}
			for b.Loop() {
				p.at = p.at.Add(30 * time.Second)
				ev := &proviso.Event{Session: "s", Seq: p.s.Next(), Time: p.at, Point: proviso.ToolCallPoint, Body: call.Event.Body}
				in := &policy.Input{Event: ev, Args: call.Args, Hash: call.Hash}
				p.s.View(in)
				r := p.s.Record(in, d)
				if err := p.s.Apply(in, &r); err != nil {
					b.Fatal(err)
				}
				out := &policy.Input{Event: &proviso.Event{Session: "s", Seq: p.s.Next(), Time: p.at, Point: proviso.ToolResultPoint, Body: answer}}
				p.s.View(out)
				r = p.s.Record(out, d)
				if err := p.s.Apply(out, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func (p *player) look2(tool, args string) *policy.Input {
	_, in := p.view(tool, args)
	return in
}

func BenchmarkConfirmed(b *testing.B) {
	p := play(b)
	p.assistant("I can cancel reservation R1 for you. The refund will be 120 USD. Do you agree?")
	p.user("Yes, please go ahead.")
	for range MaxMessages/2 - 2 {
		p.assistant("Here is some more information about what you asked me before, in a sentence or two.")
		p.user("Thank you, that is good to know. And what about the bags?")
	}
	in := p.look2("cancel", `{"id":"R1"}`)
	b.ReportAllocs()
	for b.Loop() {
		if p.s.View(in).Consent.Confirmed(in) != proviso.True {
			b.Fatal("not confirmed")
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	p := grown(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		bytes := snap(b, p.s)
		if _, err := Restore(script{"d1"}, bytes); err != nil {
			b.Fatal(err)
		}
	}
}

// Looking at the state allocates nothing.
func TestViewAllocatesNothing(t *testing.T) {
	p := grown(t, 100)
	in := p.look2("pay", `{"to":"p1","amount":1}`)
	key := policy.Key{N: 1}
	key.Part[0] = "R1"
	values := []any{"p1"}
	if n := testing.AllocsPerRun(100, func() {
		v := p.s.View(in)
		v.Facts.Fact(0, key)
		v.History.Past(payDay, values, v.Now)
		v.History.Past(payReserved, nil, v.Now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
