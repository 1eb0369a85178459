package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/tree"
)

// sharcNode is a fitted rule tree of the suite: a connective, or a leaf that holds where the answer to its question is the one given.
type sharcNode struct {
	Op     string // "and", "or", empty for a leaf
	Args   []*sharcNode
	Q      string
	Answer string
}

// sharcRule is one rule text with a user's question about it, as a pack: to say yes is a call that the rule guards, and each condition is a judged question.
type sharcRule struct {
	ID         string `json:"tree_id"`
	Conditions []string
	Tree       *sharcNode `json:"fitted_tree"`
	Kind       string     `json:"fitted_kind"`
	Table      []struct {
		Facts    map[string]string
		Decision string
		Ask      []string
	}
	policy *policy.Policy
	tree   *tree.Node // over the numbers of the conditions
}

// sharcOutcomes are the decisions of the suite: yes is what may be said, no what may not, and ask is what must be found out first.
var sharcOutcomes = map[string]proviso.Outcome{"Yes": proviso.Allow, "No": proviso.Deny, "Ask": proviso.NeedInfo}

func sharcQuestion(i int) string { return fmt.Sprintf("condition_%d", i) }

// compile writes the pack of a rule, loads and compiles it.
func (r *sharcRule) compile(t testing.TB) {
	t.Helper()
	var require func(n *sharcNode) (any, *tree.Node)
	require = func(n *sharcNode) (any, *tree.Node) {
		if n.Op == "" {
			i := slices.Index(r.Conditions, n.Q)
			if i < 0 {
				t.Fatalf("%s: no condition %q", r.ID, n.Q)
			}
			if leaf := "judged." + sharcQuestion(i); n.Answer == "Yes" {
				return leaf, tree.Leaf(i)
			} else {
				return map[string]any{"not": leaf}, tree.New(tree.Not, tree.Leaf(i))
			}
		}
		op := map[string]tree.Op{"and": tree.All, "or": tree.Any}[n.Op]
		var kids []any
		var nodes []*tree.Node
		for _, a := range n.Args {
			k, node := require(a)
			kids, nodes = append(kids, k), append(nodes, node)
		}
		return map[string]any{op.String(): kids}, tree.New(op, nodes...)
	}
	cond, node := require(r.Tree)
	questions := map[string]any{}
	for i, q := range r.Conditions {
		questions[sharcQuestion(i)] = map[string]any{"ask": q, "about": []any{"turns(8)"}}
	}
	files := fstest.MapFS{
		"rule/proviso.yaml": {Data: encode(t, map[string]any{"name": "rule", "version": "1"})},
		"rule/tools.json":   {Data: []byte(`[{"name": "say_yes", "parameters": {"type": "object", "properties": {}}}]`)},
		"rule/rules.yaml": {Data: encode(t, map[string]any{
			"grants":    []any{map[string]any{"tools": []any{"say_yes"}}},
			"questions": questions,
			"rules":     []any{map[string]any{"id": "rule", "tools": []any{"say_yes"}, "require": cond}},
		})},
	}
	r.policy, r.tree = loadPackFrom(t, files, "rule"), node
}

// answers are the answers given so far, by the number of the condition.
type answers []proviso.Tri

// Answer returns the answer to a question of the pack.
func (a answers) Answer(question string, _ []any) proviso.Tri {
	for i, v := range a {
		if sharcQuestion(i) == question {
			return v
		}
	}
	return proviso.Unknown
}

func (r *sharcRule) answers(facts map[string]string) answers {
	a := make(answers, len(r.Conditions))
	for i, q := range r.Conditions {
		a[i] = proviso.Unknown
		if v, ok := facts[q]; ok {
			a[i] = proviso.TriOf(v == "Yes")
		}
	}
	return a
}

