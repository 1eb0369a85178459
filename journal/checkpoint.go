package journal

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"iter"
	"time"

	"github.com/proviso-dev/proviso"
)

// Tip is how far a chain has come: the number of its links and the hash of the last one.
type Tip struct {
	Length uint64 `json:"length"`
	Head   Hash   `json:"head"`
}

// Checkpoint is a signed statement of the tips of all sessions at one moment. Kept away from the store, it shows every later change of what it states.
//
// Its text is JSON lines: what it speaks of, one line for each session in order of their ids, and the signature over all lines before it.
type Checkpoint struct {
	Number   uint64    // of the store's checkpoints, from 1
	Store    string    // the store's id
	At       time.Time // the wall clock of the machine that signed
	Records  uint64    // of all sessions together
	Acts     Tip
	Prev     Hash // of the text of the checkpoint before; zero for the first
	Sessions map[string]Tip
	Key      ed25519.PublicKey
	Text     []byte
}

type checkpointHead struct {
	Checkpoint uint64    `json:"checkpoint"`
	Store      string    `json:"store"`
	At         time.Time `json:"at"`
	Sessions   int       `json:"sessions"`
	Records    uint64    `json:"records"`
	Acts       Tip       `json:"acts"`
	Prev       Hash      `json:"prev,omitzero"`
}

type checkpointTip struct {
	Session string `json:"session"`
	Tip
}

type checkpointSeal struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
}

// purpose is signed before the text, so that a signature of the same key over something else is none over a checkpoint.
const purpose = "proviso checkpoint 1\n"

// Sign writes and signs the text of a checkpoint, from all its other fields; sessions yields its tips in order of their ids and is read once.
func (c *Checkpoint) Sign(key ed25519.PrivateKey, sessions iter.Seq2[string, Tip]) error {
	var lines []byte
	n, records := 0, uint64(0)
	c.Sessions = map[string]Tip{}
	var err error
	for id, tip := range sessions {
		if lines, err = proviso.AppendJSON(lines, &checkpointTip{id, tip}); err != nil {
			return fmt.Errorf("journal: checkpoint: %w", err)
		}
		lines = append(lines, '\n')
		n, records = n+1, records+tip.Length
		c.Sessions[id] = tip
	}
	c.Records = records
	b, err := proviso.AppendJSON(nil, &checkpointHead{c.Number, c.Store, c.At.UTC(), n, records, c.Acts, c.Prev})
	if err != nil {
		return fmt.Errorf("journal: checkpoint: %w", err)
	}
	b = append(append(b, '\n'), lines...)
	c.Key = key.Public().(ed25519.PublicKey)
	if b, err = proviso.AppendJSON(b, &checkpointSeal{c.Key, ed25519.Sign(key, signed(b))}); err != nil {
		return fmt.Errorf("journal: checkpoint: %w", err)
	}
	c.Text = append(b, '\n')
	return nil
}

func signed(text []byte) []byte { return append([]byte(purpose), text...) }

// ParseCheckpoint reads a checkpoint and checks its signature by the key that it names itself; whether that key is yours is for the caller to compare.
// It keeps b. Errors are *ChainError, also where a text is no checkpoint at all.
func ParseCheckpoint(b []byte) (*Checkpoint, error) {
	refuse := func(format string, args ...any) (*Checkpoint, error) {
		return nil, &ChainError{Finding{Kind: "checkpoint", Msg: fmt.Sprintf("the checkpoint "+format, args...)}}
	}
	text := bytes.TrimSuffix(b, []byte("\n"))
	last := bytes.LastIndexByte(text, '\n')
	if last < 0 {
		return refuse("is cut off: it has no line with a signature")
	}
	var seal checkpointSeal
	if err := proviso.DecodeStrict(text[last+1:], &seal); err != nil {
		return refuse("is cut off: its last line is no signature: %v", err)
	}
	if len(seal.Key) != ed25519.PublicKeySize || !ed25519.Verify(seal.Key, signed(b[:last+1]), seal.Signature) {
		return refuse("was edited: its signature does not hold")
	}
	lines := bytes.Split(b[:last], []byte("\n"))
	var h checkpointHead
	if err := proviso.DecodeStrict(lines[0], &h); err != nil {
		return refuse("cannot be read: %v", err)
	}
	c := &Checkpoint{Number: h.Checkpoint, Store: h.Store, At: h.At, Records: h.Records, Acts: h.Acts, Prev: h.Prev, Sessions: map[string]Tip{}, Key: seal.Key, Text: b}
	total := uint64(0)
	for _, l := range lines[1:] {
		var t checkpointTip
		if err := proviso.DecodeStrict(l, &t); err != nil {
			return refuse("cannot be read: %v", err)
		}
		c.Sessions[t.Session] = t.Tip
		total += t.Length
	}
	if len(c.Sessions) != h.Sessions || len(lines)-1 != h.Sessions || total != h.Records {
		return refuse("contradicts itself: it counts %d sessions of %d records and lists %d of %d", h.Sessions, h.Records, len(c.Sessions), total)
	}
	return c, nil
}
