package openai

import (
	"bytes"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Stream reads a streamed chat completion.
func (chat) Stream() wire.Stream { return &chatStream{} }

// chatStream puts the deltas of a streamed chat completion together.
type chatStream struct {
	head      map[string]any // of the first chunk, without choices and usage
	choices   []*chatDelta
	tail      []byte // chunks without choices, such as the one with the usage
	usage     map[string]any
	done      bool
	irregular bool

	like     *wire.Template // a delta of text; the next ones are mostly like it
	likeName string         // of its event
	likeRole bool           // it names the role
	learnt   int            // templates that were made
}

// The members that a chunk, a choice of it and a delta have.
var (
	chunkMembers  = wire.NewMembers("choices")
	choiceMembers = wire.NewMembers("delta")
	deltaMembers  = wire.NewMembers("role content refusal tool_calls function_call audio")
)

// The holes of the template of a delta, and how many templates a stream may make before its deltas count as too different.
const (
	holeContent = iota
	holeIndex
	holePadding
	maxTemplates = 16
)

type chatDelta struct {
	content, refusal       strings.Builder
	calls                  []*callDelta
	function               *callDelta // the older function_call
	audio                  bool
	finish                 string
	roleOut                bool
	contentOut, refusalOut int
	role                   bool
}

type callDelta struct {
	index          int64
	id, kind, name string
	args           strings.Builder
	other          []any // deltas of a kind that nobody reads
}

func (s *chatStream) at(i int64) *chatDelta {
	for int64(len(s.choices)) <= i {
		s.choices = append(s.choices, &chatDelta{})
	}
	return s.choices[i]
}

const maxChoices = 128

// Next takes one chunk.
func (s *chatStream) Next(ev wire.Event) (wire.Chunk, error) {
	if len(ev.Data) == 0 {
		return wire.Chunk{}, nil
	}
	if string(ev.Data) == "[DONE]" {
		s.done = true
		return wire.Chunk{Kind: wire.End}, nil
	}
	if ev.Name == s.likeName && s.like.Match(ev.Data) {
		if i := s.like.Number(holeIndex); i < int64(len(s.choices)) && len(s.like.Text(holeContent)) > 0 {
			c := s.choices[i]
			c.role = c.role || s.likeRole
			before := c.content.Len()
			c.content.Write(s.like.Text(holeContent))
			return wire.Chunk{Kind: wire.Text, Choice: int(i), Text: c.content.String()[before:]}, nil
		}
	}
	doc, err := wire.Decode(ev.Data)
	if err != nil {
		return wire.Chunk{}, err
	}
	if doc["error"] != nil {
		return wire.Chunk{Kind: wire.Failed}, nil
	}
	if s.head == nil {
		s.head = map[string]any{}
		for _, k := range []string{"id", "created", "model", "system_fingerprint", "service_tier"} {
			if v, ok := doc[k]; ok {
				s.head[k] = v
			}
		}
	}
	if u := llm.Object(doc["usage"]); u != nil {
		s.usage = u
	}
	list, ok := doc["choices"].([]any)
	if !ok && doc["choices"] != nil {
		return wire.Chunk{}, wire.Malformed("/choices", "a list of choices")
	}
	var out wire.Chunk
	if strings.HasPrefix(ev.Name, "thread.") || chunkMembers.Stray(doc) != "" {
		s.irregular, out.Kind = true, wire.Calls
	}
	for i, v := range list {
		c, err := s.choice(func() string { return wire.At("/choices", i) }, llm.Object(v))
		if err != nil {
			return wire.Chunk{}, err
		}
		kind, mixed := max(c.Kind, out.Kind), c.Mixed || out.Mixed || c.Text != "" && out.Text != ""
		if c.Text != "" {
			c.Text = out.Text + c.Text
			out = c
		}
		out.Kind, out.Mixed = kind, mixed
	}
	if len(list) == 0 && out.Kind == wire.Around {
		s.tail = wire.AppendEvent(s.tail, ev.Name, bytes.ReplaceAll(ev.Data, []byte{'\n'}, []byte{' '}))
	}
	if len(list) == 1 && out.Kind == wire.Text {
		s.learn(ev, llm.Object(list[0]))
	}
	return out, nil
}

// learn makes a template of a delta that has text and nothing else that matters.
func (s *chatStream) learn(ev wire.Event, choice map[string]any) {
	d := llm.Object(choice["delta"])
	if s.learnt >= maxTemplates || choice["finish_reason"] != nil || llm.Text(d["refusal"]) != "" {
		return
	}
	s.learnt++
	s.like, s.likeName, s.likeRole = wire.NewTemplate(ev.Data, "/choices/0/delta/content", "/choices/0/index", "/obfuscation"), ev.Name, d["role"] != nil
}

// choice takes what a chunk says of one choice. at is where it says so, asked for only where something is wrong.
func (s *chatStream) choice(at func() string, m map[string]any) (wire.Chunk, error) {
	index, ok := m["index"].(int64)
	if m["index"] != nil && !ok || index < 0 || index >= maxChoices {
		return wire.Chunk{}, wire.Malformed(at()+"/index", "the number of a choice")
	}
	c := s.at(index)
	out := wire.Chunk{Choice: int(index)}
	d := llm.Object(m["delta"])
	if choiceMembers.Stray(m)+deltaMembers.Stray(d) != "" {
		s.irregular, out.Kind = true, wire.Calls
	}
	c.role = c.role || d["role"] != nil
	for part, t := range []struct {
		key string
		to  *strings.Builder
	}{{"content", &c.content}, {"refusal", &c.refusal}} {
		text, ok := saidIn(d[t.key])
		if !ok {
			return out, wire.Malformed(at()+"/delta/"+t.key, "a text")
		}
		if text != "" {
			t.to.WriteString(text)
			out.Mixed = out.Text != ""
			out.Kind, out.Part, out.Text = max(out.Kind, wire.Text), part, out.Text+text
		}
	}
	if d["audio"] != nil {
		c.audio, out.Kind = true, wire.Calls
	}
	calls, ok := d["tool_calls"].([]any)
	if d["tool_calls"] != nil && !ok {
		return out, wire.Malformed(at()+"/delta/tool_calls", "a list of calls")
	}
	for i, v := range calls {
		if err := s.call(func() string { return wire.At(at(), "delta", "tool_calls", i) }, c, llm.Object(v)); err != nil {
			return out, err
		}
		out.Kind = wire.Calls
	}
	if v := d["function_call"]; v != nil {
		if c.function == nil {
			c.function = &callDelta{kind: "function_call"}
		}
		s.piece(c.function, llm.Object(v))
		out.Kind = wire.Calls
	}
	if f := llm.Text(m["finish_reason"]); f != "" {
		c.finish = f
		if len(c.calls) > 0 || c.function != nil {
			out.Kind = wire.Calls
		}
	}
	return out, nil
}

// saidIn is the text of a delta: a text, nothing, or the texts of a list of texts and thoughts (Mistral).
func saidIn(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case []any:
		for _, p := range v {
			part := llm.Object(p)
			switch part["type"] {
			case "thinking":
			case "text":
				text += llm.Text(part["text"])
			default:
				return "", false
			}
		}
		return text, true
	}
	return "", false
}

