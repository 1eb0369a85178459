package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/eval"
	evalreport "github.com/proviso-dev/proviso/eval/report"
	"github.com/proviso-dev/proviso/policy/pack"
)

// evalCmd is `proviso eval`.
type evalCmd struct {
	Run     evalRunCmd     `cmd:"" help:"Play cases against a pack and keep what came of each."`
	Compare evalCompareCmd `cmd:"" help:"Show which cases two runs differ in, and how sure the difference is."`
	Report  evalReportCmd  `cmd:"" help:"Print a run that was kept."`
}

// evalRunCmd is `proviso eval run`.
type evalRunCmd struct {
	packFlag
	Cases  []string `arg:"" optional:"" name:"cases" help:"Files of cases, in the form of a pack's tests; default: the cases of the pack."`
	Filter string   `name:"run" short:"r" help:"Play only cases whose names match." placeholder:"REGEX"`
	Out    string   `help:"File that keeps every finished case: the same command goes on where it was stopped." placeholder:"FILE" env:"-"`
	Jobs   int      `short:"j" help:"Cases played at the same time. Default: one per processor." placeholder:"N"`
}

// Help is the long help of the command.
func (evalRunCmd) Help() string {
	return `Plays each case as a conversation of its own and tells how many went as wanted, with intervals, what was wrongfully denied and what was missed, and every case that failed. Files of cases need not belong to the pack: cases that nobody saw while the policy was written tell most.

With --out FILE the run is kept: a run that was killed goes on, and proviso eval compare and report read it. The exit code is 1 where a case failed, 3 where one could not be judged, 4 where FILE was changed; nothing to play is 2.`
}

// Run plays and prints.
func (c *evalRunCmd) Run(a *app) error {
	o, err := a.compiled(c.Pack)
	if err != nil {
		return err
	}
	cases, err := c.cases(a, o)
	if err != nil {
		return err
	}
	show := a.progress()
	run, err := eval.Play(a.ctx, eval.OfPack(suiteName(o), o.policy, cases), eval.Config{File: c.Out, Workers: c.Jobs, Progress: func(p eval.Progress) {
		show.show(func() string {
			return fmt.Sprintf("%d of %d cases, %d failed, %d in error", p.Done, p.Cases, p.Failed, p.Errors)
		})
	}})
	show.end()
	switch {
	case errors.Is(err, context.Canceled):
		if c.Out == "" {
			a.say("stopped; with --out FILE the next run would go on from here")
		}
		return stop(exitInterrupted)
	case err != nil:
		return runProblem(err)
	}
	return a.printEval(&evalreport.Report{Title: run.Head.Suite, Run: run}, evalExit(run))
}

// suiteName is the name of the packs that a run is about.
func suiteName(o *opened) string {
	var names []string
	for _, p := range o.packs {
		names = append(names, p.Name)
	}
	return strings.Join(names, "+")
}

// cases are those of the files, else of the packs, that match the filter.
func (c *evalRunCmd) cases(a *app, o *opened) ([]pack.Case, error) {
	re, err := regexp.Compile(c.Filter)
	if err != nil {
		return nil, &problem{exit: exitInput, code: codeUsage, msg: "--run: " + err.Error(), hint: "give a regular expression in RE2 syntax"}
	}
	var all, out []pack.Case
	if len(c.Cases) == 0 {
		for i, p := range o.packs {
			for _, t := range p.Tests {
				t.Pos.File = shown(o.roots[i], t.Pos.File)
				all = append(all, t)
			}
		}
	}
	for _, name := range c.Cases {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		cases, ds := pack.ReadCases(name, b)
		if ds.Worst(proviso.Error) {
			r := a.reportOf("eval", &opened{})
			r.add("load", ds)
			a.stdout, a.style = a.stderr, a.talks
			return nil, a.finish(r)
		}
		all = append(all, cases...)
	}
	for _, t := range all {
		if re.MatchString(t.Name) {
			out = append(out, t)
		}
	}
	switch {
	case len(all) == 0:
		return nil, &problem{exit: exitInput, code: codeEmpty, msg: "nothing to play: there are no cases", hint: "write some below tests/, or name files of cases"}
	case len(out) == 0:
		return nil, &problem{exit: exitInput, code: codeEmpty, msg: fmt.Sprintf("no case matches %q", c.Filter), hint: "give another expression to -r"}
	}
	return out, nil
}

