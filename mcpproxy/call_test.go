package mcpproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// The numbers of a structured result are too large for floating point; they arrive as they were, and the fact that they supply releases the next call.
func TestResultsSupplyFactsExactly(t *testing.T) {
	everywhere(t, func(t *testing.T, f *fixture, connect func(*mcp.ClientOptions) *mcp.ClientSession) {
		s := connect(nil)
		contains(t, textIn(call(t, s, "pay", `{"id":"A1","amount":5}`)), "not decided yet", "account[A1]", "call lookup")
		r := call(t, s, "lookup", `{"id":"A1"}`)
		var records []proviso.Record
		for _, x := range f.records() {
			if x.Event.Point == proviso.ToolResultPoint {
				records = append(records, x)
			}
		}
		if len(records) != 1 || string(records[0].Event.Body.(*proviso.ToolResult).Content) != `{"owner":"Ann","number":1234567890123456789}` {
			t.Errorf("recorded %v", records)
		}
		if _, leaked := r.Meta[stash]; leaked {
			t.Error("the proxy's note about the result reached the client")
		}
		if r := call(t, s, "pay", `{"id":"A1","amount":5}`); r.IsError {
			t.Error(textIn(r))
		}
	})
}

func TestStructuredContentIsForwardedExactly(t *testing.T) {
	f := newFixture(t, nil)
	in, out := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"lookup","arguments":{"id":"A1"}}}
