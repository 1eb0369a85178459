package session

import (
	"strconv"
	"strings"
)

// This file reads lists of records that a tool has printed as YAML rather than answered as JSON, in the form in which programs print them:
//
//	- body: 'First line
//
//	    and the second'
//	  recipients:
//	  - ann@example.com
//	  sender: bob
//	- body: …
//
// It is deliberately narrow. Every record has the same keys in the same order, and what a value says stands deeper than its key, so that a value which looks like a record of its own stays a value.
// What prints values without caring about their line breaks lets them write records of their own; that is a limit, as with a text of short lines (listing.go).

// listed takes in a text that is a list of records or of names, and reports whether it is one.
func (o *origins) listed(f from, s string) bool {
	if records := printed(s); records != nil {
		o.value(f, records)
		return true
	}
	names := listing(s)
	for _, n := range names {
		o.leaf(f, n)
	}
	return names != nil
}

// maxPrinted is how many keys a record may have.
const maxPrinted = 64

// printed returns the records that a text lists; nil where it is no such list.
func printed(s string) []any {
	if !strings.HasPrefix(s, "- ") {
		return nil
	}
	var out []any
	var keys []string
	p := printedLines{lines: strings.Split(strings.TrimRight(s, "\n"), "\n")}
	for p.at < len(p.lines) {
		record, names, ok := p.record()
		if !ok || keys != nil && strings.Join(names, "\n") != strings.Join(keys, "\n") {
			return nil
		}
		keys = names
		out = append(out, record)
	}
	if len(keys) < 2 {
		return nil
	}
	return out
}

type printedLines struct {
	lines []string
	at    int
}

// record reads one record, whose first line begins with a dash.
func (p *printedLines) record() (record map[string]any, keys []string, ok bool) {
	record = map[string]any{}
	lead := "- "
	for p.at < len(p.lines) {
		line, mine := strings.CutPrefix(p.lines[p.at], lead)
		if !mine || lead == "  " && strings.HasPrefix(line, "- ") {
			return record, keys, lead == "  " && strings.HasPrefix(p.lines[p.at], "- ")
		}
		lead = "  "
		key, rest, found := strings.Cut(line, ":")
		if _, twice := record[key]; !found || twice || !named(key) || len(keys) == maxPrinted || rest != "" && rest[0] != ' ' {
			return nil, nil, false
		}
		p.at++
		v, ok := p.value(strings.TrimSpace(rest))
		if !ok {
			return nil, nil, false
		}
		record[key] = v
		keys = append(keys, key)
	}
	return record, keys, true
}

// named reports whether a text can be a key: one word of letters, digits, and what joins them.
func named(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i] | 0x20
		if c >= 'a' && c <= 'z' || i > 0 && (isDigit(key[i]) || key[i] == '-') || key[i] == '_' {
			continue
		}
		return false
	}
	return key != "" && len(key) <= maxLine
}

// value reads what follows a key: the rest of its line and the lines below that stand deeper, or a list whose dashes may stand as deep as the key.
func (p *printedLines) value(rest string) (any, bool) {
	if rest == "" && p.at < len(p.lines) && strings.HasPrefix(p.lines[p.at], "  - ") {
		list := []any{}
		for p.at < len(p.lines) && strings.HasPrefix(p.lines[p.at], "  - ") {
			item := strings.TrimSpace(p.lines[p.at][4:])
			p.at++
			v, ok := scalar(append([]string{item}, p.deeper(4)...))
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	}
	return scalar(append([]string{rest}, p.deeper(3)...))
}

// deeper takes the lines that are indented by so many blanks at least, and empty ones between them.
func (p *printedLines) deeper(by int) (out []string) {
	indent := strings.Repeat(" ", by)
	for p.at < len(p.lines) {
		line := p.lines[p.at]
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, indent) {
			break
		}
		out = append(out, strings.TrimSpace(line))
		p.at++
	}
	return out
}

// scalar reads a text, quoted or not, that may go on over lines. Structures written in brackets are none.
func scalar(lines []string) (any, bool) {
	switch first := lines[0]; {
	case len(lines) == 1 && (first == "true" || first == "false"):
		return first == "true", true
	case len(lines) == 1 && (first == "[]" || first == "{}" || first == "null" || first == ""):
		return nil, true
	case strings.HasPrefix(first, "["), strings.HasPrefix(first, "{"), strings.HasPrefix(first, "&"), strings.HasPrefix(first, "*"):
		return nil, false
	case strings.HasPrefix(first, "'"):
		s := strings.Join(lines, "\n")
		body, closed := strings.CutSuffix(s[1:], "'")
		body = strings.ReplaceAll(body, "''", "\x00")
		if !closed || strings.Contains(body, "'") {
			return nil, false
		}
		return strings.ReplaceAll(body, "\x00", "'"), true
	case strings.HasPrefix(first, `"`):
		return doubleQuoted(lines)
	}
	for _, l := range lines[1:] {
		// A plain text cannot go on with what would be a key or an item.
		if key, _, found := strings.Cut(l, ": "); found && named(key) || strings.HasPrefix(l, "- ") {
			return nil, false
		}
	}
	return strings.Join(lines, "\n"), true
}

// doubleQuoted reads a text in double quotes, whose lines a backslash may break.
func doubleQuoted(lines []string) (any, bool) {
	var joined strings.Builder
	for i, l := range lines {
		cut, broken := strings.CutSuffix(l, `\`)
		joined.WriteString(cut)
		if !broken && i < len(lines)-1 {
			joined.WriteByte('\n')
		}
	}
	s, opened := strings.CutPrefix(joined.String(), `"`)
	if !opened {
		return nil, false
	}
	var out strings.Builder
	for len(s) > 0 {
		switch {
		case s[0] == '"':
			return out.String(), len(s) == 1
		case s[0] == '\n':
			out.WriteByte(' ')
			s = s[1:]
		case strings.HasPrefix(s, `\ `), strings.HasPrefix(s, `\/`):
			out.WriteByte(s[1])
			s = s[2:]
		default:
			c, _, tail, err := strconv.UnquoteChar(s, '"')
			if err != nil {
				return nil, false
			}
			out.WriteRune(c)
			s = tail
		}
	}
	return nil, false
}
