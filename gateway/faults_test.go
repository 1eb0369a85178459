package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy/pack"
)

// each runs a test for every wire.
func each(t *testing.T, f func(t *testing.T, d dialect)) {
	for _, d := range dialects {
		t.Run(d.wire.Name(), func(t *testing.T) { f(t, d) })
	}
}

var twoCalls = answer{"a text — with “quotes” and \U0001f600", []use{{"c1", "lookup", `{"id":"A \"é\" \\ \u00e9 \ud83d\ude00"}`}, {"c2", "mail", `{"to":"x@evil.org","subject":"s","body":"b"}`}}}

// The answer is the same wherever the network cuts the stream: at every byte, inside of escapes and surrogates, with every end of line.
func TestStreamCutAtEveryByte(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		stream := d.stream(twoCalls)
		want := ""
		door := newDoor(t, nil)
		for cut := 0; cut < len(stream); cut += 1 + len(stream)/400 {
			text := stream
			switch cut % 3 {
			case 1:
				text = strings.ReplaceAll(stream, "\n", "\r\n")
			case 2:
				text = ": comment\n\n" + strings.ReplaceAll(stream, "\n\n", "\n: between\n\n")
			}
			door.up.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				at := min(cut, len(text))
				io.WriteString(w, text[:at])
				w.(http.Flusher).Flush()
				io.WriteString(w, text[at:])
			}
			status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, fmt.Sprint(cut))
			g := d.read(t, status, h.Get("Content-Type"), body)
			got := js([]any{g.text, fmt.Sprint(g.uses)})
			if want == "" {
				want = got
				if len(g.uses) != 1 || g.uses[0].tool != "lookup" || !strings.Contains(g.text, "mail-1") {
					t.Fatalf("%s", body)
				}
			}
			if got != want {
				t.Fatalf("cut at %d: %s, want %s", cut, got, want)
			}
		}
	})
}

// An upstream that dies in the middle of a call: nothing of the call is released, the caller is told, what was said is on record.
func TestUpstreamDiesMidCall(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		stream := d.stream(answer{"some words", []use{{"c1", "lookup", `{"id":"SECRET-ARGUMENT"}`}}})
		ends := strings.Index(stream, "ARGU") // inside of the arguments, or beyond the text that flows
		if ends < 0 {
			ends = strings.Index(stream, "c1") + 60
		}
		for _, clean := range []bool{true, false} {
			door := newDoor(t, nil)
			door.up.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, stream[:ends])
				w.(http.Flusher).Flush()
				if !clean {
					panic(http.ErrAbortHandler)
				}
			}
			status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, "one")
			if strings.Contains(body, "SECRET") || strings.Contains(body, `"lookup"`) || !strings.Contains(body, "upstream_failed") {
				t.Errorf("clean %v: %d %v %s", clean, status, h, body)
			}
			said := false
			for _, r := range door.records("/h:one") {
				if m, ok := r.Event.Body.(*proviso.Message); ok && m.Role == proviso.Assistant && strings.Contains(m.Text, "some") {
					said = true
				}
				if r.Phase == proviso.Released {
					t.Errorf("a call was released: %+v", r.Event.Body)
				}
			}
			if !said {
				t.Error("what was said is not on record")
			}
		}
	})
}

// A stream without its last event is whole where the model said that it ended.
func TestMissingDone(t *testing.T) {
	stream := strings.TrimSuffix(chatStream(answer{uses: []use{{"c1", "lookup", `{"id":"A"}`}}}), "data: [DONE]\n\n")
	door := newDoor(t, nil)
	door.up.say("", stream)
	status, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "one")
	if g := dialects[0].read(t, status, h.Get("Content-Type"), body); len(g.uses) != 1 {
		t.Errorf("%d %s", status, body)
	}
}

