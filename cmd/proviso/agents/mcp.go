package agents

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mvdan.cc/sh/v3/shell"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/mcpproxy"
	"github.com/proviso-dev/proviso/policy"
)

// MCP is `proviso mcp`.
type MCP struct {
	Run     MCPRun     `cmd:"" default:"withargs" help:"Stand before MCP servers."`
	Tools   MCPTools   `cmd:"" help:"Print what the servers offer, as the tools.json of a pack."`
	Pins    MCPPins    `cmd:"" help:"Show what servers show of themselves and how it differs from what was approved."`
	Approve MCPApprove `cmd:"" help:"Approve what servers show of themselves now."`
}

// Help is the long help of the command.
func (MCP) Help() string {
	return `Stands before MCP servers, as a server on standard input and output or with --listen over HTTP: each call is decided before it reaches a server, and each result before the agent sees it. Put it where the server's command was: proviso mcp -p PACK -- npx some-server.

Several servers are given with --server or --servers; the names of their tools then begin with the name of the server and two underscores.

What a server shows of itself when it is first seen is pinned; a tool that is new, or whose description or schema changes, is withheld until proviso mcp approve.`
}

// Servers are the flags that say which servers.
type Servers struct {
	Server  []string `help:"A server: NAME=COMMAND, or NAME=URL." placeholder:"NAME=COMMAND" sep:"none"`
	Servers string   `help:"Servers from a JSON file with mcpServers, as MCP clients have it." placeholder:"FILE"`
	Pins    string   `help:"File of what was approved; default: pins.json in the folder of data." placeholder:"FILE"`
	Command []string `arg:"" optional:"" help:"The command of a single server, behind --." passthrough:""`
}

// clientFile is the file in which MCP clients list their servers.
type clientFile struct {
	Servers map[string]clientServer `json:"mcpServers"`
}

