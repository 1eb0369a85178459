package gateway

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/flow"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Route says what is enforced on one path.
type Route struct {
	Method string       `json:"method"`
	Path   string       `json:"path"`
	Wire   string       `json:"wire,omitempty"`
	Text   string       `json:"text,omitempty"`  // what happens to streamed text: "flows", "windows of N bytes", "windows of N words", both, or "held"
	Calls  string       `json:"calls,omitempty"` // what happens to streamed calls: always "held"
	Points []RoutePoint `json:"points"`
}

// RoutePoint is the rules that speak at one point of a route.
type RoutePoint struct {
	Point    proviso.Point `json:"point"`
	Enforced []string      `json:"enforced,omitempty"` // ids of rules
	Audited  []string      `json:"audited,omitempty"`  // rules that only say what they would do
	Default  string        `json:"default"`            // what holds where no rule speaks
}

// wirePoints are the points that every wire passes. The end of a session is told to the decision API only.
var wirePoints = []proviso.Point{proviso.SessionStart, proviso.Input, proviso.ModelRequestPoint, proviso.ToolListPoint, proviso.ModelResponsePoint, proviso.Output, proviso.ToolCallPoint, proviso.ToolResultPoint}

// countPoints are the points that a request passes whose tokens are counted; no model answers it.
var countPoints = []proviso.Point{proviso.SessionStart, proviso.Input, proviso.ModelRequestPoint, proviso.ToolListPoint, proviso.ToolResultPoint}

// Routes lists what of a policy is enforced on which path. TestRoutes, TestMatrix and TestCountTokens show that the list is true.
func Routes(p *policy.Policy) []Route {
	text := flow.Of(p).String()
	var out []Route
	for _, w := range Wires {
		out = append(out, Route{Method: "POST", Path: w.Path(), Wire: w.Name(), Text: text, Calls: "held", Points: pointsOf(p, wirePoints)})
	}
	out = append(out, Route{Method: "POST", Path: countPath, Points: pointsOf(p, countPoints)})
	return append(out, Route{Method: "POST", Path: "/v1/decide", Points: pointsOf(p, proviso.Points())})
}

func pointsOf(p *policy.Policy, points []proviso.Point) []RoutePoint {
	var out []RoutePoint
	for _, at := range points {
		rp := RoutePoint{Point: at, Default: "allow"}
		if at == proviso.ToolCallPoint {
			rp.Default = "deny unless granted"
		}
		for _, pk := range p.Packs() {
			if o, ok := pk.Defaults.Outcome[at]; ok {
				rp.Default = o.String()
			}
			if pk.Defaults.OnError[at] == proviso.Allow {
				rp.Default += ", allow on errors"
			}
		}
		for _, r := range p.Rules() {
			if !slices.Contains(r.Points, at) {
				continue
			}
			switch r.Mode {
			case pack.Enforce:
				rp.Enforced = append(rp.Enforced, r.ID)
			case pack.Audit:
				rp.Audited = append(rp.Audited, r.ID)
			}
		}
		out = append(out, rp)
	}
	return out
}

// Effective is the policy that holds for a subject.
type Effective struct {
	Policy string          `json:"policy"`
	Packs  []EffectivePack `json:"packs"`
	Rules  []EffectiveRule `json:"rules"`
	Tools  []EffectiveTool `json:"tools"`
}

// EffectivePack is a pack and why it holds: "base", or the globs by which it is attached.
type EffectivePack struct {
	Name   string `json:"name"`
	Rank   string `json:"rank"`
	Origin string `json:"origin"`
}

// EffectiveRule is a rule and the pack that it comes from.
type EffectiveRule struct {
	ID      string   `json:"id"`
	Pack    string   `json:"pack"`
	Clauses []string `json:"clauses,omitempty"`
	Mode    string   `json:"mode"`
	At      string   `json:"at"` // its place in the file
}

// EffectiveTool is a tool and how its calls are decided, whatever they say: "never" and "always" allowed, or "depends".
type EffectiveTool struct {
	Name     string `json:"name"`
	Standing string `json:"standing"`
	Stateful bool   `json:"stateful,omitempty"` // what happened before takes part
}