// What a provider says about why an answer ends is not believed: arguments that are no whole object are never released, whatever it says, and never made one.
func TestFinishReasonIsNotTrusted(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		for _, args := range []string{`{"id":"A`, `{"id":"A"}}`, ``, `null`, `[]`, `"{}"`, `{"id":"A"} {"id":"B"}`, `{"id":1e400}`, `{"id":NaN}`, `{"id":"\ud800"}`, `{"id":"A","ID":"B"}`, strings.Repeat(`{"id":`, 200) + `1` + strings.Repeat(`}`, 200)} {
			for _, stream := range []bool{true, false} {
				if d.wire.Name() == "messages" && (args == "" || !stream) {
					continue // without deltas the input is the object that the block began with; in JSON it is an object by form
				}
				door := newDoor(t, nil)
				a := answer{uses: []use{{"c1", "lookup", args}}}
				door.up.say(d.plain(a), d.stream(a))
				status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, stream), HeaderSession, "one")
				g := d.read(t, status, h.Get("Content-Type"), body)
				if len(g.uses) > 0 {
					t.Errorf("%q was released: %s", args, body)
				}
			}
		}
	})
}

// Deltas that two readers put together differently: ids and names that come late or twice, indexes out of order. What the caller gets is what was decided, whatever its reader does.
func TestIrregularDeltas(t *testing.T) {
	chunk := func(calls ...any) any {
		return m{"id": "1", "choices": []any{m{"index": 0, "delta": m{"tool_calls": calls}, "finish_reason": nil}}}
	}
	end := []any{m{"id": "1", "choices": []any{m{"index": 0, "delta": m{}, "finish_reason": "tool_calls"}}}, "[DONE]"}
	for _, c := range []struct {
		name   string
		events []any
		want   []string
	}{
		{"interleaved", []any{
			chunk(m{"index": 0, "id": "a", "function": m{"name": "lookup", "arguments": `{"id`}}, m{"index": 1, "id": "b", "function": m{"name": "lookup", "arguments": `{"id":`}}),
			chunk(m{"index": 0, "function": m{"arguments": `":"A"}`}}), chunk(m{"index": 1, "function": m{"arguments": `"B"}`}})}, []string{`a lookup {"id":"A"}`, `b lookup {"id":"B"}`}},
		{"name twice", []any{chunk(m{"index": 0, "id": "a", "function": m{"name": "lookup", "arguments": ""}}), chunk(m{"index": 0, "function": m{"name": "lookup", "arguments": `{"id":"A"}`}})}, []string{`a lookup {"id":"A"}`}},
		{"name in pieces", []any{chunk(m{"index": 0, "id": "a", "function": m{"name": "era", "arguments": ""}}), chunk(m{"index": 0, "function": m{"name": "se", "arguments": `{}`}})}, nil},
		{"another name later", []any{chunk(m{"index": 0, "id": "a", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}), chunk(m{"index": 0, "function": m{"name": "erase"}})}, nil},
		{"id late", []any{chunk(m{"index": 0, "function": m{"name": "lookup", "arguments": `{"id":`}}), chunk(m{"index": 0, "id": "a", "function": m{"arguments": `"A"}`}})}, []string{`a lookup {"id":"A"}`}},
		{"index from one", []any{chunk(m{"index": 1, "id": "a", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}})}, []string{`a lookup {"id":"A"}`}},
		{"no index", []any{chunk(m{"id": "a", "function": m{"name": "lookup", "arguments": `{"id":`}}), chunk(m{"function": m{"arguments": `"A"}`}})}, []string{`a lookup {"id":"A"}`}},
		{"another id later", []any{chunk(m{"index": 0, "id": "a", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}), chunk(m{"index": 0, "id": "b"})}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			door := newDoor(t, nil)
			door.up.say("", data(append(c.events, end...)...))
			status, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "one")
			var got []string
			if status == 200 {
				for _, u := range dialects[0].read(t, status, h.Get("Content-Type"), body).uses {
					got = append(got, u.id+" "+u.tool+" "+u.args)
				}
			}
			if js(got) != js(c.want) {
				t.Errorf("%q, want %q: %s", got, c.want, body)
			}
			// Readers that join names and those that do not see the same.
			if strings.Count(body, `"name":"lookup"`) > len(c.want) {
				t.Errorf("a name is said twice: %s", body)
			}
		})
	}
}

