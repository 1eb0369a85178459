package main

import (
	"errors"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/cmd/proviso/models"
)

// modelCmd is `proviso model`.
type modelCmd struct {
	Info     modelInfoCmd     `cmd:"" help:"Say what a checkpoint is."`
	Serve    modelServeCmd    `cmd:"" help:"Answer /v1/chat/completions with a checkpoint."`
	Tokenize modelTokenizeCmd `cmd:"" help:"Show the tokens of a text, or the text of tokens."`
	Convert  modelConvertCmd  `cmd:"" help:"Write a checkpoint in another precision, or with an adapter merged."`
	New      modelNewCmd      `cmd:"" help:"Make a small model with random weights and a tokenizer of its own."`
}

// The subcommands, whose flags and work are in package models.
type (
	modelInfoCmd     struct{ models.Info }
	modelServeCmd    struct{ models.Serve }
	modelTokenizeCmd struct{ models.Tokenize }
	modelConvertCmd  struct{ models.Convert }
	modelNewCmd      struct{ models.New }
)

// Run is that of models.Info.
func (c *modelInfoCmd) Run(a *app) error { return a.model(c.Info.Run) }

// Run is that of models.Serve.
func (c *modelServeCmd) Run(a *app) error { return a.model(c.Serve.Run) }

// Run is that of models.Tokenize.
func (c *modelTokenizeCmd) Run(a *app) error { return a.model(c.Tokenize.Run) }

// Run is that of models.Convert.
func (c *modelConvertCmd) Run(a *app) error { return a.model(c.Convert.Run) }

// Run is that of models.New.
func (c *modelNewCmd) Run(a *app) error { return a.model(c.New.Run) }

// model runs a subcommand and says what was wrong with a checkpoint or a request.
func (a *app) model(run func(*models.Env) error) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	err := run(&models.Env{
		Context: a.ctx, Stdout: a.stdout, JSON: a.output == "json", Print: a.printJSON, Say: a.say, Read: a.read, Listen: listen, Server: server,
		Patience: func(d time.Duration) { a.patience.Store(int64(d)) }, Now: a.now, Printable: printable,
	})
	var p *problem
	var d proviso.Diagnostic
	switch {
	case err == nil || errors.As(err, &p):
		return err
	case errors.As(err, &d):
		msg := d.Msg
		if at := d.Pos.String(); at != "" {
			msg = at + ": " + msg
		}
		return &problem{exit: exitInput, code: d.Code, msg: msg, hint: d.Hint}
	}
	return &problem{exit: exitInput, code: codeInput, msg: err.Error(), hint: "name the folder of a checkpoint with config.json and model.safetensors"}
}
