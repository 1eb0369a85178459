// Package session remembers what a conversation has shown so far, as far as a policy asks for it.
//
// A State is a pure fold over proviso.Records: New gives the empty one, Apply adds a record, and View shows it to a decision. It is the product of
// small folds, one file each: facts observed and made stale (facts.go), calls counted and summed by phase (history.go), calls in flight (calls.go),
// what was proposed and agreed to (consent.go), judged answers (answers.go), where values came from (origins.go), and the transcript that clients send again (resync.go).
// Fold and Restore rebuild a state from records or from a snapshot; the rebuilt state decides exactly as the one that lived through the events.
//
// A State is not safe for concurrent use; its owner holds a lock from View to Apply.
package session

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// State is what one session has shown so far. The zero value belongs to no policy and has every call denied.
type State struct {
	rules  Rules
	digest string
	id     string

	seq     uint64
	started time.Time
	begun   bool // a start of the session was applied, and with it the user
	agents  []string
	parent  *proviso.Lifecycle // what a child's start inherits
	scopes  []string
	vars    map[string]any // what a condition reads as session
	turns   int64

	facts   facts
	past    history
	calls   calls
	talk    talk
	answers answers
	known   transcript
	origins origins
	changed bool // a client resent a transcript whose prefix differs; the next record says so
	fault   *proviso.Fault

	view policy.View
}

// New returns the state of a session in which nothing happened yet.
func New(rules Rules, id string) *State {
	s := &State{rules: rules, id: id, digest: rules.Digest(), vars: rules.SessionDefaults()}
	s.vars["user"], s.vars["id"], s.vars["turns"], s.vars["started"] = "", id, int64(0), time.Time{}
	s.facts.init(rules.Facts())
	s.past.init(rules.Queries())
	s.talk.rules = rules
	s.answers.talk = &s.talk
	s.origins.init(rules, &s.talk)
	return s
}

// Child returns the state of a session that this one's agent hands work to.
// Its events carry the chain of agents, the nearest first, by which grants of both apply; its start inherits user and attributes. Facts, history and consent are its own.
func (s *State) Child(id, agent string) *State {
	c := New(s.rules, id)
	c.agents = append([]string{agent}, s.agents...)
	c.parent = &proviso.Lifecycle{Labels: s.origins.context, User: s.vars["user"].(string), Attributes: map[string]any{}}
	for k, v := range s.vars {
		if !builtinVar[k] {
			c.parent.Attributes[k] = v
		}
	}
	return c
}

// builtinVar names the session variables that no pack declares.
var builtinVar = map[string]bool{"user": true, "id": true, "turns": true, "started": true}

// ID is the session's id.
func (s *State) ID() string { return s.id }

// Next is the number that the next event has to carry.
func (s *State) Next() uint64 { return s.seq + 1 }

// Digest identifies the policy that the state was folded with.
func (s *State) Digest() string { return s.digest }

// Faults lists the bounds that the session has reached; see the constants.
func (s *State) Faults() []proviso.Fault {
	var out []proviso.Fault
	if s.fault != nil {
		out = append(out, *s.fault)
	}
	if f := s.past.fault; f != nil {
		out = append(out, *f)
	}
	return append(out, s.facts.faults()...)
}

// Bind binds an event to the policy. A tool result is bound to the call that it answers, found by its id or, where it has none, as the only call of its tool in flight without an id.
// An event that names no agent gets the session's chain of agents. The event is not changed: where something had to be filled in, the input holds a copy.
// A call that the session cannot keep account of comes back with a fault.
func (s *State) Bind(ev *proviso.Event) *policy.Input {
	if s.rules == nil {
		return &policy.Input{Event: ev, Fault: &proviso.Fault{Code: CodeNoPolicy, Msg: "bind: the session has no policy", Hint: "make it with session.New"}}
	}
	ev = s.complete(ev)
	switch b := ev.Body.(type) {
	case *proviso.ToolResult:
		c := s.calls.answeredBy(b)
		if c == nil {
			return s.rules.Bind(ev, nil)
		}
		if b.Tool == "" {
			named, e := *b, *ev
			named.Tool = c.call().Tool
			e.Body = &named
			ev = &e
		}
		return s.rules.Bind(ev, c.in)
	case *proviso.ToolCall:
		in := s.rules.Bind(ev, nil)
		if in.Fault == nil {
			in.Fault = s.refusal(b)
		}
		return in
	}
	return s.rules.Bind(ev, nil)
}

