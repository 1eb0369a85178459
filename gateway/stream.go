package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/gateway/window"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/flow"
)

// stream passes a streamed answer on. What carries neither text nor a call flows; text flows where no rule can stop or change it, and behind a window where rules look for patterns of bounded length;
// from the first piece of a call, or of what may match, on everything is held until the answer has ended, and is then decided and released as it came, or written anew.
// What the provider says about why the answer ends is never trusted: a call counts as whole where its arguments are one JSON object and the answer has ended.
type stream struct {
	*exchange
	resp   *http.Response
	events wire.Stream
	flow   *flow.Text
	out    *http.ResponseController
	idle   *time.Timer

	window *flow.Choices // what is said behind a window; nil without one
	looks  int           // how often what is replaced was looked for
	looked bool          // whether the text so far is denied whatever follows; asked once
	early  bool          // it is, and the upstream was stopped

	begun bool // the head of our answer went out
	over  bool // the upstream's answer was read to its end
	*bytesOfStream
	holds  bool
	moved  bool // an event came since the upstream was last given time
	pieces int
	flowed int // bytes of text that went out
	gone   error
}

// bytesOfStream is the memory of a stream that the next one may have.
type bytesOfStream struct {
	waiting []byte       // events that may go out, kept back as long as the answer may be asked for anew, or become an error
	ready   []byte       // events that go out before the next byte is waited for
	held    []byte       // events that may not go out yet
	queue   window.Queue // those behind a window
}

var streamBytes = sync.Pool{New: func() any { return &bytesOfStream{} }}

// maxKept is the largest memory, in bytes, that a stream leaves for the next one.
const maxKept = 64 << 10

func (b *bytesOfStream) giveBack() {
	b.waiting, b.ready, b.held = b.waiting[:0], b.ready[:0], b.held[:0]
	b.queue.Reset(nil, nil)
	if cap(b.waiting)+cap(b.ready)+cap(b.held)+b.queue.Cap() <= maxKept {
		streamBytes.Put(b)
	}
}

// maxLooks is how often what is replaced in a text is looked for while it flows; every look reads all of it.
const maxLooks = 512

// maxWaiting is how many events without text wait for the first that has some, and maxReady how many bytes go out together at most.
const (
	maxWaiting = 8
	maxReady   = 32 << 10
)

func (x *exchange) stream(ctx context.Context, resp *http.Response, mayRevise bool) (again []byte) {
	st := &stream{exchange: x, resp: resp, events: x.wire.Stream(), out: http.NewResponseController(x.w), flow: x.at.traits.text, bytesOfStream: streamBytes.Get().(*bytesOfStream)}
	defer st.giveBack()
	if st.flow.Windowed() {
		st.window = st.flow.Choices()
		st.queue.Reset(st.window, x.wire.Stream())
	}
	st.idle = time.AfterFunc(x.gen.terms.Limits.Idle, func() { resp.Body.Close() })
	defer st.idle.Stop()
	defer st.push(false)
	r := wire.BorrowReader(source{st})
	defer r.Return()
	for {
		ev, err := r.Next()
		if err != nil {
			return st.ended(ctx, err, mayRevise)
		}
		st.moved = true
		c, err := st.events.Next(ev)
		if err != nil {
			return st.ended(ctx, err, false)
		}
		switch c.Kind {
		case wire.Failed:
			st.failed(ctx, ev)
			return nil
		case wire.End:
			st.keep(ev, c)
			again = st.finish(ctx, mayRevise)
			st.linger()
			return again
		}
		if bad := st.take(ctx, ev, c); bad != nil {
			resp.Body.Close()
			st.record(ctx)
			st.abort(*bad)
			return nil
		}
		if st.denied(ctx) {
			resp.Body.Close() // what would follow is not waited for, nor paid
			return st.finish(ctx, mayRevise)
		}
	}
}

