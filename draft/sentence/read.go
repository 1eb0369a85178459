package sentence

import (
	"slices"
	"strings"
)

// MaxTokens bounds what is read of one sentence; a longer one is a fragment that could not be read.
const MaxTokens = 400

// Read reads one sentence. It never fails: what it could not read is in Unread.
func Read(text string) Reading {
	p := &parser{src: text}
	p.toks = scan(text)
	if len(p.toks) > MaxTokens {
		return Reading{Unread: []string{text}}
	}
	p.read()
	return p.out
}

type parser struct {
	src  string
	toks []token
	out  Reading

	subjects []string
	deny     bool
	about    bool
}

func (p *parser) read() {
	ts := slices.DeleteFunc(p.toks, func(t token) bool { return t.kind == aside || t.kind == mark && strings.ContainsAny(t.text, "•*{}#") })
	for len(ts) > 0 && ts[len(ts)-1].kind == mark {
		ts = ts[:len(ts)-1]
	}
	if len(ts) > 1 && ts[0].kind == mark {
		ts = ts[1:]
	}
	ts = p.limits(ts)
	ts = p.lead(ts)
	p.clause(ts, Rule{}, 0)
	p.finish()
}

// finish decides on the form from what the clauses were found to be.
func (p *parser) finish() {
	r := &p.out
	switch {
	case len(r.Rules) == 0 && p.about:
		r.Form = About
	case len(r.Rules) == 0:
		if r.Form == Fragment && len(r.Unread) == 0 && len(p.toks) > 0 {
			r.Unread = append(r.Unread, p.src)
		}
	}
	cond := p.conditionText()
	for i := range r.Rules {
		if r.Rules[i].Condition == "" {
			r.Rules[i].Condition = cond
		}
	}
}

// conditionText is the condition that rules carry in words.
func (p *parser) conditionText() string {
	var out []string
	for _, c := range p.out.Conditions {
		switch c.Link {
		case Ahead:
		case Unless:
			out = append(out, "unless "+strings.ToLower(c.Text))
		default:
			out = append(out, strings.ToLower(c.Text))
		}
	}
	return strings.Join(out, " and ")
}

// lead takes what stands in front of the main clause: adverbs, phrases of time and place up to a comma, and conditions.
func (p *parser) lead(ts []token) []token {
	for len(ts) > 1 {
		t := ts[0]
		switch {
		case t.kind == mark, adverbs.in(t) && !t.is("only") && !negations.in(t), conjunctions.in(t):
			ts = ts[1:]
			continue
		case t.is("note") && ts[1].is(":"):
			p.about = true
			return ts[2:]
		case t.is("only") && len(ts) > 2 && subordinators.in(ts[1]):
			ts = ts[1:]
			continue
		}
		if !subordinators.in(t) && !prepositions.in(t) && !t.is("as") {
			return ts
		}
		cut := p.mainBehind(ts)
		if cut < 0 {
			return ts
		}
		body := ts[1:cut]
		if subordinators.in(t) {
			p.condition(linkOf(t.low, true), body)
		} else if t.is("for") && len(body) > 1 && (body[0].is("each") || body[0].is("every")) {
			p.out.Each = Normal(join(head(body[1:])))
		}
		ts = ts[cut+1:]
	}
	return ts
}

// linkOf is the link of a subordinator. In front of the main clause "after X" and behind it mean the same; "before" behind an action names what comes later.
func linkOf(sub string, front bool) Link {
	switch sub {
	case "unless":
		return Unless
	case "before", "until":
		if front {
			return Before
		}
		return Ahead
	case "after", "once":
		return After
	}
	return If
}

// mainBehind finds the comma behind which the main clause begins; -1 where there is none.
func (p *parser) mainBehind(ts []token) int {
	skip := 0
	if len(ts) > 1 && ts[1].is(",") { // If, in the basic flow, the actor …
		skip = 2
	}
	seen := 0
	for i := 1; i < len(ts)-1; i++ {
		if !ts[i].is(",") {
			continue
		}
		if seen++; seen <= skip {
			continue
		}
		next := ts[i+1]
		if conjunctions.in(next) && !next.is("then") || subordinators.in(next) || relatives.in(next) || next.is("that") || prepositions.in(next) {
			continue
		}
		rest := ts[i+1:]
		if at, _ := p.verb(rest); at > 0 && at < 14 {
			return i
		}
	}
	return -1
}

func (p *parser) condition(l Link, ts []token) {
	for len(ts) > 0 && (ts[0].kind == mark || ts[0].is("that")) {
		ts = ts[1:]
	}
	for len(ts) > 0 && ts[len(ts)-1].kind == mark {
		ts = ts[:len(ts)-1]
	}
	if len(ts) == 0 {
		return
	}
	var kept []token
	for i, t := range ts {
		if t.is(",") && i+1 < len(ts) {
			continue
		}
		kept = append(kept, t)
	}
	c := Condition{Link: l, Text: join(kept), Start: ts[0].start, End: ts[len(ts)-1].end}
	if Normal(c.Text) == "" {
		return
	}
	p.out.Conditions = append(p.out.Conditions, c)
}

