// Package window keeps the events of a streamed answer whose text may still be a part of what a policy forbids or replaces, and lets them go, in their order, once it cannot be.
package window

import (
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/flow"
)

// Queue is the events that wait. The zero value has to be Reset before it is used. It is not safe for concurrent use.
type Queue struct {
	texts  *flow.Choices
	sent   wire.Stream // reads what went out
	events []event
	raw    []byte // of the events, one behind the other
	data   []byte
}

// event waits until the text of its choice is safe up to its end; 0 for one without text.
type event struct {
	name              string
	raw, data         int // bytes
	choice, part, end int
	text              string
}

// Reset begins a stream: texts follows what is said, and sent is a reader of the wire of which nothing was asked. The memory of the stream before is used again.
func (q *Queue) Reset(texts *flow.Choices, sent wire.Stream) {
	clear(q.events)
	*q = Queue{texts: texts, sent: sent, events: q.events[:0], raw: q.raw[:0], data: q.data[:0]}
}

// Size is how many bytes the events have that wait.
func (q *Queue) Size() int { return len(q.raw) }

// Cap is the memory, in bytes, that the queue has for events.
func (q *Queue) Cap() int { return cap(q.raw) + cap(q.data) }

// Len is how many events wait.
func (q *Queue) Len() int { return len(q.events) }

// Raw returns the bytes of the events that wait, as they came. They are good until the next call.
func (q *Queue) Raw() []byte { return q.raw }

// Sent returns the reader of what went out.
func (q *Queue) Sent() wire.Stream { return q.sent }

// Add has an event wait that carries c. The text of c was added to the texts before.
func (q *Queue) Add(ev wire.Event, c wire.Chunk) {
	q.raw, q.data = append(q.raw, ev.Raw...), append(q.data, ev.Data...)
	e := event{name: ev.Name, raw: len(ev.Raw), data: len(ev.Data), choice: c.Choice, part: c.Part, text: c.Text}
	if c.Kind == wire.Text {
		if e.end = q.texts.Len(c.Choice); c.Text == "" {
			e.end++ // what begins or ends a text goes out with what follows
		}
	}
	q.events = append(q.events, e)
}

// Went notes that an event that did not wait goes out as it came.
func (q *Queue) Went(ev wire.Event) error {
	if _, err := q.sent.Next(ev); err != nil {
		return fmt.Errorf("what goes out cannot be read: %w", err)
	}
	q.sent.Mark()
	return nil
}

// Release gives the events to write whose text is safe, with what is replaced in it replaced, in order; text is what an event says of it as it came.
// more is false where an event can go out neither as it came nor as another; then everything that waits has to wait for the whole. Where write returns false, nothing more is released.
func (q *Queue) Release(write func(raw []byte, text int) bool) (more bool, err error) {
	n, raw, data := 0, 0, 0
	for more = true; more && n < len(q.events); n++ {
		e := &q.events[n]
		if e.end > q.texts.Safe(e.choice) {
			break
		}
		out := wire.Event{Name: e.name, Data: q.data[data : data+e.data], Raw: q.raw[raw : raw+e.raw]}
		if text := q.texts.Piece(e.choice, e.end-len(e.text), e.text); text != e.text {
			if out, more = q.sent.Piece(e.choice, e.part, text); !more {
				break
			}
		}
		if !write(out.Raw, len(e.text)) {
			break
		}
		if err = q.Went(out); err != nil {
			return false, err
		}
		raw, data = raw+e.raw, data+e.data
	}
	q.events = slices.Delete(q.events, 0, n) // their texts would keep the whole of it
	q.raw, q.data = slices.Delete(q.raw, 0, raw), slices.Delete(q.data, 0, data)
	return more, nil
}

// Settle ends the waiting: the reader of what went out reads what did not as well, so that it can replay the rest of the answer.
func (q *Queue) Settle() error {
	raw, data := 0, 0
	for i := range q.events {
		e := &q.events[i]
		if _, err := q.sent.Next(wire.Event{Name: e.name, Data: q.data[data : data+e.data], Raw: q.raw[raw : raw+e.raw]}); err != nil {
			return err
		}
		raw, data = raw+e.raw, data+e.data
	}
	return nil
}
