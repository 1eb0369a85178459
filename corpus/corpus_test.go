// Package corpus holds the semantics of the policy language as data: each archive is a small pack, conversations, and what is decided at every step.
//
// The comment of an archive begins with the sentences of docs/language.md that it shows. Its files are those of a pack (proviso.yaml may be left out, tools.json
// comes from shared.txtar), `events`, which are cases as packs write them or JSON lines, and `want`, which -update rewrites. A step's own `want:` is written
// by hand and never rewritten. A folder with a proviso.yaml is an overlay; a folder variant-NAME holds files of another version of the pack.
package corpus

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// corpusGlob finds the cases: one folder per category, one archive per behaviour.
const corpusGlob = "*/*.txtar"

const manifest = "name: shop\nversion: \"1\"\n"

// TestCorpus plays every archive by every way and compares what each decides with the file want.
func TestCorpus(t *testing.T) {
	shared := sharedFiles(t)
	testkit.Archives(t, corpusGlob, func(t *testing.T, a *testkit.Archive) {
		files := layout(a, shared)
		packs, ds := load(files)
		rules, more := compile(packs, ds)
		if rules == nil || len(more) > 0 {
			a.Expect(t, "want", []byte(diagnostics(more)))
			_, again := compile(shuffled(packs), ds)
			if x, y := diagnostics(more), diagnostics(again); x != y {
				t.Errorf("in another order the pack is wrong in another way:\n%s", testkit.Diff([]byte(x), []byte(y)))
			}
			return
		}
		variants, about := variantsOf(t, a, shared, rules)
		var got strings.Builder
		got.WriteString(about)
		for _, sc := range scenarios(t, a, packs) {
			t.Run(sc.name, func(t *testing.T) { got.WriteString(everyWay(t, packs, variants, sc)) })
		}
		a.Expect(t, "want", []byte(got.String()))
	})
}

// everyWay plays a scenario directly, and fails where another way decides anything differently.
func everyWay(t *testing.T, packs []*pack.Pack, variants map[string]*policy.Policy, sc *scenario) string {
	played := play(t, variants, sc, way{})
	direct := render(sc, played)
	intended(t, sc, played)
	same := func(name, got string) {
		t.Helper()
		if got != direct {
			t.Errorf("%s: decided differently (- direct, + %s)\n%s", name, name, testkit.Diff([]byte(direct), []byte(got)))
		}
	}
	same("events through JSON", render(sc, play(t, variants, sc, way{throughJSON: true})))
	same("restored from snapshots", render(sc, play(t, variants, sc, way{restored: true})))
	same("replayed from records", render(sc, replay(t, sc, played)))

	others := func(name string, packs []*pack.Pack) map[string]*policy.Policy {
		p, ds := compile(packs, nil)
		if p == nil {
			t.Fatalf("%s: does not compile:\n%v", name, ds)
		}
		out := map[string]*policy.Policy{"": p}
		for k, v := range variants {
			if k != "" {
				out[k] = v
			}
		}
		return out
	}
	inOrder := others("shuffled", shuffled(packs))
	if inOrder[""].Digest() != variants[""].Digest() {
		t.Error("rules in another order: the digest is another one")
	}
	same("rules in another order", render(sc, play(t, inOrder, sc, way{})))
	if got, want := essence(play(t, others("turned", turned(packs)), sc, way{})), essence(played); got != want {
		t.Errorf("conditions in another order: decided differently\n%s", testkit.Diff([]byte(want), []byte(got)))
	}
	return direct
}

// intended compares the decisions with what the steps themselves want.
func intended(t *testing.T, sc *scenario, played []outcome) {
	t.Helper()
	wants := 0
	for i := range played {
		o := &played[i]
		if o.want == nil {
			continue
		}
		wants++
		if o.decision.Outcome != o.want.Outcome {
			t.Errorf("%s: %s wants %s, got\n%s", sc.name, describe(&o.event), o.want.Outcome, render(sc, played))
			continue
		}
		got := names(&o.decision)
		for _, n := range o.want.Names {
			if !slices.Contains(got, n) {
				t.Errorf("%s: %s wants %s %s, but only %v occur", sc.name, describe(&o.event), o.want.Outcome, n, got)
			}
		}
	}
	if wants == 0 {
		t.Errorf("%s: no step says what it wants", sc.name)
	}
}