// group is what the verb group of a clause says.
type group struct {
	form    Form
	action  string
	passive bool
	deny    bool
	end     int // where the group ends
}

// verb finds the verb group of a clause that begins with its subject; at is -1 where there is none.
func (p *parser) verb(ts []token) (at int, g group) {
	relative := false
	for i, t := range ts {
		if t.kind != word {
			continue
		}
		switch {
		case relatives.in(t) && i > 0 && !(t.is("that") && i+1 < len(ts) && determiners.in(ts[i+1])):
			relative = true
			continue
		case i == 0 && !beings.in(t):
			continue
		case relative && !(beings.in(t) || modals.in(t)):
			continue
		}
		if modals.in(t) {
			if relative && relativeVerb(ts[:i]) {
				relative = false
				continue
			}
			return i, p.afterModal(ts, i)
		}
		if beings.in(t) {
			if relative && relativeVerb(ts[:i]) {
				relative = false
				continue
			}
			return i, p.afterBeing(ts, i, Act)
		}
		if doings.in(t) && i+1 < len(ts) {
			return i, p.afterDoing(ts, i)
		}
		if havings.in(t) {
			return i, p.afterHaving(ts, i)
		}
		if p.present(ts, i) {
			return i, group{form: Act, action: Base(t.low), end: i + 1}
		}
	}
	return -1, group{}
}

// relativeVerb reports whether the auxiliary that follows belongs to the relative clause: its pronoun stands right before, or with a short subject between.
func relativeVerb(before []token) bool {
	for k := len(before) - 1; k >= 0 && k >= len(before)-4; k-- {
		if relatives.in(before[k]) {
			return true
		}
		if before[k].is(",") {
			return false
		}
	}
	return false
}

// present reports whether the word at i is a verb of the present in its place.
func (p *parser) present(ts []token, i int) bool {
	t, prev := ts[i], ts[i-1]
	if prev.is("to") || determiners.in(prev) || prepositions.in(prev) && !prev.is("up") && !prev.is("out") {
		return false
	}
	var next token
	if i+1 < len(ts) {
		next = ts[i+1]
	}
	opens := determiners.in(next) || pronouns.in(next) && !next.is("who") || next.kind == number || next.kind == quoted || next.is("all") || next.is("that")
	can, known := third(t.low)
	switch {
	case can && known:
		plural := strings.HasSuffix(prev.low, "s") && !strings.HasSuffix(prev.low, "ss") && !adverbs.in(prev) && !strings.HasSuffix(prev.low, "'s") && !strings.HasSuffix(prev.low, "system's")
		if opens {
			return !plural || conjunctions.in(prev) || upper(prev)
		}
		if prev.is(",") || conjunctions.in(prev) && !prev.is("then") {
			return false
		}
		// A plural noun behind an adjective looks the same; what follows a noun of the subject is its verb.
		if next.kind == mark || conjunctions.in(next) && i+2 < len(ts) && !p.verbAt(ts, i+2) || beings.in(next) || modals.in(next) {
			return i+1 == len(ts) && !plural
		}
		return !plural && !later(ts[i+1:])
	case can:
		return opens && !plural(prev) && !conjunctions.in(prev) && prev.kind == word && !determiners.in(prev)
	case verbs.has(t.low) && plural(prev) && (opens || prepositions.in(next) || next.kind == 0 && next.text == ""):
		return true
	case verbs.has(t.low) && pronouns.in(prev) && !prev.is("it") && !prev.is("he") && !prev.is("she"):
		return true
	}
	return false
}

func (p *parser) verbAt(ts []token, i int) bool {
	can, known := third(ts[i].low)
	return can && known
}

// later reports whether a surer verb follows: an auxiliary, before any conjunction or comma.
func later(ts []token) bool {
	for _, t := range ts {
		if t.kind == mark || subordinators.in(t) || relatives.in(t) || t.is("to") {
			return false
		}
		if modals.in(t) || beings.in(t) || havings.in(t) {
			return true
		}
	}
	return false
}

func upper(t token) bool { return t.text != "" && t.text[0] >= 'A' && t.text[0] <= 'Z' }

func plural(t token) bool {
	return t.kind == word && len(t.low) > 3 && strings.HasSuffix(t.low, "s") && !strings.HasSuffix(t.low, "ss") && !strings.HasSuffix(t.low, "us") && !strings.HasSuffix(t.low, "'s") || t.is("people") || t.is("children")
}

