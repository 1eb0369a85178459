package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit/coverage"
)

// report is what a checking command found. Every output format is a function of it.
type report struct {
	Command  string           `json:"command"`
	Packs    []string         `json:"packs,omitempty"`
	Policy   string           `json:"policy,omitempty"` // the digest
	Findings []finding        `json:"findings"`
	Cases    []caseLine       `json:"cases,omitempty"`
	Coverage *coverage.Report `json:"coverage,omitempty"`
	Tally    tally            `json:"summary"`

	verbose    bool
	clauses    bool // the coverage is listed by clause
	statistics bool
	source     *sources
}

// finding is a diagnostic and the step of the command that made it.
type finding struct {
	Check string `json:"check"`
	proviso.Diagnostic
}

// caseLine is how one case of a pack ended.
type caseLine struct {
	Name   string      `json:"name"`
	Pos    proviso.Pos `json:"pos"`
	Passed bool        `json:"passed"`
	Steps  int         `json:"steps"`
	Failed []misstep   `json:"failures,omitempty"`
}

// misstep is a step of a case that did not go as wanted.
type misstep struct {
	Pos  proviso.Pos `json:"pos"`
	Code string      `json:"code"`
	Msg  string      `json:"message"`
}

// tally counts what a checking command found. The exit code and the summary are both made of it, so that they cannot disagree.
type tally struct {
	Errors   int  `json:"errors"`
	Warnings int  `json:"warnings"`
	Notes    int  `json:"notes"`
	Passed   int  `json:"passed"`
	Failed   int  `json:"failed"`
	Broken   bool `json:"broken"`              // errors of the pack itself, which nothing can be decided with
	Empty    bool `json:"empty"`               // there was nothing to check
	Files    int  `json:"files,omitempty"`     // looked at
	Lenient  bool `json:"exit_zero,omitempty"` // findings are no reason to fail
	Exit     int  `json:"exit"`
}

func (t tally) exit() exit {
	switch {
	case t.Broken, t.Empty:
		return exitInput
	case t.Errors+t.Warnings+t.Failed > 0 && !t.Lenient:
		return exitFindings
	}
	return exitOK
}

