package journal

import (
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// Every record has a salt of its own, also beyond those that are drawn together: with one that another record shares, a guess at what was redacted could be held against its hash.
func TestSealerSalts(t *testing.T) {
	var s Sealer
	seen := map[string]bool{}
	for i := range 200 {
		r := proviso.Record{Event: proviso.Event{Session: "s", Seq: uint64(i + 1), Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "the same"}}}
		e, err := s.Seal(&r, Hash{})
		if err != nil {
			t.Fatal(err)
		}
		seen[string(e.Body)] = true
		if i%7 == 0 {
			s.Reset()
		}
	}
	if len(seen) != 200 {
		t.Errorf("200 records with the same words have %d bodies", len(seen))
	}
}

// BenchmarkSeal seals what a gateway writes for one request, in turns: what the user said, what the model said, and what it called.
func BenchmarkSeal(b *testing.B) {
	at := time.Date(2026, 3, 1, 12, 0, 7, 123456789, time.UTC)
	base := proviso.Record{
		Event:     proviso.Event{Session: "local/h:0123456789abcdef", Seq: 7, Time: at, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "Please look at account number 7 of mine, and tell me what is in it."}},
		Decision:  proviso.Decision{Outcome: proviso.Allow, Policy: strings.Repeat("0123456789abcdef", 4)},
		DecidedAt: at, Kept: &proviso.Kept{Known: "22082d901c01c0d55238d4d06931db2b"},
	}
	said, called := base, base
	said.Event.Point, said.Event.Body = proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: strings.Repeat("The account is being looked at. ", 20)}
	called.Event.Point, called.Event.Body = proviso.ToolCallPoint, &proviso.ToolCall{ID: "call_7", Tool: "lookup", Args: proviso.JSON(`{"id":"A1"}`), Response: "chatcmpl-1/0"}
	called.Phase, called.ArgsHash = proviso.Released, strings.Repeat("fedcba9876543210", 4)
	records := []*proviso.Record{&base, &said, &called}
	var s Sealer
	prev := HashOf([]byte("x"))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e, err := s.Seal(records[i%len(records)], prev)
		if err != nil {
			b.Fatal(err)
		}
		prev = e.Hash
		if i%64 == 0 {
			s.Reset()
		}
	}
}