// call takes one delta of one call. A delta without an index continues the call before it, or begins one where it names a function.
func (s *chatStream) call(at func() string, c *chatDelta, m map[string]any) error {
	if m == nil {
		return wire.Malformed(at(), "a call")
	}
	index, ok := m["index"].(int64)
	if !ok {
		s.irregular = true
		index = int64(len(c.calls))
		if llm.Text(llm.Object(m["function"])["name"]) == "" && index > 0 {
			index = c.calls[index-1].index
		}
	}
	i := slices.IndexFunc(c.calls, func(x *callDelta) bool { return x.index == index })
	if i < 0 {
		s.irregular = s.irregular || index != int64(len(c.calls))
		c.calls = append(c.calls, &callDelta{index: index})
		i = len(c.calls) - 1
	}
	x := c.calls[i]
	for _, f := range []struct {
		key string
		to  *string
	}{{"id", &x.id}, {"type", &x.kind}} {
		switch v := llm.Text(m[f.key]); {
		case v == "":
		case *f.to == "":
			*f.to = v
			s.irregular = s.irregular || x.args.Len() > 0
		default:
			s.irregular = true // readers differ: some take the last, some join them
			if v != *f.to {
				return wire.Malformed(at()+"/"+f.key, "one value for the call")
			}
		}
	}
	switch {
	case m["function"] != nil:
		s.piece(x, llm.Object(m["function"]))
	case m["custom"] != nil:
		x.kind = "custom"
		s.piece(x, llm.Object(m["custom"]))
	case x.kind != "" && x.kind != "function" && x.kind != "custom":
		x.other = append(x.other, m)
	}
	return nil
}

