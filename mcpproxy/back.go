package mcpproxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// fromServers are the kinds of messages that servers send and what is done with each; nil: the SDK calls the handlers below, or answers itself.
var fromServers = map[string]func(u *upstream, ctx context.Context, method string, req mcp.Request, next mcp.MethodHandler) (mcp.Result, error){
	"ping":                                     nil,
	"sampling/createMessage":                   nil,
	"elicitation/create":                       nil,
	"roots/list":                               listRoots,
	"notifications/tools/list_changed":         nil,
	"notifications/prompts/list_changed":       nil,
	"notifications/resources/list_changed":     nil,
	"notifications/resources/updated":          nil,
	"notifications/progress":                   nil,
	"notifications/cancelled":                  nil,
	"notifications/message":                    dropped,
	"notifications/elicitation/complete":       dropped,
	"notifications/subscriptions/acknowledged": nil,
}

// fromServer takes every message of a server before the SDK.
func (u *upstream) fromServer(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		h, known := fromServers[method]
		switch {
		case !known:
			u.link.p.counts.refused.Add(1)
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: fmt.Sprintf("%q is not forwarded [%s]", method, CodeMessage)}
		case h == nil:
			return next(ctx, method, req)
		}
		return h(u, ctx, method, req, next)
	}
}

func dropped(u *upstream, _ context.Context, _ string, _ mcp.Request, _ mcp.MethodHandler) (mcp.Result, error) {
	u.link.p.counts.dropped.Add(1)
	return nil, nil
}

// clientOptions are the proxy's abilities as a client: those of its own client that the policy may grant.
func (u *upstream) clientOptions() *mcp.ClientOptions {
	l := u.link
	can := &mcp.ClientCapabilities{}
	if l.server == nil {
		return &mcp.ClientOptions{Capabilities: can} // nobody stands behind the proxy
	}
	o := &mcp.ClientOptions{
		Capabilities:               can,
		MultiRoundTrip:             &mcp.MultiRoundTripOptions{Disabled: true},
		ToolListChangedHandler:     func(context.Context, *mcp.ToolListChangedRequest) { l.changed() },
		PromptListChangedHandler:   func(context.Context, *mcp.PromptListChangedRequest) { l.changed() },
		ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) { l.changed() },
		ResourceUpdatedHandler: func(ctx context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			l.server.ResourceUpdated(bareContext{ctx}, &mcp.ResourceUpdatedNotificationParams{URI: r.Params.URI})
		},
		ProgressNotificationHandler: u.progressed,
	}
	if l.client.Sampling != nil && l.admits(u.prefix+ToolSample) {
		can.Sampling = &mcp.SamplingCapabilities{}
		o.CreateMessageWithToolsHandler = u.sample
	}
	if l.client.Elicitation != nil && l.admits(u.prefix+ToolElicit) {
		can.Elicitation = l.client.Elicitation
		o.ElicitationHandler = u.elicit
	}
	if l.client.RootsV2 != nil && l.admits(u.prefix+ToolRoots) {
		can.RootsV2 = &mcp.RootCapabilities{}
	}
	return o
}

// progressed tells who waits for a call how far it is: the numbers, not the text.
func (u *upstream) progressed(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
	token, _ := r.Params.ProgressToken.(string)
	l := u.link
	l.mu.Lock()
	w, ok := l.progress[token]
	l.mu.Unlock()
	if !ok {
		l.p.counts.dropped.Add(1)
		return
	}
	w.to.NotifyProgress(w.ctx, &mcp.ProgressNotificationParams{ProgressToken: w.token, Progress: r.Params.Progress, Total: r.Params.Total})
}

// asked finds out which client a request of the server is for, and in which context it is put.
func (u *upstream) asked(ctx context.Context) (context.Context, *mcp.ServerSession, error) {
	if a := u.current(); a != nil {
		return a.ctx, a.session, nil
	}
	u.link.mu.Lock()
	ss := u.link.asker
	u.link.mu.Unlock()
	if ss == nil {
		return nil, nil, refusal(CodeSession, "there is no client to ask")
	}
	return bareContext{ctx}, ss, nil
}

// sample lets the client's model answer a server, where the policy allows both. Tools for the model are refused: what it would call with them nobody could decide here.
func (u *upstream) sample(ctx context.Context, r *mcp.CreateMessageWithToolsRequest) (*mcp.CreateMessageWithToolsResult, error) {
	if len(r.Params.Tools) > 0 {
		u.link.p.counts.refused.Add(1)
		return nil, refusal(CodeUnseen, "sampling with tools is not forwarded")
	}
	return u.sampled(ctx, r.Params)
}

func (u *upstream) sampled(ctx context.Context, p *mcp.CreateMessageWithToolsParams) (out *mcp.CreateMessageWithToolsResult, err error) {
	to, ss, err := u.asked(ctx)
	if err != nil {
		return nil, err
	}
	sent := &mcp.CreateMessageWithToolsParams{MaxTokens: p.MaxTokens, SystemPrompt: p.SystemPrompt, StopSequences: p.StopSequences, Temperature: p.Temperature, ModelPreferences: p.ModelPreferences, Messages: []*mcp.SamplingMessageV2{}}
	for _, m := range p.Messages {
		_, parts := seen(m.Content, u.link.p.cfg.Pass)
		sent.Messages = append(sent.Messages, &mcp.SamplingMessageV2{Role: m.Role, Content: parts})
	}
	err = u.link.decided(ctx, u.prefix+ToolSample, sent, func(context.Context) (any, error) {
		res, err := ss.CreateMessageWithTools(to, sent)
		if err != nil {
			return nil, err
		}
		_, parts := seen(res.Content, u.link.p.cfg.Pass)
		out = &mcp.CreateMessageWithToolsResult{Role: res.Role, Model: res.Model, StopReason: res.StopReason, Content: parts}
		return out, nil
	})
	return out, err
}

