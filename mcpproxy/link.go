package mcpproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy"
)

// link is one session: of the guard, of one client, and of the connections to servers that are its own.
type link struct {
	p      *Proxy
	id     string // of the guard
	caller Caller
	server *mcp.Server
	ups    []*upstream
	ctx    context.Context
	cancel context.CancelFunc

	key string // among the proxy's sessions over HTTP
	// mcpID is the Mcp-Session-Id of a session over HTTP of the older generation.
	mcpID string
	used  time.Time // guarded by the proxy
	busy  int       // requests on their way; guarded by the proxy

	stale   atomic.Bool // the lists are about to be read again
	begin   sync.Mutex  // held while the session begins
	begun   bool
	client  *mcp.ClientCapabilities // what the client can be asked; fixed when the session begins
	reading sync.Mutex              // held while the lists are read

	mu        sync.Mutex
	tools     map[string]offered // by the name that the client knows
	resources map[string]*upstream
	templates map[string]*upstream
	prompts   map[string]prompted
	told      map[string]string // what the SDK's server was given, by kind and name
	asker     *mcp.ServerSession
	progress  map[string]waiter
	tokens    int
}

// offered is a tool that the client may see.
type offered struct {
	up   *upstream
	name string // at the server
	tool *mcp.Tool
}

// prompted is a prompt that the client may see.
type prompted struct {
	up   *upstream
	name string
}

// waiter is who is told about the progress of a call.
type waiter struct {
	ctx   context.Context
	to    *mcp.ServerSession
	token any
}

func (p *Proxy) newLink(ctx context.Context, id string, c Caller) (*link, error) {
	if id == "" {
		return nil, errors.New("mcpproxy: a session needs a name")
	}
	p.counts.sessions.Add(1)
	l := &link{p: p, id: id, caller: c, tools: map[string]offered{}, told: map[string]string{}, progress: map[string]waiter{}, client: &mcp.ClientCapabilities{}}
	l.ctx, l.cancel = context.WithCancel(p.ctx)
	for i := range p.cfg.Servers {
		s := &p.cfg.Servers[i]
		u := &upstream{link: l, server: s}
		if s.Name != "" {
			u.prefix = s.Name + Separator
		}
		l.ups = append(l.ups, u)
	}
	can := &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}}
	if l.admitsAny(ToolReadResource) {
		can.Resources = &mcp.ResourceCapabilities{ListChanged: true, Subscribe: l.admitsAny(ToolSubscribe)}
	}
	if l.admitsAny(ToolGetPrompt) {
		can.Prompts = &mcp.PromptCapabilities{ListChanged: true}
	}
	if l.admitsAny(ToolComplete) {
		can.Completions = &mcp.CompletionCapabilities{}
	}
	l.server = mcp.NewServer(&mcp.Implementation{Name: "proviso", Version: "1"}, &mcp.ServerOptions{
		Capabilities:       can,
		PageSize:           max(1, p.limits.Tools) * len(l.ups),
		GetSessionID:       func() string { return l.mcpID },
		SubscribeHandler:   l.subscribe,
		UnsubscribeHandler: l.unsubscribe,
		SetCacheable:       func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { *c = kept },
	})
	l.server.AddReceivingMiddleware(l.receive)
	return l, nil
}

// hasBegun reports whether the handshake was made.
func (l *link) hasBegun() bool {
	l.begin.Lock()
	defer l.begin.Unlock()
	return l.begun
}

func (l *link) close() {
	l.cancel()
	for _, u := range l.ups {
		u.close()
	}
	l.begin.Lock()
	defer l.begin.Unlock()
	if l.begun {
		l.begun = false
		l.do(context.Background(), proviso.SessionEnd, &proviso.Lifecycle{Kind: "end"}, nil)
	}
}

// do decides one event of the session.
func (l *link) do(ctx context.Context, at proviso.Point, body proviso.Body, next guard.Next) (guard.Effect, error) {
	return l.p.cfg.Guard.Do(ctx, proviso.Event{Session: l.id, Point: at, Agents: l.caller.Agents, Body: body}, next)
}

