package session

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

// origins remembers where values came from: what users and the system said, and what tools answered. It implements policy.Origins.
//
// A source is one of these, a result by the field that a value stood in; sources with the same labels in every respect are one class. What is kept of a text is the sequence of its words by hash (words.go), and of all texts together
// an index of their passages (passages.go), in two generations: when the newer one is full the older one is dropped. Nothing that is dropped makes a decision looser: a value found nowhere has every label that the session ever had.
// What the assistant says is no source. It was made from the context.
type origins struct {
	rules   Rules
	traced  []string // labels that conditions name
	tracks  bool
	gens    [2]*passages // the newer one first; nil before the first source
	classes []class
	byKey   map[string]int32
	context []string // of all classes, inherited labels, and assistant; sorted
	inherit []string // of the session that handed the work over
	cached  [2]map[setID]labels

	r       reading
	current *policy.Input // the call that is being decided
	talk    *talk
	agreed  map[string]bool // its key arguments
	asked   bool            // agreed is known
	// consented tells whether the user confirmed it, unless that is unread.
	consented proviso.Tri
	unread    bool
}

// class is a kind of source.
type class struct {
	Key    string   `json:"key"` // of byKey
	Labels []string `json:"labels"`
	// Hearsay is a result that answers no call of this session, or one that is not told apart: a value may come from it, but it vouches for nothing.
	Hearsay bool `json:"hearsay,omitempty"`
}

// labels is what a set of classes says.
type labels struct{ may, vouched []string }

// The bounds on origins. Texts are kept as words, numbers and things with several spellings; beyond MaxFields, fields of results are told apart only as far as the policy names them.
const (
	MaxWords  = 65536 // in one generation; at least so many and at most twice as many of the newest are known
	MaxFields = 1024
	maxCached = 4096
	minChars  = 4 // letters and digits of a passage that counts as found inside a longer text
)

func (o *origins) init(rules Rules, t *talk) {
	o.rules, o.talk = rules, t
	o.traced, o.tracks = rules.Traced()
	o.byKey = map[string]int32{}
	o.context = []string{pack.LabelAssistant}
}

// ---- sources

// from is a source: user, system, tool:NAME or tool:NAME.FIELD.
type from struct {
	label string
	// standing is how far the source can be relied on.
	standing standing
}

// standing tells results apart.
type standing byte

// The standings, as they stand in keys of classes.
const (
	plain   standing = ' '
	hearsay standing = '?' // it answers no call of this session
	asked   standing = '!' // of a call that the user asked for
)

// message takes in what a user or the system said.
func (o *origins) message(m *proviso.Message) {
	if !o.tracks || m.Role == proviso.Assistant {
		return
	}
	f := from{pack.LabelUser, plain}
	if m.Role == proviso.System {
		f.label = pack.LabelSystem
	}
	o.text(o.class(f), m.Text)
}

// result takes in what a tool answered: by field where it is JSON, be it inside a text.
func (o *origins) result(in *policy.Input, b *proviso.ToolResult, st standing) {
	if !o.tracks {
		return
	}
	tool := in.Tool()
	if tool == "" {
		tool = b.Tool
	}
	f := from{toolSource + tool, st}
	raw := []byte(b.Content)
	if len(raw) == 0 {
		if s := strings.TrimSpace(b.Text); s != "" && (s[0] == '{' || s[0] == '[') {
			raw = []byte(s)
		}
	}
	if len(raw) > 0 {
		if v, err := proviso.DecodeResultJSON(raw); err == nil {
			if s, isText := v.(string); !isText || !o.listed(f, s) {
				o.value(f, v)
			}
			return
		}
	}
	s := b.Text + string(b.Content)
	if !o.listed(f, s) {
		o.text(o.class(f)+ofPieces, s)
	}
}

const toolSource = "tool:"

// begin takes in what the door said of the session.
func (o *origins) begin(l *proviso.Lifecycle) {
	if !o.tracks {
		return
	}
	o.value(from{pack.LabelSystem, plain}, []any{l.User, l.Attributes})
}

// goOn takes over the labels of a session that handed work over.
func (o *origins) goOn(ls []string) {
	if o.tracks && len(ls) > 0 {
		o.inherit = join(o.inherit, slices.Sorted(slices.Values(ls)))
		o.grow(ls)
	}
}

