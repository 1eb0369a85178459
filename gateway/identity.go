package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// The headers that a caller may send, and the one that names the session in every answer.
const (
	HeaderSession = "X-Proviso-Session" // a session of the caller's own, or the handle of an earlier answer
	HeaderAgent   = "X-Proviso-Agent"   // the agent, and behind it those that handed the work to it, separated by commas
	HeaderUser    = "X-Proviso-User"    // the user that the agent works for; counts from keys that may say so
	HeaderTags    = "X-Proviso-Tags"
	HeaderOverlay = "X-Proviso-Overlay" // names of overlays to attach to the session, separated by commas
	HeaderKey     = "X-Proviso-Key"     // a virtual key, where Authorization carries the upstream's own
)

// Identity is how a server finds out whose request it is, and which session.
type Identity struct {
	// Sources are asked in order, and the first that names a session counts; nil: DefaultSources.
	Sources []Source
	// Secret signs handles and parts callers from each other. Empty: a random one, so that handles end with the process.
	Secret Secret
	// Tokens verifies JSON Web Tokens; nil: none are accepted. Claim is the claim that names a session; empty: "sid".
	Tokens TokenVerifier
	Claim  string
	// Required refuses callers without a key or a token even where no keys are configured.
	Required bool
}

// TokenVerifier verifies a signed token.
type TokenVerifier interface {
	// Verify returns the claims of a token whose signature, issuer, audience and times hold.
	Verify(token string) (map[string]any, error)
}

// Key is a virtual key. Only its hash is kept.
type Key struct {
	ID   string
	Hash string // SHA-256 of the key, in hex
	// Agent is the agent that the key stands for, and Agents are globs of those that its caller may name instead.
	Agent  string
	Agents []string
	User   string
	// OnBehalf lets the caller name the user.
	OnBehalf bool
	Tags     []string
}

