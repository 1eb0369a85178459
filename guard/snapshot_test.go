package guard

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

var _ Keeper = (*journal.Memory)(nil)

func TestMemoryKeeper(t *testing.T) {
	TestKeeper(t, func(testing.TB) Keeper { return new(journal.Memory) })
}

func TestMemoryTaker(t *testing.T) {
	TestTaker(t, func(testing.TB) Taker { return new(journal.Memory) })
}

// What the caller does with its memory after a call changes neither the session nor what is on record.
func TestCallersKeepTheirMemory(t *testing.T) {
	var log journal.Memory
	g := &Guard{Policy: bank(t), Journal: &log}
	args, content := []byte(`{"id":"A1"}`), []byte(`{"open":true}`)
	call := callOf("1", "get_account", "")
	call.Args = args
	_, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: call}, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
		return proviso.ToolResult{Content: content}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	copy(args, `{"id":"B9"}`)
	copy(content, `{"open":null}`)
	call.Tool = "pay"
	for r, err := range log.Read(context.Background(), "s", 1) {
		if err != nil {
			t.Fatal(err)
		}
		switch b := r.Event.Body.(type) {
		case *proviso.ToolCall:
			if string(b.Args) != `{"id":"A1"}` || b.Tool != "get_account" {
				t.Errorf("on record is %s %s", b.Tool, b.Args)
			}
		case *proviso.ToolResult:
			if string(b.Content) != `{"open":true}` {
				t.Errorf("on record is %s", b.Content)
			}
		}
	}
	sameAsJournal(t, g, &log, "s")
}

// plainJournal hides that a journal keeps states.
type plainJournal struct{ Journal }

// settledGuard waits until a snapshot that is on its way has arrived.
func settledGuard(t testing.TB, g *Guard) {
	for range 5000 {
		if !g.keeping.Load() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("a snapshot does not arrive")
}

// A session that goes on from a snapshot decides as one that is folded from its first record, and as one that never was away.
func TestSessionsGoOnFromSnapshots(t *testing.T) {
	p := bank(t)
	rapid.Check(t, func(rt *rapid.T) {
		now := noon
		clock := func() time.Time { return now }
		var kept, plain, live journal.Memory
		open := map[string]func() *Guard{
			"kept": func() *Guard {
				return &Guard{Policy: p, Journal: &kept, Clock: clock, SnapshotEvery: rapid.IntRange(1, 4).Draw(rt, "every")}
			},
			"plain": func() *Guard { return &Guard{Policy: p, Journal: plainJournal{&plain}, Clock: clock} },
			"live":  func() *Guard { return &Guard{Policy: p, Journal: &live, Clock: clock, SnapshotEvery: -1} },
		}
		guards := map[string]*Guard{}
		for name := range open {
			guards[name] = open[name]()
		}
		restarts := 0
		for i := range rapid.IntRange(1, 30).Draw(rt, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "seconds")) * time.Second)
			id := fmt.Sprintf("A%d", rapid.IntRange(1, 2).Draw(rt, "account"))
			ev := proviso.Event{Session: "s", Point: proviso.ToolCallPoint}
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				ev.Body = callOf("", "get_account", fmt.Sprintf(`{"id":%q}`, id))
			case 1:
				ev.Point, ev.Body = proviso.Input, &proviso.Message{Role: proviso.User, Text: "please pay " + id}
			default:
				ev.Body = callOf("", "pay", fmt.Sprintf(`{"id":%q,"amount":%d.5}`, id, rapid.IntRange(0, 60).Draw(rt, "amount")))
			}
			var want string
			for _, name := range []string{"live", "plain", "kept"} {
				e, err := guards[name].Do(context.Background(), ev, returns(`{"open":true}`))
				var denied *DeniedError
				if err != nil && !errors.As(err, &denied) {
					rt.Fatal(err)
				}
				got := fmt.Sprintf("%s %v", e.Record.Decision.Outcome, err)
				if name == "live" {
					want = got
				} else if got != want {
					rt.Fatalf("event %d: %s says %s, want %s", i, name, got, want)
				}
			}
			settledGuard(t, guards["kept"])
			if rapid.IntRange(0, 3).Draw(rt, "restart") == 0 {
				restarts++
				guards["kept"], guards["plain"] = open["kept"](), open["plain"]()
			}
		}
		states := map[string]string{}
		for name, g := range guards {
			s, err := g.enter(context.Background(), "s")
			if err != nil {
				rt.Fatal(err)
			}
			b, err := s.state.Snapshot()
			if err != nil {
				rt.Fatal(err)
			}
			states[name] = string(b)
			if n := g.Counts().Snapshots; n != 0 {
				rt.Fatalf("%s: %d snapshots failed", name, n)
			}
		}
		if states["kept"] != states["live"] || states["plain"] != states["live"] {
			rt.Fatalf("after %d restarts:\nlive  %s\nplain %s\nkept  %s", restarts, states["live"], states["plain"], states["kept"])
		}
	})
}

