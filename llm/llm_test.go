package llm

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
)

func TestEcho(t *testing.T) {
	TestModel(t, func(testing.TB) Model { return Echo{} })
}

func TestScript(t *testing.T) {
	TestModel(t, func(testing.TB) Model {
		answers := make([]Response, 10)
		for i := range answers {
			answers[i] = Response{Text: "hello", Stop: "end"}
		}
		return NewScript(answers...)
	})
}

func TestScriptInOrder(t *testing.T) {
	s := NewScript(Response{Text: "one"}, Response{Text: "two"})
	for _, want := range []string{"one", "two"} {
		r, err := s.Complete(context.Background(), Request{Messages: []Message{{Text: want}}})
		if err != nil || r.Text != want {
			t.Errorf("got %q, %v; want %q", r.Text, err, want)
		}
	}
	if _, err := s.Complete(context.Background(), Request{Messages: []Message{{}}}); !errors.Is(err, ErrScript) {
		t.Errorf("after the last answer: %v", err)
	}
	if asked := s.Asked(); len(asked) != 2 || asked[1].Messages[0].Text != "two" {
		t.Errorf("asked %+v", asked)
	}
}

func TestDecodeCutOff(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"inside a message", `{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assi`, `{"messages":[{"content":"a","role":"user"}],"model":"m"}`},
		{"between messages", `{"messages":[{"role":"user"},`, `{"messages":[{"role":"user"}]}`},
		{"behind a message", `{"messages":[{"role":"user"}`, `{"messages":[{"role":"user"}]}`},
		{"inside a nested list", `{"messages":[{"role":"user"},{"tool_calls":[{"id":"1"},{"id":`, `{"messages":[{"role":"user"}]}`},
		{"a message in mid air loses nothing of the others", `{"messages":[{"a":[1]},{"b":[2],"c":{"d":"}`, `{"messages":[{"a":[1]}]}`},
		{"before the first message", `{"messages":[`, `{"messages":[]}`},
		{"list of messages", `[{"role":"user"},{"role"`, `[{"role":"user"}]`},
		{"list of conversations", `[{"messages":[{"x":1}]},{"messages":[{"x":2},{"x"`, `[{"messages":[{"x":1}]},{"messages":[{"x":2}]}]`},
		{"inside a key", `{"messages":[{"role":"user"}],"mod`, ``},
		{"strings with brackets and quotes", `{"messages":["]}\"[",{"x":"\\`, `{"messages":["]}\"["]}`},
	} {
		doc, cut, err := Decode([]byte(c.in))
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: read as %v", c.name, doc)
			}
			continue
		}
		if got := string(proviso.CanonicalJSON(doc)); err != nil || !cut || got != c.want {
			t.Errorf("%s: %s, %v, %v; want %s", c.name, got, cut, err, c.want)
		}
	}
	if _, cut, err := Decode([]byte(`{"messages":[{"a":1 "b":2}]}`)); err == nil || cut {
		t.Error("a text that is wrong in the middle was taken for one that is cut off")
	}
	if _, cut, err := Decode([]byte(`{"messages":[]}`)); err != nil || cut {
		t.Error("a whole text was taken for one that is cut off")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a\"]"}]},{"role":"assistant"}]}`), 40)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		whole, _, err := Decode(b)
		if err != nil || n < 0 || n > len(b) {
			return
		}
		part, cut, err := Decode(b[:n])
		if err != nil || !cut {
			return
		}
		all, some := List(Object(whole)["messages"]), List(Object(part)["messages"])
		if len(some) > len(all) || len(some) > 0 && !reflect.DeepEqual(some, all[:len(some)]) {
			t.Fatalf("%q cut at %d gives %v", b, n, part)
		}
	})
}

func TestResultOf(t *testing.T) {
	for _, c := range []struct {
		text    string
		content bool
	}{{`{"a":1}`, true}, {`[1]`, true}, {`12`, true}, {`hello`, false}, {``, false}, {`{"a":1,"a":2}`, false}, {`{"a":1,"A":2}`, true}} {
		r := ResultOf("c", "t", c.text, false)
		if (len(r.Content) > 0) != c.content || TextOf(r) != c.text {
			t.Errorf("%q gives %+v", c.text, r)
		}
	}
}

func TestBuilder(t *testing.T) {
	var b Builder
	b.Start("f", map[string]any{"created": int64(1000), "id": "x"})
	b.Say(proviso.User, "hi")
	b.Say(proviso.Assistant, "")
	b.At("messages[1]", map[string]any{"timestamp": "1970-01-01T00:20:00Z"})
	b.Call(proviso.ToolCall{Tool: "t"})
	b.Call(proviso.ToolCall{Tool: "u"})
	b.At("messages[2]", map[string]any{"timestamp": int64(3)})
	b.Result("messages[2]", &proviso.ToolResult{Tool: "u"})
	b.Result("messages[3]", &proviso.ToolResult{CallID: "nobody"})
	c := b.Conversation()
	if c.Session != "x" || !c.Truncated || len(c.Events) != 5 {
		t.Fatalf("%+v", c)
	}
	wantTimes := []int64{1000, 1200, 1201, 1202, 1203}
	for i, e := range c.Events {
		if e.Seq != uint64(i+1) || !e.Time.Equal(time.Unix(wantTimes[i], 0)) {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if r := c.Events[3].Body.(*proviso.ToolResult); r.CallID != c.Events[2].Body.(*proviso.ToolCall).ID {
		t.Errorf("the result of u answers %q", r.CallID)
	}
	got := c.Diagnostics.Error()
	want := strings.Join([]string{
		`f: messages[2].timestamp: the time lies before the one of the message before [PV403]`,
		`f: messages[3]: a result for "nobody", which no open call has as its id [PV403]`,
		`f: the recording ends before the result of t (#1); record the whole conversation [PV402]`,
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
