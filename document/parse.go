package document

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/proviso-dev/proviso"
)

// Parse reads Markdown (CommonMark with tables) or plain text, which falls out as paragraphs. file names the source in spans and messages.
// The document is never nil and keeps src, which must not be changed afterwards. All diagnostics are errors; the ids of the clauses are unique nevertheless.
func Parse(file string, src []byte) (*Document, proviso.Diagnostics) {
	p := &parser{doc: &Document{File: file, Source: src}, sections: map[string]bool{}}
	if p.readable() {
		p.lineStarts()
		root := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(withoutFrontMatter(src)))
		p.section = &section{slug: "text"}
		p.sections["text"] = true
		p.blocks(root.FirstChild(), nil)
	}
	p.assign()
	p.diags.Sort()
	return p.doc, p.diags
}

type parser struct {
	doc      *Document
	diags    proviso.Diagnostics
	starts   []int // offset of each line
	section  *section
	headings []*section // the headings that are open, outermost first
	sections map[string]bool
	items    []*item // all clauses to be, in the order of the text
}

// section is what stands under one heading.
type section struct {
	level int
	own   string // the slug of the title alone
	slug  string // unique
	title string
	count int // clauses directly in it
}

// item is a clause whose id is not known yet, or a list item without words of its own, which has a number but is no clause.
type item struct {
	section  *section
	outer    *item // the item it stands in
	lead     *item // the paragraph that introduces it
	count    int   // clauses directly in it
	ordinal  int
	heading  []string
	text     string
	span     proviso.Span
	explicit string
	idAt     int // offset of the explicit id
	id       string
}

