package eval

import (
	"slices"

	"github.com/proviso-dev/proviso"
)

// Confusion counts judgements by what is wanted (rows) and what was got (columns).
type Confusion struct {
	Labels []string `json:"labels"` // sorted, outcomes of a decision first and from allow to deny
	Counts [][]int  `json:"counts"` // [wanted][got]
}

// outcomes are the labels of decisions in the order in which they are shown.
var outcomes = []string{proviso.Allow.String(), proviso.Escalate.String(), proviso.NeedInfo.String(), proviso.Deny.String()}

// Confusion counts the judgements of the run. Cases in error have none; Counts tells how many they are.
func (r *Run) Confusion() Confusion {
	seen := map[string]bool{}
	each := func(f func(want, got string)) {
		for i := range r.Results {
			res := &r.Results[i]
			if res.Status == Errored {
				continue
			}
			for j := range min(len(res.Want), len(res.Got)) {
				f(res.Want[j], res.Got[j])
			}
		}
	}
	each(func(want, got string) { seen[want], seen[got] = true, true })
	var c Confusion
	for _, o := range outcomes {
		if seen[o] {
			c.Labels = append(c.Labels, o)
			delete(seen, o)
		}
	}
	rest := make([]string, 0, len(seen))
	for l := range seen {
		rest = append(rest, l)
	}
	slices.Sort(rest)
	c.Labels = append(c.Labels, rest...)
	number := map[string]int{}
	c.Counts = make([][]int, len(c.Labels))
	for i, l := range c.Labels {
		number[l] = i
		c.Counts[i] = make([]int, len(c.Labels))
	}
	each(func(want, got string) { c.Counts[number[want]][number[got]]++ })
	return c
}

// WrongfulDenials is the share of what should be allowed that was stopped: denied, escalated, or held for information. N is 0 where nothing should be allowed.
func (c Confusion) WrongfulDenials() Share {
	var s Share
	for i, want := range c.Labels {
		for j, got := range c.Labels {
			if want == outcomes[0] {
				s.N += c.Counts[i][j]
				if got != want {
					s.K += c.Counts[i][j]
				}
			}
		}
	}
	return s
}

// MissedViolations is the share of what should be stopped that was allowed. N is 0 where nothing should be stopped.
// Labels that are no outcomes of a decision do not count.
func (c Confusion) MissedViolations() Share {
	var s Share
	for i, want := range c.Labels {
		if !slices.Contains(outcomes[1:], want) {
			continue
		}
		for j, got := range c.Labels {
			s.N += c.Counts[i][j]
			if got == outcomes[0] {
				s.K += c.Counts[i][j]
			}
		}
	}
	return s
}

// BalancedAccuracy is the mean over the wanted labels of the share that was got right, so that a frequent label does not hide a rare one. Of no judgements it is 0.
func (c Confusion) BalancedAccuracy() float64 {
	sum, n := 0.0, 0
	for i := range c.Labels {
		all := 0
		for _, k := range c.Counts[i] {
			all += k
		}
		if all > 0 {
			sum += float64(c.Counts[i][i]) / float64(all)
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// MacroF1 is the mean over the labels of 2·right / (wanted + got). Of no judgements it is 0.
func (c Confusion) MacroF1() float64 {
	sum := 0.0
	for i := range c.Labels {
		all := 0
		for j := range c.Labels {
			all += c.Counts[i][j] + c.Counts[j][i]
		}
		sum += 2 * float64(c.Counts[i][i]) / float64(all)
	}
	return sum / float64(max(len(c.Labels), 1))
}
