package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// question is the body of /v1/decide. Either Event, or the short form of a call: Tool with Args.
type question struct {
	Session string `json:"session"` // as the header X-Proviso-Session
	Dry     bool   `json:"dry"`     // only says what would be decided; nothing is recorded
	Hold    string `json:"hold"`    // how long to wait for a person where the call is escalated, such as "30s"
	Event   *asked `json:"event"`

	Tool   string       `json:"tool"`
	Args   proviso.JSON `json:"args"`
	CallID string       `json:"call_id"`
}

// asked is an event as a caller states it: its number, time and session are the server's.
type asked struct {
	Point    proviso.Point          `json:"point"`
	Message  *proviso.Message       `json:"message"`
	Call     *proviso.ToolCall      `json:"tool_call"`
	Result   *proviso.ToolResult    `json:"tool_result"`
	List     *proviso.ToolList      `json:"tool_list"`
	Request  *proviso.ModelRequest  `json:"model_request"`
	Response *proviso.ModelResponse `json:"model_response"`
	Life     *lifecycle             `json:"lifecycle"`
}

// lifecycle is what a caller may say about its session; who the user is, is never said here.
type lifecycle struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// ownResponses begins the names of the answers that callers of the decision API say their calls are of, so that none is taken for an answer of a provider: a request may go on from those.
const ownResponses = "decide/"

// event is the event with its point, which may be left out where the body has only one, and how many bodies there were.
func (a *asked) event() (at proviso.Point, body proviso.Body, n int) {
	at = a.Point
	take := func(b proviso.Body, p proviso.Point) {
		if n++; at == proviso.NoPoint {
			at = p
		}
		body = b
	}
	if a.Message != nil {
		p := proviso.Input
		if a.Message.Role == proviso.Assistant {
			p = proviso.Output
		}
		take(a.Message, p)
	}
	if a.Call != nil {
		if a.Call.Response != "" {
			a.Call.Response = ownResponses + a.Call.Response
		}
		take(a.Call, proviso.ToolCallPoint)
	}
	if a.Result != nil {
		take(a.Result, proviso.ToolResultPoint)
	}
	if a.List != nil {
		take(a.List, proviso.ToolListPoint)
	}
	if a.Request != nil {
		take(a.Request, proviso.ModelRequestPoint)
	}
	if a.Response != nil {
		take(a.Response, proviso.ModelResponsePoint)
	}
	if a.Life != nil {
		p := proviso.SessionStart
		if a.Life.Kind == "end" || a.Life.Kind == "idle" {
			p = proviso.SessionEnd
		}
		take(&proviso.Lifecycle{Kind: a.Life.Kind, Name: a.Life.Name}, p)
	}
	return at, body, n
}

// event is the event that a question is about; msg says what is wrong with it.
func (q *question) event() (at proviso.Point, body proviso.Body, msg string) {
	switch {
	case q.Event != nil && q.Tool != "":
		return at, nil, "give either event or tool"
	case q.Event != nil:
		at, body, n := q.Event.event()
		if n != 1 {
			return at, nil, "give an event with one body: message, tool_call, tool_result, tool_list, model_request, model_response or lifecycle"
		}
		return at, body, ""
	case q.Tool != "" && len(q.Args) == 0:
		return at, nil, `args is missing; write "args": {} for a call without arguments`
	case q.Tool != "":
		return proviso.ToolCallPoint, &proviso.ToolCall{ID: q.CallID, Tool: q.Tool, Args: q.Args}, ""
	}
	return at, nil, "give an event, or tool and args"
}

// visit is a request of the decision API inside of its session.
type visit struct {
	*Server
	who  identity
	conv *conversation
	at   *bound
	hold time.Duration
	r    *http.Request
	span Span
	// outcome is the lowest of those that were decided, for the span.
	outcome proviso.Outcome
}

