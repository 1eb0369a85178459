package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpDesk is an MCP server on its pipes, for scripts: the tools lookup and mail. MAIL is the description of mail, NOISE is printed to standard output first.
func mcpDesk() {
	if n := os.Getenv("NOISE"); n != "" {
		fmt.Println(n)
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "desk", Version: "1"}, nil)
	about := os.Getenv("MAIL")
	if about == "" {
		about = "send a mail"
	}
	answer := func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Params.Name + " got " + string(r.Params.Arguments)}}}, nil
	}
	s.AddTool(&mcp.Tool{Name: "lookup", Description: "look an account up", InputSchema: json.RawMessage(`{"type":"object","properties":{"id":{"type":"string"}}}`), Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}}, answer)
	s.AddTool(&mcp.Tool{Name: "mail", Description: about, InputSchema: json.RawMessage(`{"type":"object","properties":{"to":{"type":"string"}},"required":["to"]}`)}, answer)
	s.Run(context.Background(), &mcp.StdioTransport{})
}

// mcpCall is an MCP client for scripts. Its standard input has a line "list" or "NAME ARGUMENTS" for each request; its arguments are the command of the server, or its address.
func mcpCall() {
	ctx := context.Background()
	var t mcp.Transport
	if strings.HasPrefix(os.Args[1], "http://") {
		t = &mcp.StreamableClientTransport{Endpoint: os.Args[1]}
	} else {
		c := exec.Command(os.Args[1], os.Args[2:]...)
		c.Stderr = os.Stderr
		t = &mcp.CommandTransport{Command: c}
	}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "script", Version: "1"}, nil).Connect(ctx, t, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		name, args, _ := strings.Cut(in.Text(), " ")
		if name == "list" {
			list, err := s.ListTools(ctx, nil)
			fmt.Print("tools:")
			if err != nil {
				fmt.Print(" ", err)
			} else {
				for _, x := range list.Tools {
					fmt.Print(" ", x.Name)
				}
			}
			fmt.Println()
			continue
		}
		r, err := s.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: json.RawMessage(args)})
		if err != nil {
			fmt.Println("error:", err)
			continue
		}
		for _, c := range r.Content {
			if x, ok := c.(*mcp.TextContent); ok {
				fmt.Printf("%s: %v: %s\n", name, r.IsError, x.Text)
			}
		}
	}
	s.Close()
}

// modelTwin is a model API for scripts: whoever asks is told to call the tool of the environment variable TOOL. It writes its address to a file and stays until it is ended.
func modelTwin() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Args[1], []byte(l.Addr().String()), 0o600); err != nil {
		panic(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"m1","object":"chat.completion","created":1,"model":"twin","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":%q,"arguments":"{}"}}]}}]}`, os.Getenv("TOOL"))
	})}
	srv.Serve(l)
}

// agentTwin is an agent for scripts: it asks the model of OPENAI_BASE_URL once and prints the answer. With "wait" it waits for a signal and ends with 7, with "exit N" it ends with N at once.
func agentTwin() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "wait":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("waiting")
		<-c
		fmt.Println("ends in order")
		os.Exit(7)
	case len(os.Args) > 2 && os.Args[1] == "exit":
		var n int
		fmt.Sscan(os.Args[2], &n)
		os.Exit(n)
	}
	base := os.Getenv("OPENAI_BASE_URL")
	body := `{"model":"twin","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"erase","parameters":{"type":"object"}}},{"type":"function","function":{"name":"lookup","parameters":{"type":"object"}}}]}`
	resp, err := http.Post(base+"/chat/completions", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b, _ := io.ReadAll(resp.Body)
	fmt.Println(strings.HasPrefix(base, "http://127.0.0.1:") && strings.Contains(base, "/s/pvs_"), resp.StatusCode, string(b))
}
