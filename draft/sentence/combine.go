package sentence

import (
	"cmp"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
	"github.com/proviso-dev/proviso/tree"
)

// Cue is the wording by which a text says how its conditions combine.
type Cue string

// The cues, the surest first.
const (
	CueAll     Cue = "all of"    // all of, both, each of these
	CueAny     Cue = "any of"    // any of, one of, either
	CueAnd     Cue = "items and" // items, or phrases of one sentence, joined by and
	CueOr      Cue = "items or"  // the same joined by or
	CueDuty    Cue = "duties"    // what must be the case: you must, you need to, requirements
	CueExample Cue = "examples"  // including, such as, for example
	CueNouns   Cue = "nouns"     // a list of things
	CueClauses Cue = "clauses"   // a list of clauses
	CueProse   Cue = "prose"     // none of these
	CueApart   Cue = "apart"     // conditions from different parts of the text
)

// Joint is how the conditions of a text combine.
type Joint struct {
	Cue     Cue
	Op      tree.Op // All or Any
	Negated bool    // the text says where something is not so
	Tree    *tree.Node
}

var (
	allCue      = lazyregexp.New(`(?i)\b(all of|all the|all these|both|each of|every one of|following (conditions|criteria|requirements)|the following apply|these apply)\b`)
	anyCue      = lazyregexp.New(`(?i)\b(any of|any one|one of|one or more|either|at least one|any other|any)\b`)
	dutyCue     = lazyregexp.New(`(?i)\b(must|shall|need to|needs to|have to|has to|required?|requires that|requirements?|only if|as long as|provided)\b`)
	exampleCue  = lazyregexp.New(`(?i)\b(including|includes?|such as|for example|e\.g\.)`)
	negativeCue = lazyregexp.New(`(?i)\b(can['’]t|cannot|can not|won['’]t|(do|does|is|are|was|were|has|have)n['’]t|must not|may not|do not|does not|will not|(is|are) not|not (eligible|entitled|allowed|available|able|qualify)|banned|exempt|exclude[sd]?|excluding|ineligible|unless|except)\b`)
	bulletMark  = lazyregexp.New(`^\s*([*•–-]|\d+[.)]|[a-z][.)])\s+`)
)

// part is a piece of the text: a line, or a sentence of one.
type part struct {
	text   string
	bullet bool
	title  bool // a heading of the document, and no sentence
	intro  int  // for a bullet: the part that introduces its list, -1 for none
	words  map[string]bool
}

func partsOf(text string) []part {
	var out []part
	intro := -1
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if m := bulletMark.FindString(line); m != "" {
			out = append(out, part{text: line[len(m):], bullet: true, intro: intro})
			continue
		}
		for _, s := range sentences(strings.TrimLeft(line, "# ")) {
			out = append(out, part{text: s, title: strings.HasPrefix(line, "#"), intro: -1})
			intro = len(out) - 1
		}
	}
	for i := range out {
		out[i].words = map[string]bool{}
		for _, w := range roots(out[i].text) {
			out[i].words[w] = true
		}
	}
	return out
}

var sentenceEnd = lazyregexp.New(`[.!?;]\s+`)

func sentences(line string) []string {
	var out []string
	start := 0
	for _, m := range sentenceEnd.FindAllStringIndex(line, -1) {
		out = append(out, line[start:m[1]])
		start = m[1]
	}
	if start < len(line) {
		out = append(out, line[start:])
	}
	return out
}

// home is the part of the text that says most of what a condition asks; how is the share of its words found there.
func home(ps []part, condition string) (at int, how float64) {
	at = -1
	ws := roots(condition)
	for i, p := range ps {
		n := 0.0
		for _, w := range ws {
			if p.words[w] {
				n++
			}
		}
		score := n / float64(max(len(ws), 1))
		if p.bullet {
			score += 0.05
		}
		if n > 0 && score > how {
			at, how = i, score
		}
	}
	return at, how
}

var (
	denial    = lazyregexp.New(`(?i)\b(not|never|without|cannot)\b|n['’]t\b|\bno\s+(?:[a-km-z]|l[^e])`)
	bracketed = lazyregexp.New(`\([^)]*\)`)
)

// negative reports whether a text denies something, outside of brackets. "No less than" does not.
func negative(s string) bool { return denial.MatchString(bracketed.ReplaceAllString(s, "")) }

