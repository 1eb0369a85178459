package audit

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

// The codes of the failures of a case.
const (
	CodeWanted     = "PV411" // a step was decided otherwise than the case wants
	CodeUnexpected = "PV412" // a step that wants nothing was stopped
	CodeEmptyCase  = "PV413" // a case without steps
)

// CaseResult is what became of one case. Failures are empty where every step was decided as wanted.
type CaseResult struct {
	Name     string              `json:"name"`
	Pos      proviso.Pos         `json:"pos"`
	Steps    []StepResult        `json:"steps"`
	Failures proviso.Diagnostics `json:"failures,omitempty"`
}

// Passed reports whether every step was decided as wanted.
func (c *CaseResult) Passed() bool { return len(c.Failures) == 0 }

// StepResult is the decision about one step, and about the result of a call where one was played.
type StepResult struct {
	Pos      proviso.Pos        `json:"pos"`
	Event    proviso.Event      `json:"event"`
	Decision proviso.Decision   `json:"decision"`
	Result   *proviso.Decision  `json:"result,omitempty"`
	States   []policy.RuleState `json:"-"` // what every rule said, for coverage
}

// Test plays cases through sessions of their own and compares every decision with the one wanted. The results are in the order of the cases.
//
// Scripted answers are given whenever a decision asks for them. A result is played where its call is allowed, one second after it.
// A name behind the outcome must occur among the rules that gave a reason, edited or noticed, or among the facts, questions and confirmations that are missing.
func Test(p *policy.Policy, cases []pack.Case) []CaseResult {
	out := make([]CaseResult, len(cases))
	for i := range cases {
		out[i] = playCase(p, &cases[i])
	}
	return out
}

// caseTime is when cases begin that do not say.
var caseTime = time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

// casePlayer plays one case.
type casePlayer struct {
	policy *policy.Policy
	c      *pack.Case
	state  *session.State
	now    time.Time
	calls  int
	out    CaseResult
}

func playCase(p *policy.Policy, c *pack.Case) CaseResult {
	pl := &casePlayer{policy: p, c: c, state: session.New(p, c.Name), now: c.Now, out: CaseResult{Name: c.Name, Pos: c.Pos}}
	if pl.now.IsZero() {
		pl.now = caseTime
	}
	if len(c.Steps) == 0 {
		pl.fail(c.Pos, CodeEmptyCase, "the case has no steps", "give it one")
		return pl.out
	}
	start := &proviso.Lifecycle{Kind: "start", Attributes: map[string]any{}}
	for k, v := range c.Session {
		if k == "user" {
			start.User, _ = v.(string)
			continue
		}
		start.Attributes[k] = v
	}
	pl.decide(proviso.SessionStart, start, "")
	for i := range c.Steps {
		pl.step(&c.Steps[i], i == 0)
	}
	return pl.out
}

func (p *casePlayer) fail(pos proviso.Pos, code, msg, hint string) {
	p.out.Failures = append(p.out.Failures, proviso.Diagnostic{Pos: pos, Code: code, Msg: fmt.Sprintf("case %q: %s", p.c.Name, msg), Hint: hint})
}

func (p *casePlayer) step(s *pack.Step, first bool) {
	switch {
	case s.After > 0:
		p.now = p.now.Add(s.After)
	case !first:
		p.now = p.now.Add(time.Second)
	}
	point, body := p.body(s)
	res := p.decide(point, body, s.Agent)
	res.Pos = s.Pos
	if call, ok := body.(*proviso.ToolCall); ok && res.Decision.Outcome == proviso.Allow && (s.HasResult || s.Error) {
		p.now = p.now.Add(time.Second)
		r := p.decide(proviso.ToolResultPoint, resultOf(call, s), s.Agent)
		res.Result = &r.Decision
		res.States = append(res.States, r.States...)
	}
	p.compare(s, &res)
	p.out.Steps = append(p.out.Steps, res)
}

