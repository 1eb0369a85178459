package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	aoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// use is a call that the model makes in a test.
type use struct{ id, tool, args string }

// denials are what the model says, or is asked, and what a client has to end up with: a text of ours and the calls that are left, or an error where denials are told as errors.
var denials = []struct {
	name  string
	asked string
	text  string
	uses  []use

	says   string // the client reads this
	calls  string // and these calls
	failed bool   // where denials are told as errors it is one
}{
	{name: "question", asked: "plutonium", text: "fine", says: "words-1", failed: true},
	{name: "text", asked: "hello", text: "take plutonium", says: "words-1", failed: true},
	{name: "call", asked: "hello", uses: []use{{"c1", "mail", bad}}, says: "mail-1", failed: true},
	{name: "unknown call", asked: "hello", uses: []use{{"c1", "no_such", `{}`}}, says: "no_such", failed: true},
	{name: "call behind a text", asked: "hello", text: "I look, and then I send it to somebody else. Wait.", uses: []use{{"c1", "mail", bad}}, says: "mail-1"},
	{name: "first of two calls", asked: "hello", uses: []use{{"c1", "mail", bad}, {"c2", "lookup", good}}, says: "mail-1", calls: "lookup" + good},
	{name: "second of two calls behind a text", asked: "hello", text: "I look.", uses: []use{{"c1", "lookup", good}, {"c2", "mail", bad}}, says: "mail-1", calls: "lookup" + good},
}

// read is what a client ended up with.
type read struct {
	text, calls string
	err         error
	status      int // of an error over HTTP
	code        string
}

// clientsRead ask the gateway as the vendors' clients do, plain and streamed.
var clientsRead = []struct {
	name   string
	answer func(text string, uses []use) http.HandlerFunc
	ask    func(url, text string, stream bool) read
}{
	{"chat", sayChat, askChat},
	{"responses", sayResponses, askResponses},
	{"messages", sayMessages, askMessages},
	{"messages beta", sayMessages, askBeta},
}

func TestDenialsAreRead(t *testing.T) {
	for _, c := range clientsRead {
		for _, d := range denials {
			for _, asError := range []bool{false, true} {
				for _, stream := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/error=%v/stream=%v", c.name, d.name, asError, stream), func(t *testing.T) {
						got := c.ask(open(t, c.answer(d.text, d.uses), asError), d.asked, stream)
						failed := asError && d.failed || asError && !stream && d.calls == ""
						if failed {
							if got.err == nil || got.status != http.StatusForbidden || !strings.Contains(got.err.Error()+got.code, "policy") {
								t.Errorf("want an error of status 403: %+v", got)
							}
							return
						}
						if got.err != nil || !strings.Contains(got.text, d.says) || got.calls != d.calls {
							t.Errorf("want %q and the calls %q: %+v", d.says, d.calls, got)
						}
						if d.calls != "" || d.text != "" && d.name != "text" && d.name != "question" {
							if !strings.Contains(got.text, d.text) {
								t.Errorf("the model's own text is lost: %+v", got)
							}
						}
					})
				}
			}
		}
	}
}

func sayChat(text string, uses []use) http.HandlerFunc {
	var calls []any
	msg := m{"role": "assistant", "content": nil}
	finish := "stop"
	if text != "" {
		msg["content"] = text
	}
	chunk := func(delta m, finish any) string {
		return "data: " + js(m{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []any{m{"index": 0, "delta": delta, "finish_reason": finish}}}) + "\n\n"
	}
	stream := chunk(m{"role": "assistant", "content": ""}, nil)
	for _, p := range strings.SplitAfter(text, " ") {
		stream += chunk(m{"content": p}, nil)
	}
	for i, u := range uses {
		finish = "tool_calls"
		calls = append(calls, m{"id": u.id, "type": "function", "function": m{"name": u.tool, "arguments": u.args}})
		stream += chunk(m{"tool_calls": []any{m{"index": i, "id": u.id, "type": "function", "function": m{"name": u.tool, "arguments": ""}}}}, nil)
		stream += chunk(m{"tool_calls": []any{m{"index": i, "function": m{"arguments": u.args}}}}, nil)
	}
	if calls != nil {
		msg["tool_calls"] = calls
	}
	stream += chunk(m{}, finish) + "data: [DONE]\n\n"
	return both(js(m{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []any{m{"index": 0, "finish_reason": finish, "message": msg}}}), stream)
}

