package corpus

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// forGuard reports whether a guard can play the scenario: it neither approves nor audits by itself, compares no transcripts, and has its judge quote what was said.
func (sc *scenario) forGuard() bool {
	for i := range sc.steps {
		if s := &sc.steps[i]; s.approved != nil || s.executed || s.resend != nil || s.variant != "" || s.answers != nil {
			return false
		}
	}
	return len(sc.answers) == 0
}

// together reports whether some of the scenario's calls are decided as a batch, which only a guard does.
func (sc *scenario) together() bool {
	for i := range sc.steps {
		if sc.steps[i].together != nil {
			return true
		}
	}
	return false
}

// guarded plays a scenario through a guard.
type guarded struct {
	t     *testing.T
	guard *guard.Guard
	sc    *scenario
	now   time.Time
	calls int
	out   []outcome
}

func playGuarded(t *testing.T, rules *policy.Policy, sc *scenario) []outcome {
	g := &guarded{t: t, guard: &guard.Guard{Policy: rules, Journal: &journal.Memory{}}, sc: sc, now: sc.now}
	g.do(proviso.Event{Point: proviso.SessionStart, Body: &sc.start}, nil)
	for i := range sc.steps {
		g.step(&sc.steps[i], i == 0)
	}
	return g.out
}

func (g *guarded) step(s *step, first bool) {
	switch {
	case s.after > 0:
		g.now = g.now.Add(s.after)
	case !first:
		g.now = g.now.Add(time.Second)
	}
	if s.together != nil {
		var batch []proviso.Event
		for _, ev := range s.together {
			batch = append(batch, g.prepare(ev))
		}
		effects, _ := g.guard.Batch(context.Background(), batch, nil)
		for i := range effects {
			g.take(&effects[i], s.wants[i])
		}
		return
	}
	e := g.do(s.event, s.want)
	if s.result == nil || e.Record.Decision.Outcome != proviso.Allow {
		return
	}
	g.now = g.now.Add(time.Second)
	r := *s.result
	call := e.Record.Event.Body.(*proviso.ToolCall)
	r.CallID, r.Tool = call.ID, call.Tool
	g.do(proviso.Event{Point: proviso.ToolResultPoint, Agents: s.event.Agents, Body: &r}, s.resultWant)
}

func (g *guarded) prepare(ev proviso.Event) proviso.Event {
	ev.Session, ev.Time = g.sc.name, g.now
	if len(ev.Agents) == 0 && g.sc.agent != "" {
		ev.Agents = []string{g.sc.agent}
	}
	if call, ok := ev.Body.(*proviso.ToolCall); ok && call.ID == "" {
		g.calls++
		named := *call
		named.ID = "call-" + strconv.Itoa(g.calls)
		ev.Body = &named
	}
	return ev
}

func (g *guarded) do(ev proviso.Event, want *pack.Want) guard.Effect {
	e, err := g.guard.Do(context.Background(), g.prepare(ev), nil)
	if (err == nil) != (e.Record.Decision.Outcome == proviso.Allow) {
		g.t.Errorf("%s: %v with error %v", describe(&e.Record.Event), e.Record.Decision.Outcome, err)
	}
	g.take(&e, want)
	return e
}

func (g *guarded) take(e *guard.Effect, want *pack.Want) {
	o := outcome{event: e.Record.Event, decision: e.Record.Decision, record: *e.Record, want: want}
	if o.decision.Outcome == proviso.Allow {
		o.sent = &e.Forward
	}
	g.out = append(g.out, o)
}
