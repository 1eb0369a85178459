package lint

import (
	"fmt"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

func unusedQuestion(s *Subject) (out proviso.Diagnostics) {
	for _, q := range s.Pack.Questions {
		if !s.reads["judged."+q.ID.S] {
			out = append(out, found(q.ID.Pos, fmt.Sprintf("question %s is asked by no condition", q.ID.S), "use it as judged."+q.ID.S+", or delete it"))
		}
	}
	return out
}

// unusedLet looks at lets that nothing reads; a let of a rule or a grant is read there only.
func unusedLet(s *Subject) (out proviso.Diagnostics) {
	for _, x := range s.sites {
		if x.let == nil {
			continue
		}
		used := false
		for _, y := range s.sites {
			if y == x || y.expr == nil || y.lets[x.let.Name.S] == nil || y.lets[x.let.Name.S].let != x.let {
				continue
			}
			reads := map[string]bool{}
			freePaths(y.expr, reads)
			used = used || reads[x.let.Name.S]
		}
		if !used {
			out = append(out, found(x.let.Name.Pos, fmt.Sprintf("let %s is used nowhere", x.let.Name.S), "use it, or delete it"))
		}
	}
	return out
}

// shadowingLet looks at lets of a rule that hide another name.
func shadowingLet(s *Subject) (out proviso.Diagnostics) {
	outer := map[string]string{}
	for _, f := range s.Pack.Facts {
		outer[f.Name.S] = "the fact"
	}
	for _, x := range s.Pack.Lets {
		outer[x.Name.S] = "the let of the pack"
	}
	for _, r := range s.Pack.Rules {
		for _, x := range r.Lets {
			if what := outer[x.Name.S]; what != "" {
				out = append(out, found(x.Name.Pos, fmt.Sprintf("let %s of rule %s hides %s of the same name", x.Name.S, r.ID.S, what), "give it a name of its own"))
			}
		}
	}
	return out
}

func unusedTable(s *Subject) (out proviso.Diagnostics) {
	for _, t := range s.Pack.Tables {
		if !s.reads["data."+t.Name] {
			out = append(out, found(t.Pos, fmt.Sprintf("table %s is read by no condition", t.Name), "read it as data."+t.Name+", or delete the file"))
		}
	}
	return out
}

func unusedAttribute(s *Subject) (out proviso.Diagnostics) {
	for _, p := range s.Pack.Session {
		if !s.reads["session."+p.Name.S] {
			out = append(out, found(p.Name.Pos, fmt.Sprintf("session attribute %s is read by no condition", p.Name.S), "read it as session."+p.Name.S+", or delete it"))
		}
	}
	return out
}

func unusedManifestGlob(s *Subject) (out proviso.Diagnostics) {
	out = append(out, s.unusedGlobs(s.Pack.Reads, "reads:")...)
	out = append(out, s.unusedGlobs(s.Pack.Trusted, "trusted:")...)
	for _, k := range s.Pack.Keys {
		out = append(out, s.unusedGlobs([]pack.Text{k.Tool}, "key_arguments:")...)
	}
	return out
}

func fixedClock(s *Subject) (out proviso.Diagnostics) {
	if c := s.Pack.Clock; c.S != "" && c.S != "event" {
		out = append(out, found(c.Pos, "every decision is made as if it were "+c.S, "write clock: event before real use"))
	}
	return out
}

// failOpen looks at points where an error permits.
func failOpen(s *Subject) (out proviso.Diagnostics) {
	for _, p := range proviso.Points() {
		if s.Pack.Defaults.OnError[p] == proviso.Allow {
			out = append(out, found(proviso.Pos{File: manifestOf(s.Pack), Line: 1, Col: 1}, fmt.Sprintf("an error at %s permits instead of denying", p), "delete on_error before real use"))
		}
	}
	return out
}

// manifestOf is the path of a pack's proviso.yaml, which is the first file that loading reads.
func manifestOf(p *pack.Pack) string {
	if len(p.Files) == 0 {
		return pack.ManifestFile
	}
	return p.Files[0]
}
