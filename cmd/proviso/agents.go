package main

import (
	"errors"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/cmd/proviso/agents"
	"github.com/proviso-dev/proviso/policy"
)

// agents is what the commands that put agents under a policy get.
func (a *app) agents() *agents.Env {
	return &agents.Env{
		Context: a.ctx, Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr, JSON: a.output == "json", Print: a.printJSON, Say: a.say, Listen: listen, Server: server, Getenv: a.env, Now: a.now,
		Patience: func(d time.Duration) { a.patience.Store(int64(d)) }, Finished: func() { a.drained.Store(true) }, Exit: func(n int) error { return stop(n) }, Printable: printable, Hang: a.talks.hanging,
		Compile: func(packs []string) (*policy.Policy, error) {
			o, err := a.compiled(packs)
			var said stop
			if errors.As(err, &said) {
				return nil, proviso.Diagnostic{Code: codeNoPack, Msg: "the pack cannot be used", Hint: "see proviso check"}
			}
			if err != nil {
				return nil, err
			}
			return o.policy, nil
		},
	}
}
