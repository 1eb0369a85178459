package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/gateway"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/policy/pack"
)

// gatewayPack has tools that read and that do more, with a rule on each.
var gatewayPack = fstest.MapFS{
	"proviso.yaml": {Data: []byte("name: bench\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\nreads: [lookup]\n")},
	"tools.json": {Data: []byte(`[{"type":"function","function":{"name":"lookup","parameters":{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}}},
		{"type":"function","function":{"name":"mail","parameters":{"type":"object","properties":{"to":{"type":"string"},"body":{"type":"string"}},"required":["to","body"]}}}]`)},
	"rules.yaml": {Data: []byte("grants:\n  - {tools: [lookup, mail]}\nrules:\n  - {id: inside, tools: [mail], require: \"args.to.endsWith('@example.com')\"}\n  - {id: ids, tools: [lookup], require: \"args.id.startsWith('A')\"}\n")},
}

// door is one way to the upstream.
type door struct {
	name  string
	url   string
	calls atomic.Int64 // makes sessions
}

// Doors are the ways that are compared: straight, through a bare reverse proxy, and through the gateway with either kind of audit. Close ends them.
type Doors struct {
	all  []*door
	up   *httptest.Server
	ends []func()
	http *http.Client
	// When the upstream was asked last, and when it began to say the last of its answer, in nanoseconds after epoch.
	epoch       time.Time
	asked, said atomic.Int64
}

// gatewayTurns is how many user turns a conversation of the workload has before another begins; each request sends the whole again, as clients do.
const gatewayTurns = 10

// OpenUpstream starts an upstream that answers at once, with nothing in front of it: the only way is the straight one.
func OpenUpstream() *Doors {
	d := &Doors{epoch: time.Now(), http: &http.Client{Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}}
	plain, stream := gatewayAnswer("lookup", `{\"id\":\"A1\"}`)
	mail, _ := gatewayAnswer("mail", `{\"to\":\"x@example.com\",\"body\":\"hello\"}`)
	var ids atomic.Int64
	d.up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		id := fmt.Sprintf("call_%d", ids.Add(1))
		switch {
		case bytes.Contains(b, []byte(`"stream":true`)):
			w.Header().Set("Content-Type", "text/event-stream")
			paced := bytes.Contains(b, []byte(`"model":"paced"`))
			d.asked.Store(int64(time.Since(d.epoch)))
			events := strings.SplitAfter(stream, "\n\n")
			for _, event := range events[:len(events)-1] {
				if paced {
					time.Sleep(pace)
				}
				d.said.Store(int64(time.Since(d.epoch)))
				io.WriteString(w, strings.Replace(event, "call_ID", id, 1))
				w.(http.Flusher).Flush()
			}
		case bytes.Contains(b, []byte(`"model":"mail"`)):
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, strings.Replace(mail, "call_ID", id, 1))
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, strings.Replace(plain, "call_ID", id, 1))
		}
	}))
	d.ends = append(d.ends, d.up.Close)
	d.all = []*door{{name: "direct", url: d.up.URL}}
	return d
}

// OpenDoors starts an upstream that answers at once, and everything in front of it, in this process. Records go to files in dir.
func OpenDoors(dir string) (d *Doors, err error) {
	d = OpenUpstream()
	target, err := url.Parse(d.up.URL)
	if err != nil {
		return nil, err
	}
	for _, name := range doorNames {
		h, end, err := handler(name, target, dir)
		if err != nil {
			return nil, err
		}
		srv := httptest.NewServer(h)
		d.ends = append(d.ends, func() { srv.Close(); end() })
		d.all = append(d.all, &door{name: name, url: srv.URL})
	}
	return d, nil
}

// doorNames are the ways that are not straight.
var doorNames = []string{"reverseproxy", "best_effort", "required"}

