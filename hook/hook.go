// Package hook speaks the hooks of agent programs: the JSON that a program hands to a command before and after its steps, and the answer that it understands.
//
// A Format is a value in its own file, listed by hand in all.go. It only translates: what it reads becomes an event, and what was decided about the event becomes the program's answer. Who decides is the
// caller's business. What a program's hooks cannot do is said in Format.Limits, since a rule that is not enforced has to be known.
package hook

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/proviso-dev/proviso"
)

// The codes of what cannot be read.
const (
	CodeInput = "PV891" // an input that is none of the program's hooks
)

// Event is what a program is about to do, or has done.
type Event struct {
	Hook    string // the program's name for it
	Session string
	// Point and Body are what is decided; a nil Body says that there is nothing to decide.
	Point proviso.Point
	Body  proviso.Body
	// Last is true where the program was stopped here before and would go on for ever if it were again.
	Last bool
	// Ended is true for what happened already and cannot be undone.
	Ended bool
}

// Verdict is what was decided about an event.
type Verdict struct {
	Allowed bool
	// Reason tells the agent why it is not allowed, or what it should know.
	Reason string
	// Forward is the body with the decision's edits; nil where there are none.
	Forward proviso.Body
	// Approve has an allowed call run without the program's own question to its user.
	Approve bool
}

// Reply is the answer to the program.
type Reply struct {
	Stdout proviso.JSON // empty: nothing is printed
	Stderr string
	Exit   int
}

// Format is the hooks of one program.
type Format struct {
	Name string // of the subcommand
	Doc  string
	// Limits is what these hooks cannot enforce, one sentence each.
	Limits []string
	// Read reads what the program hands over. Errors have the code PV891 and name what is wrong.
	Read func(input []byte) (*Event, error)
	// Answer tells the program what was decided.
	Answer func(e *Event, v Verdict) Reply
	// Refuse is the answer where nothing could be decided: it stops what can be stopped.
	Refuse func(why string) Reply
	// Settings is the snippet of settings that has the program call a command, and the file that it belongs to.
	Settings func(command string) (file string, snippet proviso.JSON)
}

// Find returns the format of a name; ok is false where there is none.
func Find(name string) (f *Format, ok bool) {
	for _, f := range All {
		if f.Name == name {
			return f, true
		}
	}
	return nil, false
}

// fields are the members of an input.
type fields map[string]any

// read decodes an input and checks that it names its hook and its session.
func read(input []byte) (fields, *Event, error) {
	v, err := proviso.DecodeResultJSON(input)
	if err != nil {
		return nil, nil, fmt.Errorf("hook: the input is not acceptable JSON: %w [%s]", err, CodeInput)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("hook: the input is no JSON object [%s]", CodeInput)
	}
	f := fields(m)
	e := &Event{Hook: f.text("hook_event_name"), Session: cmp.Or(f.text("session_id"), f.text("conversation_id"))}
	if e.Hook == "" || e.Session == "" {
		return nil, nil, fmt.Errorf("hook: the input names no hook_event_name or no session_id [%s]", CodeInput)
	}
	return f, e, nil
}

func (f fields) text(key string) string {
	s, _ := f[key].(string)
	return s
}

func (f fields) flag(key string) bool {
	b, _ := f[key].(bool)
	return b
}

// call is the call in an input.
func (f fields) call() (*proviso.ToolCall, error) {
	args, ok := f["tool_input"].(map[string]any)
	if f.text("tool_name") == "" || !ok && f["tool_input"] != nil {
		return nil, fmt.Errorf("hook: the input names no tool_name, or its tool_input is no object [%s]", CodeInput)
	}
	if args == nil {
		args = map[string]any{}
	}
	c := &proviso.ToolCall{ID: f.text("tool_use_id"), Tool: f.text("tool_name"), Args: proviso.CanonicalJSON(args)}
	if c.ID == "" {
		// The hooks after the call have to find it again; what they know of it is its tool and its arguments.
		sum := sha256.Sum256(append([]byte(c.Tool+"\x00"), c.Args...))
		c.ID = "hook-" + hex.EncodeToString(sum[:12])
	}
	return c, nil
}

// result is the result in an input, given what the tool answered. Of an object the policy sees JSON, of a text the text.
func (f fields) result(answer any, failed bool) (*proviso.ToolResult, error) {
	c, err := f.call()
	if err != nil {
		return nil, err
	}
	r := &proviso.ToolResult{CallID: c.ID, Tool: c.Tool, IsError: failed}
	switch a := answer.(type) {
	case string:
		if err := proviso.CheckResultJSON(a); err == nil {
			r.Content = proviso.JSON(a)
		} else {
			r.Text = a
		}
	case nil:
	default:
		r.Content = proviso.CanonicalJSON(a)
	}
	return r, nil
}

// text is what a result says.
func text(r *proviso.ToolResult) string {
	if len(r.Content) > 0 {
		return string(r.Content)
	}
	return r.Text
}

// printed is an answer on standard output.
func printed(v map[string]any) Reply {
	return Reply{Stdout: proviso.CanonicalJSON(v)}
}

// stopped is the answer that all these programs take as a refusal where they can be stopped: exit code 2, and the reason on standard error.
func stopped(why string) Reply { return Reply{Stderr: why, Exit: 2} }
