package pack

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// scalar reads the scalar that starts at off a second time, straight from the bytes of the file, and returns its text with the offset in the file of each of the text's bytes and of its end.
// want is the text that the YAML parser read; a plain scalar is aligned to it because where it ends depends on its surroundings.
// ok is false where the bytes are no such scalar.
func (s *yamlFile) scalar(off int, st yamlStyle, want string) (text string, offs []int32, ok bool) {
	if off > len(s.text) {
		return "", nil, false
	}
	r := scalarReader{src: s.text, i: off}
	switch st {
	case singleStyle:
		ok = r.quoted('\'')
	case doubleStyle:
		ok = r.quoted('"')
	case literalStyle, foldedStyle:
		ok = r.block(st == foldedStyle, want)
	default:
		ok = r.plain(want)
	}
	return string(r.out), append(r.offs, int32(r.i)), ok
}

// scalarReader collects the text of one scalar and where its bytes stand.
type scalarReader struct {
	src  string
	i    int
	out  []byte
	offs []int32
}

func (r *scalarReader) put(s string, at int) {
	for i := 0; i < len(s); i++ {
		r.out = append(r.out, s[i])
		r.offs = append(r.offs, int32(at))
	}
}

func (r *scalarReader) copyByte() {
	r.out = append(r.out, r.src[r.i])
	r.offs = append(r.offs, int32(r.i))
	r.i++
}

// blanks is how many spaces and tabs stand at i.
func (r *scalarReader) blanks(i int) int {
	n := 0
	for i+n < len(r.src) && (r.src[i+n] == ' ' || r.src[i+n] == '\t') {
		n++
	}
	return n
}

// fold reads a line break with the blanks around it: one break is a space, each further one a newline. It reports false where none stands here.
func (r *scalarReader) fold() bool {
	at := r.i + r.blanks(r.i)
	if at >= len(r.src) || r.src[at] != '\n' {
		return false
	}
	breaks, i := 0, at
	for i < len(r.src) && r.src[i] == '\n' {
		breaks++
		i++
		i += r.blanks(i)
	}
	if breaks == 1 {
		r.put(" ", at)
	} else {
		r.put(strings.Repeat("\n", breaks-1), at)
	}
	r.i = i
	return true
}

func (r *scalarReader) plain(want string) bool {
	for len(r.out) < len(want) && r.i < len(r.src) {
		if c := r.src[r.i]; c == ' ' || c == '\t' || c == '\n' {
			if r.fold() {
				continue
			}
		}
		r.copyByte()
	}
	return string(r.out) == want
}

func (r *scalarReader) quoted(q byte) bool {
	if r.i >= len(r.src) || r.src[r.i] != q {
		return false
	}
	r.i++
	for r.i < len(r.src) {
		c := r.src[r.i]
		switch {
		case c == q && q == '\'' && strings.HasPrefix(r.src[r.i:], "''"):
			r.put("'", r.i)
			r.i += 2
		case c == q:
			return true
		case c == '\\' && q == '"':
			if !r.escape() {
				return false
			}
		case (c == ' ' || c == '\t' || c == '\n') && r.fold():
		default:
			r.copyByte()
		}
	}
	return false
}

// simpleEscapes are the one-letter escapes of double-quoted text (YAML 1.2.2 §5.7).
var simpleEscapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': "\"", '/': "/", '\\': "\\", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// hexEscapes are the escapes with a fixed count of hexadecimal digits.
var hexEscapes = map[byte]int{'x': 2, 'u': 4, 'U': 8}

