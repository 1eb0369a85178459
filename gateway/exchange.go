package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm/wire"
)

// exchange is the way of one request of a model API.
type exchange struct {
	*Server
	w    http.ResponseWriter
	r    *http.Request
	wire wire.Wire
	gen  *generation
	who  identity
	conv *conversation
	at   *bound
	up   *Upstream
	span Span

	req  *wire.Request
	body []byte // what is forwarded: the bytes that came, with the edits made
	owed *owed
	gone map[string]bool // entries of tools that are not forwarded, by their pointers

	began    time.Time
	upstream time.Duration // spent waiting for the upstream
	tokens   tokens
	last     string         // the id of the newest decision
	outcome  string         // for the log
	denied   map[digest]int // what was denied in this request, and how often in the session
}

// model serves one wire.
func (s *Server) model(w wire.Wire) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		gen := s.gen.Load()
		leave, ok := s.enter(gen)
		if !ok {
			busy(rw, w, "too many requests are on their way; come again")
			return
		}
		defer leave()
		x := &exchange{Server: s, w: rw, r: r, wire: w, gen: gen, began: time.Now(), outcome: "allow"}
		x.traced(func() { x.serve() })
		s.counts.request(w.Name(), x.outcome, time.Since(x.began), x.upstream)
	})
}

func (x *exchange) traced(f func()) {
	x.span = noSpan{}
	t := x.cfg.Telemetry.Trace
	if t == nil {
		f()
		return
	}
	ctx, span := t.Start(x.r, "chat "+x.wire.Name())
	x.r, x.span = x.r.WithContext(ctx), span
	f()
	x.span.Set("proviso.outcome", x.outcome)
	x.span.Set("proviso.session", x.who.session)
	x.span.Set("proviso.decision_id", x.last)
	x.span.Set("gen_ai.operation.name", "chat")
	x.span.Set("gen_ai.conversation.id", x.who.session)
	if x.at != nil {
		x.span.Set("proviso.policy", x.at.policy.Digest())
	}
	if x.up != nil {
		x.span.Set("gen_ai.provider.name", x.up.Name)
	}
	if len(x.who.agents) > 0 {
		x.span.Set("gen_ai.agent.name", x.who.agents[0])
	}
	x.tokens.tell(x.span)
	failure := ""
	if x.outcome != "allow" {
		failure = x.outcome
	}
	x.span.End(failure)
}

// serve goes the way; what it writes is whole.
func (x *exchange) serve() {
	free, ok := x.receive()
	defer free()
	if !ok {
		return
	}
	ctx := x.r.Context()
	if d := x.admit(ctx); d != nil {
		x.deny(*d)
		return
	}
	x.forward(ctx)
}

// receive learns who asks, reads the request and finds its upstream. Where one of these fails the answer is written and ok is false. free gives back what the body took of the memory for bodies; it is never nil.
func (x *exchange) receive() (free func(), ok bool) {
	free = func() {}
	var err error
	if x.who, err = x.identify(x.r, x.gen); err != nil {
		x.counts.refused.Add(1)
		x.error(wire.Denial{Status: http.StatusUnauthorized, Code: "unauthorized", Text: err.Error() + " [" + CodeCaller + "]"})
		return free, false
	}
	if x.body, free, err = x.Server.body(x.w, x.r, x.gen); err != nil {
		x.badBody(err)
		return free, false
	}
	if x.req, err = x.wire.Request(x.body); err != nil {
		x.error(wire.Denial{Status: http.StatusBadRequest, Code: "invalid_request", Text: err.Error()})
		return free, false
	}
	x.span.Set("gen_ai.request.model", x.req.Model)
	if x.up = x.gen.terms.upstream(x.wire, x.req.Model); x.up == nil {
		x.error(wire.Denial{Status: http.StatusNotFound, Code: "no_route", Text: "no upstream is configured for this model on this API [" + CodeNoRoute + "]"})
		return free, false
	}
	return free, true
}

func (x *exchange) badBody(err error) {
	var bad *badBody
	if !errors.As(err, &bad) {
		bad = &badBody{http.StatusBadRequest, err.Error(), wire.CodeFormat}
	}
	if bad.status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "1")
	}
	x.error(wire.Denial{Status: bad.status, Code: "invalid_request", Text: bad.Error()})
}

