package grammar

import (
	"fmt"
	"regexp/syntax"
	"unicode/utf8"
)

// pattern makes an expression of a regular expression on the value of a JSON string: the characters that the pattern names appear as JSON writes them. A pattern without anchors may have anything around it.
func pattern(text string) (*expr, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, refuse("the pattern %.80q is none: %v", text, err)
	}
	e, err := anchored(re)
	if err != nil {
		return nil, refuse("the pattern %.80q is not supported: %v", text, err)
	}
	return e, nil
}

// anchored takes the anchors at both ends off.
func anchored(re *syntax.Regexp) (*expr, error) {
	switch re.Op {
	case syntax.OpAlternate:
		return eachOf(alt, re.Sub, anchored)
	case syntax.OpCapture:
		return anchored(re.Sub[0])
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	free := times(stringChar(), 0, -1)
	before, behind := free, free
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		before, parts = lit(""), parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		behind, parts = lit(""), parts[:n-1]
	}
	inner, err := eachOf(seq, parts, regex)
	if err != nil {
		return nil, err
	}
	return seqOf(before, inner, behind), nil
}

func eachOf(o op, subs []*syntax.Regexp, f func(*syntax.Regexp) (*expr, error)) (*expr, error) {
	e := &expr{op: o}
	for _, s := range subs {
		k, err := f(s)
		if err != nil {
			return nil, err
		}
		e.kids = append(e.kids, k)
	}
	return e, nil
}

func regex(re *syntax.Regexp) (*expr, error) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return lit(""), nil
	case syntax.OpLiteral:
		e := seqOf()
		for _, r := range re.Rune {
			ranges := []runeRange{{r, r}}
			if re.Flags&syntax.FoldCase != 0 {
				folded, err := syntax.Parse("(?i:"+string(r)+")", syntax.Perl)
				if err != nil || folded.Op != syntax.OpCharClass && folded.Op != syntax.OpLiteral {
					return nil, fmt.Errorf("case of %q", r)
				}
				if folded.Op == syntax.OpCharClass {
					ranges = pairs(folded.Rune)
				}
			}
			e.kids = append(e.kids, jsonChar(ranges))
		}
		return e, nil
	case syntax.OpCharClass:
		return jsonChar(pairs(re.Rune)), nil
	case syntax.OpAnyChar:
		return jsonChar([]runeRange{{0, utf8.MaxRune}}), nil
	case syntax.OpAnyCharNotNL:
		return jsonChar(invert([]runeRange{{'\n', '\n'}})), nil
	case syntax.OpCapture:
		return regex(re.Sub[0])
	case syntax.OpConcat:
		return eachOf(seq, re.Sub, regex)
	case syntax.OpAlternate:
		return eachOf(alt, re.Sub, regex)
	}
	bounds, ok := map[syntax.Op][2]int{syntax.OpStar: {0, -1}, syntax.OpPlus: {1, -1}, syntax.OpQuest: {0, 1}, syntax.OpRepeat: {re.Min, re.Max}}[re.Op]
	if !ok {
		return nil, fmt.Errorf("%s stands where it cannot be kept", re)
	}
	one, err := regex(re.Sub[0])
	if err != nil {
		return nil, err
	}
	return times(one, bounds[0], bounds[1]), nil
}

func pairs(runes []rune) []runeRange {
	var out []runeRange
	for i := 0; i+1 < len(runes); i += 2 {
		out = append(out, runeRange{runes[i], runes[i+1]})
	}
	return out
}

// mustEscape are the characters that JSON does not write as they are.
var mustEscape = []runeRange{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}

// shortEscapes are the characters that JSON writes with a backslash and a letter.
var shortEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

// jsonChar is one character of the ranges as JSON writes it inside of a string.
func jsonChar(ranges []runeRange) *expr {
	plain := without(ranges, mustEscape)
	e := altOf()
	if len(plain) > 0 {
		e.kids = append(e.kids, chars(plain...))
	}
	for _, r := range normalize(ranges) {
		for c := r.lo; c <= min(r.hi, '\\'); c++ {
			if s, ok := shortEscapes[c]; ok {
				e.kids = append(e.kids, lit(s))
			} else if c < ' ' {
				e.kids = append(e.kids, lit(fmt.Sprintf(`\u%04x`, c)))
			}
		}
	}
	return e
}

// stringChar is any one character of a JSON string, in any of its spellings but halves of surrogate pairs.
func stringChar() *expr { return refTo("char") }

// jsonRules are the rules that schemas share.
func jsonRules() map[string]*expr {
	hex := []runeRange{{'0', '9'}, {'a', 'f'}, {'A', 'F'}}
	digit := chars(runeRange{'0', '9'})
	whole := altOf(lit("0"), seqOf(chars(runeRange{'1', '9'}), times(digit, 0, maxDigits-1)))
	return map[string]*expr{
		"char": altOf(chars(without([]runeRange{{0, utf8.MaxRune}}, mustEscape)...), seqOf(lit(`\`), altOf(
			chars(runeRange{'"', '"'}, runeRange{'\\', '\\'}, runeRange{'/', '/'}, runeRange{'b', 'b'}, runeRange{'f', 'f'}, runeRange{'n', 'n'}, runeRange{'r', 'r'}, runeRange{'t', 't'}),
			seqOf(lit("u"), altOf(
				seqOf(chars(runeRange{'0', '9'}, runeRange{'a', 'c'}, runeRange{'A', 'C'}, runeRange{'e', 'f'}, runeRange{'E', 'F'}), times(chars(hex...), 3, 3)),
				seqOf(chars(runeRange{'d', 'd'}, runeRange{'D', 'D'}), chars(runeRange{'0', '7'}), times(chars(hex...), 2, 2))))))),
		"string":  seqOf(lit(`"`), times(stringChar(), 0, -1), lit(`"`)),
		"integer": altOf(whole, seqOf(lit("-"), chars(runeRange{'1', '9'}), times(digit, 0, maxDigits-1))),
		"number": seqOf(times(lit("-"), 0, 1), whole, times(fraction(), 0, 1),
			times(seqOf(chars(runeRange{'e', 'e'}, runeRange{'E', 'E'}), times(chars(runeRange{'+', '+'}, runeRange{'-', '-'}), 0, 1), times(digit, 1, 2)), 0, 1)),
		"boolean": altOf(lit("true"), lit("false")),
		"null":    lit("null"),
		"any":     altOf(refTo("string"), refTo("number"), refTo("object"), refTo("array"), refTo("boolean"), refTo("null")),
		"member":  seqOf(refTo("string"), colon(), refTo("any")),
		"object":  seqOf(lit("{"), listOf(refTo("member"), 0, -1), lit("}")),
		"array":   seqOf(lit("["), listOf(refTo("any"), 0, -1), lit("]")),
	}
}

// maxDigits bounds the digits of whole numbers, so that readers with 64 bits read them exactly.
const maxDigits = 18

func fraction() *expr { return seqOf(lit("."), times(chars(runeRange{'0', '9'}), 1, 15)) }

func colon() *expr { return seqOf(lit(":"), times(lit(" "), 0, 1)) }
func comma() *expr { return seqOf(lit(","), times(lit(" "), 0, 1)) }

// listOf is from min to max items with commas between them.
func listOf(item *expr, min, most int) *expr {
	if most == 0 {
		return lit("")
	}
	more := -1
	if most > 0 {
		more = most - 1
	}
	e := seqOf(item, times(seqOf(comma(), item), max(min-1, 0), more))
	if min == 0 {
		return times(e, 0, 1)
	}
	return e
}
