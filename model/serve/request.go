package serve

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/grammar"
)

// maxChoices bounds how many answers one request may ask for.
const maxChoices = 16

// request is what a body asks for.
type request struct {
	model       string
	messages    []chat.Message
	options     chat.Options
	base        model.Request // without its prompt
	choices     int
	stream      bool
	usage       bool // in the last chunk of a stream
	logprobs    bool
	whole       bool // the answer is JSON or of a grammar, and is not taken apart
	temperature *float64
	topP        *float64
	topK        *int
	seed        *int64
	toolChoice  json.RawMessage
	format      json.RawMessage
	grammar     string
}

// body reads the fields of a JSON object; the first that is wrong stays in err.
type body struct {
	m   map[string]json.RawMessage
	err error
}

func (b *body) refuse(format string, args ...any) {
	if b.err == nil {
		b.err = proviso.Diagnostic{Code: model.CodeRequest, Msg: fmt.Sprintf(format, args...), Hint: "see the reference of chat completions"}
	}
}

// given reports whether a field is there and not null.
func (b *body) given(key string) bool {
	v, ok := b.m[key]
	return ok && string(v) != "null"
}

// into reads a field into a Go value of its type, and leaves the value alone where the field is absent or null.
func (b *body) into(key string, v any) {
	if !b.given(key) {
		return
	}
	if err := json.Unmarshal(b.m[key], v); err != nil {
		b.refuse("%s is not of the type that it must have", key)
	}
}

// notDone are the fields that would change an answer and are not done, with the values that change nothing.
var notDone = map[string][]string{
	"logit_bias": {"{}"}, "frequency_penalty": {"0", "0.0"}, "presence_penalty": {"0", "0.0"}, "functions": {"[]"}, "function_call": nil, "audio": nil, "prediction": nil, "web_search_options": nil, "modalities": {`["text"]`},
}

// parse reads a body.
func parse(raw []byte) (*request, error) {
	if err := proviso.CheckResultJSON(raw); err != nil {
		return nil, proviso.Diagnostic{Code: model.CodeRequest, Msg: fmt.Sprintf("the body: %v", err), Hint: "send one JSON object"}
	}
	b := &body{}
	if err := json.Unmarshal(raw, &b.m); err != nil || b.m == nil {
		b.refuse("the body is no JSON object")
		return nil, b.err
	}
	for key, harmless := range notDone {
		if b.given(key) && !slices.Contains(harmless, string(b.m[key])) {
			b.refuse("%s is not supported", key)
		}
	}
	r := &request{choices: 1, options: chat.Options{Generate: true}}
	b.into("model", &r.model)
	b.into("stream", &r.stream)
	b.into("n", &r.choices)
	b.into("temperature", &r.temperature)
	b.into("top_p", &r.topP)
	b.into("top_k", &r.topK)
	b.into("seed", &r.seed)
	b.into("max_tokens", &r.base.MaxTokens)
	b.into("max_completion_tokens", &r.base.MaxTokens)
	b.into("logprobs", &r.logprobs)
	b.into("top_logprobs", &r.base.Top)
	b.into("tool_choice", &r.toolChoice)
	b.into("response_format", &r.format)
	b.into("grammar", &r.grammar)
	b.stop(r)
	b.tools(r)
	b.messages(r)
	var stream struct {
		Usage bool `json:"include_usage"`
	}
	b.into("stream_options", &stream)
	r.usage = stream.Usage
	var kwargs struct {
		Thinking *bool `json:"enable_thinking"`
	}
	b.into("chat_template_kwargs", &kwargs)
	r.options.NoThinking = kwargs.Thinking != nil && !*kwargs.Thinking
	switch {
	case r.choices < 1 || r.choices > maxChoices:
		b.refuse("n is %d; it must be from 1 to %d", r.choices, maxChoices)
	case r.stream && r.choices > 1:
		b.refuse("a stream has one choice; n is %d", r.choices)
	case r.base.Top > 0 && !r.logprobs:
		b.refuse("top_logprobs needs logprobs")
	}
	return r, b.err
}

// stop reads one text or a list of them.
func (b *body) stop(r *request) {
	if !b.given("stop") {
		return
	}
	var one string
	if json.Unmarshal(b.m["stop"], &one) == nil {
		r.base.Stop = []string{one}
		return
	}
	b.into("stop", &r.base.Stop)
}

// tools keeps each tool as it was written: the order of keys matters to models.
func (b *body) tools(r *request) {
	var list []json.RawMessage
	b.into("tools", &list)
	for i, raw := range list {
		if t := toolOf(raw); t.Type != "function" || t.Function.Name == "" {
			b.refuse("tools[%d] is no function with a name", i)
		}
		r.options.Tools = append(r.options.Tools, proviso.JSON(raw))
	}
}

