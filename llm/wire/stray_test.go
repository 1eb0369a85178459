package wire

import (
	"encoding/json"
	"testing"
)

func TestStray(t *testing.T) {
	known := NewMembers("content tool_calls")
	for _, c := range []struct{ object, want string }{
		{`{"content":"a","tool_calls":[{}]}`, ""},
		{`{"reasoning_content":"a","annotations":[1],"x_extra":{"a":1},"usage":{"calls":3}}`, ""},
		{`{"Content":"a"}`, "Content"},
		{`{"tool_callſ":[1]}`, "tool_callſ"}, // the long s
		{`{"executed_tools":[{}]}`, "executed_tools"},
		{`{"functionCall":{"name":"f"}}`, "functionCall"},
		{`{"tool_plan":"I call it","max_tool_calls":3,"parallel_tool_calls":true,"tools":[],"function_call":null}`, ""},
		{`{"delta":{"a":1}}`, "delta"},
		{`{"delta":{},"text":"","parts":[]}`, ""},
		{`{"text":"a"}`, "text"},
		{`{"callbacks":["log"],"success_callback":[1]}`, ""},
		{`{"callback_calls":[1]}`, "callback_calls"},
		{`{"metadata":{"tool_calls":[1]}}`, ""},
	} {
		var m map[string]any
		if err := json.Unmarshal([]byte(c.object), &m); err != nil {
			t.Fatal(err)
		}
		if got := known.Stray(m); got != c.want {
			t.Errorf("%s: %q, want %q", c.object, got, c.want)
		}
	}
}

func TestFailure(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{`{"type":"error","error":{"type":"overloaded_error","message":"oh"}}`, `{"type":"error","error":{"type":"overloaded_error","message":"oh"}}`},
		{`{"error":{"message":"oh"},"choices":[{"delta":{}}],"x":1}`, `{"error":{"message":"oh"},"x":1}`},
		{`{"type":"error","message":"oh","item":{"a":1}}`, `{"type":"error","message":"oh"}`},
		{`{"type":"error","message":{"content":[1]}}`, `{"type":"error"}`},
		{`{"type":"response.failed","response":{"error":{"code":"c"},"output":[{"a":1}],"output_text":"t","tools":[{"a":1}]}}`, `{"type":"response.failed","response":{"error":{"code":"c"},"output":[],"tools":[{"a":1}]}}`},
	} {
		ev := Event{Name: "n", Data: []byte(c.data), Raw: []byte("event: n\ndata: " + c.data + "\n\n")}
		if got := string(Failure(ev)); got != "event: n\ndata: "+c.want+"\n\n" {
			t.Errorf("%s became %s", c.data, got)
		}
	}
}

func BenchmarkStray(b *testing.B) {
	known := NewMembers("choices")
	m := map[string]any{"id": "1", "object": "o", "created": int64(1), "model": "m", "choices": []any{1}, "usage": map[string]any{"a": 1}, "service_tier": "s", "system_fingerprint": "f"}
	b.ReportAllocs()
	for b.Loop() {
		known.Stray(m)
	}
}
