package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// leafPack is a pack that was generated for one condition tree: a tool act that the tree guards, and for each different leaf a fact that a tool of its own supplies.
type leafPack struct {
	policy *policy.Policy
	tree   *sopNode
	keys   []string       // of the leaves, in order of their first occurrence
	index  map[string]int // of keys
	facts  []int          // numbers of the policy's facts, by leaf
	values []bool         // of the tree, by the bits of the leaves' truths
}

func leafFact(i int) string { return fmt.Sprintf("leaf_%d", i) }
func leafTool(i int) string { return fmt.Sprintf("check_%d", i) }

// newLeafPack writes the pack's files, loads and compiles them.
func newLeafPack(t testing.TB, n *sopNode) *leafPack {
	t.Helper()
	k := &leafPack{tree: n, index: map[string]int{}}
	for _, leaf := range n.leaves() {
		if _, ok := k.index[leaf.key()]; !ok {
			k.index[leaf.key()] = len(k.keys)
			k.keys = append(k.keys, leaf.key())
		}
	}
	tool := func(name string) any {
		return map[string]any{"name": name, "parameters": map[string]any{"type": "object", "properties": map[string]any{}}}
	}
	tools, facts, rules := []any{tool("act")}, map[string]any{}, []any{}
	for i := range k.keys {
		tools = append(tools, tool(leafTool(i)))
		facts[leafFact(i)] = map[string]any{"schema": map[string]any{"type": "boolean"}, "from": []any{map[string]any{"tool": leafTool(i)}}}
	}
	if n != nil {
		rules = append(rules, map[string]any{"id": "tree", "tools": []any{"act"}, "require": n.require(func(leaf *sopNode) string { return leafFact(k.index[leaf.key()]) })})
	}
	files := fstest.MapFS{
		"tree/proviso.yaml": {Data: encode(t, map[string]any{"name": "tree", "version": "1", "reads": []any{"check_*"}})},
		"tree/tools.json":   {Data: encode(t, tools)},
		"tree/rules.yaml":   {Data: encode(t, map[string]any{"grants": []any{map[string]any{"tools": []any{"*"}}}, "facts": facts, "rules": rules})},
	}
	k.policy = loadPackFrom(t, files, "tree")
	for i := range k.keys {
		number, ok := k.policy.FactNumber(leafFact(i))
		if !ok {
			t.Fatalf("the policy has no fact %s", leafFact(i))
		}
		k.facts = append(k.facts, number)
	}
	if len(k.keys) <= maxLeaves {
		k.values = make([]bool, 1<<len(k.keys))
		for m := range k.values {
			k.values[m] = n.value(func(leaf *sopNode) proviso.Tri {
				return proviso.TriOf((m>>k.index[leaf.key()]&1 == 1) != leaf.negated)
			}) == proviso.True
		}
	}
	return k
}

// maxLeaves bounds the different leaves of a tree whose completions are tried out.
const maxLeaves = 20

// truths are what is known of the leaves of a pack; they are a policy's facts as well.
type truths struct {
	pack  *leafPack
	value []proviso.Tri
}

// Fact returns the truth of the leaf that the numbered fact stands for.
func (w truths) Fact(i int, _ policy.Key) (any, policy.FactState) {
	v := w.value[slices.Index(w.pack.facts, i)]
	if v == proviso.Unknown {
		return nil, policy.Unobserved
	}
	return v == proviso.True, policy.Observed
}

// outcome decides the call of act where just these truths are known.
func (k *leafPack) outcome(value []proviso.Tri) proviso.Decision {
	in := k.policy.Bind(&proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: "act", Args: proviso.JSON("{}")}}, nil)
	return k.policy.Decide(in, &policy.View{Now: time.Unix(0, 0).UTC(), Session: k.policy.SessionDefaults(), Facts: truths{k, value}})
}

