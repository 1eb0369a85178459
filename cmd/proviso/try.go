package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/examples"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// tryCmd is `proviso try`.
type tryCmd struct {
	Journal string `help:"Keep the journal of the story in this file." placeholder:"FILE"`
	Live    bool   `help:"Play another story on the real wire: a scripted model, the gateway, and an agent that reads a mail which gives it orders." env:"-"`
}

// Help is the long help of the command.
func (tryCmd) Help() string {
	return `Plays a story on the airline example that is part of this program: an agent tries what the policy forbids, is denied with the clause quoted, follows the hint, and what it does then is allowed. After that recorded conversations are audited, and the journal of the story is verified, and again with one record forged. Needs no key, no network and no files.`
}

// The story is a case of the pack, so that it is also a test.
const (
	tryPack  = "airline"
	tryStory = "tests/story.yaml"
)

// Run plays.
func (c tryCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	if c.Live {
		return a.playLive()
	}
	pk, pol, err := tryPolicy()
	if err != nil {
		return err
	}
	t := &tale{app: a, policy: pol, pack: pk, plain: a.output == "json"}
	story, err := t.story()
	if err != nil {
		return err
	}
	end, err := t.keep(c.Journal)
	if err != nil {
		return err
	}
	defer end()
	t.opening()
	if err := t.play(story); err != nil {
		return err
	}
	rep, err := t.lookBack()
	if err != nil {
		return err
	}
	sound, forged, err := t.verified()
	if err != nil {
		return err
	}
	if t.plain {
		return a.printJSON(map[string]any{"story": t.records, "audit": rep, "journal": sound, "forged": forged})
	}
	t.table(rep)
	t.proof(sound, forged)
	t.next()
	if _, err := fmt.Fprint(a.stdout, t.b.String()); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

func tryPolicy() (*pack.Pack, *policy.Policy, error) {
	pk, ds := pack.Load(examples.Files, tryPack)
	if ds.Worst(proviso.Error) {
		return nil, nil, fmt.Errorf("embedded pack: %w", ds)
	}
	pol, ds := policy.Compile(pk)
	if pol == nil {
		return nil, nil, fmt.Errorf("embedded pack: %w", ds)
	}
	return pk, pol, nil
}

// tale tells the story while it is played through a real guard.
type tale struct {
	*app
	policy  *policy.Policy
	pack    *pack.Pack
	plain   bool
	b       strings.Builder
	guard   guard.Guard
	journal *sqlite.Store
	now     time.Time
	records []proviso.Record
}

func (t *tale) story() (pack.Case, error) {
	for _, c := range t.pack.Tests {
		if strings.HasSuffix(c.Pos.File, tryStory) {
			return c, nil
		}
	}
	return pack.Case{}, fmt.Errorf("embedded pack: no case in %s", tryStory)
}

func (t *tale) heading(text string) {
	s := t.style
	fmt.Fprintf(&t.b, "\n%s %s\n\n", s.paint(text, bold), s.paint(strings.Repeat("─", max(3, s.limit()-columns(text)-1)), faint))
}

func (t *tale) opening() {
	s := t.style
	fmt.Fprintf(&t.b, "%s  the policy of an invented airline: %d clauses, %d rules, %d tools\n",
		s.paint("proviso try", bold), len(t.pack.Document.Clauses), len(t.policy.Rules()), len(t.policy.Tools()))
	t.heading("1  A conversation, every step of it decided before it happens")
}

// speaker writes what somebody says or does.
func (t *tale) speaker(who, text string) {
	t.b.WriteString(t.style.indented(pad(t.style.paint(who, bold), 10), text))
}

// under writes a line below the last speaker's.
func (t *tale) under(label, text string, codes ...string) {
	t.b.WriteString(t.style.indented(strings.Repeat(" ", 10)+pad(label, 7)+" ", text, codes...))
}

// play brings the events of the case to the guard, one after the other, as a door would. A decision other than the one the case wants ends it: then the binary is not what its tests saw.
func (t *tale) play(c pack.Case) error {
	t.now = c.Now
	t.guard = guard.Guard{Policy: t.policy, Journal: t.journal, Clock: func() time.Time { return t.now }}
	if _, err := t.do("", proviso.SessionStart, &proviso.Lifecycle{Kind: "start"}, nil); err != nil {
		return err
	}
	for i := range c.Steps {
		st := &c.Steps[i]
		t.now = t.now.Add(time.Second + st.After)
		d, err := t.step(st)
		if err != nil {
			return err
		}
		if st.Want != nil && d.Outcome != st.Want.Outcome {
			return fmt.Errorf("%s: the story wants %s, the decision is %s", st.Pos, st.Want.Outcome, audit.Describe(d))
		}
	}
	return nil
}

func (t *tale) step(st *pack.Step) (*proviso.Decision, error) {
	switch {
	case st.User != nil:
		t.speaker("customer", *st.User)
		return t.do("", proviso.Input, &proviso.Message{Role: proviso.User, Text: *st.User}, nil)
	case st.Assistant != nil:
		t.speaker("agent", *st.Assistant)
		return t.do("", proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: *st.Assistant}, nil)
	case st.Call != "":
		call := &proviso.ToolCall{Tool: st.Call, Args: llm.Raw(st.Args)}
		t.speaker("agent", "→ "+signature(call))
		return t.do(st.Call, proviso.ToolCallPoint, call, func(context.Context, proviso.Event) (proviso.ToolResult, error) {
			return proviso.ToolResult{Content: llm.Raw(st.Result)}, nil
		})
	}
	return nil, fmt.Errorf("%s: a story has messages and calls only", st.Pos)
}