// denied reports whether the text so far is denied whatever follows: a rule says so, and the decision that the text would get now is a denial. A second choice would be cut off with it, so that one is read to its end.
func (st *stream) denied(ctx context.Context) bool {
	if st.looked || !st.holds || st.window == nil || st.req.Choices != 1 || !st.window.Denied() {
		return false
	}
	st.looked = true
	r, err := st.events.Response()
	if err != nil || len(r.Choices) != 1 {
		return false
	}
	c := candidate{answer: &wire.Response{ID: r.ID, Choices: []wire.Choice{{Texts: r.Choices[0].Texts}}}}
	st.look(ctx, &c)
	st.early = c.value.rank == rankDenied
	return st.early
}

// source is the upstream's answer. What can go out does so before it is waited for more.
type source struct{ *stream }

// Read waits for bytes of the upstream. It is given time anew only for whole events, so that one that sends single bytes is not waited for.
func (s source) Read(b []byte) (int, error) {
	s.push(true)
	if s.moved {
		s.idle.Reset(s.gen.terms.Limits.Idle)
		s.moved = false
	}
	began := time.Now()
	n, err := s.resp.Body.Read(b)
	s.upstream += time.Since(began)
	s.over = err != nil
	return n, err
}

// What an upstream may still send behind the event that ends its answer, and how long it is waited for that.
const (
	maxBehind = 4 << 10
	maxLinger = 50 * time.Millisecond
)

// linger reads the end of the upstream's answer, which often comes a moment after its last event: a connection whose answer was not read to its end cannot be used again. The caller has everything by then.
func (st *stream) linger() {
	if st.over || st.gone != nil {
		return
	}
	st.push(true)
	st.idle.Reset(maxLinger)
	io.CopyN(io.Discard, st.resp.Body, maxBehind)
}

// take lets an event flow, or holds it.
func (st *stream) take(ctx context.Context, ev wire.Event, c wire.Chunk) *wire.Denial {
	st.holds = st.holds || c.Kind == wire.Calls || c.Kind == wire.Text && (st.flow.Held() || st.window != nil && !st.follows(ctx, c))
	switch {
	case len(ev.Data) == 0:
		// A comment keeps the connection alive; it is no part of the answer. The first few wait as long as nothing went out.
		if st.pieces++; st.begun || st.pieces > maxWaiting {
			st.write(ev.Raw)
		} else {
			st.waiting = append(st.waiting, ev.Raw...)
		}
	case st.holds || st.window != nil && (c.Kind == wire.Text || st.queue.Len() > 0):
		st.keep(ev, c)
		if int64(len(st.held)+st.queue.Size()) > st.gen.terms.Limits.Answer {
			d := refusalBy(http.StatusBadGateway, CodeTooLarge, "Policy: the answer is larger than what is decided on.")
			return &d
		}
		if !st.holds {
			return st.release()
		}
	case c.Kind == wire.Around && !st.begun && st.pieces < maxWaiting:
		st.pieces++
		st.waiting = append(st.waiting, ev.Raw...)
		return st.mark(ev) // it goes out before everything else, or nothing of this answer does
	default:
		if st.flowed += len(c.Text); st.flowed > maxText {
			return largeText()
		}
		st.write(ev.Raw)
		return st.mark(ev)
	}
	return nil
}

// largeText is the denial of a text beyond maxText.
func largeText() *wire.Denial {
	d := refusalBy(http.StatusBadGateway, CodeTooLarge, "Policy: the text is larger than what is decided on.")
	return &d
}

// mark notes that an event went out as it came.
func (st *stream) mark(ev wire.Event) *wire.Denial {
	if st.window == nil {
		st.events.Mark()
		return nil
	}
	return unreadable(st.queue.Went(ev))
}

// unreadable is the denial for an event that one reader has taken and the other does not, which cannot be; nil for none.
func unreadable(err error) *wire.Denial {
	if err == nil {
		return nil
	}
	d := refusalBy(http.StatusBadGateway, CodeUpstream, "Policy: the upstream's answer cannot be read.")
	return &d
}

