package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/reach"
	"github.com/proviso-dev/proviso/reward"
	"github.com/proviso-dev/proviso/world"
)

// The codes of this package, beside those of package reward.
const (
	CodeRequest  = "PV954" // a request that cannot be read, or names no session
	CodeUnjudged = "PV955" // an answer that nobody can judge
	CodeBusy     = "PV956" // more work or sessions than the server takes
)

// The bounds of a request.
const (
	maxBatch   = 4096    // answers
	maxAnswer  = 1 << 20 // bytes
	maxSession = 128     // bytes of a name
)

// Config says what is served. Bench is required; the zero value of the rest is of use.
type Config struct {
	Bench *reward.Bench
	// Tasks are those that requests may name by id; Cases are further ones that are no tasks, such as the cases of a pack.
	Tasks []world.Task
	Cases []reward.Case
	// Kinds open the worlds of tasks. A task of another kind is a question with one answer.
	Kinds []world.Kind
	// Key, where it is not empty, has to be sent as Authorization: Bearer KEY.
	Key string
	// Mask makes /verify answer what cannot be judged with "mask_sample": true, which versions of NeMo Gym that know it leave out of everything, in place of an error.
	Mask bool
	// MaxBody bounds a request in bytes; 0: 16 MiB. Timeout bounds its work; 0: 30 seconds. Workers is how many are scored at a time; 0: twice the processors. MaxSessions bounds plays; 0: 10,000. Idle is how long a play may wait; 0: 30 minutes.
	MaxBody     int64
	Timeout     time.Duration
	Workers     int
	MaxSessions int
	Idle        time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log is told about each request; nil: nobody. It may be called at the same time by several goroutines.
	Log func(Served)
}

// Served is what may be known about a request: no words of tasks, prompts or answers are in it.
type Served struct {
	Route  string // of the server's own list, such as "/verify"; "/{tool}" for calls
	Status int
	Scored int
	Took   time.Duration
}

// Server answers trainers. It is made by New.
type Server struct {
	cfg   Config
	cases map[string]*reward.Case
	tasks map[string]*world.Task
	order []string // ids, for environments that ask for the next one
	kinds map[string]world.Kind
	slots chan struct{}
	mux   *http.ServeMux
	plays plays

	mu   sync.Mutex
	next int
}

// New makes a server. Tasks whose ids collide, or whose policy the bench does not have, are an error with reward.CodeCase.
func New(cfg Config) (*Server, error) {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 16 << 20
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Workers == 0 {
		cfg.Workers = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 10_000
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, cases: map[string]*reward.Case{}, tasks: map[string]*world.Task{}, kinds: map[string]world.Kind{}, slots: make(chan struct{}, cfg.Workers)}
	s.plays = plays{by: map[string]*play{}, most: cfg.MaxSessions, idle: cfg.Idle, now: cfg.Now}
	for _, k := range cfg.Kinds {
		s.kinds[k.Name] = k
	}
	add := func(c *reward.Case) error {
		if _, err := cfg.Bench.For(c.Policy); err != nil {
			return fmt.Errorf("task %q: %w", c.ID, err)
		}
		if s.cases[c.ID] != nil {
			return proviso.Diagnostic{Code: reward.CodeCase, Msg: fmt.Sprintf("two tasks have the id %q", c.ID), Hint: "give one of the files only"}
		}
		s.cases[c.ID] = c
		s.order = append(s.order, c.ID)
		return nil
	}
	for i := range cfg.Tasks {
		t := &cfg.Tasks[i]
		c := reward.Of(t)
		if err := add(&c); err != nil {
			return nil, err
		}
		s.tasks[t.ID] = t
	}
	for i := range cfg.Cases {
		if err := add(&cfg.Cases[i]); err != nil {
			return nil, err
		}
	}
	s.routes()
	return s, nil
}

// route is one path of the server. handle returns what is answered as JSON.
type route struct {
	pattern string
	handle  func(s *Server, w http.ResponseWriter, r *http.Request, body []byte) (any, error)
}

