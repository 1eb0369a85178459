package lint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

func unusedRuleGlob(s *Subject) (out proviso.Diagnostics) {
	for i := range s.Pack.Rules {
		out = append(out, s.unusedGlobs(s.Pack.Rules[i].Tools, "rule "+s.Pack.Rules[i].ID.S+":")...)
	}
	return out
}

// uselessRule looks at rules on tools of which none is granted: the call is denied anyway, and the rule's message is never heard.
func uselessRule(s *Subject) (out proviso.Diagnostics) {
	for i := range s.Pack.Rules {
		r := &s.Pack.Rules[i]
		tools := s.ruleTools(r)
		if len(r.Tools) == 0 || len(tools) == 0 || r.Mode == pack.Off {
			continue
		}
		granted := false
		for _, t := range tools {
			granted = granted || s.granted(t)
		}
		if !granted {
			out = append(out, found(r.ID.Pos, fmt.Sprintf("rule %s is about tools that no grant covers", r.ID.S), "grant the tools, or delete the rule"))
		}
	}
	return out
}

// duplicateRule looks at rules that say the same under two names.
func duplicateRule(s *Subject) (out proviso.Diagnostics) {
	first := map[string]string{}
	for _, r := range s.Pack.Rules {
		body := r
		body.ID, body.Clauses, body.Message, body.Hint, body.Class, body.Mode = pack.Text{}, nil, pack.Messages{}, "", "", pack.Enforce
		key := pack.Fingerprint(body)
		if other, dup := first[key]; dup {
			out = append(out, found(r.ID.Pos, fmt.Sprintf("rule %s says the same as rule %s", r.ID.S, other), "keep one of them, and let it cite the clauses of both"))
			continue
		}
		first[key] = r.ID.S
	}
	return out
}

// silentDeny looks at rules that stop the agent without telling it anything.
func silentDeny(s *Subject) (out proviso.Diagnostics) {
	for _, r := range s.Pack.Rules {
		if r.Else.Outcome == proviso.Deny && r.Mode != pack.Off && r.Message.Agent == "" && r.Hint == "" && len(r.Clauses) == 0 {
			out = append(out, found(r.ID.Pos, fmt.Sprintf("rule %s denies without a message, a hint or a clause", r.ID.S), "say what the agent shall do instead, or cite the clause"))
		}
	}
	return out
}

func auditMode(s *Subject) (out proviso.Diagnostics) {
	for _, r := range s.Pack.Rules {
		if r.Mode != pack.Enforce {
			out = append(out, found(r.ID.Pos, fmt.Sprintf("rule %s is in mode %s and stops nothing", r.ID.S, r.Mode), "set mode: enforce when its denials have been looked at"))
		}
	}
	return out
}

// confusableIDs looks at names that a reader takes for one another, within the space in which they are used.
func confusableIDs(s *Subject) (out proviso.Diagnostics) {
	spaces := map[string][]pack.Text{}
	for _, r := range s.Pack.Rules {
		spaces["rule"] = append(spaces["rule"], r.ID)
	}
	for _, f := range s.Pack.Facts {
		spaces["name"] = append(spaces["name"], f.Name)
	}
	for _, x := range s.Pack.Lets {
		spaces["name"] = append(spaces["name"], x.Name)
	}
	for _, q := range s.Pack.Questions {
		spaces["question"] = append(spaces["question"], q.ID)
	}
	for _, x := range s.Pack.Scopes {
		spaces["scope"] = append(spaces["scope"], x.Name)
	}
	for _, kind := range slices.Sorted(maps.Keys(spaces)) {
		first := map[string]string{}
		for _, id := range spaces[kind] {
			skeleton := pack.Skeleton(id.S)
			if other, has := first[skeleton]; has && other != id.S {
				out = append(out, found(id.Pos, fmt.Sprintf("%s %q can be taken for %q", kind, id.S, other), "rename one of them"))
				continue
			}
			first[skeleton] = id.S
		}
	}
	return out
}