// asksFor reports whether the user asked for a call, which is forwarded as sent: there are texts among its arguments, and all of them stand in the user's words.
// It makes the call the current one first, so that the answer is the same whether the call was decided just now or is folded from a record.
func (o *origins) asksFor(call, sent *policy.Input) bool {
	if !slices.Contains(o.traced, pack.LabelAsked) {
		return false
	}
	o.decide(call)
	said := textsOf(sent.Raw, nil)
	return len(said) > 0 && slices.Contains(o.Every(said), pack.LabelUser)
}

func textsOf(v any, out []any) []any {
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, m := range v {
			out = textsOf(m, out)
		}
	case map[string]any:
		for _, m := range v {
			out = textsOf(m, out)
		}
	}
	return out
}

// value takes in a value of a source, its fields as sources of their own.
func (o *origins) value(f from, v any) {
	switch v := v.(type) {
	case []any:
		for _, m := range v {
			o.value(f, m)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			below := f
			if strings.HasPrefix(f.label, toolSource) {
				below.label += "." + k
			}
			// A key may be a value as well, such as the number of an order.
			o.leaf(f, k)
			o.value(below, v[k])
		}
	case nil:
	case string:
		o.leaf(f, v)
	case bool:
		o.single(o.class(f), truth(v))
	default:
		o.leaf(f, plainText(v))
	}
}

// maxLeaf is how many words a field may have to be looked for as a whole.
const maxLeaf = 1024

// leaf takes in one text of a JSON value.
func (o *origins) leaf(f from, s string) {
	c := o.class(f)
	if !strings.HasPrefix(f.label, toolSource) {
		o.text(c, s)
		return
	}
	o.r.read(s)
	n := len(o.r.words)
	if n == 0 {
		return
	}
	if n > maxLeaf {
		o.text(c+ofPieces, s)
		return
	}
	piece := c + ofPieces
	if g := o.newest(); o.r.numeric() {
		// The day of a date is no piece of what somebody wrote.
		piece = c
		g.begin(c)
		for _, w := range o.r.words {
			g.add(w.print)
		}
	} else {
		g.leaf(c, o.r.words)
	}
	o.single(c+ofWhole, o.r.whole())
	for _, t := range o.r.things {
		at := piece
		if t.from == 0 && t.to == n {
			at = c + ofWhole
		}
		o.single(at, t.print)
	}
}

// whole is what a text is found by as the whole of a field: its words, and what these are together.
func (r *reading) whole() print {
	b := make([]byte, 0, 64)
	for _, w := range r.words {
		b = append(b, w.print[:]...)
	}
	for _, t := range r.things {
		if t.strict && t.from == 0 && t.to == len(r.words) {
			b = append(b, t.print[:]...)
		}
	}
	return printOf(aLeaf, string(b))
}

func (o *origins) single(c int32, p print) {
	g := o.newest()
	g.begin(c)
	g.add(p)
}

func (o *origins) text(c int32, s string) {
	o.r.read(s)
	g := o.newest()
	g.begin(c)
	for i := range o.r.words {
		if g.words >= MaxWords {
			g = o.newest()
			g.begin(c)
		}
		g.add(o.r.words[i].print)
	}
	for i := range o.r.things {
		g.begin(c)
		g.add(o.r.things[i].print)
	}
}

// newest is the generation that new texts go into.
func (o *origins) newest() *passages {
	if o.gens[0] == nil || o.gens[0].words >= MaxWords {
		o.gens[1], o.gens[0] = o.gens[0], newPassages()
		o.cached[1], o.cached[0] = o.cached[0], nil
	}
	return o.gens[0]
}

// class is the number of a source's class. Of a tool there are three in a row: for the words of a field, for pieces of it, and for the whole.
func (o *origins) class(f from) int32 {
	key := string(rune(f.standing)) + f.label
	if c, ok := o.byKey[key]; ok {
		return c
	}
	c := class{key, o.labelsOf(f.label), f.standing == hearsay}
	if len(o.classes) >= 3*MaxFields {
		c = o.coarse(f.label, c.Labels)
		if n, ok := o.byKey[c.Key]; ok {
			return n
		}
	}
	if f.standing == asked {
		c.Labels = with(c.Labels, pack.LabelAsked)
	}
	n := int32(len(o.classes))
	o.byKey[c.Key] = n
	o.classes = append(o.classes, c)
	if strings.HasPrefix(f.label, toolSource) {
		o.classes = append(o.classes, class{c.Key + "\x00" + pack.LabelText, with(c.Labels, pack.LabelText), c.Hearsay}, class{c.Key + "\x00" + pack.LabelField, with(c.Labels, pack.LabelField), c.Hearsay})
	}
	for _, c := range o.classes[n:] {
		o.grow(c.Labels)
	}
	return n
}

