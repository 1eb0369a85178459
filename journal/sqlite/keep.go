package sqlite

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/proviso-dev/proviso/journal"
)

// act appends an act to the chain of acts, inside a transaction, and returns its number.
func (s *Store) act(ctx context.Context, tx execer, a journal.Act) (uint64, error) {
	tip, err := actsTip(ctx, tx)
	if err != nil {
		return 0, err
	}
	a.Number, a.Prev, a.At = tip.Length+1, tip.Head, s.opt.Clock().UTC()
	sealed, err := a.Seal()
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO acts VALUES (?, ?, ?)", int64(a.Number), sealed.Hash[:], string(sealed.Text))
	return a.Number, err
}

// execer is a connection or a transaction that may write.
type execer interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// querier is a connection or a pool of them.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func actsTip(ctx context.Context, q querier) (journal.Tip, error) {
	return scanTip(q.QueryRowContext(ctx, "SELECT n, hash FROM acts ORDER BY n DESC LIMIT 1"))
}

// Acts yields what was done to the journal itself, in order.
func (s *Store) Acts(ctx context.Context) iter.Seq2[journal.SealedAct, error] {
	return func(yield func(journal.SealedAct, error) bool) {
		rows, err := s.read.QueryContext(ctx, "SELECT hash, text FROM acts ORDER BY n")
		if err != nil {
			yield(journal.SealedAct{}, failure("read", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var a journal.SealedAct
			var hash, text []byte
			err := rows.Scan(&hash, &text)
			copy(a.Hash[:], hash)
			a.Text = text
			if !yield(a, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(journal.SealedAct{}, failure("read", err))
		}
	}
}

// Bodies returns how many bodies Redact would take out.
func (s *Store) Bodies(ctx context.Context, session string, from, to uint64) (n int64, err error) {
	if err := s.settled(ctx, ""); err != nil {
		return 0, err
	}
	if to == 0 {
		to = math.MaxInt64
	}
	err = s.read.QueryRowContext(ctx, "SELECT count(*) FROM records WHERE session = ? AND seq BETWEEN ? AND ? AND body IS NOT NULL", session, int64(from), int64(to)).Scan(&n)
	if err != nil {
		return 0, failure("read", err)
	}
	return n, nil
}

// Redact takes the bodies of the records from to to of a session out of the store, and its snapshots, which hold the same texts; 0 for to means the last record. It returns how many bodies were there.
// The hashes stay as they are, and an act says what was taken out and why. SQLite overwrites what is deleted; copies of the file are not reached.
// It may be called on a store that was opened for reading, beside whoever writes: no tip of a chain changes by it.
func (s *Store) Redact(ctx context.Context, session string, from, to uint64, reason string) (n int64, err error) {
	if s.write == nil {
		return s.redactBeside(ctx, session, from, to, reason)
	}
	err = s.do(ctx, "redact", func(ctx context.Context, w *writer) (err error) {
		n, err = s.redact(ctx, w.conn, session, from, to, reason)
		return err
	})
	if err == nil && n > 0 {
		err = s.tidy(ctx)
	}
	return n, err
}

// redact is Redact inside a transaction.
func (s *Store) redact(ctx context.Context, tx execer, session string, from, to uint64, reason string) (n int64, err error) {
	tip, err := tipOf(ctx, tx, session)
	if err != nil {
		return 0, err
	}
	from = max(from, 1)
	if to == 0 || to > tip.Length {
		to = tip.Length
	}
	res, err := tx.ExecContext(ctx, "UPDATE records SET body = NULL WHERE session = ? AND seq BETWEEN ? AND ? AND body IS NOT NULL", session, int64(from), int64(to))
	if err != nil {
		return 0, err
	}
	if n, err = res.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM snapshots WHERE session = ?", session); err != nil {
		return 0, err
	}
	_, err = s.act(ctx, tx, journal.Act{Kind: journal.Redacted, Session: session, From: from, To: to, Reason: reason})
	return n, err
}

// redactBeside is Redact on a connection of its own.
func (s *Store) redactBeside(ctx context.Context, session string, from, to uint64, reason string) (int64, error) {
	if s.closed() {
		return 0, journal.ErrClosed
	}
	db, tx, err := s.beside(ctx)
	if err != nil {
		return 0, failure("redact", err)
	}
	defer db.Close()
	defer tx.Rollback()
	n, err := s.redact(ctx, tx, session, from, to, reason)
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return 0, failure("redact", err)
	}
	// Also where nothing was left to take out: the last time somebody may have been reading.
	waits := 1
	for end := time.Now().Add(turn); waits != 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		var a, b int
		if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&waits, &a, &b); err != nil {
			return n, failure("redact", err)
		}
	}
	if waits != 0 {
		return n, &Error{Code: CodeBusy, Op: "redact", Msg: "the words are out of the file, but its write-ahead log may still hold them", Hint: "say it again when fewer programs use the journal"}
	}
	return n, nil
}

// turn is how long somebody beside the writer waits for a turn.
const turn = 5 * time.Second

