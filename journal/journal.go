// Package journal keeps what happened: the records of every session, in order and without gaps.
//
// A Store appends records and reads them back; Memory is one that forgets at the end of the process. Every back end passes TestStore.
//
// What is kept on disk is chained: Seal makes a record an Entry that carries the hash of the one before it in its session, a Checkpoint states the tips of all sessions
// under a signature, and a Verifier tells from both what was edited, cut, put in or reordered. A redaction takes the body out of an Entry and leaves its hashes as they were.
// Acts are what was done to the journal itself; they are a chain, too.
package journal

import (
	"context"
	"fmt"
	"iter"

	"github.com/proviso-dev/proviso"
)

// Store keeps records. All methods may be called at the same time by several goroutines, and by several processes where the back end is shared.
type Store interface {
	// Append adds records, of one session or several, all or none: when it returns nil they are kept as durably as the back end keeps anything.
	// Each has to carry the number that follows the last one of its session, beginning with 1; otherwise the error is a *SeqError.
	// The store keeps nothing of the caller's memory.
	Append(ctx context.Context, records ...proviso.Record) error
	// Read yields the records of a session from a number on, in order. It yields what was there when it was called and may yield later ones; an unknown session has none.
	// The records yielded are the caller's own. An error ends the sequence.
	Read(ctx context.Context, session string, from uint64) iter.Seq2[proviso.Record, error]
	// Sessions yields the ids of all sessions that have records, sorted.
	Sessions(ctx context.Context) iter.Seq2[string, error]
	// Close releases what the store holds. After it every method fails with ErrClosed.
	Close() error
}

// ErrClosed is the error of a store that was closed.
var ErrClosed = fmt.Errorf("journal: the store is closed; open it again [%s]", CodeClosed)

// The codes of the journal's errors.
const (
	CodeSeq    = "PV541" // a record that does not follow the last one of its session
	CodeClosed = "PV542" // a store that was closed
	CodeStore  = "PV543" // a file that is no journal, or one of another version
	CodeLocked = "PV544" // a journal that another process writes
	CodeChain  = "PV545" // a journal that is not what was written into it
	CodeFull   = "PV546" // a disk without space
	CodeIO     = "PV547" // a disk that fails
	CodeBusy   = "PV548" // a queue without space
	CodeKey    = "PV549" // a key file that cannot be used
)

// SeqError tells that a record does not follow the last one of its session: one is missing, or another writer was faster.
type SeqError struct {
	Session   string
	Got, Want uint64
}

// Error says what was expected.
func (e *SeqError) Error() string {
	return fmt.Sprintf("journal: append: record %d of session %q, want %d; read the session again [%s]", e.Got, e.Session, e.Want, CodeSeq)
}

// Conflict reports whether another writer has appended in the meantime, so that reading the session again helps.
func (e *SeqError) Conflict() bool { return e.Got < e.Want }

// SnapshotError tells that the state of a session after a record cannot be kept, because the journal does not have that record.
type SnapshotError struct {
	Session   string
	Seq, Last uint64
}

// Error says how far the journal goes.
func (e *SnapshotError) Error() string {
	return fmt.Sprintf("journal: snapshot: record %d of session %q is not in the journal, whose last is %d; fold the session again [%s]", e.Seq, e.Session, e.Last, CodeSeq)
}
