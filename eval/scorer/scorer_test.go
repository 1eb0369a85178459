package scorer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// Each archive is named after its scorer and, behind a dash, after what it shows. A line of runs is an attempt: the task, "done", "undone" or the progress made, and then what was found:
// dimension/clause=status, with |status behind it where it is known what is right, and #number=outcome|right for the decision on a call ("-" where there is none).
func TestScorers(t *testing.T) {
	seen := map[string]bool{}
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(t.Name()), ".txtar"), "-")
		s := Lookup(name)
		if s == nil {
			t.Fatalf("there is no scorer %q", name)
		}
		seen[name] = true
		text, ok := a.File("runs")
		if !ok {
			t.Fatal("no file named runs")
		}
		var out strings.Builder
		for _, x := range s.Score(readRuns(t, string(text)), Options{Dimension: dimension}) {
			fmt.Fprintf(&out, "%s = %.4g (n=%d)", strings.TrimSpace(x.Name+" "+x.Of), x.Value, x.N)
			if x.Unjudged > 0 {
				fmt.Fprintf(&out, ", %d unjudged", x.Unjudged)
			}
			out.WriteByte('\n')
		}
		a.Expect(t, "want", []byte(out.String()))
	})
	for _, s := range All {
		if !seen[s.Name] {
			t.Errorf("%s has no archive", s.Name)
		}
	}
}

// dimension is what stands before the slash of a clause.
func dimension(v *proviso.Verdict) string {
	d, _, ok := strings.Cut(v.Clause.ID, "/")
	if !ok {
		return ""
	}
	return d
}

func readRuns(t *testing.T, text string) (runs []Run) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		r := Run{Task: f[0], Completed: f[1] == "done", Right: map[string]proviso.Status{}, Permitted: map[uint64]bool{}}
		if !r.Completed && f[1] != "undone" {
			p, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			r.Progress = p
		}
		for _, item := range f[2:] {
			what, is, ok := strings.Cut(item, "=")
			found, right, known := strings.Cut(is, "|")
			if !ok {
				t.Fatalf("%s: %q is no item", line, item)
			}
			if number, call := strings.CutPrefix(what, "#"); call {
				seq, err := strconv.ParseUint(number, 10, 64)
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				r.Permitted[seq] = right == "permitted"
				if r.Trace == nil {
					r.Trace = &proviso.Trace{}
				}
				if found != "-" {
					o, ok := proviso.ParseOutcome(found)
					if !ok {
						t.Fatalf("%s: %q is no outcome", line, found)
					}
					r.Trace.Records = append(r.Trace.Records, proviso.Record{Event: proviso.Event{Seq: seq}, Decision: proviso.Decision{Outcome: o}})
				}
				continue
			}
			if found != "" {
				r.Verdicts = append(r.Verdicts, proviso.Verdict{Clause: proviso.Clause{ID: what}, Status: status(t, found)})
			}
			if known {
				r.Right[what] = status(t, right)
			}
		}
		runs = append(runs, r)
	}
	return runs
}

func status(t *testing.T, s string) (out proviso.Status) {
	t.Helper()
	if err := out.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(All, func(a, b *Scorer) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("All is not sorted by name")
	}
	for _, s := range All {
		if Lookup(s.Name) != s {
			t.Errorf("Lookup(%q) finds another scorer", s.Name)
		}
		if got := s.Score(nil, Options{}); len(got) != 0 {
			t.Errorf("%s makes scores of nothing: %v", s.Name, got)
		}
	}
	if Lookup("nothing") != nil {
		t.Error("Lookup invents scorers")
	}
}
