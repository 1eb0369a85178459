package lint

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// jsonWant is an expectation in a JSON file, which cannot hold comments.
var jsonWant = regexp.MustCompile(`// want .*`)

// lintArchive loads the packs of an archive: the one at its root, and one in each folder that has a proviso.yaml.
func lintArchive(t *testing.T, a *testkit.Archive) (packs []*pack.Pack) {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, f := range a.Files {
		data := f.Data
		if strings.HasSuffix(f.Name, ".json") {
			data = jsonWant.ReplaceAll(data, nil)
		}
		fsys[f.Name] = &fstest.MapFile{Data: data}
	}
	for _, f := range a.Files {
		if dir, isManifest := strings.CutSuffix(f.Name, pack.ManifestFile); isManifest {
			p, ds := pack.Load(fsys, strings.TrimSuffix("./"+dir, "/"))
			if ds.Worst(proviso.Error) {
				t.Fatal(ds)
			}
			packs = append(packs, p)
		}
	}
	return packs
}

// TestLint runs the lints over broken packs. testdata/lint has one archive for each lint, named after it; the findings of that lint must stand exactly at the lines that carry `# want`.
// Other lints may find something as well: the packs are as small as possible.
func TestLint(t *testing.T) {
	byName := map[string]Lint{}
	for _, l := range Lints {
		byName[l.Name] = l
	}
	seen := map[string]bool{}
	testkit.Archives(t, "testdata/lint/*.txtar", func(t *testing.T, a *testkit.Archive) {
		name := strings.TrimSuffix(strings.TrimPrefix(a.Path, "testdata/lint/"), ".txtar")
		lint, ok := byName[name]
		if !ok {
			t.Fatalf("there is no lint %s", name)
		}
		seen[name] = true
		packs := lintArchive(t, a)
		p, ds := policy.Compile(packs...)
		if p == nil {
			t.Fatal(ds)
		}
		got := map[string]map[int]string{}
		for _, d := range Check(packs, p) {
			if d.Code != lint.Code {
				continue
			}
			if d.Severity != lint.Severity || d.Hint == "" {
				t.Errorf("incomplete finding %#v", d)
			}
			if got[d.Pos.File] == nil {
				got[d.Pos.File] = map[int]string{}
			}
			got[d.Pos.File][d.Pos.Line] += d.Error() + "\n"
		}
		wanted := 0
		for _, f := range a.Files {
			for line, texts := range testkit.Want(f.Data) {
				wanted++
				for _, text := range strings.Split(texts, "\n") {
					if !strings.Contains(got[f.Name][line], text) {
						t.Errorf("%s:%d: want %q, got %q", f.Name, line, text, got[f.Name][line])
					}
				}
				delete(got[f.Name], line)
			}
			for line, found := range got[f.Name] {
				t.Errorf("%s:%d: not wanted: %s", f.Name, line, found)
			}
		}
		if wanted == 0 {
			t.Error("this archive wants nothing")
		}
	})
	for name := range byName {
		if !seen[name] {
			t.Errorf("lint %s has no archive", name)
		}
	}
}

// TestLints checks the table itself.
func TestLints(t *testing.T) {
	codes, names := map[string]bool{}, map[string]bool{}
	for i, l := range Lints {
		if codes[l.Code] || names[l.Name] {
			t.Errorf("%s %s is there twice", l.Code, l.Name)
		}
		codes[l.Code], names[l.Name] = true, true
		if l.Doc == "" || l.Run == nil {
			t.Errorf("%s lacks something", l.Name)
		}
		if i > 0 && Lints[i-1].Code >= l.Code {
			t.Errorf("%s is out of order", l.Code)
		}
	}
}

// TestCheckWithoutPolicy lints packs that do not compile and packs that have nothing.
func TestCheckWithoutPolicy(t *testing.T) {
	broken := &pack.Pack{Name: "x", Rules: []pack.Rule{{ID: pack.Text{S: "r"}, Require: &pack.Cond{Expr: pack.Text{S: "1 +"}}}}}
	circle := &pack.Pack{Name: "x", Lets: []pack.Let{{Name: pack.Text{S: "a"}, Expr: pack.Text{S: "b + 1.0"}}, {Name: pack.Text{S: "b"}, Expr: pack.Text{S: "a + 1.0"}}, {Name: pack.Text{S: "c"}, Expr: pack.Text{S: "c && c && !c && c || c"}}},
		Rules: []pack.Rule{{ID: pack.Text{S: "r"}, Require: &pack.Cond{Op: tree.All, Kids: []*pack.Cond{{Expr: pack.Text{S: "a == b"}}, {Expr: pack.Text{S: "c"}}, {Expr: pack.Text{S: "size(a.x) > 0"}}}}}}}
	for _, p := range []*pack.Pack{{}, broken, circle} {
		for _, d := range Check([]*pack.Pack{p}, nil) {
			if d.Code == "" || d.Msg == "" {
				t.Errorf("incomplete finding %#v", d)
			}
		}
	}
}
