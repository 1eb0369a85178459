package dataset

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Paraphrase says each clause in other frames, and in other words where a model is given.
var Paraphrase = &Recipe{
	Name: "paraphrase", Kind: CPT,
	Doc: "Each clause said otherwise: its conditions, exceptions and duties one by one, as they are quoted, and whole in other frames. With a model also in its words, kept only where numbers, negations and ids are those of the clause (CAP-CPT).",
	Make: func(b *Builder) error {
		var asked []question
		var about []From
		err := b.Clauses(func(p *Policy, c *Clause) error {
			from := From{Policy: p.ID, Clauses: []string{c.ID}, Origin: "template"}
			for i, text := range frames(b, p, c) {
				b.Add(Row{ID: fmt.Sprintf("%s/%s/%d", p.ID, c.ID, i+1), Text: text, From: from})
			}
			asked = append(asked, question{system: "Say the clause of a policy in other words. Keep every number, unit, name, condition, exception and negation. Answer with the new wording and nothing else.", user: c.Text})
			about = append(about, from)
			return nil
		})
		if err != nil || b.Config.Model == nil {
			return err
		}
		return b.ask(b.Config.Model, asked, func(i int, said string) {
			from := about[i]
			from.Origin = "model"
			said = strings.Join(strings.Fields(said), " ")
			if why := Unfaithful(asked[i].user, said); why != "" {
				b.Drop(why)
				b.tried(from.Clauses[0], false)
				return
			}
			b.tried(from.Clauses[0], true)
			b.Add(Row{ID: from.Policy + "/" + from.Clauses[0] + "/model", Text: b.Title(from.Policy) + " [" + from.Clauses[0] + "] " + said, From: from})
		})
	},
}

// frames are the fixed sentences around a clause's words.
func frames(b *Builder, p *Policy, c *Clause) []string {
	title, mark := b.Title(p.ID), "["+c.ID+"]"
	if b.Config.Terse {
		return []string{c.Text + " " + mark + " " + title}
	}
	out := []string{
		fmt.Sprintf("According to clause %s of %s: %s", mark, title, c.Text),
		fmt.Sprintf("“%s” This is what %s says in %s.", c.Text, title, mark),
	}
	if len(c.Heading) > 0 {
		out = append(out, fmt.Sprintf("Under “%s”, %s rules in %s: %s", c.Heading[len(c.Heading)-1], title, mark, c.Text))
	}
	for _, x := range c.Conditions {
		out = append(out, fmt.Sprintf("A condition in %s of %s: %s.", mark, title, x))
	}
	for _, x := range c.Exceptions {
		out = append(out, fmt.Sprintf("An exception in %s of %s: %s.", mark, title, x))
	}
	for _, x := range c.Obligations {
		out = append(out, fmt.Sprintf("By %s of %s, %s.", mark, title, x))
	}
	if c.Defines != "" {
		out = append(out, fmt.Sprintf("%s of %s says what “%s” means.", mark, title, c.Defines))
	}
	return out
}

var (
	numbers   = lazyregexp.New(`[0-9]+(?:[.,:][0-9]+)*`)
	negations = lazyregexp.New(`(?i)\b(?:not|no|never|nobody|nothing|none|neither|nor|without|cannot|unless|except|must not|may not)\b|n't\b`)
	idLike    = lazyregexp.New(`\b[A-Za-z]*_[A-Za-z_]+\b|\b[A-Z]+[0-9]+\b|\{#[^}]*\}`)
)

// Unfaithful compares a paraphrase with its clause by what can be checked without understanding: the numbers, whether there are negations, and the ids and names of tools have to be the same, and it has to be another text of a like length. It
// returns the reason why the paraphrase is not kept, or nothing. That the rest means the same is not checked.
func Unfaithful(clause, said string) string {
	count := func(re *regexp.Regexp, s string) []string {
		found := re.FindAllString(s, -1)
		slices.Sort(found)
		return found
	}
	switch {
	case said == "":
		return "empty"
	case strings.EqualFold(said, clause):
		return "unchanged"
	case len(said) > 3*len(clause)+40 || 3*len(said)+40 < len(clause):
		return "length"
	case !slices.Equal(count(numbers.Regexp(), clause), count(numbers.Regexp(), said)):
		return "numbers"
	case !slices.Equal(count(idLike.Regexp(), clause), count(idLike.Regexp(), said)):
		return "ids"
	case (len(count(negations.Regexp(), clause)) > 0) != (len(count(negations.Regexp(), said)) > 0) || len(count(negations.Regexp(), clause)) > 1 && len(count(negations.Regexp(), clause)) != len(count(negations.Regexp(), said)):
		return "negations"
	}
	return ""
}
