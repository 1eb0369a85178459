package openai

import (
	"bytes"
	"maps"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/wire"
)

// Stream reads a streamed response.
func (responses) Stream() wire.Stream {
	return &responseStream{items: map[int64]*itemSeen{}}
}

// responseStream reads the events of a response. The last one carries the whole response; what the events before it said is compared with that, because clients read either.
type responseStream struct {
	first     map[string]any // the response as it began
	last      map[string]any // the response as it ended
	items     map[int64]*itemSeen
	seq       int64
	seqOut    int64 // the number that the next event of ours has
	begunOut  bool
	irregular bool

	like     *wire.Template // a delta of text; the next ones are mostly like it
	likeName string         // of its event
	likeItem *itemSeen
	likePart int
	learnt   int // templates that were made
}

// The holes of the template of a delta of a response.
const (
	holeDelta = iota
	holeSequence
	holeObfuscation
)

// itemSeen is what the events said of one item.
type itemSeen struct {
	kind              string
	seen              []map[string]any // the item as it was added and done
	args              bytes.Buffer     // the deltas
	text              strings.Builder
	argsDone, named   []string
	commands, typed   []partTold // the commands of a shell, whole and in pieces
	retold            []partTold // the texts of parts that were said once more, or as they began
	added, done       bool
	addedOut, doneOut bool // what went out

	// Of a message: how many parts began and ended, and how much of all their text; the same of what went out.
	parts, ended, partsOut, endedOut, textOut int

	refuses bool // it has a part that is a refusal
}

// partTold is the text of a part of a message beside its deltas.
type partTold struct {
	part  int64
	begun bool // it is how the part begins
	text  string
}

// told takes an event of a message that says a text in another way than by deltas.
func (it *itemSeen) told(kind string, doc map[string]any) {
	n, _ := doc["content_index"].(int64)
	part := llm.Object(doc["part"])
	p := partTold{part: n, text: llm.Text(part["text"]) + llm.Text(part["refusal"])}
	switch kind {
	case "response.content_part.added":
		it.parts++
		p.begun = true
	case "response.content_part.done":
		it.ended++
	case "response.output_text.done", "response.refusal.done":
		p.text = llm.Text(doc["text"]) + llm.Text(doc["refusal"])
	default:
		return
	}
	it.retold = append(it.retold, p)
}

// says reports whether everything that the events said of a message is what its whole says.
func (it *itemSeen) says(final map[string]any) bool {
	if it.text.String() != messageText(final) {
		return false
	}
	for i, m := range it.seen {
		if done := i == len(it.seen)-1 && it.done; messageText(m) != "" && !done || done && messageText(m) != messageText(final) || itemMembers.Stray(m) != "" {
			return false
		}
	}
	parts := llm.List(final["content"])
	for _, p := range it.retold {
		if p.begun && p.text == "" {
			continue
		}
		if p.begun || p.part < 0 || p.part >= int64(len(parts)) || p.text != partText(parts[p.part]) {
			return false
		}
	}
	return true
}

// orders reports whether the commands of a shell are those of the whole call.
func (it *itemSeen) orders(final map[string]any) bool {
	list := llm.List(llm.Object(final["action"])["commands"])
	command := func(n int64) string {
		if n < 0 || n >= int64(len(list)) {
			return ""
		}
		return llm.Text(list[n])
	}
	typed := map[int64]string{}
	for _, c := range it.typed {
		typed[c.part] += c.text
	}
	for n, text := range typed {
		if text != command(n) {
			return false
		}
	}
	for _, c := range it.commands {
		if c.text != command(c.part) {
			return false
		}
	}
	return true
}