// handler is what stands before the upstream in one of the ways. Records go to a file in dir; end closes it.
func handler(name string, target *url.URL, dir string) (h http.Handler, end func(), err error) {
	if name == "reverseproxy" {
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 512}
		proxy.FlushInterval = -1
		return proxy, func() {}, nil
	}
	audit, ok := map[string]guard.Audit{"best_effort": guard.BestEffort, "required": guard.Required, "soak": guard.BestEffort}[name]
	if !ok {
		return nil, nil, fmt.Errorf("bench: no way is called %q", name)
	}
	p, found := pack.Load(gatewayPack, ".")
	if p == nil {
		return nil, nil, found
	}
	store, err := sqlite.Open(filepath.Join(dir, name+".db"), sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	var limits gateway.Limits
	if name == "soak" {
		limits.Sessions = 1000 // soon there are as many, so that what grows afterwards is not theirs
	}
	s, err := gateway.New(context.Background(), gateway.Config{
		Limits:  limits,
		Load:    func(context.Context) (*gateway.Rules, error) { return &gateway.Rules{Base: []*pack.Pack{p}}, nil },
		Journal: store, Audit: audit, Upstreams: []gateway.Upstream{{Name: "up", URL: target.String(), Private: true}},
	})
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return s.Handler(), func() { s.Close(); store.Close() }, nil
}

// Close ends everything.
func (d *Doors) Close() {
	for i := len(d.ends) - 1; i >= 0; i-- {
		d.ends[i]()
	}
}

// gatewayAnswer is an answer with some 600 bytes of text and one call, plain and as a stream of 40 chunks.
func gatewayAnswer(tool, args string) (plain, stream string) {
	text := strings.Repeat("The account is being looked at. ", 20)
	call := `{"id":"call_ID","type":"function","function":{"name":"` + tool + `","arguments":"` + args + `"}}`
	plain = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"` + text + `","tool_calls":[` + call + `]}}],"usage":{"total_tokens":99}}`
	var b strings.Builder
	chunk := func(delta, finish string) {
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}`+"\n\n", delta, finish)
	}
	chunk(`{"role":"assistant","content":""}`, "null")
	for range 37 {
		chunk(`{"content":"some words "}`, "null")
	}
	chunk(`{"tool_calls":[{"index":0,`+call[1:]+`]}`, "null")
	chunk(`{}`, `"tool_calls"`)
	b.WriteString("data: [DONE]\n\n")
	return plain, b.String()
}

// request is the body of the nth request of a conversation.
func gatewayRequest(model string, turns int, stream bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":%q,"stream":%v,"messages":[{"role":"system","content":%q}`, model, stream, strings.Repeat("You help at the desk of a small shop. ", 10))
	for i := range turns {
		if i > 0 {
			fmt.Fprintf(&b, `,{"role":"assistant","content":"I look at it, one moment."}`)
		}
		fmt.Fprintf(&b, `,{"role":"user","content":"Please look at account number %d of mine, and tell me what is in it."}`, i)
	}
	b.WriteString(`],"tools":[{"type":"function","function":{"name":"lookup","parameters":{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}}},{"type":"function","function":{"name":"mail","parameters":{"type":"object","properties":{"to":{"type":"string"},"body":{"type":"string"}}}}}]}`)
	return b.String()
}

// gatewayLoad is one workload.
type gatewayLoad struct {
	name        string
	connections int
	model       string
	stream      bool
	requests    int
}

// pace is how long the upstream of a paced stream waits between two chunks at least; a machine that sleeps makes a millisecond of it, which is still faster than models speak. Without it all chunks are there at once: a proxy that only copies
// has then no time of its own, as it works while the upstream still writes, and one that reads has all of its.
const pace = 100 * time.Microsecond

var gatewayLoads = []gatewayLoad{
	{"1", 1, "m", false, 300}, {"32", 32, "m", false, 1600}, {"256", 256, "m", false, 2560}, {"stream_1", 1, "m", true, 150}, {"stream_32", 32, "m", true, 640}, {"stream_256", 256, "m", true, 1280}, {"stream_paced", 1, "paced", true, 80}, {"effect_1", 1, "mail", false, 150},
}

