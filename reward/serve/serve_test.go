package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/reward"
	"github.com/proviso-dev/proviso/world"
)

// desk is a world of one order book: get_order reads, refund pays.
type desk struct {
	Days  int64 `json:"days"`
	Total int64 `json:"total"`
	Paid  int64 `json:"paid"`
}

func (d *desk) Tools() []llm.Tool {
	object := map[string]any{"type": "object"}
	return []llm.Tool{{Name: "get_order", Description: "One order.", Args: object}, {Name: "refund", Description: "Pay an order back.", Args: object}}
}

func (d *desk) Call(_ context.Context, call proviso.ToolCall) (proviso.ToolResult, error) {
	switch call.Tool {
	case "get_order":
		return proviso.ToolResult{Content: proviso.JSON(fmt.Sprintf(`{"days":%d,"total":%d}`, d.Days, d.Total))}, nil
	case "refund":
		var args struct {
			Order  string  `json:"order_id"`
			Amount float64 `json:"amount"`
			Reason string  `json:"reason"`
		}
		if err := proviso.DecodeStrict(call.Args, &args); err != nil {
			return proviso.ToolResult{}, err
		}
		if args.Reason == "fire" {
			return proviso.ToolResult{}, errors.New("the desk is on fire")
		}
		d.Paid += int64(args.Amount)
		return proviso.ToolResult{Text: "paid"}, nil
	}
	return proviso.ToolResult{Text: "no such tool", IsError: true}, nil
}

func (d *desk) State() (json.RawMessage, error) {
	return json.RawMessage(fmt.Sprintf(`{"paid":%d}`, d.Paid)), nil
}

var desks = world.Kind{Name: "desk", Doc: "An order and a till.", Open: func(t *world.Task) (world.World, error) {
	var d desk
	return &d, json.Unmarshal(t.World, &d)
}}

const tasks = `{"id":"q1","kind":"question","policy":"refunds","prompt":[{"role":"user","content":"SECRET-PROMPT which case?"}],"gold":{"succeed":true,"answer":"Case 28","clauses":["window"]},"seed":1}
{"id":"d1","kind":"desk","policy":"refunds","prompt":[{"role":"system","content":"Policy refunds"},{"role":"user","content":"Refund O1, please."}],"world":{"days":10,"total":80},"gold":{"succeed":true,"calls":[{"tool":"refund","args":{"order_id":"O1","amount":80}}],"state":{"paid":80},"clauses":["window","look-up","large"]},"seed":1}
{"id":"d2","kind":"desk","policy":"refunds","prompt":[{"role":"user","content":"Refund O2, please."}],"world":{"days":31,"total":80},"gold":{"succeed":false,"forbidden":[{"tool":"refund","args":{"order_id":"O2","amount":80}}],"state":{"paid":0},"clauses":["window","look-up"]},"seed":2}
{"id":"odd","kind":"question","policy":"refunds","prompt":[{"role":"user","content":"?"}],"gold":{"succeed":true,"clauses":["window"]},"seed":3}
`

func compiled(t testing.TB) *policy.Policy {
	t.Helper()
	k, found := pack.Load(os.DirFS("../testdata/pack"), ".")
	p, more := policy.Compile(k)
	if p == nil {
		t.Fatal(append(found, more...))
	}
	return p
}

func config(t testing.TB) Config {
	t.Helper()
	p := compiled(t)
	spec := reward.Default()
	spec.Costs = reward.Costs{WrongAllow: 3, WrongDeny: 1}
	bench, err := reward.NewBench(spec, p)
	if err != nil {
		t.Fatal(err)
	}
	list, err := world.ReadTasks("tasks", strings.NewReader(tasks))
	if err != nil {
		t.Fatal(err)
	}
	return Config{Bench: bench, Tasks: list, Cases: reward.FromPack(p, p.Packs()[0].Tests), Kinds: []world.Kind{desks}}
}

func server(t testing.TB, cfg Config) *httptest.Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return h
}