// The members that events, whole responses and messages have.
var (
	responseMembers = wire.NewMembers("output tools tool_choice tool_usage parallel_tool_calls max_tool_calls instructions text")
	itemMembers     = wire.NewMembers("content")
	eventMembers    = []struct {
		begin   string
		members wire.Members
	}{
		{"response.output_item.", wire.NewMembers("item")},
		{"response.content_part.", wire.NewMembers("part")},
		{"response.reasoning_summary_part.", wire.NewMembers("part")},
		{"response.reasoning", wire.NewMembers("delta text")},
		{"response.output_text.", wire.NewMembers("delta text")},
		{"response.refusal.", wire.NewMembers("delta")},
		{"response.function_call_arguments.", wire.NewMembers("delta arguments")},
		{"response.mcp_call_arguments.", wire.NewMembers("delta arguments")},
		{"response.custom_tool_call_input.", wire.NewMembers("delta input")},
		{"response.code_interpreter_call_code.", wire.NewMembers("delta")},
		{"response.shell_call_", wire.NewMembers("delta output")},
		{"response.audio.", wire.NewMembers("delta")},
		{"response.created", wire.NewMembers("response")}, {"response.queued", wire.NewMembers("response")}, {"response.in_progress", wire.NewMembers("response")},
		{"response.completed", wire.NewMembers("response")}, {"response.incomplete", wire.NewMembers("response")},
	}
)

// membersOf are the members that a kind of events has.
func membersOf(kind string) wire.Members {
	for _, e := range eventMembers {
		if strings.HasPrefix(kind, e.begin) {
			return e.members
		}
	}
	return nil
}

// textEvents are events of a message, and thoughtEvents what flows beside it.
var textEvents = map[string]bool{
	"response.content_part.added": true, "response.content_part.done": true, "response.output_text.delta": true, "response.output_text.done": true,
	"response.output_text.annotation.added": true, "response.refusal.delta": true, "response.refusal.done": true,
}

// argsEvents carry pieces of arguments, and doneEvents the whole of them, under the key given.
var (
	argsEvents = map[string]bool{"response.function_call_arguments.delta": true, "response.custom_tool_call_input.delta": true, "response.mcp_call_arguments.delta": true}
	doneEvents = map[string]string{"response.function_call_arguments.done": "arguments", "response.custom_tool_call_input.done": "input", "response.mcp_call_arguments.done": "arguments"}
)

// hostedEvents are the beginnings of events about calls that the provider runs; they say how far a call is.
var hostedEvents = []string{"response.web_search_call.", "response.file_search_call.", "response.code_interpreter_call", "response.image_generation_call.", "response.mcp_call.", "response.mcp_list_tools.", "response.compaction."}

// Next takes one event.
func (s *responseStream) Next(ev wire.Event) (wire.Chunk, error) {
	if len(ev.Data) == 0 || string(ev.Data) == "[DONE]" {
		return wire.Chunk{}, nil
	}
	if ev.Name == s.likeName && s.like.Match(ev.Data) {
		s.seq = s.like.Number(holeSequence)
		before := s.likeItem.text.Len()
		s.likeItem.text.Write(s.like.Text(holeDelta))
		return wire.Chunk{Kind: wire.Text, Part: s.likePart, Text: s.likeItem.text.String()[before:]}, nil
	}
	doc, err := wire.Decode(ev.Data)
	if err != nil {
		return wire.Chunk{}, err
	}
	if n, ok := doc["sequence_number"].(int64); ok {
		s.seq = n
	}
	kind := llm.Text(doc["type"])
	if kind == "error" || kind == "response.failed" {
		return wire.Chunk{Kind: wire.Failed}, nil
	}
	strange := ev.Name != "" && ev.Name != kind || membersOf(kind).Stray(doc) != ""
	s.irregular = s.irregular || strange
	switch kind {
	case "response.created", "response.in_progress", "response.queued":
		s.first = llm.Object(doc["response"])
		if strange || len(llm.List(s.first["output"])) > 0 || responseMembers.Stray(s.first) != "" {
			s.irregular = true // nothing is said before its own event
			return wire.Chunk{Kind: wire.Calls}, nil
		}
		return wire.Chunk{}, nil
	case "response.completed", "response.incomplete":
		s.last = llm.Object(doc["response"])
		s.compare()
		return wire.Chunk{Kind: wire.End}, nil
	case "response.output_item.added", "response.output_item.done":
		c, err := s.item(kind, doc)
		if strange {
			c.Kind = wire.Calls
		}
		return c, err
	}
	it := s.at(doc)
	text := llm.Text(doc["delta"])
	switch {
	case strange:
	case textEvents[kind]:
		if strings.HasSuffix(kind, "text.delta") || strings.HasSuffix(kind, "refusal.delta") {
			it.text.WriteString(text)
			it.refuses = it.refuses || strings.HasSuffix(kind, "refusal.delta")
			if _, numbered := doc["sequence_number"].(int64); numbered && s.learnt < maxTemplates {
				s.learnt++
				s.like, s.likeName, s.likeItem, s.likePart = wire.NewTemplate(ev.Data, "/delta", "/sequence_number", "/obfuscation"), ev.Name, it, deltaPart(doc)
			}
			return wire.Chunk{Kind: wire.Text, Part: deltaPart(doc), Text: text}, nil
		}
		it.told(kind, doc)
		return wire.Chunk{Kind: wire.Text, Mixed: !opens(kind, llm.Object(doc["part"]))}, nil
	case strings.HasPrefix(kind, "response.reasoning"):
		return wire.Chunk{}, nil
	case strings.HasPrefix(kind, "response.shell_call_command."):
		n, _ := doc["command_index"].(int64)
		if strings.HasSuffix(kind, ".done") {
			it.commands = append(it.commands, partTold{part: n, text: llm.Text(doc["command"])})
		} else {
			it.typed = append(it.typed, partTold{part: n, text: llm.Text(doc["command"]) + text})
		}
	case argsEvents[kind]:
		it.args.WriteString(text)
	case doneEvents[kind] != "":
		it.argsDone = append(it.argsDone, llm.Text(doc[doneEvents[kind]]))
		if n := llm.Text(doc["name"]); n != "" {
			it.named = append(it.named, n)
		}
	default:
		known := false
		for _, p := range hostedEvents {
			known = known || strings.HasPrefix(kind, p)
		}
		s.irregular = s.irregular || !known
	}
	return wire.Chunk{Kind: wire.Calls}, nil
}

