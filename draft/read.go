package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/draft/sentence"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/tree"
)

// listed reports whether a clause introduces a list that is read with it.
func (r *reader) listed(c document.Clause) bool {
	return len(r.children[c.ID]) > 0 && strings.HasSuffix(strings.TrimRight(c.Text, " *_"), ":")
}

// clause drafts one clause. Each sentence of it is read by itself.
func (r *reader) clause(c document.Clause) Proposal {
	p := Proposal{Clause: c, Status: Unread}
	bearing := false
	for _, text := range sentence.Split(c.Text) {
		s := sentence.Read(text)
		if s.Form > p.Form {
			p.Form = s.Form
		}
		for _, u := range s.Unread {
			p.Notes = append(p.Notes, "not read: "+u)
		}
		if !s.Form.Bearing() && len(s.Limits) == 0 && !s.Confirm {
			continue
		}
		bearing = true
		r.sentence(&p, text, s)
	}
	switch {
	case len(p.Rules) > 0:
		p.Status = Drafted
	case !bearing && p.Form != sentence.Fragment:
		p.Status = NoRule
	}
	return p
}

// drafting is one sentence on its way to rules.
type drafting struct {
	*reader
	p    *Proposal
	text string
	s    sentence.Reading
	said map[string]bool // conditions that became part of a rule
}

// verify names what the rules of a sentence do not say: a condition that no form took up, or a statement without a tool.
func (d *drafting) verify(rules []Rule) {
	stated := slices.Clone(d.s.Rules)
	for i := range stated {
		stated[i].Condition = strings.TrimPrefix(stated[i].Condition, "unless ") // the link, which the sentence may spell "except"
	}
	fault := sentence.Verify(d.text, stated)
	if fault.Fault == sentence.MissingResource && len(d.s.Rules) > 0 {
		fault = sentence.Verdict{Rule: -1} // "nothing is changed" says it of everything
	}
	for _, c := range d.s.Conditions {
		if !d.said[c.Text] {
			fault = sentence.Verdict{Fault: sentence.MissingCondition, Rule: 0, Words: c.Text}
		}
	}
	for _, w := range d.s.Which {
		if !d.said[w] {
			fault = sentence.Verdict{Fault: sentence.MissingCondition, Rule: 0, Words: w}
		}
	}
	for i := range rules {
		rules[i].Fault = fault
	}
}

func (r *reader) sentence(p *Proposal, text string, s sentence.Reading) {
	d := &drafting{reader: r, p: p, text: text, s: s, said: map[string]bool{}}
	from := len(p.Rules)
	for _, form := range forms {
		if form.draft(d) {
			d.refine(p.Rules[from:])
			return
		}
	}
	p.Notes = append(p.Notes, fmt.Sprintf("no tool of the pack fits %q", text))
}

// forms are the forms of sentences that become rules, the most particular first. Each returns false where the sentence is not of its form, or no tool fits.
var forms = []struct {
	name  string
	draft func(*drafting) bool
}{
	{"requires confirmation", (*drafting).confirmed},
	{"before", (*drafting).ordered},
	{"approval above", (*drafting).approved},
	{"within a span of time", (*drafting).timed},
	{"at most", (*drafting).limited},
	{"must not", (*drafting).forbidden},
	{"may only if", (*drafting).permitted},
}

// add proposes a rule for tools, and verifies it against its sentence.
func (d *drafting) add(tools []tool, when, require *Cond, x sentence.Rule) {
	if len(tools) == 0 {
		return
	}
	rule := Rule{ID: d.id(d.p.Clause.ID), Clause: d.p.Clause.ID, When: when, Require: require, Else: "deny", Message: brief(d.text)}
	for _, t := range tools {
		rule.Tools = append(rule.Tools, t.Name)
	}
	rule.Words = render(rule)
	d.p.Rules = append(d.p.Rules, rule)
}

// render writes a rule back as a sentence.
func render(r Rule) string {
	tools := strings.Join(r.Tools, ", ")
	var s string
	switch {
	case r.Else == "escalate" && r.Require == nil && r.When == nil:
		return tools + " waits for a person's approval"
	case r.Else == "escalate" && r.Require == nil:
		return tools + " waits for a person's approval if " + r.When.String()
	case r.Require == nil && r.When == nil:
		return tools + " must not be called"
	case r.Require == nil:
		return tools + " must not be called if " + r.When.String()
	default:
		s = tools + " may be called only if " + r.Require.String()
	}
	if r.When != nil {
		s += ", where " + r.When.String()
	}
	return s
}

