package main

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWidth is the widest line that is written for a person.
const maxWidth = 80

// style says how text for a person may look. The zero value is plain text of 80 columns.
type style struct {
	colour bool
	width  int
}

// styleOf chooses colour by the flag, then NO_COLOR (https://no-color.org), then whether w is a terminal.
func (a *app) styleOf(w io.Writer, when string) style {
	s := style{width: maxWidth}
	if n, err := strconv.Atoi(a.env("COLUMNS")); err == nil && n >= 40 && n < maxWidth {
		s.width = n
	}
	switch when {
	case "always":
		s.colour = true
	case "auto":
		s.colour = a.env("NO_COLOR") == "" && a.env("TERM") != "dumb" && terminal(w)
	}
	return s
}

// terminal reports whether a stream is a terminal.
func terminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// The colours are the basic ones, which every theme, light or dark, makes readable.
const (
	bold    = "1"
	faint   = "2"
	red     = "31"
	green   = "32"
	magenta = "35"
	cyan    = "36"
)

func (s style) paint(text string, codes ...string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[0m"
}

// limit is the number of columns, also for the zero value.
func (s style) limit() int {
	if s.width == 0 {
		return maxWidth
	}
	return s.width
}

// wrap breaks text at spaces into lines of at most width columns; words that are longer stand alone. Text is made printable.
func wrap(text string, width int) []string { return wrapAfter(text, 0, width, width) }

// wrapAfter is wrap for a first line of which used columns of first are taken.
func wrapAfter(text string, used, width, first int) []string {
	var lines []string
	line, n, room := "", 0, first-used
	for _, w := range strings.Fields(printable(text)) {
		k := utf8.RuneCountInString(w)
		if n > 0 && n+1+k > room || n == 0 && len(lines) == 0 && used > 0 && k > room {
			lines = append(lines, line)
			line, n, room = "", 0, width
		}
		if n > 0 {
			line += " "
			n++
		}
		line += w
		n += k
	}
	if n > 0 || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// indented wraps text with a prefix before the first line, and blanks of the same width before the others.
func (s style) indented(prefix, text string, codes ...string) string {
	pad := strings.Repeat(" ", columns(prefix))
	var b strings.Builder
	for i, l := range wrap(text, max(20, s.limit()-columns(prefix))) {
		if i == 0 {
			b.WriteString(prefix)
		} else {
			b.WriteString(pad)
		}
		b.WriteString(s.paint(l, codes...))
		b.WriteByte('\n')
	}
	return b.String()
}

// hanging wraps text behind a prefix, and indents the lines that follow by n blanks.
func (s style) hanging(prefix, text string, n int) string {
	lines := wrapAfter(text, columns(prefix), s.limit()-n, s.limit())
	return prefix + strings.Join(lines, "\n"+strings.Repeat(" ", n)) + "\n"
}

// columns counts the characters of text without its colours.
func columns(text string) int {
	n, in := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			in = true
		case in:
			in = r != 'm'
		default:
			n++
		}
	}
	return n
}

// pad fills text with blanks up to n columns.
func pad(text string, n int) string {
	if k := n - columns(text); k > 0 {
		return text + strings.Repeat(" ", k)
	}
	return text
}

// shorten cuts text at n columns.
func shorten(text string, n int) string {
	text = printable(text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	r := []rune(text)
	return string(r[:max(0, n-1)]) + "…"
}

// printable replaces what could steer a terminal or turn the writing around: what is printed often comes from a conversation with a stranger.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return '\uFFFD'
		}
		return r
	}, text)
}

// sortedKeys lists the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// because is the reason of a file system error without the path that the message names already.
func because(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
