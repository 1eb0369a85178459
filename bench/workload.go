// Package bench compares Proviso with other policy engines on one workload, in one run, on one machine.
// It is a module of its own, so that the engines it compares with are no dependency of Proviso.
//
// The workload: 200 tools, each with one grant and five rules that hold only for it, and calls to one of them. Each engine states the same rules in its own language in the way its documentation recommends.
// Every engine must give the same outcome for every call of Calls before anything is timed.
package bench

import (
	"encoding/json"
	"fmt"
)

// Tools is the number of tools of the workload; there are five rules for each.
const Tools = 200

// Call is one tool call with what the session knows, in the plain form that each engine's input is made from.
type Call struct {
	Name    string // what is special about it
	Tool    int
	Role    string
	Tainted bool
	Args    map[string]any
	Allowed bool
}

// ToolName is the name of a tool of the workload.
func ToolName(t int) string { return fmt.Sprintf("tool_%d", t) }

// JSON returns the arguments as a client sends them.
func (c Call) JSON() []byte {
	b, err := json.Marshal(c.Args)
	if err != nil {
		panic(err) // unreachable: the arguments are texts and integers
	}
	return b
}

// with returns the arguments of an allowed call to a tool, with some changed.
func with(t int, changes map[string]any) map[string]any {
	args := map[string]any{
		"amount":    int64(250),
		"recipient": fmt.Sprintf("bob@corp%d.example", t),
		"currency":  "EUR",
		"reference": "INV-4711",
		"note":      "invoice 4711 for services rendered in March",
	}
	for k, v := range changes {
		args[k] = v
	}
	return args
}

// Calls returns an allowed call to a tool in the middle, and for each rule of the tool one call that it alone forbids. The first is the one that is timed.
func Calls() []Call {
	const t = Tools / 2
	return []Call{
		{Name: "allowed", Tool: t, Role: "ops", Args: with(t, nil), Allowed: true},
		{Name: "role", Tool: t, Role: "guest", Args: with(t, nil)},
		{Name: "amount", Tool: t, Role: "ops", Args: with(t, map[string]any{"amount": int64(5000)})},
		{Name: "recipient", Tool: t, Role: "ops", Args: with(t, map[string]any{"recipient": "eve@corp1.example"})},
		{Name: "currency", Tool: t, Role: "ops", Args: with(t, map[string]any{"currency": "XXX"})},
		{Name: "tainted", Tool: t, Role: "ops", Tainted: true, Args: with(t, nil)},
		{Name: "tainted and small", Tool: t, Role: "ops", Tainted: true, Args: with(t, map[string]any{"amount": int64(50)}), Allowed: true},
		{Name: "note", Tool: t, Role: "ops", Args: with(t, map[string]any{"note": "the password is x"})},
		{Name: "reference", Tool: t, Role: "ops", Args: with(t, map[string]any{"reference": "4711"})},
	}
}

// Denied returns the call that one rule forbids and that is timed beside the allowed one.
func Denied() Call { return Calls()[3] }
