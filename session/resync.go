package session

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
)

// transcript is what a client knows of the conversation, as digests: the messages, calls and results in order.
type transcript struct {
	entries []entry
	cut     bool // older entries were dropped
	newest  struct {
		body   proviso.Body
		digest digest
		keyed  bool
	}
	buf []byte
}

type entry struct {
	digest digest
	// optional entries need not come back: what was denied, and results that nobody asked for.
	optional bool
	// keyed entries carry a call id; they are found by it, whatever their order.
	keyed bool
}

type digest [16]byte

// add notes an applied event.
func (t *transcript) add(ev *proviso.Event, sent *policy.Input) {
	if e, ok := t.entryOf(ev, sent); ok {
		t.push(e)
	}
}

// entryOf is what is noted of an event. A client knows its own input and results as it sent them, and calls and outputs as they were forwarded to it.
// An event is asked for twice, when it is recorded and when it is applied; the digest is taken once.
func (t *transcript) entryOf(ev *proviso.Event, sent *policy.Input) (e entry, ok bool) {
	e.optional = sent == nil
	if _, isResult := ev.Body.(*proviso.ToolResult); isResult {
		e.optional = false
	} else if sent != nil && ev.Point != proviso.Input {
		ev = sent.Event
	}
	if ev.Body != nil && ev.Body == t.newest.body {
		return entry{t.newest.digest, e.optional, t.newest.keyed}, true
	}
	if e.digest, e.keyed, ok = t.digest(ev); ok {
		t.newest.body, t.newest.digest, t.newest.keyed = ev.Body, e.digest, e.keyed
	}
	return e, ok
}

func (t *transcript) push(e entry) {
	t.entries = append(t.entries, e)
	if len(t.entries) > MaxKnown {
		t.entries = append(t.entries[:0], t.entries[MaxKnown/2:]...)
		t.cut = true
	}
}

// digest identifies what a client resends of an event; ok is false for events that no transcript has.
func (t *transcript) digest(ev *proviso.Event) (d digest, keyed, ok bool) {
	b := t.buf[:0]
	field := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	switch x := ev.Body.(type) {
	case *proviso.Message:
		b = append(b, 'm')
		field(string(x.Role))
		field(strings.TrimSpace(x.Text))
	case *proviso.ToolCall:
		b = append(b, 'c')
		field(x.ID)
		field(x.Tool)
		b = appendCompact(b, x.Args)
		keyed = x.ID != ""
	case *proviso.ToolResult:
		b = append(b, 'r')
		field(x.CallID)
		field(strings.TrimSpace(x.Text))
		b = appendCompact(b, x.Content)
		keyed = x.CallID != ""
	default:
		return d, false, false
	}
	t.buf = b
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d, keyed, true
}

// appendCompact leaves out the spaces of JSON text, which clients do not keep.
func appendCompact(b []byte, j proviso.JSON) []byte {
	quoted, escaped := false, false
	for _, c := range j {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			continue
		}
		b = append(b, c)
	}
	return b
}

// Resync compares a transcript that a client sent as a whole with what was recorded, and returns the events that are new: those behind the last one that is known.
// changed tells that the known part differs from what was recorded, and the next Record will say so too. Known messages are never taken for new ones, so that an old agreement cannot count twice.
// Only messages, calls and results are compared; the events' numbers and times are not. Calls and results with an id are found by it in any order.
// After more than MaxKnown entries every resent transcript counts as changed, because its beginning cannot be compared any more.
func (s *State) Resync(events []proviso.Event) (fresh []proviso.Event, changed bool) {
	known, from, changed := s.Compare(events)
	changed = s.Differs(known[:from], changed)
	return events[from:], changed
}

// Differs notes what Compare found: where something is not known or is missing, the next Record says that the transcript changed. It returns whether it did.
func (s *State) Differs(known []bool, missing bool) (changed bool) {
	changed = missing || slices.Contains(known, false)
	s.changed = s.changed || changed
	return changed
}

// Compare is Resync for doors that have to know which events before the first new one are not as they were recorded: known says of each event whether it is, and from is where the new ones begin.
// Events that no transcript has count as known. missing tells that something recorded did not come back. The session is not changed.
func (s *State) Compare(events []proviso.Event) (known []bool, from int, missing bool) {
	t := &s.known
	keyed, wanted := t.keyed()
	digests := make([]digest, len(events))
	known = make([]bool, len(events))
	last, at, skipped := -1, 0, false
	anchor := 0 // where nothing is missing before
	for i := range events {
		d, hasID, ok := t.digest(&events[i])
		digests[i] = d
		switch {
		case !ok:
			known[i] = true
			continue
		case hasID:
			if known[i] = keyed[d] > 0; known[i] {
				keyed[d]--
				wanted[d]--
			}
		default:
			n, skips := t.next(at, d)
			if n >= 0 {
				known[i], at = true, n+1
			}
			if skipped = skipped || skips; !skipped {
				anchor = at
			}
		}
		if known[i] {
			last = i
		}
	}
	missing = t.cut
	for _, n := range wanted {
		missing = missing || n > 0
	}
	// What was skipped stands behind the anchor.
	if i, lost := t.anchor(anchor, digests); lost {
		last, missing = max(last, i), true
	}
	return known, last + 1, missing
}

// keyed counts the entries with an id: all of them, and those that have to come back.
func (t *transcript) keyed() (all, wanted map[digest]int) {
	all, wanted = map[digest]int{}, map[digest]int{}
	for _, e := range t.entries {
		if e.keyed {
			all[e.digest]++
			if !e.optional {
				wanted[e.digest]++
			}
		}
	}
	return all, wanted
}

// lookahead is how many entries may be missing before one that came back, so that it is still found where it is.
const lookahead = 64

// next finds the digest among the entries without an id from one on; -1 where it is not there. skips tells that entries which have to come back come before it.
func (t *transcript) next(at int, d digest) (n int, skips bool) {
	for required := 0; at < len(t.entries) && required <= lookahead; at++ {
		e := &t.entries[at]
		switch {
		case e.keyed:
		case e.digest == d:
			return at, required > 0
		case !e.optional:
			required++
		}
	}
	return -1, false
}

// anchor tells whether entries without an id are missing from at on, and where the last of them that came back stands in the transcript; -1 for none.
func (t *transcript) anchor(at int, digests []digest) (last int, missing bool) {
	var open map[digest]bool
	for _, e := range t.entries[at:] {
		if e.keyed {
			continue
		}
		if open == nil {
			open = map[digest]bool{}
		}
		open[e.digest] = true
		missing = missing || !e.optional
	}
	if open == nil {
		return -1, false
	}
	for last = len(digests) - 1; last >= 0 && !open[digests[last]]; last-- {
	}
	return last, missing
}
