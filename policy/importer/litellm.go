package importer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/internal/strictyaml"
)

// LiteLLM reads the tool permission guardrails of a LiteLLM configuration (guardrail tool_permission, proxy documentation of October 2026): the first rule whose name pattern, and whose argument patterns, match a call
// as a whole decides, else default_action.
//
// A pack knows every tool by name, so that patterns are resolved against tools.json beside the configuration; a rule with a plain name brings its tool along. A denying rule with argument patterns is closed:
// it matches where one value of a list does, where LiteLLM wants all of them to. Argument patterns of a rule without a tool name, which LiteLLM does not look at, are looked at where the rule allows.
var LiteLLM = &Format{
	Name: "litellm",
	Doc:  "The tool_permission guardrails of a LiteLLM configuration. Name patterns are resolved against tools.json beside it.",
	Read: readLiteLLM,
}

type litellmConfig struct {
	Guardrails []struct {
		Name   string `yaml:"guardrail_name"`
		Params struct {
			Guardrail string        `yaml:"guardrail"`
			Rules     []litellmRule `yaml:"rules"`
			Default   string        `yaml:"default_action"`
		} `yaml:"litellm_params"`
	} `yaml:"guardrails"`
}

type litellmRule struct {
	ID       string            `yaml:"id"`
	Name     string            `yaml:"tool_name"`
	Type     string            `yaml:"tool_type"`
	Decision string            `yaml:"decision"`
	Patterns map[string]string `yaml:"allowed_param_patterns"`
}

type litellmReader struct {
	*sheet
	granted map[string]bool
}

func readLiteLLM(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	var c litellmConfig
	if err := strictyaml.Decode(src, &c, false); err != nil {
		r.unreadable(name, "not a configuration: %v", err)
		return nil
	}
	l := &litellmReader{sheet: newSheet(r, name, "Which tools may be called"), granted: map[string]bool{}}
	if !l.beside() {
		return nil
	}
	found := 0
	for _, g := range c.Guardrails {
		if g.Params.Guardrail == "tool_permission" {
			for _, rule := range g.Params.Rules {
				if plain := strings.TrimSuffix(strings.TrimPrefix(rule.Name, "^"), "$"); plain != "" && regexp.QuoteMeta(plain) == plain {
					l.tools[plain] = true
				}
			}
		}
	}
	for _, g := range c.Guardrails {
		if g.Params.Guardrail == "tool_permission" {
			found++
			l.guardrail(g.Name, strings.ToLower(g.Params.Default), g.Params.Rules)
		} else {
			r.narrower(name, "write its check as a rule", "the guardrail %s (%s) is left out; this pack speaks of tool calls alone", g.Name, g.Params.Guardrail)
		}
	}
	if found == 0 {
		r.unreadable(name, "no guardrail of this configuration is tool_permission")
		return nil
	}
	if len(l.granted) > 0 {
		l.grant(slices.Sorted(maps.Keys(l.granted)), nil)
	}
	return l.files()
}

// guardrail writes one list of rules, as one rule of ours for each tool. Several guardrails all have to allow.
func (l *litellmReader) guardrail(name, fallback string, rules []litellmRule) {
	switch fallback {
	case "allow":
		l.r.narrower(l.file, "list the agent's tools in tools.json", "%s: default_action allows tools that no rule speaks of; only those that the pack knows can be called", name)
	case "deny", "":
	default:
		l.r.unreadable(l.file, "%s: default_action is %q", name, fallback)
		return
	}
	hits := make([]func(string) bool, len(rules))
	for i := range rules {
		rules[i].Decision = strings.ToLower(rules[i].Decision)
		r := rules[i]
		if hits[i] = l.names(name, r); hits[i] == nil {
			return
		}
	}
	clause := l.id(name)
	l.clause(clause, "A tool is called where %s allows it: the first rule that matches decides, and otherwise it is %s.", quoted(name), map[bool]string{true: "allowed", false: "denied"}[fallback == "allow"])
	for _, tool := range l.sheet.names() {
		allowed := any(fallback == "allow")
		for i, r := range slices.Backward(rules) {
			if !hits[i](tool) {
				continue
			}
			if r.Decision == "allow" {
				allowed = anyOf(l.match(r, least), allowed)
			} else {
				allowed = all(not(l.match(r, most)), allowed)
			}
		}
		if allowed != false {
			l.granted[tool] = true
		}
		l.needs(l.id(clause+" "+tool), clause, []string{tool}, allowed, "No rule of "+name+" allows "+tool+" with these arguments.")
	}
}

