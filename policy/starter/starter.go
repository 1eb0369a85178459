// Package starter writes a least-privilege pack from nothing but a list of tools.
//
// Classify says what a tool does and what its arguments are for, by the general English of names and descriptions (lexicon.go, words.go). Write turns the
// classes into a pack: reads are granted; what changes something is granted and guarded by where its key arguments come from; what nobody recognised is denied.
// A value that the user said is the user's. A value that stands whole in a field of a result names something that exists. A value that was only found inside of
// somebody's prose is what an injected instruction looks like, and no effect rests on it.
package starter

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/proviso-dev/proviso/policy/pack"
)

// Options say what kind of pack to write. The zero value writes a pack for an agent that works with its user.
type Options struct {
	// Name is the name of the pack; "starter" where it is empty.
	Name string
	// Unattended leaves out the confirmation of what cannot be undone, for agents that nobody answers. Where values come from is ruled all the same.
	Unattended bool
}

// Note says what became of one tool, for a table that a person reads.
type Note struct {
	Tool   string
	Effect Effect
	Fate   Fate
	Rules  []string // the rules about it, in the order of the file
	Reason string   // why it was taken for what it is
}

// Fate is what the written pack does with a tool.
type Fate string

// The fates of a tool.
const (
	Granted Fate = "granted" // no rule is about it
	Guarded Fate = "guarded" // granted, and rules are about it
	Denied  Fate = "denied"  // no grant covers it
)

// Write returns the files of a pack for an agent with these tools, by name: proviso.yaml, policy.md, rules.yaml and tests/starter.yaml, and what became of each tool.
// The pack names its tools in tools.json, which the caller writes: it is the list that tools was read from. Equal tools give equal files.
// It fails where there is no tool.
func Write(tools []pack.Tool, o Options) (files map[string][]byte, notes []Note, err error) {
	if len(tools) == 0 {
		return nil, nil, fmt.Errorf("starter: the list holds no tool; save the agent's tools as an OpenAI function list or as the answer to MCP tools/list")
	}
	if o.Name == "" {
		o.Name = "starter"
	}
	w := &writer{options: o, tools: map[string]pack.Tool{}}
	for _, t := range tools {
		w.tools[t.Name] = t
		w.classes = append(w.classes, Classify(t))
	}
	sort.SliceStable(w.classes, func(i, j int) bool { return w.classes[i].Tool < w.classes[j].Tool })
	w.rule()
	files = map[string][]byte{
		pack.ManifestFile:    w.manifest(),
		"policy.md":          w.document(),
		"rules.yaml":         w.rulesFile(),
		"tests/starter.yaml": w.cases(),
	}
	for name, b := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		if files[name], err = pack.Format(name, b); err != nil {
			return nil, nil, fmt.Errorf("starter: %s: %w", name, err)
		}
	}
	return files, w.notes(), nil
}

// A writer collects the rules of a pack before it is printed.
type writer struct {
	options Options
	tools   map[string]pack.Tool
	classes []Class
	rules   []rule
}

// rule is one rule to be written: a guard applied to one argument of several tools.
type rule struct {
	guard   *guard
	arg     Arg
	anchor  string // another argument that vouches for this one
	tools   []string
	effects []Effect
	id      string
	asks    Effect // whose words ask for it
	fetches bool   // the agent has tools that bring what lies outside
}

// rule finds the guards of every argument, and joins what is the same for several tools.
func (w *writer) rule() {
	at := map[string]int{}
	fetches := slices.ContainsFunc(w.classes, func(c Class) bool { return c.Effect == Fetch })
	for _, c := range w.classes {
		if c.Effect == Read || c.Effect == Unclear {
			continue
		}
		for _, r := range guardsOf(c, w.options) {
			r.fetches = fetches
			key := fmt.Sprint(r.guard.name, "|", r.arg.Path, "|", r.arg.Optional, r.arg.Nullable, r.anchor, "|", r.guard.form(&r), "|", r.asks)
			i, ok := at[key]
			if !ok {
				i = len(w.rules)
				at[key] = i
				w.rules = append(w.rules, r)
			}
			w.rules[i].tools = append(w.rules[i].tools, c.Tool)
			w.rules[i].effects = append(w.rules[i].effects, c.Effect)
		}
	}
	sort.SliceStable(w.rules, func(i, j int) bool {
		return slices.Index(guards, w.rules[i].guard) < slices.Index(guards, w.rules[j].guard)
	})
	taken := map[string]bool{}
	for i := range w.rules {
		r := &w.rules[i]
		r.id = r.guard.name
		if r.arg.Path != "" {
			r.id += "-" + strings.Join(words(r.arg.Path), "-")
		}
		if taken[r.id] {
			r.id += "-" + string(r.effects[0])
		}
		for base, n := r.id, 2; taken[r.id]; n++ {
			r.id = fmt.Sprintf("%s-%d", base, n)
		}
		taken[r.id] = true
	}
}

func (w *writer) notes() []Note {
	var out []Note
	for _, c := range w.classes {
		n := Note{Tool: c.Tool, Effect: c.Effect, Fate: Granted, Reason: c.Reason}
		for _, r := range w.rules {
			if slices.Contains(r.tools, c.Tool) {
				n.Rules = append(n.Rules, r.id)
				n.Fate = Guarded
			}
		}
		if c.Effect == Unclear {
			n.Fate = Denied
		}
		out = append(out, n)
	}
	return out
}

// granted lists the tools of some effects, sorted.
func (w *writer) granted(of func(Class) bool) []string {
	var out []string
	for _, c := range w.classes {
		if c.Effect != Unclear && of(c) {
			out = append(out, c.Tool)
		}
	}
	return out
}

func (w *writer) manifest() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Written by proviso init from the list of tools. Every line is yours to change; proviso check says whether it still holds together.\n")
	fmt.Fprintf(&b, "name: %s\nversion: \"1\"\ntimezone: UTC\n", w.options.Name)
	if reads := w.granted(func(c Class) bool { return !c.Changes() }); len(reads) > 0 {
		fmt.Fprintf(&b, "\n# Tools that only read.\nreads: %s\n", list(reads))
	}
	if keys := w.keyArguments(); len(keys) > 0 {
		b.WriteString("\n# What the agent has to name when it proposes a call, so that a yes of the user counts for it.\nkey_arguments:\n")
		for _, k := range keys {
			b.WriteString(k)
		}
	}
	return b.Bytes()
}

func (w *writer) keyArguments() (out []string) {
	if w.options.Unattended {
		return nil
	}
	for _, c := range w.classes {
		var keys []string
		for _, a := range c.Args {
			if key := top(a.Path); names(a.Role) && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		if c.Lasting() && c.Effect != Unclear && len(keys) > 0 {
			out = append(out, fmt.Sprintf("  %s: %s\n", c.Tool, list(keys)))
		}
	}
	return out
}

// top is the argument that a path leads into.
func top(path string) string {
	path, _, _ = strings.Cut(path, ".")
	return strings.TrimSuffix(path, "[]")
}

// list prints names as a YAML list on one line.
func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = scalar(n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// scalar prints a text as YAML, quoted where it could be read as something else.
func scalar(s string) string {
	for _, r := range s {
		plain := r == '_' || r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !plain {
			return quoted(s)
		}
	}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return quoted(s)
	}
	if c := s[0]; c == '-' || c >= '0' && c <= '9' {
		return quoted(s)
	}
	return s
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
