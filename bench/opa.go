package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// OPA decides with a prepared query. Its compiler indexes rules by the equality on input.tool.
type OPA struct{ query rego.PreparedEvalQuery }

// NewOPA compiles the workload in Rego.
func NewOPA() (*OPA, error) {
	q, err := rego.New(rego.Query("data.workload.decision"), rego.Module("workload.rego", regoText())).PrepareForEval(context.Background())
	return &OPA{q}, err
}

func regoText() string {
	var b strings.Builder
	b.WriteString("package workload\n")
	for t := range Tools {
		when := fmt.Sprintf(`if { input.tool == "%s";`, ToolName(t))
		fmt.Fprintf(&b, "permit contains \"grant_%d\" %s input.session.role in {\"ops\", \"analyst\"}; input.args.amount <= 1000 }\n", t, when)
		fmt.Fprintf(&b, "forbid contains \"recipient_%d\" %s not endswith(input.args.recipient, \"@corp%d.example\") }\n", t, when, t)
		fmt.Fprintf(&b, "forbid contains \"currency_%d\" %s not input.args.currency in {\"USD\", \"EUR\", \"GBP\"} }\n", t, when)
		fmt.Fprintf(&b, "forbid contains \"tainted_%d\" %s input.session.tainted; input.args.amount > 100 }\n", t, when)
		fmt.Fprintf(&b, "forbid contains \"note_%d\" %s contains(input.args.note, \"password\") }\n", t, when)
		fmt.Fprintf(&b, "forbid contains \"reference_%d\" %s not startswith(input.args.reference, \"INV-\") }\n", t, when)
	}
	b.WriteString("default allow := false\n")
	b.WriteString("allow if { count(permit) > 0; count(forbid) == 0 }\n")
	b.WriteString("decision := {\"allow\": allow, \"permit\": permit, \"forbid\": forbid}\n")
	return b.String()
}

// Prepare converts a call to OPA's own values, the form that it evaluates fastest.
func (o *OPA) Prepare(c Call) (ast.Value, error) {
	return ast.InterfaceToValue(map[string]any{
		"tool":    ToolName(c.Tool),
		"args":    c.Args,
		"session": map[string]any{"role": c.Role, "tainted": c.Tainted},
	})
}

// Decide tells whether the call is allowed.
func (o *OPA) Decide(ctx context.Context, in ast.Value) (bool, error) {
	rs, err := o.query.Eval(ctx, rego.EvalParsedInput(in))
	if err != nil || len(rs) != 1 {
		return false, err
	}
	d, _ := rs[0].Expressions[0].Value.(map[string]any)
	return d["allow"] == true, nil
}
