// Package scorer holds deterministic judges of judged traces: what share of tasks was completed under the policy, how often clauses of a dimension were violated,
// how reliable repeated attempts are, and where verdicts and decisions differ from what is right.
//
// A Run is one attempt at a task with what an audit said about it. A Scorer takes the attempts at any tasks and returns Scores, shares between 0 and 1 with what they were taken of.
// Everything here is pure and exact; intervals, differences and pages are those of packages eval and eval/report.
//
// What nobody could judge never counts as good: a run with a clause whose verdict is unknown or an error was not completed under the policy, and every Score tells how many of these it met.
package scorer

import (
	"maps"
	"slices"

	"github.com/proviso-dev/proviso"
)

// Run is one attempt at a task.
type Run struct {
	Task      string  // attempts at one task share it
	Completed bool    // the task was done, whatever the policy says about how
	Progress  float64 // the share of the task's goals that were met, between 0 and 1; it counts as 1 where the task was completed
	// Verdicts are what the run shows about each clause, at most one for each.
	Verdicts []proviso.Verdict
	// Trace has the decisions on the run's events; nil where only the verdicts are looked at.
	Trace *proviso.Trace
	// Right says what the verdicts should be, by clause, and Permitted which calls of the trace should be allowed, by the number of their event. Both may be empty.
	Right     map[string]proviso.Status
	Permitted map[uint64]bool
}

// Options say how runs are to be read. The zero value is of use.
type Options struct {
	// Dimension names the part of trustworthiness that a clause belongs to; nil: all clauses are in one, which has no name.
	Dimension func(*proviso.Verdict) string
	// MaxK bounds the number of attempts that are taken together; 0: as many as every task has.
	MaxK int
}

// Score is one share. N is what it was taken of, never 0: a scorer leaves out what there is nothing of.
type Score struct {
	Name  string  `json:"name"`
	Of    string  `json:"of,omitempty"` // a dimension, a clause, a number of attempts, or what is compared
	Value float64 `json:"value"`
	N     int     `json:"n"`
	// Unjudged is how many of N nobody could judge. They are part of the value only where the scorer says so.
	Unjudged int `json:"unjudged,omitempty"`
}

// Scorer is one judge: its name, its documentation with the formula and where that is from, and its code. Score must not keep or change the runs; the order of runs counts only where Doc says so.
type Scorer struct {
	Name  string
	Doc   string
	Score func([]Run, Options) []Score
}

// Lookup returns the scorer of that name, nil where there is none.
func Lookup(name string) *Scorer {
	for _, s := range All {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// unjudged reports whether nobody could judge a clause.
func unjudged(s proviso.Status) bool { return s == proviso.Undetermined || s == proviso.Errored }

// worst is the worst status of a run's clauses.
func (r *Run) worst() proviso.Status {
	w := proviso.Dormant
	for i := range r.Verdicts {
		w = max(w, r.Verdicts[i].Status)
	}
	return w
}

// compliant reports whether it is certain that no clause was violated.
func (r *Run) compliant() bool { return r.worst() <= proviso.Satisfied }

func (r *Run) progress() float64 {
	if r.Completed {
		return 1
	}
	return min(1, max(0, r.Progress))
}

// mean is the average of a value over all runs.
func mean(name string, runs []Run, value func(*Run) float64) []Score {
	if len(runs) == 0 {
		return nil
	}
	s := Score{Name: name, N: len(runs)}
	sum := 0.0
	for i := range runs {
		sum += value(&runs[i])
		if unjudged(runs[i].worst()) {
			s.Unjudged++
		}
	}
	s.Value = sum / float64(s.N)
	return []Score{s}
}

// ratio counts how many of some things are so.
type ratio struct{ yes, n, unjudged int }

func (r *ratio) add(yes bool) {
	r.n++
	if yes {
		r.yes++
	}
}

// scores are the ratios by what they are of, sorted, without empty ones.
func scores(name string, by map[string]*ratio) []Score {
	var out []Score
	for _, of := range slices.Sorted(maps.Keys(by)) {
		if r := by[of]; r.n > 0 {
			out = append(out, Score{name, of, float64(r.yes) / float64(r.n), r.n, r.unjudged})
		}
	}
	return out
}

func ratioOf(by map[string]*ratio, of string) *ratio {
	if by[of] == nil {
		by[of] = &ratio{}
	}
	return by[of]
}