// complete fills in what an event of this session inherits.
func (s *State) complete(ev *proviso.Event) *proviso.Event {
	start, _ := ev.Body.(*proviso.Lifecycle)
	inherits := s.parent != nil && start != nil && start.Kind == "start"
	if (len(ev.Agents) > 0 || len(s.agents) == 0) && !inherits {
		return ev
	}
	e := *ev
	if len(e.Agents) == 0 {
		e.Agents = s.agents
	}
	if inherits {
		l := *start
		if l.User == "" {
			l.User, l.Attributes = s.parent.User, s.parent.Attributes
		}
		l.Labels = s.parent.Labels
		e.Body = &l
	}
	return &e
}

// refusal says why a call cannot be kept account of, nil where it can.
func (s *State) refusal(b *proviso.ToolCall) *proviso.Fault {
	switch {
	case s.fault != nil:
		return s.fault
	case s.past.fault != nil:
		return s.past.fault
	case s.facts.overrun:
		return s.facts.fault()
	case b.ID != "" && s.calls.byID[b.ID] != nil:
		return &proviso.Fault{Code: CodeCallID, Msg: fmt.Sprintf("bind: call id %q is in flight already", b.ID), Hint: "give every call an id of its own"}
	case s.calls.bytes+len(b.Args) > MaxFlight:
		return &proviso.Fault{Code: CodeFull, Msg: fmt.Sprintf("bind: the arguments of the calls in flight have more than %d bytes together", MaxFlight), Hint: "report the results of earlier calls first"}
	case s.calls.n >= MaxOpen:
		return &proviso.Fault{Code: CodeFull, Msg: fmt.Sprintf("bind: %d calls are in flight", MaxOpen), Hint: "report the results of earlier calls first"}
	}
	return nil
}

// View shows the state to a decision about in. The view is the state's own and stays valid until the next call of View or Apply.
// What results of parallel calls have shown becomes visible once an event arrives that is none of their siblings.
func (s *State) View(in *policy.Input) *policy.View {
	v := &s.view
	if s.rules == nil {
		*v = policy.View{Now: in.Event.Time}
		return v
	}
	s.settle(in.Event)
	v.Now = s.rules.Now(in.Event.Time)
	v.Session = s.vars
	if s.started.IsZero() {
		s.vars["started"] = v.Now
	}
	v.Scope = s.top()
	v.Facts, v.History, v.Consent, v.Answers = &s.facts, &s.past, &s.talk, &s.answers
	v.Approved = nil
	v.Origins = &s.origins
	s.origins.decide(in)
	s.answers.asked = s.answers.asked[:0]
	return v
}

// Labels returns the labels of everything that the session has seen so far, sorted. The caller must not change the slice.
func (s *State) Labels() []string { return s.origins.context }

// settle makes visible what results of parallel calls have shown, unless ev is one of their siblings.
func (s *State) settle(ev *proviso.Event) {
	if len(s.calls.held) == 0 || s.calls.sibling(ev) {
		return
	}
	held := s.calls.held
	s.calls.held = nil
	for _, h := range held {
		s.finish(h)
	}
}

// Record writes down a decided event with all that the fold needs: the phase, the facts that a result supplies, what a release makes stale.
// A result that answers no call released in this session is unverified and supplies nothing; neither does an error, nor a result that the decision withholds.
// An allowed call whose edits do not fit is denied.
func (s *State) Record(in *policy.Input, d proviso.Decision) proviso.Record {
	return s.record(in, d, false)
}

