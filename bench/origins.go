package bench

import (
	"context"
	"fmt"
	"runtime"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// mailPack rules mails by where their recipient and their text come from.
func mailPack() fstest.MapFS {
	return fstest.MapFS{
		"proviso.yaml": file("name: mail\nversion: \"1\"\nreads: [get_invoice]\n"),
		"tools.json": file(`[
{"name": "get_invoice", "inputSchema": {"type": "object", "properties": {}}},
{"name": "send", "inputSchema": {"type": "object", "required": ["to", "note"], "properties": {"to": {"type": "string"}, "note": {"type": "string"}}}}
]`),
		"rules.yaml": file(`grants:
  - {tools: [get_invoice, send]}
rules:
  - {id: to, tools: [send], require: "'user' in origin_all(args.to) || origin(args.to).size() < 1000"}
  - {id: note, tools: [send], require: "!('tool:send' in origin(args.note))"}
`),
	}
}

// mails are what is sent: to somebody whom the user named last, to nobody that anybody named, and with a sentence put together from what was read.
var mails = map[string]string{
	"address":  `{"to": "customer%d@example.com", "note": ""}`,
	"unknown":  `{"to": "nobody@example.net", "note": ""}`,
	"sentence": `{"to": "", "note": "Thank you for your order, it will be delivered to the usual address by 5 May."}`,
}

// Mailbox is a session in which users and tools have said much, each time in words of their own.
type Mailbox struct {
	policy *policy.Policy
	state  *session.State
	last   int
}

// NewMailbox plays a session of that many events.
func NewMailbox(p *policy.Policy, events int) (*Mailbox, error) {
	m := &Mailbox{policy: p, state: session.New(p, "mail")}
	bodies := func(i int) []proviso.Body {
		return []proviso.Body{
			&proviso.Message{Role: proviso.User, Text: fmt.Sprintf("Please look at invoice INV-%d of %d May, for customer%d@example.com.", i, i%28+1, i)},
			&proviso.ToolCall{ID: fmt.Sprint("c", i), Tool: "get_invoice", Args: proviso.JSON(`{}`)},
			&proviso.ToolResult{CallID: fmt.Sprint("c", i), Tool: "get_invoice", Content: fmt.Appendf(nil, `{"id": "INV-%d", "to": "payee%d@example.com", "total": %d.5, "note": "Thank you for your order number %d, it will be delivered to the usual address."}`, i, i, i, i)},
		}
	}
	points := []proviso.Point{proviso.Input, proviso.ToolCallPoint, proviso.ToolResultPoint}
	for n := 0; n < events; n++ {
		m.last = n / 3
		ev := &proviso.Event{Session: "mail", Seq: m.state.Next(), Time: start.Add(time.Duration(n) * time.Second), Point: points[n%3], Body: bodies(m.last)[n%3]}
		if err := step(p, m.state, ev); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// ask returns the decision on a mail, from the view on.
func (m *Mailbox) ask(mail string) func() {
	args := mails[mail]
	if mail == "address" {
		args = fmt.Sprintf(args, m.last)
	}
	in := m.state.Bind(&proviso.Event{Session: "mail", Seq: m.state.Next(), Time: start, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "ask", Tool: "send", Args: proviso.JSON(args)}})
	return func() { m.policy.Decide(in, m.state.View(in)) }
}

// originFigures compares decisions that ask where values come from in a short session and in a long one.
func originFigures(context.Context) ([]figure, error) {
	p, err := compile(mailPack())
	if err != nil {
		return nil, err
	}
	boxes := map[int]*Mailbox{}
	for _, n := range []int{short, long} {
		if boxes[n], err = NewMailbox(p, n); err != nil {
			return nil, err
		}
	}
	var all []contestant
	for _, mail := range []string{"address", "unknown", "sentence"} {
		for _, n := range []int{short, long} {
			all = append(all, contestant{fmt.Sprint(mail, n), boxes[n].ask(mail)})
		}
	}
	u := race(all)
	var out []figure
	for _, mail := range []string{"address", "unknown", "sentence"} {
		few, many := u[fmt.Sprint(mail, short)], u[fmt.Sprint(mail, long)]
		out = append(out, figure{"origins." + mail + "_10_ns", median(few), Repetitions}, figure{"origins." + mail + "_10000_over_10", ratio(many, few), Repetitions})
	}
	return out, nil
}

// memoryFigures tells what a session of a hundred events keeps in memory, in bytes: the story's, and one that also follows where values come from.
func memoryFigures(context.Context) ([]figure, error) {
	const sessions, events = 200, 100
	story, err := StoryPolicy()
	if err != nil {
		return nil, err
	}
	mail, err := compile(mailPack())
	if err != nil {
		return nil, err
	}
	plain, err := heldBy(sessions, func() (any, error) { return NewStory(story, events) })
	if err != nil {
		return nil, err
	}
	tracked, err := heldBy(sessions, func() (any, error) { return NewMailbox(mail, events) })
	return []figure{
		{"session.bytes_100_events", plain, sessions},
		{"session.bytes_100_events_with_origins", tracked, sessions},
	}, err
}

// heldBy is how much memory one of n things keeps, in bytes.
func heldBy(n int, open func() (any, error)) (float64, error) {
	all := make([]any, n)
	before := heap()
	for i := range all {
		var err error
		if all[i], err = open(); err != nil {
			return 0, err
		}
	}
	held := float64(heap()-before) / float64(n)
	runtime.KeepAlive(all)
	return held, nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
