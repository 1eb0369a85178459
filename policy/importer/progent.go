package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Progent reads policies of Progent (sunblaze-ucb/progent, arXiv 2504.11703, as of May 2026) as JSON: for each tool a list of [priority, effect, arguments, fallback] or of five with an update.
//
// Rules are tried by priority, forbidding ones first among equals; the first that decides wins, and where none does the fallback of the last one tried.
// Four of its habits let more through than their authors are likely to have meant, and are closed unless Options.Holes keeps them: an argument that is missing satisfies what an allowing rule wants of it;
// a pattern matches if a part of the text does; no policy at all allows everything; and a rule with an update changes other tools' rules, by a known bug even where another rule decided.
// Updates are never carried out: a tool that one names may be called where its rules before and after the update both allow it.
var Progent = &Format{
	Name: "progent",
	Doc:  "A policy of Progent as JSON, {TOOL: [[PRIORITY, EFFECT, {ARGUMENT: SCHEMA OR REGEX}, FALLBACK], …]}. Missing arguments, parts of texts and no policy do not allow, unless --keep-holes.",
	Read: readProgent,
}

type progentRule struct {
	priority int64
	forbid   bool
	args     map[string]any
	fallback int64
	update   map[string]any
}

type progentReader struct {
	*sheet
	loose  bool // a pattern was anchored, or an argument asked for
	exits  bool
	former map[string]bool // tools that have rules without any update
}

func readProgent(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	v, err := proviso.DecodeJSON(src)
	if err != nil {
		r.unreadable(name, "%v", err)
		return nil
	}
	p := &progentReader{sheet: newSheet(r, name, "What the agent may do"), former: map[string]bool{}}
	if !p.beside() {
		return nil
	}
	if v == nil {
		p.nothing()
		return p.files()
	}
	m, isMap := v.(map[string]any)
	if !isMap {
		r.unreadable(name, "a policy of Progent is an object of lists of rules, or null")
		return nil
	}
	for t := range m {
		p.former[t], p.tools[t] = true, true
	}
	p.policy(m, "")
	if p.loose && !r.Holes {
		r.narrower(name, "import with --keep-holes to have the original reading", "an allowing rule wants its arguments to be there, and their patterns to match the whole text; Progent lets missing ones pass and is content with a part")
	}
	if p.exits {
		r.narrower(name, "end the agent's work from the program that runs it", "fallback 1 ends the agent's program; here the call is denied")
	}
	return p.files()
}

// nothing imports a policy that is not there.
func (p *progentReader) nothing() {
	id := p.id("anything")
	if !p.r.Holes {
		p.clause(id, "Nothing may be done, because there is no policy.")
		p.r.narrower(p.file, "import with --keep-holes to allow every tool of tools.json", "the policy is null, with which Progent allows everything; nothing is granted")
		return
	}
	p.clause(id, "Everything may be done, because there is no policy.")
	p.r.narrower(p.file, "list the agent's tools in tools.json", "the policy is null: every tool that the pack knows is granted, and no other")
	if len(p.tools) > 0 {
		p.grant(p.names(), nil)
	}
}

// policy imports the rules of every tool; after says, for an update, which rule makes it.
func (p *progentReader) policy(m map[string]any, after string) {
	for _, tool := range slices.Sorted(maps.Keys(m)) {
		rules, ok := p.rulesOf(tool, m[tool])
		if !ok || !p.former[tool] {
			continue
		}
		p.tool(tool, rules, after)
		for _, r := range rules {
			if r.update != nil && after == "" {
				p.r.narrower(p.file, "write what changes as a rule over the history, such as called('"+tool+"', {})",
					"%s: a rule updates the rules of %s; they may be called where the rules before and after both allow it", tool, strings.Join(slices.Sorted(maps.Keys(r.update)), ", "))
				p.policy(r.update, tool)
			} else if r.update != nil {
				p.r.foreign(p.file, "write it by hand", "%s: an update that updates", tool)
			}
		}
	}
}

