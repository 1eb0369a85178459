package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/gateway"
	doors "github.com/proviso-dev/proviso/gateway/settings"
)

// whichCmd is `proviso which`.
type whichCmd struct {
	packFlag
	Gateway string   `help:"Settings of the gateway, with attachments and keys." placeholder:"FILE"`
	Agent   []string `help:"The agent, and behind it those that handed the work to it." placeholder:"NAME" env:"-"`
	Key     string   `help:"The id of a virtual key." placeholder:"ID" env:"-"`
	Tag     []string `help:"A tag of the request." placeholder:"TAG" env:"-"`
	Route   string   `help:"chat, responses, messages or decide." default:"chat" placeholder:"NAME" env:"-"`
}

// Help is the long help of the command.
func (whichCmd) Help() string {
	return `Says which packs hold for a request and why each does, where every rule comes from, and what becomes of each tool: never and always are decided whatever a call says, the rest depends.`
}

// Run prints.
func (c whichCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	rules, err := doors.Rules(&doors.Flags{Packs: c.Pack, File: c.Gateway, Env: a.env})
	if err != nil {
		return doorProblem(err)
	}
	e, err := rules.Which(gateway.Subject{Agents: c.Agent, Key: c.Key, Tags: c.Tag, Route: c.Route})
	if err != nil {
		return doorProblem(err)
	}
	if a.output == "json" {
		return a.printJSON(e)
	}
	packs, used, tools := e.Lines()
	return a.printLines(map[string][]gateway.Line{"1 packs": packs, "2 rules": used, "3 tools": tools})
}

// printLines prints titled lists in the order of their keys, which begin with a number.
func (a *app) printLines(lists map[string][]gateway.Line) error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		_, title, _ := strings.Cut(key, " ")
		b.WriteString(a.style.paint(title, bold) + "\n")
		for _, l := range lists[key] {
			b.WriteString(a.style.indented("  "+pad(l.Label, 15), l.Text))
		}
	}
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}
