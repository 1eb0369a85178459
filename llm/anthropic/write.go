package anthropic

import (
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
)

// Write returns the request {"system": …, "messages": […], "tools": […]} that Read reads as these events; values are of the types that proviso.DecodeJSON gives.
// What the format has no place for is left out: lifecycle, model requests and responses, and which agent spoke. Texts of the system before the first turn become "system", later ones a turn of their own.
// Results and the texts of the user behind them become one turn, as do the texts and calls of one response. Arguments that are not JSON are written as text.
func Write(events []proviso.Event) map[string]any {
	var turns []any
	var tools []any
	var system []string
	response := ""
	for i := range events {
		switch b := events[i].Body.(type) {
		case *proviso.Message:
			if b.Role == proviso.System && len(turns) == 0 {
				system = append(system, b.Text)
				continue
			}
			turns = add(turns, string(b.Role), "text", map[string]any{"type": "text", "text": b.Text})
		case *proviso.ToolList:
			tools = nil
			for _, n := range b.Tools {
				tools = append(tools, map[string]any{"name": n})
			}
		case *proviso.ToolCall:
			after := "tool_use"
			if response == b.Response {
				after = ""
			}
			response = b.Response
			turns = add(turns, "assistant", after, map[string]any{"type": "tool_use", "id": b.ID, "name": b.Tool, "input": inputOf(b.Args)})
		case *proviso.ToolResult:
			block := map[string]any{"type": "tool_result", "tool_use_id": b.CallID, "content": llm.TextOf(b)}
			if b.IsError {
				block["is_error"] = true
			}
			turns = add(turns, "user", "text", block)
		}
	}
	doc := map[string]any{"messages": turns}
	if system != nil {
		doc["system"] = strings.Join(system, "\n")
	}
	if tools != nil {
		doc["tools"] = tools
	}
	return doc
}

// add puts a block into the last turn, or into a new one where the last is of another role or ends in a block of the type that this one may not follow: two texts in one turn would be read as one.
func add(turns []any, role, after string, block map[string]any) []any {
	if n := len(turns); n > 0 {
		m := llm.Object(turns[n-1])
		list := llm.List(m["content"])
		if m["role"] == role && len(list) > 0 && (after == "" || llm.Object(list[len(list)-1])["type"] != after) {
			m["content"] = append(list, block)
			return turns
		}
	}
	return append(turns, map[string]any{"role": role, "content": []any{block}})
}

func inputOf(args proviso.JSON) any {
	if v, err := proviso.DecodeResultJSON(args); err == nil {
		return v
	}
	return string(args)
}
