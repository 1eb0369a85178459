package journal_test

import (
	"context"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

func TestMemory(t *testing.T) {
	journal.TestStore(t, func(testing.TB) journal.Store { return new(journal.Memory) })
}

func BenchmarkMemoryAppend(b *testing.B) {
	var m journal.Memory
	r := proviso.Record{
		Event:    proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{"reservation_id":"R1"}`)}},
		Decision: proviso.Decision{Outcome: proviso.Allow}, Phase: proviso.Released,
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Event.Seq++
		if err := m.Append(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}