// RecordExecuted is Record for recordings of what happened without us: a call counts as released and a message as said even where the decision denies it.
func (s *State) RecordExecuted(in *policy.Input, d proviso.Decision) proviso.Record {
	return s.record(in, d, true)
}

func (s *State) record(in *policy.Input, d proviso.Decision, executed bool) proviso.Record {
	r := proviso.Record{Event: *in.Event, Decision: d, DecidedAt: in.Event.Time, Changed: s.changed, Answers: s.answers.fresh}
	if s.rules == nil {
		return r
	}
	r.DecidedAt = s.rules.Now(in.Event.Time)
	passes := d.Outcome == proviso.Allow || executed
	switch b := in.Event.Body.(type) {
	case *proviso.ToolCall:
		r.Phase, r.ArgsHash = proviso.Denied, in.Hash
		if !passes {
			break
		}
		sent, err := s.edited(in, &r)
		if err != nil {
			r.Decision.Outcome = proviso.Deny
			r.Decision.Errors = append(r.Decision.Errors, proviso.Fault{Code: CodeEdit, Msg: err.Error(), Hint: "mend the rule whose edit this is"})
			break
		}
		r.Phase, r.ArgsHash, r.Stale = proviso.Released, sent.Hash, s.rules.Spoils(sent)
	case *proviso.ToolResult:
		if s.calls.answeredBy(b) == nil {
			r.Unverified = true
			break
		}
		r.Phase = proviso.OK
		if b.IsError {
			r.Phase = proviso.Failed
		} else if passes {
			r.Facts = inUTC(s.rules.Observe(in, soFar{&s.facts, s.calls.held}))
		}
	case *proviso.Message:
		if passes && d.Outcome != proviso.Allow {
			r.Phase = proviso.Released
		}
	}
	r.Kept = s.keep(in, &r)
	return r
}

// edited returns the input as it is forwarded.
func (s *State) edited(in *policy.Input, r *proviso.Record) (*policy.Input, error) {
	if len(r.Decision.Edits) == 0 {
		return in, nil
	}
	ev, err := policy.Apply(in, r.Decision.Edits)
	if err != nil {
		return nil, err
	}
	return s.rules.Bind(&ev, nil), nil
}

// Apply folds a record into the state. in is the input that the record was made of, or nil where records are replayed. It retains both, and neither may be changed afterwards.
// It fails, and changes nothing, where the record is of another session, does not follow the last one, or has edits that do not fit.
func (s *State) Apply(in *policy.Input, r *proviso.Record) error {
	ev := &r.Event
	switch {
	case s.rules == nil:
		return &FoldError{CodeNoPolicy, "the session has no policy; make it with session.New"}
	case ev.Session != s.id:
		return &FoldError{CodeFold, fmt.Sprintf("record of session %q in session %q", ev.Session, s.id)}
	case ev.Seq != s.seq+1:
		return &FoldError{CodeFold, fmt.Sprintf("record %d follows record %d; read the records in order and without gaps", ev.Seq, s.seq)}
	}
	anew := r.Decision.Policy != s.digest
	s.settle(ev)
	if in == nil && !r.Redacted {
		in = s.Bind(ev)
	}
	var sent *policy.Input
	switch {
	case r.Redacted:
		if anew {
			r, anew = s.unreadable(r), false
		}
		in, sent = s.unredacted(r)
	case passed(r):
		var err error
		if sent, err = s.edited(in, r); err != nil {
			return &FoldError{CodeEdit, err.Error()}
		}
	}
	s.seq++
	now := s.rules.Now(ev.Time)
	s.past.advance(now)
	if s.started.IsZero() {
		s.started = now
		s.vars["started"] = now
	}
	if r.Changed {
		s.changed = false
	}
	s.answers.keep(r.Answers)
	if r.Redacted {
		s.known.restoreEntry(ev, sent, r.Kept)
	} else {
		s.known.add(ev, sent)
	}
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		s.applyCall(in, sent, r, anew)
	case *proviso.ToolResult:
		s.applyResult(in, b, r, anew)
	case *proviso.Message:
		if sent != nil {
			s.applyMessage(ev.Seq, sent.Event.Body.(*proviso.Message))
			s.origins.message(b)
		}
	case *proviso.Lifecycle:
		if sent != nil {
			s.applyLifecycle(in, b)
		}
	}
	if r.Redacted {
		s.redacted(ev)
	}
	return nil
}

