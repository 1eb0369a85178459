package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/policy/pack"
)

// An overlay is a pack that is attached to one session while it runs. Packs of different ranks intersect, so that it can only narrow; what could widen is refused before.
type overlay struct {
	// Name is one of those that the configuration offers; else Files is a pack of its own, by name of file.
	Name  string            `json:"name,omitempty"`
	Files map[string]string `json:"files,omitempty"`
}

// maxOverlays bounds the overlays of one session.
const maxOverlays = 16

// OverlayError tells why an overlay is not attached.
type OverlayError struct{ Msg string }

// Error says what is wrong, and the code.
func (e *OverlayError) Error() string { return e.Msg + " [" + CodeOverlay + "]" }

// load reads an overlay and refuses what could widen.
func (o *overlay) load(offered map[string]*pack.Pack, base []*pack.Pack) (*pack.Pack, error) {
	p := offered[o.Name]
	switch {
	case o.Name != "" && p == nil:
		return nil, &OverlayError{fmt.Sprintf("no overlay %q is offered; list it under overlays, or send its files", o.Name)}
	case o.Name == "" && len(o.Files) == 0:
		return nil, &OverlayError{"give the name of an overlay, or files"}
	case p == nil:
		files := fstest.MapFS{}
		for name, text := range o.Files {
			if !fs.ValidPath(name) {
				return nil, &OverlayError{fmt.Sprintf("%q is no name of a file in a pack", name)}
			}
			files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
		}
		var found proviso.Diagnostics
		if p, found = pack.Load(files, "."); p == nil || found.Worst(proviso.Error) {
			return nil, &OverlayError{"the overlay does not load: " + worst(found).Error()}
		}
	}
	if msg := widens(p, base); msg != "" {
		return nil, &OverlayError{"the overlay " + p.Name + " " + msg}
	}
	return p, nil
}

// widens says by what an overlay could permit more than the packs beside it do; empty where it cannot.
func widens(p *pack.Pack, base []*pack.Pack) string {
	switch {
	case p.Rank == pack.Org:
		return "has the rank org; give it the rank user or task"
	case len(p.Tools) > 0 || len(p.Reads) > 0:
		return "describes tools; they are the standing policy's"
	case len(p.Trusted) > 0 || len(p.Labels) > 0 || len(p.Keys) > 0 || len(p.Session) > 0:
		return "says what is trusted, what origins are called, what a proposal names or what a session has; that is the standing policy's"
	case len(p.Overrides) > 0 || len(p.Scopes) > 0 || len(p.Attach) > 0:
		return "has overrides, scopes or attachments"
	case len(p.Defaults.OnError) > 0 || p.Defaults.Extra == "allow":
		return "opens a point on errors, or arguments that no schema names"
	case p.Timezone.S != "" || p.Clock.S != "" && p.Clock.S != "event":
		return "sets the time"
	}
	for _, b := range base {
		for _, t := range b.Tables {
			if slices.ContainsFunc(p.Tables, func(x pack.Table) bool { return x.Name == t.Name }) {
				return "has a table " + t.Name + ", which another pack has"
			}
		}
	}
	return ""
}

// overlayStore keeps which overlays are attached to which session, in one file for each session, or in memory only where it has no folder. There it keeps them for as long as the process lives:
// a session that lost one would be wider.
type overlayStore struct {
	dir string
	s   *Server

	mu     sync.Mutex
	memory map[string][]overlay
}

// maxInMemory bounds the sessions that have overlays where these are kept in memory only.
const maxInMemory = 1 << 16

// kept is the file of a session.
type kept struct {
	Session  string    `json:"session"`
	Overlays []overlay `json:"overlays"`
}

func (o *overlayStore) file(session string) string {
	sum := sha256.Sum256([]byte(session))
	return filepath.Join(o.dir, hex.EncodeToString(sum[:])+".json")
}

// restore gives a conversation the overlays that were attached to its session. Where they cannot be read the session does not go on: without them it would be wider.
func (o *overlayStore) restore(c *conversation) error {
	sources, err := o.read(c.id)
	rules := o.s.gen.Load().rules
	packs := make([]*pack.Pack, len(sources))
	for i := range sources {
		if err == nil {
			packs[i], err = sources[i].load(rules.Overlays, rules.Base)
		}
	}
	if err != nil {
		return fmt.Errorf("the overlays of the session cannot be restored: %w", err)
	}
	c.overlays, c.sources = packs, sources
	return nil
}