// visited finds the caller and the session, begins the session where it is new, and runs f in it. Where it cannot it answers itself.
func (s *Server) visited(w http.ResponseWriter, r *http.Request, route, session string, refuse refuser, f func(*visit)) {
	gen := s.gen.Load()
	if session != "" {
		r.Header.Set(HeaderSession, session)
	}
	who, err := s.identify(r, gen)
	if err != nil {
		s.counts.refused.Add(1)
		refuse(w, http.StatusUnauthorized, CodeCaller, err.Error())
		return
	}
	v := &visit{Server: s, who: who, r: r, span: noSpan{}, outcome: proviso.Allow}
	if t := s.cfg.Telemetry.Trace; t != nil {
		ctx, span := t.Start(r, route)
		v.r, v.span = r.WithContext(ctx), span
		defer v.traced()
	}
	if v.conv, v.at, err = s.join(r.Context(), gen, &who, route); err != nil {
		status, code, msg := unjoined(err)
		refuse(w, status, code, msg)
		return
	}
	defer v.conv.leave()
	v.span.Set("proviso.policy", v.at.policy.Digest())
	w.Header().Set(HeaderSession, who.handle)
	w.Header().Set("X-Policy-Version", v.at.policy.Digest())
	f(v)
}

// traced ends the span of the request.
func (v *visit) traced() {
	v.span.Set("proviso.outcome", v.outcome.String())
	v.span.Set("proviso.session", v.who.session)
	failure := ""
	if v.outcome != proviso.Allow {
		failure = v.outcome.String()
	}
	v.span.End(failure)
}

// note counts a decision and tells of it.
func (v *visit) note(r *proviso.Record) {
	v.outcome = min(v.outcome, r.Decision.Outcome)
	v.counts.decided("decide", r)
	decisionSpan(v.span, r)
}

// decide decides one question.
func (v *visit) decide(ctx context.Context, q *question) (map[string]any, string) {
	at, body, msg := q.event()
	if msg != "" {
		v.outcome = proviso.Deny
		return nil, msg
	}
	if q.Hold != "" {
		d, err := time.ParseDuration(q.Hold)
		if err != nil || d < 0 || d > maxHold {
			return nil, "hold is a duration of at most 10m, such as 30s"
		}
		v.hold = d
	}
	ev := proviso.Event{Session: v.who.session, Point: at, Agents: v.who.agents, Body: body}
	if call, ok := body.(*proviso.ToolCall); ok && !v.who.resolved && v.at.traits.tools[call.Tool].stateful {
		v.counts.stateful.Add(1)
		v.outcome = proviso.Deny
		return map[string]any{"outcome": "deny", "allow": false, "code": CodeStateful, "explanation": "what happened before decides about " + call.Tool + ", and this request names no session; send the header " + HeaderSession + " of an earlier answer"}, ""
	}
	if q.Dry {
		e, _ := v.at.guard.Peek(ctx, ev)
		out := effectOf(e)
		// The id that it would have is that of the next record.
		delete(out, "decision_id")
		return out, ""
	}
	if d := v.begin(ctx, at); d != nil {
		return d, ""
	}
	e, err := v.at.guard.Do(ctx, ev, nil)
	deadline := time.Now().Add(v.hold)
	for err != nil && v.hold > 0 && e.Record.Decision.Outcome == proviso.Escalate && v.waited(ctx, e.Record, deadline) {
		e, err = v.at.guard.Do(ctx, ev, nil)
	}
	v.note(e.Record)
	v.conv.remember(e.Record)
	return effectOf(e), ""
}

// maxHold bounds how long a decision waits for a person.
const maxHold = 10 * time.Minute

