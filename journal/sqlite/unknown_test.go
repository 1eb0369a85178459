package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/proviso-dev/proviso"
)

// Whoever reads a session of which nothing was taken in does not wait for the records of others; whoever reads one that stands in line sees what was enqueued.
func TestReadDoesNotWaitForOthers(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "j.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	record := proviso.Record{Event: proviso.Event{Session: "others", Seq: 1, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "x"}}}
	for range 20 {
		if err := s.Enqueue(ctx, record); err != nil {
			t.Fatal(err)
		}
		record.Event.Seq++
		before := s.Stats().Commits
		for range s.Read(ctx, "unknown", 1) {
			t.Error("an unknown session has records")
		}
		if s.Stats().Waiting == 0 && s.Stats().Commits != before {
			t.Skip("the writer was faster than the reader; nothing is shown")
		}
		if n := s.Stats().Waiting; n > 0 {
			seen := uint64(0)
			for r, err := range s.Read(ctx, "others", 1) {
				if err != nil {
					t.Fatal(err)
				}
				seen = r.Event.Seq
			}
			if seen != record.Event.Seq-1 {
				t.Errorf("read up to %d of %d", seen, record.Event.Seq-1)
			}
			return
		}
	}
}
