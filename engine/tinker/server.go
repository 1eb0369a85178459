package tinker

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/internal/reach"
)

// ServerOptions say what a server offers.
type ServerOptions struct {
	// Models are the names of base models that can be asked for.
	Models []string
	// Open makes an engine over a base model for the model of that id, with adapters of a rank where it is above 0. An error that wraps engine.ErrInput is the client's fault.
	Open func(ctx context.Context, id, base string, rank int) (engine.Engine, error)
	// Close is called when a model is given up; may be nil.
	Close func(id string)
	// Archive writes the files of saved weights as a gzipped tar, for clients that load them down; nil: they cannot.
	Archive func(path string, w io.Writer) error
	// Index keeps which saved weights have which path of which engine, so that a client that comes back after a restart finds them; nil: in memory.
	Index Index
	// Key has to be sent by clients as X-API-Key or as a bearer token; empty: nobody is asked.
	Key string
	// Poll is how long retrieve_future waits before it says that a call is still under way. 0: 20 s.
	Poll time.Duration
	// MaxModels is how many models there may be at a time, each of which has memory of its own. 0: 4.
	MaxModels int
}

// Index maps paths of the protocol to paths of engines. Implementations are safe for concurrent use.
type Index interface {
	Put(public, private string) error
	Get(public string) (private string, ok bool)
}

// The limits of a server.
const (
	maxBody        = 256 << 20 // bytes of a request
	keptFutures    = 4096      // calls that were not asked for
	keptAnswers    = 64        // results that were told and may be asked for again, if the answer was lost on its way
	queued         = 256       // calls of one model that wait
	maxSamples     = 1024      // of one request
	defaultPoll    = 20 * time.Second
	defaultModels  = 4
	internalFault  = "internal error; see the log of the server"
	apiPath        = "/api/v1/"
	archivePattern = "GET " + apiPath + "training_runs/{model}/checkpoints/{name}/archive"
)

// Server is an http.Handler that offers engines. Calls of one model are carried out one after another in the order in which they arrive; a call that is sent twice with one seq_id is done once.
type Server struct {
	o   ServerOptions
	mux *http.ServeMux

	mu      sync.Mutex
	models  map[string]*served
	futures map[string]*future
	order   []string // of futures, the oldest first
	told    []string // those whose result was told, likewise
	samples map[string]string
}

// served is a model and the queue of its calls.
type served struct {
	id, base string
	e        engine.Engine
	calls    chan func()
	done     chan struct{}
	closing  sync.Once
	seen     map[string]string // verb and seq_id → future
}

// future is a call under way.
type future struct {
	model  *served
	again  string
	done   chan struct{}
	result any
	err    error
}

