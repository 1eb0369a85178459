package openai

import (
	"cmp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Chat is the wire of chat completions.
var Chat wire.Wire = chat{}

type chat struct{}

func (chat) Name() string { return "chat" }
func (chat) Path() string { return "/v1/chat/completions" }

// Request reads a request of chat completions.
func (chat) Request(raw []byte) (*wire.Request, error) {
	doc, err := wire.DecodeRequest(raw)
	if err != nil {
		return nil, err
	}
	q := &wire.Request{Raw: raw, Doc: doc, Model: llm.Text(doc["model"]), Stream: doc["stream"] == true, Choices: 1}
	if n, ok := doc["n"].(int64); ok {
		q.Choices = int(n)
	}
	list, ok := doc["messages"].([]any)
	if !ok {
		return nil, wire.Malformed("/messages", "a list of messages")
	}
	q.Turns = make([]wire.Turn, 0, len(list))
	t := transcript{q: q, names: map[string]string{}, messages: make([]proviso.Message, 0, len(list)), segments: make([]wire.Segment, 0, len(list))}
	for i, v := range list {
		if err := t.message(wire.At("/messages", i), v); err != nil {
			return nil, err
		}
	}
	if p := llm.Object(doc["prediction"]); p != nil {
		texts, err := t.texts("/prediction/content", p["content"], proviso.Input)
		if err != nil {
			return nil, err
		}
		if text := wire.JoinSegments(texts); text != "" {
			q.Beside = append(q.Beside, wire.Turn{Body: &proviso.Message{Role: proviso.User, Text: text}, Texts: texts})
		}
	}
	t.stray(requestMembers, "", doc)
	if q.Tools, err = chatTools(doc); err != nil {
		return nil, err
	}
	among, err := functionTools("/tool_choice/allowed_tools/tools", llm.List(llm.Object(llm.Object(doc["tool_choice"])["allowed_tools"])["tools"]))
	q.Tools = append(q.Tools, justNamed(among)...)
	q.Forced = forced(doc["tool_choice"], doc["function_call"])
	return q, err
}

// requestMembers, messageMembers and answerMembers are the members of requests, of messages and of answers that are read, or that speak of tools and texts without being one.
var (
	requestMembers = wire.NewMembers("messages tools functions tool_choice function_call parallel_tool_calls max_tool_calls web_search_options model stream n input output prompt text include instructions prediction" +
		" plugins search_parameters compound_custom")
	messageMembers = wire.NewMembers("role content refusal tool_calls function_call audio tool_call_id name")
	answerMembers  = wire.NewMembers("choices")
	pickedMembers  = wire.NewMembers("message")
)

// transcript collects the turns of a request.
type transcript struct {
	q     *wire.Request
	names map[string]string // call id → tool
	// messages and segments are room for what most turns have one of.
	messages []proviso.Message
	segments []wire.Segment
}

func (t *transcript) foreign(kind, at string) {
	t.q.Foreign = append(t.q.Foreign, wire.Part{Kind: kind, At: at})
}

// media are the kinds of parts that are pictures, sounds and files.
var media = map[string]bool{"image_url": true, "input_image": true, "input_audio": true, "audio": true, "file": true, "input_file": true, "computer_screenshot": true}

// unread adds a part of a content that is no text.
func (t *transcript) unread(kind, at string, point proviso.Point) {
	p := wire.Part{Kind: kind, At: at}
	if media[kind] {
		p.Point = point
	}
	t.q.Foreign = append(t.q.Foreign, p)
}

// stray adds a member that no reader knows and that may be a call, or a text.
func (t *transcript) stray(known wire.Members, at string, m map[string]any) {
	if k := known.Stray(m); k != "" {
		t.foreign(k, at+"/"+wire.Step(k))
	}
}

// said adds a text that is a turn of its own.
func (t *transcript) said(role proviso.Role, texts []wire.Segment) {
	if text := wire.JoinSegments(texts); text != "" {
		t.messages = append(roomFor(t.messages), proviso.Message{Role: role, Text: text})
		t.q.Turns = append(t.q.Turns, wire.Turn{Body: &t.messages[len(t.messages)-1], Texts: texts})
	}
}

// roomFor returns a list that one more can be appended to without moving those that others point to.
func roomFor[T any](list []T) []T {
	if len(list) < cap(list) {
		return list
	}
	return make([]T, 0, 4)
}

func (t *transcript) message(at string, v any) error {
	m := llm.Object(v)
	if _, ok := m["content"]; !ok || len(m) > 2 { // most have a role and a content
		t.stray(messageMembers, at, m)
	}
	switch role := llm.Text(m["role"]); role {
	case "system", "developer", "user":
		texts, err := t.texts(at+"/content", m["content"], proviso.Input)
		if err != nil {
			return err
		}
		t.said(speaker[role], texts)
	case "assistant":
		return t.assistant(at, m)
	case "tool", "function":
		return t.answer(at, m)
	default:
		return wire.Malformed(at+"/role", "system, developer, user, assistant, tool or function")
	}
	return nil
}

var speaker = map[string]proviso.Role{"system": proviso.System, "developer": proviso.System, "user": proviso.User, "assistant": proviso.Assistant}

// texts reads a content, which is a text, a list of parts, or nothing. point is where a rule would look at its pictures and files.
func (t *transcript) texts(at string, v any, point proviso.Point) ([]wire.Segment, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		t.segments = append(roomFor(t.segments), wire.Segment{At: at, Text: v})
		n := len(t.segments)
		return t.segments[n-1 : n : n], nil
	case []any:
		var out []wire.Segment
		for i, p := range v {
			m, at := llm.Object(p), wire.At(at, i)
			kind := llm.Text(m["type"])
			key, ok := textParts[kind]
			if kind == "thinking" && point == proviso.Output {
				continue // as some providers say what the model thought (Mistral)
			}
			if !ok {
				t.unread(kind, at, point)
				continue
			}
			s, ok := m[key].(string)
			if !ok {
				return nil, wire.Malformed(at+"/"+key, "a text")
			}
			out = append(out, wire.Segment{At: at + "/" + key, Text: s})
		}
		return out, nil
	}
	return nil, wire.Malformed(at, "a text or a list of parts")
}

