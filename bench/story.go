package bench

import (
	"fmt"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/session"
)

// Story is a session of payments under rules that look back: facts, a windowed count, a running total and the last call of a kind.
// It shows what a decision costs as the session grows.
type Story struct {
	policy *policy.Policy
	state  *session.State
	events int
}

// accounts is over how many accounts the story's calls are spread.
const accounts = 7

func storyPack() fstest.MapFS {
	return fstest.MapFS{
		"proviso.yaml": file("name: story\nversion: \"1\"\nreads: [lookup]\n"),
		"tools.json": file(`[
{"name": "lookup", "inputSchema": {"type": "object", "required": ["account"], "properties": {"account": {"type": "string"}}},
 "outputSchema": {"type": "object", "required": ["open", "owner"], "properties": {"open": {"type": "boolean"}, "owner": {"type": "string"}}}},
{"name": "pay", "inputSchema": {"type": "object", "required": ["account", "amount"], "properties": {"account": {"type": "string"}, "amount": {"type": "integer"}}}}
]`),
		"rules.yaml": file(`grants:
  - {tools: [lookup, pay]}
facts:
  account:
    key: {id: string}
    from: [{tool: lookup, id: args.account, value: result}]
rules:
  - {id: open, tools: [pay], require: "account[args.account].open"}
  - {id: looked, tools: [pay], require: "called('lookup', {'account': args.account})"}
  - {id: often, tools: [pay], require: "count('pay', {}, {'within': duration('1h')}) < 100000"}
  - {id: budget, tools: [pay], require: "total('pay', 'amount', {'account': args.account}) + double(args.amount) <= 1e9"}
  - {id: recent, tools: [pay], require: "last('lookup', {}) <= now"}
`),
	}
}

// StoryPolicy compiles the story's pack.
func StoryPolicy() (*policy.Policy, error) { return compile(storyPack()) }

// NewStory plays a session of that many events, calls and results alternating.
func NewStory(p *policy.Policy, events int) (*Story, error) {
	s := &Story{policy: p, state: session.New(p, "story")}
	return s, s.Play(events)
}

// Play adds that many events.
func (s *Story) Play(events int) error {
	for range events {
		if err := step(s.policy, s.state, s.event(s.events)); err != nil {
			return err
		}
		s.events++
	}
	return nil
}

// event is the i-th event: first every account is looked up, then payments and look-ups alternate, one second apart.
func (s *Story) event(i int) *proviso.Event {
	n := i / 2
	ev := &proviso.Event{Session: "story", Seq: s.state.Next(), Time: start.Add(time.Duration(i) * time.Second)}
	id, account, tool := fmt.Sprintf("c%d", n), n%accounts, "lookup"
	if n >= accounts && n/accounts%2 == 1 {
		tool = "pay"
	}
	switch {
	case i%2 == 0 && tool == "pay":
		ev.Point, ev.Body = proviso.ToolCallPoint, pay(id, account)
	case i%2 == 0:
		ev.Point, ev.Body = proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: tool, Args: fmt.Appendf(nil, `{"account": "A%d"}`, account)}
	case tool == "pay":
		ev.Point, ev.Body = proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Tool: tool, Text: "paid"}
	default:
		ev.Point, ev.Body = proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Tool: tool, Content: proviso.JSON(`{"open": true, "owner": "mia"}`)}
	}
	return ev
}

func pay(id string, account int) *proviso.ToolCall {
	return &proviso.ToolCall{ID: id, Tool: "pay", Args: fmt.Appendf(nil, `{"account": "A%d", "amount": 25}`, account)}
}

// Ask binds a payment to the session as it stands.
func (s *Story) Ask() *policy.Input {
	return s.state.Bind(&proviso.Event{Session: "story", Seq: s.state.Next(), Time: start.Add(time.Duration(s.events) * time.Second),
		Point: proviso.ToolCallPoint, Body: pay("ask", 0)})
}

// Decide makes a view of the session and decides.
func (s *Story) Decide(in *policy.Input) proviso.Decision {
	return s.policy.Decide(in, s.state.View(in))
}