// A response whose events say one thing and whose last event says another is sent as it was decided.
func TestEventsThatContradictTheResponse(t *testing.T) {
	good := responsesStream(answer{uses: []use{{"c1", "mail", `{"to":"a@example.com","subject":"s","body":"b"}`}}})
	bad := strings.Replace(good, `a@exa"`, `a@evi"`, 1)
	if i := strings.Index(good, `"delta":"{\"to\""`); i > 0 {
		bad = strings.Replace(good, `"delta":"{\"to\""`, `"delta":"{\"cc\""`, 1)
	}
	if bad == good {
		t.Fatal("nothing to contradict")
	}
	door := newDoor(t, nil)
	door.up.say("", bad)
	_, _, body := door.post("/v1/responses", responsesRequest("m", hello, nil, true), HeaderSession, "one")
	if strings.Contains(body, "cc") || !strings.Contains(body, "a@example.com") {
		t.Errorf("%s", body)
	}
}

// Several choices: a call in any of them is decided.
func TestSeveralChoices(t *testing.T) {
	plain := js(m{"id": "1", "choices": []any{
		m{"index": 0, "finish_reason": "stop", "message": m{"role": "assistant", "content": "one"}},
		m{"index": 1, "finish_reason": "tool_calls", "message": m{"role": "assistant", "content": nil, "tool_calls": chatCallsOf([]use{{"a", "erase", `{}`}})}},
		m{"index": 2, "finish_reason": "tool_calls", "message": m{"role": "assistant", "content": nil, "tool_calls": chatCallsOf([]use{{"b", "lookup", `{"id":"A"}`}})}}}})
	stream := data(
		m{"id": "1", "choices": []any{m{"index": 0, "delta": m{"role": "assistant", "content": "one"}}, m{"index": 1, "delta": m{"tool_calls": []any{m{"index": 0, "id": "a", "type": "function", "function": m{"name": "erase", "arguments": "{}"}}}}}}},
		m{"id": "1", "choices": []any{m{"index": 2, "delta": m{"tool_calls": []any{m{"index": 0, "id": "b", "type": "function", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}}}}}},
		m{"id": "1", "choices": []any{m{"index": 0, "delta": m{}, "finish_reason": "stop"}, m{"index": 1, "delta": m{}, "finish_reason": "tool_calls"}, m{"index": 2, "delta": m{}, "finish_reason": "tool_calls"}}}, "[DONE]")
	for _, s := range []bool{false, true} {
		door := newDoor(t, nil)
		door.up.say(plain, stream)
		req := strings.Replace(chatRequest("m", hello, nil, s), `"model"`, `"n":3,"model"`, 1)
		status, h, body := door.post("/v1/chat/completions", req, HeaderSession, "one")
		g := dialects[0].read(t, status, h.Get("Content-Type"), body)
		if len(g.uses) != 1 || g.uses[0].id != "b" || !strings.Contains(g.text, "one") || !strings.Contains(g.text, "erase") {
			t.Errorf("stream %v: %s", s, body)
		}
	}
}

