// Package policy compiles policy packs and decides: the pure heart of Proviso.
//
// Compile joins packs of different ranks, has every condition checked against the schemas of tools and facts (policy/condition), and lowers grants and
// rules to one expression tree per tool and point. Decide evaluates those trees over an Input (an event bound to the policy) and a View (what the session
// knows) and returns a Decision; Explain tells the state of every rule, and Reference is the slow, obvious evaluation that Decide is compared with for ever.
package policy

import (
	"sync"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// Policy is a compiled policy: immutable, safe for concurrent use.
type Policy struct {
	digest    string
	packs     []*pack.Pack
	tools     map[string]*tool
	names     []string // of tools, sorted
	points    map[proviso.Point]*program
	facts     []*fact
	factIndex map[string]int
	queries   []Query
	questions map[string]*question
	scopes    []*scope
	rules     []*rule
	data      map[string]any
	session   *schema.Shape
	loc       *time.Location
	zone      string
	clock     time.Time // zero: the event's time
	outcome   map[proviso.Point]proviso.Outcome
	onError   map[proviso.Point]bool
	atomic    bool
	traced    []string // labels that conditions name
	tracks    bool     // a condition asks for an origin
	consents  bool     // a condition asks confirmed(call)
	frames    sync.Pool
}

// Digest identifies clauses, tools, rules and tables; not tests, comments or order.
func (p *Policy) Digest() string { return p.digest }

// Packs returns the packs that the policy was compiled from. They must not be changed.
func (p *Policy) Packs() []*pack.Pack { return p.packs }

// Tools returns the names of all known tools, sorted.
func (p *Policy) Tools() []string { return p.names }

// Atomic reports whether siblings of a denied parallel call are to be denied as well.
func (p *Policy) Atomic() bool { return p.atomic }

// FactInfo is what a session has to know of a fact.
type FactInfo struct {
	Name      string
	Keys      []string // names of the key parts
	KeepFirst bool
	Initial   any // the value of entries that nothing was observed of, converted; nil where they are unknown
}

// Facts returns the compiled facts; their index is the number that the Facts of a view is asked for.
func (p *Policy) Facts() []FactInfo {
	out := make([]FactInfo, len(p.facts))
	for i, f := range p.facts {
		out[i] = FactInfo{f.name, f.keyNames(), f.keepFirst, f.initial}
	}
	return out
}

// FactNumber returns the index of a fact in Facts; ok is false where the policy has no such fact.
func (p *Policy) FactNumber(name string) (i int, ok bool) {
	i, ok = p.factIndex[name]
	return i, ok
}

// Queries returns the questions about the past that the conditions ask.
func (p *Policy) Queries() []Query { return p.queries }

// RuleInfo is what tools beside the evaluator have to know of a compiled rule.
type RuleInfo struct {
	ID      string
	Pack    string
	Clauses []proviso.Clause
	Points  []proviso.Point
	Tools   []string // the known tools that it applies to; empty for points without a tool
	Outcome proviso.Outcome
	Mode    pack.Mode
	Pos     proviso.Pos
}

// Rules lists the compiled rules in the order of their packs, those switched off included.
func (p *Policy) Rules() []RuleInfo {
	out := make([]RuleInfo, len(p.rules))
	for i, r := range p.rules {
		out[i] = RuleInfo{r.id, r.pack, r.clauses, r.points, r.tools, r.effect.Outcome, r.mode, r.pos}
	}
	return out
}

// Now returns the time that a decision about an event of time t has to use: the pack's fixed clock where it states one.
func (p *Policy) Now(t time.Time) time.Time {
	if !p.clock.IsZero() {
		return p.clock
	}
	return t
}

// SessionDefaults returns the session attributes that the packs declare, with their defaults; a session starts with these.
func (p *Policy) SessionDefaults() map[string]any {
	out := map[string]any{}
	for _, n := range p.session.Names {
		if f := p.session.Fields[n]; f.HasDefault {
			out[n] = f.Default
		}
	}
	return out
}

// SessionValue converts one session attribute to its declared type. It returns an error for an attribute that no pack declares.
func (p *Policy) SessionValue(name string, v any) (any, error) {
	f, ok := p.session.Fields[name]
	if !ok {
		return nil, &schema.Error{Path: name, Code: schema.CodeUnnamed, Msg: "no pack declares this session attribute" + hintSuffix(proviso.DidYouMean(name, p.session.Names))}
	}
	return f.Shape.Convert(v, name)
}

// FactValue converts a value to the schema of the fact with number i in Facts, as observing it in a tool result would. The value is not changed.
// The error says where the value does not conform; for a number out of range it says so.
func (p *Policy) FactValue(i int, v any) (any, error) {
	if i < 0 || i >= len(p.facts) {
		return nil, &schema.Error{Code: schema.CodeNonconforming, Msg: "the policy has no fact of this number"}
	}
	return p.facts[i].shape.Convert(v, "")
}
