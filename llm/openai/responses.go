package openai

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Responses is the wire of the Responses API.
var Responses wire.Wire = responses{}

type responses struct{}

func (responses) Name() string { return "responses" }
func (responses) Path() string { return "/v1/responses" }

// callItem is how an item is read as a call.
type callItem struct {
	tool  string    // the name of the tool; empty where the item names it
	runs  string    // where the item may say who runs it: the value of "execution" for which the provider does
	id    string    // the key of its id
	args  string    // the key of its arguments
	form  wire.Form // how they are written
	keys  []string  // where there is no one key: these members of the item make up the arguments
	ran   bool      // the provider has run it
	fixed bool
}

// callItems are the kinds of items that are calls. A kind that is not here and not in otherItems is named after itself, so that only a policy that knows it lets it pass.
var callItems = map[string]callItem{
	"function_call":         {id: "call_id", args: "arguments", form: wire.ArgsText},
	"custom_tool_call":      {id: "call_id", args: "input", form: wire.ArgsInput},
	"mcp_call":              {id: "id", args: "arguments", form: wire.ArgsText, ran: true},
	"mcp_approval_request":  {id: "id", args: "arguments", form: wire.ArgsText, fixed: true},
	"computer_call":         {tool: "computer", id: "call_id", keys: []string{"action", "actions"}, form: wire.ArgsWhole},
	"local_shell_call":      {tool: "local_shell", id: "call_id", args: "action", form: wire.ArgsObject},
	"shell_call":            {tool: "shell", id: "call_id", args: "action", form: wire.ArgsObject},
	"apply_patch_call":      {tool: "apply_patch", id: "call_id", args: "operation", form: wire.ArgsObject},
	"web_search_call":       {tool: "web_search", id: "id", keys: []string{"action"}, form: wire.ArgsWhole, ran: true},
	"file_search_call":      {tool: "file_search", id: "id", keys: []string{"queries"}, form: wire.ArgsWhole, ran: true},
	"code_interpreter_call": {tool: "code_interpreter", id: "id", keys: []string{"code", "container_id"}, form: wire.ArgsWhole, ran: true},
	"image_generation_call": {tool: "image_generation", id: "id", keys: []string{"revised_prompt"}, form: wire.ArgsWhole, ran: true},
	"tool_search_call":      {tool: "tool_search", id: "call_id", args: "arguments", form: wire.ArgsText, runs: "server"},
	"program":               {tool: "programmatic_tool_calling", id: "call_id", keys: []string{"code"}, form: wire.ArgsWhole, ran: true},
}

// outputItems are the kinds of items that answer a call.
var outputItems = map[string]bool{
	"function_call_output": true, "custom_tool_call_output": true, "local_shell_call_output": true, "shell_call_output": true, "apply_patch_call_output": true, "computer_call_output": true, "program_output": true,
}

// otherItems say nothing to the user and call nothing: what the model thought, and the list of tools of a server.
var otherItems = map[string]bool{"reasoning": true, "mcp_list_tools": true, "compaction": true, "compaction_trigger": true, "configuration_update": true}

// toolItems are the kinds of items by which tools are offered in the middle of a transcript.
var toolItems = map[string]bool{"additional_tools": true, "tool_search_output": true}

// askedMembers, saidMembers and wholeMembers are the members of requests, of messages and of answers that are read, or that speak of tools and texts without being one.
var (
	askedMembers = wire.NewMembers("input tools tool_choice parallel_tool_calls max_tool_calls instructions model stream background prompt text include")
	saidMembers  = wire.NewMembers("content")
	wholeMembers = wire.NewMembers("output output_text tools tool_choice tool_usage parallel_tool_calls max_tool_calls instructions text")
)