// Bodies that two readers could understand differently are refused, and none is forwarded.
func TestRequestsThatAreRefused(t *testing.T) {
	deep := strings.Repeat(`[`, 300) + strings.Repeat(`]`, 300)
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"no JSON", `{"model"`, 400}, {"trailing data", `{"model":"m","messages":[]} {}`, 400}, {"a key twice", `{"model":"m","messages":[],"messages":[]}`, 400},
		{"too deep", `{"model":"m","messages":[],"x":` + deep + `}`, 400}, {"a number too large", `{"model":"m","messages":[],"seed":123456789012345678901}`, 400},
		{"half a surrogate", `{"model":"m","messages":[{"role":"user","content":"\ud800"}]}`, 400}, {"NaN", `{"model":"m","messages":[],"x":NaN}`, 400},
		{"no list", `[]`, 400}, {"no messages", `{"model":"m"}`, 400}, {"unknown role", `{"model":"m","messages":[{"role":"wizard","content":"x"}]}`, 400},
		{"too large", `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 3000) + `"}]}`, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			door := newDoor(t, func(cfg *Config) { cfg.Limits.Body = 2000 })
			status, _, body := door.post("/v1/chat/completions", c.body, HeaderSession, "one")
			if status != c.status || door.up.count() != 0 || !strings.Contains(body, `"error"`) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	door := newDoor(t, nil)
	if status, _, body := door.post("/v1/chat/completions", "x", "Content-Encoding", "gzip"); status != 415 {
		t.Errorf("%d %s", status, body)
	}
}

// Unknown fields, numbers as they were written, and cache_control reach the upstream byte for byte.
func TestRequestsAreForwardedByteForByte(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, nil)
		door.up.say(d.plain(fine), d.stream(fine))
		turns := []said{{role: "system", text: "be kind"}, {role: "user", text: "hi"}}
		req := strings.ReplaceAll(d.request("m", turns, []string{"lookup"}, false), `"x_unknown"`, ` "x_number" : 1.0e-7, "x_unknown"`)
		status, _, body := door.post(d.wire.Path(), req, HeaderSession, "one")
		if status != 200 || door.up.last() != req || body != d.plain(fine) {
			t.Errorf("%d\n%s\n%s", status, req, door.up.last())
		}
	})
}

// Too many requests at a time are told to come again before they cost memory.
func TestShedding(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Limits.InFlight = 2 })
	hold := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(2)
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		waiting.Done()
		<-hold
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, chatPlain(fine))
	}
	var done sync.WaitGroup
	for i := range 2 {
		done.Go(func() {
			door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, fmt.Sprint(i))
		})
	}
	waiting.Wait()
	status, h, _ := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "x")
	if status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("%d %v", status, h)
	}
	close(hold)
	done.Wait()
	door.up.say(chatPlain(fine), "")
	if status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "x"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	small := newDoor(t, func(c *Config) { c.Limits.Memory = 100 })
	if status, h, _ := small.post("/v1/chat/completions", chatRequest("m", hello, nil, false)); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("%d %v", status, h)
	}
}

// A caller that hangs up: the upstream is let go, and what was said is on record.
func TestClientHangsUp(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Load = onlyCalls(t) })
	let := make(chan struct{})
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 1000 {
			if _, err := io.WriteString(w, "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n"); err != nil {
				break
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				close(let)
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, door.url+"/v1/chat/completions", strings.NewReader(chatRequest("m", hello, nil, true)))
	r.Header.Set(HeaderSession, "one")
	resp, err := door.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 300))
	cancel()
	resp.Body.Close()
	select {
	case <-let:
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream was not let go")
	}
	for range 100 {
		for _, r := range door.records("/h:one") {
			if m, ok := r.Event.Body.(*proviso.Message); ok && m.Role == proviso.Assistant && strings.HasPrefix(m.Text, "word ") {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("what was said is not on record")
}

// A caller that does not read holds nothing up for long: it is let go.
func TestSlowReader(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Load, c.Limits.WriteStall = onlyCalls(t), 100*time.Millisecond })
	ended := make(chan struct{})
	piece := "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"pad\":\"" + strings.Repeat("y", 60000) + "\"}]}\n\n"
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2000 {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
	r, _ := http.NewRequest(http.MethodPost, door.url+"/v1/chat/completions", strings.NewReader(chatRequest("m", hello, nil, true)))
	resp, err := door.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("a caller that does not read holds the upstream for ever")
	}
}