// ---- packs of an archive

func sharedFiles(t *testing.T) []testkit.File {
	var out []testkit.File
	testkit.Archives(t, "shared.txtar", func(t *testing.T, a *testkit.Archive) { out = a.Files })
	return out
}

// layout lays the files of an archive out as a file system, over those that all archives share.
func layout(a *testkit.Archive, shared []testkit.File) fstest.MapFS {
	files := fstest.MapFS{pack.ManifestFile: {Data: []byte(manifest)}}
	for _, f := range slices.Concat(shared, a.Files) {
		if f.Name == "events" && bytes.HasPrefix(bytes.TrimSpace(f.Data), []byte("cases:")) {
			files["tests/events.yaml"] = &fstest.MapFile{Data: f.Data}
		}
		if f.Name != "want" && f.Name != "events" {
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return files
}

// load reads the pack at the root and every overlay.
func load(files fstest.MapFS) (packs []*pack.Pack, ds proviso.Diagnostics) {
	for _, dir := range overlays(files) {
		pk, more := pack.Load(files, dir)
		ds = append(ds, more...)
		if pk != nil {
			packs = append(packs, pk)
		}
	}
	return packs, ds
}

func overlays(files fstest.MapFS) []string {
	var out []string
	for name := range files {
		if path.Base(name) == pack.ManifestFile && !strings.HasPrefix(name, "variant-") {
			out = append(out, path.Dir(name))
		}
	}
	slices.Sort(out)
	return out
}

func compile(packs []*pack.Pack, ds proviso.Diagnostics) (*policy.Policy, proviso.Diagnostics) {
	if ds.Worst(proviso.Error) {
		return nil, ds
	}
	p, more := policy.Compile(packs...)
	return p, slices.Concat(ds, more)
}

func diagnostics(ds proviso.Diagnostics) string {
	var b strings.Builder
	b.WriteString("the pack is refused\n")
	for _, d := range ds {
		fmt.Fprintf(&b, "  %v\n", d)
	}
	return b.String()
}

// variantsOf compiles the other versions of the pack, and tells which of them have the same digest.
func variantsOf(t *testing.T, a *testkit.Archive, shared []testkit.File, rules *policy.Policy) (map[string]*policy.Policy, string) {
	out := map[string]*policy.Policy{"": rules}
	var about strings.Builder
	for _, f := range a.Files {
		dir, _, ok := strings.Cut(f.Name, "/")
		name, isVariant := strings.CutPrefix(dir, "variant-")
		if !ok || !isVariant || out[name] != nil {
			continue
		}
		files := layout(a, shared)
		for _, g := range a.Files {
			if file, ok := strings.CutPrefix(g.Name, dir+"/"); ok {
				files[file] = &fstest.MapFile{Data: g.Data}
			}
		}
		p, ds := compile(load(files))
		if p == nil {
			t.Fatalf("%s: %v", dir, ds)
		}
		out[name] = p
		fmt.Fprintf(&about, "the variant %s has %s digest\n", name, map[bool]string{true: "the same", false: "another"}[p.Digest() == rules.Digest()])
	}
	return out, about.String()
}

// scenarios reads the conversations of an archive.
func scenarios(t *testing.T, a *testkit.Archive, packs []*pack.Pack) []*scenario {
	text, ok := a.File("events")
	if !ok {
		return nil
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("cases:")) {
		return []*scenario{fromLines(t, path.Base(strings.TrimSuffix(a.Path, ".txtar")), text)}
	}
	var out []*scenario
	for i := range packs[0].Tests {
		out = append(out, fromCase(&packs[0].Tests[i]))
	}
	if len(out) == 0 {
		t.Error("the file events has no case")
	}
	return out
}
