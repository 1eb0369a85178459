package starter

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// document prints policy.md: one clause for each rule, with the id that the rule cites.
func (w *writer) document() []byte {
	var b bytes.Buffer
	b.WriteString("# What the agent may do\n\n<!-- Looking things up is allowed. What changes something is allowed where every clause below holds. Whatever else the agent could call is denied.\n\n")
	b.WriteString("A value counts as the user's where the user's own words contain it. A record is a field, a list member or a key of a result; what stands inside of a text is no record. -->\n")
	if len(w.rules) > 0 {
		b.WriteString("\n")
		for _, r := range w.rules {
			fmt.Fprintf(&b, "- %s This is about %s. {#%s}\n", r.guard.clause, r.subject(), r.id)
		}
	}
	return b.Bytes()
}

// subject names what a rule is about in words.
func (r *rule) subject() string {
	tools := r.tools[0]
	if n := len(r.tools); n > 1 {
		tools = strings.Join(r.tools[:n-1], ", ") + " and " + r.tools[n-1]
	}
	if r.arg.Path == "" {
		return tools
	}
	return fmt.Sprintf("%s of %s", strings.ReplaceAll(r.arg.Path, "[]", ""), tools)
}

// rulesFile prints rules.yaml; every grant and rule stands under the reason for it.
func (w *writer) rulesFile() []byte {
	var b bytes.Buffer
	b.WriteString("# A tool call that no grant covers is denied. A granted call is allowed when every rule about it holds.\n")
	b.WriteString("# 'user' in origin_all(x): the user said x. 'field': x is the whole of a field of a result. 'text': x is a piece of somebody's text.\n")
	b.WriteString("# 'asked': x stands in a result that the user pointed at. 'assistant': x was found nowhere.\n")
	w.labels(&b)
	w.lets(&b)
	b.WriteString("\ngrants:\n")
	for _, c := range w.classes {
		mark := ""
		if c.Effect == Unclear {
			mark = "# "
		}
		why := c.Reason
		switch {
		case c.Effect == Unclear:
			why = "denied: " + why + "; grant it when you know"
		case !c.Changes():
			why = "only reads: " + why
		default:
			why = string(c.Effect) + ": " + why
		}
		fmt.Fprintf(&b, "  %s- tools: [%s] # %s\n", mark, scalar(c.Tool), oneLine(why))
	}
	if len(w.rules) == 0 {
		return b.Bytes()
	}
	b.WriteString("\nrules:\n")
	for i, r := range w.rules {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  # %s: %s.\n", r.about(), r.guard.reason)
		fmt.Fprintf(&b, "  - id: %s\n    clause: %s\n    tools: %s\n", r.id, r.id, list(r.tools))
		fmt.Fprintf(&b, "    require: %s\n", quote2(r.guard.form(&w.rules[i])))
		fmt.Fprintf(&b, "    message: %s\n    hint: %s\n", r.guard.message, r.guard.hint)
	}
	return b.Bytes()
}

// about is the beginning of a rule's comment: what the argument was taken for, and why.
func (r *rule) about() string {
	if r.arg.Path == "" {
		var of []string
		for _, e := range r.effects {
			if !slices.Contains(of, string(e)) {
				of = append(of, string(e))
			}
		}
		sort.Strings(of)
		return strings.Join(of, ", ")
	}
	return fmt.Sprintf("%s is %s (%s)", r.arg.Path, r.arg.Role, oneLine(r.arg.Reason))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// labels prints which sources lie outside, and which hold what somebody wrote.
func (w *writer) labels(b *bytes.Buffer) {
	fetch := w.granted(func(c Class) bool { return c.Effect == Fetch })
	prose := w.granted(func(c Class) bool { return w.tellsProse(c) })
	open := slices.ContainsFunc(w.classes, func(c Class) bool { return !c.Changes() && w.tools[c.Tool].Result == nil })
	if len(w.rules) == 0 {
		return
	}
	b.WriteString("\n# What the sources of values are called.\nlabels:\n")
	if len(fetch) > 0 {
		fmt.Fprintf(b, "  outside: # what anybody can write\n    from: %s\n", list(fetch))
	}
	b.WriteString("  prose: # what somebody wrote at length, and fields that hold such text\n    from:\n      - system\n")
	for _, t := range prose {
		fmt.Fprintf(b, "      - %s\n", scalar(t))
	}
	for _, t := range w.granted(func(c Class) bool { return w.tellsOpinions(c) }) {
		fmt.Fprintf(b, "      - '%s.*'\n", t)
	}
	if open {
		for _, f := range textFields {
			fmt.Fprintf(b, "      - '*.%s'\n", f)
		}
	}
}

// tellsOpinions reports whether the fields of a read's answers hold what others think; their keys are names all the same.
func (w *writer) tellsOpinions(c Class) bool {
	t := w.tools[c.Tool]
	return c.Effect == Read && t.Result == nil && slices.ContainsFunc(append(words(c.Tool), words(sentence(t.Description))...), func(word string) bool {
		_, is := lookup(opinionNouns, word)
		return is
	})
}

// tellsProse reports whether a tool answers with what somebody wrote at length: a page, or what it was asked to read out, but not what it was asked to find or list.
func (w *writer) tellsProse(c Class) bool {
	if c.Effect != Read || len(c.Args) == 0 {
		return c.Effect == Fetch
	}
	t := w.tools[c.Tool]
	name, text := words(c.Tool), words(sentence(t.Description))
	for _, ws := range [][]string{name, text} {
		if _, verb := mainVerb(ws); verb != "" {
			if _, finds := lookup(finding, verb); finds {
				return false
			}
		}
	}
	return slices.ContainsFunc(append(name, text...), func(word string) bool {
		_, is := lookup(proseNouns, word)
		return is
	})
}

// lets prints the words by which the user asks for an effect.
func (w *writer) lets(b *bytes.Buffer) {
	var used []Effect
	for _, r := range w.rules {
		if r.lasts() && !slices.Contains(used, r.asks) {
			used = append(used, r.asks)
		}
	}
	slices.Sort(used)
	if len(used) == 0 {
		return
	}
	b.WriteString("\n# The user's words ask for it.\nlet:\n")
	for _, e := range used {
		var quotedWords []string
		for _, a := range asks[e] {
			quotedWords = append(quotedWords, "'"+a+"'")
		}
		fmt.Fprintf(b, "  %s: %s\n", askName(e), quote2("["+strings.Join(quotedWords, ", ")+"].exists(w, "+said("w")+")"))
	}
}

// quote2 prints a text that holds single quotes as YAML.
func quote2(s string) string {
	if strings.ContainsAny(s, `"\`) {
		return quoted(s)
	}
	return `"` + s + `"`
}
