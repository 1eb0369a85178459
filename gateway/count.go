package gateway

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/wire"
)

// countPath counts the tokens of a request of the messages API without asking the model.
const countPath = "/v1/messages/count_tokens"

// serveCount serves countPath. What would be asked reaches the provider here as well, so all of it is decided as that of a request is, and what is forwarded is what would be forwarded there.
// Nothing of it is recorded: it is no turn of the session, and the request that follows is decided as if nobody had counted.
func (s *Server) serveCount(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Server: s, w: w, r: r, wire: anthropic.Messages, gen: s.gen.Load(), began: time.Now(), outcome: "allow", span: noSpan{}}
	x.count()
	s.counts.request("count_tokens", x.outcome, time.Since(x.began), x.upstream)
}

func (x *exchange) count() {
	free, ok := x.receive()
	defer free()
	if !ok {
		return
	}
	if d := x.peek(x.r.Context()); d != nil {
		x.error(*d)
		x.outcome = "deny"
		return
	}
	headers := forwardHeaders(x.r.Header, x.up, x.who.virtual)
	headers.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := x.gen.terms.ask(x.r.Context(), x.up, countPath+query(x.r), headers, x.body)
	x.upstream += time.Since(began)
	if err != nil {
		x.upstreamError(upstreamFailed(err))
		return
	}
	defer resp.Body.Close()
	x.counted(resp)
}

// peek decides a request as admit does, beside the session and without a record.
func (x *exchange) peek(ctx context.Context) *wire.Denial {
	conv, at, err := x.join(ctx, x.gen, &x.who, x.wire.Name())
	if err != nil {
		return notJoined(err)
	}
	defer conv.leave()
	// A guard and a memory of its own see the session as the journal has it, and are forgotten with the request.
	aside := *at
	aside.guard = &guard.Guard{Policy: at.policy, Journal: unwritten{x.cfg.Journal}, Judge: x.cfg.Judge, Clock: x.cfg.Clock, Audit: guard.BestEffort, MaxSessions: 1}
	conv.mu.Lock()
	x.conv, x.at = &conversation{id: conv.id, said: maps.Clone(conv.said)}, &aside
	conv.mu.Unlock()
	x.goesOn(ctx)
	for _, p := range x.req.Foreign {
		if !x.passes(p) {
			d := refusalBy(http.StatusForbidden, CodeForeign, "a part of the request is "+p.Kind+", which no rule sees ("+p.At+"); list it under pass to let it through")
			x.counts.foreign.Add(1)
			return &d
		}
	}
	for _, decide := range []func(context.Context) *wire.Denial{x.transcript, x.tools, x.whole} {
		if d := decide(ctx); d != nil {
			return d
		}
	}
	x.hide()
	return nil
}

// counted passes a count on: an object with a number and nothing that could be taken for an answer of a model.
func (x *exchange) counted(resp *http.Response) {
	kind, _, _ := strings.Cut(strings.ToLower(resp.Header.Get("Content-Type")), ";")
	kind = strings.TrimSpace(kind)
	if resp.StatusCode >= 400 {
		x.passError(resp, kind)
		return
	}
	b, err := limited(resp, 1<<20)
	doc, bad := wire.Decode(b)
	if _, number := doc["input_tokens"].(int64); err != nil || bad != nil || resp.StatusCode != http.StatusOK || kind != "application/json" || !number || doc["content"] != nil {
		x.upstreamError(wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream gives no count of tokens [" + CodeUpstream + "]"})
		return
	}
	passHeaders(x.w.Header(), resp.Header)
	x.head()
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(b)
}

// unwritten is a journal that is read and never written: what is appended is dropped.
type unwritten struct{ guard.Journal }

// Append drops the records.
func (unwritten) Append(context.Context, ...proviso.Record) error { return nil }
