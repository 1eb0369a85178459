package grammar

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
)

// Parse makes a grammar of rules in the notation of llama.cpp (GBNF): lines of `name ::= expression`, where an expression has "texts", [classes], . for any character, (groups), |, * + ? {m,n}, names of rules, and # begins a comment. The rule root is the start.
// The error is a proviso.Diagnostic with CodeUnsupported and the line.
func Parse(text string) (*Grammar, error) {
	p := &gbnf{text: text, defs: map[string]*expr{}}
	p.space()
	for p.err == nil && p.at < len(p.text) {
		p.rule()
	}
	if p.err != nil {
		return nil, p.err
	}
	return compile(p.defs, "root")
}

// gbnf reads the notation; the first thing that is wrong stays in err.
type gbnf struct {
	text string
	at   int
	defs map[string]*expr
	deep int
	err  error
}

func (p *gbnf) fail(format string, args ...any) {
	if p.err != nil {
		return
	}
	p.err = proviso.Diagnostic{Pos: proviso.Pos{File: "grammar", Line: 1 + strings.Count(p.text[:p.at], "\n")}, Code: CodeUnsupported, Msg: fmt.Sprintf(format, args...), Hint: `write rules as name ::= "text" | [a-z]+ other-name`}
	p.at = len(p.text)
}

func (p *gbnf) space() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			if n := strings.IndexByte(p.text[p.at:], '\n'); n >= 0 {
				p.at += n
			} else {
				p.at = len(p.text)
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.at++
		default:
			return
		}
	}
}

// take reads a sign and the space behind it.
func (p *gbnf) take(sign string) bool {
	if !strings.HasPrefix(p.text[p.at:], sign) {
		return false
	}
	p.at += len(sign)
	p.space()
	return true
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *gbnf) name() string {
	n := p.at
	for n < len(p.text) && nameByte(p.text[n]) {
		n++
	}
	s := p.text[p.at:n]
	if s != "" {
		p.at = n
		p.space()
	}
	return s
}

// ruleFollows looks for the head of the next rule, which ends the one before.
func (p *gbnf) ruleFollows() bool {
	was := p.at
	found := p.name() != "" && strings.HasPrefix(p.text[p.at:], "::=")
	p.at = was
	return found
}

func (p *gbnf) rule() {
	name := p.name()
	if name == "" || !p.take("::=") {
		p.fail("want a rule, name ::= …, and found %.20q", p.text[p.at:])
		return
	}
	if p.defs[name] != nil {
		p.fail("the rule %s is there twice", name)
		return
	}
	p.defs[name] = p.alternatives()
	if p.at < len(p.text) && !p.ruleFollows() {
		p.fail("want the next rule, and found %.20q", p.text[p.at:])
	}
}

func (p *gbnf) alternatives() *expr {
	if p.deep++; p.deep > maxNesting {
		p.fail("groups are nested more than %d deep", maxNesting)
		return lit("")
	}
	defer func() { p.deep-- }()
	kids := []*expr{p.sequence()}
	for p.take("|") {
		kids = append(kids, p.sequence())
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return altOf(kids...)
}

func (p *gbnf) sequence() *expr {
	var kids []*expr
	for p.err == nil && p.at < len(p.text) {
		c := p.text[p.at]
		if c == '|' || c == ')' || nameByte(c) && p.ruleFollows() {
			break
		}
		kids = append(kids, p.repeated(p.item()))
	}
	return seqOf(kids...)
}

func (p *gbnf) item() *expr {
	switch c := p.text[p.at]; {
	case c == '"':
		return p.literal()
	case c == '[':
		return p.class()
	case c == '.':
		p.take(".")
		return chars(runeRange{0, utf8.MaxRune})
	case c == '(':
		p.take("(")
		e := p.alternatives()
		if !p.take(")") {
			p.fail("a group is not closed")
		}
		return e
	case nameByte(c):
		return refTo(p.name())
	}
	p.fail("%.20q has no meaning here", p.text[p.at:])
	return lit("")
}

// repeated reads what may stand behind an item.
func (p *gbnf) repeated(e *expr) *expr {
	for p.err == nil {
		switch {
		case p.take("*"):
			e = times(e, 0, -1)
		case p.take("+"):
			e = times(e, 1, -1)
		case p.take("?"):
			e = times(e, 0, 1)
		case p.take("{"):
			least, many := p.number()
			most := least
			if p.take(",") {
				if most, many = p.number(); !many {
					most = -1
				}
			}
			if !p.take("}") || most >= 0 && most < least {
				p.fail("want a number of times such as {2,4}")
			}
			e = times(e, least, most)
		default:
			return e
		}
	}
	return e
}

func (p *gbnf) number() (n int, ok bool) {
	end := p.at
	for end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' {
		end++
	}
	if end == p.at {
		return 0, false
	}
	n, err := strconv.Atoi(p.text[p.at:end])
	if err != nil || n > maxRepeat {
		p.fail("a number of times is more than %d", maxRepeat)
		return 0, true
	}
	p.at = end
	p.space()
	return n, true
}

func (p *gbnf) literal() *expr {
	p.at++
	var b strings.Builder
	for p.at < len(p.text) && p.text[p.at] != '"' {
		r, raw := p.char()
		if raw {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
	}
	if !p.take(`"`) {
		p.fail("a text is not closed")
	}
	return lit(b.String())
}

func (p *gbnf) class() *expr {
	p.at++
	negated := false
	if p.at < len(p.text) && p.text[p.at] == '^' {
		negated = true
		p.at++
	}
	var ranges []runeRange
	for p.at < len(p.text) && p.text[p.at] != ']' {
		lo, _ := p.char()
		hi := lo
		if strings.HasPrefix(p.text[p.at:], "-") && !strings.HasPrefix(p.text[p.at:], "-]") {
			p.at++
			if p.at < len(p.text) {
				hi, _ = p.char()
			}
		}
		if hi < lo {
			p.fail("a range of characters goes backwards")
		}
		ranges = append(ranges, runeRange{lo, hi})
	}
	if !p.take("]") {
		p.fail("a class of characters is not closed")
	}
	if negated {
		ranges = invert(ranges)
	}
	return chars(ranges...)
}

// gbnfEscapes are the characters behind a backslash that stand for another; digits are how many hexadecimal digits follow.
var gbnfEscapes = map[byte]struct {
	r      rune
	digits int
}{'n': {r: '\n'}, 't': {r: '\t'}, 'r': {r: '\r'}, '"': {r: '"'}, '\\': {r: '\\'}, '[': {r: '['}, ']': {r: ']'}, '-': {r: '-'}, '^': {r: '^'}, 'x': {digits: 2}, 'u': {digits: 4}, 'U': {digits: 8}}

// char reads a character of a text or class; raw says that \x gave a byte that is no character.
func (p *gbnf) char() (r rune, raw bool) {
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	if r != '\\' {
		return r, false
	}
	if p.at == len(p.text) {
		p.fail("the grammar ends within a character")
		return 0, false
	}
	c := p.text[p.at]
	e, ok := gbnfEscapes[c]
	if !ok {
		p.fail(`\%c has no meaning`, c)
		return 0, false
	}
	p.at++
	if e.digits == 0 {
		return e.r, false
	}
	v, err := strconv.ParseUint(p.text[p.at:min(p.at+e.digits, len(p.text))], 16, 32)
	if err != nil || p.at+e.digits > len(p.text) || v > utf8.MaxRune {
		p.fail(`\%c needs %d hexadecimal digits`, c, e.digits)
		return 0, false
	}
	p.at += e.digits
	return rune(v), c == 'x'
}
