package audit

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// MaxEvidence is how many pieces of evidence a verdict keeps; those of worse status drive out others.
const MaxEvidence = 8

// maxQuote is how many bytes of an event a quote holds.
const maxQuote = 200

// frame is what all sessions of an audit share.
type frame struct {
	policy  *policy.Policy
	clauses []proviso.Clause // that rules cite, in the order of the documents; then the pseudo clauses
	real    int              // how many of them are clauses of documents
	number  map[string]int   // id → place in clauses
	rules   map[string]*ruleInfo
	byEvent map[event][]int // rules that speak of a point and tool, as their numbers
	uncited []proviso.Clause
}

type event struct {
	point proviso.Point
	tool  string
}

type ruleInfo struct {
	number    int
	clauses   []int
	escalates bool
}

// The ids of the pseudo clauses, for what decides without a rule of the pack, as policy names it.
var pseudo = map[string]proviso.Clause{
	"grants": {ID: "(grants)", Text: "A tool may be called only where a grant permits it."},
	"input":  {ID: "(input)", Text: "A call must be one that can be read: a known tool, and arguments that conform to its schema."},
	"edits":  {ID: "(edits)", Text: "Rules must not set one value to two."},
}

func newFrame(p *policy.Policy) *frame {
	f := &frame{policy: p, number: map[string]int{}, rules: map[string]*ruleInfo{}, byEvent: map[event][]int{}}
	cited := map[string]bool{}
	infos := p.Rules()
	for _, r := range infos {
		for _, c := range r.Clauses {
			cited[c.ID] = true
		}
	}
	for _, pk := range p.Packs() {
		if pk.Document == nil {
			continue
		}
		for _, c := range pk.Document.Clauses {
			if cited[c.ID] {
				f.add(c.Cite())
			} else {
				f.uncited = append(f.uncited, c.Cite())
			}
		}
	}
	for _, r := range infos {
		for _, c := range r.Clauses {
			f.add(c)
		}
	}
	f.real = len(f.clauses)
	for n, r := range infos {
		info := &ruleInfo{number: n, escalates: r.Outcome == proviso.Escalate}
		for _, c := range r.Clauses {
			info.clauses = append(info.clauses, f.add(c))
		}
		if len(r.Clauses) == 0 {
			info.clauses = []int{f.add(proviso.Clause{ID: "(rule " + r.ID + ")", Text: "Rule " + r.ID + " cites no clause."})}
		}
		f.rules[r.ID] = info
		if r.Mode == pack.Off {
			continue
		}
		for _, point := range r.Points {
			if len(r.Tools) == 0 {
				f.byEvent[event{point, ""}] = append(f.byEvent[event{point, ""}], n)
			}
			for _, t := range r.Tools {
				f.byEvent[event{point, t}] = append(f.byEvent[event{point, t}], n)
			}
		}
	}
	names := make([]string, 0, len(pseudo))
	for n := range pseudo {
		names = append(names, n)
	}
	sort.Strings(names)
	for i, n := range names {
		f.rules[n] = &ruleInfo{number: len(infos) + i, clauses: []int{f.add(pseudo[n])}}
	}
	return f
}

// add numbers a clause.
func (f *frame) add(c proviso.Clause) int {
	n, ok := f.number[c.ID]
	if !ok {
		n = len(f.clauses)
		f.number[c.ID] = n
		f.clauses = append(f.clauses, c)
	}
	return n
}

// sheet collects what one session shows about every clause.
type sheet struct {
	frame *frame
	now   []tally // by clause
	would []tally // of rules in audit mode
	seen  []bool  // by rule: it applied and held at least once

	obligations []Obligation
}

type tally struct {
	status   proviso.Status
	rules    []string
	evidence []proviso.Evidence
}

func (f *frame) sheet() sheet {
	return sheet{frame: f, now: make([]tally, len(f.clauses)), would: make([]tally, len(f.clauses)), seen: make([]bool, len(f.rules))}
}

// step is one decided event.
type step struct {
	in        *policy.Input
	view      *policy.View
	decision  *proviso.Decision
	seq       uint64
	prevented bool
	heard     *heard
	approval  *proviso.ApprovalUse
}

