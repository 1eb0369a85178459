package gateway

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/llm/anthropic"
	"github.com/proviso-dev/proviso/llm/openai"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Streams whose events do not come as the vendors document them. In each something that the policy does not allow stands where some client would read it: LEAK is a part of it, and of nothing that we say.
var strangeStreams = []struct {
	wire wire.Wire
	name string
	body string
}{
	{openai.Chat, "error beside a call", data(m{"error": m{"message": "oh"}, "choices": []any{m{"index": 0, "delta": m{"tool_calls": []any{chatErase(0)}}}}})},
	{openai.Chat, "error beside a text", data(m{"error": m{"message": "oh"}, "choices": []any{m{"index": 0, "delta": m{"content": "LEAK plutonium"}}}})},
	{openai.Chat, "message in a chunk", chunks(m{"content": "hello there, all is well"}, nil, m{"message": m{"role": "assistant", "tool_calls": []any{chatErase(0)}}})},
	{openai.Chat, "calls beside the delta", chunks(m{"content": "hello there, all is well"}, nil, m{"tool_calls": []any{chatErase(0)}})},
	{openai.Chat, "a key like tool_calls in a delta", chunks(m{"content": "hello there, all is well"}, m{"Tool_Calls": []any{chatErase(0)}}, nil)},
	{openai.Chat, "a key like choices in a chunk", data(m{"choices": []any{m{"index": 0, "delta": m{"content": "hello there, all is well"}}}}, m{"choices": []any{}, "Choices": []any{m{"index": 0, "delta": m{"tool_calls": []any{chatErase(0)}}}}}, m{"choices": []any{m{"index": 0, "delta": m{}, "finish_reason": "stop"}}}, "[DONE]")},
	{openai.Chat, "another field of calls", chunks(m{"content": "hello there, all is well"}, m{"executed_tools": []any{m{"name": "erase", "arguments": "LEAK"}}}, nil)},
	{openai.Chat, "call after the stop", data(m{"choices": []any{m{"index": 0, "delta": m{"content": "hello there, all is well"}, "finish_reason": "stop"}}}, m{"choices": []any{m{"index": 0, "delta": m{"tool_calls": []any{chatErase(0)}}}}}, "[DONE]")},
	{openai.Chat, "call after the end", data(m{"choices": []any{m{"index": 0, "delta": m{"content": "hello"}, "finish_reason": "stop"}}}, "[DONE]", m{"choices": []any{m{"index": 0, "delta": m{"tool_calls": []any{chatErase(0)}}}}})},
	{openai.Chat, "name in pieces", chunks(m{"tool_calls": []any{m{"index": 0, "id": "1", "type": "function", "function": m{"name": "er"}}}}, m{"tool_calls": []any{m{"index": 0, "function": m{"name": "ase", "arguments": `{"x":"LEAK"}`}}}}, nil)},
	{openai.Chat, "name after the arguments", chunks(m{"tool_calls": []any{m{"index": 0, "id": "1", "type": "function", "function": m{"arguments": `{"x":"LEAK"}`}}}}, m{"tool_calls": []any{m{"index": 0, "function": m{"name": "erase"}}}}, nil)},
	{openai.Chat, "two names", chunks(m{"tool_calls": []any{m{"index": 0, "id": "1", "type": "function", "function": m{"name": "lookup", "arguments": `{"id":"LEAK"}`}}}}, m{"tool_calls": []any{m{"index": 0, "function": m{"name": "erase"}}}}, nil)},
	{openai.Chat, "two calls with one index", chunks(m{"tool_calls": []any{m{"index": 0, "id": "1", "type": "function", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}}}, m{"tool_calls": []any{m{"index": 0, "id": "2", "type": "function", "function": m{"name": "erase", "arguments": `{"x":"LEAK"}`}}}}, nil)},
	{openai.Chat, "two calls with one id", chunks(m{"tool_calls": []any{m{"index": 0, "id": "1", "type": "function", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}}}, m{"tool_calls": []any{m{"index": 1, "id": "1", "type": "function", "function": m{"name": "erase", "arguments": `{"x":"LEAK"}`}}}}, nil)},
	{openai.Chat, "no index", chunks(m{"tool_calls": []any{m{"id": "1", "type": "function", "function": m{"name": "lookup", "arguments": `{"id":"A"}`}}}}, m{"tool_calls": []any{m{"id": "2", "type": "function", "function": m{"name": "erase", "arguments": `{"x":"LEAK"}`}}}}, nil)},
	{openai.Chat, "call and text in one delta", chunks(m{"content": "hello", "tool_calls": []any{chatErase(0)}}, nil, nil)},
	{openai.Chat, "a call of another choice", data(m{"choices": []any{m{"index": 0, "delta": m{"content": "hello there, all is well"}, "finish_reason": "stop"}, m{"index": 3, "delta": m{"tool_calls": []any{chatErase(0)}}, "finish_reason": "stop"}}}, "[DONE]")},
	{openai.Chat, "finish_reason twice, and text behind it", chunks(m{"content": "hello there, all is well"}, nil, m{"finish_reason": "stop"}, m{"delta": m{"content": " LEAK plutonium"}, "finish_reason": "stop"})},
	{openai.Chat, "refusal deltas", chunks(m{"refusal": "LEAK plu"}, m{"refusal": "tonium"}, nil)},
	{openai.Chat, "event of another API", "event: thread.message.delta\ndata: " + js(m{"choices": []any{m{"index": 0, "delta": m{"tool_calls": []any{chatErase(0)}}}}}) + "\n\n" + chunks(m{"content": "hello"}, nil, nil)},

	{openai.Responses, "failed with a call", named(responseBegun(), m{"type": "response.failed", "response": m{"id": "1", "status": "failed", "error": m{"code": "server_error", "message": "oh"}, "output": []any{responseErase()}}})},
	{openai.Responses, "error with a call", named(responseBegun(), m{"type": "error", "message": "oh", "response": m{"output": []any{responseErase()}}, "item": responseErase()})},
	{openai.Responses, "begins with a call", named(m{"type": "response.created", "response": m{"id": "1", "status": "in_progress", "output": []any{responseErase()}}}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{}}})},
	{openai.Responses, "in progress with a call", named(responseBegun(), m{"type": "response.in_progress", "response": m{"id": "1", "status": "in_progress", "output": []any{responseErase()}}}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{}}})},
	{openai.Responses, "call only in the whole", named(responseBegun(), m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseErase()}}})},
	{openai.Responses, "call only in the events", named(responseBegun(), m{"type": "response.output_item.added", "output_index": 0, "item": responseErase()}, m{"type": "response.output_item.done", "output_index": 0, "item": responseErase()}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{}}})},
	{openai.Responses, "call only as it is done", named(responseBegun(), m{"type": "response.output_item.done", "output_index": 0, "item": responseErase()}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseLookup(`{"id":"A"}`)}}})},
	{openai.Responses, "other arguments as it is done", named(responseBegun(), m{"type": "response.output_item.added", "output_index": 0, "item": responseLookup("")}, m{"type": "response.function_call_arguments.done", "output_index": 0, "arguments": `{"id":"LEAK"}`}, m{"type": "response.output_item.done", "output_index": 0, "item": responseLookup(`{"id":"A"}`)}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseLookup(`{"id":"A"}`)}}})},
	{openai.Responses, "other name as it is done", named(responseBegun(), m{"type": "response.output_item.added", "output_index": 0, "item": responseLookup("")}, m{"type": "response.function_call_arguments.done", "output_index": 0, "name": "LEAK", "arguments": `{"id":"A"}`}, m{"type": "response.output_item.done", "output_index": 0, "item": responseLookup(`{"id":"A"}`)}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseLookup(`{"id":"A"}`)}}})},
	{openai.Responses, "other text of a part as it is done", saidOtherwise(m{"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "LEAK plutonium"})},
	{openai.Responses, "other part as it is done", saidOtherwise(m{"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": m{"type": "output_text", "text": "LEAK plutonium"}})},
	{openai.Responses, "other message as it is done", saidOtherwise(m{"type": "response.output_item.done", "output_index": 0, "item": responseSaid("LEAK plutonium")})},
	{openai.Responses, "a part that begins with text", saidOtherwise(m{"type": "response.content_part.added", "output_index": 0, "content_index": 1, "part": m{"type": "output_text", "text": "LEAK plutonium"}})},
	{openai.Responses, "a message that begins with text", named(responseBegun(), m{"type": "response.output_item.added", "output_index": 0, "item": responseSaid("LEAK plutonium")}, m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseSaid("")}}})},
	{openai.Responses, "a call in an unknown event", saidOtherwise(m{"type": "response.telepathy", "output_index": 0, "item": responseErase()})},
	{openai.Responses, "a call in an event of reasoning", saidOtherwise(m{"type": "response.reasoning_telepathy", "output_index": 0, "item": responseErase()})},
	{openai.Responses, "a call in a delta of text", saidOtherwise(m{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "", "item": responseErase()})},
	{openai.Responses, "audio", saidOtherwise(m{"type": "response.audio.transcript.delta", "delta": "LEAK plutonium"})},
	{openai.Responses, "name of another event", "event: response.output_item.done\ndata: " + js(m{"type": "response.in_progress", "output_index": 0, "item": responseErase(), "response": m{"id": "1", "output": []any{}}}) + "\n\n" + named(responseBegun(), m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{}}})},
	{openai.Responses, "output_text beside the output", named(responseBegun(), m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseSaid("hello")}, "output_text": "LEAK plutonium"}})},

	{anthropic.Messages, "error with a call", named(messageBegun(), m{"type": "error", "error": m{"type": "overloaded_error", "message": "oh"}, "content_block": messageErase(), "message": m{"content": []any{messageErase()}}})},
	{anthropic.Messages, "begins with a call", named(m{"type": "message_start", "message": m{"id": "1", "role": "assistant", "content": []any{messageErase()}}}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "delta that says that there was no call", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": messageErase()}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use", "content": []any{m{"type": "text", "text": "hi"}}}), m{"type": "message_stop"})},
	{anthropic.Messages, "delta with a call", named(messageBegun(), messageDelta(m{"stop_reason": "tool_use", "content": []any{messageErase()}}), m{"type": "message_stop"})},
	{anthropic.Messages, "call in message_stop", named(messageBegun(), messageDelta(m{"stop_reason": "end_turn"}), m{"type": "message_stop", "message": m{"content": []any{messageErase()}}})},
	{anthropic.Messages, "call in a ping", named(messageBegun(), m{"type": "ping", "content_block": messageErase()}, messageDelta(m{"stop_reason": "end_turn"}), m{"type": "message_stop"})},
	{anthropic.Messages, "input as it begins", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": messageErase()}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "input as it begins and in deltas", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "tool_use", "id": "1", "name": "lookup", "input": m{"id": "LEAK"}}}, m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `{"id":"A"}`}}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "call that does not end", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "tool_use", "id": "1", "name": "lookup", "input": m{"id": "LEAK"}}}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "call after message_delta", named(messageBegun(), messageDelta(m{"stop_reason": "end_turn"}), m{"type": "content_block_start", "index": 0, "content_block": messageErase()}, m{"type": "content_block_stop", "index": 0}, m{"type": "message_stop"})},
	{anthropic.Messages, "block of another number", named(messageBegun(), m{"type": "content_block_start", "index": 4, "content_block": messageErase()}, m{"type": "content_block_stop", "index": 4}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "one block twice", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "text", "text": ""}}, m{"type": "content_block_start", "index": 0, "content_block": messageErase()}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "stop with a call", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "text", "text": "hello"}}, m{"type": "content_block_stop", "index": 0, "content_block": messageErase()}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "delta of text for a call", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "tool_use", "id": "1", "name": "lookup", "input": m{}}}, m{"type": "content_block_delta", "index": 0, "delta": m{"type": "text_delta", "text": "LEAK plutonium"}}, m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `{"id":"A"}`}}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "delta of a call for a text", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "text", "text": ""}}, m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `{"x":"LEAK"}`}}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
	{anthropic.Messages, "a text that begins with text", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "text", "text": "LEAK plutonium"}}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "end_turn"}), m{"type": "message_stop"})},
	{anthropic.Messages, "an unknown event", named(messageBegun(), m{"type": "telepathy", "content_block": messageErase()}, messageDelta(m{"stop_reason": "end_turn"}), m{"type": "message_stop"})},
	{anthropic.Messages, "name of another event", named(messageBegun(), m{"type": "content_block_start", "index": 0, "content_block": m{"type": "tool_use", "id": "1", "name": "lookup", "input": m{}}}, m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `{"id":"LEAK`}}) +
		"event: ping\ndata: " + js(m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `", "`}}) + "\n\n" +
		named(m{"type": "content_block_delta", "index": 0, "delta": m{"type": "input_json_delta", "partial_json": `id":"A"}`}}, m{"type": "content_block_stop", "index": 0}, messageDelta(m{"stop_reason": "tool_use"}), m{"type": "message_stop"})},
}

