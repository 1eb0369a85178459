package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso/journal"
)

// Verify streams the whole store through a verifier that has been given its checkpoints: the newest checkpoint in the store, the acts, the records, the snapshots, and SQLite's own look at the file.
// Something wrong with the store is a finding of the verifier's report; Verify fails only where it cannot complete.
func (s *Store) Verify(ctx context.Context, v *journal.Verifier) error {
	if err := s.settled(ctx, ""); err != nil {
		return err
	}
	steps := []func(context.Context, *journal.Verifier) error{s.verifyFile, s.verifyCheckpoint, s.verifyActs, s.verifyRecords, s.verifySnapshots}
	for _, step := range steps {
		err := step(ctx, v)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var e *Error
		if c := code(err); c != corrupt && c != notadb && !(errors.As(err, &e) && code(e.Err) == corrupt) {
			return failure("verify "+s.path, err)
		}
		v.Damaged(s.path, "the file is damaged: "+err.Error())
	}
	return nil
}

// verifyFile looks at the write-ahead log as it was when the store was opened, at the objects of the file, and at its pages.
func (s *Store) verifyFile(ctx context.Context, v *journal.Verifier) error {
	switch t := s.torn; {
	case t.beyond > 0:
		v.Damaged(s.path+"-wal", fmt.Sprintf("page %d of the write-ahead log cannot be read, and %d complete transactions behind it are lost; no single crash does that where commits are synced", t.atFrame, t.beyond))
	case t.frames > 0:
		v.Torn(fmt.Sprintf("%d pages of the write-ahead log belong to no complete transaction", t.frames))
	}
	texts, err := column(ctx, s.read, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
	if err != nil {
		return err
	}
	if !slices.Equal(texts, schema) {
		v.Damaged(s.path, "the file holds other tables, triggers or views than a journal has")
	}
	texts, err = column(ctx, s.read, "PRAGMA integrity_check(20)")
	for _, text := range texts {
		if text != "ok" {
			v.Damaged(s.path, "the file is damaged: "+text)
		}
	}
	return err
}

func column(ctx context.Context, db *sql.DB, query string) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}

func (s *Store) verifyCheckpoint(ctx context.Context, v *journal.Verifier) error {
	text, err := s.LastCheckpoint(ctx)
	if text != nil {
		v.Checkpoint("in the store", text)
	}
	return err
}

func (s *Store) verifyActs(ctx context.Context, v *journal.Verifier) error {
	for a, err := range s.Acts(ctx) {
		if err != nil {
			return err
		}
		v.Act(a)
	}
	return nil
}

func (s *Store) verifyRecords(ctx context.Context, v *journal.Verifier) error {
	for e, err := range s.Entries(ctx, 0) {
		if err != nil {
			return err
		}
		v.Entry(e)
	}
	return nil
}

func (s *Store) verifySnapshots(ctx context.Context, v *journal.Verifier) error {
	rows, err := s.read.QueryContext(ctx, "SELECT x.session, x.policy, x.seq, x.state, coalesce(a.text, '') FROM snapshots x LEFT JOIN acts a ON a.n = x.act")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, policy string
		var seq int64
		var state, text []byte
		if err := rows.Scan(&id, &policy, &seq, &state, &text); err != nil {
			return err
		}
		if !vouched(id, policy, uint64(seq), state, text) {
			v.Finding(snapshotFinding(id, uint64(seq)))
		}
	}
	return rows.Err()
}
