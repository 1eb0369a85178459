package document

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

func TestReadings(t *testing.T) {
	testkit.Archives(t, "testdata/reading/*.txtar", func(t *testing.T, a *testkit.Archive) {
		name, src := source(t, a)
		d, ds := Read(name, src)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		var b strings.Builder
		for i, r := range d.Readings() {
			fmt.Fprintf(&b, "%s  %s", r.Clause, r.Kind)
			if r.Nesting > 0 {
				fmt.Fprintf(&b, ", nesting %d", r.Nesting)
			}
			fmt.Fprintf(&b, "\n    %s\n", d.Clauses[i].Text)
			if r.Defines != "" {
				fmt.Fprintf(&b, "    defines: %s\n", r.Defines)
			}
			for _, x := range r.Conditions {
				fmt.Fprintf(&b, "    condition: %s\n", x)
			}
			for _, x := range r.Exceptions {
				fmt.Fprintf(&b, "    exception: %s\n", x)
			}
			for _, x := range r.References {
				fmt.Fprintf(&b, "    refers to: %s → %s\n", x.Text, x.Clause)
			}
			for _, o := range r.Obligations {
				fmt.Fprintf(&b, "    %s | %s | %s", o.Actor, o.Mode, o.Action)
				for _, q := range o.Quantities {
					fmt.Fprintf(&b, " | %s: %s %s %s", q.Text, q.Bound, q.Value, q.Unit)
				}
				if o.Deadline != "" {
					fmt.Fprintf(&b, " | by: %s", o.Deadline)
				}
				b.WriteByte('\n')
			}
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

func TestCompare(t *testing.T) {
	testkit.Archives(t, "testdata/compare/*.txtar", func(t *testing.T, a *testkit.Archive) {
		one, _ := a.File("old.md")
		two, _ := a.File("new.md")
		before, ds := Parse("old.md", one)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		after, ds := Parse("new.md", two)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		var b strings.Builder
		for _, c := range Compare(before, after).Changes {
			fmt.Fprintf(&b, "%s", c.Kind)
			if c.Stale() {
				b.WriteString(", stale")
			}
			b.WriteByte('\n')
			for _, x := range c.Old {
				fmt.Fprintf(&b, "  - %s: %s\n", x.ID, x.Text)
			}
			for _, x := range c.New {
				fmt.Fprintf(&b, "  + %s: %s\n", x.ID, x.Text)
			}
			for _, x := range []struct {
				name string
				list []string
			}{{"exceptions added", c.AddedExceptions}, {"exceptions removed", c.RemovedExceptions}, {"quantities added", c.AddedQuantities}, {"quantities removed", c.RemovedQuantities}} {
				if len(x.list) > 0 {
					fmt.Fprintf(&b, "  %s: %s\n", x.name, strings.Join(x.list, "; "))
				}
			}
		}
		b.WriteString("carried ids:\n")
		for _, c := range Carry(before, after).Clauses {
			fmt.Fprintf(&b, "  %s\n", c.ID)
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

// Shuffling sections and clauses changes no word, so that nothing is stale, every clause keeps its id when ids are carried, and a document compared with itself has not changed.
func TestShufflingIsNeverStale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{3,8}( [a-z]{3,8}){2,6}`), 2, 12, rapid.ID).Draw(t, "lines")
		write := func(lines []string) *Document {
			d, _ := Parse("p", []byte("# s\n\n- "+strings.Join(lines, "\n- ")+"\n"))
			return d
		}
		before := write(lines)
		if c := Compare(before, before); len(c.Changes) > 0 {
			t.Fatalf("against itself: %+v", c.Changes)
		}
		after := write(rapid.Permutation(lines).Draw(t, "shuffled"))
		for _, c := range Compare(before, after).Changes {
			if c.Stale() || c.Kind == Added {
				t.Fatalf("%s: %+v", c.Kind, c)
			}
		}
		carried := Carry(before, after)
		for _, c := range carried.Clauses {
			if old, ok := before.Find(c.ID); !ok || old.Text != c.Text {
				t.Fatalf("%s became %q", c.ID, c.Text)
			}
		}
	})
}