// piece takes the part of a delta with the name and the arguments.
func (s *chatStream) piece(x *callDelta, f map[string]any) {
	if n := llm.Text(f["name"]); n != "" {
		if x.name != "" || x.args.Len() > 0 {
			s.irregular = true
		}
		if x.name != n {
			x.name += n
		}
	}
	for _, k := range []string{"arguments", "input"} {
		if a := llm.Text(f[k]); a != "" {
			x.args.WriteString(a)
		} else if v := f[k]; v != nil && v != "" {
			s.irregular = true
			x.args.Write(llm.Raw(v))
		}
	}
}

// Mark notes what went out.
func (s *chatStream) Mark() {
	s.tail = nil
	for _, c := range s.choices {
		c.roleOut, c.contentOut, c.refusalOut = c.role, c.content.Len(), c.refusal.Len()
	}
}

// Regular reports whether all readers put the calls together alike.
func (s *chatStream) Regular() bool { return !s.irregular }

// Response is what the deltas add up to.
func (s *chatStream) Response() (*wire.Response, error) {
	doc := map[string]any{"object": "chat.completion"}
	for k, v := range s.head {
		doc[k] = v
	}
	choices := []any{}
	for i, c := range s.choices {
		m := map[string]any{"role": "assistant", "content": nil}
		if c.content.Len() > 0 {
			m["content"] = c.content.String()
		}
		if c.refusal.Len() > 0 {
			m["refusal"] = c.refusal.String()
		}
		if c.audio {
			m["audio"] = map[string]any{}
		}
		var calls []any
		for _, x := range c.calls {
			calls = append(calls, x.whole())
		}
		if calls != nil {
			m["tool_calls"] = calls
		}
		if c.function != nil {
			m["function_call"] = map[string]any{"name": c.function.name, "arguments": c.function.args.String()}
		}
		var finish any
		if c.finish != "" {
			finish = c.finish
		}
		choices = append(choices, map[string]any{"index": int64(i), "message": m, "finish_reason": finish})
	}
	doc["choices"] = choices
	if s.usage != nil {
		doc["usage"] = s.usage
	}
	// Written it is only where it is changed, and then read again; until then every value is one of the strict decoder.
	return chatAnswer(nil, doc)
}

func (x *callDelta) whole() map[string]any {
	m := map[string]any{"id": x.id, "type": "function"}
	switch x.kind {
	case "", "function":
		m["function"] = map[string]any{"name": x.name, "arguments": x.args.String()}
	case "custom":
		m["type"], m["custom"] = "custom", map[string]any{"name": x.name, "input": x.args.String()}
	default:
		m["type"], m["deltas"] = x.kind, append([]any{map[string]any{"name": x.name, "arguments": x.args.String()}}, x.other...)
	}
	return m
}

