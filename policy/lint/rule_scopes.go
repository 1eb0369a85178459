package lint

import (
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

func unreachableScope(s *Subject) (out proviso.Diagnostics) {
	for _, x := range s.Pack.Scopes {
		if len(x.Push) == 0 {
			out = append(out, found(x.Name.Pos, fmt.Sprintf("nothing enters scope %s, so that its rules and grants never hold", x.Name.S), "add push: handoff('name'), call('tool') or result('tool')"))
		}
	}
	return out
}

// endlessScope looks at scopes that a tool enters and nothing leaves. One that a handoff enters ends with the handoff's return.
func endlessScope(s *Subject) (out proviso.Diagnostics) {
	for _, x := range s.Pack.Scopes {
		byTool := false
		for _, m := range x.Push {
			byTool = byTool || m.Kind != "handoff"
		}
		if byTool && len(x.Pop) == 0 {
			out = append(out, found(x.Name.Pos, fmt.Sprintf("nothing leaves scope %s but a return", x.Name.S), "add pop: result('tool') for the tool that ends the work"))
		}
	}
	return out
}

func unusedScopeGlob(s *Subject) (out proviso.Diagnostics) {
	ids := make([]string, len(s.Pack.Rules))
	for i, r := range s.Pack.Rules {
		ids[i] = r.ID.S
	}
	for _, x := range s.Pack.Scopes {
		for _, g := range x.Rules {
			hit := false
			for _, id := range ids {
				hit = hit || pack.Match(g.S, id)
			}
			if !hit {
				hint := "correct it, or add the rule"
				if near := proviso.Nearest(g.S, ids); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
				out = append(out, found(g.Pos, fmt.Sprintf("scope %s: no rule matches %q", x.Name.S, g.S), hint))
			}
		}
	}
	return out
}

// deadOverride looks at overrides that lift nothing: the rule does not exist or does not deny, or the time is over when the pack's own clock stands.
func deadOverride(s *Subject) (out proviso.Diagnostics) {
	for _, o := range s.Pack.Overrides {
		var target *pack.Rule
		for _, p := range s.Packs {
			for i := range p.Rules {
				if id := p.Rules[i].ID.S; o.Lifts.S == id || o.Lifts.S == p.Name+":"+id {
					target = &p.Rules[i]
				}
			}
		}
		clock, err := parseClock(s.Pack.Clock.S)
		switch {
		case target == nil && len(s.Packs) > 1:
			out = append(out, found(o.Lifts.Pos, fmt.Sprintf("override lifts rule %q, which no pack has", o.Lifts.S), "correct the name, or delete the override"))
		case target != nil && (target.Mode != pack.Enforce || target.Else.Outcome != proviso.Deny):
			out = append(out, found(o.Lifts.Pos, fmt.Sprintf("override lifts rule %s, which denies nothing", o.Lifts.S), "delete the override"))
		case err == nil && !o.Until.After(clock):
			out = append(out, found(o.Pos, fmt.Sprintf("override of rule %s has ended before the clock of the pack", o.Lifts.S), "delete the override, or extend it"))
		}
	}
	return out
}