func sayResponses(text string, uses []use) http.HandlerFunc {
	output := []any{}
	var b strings.Builder
	n := 0
	event := func(kind string, more m) {
		more["type"], more["sequence_number"] = kind, n
		n++
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, js(more))
	}
	doc := func(status string, output []any) m {
		return m{"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output, "tools": []any{}, "parallel_tool_calls": true}
	}
	event("response.created", m{"response": doc("in_progress", []any{})})
	if text != "" {
		part := m{"type": "output_text", "text": text, "annotations": []any{}}
		item := m{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{part}}
		event("response.output_item.added", m{"output_index": 0, "item": m{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}})
		event("response.content_part.added", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": m{"type": "output_text", "text": "", "annotations": []any{}}})
		for _, p := range strings.SplitAfter(text, " ") {
			event("response.output_text.delta", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": p})
		}
		event("response.output_text.done", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "text": text})
		event("response.content_part.done", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part})
		event("response.output_item.done", m{"output_index": 0, "item": item})
		output = append(output, item)
	}
	for _, u := range uses {
		item := func(args string) m {
			return m{"id": "fc_" + u.id, "type": "function_call", "call_id": u.id, "name": u.tool, "arguments": args, "status": "completed"}
		}
		at := len(output)
		event("response.output_item.added", m{"output_index": at, "item": item("")})
		event("response.function_call_arguments.delta", m{"item_id": "fc_" + u.id, "output_index": at, "delta": u.args})
		event("response.function_call_arguments.done", m{"item_id": "fc_" + u.id, "output_index": at, "arguments": u.args})
		event("response.output_item.done", m{"output_index": at, "item": item(u.args)})
		output = append(output, item(u.args))
	}
	event("response.completed", m{"response": doc("completed", output)})
	return both(js(doc("completed", output)), b.String())
}

func sayMessages(text string, uses []use) http.HandlerFunc {
	content := []any{}
	stop := "end_turn"
	var b strings.Builder
	event := func(kind string, more m) {
		more["type"] = kind
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, js(more))
	}
	usage := m{"input_tokens": 1, "output_tokens": 1}
	event("message_start", m{"message": m{"id": "1", "type": "message", "role": "assistant", "model": "m", "content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": usage}})
	if text != "" {
		event("content_block_start", m{"index": 0, "content_block": m{"type": "text", "text": ""}})
		for _, p := range strings.SplitAfter(text, " ") {
			event("content_block_delta", m{"index": 0, "delta": m{"type": "text_delta", "text": p}})
		}
		event("content_block_stop", m{"index": 0})
		content = append(content, m{"type": "text", "text": text})
	}
	for _, u := range uses {
		stop = "tool_use"
		event("content_block_start", m{"index": len(content), "content_block": m{"type": "tool_use", "id": u.id, "name": u.tool, "input": m{}}})
		event("content_block_delta", m{"index": len(content), "delta": m{"type": "input_json_delta", "partial_json": u.args}})
		event("content_block_stop", m{"index": len(content)})
		content = append(content, m{"type": "tool_use", "id": u.id, "name": u.tool, "input": json.RawMessage(u.args)})
	}
	event("message_delta", m{"delta": m{"stop_reason": stop, "stop_sequence": nil}, "usage": m{"output_tokens": 9}})
	event("message_stop", m{})
	return both(js(m{"id": "1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop, "stop_sequence": nil, "usage": usage}), b.String())
}

// openaiError takes apart what the client of OpenAI makes of an error.
func openaiError(err error) read {
	var e *openai.Error
	if errors.As(err, &e) {
		return read{err: err, status: e.StatusCode, code: e.Code}
	}
	return read{err: err}
}

func askChat(url, text string, stream bool) read {
	c := openaiClient(url)
	var msg openai.ChatCompletionMessage
	if stream {
		s := c.Chat.Completions.NewStreaming(context.Background(), chatParams(text))
		acc := openai.ChatCompletionAccumulator{}
		for s.Next() {
			if !acc.AddChunk(s.Current()) {
				return read{err: errors.New("a chunk that does not fit: " + s.Current().RawJSON())}
			}
		}
		if s.Err() != nil {
			return openaiError(s.Err())
		}
		if len(acc.Choices) != 1 {
			return read{err: fmt.Errorf("%d choices", len(acc.Choices))}
		}
		msg = acc.Choices[0].Message
	} else {
		got, err := c.Chat.Completions.New(context.Background(), chatParams(text))
		if err != nil {
			return openaiError(err)
		}
		msg = got.Choices[0].Message
	}
	out := read{text: msg.Content + msg.Refusal}
	for _, x := range msg.ToolCalls {
		out.calls += x.Function.Name + x.Function.Arguments
	}
	return out
}

func askResponses(url, text string, stream bool) read {
	c := openaiClient(url)
	params := responses.ResponseNewParams{Model: "m", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)}}
	var got *responses.Response
	var deltas strings.Builder
	if stream {
		s := c.Responses.NewStreaming(context.Background(), params)
		last := int64(-1)
		for s.Next() {
			ev := s.Current()
			if ev.SequenceNumber != last+1 {
				return read{err: fmt.Errorf("event %d after %d", ev.SequenceNumber, last)}
			}
			last = ev.SequenceNumber
			switch v := ev.AsAny().(type) {
			case responses.ResponseTextDeltaEvent:
				deltas.WriteString(v.Delta)
			case responses.ResponseRefusalDeltaEvent:
				deltas.WriteString(v.Delta)
			case responses.ResponseCompletedEvent:
				got = &v.Response
			case responses.ResponseFailedEvent:
				return read{err: errors.New(v.Response.Error.Message), code: string(v.Response.Error.Code), status: http.StatusForbidden}
			}
		}
		if s.Err() != nil {
			return openaiError(s.Err())
		}
		if got == nil {
			return read{err: errors.New("no completed response")}
		}
	} else {
		var err error
		if got, err = c.Responses.New(context.Background(), params); err != nil {
			return openaiError(err)
		}
	}
	var out read
	for _, o := range got.Output {
		switch v := o.AsAny().(type) {
		case responses.ResponseOutputMessage:
			for _, p := range v.Content {
				out.text += p.Text + p.Refusal
			}
		case responses.ResponseFunctionToolCall:
			out.calls += v.Name + v.Arguments
		}
	}
	if stream && deltas.String() != out.text {
		out.err = fmt.Errorf("the deltas say %q, the whole %q", deltas.String(), out.text)
	}
	return out
}

