package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/journal/sqlite"
)

// A credential in the address of a request, as some clients write it, goes nowhere: not to the upstream, not into logs, spans, metrics, answers or the journal.
func TestSecretsInAddresses(t *testing.T) {
	const canary = "sk-CANARY-0123456789"
	each(t, func(t *testing.T, d dialect) {
		var logged bytes.Buffer
		book := &spanBook{wants: true}
		door := newDoor(t, func(c *Config) {
			c.Telemetry.Log, c.Telemetry.Trace = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})), book
		})
		var went []string
		door.up.answer = func(w http.ResponseWriter, r *http.Request) {
			went = append(went, r.RequestURI+fmt.Sprint(r.Header))
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, d.plain(fine))
		}
		for _, query := range []string{"?key=" + canary, "?api_key=" + canary + "&stream=true", "?" + canary, "#" + canary} {
			_, h, body := door.post(d.wire.Path()+query, d.request("m", hello, nil, false), HeaderSession, "one")
			if strings.Contains(body+fmt.Sprint(h), canary) {
				t.Errorf("%s: %v %s", query, h, body)
			}
		}
		door.post("/v1/nowhere?key="+canary, "{}")
		door.post("/v1/decide?key="+canary, `{"session":"s","tool":"lookup","args":{"id":"A"}}`)
		rec := httptest.NewRecorder()
		door.Admin().ServeHTTP(rec, httptest.NewRequest("GET", "http://localhost/metrics?key="+canary, nil))
		for name, text := range map[string]string{"upstream": strings.Join(went, "\n"), "log": logged.String(), "spans": strings.Join(book.lines, "\n"), "metrics": rec.Body.String(), "journal": js(door.records("/h:one"))} {
			if text == "" || strings.Contains(text, canary) {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}

// An approval that a person gave, and one that nobody has answered, end while the server is not there: after the restart neither counts, the call is asked for anew, and the record says that it has expired rather than that somebody refused.
func TestApprovalExpiresDuringRestart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "approvals.db")
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := newDoor(t, nil)
	open := func(now time.Time) (*door, func()) {
		store, err := sqlite.OpenApprovals(name, true)
		if err != nil {
			t.Fatal(err)
		}
		d := newDoor(t, func(c *Config) {
			c.Journal, c.Approvals, c.Clock = first.journal, store, func() time.Time { return now }
		})
		return d, func() { store.Close() }
	}
	before, end := open(start)
	before.lookup("s", "A")
	const granted, waiting = `{"session":"s","tool":"pay","args":{"id":"A","amount":500}}`, `{"session":"s","tool":"pay","args":{"id":"A","amount":600}}`
	var ids []string
	for _, call := range []string{granted, waiting} {
		_, out := before.decide(call)
		ids = append(ids, fmt.Sprint(out["approval"]))
	}
	if status, body := before.admin("POST", "/approvals/"+ids[0], `{"grant":true,"by":"anna"}`); status != 200 {
		t.Fatal(body)
	}
	end()
	after, end := open(start.Add(48 * time.Hour))
	defer end()
	for i, call := range []string{granted, waiting} {
		_, out := after.decide(call)
		if out["outcome"] != "escalate" || fmt.Sprint(out["approval"]) == ids[i] {
			t.Errorf("%s: %v", call, out)
		}
	}
	if _, body := after.admin("GET", "/approvals/"+ids[1], ""); !strings.Contains(body, `"expired"`) || strings.Contains(body, `"refused"`) {
		t.Errorf("%s", body)
	}
	if status, body := after.admin("POST", "/approvals/"+ids[1], `{"grant":true,"by":"anna"}`); status != 409 && status != 410 {
		t.Errorf("an answer that comes too late: %d %s", status, body)
	}
	if a, err := after.cfg.Approvals.Get(context.Background(), ids[1]); err == nil && a.By != "" {
		t.Errorf("%+v", a)
	}
}