// body returns the event of a step.
func (p *casePlayer) body(s *pack.Step) (proviso.Point, proviso.Body) {
	switch {
	case s.User != nil:
		return proviso.Input, &proviso.Message{Role: proviso.User, Text: *s.User}
	case s.Assistant != nil:
		return proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: *s.Assistant}
	case s.System != nil:
		return proviso.Input, &proviso.Message{Role: proviso.System, Text: *s.System}
	case s.Handoff != "":
		return proviso.SessionStart, &proviso.Lifecycle{Kind: "handoff", Name: s.Handoff}
	case s.Return:
		return proviso.SessionStart, &proviso.Lifecycle{Kind: "return"}
	case s.End:
		return proviso.SessionEnd, &proviso.Lifecycle{Kind: "end"}
	}
	p.calls++
	call := &proviso.ToolCall{ID: "call-" + strconv.Itoa(p.calls), Tool: s.Call, Args: proviso.JSON(s.RawArgs)}
	if s.RawArgs == "" {
		args := s.Args
		if args == nil {
			args = map[string]any{}
		}
		call.Args = llm.Raw(args)
	}
	return proviso.ToolCallPoint, call
}

func resultOf(call *proviso.ToolCall, s *pack.Step) *proviso.ToolResult {
	if text, ok := s.Result.(string); ok || !s.HasResult {
		return llm.ResultOf(call.ID, call.Tool, text, s.Error)
	}
	return &proviso.ToolResult{CallID: call.ID, Tool: call.Tool, Content: llm.Raw(s.Result), IsError: s.Error}
}

// decide decides an event, with the scripted answers, and makes it part of the session.
func (p *casePlayer) decide(point proviso.Point, body proviso.Body, agent string) StepResult {
	ev := proviso.Event{Session: p.state.ID(), Seq: p.state.Next(), Time: p.now, Point: point, Body: body}
	if agent == "" {
		agent = p.c.Agent
	}
	if agent != "" {
		ev.Agents = []string{agent}
	}
	in := p.state.Bind(&ev)
	d := p.policy.Decide(in, p.state.View(in))
	for range p.c.Answers {
		if !p.answer(d.Missing) {
			break
		}
		d = p.policy.Decide(in, p.state.View(in))
	}
	res := StepResult{Event: ev, Decision: d, States: p.policy.Explain(in, p.state.View(in))}
	rec := p.state.Record(in, d)
	if err := p.state.Apply(in, &rec); err != nil {
		p.fail(p.c.Pos, CodeStep, err.Error(), "")
	}
	return res
}

// answer gives the scripted answers to the questions among what is missing, and reports whether there were any.
func (p *casePlayer) answer(missing []proviso.Missing) bool {
	var as []proviso.Answer
	for _, q := range p.state.Questions(missing) {
		if v, ok := p.c.Answers[q.ID]; ok && v != proviso.Unknown {
			as = append(as, proviso.Answer{Question: q.ID, Hash: q.Hash, Value: v, By: "case"})
		}
	}
	if len(as) > 0 {
		p.state.Answer(as)
	}
	return len(as) > 0
}

func (p *casePlayer) compare(s *pack.Step, res *StepResult) {
	if s.Want == nil {
		p.unstopped(s, res)
		return
	}
	if p.matches(s.Pos, s.Want, &res.Decision) {
		p.played(s, res)
	}
}

// matches compares a decision with what is wanted, and reports whether the outcome is right.
func (p *casePlayer) matches(pos proviso.Pos, w *pack.Want, d *proviso.Decision) bool {
	if w.Pos != (proviso.Pos{}) {
		pos = w.Pos
	}
	if d.Outcome != w.Outcome {
		p.fail(pos, CodeWanted, fmt.Sprintf("wanted %s, got %s", wanted(w), Describe(d)), "")
		return false
	}
	named := names(d)
	for _, n := range w.Names {
		if !named[n] {
			p.fail(pos, CodeWanted, fmt.Sprintf("wanted %s, but %q does not occur in %s", wanted(w), n, Describe(d)), proviso.DidYouMean(n, sorted(named)))
		}
	}
	if w.Only {
		for _, n := range effectsOf(d) {
			if !slices.Contains(w.Names, n) {
				p.fail(pos, CodeWanted, fmt.Sprintf("wanted %s, but rule %s edits or notices", wanted(w), n), "name the rule, or mend its condition")
			}
		}
	}
	return true
}

