// Command proviso checks, tests and explains policy packs, decides single calls, and audits recorded conversations.
//
// Each subcommand is one file with a struct of flags and a Run method; main.go runs the one that was asked for, app.go is what they share with the outside
// (streams, environment, clock), exit.go what the process tells its caller. Nothing else in Proviso knows a flag, the environment or the clock.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/proviso-dev/proviso/cmd/proviso/bridge"
	"github.com/proviso-dev/proviso/cmd/proviso/commandline"
)

func main() { os.Exit(int(run())) }

// run is the whole program except for the exit itself.
func run() (code exit) {
	commandline.ForgetEmpty("PROVISO_") // before anything reads one
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.LookupEnv)
	defer func() {
		if v := recover(); v != nil {
			code = a.crashed(v, debug.Stack())
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a.ctx = ctx
	go func() {
		<-ctx.Done()
		stop()                                                         // a second signal ends the process at once
		time.Sleep(max(lastMoments, time.Duration(a.patience.Load()))) // what is blocked in a read does not see the context
		os.Exit(int(exitInterrupted))
	}()
	err := a.do(os.Args[1:])
	if ctx.Err() != nil && !a.drained.Load() {
		return exitInterrupted
	}
	return a.report(err)
}

// lastMoments is how long a command may go on after a signal, to put its things in order.
const lastMoments = 300 * time.Millisecond

// do parses the arguments and runs the command that they name.
func (a *app) do(args []string) error {
	var c commands
	parser, err := newParser(a, &c, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"help"}
	}
	if args[0] == "help" { // as most programs have it: help of the command that follows, or of all
		args = append(args[1:], "--help")
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return usage(err)
	}
	a.configure(&c.globals)
	return kctx.Run(a, a.agents(), a.bridge(), a.learning())
}

// newParser builds the command line for the arguments. Flags win over PROVISO_* variables, these over the settings files, these over defaults.
func newParser(a *app, c *commands, args []string) (*kong.Kong, error) {
	files, err := a.settings()
	if err != nil {
		return nil, err
	}
	return kong.New(c,
		kong.Name("proviso"),
		kong.Description("Proviso makes an agent follow your policy: it decides each tool call, cites the clause, and shows afterwards what happened."),
		kong.Writers(a.stdout, a.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: maxWidth}),
		kong.ExplicitGroups(groups),
		kong.DefaultEnvars("PROVISO"),
		kong.Vars{"formats": bridge.Formats()},
		kong.Resolvers(files),
		commandline.Only(reflect.TypeFor[commands](), args, "completion"),
	)
}

// usage turns what the parser says into one line that names the next step.
func usage(err error) error {
	hint := "see proviso --help"
	var pe *kong.ParseError
	if errors.As(err, &pe) {
		if n := pe.Context.Selected(); n != nil {
			hint = "see proviso " + n.FullPath()[len("proviso "):] + " --help"
		}
	}
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{exit: exitInput, code: codeUsage, msg: err.Error(), hint: hint}
}

// crashed reports a panic in one line. The stack goes to a file only where the person asks for it with PROVISO_STACK=1, since it may hold values of their data.
func (a *app) crashed(v any, stack []byte) exit {
	msg := fmt.Sprint(v)
	if i := strings.IndexByte(msg, '\n'); i >= 0 {
		msg = msg[:i]
	}
	fmt.Fprintf(a.stderr, "proviso: internal error: %s; this is a fault of Proviso, please report it with the command that you ran and the output of proviso doctor [%s]\n", printable(msg), codeInternal)
	if a.env("PROVISO_STACK") != "" {
		a.stderr.Write(stack)
	}
	return exitIncomplete
}