// Request reads a request of the Responses API.
func (responses) Request(raw []byte) (*wire.Request, error) {
	doc, err := wire.DecodeRequest(raw)
	if err != nil {
		return nil, err
	}
	q := &wire.Request{Raw: raw, Doc: doc, Model: llm.Text(doc["model"]), Stream: doc["stream"] == true, Choices: 1}
	t := transcript{q: q, names: map[string]string{}}
	// Settings by which an answer, or a tool, would come past this door.
	if doc["background"] == true {
		t.foreign("background", "/background")
	}
	if doc["prompt"] != nil {
		t.foreign("prompt", "/prompt")
	}
	// What was said before and is kept by the provider may be something that nobody has seen here.
	for _, k := range []string{"previous_response_id", "conversation"} {
		if doc[k] != nil {
			q.Foreign = append(q.Foreign, wire.Part{Kind: k, At: "/" + k, Point: proviso.Input})
		}
	}
	switch v := doc["instructions"].(type) {
	case nil:
	case string:
		t.said(proviso.System, []wire.Segment{{At: "/instructions", Text: v}})
	case []any:
		for i, it := range v {
			if err := t.item(wire.At("/instructions", i), it); err != nil {
				return nil, err
			}
		}
	default:
		return nil, wire.Malformed("/instructions", "a text")
	}
	switch v := doc["input"].(type) {
	case nil:
	case string:
		t.said(proviso.User, []wire.Segment{{At: "/input", Text: v}})
	case []any:
		for i, it := range v {
			if err := t.item(wire.At("/input", i), it); err != nil {
				return nil, err
			}
		}
	default:
		return nil, wire.Malformed("/input", "a text or a list of items")
	}
	t.stray(askedMembers, "", doc)
	tools, err := listOf(doc, "tools")
	if err != nil {
		return nil, err
	}
	offered, err := responseTools("/tools", "", tools)
	if err != nil {
		return nil, err
	}
	among, err := responseTools("/tool_choice/tools", "", llm.List(llm.Object(doc["tool_choice"])["tools"]))
	q.Tools = append(append(offered, q.Tools...), justNamed(among)...)
	q.Forced = forced(doc["tool_choice"])
	return q, err
}

// item reads one item of the transcript.
func (t *transcript) item(at string, v any) error {
	m := llm.Object(v)
	kind := llm.Text(m["type"])
	if kind == "" && m["role"] != nil {
		kind = "message"
	}
	_, isCall := callItems[kind]
	switch {
	case m == nil:
		return wire.Malformed(at, "an item")
	case kind == "message":
		role, ok := speaker[llm.Text(m["role"])]
		if !ok {
			return wire.Malformed(at+"/role", "system, developer, user or assistant")
		}
		t.stray(saidMembers, at, m)
		texts, err := t.texts(at+"/content", m["content"], proviso.Input)
		if err != nil {
			return err
		}
		t.said(role, texts)
	case toolItems[kind]:
		list, ok := m["tools"].([]any)
		if !ok {
			return wire.Malformed(at+"/tools", "a list of tools")
		}
		tools, err := responseTools(at+"/tools", "", list)
		t.q.Tools = append(t.q.Tools, tools...)
		return err
	case isCall:
		c := itemCall(at, kind, m)
		t.names[c.ID] = c.Tool
		t.q.Turns = append(t.q.Turns, wire.Turn{Body: &c.ToolCall})
		if c.Result != nil {
			t.q.Turns = append(t.q.Turns, wire.Turn{Body: c.Result, Texts: []wire.Segment{{At: at + "/output", Text: llm.TextOf(c.Result)}}, Content: at + "/output"})
		}
	case outputItems[kind]:
		return t.output(at, m)
	case otherItems[kind]:
	default:
		t.foreign(kind, at)
	}
	return nil
}

// itemCall reads a call.
func itemCall(at, kind string, m map[string]any) wire.Call {
	form, known := callItems[kind]
	c := wire.Call{ToolCall: proviso.ToolCall{ID: cmp.Or(llm.Text(m[form.id]), llm.Text(m["id"])), Tool: cmp.Or(form.tool, llm.Text(m["name"]))}, Kind: kind, At: at, Form: form.form, Ran: form.ran, Fixed: form.fixed || form.ran}
	if form.runs != "" {
		c.Ran = m["execution"] == form.runs
		c.Fixed = c.Ran
	}
	for _, k := range []string{"server_label", "namespace"} {
		if of := llm.Text(m[k]); of != "" {
			c.Tool = of + "." + llm.Text(m["name"])
		}
	}
	switch {
	case !known:
		whole(&c, m)
	case form.form == wire.ArgsInput:
		c.ArgsAt, c.Args = at+"/"+form.args, llm.Raw(map[string]any{"input": m[form.args]})
	case form.form == wire.ArgsWhole:
		args := map[string]any{}
		for _, k := range form.keys {
			if m[k] != nil {
				args[k] = m[k]
			}
		}
		c.Args = llm.Raw(args)
	default:
		written(&c, m[form.args], at+"/"+form.args)
	}
	if kind == "mcp_call" && (m["output"] != nil || m["error"] != nil) {
		text, failed := llm.Text(m["output"]), m["error"] != nil
		if failed {
			text = string(llm.Raw(m["error"]))
		}
		c.Result = llm.ResultOf(c.ID, c.Tool, text, failed)
	}
	return c
}

