package lsp

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

// clauseAt is the clause that stands in a line of the document, counted from 0.
func (a *analysis) clauseAt(name string, line int) (c document.Clause, ok bool) {
	if a.pack.Document == nil || name != a.pack.DocFile {
		return c, false
	}
	for _, c := range a.pack.Document.Clauses {
		lines := strings.Count(a.pack.Document.Quote(c.Span), "\n")
		if from := c.Span.Line - 1; from <= line && line <= from+lines {
			return c, true
		}
	}
	return c, false
}

// ruleAt is the rule that stands in a line of a rules file, counted from 0: the last that begins there or above, in the same section.
func (a *analysis) ruleAt(name string, line int, text string) (r pack.Rule, ok bool) {
	for _, each := range a.pack.Rules {
		if each.Pos.File == name && each.Pos.Line-1 <= line && (!ok || each.Pos.Line >= r.Pos.Line) {
			r, ok = each, true
		}
	}
	for n := r.Pos.Line; ok && n <= line; n++ {
		if l := lineAt(text, n); l != "" && l[0] != ' ' && l[0] != '-' && l[0] != '#' {
			return r, false // another section has begun
		}
	}
	return r, ok
}

// citing lists the rules and questions that rest on a clause.
func (a *analysis) citing(clause string) (rules []pack.Rule, questions []pack.Question) {
	cites := func(list []pack.Text) bool {
		return slices.ContainsFunc(list, func(t pack.Text) bool { return t.S == clause })
	}
	for _, r := range a.pack.Rules {
		if cites(r.Clauses) {
			rules = append(rules, r)
		}
	}
	for _, q := range a.pack.Questions {
		if cites(q.Clause) {
			questions = append(questions, q)
		}
	}
	return rules, questions
}

// target is something of the pack that a word can mean.
type target struct {
	says string // Markdown
	pos  proviso.Pos
}

// meaning is what a word means in a rules file or a file of cases.
func (a *analysis) meaning(word string) (out []target) {
	if c, ok := a.pack.Document.Find(word); ok {
		out = append(out, target{fmt.Sprintf("**clause %s**\n\n> %s", c.ID, c.Text), a.clausePos(c)})
	}
	for _, r := range a.pack.Rules {
		if r.ID.S == word {
			out = append(out, target{a.describe(r), r.Pos})
		}
	}
	question := strings.TrimPrefix(word, "judged.")
	for _, q := range a.pack.Questions {
		if q.ID.S == question {
			out = append(out, target{fmt.Sprintf("**question %s**\n\n> %s", q.ID.S, q.Ask.S), q.ID.Pos})
		}
	}
	first, _, _ := strings.Cut(word, ".")
	for _, f := range a.pack.Facts {
		if f.Name.S == first {
			var keys, from []string
			for _, k := range f.Key {
				keys = append(keys, "["+k.Name.S+"]")
			}
			for _, s := range f.From {
				from = append(from, "`"+s.Tool.S+"`")
			}
			out = append(out, target{fmt.Sprintf("**fact %s%s**, shown by %s", f.Name.S, strings.Join(keys, ""), strings.Join(from, ", ")), f.Name.Pos})
		}
	}
	for _, t := range a.pack.Tools {
		if t.Name == word {
			out = append(out, target{fmt.Sprintf("**tool %s**\n\n%s", t.Name, t.Description), t.Pos})
		}
	}
	for _, f := range builtin.All {
		if f.Name == word {
			out = append(out, target{fmt.Sprintf("**%s**\n\n%s", f.Name, f.Doc), proviso.Pos{}})
		}
	}
	return out
}

// describe is a rule with the words of its clauses.
func (a *analysis) describe(r pack.Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**rule %s**", r.ID.S)
	for _, info := range a.rules {
		if info.ID == r.ID.S {
			fmt.Fprintf(&b, ", %s", info.Outcome)
			if len(info.Tools) > 0 {
				fmt.Fprintf(&b, ", on %s", strings.Join(info.Tools, ", "))
			}
		}
	}
	for _, t := range r.Clauses {
		if c, ok := a.pack.Document.Find(t.S); ok {
			fmt.Fprintf(&b, "\n\n%s\n\n> %s", c.ID, c.Text)
		}
	}
	return b.String()
}

