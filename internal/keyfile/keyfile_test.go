package keyfile

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key that is not there is made, readable for its owner only; read again it is the same, and what it signs the public key beside it accepts. Nothing else is taken for a key.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "k.pem")
	key, made, err := Private(name)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	again, made, err := Private(name)
	if err != nil || made || !again.Equal(key) {
		t.Errorf("made again: %v, %v", made, err)
	}
	public, err := Public(name + ".pub")
	if err != nil || !ed25519.Verify(public, []byte("x"), ed25519.Sign(key, []byte("x"))) {
		t.Error(err)
	}
	if i, err := os.Stat(name); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", i.Mode(), err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("SECRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A private key whose public one cannot be written beside it is not left behind.
	half := filepath.Join(dir, "half")
	if err := os.WriteFile(half+".pub", []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, made, err := Private(half); err == nil || made {
			t.Errorf("%v %v", made, err)
		}
	}
	for what, err := range map[string]error{
		"a text as private":      second(Private(text)),
		"the public as private":  second(Private(name + ".pub")),
		"the private as public":  first(Public(name)),
		"a text as public":       first(Public(text)),
		"nothing as public":      first(Public(filepath.Join(dir, "none"))),
		"a folder that is not":   second(Private(filepath.Join(dir, "none", "k"))),
		"a folder as a key file": second(Private(dir)),
	} {
		var bad *Error
		if !errors.As(err, &bad) || bad.Hint == "" || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func first(_ ed25519.PublicKey, err error) error           { return err }
func second(_ ed25519.PrivateKey, _ bool, err error) error { return err }
