// Package token verifies the JSON Web Tokens by which callers of a gateway say who they are.
package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/proviso-dev/proviso"
)

// Verifier verifies JSON Web Tokens (RFC 7519) with the public keys of a JSON Web Key Set. Symmetric keys are not taken: whoever verifies with one can sign as well.
type Verifier struct {
	Keys     []byte // a JSON Web Key Set
	Issuer   string // has to be the token's issuer
	Audience string // has to be among the token's audiences
	Clock    func() time.Time

	set jose.JSONWebKeySet
}

// signatures are the algorithms that tokens may be signed with.
var signatures = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// Check reads the keys. It is called before the first Verify.
func (t *Verifier) Check() error {
	if err := json.Unmarshal(t.Keys, &t.set); err != nil || len(t.set.Keys) == 0 {
		return errors.New("the key set of tokens cannot be read; give a JSON Web Key Set with public keys")
	}
	for _, k := range t.set.Keys {
		if !k.IsPublic() || !k.Valid() {
			return fmt.Errorf("the key set of tokens holds a key %q that is not public or not valid; leave it out", k.KeyID)
		}
	}
	if t.Issuer == "" || t.Audience == "" {
		return errors.New("tokens need an issuer and an audience, so that those made for others are not taken")
	}
	return nil
}

// Verify returns the claims of a token whose signature, issuer, audience and times hold. A token without a time of expiry is refused.
func (t *Verifier) Verify(token string) (map[string]any, error) {
	parsed, err := jwt.ParseSigned(token, signatures)
	if err != nil {
		return nil, errors.New("it is no signed token")
	}
	var std jwt.Claims
	var payload json.RawMessage
	for _, k := range t.set.Keys {
		if id := parsed.Headers[0].KeyID; id != "" && k.KeyID != "" && k.KeyID != id {
			continue
		}
		if err = parsed.Claims(k.Key, &std, &payload); err == nil {
			break
		}
	}
	if err != nil || payload == nil {
		return nil, errors.New("its signature does not hold")
	}
	now := time.Now
	if t.Clock != nil {
		now = t.Clock
	}
	if std.Expiry == nil {
		return nil, errors.New("it never expires")
	}
	if err := std.ValidateWithLeeway(jwt.Expected{Issuer: t.Issuer, AnyAudience: jwt.Audience{t.Audience}, Time: now()}, 30*time.Second); err != nil {
		return nil, errors.New("its issuer, audience or times do not hold")
	}
	v, err := proviso.DecodeJSON([]byte(payload))
	claims, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, errors.New("its claims cannot be read")
	}
	return claims, nil
}
