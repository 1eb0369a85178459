package journal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

// TestStore is the contract of a Store: every back end calls it in its own test. open returns an empty store; the test closes it.
// Run it with -race as well.
func TestStore(t *testing.T, open func(t testing.TB) Store) {
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			c.test(t, s)
		})
	}
}

var contract = []struct {
	name string
	test func(t *testing.T, s Store)
}{
	{"order", testOrder},
	{"everything comes back", testContents},
	{"gaps are refused", testGaps},
	{"sessions are apart", testSessions},
	{"own memory", testOwnMemory},
	{"at the same time", testConcurrent},
	{"one writer wins", testRace},
	{"cancelled", testCancelled},
	{"closed", testClosed},
}

// call is record number seq of a session.
func call(session string, seq uint64) proviso.Record {
	return proviso.Record{
		Event: proviso.Event{Session: session, Seq: seq, Time: time.Date(2026, 3, 1, 12, 0, int(seq%60), 0, time.UTC), Point: proviso.ToolCallPoint,
			Body: &proviso.ToolCall{ID: fmt.Sprint(seq), Tool: "get", Args: proviso.JSON(`{"a": 1}`)}},
		Decision: proviso.Decision{Outcome: proviso.Allow, Policy: "d"},
		Phase:    proviso.Released,
	}
}

