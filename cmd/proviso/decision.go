package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// This file shows decisions to a person: the outcome, each rule with its clause quoted, what decided, and what to do next.

var outcomeLook = map[proviso.Outcome][]string{
	proviso.Deny:     {bold, red},
	proviso.NeedInfo: {bold, magenta},
	proviso.Escalate: {bold, magenta},
	proviso.Allow:    {bold, green},
}

func (s style) outcome(o proviso.Outcome) string {
	return s.paint(strings.ToUpper(strings.ReplaceAll(o.String(), "_", " ")), outcomeLook[o]...)
}

// decision writes all that a decision says. Where something is missing, the rules that wait for it are only named: what to do next comes first.
func (s style) decision(b *strings.Builder, d *proviso.Decision) {
	gap := ""
	if d.Outcome != proviso.NeedInfo {
		for _, r := range d.Reasons {
			b.WriteString(gap)
			s.reason(b, r)
			gap = "\n"
		}
	}
	for _, m := range d.Missing {
		b.WriteString(gap)
		s.missing(b, m)
		gap = "\n"
	}
	if len(d.Errors)+len(d.Edits)+len(d.Notices) > 0 {
		b.WriteString(gap)
	}
	for _, f := range d.Errors {
		b.WriteString(s.indented("  error    ", f.String(), red))
		if f.Hint != "" {
			b.WriteString(s.indented("           ", f.Hint))
		}
	}
	for _, e := range d.Edits {
		if e.Redacts() {
			b.WriteString(s.indented("  edit     ", fmt.Sprintf("bytes %d to %d become %q (%s)", e.Start, e.End, e.Text, e.Rule)))
		} else {
			b.WriteString(s.indented("  edit     ", fmt.Sprintf("%s is set to %s (%s)", e.Path, literal(e.Value), e.Rule)))
		}
	}
	for _, n := range d.Notices {
		b.WriteString(s.indented("  notice   ", fmt.Sprintf("to the %s: %s (%s)", n.To, n.Text, n.Rule)))
	}
	if d.FailedOpen {
		b.WriteString(s.indented("  warning  ", "allowed although there was an error, because the pack sets on_error: allow", bold, red))
	}
	if d.Approximate {
		b.WriteString(s.indented("  note     ", "more was open than is enumerated; what is listed as missing may be more than is needed"))
	}
}

func (s style) reason(b *strings.Builder, r proviso.Reason) {
	name := s.paint(printable(r.Rule), bold)
	if r.Mode != "" {
		name += " (" + r.Mode + " only)"
	}
	fmt.Fprintf(b, "  rule     %s\n", name)
	for _, c := range r.Clauses {
		s.clause(b, c)
	}
	for _, c := range r.Because {
		s.cause(b, c)
	}
	if r.Agent != "" {
		b.WriteString(s.indented("  says     ", r.Agent))
	}
	if r.Hint != "" {
		b.WriteString(s.indented("  hint     ", r.Hint, bold))
	}
}

func (s style) clause(b *strings.Builder, c proviso.Clause) {
	at := c.Span.File
	if c.Span.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, c.Span.Line)
	}
	fmt.Fprintf(b, "  clause   %s  %s\n", s.paint(printable(c.ID), cyan), s.paint(printable(at), faint))
	b.WriteString(s.indented("           ", "“"+c.Text+"”"))
}

func (s style) cause(b *strings.Builder, c proviso.Cause) {
	b.WriteString(s.indented("  "+pad(c.Value, 7)+"  ", c.Expr))
	for _, v := range c.Inputs {
		b.WriteString(s.indented("             ", v.Path+" = "+shorten(literal(v.Val), 200), faint))
	}
}

func (s style) missing(b *strings.Builder, m proviso.Missing) {
	switch m.Kind {
	case proviso.MissingFact:
		name := m.Fact
		for _, k := range m.Key {
			name += "[" + literal(k.Val) + "]"
		}
		fmt.Fprintf(b, "  missing  fact %s\n", s.paint(printable(name), bold))
		for _, sup := range m.Suppliers {
			b.WriteString(s.indented("  call     ", supplier(sup), bold))
		}
	case proviso.MissingQuestion:
		fmt.Fprintf(b, "  missing  an answer to %s\n", s.paint(printable(m.Question), bold))
		b.WriteString(s.indented("  ask      ", m.Ask))
	case proviso.MissingConfirmation:
		b.WriteString(s.indented("  missing  ", "the user's confirmation of exactly this call", bold))
		if m.Ask != "" {
			b.WriteString(s.indented("  ask      ", m.Ask))
		}
	}
	if len(m.Rules) > 0 {
		b.WriteString(s.indented("  for      ", strings.Join(m.Rules, ", ")))
	}
}

func supplier(s proviso.Supplier) string {
	text := s.Tool + " " + literal(s.Args)
	if len(s.Args) == 0 {
		text = s.Tool
	}
	if len(s.Open) > 0 {
		open := append([]string(nil), s.Open...)
		sort.Strings(open)
		text += " with " + strings.Join(open, ", ") + " to be found out"
	}
	return text
}

// literal writes a value as JSON on one line; times and durations as text.
func literal(v any) string {
	switch x := v.(type) {
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case time.Duration:
		return x.String()
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