// anthropicError takes apart what the client of Anthropic makes of an error.
func anthropicError(err error) read {
	var e *anthropic.Error
	if errors.As(err, &e) {
		return read{err: err, status: e.StatusCode, code: e.RawJSON()}
	}
	return read{err: err}
}

func askMessages(url, text string, stream bool) read {
	c := anthropic.NewClient(aoption.WithBaseURL(url), aoption.WithAPIKey("k"), aoption.WithMaxRetries(0))
	params := anthropic.MessageNewParams{Model: "m", MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
	var msg anthropic.Message
	if stream {
		s := c.Messages.NewStreaming(context.Background(), params)
		for s.Next() {
			if err := msg.Accumulate(s.Current()); err != nil {
				return read{err: err}
			}
		}
		if s.Err() != nil {
			return anthropicError(s.Err())
		}
	} else {
		got, err := c.Messages.New(context.Background(), params)
		if err != nil {
			return anthropicError(err)
		}
		msg = *got
	}
	var out read
	for _, b := range msg.Content {
		switch v := b.AsAny().(type) {
		case anthropic.TextBlock:
			out.text += v.Text
		case anthropic.ToolUseBlock:
			out.calls += v.Name + string(v.Input)
		}
	}
	return out
}

func askBeta(url, text string, stream bool) read {
	c := anthropic.NewClient(aoption.WithBaseURL(url), aoption.WithAPIKey("k"), aoption.WithMaxRetries(0))
	params := anthropic.BetaMessageNewParams{Model: "m", MaxTokens: 100, Betas: []anthropic.AnthropicBeta{"context-1m-2025-08-07"}, Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock(text))}}
	var msg anthropic.BetaMessage
	if stream {
		s := c.Beta.Messages.NewStreaming(context.Background(), params)
		for s.Next() {
			if err := msg.Accumulate(s.Current()); err != nil {
				return read{err: err}
			}
		}
		if s.Err() != nil {
			return anthropicError(s.Err())
		}
	} else {
		got, err := c.Beta.Messages.New(context.Background(), params)
		if err != nil {
			return anthropicError(err)
		}
		msg = *got
	}
	var out read
	for _, b := range msg.Content {
		switch v := b.AsAny().(type) {
		case anthropic.BetaTextBlock:
			out.text += v.Text
		case anthropic.BetaToolUseBlock:
			input, _ := json.Marshal(v.Input)
			out.calls += v.Name + string(input)
		}
	}
	return out
}
