// Package mcpproxy is the MCP door: a proxy before servers of the Model Context Protocol, for clients on pipes and over streamable HTTP, in both generations of the protocol.
//
// To a client the proxy is a server, and to servers it is a client (both of the official SDK), so that a client and a server of different generations come together. What every kind of message
// becomes is the table Messages (message.go); what it does not list is refused. Calls are decided on the bytes that are sent on, and results before the client sees them (call.go); what else is
// decided goes through the same function as a call of a tool that has the method's name. A server is connected to once per session (upstream.go), and what it shows of itself to the model is held
// against what was approved of it (pin.go). link.go ties a client's session, the guard's session and the connections together; http.go finds out whose session it is.
//
// Nothing here decides but the guard. What no rule can see does not pass unless the configuration lists it.
package mcpproxy

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy"
)

// Config is what a Proxy is made of. Guard, Policy and Servers have to be given; the zero value of everything else is the safe choice.
type Config struct {
	Guard *guard.Guard
	// Policy returns what the guard enforces at the time, so that tools which are always denied are not shown.
	Policy  func() *policy.Policy
	Servers []Server
	// Pins keeps what was approved of the servers; nil: a MemoryPins. A server of which nothing is pinned is pinned as it is first seen, unless NoFirstSight.
	Pins         Pins
	NoFirstSight bool
	// Session names the session of a client on pipes, and of clients over HTTP that name none; empty: a client on pipes gets one of its own, and one over HTTP has to name it.
	Session string
	// Caller is who a client on pipes is.
	Caller Caller
	// Pass lists kinds of content that no rule sees and that pass nevertheless, such as KindImage.
	Pass   []string
	Limits Limits
	Log    *slog.Logger // nil: nothing is logged
}

// Limits bound what a proxy takes upon itself; 0 is the default named.
type Limits struct {
	Message  int           // bytes of one message: 16 MiB
	Call     time.Duration // for one answer of a server: 10 minutes
	Connect  time.Duration // for a server to start and shake hands: 1 minute
	Tools    int           // of one server: 1,000; further ones are not shown
	Sessions int           // over HTTP at a time: 256
	Idle     time.Duration // after which a session over HTTP is closed: 1 hour
	Garbage  int           // lines on a server's standard output that are no message, after which it is given up: 1,000
	Hosts    []string      // names that this proxy is reached by over HTTP, beside localhost and addresses
}

func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		v *int
		d int
	}{{&l.Message, 16 << 20}, {&l.Tools, 1000}, {&l.Sessions, 256}, {&l.Garbage, 1000}} {
		if *n.v == 0 {
			*n.v = n.d
		}
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&l.Call, 10 * time.Minute}, {&l.Connect, time.Minute}, {&l.Idle, time.Hour}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	return l
}

// Caller is who a client is.
type Caller struct {
	// Principal parts sessions of different callers from each other.
	Principal string
	User      string   // whom the agent works for, where that is known
	Agents    []string // the agent, and those that handed the work to it
}

// Counts is what a proxy has counted since it was made, beside what its guard counts.
type Counts struct {
	Sessions int64 `json:"sessions"`
	Calls    int64 `json:"calls"`
	Refused  int64 `json:"refused"`  // messages and callers that the proxy refused itself
	Drifted  int64 `json:"drifted"`  // tools and instructions that were withheld because they differ from what was approved
	Garbage  int64 `json:"garbage"`  // lines of servers that were no messages
	Failures int64 `json:"failures"` // servers that ended, did not answer, or could not be started
	Dropped  int64 `json:"dropped"`  // messages that go nowhere
	Withheld int64 `json:"withheld"` // parts of results that no rule sees
}

type counts struct {
	sessions, calls, refused, drifted, garbage, failures, dropped, withheld atomic.Int64
}

// Proxy stands between clients and servers. All its methods may be called at the same time.
type Proxy struct {
	cfg    Config
	limits Limits
	counts counts
	stop   context.CancelFunc
	ctx    context.Context

	mu     sync.Mutex
	links  map[string]*link // over HTTP, by the session of the guard
	byID   map[string]*link // those of them with an Mcp-Session-Id
	closed bool
}

// serverName is what a server may be called: nothing in it may be taken for the separator.
var serverName = lazyregexp.New(`^[A-Za-z0-9](?:[A-Za-z0-9-]|_[A-Za-z0-9-])*$`)

// Separator stands between the name of a server and the name of a tool.
const Separator = "__"

// New makes a proxy. Servers are started when the first client comes.
func New(cfg Config) (*Proxy, error) {
	if cfg.Guard == nil || cfg.Policy == nil || len(cfg.Servers) == 0 {
		return nil, fmt.Errorf("mcpproxy: Guard, Policy and at least one of Servers have to be given")
	}
	seen := map[string]bool{}
	for i := range cfg.Servers {
		s := &cfg.Servers[i]
		switch {
		case s.Name == "" && len(cfg.Servers) > 1:
			return nil, fmt.Errorf("mcpproxy: one of several servers has no name; write NAME=COMMAND or NAME=URL")
		case s.Name != "" && (!serverName.MatchString(s.Name) || len(s.Name) > 64):
			return nil, fmt.Errorf("mcpproxy: %q is no name of a server; use letters, digits, hyphens and single underscores", s.Name)
		case seen[strings.ToLower(s.Name)]:
			return nil, fmt.Errorf("mcpproxy: two servers have the name %q; give one of them another", s.Name)
		}
		if err := s.check(); err != nil {
			return nil, err
		}
		seen[strings.ToLower(s.Name)] = true
	}
	if cfg.Pins == nil {
		cfg.Pins = &MemoryPins{}
	}
	if cfg.Log == nil {
		cfg.Log = discard
	}
	p := &Proxy{cfg: cfg, limits: cfg.Limits.withDefaults(), links: map[string]*link{}, byID: map[string]*link{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Counts returns the numbers so far.
func (p *Proxy) Counts() Counts {
	c := &p.counts
	return Counts{c.sessions.Load(), c.calls.Load(), c.refused.Load(), c.drifted.Load(), c.garbage.Load(), c.failures.Load(), c.dropped.Load(), c.withheld.Load()}
}

// Serve serves one client on a pair of pipes, one message per line, until it closes its end or the context ends. Neither end is closed by Serve.
func (p *Proxy) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	id := p.cfg.Session
	if id == "" {
		id = "mcp/" + rand.Text()
	}
	l, err := p.newLink(ctx, id, p.cfg.Caller)
	if err != nil {
		return err
	}
	defer l.close()
	none := func() error { return nil }
	w := &lockedWriter{w: out, close: none}
	r := &lineReader{in: bufio.NewReader(in), close: none, limit: p.limits.Message, accept: func(line []byte) ([]byte, error) {
		if err := fromClient(line); err != nil {
			p.counts.refused.Add(1)
			_, err = w.Write(malformed(err))
			return nil, err
		}
		return line, nil
	}}
	return l.server.Run(ctx, &mcp.IOTransport{Reader: r, Writer: w, MaxLineLength: -1})
}

// Close ends all sessions and the servers that were started for them.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	var all []*link
	for _, l := range p.links {
		all = append(all, l)
	}
	p.mu.Unlock()
	for _, l := range all {
		p.forget(l)
	}
	p.stop()
}

func (p *Proxy) log() *slog.Logger { return p.cfg.Log }

// discard takes logs that nobody wants.
var discard = slog.New(slog.DiscardHandler)