// with adds a label to a sorted list, which is not changed.
func with(ls []string, label string) []string { return join(ls, []string{label}) }

// labelsOf names a source: by itself, by everything that its field lies in, and as the packs call it.
func (o *origins) labelsOf(source string) []string {
	out := append([]string{source}, o.rules.SourceLabels(source)...)
	if strings.HasPrefix(source, "tool:") {
		for i := strings.LastIndexByte(source, '.'); i > 0; i = strings.LastIndexByte(source[:i], '.') {
			out = append(out, source[:i])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// coarse is the class of a source where too many are told apart already: the tool as a whole, with whatever the packs call the field, and with every field of the tool that a condition names.
func (o *origins) coarse(source string, known []string) class {
	name, _, _ := strings.Cut(source, ".")
	ls := []string{name}
	for _, l := range o.traced {
		if strings.HasPrefix(l, name+".") {
			ls = append(ls, l)
		}
	}
	for _, l := range known {
		if !strings.HasPrefix(l, "tool:") {
			ls = append(ls, l)
		}
	}
	if len(o.classes) >= 6*MaxFields {
		// So many tools do not exist; of those that a client makes up, nothing is told apart.
		name, ls = "tool:*", append(slices.Clone(o.rules.LabelNames()), o.traced...)
	}
	slices.Sort(ls)
	ls = slices.Compact(ls)
	return class{strings.Join(append([]string{"*" + name}, ls...), "\x00"), ls, true}
}

// grow adds labels to those of the context.
func (o *origins) grow(ls []string) {
	var more []string
	for _, l := range ls {
		if _, ok := slices.BinarySearch(o.context, l); !ok {
			more = append(more, l)
		}
	}
	if more != nil {
		o.context = append(slices.Clone(o.context), more...) // the old list may be in use
		slices.Sort(o.context)
	}
}

// confirmed takes in the key arguments of a call that the user agreed to: they count as said.
func (o *origins) confirmed(in *policy.Input) {
	for _, vs := range o.keyArguments(in) {
		o.value(from{pack.LabelUser, plain}, vs)
	}
}

func (o *origins) keyArguments(in *policy.Input) [][]any {
	args := o.rules.KeyArguments(in)
	out := make([][]any, 0, len(args))
	for _, n := range slices.Sorted(maps.Keys(args)) {
		out = append(out, args[n])
	}
	return out
}

// ---- questions

// Of returns the labels of every source that a part of the value may come from.
func (o *origins) Of(v any, by builtin.Precision) []string {
	if by == builtin.ByContext || by == builtin.BySession {
		return o.context
	}
	u := union{o: o}
	u.add(v)
	return u.labels()
}

// union collects the labels of parts. While there is only one list it is not copied.
type union struct {
	o    *origins
	one  []string
	many map[string]bool
	all  bool // everything in the context
	user bool // a part has the label user
}

func (u *union) take(ls []string) {
	switch {
	case len(ls) == 0:
	case u.one == nil:
		u.one = ls
	case u.many == nil && slices.Equal(u.one, ls):
	default:
		if u.many == nil {
			u.many = map[string]bool{}
			for _, l := range u.one {
				u.many[l] = true
			}
		}
		for _, l := range ls {
			u.many[l] = true
		}
	}
}

func (u *union) labels() []string {
	switch {
	case u.all:
		return u.o.context
	case u.many != nil:
		return slices.Sorted(maps.Keys(u.many))
	}
	return u.one
}

func (u *union) add(v any) {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, m := range v {
			u.add(m)
		}
	case map[string]any:
		for _, m := range v {
			u.add(m)
		}
	default:
		found := u.o.lookUp(v)
		for _, l := range found.parts {
			u.take(l.may)
			u.user = u.user || slices.Contains(l.may, pack.LabelUser)
		}
		u.all = u.all || found.made
		if !u.user && u.o.isAgreed(v) {
			u.take(userOnly)
		}
	}
}

var userOnly = []string{pack.LabelUser}

// Every returns the labels that each part of the value is known to have. Of a value without parts, such as an empty list, these are user, system, field, asked, and all that the packs name.
func (o *origins) Every(v any) []string {
	e := intersection{o: o}
	e.add(v)
	if e.parts == 0 {
		out := append(slices.Clone(o.rules.LabelNames()), pack.LabelUser, pack.LabelSystem, pack.LabelField, pack.LabelAsked)
		slices.Sort(out)
		return out
	}
	return e.out
}

// intersection keeps the labels that all parts have.
type intersection struct {
	o     *origins
	parts int
	out   []string
}

func (e *intersection) keep(ls []string) {
	e.parts++
	if e.parts == 1 {
		e.out = ls
		return
	}
	var both []string
	for _, l := range e.out {
		if _, ok := slices.BinarySearch(ls, l); ok {
			both = append(both, l)
		}
	}
	e.out = both
}

func (e *intersection) add(v any) {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, m := range v {
			e.add(m)
		}
	case map[string]any:
		for _, m := range v {
			e.add(m)
		}
	default:
		found := e.o.lookUp(v)
		said := !found.made && !slices.ContainsFunc(found.parts, func(l labels) bool { return !slices.Contains(l.vouched, pack.LabelUser) })
		var agreed []string
		if !said && e.o.isAgreed(v) {
			agreed = userOnly
		}
		if found.made {
			e.keep(agreed)
			return
		}
		for _, p := range found.parts {
			e.keep(join(p.vouched, agreed))
		}
	}
}

// isAgreed reports whether the value is a key argument of the call being decided, which the user confirmed.
func (o *origins) isAgreed(v any) bool {
	if o.current == nil || !o.rules.AsksConsent() {
		return false
	}
	if !o.asked {
		o.asked, o.agreed = true, map[string]bool{}
		for _, vs := range o.keyArguments(o.current) {
			for _, k := range vs {
				o.agreed[string(proviso.CanonicalJSON(k))] = true
			}
		}
	}
	// The longer question comes last: most values that are asked about are no key arguments.
	if !o.agreed[string(proviso.CanonicalJSON(v))] {
		return false
	}
	if o.unread {
		o.unread, o.consented = false, o.talk.Confirmed(o.current)
	}
	return o.consented == proviso.True
}

// decide makes in the event that is being decided.
func (o *origins) decide(in *policy.Input) {
	o.current, o.asked, o.unread = nil, false, true
	if _, ok := in.Event.Body.(*proviso.ToolCall); ok {
		o.current = in
	}
}

// found is what the index knows of one value: the labels of the passages it is made of, and whether a part of it was found nowhere.
type found struct {
	parts []labels
	made  bool
}

func (o *origins) lookUp(v any) (f found) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case bool:
		return o.lookUpPrints(truth(v))
	case time.Time:
		return o.lookUpPrints(printsOf(v)...)
	default:
		s = plainText(v)
	}
	if f = o.find(s); f.made {
		for _, decode := range decoders {
			if plain, ok := decode(s); ok {
				if g := o.find(plain); !g.made {
					// What was encoded came from there, but nobody said it in this form.
					for i := range g.parts {
						g.parts[i].vouched = nil
					}
					return g
				}
			}
		}
	}
	return f
}