// head sets the headers of every answer.
func (x *exchange) head() {
	h := x.w.Header()
	values := make([]string, 0, 7) // of all headers in one piece
	set := func(canonical, v string) {
		values = append(values, v)
		h[canonical] = values[len(values)-1 : len(values) : len(values)]
	}
	set("X-Content-Type-Options", "nosniff")
	if x.who.handle != "" {
		set(HeaderSession, x.who.handle)
	}
	if x.last != "" {
		set("X-Decision-Id", x.last)
	}
	if x.at != nil {
		set("X-Policy-Version", x.at.policy.Digest())
		set("X-Policy-Mode", "enforce")
		if x.cfg.Audit == guard.BestEffort {
			set("X-Policy-Audit", "best_effort")
		}
	}
	set("X-Overhead-Ms", strconv.FormatFloat(float64((time.Since(x.began)-x.upstream).Microseconds())/1000, 'f', 3, 64))
}

// error answers with an error object of the wire.
func (x *exchange) error(d wire.Denial) {
	x.outcome = "error"
	x.head()
	fail(x.w, x.wire, d)
}

// deny answers with a denial: an answer of the assistant that refuses, or an error where the configuration says so.
func (x *exchange) deny(d wire.Denial) {
	if d.Code != wire.CodeDenied || x.cfg.Denials.AsError {
		x.error(d)
		x.outcome = "deny"
		return
	}
	x.outcome = "deny"
	x.head()
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	if x.req.Stream {
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
	}
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(x.wire.Refusal(x.req, d))
}

// do brings an event to the guard and notes the decision.
func (x *exchange) do(ctx context.Context, at proviso.Point, body proviso.Body) (guard.Effect, error) {
	e, err := x.at.guard.Do(ctx, x.event(at, body), nil)
	x.note(e.Record)
	return e, err
}

func (x *exchange) event(at proviso.Point, body proviso.Body) proviso.Event {
	return proviso.Event{Session: x.who.session, Point: at, Agents: x.who.agents, Body: body}
}

// note keeps what a decision means for later: its id, and what the client will send again.
func (x *exchange) note(r *proviso.Record) {
	if id := decisionID(r); id != "" {
		x.last = id
	}
	x.counts.decided(x.wire.Name(), r)
	x.decisionSpan(r)
	if r.Decision.Outcome != proviso.Allow {
		var rules []string
		for _, reason := range r.Decision.Reasons {
			rules = append(rules, reason.Rule)
		}
		x.span.Set("proviso.denied_by", rules)
		x.span.Set("proviso.point", r.Event.Point.String())
	}
	x.conv.remember(r)
}

// join enters the conversation under the policy that holds for the request. The caller leaves it.
func (s *Server) join(ctx context.Context, gen *generation, who *identity, route string) (*conversation, *bound, error) {
	conv, err := s.convs.enter(ctx, who.session, func(c *conversation) error { return s.overlays.restore(c) })
	if err != nil {
		return nil, nil, err
	}
	at, err := gen.bind(Subject{Agents: who.agents, Key: who.keyID(), Tags: who.tags, Route: route}, conv.overlays)
	if err == nil {
		err = conv.bind(ctx, at)
	}
	for _, name := range who.overlays {
		if err == nil {
			err = s.attach(ctx, gen, who, conv, route, overlay{Name: name})
		}
	}
	if err != nil {
		conv.leave()
		return nil, nil, err
	}
	conv.mu.Lock()
	defer conv.mu.Unlock()
	return conv, conv.at, nil
}

// unjoined tells why a session cannot be entered: an overlay that the caller asks for is the caller's to mend, everything else may pass.
func unjoined(err error) (status int, code, msg string) {
	var bad *OverlayError
	if errors.As(err, &bad) {
		return http.StatusBadRequest, CodeOverlay, bad.Msg
	}
	return http.StatusServiceUnavailable, guard.CodeSession, "the session is not at hand: " + err.Error()
}

// notJoined is the denial for unjoined.
func notJoined(err error) *wire.Denial {
	d := refusalBy(unjoined(err))
	if d.Code = "session_unavailable"; d.Status == http.StatusBadRequest {
		d.Code = "invalid_request"
	}
	return &d
}