// NewServer returns a server. Close ends its models.
func NewServer(o ServerOptions) *Server {
	o.Poll, o.MaxModels = cmp.Or(o.Poll, defaultPoll), cmp.Or(o.MaxModels, defaultModels)
	if o.Index == nil {
		o.Index = &memoryIndex{}
	}
	s := &Server{o: o, mux: http.NewServeMux(), models: map[string]*served{}, futures: map[string]*future{}, samples: map[string]string{}}
	s.mux.HandleFunc("GET "+apiPath+"healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.mux.HandleFunc("GET "+apiPath+"get_server_capabilities", s.capabilities)
	if o.Archive != nil {
		s.mux.HandleFunc(archivePattern, s.archive)
	}
	for verb, serve := range map[string]func(context.Context, []byte) (any, error){
		"create_session":    s.createSession,
		"session_heartbeat": func(context.Context, []byte) (any, error) { return map[string]string{"type": "session_heartbeat"}, nil },
		"telemetry":         func(context.Context, []byte) (any, error) { return map[string]string{"status": "accepted"}, nil },
		"create_model":      s.createModel, "get_info": s.getInfo, "unload_model": s.unloadModel,
		"forward_backward": s.forwardBackward, "forward": s.forward, "optim_step": s.optimStep,
		"save_weights": s.saveWeights(trainingKind), "save_weights_for_sampler": s.saveWeights(samplerKind), "load_weights": s.loadWeights,
		"create_sampling_session": s.samplingSession, "asample": s.sample,
	} {
		s.mux.HandleFunc("POST "+apiPath+verb, s.post(serve))
	}
	s.mux.HandleFunc("POST "+apiPath+"retrieve_future", s.retrieve)
	return s
}

// ServeHTTP checks the key and serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.o.Key != "" {
		given := r.Header.Get("X-API-Key")
		if given == "" {
			given = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.o.Key)) != 1 {
			answer(w, http.StatusUnauthorized, failure{Type: "request_failed", Error: "the key is missing or wrong; send it as X-API-Key", Category: "user"})
			return
		}
	}
	// No client of this API is a page, and a page that a stranger made must not train on this machine.
	if r.Header.Get("Origin") != "" {
		if why := reach.ForeignPage(r, nil); why != "" {
			answer(w, http.StatusForbidden, failure{Type: "request_failed", Error: why, Category: "user"})
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// Close gives every model up and waits for the calls under way.
func (s *Server) Close() {
	s.mu.Lock()
	var all []*served
	for id, m := range s.models {
		all = append(all, m)
		delete(s.models, id)
	}
	s.mu.Unlock()
	for _, m := range all {
		s.end(m)
	}
}

func (s *Server) end(m *served) {
	m.closing.Do(func() { close(m.calls) })
	<-m.done
	if s.o.Close != nil {
		s.o.Close(m.id)
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // an error here means that the client has gone
}

// post reads a body, serves it, and answers errors: the client's with 4xx, all others without their text.
func (s *Server) post(serve func(context.Context, []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, http.StatusRequestEntityTooLarge, failure{Type: "request_failed", Error: "the body cannot be read: " + err.Error(), Category: "user"})
			return
		}
		v, err := serve(r.Context(), b)
		if err != nil {
			f := failed(err)
			code := http.StatusBadRequest
			switch {
			case errors.Is(err, errBusy):
				code = http.StatusTooManyRequests
			case errors.Is(err, engine.ErrNotFound):
				code = http.StatusNotFound
			case f.Category == "server":
				code, f.Error = http.StatusInternalServerError, internalFault
			}
			answer(w, code, f)
			return
		}
		answer(w, http.StatusOK, v)
	}
}

func newID(prefix string) string {
	var b [8]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return prefix + hex.EncodeToString(b[:])
}

// read decodes a body into a request.
func read[T any](body []byte) (v T, err error) {
	if err := decode(body, &v); err != nil {
		return v, fmt.Errorf("%w: the body is not the JSON of this call: %w", engine.ErrInput, err)
	}
	return v, nil
}

func (s *Server) capabilities(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		Name string `json:"model_name"`
	}
	list := []model{}
	for _, m := range s.o.Models {
		list = append(list, model{m})
	}
	answer(w, http.StatusOK, map[string]any{"supported_models": list})
}

func (s *Server) createSession(context.Context, []byte) (any, error) {
	return sessionResponse{"create_session", newID("session-")}, nil
}

// errBusy is wrapped where a call may be sent again later.
var errBusy = errors.New("the server is busy; send the call again later")

func (s *Server) createModel(ctx context.Context, body []byte) (any, error) {
	req, err := read[modelRequest](body)
	if err != nil {
		return nil, err
	}
	if req.LoRA.Rank < 0 {
		return nil, fmt.Errorf("%w: a rank of %d", engine.ErrInput, req.LoRA.Rank)
	}
	m := &served{id: newID("model-"), base: req.BaseModel, calls: make(chan func(), queued), done: make(chan struct{}), seen: map[string]string{}}
	s.mu.Lock()
	if len(s.models) >= s.o.MaxModels {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: there are %d models already, as many as may be; unload one", engine.ErrInput, s.o.MaxModels)
	}
	s.models[m.id] = m
	s.mu.Unlock()
	go func() {
		defer close(m.done)
		for call := range m.calls {
			call()
		}
	}()
	return s.start(m, "", func(ctx context.Context) (any, error) {
		e, err := s.o.Open(ctx, m.id, req.BaseModel, req.LoRA.Rank)
		if err != nil {
			s.mu.Lock()
			delete(s.models, m.id)
			s.mu.Unlock()
			go s.end(m)
			return nil, err
		}
		s.mu.Lock()
		m.e = e
		s.mu.Unlock()
		return modelIDRequest{m.id, "create_model"}, nil
	})
}

func (s *Server) model(id string) (*served, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.models[id]
	if m == nil {
		return nil, fmt.Errorf("model %q: %w", id, engine.ErrNotFound)
	}
	return m, nil
}

