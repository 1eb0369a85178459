package mcpproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Server is a server that the proxy stands before: a command that speaks on its pipes, or an address of streamable HTTP.
type Server struct {
	// Name goes before the names of its tools. A single server may have none; its tools then keep their names.
	Name    string
	Command []string
	Env     []string // of the command; nil: that of this process
	Dir     string
	URL     string
	// Headers are sent with every request to URL. They are never logged.
	Headers http.Header
	// Stderr takes what the command says there; nil: nobody hears it.
	Stderr io.Writer
	// Transport takes the place of a command or an address, for servers in this process.
	Transport func() mcp.Transport
}

func (s *Server) check() error {
	ways := 0
	for _, given := range []bool{len(s.Command) > 0, s.URL != "", s.Transport != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return fmt.Errorf("mcpproxy: server %s: give a command or an address, and only one of them", s.label())
	}
	if s.URL != "" {
		if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("mcpproxy: server %s: %q is no http(s) address", s.label(), s.URL)
		}
	}
	return nil
}

// key is the name that pins are kept under: that of the server, or what it is where it has none.
func (s *Server) key() string {
	switch {
	case s.Name != "":
		return s.Name
	case s.URL != "":
		return s.URL
	case len(s.Command) > 0:
		return strings.Join(s.Command, " ")
	}
	return "server"
}

// label is how the server is called in messages.
func (s *Server) label() string {
	if s.Name == "" {
		return "server"
	}
	return s.Name
}

// transport makes a connection of its own.
func (s *Server) transport(p *Proxy) (mcp.Transport, error) {
	switch {
	case s.Transport != nil:
		return checked{s.Transport()}, nil
	case s.URL != "":
		// A redirect could lead the headers elsewhere.
		stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return &mcp.StreamableClientTransport{Endpoint: s.URL, MaxEventSize: p.limits.Message + 1<<16, HTTPClient: &http.Client{Transport: &checkedTripper{http.DefaultTransport, s.Headers, p.limits.Message}, CheckRedirect: stay}}, nil
	}
	return s.start(p)
}

// start starts the command. Lines of its output that are no messages are counted and passed over, up to a limit.
func (s *Server) start(p *Proxy) (mcp.Transport, error) {
	c := exec.Command(s.Command[0], s.Command[1:]...)
	c.Env, c.Dir, c.Stderr = s.Env, s.Dir, s.Stderr
	c.WaitDelay = 2 * time.Second
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	child := &child{cmd: c, in: in}
	garbage := 0
	r := &lineReader{in: bufio.NewReader(out), close: child.end, limit: p.limits.Message, accept: func(line []byte) ([]byte, error) {
		if line[0] == '{' {
			return fromServer(line)
		}
		garbage++
		p.counts.garbage.Add(1)
		if garbage > p.limits.Garbage {
			return nil, fmt.Errorf("more than %d lines are no messages [%s]", p.limits.Garbage, CodeMessage)
		}
		return nil, nil
	}}
	return &mcp.IOTransport{Reader: r, Writer: &lockedWriter{w: in, close: child.end}, MaxLineLength: -1}, nil
}

// child is a started command.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer
	once sync.Once
}

// end closes the command's standard input, which asks it to end, and makes it end where it does not.
func (c *child) end() error {
	c.once.Do(func() {
		c.in.Close()
		ended := make(chan struct{})
		go func() {
			c.cmd.Wait()
			close(ended)
		}()
		for _, s := range []os.Signal{syscall.SIGTERM, os.Kill} {
			select {
			case <-ended:
				return
			case <-time.After(grace):
				c.cmd.Process.Signal(s)
			}
		}
		<-ended
	})
	return nil
}

// grace is how long a command has to end by itself, and then after a signal.
const grace = 2 * time.Second

// upstream is one server as one session sees it.
type upstream struct {
	link   *link
	server *Server
	prefix string

	mu      sync.Mutex
	session *mcp.ClientSession
	tried   time.Time
	failed  error
	lost    bool // the connection has ended, and what the server offers now was not looked at yet
	// asking are the calls on their way, the newest last: what the server asks of the client meanwhile belongs to the newest.
	asking []*asking

	differs      map[string]bool // what is not as it was approved
	instructions string
}