// find looks a text up.
func (o *origins) find(s string) (f found) {
	o.r.read(s)
	n := len(o.r.words)
	if n == 0 {
		f.made = strings.TrimSpace(s) != "" // spelt in punctuation
		return f
	}
	if h := o.whole(); h.size > 0 {
		f.parts = append(f.parts, h.labels)
		return f
	}
	verbatim := false
	for _, p := range o.gens {
		if p != nil {
			reach, _ := p.longest(o.r.words)
			verbatim = verbatim || reach == n
		}
	}
	for i := 0; i < n; {
		h := o.segment(i)
		if h.size == 0 || h.size < h.whole || h.size < n && !h.thing && !verbatim && (o.r.joined || !weighty(o.r.words[i:i+h.reach])) {
			f.made = true
		}
		f.parts = append(f.parts, h.labels)
		i += max(h.size, 1)
	}
	return f
}

// whole looks a text up as the whole of a field, and unites what is found with where it stands as a passage.
func (o *origins) whole() (h hit) {
	n := len(o.r.words)
	if n > maxLeaf {
		return h
	}
	w := o.r.whole()
	for g, p := range o.gens {
		if p == nil {
			continue
		}
		if set := p.one(w); set != noSet {
			h.take(n, true, o.labels(g, set))
		}
	}
	if h.size > 0 {
		if s := o.segment(0); s.size == n {
			h.take(n, true, s.labels)
		}
	}
	return h
}