// passed reports whether what the event carries took effect: the decision let it pass, or a recording shows that it did.
func passed(r *proviso.Record) bool {
	switch r.Event.Body.(type) {
	case *proviso.ToolCall:
		return r.Phase == proviso.Released
	case *proviso.ToolResult:
		return false // the original is what counts; edits only change what the agent reads
	}
	return r.Decision.Outcome == proviso.Allow || r.Phase == proviso.Released
}

func (s *State) applyCall(in, sent *policy.Input, r *proviso.Record, anew bool) {
	s.past.attempted(in)
	s.talk.hold(in, r.Decision.Missing)
	if sent == nil {
		s.past.denied(in)
		return
	}
	stale := r.Stale
	if anew {
		stale = s.rules.Spoils(sent)
	}
	c := &call{in: sent, seq: s.seq, asked: s.origins.asksFor(in, sent)}
	if r.Redacted {
		c.asked = r.Kept != nil && r.Kept.Asked
	}
	s.calls.add(c)
	if s.origins.tracks && s.rules.AsksConsent() && s.talk.Confirmed(in) == proviso.True {
		s.origins.confirmed(sent)
	}
	s.past.released(c)
	for _, k := range stale {
		s.facts.spoil(k, s.seq)
	}
	s.talk.spend(s.seq, in)
	if sent != in {
		s.talk.spend(s.seq, sent)
	}
	s.move(sent)
}

func (s *State) applyResult(in *policy.Input, b *proviso.ToolResult, r *proviso.Record, anew bool) {
	c := s.calls.answeredBy(b)
	if c == nil || r.Unverified {
		// The agent may have read it nevertheless.
		s.origins.result(in, b, hearsay)
		return
	}
	got := r.Facts
	if anew && r.Phase == proviso.OK && r.Decision.Outcome == proviso.Allow {
		got = inUTC(s.rules.Observe(in, soFar{&s.facts, s.calls.held}))
	}
	a := answered{call: c, in: in, phase: r.Phase, facts: got, seq: s.seq, at: s.past.clock}
	if s.calls.hold(a) {
		return
	}
	s.finish(a)
}

// finish lets a result count.
func (s *State) finish(a answered) {
	s.calls.remove(a.call)
	st := plain
	if a.call.asked {
		st = asked
	}
	s.origins.result(a.in, a.in.Event.Body.(*proviso.ToolResult), st)
	s.past.finished(a.call, a.phase, a.at)
	for _, f := range a.facts {
		s.facts.observe(f, a.call.seq)
	}
	s.facts.settled(a.call.seq, a.seq, &s.calls)
	if a.phase == proviso.OK {
		s.move(a.in)
	}
}

func (s *State) applyMessage(seq uint64, m *proviso.Message) {
	if m.Role == proviso.User {
		s.turns++
		s.vars["turns"] = s.turns
	}
	s.talk.say(seq, m)
}

func (s *State) applyLifecycle(in *policy.Input, l *proviso.Lifecycle) {
	s.origins.goOn(l.Labels)
	switch l.Kind {
	case "start":
		// A second start would let a client become somebody else in the middle of a session.
		if s.begun {
			return
		}
		s.begun, s.parent = true, nil
		s.origins.begin(l)
		s.agents = in.Event.Agents
		s.vars["user"] = l.User
		for k, v := range l.Attributes {
			s.setVar(k, v)
		}
	default:
		s.move(in)
	}
}

