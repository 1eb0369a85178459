package draft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Grant is a grant of a task: its tools, and what their arguments may be, nil for anything.
type Grant struct {
	Tools []string
	When  *Cond
	Why   string
}

// identifier is a complete name of a record in a request: letters and digits together, or an address. Dates and amounts are none.
var identifier = lazyregexp.New(`[\w.+-]+@[\w-]+\.[\w.]+|\b[A-Za-z]+[-_]?\d[\w-]*\b|\b\d+[A-Za-z][\w-]*\b`)

// Task drafts the least privilege that a request of a user needs: tools that read, and those that the request asks for by what they do and to what. Where an argument takes the id of a record and the request names
// records, only these. Nothing is assumed that the request does not say: no dates, no amounts. As an overlay of lower rank its grants intersect with those of the pack.
func Task(p *pack.Pack, request string) (*Draft, error) {
	if strings.TrimSpace(request) == "" {
		return nil, fmt.Errorf("draft: the request is empty")
	}
	d := &Draft{Pack: p, Name: p.Name + "-task"}
	r := newReader(p)
	reads := Grant{Why: "reads"}
	for _, t := range r.tools {
		if t.ReadOnly || reading[t.verb] || pack.MatchAny(p.Reads, t.Name) {
			reads.Tools = append(reads.Tools, t.Name)
		}
	}
	if len(reads.Tools) > 0 {
		d.Grants = append(d.Grants, reads)
	}
	ids := identifier.FindAllString(request, -1)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, t := range r.asked(request) {
		if slices.Contains(reads.Tools, t.Name) {
			continue
		}
		d.Grants = append(d.Grants, Grant{Tools: []string{t.Name}, When: records(t, ids), Why: "the request asks to " + strings.ReplaceAll(t.Name, "_", " ")})
	}
	return d, nil
}

// asked are the tools whose verb a request has, and that are about something that it names or that needs no name.
func (r *reader) asked(request string) []tool {
	words := stems(request)
	has := func(w string) bool { return slices.ContainsFunc(words, func(x string) bool { return alike(x, w) }) }
	var out []tool
	for _, t := range r.tools {
		if !has(t.verb) {
			continue
		}
		nouns := stems(strings.ReplaceAll(t.Name, "_", " "))[1:]
		if len(nouns) == 0 || slices.ContainsFunc(nouns, has) {
			out = append(out, t)
		}
	}
	return out
}

// records holds the arguments of a tool that are ids to those that the request names; nil where it names none.
func records(t tool, ids []string) *Cond {
	if len(ids) == 0 {
		return nil
	}
	var list []string
	for _, id := range ids {
		list = append(list, "'"+id+"'")
	}
	var all []*Cond
	for name, f := range t.args {
		if f.kind == "string" && f.sure && (strings.HasSuffix(name, "_id") || name == "id") {
			all = append(all, leafOf(f.path+" in ["+strings.Join(list, ", ")+"]", name+" is one that the request names"))
		}
	}
	slices.SortFunc(all, func(a, b *Cond) int { return strings.Compare(a.Expr, b.Expr) })
	if len(all) > 1 {
		return nil // which of them is which the request does not say
	}
	return join(0, all...)
}
