package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/audit/coverage"
	"github.com/proviso-dev/proviso/document"
)

// coverageCmd is `proviso coverage`.
type coverageCmd struct {
	Packs   []string `arg:"" optional:"" name:"pack" help:"Folders of packs; default: this folder. Several are joined." default:"."`
	Min     float64  `help:"Fail where fewer percent of the clauses are settled." placeholder:"PERCENT"`
	Since   string   `help:"An older version of the document: also list the rules that implement clauses which it said otherwise." placeholder:"FILE"`
	Uses    bool     `help:"Also list the groups of uses, as acceptable-use policies restrict them, about which the document has no clause."`
	Against string   `help:"With --uses: list only those about which this other document has a clause." placeholder:"FILE"`
	Verbose bool     `short:"v" help:"Also list the cases that show each clause."`
}

// Help is the long help of the command.
func (coverageCmd) Help() string {
	return `Says of each clause of the policy document which rules enforce it, which question judges it, and whether the cases under tests/ have seen one of its rules stop a step and let one pass. A clause that nothing can enforce is settled where the pack says why, under unenforceable in a rules file. -o html is a page for people who own the document.`
}

// Run plays the cases and reports.
func (c *coverageCmd) Run(a *app) error {
	o, err := a.open(c.Packs)
	if err != nil {
		return err
	}
	if o.policy == nil {
		return a.broken("coverage", o)
	}
	r := a.reportOf("coverage", o)
	r.add("load", o.found)
	if err := r.test(o, ""); err != nil {
		return err
	}
	r.Cases = nil // proviso test lists them
	if r.Tally.Empty {
		return a.finish(r)
	}
	if c.Since != "" {
		if err := r.stale(o, c.Since); err != nil {
			return err
		}
	}
	if c.Uses {
		if err := r.uses(a, o, c.Against); err != nil {
			return err
		}
	}
	for _, cl := range r.Coverage.Clauses {
		if missing := gap[cl.State]; missing != "" && r.Coverage.Percent() < c.Min {
			r.add("coverage", proviso.Diagnostics{{Pos: proviso.Pos{File: cl.Span.File, Line: cl.Span.Line, Col: 1}, Code: codeThreshold, Severity: proviso.Note,
				Msg: fmt.Sprintf("clause %s is %s: %s", cl.ID, cl.State, missing), Hint: "write a rule that cites it and cases for both directions, or say under unenforceable why nothing can"}})
		}
	}
	if got := r.Coverage.Percent(); got < c.Min {
		r.add("coverage", proviso.Diagnostics{{Code: codeThreshold, Severity: proviso.Warning,
			Msg: fmt.Sprintf("%.0f percent of the clauses are settled, less than %g", got, c.Min), Hint: "open and untested clauses are listed"}})
	}
	if a.output == "html" {
		if err := r.Coverage.HTML(a.stdout, strings.Join(r.Packs, " + ")); err != nil {
			return unwritable("standard output", err)
		}
		if x := r.Tally.exit(); x != exitOK {
			return stop(x)
		}
		return nil
	}
	r.clauses, r.verbose = true, c.Verbose
	return a.finish(r)
}

// stale adds a finding for every rule that implements a clause which an older version of the document said otherwise.
func (r *report) stale(o *opened, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return unreadable(name, err)
	}
	before, ds := document.Read(filepath.ToSlash(name), b)
	for i, p := range o.packs {
		if p.Document == nil || len(ds) > 0 {
			continue
		}
		for _, s := range coverage.StaleSince(o.policy, p, before, p.Document) {
			ds = append(ds, s.Diagnostic(shown(o.roots[i], p.DocFile)))
		}
	}
	r.add("coverage", ds)
	return nil
}

