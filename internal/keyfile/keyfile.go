// Package keyfile reads and makes Ed25519 keys in files: the private one as PKCS 8 (RFC 5958), the public one as PKIX (RFC 8410), both in PEM, so that openssl reads them too.
package keyfile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/proviso-dev/proviso/internal/durable"
)

// Error tells what is wrong with the file of a key, and what to do. It never holds the key.
type Error struct{ Name, Why, Hint string }

// Error is one line.
func (e *Error) Error() string { return fmt.Sprintf("key %s: %s", e.Name, e.Why) }

// because is the reason of an error of the system, without the name that it is told with.
func because(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// Private reads a private key, and makes one where there is no file: readable for its owner only, and its public key beside it in NAME.pub. Errors are *Error.
func Private(name string) (key ed25519.PrivateKey, made bool, err error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(name)
		return key, err == nil, err
	}
	if err != nil {
		return nil, false, &Error{name, because(err), "check its permissions"}
	}
	if p, _ := pem.Decode(b); p != nil {
		if k, err := x509.ParsePKCS8PrivateKey(p.Bytes); err == nil {
			if key, ok := k.(ed25519.PrivateKey); ok {
				return key, false, nil
			}
		}
	}
	return nil, false, &Error{name, "it holds no private Ed25519 key", "name another file; one that does not exist is made"}
}

// makeKey writes a new key, and its public key beside it.
func makeKey(name string) (ed25519.PrivateKey, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, &Error{name, because(err), "try again"}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, &Error{name, because(err), "try again"}
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, &Error{name, because(err), "try again"}
	}
	for _, f := range []struct {
		name, kind string
		mode       fs.FileMode
		b          []byte
	}{{name, "PRIVATE KEY", 0o600, secret}, {name + ".pub", "PUBLIC KEY", 0o644, open}} {
		err := durable.File(f.name, f.mode, func(w io.Writer) error { return pem.Encode(w, &pem.Block{Type: f.kind, Bytes: f.b}) })
		if err != nil {
			if f.name != name { // alone it would be taken the next time, without a public key that belongs to it
				os.Remove(name)
			}
			return nil, &Error{f.name, because(err), "check the folder and its permissions"}
		}
	}
	if err := durable.Sync(filepath.Dir(name)); err != nil {
		return nil, &Error{name, because(err), "check the disk; the key is there, and is read the next time"}
	}
	return key, nil
}

// Public reads a public key. Errors are *Error.
func Public(name string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, &Error{name, because(err), "name the .pub file that was made with the key"}
	}
	if p, _ := pem.Decode(b); p != nil {
		if k, err := x509.ParsePKIXPublicKey(p.Bytes); err == nil {
			if key, ok := k.(ed25519.PublicKey); ok {
				return key, nil
			}
		}
	}
	return nil, &Error{name, "it holds no public Ed25519 key", "name the .pub file that was made with the key"}
}
