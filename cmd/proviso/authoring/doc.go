// Package authoring is the commands that help to write a policy: proviso draft, which proposes rules for clauses, proviso mutate, which tries the tests of a pack, and proviso sign, which vouches for one.
//
// Each is a struct of flags with a Run method. What they need of the program around them is in an Env: packs, the environment, the clock and the terminal stay the business of the command line.
// Errors that a person can do something about are proviso.Diagnostic or proviso.Diagnostics.
package authoring

import (
	"context"
	"io"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Context context.Context // ends with a signal
	Stdout  io.Writer
	Format  string                                    // pretty, json or another name of a format
	Print   func(v any) error                         // prints a result as JSON
	Say     func(format string, args ...any)          // talks to a person
	Status  func(line string) bool                    // shows a line that the next one replaces; false: there is no terminal to show it on
	Packs   func(dirs []string) ([]*pack.Pack, error) // loads and compiles packs
	Getenv  func(name string) string
	Now     func() time.Time
	Hang    func(prefix, text string, n int) string // wraps text behind a prefix to the width of the terminal
	Bold    func(text string) string
	Diff    func(name string, a, b []byte) string // a diff of two versions of a file, in colour where the terminal has it
	Found   func() error                          // ends the command with the exit code of findings
}

// The codes of these commands.
const (
	codeFormat = "PV901" // a format or flag that a command does not have
	codeEmpty  = "PV904" // nothing to draft, or no case to try
	codeExists = "PV906" // a folder that would be overwritten
	codeWrite  = "PV907" // an output that cannot be written
	codeName   = "PV908" // an operator or clause that does not exist
	codeScore  = "PV841" // fewer mutants are noticed than asked for
	codeFails  = "PV842" // cases that fail before anything is spoilt
	codeModel  = "PV832" // a model that gave no answer
)

func diagnose(code, msg, hint string) error {
	return proviso.Diagnostic{Code: code, Msg: msg, Hint: hint}
}

func (e *Env) write(s string) error {
	if _, err := io.WriteString(e.Stdout, s); err != nil {
		return diagnose(codeWrite, "standard output: "+err.Error(), "check the disk and the permissions")
	}
	return nil
}

// formats refuses a format that these commands do not have.
func (e *Env) formats() error {
	if e.Format == "pretty" || e.Format == "json" {
		return nil
	}
	return diagnose(codeFormat, "this command has no output format "+e.Format, "use -o pretty or -o json")
}
