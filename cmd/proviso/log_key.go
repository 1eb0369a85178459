package main

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
	"github.com/proviso-dev/proviso/journal"
)

func badKey(name, why, hint string) error {
	return &problem{exit: exitInput, code: journal.CodeKey, msg: fmt.Sprintf("key %s: %s", name, why), hint: hint}
}

// privateKey reads the key that signs checkpoints (PKCS 8 in PEM), and makes one where there is none. It is never printed.
func privateKey(name string) (key ed25519.PrivateKey, made bool, err error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(name)
		return key, err == nil, err
	}
	if err != nil {
		return nil, false, badKey(name, because(err), "check its permissions")
	}
	if p, _ := pem.Decode(b); p != nil {
		if k, err := x509.ParsePKCS8PrivateKey(p.Bytes); err == nil {
			if key, ok := k.(ed25519.PrivateKey); ok {
				return key, false, nil
			}
		}
	}
	return nil, false, badKey(name, "it holds no private Ed25519 key", "name another file; one that does not exist is made")
}

// makeKey writes a new key, and its public key beside it.
func makeKey(name string) (ed25519.PrivateKey, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, badKey(name, because(err), "try again")
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, badKey(name, because(err), "try again")
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, badKey(name, because(err), "try again")
	}
	for _, f := range []struct {
		name, kind string
		mode       fs.FileMode
		b          []byte
	}{{name, "PRIVATE KEY", 0o600, secret}, {name + ".pub", "PUBLIC KEY", 0o644, open}} {
		if err := durable.File(f.name, f.mode, func(w io.Writer) error { return pem.Encode(w, &pem.Block{Type: f.kind, Bytes: f.b}) }); err != nil {
			return nil, badKey(f.name, because(err), "check the folder and its permissions")
		}
	}
	if err := durable.Sync(filepath.Dir(name)); err != nil {
		return nil, badKey(name, because(err), "check the folder and its permissions")
	}
	return key, nil
}

// publicKey reads the key that checkpoints have to be signed by (PKIX in PEM).
func publicKey(name string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, badKey(name, because(err), "name the .pub file that log checkpoint has made")
	}
	if p, _ := pem.Decode(b); p != nil {
		if k, err := x509.ParsePKIXPublicKey(p.Bytes); err == nil {
			if key, ok := k.(ed25519.PublicKey); ok {
				return key, nil
			}
		}
	}
	return nil, badKey(name, "it holds no public Ed25519 key", "name the .pub file that log checkpoint has made")
}
