package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/schema"
)

// MaxEvent is the largest argument object, result or text, in bytes, that a policy decides on; larger ones are faults.
const MaxEvent = 1 << 20

// Input is an event bound to a policy: arguments decoded by the strict decoder, defaults filled in, values converted to their schema.
// Everything derived from it is decided on exactly these bytes. An Input is not changed after Bind and may be kept.
type Input struct {
	Event *proviso.Event
	Args  map[string]any // of a tool call, or of the call that a result answers; never nil for a call without a fault
	Raw   map[string]any // the arguments as decoded, before conversion
	Value any            // the converted result of a tool result, nil for errors
	Text  string         // the text of a message, request, response or textual result
	Hash  string         // hex SHA-256 over tool and canonical arguments; empty where the arguments could not be decoded
	Fault *proviso.Fault // what was wrong with the bytes; an event with a fault is denied

	name string
	tool *tool
	call *Input
}

// Tool is the name of the tool called, or of the tool whose result this is.
func (in *Input) Tool() string { return in.name }

// Call is the bound call that a result answers, nil otherwise.
func (in *Input) Call() *Input { return in.call }

func (in *Input) role() string {
	switch b := in.Event.Body.(type) {
	case *proviso.Message:
		return string(b.Role)
	case *proviso.ModelResponse:
		return string(proviso.Assistant)
	}
	return ""
}

func (in *Input) isError() bool {
	r, ok := in.Event.Body.(*proviso.ToolResult)
	return ok && r.IsError
}

func (in *Input) offered() []any {
	var names []string
	switch b := in.Event.Body.(type) {
	case *proviso.ToolList:
		names = b.Tools
	case *proviso.ModelRequest:
		names = b.Tools
	case *proviso.ModelResponse:
		for _, c := range b.Calls {
			names = append(names, c.Tool)
		}
	}
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

// Bind decodes and converts an event. call is the bound call that a tool result answers, and nil otherwise.
func (p *Policy) Bind(ev *proviso.Event, call *Input) *Input {
	in := &Input{Event: ev, call: call}
	switch b := ev.Body.(type) {
	case *proviso.ToolCall:
		p.bindCall(in, b)
	case *proviso.ToolResult:
		p.bindResult(in, b)
	case *proviso.Message:
		in.Text = b.Text
	case *proviso.ModelRequest:
		in.Text = b.Text
	case *proviso.ModelResponse:
		in.Text = b.Text
	case *proviso.ToolList, *proviso.Lifecycle:
	default:
		in.Fault = &proviso.Fault{Code: codeBody, Msg: "the event has no body"}
	}
	if in.Fault == nil && !ev.Fits() {
		in.Fault = &proviso.Fault{Code: codeBody, Msg: fmt.Sprintf("a %s event cannot carry %T", ev.Point, ev.Body)}
	}
	if len(in.Text) > MaxEvent && in.Fault == nil {
		in.Fault = tooLarge("text", len(in.Text))
	}
	return in
}

func tooLarge(what string, n int) *proviso.Fault {
	return &proviso.Fault{Code: codeTooLarge, Msg: fmt.Sprintf("the %s has %d bytes, more than the %d that are decided on", what, n, MaxEvent)}
}

func (p *Policy) bindCall(in *Input, b *proviso.ToolCall) {
	in.name = b.Tool
	in.tool = p.tools[b.Tool]
	if in.tool == nil {
		in.Fault = &proviso.Fault{Code: codeNoTool, Msg: fmt.Sprintf("unknown tool %q", b.Tool), Hint: proviso.DidYouMean(b.Tool, p.names)}
	}
	if len(b.Args) > MaxEvent {
		in.Fault = tooLarge("argument object", len(b.Args))
		return
	}
	v, err := proviso.DecodeJSON(b.Args)
	if err != nil {
		in.Fault = jsonFault("arguments", err)
		return
	}
	raw, ok := v.(map[string]any)
	if !ok {
		in.Fault = &proviso.Fault{Code: codeArgJSON, Msg: fmt.Sprintf("the arguments are %s, want a JSON object", schema.KindOf(v))}
		return
	}
	in.Raw = raw
	in.Hash = argsHash(b.Tool, raw)
	if in.Fault != nil {
		return
	}
	args, err := in.tool.args.Convert(raw, "")
	if err != nil {
		in.Fault = schemaFault("argument ", err)
		return
	}
	in.Args, _ = args.(map[string]any)
}

func (p *Policy) bindResult(in *Input, b *proviso.ToolResult) {
	in.name = b.Tool
	if in.call != nil {
		in.name, in.Args, in.Hash = in.call.name, in.call.Args, in.call.Hash
	}
	in.tool = p.tools[in.name]
	in.Text = b.Text
	if in.Text == "" {
		in.Text = string(b.Content)
	}
	if in.tool == nil {
		in.Fault = &proviso.Fault{Code: codeNoTool, Msg: fmt.Sprintf("result of unknown tool %q", in.name), Hint: proviso.DidYouMean(in.name, p.names)}
		return
	}
	if b.IsError {
		return
	}
	if len(b.Content) == 0 {
		in.Value = b.Text
		return
	}
	if len(b.Content) > MaxEvent {
		in.Fault = tooLarge("result", len(b.Content))
		return
	}
	text := in.Text
	if b.Text != "" {
		text = string(b.Content)
	}
	v, err := proviso.DecodeResultJSON(text)
	if err != nil {
		in.Fault = jsonFault("result", err)
		return
	}
	in.Value = v
}

func jsonFault(what string, err error) *proviso.Fault {
	f := &proviso.Fault{Code: codeArgJSON, Msg: what + ": " + err.Error(), Hint: "send one JSON object with unique keys"}
	var je *proviso.JSONError
	if errors.As(err, &je) {
		f.Code = je.Code
		f.Msg = fmt.Sprintf("%s: offset %d: %s", what, je.Offset, je.Msg)
	}
	return f
}

func schemaFault(prefix string, err error) *proviso.Fault {
	f := &proviso.Fault{Code: schema.CodeNonconforming, Msg: prefix + err.Error()}
	var ce *schema.Error
	if errors.As(err, &ce) {
		f.Code = ce.Code
	}
	return f
}

// argsHash is the SHA-256 over tool name and canonical arguments, in hex.
func argsHash(tool string, args map[string]any) string {
	b := append(make([]byte, 0, 512), tool...)
	b = proviso.AppendCanonical(append(b, 0), args)
	sum := sha256.Sum256(b)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// KeyArguments returns the values that a proposal of the call must name before a user can confirm it, by argument name:
// those that the pack lists, else every required text and number and every member of a list of those. Booleans, dates and objects are not named.
func (p *Policy) KeyArguments(in *Input) map[string][]any {
	if in.tool == nil {
		return nil
	}
	names := in.tool.keys
	if names == nil {
		for _, n := range in.tool.args.Names {
			if in.tool.args.Fields[n].Required {
				names = append(names, n)
			}
		}
	}
	out := map[string][]any{}
	for _, n := range names {
		if vs := sayable(in.Raw[n]); len(vs) > 0 {
			out[n] = vs
		}
	}
	return out
}

func sayable(v any) []any {
	switch x := v.(type) {
	case string:
		if x == "" {
			return nil
		}
		return []any{x}
	case int64, float64:
		return []any{x}
	case []any:
		var out []any
		for _, m := range x {
			out = append(out, sayable(m)...)
		}
		return out
	}
	return nil
}

// IsRead reports whether the tool only reads.
func (p *Policy) IsRead(tool string) bool {
	t := p.tools[tool]
	return t != nil && t.read
}
