package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso/policy/pack"
)

// scoped is a pack in which paying is granted only where the work was handed over, by an event or by a call of the tool that does it.
func scoped(t *testing.T) func(*Config) {
	t.Helper()
	tool := func(name string) string {
		return `{"type":"function","function":{"name":"` + name + `","parameters":{"type":"object","properties":{}}}}`
	}
	p, found := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: p\nversion: \"1\"\ntools: tools.json\nrules: [rules.yaml]\n")},
		"tools.json":   {Data: []byte("[" + tool("transfer") + "," + tool("finish") + "," + tool("pay") + "," + tool("erase") + "]")},
		"rules.yaml":   {Data: []byte("grants:\n  - {tools: [transfer, finish]}\nscopes:\n  refunds: {push: \"handoff('refunds')\", grants: [{tools: [pay]}]}\n  desk: {push: \"call('transfer')\", pop: \"result('finish')\", grants: [{tools: [pay]}]}\n")},
	}, ".")
	if p == nil {
		t.Fatal(found)
	}
	return func(c *Config) {
		c.Load = func(context.Context) (*Rules, error) { return &Rules{Base: []*pack.Pack{p}}, nil }
	}
}

// A scope is pushed and popped by hand-offs that a program tells of, for its session alone.
func TestHandOffs(t *testing.T) {
	door := newDoor(t, scoped(t))
	for i, step := range []struct{ session, body, want string }{
		{"s", `"tool":"pay","args":{}`, "deny"},
		{"s", `"event":{"lifecycle":{"kind":"handoff","name":"refunds"}}`, "allow"},
		{"s", `"tool":"pay","args":{}`, "allow"},
		{"other", `"tool":"pay","args":{}`, "deny"},
		{"s", `"event":{"lifecycle":{"kind":"return"}}`, "allow"},
		{"s", `"tool":"pay","args":{}`, "deny"},
	} {
		if _, out := door.decide(fmt.Sprintf(`{"session":%q,%s}`, step.session, step.body)); out["outcome"] != step.want {
			t.Errorf("step %d: %v, want %s", i+1, out, step.want)
		}
	}
}

// On the wires of model APIs work is handed over by a call, and comes back with a result: what the scope grants is offered to the model all the time, and allowed while it is on top.
func TestScopesOnEveryWire(t *testing.T) {
	each(t, func(t *testing.T, d dialect) {
		door := newDoor(t, scoped(t))
		turns := []said{{role: "user", text: "refund it"}}
		offered := []string{"transfer", "finish", "pay", "erase"}
		for i, step := range []struct {
			tool  string
			comes bool // the call reaches the caller
		}{{"pay", false}, {"transfer", true}, {"pay", true}, {"finish", true}, {"pay", false}} {
			id := fmt.Sprint("c", i)
			a := answer{uses: []use{{id, step.tool, `{}`}}}
			door.up.say(d.plain(a), d.stream(a))
			status, h, body := door.post(d.wire.Path(), d.request("m", turns, offered, i%2 == 0), HeaderSession, "s")
			g := d.read(t, status, h.Get("Content-Type"), body)
			if (len(g.uses) == 1) != step.comes {
				t.Fatalf("step %d, %s: %s", i+1, step.tool, body)
			}
			if asked := door.up.last(); !offers(asked, "pay") || offers(asked, "erase") {
				t.Errorf("step %d: the model was offered %s", i+1, asked)
			}
			if step.comes {
				turns = append(turns, said{role: "assistant", uses: a.uses}, said{role: "tool", call: id, text: "done"})
			} else {
				turns = append(turns, said{role: "assistant", text: g.text}, said{role: "user", text: "go on"})
			}
		}
	})
}

// offers reports whether a request offers a tool.
func offers(request, tool string) bool { return strings.Contains(request, `"name":"`+tool+`"`) }
