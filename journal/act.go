package journal

import (
	"fmt"
	"time"

	"github.com/proviso-dev/proviso"
)

// The kinds of acts.
const (
	Redacted  = "redacted"  // bodies of records From to To of a session were taken out
	Forgotten = "forgotten" // a session of To records, the last with the hash Head, was deleted
	Snapshot  = "snapshot"  // the state of a session after record To was kept; Head is the hash of its bytes
)

// Act is something that was done to the journal itself. Acts are a chain of their own, so that what is missing from the records can be told from what was taken away in the open.
type Act struct {
	Number  uint64    `json:"number"`
	Prev    Hash      `json:"prev,omitzero"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Session string    `json:"session"`
	From    uint64    `json:"from,omitempty"`
	To      uint64    `json:"to,omitempty"`
	Head    Hash      `json:"head,omitzero"`
	Reason  string    `json:"reason,omitempty"`
}

// SealedAct is an act as it is kept: one line of JSON and its hash.
type SealedAct struct {
	Hash Hash
	Text proviso.JSON
}

// Seal makes the act a link of the chain of acts.
func (a *Act) Seal() (SealedAct, error) {
	b, err := proviso.AppendJSON(nil, a)
	if err != nil {
		return SealedAct{}, fmt.Errorf("journal: act %d cannot be written: %w", a.Number, err)
	}
	return SealedAct{HashOf(b), b}, nil
}

// Act reads the act back.
func (s *SealedAct) Act() (Act, error) {
	var a Act
	if err := proviso.DecodeStrict(s.Text, &a); err != nil {
		return a, &ChainError{Finding{Kind: "edited", Msg: "an act cannot be read: " + err.Error()}}
	}
	return a, nil
}
