package lsp

import (
	"strings"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
)

// position is a place in a text as the protocol counts: lines from 0, and UTF-16 units within the line.
type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

// span is the text from a place up to another one, which it does not include.
type span struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

// location is a span of a file.
type location struct {
	URI   string `json:"uri"`
	Range span   `json:"range"`
}

// units counts the UTF-16 units of a text. What is no UTF-8 counts one for each byte, as an editor shows it.
func units(s string) (n int) {
	for _, r := range s {
		if n++; r >= 0x10000 {
			n++
		}
	}
	return n
}

// bytesOf is how many bytes of a line its first n UTF-16 units have; a place behind the end is the end, and one inside of a pair the beginning of its character.
func bytesOf(line string, n int) int {
	at := 0
	for at < len(line) {
		r, size := utf8.DecodeRuneInString(line[at:])
		width := 1
		if r >= 0x10000 {
			width = 2
		}
		if n -= width; n < 0 {
			break
		}
		at += size
	}
	return at
}

// lineEnd finds where the first line of a text ends, and how long its end is: a line feed, a carriage return, or both.
func lineEnd(text string) (at, width int) {
	at = strings.IndexAny(text, "\r\n")
	switch {
	case at < 0:
		return len(text), 0
	case strings.HasPrefix(text[at:], "\r\n"):
		return at, 2
	}
	return at, 1
}

// lineStart is the offset where a line begins, counted from 0; ok is false, and the offset the end, where there is no such line.
func lineStart(text string, n int) (at int, ok bool) {
	for ; n > 0; n-- {
		end, width := lineEnd(text[at:])
		if width == 0 {
			return len(text), false
		}
		at += end + width
	}
	return at, true
}

// lineAt returns a line of a text without its end; empty where there is none.
func lineAt(text string, n int) string {
	at, ok := lineStart(text, n)
	if !ok {
		return ""
	}
	end, _ := lineEnd(text[at:])
	return text[at : at+end]
}

// offset is the byte of a place in a text.
func offset(text string, p position) int {
	at, ok := lineStart(text, p.Line)
	if !ok {
		return at
	}
	return at + bytesOf(lineAt(text, p.Line), p.Character)
}

// placeOf is the place of a position of ours, which counts bytes from 1.
func placeOf(text string, p proviso.Pos) position {
	if p.Line <= 0 {
		return position{}
	}
	line := lineAt(text, p.Line-1)
	return position{p.Line - 1, units(line[:min(len(line), max(0, p.Col-1))])}
}

// wordAt is the span from a position of ours to the end of the word that stands there, at least one unit wide where the line goes on.
func wordAt(text string, p proviso.Pos) span {
	start := placeOf(text, p)
	line := lineAt(text, start.Line)
	from := bytesOf(line, start.Character)
	to := from
	for to < len(line) && inWord(line[to]) {
		to++
	}
	if to == from && to < len(line) {
		_, size := utf8.DecodeRuneInString(line[to:])
		to += size
	}
	return span{start, position{start.Line, units(line[:to])}}
}

// inWord reports whether a byte belongs to a name, an id or a character beyond ASCII.
func inWord(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '/' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// wholeWord is the word around a place and where it begins, in bytes of its line.
func wholeWord(line string, at int) (word string, from int) {
	at = min(at, len(line))
	from, to := at, at
	for from > 0 && inWord(line[from-1]) {
		from--
	}
	for to < len(line) && inWord(line[to]) {
		to++
	}
	return strings.Trim(line[from:to], "."), from
}
