package mcpproxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/reach"
)

// HeaderSession names the session of a request, where its path does not.
const HeaderSession = "X-Proviso-Session"

// Identify finds out who sends a request. An error refuses it.
type Identify func(r *http.Request) (Caller, error)

// Handler serves clients over streamable HTTP at /mcp and /s/NAME/mcp, in both generations of the protocol. identify tells callers apart; nil: all are one.
//
// A session of the older generation is the one that its handshake made, under an Mcp-Session-Id of the proxy; in the hands of another caller the id is as good as unknown. The newer generation has no
// sessions: there the policy's session is named by the path, by X-Proviso-Session, by the trace id of traceparent, or by the configuration, in this order, and never without the caller.
func (p *Proxy) Handler(identify Identify) http.Handler {
	serverOf := func(r *http.Request) *mcp.Server {
		if l, ok := r.Context().Value(linkKey{}).(*link); ok {
			return l.server
		}
		return nil
	}
	limit := int64(p.limits.Message)
	d := &door{p: p, identify: identify,
		older: mcp.NewStreamableHTTPHandler(serverOf, &mcp.StreamableHTTPOptions{SessionTimeout: p.limits.Idle, MaxRequestBodyBytes: limit, DisableLocalhostProtection: true}),
		newer: mcp.NewStreamableHTTPHandler(serverOf, &mcp.StreamableHTTPOptions{Stateless: true, MaxRequestBodyBytes: limit, PropagateRequestCancellation: true, DisableLocalhostProtection: true}),
	}
	go p.sweep()
	mux := http.NewServeMux()
	mux.Handle("/mcp", d)
	mux.Handle("/s/{session}/mcp", d)
	return mux
}

type linkKey struct{}

// door is the proxy over HTTP.
type door struct {
	p            *Proxy
	identify     Identify
	older, newer http.Handler
}

// refused is a request that is not served.
type refused struct {
	status int
	msg    string
}

func (e *refused) Error() string { return e.msg }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := d.serve(w, r)
	if err == nil {
		return
	}
	d.p.counts.refused.Add(1)
	status := http.StatusBadRequest
	var e *refused
	if errors.As(err, &e) {
		status = e.status
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(malformed(err))
}

func (d *door) serve(w http.ResponseWriter, r *http.Request) error {
	if msg := reach.ForeignPage(r, d.p.limits.Hosts); msg != "" {
		return &refused{http.StatusForbidden, msg + " [" + CodeCaller + "]"}
	}
	who := Caller{Principal: "local"}
	if d.identify != nil {
		var err error
		if who, err = d.identify(r); err != nil || who.Principal == "" {
			return &refused{http.StatusUnauthorized, fmt.Sprintf("the caller is not let in: %v [%s]", err, CodeCaller)}
		}
	}
	m, err := d.read(w, r)
	if err != nil {
		return err
	}
	l, fresh, err := d.p.find(r, who, m)
	if err != nil {
		return err
	}
	defer d.p.leave(l)
	r = r.WithContext(context.WithValue(r.Context(), linkKey{}, l))
	if m.newer {
		d.newer.ServeHTTP(w, r)
		return nil
	}
	d.older.ServeHTTP(w, r)
	if r.Method == http.MethodDelete || fresh && !l.hasBegun() {
		d.p.forget(l)
	}
	return nil
}

// posted is what has to be known of a request before it is served.
type posted struct {
	method string
	newer  bool
}