// reads counts the records that a guard reads.
type reads struct {
	journal.Memory
	n int
}

func (r *reads) Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error] {
	return func(yield func(proviso.Record, error) bool) {
		for x, err := range r.Memory.Read(ctx, session, from) {
			r.n++
			if !yield(x, err) {
				return
			}
		}
	}
}

// A long session that goes on reads the records behind its newest snapshot, and no others.
func TestSnapshotsMakeFoldsShort(t *testing.T) {
	log := &reads{}
	g := &Guard{Policy: bank(t), Journal: log, SnapshotEvery: 100}
	for range 130 {
		openAccount(t, g, "s")
		settledGuard(t, g)
	}
	g = &Guard{Policy: bank(t), Journal: log}
	openAccount(t, g, "s")
	if log.n > 121 {
		t.Errorf("%d records of 260 were read", log.n)
	}
	if log.n < 2 {
		t.Errorf("%d records were read: the test shows nothing", log.n)
	}
}

// brokenKeeper keeps states and gives back others.
type brokenKeeper struct {
	journal.Memory
	state []byte
	err   error
}

func (k *brokenKeeper) Snapshot(ctx context.Context, session, policy string, before uint64) (uint64, []byte, bool, error) {
	if k.state != nil || k.err != nil {
		return 2, k.state, k.err == nil, k.err
	}
	return k.Memory.Snapshot(ctx, session, policy, before)
}

// A state of another version is folded anew, and counted. One that was forged, or that vouches for records which are gone, stops the session.
func TestSnapshotsThatDoNotFit(t *testing.T) {
	begin := func() *brokenKeeper {
		k := &brokenKeeper{}
		g := &Guard{Policy: bank(t), Journal: k, SnapshotEvery: 2}
		openAccount(t, g, "s")
		settledGuard(t, g)
		return k
	}
	k := begin()
	k.state = []byte(`{"version":1}`)
	g := &Guard{Policy: bank(t), Journal: k}
	openAccount(t, g, "s")
	if c := g.Counts(); c.Snapshots != 1 || c.Folds != 1 {
		t.Errorf("%+v", c)
	}
	k = begin()
	k.err = &journal.ChainError{Finding: journal.Finding{Kind: "snapshot", Session: "s", Seq: 2, Msg: "forged"}}
	stopped(t, k, "guard: the session could not be folded from the journal: journal: forged")
	k = begin()
	_, b, _, _ := k.Memory.Snapshot(context.Background(), "s", bank(t).Digest(), 0)
	k.Memory = journal.Memory{}
	k.state = b
	stopped(t, k, "guard: the session could not be folded from the journal: the journal ends before record 2, after which a snapshot was kept; verify it with proviso log verify")
}

func stopped(t *testing.T, k Keeper, want string) {
	t.Helper()
	g := &Guard{Policy: bank(t), Journal: k}
	e, err := g.Do(context.Background(), proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: callOf("", "get_account", `{"id":"A1"}`)}, returns(`{}`))
	if err == nil || e.Record.Decision.Outcome != proviso.Deny || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// A state that holds records which the journal could not take is not kept.
func TestSnapshotWaitsForTheJournal(t *testing.T) {
	k := &failingKeeper{}
	g := &Guard{Policy: bank(t), Journal: k, Audit: BestEffort, SnapshotEvery: 1}
	openAccount(t, g, "s")
	settledGuard(t, g)
	if _, _, ok, _ := k.Memory.Snapshot(context.Background(), "s", bank(t).Digest(), 0); ok || g.Counts().Snapshots != 0 {
		t.Errorf("a state was kept of what the journal lacks: %+v", g.Counts())
	}
}

type failingKeeper struct{ journal.Memory }

func (k *failingKeeper) Take(ctx context.Context, _ bool, records ...*proviso.Record) error {
	return k.Append(ctx, values(records)...)
}

func (*failingKeeper) Append(context.Context, ...proviso.Record) error {
	return errors.New("disk full")
}
