// Package guard is the only place that asks, enforces and writes down. Every door calls Guard.Do; nothing else lets an effect happen.
//
// Do binds an event to the policy, shows the session to it, decides, puts open questions to the judge, records, and appends the record to the journal before the
// effect; then it runs the effect on exactly the bytes that were decided, and decides and records its result. The session is a cache over the journal: it is folded
// again where it is not at hand, where the policy changed, or where another guard on the same journal was faster.
package guard

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// Policy is what a guard asks of a policy; *policy.Policy satisfies it.
type Policy interface {
	session.Rules
	Decide(in *policy.Input, v *policy.View) proviso.Decision
	// IsRead reports whether a tool only reads, so that its release need not wait for the journal.
	IsRead(tool string) bool
	// Atomic reports whether the siblings of a denied parallel call are denied as well.
	Atomic() bool
}

// Journal is what a guard asks of a store of records; journal.Store satisfies it.
// Append keeps nothing of the records it is given. An error of it with a method Conflict() bool that returns true says that another writer has appended to the session.
type Journal interface {
	Append(ctx context.Context, records ...proviso.Record) error
	Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error]
}

// Queue is a Journal that also takes records without waiting for its disk: Enqueue returns when they are in line, to be durable before anything that is appended later.
// A guard enqueues what nobody has to wait for; where Enqueue fails, it has taken nothing.
type Queue interface {
	Journal
	Enqueue(ctx context.Context, records ...proviso.Record) error
}

// Taker is a Journal that keeps the records of a guard rather than copies of them: nobody changes them any more.
// Take is Append where durable is true; where it is not it returns when the records are in line, as Enqueue of a Queue does. The list stays the caller's.
type Taker interface {
	Journal
	Take(ctx context.Context, durable bool, records ...*proviso.Record) error
}

// Audit says what has to be durable before an effect.
type Audit uint8

// The kinds of audit. Required is the zero value: a call that does more than read is released only after its record, and all before it, were appended.
const (
	Required   Audit = iota
	BestEffort       // nothing waits; what could not be appended is tried again with the next record, and counted
)

// Next runs the effect of a call that was allowed, on the event as it is forwarded. A returned error becomes the call's error result.
type Next func(ctx context.Context, call proviso.Event) (proviso.ToolResult, error)

// Guard enforces a policy. Its fields are set before the first use; the policy is changed later with SetPolicy. The zero value denies everything.
// All methods may be called at the same time. Events of one session are decided one after the other, while their effects run side by side; sessions do not wait for each other.
type Guard struct {
	Policy  Policy
	Journal Journal
	Judge   Judge // nil: questions stay open
	// Approvals keeps what people are asked to approve; nil: an escalated call stops and nobody is asked.
	Approvals Approvals
	Clock     func() time.Time // for events without a time; nil: time.Now
	Audit     Audit
	// JudgeTimeout bounds one round of questions; 0: 30 seconds.
	JudgeTimeout time.Duration
	// ApprovalLife is how long a request for approval, and then its grant, counts; 0: 24 hours.
	ApprovalLife time.Duration
	// MaxSessions is how many sessions are kept at hand; 0: 10,000. Others are folded from the journal when they go on.
	MaxSessions int
	// SnapshotEvery is after how many records of a session its state is kept, where Journal is a Keeper, and at least after a quarter of those before; 0: 1,000, negative: never. A session that goes on is folded from there.
	SnapshotEvery int

	mu       sync.RWMutex
	sessions map[string]*entry
	counts   counts
	keeping  atomic.Bool // a snapshot is on its way
}

// Effect is what came of an event. Where the error of Do is not nil, nothing of it may be forwarded but Result.
type Effect struct {
	Record  *proviso.Record     // what was decided about the event; the session and the journal keep it, and nobody may change it
	Forward proviso.Event       // the event as it may be forwarded, edits made
	Answer  *proviso.Record     // what was decided about the call's result; nil where nothing ran
	Result  *proviso.ToolResult // what the agent may see of the result; an error result where it is withheld
}

// Do decides an event and, where it is an allowed call and next is given, runs it and decides its result.
// The error is nil exactly where the event was allowed and whatever ran succeeded and may be shown; otherwise it is a *DeniedError, or what next returned.
// An event without a number gets the next one of its session. Without next the caller runs the call and brings the result as an event of its own.
func (g *Guard) Do(ctx context.Context, ev proviso.Event, next Next) (Effect, error) {
	s, err := g.enter(ctx, ev.Session)
	if err != nil {
		return g.refuse(ev, err)
	}
	if next != nil {
		mint(s.state, &ev)
	}
	st := g.step(ctx, s, ev, nil)
	if ev.Point == proviso.SessionEnd {
		g.forget(s)
	}
	s.leave()
	e := Effect{Record: st.record, Forward: st.forward}
	if st.record.Decision.Outcome != proviso.Allow {
		return e, &DeniedError{e.Record}
	}
	call, ok := st.forward.Body.(*proviso.ToolCall)
	if !ok || next == nil {
		return e, nil
	}
	return g.answer(ctx, e, call, next)
}

