package journal

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/proviso-dev/proviso"
)

// Memory is a Store that forgets everything at the end of the process: for tests, for trying things out, and where records need not outlive the agent. The zero value is ready to use.
type Memory struct {
	mu sync.RWMutex
	// Records are large; pointers keep a growing list from copying them.
	sessions map[string][]*proviso.Record
	states   map[string][]state
	closed   bool
}

// state is what a session had become after one of its records.
type state struct {
	seq    uint64
	policy string
	bytes  []byte
}

var _ Store = (*Memory)(nil)

// Append adds copies of the records.
func (m *Memory) Append(ctx context.Context, records ...proviso.Record) error {
	copies := make([]*proviso.Record, len(records))
	for i := range records {
		copies[i] = cloneRecord(&records[i])
	}
	return m.Take(ctx, true, copies...)
}

// Take adds the records themselves, which nobody may change any more. It never waits.
func (m *Memory) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for i := range records {
		e := &records[i].Event
		want := uint64(len(m.sessions[e.Session])) + 1
		for j := range i {
			if records[j].Event.Session == e.Session {
				want++
			}
		}
		if e.Seq != want {
			return &SeqError{e.Session, e.Seq, want}
		}
	}
	if m.sessions == nil {
		m.sessions = map[string][]*proviso.Record{}
	}
	for i := range records {
		id := records[i].Event.Session
		m.sessions[id] = append(m.sessions[id], records[i])
	}
	return nil
}

// Read yields copies of the records that were there when the sequence began.
func (m *Memory) Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error] {
	return func(yield func(proviso.Record, error) bool) {
		m.mu.RLock()
		records, closed := m.sessions[session], m.closed
		m.mu.RUnlock()
		if closed {
			yield(proviso.Record{}, ErrClosed)
			return
		}
		for i := max(from, 1) - 1; i < uint64(len(records)); i++ {
			if err := ctx.Err(); err != nil {
				yield(proviso.Record{}, err)
				return
			}
			if !yield(*cloneRecord(records[i]), nil) {
				return
			}
		}
	}
}

// Sessions yields the ids of the sessions, sorted.
func (m *Memory) Sessions(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		m.mu.RLock()
		ids, closed := slices.Sorted(maps.Keys(m.sessions)), m.closed
		m.mu.RUnlock()
		if closed {
			yield("", ErrClosed)
			return
		}
		for _, id := range ids {
			if !yield(id, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
	}
}

// PutSnapshot keeps the state of a session after one of its records, folded with the policy of a digest; of several only the newest two are kept.
func (m *Memory) PutSnapshot(ctx context.Context, session string, seq uint64, policy string, bytes []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := uint64(len(m.sessions[session])); {
	case m.closed:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case seq > n:
		return &SnapshotError{session, seq, n}
	}
	kept := slices.DeleteFunc(slices.Clone(m.states[session]), func(s state) bool { return s.policy == policy && s.seq == seq })
	kept = append(kept, state{seq, policy, slices.Clone(bytes)})
	slices.SortStableFunc(kept, func(a, b state) int { return cmp.Compare(b.seq, a.seq) })
	n := 0
	kept = slices.DeleteFunc(kept, func(s state) bool {
		if s.policy == policy {
			n++
		}
		return s.policy == policy && n > 2
	})
	if m.states == nil {
		m.states = map[string][]state{}
	}
	m.states[session] = kept
	return nil
}

// Snapshot returns the newest state that was kept of a session under a policy, after a record before number before (0: any), and the number of that record; ok is false where there is none.
func (m *Memory) Snapshot(ctx context.Context, session, policy string, before uint64) (seq uint64, bytes []byte, ok bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return 0, nil, false, ErrClosed
	}
	for _, s := range m.states[session] {
		if s.policy == policy && (before == 0 || s.seq < before) {
			return s.seq, slices.Clone(s.bytes), true, ctx.Err()
		}
	}
	return 0, nil, false, ctx.Err()
}

// Close forgets the records.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions, m.states, m.closed = nil, nil, true
	return nil
}
