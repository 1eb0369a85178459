package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/keyfile"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// logCmd is `proviso log`.
type logCmd struct {
	Tail       logTailCmd       `cmd:"" help:"Show the last records, and what comes."`
	Query      logQueryCmd      `cmd:"" help:"Find records by session, tool, outcome, rule, clause, time."`
	Export     logExportCmd     `cmd:"" help:"Write records as JSON lines, redacted if asked to."`
	Verify     logVerifyCmd     `cmd:"" help:"Find what was edited, cut, put in or reordered."`
	Checkpoint logCheckpointCmd `cmd:"" help:"Sign the state of the journal, to be kept elsewhere."`
	Redact     logRedactCmd     `cmd:"" help:"Take the words out of a session's records; decisions and facts stay."`
	Forget     logForgetCmd     `cmd:"" help:"Delete a session, or all that are older than a moment."`
}

// storeArg is the journal that a command looks at.
type storeArg struct {
	Store string `arg:"" help:"The journal: a SQLite file."`
}

// open opens the journal beside whoever writes it.
func (c *storeArg) open() (*sqlite.Store, error) {
	s, err := sqlite.Open(c.Store, sqlite.Options{ReadOnly: true})
	if err != nil {
		return nil, logProblem(err)
	}
	return s, nil
}

// logProblem is the problem in an error of a journal, with the exit code that fits.
func logProblem(err error) error {
	var chain *journal.ChainError
	var store *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return stop(exitInterrupted)
	case errors.As(err, &chain):
		return &problem{exit: exitIntegrity, code: journal.CodeChain, msg: chain.Msg, hint: "keep a copy of the store and find out who changed it"}
	case errors.As(err, &store):
		code := exitIncomplete
		if store.Code == journal.CodeStore {
			code = exitInput
		}
		return &problem{exit: code, code: store.Code, msg: store.Op + ": " + store.Msg, hint: store.Hint}
	}
	return err
}

// queryFlags say which records are wanted.
type queryFlags struct {
	Session string `help:"Records of this session." placeholder:"ID"`
	Tool    string `help:"Calls and results of this tool; * is any run of characters." placeholder:"NAME"`
	Outcome string `help:"Decisions with this outcome: deny, needs_info, escalate or allow." placeholder:"NAME"`
	Rule    string `help:"Decisions that this rule determined." placeholder:"ID"`
	Clause  string `help:"Decisions that cite this clause." placeholder:"ID"`
	Since   string `help:"From this time on, RFC 3339, or so long ago, such as 24h." placeholder:"TIME"`
	Until   string `help:"Before this time, RFC 3339, or so long ago." placeholder:"TIME"`
}

func (c *queryFlags) query(now time.Time) (q journal.Query, err error) {
	q = journal.Query{Session: c.Session, Tool: c.Tool, Outcome: c.Outcome, Rule: c.Rule, Clause: c.Clause}
	if c.Outcome != "" {
		if _, ok := proviso.ParseOutcome(c.Outcome); !ok {
			return q, &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--outcome: unknown outcome %q", c.Outcome), hint: "use deny, needs_info, escalate or allow"}
		}
	}
	if q.Since, err = moment("--since", c.Since, now); err != nil {
		return q, err
	}
	q.Until, err = moment("--until", c.Until, now)
	return q, err
}

// moment reads a time, or how long ago it was; an empty text is no time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("%s: %q is no RFC 3339 time and no duration", flag, text), hint: "write it as 2026-05-04T10:00:00Z or 24h"}
	}
	return t, nil
}

