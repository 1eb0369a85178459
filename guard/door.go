package guard

import (
	"context"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// Peek says what Do would decide about an event now, and changes nothing: nothing is recorded, no approval is asked for or used up. Questions are put to the judge.
func (g *Guard) Peek(ctx context.Context, ev proviso.Event) (e Effect, err error) {
	s, err := g.enter(ctx, ev.Session)
	if err != nil {
		return g.refuse(ev, err)
	}
	defer s.leave()
	defer func() {
		if p := recover(); p != nil {
			s.state = nil
			e, err = g.refuse(ev, g.panicked(p))
		}
	}()
	if ev.Time.IsZero() {
		ev.Time = g.now()
	}
	ev.Seq = s.state.Next()
	in := s.state.Bind(&ev)
	d := g.decide(ctx, s, in, nil)
	if d.Outcome == proviso.Escalate && g.Approvals != nil && ev.Point == proviso.ToolCallPoint {
		d, _ = g.approve(ctx, s, in, d, release{dry: true})
	}
	r := s.state.Record(in, d)
	e = Effect{Record: &r, Forward: ev}
	if r.Decision.Outcome != proviso.Allow {
		return e, &DeniedError{&r}
	}
	if e.Forward, err = policy.Apply(in, r.Decision.Edits); err != nil {
		return g.refuse(ev, err)
	}
	return e, nil
}

// Resent is how a transcript that a client sent as a whole stands to what was recorded of its session.
type Resent struct {
	Next  uint64 // the number that the session's next event has; 1 where nothing was recorded yet
	From  int    // where the events that are new begin
	Known []bool // for each event, whether it was recorded as it is
}

// Resync compares a transcript with what was recorded. Where it differs before its new events, the next record of the session says so.
// Callers hold back other events of the session until they have brought the new ones.
func (g *Guard) Resync(ctx context.Context, session string, events []proviso.Event) (Resent, error) {
	s, err := g.enter(ctx, session)
	if err != nil {
		return Resent{}, err
	}
	defer s.leave()
	known, from, missing := s.state.Compare(events)
	s.state.Differs(known[:from], missing)
	return Resent{s.state.Next(), from, known}, nil
}

// PutAway drops a session that is at hand, so that its next event folds it from the journal: another guard on the same journal may have gone on with it.
// It fails where records of the session still wait for the journal.
func (g *Guard) PutAway(ctx context.Context, session string) error {
	g.mu.RLock()
	s := g.sessions[session]
	g.mu.RUnlock()
	if s == nil {
		return nil
	}
	select {
	case s.token <- struct{}{}:
	case <-ctx.Done():
		return &enterError{CodeSession, "the session is busy", ctx.Err()}
	}
	defer s.leave()
	if len(s.behind) > 0 || g.Journal == nil {
		return &enterError{code: CodeSession, msg: "records of the session wait for the journal"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.gone = true
	if g.sessions[session] == s {
		delete(g.sessions, session)
	}
	return nil
}

// Start begins a session that has not begun: its first event is the start given. Where the session's start was denied, now or before, the record of it is returned: nothing of such a session may go on.
func (g *Guard) Start(ctx context.Context, session string, agents []string, start *proviso.Lifecycle) (denied *proviso.Record, err error) {
	stands, err := g.Resync(ctx, session, nil)
	if err != nil {
		return nil, err
	}
	if stands.Next == 1 {
		e, err := g.Do(ctx, proviso.Event{Session: session, Point: proviso.SessionStart, Agents: agents, Body: start}, nil)
		if err != nil {
			return e.Record, nil
		}
		return nil, nil
	}
	if g.Journal == nil {
		return nil, nil
	}
	for r, err := range g.Journal.Read(ctx, session, 1) {
		if err != nil {
			return nil, err
		}
		if r.Event.Point == proviso.SessionStart && r.Decision.Outcome != proviso.Allow {
			return &r, nil
		}
		break
	}
	return nil, nil
}
