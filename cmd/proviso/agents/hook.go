package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/hook"
)

// Hook is `proviso hook`.
type Hook struct {
	Run     HookRun     `cmd:"" default:"withargs" help:"Decide what a program hands over: a hook's JSON on standard input, its answer on standard output."`
	Install HookInstall `cmd:"" help:"Show the settings that have a program call its hooks."`
}

// Help is the long help of the command.
func (Hook) Help() string {
	var b strings.Builder
	b.WriteString("For agent programs with hooks. Show the settings with `proviso hook install PROGRAM --print` and put them where they say; each hook is then decided by the pack, and kept in one journal per folder of data.\n\nWhat cannot be decided is refused where it can be stopped: a pack that does not compile, a journal that cannot be written, an input that two readers could understand differently.")
	for _, f := range hook.All {
		fmt.Fprintf(&b, "\n\n%s: %s", f.Name, f.Doc)
	}
	return b.String()
}

// HookRun is `proviso hook PROGRAM`.
type HookRun struct {
	Policed
	Program string        `arg:"" help:"The program that calls, such as claude-code."`
	Approve bool          `help:"Have allowed calls run without the program's own question to its user." env:"-"`
	Wait    time.Duration `help:"How long to wait for other hooks of the program." default:"10s"`
}

// maxHook bounds what a program hands over.
const maxHook = 16 << 20

// Run decides one hook.
func (c *HookRun) Run(e *Env) error {
	f, ok := hook.Find(c.Program)
	if !ok {
		return unknownProgram(c.Program)
	}
	r, err := c.decide(e, f)
	if err != nil {
		r = f.Refuse("proviso: nothing could be decided: " + err.Error())
	}
	if len(r.Stdout) > 0 {
		if _, err := e.Stdout.Write(append(r.Stdout, '\n')); err != nil {
			return e.Exit(2)
		}
	}
	if r.Stderr != "" {
		fmt.Fprintln(e.Stderr, e.Printable(r.Stderr))
	}
	if r.Exit != 0 {
		return e.Exit(r.Exit)
	}
	return nil
}

func unknownProgram(name string) error {
	var names []string
	for _, f := range hook.All {
		names = append(names, f.Name)
	}
	hint := proviso.DidYouMean(name, names)
	if hint == "" {
		hint = "known are " + strings.Join(names, ", ")
	}
	return diagnose(codeName, hint, "no hooks of %q are known", name)
}

func (c *HookRun) decide(e *Env, f *hook.Format) (hook.Reply, error) {
	input, err := io.ReadAll(io.LimitReader(e.Stdin, maxHook+1))
	if err != nil {
		return hook.Reply{}, err
	}
	if len(input) > maxHook {
		return hook.Reply{}, fmt.Errorf("the input is larger than %d bytes", maxHook)
	}
	ev, err := f.Read(input)
	if err != nil {
		return hook.Reply{}, err
	}
	if ev.Body == nil {
		return f.Answer(ev, hook.Verdict{Allowed: true}), nil
	}
	s, err := c.open(e, filepath.Join(c.Data, "hooks.db"), c.Wait)
	if err != nil {
		return hook.Reply{}, err
	}
	defer s.close()
	return f.Answer(ev, c.verdict(e.Context, s.guard, f.Name+"/"+ev.Session, ev)), nil
}

// verdict decides an event. A session is begun with its first event, whatever that is; a session whose start was denied goes nowhere.
func (c *HookRun) verdict(ctx context.Context, g *guard.Guard, session string, ev *hook.Event) hook.Verdict {
	start := &proviso.Lifecycle{Kind: "start", User: c.User}
	denied, err := g.Start(ctx, session, c.Agent, start)
	switch {
	case err != nil:
		return hook.Verdict{Reason: "Policy: the session could not begin: " + err.Error()}
	case denied != nil:
		return hook.Verdict{Reason: guard.Explain(denied)}
	case ev.Point == proviso.SessionStart:
		return hook.Verdict{Allowed: true}
	}
	e, err := g.Do(ctx, proviso.Event{Session: session, Point: ev.Point, Agents: c.Agent, Body: ev.Body}, nil)
	var no *guard.DeniedError
	switch {
	case errors.As(err, &no):
		return hook.Verdict{Reason: guard.Explain(no.Record)}
	case err != nil:
		return hook.Verdict{Reason: "Policy: " + err.Error()}
	}
	v := hook.Verdict{Allowed: true, Approve: c.Approve, Reason: strings.Join(guard.NoticesFor("agent", &e.Record.Decision), " ")}
	if len(e.Record.Decision.Edits) > 0 {
		v.Forward = e.Forward.Body
	}
	return v
}

// HookInstall is `proviso hook install`.
type HookInstall struct {
	Program string   `arg:"" help:"The program, such as claude-code."`
	Pack    []string `short:"p" aliases:"policy" help:"Folder of the pack." default:"." placeholder:"DIR"`
	Data    string   `help:"Folder of the journal and approvals." default:".proviso" placeholder:"DIR"`
	Show    bool     `name:"print" help:"Print the settings; nothing is written anywhere." required:"" env:"-"`
}

// Run prints settings.
func (c *HookInstall) Run(e *Env) error {
	f, ok := hook.Find(c.Program)
	if !ok {
		return unknownProgram(c.Program)
	}
	command := []string{"proviso", "hook", f.Name}
	for _, dir := range c.Pack {
		at, err := filepath.Abs(dir)
		if err != nil {
			return diagnose(codeInput, "name the folder of a pack", "%s: %v", dir, err)
		}
		command = append(command, "--pack", at)
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return diagnose(codeInput, "name another folder", "%s: %v", c.Data, err)
	}
	file, snippet := f.Settings(quoted(append(command, "--data", data)))
	if e.JSON {
		return e.Print(map[string]any{"file": file, "settings": snippet, "limits": f.Limits})
	}
	e.Say("put this into %s, beside what is there:", file)
	for _, l := range f.Limits {
		sayLine(e, "note: ", l, 6)
	}
	return indented(e, snippet)
}