// records yields what a query asks for. Records that do not fit their hashes are shown as they are; verify is who judges them.
func records(ctx context.Context, s *sqlite.Store, q *journal.Query) iter.Seq2[proviso.Record, error] {
	entries := s.Entries(ctx, 0, q.Texts()...)
	if q.Session != "" {
		entries = s.Chain(ctx, q.Session, 1)
	}
	return func(yield func(proviso.Record, error) bool) {
		for e, err := range entries {
			var r proviso.Record
			if err == nil {
				r, err = e.Peek()
			}
			if err == nil && !q.Match(&r) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// logTailCmd is `proviso log tail`.
type logTailCmd struct {
	storeArg
	Lines  int  `short:"n" help:"How many records." default:"20" placeholder:"N"`
	Follow bool `short:"f" help:"Go on as records come, until interrupted."`
}

// pause is how often a followed journal is looked at.
const pause = 200 * time.Millisecond

// Run shows the end of the journal.
func (c *logTailCmd) Run(a *app) error {
	p, err := a.recordPrinter()
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	at, err := s.Position(a.ctx, max(c.Lines, 0))
	if err != nil {
		return logProblem(err)
	}
	for {
		for e, err := range s.Entries(a.ctx, at) {
			var r proviso.Record
			if err == nil {
				r, err = e.Peek()
			}
			if err == nil {
				err = p.print(&r)
			}
			if err != nil {
				return logProblem(err)
			}
			at++
		}
		if !c.Follow {
			return p.end()
		}
		select {
		case <-a.ctx.Done():
			return stop(exitInterrupted)
		case <-time.After(pause):
		}
	}
}

// logQueryCmd is `proviso log query`.
type logQueryCmd struct {
	storeArg
	queryFlags
	Limit int `help:"At most so many records; 0 is all." placeholder:"N"`
}

// Help is the long help of the command.
func (logQueryCmd) Help() string {
	return `Prints the records that fit every flag, one line each, in the order in which they were appended. -o jsonl prints them whole. The exit code is 0 where one was found, 1 where none was.`
}

// Run finds and prints.
func (c *logQueryCmd) Run(a *app) error {
	p, err := a.recordPrinter()
	if err != nil {
		return err
	}
	q, err := c.query(a.now())
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	for r, err := range records(a.ctx, s, &q) {
		if err == nil {
			err = p.print(&r)
		}
		if err != nil {
			return logProblem(err)
		}
		if p.n == c.Limit {
			break
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	if p.n == 0 {
		a.say("no record fits")
		return stop(exitFindings)
	}
	return nil
}

// recordPrinter prints records in the format that was asked for.
type recordPrinter struct {
	a *app
	n int
}

func (a *app) recordPrinter() (*recordPrinter, error) {
	switch a.output {
	case "pretty", "json", "jsonl":
		return &recordPrinter{a: a}, nil
	}
	return nil, &problem{exit: exitInput, code: codeUsage, msg: "records have no output format " + a.output, hint: "use -o pretty, -o json or -o jsonl"}
}

func (p *recordPrinter) print(r *proviso.Record) error {
	var b []byte
	var err error
	if p.a.output == "pretty" {
		b = []byte(p.a.style.recordLine(r) + "\n")
	} else {
		if b, err = proviso.AppendJSON(nil, r); err != nil {
			return err
		}
		switch {
		case p.a.output == "jsonl":
			b = append(b, '\n')
		case p.n == 0:
			b = append([]byte("[\n"), b...)
		default:
			b = append([]byte(",\n"), b...)
		}
	}
	p.n++
	if _, err := p.a.stdout.Write(b); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// end closes the list of -o json.
func (p *recordPrinter) end() error {
	if p.a.output != "json" {
		return nil
	}
	text := "\n]\n"
	if p.n == 0 {
		text = "[]\n"
	}
	if _, err := io.WriteString(p.a.stdout, text); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}

// recordLine is a record on one line of the terminal.
func (s style) recordLine(r *proviso.Record) string {
	e, d := &r.Event, &r.Decision
	head := fmt.Sprintf("%s  %s %d  %s  ", e.Time.UTC().Format(time.DateTime), printable(e.Session), e.Seq, s.outcome(d.Outcome))
	what := e.Point.String()
	switch b := e.Body.(type) {
	case *proviso.ToolCall:
		what = "→ " + b.Tool + " " + b.Args.String()
	case *proviso.ToolResult:
		what = "← " + b.Tool + " " + b.Content.String() + b.Text
	case *proviso.Message:
		what = string(b.Role) + ": " + b.Text
	case *proviso.Lifecycle:
		what = strings.TrimSpace(b.Kind + " " + b.Name)
	}
	if r.Redacted {
		what = strings.TrimSuffix(what, " null") + " (redacted)"
	}
	if d.Outcome != proviso.Allow && len(d.Reasons) > 0 {
		what = d.Reasons[0].Rule + "  " + what
	}
	return head + shorten(printable(what), max(20, s.limit()-columns(head)))
}

// logExportCmd is `proviso log export`.
type logExportCmd struct {
	storeArg
	queryFlags
	Redact   []string `help:"Replace what this pattern (RE2) matches, in all that was said. May be repeated." placeholder:"PATTERN" sep:"none"`
	NoBodies bool     `help:"Leave out what was said, called and answered; facts and reasons stay."`
	Sealed   bool     `help:"The whole journal with its chain, as verify reads it."`
}

// Help is the long help of the command.
func (logExportCmd) Help() string {
	return `Writes records as JSON lines to standard output, which proviso audit reads again. --redact replaces what a pattern matches by [redacted], in texts, arguments, results, facts and quotes; the journal itself is not changed. --sealed writes every record with its hashes, and cannot be combined with anything that leaves out or changes records.`
}

// Run exports.
func (c *logExportCmd) Run(a *app) error {
	q, err := c.query(a.now())
	if err != nil {
		return err
	}
	var patterns []*regexp.Regexp
	for _, text := range c.Redact {
		re, err := regexp.Compile(text)
		if err != nil {
			return &problem{exit: exitInput, code: codeUsage, msg: fmt.Sprintf("--redact: %v", err), hint: "write an RE2 pattern, such as \\d{16}"}
		}
		patterns = append(patterns, re)
	}
	if c.Sealed && (q != journal.Query{} || len(patterns) > 0 || c.NoBodies) {
		return &problem{exit: exitInput, code: codeUsage, msg: "--sealed exports the whole journal as it is", hint: "leave out the other flags"}
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if c.Sealed {
		return logProblem(sealedLog(a.ctx, s, a.stdout))
	}
	for r, err := range records(a.ctx, s, &q) {
		if err != nil {
			return logProblem(err)
		}
		if c.NoBodies {
			r = journal.Bare(&r)
		}
		b, err := journal.Scrub(&r, patterns, "[redacted]")
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(append(b, '\n')); err != nil {
			return unwritable("standard output", err)
		}
	}
	return nil
}

func sealedLog(ctx context.Context, s *sqlite.Store, w io.Writer) error {
	if err := journal.WriteLog(w, s.ID()); err != nil {
		return unwritable("standard output", err)
	}
	for act, err := range s.Acts(ctx) {
		if err != nil {
			return err
		}
		if err := journal.WriteAct(w, act); err != nil {
			return unwritable("standard output", err)
		}
	}
	for e, err := range s.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		if err := journal.WriteEntry(w, e); err != nil {
			return unwritable("standard output", err)
		}
	}
	return nil
}

// logVerifyCmd is `proviso log verify`.
type logVerifyCmd struct {
	Store      string   `arg:"" help:"The journal: a SQLite file, or a sealed log that export has written."`
	Checkpoint []string `help:"A checkpoint that was kept elsewhere. May be repeated." placeholder:"FILE"`
	Key        string   `help:"The public key that checkpoints have to be signed by." placeholder:"FILE"`
}

// Help is the long help of the command.
func (logVerifyCmd) Help() string {
	return `Reads every record and compares it with the hashes before and behind it, with the newest checkpoint in the journal, and with those given by --checkpoint. Finds what was edited, cut off, put in, reordered or deleted, and says which record and what; a torn end, as a crash leaves it, is told apart. It also says what nobody can know: what was appended after the last checkpoint that was kept elsewhere.

The exit code is 0 where everything holds, 4 where something does not.`
}

// Run verifies and prints.
func (c *logVerifyCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	rep, err := c.verify(a)
	if err != nil {
		return logProblem(err)
	}
	if a.output == "json" {
		if err := a.printJSON(rep); err != nil {
			return err
		}
	} else if _, err := io.WriteString(a.stdout, a.style.verification(rep)); err != nil {
		return unwritable("standard output", err)
	}
	if len(rep.Findings) > 0 {
		return stop(exitIntegrity)
	}
	return nil
}

func (c *logVerifyCmd) verify(a *app) (*journal.Report, error) {
	v := &journal.Verifier{}
	var err error
	if c.Key != "" {
		if v.Key, err = keyfile.Public(c.Key); err != nil {
			return nil, keyProblem(err)
		}
	}
	var kept [][]byte
	for _, name := range c.Checkpoint {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, unreadable(name, err)
		}
		kept = append(kept, b)
	}
	give := func() {
		for i, b := range kept {
			v.Checkpoint(c.Checkpoint[i], b)
		}
	}
	f, err := os.Open(c.Store)
	if err != nil {
		return nil, unreadable(c.Store, err)
	}
	defer f.Close()
	var first [16]byte
	if n, _ := io.ReadFull(f, first[:]); n > 0 && first[0] == '{' {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, unreadable(c.Store, err)
		}
		give()
		if err := journal.VerifyLog(v, f); errors.Is(err, journal.ErrNotLog) {
			return nil, &problem{exit: exitInput, code: journal.CodeStore, msg: c.Store + " is no sealed log", hint: "write one with proviso log export --sealed"}
		} else if err != nil {
			return nil, unreadable(c.Store, err)
		}
		return v.Report(), nil
	}
	s, err := sqlite.Open(c.Store, sqlite.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	v.Store(s.ID())
	give()
	if err := s.Verify(a.ctx, v); err != nil {
		return nil, err
	}
	return v.Report(), nil
}

// verification is a report for people.
func (s style) verification(r *journal.Report) string {
	var b strings.Builder
	line := func(label, text string, codes ...string) {
		b.WriteString(s.indented(pad(s.paint(label, bold), 12), text, codes...))
	}
	line("records", fmt.Sprintf("%d of %d sessions, %d redacted; %d sessions forgotten", r.Records, r.Sessions, r.Redacted, r.Forgotten))
	for _, f := range r.Findings {
		line(f.Kind, printable(f.Msg), bold, red)
	}
	if r.More > 0 {
		line("more", fmt.Sprintf("%d further findings", r.More))
	}
	for _, n := range r.Notes {
		line("note", printable(n))
	}
	line("limit", printable(r.Limit))
	if n := int64(len(r.Findings)) + r.More; n > 0 {
		fmt.Fprintf(&b, "verify: %s\n", s.paint(fmt.Sprintf("%d found; this is not what was written", n), bold, red))
	} else {
		fmt.Fprintf(&b, "verify: %s\n", s.paint("ok", bold, green))
	}
	return b.String()
}

// logCheckpointCmd is `proviso log checkpoint`.
type logCheckpointCmd struct {
	storeArg
	Key string `help:"The private key; it is made where there is none, with its public key beside it." required:"" placeholder:"FILE"`
	To  string `help:"Write the checkpoint here as well; keep it away from the journal." placeholder:"FILE"`
}

// Help is the long help of the command.
func (logCheckpointCmd) Help() string {
	return `Signs a statement of how far every session has come, keeps it in the journal and writes it to a file. It may be made while the journal is being written. Keep the file, and the private key, where nobody who can write the journal can write: verify compares the journal with it later.`
}

// Run signs.
func (c *logCheckpointCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	key, made, err := keyfile.Private(c.Key)
	if err != nil {
		return keyProblem(err)
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.Close()
	cp, err := s.Checkpoint(a.ctx, key)
	if err != nil {
		return logProblem(err)
	}
	if c.To != "" {
		if err := writeNew(c.To, cp.Text); err != nil {
			return unwritable(c.To, err)
		}
	}
	if made {
		a.say("made the key %s; its public key is %s.pub", c.Key, c.Key)
	}
	id := journal.HashOf(cp.Key).Short()
	if a.output == "json" {
		return a.printJSON(map[string]any{"checkpoint": cp.Number, "sessions": len(cp.Sessions), "records": cp.Records, "key": id, "file": c.To})
	}
	_, err = fmt.Fprintf(a.stdout, "checkpoint %d: %d records of %d sessions, signed by %s\n", cp.Number, cp.Records, len(cp.Sessions), id)
	return err
}
