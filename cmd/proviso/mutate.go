package main

import "github.com/proviso-dev/proviso/cmd/proviso/authoring"

// mutateCmd is `proviso mutate`, whose flags and work are in package authoring.
type mutateCmd struct{ authoring.Mutate }

// Run is that of authoring.Mutate.
func (c *mutateCmd) Run(a *app) error { return a.authoring(c.Mutate.Run) }