// do is one event through the guard, and the telling of its decision where it was a call.
func (t *tale) do(tool string, point proviso.Point, body proviso.Body, next guard.Next) (*proviso.Decision, error) {
	e, err := t.guard.Do(t.ctx, proviso.Event{Session: "try", Point: point, Body: body}, next)
	d := &e.Record.Decision
	if d.Outcome == proviso.Allow && err != nil {
		return nil, err
	}
	t.records = append(t.records, *e.Record)
	if tool != "" {
		t.verdict(d, e.Result)
	}
	return d, nil
}

func (t *tale) verdict(d *proviso.Decision, result *proviso.ToolResult) {
	s := t.style
	word := s.outcome(d.Outcome)
	if d.Outcome == proviso.Allow {
		lines := wrap("← "+spaced(result.Content), s.limit()-20)
		if len(lines) > maxResult {
			lines = append(lines[:maxResult-1], lines[maxResult-1]+" …")
		}
		t.under(word, strings.Join(lines, " "), faint)
		t.b.WriteByte('\n')
		return
	}
	for _, r := range d.Reasons {
		t.under(word, "by rule "+r.Rule+", because the policy says:")
		for _, c := range r.Clauses {
			t.under("", fmt.Sprintf("“%s”", c.Text), bold)
			t.under("", fmt.Sprintf("%s, line %d", strings.TrimPrefix(c.Span.File, tryPack+"/"), c.Span.Line), faint)
		}
		t.causes(r.Because)
		if r.Hint != "" {
			t.under(s.paint("hint", bold), r.Hint, bold)
		}
	}
	t.b.WriteByte('\n')
}

// maxResult is how many lines of a result the story shows.
const maxResult = 2

// spaced writes JSON so that it can be wrapped.
func spaced(j proviso.JSON) string {
	return strings.NewReplacer(`,"`, `, "`, `":`, `": `).Replace(j.String())
}

// maxCauses is how many conditions the story shows; `proviso why` shows all.
const maxCauses = 5

func (t *tale) causes(cs []proviso.Cause) {
	shown := 0
	for _, c := range cs {
		if c.Value != "false" {
			continue
		}
		if shown++; shown > maxCauses {
			break
		}
		value := ""
		for _, in := range c.Inputs {
			if in.Path != "now" {
				value = "is " + literal(in.Val)
			}
		}
		fmt.Fprintf(&t.b, "%s%-7s %s  %s\n", strings.Repeat(" ", 10), c.Value, pad(shorten(c.Expr, 37), 37), t.style.paint(shorten(value, t.style.limit()-57), faint))
	}
}

// signature writes a call as a person would.
func signature(c *proviso.ToolCall) string {
	var args map[string]any
	if err := json.Unmarshal(c.Args, &args); err != nil {
		return c.Tool + " " + c.Args.String()
	}
	var parts []string
	for _, k := range sortedKeys(args) {
		parts = append(parts, k+": "+literal(args[k]))
	}
	return c.Tool + "(" + strings.Join(parts, ", ") + ")"
}

