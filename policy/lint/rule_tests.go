package lint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// pointOf is where a step is decided; ok is false for steps that only move the session.
func pointOf(st *pack.Step) (p proviso.Point, ok bool) {
	switch {
	case st.Call != "":
		return proviso.ToolCallPoint, true
	case st.User != nil, st.System != nil:
		return proviso.Input, true
	case st.Assistant != nil:
		return proviso.Output, true
	}
	return proviso.NoPoint, false
}

// testable are the points that steps of a case can reach.
var testable = []proviso.Point{proviso.ToolCallPoint, proviso.Input, proviso.Output}

// untestedRule looks at rules that no case shows in both directions: once where they stop something, once where something they apply to passes.
func untestedRule(s *Subject) (out proviso.Diagnostics) {
	if len(s.Pack.Tests) == 0 {
		if len(s.Pack.Rules) > 0 {
			out = append(out, found(proviso.Pos{File: manifestOf(s.Pack), Line: 1, Col: 1}, "the pack has no tests", "write cases into tests/*.yaml, for each rule one that it denies and one that passes"))
		}
		return out
	}
	named := map[string]bool{}
	eachStep(s.Pack, func(st *pack.Step) {
		if st.Want != nil && st.Want.Outcome != proviso.Allow {
			for _, n := range st.Want.Names {
				named[n] = true
			}
		}
	})
	for i := range s.Pack.Rules {
		r := &s.Pack.Rules[i]
		reachable := false
		for _, p := range testable {
			reachable = reachable || hasPoint(r, p)
		}
		if !reachable || r.Mode == pack.Off {
			continue
		}
		passes := false
		eachStep(s.Pack, func(st *pack.Step) {
			p, ok := pointOf(st)
			passes = passes || ok && hasPoint(r, p) && (st.Want == nil || st.Want.Outcome == proviso.Allow) && (p != proviso.ToolCallPoint || len(r.Tools) == 0 || pack.MatchAny(r.Tools, st.Call))
		})
		stops := named[r.ID.S] || r.Else.Outcome == proviso.Allow || r.Mode == pack.Audit // whose effect a case cannot want by name
		switch {
		case !stops && !passes:
			out = append(out, found(r.ID.Pos, fmt.Sprintf("no case tests rule %s", r.ID.S), "add a step with want: "+r.Else.Outcome.String()+" "+r.ID.S+", and one that passes"))
		case !stops:
			out = append(out, found(r.ID.Pos, fmt.Sprintf("no case shows rule %s stopping anything", r.ID.S), "add a step with want: "+r.Else.Outcome.String()+" "+r.ID.S))
		case !passes:
			out = append(out, found(r.ID.Pos, fmt.Sprintf("no case shows anything that passes rule %s", r.ID.S), "add a step that the rule applies to with want: allow"))
		}
	}
	return out
}

func eachStep(p *pack.Pack, f func(*pack.Step)) {
	for i := range p.Tests {
		for j := range p.Tests[i].Steps {
			f(&p.Tests[i].Steps[j])
		}
	}
}

// unknownTestName looks at names in cases that nothing in the packs has.
func unknownTestName(s *Subject) (out proviso.Diagnostics) {
	known := map[string]bool{"confirmation": true}
	var questions []string
	for _, p := range s.Packs {
		for _, r := range p.Rules {
			known[r.ID.S] = true
		}
		for _, f := range p.Facts {
			known[f.Name.S] = true
		}
		for _, q := range p.Questions {
			known[q.ID.S] = true
			questions = append(questions, q.ID.S)
		}
	}
	for i := range s.Pack.Tests {
		c := &s.Pack.Tests[i]
		for _, id := range slices.Sorted(maps.Keys(c.Answers)) {
			if !slices.Contains(questions, id) {
				out = append(out, found(c.Pos, fmt.Sprintf("case answers question %q, which no pack asks", id), proviso.DidYouMean(id, questions)))
			}
		}
	}
	eachStep(s.Pack, func(st *pack.Step) {
		if st.Want == nil {
			return
		}
		for _, n := range st.Want.Names {
			if !known[n] {
				out = append(out, found(st.Want.Pos, fmt.Sprintf("%q is neither a rule, a fact nor a question", n), proviso.DidYouMean(n, slices.Sorted(maps.Keys(known)))))
			}
		}
	})
	return out
}

// unknownTestTool looks at calls of tools that do not exist; to test that they are denied, a case says so.
func unknownTestTool(s *Subject) (out proviso.Diagnostics) {
	if len(s.names) == 0 {
		return nil
	}
	eachStep(s.Pack, func(st *pack.Step) {
		if _, has := s.tools[st.Call]; st.Call != "" && !has && (st.Want == nil || st.Want.Outcome != proviso.Deny) {
			out = append(out, found(st.Pos, fmt.Sprintf("this step calls %q, which is no tool", st.Call), unknownTool(st.Call, s.names)))
		}
	})
	return out
}
