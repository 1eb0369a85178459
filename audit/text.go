package audit

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// place says where in a session a piece of evidence stands.
func place(e *proviso.Evidence) string {
	s := fmt.Sprintf("event %d, %s", e.Seq, e.Point)
	if e.Tool != "" {
		s += " " + e.Tool
	}
	return s
}

// because tells the causes of a piece of evidence in one line each.
func because(e *proviso.Evidence) []string {
	var out []string
	for _, c := range e.Cause {
		line := c.Expr + " is " + c.Value
		var values []string
		for _, v := range c.Inputs {
			values = append(values, v.Path+" = "+string(proviso.CanonicalJSON(v.Val)))
		}
		if len(values) > 0 {
			line += " (" + strings.Join(values, ", ") + ")"
		}
		out = append(out, line)
	}
	for _, s := range e.From {
		out = append(out, brought(s))
	}
	return out
}

// brought tells who brought a value in.
func brought(s proviso.Source) string {
	line := fmt.Sprintf("%s: %q comes from the %s", s.Path, s.Value, strings.Replace(s.By, "tool:", "tool ", 1))
	switch {
	case s.Seq > 0:
		return line + fmt.Sprintf(" (event %d)", s.Seq)
	case s.By == "agent":
		return line + " itself"
	}
	return line
}

// nearMisses tells in one sentence what was left out before a call.
var nearMisses = map[NearMissKind]string{
	Unchecked:   "%s was never looked up",
	CheckedLate: "%s was looked up only afterwards, at event %d, and would have allowed it",
	WrongLate:   "%s was looked up only afterwards, at event %d, and would not have allowed it",
}

// label names the kind of a near miss; one whose value turned out to be wrong is none.
func (m *NearMiss) label() string {
	if m.Kind == WrongLate {
		return "late check"
	}
	return "near miss"
}

// text tells a near miss.
func (m *NearMiss) text() string {
	what := []any{strings.Join(m.Missing, ", ")}
	if m.Late > 0 {
		what = append(what, m.Late)
	}
	s := fmt.Sprintf("event %d, %s was called before its check: ", m.Seq, m.Tool) + fmt.Sprintf(nearMisses[m.Kind], what...)
	if m.Hint != "" && m.Kind == Unchecked {
		s += "; " + m.Hint
	}
	return s
}

// statement tells a finding in one sentence.
func statement(s *Session, v *proviso.Verdict, e *proviso.Evidence) string {
	return fmt.Sprintf("%s in session %s at %s: %s", v.Status, s.Session, place(e), form.Line(e.Quote))
}

func ids(clauses []proviso.Clause) []string {
	var out []string
	for _, c := range clauses {
		out = append(out, c.ID)
	}
	return out
}

// beside tells what was found beside the verdicts, empty where there is nothing.
func (t Totals) beside() string {
	var parts []string
	if t.NearMisses == 1 {
		parts = append(parts, "1 near miss")
	} else if t.NearMisses > 1 {
		parts = append(parts, fmt.Sprintf("%d near misses", t.NearMisses))
	}
	if t.Missed > 0 {
		parts = append(parts, form.Plural(t.Missed, "obligation")+" not met")
	}
	return strings.Join(parts, ", ")
}
