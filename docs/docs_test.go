package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/docs"
	"github.com/proviso-dev/proviso/internal/testkit"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	pathName = regexp.MustCompile("`([a-z][a-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)+|[a-z_]+\\.(?:go|md|yaml))`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

// What a page cites has to exist: files that it links to, paths in adding.md, and every test that it names.
func TestPagesCiteWhatExists(t *testing.T) {
	root := testkit.Root(t)
	tests := testNames(t, root)
	for _, page := range []string{"README.md", "docs/adding.md", "docs/gateway.md", "docs/faults.md", "docs/limitations.md"} {
		b, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
		cited := testName.FindAllStringSubmatch(text, -1)
		for _, m := range cited {
			if !tests[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", page, m[1])
			}
		}
		if len(cited) < 5 {
			t.Errorf("%s names only %d tests; the pattern of this test is probably wrong", page, len(cited))
		}
		if page == "docs/adding.md" {
			for _, m := range pathName.FindAllStringSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s names %s, which does not exist", page, m[1])
				}
			}
		}
	}
}

func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") {
			return err
		}
		b, err := os.ReadFile(p)
		for _, m := range testFunc.FindAllStringSubmatch(string(b), -1) {
			out[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSections(t *testing.T) {
	codes := docs.Codes()
	if len(codes) == 0 {
		t.Skip("skipped: docs/errors.md does not exist yet; write it with a heading for each code")
	}
	for _, c := range codes {
		text, ok := docs.Section(c)
		if !ok || !strings.Contains(strings.SplitN(text, "\n", 2)[0], c) {
			t.Errorf("%s: its section begins with %.40q", c, text)
		}
		if strings.Count(text, "\n") < 2 {
			t.Errorf("%s: its section says nothing", c)
		}
	}
	if _, ok := docs.Section("PV000"); ok {
		t.Error("PV000 has a section")
	}
}
