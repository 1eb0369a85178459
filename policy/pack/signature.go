package pack

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/proviso-dev/proviso"
)

// SignatureFile is the file of a pack's folder that holds its signature. It is no part of what it signs.
const SignatureFile = "proviso.sig"

// CodeSignature is the code of a pack that nobody vouches for.
const CodeSignature = "PV875"

// Signature is somebody's word that a pack says what it says: Ed25519 (RFC 8032) over everything else here. All times are in UTC and whole seconds.
type Signature struct {
	Pack    string `json:"pack"` // the name
	Version string `json:"version"`
	Digest  string `json:"digest"` // of this pack alone, see Digest
	// Signed is when it was signed. Of two signed revisions of a pack the one that was signed later is the newer.
	Signed time.Time `json:"signed"`
	// From and Until are when it holds; zero: at any time. Until does not belong to it.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`

	Key []byte `json:"key"` // the public key
	Sig []byte `json:"signature"`
}

// Sign vouches for a pack with a key. Times of zero leave its validity open.
func Sign(p *Pack, key ed25519.PrivateKey, signed, from, until time.Time) (*Signature, error) {
	s := &Signature{Pack: p.Name, Version: p.Version, Digest: Digest([]*Pack{p}), Signed: second(signed), From: second(from), Until: second(until), Key: key.Public().(ed25519.PublicKey)}
	if !s.Until.IsZero() && !s.Until.After(s.From) {
		return nil, errors.New("it would never hold: its end is not after its beginning")
	}
	s.Sig = ed25519.Sign(key, s.said())
	return s, nil
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// said is what is signed: the form of the signature without itself, behind words that no other signature of Proviso begins with.
func (s *Signature) said() []byte {
	c := *s
	c.Sig = nil
	b, err := json.Marshal(&c)
	if err != nil { // a year of more than four digits; ReadSignature and Sign never give one
		return nil
	}
	return append([]byte("proviso pack signature 1\n"), b...)
}

// Form is the content of SignatureFile.
func (s *Signature) Form() []byte {
	var out bytes.Buffer
	b, _ := json.Marshal(s)
	json.Indent(&out, b, "", "  ")
	return append(out.Bytes(), '\n')
}

// ReadSignature reads the content of SignatureFile. That it can be read says nothing about whether it holds: see Check.
func ReadSignature(b []byte) (*Signature, error) {
	s := &Signature{}
	if err := proviso.DecodeStrict(b, s); err != nil {
		return nil, err
	}
	for _, t := range []*time.Time{&s.Signed, &s.From, &s.Until} {
		if y := t.Year(); y < 0 || y > 9999 {
			return nil, fmt.Errorf("the year %d is none that can be signed", y)
		}
		*t = second(*t)
	}
	return s, nil
}

// Check says why the signature does not vouch for a pack at a time by one of the keys; nil where it does.
func (s *Signature) Check(p *Pack, keys []ed25519.PublicKey, now time.Time) error {
	known := slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return bytes.Equal(k, s.Key) })
	said := s.said()
	switch {
	case len(s.Key) != ed25519.PublicKeySize || said == nil || !ed25519.Verify(s.Key, said, s.Sig):
		return errors.New("its signature was changed, or was never one")
	case !known:
		return errors.New("it is signed with a key that is not accepted")
	case s.Pack != p.Name || s.Version != p.Version:
		return fmt.Errorf("it is signed as %s %s, and is %s %s", s.Pack, s.Version, p.Name, p.Version)
	case s.Digest != Digest([]*Pack{p}):
		return errors.New("it says something else than when it was signed")
	case now.Before(s.From):
		return fmt.Errorf("its signature holds from %s, and this machine's clock says %s", s.From.Format(time.RFC3339), second(now).Format(time.RFC3339))
	case !s.Until.IsZero() && !now.Before(s.Until):
		return fmt.Errorf("its signature held until %s, and this machine's clock says %s", s.Until.Format(time.RFC3339), second(now).Format(time.RFC3339))
	}
	return nil
}