// routes are all paths. Those of NeMo Gym also stand below /gym and those of OpenEnv below /openenv, where the name of a tool cannot be taken for one of the others.
func (s *Server) routes() {
	s.mux = http.NewServeMux()
	gym := []route{{"POST /seed_session", (*Server).seed}, {"POST /verify", (*Server).verify}, {"POST /aggregate_metrics", (*Server).aggregate}, {"GET /reverify_mode", (*Server).reverify}, {"POST /{tool}", (*Server).tool}}
	env := []route{{"POST /reset", (*Server).reset}, {"POST /step", (*Server).step}, {"GET /state", (*Server).state}, {"GET /schema", (*Server).schema}, {"GET /metadata", (*Server).metadata}, {"GET /health", (*Server).health}}
	all := slices.Concat([]route{{"POST /get_reward", (*Server).openRLHF}, {"POST /score", (*Server).score}}, gym, env)
	below := func(prefix string, list []route) {
		for _, x := range list {
			method, path, _ := strings.Cut(x.pattern, " ")
			all = append(all, route{method + " " + prefix + path, x.handle})
		}
	}
	below("/gym", gym)
	below("/openenv", env)
	for _, x := range all {
		s.mux.HandleFunc(x.pattern, s.serve(x))
	}
	s.mux.HandleFunc("GET /ws", s.webSocket)
	s.mux.HandleFunc("GET /openenv/ws", s.webSocket)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, refusal{http.StatusNotFound, CodeRequest, "there is no such path, or not with this method; see docs/rewards.md"})
	})
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Key != "" {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		want := sha256.Sum256([]byte("Bearer " + s.cfg.Key))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, refusal{http.StatusUnauthorized, CodeRequest, "the key is missing or wrong; send Authorization: Bearer KEY"})
			return
		}
	}
	// A page in a browser may reach what listens on this machine; no trainer sends an origin, and trainers name this machine as their network does.
	if r.Header.Get("Origin") != "" {
		if why := reach.ForeignPage(r, nil); why != "" {
			s.fail(w, refusal{http.StatusForbidden, CodeRequest, why})
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// refusal is an answer with a status of 4xx or 5xx.
type refusal struct {
	status    int
	code, msg string
}

func (e refusal) Error() string { return e.msg + " [" + e.code + "]" }

func refuse(status int, code, format string, args ...any) error {
	return refusal{status, code, fmt.Sprintf(format, args...)}
}

// scored counts the answers that a request had scored.
type scoredKey struct{}

// serve wraps a route: bounds, strict reading, errors, the log.
func (s *Server) serve(x route) http.HandlerFunc {
	_, name, _ := strings.Cut(x.pattern, " ")
	return func(w http.ResponseWriter, r *http.Request) {
		began := s.cfg.Now()
		n := 0
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), scoredKey{}, &n), s.cfg.Timeout)
		defer cancel()
		status := http.StatusOK
		defer func() {
			if p := recover(); p != nil {
				status = s.fail(w, refusal{http.StatusInternalServerError, "PV999", "a fault of Proviso; please report it"})
			}
			if s.cfg.Log != nil {
				s.cfg.Log(Served{Route: name, Status: status, Scored: n, Took: s.cfg.Now().Sub(began)})
			}
		}()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			status = s.fail(w, refusal{http.StatusRequestEntityTooLarge, CodeRequest, fmt.Sprintf("the body has more than %d bytes", s.cfg.MaxBody)})
			return
		case err != nil:
			status = s.fail(w, refusal{http.StatusBadRequest, CodeRequest, "the body ended early"})
			return
		}
		out, err := x.handle(s, w, r.WithContext(ctx), body)
		if err != nil {
			status = s.fail(w, err)
			return
		}
		if text, isText := out.(plainText); isText {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			io.WriteString(w, string(text))
			return
		}
		b, err := json.Marshal(out)
		if raw, isRaw := out.(proviso.JSON); isRaw {
			b, err = raw, nil
		}
		if err != nil {
			status = s.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(b, '\n'))
	}
}

// plainText is an answer that is no JSON.
type plainText string

