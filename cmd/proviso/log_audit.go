package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// journals reads the journals among the files of an audit.
type journals struct {
	mu     sync.Mutex
	broken error // why the first of them that could not be read as it was written could not
}

// open returns the records of a file that SQLite has written, each checked against its chain, and nil for any other file.
func (j *journals) open(ctx context.Context, path string) iter.Seq2[audit.Stored, error] {
	if !isDatabase(path) {
		return nil
	}
	return func(yield func(audit.Stored, error) bool) {
		s, err := sqlite.Open(path, sqlite.Options{ReadOnly: true})
		if err != nil {
			yield(audit.Stored{}, j.failed(err))
			return
		}
		defer s.Close()
		tips := map[string]journal.Tip{}
		for e, err := range s.Entries(ctx, 0) {
			if err != nil {
				yield(audit.Stored{}, j.failed(err))
				return
			}
			tip := tips[e.Session]
			tips[e.Session] = journal.Tip{Length: e.Seq, Head: e.Hash}
			read := func() (proviso.Record, error) {
				r, err := e.RecordAfter(tip)
				return r, j.failed(err)
			}
			// The body is not part of the hash, and may have been redacted since.
			id := fmt.Sprintf("%s %t", e.Hash, len(e.Body) > 0)
			if !yield(audit.Stored{Session: e.Session, ID: id, Size: len(e.Head) + len(e.Body), Read: read}, nil) {
				return
			}
		}
	}
}

// failed keeps the first error.
func (j *journals) failed(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = logProblem(err)
	}
	return err
}

// isDatabase tells a file of SQLite by its first bytes (sqlite.org/fileformat2.html#magic_header_string).
func isDatabase(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [16]byte
	_, err = io.ReadFull(f, first[:])
	return err == nil && string(first[:]) == "SQLite format 3\x00"
}