// schemas are those that were written from the descriptions of the trainers: of a request and an answer for each path.
func schemas(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("testdata/schema/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no schemas", err)
	}
	out := map[string]*jsonschema.Schema{}
	for _, f := range files {
		sch, err := jsonschema.NewCompiler().Compile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = sch
	}
	return out
}

var random = regexp.MustCompile(`[A-Z2-7]{26}`) // names of sessions

// TestContract plays the requests of archives against one server with one client, which keeps cookies. Each line of "calls" is METHOD PATH BODY; "want" has the status and the body of each answer. A body that is answered with 200, and its answer, have to fit the schemas of its path; a request that is refused need not.
func TestContract(t *testing.T) {
	fits := schemas(t)
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		cfg := config(t)
		cfg.Mask = strings.Contains(a.Comment, "masked")
		h := server(t, cfg)
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Jar: jar}
		calls, _ := a.File("calls")
		var out bytes.Buffer
		for line := range strings.Lines(string(calls)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				fmt.Fprintln(&out, line)
				continue
			}
			method, rest, _ := strings.Cut(line, " ")
			path, body, _ := strings.Cut(rest, " ")
			req, err := http.NewRequest(method, h.URL+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "> %s\n%d %s\n", line, resp.StatusCode, bytes.TrimSpace(random.ReplaceAll(b, []byte("SESSION"))))
			name := strings.NewReplacer("/gym/", "", "/openenv/", "", "/", "").Replace(strings.Split(path, "?")[0])
			if resp.StatusCode == http.StatusOK {
				if body != "" {
					fit(t, fits, name+".request", body, line)
				}
				fit(t, fits, name+".answer", string(b), line)
			} else {
				fit(t, fits, "error", string(b), line)
			}
		}
		a.Expect(t, "want", out.Bytes())
	})
}

func fit(t *testing.T, schemas map[string]*jsonschema.Schema, name, text, line string) {
	t.Helper()
	s := schemas[name]
	if s == nil {
		return // the calls of tools have no shape but their own
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("%s: %s: %v", line, name, err)
	}
}

// The schemas notice what they are for: each refuses an answer without one of its keys.
func TestSchemasRefuse(t *testing.T) {
	fits := schemas(t)
	for name, bad := range map[string]string{
		"get_reward.answer": `{"rewards":[1],"scores":[2],"extra_logs":{}}`, "get_reward.request": `{"query":["a"],"prompts":["a"]}`, "verify.answer": `{"responses_create_params":{},"response":{}}`, "step.answer": `{"observation":{},"reward":"1","done":true}`,
		"reset.answer": `{"observation":[],"reward":null,"done":false}`, "aggregate_metrics.answer": `{"agent_metrics":{}}`, "reverify_mode.answer": `"perhaps"`, "health.answer": `{"status":"fine"}`, "schema.answer": `{"action":{}}`, "state.answer": `{"step_count":-1}`, "error": `{"reward":0}`,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil || fits[name] == nil {
			t.Fatal(name, err)
		}
		if fits[name].Validate(v) == nil {
			t.Errorf("%s accepts %s", name, bad)
		}
	}
}

