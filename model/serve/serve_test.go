package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

// open serves a small network that has learnt nothing.
func open(t testing.TB, form *chat.Family) *httptest.Server {
	t.Helper()
	text := "the reservation may be cancelled within 24 hours of booking"
	tok, err := tokenizer.Train(slices.Values([]string{text, text}), tokenizer.TrainOptions{Size: 280, Special: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(model.Config{Family: "llama", Begin: -1, Net: nn.Config{Layers: 1, Hidden: 16, Heads: 2, FFN: 24, Context: 1024}}, tok, form, 1)
	if err != nil {
		t.Fatal(err)
	}
	g := model.NewGenerator(m, model.GeneratorOptions{Slots: 4})
	s := httptest.NewServer(New(g, Options{Name: "tiny", Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}))
	t.Cleanup(func() { s.Close(); g.Close() })
	return s
}

func post(t testing.TB, s *httptest.Server, body string) (status int, answer string) {
	t.Helper()
	r, err := http.Post(s.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

var chance = regexp.MustCompile(`(chatcmpl-|call_)[a-z0-9]+`)

var contents = regexp.MustCompile(`(?m)^data: \{"choices":\[\{"delta":\{"content":"((?:[^"\\]|\\.)+)"\},.*\n\n`)

// joined puts the pieces of a text that follow each other in a stream together: how it is dealt depends on who is faster.
func joined(events string) string {
	var out strings.Builder
	last := 0
	text := ""
	flush := func() {
		if text != "" {
			fmt.Fprintf(&out, "text: %s\n\n", text)
		}
		text = ""
	}
	for _, m := range contents.FindAllStringSubmatchIndex(events, -1) {
		if m[0] > last {
			flush()
			out.WriteString(events[last:m[0]])
		}
		text += events[m[2]:m[3]]
		last = m[1]
	}
	flush()
	return out.String() + events[last:]
}

// Each archive has a body, and what is answered: the status, then the JSON or the events. What chance makes is written as ID, and the text of a stream as one.
func TestWire(t *testing.T) {
	s := open(t, chat.ChatML)
	testkit.Archives(t, "testdata/wire/*.txtar", func(t *testing.T, a *testkit.Archive) {
		body, _ := a.File("request")
		status, answer := post(t, s, strings.Replace(string(body), "LONG", strings.Repeat("long ", 1000), 1))
		answer = chance.ReplaceAllString(answer, "${1}ID")
		answer = joined(answer)
		var pretty bytes.Buffer
		if json.Indent(&pretty, []byte(answer), "", "  ") == nil {
			answer = pretty.String()
		}
		a.Expect(t, "answer", fmt.Appendf(nil, "%d\n%s", status, answer))
	})
}

// A stream says the same as the answer at once, with the same log-probabilities.
func TestStreamSaysTheSame(t *testing.T) {
	s := open(t, chat.ChatML)
	for seed := range 6 {
		body := fmt.Sprintf(`{"messages":[{"role":"user","content":"Hello"}],"temperature":1,"seed":%d,"max_tokens":30,"logprobs":true,"top_logprobs":2`, seed)
		_, whole := post(t, s, body+"}")
		var want struct {
			Choices []struct {
				Message struct{ Content string }
				Finish  string `json:"finish_reason"`
				Log     struct {
					Content []json.RawMessage
				} `json:"logprobs"`
			}
		}
		if err := json.Unmarshal([]byte(whole), &want); err != nil {
			t.Fatal(err)
		}
		_, events := post(t, s, body+`,"stream":true}`)
		var text strings.Builder
		var log []json.RawMessage
		finish := ""
		for line := range strings.Lines(events) {
			data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var c struct {
				Choices []struct {
					Delta  struct{ Content string }
					Finish string `json:"finish_reason"`
					Log    struct {
						Content []json.RawMessage
					} `json:"logprobs"`
				}
			}
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			text.WriteString(c.Choices[0].Delta.Content)
			log = append(log, c.Choices[0].Log.Content...)
			finish += c.Choices[0].Finish
		}
		if !strings.HasSuffix(events, "data: [DONE]\n\n") {
			t.Errorf("the stream ends with %q", events[max(0, len(events)-30):])
		}
		w := want.Choices[0]
		if text.String() != w.Message.Content || finish != w.Finish || len(log) != len(w.Log.Content) || len(log) == 0 || string(log[0]) != string(w.Log.Content[0]) {
			t.Errorf("streamed %q (%s, %d log-probabilities), want %q (%s, %d)", text.String(), finish, len(log), w.Message.Content, w.Finish, len(w.Log.Content))
		}
	}
}

func TestThinkingIsShownApart(t *testing.T) {
	s := open(t, chat.Qwen3)
	body := `{"messages":[{"role":"user","content":"x"}],"grammar":"root ::= \"never read apart <think>\""}`
	if _, answer := post(t, s, body); !strings.Contains(answer, "never read apart") {
		t.Error(answer)
	}
	h := &handler{g: model.NewGenerator(&model.Model{Net: network(t), Chat: chat.Qwen3}, model.GeneratorOptions{})}
	defer h.g.Close()
	if said := h.said(&request{}, "<think>\nhm\n</think>\n\nyes"); said.Reasoning != "hm" || said.Text != "yes" {
		t.Errorf("%+v", said)
	}
}

func network(t *testing.T) *nn.Net {
	n, err := nn.New(nn.Config{Layers: 1, Hidden: 8, Heads: 1, FFN: 8, Vocab: 8, Context: 8})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDoor(t *testing.T) {
	s := open(t, chat.ChatML)
	do := func(method, path, kind, host, body string) (int, string) {
		r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		if host != "" {
			r.Host = host
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	for _, c := range []struct {
		method, path, kind, host, body string
		status                         int
		want                           string
	}{
		{"GET", "/health", "", "", "", 200, `"ok"`},
		{"GET", "/v1/models", "", "", "", 200, `"id":"tiny"`},
		{"GET", "/health", "", "localhost:80", "", 200, "ok"},
		{"GET", "/health", "", "[::1]:80", "", 200, "ok"},
		{"GET", "/health", "", "evil.example:80", "", 403, "neither this machine"},
		{"GET", "/v1/chat/completions", "", "", "", 405, ""},
		{"POST", "/v1/else", "application/json", "", "{}", 404, ""},
		{"POST", "/v1/chat/completions", "text/plain", "", "{}", 415, "content type"},
		{"POST", "/v1/chat/completions", "application/json; charset=utf-8", "", "{}", 400, "no messages"},
		{"POST", "/v1/chat/completions", "application/json", "", strings.Repeat(" ", maxBody+1), 413, "longer than"},
	} {
		if status, body := do(c.method, c.path, c.kind, c.host, c.body); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %.200s, want %d %s", c.method, c.path, c.host, status, body, c.status, c.want)
		}
	}
}

// A model without a chat form says so.
func TestNoChatForm(t *testing.T) {
	s := open(t, nil)
	if status, body := post(t, s, `{"messages":[{"role":"user","content":"x"}]}`); status != 400 || !strings.Contains(body, "PV710") {
		t.Errorf("%d %s", status, body)
	}
}

// A client that goes away frees its slot.
func TestClientGoesAway(t *testing.T) {
	s := open(t, chat.ChatML)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/chat/completions", strings.NewReader(`{"stream":true,"temperature":1,"messages":[{"role":"user","content":"x"}],"grammar":"root ::= [a-z]*"}`))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/json")
			a, err := http.DefaultClient.Do(r)
			if err == nil {
				a.Body.Read(make([]byte, 10))
				cancel()
				a.Body.Close()
			}
		})
	}
	wg.Wait()
	if status, body := post(t, s, `{"messages":[{"role":"user","content":"x"}],"grammar":"root ::= \"ok\""}`); status != 200 {
		t.Errorf("afterwards: %d %s", status, body)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":"required","stop":["a"],"response_format":{"type":"json_object"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parse(b); err == nil && len(r.messages) == 0 {
			t.Fatal("a request without messages was taken")
		}
	})
}