// lookBack audits the recorded conversations of the example. Package audit reads files, so they are laid down for the time of it.
func (t *tale) lookBack() (*audit.Report, error) {
	dir, err := os.MkdirTemp("", "proviso-try-*")
	if err != nil {
		return nil, unwritable("a folder for the sample conversations", err)
	}
	defer os.RemoveAll(dir)
	list, err := fs.ReadDir(examples.Files, tryPack+"/conversations")
	if err != nil {
		return nil, fmt.Errorf("embedded pack: %w", err)
	}
	for _, e := range list {
		b, err := fs.ReadFile(examples.Files, tryPack+"/conversations/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("embedded pack: %w", err)
		}
		if err := writeNew(filepath.Join(dir, e.Name()), b); err != nil {
			return nil, unwritable("a sample conversation", err)
		}
	}
	rep, err := audit.Run(t.ctx, audit.Config{Policy: t.policy, Paths: []string{dir}, Now: t.now})
	if err != nil {
		return nil, err
	}
	for i := range rep.Sessions {
		rep.Sessions[i].Source = filepath.Base(rep.Sessions[i].Source)
	}
	return rep, nil
}

// table tells what the audit found: each finding with its quote, then the clauses by their status. Clauses without findings share a line.
func (t *tale) table(rep *audit.Report) {
	s := t.style
	t.heading(fmt.Sprintf("2  An audit of %d recorded conversations: %d events, %d tool calls", rep.Totals.Sessions, rep.Totals.Events, rep.Totals.Calls))
	for _, ses := range rep.Sessions {
		for _, v := range ses.Verdicts {
			if v.Status <= proviso.Satisfied || len(v.Evidence) == 0 {
				continue
			}
			fmt.Fprintf(&t.b, "%s %s  %s\n", s.paint(pad(v.Status.String(), 9), statusLook[v.Status.String()]...), s.paint(v.Clause.ID, bold), s.paint(ses.Source, faint))
			t.b.WriteString(s.indented("          ", shorten("“"+v.Clause.Text+"”", s.limit()-10)))
			t.b.WriteString(s.indented("          ", shorten(fmt.Sprintf("event %d: %s %s", v.Evidence[0].Seq, v.Evidence[0].Tool, v.Evidence[0].Quote), s.limit()-10), faint))
		}
	}
	const row = "%-32s%10s%7s%9s%11s%9s\n"
	fmt.Fprintf(&t.b, "\n"+row, "clause", "violated", "error", "unknown", "satisfied", "dormant")
	var rest, total audit.Counts
	others := 0
	for _, c := range rep.Clauses {
		for _, sum := range []*audit.Counts{&rest, &total} {
			if sum == &rest && c.Violated+c.Errors+c.Unknown > 0 {
				continue
			}
			sum.Violated, sum.Errors, sum.Unknown = sum.Violated+c.Violated, sum.Errors+c.Errors, sum.Unknown+c.Unknown
			sum.Satisfied, sum.Dormant = sum.Satisfied+c.Satisfied, sum.Dormant+c.Dormant
		}
		if c.Violated+c.Errors+c.Unknown == 0 {
			others++
			continue
		}
		t.counts(row, shorten(c.Clause.ID, 31), c.Counts)
	}
	t.counts(row, fmt.Sprintf("%d other clauses", others), rest)
	t.counts(row, "all", total)
}

func (t *tale) counts(row, name string, c audit.Counts) {
	line := fmt.Sprintf(row, name, number(c.Violated), number(c.Errors), number(c.Unknown), number(c.Satisfied), number(c.Dormant))
	if name == "all" {
		line = t.style.paint(strings.TrimSuffix(line, "\n"), bold) + "\n"
	}
	t.b.WriteString(line)
}

// number leaves zeros out, so that what is there stands out.
func number(n int) string {
	if n == 0 {
		return "."
	}
	return fmt.Sprint(n)
}

func (t *tale) next() {
	t.heading("4  Next")
	for _, l := range [][2]string{
		{"proviso init mypack", "a pack of four clauses to make your own"},
		{"proviso check mypack", "lay-out, lint, compile, cases"},
		{"proviso audit -p mypack FILES", "your agent's recorded conversations"},
		{"proviso log verify JOURNAL", "that nobody has changed what was written"},
	} {
		fmt.Fprintf(&t.b, "  %s%s\n", t.style.paint(pad(l[0], 34), bold, cyan), l[1])
	}
}