// whose finds who agrees in "until the customer agrees", "agreement of a manager", "the office manager approved it".
var whose = lazyregexp.New(`(?i)\b(?:the|an?|our|your|their|his|her) (?:[a-z-]+ )??([a-z-]+?)(?: has| have| must| first| explicitly)* (?:agree[sd]?|confirm(?:s|ed)?|consent(?:s|ed)?|approve[sd]?)\b|(?:confirmation|consent|agreement|approval|permission|authori[sz]ation) (?:of|from|by) (?:the |an? |our |your )?(?:[a-z-]+ )??([a-z-]+)(?: |\.|,|;|$)`)

// consenting are those whose agreement the conversation itself shows; that the agent confirms something is a way to ask its user.
var consenting = map[string]bool{"customer": true, "user": true, "caller": true, "client": true, "guest": true, "passenger": true, "traveller": true, "patient": true, "student": true, "agent": true, "assistant": true, "bot": true}

// confirmed reads "requires confirmation", "waits until the customer agrees": the tools are those that the sentence names. What somebody else has to approve waits for a person; what somebody else agrees to is a condition like others.
func (d *drafting) confirmed() bool {
	if !d.s.Confirm || len(d.s.Limits) > 0 && approval.MatchString(d.text) {
		return false
	}
	who := ""
	if m := whose.FindStringSubmatch(d.text); m != nil {
		who = strings.ToLower(m[1] + m[2])
	}
	tools := d.toolsNamed(d.text)
	byUser := who == "" || consenting[sentence.Singular(who)] || consenting[who]
	if len(tools) == 0 || !byUser && !approval.MatchString(d.text) {
		return false
	}
	for _, c := range d.s.Conditions {
		d.said[c.Text] = d.said[c.Text] || agreement.MatchString(c.Text) || c.Link == sentence.Before || c.Link == sentence.Ahead // what comes first, or until when to wait, is the agreement
	}
	if byUser {
		d.add(tools, nil, leafOf("confirmed(call)", "the user has confirmed this call"), sentence.Rule{})
		return true
	}
	d.escalate(tools, nil)
	return true
}

// agreement are the words of a condition that is the agreement itself.
var agreement = lazyregexp.New(`(?i)\b(?:agree|confirm|consent|approv|permission|authori[sz])`)

// escalate proposes that calls of tools wait for a person where a condition holds; nil is always.
func (d *drafting) escalate(tools []tool, when *Cond) {
	d.add(tools, when, nil, sentence.Rule{})
	r := &d.p.Rules[len(d.p.Rules)-1]
	r.Else = "escalate"
	r.Words = render(*r)
}

// ordered reads "X before Y": tools of Y need an earlier call of a tool of X.
func (d *drafting) ordered() bool {
	done := false
	for _, c := range d.s.Conditions {
		if c.Link != sentence.Ahead && c.Link != sentence.Before {
			continue
		}
		later := d.named(c.Text)
		for _, x := range d.s.Rules {
			first := d.toolsFor(x)
			if len(first) == 0 {
				continue
			}
			later = slices.DeleteFunc(later, func(t tool) bool { return slices.ContainsFunc(first, func(f tool) bool { return f.Name == t.Name }) })
			if len(later) == 0 {
				d.p.Notes = append(d.p.Notes, fmt.Sprintf("no tool of the pack fits %q", c.Text))
				continue
			}
			var any []*Cond
			for _, f := range first {
				any = append(any, leafOf(fmt.Sprintf("called('%s', {})", f.Name), f.Name+" was called before"))
			}
			d.said[c.Text] = true
			d.add(later, nil, join(tree.Any, any...), x)
			done = true
		}
	}
	return done
}

// named are the tools that a phrase or clause speaks of.
func (d *drafting) named(text string) []tool {
	var out []tool
	for _, x := range sentence.Read("Somebody does this: " + text).Rules {
		out = append(out, d.toolsFor(x)...)
	}
	for _, x := range sentence.Read(text).Rules {
		for _, t := range d.toolsFor(x) {
			if !slices.ContainsFunc(out, func(o tool) bool { return o.Name == t.Name }) {
				out = append(out, t)
			}
		}
	}
	if len(out) == 0 {
		out = d.toolsNamed(text)
	}
	return out
}