// decide asks whether yes may be said, and which questions are missing, by the number of the condition.
func (r *sharcRule) decide(a answers) (o proviso.Outcome, missing map[int]bool) {
	in := r.policy.Bind(&proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: "say_yes", Args: proviso.JSON("{}")}}, nil)
	d := r.policy.Decide(in, &policy.View{Now: time.Unix(0, 0).UTC(), Session: r.policy.SessionDefaults(), Answers: a})
	missing = map[int]bool{}
	for _, m := range d.Missing {
		for i := range a {
			if m.Kind == proviso.MissingQuestion && m.Question == sharcQuestion(i) {
				missing[i] = true
			}
		}
	}
	return d.Outcome, missing
}

// can tells whether the tree can become true and false over the completions of the answers, tried out one by one.
func (r *sharcRule) can(a answers) (hold, fail bool) {
	i := slices.Index(a, proviso.Unknown)
	if i < 0 {
		v := tree.Kleene(r.tree, func(i int) proviso.Tri { return a[i] }) == proviso.True
		return v, !v
	}
	for _, v := range []proviso.Tri{proviso.False, proviso.True} {
		b := slices.Clone(a)
		b[i] = v
		h, f := r.can(b)
		hold, fail = hold || h, fail || f
	}
	return hold, fail
}

// flips tells whether the answer to a question can change the decision, whatever else is answered.
func (r *sharcRule) flips(a answers, q int) bool {
	with := func(v proviso.Tri, b answers) bool {
		b = slices.Clone(b)
		b[q] = v
		return tree.Kleene(r.tree, func(i int) proviso.Tri { return b[i] }) == proviso.True
	}
	var try func(b answers) bool
	try = func(b answers) bool {
		for i, v := range b {
			if v != proviso.Unknown || i == q {
				continue
			}
			for _, v := range []proviso.Tri{proviso.False, proviso.True} {
				c := slices.Clone(b)
				c[i] = v
				if try(c) {
					return true
				}
			}
			return false
		}
		return with(proviso.True, b) != with(proviso.False, b)
	}
	return a[q] == proviso.Unknown && try(a)
}

// gains are how much the answer to each open question is expected to tell about the decision, in bits per cost, found by trying all answers:
// the entropy of the decision less that which is expected once the question is answered (methods: expected drop of entropy per cost). about gives the chance of a yes, and the cost.
func (r *sharcRule) gains(a answers, about func(q int) (prior, cost float64)) map[int]float64 {
	var holds func(b answers) float64
	holds = func(b answers) float64 {
		i := slices.Index(b, proviso.Unknown)
		if i < 0 {
			return map[bool]float64{true: 1}[tree.Kleene(r.tree, func(i int) proviso.Tri { return b[i] }) == proviso.True]
		}
		yes, no := slices.Clone(b), slices.Clone(b)
		yes[i], no[i] = proviso.True, proviso.False
		p, _ := about(i)
		return p*holds(yes) + (1-p)*holds(no)
	}
	out := map[int]float64{}
	for q, v := range a {
		if v != proviso.Unknown {
			continue
		}
		yes, no := slices.Clone(a), slices.Clone(a)
		yes[q], no[q] = proviso.True, proviso.False
		p, cost := about(q)
		h, n := holds(yes), holds(no)
		out[q] = (bits(p*h+(1-p)*n) - p*bits(h) - (1-p)*bits(n)) / cost
	}
	return out
}

// bits is the entropy of something that is true with the chance p.
func bits(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -p*math.Log2(p) - (1-p)*math.Log2(1-p)
}

// uneven are chances and costs that differ from question to question.
func uneven(q int) (prior, cost float64) {
	return 0.1 + 0.8*math.Mod(float64(q+1)*0.618, 1), 1 + math.Mod(float64(q+1)*0.414, 1)
}

// best reports whether the questions come in the order of what their answers tell, the most informative first, by trying all answers; and whether gains are told as they are.
func (r *sharcRule) best(a answers, about func(q int) (prior, cost float64)) bool {
	asked := tree.Ask(r.tree, tree.IsFalse, func(i int) tree.Set { return tree.SetOf(a[i]) }, about)
	if about == nil {
		about = func(int) (float64, float64) { return 0.5, 1 }
	}
	const rounding = 1e-9
	gains := r.gains(a, about)
	most := 0.0
	for _, g := range gains {
		most = max(most, g)
	}
	last := most
	for i, q := range asked {
		g := gains[q.Atom]
		if math.Abs(g-q.Gain) > rounding || g > last+rounding || i == 0 && g < most-rounding {
			return false
		}
		last = g
	}
	return len(asked) > 0
}

