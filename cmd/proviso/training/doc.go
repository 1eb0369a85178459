// Package training is the subcommands of proviso train and proviso engine: runs from a file of settings, forecasts, comparisons, the reference of objectives, and an engine behind HTTP.
//
// Each is a struct of flags with a Run method. What they need of the program around them is in an Env: the environment, the clock and the terminal stay the business of the command line. Errors that a person can do
// something about are proviso.Diagnostic or proviso.Diagnostics.
package training

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/proviso-dev/proviso"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Context  context.Context // ends with a signal
	Stdout   io.Writer
	Format   string                                         // pretty, json or another name of a format
	Print    func(v any) error                              // prints a result as JSON
	Say      func(format string, args ...any)               // talks to a person
	Status   func(line string) bool                         // shows a line that the next one replaces; false: there is no terminal to show it on
	Read     func(name string, limit int64) ([]byte, error) // a file, or standard input for "-"
	Listen   func(addr string) (net.Listener, error)        // opens an address
	Server   func(h http.Handler) *http.Server              // with the limits of the program
	Patience func(d time.Duration)                          // how long to wait for the command after a signal
	Now      func() time.Time
	Short    func(path string) string                // a path as it may be printed
	Hang     func(prefix, text string, n int) string // wraps text behind a prefix to the width of the terminal
	Bold     func(text string) string
}

// The codes of these commands.
const (
	codeEngine = "PV755" // an engine that cannot be opened, or that failed
	codeFormat = "PV901" // a format that a command does not have
	codeName   = "PV908" // a recipe that does not exist
	codeInput  = "PV905" // a file that cannot be read
	codeWrite  = "PV907" // an output that cannot be written
)

func diagnose(code, msg, hint string) error {
	return proviso.Diagnostic{Code: code, Msg: msg, Hint: hint}
}

func (e *Env) write(b []byte) error {
	if _, err := e.Stdout.Write(b); err != nil {
		return diagnose(codeWrite, "standard output: "+err.Error(), "check the disk and the permissions")
	}
	return nil
}

// formats refuses a format that is not one of those listed.
func (e *Env) formats(of ...string) error {
	for _, f := range of {
		if e.Format == f {
			return nil
		}
	}
	return diagnose(codeFormat, "this command has no output format "+e.Format, "use -o pretty or -o json")
}
