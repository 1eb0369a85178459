package tinker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/nn"
)

// tables is a server whose engines are exact.
func tables(t testing.TB, change func(*ServerOptions)) *httptest.Server {
	t.Helper()
	o := ServerOptions{Models: []string{"table"}, MaxModels: 8, Poll: 50 * time.Millisecond, Open: func(_ context.Context, _, base string, _ int) (engine.Engine, error) {
		if base != "table" {
			return nil, fmt.Errorf("%w: there is no model %q here", engine.ErrInput, base)
		}
		return engine.NewTable(16, 3, 32), nil
	}}
	if change != nil {
		change(&o)
	}
	s := NewServer(o)
	h := httptest.NewServer(s)
	t.Cleanup(func() { h.Close(); s.Close() })
	return h
}

func dial(t testing.TB, h *httptest.Server) *Client {
	t.Helper()
	c, err := Dial(context.Background(), Options{URL: h.URL, BaseModel: "table", HTTP: h.Client(), Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One tests the other: the engine behind HTTP keeps the contract of engines.
func TestContract(t *testing.T) {
	engine.TestEngine(t, func(t testing.TB) engine.Engine { return dial(t, tables(t, nil)) }, 0)
}

// The same against a server that is less kind: no log-probabilities of prompts, no replacing of names, errors as SkyRL reports them, connections that break.
func TestContractOnALesserServer(t *testing.T) {
	engine.TestEngine(t, func(t testing.TB) engine.Engine {
		// Networks with checkpoints on one disk, since the second model that scores has to find what the first one saved.
		dir := t.TempDir()
		h := tables(t, func(o *ServerOptions) {
			o.Open = func(_ context.Context, id, _ string, _ int) (engine.Engine, error) {
				net, err := nn.New(nn.Config{Layers: 1, Hidden: 16, Heads: 2, FFN: 16, Vocab: 24, Context: 24})
				if err != nil {
					return nil, err
				}
				net.Init(1)
				return local.New(local.Options{Net: net, Dir: filepath.Join(dir, id)})
			}
		})
		lesser := httptest.NewServer(&lesserServer{inner: h.Config.Handler, taken: map[string]bool{}, dice: rand.New(rand.NewPCG(1, 2))})
		t.Cleanup(lesser.Close)
		return dial(t, lesser)
	}, 2e-5)
}

// lesserServer changes what passes to and from ours.
type lesserServer struct {
	inner http.Handler
	mu    sync.Mutex
	taken map[string]bool
	dice  *rand.Rand
}

func (l *lesserServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	busy := l.dice.IntN(10) == 0
	l.mu.Unlock()
	if busy {
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	verb := strings.TrimPrefix(r.URL.Path, apiPath)
	var m map[string]any
	json.Unmarshal(body, &m)
	if verb == "asample" {
		m["prompt_logprobs"] = false
		body, _ = json.Marshal(m)
	}
	if strings.HasPrefix(verb, "save_weights") {
		key := fmt.Sprint(verb, m["model_id"], m["path"])
		l.mu.Lock()
		conflict := l.taken[key]
		l.taken[key] = true
		l.mu.Unlock()
		if conflict {
			answer(w, http.StatusConflict, map[string]string{"detail": "already exists"})
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	l.inner.ServeHTTP(rec, r)
	var result map[string]any
	if verb == "retrieve_future" && json.Unmarshal(rec.Body.Bytes(), &result) == nil && result["type"] == "request_failed" {
		if result["kind"] == "not_finite" || result["kind"] == "no_gradient" { // no status of HTTP says these
			rec.Body.WriteTo(w)
			return
		}
		code := http.StatusBadRequest
		if result["kind"] == "not_found" {
			code = http.StatusNotFound
		}
		answer(w, code, map[string]any{"detail": result["error"]})
		return
	}
	w.WriteHeader(rec.Code)
	rec.Body.WriteTo(w)
}

// The protocol as bytes: what goes over the wire for each verb, by both sides.
func TestWire(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		h := tables(t, nil)
		ids := map[string]string{}
		for _, f := range a.Files {
			verb, ok := strings.CutPrefix(f.Name, "> ")
			if !ok {
				continue
			}
			verb, _, _ = strings.Cut(verb, " ")
			body := string(f.Data)
			for name, id := range ids {
				body = strings.ReplaceAll(body, name, id)
			}
			resp, err := h.Client().Post(h.URL+apiPath+verb, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			var v map[string]any
			if err := json.Unmarshal(b, &v); err != nil {
				t.Fatalf("%s: %s", verb, b)
			}
			if model, ok := v["model_id"].(string); ok && ids["MODEL"] == "" {
				ids["MODEL"] = model
			}
			if future, ok := v["request_id"].(string); ok {
				delete(ids, "FUTURE")
				ids["FUTURE"] = future
			}
			got := fmt.Sprintf("%d %s", resp.StatusCode, b)
			for name, id := range ids {
				got = strings.ReplaceAll(got, id, name)
			}
			if strings.HasPrefix(got, "200 {\"type\":\"create_session\"") {
				got = "200 {\"type\":\"create_session\",\"session_id\":\"SESSION\"}"
			}
			a.Expect(t, "< "+strings.TrimPrefix(f.Name, "> "), []byte(got))
		}
	})
}

// The losses that others' clients name: W is −dLoss/dlogp.
func TestLosses(t *testing.T) {
	dice := rand.New(rand.NewPCG(4, 4))
	for _, l := range losses {
		t.Run(l.name, func(t *testing.T) {
			for range 50 {
				n := 1 + dice.IntN(5)
				r, logp := row{make([]float64, n), make([]float64, n), make([]float64, n)}, make([]float64, n)
				for i := range logp {
					r.weight[i], r.advantage[i], r.old[i] = float64(dice.IntN(2)), dice.NormFloat64(), -dice.ExpFloat64()
					logp[i] = r.old[i] + 0.3*dice.NormFloat64()
				}
				total := func(x []float64) (s float64) {
					v, _ := l.row(r, x, nil)
					for _, y := range v {
						s += y
					}
					return s
				}
				_, w := l.row(r, logp, nil)
				for i := range logp {
					at := func(h float64) float64 {
						x := slices.Clone(logp)
						x[i] += h
						return total(x)
					}
					left, right := (at(0)-at(-1e-6))/1e-6, (at(1e-6)-at(0))/1e-6
					if l.name == "cispo" || math.Abs(left-right) > 1e-3 {
						continue // its weight is held constant; and a kink has no slope
					}
					if math.Abs(w[i]+(left+right)/2) > 1e-5*(1+math.Abs(w[i])) {
						t.Fatalf("W is %g, differences say %g", w[i], -(left+right)/2)
					}
				}
			}
		})
	}
	if !slices.IsSortedFunc(losses, func(a, b loss) int { return strings.Compare(a.name, b.name) }) {
		t.Error("the losses are not sorted")
	}
	cispo, err := lossNamed("cispo")
	if err != nil {
		t.Fatal(err)
	}
	_, w := cispo.row(row{[]float64{1, 1}, []float64{2, -1}, []float64{-1, -1}}, []float64{0, -1.1}, map[string]float64{"clip_high_threshold": 1.5})
	if math.Abs(w[0]-3) > 1e-12 || math.Abs(w[1]+math.Exp(-.1)) > 1e-12 {
		t.Errorf("cispo weighs %v", w)
	}
}

// A call that is sent twice is done once, and calls of one model keep their order.
func TestOnceAndInOrder(t *testing.T) {
	h := tables(t, nil)
	c := dial(t, h)
	row, _ := engine.Continue([]int32{1}, []int32{2, 3})
	row.Weight = []float64{1, 1}
	fb := forwardRequest{ModelID: c.model, ForwardBackward: toWire([]engine.Datum{row}, true, true), SeqID: 77}
	step := optimRequest{ModelID: c.model, Adam: adamParams{LearningRate: .1}, SeqID: 78}
	send := func(verb string, body any) string {
		t.Helper()
		var f futureResponse
		if err := c.post(context.Background(), verb, body, &f); err != nil {
			t.Fatal(err)
		}
		return f.RequestID
	}
	if a, b := send("forward_backward", fb), send("forward_backward", fb); a != b {
		t.Errorf("one call has the futures %s and %s", a, b)
	}
	last := send("optim_step", step)
	if again := send("optim_step", step); again != last {
		t.Errorf("one call has the futures %s and %s", last, again)
	}
	var r optimResponse
	if err := c.post(context.Background(), "retrieve_future", futureRequest{last}, &r); err != nil || r.Metrics["step"] != 1 || r.Metrics["grad_norm"] == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A server keeps few results that were told, and all that nobody has asked for yet.
func TestResultsAreForgotten(t *testing.T) {
	h := tables(t, nil)
	c := dial(t, h)
	ask := func(id string) error {
		return c.post(context.Background(), "retrieve_future", futureRequest{id}, &struct{}{})
	}
	var ids []string
	for range 2 * keptAnswers {
		var f futureResponse
		if err := c.post(context.Background(), "save_weights", weightsRequest{ModelID: c.model, Path: "x"}, &f); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, f.RequestID)
	}
	for _, id := range ids {
		if err := ask(id); err != nil {
			t.Fatalf("a result that nobody has asked for: %v", err)
		}
	}
	if err := ask(ids[len(ids)-1]); err != nil {
		t.Errorf("a result that was just told: %v", err)
	}
	if err := ask(ids[0]); err == nil {
		t.Error("the first result is still kept")
	}
}

// Hostile and mistaken requests: an answer in the 400s, never a panic, and the next request is served.
func TestRefuses(t *testing.T) {
	h := tables(t, func(o *ServerOptions) { o.MaxModels = 1 })
	c := dial(t, h)
	for _, b := range []struct{ verb, body, want string }{
		{"forward_backward", `{`, "400"}, {"forward_backward", `{"model_id":"x"}`, "404"}, {"forward_backward", `{"model_id":"` + c.model + `"}`, "400"},
		{"forward_backward", `{"model_id":"` + c.model + `","model_id":"x"}`, "400"},
		{"forward_backward", `{"model_id":"` + c.model + `","forward_backward_input":{"loss_fn":"made_up","data":[]}}`, "400"},
		{"forward_backward", `{"model_id":"` + c.model + `","forward_backward_input":{"loss_fn":"ppo","data":[{"model_input":{"chunks":[{"tokens":[1]}]},"loss_fn_inputs":{"target_tokens":{"data":[2]}}}]}}`, "400"},
		{"forward_backward", `{"model_id":"` + c.model + `","forward_backward_input":{"loss_fn":"cross_entropy","data":[{"model_input":{"chunks":[{"type":"image","data":"x"}]},"loss_fn_inputs":{"target_tokens":{"data":[2]}}}]}}`, "400"},
		{"forward_backward", `{"model_id":"` + c.model + `","forward_backward_input":{"loss_fn":"cross_entropy","data":[{"model_input":{"chunks":[{"tokens":[1]}]},"loss_fn_inputs":{"target_tokens":{"data":[2]},"weights":{"data":[1,2]}}}]}}`, "400"},
		{"optim_step", `[]`, "400"}, {"create_model", `{"base_model":"table"}`, "400"}, {"create_model", `{"base_model":"table","lora_config":{"rank":-1}}`, "400"},
		{"save_weights", `{"model_id":"` + c.model + `","path":"../../x"}`, "400"}, {"load_weights", `{"model_id":"` + c.model + `","path":"tinker://x/weights/y"}`, "404"},
		{"asample", `{"prompt":{"chunks":[]},"num_samples":1}`, "404"}, {"retrieve_future", `{"request_id":"x"}`, "404"}, {"unheard_of", `{}`, "404"},
	} {
		resp, err := h.Client().Post(h.URL+apiPath+b.verb, "application/json", strings.NewReader(b.body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode); got != b.want || strings.Contains(string(text), "goroutine") {
			t.Errorf("%s %.60s: %s %s", b.verb, b.body, got, text)
		}
	}
	if _, err := c.Info(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := Dial(context.Background(), Options{URL: h.URL, BaseModel: "other", HTTP: h.Client()}); !errors.Is(err, engine.ErrInput) {
		t.Errorf("a model that is not there: %v", err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestKey(t *testing.T) {
	h := tables(t, func(o *ServerOptions) { o.Key = "right" })
	for key, ok := range map[string]bool{"right": true, "wrong": false, "": false} {
		c, err := Dial(context.Background(), Options{URL: h.URL, Key: key, BaseModel: "table", HTTP: h.Client(), Wait: time.Millisecond})
		if (err == nil) != ok {
			t.Errorf("key %q: %v", key, err)
		}
		if err == nil {
			c.Close(context.Background())
		} else if strings.Contains(err.Error(), "right") {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

// A server that forgets its models, as one that was started anew, finds weights again by its index, under a model that is new.
func TestIndexOutlivesModels(t *testing.T) {
	index, shared := &memoryIndex{}, engine.NewTable(16, 3, 32)
	open := func(o *ServerOptions) {
		o.Index = index
		o.Open = func(context.Context, string, string, int) (engine.Engine, error) { return shared, nil }
	}
	first := dial(t, tables(t, open))
	path, err := first.SaveWeights(context.Background(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	second := dial(t, tables(t, open))
	if err := second.LoadWeights(context.Background(), path); err != nil {
		t.Error(err)
	}
}

func TestMemoryIndex(t *testing.T) {
	x := &memoryIndex{}
	TestIndex(t, func(testing.TB) Index { return x })
}

// Saved weights can be loaded down as a file.
func TestArchive(t *testing.T) {
	h := tables(t, func(o *ServerOptions) {
		o.Archive = func(path string, w io.Writer) error {
			_, err := io.WriteString(w, "files of "+path)
			return err
		}
	})
	c := dial(t, h)
	if _, err := c.SaveWeights(context.Background(), "kept"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"kept": "files of sampler_weights.kept", "other": "no weights of that name"} {
		resp, err := h.Client().Get(h.URL + apiPath + "training_runs/" + c.model + "/checkpoints/" + name + "/archive")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(b), want) {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// Clients at the same time, each with a model of its own, do not disturb each other.
func TestAtTheSameTime(t *testing.T) {
	h := tables(t, nil)
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for k := range int32(6) {
		c := dial(t, h)
		wg.Go(func() {
			d, _ := engine.Continue([]int32{1}, []int32{k, k})
			d.Weight = []float64{1, 1}
			for range 10 {
				if _, err := c.ForwardBackward(context.Background(), []engine.Datum{d}); err != nil {
					wrong.Add(1)
				}
				if _, err := c.OptimStep(context.Background(), engine.Adam{LearningRate: 1}); err != nil {
					wrong.Add(1)
				}
			}
			s, err := c.Sample(context.Background(), "", engine.SampleRequest{Prompt: []int32{1}, MaxTokens: 2})
			if err != nil || s[0].Tokens[0] != k || s[0].Tokens[1] != k {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d calls went wrong", wrong.Load())
	}
}

func FuzzServer(f *testing.F) {
	f.Add("forward_backward", `{"model_id":"MODEL","forward_backward_input":{"data":[{"model_input":{"chunks":[{"tokens":[1]}]},"loss_fn_inputs":{"target_tokens":{"data":[2]}}}],"loss_fn":"cross_entropy"}}`)
	f.Add("asample", `{"model_path":"tinker://MODEL/sampler_weights/x","prompt":{"chunks":[{"tokens":[1]}]},"sampling_params":{"max_tokens":3}}`)
	f.Add("optim_step", `{"model_id":"MODEL","adam_params":{"learning_rate":1}}`)
	h := tables(f, nil)
	c := dial(f, h)
	f.Fuzz(func(t *testing.T, verb, body string) {
		r := httptest.NewRequest(http.MethodPost, apiPath+"x", strings.NewReader(strings.ReplaceAll(body, "MODEL", c.model)))
		r.URL.Path = apiPath + verb
		if verb == "retrieve_future" || verb == "unload_model" || verb == "create_model" {
			return
		}
		w := httptest.NewRecorder()
		h.Config.Handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// A page that a stranger made must not train on this machine, whatever name it has for it; a client of the network, which has no origin, may.
func TestForeignPages(t *testing.T) {
	s := NewServer(ServerOptions{})
	defer s.Close()
	for origin, want := range map[string]bool{"": true, "http://localhost:3000": true, "http://evil.example": false, "http://trainer": false, "null": false} {
		r := httptest.NewRequest("GET", "http://trainer/api/v1/healthz", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
			r.Host = strings.TrimPrefix(origin, "http://")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got := w.Code != 403; got != want {
			t.Errorf("from %q: status %d", origin, w.Code)
		}
	}
}