// fail answers with an error, and returns its status. An error that is no refusal is the client's where it is about its JSON, and else a fault.
func (s *Server) fail(w http.ResponseWriter, err error) int {
	var r refusal
	var bad *proviso.JSONError
	var d proviso.Diagnostic
	switch {
	case errors.As(err, &r):
	case errors.As(err, &bad):
		r = refusal{http.StatusBadRequest, CodeRequest, "the body: " + bad.Error()}
	case errors.As(err, &d):
		r = refusal{http.StatusUnprocessableEntity, d.Code, d.Msg}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		r = refusal{http.StatusServiceUnavailable, CodeBusy, "the work was not done in time"}
	default:
		r = refusal{http.StatusUnprocessableEntity, CodeRequest, err.Error()}
	}
	if r.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": r.code, "message": r.msg}})
	return r.status
}

// ref names a case: a task by id, or gold that a row brings.
type ref struct {
	Task    string         `json:"task"`
	Gold    proviso.JSON   `json:"gold"`
	Policy  string         `json:"policy"`
	Session map[string]any `json:"session"`
	Now     time.Time      `json:"now"`
}

// find is the case that a ref names. A gold that the row brings counts, also beside a task that is known, which then gives what else a case has; what names neither is refused.
func (s *Server) find(x ref) (*reward.Case, error) {
	known := s.cases[x.Task]
	if len(x.Gold) == 0 {
		switch {
		case known != nil:
			return known, nil
		case x.Task != "":
			return nil, refuse(http.StatusNotFound, reward.CodeCase, "there is no task of this id")
		}
		return nil, refuse(http.StatusBadRequest, reward.CodeCase, "the row names no task and brings no gold")
	}
	g, err := reward.ReadGold(x.Gold)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, reward.CodeCase, "the gold: %v", err)
	}
	c := &reward.Case{ID: x.Task, Policy: x.Policy, Session: x.Session, Now: x.Now}
	if known != nil {
		same := *known
		c = &same
	}
	c.Gold = g
	if _, err := s.cfg.Bench.For(c.Policy); err != nil {
		return nil, err
	}
	return c, nil
}

// judge scores one attempt, when a worker is free. OK is never false without an error.
func (s *Server) judge(ctx context.Context, c *reward.Case, a reward.Attempt) (reward.Report, error) {
	if len(a.Text) > maxAnswer {
		return reward.Report{}, refuse(http.StatusRequestEntityTooLarge, CodeRequest, "an answer has more than %d bytes", maxAnswer)
	}
	if err := ctx.Err(); err != nil {
		return reward.Report{}, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return reward.Report{}, refusal{http.StatusServiceUnavailable, CodeBusy, "no worker became free in time"}
	}
	r, err := s.cfg.Bench.Score(c, a)
	if err != nil {
		return r, err
	}
	if n, ok := ctx.Value(scoredKey{}).(*int); ok {
		*n++
	}
	if !r.OK || math.IsNaN(r.Total) {
		return r, refuse(http.StatusUnprocessableEntity, CodeUnjudged, "nobody can judge this answer: %s", strings.Join(r.Why, "; "))
	}
	return r, nil
}

// score is POST /score: {"task" or "gold", "policy", "session", "text"} → the report.
func (s *Server) score(w http.ResponseWriter, r *http.Request, body []byte) (any, error) {
	var q struct {
		Task    string         `json:"task"`
		Gold    proviso.JSON   `json:"gold"`
		Policy  string         `json:"policy"`
		Session map[string]any `json:"session"`
		Now     time.Time      `json:"now"`
		Text    *string        `json:"text"`
	}
	if err := proviso.DecodeStrict(body, &q); err != nil {
		return nil, err
	}
	if q.Text == nil {
		return nil, refuse(http.StatusBadRequest, CodeRequest, "text is missing; it is the answer to be scored")
	}
	c, err := s.find(ref{q.Task, q.Gold, q.Policy, q.Session, q.Now})
	if err != nil {
		return nil, err
	}
	return s.judge(r.Context(), c, reward.Attempt{Text: *q.Text})
}