// release lets the events go whose text can be no part of a match any more.
func (st *stream) release() *wire.Denial {
	more, err := st.queue.Release(func(raw []byte, text int) bool {
		if st.flowed += text; st.flowed > maxText {
			return false
		}
		st.write(raw)
		return true
	})
	if st.holds = !more; st.flowed > maxText {
		return largeText()
	}
	return unreadable(err)
}

// follows adds the text of a chunk to what the window has seen, and finds what is replaced in it where something may be. It is false where the text has to wait.
func (st *stream) follows(ctx context.Context, c wire.Chunk) bool {
	if c.Mixed || c.Text == "" {
		return !c.Mixed
	}
	if !st.window.Add(c.Choice, c.Part, c.Text) {
		return false
	}
	if !st.window.Edited(c.Choice) {
		return true
	}
	r, err := st.events.Response()
	if st.looks++; st.looks > maxLooks || err != nil || c.Choice >= len(r.Choices) || len(r.Choices[c.Choice].Texts) != 1 {
		return false
	}
	e, err := st.at.guard.Peek(ctx, st.event(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: r.Choices[c.Choice].Text()}))
	if err != nil {
		return false
	}
	st.window.Replace(c.Choice, e.Record.Decision.Edits)
	return true
}

// settle ends the window: what did not go out is held, and the reader of what went out goes on with it.
func (st *stream) settle() error {
	if st.window == nil {
		return nil
	}
	if err := st.queue.Settle(); err != nil {
		return err
	}
	st.events, st.held, st.window = st.queue.Sent(), append(st.held, st.queue.Raw()...), nil
	return nil
}

// maxText is the largest text, in bytes, that a policy decides on; see policy.MaxEvent.
const maxText = 1 << 20

// keep holds an event.
func (st *stream) keep(ev wire.Event, c wire.Chunk) {
	if st.window == nil {
		st.held = append(st.held, ev.Raw...)
		return
	}
	st.queue.Add(ev, c)
}

// write sends bytes to the caller, and before them what waited. They go out when there is nothing more at hand. Once the caller is gone it only remembers that.
func (st *stream) write(b []byte) {
	if st.gone != nil {
		return
	}
	if !st.begun {
		passHeaders(st.w.Header(), st.resp.Header)
		st.head()
		st.w.Header().Set("Content-Type", "text/event-stream")
		st.w.WriteHeader(http.StatusOK)
		st.begun = true
	}
	st.ready = append(append(st.ready, st.waiting...), b...)
	st.waiting = st.waiting[:0]
	if len(st.ready) > maxReady {
		st.push(true)
	}
}

// push sends what is ready. The last bytes need no flush of their own: the end of the answer has one.
func (st *stream) push(flush bool) {
	if len(st.ready) == 0 || st.gone != nil {
		return
	}
	// A caller that does not read for too long is let go; its memory is ours.
	st.out.SetWriteDeadline(time.Now().Add(st.gen.terms.Limits.WriteStall))
	_, st.gone = st.w.Write(st.ready)
	st.ready = st.ready[:0]
	if st.gone == nil && flush {
		if err := st.out.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			st.gone = err
		}
	}
	if st.gone != nil {
		st.resp.Body.Close() // nobody reads it any more, so that nobody pays for it any more
		return
	}
	st.out.SetWriteDeadline(time.Time{})
}

