package conformance

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
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
	packs, err := filepath.Glob("../examples/*/" + pack.ManifestFile)
	if err != nil || len(packs) == 0 {
		t.Fatal("no packs", err)
	}
	policies := map[string]*policy.Policy{"every detector": compileTexts(t)}
	for _, p := range packs {
		dir := filepath.Dir(p)
		policies[filepath.Base(dir)] = loadPackFrom(t, os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
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

func compileTexts(t *testing.T) *policy.Policy {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{pack.ManifestFile: "name: texts\nversion: \"1\"\n", "rules.yaml": guardedTexts} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pk, ds := pack.Load(os.DirFS(dir), ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	pol, ds := policy.Compile(pk)
	if pol == nil {
		t.Fatal(ds)
	}
	return pol
}
