package conformance

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/draft/sentence"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/tree"
)

// sharcText is a rule text with a question about it, the conditions that people found in it, and what is to be answered.
type sharcText struct {
	ID         string `json:"tree_id"`
	Snippet    string
	Question   string
	Source     string `json:"source_url"`
	Conditions []string
	Kind       string `json:"fitted_kind"`
	Table      []struct {
		Facts    map[string]string
		Decision string
	}
}

// reproduces tells whether a tree over the numbers of the conditions answers every row as the table does.
func (s *sharcText) reproduces(n *tree.Node) bool {
	for _, row := range s.Table {
		v := tree.Kleene(n, func(i int) proviso.Tri {
			a, ok := row.Facts[s.Conditions[i]]
			if !ok {
				return proviso.Unknown
			}
			return proviso.TriOf(a == "Yes")
		})
		if map[proviso.Tri]string{proviso.True: "Yes", proviso.False: "No", proviso.Unknown: "Ask"}[v] != row.Decision {
			return false
		}
	}
	return true
}

// folds is into how many parts the documents are divided: what is read of one part uses the meaning of cues as the others have them.
const folds = 5

func (s *sharcText) fold() int {
	h := fnv.New32a()
	h.Write([]byte(cmp.Or(s.Source, s.Snippet)))
	return int(h.Sum32() % folds)
}

// What wording stands for and, and what for or, is taken from other documents than the one that is read.
func TestSharcTextToTree(t *testing.T) {
	var all []sharcText
	testkit.Lines(t, "sharc/rule_trees.jsonl", func(line []byte) {
		v, err := proviso.DecodeJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		m := v.(map[string]any)
		s := sharcText{ID: m["tree_id"].(string), Snippet: m["snippet"].(string), Question: m["question"].(string)}
		s.Source, _ = m["source_url"].(string)
		s.Kind, _ = m["fitted_kind"].(string)
		for _, c := range m["conditions"].([]any) {
			s.Conditions = append(s.Conditions, c.(string))
		}
		for _, r := range m["table"].([]any) {
			row := struct {
				Facts    map[string]string
				Decision string
			}{map[string]string{}, r.(map[string]any)["decision"].(string)}
			for q, a := range r.(map[string]any)["facts"].(map[string]any) {
				row.Facts[q] = a.(string)
			}
			s.Table = append(s.Table, row)
		}
		if s.Kind == "and" || s.Kind == "or" || s.Kind == "mixed" {
			all = append(all, s)
		}
	})
	fixed, held := 0, 0
	byCue := map[sentence.Cue][4]int{}
	for f := range folds {
		votes := map[sentence.Cue][2]int{}
		for i := range all {
			s := &all[i]
			if s.fold() == f {
				continue
			}
			for k, op := range []tree.Op{tree.All, tree.Any} {
				ops := map[sentence.Cue]tree.Op{}
				for _, c := range sentence.Cues() {
					ops[c] = op
				}
				if j := sentence.Combine(s.Snippet, s.Question, s.Conditions, ops); s.reproduces(j.Tree) {
					v := votes[j.Cue]
					v[k]++
					votes[j.Cue] = v
				}
			}
		}
		learned := map[sentence.Cue]tree.Op{}
		for _, c := range sentence.Cues() {
			learned[c] = sentence.Usual[c]
			if v := votes[c]; v[0] > 2*v[1]+3 {
				learned[c] = tree.All
			} else if v[1] > 2*v[0]+3 {
				learned[c] = tree.Any
			}
		}
		for i := range all {
			s := &all[i]
			if s.fold() != f {
				continue
			}
			j := sentence.Combine(s.Snippet, s.Question, s.Conditions, learned)
			ok := s.reproduces(j.Tree)
			if ok {
				held++
			}
			u := sentence.Combine(s.Snippet, s.Question, s.Conditions, nil)
			if s.reproduces(u.Tree) {
				fixed++
			}
			b := byCue[j.Cue]
			b[2]++
			if ok {
				b[3]++
			}
			for k, op := range []tree.Op{tree.All, tree.Any} {
				ops := map[sentence.Cue]tree.Op{}
				for _, c := range sentence.Cues() {
					ops[c] = op
				}
				if s.reproduces(sentence.Combine(s.Snippet, s.Question, s.Conditions, ops).Tree) {
					b[k]++
				}
			}
			byCue[j.Cue] = b
			if testing.Verbose() && !ok {
				t.Logf("%s %s neg=%v %s | %s | %q\n%s", s.Kind, j.Cue, j.Negated, tree.Print(j.Tree, func(i int) string { return fmt.Sprint("c", i) }), s.Question, s.Conditions, s.Snippet)
			}
		}
	}
	if testing.Verbose() {
		for _, c := range slices.Sorted(maps.Keys(byCue)) {
			t.Logf("cue %-10s %v", c, byCue[c])
		}
	}
	fmt.Printf("figure: sharc.text_to_tree = %.3f (n=%d)\n", ratio(held, len(all)), len(all))
	fmt.Printf("figure: sharc.text_to_tree_fixed = %.3f (n=%d)\n", ratio(fixed, len(all)), len(all))
}