// rulesOf reads the list of one tool and sorts it as Progent does. What comes after an allowing rule of priority 100 with fallback 0 is never tried: where that does not allow, it denies.
func (p *progentReader) rulesOf(tool string, v any) (rules []progentRule, ok bool) {
	list, isList := v.([]any)
	if !isList {
		p.r.unreadable(p.file, "%s: not a list of rules", tool)
		return nil, false
	}
	for i, e := range list {
		t, isList := e.([]any)
		if !isList || len(t) != 4 && len(t) != 5 {
			p.r.unreadable(p.file, "%s: rule %d is not a list of four or five", tool, i+1)
			return nil, false
		}
		r := progentRule{}
		var effect int64
		var numbers [3]bool
		r.priority, numbers[0] = t[0].(int64)
		effect, numbers[1] = t[1].(int64)
		r.fallback, numbers[2] = t[3].(int64)
		args, isMap := t[2].(map[string]any)
		if numbers != [3]bool{true, true, true} || !isMap || effect&^1 != 0 || r.fallback < 0 || r.fallback > 2 {
			p.r.unreadable(p.file, "%s: rule %d: want a whole priority, effect 0 or 1, an object of arguments, and fallback 0, 1 or 2", tool, i+1)
			return nil, false
		}
		r.forbid, r.args = effect == 1, args
		if len(t) == 5 && t[4] != nil {
			if r.update, isMap = t[4].(map[string]any); !isMap {
				p.r.unreadable(p.file, "%s: rule %d: an update is an object of lists of rules", tool, i+1)
				return nil, false
			}
		}
		p.exits = p.exits || r.fallback == 1
		rules = append(rules, r)
	}
	slices.SortStableFunc(rules, func(a, b progentRule) int {
		if a.priority != b.priority {
			return int(min(1, max(-1, a.priority-b.priority)))
		}
		return map[bool]int{true: -1, false: 1}[a.forbid] * map[bool]int{true: 0, false: 1}[a.forbid == b.forbid]
	})
	for i, r := range rules {
		if !r.forbid && r.priority == 100 && r.fallback == 0 {
			return rules[:i+1], true
		}
	}
	return rules, true
}

// tool writes the clause and the rules of one tool.
func (p *progentReader) tool(tool string, rules []progentRule, after string) {
	allowed, asked := any(false), any(false)
	if n := len(rules); n > 0 {
		asked = rules[n-1].fallback == 2
	}
	for _, r := range slices.Backward(rules) {
		whole := not(p.fails(r))
		if r.forbid {
			hit := p.match(tool, r, most)
			if asked = all(not(hit), asked); r.fallback == 2 {
				asked = anyOf(hit, asked)
			}
			allowed = all(not(hit), allowed)
		} else {
			allowed, asked = anyOf(p.match(tool, r, least), allowed), all(not(p.match(tool, r, most)), asked)
		}
		allowed, asked = all(whole, allowed), all(whole, asked)
	}
	p.grantOnce(tool, allowed, asked)
	id := p.id(tool + map[bool]string{true: " after " + after}[after != ""])
	says := fmt.Sprintf("%s may be called where one of its %d rules allows it.", quoted(tool), len(rules))
	if after != "" {
		says = fmt.Sprintf("%s may be called only where the rules that %s puts in place allow it as well.", quoted(tool), quoted(after))
	}
	p.clause(id, "%s", says)
	p.needs(id, id, []string{tool}, anyOf(allowed, asked), "No rule allows "+tool+" with these arguments.")
	p.fires(p.id(id+" ask"), id, []string{tool}, asked, map[string]any{"else": "escalate", "message": "A person has to allow this."})
}

// grantOnce grants a tool that some call of can pass.
func (p *progentReader) grantOnce(tool string, allowed, asked any) {
	if allowed == false && asked == false {
		return
	}
	for _, g := range p.grants {
		if g.(map[string]any)["tools"].([]string)[0] == tool {
			return
		}
	}
	p.grant([]string{tool}, nil)
}

// match is where a rule matches: its restrictions all hold, of arguments that are there.
func (p *progentReader) match(tool string, r progentRule, s side) any {
	var parts []any
	for _, a := range slices.Sorted(maps.Keys(r.args)) {
		path, ok := p.argument(a)
		if !ok {
			return false
		}
		c := jsonSchema{sheet: p.sheet, at: tool + "." + a}
		var holds string
		if re, isText := r.args[a].(string); isText {
			holds = c.pattern(path, re, true, s, true)
		} else {
			holds = c.check(path, r.args[a], s, 0)
		}
		if s == least && !p.r.Holes {
			p.loose = true
			parts = append(parts, present(path), holds)
		} else {
			parts = append(parts, "!"+present(path)+" || "+group(holds))
		}
	}
	return all(parts...)
}

// fails is where a pattern meets a value that is no text: an error in Python, with which the call fails.
func (p *progentReader) fails(r progentRule) any {
	var parts []any
	for _, a := range slices.Sorted(maps.Keys(r.args)) {
		if _, isText := r.args[a].(string); isText {
			if path, ok := p.argument(a); ok {
				parts = append(parts, present(path)+" && type("+path+") != string")
			}
		}
	}
	return anyOf(parts...)
}

func group(cel string) string {
	if strings.Contains(cel, " ") {
		return "(" + cel + ")"
	}
	return cel
}
