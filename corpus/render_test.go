package corpus

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// render writes what became of a scenario so that a person can check it without knowing the program.
func render(sc *scenario, played []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", sc.name)
	for i := range played {
		o := &played[i]
		if o.resent != "" {
			fmt.Fprintf(&b, "  %s\n", o.resent)
			continue
		}
		lines := details(o)
		if _, isStart := o.event.Body.(*proviso.Lifecycle); isStart && i == 0 && len(lines) == 0 && o.decision.Outcome == proviso.Allow {
			continue
		}
		fmt.Fprintf(&b, "  %-10s  %s\n", o.decision.Outcome, describe(&o.event))
		for _, l := range lines {
			fmt.Fprintf(&b, "      %s\n", l)
		}
	}
	return b.String()
}

func describe(ev *proviso.Event) string {
	var by string
	if len(ev.Agents) > 0 {
		by = strings.Join(ev.Agents, " for ") + ": "
	}
	switch x := ev.Body.(type) {
	case *proviso.Message:
		return by + string(x.Role) + " says " + quote(x.Text)
	case *proviso.ToolCall:
		return by + "call " + x.Tool + " " + short(string(x.Args)) + among(x)
	case *proviso.ToolResult:
		if x.IsError {
			return by + "error of " + x.Tool + " " + short(x.Text+string(x.Content))
		}
		return by + "result of " + x.Tool + " " + short(x.Text+string(x.Content))
	case *proviso.Lifecycle:
		return by + strings.TrimSpace("session "+x.Kind+" "+x.Name)
	case *proviso.ToolList:
		return by + "tools offered: " + strings.Join(x.Tools, ", ")
	case *proviso.ModelRequest:
		return by + "model request " + quote(x.Text)
	case *proviso.ModelResponse:
		return by + "model response " + quote(x.Text)
	}
	return by + ev.Point.String()
}

func among(c *proviso.ToolCall) string {
	if c.Response == "" {
		return ""
	}
	return fmt.Sprintf(" (call %d of response %s)", c.Index, c.Response)
}

func quote(s string) string { return `"` + short(s) + `"` }

func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 160 {
		return string(r[:157]) + "…"
	}
	return s
}

// details are the lines below an event: why, what is missing, what is changed, what is said, what went wrong.
func details(o *outcome) []string {
	d := &o.decision
	var out []string
	if len(o.approved) > 0 {
		out = append(out, "approved: "+strings.Join(o.approved, ", "))
	}
	for _, a := range o.answered {
		out = append(out, "answered: "+a.Question+" is "+a.Value.String())
	}
	for _, r := range d.Reasons {
		out = append(out, reason(&r, d.Outcome))
		for _, c := range causes(r.Because) {
			out = append(out, "  "+c)
		}
		for _, m := range []struct{ to, text string }{{"agent", r.Agent}, {"user", r.User}, {"auditor", r.Auditor}, {"hint", r.Hint}} {
			if m.text != "" {
				out = append(out, fmt.Sprintf("  %s: %s", m.to, m.text))
			}
		}
	}
	for _, m := range d.Missing {
		out = append(out, missing(&m)...)
	}
	for _, e := range d.Edits {
		if e.Redacts() {
			out = append(out, fmt.Sprintf("%s replaces bytes %d to %d by %s", e.Rule, e.Start, e.End, quote(e.Text)))
		} else {
			out = append(out, fmt.Sprintf("%s sets %s to %s", e.Rule, e.Path, value(e.Value)))
		}
	}
	if len(d.Edits) > 0 && o.sent != nil {
		out = append(out, "forwarded: "+strings.TrimPrefix(describe(o.sent), strings.Join(o.sent.Agents, " for ")+": "))
	}
	for _, n := range d.Notices {
		out = append(out, fmt.Sprintf("notice of %s to the %s: %s", n.Rule, n.To, n.Text))
	}
	for _, f := range d.Errors {
		s := "error " + f.String()
		if f.Expr != "" {
			s += " in " + f.Expr
		}
		if f.Hint != "" {
			s += "; " + f.Hint
		}
		out = append(out, s)
	}
	for _, flag := range []struct {
		set  bool
		text string
	}{
		{d.Approximate, "approximate: more is open than is enumerated"}, {d.FailedOpen, "failed open: the pack allows errors here"},
		{o.record.Unverified, "unverified: it answers no call that was released"}, {o.record.Changed, "recorded: the transcript was changed"},
	} {
		if flag.set {
			out = append(out, flag.text)
		}
	}
	return out
}

