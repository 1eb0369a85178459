package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// What a stream costs, and each event of it, when its text flows and behind windows: go test -run xx -bench Stream -benchtime 300x.
func BenchmarkStream(b *testing.B) {
	for _, rules := range []struct{ name, rule string }{
		{"flows", `{id: a, on: output, require: "true"}`},
		{"bytes", `{id: a, on: output, require: "!text.contains('plutonium')"}`},
		{"words", `{id: a, on: output, else: {redact: {pii: ["*"]}}}`},
		{"held", `{id: a, on: output, require: "size(text) < 100000"}`},
	} {
		for _, d := range dialects {
			for _, events := range []int{40, 440} {
				b.Run(fmt.Sprintf("%s/%s/%d", rules.name, d.wire.Name(), events), func(b *testing.B) {
					door := textDoor(b, "  - "+rules.rule+"\n")
					pieces := make([]string, events)
					for i := range pieces {
						pieces[i] = "some words "
					}
					door.up.say("", spoken(d, [][]string{pieces}))
					b.ReportAllocs()
					for i := range b.N {
						if status, _, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, fmt.Sprint(b.N, "-", i)); status != http.StatusOK || len(body) < events {
							b.Fatal(status, body)
						}
					}
				})
			}
		}
	}
}

// A delta of text that is told under the name of another event is no text to a client that goes by names: no reader puts such a stream together without a doubt, and what went before does not make it one.
func TestNamesOfDeltasAreLookedAt(t *testing.T) {
	for _, d := range dialects {
		stream := spoken(d, [][]string{{"one", "two", "three", "four"}})
		at := strings.Index(stream, js("three"))
		begin := strings.LastIndex(stream[:at], "\n\n") + 2
		event := stream[begin:]
		event = event[:strings.Index(event, "\n\n")+2]
		_, data, _ := strings.Cut(event, "data: ")
		renamed := stream[:begin] + "event: thread.message.delta\ndata: " + data + stream[begin+len(event):]
		if said := understood(d.wire, stream); len(said) != 1 || said[0] != "onetwothreefour" {
			t.Errorf("%s: %q: %s", d.wire.Name(), said, stream)
		}
		if said := understood(d.wire, renamed); said != nil {
			t.Errorf("%s: %q is understood of %s", d.wire.Name(), said, renamed)
		}
	}
}