// Replay writes the rest of an answer as chunks: one with the text, one for each call, one with the reason to end.
func (s *chatStream) Replay(r *wire.Response) ([]byte, error) {
	var out []byte
	whole := bytesOf(r)
	for i := range r.Choices {
		v, _ := proviso.DecodeResultJSON(raw(whole, r.Choices[i].At))
		m := llm.Object(llm.Object(v)["message"])
		d := s.at(int64(i))
		delta := map[string]any{}
		if !d.roleOut {
			delta["role"] = "assistant"
		}
		for _, t := range []struct {
			key, said string
			sent      int
		}{{"content", d.content.String(), d.contentOut}, {"refusal", d.refusal.String(), d.refusalOut}} {
			text := llm.Text(m[t.key])
			if !strings.HasPrefix(text, t.said[:t.sent]) {
				return nil, wire.Malformed(r.Choices[i].At, "an answer that begins with what went out")
			}
			if text[t.sent:] != "" {
				delta[t.key] = text[t.sent:]
			}
		}
		if len(delta) > 0 {
			out = s.chunk(out, r, i, delta, nil)
		}
		for j, c := range llm.List(m["tool_calls"]) {
			call := map[string]any{"index": int64(j)}
			for k, v := range llm.Object(c) {
				call[k] = v
			}
			out = s.chunk(out, r, i, map[string]any{"tool_calls": []any{call}}, nil)
		}
		if f := m["function_call"]; f != nil {
			out = s.chunk(out, r, i, map[string]any{"function_call": f}, nil)
		}
		if f := llm.Object(v)["finish_reason"]; f != nil {
			out = s.chunk(out, r, i, map[string]any{}, f)
		}
	}
	out = append(out, s.tail...)
	return append(out, "data: [DONE]\n\n"...), nil
}

func raw(b []byte, at string) []byte {
	v, _ := wire.Get(b, at)
	return v
}

// chunk writes one chunk of a choice.
func (s *chatStream) chunk(b []byte, r *wire.Response, choice int, delta map[string]any, finish any) []byte {
	doc := map[string]any{"id": "chatcmpl-proviso", "created": int64(0), "model": ""}
	if r != nil {
		for _, k := range []string{"id", "created", "model", "proviso"} {
			if v, ok := r.Doc[k]; ok {
				doc[k] = v
			}
		}
	}
	for k, v := range s.head {
		doc[k] = v
	}
	doc["object"] = "chat.completion.chunk"
	doc["choices"] = []any{map[string]any{"index": int64(choice), "delta": delta, "finish_reason": finish}}
	return wire.AppendEvent(b, "", llm.Raw(doc))
}

// Piece goes on with the text of a choice, or with its refusal.
func (s *chatStream) Piece(choice, part int, text string) (wire.Event, bool) {
	if choice >= len(s.choices) {
		return wire.Event{}, false
	}
	key := [...]string{"content", "refusal"}[part]
	return eventOf("", s.chunk(nil, nil, choice, map[string]any{key: text}, nil)), true
}

// eventOf is an event of ours.
func eventOf(name string, raw []byte) wire.Event {
	_, data, _ := bytes.Cut(raw, []byte("data: "))
	return wire.Event{Name: name, Data: bytes.TrimSpace(data), Raw: raw}
}

// Abort ends the stream: a denial as a choice that was filtered, everything else as an error, which clients raise.
func (s *chatStream) Abort(d wire.Denial) []byte {
	if d.Code != wire.CodeDenied {
		return wire.AppendEvent(nil, "", vendorError(d))
	}
	var out []byte
	for i := range max(len(s.choices), 1) {
		out = s.chunk(out, nil, i, map[string]any{"refusal": d.Text}, "content_filter")
	}
	return append(out, "data: [DONE]\n\n"...)
}