func (a *analysis) clausePos(c document.Clause) proviso.Pos {
	src := a.pack.Document.Source
	return proviso.Pos{File: a.pack.DocFile, Line: c.Span.Line, Col: c.Span.Start - strings.LastIndexByte(string(src[:c.Span.Start]), '\n')}
}

func markdown(parts []string) map[string]any {
	return map[string]any{"contents": map[string]any{"kind": "markdown", "value": strings.Join(parts, "\n\n---\n\n")}}
}

// asked is what a request about a place in a file rests on; ok is false where nothing is known of it.
func (s *server) asked(p params) (a *analysis, name, text string, at position, ok bool) {
	file, ok := p.file()
	if !ok {
		return nil, "", "", at, false
	}
	a, name = s.of(file)
	return a, name, s.textOf(file), p.place("position"), a != nil && a.pack != nil
}

// hover shows, on a clause, the rules that rest on it, and on a rule its clauses; on any other name what it is.
func (s *server) hover(p params) (any, *fault) {
	a, name, text, at, ok := s.asked(p)
	if !ok {
		return nil, nil
	}
	if c, ok := a.clauseAt(name, at.Line); ok {
		rules, questions := a.citing(c.ID)
		parts := []string{fmt.Sprintf("**clause %s**", c.ID)}
		for _, r := range rules {
			parts[0] += "\n\n- rule `" + r.ID.S + "`"
		}
		for _, q := range questions {
			parts[0] += "\n\n- question `" + q.ID.S + "`"
		}
		if len(rules)+len(questions) == 0 {
			parts[0] += "\n\nNo rule and no question rests on it."
		}
		return markdown(parts), nil
	}
	line := lineAt(text, at.Line)
	word, from := wholeWord(line, bytesOf(line, at.Character))
	var parts []string
	for _, t := range a.meaning(word) {
		parts = append(parts, t.says)
	}
	if field, ok := strings.CutPrefix(word, "args."); ok && len(parts) == 0 {
		parts = a.argumentDoc(field, toolsAround(text, at.Line))
	}
	if r, ok := a.ruleAt(name, at.Line, text); ok && len(parts) == 0 {
		parts = append(parts, a.describe(r))
	}
	if len(parts) == 0 {
		return nil, nil
	}
	h := markdown(parts)
	if word != "" {
		h["range"] = span{position{at.Line, units(line[:from])}, position{at.Line, units(line[:min(len(line), from+len(word))])}}
	}
	return h, nil
}

// definition leads from a clause's id to its words, from the words to the rules, and from any other name to where it is declared.
func (s *server) definition(p params) (any, *fault) {
	a, name, text, at, ok := s.asked(p)
	if !ok {
		return nil, nil
	}
	out := []location{}
	if c, ok := a.clauseAt(name, at.Line); ok {
		rules, questions := a.citing(c.ID)
		for _, r := range rules {
			out = append(out, s.locate(a, r.ID.Pos))
		}
		for _, q := range questions {
			out = append(out, s.locate(a, q.ID.Pos))
		}
		return out, nil
	}
	line := lineAt(text, at.Line)
	word, _ := wholeWord(line, bytesOf(line, at.Character))
	for _, t := range a.meaning(word) {
		if t.pos.Line > 0 {
			out = append(out, s.locate(a, t.pos))
		}
	}
	if r, ok := a.ruleAt(name, at.Line, text); ok && len(out) == 0 {
		for _, t := range r.Clauses {
			if c, ok := a.pack.Document.Find(t.S); ok {
				out = append(out, s.locate(a, a.clausePos(c)))
			}
		}
	}
	return out, nil
}

// runTest is the command behind the lens of a case.
const runTest = "proviso.runTest"

// lenses offer to run each case of a file of cases.
func (s *server) lenses(p params) (any, *fault) {
	file, ok := p.file()
	if !ok {
		return nil, nil
	}
	out := []map[string]any{}
	a, name := s.of(file)
	if a == nil || a.pack == nil {
		return out, nil
	}
	text := s.textOf(file)
	for _, c := range a.pack.Tests {
		if c.Pos.File == name {
			out = append(out, map[string]any{"range": wordAt(text, c.Pos),
				"command": map[string]any{"title": "run test", "command": runTest, "arguments": []any{uriOf(filepath.Join(a.root, filepath.FromSlash(name))), c.Name}}})
		}
	}
	return out, nil
}
