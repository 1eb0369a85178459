package document

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

const (
	maxNesting = 24  // items in items; what is nested deeper is read as standing beside
	maxSlug    = 100 // bytes of a slug
)

type reader struct {
	doc      *Document
	diags    proviso.Diagnostics
	starts   []int // offset of each line
	section  *section
	headings []*section // the headings that are open, outermost first
	sections map[string]bool
	again    map[string]int // the last number that was put behind an id
	overfull bool
	items    []*item // all clauses to be, in the order of the text
}

// section is what stands under one heading.
type section struct {
	level  int
	own    string   // the slug of the title alone
	slug   string   // unique
	titles []string // from the outermost heading to its own
	count  int      // clauses directly in it
}

// item is a clause whose id is not known yet, or a list item without words of its own, which has a number but is no clause.
type item struct {
	section  *section
	outer    *item  // the item it stands in
	lead     *item  // the paragraph that introduces it
	count    int    // clauses directly in it
	depth    int    // items around it
	label    string // the number that the owner gave it
	ordinal  int
	text     string
	span     proviso.Span
	explicit string
	idAt     int // offset of the explicit id
	id       string
}

func (p *reader) readable() bool {
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

func (p *reader) lineStarts() {
	p.starts = append(p.starts[:0], 0)
	for i, c := range p.doc.Source {
		if c == '\n' {
			p.starts = append(p.starts, i+1)
		}
	}
}

// lineAt returns the line, from 1, of an offset.
func (p *reader) lineAt(at int) int {
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

func (p *reader) report(at int, code, msg, hint string) {
	pos := proviso.Pos{File: p.doc.File, Line: 1, Col: 1}
	if len(p.starts) > 0 {
		pos.Line = p.lineAt(at)
		pos.Col = at - p.starts[pos.Line-1] + 1
	}
	p.diags = append(p.diags, proviso.Diagnostic{Pos: pos, Code: code, Msg: msg, Hint: hint})
}

var (
	explicitID  = lazyregexp.New(`(?:^|[ \t\r\n])[ \t\r\n]*\{#([^{}\r\n]*)\}[ \t\r\n]*$`)
	validID     = lazyregexp.New(`^[\pL\pN][\pL\pN._/-]*$`)
	idSpelledAs = "letters, digits, '.', '_', '/' and '-', starting with a letter or digit"
)

// place numbers the next clause of an item or of the section.
func (p *reader) place(in *item) *item {
	for in != nil && in.depth >= maxNesting {
		in = in.outer
	}
	it := &item{section: p.section, outer: in}
	if len(p.items) == MaxClauses {
		p.full()
		return it
	}
	if in != nil {
		it.depth = in.depth + 1
		in.count++
		it.ordinal = in.count
	} else {
		p.section.count++
		it.ordinal = p.section.count
	}
	p.items = append(p.items, it)
	return it
}

// open begins a section. The title may end in an explicit id.
func (p *reader) open(level int, title string, at int) { p.named(level, title, title, at) }

// named is open for a title of which only a part, such as that behind its number, makes the slug: sections keep their ids when they are numbered anew.
func (p *reader) named(level int, title, name string, at int) {
	if len(p.sections) == MaxClauses {
		p.full()
		return
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
		own = slug(explicitID.ReplaceAllString(name, ""))
	}
	for len(p.headings) > 0 && p.headings[len(p.headings)-1].level >= level {
		p.headings = p.headings[:len(p.headings)-1]
	}
	s := &section{level: level, own: own, slug: own}
	for i := len(p.headings) - 1; i >= 0 && p.sections[s.slug]; i-- {
		s.slug = p.headings[i].own + "/" + s.slug
	}
	for base := s.slug; p.sections[s.slug]; {
		p.again[base] = max(2, p.again[base]+1)
		s.slug = base + "-" + strconv.Itoa(p.again[base])
	}
	p.sections[s.slug] = true
	for _, h := range p.headings {
		s.titles = append(s.titles, h.titles[len(h.titles)-1])
	}
	s.titles = append(s.titles, title)
	p.headings = append(p.headings, s)
	p.section = s
}

// full says once that the rest of the text is not read.
func (p *reader) full() {
	if !p.overfull {
		p.overfull = true
		p.report(0, CodeSource, fmt.Sprintf("the text has more than %d clauses or headings", MaxClauses), "split it into several packs")
	}
}

// words adds a clause whose words are given, for formats in which they do not stand in the source as they are read; nil where there are none.
func (p *reader) words(words string, start, end int, in, lead *item) *item {
	words = normalise(words)
	explicit := ""
	if m := explicitID.FindStringSubmatchIndex(words); m != nil {
		explicit, words = words[m[2]:m[3]], words[:m[0]]
		if i := bytes.LastIndex(p.doc.Source[start:end], []byte("{#")); i >= 0 {
			end = start + len(bytes.TrimRightFunc(p.doc.Source[start:start+i], blank))
		}
		if !validID.MatchString(explicit) {
			p.report(start, CodeExplicitID, fmt.Sprintf("the id %q is malformed", explicit), "use "+idSpelledAs)
			explicit = ""
		}
	}
	if words == "" {
		return nil
	}
	it := p.place(in)
	it.lead, it.text, it.explicit, it.idAt = lead, words, explicit, start
	it.span = proviso.Span{File: p.doc.File, Start: start, End: end, Line: p.lineAt(start)}
	return it
}

// slug keeps letters and digits in lower case and joins the runs of them with hyphens.
func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	if len(words) == 0 {
		return "section"
	}
	out := strings.Join(words, "-")
	if n := 0; len(out) > maxSlug {
		for n = maxSlug; !utf8.RuneStart(out[n]); n-- {
		}
		out = strings.Trim(out[:n], "-")
	}
	return out
}

// assign gives every clause its id. Explicit ids come first, so that a generated one never takes the name that an owner chose.
func (p *reader) assign() {
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
		for base := it.id; it.explicit == "" && (explicit[it.id] != nil || p.taken(it.id)); {
			p.again[base] = max(2, p.again[base]+1)
			it.id = base + "-" + strconv.Itoa(p.again[base])
		}
		if it.text == "" {
			continue
		}
		d.byID[it.id] = len(d.Clauses)
		d.Clauses = append(d.Clauses, it.clause())
	}
}

func (p *reader) taken(id string) bool {
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
	c := Clause{ID: it.id, Heading: it.section.titles, Text: it.text, Span: it.span, Hash: hashText(it.text), Ordinal: it.ordinal, Label: it.label, Explicit: it.explicit != ""}
	if up := it.parent(); up != nil {
		c.Parent = up.id
	}
	for up := it.parent(); up != nil; up = up.parent() {
		c.Depth++
	}
	return c
}
