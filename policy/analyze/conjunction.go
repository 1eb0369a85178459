package analyze

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/proviso-dev/proviso/policy/analyze/linear"
	"github.com/proviso-dev/proviso/policy/analyze/regular"
)

// status is what is known of a conjunction.
type status uint8

const (
	unsatisfiable status = iota
	satisfiable
	undecided
)

// conjunction is a set of literals that are all to hold.
type conjunction struct {
	s        *space
	bools    map[string]bool
	present  map[string]bool
	compares []signed
	texts    map[string]*textClass // by path; paths that are equal share a class
	differ   [][2]string           // paths of texts that are not equal
	broken   bool                  // a contradiction was asserted
	domains  func(path string) (regular.Bounds, []regular.Constraint, []string)
}

type signed struct {
	compares
	holds bool
}

// textClass is what is asked of one text, under all its names.
type textClass struct {
	paths  []string
	match  []regular.Constraint
	set    []string // nil: any text
	finite bool
	bounds regular.Bounds
}

func (s *space) conjunction(domains func(string) (regular.Bounds, []regular.Constraint, []string)) *conjunction {
	return &conjunction{s: s, bools: map[string]bool{}, present: map[string]bool{}, texts: map[string]*textClass{}, domains: domains}
}

func (c *conjunction) setBool(name string, v bool) {
	if old, ok := c.bools[name]; ok && old != v {
		c.broken = true
	}
	c.bools[name] = v
}

func (c *conjunction) setPresent(path string, v bool) {
	if old, ok := c.present[path]; ok && old != v {
		c.broken = true
	}
	c.present[path] = v
}

func (c *conjunction) compare(l compares, v bool) { c.compares = append(c.compares, signed{l, v}) }

// class finds the class of a text, and makes it with what its schema says.
func (c *conjunction) class(path string) *textClass {
	if k := c.texts[path]; k != nil {
		return k
	}
	k := &textClass{paths: []string{path}, bounds: regular.Any}
	if c.domains != nil {
		bounds, match, set := c.domains(path)
		k.bounds, k.match = bounds, match
		if set != nil {
			k.set, k.finite = set, true
		}
	}
	c.texts[path] = k
	return k
}

func (c *conjunction) match(path, pattern string, v bool) {
	k := c.class(path)
	k.match = append(k.match, regular.Constraint{Pattern: pattern, Not: !v})
}

func (c *conjunction) among(path string, set []string, v bool) {
	k := c.class(path)
	if v {
		k.restrict(set)
		return
	}
	for _, s := range set {
		k.match = append(k.match, regular.Constraint{Pattern: exactly(s), Not: true})
	}
}

func exactly(s string) string { return `\A` + regexp.QuoteMeta(s) + `\z` }

func (k *textClass) restrict(set []string) {
	if !k.finite {
		k.set, k.finite = slices.Clone(set), true
		return
	}
	k.set = slices.DeleteFunc(slices.Clone(k.set), func(s string) bool { return !slices.Contains(set, s) })
}

func (c *conjunction) same(a, b string, v bool) {
	if !v {
		c.class(a)
		c.class(b)
		c.differ = append(c.differ, [2]string{a, b})
		return
	}
	ka, kb := c.class(a), c.class(b)
	if ka == kb {
		return
	}
	ka.paths = append(ka.paths, kb.paths...)
	ka.match = append(ka.match, kb.match...)
	if kb.finite {
		ka.restrict(kb.set)
	}
	ka.bounds = narrowed(ka.bounds, kb.bounds)
	for _, p := range kb.paths {
		c.texts[p] = ka
	}
}

func narrowed(a, b regular.Bounds) regular.Bounds {
	out := regular.Bounds{Min: max(a.Min, b.Min), Max: a.Max}
	if out.Max < 0 || b.Max >= 0 && b.Max < out.Max {
		out.Max = b.Max
	}
	return out
}

// model is a value for everything that a conjunction speaks of.
type model struct {
	bools   map[string]bool
	present map[string]bool
	numbers map[string]*big.Rat
	texts   map[string]string
}

// solve looks for a model.
func (c *conjunction) solve() (*model, status) {
	if c.broken {
		return nil, unsatisfiable
	}
	m := &model{bools: c.bools, present: c.present}
	numbers, left, st := c.solveNumbers()
	if st == unsatisfiable {
		return nil, unsatisfiable
	}
	m.numbers = numbers
	texts, tst := c.solveTexts(left)
	switch {
	case tst == unsatisfiable:
		return nil, unsatisfiable
	case tst == undecided || st == undecided:
		return nil, undecided
	}
	m.texts = texts
	return m, satisfiable
}

// maxSplits bounds the inequalities a ≠ b that are tried on both sides.
const maxSplits = 8

