package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/proviso-dev/proviso/llm/wire"
)

// stream passes a streamed answer on. What carries neither text nor a call flows; text flows where no rule can stop or change it; from the first piece of a call on everything is held until
// the answer has ended, and is then decided and released as it came, or written anew. What the provider says about why the answer ends is never trusted: a call counts as whole where its
// arguments are one JSON object and the answer has ended.
type stream struct {
	*exchange
	resp   *http.Response
	events wire.Stream
	hold   bool // text is held
	out    *http.ResponseController
	idle   *time.Timer
	source *wire.Reader

	begun   bool   // the head of our answer went out
	waiting []byte // events that may go out, kept back as long as the answer may be asked for anew, or become an error
	held    []byte // events that may not go out yet
	holds   bool
	pieces  int
	flowed  int // bytes of text that went out
	gone    error
}

// maxWaiting is how many events without text wait for the first that has some.
const maxWaiting = 8

func (x *exchange) stream(ctx context.Context, resp *http.Response, mayRevise bool) (again []byte) {
	st := &stream{exchange: x, resp: resp, events: x.wire.Stream(), out: http.NewResponseController(x.w)}
	st.hold = x.at.traits.holdsText()
	st.idle = time.AfterFunc(x.limits.Idle, func() { resp.Body.Close() })
	defer st.idle.Stop()
	r := wire.NewReader(resp.Body)
	st.source = r
	for {
		began := time.Now()
		ev, err := r.Next()
		x.upstream += time.Since(began)
		if err != nil {
			return st.ended(ctx, err, mayRevise)
		}
		st.idle.Reset(x.limits.Idle)
		c, err := st.events.Next(ev)
		if err != nil {
			return st.ended(ctx, err, false)
		}
		switch c.Kind {
		case wire.Failed:
			st.failed(ctx, ev)
			return nil
		case wire.End:
			st.keep(ev.Raw)
			return st.finish(ctx, mayRevise)
		}
		if bad := st.take(ev, c); bad != nil {
			resp.Body.Close()
			st.record(ctx)
			st.abort(*bad)
			return nil
		}
	}
}

// take lets an event flow, or holds it.
func (st *stream) take(ev wire.Event, c wire.Chunk) *wire.Denial {
	st.holds = st.holds || c.Kind == wire.Calls || c.Kind == wire.Text && st.hold
	switch {
	case len(ev.Data) == 0:
		// A comment keeps the connection alive; it is no part of the answer. The first few are left out, as long as nothing went out.
		if st.pieces++; st.begun || st.pieces > maxWaiting {
			st.write(ev.Raw)
		}
	case st.holds:
		st.keep(ev.Raw)
		if int64(len(st.held)) > st.limits.Answer {
			d := refusalBy(http.StatusBadGateway, CodeTooLarge, "Policy: the answer is larger than what is decided on.")
			return &d
		}
	case c.Kind == wire.Around && !st.begun && st.pieces < maxWaiting:
		st.pieces++
		st.waiting = append(st.waiting, ev.Raw...)
		st.events.Mark() // it goes out before everything else, or nothing of this answer does
	default:
		if st.flowed += len(c.Text); st.flowed > maxText {
			d := refusalBy(http.StatusBadGateway, CodeTooLarge, "Policy: the text is larger than what is decided on.")
			return &d
		}
		st.write(ev.Raw)
		st.events.Mark()
	}
	return nil
}

// maxText is the largest text, in bytes, that a policy decides on; see policy.MaxEvent.
const maxText = 1 << 20

func (st *stream) keep(raw []byte) { st.held = append(st.held, raw...) }

// write sends bytes to the caller, and before them what waited. Once the caller is gone it only remembers that.
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
	// A caller that does not read for too long is let go; its memory is ours.
	st.out.SetWriteDeadline(time.Now().Add(st.limits.WriteStall))
	if len(st.waiting) > 0 {
		_, st.gone = st.w.Write(st.waiting)
		st.waiting = nil
	}
	if st.gone == nil {
		_, st.gone = st.w.Write(b)
	}
	if st.gone == nil && st.source.Buffered() == 0 {
		// What has come already goes out together.
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
	st.write(ev.Raw)
	st.outcome = "upstream"
}

// abort ends a stream of which parts went out, or answers with an error where none did.
func (st *stream) abort(d wire.Denial) {
	if !st.begun {
		st.error(d)
		return
	}
	st.write(st.events.Abort(d))
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
	v := st.decide(ctx, r, true)
	if mayRevise && v.mendable && !st.begun {
		if again, err := st.wire.Revise(st.revisable(), r, v.verdicts, v.note); err == nil {
			return again
		}
	}
	if wire.Unchanged(v.verdicts) && st.events.Regular() {
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
