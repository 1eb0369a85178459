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
	x := "args." + path
	var free []string
	for _, p := range a.absent {
		free = append(free, fmt.Sprintf("!has(args.%s)", p))
	}
	if a.Nullable {
		free = append(free, x+" == null")
	}
	if d, ok := literal(a.fallback); ok {
		free = append(free, x+" == "+d)
	}
	body := ""
	if isList {
		body = fmt.Sprintf("%s.all(x, %s)", x, cond("x"+member))
	} else {
		body = cond(x)
		if len(free) > 0 {
			body = "(" + body + ")"
		}
	}
	return strings.Join(append(free, body), " || ")
}

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