// A stream of keep-alives alone passes and holds no memory.
func TestKeepAlivesOnly(t *testing.T) {
	door := newDoor(t, nil)
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n")
		io.WriteString(w, strings.Repeat(": ping\n\n", 50000))
		io.WriteString(w, strings.TrimPrefix(chatStream(fine), ""))
	}
	status, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "one")
	if g := dialects[0].read(t, status, h.Get("Content-Type"), body); g.text != "all is well" || strings.Count(body, ": ping") < 1000 {
		t.Errorf("%d %.300s", status, body)
	}
}

// onlyCalls is a policy that has nothing to say about texts, so that they flow.
func onlyCalls(t testing.TB) func(context.Context) (*Rules, error) {
	p := loadPack(t, "testdata/calls")
	return func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
}

// Text flows piece by piece where no rule speaks about it, long before the answer ends.
func TestTextFlows(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, func(c *Config) { c.Load = onlyCalls(t) })
		full := d.stream(answer{"these words come at once", []use{{"c1", "lookup", `{"id":"A"}`}}})
		at := strings.Index(full, "c1")
		at = strings.LastIndex(full[:at], "\n\n") + 2
		let := make(chan struct{})
		door.up.answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, full[:at])
			w.(http.Flusher).Flush()
			<-let
			io.WriteString(w, full[at:])
		}
		r, _ := http.NewRequest(http.MethodPost, door.url+d.wire.Path(), strings.NewReader(d.request("m", hello, nil, true)))
		resp, err := door.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got := make([]byte, at)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != full[:at] {
			t.Fatalf("%v %s", err, got)
		}
		close(let)
		rest, _ := io.ReadAll(resp.Body)
		if string(rest) != full[at:] {
			t.Errorf("%s", rest)
		}
	})
}

// A journal that fails: with audit required no call that does more than read is released; with best effort calls go on, and it is counted and said.
func TestJournalFails(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		for _, audit := range []guard.Audit{guard.Required, guard.BestEffort} {
			broken := &brokenJournal{Journal: &journal.Memory{}}
			door := newDoor(t, func(c *Config) { c.Journal, c.Audit = broken, audit })
			a := answer{uses: []use{{"c1", "mail", `{"to":"a@example.com","subject":"s","body":"b"}`}}}
			door.up.say(d.plain(a), d.stream(a))
			broken.fail.Store(true)
			status, h, body := door.post(d.wire.Path(), d.request("m", hello, nil, true), HeaderSession, "one")
			g := d.read(t, status, h.Get("Content-Type"), body)
			if released := len(g.uses) == 1; released != (audit == guard.BestEffort) {
				t.Errorf("audit %v: %s", audit, body)
			}
			if st := door.Status(context.Background()); st.Counts.Journal == 0 || audit == guard.BestEffort && st.Audit != "best_effort" {
				t.Errorf("%+v", st)
			}
		}
	})
}

