package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/session"
)

// entry is a session at hand. Whoever holds its token may use it.
type entry struct {
	id    string
	token chan struct{}
	gone  bool // it was put away while somebody waited for the token
	state *session.State
	rules Policy
	kept  uint64 // the record after which the state was kept last
	// behind are records that are part of the state and could not be appended yet.
	behind []*proviso.Record
	// out is the list that was given to the journal last.
	out []*proviso.Record
}

// maxBehind bounds the records that wait for the journal.
const maxBehind = 1024

const defaultSessions = 10000

// SetPolicy makes another policy count from the next event on; each session is folded anew with it when it goes on.
func (g *Guard) SetPolicy(p Policy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Policy = p
}

// enter finds the session, or folds it from the journal, and locks it until leave.
func (g *Guard) enter(ctx context.Context, id string) (*entry, error) {
	if id == "" {
		return nil, &enterError{code: CodeSession, msg: "the event names no session; let the door mint an id"}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, &enterError{CodeSession, "the caller has gone", err}
		}
		s, rules, err := g.find(id)
		if err != nil {
			return nil, err
		}
		select {
		case s.token <- struct{}{}:
		case <-ctx.Done():
			return nil, &enterError{CodeSession, "the session is busy", ctx.Err()}
		}
		if s.gone {
			s.leave()
			continue
		}
		if err := g.ready(ctx, s, rules); err != nil {
			s.leave()
			return nil, err
		}
		return s, nil
	}
}

// ready folds a locked session where it is not at hand or was folded with another policy.
// A policy of the same digest may number its facts and queries differently; the session keeps the one that it was folded with.
func (g *Guard) ready(ctx context.Context, s *entry, rules Policy) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.state = nil
			err = g.panicked(p)
		}
	}()
	if s.state != nil && s.state.Digest() == rules.Digest() {
		return nil
	}
	return g.load(ctx, s, rules)
}

// panicked counts a panic of the policy or the session and makes it an error, so that a session stays usable and an event is denied.
func (g *Guard) panicked(p any) error {
	g.counts.panics.Add(1)
	return &enterError{code: CodePanic, msg: fmt.Sprintf("panic while deciding: %v", p)}
}

func (s *entry) leave() { <-s.token }

// find returns the session's entry, making one where there is none, and the policy.
func (g *Guard) find(id string) (*entry, Policy, error) {
	g.mu.RLock()
	s, rules := g.sessions[id], g.Policy
	g.mu.RUnlock()
	if rules == nil {
		return nil, nil, &enterError{code: CodeNoPolicy, msg: "no policy is set"}
	}
	if s != nil {
		return s, rules, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s = g.sessions[id]; s != nil {
		return s, rules, nil
	}
	limit := g.MaxSessions
	if limit == 0 {
		limit = defaultSessions
	}
	if len(g.sessions) >= limit && !g.putAway() {
		return nil, nil, &enterError{code: CodeSession, msg: fmt.Sprintf("%d sessions are at hand and none can be put away; end some", limit)}
	}
	if g.sessions == nil {
		g.sessions = map[string]*entry{}
	}
	s = &entry{id: id, token: make(chan struct{}, 1)}
	g.sessions[id] = s
	return s, rules, nil
}

// putAway drops a session that nobody uses and that the journal holds completely. The order of Go's maps picks it at random.
func (g *Guard) putAway() bool {
	if g.Journal == nil {
		return false
	}
	for id, s := range g.sessions {
		select {
		case s.token <- struct{}{}:
		default:
			continue
		}
		idle := len(s.behind) == 0
		if idle {
			s.gone = true
			delete(g.sessions, id)
		}
		s.leave()
		if idle {
			return true
		}
	}
	return false
}

// load folds the session from the journal and from what the journal does not have yet.
func (g *Guard) load(ctx context.Context, s *entry, rules Policy) error {
	if g.Journal == nil {
		if s.state != nil && s.state.Next() > 1 {
			return &enterError{code: CodeSession, msg: "the policy changed and there is no journal to fold the session from; start a new one"}
		}
		s.state, s.rules = session.New(rules, s.id), rules
		return nil
	}
	fresh, kept, err := g.restore(ctx, s, rules)
	if err == nil {
		err = g.replay(ctx, s.id, fresh, kept)
	}
	if err != nil {
		return &enterError{CodeSession, "the session could not be folded from the journal", err}
	}
	for i := range s.behind {
		if err := fresh.Apply(nil, s.behind[i]); err != nil {
			return &enterError{CodeSession, "the session could not be folded from what waits for the journal", err}
		}
	}
	if fresh.Next() > 1 {
		g.counts.folds.Add(1)
	}
	s.state, s.rules, s.kept = fresh, rules, kept
	return nil
}

var (
	errFaster    = &enterError{code: CodeSession, msg: "another guard on the same journal has appended to the session"}
	errNoJournal = errors.New("there is no journal")
)

// write appends a record, and first whatever waits. It fails with errFaster where the session has gone on elsewhere, and else only where the record must be durable and is not.
func (g *Guard) write(ctx context.Context, s *entry, r *proviso.Record) error {
	if g.Journal == nil {
		if g.Audit == Required && s.effectful(r) {
			return errNoJournal
		}
		return nil
	}
	s.out = append(append(s.out[:0], s.behind...), r)
	err := g.put(ctx, g.Audit == Required && s.effectful(r), s.out)
	if err == nil {
		s.behind = nil
		return nil
	}
	var other interface{ Conflict() bool }
	if errors.As(err, &other) && other.Conflict() {
		g.counts.conflicts.Add(1)
		g.counts.lost.Add(int64(len(s.behind)))
		s.behind = nil
		return errFaster
	}
	g.counts.journal.Add(1)
	if g.Audit == Required && (s.effectful(r) || len(s.behind) >= maxBehind) {
		return err
	}
	s.later(g, r)
	return nil
}

// put gives records to the journal.
func (g *Guard) put(ctx context.Context, durable bool, records []*proviso.Record) error {
	if t, ok := g.Journal.(Taker); ok {
		return t.Take(ctx, durable, records...)
	}
	list := make([]proviso.Record, len(records))
	for i, r := range records {
		list[i] = *r
	}
	if q, ok := g.Journal.(Queue); ok && !durable {
		return q.Enqueue(ctx, list...)
	}
	return g.Journal.Append(ctx, list...)
}

// effectful reports whether the record releases a call that does more than read.
func (s *entry) effectful(r *proviso.Record) bool {
	call, ok := r.Event.Body.(*proviso.ToolCall)
	return ok && r.Phase == proviso.Released && !s.rules.IsRead(call.Tool)
}

// later keeps a record for the next append. Beyond the bound the oldest is lost, and counted.
func (s *entry) later(g *Guard, r *proviso.Record) {
	if g.Journal == nil {
		return
	}
	if len(s.behind) >= maxBehind {
		g.counts.lost.Add(1)
		s.behind = s.behind[1:]
	}
	s.behind = append(s.behind, r)
}

// forget drops a session that has ended and that the journal holds completely.
func (g *Guard) forget(s *entry) {
	if g.Journal == nil || len(s.behind) > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.gone = true
	delete(g.sessions, s.id)
}
