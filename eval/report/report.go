// Package report prints runs of suites, comparisons of two runs, and tables of figures: for a terminal, as one HTML page, as Markdown, and for machines.
package report

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/eval"
)

// Report is what is printed: a run, a comparison, tables of figures, or several of them.
type Report struct {
	Title      string
	Run        *eval.Run        // may be nil
	Comparison *eval.Comparison // may be nil
	Tables     []eval.Table
}

// check is one thing that a report says is right or not: a case of a run, a case of two runs, or a figure.
type check struct {
	suite, name string
	pos         proviso.Pos
	kind        kind
	text        string // why; empty where it is right
}

// kind says what became of a check. Its text is the id of its findings in forms for machines.
type kind string

const (
	good    kind = "pass"
	failed  kind = "failed"
	broken  kind = "broken"
	failing kind = "still-failing"
	unmet   kind = "unmet-figure"
	missing kind = "missing-figure"
	errored kind = "error"
	absent  kind = "not-measured"
	slow    kind = "slow-figure"
	left    kind = "not-played"
)

// kinds tells for each kind what it is called where findings have levels, and what it means. One without a level is no finding.
var kinds = map[kind]struct{ sarif, github, doc string }{
	good:    {},
	absent:  {},
	failed:  {"error", "error", "A case was decided otherwise than it should be."},
	broken:  {"error", "error", "A case passed before and does not pass now."},
	failing: {"note", "notice", "A case passes neither before nor now."},
	unmet:   {"error", "error", "A figure is not as wanted."},
	missing: {"error", "error", "A figure that is wanted was not measured."},
	slow:    {"note", "notice", "A speed is not as wanted on this machine, at this time."},
	errored: {"warning", "warning", "A case could not be judged."},
	left:    {"warning", "warning", "Cases were not played."},
}

// checks lists everything that the report holds, findings or not.
func (r *Report) checks() []check {
	var out []check
	if r.Run != nil {
		for i := range r.Run.Results {
			res := &r.Run.Results[i]
			out = append(out, check{r.Run.Head.Suite, res.ID, res.Pos, map[eval.Status]kind{eval.Passed: good, eval.Failed: failed, eval.Errored: errored}[res.Status], why(res)})
		}
		if n := r.Run.Counts().Left; n > 0 {
			out = append(out, check{r.Run.Head.Suite, "the rest", proviso.Pos{}, left, fmt.Sprintf("%d of %d cases were not played", n, r.Run.Head.Cases)})
		}
	}
	if c := r.Comparison; c != nil {
		for _, part := range []struct {
			kind  kind
			flips []eval.Flip
		}{{broken, c.Broken}, {failing, c.Failing}, {good, c.Fixed}} {
			for i := range part.flips {
				f := &part.flips[i]
				out = append(out, check{c.New.Suite, f.New.ID, f.New.Pos, part.kind, why(&f.New)})
			}
		}
	}
	for _, t := range r.Tables {
		for i := range t.Rows {
			row := &t.Rows[i]
			k := map[eval.Mark]kind{eval.Missing: missing, eval.Unmet: unmet, eval.Absent: absent, eval.Slow: slow}[row.Mark]
			if k == "" {
				k = good
			}
			out = append(out, check{t.Title, row.Name, proviso.Pos{}, k, standing(row)})
		}
	}
	return out
}

// findings lists the checks that are not as they should be.
func (r *Report) findings() []check {
	var out []check
	for _, c := range r.checks() {
		if kinds[c.kind].sarif != "" {
			out = append(out, c)
		}
	}
	return out
}

// why says why a case did not pass: its note, else the labels that differ.
func why(r *eval.Result) string {
	if r.Status == eval.Passed || r.Note != "" {
		return r.Note
	}
	var parts []string
	for i, w := range r.Want {
		if i < len(r.Got) && r.Got[i] != w {
			parts = append(parts, fmt.Sprintf("wanted %s, got %s", w, r.Got[i]))
		}
	}
	return strings.Join(parts, "; ")
}

// standing says how a figure stands to what is wanted; empty where it is as wanted.
func standing(r *eval.Row) string {
	switch r.Mark {
	case eval.Missing:
		return "wanted " + wantOf(r) + ", but it was not measured"
	case eval.Unmet, eval.Slow:
		return fmt.Sprintf("is %s (n=%s), wanted %s", eval.FormatValue(r.Value), eval.FormatCount(r.N), wantOf(r))
	}
	return ""
}

func wantOf(r *eval.Row) string {
	if !r.Want.Set() {
		return "any value"
	}
	return r.Want.String()
}

// share writes K of N with its value and interval.
func share(s eval.Share) string {
	if s.N == 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%s of %s, %s (%s)", eval.FormatCount(s.K), eval.FormatCount(s.N), eval.FormatValue(s.Value()), interval(s.Interval()))
}

func interval(in eval.Interval) string {
	return fmt.Sprintf("%.4f–%.4f", in.Low, in.High)
}

// gain writes a difference of shares with its sign.
func gain(c *eval.Comparison) string {
	return fmt.Sprintf("%+.4f (%+.4f to %+.4f), p = %s", c.Gain, c.Range.Low, c.Range.High, pValue(c.P))
}

func pValue(p float64) string {
	if p < 0.0001 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

// verdict is the report in a few words, and whether they are good.
func (r *Report) verdict() (text string, ok bool) {
	n := map[kind]int{}
	for _, c := range r.checks() {
		n[c.kind]++
	}
	var parts []string
	add := func(k kind, noun string) {
		if n[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", eval.FormatCount(n[k]), noun))
		}
	}
	add(broken, "broken")
	add(failed, "failed")
	add(errored, "in error")
	add(unmet, "not as wanted")
	add(missing, "missing")
	add(left, "unfinished")
	if len(parts) > 0 {
		return strings.Join(parts, ", "), false
	}
	if n[slow] > 0 {
		return fmt.Sprintf("all as wanted, apart from %d that the machine was too slow for", n[slow]), true
	}
	if len(n) == 0 {
		return "nothing to report", false
	}
	if r.Comparison != nil && r.Run == nil {
		return "nothing broken", true
	}
	return "all as wanted", true
}