`), &lateBuffer{}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { done <- f.Serve(ctx, &slowEnd{in, ctx}, out) }()
	waitFor(t, func() bool { return strings.Contains(out.String(), `"id":2`) })
	contains(t, out.String(), `"structuredContent":{"owner":"Ann","number":1234567890123456789}`)
}

// slowEnd is a client that says everything at once and stays.
type slowEnd struct {
	r   *strings.Reader
	ctx context.Context
}

func (s *slowEnd) Read(p []byte) (int, error) {
	if s.r.Len() == 0 {
		<-s.ctx.Done()
	}
	return s.r.Read(p)
}

// lateBuffer collects what is written at any time.
type lateBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lateBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lateBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it did not come to that in 10 s")
}

// What is decided on is what the server gets, byte for byte; twins and duplicates are denied.
func TestArgumentsAreDecidedAsSent(t *testing.T) {
	f := newFixture(t, nil)
	s := f.pipes(nil, "2025-11-25")
	if r := call(t, s, "mail", `{"to": "a@example.com", "subject":"1.0", "body": "é< 12345678901234567"}`); r.IsError {
		t.Fatal(textIn(r))
	}
	want := `{"to":"a@example.com","subject":"1.0","body":"é< 12345678901234567"}`
	if was := f.desk.was(); len(was) != 1 || was[0] != "mail "+want {
		t.Errorf("the server got %q", was)
	}
	for _, r := range f.records() {
		if c, ok := r.Event.Body.(*proviso.ToolCall); ok && string(c.Args) != want {
			t.Errorf("decided on %s", c.Args)
		}
	}
	for _, args := range []string{`{"to":"a@example.com","to":"x@evil.org","body":"","subject":""}`, `{"to":"a@example.com","TO":"x@evil.org","body":"","subject":""}`, `{"to":"a@example.com","body":"\ud800","subject":""}`, `[]`, `{"to":"a@example.com","subject":"","body":"","extra":1}`} {
		if r := call(t, s, "mail", args); !r.IsError {
			t.Errorf("%s was allowed", args)
		}
	}
	if was := f.desk.was(); len(was) != 1 {
		t.Errorf("the server got %q", was)
	}
}

func TestResultsAreDecided(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Pass = []string{KindAudio} })
	s := f.pipes(nil, "2025-11-25")
	parts := func(parts ...mcp.Content) func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: parts, Meta: mcp.Meta{"hidden": "plutonium"}}, nil
		}
	}
	words := func(s string) mcp.Content { return &mcp.TextContent{Text: s, Meta: mcp.Meta{"hidden": "plutonium"}} }
	for _, c := range []struct {
		name    string
		answer  func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error)
		isError bool
		want    string
	}{
		{"plain", parts(words("all well")), false, `[{"type":"text","text":"all well"}]`},
		{"withheld", parts(words("the plutonium is here")), true, "That word is not used here. Clause words-1 says: “One word is not used.” Say it without the word."},
		{"redacted", parts(words("card 1234567812345678."), words("ok")), false, `[{"type":"text","text":"card [card].\nok"}]`},
		{"in a link", parts(&mcp.ResourceLink{URI: "x:1", Name: "n", Description: "plutonium"}), true, "That word is not used here"},
		{"in a resource", parts(&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "x:1", Text: "plutonium"}}), true, "That word is not used here"},
		{"a picture", parts(words("see"), &mcp.ImageContent{Data: []byte("x"), MIMEType: "image/png"}), false, `[{"type":"text","text":"see"},{"type":"text","text":"[withheld: image content, which no rule sees; PV884]"}]`},
		{"a sound that passes", parts(&mcp.AudioContent{Data: []byte("x"), MIMEType: "audio/wav"}), false, `[{"type":"audio","mimeType":"audio/wav","data":"eA=="}]`},
		{"bytes", parts(&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "x:1", Blob: []byte("x")}}), false, `[{"type":"text","text":"[withheld: blob content, which no rule sees; PV884]"}]`},
		{"only in structured content", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{words("fine")}, StructuredContent: json.RawMessage(`{"x":"plutonium"}`)}, nil
		}, true, "That word is not used here"},
		{"redacted in structured content", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{StructuredContent: json.RawMessage(`{"x":"1234567812345678"}`)}, nil
		}, false, `[{"type":"text","text":"{\"x\":\"[card]\"}"}]`},
		{"an error of the tool", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{words("no such thing")}}, nil
		}, true, "no such thing"},
		{"an error of the protocol", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, fmt.Errorf("the plutonium is missing")
		}, true, "That word is not used here"},
		{"more than is decided on", parts(words(strings.Repeat("x", 2<<20))), true, "the text has 2097152 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.desk.on("slow", c.answer)
			r := call(t, s, "slow", `{}`)
			if r.IsError != c.isError {
				t.Errorf("isError %v", r.IsError)
			}
			if c.isError {
				contains(t, textIn(r), c.want)
				return
			}
			b, err := json.Marshal(r.Content)
			if err != nil || string(b) != c.want {
				t.Errorf("got %s, want %s", b, c.want)
			}
			all, _ := json.Marshal(r)
			if strings.Contains(string(all), "plutonium") {
				t.Errorf("what no rule saw was forwarded: %s", all)
			}
		})
	}
	if n := f.Counts().Withheld; n != 2 {
		t.Errorf("%d parts counted as withheld, want 2", n)
	}
}

func TestEscalatedCallIsReleasedByApproval(t *testing.T) {
	f := newFixture(t, nil)
	s := f.pipes(nil, "2026-07-28")
	call(t, s, "lookup", `{"id":"A1"}`)
	text := textIn(call(t, s, "pay", `{"id":"A1","amount":500}`))
	contains(t, text, "waiting for a person to approve", "was asked for and waits for an answer", "Clause pay-2")
	for a, err := range f.approvals.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.approvals.Resolve(context.Background(), a.ID, proviso.Resolution{Grant: true, By: "boss", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if r := call(t, s, "pay", `{"id":"A1","amount":501}`); !r.IsError {
		t.Error("another amount was released by the approval")
	}
	if r := call(t, s, "pay", `{"id":"A1","amount":500}`); r.IsError {
		t.Error(textIn(r))
	}
	if r := call(t, s, "pay", `{"id":"A1","amount":500}`); !r.IsError {
		t.Error("the approval released a second call")
	}
}

func TestEveryMessageIsListed(t *testing.T) {
	listed := map[Sender][]string{}
	for _, m := range Messages {
		listed[m.From] = append(listed[m.From], m.Method)
		if m.Doc == "" || m.Act == "" {
			t.Errorf("%s is not described", m.Method)
		}
	}
	client, server := slices.Sorted(maps.Keys(fromClients)), slices.Sorted(maps.Keys(fromServers))
	slices.Sort(listed[FromClient])
	slices.Sort(listed[FromServer])
	if !slices.Equal(client, listed[FromClient]) {
		t.Errorf("handled of clients:\n%v\nlisted:\n%v", client, listed[FromClient])
	}
	if !slices.Equal(server, listed[FromServer]) {
		t.Errorf("handled of servers:\n%v\nlisted:\n%v", server, listed[FromServer])
	}
}

func TestUnknownMessagesAreRefused(t *testing.T) {
	f := newFixture(t, nil)
	out := &lateBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := strings.NewReader(strings.Join([]string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tasks/list","params":{}}`,
		`{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"debug"}}`,
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","Method":"ping","params":{"name":"erase"}}`,
		`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"mail","name":"erase"}}`,
		`[{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"mail"}}]`,
		`nonsense`,
		`{"jsonrpc":"2.0","id":7,"method":"ping"}`,
	}, "\n") + "\n")
	go f.Serve(ctx, &slowEnd{in, ctx}, out)
	waitFor(t, func() bool { return strings.Contains(out.String(), `"id":7`) })
	lines := out.String()
	for id, want := range map[string]string{"2": `"code":-32601`, "3": `"code":-32601`, "7": `"result":{}`} {
		found := false
		for _, line := range strings.Split(lines, "\n") {
			found = found || strings.Contains(line, `"id":`+id) && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("request %s was not answered with %s:\n%s", id, want, lines)
		}
	}
	if n := strings.Count(lines, `"code":-32600`); n != 4 {
		t.Errorf("%d messages were refused as malformed, want 4:\n%s", n, lines)
	}
	if len(f.desk.was()) > 0 {
		t.Errorf("the server was asked %v", f.desk.was())
	}
}
