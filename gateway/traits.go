package gateway

import (
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/flow"
	"github.com/proviso-dev/proviso/policy/pack"
)

// traits is what a door has to know of a policy beside its decisions: computed once, from the trees that decide.
type traits struct {
	policy   *policy.Policy
	tools    map[string]toolTraits
	rules    map[proviso.Point]bool // points that a rule or a default speaks about
	enforced map[proviso.Point]bool // points at which something may be stopped or changed
	text     *flow.Text             // what becomes of streamed text
}

type toolTraits struct {
	stateful bool // a condition asks for facts, the past, agreement or origins
	read     bool
}

func traitsOf(p *policy.Policy) *traits {
	t := &traits{policy: p, tools: map[string]toolTraits{}, rules: map[proviso.Point]bool{}, enforced: map[proviso.Point]bool{}, text: flow.Of(p)}
	for _, name := range p.Tools() {
		a, ok := p.Anatomy(name)
		if !ok {
			// unreachable: the name is the policy's own.
			continue
		}
		t.tools[name] = toolTraits{asksThePast(&a), p.IsRead(name)}
	}
	for _, r := range p.Rules() {
		for _, at := range r.Points {
			t.rules[at] = t.rules[at] || r.Mode != pack.Off
			t.enforced[at] = t.enforced[at] || r.Mode == pack.Enforce
		}
	}
	for _, pk := range p.Packs() {
		for at, o := range pk.Defaults.Outcome {
			if o != proviso.Allow {
				t.rules[at], t.enforced[at] = true, true
			}
		}
	}
	return t
}

// never and always are the standings of tools that decide what a model is offered.
const never, always = policy.Never, policy.Always

// standing says how the calls of a tool by these agents are decided, whatever they say.
func (t *traits) standing(tool string, agents []string) policy.Standing {
	return t.policy.Standing(tool, agents)
}

// asksThePast reports whether the decision on a tool's calls may be another one in another session: a condition reads a fact, a count, an agreement, an origin, how long the session lasts, or what a judge says about it.
func asksThePast(a *policy.Anatomy) bool {
	if len(a.Slots) > 0 {
		return true
	}
	for _, at := range a.Atoms {
		if at.Question != "" || mentionsPast(at.Expr) {
			return true
		}
	}
	return false
}

// mentionsPast looks for what an expression reads beside the event. Names that begin with @ are the compiler's own for facts, the past and origins.
func mentionsPast(e ast.Expr) bool {
	found := false
	if e == nil {
		return false
	}
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			n := x.AsIdent()
			found = found || strings.HasPrefix(n, "@f")
		case ast.CallKind:
			n := x.AsCall().FunctionName()
			found = found || strings.HasPrefix(n, "@") && !operatorNames[n] || n == "confirmed" || strings.HasPrefix(n, "origin")
		case ast.SelectKind:
			s := x.AsSelect()
			if s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == "session" {
				found = found || s.FieldName() == "turns" || s.FieldName() == "started"
			}
		}
	}))
	return found
}

// operatorNames are CEL's own names that begin with @.
var operatorNames = map[string]bool{"@in": true, "@not_strictly_false": true}