// subject are the tools that the statements of the sentence are about, and where none is, the one whose description fits, or those whose name says what the sentence speaks of.
func (d *drafting) subject() ([]tool, sentence.Rule) {
	for _, x := range d.s.Rules {
		if tools := d.toolsFor(x); len(tools) > 0 {
			return tools, x
		}
	}
	for _, x := range d.s.Rules {
		if t, ok := d.described(x); ok {
			note := fmt.Sprintf("%s was found by its description for %q; confirm it", t.Name, x.Action+" "+x.Resource)
			if !slices.Contains(d.p.Notes, note) {
				d.p.Notes = append(d.p.Notes, note)
			}
			return []tool{t}, x
		}
	}
	for _, x := range d.s.Rules {
		if tools := d.toolsNamed(x.Subject + " " + d.plain(x.Resource)); len(tools) > 0 {
			return tools, x
		}
	}
	return nil, sentence.Rule{}
}

// timed reads "within 24 hours of booking" and "two hours before the departure" against the times that arguments and facts hold.
func (d *drafting) timed() bool {
	done := false
	tools, x := d.subject()
	for _, l := range d.s.Limits {
		span, ok := sentence.Spans[l.Unit]
		if !ok || l.Since == "" || len(tools) == 0 {
			continue
		}
		n, err := strconv.ParseFloat(l.Number, 64)
		if err != nil {
			continue
		}
		var fit []tool
		var expr, words string
		for _, t := range tools {
			f, found := find(d.around(t), l.Since, func(f field) bool { return f.format == "date-time" || f.format == "date" })
			if !found || expr != "" && !strings.HasPrefix(expr, f.path) && !strings.Contains(expr, f.path) {
				continue
			}
			length := fmt.Sprintf("duration('%ds')", int(n*float64(span)))
			passed, since := "now - "+f.path, "since "+l.Since
			if l.Ahead {
				passed, since = f.path+" - now", "until "+l.Since
			}
			expr = fmt.Sprintf("%s %s %s", passed, l.Bound, length)
			words = fmt.Sprintf("the time %s is %s %s", since, boundWords[l.Bound], counted(l))
			fit = append(fit, t)
		}
		if expr == "" {
			d.p.Notes = append(d.p.Notes, fmt.Sprintf("no argument or fact of %s is the time of %q", names(tools), l.Since))
			continue
		}
		if l.Unit == "month" || l.Unit == "year" {
			d.p.Notes = append(d.p.Notes, "a "+l.Unit+" is counted as a fixed number of days; confirm it")
		}
		c := leafOf(expr, words)
		if x.Deny || d.s.Form == sentence.Forbid { // nothing is changed less than two hours before
			c = not(c)
		}
		d.add(fit, nil, d.unless(fit, c, true), x)
		done = true
	}
	return done
}

func names(ts []tool) string {
	var out []string
	for _, t := range ts {
		out = append(out, t.Name)
	}
	return strings.Join(out, ", ")
}

// unless adds the exceptions of the sentence to what it requires: they lift a bound, but "may be refunded within 30 days unless it was worn" takes a permission back.
func (d *drafting) unless(tools []tool, c *Cond, timed bool) *Cond {
	any := []*Cond{c}
	if timed && d.s.Form == sentence.Permit {
		return c // refine takes them up
	}
	for _, x := range d.s.Conditions {
		if x.Link == sentence.Unless {
			any = append(any, d.condition(tools, x.Text))
		}
	}
	return join(tree.Any, any...)
}

// limited reads "at most nine passengers", "no more than €50", "once per reservation".
func (d *drafting) limited() bool {
	done := false
	for _, l := range d.s.Limits {
		if _, span := sentence.Spans[l.Unit]; span || l.Unit == "" {
			continue
		}
		tools, x := d.subject()
		if len(tools) == 0 {
			tools = d.taking(l.Unit)
		}
		if l.Unit == "time" {
			done = d.counted(tools, l, x) || done
			continue
		}
		byExpr := map[string][]tool{}
		var order []string
		for _, t := range tools {
			expr := d.counting(t, l)
			if expr == "" {
				continue
			}
			if byExpr[expr] == nil {
				order = append(order, expr)
			}
			byExpr[expr] = append(byExpr[expr], t)
		}
		for _, expr := range order {
			c := leafOf(expr, amount(l))
			if d.s.Form == sentence.Forbid {
				c = not(c)
			}
			d.add(byExpr[expr], nil, d.unless(byExpr[expr], c, false), sentence.Rule{})
			done = true
		}
		if len(order) == 0 && len(tools) > 0 {
			d.p.Notes = append(d.p.Notes, fmt.Sprintf("no argument or fact of %s counts %q", names(tools), l.Unit))
		}
	}
	return done
}

