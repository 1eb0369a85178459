package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// guarded is a session of the story behind a guard, which pays one account again and again.
type guarded struct {
	guard *guard.Guard
	n     int
}

// paying opens a session with a guard on a journal and looks the account up.
func paying(ctx context.Context, p *policy.Policy, j guard.Journal, a guard.Audit) (*guarded, error) {
	g := &guarded{guard: &guard.Guard{Policy: p, Journal: j, Audit: a}}
	_, err := g.do(ctx, "lookup", `{"account":"A0"}`, `{"open":true,"owner":"mia"}`)
	return g, err
}

func (g *guarded) do(ctx context.Context, tool, args, result string) (guard.Effect, error) {
	g.n++
	call := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: fmt.Sprint("c", g.n), Tool: tool, Args: proviso.JSON(args)}}
	return g.guard.Do(ctx, call, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
		return proviso.ToolResult{Content: proviso.JSON(result)}, nil
	})
}

// pay is a guarded payment with its result.
func (g *guarded) pay(ctx context.Context) error {
	_, err := g.do(ctx, "pay", `{"account":"A0","amount":0}`, `{"paid":true}`)
	return err
}

// bare is the same payment and its result bound and decided, and nothing else.
func bare(p *policy.Policy) (func() error, error) {
	st := session.New(p, "s")
	at := time.Now()
	fold := func(point proviso.Point, b proviso.Body) error {
		return step(p, st, &proviso.Event{Session: "s", Seq: st.Next(), Time: at, Point: point, Body: b})
	}
	if err := fold(proviso.ToolCallPoint, &proviso.ToolCall{ID: "1", Tool: "lookup", Args: proviso.JSON(`{"account":"A0"}`)}); err != nil {
		return nil, err
	}
	if err := fold(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "1", Content: proviso.JSON(`{"open":true,"owner":"mia"}`)}); err != nil {
		return nil, err
	}
	n := 0
	return func() error {
		n++
		call := &proviso.Event{Session: "s", Time: at, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: fmt.Sprint("c", n), Tool: "pay", Args: proviso.JSON(`{"account":"A0","amount":0}`)}}
		in := st.Bind(call)
		if d := p.Decide(in, st.View(in)); d.Outcome != proviso.Allow {
			return fmt.Errorf("the payment is not allowed but %s: %v", d.Outcome, d.Errors)
		}
		out := p.Bind(&proviso.Event{Session: "s", Time: at, Point: proviso.ToolResultPoint, Body: &proviso.ToolResult{CallID: call.Body.(*proviso.ToolCall).ID, Tool: "pay", Content: proviso.JSON(`{"paid":true}`)}}, in)
		if d := p.Decide(out, st.View(out)); d.Outcome != proviso.Allow {
			return fmt.Errorf("the result is not allowed but %s: %v", d.Outcome, d.Errors)
		}
		return nil
	}, nil
}

// rate is how many things a second are done where the journal can keep up: a third of them are payments that it takes.
const rate = 2000

// guardFigures compares a guarded payment with the bare decisions on it: in a loop that never pauses, and at a steady rate. Both are timed in the same turns.
func guardFigures(ctx context.Context) ([]figure, error) {
	p, err := StoryPolicy()
	if err != nil {
		return nil, err
	}
	decide, err := bare(p)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "proviso-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	times := map[string][]float64{}
	var failed error
	keep := func(err error) {
		if err != nil && failed == nil {
			failed = err
		}
	}
	for turn := range Repetitions {
		s, err := sqlite.Open(filepath.Join(folder, fmt.Sprint(turn)), sqlite.Options{})
		if err != nil {
			return nil, err
		}
		memory, err := paying(ctx, p, &journal.Memory{}, guard.BestEffort)
		keep(err)
		loop := func(name string, f func() error) {
			times[name] = append(times[name], nanoseconds(func() { keep(f()) }))
		}
		loop("bare", decide)
		loop("memory", func() error { return memory.pay(ctx) })
		disk, err := paying(ctx, p, s, guard.BestEffort)
		keep(err)
		for k, t := range paced(func() { keep(disk.pay(ctx)) }, func() { keep(decide()) }, func() { keep(memory.pay(ctx)) }) {
			name := []string{"paced", "paced_bare", "paced_memory"}[k]
			times[name] = append(times[name], t)
		}
		loop("disk", func() error { return disk.pay(ctx) })
		strict := &guarded{guard: &guard.Guard{Policy: p, Journal: s, Audit: guard.Required}, n: disk.n}
		keep(strict.pay(ctx)) // folds the session
		loop("required", func() error { return strict.pay(ctx) })
		seq := uint64(0)
		loop("commit", func() error {
			seq++
			return s.Append(ctx, proviso.Record{Event: proviso.Event{Session: "x", Seq: seq, Time: start, Point: proviso.ToolCallPoint, Body: pay("c", 0)}, Decision: proviso.Decision{Outcome: proviso.Allow}})
		})
		if lost := disk.guard.Counts().Lost + s.Stats().Lost; lost > 0 {
			keep(fmt.Errorf("%d records were lost", lost))
		}
		keep(s.Close())
		if failed != nil {
			return nil, failed
		}
	}
	return []figure{
		{"guard.bare_ns", median(times["bare"]), Repetitions},
		{"guard.do_memory_ns", median(times["memory"]), Repetitions},
		{"guard.do_memory_over_bare", ratio(times["memory"], times["bare"]), Repetitions},
		{"guard.do_sqlite_paced_over_bare", ratio(times["paced"], times["paced_bare"]), Repetitions},
		{"guard.do_memory_paced_over_bare", ratio(times["paced_memory"], times["paced_bare"]), Repetitions},
		{"guard.bare_paced_ns", median(times["paced_bare"]), Repetitions},
		{"guard.do_sqlite_paced_ns", median(times["paced"]), Repetitions},
		{"guard.do_sqlite_saturated_ns", median(times["disk"]), Repetitions},
		{"guard.do_sqlite_saturated_over_bare", ratio(times["disk"], times["bare"]), Repetitions},
		{"guard.do_required_ns", median(times["required"]), Repetitions},
		{"guard.required_over_commit", ratio(times["required"], times["commit"]), Repetitions},
	}, nil
}

// paced runs things by turns at a steady rate, each after a pause, and returns how long one of each takes, in nanoseconds: the medians over a turn.
func paced(all ...func()) []float64 {
	times, out := make([][]float64, len(all)), make([]float64, len(all))
	begin := time.Now()
	for n := range rate / 10 * len(all) {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / rate)))
		k := n % len(all)
		t := time.Now()
		all[k]()
		times[k] = append(times[k], float64(time.Since(t)))
	}
	for k := range all {
		out[k] = median(times[k])
	}
	return out
}
