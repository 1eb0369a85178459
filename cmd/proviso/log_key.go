package main

import (
	"errors"

	"github.com/proviso-dev/proviso/internal/keyfile"
	"github.com/proviso-dev/proviso/journal"
)

// keyProblem tells what is wrong with the key of checkpoints.
func keyProblem(err error) error {
	var bad *keyfile.Error
	if errors.As(err, &bad) {
		return &problem{exit: exitInput, code: journal.CodeKey, msg: bad.Error(), hint: bad.Hint}
	}
	return err
}
