package mcpproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

func loadPolicy(t testing.TB, dir string) *policy.Policy {
	t.Helper()
	pk, found := pack.Load(os.DirFS("."), dir)
	if pk == nil || found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	pol, found := policy.Compile(pk)
	if pol == nil {
		t.Fatal(found)
	}
	return pol
}

// desk is a server of the official SDK with the tools of testdata/desk. It remembers what it was asked.
type desk struct {
	server *mcp.Server
	mu     sync.Mutex
	asked  []string
	answer map[string]func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error)
	legacy bool // speaks the older generation only
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

func newDesk() *desk {
	d := &desk{answer: map[string]func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error){}}
	d.server = mcp.NewServer(&mcp.Implementation{Name: "desk", Version: "1"}, &mcp.ServerOptions{
		Instructions:       "Use the desk politely.",
		SubscribeHandler:   func(context.Context, *mcp.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *mcp.UnsubscribeRequest) error { return nil },
		CompletionHandler: func(_ context.Context, r *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{r.Params.Argument.Value + "land"}}}, nil
		},
	})
	for _, name := range []string{"lookup", "mail", "pay", "slow", "picture", "ask", "erase", "unknown"} {
		d.add(name, "does "+name)
	}
	d.answer["lookup"] = func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{StructuredContent: json.RawMessage(`{"owner":"Ann","number":1234567890123456789}`)}, nil
	}
	d.server.AddResource(&mcp.Resource{URI: "file:///pub/a.txt", Name: "a"}, d.read)
	d.server.AddResource(&mcp.Resource{URI: "file:///etc/passwd", Name: "p"}, d.read)
	d.server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "file:///pub/{name}", Name: "pub"}, d.read)
	d.server.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: []*mcp.PromptArgument{{Name: "who"}}}, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "Greet " + r.Params.Arguments["who"]}}}}, nil
	})
	return d
}

func (d *desk) read(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	d.note("read " + r.Params.URI)
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: "content of " + r.Params.URI}}}, nil
}

func (d *desk) add(name, description string) {
	d.server.AddTool(&mcp.Tool{Name: name, Description: description, InputSchema: json.RawMessage(`{"type":"object"}`)}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		d.note(name + " " + string(r.Params.Arguments))
		d.mu.Lock()
		f := d.answer[name]
		d.mu.Unlock()
		if f == nil {
			return text("done"), nil
		}
		return f(ctx, r)
	})
}

func (d *desk) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, s)
}

func (d *desk) was() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

func (d *desk) on(name string, f func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer[name] = f
}

// here is the transport of a server in this process.
func (d *desk) here() mcp.Transport {
	a, b := mcp.NewInMemoryTransports()
	if d.legacy {
		go d.server.Run(context.Background(), older{a})
	} else {
		go d.server.Run(context.Background(), a)
	}
	return b
}

// older is a transport of servers that know the older generation only.
type older struct{ mcp.Transport }

// SupportsProtocolVersion reports whether a version is of the older generation.
func (older) SupportsProtocolVersion(v string) bool { return v < newGeneration }

// fixture is a proxy under test.
type fixture struct {
	*Proxy
	t         testing.TB
	desk      *desk
	journal   *journal.Memory
	approvals *guard.MemoryApprovals
}

func newFixture(t testing.TB, change func(*Config)) *fixture {
	t.Helper()
	pol := loadPolicy(t, "testdata/desk")
	f := &fixture{t: t, desk: newDesk(), journal: &journal.Memory{}, approvals: &guard.MemoryApprovals{}}
	cfg := Config{
		Guard:   &guard.Guard{Policy: pol, Journal: f.journal, Approvals: f.approvals},
		Policy:  func() *policy.Policy { return pol },
		Servers: []Server{{Transport: f.desk.here}},
		Session: "s",
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.Proxy, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// pipes connects a client of the official SDK to the proxy over pipes.
func (f *fixture) pipes(opt *mcp.ClientOptions, generation string) *mcp.ClientSession {
	f.t.Helper()
	fromClient, toProxy, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	fromProxy, toClient, err := os.Pipe()
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, fromClient, toClient) }()
	c := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, opt)
	s, err := c.Connect(ctx, &mcp.IOTransport{Reader: fromProxy, Writer: toProxy}, &mcp.ClientSessionOptions{ProtocolVersion: generation})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		s.Close()
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			f.t.Error("the proxy did not end with its client")
		}
		toClient.Close()
		fromClient.Close()
	})
	return s
}

