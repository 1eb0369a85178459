package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy/pack"
)

func loadPack(t testing.TB, dir string) *pack.Pack {
	t.Helper()
	p, found := pack.Load(os.DirFS("."), dir)
	if p == nil || found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	return p
}

// upstream is a model API whose answers a test gives. It remembers what it was asked.
type upstreamTwin struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []string
	headers []http.Header
	answer  http.HandlerFunc
}

func newUpstream(t testing.TB, answer http.HandlerFunc) *upstreamTwin {
	u := &upstreamTwin{answer: answer}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.asked, u.headers = append(u.asked, string(b)), append(u.headers, r.Header.Clone())
		f := u.answer
		u.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(b))
		f(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

// say makes the upstream answer the same in either form.
func (u *upstreamTwin) say(plain, stream string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(string(b), `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, stream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, plain)
	}
}

// pause makes the upstream send the beginning of a stream, and the rest of it once the channel is closed.
func (u *upstreamTwin) pause(beginning, rest string) (goOn chan struct{}) {
	goOn = make(chan struct{})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, beginning)
		w.(http.Flusher).Flush()
		<-goOn
		io.WriteString(w, rest)
	}
	return goOn
}

func (u *upstreamTwin) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asked)
}

func (u *upstreamTwin) last() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.asked) == 0 {
		return ""
	}
	return u.asked[len(u.asked)-1]
}

// door is a server under test.
type door struct {
	t testing.TB
	*Server
	url     string
	journal *journal.Memory
	up      *upstreamTwin
	http    *http.Client
}

// newDoor makes a server with the pack of testdata/desk before an upstream that says nothing.
func newDoor(t testing.TB, change func(*Config)) *door {
	t.Helper()
	d := &door{t: t, journal: &journal.Memory{}}
	d.up = newUpstream(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "nothing", http.StatusTeapot) })
	base := loadPack(t, "testdata/desk")
	cfg := Config{
		Load:      func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{base}}, nil },
		Journal:   d.journal,
		Approvals: &guard.MemoryApprovals{},
		Upstreams: []Upstream{{Name: "test", URL: d.up.URL, Private: true}},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	srv := httptest.NewServer(s.Handler())
	d.url = srv.URL
	d.http = srv.Client()
	t.Cleanup(func() { srv.Close(); s.Close() })
	return d
}

// post sends a body and returns what came back.
func (d *door) post(path, body string, header ...string) (status int, h http.Header, text string) {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// records returns what the journal has of a session whose id ends so.
func (d *door) records(suffix string) (out []proviso.Record) {
	d.t.Helper()
	for id, err := range d.journal.Sessions(context.Background()) {
		if err != nil {
			d.t.Fatal(err)
		}
		if strings.HasSuffix(id, suffix) {
			for r, err := range d.journal.Read(context.Background(), id, 1) {
				if err != nil {
					d.t.Fatal(err)
				}
				out = append(out, r)
			}
		}
	}
	return out
}
