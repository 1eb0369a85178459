package anthropic

import (
	"bytes"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Stream reads a streamed message.
func (messagesWire) Stream() wire.Stream { return &messageStream{} }

// messageStream puts the blocks of a streamed message together.
type messageStream struct {
	message   map[string]any // of message_start
	blocks    []*blockSeen
	end       map[string]any // message_delta
	delta     map[string]any // of message_delta: why the message ends
	usage     map[string]any
	calls     bool
	irregular bool
	named     *bool // whether the events have names

	begunOut bool

	like     *wire.Template // a delta of text; the next ones are mostly like it
	learnt   int            // templates that were made
	likeName string         // of the event of like
}

// The holes of the template of a delta, and how many templates a stream may make before its deltas count as too different.
const (
	holeText = iota
	holeIndex
	maxTemplates = 16
)

// blockSeen is one block as its events told it.
type blockSeen struct {
	block           map[string]any
	kind            string
	text, signature strings.Builder // text, thought or arguments
	citations       []any
	closed          bool

	openOut, closedOut bool
	textOut            int
}

// maxBlocks bounds the blocks of one message.
const maxBlocks = 4096

// Next takes one event.
func (s *messageStream) Next(ev wire.Event) (wire.Chunk, error) {
	if len(ev.Data) == 0 {
		return wire.Chunk{}, nil
	}
	if ev.Name == s.likeName && s.like.Match(ev.Data) {
		if n := s.like.Number(holeIndex); n < int64(len(s.blocks)) && s.blocks[n].kind == "text" && !s.blocks[n].closed {
			said := &s.blocks[n].text
			before := said.Len()
			said.Write(s.like.Text(holeText))
			return wire.Chunk{Kind: wire.Text, Part: int(n), Text: said.String()[before:]}, nil
		}
	}
	doc, err := wire.Decode(ev.Data)
	if err != nil {
		return wire.Chunk{}, err
	}
	kind := llm.Text(doc["type"])
	if kind != "error" && s.strange(ev.Name, kind, doc) {
		s.irregular, s.calls = true, true
	}
	c, err := s.event(kind, doc, ev)
	if s.irregular && c.Kind < wire.Calls {
		c.Kind = wire.Calls // readers differ from here on, so that it is written anew
	}
	return c, err
}

// strange reports whether an event is not what every reader takes for what its type says: it has another name, or a name where others had none, or more than its type has.
func (s *messageStream) strange(name, kind string, doc map[string]any) bool {
	first := s.named == nil
	if first {
		named := name != ""
		s.named = &named
	}
	return name != "" && name != kind || *s.named != (name != "") || eventMembers[kind].Stray(doc) != ""
}

// eventMembers are the members of the kinds of events that hold something said.
var eventMembers = map[string]wire.Members{
	"message_start": wire.NewMembers("message"), "content_block_start": wire.NewMembers("content_block"), "content_block_delta": wire.NewMembers("delta"), "message_delta": wire.NewMembers("delta"),
}

var messageEvent = eventMembers["message_delta"]

// event takes an event of a kind.
func (s *messageStream) event(kind string, doc map[string]any, ev wire.Event) (wire.Chunk, error) {
	switch kind {
	case "message_start":
		s.message = llm.Object(doc["message"])
		s.irregular = s.irregular || len(llm.List(s.message["content"])) > 0 // nothing is said before its own event
		return wire.Chunk{}, nil
	case "content_block_start":
		return s.start(doc)
	case "content_block_delta":
		c, err := s.piece(doc)
		if err == nil && c.Text != "" && s.learnt < maxTemplates {
			s.learnt++
			s.like, s.likeName = wire.NewTemplate(ev.Data, "/delta/text", "/index"), ev.Name
		}
		return c, err
	case "content_block_stop":
		b, err := s.at(doc)
		if err != nil {
			return wire.Chunk{}, err
		}
		b.closed = true
		return wire.Chunk{Kind: chunkOf(b.kind)}, nil
	case "message_delta":
		s.end = doc
		s.delta, s.usage = llm.Object(doc["delta"]), llm.Object(doc["usage"])
		s.irregular = s.irregular || endMembers.Stray(s.delta) != ""
		if s.calls {
			return wire.Chunk{Kind: wire.Calls}, nil
		}
		return wire.Chunk{}, nil
	case "message_stop":
		return wire.Chunk{Kind: wire.End}, nil
	case "ping":
		return wire.Chunk{}, nil
	case "error":
		return wire.Chunk{Kind: wire.Failed}, nil
	}
	s.irregular = true
	return wire.Chunk{Kind: wire.Calls}, nil
}

// endMembers are what message_delta says of a message that speaks of nothing else, and startMembers what only its beginning and its blocks say.
var (
	endMembers   = wire.NewMembers("stop_reason stop_sequence")
	startMembers = wire.NewMembers("id type role model content")
)

func chunkOf(kind string) wire.ChunkKind {
	switch {
	case kind == "text":
		return wire.Text
	case silent[kind]:
		return wire.Around
	}
	return wire.Calls
}

func (s *messageStream) at(doc map[string]any) (*blockSeen, error) {
	n, ok := doc["index"].(int64)
	if !ok || n < 0 || n >= int64(len(s.blocks)) {
		return nil, wire.Malformed("/index", "the number of a block that has begun")
	}
	return s.blocks[n], nil
}

func (s *messageStream) start(doc map[string]any) (wire.Chunk, error) {
	block := llm.Object(doc["content_block"])
	n, ok := doc["index"].(int64)
	if block == nil || !ok || n != int64(len(s.blocks)) || n >= maxBlocks {
		return wire.Chunk{}, wire.Malformed("/index", "blocks that begin one after the other")
	}
	b := &blockSeen{block: block, kind: llm.Text(block["type"])}
	s.blocks = append(s.blocks, b)
	kind := chunkOf(b.kind)
	s.calls = s.calls || kind == wire.Calls
	out := wire.Chunk{Kind: kind, Part: int(n)}
	if b.kind == "text" {
		out.Mixed = len(llm.List(block["citations"])) > 0
		out.Text = llm.Text(block["text"])
		b.text.WriteString(out.Text)
	}
	if b.kind == "thinking" {
		b.text.WriteString(llm.Text(block["thinking"]))
		b.signature.WriteString(llm.Text(block["signature"]))
	}
	return out, nil
}

// deltas are the kinds of deltas, by the kind of block that they belong to and the key of what they add.
var deltas = map[string]struct {
	key   string
	fits  func(kind string) bool
	chunk wire.ChunkKind
}{
	"text_delta":       {"text", func(k string) bool { return k == "text" }, wire.Text},
	"input_json_delta": {"partial_json", isCall, wire.Calls},
	"thinking_delta":   {"thinking", func(k string) bool { return k == "thinking" }, wire.Around},
	"signature_delta":  {"signature", func(k string) bool { return k == "thinking" }, wire.Around},
}

func (s *messageStream) piece(doc map[string]any) (wire.Chunk, error) {
	b, err := s.at(doc)
	if err != nil {
		return wire.Chunk{}, err
	}
	d := llm.Object(doc["delta"])
	kind := llm.Text(d["type"])
	if kind == "citations_delta" && b.kind == "text" {
		b.citations = append(b.citations, d["citation"])
		return wire.Chunk{Kind: wire.Text, Mixed: true}, nil
	}
	if kind == "compaction_delta" && b.kind == "compaction" && !b.closed {
		b.compacted(d)
		return wire.Chunk{}, nil
	}
	form, ok := deltas[kind]
	if !ok || !form.fits(b.kind) {
		// Some readers skip it and others do not.
		s.irregular = true
		return wire.Chunk{Kind: wire.Calls}, nil
	}
	add, ok := d[form.key].(string)
	if !ok || b.closed {
		return wire.Chunk{}, wire.Malformed("/delta/"+form.key, "a text, before the block ends")
	}
	if kind == "signature_delta" {
		b.signature.WriteString(add)
	} else {
		b.text.WriteString(add)
	}
	if kind == "input_json_delta" && add != "" && len(llm.Object(b.block["input"])) > 0 {
		s.irregular = true
	}
	n, _ := doc["index"].(int64)
	return wire.Chunk{Kind: form.chunk, Part: int(n), Text: textOnly(form.chunk, add)}, nil
}

// compacted takes what the delta of a summary says of it.
func (b *blockSeen) compacted(d map[string]any) {
	m := map[string]any{}
	for k, v := range b.block {
		m[k] = v
	}
	for k, v := range d {
		if k != "type" && v != nil {
			m[k] = v
		}
	}
	b.block = m
}

func textOnly(kind wire.ChunkKind, s string) string {
	if kind == wire.Text {
		return s
	}
	return ""
}

// Mark notes what went out.
func (s *messageStream) Mark() {
	s.begunOut = s.message != nil
	for _, b := range s.blocks {
		b.openOut, b.closedOut, b.textOut = true, b.closed, b.text.Len()
	}
}

// Regular reports whether all readers put the blocks together alike.
func (s *messageStream) Regular() bool { return !s.irregular }

// whole is the block with its deltas. Arguments that are no JSON object stay the text that came, so that they are decided as what they are.
func (b *blockSeen) whole() map[string]any {
	m := map[string]any{}
	for k, v := range b.block {
		m[k] = v
	}
	switch {
	case b.kind == "text":
		m["text"] = b.text.String()
		if b.citations != nil {
			m["citations"] = b.citations
		}
	case b.kind == "thinking":
		m["thinking"], m["signature"] = b.text.String(), b.signature.String()
	case isCall(b.kind):
		if b.text.Len() == 0 {
			break
		}
		m["input"] = b.text.String()
		if v, err := proviso.DecodeJSON(b.text.String()); err == nil && llm.Object(v) != nil {
			m["input"] = v
		}
	}
	return m
}

// Response is what the events add up to.
func (s *messageStream) Response() (*wire.Response, error) {
	doc := map[string]any{"type": "message", "role": "assistant"}
	for k, v := range s.message {
		doc[k] = v
	}
	content := []any{}
	for _, b := range s.blocks {
		content = append(content, b.whole())
	}
	doc["content"] = content
	for k, v := range s.delta {
		if !startMembers[k] {
			doc[k] = v
		}
	}
	if s.usage != nil {
		usage := map[string]any{}
		for k, v := range llm.Object(doc["usage"]) {
			usage[k] = v
		}
		for k, v := range s.usage {
			usage[k] = v
		}
		doc["usage"] = usage
	}
	for _, b := range s.blocks {
		if !b.closed {
			doc["stop_reason"] = nil
		}
	}
	return messagesWire{}.Response(llm.Raw(doc))
}

// Replay writes the rest of a message, block by block.
func (s *messageStream) Replay(r *wire.Response) ([]byte, error) {
	var out []byte
	if !s.begunOut {
		m := map[string]any{}
		for k, v := range r.Doc {
			m[k] = v
		}
		m["content"], m["stop_reason"], m["stop_sequence"] = []any{}, nil, nil
		out = event(out, "message_start", map[string]any{"message": m})
	}
	for i, v := range llm.List(r.Doc["content"]) {
		var b blockSeen
		if i < len(s.blocks) {
			b.openOut, b.closedOut, b.textOut, b.kind = s.blocks[i].openOut, s.blocks[i].closedOut, s.blocks[i].textOut, s.blocks[i].kind
		}
		m := llm.Object(v)
		if b.openOut && b.kind != llm.Text(m["type"]) {
			return nil, wire.Malformed(wire.At("/content", i), "a block of which nothing went out yet")
		}
		if b.openOut && b.kind == "text" && !strings.HasPrefix(llm.Text(m["text"]), s.blocks[i].text.String()[:b.textOut]) {
			return nil, wire.Malformed(wire.At("/content", i), "a text that begins with what went out")
		}
		if b.closedOut {
			continue
		}
		var err error
		if out, err = replayBlock(out, int64(i), m, &b); err != nil {
			return nil, err
		}
	}
	end := map[string]any{"stop_reason": r.Doc["stop_reason"], "stop_sequence": r.Doc["stop_sequence"]}
	usage := s.usage
	if usage == nil {
		usage = llm.Object(r.Doc["usage"])
	}
	more := map[string]any{}
	for k, v := range s.end {
		more[k] = v
	}
	if messageEvent.Stray(more) != "" {
		more = map[string]any{}
	}
	more["delta"], more["usage"] = end, usage
	if v := r.Doc["proviso"]; v != nil {
		more["proviso"] = v
	}
	out = event(out, "message_delta", more)
	return event(out, "message_stop", map[string]any{}), nil
}

// replayed tells how a kind of block is streamed: which key begins empty and comes as a delta.
var replayed = map[string]struct{ key, delta, as string }{
	"text":            {"text", "text_delta", "text"},
	"thinking":        {"thinking", "thinking_delta", "thinking"},
	"tool_use":        {"input", "input_json_delta", "partial_json"},
	"server_tool_use": {"input", "input_json_delta", "partial_json"},
	"mcp_tool_use":    {"input", "input_json_delta", "partial_json"},
}

func replayBlock(out []byte, i int64, m map[string]any, b *blockSeen) ([]byte, error) {
	form, ok := replayed[llm.Text(m["type"])]
	var whole string
	if ok {
		if whole, ok = m[form.key].(string); form.key == "input" {
			whole, ok = string(llm.Raw(m["input"])), true
		}
	}
	if !b.openOut {
		open := map[string]any{}
		for k, v := range m {
			open[k] = v
		}
		if ok {
			open[form.key] = ""
			if form.key == "input" {
				open["input"] = map[string]any{}
			}
		}
		if m["type"] == "thinking" {
			open["signature"] = ""
		}
		out = event(out, "content_block_start", map[string]any{"index": i, "content_block": open})
	}
	if len(whole) < b.textOut {
		return nil, wire.Malformed(wire.At("/content", int(i)), "a block that begins with what went out")
	}
	if ok && whole[b.textOut:] != "" {
		out = event(out, "content_block_delta", map[string]any{"index": i, "delta": map[string]any{"type": form.delta, form.as: whole[b.textOut:]}})
	}
	if sig := llm.Text(m["signature"]); m["type"] == "thinking" && sig != "" {
		out = event(out, "content_block_delta", map[string]any{"index": i, "delta": map[string]any{"type": "signature_delta", "signature": sig}})
	}
	return event(out, "content_block_stop", map[string]any{"index": i}), nil
}

func event(out []byte, kind string, doc map[string]any) []byte {
	doc["type"] = kind
	return wire.AppendEvent(out, kind, llm.Raw(doc))
}

// Piece goes on with a block of text.
func (s *messageStream) Piece(_, part int, text string) (wire.Event, bool) {
	if part >= len(s.blocks) || !s.blocks[part].openOut || s.blocks[part].kind != "text" {
		return wire.Event{}, false
	}
	const kind = "content_block_delta"
	raw := event(nil, kind, map[string]any{"index": int64(part), "delta": map[string]any{"type": "text_delta", "text": text}})
	_, data, _ := bytes.Cut(raw, []byte("data: "))
	return wire.Event{Name: kind, Data: bytes.TrimSpace(data), Raw: raw}, true
}

// Abort ends the stream with an error event.
func (s *messageStream) Abort(d wire.Denial) []byte {
	return wire.AppendEvent(nil, "error", messagesWire{}.Error(d))
}
