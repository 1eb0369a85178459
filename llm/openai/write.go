package openai

import (
	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
)

// Write returns the chat completion request {"messages": […], "tools": […]} that Read reads as these events; values are of the types that proviso.DecodeJSON gives.
// What the format has no place for is left out: lifecycle, model requests and responses, which agent spoke, and errors of tools.
// Texts of the assistant and the calls of one response become one message. Tools have no schema, because events have none.
func Write(events []proviso.Event) map[string]any {
	var turns []any
	var tools []any
	response := ""
	for i := range events {
		switch b := events[i].Body.(type) {
		case *proviso.Message:
			response = ""
			turns = append(turns, map[string]any{"role": string(b.Role), "content": b.Text})
		case *proviso.ToolList:
			tools = nil
			for _, n := range b.Tools {
				tools = append(tools, map[string]any{"type": "function", "function": map[string]any{"name": n}})
			}
		case *proviso.ToolCall:
			call := map[string]any{"id": b.ID, "type": "function", "function": map[string]any{"name": b.Tool, "arguments": string(b.Args)}}
			if m := lastAssistant(turns); m != nil && (m["tool_calls"] == nil || response == b.Response) {
				m["tool_calls"] = append(llm.List(m["tool_calls"]), call)
			} else {
				turns = append(turns, map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{call}})
			}
			response = b.Response
		case *proviso.ToolResult:
			response = ""
			turns = append(turns, map[string]any{"role": "tool", "tool_call_id": b.CallID, "content": llm.TextOf(b)})
		}
	}
	doc := map[string]any{"messages": turns}
	if tools != nil {
		doc["tools"] = tools
	}
	return doc
}

func lastAssistant(turns []any) map[string]any {
	if len(turns) == 0 {
		return nil
	}
	m := llm.Object(turns[len(turns)-1])
	if m["role"] != "assistant" {
		return nil
	}
	return m
}

// WriteItems returns the Responses request {"input": […], "tools": […]} that Read reads as these events, with what Write leaves out left out.
func WriteItems(events []proviso.Event) map[string]any {
	var list, tools []any
	for i := range events {
		switch b := events[i].Body.(type) {
		case *proviso.Message:
			list = append(list, map[string]any{"type": "message", "role": string(b.Role), "content": []any{map[string]any{"type": partOf[b.Role], "text": b.Text}}})
		case *proviso.ToolList:
			tools = nil
			for _, n := range b.Tools {
				tools = append(tools, map[string]any{"type": "function", "name": n})
			}
		case *proviso.ToolCall:
			list = append(list, map[string]any{"type": "function_call", "call_id": b.ID, "name": b.Tool, "arguments": string(b.Args)})
		case *proviso.ToolResult:
			list = append(list, map[string]any{"type": "function_call_output", "call_id": b.CallID, "output": llm.TextOf(b)})
		}
	}
	doc := map[string]any{"input": list}
	if tools != nil {
		doc["tools"] = tools
	}
	return doc
}

// partOf is the type of a text part by who speaks.
var partOf = map[proviso.Role]string{proviso.User: "input_text", proviso.System: "input_text", proviso.Assistant: "output_text"}