// elicit has the client ask its user for a server.
func (u *upstream) elicit(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	return u.elicited(ctx, r.Params)
}

func (u *upstream) elicited(ctx context.Context, p *mcp.ElicitParams) (out *mcp.ElicitResult, err error) {
	to, ss, err := u.asked(ctx)
	if err != nil {
		return nil, err
	}
	sent := *p
	sent.Meta = nil
	err = u.link.decided(ctx, u.prefix+ToolElicit, &sent, func(context.Context) (any, error) {
		res, err := ss.Elicit(to, &sent)
		if err != nil {
			return nil, err
		}
		out = &mcp.ElicitResult{Action: res.Action, Content: res.Content}
		return out, nil
	})
	return out, err
}

// listRoots asks the client for its roots, instead of the SDK, which would tell those of the proxy.
func listRoots(u *upstream, ctx context.Context, _ string, _ mcp.Request, _ mcp.MethodHandler) (mcp.Result, error) {
	return u.roots(ctx)
}

func (u *upstream) roots(ctx context.Context) (out *mcp.ListRootsResult, err error) {
	if u.link.client.RootsV2 == nil {
		return &mcp.ListRootsResult{Roots: []*mcp.Root{}}, nil
	}
	to, ss, err := u.asked(ctx)
	if err != nil {
		return nil, err
	}
	err = u.link.decided(ctx, u.prefix+ToolRoots, struct{}{}, func(context.Context) (any, error) {
		res, err := ss.ListRoots(to, nil)
		if err != nil {
			return nil, err
		}
		out = &mcp.ListRootsResult{Roots: []*mcp.Root{}}
		for _, r := range res.Roots {
			out.Roots = append(out.Roots, &mcp.Root{URI: r.URI, Name: r.Name})
		}
		return out, nil
	})
	return out, err
}

// fulfil asks the client for what a server of the newer generation wants to know before it answers.
func (u *upstream) fulfil(ctx context.Context, wanted mcp.InputRequestMap) (mcp.InputResponseMap, error) {
	if len(wanted) == 0 {
		return nil, fmt.Errorf("%s is busy; try again later [%s]", u.server.label(), CodeServer)
	}
	out := mcp.InputResponseMap{}
	for id, w := range wanted {
		var r mcp.InputResponse
		var err error
		switch p := w.(type) {
		case *mcp.ElicitParams:
			r, err = u.elicited(ctx, p)
		case *mcp.CreateMessageWithToolsParams:
			if len(p.Tools) > 0 {
				return nil, refusal(CodeUnseen, "sampling with tools is not forwarded")
			}
			r, err = u.sampled(ctx, p)
		case *mcp.ListRootsParams:
			r, err = u.roots(ctx)
		default:
			err = refusal(CodeMessage, "an unknown kind of input is asked for")
		}
		if err != nil {
			return nil, err
		}
		out[id] = r
	}
	return out, nil
}

// release decides what a server of the newer generation wants to know, before a client of the newer generation is told. The client's answers come with its next request (answered).
func (l *link) release(ctx context.Context, u *upstream, res *mcp.CallToolResult) error {
	for id, w := range res.InputRequests {
		tool := ""
		switch p := w.(type) {
		case *mcp.ElicitParams:
			tool, p.Meta = ToolElicit, nil
		case *mcp.CreateMessageWithToolsParams:
			if len(p.Tools) > 0 {
				return refusal(CodeUnseen, "sampling with tools is not forwarded")
			}
			tool = ToolSample
		case *mcp.ListRootsParams:
			tool = ToolRoots
		default:
			return refusal(CodeMessage, "an unknown kind of input is asked for")
		}
		args, err := encoded(w)
		if err != nil {
			return err
		}
		e, err := l.do(ctx, proviso.ToolCallPoint, &proviso.ToolCall{ID: inputID(u, res.RequestState, id), Tool: u.prefix + tool, Args: args}, nil)
		if err != nil {
			return deniedRequest(e.Record)
		}
		if len(e.Record.Decision.Edits) > 0 {
			return refusal(CodeUnseen, "the policy changes what the server asks, which cannot be forwarded")
		}
	}
	return nil
}

// answered decides a client's answers to what the server asked before, as the results of those calls.
func (l *link) answered(ctx context.Context, t offered, p *mcp.CallToolParamsRaw) error {
	if t.up == nil {
		return nil
	}
	for id, r := range p.InputResponses {
		tool := ""
		switch r.(type) {
		case *mcp.ElicitResult:
			tool = ToolElicit
		case *mcp.CreateMessageWithToolsResult:
			tool = ToolSample
		case *mcp.ListRootsResult:
			tool = ToolRoots
		default:
			return refusal(CodeMessage, "an unknown kind of input is given")
		}
		b, err := encoded(r)
		if err != nil {
			return err
		}
		e, err := l.do(ctx, proviso.ToolResultPoint, &proviso.ToolResult{CallID: inputID(t.up, p.RequestState, id), Tool: t.up.prefix + tool, Content: b}, nil)
		if err != nil {
			return deniedRequest(e.Record)
		}
		if len(e.Record.Decision.Edits) > 0 {
			return refusal(CodeUnseen, "the policy changes what the client answers, which cannot be forwarded")
		}
	}
	return nil
}

// inputID ties the answer to what a server asked to the question.
func inputID(u *upstream, state, id string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", u.server.key(), state, id))
	return "input-" + hex.EncodeToString(sum[:12])
}
