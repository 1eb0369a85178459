package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/policy/pack"
)

// sheet collects the parts of a pack while a format is read. A format that speaks of tools and their arguments writes one clause for each thing that its policy says, and rules that cite it.
type sheet struct {
	r         *Reader
	file      string
	about     string // the heading of the document
	defaults  map[string]any
	session   map[string]any
	reads     []string
	tools     map[string]bool           // those that exist; their arguments are not typed, because the formats do not type them
	args      map[string]map[string]any // by tool, the schemas of arguments that a history speaks of, which has to know them
	grants    []any
	rules     []map[string]any
	clauses   []string
	questions map[string]any
	facts     map[string]any
	tables    map[string]any
	ids       map[string]bool
}

func newSheet(r *Reader, file, about string) *sheet {
	return &sheet{r: r, file: file, about: about, defaults: map[string]any{"extra_arguments": "allow"}, session: map[string]any{}, tools: map[string]bool{}, args: map[string]map[string]any{},
		questions: map[string]any{}, facts: map[string]any{}, tables: map[string]any{}, ids: map[string]bool{}}
}

// beside adds the tools of the list tools.json beside the policy, if there is one. Formats that name tools by patterns need it: a pack knows every tool by name.
func (s *sheet) beside() bool {
	name := path.Join(path.Dir(s.file), "tools.json")
	if _, err := fs.Stat(s.r.fsys, name); err != nil {
		return true
	}
	b, ok := s.r.file(name)
	if !ok {
		return false
	}
	list, found := pack.ReadTools(name, b)
	for _, d := range found {
		if d.Severity == proviso.Error {
			s.r.unreadable(name, "%s", d.Msg)
			return false
		}
	}
	for _, t := range list {
		s.tools[t.Name] = true
	}
	return true
}

// names lists the tools, sorted.
func (s *sheet) names() []string { return slices.Sorted(maps.Keys(s.tools)) }

// declare says that a tool has an argument; a schema that was given before stays.
func (s *sheet) declare(tool, name string, schema map[string]any) {
	if s.args[tool] == nil {
		s.args[tool] = map[string]any{}
	}
	if former, has := s.args[tool][name].(map[string]any); !has || len(former) == 0 {
		s.args[tool][name] = schema
	}
}

// matching lists the tools that a predicate holds for, sorted.
func (s *sheet) matching(f func(string) bool) []string {
	return slices.DeleteFunc(s.names(), func(n string) bool { return !f(n) })
}

var notInID = lazyregexp.New(`[^A-Za-z0-9]+`)

// id makes an identifier of a pack out of a text, one that was not given before.
func (s *sheet) id(from string) string {
	id := strings.ToLower(strings.Trim(notInID.ReplaceAllString(from, "-"), "-"))
	if id == "" {
		id = "rule"
	}
	unique := id
	for n := 2; s.ids[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", id, n)
	}
	s.ids[unique] = true
	return unique
}

// clause adds a sentence to the document. The id is one that id has given.
func (s *sheet) clause(id, format string, args ...any) {
	s.clauses = append(s.clauses, fmt.Sprintf("- %s {#%s}", plain(fmt.Sprintf(format, args...)), id))
}

// plain makes a text one line that is no markup of ours.
func plain(text string) string {
	text = strings.NewReplacer("{", "(", "}", ")", "<", "‹", ">", "›", "|", "/", "\x00", "").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// quoted puts a foreign name into a sentence.
func quoted(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "'") + "`"
}

// rule adds a rule that cites the clause of its id.
func (s *sheet) rule(id, clause string, rest map[string]any) {
	rule := map[string]any{"id": id, "clause": []string{clause}}
	if s.r.Observe {
		rule["mode"] = "audit"
	}
	maps.Copy(rule, rest)
	s.rules = append(s.rules, rule)
}

// grant lets tools be called, all of which exist.
func (s *sheet) grant(tools []string, when any) {
	g := map[string]any{"tools": tools}
	if when != nil && when != true {
		g["when"] = when
	}
	s.grants = append(s.grants, g)
}

// files lays the pack out.
func (s *sheet) files() map[string][]byte {
	if s.r.found.Worst(proviso.Error) {
		return nil
	}
	tools := []any{}
	for _, n := range s.names() {
		properties := s.args[n]
		if properties == nil {
			properties = map[string]any{}
		}
		tools = append(tools, map[string]any{"name": n, "parameters": map[string]any{"type": "object", "properties": properties, "additionalProperties": true}})
	}
	rules := map[string]any{"grants": s.grants}
	if s.grants == nil {
		rules["grants"] = []any{}
	}
	for key, part := range map[string]map[string]any{"questions": s.questions, "facts": s.facts} {
		if len(part) > 0 {
			rules[key] = part
		}
	}
	if len(s.rules) > 0 {
		rules["rules"] = s.rules
	}
	manifest := map[string]any{"name": s.r.Name, "version": "1", "defaults": s.defaults}
	if len(s.session) > 0 {
		manifest["session"] = s.session
	}
	if len(s.reads) > 0 {
		manifest["reads"] = s.reads
	}
	out := map[string][]byte{"policy.md": []byte("# " + plain(s.about) + "\n\n" + strings.Join(s.clauses, "\n") + "\n")}
	parts := map[string]any{"proviso.yaml": manifest, "rules.yaml": rules}
	for n, t := range s.tables {
		b, err := json.MarshalIndent(t, "", "  ")
		if err != nil {
			s.r.foreign(s.file, "use plain values", "the table %s cannot be written: %v", n, err)
			return nil
		}
		out["data/"+n+".json"] = append(b, '\n')
	}
	list, err := json.MarshalIndent(tools, "", "  ")
	out["tools.json"] = append(list, '\n')
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		if err == nil {
			out[n], err = file(n, parts[n])
		}
	}
	if err != nil {
		s.r.foreign(s.file, "use plain texts as names and reasons", "the pack cannot be written: %v", err)
		return nil
	}
	return out
}

