package policy

import (
	"slices"
	"sort"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// Verdict of the reference evaluator: the outcomes that some completion of the open atoms gives, and the atoms that change the outcome in some completion.
type referenceResult struct {
	Outcomes []proviso.Outcome // ascending
	Relevant []string          // atom keys, sorted
}

// maxReference is the number of open atoms that the reference enumerates.
const maxReference = 14

// reference decides as slowly and obviously as the design defines it: every atom by CEL, every completion of every open atom, Kleene's logic over each,
// an unknown root read strictly. It knows no shortcut, no native atom and no set of values; what it shares with Decide is the compiled trees and the
// look-up of facts. Edits are not carried out. ok is false where more atoms are open than it enumerates.
func (p *Policy) reference(in *Input, v *View) (res referenceResult, ok bool) {
	prog := p.programOf(in)
	if in.Fault != nil || prog == nil {
		return referenceResult{Outcomes: []proviso.Outcome{proviso.Deny}}, true
	}
	f := p.frame(prog, in, v)
	defer p.release(f)
	f.plain = true
	values := make([]proviso.Tri, len(prog.atoms))
	var open []int
	for i := range prog.atoms {
		s := f.atom(i)
		values[i] = s.Tri()
		if s == tree.Open {
			open = append(open, i)
		}
	}
	if len(open) > maxReference {
		return res, false
	}
	under := make([]proviso.Outcome, 1<<len(open))
	for m := range under {
		for j, i := range open {
			values[i] = proviso.TriOf(m>>j&1 == 1)
		}
		under[m] = f.outcomeUnder(values)
		if !slices.Contains(res.Outcomes, under[m]) {
			res.Outcomes = append(res.Outcomes, under[m])
		}
	}
	slices.Sort(res.Outcomes)
	for j, i := range open {
		for m := range under {
			if under[m] != under[m^1<<j] {
				res.Relevant = append(res.Relevant, prog.atoms[i].key)
				break
			}
		}
	}
	sort.Strings(res.Relevant)
	return res, true
}

// outcomeUnder is the outcome where every atom has the value given; an atom in error is Unknown.
func (f *frame) outcomeUnder(values []proviso.Tri) proviso.Outcome {
	holds := func(n *tree.Node) proviso.Tri { return tree.Kleene(n, func(i int) proviso.Tri { return values[i] }) }
	// With on_error: allow an unknown permits: a grant matches and a rule keeps silent; otherwise the other way round.
	grantFrom, fireFrom := proviso.True, proviso.Unknown
	if f.pol.onError[f.prog.point] {
		grantFrom, fireFrom = proviso.Unknown, proviso.True
	}
	out := f.pol.defaultOutcome(f.prog.point)
	if f.prog.point == proviso.ToolCallPoint {
		agents := f.in.Event.Agents
		if len(agents) == 0 {
			agents = []string{""}
		}
		for _, a := range agents {
			for _, rank := range f.prog.grants {
				granted := false
				for _, g := range rank {
					covers := (g.scope == "" || g.scope == f.v.Scope) && agentsMatch(g.agents, a)
					granted = granted || covers && holds(g.root) >= grantFrom
				}
				if !granted {
					out = proviso.Deny
				}
			}
		}
		if len(f.prog.grants) == 0 {
			out = proviso.Deny
		}
	}
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if r.mode != pack.Enforce || !f.takesPart(r) {
			continue
		}
		fires := holds(r.when)
		if r.require != nil {
			fires = min(fires, holds(r.require).Not())
		}
		if fires >= fireFrom {
			out = min(out, r.effect.Outcome)
		}
	}
	return out
}
