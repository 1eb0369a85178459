// Package airline checks the example as its owner would: the pack compiles without a finding, every case comes out as written, and an audit of the conversations finds what is known to be wrong with them.
package airline_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/lint"
	"github.com/proviso-dev/proviso/policy/pack"
)

func load(t *testing.T) *pack.Pack {
	t.Helper()
	pk, ds := pack.Load(os.DirFS("."), ".")
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

func TestLint(t *testing.T) {
	pk := load(t)
	for _, d := range lint.Check([]*pack.Pack{pk}, compile(t, pk)) {
		if d.Severity <= proviso.Warning {
			t.Error(d)
		}
	}
}

func TestCases(t *testing.T) {
	pk := load(t)
	results := audit.Test(compile(t, pk), pk.Tests)
	if len(results) == 0 {
		t.Fatal("the pack has no cases")
	}
	for _, r := range results {
		if !r.Passed() {
			t.Errorf("%v", r.Failures)
		}
	}
}

// TestBothDirections demands that each rule holds in one case, where it requires anything, and stops, edits or warns in another.
func TestBothDirections(t *testing.T) {
	pk := load(t)
	type seen struct{ holds, fires bool }
	rules := map[string]*seen{}
	for _, r := range pk.Rules {
		rules[r.ID.S] = &seen{}
	}
	for _, c := range audit.Test(compile(t, pk), pk.Tests) {
		for _, step := range c.Steps {
			for _, s := range step.States {
				r, ok := rules[s.Rule]
				if !ok || s.Applies != proviso.True {
					continue // the grants, or a rule that does not speak of this step
				}
				r.holds = r.holds || s.Holds == proviso.True
				r.fires = r.fires || s.Holds != proviso.True
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
}

// TestEveryRuleIsNoticed switches one rule off at a time: at least one case has to fail.
func TestEveryRuleIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the pack once for each rule")
	}
	pk := load(t)
	for i := range pk.Rules {
		without := *pk
		without.Rules = slices.Clone(pk.Rules)
		without.Rules[i].Mode = pack.Off
		results := audit.Test(compile(t, &without), pk.Tests)
		if !slices.ContainsFunc(results, func(r audit.CaseResult) bool { return !r.Passed() }) {
			t.Errorf("%v: without rule %s every case still passes", pk.Rules[i].ID.Pos, pk.Rules[i].ID.S)
		}
	}
}

// TestConversations knows what is wrong with each recorded conversation; what is not listed is in order.
func TestConversations(t *testing.T) {
	want := map[string][]string{
		"conversations/refund-outside-window.openai.json":  {"violated cancel-refund"},
		"conversations/refund-to-stranger.anthropic.json":  {"violated confirm", "violated refund-method"},
		"conversations/voucher-after-delay.anthropic.json": {"unknown voucher-asked"},
	}
	report, err := audit.Run(t.Context(), audit.Config{Policy: compile(t, load(t)), Paths: []string{"conversations"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Diagnostics) > 0 {
		t.Errorf("findings about the recordings:\n%v", report.Diagnostics)
	}
	if report.Totals.Files != 7 || report.Totals.Sessions != 9 {
		t.Errorf("read %d files and %d sessions, want 7 and 9", report.Totals.Files, report.Totals.Sessions)
	}
	for _, s := range report.Sessions {
		var got []string
		for _, v := range s.Verdicts {
			if v.Status > proviso.Satisfied {
				got = append(got, fmt.Sprint(v.Status, " ", v.Clause.ID))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want[s.Source]) {
			t.Errorf("%s: got %q, want %q", s.Source, got, want[s.Source])
		}
	}
}
