package mcpproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// handler handles one kind of message of a client; next is what the SDK does with it.
type handler func(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error)

// fromClients are the handlers of what clients send. Each is listed in Messages, which a test holds against this.
var fromClients = map[string]handler{
	"initialize":                       initialize,
	"server/discover":                  discover,
	"ping":                             pass,
	"tools/list":                       listTools,
	"tools/call":                       callTool,
	"resources/list":                   listed(ToolListResources),
	"resources/templates/list":         listed(ToolListTemplates),
	"resources/read":                   readResource,
	"resources/subscribe":              pass, // decided in link.subscribe, which the SDK calls
	"resources/unsubscribe":            pass,
	"subscriptions/listen":             begun,
	"prompts/list":                     listed(ToolListPrompts),
	"prompts/get":                      getPrompt,
	"completion/complete":              complete,
	"notifications/initialized":        pass,
	"notifications/cancelled":          pass,
	"notifications/progress":           drop,
	"notifications/roots/list_changed": drop,
}

// receive takes every message of a client before the SDK.
func (l *link) receive(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		h := fromClients[method]
		if h == nil {
			l.p.counts.refused.Add(1)
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: fmt.Sprintf("%q is not forwarded [%s]", method, CodeMessage)}
		}
		if ss, ok := req.GetSession().(*mcp.ServerSession); ok {
			l.mu.Lock()
			l.asker = ss
			l.mu.Unlock()
		}
		return h(l, ctx, method, req, next)
	}
}

// kept is how long, and for whom, a client may keep what it was shown: what is left of a list, and what was decided about a resource, is for this caller and for now.
var kept = mcp.Cacheable{CacheScope: "private"}

func pass(_ *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return next(ctx, method, req)
}

func drop(l *link, _ context.Context, _ string, _ mcp.Request, _ mcp.MethodHandler) (mcp.Result, error) {
	l.p.counts.dropped.Add(1)
	return nil, nil
}

// capable is a request that tells what the client can be asked.
type capable interface {
	ClientCapabilities() *mcp.ClientCapabilities
}

// begun makes sure that the session has begun. In the newer generation any request may be the first.
func begun(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	var can *mcp.ClientCapabilities
	if c, ok := req.(capable); ok {
		can = c.ClientCapabilities()
	}
	if err := l.ready(ctx, can); err != nil {
		return nil, err
	}
	return next(ctx, method, req)
}

func initialize(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	p, ok := req.GetParams().(*mcp.InitializeParams)
	if !ok || p == nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "initialize without parameters"}
	}
	if err := l.ready(ctx, p.Capabilities); err != nil {
		return nil, err
	}
	res, err := next(ctx, method, req)
	if r, ok := res.(*mcp.InitializeResult); ok && err == nil {
		r.Instructions = l.instructions()
	}
	return res, err
}

func discover(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	res, err := begun(l, ctx, method, req, next)
	if r, ok := res.(*mcp.DiscoverResult); ok && err == nil {
		r.Instructions = l.instructions()
	}
	return res, err
}

// listTools shows the tools that are left, after the list as a whole was decided.
func listTools(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return begun(l, ctx, method, req, func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		l.refresh(ctx)
		res, err := next(ctx, method, req)
		list, ok := res.(*mcp.ListToolsResult)
		if err != nil || !ok {
			return res, err
		}
		names := []string{}
		for _, t := range list.Tools {
			names = append(names, t.Name)
		}
		e, err := l.do(ctx, proviso.ToolListPoint, &proviso.ToolList{Tools: names}, nil)
		if err != nil {
			return nil, deniedRequest(e.Record)
		}
		return list, nil
	})
}

// callTool decides a call, asks the server, and decides what it answers.
func callTool(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return begun(l, ctx, method, req, func(ctx context.Context, _ string, req mcp.Request) (mcp.Result, error) {
		r, ok := req.(*mcp.CallToolRequest)
		if !ok || r.Params == nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "tools/call without parameters"}
		}
		l.p.counts.calls.Add(1)
		res, err := l.call(ctx, r)
		if err != nil {
			return nil, err
		}
		return res, nil
	})
}

