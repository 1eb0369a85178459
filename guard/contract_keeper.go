package guard

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/proviso-dev/proviso"
)

// TestKeeper is the contract of a Keeper: every journal that keeps states calls it in its own test. open returns an empty journal, which the test does not close.
func TestKeeper(t *testing.T, open func(t testing.TB) Keeper) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, k Keeper)
	}{
		{"newest of a policy", testNewestState},
		{"own memory", testOwnState},
		{"beyond the end", testStateBeyondTheEnd},
		{"cancelled", testStateCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// said appends the first n records of a session.
func said(t *testing.T, k Keeper, session string, n int) {
	t.Helper()
	for i := range n {
		err := k.Append(context.Background(), proviso.Record{
			Event:    proviso.Event{Session: session, Seq: uint64(i) + 1, Time: noon, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "hello"}},
			Decision: proviso.Decision{Outcome: proviso.Allow, Policy: "d"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wantState(t *testing.T, k Keeper, session, policy string, before, seq uint64, state string) {
	t.Helper()
	at, b, ok, err := k.Snapshot(context.Background(), session, policy, before)
	if err != nil || ok != (seq > 0) || at != seq || string(b) != state {
		t.Errorf("session %s, policy %s, before %d: %d %q %v %v, want %d %q", session, policy, before, at, b, ok, err, seq, state)
	}
}

func testNewestState(t *testing.T, k Keeper) {
	wantState(t, k, "a", "d", 0, 0, "")
	said(t, k, "a", 9)
	said(t, k, "b", 9)
	for _, seq := range []uint64{3, 6, 9} {
		for _, p := range []string{"d", "e"} {
			if err := k.PutSnapshot(context.Background(), "a", seq, p, fmt.Append(nil, p, seq)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantState(t, k, "a", "d", 0, 9, "d9")
	wantState(t, k, "a", "e", 0, 9, "e9")
	wantState(t, k, "a", "d", 9, 6, "d6")
	wantState(t, k, "a", "d", 6, 0, "") // only two are kept
	wantState(t, k, "a", "f", 0, 0, "")
	wantState(t, k, "b", "d", 0, 0, "")
	if err := k.PutSnapshot(context.Background(), "a", 9, "d", []byte("again")); err != nil {
		t.Fatal(err)
	}
	wantState(t, k, "a", "d", 0, 9, "again")
	wantState(t, k, "a", "d", 9, 6, "d6")
}

func testOwnState(t *testing.T, k Keeper) {
	said(t, k, "a", 1)
	b := []byte("state")
	if err := k.PutSnapshot(context.Background(), "a", 1, "d", b); err != nil {
		t.Fatal(err)
	}
	b[0] = 'x'
	_, got, _, err := k.Snapshot(context.Background(), "a", "d", 0)
	if err != nil || string(got) != "state" {
		t.Fatalf("%q, %v", got, err)
	}
	got[0] = 'y'
	wantState(t, k, "a", "d", 0, 1, "state")
}

func testStateBeyondTheEnd(t *testing.T, k Keeper) {
	said(t, k, "a", 2)
	if err := k.PutSnapshot(context.Background(), "a", 3, "d", []byte("state")); err == nil {
		t.Error("a state after a record that is not there was kept")
	}
	wantState(t, k, "a", "d", 0, 0, "")
	if err := k.PutSnapshot(context.Background(), "a", 2, "d", []byte("state")); err != nil {
		t.Errorf("the journal is of no use after a refusal: %v", err)
	}
	wantState(t, k, "a", "d", 0, 2, "state")
}

func testStateCancelled(t *testing.T, k Keeper) {
	said(t, k, "a", 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := k.PutSnapshot(ctx, "a", 1, "d", []byte("state")); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, _, _, err := k.Snapshot(ctx, "a", "d", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
}