// output reads what answers a call: a text, a list of parts, or what a shell wrote.
func (t *transcript) output(at string, m map[string]any) error {
	id, content := llm.Text(m["call_id"]), "output"
	var texts []wire.Segment
	if shot := llm.Object(m["output"]); shot != nil && llm.Text(m["type"]) == "computer_call_output" {
		t.unread(llm.Text(shot["type"]), at+"/output", proviso.ToolResultPoint)
	} else if s, ok := m["result"].(string); ok && llm.Text(m["type"]) == "program_output" {
		content = "result"
		texts = []wire.Segment{{At: at + "/result", Text: s}}
	} else if list, ok := m["output"].([]any); ok && llm.Text(m["type"]) == "shell_call_output" {
		for i, v := range list {
			for _, k := range []string{"stdout", "stderr"} {
				if s := llm.Text(llm.Object(v)[k]); s != "" {
					texts = append(texts, wire.Segment{At: wire.At(at, "output", i, k), Text: s})
				}
			}
		}
	} else {
		var err error
		if texts, err = t.texts(at+"/output", m["output"], proviso.ToolResultPoint); err != nil {
			return err
		}
	}
	r := llm.ResultOf(id, t.names[id], wire.JoinSegments(texts), false)
	t.q.Turns = append(t.q.Turns, wire.Turn{Body: r, Texts: texts, Content: at + "/" + content})
	return nil
}

// ownTools are the kinds of tools that the client runs itself, with the name that their calls have.
var ownTools = map[string]string{"computer_use_preview": "computer", "computer": "computer", "local_shell": "local_shell", "apply_patch": "apply_patch"}

// hostedNames are the names that calls of hosted tools have, by the kind's beginning.
var hostedNames = []string{"web_search", "file_search", "code_interpreter", "image_generation", "shell"}

// responseTools lists every tool of a list; those of a namespace are called after it.
func responseTools(list, namespace string, tools []any) (out []wire.Tool, err error) {
	for i, v := range tools {
		m, at := llm.Object(v), wire.At(list, i)
		kind, name := llm.Text(m["type"]), llm.Text(m["name"])
		if namespace != "" && name != "" {
			name = namespace + "." + name
		}
		own := ownTools[kind]
		if kind == "shell" && llm.Text(llm.Object(m["environment"])["type"]) == "local" {
			own = kind
		}
		switch {
		case kind == "namespace" && namespace == "" && name != "":
			inner, err := responseTools(at+"/tools", name, llm.List(m["tools"]))
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
		case kind == "function" || kind == "custom":
			if name == "" {
				return nil, wire.Malformed(at, "a tool with a name")
			}
			out = append(out, wire.Tool{Name: name, Kind: kind, At: at})
		case own != "":
			out = append(out, wire.Tool{Name: own, Kind: kind, At: at})
		case kind == "mcp":
			out = append(out, serverTools(llm.Text(m["server_label"]), kind, at, m["allowed_tools"])...)
		default:
			hosted := kind
			for _, n := range hostedNames {
				if strings.HasPrefix(kind, n) {
					hosted = n
				}
			}
			out = append(out, wire.Tool{Name: hosted, Kind: kind, At: at, Hosted: true})
		}
	}
	return out, nil
}

// serverTools are the tools of a server that the provider asks: those that the request allows, or all that it may have.
func serverTools(label, kind, at string, allowed any) []wire.Tool {
	list := llm.List(allowed)
	if m := llm.Object(allowed); m != nil {
		list = llm.List(m["tool_names"])
	}
	var out []wire.Tool
	for _, v := range list {
		out = append(out, wire.Tool{Name: label + "." + llm.Text(v), Kind: kind, At: at, Hosted: true})
	}
	if out == nil {
		out = []wire.Tool{{Name: label + ".*", Kind: kind, At: at, Hosted: true}}
	}
	return out
}

// ended tells the statuses of an answer that the model has finished, for whatever reason.
var ended = map[string]bool{"completed": true, "incomplete": true}

