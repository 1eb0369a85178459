package guard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
)

// BatchJudge answers the inquiries of several sessions in one go.
type BatchJudge interface {
	// AnswerAll returns the answers to each inquiry, in their order. Its error is one for all of them.
	AnswerAll(ctx context.Context, inquiries []Inquiry) ([][]proviso.Answer, error)
}

// Batcher is a Judge that collects what different sessions ask at the same time and puts it to a BatchJudge together. Its fields are set before the first use.
// A batch goes off when it is full or when its first inquiry has waited long enough, and is given up when nobody waits for it any more.
type Batcher struct {
	Judge BatchJudge
	Max   int           // inquiries of a batch; 0: 16
	Wait  time.Duration // of the first inquiry for others; 0: 20 ms

	mu   sync.Mutex
	open *batch // the one that takes inquiries
}

const (
	defaultBatch = 16
	defaultWait  = 20 * time.Millisecond
)

// batch is inquiries on their way. Its answers are written before done is closed; the rest is the batcher's to lock.
type batch struct {
	ctx       context.Context // of the whole batch: it outlives the one who opened it
	cancel    context.CancelFunc
	inquiries []Inquiry
	waiting   int
	done      chan struct{}
	answers   [][]proviso.Answer
	err       error
}

// Answer waits for the batch that the inquiry goes off with.
func (b *Batcher) Answer(ctx context.Context, q Inquiry) ([]proviso.Answer, error) {
	x, place := b.join(ctx, q)
	defer b.leave(x)
	select {
	case <-x.done:
		if x.err != nil {
			return nil, x.err
		}
		return x.answers[place], nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join puts an inquiry into the open batch, or opens one.
func (b *Batcher) join(ctx context.Context, q Inquiry) (x *batch, place int) {
	limit, wait := b.Max, b.Wait
	if limit <= 0 {
		limit = defaultBatch
	}
	if wait <= 0 {
		wait = defaultWait
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		x := &batch{done: make(chan struct{})}
		x.ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
		b.open = x
		time.AfterFunc(wait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.send(x)
		})
	}
	x = b.open
	x.inquiries = append(x.inquiries, q)
	x.waiting++
	place = len(x.inquiries) - 1
	if len(x.inquiries) >= limit {
		b.send(x)
	}
	return x, place
}

// send lets a batch go off, unless it has. The caller holds the lock.
func (b *Batcher) send(x *batch) {
	if b.open != x {
		return
	}
	b.open = nil
	go x.run(b.Judge)
}

// leave gives a batch up with the last one who waits for it.
func (b *Batcher) leave(x *batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.waiting--; x.waiting > 0 {
		return
	}
	x.cancel()
	if b.open == x {
		b.open = nil
	}
}

// run asks. A judge that panics, or does not answer every inquiry, has failed for all.
func (x *batch) run(j BatchJudge) {
	defer close(x.done)
	defer func() {
		if p := recover(); p != nil {
			x.err = fmt.Errorf("panic: %v", p)
		}
	}()
	x.answers, x.err = j.AnswerAll(x.ctx, x.inquiries)
	if x.err == nil && len(x.answers) != len(x.inquiries) {
		x.err = fmt.Errorf("%d answers to %d inquiries", len(x.answers), len(x.inquiries))
	}
}
