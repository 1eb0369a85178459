package policy

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// outcomes is a set of outcomes, one bit each.
type outcomes uint8

func only(o proviso.Outcome) outcomes { return 1 << o }

func (s outcomes) single() bool { return s&(s-1) == 0 }

// lowest and highest are the strictest and the most permissive outcome of a set.
func (s outcomes) lowest() proviso.Outcome  { return proviso.Outcome(bits.TrailingZeros8(uint8(s))) }
func (s outcomes) highest() proviso.Outcome { return proviso.Outcome(bits.Len8(uint8(s)) - 1) }

// capped returns every outcome of the set made at least as strict as o.
func (s outcomes) capped(o proviso.Outcome) outcomes {
	below := s & (only(o) - 1)
	if s != below {
		below |= only(o)
	}
	return below
}

// granted returns what grants of this value leave of the set.
func (s outcomes) granted(g tree.Set) outcomes {
	switch g {
	case tree.IsTrue:
		return s
	case tree.IsFalse:
		return only(proviso.Deny)
	}
	return s | only(proviso.Deny)
}

// ruled returns what a rule makes of the set whose firing has this value.
func (s outcomes) ruled(fires tree.Set, o proviso.Outcome) outcomes {
	switch fires {
	case tree.IsFalse:
		return s
	case tree.IsTrue:
		return s.capped(o)
	}
	return s | s.capped(o)
}

var emptyView = &View{}

// Decide says what the policy permits. It never fails: whatever goes wrong is named in Errors and restricts.
//
// The outcome is the one under all completions of what is not known. Where several are possible it is NeedInfo, and Missing names what can still change it and
// who supplies it; where nothing granted can supply it, Deny. The order of rules, clauses and files never matters.
func (p *Policy) Decide(in *Input, v *View) proviso.Decision {
	if v == nil {
		v = emptyView
	}
	d := proviso.Decision{Policy: p.digest}
	prog := p.programOf(in)
	if in.Fault != nil || prog == nil {
		p.faulted(in, &d)
		return d
	}
	f := p.frame(prog, in, v)
	f.decide(&d)
	p.release(f)
	return d
}

func (p *Policy) programOf(in *Input) *program {
	switch in.Event.Point {
	case proviso.ToolCallPoint:
		if in.tool != nil {
			return in.tool.call
		}
		return nil
	case proviso.ToolResultPoint:
		if in.tool != nil {
			return in.tool.answer
		}
		return nil
	}
	return p.points[in.Event.Point]
}

// faulted decides an event whose bytes are not acceptable.
func (p *Policy) faulted(in *Input, d *proviso.Decision) {
	fault := in.Fault
	if fault == nil {
		fault = &proviso.Fault{Code: codeBody, Msg: fmt.Sprintf("no rules are known for point %q", in.Event.Point)}
	}
	d.Errors = []proviso.Fault{*fault}
	if p.onError[in.Event.Point] {
		d.Outcome, d.FailedOpen = proviso.Allow, true
		return
	}
	d.Reasons = []proviso.Reason{{Rule: inputRule, Outcome: proviso.Deny, Class: proviso.WithChange, Agent: fault.Msg, Hint: fault.Hint}}
}

// The names that stand for a rule where none of the pack decided.
const (
	inputRule    = "input"    // the event itself is not acceptable
	grantRule    = "grants"   // no grant covers the call
	editRule     = "edits"    // edits contradict each other
	defaultsRule = "defaults" // the pack's defaults close the point
)

// ruleErr is what an erring atom counts as in a rule: the rule fires, unless the pack opens the point on errors.
func (f *frame) ruleErr() tree.Set {
	if f.pol.onError[f.prog.point] {
		return tree.IsFalse
	}
	return tree.IsTrue
}

func (f *frame) grantErr() tree.Set {
	if f.pol.onError[f.prog.point] {
		return tree.IsTrue
	}
	return tree.IsFalse
}

// grantValues returns whether the call is granted: within a rank grants unite, across ranks and across the agents that handed the work on they intersect.
func (f *frame) grantValues() tree.Set {
	if f.prog.point != proviso.ToolCallPoint {
		return tree.IsTrue
	}
	if len(f.prog.grants) == 0 {
		return tree.IsFalse
	}
	agents := f.in.Event.Agents
	acc := f.grantedTo(f.in.Event.Agent())
	for i := 1; i < len(agents); i++ {
		acc = acc.And(f.grantedTo(agents[i]))
	}
	return acc
}

