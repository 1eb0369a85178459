package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/session"
)

// BenchmarkAppend appends records of about 1 kB: enqueued (best effort), waited for one by one, and waited for by 64 sessions at once, which share commits.
func BenchmarkAppend(b *testing.B) {
	b.Run("best_effort", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "j.db"))
		seq := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			r := call("a", seq)
			for s.Enqueue(ctx, r) != nil {
				time.Sleep(time.Millisecond) // the line is full: the disk sets the pace
			}
		}
		if err := s.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("required", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "j.db"))
		seq := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			add(b, s, call("a", seq))
		}
	})
	b.Run("required, 64 sessions", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "j.db"))
		var n atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			id := fmt.Sprint(n.Add(1))
			for seq := uint64(1); p.Next(); seq++ {
				if err := s.Append(ctx, call(id, seq)); err != nil {
					b.Error(err)
				}
			}
		})
		st := s.Stats()
		b.ReportMetric(float64(st.Committed)/float64(st.Commits), "records/commit")
	})
}

// BenchmarkCommit is one commit of nothing but a page: what the disk asks for a sync.
func BenchmarkCommit(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "j.db"))
	add(b, s, call("a", 1))
	for b.Loop() {
		if err := s.Exec("UPDATE meta SET syncs = syncs + 1"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies 20,000 records of about 1 kB in 100 sessions.
func BenchmarkVerify(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "j.db"))
	const n = 20000
	bytes := 0
	for i := range n {
		r := call(fmt.Sprint(i%100), uint64(i/100)+1)
		r.Event.Body.(*proviso.ToolCall).Args = proviso.JSON(`{"note":"` + strings.Repeat("x", 600) + `"}`)
		if i == 0 {
			e, err := journal.Seal(&r, journal.Hash{})
			if err != nil {
				b.Fatal(err)
			}
			bytes = len(e.Head) + len(e.Body)
		}
		for s.Enqueue(ctx, r) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	wantSound(b, s)
	for b.Loop() {
		wantSound(b, s)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/n, "ns/record")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(bytes), "bytes/record")
}

// BenchmarkDo is a guarded call and its result, beside the bare decisions on both.
func BenchmarkDo(b *testing.B) {
	pol := shopPolicy(b)
	result := proviso.ToolResult{Content: proviso.JSON(`{"id":"R1","total":5.5}`)}
	ask := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "g", Tool: "get_order", Args: proviso.JSON(`{"id":"R1"}`)}}
	pay := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "r", Tool: "refund", Args: proviso.JSON(`{"id":"R1","amount":0.0}`)}}
	back := func(context.Context, proviso.Event) (proviso.ToolResult, error) { return result, nil }
	b.Run("bind+decide", func(b *testing.B) {
		st := session.New(pol, "s")
		fold := func(ev proviso.Event) {
			ev.Seq, ev.Time = st.Next(), time.Now()
			in := st.Bind(&ev)
			r := st.Record(in, pol.Decide(in, st.View(in)))
			if err := st.Apply(in, &r); err != nil {
				b.Fatal(err)
			}
		}
		fold(ask)
		fold(proviso.Event{Session: "s", Point: proviso.ToolResultPoint, Body: &proviso.ToolResult{CallID: "g", Content: result.Content}})
		call, answer := pay, proviso.Event{Session: "s", Point: proviso.ToolResultPoint, Body: &proviso.ToolResult{CallID: "r", Tool: "refund", Content: result.Content}}
		b.ReportAllocs()
		for b.Loop() {
			in := st.Bind(&call)
			if d := pol.Decide(in, st.View(in)); d.Outcome != proviso.Allow {
				b.Fatalf("%+v", d)
			}
			out := pol.Bind(&answer, in)
			if d := pol.Decide(out, st.View(out)); d.Outcome != proviso.Allow {
				b.Fatalf("%+v", d)
			}
		}
	})
	for name, audit := range map[string]guard.Audit{"best_effort": guard.BestEffort, "required": guard.Required} {
		for kind, ev := range map[string]proviso.Event{"read": ask, "effect": pay} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				s := open(b, filepath.Join(b.TempDir(), "j.db"))
				g := &guard.Guard{Policy: pol, Journal: s, Audit: audit}
				refresh := func() {
					if _, err := g.Do(ctx, ask, back); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					if kind == "effect" {
						b.StopTimer()
						refresh()
						b.StartTimer()
					}
					if _, err := g.Do(ctx, ev, back); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(s.Stats().Lost+int64(g.Counts().Lost)), "lost")
			})
		}
	}
}
