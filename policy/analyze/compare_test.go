package analyze

import (
	"encoding/json"
	"maps"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

func compiled(t testing.TB, tools []byte, rules any) *policy.Policy {
	t.Helper()
	b, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"proviso.yaml": {Data: []byte("name: test\nversion: \"1\"\n")}, "tools.json": {Data: tools}, "rules.yaml": {Data: b}}
	pk, ds := pack.Load(fsys, ".")
	if pk == nil || ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := policy.Compile(pk)
	if p == nil {
		t.Fatal(ds)
	}
	return p
}

// TestCompare relates the pairs of the archives. Witnesses were decided by the evaluator on the way; here they are decided once more.
func TestCompare(t *testing.T) {
	testkit.Archives(t, "testdata/compare/*.txtar", func(t *testing.T, a *testkit.Archive) {
		tools, _ := a.File("tools.json")
		src, _ := a.File("pairs.yaml")
		var pairs []struct {
			Name     string
			Old, New map[string]any
			Want     map[string]string
		}
		if err := yaml.Unmarshal(src, &pairs); err != nil {
			t.Fatal(err)
		}
		if len(pairs) == 0 {
			t.Fatal("no pairs")
		}
		for _, pr := range pairs {
			t.Run(pr.Name, func(t *testing.T) {
				old, new := compiled(t, tools, pr.Old), compiled(t, tools, pr.New)
				got := map[string]string{}
				for _, c := range Compare(old, new) {
					if c.Relation != Same {
						got[c.Tool] = c.Relation.String()
					}
					check(t, old, new, c)
					if c.Relation == Unknown && c.Why == "" {
						t.Errorf("%s is unknown for no reason", c.Tool)
					}
				}
				if !maps.Equal(got, pr.Want) {
					for _, c := range Compare(old, new) {
						t.Logf("%s: %s (%s)\nwidens %v\nnarrows %v", c.Tool, c.Relation, c.Why, c.Widens, c.Narrows)
					}
					t.Errorf("got %v, want %v", got, pr.Want)
				}
			})
		}
	})
}

func check(t testing.TB, old, new *policy.Policy, c Change) {
	t.Helper()
	if w := c.Widens; w != nil {
		a, b := w.Decide(old), w.Decide(new)
		if rank(b) <= rank(a) && len(a.Edits) <= len(b.Edits) {
			t.Errorf("%s is no wider: %v, then %v", w, a.Outcome, b.Outcome)
		}
	}
	if w := c.Narrows; w != nil {
		a, b := w.Decide(old), w.Decide(new)
		if rank(a) <= rank(b) && len(b.Edits) <= len(a.Edits) {
			t.Errorf("%s is no narrower: %v, then %v", w, a.Outcome, b.Outcome)
		}
	}
}
