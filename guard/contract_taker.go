package guard

import (
	"context"
	"errors"
	"testing"

	"github.com/proviso-dev/proviso"
)

// TestTaker is the contract of a Taker: every journal that keeps the records of a guard calls it in its own test. open returns an empty journal, which the test does not close.
func TestTaker(t *testing.T, open func(t testing.TB) Taker) {
	ctx := context.Background()
	record := func(session string, seq uint64) *proviso.Record {
		return &proviso.Record{
			Event:    proviso.Event{Session: session, Seq: seq, Time: noon, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "hello"}},
			Decision: proviso.Decision{Outcome: proviso.Allow, Policy: "d"},
		}
	}
	read := func(t *testing.T, j Taker, session string) (seqs []uint64) {
		for r, err := range j.Read(ctx, session, 1) {
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, r.Event.Seq)
			if m, ok := r.Event.Body.(*proviso.Message); !ok || m.Text != "hello" {
				t.Errorf("record %d comes back with %v", r.Event.Seq, r.Event.Body)
			}
			r.Event.Body.(*proviso.Message).Text = "changed by a reader"
		}
		return seqs
	}
	t.Run("in order, whether waited for or not", func(t *testing.T) {
		j := open(t)
		list := []*proviso.Record{record("a", 1)}
		for seq := uint64(1); seq < 50; seq++ {
			list[0] = record("a", seq) // the list is the caller's
			if err := j.Take(ctx, seq%3 == 0, list...); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Append(ctx, *record("a", 50)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := read(t, j, "a"); len(got) != 50 || got[49] != 50 {
				t.Errorf("records %v", got)
			}
		}
	})
	t.Run("all or none", func(t *testing.T) {
		j := open(t)
		for _, durable := range []bool{true, false} {
			err := j.Take(ctx, durable, record("a", 1), record("b", 2))
			var other interface{ Conflict() bool }
			if !errors.As(err, &other) || other.Conflict() {
				t.Errorf("durable %v: a gap is taken: %v", durable, err)
			}
		}
		if err := j.Take(ctx, true, record("a", 1), record("b", 1)); err != nil {
			t.Fatal(err)
		}
		err := j.Take(ctx, false, record("a", 1))
		var other interface{ Conflict() bool }
		if !errors.As(err, &other) || !other.Conflict() {
			t.Errorf("a record that is there already is taken: %v", err)
		}
		if a, b := read(t, j, "a"), read(t, j, "b"); len(a) != 1 || len(b) != 1 {
			t.Errorf("records %v and %v", a, b)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		j := open(t)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		for _, durable := range []bool{true, false} {
			if err := j.Take(gone, durable, record("a", 1)); !errors.Is(err, context.Canceled) {
				t.Errorf("durable %v: %v", durable, err)
			}
		}
		if got := read(t, j, "a"); len(got) != 0 {
			t.Errorf("records %v", got)
		}
	})
}
