package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/tree"
)

// sopSentences are the English sentences of one predicate: where it must hold and where it must not.
type sopSentences struct {
	Domain, Predicate, Positive, Negative string
}

var sopSlot = regexp.MustCompile(`\{(\w+)\}`)

// sentence is what the text says for a leaf: the predicate's sentence with the sources of its parameters, and with the task's limits.
func (s sopSentences) sentence(leaf *sopNode, limits map[string]json.RawMessage) string {
	text := s.Positive
	if leaf.negated {
		text = s.Negative
	}
	return plainText(sopSlot.ReplaceAllStringFunc(text, func(slot string) string {
		name := slot[1 : len(slot)-1]
		if source, ok := leaf.params[name]; ok {
			return strings.TrimPrefix(source, "value ")
		}
		if v, ok := limits[name]; ok {
			return strings.Trim(string(v), `"`)
		}
		return slot
	}))
}

// plainText is a text with single blanks.
func plainText(s string) string { return strings.Join(strings.Fields(s), " ") }

// sopText is a policy in structured English with the tree that it stands for.
type sopText struct {
	id, domain, text string
	tree             *sopNode
	limits           map[string]json.RawMessage
}

// sopUnheaded is what a list without a heading means in this suite's texts: every other connective has one.
const sopUnheaded = tree.Gate

// compare reads the text and compares it with the tree: whether both have the same truth table over the same leaves, and whether they have the same form.
func (x sopText) compare(sentences map[string]sopSentences, unheaded tree.Op) (equal, same bool, why string) {
	got, texts, err := tree.EnglishWith(x.text, unheaded)
	if err != nil {
		return false, false, err.Error()
	}
	// The atoms of both trees are the sentences' predicates with their parameters.
	atoms, literal := map[string]int{}, map[string]*tree.Node{}
	atom := func(leaf *sopNode) *tree.Node {
		i, ok := atoms[leaf.key()]
		if !ok {
			i = len(atoms)
			atoms[leaf.key()] = i
		}
		if leaf.negated {
			return tree.New(tree.Not, tree.Leaf(i))
		}
		return tree.Leaf(i)
	}
	for _, leaf := range x.tree.leaves() {
		s := sentences[x.domain+" "+leaf.predicate].sentence(leaf, x.limits)
		if at := literal[s]; at != nil && tree.Print(at, sopAtom) != tree.Print(atom(leaf), sopAtom) {
			return false, false, "one sentence for two leaves: " + s
		}
		literal[s] = atom(leaf)
	}
	for _, text := range texts {
		if literal[plainText(text)] == nil {
			return false, false, "no leaf of the tree is said by: " + text
		}
	}
	want := x.tree.node(atom)
	read := replaceAtoms(got, func(i int) *tree.Node { return literal[plainText(texts[i])] })
	same = tree.Print(read, sopAtom) == tree.Print(want, sopAtom)
	equal, known := tree.Equivalent(read, want)
	if !known {
		equal = same // too many atoms for a truth table
	}
	if !equal {
		why = fmt.Sprintf("read %s\nwant %s", tree.Print(read, sopAtom), tree.Print(want, sopAtom))
	}
	return equal, same, why
}

func sopAtom(i int) string { return fmt.Sprintf("p%d", i) }

// node is the tree as one of package tree.
func (n *sopNode) node(atom func(*sopNode) *tree.Node) *tree.Node {
	if n == nil {
		return nil
	}
	if n.op == "single" {
		return atom(n)
	}
	op, _ := tree.ParseOp(sopOps[n.op])
	var kids []*tree.Node
	for _, k := range n.kids {
		kids = append(kids, k.node(atom))
	}
	return tree.New(op, kids...)
}

func replaceAtoms(n *tree.Node, by func(int) *tree.Node) *tree.Node {
	if n == nil {
		return nil
	}
	if n.Op == tree.Atom {
		return by(n.Atom)
	}
	var kids []*tree.Node
	for _, k := range n.Kids {
		kids = append(kids, replaceAtoms(k, by))
	}
	return tree.New(n.Op, kids...)
}

func readSentences(t testing.TB) map[string]sopSentences {
	t.Helper()
	out := map[string]sopSentences{}
	testkit.Lines(t, "sopbench/predicates.jsonl", func(line []byte) {
		var s sopSentences
		must(t, json.Unmarshal(line, &s))
		out[s.Domain+" "+s.Predicate] = s
	})
	return out
}

// Structured English is read as the tree that it was written from: for every task, and for the default conditions of every tool. Lists without a heading, which only the latter have,
// are refused by a reader who was not told that the suite means a gate by them.
func TestSOPBenchTexts(t *testing.T) {
	sentences := readSentences(t)
	var equal, same, defaults, headed tally
	texts := map[string]bool{}
	limits := map[string][]map[string]json.RawMessage{} // that tasks of a domain set; a default text is told with some of them
	testkit.Lines(t, "sopbench/tasks.jsonl", func(line []byte) {
		var r struct {
			ID, Domain string
			Text       string                     `json:"policy_text"`
			Tree       *sopNode                   `json:"policy_tree_original"`
			Limits     map[string]json.RawMessage `json:"constraint_parameters"`
		}
		must(t, json.Unmarshal(line, &r))
		eq, sm, why := sopText{r.ID, r.Domain, r.Text, r.Tree, r.Limits}.compare(sentences, tree.Atom)
		equal.add(eq)
		same.add(sm)
		if !eq {
			t.Errorf("%s: %s", r.ID, why)
		}
		texts[r.Text] = true
		if slices.IndexFunc(limits[r.Domain], func(l map[string]json.RawMessage) bool { return maps.EqualFunc(l, r.Limits, slices.Equal) }) < 0 {
			limits[r.Domain] = append(limits[r.Domain], r.Limits)
		}
	})
	testkit.Lines(t, "sopbench/policies.jsonl", func(line []byte) {
		var r struct {
			Domain, Tool string
			Text         string   `json:"default_full_text"`
			Tree         *sopNode `json:"default_full_tree"`
		}
		must(t, json.Unmarshal(line, &r))
		var eq bool
		var why string
		for _, l := range limits[r.Domain] {
			if eq, _, why = (sopText{r.Tool, r.Domain, r.Text, r.Tree, l}).compare(sentences, sopUnheaded); eq {
				break
			}
		}
		defaults.add(eq)
		if !eq {
			t.Errorf("%s/%s: %s", r.Domain, r.Tool, why)
		}
		_, _, err := tree.English(r.Text)
		headed.add(err == nil)
	})
	t.Logf("%d different texts", len(texts))
	exactly("sopbench.text_to_tree", equal)
	exactly("sopbench.text_to_tree_same_form", same)
	exactly("sopbench.default_text_to_tree", defaults)
	exactly("sopbench.default_text_with_headings", headed)
	if equal.n == 0 {
		t.Error("nothing was compared")
	}
}
