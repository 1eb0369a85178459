package sqlite_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

var kills = flag.Int("kills", 50, "how often TestKill9 kills the writing process")

// childStore names the store that a process of this test binary writes until it is killed.
const childStore = "PROVISO_TEST_KILL_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childStore); path != "" {
		if err := writeForEver(path, os.Getenv(childStore+"_ROUND")); err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// shop is a pack whose state has everything: facts, staleness, counts and sums by argument, consent.
var shop = fstest.MapFS{
	"proviso.yaml": {Data: []byte("name: shop\nversion: \"1\"\nreads: [get_order]\n")},
	"tools.json": {Data: []byte(`[
{"name": "get_order", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}, "outputSchema": {"type": "object", "properties": {"id": {"type": "string"}, "total": {"type": "number"}}, "required": ["id", "total"]}},
{"name": "refund", "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "amount": {"type": "number"}, "note": {"type": "string"}}, "required": ["id", "amount"]}}]`)},
	"rules.yaml": {Data: []byte(`
grants:
  - {tools: [get_order, refund]}
facts:
  order:
    key: {id: string}
    from: [{tool: get_order, id: args.id, value: result}]
    stale: [{tool: refund, id: args.id}]
rules:
  - {id: known, tools: [refund], require: "order[args.id].total >= args.amount"}
  - {id: budget, tools: [refund], require: "total('refund', 'amount', {'id': args.id}) + args.amount <= 1000000.0"}
  - {id: pace, tools: [refund], require: "count('refund', {'id': args.id}, {'within': duration('1h')}) < 100000"}
`)},
}

