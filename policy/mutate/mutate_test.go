package mutate_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/mutate"
	"github.com/proviso-dev/proviso/policy/pack"
)

// play stops at the first case that fails.
func play(p *policy.Policy, cases []pack.Case) (string, bool) {
	for i := range cases {
		for _, r := range audit.Test(p, cases[i:i+1]) {
			if !r.Passed() {
				return r.Name, false
			}
		}
	}
	return "", true
}

// Each archive is a pack, and what becomes of its mutants.
func TestJudge(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		files := fstest.MapFS{}
		for _, f := range a.Files {
			if f.Name != "want" {
				files["pack/"+f.Name] = &fstest.MapFile{Data: f.Data}
			}
		}
		p, ds := pack.Load(files, "pack")
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		s := mutate.Suite{Packs: []*pack.Pack{p}, Play: play}
		rs, ds := s.Judge(0, mutate.Mutants(p, nil), 2, nil)
		if rs == nil {
			t.Fatal(ds)
		}
		var lines []string
		for _, r := range rs {
			line := r.Pos.String() + " " + r.String() + ": " + r.Fate.String()
			if r.By != "" {
				line += " by " + r.By
			}
			if w := r.Witness(); w != nil {
				line += " " + strings.ReplaceAll(w.String(), "\n", "")
			}
			if src, ok := s.Case(0, r); ok {
				line += " (has a case)"
				if !strings.HasPrefix(string(src), "cases:\n") {
					t.Errorf("case %q", src)
				}
			}
			lines = append(lines, line)
		}
		a.Expect(t, "want", []byte(strings.Join(lines, "\n")+"\n"))
	})
}

// The shipped airline pack notices most of what is wrong with it: every fifteenth mutant, since all of them take half a minute (BenchmarkAirline). What survives is printed.
func TestAirline(t *testing.T) {
	p, ds := pack.Load(os.DirFS(filepath.Join(testkit.Root(t), "examples")), "airline")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	s := mutate.Suite{Packs: []*pack.Pack{p}, Play: play}
	ms := mutate.Mutants(p, nil)
	n := 0
	ms = slices.DeleteFunc(ms, func(mutate.Mutant) bool { n++; return n%15 != 0 })
	rs, ds := s.Judge(0, ms, 2, nil)
	if rs == nil {
		t.Fatal(ds)
	}
	fates := map[mutate.Fate]int{}
	for _, r := range rs {
		fates[r.Fate]++
		if r.Fate == mutate.Survived {
			t.Logf("%s %s", r.Pos, r)
		}
	}
	killed, all := mutate.Score(rs)
	t.Logf("%d mutants, %v; %d of %d killed", len(ms), fates, killed, all)
	if 10*killed < 7*all {
		t.Errorf("only %d of %d mutants are noticed", killed, all)
	}
}

// BenchmarkAirline tries the airline pack's cases on all of its mutants, with two workers.
func BenchmarkAirline(b *testing.B) {
	p, ds := pack.Load(os.DirFS(filepath.Join(testkit.Root(b), "examples")), "airline")
	if len(ds) > 0 {
		b.Fatal(ds)
	}
	s := mutate.Suite{Packs: []*pack.Pack{p}, Play: play}
	ms := mutate.Mutants(p, nil)
	for b.Loop() {
		rs, ds := s.Judge(0, ms, 2, nil)
		if rs == nil {
			b.Fatal(ds)
		}
		killed, all := mutate.Score(rs)
		b.ReportMetric(float64(len(ms)), "mutants")
		b.ReportMetric(float64(killed)/float64(all), "score")
	}
}

func TestOperatorsAreTwelve(t *testing.T) {
	if len(mutate.Operators) != 12 {
		t.Errorf("%d operators", len(mutate.Operators))
	}
	for _, op := range mutate.Operators {
		if op.Name == "" || op.Doc == "" {
			t.Errorf("operator %+v has no name or doc", op)
		}
	}
}
