package sentence

import (
	"strings"
)

// maxClauses bounds how many clauses of one sentence are read.
const maxClauses = 12

// clause reads a clause: subject, verb group, objects, and what follows. from carries what an earlier clause of the sentence leaves to this one: its subject, where this one has none.
func (p *parser) clause(ts []token, from Rule, n int) {
	for len(ts) > 0 && (ts[0].kind == mark || adverbs.in(ts[0]) && !ts[0].is("only") && !negations.in(ts[0]) || conjunctions.in(ts[0])) {
		ts = ts[1:]
	}
	if len(ts) == 0 || n > maxClauses {
		return
	}
	at, g := p.verb(ts)
	imperative := at < 0 && n > 0
	if at < 0 {
		can, known := third(ts[0].low)
		switch {
		case (from.Subject != "" || n > 0) && can && known:
			at, g = 0, group{form: p.out.Form, action: Base(ts[0].low), end: 1}
		case imperative || len(ts) > 2 && (ts[0].is("do") || ts[0].is("never")):
			at, g = 0, p.imperative(ts)
		}
		if at < 0 {
			p.out.Unread = append(p.out.Unread, join(ts))
			return
		}
	}
	subject := ts[:at]
	p.which(subject)
	p.which(p.nominal(ts[min(g.end, len(ts)):]))
	if at > 0 {
		p.subjects = p.people(subject)
		p.deny = false
		p.about = p.about || g.form != Permit && p.meta(subject)
	}
	rest := ts[g.end:]
	if statives.has(g.action) && g.form != Permit && !(g.form == Oblige && g.deny) {
		g.form = State
	}
	if granting.has(g.action) && !g.passive {
		if p.granted(rest, g) {
			return
		}
	}
	if wishing.has(g.action) && !g.passive && len(rest) > 1 && rest[0].is("to") {
		g = p.control(ts, g)
		rest = ts[min(g.end, len(ts)):]
	}
	p.predicate(subject, rest, g, n)
}

// nominal is what stands behind a verb up to the first condition.
func (p *parser) nominal(ts []token) []token {
	for i, t := range ts {
		if subordinators.in(t) && !t.is("where") || t.kind == mark {
			return ts[:i]
		}
	}
	return ts
}

// which notes the relative clause of a noun phrase.
func (p *parser) which(ts []token) {
	for i, t := range ts {
		if relatives.in(t) && i > 0 && i+1 < len(ts) && ts[i-1].kind == word && !prepositions.in(ts[i-1]) {
			p.out.Which = append(p.out.Which, join(ts[i+1:]))
			return
		}
	}
}

// imperative reads a sentence that begins with its verb: "Never share …", "Do not offer …".
func (p *parser) imperative(ts []token) group {
	i, deny := 0, false
	for i < len(ts) && (ts[i].is("do") || negations.in(ts[i]) || adverbs.in(ts[i]) || ts[i].is("don't") || ts[i].is("please")) {
		deny = deny || negations.in(ts[i]) || ts[i].is("don't")
		i++
	}
	if i >= len(ts) || !verbs.has(ts[i].low) {
		return group{form: State, end: len(ts)}
	}
	return group{form: Oblige, action: ts[i].low, deny: deny, end: i + 1}
}

// meta reports whether a subject is the document or a step of a procedure.
func (p *parser) meta(ts []token) bool {
	h := head(ts)
	if len(h) == 0 {
		return false
	}
	last := h[len(h)-1]
	return sayers.has(Singular(last.low)) || last.is("case") && len(h) > 1 && h[len(h)-2].is("use") || last.is("purpose")
}

// granted reads "X allows Y to do Z" as a rule about Y.
func (p *parser) granted(rest []token, g group) bool {
	for i, t := range rest {
		if i > 8 || t.kind == mark {
			return false
		}
		if i > 0 && t.is("to") && i+1 < len(rest) && verbs.has(Base(rest[i+1].low)) {
			p.subjects = p.people(rest[:i])
			inner := p.infinitive(rest, i+1, Permit, g.deny)
			p.about = false
			p.predicate(rest[:i], rest[min(inner.end, len(rest)):], inner, 1)
			return true
		}
	}
	return false
}