// deltaPart is the number of the part of a message that a delta goes on with.
func deltaPart(doc map[string]any) int {
	item, _ := doc["output_index"].(int64)
	part, _ := doc["content_index"].(int64)
	return int(item)<<16 + int(part)
}

// opens reports whether an event begins a part that is empty. Those that end one say its text once more.
func opens(kind string, part map[string]any) bool {
	return kind == "response.content_part.added" && llm.Text(part["text"])+llm.Text(part["refusal"]) == "" && len(llm.List(part["annotations"])) == 0
}

func (s *responseStream) at(doc map[string]any) *itemSeen {
	n, _ := doc["output_index"].(int64)
	it := s.items[n]
	if it == nil {
		it = &itemSeen{}
		s.items[n] = it
	}
	return it
}

func (s *responseStream) item(event string, doc map[string]any) (wire.Chunk, error) {
	m := llm.Object(doc["item"])
	if m == nil {
		return wire.Chunk{}, wire.Malformed("/item", "an item")
	}
	it := s.at(doc)
	kind := llm.Text(m["type"])
	s.irregular = s.irregular || it.kind != "" && it.kind != kind
	it.kind = kind
	it.seen = append(it.seen, m)
	if event == "response.output_item.done" {
		it.done = true
	} else {
		it.added = true
	}
	switch {
	case kind == "message":
		return wire.Chunk{Kind: wire.Text, Mixed: event != "response.output_item.added" || len(llm.List(m["content"])) > 0}, nil
	case otherItems[kind]:
		return wire.Chunk{}, nil
	}
	return wire.Chunk{Kind: wire.Calls}, nil
}

