package llm

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
)

// The codes of the diagnostics of reading a conversation.
const (
	CodeUnknownPart = "PV401" // a part of a message that is no text, call or result; it is named and left out
	CodeTruncated   = "PV402" // the recording ends early
	CodeMalformed   = "PV403" // a message that is not as the format has it; it is named and left out
	CodeNoFormat    = "PV404" // the value is no conversation of this format
)

// Conversation is what was read from a recording.
//
// Events are the turns in order: Input of user and system, Output of the assistant, ToolList, ToolCall and ToolResult; numbered from 1, without a session start or end.
// Each event is one second later than the one before unless the recording says when it was; all times are zero where it does not say when it began.
// Truncated tells that the recording ends early: what is complete was read. Nothing is left out without a diagnostic.
type Conversation struct {
	Source      string
	Session     string         // as recorded, empty where it is not
	User        string         // the authenticated user, where it is recorded
	Attributes  map[string]any // further session variables
	Model       string
	Time        time.Time // when it began
	Events      []proviso.Event
	Truncated   bool
	Diagnostics proviso.Diagnostics
}

// Builder collects the events of one conversation for the readers of recordings. Its zero value is ready to use.
type Builder struct {
	c     Conversation
	now   time.Time
	open  map[string]string // id of a call without result → tool
	order []string
	made  int
}

// Start sets the source and takes over what the recording says about itself: an object "proviso" with session, user, attributes and time, or the ids and times that the vendors' own objects carry.
func (b *Builder) Start(source string, doc map[string]any) {
	b.c.Source = source
	own := Object(doc["proviso"])
	b.c.Session = firstText(own["session"], doc["session_id"], doc["conversation_id"], doc["thread_id"], doc["id"])
	b.c.User = Text(own["user"])
	b.c.Attributes = Object(own["attributes"])
	b.c.Model = Text(doc["model"])
	for _, v := range []any{own["time"], doc["created_at"], doc["created"], doc["timestamp"]} {
		if t, ok := timeOf(v); ok {
			b.c.Time, b.now = t, t
			break
		}
	}
}

// At moves the clock to the time that a message carries, if it carries one; a time before that of the last event is left out with a diagnostic.
func (b *Builder) At(path string, message map[string]any) {
	for _, k := range []string{"timestamp", "created_at", "time"} {
		t, ok := timeOf(message[k])
		if !ok {
			continue
		}
		if t.Before(b.now) {
			b.Note(path+"."+k, CodeMalformed, "the time lies before the one of the message before", "")
			return
		}
		if b.c.Time.IsZero() {
			b.c.Time = t
		}
		b.now = t
		return
	}
}

func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case int64:
		if v > 0 {
			return time.Unix(v, 0).UTC(), true
		}
	case float64:
		if v > 0 && v < 1e11 {
			return time.UnixMicro(int64(v * 1e6)).UTC(), true
		}
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Note adds a finding about the part of the recording at path.
func (b *Builder) Note(path, code, msg, hint string) {
	if path != "" {
		msg = path + ": " + msg
	}
	b.c.Diagnostics = append(b.c.Diagnostics, proviso.Diagnostic{Pos: proviso.Pos{File: b.c.Source}, Code: code, Severity: proviso.Warning, Msg: msg, Hint: hint})
}

// Unknown notes a part that is no text, call or result.
func (b *Builder) Unknown(path, kind string) {
	b.Note(path, CodeUnknownPart, fmt.Sprintf("a part of type %q is not read", kind), "rules do not see what it holds")
}

// Malformed notes a part that is not as the format has it.
func (b *Builder) Malformed(path, want string) {
	b.Note(path, CodeMalformed, "want "+want+"; the part is left out", "")
}

func (b *Builder) add(p proviso.Point, body proviso.Body) {
	b.c.Events = append(b.c.Events, proviso.Event{Session: b.c.Session, Seq: uint64(len(b.c.Events) + 1), Time: b.now, Point: p, Body: body})
	if !b.now.IsZero() {
		b.now = b.now.Add(time.Second)
	}
}