func reason(r *proviso.Reason, o proviso.Outcome) string {
	s := r.Rule
	if len(r.Clauses) > 0 {
		ids := make([]string, len(r.Clauses))
		for i, c := range r.Clauses {
			ids[i] = c.ID
		}
		s += " (" + strings.Join(ids, ", ") + ")"
	}
	if r.Outcome != o {
		s += ", which yields " + r.Outcome.String()
	}
	if r.Mode != "" {
		s += ", in mode " + r.Mode
	}
	return s + ": " + string(r.Class)
}

// causes are sorted: in which order the parts of a rule are named means nothing.
func causes(cs []proviso.Cause) []string {
	var out []string
	for _, c := range cs {
		s := c.Expr + " is " + c.Value
		for i, in := range c.Inputs {
			s += map[bool]string{true: " where ", false: ", "}[i == 0] + in.Path + " = " + value(in.Val)
		}
		out = append(out, short(s))
	}
	slices.Sort(out)
	if n := len(out); n > maxCauses {
		out = append(out[:maxCauses-1:maxCauses-1], fmt.Sprintf("… and %d more", n-maxCauses+1))
	}
	return out
}

// maxCauses is how many causes of one rule are written out.
const maxCauses = 6

func missing(m *proviso.Missing) []string {
	s := "missing " + string(m.Kind)
	switch m.Kind {
	case proviso.MissingFact:
		s += " " + m.Fact
		for _, k := range m.Key {
			s += "[" + value(k.Val) + "]"
		}
	case proviso.MissingQuestion:
		s += " " + m.Question + " (" + m.Ask + ")"
		for i, k := range m.Key {
			s += map[bool]string{true: " about ", false: ", "}[i == 0] + k.Path + " = " + value(k.Val)
		}
	case proviso.MissingConfirmation:
		s += " (" + m.Ask + ")"
	}
	rules := slices.Clone(m.Rules)
	slices.Sort(rules)
	out := []string{s + " for " + strings.Join(rules, ", ")}
	if m.Kind == proviso.MissingFact && len(m.Suppliers) == 0 {
		out = append(out, "  nothing that is granted supplies it")
	}
	for _, sup := range m.Suppliers {
		line := "  from " + sup.Tool + " " + string(proviso.CanonicalJSON(orEmpty(sup.Args)))
		if len(sup.Open) > 0 {
			line += ", open: " + strings.Join(sup.Open, ", ")
		}
		out = append(out, line)
	}
	return out
}

func value(v any) string {
	switch x := v.(type) {
	case time.Time:
		return x.Format(time.RFC3339)
	case time.Duration:
		return x.String()
	}
	return short(string(proviso.CanonicalJSON(v)))
}

// names lists everything that a decision names, for a step's want.
func names(d *proviso.Decision) []string {
	set := map[string]bool{}
	for _, r := range d.Reasons {
		set[r.Rule] = true
	}
	for _, e := range d.Edits {
		set[e.Rule] = true
	}
	for _, n := range d.Notices {
		set[n.Rule] = true
	}
	for _, f := range d.Errors {
		set[f.Code] = true
	}
	for _, m := range d.Missing {
		set[map[proviso.MissingKind]string{proviso.MissingFact: m.Fact, proviso.MissingQuestion: m.Question, proviso.MissingConfirmation: string(m.Kind)}[m.Kind]] = true
	}
	out := make([]string, 0, len(set))
	for n := range set {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// essence is what must not depend on the order of anything: the outcome and all names.
func essence(played []outcome) string {
	var b strings.Builder
	for i := range played {
		o := &played[i]
		fmt.Fprintln(&b, o.decision.Outcome, names(&o.decision), len(o.decision.Missing), len(o.decision.Edits))
	}
	return b.String()
}
