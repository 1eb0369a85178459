package mcpproxy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

// RPCDenied is the JSON-RPC error code of what the policy denies and is no call of a tool; a denied call is a result with isError.
const RPCDenied = -32090

// MetaDecision is the key of _meta under which a denial tells programs what was decided.
const MetaDecision = "proviso.dev/decision"

// verbs are how an outcome is told.
var verbs = map[proviso.Outcome]string{proviso.Deny: "denied", proviso.NeedInfo: "not decided yet: something has to be found out first", proviso.Escalate: "waiting for a person to approve it"}

// advice is what an agent can do, by the class of the denial.
var advice = map[proviso.Class]string{proviso.Never: "Do not try again", proviso.Transient: "The same call may be allowed later"}

// explain tells an agent what was decided, by which clause, and what to do about it.
func explain(r *proviso.Record) string {
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
			if c.Text == "" {
				say("Clause " + c.ID)
			} else {
				say(fmt.Sprintf("Clause %s says: “%s”", c.ID, c.Text))
			}
		}
		say(x.Hint)
		say(advice[x.Class])
	}
	for _, text := range forAgent(d) {
		say(text)
	}
	for _, f := range d.Errors {
		say(f.String())
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

// forAgent are the notices of a decision that the agent should read.
func forAgent(d *proviso.Decision) []string {
	var out []string
	for _, n := range d.Notices {
		if n.To == "agent" {
			out = append(out, n.Text)
		}
	}
	return out
}

// detail is a decision for programs: what was decided, by which rules and clauses, and what would change it.
func detail(r *proviso.Record) map[string]any {
	d := &r.Decision
	out := map[string]any{"outcome": d.Outcome.String(), "point": r.Event.Point.String(), "policy": d.Policy}
	if r.Event.Session != "" && r.Event.Seq != 0 {
		out["decision_id"] = fmt.Sprintf("%s#%d", r.Event.Session, r.Event.Seq)
	}
	var rules, missing []map[string]any
	for _, x := range d.Reasons {
		if x.Mode != "" || len(d.Missing) > 0 {
			continue
		}
		var clauses []map[string]any
		for _, c := range x.Clauses {
			clauses = append(clauses, map[string]any{"id": c.ID, "text": c.Text})
		}
		rules = append(rules, map[string]any{"rule": x.Rule, "outcome": x.Outcome.String(), "class": string(x.Class), "clauses": clauses, "message": x.Agent, "hint": x.Hint})
	}
	for _, m := range d.Missing {
		var tools []string
		for _, s := range m.Suppliers {
			tools = append(tools, s.Tool)
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

// deniedCall is the result of a call that is not allowed, or whose result is withheld.
func deniedCall(r *proviso.Record) *mcp.CallToolResult {
	res := failedCall(explain(r))
	res.Meta = mcp.Meta{MetaDecision: detail(r)}
	return res
}

// failedCall is a result that tells the model an error.
func failedCall(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// deniedRequest is the error of a request that is not allowed and is no call of a tool.
func deniedRequest(r *proviso.Record) error {
	data, err := json.Marshal(detail(r))
	if err != nil {
		// unreachable: texts and lists of texts have a JSON form.
		data = nil
	}
	return &jsonrpc.Error{Code: RPCDenied, Message: explain(r), Data: data}
}

// refusal is the error of a request that the proxy refuses itself.
func refusal(code, format string, args ...any) error {
	return &jsonrpc.Error{Code: RPCDenied, Message: fmt.Sprintf(format, args...) + " [" + code + "]"}
}