func (r *scalarReader) escape() bool {
	at := r.i
	if at+1 >= len(r.src) {
		return false
	}
	c := r.src[at+1]
	if c == '\n' { // an escaped break joins the lines
		r.i = at + 2
		r.i += r.blanks(r.i)
		return true
	}
	if s, ok := simpleEscapes[c]; ok {
		r.put(s, at)
		r.i = at + 2
		return true
	}
	n, ok := hexEscapes[c]
	if !ok {
		return false
	}
	v, ok := r.hex(at+2, n)
	if !ok {
		return false
	}
	r.i = at + 2 + n
	if v >= 0xd800 && v < 0xdc00 && strings.HasPrefix(r.src[r.i:], `\u`) { // a pair, as JSON writes it
		low, ok := r.hex(r.i+2, 4)
		if !ok || low < 0xdc00 || low > 0xdfff {
			return false
		}
		v = 0x10000 + (v-0xd800)<<10 + (low - 0xdc00)
		r.i += 6
	}
	if v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
		return false
	}
	r.put(string(rune(v)), at)
	return true
}

func (r *scalarReader) hex(at, n int) (uint32, bool) {
	if at+n > len(r.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(r.src[at:at+n], 16, 32)
	return uint32(v), err == nil
}

// block reads a literal or folded block text. Its lines are those at least as indented as its first.
func (r *scalarReader) block(folded bool, want string) bool {
	eol := strings.IndexByte(r.src[r.i:], '\n')
	if eol < 0 {
		return want == ""
	}
	header, _, _ := strings.Cut(r.src[r.i:r.i+eol], " ")
	r.i += eol + 1
	if strings.ContainsAny(header, "123456789") {
		return false
	}
	if strings.Trim(want, "\n") == "" { // no lines of its own: where it ends does not matter
		r.put(want, r.i)
		return true
	}
	lines, indent := r.blockLines()
	last := len(lines)
	for last > 0 && lines[last-1].empty {
		last--
	}
	for k, l := range lines[:last] {
		if k > 0 {
			r.breakBetween(folded, lines[:last], k, indent)
		}
		if !l.empty {
			for i := l.start + indent; i < l.end; i++ {
				r.out = append(r.out, r.src[i])
				r.offs = append(r.offs, int32(i))
			}
		}
	}
	end := lines[last-1].end
	switch {
	case strings.Contains(header, "-"): // the parser drops blanks at the end along with the breaks
		for len(r.out) > 0 && r.out[len(r.out)-1] == ' ' {
			r.out, r.offs = r.out[:len(r.out)-1], r.offs[:len(r.offs)-1]
		}
	case strings.Contains(header, "+"):
		r.put("\n", end)
		for range lines[last:] {
			r.put("\n", end)
		}
	default:
		r.put("\n", end)
	}
	r.i = end
	return true
}

// blockLine is one line of a block text.
type blockLine struct {
	start, end int
	empty      bool
}

func (r *scalarReader) blockLines() (lines []blockLine, indent int) {
	indent = -1
	for i := r.i; i < len(r.src); {
		end := strings.IndexByte(r.src[i:], '\n')
		if end < 0 {
			end = len(r.src)
		} else {
			end += i
		}
		spaces := 0
		for i+spaces < end && r.src[i+spaces] == ' ' {
			spaces++
		}
		l := blockLine{start: i, end: end, empty: i+spaces == end && (indent < 0 || spaces <= indent)}
		if !l.empty && indent < 0 {
			indent = spaces
		}
		if !l.empty && spaces < indent {
			break
		}
		lines = append(lines, l)
		i = end + 1
	}
	return lines, max(indent, 0)
}

// breakBetween writes what stands between line k-1 and line k: in folded text one break between two plain lines is a space, and the first of several is dropped.
func (r *scalarReader) breakBetween(folded bool, lines []blockLine, k, indent int) {
	at := lines[k-1].end
	if !folded {
		r.put("\n", at)
		return
	}
	spaced := func(l blockLine) bool {
		return !l.empty && l.start+indent < l.end && (r.src[l.start+indent] == ' ' || r.src[l.start+indent] == '\t')
	}
	prev := k - 1
	for prev >= 0 && lines[prev].empty {
		prev--
	}
	next := k
	for lines[next].empty {
		next++
	}
	between := prev >= 0 && !spaced(lines[prev]) && !spaced(lines[next])
	switch {
	case !between:
		r.put("\n", at)
	case next-prev == 1:
		r.put(" ", at)
	case k == prev+1: // the first break of several is dropped between plain lines
	default:
		r.put("\n", at)
	}
}