// afterModal reads what follows can, may, must, shall, will.
func (p *parser) afterModal(ts []token, i int) group {
	g := group{form: Permit}
	switch ts[i].low {
	case "must", "shall", "should", "mustn't", "shouldn't":
		g.form = Oblige
	case "will", "would", "won't":
		g.form = Act
	}
	g.deny = bans.in(ts[i])
	i++
	for i < len(ts) && (adverbs.in(ts[i]) || negations.in(ts[i])) {
		g.deny = g.deny || negations.in(ts[i])
		i++
	}
	if i >= len(ts) {
		g.end = i
		return g
	}
	if ts[i].is("be") {
		return p.afterBeing(ts, i, g.form).but(g.deny)
	}
	if ts[i].is("have") {
		return p.afterHaving(ts, i).but(g.deny)
	}
	g.action, g.end = Base(ts[i].low), i+1
	return p.control(ts, g)
}

func (g group) but(deny bool) group {
	g.deny = g.deny != deny
	return g
}

// afterBeing reads what follows is, are, be: a participle, able to, allowed to.
func (p *parser) afterBeing(ts []token, i int, form Form) group {
	g := group{form: form, passive: true}
	g.deny = strings.HasSuffix(ts[i].low, "n't")
	i++
	for i < len(ts) && (adverbs.in(ts[i]) || negations.in(ts[i]) || beings.in(ts[i])) {
		g.deny = g.deny || negations.in(ts[i])
		i++
	}
	if i >= len(ts) {
		return group{form: State, action: "be", end: i}
	}
	t := ts[i]
	to := i+1 < len(ts) && ts[i+1].is("to")
	switch {
	case yielding.in(t) && to:
		g.deny = g.deny != t.is("unable")
		return p.infinitive(ts, i+2, Permit, g.deny)
	case refusing.in(t) && (to || i+1 < len(ts) && ts[i+1].is("from")):
		return p.infinitive(ts, i+2, Permit, !g.deny)
	case owing.in(t) && to:
		return p.infinitive(ts, i+2, Oblige, g.deny)
	case participle(t) && !t.is("logged"):
		g.action, g.end = Base(t.low), i+1
		if g.form == Act {
			g.form = Change
		}
		return g
	case strings.HasSuffix(t.low, "ing") && len(t.low) > 5 && verbs.has(Base(t.low)):
		g.passive, g.action, g.end = false, Base(t.low), i+1
		return g
	}
	return group{form: State, action: "be", end: i}
}

// infinitive reads the verb behind to.
func (p *parser) infinitive(ts []token, i int, form Form, deny bool) group {
	for i < len(ts) && (adverbs.in(ts[i]) || negations.in(ts[i])) {
		deny = deny != negations.in(ts[i])
		i++
	}
	if i >= len(ts) {
		return group{form: State, end: i}
	}
	if ts[i].is("be") && i+1 < len(ts) {
		g := p.afterBeing(ts, i, form)
		return g.but(deny)
	}
	return p.control(ts, group{form: form, action: Base(ts[i].low), deny: deny, end: i + 1})
}

// control leads from verbs of wishing and choosing to the verb that they are about.
func (p *parser) control(ts []token, g group) group {
	i := g.end
	if !wishing.has(g.action) || i >= len(ts) {
		return g
	}
	if ts[i].is("to") && i+1 < len(ts) {
		if ts[i+1].is("either") {
			i++
		}
		return p.infinitive(ts, i+1, g.form, g.deny)
	}
	return g
}

func (p *parser) afterDoing(ts []token, i int) group {
	g := group{form: Act, deny: strings.HasSuffix(ts[i].low, "n't")}
	i++
	for i < len(ts) && (adverbs.in(ts[i]) || negations.in(ts[i])) {
		g.deny = g.deny || negations.in(ts[i])
		i++
	}
	if i >= len(ts) {
		return group{form: State, end: i}
	}
	if ts[i].is("have") {
		return p.afterHaving(ts, i).but(g.deny)
	}
	g.action, g.end = Base(ts[i].low), i+1
	return p.control(ts, g)
}

// afterHaving reads has made, has to do, has the ability to do.
func (p *parser) afterHaving(ts []token, i int) group {
	g := group{form: State, action: "have", end: i + 1}
	j := i + 1
	for j < len(ts) && (adverbs.in(ts[j]) || negations.in(ts[j])) {
		j++
	}
	switch {
	case j+1 < len(ts) && ts[j].is("to"):
		return p.infinitive(ts, j+1, Oblige, false)
	case j < len(ts) && beings.in(ts[j]):
		return p.afterBeing(ts, j, Act)
	case j < len(ts) && participle(ts[j]):
		return group{form: Act, action: Base(ts[j].low), end: j + 1}
	}
	for k := j; k < len(ts) && k < j+4; k++ {
		switch ts[k].low {
		case "ability", "right", "option", "permission", "possibility", "opportunity", "authority":
			if k+2 < len(ts) && ts[k+1].is("to") {
				return p.infinitive(ts, k+2, Permit, false)
			}
		case "access":
			if k+1 < len(ts) && ts[k+1].is("to") {
				return group{form: Permit, action: "access", end: k + 2}
			}
		}
	}
	return g
}
