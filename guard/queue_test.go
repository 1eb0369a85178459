package guard

import (
	"context"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

// queue is a journal that notes which records were waited for.
type queue struct {
	journal.Memory
	waited, enqueued []proviso.Phase
}

func (q *queue) Take(ctx context.Context, durable bool, records ...*proviso.Record) error {
	if durable {
		return q.Append(ctx, values(records)...)
	}
	return q.Enqueue(ctx, values(records)...)
}

func (q *queue) Append(ctx context.Context, records ...proviso.Record) error {
	for i := range records {
		q.waited = append(q.waited, records[i].Phase)
	}
	return q.Memory.Append(ctx, records...)
}

func (q *queue) Enqueue(ctx context.Context, records ...proviso.Record) error {
	for i := range records {
		q.enqueued = append(q.enqueued, records[i].Phase)
	}
	return q.Memory.Append(ctx, records...)
}

// Where audit is required only the release of a call that does more than read waits for the journal; with best effort nothing does.
func TestOnlyReleasesWait(t *testing.T) {
	for audit, want := range map[Audit][]proviso.Phase{Required: {proviso.Released}, BestEffort: nil} {
		q := &queue{}
		g := &Guard{Policy: bank(t), Journal: q, Audit: audit}
		openAccount(t, g, "s")
		before := len(q.enqueued)
		if _, err := g.Do(t.Context(), proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("p", "pay", `{"id":"A1","amount":1.0}`)}, returns(`{"ok":true}`)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(q.waited, want) {
			t.Errorf("audit %d: waited for %q, want %q", audit, q.waited, want)
		}
		if before == 0 || len(q.enqueued) == before {
			t.Errorf("audit %d: enqueued %q", audit, q.enqueued)
		}
	}
}
