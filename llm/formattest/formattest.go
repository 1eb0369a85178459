package formattest

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

// Format is a format of recorded conversations, and what conversations of it can hold.
type Format struct {
	Detect func(doc any) bool
	Read   func(source string, doc any) (*llm.Conversation, error)
	Others []string // JSON documents that are not of the format

	Always    bool     // Detect knows every conversation of the format, not only those with parts that no other format has
	UserFirst bool     // a user speaks first, behind nothing but one text of the system and the list of tools
	Failures  bool     // a result can say that it failed
	Args      []string // texts of arguments that come back as they are
}

// Archives holds what is read of the conversation.json of each archive in the testdata of the calling package against its events.
func (f *Format) Archives(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		in, ok := a.File("conversation.json")
		if !ok {
			t.Fatal("no conversation.json")
		}
		doc, cut, err := llm.Decode(bytes.TrimRight(in, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if !f.Detect(doc) {
			t.Error("not detected")
		}
		c, err := f.Read("conversation.json", doc)
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

// OtherValues holds that nothing of Others is detected, and that what is no conversation is refused with its file and llm.CodeNoFormat.
func (f *Format) OtherValues(t *testing.T) {
	for _, text := range append([]string{`null`, `7`, `"messages"`, `[]`, `[1]`, `{}`, `{"messages":7}`, `{"event":{}}`}, f.Others...) {
		doc, err := proviso.DecodeJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if f.Detect(doc) {
			t.Errorf("%s was detected", text)
		}
	}
	_, err := f.Read("f.json", map[string]any{})
	if ds := proviso.AsDiagnostics(err, "", proviso.Pos{}); len(ds) != 1 || ds[0].Code != llm.CodeNoFormat || ds[0].Pos.File != "f.json" {
		t.Errorf("no conversation gives %v", err)
	}
}

// RoundTrip holds that conversations that the format can hold come back from write and Read as they were, with nothing noted.
func (f *Format) RoundTrip(t *testing.T, write func([]proviso.Event) map[string]any) {
	rapid.Check(t, func(t *rapid.T) {
		want := f.conversation(t)
		text, err := proviso.AppendJSON(nil, write(want))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := proviso.DecodeJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.Read("f", doc)
		if err != nil || len(c.Diagnostics) > 0 {
			t.Fatalf("%s: %v, %v", text, err, c)
		}
		if f.Always && !f.Detect(doc) {
			t.Fatalf("%s was not detected", text)
		}
		if !reflect.DeepEqual(c.Events, want) {
			t.Fatalf("%s\n%s\n%s", text, dump(c, false), dump(&llm.Conversation{Events: want}, false))
		}
	})
}

// conversation draws events that the format can hold: calls are answered before anything else is said.
func (f *Format) conversation(t *rapid.T) []proviso.Event {
	var out []proviso.Event
	add := func(p proviso.Point, b proviso.Body) {
		out = append(out, proviso.Event{Seq: uint64(len(out) + 1), Point: p, Body: b})
	}
	text := rapid.OneOf(rapid.StringN(1, 9, -1), rapid.StringMatching(`[a-z ]{0,8}[a-z]`))
	name := rapid.StringMatching(`[a-z_]{1,8}`)
	if f.UserFirst && rapid.Bool().Draw(t, "system") {
		add(proviso.Input, &proviso.Message{Role: proviso.System, Text: text.Draw(t, "text")})
	}
	if rapid.Bool().Draw(t, "offered") {
		add(proviso.ToolListPoint, &proviso.ToolList{Tools: rapid.SliceOfN(name, 1, 3).Draw(t, "tools")})
	}
	if f.UserFirst {
		add(proviso.Input, &proviso.Message{Role: proviso.User, Text: text.Draw(t, "text")})
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
		made++
		calls := make([]*proviso.ToolCall, rapid.IntRange(1, 3).Draw(t, "calls"))
		for i := range calls {
			args := rapid.SampledFrom(f.Args).Draw(t, "args")
			calls[i] = &proviso.ToolCall{ID: fmt.Sprintf("%d.%d", made, i), Tool: name.Draw(t, "tool"), Args: proviso.JSON(args), Response: "#" + strconv.Itoa(made), Index: i}
			add(proviso.ToolCallPoint, calls[i])
		}
		for _, c := range rapid.Permutation(calls).Draw(t, "order") {
			answer := rapid.OneOf(text, rapid.SampledFrom([]string{"", "12", `{"a": [1]}`, "null", "{cut"})).Draw(t, "answer")
			add(proviso.ToolResultPoint, llm.ResultOf(c.ID, c.Tool, answer, f.Failures && rapid.Bool().Draw(t, "failed")))
		}
	}
	return out
}

// Fuzz holds that whatever JSON is read, nothing panics, and events are numbered and have a point and a body.
func (f *Format) Fuzz(fz *testing.F) {
	fz.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{}]}]},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]}`))
	fz.Add([]byte(`{"input":[{"type":"function_call","name":"f"},{"type":"mcp_call","error":{}}],"output":"x"}`))
	fz.Add([]byte(`[{"role":"assistant","content":[{"type":"x_tool_use","name":"n","input":[]}]}]`))
	fz.Fuzz(func(t *testing.T, b []byte) {
		doc, _, err := llm.Decode(b)
		if err != nil {
			return
		}
		f.Detect(doc)
		c, err := f.Read("f", doc)
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