// unread is the denial where something of a session that was entered cannot be read.
func unread(what string, err error) *wire.Denial {
	d := refusalBy(http.StatusServiceUnavailable, guard.CodeSession, what+err.Error())
	d.Code = "session_unavailable"
	return &d
}

func (c *caller) keyID() string {
	if c.key == nil {
		return ""
	}
	return c.key.ID
}

// admit decides what is new of the request. A denial ends it.
func (x *exchange) admit(ctx context.Context) *wire.Denial {
	var err error
	if x.conv, x.at, err = x.join(ctx, x.gen, &x.who, x.wire.Name()); err != nil {
		return notJoined(err)
	}
	defer x.conv.leave()
	x.goesOn(ctx)
	for _, p := range x.req.Foreign {
		if !x.passes(p) {
			d := refusalBy(http.StatusForbidden, CodeForeign, "a part of the request is "+p.Kind+", which no rule sees ("+p.At+"); list it under pass to let it through")
			x.counts.foreign.Add(1)
			return &d
		}
	}
	if d := x.transcript(ctx); d != nil {
		return d
	}
	if d := x.tools(ctx); d != nil {
		return d
	}
	if d := x.whole(ctx); d != nil {
		return d
	}
	x.hide()
	return nil
}

// owed is what the provider waits for before it goes on from an answer of the session, and where the request names the answer.
type owed struct {
	at    string
	items [][]byte
}

// goesOn looks whether a request goes on from an answer of the session that the provider keeps.
func (x *exchange) goesOn(ctx context.Context) {
	if st, ok := x.wire.(wire.Stored); ok {
		if id, at := st.Before(x.req); id != "" {
			if items, ok := x.conv.before(ctx, x.Server, id); ok {
				x.owed = &owed{at, items}
			}
		}
	}
}

// passes reports whether a part that no rule can see may pass: it is listed, or it is a picture, a sound or a file where no rule would look at it.
func (x *exchange) passes(p wire.Part) bool {
	if slices.Contains(x.cfg.Denials.Pass, p.Kind) {
		return true
	}
	if x.owed != nil && p.At == x.owed.at {
		return true
	}
	rules := x.at.traits.rules
	switch p.Point {
	case proviso.NoPoint:
		return false
	case proviso.Output:
		return !rules[proviso.Output] && !rules[proviso.ModelResponsePoint]
	}
	return !rules[p.Point] && !rules[proviso.ModelRequestPoint]
}

// transcript brings the new turns to the guard, and makes the old ones as they were forwarded before. What the assistant said and called is never brought: it was decided when it was answered, and a client cannot put words into its mouth.
func (x *exchange) transcript(ctx context.Context) *wire.Denial {
	events := make([]proviso.Event, 0, len(x.req.Turns))
	turns := make([]*wire.Turn, 0, len(x.req.Turns))
	for i := range x.req.Turns {
		t := &x.req.Turns[i]
		body, at := t.Body, proviso.Input
		switch b := t.Body.(type) {
		case *proviso.Message:
			if b.Role == proviso.Assistant {
				at = proviso.Output
				if known, ok := x.conv.knownAs(b.Text); ok {
					if known == "" {
						continue
					}
					body = &proviso.Message{Role: b.Role, Text: known}
				}
			}
		case *proviso.ToolCall:
			at = proviso.ToolCallPoint
		case *proviso.ToolResult:
			at = proviso.ToolResultPoint
			if b.Tool == "" {
				tool, err := x.conv.toolOf(ctx, x.Server, b.CallID)
				if err != nil {
					return unread("what was called earlier cannot be read: ", err)
				}
				b.Tool = tool
			}
		}
		events, turns = append(events, x.event(at, body)), append(turns, t)
	}
	known, err := x.at.guard.Resync(ctx, x.who.session, events)
	if err != nil {
		return unread("", err)
	}
	if known.Next > 1 {
		err = x.conv.recall(ctx, x.Server)
	} else {
		x.conv.fresh()
	}
	if err != nil {
		return unread("what became of earlier turns cannot be read: ", err)
	}
	if r := x.conv.stop(); r != nil {
		d := denialOf(r)
		return &d
	}
	if known.Next == 1 {
		if e, err := x.do(ctx, proviso.SessionStart, x.who.start()); err != nil {
			d := denialOf(e.Record)
			return &d
		}
	}
	for i, t := range turns {
		switch events[i].Point {
		case proviso.Input, proviso.ToolResultPoint:
		default:
			continue
		}
		if i < known.From && known.Known[i] {
			if ch, ok := x.conv.changeTo(t.Body); ok {
				x.apply(t, ch)
			}
			continue
		}
		if d := x.turn(ctx, t, events[i].Point, i >= known.From); d != nil {
			return d
		}
	}
	for i := range x.req.Beside {
		if d := x.turn(ctx, &x.req.Beside[i], proviso.Input, false); d != nil {
			return d
		}
	}
	return nil
}