// admits reports whether calls of a tool may ever be allowed.
func (l *link) admits(tool string) bool {
	p := l.p.cfg.Policy()
	return p != nil && p.Standing(tool, l.caller.Agents) != policy.Never
}

func (l *link) admitsAny(tool string) bool {
	return slices.ContainsFunc(l.ups, func(u *upstream) bool { return l.admits(u.prefix + tool) })
}

// ready begins the session: the guard is told, and the servers are connected to with those abilities of the client that the policy admits.
// A server that cannot be used is left out; it is tried again when one of its tools is called.
func (l *link) ready(ctx context.Context, can *mcp.ClientCapabilities) error {
	l.begin.Lock()
	defer l.begin.Unlock()
	if l.begun {
		return nil
	}
	if l.ctx.Err() != nil {
		return refusal(CodeSession, "the session has ended")
	}
	denied, err := l.p.cfg.Guard.Start(ctx, l.id, l.caller.Agents, &proviso.Lifecycle{Kind: "start", User: l.caller.User})
	if err != nil {
		return refusal(CodeSession, "the session cannot begin: %v", err)
	}
	if denied != nil {
		return deniedRequest(denied)
	}
	if can != nil {
		l.client = can
	}
	l.begun = true
	l.refresh(ctx)
	return nil
}

// refresh reads what the servers offer, holds it against the pins, and tells the client where it has changed.
func (l *link) refresh(ctx context.Context) {
	l.reading.Lock()
	defer l.reading.Unlock()
	tools, prompts := map[string]offered{}, map[string]prompted{}
	resources, templates := map[string]*upstream{}, map[string]*upstream{}
	var wg sync.WaitGroup
	lists := make([]*listing, len(l.ups))
	for i, u := range l.ups {
		wg.Go(func() { lists[i] = u.list(ctx) })
	}
	wg.Wait()
	var shown features
	for i, u := range l.ups {
		for name, t := range lists[i].tools {
			known := u.prefix + name
			tools[known] = offered{u, name, t}
			shown.tool(known, t)
		}
		for _, p := range lists[i].prompts {
			known := u.prefix + p.Name
			prompts[known] = prompted{u, p.Name}
			shown.prompt(known, p)
		}
		for _, r := range lists[i].resources {
			shown.resource(resources, u, r)
		}
		for _, t := range lists[i].templates {
			shown.template(templates, u, t)
		}
	}
	l.mu.Lock()
	l.tools, l.prompts, l.resources, l.templates = tools, prompts, resources, templates
	told := l.told
	l.told = shown.texts
	l.mu.Unlock()
	shown.tell(l.server, told)
}

// changed has the lists read again. A server that says so all the time has them read one time after another, not many at a time.
func (l *link) changed() {
	if l.stale.Swap(true) {
		return
	}
	go func() {
		l.reading.Lock()
		l.stale.Store(false)
		l.reading.Unlock()
		l.refresh(l.ctx)
	}()
}

// tool returns what the client knows by a name.
func (l *link) tool(name string) (offered, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.tools[name]
	return t, ok
}

