package proviso

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Point is a place in an agent's run where Proviso may decide.
// The zero value names no point and is denied everywhere.
type Point uint8

// The points, in the order in which a turn passes them.
const (
	NoPoint Point = iota
	SessionStart
	Input
	ModelRequestPoint
	ModelResponsePoint
	ToolListPoint
	ToolCallPoint
	ToolResultPoint
	Output
	SessionEnd
)

var pointNames = [...]string{"", "session_start", "input", "model_request", "model_response", "tool_list", "tool_call", "tool_result", "output", "session_end"}

// Points lists every point in order.
func Points() []Point {
	return []Point{SessionStart, Input, ModelRequestPoint, ModelResponsePoint, ToolListPoint, ToolCallPoint, ToolResultPoint, Output, SessionEnd}
}

// String returns the name that packs, records and wire formats use, such as "tool_call".
func (p Point) String() string {
	if int(p) < len(pointNames) {
		return pointNames[p]
	}
	return ""
}

// ParsePoint returns the point of that name; ok is false for any other text.
func ParsePoint(s string) (p Point, ok bool) {
	for i, n := range pointNames {
		if i > 0 && n == s {
			return Point(i), true
		}
	}
	return NoPoint, false
}

// MarshalText writes the point's name.
func (p Point) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a point's name; the empty text is NoPoint.
func (p *Point) UnmarshalText(b []byte) error {
	q, ok := ParsePoint(string(b))
	if !ok && len(b) > 0 {
		return unknownName("point", string(b), pointNames[1:])
	}
	*p = q
	return nil
}

// Event is one thing an agent did or asks to do.
// Seq numbers the events of a session from 1 without gaps; Time is the wall clock of the door that saw it and never decides an order.
// Agents names the agent and, behind it, the agents that handed the work to it (the nearest first); an empty list is the nameless root agent.
type Event struct {
	Session string    `json:"session"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Point   Point     `json:"point"`
	Agents  []string  `json:"agents,omitempty"`
	Body    Body      `json:"body"`
}

// Agent is the name of the acting agent, empty where none was given.
func (e *Event) Agent() string {
	if len(e.Agents) == 0 {
		return ""
	}
	return e.Agents[0]
}

// Fits reports whether the point is one for the body; an event without a body fits nowhere.
func (e *Event) Fits() bool {
	switch e.Body.(type) {
	case *ToolCall:
		return e.Point == ToolCallPoint
	case *ToolResult:
		return e.Point == ToolResultPoint
	case *Message:
		return e.Point == Input || e.Point == Output
	case *ModelRequest:
		return e.Point == ModelRequestPoint
	case *ModelResponse:
		return e.Point == ModelResponsePoint
	case *ToolList:
		return e.Point == ToolListPoint
	case *Lifecycle:
		return e.Point == SessionStart || e.Point == SessionEnd
	}
	return false
}

// Body is what an event carries. The set is sealed: *Message, *ToolCall, *ToolResult, *ToolList, *ModelRequest, *ModelResponse, *Lifecycle.
type Body interface{ body() }

// Role says who speaks in a Message.
type Role string

// The roles of a conversation.
const (
	User      Role = "user"
	Assistant Role = "assistant"
	System    Role = "system"
)

// Message is text of one speaker: at Input by the user or the system, at Output by the assistant.
// Confirms lists argument hashes (ToolCall hashes as Input.Hash of package policy gives them) that a person confirmed by a control outside the text, such as a button.
type Message struct {
	Role     Role     `json:"role"`
	Text     string   `json:"text"`
	Confirms []string `json:"confirms,omitempty"`
}

// ToolCall asks to run one tool. Args are the very bytes that will be forwarded, one JSON object.
// Response and Index tie parallel calls together: the calls of one model response share Response and are decided by Index.
type ToolCall struct {
	ID       string `json:"id,omitempty"`
	Tool     string `json:"tool"`
	Args     JSON   `json:"args"`
	Response string `json:"response,omitempty"`
	Index    int    `json:"index,omitempty"`
}

// ToolResult is what a tool answered. CallID names the call; Content is JSON where the tool gave JSON, else Text holds the text and Content is empty.
type ToolResult struct {
	CallID  string `json:"call_id,omitempty"`
	Tool    string `json:"tool"`
	Content JSON   `json:"content,omitempty"`
	Text    string `json:"text,omitempty"`
	IsError bool   `json:"is_error,omitempty"`
}

// ToolList is a list of tools offered to the model.
type ToolList struct {
	Tools []string `json:"tools"`
}

// ModelRequest is what is about to be sent to a model: its text parts joined by newlines, and the tools offered.
type ModelRequest struct {
	Model string   `json:"model,omitempty"`
	Text  string   `json:"text"`
	Tools []string `json:"tools,omitempty"`
}

// ModelResponse is what a model answered, before its calls are decided one by one.
type ModelResponse struct {
	ID    string     `json:"id,omitempty"`
	Text  string     `json:"text"`
	Calls []ToolCall `json:"calls,omitempty"`
}

// Lifecycle marks a change of the session itself.
// Kind is "start", "end", "handoff" (Name is the agent or scope entered), "return" (the top scope is left) or "idle".
// User is the authenticated user, where the door knows one, and Attributes holds further session variables that the pack declares; both count from "start".
// Labels are those of a session that handed work over to this one: values found nowhere have them as well.
type Lifecycle struct {
	Kind       string         `json:"kind"`
	Name       string         `json:"name,omitempty"`
	User       string         `json:"user,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Labels     []string       `json:"labels,omitempty"`
}

