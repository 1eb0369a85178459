package bench

import (
	"fmt"
	"strings"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

// start is the time of the first event of every session here.
var start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// Proviso decides with a compiled pack and a session.
type Proviso struct{ policy *policy.Policy }

// NewProviso loads and compiles the workload as a pack.
func NewProviso() (*Proviso, error) {
	p, err := compile(workloadPack())
	return &Proviso{p}, err
}

func compile(files fstest.MapFS) (*policy.Policy, error) {
	pk, ds := pack.Load(files, ".")
	if ds.Worst(proviso.Error) {
		return nil, ds
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		return nil, ds
	}
	return p, nil
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func workloadPack() fstest.MapFS {
	var tools, rules strings.Builder
	rules.WriteString("grants:\n")
	for t := range Tools {
		if t > 0 {
			tools.WriteString(",\n")
		}
		fmt.Fprintf(&tools, `{"type": "function", "function": {"name": "%s", "parameters": {"type": "object", "required": ["amount", "recipient", "currency", "reference", "note"], "properties": {
"amount": {"type": "integer"}, "recipient": {"type": "string"}, "currency": {"type": "string"}, "reference": {"type": "string"}, "note": {"type": "string"}}}}}`, ToolName(t))
		fmt.Fprintf(&rules, "  - {tools: [%s], when: \"session.role in ['ops', 'analyst'] && args.amount <= 1000\"}\n", ToolName(t))
	}
	rules.WriteString("rules:\n")
	for t := range Tools {
		for _, r := range [][2]string{
			{"recipient", fmt.Sprintf("args.recipient.endsWith('@corp%d.example')", t)},
			{"currency", "args.currency in ['USD', 'EUR', 'GBP']"},
			{"tainted", "!(session.tainted && args.amount > 100)"},
			{"note", "!args.note.contains('password')"},
			{"reference", "args.reference.startsWith('INV-')"},
		} {
			fmt.Fprintf(&rules, "  - {id: %s-%d, tools: [%s], require: \"%s\"}\n", r[0], t, ToolName(t), r[1])
		}
	}
	return fstest.MapFS{
		"proviso.yaml": file("name: workload\nversion: \"1\"\nsession:\n  role: {type: string, default: guest}\n  tainted: {type: boolean, default: false}\n"),
		"tools.json":   file("[" + tools.String() + "]"),
		"rules.yaml":   file(rules.String()),
	}
}

// Prepared is a call bound to the policy, and the session that asks it.
type Prepared struct {
	Input *policy.Input
	State *session.State
}

// Prepare starts a session for the caller and binds the call to it, the form that other engines' prepared requests correspond to.
func (p *Proviso) Prepare(c Call) (Prepared, error) {
	s := session.New(p.policy, "s")
	begin := &proviso.Event{Session: "s", Seq: s.Next(), Time: start, Point: proviso.SessionStart, Body: &proviso.Lifecycle{
		Kind: "start", User: "u1", Attributes: map[string]any{"role": c.Role, "tainted": c.Tainted}}}
	if err := step(p.policy, s, begin); err != nil {
		return Prepared{}, err
	}
	return Prepared{s.Bind(p.Event(c, s.Next())), s}, nil
}

// Event is the call as a door would report it.
func (p *Proviso) Event(c Call, seq uint64) *proviso.Event {
	return &proviso.Event{Session: "s", Seq: seq, Time: start.Add(time.Second), Point: proviso.ToolCallPoint,
		Body: &proviso.ToolCall{ID: "c1", Tool: ToolName(c.Tool), Args: c.JSON()}}
}

// Decide makes a view of the session and decides; the decision's reasons are complete.
func (p *Proviso) Decide(q Prepared) proviso.Decision {
	return p.policy.Decide(q.Input, q.State.View(q.Input))
}

// DecideBytes also reads the arguments from the bytes that would be forwarded.
func (p *Proviso) DecideBytes(s *session.State, ev *proviso.Event) proviso.Decision {
	in := s.Bind(ev)
	return p.policy.Decide(in, s.View(in))
}

// step takes one event through view, decision and fold, as the guard does.
func step(p *policy.Policy, s *session.State, ev *proviso.Event) error {
	in := s.Bind(ev)
	d := p.Decide(in, s.View(in))
	r := s.Record(in, d)
	if d.Outcome != proviso.Allow {
		return fmt.Errorf("event %d: %s is not allowed but %s: %v %v", ev.Seq, in.Tool(), d.Outcome, d.Reasons, d.Errors)
	}
	return s.Apply(in, &r)
}
