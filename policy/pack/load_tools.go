package pack

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/proviso-dev/proviso"
)

// tools reads the tool list: OpenAI's function list, bare or wrapped, or the answer to MCP tools/list.
func (l *loader) tools(name string, at proviso.Pos) {
	v, b, ok := l.readJSON(name, at)
	if !ok {
		return
	}
	l.toolList(name, v, b)
}

// ReadTools reads a tool list alone: OpenAI's function list, bare or wrapped, or the answer to MCP tools/list. name is what positions call it.
// References to other files are findings. All findings are returned, sorted by position; where one is of severity Error the list is incomplete.
func ReadTools(name string, b []byte) ([]Tool, proviso.Diagnostics) {
	l := &loader{fsys: embed.FS{}, dir: ".", pack: &Pack{}, yaml: map[string]*yamlNode{}, json: map[string]any{}}
	v, err := proviso.DecodeJSON(b)
	if err != nil {
		return nil, proviso.Diagnostics{jsonDiagnostic(name, b, err)}
	}
	l.json[name] = v
	l.toolList(name, v, b)
	l.ds.Sort()
	return l.pack.Tools, l.ds
}

// toolList reads the decoded list; b is its text, for positions.
func (l *loader) toolList(name string, v any, b []byte) {
	places := jsonPlaces(l.file(name), b)
	list, base := v, ""
	if m, isMap := v.(map[string]any); isMap {
		if r, wrapped := m["result"].(map[string]any); wrapped { // the whole JSON-RPC answer
			m, base = r, "/result"
		}
		list, base = m["tools"], base+"/tools"
	}
	entries, ok := list.([]any)
	if !ok {
		l.fail(places(""), CodeValue, "this file holds no list of tools", "save the agent's tools as an OpenAI function list or as the answer to MCP tools/list")
		return
	}
	for i, e := range entries {
		ptr := joinPointer(base, strconv.Itoa(i))
		if t, ok := l.tool(name, e, ptr, places); ok {
			l.pack.Tools = append(l.pack.Tools, t)
		}
	}
	l.confusable()
}

// tool reads one entry of the list. The forms are told apart by their keys: function (OpenAI, wrapped), inputSchema (MCP), else the bare function.
func (l *loader) tool(file string, e any, ptr string, places func(ptr string) proviso.Pos) (t Tool, ok bool) {
	m, isMap := e.(map[string]any)
	if f, wrapped := m["function"].(map[string]any); wrapped {
		m, ptr = f, joinPointer(ptr, "function")
	}
	t.Pos = places(ptr)
	t.Name, _ = m["name"].(string)
	t.Description, _ = m["description"].(string)
	if !isMap || t.Name == "" {
		l.fail(t.Pos, CodeValue, "this tool has no name", "an entry is {type: function, function: {name, parameters}}, {name, parameters} or {name, inputSchema}")
		return t, false
	}
	if p := places(joinPointer(ptr, "name")); p.Line > 0 {
		t.Pos = p
	}
	args, result := "parameters", "returns"
	if _, mcp := m["inputSchema"]; mcp {
		args, result = "inputSchema", "outputSchema"
	} else if _, has := m["outputSchema"]; has {
		result = "outputSchema"
	}
	ok = true
	schema := func(key string) map[string]any {
		v, has := m[key]
		if !has || v == nil {
			return nil
		}
		at := joinPointer(ptr, key)
		s, isMap := v.(map[string]any)
		if !isMap {
			l.fail(places(at), CodeSchema, fmt.Sprintf("%q of tool %q is no JSON Schema", key, t.Name), "publish a schema of type object")
			ok = false
			return nil
		}
		s, good := l.resolveSchema(s, file, true, func(p string) proviso.Pos { return places(at + p) })
		ok = ok && good
		return s
	}
	t.Args, t.Result = schema(args), schema(result)
	if t.Args == nil {
		t.Args = map[string]any{"type": "object", "properties": map[string]any{}}
	}
	if typ, has := t.Args["type"]; has && typ != "object" {
		l.fail(places(joinPointer(ptr, args)), CodeSchema, fmt.Sprintf("the arguments of tool %q are not an object", t.Name), "publish a schema of type object")
		ok = false
	}
	notes, _ := m["annotations"].(map[string]any)
	t.ReadOnly, _ = notes["readOnlyHint"].(bool)
	t.Destructive, _ = notes["destructiveHint"].(bool)
	return t, ok
}

