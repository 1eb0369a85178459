package document

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Parse reads Markdown (CommonMark with tables). file names the source in spans and messages.
// The document is never nil and keeps src, which must not be changed afterwards. All diagnostics are errors; the ids of the clauses are unique nevertheless.
func Parse(file string, src []byte) (*Document, proviso.Diagnostics) {
	return read(file, src, Markdown, (*reader).markdown)
}

// blockParser reads the blocks of Markdown and leaves the words in them alone: clauses keep their markup, and the cost of reading stays in proportion to the text, whatever brackets it is made of.
// Definitions of links are dropped by linkDefinition instead of goldmark's transformer, whose cost grows with the square of their number.
var blockParser = goldmark.New(goldmark.WithParser(parser.NewParser(parser.WithBlockParsers(parser.DefaultBlockParsers()...))), goldmark.WithExtensions(extension.Table)).Parser()

var linkDefinition = lazyregexp.New(`^ {0,3}\[[^\[\]]{1,999}\]:[ \t]*\S+(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*\r?\n?$`)

func (p *reader) markdown() {
	if at := tooDeep(p.doc.Source); at >= 0 {
		p.report(at, CodeSource, fmt.Sprintf("quotes and lists are nested more than %d deep", maxMarks), "write it flatter")
		return
	}
	root := blockParser.Parse(text.NewReader(withoutFrontMatter(p.doc.Source)))
	p.blocks(root.FirstChild(), nil)
}

// maxMarks is how many marks of quotes and lists, or steps of indentation, a line may begin with.
const maxMarks = 100

// tooDeep finds the first line that begins with more marks than are read, since the cost of nested blocks grows with the square of their depth; -1 for none.
func tooDeep(src []byte) int {
	for start := 0; start < len(src); {
		end := len(src)
		if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
			end = start + i
		}
		marks, columns := 0, 0
		for _, c := range src[start:end] {
			if c == '>' || c == '-' || c == '*' || c == '+' {
				marks++
			} else if c == '\t' {
				columns += 4
			} else if c != ' ' && c != '.' && c != ')' && (c < '0' || c > '9') {
				if marks > maxMarks || columns > 4*maxMarks {
					return start
				}
				break
			} else {
				columns++
			}
		}
		if marks > maxMarks && !thematic.Match(src[start:end]) {
			return start
		}
		start = end + 1
	}
	return -1
}

var thematic = lazyregexp.New(`^[ \t]*(?:[-*][ \t]*)+\r?$`)

var frontMatter = lazyregexp.New(`\A(?:\x{feff})?---[ \t]*\r?\n(?s:.*?\n)??---[ \t]*(?:\r?\n|\z)`)

// withoutFrontMatter blanks a YAML header out, so that all offsets stay.
func withoutFrontMatter(src []byte) []byte {
	end := len(frontMatter.Find(src))
	if end == 0 {
		return src
	}
	out := bytes.Clone(src)
	for i := range out[:end] {
		if out[i] != '\n' {
			out[i] = ' '
		}
	}
	return out
}

// blocks reads a block and those that follow it into the item, or into the section where in is nil.
func (p *reader) blocks(first ast.Node, in *item) {
	var lead *item
	for c := first; c != nil && !p.overfull; c = c.NextSibling() {
		next := (*item)(nil)
		switch c := c.(type) {
		case *ast.Heading:
			p.heading(c)
		case *ast.Paragraph, *ast.TextBlock:
			if it := p.clause(p.paragraph(c), in, nil); it != nil && strings.HasSuffix(it.text, ":") {
				next = it
			}
		case *ast.List:
			p.list(c, in, lead)
		case *ast.Blockquote:
			p.blocks(c.FirstChild(), in)
		case *extast.Table:
			p.table(c, in, lead)
		}
		lead = next
	}
}

func (p *reader) list(l *ast.List, in, lead *item) {
	for li := l.FirstChild(); li != nil; li = li.NextSibling() {
		first := li.FirstChild()
		var it *item
		if first != nil && isText(first) {
			it = p.clause(p.paragraph(first), in, lead)
			first = first.NextSibling()
		}
		if it == nil {
			it = p.place(in)
			it.lead = lead
		}
		p.blocks(first, it)
	}
}

func isText(n ast.Node) bool {
	switch n.(type) {
	case *ast.Paragraph, *ast.TextBlock:
		return true
	}
	return false
}

