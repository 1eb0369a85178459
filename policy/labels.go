package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/policy/schema"
)

// SourceLabels returns the names that the packs give to a source of values: user, system, tool:NAME or tool:NAME.FIELD. The result is sorted.
func (p *Policy) SourceLabels(source string) []string {
	var out []string
	for _, pk := range p.packs {
		out = append(out, pk.SourceLabels(source)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// LabelNames returns the names that the packs give to sources of values, sorted.
func (p *Policy) LabelNames() []string {
	var out []string
	for _, pk := range p.packs {
		out = append(out, pk.LabelNames()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Traced tells a session what to keep account of: the labels that conditions compare origins with, sorted; tracks is false where no condition asks for an origin at all.
func (p *Policy) Traced() (labels []string, tracks bool) { return p.traced, p.tracks }

// AsksConsent reports whether a condition asks confirmed(call).
func (p *Policy) AsksConsent() bool { return p.consents }

// labels declares what the packs call sources, and collects every label that can be.
func (c *compiler) labels() {
	c.space.Labels = map[string]bool{}
	for _, l := range pack.SessionLabels {
		c.space.Labels[l] = true
	}
	owner := map[string]*pack.Pack{}
	for _, pk := range c.p.packs {
		for _, n := range pk.LabelNames() {
			if o := owner[n]; o != nil && o.Rank != pk.Rank {
				c.diag(labelPos(pk, n), codeConflict, fmt.Sprintf("label %s belongs to pack %s, which has a higher rank", n, o.Name), "choose another name: an overlay must not widen what a label says")
			}
			owner[n], c.space.Labels[n] = pk, true
		}
	}
	for n, t := range c.p.tools {
		c.space.Labels["tool:"+n] = true
		c.fields("tool:"+n, t.result)
	}
	for _, pk := range c.p.packs {
		for _, l := range pk.Labels {
			for _, from := range l.From {
				c.meant(from)
			}
		}
	}
}

func labelPos(pk *pack.Pack, name string) proviso.Pos {
	for _, l := range pk.Labels {
		if l.Name.S == name {
			return l.Name.Pos
		}
	}
	return pk.Trusted[0].Pos
}

// fields adds the labels of a result's fields; a result without a schema may have any.
func (c *compiler) fields(at string, s *schema.Shape) {
	if s == nil || s.Kind == schema.AnyKind || s.Kind == schema.MapKind || s.Open {
		c.space.Labels[at+".*"] = true
	}
	if s == nil {
		return
	}
	if s.Elem != nil {
		c.fields(at, s.Elem)
	}
	for _, n := range s.Names {
		c.space.Labels[at+"."+n] = true
		c.fields(at+"."+n, s.Fields[n].Shape)
	}
}

// meant checks one entry of a label: something has to be meant by it.
func (c *compiler) meant(from pack.Text) {
	for l := range c.space.Labels {
		if name, ok := strings.CutPrefix(l, "tool:"); from.S == l || ok && pack.Match(from.S, name) {
			return
		}
	}
	if c.anyField(func(tool string) bool { return pack.Match(beforeDot(from.S), tool) }) {
		return
	}
	names := append([]string{pack.LabelUser, pack.LabelSystem}, c.toolNames...)
	c.diag(from.Pos, condition.CodeUndeclared, fmt.Sprintf("no tool, and no field of a result, matches %q", from.S), proviso.DidYouMean(from.S, names))
}

func beforeDot(s string) string {
	s, _, _ = strings.Cut(s, ".")
	return s
}

// anyField reports whether a tool whose result may have any field is meant.
func (c *compiler) anyField(meant func(tool string) bool) bool {
	return slices.ContainsFunc(c.toolNames, func(n string) bool { return c.p.tools[n].result == nil && meant(n) })
}
