package gateway

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// The codes of what a gateway itself refuses.
const (
	CodeCaller   = "PV861" // a caller that is not let in
	CodeBusy     = "PV862" // a server that has enough to do
	CodeForeign  = "PV863" // a part of a request or an answer that no rule sees
	CodeUpstream = "PV864" // an upstream that failed or answered otherwise than its API has it
	CodeNoRoute  = "PV865" // a path or a model that no upstream is configured for
	CodeTooLarge = "PV866" // a request or an answer that is larger than the limit
	CodeStateful = "PV867" // a call that the past decides, in a session that nobody named
	CodeHosted   = "PV868" // a tool that the provider would run before it can be decided
	CodeCut      = "PV869" // an answer that did not end
	CodeRepeated = "PV870" // the same denial again and again
	CodeOverlay  = "PV871" // an overlay that cannot be attached
	CodeRan      = "PV872" // a call that the provider ran before anybody could decide
)

// decisionID names a decision: the session's record, which can be looked up in the journal.
func decisionID(r *proviso.Record) string {
	if r.Event.Session == "" || r.Event.Seq == 0 {
		return ""
	}
	return fmt.Sprintf("%s#%d", r.Event.Session, r.Event.Seq)
}

// denialOf tells a denial: to a person in words, with the clause quoted, and to a program as an object.
func denialOf(r *proviso.Record) wire.Denial {
	return wire.Denial{Status: http.StatusForbidden, Code: wire.CodeDenied, Text: explain(r), Detail: detailOf(r)}
}

// refusalBy is a denial that the gateway decides itself.
func refusalBy(status int, code, msg string) wire.Denial {
	return wire.Denial{Status: status, Code: wire.CodeDenied, Text: msg + " [" + code + "]", Detail: llm.Raw(map[string]any{"outcome": "deny", "code": code})}
}

// verbs are how an outcome is told.
var verbs = map[proviso.Outcome]string{proviso.Deny: "denied", proviso.NeedInfo: "not decided yet, something has to be found out first", proviso.Escalate: "waiting for a person to approve"}

// explain tells an agent what was decided and what to do about it.
func explain(r *proviso.Record) string {
	d := &r.Decision
	var b strings.Builder
	b.WriteString("Policy: ")
	if call, ok := r.Event.Body.(*proviso.ToolCall); ok {
		fmt.Fprintf(&b, "the call of %s is ", call.Tool)
	}
	b.WriteString(verbs[d.Outcome] + ".")
	said := map[string]bool{}
	say := func(s string) {
		if s = strings.TrimSpace(s); s != "" && !said[s] {
			said[s] = true
			b.WriteString(" " + s)
			if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "”") {
				b.WriteString(".")
			}
		}
	}
	if len(d.Missing) > 0 {
		// What stands in the rules is not for the agent before it is decided.
		err := guard.DeniedError{Record: r}
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
			if c.Text != "" {
				say(fmt.Sprintf("Clause %s says: “%s”", c.ID, c.Text))
			} else {
				say("Clause " + c.ID)
			}
		}
		say(x.Hint)
		say(advice[x.Class])
	}
	for _, n := range d.Notices {
		if n.To == "agent" {
			say(n.Text)
		}
	}
	if len(said) == 0 {
		for _, f := range d.Errors {
			say(f.String())
		}
	}
	return b.String()
}

// advice is what an agent can do, by the class of the denial.
var advice = map[proviso.Class]string{
	proviso.Never:     "Do not try again",
	proviso.Transient: "The same call may be allowed later",
}

// detailOf is a decision for programs: what was decided, by which rules and clauses, and what would change it.
func detailOf(r *proviso.Record) proviso.JSON {
	d := &r.Decision
	out := map[string]any{"outcome": d.Outcome.String(), "point": r.Event.Point.String(), "policy": d.Policy}
	if id := decisionID(r); id != "" {
		out["decision_id"] = id
	}
	if call, ok := r.Event.Body.(*proviso.ToolCall); ok {
		out["tool"], out["call_id"] = call.Tool, call.ID
	}
	var rules []any
	for _, x := range d.Reasons {
		if x.Mode != "" {
			continue
		}
		var clauses []any
		for _, c := range x.Clauses {
			clauses = append(clauses, map[string]any{"id": c.ID, "text": c.Text})
		}
		rules = append(rules, map[string]any{"rule": x.Rule, "outcome": x.Outcome.String(), "class": string(x.Class), "clauses": clauses, "message": x.Agent, "user_message": x.User, "hint": x.Hint})
	}
	if rules != nil && len(d.Missing) == 0 {
		out["rules"] = rules
	}
	var missing []any
	for _, m := range d.Missing {
		item := map[string]any{"kind": string(m.Kind), "fact": m.Fact, "question": m.Question, "ask": m.Ask}
		var by []any
		for _, s := range m.Suppliers {
			by = append(by, map[string]any{"tool": s.Tool, "open": s.Open})
		}
		item["suppliers"] = by
		missing = append(missing, item)
	}
	if missing != nil {
		out["missing"] = missing
	}
	b, err := proviso.AppendJSON(nil, out)
	if err != nil {
		// unreachable: texts and lists of texts have a JSON form.
		return nil
	}
	return b
}

// withheldText stands in place of something that the model must not see.
func withheldText(r *proviso.Record) string {
	return "[withheld] " + explain(r)
}
