package audit

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/journal"
)

// What a guard released after a person approved it, an audit of the guard's own records finds in order; what waited for approval or was refused never happened.
func TestAuditOfApprovedCalls(t *testing.T) {
	ctx := context.Background()
	p, _ := desk(t)
	log, store := &journal.Memory{}, &guard.MemoryApprovals{}
	g := &guard.Guard{Policy: p, Journal: log, Approvals: store, Judge: guard.Script{"asked": proviso.True}}
	do := func(session string, point proviso.Point, body proviso.Body, result string) error {
		_, err := g.Do(ctx, proviso.Event{Session: session, Point: point, Body: body}, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
			return proviso.ToolResult{Content: proviso.JSON(result)}, nil
		})
		return err
	}
	call := func(session, tool, args, result string) error {
		return do(session, proviso.ToolCallPoint, &proviso.ToolCall{Tool: tool, Args: proviso.JSON(args)}, result)
	}
	for _, session := range []string{"approved", "refused"} {
		for _, err := range []error{
			do(session, proviso.Input, &proviso.Message{Role: proviso.User, Text: "Please refund B9."}, ""),
			call(session, "get_booking", `{"id":"B9"}`, `{"total":150,"group":true}`),
			do(session, proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: "Shall I refund B9?"}, ""),
			do(session, proviso.Input, &proviso.Message{Role: proviso.User, Text: "yes please"}, ""),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := call(session, "refund", `{"id":"B9"}`, `"done"`); err == nil {
			t.Fatal("a refund for a group was released without approval")
		}
		for a, err := range store.All(ctx) {
			if err == nil && a.State == proviso.Pending {
				_, err = store.Resolve(ctx, a.ID, proviso.Resolution{Grant: session == "approved", By: "boss", At: a.Asked})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := call(session, "refund", `{"id":"B9"}`, `"done"`); (err == nil) != (session == "approved") {
			t.Fatalf("%s: %v", session, err)
		}
		if err := call(session, "close_case", `{}`, `"done"`); err != nil {
			t.Fatal(err)
		}
	}
	var lines []byte
	for _, session := range []string{"approved", "refused"} {
		for r, err := range log.Read(ctx, session, 1) {
			if err == nil {
				lines, err = proviso.AppendJSON(lines, &r)
			}
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, '\n')
		}
	}
	lay(t, []testkit.File{{Name: "log.jsonl", Data: lines}})
	r, err := Run(ctx, Config{Policy: p, Paths: []string{"log.jsonl"}})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, s := range r.Sessions {
		for _, v := range s.Verdicts {
			if v.Clause.ID == "groups" {
				fmt.Fprintf(&got, "%s: %s, groups %s", s.Session, s.Status, v.Status)
				if len(v.Evidence) > 0 && len(v.Evidence[0].Cause) > 0 {
					fmt.Fprintf(&got, ", %.16s", v.Evidence[0].Cause[0].Expr)
				}
				fmt.Fprintln(&got)
			}
		}
	}
	const want = "approved: satisfied, groups satisfied, approved by boss\nrefused: satisfied, groups satisfied\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}