// read returns what keep was given last for a session.
func (o *overlayStore) read(session string) ([]overlay, error) {
	if o.dir == "" {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.memory[session], nil
	}
	b, err := os.ReadFile(o.file(session))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var k kept
	if err == nil {
		err = proviso.DecodeStrict(b, &k)
	}
	if err == nil && k.Session != session {
		err = errors.New("the file is another session's")
	}
	return k.Overlays, err
}

// keep writes the overlays of a session down, durably where there is a folder, before they count.
func (o *overlayStore) keep(session string, list []overlay) error {
	if o.dir == "" {
		return o.remember(session, list)
	}
	b, err := proviso.AppendJSON(nil, kept{session, list})
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	return durable.Replace(o.file(session), b, 0o600)
}

func (o *overlayStore) remember(session string, list []overlay) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.memory[session]; !ok && len(o.memory) >= maxInMemory {
		return fmt.Errorf("%d sessions have overlays in memory already; give the server a folder for them", maxInMemory)
	}
	if o.memory == nil {
		o.memory = map[string][]overlay{}
	}
	o.memory[session] = list
	return nil
}

// attach gives a session that somebody holds one more overlay; one that it has already changes nothing. It counts from the next decision on.
func (s *Server) attach(ctx context.Context, gen *generation, who *identity, c *conversation, route string, o overlay) error {
	p, err := o.load(gen.rules.Overlays, gen.rules.Base)
	if err != nil {
		return err
	}
	digest := pack.Digest([]*pack.Pack{p})
	for _, have := range c.overlays {
		if pack.Digest([]*pack.Pack{have}) == digest {
			return nil
		}
	}
	if len(c.overlays) >= maxOverlays {
		return &OverlayError{fmt.Sprintf("the session has %d overlays already", maxOverlays)}
	}
	packs := append(slices.Clip(c.overlays), p)
	at, err := gen.bind(Subject{Agents: who.agents, Key: who.keyID(), Tags: who.tags, Route: route}, packs)
	if err != nil {
		return &OverlayError{err.Error()}
	}
	sources := append(slices.Clip(c.sources), o)
	if err := s.overlays.keep(c.id, sources); err != nil {
		return fmt.Errorf("the overlay could not be written down: %w", err)
	}
	if err := c.bind(ctx, at); err != nil {
		return err
	}
	c.overlays, c.sources = packs, sources
	s.counts.attached.Add(1)
	return nil
}

// serveAttach is POST /v1/session/overlays: {"session": …, "name": …} or {"session": …, "files": {"proviso.yaml": …, "rules.yaml": …}}.
func (s *Server) serveAttach(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Session string            `json:"session"`
		Name    string            `json:"name"`
		Files   map[string]string `json:"files"`
	}
	refuse := func(w http.ResponseWriter, status int, code, msg string) {
		answerJSON(w, status, map[string]any{"attached": false, "error": msg + " [" + code + "]"})
	}
	ok, free := s.read(w, r, &q, refuse)
	defer free()
	if !ok {
		return
	}
	gen := s.gen.Load()
	s.visited(w, r, "decide", q.Session, refuse, func(v *visit) {
		if !v.who.resolved {
			refuse(w, http.StatusBadRequest, CodeOverlay, "the request names no session; send "+HeaderSession)
			return
		}
		if err := s.attach(r.Context(), gen, &v.who, v.conv, "decide", overlay{q.Name, q.Files}); err != nil {
			status := http.StatusServiceUnavailable
			var bad *OverlayError
			if errors.As(err, &bad) {
				status = http.StatusUnprocessableEntity
			}
			answerJSON(w, status, map[string]any{"attached": false, "error": err.Error()})
			return
		}
		v.conv.mu.Lock()
		digest := v.conv.at.policy.Digest()
		v.conv.mu.Unlock()
		answerJSON(w, http.StatusOK, map[string]any{"attached": true, "overlays": len(v.conv.overlays), "policy": digest})
	})
}
