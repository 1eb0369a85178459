package policy

import (
	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// Standing is what a policy says about the calls of a tool whatever their arguments and the past are.
type Standing uint8

// The standings. Never is the zero value, and that of tools that the policy does not know.
const (
	Never   Standing = iota // every call is denied
	Depends                 // it depends on the call, or on the past
	Always                  // every call that fits the tool's schema is allowed, as it is
)

// Standing says how the calls of a tool by these agents are decided, the nearest agent first; no agents stand for the nameless one.
// It evaluates the tool's trees with every atom open. A rule that an override may lift and a grant or rule bound to a scope leave it open, so that Never and Always hold for the whole session.
func (p *Policy) Standing(tool string, agents []string) Standing {
	t := p.tools[tool]
	if t == nil || len(t.call.grants) == 0 {
		return Never
	}
	if len(agents) == 0 {
		agents = []string{""}
	}
	granted := t.granted(agents)
	if granted == tree.IsFalse {
		return Never
	}
	out := Depends
	if granted == tree.IsTrue {
		out = Always
	}
	for _, r := range t.call.rules {
		if r.mode != pack.Enforce || !concerns(r.agents, agents) {
			continue
		}
		fires := tree.Eval(r.root, tree.Open, anyValue)
		if fires == tree.IsFalse {
			continue
		}
		out = min(out, Depends)
		if fires == tree.IsTrue && r.effect.Outcome == proviso.Deny && len(r.lifted) == 0 && len(r.scopes) == 0 {
			return Never
		}
	}
	return out
}

// granted is whether the ranks grant the tool to all of the agents.
func (t *tool) granted(agents []string) tree.Set {
	out := tree.IsTrue
	for _, agent := range agents {
		for _, rank := range t.call.grants {
			one := tree.IsFalse
			for _, g := range rank {
				switch {
				case !agentsMatch(g.agents, agent):
				case g.scope != "":
					one = one.Or(tree.Open)
				default:
					one = one.Or(tree.Eval(g.root, tree.Open, anyValue))
				}
			}
			out = out.And(one)
		}
	}
	return out
}

// anyValue leaves every atom open.
func anyValue(int) tree.Set { return tree.Open }

func concerns(globs, agents []string) bool {
	for _, a := range agents {
		if agentsMatch(globs, a) {
			return true
		}
	}
	return false
}
