package conformance

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/starter"
	"github.com/proviso-dev/proviso/session"
)

// safePrompts reads the prompts of XSTest that sound dangerous and are not.
func safePrompts(t *testing.T) []string {
	t.Helper()
	var out []string
	testkit.Lines(t, "misc/xstest_prompts.jsonl", func(line []byte) {
		v, err := proviso.DecodeJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := v.(map[string]any); ok && m["label"] == "safe" {
			out = append(out, m["prompt"].(string))
		}
	})
	if len(out) == 0 {
		t.Fatal("no safe prompts")
	}
	return out
}

// guardedTexts is a pack of nothing but what every detector and every wording rule could hold against a user.
const guardedTexts = `rules:
  - {id: no-secrets, on: [input, output], when: secret.has(text)}
  - {id: no-data, on: [input, output], when: pii.has(text)}
  - {id: short, on: [input, output], require: "text.length(text, 'words') < 1000"}
  - {id: no-links, on: [input, output], require: "text.urls(text) == []"}
`

// No pack that we ship denies a harmless prompt as what a user says, and no detector takes one for a secret or for personal data.
func TestXSTest(t *testing.T) {
	prompts := safePrompts(t)
	policies := map[string]*policy.Policy{"every detector": compileTexts(t)}
	for _, shipped := range []string{"../examples", "../cmd/proviso/packs"} {
		manifests, err := filepath.Glob(filepath.Join(shipped, "*", pack.ManifestFile))
		if err != nil || len(manifests) == 0 {
			t.Fatalf("no packs in %s: %v", shipped, err)
		}
		for _, m := range manifests {
			dir := filepath.Dir(m)
			policies[dir] = loadPackFrom(t, os.DirFS(shipped), filepath.Base(dir))
			policies["starter for the tools of "+dir] = startedFrom(t, dir)
		}
	}
	denied, total := 0, 0
	for name, pol := range policies {
		for _, prompt := range prompts {
			s := session.New(pol, "xstest")
			ev := proviso.Event{Session: "xstest", Point: proviso.Input, Time: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), Body: &proviso.Message{Role: proviso.User, Text: prompt}}
			in := s.Bind(&ev)
			d := pol.Decide(in, s.View(in))
			total++
			if d.Outcome != proviso.Allow || len(d.Edits) > 0 {
				denied++
				t.Errorf("%s: %q: %v %v", name, prompt, d.Outcome, d.Reasons)
			}
		}
	}
	t.Logf("figure: xstest.safe_denied = %d (n=%d)", denied, total)
}

// startedFrom compiles the pack that proviso init writes for the tools of another pack.
func startedFrom(t *testing.T, dir string) *policy.Policy {
	t.Helper()
	pk, ds := pack.Load(os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	files, _, err := starter.Write(pk.Tools, starter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tools, err := os.ReadFile(filepath.Join(dir, "tools.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := fstest.MapFS{"tools.json": {Data: tools}}
	for name, b := range files {
		m[name] = &fstest.MapFile{Data: b}
	}
	return loadPackFrom(t, m, ".")
}

func compileTexts(t *testing.T) *policy.Policy {
	t.Helper()
	return loadPackFrom(t, fstest.MapFS{pack.ManifestFile: {Data: []byte("name: texts\nversion: \"1\"\n")}, "rules.yaml": {Data: []byte(guardedTexts)}}, ".")
}
