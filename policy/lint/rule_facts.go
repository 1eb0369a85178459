package lint

import (
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

func unusedFact(s *Subject) (out proviso.Diagnostics) {
	for _, f := range s.Pack.Facts {
		if !s.reads[f.Name.S] {
			out = append(out, found(f.Name.Pos, fmt.Sprintf("fact %s is read by no condition", f.Name.S), "read it, or delete it"))
		}
	}
	return out
}

// suppliers returns which granted tools observe a fact, and whether one of them only reads.
func (s *Subject) suppliers(f *pack.Fact) (granted, read bool) {
	for _, src := range f.From {
		for _, t := range s.matching([]pack.Text{src.Tool}) {
			if s.granted(t) {
				granted = true
				read = read || s.isRead(t)
			}
		}
	}
	return granted, read
}

// unsuppliedFact looks at facts that no session can ever show: what depends on them is denied for ever.
func unsuppliedFact(s *Subject) (out proviso.Diagnostics) {
	for i := range s.Pack.Facts {
		f := &s.Pack.Facts[i]
		if granted, _ := s.suppliers(f); !granted && len(s.names) > 0 && s.reads[f.Name.S] {
			what := "what depends on it is denied for ever"
			if f.Initial != nil {
				what = "it keeps its initial value for ever"
			}
			out = append(out, found(f.Name.Pos, fmt.Sprintf("no granted tool supplies fact %s: %s", f.Name.S, what), "grant one of the tools it comes from"))
		}
	}
	return out
}

// writeOnlyFact looks at facts that only tools which change something supply: nobody can be told how to find them out.
func writeOnlyFact(s *Subject) (out proviso.Diagnostics) {
	for i := range s.Pack.Facts {
		f := &s.Pack.Facts[i]
		if granted, read := s.suppliers(f); granted && !read && s.reads[f.Name.S] && f.Initial == nil {
			out = append(out, found(f.Name.Pos, fmt.Sprintf("no tool that only reads supplies fact %s: the agent cannot be told how to find it out", f.Name.S), "list the reading tools under reads:, or add one as a source"))
		}
	}
	return out
}

// untypedFact looks at facts whose fields nothing checks.
func untypedFact(s *Subject) (out proviso.Diagnostics) {
	for _, f := range s.Pack.Facts {
		if f.Schema.Doc != nil {
			continue
		}
		typed := true
		for _, src := range f.From {
			whole := src.Each == nil && (src.Value == nil || src.Value.S == "result")
			for _, t := range s.matching([]pack.Text{src.Tool}) {
				typed = typed && whole && s.tools[t].Result != nil
			}
		}
		if !typed {
			out = append(out, found(f.Name.Pos, fmt.Sprintf("fact %s has no schema, so that a misspelt field of it is found only while deciding", f.Name.S), "add schema:, or publish the tool's output schema"))
		}
	}
	return out
}