// answer runs a released call, decides its result and writes it down, even where the caller has gone meanwhile: the effect may have happened.
func (g *Guard) answer(ctx context.Context, e Effect, call *proviso.ToolCall, next Next) (Effect, error) {
	result, failure := g.run(ctx, next, e.Forward)
	result.CallID, result.Tool = call.ID, call.Tool
	ctx = context.WithoutCancel(ctx)
	s, err := g.enter(ctx, e.Record.Event.Session)
	if err != nil {
		e.Result = withheld(call, "the result could not be recorded")
		return e, err
	}
	st := g.step(ctx, s, proviso.Event{Session: e.Record.Event.Session, Point: proviso.ToolResultPoint, Agents: e.Record.Event.Agents, Body: &result}, nil)
	s.leave()
	e.Answer = st.record
	if st.record.Decision.Outcome != proviso.Allow {
		denied := &DeniedError{e.Answer}
		e.Result = withheld(call, denied.Error())
		return e, denied
	}
	e.Result = st.forward.Body.(*proviso.ToolResult)
	if failure != nil {
		return e, fmt.Errorf("guard: %s: %w", call.Tool, failure)
	}
	return e, nil
}

// withheld is what the agent gets in place of a result.
func withheld(call *proviso.ToolCall, why string) *proviso.ToolResult {
	return &proviso.ToolResult{CallID: call.ID, Tool: call.Tool, IsError: true, Text: why}
}

// stepped is a decided event that is part of its session.
type stepped struct {
	record  *proviso.Record
	forward proviso.Event
}

// maxTries bounds how often an event is decided anew because another guard on the same journal was faster.
const maxTries = 16

// step decides one event of a locked session, writes the record down and folds it in. overrule, where it is given, has the last word on the decision.
func (g *Guard) step(ctx context.Context, s *entry, ev proviso.Event, overrule func(proviso.Decision) proviso.Decision) (out stepped) {
	defer func() {
		if p := recover(); p != nil {
			out = g.unrecorded(s, ev, g.panicked(p))
		}
	}()
	if ev.Time.IsZero() {
		ev.Time = g.now()
	}
	// What is decided on stays what it is, whatever the caller does with its memory afterwards.
	ev.Body = proviso.CloneBody(ev.Body)
	wanted := ev.Seq
	var approved *proviso.Approval
	for range maxTries {
		ev.Seq = s.state.Next()
		in := s.state.Bind(&ev)
		d := g.decide(ctx, s, in, nil)
		held := false
		if overrule != nil {
			before := d.Outcome
			d = overrule(d)
			held = before == proviso.Escalate
		}
		if wanted != 0 && wanted != ev.Seq {
			d = deniedBy(d.Policy, "sequence", CodeSeq, fmt.Sprintf("the event has number %d, the session goes on with %d", wanted, ev.Seq))
		}
		var use *proviso.ApprovalUse
		if d.Outcome == proviso.Escalate && g.Approvals != nil && ev.Point == proviso.ToolCallPoint {
			var got *proviso.Approval
			if d, got = g.approve(ctx, s, in, d, release{held: held, spent: approved}); got != nil && d.Outcome == proviso.Allow {
				approved = got
				use = &proviso.ApprovalUse{ID: got.ID, By: got.By, Rules: got.Rules}
			}
		}
		r := s.state.Record(in, d)
		r.Approval = use
		err := g.write(ctx, s, &r)
		if err == errFaster {
			if bad := g.load(ctx, s, s.rules); bad != nil {
				return g.unrecorded(s, ev, bad)
			}
			continue
		}
		if err != nil {
			r = s.state.Record(in, deniedBy(d.Policy, "journal", CodeJournal, "the call could not be written down before its effect: "+err.Error()))
			s.later(g, &r)
		}
		return g.fold(s, in, &r)
	}
	return g.unrecorded(s, ev, errFaster)
}

// fold makes a record part of the session and computes what may be forwarded.
func (g *Guard) fold(s *entry, in *policy.Input, r *proviso.Record) stepped {
	forward, err := policy.Apply(in, r.Decision.Edits)
	if err == nil {
		err = s.state.Apply(in, r)
	}
	if err != nil {
		// unreachable: Record refuses edits that do not fit, and the record carries the session's own next number.
		return g.unrecorded(s, r.Event, err)
	}
	g.counts.decided(r)
	g.snapshot(s)
	return stepped{r, forward}
}

// unrecorded denies an event that is part of no session, and has the session folded again before it goes on.
func (g *Guard) unrecorded(s *entry, ev proviso.Event, err error) stepped {
	s.state = nil
	e, _ := g.refuse(ev, err)
	return stepped{e.Record, e.Forward}
}

func (g *Guard) now() time.Time {
	if g.Clock != nil {
		return g.Clock()
	}
	return time.Now()
}

// mint gives a call without an id one, so that its result is found again.
func mint(s *session.State, ev *proviso.Event) {
	if call, ok := ev.Body.(*proviso.ToolCall); ok && call.ID == "" {
		c := *call
		c.ID = fmt.Sprintf("call-%d", s.Next())
		ev.Body = &c
	}
}

// run runs the effect. A panic is an error of the tool, not of the guard.
func (g *Guard) run(ctx context.Context, next Next, call proviso.Event) (result proviso.ToolResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.counts.panics.Add(1)
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			result = proviso.ToolResult{IsError: true, Text: err.Error()}
		}
	}()
	if err = ctx.Err(); err != nil {
		return result, err
	}
	return next(ctx, call)
}
