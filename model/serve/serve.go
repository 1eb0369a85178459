package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/reach"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
)

// maxBody is how long a body may be, in bytes.
const maxBody = 16 << 20

// Options say what the door knows of its surroundings.
type Options struct {
	Name string           // by which clients ask for the model; empty is that of the model
	Now  func() time.Time // nil is time.Now
}

// handler answers for one generator.
type handler struct {
	g    *model.Generator
	name string
	now  func() time.Time
}

// New returns a handler of /v1/chat/completions, /v1/models and /health. It answers requests to addresses of this machine by number or as localhost only, because a page in a browser can point a name of its own at it.
// The caller closes the generator.
func New(g *model.Generator, o Options) http.Handler {
	h := &handler{g: g, name: o.Name, now: o.Now}
	if h.name == "" {
		h.name = g.Model().Name
	}
	if h.now == nil {
		h.now = time.Now
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", h.completions)
	mux.HandleFunc("GET /v1/models", h.models)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := reach.ForeignPage(r, nil); why != "" {
			fail(w, http.StatusForbidden, "forbidden", why, "")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // values of this package only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// fail answers with an error as the API has it.
func fail(w http.ResponseWriter, status int, kind, msg, code string) {
	writeJSON(w, status, errorBody(kind, msg, code))
}

func errorBody(kind, msg, code string) map[string]any {
	e := map[string]any{"message": msg, "type": kind, "param": nil, "code": nil}
	if code != "" {
		e["code"] = code
	}
	return map[string]any{"error": e}
}

// problem is how an error looks to a client.
func problem(err error) (status int, body map[string]any) {
	var d proviso.Diagnostic
	switch {
	case errors.As(err, &d):
		return http.StatusBadRequest, errorBody("invalid_request_error", err.Error(), d.Code)
	case errors.Is(err, model.ErrBusy), errors.Is(err, model.ErrClosed):
		return http.StatusServiceUnavailable, errorBody("server_error", err.Error(), "")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 499, errorBody("server_error", "the request was cancelled", "")
	}
	return http.StatusInternalServerError, errorBody("server_error", err.Error(), "")
}

func (h *handler) models(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{"id": h.name, "object": "model", "created": 0, "owned_by": "proviso", "max_model_len": h.g.Model().Config.Net.Context}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []any{m}})
}

func (h *handler) completions(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "invalid_request_error", "the content type must be application/json", "")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "invalid_request_error", fmt.Sprintf("the body is cut off or longer than %d bytes", maxBody), "")
		return
	}
	q, err := parse(raw)
	if err == nil && q.model != "" && q.model != h.name {
		fail(w, http.StatusNotFound, "invalid_request_error", fmt.Sprintf("the model %q is not served here; %q is", q.model, h.name), "model_not_found")
		return
	}
	if err == nil {
		err = h.prepare(q)
	}
	if err != nil {
		status, body := problem(err)
		writeJSON(w, status, body)
		return
	}
	if q.stream {
		h.stream(w, r, q)
		return
	}
	h.answer(w, r, q)
}

// prepare makes the prompt and decides what may be written.
func (h *handler) prepare(q *request) error {
	if h.g.Model().Chat == nil {
		_, err := h.g.Model().Prompt(q.messages, q.options)
		return err
	}
	if err := q.within(h.g); err != nil {
		return err
	}
	prompt, err := h.g.Model().Prompt(q.messages, q.options)
	if err != nil {
		return err
	}
	q.base.Prompt = prompt
	q.base.Sampling = h.g.Sampling(q.temperature, q.topP, q.topK, q.seed)
	return nil
}

// said is an answer taken apart.
func (h *handler) said(q *request, text string) chat.Answer {
	if q.whole {
		return chat.Answer{Text: text}
	}
	return h.g.Model().Chat.Parse(text)
}

func finish(a model.Answer, said chat.Answer) string {
	switch {
	case a.Stop == model.StopLength:
		return "length"
	case len(said.Calls) > 0:
		return "tool_calls"
	}
	return "stop"
}

// call is one as the API has it.
type call struct {
	Index    *int   `json:"index,omitempty"` // in streams only
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func callsOf(list []chat.Call, id string, numbered bool) []call {
	var out []call
	for i, c := range list {
		x := call{ID: fmt.Sprintf("call_%s_%d", id, i), Type: "function"}
		x.Function.Name, x.Function.Arguments = c.Name, string(c.Args)
		if numbered {
			x.Index = &i
		}
		out = append(out, x)
	}
	return out
}

// alternative is a token with its log-probability as the API has it.
type alternative struct {
	Token   string  `json:"token"`
	LogProb float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// logprob is a token that was written, with the likeliest at its place.
type logprob struct {
	alternative
	Top []alternative `json:"top_logprobs"`
}

func (h *handler) alternative(id int32, p float64) alternative {
	text := h.g.Model().Tokenizer.Bytes(id)
	a := alternative{Token: strings.ToValidUTF8(text, "\uFFFD"), LogProb: p, Bytes: []int{}}
	for i := 0; i < len(text); i++ {
		a.Bytes = append(a.Bytes, int(text[i]))
	}
	return a
}

func (h *handler) logprobs(tokens []model.Token) map[string]any {
	list := make([]logprob, len(tokens))
	for i, t := range tokens {
		list[i] = logprob{h.alternative(t.ID, t.LogProb), []alternative{}}
		for _, c := range t.Top {
			list[i].Top = append(list[i].Top, h.alternative(c.ID, c.LogProb))
		}
	}
	return map[string]any{"content": list}
}

func usage(prompt, completion, cached int) map[string]any {
	return map[string]any{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, "prompt_tokens_details": map[string]int{"cached_tokens": cached}}
}

func newID() string { return strconv.FormatUint(rand.Uint64(), 36) }

// answer gives the choices at once.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, q *request) {
	answers := make([]model.Answer, q.choices)
	errs := make([]error, q.choices)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			one := q.base
			one.Seed += uint64(i)
			answers[i], errs[i] = h.g.Generate(r.Context(), one, nil)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, e := range errs {
			if e != nil {
				err = e
				break
			}
		}
		status, body := problem(err)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		writeJSON(w, status, body)
		return
	}
	id := newID()
	var choices []any
	written, cached := 0, 0
	for i, a := range answers {
		said := h.said(q, a.Text)
		m := map[string]any{"role": "assistant", "content": said.Text}
		if said.Reasoning != "" {
			m["reasoning_content"] = said.Reasoning
		}
		if len(said.Calls) > 0 {
			m["tool_calls"] = callsOf(said.Calls, id+"_"+strconv.Itoa(i), false)
			if said.Text == "" {
				m["content"] = nil
			}
		}
		c := map[string]any{"index": i, "message": m, "finish_reason": finish(a, said), "logprobs": nil}
		if q.logprobs {
			c["logprobs"] = h.logprobs(a.Tokens)
		}
		choices = append(choices, c)
		written += len(a.Tokens)
		cached = max(cached, a.Reused)
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": "chatcmpl-" + id, "object": "chat.completion", "created": h.now().Unix(), "model": h.name, "choices": choices, "usage": usage(len(q.base.Prompt), written, cached)})
}
