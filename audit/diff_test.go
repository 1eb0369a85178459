package audit

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// policyOf compiles the pack below a folder of an archive; what the folder lacks comes from the top.
func policyOf(t *testing.T, a *testkit.Archive, dir string) *policy.Policy {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, f := range a.Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	for _, f := range a.Files {
		if n := len(dir) + 1; len(f.Name) > n && f.Name[:n] == dir+"/" {
			fsys[f.Name[n:]] = &fstest.MapFile{Data: f.Data}
		}
	}
	pk, ds := pack.Load(fsys, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	return p
}

// An archive of testdata/diffs holds what two packs share, old/rules.yaml, new/rules.yaml, a recording, and what changes.
func TestDiff(t *testing.T) {
	testkit.Archives(t, absolute(t, "testdata/diffs/*.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordingsOf(a))
		r, err := Diff(context.Background(), DiffConfig{Old: policyOf(t, a, "old"), New: policyOf(t, a, "new"), Paths: []string{"."}})
		if err != nil {
			t.Fatal(err)
		}
		r.Old, r.New = "old", "new"
		for i, f := range DiffForms {
			if i > 0 && DiffForms[i-1].Name >= f.Name || f.Doc == "" {
				t.Errorf("form %q is out of order or without a doc", f.Name)
			}
			if got, _, ok := DiffFormByName(f.Name); !ok || got != f {
				t.Errorf("DiffFormByName(%q) = %v, %v", f.Name, got, ok)
			}
			var b bytes.Buffer
			if err := f.Render(&b, r); err != nil {
				t.Fatal(err)
			}
			if f.Name == "html" {
				continue // TestHTMLIsWhole looks at pages
			}
			a.Expect(t, "want."+f.Name, b.Bytes())
			if err := f.Render(failing{}, r); err == nil && b.Len() > 0 {
				t.Errorf("%s: the error of the writer was lost", f.Name)
			}
		}
	})
}

// recordingsOf are the JSON lines of an archive.
func recordingsOf(a *testkit.Archive) []testkit.File {
	var out []testkit.File
	for _, f := range a.Files {
		if f.Name == "log.jsonl" {
			out = append(out, f)
		}
	}
	return out
}

// A pack compared with itself changes nothing, on every recording there is.
func TestDiffWithItself(t *testing.T) {
	p, _ := desk(t)
	testkit.Archives(t, absolute(t, "testdata/runs/*.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordings(a))
		r, err := Diff(context.Background(), DiffConfig{Old: p, New: p, Paths: []string{"."}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Totals.Events == 0 || len(r.Flips) > 0 || r.Totals.Widened+r.Totals.Narrowed+r.Totals.Edited > 0 {
			t.Errorf("%+v", r.Totals)
		}
	})
}

func TestDiffOfNothing(t *testing.T) {
	p, _ := desk(t)
	lay(t, []testkit.File{{Name: "empty.jsonl"}})
	if _, err := Diff(context.Background(), DiffConfig{Old: p, New: p, Paths: []string{"."}}); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
	if _, err := Diff(context.Background(), DiffConfig{Old: p, Paths: []string{"."}}); err == nil {
		t.Error("one policy is enough")
	}
}