func (f *frame) grantedTo(agent string) tree.Set {
	acc := tree.IsTrue
	onErr := f.grantErr()
	for _, rank := range f.prog.grants {
		any := tree.IsFalse
		for i := range rank {
			g := &rank[i]
			if !f.covers(g, agent) {
				continue
			}
			if any = any.Or(tree.Eval(g.root, onErr, f.atomSet)); any == tree.IsTrue {
				break
			}
		}
		if acc = acc.And(any); acc == tree.IsFalse {
			return acc
		}
	}
	return acc
}

func (f *frame) covers(g *grant, agent string) bool {
	return (g.scope == "" || g.scope == f.v.Scope) && (len(g.agents) == 0 || agentsMatch(g.agents, agent))
}

// speaks reports whether a rule is about the agents of this event and the scope it is in.
func (f *frame) speaks(r *guardRule) bool {
	if len(r.agents) > 0 && !f.concerns(r.agents) {
		return false
	}
	return len(r.scopes) == 0 || slices.Contains(r.scopes, f.v.Scope)
}

// takesPart reports whether a rule is evaluated for this event at all.
func (f *frame) takesPart(r *guardRule) bool {
	if !f.speaks(r) || len(r.lifted) > 0 && f.liftedBy(r) != nil {
		return false
	}
	return r.effect.Outcome != proviso.Escalate || len(f.v.Approved) == 0 || !slices.Contains(f.v.Approved, r.id)
}

// concerns reports whether the globs name the agent or one that handed the work to it.
func (f *frame) concerns(globs []string) bool {
	for _, a := range f.in.Event.Agents {
		if agentsMatch(globs, a) {
			return true
		}
	}
	return len(f.in.Event.Agents) == 0 && agentsMatch(globs, "")
}

func (f *frame) liftedBy(r *guardRule) *lift {
	for i := range r.lifted {
		if f.now.Before(r.lifted[i].until) {
			return &r.lifted[i]
		}
	}
	return nil
}

// outcomes returns the outcomes that are possible as the atoms stand, and whether any rule can fire or was kept from it by an override. It is exact where no open atom occurs twice.
func (f *frame) outcomes() (s outcomes, fires bool) {
	s = only(f.pol.defaultOutcome(f.prog.point)).granted(f.grantValues())
	onErr := f.ruleErr()
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if !f.takesPart(r) {
			fires = fires || len(r.lifted) > 0
			continue
		}
		v := tree.Eval(r.root, onErr, f.atomSet)
		if v == tree.IsFalse {
			continue
		}
		fires = true
		if r.mode == pack.Audit {
			continue
		}
		s = s.ruled(v, r.effect.Outcome)
	}
	return s, fires
}

func (p *Policy) defaultOutcome(pt proviso.Point) proviso.Outcome {
	if pt == proviso.ToolCallPoint {
		return proviso.Allow // the grants decide
	}
	if o, ok := p.outcome[pt]; ok {
		return o
	}
	return proviso.Allow
}

func (f *frame) decide(d *proviso.Decision) {
	s, fires := f.outcomes()
	if s == only(proviso.Allow) && !fires && len(f.faults) == 0 {
		d.Outcome = proviso.Allow
		return
	}
	var relevant func(int) bool
	if !s.single() {
		s, relevant = f.complete(s, d)
	}
	f.noteFaults(d)
	if !s.single() {
		f.needInfo(s, relevant, d)
		return
	}
	d.Outcome = s.lowest()
	f.reasons(d)
	if d.Outcome != proviso.Deny && fires {
		f.effects(d)
	}
}

// complete makes the outcomes exact where open atoms occur more than once, by enumerating completions,
// and returns which atoms can change the outcome (nil: all that are open).
func (f *frame) complete(s outcomes, d *proviso.Decision) (outcomes, func(int) bool) {
	open := f.openAtoms()
	var repeated []int
	for _, i := range open {
		if f.prog.repeated[i] {
			repeated = append(repeated, i)
		}
	}
	switch {
	case len(repeated) == 0:
		return s, nil
	case len(open) <= tree.MaxEnumerate:
		return f.enumerate(open)
	case len(repeated) <= tree.MaxEnumerate:
		d.Approximate = true
		s, _ = f.enumerate(repeated)
		return s, nil
	}
	d.Approximate = true
	return s, nil
}

// enumerate tries all completions of the atoms given. Only what they leave open as a whole can differ from one completion to the next, so that the rest is evaluated once.
func (f *frame) enumerate(atoms []int) (s outcomes, relevant func(int) bool) {
	live, base := f.undecided()
	res := make([]outcomes, 1<<len(atoms))
	for m := range res {
		for j, i := range atoms {
			f.sets[i] = setOf(m>>j&1 == 1)
		}
		res[m] = f.completed(live, base)
		s |= res[m]
	}
	matters := make([]bool, len(f.sets))
	for j, i := range atoms {
		f.sets[i] = tree.Open
		for m := range res {
			if res[m] != res[m^1<<j] {
				matters[i] = true
				break
			}
		}
	}
	return s, func(i int) bool { return matters[i] }
}

