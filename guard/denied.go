package guard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
)

// The codes of what a guard finds wrong.
const (
	CodeSession  = "PV521" // an event whose session is not known or not at hand
	CodeNoPolicy = "PV522" // a guard without a policy
	CodeJournal  = "PV523" // a call that could not be written down before its effect
	CodeSeq      = "PV524" // an event with a number other than the session's next
	CodeJudge    = "PV525" // a judge that failed or did not answer in time
	CodeQuote    = "PV526" // an answer whose quotes are not in the transcript or in the clause
	CodeSibling  = "PV527" // a call whose sibling was denied, under parallel: atomic
	CodeBatch    = "PV528" // calls that cannot be decided together
	CodePanic    = "PV529" // a panic while deciding
)

// DeniedError says that an event was not allowed. It is the error that callers who do not look at decisions trip over.
type DeniedError struct{ Record *proviso.Record }

// Error returns what the agent should read: the outcome, the messages and hints of the rules that decided, or what is missing where that is what is needed.
func (e *DeniedError) Error() string {
	d := &e.Record.Decision
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	for _, r := range d.Reasons {
		switch {
		case r.Mode != "" || d.Outcome == proviso.NeedInfo && len(d.Missing) > 0:
			// What only would be, and what is not known yet, is not for the agent.
			continue
		case r.Agent != "":
			add(r.Agent)
		default:
			add("rule " + r.Rule)
		}
		add(r.Hint)
	}
	for _, m := range d.Missing {
		add(missing(m))
	}
	for _, n := range d.Notices {
		if n.Rule == approvalRule && n.To == "agent" {
			add(n.Text)
		}
	}
	if len(parts) == 0 {
		for _, f := range d.Errors {
			add(f.String())
		}
	}
	return strings.TrimSuffix(d.Outcome.String()+": "+strings.Join(parts, "; "), ": ")
}

func missing(m proviso.Missing) string {
	switch m.Kind {
	case proviso.MissingFact:
		s := "missing: " + m.Fact
		for _, k := range m.Key {
			s += fmt.Sprintf("[%v]", k.Val)
		}
		if len(m.Suppliers) > 0 {
			s += ", call " + m.Suppliers[0].Tool
		}
		return s
	case proviso.MissingConfirmation:
		return "missing: the user's confirmation; ask: " + m.Ask
	}
	return "missing: an answer to: " + m.Ask
}

// Outcome is the outcome, which is never Allow.
func (e *DeniedError) Outcome() proviso.Outcome { return e.Record.Decision.Outcome }

// deniedBy is a denial that the guard itself decides.
func deniedBy(digest, rule, code, msg string) proviso.Decision {
	return proviso.Decision{
		Policy:  digest,
		Reasons: []proviso.Reason{{Rule: rule, Outcome: proviso.Deny, Class: proviso.Transient, Agent: msg}},
		Errors:  []proviso.Fault{{Code: code, Msg: msg}},
	}
}

// enterError says why there is no session to decide in.
type enterError struct {
	code, msg string
	err       error
}

func (e *enterError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("guard: %s: %v [%s]", e.msg, e.err, e.code)
	}
	return fmt.Sprintf("guard: %s [%s]", e.msg, e.code)
}

func (e *enterError) Unwrap() error { return e.err }

// refuse denies an event that could not enter its session. It is part of no session and of no journal.
func (g *Guard) refuse(ev proviso.Event, err error) (Effect, error) {
	code := CodeSession
	var e *enterError
	if errors.As(err, &e) {
		code = e.code
	}
	out := Effect{Record: &proviso.Record{Event: ev, Decision: deniedBy("", "session", code, err.Error())}, Forward: ev}
	if ev.Point == proviso.ToolCallPoint {
		out.Record.Phase = proviso.Denied
	}
	g.counts.decided(out.Record)
	return out, &DeniedError{out.Record}
}
