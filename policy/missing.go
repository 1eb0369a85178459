package policy

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/tree"
)

// needInfo fills in a decision that several outcomes are possible for.
func (f *frame) needInfo(s outcomes, relevant func(int) bool, d *proviso.Decision) {
	b := &missingList{f: f, at: map[string]int{}}
	f.waiting(s, relevant, func(r *guardRule, atoms []int) {
		if r == nil {
			b.waiting(atoms, grantRule, nil)
			return
		}
		b.waiting(atoms, r.id, r.clauses)
		reason := f.reason(r)
		reason.Class = proviso.NeedsInfo
		d.Reasons = append(d.Reasons, reason)
	})
	d.Missing = b.ordered()
	d.Outcome = proviso.NeedInfo
	switch {
	case f.prog.point != proviso.ToolCallPoint:
		d.Outcome = proviso.Deny // a text cannot wait for an answer
	case !obtainable(d.Missing):
		d.Outcome = proviso.Deny
		for i := range d.Reasons {
			d.Reasons[i].Class = proviso.Never
		}
		d.Errors = append(d.Errors, proviso.Fault{Code: codeUnsupplied, Msg: "nothing that is granted can supply " + factNames(d.Missing), Hint: "grant a read that supplies the fact; proviso lint names it"})
	}
	if len(d.Reasons) == 0 {
		d.Reasons = []proviso.Reason{{Rule: grantRule, Outcome: proviso.Deny, Class: proviso.NeedsInfo, Because: f.grantCauses()}}
	}
}

// waiting visits every grant (r nil) and rule that can still change the outcome, with the open atoms that it waits for, in the order of evidence.
func (f *frame) waiting(s outcomes, relevant func(int) bool, visit func(r *guardRule, atoms []int)) {
	f.eachGrant(func(g *grant) {
		if atoms := tree.Missing(g.root, f.grantErr(), f.atomSet, relevant, nil); len(atoms) > 0 && f.grantValues() == tree.Open {
			visit(nil, atoms)
		}
	})
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		// A rule that is no stricter than what is certain anyway cannot change the outcome.
		if r.mode != Enforce || r.effect.Outcome >= s.highest() || !f.takesPart(r) {
			continue
		}
		if atoms := tree.Missing(r.root, f.ruleErr(), f.atomSet, relevant, nil); len(atoms) > 0 {
			visit(r, atoms)
		}
	}
}

// missingAtoms lists the atoms that a decision waits for.
func (f *frame) missingAtoms(s outcomes, relevant func(int) bool) (out []int) {
	f.waiting(s, relevant, func(_ *guardRule, atoms []int) { out = append(out, atoms...) })
	return out
}

func obtainable(ms []proviso.Missing) bool {
	for _, m := range ms {
		if m.Kind != proviso.MissingFact || len(m.Suppliers) > 0 {
			return true
		}
	}
	return false
}

func factNames(ms []proviso.Missing) string {
	var names []string
	for _, m := range ms {
		names = append(names, m.Fact)
	}
	if len(names) == 0 {
		return "what is missing"
	}
	return strings.Join(names, ", ")
}

// missingList joins what several rules wait for.
type missingList struct {
	f    *frame
	list []proviso.Missing
	at   map[string]int
}

// waiting adds the atoms that one rule waits for. Questions are put only when no fact is missing for the rule that can be had.
func (b *missingList) waiting(atoms []int, rule string, clauses []proviso.Clause) {
	var facts, asks []proviso.Missing
	for _, i := range atoms {
		for _, m := range b.f.missingFor(i) {
			if m.Kind == proviso.MissingFact {
				facts = append(facts, m)
			} else {
				asks = append(asks, m)
			}
		}
	}
	if !obtainable(facts) {
		facts = append(facts, asks...)
	}
	for _, m := range facts {
		b.add(m, rule, clauses)
	}
}

func (b *missingList) add(m proviso.Missing, rule string, clauses []proviso.Clause) {
	key := string(m.Kind) + "\x00" + m.Fact + "\x00" + m.Question
	for _, k := range m.Key {
		key += "\x00" + fmt.Sprint(k.Val)
	}
	i, ok := b.at[key]
	if !ok {
		i = len(b.list)
		b.at[key] = i
		b.list = append(b.list, m)
	}
	x := &b.list[i]
	if !slices.Contains(x.Rules, rule) {
		x.Rules = append(x.Rules, rule)
	}
	for _, c := range clauses {
		if !hasClause(x.Clauses, c.ID) {
			x.Clauses = append(x.Clauses, c)
		}
	}
}

func hasClause(cs []proviso.Clause, id string) bool {
	for _, c := range cs {
		if c.ID == id {
			return true
		}
	}
	return false
}

