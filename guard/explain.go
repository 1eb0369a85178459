package guard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// verbs are how an outcome is told.
var verbs = map[proviso.Outcome]string{proviso.Deny: "denied", proviso.NeedInfo: "not decided yet: something has to be found out first", proviso.Escalate: "waiting for a person to approve it"}

// advice is what an agent can do, by the class of the denial.
var advice = map[proviso.Class]string{proviso.Never: "Do not try again", proviso.Transient: "The same call may be allowed later"}

// Explain tells an agent what was decided, by which clause, and what to do about it.
func Explain(r *proviso.Record) string {
	d := &r.Decision
	var b strings.Builder
	said := map[string]bool{}
	say := func(s string) {
		if s = strings.TrimSpace(s); s == "" || said[s] {
			return
		}
		said[s] = true
		b.WriteString(" " + s)
		if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "”") {
			b.WriteString(".")
		}
	}
	fmt.Fprintf(&b, "Policy: %s is %s.", subject(r.Event.Body), verbs[d.Outcome])
	if len(d.Missing) > 0 {
		// What stands in the rules is not for the agent before it is decided.
		err := DeniedError{Record: r}
		_, missing, _ := strings.Cut(err.Error(), ": ")
		say(missing)
		return b.String()
	}
	for _, x := range d.Reasons {
		if x.Mode != "" {
			continue
		}
		if x.Agent != "" {
			say(x.Agent)
		} else {
			say("Rule " + x.Rule)
		}
		for _, c := range x.Clauses {
			if c.Text == "" {
				say("Clause " + c.ID)
			} else {
				say(fmt.Sprintf("Clause %s says: “%s”", c.ID, c.Text))
			}
		}
		say(x.Hint)
		say(advice[x.Class])
	}
	for _, text := range NoticesFor("agent", d) {
		say(text)
	}
	for _, f := range d.Errors {
		if !said[f.Msg] {
			say(f.String())
		}
	}
	return b.String()
}

// subject names what was decided.
func subject(b proviso.Body) string {
	switch b := b.(type) {
	case *proviso.ToolCall:
		return "the call of " + b.Tool
	case *proviso.ToolResult:
		return "the result of " + b.Tool
	case *proviso.ToolList:
		return "the list of tools"
	}
	return "this"
}

// NoticesFor are the notices of a decision for one reader: "agent", "user" or "auditor".
func NoticesFor(reader string, d *proviso.Decision) []string {
	var out []string
	for _, n := range d.Notices {
		if n.To == reader {
			out = append(out, n.Text)
		}
	}
	return out
}

// ID names a decision: the session and the number of its record, by which the journal has it. It is empty for a decision that is in no session.
func ID(r *proviso.Record) string {
	if r.Event.Session == "" || r.Event.Seq == 0 {
		return ""
	}
	return r.Event.Session + "#" + strconv.FormatUint(r.Event.Seq, 10)
}

// Detail is a decision for programs: outcome, point, policy and the id of the decision; the rules with their clauses, class and hint; and, instead of these, what is missing and which tools supply it.
// All of it has a JSON form, of maps with any values and lists of any. What only would have been decided, under mode audit, is left out.
func Detail(r *proviso.Record) map[string]any {
	d := &r.Decision
	out := map[string]any{"outcome": d.Outcome.String(), "point": r.Event.Point.String(), "policy": d.Policy}
	if id := ID(r); id != "" {
		out["decision_id"] = id
	}
	if call, ok := r.Event.Body.(*proviso.ToolCall); ok {
		out["tool"], out["call_id"] = call.Tool, call.ID
	}
	var rules, missing []any
	for _, x := range d.Reasons {
		if x.Mode != "" || len(d.Missing) > 0 {
			continue
		}
		var clauses []any
		for _, c := range x.Clauses {
			clauses = append(clauses, map[string]any{"id": c.ID, "text": c.Text})
		}
		rules = append(rules, map[string]any{"rule": x.Rule, "outcome": x.Outcome.String(), "class": string(x.Class), "clauses": clauses, "message": x.Agent, "user_message": x.User, "hint": x.Hint})
	}
	for _, m := range d.Missing {
		var tools []any
		for _, s := range m.Suppliers {
			tool := map[string]any{"tool": s.Tool, "open": s.Open}
			if len(s.Args) > 0 {
				tool["args"] = s.Args
			}
			tools = append(tools, tool)
		}
		missing = append(missing, map[string]any{"kind": string(m.Kind), "fact": m.Fact, "question": m.Question, "ask": m.Ask, "suppliers": tools})
	}
	if rules != nil {
		out["rules"] = rules
	}
	if missing != nil {
		out["missing"] = missing
	}
	return out
}