// unitWords are the words by which an argument may name a unit: money is an amount.
func unitWords(unit string) string {
	switch unit {
	case "eur", "usd", "gbp":
		return "amount"
	}
	return unit
}

// approval are the words for a person's consent to what the agent does.
var approval = lazyregexp.New(`(?i)\bapprov(?:es?|ed|als?)\b|\bsign(?:s|ed)? (?:it )?off\b`)

// approved reads "a manager approves refunds above €300": beyond the number a person decides.
func (d *drafting) approved() bool {
	if !approval.MatchString(d.text) || len(d.s.Limits) == 0 {
		return false
	}
	l := d.s.Limits[0]
	tools := d.toolsNamed(d.text)
	if l.Bound != sentence.Above && l.Bound != sentence.AtLeast || len(tools) == 0 {
		return false
	}
	if len(document.Quantities(d.text)) > 1 {
		d.p.Notes = append(d.p.Notes, fmt.Sprintf("%q has several numbers; which of them holds when was not read", brief(d.text)))
		return true
	}
	done := false
	for _, t := range tools {
		if expr := d.counting(t, l); expr != "" {
			d.escalate([]tool{t}, leafOf(expr, amount(l)))
			done = true
		}
	}
	for _, c := range d.s.Conditions {
		d.said[c.Text] = d.said[c.Text] || done && approval.MatchString(c.Text) // the approval itself
	}
	return done
}

// counting is the comparison of a limit with the argument or fact of a tool that counts its unit; empty where none does.
func (d *drafting) counting(t tool, l sentence.Limit) string {
	f, found := find(d.around(t), unitWords(l.Unit), func(f field) bool { return f.kind == "array" || f.kind == "integer" || f.kind == "number" })
	if !found {
		return ""
	}
	value, number := f.path, l.Number
	if f.kind == "array" {
		value = "size(" + value + ")"
	}
	if f.kind == "number" && !strings.Contains(number, ".") {
		number += ".0"
	} else if f.kind != "number" && strings.Contains(number, ".") {
		return ""
	}
	return value + " " + l.Bound.String() + " " + number
}

// boundWords say a bound in English.
var boundWords = [...]string{sentence.AtMost: "at most", sentence.Below: "less than", sentence.AtLeast: "at least", sentence.Above: "more than", sentence.Exactly: "exactly"}

// counted is a number with its unit, "2 hours".
func counted(l sentence.Limit) string {
	if l.Number == "1" {
		return l.Number + " " + l.Unit
	}
	return l.Number + " " + l.Unit + "s"
}

// amount says a limit in English: "the number of items is at most 9".
func amount(l sentence.Limit) string {
	if unitWords(l.Unit) != l.Unit {
		return fmt.Sprintf("the amount in %s is %s %s", strings.ToUpper(l.Unit), boundWords[l.Bound], l.Number)
	}
	return fmt.Sprintf("the number of %ss is %s %s", l.Unit, boundWords[l.Bound], l.Number)
}

// taking are the tools that change something and take a list or number of what a unit names.
func (d *drafting) taking(unit string) []tool {
	var out []tool
	for _, t := range d.tools {
		if reading[t.verb] {
			continue
		}
		for _, f := range t.args {
			if (f.kind == "array" || f.kind == "integer") && f.sure && slices.ContainsFunc(f.words, func(w string) bool { return slices.Contains(stems(unit), w) }) {
				out = append(out, t)
				break
			}
		}
	}
	return out
}

// counted limits how often a tool is called, for each of what an argument names where the sentence says so.
func (d *drafting) counted(tools []tool, l sentence.Limit, x sentence.Rule) bool {
	n, err := strconv.Atoi(l.Number)
	if err != nil || len(tools) == 0 || l.Bound != sentence.AtMost {
		return false
	}
	for _, t := range tools {
		filter, words := "{}", ""
		if d.s.Each != "" {
			f, found := find(d.around(t), d.s.Each, func(f field) bool { return strings.HasPrefix(f.path, "args.") && f.kind == "string" })
			if !found {
				d.p.Notes = append(d.p.Notes, fmt.Sprintf("no argument of %s names the %s that is counted for", t.Name, d.s.Each))
				continue
			}
			filter, words = fmt.Sprintf("{'%s': %s}", strings.TrimPrefix(f.path, "args."), f.path), " for this "+d.s.Each
		}
		c := leafOf(fmt.Sprintf("count('%s', %s) < %d", t.Name, filter, n), fmt.Sprintf("%s was called fewer than %d times%s", t.Name, n, words))
		d.add([]tool{t}, nil, c, x)
	}
	return true
}