func (t *transcript) assistant(at string, m map[string]any) error {
	texts, err := t.texts(at+"/content", m["content"], proviso.Output)
	if err != nil {
		return err
	}
	if s := llm.Text(m["refusal"]); s != "" {
		texts = append(texts, wire.Segment{At: at + "/refusal", Text: s})
	}
	t.said(proviso.Assistant, texts)
	if m["audio"] != nil {
		t.unread("audio", at+"/audio", proviso.Output)
	}
	calls, err := chatCalls(at, m)
	for i := range calls {
		c := calls[i].ToolCall
		t.names[c.ID] = c.Tool
		t.q.Turns = append(t.q.Turns, wire.Turn{Body: &c})
	}
	return err
}

func (t *transcript) answer(at string, m map[string]any) error {
	texts, err := t.texts(at+"/content", m["content"], proviso.ToolResultPoint)
	if err != nil {
		return err
	}
	id := llm.Text(m["tool_call_id"])
	r := llm.ResultOf(id, cmp.Or(t.names[id], llm.Text(m["name"])), wire.JoinSegments(texts), false)
	t.q.Turns = append(t.q.Turns, wire.Turn{Body: r, Texts: texts, Content: at + "/content"})
	return nil
}

// chatTools lists every way in which a chat completion offers a tool.
func chatTools(doc map[string]any) (out []wire.Tool, err error) {
	tools, err := listOf(doc, "tools")
	if err != nil {
		return nil, err
	}
	if out, err = functionTools("/tools", tools); err != nil {
		return nil, err
	}
	functions, err := listOf(doc, "functions")
	if err != nil {
		return nil, err
	}
	for i, v := range functions {
		at := wire.At("/functions", i)
		name := llm.Text(llm.Object(v)["name"])
		if name == "" {
			return nil, wire.Malformed(at, "a function with a name")
		}
		out = append(out, wire.Tool{Name: name, Kind: "function", At: at})
	}
	for _, h := range hostedMembers {
		if doc[h.member] != nil {
			out = append(out, wire.Tool{Name: h.tool, Kind: h.member, At: "/" + h.member, Hosted: true})
		}
	}
	return out, nil
}