// uses notes the groups of uses about which the documents have no clause.
func (r *report) uses(a *app, o *opened, against string) error {
	var other *document.Document
	if against != "" {
		var err error
		if other, _, err = a.document(against); err != nil {
			return err
		}
	}
	for i, p := range o.packs {
		for _, k := range p.Document.Missing(document.AcceptableUse, other) {
			r.add("coverage", proviso.Diagnostics{{Code: coverage.CodeUse, Severity: proviso.Note, Pos: proviso.Pos{File: shown(o.roots[i], p.DocFile)},
				Msg: fmt.Sprintf("no clause about %s: %s", k.Name, k.Means), Hint: "add one, where the agent could be used for it"}})
		}
	}
	return nil
}

// cover tells what the cases have shown, with files named as the person would.
func cover(o *opened, results []audit.CaseResult) *coverage.Report {
	cov := coverage.Of(o.policy, o.packs, results)
	at := 0
	for i, p := range o.packs {
		if p.Document == nil {
			continue
		}
		for range p.Document.Clauses {
			cov.Clauses[at].Span.File = shown(o.roots[i], cov.Clauses[at].Span.File)
			at++
		}
	}
	return cov
}

// stateColours are those of the states on a terminal.
var stateColours = map[coverage.State]string{coverage.Open: red, coverage.Untested: magenta, coverage.Judged: cyan, coverage.Unenforceable: faint, coverage.Enforced: green}

// gap says what a clause lacks that is not settled.
var gap = map[coverage.State]string{coverage.Open: "no rule, no question and no reason", coverage.Untested: "no case has seen its rules stop a step and let one pass"}

// prettyClauses lists the clauses with their states.
func prettyClauses(b *strings.Builder, s style, c *coverage.Report, verbose bool) {
	for i := range c.Clauses {
		cl := &c.Clauses[i]
		indent := strings.Repeat("  ", min(cl.Depth, 6))
		id := shorten(cl.ID, 34)
		fmt.Fprintf(b, "%s%s  %s\n", s.paint(pad(string(cl.State), 15), stateColours[cl.State]), indent+s.paint(id, bold), s.paint(shorten(cl.Text, max(10, s.limit()-19-len(indent)-len([]rune(id)))), faint))
		if by := cl.Because(); by != "" && (verbose || cl.State != coverage.Open) {
			b.WriteString(s.indented(strings.Repeat(" ", 15)+indent, by))
		}
		if verbose {
			for _, x := range []struct {
				name  string
				cases []string
			}{{"stops in: ", cl.Stops}, {"passes in: ", cl.Passes}} {
				if len(x.cases) > 0 {
					b.WriteString(s.indented(strings.Repeat(" ", 15)+indent+x.name, strings.Join(x.cases, "; "), faint))
				}
			}
		}
	}
	var counts []string
	for _, st := range coverage.States {
		if n := c.Count(st); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, st))
		}
	}
	b.WriteString(s.hanging("\n", fmt.Sprintf("clauses: %.0f percent of %d settled: %s", c.Percent(), c.Total, strings.Join(counts, ", ")), 9))
}

func prettyCoverage(b *strings.Builder, s style, c *coverage.Report, verbose bool) {
	if verbose {
		fmt.Fprintf(b, "\n%-40s %7s %7s\n", "rule", "stops", "passes")
		for _, r := range c.Rules {
			fmt.Fprintf(b, "%s %7d %7d  %s\n", pad(shorten(r.Rule, 40), 40), r.Stops, r.Passes, s.paint(r.Lacks(), magenta))
		}
		b.WriteByte('\n')
	} else {
		for _, r := range c.Rules {
			if l := r.Lacks(); l != "" {
				fmt.Fprintf(b, "%s  %s in any case\n", s.paint(printable(r.Rule), bold), s.paint(l, magenta))
			}
		}
	}
	fmt.Fprintf(b, "rules    %d of %d tested in both directions\n", c.Tested, len(c.Rules))
	fmt.Fprintf(b, "clauses  %d in the document, %d implemented by rules, %d of these tested\n", c.Total, c.Cited, c.Shown)
}