// effectsOf lists the rules whose edits and notices a decision carries, each once.
func effectsOf(d *proviso.Decision) []string {
	set := map[string]bool{}
	for _, e := range d.Edits {
		set[e.Rule] = true
	}
	for _, n := range d.Notices {
		set[n.Rule] = true
	}
	return sorted(set)
}

// unstopped checks a step that wants nothing: it must not be denied, and a result that it gives must reach the agent.
func (p *casePlayer) unstopped(s *pack.Step, res *StepResult) {
	if o := res.Decision.Outcome; o == proviso.Deny || o != proviso.Allow && s.HasResult {
		p.fail(s.Pos, CodeUnexpected, "a step that wants nothing: "+Describe(&res.Decision), "write what is wanted with want:, or mend the policy")
		return
	}
	p.played(s, res)
}

// played checks that a result which the step gives was decided as wanted; without a want it must have reached the agent.
func (p *casePlayer) played(s *pack.Step, res *StepResult) {
	if res.Result != nil && s.ResultWant != nil {
		p.matches(s.Pos, s.ResultWant, res.Result)
		return
	}
	if res.Result != nil && res.Result.Outcome != proviso.Allow {
		p.fail(s.Pos, CodeUnexpected, "the result of "+s.Call+": "+Describe(res.Result), "")
	}
}

func wanted(w *pack.Want) string {
	words := []string{w.Outcome.String()}
	if w.Only {
		words = append(words, "only")
	}
	return strings.Join(append(words, w.Names...), " ")
}

// names lists everything that a decision names.
func names(d *proviso.Decision) map[string]bool {
	out := map[string]bool{}
	for _, r := range d.Reasons {
		out[r.Rule] = true
	}
	for _, e := range d.Edits {
		out[e.Rule] = true
	}
	for _, n := range d.Notices {
		out[n.Rule] = true
	}
	for _, m := range d.Missing {
		out[missingName(m)] = true
		for _, r := range m.Rules {
			out[r] = true
		}
	}
	return out
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for n := range set {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

func missingName(m proviso.Missing) string {
	switch m.Kind {
	case proviso.MissingFact:
		return m.Fact
	case proviso.MissingQuestion:
		return m.Question
	}
	return string(m.Kind)
}

// Describe tells a decision in one line: its outcome, the rules that gave reasons with what decided them or else what is missing and who supplies it, and what went wrong.
func Describe(d *proviso.Decision) string {
	out := []string{d.Outcome.String()}
	said := map[string]bool{}
	for _, r := range d.Reasons {
		if len(d.Missing) > 0 {
			break
		}
		said[r.Agent] = true
		s := r.Rule
		if r.Outcome != d.Outcome {
			s += " (" + r.Outcome.String() + ")"
		}
		if r.Mode != "" {
			s += " (" + r.Mode + " only)"
		}
		if lines := because(&proviso.Evidence{Cause: plain(r.Because, d.Errors)}); len(lines) > 0 {
			s += " because " + strings.Join(lines, ", ")
		} else if r.Agent != "" {
			s += ": " + r.Agent
		}
		out = append(out, s)
	}
	for _, m := range d.Missing {
		out = append(out, describeMissing(m))
	}
	for _, f := range d.Errors {
		if !said[f.Msg] {
			out = append(out, "error "+f.String())
		}
	}
	return form.Line(strings.Join(out, "; "))
}

func describeMissing(m proviso.Missing) string {
	s := "missing " + string(m.Kind)
	if m.Kind != proviso.MissingConfirmation {
		s += " " + missingName(m)
	}
	for _, k := range m.Key {
		s += "[" + string(proviso.CanonicalJSON(k.Val)) + "]"
	}
	if len(m.Rules) > 0 {
		s += " for " + strings.Join(m.Rules, ", ")
	}
	for i, sup := range m.Suppliers {
		if i > 0 {
			s += " or"
		}
		s += " from " + sup.Tool
	}
	return s
}
