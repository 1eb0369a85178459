package settings

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/internal/keyfile"
	"github.com/proviso-dev/proviso/policy/pack"
)

// signatureSetting says by whom packs have to be signed. Without keys nobody has to sign.
type signatureSetting struct {
	Keys []string `yaml:"keys"` // files of public keys
}

// vouching is what the packs of one reading are held against.
type vouching struct {
	keys  []ed25519.PublicKey
	now   time.Time
	seen  map[string]time.Time // by the name of a pack: when the newest signature was made that was ever taken
	taken map[string]time.Time // the same of this reading
	until time.Time            // when the first of the signatures ends that were taken; zero: none does
}

// vouchers reads the keys that packs have to be signed by; nil where the settings name none.
func (f *Flags) vouchers(s *File, now time.Time) (*vouching, error) {
	if len(s.Signatures.Keys) == 0 {
		return nil, nil
	}
	v := &vouching{now: now, seen: map[string]time.Time{}, taken: map[string]time.Time{}}
	for _, name := range s.Signatures.Keys {
		key, err := keyfile.Public(s.at(name))
		if err != nil {
			return nil, bad(f.File+": signatures.keys", err.Error(), "name the .pub file of who signs packs with proviso sign")
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// pack loads the pack of a folder, and refuses it where signatures are asked for and it has none that holds, or an older one than was taken before. A nil vouching asks for none.
func (v *vouching) pack(dir string) (*pack.Pack, error) {
	p, err := onePack(dir)
	if err != nil || v == nil {
		return p, err
	}
	refuse := func(why string) error {
		return &Error{pack.CodeSignature, fmt.Sprintf("the pack %s in %s is not taken: %s", p.Name, dir, why), "have it signed with proviso sign by a key of signatures.keys"}
	}
	b, err := os.ReadFile(filepath.Join(dir, pack.SignatureFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("it is not signed")
	}
	if err != nil {
		return nil, refuse(pack.SignatureFile + ": " + because(err))
	}
	sig, err := pack.ReadSignature(b)
	if err != nil {
		return nil, refuse(pack.SignatureFile + ": " + err.Error())
	}
	if err := sig.Check(p, v.keys, v.now); err != nil {
		return nil, refuse(err.Error())
	}
	if newest := v.seen[p.Name]; sig.Signed.Before(newest) {
		return nil, refuse(fmt.Sprintf("it was signed at %s, and a revision signed at %s was in force before; to go back to it, sign it anew", sig.Signed.Format(time.RFC3339), newest.Format(time.RFC3339)))
	}
	v.taken[p.Name] = sig.Signed
	if !sig.Until.IsZero() && (v.until.IsZero() || sig.Until.Before(v.until)) {
		v.until = sig.Until
	}
	return p, nil
}

// seenFile is where it is kept which signatures were taken, so that nobody brings an older revision back by starting the gateway again.
func (s *File) seenFile() string { return filepath.Join(s.Data, "signed.json") }

// recall reads which signatures were taken before.
func (v *vouching) recall(name string) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = proviso.DecodeStrict(b, &v.seen)
	}
	if err != nil {
		return bad(name, because(err), "remove the file to take any revision that is signed")
	}
	return nil
}

// keep writes down which signatures were taken, before they count.
func (v *vouching) keep(name string) error {
	maps.Copy(v.seen, v.taken)
	b, err := json.Marshal(v.seen)
	if err == nil {
		err = durable.Replace(name, append(b, '\n'), 0o600)
	}
	if err != nil {
		return bad(name, because(err), "check the folder and its permissions")
	}
	return nil
}
