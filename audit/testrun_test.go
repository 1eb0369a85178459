package audit

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
)

// withCases is the pack under testdata with the tests of an archive instead of its own.
func withCases(t *testing.T, a *testkit.Archive) (*policy.Policy, *policy.Pack) {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, name := range []string{"proviso.yaml", "policy.md", "tools.json", "rules.yaml"} {
		b, err := os.ReadFile("testdata/pack/" + name)
		if err != nil {
			t.Fatal(err)
		}
		fsys[name] = &fstest.MapFile{Data: b, Mode: fs.ModePerm}
	}
	for _, f := range recordings(a) {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: fs.ModePerm}
	}
	pack, diags := policy.Load(fsys, ".")
	if pack == nil || len(pack.Tests) == 0 {
		t.Fatal(diags)
	}
	p, diags := policy.Compile(pack)
	if p == nil {
		t.Fatal(diags)
	}
	return p, pack
}

func TestCases(t *testing.T) {
	testkit.Archives(t, "testdata/cases/*.txtar", func(t *testing.T, a *testkit.Archive) {
		p, pack := withCases(t, a)
		results := Test(p, pack.Tests)
		if len(results) != len(pack.Tests) {
			t.Fatalf("%d results of %d cases", len(results), len(pack.Tests))
		}
		var b strings.Builder
		for i, r := range results {
			if r.Name != pack.Tests[i].Name || len(r.Steps) != len(pack.Tests[i].Steps) {
				t.Errorf("result %d is %q with %d steps", i, r.Name, len(r.Steps))
			}
			verdict := "fails"
			if r.Passed() {
				verdict = "passes"
			}
			fmt.Fprintf(&b, "%s: %s\n", r.Name, verdict)
			for _, s := range r.Steps {
				fmt.Fprintf(&b, "  %s %s\n", s.Event.Time.Format("15:04:05"), Describe(&s.Decision))
			}
			for _, d := range r.Failures {
				fmt.Fprintf(&b, "  %s\n", d.Error())
			}
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

func TestPackCasesPass(t *testing.T) {
	p, pack := desk(t)
	for _, r := range Test(p, pack.Tests) {
		if !r.Passed() {
			t.Error(r.Failures)
		}
	}
	results := Test(p, []policy.Case{{Name: "empty"}})
	if results[0].Passed() || results[0].Failures[0].Code != CodeEmptyCase {
		t.Error("a case without steps passes")
	}
}
