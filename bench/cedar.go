package bench

import (
	"fmt"

	cedar "github.com/cedar-policy/cedar-go"
)

// Cedar decides with all policies in one set, or with the set of the tool alone: cedar-go itself tries every policy of a set, so an index by tool is what a careful user adds.
type Cedar struct {
	all    *cedar.PolicySet
	byTool map[string]*cedar.PolicySet
}

// NewCedar parses the workload in Cedar's language.
func NewCedar() (*Cedar, error) {
	c := &Cedar{cedar.NewPolicySet(), map[string]*cedar.PolicySet{}}
	for t := range Tools {
		set := cedar.NewPolicySet()
		for i, text := range cedarTexts(t) {
			var p cedar.Policy
			if err := p.UnmarshalCedar([]byte(text)); err != nil {
				return nil, err
			}
			id := cedar.PolicyID(fmt.Sprintf("p%d_%d", t, i))
			c.all.Add(id, &p)
			set.Add(id, &p)
		}
		c.byTool[ToolName(t)] = set
	}
	return c, nil
}

func cedarTexts(t int) []string {
	head := fmt.Sprintf(`principal, action == Action::"call", resource == Tool::"%s"`, ToolName(t))
	return []string{
		fmt.Sprintf(`permit(%s) when { ["ops", "analyst"].contains(context.session.role) && context.args.amount <= 1000 };`, head),
		fmt.Sprintf(`forbid(%s) unless { context.args.recipient like "*@corp%d.example" };`, head, t),
		fmt.Sprintf(`forbid(%s) unless { ["USD", "EUR", "GBP"].contains(context.args.currency) };`, head),
		fmt.Sprintf(`forbid(%s) when { context.session.tainted && context.args.amount > 100 };`, head),
		fmt.Sprintf(`forbid(%s) when { context.args.note like "*password*" };`, head),
		fmt.Sprintf(`forbid(%s) unless { context.args.reference like "INV-*" };`, head),
	}
}

// Prepare converts a call to Cedar's own values.
func (c *Cedar) Prepare(call Call) cedar.Request {
	args := cedar.RecordMap{}
	for k, v := range call.Args {
		switch v := v.(type) {
		case string:
			args[cedar.String(k)] = cedar.String(v)
		case int64:
			args[cedar.String(k)] = cedar.Long(v)
		}
	}
	session := cedar.RecordMap{"role": cedar.String(call.Role), "tainted": cedar.Boolean(call.Tainted)}
	return cedar.Request{
		Principal: cedar.NewEntityUID("User", "u1"),
		Action:    cedar.NewEntityUID("Action", "call"),
		Resource:  cedar.NewEntityUID("Tool", cedar.String(ToolName(call.Tool))),
		Context:   cedar.NewRecord(cedar.RecordMap{"args": cedar.NewRecord(args), "session": cedar.NewRecord(session)}),
	}
}

// Decide tells whether the call is allowed, with all policies in one set.
func (c *Cedar) Decide(r cedar.Request) bool {
	ok, _ := cedar.Authorize(c.all, cedar.EntityMap{}, r)
	return ok == cedar.Allow
}

// DecideIndexed tells whether the call is allowed, with the policies of its tool only.
func (c *Cedar) DecideIndexed(r cedar.Request) bool {
	ok, _ := cedar.Authorize(c.byTool[string(r.Resource.ID)], cedar.EntityMap{}, r)
	return ok == cedar.Allow
}
