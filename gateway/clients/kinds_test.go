package clients

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/proviso-dev/proviso"
	wanthropic "github.com/proviso-dev/proviso/llm/anthropic"
	wopenai "github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// unions are the places of the formats where one of several kinds may stand, with the type of the vendor's client that lists them, and what becomes of an object of a kind.
var unions = []struct {
	name  string
	kinds []string
	word  func(kind string) string
}{
	{"responses answer item", kindsOf(responses.ResponseOutputItemUnion{}), func(kind string) string {
		return answerWord(wopenai.Responses, `{"id":"r","status":"completed","output":[{"type":"shell_call","call_id":"c","action":{}},`+item(kind)+`]}`)
	}},
	{"responses request item", kindsOf(responses.ResponseInputItemUnionParam{}), func(kind string) string {
		return requestWord(wopenai.Responses, `{"input":[`+item(kind)+`]}`)
	}},
	{"responses request part", kindsOf(responses.ResponseInputContentUnionParam{}), func(kind string) string {
		return requestWord(wopenai.Responses, `{"input":[{"role":"user","content":[`+item(kind)+`]}]}`)
	}},
	{"responses answer part", kindsOf(responses.ResponseOutputMessageContentUnion{}), func(kind string) string {
		return answerWord(wopenai.Responses, `{"id":"r","status":"completed","output":[{"type":"message","content":[`+item(kind)+`]}]}`)
	}},
	{"responses tool", kindsOf(responses.ToolUnionParam{}), func(kind string) string {
		return toolWord(wopenai.Responses, `{"input":"hi","tools":[`+item(kind)+`]}`)
	}},
	{"responses event", kindsOf(responses.ResponseStreamEventUnion{}), func(kind string) string {
		return eventWord(wopenai.Responses, kind, event(kind))
	}},
	{"chat request part", kindsOf(openai.ChatCompletionContentPartUnionParam{}), func(kind string) string {
		return requestWord(wopenai.Chat, `{"messages":[{"role":"user","content":[`+item(kind)+`]}]}`)
	}},
	{"chat request message", kindsOf(openai.ChatCompletionMessageParamUnion{}), func(kind string) string {
		return requestWord(wopenai.Chat, `{"messages":[{"role":"`+kind+`","tool_call_id":"c","content":"t"}]}`)
	}},
	{"chat tool", kindsOf(openai.ChatCompletionToolUnionParam{}), func(kind string) string {
		return toolWord(wopenai.Chat, `{"messages":[],"tools":[`+item(kind)+`]}`)
	}},
	{"chat call", kindsOf(openai.ChatCompletionMessageToolCallUnion{}), func(kind string) string {
		return answerWord(wopenai.Chat, `{"choices":[{"finish_reason":"stop","message":{"tool_calls":[`+item(kind)+`]}}]}`)
	}},
	{"messages answer block", kindsOf(anthropic.ContentBlockUnion{}, anthropic.BetaContentBlockUnion{}), func(kind string) string {
		return answerWord(wanthropic.Messages, `{"stop_reason":"end_turn","content":[{"type":"server_tool_use","id":"c","name":"s","input":{}},`+item(kind)+`]}`)
	}},
	{"messages request block", kindsOf(anthropic.ContentBlockParamUnion{}, anthropic.BetaContentBlockParamUnion{}), func(kind string) string {
		return requestWord(wanthropic.Messages, `{"messages":[{"role":"user","content":[`+item(kind)+`]}]}`)
	}},
	{"messages result block", kindsOf(anthropic.ToolResultBlockParamContentUnion{}, anthropic.BetaToolResultBlockParamContentUnion{}), func(kind string) string {
		return requestWord(wanthropic.Messages, `{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[`+item(kind)+`]}]}]}`)
	}},
	{"messages tool", kindsOf(anthropic.ToolUnionParam{}, anthropic.BetaToolUnionParam{}), func(kind string) string {
		return toolWord(wanthropic.Messages, `{"messages":[],"tools":[`+item(kind)+`]}`)
	}},
	{"messages event", kindsOf(anthropic.MessageStreamEventUnion{}, anthropic.BetaRawMessageStreamEventUnion{}), func(kind string) string {
		return eventWord(wanthropic.Messages, kind, event(kind))
	}},
	{"messages delta", kindsOf(anthropic.RawContentBlockDeltaUnion{}, anthropic.BetaRawContentBlockDeltaUnion{}), func(kind string) string {
		return eventWord(wanthropic.Messages, "content_block_delta", `{"type":"content_block_delta","index":0,"delta":`+item(kind)+`}`, blockFor[kind])
	}},
	{"messages beginning block", kindsOf(anthropic.ContentBlockStartEventContentBlockUnion{}, anthropic.BetaRawContentBlockStartEventContentBlockUnion{}), func(kind string) string {
		return eventWord(wanthropic.Messages, "content_block_start", `{"type":"content_block_start","index":0,"content_block":`+item(kind)+`}`)
	}},

	{"chat request member", membersOf(openai.ChatCompletionNewParams{}), func(name string) string {
		return memberWord(wopenai.Chat, `"messages":[]`, name)
	}},
	{"responses request member", membersOf(responses.ResponseNewParams{}), func(name string) string {
		return memberWord(wopenai.Responses, `"input":"hi"`, name)
	}},
	{"messages request member", membersOf(anthropic.MessageNewParams{}, anthropic.BetaMessageNewParams{}), func(name string) string {
		return memberWord(wanthropic.Messages, `"messages":[]`, name)
	}},
	{"chat answer member", membersOf(openai.ChatCompletion{}), func(name string) string {
		return answerMemberWord(wopenai.Chat, `{"choices":[],`, name)
	}},
	{"chat message member", membersOf(openai.ChatCompletionMessage{}), func(name string) string {
		return answerMemberWord(wopenai.Chat, `{"choices":[{"finish_reason":"stop","message":{`, name)
	}},
	{"responses answer member", membersOf(responses.Response{}), func(name string) string {
		return answerMemberWord(wopenai.Responses, `{"output":[],`, name)
	}},
	{"messages answer member", membersOf(anthropic.Message{}, anthropic.BetaMessage{}), func(name string) string {
		return answerMemberWord(wanthropic.Messages, `{"content":[],`, name)
	}},
	{"chat delta member", membersOf(openai.ChatCompletionChunkChoiceDelta{}), func(name string) string {
		return eventWord(wopenai.Chat, "", `{"choices":[{"index":0,"delta":{"`+name+`":`+value(name)+`}}]}`)
	}},
}