func read(t *testing.T, s Store, session string, from uint64) []proviso.Record {
	t.Helper()
	var out []proviso.Record
	for r, err := range s.Read(context.Background(), session, from) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func wantSeqs(t *testing.T, records []proviso.Record, want ...uint64) {
	t.Helper()
	var got []uint64
	for _, r := range records {
		got = append(got, r.Event.Seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("records %v, want %v", got, want)
	}
}

func add(t *testing.T, s Store, records ...proviso.Record) {
	t.Helper()
	if err := s.Append(context.Background(), records...); err != nil {
		t.Fatal(err)
	}
}

func testOrder(t *testing.T, s Store) {
	wantSeqs(t, read(t, s, "a", 1))
	add(t, s)
	add(t, s, call("a", 1))
	add(t, s, call("a", 2), call("a", 3))
	wantSeqs(t, read(t, s, "a", 0), 1, 2, 3)
	wantSeqs(t, read(t, s, "a", 2), 2, 3)
	wantSeqs(t, read(t, s, "a", 4))
	for range s.Read(context.Background(), "a", 1) {
		break // a reader may stop early
	}
}

// testContents appends one record of every kind of body with every field set.
func testContents(t *testing.T, s Store) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	bodies := []proviso.Body{
		&proviso.Message{Role: proviso.User, Text: "héllo\n\"x\" <b>", Confirms: []string{"h"}},
		&proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{ "b" : [1, 2.0, "x"], "a":null }`), Response: "m", Index: 1},
		&proviso.ToolCall{ID: "2", Tool: "get", Args: proviso.JSON(`{ not JSON`)},
		&proviso.ToolResult{CallID: "1", Tool: "get", Content: proviso.JSON(`{"A":1,"a":2}`), IsError: true},
		&proviso.ToolResult{CallID: "1", Tool: "get", Text: "plain"},
		&proviso.ToolList{Tools: []string{"get", "put"}},
		&proviso.ModelRequest{Model: "m", Text: "t", Tools: []string{"get"}},
		&proviso.ModelResponse{ID: "m", Text: "t", Calls: []proviso.ToolCall{{ID: "1", Tool: "get", Args: proviso.JSON(`{}`)}}},
		&proviso.Lifecycle{Kind: "start", Name: "n", User: "u", Attributes: map[string]any{"n": int64(1), "f": 1.5, "l": []any{"x", nil, true}}},
	}
	points := []proviso.Point{proviso.Input, proviso.ToolCallPoint, proviso.ToolCallPoint, proviso.ToolResultPoint, proviso.ToolResultPoint, proviso.ToolListPoint, proviso.ModelRequestPoint, proviso.ModelResponsePoint, proviso.SessionStart}
	var want []proviso.Record
	for i, b := range bodies {
		want = append(want, proviso.Record{
			Event: proviso.Event{Session: "a", Seq: uint64(i) + 1, Time: at, Point: points[i], Agents: []string{"x", "y"}, Body: b},
			Decision: proviso.Decision{
				Outcome: proviso.NeedInfo, Policy: "d",
				Edits:       []proviso.Edit{{Rule: "r", Path: "a.b", Value: "v"}, {Rule: "r", Start: 1, End: 2, Text: "t"}},
				Notices:     []proviso.Notice{{Rule: "r", To: "user", Text: "t"}},
				Reasons:     []proviso.Reason{{Rule: "r", Outcome: proviso.Deny, Clauses: []proviso.Clause{{ID: "c/1", Text: "t", Span: proviso.Span{File: "f", Start: 1, End: 2, Line: 3}}}, Because: []proviso.Cause{{Expr: "e", Value: "true", Inputs: []proviso.Value{{Path: "p", Val: int64(1)}}}}, Class: proviso.Never, Hint: "h", Pos: proviso.Pos{File: "f", Line: 1, Col: 2}}},
				Missing:     []proviso.Missing{{Kind: proviso.MissingFact, Fact: "f", Key: []proviso.Value{{Path: "p", Val: "k"}}, Suppliers: []proviso.Supplier{{Tool: "get", Args: map[string]any{"a": "b"}, Open: []string{"o"}}}, Rules: []string{"r"}}},
				Errors:      []proviso.Fault{{Code: "PV523", Msg: "m"}},
				Approximate: true, FailedOpen: true,
			},
			Phase: proviso.Denied, ArgsHash: "h",
			Facts: []proviso.FactValue{
				{FactKey: proviso.FactKey{Fact: "f", Key: []string{"k"}}, Value: map[string]any{"at": at, "n": int64(1), "f": 2.0, "l": []any{at}}},
				{FactKey: proviso.FactKey{Fact: "g"}, Err: "e"},
			},
			Stale:      []proviso.FactKey{{Fact: "f", Key: []string{"k"}}, {Fact: "f"}},
			Answers:    []proviso.Answer{{Question: "q", Hash: "h", Value: proviso.True, Quotes: []string{"q"}, Cites: []string{"c"}, By: "b"}},
			Unverified: true, Changed: true, DecidedAt: at,
			Approval: &proviso.ApprovalUse{ID: "a", By: "b", Rules: []string{"r"}},
		})
	}
	add(t, s, want...)
	got := read(t, s, "a", 1)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d came back as\n%+v\nwant\n%+v", i+1, got[i], want[i])
		}
	}
}

func testGaps(t *testing.T, s Store) {
	add(t, s, call("a", 1))
	for name, c := range map[string]struct {
		records   []proviso.Record
		got, want uint64
		conflict  bool
	}{
		"one missing":            {[]proviso.Record{call("a", 3)}, 3, 2, false},
		"one twice":              {[]proviso.Record{call("a", 1)}, 1, 2, true},
		"number zero":            {[]proviso.Record{call("b", 0)}, 0, 1, true},
		"not from the beginning": {[]proviso.Record{call("b", 2)}, 2, 1, false},
		"a gap inside":           {[]proviso.Record{call("a", 2), call("a", 4)}, 4, 3, false},
		"another session's gap":  {[]proviso.Record{call("c", 1), call("a", 9)}, 9, 2, false},
	} {
		err := s.Append(context.Background(), c.records...)
		var e *SeqError
		if !errors.As(err, &e) || e.Got != c.got || e.Want != c.want || e.Conflict() != c.conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantSeqs(t, read(t, s, "a", 1), 1)
	wantSeqs(t, read(t, s, "b", 1))
	wantSeqs(t, read(t, s, "c", 1))
}

func testSessions(t *testing.T, s Store) {
	add(t, s, call("b", 1), call("a", 1), call("b", 2))
	wantSeqs(t, read(t, s, "a", 1), 1)
	wantSeqs(t, read(t, s, "b", 1), 1, 2)
	var ids []string
	for id, err := range s.Sessions(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("sessions %v", ids)
	}
}

// testOwnMemory changes what it appended and what it read; the store must not notice.
func testOwnMemory(t *testing.T, s Store) {
	spoil := func(r *proviso.Record) {
		r.Event.Body.(*proviso.ToolCall).Args[2] = 'X'
		r.Facts[0].Value.(map[string]any)["n"] = "changed"
		r.Facts[0].Key[0] = "changed"
		r.Decision.Reasons[0].Clauses[0].ID = "changed"
		r.Event.Agents[0] = "changed"
	}
	fresh := func() proviso.Record {
		r := call("a", 1)
		r.Event.Agents = []string{"x"}
		r.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f", Key: []string{"k"}}, Value: map[string]any{"n": int64(1)}}}
		r.Decision.Reasons = []proviso.Reason{{Clauses: []proviso.Clause{{ID: "c"}}}}
		return r
	}
	r := fresh()
	add(t, s, r)
	spoil(&r)
	for range 2 {
		got := read(t, s, "a", 1)
		if !reflect.DeepEqual(got[0], fresh()) {
			t.Fatalf("%+v", got[0])
		}
		spoil(&got[0])
	}
}

func testConcurrent(t *testing.T, s Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			id := fmt.Sprint("s", w)
			for i := range each {
				if err := s.Append(context.Background(), call(id, uint64(i)+1)); err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				for _, err := range s.Read(context.Background(), fmt.Sprint("s", (w+1)%writers), 1) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		if n := len(read(t, s, fmt.Sprint("s", w), 1)); n != each {
			t.Errorf("s%d has %d records, want %d", w, n, each)
		}
	}
}

// testRace lets several writers append the same number; exactly one may.
func testRace(t *testing.T, s Store) {
	const writers, rounds = 8, 10
	for seq := uint64(1); seq <= rounds; seq++ {
		var won sync.Map
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				r := call("a", seq)
				r.ArgsHash = fmt.Sprint(w)
				err := s.Append(context.Background(), r)
				var e *SeqError
				if err == nil {
					won.Store(w, true)
				} else if !errors.As(err, &e) || !e.Conflict() {
					t.Errorf("writer %d: %v", w, err)
				}
			})
		}
		wg.Wait()
		n := 0
		won.Range(func(w, _ any) bool {
			n++
			if got := read(t, s, "a", seq); len(got) != 1 || got[0].ArgsHash != fmt.Sprint(w) {
				t.Errorf("record %d is not the winner's", seq)
			}
			return true
		})
		if n != 1 {
			t.Fatalf("%d writers appended record %d", n, seq)
		}
	}
}

func testCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Append(ctx, call("a", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	add(t, s, call("a", 1))
	for _, err := range s.Read(ctx, "a", 1) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
	}
}

func testClosed(t *testing.T, s Store) {
	add(t, s, call("a", 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(context.Background(), call("a", 2)); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	for _, err := range s.Read(context.Background(), "a", 1) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("read: %v", err)
		}
	}
	for _, err := range s.Sessions(context.Background()) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("sessions: %v", err)
		}
	}
}