// functionTools are the tools of a list.
func functionTools(list string, tools []any) (out []wire.Tool, err error) {
	for i, v := range tools {
		m, at := llm.Object(v), wire.At(list, i)
		kind := llm.Text(m["type"])
		if kind == "" && m["function"] != nil {
			kind = "function"
		}
		switch kind {
		case "function", "custom":
			name := llm.Text(llm.Object(m[kind])["name"])
			if name == "" {
				return nil, wire.Malformed(at, "a tool with a name")
			}
			out = append(out, wire.Tool{Name: name, Kind: kind, At: at})
		default:
			out = append(out, wire.Tool{Name: kind, Kind: kind, At: at, Hosted: true})
		}
	}
	return out, nil
}

// justNamed says of tools that they are offered at another place.
func justNamed(tools []wire.Tool) []wire.Tool {
	for i := range tools {
		tools[i].Named = true
	}
	return tools
}

// hostedMembers are the members of a request by which providers search or compute for the model without a tool in the list: OpenAI's, and those of OpenRouter, xAI and Groq.
var hostedMembers = []struct{ member, tool string }{{"web_search_options", "web_search"}, {"plugins", "plugins"}, {"search_parameters", "web_search"}, {"compound_custom", "compound"}}

// listOf returns a member that is a list or nothing. Anything else is an error, since who reads it otherwise may find tools in it.
func listOf(m map[string]any, key string) ([]any, error) {
	list, ok := m[key].([]any)
	if m[key] != nil && !ok {
		return nil, wire.Malformed("/"+key, "a list")
	}
	return list, nil
}

// forced is the tool that a request tells the model to call.
func forced(choices ...any) string {
	for _, v := range choices {
		m := llm.Object(v)
		for _, n := range []any{llm.Object(m["function"])["name"], llm.Object(m["custom"])["name"], m["name"]} {
			if s := llm.Text(n); s != "" {
				return s
			}
		}
	}
	return ""
}

