package draft

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso/draft/sentence"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/tree"
)

// refine mends what the verifier finds wrong with the rules of one sentence, one fault at a time and at most Attempts times. What it cannot mend keeps its fault, and a person gets it.
func (d *drafting) refine(rules []Rule) {
	d.verify(rules)
	for range d.attempts {
		if len(rules) == 0 || rules[0].Fault.Fault == sentence.Correct || !d.mend(rules) {
			return
		}
		d.verify(rules)
	}
}

// mend takes up the first condition of the sentence that no rule has; false where there is none, or where its place in the rule is not plain from its words.
func (d *drafting) mend(rules []Rule) bool {
	for _, c := range d.s.Conditions {
		if !d.said[c.Text] {
			return d.takeUp(rules, c)
		}
	}
	for _, w := range d.s.Which {
		if !d.said[w] && len(d.s.Rules) > 0 {
			what := strings.TrimSpace("the " + d.s.Rules[0].Resource + " " + w)
			d.said[w] = true
			return d.restrict(rules, w, func(r Rule) *Cond {
				if c := d.values(d.shared(d.byName(r.Tools)), w); c != nil {
					return c
				}
				return d.ask(question(what), what)
			}, where)
		}
	}
	return false
}

// role is what a condition does in a rule.
type role uint8

const (
	where    role = iota // the rule is about the case that it names
	required             // the call may be made only where it holds
	excused              // the call may be made where it holds, whatever else is required
)

// takeUp puts a condition where its link says.
func (d *drafting) takeUp(rules []Rule, c sentence.Condition) bool {
	as := where
	switch {
	case c.Link == sentence.Unless && (d.s.Form == sentence.Forbid || d.s.Form == sentence.Oblige):
		as = excused
	case c.Link == sentence.Unless && d.s.Form == sentence.Permit: // what may be done is not done in the excepted case
		return d.restrict(rules, c.Text, func(r Rule) *Cond { return not(d.condition(d.byName(r.Tools), c.Text)) }, required)
	case c.Link == sentence.Only || c.Link == sentence.If && d.s.Form == sentence.Permit: // "may be refunded within 30 days if damaged": the stricter reading
		as = required
	case c.Link != sentence.If && c.Link != sentence.After: // "somebody travels with them, except …" may bind or excuse
		return false
	}
	return d.restrict(rules, c.Text, func(r Rule) *Cond { return d.condition(d.byName(r.Tools), c.Text) }, as)
}

// restrict adds a condition to every rule of the sentence and says so.
func (d *drafting) restrict(rules []Rule, words string, cond func(Rule) *Cond, as role) bool {
	for i := range rules {
		r := &rules[i]
		c := cond(*r)
		if c == nil {
			return false
		}
		switch as {
		case where:
			r.When = join(tree.All, r.When, c)
		case required:
			r.Require = join(tree.All, r.Require, c)
		case excused:
			r.Require = join(tree.Any, r.Require, c)
		}
		r.Words = render(*r)
	}
	d.p.Notes = append(d.p.Notes, fmt.Sprintf("%q was missing in the first draft and was added as %s; confirm it", words, as))
	return true
}

// String names the role for a person.
func (r role) String() string {
	return [...]string{"the case that the rule is about", "a requirement", "an exception"}[r]
}

func (d *drafting) byName(names []string) []tool {
	var out []tool
	for _, n := range names {
		for _, t := range d.tools {
			if t.Name == n {
				out = append(out, t)
			}
		}
	}
	return out
}

// below are words that stand for the list under a clause.
var below = lazyregexp.New(`(?i)^(?:in )?(?:one of |any of |all of )?(?:these|the following)(?: (?:cases?|conditions?|reasons?|circumstances))?:?$`)

// asQuestions is a rule whose expressions are put to a judge in their own words instead, for rules whose expressions do not compile.
func (p *Proposal) asQuestions(r Rule) Rule {
	seen := map[string]string{}
	var turn func(c *Cond) *Cond
	turn = func(c *Cond) *Cond {
		if c == nil || c.Op == tree.Atom && strings.HasPrefix(c.Expr, "judged.") {
			return c
		}
		if c.Op == tree.Atom {
			id := seen[c.Words]
			if id == "" {
				id = fmt.Sprintf("%s_w%d", strings.ReplaceAll(r.ID, "-", "_"), len(seen)+1)
				seen[c.Words] = id
				p.Questions = append(p.Questions, Question{ID: id, Ask: question(c.Words), Clause: p.Clause.ID})
			}
			return leafOf("judged."+id, c.Words)
		}
		out := &Cond{Op: c.Op}
		for _, k := range c.Kids {
			out.Kids = append(out.Kids, turn(k))
		}
		return out
	}
	r.When, r.Require = turn(r.When), turn(r.Require)
	return r
}
