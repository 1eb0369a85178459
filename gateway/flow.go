package gateway

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// flow is what becomes of streamed text: it flows where no rule can stop or change it, waits until it is whole where one can by what it says as a whole, and flows behind a window where
// every rule is silent as long as none of some patterns of bounded length matches. The zero value lets it flow.
type flow struct {
	held     bool
	patterns []*regexp.Regexp
	longest  int // bytes that a match has at most, and so many at the end of the text are kept back
}

// maxMatch is the longest match, in bytes, that a window is kept for; text under a pattern with longer ones is held.
const maxMatch = 4096

// String is the word of the list of routes.
func (f *flow) String() string {
	switch {
	case f.held:
		return "held"
	case len(f.patterns) > 0:
		return fmt.Sprintf("windows of %d bytes", f.longest)
	}
	return "flows"
}

// textPoints are the points at which the text of an answer is decided.
var textPoints = []proviso.Point{proviso.Output, proviso.ModelResponsePoint}

// flowOf reads off the rules what becomes of streamed text. Agents, scopes and overrides are left out of account: they only make a rule silent more often.
func flowOf(p *policy.Policy) flow {
	var f flow
	for _, pk := range p.Packs() {
		for _, at := range textPoints {
			if o, ok := pk.Defaults.Outcome[at]; ok && o != proviso.Allow {
				return flow{held: true}
			}
		}
		for i := range pk.Rules {
			r := &pk.Rules[i]
			if r.Mode == pack.Enforce && slices.ContainsFunc(textPoints, func(at proviso.Point) bool { return slices.Contains(r.On, at) }) && !f.silent(r) {
				return flow{held: true}
			}
		}
	}
	return f
}

// silent reports whether a rule neither stops nor changes a text in which none of the patterns matches, and adds the patterns that this takes.
func (f *flow) silent(r *pack.Rule) bool {
	e := &r.Else
	if e.Outcome == proviso.Allow && len(e.Redact) > 0 && len(e.PII)+len(e.Secrets)+len(e.Set)+len(e.Notice) == 0 {
		for _, p := range e.Redact {
			if !f.add(p.S) {
				return false
			}
		}
		return true
	}
	u := unmatched{flow: f, lets: map[string]string{}}
	for _, l := range r.Lets {
		u.lets[l.Name.S] = l.Expr.S
	}
	fires := tree.IsTrue
	if r.When != nil {
		fires = u.cond(r.When)
	}
	if r.Require != nil && fires != tree.IsFalse {
		fires = fires.And(u.cond(r.Require).Not())
	}
	return fires == tree.IsFalse
}

// add takes one more pattern that must not match; false where its matches have no bound that a window can have.
func (f *flow) add(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false
	}
	n := longestMatch(re)
	if n < 0 || n > maxMatch {
		return false
	}
	f.longest = max(f.longest, n)
	if !slices.ContainsFunc(f.patterns, func(p *regexp.Regexp) bool { return p.String() == pattern }) {
		f.patterns = append(f.patterns, regexp.MustCompile(pattern))
	}
	return true
}

