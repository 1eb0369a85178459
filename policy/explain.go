package policy

import (
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// This file says why: the reasons of a decision, and the state of every rule.

// reasons adds every rule that certainly fires, with the sub-expressions that decided. Where none alone does (complementary rules), those that may fire are named.
func (f *frame) reasons(d *proviso.Decision) {
	if f.prog.point == proviso.ToolCallPoint && d.Outcome == proviso.Deny && f.grantValues() == tree.IsFalse {
		d.Reasons = append(d.Reasons, f.grantReason())
	}
	for i := range f.prog.rules {
		if r := &f.prog.rules[i]; len(r.lifted) > 0 {
			f.noteLift(r, d)
		}
	}
	n := len(d.Reasons)
	f.firing(d, tree.IsTrue)
	if d.Outcome != proviso.Allow && !decided(d.Reasons[n:], d.Outcome) && n == 0 {
		f.firing(d, tree.Open)
	}
	if d.Outcome == proviso.Deny && len(d.Reasons) == 0 {
		d.Reasons = append(d.Reasons, proviso.Reason{Rule: defaultsRule, Outcome: proviso.Deny, Class: proviso.Never, Agent: "the pack's defaults deny " + f.prog.point.String()})
	}
}

func decided(rs []proviso.Reason, o proviso.Outcome) bool {
	for _, r := range rs {
		if r.Outcome == o && r.Mode == "" {
			return true
		}
	}
	return false
}

func (f *frame) firing(d *proviso.Decision, v tree.Set) {
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		if !f.takesPart(r) || tree.Eval(r.root, f.ruleErr(), f.atomSet) != v || r.effect.Outcome == proviso.Allow && r.mode == pack.Enforce {
			continue
		}
		d.Reasons = append(d.Reasons, f.reason(r))
	}
}

func (f *frame) reason(r *guardRule) proviso.Reason {
	out := proviso.Reason{Rule: r.id, Outcome: r.effect.Outcome, Clauses: r.clauses, Because: f.because(r),
		Agent: r.message.Agent, User: r.message.User, Auditor: r.message.Auditor, Class: r.class, Hint: r.hint, Pos: r.pos}
	if r.mode == pack.Audit {
		out.Mode = pack.Audit.String()
	}
	if out.Class == "" {
		out.Class = f.classOf(r)
	}
	return out
}

// classOf derives what the agent can do: an unconditional denial is for ever, an escalation waits for a person, anything else may change.
func (f *frame) classOf(r *guardRule) proviso.Class {
	switch {
	case r.effect.Outcome == proviso.Escalate:
		return proviso.WithApproval
	case r.always:
		return proviso.Never
	}
	return proviso.WithChange
}

// noteLift tells the auditor that an override kept a rule from firing.
func (f *frame) noteLift(r *guardRule, d *proviso.Decision) {
	l := f.liftedBy(r)
	if l == nil || !f.speaks(r) || tree.Eval(r.root, f.ruleErr(), f.atomSet) != tree.IsTrue {
		return
	}
	d.Notices = append(d.Notices, proviso.Notice{Rule: r.id, To: "auditor", Text: "lifted by " + l.by + " until " + l.until.Format("2006-01-02T15:04:05Z07:00")})
}

func (f *frame) grantReason() proviso.Reason {
	r := proviso.Reason{Rule: grantRule, Outcome: proviso.Deny, Class: proviso.Never, Because: f.grantCauses(),
		Agent: "no grant permits " + f.in.name}
	if len(r.Because) > 0 {
		r.Class = proviso.WithChange
		r.Agent = "no grant permits this call of " + f.in.name
	}
	return r
}

func (f *frame) grantCauses() []proviso.Cause {
	var out []proviso.Cause
	f.eachGrant(func(g *grant) {
		if tree.Eval(g.root, f.grantErr(), f.atomSet) != tree.IsTrue {
			out = f.causes(g.occurs, g.root, out)
		}
	})
	return out
}

// because names the sub-expressions that decided a rule: of `require` those that made it false, then of `when` those that made it apply.
func (f *frame) because(r *guardRule) []proviso.Cause {
	f.causal = f.causal[:0]
	if r.require != nil {
		f.causal = f.causes(r.occurs, r.require, f.causal)
	}
	if r.when != nil {
		f.causal = f.causes(r.occurs, r.when, f.causal)
	}
	return slices.Clone(f.causal)
}

