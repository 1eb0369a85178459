package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/proviso-dev/proviso/cmd/proviso/completion"
)

// completionCmd is `proviso completion`.
type completionCmd struct {
	Shell string `arg:"" help:"${enum}." enum:"bash,zsh,fish"`
}

// Help is the long help of the command.
func (completionCmd) Help() string {
	return `Prints a script that completes commands, flags and their values. bash: source <(proviso completion bash); zsh: the same after compinit; fish: proviso completion fish | source.`
}

// Run prints the script.
func (c *completionCmd) Run(a *app, k *kong.Kong) error {
	if _, err := fmt.Fprint(a.stdout, completion.Script(c.Shell, k.Model.Node)); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}
