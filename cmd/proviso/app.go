package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"github.com/proviso-dev/proviso/cmd/proviso/agents"
	"github.com/proviso-dev/proviso/cmd/proviso/bridge"
	"github.com/proviso-dev/proviso/cmd/proviso/learning"
)

// app is what the commands share with the outside.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	lookup func(string) (string, bool)
	now    func() time.Time
	output string // the format of stdout
	quiet  bool
	style  style // of stdout
	talks  style // of stderr

	patience atomic.Int64 // how long the command may go on after a signal, where that is longer than usual, in nanoseconds
	drained  atomic.Bool  // the command ended in order after a signal
}

func newApp(in io.Reader, out, errs io.Writer, lookup func(string) (string, bool)) *app {
	return &app{ctx: context.Background(), stdin: in, stdout: out, stderr: errs, lookup: lookup, now: time.Now, output: "pretty"}
}

// globals are the flags of every command.
type globals struct {
	Output string `short:"o" help:"Format of the output: pretty, json, jsonl, sarif, junit, github, markdown; html of audit, coverage, diff, eval and prove." enum:"pretty,json,jsonl,sarif,junit,github,markdown,html" default:"pretty" placeholder:"FORMAT"`
	JSON   bool   `name:"json" help:"The same as -o json."`
	Color  string `help:"Use colour: ${enum}." enum:"auto,always,never" default:"auto" placeholder:"WHEN"`
	Quiet  bool   `short:"q" help:"Say nothing on standard error but errors."`
}

// commands is the command line.
type commands struct {
	Try     tryCmd        `cmd:"" group:"start" help:"See it work: a forbidden call, its hint, the allowed one, an audit."`
	Init    initCmd       `cmd:"" group:"start" help:"Write a small pack that works."`
	Explain explainCmd    `cmd:"" group:"author" help:"Explain a code such as PV012, or list a pack's clauses."`
	Check   checkCmd      `cmd:"" group:"author" help:"fmt, lint, compile and test a pack."`
	Import  bridge.Import `cmd:"" group:"author" help:"Turn a policy of another system into a pack."`
	Build   bridge.Build  `cmd:"" group:"author" help:"Write a pack's clauses as a prompt, or into AGENTS.md or CLAUDE.md."`
	LSP     bridge.LSP    `cmd:"" name:"lsp" group:"author" help:"Help editors with packs, over standard input and output."`

	Fmt      fmtCmd      `cmd:"" group:"author" help:"Lay out the files of a pack."`
	Lint     lintCmd     `cmd:"" group:"author" help:"Find mistakes in a pack without running it."`
	Test     testCmd     `cmd:"" group:"author" help:"Play a pack's cases."`
	Coverage coverageCmd `cmd:"" group:"author" help:"Say of each clause what enforces, judges and tests it."`
	Ask      askCmd      `cmd:"" group:"author" help:"Answer a question about the policy with its clauses, or not at all."`
	Schema   schemaCmd   `cmd:"" group:"author" help:"Print the JSON Schema of pack files, for editors."`
	Draft    draftCmd    `cmd:"" group:"author" help:"Propose rules for clauses, as a draft that only narrows."`
	Mutate   mutateCmd   `cmd:"" group:"author" help:"Spoil the rules and see whether the pack's cases notice."`
	Sign     signCmd     `cmd:"" group:"author" help:"Sign a pack, so that a gateway that asks for it takes no other."`
	Decide   decideCmd   `cmd:"" group:"decide" help:"Decide one call or event."`
	Which    whichCmd    `cmd:"" group:"decide" help:"Say which policy holds for a request, and where each rule comes from."`
	Why      whyCmd      `cmd:"" group:"decide" help:"Explain a decision rule by rule."`
	Eval     evalCmd     `cmd:"" group:"look" help:"Run suites of cases, compare two runs: run, compare, report."`
	Audit    auditCmd    `cmd:"" group:"look" help:"Find where recorded conversations broke the policy."`
	Diff     diffCmd     `cmd:"" group:"look" help:"Show what another pack would change over recorded conversations."`
	Log      logCmd      `cmd:"" group:"look" help:"Look at a journal: tail, query, export, verify, checkpoint, redact, forget."`

	Serve   serveCmd     `cmd:"" group:"enforce" help:"Stand between agents and model APIs, and decide every call."`
	MCP     agents.MCP   `cmd:"" group:"enforce" help:"Stand before MCP servers, and decide every call: run, tools, pins, approve."`
	Guard   agents.Guard `cmd:"" group:"enforce" help:"Run an agent with a gateway of its own before its model."`
	Hook    agents.Hook  `cmd:"" group:"enforce" help:"Decide the hooks of agent programs: claude-code, codex, cursor, gemini."`
	Approve approveCmd   `cmd:"" group:"enforce" help:"Answer calls that wait for a person: list, show, yes, no."`

	Model       modelCmd             `cmd:"" group:"learn" help:"Small language models: info, serve, tokenize, convert, new."`
	Train       trainCmd             `cmd:"" group:"learn" help:"Train a model: run, compare, recipes."`
	Engine      engineCmd            `cmd:"" group:"learn" help:"Offer the local training engine to other programs: serve."`
	Internalize learning.Internalize `cmd:"" group:"learn" help:"Take a policy to a model that follows it unseen, with proof."`
	Gen         learning.Gen         `cmd:"" group:"learn" help:"Make worlds and tasks from a seed, and cases of any pack."`
	Reward      learning.Reward      `cmd:"" group:"learn" help:"Rewards from compiled policies: serve, score, propose, simulate, shim."`
	Rollout     learning.Rollout     `cmd:"" group:"learn" help:"Play tasks with a model in their worlds, under a guard."`
	Prove       learning.Prove       `cmd:"" group:"learn" help:"Measure how far a model follows a policy that it is not shown."`
	Data        learning.Data        `cmd:"" group:"learn" help:"Training data of packs and tasks: build, check, export."`

	Doctor     doctorCmd     `cmd:"" group:"help" help:"Print what to put in a bug report. Never secrets."`
	Version    versionCmd    `cmd:"" group:"help" help:"Print the version."`
	Completion completionCmd `cmd:"" group:"help" help:"Print a completion script for a shell."`

	globals
}

