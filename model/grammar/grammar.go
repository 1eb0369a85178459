package grammar

import (
	"fmt"

	"github.com/proviso-dev/proviso"
)

// CodeUnsupported is the code of a schema or grammar that cannot be kept while writing.
const CodeUnsupported = "PV709"

// Bounds of a grammar, so that a request cannot ask for any amount of memory: parts of rules in all, and how often something bounded may repeat.
const (
	maxSymbols = 200_000
	maxRepeat  = 4096
	maxNesting = 200
)

func refuse(format string, args ...any) error {
	return proviso.Diagnostic{Code: CodeUnsupported, Msg: fmt.Sprintf(format, args...), Hint: "leave it out, and check the answer instead"}
}

// op is what an expression does.
type op uint8

const (
	literal op = iota // text
	class             // one character of runes
	seq               // kids one after the other
	alt               // one of kids
	repeat            // kids[0] from min to max times; max < 0: any number
	ref               // the rule
)

// expr is an expression of a grammar. What it matches is a text in bytes.
type expr struct {
	op       op
	text     string
	runes    []runeRange
	kids     []*expr
	min, max int
	rule     string
}

// runeRange is the characters from lo to hi.
type runeRange struct{ lo, hi rune }

func lit(s string) *expr        { return &expr{op: literal, text: s} }
func seqOf(kids ...*expr) *expr { return &expr{op: seq, kids: kids} }
func altOf(kids ...*expr) *expr { return &expr{op: alt, kids: kids} }
func refTo(rule string) *expr   { return &expr{op: ref, rule: rule} }
func times(e *expr, min, max int) *expr {
	return &expr{op: repeat, kids: []*expr{e}, min: min, max: max}
}
func chars(r ...runeRange) *expr { return &expr{op: class, runes: r} }

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(lo, hi byte) {
	for b := int(lo); b <= int(hi); b++ {
		s[b>>6] |= 1 << (b & 63)
	}
}

func (s *byteSet) has(b byte) bool { return s[b>>6]>>(b&63)&1 == 1 }

// symbol is a step of a rule: a byte of a set, a rule, or the end.
type symbol struct {
	set  *byteSet
	rule int32 // where set is nil; endOfRule at the end
}

const endOfRule = -1

// Grammar is a compiled grammar. It does not change and is safe for concurrent use. Make one with Schema or Parse.
type Grammar struct {
	symbols []symbol
	rules   [][]int32 // for each rule, where its alternatives begin in symbols; rule 0 is the start
}

// compiler turns named expressions into rules.
type compiler struct {
	names map[string]int32
	defs  map[string]*expr
	alts  [][][]symbol // by rule, then alternative
	size  int
	err   error
}

