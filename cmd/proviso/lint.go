package main

import (
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/analyze"
	"github.com/proviso-dev/proviso/policy/lint"
)

// lintCmd is `proviso lint`.
type lintCmd struct {
	Packs      []string `arg:"" optional:"" name:"pack" help:"Folders of packs; default: this folder. Several are joined." default:"."`
	Statistics bool     `help:"Count the findings by code."`
	Prove      bool     `help:"Also prove what can be proved: rules that never fire or never matter, tools that can never be called, rules of different outcomes for one call."`
	ExitZero   bool     `help:"End with exit code 0 whatever was found, unless the pack is broken."`
}

// Help is the long help of the command.
func (lintCmd) Help() string {
	return `Finds what compiles but is probably not meant: clauses that no rule cites, rules that no case tests, facts that nothing supplies, conditions that are always true, and more. proviso explain CODE says what a finding means and how to mend it.`
}

// Run lints.
func (c *lintCmd) Run(a *app) error {
	o, err := a.open(c.Packs)
	if err != nil {
		return err
	}
	r := a.reportOf("lint", o)
	r.statistics = c.Statistics
	r.add("compile", o.found)
	r.lint(o)
	if c.Prove && o.policy != nil {
		r.prove(o)
	}
	r.Tally.Lenient = c.ExitZero
	return a.finish(r)
}

// lint adds the findings about packs that load. Lint sees packs that do not compile as well, as far as they could be read.
func (r *report) lint(o *opened) {
	ds := lint.Check(o.packs, o.policy)
	o.locate(ds)
	r.add("lint", ds)
}

// prove adds what is proved about the policy, with the call that shows it where there is one.
func (r *report) prove(o *opened) {
	var ds proviso.Diagnostics
	for _, f := range analyze.Check(o.policy) {
		d := f.Diagnostic
		if f.Witness != nil {
			d.Hint += "; for example " + strings.ReplaceAll(f.Witness.String(), "\n", " ·")
		}
		ds = append(ds, d)
	}
	o.locate(ds)
	r.add("proof", ds)
}