var groups = []kong.Group{
	{Key: "start", Title: "Start here"},
	{Key: "author", Title: "Write a policy"},
	{Key: "decide", Title: "Decide"},
	{Key: "look", Title: "Look back"},
	{Key: "enforce", Title: "Enforce"},
	{Key: "learn", Title: "Teach a model"},
	{Key: "help", Title: "Help"},
}

// configure applies the global flags.
func (a *app) configure(g *globals) {
	a.output, a.quiet = g.Output, g.Quiet
	if g.JSON {
		a.output = "json"
	}
	a.style, a.talks = a.styleOf(a.stdout, g.Color), a.styleOf(a.stderr, g.Color)
}

func (a *app) env(name string) string {
	v, _ := a.lookup(name)
	return v
}

// say writes talk, which is never data.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// plainOnly refuses the formats that a command which checks nothing does not have.
func (a *app) plainOnly() error {
	switch a.output {
	case "pretty", "json":
		return nil
	}
	return &problem{exit: exitInput, code: codeUsage, msg: "this command has no output format " + a.output, hint: "use -o pretty or -o json"}
}

// read returns the bytes of a file, or of standard input for "-". At most limit bytes are read.
func (a *app) read(name string, limit int64) ([]byte, error) {
	r := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		defer f.Close()
		r = f
	} else if terminal(a.stdin) {
		a.say("reading from the terminal; end with Ctrl-D")
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if int64(len(b)) > limit {
		return nil, &problem{exit: exitInput, code: codeInput, msg: fmt.Sprintf("%s is larger than %d bytes", name, limit), hint: "give one call or event"}
	}
	return b, nil
}

func unreadable(name string, err error) error {
	return &problem{exit: exitInput, code: codeInput, msg: fmt.Sprintf("read %s: %s", name, because(err)), hint: "check the name and its permissions"}
}
