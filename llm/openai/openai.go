// Package openai reads recorded conversations in the formats of the OpenAI API into events and writes events back: the messages of chat completions, and the items of the Responses API.
//
// Read is lenient about what surrounds a conversation: a list of messages alone, a request, or a request with its response. It is strict about the turns: what it cannot read is named in a diagnostic, and never guessed.
// The developer role counts as system. Texts of a message are joined by newlines.
package openai

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
)

// Detect reports whether a decoded value looks like a conversation of either format: at least one turn is one of it, and no turn has content of another format.
func Detect(doc any) bool {
	turns, _ := messages(doc)
	list, given := turns, turns != nil
	if !given {
		list, given = items(doc)
	}
	known := given && len(list) == 0
	for _, t := range list {
		m := llm.Object(t)
		if turns != nil && !chatContent(m["content"]) {
			return false
		}
		known = known || isTurn(m)
	}
	return known
}

func isTurn(m map[string]any) bool {
	_, role := roles[llm.Text(m["role"])]
	return role || isItem(m)
}

func isItem(m map[string]any) bool {
	_, item := itemReaders[llm.Text(m["type"])]
	return item
}

// chatContent reports whether content parts, where there are any, are of the types that chat completions have.
func chatContent(v any) bool {
	for _, p := range llm.List(v) {
		switch llm.Text(llm.Object(p)["type"]) {
		case "text", "refusal", "image_url", "input_audio", "file", "audio":
		default:
			return false
		}
	}
	return true
}

// Read turns a decoded conversation (llm.Decode, proviso.DecodeResultJSON) into events. source names it in diagnostics.
// The error is a proviso.Diagnostic with code PV404 where the value is no such conversation.
func Read(source string, doc any) (*llm.Conversation, error) {
	r := reader{}
	d := llm.Object(doc)
	request := d
	if q := llm.Object(d["request"]); q != nil {
		request = q
	}
	r.Start(source, d)
	if turns, path := messages(doc); turns != nil {
		r.Offer(toolNames(request["tools"]))
		for i, t := range turns {
			r.message(fmt.Sprintf("%s[%d]", path, i), t)
		}
		r.choices(d)
		return r.Conversation(), nil
	}
	list, given := items(doc)
	if !given {
		return nil, proviso.Diagnostic{Pos: proviso.Pos{File: source}, Code: llm.CodeNoFormat, Msg: "no OpenAI conversation", Hint: `give {"messages": […]}, {"input": […]} or the list alone`}
	}
	r.Say(proviso.System, llm.Text(request["instructions"]))
	r.Offer(toolNames(request["tools"]))
	for i, t := range list {
		r.item(fmt.Sprintf("items[%d]", i), t)
	}
	return r.Conversation(), nil
}

type reader struct{ llm.Builder }

// messages finds the turns of a chat completion.
func messages(doc any) (turns []any, path string) {
	if l := llm.List(doc); len(l) > 0 && isMessage(l) {
		return l, "messages"
	}
	d := llm.Object(doc)
	if q := llm.Object(d["request"]); q != nil {
		return llm.List(q["messages"]), "request.messages"
	}
	return llm.List(d["messages"]), "messages"
}

// isMessage tells a bare list of messages from one of items: some have a role, and none has the type of an item.
func isMessage(l []any) bool {
	role := false
	for _, t := range l {
		m := llm.Object(t)
		if isItem(m) {
			return false
		}
		role = role || m["role"] != nil
	}
	return role
}

// items finds the items of a Responses conversation: input, then output.
func items(doc any) (list []any, given bool) {
	if l := llm.List(doc); len(l) > 0 {
		return l, true
	}
	d := llm.Object(doc)
	request, response := d, d
	if q := llm.Object(d["request"]); q != nil {
		request = q
	}
	if a := llm.Object(d["response"]); a != nil {
		response = a
	}
	for _, v := range []any{d["items"], request["input"], response["output"]} {
		if s, ok := v.(string); ok {
			list, given = append(list, map[string]any{"role": "user", "content": s}), true
		}
		if l, ok := v.([]any); ok {
			list, given = append(list, l...), true
		}
	}
	return list, given
}

