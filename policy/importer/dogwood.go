package importer

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Dogwood reads policies in Dogwood (dogwood-policy/dogwood, August 2026): Cedar with conditions over the past. The common subset is read: formerly within, previous within, A since within B and !A since within B, and counts and sums over formerly, compared with a number.
//
// A request is a call that was attempted, a response one that ended well. The request that is being decided belongs to the past of Dogwood and not to ours, and is counted in. A session has one principal and one resource, so that fields about them are not compared.
// What came directly before, and what alone came since, a history of newest times shows on the safe side only: a permit holds where it is certain, a forbid where it cannot be excluded, and a warning says so.
// What has no counterpart (output fields, macros, providers) is refused.
var Dogwood = &Format{
	Name: "dogwood",
	Doc:  "Policies in Dogwood: Cedar, and of its temporal conditions formerly, previous, since, count and sum.",
	Read: readDogwood,
}

func readDogwood(r *Reader, name string) map[string][]byte {
	src, ok := r.file(name)
	if !ok {
		return nil
	}
	plainText, blocks, err := splitTemporal(string(src))
	if err != nil {
		r.unreadable(name, "%v", err)
		return nil
	}
	list, err := cedar.NewPolicyListFromBytes(path.Base(name), []byte(plainText))
	if err != nil {
		r.unreadable(name, "%v", err)
		return nil
	}
	c := &cedarReader{sheet: newSheet(r, name, "Who may do what, and after what")}
	beyond := map[int]func(s side, tools []string) any{}
	for _, b := range blocks {
		for _, m := range dogwoodAction.FindAllStringSubmatch(b.text, -1) {
			c.tools[m[1]] = true
		}
		former := beyond[b.policy]
		beyond[b.policy] = func(s side, tools []string) any {
			want := s
			if b.unless {
				want = !s
			}
			d := &dogwoodParser{c: c, tokens: dogwoodToken.FindAllString(dogwoodComment.ReplaceAllString(b.text, ""), -1), tools: tools, side: want, at: fmt.Sprintf("policy%d", b.policy)}
			holds := d.conjunction()
			if d.failed == "" && len(d.tokens) > 0 {
				d.fail("nothing is expected at %s", d.tokens[0])
			}
			if d.failed != "" {
				r.foreign(name, "write it as a rule over the history, with called, count, sum, last", "%s: %s", d.at, d.failed)
				return false
			}
			if b.unless {
				holds = not(holds)
			}
			if former != nil {
				return all(former(s, tools), holds)
			}
			return holds
		}
	}
	return c.read(list, beyond)
}

// temporalBlock is the text of one when temporal or unless temporal, and the number of its policy.
type temporalBlock struct {
	policy int
	unless bool
	text   string
}

var temporalHead = lazyregexp.New(`^(when|unless)\s+temporal\s*\{`)

// splitTemporal takes the temporal conditions out of a text of policies.
func splitTemporal(src string) (rest string, blocks []temporalBlock, err error) {
	var b strings.Builder
	policy := 0
	for i := 0; i < len(src); {
		n := 1
		switch m := temporalHead.FindStringSubmatch(src[i:]); {
		case strings.HasPrefix(src[i:], "//"):
			n = strings.IndexByte(src[i:]+"\n", '\n')
		case src[i] == '"':
			for n = 1; i+n < len(src) && src[i+n] != '"'; n++ {
				if src[i+n] == '\\' {
					n++
				}
			}
			n = min(n+1, len(src)-i)
		case src[i] == ';':
			policy++
		case m != nil && (i == 0 || !inIdent(src[i-1])):
			end, ok := closing(src[i+len(m[0]):])
			if !ok {
				return "", nil, fmt.Errorf("a temporal condition is not closed")
			}
			blocks = append(blocks, temporalBlock{policy, m[1] == "unless", src[i+len(m[0]) : i+len(m[0])+end]})
			i += len(m[0]) + end + 1
			continue
		}
		b.WriteString(src[i : i+n])
		i += n
	}
	return b.String(), blocks, nil
}

func inIdent(c byte) bool { return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }

// closing is where the brace that was opened before a text is closed.
func closing(s string) (at int, ok bool) {
	depth, inText := 1, false
	for i := 0; i < len(s); i++ {
		switch {
		case inText && s[i] == '\\':
			i++
		case s[i] == '"':
			inText = !inText
		case inText:
		case s[i] == '{':
			depth++
		case s[i] == '}':
			if depth--; depth == 0 {
				return i, true
			}
		}
	}
	return 0, false
}

