package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proviso-dev/proviso/policy/pack"
)

// However many sessions come after it, a session keeps its overlays: losing one would make it wider.
func TestOverlaysInMemoryStayWithTheirSession(t *testing.T) {
	night := loadPack(t, "testdata/night")
	door := newDoor(t, func(c *Config) {
		c.Limits.Sessions = 2
		base := c.Load
		c.Load = func(ctx context.Context) (*Rules, error) {
			r, err := base(ctx)
			r.Overlays = map[string]*pack.Pack{"night": night}
			return r, err
		}
	})
	const mail = `{"session":"s","tool":"mail","args":{"to":"a@example.com","subject":"s","body":"b"}}`
	if status, _, body := door.post("/v1/session/overlays", `{"session":"s","name":"night"}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for i := range 20 {
		if _, out := door.decide(strings.Replace(mail, `"s"`, fmt.Sprintf(`"other-%d"`, i), 1)); out["allow"] != true {
			t.Fatalf("%v", out)
		}
	}
	door.convs.sweep()
	if n := door.convs.order.Len(); n > 2 {
		t.Fatalf("%d conversations are at hand", n)
	}
	if _, out := door.decide(mail); out["allow"] != false {
		t.Errorf("the overlay is gone: %v", out)
	}
}

// A session that nobody uses gives its memory back, and goes on from the journal as if nothing had been.
func TestIdleSessionsArePutAway(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Limits.SessionIdle = 20 * time.Millisecond })
	door.lookup("s", "A")
	folds := func() int { return int(door.gen.Load().base.guard.Counts().Folds) }
	before := folds()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		door.convs.mu.Lock()
		n := door.convs.order.Len()
		door.convs.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d conversations are at hand", n)
		}
	}
	if _, out := door.decide(`{"session":"s","tool":"pay","args":{"id":"A","amount":5}}`); out["allow"] != true {
		t.Errorf("what the session has shown is lost: %v", out)
	}
	if folds() == before {
		t.Error("the guard has kept the session")
	}
}

// The oldest go first, whoever holds its turn stays, and the timer ends with the last.
func TestConversationsSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		cs := conversations{away: func(id string, _ *bound) { gone = append(gone, id) }}
		cs.bound(100, time.Minute)
		enter := func(id string) *conversation {
			c, err := cs.enter(t.Context(), id, func(*conversation) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		a := enter("a")
		a.leave()
		held := enter("held")
		time.Sleep(50 * time.Second)
		enter("b").leave()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := strings.Join(gone, " "); got != "a" || !a.gone || held.gone {
			t.Errorf("after a minute %q went; who waits for its turn is told %v, and %v of what is held", got, a.gone, held.gone)
		}
		held.leave()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if got := strings.Join(gone, " "); got != "a held b" || cs.timer != nil {
			t.Errorf("in the end %q went, the timer is %v", got, cs.timer)
		}
	})
}
