package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/strictyaml"
	"github.com/proviso-dev/proviso/policy/condition"
)

// Edictum reads bundles of edictum (edictum/v1, kind ContractBundle or Ruleset; patterns as its Go engine reads them). A pre rule blocks or asks, a post rule withholds, redacts or warns of a result, a session rule limits calls.
//
// What no rule speaks of is allowed, as far as the pack knows the tool. A comparison of a text with something else fails the rule there, which fires; here it fires wherever such a value stands. Sandboxes, environment, env and metadata cannot be seen and are refused.
var Edictum = &Format{
	Name: "edictum",
	Doc:  "A bundle of edictum (edictum/v1). Tools are those that it names and those of tools.json beside it.",
	Read: readEdictum,
}

type edictumReader struct {
	*sheet
}

func readEdictum(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	var v map[string]any
	if err := strictyaml.Decode(src, &v, false); err != nil {
		r.unreadable(name, "not a bundle: %v", err)
		return nil
	}
	list, isList := v["rules"].([]any)
	if !isList {
		list, isList = v["contracts"].([]any)
	}
	if v["apiVersion"] != "edictum/v1" || !isList {
		r.unreadable(name, "want apiVersion edictum/v1 with rules or contracts")
		return nil
	}
	e := &edictumReader{sheet: newSheet(r, name, "What the agent may not do")}
	if !e.beside() {
		return nil
	}
	defaults, _ := v["defaults"].(map[string]any)
	named, _ := v["tools"].(map[string]any)
	for t := range named {
		e.tools[t] = true
	}
	for _, each := range list {
		m, _ := each.(map[string]any)
		if tool, _ := m["tool"].(string); tool != "" && !strings.ContainsAny(tool, "*?[") {
			e.tools[tool] = true
		}
		limits, _ := m["limits"].(map[string]any)
		perTool, _ := limits["max_calls_per_tool"].(map[string]any)
		for t := range perTool {
			e.tools[t] = true
		}
	}
	for i, each := range list {
		m, _ := each.(map[string]any)
		if m["enabled"] == false {
			continue
		}
		e.rule(i, m, defaults["mode"] == "observe")
	}
	if len(e.tools) > 0 {
		e.grant(e.names(), nil)
	}
	r.narrower(name, "list the agent's tools in tools.json", "edictum allows tools that no rule speaks of; here only those that the pack knows can be called")
	return e.files()
}

func (e *edictumReader) refuse(at, format string, args ...any) {
	e.r.foreign(e.file, "write the rule by hand", "%s: %s", at, fmt.Sprintf(format, args...))
}

func (e *edictumReader) rule(i int, m map[string]any, observe bool) {
	at, _ := m["id"].(string)
	if at == "" {
		e.r.unreadable(e.file, "rule %d has no id", i+1)
		return
	}
	then, _ := m["then"].(map[string]any)
	action, _ := then["action"].(string)
	if action == "" {
		action, _ = then["effect"].(string)
	}
	message, _ := then["message"].(string)
	rest := map[string]any{"message": plain(message)}
	if mode, has := m["mode"].(string); mode == "observe" || !has && observe {
		rest["mode"] = "audit"
	}
	id := e.id(at)
	e.clause(id, "%s", message)
	glob, _ := m["tool"].(string)
	if strings.ContainsAny(glob, "?[") {
		e.refuse(at, "the tool pattern %q", glob)
	}
	kind, _ := m["type"].(string)
	if kind == "session" {
		e.limits(id, at, m, rest)
		return
	}
	point := map[string]string{"pre": "tool_call", "post": "tool_result"}[kind]
	if point == "" {
		e.refuse(at, "a rule of type %q", kind)
		return
	}
	rest["tools"], rest["on"] = []string{glob}, point
	if point == "tool_call" {
		delete(rest, "on")
	}
	var mismatches []any
	when := e.expression(at, m["when"], kind == "post", &mismatches)
	rest["when"] = anyOf(anyOf(mismatches...), when)
	if rest["when"] == true {
		delete(rest, "when")
	}
	switch kind + " " + action {
	case "pre block", "pre deny", "post block", "post deny":
	case "pre ask", "pre approve":
		rest["else"] = "escalate"
	case "post warn":
		rest["else"] = map[string]any{"notice": map[string]any{"agent": plain(message)}}
		delete(rest, "message")
	case "post redact":
		patterns := edictumPatterns(m["when"])
		if len(patterns) == 0 {
			e.r.narrower(e.file, "give patterns with matches", "%s: nothing says what to redact; the result is withheld", at)
			break
		}
		rest["else"] = map[string]any{"redact": patterns}
		delete(rest, "message")
		delete(rest, "when") // what does not match is not changed
	default:
		e.refuse(at, "the action %q of a %s rule", action, kind)
		return
	}
	if rest["when"] != false {
		e.sheet.rule(id, id, rest)
	}
}

// edictumPatterns are the patterns that a condition looks for.
func edictumPatterns(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			p, isText := v[k].(string)
			if k == "matches" && isText {
				out = append(out, p)
			} else if list, isList := v[k].([]any); k == "matches_any" && isList {
				for _, each := range list {
					if p, isText := each.(string); isText {
						out = append(out, p)
					}
				}
			} else {
				out = append(out, edictumPatterns(v[k])...)
			}
		}
	case []any:
		for _, each := range v {
			out = append(out, edictumPatterns(each)...)
		}
	}
	return out
}

