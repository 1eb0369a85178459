package eval

import (
	"errors"
	"fmt"
	"slices"
)

// Flip is a case of two runs.
type Flip struct {
	Old Result `json:"old"`
	New Result `json:"new"`
}

// Comparison is what a new run differs in from an old one over the same cases. A case in error counts as not passed.
type Comparison struct {
	Old     Head              `json:"old"`
	New     Head              `json:"new"`
	Fixed   []Flip            `json:"fixed"`   // passed now, not before
	Broken  []Flip            `json:"broken"`  // passed before, not now
	Failing []Flip            `json:"failing"` // passed neither before nor now
	Passing int               `json:"passing"` // passed both before and now
	Before  Share             `json:"before"`
	After   Share             `json:"after"`
	Gain    float64           `json:"gain"`     // the share that passes now minus the share that passed before
	Range   Interval          `json:"interval"` // of the gain: paired bootstrap over the cases
	P       float64           `json:"p"`        // of the gain: exact sign test over the cases that flipped
	Groups  []GroupComparison `json:"groups,omitempty"`
}

// GroupComparison is the shares of one group of cases.
type GroupComparison struct {
	Group  string `json:"group"`
	Before Share  `json:"before"`
	After  Share  `json:"after"`
	Fixed  int    `json:"fixed"`
	Broken int    `json:"broken"`
}

// The bootstrap of a comparison: enough rounds for two digits of a bound, and a seed so that a report can be made again.
const (
	compareRounds = 10_000
	compareSeed   = 1
)

// CodeCompare is the code of runs that cannot be compared.
const CodeCompare = "PV603"

// ErrOther is the error of Compare where the runs are not about the same cases: their shares say nothing about each other.
var ErrOther = errors.New("the runs are over different cases")

// ErrPart is the error of Compare where cases of a run were not reached.
var ErrPart = errors.New("the run is not finished")

// Compare pairs the results of two finished runs over the same cases; their subjects may differ. The flips are in the order of the cases.
// The errors are ErrOther and ErrPart.
func Compare(old, now *Run) (*Comparison, error) {
	if old.Head.Suite != now.Head.Suite || old.Head.Digest != now.Head.Digest {
		return nil, fmt.Errorf("compare %s and %s: %w", old.Head.Suite, now.Head.Suite, ErrOther)
	}
	for _, r := range []*Run{old, now} {
		if n := r.Counts().Left; n > 0 {
			return nil, fmt.Errorf("compare: %d cases of %s were not played: %w", n, r.Head.Suite, ErrPart)
		}
	}
	c := &Comparison{Old: old.Head, New: now.Head, Fixed: []Flip{}, Broken: []Flip{}, Failing: []Flip{}}
	gains := make([]float64, len(old.Results))
	for i := range old.Results {
		f := Flip{old.Results[i], now.Results[i]}
		was, is := f.Old.Status == Passed, f.New.Status == Passed
		g := c.group(f.New.Group)
		count(&c.Before, was)
		count(&c.After, is)
		count(&g.Before, was)
		count(&g.After, is)
		switch {
		case was && is:
			c.Passing++
		case is:
			c.Fixed = append(c.Fixed, f)
			g.Fixed++
			gains[i] = 1
		case was:
			c.Broken = append(c.Broken, f)
			g.Broken++
			gains[i] = -1
		default:
			c.Failing = append(c.Failing, f)
		}
	}
	c.Gain = float64(c.After.K-c.Before.K) / float64(c.After.N)
	c.Range = Bootstrap(gains, compareRounds, compareSeed)
	c.P = SignTest(len(c.Fixed), len(c.Broken))
	return c, nil
}

func count(s *Share, k bool) {
	s.N++
	if k {
		s.K++
	}
}

func (c *Comparison) group(name string) *GroupComparison {
	i := slices.IndexFunc(c.Groups, func(g GroupComparison) bool { return g.Group == name })
	if i < 0 {
		i = len(c.Groups)
		c.Groups = append(c.Groups, GroupComparison{Group: name})
	}
	return &c.Groups[i]
}
