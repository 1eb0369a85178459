package corpus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

// scenario is one conversation of an archive: a case as packs write them, or lines of events.
type scenario struct {
	name    string
	now     time.Time
	start   proviso.Lifecycle
	agent   string
	answers map[string]proviso.Tri
	steps   []step
}

// step is one thing that happens. Exactly one of event, together, resend and variant is set.
type step struct {
	event      proviso.Event // point, agents and body; the player numbers and times it
	after      time.Duration // since the step before; 0 means a second
	result     *proviso.ToolResult
	approved   []string               // rules that an approval satisfies for this event
	answers    map[string]proviso.Tri // to questions that this event asks
	executed   bool                   // a recording shows that it happened, whatever was decided
	together   []proviso.Event        // the calls of one response, decided by a guard as a batch
	wants      []*pack.Want           // of these
	resend     []proviso.Event        // the client sends its whole transcript again
	variant    string                 // from here on another version of the pack decides
	want       *pack.Want
	resultWant *pack.Want // of the result that is played
}

// beginning is when conversations begin that do not say.
var beginning = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// outcome is what came of one event.
type outcome struct {
	event    proviso.Event // as bound
	rules    *policy.Policy
	approved []string
	decision proviso.Decision
	answered []proviso.Answer
	sent     *proviso.Event // as it is forwarded, nil where it is not
	record   proviso.Record
	resent   string // instead of an event, what a resent transcript showed
	want     *pack.Want
}

// way is how a scenario is played. The zero value is the direct one.
type way struct {
	throughJSON bool // events are written as JSON and read again before they are bound
	restored    bool // before each event the state is written as a snapshot and restored
}

// player plays one scenario.
type player struct {
	t        *testing.T
	variants map[string]*policy.Policy
	rules    *policy.Policy
	state    *session.State
	records  []proviso.Record
	way      way
	sc       *scenario
	now      time.Time
	calls    int
	out      []outcome
}

func play(t *testing.T, rules *policy.Policy, variants map[string]*policy.Policy, sc *scenario, w way) []outcome {
	p := &player{t: t, variants: variants, rules: rules, sc: sc, now: sc.now, way: w}
	p.state = session.New(p.rules, sc.name)
	p.event(proviso.Event{Point: proviso.SessionStart, Body: &sc.start}, step{})
	for i := range sc.steps {
		p.step(&sc.steps[i], i == 0)
	}
	return p.out
}

func (p *player) step(s *step, first bool) {
	switch {
	case s.after > 0:
		p.now = p.now.Add(s.after)
	case !first:
		p.now = p.now.Add(time.Second)
	}
	switch {
	case s.together != nil:
		p.t.Fatal("calls together are a matter of the guard")
	case s.variant != "":
		p.change(s.variant)
		return
	case s.resend != nil:
		fresh, changed := p.state.Resync(s.resend)
		p.out = append(p.out, outcome{resent: fmt.Sprintf("the client sends %d entries again: %d are new, the rest is %s", len(s.resend), len(fresh), map[bool]string{true: "changed", false: "as it was"}[changed])})
		return
	}
	o := p.event(s.event, *s)
	if s.result == nil || o.decision.Outcome != proviso.Allow {
		return
	}
	p.now = p.now.Add(time.Second)
	r := *s.result
	call := o.event.Body.(*proviso.ToolCall)
	r.CallID, r.Tool = call.ID, call.Tool
	p.event(proviso.Event{Point: proviso.ToolResultPoint, Agents: s.event.Agents, Body: &r}, step{want: s.resultWant})
}

// change has another version of the pack read the session anew.
func (p *player) change(variant string) {
	p.rules = p.variants[variant]
	if p.rules == nil {
		p.t.Fatalf("there is no variant %q", variant)
	}
	p.state = p.fold()
}

