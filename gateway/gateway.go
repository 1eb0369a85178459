// Package gateway is the HTTP door: model APIs, the decision API, approvals, health and metrics.
//
// A request of a model API is read once (package llm/wire) and brought to the guard event by event: the session's start, what is new of its transcript, the tools it offers,
// the request as a whole. What was decided on is what is forwarded, byte for byte but for edits. The answer is decided before its calls reach the caller: text flows or is held as
// the policy's rules need it, calls are held until they are complete (stream.go). Which caller and which session a request belongs to is found in identity.go; which packs
// hold for it in policies.go; what the door itself remembers of a session in conversation.go. exchange.go is the way of one request through all of this.
//
// Nothing here decides: every decision is the guard's. What no rule can see is denied unless the configuration lists it.
package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/reach"
	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy"
)

// Wires lists the wire formats that the door speaks.
var Wires = []wire.Wire{openai.Chat, openai.Responses, anthropic.Messages}

// Server answers for a policy over HTTP. Handler serves agents, Admin people and machines that look after it; they belong on different addresses.
// Close ends it after its requests have ended.
type Server struct {
	cfg         Config
	secret      string
	macs        sync.Pool // of hash.Hash, under the secret
	gen         atomic.Pointer[generation]
	reloading   sync.Mutex
	reloadError atomic.Pointer[reloadFailure]
	convs       conversations
	counts      counts
	memory      atomic.Int64
	draining    atomic.Bool
	overlays    overlayStore
	told        notifier
}

// New loads what is enforced and makes a server.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, secret: string(cfg.Identity.Secret)}
	if s.secret == "" {
		var b [32]byte
		rand.Read(b[:])
		s.secret = hex.EncodeToString(b[:])
	}
	s.overlays.dir, s.overlays.s = cfg.OverlayDir, s
	s.convs.away = s.putAway
	s.told.init(s)
	if err := s.Reload(ctx); err != nil {
		return nil, err
	}
	s.told.start()
	return s, nil
}

// Close lets go of connections that are kept open. The journal and the approvals are the caller's to close.
func (s *Server) Close() {
	s.told.close()
	s.convs.close()
	s.gen.Load().terms.letGo()
}

// putAway lets the guard forget a session that nobody has used for a while; its next event folds it from the journal. What the journal does not have yet stays.
func (s *Server) putAway(session string, at *bound) {
	if at != nil {
		at.guard.PutAway(context.Background(), session)
	}
}

// Drain makes the server say that it is not ready, so that nobody sends new requests while those that are on their way end.
func (s *Server) Drain() { s.draining.Store(true) }

func (s *Server) newGuard(p *policy.Policy, sessions int) *guard.Guard {
	return &guard.Guard{Policy: p, Journal: s.cfg.Journal, Approvals: s.told.watch(s.cfg.Approvals), Judge: s.cfg.Judge, Clock: s.cfg.Clock, Audit: s.cfg.Audit, MaxSessions: sessions}
}

func (s *Server) now() time.Time {
	if s.cfg.Clock != nil {
		return s.cfg.Clock()
	}
	return time.Now()
}

func (s *Server) log() *slog.Logger {
	if s.cfg.Telemetry.Log != nil {
		return s.cfg.Telemetry.Log
	}
	return slog.New(slog.DiscardHandler)
}

// Handler serves the model APIs, the decision API, overlays and approvals to agents.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, w := range Wires {
		h := s.model(w)
		mux.Handle("POST "+w.Path(), h)
		mux.Handle("POST /s/{handle}"+w.Path(), h)
	}
	for _, rt := range s.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		h := s.guarded(rt.serve)
		mux.Handle(rt.pattern, h)
		mux.Handle(method+" /s/{handle}"+path, h)
	}
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.ready)
	mux.HandleFunc("GET /healthz", s.live)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.counts.unrouted.Add(1)
		fail(w, openai.Chat, wire.Denial{Status: http.StatusNotFound, Code: "not_found", Text: "nothing is served at this path, and nothing is forwarded that is not decided; see proviso doctor --routes [" + CodeNoRoute + "]"})
	})
	return s.local(mux)
}

// route is one path beside those of the wires.
type route struct {
	pattern string
	serve   func(w http.ResponseWriter, r *http.Request)
}

// local refuses what a browser sends on behalf of another page: a host that is a name which a stranger may point at this machine, or a foreign origin.
func (s *Server) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if msg := reach.ForeignPage(r, s.gen.Load().terms.Limits.Hosts); msg != "" {
			s.counts.refused.Add(1)
			fail(w, openai.Chat, wire.Denial{Status: http.StatusForbidden, Code: "forbidden", Text: msg + " [" + CodeCaller + "]"})
			return
		}
		defer s.recovered(w)
		next.ServeHTTP(w, r)
	})
}

// recovered answers a request that made the server fail. What it failed with may hold anything of the request, so that it is told to nobody; where in the program it happened is logged.
func (s *Server) recovered(w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.counts.broken.Add(1)
	s.log().Error("a request made the server fail", "at", strings.Join(places(), " "))
	// Where something of an answer went out already the client must not take it for whole: the status is written too late then, and the connection ends.
	d := wire.Denial{Status: http.StatusInternalServerError, Code: "internal", Text: "the server has failed at this request; nothing more of it is allowed [" + CodeBroken + "]"}
	w.Header().Set("Content-Length", strconv.Itoa(len(openai.Chat.Error(d))))
	fail(w, openai.Chat, d)
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// places lists the functions of this program in which it failed.
func places() (out []string) {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(3, pc)])
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); strings.Contains(f.Function, "proviso") {
			out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
	}
	return out
}

// fail answers with an error object.
func fail(w http.ResponseWriter, as wire.Wire, d wire.Denial) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(d.Status)
	w.Write(as.Error(d))
}