var (
	dogwoodAction  = lazyregexp.New(`"([^"\\]+)"\s*::\s*[A-Za-z_]`)
	dogwoodComment = lazyregexp.New(`//[^\n]*`)
	dogwoodToken   = lazyregexp.New(`"(?:[^"\\]|\\.)*"|-?[0-9]+|[A-Za-z_][A-Za-z0-9_]*|::|&&|==|<=|>=|\S`)
)

// dogwoodParser reads a temporal condition by recursive descent. The first thing that it cannot read ends it.
type dogwoodParser struct {
	c      *cedarReader
	tokens []string
	tools  []string // that the policy is about
	side   side
	at     string
	failed string
}

func (d *dogwoodParser) fail(format string, args ...any) {
	if d.failed == "" {
		d.failed = fmt.Sprintf(format, args...)
	}
	d.tokens = nil
}

func (d *dogwoodParser) peek() string {
	if len(d.tokens) == 0 {
		return ""
	}
	return d.tokens[0]
}

func (d *dogwoodParser) next() string {
	t := d.peek()
	if t != "" {
		d.tokens = d.tokens[1:]
	}
	return t
}

func (d *dogwoodParser) want(tokens ...string) {
	for _, t := range tokens {
		if got := d.next(); got != t && d.failed == "" {
			d.fail("want %s, found %q", t, got)
		}
	}
}

func (d *dogwoodParser) conjunction() any {
	out := d.conjunct()
	for d.peek() == "&&" {
		d.next()
		out = all(out, d.conjunct())
	}
	return out
}

func (d *dogwoodParser) conjunct() any {
	switch d.peek() {
	case "!":
		d.next()
		if len(d.tokens) > 1 && d.peek() != "(" && d.peek() != "formerly" {
			return d.since()
		}
		d.side = !d.side
		inner := d.conjunct()
		d.side = !d.side
		return not(inner)
	case "(":
		if len(d.tokens) > 1 && (d.tokens[1] == "count" || d.tokens[1] == "sum") {
			d.next()
			total := d.aggregate()
			d.want(")")
			return d.compared(total, d.next(), d.next())
		}
		d.next()
		out := d.conjunction()
		d.want(")")
		return out
	case "formerly":
		d.next()
		window := d.window()
		e, ok := d.event(), true
		if d.failed != "" {
			return false
		}
		if e.includesNow(d.tools) {
			if d.side == most {
				d.c.r.narrower(d.c.file, "name another action, or a response", "%s: the request that is decided may itself be the one looked for; it counts as found", d.at)
				return true
			}
			ok = e.kind == "request"
		}
		if !ok {
			return false
		}
		return guarded(e.needs, "called("+e.query(window)+")", d.side)
	case "exists":
		return d.exists()
	case "count", "sum":
		d.fail("an aggregate on the left stands in brackets")
	case "previous":
		d.next()
		window := d.window()
		e := d.event()
		if d.failed != "" {
			return false
		}
		d.c.r.narrower(d.c.file, "compare what the two systems decide on your recordings", "%s: what came directly before is told by the times of the newest calls; what is not certain restricts", d.at)
		return d.newest(e, window)
	}
	if d.sinceFollows() {
		return d.onlySince()
	}
	if regexp.MustCompile(`^-?[0-9]+$`).MatchString(d.peek()) {
		n, op := d.next(), d.next()
		return d.compared(d.aggregate(), map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}[op], n)
	}
	d.fail("%q is not read", d.peek())
	return false
}