// setVar sets a declared attribute. One that does not conform is left out altogether, its default as well, so that reading it is an error.
func (s *State) setVar(name string, v any) {
	if builtinVar[name] {
		return
	}
	x, err := s.rules.SessionValue(name, asDecoded(v))
	if err != nil {
		delete(s.vars, name)
		return
	}
	s.vars[name] = x
}

func (s *State) top() string {
	if n := len(s.scopes); n > 0 {
		return s.scopes[n-1]
	}
	return ""
}

// move pushes and pops scopes.
func (s *State) move(in *policy.Input) {
	push, pop := s.rules.ScopeMoves(in, s.top())
	if pop && len(s.scopes) > 0 {
		s.scopes = s.scopes[:len(s.scopes)-1]
	}
	s.scopes = append(s.scopes, push...)
	if len(s.scopes) > MaxScopes {
		s.scopes = s.scopes[len(s.scopes)-MaxScopes:]
		s.fault = &proviso.Fault{Code: CodeFull, Msg: fmt.Sprintf("session: more than %d scopes on the stack", MaxScopes), Hint: "leave scopes that are done with"}
	}
}

// Messages returns the newest messages of the session, at most n of them and as far as they are kept, the oldest first.
func (s *State) Messages(n int) []proviso.Message { return s.talk.last(n) }

// Fold rebuilds the state of a session from all its records in order.
func Fold(rules Rules, id string, records iter.Seq[proviso.Record]) (*State, error) {
	s := New(rules, id)
	for r := range records {
		if err := s.Apply(nil, &r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// FoldError tells why a record or snapshot could not become part of a state. Code is one of the PV5 codes.
type FoldError struct{ Code, Msg string }

// Error returns message and code in one line.
func (e *FoldError) Error() string { return fmt.Sprintf("session: %s [%s]", e.Msg, e.Code) }

// asDecoded returns a value as the strict decoder would give it back, so that an attribute set by a program and one read from a record are the same.
func asDecoded(v any) any {
	if d, err := proviso.DecodeResultJSON(proviso.CanonicalJSON(v)); err == nil {
		return d
	}
	return v
}

// inUTC puts the timestamps of facts into UTC, where a record has them too. A fact that is nested so deeply that a record of it could not be read again is in error.
func inUTC(fs []proviso.FactValue) []proviso.FactValue {
	for i := range fs {
		if deeper(fs[i].Value, maxFactDepth) {
			fs[i].Value, fs[i].Err = nil, fmt.Sprintf("nested deeper than %d", maxFactDepth)
			continue
		}
		fs[i].Value, _ = utc(fs[i].Value)
	}
	return fs
}

// maxFactDepth is how deep the value of a fact may be nested: a record nests it further.
const maxFactDepth = proviso.MaxJSONDepth - 16

// deeper reports whether lists and maps are nested deeper than n.
func deeper(v any, n int) bool {
	switch v := v.(type) {
	case []any:
		return n == 0 || slices.ContainsFunc(v, func(e any) bool { return deeper(e, n-1) })
	case map[string]any:
		if n == 0 {
			return true
		}
		for _, e := range v {
			if deeper(e, n-1) {
				return true
			}
		}
	}
	return false
}

// utc copies only what it has to change: the value may be shared with a table of the policy.
func utc(v any) (any, bool) {
	changed := false
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), v.Location() != time.UTC
	case []any:
		for i, e := range v {
			n, c := utc(e)
			if !c {
				continue
			}
			if !changed {
				v, changed = slices.Clone(v), true
			}
			v[i] = n
		}
		return v, changed
	case map[string]any:
		out := v
		for k, e := range v {
			n, c := utc(e)
			if !c {
				continue
			}
			if !changed {
				out, changed = maps.Clone(v), true
			}
			out[k] = n
		}
		return out, changed
	}
	return v, false
}
