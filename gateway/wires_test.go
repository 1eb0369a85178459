package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// said is one turn of a transcript in a test, whatever the wire.
type said struct {
	role string // user, assistant, system; tool for a result
	text string
	call string // of a result: the id of its call
	uses []use  // of the assistant
}

// use is a tool call in a test.
type use struct{ id, tool, args string }

// answer is what the model says in a test.
type answer struct {
	text string
	uses []use
}

// dialect writes requests and answers of one wire by hand, so that a test does not read what the code under test wrote.
type dialect struct {
	wire    wire.Wire
	request func(model string, turns []said, tools []string, stream bool) string
	plain   func(a answer) string
	stream  func(a answer) string
}

func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type m = map[string]any

var dialects = []dialect{
	{openai.Chat, chatRequest, chatPlain, chatStream},
	{openai.Responses, responsesRequest, responsesPlain, responsesStream},
	{anthropic.Messages, messagesRequest, messagesPlain, messagesStream},
}

func chatRequest(model string, turns []said, tools []string, stream bool) string {
	var list, ts []any
	for _, t := range turns {
		switch {
		case t.role == "tool":
			list = append(list, m{"role": "tool", "tool_call_id": t.call, "content": t.text})
		case t.uses != nil:
			var calls []any
			for _, u := range t.uses {
				calls = append(calls, m{"id": u.id, "type": "function", "function": m{"name": u.tool, "arguments": u.args}})
			}
			list = append(list, m{"role": "assistant", "content": t.text, "tool_calls": calls})
		default:
			list = append(list, m{"role": t.role, "content": t.text})
		}
	}
	for _, n := range tools {
		ts = append(ts, m{"type": "function", "function": m{"name": n, "parameters": m{"type": "object"}}})
	}
	doc := m{"model": model, "messages": list, "x_unknown": m{"keep": []any{1.50, "as it is"}}}
	if ts != nil {
		doc["tools"] = ts
	}
	if stream {
		doc["stream"] = true
	}
	return js(doc)
}

func chatCallsOf(uses []use) (out []any) {
	for _, u := range uses {
		out = append(out, m{"id": u.id, "type": "function", "function": m{"name": u.tool, "arguments": u.args}})
	}
	return out
}

