package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/world"
)

// Source is what recipes read. Nothing in it is changed by them.
type Source struct {
	Policies []Policy
	Tasks    []world.Task // of all policies and splits; tasks with Override > 0 are shown an edited policy
}

// Policy is one policy as recipes see it.
type Policy struct {
	ID      string   `json:"id"`     // the identifier that texts are bound to
	Digest  string   `json:"digest"` // that of the pack; without one, the SHA-256 of Text
	Text    string   `json:"text"`   // as its owner wrote it
	Clauses []Clause `json:"clauses"`
	// Crops are PNG files that the text refers to, as Markdown does, by name.
	Crops map[string][]byte `json:"crops,omitempty"`
}

// Clause is one clause with what its words show and what the pack does about it.
type Clause struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	Heading []string `json:"heading,omitempty"`
	Parent  string   `json:"parent,omitempty"`
	Kind    string   `json:"kind"` // factual, behavioural, conditional-simple or conditional-complex

	Conditions  []string `json:"conditions,omitempty"` // as quoted
	Exceptions  []string `json:"exceptions,omitempty"`
	Defines     string   `json:"defines,omitempty"`
	References  []string `json:"references,omitempty"`  // ids of clauses that it mentions
	Obligations []string `json:"obligations,omitempty"` // "the assistant must not …"
	Reasons     []string `json:"reasons,omitempty"`     // what the pack says about why, or what to do instead
	Rules       []string `json:"rules,omitempty"`
}

// Find returns the clause of that id.
func (p *Policy) Find(id string) (*Clause, bool) {
	for i := range p.Clauses {
		if p.Clauses[i].ID == id {
			return &p.Clauses[i], true
		}
	}
	return nil, false
}

// Policy returns the policy of that identifier, or nil.
func (s *Source) Policy(id string) *Policy {
	for i := range s.Policies {
		if s.Policies[i].ID == id {
			return &s.Policies[i]
		}
	}
	return nil
}

// FromTasks makes a source of tasks. The policies are those that the tasks name, in the order in which they occur, with the text of the first task that has one and no override; a policy that no task has the text of has no clauses.
// Two tasks of one id, or of one policy with different texts, are an error. The tasks are kept and not changed.
func FromTasks(tasks []world.Task) (*Source, error) {
	s := &Source{Tasks: tasks}
	place := map[string]int{}
	seen := map[string]bool{}
	for i := range tasks {
		t := &tasks[i]
		if seen[t.ID] {
			return nil, proviso.Diagnostic{Code: CodeSource, Msg: fmt.Sprintf("two tasks have the id %q", t.ID), Hint: "give files of tasks that were made together, or with different names"}
		}
		seen[t.ID] = true
		n, known := place[t.Policy]
		if !known {
			n = len(s.Policies)
			place[t.Policy] = n
			s.Policies = append(s.Policies, Policy{ID: t.Policy})
		}
		if t.Override > 0 || t.Text == "" {
			continue
		}
		switch p := &s.Policies[n]; {
		case p.Text == "":
			*p = ReadPolicy(t.Policy, t.Text)
			p.Crops = t.Crops
		case p.Text != t.Text:
			return nil, proviso.Diagnostic{Code: CodeSource, Msg: fmt.Sprintf("task %q has another text of policy %s than the tasks before it", t.ID, t.Policy), Hint: "give an edited policy as an override, or under another name"}
		}
	}
	return s, nil
}

// marked finds the clauses of a compact text: "[C1] cyan [C2] cube …".
var marked = lazyregexp.New(`\[([A-Za-z0-9][A-Za-z0-9_.-]*)\]`)

// ReadPolicy reads a policy's text: a document in Markdown, or the compact form in which each clause begins with its id in brackets.
func ReadPolicy(id, text string) Policy {
	sum := sha256.Sum256([]byte(text))
	p := Policy{ID: id, Digest: hex.EncodeToString(sum[:]), Text: text}
	if marks := marked.FindAllStringSubmatchIndex(text, -1); len(marks) > 0 && !strings.Contains(text, "{#") {
		seen := map[string]bool{}
		for i, m := range marks {
			end := len(text)
			if i+1 < len(marks) {
				end = marks[i+1][0]
			}
			if name := text[m[2]:m[3]]; !seen[name] {
				seen[name] = true
				p.Clauses = append(p.Clauses, Clause{ID: name, Text: strings.Join(strings.Fields(strings.TrimRight(text[m[1]:end], " \n;.")), " "), Kind: document.ConditionalSimple.String()})
			}
		}
		return p
	}
	d, _ := document.Parse(id+".md", []byte(text)) // a text with findings has clauses nevertheless; the generator's own checks report them
	p.Clauses = clausesOf(d)
	return p
}

// clausesOf reads the clauses of a document with what their words show.
func clausesOf(d *document.Document) []Clause {
	if d == nil {
		return nil
	}
	out := make([]Clause, 0, len(d.Clauses))
	for i, r := range d.Readings() {
		c := d.Clauses[i]
		n := Clause{ID: c.ID, Text: c.Text, Heading: c.Heading, Parent: c.Parent, Kind: r.Kind.String(), Conditions: r.Conditions, Exceptions: r.Exceptions, Defines: r.Defines}
		for _, ref := range r.References {
			if ref.Clause != "" {
				n.References = append(n.References, ref.Clause)
			}
		}
		for _, o := range r.Obligations {
			if o.Actor != "" && o.Action != "" {
				n.Obligations = append(n.Obligations, o.Actor+" "+o.Mode+" "+o.Action)
			}
		}
		out = append(out, n)
	}
	return out
}