// causes walks to the leaves that gave n its value.
func (f *frame) causes(occurs map[*tree.Node]string, n *tree.Node, out []proviso.Cause) []proviso.Cause {
	if n == nil {
		return out
	}
	if text, ok := occurs[n]; ok {
		return f.cause(n, text, out)
	}
	switch n.Op {
	case tree.Atom:
		return f.cause(n, f.prog.atoms[n.Atom].text, out)
	case tree.If:
		return f.branchCauses(occurs, n, out)
	case tree.Not:
		return f.causes(occurs, n.Kids[0], out)
	}
	// A conjunction that is not true is explained by the children that are not, a disjunction that is not false by those that are not; where some of them decide alone, by these.
	skip := tree.IsTrue
	if n.Op == tree.Any || n.Op == tree.Gate {
		skip = tree.IsFalse
	}
	whole := f.value(n)
	alone := whole == skip.Not() && slices.ContainsFunc(n.Kids, func(k *tree.Node) bool { return f.value(k) == whole })
	for _, k := range n.Kids {
		if v := f.value(k); whole == skip || v != skip && (!alone || v == whole) {
			out = f.causes(occurs, k, out)
		}
	}
	return out
}

// branchCauses explains an If: by its condition and the branch taken, or, where the condition is open and both branches agree, by these.
func (f *frame) branchCauses(occurs map[*tree.Node]string, n *tree.Node, out []proviso.Cause) []proviso.Cause {
	c, whole := f.value(n.Kids[0]), f.value(n)
	if c != tree.Open || whole == tree.Open {
		out = f.causes(occurs, n.Kids[0], out)
	}
	if c == tree.IsTrue || c == tree.Open {
		out = f.causes(occurs, n.Kids[1], out)
	}
	if c == tree.IsFalse || c == tree.Open {
		out = f.causes(occurs, n.Kids[2], out)
	}
	return out
}

// value is the set of a node with errors kept apart from false and true: Err where they would decide.
func (f *frame) value(n *tree.Node) tree.Set {
	lo, hi := tree.Eval(n, tree.IsFalse, f.atomSet), tree.Eval(n, tree.IsTrue, f.atomSet)
	if lo != hi {
		return tree.Err
	}
	return lo
}

var valueNames = map[tree.Set]string{tree.IsFalse: "false", tree.IsTrue: "true", tree.Open: "unknown", tree.Err: "error"}

func (f *frame) cause(n *tree.Node, text string, out []proviso.Cause) []proviso.Cause {
	i := n.Atom
	if n.Op == tree.Not {
		i = n.Kids[0].Atom
	}
	c := proviso.Cause{Expr: text, Value: valueNames[f.value(n)]}
	for k := range out {
		if out[k].Expr == text {
			return out
		}
	}
	for _, in := range f.prog.atoms[i].inputs {
		if v, st := in.get(f); st == known {
			c.Inputs = append(c.Inputs, proviso.Value{Path: in.text, Val: v})
		}
	}
	return append(out, c)
}

// RuleState is the state of one rule for one event.
// Applies is whether its `when` holds; Holds whether its requirement does, so that a rule that applies and does not hold fires.
type RuleState struct {
	Rule    string
	Clauses []proviso.Clause
	Applies proviso.Tri
	Holds   proviso.Tri
	Errored bool // an unknown above is an error, not something missing
	Outcome proviso.Outcome
	Mode    pack.Mode
	Causes  []proviso.Cause
}

// Explain returns the state of every rule that speaks of the event, the grants (rule "grants") first for a tool call, rules in order of their ids.
// Causes are given where a rule applies or may apply. It returns nothing for an event with a fault.
func (p *Policy) Explain(in *Input, v *View) []RuleState {
	if v == nil {
		v = emptyView
	}
	prog := p.programOf(in)
	if prog == nil || in.Fault != nil {
		return nil
	}
	f := p.frame(prog, in, v)
	defer p.release(f)
	var out []RuleState
	if prog.point == proviso.ToolCallPoint {
		out = append(out, RuleState{Rule: grantRule, Applies: proviso.True, Holds: f.grantValues().Tri(), Outcome: proviso.Deny, Causes: f.grantCauses()})
	}
	for i := range prog.rules {
		r := &prog.rules[i]
		if !f.takesPart(r) {
			continue
		}
		st := RuleState{Rule: r.id, Clauses: r.clauses, Outcome: r.effect.Outcome, Mode: r.mode}
		when, holds := f.value(r.when), tree.IsFalse
		if r.require != nil {
			holds = f.value(r.require)
		}
		st.Applies, st.Holds = when.Tri(), holds.Tri()
		st.Errored = when == tree.Err || st.Applies != proviso.False && holds == tree.Err
		if st.Applies != proviso.False {
			st.Causes = f.because(r)
		}
		out = append(out, st)
	}
	return out
}