// predicate reads what stands behind the verb group and writes the rules.
func (p *parser) predicate(subject, rest []token, g group, n int) {
	objects, tail := p.objects(rest, g)
	purpose, next := p.tail(tail, g)
	form := g.form
	switch {
	case g.deny && form != State:
		form = Forbid
	case form == Change && (showing.has(g.action) || p.meta(subject)):
		form = State
	case form == Oblige && g.passive && (g.action == "log" || statives.has(g.action)):
		form = State
	}
	if p.about && !g.deny && form != Permit {
		form = About
	}
	deny := g.deny
	var rules []Rule
	if g.passive {
		agents := p.agent(tail)
		things := p.things(subject)
		if g.action == "be" {
			things = nil
		}
		for _, a := range agents {
			for _, o := range things {
				x := Rule{Deny: deny, Subject: a, Action: g.action, Resource: o, Purpose: purpose}
				if o == "nothing" || o == "nobody" {
					x.Deny, x.Resource, form = true, "", Forbid
				}
				rules = append(rules, x)
			}
		}
		if form == Change && len(agents) > 0 && agents[0] != "" || form == State && len(agents) > 0 && agents[0] != "" {
			form = Act
		}
	} else {
		subjects := p.subjects
		if len(subjects) == 0 {
			subjects = []string{""}
		}
		if len(objects) == 0 {
			objects = []string{""}
		}
		for _, s := range subjects {
			none := s == "nobody" || s == "nothing"
			if none {
				s, form = "", Forbid
			}
			for _, o := range objects {
				rules = append(rules, Rule{Deny: deny != none, Subject: s, Action: g.action, Resource: o, Purpose: purpose})
			}
		}
	}
	if form > p.out.Form {
		p.out.Form = form
	}
	if g.action != "" && g.action != "be" && form != State || len(p.out.Rules) == 0 && g.action != "" && g.action != "be" {
		p.out.Rules = append(p.out.Rules, rules...)
	}
	if len(next) > 0 {
		var from Rule
		if len(p.subjects) > 0 {
			from.Subject = p.subjects[0]
		}
		p.clause(next, from, n+1)
	}
}

// head is the noun phrase at the beginning of ts: up to the first preposition other than of, relative pronoun, comma or participle.
func head(ts []token) []token {
	for i, t := range ts {
		if i == 0 {
			continue
		}
		if t.kind == mark || relatives.in(t) || participles.in(t) || conjunctions.in(t) || prepositions.in(t) && !t.is("of") || t.is("to") || adverbs.in(t) && !t.is("next") && !t.is("first") && !t.is("previously") {
			return ts[:i]
		}
	}
	return ts
}

// people reads a subject as the persons that it names.
func (p *parser) people(ts []token) []string {
	if len(ts) > 0 && ts[0].is("only") {
		p.out.OnlyWho = true
		ts = ts[1:]
	}
	return p.things(ts)
}

