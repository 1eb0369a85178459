package lsp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

// item is a proposal: 5 a field, 6 a variable, 3 a function, 18 a reference, 12 a value.
type item struct {
	Label  string `json:"label"`
	Kind   int    `json:"kind"`
	Detail string `json:"detail,omitempty"`
}

var (
	pathBefore   = lazyregexp.New(`([A-Za-z_][A-Za-z0-9_]*)((?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|\.[A-Za-z_][A-Za-z0-9_]*)*)\.([A-Za-z0-9_]*)$`)
	wordBefore   = lazyregexp.New(`[A-Za-z_][A-Za-z0-9_.]*$`)
	clauseBefore = lazyregexp.New(`clause:\s*(?:\[[^\]]*)?[A-Za-z0-9_./-]*$`)
	toolBefore   = lazyregexp.New(`(?:tools:\s*\[[^\]]*|tool:\s*|call:\s*)$|(?:tools:\s*\[[^\]]*|tool:\s*|call:\s*)[A-Za-z0-9_*.-]+$`)
	flowTools    = lazyregexp.New(`\btools?:\s*(?:\[([^\]]*)\]|([A-Za-z0-9_*.-]+))`)
	blockTools   = lazyregexp.New(`(?m)^\s*tools:\s*\n((?:\s*-\s*[^\n]*\n?)+)`)
	listItem     = lazyregexp.New(`^(\s*)- `)
	word         = lazyregexp.New(`[A-Za-z0-9_*.-]+`)
)

// toolsAround are the globs of the tools of the rule, grant or source around a line, as the text has them, whether it can be read as YAML or not. None are none that are named.
func toolsAround(text string, line int) (globs []string) {
	lines := strings.Split(text, "\n")
	line = min(line, len(lines)-1)
	from, indent := line, len(lines[line])
	for from >= 0 {
		if m := listItem.FindStringSubmatch(lines[from]); m != nil && strings.Contains(lines[from], ":") && (from == line || len(m[1]) < indent) {
			indent = len(m[1])
			break
		}
		if l := strings.TrimLeft(lines[from], " "); l != "" {
			indent = min(indent, len(lines[from])-len(l))
		}
		from--
	}
	if from < 0 {
		return nil
	}
	to := from + 1
	for to < len(lines) {
		l := strings.TrimLeft(lines[to], " ")
		if l != "" && len(lines[to])-len(l) <= indent {
			break
		}
		to++
	}
	entry := strings.Join(lines[from:to], "\n") + "\n"
	if m := flowTools.FindStringSubmatch(entry); m != nil {
		return word.FindAllString(m[1]+" "+m[2], -1)
	}
	if m := blockTools.FindStringSubmatch(entry); m != nil {
		for _, l := range strings.Split(strings.TrimSpace(m[1]), "\n") {
			globs = append(globs, word.FindAllString(strings.TrimPrefix(strings.TrimSpace(l), "-"), -1)...)
		}
	}
	return globs
}

// toolsOf are the tools that globs name; all where there are none.
func (a *analysis) toolsOf(globs []string) (out []pack.Tool) {
	for _, t := range a.pack.Tools {
		if len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return pack.Match(g, t.Name) }) {
			out = append(out, t)
		}
	}
	return out
}

// fieldsOf are the members that a JSON Schema names, and their schemas.
func fieldsOf(schema any, path []string) map[string]any {
	m, _ := schema.(map[string]any)
	for _, p := range path {
		if p == "[]" {
			items, has := m["items"]
			if !has {
				items = m["additionalProperties"]
			}
			m, _ = items.(map[string]any)
			continue
		}
		properties, _ := m["properties"].(map[string]any)
		m, _ = properties[p].(map[string]any)
	}
	properties, _ := m["properties"].(map[string]any)
	return properties
}

// typeName says in a word what a schema admits, with its description.
func typeName(schema any) string {
	m, _ := schema.(map[string]any)
	var parts []string
	switch t := m["type"].(type) {
	case string:
		parts = append(parts, t)
	case []any:
		parts = append(parts, strings.Trim(fmt.Sprint(t), "[]"))
	}
	if e, ok := m["enum"]; ok {
		if b, err := json.Marshal(e); err == nil && len(b) < 80 {
			parts = append(parts, string(b))
		}
	}
	if d, ok := m["description"].(string); ok {
		parts = append(parts, d)
	}
	return strings.Join(parts, ", ")
}

// argumentDoc says what an argument is, for each tool that has it.
func (a *analysis) argumentDoc(field string, globs []string) (out []string) {
	path := strings.Split(field, ".")
	for _, t := range a.toolsOf(globs) {
		if schema, has := fieldsOf(t.Args, path[:len(path)-1])[path[len(path)-1]]; has {
			out = append(out, fmt.Sprintf("**args.%s** of `%s`: %s", field, t.Name, typeName(schema)))
		}
	}
	return out
}

// steps splits a path such as [args.id].name into members, a list's or map's being [].
func steps(path string) (out []string) {
	for path != "" {
		if path[0] == '.' {
			end := strings.IndexAny(path[1:], ".[")
			if end < 0 {
				end = len(path) - 1
			}
			out = append(out, path[1:end+1])
			path = path[end+1:]
			continue
		}
		depth, end := 0, len(path)
		for i, c := range path {
			if c == '[' {
				depth++
			} else if c == ']' {
				if depth--; depth == 0 {
					end = i + 1
					break
				}
			}
		}
		out = append(out, "[]")
		path = path[end:]
	}
	return out
}