// turn decides one new turn, or one that the client changed; what was changed is decided and not taken for something said now.
func (x *exchange) turn(ctx context.Context, t *wire.Turn, at proviso.Point, fresh bool) *wire.Denial {
	var e guard.Effect
	var err error
	if fresh {
		e, err = x.do(ctx, at, t.Body)
	} else {
		e, err = x.at.guard.Peek(ctx, x.event(at, t.Body))
	}
	if err != nil && at == proviso.Input {
		d := denialOf(e.Record)
		return &d
	}
	if ch, ok := changeOf(e.Record); ok {
		x.apply(t, ch)
	}
	return nil
}

// apply makes a turn as it may be forwarded.
func (x *exchange) apply(t *wire.Turn, ch change) {
	switch {
	case ch.withheld != "" && t.Content != "":
		x.body = wire.Set(x.body, t.Content, wire.Quote(ch.withheld))
		if t.Flag != "" {
			x.body = wire.Set(x.body, t.Flag, []byte("true"))
		}
	case ch.withheld != "":
		for i, s := range t.Texts {
			text := ""
			if i == 0 {
				text = ch.withheld
			}
			x.body = wire.Set(x.body, s.At, wire.Quote(text))
		}
	default:
		for i, text := range wire.RedactSegments(t.Texts, ch.edits) {
			if text != t.Texts[i].Text {
				x.body = wire.Set(x.body, t.Texts[i].At, wire.Quote(text))
				t.Texts[i].Text = text
			}
		}
	}
}

// tools finds what is never allowed and what the provider would run before anybody can decide, and decides the list that is left.
func (x *exchange) tools(ctx context.Context) *wire.Denial {
	var left []string
	for _, t := range x.req.Tools {
		st := x.at.traits.standing(t.Name, x.who.agents)
		if st == never && !t.Several || t.Hosted && st != always {
			if x.gone == nil {
				x.gone = map[string]bool{}
			}
			x.gone[t.At] = true
			if t.Name == x.req.Forced {
				d := refusalBy(http.StatusForbidden, CodeHosted, "the request wants the model to call "+t.Name+", which the policy never allows here")
				return &d
			}
			if t.Hosted {
				x.counts.hosted.Add(1)
			}
			continue
		}
		if !t.Named {
			left = append(left, t.Name)
		}
	}
	if len(x.req.Tools) == 0 {
		return nil
	}
	if !x.at.traits.rules[proviso.ToolListPoint] {
		return nil
	}
	d := digestOf(append([]string{x.at.policy.Digest()}, left...)...)
	if x.conv.offered == d {
		return nil
	}
	e, err := x.do(ctx, proviso.ToolListPoint, &proviso.ToolList{Tools: left})
	if err != nil {
		d := denialOf(e.Record)
		return &d
	}
	x.conv.offered = d
	return nil
}