// The conditions that formats put together: an expression, a tree of a pack's file, or a constant.

// all is true where every part is.
func all(parts ...any) any { return connect("all", true, parts) }

// anyOf is true where a part is.
func anyOf(parts ...any) any { return connect("any", false, parts) }

// not is true where the part is false.
func not(part any) any {
	switch p := part.(type) {
	case bool:
		return !p
	case map[string]any:
		if inner, has := p["not"]; has {
			return inner
		}
	}
	return map[string]any{"not": part}
}

// connect joins parts; neutral is the constant that changes nothing.
func connect(op string, neutral bool, parts []any) any {
	var kept []any
	for _, p := range parts {
		switch p := p.(type) {
		case bool:
			if p != neutral {
				return p
			}
			continue
		case map[string]any:
			if inner, same := p[op].([]any); same {
				kept = append(kept, inner...)
				continue
			}
		}
		kept = append(kept, p)
	}
	switch len(kept) {
	case 0:
		return neutral
	case 1:
		return kept[0]
	}
	return map[string]any{op: kept}
}

// fires adds a rule that yields an outcome where a condition is true. It returns whether it ever can be.
func (s *sheet) fires(id, clause string, tools []string, when any, rest map[string]any) bool {
	if when == false || len(tools) == 0 {
		return false
	}
	r := map[string]any{"tools": tools}
	if when != true {
		r["when"] = when
	}
	maps.Copy(r, rest)
	s.rule(id, clause, r)
	return true
}

// needs adds a rule that denies where a condition is false.
func (s *sheet) needs(id, clause string, tools []string, require any, message string) {
	if require == true || len(tools) == 0 {
		return
	}
	r := map[string]any{"tools": tools, "message": message}
	if require != false {
		r["require"] = require
	}
	s.rule(id, clause, r)
}

var celName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// celWords cannot be the name of a field in CEL.
var celWords = map[string]bool{"true": true, "false": true, "null": true, "in": true, "as": true, "break": true, "const": true, "continue": true, "else": true, "for": true,
	"function": true, "if": true, "import": true, "let": true, "loop": true, "package": true, "namespace": true, "return": true, "var": true, "void": true, "while": true}

// fieldName reports whether a name can be written behind a point.
func fieldName(name string) bool { return celName.MatchString(name) && !celWords[name] }

// argument is the path of an argument as a condition reads it; ok is false after an error was reported.
func (s *sheet) argument(parts ...string) (path string, ok bool) {
	for _, p := range parts {
		if !fieldName(p) {
			s.r.foreign(s.file, "rename the argument, or write the rule by hand", "conditions cannot name an argument %q", p)
			return "", false
		}
	}
	return "args." + strings.Join(parts, "."), true
}

// present says that an argument and everything above it is there.
func present(path string) string {
	parts := strings.Split(path, ".")
	var out []string
	for i := 2; i <= len(parts); i++ {
		out = append(out, "has("+strings.Join(parts[:i], ".")+")")
	}
	return strings.Join(out, " && ")
}

// celText writes a text as a literal of a condition.
func celText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil { // unreachable: a text always has a JSON form, and its escapes are those of a condition
		return `""`
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if len(text) == len(s)+2 && !strings.Contains(s, "'") { // nothing is escaped
		return "'" + s + "'"
	}
	return text
}

// celPattern writes a regular expression as a literal of a condition, raw where it can be.
func celPattern(p string) string {
	if !strings.ContainsAny(p, "'\n\r\x00") {
		return "r'" + p + "'"
	}
	return celText(p)
}

// celTexts writes a list of texts.
func celTexts(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = celText(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// celValue writes a value that came out of JSON or YAML; ok is false for what has no literal.
func celValue(v any) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "null", true
	case bool, int64, int, uint64:
		return fmt.Sprint(v), true
	case float64:
		text = fmt.Sprintf("%v", v)
		if !strings.ContainsAny(text, ".eE") {
			text += ".0"
		}
		return text, !strings.ContainsAny(text, "NI")
	case string:
		return celText(v), true
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			if parts[i], ok = celValue(x); !ok {
				return "", false
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", true
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			x, ok := celValue(v[k])
			if !ok {
				return "", false
			}
			parts = append(parts, celText(k)+": "+x)
		}
		return "{" + strings.Join(parts, ", ") + "}", true
	}
	return "", false
}
