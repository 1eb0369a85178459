package pdf

import (
	"bytes"
	"strconv"
)

// The kinds of objects are Go's: nil, bool, float64, []any, map[string]any, and these.
type (
	name   string
	text   string // a string
	ref    int    // the number of an object
	word   string // an operator, or another bare word
	stream struct {
		dict map[string]any
		raw  []byte
	}
)

const maxDepth = 40 // of arrays and dictionaries in one another

// lexer reads objects from bytes.
type lexer struct {
	src   []byte
	at    int
	depth int
}

func space(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func delimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

func (l *lexer) skip() {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case space(c):
			l.at++
		case c == '%':
			for l.at < len(l.src) && l.src[l.at] != '\n' && l.src[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// next returns the next object; false at the end. Closing brackets come as words. In file text "n g R" is a reference; content streams have none.
func (l *lexer) next() (any, bool) {
	l.skip()
	if l.at >= len(l.src) {
		return nil, false
	}
	switch c := l.src[l.at]; c {
	case '/':
		return l.name(), true
	case '(':
		return l.literal(), true
	case '<':
		if l.at+1 < len(l.src) && l.src[l.at+1] == '<' {
			l.at += 2
			return l.dict(), true
		}
		return l.hex(), true
	case '[':
		l.at++
		return l.array(), true
	case '>':
		if l.at+1 < len(l.src) && l.src[l.at+1] == '>' {
			l.at += 2
			return word(">>"), true
		}
		l.at++
		return word(">"), true
	case ']', ')', '{', '}':
		l.at++
		return word(c), true
	}
	start := l.at
	for l.at < len(l.src) && !space(l.src[l.at]) && !delimiter(l.src[l.at]) {
		l.at++
	}
	w := string(l.src[start:l.at])
	if f, err := strconv.ParseFloat(w, 64); err == nil && (w[0] < 'A' || w[0] > 'z') {
		return f, true
	}
	switch w {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	}
	return word(w), true
}

func (l *lexer) name() name {
	l.at++
	var b []byte
	for l.at < len(l.src) && !space(l.src[l.at]) && !delimiter(l.src[l.at]) {
		c := l.src[l.at]
		if c == '#' && l.at+2 < len(l.src) {
			if n, err := strconv.ParseUint(string(l.src[l.at+1:l.at+3]), 16, 8); err == nil {
				c = byte(n)
				l.at += 2
			}
		}
		b = append(b, c)
		l.at++
	}
	return name(b)
}

func (l *lexer) literal() text {
	var b []byte
	depth := 0
	for l.at++; l.at < len(l.src); l.at++ {
		switch c := l.src[l.at]; c {
		case '(':
			depth++
			b = append(b, c)
		case ')':
			if depth == 0 {
				l.at++
				return text(b)
			}
			depth--
			b = append(b, c)
		case '\\':
			b = l.escape(b)
		default:
			b = append(b, c)
		}
	}
	return text(b)
}

// escape reads what follows a backslash and stays on its last byte.
func (l *lexer) escape(b []byte) []byte {
	l.at++
	if l.at >= len(l.src) {
		return b
	}
	c := l.src[l.at]
	if c >= '0' && c <= '7' {
		n := 0
		for k := 0; k < 3 && l.at < len(l.src) && l.src[l.at] >= '0' && l.src[l.at] <= '7'; k++ {
			n = 8*n + int(l.src[l.at]-'0')
			l.at++
		}
		l.at--
		return append(b, byte(n))
	}
	switch c {
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case '\r':
		if l.at+1 < len(l.src) && l.src[l.at+1] == '\n' {
			l.at++
		}
		return b
	case '\n':
		return b
	}
	return append(b, c)
}

func (l *lexer) hex() text {
	var b []byte
	digits, n := 0, byte(0)
	for l.at++; l.at < len(l.src); l.at++ {
		c := l.src[l.at]
		if c == '>' {
			l.at++
			break
		}
		v, err := strconv.ParseUint(string(c), 16, 8)
		if err != nil {
			continue
		}
		n = n<<4 | byte(v)
		if digits++; digits%2 == 0 {
			b = append(b, n)
			n = 0
		}
	}
	if digits%2 == 1 {
		b = append(b, n<<4)
	}
	return text(b)
}

// fold turns "n g R" at the end of a list into a reference.
func fold(list []any) []any {
	n := len(list)
	if n < 3 || list[n-1] != word("R") {
		return list
	}
	num, ok := list[n-3].(float64)
	if _, gen := list[n-2].(float64); !ok || !gen {
		return list
	}
	return append(list[:n-3], ref(num))
}

func (l *lexer) until(end word) []any {
	var list []any
	if l.depth++; l.depth > maxDepth {
		l.at = len(l.src)
		return nil
	}
	defer func() { l.depth-- }()
	for {
		o, ok := l.next()
		if !ok || o == end {
			return list
		}
		if o == word("endobj") || o == word("stream") {
			l.at -= len(o.(word))
			return list
		}
		list = fold(append(list, o))
	}
}

func (l *lexer) array() []any { return l.until("]") }

func (l *lexer) dict() map[string]any {
	list := l.until(">>")
	d := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		if k, ok := list[i].(name); ok {
			d[string(k)] = list[i+1]
		} else {
			i--
		}
	}
	return d
}