type clientServer struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
	Cwd     string            `json:"cwd"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// list is the servers of the flags.
func (f *Servers) list(e *Env) ([]mcpproxy.Server, error) {
	var out []mcpproxy.Server
	command := f.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) > 0 {
		out = append(out, mcpproxy.Server{Command: command, Stderr: e.Stderr})
	}
	for _, s := range f.Server {
		name, what, ok := strings.Cut(s, "=")
		if !ok || name == "" || what == "" {
			return nil, diagnose(codeUsage, "write NAME=COMMAND or NAME=URL", "--server %s names no server", s)
		}
		one := mcpproxy.Server{Name: name, Stderr: e.Stderr}
		if strings.HasPrefix(what, "http://") || strings.HasPrefix(what, "https://") {
			one.URL = what
		} else if words, err := shell.Fields(what, e.Getenv); err != nil || len(words) == 0 {
			return nil, diagnose(codeUsage, "quote it as for a shell", "--server %s: the command cannot be read: %v", name, err)
		} else {
			one.Command = words
		}
		out = append(out, one)
	}
	if f.Servers != "" {
		more, err := f.file(e)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(out) == 0 {
		return nil, diagnose(codeUsage, "give a command behind --, or --server or --servers", "no server is named")
	}
	return out, nil
}

func (f *Servers) file(e *Env) ([]mcpproxy.Server, error) {
	b, err := os.ReadFile(f.Servers)
	if err != nil {
		return nil, diagnose(codeInput, "check the name and its permissions", "%s: %v", f.Servers, cause(err))
	}
	var c clientFile
	if err := proviso.DecodeStrict(b, &c); err != nil {
		return nil, diagnose(codeInput, `write {"mcpServers": {"NAME": {"command": "…", "args": []}}}`, "%s: %v", f.Servers, err)
	}
	var out []mcpproxy.Server
	for name, s := range c.Servers {
		one := mcpproxy.Server{Name: name, URL: s.URL, Dir: s.Cwd, Stderr: e.Stderr}
		if s.Command != "" {
			one.Command = append([]string{s.Command}, s.Args...)
		}
		if len(s.Env) > 0 {
			one.Env = os.Environ()
			for k, v := range s.Env {
				one.Env = append(one.Env, k+"="+v)
			}
		}
		for k, v := range s.Headers {
			if one.Headers == nil {
				one.Headers = http.Header{}
			}
			one.Headers.Set(k, v)
		}
		out = append(out, one)
	}
	return out, nil
}

func (f *Servers) pins(data string) *mcpproxy.PinFile {
	if f.Pins != "" {
		return &mcpproxy.PinFile{Path: f.Pins}
	}
	return &mcpproxy.PinFile{Path: filepath.Join(data, "pins.json")}
}

// MCPRun is `proviso mcp`.
type MCPRun struct {
	Policed
	Servers
	Session      string        `help:"Name of the session; a session of that name goes on. Over HTTP: the session of clients that name none." placeholder:"NAME"`
	Journal      string        `help:"File of the journal; default: one for each run, below mcp in the folder of data." placeholder:"FILE"`
	NoFirstSight bool          `help:"Show nothing of a server until it was approved."`
	Pass         []string      `help:"Kinds of content that no rule sees and that pass nevertheless: image, audio, blob." placeholder:"KIND"`
	CallTimeout  time.Duration `help:"How long a server may take for an answer." default:"10m"`
	Listen       string        `help:"Serve clients over HTTP at this address, at /mcp and /s/SESSION/mcp, instead of one on standard input and output." placeholder:"HOST:PORT"`
	TokenFile    string        `help:"File with the token that clients over HTTP have to send; needed on an address that others reach." placeholder:"FILE"`
	Host         []string      `help:"Names that the proxy is reached by over HTTP, beside localhost and addresses." placeholder:"NAME"`
}

// Run stands before servers until the client goes, or a signal ends it.
func (c *MCPRun) Run(e *Env) error {
	identify, err := c.callers()
	if err != nil {
		return err
	}
	servers, err := c.Servers.list(e)
	if err != nil {
		return err
	}
	if one := servers[0]; len(servers) == 1 && len(one.Command) > 0 && one.Dir == "" {
		// Of several, those that there are serve without the others.
		if _, err := exec.LookPath(one.Command[0]); err != nil {
			return diagnose(codeCommand, "check the name and the path", "%s cannot be run: %v", one.Command[0], cause(err))
		}
	}
	file := c.Journal
	if file == "" {
		// Clients start a proxy for each of their servers and windows, and a journal has one writer.
		file = filepath.Join(c.Data, "mcp", fmt.Sprintf("%s-%d.db", e.Now().UTC().Format("20060102T150405"), os.Getpid()))
	}
	s, err := c.Policed.open(e, file, time.Second)
	if err != nil {
		return err
	}
	defer s.close()
	p, err := mcpproxy.New(mcpproxy.Config{
		Guard: s.guard, Policy: func() *policy.Policy { return s.policy }, Servers: servers, Pins: c.Servers.pins(c.Data), NoFirstSight: c.NoFirstSight,
		Session: c.Session, Caller: mcpproxy.Caller{Principal: "local", User: c.User, Agents: c.Agent}, Pass: c.Pass,
		Limits: mcpproxy.Limits{Call: c.CallTimeout, Hosts: c.Host}, Log: slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{ReplaceAttr: undated})),
	})
	if err != nil {
		return diagnose(codeUsage, "see proviso mcp --help", "%s", strings.TrimPrefix(err.Error(), "mcpproxy: "))
	}
	e.Patience(20 * time.Second)
	if c.Listen != "" {
		err = c.serve(e, p, identify)
	} else {
		err = p.Serve(e.Context, e.Stdin, e.Stdout)
	}
	p.Close()
	e.Finished()
	n, g := p.Counts(), s.guard.Counts()
	sayLine(e, "proviso mcp: ", fmt.Sprintf("%d calls, %d decisions, %d not allowed; %d times something was withheld because it was not as approved; records in %s", n.Calls, g.Decisions, g.Denied, n.Drifted, s.file), 2)
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
		return diagnose(mcpproxy.CodeMessage, "look at what the client sends", "the client's messages could not be read: %v", err)
	}
	return nil
}

func undated(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// callers tells clients over HTTP apart by their token; nil: they are all one.
func (c *MCPRun) callers() (mcpproxy.Identify, error) {
	if c.Listen == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, diagnose(codeUsage, "write HOST:PORT, such as 127.0.0.1:7072", "--listen %s is no address", c.Listen)
	}
	if c.TokenFile == "" {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, diagnose(codeUsage, "give --token-file", "--listen %s can be reached by others, and nothing asks who they are", c.Listen)
		}
		who := mcpproxy.Caller{Principal: "local", User: c.User, Agents: c.Agent}
		return func(*http.Request) (mcpproxy.Caller, error) { return who, nil }, nil
	}
	b, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return nil, diagnose(codeInput, "check the name and its permissions", "%s: %v", c.TokenFile, cause(err))
	}
	token := strings.TrimSpace(string(b))
	if len(token) < 16 {
		return nil, diagnose(codeInput, "write at least 16 random characters into it", "%s: the token is too short", c.TokenFile)
	}
	who := mcpproxy.Caller{Principal: fmt.Sprintf("token:%.8x", sha256.Sum256([]byte(token))), User: c.User, Agents: c.Agent}
	return func(r *http.Request) (mcpproxy.Caller, error) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !hmac.Equal([]byte(given), []byte(token)) {
			return mcpproxy.Caller{}, errors.New("send the token as Authorization: Bearer")
		}
		return who, nil
	}, nil
}

// serve serves over HTTP until a signal.
func (c *MCPRun) serve(e *Env, p *mcpproxy.Proxy, identify mcpproxy.Identify) error {
	l, err := e.Listen(c.Listen)
	if err != nil {
		return err
	}
	srv := e.Server(p.Handler(identify))
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	e.Say("proviso mcp: http://%s/mcp", l.Addr())
	select {
	case err := <-failed:
		return err
	case <-e.Context.Done():
	}
	p.Close() // streams that stay open end with their sessions
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	srv.Shutdown(ctx)
	return srv.Close()
}
