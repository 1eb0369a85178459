package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// generation is one version of everything that is enforced. A request holds the one that it began with until it ends.
type generation struct {
	number int
	rules  *Rules
	loaded time.Time
	back   string // that a pack went back to a lower version, which is told as long as the generation is active
	terms  *terms
	base   *bound
	make   func(*policy.Policy) *guard.Guard

	mu    sync.Mutex
	bound map[string]*bound
}

// bound is one compiled policy with the guard that enforces it.
type bound struct {
	policy *policy.Policy
	guard  *guard.Guard
	traits *traits
}

// maxBound is how many combinations of packs a generation compiles.
const maxBound = 4096

func newGeneration(n int, rules *Rules, by *terms, at time.Time, guards func(*policy.Policy) *guard.Guard) (*generation, error) {
	g := &generation{number: n, rules: rules, terms: by, loaded: at, make: guards, bound: map[string]*bound{}}
	var err error
	if g.base, err = g.compile(rules.Base); err != nil {
		return nil, err
	}
	// Every attachment has to work beside the base before the generation counts.
	for _, a := range rules.Attached {
		if _, err := g.compile(append(append([]*pack.Pack(nil), rules.Base...), a.Packs...)); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// compile returns the policy of these packs and its guard, made once.
func (g *generation) compile(packs []*pack.Pack) (*bound, error) {
	key := pack.Digest(packs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.bound[key]; b != nil {
		return b, nil
	}
	if len(g.bound) >= maxBound {
		return nil, fmt.Errorf("gateway: more than %d combinations of packs are attached; attach fewer", maxBound)
	}
	p, found := policy.Compile(packs...)
	if p == nil {
		return nil, fmt.Errorf("gateway: the packs do not compile together: %w", worst(found))
	}
	b := &bound{p, g.make(p), traitsOf(p)}
	g.bound[key] = b
	return b, nil
}

// worst returns the errors among findings.
func worst(found proviso.Diagnostics) proviso.Diagnostics {
	var out proviso.Diagnostics
	for _, d := range found {
		if d.Severity == proviso.Error {
			out = append(out, d)
		}
	}
	return out
}

// Subject is what decides which packs hold for a request.
type Subject struct {
	Agents []string // the agent, and those that handed the work to it
	Key    string   // the id of the virtual key
	Tags   []string
	Route  string // the name of the wire, "decide", or what another door calls itself
}

// packsFor lists the packs that hold for a subject: the base, what is attached, and the session's own overlays.
func (r *Rules) packsFor(s Subject, overlays []*pack.Pack) (packs []*pack.Pack, attached []Attachment) {
	packs = append(packs, r.Base...)
	for _, a := range r.Attached {
		if a.names(s) {
			packs = append(packs, a.Packs...)
			attached = append(attached, a)
		}
	}
	return append(packs, overlays...), attached
}

// names reports whether an attachment is for the subject.
func (a *Attachment) names(s Subject) bool {
	agents := s.Agents
	if len(agents) == 0 {
		agents = []string{""}
	}
	return anyOf(a.Agents, agents) && anyOf(a.Keys, []string{s.Key}) && anyOf(a.Tags, s.Tags) && anyOf(a.Routes, []string{s.Route})
}

// anyOf reports whether one of the globs matches one of the names; no globs match everything.
func anyOf(globs, names []string) bool {
	for _, g := range globs {
		for _, n := range names {
			if pack.Match(g, n) {
				return true
			}
		}
	}
	return len(globs) == 0
}

func (g *generation) bind(s Subject, overlays []*pack.Pack) (*bound, error) {
	packs, _ := g.rules.packsFor(s, overlays)
	if len(packs) == len(g.rules.Base) {
		return g.base, nil
	}
	return g.compile(packs)
}

// guards calls f for each guard of the generation.
func (g *generation) guards(f func(*guard.Guard)) {
	g.mu.Lock()
	list := make([]*guard.Guard, 0, len(g.bound))
	for _, b := range g.bound {
		list = append(list, b.guard)
	}
	g.mu.Unlock()
	for _, x := range list {
		f(x)
	}
}

// Reload reads what is enforced again and lets it count from the next request on. Where it cannot be read or does not compile, what stood before goes on, and the error says why.
func (s *Server) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	rules, err := s.cfg.Load(ctx)
	if err == nil && len(rules.Base) == 0 {
		err = fmt.Errorf("gateway: no pack is given; name the folder of one")
	}
	n := 1
	var before *terms
	if old := s.gen.Load(); old != nil {
		n, before = old.number+1, old.terms
	}
	var by *terms
	if err == nil {
		by, err = termsOf(s.termsIn(rules), before)
	}
	var next *generation
	if err == nil {
		next, err = newGeneration(n, rules, by, s.now(), func(p *policy.Policy) *guard.Guard { return s.newGuard(p, by.Limits.Sessions) })
	}
	if err != nil {
		s.counts.reloadsFailed.Add(1)
		s.reloadError.Store(&reloadFailure{s.now(), err.Error()})
		return err
	}
	s.convs.bound(by.Limits.Sessions, by.Limits.SessionIdle)
	if old := s.gen.Load(); old != nil {
		if next.back = wentBack(old.rules, rules); next.back != "" {
			s.counts.wentBack.Add(1)
			s.log().Warn("policy went back", "generation", next.number, "why", next.back)
		}
	}
	if old := s.gen.Swap(next); old != nil {
		s.counts.retire(old)
		if old.terms.client != by.client {
			old.terms.letGo()
		}
	}
	s.reloadError.Store(nil)
	s.counts.reloads.Add(1)
	s.log().Info("policy active", "generation", next.number, "digest", next.base.policy.Digest(), "packs", names(rules.Base))
	return nil
}

// wentBack says which pack has a lower version than it had; empty where none has, or where versions are no numbers. Going back is what people do when something went wrong, so that it is told and not refused.
func wentBack(old, next *Rules) string {
	for _, p := range next.Base {
		for _, was := range old.Base {
			if p.Name == was.Name && pack.Older(p.Version, was.Version) {
				return "the pack " + p.Name + " went back from version " + was.Version + " to " + p.Version
			}
		}
	}
	return ""
}

// termsIn are the terms that rules come with, or those of the configuration.
func (s *Server) termsIn(rules *Rules) Terms {
	if rules.Terms != nil {
		return *rules.Terms
	}
	return Terms{s.cfg.Upstreams, s.cfg.Identity, s.cfg.Limits}
}

func names(packs []*pack.Pack) string {
	var out []string
	for _, p := range packs {
		out = append(out, p.Name+" "+p.Version)
	}
	return strings.Join(out, ", ")
}

// reloadFailure is why the last attempt to reload failed.
type reloadFailure struct {
	At  time.Time
	Why string
}
