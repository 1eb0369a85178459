package main

import (
	"fmt"
	"time"

	"github.com/proviso-dev/proviso/journal/sqlite"
)

// removal is what the commands that take something out of a journal share. Without --yes they only say what they would do.
type removal struct {
	storeArg
	Reason string `help:"Why; it stays in the journal." placeholder:"TEXT" env:"-"`
	Yes    bool   `help:"Do it. Without this flag nothing is changed." env:"-"`
}

// check refuses a removal that nobody could explain later.
func (c *removal) check(a *app) error {
	if c.Yes && c.Reason == "" {
		return &problem{exit: exitInput, code: codeUsage, msg: "--reason is missing", hint: "say why; verify and every later reader sees it"}
	}
	return a.plainOnly()
}

// own opens the journal for writing where something is to be changed, which nobody else may do at that time.
func (c *removal) own() (*sqlite.Store, error) {
	// Opening what is not there for writing would make a journal.
	if !c.Yes || !isDatabase(c.Store) {
		return c.open()
	}
	s, err := sqlite.Open(c.Store, sqlite.Options{})
	if err != nil {
		return nil, logProblem(err)
	}
	return s, nil
}

// told says what was done, or would be; n is how much of it. Where there is nothing it is a finding, as with query.
func (c *removal) told(a *app, result map[string]any, n int64, done, would string) error {
	if n == 0 {
		a.say("nothing to take out")
	}
	switch {
	case a.output == "json":
		result["done"] = c.Yes
		if err := a.printJSON(result); err != nil {
			return err
		}
	case n == 0:
	case c.Yes:
		if _, err := fmt.Fprintln(a.stdout, done); err != nil {
			return unwritable("standard output", err)
		}
	default:
		if _, err := fmt.Fprintf(a.stdout, "%s; nothing was changed, --yes --reason TEXT does it\n", would); err != nil {
			return unwritable("standard output", err)
		}
	}
	if n == 0 {
		return stop(exitFindings)
	}
	return nil
}

// logRedactCmd is `proviso log redact`.
type logRedactCmd struct {
	removal
	Session string `help:"The session." required:"" placeholder:"ID" env:"-"`
	From    uint64 `help:"The first record." default:"1" placeholder:"N" env:"-"`
	To      uint64 `help:"The last record; 0 is the last one of the session." placeholder:"N" env:"-"`
}

// Help is the long help of the command.
func (logRedactCmd) Help() string {
	return `Takes what was said, called and answered out of records of a session, for good. Who did what when, the decisions, the facts, and the arguments by which the policy counts stay, so that the session can go on and the journal still verifies; an act in the journal says what was taken out and why.

Without --yes it only says how many records have something to take out. It may be done while the journal is being written. The exit code is 1 where there is nothing to take out.`
}

// Run redacts.
func (c *logRedactCmd) Run(a *app) error {
	if err := c.check(a); err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	var n int64
	if c.Yes {
		n, err = s.Redact(a.ctx, c.Session, c.From, c.To, c.Reason)
	} else {
		n, err = s.Bodies(a.ctx, c.Session, c.From, c.To)
	}
	if err != nil {
		return logProblem(err)
	}
	of := fmt.Sprintf("the words of %s of session %s", counted(n, "record"), printable(c.Session))
	return c.told(a, map[string]any{"session": c.Session, "records": n}, n, "redact: took out "+of, "redact: would take out "+of)
}

// logForgetCmd is `proviso log forget`.
type logForgetCmd struct {
	removal
	Session string `help:"This session." placeholder:"ID" xor:"which" required:"" env:"-"`
	Before  string `help:"Every session whose last record is older: RFC 3339, or so long ago, such as 2160h." placeholder:"TIME" xor:"which" required:"" env:"-"`
}

// Help is the long help of the command.
func (logForgetCmd) Help() string {
	return `Deletes whole sessions, for good: one by its id, or all whose last record is older than a moment. An act in the journal keeps the length and the last hash of each and says why, so that checkpoints which have seen it still hold.

Without --yes it only lists what it would delete. The journal must not be written by another process at that time. The exit code is 1 where there is nothing to delete.`
}

// Run forgets.
func (c *logForgetCmd) Run(a *app) error {
	if err := c.check(a); err != nil {
		return err
	}
	before, err := moment("--before", c.Before, a.now())
	if err != nil {
		return err
	}
	s, err := c.own()
	if err != nil {
		return err
	}
	defer s.Close()
	ids, err := c.which(a, s, before)
	if err != nil {
		return logProblem(err)
	}
	n := len(ids)
	switch {
	case !c.Yes || n == 0:
	case c.Session != "":
		_, err = s.ForgetSession(a.ctx, c.Session, c.Reason)
	default:
		n, err = s.Forget(a.ctx, before, c.Reason)
	}
	if err != nil {
		return logProblem(err)
	}
	if !c.Yes && a.output != "json" {
		for _, id := range ids {
			if _, err := fmt.Fprintln(a.stdout, printable(id)); err != nil {
				return unwritable("standard output", err)
			}
		}
	}
	if ids == nil {
		ids = []string{}
	}
	return c.told(a, map[string]any{"sessions": ids}, int64(n), "forget: deleted "+counted(int64(n), "session"), "forget: would delete "+counted(int64(n), "session"))
}

// which lists the sessions that are meant.
func (c *logForgetCmd) which(a *app, s *sqlite.Store, before time.Time) (ids []string, err error) {
	if c.Session != "" {
		for _, err := range s.Chain(a.ctx, c.Session, 1) {
			return []string{c.Session}, err
		}
		return nil, nil
	}
	for id, err := range s.Expired(a.ctx, before) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
