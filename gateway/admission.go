package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// enter takes one of the places for requests; leave gives it back. Where there is none the caller is told to come again.
func (s *Server) enter(g *generation) (leave func(), ok bool) {
	leave = func() { s.counts.inFlight.Add(-1) }
	if s.counts.inFlight.Add(1) > int64(g.terms.Limits.InFlight) {
		leave()
		s.counts.shed.Add(1)
		return nil, false
	}
	return leave, true
}

// busy tells a caller to come again.
func busy(w http.ResponseWriter, as wire.Wire, msg string) {
	w.Header().Set("Retry-After", "1")
	fail(w, as, wire.Denial{Status: http.StatusServiceUnavailable, Code: "overloaded", Text: msg + " [" + CodeBusy + "]"})
}

// guarded bounds how many requests are served at a time.
func (s *Server) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leave, ok := s.enter(s.gen.Load())
		if !ok {
			busy(w, openai.Chat, "too many requests are on their way; come again")
			return
		}
		defer leave()
		next(w, r)
	})
}

// leastShare is how many bytes of the memory for bodies a request takes at least.
const leastShare = 64 << 10

var errTooLarge = errors.New("too large")

// body reads the body of a request, within the bounds of one and of all. free gives its share of the memory back.
func (s *Server) body(w http.ResponseWriter, r *http.Request, g *generation) (b []byte, free func(), err error) {
	free = func() {}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, free, &badBody{http.StatusUnsupportedMediaType, "the body is compressed (" + e + "); send it as it is", CodeTooLarge}
	}
	limits := &g.terms.Limits
	limit := min(limits.Body, max(limits.Memory, leastShare)) // what never fits is not to come again
	if r.ContentLength > limit {
		return nil, free, s.tooLarge(limit)
	}
	from := &sharing{in: http.MaxBytesReader(w, r.Body, limit), announced: r.ContentLength >= 0, of: &s.memory, most: limits.Memory}
	free = from.free
	if !from.claim(max(r.ContentLength, leastShare)) {
		return nil, free, s.noMemory()
	}
	// A caller that sends its body drop by drop would hold a place for ever. After a failure the deadline stays: the rest of the body is not waited for.
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Now().Add(limits.ReadBody))
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err = buf.ReadFrom(from)
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errNoMemory):
		return nil, free, s.noMemory()
	case errors.As(err, &large):
		return nil, free, s.tooLarge(limit)
	case err != nil:
		return nil, free, &badBody{http.StatusBadRequest, "the body ends early", wire.CodeFormat}
	}
	out.SetReadDeadline(time.Time{})
	return buf.Bytes(), free, nil
}

// sharing reads a body within the memory for all bodies: of what a caller does not announce, a share is claimed before it is read.
type sharing struct {
	in          io.Reader
	announced   bool // in brings no more than the share that was claimed first
	of          *atomic.Int64
	most        int64
	share, read int64
}

var errNoMemory = errors.New("no memory for bodies")

// claim takes more of the memory, and reports whether there was as much.
func (b *sharing) claim(n int64) bool {
	if b.of.Add(n) > b.most {
		b.of.Add(-n)
		return false
	}
	b.share += n
	return true
}

func (b *sharing) free() { b.of.Add(-b.share) }

// Read reads no more than what there is a share for.
func (b *sharing) Read(p []byte) (int, error) {
	if b.announced {
		return b.in.Read(p)
	}
	if b.read == b.share && !b.claim(max(b.share, leastShare)) { // buffers double as well
		return 0, errNoMemory
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.share-b.read)])
	b.read += int64(n)
	return n, err
}

func (s *Server) noMemory() error {
	s.counts.shed.Add(1)
	return &badBody{http.StatusServiceUnavailable, "the bodies of all requests together need more memory than they may; come again", CodeBusy}
}

func (s *Server) tooLarge(limit int64) error {
	return &badBody{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit), CodeTooLarge}
}

// badBody is a body that is not taken.
type badBody struct {
	status    int
	msg, code string
}

func (e *badBody) Error() string { return e.msg + " [" + e.code + "]" }

// believed is how many bytes are reserved for an answer because its head says that it has as many.
const believed = 1 << 20

// limited reads the body of an answer, at most limit bytes, and fails with errTooLarge where there are more.
func limited(resp *http.Response, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		buf.Grow(int(min(n, limit, believed)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(buf.Len()) > limit {
		return nil, errTooLarge
	}
	return buf.Bytes(), err
}
