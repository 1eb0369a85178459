package gateway

import (
	"context"
	"crypto/hmac"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// routes lists the paths beside those of the wires. Each is served below /s/HANDLE as well.
func (s *Server) routes() []route {
	return []route{
		{"GET /v1/models", s.serveModels},
		{"GET /v1/models/{model}", s.serveModels},
		{"POST " + countPath, s.serveCount},
		{"POST /v1/decide", s.serveDecide},
		{"POST /v1/decide/batch", s.serveBatch},
		{"POST /v1/data", s.serveData},
		{"POST /v1/data/{path...}", s.serveData},
		{"POST /v1/session/overlays", s.serveAttach},
		{"GET /v1/approvals/{id}", s.serveApproval},
	}
}

// Admin serves what people and machines look after the server with. Health and metrics are open to whoever reaches the address; the rest asks for the AdminToken, where one is configured.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.ready)
	mux.HandleFunc("GET /healthz", s.live)
	mux.HandleFunc("GET /status", s.serveStatus)
	mux.HandleFunc("POST /reload", s.trusted(s.serveReload))
	mux.HandleFunc("GET /approvals", s.trusted(s.serveApprovals))
	mux.HandleFunc("GET /approvals/{id}", s.trusted(s.serveAnyApproval))
	mux.HandleFunc("POST /approvals/{id}", s.trusted(s.serveResolve))
	mux.HandleFunc("POST /approvals/{id}/callback", s.serveCallback)
	return s.local(mux)
}

// trusted asks for the token, where one is configured.
func (s *Server) trusted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if want := string(s.cfg.AdminToken); want != "" && !hmac.Equal([]byte(s.sign("admin", given)), []byte(s.sign("admin", want))) {
			s.counts.refused.Add(1)
			answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "this needs the admin token, as Authorization: Bearer [" + CodeCaller + "]"})
			return
		}
		next(w, r)
	}
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// Status is how a server stands, for its health page and for whoever runs it inside of a program.
type Status struct {
	Ready      bool         `json:"ready"`
	Why        []string     `json:"why,omitempty"` // what keeps it from being ready, and what should be known
	Generation int          `json:"generation"`
	Policy     string       `json:"policy"`
	Loaded     time.Time    `json:"loaded"`
	Audit      string       `json:"audit"`
	InFlight   int64        `json:"in_flight"`
	Counts     guard.Counts `json:"counts"`
}

// Status tells how the server stands. It asks the journal whether it answers.
func (s *Server) Status(ctx context.Context) Status {
	g := s.gen.Load()
	st := Status{Ready: true, Generation: g.number, Policy: g.base.policy.Digest(), Loaded: g.loaded, Audit: "required", InFlight: s.counts.inFlight.Load(), Counts: s.guardCounts()}
	no := func(why string) { st.Ready, st.Why = false, append(st.Why, why) }
	if s.draining.Load() {
		no("the server is about to end")
	}
	if end := g.rules.Until; !end.IsZero() && !s.now().Before(end) {
		no("a signature of the policy held until " + end.UTC().Format(time.RFC3339) + "; what it signs goes on until a new one is there")
	}
	if back := g.back; back != "" {
		st.Why = append(st.Why, back)
	}
	if s.cfg.Audit == guard.BestEffort {
		st.Audit = "best_effort"
		st.Why = append(st.Why, "audit is best effort: calls do not wait for their records")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// What follows a record is asked for, so that the journal has to look, though it knows that no session is called so.
	for _, err := range s.cfg.Journal.Read(ctx, "\x00ready", 2) {
		if err != nil {
			no("the journal does not answer: " + err.Error())
		}
		break
	}
	if n := s.counts.journalFaults.failing(s.now()); n {
		no("the journal could not be written lately")
	}
	if f := s.reloadError.Load(); f != nil {
		st.Why = append(st.Why, "the last reload failed at "+f.At.UTC().Format(time.RFC3339)+", what stood before goes on: "+f.Why)
	}
	return st
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	st := s.Status(r.Context())
	status := http.StatusOK
	if !st.Ready {
		status = http.StatusServiceUnavailable
	}
	answerJSON(w, status, map[string]any{"ready": st.Ready, "why": st.Why, "policy": st.Policy, "audit": st.Audit, "mode": "enforce"})
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, http.StatusOK, s.Status(r.Context()))
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) {
	if want := r.Header.Get("If-Match"); want != "" && want != s.gen.Load().base.policy.Digest() {
		answerJSON(w, http.StatusPreconditionFailed, map[string]any{"reloaded": false, "why": "another policy is active than If-Match names", "policy": s.gen.Load().base.policy.Digest()})
		return
	}
	if err := s.Reload(r.Context()); err != nil {
		answerJSON(w, http.StatusUnprocessableEntity, map[string]any{"reloaded": false, "why": err.Error(), "policy": s.gen.Load().base.policy.Digest()})
		return
	}
	w.Header().Set("ETag", s.gen.Load().base.policy.Digest())
	answerJSON(w, http.StatusOK, map[string]any{"reloaded": true, "policy": s.gen.Load().base.policy.Digest(), "generation": s.gen.Load().number})
}

// serveModels passes the list of models on, or what is known of one; nothing of it is decided.
func (s *Server) serveModels(w http.ResponseWriter, r *http.Request) {
	gen := s.gen.Load()
	who, err := s.identify(r, gen)
	if err != nil {
		s.counts.refused.Add(1)
		fail(w, openai.Chat, wire.Denial{Status: http.StatusUnauthorized, Code: "unauthorized", Text: err.Error() + " [" + CodeCaller + "]"})
		return
	}
	as := openai.Chat
	if r.Header.Get("Anthropic-Version") != "" {
		as = Wires[2]
	}
	path, model := "/v1/models", r.PathValue("model")
	if model != "" {
		path += "/" + url.PathEscape(model)
	}
	u := gen.terms.upstream(as, model)
	if u == nil && len(gen.terms.Upstreams) > 0 {
		u = &gen.terms.Upstreams[0]
	}
	if u == nil || model == "." || model == ".." {
		fail(w, as, wire.Denial{Status: http.StatusNotFound, Code: "no_route", Text: "no upstream is configured [" + CodeNoRoute + "]"})
		return
	}
	resp, err := gen.terms.ask(r.Context(), u, path, forwardHeaders(r.Header, u, who.virtual), nil)
	if err != nil {
		fail(w, as, upstreamFailed(err))
		return
	}
	defer resp.Body.Close()
	b, err := limited(resp, 4<<20)
	if err != nil || resp.StatusCode >= 300 && resp.StatusCode < 400 {
		fail(w, as, wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream gives no list of models [" + CodeUpstream + "]"})
		return
	}
	passHeaders(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	w.Write(b)
}