// window reads within N UNIT, in seconds.
func (d *dogwoodParser) window() string {
	d.want("within")
	n, unit := d.next(), d.next()
	scale := map[string]int{"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
	var amount int
	if _, err := fmt.Sscanf(n, "%d", &amount); err != nil || scale == 0 || amount < 0 || amount > 1<<31/scale {
		d.fail("within %s%s is no window", n, unit)
		return ""
	}
	return fmt.Sprintf("duration('%ds')", amount*scale)
}

// dogwoodEvent is a predicate: which tool's requests or responses, with which arguments.
type dogwoodEvent struct {
	tool, kind string
	filter     []string // name: expression
	needs      []string
	own        bool              // every argument compared is the same one of the call that is decided
	bound      map[string]string // variables, and the arguments that they stand for
}

func (e dogwoodEvent) includesNow(tools []string) bool {
	return e.kind == "request" && slices.Contains(tools, e.tool)
}

func (e dogwoodEvent) phase() string {
	if e.kind == "request" {
		return "'phase': 'attempted', "
	}
	return ""
}

// query is the arguments of a function of the history.
func (e dogwoodEvent) query(window string, field ...string) string {
	out := celText(e.tool)
	for _, f := range field {
		out += ", " + celText(f)
	}
	return fmt.Sprintf("%s, {%s}, {%s'within': %s}", out, strings.Join(e.filter, ", "), e.phase(), window)
}

// event reads Namespace::Action::"X"::kind{field: term, …}.
func (d *dogwoodParser) event() dogwoodEvent {
	e := dogwoodEvent{own: true, bound: map[string]string{}}
	for d.peek() != "" && !strings.HasPrefix(d.peek(), `"`) {
		if t := d.next(); t != "::" && !celName.MatchString(t) {
			d.fail("want an action, found %q", t)
		}
	}
	e.tool = strings.Trim(d.next(), `"`)
	d.want("::")
	if e.kind = d.next(); e.kind != "request" && e.kind != "response" && d.failed == "" {
		d.fail("the kind of event %q", e.kind)
	}
	d.want("{")
	for d.failed == "" && d.peek() != "}" {
		field := d.dotted()
		d.want(":")
		d.argument(&e, field)
		if d.peek() == "," {
			d.next()
		}
	}
	d.want("}")
	return e
}

func (d *dogwoodParser) dotted() string {
	out := d.next()
	for d.peek() == "." {
		d.next()
		out += "." + d.next()
	}
	return out
}

// argument reads what a field has to be.
func (d *dogwoodParser) argument(e *dogwoodEvent, field string) {
	term := d.dotted()
	name, isInput := strings.CutPrefix(field, "input.")
	switch {
	case term == "principal" && field == "callerPrincipal", term == "resource" && (field == "callerResource" || field == "eventResource"):
	case !isInput || !fieldName(name):
		d.fail("the field %s of an event", field)
	case term == "*" || term == "_":
	case strings.HasPrefix(term, "context.input."):
		path, ok := d.c.argument(strings.Split(strings.TrimPrefix(term, "context.input."), ".")...)
		if !ok {
			d.fail("the argument %s", term)
			return
		}
		d.c.declare(e.tool, name, map[string]any{})
		e.own = e.own && path == "args."+name
		e.filter, e.needs = append(e.filter, celText(name)+": "+path), append(e.needs, present(path))
	case strings.HasPrefix(term, `"`), term == "true", term == "false", regexp.MustCompile(`^-?[0-9]+$`).MatchString(term):
		e.own = false
		d.c.declare(e.tool, name, map[string]any{})
		e.filter = append(e.filter, celText(name)+": "+term)
	case celName.MatchString(term):
		e.bound[term] = name
	default:
		d.fail("the value %q of a field", term)
	}
}

// since reads A since within W B behind a !: no A came after the newest B.
func (d *dogwoodParser) since() any {
	a := d.event()
	d.want("since")
	window := d.window()
	b := d.event()
	if d.failed != "" {
		return false
	}
	if a.includesNow(d.tools) && d.side == least {
		return false // the request that is decided is an A itself
	}
	if b.includesNow(d.tools) {
		d.fail("since the request that is decided")
		return false
	}
	op := "<"
	if d.side == most {
		op = "<="
	}
	last := func(e dogwoodEvent) string {
		return "last(" + celText(e.tool) + ", {" + strings.Join(e.filter, ", ") + "}, {" + strings.TrimSuffix(e.phase(), ", ") + "})"
	}
	return guarded(append(slices.Clone(a.needs), b.needs...), "called("+b.query(window)+") && "+last(a)+" "+op+" "+last(b), d.side)
}

// newest is that an event is the last one before the call that is decided. Where it must hold for sure, no other request or response, and none of its tool with other arguments, may be as new; where it must not be missed, it suffices that the event is there.
// A request whose answer is not there yet may have been followed by anything that counts later, so that it is never sure.
func (d *dogwoodParser) newest(e dogwoodEvent, window string) any {
	called := "called(" + e.query(window) + ")"
	if d.side == most {
		return guarded(e.needs, called, most)
	}
	if e.kind == "request" {
		return false
	}
	last := func(tool, filter, phase string) string {
		options := ""
		if phase != "" {
			options = "'phase': '" + phase + "'"
		}
		return "last(" + celText(tool) + ", {" + filter + "}, {" + options + "})"
	}
	at := last(e.tool, strings.Join(e.filter, ", "), "")
	test := []string{called, last(e.tool, "", "attempted") + " <= " + at, last("*", "", "error") + " < " + at}
	if len(e.filter) > 0 {
		test = append(test, last(e.tool, "", "")+" <= "+at)
	}
	for _, other := range d.c.names() {
		if other != e.tool {
			for _, phase := range []string{"attempted", ""} {
				test = append(test, last(other, "", phase)+" < "+at)
			}
		}
	}
	return guarded(e.needs, joined(" && ", "true", test), least)
}

// sinceFollows tells whether an event with since behind it stands next.
func (d *dogwoodParser) sinceFollows() bool {
	if len(d.tokens) < 2 || d.tokens[1] != "::" {
		return false
	}
	look := *d
	look.event()
	return look.failed == "" && look.peek() == "since"
}

// onlySince reads A since within W B: B happened, and each event from then on, the request that is decided among them, is an A. Surely so where B came directly before and the request is an A itself; not to be excluded where B happened.
func (d *dogwoodParser) onlySince() any {
	a := d.event()
	d.want("since")
	window := d.window()
	b := d.event()
	if d.failed != "" {
		return false
	}
	d.c.r.narrower(d.c.file, "write it as a rule over the history, with called, count, last", "%s: that nothing but one kind of event came since is told by the times of the newest calls; what is not certain restricts", d.at)
	if d.side == most {
		if b.includesNow(d.tools) {
			return true
		}
		return d.newest(b, window)
	}
	if !a.includesNow(d.tools) || len(d.tools) > 1 || !a.own {
		return false
	}
	b.needs = append(slices.Clone(a.needs), b.needs...)
	return d.newest(b, window)
}

// exists reads exists (n: Long). ((aggregate) == n && n OP number).
func (d *dogwoodParser) exists() any {
	d.want("exists", "(")
	n := d.next()
	d.want(":", "Long", ")", ".")
	depth := 0
	for d.peek() == "(" && len(d.tokens) > 1 && d.tokens[1] == "(" {
		d.next()
		depth++
	}
	d.want("(")
	total := d.aggregate()
	d.want(")", "==", n, "&&", n)
	out := d.compared(total, d.next(), d.next())
	for range depth {
		d.want(")")
	}
	return out
}

// dogwoodTotal is a count or a sum: the expression, what it needs, and whether it is a sum.
type dogwoodTotal struct {
	text  string
	needs []string
	sum   bool
}

// aggregate reads count for (t: Timepoint). where (formerly within W (EVENT && tp(t))), and sum a for (a: Long), (t: Timepoint). where ….
func (d *dogwoodParser) aggregate() (t dogwoodTotal) {
	variable := ""
	if t.sum = d.next() == "sum"; t.sum {
		variable = d.next()
		d.want("for", "(", variable, ":", "Long", ")", ",")
	} else {
		d.want("for")
	}
	d.want("(")
	point := d.next()
	d.want(":", "Timepoint", ")", ".", "where")
	outer := d.peek() == "("
	if outer {
		d.next()
	}
	d.want("formerly")
	window := d.window()
	d.want("(")
	e := d.event()
	d.want("&&", "tp", "(", point, ")", ")")
	if outer {
		d.want(")")
	}
	if d.failed != "" {
		return t
	}
	now := e.includesNow(d.tools)
	if now && (!e.own || len(d.tools) > 1) {
		d.fail("a total that the request which is decided may belong to, or not")
		return t
	}
	t.needs = e.needs
	if !t.sum {
		if t.text = "count(" + e.query(window) + ")"; now {
			t.text += " + 1"
		}
		return t
	}
	field := e.bound[variable]
	if field == "" {
		d.fail("sum of %s, which no field binds", variable)
		return t
	}
	d.c.declare(e.tool, field, map[string]any{"type": "integer"})
	if t.text = "sum(" + e.query(window, field) + ")"; now {
		t.needs = append(slices.Clone(t.needs), "has(args."+field+")")
		t.text += " + double(args." + field + ")"
	}
	return t
}

// compared is a total against a number.
func (d *dogwoodParser) compared(t dogwoodTotal, op, n string) any {
	if d.failed != "" || !slices.Contains([]string{"<", "<=", ">", ">=", "=="}, op) || !regexp.MustCompile(`^-?[0-9]+$`).MatchString(n) {
		d.fail("a total is compared with a number")
		return false
	}
	if t.sum {
		n += ".0"
	}
	return guarded(t.needs, t.text+" "+op+" "+n, d.side)
}
