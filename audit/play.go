package audit

import (
	"fmt"
	"path"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// formats are the recordings that are known, the stricter detection first.
var formats = []struct {
	detect func(any) bool
	read   func(string, any) (*llm.Conversation, error)
}{
	{anthropic.Detect, anthropic.Read},
	{openai.Detect, openai.Read},
}

// player plays one recorded session.
type player struct {
	frame *frame
	place int
	state *session.State
	talk  transcript
	sheet sheet
	heard heard
	nears nears
	pair  *pair // nil where nothing is compared
	out   Session
	trace *proviso.Trace
	gaps  bool // the numbers of the recording are not those of the trace
	ended bool // the recording shows the end, or cannot show it
	last  time.Time
	moved int // events since progress was told

	key  string // under which the session is kept in the state, empty where none is
	left int    // records of it that are still to come, where that is known
}

func newPlayer(f *frame, w work, id string, traces bool) *player {
	p := &player{frame: f, place: w.place, state: session.New(f.policy, id), sheet: f.sheet()}
	p.out = Session{Session: id, Source: w.source, Line: w.line}
	if traces {
		p.trace = &proviso.Trace{Session: id, Source: w.source}
	}
	return p
}

// player returns the player of a session, beside one of the other policy where two are compared.
func (r *run) player(w work, id string) *player {
	p := newPlayer(r.frame, w, id, r.cfg.Traces)
	if r.second != nil {
		p.pair = &pair{second: newPlayer(r.second, w, id, false)}
	}
	return p
}

// conversation plays one text that is no record.
func (r *run) conversation(w work) {
	key := r.conversationKey(w)
	if r.restored(key, w.place) {
		return
	}
	pos := proviso.Pos{File: w.source, Line: w.line}
	doc, cut, err := llm.Decode([]byte(w.text))
	if err != nil {
		r.note(proviso.Diagnostic{Pos: pos, Code: CodeUnreadable, Msg: err.Error()})
		return
	}
	conv, err := readAny(w.source, doc)
	if err != nil {
		for _, d := range proviso.AsDiagnostics(err, llm.CodeNoFormat, pos) {
			d.Pos = pos
			r.note(d)
		}
		return
	}
	id := conv.Session
	if id == "" {
		id = fmt.Sprintf("%s:%d", path.Base(w.source), w.line)
	}
	p := r.player(w, id)
	p.key = key
	p.out.Truncated = cut || conv.Truncated
	p.ended = p.out.Truncated
	for _, d := range conv.Diagnostics {
		d.Pos.Line = w.line
		p.out.Notes = append(p.out.Notes, d)
	}
	if cut && !conv.Truncated {
		p.out.Notes = append(p.out.Notes, proviso.Diagnostic{Pos: pos, Code: llm.CodeTruncated, Severity: proviso.Warning, Msg: "the text was cut off; the turns that are complete were read"})
	}
	clock := clock{at: conv.Time}
	if conv.Time.IsZero() {
		clock = clockFrom(r.cfg.Now)
		if r.cfg.Now.IsZero() && r.cfg.Policy.Now(time.Time{}).IsZero() {
			p.out.Notes = append(p.out.Notes, proviso.Diagnostic{Pos: pos, Code: CodeNoTime, Severity: proviso.Warning, Msg: "the recording does not say when it was", Hint: "say what time to assume"})
		}
	}
	p.step(&proviso.Event{Time: clock.at, Point: proviso.SessionStart, Body: &proviso.Lifecycle{Kind: "start", User: conv.User, Attributes: conv.Attributes}}, nil)
	for i := range conv.Events {
		ev := conv.Events[i]
		ev.Time = clock.time(ev.Time)
		p.step(&ev, nil)
		r.count(p)
	}
	r.finish(p)
}

// clock gives the events of a recording without times a second each.
type clock struct {
	at   time.Time
	runs bool
}

func clockFrom(at time.Time) clock { return clock{at, !at.IsZero()} }

func (c *clock) time(recorded time.Time) time.Time {
	if c.runs {
		c.at = c.at.Add(time.Second)
		return c.at
	}
	c.at = recorded
	return recorded
}

func readAny(source string, doc any) (*llm.Conversation, error) {
	for _, f := range formats {
		if f.detect(doc) {
			return f.read(source, doc)
		}
	}
	return nil, proviso.Diagnostic{Code: llm.CodeNoFormat, Msg: "the value is no conversation in a known format", Hint: "known are OpenAI chat completions and responses, Anthropic messages, and Proviso's own records"}
}

// records plays lines of records, each in the session it belongs to.
func (r *run) records(w work, players map[string]*player) {
	for _, l := range w.records {
		rec, err := l.record()
		if err != nil {
			r.note(proviso.Diagnostic{Pos: proviso.Pos{File: w.source, Line: l.line}, Code: CodeUnreadable, Msg: err.Error(), Hint: "the session is audited without this record"})
			r.spoil(l.session)
			continue
		}
		p := players[l.session]
		if p == nil {
			p = r.player(work{source: w.source, line: l.line, place: l.place}, l.session)
			p.key, p.left = r.recordsKey(l.session)
			players[l.session] = p
		}
		if rec.Event.Point == proviso.SessionEnd {
			p.ended = true
		}
		p.step(&rec.Event, &rec)
		r.count(p)
		if p.left--; p.left == 0 {
			delete(players, l.session)
			r.finish(p)
		}
	}
}

// count counts an event of a recording, and tells the progress now and then.
func (r *run) count(p *player) {
	p.out.Events++
	if p.moved++; p.moved < 256 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress(p.moved)
	p.moved = 0
}

// transcript answers for a recording what nobody can be asked any more: a confirmation that was not given before the call was not given.
// It remembers the answer for the call that was asked about last, which is decided and then explained.
type transcript struct {
	policy.Consent
	about  *policy.Input
	answer proviso.Tri
}

func (t *transcript) Confirmed(in *policy.Input) proviso.Tri {
	if t.about != in {
		t.about, t.answer = in, proviso.False
		if t.Consent.Confirmed(in) == proviso.True {
			t.answer = proviso.True
		}
	}
	return t.answer
}

// step decides one event, as live, and makes it part of the session, as recorded; it keeps the event. rec is the record that it came in, nil for a conversation of others.
func (p *player) step(ev *proviso.Event, rec *proviso.Record) {
	if p.pair != nil {
		p.both(*ev, ev, rec)
		return
	}
	in, d, view, seq := p.decide(ev, rec)
	p.sheet.look(step{in: in, view: view, decision: &d, seq: seq, prevented: prevented(rec), heard: &p.heard, approval: approvalOf(rec)})
	if d.Outcome == proviso.NeedInfo && ev.Point == proviso.ToolCallPoint && !prevented(rec) {
		p.nears.note(p.state, in, &d, seq)
	}
	p.heard.hear(seq, ev)
	p.apply(in, d, rec, seq)
}

// both decides an event under two policies and compares what they say.
func (p *player) both(again proviso.Event, ev *proviso.Event, rec *proviso.Record) {
	in, a, _, seq := p.decide(ev, rec)
	in2, b, _, _ := p.pair.second.decide(&again, rec)
	p.compare(in, seq, &a, &b)
	p.apply(in, a, rec, seq)
	p.pair.second.apply(in2, b, rec, seq)
}

// decide decides one event as live, with what the session has shown until then.
func (p *player) decide(ev *proviso.Event, rec *proviso.Record) (*policy.Input, proviso.Decision, *policy.View, uint64) {
	seq := ev.Seq
	p.last = ev.Time
	ev.Session, ev.Seq = p.state.ID(), p.state.Next()
	if rec == nil {
		seq = ev.Seq
	} else {
		p.state.Answer(rec.Answers)
	}
	in := p.state.Bind(ev)
	view := p.state.View(in)
	p.talk.Consent, view.Consent = view.Consent, &p.talk
	if len(p.nears.open) > 0 {
		p.nears.look(p.frame.policy, view.Facts)
	}
	if a := approvalOf(rec); a != nil {
		view.Approved = a.Rules
	}
	return in, p.frame.policy.Decide(in, view), view, seq
}

// apply makes a decided event part of the session, as recorded.
func (p *player) apply(in *policy.Input, d proviso.Decision, rec *proviso.Record, seq uint64) {
	ev := in.Event
	out := p.state.RecordExecuted(in, d)
	if prevented(rec) && ev.Point == proviso.ToolCallPoint {
		out.Phase, out.Stale = proviso.Denied, nil
	}
	p.nears.show(out.Facts, seq)
	if err := p.state.Apply(in, &out); err != nil {
		p.out.Notes = append(p.out.Notes, proviso.Diagnostic{Pos: proviso.Pos{File: p.out.Source, Line: p.out.Line}, Code: CodeStep, Severity: proviso.Warning, Msg: fmt.Sprintf("event %d: %v", seq, err)})
	}
	if ev.Point == proviso.ToolCallPoint {
		p.out.Calls++
	}
	if p.trace != nil {
		p.trace.Records = append(p.trace.Records, out)
		p.gaps = p.gaps || seq != ev.Seq
		p.out.Numbers = append(p.out.Numbers, seq)
	}
}

// approvalOf is the approval that released a recorded call, nil where none did.
// It counts whatever policy it was given under: the person saw this very call, and it satisfies only the rules that it names.
func approvalOf(rec *proviso.Record) *proviso.ApprovalUse {
	if rec == nil || rec.Phase != proviso.Released {
		return nil
	}
	return rec.Approval
}

// prevented reports whether a guard stopped what was recorded, so that it did not happen.
func prevented(rec *proviso.Record) bool {
	if rec == nil {
		return false
	}
	if rec.Event.Point == proviso.ToolCallPoint {
		return rec.Phase == proviso.Denied
	}
	return rec.Decision.Outcome != proviso.Allow
}

// finish ends the session, unless the recording stops before its end, and returns what it shows.
func (p *player) finish() Session {
	if !p.ended {
		p.step(&proviso.Event{Time: p.last, Point: proviso.SessionEnd, Body: &proviso.Lifecycle{Kind: "end"}}, nil)
	}
	p.out.pair = p.pair
	p.out.NearMisses, p.out.Obligations = p.nears.found, p.sheet.obligations
	p.out.Verdicts, p.out.Would = p.sheet.verdicts(p.out.Session)
	for _, v := range p.out.Verdicts {
		p.out.Status = max(p.out.Status, v.Status)
	}
	p.out.Trace = p.trace
	if !p.gaps {
		p.out.Numbers = nil
	}
	return p.out
}
