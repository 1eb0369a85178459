package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/cmd/proviso/training"
)

// trainCmd is `proviso train`.
type trainCmd struct {
	Run     trainRunCmd     `cmd:"" help:"Carry out the stages of a file of settings; go on where it stopped."`
	Compare trainCompareCmd `cmd:"" help:"Set the metrics of two runs side by side."`
	Recipes trainRecipesCmd `cmd:"" help:"List the objectives, or show one as a table of its parts."`
}

// engineCmd is `proviso engine`.
type engineCmd struct {
	Serve engineServeCmd `cmd:"" help:"Offer the local engine over HTTP, by the Tinker protocol."`
}

// The subcommands, whose flags and work are in package training.
type (
	trainRunCmd     struct{ training.Launch }
	trainCompareCmd struct{ training.Compare }
	trainRecipesCmd struct{ training.Recipes }
	engineServeCmd  struct{ training.Serve }
)

// Run is that of training.Launch.
func (c *trainRunCmd) Run(a *app) error { return a.training(c.Launch.Run) }

// Run is that of training.Compare.
func (c *trainCompareCmd) Run(a *app) error { return a.training(c.Compare.Run) }

// Run is that of training.Recipes.
func (c *trainRecipesCmd) Run(a *app) error { return a.training(c.Recipes.Run) }

// Run is that of training.Serve.
func (c *engineServeCmd) Run(a *app) error { return a.training(c.Serve.Run) }

// incomplete are the codes of training that began and did not end, in which a person's input is not at fault.
var incomplete = map[string]bool{"PV753": true, "PV755": true, codeWrite: true}

// training runs a subcommand and says what was wrong.
func (a *app) training(run func(*training.Env) error) error {
	show := a.progress()
	err := run(&training.Env{
		Context: a.ctx, Stdout: a.stdout, Format: a.output, Print: a.printJSON, Read: a.read, Listen: listen, Server: server, Now: a.now, Short: a.redact, Hang: a.style.hanging,
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
		Patience: func(d time.Duration) { a.patience.Store(int64(d)) },
		Bold:     func(text string) string { return a.style.paint(text, bold) },
	})
	show.end()
	var p *problem
	if err == nil || errors.As(err, &p) || errors.Is(err, context.Canceled) {
		return err
	}
	found := proviso.AsDiagnostics(err, codeInternal, proviso.Pos{})
	lines := make([]string, len(found))
	for i, d := range found {
		if at := d.Pos.String(); at != "" {
			lines[i] = at + ": "
		}
		lines[i] += d.Msg
	}
	code := exitInput
	if incomplete[found[0].Code] || found[0].Code == codeInternal {
		code = exitIncomplete
	}
	hint := found[0].Hint
	if len(found) > 1 {
		for i, d := range found {
			if d.Hint != "" {
				lines[i] += "; " + d.Hint
			}
		}
		hint = fmt.Sprintf("%d findings", len(found))
	}
	return &problem{exit: code, code: found[0].Code, msg: strings.Join(lines, "\n  "), hint: hint}
}