func (*Message) body()       {}
func (*ToolCall) body()      {}
func (*ToolResult) body()    {}
func (*ToolList) body()      {}
func (*ModelRequest) body()  {}
func (*ModelResponse) body() {}
func (*Lifecycle) body()     {}

// JSON is raw JSON text as it came or will go; unlike json.RawMessage its zero value marshals as null and it is never re-encoded.
type JSON []byte

// MarshalJSON returns the text itself.
func (j JSON) MarshalJSON() ([]byte, error) {
	if len(j) == 0 {
		return []byte("null"), nil
	}
	return j, nil
}

// UnmarshalJSON keeps a copy of the text; null becomes empty.
func (j *JSON) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*j = nil
		return nil
	}
	*j = append((*j)[:0], b...)
	return nil
}

// String returns the text.
func (j JSON) String() string { return string(j) }

// CloneBody copies a body with everything in it that a caller could change later; nil stays nil.
// Texts are copied as well: they are often a part of a whole request, which would be kept for as long as the copy is. The attributes of a Lifecycle share theirs.
func CloneBody(b Body) Body {
	switch b := b.(type) {
	case *Message:
		return &Message{Role: b.Role, Text: strings.Clone(b.Text), Confirms: cloneTexts(b.Confirms)}
	case *ToolCall:
		c := cloneCall(*b)
		return &c
	case *ToolResult:
		return &ToolResult{CallID: strings.Clone(b.CallID), Tool: strings.Clone(b.Tool), Content: slices.Clone(b.Content), Text: strings.Clone(b.Text), IsError: b.IsError}
	case *ToolList:
		return &ToolList{Tools: cloneTexts(b.Tools)}
	case *ModelRequest:
		return &ModelRequest{Model: strings.Clone(b.Model), Text: strings.Clone(b.Text), Tools: cloneTexts(b.Tools)}
	case *ModelResponse:
		c := &ModelResponse{ID: strings.Clone(b.ID), Text: strings.Clone(b.Text), Calls: slices.Clone(b.Calls)}
		for i := range c.Calls {
			c.Calls[i] = cloneCall(c.Calls[i])
		}
		return c
	case *Lifecycle:
		c := *b
		c.Labels = cloneTexts(b.Labels)
		c.Attributes, _ = CloneValue(b.Attributes).(map[string]any)
		return &c
	}
	return nil
}

func cloneCall(c ToolCall) ToolCall {
	return ToolCall{ID: strings.Clone(c.ID), Tool: strings.Clone(c.Tool), Args: slices.Clone(c.Args), Response: strings.Clone(c.Response), Index: c.Index}
}

func cloneTexts(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = strings.Clone(out[i])
	}
	return out
}

// CloneValue copies the lists and maps that a decoded value is made of.
func CloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := maps.Clone(v)
		for k, e := range c {
			c[k] = CloneValue(e)
		}
		return c
	case []any:
		c := slices.Clone(v)
		for i, e := range c {
			c[i] = CloneValue(e)
		}
		return c
	}
	return v
}
