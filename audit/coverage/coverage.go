package coverage

import (
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Report is what rules and cases have shown of the clauses.
type Report struct {
	Rules    []Rule   `json:"rules"`
	Tested   int      `json:"rules_tested"`
	Total    int      `json:"clauses"`
	Cited    int      `json:"clauses_implemented"`
	Shown    int      `json:"clauses_tested"`
	Settled  int      `json:"clauses_settled"`
	Untested []string `json:"clauses_untested,omitempty"`
	Clauses  []Clause `json:"clause_states,omitempty"` // in the order of the packs and their documents
}

// Rule counts the steps in which a rule was seen in each direction, and names the cases.
type Rule struct {
	Rule     string   `json:"rule"`
	Pack     string   `json:"pack"`
	Stops    int      `json:"stops"`
	Passes   int      `json:"passes"`
	StopsIn  []string `json:"stops_in,omitempty"`
	PassesIn []string `json:"passes_in,omitempty"`
}

// Both reports whether the rule was seen to stop a step (or to edit it, or to ask for something) and to let one pass.
func (r *Rule) Both() bool { return r.Stops > 0 && r.Passes > 0 }

// Lacks says which direction was not seen; empty where none lacks.
func (r *Rule) Lacks() string {
	switch {
	case r.Both():
		return ""
	case r.Stops > 0:
		return "never passes"
	case r.Passes > 0:
		return "never stops"
	}
	return "never applies"
}

// State is what becomes of a clause.
type State string

// The states of a clause.
const (
	Open          State = "open"          // nothing implements it, and nobody said why
	Untested      State = "untested"      // rules enforce it, and no case has shown one of them in both directions
	Enforced      State = "enforced"      // rules enforce it, and cases have shown one of them in both directions
	Judged        State = "judged"        // no rule enforces it, and a question asks for it
	Unenforceable State = "unenforceable" // the pack says why nothing can
)

// States are all states, from the worst to the best.
var States = []State{Open, Untested, Judged, Unenforceable, Enforced}

// Clause is a clause with what implements it. By names the clause around or below it that the rules cite where none cites the clause itself: a list is often implemented as a whole.
type Clause struct {
	proviso.Clause
	Depth     int      `json:"depth"`
	Kind      string   `json:"kind"`
	State     State    `json:"state,omitempty"` // empty where no cases were played
	Rules     []string `json:"rules,omitempty"`
	By        string   `json:"by,omitempty"`
	Questions []string `json:"questions,omitempty"`
	Reason    string   `json:"reason,omitempty"` // why nothing enforces it
	Stops     []string `json:"stops_in,omitempty"`
	Passes    []string `json:"passes_in,omitempty"`

	parent string
}

// Percent is the share of the clauses that are settled: enforced and tested in both directions, judged, or unenforceable with a reason. Without clauses it is 100.
func (r *Report) Percent() float64 { return share(r.Settled, r.Total) }

// RulePercent is the share of the rules that cases have shown in both directions.
func (r *Report) RulePercent() float64 { return share(r.Tested, len(r.Rules)) }

func share(n, all int) float64 {
	if all == 0 {
		return 100
	}
	return 100 * float64(n) / float64(all)
}

// Count is how many clauses are in a state.
func (r *Report) Count(s State) int {
	n := 0
	for i := range r.Clauses {
		if r.Clauses[i].State == s {
			n++
		}
	}
	return n
}

// maxCases is how many cases are named for each direction of a rule.
const maxCases = 5

// Of tells what the results of cases show of a policy made of packs. Clauses keep the file names that their documents have.
func Of(p *policy.Policy, packs []*pack.Pack, results []audit.CaseResult) *Report {
	r := &Report{}
	index := map[string]int{}
	bare := map[string]bool{} // rules without a requirement, which pass where they are silent
	for _, pk := range packs {
		for _, rule := range pk.Rules {
			bare[rule.ID.S] = rule.Require == nil
		}
	}
	for _, rule := range p.Rules() {
		if rule.Mode != pack.Off {
			index[rule.ID] = len(r.Rules)
			r.Rules = append(r.Rules, Rule{Rule: rule.ID, Pack: rule.Pack})
		}
	}
	for _, res := range results {
		for _, step := range res.Steps {
			waited := map[string]bool{}
			for _, m := range step.Decision.Missing {
				for _, id := range m.Rules {
					waited[id] = true
				}
			}
			for _, st := range step.States {
				if i, ok := index[st.Rule]; ok {
					r.Rules[i].seen(st, waited[st.Rule], bare[st.Rule], res.Name)
				}
			}
		}
	}
	for i := range r.Rules {
		if r.Rules[i].Both() {
			r.Tested++
		}
	}
	for _, pk := range packs {
		r.Clauses = append(r.Clauses, Clauses(p, pk)...)
	}
	r.settle(index)
	return r
}

func (r *Rule) seen(st policy.RuleState, waited, bare bool, name string) {
	note := func(n *int, in *[]string) {
		*n++
		if len(*in) < maxCases && !slices.Contains(*in, name) {
			*in = append(*in, name)
		}
	}
	switch {
	case st.Errored:
	case st.Applies == proviso.True && st.Holds == proviso.False, waited:
		note(&r.Stops, &r.StopsIn)
	case st.Applies == proviso.True && st.Holds == proviso.True, st.Applies == proviso.False && bare:
		note(&r.Passes, &r.PassesIn)
	}
}

// settle gives every clause its state.
func (r *Report) settle(index map[string]int) {
	r.Total = len(r.Clauses)
	for i := range r.Clauses {
		c := &r.Clauses[i]
		shown := false
		for _, id := range c.Rules {
			if n, ok := index[id]; ok {
				rule := &r.Rules[n]
				shown = shown || rule.Both()
				c.Stops, c.Passes = union(c.Stops, rule.StopsIn), union(c.Passes, rule.PassesIn)
			}
		}
		if len(c.Rules) > 0 {
			r.Cited++
		}
		switch {
		case shown:
			c.State = Enforced
			r.Shown++
		case len(c.Rules) > 0:
			c.State = Untested
			r.Untested = append(r.Untested, c.ID)
		case len(c.Questions) > 0:
			c.State = Judged
		case c.Reason != "":
			c.State = Unenforceable
		default:
			c.State = Open
		}
		if c.State != Open && c.State != Untested {
			r.Settled++
		}
	}
}

func union(list, more []string) []string {
	for _, x := range more {
		if len(list) < maxCases && !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// Clauses lists the clauses of one pack's document in the order of the text, with the rules and questions of the policy that implement them and the reasons that the pack gives. Their states are empty.
// What implements a clause, or is said of it, holds for those that belong to it where nothing is said of them, and the other way round for rules.
func Clauses(p *policy.Policy, pk *pack.Pack) []Clause {
	if pk.Document == nil {
		return nil
	}
	rules, questions, reasons := map[string][]string{}, map[string][]string{}, map[string]string{}
	for _, r := range p.Rules() {
		for _, cl := range r.Clauses {
			rules[cl.ID] = append(rules[cl.ID], r.ID)
		}
	}
	for _, q := range pk.Questions {
		for _, cl := range q.Clause {
			questions[cl.S] = append(questions[cl.S], q.ID.S)
		}
	}
	for _, u := range pk.Unenforceable {
		for _, cl := range u.Clause {
			reasons[cl.S] = u.Reason.S
		}
	}
	readings := pk.Document.Readings()
	out := make([]Clause, len(pk.Document.Clauses))
	at := map[string]int{}
	for i, cl := range pk.Document.Clauses {
		out[i] = Clause{Clause: cl.Cite(), Depth: cl.Depth, Kind: readings[i].Kind.String(), Rules: rules[cl.ID], Questions: questions[cl.ID], Reason: reasons[cl.ID], parent: cl.Parent}
		at[cl.ID] = i
	}
	inherit := func(to, from *Clause) {
		if len(to.Rules) == 0 && len(from.Rules) > 0 && to.Reason == "" {
			to.Rules, to.By = from.Rules, from.By
			if to.By == "" {
				to.By = from.ID
			}
		}
	}
	for i := range out { // a parent comes before its children
		if j, ok := at[out[i].parent]; ok {
			inherit(&out[i], &out[j])
			if out[i].Reason == "" && len(out[i].Rules) == 0 {
				out[i].Reason = out[j].Reason
			}
		}
	}
	for i := len(out) - 1; i >= 0; i-- {
		if j, ok := at[out[i].parent]; ok {
			inherit(&out[j], &out[i])
		}
	}
	return out
}

// Stale is a rule or question that implements a clause whose words changed since an older version of the document.
type Stale struct {
	Rule   string          `json:"rule"`
	Change document.Change `json:"change"`
}

// StaleSince lists what implements clauses of an older document that a new one says otherwise or no longer, in the order of the changes.
func StaleSince(p *policy.Policy, pk *pack.Pack, before, after *document.Document) []Stale {
	var out []Stale
	for _, ch := range document.Compare(before, after).Changes {
		if !ch.Stale() {
			continue
		}
		cites := func(id string) bool {
			return slices.ContainsFunc(ch.Old, func(c document.Clause) bool { return c.ID == id })
		}
		for _, r := range p.Rules() {
			if slices.ContainsFunc(r.Clauses, func(c proviso.Clause) bool { return cites(c.ID) }) {
				out = append(out, Stale{r.ID, ch})
			}
		}
		for _, q := range pk.Questions {
			if slices.ContainsFunc(q.Clause, func(c pack.Text) bool { return cites(c.S) }) {
				out = append(out, Stale{q.ID.S, ch})
			}
		}
	}
	return out
}