func (v *visit) waited(ctx context.Context, r *proviso.Record, deadline time.Time) bool {
	id := approvalID(r)
	if id == "" || v.cfg.Approvals == nil {
		return false
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	_, err := v.told.answered(ctx, v.cfg.Approvals, id)
	return err == nil
}

// begin starts a session that has no records yet; a decision against it is returned.
func (v *visit) begin(ctx context.Context, at proviso.Point) map[string]any {
	if at == proviso.SessionStart {
		return nil
	}
	stands, err := v.at.guard.Resync(ctx, v.who.session, nil)
	if err != nil {
		return nil // the session is not at hand; the decision says so
	}
	if stands.Next > 1 {
		if err := v.conv.recall(ctx, v.Server); err != nil {
			return map[string]any{"outcome": "deny", "allow": false, "code": guard.CodeSession, "explanation": "the session cannot be read: " + err.Error()}
		}
		if r := v.conv.stop(); r != nil {
			return effectOf(guard.Effect{Record: r, Forward: r.Event})
		}
		return nil
	}
	e, err := v.at.guard.Do(ctx, proviso.Event{Session: v.who.session, Point: proviso.SessionStart, Agents: v.who.agents, Body: v.who.start()}, nil)
	decisionSpan(v.span, e.Record)
	v.conv.remember(e.Record)
	if err != nil {
		return effectOf(e)
	}
	return nil
}

// effectOf is the answer of the decision API. It has always an outcome.
func effectOf(e guard.Effect) map[string]any {
	r := e.Record
	out := llm.Object(decoded(detailOf(r)))
	if out == nil {
		out = map[string]any{"outcome": "deny"}
	}
	allowed := r.Decision.Outcome == proviso.Allow
	out["allow"] = allowed
	out["approval"] = approvalID(r)
	if allowed {
		b, err := proviso.AppendJSON(nil, &e.Forward)
		if err == nil {
			out["forward"] = llm.Object(decoded(b))["body"]
		}
		out["edited"] = len(r.Decision.Edits) > 0
	} else {
		out["explanation"] = guard.Explain(r)
	}
	var faults, notices []any
	for _, f := range r.Decision.Errors {
		faults = append(faults, map[string]any{"code": f.Code, "message": f.Msg, "hint": f.Hint})
	}
	for _, n := range r.Decision.Notices {
		if n.To != "auditor" {
			notices = append(notices, map[string]any{"to": n.To, "text": n.Text})
		}
	}
	out["errors"], out["notices"] = faults, notices
	return out
}

func decoded(b []byte) any {
	v, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil
	}
	return v
}