// ordered puts facts before questions before the confirmation, and asks the user to confirm only when nothing else is missing:
// a call that may still be denied should not be confirmed first.
func (b *missingList) ordered() []proviso.Missing {
	rank := map[proviso.MissingKind]int{proviso.MissingFact: 0, proviso.MissingQuestion: 1, proviso.MissingConfirmation: 2}
	sort.SliceStable(b.list, func(i, j int) bool {
		if ri, rj := rank[b.list[i].Kind], rank[b.list[j].Kind]; ri != rj {
			return ri < rj
		}
		return len(b.list[i].Suppliers) > 0 && len(b.list[j].Suppliers) == 0
	})
	for i, m := range b.list {
		if m.Kind == proviso.MissingConfirmation && i > 0 && obtainable(b.list[:i]) {
			return b.list[:i]
		}
	}
	return b.list
}

// missingFor says what would close one open atom.
func (f *frame) missingFor(i int) []proviso.Missing {
	a := f.prog.atoms[i]
	var out []proviso.Missing
	for _, n := range a.slots {
		out = f.missingSlot(n, out)
	}
	for _, m := range f.misses {
		if m.atom == i {
			out = append(out, f.missingFact(m.fact, m.key))
		}
	}
	if a.question != nil && len(out) == 0 {
		m := proviso.Missing{Kind: proviso.MissingQuestion, Question: a.question.id, Ask: a.question.ask, Clauses: a.question.clauses}
		for _, in := range a.inputs {
			if v, st := in.get(f); st == known {
				m.Key = append(m.Key, proviso.Value{Path: in.text, Val: v})
			}
		}
		return append(out, m)
	}
	if a.confirm && len(out) == 0 {
		out = append(out, proviso.Missing{Kind: proviso.MissingConfirmation, Question: f.in.Hash, Ask: f.pol.proposal(f.in)})
	}
	return out
}

// missingSlot names an unobserved look-up, or, where its key is not known yet, the look-ups that the key is computed from.
func (f *frame) missingSlot(n int, out []proviso.Missing) []proviso.Missing {
	s := f.slot(n)
	if s.state != unknown {
		return out
	}
	if s.key.N < 0 {
		for _, d := range f.prog.slots[n].deps {
			out = f.missingSlot(d, out)
		}
		return out
	}
	return append(out, f.missingFact(f.prog.slots[n].fact, s.key))
}

func (f *frame) missingFact(fc *fact, key Key) proviso.Missing {
	m := proviso.Missing{Kind: proviso.MissingFact, Fact: fc.name}
	for i, k := range fc.keys {
		m.Key = append(m.Key, proviso.Value{Path: k.Name.S, Val: keyValue(k.Type, key.Part[i])})
	}
	for _, s := range fc.suppliers {
		if !f.mayCall(s.tool) {
			continue
		}
		sup := proviso.Supplier{Tool: s.tool.decl.Name, Open: s.open}
		for arg, i := range s.args {
			if sup.Args == nil {
				sup.Args = map[string]any{}
			}
			sup.Args[arg] = keyValue(s.typed[arg], key.Part[i])
		}
		m.Suppliers = append(m.Suppliers, sup)
	}
	return m
}

func keyValue(kind, part string) any {
	if kind == "integer" {
		if i, err := strconv.ParseInt(part, 10, 64); err == nil {
			return i
		}
	}
	return part
}

// mayCall reports whether every rank has a grant that names the tool for the agents of this event.
func (f *frame) mayCall(t *tool) bool {
	agents := f.in.Event.Agents
	if len(agents) == 0 {
		agents = []string{""}
	}
	for _, a := range agents {
		for _, rank := range t.call.grants {
			found := false
			for i := range rank {
				found = found || f.covers(&rank[i], a)
			}
			if !found {
				return false
			}
		}
	}
	return true
}

// proposal is the text that asks the user to confirm a call. It names every key argument, as confirmed(call) requires.
func (p *Policy) proposal(in *Input) string {
	var b strings.Builder
	fmt.Fprintf(&b, "I am about to call %s", in.name)
	args := p.KeyArguments(in)
	for i, n := range sortedKeys(args) {
		b.WriteString(map[bool]string{true: " with ", false: ", "}[i == 0])
		b.WriteString(n + " = ")
		for j, v := range args[n] {
			if j > 0 {
				b.WriteString(", ")
			}
			if s, ok := v.(string); ok {
				b.WriteString(s)
			} else {
				b.WriteString(show(v))
			}
		}
	}
	b.WriteString(". Do you confirm?")
	return b.String()
}
