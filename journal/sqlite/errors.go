package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"modernc.org/sqlite"

	"github.com/proviso-dev/proviso/journal"
)

// The codes of a store's errors, of those that package journal lists.
const (
	CodeStore  = journal.CodeStore
	CodeLocked = journal.CodeLocked
	CodeFull   = journal.CodeFull
	CodeIO     = journal.CodeIO
	CodeBusy   = journal.CodeBusy
)

// Error tells what a store could not do, and why.
type Error struct {
	Code string // one of the codes
	Op   string
	Msg  string
	Hint string // what to do next
	Err  error  // of SQLite, where it has one
}

// Error returns all of it in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("journal: %s: %s; %s [%s]", e.Op, e.Msg, e.Hint, e.Code)
}

// Unwrap returns the error of SQLite.
func (e *Error) Unwrap() error { return e.Err }

// passing reports whether the same append may succeed later, as when somebody makes room on the disk. After any other failure nobody can know what the disk holds, and the store stays shut until it is opened again.
func (e *Error) passing() bool { return e.Code == CodeFull || e.Code == CodeBusy }

func notStore(path, why string) error {
	return &Error{Code: CodeStore, Op: "open " + path, Msg: "the file " + why, Hint: "check the name and its permissions"}
}

// The primary result codes of SQLite that are told apart.
const (
	busy     = 5
	locked   = 6
	readonly = 8
	ioerr    = 10
	corrupt  = 11
	full     = 13
	cantopen = 14
	notadb   = 26
)

// code is the primary result code of an error, 0 where it has none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

var failures = map[int]struct{ code, msg, hint string }{
	full:     {CodeFull, "the disk is full", "make room; what waits is written then"},
	readonly: {CodeFull, "the disk or the file cannot be written", "make it writable again; what waits is written then"},
	busy:     {CodeBusy, "another program holds the file", "end it; what waits is written then"},
	locked:   {CodeBusy, "another program holds the file", "end it; what waits is written then"},
	ioerr:    {CodeIO, "the disk fails", "check the disk and open the store again; nothing that this append carried counts as written"},
	corrupt:  {CodeIO, "the file is damaged", "keep a copy, run proviso log verify, and go on with a new file"},
	notadb:   {CodeStore, "the file is not a journal of Proviso", "check the name"},
	cantopen: {CodeStore, "the file cannot be opened", "check the name and the permissions of its folder"},
}

// failure makes an *Error of what SQLite says.
func failure(op string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	f, ok := failures[code(err)]
	if !ok {
		return &Error{Code: CodeIO, Op: op, Msg: cause(err), Hint: "check the disk and open the store again", Err: err}
	}
	return &Error{Code: f.code, Op: op, Msg: f.msg, Hint: f.hint, Err: err}
}

// cause is the reason inside an error, without the path.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return strings.TrimSpace(err.Error())
}