func (p *player) fold() *session.State {
	s, err := session.Fold(p.rules, p.sc.name, slices.Values(p.records))
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// event decides one event, gives the scripted answers where they are asked for, and makes it part of the session.
func (p *player) event(ev proviso.Event, s step) *outcome {
	ev.Session, ev.Seq, ev.Time = p.sc.name, p.state.Next(), p.now
	if len(ev.Agents) == 0 && p.sc.agent != "" {
		ev.Agents = []string{p.sc.agent}
	}
	if call, ok := ev.Body.(*proviso.ToolCall); ok && call.ID == "" {
		p.calls++
		named := *call
		named.ID = "call-" + strconv.Itoa(p.calls)
		ev.Body = &named
	}
	if p.way.throughJSON {
		ev = p.throughJSON(ev)
	}
	if p.way.restored {
		p.restore()
	}
	o := outcome{approved: s.approved, rules: p.rules, want: s.want}
	in := p.state.Bind(&ev)
	o.event = *in.Event
	o.decision = p.decide(in, s.approved)
	answers := s.answers
	if answers == nil {
		answers = p.sc.answers
	}
	for range answers {
		as := p.answers(o.decision.Missing, answers)
		if len(as) == 0 {
			break
		}
		o.answered = append(o.answered, as...)
		p.state.Answer(as)
		o.decision = p.decide(in, s.approved)
	}
	if s.executed {
		o.record = p.state.RecordExecuted(in, o.decision)
	} else {
		o.record = p.state.Record(in, o.decision)
	}
	if err := p.state.Apply(in, &o.record); err != nil {
		p.t.Fatal(err)
	}
	if o.record.Decision.Outcome == proviso.Allow {
		if sent, err := policy.Apply(in, o.decision.Edits); err == nil {
			o.sent = &sent
		}
	}
	p.records = append(p.records, o.record)
	p.out = append(p.out, o)
	return &p.out[len(p.out)-1]
}

func (p *player) decide(in *policy.Input, approved []string) proviso.Decision {
	v := p.state.View(in)
	v.Approved = approved
	return p.rules.Decide(in, v)
}

func (p *player) answers(missing []proviso.Missing, scripted map[string]proviso.Tri) []proviso.Answer {
	var as []proviso.Answer
	for _, q := range p.state.Questions(missing) {
		if v, ok := scripted[q.ID]; ok && v != proviso.Unknown {
			as = append(as, proviso.Answer{Question: q.ID, Hash: q.Hash, Value: v, By: "corpus"})
		}
	}
	return as
}

func (p *player) throughJSON(ev proviso.Event) proviso.Event {
	b, err := proviso.AppendJSON(nil, &ev)
	if err != nil {
		p.t.Fatal(err)
	}
	var out proviso.Event
	if err := proviso.DecodeStrict(b, &out); err != nil {
		p.t.Fatalf("%s: %v", b, err)
	}
	return out
}

func (p *player) restore() {
	b, err := p.state.Snapshot()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.state, err = session.Restore(p.rules, b); err != nil {
		p.t.Fatal(err)
	}
}

// replay decides every event of a played scenario once more, each over a state that is folded from the records before it, which went through JSON.
func replay(t *testing.T, sc *scenario, played []outcome) []outcome {
	var records []proviso.Record
	out := slices.Clone(played)
	for i := range played {
		o := &out[i]
		if o.resent != "" {
			continue
		}
		s, err := session.Fold(o.rules, sc.name, slices.Values(records))
		if err != nil {
			t.Fatal(err)
		}
		b, err := proviso.AppendJSON(nil, &o.record)
		if err != nil {
			t.Fatal(err)
		}
		var r proviso.Record
		if err := proviso.DecodeStrict(b, &r); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		s.Answer(r.Answers)
		in := s.Bind(&r.Event)
		v := s.View(in)
		v.Approved = o.approved
		o.decision = o.rules.Decide(in, v)
		records = append(records, r)
	}
	return out
}

// ---- reading scenarios

// line is one line of events written as JSON.
type line struct {
	Event    *proviso.Event  `json:"event,omitempty"`
	After    string          `json:"after,omitempty"`
	Approved []string        `json:"approved,omitempty"`
	Executed bool            `json:"executed,omitempty"`
	Answers  map[string]bool `json:"answers,omitempty"`
	Together []proviso.Event `json:"together,omitempty"`
	Wants    []string        `json:"wants,omitempty"`
	Resend   []proviso.Event `json:"resend,omitempty"`
	Variant  string          `json:"variant,omitempty"`
	Want     string          `json:"want,omitempty"`
}

// fromLines reads one scenario from JSON lines.
func fromLines(t *testing.T, name string, text []byte) *scenario {
	sc := &scenario{name: name, now: beginning, start: proviso.Lifecycle{Kind: "start"}}
	for i, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var x line
		if err := proviso.DecodeStrict([]byte(l), &x); err != nil {
			t.Fatalf("events:%d: %v", i+1, err)
		}
		s := step{approved: x.Approved, executed: x.Executed, together: x.Together, resend: x.Resend, variant: x.Variant, want: wantOf(t, i+1, x.Want)}
		for _, w := range x.Wants {
			s.wants = append(s.wants, wantOf(t, i+1, w))
		}
		for q, v := range x.Answers {
			if s.answers == nil {
				s.answers = map[string]proviso.Tri{}
			}
			s.answers[q] = proviso.TriOf(v)
		}
		if x.After != "" {
			d, err := time.ParseDuration(x.After)
			if err != nil {
				t.Fatalf("events:%d: %v", i+1, err)
			}
			s.after = d
		}
		if x.Event != nil {
			s.event = *x.Event
		}
		sc.steps = append(sc.steps, s)
	}
	return sc
}