// answerJSON writes a JSON answer.
func answerJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	b, err := proviso.AppendJSON(nil, doc)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"outcome":"deny","allow":false}`)
	}
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// refuser answers a request of which nothing can be decided, in the form that its path has.
type refuser func(w http.ResponseWriter, status int, code, msg string)

// denied is the result of a question that is not decided: an outcome all the same, and what is wrong.
func denied(code, msg string) map[string]any {
	return map[string]any{"outcome": "deny", "allow": false, "explanation": msg, "errors": []any{map[string]any{"code": code, "message": msg}}}
}

// undecided is the refuser of the decision API.
func undecided(w http.ResponseWriter, status int, code, msg string) {
	answerJSON(w, status, denied(code, msg))
}

// read reads a body strictly into what v points to; false where it answered itself.
func (s *Server) read(w http.ResponseWriter, r *http.Request, v any, refuse refuser) (ok bool, free func()) {
	b, free, err := s.body(w, r, s.gen.Load())
	if err != nil {
		status := http.StatusBadRequest
		if bad, ok := err.(*badBody); ok {
			status = bad.status
		}
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		refuse(w, status, wire.CodeFormat, err.Error())
		return false, free
	}
	if err := proviso.DecodeStrict(b, v); err != nil {
		refuse(w, http.StatusBadRequest, wire.CodeFormat, err.Error())
		return false, free
	}
	return true, free
}

// serveDecide is POST /v1/decide.
func (s *Server) serveDecide(w http.ResponseWriter, r *http.Request) {
	var q question
	ok, free := s.read(w, r, &q, undecided)
	defer free()
	if !ok {
		return
	}
	s.visited(w, r, "decide", q.Session, undecided, func(v *visit) {
		out, msg := v.decide(r.Context(), &q)
		if msg != "" {
			undecided(w, http.StatusBadRequest, wire.CodeFormat, msg)
			return
		}
		if id := llm.Text(out["decision_id"]); id != "" {
			w.Header().Set("X-Decision-Id", id)
		}
		answerJSON(w, http.StatusOK, out)
	})
}

// serveBatch is POST /v1/decide/batch: the parallel calls of one response together, or events one after the other.
func (s *Server) serveBatch(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Session  string     `json:"session"`
		Parallel bool       `json:"parallel"`
		Items    []question `json:"items"`
	}
	ok, free := s.read(w, r, &q, undecided)
	defer free()
	if !ok {
		return
	}
	if len(q.Items) == 0 || len(q.Items) > maxBatch {
		undecided(w, http.StatusBadRequest, wire.CodeFormat, "items holds 1 to 256 questions")
		return
	}
	for i := range q.Items {
		switch it := &q.Items[i]; {
		case it.Session != "":
			undecided(w, http.StatusBadRequest, wire.CodeFormat, "session stands beside items and not in them: all are of one session")
			return
		case q.Parallel && (it.Dry || it.Hold != ""):
			undecided(w, http.StatusBadRequest, wire.CodeFormat, "parallel items have no dry and no hold; ask one after the other")
			return
		}
	}
	s.visited(w, r, "decide", q.Session, undecided, func(v *visit) {
		var results []any
		if q.Parallel {
			var msg string
			if results, msg = v.parallel(r.Context(), q.Items); msg != "" {
				undecided(w, http.StatusBadRequest, wire.CodeFormat, msg)
				return
			}
		}
		for i := range q.Items {
			if q.Parallel {
				break
			}
			out, msg := v.decide(r.Context(), &q.Items[i])
			if msg != "" {
				out = denied(wire.CodeFormat, msg)
			}
			results = append(results, out)
		}
		answerJSON(w, http.StatusOK, map[string]any{"results": results})
	})
}

const maxBatch = 256

// parallel decides calls of one response together.
func (v *visit) parallel(ctx context.Context, items []question) (results []any, msg string) {
	if d := v.begin(ctx, proviso.ToolCallPoint); d != nil {
		return nil, llm.Text(d["explanation"])
	}
	var events []proviso.Event
	for i := range items {
		_, body, msg := items[i].event()
		call, ok := body.(*proviso.ToolCall)
		if msg != "" || !ok {
			return nil, "parallel items are calls"
		}
		if !v.who.resolved && v.at.traits.tools[call.Tool].stateful {
			return nil, "what happened before decides about " + call.Tool + ", and this request names no session"
		}
		c := *call
		c.Index = i
		events = append(events, proviso.Event{Session: v.who.session, Point: proviso.ToolCallPoint, Agents: v.who.agents, Body: &c})
	}
	effects, _ := v.at.guard.Batch(ctx, events, nil)
	for i := range effects {
		v.note(effects[i].Record)
		results = append(results, effectOf(effects[i]))
	}
	return results, ""
}

// serveData is POST /v1/data/…, for clients of OPA: the input is a question, and the result never undefined. A path that ends in /allow has a boolean as its result.
func (s *Server) serveData(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Input question `json:"input"`
	}
	answer := func(w http.ResponseWriter, status int, out map[string]any) {
		doc := map[string]any{"result": out, "decision_id": out["decision_id"]}
		if p := r.PathValue("path"); p == "allow" || strings.HasSuffix(p, "/allow") {
			doc["result"] = out["allow"]
		}
		answerJSON(w, status, doc)
	}
	refuse := func(w http.ResponseWriter, status int, code, msg string) { answer(w, status, denied(code, msg)) }
	ok, free := s.read(w, r, &q, refuse)
	defer free()
	if !ok {
		return
	}
	s.visited(w, r, "decide", q.Input.Session, refuse, func(v *visit) {
		out, msg := v.decide(r.Context(), &q.Input)
		if msg != "" {
			refuse(w, http.StatusBadRequest, wire.CodeFormat, msg)
			return
		}
		answer(w, http.StatusOK, out)
	})
}