// start queues a call of a model and answers its future. again names a call that is to be done once, however often it is sent; empty: each is its own.
func (s *Server) start(m *served, again string, call func(context.Context) (any, error)) (any, error) {
	f := &future{model: m, again: again, done: make(chan struct{})}
	id := newID("future-")
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier, sent := m.seen[again]; sent && again != "" {
		return futureResponse{RequestID: earlier, FutureID: earlier, ModelID: m.id, Status: "pending"}, nil
	}
	run := func() {
		defer close(f.done)
		defer func() {
			if v := recover(); v != nil {
				f.err = errors.New(internalFault)
			}
		}()
		// A call outlives the request that started it: the client waits for its future.
		f.result, f.err = call(context.Background())
	}
	select {
	case m.calls <- run:
	default:
		return nil, fmt.Errorf("%d calls of the model wait: %w", queued, errBusy)
	}
	if again != "" {
		m.seen[again] = id
	}
	s.futures[id] = f
	s.order = append(s.order, id)
	for len(s.order) > 0 && (s.futures[s.order[0]] == nil || len(s.order) > keptFutures && finished(s.futures[s.order[0]])) {
		s.forget(s.order[0])
		s.order = s.order[1:]
	}
	return futureResponse{RequestID: id, FutureID: id, ModelID: m.id, Status: "pending"}, nil
}

// forget drops a result. The caller holds the lock.
func (s *Server) forget(id string) {
	if f := s.futures[id]; f != nil {
		delete(f.model.seen, f.again)
		delete(s.futures, id)
	}
}

// tell remembers that a result was told, and drops the oldest of those.
func (s *Server) tell(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.told, id) {
		s.told = append(s.told, id)
	}
	for len(s.told) > keptAnswers {
		s.forget(s.told[0])
		s.told = s.told[1:]
	}
}

func finished(f *future) bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

func (s *Server) retrieve(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var req futureRequest
	if err == nil {
		err = decode(b, &req)
	}
	s.mu.Lock()
	f := s.futures[req.RequestID]
	s.mu.Unlock()
	if err != nil || f == nil {
		answer(w, http.StatusNotFound, failure{Type: "request_failed", Error: fmt.Sprintf("there is no future %q", req.RequestID), Category: "user"})
		return
	}
	select {
	case <-f.done:
	case <-r.Context().Done():
		return
	case <-time.After(s.o.Poll):
		answer(w, http.StatusOK, map[string]string{"type": pending, "request_id": req.RequestID, "queue_state": "active"})
		return
	}
	s.tell(req.RequestID)
	if f.err != nil {
		answer(w, http.StatusOK, failed(f.err))
		return
	}
	answer(w, http.StatusOK, f.result)
}

func (s *Server) getInfo(ctx context.Context, body []byte) (any, error) {
	req, err := read[modelIDRequest](body)
	if err != nil {
		return nil, err
	}
	m, err := s.model(req.ModelID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	e := m.e
	s.mu.Unlock()
	if e == nil {
		return nil, fmt.Errorf("model %q is still being opened: %w", m.id, errBusy)
	}
	i, err := e.Info(ctx)
	if err != nil {
		return nil, err
	}
	return infoResponse{
		Type: "get_info", ModelID: m.id, ModelName: m.base, IsLoRA: i.LoRARank > 0, LoRARank: i.LoRARank,
		ModelData: modelData{Arch: "llama", ModelName: m.base, BaseModel: m.base, Vocab: i.Vocab, Context: i.Context, Params: i.Params, Trainable: i.Trainable, Steps: i.StepsTaken},
	}, nil
}

func (s *Server) unloadModel(_ context.Context, body []byte) (any, error) {
	req, err := read[modelIDRequest](body)
	if err != nil {
		return nil, err
	}
	m, err := s.model(req.ModelID)
	if err != nil {
		return nil, err
	}
	return s.start(m, "unload", func(context.Context) (any, error) {
		s.mu.Lock()
		delete(s.models, m.id)
		s.mu.Unlock()
		go s.end(m)
		return modelIDRequest{m.id, "unload_model"}, nil
	})
}

// memoryIndex is the Index without a file.
type memoryIndex struct {
	mu    sync.Mutex
	paths map[string]string
}

func (x *memoryIndex) Put(public, private string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.paths == nil {
		x.paths = map[string]string{}
	}
	x.paths[public] = private
	return nil
}

func (x *memoryIndex) Get(public string) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.paths[public]
	return p, ok
}
