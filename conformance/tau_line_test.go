package conformance

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// sessionLine leads a conversation over session state and decisions alone.
type sessionLine struct {
	t     testing.TB
	p     *policy.Policy
	state *session.State
	now   time.Time
	calls int
}

// newLine starts a conversation whose session has these attributes.
func newLine(t testing.TB, p *policy.Policy, attributes map[string]any) line {
	l := &sessionLine{t: t, p: p, state: session.New(p, "s"), now: time.Date(2024, 5, 15, 15, 0, 0, 0, time.UTC)}
	l.pass(proviso.SessionStart, &proviso.Lifecycle{Kind: "start", Attributes: attributes})
	return l
}

func (l *sessionLine) pass(point proviso.Point, body proviso.Body) proviso.Decision {
	l.t.Helper()
	l.now = l.now.Add(time.Second)
	ev := &proviso.Event{Session: l.state.ID(), Seq: l.state.Next(), Time: l.now, Point: point, Body: body}
	in := l.state.Bind(ev)
	v := l.state.View(in)
	v.Now = l.now
	d := l.p.Decide(in, v)
	rec := l.state.Record(in, d)
	must(l.t, l.state.Apply(in, &rec))
	return d
}

func (l *sessionLine) say(role proviso.Role, text string) {
	l.t.Helper()
	point := proviso.Input
	if role == proviso.Assistant {
		point = proviso.Output
	}
	if d := l.pass(point, &proviso.Message{Role: role, Text: text}); d.Outcome != proviso.Allow {
		l.t.Fatalf("what the %s says is not let through: %v", role, d)
	}
}

func (l *sessionLine) call(tool string, args map[string]any, effect func() (json.RawMessage, error)) proviso.Decision {
	l.t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	return l.callJSON(tool, proviso.JSON(encode(l.t, args)), effect)
}

func (l *sessionLine) callJSON(tool string, args proviso.JSON, effect func() (json.RawMessage, error)) proviso.Decision {
	l.t.Helper()
	l.calls++
	id := fmt.Sprintf("call-%d", l.calls)
	d := l.pass(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: args})
	if d.Outcome != proviso.Allow {
		return d
	}
	result := &proviso.ToolResult{CallID: id, Tool: tool}
	if raw, err := effect(); err != nil {
		result.IsError, result.Text = true, err.Error()
	} else {
		result.Content = proviso.JSON(raw)
	}
	l.pass(proviso.ToolResultPoint, result)
	return d
}
