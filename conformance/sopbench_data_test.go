package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// sopNode is a node of a condition tree of the suite: a leaf with a predicate, or a connective. A nil node is no condition.
type sopNode struct {
	op        string // single, and, or, chain, gate
	kids      []*sopNode
	predicate string            // of a leaf, without its "not "
	params    map[string]string // of a leaf: parameter to where its value comes from
	negated   bool
	leaf      int // number of the leaf, depth first
}

// UnmarshalJSON reads the suite's form: ["single", predicate, {parameter: source}] or [connective, [nodes…]].
func (n *sopNode) UnmarshalJSON(b []byte) error {
	leaves := 0
	return n.read(b, &leaves)
}

func (n *sopNode) read(b []byte, leaves *int) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[0], &n.op); err != nil {
		return err
	}
	if n.op == "single" {
		n.leaf = *leaves
		*leaves++
		if err := json.Unmarshal(parts[1], &n.predicate); err != nil {
			return err
		}
		n.predicate, n.negated = strings.CutPrefix(n.predicate, "not ")
		return json.Unmarshal(parts[2], &n.params)
	}
	var kids []json.RawMessage
	if err := json.Unmarshal(parts[1], &kids); err != nil {
		return err
	}
	for _, k := range kids {
		kid := &sopNode{}
		if err := kid.read(k, leaves); err != nil {
			return err
		}
		n.kids = append(n.kids, kid)
	}
	return nil
}

// key is what a leaf says, without its negation: the predicate with the sources that it reads, sorted.
func (n *sopNode) key() string {
	return n.predicate + "(" + strings.Join(slices.Sorted(maps.Values(n.params)), ", ") + ")"
}

// leaves returns the leaves of n, depth first.
func (n *sopNode) leaves() []*sopNode {
	if n == nil {
		return nil
	}
	if n.op == "single" {
		return []*sopNode{n}
	}
	var out []*sopNode
	for _, k := range n.kids {
		out = append(out, k.leaves()...)
	}
	return out
}

// value is that of the tree in Kleene's logic, where each leaf, negation included, has the value that of gives.
func (n *sopNode) value(of func(leaf *sopNode) proviso.Tri) proviso.Tri {
	if n == nil {
		return proviso.True
	}
	switch n.op {
	case "single":
		return of(n)
	case "and", "chain":
		v := proviso.True
		for _, k := range n.kids {
			v = min(v, k.value(of))
		}
		return v
	}
	v := proviso.False
	for _, k := range n.kids {
		v = max(v, k.value(of))
	}
	return v
}

// sopOps gives the names that packs have for the suite's connectives.
var sopOps = map[string]string{"and": "all", "or": "any", "chain": "chain", "gate": "gate"}

// require writes the tree as a condition of a pack; leaf gives the condition of a leaf, and what it returns for a negated one is negated here.
func (n *sopNode) require(leaf func(*sopNode) string) any {
	if n.op == "single" {
		if n.negated {
			return map[string]any{"not": leaf(n)}
		}
		return leaf(n)
	}
	kids := []any{}
	for _, k := range n.kids {
		kids = append(kids, k.require(leaf))
	}
	return map[string]any{sopOps[n.op]: kids}
}

// sopLeaf is the truth of one leaf as the suite recorded it; nil where its predicate failed.
type sopLeaf struct {
	Predicate string
	Params    map[string]any
	Holds     *bool
}

// tri is the recorded truth of a leaf of the tree.
func (c sopCall) tri(leaf *sopNode) proviso.Tri {
	if h := c.Leaves[leaf.leaf].Holds; h != nil {
		return proviso.TriOf(*h)
	}
	return proviso.Unknown
}

// sopCall is one recorded call with the state it was made in and what the suite says about it.
type sopCall struct {
	ID      string
	Task    string
	Domain  string
	Tool    string
	Args    json.RawMessage
	DB      string
	Session map[string]any
	Tree    *sopNode `json:"policy_tree"`
	Leaves  []sopLeaf
	Permit  *bool
	Result  json.RawMessage
	Error   *string // what the tool, or the suite's evaluator, failed with
}

