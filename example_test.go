package proviso_test

import (
	"context"
	"fmt"
	"os"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// A guard stands before every tool call: it asks the policy, writes down, and only then lets the call happen.
func Example() {
	pk, found := pack.Load(os.DirFS("examples/airline"), ".")
	pol, more := policy.Compile(pk)
	if pol == nil {
		fmt.Println(append(found, more...)) // file:line:column, what is wrong, what to do
		return
	}
	g := &guard.Guard{Policy: pol, Journal: &journal.Memory{}}

	call := proviso.Event{Session: "c-17", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{
		Tool: "get_reservation", Args: proviso.JSON(`{"reservation_id": "HX4K2P"}`)}}
	effect, err := g.Do(context.Background(), call, func(ctx context.Context, call proviso.Event) (proviso.ToolResult, error) {
		return proviso.ToolResult{Content: proviso.JSON(`{"status": "booked"}`)}, nil // your tool
	})
	fmt.Println(effect.Record.Decision.Outcome)
	fmt.Println(err) // what the agent should read
	// Output:
	// needs_info
	// needs_info: missing: caller, call verify_customer
}