// choices adds the first answer that a response holds; further ones were never part of the conversation.
func (r *reader) choices(doc map[string]any) {
	path := "choices"
	list := llm.List(doc[path])
	if a := llm.Object(doc["response"]); a != nil {
		list, path = llm.List(a["choices"]), "response.choices"
	}
	for i, c := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if i > 0 {
			r.Note(at, llm.CodeUnknownPart, "only the first choice is read", "")
			continue
		}
		r.message(at+".message", llm.Object(c)["message"])
	}
}

func toolNames(v any) []string {
	var names []string
	for _, t := range llm.List(v) {
		m := llm.Object(t)
		for _, k := range []string{"function", "custom"} {
			if f := llm.Object(m[k]); f != nil {
				m = f
				break
			}
		}
		if n := llm.Text(m["name"]); n != "" {
			names = append(names, n)
		} else if n := llm.Text(m["type"]); n != "" {
			names = append(names, n)
		}
	}
	return names
}

// roles maps the roles of messages to how they are read.
var roles = map[string]func(*reader, string, map[string]any){
	"system":    func(r *reader, at string, m map[string]any) { r.say(proviso.System, at, m) },
	"developer": func(r *reader, at string, m map[string]any) { r.say(proviso.System, at, m) },
	"user":      func(r *reader, at string, m map[string]any) { r.say(proviso.User, at, m) },
	"assistant": (*reader).assistant,
	"tool":      (*reader).tool,
	"function":  (*reader).tool,
}

func (r *reader) message(at string, v any) {
	m := llm.Object(v)
	read, ok := roles[llm.Text(m["role"])]
	if !ok {
		r.Malformed(at, "a message with a role of system, developer, user, assistant or tool")
		return
	}
	r.At(at, m)
	read(r, at, m)
}

func (r *reader) say(role proviso.Role, at string, m map[string]any) {
	r.Say(role, r.text(at+".content", m["content"]))
}

func (r *reader) assistant(at string, m map[string]any) {
	r.say(proviso.Assistant, at, m)
	r.Say(proviso.Assistant, llm.Text(m["refusal"]))
	if m["audio"] != nil {
		r.Unknown(at+".audio", "audio")
	}
	calls := llm.List(m["tool_calls"])
	if f := llm.Object(m["function_call"]); f != nil {
		calls = append(calls, map[string]any{"type": "function", "function": f})
	}
	if len(calls) == 0 {
		return
	}
	response := r.NextID()
	for i, c := range calls {
		r.toolCall(fmt.Sprintf("%s.tool_calls[%d]", at, i), llm.Object(c), response, i)
	}
}

func (r *reader) toolCall(at string, c map[string]any, response string, index int) {
	call := proviso.ToolCall{ID: llm.Text(c["id"]), Response: response, Index: index}
	if f := llm.Object(c["function"]); f != nil {
		call.Tool, call.Args = llm.Text(f["name"]), arguments(f["arguments"])
	} else if f := llm.Object(c["custom"]); f != nil {
		call.Tool, call.Args = llm.Text(f["name"]), llm.Raw(map[string]any{"input": f["input"]})
	}
	if call.Tool == "" {
		r.Malformed(at, "a call with the name of a function")
		return
	}
	r.Call(call)
}

// arguments returns the bytes that the model wrote, valid or not; recordings that hold them decoded are taken as well.
func arguments(v any) proviso.JSON {
	if s, ok := v.(string); ok {
		return proviso.JSON(s)
	}
	if v == nil {
		return nil
	}
	return llm.Raw(v)
}