// runProblem is an error of a run or of its file.
func runProblem(err error) error {
	var file *eval.FileError
	if !errors.As(err, &file) {
		return &problem{exit: exitIncomplete, code: eval.CodeFile, msg: err.Error(), hint: "check space and permissions"}
	}
	p := &problem{exit: exitInput, code: file.Code(), msg: fmt.Sprintf("%s: %s", file.Name, file.Err), hint: file.Hint()}
	if file.Damaged {
		p.exit = exitIntegrity
	}
	return p
}

// evalExit is the exit code of a run: a case that failed comes before one that could not be judged.
func evalExit(r *eval.Run) exit {
	switch c := r.Counts(); {
	case c.Failed > 0:
		return exitFindings
	case !r.Complete():
		return exitIncomplete
	}
	return exitOK
}

// printEval prints a report and ends the command.
func (a *app) printEval(rep *evalreport.Report, code exit) error {
	r, hint, ok := evalreport.ByName(a.output)
	if !ok {
		return &problem{exit: exitInput, code: codeUsage, msg: "a run has no output format " + a.output, hint: hint}
	}
	if err := r.Render(a.paintedBy(a.style.evalLines), rep); err != nil {
		return unwritable("standard output", err)
	}
	if code != exitOK {
		return stop(code)
	}
	return nil
}

// evalCompareCmd is `proviso eval compare`.
type evalCompareCmd struct {
	Old    string `arg:"" help:"File of the run before."`
	New    string `arg:"" help:"File of the run after."`
	FailOn string `help:"What ends with exit code 1: ${enum}. Worse is a lower share by an exact test at five percent." enum:"broken,worse,none" default:"broken" placeholder:"WHAT"`
}

// Help is the long help of the command.
func (evalCompareCmd) Help() string {
	return `Pairs two runs over the same cases: which broke, which were fixed, which still fail, the difference of the shares with its interval (paired bootstrap) and p (exact sign test over the cases that flipped). Runs over different cases are not compared.`
}

// Run compares and prints.
func (c *evalCompareCmd) Run(a *app) error {
	old, err := eval.ReadRun(c.Old)
	if err != nil {
		return runProblem(err)
	}
	now, err := eval.ReadRun(c.New)
	if err != nil {
		return runProblem(err)
	}
	cmp, err := eval.Compare(old, now)
	switch {
	case errors.Is(err, eval.ErrPart):
		return &problem{exit: exitIncomplete, code: eval.CodeCompare, msg: err.Error(), hint: "finish it with the same proviso eval run"}
	case err != nil:
		return &problem{exit: exitInput, code: eval.CodeCompare, msg: err.Error(), hint: "play the same cases against both packs"}
	}
	code := exitOK
	failures := map[string]bool{"broken": len(cmp.Broken) > 0, "worse": cmp.Gain < 0 && cmp.P < 0.05}
	if failures[c.FailOn] {
		code = exitFindings
	}
	return a.printEval(&evalreport.Report{Title: cmp.New.Suite, Comparison: cmp}, code)
}

// evalReportCmd is `proviso eval report`.
type evalReportCmd struct {
	File string `arg:"" help:"File of a run, finished or not."`
}

// Help is the long help of the command.
func (evalReportCmd) Help() string {
	return `Prints a run that proviso eval run --out kept, in any format; -o html is one page for a browser. The exit codes are those of proviso eval run.`
}

// Run prints.
func (c *evalReportCmd) Run(a *app) error {
	run, err := eval.ReadRun(c.File)
	if err != nil {
		return runProblem(err)
	}
	return a.printEval(&evalreport.Report{Title: run.Head.Suite, Run: run}, evalExit(run))
}
