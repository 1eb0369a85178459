package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
)

// run writes until the store is closed and the line is empty.
func (w *writer) run() {
	defer close(w.done)
	for {
		batch, closing := w.take()
		if len(batch) == 0 {
			if closing {
				return
			}
			<-w.wake
			continue
		}
		again := w.settle(batch)
		clear(batch) // the line goes on in the same memory
		if again && !closing {
			select {
			case <-w.wake:
			case <-time.After(patience):
			}
		} else if again {
			w.giveUp()
		}
	}
}

// take takes the next batch out of the line, where that is ripe: a task alone, or as many records as one transaction should hold.
func (w *writer) take() (batch []*request, closing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ripe && !w.closing {
		return nil, false
	}
	n, size := 0, 0
	for _, r := range w.line {
		if r.alone() && size > 0 || n > 0 && n+len(r.records) > maxBatch {
			break
		}
		n += len(r.records)
		size++
		if r.alone() {
			break
		}
	}
	batch, w.line = w.line[:size:size], w.line[size:]
	w.inHand = size
	w.ripe = len(w.line) > 0
	return batch, w.closing
}

func (r *request) alone() bool { return r.task != nil || r.after != nil }

// settle writes a batch and tells who waits. It reports whether something of it has to be written again later.
func (w *writer) settle(batch []*request) (again bool) {
	ctx := context.Background()
	single, err := w.transact(ctx, batch)
	if err != nil {
		w.failed.Add(1)
		clear(w.tips)
		return w.fail(batch, failure("append", err))
	}
	w.commits.Add(1)
	n := 0
	for i, r := range batch {
		n += len(r.records)
		switch {
		case single[i] == nil:
			w.committed.Add(int64(len(r.records)))
		case r.done == nil:
			w.lost.Add(int64(len(r.records)))
		}
	}
	w.mu.Lock()
	for i := range batch {
		if single[i] != nil {
			w.forget(batch[i])
		}
	}
	w.shorten(n)
	w.mu.Unlock()
	for i, r := range batch {
		if r.done != nil {
			r.done <- single[i]
		}
	}
	return false
}

// shorten tells those who wait for space that there is some. The lock is held.
func (w *writer) shorten(n int) {
	w.queued -= n
	w.inHand = 0
	close(w.space)
	w.space = make(chan struct{})
}

// forget has the last number of a request's sessions read again. The lock is held.
func (w *writer) forget(failed *request) {
	for _, r := range failed.records {
		delete(w.accepted, r.Event.Session)
	}
	for _, r := range w.line {
		for _, x := range r.records {
			if _, ok := w.accepted[x.Event.Session]; !ok {
				w.accepted[x.Event.Session] = x.Event.Seq
			} else {
				w.accepted[x.Event.Session] = max(w.accepted[x.Event.Session], x.Event.Seq)
			}
		}
	}
}

// fail tells those who wait for a batch that failed. What was enqueued goes back to the head of the line, unless the store is broken: then nothing can be written any more.
func (w *writer) fail(batch []*request, err *Error) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var back, waiting []*request
	n := 0
	for _, r := range batch {
		if r.done == nil && err.passing() {
			back = append(back, r)
			continue
		}
		n += len(r.records)
		if r.done != nil {
			waiting = append(waiting, r)
		} else {
			w.lost.Add(int64(len(r.records)))
		}
	}
	if !err.passing() {
		w.broken = err
	}
	// Whoever waits behind what failed would wait for as long as the disk is full.
	kept := w.line[:0]
	for _, r := range w.line {
		switch {
		case r.done == nil && err.passing():
			kept = append(kept, r)
			continue
		case r.done != nil:
			waiting = append(waiting, r)
		default:
			w.lost.Add(int64(len(r.records)))
		}
		n += len(r.records)
	}
	w.line = kept
	w.line = append(back, w.line...)
	w.ripe = len(w.line) > 0
	for _, r := range waiting {
		w.forget(r)
	}
	w.shorten(n)
	for _, r := range waiting {
		r.done <- err
	}
	return len(back) > 0
}

// giveUp counts what could not be written before the store was closed.
func (w *writer) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.line {
		w.lost.Add(int64(len(r.records)))
		if r.done != nil {
			r.done <- journal.ErrClosed
		}
	}
	w.line, w.queued = nil, 0
}

// transact writes a batch in one transaction. single has the errors of requests that cannot be written whatever the disk does.
func (w *writer) transact(ctx context.Context, batch []*request) (single []error, err error) {
	single = make([]error, len(batch))
	if after := batch[0].after; after != nil {
		return single, after(ctx)
	}
	waited, records := false, 0
	for _, r := range batch {
		waited = waited || r.done != nil
		records += len(r.records)
	}
	if batch[0].task == nil && records == 0 && !w.loose {
		return single, nil
	}
	if err := w.sync(ctx, waited); err != nil {
		return nil, err
	}
	if err := w.begin.exec(ctx); err != nil {
		return nil, err
	}
	if err := w.fill(ctx, batch, single); err != nil {
		w.exec(ctx, "ROLLBACK")
		return nil, err
	}
	if err := w.commit(ctx); err != nil {
		w.exec(ctx, "ROLLBACK")
		return nil, err
	}
	w.loose = !w.full
	if w.full {
		w.synced.Add(1)
	}
	return single, nil
}