// Usual is the connective that each cue usually stands for.
var Usual = map[Cue]tree.Op{CueAll: tree.All, CueAny: tree.Any, CueAnd: tree.All, CueOr: tree.Any, CueDuty: tree.All, CueExample: tree.Any,
	CueNouns: tree.Any, CueClauses: tree.Any, CueProse: tree.All, CueApart: tree.All}

// Cues lists the cues, the surest first.
func Cues() []Cue {
	return []Cue{CueAll, CueAny, CueAnd, CueOr, CueDuty, CueExample, CueNouns, CueClauses, CueProse, CueApart}
}

// Combine reads how conditions, each a yes-no question, combine to the answer of a question about a rule text. The atoms of the tree are the numbers of the conditions.
// Conditions that stand in one item of a list belong together, those of a list follow its heading, and what the heading itself asks has to hold as well.
// ops gives the connective of a cue; nil stands for Usual. Without conditions the tree is true.
func Combine(text, question string, conditions []string, ops map[Cue]tree.Op) Joint {
	if ops == nil {
		ops = Usual
	}
	c := combiner{parts: partsOf(text), question: question, conditions: conditions, ops: ops}
	for _, q := range conditions {
		at, _ := home(c.parts, q)
		c.homes = append(c.homes, at)
	}
	return c.joint()
}

type combiner struct {
	parts      []part
	question   string
	conditions []string
	homes      []int // of each condition, -1 for none
	ops        map[Cue]tree.Op
}

// list is the number of the list that a part belongs to, by its introduction; prose parts belong to none.
func (c *combiner) list(at int) (intro int, ok bool) {
	if at < 0 || !c.parts[at].bullet {
		return 0, false
	}
	return c.parts[at].intro, true
}

func (c *combiner) joint() Joint {
	lists := map[int][]int{} // introduction → conditions of its items
	prose := map[int][]int{} // part → conditions of it
	var introOrder, proseOrder []int
	for i, at := range c.homes {
		if intro, ok := c.list(at); ok {
			if lists[intro] == nil {
				introOrder = append(introOrder, intro)
			}
			lists[intro] = append(lists[intro], i)
			continue
		}
		if prose[at] == nil {
			proseOrder = append(proseOrder, at)
		}
		prose[at] = append(prose[at], i)
	}
	if len(introOrder) == 0 && len(proseOrder) == 1 {
		return c.prose(proseOrder[0], prose[proseOrder[0]])
	}
	var kids []*tree.Node
	out := Joint{Cue: CueApart}
	for _, intro := range introOrder {
		j := c.items(intro, lists[intro])
		if len(lists[intro]) > 1 || out.Cue == CueApart && len(introOrder) == 1 {
			out.Cue, out.Negated, out.Op = j.Cue, j.Negated, j.Op
		}
		kids = append(kids, j.Tree)
	}
	for _, at := range proseOrder {
		p := c.prose(at, prose[at])
		if at >= 0 && len(introOrder) == 1 && at == introOrder[0] && out.Op != tree.All && !asksBeside(c.parts[at].text) && !out.Negated {
			// What such a heading names beside its list is one more of what it lists.
			kids[0] = tree.New(out.Op, kids[0], p.Tree)
			continue
		}
		kids = append(kids, p.Tree)
	}
	if len(kids) == 1 {
		out.Tree = kids[0]
		return out
	}
	joined := tree.All // what the heading asks, and the list
	if len(introOrder) == 0 || len(introOrder) > 1 && len(proseOrder) == 0 {
		joined = c.ops[CueApart]
	}
	if len(introOrder) == 0 {
		out.Cue = CueApart
	}
	out.Tree = tree.New(joined, kids...)
	return out
}

// asksBeside reports whether the heading of a list asks something of its own: "if you get Universal Credit and one of the following applies".
func asksBeside(heading string) bool {
	loc := ifCue.FindStringIndex(heading)
	return loc != nil && (strings.Contains(heading[loc[1]:], " and ") || len(roots(heading[loc[1]:])) > 2)
}

