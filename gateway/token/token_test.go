package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A key set that could sign as well, or that says nothing of whose tokens are meant, is refused before the first token. What tokens are refused is TestSourcesOfSessions of the gateway.
func TestCheck(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key any) []byte {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k"}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		v    Verifier
		want string
	}{
		"good":        {Verifier{Keys: set(public), Issuer: "us", Audience: "me"}, ""},
		"private":     {Verifier{Keys: set(private), Issuer: "us", Audience: "me"}, "not public"},
		"symmetric":   {Verifier{Keys: set([]byte(strings.Repeat("k", 32))), Issuer: "us", Audience: "me"}, "not public"},
		"no issuer":   {Verifier{Keys: set(public), Audience: "me"}, "issuer"},
		"no audience": {Verifier{Keys: set(public), Issuer: "us"}, "audience"},
		"no keys":     {Verifier{Keys: []byte(`{"keys":[]}`), Issuer: "us", Audience: "me"}, "cannot be read"},
		"no JSON":     {Verifier{Keys: []byte(`-----BEGIN`), Issuer: "us", Audience: "me"}, "cannot be read"},
		"nothing":     {Verifier{}, "cannot be read"},
	} {
		switch err := c.v.Check(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	var nobody Verifier
	if _, err := nobody.Verify("a.b.c"); err == nil {
		t.Error("the zero value takes a token")
	}
}