// kindsOf lists what the member "type" (of messages: "role") may say in a union of a vendor's client: by the methods AsX of what is read, and the members OfX of what is written.
func kindsOf(of ...any) []string {
	var out []string
	for _, u := range of {
		t := reflect.TypeOf(u)
		for i := range t.NumMethod() {
			if m := t.Method(i); strings.HasPrefix(m.Name, "As") && m.Type.NumOut() == 1 {
				out = append(out, kindOf(m.Type.Out(0))...)
			}
		}
		for i := range t.NumField() {
			if f := t.Field(i); strings.HasPrefix(f.Name, "Of") && f.Type.Kind() == reflect.Pointer {
				out = append(out, kindOf(f.Type.Elem())...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// kindOf is what the constant of a variant says. A variant whose kind is no constant is named after its type, so that it is seen; a union in a union is its own variants.
func kindOf(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, name := range []string{"Type", "Role"} {
		f, ok := t.FieldByName(name)
		if !ok || f.Type.Kind() != reflect.String {
			continue
		}
		if d := reflect.Zero(f.Type).MethodByName("Default"); d.IsValid() {
			return []string{d.Call(nil)[0].String()}
		}
	}
	if kind := named[t.Name()]; kind != "" {
		return []string{kind}
	}
	if strings.HasSuffix(t.Name(), "Union") || strings.HasSuffix(t.Name(), "UnionParam") {
		return kindsOf(reflect.Zero(t).Interface())
	}
	return []string{"(" + t.Name() + ")"}
}

// membersOf lists the JSON members of objects.
func membersOf(of ...any) []string {
	var out []string
	for _, v := range of {
		t := reflect.TypeOf(v)
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// named are the kinds that are no constant in the client, by the name of their type.
var named = map[string]string{
	"EasyInputMessageParam": "message", "ResponseInputItemMessageParam": "message", "ResponseComputerToolCall": "computer_call", "ResponseComputerToolCallParam": "computer_call", "ResponseInputItemItemReferenceParam": "item_reference",
	"WebSearchToolParam": "web_search", "WebSearchPreviewToolParam": "web_search_preview", "ToolParam": "custom", "BetaToolParam": "custom",
	"ToolSearchToolBm25_20251119Param": "tool_search_tool_bm25_20251119", "BetaToolSearchToolBm25_20251119Param": "tool_search_tool_bm25_20251119",
	"ToolSearchToolRegex20251119Param": "tool_search_tool_regex_20251119", "BetaToolSearchToolRegex20251119Param": "tool_search_tool_regex_20251119",
}

// item is an object of a kind that has everything that objects of any kind have.
func item(kind string) string {
	doc := m{
		"type": kind, "id": "c2", "call_id": "c", "tool_use_id": "c", "name": "n", "arguments": "{}", "role": "user", "text": "t", "refusal": "t", "thinking": "t", "signature": "s", "partial_json": "{", "citation": m{},
		"content": []any{}, "output": "o", "result": "r", "tools": []any{}, "tool": m{"type": "tool_reference", "name": "n"}, "function": m{"name": "n", "arguments": "{}"}, "custom": m{"name": "n", "input": "t"},
		"server_label": "s", "mcp_server_name": "s", "action": m{}, "operation": m{}, "source": m{"type": "base64", "data": "AA=="}, "title": "t",
	}
	switch kind {
	case "custom_tool_call":
		doc["input"] = "t"
	case "message":
		doc = m{"type": kind, "role": "user", "content": []any{m{"type": "output_text", "text": "t"}}}
	case "additional_tools", "tool_search_output":
		doc["tools"] = []any{m{"type": "function", "name": "f"}}
	case "tool_addition":
		doc["tool"] = m{"type": "tool_definition", "definition": m{"name": "n", "input_schema": m{}}}
	case "browser_state":
		doc["tabs"] = []any{m{"title": "t", "url": "u", "active": true}}
	case "shell_call_output":
		doc["output"] = []any{m{"stdout": "o"}}
	case "computer_call_output":
		doc["output"] = m{"type": "computer_screenshot", "image_url": "data:"}
	case "namespace":
		doc["tools"] = []any{m{"type": "function", "name": "f"}}
	case "text", "thinking", "text_delta": // what has nothing else
		doc = m{"type": kind, "text": "t", "thinking": "t", "signature": "s"}
	case "image_generation_call":
		delete(doc, "tools")
	}
	if strings.HasSuffix(kind, "tool_use") {
		doc["input"] = m{}
	}
	if strings.HasSuffix(kind, "_call_output") || strings.HasSuffix(kind, "_call") {
		delete(doc, "server_label")
	}
	return js(doc)
}

// event is an event of a kind.
func event(kind string) string {
	doc := m{"type": kind, "sequence_number": 1, "output_index": 0, "content_index": 0, "index": 0}
	switch {
	case strings.HasPrefix(kind, "response.output_item."):
		doc["item"] = m{"type": "function_call", "name": "n", "arguments": "{}"}
	case strings.HasPrefix(kind, "response.content_part."):
		doc["part"] = m{"type": "output_text", "text": ""}
	case kind == "content_block_start":
		doc["content_block"] = m{"type": "tool_use", "id": "c", "name": "n", "input": m{}}
	case kind == "content_block_delta":
		doc["delta"] = m{"type": "input_json_delta", "partial_json": "{"}
	case kind == "message_start":
		doc["message"] = m{"id": "1", "content": []any{}}
	case strings.HasSuffix(kind, ".delta"):
		doc["delta"] = "t"
	case kind == "response.created" || kind == "response.completed" || kind == "response.incomplete" || kind == "response.failed" || kind == "response.queued" || kind == "response.in_progress":
		doc["response"] = m{"id": "1", "output": []any{}}
	}
	return js(doc)
}

// blockFor is the kind of block that a delta belongs to.
var blockFor = map[string]string{
	"text_delta": `{"type":"text","text":""}`, "citations_delta": `{"type":"text","text":""}`, "input_json_delta": `{"type":"tool_use","id":"c","name":"n","input":{}}`,
	"thinking_delta": `{"type":"thinking","thinking":"","signature":""}`, "signature_delta": `{"type":"thinking","thinking":"","signature":""}`, "compaction_delta": `{"type":"compaction","content":""}`,
}

// partWord says what becomes of parts that are not read.
func partWord(parts []wire.Part) string {
	for _, p := range parts {
		if p.Point == proviso.NoPoint {
			return "refused"
		}
	}
	return "media"
}

func answerWord(w wire.Wire, body string) string {
	r, err := w.Response([]byte(body))
	if err != nil {
		return "error " + err.Error()
	}
	c := &r.Choices[0]
	last := len(c.Calls) - 1
	switch {
	case len(c.Foreign) > 0:
		return partWord(c.Foreign)
	case last > 0 && c.Calls[last].Ran, last == 0 && c.Calls[0].ID == "c2" && c.Calls[0].Ran:
		return "call that ran"
	case last > 0, last == 0 && c.Calls[0].ID == "c2":
		return "call"
	case last == 0 && c.Calls[0].Result != nil:
		return "result"
	case len(c.Texts) > 0:
		return "text"
	}
	return "silent"
}

func requestWord(w wire.Wire, body string) string {
	q, err := w.Request([]byte(body))
	if err != nil {
		return "error " + err.Error()
	}
	switch {
	case len(q.Foreign) > 0:
		return partWord(q.Foreign)
	case len(q.Tools) > 0:
		return "tools"
	case len(q.Turns) == 0:
		return "silent"
	}
	switch b := q.Turns[0].Body.(type) {
	case *proviso.ToolCall:
		return "call"
	case *proviso.ToolResult:
		return "result"
	case *proviso.Message:
		return "text of " + string(b.Role)
	}
	return "unknown"
}

func toolWord(w wire.Wire, body string) string {
	q, err := w.Request([]byte(body))
	switch {
	case err != nil:
		return "error " + err.Error()
	case len(q.Foreign) > 0:
		return partWord(q.Foreign)
	case len(q.Tools) != 1:
		return fmt.Sprintf("%d tools", len(q.Tools))
	case q.Tools[0].Hosted:
		return "hosted " + q.Tools[0].Name
	}
	return "offered " + q.Tools[0].Name
}

func eventWord(w wire.Wire, kind, data string, blocks ...string) string {
	s := w.Stream()
	if w.Name() == "messages" && kind != "message_start" {
		s.Next(wire.Event{Name: "message_start", Data: []byte(`{"type":"message_start","message":{"content":[]}}`)})
		if kind != "content_block_start" {
			block := `{"type":"text","text":""}`
			for _, b := range blocks {
				block = b
			}
			s.Next(wire.Event{Name: "content_block_start", Data: []byte(`{"type":"content_block_start","index":0,"content_block":` + block + `}`)})
		}
	}
	c, err := s.Next(wire.Event{Name: kind, Data: []byte(data)})
	if err != nil {
		return "error " + err.Error()
	}
	word := map[wire.ChunkKind]string{wire.Around: "flows", wire.Text: "text", wire.Calls: "held", wire.End: "end", wire.Failed: "error"}[c.Kind]
	if !s.Regular() && c.Kind == wire.Calls {
		word = "held and written anew"
	}
	return word
}

// value is something that a member may say. Members that are lists say nothing.
func value(name string) string {
	switch name {
	case "messages", "choices", "content", "refusal", "role", "tool_calls", "system", "tools", "functions", "mcp_servers", "output", "input":
		return map[string]string{
			"content": `"t"`, "refusal": `"t"`, "role": `"assistant"`, "system": `"t"`, "input": `"t"`, "tool_calls": `[{"index":0,"id":"c2","type":"function","function":{"name":"n","arguments":"{}"}}]`,
			"tools": `[{"type":"web_search","name":"web_search"}]`, "functions": `[{"name":"f"}]`, "mcp_servers": `[{"type":"url","name":"s"}]`, "messages": `[{"role":"user","content":"t"}]`, "output": `[]`, "choices": `[]`,
		}[name]
	case "background":
		return "true"
	case "instructions", "stream", "model", "text":
		return map[string]string{"instructions": `"t"`, "stream": "true", "model": `"m"`, "text": `{"format":{"type":"text"}}`}[name]
	case "container":
		return `{"skills":[{"skill_id":"s"}]}`
	case "prediction":
		return `{"type":"content","content":"t"}`
	}
	return `{"x":1}`
}

func memberWord(w wire.Wire, base, name string) string {
	body := `{` + base + `,"` + name + `":` + value(name) + `}`
	if strings.HasPrefix(base, `"`+name+`"`) {
		body = `{"` + name + `":` + value(name) + `}`
	}
	q, err := w.Request([]byte(body))
	without, _ := w.Request([]byte(`{` + base + `}`))
	switch {
	case err != nil:
		return "error " + err.Error()
	case len(q.Foreign) > 0:
		return partWord(q.Foreign)
	case len(q.Tools) > 0 && q.Tools[0].Hosted:
		return "hosted"
	case len(q.Tools) > 0:
		return "tools"
	case len(q.Beside) > 0, len(q.Turns) > len(without.Turns), strings.HasPrefix(base, `"`+name+`"`):
		return "text"
	case q.Stream, q.Model != "", q.Forced != "":
		return "read"
	}
	return "setting"
}

func answerMemberWord(w wire.Wire, begin, name string) string {
	open := strings.Count(begin, "{") + strings.Count(begin, "[") - strings.Count(begin, "]") - 1
	if name == "choices" || name == "output" && w.Name() == "responses" || name == "content" && w.Name() == "messages" {
		return "read"
	}
	body := begin + `"` + name + `":` + value(name) + map[int]string{0: "}", 3: "}}]}"}[open]
	r, err := w.Response([]byte(body))
	if err != nil {
		return "error " + err.Error()
	}
	for _, c := range r.Choices {
		switch {
		case len(c.Foreign) > 0:
			return partWord(c.Foreign)
		case len(c.Calls) > 0:
			return "call"
		case len(c.Texts) > 0:
			return "text"
		}
	}
	return "setting"
}

// Every kind that the vendors' own clients know is read, refused or known to carry nothing, and the table says which. A new version of a client that knows more fails here until somebody has decided what becomes of it.
func TestEveryKindIsDecided(t *testing.T) {
	b, err := os.ReadFile("testdata/kinds.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, word, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			want[key] = word
		}
	}
	n := 0
	for _, u := range unions {
		if len(u.kinds) < 2 {
			t.Errorf("%s: the client lists only %q; the client has another form", u.name, u.kinds)
		}
		for _, k := range u.kinds {
			n++
			key := u.name + " " + k
			got := u.word(k)
			switch word, ok := want[key]; {
			case !ok:
				t.Errorf("%s is new: decide what becomes of it, and write the line\n%s: %s", key, key, got)
			case got != word:
				t.Errorf("%s: %s, want %s", key, got, word)
			}
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("%s is in the table, and no client knows it", key)
	}
	fmt.Printf("figure: gateway.kinds_decided = %d (n=%d)\n", n, n)
}