// sync has the next commits synced or not.
func (w *writer) sync(ctx context.Context, full bool) error {
	if full == w.full {
		return nil
	}
	level := "NORMAL"
	if full {
		level = "FULL"
	}
	if err := w.exec(ctx, "PRAGMA synchronous = "+level); err != nil {
		return err
	}
	w.full = full
	return nil
}

// fill writes a batch inside a transaction.
func (w *writer) fill(ctx context.Context, batch []*request, single []error) error {
	wrote := false
	w.drop() // what a failure has left
	if len(w.tips) > maxTips {
		clear(w.tips)
	}
	for i, r := range batch {
		err := w.seal(ctx, r)
		if r.task != nil {
			err = r.task(ctx)
		}
		if err != nil {
			var bad *requestError
			if !errors.As(err, &bad) {
				return err
			}
			single[i] = bad.err
			continue
		}
		wrote = wrote || r.task != nil || len(r.records) > 0
		if len(w.links) >= handful {
			if err := w.put(ctx); err != nil {
				return err
			}
		}
	}
	if !wrote && w.loose {
		// A commit that changes nothing syncs nothing, and what was enqueued before has to become durable.
		return w.exec(ctx, "UPDATE meta SET syncs = syncs + 1")
	}
	return w.put(ctx)
}

// handful is how many records are sealed before they are inserted: enough to share statements, and few enough that their texts are still in the processor's cache.
const handful = 8 * together

// put inserts what was sealed.
func (w *writer) put(ctx context.Context) error {
	if err := w.insert(ctx, w.links); err != nil {
		return err
	}
	w.drop()
	return nil
}

// drop gives the memory of what was sealed back.
func (w *writer) drop() {
	clear(w.links)
	w.links = w.links[:0]
	w.sealer.Reset()
}

// requestError is of a request that can never be written, whatever the disk does; it has changed nothing.
type requestError struct{ err error }

func (e *requestError) Error() string { return e.err.Error() }

// link is a record that was sealed, and the tip that it follows.
type link struct {
	journal.Entry
	after journal.Tip
}

// seal makes the records of a request links of their chains, all or none.
func (w *writer) seal(ctx context.Context, r *request) (err error) {
	begin := len(w.links)
	for _, rec := range r.records {
		if err = w.join(ctx, rec); err != nil {
			break
		}
	}
	if err != nil {
		for _, l := range slices.Backward(w.links[begin:]) {
			w.tips[l.Session] = l.after
		}
		w.links = w.links[:begin]
	}
	return err
}

// join makes a record the next link of its chain.
func (w *writer) join(ctx context.Context, rec *proviso.Record) (err error) {
	id := rec.Event.Session
	tip, ok := w.tips[id]
	if !ok && rec.Event.Seq > 1 { // a first record was taken in only because the session had none
		if tip, err = scanTip(w.last.QueryRowContext(ctx, id)); err != nil {
			return err
		}
	}
	if rec.Event.Seq != tip.Length+1 {
		// What it followed was taken in and then could not be written.
		return &requestError{&journal.SeqError{Session: id, Got: rec.Event.Seq, Want: tip.Length + 1}}
	}
	e, err := w.sealer.Seal(rec, tip.Head)
	if err != nil {
		return &requestError{err}
	}
	w.links = append(w.links, link{e, tip})
	w.tips[id] = journal.Tip{Length: e.Seq, Head: e.Hash}
	return nil
}

func scanTip(row *sql.Row) (journal.Tip, error) {
	var t journal.Tip
	var seq int64
	var h []byte
	err := row.Scan(&seq, &h)
	if errors.Is(err, sql.ErrNoRows) {
		return t, nil
	}
	t.Length = uint64(seq)
	copy(t.Head[:], h)
	return t, err
}

func tipOf(ctx context.Context, db querier, session string) (journal.Tip, error) {
	return scanTip(db.QueryRowContext(ctx, tipQuery, session))
}

const tipQuery = "SELECT seq, hash FROM records WHERE session = ? ORDER BY seq DESC LIMIT 1"

// tip is tipOf on what readers see.
func (s *Store) tip(ctx context.Context, session string) (journal.Tip, error) {
	if s.unknown(ctx, session) {
		return journal.Tip{}, nil
	}
	st, err := s.prepared(ctx, tipQuery)
	if err != nil {
		return journal.Tip{}, err
	}
	return scanTip(st.QueryRowContext(ctx, session))
}

// do runs a task in a transaction of its own, behind everything that stands in line, and returns when it is durable.
func (s *Store) do(ctx context.Context, op string, task func(ctx context.Context, w *writer) error) error {
	w := s.write
	if w == nil {
		return &Error{Code: CodeStore, Op: op, Msg: "the store was opened for reading", Hint: "open it without ReadOnly"}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{done: make(chan error, 1), task: func(ctx context.Context) error { return task(ctx, w) }}
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

// end stops the goroutine after it has written what is in line.
func (w *writer) end() error {
	w.mu.Lock()
	w.closing = true
	w.timer.Stop()
	w.hurry()
	w.mu.Unlock()
	<-w.done
	if n := w.lost.Load(); n > 0 {
		return &Error{Code: CodeIO, Op: "close " + w.store.path, Msg: fmt.Sprintf("%d records that were enqueued could not be written", n), Hint: "look at the disk"}
	}
	return nil
}