// limits imports a session rule. Calls in flight count, and so do those that failed.
func (e *edictumReader) limits(id, at string, m map[string]any, rest map[string]any) {
	limits, _ := m["limits"].(map[string]any)
	ran := func(tool string) string {
		return fmt.Sprintf("count(%[1]s, {}, {'phase': 'reserved'}) + count(%[1]s, {}, {'phase': 'error'})", celText(tool))
	}
	add := func(name string, tools []string, require string) {
		r := maps.Clone(rest)
		r["tools"], r["require"] = tools, require
		e.sheet.rule(e.id(id+" "+name), id, r)
	}
	for _, k := range slices.Sorted(maps.Keys(limits)) {
		switch n, isNumber := celValue(limits[k]); {
		case k == "max_tool_calls" && isNumber:
			add("calls", []string{"*"}, ran("*")+" < "+n)
		case k == "max_attempts" && isNumber:
			add("attempts", []string{"*"}, "count('*', {}, {'phase': 'attempted'}) + 1 < "+n)
		case k == "max_calls_per_tool":
			perTool, _ := limits[k].(map[string]any)
			for _, tool := range slices.Sorted(maps.Keys(perTool)) {
				if n, ok := celValue(perTool[tool]); ok {
					add(tool, []string{tool}, ran(tool)+" < "+n)
				}
			}
		default:
			e.refuse(at, "the limit %s", k)
		}
	}
}

// expression is a condition; mismatches collects where a value has a type that an operator fails of.
func (e *edictumReader) expression(at string, v any, post bool, mismatches *[]any) any {
	m, _ := v.(map[string]any)
	if len(m) != 1 {
		e.refuse(at, "an expression has one key, this has %d", len(m))
		return true
	}
	for k, inner := range m {
		switch k {
		case "all", "any":
			list, _ := inner.([]any)
			var parts []any
			for _, each := range list {
				parts = append(parts, e.expression(at, each, post, mismatches))
			}
			if k == "all" {
				return all(parts...)
			}
			return anyOf(parts...)
		case "not":
			return not(e.expression(at, inner, post, mismatches))
		}
		op, _ := inner.(map[string]any)
		if len(op) != 1 {
			e.refuse(at, "%s has one operator", k)
			return true
		}
		for name, value := range op {
			return e.leaf(at, k, name, value, post, mismatches)
		}
	}
	return true
}

// edictumTexts are the operators of texts, and edictumNumbers those of numbers.
var (
	edictumTexts   = map[string]string{"contains": "%s.contains(%s)", "starts_with": "%s.startsWith(%s)", "ends_with": "%s.endsWith(%s)", "matches": "%s.matches(%s)"}
	edictumAny     = map[string]string{"contains_any": "contains", "matches_any": "matches"}
	edictumNumbers = map[string]string{"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
)

func (e *edictumReader) leaf(at, selector, op string, value any, post bool, mismatches *[]any) any {
	x, there := "", ""
	switch {
	case strings.HasPrefix(selector, "args."):
		path, ok := e.argument(strings.Split(strings.TrimPrefix(selector, "args."), ".")...)
		if !ok {
			return true
		}
		x, there = path, present(path)+" && "+path+" != null"
	case selector == "tool.name":
		x = "tool"
	case selector == "output.text" && post:
		x = "text"
	case selector == "principal.user_id":
		x = "session.user"
	case strings.HasPrefix(selector, "principal.") && fieldName(strings.ReplaceAll(strings.TrimPrefix(selector, "principal."), ".", "_")):
		name := strings.ReplaceAll(strings.TrimPrefix(selector, "principal."), ".", "_")
		e.session[name] = map[string]any{}
		x, there = "session."+name, "has(session."+name+")"
	default:
		e.refuse(at, "%s cannot be seen", selector)
		return true
	}
	test := func(cel, typ string) any {
		if typ != "" && there != "" {
			*mismatches = append(*mismatches, there+" && !(type("+x+") in "+typ+")")
			cel = "type(" + x + ") in " + typ + " && (" + cel + ")"
		}
		if there == "" {
			return cel
		}
		return there + " && " + group(cel)
	}
	text, ok := celValue(value)
	if !ok {
		e.refuse(at, "the operand of %s", op)
		return true
	}
	if inner, several := edictumAny[op]; several {
		list, _ := value.([]any)
		var parts []string
		for _, each := range list {
			parts = append(parts, e.operand(at, x, inner, each))
		}
		return test(joined(" || ", "false", parts), "[string]")
	}
	switch {
	case op == "exists":
		if there == "" {
			return value == true
		}
		if value == true {
			return there
		}
		return "!(" + there + ")"
	case op == "equals":
		return test(x+" == "+text, "")
	case op == "not_equals":
		return test(x+" != "+text, "")
	case op == "in":
		return test(x+" in "+text, "")
	case op == "not_in":
		return test("!("+x+" in "+text+")", "")
	case edictumTexts[op] != "":
		return test(e.operand(at, x, op, value), "[string]")
	case edictumNumbers[op] != "":
		return test(x+" "+edictumNumbers[op]+" "+text, "[int, double]")
	}
	e.refuse(at, "the operator %s", op)
	return true
}

// operand is one comparison of a text.
func (e *edictumReader) operand(at, x, op string, value any) string {
	text, isText := value.(string)
	if !isText {
		e.refuse(at, "%s wants a text", op)
		return "true"
	}
	lit := celText(text)
	if op == "matches" {
		if problem := condition.RegexProblem(text); problem != "" {
			e.refuse(at, "the pattern %q: %s", short(text), problem)
			return "true"
		}
		lit = celPattern(text)
	}
	return fmt.Sprintf(edictumTexts[op], x, lit)
}
