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

	"github.com/rogpeppe/go-internal/txtar"

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
		packs, loading := load(files)
		rules, ds := compile(packs, loading)
		if rules == nil {
			refused(t, a, packs, ds, !loading.Worst(proviso.Error))
			return
		}
		if len(ds) > 0 {
			t.Fatalf("the pack has findings:\n%v", ds)
		}
		v, about := versionsOf(t, a, shared, rules)
		v.written(t, files, packs)
		var got strings.Builder
		got.WriteString(about)
		for _, sc := range scenarios(t, a, packs) {
			t.Run(sc.name, func(t *testing.T) { got.WriteString(everyWay(t, v, sc)) })
		}
		a.Expect(t, "want", []byte(got.String()))
	})
}

// refused checks what is said about a pack that does not compile, in another order as well where it could be read.
func refused(t *testing.T, a *testkit.Archive, packs []*pack.Pack, ds proviso.Diagnostics, read bool) {
	if _, ok := a.File("events"); ok {
		t.Fatalf("the pack is refused, but events are to be decided:\n%v", ds)
	}
	a.Expect(t, "want", []byte(diagnostics(ds)))
	if !read {
		return
	}
	_, again := compile(shuffled(packs), nil)
	if x, y := diagnostics(ds), diagnostics(again); x != y {
		t.Errorf("in another order the pack is wrong in another way:\n%s", testkit.Diff([]byte(x), []byte(y)))
	}
}

// versions are the policies that an archive is decided with: its pack as it is and as it could be written as well, and other packs by name.
type versions struct {
	asIs, shuffled, turned, formatted *policy.Policy
	variants                          map[string]*policy.Policy
}

// written compiles the pack as it could be written as well.
func (v *versions) written(t *testing.T, files fstest.MapFS, packs []*pack.Pack) {
	t.Helper()
	formatted, ds := load(reformatted(t, files))
	for _, w := range []struct {
		name  string
		packs []*pack.Pack
		ds    proviso.Diagnostics
		into  **policy.Policy
		same  bool
	}{
		{"in another order", shuffled(packs), nil, &v.shuffled, true},
		{"with conditions in another order", turned(packs), nil, &v.turned, false},
		{"formatted", formatted, ds, &v.formatted, true},
	} {
		p, ds := compile(w.packs, w.ds)
		if p == nil {
			t.Fatalf("%s the pack does not compile:\n%v", w.name, ds)
		}
		if w.same && p.Digest() != v.asIs.Digest() {
			t.Errorf("%s the pack has another digest", w.name)
		}
		*w.into = p
	}
}

// everyWay plays a scenario directly, and fails where another way decides anything differently.
func everyWay(t *testing.T, v *versions, sc *scenario) string {
	if sc.together() {
		played := playGuarded(t, v.asIs, sc)
		intended(t, sc, played)
		return render(sc, played)
	}
	by := func(p *policy.Policy, w way) []outcome { return play(t, p, v.variants, sc, w) }
	played := by(v.asIs, way{})
	direct := render(sc, played)
	intended(t, sc, played)
	same := func(name string, played []outcome) {
		t.Helper()
		if got := render(sc, played); got != direct {
			t.Errorf("%s: decided differently (- direct, + %s)\n%s", name, name, testkit.Diff([]byte(direct), []byte(got)))
		}
	}
	same("events through JSON", by(v.asIs, way{throughJSON: true}))
	same("restored from snapshots", by(v.asIs, way{restored: true}))
	same("replayed from records", replay(t, sc, played))
	same("rules in another order", by(v.shuffled, way{}))
	same("formatted", by(v.formatted, way{}))
	if sc.forGuard() {
		same("through the guard", playGuarded(t, v.asIs, sc))
	}
	if got, want := essence(by(v.turned, way{})), essence(played); got != want {
		t.Errorf("conditions in another order: decided differently\n%s", testkit.Diff([]byte(want), []byte(got)))
	}
	return direct
}

// reformatted returns the files as the formatter writes them.
func reformatted(t *testing.T, files fstest.MapFS) fstest.MapFS {
	out := fstest.MapFS{}
	for name, f := range files {
		out[name] = f
		if path.Ext(name) != ".yaml" {
			continue
		}
		b, err := pack.Format(name, f.Data)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: b}
	}
	return out
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
		for _, n := range got {
			if o.want.Only && !slices.Contains(o.want.Names, n) {
				t.Errorf("%s: %s wants only %v, but %s occurs", sc.name, describe(&o.event), o.want.Names, n)
			}
		}
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
	t.Helper()
	a, err := txtar.ParseFile("shared.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return a.Files
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

// versionsOf compiles the variants of the pack, and tells which of them have the same digest.
func versionsOf(t *testing.T, a *testkit.Archive, shared []testkit.File, rules *policy.Policy) (*versions, string) {
	out := map[string]*policy.Policy{}
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
	return &versions{asIs: rules, variants: out}, about.String()
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
