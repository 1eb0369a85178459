package guard

import (
	"context"
	"fmt"

	"github.com/proviso-dev/proviso/session"
)

// Keeper is a Journal that also keeps states of sessions, so that a long one is not folded from its first record when it goes on. Every keeper passes TestKeeper.
type Keeper interface {
	Journal
	// PutSnapshot keeps the state of a session after record seq, folded under the policy of a digest. It fails where that record is not in the journal.
	// Where a redaction took words out of the session it keeps nothing, because the state may still hold them, and that is no error.
	PutSnapshot(ctx context.Context, session string, seq uint64, policy string, state []byte) error
	// Snapshot returns the newest state that was kept after a record before number before (0: any); ok is false where there is none. What it returns is what was kept, or an error.
	Snapshot(ctx context.Context, session, policy string, before uint64) (seq uint64, state []byte, ok bool, err error)
}

const defaultEvery = 1000

// snapshot has the state of a locked session kept where it has gone on far enough since the last time. The session does not wait for it, and at most one is on its way.
// The distance grows with the session, so that what snapshots cost a record does not.
// A state that holds what the journal lacks is not kept: it would vouch for records that nobody can show.
func (g *Guard) snapshot(s *entry) {
	every := g.SnapshotEvery
	if every == 0 {
		every = defaultEvery
	}
	k, ok := g.Journal.(Keeper)
	seq := s.state.Next() - 1
	if !ok || every < 0 || seq < s.kept+max(uint64(every), s.kept/4) || len(s.behind) > 0 || !g.keeping.CompareAndSwap(false, true) {
		return
	}
	s.kept = seq
	b, err := s.state.Snapshot()
	if err != nil {
		g.counts.snapshots.Add(1)
		g.keeping.Store(false)
		return
	}
	id, digest := s.id, s.state.Digest()
	go func() {
		defer g.keeping.Store(false)
		if err := k.PutSnapshot(context.Background(), id, seq, digest, b); err != nil {
			g.counts.snapshots.Add(1)
		}
	}()
}

// restore returns the newest state that was kept of a session, and the number of its last record; that of an empty session where none was kept, or where it cannot be read any more.
func (g *Guard) restore(ctx context.Context, s *entry, rules Policy) (*session.State, uint64, error) {
	fresh := session.New(rules, s.id)
	k, ok := g.Journal.(Keeper)
	if !ok || g.SnapshotEvery < 0 {
		return fresh, 0, nil
	}
	seq, b, ok, err := k.Snapshot(ctx, s.id, rules.Digest(), 0)
	if err != nil || !ok {
		return fresh, 0, err
	}
	kept, err := session.Restore(rules, b)
	if err != nil || kept.ID() != s.id || kept.Next() != seq+1 {
		g.counts.snapshots.Add(1)
		return fresh, 0, nil
	}
	return kept, seq, nil
}

// replay folds what the journal has behind a state. The record that a snapshot was taken after is read as well: a journal that does not reach it is not the one that was written.
func (g *Guard) replay(ctx context.Context, id string, st *session.State, seq uint64) error {
	reached := seq == 0
	for r, err := range g.Journal.Read(ctx, id, max(seq, 1)) {
		if err == nil && (reached || r.Event.Seq != seq) {
			err = st.Apply(nil, &r)
		}
		if err != nil {
			return err
		}
		reached = true
	}
	if !reached {
		return fmt.Errorf("the journal ends before record %d, after which a snapshot was kept; verify it with proviso log verify", seq)
	}
	return nil
}