// Say adds a text of one speaker; an empty one is nothing said.
func (b *Builder) Say(role proviso.Role, text string) {
	if text == "" {
		return
	}
	p := proviso.Input
	if role == proviso.Assistant {
		p = proviso.Output
	}
	b.add(p, &proviso.Message{Role: role, Text: text})
}

// Offer adds the list of tools offered to the model; none are nothing offered.
func (b *Builder) Offer(tools []string) {
	if len(tools) > 0 {
		b.add(proviso.ToolListPoint, &proviso.ToolList{Tools: tools})
	}
}

// NextID returns an id for a call that has none, or for a response. It is unique in the conversation as long as recorded ids do not begin with '#'.
func (b *Builder) NextID() string {
	b.made++
	return "#" + strconv.Itoa(b.made)
}

// Call adds a call. A call without id gets one.
func (b *Builder) Call(c proviso.ToolCall) {
	if c.ID == "" {
		c.ID = b.NextID()
	}
	if b.open == nil {
		b.open = map[string]string{}
	}
	b.open[c.ID] = c.Tool
	b.order = append(b.order, c.ID)
	b.add(proviso.ToolCallPoint, &c)
}

// CallBeside adds a call of a format that does not say which calls came in one response: calls with nothing between them did.
func (b *Builder) CallBeside(c proviso.ToolCall) {
	if n := len(b.c.Events); n > 0 {
		if last, ok := b.c.Events[n-1].Body.(*proviso.ToolCall); ok {
			c.Response, c.Index = last.Response, last.Index+1
			b.Call(c)
			return
		}
	}
	c.Response = b.NextID()
	b.Call(c)
}

// Result adds what a tool answered. Where the recording does not name the tool it is that of the call; where it does not name the call, it is the first open call of the tool, or of any tool.
func (b *Builder) Result(path string, r *proviso.ToolResult) {
	if r.CallID == "" {
		for _, id := range b.order {
			if tool, ok := b.open[id]; ok && (r.Tool == "" || r.Tool == tool) {
				r.CallID = id
				break
			}
		}
	}
	tool, ok := b.open[r.CallID]
	if !ok {
		b.Note(path, CodeMalformed, fmt.Sprintf("a result for %q, which no open call has as its id", r.CallID), "")
	}
	if r.Tool == "" {
		r.Tool = tool
	}
	delete(b.open, r.CallID)
	b.add(proviso.ToolResultPoint, r)
}

// Conversation returns what was collected. Calls that were never answered make it truncated.
func (b *Builder) Conversation() *Conversation {
	var waiting []string
	for _, id := range b.order {
		if tool, ok := b.open[id]; ok {
			waiting = append(waiting, tool+" ("+id+")")
		}
	}
	if len(waiting) > 0 {
		b.c.Truncated = true
		b.Note("", CodeTruncated, "the recording ends before the result of "+strings.Join(waiting, ", "), "record the whole conversation")
	}
	return &b.c
}

// ResultOf returns a tool result whose answer is given as text, as the vendors' formats give it: JSON where the text is JSON, text otherwise.
func ResultOf(callID, tool, text string, isError bool) *proviso.ToolResult {
	r := &proviso.ToolResult{CallID: callID, Tool: tool, IsError: isError}
	if proviso.CheckResultJSON(text) == nil {
		r.Content = proviso.JSON(text)
	} else {
		r.Text = text
	}
	return r
}

// TextOf is the inverse of ResultOf: the answer as text.
func TextOf(r *proviso.ToolResult) string {
	if len(r.Content) > 0 {
		return string(r.Content)
	}
	return r.Text
}

// Raw writes a decoded value as the bytes of arguments or of a result.
func Raw(v any) proviso.JSON {
	b, err := proviso.AppendJSON(nil, v)
	if err != nil {
		return nil
	}
	return b
}

// Text returns v where it is a text, and nothing otherwise.
func Text(v any) string {
	s, _ := v.(string)
	return s
}

// Object returns v where it is an object, and nil otherwise.
func Object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// List returns v where it is a list, and nil otherwise.
func List(v any) []any {
	l, _ := v.([]any)
	return l
}

func firstText(vs ...any) string {
	for _, v := range vs {
		if s := Text(v); s != "" {
			return s
		}
	}
	return ""
}
