package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/proviso-dev/proviso"
)

// Hash is a SHA-256 digest. The zero value stands for nothing: what comes before the first record of a session.
type Hash [sha256.Size]byte

// HashOf is the digest of bytes.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// String returns the digest in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Short returns the first twelve digits, which is enough for a person to compare.
func (h Hash) Short() string { return h.String()[:12] }

// MarshalText writes the digest in hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads exactly 64 hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return fmt.Errorf("want %d hexadecimal digits", 2*len(h))
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return fmt.Errorf("want %d hexadecimal digits", 2*len(h))
	}
	return nil
}

// Entry is a record as it is kept: a link of its session's chain.
//
// Head is one line of JSON with the number of the record, the hash of the link before it, the hash of Body, and all of the record that stays after a redaction.
// Body is one line of JSON with what a redaction takes out, and a salt, so that nobody can find out what stood there by hashing guesses.
// Hash is the digest of the bytes of Head. Taking out a Body leaves every hash as it was.
type Entry struct {
	Session string
	Seq     uint64
	Hash    Hash
	Head    proviso.JSON
	Body    proviso.JSON // empty where it was redacted
}

// place is where an entry says that it stands.
type place struct {
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
	Prev    Hash   `json:"prev,omitzero"`
	Body    Hash   `json:"body"`
}

// head is what stands in Entry.Head, as far as a look at the chain needs it.
type head struct {
	place
	Record proviso.JSON `json:"record"`
}

// whole is what stands in Entry.Head, the record included.
type whole struct {
	place
	Record proviso.Record `json:"record"`
}

// content is what stands in Entry.Body: what people said, what tools were given and answered, and what quotes it.
type content struct {
	Salt    []byte            `json:"salt"`
	Body    proviso.Body      `json:"body"`
	Because [][]proviso.Cause `json:"because,omitempty"`
	Edits   []proviso.Edit    `json:"edits,omitempty"`
	Missing []proviso.Missing `json:"missing,omitempty"`
	Errors  []proviso.Fault   `json:"errors,omitempty"`
	Answers []proviso.Answer  `json:"answers,omitempty"`
}

// Record reads the record back, after a look that the bytes are those that the hashes speak of.
// A record whose body was redacted comes back with Redacted set and the body bare. Errors are *ChainError.
func (e *Entry) Record() (proviso.Record, error) {
	h, err := e.open()
	if err != nil {
		return proviso.Record{}, err
	}
	return e.join(h)
}

// RecordAfter is Record of the link that follows a tip of its session, the zero Tip for the first; see Follows.
func (e *Entry) RecordAfter(tip Tip) (proviso.Record, error) {
	if e.Seq > tip.Length+1 {
		return proviso.Record{}, &ChainError{Finding{Kind: "missing", Session: e.Session, Seq: tip.Length + 1, Msg: fmt.Sprintf("record %d of session %q is missing", tip.Length+1, e.Session)}}
	}
	h, err := e.open()
	switch {
	case err == nil && e.Seq <= tip.Length:
		err = e.fault("order", fmt.Sprintf("stands behind record %d: the order was changed", tip.Length))
	case err == nil && h.Prev != tip.Head:
		err = e.replaced(h.Prev, tip.Head)
	}
	if err != nil {
		return proviso.Record{}, err
	}
	return e.join(h)
}

// Peek is Record without a look at the hashes: for showing what a log holds, not for relying on it.
func (e *Entry) Peek() (proviso.Record, error) {
	h, err := e.parse()
	if err != nil {
		return proviso.Record{}, err
	}
	return e.join(h)
}

func (e *Entry) join(h *whole) (proviso.Record, error) {
	r := h.Record
	if len(e.Body) == 0 {
		r.Redacted = true
		return r, nil
	}
	var s content
	if err := proviso.DecodeStrict(e.Body, &s); err != nil {
		return r, e.fault("edited", "has a body that cannot be read: "+err.Error())
	}
	r.Event.Body = s.Body
	d := &r.Decision
	d.Edits, d.Missing, d.Errors, r.Answers = s.Edits, s.Missing, s.Errors, s.Answers
	for i := range min(len(s.Because), len(d.Reasons)) {
		d.Reasons[i].Because = s.Because[i]
	}
	return r, nil
}

// open reads the head and compares the entry with its own hashes.
func (e *Entry) open() (*whole, error) {
	h, err := e.parse()
	if err != nil {
		// What the chain says of the bytes says more than what the record should look like.
		if _, err := e.check(); err != nil {
			return nil, err
		}
		return nil, err
	}
	if err := e.fits(&h.place); err != nil {
		return nil, err
	}
	return h, nil
}

// parse reads the head in one go, and a record that is nested so deeply that it may stand only by itself in a second one.
func (e *Entry) parse() (*whole, error) {
	var w whole
	if proviso.DecodeStrict(e.Head, &w) == nil {
		return &w, nil
	}
	var h head
	err := proviso.DecodeStrict(e.Head, &h)
	if err == nil {
		w = whole{place: h.place}
		err = proviso.DecodeStrict(h.Record, &w.Record)
	}
	if err != nil {
		return nil, e.fault("edited", "cannot be read: "+err.Error())
	}
	return &w, nil
}

// check compares an entry with its own hashes, and does not look into the record.
func (e *Entry) check() (*head, error) {
	var h head
	if err := proviso.DecodeStrict(e.Head, &h); err != nil {
		return nil, e.fault("edited", "was edited: it cannot be read: "+err.Error())
	}
	return &h, e.fits(&h.place)
}

func (e *Entry) fits(h *place) error {
	switch {
	case h.Session != e.Session || h.Seq != e.Seq:
		return e.fault("moved", fmt.Sprintf("was moved: its bytes say that it is record %d of session %q", h.Seq, h.Session))
	case HashOf(e.Head) != e.Hash:
		return e.fault("edited", fmt.Sprintf("was edited: its bytes have the hash %s, the chain says %s", HashOf(e.Head).Short(), e.Hash.Short()))
	case len(e.Body) > 0 && HashOf(e.Body) != h.Body:
		return e.fault("edited", fmt.Sprintf("was edited: its body has the hash %s, the chain says %s", HashOf(e.Body).Short(), h.Body.Short()))
	}
	return nil
}

// Follows checks an entry against its own hashes and against the link before it, and returns nil where both hold.
func (e *Entry) Follows(prev Hash) error {
	h, err := e.check()
	if err != nil {
		return err
	}
	if h.Prev != prev {
		return e.replaced(h.Prev, prev)
	}
	return nil
}

func (e *Entry) replaced(says, is Hash) error {
	if e.Seq == 1 {
		return e.fault("replaced", "follows another record, and should be the first")
	}
	return e.fault("replaced", fmt.Sprintf("follows a link with the hash %s, but record %d has %s: record %d was replaced, or this one was put in", says.Short(), e.Seq-1, is.Short(), e.Seq-1))
}

func (e *Entry) fault(kind, what string) *ChainError {
	return &ChainError{Finding{Kind: kind, Session: e.Session, Seq: e.Seq, Msg: fmt.Sprintf("record %d of session %q %s", e.Seq, e.Session, what)}}
}

// ChainError tells that what a journal holds is not what was written into it.
type ChainError struct{ Finding }

// Error returns the finding and the code in one line.
func (e *ChainError) Error() string {
	return fmt.Sprintf("journal: %s; keep a copy of the store and find out who changed it [%s]", e.Msg, CodeChain)
}