func (l *link) call(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	t, found := l.tool(r.Params.Name)
	if found && t.up.wasLost() {
		// A server that was started again may be another one.
		l.refresh(ctx)
		t, found = l.tool(r.Params.Name)
	}
	if why := l.withheld(r.Params.Name); why != "" {
		l.p.counts.refused.Add(1)
		return failedCall("Policy: the call of " + r.Params.Name + " is denied. " + why), nil
	}
	if err := l.answered(ctx, t, r.Params); err != nil {
		return nil, err
	}
	var got callResult
	e, err := l.do(ctx, proviso.ToolCallPoint, &proviso.ToolCall{Tool: r.Params.Name, Args: compact(r.Params.Arguments)}, func(ctx context.Context, ev proviso.Event) (proviso.ToolResult, error) {
		if !found {
			return proviso.ToolResult{}, fmt.Errorf("no server offers %s [%s]", r.Params.Name, CodeTool)
		}
		params := &mcp.CallToolParams{Name: t.name, Arguments: json.RawMessage(ev.Body.(*proviso.ToolCall).Args), InputResponses: r.Params.InputResponses, RequestState: r.Params.RequestState}
		res, err := l.send(ctx, t, r, params)
		if err != nil {
			return proviso.ToolResult{}, err
		}
		if got = received(res); res.NeedsInput() {
			return proviso.ToolResult{IsError: true, Text: "the server asks for input first"}, nil
		}
		before := len(got.Content)
		out := got.event(l.p.cfg.Pass)
		l.withheldParts(before, got.Content)
		return out, nil
	})
	return l.answer(e, err, &got)
}

// answer is what the client gets of a call that was decided.
func (l *link) answer(e guard.Effect, err error, got *callResult) (*mcp.CallToolResult, error) {
	var denied *guard.DeniedError
	switch {
	case errors.As(err, &denied):
		return deniedCall(denied.Record), nil
	case err != nil && e.Result != nil:
		return failedCall(e.Result.Text), nil
	case err != nil:
		return failedCall(err.Error()), nil
	case got.CallToolResult == nil || e.Answer == nil:
		// unreachable: without an error the call ran and its result was decided.
		return failedCall("the call came to no result"), nil
	case got.NeedsInput():
		return &mcp.CallToolResult{InputRequests: got.InputRequests, RequestState: got.RequestState}, nil
	}
	notices := append(guard.NoticesFor("agent", &e.Record.Decision), guard.NoticesFor("agent", &e.Answer.Decision)...)
	return got.forward(e.Result, len(e.Answer.Decision.Edits) > 0, notices), nil
}

// withheldParts counts the parts of a result that were replaced.
func (l *link) withheldParts(n int, parts []mcp.Content) {
	for _, c := range parts[:min(n, len(parts))] {
		if t, ok := c.(*mcp.TextContent); ok && strings.HasPrefix(t.Text, "[withheld: ") {
			l.p.counts.withheld.Add(1)
		}
	}
}

// withheld says why a tool is withheld although its server offers it, empty where it is not.
func (l *link) withheld(known string) string {
	for _, u := range l.ups {
		name, ok := strings.CutPrefix(known, u.prefix)
		if !ok {
			continue
		}
		u.mu.Lock()
		differs := u.differs[name]
		u.mu.Unlock()
		if differs {
			return fmt.Sprintf("%s is not as it was approved: its name, description or schema has changed, or it is new. Do not try again; a person has to look at it with proviso mcp approve. [%s]", known, CodePin)
		}
	}
	return ""
}

// rounds is how often a server may ask for input before it answers one call.
const rounds = 10

// send asks the server. Where it asks for input first and the client cannot be answered with that (in the older generation a server asks by requests of its own), the client is asked here.
func (l *link) send(ctx context.Context, t offered, r *mcp.CallToolRequest, params *mcp.CallToolParams) (*mcp.CallToolResult, error) {
	defer t.up.begin(ctx, r.Session)()
	done := l.track(ctx, r.Session, r.Params.GetProgressToken(), func(token any) { params.SetProgressToken(token) })
	defer done()
	for range rounds {
		res, err := ask(ctx, t.up, func(ctx context.Context, s *mcp.ClientSession) (*mcp.CallToolResult, error) {
			return s.CallTool(ctx, params)
		})
		if err != nil || !res.NeedsInput() {
			return res, err
		}
		if newer(r) {
			return res, l.release(ctx, t.up, res)
		}
		next := *params
		if next.InputResponses, err = t.up.fulfil(ctx, res.InputRequests); err != nil {
			return nil, err
		}
		next.RequestState, params = res.RequestState, &next
	}
	return nil, fmt.Errorf("%s asked for input %d times and gave no answer [%s]", t.up.server.label(), rounds, CodeServer)
}

// newer reports whether a request is of the newer generation, in which servers ask in their answers.
func newer(r interface{ ProtocolVersion() string }) bool { return r.ProtocolVersion() >= newGeneration }

// newGeneration is the first version of the protocol without handshake and sessions.
const newGeneration = "2026-07-28"