func chatPlain(a answer) string {
	msg := m{"role": "assistant", "content": nil}
	finish := "stop"
	if a.text != "" {
		msg["content"] = a.text
	}
	if a.uses != nil {
		msg["tool_calls"], finish = chatCallsOf(a.uses), "tool_calls"
	}
	return js(m{"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m", "x_extra": 1, "choices": []any{m{"index": 0, "message": msg, "finish_reason": finish}}, "usage": m{"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
}

func data(events ...any) string {
	var b strings.Builder
	for _, e := range events {
		if s, ok := e.(string); ok {
			fmt.Fprintf(&b, "data: %s\n\n", s)
			continue
		}
		fmt.Fprintf(&b, "data: %s\n\n", js(e))
	}
	return b.String()
}

// pieces cuts a text into parts of n runes.
func pieces(s string, n int) (out []string) {
	r := []rune(s)
	for len(r) > n {
		out, r = append(out, string(r[:n])), r[n:]
	}
	return append(out, string(r))
}

func chatStream(a answer) string {
	chunk := func(delta m, finish any) any {
		return m{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": []any{m{"index": 0, "delta": delta, "finish_reason": finish}}}
	}
	events := []any{chunk(m{"role": "assistant", "content": ""}, nil)}
	if a.text != "" {
		for _, p := range pieces(a.text, 4) {
			events = append(events, chunk(m{"content": p}, nil))
		}
	}
	finish := "stop"
	for i, u := range a.uses {
		finish = "tool_calls"
		events = append(events, chunk(m{"tool_calls": []any{m{"index": i, "id": u.id, "type": "function", "function": m{"name": u.tool, "arguments": ""}}}}, nil))
		for _, p := range pieces(u.args, 5) {
			events = append(events, chunk(m{"tool_calls": []any{m{"index": i, "function": m{"arguments": p}}}}, nil))
		}
	}
	events = append(events, chunk(m{}, finish), m{"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": []any{}, "usage": m{"total_tokens": 7}}, "[DONE]")
	return data(events...)
}

func responsesRequest(model string, turns []said, tools []string, stream bool) string {
	var list, ts []any
	for _, t := range turns {
		switch {
		case t.role == "tool":
			list = append(list, m{"type": "function_call_output", "call_id": t.call, "output": t.text})
		case t.uses != nil:
			if t.text != "" {
				list = append(list, m{"type": "message", "role": "assistant", "content": []any{m{"type": "output_text", "text": t.text}}})
			}
			for _, u := range t.uses {
				list = append(list, m{"type": "function_call", "call_id": u.id, "name": u.tool, "arguments": u.args})
			}
		default:
			kind := "input_text"
			if t.role == "assistant" {
				kind = "output_text"
			}
			list = append(list, m{"role": t.role, "content": []any{m{"type": kind, "text": t.text}}})
		}
	}
	for _, n := range tools {
		ts = append(ts, m{"type": "function", "name": n, "parameters": m{"type": "object"}})
	}
	doc := m{"model": model, "input": list, "x_unknown": m{"keep": []any{1.50, "as it is"}}}
	if ts != nil {
		doc["tools"] = ts
	}
	if stream {
		doc["stream"] = true
	}
	return js(doc)
}

func responsesDoc(a answer, status string) m {
	output := []any{}
	if a.text != "" {
		output = append(output, m{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{m{"type": "output_text", "text": a.text, "annotations": []any{}}}})
	}
	for _, u := range a.uses {
		output = append(output, m{"id": "fc_" + u.id, "type": "function_call", "call_id": u.id, "name": u.tool, "arguments": u.args, "status": "completed"})
	}
	if status == "in_progress" {
		output = []any{}
	}
	return m{"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": status, "output": output, "parallel_tool_calls": true, "tools": []any{}, "x_extra": 1}
}

func responsesPlain(a answer) string { return js(responsesDoc(a, "completed")) }

func named(events ...m) string {
	var b strings.Builder
	for i, e := range events {
		if _, ok := e["response"]; ok || strings.HasPrefix(e["type"].(string), "response.") {
			e["sequence_number"] = i
		}
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", e["type"], js(e))
	}
	return b.String()
}

func responsesStream(a answer) string {
	events := []m{{"type": "response.created", "response": responsesDoc(a, "in_progress")}, {"type": "response.in_progress", "response": responsesDoc(a, "in_progress")}}
	n := 0
	if a.text != "" {
		part := m{"type": "output_text", "text": a.text, "annotations": []any{}}
		events = append(events,
			m{"type": "response.output_item.added", "output_index": n, "item": m{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}},
			m{"type": "response.content_part.added", "item_id": "msg_1", "output_index": n, "content_index": 0, "part": m{"type": "output_text", "text": "", "annotations": []any{}}})
		for _, p := range pieces(a.text, 4) {
			events = append(events, m{"type": "response.output_text.delta", "item_id": "msg_1", "output_index": n, "content_index": 0, "delta": p})
		}
		events = append(events,
			m{"type": "response.output_text.done", "item_id": "msg_1", "output_index": n, "content_index": 0, "text": a.text},
			m{"type": "response.content_part.done", "item_id": "msg_1", "output_index": n, "content_index": 0, "part": part},
			m{"type": "response.output_item.done", "output_index": n, "item": m{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{part}}})
		n++
	}
	for _, u := range a.uses {
		item := func(args, status string) m {
			return m{"id": "fc_" + u.id, "type": "function_call", "call_id": u.id, "name": u.tool, "arguments": args, "status": status}
		}
		events = append(events, m{"type": "response.output_item.added", "output_index": n, "item": item("", "in_progress")})
		for _, p := range pieces(u.args, 5) {
			events = append(events, m{"type": "response.function_call_arguments.delta", "item_id": "fc_" + u.id, "output_index": n, "delta": p})
		}
		events = append(events,
			m{"type": "response.function_call_arguments.done", "item_id": "fc_" + u.id, "output_index": n, "arguments": u.args},
			m{"type": "response.output_item.done", "output_index": n, "item": item(u.args, "completed")})
		n++
	}
	events = append(events, m{"type": "response.completed", "response": responsesDoc(a, "completed")})
	return named(events...)
}

func messagesRequest(model string, turns []said, tools []string, stream bool) string {
	var list, ts []any
	doc := m{"model": model, "max_tokens": 100, "x_unknown": m{"keep": []any{1.50, "as it is"}}}
	for _, t := range turns {
		switch {
		case t.role == "system":
			doc["system"] = []any{m{"type": "text", "text": t.text, "cache_control": m{"type": "ephemeral"}}}
		case t.role == "tool":
			list = append(list, m{"role": "user", "content": []any{m{"type": "tool_result", "tool_use_id": t.call, "content": t.text}}})
		case t.uses != nil:
			var blocks []any
			if t.text != "" {
				blocks = append(blocks, m{"type": "text", "text": t.text})
			}
			for _, u := range t.uses {
				blocks = append(blocks, m{"type": "tool_use", "id": u.id, "name": u.tool, "input": json.RawMessage(u.args)})
			}
			list = append(list, m{"role": "assistant", "content": blocks})
		default:
			list = append(list, m{"role": t.role, "content": t.text})
		}
	}
	for _, n := range tools {
		ts = append(ts, m{"name": n, "input_schema": m{"type": "object"}})
	}
	doc["messages"] = list
	if ts != nil {
		doc["tools"] = ts
	}
	if stream {
		doc["stream"] = true
	}
	return js(doc)
}

func messagesPlain(a answer) string {
	content := []any{}
	stop := "end_turn"
	if a.text != "" {
		content = append(content, m{"type": "text", "text": a.text})
	}
	for _, u := range a.uses {
		stop = "tool_use"
		var input any = u.args
		if json.Valid([]byte(u.args)) {
			input = json.RawMessage(u.args)
		}
		content = append(content, m{"type": "tool_use", "id": u.id, "name": u.tool, "input": input})
	}
	return js(m{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "x_extra": 1, "content": content, "stop_reason": stop, "stop_sequence": nil, "usage": m{"input_tokens": 3, "output_tokens": 4}})
}

func messagesStream(a answer) string {
	events := []m{{"type": "message_start", "message": m{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": m{"input_tokens": 3, "output_tokens": 1}}}, {"type": "ping"}}
	n, stop := 0, "end_turn"
	if a.text != "" {
		events = append(events, m{"type": "content_block_start", "index": n, "content_block": m{"type": "text", "text": ""}})
		for _, p := range pieces(a.text, 4) {
			events = append(events, m{"type": "content_block_delta", "index": n, "delta": m{"type": "text_delta", "text": p}})
		}
		events = append(events, m{"type": "content_block_stop", "index": n})
		n++
	}
	for _, u := range a.uses {
		stop = "tool_use"
		events = append(events, m{"type": "content_block_start", "index": n, "content_block": m{"type": "tool_use", "id": u.id, "name": u.tool, "input": m{}}})
		for _, p := range pieces(u.args, 5) {
			events = append(events, m{"type": "content_block_delta", "index": n, "delta": m{"type": "input_json_delta", "partial_json": p}})
		}
		events = append(events, m{"type": "content_block_stop", "index": n})
		n++
	}
	events = append(events, m{"type": "message_delta", "delta": m{"stop_reason": stop, "stop_sequence": nil}, "usage": m{"output_tokens": 4}}, m{"type": "message_stop"})
	return named(events...)
}

// got is what a client ends up with.
type got struct {
	status int
	text   string
	uses   []use
	raw    string
	failed bool // an error object, or a stream that ends with one
}

// read reads what came back, plain or streamed, with the wire's own reader.
func (d dialect) read(t *testing.T, status int, kind, body string) got {
	t.Helper()
	g := got{status: status, raw: body}
	var r *wire.Response
	var err error
	if strings.HasPrefix(kind, "text/event-stream") {
		rd, st := wire.NewReader(strings.NewReader(body)), d.wire.Stream()
		for {
			ev, end := rd.Next()
			if end != nil {
				break
			}
			if strings.Contains(string(ev.Data), `"error":{`) || ev.Name == "error" {
				g.failed = true
			}
			if _, err := st.Next(ev); err != nil {
				t.Fatalf("event %s: %v", ev.Raw, err)
			}
		}
		r, err = st.Response()
	} else {
		if strings.Contains(body, `"error":{`) && status != 200 {
			g.failed = true
			return g
		}
		r, err = d.wire.Response([]byte(body))
	}
	if g.failed {
		return g
	}
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for i := range r.Choices {
		g.text += r.Choices[i].Text()
		for _, c := range r.Choices[i].Calls {
			g.uses = append(g.uses, use{c.ID, c.Tool, string(c.Args)})
		}
	}
	return g
}
