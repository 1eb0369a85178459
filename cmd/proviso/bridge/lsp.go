package bridge

import (
	"context"
	"errors"

	"github.com/proviso-dev/proviso/lsp"
)

// LSP is `proviso lsp`.
type LSP struct{}

// Help is the long help of the command.
func (LSP) Help() string {
	return "Speaks the Language Server Protocol over standard input and output. Editors start it; docs/editors.md says how."
}

// Run serves until the editor says exit.
func (LSP) Run(e *Env) error {
	err := lsp.Serve(e.Context, e.Stdin, e.Stdout, e.Version)
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return diagnose(codeClient, "start proviso lsp from an editor; see docs/editors.md", "lsp: %s", err)
}
