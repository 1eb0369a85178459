package main

import (
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/cmd/proviso/authoring"
	"github.com/proviso-dev/proviso/policy/pack"
)

// draftCmd is `proviso draft`, whose flags and work are in package authoring.
type draftCmd struct{ authoring.Draft }

// Run is that of authoring.Draft.
func (c *draftCmd) Run(a *app) error { return a.authoring(c.Draft.Run) }

// signCmd is `proviso sign`, likewise.
type signCmd struct{ authoring.Sign }

// Run is that of authoring.Sign.
func (c *signCmd) Run(a *app) error { return a.authoring(c.Sign.Run) }

// unfinished are the codes of these commands in which a person's input is not at fault.
var unfinished = map[string]bool{"PV832": true, codeWrite: true}

// authoring runs a command that helps to write a policy, and says what was wrong.
func (a *app) authoring(run func(*authoring.Env) error) error {
	show := a.progress()
	err := run(&authoring.Env{
		Context: a.ctx, Stdout: a.stdout, Format: a.output, Print: a.printJSON, Getenv: a.env, Now: a.now, Hang: a.style.hanging, Diff: a.style.diff,
		Say: func(format string, args ...any) {
			show.end()
			a.say("%s", printable(fmt.Sprintf(format, args...)))
		},
		Status: func(line string) bool {
			if show.on {
				fmt.Fprintf(a.stderr, "\r\x1b[K%s", shorten(printable(line), a.talks.limit()-1))
			}
			return show.on
		},
		Packs: func(dirs []string) ([]*pack.Pack, error) {
			o, err := a.compiled(dirs)
			if err != nil {
				return nil, err
			}
			return o.packs, nil
		},
		Bold:  func(text string) string { return a.style.paint(text, bold) },
		Found: func() error { return stop(exitFindings) },
	})
	show.end()
	var ds proviso.Diagnostics
	if errors.As(err, &ds) && len(ds) > 0 {
		err = ds[0]
	}
	var d proviso.Diagnostic
	if !errors.As(err, &d) {
		return err
	}
	code := exitInput
	switch {
	case unfinished[d.Code]:
		code = exitIncomplete
	case d.Code == pack.CodeSignature:
		code = exitIntegrity
	}
	return &problem{exit: code, code: d.Code, msg: d.Msg, hint: d.Hint}
}