// items combines the conditions of one list.
func (c *combiner) items(intro int, conditions []int) Joint {
	var j Joint
	j.Cue, j.Negated = c.listCue(intro)
	j.Op = c.ops[j.Cue]
	if j.Negated && j.Cue == CueDuty {
		j.Op = tree.Any
	}
	byItem := map[int][]*tree.Node{}
	var order []int
	for _, i := range conditions {
		at := c.homes[i]
		leaf := tree.Leaf(i)
		if negative(c.parts[at].text) != negative(c.conditions[i]) {
			leaf = tree.New(tree.Not, leaf)
		}
		if byItem[at] == nil {
			order = append(order, at)
		}
		byItem[at] = append(byItem[at], leaf)
	}
	var kids []*tree.Node
	for _, at := range order {
		op := tree.Any
		if ts := scan(c.parts[at].text); !has(ts, "or") && has(ts, "and") {
			op = tree.All
		}
		kids = append(kids, tree.New(op, byItem[at]...))
	}
	if len(kids) == 1 {
		j.Tree = kids[0]
	} else {
		j.Tree = tree.New(j.Op, kids...)
	}
	if j.Negated {
		j.Tree = tree.New(tree.Not, j.Tree)
	}
	return j
}

func has(ts []token, w string) bool {
	for _, t := range ts {
		if t.is(w) {
			return true
		}
	}
	return false
}

// prose combines the conditions of one sentence by the words between them.
func (c *combiner) prose(at int, conditions []int) Joint {
	j := Joint{Cue: CueProse}
	var ts []token
	if at >= 0 {
		ts = scan(c.parts[at].text)
		j.Negated = negativeCue.MatchString(c.parts[at].text) && !negative(c.question) && !negativeInside(c.parts[at].text)
		j.Cue = c.proseCue(ts, c.parts[at].text, conditions)
	}
	j.Op = c.ops[j.Cue]
	if j.Negated {
		j.Op = tree.Any
	}
	var kids []*tree.Node
	for _, i := range conditions {
		leaf := tree.Leaf(i)
		if !j.Negated && at >= 0 && negatedAt(ts, cmp.Or(c.own(i, conditions), c.conditions[i])) != negative(c.conditions[i]) {
			leaf = tree.New(tree.Not, leaf)
		}
		kids = append(kids, leaf)
	}
	if len(kids) == 1 {
		j.Tree = kids[0]
	} else {
		j.Tree = tree.New(j.Op, kids...)
	}
	if j.Negated {
		j.Tree = tree.New(tree.Not, j.Tree)
	}
	return j
}

// excepting are words behind which stands where something is not so, whatever stands before them.
var excepting = lazyregexp.New(`(?i)\b(unless|except (if|when|where|in|for))\b[^.;]*:?\s*$`)

// negativeInside reports whether a negation stands behind the condition rather than in what it leads to: "if you are not …".
func negativeInside(text string) bool {
	loc := negativeCue.FindStringIndex(text)
	return loc != nil && ifCue.MatchString(text[:loc[0]])
}

var ifCue = lazyregexp.New(`(?i)\b(if|who|must|when|that)\b`)

// places are the tokens of a sentence that a condition asks about.
func places(ts []token, condition string) []int {
	want := map[string]bool{}
	for _, w := range roots(condition) {
		want[w] = true
	}
	var out []int
	for i, t := range ts {
		if (t.kind == word || t.kind == number) && want[Base(Singular(t.low))] {
			out = append(out, i)
		}
	}
	return out
}

// negatedAt reports whether a negation stands shortly before what a condition asks about.
func negatedAt(ts []token, condition string) bool {
	at := places(ts, condition)
	if len(at) == 0 {
		return false
	}
	for k := max(0, at[0]-3); k < at[0]; k++ {
		if ts[k].is("not") || strings.HasSuffix(ts[k].low, "n't") || ts[k].is("without") {
			return true
		}
	}
	return false
}

// proseCue finds the word that joins the conditions of a sentence. A conjunction in front of a verb joins what is asked of one; in front of a noun it lists things or persons, any of which will do.
func (c *combiner) proseCue(ts []token, text string, conditions []int) Cue {
	lo, hi := len(ts), -1
	for _, i := range conditions {
		own := c.own(i, conditions)
		if at := places(ts, own); len(at) > 0 {
			mid := at[len(at)/2]
			lo, hi = min(lo, mid), max(hi, mid)
		}
	}
	and, or := -1, -1
	for k := lo; k < hi && k < len(ts); k++ {
		if ts[k].is("and") {
			and = k
		}
		if ts[k].is("or") || ts[k].is("nor") {
			or = k
		}
	}
	if and >= 0 && or >= 0 { // of two conjunctions the one behind a comma joins the larger parts
		switch apart := func(k int) bool { return k > 0 && ts[k-1].kind == mark }; {
		case apart(or) && !apart(and):
			and = -1
		case apart(and) && !apart(or):
			or = -1
		}
	}
	switch {
	case anyCue.MatchString(text):
		return CueAny
	case exampleCue.MatchString(text):
		return CueExample
	case or >= 0 && and < 0:
		return CueOr
	case and >= 0 && or < 0:
		if c.joinsThings(ts, and) && !demands(ts[:min(lo, len(ts))]) {
			return CueNouns
		}
		return CueAnd
	case dutyCue.MatchString(text):
		return CueDuty
	}
	return CueProse
}

