package mcpproxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/proviso-dev/proviso"
)

// Pin is what was approved of a server under one name: the definition of a tool, or its instructions to the model. Definition is canonical JSON, so that a person can be shown what has changed.
type Pin struct {
	Digest     string       `json:"digest"`
	Definition proviso.JSON `json:"definition"`
	At         time.Time    `json:"at"`
	// By says who approved it; "first sight" for what a server showed when nothing of it was pinned.
	By string `json:"by"`
}

// Instructions is the name under which the instructions of a server are pinned. No tool has it.
const Instructions = "(instructions)"

// FirstSight is who approves what a server shows when nothing of it is pinned.
const FirstSight = "first sight"

// Pins keeps what was approved of each server. All its methods may be called at the same time.
// A server is known from the first Put on, even of nothing. A change is durable, or did not happen, when Put returns.
type Pins interface {
	// Get returns the pins of a server by name; known is false for a server of which nothing was pinned yet. The map is the caller's.
	Get(ctx context.Context, server string) (pins map[string]Pin, known bool, err error)
	// Put replaces the pins of a server.
	Put(ctx context.Context, server string, pins map[string]Pin) error
}

// MemoryPins keeps pins for the time of the process. The zero value is ready to use.
type MemoryPins struct {
	mu      sync.Mutex
	servers map[string]map[string]Pin
}

// Get returns the pins of a server.
func (m *MemoryPins) Get(_ context.Context, server string) (map[string]Pin, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pins, known := m.servers[server]
	return clonePins(pins), known, nil
}

// Put replaces the pins of a server.
func (m *MemoryPins) Put(_ context.Context, server string, pins map[string]Pin) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.servers == nil {
		m.servers = map[string]map[string]Pin{}
	}
	m.servers[server] = clonePins(pins)
	return nil
}

func clonePins(pins map[string]Pin) map[string]Pin {
	out := make(map[string]Pin, len(pins))
	for k, p := range pins {
		p.Definition = slices.Clone(p.Definition)
		out[k] = p
	}
	return out
}

// pinOf is the pin of a definition as it stands.
func pinOf(definition proviso.JSON, at time.Time, by string) Pin {
	sum := sha256.Sum256(definition)
	return Pin{Digest: hex.EncodeToString(sum[:]), Definition: definition, At: at.UTC(), By: by}
}

// Drift is one difference between what a server shows and what was approved of it.
type Drift struct {
	Server, Name string
	Kind         DriftKind
	// Was and Is are the definitions; Was is empty for what is new, Is for what is gone.
	Was, Is proviso.JSON
}

// DriftKind says what a difference is.
type DriftKind string

// The kinds of differences. What is gone is harmless; it is listed for people.
const (
	DriftNew     DriftKind = "new"
	DriftChanged DriftKind = "changed"
	DriftGone    DriftKind = "gone"
)

// Surface is all that a server shows of itself to a model, by name: the canonical definitions of its tools, and its instructions. Two tools of one name make that name unusable; it is in Twice.
type Surface struct {
	Server      string
	Definitions map[string]proviso.JSON
	Twice       []string

	tools        map[string]*mcp.Tool
	instructions string
	prefix       string // of the names that clients know
}

// surfaceOf is the surface of the tools and instructions of a server.
func surfaceOf(server, instructions string, tools []*mcp.Tool) (Surface, error) {
	s := Surface{Server: server, Definitions: map[string]proviso.JSON{}, tools: map[string]*mcp.Tool{}, instructions: instructions}
	for _, t := range tools {
		if _, twice := s.tools[t.Name]; twice {
			s.Twice = append(s.Twice, t.Name)
			continue
		}
		// What is hashed is what the client gets: the definition without the metadata that the proxy drops.
		bare := *t
		bare.Meta = nil
		b, err := json.Marshal(&bare)
		if err != nil {
			return s, err
		}
		v, err := proviso.DecodeResultJSON(b)
		if err != nil {
			return s, err
		}
		s.tools[t.Name], s.Definitions[t.Name] = &bare, proviso.CanonicalJSON(v)
	}
	for _, name := range s.Twice {
		delete(s.tools, name)
		delete(s.Definitions, name)
	}
	if instructions != "" {
		s.Definitions[Instructions] = proviso.CanonicalJSON(instructions)
	}
	return s, nil
}

// Differ compares a surface with what was approved.
func (s *Surface) Differ(pins map[string]Pin) []Drift {
	var out []Drift
	for name, is := range s.Definitions {
		pin, ok := pins[name]
		switch {
		case !ok:
			out = append(out, Drift{s.Server, name, DriftNew, nil, is})
		case pin.Digest != pinOf(is, time.Time{}, "").Digest:
			out = append(out, Drift{s.Server, name, DriftChanged, pin.Definition, is})
		}
	}
	for name, pin := range pins {
		if _, ok := s.Definitions[name]; !ok {
			out = append(out, Drift{s.Server, name, DriftGone, pin.Definition, nil})
		}
	}
	slices.SortFunc(out, func(a, b Drift) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return out
}

// Approve pins the named parts of a surface, or all of it where no names are given, and forgets those that are gone. Other parts keep the pins that they have.
func (s *Surface) Approve(ctx context.Context, pins Pins, by string, at time.Time, names ...string) error {
	old, _, err := pins.Get(ctx, s.Server)
	if err != nil {
		return err
	}
	next := map[string]Pin{}
	for name, is := range s.Definitions {
		if len(names) == 0 || slices.Contains(names, name) {
			if p := pinOf(is, at, by); p.Digest != old[name].Digest {
				next[name] = p
				continue
			}
		}
		if p, ok := old[name]; ok {
			next[name] = p
		}
	}
	return pins.Put(ctx, s.Server, next)
}