// Which says which policy holds for a subject. One that names a virtual key has the tags of that key, and its agent where it names none, as a request with the key has.
func (r *Rules) Which(s Subject) (*Effective, error) {
	if s.Key != "" && len(r.Keys) > 0 {
		i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == s.Key })
		if i < 0 {
			return nil, fmt.Errorf("%w: no key has the id %q; see keys of the settings", errConfig, s.Key)
		}
		s.Tags = slices.Concat(r.Keys[i].Tags, s.Tags)
		if len(s.Agents) == 0 {
			s.Agents = commaList(r.Keys[i].Agent)
		}
	}
	packs, attached := r.packsFor(s, nil)
	p, found := policy.Compile(packs...)
	if p == nil {
		return nil, worst(found)
	}
	out := &Effective{Policy: p.Digest()}
	for _, b := range r.Base {
		out.Packs = append(out.Packs, EffectivePack{b.Name, b.Rank.String(), "base"})
	}
	for _, a := range attached {
		for _, b := range a.Packs {
			out.Packs = append(out.Packs, EffectivePack{b.Name, b.Rank.String(), a.origin()})
		}
	}
	for _, x := range p.Rules() {
		e := EffectiveRule{ID: x.ID, Pack: x.Pack, Mode: x.Mode.String(), At: x.Pos.String()}
		for _, c := range x.Clauses {
			e.Clauses = append(e.Clauses, c.ID)
		}
		out.Rules = append(out.Rules, e)
	}
	t := traitsOf(p)
	for _, n := range p.Tools() {
		out.Tools = append(out.Tools, EffectiveTool{n, standings[p.Standing(n, s.Agents)], t.tools[n].stateful})
	}
	sort.SliceStable(out.Rules, func(i, j int) bool { return out.Rules[i].Pack < out.Rules[j].Pack })
	return out, nil
}

var standings = [...]string{policy.Never: "never", policy.Depends: "depends", policy.Always: "always"}

// origin tells by what an attachment names its subjects.
func (a *Attachment) origin() string {
	out := "attached"
	for _, l := range []struct {
		what  string
		globs []string
	}{{"agents", a.Agents}, {"keys", a.Keys}, {"tags", a.Tags}, {"routes", a.Routes}} {
		for _, g := range l.globs {
			out += " " + l.what + "=" + g
		}
	}
	return out
}

// Line is one line for people: what it is about, and what is to be said.
type Line struct{ Label, Text string }

// Lines says a route to people.
func (r *Route) Lines() []Line {
	var out []Line
	if r.Wire != "" {
		out = append(out, Line{"streams", "text " + r.Text + ", calls " + r.Calls + " until their arguments are whole and decided"})
	}
	for _, p := range r.Points {
		words := p.Default
		switch {
		case p.Enforced != nil:
			words = strings.Join(p.Enforced, ", ")
		case p.Point == proviso.SessionEnd:
			words = "verdicts only"
		}
		if p.Audited != nil {
			words += "; only audited: " + strings.Join(p.Audited, ", ")
		}
		out = append(out, Line{p.Point.String(), words})
	}
	return out
}

// Lines says an effective policy to people: its packs, rules and tools.
func (e *Effective) Lines() (packs, rules, tools []Line) {
	for _, p := range e.Packs {
		packs = append(packs, Line{p.Name, fmt.Sprintf("%-6s%s", p.Rank, p.Origin)})
	}
	for _, r := range e.Rules {
		mode := ""
		if r.Mode != pack.Enforce.String() {
			mode = " (" + r.Mode + ")"
		}
		rules = append(rules, Line{r.Pack, r.ID + mode + "  " + strings.Join(append(r.Clauses, r.At), " ")})
	}
	for _, t := range e.Tools {
		past := ""
		if t.Stateful {
			past = ", what happened before takes part"
		}
		tools = append(tools, Line{t.Standing, t.Name + past})
	}
	return packs, rules, tools
}
