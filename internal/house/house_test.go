package house

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// layers is the text of the design, word for word. `a < b`: b may import a and what a may import.
// A change here is a design note in docs/design, in the same commit; do not change it to make a build pass.
const layers = `
NONE < proviso, nn, engine, train/objective, internal/testkit, internal/form, docs, examples;
NONE < internal/lazyregexp < document/pdf, document, llm, tree;
NONE < document/pdf < document;   proviso < document, tree, llm, journal;   proviso, internal/durable < internal/resume < audit, rollout;
NONE < internal/reach < gateway, mcpproxy, model/serve, reward/serve, engine/tinker;
NONE < internal/strictyaml < policy/importer, gateway/settings, reward, train;
NONE < internal/durable < internal/keyfile < gateway/settings;   internal/durable < llm/endpoint, gateway, mcpproxy, model, dataset/export, train;
document < retrieve;
tree < draft/sentence;
document, tree < policy/pack, policy/schema, policy/builtin < policy/condition < policy;
policy < policy/importer, policy/starter, policy/lint, policy/flow, session;   policy/flow, llm/wire < gateway/window < gateway;
session < policy/analyze, guard, eval/scorer, world;
NONE < policy/analyze/regular, policy/analyze/linear < policy/analyze < policy/mutate;
journal < journal/sqlite, journal/postgres;
llm < llm/wire < llm/openai, llm/anthropic < llm/endpoint;   llm, internal/testkit < llm/formattest;
llm, retrieve < judge;
llm, retrieve, policy/analyze, draft/sentence < draft;
guard, judge, llm/openai, llm/anthropic < gateway;   gateway < gateway/otlp;   gateway, journal < gateway/live;   proviso < gateway/token;   gateway/otlp, gateway/token, journal/sqlite < gateway/settings;   guard < mcpproxy;   proviso < hook;
guard, eval/scorer, llm/openai, llm/anthropic, internal/form < audit < audit/coverage;
llm < world;   world < world/scene, world/service, world/version, world/paths;   policy/analyze, policy/mutate < world/paths;   guard, journal, world, eval/scorer < rollout;
guard, world, eval/scorer < reward < reward/serve;   internal/form < reward/serve;
rollout, judge, audit < eval < eval/report;
world, journal, judge, eval/scorer, reward < dataset < dataset/leak < dataset/export;
rollout, dataset, reward, eval, internal/form < prove < prove/report;   eval/report < prove/report;
proviso < model/tokenizer, model/safetensors, model/grammar, model/chat;
llm, nn, model/tokenizer, model/safetensors, model/grammar, model/chat < model < model/serve;
engine, model < engine/local;   proviso, engine < engine/tinker;
dataset, rollout, engine, train/objective < train;
draft, policy/importer, policy/lint, audit < lsp;
everything < console, conformance;   conformance < conformance/figures, conformance/internalize;   console < cmd/proviso/agents, cmd/proviso/authoring, cmd/proviso/clauses, cmd/proviso/bridge, cmd/proviso/commandline, cmd/proviso/completion, cmd/proviso/learning, cmd/proviso/models, cmd/proviso/training < cmd/proviso
`

// pure names the packages that compute on their arguments and nothing else.
const pure = "proviso document document/pdf tree retrieve policy policy/condition policy/pack policy/schema policy/lint policy/builtin policy/analyze policy/analyze/regular policy/analyze/linear policy/flow policy/starter policy/mutate draft/sentence session eval/scorer train/objective model/tokenizer model/safetensors model/grammar model/chat"

// homes are functions that only their home uses, and those with a reason: engine/local exchanges two folders and mends that itself, proviso internalize moves a former run aside.
var homes = map[string][]string{"os.Rename": {"internal/durable", "engine/local", "cmd/proviso/learning"}}

func house(t *testing.T) *Module {
	t.Helper()
	m, err := Read(testkit.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Packages) < 3 {
		t.Fatalf("found %d packages; the house is being read from the wrong folder", len(m.Packages))
	}
	return m
}