// NewKey makes a virtual key of 256 random bits, and the hash to configure.
func NewKey() (key Secret, hash string) {
	var b [32]byte
	rand.Read(b[:])
	key = Secret("pv-" + base64.RawURLEncoding.EncodeToString(b[:]))
	return key, hashKey(string(key))
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// caller is who sends a request.
type caller struct {
	principal string // parts sessions of different callers; it has no slash, which begins the name of a session behind it
	key       *Key
	claims    map[string]any
	user      string
	agents    []string
	tags      []string
	// virtual tells that the credentials of the request are ours and must not be forwarded.
	virtual bool
}

// identity is a caller with a session.
type identity struct {
	caller
	session string
	// resolved is false where no source names a session: what the past decides is then denied.
	resolved bool
	handle   string // what the caller sends to go on
	overlays []string
}

// refusedCaller tells why a caller is not let in.
type refusedCaller struct{ msg string }

func (e *refusedCaller) Error() string { return e.msg }

// credentials are the places where a caller may send a key or a token, the most specific first.
func credentials(h http.Header) []string {
	var out []string
	for _, v := range []string{h.Get(HeaderKey), strings.TrimPrefix(h.Get("Authorization"), "Bearer "), h.Get("X-Api-Key")} {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

// whoIs finds out who sends a request.
func (s *Server) whoIs(r *http.Request, keys []Key, by *Identity) (c caller, err error) {
	given := credentials(r.Header)
	for _, v := range given {
		hash := hashKey(v)
		if i := slices.IndexFunc(keys, func(k Key) bool { return hmac.Equal([]byte(k.Hash), []byte(hash)) }); i >= 0 {
			k := &keys[i]
			c = caller{principal: "key:" + url.PathEscape(k.ID), key: k, user: k.User, tags: k.Tags, virtual: r.Header.Get(HeaderKey) != v}
			break
		}
		if t := by.Tokens; t != nil && strings.Count(v, ".") == 2 {
			claims, err := t.Verify(v)
			if err != nil {
				return c, &refusedCaller{"the token is not accepted: " + err.Error()}
			}
			sub, _ := claims["sub"].(string)
			if sub == "" {
				return c, &refusedCaller{"the token names no subject (sub)"}
			}
			c = caller{principal: "sub:" + url.PathEscape(sub), claims: claims, user: sub, virtual: r.Header.Get(HeaderKey) != v}
			break
		}
	}
	if c.principal == "" {
		if len(keys) > 0 || by.Required || by.Tokens != nil {
			return c, &refusedCaller{"no key that is known here; send one as Authorization: Bearer, X-Api-Key or " + HeaderKey}
		}
		c.principal = "local"
		if len(given) > 0 {
			// Whoever has another key of the upstream is somebody else.
			c.principal = "up:" + s.sign("principal", given[0])[:16]
		}
	}
	return c, c.describe(r.Header)
}

// describe takes over what the caller may say about itself.
func (c *caller) describe(h http.Header) error {
	named := commaList(h.Get(HeaderAgent))
	switch {
	case c.key == nil:
		c.agents = named
	case len(named) == 0:
		c.agents = commaList(c.key.Agent)
	default:
		for _, a := range named {
			if a != c.key.Agent && !slices.ContainsFunc(c.key.Agents, func(g string) bool { return pack.Match(g, a) }) {
				return &refusedCaller{fmt.Sprintf("the key %s may not speak for the agent %q", c.key.ID, a)}
			}
		}
		c.agents = named
	}
	if u := h.Get(HeaderUser); u != "" {
		if c.key != nil && !c.key.OnBehalf || c.claims != nil {
			return &refusedCaller{"the caller may not name the user; " + HeaderUser + " counts from keys with on_behalf"}
		}
		c.user = u
	}
	if c.key == nil {
		c.tags = commaList(h.Get(HeaderTags))
	}
	for _, v := range append(append([]string{c.user}, c.agents...), c.tags...) {
		if !plainName(v) {
			return &refusedCaller{"a name in the headers is longer than 256 bytes or has control characters"}
		}
	}
	return nil
}

func commaList(v string) []string {
	if v == "" {
		return nil
	}
	var out []string
	for _, s := range strings.Split(v, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func plainName(s string) bool {
	return len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Source is one way to find out which session a request belongs to.
type Source struct {
	Name string
	Doc  string
	// find returns the session's name, empty where the source has none. An error refuses the request.
	find func(s *Server, by *Identity, r *http.Request, c *caller) (id string, err error)
}

// DefaultSources are the sources in the order that holds unless configured otherwise.
func DefaultSources() []Source { return []Source{FromHandle, FromHeader, FromToken, FromTrace} }

// Sources lists every source, for configuration.
func Sources() []Source { return DefaultSources() }

// FromHandle reads the handle that an earlier answer gave, from the header or from a path that begins with /s/HANDLE. It is signed for one caller; in the hands of another it is refused.
var FromHandle = Source{Name: "handle", Doc: "the signed handle of an earlier answer, in " + HeaderSession + " or as the path /s/HANDLE", find: func(s *Server, by *Identity, r *http.Request, c *caller) (string, error) {
	h := r.PathValue("handle")
	if v := r.Header.Get(HeaderSession); h == "" && strings.HasPrefix(v, handlePrefix) {
		h = v
	}
	if h == "" {
		return "", nil
	}
	id, ok := s.openHandle(h, c.principal)
	if !ok {
		return "", &refusedCaller{"the session handle is not this caller's; leave it out to begin a session"}
	}
	return id, nil
}}

// FromHeader reads a name of the caller's own. Callers are told apart, so that one cannot name the session of another.
var FromHeader = Source{Name: "header", Doc: HeaderSession + ", a name of the caller's own", find: func(s *Server, by *Identity, r *http.Request, c *caller) (string, error) {
	v := r.Header.Get(HeaderSession)
	if v == "" || strings.HasPrefix(v, handlePrefix) {
		return "", nil
	}
	if !plainName(v) {
		return "", &refusedCaller{HeaderSession + " is longer than 256 bytes or has control characters"}
	}
	return c.principal + "/h:" + v, nil
}}

// FromToken reads a claim of a verified token.
var FromToken = Source{Name: "token", Doc: "a claim of a verified token", find: func(s *Server, by *Identity, r *http.Request, c *caller) (string, error) {
	claim := by.Claim
	if claim == "" {
		claim = "sid"
	}
	v, _ := c.claims[claim].(string)
	if v == "" || !plainName(v) {
		return "", nil
	}
	return c.principal + "/j:" + v, nil
}}

// FromTrace reads the trace id of a W3C traceparent header: all requests of one trace are one session.
var FromTrace = Source{Name: "trace", Doc: "the trace id of traceparent", find: func(s *Server, by *Identity, r *http.Request, c *caller) (string, error) {
	id := traceID(r.Header.Get("Traceparent"))
	if id == "" {
		return "", nil
	}
	return c.principal + "/t:" + id, nil
}}

// traceID is the trace id of a traceparent (W3C Trace Context): version, 32 hex digits that are not all zero, 16, flags.
func traceID(v string) string {
	parts := strings.Split(v, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || len(parts[1]) != 32 || parts[0] == "ff" || strings.Trim(parts[1], "0") == "" {
		return ""
	}
	if _, err := hex.DecodeString(parts[1]); err != nil || strings.ToLower(parts[1]) != parts[1] {
		return ""
	}
	return parts[1]
}

// identify finds the caller and the session of a request.
func (s *Server) identify(r *http.Request, g *generation) (identity, error) {
	by := &g.terms.Identity
	c, err := s.whoIs(r, g.rules.Keys, by)
	if err != nil {
		return identity{}, err
	}
	who := identity{caller: c, overlays: commaList(r.Header.Get(HeaderOverlay))}
	for _, src := range by.Sources {
		id, err := src.find(s, by, r, &c)
		if err != nil {
			return who, err
		}
		if id != "" {
			who.session, who.resolved = id, true
			break
		}
	}
	if !who.resolved {
		var b [12]byte
		rand.Read(b[:])
		who.session = c.principal + "/n:" + hex.EncodeToString(b[:])
	}
	who.handle = s.makeHandle(who.session, c.principal)
	return who, nil
}

const handlePrefix = "pvs_"

// Handle returns the handle of a new session of the local caller, for a child process whose base URL it becomes a part of.
func (s *Server) Handle() string {
	var b [12]byte
	rand.Read(b[:])
	return s.makeHandle("local/n:"+hex.EncodeToString(b[:]), anyone)
}

// anyone is the principal of handles that are enough by themselves: who holds one may go on with its session.
const anyone = "*"

// makeHandle signs a session for a caller.
func (s *Server) makeHandle(session, principal string) string {
	flag := "p"
	if principal == anyone {
		flag = "a"
	}
	return handlePrefix + flag + base64.RawURLEncoding.EncodeToString([]byte(session)) + "." + s.sign("handle", principal+"\x00"+session)[:43]
}

func (s *Server) openHandle(h, principal string) (session string, ok bool) {
	body, sig, found := strings.Cut(strings.TrimPrefix(h, handlePrefix), ".")
	if !strings.HasPrefix(h, handlePrefix) || !found || len(body) < 2 || len(h) > 1024 {
		return "", false
	}
	if body[0] == 'a' {
		principal = anyone
	}
	b, err := base64.RawURLEncoding.DecodeString(body[1:])
	if err != nil || !hmac.Equal([]byte(sig), []byte(s.sign("handle", principal+"\x00"+string(b))[:43])) {
		return "", false
	}
	return string(b), true
}

// sign is HMAC-SHA-256 under the server's secret, in unpadded base64url.
func (s *Server) sign(purpose, text string) string {
	m, _ := s.macs.Get().(hash.Hash)
	if m == nil {
		m = hmac.New(sha256.New, []byte(s.secret))
	}
	defer s.macs.Put(m)
	m.Reset()
	io.WriteString(m, purpose+"\x00"+text)
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(m.Sum(sum[:0]))
}

// start is the event that begins a session.
func (who *identity) start() *proviso.Lifecycle {
	return &proviso.Lifecycle{Kind: "start", User: who.user}
}