// instructions are those of the servers, each under its name.
func (l *link) instructions() string {
	var parts []string
	for _, u := range l.ups {
		u.mu.Lock()
		text := u.instructions
		u.mu.Unlock()
		if text == "" {
			continue
		}
		if u.server.Name != "" {
			text = u.server.Name + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n\n")
}

// listing is what a server offers, without what the policy never allows and what was not approved.
type listing struct {
	tools     map[string]*mcp.Tool
	prompts   []*mcp.Prompt
	resources []*mcp.Resource
	templates []*mcp.ResourceTemplate
}

// toolName is what a tool may be called, so that no two names look alike.
var toolName = lazyregexp.New(`^[A-Za-z0-9_./-]{1,128}$`)

// list reads what the server offers.
func (u *upstream) list(ctx context.Context) *listing {
	out := &listing{}
	surface, err := u.surface(ctx)
	if err == nil {
		out.tools, err = u.approved(ctx, &surface)
	}
	if err != nil {
		u.link.p.log().Warn("mcp server shows nothing", "server", u.server.label(), "error", err.Error())
		return out
	}
	if u.link.admits(u.prefix+ToolGetPrompt) && u.link.admits(u.prefix+ToolListPrompts) {
		out.prompts, _ = pages(ctx, u, u.link.p.limits.Tools, func(ctx context.Context, s *mcp.ClientSession, cursor string) ([]*mcp.Prompt, string, error) {
			r, err := s.ListPrompts(ctx, &mcp.ListPromptsParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return r.Prompts, r.NextCursor, nil
		})
	}
	if u.link.admits(u.prefix + ToolReadResource) {
		if u.link.admits(u.prefix + ToolListResources) {
			out.resources, _ = pages(ctx, u, u.link.p.limits.Tools, func(ctx context.Context, s *mcp.ClientSession, cursor string) ([]*mcp.Resource, string, error) {
				r, err := s.ListResources(ctx, &mcp.ListResourcesParams{Cursor: cursor})
				if err != nil {
					return nil, "", err
				}
				return r.Resources, r.NextCursor, nil
			})
		}
		if u.link.admits(u.prefix + ToolListTemplates) {
			out.templates, _ = pages(ctx, u, u.link.p.limits.Tools, func(ctx context.Context, s *mcp.ClientSession, cursor string) ([]*mcp.ResourceTemplate, string, error) {
				r, err := s.ListResourceTemplates(ctx, &mcp.ListResourceTemplatesParams{Cursor: cursor})
				if err != nil {
					return nil, "", err
				}
				return r.ResourceTemplates, r.NextCursor, nil
			})
		}
	}
	return out
}

// surface reads what the server shows of itself to a model.
func (u *upstream) surface(ctx context.Context) (Surface, error) {
	s, err := u.connected(ctx)
	if err != nil {
		return Surface{}, err
	}
	var tools []*mcp.Tool
	init := s.InitializeResult()
	if init.Capabilities != nil && init.Capabilities.Tools != nil {
		tools, err = pages(ctx, u, u.link.p.limits.Tools, func(ctx context.Context, s *mcp.ClientSession, cursor string) ([]*mcp.Tool, string, error) {
			r, err := s.ListTools(ctx, &mcp.ListToolsParams{Cursor: cursor})
			if err != nil {
				return nil, "", err
			}
			return r.Tools, r.NextCursor, nil
		})
		if err != nil {
			return Surface{}, err
		}
	}
	return surfaceOf(u.server.key(), init.Instructions, tools)
}

// approved returns the tools of a surface that the client may see: pinned as they are, of a usable name, and not always denied. It notes the instructions where they are pinned.
func (u *upstream) approved(ctx context.Context, s *Surface) (map[string]*mcp.Tool, error) {
	p := u.link.p
	pins, known, err := p.cfg.Pins.Get(ctx, s.Server)
	if err == nil && !known && !p.cfg.NoFirstSight {
		if err = s.Approve(ctx, p.cfg.Pins, FirstSight, time.Now()); err == nil {
			pins, _, err = p.cfg.Pins.Get(ctx, s.Server)
			p.log().Info("mcp server pinned as it was first seen", "server", u.server.label(), "parts", len(pins))
		}
	}
	if err != nil {
		return nil, err
	}
	differs := map[string]bool{}
	for _, d := range s.Differ(pins) {
		if d.Kind == DriftGone {
			continue
		}
		differs[d.Name] = true
		p.counts.drifted.Add(1)
		p.log().Warn("withheld: not as it was approved; see proviso mcp approve", "server", u.server.label(), "name", d.Name, "kind", string(d.Kind), "code", CodePin)
	}
	for _, name := range s.Twice {
		p.log().Warn("withheld: the server offers two tools of this name", "server", u.server.label(), "name", name, "code", CodeTool)
	}
	u.mu.Lock()
	u.differs, u.lost = differs, false
	u.instructions = ""
	if !differs[Instructions] {
		u.instructions = s.instructions
	}
	u.mu.Unlock()
	out := map[string]*mcp.Tool{}
	for name, t := range s.tools {
		known := u.prefix + name
		switch {
		case differs[name], !u.link.admits(known):
		case !toolName.MatchString(known), reserved(name):
			p.log().Warn("withheld: no usable name for a tool", "server", u.server.label(), "name", fmt.Sprintf("%q", name), "code", CodeTool)
		default:
			out[name] = t
		}
	}
	return out, nil
}

// reserved reports whether a name is one by which policies decide something else.
func reserved(name string) bool {
	return slices.ContainsFunc(Messages, func(m Message) bool { return m.Tool == name })
}

// pages reads all pages of a list, up to a limit. A server that repeats a page is given up.
func pages[T any](ctx context.Context, u *upstream, limit int, page func(ctx context.Context, s *mcp.ClientSession, cursor string) ([]T, string, error)) ([]T, error) {
	var out []T
	seen := map[string]bool{}
	type one struct {
		items []T
		next  string
	}
	for cursor := ""; ; {
		p, err := ask(ctx, u, func(ctx context.Context, s *mcp.ClientSession) (one, error) {
			items, next, err := page(ctx, s, cursor)
			return one{items, next}, err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, p.items...)
		if cursor = p.next; len(out) >= limit || cursor == "" || seen[cursor] {
			return out[:min(len(out), limit)], nil
		}
		seen[cursor] = true
	}
}

// features is what the SDK's server is to show.
type features struct {
	texts map[string]string
	adds  map[string]func(*mcp.Server)
}

func (f *features) add(kind, name string, shown any, add func(*mcp.Server)) {
	b, err := json.Marshal(shown)
	if err != nil {
		return // nothing that came as JSON fails to become JSON
	}
	if f.texts == nil {
		f.texts, f.adds = map[string]string{}, map[string]func(*mcp.Server){}
	}
	f.texts[kind+name], f.adds[kind+name] = string(b), add
}

// The kinds of features, as the first byte of their keys.
const (
	kindTool     = "t"
	kindPrompt   = "p"
	kindResource = "r"
	kindTemplate = "m"
)

func (f *features) tool(name string, t *mcp.Tool) {
	shown := *t
	shown.Name = name
	f.add(kindTool, name, &shown, func(s *mcp.Server) { s.AddTool(&shown, nil) })
}

func (f *features) prompt(name string, p *mcp.Prompt) {
	shown := *p
	shown.Name, shown.Meta = name, nil
	f.add(kindPrompt, name, &shown, func(s *mcp.Server) { s.AddPrompt(&shown, nil) })
}

// resource shows a resource. A URI that two servers offer belongs to neither.
func (f *features) resource(of map[string]*upstream, u *upstream, r *mcp.Resource) {
	if at, err := url.Parse(r.URI); err != nil || !at.IsAbs() {
		return
	}
	if other, twice := of[r.URI]; twice && other != u {
		of[r.URI] = nil
		delete(f.texts, kindResource+r.URI)
		return
	}
	of[r.URI] = u
	shown := *r
	shown.Meta = nil
	f.add(kindResource, r.URI, &shown, func(s *mcp.Server) { s.AddResource(&shown, nil) })
}

func (f *features) template(of map[string]*upstream, u *upstream, t *mcp.ResourceTemplate) {
	if other, twice := of[t.URITemplate]; twice && other != u {
		of[t.URITemplate] = nil
		delete(f.texts, kindTemplate+t.URITemplate)
		return
	}
	of[t.URITemplate] = u
	shown := *t
	shown.Meta = nil
	f.add(kindTemplate, t.URITemplate, &shown, func(s *mcp.Server) { s.AddResourceTemplate(&shown, nil) })
}

// tell brings the SDK's server from what it was told to what is shown now; it tells its clients what has changed.
func (f *features) tell(s *mcp.Server, told map[string]string) {
	remove := map[string]func(...string){kindTool: s.RemoveTools, kindPrompt: s.RemovePrompts, kindResource: s.RemoveResources, kindTemplate: s.RemoveResourceTemplates}
	for key := range told {
		if _, ok := f.texts[key]; !ok {
			remove[key[:1]](key[1:])
		}
	}
	for key, text := range f.texts {
		if told[key] != text && !safely(func() { f.adds[key](s) }) {
			delete(f.texts, key)
		}
	}
}

// safely reports whether f came to its end: the SDK panics at definitions that it does not take, such as a tool whose input is no object.
func safely(f func()) (ok bool) {
	defer func() { ok = recover() == nil }()
	f()
	return
}
