package openai

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
)

func TestRead(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		in, ok := a.File("conversation.json")
		if !ok {
			t.Fatal("no conversation.json")
		}
		doc, cut, err := llm.Decode(bytes.TrimRight(in, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if !Detect(doc) {
			t.Error("not detected")
		}
		c, err := Read("conversation.json", doc)
		if err != nil {
			t.Fatal(err)
		}
		a.Expect(t, "events", dump(c, cut))
	})
}

// dump writes events one per line, and what was noted.
func dump(c *llm.Conversation, cut bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "session %q user %q attributes %s model %q cut %v truncated %v\n", c.Session, c.User, proviso.CanonicalJSON(c.Attributes), c.Model, cut, c.Truncated)
	for i := range c.Events {
		line, _ := proviso.AppendJSON(nil, &c.Events[i])
		b.Write(append(line, '\n'))
	}
	for _, d := range c.Diagnostics {
		fmt.Fprintln(&b, d.Error())
	}
	return b.Bytes()
}

func TestOtherValues(t *testing.T) {
	for _, text := range []string{`null`, `7`, `"messages"`, `[]`, `[1]`, `{}`, `{"messages":7}`, `{"event":{}}`, `{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]}`} {
		doc, err := proviso.DecodeJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if Detect(doc) {
			t.Errorf("%s was detected", text)
		}
	}
	_, err := Read("f.json", map[string]any{})
	if ds := proviso.AsDiagnostics(err, "", proviso.Pos{}); len(ds) != 1 || ds[0].Code != llm.CodeNoFormat || ds[0].Pos.File != "f.json" {
		t.Errorf("no conversation gives %v", err)
	}
}

// conversation draws events that the format can hold: calls are answered before anything else is said.
func conversation(t *rapid.T) []proviso.Event {
	var out []proviso.Event
	add := func(p proviso.Point, b proviso.Body) {
		out = append(out, proviso.Event{Seq: uint64(len(out) + 1), Point: p, Body: b})
	}
	text := rapid.OneOf(rapid.StringN(1, 9, -1), rapid.StringMatching(`[a-z ]{0,8}[a-z]`))
	name := rapid.StringMatching(`[a-z_]{1,8}`)
	if rapid.Bool().Draw(t, "offered") {
		add(proviso.ToolListPoint, &proviso.ToolList{Tools: rapid.SliceOfN(name, 1, 3).Draw(t, "tools")})
	}
	made := 0
	for range rapid.IntRange(1, 6).Draw(t, "turns") {
		if role := rapid.SampledFrom([]proviso.Role{proviso.User, proviso.System, proviso.Assistant, ""}).Draw(t, "role"); role != "" {
			p := proviso.Input
			if role == proviso.Assistant {
				p = proviso.Output
			}
			add(p, &proviso.Message{Role: role, Text: text.Draw(t, "text")})
			continue
		}
		n := rapid.IntRange(1, 3).Draw(t, "calls")
		made++
		response := "#" + strconv.Itoa(made)
		calls := make([]*proviso.ToolCall, n)
		for i := range calls {
			args := rapid.SampledFrom([]string{`{}`, `{"a": 1}`, `{"a":"\\u00e9", "b":[]}`, `{cut`, `[1,1.0]`, "null"}).Draw(t, "args")
			calls[i] = &proviso.ToolCall{ID: fmt.Sprintf("%d.%d", made, i), Tool: name.Draw(t, "tool"), Args: proviso.JSON(args), Response: response, Index: i}
			add(proviso.ToolCallPoint, calls[i])
		}
		for _, i := range rapid.Permutation(seq(n)).Draw(t, "order") {
			answer := rapid.OneOf(text, rapid.SampledFrom([]string{"", "12", `{"a": [1]}`, "null", "{cut"})).Draw(t, "answer")
			add(proviso.ToolResultPoint, llm.ResultOf(calls[i].ID, calls[i].Tool, answer, false))
		}
	}
	return out
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for _, w := range []struct {
		name  string
		write func([]proviso.Event) map[string]any
	}{{"messages", Write}, {"items", WriteItems}} {
		t.Run(w.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := conversation(t)
				text, err := proviso.AppendJSON(nil, w.write(want))
				if err != nil {
					t.Fatal(err)
				}
				doc, err := proviso.DecodeJSON(text)
				if err != nil {
					t.Fatal(err)
				}
				c, err := Read("f", doc)
				if err != nil || len(c.Diagnostics) > 0 || len(want) > 0 && !Detect(doc) {
					t.Fatalf("%s: %v, %v", text, err, c)
				}
				if !reflect.DeepEqual(c.Events, want) {
					t.Fatalf("%s\n%s\n%s", text, dump(c, false), dump(&llm.Conversation{Events: want}, false))
				}
			})
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{}]}]},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]}`))
	f.Add([]byte(`{"input":[{"type":"function_call","name":"f"},{"type":"mcp_call","error":{}}],"output":"x"}`))
	f.Add([]byte(`[{"role":"assistant","content":[{"type":"x_tool_use","name":"n","input":[]}]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, _, err := llm.Decode(b)
		if err != nil {
			return
		}
		Detect(doc)
		c, err := Read("f", doc)
		if err != nil {
			return
		}
		for i, e := range c.Events {
			if e.Seq != uint64(i+1) || e.Body == nil || e.Point == proviso.NoPoint {
				t.Fatalf("event %d is %+v", i, e)
			}
		}
	})
}
