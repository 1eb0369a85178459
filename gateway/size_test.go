package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy/pack"
)

// endless is a body that brings as much as one likes to read, and counts it.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	e.read.Add(int64(len(b)))
	return len(b), nil
}

// A text of a hundred megabytes is refused before more of it is read than the limit, announced or not, and the memory is given back.
func TestHugeBodyIsNotRead(t *testing.T) {
	for _, length := range []int64{100 << 20, -1} {
		door := newDoor(t, nil)
		body := &endless{}
		r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/chat/completions", io.MultiReader(strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"`), body))
		r.ContentLength = length
		rec := httptest.NewRecorder()
		door.Handler().ServeHTTP(rec, r)
		if limit := int64(16 << 20); rec.Code != http.StatusRequestEntityTooLarge || body.read.Load() > limit+1<<20 || length > 0 && body.read.Load() > 0 {
			t.Errorf("announced %d: %d after %d bytes", length, rec.Code, body.read.Load())
		}
		if n := door.memory.Load(); n != 0 {
			t.Errorf("announced %d: %d bytes of memory are not given back", length, n)
		}
	}
}

// Bodies that nobody announced count against the memory for all bodies while they are read, and not when they have been.
func TestUnannouncedBodiesAreCounted(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Limits.Memory = 1 << 20 })
	var refused, read atomic.Int64
	var all sync.WaitGroup
	gate := make(chan struct{})
	for range 16 {
		all.Go(func() {
			body := &endless{}
			r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/chat/completions", io.MultiReader(io.LimitReader(body, 200<<10), waiting{gate}))
			r.ContentLength = -1
			rec := httptest.NewRecorder()
			door.Handler().ServeHTTP(rec, r)
			if rec.Code == http.StatusServiceUnavailable && rec.Header().Get("Retry-After") != "" {
				refused.Add(1)
			}
			read.Add(body.read.Load())
		})
	}
	for end := time.Now().Add(10 * time.Second); refused.Load() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := door.memory.Load(); n > 1<<20 {
		t.Errorf("%d bytes are claimed of %d", n, 1<<20)
	}
	close(gate)
	all.Wait()
	if refused.Load() == 0 || door.memory.Load() != 0 {
		t.Errorf("%d of 16 bodies were told to come again, %d bytes are not given back", refused.Load(), door.memory.Load())
	}
}

// waiting is a reader that brings nothing until its gate is open.
type waiting struct{ gate chan struct{} }

func (w waiting) Read([]byte) (int, error) {
	<-w.gate
	return 0, io.EOF
}

// A transcript of many turns is decided turn by turn, whole, and when it is sent again with one more only that one is new.
func TestManyMessages(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Load = onlyCalls(t) })
	door.up.say(chatPlain(fine), "")
	var turns []said
	for i := range 3000 {
		turns = append(turns, said{role: "user", text: fmt.Sprint("line ", i)})
	}
	for _, more := range []string{"one", "two"} {
		if status, _, body := door.post("/v1/chat/completions", chatRequest("m", turns, nil, false), HeaderSession, "s"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		turns = append(turns, said{role: "assistant", text: "all is well"}, said{role: "user", text: more})
	}
	if n := len(door.records("/h:s")); n != 1+3000+1+1+1 { // the start, the turns, the answer, the new turn, its answer
		t.Errorf("%d records", n)
	}
}

// A thousand streams at a time all end as they should, the next request is told to come again, and afterwards there is room.
func TestThousandStreams(t *testing.T) {
	const n = 1000
	door := newDoor(t, func(c *Config) { c.Load, c.Limits.InFlight = onlyCalls(t), n })
	stream := chatStream(answer{"some words", []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "no_such", `{}`}}})
	gate := make(chan struct{})
	var open sync.WaitGroup
	open.Add(n)
	door.gen.Load().terms.private.Transport = roundTrip(func(*http.Request) io.ReadCloser {
		open.Done()
		return io.NopCloser(io.MultiReader(strings.NewReader(stream[:300]), waiting{gate}, strings.NewReader(stream[300:])))
	})
	ask := func(i int) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/chat/completions", strings.NewReader(chatRequest("m", hello, nil, true)))
		r.Header.Set(HeaderSession, fmt.Sprint(i))
		rec := httptest.NewRecorder()
		door.Handler().ServeHTTP(rec, r)
		return rec
	}
	var done sync.WaitGroup
	var wrong atomic.Int64
	for i := range n {
		done.Go(func() {
			rec := ask(i)
			if body := rec.Body.String(); rec.Code != 200 || !strings.Contains(body, `"lookup"`) || strings.Contains(body, `"name":"no_such"`) || !strings.HasSuffix(body, "data: [DONE]\n\n") {
				wrong.Add(1)
			}
		})
	}
	open.Wait()
	if rec := ask(n); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("one more: %d", rec.Code)
	}
	close(gate)
	done.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of %d streams are not as they should be", wrong.Load(), n)
	}
	open.Add(1)
	if rec := ask(n + 1); rec.Code != 200 {
		t.Errorf("afterwards: %d %s", rec.Code, rec.Body)
	}
}

// roundTrip is a transport that answers with a stream made for the request.
type roundTrip func(*http.Request) io.ReadCloser

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	return streaming{f(r)}.RoundTrip(r)
}

// A policy of ten thousand rules, as large as a pack may be, is loaded, and decides.
func TestTenThousandRules(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	fsys := fstest.MapFS{"proviso.yaml": {Data: []byte("name: large\nversion: \"1\"\ntools: tools.json\nrules: [a.yaml, b.yaml]\n")}}
	var tools strings.Builder
	var files [2]strings.Builder
	for i := range 100 {
		fmt.Fprintf(&tools, `,{"type":"function","function":{"name":"t%d","parameters":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}}`, i)
	}
	for i := range files {
		files[i].WriteString("rules:\n")
	}
	files[0].Reset()
	files[0].WriteString("grants: [{tools: [\"t*\"]}]\nrules:\n")
	for i := range 10000 {
		fmt.Fprintf(&files[i%2], "  - {id: r%d, tools: [t%d], require: \"args.n != %d\"}\n", i, i%100, i)
	}
	fsys["tools.json"] = &fstest.MapFile{Data: []byte("[" + tools.String()[1:] + "]")}
	fsys["a.yaml"], fsys["b.yaml"] = &fstest.MapFile{Data: []byte(files[0].String())}, &fstest.MapFile{Data: []byte(files[1].String())}
	p, found := pack.Load(fsys, ".")
	if p == nil {
		t.Fatal(found)
	}
	door := newDoor(t, func(c *Config) {
		c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
	})
	for n, want := range map[int]string{9907: "deny", 7: "deny", 8: "allow"} {
		if _, out := door.decide(fmt.Sprintf(`{"session":"s","tool":"t7","args":{"n":%d}}`, n)); out["outcome"] != want {
			t.Errorf("t7(%d): %v, want %s", n, out["outcome"], want)
		}
	}
}

// What a body that nobody announced has no share for is not read, and its shares are given back.
func TestSharing(t *testing.T) {
	var claimed atomic.Int64
	body := &endless{}
	b := &sharing{in: body, of: &claimed, most: 4 * leastShare}
	if !b.claim(leastShare) {
		t.Fatal("no share of an empty memory")
	}
	if n, err := io.Copy(io.Discard, b); !errors.Is(err, errNoMemory) || n != 4*leastShare || body.read.Load() != n {
		t.Errorf("%d bytes, %d of them read: %v", n, body.read.Load(), err)
	}
	if n := claimed.Load(); n != 4*leastShare {
		t.Errorf("%d bytes are claimed", n)
	}
	if b.free(); claimed.Load() != 0 {
		t.Errorf("%d bytes are not given back", claimed.Load())
	}
}

// A request that makes the server fail behind the beginning of its answer is cut: nobody takes what went out for the whole.
func TestServerFailsBehindTheBeginning(t *testing.T) {
	door := newDoor(t, nil)
	srv := httptest.NewServer(door.local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: one\n\n")
		http.NewResponseController(w).Flush()
		panic("SECRET of the request")
	})))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil || !strings.HasPrefix(string(b), "data: one") || strings.Contains(string(b), "SECRET") {
		t.Errorf("%s: %v", b, err)
	}
}

// A request that makes the server fail is answered; neither the caller nor the log learns what it failed with, and the next request is served.
func TestServerFailsAtARequest(t *testing.T) {
	var logged bytes.Buffer
	broken := &breaking{Journal: &journal.Memory{}}
	door := newDoor(t, func(c *Config) {
		c.Journal, c.Telemetry.Log = broken, slog.New(slog.NewTextHandler(&logged, nil))
	})
	door.up.say(chatPlain(fine), "")
	broken.on.Store(true)
	rec := make(chan string, 1)
	conn, err := net.Dial("tcp", strings.TrimPrefix(door.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
	go func() {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			rec <- err.Error()
			return
		}
		b, err := io.ReadAll(resp.Body)
		rec <- fmt.Sprint(resp.StatusCode, " ", string(b), " ", err)
	}()
	if got := <-rec; !strings.HasPrefix(got, "500 ") || !strings.Contains(got, CodeBroken) || strings.Contains(got, "SECRET") || !strings.HasSuffix(got, "<nil>") {
		t.Errorf("the caller reads %s", got)
	}
	if text := logged.String(); !strings.Contains(text, "breaking") || strings.Contains(text, "SECRET") {
		t.Errorf("the log has %s", text)
	}
	broken.on.Store(false)
	if status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one"); status != 200 {
		t.Errorf("the next request: %d %s", status, body)
	}
	if n := door.counts.broken.Load(); n != 1 {
		t.Errorf("%d failures are counted", n)
	}
}

// breaking is a journal whose reading is a mistake of the program.
type breaking struct {
	guard.Journal
	on atomic.Bool
}

func (b *breaking) Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error] {
	if b.on.Load() {
		panic("SECRET of the request")
	}
	return b.Journal.Read(ctx, session, from)
}