func (t tally) String() string {
	var parts []string
	count := func(n int, one, many string) {
		switch n {
		case 0:
		case 1:
			parts = append(parts, "1 "+one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	count(t.Errors, "error", "errors")
	count(t.Warnings, "warning", "warnings")
	count(t.Notes, "note", "notes")
	if n := t.Passed + t.Failed; n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d cases pass", t.Passed, n))
	}
	if t.Empty {
		parts = append(parts, "nothing to check")
	}
	if t.exit() == exitOK && !t.Lenient || len(parts) == 0 {
		parts = append([]string{"ok"}, parts...)
	}
	return strings.Join(parts, ", ")
}

// add takes the diagnostics of one step into the report. Errors of loading and compiling break the pack.
func (r *report) add(check string, ds proviso.Diagnostics) {
	for _, d := range ds {
		r.Findings = append(r.Findings, finding{check, d})
		switch d.Severity {
		case proviso.Error:
			r.Tally.Errors++
			r.Tally.Broken = r.Tally.Broken || check == "load" || check == "compile"
		case proviso.Warning:
			r.Tally.Warnings++
		default:
			r.Tally.Notes++
		}
	}
}

// finish writes the report and ends the command with its exit code.
func (a *app) finish(r *report) error {
	r.Tally.Exit = int(r.Tally.exit())
	if r.Findings == nil {
		r.Findings = []finding{}
	}
	render := renderers[a.output]
	if render == nil {
		return &problem{exit: exitInput, code: codeUsage, msg: "this command has no output format " + a.output, hint: "use -o pretty, or json for programs"}
	}
	if err := render(a.stdout, a.style, r); err != nil {
		return unwritable("standard output", err)
	}
	if a.output != "pretty" {
		a.say("proviso %s: %s", r.Command, r.Tally)
	}
	if x := r.Tally.exit(); x != exitOK {
		return stop(x)
	}
	return nil
}

func unwritable(name string, err error) error {
	return &problem{exit: exitIncomplete, code: codeWrite, msg: fmt.Sprintf("write %s: %s", name, because(err)), hint: "check space and permissions"}
}

// renderers are the formats of a report, by the name that -o takes.
var renderers = map[string]func(io.Writer, style, *report) error{
	"pretty":   prettyReport,
	"json":     jsonReport,
	"jsonl":    jsonlReport,
	"sarif":    sarifReport,
	"junit":    junitReport,
	"github":   githubReport,
	"markdown": markdownReport,
}

func (s style) severity(v proviso.Severity) string {
	return s.paint(v.String(), map[proviso.Severity][]string{proviso.Error: {bold, red}, proviso.Warning: {bold, magenta}, proviso.Note: {bold, cyan}}[v]...)
}

func prettyReport(w io.Writer, s style, r *report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		prettyFinding(&b, s, r.source, f)
	}
	for _, c := range r.Cases {
		switch {
		case !c.Passed:
			fmt.Fprintf(&b, "%s %s\n", s.paint("FAIL", bold, red), printable(c.Name))
			for _, m := range c.Failed {
				b.WriteString(s.hanging("  "+m.Pos.String()+": ", m.Msg, 6))
			}
		case r.verbose:
			fmt.Fprintf(&b, "%s   %s\n", s.paint("ok", green), shorten(c.Name, s.limit()-5))
		}
	}
	switch {
	case r.Coverage == nil:
	case r.clauses:
		prettyClauses(&b, s, r.Coverage, r.verbose)
	default:
		prettyCoverage(&b, s, r.Coverage, r.verbose)
	}
	if r.statistics {
		prettyStatistics(&b, r)
	}
	colour := green
	if r.Tally.exit() != exitOK {
		colour = red
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Command, s.paint(r.Tally.String(), bold, colour))
	_, err := io.WriteString(w, b.String())
	return err
}

func prettyFinding(b *strings.Builder, s style, src *sources, f finding) {
	where := f.Pos.String()
	if where != "" {
		where += ": "
	}
	b.WriteString(s.hanging(where+s.severity(f.Severity)+": ", f.Msg+" ["+f.Code+"]", 6))
	if line := src.line(f.Pos.File, f.Pos.Line); strings.TrimSpace(line) != "" {
		n := fmt.Sprintf("%5d | ", f.Pos.Line)
		start, mark := excerpt(line, f.Pos.Col, s.limit()-len(n))
		fmt.Fprintf(b, "%s%s\n", s.paint(n, faint), start)
		if mark >= 0 {
			fmt.Fprintf(b, "      %s %s%s\n", s.paint("|", faint), strings.Repeat(" ", mark), s.paint("^", bold, red))
		}
	}
	if f.Hint != "" {
		b.WriteString(s.indented("      = ", f.Hint))
	}
	b.WriteByte('\n')
}

// excerpt cuts a window of width columns out of a line, so that the byte at col stays visible; mark is its column in the window, -1 for none.
func excerpt(line string, col, width int) (text string, mark int) {
	line = strings.TrimRight(line, "\r")
	before := line[:min(max(col-1, 0), len(line))]
	r, at := []rune(printable(line)), len([]rune(printable(before)))
	from := 0
	if at >= width {
		from = at - width/2
	}
	to := min(len(r), from+width)
	mark = at - from
	if col == 0 {
		mark = -1
	}
	return string(r[from:to]), mark
}

func prettyStatistics(b *strings.Builder, r *report) {
	counts := map[string]int{}
	for _, f := range r.Findings {
		counts[f.Code]++
	}
	codes := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		if counts[x] != counts[y] {
			return counts[y] - counts[x]
		}
		return strings.Compare(x, y)
	})
	for _, c := range codes {
		fmt.Fprintf(b, "%5d  %s\n", counts[c], c)
	}
}
