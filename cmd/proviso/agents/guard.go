package agents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/proviso-dev/proviso"
	doors "github.com/proviso-dev/proviso/gateway/settings"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// Guard is `proviso guard`.
type Guard struct {
	Pack      []string `short:"p" aliases:"policy" help:"Folder of a pack; give several to join packs of different ranks." default:"." placeholder:"DIR"`
	Gateway   string   `help:"Settings of the gateway: upstreams, keys, attachments, identity, limits (YAML)." placeholder:"FILE"`
	Data      string   `help:"Folder of the journal, approvals, overlays and the secret." default:".proviso" placeholder:"DIR"`
	OpenAI    string   `name:"openai-base-url" help:"The OpenAI API to forward to." placeholder:"URL"`
	Anthropic string   `name:"anthropic-base-url" help:"The Anthropic API to forward to." placeholder:"URL"`
	Audit     string   `help:"${enum}: whether calls wait until their record is on disk." enum:"required,best_effort" default:"required" placeholder:"KIND"`
	DenyAs    string   `help:"How denials are told: ${enum}." enum:"refusal,error" default:"refusal" placeholder:"FORM"`
	Revise    int      `help:"How often a denied answer goes back to the model with clause and hint." default:"1"`
	Command   []string `arg:"" help:"The command of the agent, behind --." passthrough:""`
}

// Help is the long help of the command.
func (Guard) Help() string {
	return `Runs an agent with a gateway of its own before its model: OPENAI_BASE_URL and ANTHROPIC_BASE_URL are set for the command alone, to an address on this machine that stands for one session. Every event is decided by the pack. At the end a summary says what was decided, and which clauses were in the way.

Signals go to the command, and its exit code is that of proviso guard. Where another process writes the journal of --data, the records of this run get a file of their own, below guard in that folder.`
}

// Run runs the command.
func (c *Guard) Run(e *Env) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return diagnose(codeUsage, "write proviso guard -- COMMAND ARGUMENTS", "no command is given")
	}
	flags := &doors.Flags{Packs: c.Pack, File: c.Gateway, Data: c.Data, OpenAI: c.OpenAI, Anthropic: c.Anthropic, Audit: c.Audit, DenyAs: c.DenyAs, Revise: c.Revise, Env: e.Getenv}
	d, err := doors.Open(e.Context, flags)
	var store *sqlite.Error
	if errors.As(err, &store) && store.Code == journal.CodeLocked {
		// Agents run side by side in one folder, and a journal has one writer.
		flags.Journal = filepath.Join(c.Data, "guard", fmt.Sprintf("%s-%d.db", e.Now().UTC().Format("20060102T150405"), os.Getpid()))
		d, err = doors.Open(e.Context, flags)
	}
	if err != nil {
		return opened(err)
	}
	file := d.File().JournalFile()
	began, before := e.Now(), last(e, file)
	code, err := c.run(e, d, command)
	d.Close()
	if err != nil {
		return err
	}
	e.Finished()
	if err := summarize(e, file, before, began); err != nil {
		e.Say("proviso guard: no summary: %v", err)
	}
	if code != 0 {
		return e.Exit(code)
	}
	return nil
}

// opened is an error of the gateway as a person is told about it.
func opened(err error) error {
	var own *doors.Error
	if errors.As(err, &own) {
		return proviso.Diagnostic{Code: own.Code, Msg: own.Msg, Hint: own.Hint}
	}
	if err = told(err); errors.As(err, &proviso.Diagnostic{}) {
		return err
	}
	return diagnose(doors.CodeSettings, "see docs/gateway.md", "%v", err)
}

// run serves the gateway while the command runs, and returns the command's exit code.
func (c *Guard) run(e *Env, d *doors.Door, command []string) (int, error) {
	l, err := e.Listen("127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	srv := e.Server(d.Handler())
	go srv.Serve(l)
	defer end(srv)
	base := "http://" + l.Addr().String() + "/s/" + d.Handle()
	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = e.Stdin, e.Stdout, e.Stderr
	child.Env = environment(os.Environ(), map[string]string{"OPENAI_BASE_URL": base + "/v1", "OPENAI_API_BASE": base + "/v1", "ANTHROPIC_BASE_URL": base})
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	e.Patience(time.Hour) // the command decides when it ends
	if err := child.Start(); err != nil {
		return 0, diagnose(codeCommand, "check the name and the path", "%s cannot be run: %v", command[0], cause(err))
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				child.Process.Signal(s)
			case <-done:
				return
			}
		}
	}()
	err = child.Wait()
	close(done)
	return exitCode(child.ProcessState, err)
}