// look takes down what a step shows. A step that nothing stopped shows nothing new once every rule that speaks of it has been seen to hold.
func (s *sheet) look(st step) {
	d := st.decision
	if st.approval == nil && d.Outcome == proviso.Allow && len(d.Reasons)+len(d.Edits)+len(d.Notices)+len(d.Errors) == 0 && s.known(st.in) {
		return
	}
	if st.in.Fault != nil {
		s.take(st, "input", proviso.Violated, pack.Enforce, nil)
		return
	}
	edits := map[string]bool{}
	for _, e := range d.Edits {
		edits[e.Rule] = true
	}
	for _, r := range d.Reasons {
		if r.Rule == "edits" {
			s.take(st, "edits", proviso.Errored, pack.Enforce, nil)
		}
	}
	s.approved(st)
	for _, r := range s.frame.policy.Explain(st.in, st.view) {
		status, ok := statusOf(r, edits[r.Rule])
		if !ok {
			continue
		}
		s.oblige(st, r, status)
		if status == proviso.Satisfied {
			s.seen[s.frame.rules[r.Rule].number] = true
		}
		s.take(st, r.Rule, status, r.Mode, r.Causes)
	}
}

// known reports whether all rules that speak of the event have been seen to hold.
func (s *sheet) known(in *policy.Input) bool {
	e := event{point: in.Event.Point}
	if e.point == proviso.SessionEnd && len(s.frame.byEvent[e]) > 0 {
		return false // every obligation is told
	}
	for _, tool := range [...]string{"", in.Tool()} {
		e.tool = tool
		for _, n := range s.frame.byEvent[e] {
			if !s.seen[n] {
				return false
			}
		}
		if tool == "" && in.Tool() == "" {
			break
		}
	}
	return in.Event.Point != proviso.ToolCallPoint || s.seen[s.frame.rules["grants"].number]
}

// statusOf says what the state of a rule shows; ok is false where it shows nothing.
// Rules that only edit or notice are violated where the recorded text had what they would have edited.
func statusOf(r policy.RuleState, edits bool) (status proviso.Status, ok bool) {
	mayFail := r.Outcome != proviso.Allow || edits
	switch {
	case r.Applies == proviso.False:
		return proviso.Dormant, false
	case r.Errored:
		return proviso.Errored, true
	case r.Applies == proviso.True && (r.Holds == proviso.True || r.Holds == proviso.False && !mayFail):
		return proviso.Satisfied, true
	case r.Applies == proviso.True && r.Holds == proviso.False:
		return proviso.Violated, true
	}
	return proviso.Undetermined, r.Holds != proviso.True
}

// approved satisfies the clauses of the rules that a person approved the call under.
func (s *sheet) approved(st step) {
	if st.approval == nil {
		return
	}
	for _, rule := range st.approval.Rules {
		if info := s.frame.rules[rule]; info != nil && info.escalates {
			for _, n := range info.clauses {
				if t := &s.now[n]; t.status <= proviso.Satisfied {
					t.evidence = nil // that somebody approved says more than that nothing happened
				}
			}
			s.take(st, rule, proviso.Satisfied, pack.Enforce, []proviso.Cause{{Expr: "approved by " + st.approval.By + " (approval " + st.approval.ID + ")", Value: "true"}})
		}
	}
}

// oblige takes down what a rule at the end of a session found.
func (s *sheet) oblige(st step, r policy.RuleState, status proviso.Status) {
	if st.in.Event.Point != proviso.SessionEnd || r.Mode != pack.Enforce {
		return
	}
	o := Obligation{Rule: r.Rule, Status: status}
	for _, n := range s.frame.rules[r.Rule].clauses {
		o.Clauses = append(o.Clauses, s.frame.clauses[n])
	}
	if status > proviso.Satisfied {
		o.Cause = plain(r.Causes, st.decision.Errors)
	}
	s.obligations = append(s.obligations, o)
}

// from says who brought in what decided, where it was more than satisfied.
func (st step) from(status proviso.Status, causes []proviso.Cause) []proviso.Source {
	if status <= proviso.Satisfied {
		return nil
	}
	return st.heard.brought(causes, st.view.Origins)
}