func shopPolicy(t testing.TB) *policy.Policy {
	pk, ds := pack.Load(shop, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := policy.Compile(pk)
	if p == nil {
		t.Fatal(ds)
	}
	return p
}

// writeForEver plays sessions and tells each record that is durable, with the hash of the state after it, until somebody kills the process.
func writeForEver(path, round string) error {
	pol := shopPolicy(nil)
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	tell := func(id string, st *session.State, seq uint64) error {
		b, err := st.Snapshot()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = fmt.Printf("%s %d %s\n", id, seq, journal.HashOf(b))
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for w := range 4 {
		wg.Go(func() { failed <- play(s, pol, fmt.Sprintf("s%d-%s", w, round), w%2 == 1, tell) })
	}
	return <-failed
}

// play is one session. A lazy one enqueues, and tells what is durable after a flush.
func play(s *sqlite.Store, pol *policy.Policy, id string, lazy bool, tell func(string, *session.State, uint64) error) error {
	ctx := context.Background()
	st := session.New(pol, id)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := 0; ; i++ {
		for _, body := range []proviso.Body{
			&proviso.Message{Role: proviso.User, Text: fmt.Sprintf("please refund %d", i)},
			&proviso.ToolCall{ID: fmt.Sprint("g", i), Tool: "get_order", Args: proviso.JSON(fmt.Sprintf(`{"id":"R%d"}`, i%3))},
			&proviso.ToolResult{CallID: fmt.Sprint("g", i), Tool: "get_order", Content: proviso.JSON(fmt.Sprintf(`{"id":"R%d","total":5.5}`, i%3))},
			&proviso.ToolCall{ID: fmt.Sprint("r", i), Tool: "refund", Args: proviso.JSON(fmt.Sprintf(`{"id":"R%d","amount":1.25,"note":"%s"}`, i%3, strings.Repeat("x", rand.IntN(3000))))},
			&proviso.ToolResult{CallID: fmt.Sprint("r", i), Tool: "refund", Text: "done", IsError: i%5 == 0},
		} {
			at = at.Add(time.Second)
			ev := &proviso.Event{Session: id, Seq: st.Next(), Time: at, Point: pointOf(body), Body: body}
			in := st.Bind(ev)
			r := st.Record(in, pol.Decide(in, st.View(in)))
			put := s.Append
			if lazy {
				put = s.Enqueue
			}
			if err := put(ctx, r); err != nil {
				return err
			}
			if err := st.Apply(in, &r); err != nil {
				return err
			}
			if lazy && i%3 != 2 {
				continue
			}
			if lazy {
				if err := s.Flush(ctx); err != nil {
					return err
				}
			}
			if err := tell(id, st, ev.Seq); err != nil {
				return err
			}
		}
		if i%4 == 3 {
			b, err := st.Snapshot()
			if err == nil {
				err = s.PutSnapshot(ctx, id, st.Next()-1, pol.Digest(), b)
			}
			if err != nil {
				return err
			}
		}
	}
}

func pointOf(b proviso.Body) proviso.Point {
	switch b := b.(type) {
	case *proviso.ToolCall:
		return proviso.ToolCallPoint
	case *proviso.ToolResult:
		return proviso.ToolResultPoint
	case *proviso.Message:
		if b.Role == proviso.Assistant {
			return proviso.Output
		}
	}
	return proviso.Input
}

// The process that writes is killed at a random moment, many times over on one store. Everything that it told to be durable is there, the chain holds, and the fold gives the state that it had.
func TestKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	pol := shopPolicy(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	acknowledged, torn, snapshots := 0, 0, 0
	for round := range *kills {
		told := killed(t, path, round)
		s, err := sqlite.Open(path, sqlite.Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for id, states := range told {
			acknowledged += len(states)
			if wantStates(t, s, pol, id, states) {
				snapshots++
			}
		}
		// Verifying everything each time would take the square of the rounds.
		if round%10 == 9 || round == *kills-1 {
			rep := verify(t, s)
			if len(rep.Findings) > 0 {
				t.Fatalf("round %d: %+v", round, rep.Findings)
			}
			torn += len(rep.Notes)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	if acknowledged < *kills {
		t.Errorf("only %d records were acknowledged in %d rounds; the test shows nothing", acknowledged, *kills)
	}
	if snapshots == 0 {
		t.Error("no session had a snapshot; the test shows nothing of them")
	}
	t.Logf("figure: journal.kill9_acknowledged_lost = 0 (n=%d)", *kills)
	t.Logf("%d acknowledged records, %d sessions folded from their snapshot as well, %d torn ends seen", acknowledged, snapshots, torn)
}

// killed starts a process that writes, kills it, and returns what it told: by session the hash of the state after each durable record.
func killed(t *testing.T, path string, round int) map[string]map[uint64]string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childStore+"="+path, fmt.Sprintf("%s_ROUND=%d", childStore, round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]map[uint64]string{}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		var id, state string
		var seq uint64
		if _, err := fmt.Sscan(line, &id, &seq, &state); err != nil {
			t.Fatalf("the child says %q", line)
		}
		if told[id] == nil {
			told[id] = map[uint64]string{}
		}
		told[id][seq] = state
		if n == 0 {
			time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait()
	if len(told) == 0 {
		t.Fatal("the child told nothing")
	}
	return told
}

// wantSnapshot compares the state that all records fold to with the newest snapshot and the records behind it, and reports whether there was one.
func wantSnapshot(t *testing.T, s *sqlite.Store, pol *policy.Policy, full *session.State) bool {
	t.Helper()
	seq, b, ok, err := s.Snapshot(ctx, full.ID(), pol.Digest(), 0)
	if err != nil || !ok {
		if err != nil {
			t.Error(err)
		}
		return false
	}
	st, err := session.Restore(pol, b)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Read(ctx, full.ID(), seq+1) {
		if err == nil {
			err = st.Apply(nil, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := st.Snapshot()
	want, bad := full.Snapshot()
	if err != nil || bad != nil || string(got) != string(want) {
		t.Errorf("session %s: from the snapshot after record %d\n%s\nfrom the first record\n%s\n%v %v", full.ID(), seq, got, want, err, bad)
	}
	return true
}

// wantStates checks what is there of one session, and reports whether a snapshot of it was.
func wantStates(t *testing.T, s *sqlite.Store, pol *policy.Policy, id string, states map[uint64]string) bool {
	t.Helper()
	st := session.New(pol, id)
	found := 0
	for r, err := range s.Read(context.Background(), id, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Apply(nil, &r); err != nil {
			t.Fatal(err)
		}
		want, ok := states[r.Event.Seq]
		if !ok {
			continue
		}
		found++
		b, err := st.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if got := journal.HashOf(b).String(); got != want {
			t.Errorf("session %s: the fold up to record %d gives another state:\n%s", id, r.Event.Seq, b)
		}
	}
	if found != len(states) {
		t.Errorf("session %s: %d of %d acknowledged records are there", id, found, len(states))
	}
	return wantSnapshot(t, s, pol, st)
}

func verify(t testing.TB, s *sqlite.Store, kept ...[]byte) *journal.Report {
	t.Helper()
	var v journal.Verifier
	v.Store(s.ID())
	for i, b := range kept {
		v.Checkpoint(fmt.Sprint("kept ", i+1), b)
	}
	if err := s.Verify(context.Background(), &v); err != nil {
		t.Fatal(err)
	}
	return v.Report()
}
