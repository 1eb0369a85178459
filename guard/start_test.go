package guard

import (
	"context"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

func TestExplain(t *testing.T) {
	clause := proviso.Clause{ID: "mail/1", Text: "Mail stays in the house."}
	call := proviso.Event{Session: "s", Seq: 4, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: "mail"}}
	for _, c := range []struct {
		d    proviso.Decision
		want string
	}{
		{proviso.Decision{Reasons: []proviso.Reason{{Rule: "inside", Agent: "Not there", Clauses: []proviso.Clause{clause}, Hint: "Use ours", Class: proviso.Never}, {Rule: "watched", Mode: "audit"}}},
			"Policy: the call of mail is denied. Not there. Clause mail/1 says: “Mail stays in the house.” Use ours. Do not try again."},
		{proviso.Decision{Outcome: proviso.NeedInfo, Reasons: []proviso.Reason{{Rule: "inside", Agent: "secret until it is decided"}}, Missing: []proviso.Missing{{Kind: proviso.MissingFact, Fact: "account", Suppliers: []proviso.Supplier{{Tool: "lookup"}}}}},
			"Policy: the call of mail is not decided yet: something has to be found out first. missing: account, call lookup."},
		{proviso.Decision{Outcome: proviso.Escalate, Reasons: []proviso.Reason{{Rule: "much", Outcome: proviso.Escalate}}, Notices: []proviso.Notice{{Rule: "approval", To: "agent", Text: "approval a1 waits"}, {Rule: "x", To: "user", Text: "hidden"}}},
			"Policy: the call of mail is waiting for a person to approve it. Rule much. approval a1 waits."},
		{proviso.Decision{Reasons: []proviso.Reason{{Rule: "journal", Agent: "too large"}}, Errors: []proviso.Fault{{Code: "PV308", Msg: "too large"}, {Code: "PV301", Msg: "unknown tool"}}},
			"Policy: the call of mail is denied. too large. PV301: unknown tool."},
	} {
		r := proviso.Record{Event: call, Decision: c.d}
		if got := Explain(&r); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		b, err := proviso.AppendJSON(nil, Detail(&r))
		if err != nil || !strings.Contains(string(b), `"decision_id":"s#4"`) || strings.Contains(string(b), "watched") || strings.Contains(string(b), "secret until") {
			t.Errorf("%s %v", b, err)
		}
	}
}

// A session whose start was denied goes nowhere, in this process and in the next.
func TestStart(t *testing.T) {
	files := []txtar.File{{Name: "proviso.yaml", Data: []byte("name: x\nversion: \"1\"\n")}, {Name: "tools.json", Data: []byte(`[{"name": "get", "inputSchema": {"type": "object"}}]`)}, {Name: "rules.yaml", Data: []byte("rules:\n  - {id: nobody, on: session_start, agents: [banned], message: \"not you\"}\n")}}
	g := &Guard{Policy: compiled(t, files, "rules.yaml"), Journal: &journal.Memory{}}
	ctx := context.Background()
	start := &proviso.Lifecycle{Kind: "start"}
	for range 2 {
		if denied, err := g.Start(ctx, "a", nil, start); err != nil || denied != nil {
			t.Errorf("%v %v", denied, err)
		}
	}
	for range 2 {
		if denied, err := g.Start(ctx, "b", []string{"banned"}, start); err != nil || denied == nil || denied.Decision.Outcome != proviso.Deny {
			t.Errorf("%v %v", denied, err)
		}
		g = &Guard{Policy: g.Policy, Journal: g.Journal}
	}
	if _, err := g.Start(ctx, "", nil, start); err == nil {
		t.Error("a session without a name began")
	}
}