// take adds the status that a rule gives its clauses.
func (s *sheet) take(st step, rule string, status proviso.Status, mode pack.Mode, causes []proviso.Cause) {
	if st.prevented {
		status, causes = min(status, proviso.Satisfied), nil
	}
	tallies := s.now
	if mode == pack.Audit {
		tallies = s.would
	}
	for _, n := range s.frame.rules[rule].clauses {
		t := &tallies[n]
		if !contains(t.rules, rule) {
			t.rules = append(t.rules, rule)
		}
		t.status = max(t.status, status)
		if !t.room(status) {
			continue
		}
		t.keep(proviso.Evidence{Seq: st.seq, Point: st.in.Event.Point, Status: status, Rule: rule, Tool: st.in.Tool(), Quote: quote(st.in, causes), Cause: plain(causes, st.decision.Errors), From: st.from(status, causes)})
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// room reports whether evidence of this status would be kept: one piece is enough to show that a clause was satisfied.
func (t *tally) room(status proviso.Status) bool {
	if len(t.evidence) == 0 {
		return true
	}
	worst := t.evidence[0].Status
	return status > worst || status > proviso.Satisfied && len(t.evidence) < MaxEvidence || t.evidence[len(t.evidence)-1].Status < status
}

// keep inserts evidence, the worst first and then in the order of events.
func (t *tally) keep(e proviso.Evidence) {
	i := sort.Search(len(t.evidence), func(i int) bool { return t.evidence[i].Status < e.Status })
	t.evidence = append(t.evidence, proviso.Evidence{})
	copy(t.evidence[i+1:], t.evidence[i:])
	t.evidence[i] = e
	for len(t.evidence) > MaxEvidence || t.evidence[len(t.evidence)-1].Status == proviso.Satisfied && t.evidence[0].Status > proviso.Satisfied {
		t.evidence = t.evidence[:len(t.evidence)-1]
	}
}

// verdicts returns what the session shows about every clause of a document that a rule cites and every pseudo clause that took part, and what rules in audit mode found wrong.
func (s *sheet) verdicts(session string) (now, would []proviso.Verdict) {
	for n, c := range s.frame.clauses {
		if t := s.now[n]; n < s.frame.real || t.status > proviso.Satisfied {
			now = append(now, t.verdict(session, c))
		}
		if t := s.would[n]; t.status > proviso.Satisfied {
			would = append(would, t.verdict(session, c))
		}
	}
	return now, would
}

func (t tally) verdict(session string, c proviso.Clause) proviso.Verdict {
	return proviso.Verdict{Session: session, Clause: c, Status: t.status, Method: "rule", Rules: t.rules, Evidence: t.evidence}
}

// quote returns a passage of the event, byte for byte: all of it where it is short, else around the first value that decided, else its beginning.
func quote(in *policy.Input, causes []proviso.Cause) string {
	text := ""
	switch b := in.Event.Body.(type) {
	case *proviso.ToolCall:
		text = string(b.Args)
	case *proviso.ToolResult:
		if text = string(b.Content); text == "" {
			text = b.Text
		}
	case *proviso.Message:
		text = b.Text
	case *proviso.ModelRequest:
		text = b.Text
	case *proviso.ModelResponse:
		text = b.Text
	case *proviso.ToolList:
		text = strings.Join(b.Tools, ", ")
	case *proviso.Lifecycle:
		text = b.Kind
	}
	if len(text) <= maxQuote {
		return text
	}
	at := 0
	for _, c := range causes {
		for _, v := range c.Inputs {
			s, isText := v.Val.(string)
			if !isText {
				s = string(proviso.CanonicalJSON(v.Val))
			}
			if i := strings.Index(text, s); at == 0 && len(s) > 1 && i > maxQuote/2 {
				at = i - maxQuote/2
			}
		}
	}
	return text[boundary(text, at):boundary(text, min(len(text), at+maxQuote))]
}

// boundary moves an offset back to the beginning of a character.
func boundary(s string, i int) int {
	for i > 0 && i < len(s) && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// maxValue is how many bytes of a value an input of a cause keeps.
const maxValue = 500

// plain copies causes, because their values belong to the session. One that erred gets the message of its fault as an input named "fault".
func plain(causes []proviso.Cause, faults []proviso.Fault) []proviso.Cause {
	out := make([]proviso.Cause, 0, len(causes))
	for _, c := range causes {
		n := c
		n.Inputs = nil
		for _, v := range c.Inputs {
			v.Val = kept(v.Val)
			n.Inputs = append(n.Inputs, v)
		}
		for _, f := range faults {
			if c.Value == "error" && f.Expr == c.Expr {
				n.Inputs = append(n.Inputs, proviso.Value{Path: "fault", Val: kept(f.Msg)})
				break
			}
		}
		out = append(out, n)
	}
	return out
}

// kept returns a value as a report can hold it: text where JSON has no form for it, or where it is long.
func kept(v any) any {
	text := proviso.CanonicalJSON(v)
	if len(text) > maxValue {
		return fmt.Sprintf("%s… (%d bytes)", text[:boundary(string(text), maxValue)], len(text))
	}
	d, err := proviso.DecodeResultJSON(text)
	if err != nil {
		return string(text)
	}
	return d
}
