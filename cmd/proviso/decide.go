package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
)

// decideCmd is `proviso decide`.
type decideCmd struct {
	packFlag
	scene
}

// Help is the long help of the command.
func (decideCmd) Help() string {
	return `Reads one call, {"tool": "cancel_reservation", "args": {…}}, or one event as records have it, and prints the decision.

The exit code is 0 only where the outcome is allow; 1 for deny, needs_info and escalate.

What the session knows is given by --facts, a JSON file such as {"reservation": {"R1": {…}}}: entries below their keys, values as the tools answer them.`
}

// Run decides and prints.
func (c *decideCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	o, err := a.compiled(c.Pack)
	if err != nil {
		return err
	}
	in, view, err := c.set(a, o.policy)
	if err != nil {
		return err
	}
	d := o.policy.Decide(in, view)
	if a.output == "json" {
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		var b strings.Builder
		fmt.Fprintf(&b, "%s  %s\n", a.style.outcome(d.Outcome), shorten(subject(in.Event), a.style.limit()-12))
		a.style.decision(&b, &d)
		if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
			return unwritable("standard output", err)
		}
	}
	if d.Outcome != proviso.Allow {
		return stop(exitFindings)
	}
	return nil
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// subject names an event in one line.
func subject(ev *proviso.Event) string {
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		return b.Tool + " " + b.Args.String()
	case *proviso.ToolResult:
		return "result of " + b.Tool
	case *proviso.Message:
		return fmt.Sprintf("%s: %s", b.Role, b.Text)
	}
	return ev.Point.String()
}