// ended is what remains to be done where the events end without the one that ends an answer. One whose choices all have ended lacks only that.
func (st *stream) ended(ctx context.Context, why error, mayRevise bool) []byte {
	if errors.Is(why, io.EOF) {
		if r, err := st.events.Response(); err == nil && len(r.Choices) > 0 && allEnded(r) {
			return st.finish(ctx, mayRevise)
		}
	}
	st.counts.upstreamErrors.Add(1)
	st.record(ctx)
	st.outcome = "upstream"
	d := wire.Denial{Status: http.StatusBadGateway, Code: "upstream_failed", Text: "the upstream ended its answer before it was whole; calls in it were not released [" + CodeCut + "]"}
	var bad *wire.FormatError
	if errors.As(why, &bad) {
		d.Text = "the upstream's answer cannot be read: " + bad.Error()
	}
	if !st.begun {
		st.error(d)
		st.outcome = "upstream"
		return nil
	}
	st.abort(d)
	return nil
}

func allEnded(r *wire.Response) bool {
	for i := range r.Choices {
		if !r.Choices[i].Ended {
			return false
		}
	}
	return true
}

// record writes down what the model said although nothing more comes of it. Calls that did not end are denied.
func (st *stream) record(ctx context.Context) {
	if r, err := st.events.Response(); err == nil {
		for i := range r.Choices {
			r.Choices[i].Ended = false
		}
		st.decide(ctx, r, true)
	}
}

// failed passes an error of the provider on, without what was held.
func (st *stream) failed(ctx context.Context, ev wire.Event) {
	st.counts.upstreamErrors.Add(1)
	st.record(ctx)
	st.write(wire.Failure(ev))
	st.outcome = "upstream"
}

// abort ends a stream of which parts went out, or answers with an error where none did.
func (st *stream) abort(d wire.Denial) {
	if !st.begun {
		st.error(d)
		return
	}
	events := st.events
	if st.window != nil {
		events = st.queue.Sent() // what was not sent is not spoken of
	}
	st.write(events.Abort(d))
	if st.outcome == "allow" {
		st.outcome = "deny"
	}
}

// finish decides the answer and sends the rest of it.
func (st *stream) finish(ctx context.Context, mayRevise bool) (again []byte) {
	r, err := st.events.Response()
	if err != nil {
		return st.ended(ctx, err, false)
	}
	if st.cfg.Denials.Hold > 0 || st.cfg.Judge != nil {
		st.push(true) // deciding may take long
	}
	st.tokens.add(r)
	v := st.decide(ctx, r, true)
	if st.early && !refused(v) {
		// The policy became another one in between, and a part of an answer is no answer.
		st.abort(refusalBy(http.StatusBadGateway, CodeCut, "Policy: the answer was stopped before it was whole; ask again."))
		return nil
	}
	regular := st.events.Regular()
	if err := st.settle(); err != nil {
		// unreachable: the other reader has taken them.
		return st.ended(ctx, err, false)
	}
	if mayRevise && v.mendable && !st.begun {
		if again, err := st.wire.Revise(st.revisable(), r, v.verdicts, v.note); err == nil {
			return again
		}
	}
	if wire.Unchanged(v.verdicts) && regular {
		st.write(st.held)
		return nil
	}
	if v.denial != nil {
		st.outcome = "deny"
		if !v.released && !st.begun && (st.cfg.Denials.AsError || v.final) {
			st.error(*v.denial)
			st.outcome = "deny"
			return nil
		}
		if st.flowed > 0 && refused(v) {
			st.abort(*v.denial)
			return nil
		}
	}
	st.replay(r, v)
	return nil
}

func refused(v *verdicts) bool {
	for i := range v.verdicts {
		if v.verdicts[i].Refusal != "" {
			return true
		}
	}
	return false
}

// replay writes the rest of an answer as it was decided.
func (st *stream) replay(r *wire.Response, v *verdicts) {
	out, err := st.wire.Rewrite(r, v.verdicts)
	var rest []byte
	var now *wire.Response
	if err == nil {
		out = st.gave(r, v, out)
		now, err = st.wire.Response(out)
	}
	if err == nil {
		rest, err = st.events.Replay(now)
	}
	if err != nil {
		st.abort(wire.Denial{Status: http.StatusInternalServerError, Code: "internal", Text: "the answer could not be written: " + err.Error()})
		return
	}
	st.write(rest)
}
