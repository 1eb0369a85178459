package analyze

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// TestCheck compares what is proved about each pack with the codes that its lines want.
func TestCheck(t *testing.T) {
	testkit.Archives(t, "testdata/check/*.txtar", func(t *testing.T, a *testkit.Archive) {
		fsys := fstest.MapFS{"proviso.yaml": {Data: []byte("name: test\nversion: \"1\"\n")}}
		want := map[int]string{}
		for _, f := range a.Files {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
			if f.Name == "rules.yaml" {
				want = testkit.Want(f.Data)
			}
		}
		pk, ds := pack.Load(fsys, ".")
		if pk == nil || ds.Worst(proviso.Error) {
			t.Fatal(ds)
		}
		p, ds := policy.Compile(pk)
		if p == nil {
			t.Fatal(ds)
		}
		if len(want) == 0 {
			t.Fatal("nothing is wanted")
		}
		got := map[int]string{}
		for _, f := range Check(p) {
			t.Logf("%s", f.Diagnostic.Error())
			if w := f.Witness; w != nil {
				t.Logf("  %s", w)
			}
			got[f.Pos.Line] = strings.TrimSpace(got[f.Pos.Line] + "\n" + f.Code)
		}
		for line, w := range want {
			if w != got[line] {
				t.Errorf("line %d: got %q, want %q", line, got[line], w)
			}
			delete(got, line)
		}
		for line, g := range got {
			t.Errorf("line %d: %s is not wanted", line, g)
		}
	})
}
