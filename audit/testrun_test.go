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
	"github.com/proviso-dev/proviso/policy/pack"
)

// withCases is the pack under testdata with the tests of an archive instead of its own.
func withCases(t *testing.T, a *testkit.Archive) (*policy.Policy, *pack.Pack) {
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
	pk, diags := pack.Load(fsys, ".")
	if pk == nil || len(pk.Tests) == 0 {
		t.Fatal(diags)
	}
	p, diags := policy.Compile(pk)
	if p == nil {
		t.Fatal(diags)
	}
	return p, pk
}

func TestCases(t *testing.T) {
	testkit.Archives(t, "testdata/cases/*.txtar", func(t *testing.T, a *testkit.Archive) {
		p, pk := withCases(t, a)
		results := Test(p, pk.Tests)
		if len(results) != len(pk.Tests) {
			t.Fatalf("%d results of %d cases", len(results), len(pk.Tests))
		}
		var b strings.Builder
		for i, r := range results {
			if r.Name != pk.Tests[i].Name || len(r.Steps) != len(pk.Tests[i].Steps) {
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
	p, pk := desk(t)
	for _, r := range Test(p, pk.Tests) {
		if !r.Passed() {
			t.Error(r.Failures)
		}
	}
	results := Test(p, []pack.Case{{Name: "empty"}})
	if results[0].Passed() || results[0].Failures[0].Code != CodeEmptyCase {
		t.Error("a case without steps passes")
	}
}
