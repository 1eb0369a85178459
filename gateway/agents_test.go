package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Requests and answers as agents and providers write them, one archive each (testdata/agents): under a policy that allows everything both pass byte for byte, and the calls are decided; under one that never allows
// one of the tools, that tool is not offered and its call does not reach the agent, while the others do.
func TestRequestsOfAgents(t *testing.T) {
	n := 0
	testkit.Archives(t, "testdata/agents/*.txtar", func(t *testing.T, a *testkit.Archive) {
		n++
		about := map[string]string{}
		text, _ := a.File("about")
		for line := range strings.Lines(string(text)) {
			key, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
			about[key] = v
		}
		request, _ := a.File("request.json")
		answer, streams := a.File("answer.sse")
		kind := "text/event-stream"
		if !streams {
			answer, _ = a.File("answer.json")
			kind = "application/json"
		}
		d := dialectOfPath(t, about["path"])
		asked, err := d.wire.Request(request)
		if err != nil {
			t.Fatal(err)
		}
		play := func(t *testing.T, denied string) (*door, string) {
			door := newDoor(t, func(c *Config) {
				p := allowAll(t, asked.Tools, denied)
				c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
			})
			door.up.answer = func(w http.ResponseWriter, r *http.Request) {
				if want, err := url.Parse(about["path"]); err != nil || r.URL.RequestURI() != want.RequestURI() {
					t.Errorf("the upstream was asked at %s", r.URL.RequestURI())
				}
				w.Header().Set("Content-Type", kind)
				w.Write(answer)
			}
			if before, ok := a.File("before.json"); ok {
				now := door.up.answer
				door.up.say(string(before), "")
				door.post(about["path"], d.request("m", hello, nil, false), HeaderSession, "one")
				door.up.answer = now
			}
			status, h, body := door.post(about["path"], string(request), HeaderSession, "one")
			if status != http.StatusOK || h.Get("Content-Type") != kind {
				t.Fatalf("%d %s %s", status, h.Get("Content-Type"), body)
			}
			return door, body
		}
		t.Run("allowed", func(t *testing.T) {
			door, body := play(t, "")
			if got := door.up.last(); got != string(request) {
				t.Errorf("the request was changed\n%s", testkit.Diff(request, []byte(got)))
			}
			if body != string(answer) {
				t.Errorf("the answer was changed\n%s", testkit.Diff(answer, []byte(body)))
			}
			if got := strings.Join(decidedCalls(door), " "); !strings.HasSuffix(got, about["calls"]) || about["calls"] == "" && got != "" {
				t.Errorf("decided were the calls %s, want %s", got, about["calls"])
			}
		})
		if about["denied"] == "" {
			return
		}
		t.Run("denied", func(t *testing.T) {
			door, body := play(t, about["denied"])
			left, err := d.wire.Request([]byte(door.up.last()))
			if err != nil {
				t.Fatal(err)
			}
			if len(left.Tools) != len(asked.Tools)-1 || len(left.Turns) != len(asked.Turns) {
				t.Errorf("%d of %d tools and %d of %d turns are left: %s", len(left.Tools), len(asked.Tools), len(left.Turns), len(asked.Turns), door.up.last())
			}
			for _, tool := range left.Tools {
				if tool.Name == about["denied"] {
					t.Errorf("%s is offered: %s", tool.Name, door.up.last())
				}
			}
			var names []string
			for _, u := range d.read(t, http.StatusOK, kind, body).uses {
				names = append(names, u.tool)
			}
			var want []string
			for _, u := range d.read(t, http.StatusOK, kind, string(answer)).uses {
				if u.tool != about["denied"] {
					want = append(want, u.tool)
				}
			}
			for line := range strings.Lines(body) {
				if strings.Contains(line, `"choices":[],`) && strings.Count(body, line) > 1 {
					t.Errorf("it is there twice: %s", line)
				}
			}
			if strings.Join(names, " ") != strings.Join(want, " ") || !strings.Contains(body, "denied") {
				t.Errorf("the agent got the calls %q, want %q\n%s", names, want, body)
			}
		})
	})
	if n < 10 {
		t.Errorf("%d agents", n)
	}
}

func dialectOfPath(t *testing.T, path string) dialect {
	t.Helper()
	for _, d := range dialects {
		if p, _, _ := strings.Cut(path, "?"); d.wire.Path() == p {
			return d
		}
	}
	t.Fatalf("no wire has the path %s", path)
	return dialect{}
}

// allowAll is a pack that grants these tools, but for one that it never allows.
func allowAll(t *testing.T, tools []wire.Tool, denied string) *pack.Pack {
	t.Helper()
	var list []any
	known := map[string]bool{}
	for _, tool := range tools {
		if known[tool.Name] {
			continue
		}
		known[tool.Name] = true
		list = append(list, m{"type": "function", "function": m{"name": tool.Name, "parameters": m{"type": "object", "additionalProperties": true}}})
	}
	rules := "grants:\n  - {tools: ['*']}\n"
	if denied != "" {
		rules += "rules:\n  - {id: never, tools: [" + denied + "], message: 'this tool is denied'}\n"
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if list == nil {
		b = []byte("[]")
	}
	p, found := pack.Load(testkit.FS(map[string][]byte{"proviso.yaml": []byte("name: open\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n"), "rules.yaml": []byte(rules), "tools.json": b}), ".")
	if p == nil || found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	return p
}

// decidedCalls are the calls that were decided, with their arguments as they came.
func decidedCalls(d *door) (out []string) {
	for _, r := range d.records("one") {
		if c, ok := r.Event.Body.(*proviso.ToolCall); ok {
			out = append(out, c.Tool+string(c.Args))
		}
	}
	return out
}
