package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
)

// Repetitions is how often every engine is timed. They take turns, so that a slow moment of the machine meets all of them, and a ratio is the median of the ratios of the turns.
const Repetitions = 21

// turn is how long an engine is timed in one turn.
const turn = 40 * time.Millisecond

// nanoseconds returns how long one call of f takes, repeated for a turn.
func nanoseconds(f func()) float64 {
	n, batch := 0, 1
	begin := time.Now()
	for {
		for range batch {
			f()
		}
		n += batch
		took := time.Since(begin)
		if took >= turn {
			return float64(took) / float64(n)
		}
		batch = min(2*batch, 1<<12)
	}
}

// contestant is something that is timed.
type contestant struct {
	name string
	run  func()
}

// race times the contestants in turns and returns the times of each by name, in order of the turns.
func race(all []contestant) map[string][]float64 {
	times := map[string][]float64{}
	for i := range Repetitions {
		for k := range all {
			c := all[(i+k)%len(all)] // who goes first changes, too
			times[c.name] = append(times[c.name], nanoseconds(c.run))
		}
	}
	return times
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// ratio is the median of the ratios of the turns.
func ratio(over, under []float64) float64 {
	r := make([]float64, len(over))
	for i := range over {
		r[i] = over[i] / under[i]
	}
	return median(r)
}

// Engines holds every engine with the workload loaded.
type Engines struct {
	Proviso *Proviso
	OPA     *OPA
	Cedar   *Cedar
}

// Open loads the workload into every engine and checks that they agree on every call of Calls.
func Open(ctx context.Context) (*Engines, error) {
	p, err := NewProviso()
	if err != nil {
		return nil, fmt.Errorf("proviso: %w", err)
	}
	o, err := NewOPA()
	if err != nil {
		return nil, fmt.Errorf("opa: %w", err)
	}
	c, err := NewCedar()
	if err != nil {
		return nil, fmt.Errorf("cedar: %w", err)
	}
	e := &Engines{p, o, c}
	for _, call := range Calls() {
		if err := e.agree(ctx, call); err != nil {
			return nil, fmt.Errorf("call %q: %w", call.Name, err)
		}
	}
	return e, nil
}

// agree asks every engine in every way that is timed.
func (e *Engines) agree(ctx context.Context, c Call) error {
	q, err := e.Proviso.Prepare(c)
	if err != nil {
		return err
	}
	in, err := e.OPA.Prepare(c)
	if err != nil {
		return err
	}
	opa, err := e.OPA.Decide(ctx, in)
	if err != nil {
		return err
	}
	req := e.Cedar.Prepare(c)
	prepared := e.Proviso.Decide(q)
	bytes := e.Proviso.DecideBytes(q.State, e.Proviso.Event(c, q.State.Next()))
	for name, got := range map[string]bool{
		"proviso":            prepared.Outcome == proviso.Allow,
		"proviso from bytes": bytes.Outcome == proviso.Allow,
		"opa":                opa,
		"cedar":              e.Cedar.Decide(req),
		"cedar indexed":      e.Cedar.DecideIndexed(req),
	} {
		if got != c.Allowed {
			return fmt.Errorf("%s says allowed is %v, want %v (proviso's errors: %v)", name, got, c.Allowed, prepared.Errors)
		}
	}
	return nil
}

// contestants are the ways to decide a call, from prepared requests.
func (e *Engines) contestants(ctx context.Context, c Call) ([]contestant, error) {
	q, err := e.Proviso.Prepare(c)
	if err != nil {
		return nil, err
	}
	in, err := e.OPA.Prepare(c)
	if err != nil {
		return nil, err
	}
	req := e.Cedar.Prepare(c)
	ev := e.Proviso.Event(c, q.State.Next())
	return []contestant{
		{"proviso", func() { e.Proviso.Decide(q) }},
		{"proviso_bytes", func() { e.Proviso.DecideBytes(q.State, ev) }},
		{"opa", func() { e.OPA.Decide(ctx, in) }},
		{"cedar_linear", func() { e.Cedar.Decide(req) }},
		{"cedar_indexed", func() { e.Cedar.DecideIndexed(req) }},
	}, nil
}

// sizes are the lengths of the sessions compared, in events.
const short, long = 10, 10_000

// figure is one number, and how many repetitions or things it was taken of.
type figure struct {
	name  string
	value float64
	n     int
}

// Figures measures everything and writes one line for each figure: `figure: name = value (n=count)`. Names say the unit where it is not a ratio.
func Figures(ctx context.Context, w io.Writer) error {
	for _, measure := range []func(context.Context) ([]figure, error){decideFigures, sessionFigures, originFigures, memoryFigures, guardFigures, gatewayFigures, auditFigures, binaryFigures} {
		figures, err := measure(ctx)
		if err != nil {
			return err
		}
		for _, f := range figures {
			digits := 2
			if f.value >= 100 {
				digits = 0
			}
			if _, err := fmt.Fprintf(w, "figure: %s = %.*f (n=%d)\n", f.name, digits, f.value, f.n); err != nil {
				return err
			}
		}
	}
	return nil
}

// decideFigures compares the engines. Times are in nanoseconds.
func decideFigures(ctx context.Context) ([]figure, error) {
	e, err := Open(ctx)
	if err != nil {
		return nil, err
	}
	allowed, err := e.contestants(ctx, Calls()[0])
	if err != nil {
		return nil, err
	}
	denied, err := e.contestants(ctx, Denied())
	if err != nil {
		return nil, err
	}
	t, d := race(allowed), race(denied)
	return []figure{
		{"decide.proviso_ns", median(t["proviso"]), Repetitions},
		{"decide.proviso_from_bytes_ns", median(t["proviso_bytes"]), Repetitions},
		{"decide.opa_ns", median(t["opa"]), Repetitions},
		{"decide.cedar_linear_ns", median(t["cedar_linear"]), Repetitions},
		{"decide.cedar_indexed_ns", median(t["cedar_indexed"]), Repetitions},
		{"decide.denied_proviso_ns", median(d["proviso"]), Repetitions},
		{"decide.denied_opa_ns", median(d["opa"]), Repetitions},
		{"decide.denied_cedar_indexed_ns", median(d["cedar_indexed"]), Repetitions},
		{"decide.opa_over_proviso", ratio(t["opa"], t["proviso"]), Repetitions},
		{"decide.proviso_over_cedar", ratio(t["proviso"], t["cedar_indexed"]), Repetitions},
		{"decide.cedar_linear_over_proviso", ratio(t["cedar_linear"], t["proviso"]), Repetitions},
	}, nil
}

// sessionFigures compares a decision in a short session with one in a long one.
func sessionFigures(context.Context) ([]figure, error) {
	p, err := StoryPolicy()
	if err != nil {
		return nil, err
	}
	var sessions []contestant
	for _, n := range []int{short, long} {
		s, err := NewStory(p, n)
		if err != nil {
			return nil, err
		}
		in := s.Ask()
		if d := s.Decide(in); d.Outcome != proviso.Allow {
			return nil, fmt.Errorf("the payment after %d events is not allowed but %s: %v %v", n, d.Outcome, d.Reasons, d.Errors)
		}
		sessions = append(sessions, contestant{fmt.Sprint(n), func() { s.Decide(in) }})
	}
	u := race(sessions)
	return []figure{
		{"session.decide_10_ns", median(u[fmt.Sprint(short)]), Repetitions},
		{"session.decide_10000_ns", median(u[fmt.Sprint(long)]), Repetitions},
		{"session.cost_10000_over_10", ratio(u[fmt.Sprint(long)], u[fmt.Sprint(short)]), Repetitions},
	}, nil
}
