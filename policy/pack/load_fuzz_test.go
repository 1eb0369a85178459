package pack

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad loads packs made of arbitrary bytes. Loading must not panic, every finding must be complete, and a pack must come back whenever there is a manifest.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		file := map[string][]byte{}
		for _, x := range txtar.Parse(b).Files {
			file[filepath.Base(x.Name)] = x.Data
		}
		f.Add(file["proviso.yaml"], file["rules.yaml"], file["b.yaml"], file["tools.json"], file["policy.md"])
	}
	f.Fuzz(func(t *testing.T, manifest, rules, more, tools, text []byte) {
		fsys := fstest.MapFS{}
		for name, data := range map[string][]byte{
			ManifestFile: manifest, "rules.yaml": rules, "rules/b.yaml": more, "tests/b.yaml": more, "data/b.yaml": more, "tools.json": tools, "schemas.json": tools, "policy.md": text,
		} {
			fsys[name] = &fstest.MapFile{Data: data}
		}
		p, ds := Load(fsys, ".")
		if p == nil {
			t.Errorf("no pack, but %v", ds)
		}
		for _, d := range ds {
			if d.Pos.File == "" || d.Code == "" || d.Msg == "" {
				t.Errorf("incomplete finding %#v", d)
			}
		}
	})
}
