// Package form holds the outer forms that reports of different things share: JUnit XML, SARIF, the workflow commands of GitHub Actions, the head of an HTML page,
// and lines of text for a terminal. It knows nothing of what is reported.
package form

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Line shows control characters and line breaks of recorded text, so that it cannot move the cursor of a terminal or break a line-based format.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return utf8.RuneError
		}
		return r
	}, s)
}

// Wrap breaks text at spaces into lines of at most width characters, each behind the indent; words longer than a line are cut.
func Wrap(text, indent string, width int) string {
	var b strings.Builder
	room := width - utf8.RuneCountInString(indent)
	col := 0
	for _, w := range strings.Fields(text) {
		for {
			n := utf8.RuneCountInString(w)
			if col > 0 && col+1+n > room {
				b.WriteByte('\n')
				col = 0
			}
			if col == 0 {
				b.WriteString(indent)
			} else {
				b.WriteByte(' ')
				col++
			}
			if n <= room {
				b.WriteString(w)
				col += n
				break
			}
			r := []rune(w)
			b.WriteString(string(r[:room]) + "\n")
			w = string(r[room:])
		}
	}
	return b.String()
}

// Clip shortens text to at most n characters.
func Clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Plural is a number with its noun: "1 case", "2 cases".
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Code quotes text so that nothing in it is read as Markdown.
func Code(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if fence == "`" {
		return fence + s + fence
	}
	return fence + " " + s + " " + fence
}

// WriteIndented writes JSON that people read as well.
func WriteIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