// track has the client told about the progress of a call, where it wants to be: the server gets a token of the proxy's own.
func (l *link) track(ctx context.Context, to *mcp.ServerSession, token any, set func(any)) (done func()) {
	if token == nil {
		return func() {}
	}
	l.mu.Lock()
	l.tokens++
	own := "p" + strconv.Itoa(l.tokens)
	l.progress[own] = waiter{ctx, to, token}
	l.mu.Unlock()
	set(own)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.progress, own)
	}
}

// decided decides something that is no call of a tool as a call of the tool that stands for it. run does it and returns its result as the policy sees it: JSON, which has to go on unchanged.
func (l *link) decided(ctx context.Context, tool string, args any, run func(ctx context.Context) (any, error)) error {
	b, err := encoded(args)
	if err != nil {
		return refusal(CodeMessage, "%s: %v", tool, err)
	}
	e, err := l.do(ctx, proviso.ToolCallPoint, &proviso.ToolCall{Tool: tool, Args: b}, func(ctx context.Context, _ proviso.Event) (proviso.ToolResult, error) {
		v, err := run(ctx)
		if err != nil {
			return proviso.ToolResult{}, err
		}
		b, err := encoded(v)
		return proviso.ToolResult{Content: b}, err
	})
	var denied *guard.DeniedError
	switch {
	case errors.As(err, &denied):
		return deniedRequest(denied.Record)
	case err != nil && e.Result != nil && e.Answer != nil:
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: e.Result.Text}
	case err != nil:
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	case len(e.Record.Decision.Edits) > 0 || len(e.Answer.Decision.Edits) > 0:
		l.p.counts.refused.Add(1)
		return refusal(CodeUnseen, "the policy changes the arguments or the result of %s, which only calls of tools can be forwarded with", tool)
	}
	return nil
}

// encoded is a value of the SDK as canonical JSON.
func encoded(v any) (proviso.JSON, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	x, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil, err
	}
	return proviso.CanonicalJSON(x), nil
}

// listed shows a list after it was decided as the result of a call.
func listed(tool string) handler {
	return func(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (res mcp.Result, err error) {
		return begun(l, ctx, method, req, func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			l.refresh(ctx)
			var res mcp.Result
			for _, u := range l.ups {
				if !l.admits(u.prefix + tool) {
					continue
				}
				if err := l.decided(ctx, u.prefix+tool, struct{}{}, func(ctx context.Context) (any, error) {
					var err error
					res, err = next(ctx, method, req)
					return res, err
				}); err != nil {
					return nil, err
				}
			}
			if res == nil {
				l.p.counts.refused.Add(1)
				return nil, refusal(CodeTool, "the policy grants no %s", tool)
			}
			return res, nil
		})
	}
}