// hide takes the tools out that tools has found, and gives the provider the results of calls that it waits for and the client knows nothing of. It comes last, because it moves what stands behind them.
func (x *exchange) hide() {
	for i := len(x.req.Tools) - 1; i >= 0; i-- {
		// One entry may stand for several tools of a server: it goes where one of them has to.
		at := x.req.Tools[i].At
		if !x.gone[at] || slices.ContainsFunc(x.req.Tools[i+1:], func(t wire.Tool) bool { return t.At == at }) {
			continue
		}
		x.body = wire.Delete(x.body, at)
		if !x.req.Tools[i].Named {
			x.counts.hidden.Add(1)
		}
		// A namespace in which nothing is left, such as /tools/3 of /tools/3/tools/0, goes as well.
		if space, _, ok := strings.Cut(at[1:], "/tools/"); ok && strings.HasPrefix(at, "/tools/") && wire.Empty(x.body, "/"+space+"/tools") {
			x.body = wire.Delete(x.body, "/"+space)
		}
	}
	if len(x.gone) > 0 {
		x.body = withoutEmptyLists(x.body)
	}
	if x.owed != nil && len(x.owed.items) > 0 {
		x.body = x.wire.(wire.Stored).Settle(x.body, x.owed.items)
	}
}

// withoutEmptyLists leaves out lists of tools in which nothing is left, and the choice among them: providers refuse both.
func withoutEmptyLists(body []byte) []byte {
	for _, at := range []string{"/tool_choice/tools", "/tool_choice/allowed_tools/tools"} {
		if wire.Empty(body, at) {
			body = wire.Delete(body, "/tool_choice")
		}
	}
	for _, lists := range []struct{ list, choice string }{{"/tools", "/tool_choice"}, {"/functions", "/function_call"}} {
		if wire.Empty(body, lists.list) {
			body = wire.Delete(wire.Delete(body, lists.list), lists.choice)
		}
	}
	return body
}

// whole decides the request as a whole, where a rule speaks about it. Without one nothing is recorded: the transcript is sent again with every request.
func (x *exchange) whole(ctx context.Context) *wire.Denial {
	if !x.at.traits.rules[proviso.ModelRequestPoint] {
		return nil
	}
	var texts []wire.Segment
	for i := range x.req.Turns {
		texts = append(texts, x.req.Turns[i].Texts...)
	}
	for i := range x.req.Beside {
		texts = append(texts, x.req.Beside[i].Texts...)
	}
	var offered []string
	for _, t := range x.req.Tools {
		offered = append(offered, t.Name)
	}
	e, err := x.do(ctx, proviso.ModelRequestPoint, &proviso.ModelRequest{Model: x.req.Model, Text: wire.JoinSegments(texts), Tools: offered})
	if err != nil {
		d := denialOf(e.Record)
		return &d
	}
	x.apply(&wire.Turn{Texts: texts}, change{edits: e.Record.Decision.Edits})
	return nil
}

// forward sends the request, decides the answer, and asks once more where a denial may be mended.
func (x *exchange) forward(ctx context.Context) {
	for try := 0; ; try++ {
		resp, err := x.send(ctx)
		if err != nil {
			x.upstreamError(upstreamFailed(err))
			return
		}
		again := x.answered(ctx, resp, try < x.cfg.Denials.Revisions && x.req.Choices == 1)
		resp.Body.Close()
		if again == nil {
			return
		}
		x.counts.revisions.Add(1)
		x.body = again
		// The next answer is read beside the request that it answers, so that a further revision stands behind this one.
		if x.req, err = x.wire.Request(again); err != nil {
			x.error(wire.Denial{Status: http.StatusInternalServerError, Code: "internal", Text: err.Error()})
			return
		}
	}
}

func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	if n := x.rerank(); n > 1 {
		return x.choose(ctx, n)
	}
	headers := forwardHeaders(x.r.Header, x.up, x.who.virtual)
	headers.Set("Content-Type", "application/json")
	x.span.Inject(headers)
	began := time.Now()
	resp, err := x.gen.terms.ask(ctx, x.up, x.wire.Path()+query(x.r), headers, x.body)
	x.upstream += time.Since(began)
	return resp, err
}

func (x *exchange) upstreamError(d wire.Denial) {
	x.counts.upstreamErrors.Add(1)
	x.error(d)
	x.outcome = "upstream"
}

