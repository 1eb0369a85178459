package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// The end of an upstream's answer often comes a moment after the last event of it. Its connection is used again all the same; one that does not end is let go.
func TestConnectionsOfStreamsAreUsedAgain(t *testing.T) {
	for _, d := range dialects {
		for _, c := range []struct {
			name    string
			trails  time.Duration
			several bool
		}{{"at once", 0, false}, {"a moment later", 5 * time.Millisecond, false}, {"never", time.Minute, true}} {
			t.Run(d.wire.Name()+" "+c.name, func(t *testing.T) {
				var conns atomic.Int64
				up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(w, d.stream(answer{text: "hello"}))
					w.(http.Flusher).Flush()
					select {
					case <-time.After(c.trails):
					case <-r.Context().Done():
					}
				}))
				up.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateNew {
						conns.Add(1)
					}
				}
				up.Start()
				defer up.Close()
				door := newDoor(t, func(c *Config) { c.Upstreams = []Upstream{{Name: "test", URL: up.URL, Private: true}} })
				const requests = 4
				for i := range requests {
					status, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, fmt.Sprint("s", i))
					if status != http.StatusOK || heard(body)[0] != "hello" {
						t.Fatalf("status %d: %s", status, body)
					}
				}
				if n := conns.Load(); c.several != (n > 1) {
					t.Errorf("%d connections for %d answers", n, requests)
				}
			})
		}
	}
}