// solveNumbers solves the comparisons. Lengths of texts that are compared with constants only are left to the texts.
func (c *conjunction) solveNumbers() (values map[string]*big.Rat, lengths map[string][]signed, st status) {
	lengths = map[string][]signed{}
	unknowns := map[string]linear.Unknown{}
	var system []linear.Comparison
	var unequal []compares
	for _, l := range c.compares {
		if path, ok := c.lengthOf(l.compares); ok {
			lengths[path] = append(lengths[path], l)
			continue
		}
		for v := range l.coef {
			if _, ok := unknowns[v]; !ok {
				unknowns[v] = c.s.unknown(v)
				system = append(system, c.s.inherent(v)...)
			}
		}
		switch {
		case l.equal && !l.holds:
			unequal = append(unequal, l.compares)
		case l.equal:
			system = append(system, linear.Comparison{Coef: l.coef, Bound: l.bound}, negated(l.compares, false))
		case l.holds:
			system = append(system, linear.Comparison{Coef: l.coef, Bound: l.bound, Strict: true})
		default:
			system = append(system, negated(l.compares, false))
		}
	}
	values, st = split(system, unequal, unknowns, maxSplits)
	return values, lengths, st
}

// negated is Σ coef·v ≥ bound, or > bound where strict.
func negated(l compares, strict bool) linear.Comparison {
	coef := make(map[string]*big.Rat, len(l.coef))
	for v, k := range l.coef {
		coef[v] = new(big.Rat).Neg(k)
	}
	return linear.Comparison{Coef: coef, Bound: new(big.Rat).Neg(l.bound), Strict: strict}
}

// split solves a system in which some forms must not have some values: each is tried below and above, the plain solution first.
func split(system []linear.Comparison, unequal []compares, unknowns map[string]linear.Unknown, depth int) (map[string]*big.Rat, status) {
	values, found, err := linear.Solve(system, unknowns)
	if err == nil && !found {
		return nil, unsatisfiable
	}
	var bad *compares
	if err == nil {
		for i := range unequal {
			if value(unequal[i], values).Sign() == 0 {
				bad = &unequal[i]
				break
			}
		}
		if bad == nil {
			return values, satisfiable
		}
	} else if len(unequal) > 0 {
		bad = &unequal[0]
	}
	if bad == nil || depth == 0 {
		return nil, undecided
	}
	rest := slices.DeleteFunc(slices.Clone(unequal), func(l compares) bool {
		return l.bound == bad.bound && len(l.coef) == len(bad.coef) && sameCoef(l, *bad)
	})
	worst := unsatisfiable
	for _, side := range []linear.Comparison{{Coef: bad.coef, Bound: bad.bound, Strict: true}, negated(*bad, true)} {
		values, st := split(append(slices.Clone(system), side), rest, unknowns, depth-1)
		if st == satisfiable {
			return values, satisfiable
		}
		worst = max(worst, st)
	}
	return nil, worst
}

func sameCoef(a, b compares) bool {
	for v, k := range a.coef {
		if b.coef[v] == nil || b.coef[v].Cmp(k) != 0 {
			return false
		}
	}
	return true
}

// value is Σ coef·v − bound.
func value(l compares, values map[string]*big.Rat) *big.Rat {
	out := new(big.Rat).Neg(l.bound)
	for v, k := range l.coef {
		out.Add(out, new(big.Rat).Mul(k, values[v]))
	}
	return out
}

// lengthOf recognises a comparison of the length of a text with a constant.
func (c *conjunction) lengthOf(l compares) (path string, ok bool) {
	if len(l.coef) != 1 {
		return "", false
	}
	for v := range l.coef {
		if name, isSize := cutSize(v); isSize {
			if t := c.s.vars[name]; t != nil && t.kind == textKind {
				return name, true
			}
		}
	}
	return "", false
}

// maxTextTries bounds the texts that are tried so that others differ from them.
const maxTextTries = 64

