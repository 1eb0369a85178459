package eval

import (
	"slices"
	"sort"
	"time"
)

// Summary is what the results of a run come to.
type Summary struct {
	Counts    Counts         `json:"counts"`
	Passed    Share          `json:"passed"` // of all cases; those in error or not reached count as not passed
	Range     Interval       `json:"interval"`
	Groups    []GroupSummary `json:"groups,omitempty"` // where there are several
	Confusion *Confusion     `json:"confusion,omitempty"`
	Wrongful  *Share         `json:"wrongful_denials,omitempty"`  // judgements that should allow and do not
	Missed    *Share         `json:"missed_violations,omitempty"` // judgements that should stop and allow
	Balanced  float64        `json:"balanced_accuracy"`           // of the judgements
	MacroF1   float64        `json:"macro_f1"`
	Values    []ValueSummary `json:"values,omitempty"`
}

// GroupSummary is the share of a group of cases that passed.
type GroupSummary struct {
	Group  string   `json:"group"`
	Passed Share    `json:"passed"`
	Range  Interval `json:"interval"`
}

// ValueSummary is the mean of a measure over the cases that have it.
type ValueSummary struct {
	Name  string   `json:"name"`
	Mean  float64  `json:"mean"`
	Range Interval `json:"interval"` // bootstrap over the cases
	N     int      `json:"n"`
}

// Summary sums the run up.
func (r *Run) Summary() Summary {
	c := r.Counts()
	s := Summary{Counts: c, Passed: Share{c.Passed, r.Head.Cases}}
	s.Range = s.Passed.Interval()
	groups := r.Groups()
	if len(groups) > 1 {
		for _, g := range groups {
			gs := GroupSummary{Group: g}
			for i := range r.Results {
				if r.Results[i].Group == g {
					count(&gs.Passed, r.Results[i].Status == Passed)
				}
			}
			gs.Range = gs.Passed.Interval()
			s.Groups = append(s.Groups, gs)
		}
	}
	if m := r.Confusion(); len(m.Labels) > 0 {
		s.Confusion = &m
		s.Balanced, s.MacroF1 = m.BalancedAccuracy(), m.MacroF1()
		if w := m.WrongfulDenials(); w.N > 0 {
			s.Wrongful = &w
		}
		if v := m.MissedViolations(); v.N > 0 {
			s.Missed = &v
		}
	}
	values := map[string][]float64{}
	for i := range r.Results {
		for n, v := range r.Results[i].Values {
			values[n] = append(values[n], v)
		}
	}
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		sum := 0.0
		for _, v := range values[n] {
			sum += v
		}
		s.Values = append(s.Values, ValueSummary{n, sum / float64(len(values[n])), Bootstrap(values[n], compareRounds, compareSeed), len(values[n])})
	}
	return s
}

// Percentile is the time within which the share q of the cases was played; 0 where none was.
func (r *Run) Percentile(q float64) time.Duration {
	if len(r.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.Took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