func (p *parser) readable() bool {
	src := p.doc.Source
	if len(src) > MaxSource {
		p.report(0, CodeSource, fmt.Sprintf("the text has %d bytes, more than %d", len(src), MaxSource), "split it into several packs")
		return false
	}
	if utf8.Valid(src) {
		return true
	}
	at := 0
	for at < len(src) {
		r, n := utf8.DecodeRune(src[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	p.lineStarts()
	p.report(at, CodeSource, fmt.Sprintf("byte 0x%02x is not valid UTF-8", src[at]), "save the file as UTF-8")
	return false
}

func (p *parser) lineStarts() {
	p.starts = append(p.starts[:0], 0)
	for i, c := range p.doc.Source {
		if c == '\n' {
			p.starts = append(p.starts, i+1)
		}
	}
}

// lineAt returns the line, from 1, of an offset.
func (p *parser) lineAt(at int) int {
	lo, hi := 0, len(p.starts)
	for lo+1 < hi {
		if m := (lo + hi) / 2; p.starts[m] <= at {
			lo = m
		} else {
			hi = m
		}
	}
	return lo + 1
}

func (p *parser) report(at int, code, msg, hint string) {
	pos := proviso.Pos{File: p.doc.File, Line: 1, Col: 1}
	if len(p.starts) > 0 {
		pos.Line = p.lineAt(at)
		pos.Col = at - p.starts[pos.Line-1] + 1
	}
	p.diags = append(p.diags, proviso.Diagnostic{Pos: pos, Code: code, Msg: msg, Hint: hint})
}

var frontMatter = regexp.MustCompile(`\A(?:\x{feff})?---[ \t]*\r?\n(?s:.*?\n)??---[ \t]*(?:\r?\n|\z)`)

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
func (p *parser) blocks(first ast.Node, in *item) {
	var lead *item
	for c := first; c != nil; c = c.NextSibling() {
		next := (*item)(nil)
		switch c := c.(type) {
		case *ast.Heading:
			p.heading(c)
		case *ast.Paragraph, *ast.TextBlock:
			if it := p.clause(p.lines(c), in, nil); it != nil && strings.HasSuffix(it.text, ":") {
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

func (p *parser) list(l *ast.List, in, lead *item) {
	for li := l.FirstChild(); li != nil; li = li.NextSibling() {
		first := li.FirstChild()
		var it *item
		if first != nil && isText(first) {
			it = p.clause(p.lines(first), in, lead)
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
func (p *parser) table(t *extast.Table, in, lead *item) {
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

func (p *parser) lines(n ast.Node) []text.Segment {
	l := n.Lines()
	out := make([]text.Segment, l.Len())
	for i := range out {
		out[i] = l.At(i)
	}
	return out
}

var (
	explicitID  = regexp.MustCompile(`(?:^|[ \t\r\n])[ \t\r\n]*\{#([^{}\r\n]*)\}[ \t\r\n]*$`)
	validID     = regexp.MustCompile(`^[\pL\pN][\pL\pN._/-]*$`)
	idSpelledAs = "letters, digits, '.', '_', '/' and '-', starting with a letter or digit"
)

// clause adds a clause made of lines of the source; nil where they hold no words.
func (p *parser) clause(lines []text.Segment, in, lead *item) *item {
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

// place numbers the next clause of an item or of the section.
func (p *parser) place(in *item) *item {
	it := &item{section: p.section, outer: in}
	for _, h := range p.headings {
		it.heading = append(it.heading, h.title)
	}
	if in != nil {
		in.count++
		it.ordinal = in.count
	} else {
		p.section.count++
		it.ordinal = p.section.count
	}
	p.items = append(p.items, it)
	return it
}

func (p *parser) heading(h *ast.Heading) {
	title, at := normalise(inlineText(h, p.doc.Source)), 0
	if l := h.Lines(); l.Len() > 0 {
		at = l.At(0).Start
	}
	own := ""
	if m := explicitID.FindStringSubmatchIndex(title); m != nil {
		own, title = title[m[2]:m[3]], title[:m[0]]
		if !validID.MatchString(own) {
			p.report(at, CodeExplicitID, fmt.Sprintf("the id %q is malformed", own), "use "+idSpelledAs)
			own = ""
		} else if p.sections[own] {
			p.report(at, CodeDuplicateID, fmt.Sprintf("another section has the id %q", own), "choose another one")
		}
	}
	if own == "" {
		own = slug(title)
	}
	for len(p.headings) > 0 && p.headings[len(p.headings)-1].level >= h.Level {
		p.headings = p.headings[:len(p.headings)-1]
	}
	s := &section{level: h.Level, own: own, slug: own, title: title}
	for i := len(p.headings) - 1; i >= 0 && p.sections[s.slug]; i-- {
		s.slug = p.headings[i].own + "/" + s.slug
	}
	for base, n := s.slug, 2; p.sections[s.slug]; n++ {
		s.slug = base + "-" + strconv.Itoa(n)
	}
	p.sections[s.slug] = true
	p.headings = append(p.headings, s)
	p.section = s
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

// slug keeps letters and digits in lower case and joins the runs of them with hyphens.
func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	if len(words) == 0 {
		return "section"
	}
	return strings.Join(words, "-")
}

// assign gives every clause its id. Explicit ids come first, so that a generated one never takes the name that an owner chose.
func (p *parser) assign() {
	explicit := map[string]*item{}
	for _, it := range p.items {
		if it.explicit == "" {
			continue
		}
		if other := explicit[it.explicit]; other != nil {
			p.report(it.idAt, CodeDuplicateID, fmt.Sprintf("line %d has the id %q already", other.span.Line, it.explicit), "choose another one")
			it.explicit = ""
			continue
		}
		explicit[it.explicit] = it
	}
	d := p.doc
	d.byID = map[string]int{}
	for _, it := range p.items {
		generated := it.generated()
		if other := explicit[generated]; it.explicit == "" && other != nil {
			p.report(other.idAt, CodeDuplicateID, fmt.Sprintf("%q is the id of the clause in line %d", generated, it.span.Line), "choose another one")
		}
		it.id = generated
		if it.explicit != "" {
			it.id = it.explicit
		}
		for base, n := it.id, 2; it.explicit == "" && (explicit[it.id] != nil || p.taken(it.id)); n++ {
			it.id = base + "-" + strconv.Itoa(n)
		}
		if it.text == "" {
			continue
		}
		d.byID[it.id] = len(d.Clauses)
		d.Clauses = append(d.Clauses, it.clause())
	}
}

func (p *parser) taken(id string) bool {
	_, ok := p.doc.byID[id]
	return ok
}

func (it *item) generated() string {
	if it.outer != nil {
		return it.outer.id + "." + strconv.Itoa(it.ordinal)
	}
	return it.section.slug + "/" + strconv.Itoa(it.ordinal)
}

// parent is the clause to read with this one; list items without words are passed over.
func (it *item) parent() *item {
	for o := it; o != nil; o = o.outer {
		if o != it && o.text != "" {
			return o
		}
		if o.lead != nil {
			return o.lead
		}
	}
	return nil
}

func (it *item) clause() Clause {
	c := Clause{ID: it.id, Heading: it.heading, Text: it.text, Span: it.span, Hash: hashText(it.text), Ordinal: it.ordinal}
	if up := it.parent(); up != nil {
		c.Parent = up.id
	}
	for up := it.parent(); up != nil; up = up.parent() {
		c.Depth++
	}
	return c
}
