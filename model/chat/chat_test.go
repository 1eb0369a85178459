package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// wire is a message as templates get it.
type wire struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	Calls   []struct {
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// conversation is what an archive holds.
type conversation struct {
	messages []Message
	options  Options
	context  map[string]any // for a template
}

func read(t *testing.T, a *testkit.Archive) conversation {
	t.Helper()
	var c conversation
	raw, ok := a.File("messages.json")
	if !ok {
		t.Fatal("the archive has no messages.json")
	}
	var list []wire
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, w := range list {
		m := Message{Role: w.Role, Text: w.Content}
		for _, call := range w.Calls {
			m.Calls = append(m.Calls, Call{Name: call.Function.Name, Args: proviso.JSON(call.Function.Arguments)})
		}
		c.messages = append(c.messages, m)
	}
	words, _ := a.File("options")
	c.options = Options{Generate: !strings.Contains(string(words), "no-generate"), NoThinking: strings.Contains(string(words), "no-thinking"), Begin: "<|begin_of_text|>", Date: "02 Jan 2026"}
	c.context = map[string]any{"messages": json.RawMessage(raw), "add_generation_prompt": c.options.Generate, "bos_token": c.options.Begin, "date_string": c.options.Date}
	if c.options.NoThinking {
		c.context["enable_thinking"] = false
	}
	if raw, ok := a.File("tools.json"); ok {
		var tools []json.RawMessage
		if err := json.Unmarshal(raw, &tools); err != nil {
			t.Fatal(err)
		}
		for _, x := range tools {
			c.options.Tools = append(c.options.Tools, proviso.JSON(x))
		}
		c.context["tools"] = json.RawMessage(raw)
	}
	return c
}

// The texts under jinja/ were made by @huggingface/jinja from the families' own templates (TestJinja with -update). Each renderer gives the same, byte for byte up to the sign ¶ at the end; "refused" is where the family has no form.
func TestRender(t *testing.T) {
	compared, same := 0, 0
	testkit.Archives(t, "testdata/render/*.txtar", func(t *testing.T, a *testkit.Archive) {
		c := read(t, a)
		for _, f := range Families {
			want, ok := a.File("jinja/" + f.Name)
			if !ok {
				t.Errorf("no text of the template for %s; run with -update where its template is", f.Name)
				continue
			}
			compared++
			p, err := f.Render(c.messages, c.options)
			got := p.String() + end
			if err != nil {
				got = "refused" + end
			}
			if d := testkit.Diff(bytes.TrimSuffix(want, []byte("\n")), []byte(got)); d != "" {
				t.Errorf("%s: differs from the template (- template, + here, error %v)\n%s", f.Name, err, d)
			} else {
				same++
			}
			// Whatever a message says is literal: what remains are the marks of the form.
			for _, part := range p {
				for _, m := range c.messages {
					if text := strings.TrimSpace(m.Text); !part.Literal && len(text) > 8 && strings.Contains(part.Text, text) {
						t.Errorf("%s: the text %q of a message counts as text of the template", f.Name, text)
					}
				}
			}
		}
	})
	t.Logf("figure: chat.equal_jinja = %.4f (n=%d)", float64(same)/float64(compared), compared)
}

// end marks the end of a text, so that line breaks there count.
const end = "¶"

// templatesVariable names the environment variable that says where the templates of the families lie, as NAME.jinja.
const templatesVariable = "PROVISO_CHAT_TEMPLATES"

func templateOf(t *testing.T, f *Family) (text string, ok bool) {
	if f.Template != "" {
		return f.Template, true
	}
	dir := os.Getenv(templatesVariable)
	if dir == "" {
		return "", false
	}
	b, err := os.ReadFile(filepath.Join(dir, f.Name+".jinja"))
	if err != nil {
		return "", false
	}
	if got, err := Recognize(string(b)); err != nil || got != f {
		t.Errorf("%s.jinja is not recognised as its family: %v", f.Name, err)
	}
	return string(b), true
}

// TestJinja renders every archive with the families' templates. With -update it writes the texts that TestRender compares with.
func TestJinja(t *testing.T) {
	modules := os.Getenv("PROVISO_NODE_MODULES")
	node, err := exec.LookPath("node")
	if modules == "" || err != nil {
		t.Skip("skipped: needs node, and PROVISO_NODE_MODULES set to a node_modules folder with @huggingface/jinja")
	}
	testkit.Archives(t, "testdata/render/*.txtar", func(t *testing.T, a *testkit.Archive) {
		c := read(t, a)
		var requests []map[string]any
		var families []*Family
		for _, f := range Families {
			if text, ok := templateOf(t, f); ok {
				requests = append(requests, map[string]any{"template": text, "context": c.context})
				families = append(families, f)
			}
		}
		in, err := json.Marshal(requests)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(node, "testdata/render.mjs", modules)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
		b, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var texts []any
		if err := json.Unmarshal(b, &texts); err != nil {
			t.Fatal(err)
		}
		for i, f := range families {
			text, ok := texts[i].(string)
			if !ok || (len(c.options.Tools) > 0 || calls(c.messages)) && f.Frame == (Frame{}) {
				text = "refused" // templates without tools drop them in silence
			}
			a.Expect(t, "jinja/"+f.Name, []byte(text+end))
		}
	})
}

func calls(messages []Message) bool {
	for _, m := range messages {
		if len(m.Calls) > 0 {
			return true
		}
	}
	return false
}

// Every control token that a form writes is among those that its tokenizer has to know.
func TestControl(t *testing.T) {
	mark := regexp.MustCompile(`<\|[a-z_]+\|>`)
	testkit.Archives(t, "testdata/render/*.txtar", func(t *testing.T, a *testkit.Archive) {
		c := read(t, a)
		for _, f := range Families {
			p, err := f.Render(c.messages, c.options)
			if err != nil {
				continue
			}
			for _, part := range p {
				for _, m := range mark.FindAllString(part.Text, -1) {
					if !part.Literal && !slices.Contains(f.Control, m) {
						t.Errorf("%s writes %s, which is not among its control tokens", f.Name, m)
					}
				}
			}
		}
	})
	for _, f := range Families {
		for _, e := range f.End {
			if !slices.Contains(f.Control, e) {
				t.Errorf("%s ends a turn with %s, which is not among its control tokens", f.Name, e)
			}
		}
	}
}

func TestRecognize(t *testing.T) {
	if f, err := Recognize(chatmlTemplate); f != ChatML || err != nil {
		t.Errorf("our own template is recognised as %v, %v", f, err)
	}
	_, err := Recognize("{{ messages }}")
	var d proviso.Diagnostic
	if !errors.As(err, &d) || d.Code != CodeUnknown || !strings.Contains(d.Hint, "qwen2.5") {
		t.Errorf("an unknown template gives %v", err)
	}
	if _, err := Lookup("gpt"); err == nil {
		t.Error("a family of no name was found")
	}
	for _, f := range Families {
		if g, err := Lookup(f.Name); g != f || err != nil {
			t.Errorf("%s is looked up as %v, %v", f.Name, g, err)
		}
		if f.Template == "" && len(f.digests) == 0 {
			t.Errorf("%s can never be recognised", f.Name)
		}
	}
}

func TestParse(t *testing.T) {
	call := func(name, args string) Call { return Call{Name: name, Args: proviso.JSON(args)} }
	for _, c := range []struct {
		f      *Family
		answer string
		want   Answer
	}{
		{Qwen2, "<tool_call>", Answer{Text: "<tool_call>"}},
		{ChatML, "Hello.", Answer{Text: "Hello."}},
		{ChatML, "One moment.\n<tool_call>\n{\"name\": \"get\", \"arguments\": {\"id\": 1}}\n</tool_call>", Answer{Text: "One moment.", Calls: []Call{call("get", `{"id":1}`)}}},
		{ChatML, "<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"b\"}</tool_call>", Answer{Calls: []Call{call("a", `{}`), call("b", `{}`)}}},
		{ChatML, "<tool_call>{\"name\":\"a\",\"arguments\":{}}", Answer{Calls: []Call{call("a", `{}`)}}}, // the stop token took the end
		{ChatML, "<tool_call>{\"name\":\"a\",\"arguments\":[1]}</tool_call>", Answer{Text: "<tool_call>{\"name\":\"a\",\"arguments\":[1]}</tool_call>"}},
		{ChatML, "<tool_call>{\"name\":\"a\",\"name\":\"b\"}</tool_call>", Answer{Text: "<tool_call>{\"name\":\"a\",\"name\":\"b\"}</tool_call>"}},
		{ChatML, "x <tool_call>junk</tool_call> y <tool_call>{\"name\":\"b\"}</tool_call>", Answer{Text: "x <tool_call>junk</tool_call> y", Calls: []Call{call("b", `{}`)}}},
		{Qwen3, "<think>\nhm\n</think>\n\n<tool_call>{\"name\":\"b\"}</tool_call>", Answer{Reasoning: "hm", Calls: []Call{call("b", `{}`)}}},
		{Qwen3, "hm\n</think>\n\nyes", Answer{Text: "hm\n</think>\n\nyes"}},
		{Qwen3, "<think>\nno end", Answer{Reasoning: "no end"}},
		{Qwen3, "plain", Answer{Text: "plain"}},
		{Llama32, `{"name": "get", "parameters": {"id": "R1"}}`, Answer{Calls: []Call{call("get", `{"id":"R1"}`)}}},
		{Llama31, `<|python_tag|>{"name": "get", "parameters": {}}`, Answer{Calls: []Call{call("get", `{}`)}}},
		{Llama31, `{"name": "get"`, Answer{Text: `{"name": "get"`}},
	} {
		if got := c.f.Parse(c.answer); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q is %+v, want %+v", c.f.Name, c.answer, got, c.want)
		}
	}
}

