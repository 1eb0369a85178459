// Package anthropic reads recorded conversations in the format of the Anthropic messages API into events and writes events back.
//
// Read is lenient about what surrounds a conversation: a list of messages alone, a request, or a request with its response. It is strict about the turns: what it cannot read is named in a diagnostic, and never guessed.
// Tools that the vendor ran itself (blocks whose type ends in tool_use and tool_result) are read as calls and results. Texts that follow each other in one turn are joined by newlines.
package anthropic

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
)

// Detect reports whether a decoded value is a conversation of this format for certain; one of plain texts alone fits other formats as well and is none.
func Detect(doc any) bool {
	request := requestOf(doc)
	turns, _ := messages(doc)
	if turns == nil {
		return false
	}
	sure := request["system"] != nil || strings.HasPrefix(llm.Text(request["model"]), "claude")
	for _, t := range llm.List(request["tools"]) {
		sure = sure || llm.Object(t)["input_schema"] != nil
	}
	for _, t := range turns {
		m := llm.Object(t)
		if foreignRoles[llm.Text(m["role"])] || m["tool_calls"] != nil || m["function_call"] != nil {
			return false
		}
		for _, b := range llm.List(m["content"]) {
			block := llm.Object(b)
			kind := llm.Text(block["type"])
			sure = sure || isCall(kind) || isResult(kind) || kind == "thinking" || block["source"] != nil
		}
	}
	return sure
}

// foreignRoles are those of another format whose messages look alike.
var foreignRoles = map[string]bool{"system": true, "developer": true, "tool": true, "function": true}

// Read turns a decoded conversation (llm.Decode, proviso.DecodeResultJSON) into events. source names it in diagnostics.
// The error is a proviso.Diagnostic with code PV404 where the value is no such conversation.
func Read(source string, doc any) (*llm.Conversation, error) {
	r := reader{}
	d, request := llm.Object(doc), requestOf(doc)
	r.Start(source, d)
	turns, path := messages(doc)
	if turns == nil {
		return nil, proviso.Diagnostic{Pos: proviso.Pos{File: source}, Code: llm.CodeNoFormat, Msg: "no Anthropic conversation", Hint: `give {"messages": […]} or the list alone`}
	}
	r.content("system", proviso.System, request["system"])
	var names []string
	for _, t := range llm.List(request["tools"]) {
		if n := llm.Text(llm.Object(t)["name"]); n != "" {
			names = append(names, n)
		}
	}
	r.Offer(names)
	for i, t := range turns {
		r.message(fmt.Sprintf("%s[%d]", path, i), t)
	}
	if a := llm.Object(d["response"]); a != nil {
		r.message("response", a)
	}
	return r.Conversation(), nil
}

type reader struct{ llm.Builder }

func requestOf(doc any) map[string]any {
	d := llm.Object(doc)
	if q := llm.Object(d["request"]); q != nil {
		return q
	}
	return d
}

func messages(doc any) (turns []any, path string) {
	if l := llm.List(doc); len(l) > 0 {
		return l, "messages"
	}
	if q := llm.Object(llm.Object(doc)["request"]); q != nil {
		return llm.List(q["messages"]), "request.messages"
	}
	return llm.List(llm.Object(doc)["messages"]), "messages"
}

var roles = map[string]proviso.Role{"user": proviso.User, "assistant": proviso.Assistant, "system": proviso.System}

func (r *reader) message(at string, v any) {
	m := llm.Object(v)
	role, ok := roles[llm.Text(m["role"])]
	if !ok {
		r.Malformed(at, "a message with a role of user or assistant")
		return
	}
	r.At(at, m)
	r.content(at+".content", role, m["content"])
}

// content reads a text or a list of blocks.
func (r *reader) content(at string, role proviso.Role, v any) {
	switch v := v.(type) {
	case nil:
	case string:
		r.Say(role, v)
	case []any:
		r.blocks(at, role, v)
	default:
		r.Malformed(at, "a text or a list of blocks")
	}
}

func (r *reader) blocks(at string, role proviso.Role, list []any) {
	var texts []string
	say := func() {
		r.Say(role, strings.Join(texts, "\n"))
		texts = nil
	}
	response, index := "", 0
	for i, v := range list {
		b := llm.Object(v)
		at := fmt.Sprintf("%s[%d]", at, i)
		switch kind := llm.Text(b["type"]); {
		case kind == "text":
			texts = append(texts, llm.Text(b["text"]))
		case isCall(kind):
			say()
			name := llm.Text(b["name"])
			if name == "" {
				r.Malformed(at, "a call with the name of a tool")
				continue
			}
			if response == "" {
				response = r.NextID()
			}
			r.Call(proviso.ToolCall{ID: llm.Text(b["id"]), Tool: name, Args: input(b["input"]), Response: response, Index: index})
			index++
		case isResult(kind):
			say()
			r.result(at, b)
		default:
			r.Unknown(at, kind)
		}
	}
	say()
}

func isCall(kind string) bool   { return strings.HasSuffix(kind, "tool_use") }
func isResult(kind string) bool { return strings.HasSuffix(kind, "tool_result") }

// input returns the arguments of a call. A text is what a recorder kept of arguments that were no JSON.
func input(v any) proviso.JSON {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return proviso.JSON(v)
	}
	return llm.Raw(v)
}

func (r *reader) result(at string, b map[string]any) {
	id, failed := llm.Text(b["tool_use_id"]), b["is_error"] == true
	switch v := b["content"].(type) {
	case nil:
		r.Result(at, llm.ResultOf(id, "", "", failed))
	case string:
		r.Result(at, llm.ResultOf(id, "", v, failed))
	case []any:
		r.resultBlocks(at, id, failed, v)
	default:
		r.Result(at, &proviso.ToolResult{CallID: id, Content: llm.Raw(v), IsError: failed})
	}
}

// resultBlocks reads the text blocks of a result; a list without any, as the vendor's own tools give, is the result itself.
func (r *reader) resultBlocks(at, id string, failed bool, list []any) {
	var texts, others []string
	for i, v := range list {
		b := llm.Object(v)
		if kind := llm.Text(b["type"]); kind == "text" {
			texts = append(texts, llm.Text(b["text"]))
		} else {
			others = append(others, fmt.Sprintf("%s.content[%d]", at, i), kind)
		}
	}
	if len(texts) == 0 && len(list) > 0 {
		r.Result(at, &proviso.ToolResult{CallID: id, Content: llm.Raw(list), IsError: failed})
		return
	}
	for i := 0; i < len(others); i += 2 {
		r.Unknown(others[i], others[i+1])
	}
	r.Result(at, llm.ResultOf(id, "", strings.Join(texts, "\n"), failed))
}