// Reload under load: each request ends under the version it began with, a version that does not work leaves the one before active, and nothing is refused meanwhile.
func TestReloadUnderLoad(t *testing.T) {
	good := loadPack(t, "testdata/calls")
	other := loadPack(t, "testdata/desk")
	var mu sync.Mutex
	load := func() (*Rules, error) { return &Rules{Base: []*pack.Pack{good}}, nil }
	door := newDoor(t, func(c *Config) {
		c.Load = func(context.Context) (*Rules, error) { mu.Lock(); defer mu.Unlock(); return load() }
	})
	door.up.say(chatPlain(fine), chatStream(fine))
	stop := make(chan struct{})
	var done sync.WaitGroup
	versions := sync.Map{}
	for i := range 4 {
		done.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				status, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, n%2 == 0), HeaderSession, fmt.Sprint(i, n/3))
				if status != 200 || !strings.Contains(body, "al") {
					t.Errorf("%d %s", status, body)
				}
				versions.Store(h.Get("X-Policy-Version"), true)
			}
		})
	}
	for i := range 20 {
		mu.Lock()
		switch i % 3 {
		case 0:
			load = func() (*Rules, error) { return &Rules{Base: []*pack.Pack{other}}, nil }
		case 1:
			load = func() (*Rules, error) { return nil, errors.New("half-written") }
		case 2:
			load = func() (*Rules, error) { return &Rules{Base: []*pack.Pack{good}}, nil }
		}
		mu.Unlock()
		before := door.Status(context.Background()).Policy
		if err := door.Reload(context.Background()); (err != nil) != (i%3 == 1) {
			t.Error(err)
		} else if err != nil && door.Status(context.Background()).Policy != before {
			t.Error("a version that does not load took the place of one that does")
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	done.Wait()
	n := 0
	versions.Range(func(any, any) bool { n++; return true })
	if n != 2 {
		t.Errorf("%d versions were in use", n)
	}
}

// A stream that began under one version is decided under it to its end.
func TestStreamEndsUnderItsVersion(t *testing.T) {
	strict, loose := loadPack(t, "testdata/desk"), loadPack(t, "testdata/calls")
	now := loose
	door := newDoor(t, func(c *Config) {
		c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{now}}, nil }
	})
	let := make(chan struct{})
	full := chatStream(answer{uses: []use{{"c1", "erase", `{}`}}})
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, full[:200])
		w.(http.Flusher).Flush()
		<-let
		io.WriteString(w, full[200:])
	}
	got := make(chan string)
	go func() {
		_, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "one")
		got <- body
	}()
	for door.up.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	now = strict
	if err := door.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(let)
	if body := <-got; body != full {
		t.Errorf("%s", body)
	}
	door.up.say("", full)
	if _, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "two"); strings.Contains(body, `"name":"erase"`) {
		t.Errorf("the new version does not count: %s", body)
	}
}

// A secret in a key, a header or a body never stands in a log, a metric, a status or an error.
func TestSecretsStayInside(t *testing.T) {
	const canary = "sk-CANARY-0123456789"
	var logged bytes.Buffer
	key, hash := NewKey()
	door := newDoor(t, func(c *Config) {
		c.Telemetry.Log = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Upstreams[0].Key = canary
		base := c.Load
		c.Load = func(ctx context.Context) (*Rules, error) {
			r, err := base(ctx)
			r.Keys = []Key{{ID: "k", Hash: hash}}
			return r, err
		}
	})
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+canary || strings.Contains(fmt.Sprint(r.Header), string(key)) {
			t.Errorf("the upstream got %v", r.Header)
		}
		http.Error(w, "you sent "+r.Header.Get("Authorization"), 500)
	}
	door.log().Info("config", "upstream", door.cfg.Upstreams[0].Key, "all", fmt.Sprintf("%v %+v %#v", door.cfg.Upstreams, door.cfg.Upstreams, door.cfg.Upstreams))
	_, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), "Authorization", "Bearer "+string(key))
	rec := httptest.NewRecorder()
	door.Admin().ServeHTTP(rec, httptest.NewRequest("GET", "http://localhost/metrics", nil))
	rec2 := httptest.NewRecorder()
	door.Admin().ServeHTTP(rec2, httptest.NewRequest("GET", "http://localhost/status", nil))
	for name, text := range map[string]string{"log": logged.String(), "answer": body, "headers": fmt.Sprint(h), "metrics": rec.Body.String(), "status": rec2.Body.String()} {
		if strings.Contains(text, canary) || strings.Contains(text, string(key)) || text == "" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// Pages of other sites cannot use a server on this machine.
func TestForeignPages(t *testing.T) {
	door := newDoor(t, nil)
	door.up.say(chatPlain(fine), "")
	for _, c := range []struct {
		host, origin string
		status       int
	}{{"127.0.0.1", "", 200}, {"localhost:80", "http://localhost:3000", 200}, {"evil.org", "", 403}, {"127.0.0.1", "https://evil.org", 403}, {"127.0.0.1", "null", 403}, {"[::1]:7", "", 200}} {
		r, _ := http.NewRequest(http.MethodPost, door.url+"/v1/chat/completions", strings.NewReader(chatRequest("m", hello, nil, false)))
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		resp, err := door.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("host %q origin %q: %d", c.host, c.origin, resp.StatusCode)
		}
	}
}