// tool is what is read of one.
type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
}

func toolOf(raw []byte) tool {
	var t tool
	if json.Unmarshal(raw, &t) != nil {
		return tool{}
	}
	return t
}

// message is one of a body.
type message struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Reasoning string          `json:"reasoning_content"`
	Calls     []struct {
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// roles maps the roles of the API to those of package chat.
var roles = map[string]string{"system": chat.System, "developer": chat.System, "user": chat.User, "assistant": chat.Assistant, "tool": chat.ToolRole}

func (b *body) messages(r *request) {
	var list []message
	b.into("messages", &list)
	if len(list) == 0 && b.err == nil {
		b.refuse("there are no messages")
	}
	for i, m := range list {
		role, ok := roles[m.Role]
		if !ok {
			b.refuse("messages[%d] has the role %.20q", i, m.Role)
		}
		c := chat.Message{Role: role, Text: b.content(i, m.Content), Reasoning: m.Reasoning}
		for j, call := range m.Calls {
			args := call.Function.Arguments
			if args == "" {
				args = "{}"
			}
			v, err := proviso.DecodeJSON(args)
			if _, ok := v.(map[string]any); err != nil || !ok {
				b.refuse("messages[%d].tool_calls[%d]: the arguments are no JSON object", i, j)
			}
			c.Calls = append(c.Calls, chat.Call{Name: call.Function.Name, Args: proviso.JSON(args)})
		}
		r.messages = append(r.messages, c)
	}
}

// content reads a text or a list of parts that are texts, which are joined.
func (b *body) content(i int, raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		b.refuse("messages[%d].content is neither a text nor a list of parts", i)
	}
	for j, p := range parts {
		if p.Type != "text" {
			b.refuse("messages[%d].content[%d] is of the type %.20q; only text is read", i, j, p.Type)
		}
		s += p.Text
	}
	return s
}

// within decides what may be written: calls that are asked for, a schema or a grammar.
func (r *request) within(g *model.Generator) error {
	b := &body{}
	list, none, err := r.chosen(g.Model().Chat)
	if err != nil {
		return err
	}
	if none {
		r.options.Tools = nil
	}
	if len(list) > 0 {
		r.options.NoThinking = true // a call that is asked for comes first
		r.base.Within, err = g.OneOf(list)
		return err
	}
	if r.grammar != "" {
		r.whole = true
		r.base.Within, err = g.Grammar(r.grammar)
		return err
	}
	var format struct {
		Type   string `json:"type"`
		Schema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if len(r.format) == 0 {
		return nil
	}
	if json.Unmarshal(r.format, &format) != nil {
		b.refuse("response_format is not of the type that it must have")
		return b.err
	}
	switch format.Type {
	case "text":
		return nil
	case "json_object":
		format.Schema.Schema = json.RawMessage(`{"type":"object"}`)
	case "json_schema":
	default:
		b.refuse("response_format of the type %.20q is not known", format.Type)
	}
	if len(format.Schema.Schema) == 0 {
		b.refuse("response_format has no json_schema.schema")
	}
	if b.err != nil {
		return b.err
	}
	r.whole, r.options.NoThinking = true, true
	r.base.Within, err = g.Schema(format.Schema.Schema)
	return err
}

// chosen returns the calls that tool_choice asks for, as the family writes them; none says that tools are not to be offered.
func (r *request) chosen(family *chat.Family) (list []grammar.Framed, none bool, err error) {
	if len(r.toolChoice) == 0 {
		return nil, false, nil
	}
	b := &body{}
	var word string
	var named tool
	if json.Unmarshal(r.toolChoice, &word) != nil {
		named = toolOf(r.toolChoice)
		if named.Function.Name == "" {
			b.refuse("tool_choice is neither a word nor a function with a name")
			return nil, false, b.err
		}
	}
	switch word {
	case "auto":
		return nil, false, nil
	case "none":
		return nil, true, nil
	case "required", "":
	default:
		b.refuse("tool_choice %.20q is not known", word)
		return nil, false, b.err
	}
	f := family.Frame
	for _, raw := range r.options.Tools {
		t := toolOf(raw)
		if word == "" && t.Function.Name != named.Function.Name {
			continue
		}
		schema := t.Function.Parameters
		if len(schema) == 0 || string(schema) == "null" {
			schema = json.RawMessage(`{"type":"object","additionalProperties":false}`)
		}
		list = append(list, grammar.Framed{Before: f.Before + t.Function.Name + f.Between, Schema: schema, After: f.After})
	}
	if len(list) == 0 {
		b.refuse("tool_choice asks for a tool that is not among the tools")
	}
	return list, false, b.err
}
