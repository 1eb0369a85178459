package gateway

import (
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
)

// Parent is a Span that may have spans of decisions below it. A tracer whose spans are none is told of requests only.
type Parent interface {
	Span
	// Decision begins a span for one decision about the request, that began at a time; nil: nobody wants to know of it.
	Decision(name string, began time.Time) Span
}

func (x *exchange) decisionSpan(r *proviso.Record) { decisionSpan(x.span, r) }

// decisionSpan tells a tracer that wants to know of one decision about a request: what was decided at which point, and by which rules. It says nothing of what was decided about: no text, no arguments.
func decisionSpan(request Span, r *proviso.Record) {
	parent, ok := request.(Parent)
	if !ok {
		return
	}
	s := parent.Decision("run_guardrail proviso", r.DecidedAt)
	if s == nil {
		return
	}
	s.Set("proviso.point", r.Event.Point.String())
	s.Set("proviso.outcome", r.Decision.Outcome.String())
	s.Set("proviso.session", r.Event.Session)
	s.Set("proviso.decision_id", decisionID(r))
	s.Set("proviso.policy", r.Decision.Policy)
	s.Set("proviso.edited", len(r.Decision.Edits) > 0)
	switch b := r.Event.Body.(type) {
	case *proviso.ToolCall:
		s.Set("proviso.tool", b.Tool)
		s.Set("proviso.call_id", b.ID)
	case *proviso.ToolResult:
		s.Set("proviso.tool", b.Tool)
		s.Set("proviso.call_id", b.CallID)
	}
	var rules, audited []string
	for _, reason := range r.Decision.Reasons {
		if reason.Mode != "" {
			audited = append(audited, reason.Rule)
			continue
		}
		rules = append(rules, reason.Rule)
	}
	for _, e := range r.Decision.Edits {
		if !slices.Contains(rules, e.Rule) {
			rules = append(rules, e.Rule)
		}
	}
	if len(rules) > 0 {
		s.Set("proviso.rules", rules)
	}
	if len(audited) > 0 {
		s.Set("proviso.audited_rules", audited) // they would have decided otherwise, and are in roll-out
	}
	if clauses := r.Decision.Clauses(); len(clauses) > 0 {
		s.Set("proviso.clauses", clauses)
	}
	s.End("")
}
