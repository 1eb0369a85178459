package guard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
)

// MemoryApprovals keeps approvals in memory, for tests and for trying things out; nothing survives the process. The zero value is empty and ready.
// Beyond MaxApprovals it forgets the oldest that stands no more.
type MemoryApprovals struct {
	mu     sync.Mutex
	byID   map[string]*proviso.Approval
	order  []*proviso.Approval // the oldest first
	closed bool
}

// MaxApprovals is how many approvals MemoryApprovals keeps.
const MaxApprovals = 65536

var errApprovalsClosed = errors.New("approvals: the store is closed; open it again")

// noApproval is the error for an id that no request has.
func noApproval(id string) error {
	return &proviso.ApprovalError{Code: proviso.CodeNoApproval, ID: id, Msg: "there is no such request; list them to see their ids"}
}

// locked runs f unless the store is closed or the caller has gone.
func (m *MemoryApprovals) locked(ctx context.Context, f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errApprovalsClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f()
}

// File implements Approvals.
func (m *MemoryApprovals) File(ctx context.Context, request proviso.Approval) (out proviso.Approval, err error) {
	err = m.locked(ctx, func() error {
		for _, a := range slices.Backward(m.order) {
			if a.ID == request.ID || a.Same(&request) && a.Standing(request.Asked) {
				out = copyOf(a)
				return nil
			}
		}
		if err := m.room(request.Asked); err != nil {
			return err
		}
		kept := copyOf(&request)
		if m.byID == nil {
			m.byID = map[string]*proviso.Approval{}
		}
		m.byID[kept.ID] = &kept
		m.order = append(m.order, &kept)
		out = copyOf(&kept)
		return nil
	})
	return out, err
}

// room forgets the oldest approval that stands no more, where the store is full.
func (m *MemoryApprovals) room(at time.Time) error {
	if len(m.order) < MaxApprovals {
		return nil
	}
	i := slices.IndexFunc(m.order, func(a *proviso.Approval) bool { return !a.Standing(at) })
	if i < 0 {
		return fmt.Errorf("approvals: %d requests are waiting; answer some", MaxApprovals)
	}
	delete(m.byID, m.order[i].ID)
	m.order = slices.Delete(m.order, i, i+1)
	return nil
}

// Find implements Approvals.
func (m *MemoryApprovals) Find(ctx context.Context, b proviso.Binding) (out []proviso.Approval, err error) {
	key := b.Key()
	err = m.locked(ctx, func() error {
		for _, a := range slices.Backward(m.order) {
			if len(out) < FindLimit && a.Key() == key {
				out = append(out, copyOf(a))
			}
		}
		return nil
	})
	return out, err
}

// Resolve implements Approvals.
func (m *MemoryApprovals) Resolve(ctx context.Context, id string, r proviso.Resolution) (proviso.Approval, error) {
	return m.change(ctx, id, func(a *proviso.Approval) error { return a.Resolve(r) })
}

// Spend implements Approvals.
func (m *MemoryApprovals) Spend(ctx context.Context, id string, b proviso.Binding, at time.Time) (proviso.Approval, error) {
	return m.change(ctx, id, func(a *proviso.Approval) error { return a.Spend(b, at) })
}

// Get implements Approvals.
func (m *MemoryApprovals) Get(ctx context.Context, id string) (proviso.Approval, error) {
	return m.change(ctx, id, func(*proviso.Approval) error { return nil })
}

func (m *MemoryApprovals) change(ctx context.Context, id string, f func(*proviso.Approval) error) (out proviso.Approval, err error) {
	err = m.locked(ctx, func() error {
		a := m.byID[id]
		if a == nil {
			return noApproval(id)
		}
		if err := f(a); err != nil {
			return err
		}
		out = copyOf(a)
		return nil
	})
	return out, err
}

// All implements Approvals.
func (m *MemoryApprovals) All(ctx context.Context) iter.Seq2[proviso.Approval, error] {
	return func(yield func(proviso.Approval, error) bool) {
		var all []proviso.Approval
		err := m.locked(ctx, func() error {
			for _, a := range slices.Backward(m.order) {
				all = append(all, copyOf(a))
			}
			return nil
		})
		if err != nil {
			yield(proviso.Approval{}, err)
			return
		}
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// Close implements Approvals.
func (m *MemoryApprovals) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// copyOf copies what a caller could change later.
func copyOf(a *proviso.Approval) proviso.Approval {
	c := *a
	c.Agents, c.Rules, c.Args, c.Reasons = slices.Clone(a.Agents), slices.Clone(a.Rules), slices.Clone(a.Args), slices.Clone(a.Reasons)
	return c
}