func rules(t *testing.T) *Layers {
	t.Helper()
	l, err := ParseLayers(layers)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

func TestLayers(t *testing.T)   { report(t, house(t).CheckLayers(rules(t))) }
func TestPure(t *testing.T)     { report(t, house(t).CheckPure(strings.Fields(pure))) }
func TestHomes(t *testing.T)    { report(t, house(t).CheckHomes(homes)) }
func TestComments(t *testing.T) { report(t, house(t).CheckComments()) }
func TestSizes(t *testing.T)    { report(t, house(t).CheckSizes()) }
func TestNames(t *testing.T)    { report(t, house(t).CheckNames()) }

func TestTables(t *testing.T) {
	findings, err := house(t).CheckTables()
	if err != nil {
		t.Fatal(err)
	}
	report(t, findings)
}

func TestCodes(t *testing.T) {
	m := house(t)
	docs, err := os.ReadFile(filepath.Join(m.Dir, "docs", "errors.md"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: docs/errors.md does not exist yet; write it with a heading for each code")
	}
	if err != nil {
		t.Fatal(err)
	}
	report(t, m.CheckCodes(string(docs)))
}

// Every pure package is named in the layers, so that a package renamed cannot leave the list behind.
func TestPureNamesAreLayers(t *testing.T) {
	l := rules(t)
	for _, n := range strings.Fields(pure) {
		if _, ok := l.above[n]; !ok {
			t.Errorf("pure package %s is in no layer rule", n)
		}
	}
}

// Spot checks of the layer text against the sentences that it was written from.
func TestLayerTextSays(t *testing.T) {
	l := rules(t)
	for _, c := range []struct {
		from, to string
		may      bool
	}{
		{"policy", "proviso", true},
		{"policy", "tree", true},
		{"policy", "policy/builtin", true},
		{"policy/builtin", "policy", false},
		{"policy", "session", false},
		{"session", "policy", true},
		{"guard", "document", true},
		{"guard", "journal", false},
		{"proviso", "tree", false},
		{"train/objective", "proviso", false},
		{"world", "llm", true},
		{"audit", "guard", true},
		{"cmd/proviso", "audit", true},
		{"cmd/proviso", "console", true},
		{"console", "cmd/proviso", false},
		{"console", "guard", true},
		{"conformance", "audit", true},
		{"audit", "conformance", false},
	} {
		if got := l.May(c.from, c.to); got != c.may {
			t.Errorf("%s may import %s: got %v, want %v", c.from, c.to, got, c.may)
		}
	}
}

func TestLayerTextErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a":                  `layers: rule "a" has no <`,
		"a, < b":             `layers: "" is not a package name`,
		"a b < c":            `layers: "a b" is not a package name`,
		"a < NONE":           "layers: NONE can only begin a rule",
		"a < b; b < c < a":   "layers: the rules go in a circle",
		"a < b < everything": "layers: everything can only begin a rule",
	} {
		if _, err := ParseLayers(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s…", text, err, want)
		}
	}
}

// Each archive is a small module with violations planted; the file want lists what the checks must say about it.
func TestPlanted(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		dir := t.TempDir()
		var docs string
		l := &Layers{}
		var pure []string
		homes := map[string][]string{}
		for _, f := range a.Files {
			switch f.Name {
			case "want":
				continue
			case "layers":
				var err error
				if l, err = ParseLayers(string(f.Data)); err != nil {
					t.Fatal(err)
				}
				continue
			case "pure":
				pure = strings.Fields(string(f.Data))
				continue
			case "homes":
				for line := range strings.Lines(string(f.Data)) {
					words := strings.Fields(line)
					homes[words[0]] = words[1:]
				}
				continue
			case "docs/errors.md":
				docs = string(f.Data)
			}
			p := filepath.Join(dir, filepath.FromSlash(f.Name))
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		tables, err := m.CheckTables()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range [][]string{m.CheckLayers(l), m.CheckPure(pure), m.CheckHomes(homes), m.CheckComments(), m.CheckSizes(), m.CheckNames(), tables, m.CheckCodes(docs)} {
			got = append(got, c...)
		}
		a.Expect(t, "want", []byte(strings.Join(got, "\n")))
	})
}

func TestSizeLimits(t *testing.T) {
	f := &File{Path: "a/long.go", Lines: MaxFile + 1}
	generated := &File{Path: "a/table.go", Lines: 10 * MaxPackage, Generated: true}
	m := &Module{Packages: []*Package{{Name: "a", Dir: "a", Files: []*File{f, generated}}}}
	if got := m.CheckSizes(); len(got) != 1 || !strings.HasPrefix(got[0], "a/long.go: has 801 lines") {
		t.Errorf("got %q", got)
	}
	f.Lines = MaxFile
	for range MaxPackage / MaxFile {
		m.Packages[0].Files = append(m.Packages[0].Files, f)
	}
	if got := m.CheckSizes(); len(got) != 1 || !strings.HasPrefix(got[0], "a: package a has 6400 lines") {
		t.Errorf("got %q", got)
	}
}
