package starter

import (
	"fmt"
	"strings"
)

// What a condition asks of a value, in the words of conditions.

// said holds where the user's own words contain the value.
func said(x string) string { return "'user' in origin_all(" + x + ")" }

// listed holds where the value is the whole of a field, a list member or a key of some result, and stands nowhere in what somebody wrote.
func listed(x string) string {
	return fmt.Sprintf("'field' in origin_all(%s) && !('text' in origin(%[1]s)) && !('prose' in origin(%[1]s))", x)
}

// unspoken holds where the value is no piece of anybody's text: it stands in a field, or nowhere because it was computed.
func unspoken(x string) string {
	return fmt.Sprintf("!('text' in origin(%s)) || %s", x, made(x))
}

// made holds where the value stands nowhere: the agent made it.
func made(x string) string { return "'assistant' in origin(" + x + ")" }

// pointed holds where the value stands in a result that the user pointed at: every argument of the call that brought it stands in the user's words.
func pointed(x string) string { return "'asked' in origin_all(" + x + ")" }

// inside is pointed, except for what came from outside; it is the same where no tool brings anything from there.
func (r *rule) inside(x string) string {
	if !r.fetches {
		return pointed(x)
	}
	return pointed(x) + fmt.Sprintf(" && !('outside' in origin(%s))", x)
}

// each applies a condition on a value to an argument: to every member where it is a list, and to nothing where it may be absent and is.
func each(a Arg, cond func(x string) string) string {
	path, member, isList := strings.Cut(a.Path, "[]")
	x := "args." + selectors(path)
	var free []string
	for _, p := range a.absent {
		free = append(free, fmt.Sprintf("!has(args.%s)", selectors(strings.TrimSuffix(p, "[]"))))
	}
	if a.Nullable {
		free = append(free, x+" == null")
	}
	if d, ok := literal(a.fallback); ok {
		free = append(free, x+" == "+d)
	}
	body := ""
	if isList {
		of := "x"
		if member != "" {
			of += "." + selectors(member[1:])
		}
		body = cond(of)
		if a.memberNullable {
			body = of + " == null || " + body
		}
		if a.memberAbsent {
			body = "!has(" + of + ") || " + body
		}
		body = fmt.Sprintf("%s.all(x, %s)", x, body)
	} else {
		body = cond(x)
		if len(free) > 0 {
			body = "(" + body + ")"
		}
	}
	return strings.Join(append(free, body), " || ")
}

// selectors writes a dotted path as a condition does: names that CEL would read otherwise stand in backticks.
func selectors(path string) string {
	parts := strings.Split(path, ".")
	for i, p := range parts {
		if !identifier(p) || reserved[p] {
			parts[i] = "`" + p + "`"
		}
	}
	return strings.Join(parts, ".")
}

func identifier(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}

// nameable reports whether a condition can name an argument at all.
func nameable(s string) bool {
	for _, r := range s {
		if !(r == '_' || r == '-' || r == '/' || r == ' ' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}

// reserved are the words of CEL that are no identifiers.
var reserved = set("as break const continue else false for function if import in let loop namespace null package return true var void while")

// literal prints a default as a condition would write it; ok is false for none and for lists and objects.
func literal(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