// exitCode is what a shell would say of a command that ended: its code, or 128 and the number of the signal.
func exitCode(s *os.ProcessState, err error) (int, error) {
	if s == nil {
		return 0, err
	}
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return s.ExitCode(), nil
}

// end lets requests that are on their way end, and closes the rest.
func end(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	srv.Shutdown(ctx)
	srv.Close()
}

// environment sets variables, and keeps requests to this machine away from proxies.
func environment(env []string, set map[string]string) []string {
	local := ""
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); strings.EqualFold(k, "NO_PROXY") && v != "" {
			local = v + ","
		}
	}
	set["NO_PROXY"], set["no_proxy"] = local+"127.0.0.1", local+"127.0.0.1"
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		_, ours := set[k]
		return ours
	})
	for k, v := range set {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// summary is what came of a run.
type summary struct {
	Decisions, Allowed, Denied, NeedsInfo, Escalated, Errors int
	Denials                                                  []*denial
	Approvals                                                []string
}

// denial is what was not allowed for one reason, and how often.
type denial struct {
	Subject, Outcome, Text string
	Times                  int
}

// maxDenials is how many different denials a summary names.
const maxDenials = 20

// count adds a record.
func (s *summary) count(r *proviso.Record) {
	s.Decisions++
	d := &r.Decision
	s.Errors += len(d.Errors)
	for _, n := range d.Notices {
		if n.Rule == "approval" && n.To == "agent" && !slices.Contains(s.Approvals, n.Text) {
			s.Approvals = append(s.Approvals, n.Text)
		}
	}
	n := map[proviso.Outcome]*int{proviso.Allow: &s.Allowed, proviso.Deny: &s.Denied, proviso.NeedInfo: &s.NeedsInfo, proviso.Escalate: &s.Escalated}[d.Outcome]
	*n++
	if d.Outcome == proviso.Allow {
		return
	}
	text := strings.TrimPrefix(guard.Explain(r), "Policy: ")
	for _, x := range s.Denials {
		if x.Text == text {
			x.Times++
			return
		}
	}
	s.Denials = append(s.Denials, &denial{Subject: r.Event.Point.String(), Outcome: d.Outcome.String(), Text: text, Times: 1})
}

// last is where a journal stands, so that only what comes is read. The last record may be read again; its time tells that it was there before.
func last(e *Env, file string) int64 {
	j, err := sqlite.Open(file, sqlite.Options{ReadOnly: true})
	if err != nil {
		return 0
	}
	defer j.Close()
	n, err := j.Position(e.Context, 1)
	if err != nil {
		return 0
	}
	return n
}

// summarize prints what the journal has of a run.
func summarize(e *Env, file string, before int64, began time.Time) error {
	j, err := sqlite.Open(file, sqlite.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer j.Close()
	var s summary
	for x, err := range j.Entries(context.Background(), before) {
		if err != nil {
			return err
		}
		r, err := x.Peek()
		if err != nil || r.Event.Time.Before(began) {
			continue
		}
		s.count(&r)
	}
	if e.JSON {
		return e.Print(s)
	}
	sayLine(e, "proviso guard: ", fmt.Sprintf("%d decisions: %d allowed, %d denied, %d in need of information, %d for a person to approve; records in %s", s.Decisions, s.Allowed, s.Denied, s.NeedsInfo, s.Escalated, filepath.ToSlash(file)), 2)
	if s.Decisions == 0 {
		sayLine(e, "note: ", "the command asked no model by way of this gateway, so that nothing of it was decided; see that it reads OPENAI_BASE_URL or ANTHROPIC_BASE_URL", 6)
	}
	for i, x := range s.Denials {
		if i == maxDenials {
			e.Say("  and %d more; see proviso log query %s", len(s.Denials)-i, file)
			break
		}
		times := ""
		if x.Times > 1 {
			times = fmt.Sprintf("%d times: ", x.Times)
		}
		sayLine(e, "  - ", times+e.Printable(x.Text), 4)
	}
	for _, a := range s.Approvals {
		sayLine(e, "  approval ", e.Printable(a), 4)
	}
	return nil
}