// demands reports whether the words before a list of things demand them: "your browser needs to allow A, B and C".
func demands(before []token) bool {
	var words []string
	for _, t := range before {
		words = append(words, t.low)
	}
	return dutyCue.MatchString(strings.Join(words, " "))
}

// own are the words by which one of several conditions differs from the others.
func (c *combiner) own(i int, conditions []int) string {
	seen := map[string]int{}
	for _, k := range conditions {
		ws := roots(c.conditions[k])
		slices.Sort(ws)
		for _, w := range slices.Compact(ws) {
			seen[w]++
		}
	}
	var out []string
	for _, w := range roots(c.conditions[i]) {
		if seen[w] < len(conditions) {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// joinsThings reports whether the conjunction at k joins noun phrases.
func (c *combiner) joinsThings(ts []token, k int) bool {
	if k+1 >= len(ts) {
		return false
	}
	t := ts[k+1]
	_, known := third(t.low)
	return t.kind == word && !modals.in(t) && !beings.in(t) && !havings.in(t) && !verbs.has(t.low) && !known && !pronouns.in(t) && !participle(t) && !negations.in(t) && !adverbs.in(t) && !subordinators.in(t) && !prepositions.in(t)
}

// listCue finds the wording that combines the items of a list.
func (c *combiner) listCue(intro int) (cue Cue, negated bool) {
	heading := ""
	if intro >= 0 {
		heading = c.parts[intro].text
	}
	negated = negativeCue.MatchString(heading) && !negative(c.question) && !negativeInside(heading)
	if excepting.MatchString(heading) && !negative(c.question) {
		return CueAny, !negative(heading)
	}
	ands, ors, nouns, duties, n := 0, 0, 0, 0, 0
	for _, p := range c.parts {
		if !p.bullet || p.intro != intro {
			continue
		}
		n++
		ts := scan(p.text)
		for len(ts) > 0 && ts[len(ts)-1].kind == mark {
			ts = ts[:len(ts)-1]
		}
		if len(ts) == 0 {
			continue
		}
		switch {
		case ts[len(ts)-1].is("and"):
			ands++
		case ts[len(ts)-1].is("or"):
			ors++
		}
		if dutyCue.MatchString(p.text) || (intro < 0 || c.parts[intro].title) && (verbs.has(ts[0].low) || ts[0].is("be") || ts[0].is("have")) {
			duties++
		}
		pr := &parser{}
		if at, _ := pr.verb(ts); at <= 0 {
			nouns++
		}
	}
	// What the last words of the heading say is said of the list.
	tail := heading
	if i := strings.LastIndexAny(strings.TrimRight(heading, ": "), ".;"); i >= 0 {
		tail = heading[i+1:]
	}
	switch {
	case ands > 0 && ors == 0:
		return CueAnd, negated
	case ors > 0:
		return CueOr, negated
	case anyCue.MatchString(tail):
		return CueAny, negated
	case allCue.MatchString(tail):
		return CueAll, negated
	case exampleCue.MatchString(tail) && !dutyCue.MatchString(tail):
		return CueExample, negated
	case dutyCue.MatchString(tail), 2*duties >= n:
		return CueDuty, negated
	case 2*nouns > n:
		return CueNouns, negated
	}
	return CueClauses, negated
}

// Split cuts a text into its sentences.
func Split(text string) []string {
	var out []string
	for _, s := range sentences(text) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ListOp is how the items of a list combine that stands under a heading.
func ListOp(heading string, items []string) tree.Op {
	c := combiner{parts: []part{{text: heading, intro: -1}}}
	for _, s := range items {
		c.parts = append(c.parts, part{text: strings.TrimSpace(s), bullet: true})
	}
	cue, _ := c.listCue(0)
	return Usual[cue]
}