// compare looks whether the events and the whole response say the same: clients act on either.
func (s *responseStream) compare() {
	list := llm.List(s.last["output"])
	for n, it := range s.items {
		if it.kind == "" && it.args.Len() == 0 && it.text.Len() == 0 {
			continue
		}
		if n < 0 || n >= int64(len(list)) {
			s.irregular = true
			continue
		}
		final := llm.Object(list[n])
		if it.kind == "message" {
			s.irregular = s.irregular || !it.says(final)
			continue
		}
		if otherItems[it.kind] {
			continue
		}
		whole := itemCall("", llm.Text(final["type"]), final)
		written := llm.Text(final["arguments"]) + llm.Text(final["input"])
		for _, a := range it.argsDone {
			s.irregular = s.irregular || a != written
		}
		s.irregular = s.irregular || !it.orders(final)
		for _, n := range it.named {
			s.irregular = s.irregular || n != llm.Text(final["name"])
		}
		if it.args.Len() > 0 {
			s.irregular = s.irregular || it.args.String() != written
		}
		for i, m := range it.seen {
			seen := itemCall("", llm.Text(m["type"]), m)
			same := seen.Kind == whole.Kind && seen.Tool == whole.Tool && seen.ID == whole.ID
			if i == len(it.seen)-1 && it.done {
				same = same && bytes.Equal(seen.Args, whole.Args)
			}
			s.irregular = s.irregular || !same
		}
	}
	for n, v := range list {
		m := llm.Object(v)
		if it := s.items[int64(n)]; it == nil && llm.Text(m["type"]) != "message" && !otherItems[llm.Text(m["type"])] {
			s.irregular = true
		}
	}
}

func messageText(m map[string]any) string {
	var b strings.Builder
	for _, p := range llm.List(m["content"]) {
		b.WriteString(partText(p))
	}
	return b.String()
}

func partText(part any) string {
	o := llm.Object(part)
	return llm.Text(o["text"]) + llm.Text(o["refusal"])
}

// Mark notes what went out.
func (s *responseStream) Mark() {
	s.begunOut, s.seqOut = s.first != nil, s.seq+1
	for _, it := range s.items {
		it.addedOut, it.doneOut = it.added, it.done
		it.partsOut, it.endedOut, it.textOut = it.parts, it.ended, it.text.Len()
	}
}

// Regular reports whether the events and the whole response say the same.
func (s *responseStream) Regular() bool { return !s.irregular }

// Response is the whole response of the last event; before it came, what the items said so far.
func (s *responseStream) Response() (*wire.Response, error) {
	if s.last != nil {
		return responses{}.Response(llm.Raw(s.last))
	}
	doc := map[string]any{"status": "in_progress"}
	for k, v := range s.first {
		doc[k] = v
	}
	output := []any{}
	for n := range int64(len(s.items)) {
		it := s.items[n]
		if it == nil || len(it.seen) == 0 {
			continue
		}
		m := map[string]any{}
		for k, v := range it.seen[len(it.seen)-1] {
			m[k] = v
		}
		if it.kind == "message" {
			m = said(llm.Text(m["id"]), "output_text", it.text.String())
		} else if it.args.Len() > 0 {
			m[callItems[it.kind].args] = it.args.String()
		}
		output = append(output, m)
	}
	doc["output"] = output
	return responses{}.Response(llm.Raw(doc))
}

// Replay writes the rest of a response: every item that did not go out, then the whole.
func (s *responseStream) Replay(r *wire.Response) ([]byte, error) {
	var out []byte
	if !s.begunOut {
		begin := map[string]any{}
		for k, v := range r.Doc {
			begin[k] = v
		}
		begin["status"], begin["output"] = "in_progress", []any{}
		out = s.event(out, "response.created", map[string]any{"response": begin})
		out = s.event(out, "response.in_progress", map[string]any{"response": begin})
	}
	for i, v := range llm.List(r.Doc["output"]) {
		m, n := llm.Object(v), int64(i)
		it := s.items[n]
		if it == nil {
			it = &itemSeen{}
		}
		switch {
		case it.doneOut:
			continue
		case it.addedOut && (it.kind != "message" || m["type"] != "message"):
			return nil, wire.Malformed(wire.At("/output", i), "an item of which nothing went out yet")
		}
		var ok bool
		if out, ok = s.emit(out, n, m, it); !ok {
			return nil, wire.Malformed(wire.At("/output", i), "an item that begins with what went out")
		}
	}
	end := "response.completed"
	if r.Doc["status"] == "incomplete" {
		end = "response.incomplete"
	}
	return s.event(out, end, map[string]any{"response": r.Doc}), nil
}

