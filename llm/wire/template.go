package wire

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Template reads the events of a stream that differ from one before only in a few texts and numbers, as the deltas of a text do, without decoding them again. An event that matches it
// is one that the strict decoder accepts with the same keys and the same values everywhere but in the holes; every other event has to be decoded. It is not safe for concurrent use.
type Template struct {
	parts [][]byte // what stands before, between and behind the holes
	holes []hole   // in the order in which they stand
	found [][]byte // by the number of the hole as it was asked for
}

type hole struct {
	number int
	text   bool // between quotes; else a number
}

// maxDigits is how many digits a number in a hole may have: every such number is an int64.
const maxDigits = 18

// NewTemplate makes a template of data that the strict decoder has accepted. The pointers name the holes, which hold texts or whole numbers that are not negative; one that data does not have stays empty.
// It returns nil where a hole holds anything else. The data are copied.
func NewTemplate(data []byte, at ...string) *Template {
	t := &Template{found: make([][]byte, len(at))}
	type placed struct {
		span
		hole
	}
	all := make([]placed, 0, len(at))
	for i, pointer := range at {
		v, _, ok := find(data, steps(pointer))
		if !ok {
			continue
		}
		h := hole{number: i}
		switch {
		case data[v.start] == '"':
			h.text = true
			v.start, v.end = v.start+1, v.end-1
		case !isNumber(data[v.start:v.end]):
			return nil
		}
		all = append(all, placed{v, h})
	}
	slices.SortFunc(all, func(a, b placed) int { return a.start - b.start })
	data = slices.Clone(data)
	t.parts, t.holes = make([][]byte, 0, len(all)+1), make([]hole, 0, len(all))
	last := 0
	for _, p := range all {
		t.parts, t.holes, last = append(t.parts, data[last:p.start]), append(t.holes, p.hole), p.end
	}
	t.parts = append(t.parts, data[last:])
	return t
}

func isNumber(b []byte) bool {
	return len(b) > 0 && len(b) <= maxDigits && digits(b) == len(b) && (b[0] != '0' || len(b) == 1)
}

func digits(b []byte) int {
	for i, ch := range b {
		if ch < '0' || ch > '9' {
			return i
		}
	}
	return len(b)
}

// Match reports whether data are those of the template but for the holes, and keeps what stands in them until the next call. Texts with escapes do not match, so that what stands in a hole is the text itself.
func (t *Template) Match(data []byte) bool {
	if t == nil {
		return false
	}
	for i, h := range t.holes {
		rest, ok := bytes.CutPrefix(data, t.parts[i])
		if !ok {
			return false
		}
		n := digits(rest)
		if h.text {
			n = bytes.IndexByte(rest, '"')
		}
		if n < 0 || h.text && !isPlain(rest[:n]) || !h.text && !isNumber(rest[:n]) {
			return false
		}
		t.found[h.number], data = rest[:n], rest[n:]
	}
	return bytes.Equal(data, t.parts[len(t.holes)])
}

// isPlain reports whether a text stands in a JSON string as it is.
func isPlain(b []byte) bool {
	for _, ch := range b {
		if ch < ' ' || ch == '\\' {
			return false
		}
	}
	return utf8.Valid(b)
}

// Text returns what the last match found in a hole. Its bytes are those that were matched.
func (t *Template) Text(number int) []byte { return t.found[number] }

// Number returns the number that the last match found in a hole; 0 for a hole that the template does not have.
func (t *Template) Number(number int) int64 {
	n, _ := strconv.ParseInt(string(t.found[number]), 10, 64) // an empty hole is 0, and any other was looked at
	return n
}
