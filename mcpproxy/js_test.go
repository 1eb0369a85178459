package mcpproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// talkative makes a desk ask its client, and tell how far it is.
func talkative(d *desk) {
	d.legacy = true
	d.on("ask", func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		res, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "how is it?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"answer": map[string]any{"type": "string"}}}})
		if err != nil {
			return nil, err
		}
		return text(fmt.Sprint("the user said ", res.Content["answer"])), nil
	})
	d.on("slow", func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: 1, Total: 2})
		time.Sleep(100 * time.Millisecond)
		return text("done"), nil
	})
}

// stdioProxy is a proxy on the pipes of this process.
func stdioProxy() {
	pk, _ := pack.Load(os.DirFS("."), "testdata/desk")
	pol, _ := policy.Compile(pk)
	d := newDesk()
	talkative(d)
	p, err := New(Config{Guard: &guard.Guard{Policy: pol, Journal: &journal.Memory{}}, Policy: func() *policy.Policy { return pol }, Servers: []Server{{Transport: d.here}}})
	if err == nil {
		err = p.Serve(context.Background(), os.Stdin, os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err)
}

// The official JavaScript client ends up with the same as the Go one, over HTTP and over pipes.
func TestJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("skipped: needs Node")
	}
	if _, err := os.Stat("clients/js/node_modules"); err != nil {
		t.Skip("skipped: needs npm ci in mcpproxy/clients/js")
	}
	f := newFixture(t, nil)
	talkative(f.desk)
	srv := httptest.NewServer(f.Handler(nil))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "clients/js/run.mjs", srv.URL+"/mcp", os.Args[0])
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs.String())
	}
	got := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var x struct {
			Step, Text string
			IsError    bool
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err, line)
		}
		got[x.Step] = fmt.Sprint(x.IsError, " ", x.Text)
	}
	for _, over := range []string{"http ", "pipes "} {
		for step, want := range map[string]string{
			"instructions":    "false Use the desk politely.",
			"tools":           "false ask lookup mail pay picture slow",
			"allowed":         "false done",
			"denied":          "true Policy: the call of mail is denied. This mail would leave the house.",
			"asked":           "false the user said fine",
			"resource":        "false content of file:///pub/a.txt",
			"resource denied": "Policy: the call of resources/read is denied.",
			"progress":        "false 1",
		} {
			if !strings.Contains(got[over+step], want) {
				t.Errorf("%s%s: got %q, want %q", over, step, got[over+step], want)
			}
		}
	}
}
