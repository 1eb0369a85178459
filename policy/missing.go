package policy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
	"github.com/proviso-dev/proviso/tree"
)

// needInfo fills in a decision that several outcomes are possible for.
func (f *frame) needInfo(s outcomes, relevant func(int) bool, d *proviso.Decision) {
	b := &missingList{f: f}
	f.waiting(s, relevant, func(root *tree.Node, onErr tree.Set, r *guardRule, atoms []int) {
		b.weigh(root, onErr, atoms)
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

// waiting visits every grant (r nil) and rule that can still change the outcome, with its tree and the open atoms that it waits for, in the order of evidence.
// The list is good during the visit.
func (f *frame) waiting(s outcomes, relevant func(int) bool, visit func(root *tree.Node, onErr tree.Set, r *guardRule, atoms []int)) {
	f.eachGrant(func(g *grant) {
		f.open = tree.Missing(g.root, f.grantErr(), f.atomSet, relevant, f.open[:0])
		if len(f.open) > 0 && f.grantValues() == tree.Open {
			visit(g.root, f.grantErr(), nil, f.open)
		}
	})
	for i := range f.prog.rules {
		r := &f.prog.rules[i]
		// A rule that is no stricter than what is certain anyway cannot change the outcome.
		if r.mode != pack.Enforce || r.effect.Outcome >= s.highest() || !f.takesPart(r) {
			continue
		}
		if f.open = tree.Missing(r.root, f.ruleErr(), f.atomSet, relevant, f.open[:0]); len(f.open) > 0 {
			visit(r.root, f.ruleErr(), r, f.open)
		}
	}
}

// missingAtoms lists the atoms that a decision waits for.
func (f *frame) missingAtoms(s outcomes, relevant func(int) bool) (out []int) {
	f.waiting(s, relevant, func(_ *tree.Node, _ tree.Set, _ *guardRule, atoms []int) { out = append(out, atoms...) })
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

// missingList joins what several rules wait for. Equal things are one entry.
type missingList struct {
	f      *frame
	list   []proviso.Missing
	gain   []float64 // of the entries of list, in bits: what each is expected to tell about the trees that wait for it
	bits   []float64 // of the atoms of the tree being visited, in the order of its list
	bySlot []int     // 1 + index in list of the fact of a slot, 0 for none yet
	needs  []need
}

// need is one thing that an atom waits for: the fact of a slot (slot ≥ 0), or anything else.
type need struct {
	slot int
	m    proviso.Missing
	gain float64
}

func (b *missingList) obtainable(n need) bool {
	if n.slot < 0 {
		return n.m.Kind != proviso.MissingFact || len(n.m.Suppliers) > 0
	}
	for _, s := range b.f.prog.slots[n.slot].fact.suppliers {
		if b.f.mayCall(s.tool) {
			return true
		}
	}
	return false
}

// maxWeighed is the largest number of open atoms of one tree that are weighed: each further one can double the work. Beyond it the order of evidence stands.
const maxWeighed = 8

// weigh works out what each atom that a tree waits for is expected to tell about it.
func (b *missingList) weigh(root *tree.Node, onErr tree.Set, atoms []int) {
	b.bits = zeroed(b.bits, len(atoms))
	if len(atoms) < 2 || len(unique(tree.OpenAtoms(root, onErr, b.f.atomSet, nil))) > maxWeighed {
		return
	}
	for _, q := range tree.Ask(root, onErr, b.f.atomSet, nil) {
		if i := slices.Index(atoms, q.Atom); i >= 0 {
			b.bits[i] = q.Gain
		}
	}
}

// waiting adds the atoms that one rule waits for. Questions are put only when no fact is missing for the rule that can be had.
func (b *missingList) waiting(atoms []int, rule string, clauses []proviso.Clause) {
	needs := b.needs[:0]
	for j, i := range atoms {
		before := len(needs)
		needs = b.f.missingFor(i, needs)
		for k := before; k < len(needs); k++ {
			needs[k].gain = b.bits[j]
		}
	}
	b.needs = needs
	facts := false
	for _, n := range needs {
		facts = facts || n.fact() && b.obtainable(n)
	}
	for _, n := range needs {
		if n.fact() || !facts {
			b.add(n, rule, clauses)
		}
	}
}

func (n need) fact() bool { return n.slot >= 0 || n.m.Kind == proviso.MissingFact }

func (b *missingList) add(n need, rule string, clauses []proviso.Clause) {
	i := b.entry(n)
	b.gain[i] += n.gain
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

// entry finds the entry of a need, or makes it.
func (b *missingList) entry(n need) int {
	if n.slot >= 0 {
		if b.bySlot == nil {
			b.bySlot = make([]int, len(b.f.prog.slots))
		}
		if i := b.bySlot[n.slot]; i > 0 {
			return i - 1
		}
		n.m = b.f.missingFact(b.f.prog.slots[n.slot].fact, b.f.slot(n.slot).key)
	}
	i := slices.IndexFunc(b.list, func(m proviso.Missing) bool { return sameMissing(m, n.m) })
	if i < 0 {
		i = len(b.list)
		b.list, b.gain = append(b.list, n.m), append(b.gain, 0)
	}
	if n.slot >= 0 {
		b.bySlot[n.slot] = i + 1
	}
	return i
}

func sameMissing(a, b proviso.Missing) bool {
	return a.Kind == b.Kind && a.Fact == b.Fact && a.Question == b.Question && slices.EqualFunc(a.Key, b.Key, func(x, y proviso.Value) bool {
		return x.Path == y.Path && reflect.DeepEqual(x.Val, y.Val)
	})
}

func hasClause(cs []proviso.Clause, id string) bool {
	for _, c := range cs {
		if c.ID == id {
			return true
		}
	}
	return false
}

var missingRank = map[proviso.MissingKind]int{proviso.MissingFact: 0, proviso.MissingQuestion: 1, proviso.MissingConfirmation: 2}

// ordered puts facts before questions before the confirmation; among its kind what can be had first, then what is expected to tell most, then the order of evidence.
// It asks the user to confirm only when nothing else is missing: a call that may still be denied should not be confirmed first.
func (b *missingList) ordered() []proviso.Missing {
	order := make([]int, len(b.list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		x, y := &b.list[i], &b.list[j]
		return cmp.Or(cmp.Compare(missingRank[x.Kind], missingRank[y.Kind]), cmp.Compare(min(len(y.Suppliers), 1), min(len(x.Suppliers), 1)), cmp.Compare(b.gain[j], b.gain[i]))
	})
	out := make([]proviso.Missing, 0, len(order))
	for _, i := range order {
		if b.list[i].Kind == proviso.MissingConfirmation && len(out) > 0 && obtainable(out) {
			break
		}
		out = append(out, b.list[i])
	}
	return out
}

// missingFor adds what would close one open atom.
func (f *frame) missingFor(i int, out []need) []need {
	a := f.prog.atoms[i]
	before := len(out)
	for _, n := range a.slots {
		out = f.missingSlot(n, out)
	}
	for _, m := range f.misses {
		if m.atom == i {
			out = append(out, need{slot: -1, m: f.missingFact(m.fact, m.key)})
		}
	}
	if len(out) > before {
		return out
	}
	if a.question != nil {
		m := proviso.Missing{Kind: proviso.MissingQuestion, Question: a.question.id, Ask: a.question.ask, Clauses: a.question.clauses}
		for _, in := range a.inputs {
			if v, st := in.get(f); st == known {
				m.Key = append(m.Key, proviso.Value{Path: in.text, Val: v})
			}
		}
		return append(out, need{slot: -1, m: m})
	}
	if a.confirm {
		out = append(out, need{slot: -1, m: proviso.Missing{Kind: proviso.MissingConfirmation, Question: f.in.Hash, Ask: f.pol.proposal(f.in)}})
	}
	return out
}

// missingSlot names an unobserved look-up, or, where its key is not known yet, the look-ups that the key is computed from.
func (f *frame) missingSlot(n int, out []need) []need {
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
	return append(out, need{slot: n})
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
		sup := proviso.Supplier{Tool: s.tool.decl.Name, Open: s.open, Args: make(map[string]any, len(s.args))}
		for arg, i := range s.args {
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
				b.WriteString(schema.Show(v))
			}
		}
	}
	b.WriteString(". Do you confirm?")
	return b.String()
}