// longestMatch is how many bytes of UTF-8 a match has at most; negative for no bound, or one beyond maxMatch. What an assertion looks at is no part of a match.
func longestMatch(re *syntax.Regexp) int {
	total := 0
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			total += widest(r, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		for _, r := range re.Rune {
			total = max(total, widest(r, false))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpStar, syntax.OpPlus:
		return -1
	case syntax.OpCapture, syntax.OpQuest:
		return longestMatch(re.Sub[0])
	case syntax.OpRepeat:
		n := longestMatch(re.Sub[0])
		if n < 0 || re.Max < 0 {
			return -1
		}
		total = n * re.Max
	case syntax.OpConcat, syntax.OpAlternate:
		for _, sub := range re.Sub {
			n := longestMatch(sub)
			switch {
			case n < 0:
				return -1
			case re.Op == syntax.OpConcat:
				total += n
			default:
				total = max(total, n)
			}
			if total > maxMatch {
				return -1
			}
		}
	}
	if total > maxMatch {
		return -1
	}
	return total
}

func widest(r rune, fold bool) int {
	n := utf8.RuneLen(r)
	if n < 0 {
		n = len(string(utf8.RuneError)) // no character of a text; counted as the one that stands for it
	}
	for o := unicode.SimpleFold(r); fold && o != r; o = unicode.SimpleFold(o) {
		n = max(n, utf8.RuneLen(o))
	}
	return n
}

// unmatched evaluates conditions on a text in which no pattern matches; what it cannot tell is open.
type unmatched struct {
	*flow
	lets  map[string]string
	depth int
}

// maxLets bounds how deep lets name lets.
const maxLets = 16

func (u *unmatched) cond(c *pack.Cond) tree.Set {
	switch c.Op {
	case tree.Atom:
		return u.text(c.Expr.S)
	case tree.Not:
		return u.cond(c.Kids[0]).Not()
	case tree.All, tree.Chain:
		all := tree.IsTrue
		for _, k := range c.Kids {
			all = all.And(u.cond(k))
		}
		return all
	case tree.Any, tree.Gate:
		any := tree.IsFalse
		for _, k := range c.Kids {
			any = any.Or(u.cond(k))
		}
		return any
	}
	return tree.Open
}

// conditions parses what a rule says. The compiler has accepted it, so that names and types are right.
var conditions, _ = cel.NewEnv()

func (u *unmatched) text(condition string) tree.Set {
	if conditions == nil || u.lets["text"] != "" || u.lets["role"] != "" || u.depth > maxLets {
		return tree.Open
	}
	parsed, issues := conditions.Parse(condition)
	if issues.Err() != nil {
		return tree.Open
	}
	u.depth++
	defer func() { u.depth-- }()
	return u.expr(parsed.NativeRep().Expr())
}

func (u *unmatched) expr(e ast.Expr) tree.Set {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			if b {
				return tree.IsTrue
			}
			return tree.IsFalse
		}
	case ast.IdentKind:
		if let, ok := u.lets[e.AsIdent()]; ok {
			return u.text(let)
		}
	case ast.CallKind:
		return u.call(e.AsCall())
	}
	return tree.Open
}

func (u *unmatched) call(c ast.CallExpr) tree.Set {
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		return u.expr(args[0]).And(u.expr(args[1]))
	case operators.LogicalOr:
		return u.expr(args[0]).Or(u.expr(args[1]))
	case operators.LogicalNot:
		return u.expr(args[0]).Not()
	case operators.Equals:
		// A model speaks in one role.
		if isName(args[0], "role") && stringOf(args[1]) == string(proviso.Assistant) {
			return tree.IsTrue
		}
	case "contains", "matches":
		if !c.IsMemberFunction() || !isName(c.Target(), "text") || len(args) != 1 {
			break
		}
		pattern := stringOf(args[0])
		if c.FunctionName() == "contains" {
			pattern = regexp.QuoteMeta(pattern)
		}
		if pattern != "" && u.add(pattern) {
			return tree.IsFalse
		}
	}
	return tree.Open
}

func isName(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// stringOf is the text of a literal; empty for everything else.
func stringOf(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return ""
	}
	s, _ := e.AsLiteral().(types.String)
	return string(s)
}

// window watches streamed text for the patterns of a flow, choice by choice.
type window struct {
	*flow
	choices []textSoFar
}

// textSoFar is the text of one choice: the end of it, and how much there was.
type textSoFar struct {
	tail  []byte
	total int
	part  int
}

// add takes the text of a chunk. It is false where a pattern may match, or where the text cannot be followed; then everything that was not let go yet has to be held.
func (w *window) add(c wire.Chunk) bool {
	if c.Mixed || c.Text == "" {
		return !c.Mixed
	}
	for len(w.choices) <= c.Choice {
		w.choices = append(w.choices, textSoFar{})
	}
	t := &w.choices[c.Choice]
	if t.total > 0 && t.part != c.Part {
		return false // the parts are joined to one text when the answer is whole
	}
	t.part, t.total = c.Part, t.total+len(c.Text)
	t.tail = append(t.tail, c.Text...)
	for _, p := range w.patterns {
		if p.Match(t.tail) {
			return false
		}
	}
	// A match that begins before the window has ended, with a character behind it for an assertion to look at, and was looked for. One character before the window is kept for assertions, too.
	if from := len(t.tail) - w.longest - utf8.UTFMax; from > 0 {
		for from > 0 && !utf8.RuneStart(t.tail[from]) {
			from--
		}
		t.tail = append(t.tail[:0], t.tail[from:]...)
	}
	return true
}

// end is how much text of a choice there was so far; safe is how much of it may go out.
func (w *window) end(choice int) int {
	if choice >= len(w.choices) {
		return 0
	}
	return w.choices[choice].total
}

func (w *window) safe(choice int) int { return w.end(choice) - w.longest }
