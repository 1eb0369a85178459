package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/proviso-dev/proviso/journal"
)

// slowStream is the body of an answer that brings one piece after each pause, for as long as it lasts, and then the rest. See has the memory in use after each hour.
type slowStream struct {
	piece, rest string
	pause, left time.Duration
	waiting     string
	heap        []uint64
	hour        time.Duration
}

func (s *slowStream) Read(b []byte) (int, error) {
	if s.waiting == "" {
		if s.left <= 0 {
			if s.rest == "" {
				return 0, io.EOF
			}
			s.waiting, s.rest = s.rest, ""
		} else {
			time.Sleep(s.pause)
			s.left, s.hour, s.waiting = s.left-s.pause, s.hour+s.pause, s.piece
			if s.hour >= time.Hour {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				s.heap, s.hour = append(s.heap, m.HeapAlloc), 0
			}
		}
	}
	n := copy(b, s.waiting)
	s.waiting = s.waiting[n:]
	return n, nil
}

func (*slowStream) Close() error { return nil }

// streaming is a transport that answers with a stream.
type streaming struct{ body io.ReadCloser }

func (a streaming) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: a.body, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// counted is a caller that reads everything and keeps the end of it.
type counted struct {
	header http.Header
	n      int
	tail   []byte
}

func (c *counted) Header() http.Header { return c.header }
func (*counted) WriteHeader(int)       {}
func (*counted) Flush()                {}
func (c *counted) Write(b []byte) (int, error) {
	c.n += len(b)
	c.tail = append(c.tail, b...)
	c.tail = c.tail[max(0, len(c.tail)-4096):]
	return len(b), nil
}

// A stream that lasts ten hours: nothing ends it as long as something comes, keep-alives and text flow, its end is decided, and its memory does not grow by more than the text that it has brought.
func TestTenHourStream(t *testing.T) {
	word := func(text string) string {
		return data(m{"id": "1", "choices": []any{m{"index": 0, "delta": m{"content": text}}}})
	}
	for _, c := range []struct {
		name, piece string
	}{
		{"keep-alives", ": ping\n\n"},
		{"text", word("some words and ") + ": ping\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				// Without listeners, on which the clock of the test would wait.
				door, err := New(t.Context(), Config{Load: onlyCalls(t), Journal: &journal.Memory{}, Upstreams: []Upstream{{Name: "test", URL: "http://127.0.0.1:1", Private: true}}})
				if err != nil {
					t.Fatal(err)
				}
				defer door.Close()
				body := &slowStream{piece: c.piece, pause: 10 * time.Second, left: 10 * time.Hour, rest: chatStream(answer{"", []use{{"c1", "lookup", `{"id":"A"}`}, {"c2", "no_such", `{}`}}})}
				door.gen.Load().terms.private.Transport = streaming{body}
				r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/chat/completions", strings.NewReader(chatRequest("m", hello, nil, true)))
				r.Header.Set(HeaderSession, "one")
				caller := &counted{header: http.Header{}}
				door.Handler().ServeHTTP(caller, r)
				if took := time.Since(began); took < 10*time.Hour {
					t.Errorf("the stream was ended after %s", took)
				}
				if tail := string(caller.tail); caller.n < len(c.piece)*3500 || !strings.Contains(tail, `"lookup"`) || strings.Contains(tail, `"name":"no_such"`) || !strings.HasSuffix(tail, "data: [DONE]\n\n") {
					t.Errorf("%d bytes, at the end %s", caller.n, caller.tail)
				}
				// The first hour has what is made once.
				if n := len(body.heap); n < 9 || int64(body.heap[n-1])-int64(body.heap[1]) > 512<<10 {
					t.Errorf("bytes in use, hour by hour: %v", body.heap)
				}
			})
		})
	}
}
