package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/session"
)

// Batch decides the calls of one model response together, by Index, and then runs those that were allowed side by side.
// Later calls see what earlier ones reserved, and none of their results; siblings of a denied call proceed, unless the policy says parallel: atomic, which stops all.
// The effects and errors are in the order of the events, as Do would give them. All events have to be calls of one session and one response; calls that name no response are taken for one.
func (g *Guard) Batch(ctx context.Context, calls []proviso.Event, next Next) ([]Effect, []error) {
	effects, errs := make([]Effect, len(calls)), make([]error, len(calls))
	if len(calls) == 0 {
		return effects, errs
	}
	order, err := siblings(calls)
	var s *entry
	if err == nil {
		s, err = g.enter(ctx, calls[0].Session)
	}
	if err != nil {
		for i := range calls {
			effects[i], errs[i] = g.refuse(calls[i], err)
		}
		return effects, errs
	}
	effects = g.together(ctx, s, slices.Clone(calls), order, next != nil)
	s.leave()
	var running sync.WaitGroup
	for i := range effects {
		if effects[i].Record.Decision.Outcome != proviso.Allow {
			errs[i] = &DeniedError{effects[i].Record}
			continue
		}
		if call, ok := effects[i].Forward.Body.(*proviso.ToolCall); ok && next != nil {
			running.Go(func() { effects[i], errs[i] = g.answer(ctx, effects[i], call, next) })
		}
	}
	running.Wait()
	return effects, errs
}

// siblings checks that the events are calls of one response and returns the order in which they are decided.
func siblings(events []proviso.Event) ([]int, error) {
	calls, order := make([]*proviso.ToolCall, len(events)), make([]int, len(events))
	for i := range events {
		c, ok := events[i].Body.(*proviso.ToolCall)
		if !ok || events[i].Point != proviso.ToolCallPoint {
			return nil, &enterError{code: CodeBatch, msg: fmt.Sprintf("event %d of the batch is no call", i)}
		}
		calls[i], order[i] = c, i
		if events[i].Session != events[0].Session || c.Response != calls[0].Response {
			return nil, &enterError{code: CodeBatch, msg: "the calls of a batch belong to one response of one session"}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return calls[a].Index - calls[b].Index })
	return order, nil
}

// together decides the calls in order under one lock.
func (g *Guard) together(ctx context.Context, s *entry, calls []proviso.Event, order []int, mints bool) []Effect {
	first := s.state.Next()
	for i := range calls {
		c := *calls[i].Body.(*proviso.ToolCall)
		if c.Response == "" {
			c.Response = fmt.Sprintf("batch-%d", first)
		}
		if mints && c.ID == "" {
			c.ID = fmt.Sprintf("call-%d-%d", first, i)
		}
		calls[i].Body = &c
		if calls[i].Time.IsZero() {
			calls[i].Time = g.now()
		}
	}
	var stops *stop
	if s.rules.Atomic() && len(calls) > 1 {
		stops = g.rehearse(ctx, s, calls, order)
	}
	effects := make([]Effect, len(calls))
	for _, i := range order {
		if s.state == nil {
			effects[i], _ = g.refuse(calls[i], errFaster)
			continue
		}
		st := g.step(ctx, s, calls[i], stops.of(i))
		effects[i] = Effect{Record: st.record, Forward: st.forward}
	}
	return effects
}

// stop is why the calls of a response are not done together: what was decided about one of them.
type stop struct {
	call     int
	tool     string
	decision proviso.Decision
}

// of returns what the stop makes of the decision about a call: the call that stops all keeps what was decided about it next to its siblings; those that would be allowed are denied.
func (s *stop) of(call int) func(proviso.Decision) proviso.Decision {
	if s == nil {
		return nil
	}
	return func(d proviso.Decision) proviso.Decision {
		switch {
		case call == s.call:
			return s.decision
		case d.Outcome == proviso.Allow:
			return deniedBy(d.Policy, "parallel", CodeSibling, fmt.Sprintf("the parallel call of %s is not allowed, and the calls of one response are done together or not at all", s.tool))
		}
		return d
	}
}

// rehearse decides the calls on a copy of the session and returns what stops them; nil where all are allowed.
// What the judge answered is kept, so that nothing is asked twice.
func (g *Guard) rehearse(ctx context.Context, s *entry, calls []proviso.Event, order []int) *stop {
	broken := func(i int, err error) *stop {
		return &stop{i, "the batch", deniedBy(s.state.Digest(), "parallel", CodeBatch, err.Error())}
	}
	b, err := s.state.Snapshot()
	if err != nil {
		return broken(order[0], err)
	}
	trial := &entry{id: s.id, rules: s.rules}
	if trial.state, err = session.Restore(s.rules, b); err != nil {
		return broken(order[0], err)
	}
	for _, i := range order {
		ev := calls[i]
		ev.Seq = trial.state.Next()
		in := trial.state.Bind(&ev)
		d := g.decide(ctx, trial, in, nil)
		if d.Outcome == proviso.Escalate && g.Approvals != nil {
			d, _ = g.approve(ctx, trial, in, d, release{dry: true})
		}
		r := trial.state.Record(in, d)
		s.state.Answer(r.Answers)
		if r.Decision.Outcome != proviso.Allow {
			return &stop{i, ev.Body.(*proviso.ToolCall).Tool, r.Decision}
		}
		if err := trial.state.Apply(in, &r); err != nil {
			return broken(i, err)
		}
	}
	return nil
}