// worked reports whether the tool carried the call out when the suite made it: it neither failed nor answered no.
func (c sopCall) worked(t testing.TB) bool {
	answer := string(c.Result)
	var pair []json.RawMessage
	if strings.HasPrefix(answer, "[") {
		must(t, json.Unmarshal(c.Result, &pair))
		if len(pair) == 2 {
			answer = string(pair[0])
		}
	}
	return c.Error == nil && answer != "false"
}

// attributes are the session variables as a door would set them: who is logged in, and the limits that a deployment sets.
func (c sopCall) attributes() map[string]any {
	a := map[string]any{}
	for k, v := range c.Session {
		switch k {
		case "previously_logged_in_username":
			a["logged_in"], _ = v.(string)
		case "set_logged_in_usernames":
			a["logged_in"] = v
		case "prev_auth_admin_pass":
			a["admin"] = v
		case "data": // the database once more
		default:
			a[k] = v
		}
	}
	return a
}

// sopData is what the suite recorded: the calls of agents and of the reference procedure, and the databases by their hash.
type sopData struct {
	calls []sopCall
	books map[string]json.RawMessage
}

var sopRead struct {
	sync.Mutex
	data *sopData
}

// readSOP reads the suite once for all tests.
func readSOP(t testing.TB) *sopData {
	t.Helper()
	sopRead.Lock()
	defer sopRead.Unlock()
	if sopRead.data != nil {
		return sopRead.data
	}
	d := &sopData{books: map[string]json.RawMessage{}}
	for _, file := range []string{"sopbench/decisions.jsonl", "sopbench/gold_decisions.jsonl"} {
		testkit.Lines(t, file, func(line []byte) {
			var c sopCall
			must(t, json.Unmarshal(line, &c))
			if want := len(c.Tree.leaves()); len(c.Leaves) != want {
				t.Errorf("%s: %d truths for %d leaves", c.ID, len(c.Leaves), want)
				return
			}
			d.calls = append(d.calls, c)
		})
	}
	testkit.Lines(t, "sopbench/databases.jsonl", func(line []byte) {
		var b struct {
			DB   string
			Data json.RawMessage
		}
		must(t, json.Unmarshal(line, &b))
		d.books[b.DB] = b.Data
	})
	sopRead.data = d
	return d
}

// sopDomains are the domains that the suite has, sorted.
func (d *sopData) domains() []string {
	seen := map[string]bool{}
	for _, c := range d.calls {
		seen[c.Domain] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// sopPackOf names the pack that was written for a domain, if there is one.
func sopPackOf(domain string) (dir string, ok bool) {
	dir = "sopbench-" + domain
	_, err := os.Stat("testdata/" + dir)
	return dir, err == nil
}

// sopCondition is what stands for a predicate: a condition of the pack's facts.yaml and a clause of its document.
type sopCondition struct{ let, clause string }

// sopConditions reads the table of a pack; its first lines say what it holds.
func sopConditions(t testing.TB, dir string) map[string]sopCondition {
	t.Helper()
	b, err := os.ReadFile("testdata/" + dir + "/conditions.txt")
	must(t, err)
	out := map[string]sopCondition{}
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		i := strings.LastIndex(s, ")") + 1
		f := strings.Fields(s[i:])
		if i == 0 || len(f) != 2 {
			t.Fatalf("%s/conditions.txt: %q: want predicate(sources) condition clause", dir, s)
		}
		out[s[:i]] = sopCondition{f[0], f[1]}
	}
	return out
}

// exactly prints a figure with as many digits as tell one case in a hundred thousand from none.
func exactly(name string, y tally) { fmt.Printf("figure: %s = %.6g (n=%d)\n", name, y.share(), y.n) }