func fields(m map[string]any, detail string) (out []item) {
	for _, n := range slices.Sorted(maps.Keys(m)) {
		d := typeName(m[n])
		if detail != "" {
			d = strings.TrimPrefix(d+" of "+detail, " of ")
		}
		out = append(out, item{n, 5, d})
	}
	return out
}

// completion proposes what can stand at a place of a rules file: fields behind a point, else names; ids of clauses and tools where those stand.
func (s *server) completion(p params) (any, *fault) {
	a, name, text, at, ok := s.asked(p)
	if !ok || !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") {
		return []item{}, nil
	}
	line := lineAt(text, at.Line)
	before := line[:bytesOf(line, at.Character)]
	out := []item{}
	switch {
	case clauseBefore.MatchString(before) || inBlock(text, at.Line, "clause"):
		for _, id := range a.pack.Document.IDs() {
			c, _ := a.pack.Document.Find(id)
			out = append(out, item{id, 18, c.Text})
		}
	case toolBefore.MatchString(before) || inBlock(text, at.Line, "tools"):
		for _, t := range a.pack.Tools {
			out = append(out, item{t.Name, 12, t.Description})
		}
	case pathBefore.MatchString(before):
		m := pathBefore.FindStringSubmatch(before)
		out = append(out, a.members(m[1], steps(m[2]), toolsAround(text, at.Line), 0)...)
	default:
		out = append(out, a.names()...)
	}
	return out, nil
}

// inBlock reports whether a line is an item of a block list under a key.
func inBlock(text string, line int, key string) bool {
	if !strings.HasPrefix(strings.TrimSpace(lineAt(text, line)), "-") {
		return false
	}
	for n := line - 1; n >= 0; n-- {
		l := strings.TrimSpace(lineAt(text, n))
		if !strings.HasPrefix(l, "- ") || strings.Contains(l, ": ") {
			return strings.TrimPrefix(l, "- ") == key+":"
		}
	}
	return false
}

// maxLets bounds how many names stand for each other.
const maxLets = 8

// members are the fields below a name.
func (a *analysis) members(root string, path, globs []string, depth int) (out []item) {
	switch root {
	case "args":
		seen := map[string]bool{}
		for _, t := range a.toolsOf(globs) {
			for _, f := range fields(fieldsOf(t.Args, path), t.Name) {
				if !seen[f.Label] {
					seen[f.Label] = true
					out = append(out, f)
				}
			}
		}
		return out
	case "result":
		for _, t := range a.toolsOf(globs) {
			out = append(out, fields(fieldsOf(t.Result, path), t.Name)...)
		}
		return out
	case "judged":
		for _, q := range a.pack.Questions {
			out = append(out, item{q.ID.S, 6, q.Ask.S})
		}
		return out
	case "session":
		for _, n := range []string{"id", "started", "turns", "user"} {
			out = append(out, item{n, 5, ""})
		}
		for _, p := range a.pack.Session {
			out = append(out, item{p.Name.S, 5, ""})
		}
		return out
	case "data":
		if len(path) == 0 {
			for _, t := range a.pack.Tables {
				out = append(out, item{t.Name, 5, "table"})
			}
		}
		return out
	}
	for _, f := range a.pack.Facts {
		if f.Name.S == root {
			for n := 0; n < len(f.Key) && len(path) > 0 && path[0] == "[]"; n++ {
				path = path[1:]
			}
			return fields(fieldsOf(a.factSchema(f), path), "")
		}
	}
	for _, l := range a.lets() {
		if m := pathBefore.FindStringSubmatch(strings.TrimSpace(l.Expr.S) + "."); l.Name.S == root && m != nil && depth < maxLets {
			return a.members(m[1], append(steps(m[2]), path...), globs, depth+1)
		}
	}
	for _, f := range builtin.All {
		if family, rest, _ := strings.Cut(f.Name, "."); family == root {
			short, _, _ := strings.Cut(f.Doc, "\n")
			out = append(out, item{rest, 3, short})
		}
	}
	return out
}

// lets are the names that the pack and its rules give to expressions.
func (a *analysis) lets() []pack.Let {
	out := slices.Clone(a.pack.Lets)
	for _, r := range a.pack.Rules {
		out = append(out, r.Lets...)
	}
	return out
}

// factSchema is the schema of a fact's values: its own, or that of what its first source takes from a tool's result.
func (a *analysis) factSchema(f pack.Fact) any {
	if f.Schema.Doc != nil {
		return f.Schema.Doc
	}
	for _, s := range f.From {
		for _, t := range a.pack.Tools {
			if !pack.Match(s.Tool.S, t.Name) {
				continue
			}
			path := []string{}
			if s.Each != nil {
				path = append(steps(strings.TrimPrefix(s.Each.S, "result")), "[]")
			}
			if s.Value != nil {
				if m := pathBefore.FindStringSubmatch(s.Value.S + "."); m != nil {
					path = append(path, steps(m[2])...)
				}
			}
			return map[string]any{"properties": fieldsOf(t.Result, path)}
		}
	}
	return nil
}

// names are what an expression can begin with.
func (a *analysis) names() (out []item) {
	for _, n := range []string{"args", "call", "data", "judged", "now", "result", "session", "text", "tool"} {
		out = append(out, item{n, 6, ""})
	}
	for _, f := range a.pack.Facts {
		out = append(out, item{f.Name.S, 6, "fact"})
	}
	for _, l := range a.lets() {
		out = append(out, item{l.Name.S, 6, l.Expr.S})
	}
	for _, n := range []string{"called", "confirmed", "count", "has", "last", "origin", "origin_all", "since", "sum", "total"} {
		out = append(out, item{n, 3, ""})
	}
	for _, f := range builtin.All {
		out = append(out, item{f.Name, 3, ""})
	}
	return out
}
