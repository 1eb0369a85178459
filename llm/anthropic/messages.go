package anthropic

import (
	"cmp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Messages is the wire of the messages API.
var Messages wire.Wire = messagesWire{}

type messagesWire struct{}

func (messagesWire) Name() string { return "messages" }
func (messagesWire) Path() string { return "/v1/messages" }

// silent are the blocks that say nothing to the user and call nothing: what the model thought, and the list of tools of a server.
var silent = map[string]bool{"thinking": true, "redacted_thinking": true, "compaction": true, "fallback": true, "mcp_tool_listing": true, "tool_removal": true}

// media are the kinds of blocks that are pictures and files.
var media = map[string]bool{"image": true, "document": true}

// requestMembers, fallbackMembers, turnMembers, answerMembers and textMembers are the members of requests, of messages, of answers and of texts that are read, or that speak of tools and texts without being one.
var (
	requestMembers  = wire.NewMembers("messages system tools tool_choice mcp_servers container model stream")
	fallbackMembers = wire.NewMembers("model")
	turnMembers     = wire.NewMembers("role content")
	answerMembers   = wire.NewMembers("content")
	textMembers     = wire.NewMembers("type text")
)

// ranBy are the calls that the provider runs itself.
var ranBy = map[string]bool{"server_tool_use": true, "mcp_tool_use": true}

// Request reads a request of the messages API.
func (messagesWire) Request(raw []byte) (*wire.Request, error) {
	doc, err := wire.DecodeRequest(raw)
	if err != nil {
		return nil, err
	}
	q := &wire.Request{Raw: raw, Doc: doc, Model: llm.Text(doc["model"]), Stream: doc["stream"] == true, Choices: 1}
	t := transcript{q: q, names: map[string]string{}}
	if doc["system"] != nil {
		if err := t.content("/system", proviso.System, doc["system"]); err != nil {
			return nil, err
		}
	}
	list, ok := doc["messages"].([]any)
	if !ok {
		return nil, wire.Malformed("/messages", "a list of messages")
	}
	for i, v := range list {
		m, at := llm.Object(v), wire.At("/messages", i)
		role, ok := roles[llm.Text(m["role"])]
		if !ok {
			return nil, wire.Malformed(at+"/role", "user or assistant")
		}
		if _, ok := m["content"]; !ok || len(m) > 2 { // nearly all have a role and a content
			t.stray(turnMembers, at, m)
		}
		if err := t.content(at+"/content", role, m["content"]); err != nil {
			return nil, err
		}
	}
	if c := llm.Object(doc["container"]); len(llm.List(c["skills"])) > 0 {
		t.foreign("skills", "/container")
	}
	t.stray(requestMembers, "", doc)
	for i, v := range llm.List(doc["fallbacks"]) {
		t.stray(fallbackMembers, wire.At("/fallbacks", i), llm.Object(v))
	}
	tools, err := offered(doc)
	if err != nil {
		return nil, err
	}
	q.Tools = append(tools, q.Tools...)
	if llm.Text(llm.Object(doc["tool_choice"])["type"]) == "tool" {
		q.Forced = llm.Text(llm.Object(doc["tool_choice"])["name"])
	}
	return q, nil
}

// transcript collects the turns of a request.
type transcript struct {
	q     *wire.Request
	names map[string]string // call id → tool
}

func (t *transcript) foreign(kind, at string) {
	t.q.Foreign = append(t.q.Foreign, wire.Part{Kind: kind, At: at})
}

// unread adds a part of a content that is no text. point is where a rule would look at pictures and files.
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

// written are the texts of a block that is a text in another form: a document that is given as text, or something that a search found. It is nil for every other block.
func written(at string, b map[string]any) (texts []wire.Segment) {
	add := func(at string, v any) {
		if s := llm.Text(v); s != "" {
			texts = append(texts, wire.Segment{At: at, Text: s})
		}
	}
	parts := func(at string, v any) bool {
		add(at, v)
		for i, p := range llm.List(v) {
			m := llm.Object(p)
			if llm.Text(m["type"]) != "text" {
				return false
			}
			add(wire.At(at, i, "text"), m["text"])
		}
		return true
	}
	source := llm.Object(b["source"])
	switch kind := llm.Text(b["type"]); {
	case kind == "document" && source["type"] == "text":
		add(at+"/title", b["title"])
		add(at+"/context", b["context"])
		add(at+"/source/data", source["data"])
	case kind == "document" && source["type"] == "content":
		add(at+"/title", b["title"])
		add(at+"/context", b["context"])
		if !parts(at+"/source/content", source["content"]) {
			return nil
		}
	case kind == "browser_state":
		for i, v := range llm.List(b["tabs"]) {
			tab, at := llm.Object(v), wire.At(at, "tabs", i)
			add(at+"/title", tab["title"])
			add(at+"/url", tab["url"])
		}
	case kind == "search_result":
		add(at+"/title", b["title"])
		add(at+"/source", b["source"])
		if !parts(at+"/content", b["content"]) {
			return nil
		}
	}
	return texts
}

func (t *transcript) said(role proviso.Role, texts []wire.Segment) {
	if text := wire.JoinSegments(texts); text != "" {
		t.q.Turns = append(t.q.Turns, wire.Turn{Body: &proviso.Message{Role: role, Text: text}, Texts: texts})
	}
}

// content reads the content of one turn. Texts that follow each other are one message.
func (t *transcript) content(at string, role proviso.Role, v any) error {
	list, ok := v.([]any)
	if !ok {
		s, ok := v.(string)
		if !ok {
			return wire.Malformed(at, "a text or a list of blocks")
		}
		t.said(role, []wire.Segment{{At: at, Text: s}})
		return nil
	}
	var texts []wire.Segment
	for i, v := range list {
		b, at := llm.Object(v), wire.At(at, i)
		kind := llm.Text(b["type"])
		if kind == "text" {
			s, ok := b["text"].(string)
			if !ok {
				return wire.Malformed(at+"/text", "a text")
			}
			texts = append(texts, wire.Segment{At: at + "/text", Text: s})
			continue
		}
		if more := written(at, b); more != nil {
			texts = append(texts, more...)
			continue
		}
		if silent[kind] {
			continue
		}
		t.said(role, texts)
		texts = nil
		switch {
		case kind == "tool_addition":
			if err := t.added(at, llm.Object(b["tool"])); err != nil {
				return err
			}
		case isCall(kind):
			c := blockCall(at, kind, b)
			t.names[c.ID] = c.Tool
			t.q.Turns = append(t.q.Turns, wire.Turn{Body: &c.ToolCall})
		case isResult(kind):
			if err := t.result(at, b); err != nil {
				return err
			}
		default:
			t.unread(kind, at, proviso.Input)
		}
	}
	t.said(role, texts)
	return nil
}

// added reads a tool that is offered in the middle of a transcript: one that the request describes elsewhere, or a new one.
func (t *transcript) added(at string, tool map[string]any) error {
	switch kind := llm.Text(tool["type"]); kind {
	case "tool_reference":
		t.q.Tools = append(t.q.Tools, wire.Tool{Name: llm.Text(tool["name"]), Kind: kind, At: at, Named: true})
	case "mcp_tool_reference", "mcp_toolset_reference":
		t.q.Tools = append(t.q.Tools, wire.Tool{Name: llm.Text(tool["server_name"]) + "." + cmp.Or(llm.Text(tool["name"]), "*"), Kind: kind, At: at, Hosted: true, Named: true})
	case "tool_definition":
		one, err := entry(at, llm.Object(tool["definition"]))
		t.q.Tools = append(t.q.Tools, one)
		return err
	default:
		t.foreign(kind, at)
	}
	return nil
}

// result reads what a tool answered. A list without any text is the answer itself, as the provider's own tools give it.
func (t *transcript) result(at string, b map[string]any) error {
	id := llm.Text(b["tool_use_id"])
	turn := wire.Turn{Content: at + "/content"}
	if b["type"] == "tool_result" {
		turn.Flag = at + "/is_error"
	}
	r, texts, err := t.answer(id, at+"/content", b)
	if err != nil {
		return err
	}
	r.Tool = t.names[id]
	turn.Body, turn.Texts = r, texts
	t.q.Turns = append(t.q.Turns, turn)
	return nil
}

func (t *transcript) answer(id, at string, b map[string]any) (*proviso.ToolResult, []wire.Segment, error) {
	failed := b["is_error"] == true
	switch v := b["content"].(type) {
	case nil:
		return llm.ResultOf(id, "", "", failed), nil, nil
	case string:
		return llm.ResultOf(id, "", v, failed), []wire.Segment{{At: at, Text: v}}, nil
	case []any:
		var texts []wire.Segment
		for i, p := range v {
			m := llm.Object(p)
			switch kind := llm.Text(m["type"]); kind {
			case "text":
				s, ok := m["text"].(string)
				if !ok {
					return nil, nil, wire.Malformed(wire.At(at, i, "text"), "a text")
				}
				texts = append(texts, wire.Segment{At: wire.At(at, i, "text"), Text: s})
			case "web_search_result", "tool_reference":
			default:
				if more := written(wire.At(at, i), m); more != nil {
					texts = append(texts, more...)
					continue
				}
				t.unread(kind, wire.At(at, i), proviso.ToolResultPoint)
			}
		}
		if texts == nil && len(v) > 0 {
			return &proviso.ToolResult{CallID: id, Content: llm.Raw(v), IsError: failed}, nil, nil
		}
		return llm.ResultOf(id, "", wire.JoinSegments(texts), failed), texts, nil
	}
	return &proviso.ToolResult{CallID: id, Content: llm.Raw(b["content"]), IsError: failed}, nil, nil
}

// blockCall reads a call.
func blockCall(at, kind string, b map[string]any) wire.Call {
	c := wire.Call{ToolCall: proviso.ToolCall{ID: llm.Text(b["id"]), Tool: llm.Text(b["name"])}, Kind: kind, At: at, ArgsAt: at + "/input", Form: wire.ArgsObject, Ran: ranBy[kind]}
	c.Fixed = c.Ran
	for _, k := range []string{"server_name", "toolset_name"} {
		if s := llm.Text(b[k]); s != "" {
			c.Tool = s + "." + c.Tool
		}
	}
	if kind != "tool_use" && !ranBy[kind] {
		c.Tool, c.Args, c.Form = kind, llm.Raw(b), wire.ArgsWhole
		return c
	}
	c.Args = input(b["input"])
	return c
}

// clientTools are the beginnings of the kinds of tools that the client runs although the vendor describes them.
var clientTools = []string{"bash_", "text_editor_", "computer_", "memory_"}

// offered lists every way in which a request offers a tool.
func offered(doc map[string]any) (out []wire.Tool, err error) {
	for _, k := range []string{"tools", "mcp_servers"} {
		if _, ok := doc[k].([]any); doc[k] != nil && !ok {
			return nil, wire.Malformed("/"+k, "a list")
		}
	}
	chosen := map[string][]string{} // by server: the tools that its toolset in the list names
	for i, v := range llm.List(doc["tools"]) {
		m, at := llm.Object(v), wire.At("/tools", i)
		if names := enabled(m); names != nil {
			server := llm.Text(m["mcp_server_name"])
			chosen[server] = names
			out = append(out, ofServer(server, names, llm.Text(m["type"]), at)...)
			continue
		}
		one, err := entry(at, m)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	for i, v := range llm.List(doc["mcp_servers"]) {
		m, at := llm.Object(v), wire.At("/mcp_servers", i)
		server := llm.Text(m["name"])
		allowed := chosen[server]
		for _, a := range llm.List(llm.Object(m["tool_configuration"])["allowed_tools"]) {
			allowed = append(allowed, llm.Text(a))
		}
		if allowed == nil {
			allowed = []string{"*"}
		}
		out = append(out, ofServer(server, allowed, "mcp_server", at)...)
	}
	return out, nil
}

// enabled are the tools that the toolset of a server names, where it leaves all others out.
func enabled(toolset map[string]any) (names []string) {
	if toolset["type"] != "mcp_toolset" || llm.Object(toolset["default_config"])["enabled"] != false {
		return nil
	}
	for name, v := range llm.Object(toolset["configs"]) {
		// What was not read is that of a tool which is called as a member of tools that nobody asks for; see wire.DecodeRequest.
		if v == nil || llm.Object(v)["enabled"] == true {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ofServer are tools of a server that the provider asks.
func ofServer(server string, names []string, kind, at string) (out []wire.Tool) {
	for _, n := range names {
		out = append(out, wire.Tool{Name: server + "." + n, Kind: kind, At: at, Hosted: true})
	}
	return out
}

// toolsets are the kinds of entries that stand for several tools which the client runs, by their beginning; their calls are named after them.
var toolsets = map[string]string{"browser_toolset_": "browser", "computer_toolset_": "computer"}

// entry reads one entry of the list of tools.
func entry(at string, m map[string]any) (wire.Tool, error) {
	kind, name := llm.Text(m["type"]), llm.Text(m["name"])
	for begin, set := range toolsets {
		if strings.HasPrefix(kind, begin) {
			return wire.Tool{Name: set + ".*", Kind: kind, At: at, Several: true}, nil
		}
	}
	hosted := kind != "" && kind != "custom"
	for _, p := range clientTools {
		hosted = hosted && !strings.HasPrefix(kind, p)
	}
	if name == "" && !hosted {
		return wire.Tool{}, wire.Malformed(at, "a tool with a name")
	}
	if name == "" {
		name = kind
		if s := llm.Text(m["mcp_server_name"]); s != "" {
			name = s + ".*"
		}
	}
	return wire.Tool{Name: name, Kind: kind, At: at, Hosted: hosted}, nil
}

// Response reads an answer.
func (messagesWire) Response(raw []byte) (*wire.Response, error) {
	doc, err := wire.Decode(raw)
	if err != nil {
		return nil, err
	}
	list, ok := doc["content"].([]any)
	if !ok {
		return nil, wire.Malformed("/content", "a list of blocks")
	}
	r := &wire.Response{Raw: raw, Doc: doc, ID: llm.Text(doc["id"]), Model: llm.Text(doc["model"])}
	c := wire.Choice{Ended: llm.Text(doc["stop_reason"]) != ""}
	t := transcript{q: &wire.Request{}}
	t.stray(answerMembers, "", doc)
	for i, v := range list {
		b, at := llm.Object(v), wire.At("/content", i)
		switch kind := llm.Text(b["type"]); {
		case kind == "text":
			s, ok := b["text"].(string)
			if !ok {
				return nil, wire.Malformed(at+"/text", "a text")
			}
			t.stray(textMembers, at, b)
			c.Texts = append(c.Texts, wire.Segment{At: at + "/text", Text: s})
		case silent[kind]:
		case isCall(kind):
			c.Calls = append(c.Calls, blockCall(at, kind, b))
		case isResult(kind):
			if err := t.ran(&c, at, b); err != nil {
				return nil, err
			}
		default:
			t.unread(kind, at, proviso.Output)
		}
	}
	c.Foreign = t.q.Foreign
	r.Choices = []wire.Choice{c}
	return r, nil
}

// ran ties the answer of a call that the provider has run to the call. An answer to no call is something that nobody can decide on.
func (t *transcript) ran(c *wire.Choice, at string, b map[string]any) error {
	id := llm.Text(b["tool_use_id"])
	for i := range c.Calls {
		if x := &c.Calls[i]; x.ID == id && x.Ran && x.Result == nil {
			r, _, err := t.answer(id, at+"/content", b)
			if err != nil {
				return err
			}
			r.Tool, x.Result, x.ResultAt = x.Tool, r, at
			return nil
		}
	}
	t.foreign(llm.Text(b["type"]), at)
	return nil
}

// Rewrite carries verdicts out. A denied call becomes a text in its place, so that the other blocks keep their numbers; the answer that the provider gave to it goes with it.
func (messagesWire) Rewrite(r *wire.Response, verdicts []wire.Verdict) ([]byte, error) {
	raw, c, v := r.Raw, &r.Choices[0], &verdicts[0]
	if v.Refusal != "" {
		raw = wire.Set(raw, "/content", llm.Raw([]any{text(v.Refusal)}))
		return wire.Set(raw, "/stop_reason", []byte(`"refusal"`)), nil
	}
	for j, s := range v.Texts {
		if at := c.Texts[j].At; s != c.Texts[j].Text {
			raw = wire.Set(raw, at, wire.Quote(s))
			raw = wire.Delete(raw, strings.TrimSuffix(at, "/text")+"/citations") // what they quote may be what was taken out
		}
	}
	waits, said := false, false
	for j := range c.Calls {
		call, x := &c.Calls[j], wire.CallVerdict{}
		if j < len(v.Calls) {
			x = v.Calls[j]
		}
		switch {
		case x.Say != "":
			said = true
			raw = wire.Set(raw, call.At, llm.Raw(text(x.Say)))
			if call.ResultAt != "" {
				raw = wire.Set(raw, call.ResultAt, llm.Raw(text("The answer is withheld.")))
			}
			continue
		case x.Args != nil:
			raw = wire.Set(raw, call.ArgsAt, x.Args)
		}
		waits = waits || !call.Ran
	}
	if said && !waits && r.Doc["stop_reason"] == "tool_use" {
		raw = wire.Set(raw, "/stop_reason", []byte(`"end_turn"`))
	}
	return raw, nil
}

func text(s string) map[string]any { return map[string]any{"type": "text", "text": s} }

// Refusal is an answer that refuses.
func (w messagesWire) Refusal(q *wire.Request, d wire.Denial) []byte {
	doc := map[string]any{
		"id": "msg_proviso", "type": "message", "role": "assistant", "model": q.Model, "content": []any{text(d.Text)}, "stop_reason": "refusal", "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": int64(0), "output_tokens": int64(0)},
	}
	if v, err := proviso.DecodeResultJSON(d.Detail); err == nil {
		doc["proviso"] = v
	}
	raw := llm.Raw(doc)
	if !q.Stream {
		return raw
	}
	r, err := w.Response(raw)
	if err == nil {
		var out []byte
		if out, err = w.Stream().Replay(r); err == nil {
			return out
		}
	}
	// unreachable: a refusal is an answer of this wire.
	return w.Stream().Abort(d)
}

// errorKinds are the names of errors by HTTP status.
var errorKinds = map[int]string{400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"}

// Error is an error object of the messages API.
func (messagesWire) Error(d wire.Denial) []byte {
	kind := errorKinds[d.Status]
	if kind == "" {
		kind = "api_error"
	}
	e := map[string]any{"type": kind, "message": d.Text, "code": d.Code}
	if v, err := proviso.DecodeResultJSON(d.Detail); err == nil {
		e["proviso"] = v
	}
	return llm.Raw(map[string]any{"type": "error", "error": e})
}

// Revise asks once more, with the answer and what was wrong with it behind the turns.
func (messagesWire) Revise(q *wire.Request, answer *wire.Response, verdicts []wire.Verdict, note string) ([]byte, error) {
	c := &answer.Choices[0]
	var said, back []any
	for _, s := range c.Texts {
		if s.Text != "" {
			said = append(said, text(s.Text))
		}
	}
	for j := range c.Calls {
		call := &c.Calls[j]
		args, err := proviso.DecodeJSON(call.Args)
		if call.Kind != "tool_use" || err != nil || j >= len(verdicts[0].Calls) {
			continue
		}
		block := map[string]any{"type": "tool_use", "id": call.ID, "name": call.Tool, "input": args}
		if v, _ := wire.Get(answer.Raw, call.At); v != nil {
			if was, err := proviso.DecodeResultJSON(v); err == nil && llm.Text(llm.Object(was)["toolset_name"]) != "" {
				block["toolset_name"], block["name"] = llm.Object(was)["toolset_name"], llm.Object(was)["name"]
			}
		}
		said = append(said, block)
		back = append(back, map[string]any{"type": "tool_result", "tool_use_id": call.ID, "is_error": true, "content": verdicts[0].Calls[j].Say})
	}
	if back == nil {
		back = []any{text(note)}
	}
	raw := q.Raw
	n := len(llm.List(q.Doc["messages"]))
	if said != nil {
		raw = wire.Set(raw, wire.At("/messages", n), llm.Raw(map[string]any{"role": "assistant", "content": said}))
		n++
	}
	return wire.Set(raw, wire.At("/messages", n), llm.Raw(map[string]any{"role": "user", "content": back})), nil
}