// forbidden reads "must not", with its conditions and exceptions.
func (d *drafting) forbidden() bool {
	if d.s.Form != sentence.Forbid {
		return false
	}
	tools, x := d.subject()
	if len(tools) == 0 {
		return false
	}
	var when, require []*Cond
	for _, c := range d.s.Conditions {
		switch c.Link {
		case sentence.Unless, sentence.Only:
			require = append(require, d.condition(tools, c.Text))
		case sentence.If, sentence.After:
			when = append(when, d.condition(tools, c.Text))
		}
	}
	require = append(require, d.list(tools)...)
	switch who := d.who(x.Subject); {
	case who == pronoun:
		d.p.Notes = append(d.p.Notes, fmt.Sprintf("%q does not say who %q is", brief(d.text), x.Subject))
		return true
	case who != "":
		when = append(when, d.ask("Is the one who asks for this "+article(who)+"?", who+" asks for it"))
	}
	for _, w := range d.s.Which {
		d.said[w] = true
		c := d.values(d.shared(tools), w)
		if c == nil {
			what := "the " + x.Resource + " " + w
			c = d.ask(question(what), what)
		}
		when = append(when, c)
	}
	if len(when) == 0 {
		if c := d.property(tools, x); c != nil {
			when = append(when, c)
		}
	}
	d.add(tools, join(tree.All, when...), join(tree.Any, require...), x)
	return true
}

// pronoun stands for a subject that an earlier sentence names.
const pronoun = "they"

// who is the subject of a ban where it is not whoever acts for the user: the assistant and its user are every call's.
func (d *drafting) who(subject string) string {
	switch w := strings.Fields(subject); {
	case subject == "they" || subject == "he" || subject == "she" || subject == "it":
		return pronoun
	case len(w) == 0 || acting[w[len(w)-1]] && len(w) == 1:
		return ""
	}
	return subject
}

// acting are the names of those on whose behalf every call is made.
var acting = map[string]bool{"assistant": true, "agent": true, "system": true, "you": true, "we": true, "nobody": true, "somebody": true, "customer": true, "user": true, "bot": true, "anybody": true, "employee": true, "i": true}

// property reads what the resource of a ban says about itself: "a reservation that is flown", "a flown reservation".
func (d *drafting) property(tools []tool, x sentence.Rule) *Cond {
	fs := d.shared(tools)
	for _, w := range strings.Fields(x.Resource) {
		if c := d.value(fs, []string{w}, ""); c != nil {
			return c
		}
	}
	return nil
}