func chatErase(index int) m {
	return m{"index": index, "id": "1", "type": "function", "function": m{"name": "erase", "arguments": `{"x":"LEAK"}`}}
}

// chunks is a stream of one choice with two deltas, and further members of the choice.
func chunks(one, two m, more ...m) string {
	var events []any
	for _, d := range []m{one, two} {
		if d != nil {
			events = append(events, m{"choices": []any{m{"index": 0, "delta": d, "finish_reason": nil}}})
		}
	}
	for _, c := range more {
		if c != nil {
			c["index"] = 0
			events = append(events, m{"choices": []any{c}})
		}
	}
	return data(append(events, m{"choices": []any{m{"index": 0, "delta": m{}, "finish_reason": "stop"}}}, "[DONE]")...)
}

func responseBegun() m {
	return m{"type": "response.created", "response": m{"id": "1", "status": "in_progress", "output": []any{}}}
}

func responseErase() m {
	return m{"type": "function_call", "id": "f1", "call_id": "1", "name": "erase", "arguments": `{"x":"LEAK"}`}
}

func responseLookup(args string) m {
	return m{"type": "function_call", "id": "f1", "call_id": "1", "name": "lookup", "arguments": args}
}

func responseSaid(text string) m {
	return m{"type": "message", "id": "m1", "role": "assistant", "content": []any{m{"type": "output_text", "text": text, "annotations": []any{}}}}
}

