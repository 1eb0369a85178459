package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

// Stats counts what a store has done since it was opened. Lost should stay at zero.
type Stats struct {
	Waiting   int   `json:"waiting"`   // records in line now
	Committed int64 `json:"committed"` // records
	Commits   int64 `json:"commits"`   // transactions; Committed/Commits is how well group commit works
	Synced    int64 `json:"synced"`    // transactions that somebody waited for
	Failed    int64 `json:"failed"`    // transactions that did not succeed
	Refused   int64 `json:"refused"`   // records that Enqueue did not take because the line was full
	Lost      int64 `json:"lost"`      // records that Enqueue took and that will never be written
}

const (
	// maxBatch is how many records one transaction takes; beyond, waiting gets longer than the sync that is saved.
	maxBatch = 1024
	// maxTips bounds what is remembered of sessions; what is forgotten is read again.
	maxTips = 1 << 16
	// linger is how long records that nobody waits for may stand in line, so that they share a commit and whoever enqueues them seldom has to wake the goroutine; lump is how many of them are not left to stand.
	linger = 20 * time.Millisecond
	lump   = maxBatch / 2
	// patience is how long the writer waits before it tries again on a disk that was full.
	patience = 250 * time.Millisecond
)

// writer is the goroutine that writes, and the line before it.
type writer struct {
	store *Store
	db    *sql.DB
	conn  *sql.Conn

	mu       sync.Mutex
	line     []*request
	queued   int               // records in line or in hand
	inHand   int               // requests that were taken out of the line and are not settled
	accepted map[string]uint64 // the last record of a session that was taken in
	ripe     bool              // the line is to be written now
	timed    bool              // it will be ripe when the timer fires
	timer    *time.Timer
	broken   *Error // a failure after which nothing is written any more
	closing  bool
	space    chan struct{} // closed and renewed when the line gets shorter
	wake     chan struct{}
	done     chan struct{}

	// Only the goroutine uses these.
	tips   map[string]journal.Tip
	sealer journal.Sealer
	links  []link     // of the batch in hand
	one    *statement // adds a record
	many   *statement // adds as many as together
	begin  *statement
	commit func(context.Context) error
	last   *sql.Stmt
	calls  []*statement // all of the above that are to be closed
	full   bool         // whether commits are synced now
	loose  bool         // whether something was committed and not synced

	committed atomic.Int64
	commits   atomic.Int64
	synced    atomic.Int64
	failed    atomic.Int64
	refused   atomic.Int64
	lost      atomic.Int64
}

// request is what stands in line: records to write, or a task that needs a transaction of its own.
type request struct {
	records []*proviso.Record
	one     [1]*proviso.Record              // the memory of records where there is one, as nearly always
	task    func(ctx context.Context) error // in a transaction of its own
	after   func(ctx context.Context) error // outside of any transaction
	done    chan error                      // nil where nobody waits
}

func newWriter(ctx context.Context, s *Store, fresh bool) (*writer, error) {
	w := &writer{
		store: s, accepted: map[string]uint64{}, tips: map[string]journal.Tip{}, full: true,
		space: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.timer = time.AfterFunc(time.Hour, w.ripen)
	w.timer.Stop()
	op := "open " + s.path
	// A log of some 16 MB before it is moved into the file: pages of the index change with every record, and are moved once for many of them.
	db, err := sql.Open("sqlite", source(s.path, "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint(4000)&_pragma=synchronous(FULL)&_pragma=secure_delete(1)&_pragma=trusted_schema(0)"))
	if err != nil {
		return nil, failure(op, err)
	}
	db.SetMaxOpenConns(1)
	w.db = db
	if w.conn, err = db.Conn(ctx); err != nil {
		db.Close()
		return nil, failure(op, err)
	}
	if err = w.prepare(ctx, fresh); err != nil {
		w.close()
		return nil, failure(op, err)
	}
	return w, nil
}

func (w *writer) prepare(ctx context.Context, fresh bool) (err error) {
	var objects int
	if err = w.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&objects); err != nil {
		return err
	}
	// A crash between the file's creation and its first transaction leaves an empty file behind.
	if fresh || objects == 0 {
		if err = create(ctx, w.conn); err != nil {
			return err
		}
	}
	if w.last, err = w.conn.PrepareContext(ctx, "SELECT seq, hash FROM records WHERE session = ? ORDER BY seq DESC LIMIT 1"); err != nil {
		return notStore(w.store.path, "is not a journal of Proviso")
	}
	var end *statement
	for _, x := range []struct {
		to    **statement
		query string
		args  int
	}{{&w.one, insertion(1), columns}, {&w.many, insertion(together), together * columns}, {&w.begin, "BEGIN IMMEDIATE", 0}, {&end, "COMMIT", 0}} {
		if *x.to, err = prepare(w.conn, x.query, x.args); err != nil {
			return err
		}
		w.calls = append(w.calls, *x.to)
	}
	w.commit = end.exec
	return nil
}

func (w *writer) exec(ctx context.Context, q string, args ...any) error {
	_, err := w.conn.ExecContext(ctx, q, args...)
	return err
}

