package starter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Each archive is a list of tools, and what they and their arguments are taken for.
func TestClassify(t *testing.T) {
	testkit.Archives(t, "testdata/classify/*.txtar", func(t *testing.T, a *testkit.Archive) {
		var b strings.Builder
		for _, k := range toolsOf(t, a) {
			c := Classify(k)
			fmt.Fprintf(&b, "%s: %s (%s)\n", c.Tool, orUnclear(c.Effect), oneLine(c.Reason))
			for _, x := range c.Args {
				fmt.Fprintf(&b, "  %s: %s (%s)\n", x.Path, x.Role, oneLine(x.Reason))
			}
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

func orUnclear(e Effect) string {
	if e == Unclear {
		return "unclear"
	}
	return string(e)
}

func toolsOf(t *testing.T, a *testkit.Archive) []pack.Tool {
	t.Helper()
	b, ok := a.File("tools.json")
	if !ok {
		t.Fatal("the archive has no tools.json")
	}
	tools, found := pack.ReadTools("tools.json", b)
	if len(found) > 0 {
		t.Fatal(found)
	}
	return tools
}

// Each archive is a list of tools and the pack that is written for them.
func TestWrite(t *testing.T) {
	testkit.Archives(t, "testdata/write/*.txtar", func(t *testing.T, a *testkit.Archive) {
		tools := toolsOf(t, a)
		_, unattended := a.File("unattended")
		files, notes, err := Write(tools, Options{Unattended: unattended})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"proviso.yaml", "policy.md", "rules.yaml", "tests/starter.yaml"} {
			a.Expect(t, n, files[n])
		}
		var b strings.Builder
		for _, n := range notes {
			fmt.Fprintf(&b, "%s %s %s\n", n.Fate, n.Tool, strings.Join(n.Rules, " "))
		}
		a.Expect(t, "notes", []byte(b.String()))
	})
}

func TestNoTools(t *testing.T) {
	if _, _, err := Write(nil, Options{}); err == nil {
		t.Error("a pack was written for no tools")
	}
}
