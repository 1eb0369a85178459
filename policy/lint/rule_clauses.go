package lint

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// uncoveredClause looks at the clauses of the document that nothing implements. A clause counts as covered when a rule, a question, an override, or a clause around or below it is cited.
func uncoveredClause(s *Subject) (out proviso.Diagnostics) {
	if s.Pack.Document == nil {
		return nil
	}
	covered := map[string]bool{}
	cite := func(ids []pack.Text) {
		for _, id := range ids {
			covered[id.S] = true
		}
	}
	for _, p := range s.Packs {
		for _, r := range p.Rules {
			cite(r.Clauses)
		}
		for _, q := range p.Questions {
			cite(q.Clause)
		}
		for _, o := range p.Overrides {
			cite(o.Clause)
		}
		for _, u := range p.Unenforceable {
			cite(u.Clause)
		}
	}
	clauses := s.Pack.Document.Clauses
	for _, c := range clauses { // a parent comes before its children
		covered[c.ID] = covered[c.ID] || covered[c.Parent]
	}
	for i := len(clauses) - 1; i >= 0; i-- {
		if c := clauses[i]; covered[c.ID] && c.Parent != "" {
			covered[c.Parent] = true
		}
	}
	for _, c := range clauses {
		if !covered[c.ID] {
			out = append(out, found(proviso.Pos{File: c.Span.File, Line: c.Span.Line, Col: 1}, fmt.Sprintf("clause %s is implemented by no rule and no question: %s", c.ID, shorten(c.Text)), "cite it with clause: ["+c.ID+"], or say under unenforceable why nothing can"))
		}
	}
	return out
}

// shorten cuts a text after about sixty characters, at a space.
func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	cut := strings.LastIndexByte(s[:60], ' ')
	if cut < 20 {
		return s[:len(strings.ToValidUTF8(s[:60], ""))] + "…"
	}
	return s[:cut] + " …"
}