func post(t testing.TB, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// What is refused names no words of the request, and nothing is logged but routes, numbers and times.
func TestNothingIsSaid(t *testing.T) {
	cfg := config(t)
	var mu sync.Mutex
	var log []Served
	cfg.Log = func(s Served) { mu.Lock(); log = append(log, s); mu.Unlock() }
	h := server(t, cfg)
	const secret = "SECRET-PROMPT"
	for _, c := range []struct{ path, body string }{
		{"/get_reward", `{"query":["SECRET-PROMPT yes"],"prompts":["SECRET-PROMPT"],"labels":["SECRET-PROMPT"]}`},
		{"/get_reward", `{"query":["x"],"prompts":["SECRET-PROMPT"],"labels":["q1"]}`},
		{"/get_reward", `{"query":["SECRET-PROMPT SECRET-PROMPT"],"prompts":["SECRET-PROMPT"],"labels":["odd"]}`},
		{"/get_reward", `{"SECRET-PROMPT`},
		{"/verify", `{"task":"q1","responses_create_params":{},"response":{"output":[{"type":"SECRET-PROMPT"}]}}`},
		{"/score", `{"task":"SECRET-PROMPT","text":"SECRET-PROMPT"}`},
		{"/score", `{"gold":{"succeed":"SECRET-PROMPT"},"text":""}`},
		{"/step", `{"action":{"SECRET-PROMPT":1},"episode_id":"SECRET-PROMPT"}`},
	} {
		status, answer := post(t, h.URL+c.path, c.body)
		if status < 400 || status > 499 {
			t.Errorf("%s %s: status %d", c.path, c.body, status)
		}
		if strings.Contains(answer, secret) {
			t.Errorf("%s: the answer says %s", c.path, answer)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(log) != 8 || log[0].Route != "/get_reward" || log[0].Status != 404 {
		t.Errorf("the log is %+v", log)
	}
}

// One request may not be too large, nor wait for ever, nor come from a page or without the key; sessions are bounded and end.
func TestBounds(t *testing.T) {
	cfg := config(t)
	cfg.MaxBody, cfg.MaxSessions, cfg.Idle, cfg.Key, cfg.Workers, cfg.Timeout = 2000, 2, time.Minute, "K", 1, 50*time.Millisecond
	now := time.Unix(1e9, 0)
	var mu sync.Mutex
	cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer K")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	const score = `{"task":"q1","text":"Case 28"}`
	for _, c := range []struct {
		name   string
		w      *httptest.ResponseRecorder
		status int
	}{
		{"good", do("POST", "/score", score), 200},
		{"no key", do("POST", "/score", score, "Authorization", ""), 401},
		{"another key", do("POST", "/score", score, "Authorization", "Bearer k"), 401},
		{"a page", do("POST", "/score", score, "Origin", "http://evil.example"), 403},
		{"a page whose name leads to this machine", do("POST", "/score", score, "Origin", "http://example.com"), 403}, // httptest names this host
		{"too large", do("POST", "/score", `{"task":"q1","text":"`+strings.Repeat("x", 3000)+`"}`), 413},
		{"a key twice", do("POST", "/score", `{"task":"q1","task":"d1","text":""}`), 400},
		{"no text", do("POST", "/score", `{"task":"q1"}`), 400},
		{"no path", do("GET", "/nowhere", ""), 404},
		{"the wrong method", do("GET", "/score", ""), 404},
		{"first session", do("POST", "/reset", `{"task":"q1"}`), 200},
		{"second session", do("POST", "/reset", `{"task":"q1"}`), 200},
		{"third session", do("POST", "/reset", `{"task":"q1"}`), 503},
	} {
		if c.w.Code != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, c.w.Code, c.status, c.w.Body)
		}
	}
	s.slots <- struct{}{} // the one worker is at work
	if w := do("POST", "/score", score); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a request that waits: status %d", w.Code)
	}
	<-s.slots
	w := do("POST", "/reset", `{"task":"q1","episode_id":"mine"}`)
	if w.Code != 503 {
		t.Errorf("sessions that nobody left: %d", w.Code)
	}
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	if w := do("POST", "/reset", `{"task":"q1","episode_id":"mine"}`); w.Code != 200 {
		t.Errorf("old sessions do not make room: %d %s", w.Code, w.Body)
	}
	if w := do("GET", "/state?episode_id=mine", ""); w.Code != 200 {
		t.Errorf("the new session: %d", w.Code)
	}
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	if w := do("GET", "/state?episode_id=mine", ""); w.Code != 404 {
		t.Errorf("a session that idled: %d", w.Code)
	}
}

