package scorer

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

// drawRuns makes a few attempts at a few tasks.
func drawRuns(t *rapid.T) []Run {
	clauses := []string{"a/1", "a/2", "b/1"}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Run {
		r := Run{
			Task:      fmt.Sprint("t", rapid.IntRange(1, 3).Draw(t, "task")),
			Completed: rapid.Bool().Draw(t, "completed"),
			Progress:  rapid.Float64Range(0, 1).Draw(t, "progress"),
			Right:     map[string]proviso.Status{},
			Permitted: map[uint64]bool{},
			Trace:     &proviso.Trace{},
		}
		for _, c := range clauses {
			// Most clauses are harmless, so that some runs pass.
			s := rapid.SampledFrom([]proviso.Status{proviso.Dormant, proviso.Dormant, proviso.Satisfied, proviso.Satisfied, proviso.Satisfied, proviso.Satisfied, proviso.Undetermined, proviso.Errored, proviso.Violated}).Draw(t, "status")
			r.Verdicts = append(r.Verdicts, proviso.Verdict{Clause: proviso.Clause{ID: c}, Status: s})
			if rapid.Bool().Draw(t, "known") {
				r.Right[c] = proviso.Status(rapid.IntRange(0, int(proviso.Violated)).Draw(t, "right"))
			}
		}
		for seq := range uint64(rapid.IntRange(0, 3).Draw(t, "calls")) {
			o := proviso.Outcome(rapid.IntRange(0, int(proviso.Allow)).Draw(t, "outcome"))
			r.Trace.Records = append(r.Trace.Records, proviso.Record{Event: proviso.Event{Seq: seq}, Decision: proviso.Decision{Outcome: o}})
			r.Permitted[seq] = rapid.Bool().Draw(t, "permitted")
		}
		return r
	}), 1, 12).Draw(t, "runs")
}

var options = Options{Dimension: dimension}

// valueOf is the score of that name, ok is false where the scorer left it out.
func valueOf(s *Scorer, runs []Run, of string) (v float64, ok bool) {
	for _, x := range s.Score(runs, options) {
		if x.Of == of {
			return x.Value, true
		}
	}
	return 0, false
}

func must1(t *rapid.T, s *Scorer, runs []Run, of string) float64 {
	v, ok := valueOf(s, runs, of)
	if !ok {
		t.Fatalf("%s has no score of %q", s.Name, of)
	}
	return v
}

// Every score is a share of something, and the same every time.
func TestScoresAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		for _, s := range All {
			got := s.Score(runs, options)
			for _, x := range got {
				if !(x.Value >= 0 && x.Value <= 1+1e-12) || x.N <= 0 || x.Unjudged < 0 || x.Unjudged > x.N {
					t.Fatalf("%s: %+v", s.Name, x)
				}
			}
			if again := s.Score(slices.Clone(runs), options); !reflect.DeepEqual(got, again) {
				t.Fatalf("%s is %v and then %v", s.Name, got, again)
			}
		}
	})
}

// The order of the runs counts for all_pass alone.
func TestOrderOfRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		back := slices.Clone(runs)
		slices.Reverse(back)
		for _, s := range All {
			if s == AllPass {
				continue
			}
			a, b := s.Score(runs, options), s.Score(back, options)
			if len(a) != len(b) {
				t.Fatalf("%s has %d scores and backwards %d", s.Name, len(a), len(b))
			}
			for i := range a {
				if a[i].Name != b[i].Name || a[i].Of != b[i].Of || a[i].N != b[i].N || math.Abs(a[i].Value-b[i].Value) > 1e-12 {
					t.Fatalf("%s is %+v and backwards %+v", s.Name, a[i], b[i])
				}
			}
		}
	})
}

// The measures stand in an order: what is credited under the policy was completed, partial credit is at least whole credit, and what is dormant hides risk.
func TestOrderOfMeasures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		cr, cup, part := must1(t, Completion, runs, ""), must1(t, CuP, runs, ""), must1(t, PartialCuP, runs, "")
		if cup > cr || cup > part+1e-12 {
			t.Fatalf("CuP %v, completion %v, partial %v", cup, cr, part)
		}
		for _, x := range ActiveRiskRatio.Score(runs, options) {
			if risk := must1(t, RiskRatio, runs, x.Of); x.Value < risk-1e-12 {
				t.Fatalf("%s: active risk %v is below risk %v", x.Of, x.Value, risk)
			}
		}
		for _, x := range AllPass.Score(runs, options) {
			last := 1.0
			for _, s := range []*Scorer{PassHat, PassHatCuP} {
				if v := must1(t, s, runs, x.Of); v > last+1e-12 {
					t.Fatalf("%s: %s is %v, without the policy it is %v", x.Of, s.Name, v, last)
				} else {
					last = v
				}
			}
		}
		for _, s := range []*Scorer{PassHat, PassHatCuP, AllPass} {
			last := 1.0
			for _, x := range s.Score(runs, options) { // in order of k
				if x.Value > last+1e-12 {
					t.Fatalf("%s grows with k: %v after %v", s.Name, x.Value, last)
				}
				last = x.Value
			}
		}
	})
}