// http connects a client of the official SDK to the proxy over streamable HTTP.
func (f *fixture) http(opt *mcp.ClientOptions, generation, path string) *mcp.ClientSession {
	f.t.Helper()
	srv := httptest.NewServer(f.Handler(nil))
	f.t.Cleanup(srv.Close)
	c := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, opt)
	s, err := c.Connect(context.Background(), &mcp.StreamableClientTransport{Endpoint: srv.URL + path, HTTPClient: http.DefaultClient}, &mcp.ClientSessionOptions{ProtocolVersion: generation})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { s.Close() })
	return s
}

// generations are the two generations of the protocol, by the version that a client asks for.
var generations = []string{"2025-06-18", "2025-11-25", "2026-07-28"}

// everywhere runs a test with clients of each generation on each transport.
func everywhere(t *testing.T, test func(t *testing.T, f *fixture, connect func(*mcp.ClientOptions) *mcp.ClientSession)) {
	for _, g := range generations {
		t.Run("pipes/"+g, func(t *testing.T) {
			f := newFixture(t, nil)
			test(t, f, func(o *mcp.ClientOptions) *mcp.ClientSession { return f.pipes(o, g) })
		})
		t.Run("http/"+g, func(t *testing.T) {
			f := newFixture(t, nil)
			test(t, f, func(o *mcp.ClientOptions) *mcp.ClientSession { return f.http(o, g, "/mcp") })
		})
	}
}

func call(t testing.TB, s *mcp.ClientSession, name, args string) *mcp.CallToolResult {
	t.Helper()
	r, err := s.CallTool(context.Background(), &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func textIn(r *mcp.CallToolResult) string {
	var out []string
	for _, c := range r.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			out = append(out, t.Text)
		}
	}
	return strings.Join(out, "\n")
}

func contains(t testing.TB, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q does not contain %q", got, w)
		}
	}
}

func (f *fixture) records() []proviso.Record {
	f.t.Helper()
	var out []proviso.Record
	for s, err := range f.journal.Sessions(context.Background()) {
		if err != nil {
			f.t.Fatal(err)
		}
		for r, err := range f.journal.Read(context.Background(), s, 1) {
			if err != nil {
				f.t.Fatal(err)
			}
			out = append(out, r)
		}
	}
	return out
}

func TestToolsAreListedAndCalled(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture, connect func(*mcp.ClientOptions) *mcp.ClientSession) {
		s := connect(nil)
		if got := s.InitializeResult().Instructions; got != "Use the desk politely." {
			t.Errorf("instructions %q", got)
		}
		list, err := s.ListTools(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range list.Tools {
			names = append(names, tool.Name)
		}
		if want := "[ask lookup mail pay picture slow]"; fmt.Sprint(names) != want {
			t.Errorf("tools %v, want %s: erase is never allowed, unknown is not in the pack", names, want)
		}
		r := call(t, s, "mail", `{"to": "bob@evil.org", "body": "x"}`)
		if !r.IsError {
			t.Error("a denied call is no error")
		}
		contains(t, textIn(r), "the call of mail is denied", "This mail would leave the house.", "Clause mail-1 says: “Mail goes to addresses of example.com only.”", "Ask the user for an address at example.com.")
		decision, _ := r.Meta[MetaDecision].(map[string]any)
		if decision["outcome"] != "deny" || decision["decision_id"] == nil {
			t.Errorf("decision %v", decision)
		}
		if was := f.desk.was(); len(was) > 0 {
			t.Errorf("the server was asked: %v", was)
		}
		r = call(t, s, "mail", `{"to": "bob@example.com", "body": "<x>"}`)
		if r.IsError || textIn(r) != "done" {
			t.Errorf("got %v %q", r.IsError, textIn(r))
		}
		if was, want := f.desk.was(), `[mail {"body":"<x>","subject":"(no subject)","to":"bob@example.com"}]`; fmt.Sprint(was) != want {
			t.Errorf("the server was asked %v, want %s", was, want)
		}
		contains(t, textIn(call(t, s, "erase", `{}`)), "the call of erase is denied")
		contains(t, textIn(call(t, s, "nothing", `{}`)), "the call of nothing is denied")
	})
}