// Response reads an answer.
func (responses) Response(raw []byte) (*wire.Response, error) {
	doc, err := wire.Decode(raw)
	if err != nil {
		return nil, err
	}
	list, ok := doc["output"].([]any)
	if !ok {
		return nil, wire.Malformed("/output", "a list of items")
	}
	r := &wire.Response{Raw: raw, Doc: doc, ID: llm.Text(doc["id"]), Model: llm.Text(doc["model"])}
	c := wire.Choice{Ended: ended[llm.Text(doc["status"])] || doc["status"] == nil}
	q := wire.Request{}
	t := transcript{q: &q}
	t.stray(wholeMembers, "", doc)
	for i, v := range list {
		m, at := llm.Object(v), wire.At("/output", i)
		switch kind := llm.Text(m["type"]); {
		case m == nil:
			return nil, wire.Malformed(at, "an item")
		case kind == "message":
			t.stray(saidMembers, at, m)
			texts, err := t.texts(at+"/content", m["content"], proviso.Output)
			if err != nil {
				return nil, err
			}
			c.Texts = append(c.Texts, texts...)
		case otherItems[kind], toolItems[kind]:
		case outputItems[kind]:
			if err := t.ran(&c, kind, at, m); err != nil {
				return nil, err
			}
		case strings.HasSuffix(kind, "_output"):
			t.foreign(kind, at)
		default:
			c.Calls = append(c.Calls, itemCall(at, kind, m))
		}
	}
	c.Foreign = q.Foreign
	if s := llm.Text(doc["output_text"]); s != "" && s != textOf(c.Texts) {
		c.Texts = append(c.Texts, wire.Segment{At: "/output_text", Text: s})
	}
	r.Choices = []wire.Choice{c}
	return r, nil
}

// ran ties the answer of a call that the provider has run to the call. An answer to no call is something that nobody can decide on.
func (t *transcript) ran(c *wire.Choice, kind, at string, m map[string]any) error {
	id := llm.Text(m["call_id"])
	for i := range c.Calls {
		if x := &c.Calls[i]; x.ID == id && x.Result == nil {
			one := transcript{q: &wire.Request{}, names: map[string]string{id: x.Tool}}
			if err := one.output(at, m); err != nil {
				return err
			}
			t.q.Foreign = append(t.q.Foreign, one.q.Foreign...)
			x.Ran, x.Fixed, x.ResultAt = true, true, at
			x.Result, _ = one.q.Turns[0].Body.(*proviso.ToolResult)
			return nil
		}
	}
	t.foreign(kind, at)
	return nil
}

// textOf is what some servers say once more beside the output: its texts without anything between them.
func textOf(list []wire.Segment) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.Text)
	}
	return b.String()
}

// Rewrite carries verdicts out. A denied call becomes a message in its place, so that the other items keep their numbers.
func (responses) Rewrite(r *wire.Response, verdicts []wire.Verdict) ([]byte, error) {
	raw, c, v := r.Raw, &r.Choices[0], &verdicts[0]
	if v.Changes() {
		raw = wire.Delete(raw, "/output_text")
	}
	if v.Refusal != "" {
		raw = wire.Set(raw, "/output", llm.Raw([]any{said("msg_proviso", "refusal", v.Refusal)}))
		return wire.Set(raw, "/status", []byte(`"completed"`)), nil
	}
	for j, s := range v.Texts {
		if at := c.Texts[j].At; s != c.Texts[j].Text && at != "/output_text" {
			raw = wire.Set(raw, at, wire.Quote(s))
			// What else a part says are the tokens of its text and its places.
			raw = wire.Delete(raw, strings.TrimSuffix(at, "/text")+"/logprobs")
		}
	}
	for j, x := range v.Calls {
		call := &c.Calls[j]
		switch {
		case x.Say != "":
			raw = wire.Set(raw, call.At, llm.Raw(said("msg_proviso_"+call.ID, "output_text", x.Say)))
			if call.ResultAt != "" {
				raw = wire.Set(raw, call.ResultAt, llm.Raw(said("msg_proviso_"+call.ID+"_result", "output_text", "The answer is withheld.")))
			}
		case x.Args != nil:
			raw = wire.Set(raw, call.ArgsAt, argsIn(call.Form, x.Args))
		}
	}
	return raw, nil
}

// said is a message item of the assistant.
func said(id, kind, text string) map[string]any {
	part := map[string]any{"type": kind, "text": text, "annotations": []any{}}
	if kind == "refusal" {
		part = map[string]any{"type": kind, "refusal": text}
	}
	return map[string]any{"id": id, "type": "message", "role": "assistant", "status": "completed", "content": []any{part}}
}