// table makes the row of column names a clause and the rows below its children, so that a row can be cited alone and read with its columns.
func (p *reader) table(t *extast.Table, in, lead *item) {
	var head *item
	for r := t.FirstChild(); r != nil; r = r.NextSibling() {
		at := -1
		for c := r.FirstChild(); c != nil && at < 0; c = c.NextSibling() {
			if c.Lines().Len() > 0 {
				at = c.Lines().At(0).Start
			}
		}
		if at < 0 {
			continue
		}
		line := p.lineAt(at)
		end := len(p.doc.Source)
		if line < len(p.starts) {
			end = p.starts[line]
		}
		start := p.starts[line-1]
		if bar := bytes.IndexByte(p.doc.Source[start:at], '|'); bar >= 0 {
			start += bar
		} else {
			start = at
		}
		row := []text.Segment{text.NewSegment(start, end)}
		if head == nil {
			head = p.clause(row, in, lead)
			continue
		}
		p.clause(row, head, nil)
	}
}

// paragraph returns the lines of a paragraph without the definitions of links at its beginning.
func (p *reader) paragraph(n ast.Node) []text.Segment {
	lines := p.lines(n)
	for len(lines) > 0 && linkDefinition.Match(p.doc.Source[lines[0].Start:lines[0].Stop]) {
		lines = lines[1:]
	}
	return lines
}

func (p *reader) lines(n ast.Node) []text.Segment {
	l := n.Lines()
	out := make([]text.Segment, l.Len())
	for i := range out {
		out[i] = l.At(i)
	}
	return out
}

// clause adds a clause made of lines of the source; nil where they hold no words.
func (p *reader) clause(lines []text.Segment, in, lead *item) *item {
	src := p.doc.Source
	explicit, idAt := "", 0
	for len(lines) > 0 {
		last := &lines[len(lines)-1]
		if explicit == "" {
			if m := explicitID.FindSubmatchIndex(src[last.Start:last.Stop]); m != nil {
				explicit, idAt = string(src[last.Start+m[2]:last.Start+m[3]]), last.Start+m[2]-2
				if explicit == "" {
					p.report(idAt, CodeExplicitID, "an explicit id is empty", "write it as {#id}")
				}
				last.Stop = last.Start + m[0]
			}
		}
		last.Stop = last.Start + len(bytes.TrimRightFunc(src[last.Start:last.Stop], unicode.IsSpace))
		if last.Stop > last.Start {
			break
		}
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 {
		if explicit != "" {
			p.report(idAt, CodeExplicitID, fmt.Sprintf("the id %q stands alone", explicit), "put it at the end of the clause that it names")
		}
		return nil
	}
	var words strings.Builder
	for _, l := range lines {
		words.Write(src[l.Start:l.Stop])
		words.WriteByte('\n')
	}
	start := lines[0].Start
	start += len(src[start:lines[0].Stop]) - len(bytes.TrimLeftFunc(src[start:lines[0].Stop], unicode.IsSpace))
	it := p.place(in)
	it.lead = lead
	it.text = normalise(words.String())
	it.span = proviso.Span{File: p.doc.File, Start: start, End: lines[len(lines)-1].Stop, Line: p.lineAt(start)}
	if explicit != "" && !validID.MatchString(explicit) {
		p.report(idAt, CodeExplicitID, fmt.Sprintf("the id %q is malformed", explicit), "use "+idSpelledAs)
		explicit = ""
	}
	it.explicit, it.idAt = explicit, idAt
	return it
}

func (p *reader) heading(h *ast.Heading) {
	at := 0
	if l := h.Lines(); l.Len() > 0 {
		at = l.At(0).Start
	}
	p.open(h.Level, p.title(p.lines(h)), at)
}

var inlineParser = goldmark.DefaultParser()

// maxTitle is the size in bytes beyond which a heading keeps its markup.
const maxTitle = 1000

// title returns the words of a heading without their markup.
func (p *reader) title(lines []text.Segment) string {
	var b strings.Builder
	for _, l := range lines {
		b.Write(p.doc.Source[l.Start:l.Stop])
		b.WriteByte('\n')
	}
	raw := normalise(b.String())
	if !strings.ContainsAny(raw, "*_`[]<>&\\") || len(raw) > maxTitle {
		return raw
	}
	src := []byte("# " + raw)
	return normalise(inlineText(inlineParser.Parse(text.NewReader(src)), src))
}

// inlineText returns the words of a heading without their markup.
func inlineText(n ast.Node, src []byte) string {
	var b strings.Builder
	var walk func(ast.Node)
	walk = func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(src))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		}
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			walk(c)
		}
	}
	walk(n)
	return b.String()
}