// names is which tools a rule speaks of, nil after an error was reported.
func (l *litellmReader) names(guardrail string, r litellmRule) func(string) bool {
	side := map[bool]side{true: least, false: most}[r.Decision == "allow"]
	switch {
	case r.Decision != "allow" && r.Decision != "deny":
		l.r.unreadable(l.file, "%s: rule %s: decision is %q", guardrail, r.ID, r.Decision)
		return nil
	case strings.TrimSpace(r.Name+r.Type) == "":
		l.r.unreadable(l.file, "%s: rule %s names no tool and no type", guardrail, r.ID)
		return nil
	}
	var tests []*regexp.Regexp
	for _, p := range []string{r.Name, r.Type} {
		if strings.TrimSpace(p) == "" {
			p = ".*"
		}
		re, err := pyRegex(strings.TrimSpace(p), true, side)
		if err != nil {
			l.r.foreign(l.file, "write a pattern that RE2 has", "%s: rule %s: the pattern %q: %v", guardrail, r.ID, short(p), err)
			return nil
		}
		tests = append(tests, regexp.MustCompile(re)) // pyRegex has compiled it
	}
	some := false
	for tool := range l.tools {
		some = some || tests[0].MatchString(tool)
	}
	if !some {
		l.r.narrower(l.file, "list the agent's tools in tools.json", "%s: rule %s: no tool that the pack knows is called %q", guardrail, r.ID, r.Name)
	}
	return func(tool string) bool { return tests[0].MatchString(tool) && tests[1].MatchString("function") }
}

// match is where the argument patterns of a rule hold: every path has values, and all of them match.
func (l *litellmReader) match(r litellmRule, s side) any {
	if s == most && strings.TrimSpace(r.Name) == "" {
		return true // LiteLLM does not look at them
	}
	var parts []any
	for _, path := range slices.Sorted(maps.Keys(r.Patterns)) {
		re, err := pyRegex(r.Patterns[path], true, s)
		if err != nil {
			l.r.foreign(l.file, "write a pattern that RE2 has", "rule %s: the pattern of %s: %v", r.ID, path, err)
			return false
		}
		test, ok := l.values("args", path, re, s, 0)
		if !ok {
			return false
		}
		parts = append(parts, test)
	}
	return all(parts...)
}

// litellmStep is a name with the lists that it leads into.
var litellmStep = lazyregexp.New(`^\.?([^.\[\]]+)((?:\[\])*)`)

// values tests the values at a path below x, such as to[].address: least where there are some and all match, most where one does.
func (l *litellmReader) values(x, path, re string, s side, depth int) (string, bool) {
	if path == "" {
		if s == most {
			return fmt.Sprintf("type(%[1]s) in [list, map] ? false : type(%[1]s) != string || %[1]s.matches(%[2]s)", x, celPattern(re)), true
		}
		return fmt.Sprintf("type(%[1]s) == string && %[1]s.matches(%[2]s) || type(%[1]s) == int && string(%[1]s).matches(%[2]s)", x, celPattern(re)), true
	}
	if rest, inList := strings.CutPrefix(path, "[]"); inList {
		e := fmt.Sprintf("e%d", depth)
		test, ok := l.values(e, rest, re, s, depth+1)
		if s == most {
			return fmt.Sprintf("type(%[1]s) == list && %[1]s.exists(%[2]s, %[3]s)", x, e, test), ok
		}
		return fmt.Sprintf("type(%[1]s) == list && size(%[1]s) > 0 && %[1]s.all(%[2]s, %[3]s)", x, e, test), ok
	}
	m := litellmStep.FindStringSubmatch(path)
	if m == nil || !fieldName(m[1]) {
		l.r.foreign(l.file, "rename the argument, or write the rule by hand", "conditions cannot name the argument path %q", path)
		return "", false
	}
	test, ok := l.values(x+"."+m[1], m[2]+path[len(m[0]):], re, s, depth)
	there := "has(" + x + "." + m[1] + ")"
	if x != "args" {
		there = "type(" + x + ") == map && " + there
	}
	if strings.Contains(test, " || ") || strings.Contains(test, " ? ") {
		test = "(" + test + ")"
	}
	return there + " && " + test, ok
}
