package resume

import (
	"context"
	"runtime"
	"sync"
)

// Work says how numbered items are done. Do and Failed are required.
type Work[R any] struct {
	Workers int // items that are done at the same time; 0: one for each processor

	// Do does item i. It is called from several goroutines at once, and its result must not depend on the order. What goes wrong is part of the result; it does not panic.
	Do func(ctx context.Context, i int) *R
	// Failed reports whether a result says only that nothing came of the item: such an item is done again when the run is resumed, and where ctx ended it is no result.
	Failed func(*R) bool

	Keep func(i int, r *R) error  // writes a new result down; after an error no further item is begun; may be nil
	Seen func(r *R, resumed bool) // is told of each result, those of an earlier run first; may be nil
}

// Run does the items whose place in done is nil or Failed and fills in their places. Calls of Keep and of Seen come one at a time.
// Where ctx ends, items that were not reached stay nil; whether it ended is for the caller to ask. The error is the first of Keep.
func (w *Work[R]) Run(ctx context.Context, done []*R) error {
	r := &running[R]{Work: w, done: done}
	for i, x := range done {
		switch {
		case x == nil:
		case w.Failed(x):
			done[i] = nil
		case w.Seen != nil:
			w.Seen(x, true)
		}
	}
	workers := w.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for range min(workers, len(done)) {
		wg.Go(func() {
			for {
				i := r.take(ctx)
				if i < 0 {
					return
				}
				r.keep(ctx, i, w.Do(ctx, i))
			}
		})
	}
	wg.Wait()
	return r.err
}

// running is a Work on its way.
type running[R any] struct {
	*Work[R]
	mu   sync.Mutex
	next int
	done []*R
	err  error
}

// take gives the number of the next item, or -1 where there is none or the run has to end.
func (r *running[R]) take(ctx context.Context) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next < len(r.done) && r.done[r.next] != nil {
		r.next++
	}
	if r.next == len(r.done) || r.err != nil || ctx.Err() != nil {
		return -1
	}
	r.next++
	return r.next - 1
}

// keep takes a result into the run. One that was cut short by the end of ctx is no result.
func (r *running[R]) keep(ctx context.Context, i int, x *R) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil && r.Failed(x) {
		return
	}
	if r.Keep != nil && r.err == nil {
		r.err = r.Keep(i, x)
	}
	r.done[i] = x
	if r.Seen != nil {
		r.Seen(x, false)
	}
}