func wantOf(t *testing.T, line int, text string) *pack.Want {
	w := strings.Fields(text)
	if len(w) == 0 {
		return nil
	}
	o, ok := proviso.ParseOutcome(w[0])
	if !ok {
		t.Fatalf("events:%d: %q is no outcome", line, w[0])
	}
	return &pack.Want{Outcome: o, Names: w[1:]}
}

// fromCase translates a case of a pack.
func fromCase(c *pack.Case) *scenario {
	sc := &scenario{name: c.Name, now: c.Now, agent: c.Agent, answers: c.Answers, start: proviso.Lifecycle{Kind: "start"}}
	if sc.now.IsZero() {
		sc.now = beginning
	}
	for k, v := range c.Session {
		if k == "user" {
			sc.start.User, _ = v.(string)
			continue
		}
		if sc.start.Attributes == nil {
			sc.start.Attributes = map[string]any{}
		}
		sc.start.Attributes[k] = v
	}
	for i := range c.Steps {
		sc.steps = append(sc.steps, fromStep(&c.Steps[i]))
	}
	return sc
}

func fromStep(s *pack.Step) step {
	out := step{after: s.After, want: s.Want}
	if s.Agent != "" {
		out.event.Agents = []string{s.Agent}
	}
	say := func(pt proviso.Point, role proviso.Role, text *string) {
		out.event.Point, out.event.Body = pt, &proviso.Message{Role: role, Text: *text}
	}
	life := func(pt proviso.Point, kind, name string) {
		out.event.Point, out.event.Body = pt, &proviso.Lifecycle{Kind: kind, Name: name}
	}
	switch {
	case s.User != nil:
		say(proviso.Input, proviso.User, s.User)
	case s.Assistant != nil:
		say(proviso.Output, proviso.Assistant, s.Assistant)
	case s.System != nil:
		say(proviso.Input, proviso.System, s.System)
	case s.Handoff != "":
		life(proviso.SessionStart, "handoff", s.Handoff)
	case s.Return:
		life(proviso.SessionStart, "return", "")
	case s.End:
		life(proviso.SessionEnd, "end", "")
	default:
		args := proviso.JSON(s.RawArgs)
		if s.RawArgs == "" {
			args = proviso.CanonicalJSON(orEmpty(s.Args))
		}
		out.event.Point, out.event.Body = proviso.ToolCallPoint, &proviso.ToolCall{Tool: s.Call, Args: args}
		out.result, out.resultWant = resultOf(s), s.ResultWant
	}
	return out
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func resultOf(s *pack.Step) *proviso.ToolResult {
	if !s.HasResult && !s.Error {
		return nil
	}
	if text, ok := s.Result.(string); ok || !s.HasResult {
		return &proviso.ToolResult{Text: text, IsError: s.Error}
	}
	return &proviso.ToolResult{Content: proviso.CanonicalJSON(s.Result), IsError: s.Error}
}
