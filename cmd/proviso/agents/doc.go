// Package agents is the subcommands that put an agent under a policy without changing it: proviso mcp before MCP servers, proviso guard around a command, and proviso hook for programs with hooks.
//
// Each is a struct of flags with a Run method. What they need of the program around them is in an Env: the environment, the clock and the terminal stay the business of the command line. Errors that a person
// can do something about are proviso.Diagnostic.
package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
	"github.com/proviso-dev/proviso/policy"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Context   context.Context // ends with a signal
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	JSON      bool                                         // results are printed as JSON
	Print     func(v any) error                            // prints a result as JSON
	Say       func(format string, args ...any)             // talks to a person
	Compile   func(packs []string) (*policy.Policy, error) // loads packs, or says what is wrong with them
	Listen    func(addr string) (net.Listener, error)      // opens an address
	Server    func(h http.Handler) *http.Server            // with the limits of the program
	Getenv    func(name string) string
	Now       func() time.Time
	Patience  func(d time.Duration) // how long to wait for the command after a signal
	Finished  func()                // the command ended in order after a signal
	Exit      func(code int) error  // the error that ends the program with a code, when everything has been said
	Printable func(text string) string
	Hang      func(prefix, text string, n int) string // wraps text behind a prefix to the width of the terminal
}

// The codes of these commands.
const (
	codeInput   = "PV905" // a file that cannot be read
	codeUsage   = "PV901" // arguments that do not fit together
	codeName    = "PV908" // a name that does not exist
	codeCommand = "PV913" // a command that cannot be run
)

func diagnose(code, hint, format string, args ...any) error {
	return proviso.Diagnostic{Code: code, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// told is an error of a store as a person is told about it.
func told(err error) error {
	var s *sqlite.Error
	if errors.As(err, &s) {
		return proviso.Diagnostic{Code: s.Code, Msg: s.Op + ": " + s.Msg, Hint: s.Hint}
	}
	return err
}

// Policed are the flags of commands that have a guard of their own.
type Policed struct {
	Pack  []string `short:"p" aliases:"policy" help:"Folder of a pack; give several to join packs of different ranks." default:"." placeholder:"DIR"`
	Data  string   `help:"Folder of journals, approvals and pins." default:".proviso" placeholder:"DIR"`
	User  string   `help:"Whom the agent works for." placeholder:"NAME"`
	Agent []string `help:"The agent, and behind it those that handed the work to it." placeholder:"NAME"`
	Audit string   `help:"${enum}: whether calls wait until their record is on disk." enum:"required,best_effort" default:"required" placeholder:"KIND"`
}

// approvalsFile is the store of approvals in a folder of data.
const approvalsFile = "approvals.db"

// stores are what a guard stands on.
type stores struct {
	guard   *guard.Guard
	journal *sqlite.Store
	file    string
	policy  *policy.Policy
	close   func()
}

// open makes a guard over a journal, for which it waits while another process writes it, up to a time.
func (f *Policed) open(e *Env, file string, wait time.Duration) (*stores, error) {
	pol, err := e.Compile(f.Pack)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{f.Data, filepath.Dir(file)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, diagnose(codeInput, "name another folder with --data", "%s cannot be made: %v", dir, cause(err))
		}
	}
	j, err := patient(e.Context, wait, func() (*sqlite.Store, error) { return sqlite.Open(file, sqlite.Options{}) })
	if err != nil {
		return nil, told(err)
	}
	a, err := sqlite.OpenApprovals(filepath.Join(f.Data, approvalsFile), true)
	if err != nil {
		j.Close()
		return nil, told(err)
	}
	s := &stores{journal: j, file: file, policy: pol, close: func() {
		a.Close()
		j.Close()
	}}
	s.guard = &guard.Guard{Policy: pol, Journal: j, Approvals: a, Clock: e.Now, SnapshotEvery: 100}
	if f.Audit == "best_effort" {
		s.guard.Audit = guard.BestEffort
	}
	return s, nil
}

// patient tries to open a store until no other process writes it.
func patient(ctx context.Context, wait time.Duration, open func() (*sqlite.Store, error)) (*sqlite.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		s, err := open()
		var busy *sqlite.Error
		if err == nil || !errors.As(err, &busy) || busy.Code != journal.CodeLocked {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// cause is what the system says, without the name of the file that is told anyway.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
