package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy"
)

// Recording is a file of records, one per line and about 1 kB each: sessions of a help desk that go on at the same time, whose rules look facts up, ask for the user's consent, search texts for card numbers and look back at the end.
type Recording struct {
	Events int
	Bytes  int
	policy *policy.Policy
	path   string
}

func deskPack() fstest.MapFS {
	return fstest.MapFS{
		"proviso.yaml": file("name: desk\nversion: \"1\"\nreads: [get_booking]\n"),
		"tools.json": file(`[
{"name": "get_booking", "inputSchema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}},
{"name": "refund", "inputSchema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "note": {"type": "string", "default": ""}}}},
{"name": "close_case", "inputSchema": {"type": "object", "properties": {}}}
]`),
		"policy.md": file("# Desk\n\n- Only bookings of less than 500 euros are refunded. {#limit}\n- The customer confirms every refund. {#confirm}\n- A manager approves refunds for groups. {#groups}\n- The desk does not write card numbers. {#cards}\n- At the end the case is closed. {#close}\n"),
		"rules.yaml": file(`grants:
  - {tools: [get_booking, refund, close_case]}
facts:
  booking:
    schema: {type: object, properties: {total: {type: number}, group: {type: boolean}}, required: [total, group]}
    key: {id: string}
    from: [{tool: get_booking, id: args.id, value: result}]
let: {b: "booking[args.id]"}
rules:
  - {id: limit, clause: limit, tools: [refund], require: "b.total < 500.0"}
  - {id: confirm, clause: confirm, tools: [refund], require: confirmed(call)}
  - {id: groups, clause: groups, tools: [refund], when: "b.group", else: escalate}
  - {id: cards, clause: cards, on: output, else: {redact: ["[0-9]{16}"]}}
  - {id: close, clause: close, on: session_end, require: "called('close_case', {})"}
`),
	}
}

// NewRecording writes a recording of that many sessions into a folder. In each round every session has seven events.
func NewRecording(folder string, sessions, rounds int) (*Recording, error) {
	p, err := compile(deskPack())
	if err != nil {
		return nil, err
	}
	lines, err := recorded(sessions, rounds)
	if err != nil {
		return nil, err
	}
	r := &Recording{Events: bytes.Count(lines, []byte("\n")), Bytes: len(lines), policy: p, path: filepath.Join(folder, "records.jsonl")}
	return r, os.WriteFile(r.path, lines, 0o600)
}

func recorded(sessions, rounds int) (out []byte, err error) {
	seq := make([]uint64, sessions)
	for round := range rounds {
		for s := range sessions {
			steps := deskRound(fmt.Sprintf("c%d", round), round == rounds-1)
			for i := range steps {
				r := &steps[i]
				seq[s]++
				r.Event.Session, r.Event.Seq = fmt.Sprintf("session-%d", s), seq[s]
				r.Event.Time = start.Add(time.Duration(seq[s]) * time.Second)
				r.Decision, r.DecidedAt = proviso.Decision{Outcome: proviso.Allow, Policy: strings.Repeat("ab", 32)}, r.Event.Time
				if out, err = proviso.AppendJSON(out, r); err != nil {
					return nil, err
				}
				out = append(out, '\n')
			}
		}
	}
	return out, nil
}

// deskRound is what happens in one round: a question, a look-up, a proposal, a consent and a refund; in the last one the case is closed.
func deskRound(id string, last bool) []proviso.Record {
	note := strings.Repeat("the customer writes at some length about the journey ", 11)
	call := func(id, tool, args string) proviso.Record {
		return proviso.Record{Event: proviso.Event{Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: id, Tool: tool, Args: proviso.JSON(args)}},
			Phase: proviso.Released, ArgsHash: strings.Repeat("cd", 32)}
	}
	result := func(r proviso.ToolResult) proviso.Record {
		return proviso.Record{Event: proviso.Event{Point: proviso.ToolResultPoint, Body: &r}, Phase: proviso.OK}
	}
	says := func(p proviso.Point, who proviso.Role, text string) proviso.Record {
		return proviso.Record{Event: proviso.Event{Point: p, Body: &proviso.Message{Role: who, Text: text}}}
	}
	out := []proviso.Record{
		says(proviso.Input, proviso.User, note+note),
		call(id, "get_booking", `{"id":"B`+id+`"}`),
		result(proviso.ToolResult{CallID: id, Tool: "get_booking", Content: proviso.JSON(`{"group":false,"note":"` + note + `","total":50.0}`)}),
		says(proviso.Output, proviso.Assistant, note+" Shall I refund B"+id+"? "+note),
		says(proviso.Input, proviso.User, "Yes."),
		call(id+"r", "refund", `{"id":"B`+id+`","note":"`+note+`"}`),
		result(proviso.ToolResult{CallID: id + "r", Tool: "refund", Text: note + note}),
	}
	if last {
		out = append(out, call("last", "close_case", `{}`), result(proviso.ToolResult{CallID: "last", Tool: "close_case", Text: "closed"}))
	}
	return out
}

// Audit audits the recording and returns how long it took. It fails where not every event is read, or any clause is not satisfied.
func (r *Recording) Audit(ctx context.Context, workers int) (time.Duration, error) {
	begin := time.Now()
	rep, err := audit.Run(ctx, audit.Config{Policy: r.policy, Paths: []string{r.path}, Workers: workers})
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if rep.Totals.Events != r.Events || rep.Status() != proviso.Satisfied {
		return 0, fmt.Errorf("the audit read %d of %d events and says %s", rep.Totals.Events, r.Events, rep.Status())
	}
	return took, nil
}

// auditFigures audits a recording of 20,000 records on one core, all of Go's own work included, and on two.
func auditFigures(ctx context.Context) ([]figure, error) {
	folder, err := os.MkdirTemp("", "proviso-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	r, err := NewRecording(folder, 50, 60)
	if err != nil {
		return nil, err
	}
	var rates [2][]float64
	cores := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(cores)
	for range Repetitions {
		for i := range rates {
			runtime.GOMAXPROCS(min(i+1, cores))
			took, err := r.Audit(ctx, i+1)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], float64(r.Events)/took.Seconds())
		}
	}
	return []figure{
		{"audit.events_per_second", median(rates[0]), r.Events},
		{"audit.events_per_second_two_cores", median(rates[1]), r.Events},
		{"audit.bytes_per_event", float64(r.Bytes) / float64(r.Events), r.Events},
	}, nil
}
