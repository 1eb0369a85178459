package mutate

import (
	"strconv"
	"strings"
)

type kind uint8

const (
	sign  kind = iota // an operator or bracket
	name              // an identifier or keyword
	digit             // a number
	text              // a string
)

// token is one token of a CEL expression. Mutants are made on the text that people wrote, so that what is shown is what they would have written by mistake.
type token struct {
	kind       kind
	text       string
	start, end int
}

var pairs = map[string]bool{"&&": true, "||": true, "<=": true, ">=": true, "==": true, "!=": true}

// scan cuts an expression into tokens. It reads what CEL's grammar calls literals, names and operators; comments do not occur in conditions.
func scan(s string) []token {
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		end, k := i+1, sign
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '\'' || c == '"':
			end, k = stringEnd(s, i, false), text
		case (c == 'r' || c == 'R' || c == 'b' || c == 'B') && i+1 < len(s) && (s[i+1] == '\'' || s[i+1] == '"'):
			end, k = stringEnd(s, i+1, c == 'r' || c == 'R'), text
		case c >= '0' && c <= '9':
			k = digit
			for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' && end+1 < len(s) && s[end+1] >= '0' && s[end+1] <= '9') {
				end++
			}
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
			k = name
			for end < len(s) && (s[end] == '_' || s[end] >= 'a' && s[end] <= 'z' || s[end] >= 'A' && s[end] <= 'Z' || s[end] >= '0' && s[end] <= '9' || s[end] >= 0x80) {
				end++
			}
		default:
			if i+2 <= len(s) && pairs[s[i:i+2]] {
				end = i + 2
			}
		}
		out = append(out, token{k, s[i:end], i, end})
		i = end
	}
	return out
}

func stringEnd(s string, i int, raw bool) int {
	quote := s[i : i+1]
	if strings.HasPrefix(s[i:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	for j := i + len(quote); j < len(s); j++ {
		if s[j] == '\\' && !raw {
			j++
		} else if strings.HasPrefix(s[j:], quote) {
			return j + len(quote)
		}
	}
	return len(s)
}

// beside are the values next to a number, or to the number of a span of time such as '24h'.
func beside(k token) []string {
	if k.kind == digit {
		if n, err := strconv.ParseInt(k.text, 10, 64); err == nil && n < 1<<62 {
			if n == 0 {
				return []string{"1"}
			}
			return []string{strconv.FormatInt(n-1, 10), strconv.FormatInt(n+1, 10)}
		}
		return nil
	}
	if k.kind != text || len(k.text) < 4 {
		return nil
	}
	body := k.text[1 : len(k.text)-1]
	unit := strings.TrimLeft(body, "0123456789")
	n, err := strconv.ParseInt(strings.TrimSuffix(body, unit), 10, 32)
	if err != nil || unit != "h" && unit != "m" && unit != "s" {
		return nil
	}
	quote := k.text[:1]
	return []string{quote + strconv.FormatInt(n-1, 10) + unit + quote, quote + strconv.FormatInt(n+1, 10) + unit + quote}
}

// valued reports whether the text at i is a value of its own: of a function, the first text is often a name, such as that of a tool.
func valued(toks []token, i int) bool { return i < 2 || toks[i-2].kind != name }

// other is a text like the given one and not equal to it.
func other(k token) string {
	if end := k.text[len(k.text)-1:]; len(k.text) >= 2 && (end == "'" || end == `"`) && !strings.HasPrefix(k.text, strings.Repeat(end, 3)) {
		return k.text[:len(k.text)-1] + "~" + end
	}
	return k.text
}

// operand is one of the parts that && or || join in an expression; cut is where the text to leave out begins and ends, its connective included.
type operand struct {
	start, end       int
	cutStart, cutEnd int
}

func (o operand) without(s string) string { return s[:o.cutStart] + s[o.cutEnd:] }

// operands finds the parts of every connective of an expression, inside of brackets as well.
func operands(s string) []operand {
	toks := scan(s)
	var out []operand
	var walk func(lo, hi int)
	walk = func(lo, hi int) {
		cuts := joints(toks, lo, hi)
		if cuts == nil {
			brackets(toks, lo, hi, walk)
			return
		}
		from := lo
		for n := 0; n <= len(cuts); n++ {
			to := hi
			if n < len(cuts) {
				to = cuts[n]
			}
			if to > from {
				o := operand{start: toks[from].start, end: toks[to-1].end}
				if n < len(cuts) {
					o.cutStart, o.cutEnd = o.start, toks[to].end
				} else {
					o.cutStart, o.cutEnd = toks[from-1].start, o.end
				}
				out = append(out, o)
				walk(from, to)
			}
			from = to + 1
		}
	}
	walk(0, len(toks))
	return out
}

// joints are the places of the loosest connective between two tokens, outside of brackets; nil where there is none, or where a list or a conditional is looser.
func joints(toks []token, lo, hi int) []int {
	for _, op := range []string{"||", "&&"} {
		var cuts []int
		depth := 0
		for i := lo; i < hi; i++ {
			if toks[i].kind != sign {
				continue
			}
			switch t := toks[i].text; {
			case strings.Contains("([{", t):
				depth++
			case strings.Contains(")]}", t):
				depth--
			case depth > 0:
			case t == "?" || t == "," || t == ":":
				return nil
			case t == op:
				cuts = append(cuts, i)
			}
		}
		if cuts != nil {
			return cuts
		}
	}
	return nil
}

// brackets calls f for what stands between the outermost brackets.
func brackets(toks []token, lo, hi int, f func(lo, hi int)) {
	depth, open := 0, 0
	for i := lo; i < hi; i++ {
		if toks[i].kind != sign {
			continue
		}
		switch t := toks[i].text; {
		case strings.Contains("([{", t):
			if depth == 0 {
				open = i
			}
			depth++
		case strings.Contains(")]}", t):
			if depth--; depth == 0 {
				f(open+1, i)
			}
		}
	}
}