// completions tells which values the tree takes where just these truths are known.
func (k *leafPack) completions(value []proviso.Tri) (canHold, canFail bool) {
	known, bits := 0, 0
	for i, v := range value {
		if v != proviso.Unknown {
			known |= 1 << i
		}
		if v == proviso.True {
			bits |= 1 << i
		}
	}
	for m, v := range k.values {
		if m&known == bits {
			canHold, canFail = canHold || v, canFail || !v
		}
	}
	return canHold, canFail
}

// demands returns the leaves that the tree has to ask for next, by the suite's rule: and, or ask for all that is open, chain and gate for the first that is;
// in each case only for what can still change the value of the whole.
func (k *leafPack) demands(value []proviso.Tri) map[int]bool {
	matters := func(i int) bool {
		known, bits := 1<<i, 0
		for j, v := range value {
			if v != proviso.Unknown {
				known |= 1 << j
			}
			if v == proviso.True {
				bits |= 1 << j
			}
		}
		for m, v := range k.values {
			if m&known == bits && v != k.values[m|1<<i] {
				return true
			}
		}
		return false
	}
	truth := func(leaf *sopNode) proviso.Tri {
		if v := value[k.index[leaf.key()]]; leaf.negated {
			return v.Not()
		} else {
			return v
		}
	}
	out := map[int]bool{}
	var ask func(n *sopNode) bool
	ask = func(n *sopNode) bool {
		if n.value(truth) != proviso.Unknown {
			return false
		}
		if n.op == "single" {
			i := k.index[n.key()]
			if matters(i) {
				out[i] = true
			}
			return matters(i)
		}
		asked := false
		for _, kid := range n.kids {
			asked = ask(kid) || asked
			if asked && (n.op == "chain" || n.op == "gate") {
				break
			}
		}
		return asked
	}
	if k.tree != nil {
		ask(k.tree)
	}
	return out
}

// truthsOf reads the leaves' truths of a recorded call; equal leaves have one truth. A leaf whose predicate failed is unknown.
func (k *leafPack) truthsOf(t testing.TB, c sopCall) []proviso.Tri {
	t.Helper()
	value := make([]proviso.Tri, len(k.keys))
	for i := range value {
		value[i] = proviso.Unknown
	}
	for _, leaf := range c.Tree.leaves() {
		v := c.tri(leaf)
		if v == proviso.Unknown {
			continue
		}
		if leaf.negated {
			v = v.Not()
		}
		i := k.index[leaf.key()]
		if value[i] != proviso.Unknown && value[i] != v {
			t.Errorf("%s: %s has two truths", c.ID, leaf.key())
		}
		value[i] = v
	}
	return value
}

// The suite's condition trees become ours through a pack that is generated, loaded and compiled, and the decision from the leaves' truths is the suite's verdict.
// With leaves hidden, a decision is what every completion of the hidden ones gives, so that revealing them never contradicts it; where completions differ, it asks.
// From nothing known, what chain and gate ask for comes in their order, until the decision stands.
func TestSOPBenchTrees(t *testing.T) {
	data := readSOP(t)
	packs := map[string]*leafPack{}
	type verdict struct{ right, plays bool }
	known := map[string]verdict{}
	perDomain := map[string]*tally{}
	var all, order, hidden tally
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range data.calls {
		if c.Permit == nil {
			continue
		}
		shape := c.Tree.String()
		k := packs[shape]
		if k == nil {
			k = newLeafPack(t, c.Tree)
			if k.values == nil {
				t.Logf("%s: %d different leaves are decided, but not hidden in turn", c.ID, len(k.keys))
			}
			packs[shape] = k
		}
		value := k.truthsOf(t, c)
		state := fmt.Sprint(shape, value)
		v, ok := known[state]
		if !ok {
			want := proviso.Deny
			if *c.Permit {
				want = proviso.Allow
			}
			v.right = k.outcome(value).Outcome == want
			if !v.right {
				t.Errorf("%s: %s, permit=%v over %s", c.ID, k.outcome(value).Outcome, *c.Permit, shape)
			}
			if k.values != nil {
				v.plays = k.play(t, value, want)
				hidden.join(k.hide(t, value, want, rng))
			}
			known[state] = v
		}
		if perDomain[c.Domain] == nil {
			perDomain[c.Domain] = &tally{}
		}
		perDomain[c.Domain].add(v.right)
		all.add(v.right)
		if c.Tree != nil && k.values != nil {
			order.add(v.plays)
		}
	}
	t.Logf("%d trees, %d different states of their leaves", len(packs), len(known))
	for _, domain := range slices.Sorted(maps.Keys(perDomain)) {
		exactly("sopbench."+domain+"_tree_agreement", *perDomain[domain])
	}
	exactly("sopbench.tree_agreement", all)
	exactly("sopbench.tree_order", order)
	exactly("sopbench.tree_hidden_leaves", hidden)
	if all.n == 0 || all.share() < 1 || order.share() < 1 || hidden.share() < 1 {
		t.Error("every labelled row has to agree, in order, whatever is hidden")
	}
}

