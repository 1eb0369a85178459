package document

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/proviso-dev/proviso/document/pdf"
)

// pdf reads the lines of a PDF. The text that spans are about is made here: paragraphs are parted by blank lines, words that were parted at the end of a line are joined, and what stands at the head or foot of most pages is left out.
func (p *reader) pdf() {
	src := p.doc.Source
	p.doc.Source = nil
	if len(src) > MaxFile {
		p.unread(CodeSource, fmt.Sprintf("the file has %d bytes, more than %d", len(src), MaxFile), "leave pictures out, or save it as text")
		return
	}
	lines, err := pdf.Lines(src)
	switch {
	case err == nil:
	case errors.Is(err, pdf.ErrLarge):
		p.unread(CodeSource, err.Error(), "split it, or save it as text")
		return
	case errors.Is(err, pdf.ErrNoText):
		p.unread(CodeNoText, err.Error(), "it is a scan: run a text recognition over it first")
		return
	case errors.Is(err, pdf.ErrNoCodes):
		p.unread(CodeNoText, err.Error(), "print it to PDF again from the program that it was written with, or save it as text")
		return
	case errors.Is(err, pdf.ErrEncrypted):
		p.unread(CodeBroken, err.Error(), "save a copy without a password")
		return
	default:
		p.unread(CodeBroken, err.Error(), "save it again as PDF")
		return
	}
	lines = withoutMargins(lines)
	text, large := flow(lines)
	if len(text) == 0 {
		p.unread(CodeNoText, pdf.ErrNoText.Error(), "it is a scan: run a text recognition over it first")
		return
	}
	p.doc.Source = text
	p.lineStarts()
	o := &outline{reader: p, large: large}
	o.cut()
	o.run()
}

// withoutMargins leaves out the first and last lines of pages that say the same on more than half of at least three pages, numbers apart.
func withoutMargins(lines []pdf.Line) []pdf.Line {
	pages := 0
	count := map[string]int{}
	edge := make([]bool, len(lines))
	same := func(l pdf.Line) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return '0'
			}
			return r
		}, fmt.Sprintf("%.0f %s", l.Y, l.Text))
	}
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j].Page == lines[i].Page {
			j++
		}
		pages++
		for k := i; k < j; k++ {
			if k < i+2 || k >= j-2 {
				edge[k] = true
				count[same(lines[k])]++
			}
		}
		i = j
	}
	if pages < 3 {
		return lines
	}
	var out []pdf.Line
	for i, l := range lines {
		if !edge[i] || count[same(l)] <= pages/2 {
			out = append(out, l)
		}
	}
	return out
}

// flow writes lines as text and finds those that are headings by their size.
func flow(lines []pdf.Line) ([]byte, map[int]int) {
	body := bodySize(lines)
	var sizes []float64
	for _, l := range lines {
		if l.Size > 1.12*body && !slices.ContainsFunc(sizes, func(s float64) bool { return math.Abs(s-l.Size) < .3 }) {
			sizes = append(sizes, l.Size)
		}
	}
	slices.SortFunc(sizes, func(x, y float64) int { return int(math.Copysign(1, y-x)) })
	levelOf := func(size float64) int {
		for i, s := range sizes {
			if math.Abs(s-size) < .3 {
				return min(i, 5) + 1
			}
		}
		return 0
	}
	var b []byte
	large := map[int]int{}
	n := 0
	newline := func() { b = append(b, '\n'); n++ }
	for i, l := range lines {
		level := levelOf(l.Size)
		if i > 0 {
			last := lines[i-1]
			switch gap := last.Y - l.Y; {
			case level > 0 && levelOf(last.Size) == level && gap > 0 && gap < 1.6*l.Size && last.Page == l.Page:
				b = append(append(b, ' '), l.Text...) // a heading of two lines
				continue
			case level > 0 || levelOf(last.Size) > 0:
				newline()
				newline()
			case last.Page != l.Page && !strings.ContainsAny(last.Text[len(last.Text)-1:], ".:;!?"):
				newline()
			case last.Page != l.Page || gap > 1.65*math.Max(l.Size, last.Size) || gap < -l.Size:
				newline()
				newline()
			case parted(b, l.Text):
				b = append(b[:len(b)-1], l.Text...)
				continue
			default:
				newline()
			}
		}
		if level > 0 {
			large[n] = level
		}
		b = append(b, l.Text...)
	}
	if len(b) > 0 {
		newline()
	}
	return b, large
}

// parted reports whether a word goes on in the next line behind a hyphen.
func parted(before []byte, next string) bool {
	n := len(before)
	return n > 1 && before[n-1] == '-' && unicode.IsLower(rune(before[n-2])) && unicode.IsLower([]rune(next)[0])
}

// bodySize is the size in which most letters are set.
func bodySize(lines []pdf.Line) float64 {
	count := map[float64]int{}
	for _, l := range lines {
		count[math.Round(2*l.Size)/2] += len(l.Text)
	}
	best, most := 0.0, 0
	for s, n := range count {
		if n > most || n == most && s < best {
			best, most = s, n
		}
	}
	return best
}