// close releases the connection. Statements that stay open would keep SQLite from closing it.
func (w *writer) close() {
	for _, st := range w.calls {
		st.close()
	}
	if w.last != nil {
		w.last.Close()
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.db.Close()
}

// Append adds records and returns when they are durable: their transaction was committed and synced.
// Where the line is full it waits. Where the context ends while it waits for the disk, the records may be written all the same; reading the session tells.
func (s *Store) Append(ctx context.Context, records ...proviso.Record) error {
	return s.Take(ctx, true, copied(records)...)
}

// Enqueue adds records and returns when they are in line; they are written in order, and before anything that is appended or enqueued later. The next Append or Flush that succeeds has made them durable.
// It never waits for the disk: where the line is full it fails with PV548 and takes nothing. A record that was taken in and could not be written is counted in Stats.
func (s *Store) Enqueue(ctx context.Context, records ...proviso.Record) error {
	return s.Take(ctx, false, copied(records)...)
}

// Take is Append where durable is true, and Enqueue where it is not, for records that nobody changes any more: they are not copied.
func (s *Store) Take(ctx context.Context, durable bool, records ...*proviso.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := s.write
	if w == nil {
		return &Error{Code: CodeStore, Op: "append", Msg: "the store was opened for reading", Hint: "open it without ReadOnly"}
	}
	r := &request{}
	r.records = append(r.one[:0], records...) // the list is the caller's
	if !durable {
		return w.stand(ctx, r)
	}
	r.done = make(chan error, 1)
	if err := w.stand(ctx, r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func copied(records []proviso.Record) []*proviso.Record {
	out := make([]*proviso.Record, len(records))
	for i := range records {
		out[i] = journal.Clone(&records[i])
	}
	return out
}

// Flush returns when everything that was enqueued before is durable, or fails with why it is not.
func (s *Store) Flush(ctx context.Context) error { return s.Append(ctx) }

// Stats returns the numbers so far.
func (s *Store) Stats() Stats {
	w := s.write
	if w == nil {
		return Stats{}
	}
	w.mu.Lock()
	waiting := w.queued
	w.mu.Unlock()
	return Stats{waiting, w.committed.Load(), w.commits.Load(), w.synced.Load(), w.failed.Load(), w.refused.Load(), w.lost.Load()}
}

// stand checks the numbers of a request and puts it in line.
func (w *writer) stand(ctx context.Context, r *request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.closing:
			return journal.ErrClosed
		case w.broken != nil:
			return w.broken
		}
		if len(r.records) == 0 || w.queued == 0 || w.queued+len(r.records) <= w.store.opt.Queue {
			break
		}
		if r.done == nil {
			w.refused.Add(int64(len(r.records)))
			return &Error{Code: CodeBusy, Op: "append", Msg: fmt.Sprintf("%d records wait to be written already", w.queued), Hint: "try again, or look at what keeps the disk"}
		}
		space := w.space
		w.mu.Unlock()
		select {
		case <-space:
			w.mu.Lock()
		case <-ctx.Done():
			w.mu.Lock()
			return ctx.Err()
		}
	}
	if err := w.number(ctx, r); err != nil {
		return err
	}
	w.line = append(w.line, r)
	w.queued += len(r.records)
	switch {
	case r.done != nil || w.queued >= lump:
		w.hurry()
	case !w.ripe && !w.timed:
		w.timed = true
		w.timer.Reset(linger)
	}
	return nil
}

// hurry has the line written now. The lock is held.
func (w *writer) hurry() {
	w.ripe = true
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// ripen is called by the timer.
func (w *writer) ripen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timed = false
	w.hurry()
}

// number checks that each record follows the last one of its session, and takes the numbers.
func (w *writer) number(ctx context.Context, r *request) error {
	for i, rec := range r.records {
		e := &rec.Event
		if !utf8.ValidString(e.Session) || strings.ContainsRune(e.Session, 0) {
			w.untake(r.records[:i])
			return &Error{Code: CodeStore, Op: "append", Msg: fmt.Sprintf("session id %q is no text", e.Session), Hint: "use UTF-8 without NUL"}
		}
		at, ok := w.accepted[e.Session]
		if !ok {
			tip, err := w.store.tip(ctx, e.Session)
			w.store.seen.add(e.Session)
			if err != nil {
				w.untake(r.records[:i])
				return failure("append", err)
			}
			if len(w.accepted) >= maxTips && len(w.line) == 0 && w.inHand == 0 && i == 0 {
				clear(w.accepted)
			}
			at = tip.Length
			w.accepted[e.Session] = at
		}
		if e.Seq != at+1 {
			w.untake(r.records[:i])
			return &journal.SeqError{Session: e.Session, Got: e.Seq, Want: at + 1}
		}
		w.accepted[e.Session] = at + 1
	}
	return nil
}

// untake gives the numbers of records back.
func (w *writer) untake(records []*proviso.Record) {
	for _, r := range records {
		w.accepted[r.Event.Session]--
	}
}