// weighty reports whether a passage inside a longer text says enough to be recognised: four letters or digits, or a word of two letters or three.
func weighty(ws []word) bool {
	n := 0
	for _, w := range ws {
		n += w.chars
	}
	return n >= minChars || len(ws) == 1 && ws[0].letters && ws[0].chars > 1
}

// hit is the longest passage or thing that begins with a word.
type hit struct {
	size   int // in words, 0 for none
	whole  int // how many words must be found together, because they are one strict thing
	reach  int // how many words are found together if strict things are read as words
	thing  bool
	labels labels
}

// segment finds the longest passage or thing that begins with word i. A strict thing is looked for as such: its words alone vouch for nothing, nor do things inside of it, and no passage runs into one.
func (o *origins) segment(i int) (h hit) {
	things, strict, inside, next := o.r.beginning(i)
	words := o.r.words[i:next]
	if strict > 0 {
		words = o.r.words[i : i+strict]
	}
	h.whole = strict
	for g, p := range o.gens {
		if p == nil {
			continue
		}
		n, set := p.longest(words)
		h.reach = max(h.reach, n)
		if n == len(words) && n < minChars {
			// Four words have four letters or digits.
			reach, _ := p.longest(o.r.words[i:min(i+minChars, len(o.r.words))])
			h.reach = max(h.reach, reach)
		}
		if n > 0 {
			l := o.labels(g, set)
			if strict > 0 {
				l.vouched = nil
			}
			h.take(n, false, l)
		}
		for _, t := range things {
			if t.to-i > len(words) {
				continue
			}
			if set := p.one(t.print); set != noSet {
				l := o.labels(g, set)
				if inside || t.to-i < strict {
					l.vouched = nil // a host that was named does not vouch for an address at it
				}
				h.take(t.to-i, true, l)
			}
		}
	}
	return h
}

// take keeps the longer of two hits, and unites those of one length.
func (h *hit) take(size int, thing bool, l labels) {
	switch {
	case size > h.size:
		h.size, h.thing, h.labels = size, thing, l
	case size == h.size:
		h.thing = h.thing || thing
		h.labels = labels{join(h.labels.may, l.may), join(h.labels.vouched, l.vouched)}
	}
}

// join unites two sorted lists without changing them.
func join(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0, slices.Equal(a, b):
		return a
	}
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// labels returns what a set of classes of a generation says.
func (o *origins) labels(gen int, id setID) labels {
	if id == manySources {
		return labels{may: o.context}
	}
	if l, ok := o.cached[gen][id]; ok {
		return l
	}
	var l labels
	for _, c := range o.gens[gen].sets.list[id] {
		l.may = append(l.may, o.classes[c].Labels...)
		if !o.classes[c].Hearsay {
			l.vouched = append(l.vouched, o.classes[c].Labels...)
		}
	}
	slices.Sort(l.may)
	slices.Sort(l.vouched)
	l.may, l.vouched = slices.Compact(l.may), slices.Compact(l.vouched)
	if o.cached[gen] == nil || len(o.cached[gen]) >= maxCached {
		o.cached[gen] = map[setID]labels{}
	}
	o.cached[gen][id] = l
	return l
}

// lookUpPrints looks a truth value or a time up.
func (o *origins) lookUpPrints(ws ...print) (f found) {
	for _, w := range ws {
		var h hit
		for g, p := range o.gens {
			if p == nil {
				continue
			}
			if set := p.one(w); set != noSet {
				h.take(1, true, o.labels(g, set))
			}
		}
		f.made = f.made || h.size == 0
		f.parts = append(f.parts, h.labels)
	}
	return f
}

// printsOf is what a time is found by: its day, and the time of day unless it is midnight.
func printsOf(t time.Time) []print {
	y, m, d := t.Date()
	out := []print{printOf(aDate, dateText(y, int(m), d))}
	if h, min, _ := t.Clock(); h != 0 || min != 0 {
		out = append(out, printOf(aTime, fmt.Sprintf("%02d:%02d", h, min)))
	}
	return out
}

func truth(b bool) print { return printOf(aTruth, strconv.FormatBool(b)) }

// plainText writes a number or a duration; the sign is left out, as it is in texts.
func plainText(v any) string {
	switch v := v.(type) {
	case int64:
		return strings.TrimPrefix(strconv.FormatInt(v, 10), "-")
	case float64:
		return trimZeros(strings.TrimPrefix(strconv.FormatFloat(v, 'f', -1, 64), "-"))
	}
	return fmt.Sprint(v)
}