// No goroutine stays behind after requests, streams that break and a close.
func TestNoGoroutineStaysBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer hook.Close()
		base := loadPack(t, "testdata/desk")
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, chatStream(twoCalls)[:700])
			panic(http.ErrAbortHandler)
		}))
		defer up.Close()
		s, err := New(context.Background(), Config{Load: func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{base}}, nil }, Journal: &journal.Memory{}, Approvals: &guard.MemoryApprovals{},
			Upstreams: []Upstream{{Name: "u", URL: up.URL, Private: true}}, Webhook: &Webhook{URL: hook.URL, Secret: "s", Private: true}})
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(s.Handler())
		for i := range 20 {
			resp, err := http.Post(srv.URL+"/v1/chat/completions", "application/json", strings.NewReader(chatRequest("m", hello, nil, true)))
			if err == nil {
				if i%2 == 0 {
					io.Copy(io.Discard, resp.Body)
				}
				resp.Body.Close()
			}
		}
		http.DefaultClient.CloseIdleConnections()
		srv.Close()
		s.Close()
	}()
	for range 100 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// brokenJournal fails while it is told to.
type brokenJournal struct {
	guard.Journal
	fail atomic.Bool
}

func (b *brokenJournal) Append(ctx context.Context, records ...proviso.Record) error {
	if b.fail.Load() {
		return errors.New("no space left on device")
	}
	return b.Journal.Append(ctx, records...)
}

// A caller that sends its body drop by drop is let go.
func TestSlowBody(t *testing.T) {
	door := newDoor(t, func(c *Config) { c.Limits.ReadBody = 100 * time.Millisecond })
	r, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, `{"model":"m",`)
	q, _ := http.NewRequest(http.MethodPost, door.url+"/v1/chat/completions", r)
	q.ContentLength = 1000
	began := time.Now()
	resp, err := door.http.Do(q)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if took := time.Since(began); took > 5*time.Second || door.up.count() != 0 {
		t.Errorf("after %s, the upstream was asked %d times", took, door.up.count())
	}
}

// A clock that jumps changes neither the order of records nor what is allowed; an approval that has expired by the new time does not count.
func TestClockJumps(t *testing.T) {
	var at atomic.Int64
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	door := newDoor(t, func(c *Config) { c.Clock = func() time.Time { return start.Add(time.Duration(at.Load())) } })
	door.lookup("s", "A")
	_, out := door.decide(`{"session":"s","tool":"pay","args":{"id":"A","amount":500}}`)
	id := fmt.Sprint(out["approval"])
	if status, body := door.admin("POST", "/approvals/"+id, `{"grant":true,"by":"anna"}`); status != 200 {
		t.Fatal(body)
	}
	for _, jump := range []time.Duration{-48 * time.Hour, 0, 365 * 24 * time.Hour, -time.Hour} {
		at.Store(int64(jump))
		if _, out := door.decide(`{"session":"s","tool":"lookup","args":{"id":"B"}}`); out["outcome"] != "allow" {
			t.Errorf("after a jump of %s: %v", jump, out)
		}
	}
	at.Store(int64(48 * time.Hour))
	if _, out := door.decide(`{"session":"s","tool":"pay","args":{"id":"A","amount":500}}`); out["outcome"] != "escalate" || fmt.Sprint(out["approval"]) == id {
		t.Errorf("an approval that has expired: %v", out)
	}
	for i, r := range door.records("/h:s") {
		if r.Event.Seq != uint64(i+1) {
			t.Errorf("record %d has the number %d", i+1, r.Event.Seq)
		}
	}
}