// compile makes a grammar of rules; the one called root is the start.
func compile(defs map[string]*expr, root string) (*Grammar, error) {
	c := &compiler{names: map[string]int32{}, defs: defs, alts: [][][]symbol{nil}}
	c.names[root] = 0
	if defs[root] == nil {
		return nil, refuse("the grammar has no rule %s", root)
	}
	c.alts[0] = c.alternatives(defs[root], 0)
	if c.err != nil {
		return nil, c.err
	}
	if err := c.prune(); err != nil {
		return nil, err
	}
	if err := c.leftRecursion(); err != nil {
		return nil, err
	}
	g := &Grammar{rules: make([][]int32, len(c.alts))}
	for r, alts := range c.alts {
		for _, a := range alts {
			g.rules[r] = append(g.rules[r], int32(len(g.symbols)))
			g.symbols = append(append(g.symbols, a...), symbol{rule: endOfRule})
		}
	}
	return g, nil
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// fresh adds a rule of alternatives.
func (c *compiler) fresh(alts [][]symbol) symbol {
	c.alts = append(c.alts, alts)
	return symbol{rule: int32(len(c.alts) - 1)}
}

func (c *compiler) alternatives(e *expr, depth int) [][]symbol {
	if e.op != alt {
		return [][]symbol{c.sequence(e, depth)}
	}
	out := make([][]symbol, len(e.kids))
	for i, k := range e.kids {
		out[i] = c.sequence(k, depth+1)
	}
	return out
}

func (c *compiler) sequence(e *expr, depth int) []symbol {
	if c.size++; c.size > maxSymbols || depth > maxNesting {
		c.fail(refuse("the grammar is too large"))
		return nil
	}
	switch e.op {
	case literal:
		out := make([]symbol, len(e.text))
		for i := range out {
			var s byteSet
			s.add(e.text[i], e.text[i])
			out[i].set = &s
		}
		c.size += len(out)
		return out
	case class:
		return c.class(e.runes)
	case seq:
		var out []symbol
		for _, k := range e.kids {
			out = append(out, c.sequence(k, depth+1)...)
		}
		return out
	case alt:
		return []symbol{c.fresh(c.alternatives(e, depth))}
	case repeat:
		return c.repeat(e, depth)
	}
	return []symbol{c.named(e.rule, depth)}
}

func (c *compiler) named(name string, depth int) symbol {
	if r, ok := c.names[name]; ok {
		return symbol{rule: r}
	}
	def := c.defs[name]
	if def == nil {
		c.fail(refuse("the rule %.60q is used and not defined", name))
		return symbol{}
	}
	s := c.fresh(nil)
	c.names[name] = s.rule
	alts := c.alternatives(def, depth+1)
	c.alts[s.rule] = alts
	return s
}

func (c *compiler) repeat(e *expr, depth int) []symbol {
	if e.min > maxRepeat || e.max > maxRepeat {
		c.fail(refuse("something repeats up to %d times, more than %d", max(e.min, e.max), maxRepeat))
		return nil
	}
	one := c.sequence(e.kids[0], depth+1)
	c.size += len(one) * max(e.min, e.max, 1)
	if c.size > maxSymbols {
		c.fail(refuse("the grammar is too large"))
		return nil
	}
	if len(one) > 1 {
		one = []symbol{c.fresh([][]symbol{one})}
	}
	var out []symbol
	for range e.min {
		out = append(out, one...)
	}
	switch {
	case e.max < 0: // R = one R | nothing
		c.alts = append(c.alts, nil)
		r := symbol{rule: int32(len(c.alts) - 1)}
		c.alts[r.rule] = [][]symbol{append(append([]symbol(nil), one...), r), {}}
		out = append(out, r)
	case e.max > e.min: // each optional one holds those behind it, so that there is one way to read a text
		var tail []symbol
		for range e.max - e.min {
			tail = []symbol{c.fresh([][]symbol{append(append([]symbol(nil), one...), tail...), {}})}
		}
		out = append(out, tail...)
	}
	return out
}

// prune removes alternatives that can never come to an end, so that no choice leads where nothing more can be written.
func (c *compiler) prune() error {
	ends := make([]bool, len(c.alts))
	able := func(a []symbol) bool {
		for _, s := range a {
			if s.set == nil && !ends[s.rule] || s.set != nil && *s.set == (byteSet{}) {
				return false
			}
		}
		return true
	}
	for changed := true; changed; {
		changed = false
		for r, alts := range c.alts {
			for _, a := range alts {
				if !ends[r] && able(a) {
					ends[r], changed = true, true
				}
			}
		}
	}
	if !ends[0] {
		return refuse("there is no text that the grammar or schema allows")
	}
	for r, alts := range c.alts {
		kept := alts[:0]
		for _, a := range alts {
			if able(a) {
				kept = append(kept, a)
			}
		}
		c.alts[r] = kept
	}
	return nil
}

// leftRecursion refuses rules that come back to themselves before a byte is read; the stacks would grow for ever.
func (c *compiler) leftRecursion() error {
	nullable := make([]bool, len(c.alts))
	for changed := true; changed; {
		changed = false
		for r, alts := range c.alts {
			for _, a := range alts {
				empty := true
				for _, s := range a {
					empty = empty && s.set == nil && nullable[s.rule]
				}
				if empty && !nullable[r] {
					nullable[r], changed = true, true
				}
			}
		}
	}
	const (
		unseen = iota
		open
		closed
	)
	state := make([]uint8, len(c.alts))
	var visit func(r int32) bool
	visit = func(r int32) bool {
		switch state[r] {
		case open:
			return false
		case closed:
			return true
		}
		state[r] = open
		for _, a := range c.alts[r] {
			for _, s := range a {
				if s.set != nil {
					break
				}
				if !visit(s.rule) {
					return false
				}
				if !nullable[s.rule] {
					break
				}
			}
		}
		state[r] = closed
		return true
	}
	for r := range c.alts {
		if !visit(int32(r)) {
			for name, i := range c.names {
				if state[i] == open {
					return refuse("the rule %.60q can begin with itself, or repeats what may be empty; write it the other way round", name)
				}
			}
			return refuse("a rule can begin with itself, or repeats what may be empty; write it the other way round")
		}
	}
	return nil
}