// saidOtherwise is a stream that says hello, with one event more before its end.
func saidOtherwise(event m) string {
	return named(responseBegun(), m{"type": "response.output_item.added", "output_index": 0, "item": m{"type": "message", "id": "m1", "role": "assistant", "content": []any{}}},
		m{"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": m{"type": "output_text", "text": "", "annotations": []any{}}},
		m{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hello there, all is well"}, event,
		m{"type": "response.output_item.done", "output_index": 0, "item": responseSaid("hello there, all is well")},
		m{"type": "response.completed", "response": m{"id": "1", "status": "completed", "output": []any{responseSaid("hello there, all is well")}}})
}

func messageBegun() m {
	return m{"type": "message_start", "message": m{"id": "1", "role": "assistant", "content": []any{}}}
}

func messageErase() m {
	return m{"type": "tool_use", "id": "1", "name": "erase", "input": m{"x": "LEAK"}}
}

func messageDelta(delta m) m { return m{"type": "message_delta", "delta": delta} }

func TestNothingInAStrangeStreamEscapes(t *testing.T) {
	for _, c := range strangeStreams {
		t.Run(c.wire.Name()+"/"+c.name, func(t *testing.T) {
			door := newDoor(t, nil)
			d := dialectOf(c.wire)
			door.up.say(d.plain(fine), c.body)
			_, _, body := door.post(c.wire.Path(), d.request("m", hello, nil, true), HeaderSession, "one")
			if strings.Contains(body, "LEAK") {
				t.Errorf("the caller got %s", body)
			}
		})
	}
}
