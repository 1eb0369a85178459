package importer

import (
	"fmt"
	"slices"
	"strings"
)

// Rego reads modules of Open Policy Agent. Rego is a language of its own, and is not translated: every rule named allow or deny of a module becomes a question about each call, which an external opa answers. Unanswered it is open, and nothing passes;
// deny has to be answered no, and allow yes. A module whose rules are constants is read as what it says.
var Rego = &Format{
	Name: "rego",
	Doc:  "A module of Open Policy Agent: allow and deny become questions about each call, to be answered by an external opa. Needs tools.json beside it.",
	Read: readRego,
}

func readRego(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	text := regoComment.ReplaceAllString(string(src), "")
	module := regoPackage.FindStringSubmatch(text)
	if module == nil {
		r.unreadable(name, "no package")
		return nil
	}
	s := newSheet(r, name, "What the module decides")
	if !s.beside() {
		return nil
	}
	if len(s.tools) == 0 {
		r.foreign(name, "save the agent's tools as tools.json beside the module", "a module names no tools, and a pack has to know them")
		return nil
	}
	if m := regoDefault.FindStringSubmatch(text); m != nil && m[2] == "allow" && (m[3] == "true" || m[3] == "false") {
		id := s.id(m[2])
		s.clause(id, "%s allows %s.", quoted("data."+m[1]), map[string]string{"true": "everything", "false": "nothing"}[m[3]])
		if m[3] == "true" {
			s.grant(s.names(), nil)
		}
		return s.files()
	}
	s.grant(s.names(), nil)
	found := 0
	for _, rule := range []string{"allow", "deny"} {
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool {
			rest, is := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(l), "default "), rule)
			return is && (rest == "" || strings.ContainsAny(rest[:1], " [({:="))
		}) {
			continue
		}
		found++
		query := "data." + module[1] + "." + rule
		id := s.id(query)
		want, require := "yes", any("judged."+rule)
		ask := fmt.Sprintf("Is %s of %s true for input {tool, args}, as opa eval says?", query, name)
		if rule == "deny" {
			want, require = "no", not("judged."+rule)
			ask = fmt.Sprintf("Is %s of %s true, or a set that is not empty, for input {tool, args}, as opa eval says?", query, name)
		}
		s.clause(id, "A call needs the answer %s from %s.", want, quoted(query))
		s.questions[rule] = map[string]any{"ask": ask, "about": []string{"tool", "args"}, "clause": []string{id}}
		s.needs(id, id, s.names(), require, "The policy "+query+" does not let this pass.")
	}
	if found == 0 {
		r.foreign(name, "name the entry point allow or deny", "the module has neither allow nor deny")
		return nil
	}
	r.narrower(name, "have a judge run opa and answer the questions", "Rego does not run here; what it decides is asked as a question, and nothing passes unanswered")
	return s.files()
}