// solveTexts gives every class a text.
func (c *conjunction) solveTexts(lengths map[string][]signed) (map[string]string, status) {
	for _, path := range sortedNames(lengths) {
		k := c.class(path)
		for _, l := range lengths[path] {
			bounds, ok := lengthBounds(l)
			if !ok {
				return nil, undecided
			}
			k.bounds = narrowed(k.bounds, bounds)
		}
	}
	var classes []*textClass
	for _, path := range sortedNames(c.texts) {
		if k := c.texts[path]; !slices.Contains(classes, k) {
			classes = append(classes, k)
		}
	}
	neighbours := map[*textClass][]*textClass{}
	for _, d := range c.differ {
		a, b := c.texts[d[0]], c.texts[d[1]]
		if a == b {
			return nil, unsatisfiable
		}
		neighbours[a], neighbours[b] = append(neighbours[a], b), append(neighbours[b], a)
	}
	// Finite ones first: they have the least choice.
	slices.SortStableFunc(classes, func(a, b *textClass) int { return boolRank(b.finite) - boolRank(a.finite) })
	chosen := map[*textClass]string{}
	tries := 0
	st := c.s.placeTexts(classes, neighbours, chosen, &tries)
	if st != satisfiable {
		return nil, st
	}
	out := map[string]string{}
	for path, k := range c.texts {
		out[path] = chosen[k]
	}
	return out, satisfiable
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// placeTexts chooses a text for the first class so that the others find theirs.
func (s *space) placeTexts(classes []*textClass, neighbours map[*textClass][]*textClass, chosen map[*textClass]string, tries *int) status {
	if len(classes) == 0 {
		return satisfiable
	}
	k := classes[0]
	var avoid []string
	for _, n := range neighbours[k] {
		if s, ok := chosen[n]; ok {
			avoid = append(avoid, s)
		}
	}
	worst := unsatisfiable
	for {
		if *tries++; *tries > maxTextTries {
			return undecided
		}
		text, st := s.text(k, avoid)
		if st != satisfiable {
			return max(worst, st)
		}
		chosen[k] = text
		rest := s.placeTexts(classes[1:], neighbours, chosen, tries)
		if rest == satisfiable {
			return satisfiable
		}
		delete(chosen, k)
		if len(neighbours[k]) == 0 {
			return max(worst, rest) // another text here changes nothing there
		}
		worst = max(worst, rest)
		avoid = append(avoid, text)
	}
}

const regularBudget = 20_000

// text returns a text of the class that is none of those to avoid.
func (s *space) text(k *textClass, avoid []string) (string, status) {
	if k.finite {
		st := unsatisfiable
		for _, text := range k.set {
			if slices.Contains(avoid, text) {
				continue
			}
			switch k.admits(text) {
			case satisfiable:
				return text, satisfiable
			case undecided:
				st = undecided
			}
		}
		return "", st
	}
	cs := slices.Clone(k.match)
	for _, text := range avoid {
		cs = append(cs, regular.Constraint{Pattern: exactly(text), Not: true})
	}
	key := fmt.Sprint(k.bounds, cs)
	if known, ok := s.solved[key]; ok {
		return known.text, known.status
	}
	text, found, err := regular.Solve(cs, k.bounds, regularBudget)
	sol := solution{text, satisfiable}
	switch {
	case err != nil:
		sol.status = undecided
	case !found:
		sol.status = unsatisfiable
	}
	s.solved[key] = sol
	return sol.text, sol.status
}

// solution is the answer to a conjunction of patterns.
type solution struct {
	text   string
	status status
}

func (k *textClass) admits(s string) status {
	n := utf8.RuneCountInString(s)
	if n < k.bounds.Min || k.bounds.Max >= 0 && n > k.bounds.Max {
		return unsatisfiable
	}
	for _, c := range k.match {
		re, err := regexp.Compile(c.Pattern)
		if err != nil {
			return undecided
		}
		if re.MatchString(s) == c.Not {
			return unsatisfiable
		}
	}
	return satisfiable
}

// lengthBounds reads a comparison of one length as bounds; ok is false for one that leaves a gap.
func lengthBounds(l signed) (regular.Bounds, bool) {
	system := []linear.Comparison{}
	var v string
	for v = range l.coef {
	}
	switch {
	case l.equal && !l.holds:
		return regular.Any, false
	case l.equal:
		system = append(system, linear.Comparison{Coef: l.coef, Bound: l.bound}, negated(l.compares, false))
	case l.holds:
		system = append(system, linear.Comparison{Coef: l.coef, Bound: l.bound, Strict: true})
	default:
		system = append(system, negated(l.compares, false))
	}
	out := regular.Any
	for _, c := range system {
		k := c.Coef[v]
		at := new(big.Rat).Quo(c.Bound, k)
		n := int(new(big.Int).Quo(at.Num(), at.Denom()).Int64())
		whole := at.IsInt()
		if k.Sign() > 0 { // v < at, or v ≤ at
			switch {
			case at.Sign() < 0:
				n = -1
			case c.Strict && whole:
				n--
			}
			if n < 0 {
				return regular.Bounds{Min: 1, Max: 0}, true
			}
			out = narrowed(out, regular.Bounds{Min: 0, Max: n})
			continue
		}
		if at.Sign() < 0 {
			continue
		}
		if c.Strict || !whole {
			n++
		}
		out = narrowed(out, regular.Bounds{Min: n, Max: -1})
	}
	return out, true
}