// permitted reads "may only if", "only where", and what must be the case when something is done.
func (d *drafting) permitted() bool {
	tools, x := d.subject()
	if len(tools) == 0 {
		return false
	}
	var require []*Cond
	for _, c := range d.s.Conditions {
		if c.Link == sentence.Only || c.Link == sentence.If && (d.s.OnlyWho || strings.Contains(strings.ToLower(d.text), "only")) {
			require = append(require, d.condition(tools, c.Text))
		}
	}
	if kids := d.list(tools); len(kids) > 0 {
		require = append(require, kids...)
	}
	if d.s.OnlyWho && x.Subject != "" {
		require = append(require, d.ask("Is the one who asks for this "+article(x.Subject)+"?", x.Subject+" asks for it"))
	}
	if len(require) == 0 {
		d.p.Notes = append(d.p.Notes, fmt.Sprintf("%q permits or describes, and restricts nothing", brief(d.text)))
		return true
	}
	x.Condition = ""
	d.add(tools, nil, join(tree.All, require...), x)
	return true
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// list reads the items under a clause as conditions, combined as its words say.
func (d *drafting) list(tools []tool) []*Cond {
	if !d.listed(d.p.Clause) {
		return nil
	}
	if c := d.items(tools, d.p.Clause); c != nil {
		return []*Cond{c}
	}
	return nil
}

func (d *drafting) items(tools []tool, parent document.Clause) *Cond {
	var texts []string
	var kids []*Cond
	for _, c := range d.children[parent.ID] {
		texts = append(texts, c.Text)
		k := d.condition(tools, strings.TrimRight(strings.TrimSpace(c.Text), ".;,:"))
		if d.listed(c) || len(d.children[c.ID]) > 0 {
			k = join(tree.All, k, d.items(tools, c))
		}
		kids = append(kids, k)
	}
	return join(sentence.ListOp(parent.Text, texts), kids...)
}

// condition turns the words of a condition into an expression over arguments and facts where they name one, and else into a question.
func (d *drafting) condition(tools []tool, text string) *Cond {
	d.said[text] = true
	text = strings.TrimRight(strings.TrimSpace(text), ".;, ")
	if below.MatchString(text) && d.listed(d.p.Clause) {
		return d.items(tools, d.p.Clause)
	}
	for _, tail := range []string{", or", ", and", " or", " and"} {
		text = strings.TrimSuffix(text, tail)
	}
	if c := d.values(d.shared(tools), text); c != nil {
		return c
	}
	return d.ask(question(text), text)
}

// shared are the fields that a rule about all of these tools may read.
func (d *drafting) shared(tools []tool) []field {
	out := d.around(tools[0])
	for _, t := range tools[1:] {
		have := d.around(t)
		out = slices.DeleteFunc(out, func(f field) bool {
			return !slices.ContainsFunc(have, func(h field) bool { return h.path == f.path && h.kind == f.kind && slices.Equal(h.enum, f.enum) })
		})
	}
	return out
}

// values reads "is cancelled or flown" as either.
func (d *drafting) values(fs []field, text string) *Cond {
	whole := strings.Split(strings.ReplaceAll(text, ", or ", " or "), " or ")
	var any []*Cond
	for _, s := range whole {
		c := d.value(fs, strings.Fields(s), s)
		if c == nil {
			return nil
		}
		any = append(any, c)
	}
	return join(tree.Any, any...)
}

// value finds a field with a fixed list of values one of which is the last word, "the ticket is flex", or a yes-no field that the words name.
func (d *drafting) value(fs []field, words []string, text string) *Cond {
	if len(words) == 0 {
		return nil
	}
	ws := stems(strings.Join(words, " "))
	if len(ws) == 0 || len(ws) > 5 {
		return nil
	}
	last := ws[len(ws)-1]
	for _, f := range fs {
		for _, e := range f.enum {
			es := stems(strings.ReplaceAll(e, "_", " "))
			if len(es) == 1 && alike(es[0], last) && (len(ws) == 1 || slices.ContainsFunc(ws[:len(ws)-1], func(w string) bool { return slices.ContainsFunc(f.words, func(x string) bool { return alike(x, w) }) })) {
				c := leafOf(f.path+" == '"+e+"'", "the "+tailOf(f.path)+" is "+e)
				if negated(text) {
					return not(c)
				}
				return c
			}
		}
		if f.kind == "boolean" && len(f.words) > 0 && alike(stems(strings.ReplaceAll(tailOf(f.path), "_", " "))[0], last) {
			c := leafOf(f.path, "it is "+strings.ReplaceAll(tailOf(f.path), "_", " "))
			if negated(text) {
				return not(c)
			}
			return c
		}
	}
	return nil
}

func negated(text string) bool {
	return slices.ContainsFunc(strings.Fields(strings.ToLower(text)), func(w string) bool { return w == "not" || w == "no" || w == "never" || strings.HasSuffix(w, "n't") })
}

func tailOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// ask proposes a question for a judge; the same question is asked once.
func (d *drafting) ask(q, words string) *Cond {
	for _, have := range d.p.Questions {
		if have.Ask == q {
			return leafOf("judged."+have.ID, words)
		}
	}
	id := strings.ReplaceAll(d.id(d.p.Clause.ID+"-q"), "-", "_")
	d.p.Questions = append(d.p.Questions, Question{ID: id, Ask: q, Clause: d.p.Clause.ID})
	return leafOf("judged."+id, words)
}

// question asks whether a condition holds, in its own words.
func question(text string) string {
	if sentence.Read(text).Form == sentence.Fragment {
		return fmt.Sprintf("Is this a case of %q?", strings.TrimSpace(text))
	}
	return "Is it the case that " + strings.TrimSpace(text) + "?"
}

// brief shortens a text for a message.
func brief(s string) string {
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > 160 {
		return string(r[:159]) + "…"
	}
	return s
}