// read reads and checks the body of a request, and puts it back.
func (d *door) read(w http.ResponseWriter, r *http.Request) (posted, error) {
	m := posted{newer: r.Header.Get("Mcp-Protocol-Version") >= newGeneration}
	if r.Method != http.MethodPost {
		return m, nil
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(d.p.limits.Message)))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return m, &refused{http.StatusRequestEntityTooLarge, fmt.Sprintf("the message is larger than %d bytes [%s]", long.Limit, CodeMessage)}
	}
	if err != nil {
		return m, &refused{http.StatusBadRequest, "the message could not be read [" + CodeMessage + "]"}
	}
	if err := fromClient(b); err != nil {
		return m, err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	var head struct {
		Method string `json:"method"`
		Params struct {
			Meta map[string]any `json:"_meta"`
		} `json:"params"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return m, fmt.Errorf("not a message of the protocol [%s]", CodeMessage)
	}
	version, _ := head.Params.Meta[mcp.MetaKeyProtocolVersion].(string)
	m.method, m.newer = head.Method, m.newer || version >= newGeneration
	return m, nil
}

// find returns the session that a request belongs to, and makes one for a handshake or for a name that is new. The caller leaves it.
func (p *Proxy) find(r *http.Request, who Caller, m posted) (l *link, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, &refused{http.StatusServiceUnavailable, "the proxy is closing [" + CodeBusy + "]"}
	}
	name, err := sessionName(r, p.cfg.Session)
	if err != nil {
		return nil, false, err
	}
	if id := r.Header.Get("Mcp-Session-Id"); id != "" && !m.newer {
		if l = p.byID[id]; l == nil || l.caller.Principal != who.Principal {
			return nil, false, &refused{http.StatusNotFound, "session not found; begin one with initialize [" + CodeSession + "]"}
		}
		return p.enter(l), false, nil
	}
	key, mcpID := "", ""
	switch {
	case m.newer && name == "":
		return nil, false, &refused{http.StatusBadRequest, "this generation of the protocol has no sessions, and the policy needs one: name it in the path, as /s/NAME/mcp, or in " + HeaderSession + " [" + CodeSession + "]"}
	case m.newer:
		key = who.Principal + "/h:" + name
	case m.method != "initialize":
		return nil, false, &refused{http.StatusBadRequest, "a request without Mcp-Session-Id begins a session with initialize [" + CodeSession + "]"}
	default:
		mcpID = rand.Text()
		key = who.Principal + "/m:" + mcpID
	}
	if l = p.links[key]; l != nil {
		return p.enter(l), false, nil
	}
	if len(p.links) >= p.limits.Sessions {
		return nil, false, &refused{http.StatusServiceUnavailable, "there are as many sessions as are kept; come again later [" + CodeBusy + "]"}
	}
	id := key
	if name != "" {
		id = who.Principal + "/h:" + name
	}
	if l, err = p.newLink(r.Context(), id, who); err != nil {
		return nil, false, err
	}
	l.key, l.mcpID = key, mcpID
	p.links[key] = l
	if mcpID != "" {
		p.byID[mcpID] = l
	}
	return p.enter(l), true, nil
}

// enter notes a request on its way; the proxy's lock is held.
func (p *Proxy) enter(l *link) *link {
	l.busy++
	l.used = time.Now()
	return l
}

func (p *Proxy) leave(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.busy--
	l.used = time.Now()
}

// forget ends a session over HTTP.
func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	delete(p.links, l.key)
	delete(p.byID, l.mcpID)
	p.mu.Unlock()
	l.close()
}

// sweep ends sessions over HTTP that nobody uses, until the proxy is closed.
func (p *Proxy) sweep() {
	tick := time.NewTicker(max(p.limits.Idle/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case now := <-tick.C:
			var old []*link
			p.mu.Lock()
			for _, l := range p.links {
				if l.busy == 0 && now.Sub(l.used) > p.limits.Idle {
					old = append(old, l)
				}
			}
			p.mu.Unlock()
			for _, l := range old {
				p.forget(l)
			}
		}
	}
}

// sessionName is what the caller calls the session of a request, empty where it names none.
func sessionName(r *http.Request, standing string) (string, error) {
	trace := strings.Split(r.Header.Get("Traceparent"), "-")
	for _, name := range []string{r.PathValue("session"), r.Header.Get(HeaderSession)} {
		if len(name) > 256 || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return "", &refused{http.StatusBadRequest, "the name of the session is longer than 256 bytes or has control characters [" + CodeSession + "]"}
		}
		if name != "" {
			return name, nil
		}
	}
	// W3C Trace Context: version, trace id, parent id, flags.
	if len(trace) >= 4 && len(trace[1]) == 32 && strings.Trim(trace[1], "0") != "" && strings.Trim(trace[1], "0123456789abcdef") == "" {
		return "t:" + trace[1], nil
	}
	return standing, nil
}

// malformed is the answer to a message that is none.
func malformed(err error) []byte {
	b, e := proviso.AppendJSON(nil, map[string]any{"jsonrpc": "2.0", "id": nil, "error": map[string]any{"code": jsonrpc.CodeInvalidRequest, "message": err.Error()}})
	if e != nil {
		// unreachable: texts and numbers have a JSON form.
		return nil
	}
	return append(b, '\n')
}