// undecided returns the rules that may fire, and the outcomes that are left possible by everything else that is not the grants.
func (f *frame) undecided() (live []*guardRule, base outcomes) {
	base = only(f.pol.defaultOutcome(f.prog.point))
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if r.mode == pack.Audit || !f.takesPart(r) {
			continue
		}
		switch tree.Eval(r.root, f.ruleErr(), f.atomSet) {
		case tree.IsTrue:
			base = base.capped(r.effect.Outcome)
		case tree.Open:
			live = append(live, r)
		}
	}
	return live, base
}

// completed is outcomes for one completion; s is what undecided returned.
func (f *frame) completed(live []*guardRule, s outcomes) outcomes {
	s = s.granted(f.grantValues())
	onErr := f.ruleErr()
	for _, r := range live {
		s = s.ruled(tree.Eval(r.root, onErr, f.atomSet), r.effect.Outcome)
	}
	return s
}

// openAtoms lists the open atoms of everything undecided, each once.
func (f *frame) openAtoms() []int {
	var out []int
	f.eachGrant(func(g *grant) { out = tree.OpenAtoms(g.root, f.grantErr(), f.atomSet, out) })
	for i := range f.prog.rules {
		if r := &f.prog.rules[i]; f.takesPart(r) && r.mode == pack.Enforce {
			out = tree.OpenAtoms(r.root, f.ruleErr(), f.atomSet, out)
		}
	}
	return unique(out)
}

// eachGrant visits the grants that can cover the call for any of its agents.
func (f *frame) eachGrant(visit func(*grant)) {
	for _, rank := range f.prog.grants {
		for i := range rank {
			g := &rank[i]
			if f.coversAny(g) {
				visit(g)
			}
		}
	}
}

func (f *frame) coversAny(g *grant) bool {
	for _, a := range f.in.Event.Agents {
		if f.covers(g, a) {
			return true
		}
	}
	return len(f.in.Event.Agents) == 0 && f.covers(g, "")
}

// unique removes repetitions from a short list, in place.
func unique(in []int) []int {
	out := in[:0]
	for _, i := range in {
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// noteFaults names the errors that took part in the decision. Those that a decided connective absorbed do not count.
func (f *frame) noteFaults(d *proviso.Decision) {
	if len(f.faults) == 0 {
		return
	}
	f.eachGrant(func(g *grant) {
		if tree.Eval(g.root, tree.IsFalse, f.atomSet) != tree.Eval(g.root, tree.IsTrue, f.atomSet) {
			f.addFaults(d, grantRule, g.root)
		}
	})
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if f.takesPart(r) && tree.Eval(r.root, tree.IsFalse, f.atomSet) != tree.Eval(r.root, tree.IsTrue, f.atomSet) {
			f.addFaults(d, r.id, r.root)
		}
	}
	if len(d.Errors) > 0 && f.pol.onError[f.prog.point] {
		d.FailedOpen = true
	}
}

// failure says why an atom failed. A native closure does not know; CEL, which fails where it does, tells.
func (f *frame) failure(af atomFault) error {
	a := f.prog.atoms[af.atom]
	if af.err != nil || a.plan == nil {
		return af.err
	}
	prg, err := a.plan()
	if err == nil {
		_, _, err = prg.Eval(f)
	}
	return err
}

func (f *frame) addFaults(d *proviso.Decision, rule string, root *tree.Node) {
	for _, i := range unique(root.Atoms(nil)) {
		if f.sets[i] != tree.Err {
			continue
		}
		a := f.prog.atoms[i]
		fault := proviso.Fault{Code: codeEval, Rule: rule, Expr: a.text, Msg: "evaluation failed", Hint: "a missing field or a value outside of its range; guard it with has()"}
		for _, af := range f.faults {
			if af.atom != i {
				continue
			}
			if err := f.failure(af); err != nil {
				fault.Msg = condition.PlainMessage(err.Error())
				if strings.Contains(fault.Msg, "cost limit") {
					fault.Code, fault.Hint = codeRunCost, "bound the lists with maxItems in their schemas, or avoid nesting all and exists"
				}
			}
		}
		for _, n := range a.slots {
			if f.slots[n].state == failed && f.slots[n].key.N >= 0 {
				fault.Code, fault.Msg = codeFactBroken, f.prog.slots[n].text+": "+errBroken.Error()
				fault.Hint = "mend the fact's schema or its value: in the pack, or the tool that answers otherwise than it should"
			}
		}
		d.Errors = append(d.Errors, fault)
	}
}