// chatCalls reads the calls of a message: tool_calls and the older function_call.
func chatCalls(at string, m map[string]any) ([]wire.Call, error) {
	var out []wire.Call
	list, ok := m["tool_calls"].([]any)
	if m["tool_calls"] != nil && !ok {
		return nil, wire.Malformed(at+"/tool_calls", "a list of calls")
	}
	for i, v := range list {
		c, err := chatCall(wire.At(at, "tool_calls", i), v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if v := m["function_call"]; v != nil {
		f := llm.Object(v)
		if f == nil {
			return nil, wire.Malformed(at+"/function_call", "an object")
		}
		c := wire.Call{ToolCall: proviso.ToolCall{Tool: llm.Text(f["name"])}, Kind: "function_call", At: at + "/function_call"}
		written(&c, f["arguments"], c.At+"/arguments")
		out = append(out, c)
	}
	return out, nil
}

func chatCall(at string, v any) (wire.Call, error) {
	m := llm.Object(v)
	if m == nil {
		return wire.Call{}, wire.Malformed(at, "a call")
	}
	c := wire.Call{ToolCall: proviso.ToolCall{ID: llm.Text(m["id"])}, Kind: cmp.Or(llm.Text(m["type"]), "function"), At: at}
	f := llm.Object(m[c.Kind])
	switch {
	case c.Kind == "function" && f != nil:
		c.Tool = llm.Text(f["name"])
		written(&c, f["arguments"], at+"/function/arguments")
	case c.Kind == "custom" && f != nil:
		c.Tool, c.Form, c.ArgsAt = llm.Text(f["name"]), wire.ArgsInput, at+"/custom/input"
		c.Args = llm.Raw(map[string]any{"input": f["input"]})
	default:
		whole(&c, m)
	}
	return c, nil
}

// written sets the arguments of a call as the model wrote them, valid or not.
func written(c *wire.Call, v any, at string) {
	c.ArgsAt = at
	switch v := v.(type) {
	case string:
		c.Args, c.Form = proviso.JSON(v), wire.ArgsText
	case nil:
	default:
		c.Args, c.Form = llm.Raw(v), wire.ArgsObject
	}
}

// whole makes a call of a kind that nobody reads: it is named after its kind and has all that it says as its arguments.
func whole(c *wire.Call, m map[string]any) {
	c.Tool, c.Args, c.Form = c.Kind, llm.Raw(m), wire.ArgsWhole
}

// Response reads an answer.
func (chat) Response(raw []byte) (*wire.Response, error) {
	doc, err := wire.Decode(raw)
	if err != nil {
		return nil, err
	}
	return chatAnswer(raw, doc)
}

// chatAnswer reads an answer that was decoded.
func chatAnswer(raw []byte, doc map[string]any) (r *wire.Response, err error) {
	list, ok := doc["choices"].([]any)
	if !ok {
		return nil, wire.Malformed("/choices", "a list of choices")
	}
	r = &wire.Response{Raw: raw, Doc: doc, ID: llm.Text(doc["id"]), Model: llm.Text(doc["model"])}
	for i, v := range list {
		at := wire.At("/choices", i)
		m := llm.Object(llm.Object(v)["message"])
		if m == nil {
			return nil, wire.Malformed(at+"/message", "a message")
		}
		q := wire.Request{}
		t := transcript{q: &q}
		t.stray(answerMembers, "", doc)
		t.stray(pickedMembers, at, llm.Object(v))
		t.stray(messageMembers, at+"/message", m)
		c := wire.Choice{At: at, Ended: llm.Text(llm.Object(v)["finish_reason"]) != ""}
		if c.Texts, err = t.texts(at+"/message/content", m["content"], proviso.Output); err != nil {
			return nil, err
		}
		if s := llm.Text(m["refusal"]); s != "" {
			c.Texts = append(c.Texts, wire.Segment{At: at + "/message/refusal", Text: s})
		}
		if m["audio"] != nil {
			t.unread("audio", at+"/message/audio", proviso.Output)
		}
		c.Foreign = q.Foreign
		if c.Calls, err = chatCalls(at+"/message", m); err != nil {
			return nil, err
		}
		r.Choices = append(r.Choices, c)
	}
	return r, nil
}

// bytesOf is an answer as bytes: those that came, or those of one that was put together of a stream.
func bytesOf(r *wire.Response) []byte {
	if r.Raw != nil {
		return r.Raw
	}
	return llm.Raw(r.Doc)
}

// Rewrite carries verdicts out. What is said in place of denied calls is appended to the content; a choice without calls left stops instead of waiting for results.
func (chat) Rewrite(r *wire.Response, verdicts []wire.Verdict) ([]byte, error) {
	raw := bytesOf(r)
	for i := range verdicts {
		c, v := &r.Choices[i], &verdicts[i]
		message := c.At + "/message"
		if v.Changes() {
			raw = withoutTokens(raw, c.At)
		}
		if v.Refusal != "" {
			raw = wire.Set(raw, message, llm.Raw(map[string]any{"role": "assistant", "content": nil, "refusal": v.Refusal}))
			raw = wire.Set(raw, c.At+"/finish_reason", []byte(`"content_filter"`))
			continue
		}
		for j, s := range v.Texts {
			if s != c.Texts[j].Text {
				raw = wire.Set(raw, c.Texts[j].At, wire.Quote(s))
			}
		}
		raw = chatVerdicts(raw, c, v)
	}
	return raw, nil
}

// withoutTokens drops the probabilities of the tokens of a choice that is changed: they say its text once more.
func withoutTokens(raw []byte, choice string) []byte {
	if _, ok := wire.Get(raw, choice+"/logprobs"); !ok {
		return raw
	}
	return wire.Set(raw, choice+"/logprobs", []byte("null"))
}

func chatVerdicts(raw []byte, c *wire.Choice, v *wire.Verdict) []byte {
	var says []string
	left := len(c.Calls)
	for j, x := range slices.Backward(v.Calls) {
		call := &c.Calls[j]
		switch {
		case x.Say != "":
			raw = wire.Delete(raw, call.At)
			says = append(says, x.Say)
			left--
		case x.Args != nil:
			raw = wire.Set(raw, call.ArgsAt, argsIn(call.Form, x.Args))
		}
	}
	if len(says) == 0 {
		return raw
	}
	slices.Reverse(says)
	message := c.At + "/message"
	raw = appendContent(raw, message+"/content", strings.Join(says, "\n\n"))
	if left == 0 {
		raw = wire.Delete(raw, message+"/tool_calls")
		raw = wire.Set(raw, c.At+"/finish_reason", []byte(`"stop"`))
	}
	return raw
}

// appendContent adds a paragraph to a content, which is a text, a list of parts, or nothing.
func appendContent(raw []byte, at, text string) []byte {
	old, _ := wire.Get(raw, at)
	v, _ := proviso.DecodeResultJSON(old)
	switch v := v.(type) {
	case string:
		if v != "" {
			text = v + "\n\n" + text
		}
	case []any:
		return wire.Set(raw, wire.At(at, len(v)), llm.Raw(map[string]any{"type": "text", "text": text}))
	}
	return wire.Set(raw, at, wire.Quote(text))
}

// argsIn writes edited arguments in the form of the wire.
func argsIn(form wire.Form, args proviso.JSON) []byte {
	switch form {
	case wire.ArgsText:
		return wire.Quote(string(args))
	case wire.ArgsInput:
		v, err := proviso.DecodeJSON(args)
		if s, ok := llm.Object(v)["input"].(string); ok && err == nil {
			return wire.Quote(s)
		}
	}
	return args
}

// Refusal is an answer of the assistant that refuses.
func (w chat) Refusal(q *wire.Request, d wire.Denial) []byte {
	doc := map[string]any{
		"id": "chatcmpl-proviso", "object": "chat.completion", "created": int64(0), "model": q.Model,
		"choices": []any{map[string]any{"index": int64(0), "finish_reason": "content_filter", "logprobs": nil, "message": map[string]any{"role": "assistant", "content": nil, "refusal": d.Text}}},
		"usage":   map[string]any{"prompt_tokens": int64(0), "completion_tokens": int64(0), "total_tokens": int64(0)},
	}
	detail(doc, d)
	raw := llm.Raw(doc)
	if !q.Stream {
		return raw
	}
	return replayAll(w, raw)
}

// detail adds what programs want to know of a denial, beside what the vendor's format has.
func detail(doc map[string]any, d wire.Denial) {
	if len(d.Detail) == 0 {
		return
	}
	if v, err := proviso.DecodeResultJSON(d.Detail); err == nil {
		doc["proviso"] = v
	}
}

// replayAll writes a whole answer as a stream.
func replayAll(w wire.Wire, raw []byte) []byte {
	r, err := w.Response(raw)
	if err == nil {
		var out []byte
		if out, err = w.Stream().Replay(r); err == nil {
			return out
		}
	}
	// unreachable: refusals are answers of their wire.
	return wire.AppendEvent(nil, "", w.Error(wire.Denial{Code: "internal", Text: err.Error()}))
}

// Error is an error object of the OpenAI API.
func (chat) Error(d wire.Denial) []byte { return vendorError(d) }

func vendorError(d wire.Denial) []byte {
	kind := "server_error"
	switch {
	case d.Status == 401:
		kind = "authentication_error"
	case d.Status == 429:
		kind = "rate_limit_error"
	case d.Status >= 400 && d.Status < 500:
		kind = "invalid_request_error"
	}
	e := map[string]any{"message": d.Text, "type": kind, "code": d.Code, "param": nil}
	detail(e, d)
	return llm.Raw(map[string]any{"error": e})
}

// Revise asks once more: the answer stands behind the turns, then what was wrong with it. A call that the provider would run stays unanswered and is left out.
func (chat) Revise(q *wire.Request, answer *wire.Response, verdicts []wire.Verdict, note string) ([]byte, error) {
	if len(answer.Choices) != 1 {
		return nil, wire.Malformed("/choices", "one choice to revise")
	}
	c := &answer.Choices[0]
	turn := map[string]any{"role": "assistant", "content": c.Text()}
	var results, calls []any
	for j := range c.Calls {
		call := &c.Calls[j]
		if call.Kind != "function" || call.ID == "" || j >= len(verdicts[0].Calls) {
			continue
		}
		calls = append(calls, map[string]any{"id": call.ID, "type": "function", "function": map[string]any{"name": call.Tool, "arguments": string(call.Args)}})
		results = append(results, map[string]any{"role": "tool", "tool_call_id": call.ID, "content": verdicts[0].Calls[j].Say})
	}
	if calls != nil {
		turn["tool_calls"] = calls
	}
	more := append([]any{turn}, results...)
	if calls == nil {
		more = append(more, map[string]any{"role": "user", "content": note})
	}
	raw := q.Raw
	n := len(llm.List(q.Doc["messages"]))
	for i, m := range more {
		raw = wire.Set(raw, wire.At("/messages", n+i), llm.Raw(m))
	}
	return raw, nil
}