func readResource(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return begun(l, ctx, method, req, func(ctx context.Context, _ string, req mcp.Request) (mcp.Result, error) {
		r, ok := req.(*mcp.ReadResourceRequest)
		if !ok || r.Params == nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "resources/read without parameters"}
		}
		u, err := l.owner(r.Params.URI)
		if err != nil {
			return nil, err
		}
		var out *mcp.ReadResourceResult
		err = l.decided(ctx, u.prefix+ToolReadResource, map[string]any{"uri": r.Params.URI}, func(ctx context.Context) (any, error) {
			defer u.begin(ctx, r.Session)()
			res, err := ask(ctx, u, func(ctx context.Context, s *mcp.ClientSession) (*mcp.ReadResourceResult, error) {
				return s.ReadResource(ctx, &mcp.ReadResourceParams{URI: r.Params.URI})
			})
			if err != nil {
				return nil, err
			}
			if res.NeedsInput() {
				return nil, fmt.Errorf("the server asks for input to read a resource, which is not forwarded [%s]", CodeMessage)
			}
			out = &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{}, Cacheable: kept}
			for _, c := range res.Contents {
				texts, parts := seen([]mcp.Content{&mcp.EmbeddedResource{Resource: c}}, l.p.cfg.Pass)
				if e, ok := parts[0].(*mcp.EmbeddedResource); ok {
					out.Contents = append(out.Contents, e.Resource)
					continue
				}
				l.p.counts.withheld.Add(1)
				out.Contents = append(out.Contents, &mcp.ResourceContents{URI: c.URI, MIMEType: "text/plain", Text: joined(texts...)})
			}
			return out, nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

// owner is the server that a resource belongs to: the one that lists it, or the only one with a template that begins like it, or the only one whose resources may be read at all.
func (l *link) owner(uri string) (*upstream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u, ok := l.resources[uri]; ok && u != nil {
		return u, nil
	}
	var may, like []*upstream
	for _, u := range l.ups {
		if l.admits(u.prefix + ToolReadResource) {
			may = append(may, u)
		}
	}
	for t, u := range l.templates {
		literal, _, _ := strings.Cut(t, "{")
		if u != nil && literal != "" && strings.HasPrefix(uri, literal) {
			like = append(like, u)
		}
	}
	for _, only := range [][]*upstream{like, may} {
		if len(only) == 1 {
			return only[0], nil
		}
	}
	l.p.counts.refused.Add(1)
	return nil, refusal(CodeTool, "no server can be told that owns the resource, or the policy grants no %s", ToolReadResource)
}

func getPrompt(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return begun(l, ctx, method, req, func(ctx context.Context, _ string, req mcp.Request) (mcp.Result, error) {
		r, ok := req.(*mcp.GetPromptRequest)
		if !ok || r.Params == nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "prompts/get without parameters"}
		}
		l.mu.Lock()
		p, found := l.prompts[r.Params.Name]
		l.mu.Unlock()
		if !found {
			l.p.counts.refused.Add(1)
			return nil, refusal(CodeTool, "no server offers the prompt %s, or the policy grants no %s", r.Params.Name, ToolGetPrompt)
		}
		args := map[string]any{"name": r.Params.Name}
		if r.Params.Arguments != nil {
			args["arguments"] = r.Params.Arguments
		}
		var out *mcp.GetPromptResult
		err := l.decided(ctx, p.up.prefix+ToolGetPrompt, args, func(ctx context.Context) (any, error) {
			defer p.up.begin(ctx, r.Session)()
			res, err := ask(ctx, p.up, func(ctx context.Context, s *mcp.ClientSession) (*mcp.GetPromptResult, error) {
				return s.GetPrompt(ctx, &mcp.GetPromptParams{Name: p.name, Arguments: r.Params.Arguments})
			})
			if err != nil {
				return nil, err
			}
			if res.NeedsInput() {
				return nil, fmt.Errorf("the server asks for input to give a prompt, which is not forwarded [%s]", CodeMessage)
			}
			out = &mcp.GetPromptResult{Description: res.Description, Messages: []*mcp.PromptMessage{}}
			for _, m := range res.Messages {
				_, parts := seen([]mcp.Content{m.Content}, l.p.cfg.Pass)
				l.withheldParts(1, parts)
				out.Messages = append(out.Messages, &mcp.PromptMessage{Role: m.Role, Content: parts[0]})
			}
			return out, nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

func complete(l *link, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error) {
	return begun(l, ctx, method, req, func(ctx context.Context, _ string, req mcp.Request) (mcp.Result, error) {
		r, ok := req.(*mcp.CompleteRequest)
		if !ok || r.Params == nil || r.Params.Ref == nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "completion/complete without a reference"}
		}
		ref := *r.Params.Ref
		var u *upstream
		if ref.Name != "" {
			l.mu.Lock()
			p, found := l.prompts[ref.Name]
			l.mu.Unlock()
			if found {
				u, ref.Name = p.up, p.name
			}
		} else {
			u, _ = l.owner(ref.URI)
		}
		if u == nil {
			return nil, refusal(CodeTool, "no server offers what is to be completed, or the policy grants no %s", ToolComplete)
		}
		var out *mcp.CompleteResult
		err := l.decided(ctx, u.prefix+ToolComplete, map[string]any{"ref": r.Params.Ref, "argument": r.Params.Argument}, func(ctx context.Context) (any, error) {
			res, err := ask(ctx, u, func(ctx context.Context, s *mcp.ClientSession) (*mcp.CompleteResult, error) {
				return s.Complete(ctx, &mcp.CompleteParams{Ref: &ref, Argument: r.Params.Argument, Context: r.Params.Context})
			})
			if err != nil {
				return nil, err
			}
			out = &mcp.CompleteResult{Completion: res.Completion}
			return out.Completion, nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

// subscribe decides whether the client is told about changes of a resource, and tells the server.
func (l *link) subscribe(ctx context.Context, req *mcp.SubscribeRequest) error {
	if err := l.ready(ctx, nil); err != nil {
		return err
	}
	u, err := l.owner(req.Params.URI)
	if err != nil {
		return err
	}
	return l.decided(ctx, u.prefix+ToolSubscribe, map[string]any{"uri": req.Params.URI}, func(ctx context.Context) (any, error) {
		return ask(ctx, u, func(ctx context.Context, s *mcp.ClientSession) (struct{}, error) {
			return struct{}{}, s.Subscribe(ctx, &mcp.SubscribeParams{URI: req.Params.URI})
		})
	})
}

func (l *link) unsubscribe(ctx context.Context, req *mcp.UnsubscribeRequest) error {
	u, err := l.owner(req.Params.URI)
	if err != nil {
		return err
	}
	_, err = ask(ctx, u, func(ctx context.Context, s *mcp.ClientSession) (struct{}, error) {
		return struct{}{}, s.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: req.Params.URI})
	})
	return err
}