// maxStates bounds the subsets of answers that are tried out for one rule; of more, every so many-th is.
const maxStates = 20_000

// Every row of the rule tables is decided as it says. Whatever subset of the answers is known, the decision is yes or no exactly where no other answer could change it,
// and where it asks, every question is one whose answer can still change it, and the most informative comes first.
func TestShARC(t *testing.T) {
	var table, early, matters, listed, best, bestUneven tally
	byKind := map[string]*tally{}
	unfitted := 0
	testkit.Lines(t, "sharc/rule_trees.jsonl", func(line []byte) {
		var r sharcRule
		must(t, json.Unmarshal(line, &r))
		if r.Tree == nil {
			unfitted++
			return
		}
		r.compile(t)
		for _, row := range r.Table {
			a := r.answers(row.Facts)
			got, missing := r.decide(a)
			right := got == sharcOutcomes[row.Decision]
			if !right {
				t.Errorf("%s over %v: %s, the table says %s", r.ID, row.Facts, got, row.Decision)
			}
			table.add(right)
			if byKind[r.Kind] == nil {
				byKind[r.Kind] = &tally{}
			}
			byKind[r.Kind].add(right)
			if got == proviso.NeedInfo {
				next := tree.Ask(r.tree, tree.IsFalse, func(i int) tree.Set { return tree.SetOf(a[i]) }, nil)
				if len(next) == 0 || !missing[next[0].Atom] {
					t.Errorf("%s over %v: the first question of %v is not among those that the decision waits for: %v", r.ID, row.Facts, next, missing)
					continue
				}
				if row.Decision == "Ask" {
					listed.add(slices.Contains(row.Ask, r.Conditions[next[0].Atom]))
				}
			}
		}
		states := pow(3, len(r.Conditions))
		for state := 0; state < states; state += 1 + states/maxStates {
			a, s := make(answers, len(r.Conditions)), state
			for i := range a {
				a[i], s = proviso.Tri(s%3), s/3
			}
			got, missing := r.decide(a)
			hold, fail := r.can(a)
			want := proviso.NeedInfo
			switch {
			case !fail:
				want = proviso.Allow
			case !hold:
				want = proviso.Deny
			}
			early.add(got == want)
			if got != want {
				t.Errorf("%s over %v: %s, completions give %s", r.ID, a, got, want)
			}
			if want == proviso.NeedInfo {
				even, weighed := r.best(a, nil), r.best(a, uneven)
				best.add(even)
				bestUneven.add(weighed)
				if !even || !weighed {
					t.Errorf("%s over %v: the questions do not come in the order of what they tell", r.ID, a)
				}
			}
			for q := range missing {
				ok := r.flips(a, q)
				matters.add(ok)
				if !ok {
					t.Errorf("%s over %v: asks %q, which changes nothing", r.ID, a, r.Conditions[q])
				}
			}
		}
	})
	t.Logf("%d tables have no fitted tree", unfitted)
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		exactly("sharc.table_agreement_"+kind, *byKind[kind])
	}
	exactly("sharc.table_agreement", table)
	exactly("sharc.never_early_or_late", early)
	exactly("sharc.question_matters", matters)
	exactly("sharc.most_informative_first", best)
	exactly("sharc.most_informative_first_weighed", bestUneven)
	exactly("sharc.first_question_accepted", listed)
	if table.n == 0 || table.share() < 1 || early.share() < 1 || matters.share() < 1 {
		t.Error("every row has to agree, and every question has to matter")
	}
}

func pow(b, e int) int {
	n := 1
	for range e {
		n *= b
	}
	return n
}
