package lsp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// client speaks the protocol over two pipes, as an editor does.
type client struct {
	t        *testing.T
	dir      string
	out      io.WriteCloser
	in       *bufio.Reader
	ended    chan error
	id       int
	findings map[string][]finding // the newest of each file, by name below dir
	shown    []string             // messages for the person
}

// dial starts a server on a folder with the files of an archive.
func dial(t *testing.T, archive string) *client {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	toServer, out := io.Pipe()
	in, fromServer := io.Pipe()
	c := &client{t: t, dir: dir, out: out, in: bufio.NewReader(in), ended: make(chan error, 1), findings: map[string][]finding{}}
	go func() {
		c.ended <- Serve(context.Background(), toServer, fromServer, "test")
		fromServer.Close()
	}()
	t.Cleanup(func() { out.Close(); in.Close() })
	return c
}

func (c *client) uri(name string) string { return uriOf(filepath.Join(c.dir, name)) }

func (c *client) write(m map[string]any) {
	c.t.Helper()
	b, err := json.Marshal(m)
	if err == nil {
		err = writeFrame(c.out, b)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) notify(method string, p any) {
	c.write(map[string]any{"jsonrpc": "2.0", "method": method, "params": p})
}

// next reads a message and keeps what it says of findings.
func (c *client) next() (m map[string]json.RawMessage) {
	c.t.Helper()
	type read struct {
		b   []byte
		err error
	}
	done := make(chan read, 1)
	go func() { b, err := readFrame(c.in); done <- read{b, err} }()
	select {
	case r := <-done:
		if r.err != nil {
			c.t.Fatalf("the server went away: %v", r.err)
		}
		if err := json.Unmarshal(r.b, &m); err != nil {
			c.t.Fatal(err)
		}
	case <-time.After(time.Minute):
		c.t.Fatal("the server says nothing")
	}
	var p struct {
		URI         string    `json:"uri"`
		Diagnostics []finding `json:"diagnostics"`
		Message     string    `json:"message"`
	}
	switch string(m["method"]) {
	case `"textDocument/publishDiagnostics"`:
		if err := json.Unmarshal(m["params"], &p); err != nil {
			c.t.Fatal(err)
		}
		c.findings[strings.TrimPrefix(p.URI, uriOf(c.dir)+"/")] = p.Diagnostics
	case `"window/showMessage"`:
		if err := json.Unmarshal(m["params"], &p); err != nil {
			c.t.Fatal(err)
		}
		c.shown = append(c.shown, p.Message)
	}
	return m
}

// call sends a request and waits for its answer; fault is the error of the answer.
func (c *client) call(method string, p, result any) (wrong *fault) {
	c.t.Helper()
	c.id++
	id := c.id
	go c.write(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": p})
	for {
		m := c.next()
		if string(m["id"]) != fmt.Sprint(id) {
			continue
		}
		if m["error"] != nil {
			if err := json.Unmarshal(m["error"], &wrong); err != nil {
				c.t.Fatal(err)
			}
			return wrong
		}
		if result != nil {
			if err := json.Unmarshal(m["result"], result); err != nil {
				c.t.Fatalf("%s: %v of %s", method, err, m["result"])
			}
		}
		return nil
	}
}

func (c *client) open(name string) string {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	c.openText(name, string(b))
	return string(b)
}

func (c *client) openText(name, text string) {
	c.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": c.uri(name), "languageId": "yaml", "version": 1, "text": text}})
}

// begin initializes.
func (c *client) begin() map[string]any {
	c.t.Helper()
	var result map[string]any
	if wrong := c.call("initialize", map[string]any{"processId": nil, "rootUri": uriOf(c.dir), "capabilities": map[string]any{}}, &result); wrong != nil {
		c.t.Fatal(wrong)
	}
	c.notify("initialized", map[string]any{})
	return result
}

// at is the place of the mark ‸ in a text, and the text without it.
func at(t *testing.T, text string) (string, position) {
	t.Helper()
	before, after, found := strings.Cut(text, "‸")
	if !found {
		t.Fatal("no ‸ in the text")
	}
	return before + after, position{strings.Count(before, "\n"), units(before[strings.LastIndexByte(before, '\n')+1:])}
}

// change replaces the text of an open file as a whole.
func (c *client) change(name, text string) {
	c.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": c.uri(name), "version": 2}, "contentChanges": []any{map[string]any{"text": text}}})
}

// ask sends a request about the place of the mark.
func (c *client) ask(method, name string, p position, result any) {
	c.t.Helper()
	if wrong := c.call(method, map[string]any{"textDocument": map[string]any{"uri": c.uri(name)}, "position": p}, result); wrong != nil {
		c.t.Fatal(wrong)
	}
}
