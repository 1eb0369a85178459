// Package bridge is the subcommands that bring a policy from elsewhere and carry it to where it is written and read: proviso import from other systems' formats, proviso build into prompts, and proviso lsp into editors.
//
// Each is a struct of flags with a Run method. What they need of the program around them is in an Env. Errors that a person can do something about are proviso.Diagnostic.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/policy"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Context context.Context // ends with a signal
	Stdin   io.Reader
	Stdout  io.Writer
	Format  string                                       // pretty, json or another name of a format
	Version string                                       // of the program
	Say     func(format string, args ...any)             // talks to a person
	Compile func(packs []string) (*policy.Policy, error) // loads packs, or says what is wrong with them
	Exit    func(code int) error                         // the error that ends the program with a code, when everything has been said
}

// The codes of these commands.
const (
	codeUsage  = "PV901" // arguments that do not fit together
	codeInput  = "PV905" // a file that cannot be read
	codeExists = "PV906" // a file that would be overwritten
	codeWrite  = "PV907" // an output that cannot be written
	codeClient = "PV861" // an editor that went away, or speaks another protocol
	codeMarks  = "PV862" // a file whose marks around the policy do not match
)

func diagnose(code, hint, format string, args ...any) error {
	return proviso.Diagnostic{Code: code, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// plain refuses the formats that a command which checks nothing does not have.
func (e *Env) plain() error {
	if e.Format != "pretty" && e.Format != "json" {
		return diagnose(codeUsage, "use -o pretty or -o json", "this command has no output format %s", e.Format)
	}
	return nil
}

// because is an error of a file without its name, which the message has already.
func because(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func unreadable(name string, err error) error {
	return diagnose(codeInput, "check the name and its permissions", "read %s: %s", name, because(err))
}

func unwritable(name string, err error) error {
	return diagnose(codeWrite, "check the disk and the permissions", "write %s: %s", name, because(err))
}

// create writes a file that must not exist yet, with the folders above it.
func create(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return durable.Create(name, b, 0o644)
}

// Replace writes a file in one step: whoever reads it sees the former text or the new one. A file that was there keeps its permissions.
func Replace(name string, b []byte) error {
	mode := fs.FileMode(0o644)
	if st, missing := os.Stat(name); missing == nil {
		mode = st.Mode().Perm()
	}
	return durable.Replace(name, b, mode)
}
