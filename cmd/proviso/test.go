package main

import (
	"fmt"
	"regexp"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy/pack"
)

// testCmd is `proviso test`.
type testCmd struct {
	Packs     []string `arg:"" optional:"" name:"pack" help:"Folders of packs; default: this folder. Several are joined." default:"."`
	Filter    string   `name:"run" short:"r" help:"Play only cases whose names match." placeholder:"REGEX"`
	Verbose   bool     `short:"v" help:"List cases that pass, and every rule's coverage."`
	Threshold float64  `help:"Fail where fewer percent of the rules are tested in both directions." placeholder:"PERCENT"`
}

// Help is the long help of the command.
func (testCmd) Help() string {
	return `Plays the cases under tests/ through sessions of their own and compares each decision with the one wanted. Prints which rules were seen to stop a step and to let one pass, and which clauses of the document that covers. A pack without cases fails.`
}

// Run plays the cases.
func (c *testCmd) Run(a *app) error {
	o, err := a.open(c.Packs)
	if err != nil {
		return err
	}
	if o.policy == nil {
		return a.broken("test", o)
	}
	r := a.reportOf("test", o)
	r.add("load", o.found)
	r.verbose = c.Verbose
	if err := r.test(o, c.Filter); err != nil {
		return err
	}
	if cov := r.Coverage; cov != nil && cov.RulePercent() < c.Threshold {
		r.add("test", proviso.Diagnostics{{Code: codeThreshold, Severity: proviso.Warning,
			Msg: fmt.Sprintf("%.0f percent of the rules are tested in both directions, less than %g", cov.RulePercent(), c.Threshold), Hint: "add cases for the rules that are named"}})
	}
	return a.finish(r)
}

// reportOf begins the report of a command about packs.
func (a *app) reportOf(command string, o *opened) *report {
	r := &report{Command: command, source: &o.source}
	for _, p := range o.packs {
		r.Packs = append(r.Packs, p.Name)
	}
	if o.policy != nil {
		r.Policy = o.policy.Digest()
	}
	return r
}

// test plays the cases of every pack against the policy that the packs make together.
func (r *report) test(o *opened, pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return &problem{exit: exitInput, code: codeUsage, msg: "--run: " + err.Error(), hint: "give a regular expression in RE2 syntax"}
	}
	var results []audit.CaseResult
	total := 0
	for i, p := range o.packs {
		var cases []pack.Case
		for _, c := range p.Tests {
			total++
			if re.MatchString(c.Name) {
				cases = append(cases, c)
			}
		}
		for _, res := range audit.Test(o.policy, cases) {
			res.Pos.File = shown(o.roots[i], res.Pos.File)
			for j := range res.Failures {
				res.Failures[j].Pos.File = shown(o.roots[i], res.Failures[j].Pos.File)
			}
			results = append(results, res)
		}
	}
	for _, res := range results {
		line := caseLine{Name: res.Name, Pos: res.Pos, Passed: res.Passed(), Steps: len(res.Steps)}
		for _, f := range res.Failures {
			line.Failed = append(line.Failed, misstep{f.Pos, f.Code, sentence(f)})
		}
		if line.Passed {
			r.Tally.Passed++
		} else {
			r.Tally.Failed++
		}
		r.Cases = append(r.Cases, line)
	}
	if len(results) == 0 {
		r.Tally.Empty = true
		d := proviso.Diagnostic{Code: codeEmpty, Msg: "the pack has no cases, so that nothing shows that it works", Hint: "write some below tests/; proviso init shows how"}
		if total > 0 {
			d.Msg, d.Hint = fmt.Sprintf("no case matches %q", pattern), "give another expression to -r"
		}
		r.add("test", proviso.Diagnostics{d})
		return nil
	}
	r.Coverage = cover(o, results)
	return nil
}
