package document

import (
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Kind says what a clause does, by the four classes of CC-Gen (arXiv 2510.11588).
type Kind uint8

// The kinds, from the least to the most that has to be understood.
const (
	Factual            Kind = iota // it states what is so: prices, hours, definitions
	Behavioural                    // it says what is or is not done, whatever the case
	ConditionalSimple              // what holds depends on one condition
	ConditionalComplex             // it depends on several, or on conditions of conditions
)

// String is the name of the kind.
func (k Kind) String() string {
	return [...]string{"factual", "behavioural", "conditional-simple", "conditional-complex"}[min(k, ConditionalComplex)]
}

// Reading is what the words of a clause show without being understood: every text in it stands in the clause as it is quoted.
type Reading struct {
	Clause      string
	Kind        Kind
	Nesting     int      // how deep conditions stand in conditions; 0 where there is none
	Conditions  []string // from the word that opens each to the end of its part of the sentence
	Exceptions  []string
	Defines     string // the term that it defines
	References  []Reference
	Obligations []Obligation
}

// Reference is a mention of another part of the document. Clause is the id of the clause, or of the first clause of the section; empty where nothing of that name is found.
type Reference struct {
	Text   string
	Clause string
}

// Obligation is what somebody must, must not or may do.
type Obligation struct {
	Actor      string // empty where the sentence names none, as an order does
	Mode       string // "must", "must not", "may" or "may only"
	Action     string
	Quantities []Quantity
	Deadline   string // such as "within 14 days of the request"
}

// Quantity is a number with its unit. Bound is "at most", "at least" or empty for just so many.
type Quantity struct {
	Text, Bound, Value, Unit string
}

// Readings reads every clause of a document, in the order of the clauses.
func (d *Document) Readings() []Reading {
	if d == nil {
		return nil
	}
	out := make([]Reading, len(d.Clauses))
	below := map[string]int{} // levels of items below a clause
	for i := len(d.Clauses) - 1; i >= 0; i-- {
		c := d.Clauses[i]
		below[c.Parent] = max(below[c.Parent], below[c.ID]+1)
	}
	targets := d.targets()
	branching := map[string]bool{} // clauses whose items are conditions
	for i, c := range d.Clauses {
		r := readClause(c.Text)
		r.Clause = c.ID
		r.References = references(c, targets)
		lead := strings.HasSuffix(c.Text, ":") && below[c.ID] > 0
		if lead && casesWord.MatchString(c.Text) || branching[c.Parent] && below[c.ID] > 0 {
			branching[c.ID] = true
			r.Nesting = max(r.Nesting, 1) + below[c.ID] - 1
			if branching[c.Parent] {
				r.Nesting++
			}
			r.Kind = ConditionalComplex
			if below[c.ID] == 1 && len(r.Conditions) <= 1 && len(d.below(c.ID)) <= 1 {
				r.Kind = ConditionalSimple
			}
		} else if branching[c.Parent] {
			r.Kind = max(r.Kind, ConditionalSimple)
			r.Nesting = max(r.Nesting, 1)
		}
		out[i] = r
	}
	return out
}

func (d *Document) below(id string) []int {
	var out []int
	for i, c := range d.Clauses {
		if c.Parent == id {
			out = append(out, i)
		}
	}
	return out
}

var (
	sentenceEnd = lazyregexp.New(`[.!?;](?:["')\]]*\s+|$)`)
	// The words that open a condition, the longest first.
	opening   = lazyregexp.New(`(?i)\b(?:if and only if|only if|only when|only where|only after|even if|provided that|on condition that|as long as|so long as|in the event (?:that|of)|in case(?: of)?|subject to|if|when|whenever|where|once|unless|until|except(?: (?:if|when|where|that|in|for|with))?|other than|save (?:that|where)|without|before|after|while)\b`)
	exception = lazyregexp.New(`(?i)^(?:unless|except|other than|save|until|without)\b`)
	// Words that open a point in time or a manner as often as a condition; alone they make no condition where a quantity or a bare noun follows.
	temporal  = lazyregexp.New(`(?i)^(?:before|after|without|until|while)\b`)
	partEnd   = lazyregexp.New(`[,;:.](?:\s|$)`)
	casesWord = lazyregexp.New(`(?i)\b(?:cases?|conditions?|holds?|following|if|when|where|unless|except|provided|only)\b`)
	mode      = lazyregexp.New(`(?i)\b(must only|must not|must never|mustn't|must|shall only|shall not|shall never|shall|may only|may not|may never|may|can only|cannot|can not|can't|can|is not allowed to|are not allowed to|is allowed to|are allowed to|is not permitted to|are not permitted to|is permitted to|are permitted to|is required to|are required to|has to|have to|needs? to|needs?|requires?|should not|should never|should|will not|will never|will|never|do not|does not|don't|is not to|are not to|is to|are to)\b`)
	order     = lazyregexp.New(`^(?i:(?:please|always|only|then|first)\s+)*(?:(?:never|do not|don't)\b|(?:Ask|Check|Verify|Confirm|Offer|Refuse|Escalate|Transfer|Send|Tell|Give|Keep|Record|Use|Make|Ensure|Provide|Obtain|Collect|Inform|Report|Notify|Refund|Cancel|Charge|Log|Read|Explain|Apologi[sz]e|Direct|Route|Hand|Follow|Respect|Treat|Reject|Deny|Decline|Approve|Avoid|Stop|Call|Contact|Get|Wait|Look|Say|Add|Include)\b)`)
	defines   = lazyregexp.New(`^(?:["“]([^"”]{1,80})["”]|(?:(?:An?|The)\s+)?(\pL[\pL\pN' -]{0,60}?))\s+(?:means?|is defined as|are defined as|refers? to|includes only|stands for)\b`)
	saysSo    = lazyregexp.New(`(?i)\b(?:is|are|be)\s+(?:not |never |only |always )?(?:\pL+ed|paid|given|made|sold|kept|sent|taken|told|held|shown|put|read|met|done|let|set|allowed|free)\b`)
	quantity  = lazyregexp.New(`(?i)(?:\b(at most|no more than|not more than|up to|fewer than|less than|under|at least|no less than|no fewer than|more than|over|above|below|a maximum of|a minimum of|exactly)\s+)?([$€£])?\b(\d[\d,]*(?:\.\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|fifteen|twenty|thirty|sixty|ninety)\b\s?(%|[a-z€$£]+(?:[- ](?:cents?|days?|hours?|euros?|dollars?))?)?(?:\s+(or more|or less|or fewer))?`)
	deadline  = lazyregexp.New(`(?i)\b(?:within|by the end of|no later than|not later than|at the latest|before|until|prior to|in advance of|less than|at least|more than)\s+(?:[\w']+\s+){0,3}?(?:minutes?|hours?|days?|weeks?|months?|years?|midnight|noon|departure|delivery|check-in)\b(?:\s+(?:of|after|before|from|following|ahead of|since)\s+[^,.;:]{1,60})?`)
)

// prohibitions are the words of mode that forbid; permissions those that allow, narrowed where "only" is among them.
var (
	prohibitions = lazyregexp.New(`(?i)not|never|n't`)
	permissions  = lazyregexp.New(`(?i)^(?:may|can|is allowed|are allowed|is permitted|are permitted)`)
	only         = lazyregexp.New(`(?i)only`)
)

// sentences cuts text behind what ends a sentence.
func sentences(text string) []string {
	var out []string
	for text != "" {
		m := sentenceEnd.FindStringIndex(text)
		if m == nil {
			return append(out, text)
		}
		out = append(out, strings.TrimSpace(text[:m[1]]))
		text = text[m[1]:]
	}
	return out
}

func readClause(text string) Reading {
	var r Reading
	if m := defines.FindStringSubmatch(text); m != nil {
		r.Defines = m[1] + m[2]
	}
	acts := false
	for _, s := range sentences(text) {
		conditions, exceptions, deep := conditionsOf(s)
		r.Conditions = append(r.Conditions, conditions...)
		r.Exceptions = append(r.Exceptions, exceptions...)
		r.Nesting = max(r.Nesting, deep)
		if o, ok := obligation(s); ok {
			r.Obligations = append(r.Obligations, o)
			acts = true
		}
		acts = acts || saysSo.MatchString(s)
	}
	switch n := len(r.Conditions) + len(r.Exceptions); {
	case r.Defines != "":
		r.Kind = Factual
	case n > 1 || r.Nesting > 1:
		r.Kind = ConditionalComplex
	case n == 1:
		r.Kind = ConditionalSimple
	case acts:
		r.Kind = Behavioural
	}
	return r
}

// conditionsOf finds the conditions and exceptions of a sentence, and how deep they stand in one another: one that opens inside another is deeper, and so is a part that mixes "and" with "or".
func conditionsOf(s string) (conditions, exceptions []string, deep int) {
	end, level := 0, 0
	for _, m := range opening.FindAllStringIndex(s, -1) {
		stop := len(s)
		if p := partEnd.FindStringIndex(s[m[1]:]); p != nil {
			stop = m[1] + p[0]
		}
		part := strings.TrimSpace(s[m[0]:stop])
		if words := strings.Fields(part); len(words) < 2 || temporal.MatchString(part) && (len(words) < 3 || quantity.MatchString(strings.Join(words[1:min(3, len(words))], " "))) {
			continue
		}
		if m[0] < end {
			level++
		} else {
			level = 1
		}
		end = stop
		if lower := " " + strings.ToLower(part) + " "; strings.Contains(lower, " and ") && strings.Contains(lower, " or ") {
			deep = max(deep, level+1)
		}
		deep = max(deep, level)
		if exception.MatchString(part) {
			exceptions = append(exceptions, part)
		} else {
			conditions = append(conditions, part)
		}
	}
	return conditions, exceptions, deep
}

func obligation(s string) (Obligation, bool) {
	var o Obligation
	rest := s
	if order.MatchString(s) {
		o.Mode = "must"
		if m := mode.FindString(s); m != "" && prohibitions.MatchString(m) {
			o.Mode = "must not"
			rest = strings.TrimSpace(s[strings.Index(s, m)+len(m):])
		}
		o.Action = action(rest)
	} else {
		m := mode.FindStringIndex(s)
		if m == nil {
			return stated(s)
		}
		word := s[m[0]:m[1]]
		switch {
		case prohibitions.MatchString(word):
			o.Mode = "must not"
		case permissions.MatchString(word) && only.MatchString(word):
			o.Mode = "may only"
		case permissions.MatchString(word):
			o.Mode = "may"
		default:
			o.Mode = "must"
		}
		o.Actor = actor(s[:m[0]])
		o.Action = action(s[m[1]:])
	}
	if o.Action == "" {
		return o, false
	}
	o.Deadline = deadline.FindString(s)
	o.Quantities = Quantities(s)
	return o, true
}

// stated reads a sentence that says what is done in so many words: "a refund is paid within 14 days". Who does it is not said.
func stated(s string) (Obligation, bool) {
	m := saysSo.FindStringIndex(s)
	if m == nil {
		return Obligation{}, false
	}
	o := Obligation{Mode: "must", Action: strings.TrimSpace(actor(s[:m[0]]) + " " + action(s[m[0]:])), Deadline: deadline.FindString(s), Quantities: Quantities(s)}
	if verb := s[m[0]:m[1]]; prohibitions.MatchString(verb) {
		o.Mode = "must not"
	}
	return o, true
}

// actor is the last part of what stands before the verb.
func actor(before string) string {
	if i := strings.LastIndex(before, ", "); i >= 0 {
		before = before[i+1:]
	}
	return strings.TrimSpace(before)
}

// action is what stands behind the verb up to the first condition or the end of the part.
func action(after string) string {
	end := len(after)
	if m := opening.FindStringIndex(after); m != nil {
		end = m[0]
	}
	if p := partEnd.FindStringIndex(after[:end]); p != nil {
		end = p[0]
	}
	return strings.TrimSpace(after[:end])
}

// bounds are the words of quantities with what they say.
var bounds = map[string]string{
	"at most": "at most", "no more than": "at most", "not more than": "at most", "up to": "at most", "fewer than": "below", "less than": "below", "under": "below", "below": "below", "a maximum of": "at most", "or less": "at most", "or fewer": "at most",
	"at least": "at least", "no less than": "at least", "no fewer than": "at least", "more than": "above", "over": "above", "above": "above", "a minimum of": "at least", "or more": "at least",
}

var currencies = map[string]string{"$": "dollars", "€": "euros", "£": "pounds"}

var numberWords = map[string]string{
	"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "twelve": "12", "fourteen": "14", "fifteen": "15", "twenty": "20", "thirty": "30", "sixty": "60", "ninety": "90",
}

// notUnits are words that may follow a number without being what is counted.
var notUnits = map[string]bool{"of": true, "or": true, "and": true, "to": true, "the": true, "a": true, "in": true, "is": true, "are": true, "for": true, "on": true, "by": true, "at": true, "with": true, "may": true, "must": true, "if": true, "does": true, "do": true, "has": true, "have": true, "will": true, "shall": true, "can": true, "applies": true, "not": true, "need": true, "needs": true}

// Quantities finds the numbers of a text with what they count and how they bound it: "at most", "at least", "below", "above", or nothing. Number words up to ninety are read as numbers; Value has no thousands separators.
func Quantities(text string) []Quantity {
	var out []Quantity
	for _, m := range quantity.FindAllStringSubmatch(text, -1) {
		q := Quantity{Text: strings.TrimSpace(m[0]), Bound: bounds[strings.ToLower(m[1]+m[5])], Value: strings.ReplaceAll(m[3], ",", ""), Unit: strings.ToLower(m[4])}
		if n, ok := numberWords[strings.ToLower(q.Value)]; ok {
			q.Value = n
		}
		if notUnits[q.Unit] {
			q.Text = strings.TrimSpace(strings.TrimSuffix(q.Text, m[4]))
			q.Unit = ""
		}
		if m[2] != "" {
			q.Unit = currencies[m[2]]
		}
		if q.Unit == "" && q.Bound == "" || strings.EqualFold(m[3], "one") && m[1] == "" {
			continue // "section 1", "one of these", "the one who"
		}
		out = append(out, q)
	}
	return out
}

var mention = lazyregexp.New(`(?i)\b(?:see|section|clause|article|paragraph|rule|chapter|part|under|in)\s+["“§]?\s*((?:\d{1,4}(?:\.\d{1,4})*(?:\s?\([a-z0-9]{1,4}\))*)|[\pL\pN._-]+/\d[\d.]*)`)

// targets are the names by which a clause or a section may be mentioned, with the clause.
func (d *Document) targets() map[string]string {
	out := map[string]string{}
	put := func(name, id string) {
		if name = strings.ToLower(strings.Trim(name, " .():")); name != "" && out[name] == "" {
			out[name] = id
		}
	}
	for _, c := range d.Clauses {
		put(c.ID, c.ID)
		if strings.ContainsAny(c.Label, "0123456789") {
			put(c.Label, c.ID)
		}
		if n := len(c.Heading); n > 0 {
			title := c.Heading[n-1]
			if m := leadingNumber.FindString(title); m != "" {
				put(m, c.ID)
			}
		}
	}
	return out
}

var leadingNumber = lazyregexp.New(`\d{1,4}(?:\.\d{1,4})*`)

func references(c Clause, targets map[string]string) []Reference {
	var out []Reference
	for _, m := range mention.FindAllStringSubmatch(c.Text, -1) {
		target := targets[strings.ToLower(strings.TrimRight(m[1], "."))]
		if target == "" && strings.HasPrefix(strings.ToLower(m[0]), "in") || strings.HasPrefix(strings.ToLower(m[0]), "under") && target == "" || target == c.ID {
			continue // "in 14 days"
		}
		r := Reference{m[0], target}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