// hide decides with each subset of the truths hidden, or with a random choice of the subsets where there are many.
func (k *leafPack) hide(t testing.TB, value []proviso.Tri, want proviso.Outcome, rng *rand.Rand) (right tally) {
	subsets, limit := 1<<len(k.keys), 256
	if *long {
		limit = 1 << 16
	}
	for s := range min(subsets, limit) {
		if subsets > limit {
			s = rng.IntN(subsets)
		}
		part := slices.Clone(value)
		for i := range part {
			if s>>i&1 == 1 {
				part[i] = proviso.Unknown
			}
		}
		canHold, canFail := k.completions(part)
		expect := proviso.NeedInfo
		switch {
		case !canFail:
			expect = proviso.Allow
		case !canHold:
			expect = proviso.Deny
		}
		got := k.outcome(part).Outcome
		ok := got == expect && (got == proviso.NeedInfo || got == want)
		right.add(ok)
		if !ok {
			t.Errorf("%s over %v: %s, completions give %s, all revealed %s", k.tree, part, got, expect, want)
		}
	}
	return right
}

// play leads a conversation in which nothing is known at first and what a decision asks for is looked up, in the order of the tree.
func (k *leafPack) play(t testing.TB, value []proviso.Tri, want proviso.Outcome) bool {
	line := newLine(t, k.policy, nil)
	shown := make([]proviso.Tri, len(value))
	for i := range shown {
		shown[i] = proviso.Unknown
	}
	for range len(value) + 1 {
		d := line.call("act", nil, func() (json.RawMessage, error) { return json.RawMessage("null"), nil })
		asked := map[int]bool{}
		for _, m := range d.Missing {
			i := slices.IndexFunc(k.keys, func(key string) bool { return leafFact(k.index[key]) == m.Fact })
			asked[i] = true
		}
		if expect := k.demands(shown); d.Outcome == proviso.NeedInfo && !maps.Equal(asked, expect) {
			t.Errorf("%s over %v: asks for %v, want %v", k.tree, shown, asked, expect)
			return false
		}
		if d.Outcome != proviso.NeedInfo {
			if d.Outcome != want {
				t.Errorf("%s over %v: %s, want %s", k.tree, shown, d.Outcome, want)
			}
			return d.Outcome == want
		}
		for i := range asked {
			shown[i] = value[i]
			line.call(leafTool(i), nil, func() (json.RawMessage, error) {
				if value[i] == proviso.Unknown { // the suite could not evaluate it either, and what else is asked for decides
					return nil, errors.New("no such record")
				}
				return encode(t, value[i] == proviso.True), nil
			})
		}
	}
	t.Errorf("%s: asks without end", k.tree)
	return false
}

// String shows the tree as the suite names its parts.
func (n *sopNode) String() string {
	if n == nil {
		return "none"
	}
	if n.op == "single" {
		if n.negated {
			return "not " + n.key()
		}
		return n.key()
	}
	var kids []string
	for _, k := range n.kids {
		kids = append(kids, k.String())
	}
	return n.op + "(" + strings.Join(kids, ", ") + ")"
}
