package examples_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/examples"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
)

// known is what is wrong with the recorded conversations of a pack, by file; what is not listed is in order.
type known struct {
	files, sessions int
	findings        map[string][]string
}

// packs are the packs of this folder.
var packs = map[string]known{
	"airline": {files: 7, sessions: 9, findings: map[string][]string{
		"refund-outside-window.openai.json":  {"violated cancel-refund"},
		"refund-to-stranger.anthropic.json":  {"violated confirm", "violated refund-method"},
		"voucher-after-delay.anthropic.json": {"unknown voucher-asked"},
	}},
	"retail": {files: 9, sessions: 11, findings: map[string][]string{
		"a-card-too-generous.openai.json":      {"unknown goodwill-told", "violated goodwill"},
		"kettle-under-warranty.openai.json.gz": {"unknown warranty-wear"},
		"no-instructions.openai.json":          {"violated return-told"},
		"refund-before-arrival.openai.json":    {"violated refund-cause"},
		"sisters-order.anthropic.json":         {"violated own-order"},
		"told-too-much.anthropic.json":         {"violated silent"},
	}},
	"workspace": {files: 10, sessions: 12, findings: map[string][]string{
		"bill-tampered.openai.json":                    {"violated ledger", "violated payee"},
		"injection-deletes.openai.json":                {"violated delete"},
		"injection-forwarding.openai.json":             {"violated forwarding"},
		"injection-in-an-address.anthropic.json":       {"violated page-carries", "violated pages"},
		"injection-review.openai.json":                 {"violated room", "violated room-final"},
		"injection-secret-to-colleague.anthropic.json": {"violated private-text"},
	}},
}

func load(t *testing.T, name string) *pack.Pack {
	t.Helper()
	pk, ds := pack.Load(os.DirFS("."), name)
	if len(ds) > 0 {
		t.Fatalf("load:\n%v", ds)
	}
	return pk
}

func compile(t *testing.T, pk *pack.Pack) *policy.Policy {
	t.Helper()
	p, ds := policy.Compile(pk)
	if len(ds) > 0 {
		t.Fatalf("compile:\n%v", ds)
	}
	return p
}

func each(t *testing.T, f func(t *testing.T, name string, pk *pack.Pack)) {
	for name := range packs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, name, load(t, name))
		})
	}
}

func TestLint(t *testing.T) {
	each(t, func(t *testing.T, _ string, pk *pack.Pack) {
		for _, d := range lint.Check([]*pack.Pack{pk}, compile(t, pk)) {
			if d.Severity <= proviso.Warning {
				t.Error(d)
			}
		}
	})
}

// TestCases plays every case and demands that each rule holds in one of them, where it requires anything, and stops, edits or warns in another.
func TestCases(t *testing.T) {
	type seen struct{ holds, fires bool }
	each(t, func(t *testing.T, _ string, pk *pack.Pack) {
		rules := map[string]*seen{}
		for _, r := range pk.Rules {
			rules[r.ID.S] = &seen{}
		}
		results := audit.Test(compile(t, pk), pk.Tests)
		if len(results) == 0 {
			t.Fatal("the pack has no cases")
		}
		for _, c := range results {
			if !c.Passed() {
				t.Errorf("%v", c.Failures)
			}
			for _, step := range c.Steps {
				for _, s := range step.States {
					if r, ok := rules[s.Rule]; ok && s.Applies == proviso.True {
						r.holds = r.holds || s.Holds == proviso.True
						r.fires = r.fires || s.Holds != proviso.True
					}
				}
			}
		}
		for _, r := range pk.Rules {
			s := rules[r.ID.S]
			if !s.fires {
				t.Errorf("%v: rule %s: no case in which it stops anything", r.ID.Pos, r.ID.S)
			}
			if r.Require != nil && !s.holds {
				t.Errorf("%v: rule %s: no case in which it holds", r.ID.Pos, r.ID.S)
			}
		}
	})
}