// Refusal is an answer that refuses.
func (w responses) Refusal(q *wire.Request, d wire.Denial) []byte {
	doc := map[string]any{
		"id": "resp_proviso", "object": "response", "created_at": int64(0), "model": q.Model, "status": "completed", "error": nil, "incomplete_details": nil,
		"output": []any{said("msg_proviso", "refusal", d.Text)}, "parallel_tool_calls": true, "tools": []any{}, "tool_choice": "auto", "metadata": map[string]any{}, "instructions": nil, "temperature": nil, "top_p": nil,
	}
	detail(doc, d)
	raw := llm.Raw(doc)
	if !q.Stream {
		return raw
	}
	return replayAll(w, raw)
}

// Before is the answer that a request goes on from.
func (responses) Before(q *wire.Request) (id, at string) {
	if id = llm.Text(q.Doc["previous_response_id"]); id == "" {
		return "", ""
	}
	return id, "/previous_response_id"
}

// owedItems are the kinds of the results of the calls that clients run, by the kind of the call.
var owedItems = map[string]string{"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}

// Owed are the results of the calls that a client does not get, where the answer is kept.
func (responses) Owed(r *wire.Response, v *wire.Verdict) (out [][]byte) {
	if r.Doc["store"] == false {
		return nil
	}
	for j := range r.Choices[0].Calls {
		call, say := &r.Choices[0].Calls[j], v.Refusal
		if say == "" && j < len(v.Calls) {
			say = v.Calls[j].Say
		}
		if kind := owedItems[call.Kind]; kind != "" && say != "" {
			out = append(out, llm.Raw(map[string]any{"type": kind, "call_id": call.ID, "output": say}))
		}
	}
	return out
}

// Settle puts items before the input.
func (responses) Settle(raw []byte, owed [][]byte) []byte {
	list := bytes.Join(owed, []byte{','})
	v, ok := wire.Get(raw, "/input")
	switch {
	case ok && v[0] == '[' && len(bytes.Trim(v, "[] \n\t\r")) > 0:
		list = append(append(list, ','), v[1:len(v)-1]...)
	case ok && v[0] == '"':
		list = append(append(append(list, `,{"role":"user","content":`...), v...), '}')
	}
	return wire.Set(raw, "/input", append(append([]byte{'['}, list...), ']'))
}

// asked is a call as the model is shown it again.
func asked(raw []byte, call *wire.Call) map[string]any {
	item := map[string]any{"type": "function_call", "call_id": call.ID, "name": call.Tool, "arguments": string(call.Args)}
	v, _ := wire.Get(raw, call.At)
	if was, err := proviso.DecodeResultJSON(v); err == nil && llm.Text(llm.Object(was)["namespace"]) != "" {
		item["namespace"], item["name"] = llm.Object(was)["namespace"], llm.Object(was)["name"]
	}
	return item
}

// Error is an error object of the OpenAI API.
func (responses) Error(d wire.Denial) []byte { return vendorError(d) }

// Revise asks once more, with the answer and what was wrong with it behind the input.
func (responses) Revise(q *wire.Request, answer *wire.Response, verdicts []wire.Verdict, note string) ([]byte, error) {
	c := &answer.Choices[0]
	var more []any
	if text := c.Text(); text != "" {
		more = append(more, map[string]any{"type": "message", "role": "assistant", "content": []any{map[string]any{"type": "output_text", "text": text, "annotations": []any{}}}})
	}
	called := false
	for j := range c.Calls {
		call := &c.Calls[j]
		if call.Kind != "function_call" || call.ID == "" || j >= len(verdicts[0].Calls) {
			continue
		}
		called = true
		more = append(more,
			asked(answer.Raw, call),
			map[string]any{"type": "function_call_output", "call_id": call.ID, "output": verdicts[0].Calls[j].Say})
	}
	if !called {
		more = append(more, map[string]any{"type": "message", "role": "user", "content": []any{map[string]any{"type": "input_text", "text": note}}})
	}
	raw := q.Raw
	n := 0
	switch v := q.Doc["input"].(type) {
	case string:
		raw = wire.Set(raw, "/input", llm.Raw([]any{map[string]any{"type": "message", "role": "user", "content": []any{map[string]any{"type": "input_text", "text": v}}}}))
		n = 1
	case []any:
		n = len(v)
	case nil:
		raw = wire.Set(raw, "/input", []byte("[]"))
	}
	for i, m := range more {
		raw = wire.Set(raw, wire.At("/input", n+i), llm.Raw(m))
	}
	return raw, nil
}