// Tasks that collide, and tasks of a policy that is not at hand, are found at the start.
func TestNewRefuses(t *testing.T) {
	cfg := config(t)
	cfg.Tasks = append(cfg.Tasks, cfg.Tasks[0])
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "two tasks") {
		t.Errorf("two tasks of one id: %v", err)
	}
	if _, err := reward.NewBench(reward.Default(), compiled(t), compiled(t)); err == nil || !strings.Contains(err.Error(), "two packs") {
		t.Errorf("two packs of one name: %v", err)
	}
}

// A hundred trainers at a time get what one would get, and plays do not see each other.
func TestAtTheSameTime(t *testing.T) {
	h := server(t, config(t))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if i%2 == 0 {
				status, answer := post(t, h.URL+"/get_reward", `{"query":["p<think>[window]</think>Case 28","pCase 7"],"prompts":["p","p"],"labels":["q1","q1"]}`)
				if status != 200 || !strings.Contains(answer, `"rewards":[1,0]`) {
					t.Errorf("%d %s", status, answer)
				}
				return
			}
			jar, _ := cookiejar.New(nil)
			client := &http.Client{Jar: jar}
			last := ""
			for _, c := range [][2]string{{"/seed_session", `{"task":"d1"}`}, {"/get_order", `{"order_id":"O1"}`}, {"/refund", `{"order_id":"O1","amount":80}`}, {"/verify", `{"task":"d1","responses_create_params":{"input":[]},"response":{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Done."}]}]}}`}} {
				resp, err := client.Post(h.URL+c[0], "application/json", strings.NewReader(c[1]))
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				last = string(b)
			}
			if !strings.Contains(last, `"reward":0.75`) {
				t.Errorf("a play ends with %s", last)
			}
		})
	}
	wg.Wait()
}

// verl's and TRL's files run in Python and get what the server says; what nobody can judge raises, or is None.
func TestShims(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("skipped: python3 is not installed, and the shims are Python")
	}
	h := server(t, config(t))
	dir := t.TempDir()
	for _, s := range Shims {
		if err := os.WriteFile(filepath.Join(dir, s.Name+"_shim.py"), []byte(s.Text(h.URL+"/")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const program = `
import asyncio, json
import verl_shim, trl_shim
def ask(*args):
    try:
        out = asyncio.run(verl_shim.compute_score(*args))
        print("verl", round(out["score"], 3), round(out["acc"], 3), out["proviso_verdict"])
    except RuntimeError as e:
        print("verl", str(e)[:24])
ask("refunds", "<think>[window]</think>Case 28", "q1", None)
ask("refunds", "Case 7", "ignored", {"task": "q1"})
ask("refunds", '{"tool": "give_voucher", "args": {"amount": 1}}', json.dumps({"succeed": False, "clauses": ["voucher"]}), {"session": {"tier": "basic"}})
ask("refunds", "pay back", json.dumps({"succeed": True, "answer": "pay back"}), {"task": "of a file that the server does not have", "policy": "refunds"})
ask("refunds", "Case 28", "nobody", None)
ask("refunds", "Case 28", "odd", None)
print("trl", trl_shim.proviso_reward(["p"] * 3, ["Case 28", [{"role": "assistant", "content": "Case 7"}], "?"], task=["q1", "q1", "odd"]))
print("trl", trl_shim.proviso_reward(["p"], ["yes"], gold=[{"succeed": True, "answer": "yes"}]))
try:
    trl_shim.proviso_reward(["p"], ["yes"], task=["nobody"])
except RuntimeError as e:
    print("trl", str(e)[:18])
`
	cmd := exec.Command(python, "-c", program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*", "PYTHONDONTWRITEBYTECODE=1")
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	const want = `verl 1.0 1.0 1.0
verl 0.0 0.0 0.0
verl -3.0 0.0 0.0
verl 1.0 1.0 1.0
verl proviso: HTTP 404: {"err
verl proviso: HTTP 422: {"err
trl [0.6666666666666666, 0.0, None]
trl [1.0]
trl proviso: HTTP 404:
`
	if d := testkit.Diff([]byte(want), got); d != "" {
		t.Error(d)
	}
}