// emit writes the events of one item behind those of it that went out. It is false where the item does not begin with them.
func (s *responseStream) emit(out []byte, n int64, m map[string]any, it *itemSeen) ([]byte, bool) {
	id := llm.Text(m["id"])
	open := map[string]any{}
	for k, v := range m {
		open[k] = v
	}
	form, isCall := callItems[llm.Text(m["type"])]
	isText := isCall && (form.form == wire.ArgsText || form.form == wire.ArgsInput) && !form.ran
	switch {
	case m["type"] == "message":
		open["content"], open["status"] = []any{}, "in_progress"
	case isText:
		open[form.args] = ""
	}
	if !it.addedOut {
		out = s.event(out, "response.output_item.added", map[string]any{"output_index": n, "item": open})
	}
	if m["type"] == "message" {
		left := it.textOut
		if !strings.HasPrefix(messageText(m), it.text.String()[:left]) {
			return nil, false
		}
		for i, v := range llm.List(m["content"]) {
			p := llm.Object(v)
			whole := llm.Text(p["text"]) + llm.Text(p["refusal"])
			sent := min(left, len(whole))
			left -= sent
			if i >= it.endedOut {
				out = s.part(out, map[string]any{"item_id": id, "output_index": n, "content_index": int64(i)}, p, i < it.partsOut, whole[sent:])
			}
		}
		if left > 0 {
			return nil, false
		}
	}
	if isText {
		event := "response.function_call_arguments"
		if form.form == wire.ArgsInput {
			event = "response.custom_tool_call_input"
		}
		out = s.event(out, event+".delta", map[string]any{"item_id": id, "output_index": n, "delta": m[form.args]})
		out = s.event(out, event+".done", map[string]any{"item_id": id, "output_index": n, form.args: m[form.args], "name": m["name"]})
	}
	return s.event(out, "response.output_item.done", map[string]any{"output_index": n, "item": m}), true
}

// part writes the rest of a part of a message, at a place that all its events name. rest is its text that did not go out.
func (s *responseStream) part(out []byte, place, p map[string]any, begun bool, rest string) []byte {
	key, event := "text", "response.output_text"
	if p["type"] == "refusal" {
		key, event = "refusal", "response.refusal"
	}
	write := func(kind string, more map[string]any) {
		maps.Copy(more, place)
		out = s.event(out, kind, more)
	}
	if !begun {
		empty := maps.Clone(p)
		empty[key] = ""
		write("response.content_part.added", map[string]any{"part": empty})
	}
	if rest != "" || !begun {
		write(event+".delta", map[string]any{"delta": rest, "logprobs": []any{}})
	}
	write(event+".done", map[string]any{key: p[key], "logprobs": []any{}})
	write("response.content_part.done", map[string]any{"part": p})
	return out
}

// event writes one event with its number.
func (s *responseStream) event(out []byte, kind string, doc map[string]any) []byte {
	doc["type"], doc["sequence_number"] = kind, s.seqOut
	s.seqOut++
	return wire.AppendEvent(out, kind, llm.Raw(doc))
}

// Piece goes on with a part of a message.
func (s *responseStream) Piece(_, part int, text string) (wire.Event, bool) {
	item, content := int64(part>>16), int64(part&0xffff)
	it := s.items[item]
	if it == nil || !it.addedOut || it.refuses || content >= int64(it.partsOut) || len(it.seen) == 0 {
		return wire.Event{}, false
	}
	const kind = "response.output_text.delta"
	return eventOf(kind, s.event(nil, kind, map[string]any{"item_id": it.seen[0]["id"], "output_index": item, "content_index": content, "delta": text, "logprobs": []any{}})), true
}

// Abort ends the stream with a failed response.
func (s *responseStream) Abort(d wire.Denial) []byte {
	doc := map[string]any{"id": "resp_proviso", "object": "response", "output": []any{}}
	for k, v := range s.first {
		doc[k] = v
	}
	doc["status"] = "failed"
	e := map[string]any{"code": d.Code, "message": d.Text}
	if v, err := proviso.DecodeResultJSON(d.Detail); err == nil {
		e["proviso"] = v
	}
	doc["error"] = e
	s.seqOut = max(s.seqOut, s.seq+1)
	return s.event(nil, "response.failed", map[string]any{"response": doc})
}
