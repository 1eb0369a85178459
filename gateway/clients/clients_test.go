// Package clients drives the gateway with the vendors' own Go clients. It is a module of its own, so that they are no dependency of Proviso.
package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	aoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/proviso-dev/proviso/gateway"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/policy/pack"
)

// open makes a gateway with the pack of the gateway's own tests before an upstream that answers the same to everybody.
func open(t *testing.T, answer http.HandlerFunc, asError bool) string {
	t.Helper()
	up := httptest.NewServer(answer)
	p, found := pack.Load(os.DirFS("../testdata/desk"), ".")
	if p == nil {
		t.Fatal(found)
	}
	s, err := gateway.New(context.Background(), gateway.Config{
		Load:    func(context.Context) (*gateway.Rules, error) { return &gateway.Rules{Base: []*pack.Pack{p}}, nil },
		Journal: &journal.Memory{}, Approvals: &guard.MemoryApprovals{},
		Upstreams: []gateway.Upstream{{Name: "u", URL: up.URL, Private: true}},
		Denials:   gateway.Denials{AsError: asError},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() { srv.Close(); s.Close(); up.Close() })
	return srv.URL
}

type m = map[string]any

func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// both answers a request as it asks: plain or as a stream.
func both(plain, stream string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(string(b), `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, stream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, plain)
	}
}

const (
	good = `{"id":"A"}`
	bad  = `{"to":"x@evil.org","subject":"s","body":"b"}`
)

// What the model says in every test here: a text, a call that is allowed, one that is denied, one that is edited.
func chatAnswers() http.HandlerFunc {
	calls := []any{
		m{"id": "c1", "type": "function", "function": m{"name": "lookup", "arguments": good}}, m{"id": "c2", "type": "function", "function": m{"name": "mail", "arguments": bad}},
		m{"id": "c3", "type": "function", "function": m{"name": "mail", "arguments": `{"to":"x@example.com","body":"b"}`}}}
	plain := js(m{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []any{m{"index": 0, "finish_reason": "tool_calls", "message": m{"role": "assistant", "content": "I look.", "tool_calls": calls}}}})
	var b strings.Builder
	chunk := func(delta m, finish any) {
		fmt.Fprintf(&b, "data: %s\n\n", js(m{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []any{m{"index": 0, "delta": delta, "finish_reason": finish}}}))
	}
	chunk(m{"role": "assistant", "content": ""}, nil)
	chunk(m{"content": "I "}, nil)
	chunk(m{"content": "look."}, nil)
	for i, c := range calls {
		f := c.(m)["function"].(m)
		args := f["arguments"].(string)
		chunk(m{"tool_calls": []any{m{"index": i, "id": c.(m)["id"], "type": "function", "function": m{"name": f["name"], "arguments": ""}}}}, nil)
		chunk(m{"tool_calls": []any{m{"index": i, "function": m{"arguments": args[:5]}}}}, nil)
		chunk(m{"tool_calls": []any{m{"index": i, "function": m{"arguments": args[5:]}}}}, nil)
	}
	chunk(m{}, "tool_calls")
	b.WriteString("data: [DONE]\n\n")
	return both(plain, b.String())
}

// want is what every client has to end up with.
func want(t *testing.T, text string, calls []string) {
	t.Helper()
	if !strings.Contains(text, "I look.") || !strings.Contains(text, "mail-1") || strings.Contains(text, "evil") {
		t.Errorf("text %q", text)
	}
	if got := strings.Join(calls, " "); got != `lookup{"id":"A"} mail{"body":"b","subject":"(no subject)","to":"x@example.com"}` {
		t.Errorf("calls %s", got)
	}
}

func openaiClient(url string) openai.Client {
	return openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("k"), option.WithMaxRetries(0))
}

func chatParams(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "m", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func TestOpenAIChat(t *testing.T) {
	c := openaiClient(open(t, chatAnswers(), false))
	got, err := c.Chat.Completions.New(context.Background(), chatParams("hello"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(msg openai.ChatCompletionMessage) {
		t.Helper()
		var calls []string
		for _, x := range msg.ToolCalls {
			calls = append(calls, x.Function.Name+x.Function.Arguments)
		}
		want(t, msg.Content, calls)
	}
	read(got.Choices[0].Message)
	stream := c.Chat.Completions.NewStreaming(context.Background(), chatParams("hello"))
	acc := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		if !acc.AddChunk(stream.Current()) {
			t.Errorf("a chunk that does not fit: %s", stream.Current().RawJSON())
		}
	}
	if stream.Err() != nil || len(acc.Choices) != 1 {
		t.Fatalf("%v %+v", stream.Err(), acc)
	}
	read(acc.Choices[0].Message)
}

func TestOpenAIDenials(t *testing.T) {
	c := openaiClient(open(t, chatAnswers(), true))
	_, err := c.Chat.Completions.New(context.Background(), chatParams("plutonium"))
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != 403 || e.Code != "policy_denied" || !strings.Contains(e.Message, "words-1") {
		t.Errorf("%v", err)
	}
	soft := openaiClient(open(t, chatAnswers(), false))
	got, err := soft.Chat.Completions.New(context.Background(), chatParams("plutonium"))
	if err != nil || got.Choices[0].FinishReason != "content_filter" || !strings.Contains(got.Choices[0].Message.Refusal, "words-1") {
		t.Errorf("%v %+v", err, got)
	}
	stream := soft.Chat.Completions.NewStreaming(context.Background(), chatParams("plutonium"))
	acc := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		acc.AddChunk(stream.Current())
	}
	if stream.Err() != nil || len(acc.Choices) != 1 || acc.Choices[0].FinishReason != "content_filter" || !strings.Contains(acc.Choices[0].Message.Refusal, "words-1") {
		t.Errorf("%v %+v", stream.Err(), acc.Choices)
	}
}

func responsesAnswers() http.HandlerFunc {
	item := func(id, name, args, status string) m {
		return m{"id": "fc_" + id, "type": "function_call", "call_id": id, "name": name, "arguments": args, "status": status}
	}
	message := m{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{m{"type": "output_text", "text": "I look.", "annotations": []any{}}}}
	all := [][3]string{{"c1", "lookup", good}, {"c2", "mail", bad}, {"c3", "mail", `{"to":"x@example.com","body":"b"}`}}
	output := []any{message}
	for _, c := range all {
		output = append(output, item(c[0], c[1], c[2], "completed"))
	}
	doc := func(status string, output []any) m {
		return m{"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output, "tools": []any{}, "parallel_tool_calls": true}
	}
	var b strings.Builder
	n := 0
	event := func(kind string, more m) {
		more["type"], more["sequence_number"] = kind, n
		n++
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, js(more))
	}
	event("response.created", m{"response": doc("in_progress", []any{})})
	event("response.output_item.added", m{"output_index": 0, "item": m{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}})
	event("response.content_part.added", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": m{"type": "output_text", "text": "", "annotations": []any{}}})
	event("response.output_text.delta", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "I look."})
	event("response.output_text.done", m{"item_id": "msg_1", "output_index": 0, "content_index": 0, "text": "I look."})
	event("response.output_item.done", m{"output_index": 0, "item": message})
	for i, c := range all {
		event("response.output_item.added", m{"output_index": i + 1, "item": item(c[0], c[1], "", "in_progress")})
		event("response.function_call_arguments.delta", m{"item_id": "fc_" + c[0], "output_index": i + 1, "delta": c[2]})
		event("response.function_call_arguments.done", m{"item_id": "fc_" + c[0], "output_index": i + 1, "arguments": c[2]})
		event("response.output_item.done", m{"output_index": i + 1, "item": item(c[0], c[1], c[2], "completed")})
	}
	event("response.completed", m{"response": doc("completed", output)})
	return both(js(doc("completed", output)), b.String())
}

func TestOpenAIResponses(t *testing.T) {
	c := openaiClient(open(t, responsesAnswers(), false))
	params := responses.ResponseNewParams{Model: "m", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hello")}}
	read := func(r *responses.Response) {
		t.Helper()
		var calls []string
		for _, o := range r.Output {
			if o.Type == "function_call" {
				calls = append(calls, o.AsFunctionCall().Name+o.AsFunctionCall().Arguments)
			}
		}
		want(t, r.OutputText(), calls)
	}
	got, err := c.Responses.New(context.Background(), params)
	if err != nil {
		t.Fatal(err)
	}
	read(got)
	stream := c.Responses.NewStreaming(context.Background(), params)
	var final responses.Response
	var text strings.Builder
	last := int64(-1)
	for stream.Next() {
		ev := stream.Current()
		if ev.SequenceNumber != last+1 {
			t.Errorf("event %d after %d", ev.SequenceNumber, last)
		}
		last = ev.SequenceNumber
		switch v := ev.AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			text.WriteString(v.Delta)
		case responses.ResponseCompletedEvent:
			final = v.Response
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	read(&final)
	if !strings.Contains(text.String(), "mail-1") {
		t.Errorf("deltas %q", text.String())
	}
}

func messagesAnswers() http.HandlerFunc {
	all := [][3]string{{"c1", "lookup", good}, {"c2", "mail", bad}, {"c3", "mail", `{"to":"x@example.com","body":"b"}`}}
	content := []any{m{"type": "text", "text": "I look."}}
	for _, c := range all {
		content = append(content, m{"type": "tool_use", "id": c[0], "name": c[1], "input": json.RawMessage(c[2])})
	}
	usage := m{"input_tokens": 1, "output_tokens": 1}
	plain := js(m{"id": "1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "tool_use", "stop_sequence": nil, "usage": usage})
	var b strings.Builder
	event := func(kind string, more m) {
		more["type"] = kind
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, js(more))
	}
	event("message_start", m{"message": m{"id": "1", "type": "message", "role": "assistant", "model": "m", "content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": usage}})
	event("content_block_start", m{"index": 0, "content_block": m{"type": "text", "text": ""}})
	event("content_block_delta", m{"index": 0, "delta": m{"type": "text_delta", "text": "I look."}})
	event("content_block_stop", m{"index": 0})
	for i, c := range all {
		event("content_block_start", m{"index": i + 1, "content_block": m{"type": "tool_use", "id": c[0], "name": c[1], "input": m{}}})
		event("content_block_delta", m{"index": i + 1, "delta": m{"type": "input_json_delta", "partial_json": c[2][:4]}})
		event("content_block_delta", m{"index": i + 1, "delta": m{"type": "input_json_delta", "partial_json": c[2][4:]}})
		event("content_block_stop", m{"index": i + 1})
	}
	event("message_delta", m{"delta": m{"stop_reason": "tool_use", "stop_sequence": nil}, "usage": m{"output_tokens": 9}})
	event("message_stop", m{})
	return both(plain, b.String())
}

func TestAnthropicMessages(t *testing.T) {
	url := open(t, messagesAnswers(), false)
	c := anthropic.NewClient(aoption.WithBaseURL(url), aoption.WithAPIKey("k"), aoption.WithMaxRetries(0))
	params := func(text string) anthropic.MessageNewParams {
		return anthropic.MessageNewParams{Model: "m", MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
	}
	read := func(msg *anthropic.Message) {
		t.Helper()
		var text string
		var calls []string
		for _, b := range msg.Content {
			switch v := b.AsAny().(type) {
			case anthropic.TextBlock:
				text += v.Text
			case anthropic.ToolUseBlock:
				calls = append(calls, v.Name+string(v.Input))
			}
		}
		want(t, text, calls)
		if msg.StopReason != "tool_use" {
			t.Errorf("stop reason %s", msg.StopReason)
		}
	}
	got, err := c.Messages.New(context.Background(), params("hello"))
	if err != nil {
		t.Fatal(err)
	}
	read(got)
	stream := c.Messages.NewStreaming(context.Background(), params("hello"))
	var acc anthropic.Message
	for stream.Next() {
		if err := acc.Accumulate(stream.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	read(&acc)
	refused, err := c.Messages.New(context.Background(), params("plutonium"))
	if err != nil || refused.StopReason != "refusal" || !strings.Contains(refused.Content[0].Text, "words-1") {
		t.Errorf("%v %+v", err, refused)
	}
	hard := anthropic.NewClient(aoption.WithBaseURL(open(t, messagesAnswers(), true)), aoption.WithAPIKey("k"), aoption.WithMaxRetries(0))
	_, err = hard.Messages.New(context.Background(), params("plutonium"))
	var e *anthropic.Error
	if !errors.As(err, &e) || e.StatusCode != 403 || !strings.Contains(e.RawJSON(), "permission_error") {
		t.Errorf("%v", err)
	}
}