func (r *reader) tool(at string, m map[string]any) {
	name := llm.Text(m["name"])
	r.Result(at, llm.ResultOf(llm.Text(m["tool_call_id"]), name, r.text(at+".content", m["content"]), false))
}

// text joins the texts of a content, which is a text or a list of parts.
func (r *reader) text(at string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var texts []string
		for i, p := range v {
			m := llm.Object(p)
			kind := llm.Text(m["type"])
			if key, ok := textParts[kind]; ok {
				texts = append(texts, llm.Text(m[key]))
				continue
			}
			r.Unknown(fmt.Sprintf("%s[%d]", at, i), kind)
		}
		return strings.Join(texts, "\n")
	}
	r.Malformed(at, "a text or a list of parts")
	return ""
}

// textParts are the types of parts that are text, and the key that holds it.
var textParts = map[string]string{"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}

// itemReaders maps the types of items to how they are read.
var itemReaders = map[string]func(*reader, string, map[string]any){
	"message":                 (*reader).itemMessage,
	"function_call":           (*reader).functionCall,
	"custom_tool_call":        (*reader).functionCall,
	"function_call_output":    (*reader).functionOutput,
	"custom_tool_call_output": (*reader).functionOutput,
	"mcp_call":                (*reader).mcpCall,
	"reasoning":               unread,
	"item_reference":          unread,
	"mcp_list_tools":          (*reader).mcpTools,
	"web_search_call":         unread,
	"file_search_call":        unread,
	"computer_call":           unread,
	"computer_call_output":    unread,
	"code_interpreter_call":   unread,
	"image_generation_call":   unread,
	"local_shell_call":        unread,
}

func unread(r *reader, at string, m map[string]any) { r.Unknown(at, llm.Text(m["type"])) }

func (r *reader) item(at string, v any) {
	m := llm.Object(v)
	kind := llm.Text(m["type"])
	if kind == "" && m["role"] != nil {
		kind = "message"
	}
	read, ok := itemReaders[kind]
	if !ok {
		r.Unknown(at, kind)
		return
	}
	r.At(at, m)
	read(r, at, m)
}

func (r *reader) itemMessage(at string, m map[string]any) {
	switch role := llm.Text(m["role"]); role {
	case "user", "assistant":
		r.say(proviso.Role(role), at, m)
	case "system", "developer":
		r.say(proviso.System, at, m)
	default:
		r.Malformed(at, "a message with a role of system, developer, user or assistant")
	}
}

// functionCall reads one call. Calls that follow each other came in one response.
func (r *reader) functionCall(at string, m map[string]any) {
	call := proviso.ToolCall{ID: llm.Text(m["call_id"]), Tool: llm.Text(m["name"])}
	if call.Tool == "" {
		r.Malformed(at, "a call with the name of a function")
		return
	}
	if in, custom := m["input"]; custom {
		call.Args = llm.Raw(map[string]any{"input": in})
	} else {
		call.Args = arguments(m["arguments"])
	}
	r.CallBeside(call)
}

func (r *reader) functionOutput(at string, m map[string]any) {
	text := r.text(at+".output", m["output"])
	r.Result(at, llm.ResultOf(llm.Text(m["call_id"]), "", text, false))
}

// mcpCall reads a call that the vendor ran itself, and its result.
func (r *reader) mcpCall(at string, m map[string]any) {
	id := llm.Text(m["id"])
	r.CallBeside(proviso.ToolCall{ID: id, Tool: llm.Text(m["name"]), Args: arguments(m["arguments"])})
	text, failed := llm.Text(m["output"]), false
	if e := m["error"]; e != nil {
		text, failed = llm.Text(e), true
		if text == "" {
			text = string(llm.Raw(e))
		}
	}
	if m["output"] != nil || failed {
		r.Result(at, llm.ResultOf(id, "", text, failed))
	}
}

func (r *reader) mcpTools(_ string, m map[string]any) { r.Offer(toolNames(m["tools"])) }