// things reads a coordination of noun phrases.
func (p *parser) things(ts []token) []string {
	var out []string
	for _, part := range coordinate(ts) {
		if s := phrase(part); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// coordinate cuts "a, b and c" into its members.
func coordinate(ts []token) [][]token {
	var out [][]token
	start := 0
	for i, t := range ts {
		if t.is(",") || t.is("and") || t.is("or") || t.is("nor") || t.is(";") {
			if i > start {
				out = append(out, ts[start:i])
			}
			start = i + 1
		}
	}
	if start < len(ts) {
		out = append(out, ts[start:])
	}
	return out
}

// phrase writes the head of a noun phrase: without articles, possessors and vague words, its last word in the singular.
func phrase(ts []token) string {
	ts = head(trim(ts))
	if len(ts) == 0 {
		return ""
	}
	for i := len(ts) - 2; i >= 0; i-- { // the patient's home address → home address
		if strings.HasSuffix(ts[i].low, "'s") || strings.HasSuffix(ts[i].low, "s'") {
			ts = ts[i+1:]
			break
		}
		if ts[i].is("of") {
			break
		}
	}
	ts = trim(ts)
	var out []string
	for i, t := range ts {
		switch {
		case t.kind == quoted:
			out = append(out, strings.ToLower(strings.Trim(t.text, "\"“”'‘’`.,")))
		case i == len(ts)-1:
			out = append(out, Singular(t.low))
		case determiners.in(t) && i > 0 && ts[i-1].is("of"):
		default:
			out = append(out, t.low)
		}
	}
	return strings.Join(out, " ")
}

// trim drops determiners and vague words in front.
func trim(ts []token) []token {
	for len(ts) > 0 {
		t := ts[0]
		if t.kind == mark || len(ts) > 1 && (determiners.in(t) || vague.in(t) || adverbs.in(t) || t.is("only") || conjunctions.in(t) || t.is("of") || negations.in(t)) {
			ts = ts[1:]
			continue
		}
		break
	}
	return ts
}

// objects reads the objects behind a verb; tail is what follows them.
func (p *parser) objects(ts []token, g group) (objects []string, tail []token) {
	if g.passive {
		return nil, ts
	}
	for len(ts) > 0 && (adverbs.in(ts[0]) || ts[0].is("up") || ts[0].is("out")) {
		ts = ts[1:]
	}
	end := p.objectEnd(ts)
	if end == 0 && len(ts) > 1 && prepositions.in(ts[0]) && !subordinators.in(ts[0]) { // reply to a message, register for courses
		ts = ts[1:]
		end = p.objectEnd(ts)
	}
	for _, part := range coordinate(ts[:end]) {
		if s := phrase(part); s != "" && !pronouns.has(s) {
			objects = append(objects, s)
		}
	}
	return objects, ts[end:]
}

// objectEnd is where the objects end: at a condition, a purpose, an agent, or the next clause.
func (p *parser) objectEnd(ts []token) int {
	for i, t := range ts {
		switch {
		case subordinators.in(t) && (i == 0 || !t.is("where")), t.is("by"), t.is("to") && i > 0 && acts(ts, i+1):
			return i
		case t.is("so") || t.is("in") && i+2 < len(ts) && ts[i+1].is("order"):
			return i
		case i == 0 && (prepositions.in(t) || t.is("to")):
			return 0
		case t.kind == mark && !t.is(",") || t.is("except"):
			return i
		case (t.is(",") || t.is("and") || t.is("or") || t.is("then")) && p.clauseAt(ts[i+1:]):
			return i
		}
	}
	return len(ts)
}

// clauseAt reports whether a further clause begins: with a verb of the same subject, or with a subject of its own.
func (p *parser) clauseAt(ts []token) bool {
	i := 0
	for i < len(ts) && (conjunctions.in(ts[i]) || adverbs.in(ts[i]) || ts[i].is(",")) {
		i++
	}
	if i >= len(ts) {
		return false
	}
	rest := ts[i:]
	if can, known := third(rest[0].low); can && known && len(rest) > 1 && (determiners.in(rest[1]) || pronouns.in(rest[1]) || rest[1].kind == quoted || prepositions.in(rest[1]) && !rest[1].is("of")) {
		return true
	}
	if verbs.has(rest[0].low) && len(rest) > 1 && determiners.in(rest[1]) {
		return true
	}
	if modals.in(rest[0]) || negations.in(rest[0]) {
		return true
	}
	if determiners.in(rest[0]) || pronouns.in(rest[0]) {
		if at, g := p.verb(rest); at > 0 && at <= 6 && g.action != "" {
			for _, t := range rest[:at] {
				if t.kind == mark || relatives.in(t) || conjunctions.in(t) || prepositions.in(t) && !t.is("of") {
					return false
				}
			}
			return true
		}
	}
	return false
}

// agent finds who does what a passive says: "by the HCP". The empty subject stands where nobody is named.
func (p *parser) agent(ts []token) []string {
	for i, t := range ts {
		if subordinators.in(t) || t.kind == mark {
			break
		}
		if t.is("by") && i+1 < len(ts) && !strings.HasSuffix(ts[i+1].low, "ing") {
			if names := p.things(ts[i+1 : i+1+p.objectEnd(ts[i+1:])]); len(names) > 0 && (determiners.in(ts[i+1]) || upper(ts[i+1])) && !strings.Contains(names[0], "date") && !strings.Contains(names[0], "quantity") {
				return names
			}
		}
	}
	return []string{""}
}

// tail reads purposes, conditions and further clauses behind the objects.
func (p *parser) tail(ts []token, g group) (purpose string, next []token) {
	for i := 0; i < len(ts); i++ {
		t := ts[i]
		switch {
		case t.is("only") && i+1 < len(ts) && subordinators.in(ts[i+1]):
			end := p.conditionEnd(ts[i+2:]) + i + 2
			p.condition(Only, ts[i+2:end])
			i = end - 1
		case subordinators.in(t) && !t.is("where"):
			end := p.conditionEnd(ts[i+1:]) + i + 1
			p.condition(linkOf(t.low, false), ts[i+1:end])
			i = end - 1
		case t.is("except") && i+1 < len(ts) && (subordinators.in(ts[i+1]) || ts[i+1].is("in") || ts[i+1].is("for")):
			end := p.conditionEnd(ts[i+2:]) + i + 2
			p.condition(Unless, ts[i+2:end])
			i = end - 1
		case t.is("so") && i+1 < len(ts) && purpose == "":
			k := i + 1
			if ts[k].is("that") {
				k++
			}
			end := p.conditionEnd(ts[k:]) + k
			purpose = lower(ts[k:end])
			i = end - 1
		case t.is("in") && i+3 < len(ts) && ts[i+1].is("order") && ts[i+2].is("to"):
			end := p.conditionEnd(ts[i+3:]) + i + 3
			purpose = lower(ts[i+3 : end])
			i = end - 1
		case t.is("to") && purpose == "" && acts(ts, i+1) && !g.passive:
			end := p.conditionEnd(ts[i+1:]) + i + 1
			for k := i + 2; k < end; k++ {
				if ts[k].is("by") || ts[k].kind == mark {
					end = k
				}
			}
			purpose = lower(ts[i+1 : end])
			i = end - 1
		case (t.is(",") || t.is("and") || t.is("or") || t.is("but") || t.is(";")) && p.clauseAt(ts[i+1:]):
			return purpose, ts[i+1:]
		}
	}
	return purpose, nil
}

// acts reports whether a verb in its base form stands at i: a known one, or a word in front of an article.
func acts(ts []token, i int) bool {
	return i < len(ts) && ts[i].kind == word && !determiners.in(ts[i]) && (verbs.has(ts[i].low) || i+1 < len(ts) && determiners.in(ts[i+1]) && !plural(ts[i]) && !conjunctions.in(ts[i]) && !prepositions.in(ts[i]))
}

// conditionEnd is where a clause behind a subordinator ends.
func (p *parser) conditionEnd(ts []token) int {
	for i, t := range ts {
		if i == 0 {
			continue
		}
		if subordinators.in(t) && !t.is("where") || t.is("so") || t.is(";") || t.is("except") || t.is("but") {
			return i
		}
		if t.is(",") && i+1 < len(ts) && !conjunctions.in(ts[i+1]) && !p.verbAt(ts, i+1) && i+2 < len(ts) && determiners.in(ts[i+1]) && p.clauseAt(ts[i+1:]) {
			return i
		}
	}
	return len(ts)
}

// lower writes a phrase as rules carry it.
func lower(ts []token) string { return strings.ToLower(join(ts)) }
