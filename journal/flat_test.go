package journal_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

// Verifying takes memory for sessions and not for records: a log is streamed, however long it is. Ten times the records of the same sessions need no more, and a change in the last of them is found.
func TestVerifyingIsFlat(t *testing.T) {
	used := func(records int) int64 {
		v := &journal.Verifier{}
		v.Store("flat")
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		tips := map[string]journal.Hash{}
		for i := range records {
			id := fmt.Sprint("s", i%10)
			r := proviso.Record{Event: proviso.Event{Session: id, Seq: uint64(i/10) + 1, Time: time.Unix(int64(i), 0).UTC(), Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: strings.Repeat("words ", 50)}}}
			e, err := journal.Seal(&r, tips[id])
			if err != nil {
				t.Fatal(err)
			}
			tips[id] = e.Hash
			if i == records-1 {
				e.Body = []byte(strings.Replace(string(e.Body), "words", "Words", 1))
			}
			v.Entry(&e)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if rep := v.Report(); rep.Records != int64(records) || rep.Sessions != 10 || len(rep.Findings) != 1 {
			t.Errorf("%d records: %+v", records, rep)
		}
		return int64(after.HeapAlloc) - int64(before.HeapAlloc)
	}
	few, many := used(1_000), used(10_000)
	if many > few+256<<10 {
		t.Errorf("1,000 records need %d bytes, 10,000 need %d", few, many)
	}
}