// What is shown of an answer while it is written is the beginning of its text in the end.
func TestSettled(t *testing.T) {
	pieces := []string{"One", " moment", ".\n", "<tool", "_call>", "{\"name\": \"a\", \"arguments\": {}}", "</tool_call>", "<think>", "hm\n", "</think>", "\n\n", "<", "{\"name\": \"a\", \"parameters\": {}}", "<|python_tag|>", " ", "x"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
		for _, f := range Families {
			want := f.Parse(text)
			shown := 0
			for n := range len(text) + 1 {
				if k := f.Settled(text[:n]); k > shown {
					shown = k
				}
			}
			if got := text[:shown]; !strings.HasPrefix(want.Text, got) && strings.TrimSpace(got) == got {
				t.Fatalf("%s: of %q, %q was shown, and the text is %q", f.Name, text, got, want.Text)
			}
		}
	})
	if n := ChatML.Settled("Well <tool"); n != len("Well") {
		t.Errorf("%d bytes are settled", n)
	}
	if n := Qwen3.Settled("<thi"); n != 0 {
		t.Errorf("of a thought, %d bytes are settled", n)
	}
}

// What a family renders as a call, it reads as that call.
func TestCallsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z_]{1,12}`).Draw(t, "name")
		args := map[string]any{}
		for i := range rapid.IntRange(0, 3).Draw(t, "args") {
			args[fmt.Sprint("k", i)] = strings.NewReplacer("</tool_call>", "", "<tool_call>", "").Replace(rapid.String().Draw(t, "value"))
		}
		raw, err := proviso.AppendJSON(nil, args)
		if err != nil {
			t.Skip(err)
		}
		for _, f := range Families {
			if f.Frame == (Frame{}) {
				continue
			}
			text, err := pythonJSON(raw, 0)
			if err != nil {
				t.Fatal(err)
			}
			a := f.Parse(f.Frame.Before + name + f.Frame.Between + text + f.Frame.After)
			if len(a.Calls) != 1 || a.Calls[0].Name != name || !bytes.Equal(proviso.CanonicalJSON(decode(t, a.Calls[0].Args)), proviso.CanonicalJSON(decode(t, raw))) {
				t.Fatalf("%s: %s came back as %+v", f.Name, raw, a)
			}
		}
	})
}

func decode(t *rapid.T, raw []byte) any {
	v, err := proviso.DecodeJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRefused(t *testing.T) {
	get := Call{Name: "get", Args: proviso.JSON(`{}`)}
	for want, c := range map[string]struct {
		f *Family
		m []Message
		o Options
	}{
		"there are no messages":   {ChatML, nil, Options{}},
		`the role "robot"`:        {ChatML, []Message{{Role: "robot"}}, Options{}},
		"only the assistant":      {ChatML, []Message{{Role: User, Calls: []Call{get}}}, Options{}},
		"know no tools":           {Qwen2, []Message{{Role: User}}, Options{Tools: []proviso.JSON{proviso.JSON(`{}`)}}},
		"tool 0 is no JSON":       {ChatML, []Message{{Role: User}}, Options{Tools: []proviso.JSON{proviso.JSON(`{`)}}},
		"one at a time":           {Llama31, []Message{{Role: User}, {Role: Assistant, Calls: []Call{get, get}}}, Options{}},
		"first message of the":    {Llama31, []Message{{Role: System}}, Options{Tools: []proviso.JSON{proviso.JSON(`{}`)}}},
		`call of "x" are no JSON`: {Qwen3, []Message{{Role: Assistant, Calls: []Call{{Name: "x", Args: proviso.JSON(`nan`)}}}}, Options{}},
	} {
		_, err := c.f.Render(c.m, c.o)
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != CodeMessages || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s … [%s]", err, want, CodeMessages)
		}
	}
}

func TestPythonNumbers(t *testing.T) {
	for in, want := range map[string]string{"1": "1", "1.0": "1.0", "1.50": "1.5", "1e5": "100000.0", "1e16": "1e+16", "0.0001": "0.0001", "1e-5": "1e-05", "-2.5e-7": "-2.5e-07", "123456789012345678": "123456789012345678"} {
		if got := pythonNumber(in); got != want {
			t.Errorf("%s is written %s, want %s", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("<think>x</think><tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>")
	f.Add(`{"name": "get", "parameters": {}}`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, family := range Families {
			for _, c := range family.Parse(s).Calls {
				if _, err := proviso.DecodeJSON(c.Args); err != nil || c.Name == "" {
					t.Fatalf("%s: the call %q %q of %q is none", family.Name, c.Name, c.Args, s)
				}
			}
		}
	})
}
