package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
)

// auditCmd is `proviso audit`.
type auditCmd struct {
	packFlag
	Files  []string `arg:"" name:"file" help:"Files or folders of recorded conversations: OpenAI or Anthropic JSON, JSON lines, Proviso records, journals; gzip is fine."`
	Now    string   `help:"Time of recordings that do not say when they were, RFC 3339. Default: the clock." placeholder:"TIME"`
	Traces bool     `help:"Put the records of each session into -o json."`
	Strict bool     `help:"End with exit code 3 where something is unknown."`
	State  string   `help:"File that keeps finished sessions: the same command goes on where it was stopped." placeholder:"FILE" env:"-"`
	Jobs   int      `short:"j" help:"Sessions decided at the same time. Default: one per processor." placeholder:"N"`
}

// Help is the long help of the command.
func (auditCmd) Help() string {
	return `Decides every step of recorded conversations as if it were live, and prints for each clause whether it was violated, satisfied, dormant, in error or unknown, with the words and calls that show it. Calls that were made before their check are near misses, and rules at the end of a session are obligations.

A journal is named by its file, and read with its chain checked: where a record is not what was written, nothing is printed and the exit code is 4; proviso log verify says more.

With -o html the audit is one page with every transcript, for a browser; redirect it to a file. With --state FILE sessions that are done are not done again.

The exit code is 1 where a clause was violated, 3 where a step was in error or a file could not be read, 0 where the worst is unknown (3 with --strict); nothing to audit is 2.`
}

// Run audits and prints.
func (c *auditCmd) Run(a *app) error {
	o, err := a.compiled(c.Pack)
	if err != nil {
		return err
	}
	now, err := a.assumed(c.Now)
	if err != nil {
		return err
	}
	show, logs := a.progress(), &journals{}
	rep, err := audit.Run(a.ctx, audit.Config{Policy: o.policy, Paths: c.Files, Journal: logs.open, Now: now, Workers: c.Jobs, Traces: c.Traces || a.output == "html", State: c.State, Progress: show.step})
	show.end()
	var ds proviso.Diagnostics
	var state *audit.StateError
	switch {
	case errors.Is(err, context.Canceled):
		if c.State == "" {
			a.say("stopped; with --state FILE the next run would go on from here")
		}
		return stop(exitInterrupted)
	case logs.broken != nil:
		return logs.broken
	case errors.As(err, &state):
		return &problem{exit: exitInput, code: state.Code(), msg: "--state: " + state.Name + ": " + state.Err.Error(), hint: state.Hint()}
	case errors.Is(err, audit.ErrEmpty):
		if errors.As(err, &ds) {
			for _, d := range ds {
				a.say("%s", printable(d.Error()))
			}
		}
		return &problem{exit: exitInput, code: codeEmpty, msg: "nothing to audit: no conversation was found in " + strings.Join(c.Files, ", "), hint: "name files of recorded conversations"}
	case err != nil:
		return &problem{exit: exitInput, code: codeInput, msg: because(errors.Unwrap(err)), hint: "check the names of the files"}
	}
	r, hint, ok := audit.ByName(a.output)
	if !ok {
		return &problem{exit: exitInput, code: codeUsage, msg: "an audit has no output format " + a.output, hint: hint}
	}
	if err := r.Render(a.painted(), rep); err != nil {
		return unwritable("standard output", err)
	}
	if code := auditExit(rep, c.Strict); code != exitOK {
		return stop(code)
	}
	return nil
}

// assumed is the time of recordings that do not say when they were: what --now says, else the clock.
func (a *app) assumed(now string) (time.Time, error) {
	if now == "" {
		return a.now(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, now)
	if err != nil {
		return t, &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--now: %q is not an RFC 3339 time", now), hint: "write it as 2026-05-04T10:00:00Z"}
	}
	return t, nil
}

// auditExit is the exit code of an audit: what was violated comes before what could not be read or decided.
func auditExit(r *audit.Report, strict bool) exit {
	switch {
	case r.Status() == proviso.Violated:
		return exitFindings
	case strict && r.Status() == proviso.Undetermined, r.Status() == proviso.Errored, r.Diagnostics.Worst(proviso.Error):
		return exitIncomplete
	}
	return exitOK
}

// progress is a line on a terminal that says how far a long command has come.
type progress struct {
	a    *app
	on   bool
	last time.Time
}

func (a *app) progress() *progress {
	return &progress{a: a, on: terminal(a.stderr) && !a.quiet && a.env("TERM") != "dumb", last: a.now()}
}

// step shows the state of an audit.
func (p *progress) step(s audit.Progress) {
	p.show(func() string {
		return fmt.Sprintf("%d sessions, %d events%s  %s", s.Sessions, s.Events, resumed(s), shorten(s.File, 40))
	})
}

// show writes a state in the place of the one before, at most five times a second.
func (p *progress) show(state func() string) {
	now := p.a.now()
	if !p.on || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last = now
	fmt.Fprintf(p.a.stderr, "\r\x1b[K%s", state())
}

// resumed says how many of the sessions an earlier run had finished.
func resumed(s audit.Progress) string {
	if s.Resumed == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d sessions kept from before)", s.Resumed)
}

// end wipes the line.
func (p *progress) end() {
	if p.on {
		fmt.Fprint(p.a.stderr, "\r\x1b[K")
	}
}
