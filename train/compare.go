package train

import (
	"fmt"
	"math"
	"slices"
)

// Comparison sets two runs side by side.
type Comparison struct {
	Steps [2]int `json:"steps"` // lines of metrics
	// Same is how many lines agree from the beginning in everything that seed, settings and data decide.
	Same   int               `json:"same"`
	Stages []StageComparison `json:"stages"`
}

// StageComparison is one stage of both runs: the means over the last tenth of its steps.
type StageComparison struct {
	Stage  string            `json:"stage"`
	Values []ValueComparison `json:"values"`
}

// ValueComparison is one number of both runs.
type ValueComparison struct {
	Name string  `json:"name"`
	A    float64 `json:"a"`
	B    float64 `json:"b"`
}

// Compare reads the metrics of two runs' folders. Stages are those that both have, in the order of the first.
func Compare(a, b string) (*Comparison, error) {
	var runs [2][]Metrics
	for i, dir := range []string{a, b} {
		m, err := ReadMetrics(dir)
		if err != nil {
			return nil, err
		}
		runs[i] = m
	}
	c := &Comparison{Steps: [2]int{len(runs[0]), len(runs[1])}}
	for c.Same < min(len(runs[0]), len(runs[1])) && sameStep(runs[0][c.Same], runs[1][c.Same]) {
		c.Same++
	}
	for _, stage := range stagesOf(runs[0]) {
		va, vb := tail(runs[0], stage), tail(runs[1], stage)
		if va == nil || vb == nil {
			continue
		}
		s := StageComparison{Stage: stage}
		for i := range va {
			if va[i].Value != 0 || vb[i].Value != 0 {
				s.Values = append(s.Values, ValueComparison{va[i].Name, va[i].Value, vb[i].Value})
			}
		}
		c.Stages = append(c.Stages, s)
	}
	return c, nil
}

// sameStep compares all but times.
func sameStep(a, b Metrics) bool {
	a.Seconds, a.TokensPerSecond, b.Seconds, b.TokensPerSecond = 0, 0, 0, 0
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func stagesOf(run []Metrics) []string {
	var out []string
	for _, m := range run {
		if !slices.Contains(out, m.Stage) {
			out = append(out, m.Stage)
		}
	}
	return out
}

// namedValue is one number under its name.
type namedValue struct {
	Name  string
	Value float64
}

// tail is the mean of the last tenth of a stage's steps, at least one, over those that measured it; nil where the run has none.
func tail(run []Metrics, stage string) []namedValue {
	var of []Metrics
	for _, m := range run {
		if m.Stage == stage {
			of = append(of, m)
		}
	}
	if len(of) == 0 {
		return nil
	}
	var out []namedValue
	for _, v := range (&Metrics{}).values() {
		sum, n := 0.0, 0.0
		for i := range of[len(of)-int(math.Ceil(float64(len(of))/10)):] {
			for _, x := range of[len(of)-1-i].values() {
				if x.Name == v.Name {
					sum += x.Value
					n++
				}
			}
		}
		out = append(out, namedValue{v.Name, sum / max(n, 1)})
	}
	return out
}