// beside opens a connection with a transaction that writes beside whoever writes the store.
// It asks for the file every millisecond: SQLite's own waiting pauses for up to a tenth of a second, and a writer that is never idle leaves only moments in between.
func (s *Store) beside(ctx context.Context) (*sql.DB, *sql.Tx, error) {
	db, err := sql.Open("sqlite", source(s.path, "mode=rw&_txlock=immediate&_pragma=busy_timeout(1)&_pragma=synchronous(FULL)&_pragma=secure_delete(1)&_pragma=trusted_schema(0)"))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	for end := time.Now().Add(turn); ; {
		tx, err := db.BeginTx(ctx, nil)
		if err == nil {
			return db, tx, nil
		}
		if code(err) != busy || time.Now().After(end) {
			db.Close()
			return nil, nil, err
		}
	}
}

// tidy moves the write-ahead log into the file and empties it, so that nothing deleted is left there.
func (s *Store) tidy(ctx context.Context) error {
	w := s.write
	done := make(chan error, 1)
	r := &request{done: done, after: func(ctx context.Context) error { return w.exec(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") }}
	if err := w.stand(ctx, r); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Expired yields the sessions whose last record is older than a moment, sorted.
func (s *Store) Expired(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, err := range s.Sessions(ctx) {
			old := err != nil
			if err == nil {
				old, err = s.lastBefore(ctx, id, before)
			}
			if old && !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// Forget deletes every session whose last record is older than a moment, and returns how many. An act keeps the length and the last hash of each, so that checkpoints which have seen it still hold.
func (s *Store) Forget(ctx context.Context, before time.Time, reason string) (n int, err error) {
	for id, err := range s.Expired(ctx, before) {
		if err != nil {
			return n, err
		}
		// It may have gone on since it was looked at.
		gone, err := s.forget(ctx, id, reason, func() (bool, error) { return s.lastBefore(ctx, id, before) })
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	if n > 0 {
		return n, s.tidy(ctx)
	}
	return n, nil
}

// ForgetSession is Forget for one session, however young it is. It reports whether the session was there.
func (s *Store) ForgetSession(ctx context.Context, id, reason string) (bool, error) {
	gone, err := s.forget(ctx, id, reason, func() (bool, error) { return true, nil })
	if err == nil && gone {
		err = s.tidy(ctx)
	}
	return gone, err
}

// forget deletes a session that is there and still to be deleted.
func (s *Store) forget(ctx context.Context, id, reason string, still func() (bool, error)) (gone bool, err error) {
	err = s.do(ctx, "forget", func(ctx context.Context, w *writer) error {
		tip, err := scanTip(w.last.QueryRowContext(ctx, id))
		if err != nil || tip.Length == 0 {
			return err
		}
		if ok, err := still(); err != nil || !ok {
			return err
		}
		for _, q := range []string{"DELETE FROM records WHERE session = ?", "DELETE FROM snapshots WHERE session = ?"} {
			if err := w.exec(ctx, q, id); err != nil {
				return err
			}
		}
		delete(w.tips, id)
		gone = true
		_, err = s.act(ctx, w.conn, journal.Act{Kind: journal.Forgotten, Session: id, To: tip.Length, Head: tip.Head, Reason: reason})
		return err
	})
	if err != nil || !gone {
		return false, err
	}
	s.write.mu.Lock()
	delete(s.write.accepted, id)
	s.write.mu.Unlock()
	return true, nil
}

// lastBefore reports whether the last record of a session is older than a moment.
func (s *Store) lastBefore(ctx context.Context, session string, before time.Time) (bool, error) {
	var e journal.Entry
	var hash, head []byte
	err := s.read.QueryRowContext(ctx, "SELECT hash, head FROM records WHERE session = ? ORDER BY seq DESC LIMIT 1", session).Scan(&hash, &head)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, failure("read", err)
	}
	e.Session, e.Head = session, head
	r, err := e.Peek()
	return err == nil && r.Event.Time.Before(before), err
}

// PutSnapshot keeps the state of a session after one of its records, folded with the policy of a digest; of several only the newest two are kept. Its hash goes into the chain of acts.
// Where words of the session were redacted nothing is kept: a state that was folded before may still hold them. A record that is not there is a *journal.SnapshotError.
func (s *Store) PutSnapshot(ctx context.Context, session string, seq uint64, policy string, state []byte) error {
	return s.do(ctx, "snapshot", func(ctx context.Context, w *writer) error {
		tip, err := scanTip(w.last.QueryRowContext(ctx, session))
		if err != nil {
			return err
		}
		if seq > tip.Length {
			return &requestError{&journal.SnapshotError{Session: session, Seq: seq, Last: tip.Length}}
		}
		var redacted bool
		if err := w.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM records WHERE session = ? AND body IS NULL)", session).Scan(&redacted); err != nil || redacted {
			return err
		}
		n, err := s.act(ctx, w.conn, journal.Act{Kind: journal.Snapshot, Session: session, To: seq, Head: journal.HashOf(state), Reason: policy})
		if err != nil {
			return err
		}
		if err := w.exec(ctx, "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", session, int64(seq), policy, int64(n), state); err != nil {
			return err
		}
		return w.exec(ctx, "DELETE FROM snapshots WHERE session = ?1 AND policy = ?2 AND seq NOT IN (SELECT seq FROM snapshots WHERE session = ?1 AND policy = ?2 ORDER BY seq DESC LIMIT 2)", session, policy)
	})
}

// Snapshot returns the newest state that was kept of a session under a policy, after a record before number before (0: any), and the number of that record; ok is false where there is none.
// One that is not what its act says is a *journal.ChainError.
func (s *Store) Snapshot(ctx context.Context, session, policy string, before uint64) (seq uint64, state []byte, ok bool, err error) {
	if err := s.settled(ctx, session); err != nil {
		return 0, nil, false, err
	}
	if s.unknown(ctx, session) {
		return 0, nil, false, nil
	}
	limit := int64(before)
	if before == 0 {
		limit = 1<<63 - 1
	}
	var at int64
	var hash, text []byte
	st, err := s.prepared(ctx, "SELECT x.seq, x.state, coalesce(a.hash, ''), coalesce(a.text, '') FROM snapshots x LEFT JOIN acts a ON a.n = x.act WHERE x.session = ? AND x.policy = ? AND x.seq < ? ORDER BY x.seq DESC LIMIT 1")
	if err == nil {
		err = st.QueryRowContext(ctx, session, policy, limit).Scan(&at, &state, &hash, &text)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, false, nil
	}
	if err != nil {
		return 0, nil, false, failure("read", err)
	}
	if !vouched(session, policy, uint64(at), state, text) {
		return 0, nil, false, &journal.ChainError{Finding: snapshotFinding(session, uint64(at))}
	}
	return uint64(at), state, true, nil
}

// vouched reports whether an act says that a snapshot is this one.
func vouched(session, policy string, seq uint64, state, act []byte) bool {
	sealed := journal.SealedAct{Text: act}
	a, err := sealed.Act()
	return err == nil && a.Kind == journal.Snapshot && a.Session == session && a.Reason == policy && a.To == seq && a.Head == journal.HashOf(state)
}

func snapshotFinding(session string, seq uint64) journal.Finding {
	return journal.Finding{Kind: "snapshot", Session: session, Seq: seq, Msg: fmt.Sprintf("the snapshot after record %d of session %q is not the one that was kept", seq, session)}
}

// Checkpoint states the tips of all sessions, signs that, keeps it in the store and returns it; keep a copy of its text away from the store.
// Everything that was enqueued before is part of it. It may be called on a store that was opened for reading, beside whoever writes: a checkpoint is part of no chain that the writer holds.
func (s *Store) Checkpoint(ctx context.Context, key ed25519.PrivateKey) (*journal.Checkpoint, error) {
	if err := s.settled(ctx, ""); err != nil {
		return nil, err
	}
	db, tx, err := s.beside(ctx)
	if err != nil {
		return nil, failure("checkpoint", err)
	}
	defer db.Close()
	defer tx.Rollback()
	c, err := s.checkpoint(ctx, tx, key)
	if err != nil {
		return nil, failure("checkpoint", err)
	}
	if s.write == nil {
		// Whoever copies the file next should find the checkpoint in it; where a writer is at work it will move it there itself.
		db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	}
	return c, nil
}

func (s *Store) checkpoint(ctx context.Context, tx *sql.Tx, key ed25519.PrivateKey) (*journal.Checkpoint, error) {
	c := &journal.Checkpoint{Store: s.id, At: s.opt.Clock(), Number: 1}
	var at int64
	var before []byte
	err := tx.QueryRowContext(ctx, "SELECT n, text FROM checkpoints ORDER BY n DESC LIMIT 1").Scan(&at, &before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if err == nil {
		c.Number, c.Prev = uint64(at)+1, journal.HashOf(before)
	}
	if c.Acts, err = actsTip(ctx, tx); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT session, max(seq), hash FROM records GROUP BY session ORDER BY session")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := errors.Join(c.Sign(key, tips(rows)), rows.Err()); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO checkpoints VALUES (?, ?)", int64(c.Number), c.Text); err != nil {
		return nil, err
	}
	return c, tx.Commit()
}

func tips(rows *sql.Rows) iter.Seq2[string, journal.Tip] {
	return func(yield func(string, journal.Tip) bool) {
		for rows.Next() {
			var id string
			var seq int64
			var hash []byte
			if rows.Scan(&id, &seq, &hash) != nil {
				return
			}
			t := journal.Tip{Length: uint64(seq)}
			copy(t.Head[:], hash)
			if !yield(id, t) {
				return
			}
		}
	}
}

// LastCheckpoint returns the text of the newest checkpoint in the store, nil where there is none.
func (s *Store) LastCheckpoint(ctx context.Context) ([]byte, error) {
	var text []byte
	err := s.read.QueryRowContext(ctx, "SELECT text FROM checkpoints ORDER BY n DESC LIMIT 1").Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, failure("read", err)
	}
	return text, nil
}