// run sends the requests of a load through a door and returns the time that one took on average, all connections together.
// Of a paced stream it is the time that is not the upstream's: until it was asked, and from when it said the last of its answer. How long a sleep takes differs by more than that.
func (d *Doors) run(to *door, l gatewayLoad) (perRequest time.Duration, err error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	bodies := make([]string, gatewayTurns)
	for i := range bodies {
		bodies[i] = gatewayRequest(l.model, i+1, l.stream)
	}
	var waits atomic.Int64
	begin := time.Now()
	for range l.connections {
		wg.Go(func() {
			session := ""
			for turn := 0; next.Add(1) <= int64(l.requests); turn++ {
				if turn%gatewayTurns == 0 {
					session = fmt.Sprintf("%s-%d", l.name, to.calls.Add(1))
				}
				sent := int64(time.Since(d.epoch))
				if err := d.one(to.url, bodies[turn%gatewayTurns], session, l.stream); err != nil {
					failed.Store(&err)
					return
				}
				waits.Add(d.asked.Load() - sent + int64(time.Since(d.epoch)) - d.said.Load())
			}
		})
	}
	wg.Wait()
	if e := failed.Load(); e != nil {
		return 0, *e
	}
	if l.model == "paced" {
		return time.Duration(waits.Load()) / time.Duration(l.requests), nil
	}
	return time.Since(begin) / time.Duration(l.requests), nil
}

func (d *Doors) one(to, body, session string, stream bool) error {
	r, err := http.NewRequest(http.MethodPost, to+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(gateway.HeaderSession, session)
	resp, err := d.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(b, []byte("tool_calls")) {
		return fmt.Errorf("bench: gateway: status %d: %.300s", resp.StatusCode, b)
	}
	return nil
}

// GatewayRounds is how often every load goes through every door.
const GatewayRounds = 7

// gatewayFigures measures what a bare reverse proxy and the gateway add to a call: the difference to the same call without them, in turns of one run.
func gatewayFigures(context.Context) ([]figure, error) {
	dir, err := os.MkdirTemp("", "proviso-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	d, err := OpenDoors(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	commits, err := openCommits(dir)
	if err != nil {
		return nil, err
	}
	defer commits.store.Close()
	var out []figure
	for _, l := range gatewayLoads {
		times := map[string][]float64{}
		for round := range GatewayRounds + 1 {
			for k := range d.all {
				to := d.all[(round+k)%len(d.all)]
				took, err := d.run(to, l)
				// The bare proxy breaks off a stream now and then under load ("read error during body copy"); what it is measured by is a round in which it did not.
				for try := 1; err != nil && to.name == "reverseproxy" && try < 4; try++ {
					took, err = d.run(to, l)
				}
				if err != nil {
					return nil, fmt.Errorf("%s through %s: %w", l.name, to.name, err)
				}
				if round > 0 { // the first round warms up
					times[to.name] = append(times[to.name], float64(took))
				}
			}
			if l.model == "mail" && round > 0 {
				took, err := commits.run(l.requests)
				if err != nil {
					return nil, err
				}
				times["commit"] = append(times["commit"], float64(took))
			}
		}
		direct, proxy, best, required := median(times["direct"]), median(times["reverseproxy"]), median(times["best_effort"]), median(times["required"])
		added := (best - direct) / (proxy - direct)
		if l.model == "mail" {
			commit := median(times["commit"])
			out = append(out, figure{"gateway.required_extra_commits", (required - best) / commit, GatewayRounds}, figure{"gateway.commit_us", commit / 1000, GatewayRounds})
			continue
		}
		out = append(out, figure{"gateway.added_over_reverseproxy_" + l.name, added, GatewayRounds},
			figure{"gateway.added_us_" + l.name, (best - direct) / 1000, GatewayRounds}, figure{"gateway.reverseproxy_added_us_" + l.name, (proxy - direct) / 1000, GatewayRounds})
		if l.name == "1" {
			out = append(out, figure{"gateway.added_over_reverseproxy", added, GatewayRounds})
		}
	}
	return out, nil
}

// commits measures what one durable append of one record takes, nothing else going on, in the rounds in which the doors are measured: the time of a sync changes from one second to the next, and has a tail that a mean has to have as well.
type commits struct {
	store *sqlite.Store
	seq   uint64
}

func openCommits(dir string) (*commits, error) {
	store, err := sqlite.Open(filepath.Join(dir, "commit.db"), sqlite.Options{})
	return &commits{store: store}, err
}

// run appends n records one after the other and returns the time that one took on average.
func (c *commits) run(n int) (time.Duration, error) {
	begin := time.Now()
	for range n {
		c.seq++
		r := proviso.Record{Event: proviso.Event{Session: "s", Seq: c.seq, Point: proviso.Input, Body: &proviso.Message{Role: proviso.User, Text: "hello"}}}
		if err := c.store.Append(context.Background(), r); err != nil {
			return 0, err
		}
	}
	return time.Since(begin) / time.Duration(n), nil
}