// jsonPlaces returns a function from JSON pointers to positions in the file: of the value, or of the nearest value above it.
// b has been read by the strict decoder before, so that a second, looser reader can only find the same structure.
func jsonPlaces(file string, b []byte) func(ptr string) proviso.Pos {
	src := newYAMLFile(file, b)
	index := map[string]int{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var walk func(ptr string) bool
	walk = func(ptr string) bool {
		start := skipJSON(b, int(dec.InputOffset()))
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		index[ptr] = start
		switch tok {
		case json.Delim('['):
			for i := 0; dec.More(); i++ {
				if !walk(joinPointer(ptr, strconv.Itoa(i))) {
					return false
				}
			}
		case json.Delim('{'):
			for dec.More() {
				key, err := dec.Token()
				if err != nil || !walk(joinPointer(ptr, fmt.Sprint(key))) {
					return false
				}
			}
		default:
			return true
		}
		_, err = dec.Token()
		return err == nil
	}
	walk("")
	return func(ptr string) proviso.Pos {
		for {
			if off, ok := index[ptr]; ok {
				return src.pos(min(off, len(src.text)))
			}
			cut := strings.LastIndexByte(ptr, '/')
			if cut < 0 {
				return proviso.Pos{File: file}
			}
			ptr = ptr[:cut]
		}
	}
}

// skipJSON is the offset of the value behind the separators at off.
func skipJSON(b []byte, off int) int {
	for off < len(b) && strings.IndexByte(" \t\r\n,:", b[off]) >= 0 {
		off++
	}
	return off
}

// confusable reports tool names that a person, or a rule written by one, can take for another.
func (l *loader) confusable() {
	first := map[string]Tool{}
	for _, t := range l.pack.Tools {
		for _, c := range t.Name {
			if c > unicode.MaxASCII || c < '!' || c == 0x7f || c == '*' {
				l.fail(t.Pos, CodeConfusable, fmt.Sprintf("tool name %q holds %s", t.Name, describeRune(c)), "rename the tool with ASCII letters, digits, '_', '-' and '.'")
				break
			}
		}
		skeleton := Skeleton(t.Name)
		if other, has := first[skeleton]; has && other.Name != t.Name {
			l.fail(t.Pos, CodeConfusable, fmt.Sprintf("tool name %q can be taken for %q", t.Name, other.Name), "rename one of them, or leave it out of the agent's tools")
			continue
		} else if !has {
			first[skeleton] = t
		}
	}
}

func describeRune(c rune) string {
	switch {
	case c == '*':
		return "a '*', which globs use"
	case c == ' ':
		return "a space"
	case !unicode.IsPrint(c):
		return fmt.Sprintf("the invisible character U+%04X", c)
	}
	return fmt.Sprintf("the character %q (U+%04X)", c, c)
}

// lookAlikes are letters of other scripts that print like ASCII letters in common fonts; chosen from the letters that identifiers use, lower case.
var lookAlikes = map[rune]rune{
	'а': 'a', 'α': 'a', 'ɑ': 'a', 'ь': 'b', 'с': 'c', 'ϲ': 'c', 'ԁ': 'd', 'е': 'e', 'є': 'e', 'ε': 'e', 'ɡ': 'g', 'һ': 'h', 'η': 'h', 'н': 'h',
	'і': 'i', 'ι': 'i', 'ı': 'i', 'ɩ': 'i', 'ј': 'j', 'к': 'k', 'κ': 'k', 'ӏ': 'l', 'м': 'm', 'μ': 'm', 'п': 'n', 'ո': 'n', 'о': 'o', 'ο': 'o', 'σ': 'o', 'օ': 'o',
	'р': 'p', 'ρ': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'τ': 't', 'υ': 'u', 'ս': 'u', 'ѵ': 'v', 'ν': 'v', 'ԝ': 'w', 'ω': 'w', 'х': 'x', 'χ': 'x', 'у': 'y', 'γ': 'y', 'ү': 'y', 'ʐ': 'z', 'ζ': 'z',
	'0': 'o', '1': 'l', '-': '_', '.': '_', '‐': '_', '–': '_', '—': '_',
}

// Skeleton maps names that look alike to one text: compatibility forms, case, invisible characters, look-alike letters.
func Skeleton(name string) string {
	var b strings.Builder
	for _, c := range norm.NFKD.String(name) {
		if unicode.Is(unicode.Mn, c) || unicode.Is(unicode.Cf, c) || unicode.IsControl(c) {
			continue
		}
		c = unicode.ToLower(unicode.ToUpper(c))
		if a, ok := lookAlikes[c]; ok {
			c = a
		}
		b.WriteRune(c)
	}
	return b.String()
}
