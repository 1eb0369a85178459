package main

import (
	"context"
	"errors"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
)

// diffCmd is `proviso diff`.
type diffCmd struct {
	Old             string   `arg:"" help:"Folder of the pack that counts now."`
	New             string   `arg:"" help:"Folder of the pack that would."`
	On              []string `sep:"none" help:"Files or folders of recorded conversations, as proviso audit reads them; repeatable. Without: every call that there can be." placeholder:"RECORDS" env:"-"`
	FailOn          string   `help:"What ends with exit code 1: ${enum}." enum:"widen,narrow,any,none" default:"widen" placeholder:"WHAT"`
	ApproveWidening bool     `help:"A call that the new pack treats more mildly is meant to be."`
	Now             string   `help:"Time of recordings that do not say when they were, RFC 3339. Default: the clock." placeholder:"TIME"`
	Jobs            int      `short:"j" help:"Sessions decided at the same time. Default: one per processor." placeholder:"N"`
}

// Help is the long help of the command.
func (diffCmd) Help() string {
	return `Without --on: proves for every tool whether the new pack is the same, narrower, wider, or both, and shows a call for each change; what cannot be proved is unknown, and never called narrower. The exit code is 1 where something is wider or unknown; --approve-widening accepts what is wider.

With --on: decides every step of recorded conversations under two packs and prints what changes: first what was denied and would be allowed, by rule and clause, with the call. Steps that a pack cannot decide, because the recording does not show what it asks for, are listed. The exit code is 1 where a decision changed as --fail-on says (widen: the new pack permits more), 3 where a file could not be read, 4 where a journal is not what was written, 2 where there is nothing to compare.`
}

// Run compares and prints.
func (c *diffCmd) Run(a *app) error {
	old, err := a.compiled([]string{c.Old})
	if err != nil {
		return err
	}
	next, err := a.compiled([]string{c.New})
	if err != nil {
		return err
	}
	if len(c.On) == 0 {
		return c.prove(a, old, next)
	}
	form, hint, ok := audit.DiffFormByName(a.output)
	if !ok {
		return &problem{exit: exitInput, code: codeUsage, msg: "a diff has no output format " + a.output, hint: hint}
	}
	now, err := a.assumed(c.Now)
	if err != nil {
		return err
	}
	show, logs := a.progress(), &journals{}
	r, err := audit.Diff(a.ctx, audit.DiffConfig{Old: old.policy, New: next.policy, Paths: c.On, Journal: logs.open, Now: now, Workers: c.Jobs, Progress: show.step})
	show.end()
	switch {
	case errors.Is(err, context.Canceled):
		return stop(exitInterrupted)
	case logs.broken != nil:
		return logs.broken
	case errors.Is(err, audit.ErrEmpty):
		for _, d := range r.Diagnostics {
			a.say("%s", printable(d.Error()))
		}
		return &problem{exit: exitInput, code: codeEmpty, msg: "nothing to compare: no conversation was found in " + strings.Join(c.On, ", "), hint: "name files of recorded conversations"}
	case err != nil:
		return &problem{exit: exitInput, code: codeInput, msg: because(errors.Unwrap(err)), hint: "check the names of the files"}
	}
	if err := form.Render(a.stdout, r); err != nil {
		return unwritable("standard output", err)
	}
	t := r.Totals
	failures := map[string]int{"widen": t.Widened, "narrow": t.Narrowed, "any": t.Widened + t.Narrowed + t.Edited}
	switch {
	case failures[c.FailOn] > 0:
		return stop(exitFindings)
	case r.Diagnostics.Worst(proviso.Error):
		return stop(exitIncomplete)
	}
	return nil
}
