//go:build unix

package sqlite_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// BenchmarkWriter is what the line costs where nobody waits: records of the shapes that a gateway writes, of 16 conversations side by side, 320 to a commit, as where a busy gateway writes 16,000 a second.
// cpu-ns/record is the processor time of the whole process, garbage collection included, by getrusage; unlike ns/op it does not depend on what else the machine does.
func BenchmarkWriter(b *testing.B) {
	const conversations, length, lump = 16, 31, 320
	s := open(b, filepath.Join(b.TempDir(), "j.db"))
	records := make([]*proviso.Record, b.N)
	for i := range records {
		turn := i / conversations
		records[i] = relayed(fmt.Sprintf("local/h:%x", sha256.Sum256(fmt.Append(nil, i%conversations, turn/length)))[:24], uint64(turn%length)+1)
	}
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for list := range slices.Chunk(records, lump) {
		for _, r := range list {
			if err := s.Take(ctx, false, r); err != nil {
				b.Fatal(err)
			}
		}
		for s.Stats().Waiting > 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/record")
	if st := s.Stats(); st.Lost > 0 || st.Committed != int64(b.N) {
		b.Errorf("%+v", st)
	}
}

// relayed is the nth record of a conversation through a gateway: its start, then by turns what the user said, what the model said and what it called.
func relayed(id string, n uint64) *proviso.Record {
	at := time.Date(2026, 3, 1, 12, 0, int(n), 123456789, time.UTC)
	r := &proviso.Record{
		Event:     proviso.Event{Session: id, Seq: n, Time: at, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "Please look at account number 7 of mine, and tell me what is in it."}},
		Decision:  proviso.Decision{Outcome: proviso.Allow, Policy: strings.Repeat("0123456789abcdef", 4)},
		DecidedAt: at, Kept: &proviso.Kept{Known: "22082d901c01c0d55238d4d06931db2b"},
	}
	switch {
	case n == 1:
		r.Event.Point, r.Event.Body, r.Kept = proviso.SessionStart, &proviso.Lifecycle{Kind: "start"}, nil
	case n%3 == 0:
		r.Event.Point, r.Event.Body = proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: strings.Repeat("The account is being looked at. ", 20)}
	case n%3 == 1:
		r.Event.Point, r.Event.Body = proviso.ToolCallPoint, &proviso.ToolCall{ID: fmt.Sprint("call_", n), Tool: "lookup", Args: proviso.JSON(`{"id":"A1"}`), Response: "chatcmpl-1/0"}
		r.Phase, r.ArgsHash = proviso.Released, strings.Repeat("fedcba9876543210", 4)
	}
	return r
}

// cpu is the processor time that the process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
