package lint

import (
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// eachGrant calls f for the grants of a pack, those of scopes included.
func eachGrant(p *pack.Pack, f func(g *pack.Grant)) {
	for i := range p.Grants {
		f(&p.Grants[i])
	}
	for i := range p.Scopes {
		for j := range p.Scopes[i].Grants {
			f(&p.Scopes[i].Grants[j])
		}
	}
}

// unusedGlobs reports globs that match none of the tools.
func (s *Subject) unusedGlobs(globs []pack.Text, what string) (out proviso.Diagnostics) {
	if len(s.names) == 0 {
		return nil
	}
	for _, g := range globs {
		if len(s.matching([]pack.Text{g})) == 0 {
			out = append(out, found(g.Pos, fmt.Sprintf("%s %q matches no tool", what, g.S), unknownTool(g.S, s.names)))
		}
	}
	return out
}

func unknownTool(glob string, names []string) string {
	if near := proviso.Nearest(glob, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "correct it, delete it, or publish the tool in tools.json"
}

func unusedGrant(s *Subject) (out proviso.Diagnostics) {
	eachGrant(s.Pack, func(g *pack.Grant) { out = append(out, s.unusedGlobs(g.Tools, "grant")...) })
	return out
}

// ungrantedTool looks at tools that can never be called. Only the pack that publishes a tool is told, and only where grants are stated at all.
func ungrantedTool(s *Subject) (out proviso.Diagnostics) {
	for _, t := range s.Pack.Tools {
		if !s.granted(t.Name) {
			out = append(out, found(t.Pos, fmt.Sprintf("no grant covers tool %s: every call of it is denied", t.Name), "grant it, or take it away from the agent"))
		}
	}
	return out
}

// uncheckedWrite looks at tools that change something, are granted without a condition, and have no rule on their calls.
func uncheckedWrite(s *Subject) (out proviso.Diagnostics) {
	ruled := map[string]bool{}
	for _, p := range s.Packs {
		for i := range p.Rules {
			r := &p.Rules[i]
			if r.Mode == pack.Enforce && len(r.Tools) > 0 && hasPoint(r, proviso.ToolCallPoint) {
				for _, t := range s.ruleTools(r) {
					ruled[t] = true
				}
			}
		}
	}
	eachGrant(s.Pack, func(g *pack.Grant) {
		if g.When != nil {
			return
		}
		for _, glob := range g.Tools {
			for _, t := range s.matching([]pack.Text{glob}) {
				if !ruled[t] && !s.isRead(t) {
					ruled[t] = true // told once
					out = append(out, found(glob.Pos, fmt.Sprintf("tool %s is granted without a condition, has no rule, and is not declared to only read", t), "add a rule for it, or list it under reads:"))
				}
			}
		}
	})
	return out
}

func hasPoint(r *pack.Rule, p proviso.Point) bool {
	for _, on := range ruleOn(r) {
		if on == p {
			return true
		}
	}
	return false
}

// openGrant looks at grants that cover tools nobody has seen yet.
func openGrant(s *Subject) (out proviso.Diagnostics) {
	eachGrant(s.Pack, func(g *pack.Grant) {
		for _, glob := range g.Tools {
			if glob.S == "*" && g.When == nil {
				out = append(out, found(glob.Pos, "this grants every tool, those published later included", "name the tools, or the prefixes that only read"))
			}
		}
	})
	return out
}