// answered passes an answer on after it was decided. It returns the request to ask next where the model may mend its answer and nothing went out yet.
func (x *exchange) answered(ctx context.Context, resp *http.Response, mayRevise bool) (again []byte) {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	kind = strings.TrimSpace(strings.ToLower(kind))
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		x.upstreamError(wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream answers with a redirect, which is not followed [" + CodeUpstream + "]"})
	case resp.StatusCode != http.StatusOK:
		x.passError(resp, kind)
	case kind == "text/event-stream":
		return x.stream(ctx, resp, mayRevise)
	case kind == "application/json":
		return x.plain(ctx, resp, mayRevise)
	default:
		x.upstreamError(wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream answers with something that is no answer of its API (" + kind + ") [" + CodeUpstream + "]"})
	}
	return nil
}

// passError passes an error of the upstream on, where it is one of its API. Anything else, such as a page of a proxy, may hold anything and is replaced.
func (x *exchange) passError(resp *http.Response, kind string) {
	x.counts.upstreamErrors.Add(1)
	began := time.Now()
	b, err := limited(resp, 1<<20)
	x.upstream += time.Since(began)
	doc, bad := wire.Decode(b)
	if err != nil || bad != nil || kind != "application/json" || doc["error"] == nil || doc["choices"] != nil || doc["output"] != nil || doc["content"] != nil {
		x.error(wire.Denial{Status: resp.StatusCode, Code: "upstream_failed", Text: "the upstream answers with status " + strconv.Itoa(resp.StatusCode) + " and nothing that its API has [" + CodeUpstream + "]"})
		return
	}
	x.outcome = "upstream"
	passHeaders(x.w.Header(), resp.Header)
	x.head()
	x.w.WriteHeader(resp.StatusCode)
	x.w.Write(b)
}

// plain decides a whole answer.
func (x *exchange) plain(ctx context.Context, resp *http.Response, mayRevise bool) (again []byte) {
	began := time.Now()
	b, err := limited(resp, x.gen.terms.Limits.Answer)
	x.upstream += time.Since(began)
	if err != nil {
		x.upstreamError(upstreamFailed(err))
		return nil
	}
	r, err := x.wire.Response(b)
	if err != nil {
		x.upstreamError(wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream's answer cannot be read: " + err.Error()})
		return nil
	}
	x.tokens.add(r)
	v := x.decide(ctx, r, true)
	if mayRevise && v.mendable {
		if again, err := x.wire.Revise(x.revisable(), r, v.verdicts, v.note); err == nil {
			return again
		}
	}
	if v.denial != nil && !v.released && (x.cfg.Denials.AsError || v.final) {
		x.error(*v.denial)
		x.outcome = "deny"
		return nil
	}
	out, err := x.wire.Rewrite(r, v.verdicts)
	if err != nil {
		x.error(wire.Denial{Status: http.StatusInternalServerError, Code: "internal", Text: err.Error()})
		return nil
	}
	out = x.gave(r, v, out)
	passHeaders(x.w.Header(), resp.Header)
	x.head()
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(out)
	return nil
}

// revisable is the request as it was forwarded.
func (x *exchange) revisable() *wire.Request {
	q := *x.req
	q.Raw = x.body
	return &q
}

// gave notes what the client got where it is not what the session knows, and tells programs about a denial.
func (x *exchange) gave(r *wire.Response, v *verdicts, out []byte) []byte {
	if wire.Unchanged(v.verdicts) {
		return out
	}
	if v.denial != nil {
		x.outcome = "deny"
		if len(v.denial.Detail) > 0 {
			out = wire.Set(out, "/proviso", v.denial.Detail)
		}
	}
	x.substituted(v, out)
	return out
}

// substituted notes which texts of the client stand for which of the session.
func (x *exchange) substituted(v *verdicts, out []byte) {
	got, err := x.wire.Response(out)
	if err != nil {
		return
	}
	for i := range got.Choices {
		known := ""
		if i < len(v.said) {
			known = v.said[i]
		}
		x.conv.replaced(got.Choices[i].Text(), known)
		if len(got.Choices[i].Texts) > 1 {
			for _, s := range got.Choices[i].Texts {
				if !strings.Contains(known, s.Text) {
					x.conv.replaced(s.Text, "")
				}
			}
		}
	}
}

// noSpan is a span of nobody.
type noSpan struct{}

func (noSpan) Set(string, any)    {}
func (noSpan) Inject(http.Header) {}
func (noSpan) End(string)         {}