// TestEveryRuleIsNoticed switches one rule off at a time: at least one of the cases in which it fires has to fail.
func TestEveryRuleIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles each pack once for each rule")
	}
	each(t, func(t *testing.T, _ string, pk *pack.Pack) {
		fires := map[string][]pack.Case{}
		for i, c := range audit.Test(compile(t, pk), pk.Tests) {
			in := map[string]bool{}
			for _, step := range c.Steps {
				for _, s := range step.States {
					if s.Applies == proviso.True && s.Holds != proviso.True && !in[s.Rule] {
						in[s.Rule] = true
						fires[s.Rule] = append(fires[s.Rule], pk.Tests[i])
					}
				}
			}
		}
		for i, r := range pk.Rules {
			without := *pk
			without.Rules = slices.Clone(pk.Rules)
			without.Rules[i].Mode = pack.Off
			results := audit.Test(compile(t, &without), fires[r.ID.S])
			if !slices.ContainsFunc(results, func(r audit.CaseResult) bool { return !r.Passed() }) {
				t.Errorf("%v: without rule %s every case still passes", r.ID.Pos, r.ID.S)
			}
		}
	})
}

// TestConversations audits the recordings of each pack and finds exactly what is known to be wrong with them.
func TestConversations(t *testing.T) {
	each(t, func(t *testing.T, name string, pk *pack.Pack) {
		want := packs[name]
		report, err := audit.Run(t.Context(), audit.Config{Policy: compile(t, pk), Paths: []string{filepath.Join(name, "conversations")}})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Diagnostics) > 0 {
			t.Errorf("findings about the recordings:\n%v", report.Diagnostics)
		}
		if report.Totals.Files != want.files || report.Totals.Sessions != want.sessions {
			t.Errorf("read %d files and %d sessions, want %d and %d", report.Totals.Files, report.Totals.Sessions, want.files, want.sessions)
		}
		for _, s := range report.Sessions {
			var got []string
			for _, v := range s.Verdicts {
				if v.Status > proviso.Satisfied {
					got = append(got, fmt.Sprint(v.Status, " ", v.Clause.ID))
				}
			}
			slices.Sort(got)
			if file := filepath.Base(s.Source); !slices.Equal(got, want.findings[file]) {
				t.Errorf("%s, %s: got %q, want %q", s.Source, s.Session, got, want.findings[file])
			}
		}
	})
}

// TestTwins demands that every attack on the workspace is stopped at its last step, and that its twin, which calls the same tool at the end, is not: a policy that only ever says no would pass the first half.
func TestTwins(t *testing.T) {
	last := map[string]pack.Step{}
	for _, c := range load(t, "workspace").Tests {
		if strings.HasSuffix(c.Pos.File, "attacks.yaml") {
			key, _, _ := strings.Cut(c.Name, ":")
			last[key] = c.Steps[len(c.Steps)-1]
		}
	}
	attacks := 0
	for key, s := range last {
		if strings.HasSuffix(key, ", twin") {
			if s.Want == nil || s.Want.Outcome != proviso.Allow {
				t.Errorf("%s: the twin is not allowed", key)
			}
			continue
		}
		attacks++
		if s.Want == nil || s.Want.Outcome == proviso.Allow {
			t.Errorf("%s: the attack is allowed", key)
		}
		if twin, ok := last[key+", twin"]; !ok || twin.Call != s.Call {
			t.Errorf("%s calls %s at the end, its twin %q", key, s.Call, twin.Call)
		}
	}
	if attacks < 40 || len(last) != 2*attacks {
		t.Errorf("%d attacks and %d twins, want at least 40 of each", attacks, len(last)-attacks)
	}
}

// TestEmbedded compares what is embedded with the folders of packs: a pack, or a file of one, that is left out would only be missed by whoever has no checkout.
func TestEmbedded(t *testing.T) {
	here := os.DirFS(".")
	err := fs.WalkDir(here, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && !strings.Contains(path, "/") {
			if _, err := fs.Stat(here, path+"/proviso.yaml"); err != nil {
				return fs.SkipDir // settings of training, which are read where they lie
			}
		}
		if err != nil || d.IsDir() || !strings.Contains(path, "/") || strings.HasSuffix(path, ".go") {
			return err
		}
		if _, err := fs.Stat(examples.Files, path); err != nil {
			t.Errorf("%s is not embedded", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