// asking is a call on its way to a server.
type asking struct {
	ctx     context.Context
	session *mcp.ServerSession
}

// pause is how long a server that failed is left alone.
const pause = time.Second

// connected returns the connection, and makes one where there is none or it has ended.
func (u *upstream) connected(ctx context.Context) (*mcp.ClientSession, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.session != nil {
		return u.session, nil
	}
	if u.failed != nil && time.Since(u.tried) < pause {
		return nil, u.failed
	}
	u.tried = time.Now()
	s, err := u.connect(ctx)
	if u.failed = err; err != nil {
		u.link.p.counts.failures.Add(1)
		u.link.p.log().Warn("mcp server cannot be used", "server", u.server.label(), "error", err.Error())
		return nil, err
	}
	u.session = s
	go u.watch(s)
	return s, nil
}

// bounded is a context for what the proxy asks of the server: it ends with the one given, after a time, or with the session, and carries no values, since those that the SDK keeps in the
// context of a client's request mean something else in a request of ours.
func (u *upstream) bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithTimeout(bareContext{ctx}, d)
	stop := context.AfterFunc(u.link.ctx, cancel)
	return out, func() {
		stop()
		cancel()
	}
}

type bareContext struct{ context.Context }

// Value gives nothing.
func (bareContext) Value(any) any { return nil }

func (u *upstream) connect(ctx context.Context) (*mcp.ClientSession, error) {
	ctx, cancel := u.bounded(ctx, u.link.p.limits.Connect)
	defer cancel()
	t, err := u.server.transport(u.link.p)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w [%s]", u.server.label(), err, CodeServer)
	}
	c := mcp.NewClient(&mcp.Implementation{Name: "proviso", Version: "1"}, u.clientOptions())
	c.AddReceivingMiddleware(u.fromServer)
	s, err := c.Connect(ctx, t, nil)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be connected to: %w [%s]", u.server.label(), err, CodeServer)
	}
	return s, nil
}

// watch forgets a connection when it ends.
func (u *upstream) watch(s *mcp.ClientSession) {
	err := s.Wait()
	u.mu.Lock()
	ours := u.session == s
	if ours {
		u.session, u.lost = nil, true
	}
	u.mu.Unlock()
	if ours && u.link.ctx.Err() == nil {
		u.link.p.counts.failures.Add(1)
		u.link.p.log().Warn("mcp server has ended", "server", u.server.label(), "error", fmt.Sprint(err))
	}
	s.Close()
}

// wasLost reports whether the connection has ended since the server's list was read.
func (u *upstream) wasLost() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lost
}

func (u *upstream) close() {
	u.mu.Lock()
	s := u.session
	u.session = nil
	u.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// begin notes a call that is on its way; the function that it returns ends it.
func (u *upstream) begin(ctx context.Context, ss *mcp.ServerSession) (end func()) {
	a := &asking{ctx, ss}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asking = append(u.asking, a)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		for i, x := range u.asking {
			if x == a {
				u.asking = append(u.asking[:i], u.asking[i+1:]...)
				break
			}
		}
	}
}

// current is the call that what the server asks belongs to.
func (u *upstream) current() *asking {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := len(u.asking); n > 0 {
		return u.asking[n-1]
	}
	return nil
}

// ask sends a request to the server within the time for one answer.
func ask[R any](ctx context.Context, u *upstream, send func(ctx context.Context, s *mcp.ClientSession) (R, error)) (R, error) {
	var none R
	s, err := u.connected(ctx)
	if err != nil {
		return none, err
	}
	limit := u.link.p.limits.Call
	timed, cancel := u.bounded(ctx, limit)
	defer cancel()
	r, err := send(timed, s)
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return none, fmt.Errorf("the call was cancelled: %w", ctx.Err())
	case u.link.ctx.Err() != nil:
		return none, fmt.Errorf("the session has ended [%s]", CodeSession)
	case timed.Err() != nil:
		u.link.p.counts.failures.Add(1)
		return none, fmt.Errorf("%s did not answer within %s [%s]", u.server.label(), limit, CodeServer)
	case errors.Is(err, mcp.ErrConnectionClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return none, fmt.Errorf("%s has ended before it answered; whether it did the work is not known [%s]", u.server.label(), CodeServer)
	}
	return none, err
}
