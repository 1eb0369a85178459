package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy"
)

// guardLine leads a conversation through guard.Do, as every door does.
type guardLine struct {
	t     testing.TB
	guard *guard.Guard
}

// lineSession is the one session of a line; each line has a guard and a journal of its own.
const lineSession = "conversation"

// newLine starts a conversation whose session has these attributes.
func newLine(t testing.TB, p *policy.Policy, attributes map[string]any) line {
	t.Helper()
	now := time.Date(2024, 5, 15, 15, 0, 0, 0, time.UTC)
	l := &guardLine{t: t, guard: &guard.Guard{Policy: p, Journal: &journal.Memory{}, Clock: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}}
	l.pass(proviso.SessionStart, &proviso.Lifecycle{Kind: "start", Attributes: attributes})
	return l
}

// pass brings an event to the guard that must be let through.
func (l *guardLine) pass(point proviso.Point, body proviso.Body) {
	l.t.Helper()
	if _, err := l.guard.Do(context.Background(), proviso.Event{Session: lineSession, Point: point, Body: body}, nil); err != nil {
		l.t.Fatalf("%s is not let through: %v", point, err)
	}
}

func (l *guardLine) say(role proviso.Role, text string) {
	l.t.Helper()
	point := proviso.Input
	if role == proviso.Assistant {
		point = proviso.Output
	}
	l.pass(point, &proviso.Message{Role: role, Text: text})
}

func (l *guardLine) call(tool string, args map[string]any, effect func() (json.RawMessage, error)) proviso.Decision {
	l.t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	return l.callJSON(tool, proviso.JSON(encode(l.t, args)), effect)
}

func (l *guardLine) callJSON(tool string, args proviso.JSON, effect func() (json.RawMessage, error)) proviso.Decision {
	l.t.Helper()
	ran := false
	next := func(_ context.Context, _ proviso.Event) (proviso.ToolResult, error) {
		ran = true
		raw, err := effect()
		if err != nil {
			return proviso.ToolResult{IsError: true, Text: err.Error()}, nil
		}
		return proviso.ToolResult{Content: proviso.JSON(raw)}, nil
	}
	e, err := l.guard.Do(context.Background(), proviso.Event{Session: lineSession, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{Tool: tool, Args: args}}, next)
	d := e.Record.Decision
	if allowed := d.Outcome == proviso.Allow; ran != allowed {
		l.t.Fatalf("%s: decided %s, and yet the effect ran: %v", tool, d.Outcome, ran)
	}
	var denied *guard.DeniedError
	if err != nil && !errors.As(err, &denied) {
		l.t.Fatalf("%s: %v", tool, err)
	}
	return d
}