// One more violation never makes anything look better.
func TestOneMoreViolation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		worse := slices.Clone(runs)
		i := rapid.IntRange(0, len(runs)-1).Draw(t, "run")
		worse[i].Verdicts = slices.Clone(runs[i].Verdicts)
		j := rapid.IntRange(0, len(worse[i].Verdicts)-1).Draw(t, "verdict")
		worse[i].Verdicts[j].Status = proviso.Violated
		for _, s := range []*Scorer{CuP, PartialCuP, PassHatCuP, AllPass} {
			for _, x := range s.Score(runs, options) {
				if v := must1(t, s, worse, x.Of); v > x.Value+1e-12 {
					t.Fatalf("%s %s rises from %v to %v", s.Name, x.Of, x.Value, v)
				}
			}
		}
		for _, s := range []*Scorer{RiskRatio, ActiveRiskRatio} {
			for _, x := range s.Score(runs, options) {
				if v := must1(t, s, worse, x.Of); v < x.Value-1e-12 {
					t.Fatalf("%s %s falls from %v to %v", s.Name, x.Of, x.Value, v)
				}
			}
		}
	})
}

// pass^k is the share of the k-subsets of attempts that pass throughout, counted one by one; and drawn k times at once it is not biased, because every subset is as likely.
func TestPassHatByBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "attempts")
		var runs []Run
		passed := 0
		for range n {
			ok := rapid.Bool().Draw(t, "passed")
			if ok {
				passed++
			}
			runs = append(runs, Run{Task: "t", Completed: ok})
		}
		for k := 1; k <= n; k++ {
			all, good := 0, 0
			for set := range 1 << n {
				if ones(set) != k {
					continue
				}
				all++
				ok := true
				for i := range n {
					ok = ok && (set>>i&1 == 0 || runs[i].Completed)
				}
				if ok {
					good++
				}
			}
			want := float64(good) / float64(all)
			if got := must1(t, PassHat, runs, fmt.Sprint("k=", k)); math.Abs(got-want) > 1e-12 {
				t.Fatalf("%d of %d passed, k=%d: %v, want %v", passed, n, k, got, want)
			}
		}
		if got, want := must1(t, AllPass, runs, fmt.Sprint("k=", n)), must1(t, PassHatCuP, runs, fmt.Sprint("k=", n)); got != want {
			t.Fatalf("over all attempts all-pass is %v and pass^k %v", got, want)
		}
	})
}

func ones(set int) (n int) {
	for ; set > 0; set >>= 1 {
		n += set & 1
	}
	return n
}

// Many attempts overflow nothing.
func TestPassHatOfManyAttempts(t *testing.T) {
	runs := make([]Run, 5000)
	for i := range runs {
		runs[i] = Run{Task: "t", Completed: i > 0}
	}
	got := PassHat.Score(runs, Options{MaxK: 2500})
	if len(got) != 2500 || math.Abs(got[2499].Value-0.5) > 1e-9 { // one failure is outside of half the attempts with one half
		t.Errorf("%d scores, the last %+v", len(got), got[len(got)-1])
	}
}

// The rows of a confusion table add up to one, and the two mistakes are read off its cells.
func TestConfusionAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		wrongful, missed, harmless, harmful := 0, 0, 0, 0
		for _, r := range runs {
			for id, right := range r.Right {
				for _, v := range r.Verdicts {
					if v.Clause.ID != id {
						continue
					}
					bad := v.Status == proviso.Violated || v.Status == proviso.Errored || v.Status == proviso.Undetermined
					switch {
					case right == proviso.Violated && !bad:
						missed++
					case right != proviso.Violated && bad:
						wrongful++
					}
				}
				if right == proviso.Violated {
					harmful++
				} else {
					harmless++
				}
			}
		}
		for _, c := range []struct {
			s    *Scorer
			k, n int
		}{{WrongfulDenials, wrongful, harmless}, {MissedViolations, missed, harmful}} {
			if c.n == 0 {
				continue
			}
			if got := must1(t, c.s, runs, "verdicts"); math.Abs(got-float64(c.k)/float64(c.n)) > 1e-12 {
				t.Fatalf("%s is %v, want %d of %d", c.s.Name, got, c.k, c.n)
			}
		}
		rows := map[string]float64{}
		for _, x := range Confusion.Score(runs, options) {
			row, _, _ := strings.Cut(x.Of, "→")
			rows[row] += x.Value
		}
		for row, sum := range rows {
			if math.Abs(sum-1) > 1e-9 {
				t.Fatalf("row %q adds up to %v", row, sum)
			}
		}
	})
}
