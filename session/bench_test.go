package session

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/builtin"
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

// remembering is a session in which n messages and results were read, each with words of its own.
func remembering(b testing.TB, n int) *player {
	p := play(b)
	for i := range n / 2 {
		p.user(fmt.Sprintf("Please look at invoice INV-%d of %d May, for customer%d@example.com.", i, i%28+1, i))
		p.call("c", "get_invoice", `{}`)
		p.result("c", fmt.Sprintf(`{"id": "INV-%d", "to": "payee%d@example.com", "total": %d.5, "note": "Thank you for your order number %d, it will be delivered to the usual address."}`, i, i, i, i))
	}
	return p
}

// calm asks for no consent, whose cost depends on how many of the newest messages there are.
type calm struct{ script }

func (calm) AsksConsent() bool { return false }

// What it costs to ask for an origin must not depend on how long the session is.
func BenchmarkOrigins(b *testing.B) {
	values := map[string]any{
		"address":  "",
		"unknown":  "nobody@example.net",
		"sentence": "Thank you for your order, it will be delivered to the usual address by 5 May.",
	}
	for _, n := range []int{10, 100, 1000, 10000} {
		p := remembering(b, n)
		values["address"] = fmt.Sprintf("customer%d@example.com", n/2-1)
		in := p.look2("pay", `{"to":"customer1@example.com"}`)
		p.s.origins.rules = calm{script{"d1"}}
		for _, name := range []string{"address", "unknown", "sentence"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					v := p.s.View(in)
					v.Origins.Of(values[name], builtin.ByValue)
					v.Origins.Every(values[name])
				}
			})
		}
	}
}

// BenchmarkOriginsRead is what a message and a result of some 150 bytes add, and what a session that is full of them keeps.
func BenchmarkOriginsRead(b *testing.B) {
	o := &play(b).s.origins
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		o.value(from{"tool:get_invoice", plain}, map[string]any{"id": fmt.Sprint("INV-", i), "note": "Thank you for your order, it will be delivered to the usual address.", "total": 12.5})
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := play(b)
	for i := range 3 * MaxWords / 20 {
		p.s.origins.message(&proviso.Message{Role: proviso.User, Text: fmt.Sprintf("a%d b%d c%d d%d e%d f%d g%d h%d i%d j%d and so on as one says in many texts", i, i, i, i, i, i, i, i, i, i)})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB/session")
	runtime.KeepAlive(p)
}
