package main

import "github.com/proviso-dev/proviso/cmd/proviso/bridge"

// bridge is what the commands that bring policies in and carry them out get.
func (a *app) bridge() *bridge.Env {
	return &bridge.Env{Context: a.ctx, Stdin: a.stdin, Stdout: a.stdout, Format: a.output, Version: readBuild().Version, Say: a.say, Compile: a.agents().Compile, Exit: func(n int) error { return stop(n) }}
}
