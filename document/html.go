package document

import (
	"bytes"
	"html"
	"strings"

	nethtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// The elements that matter to the outline. Those that are in no set are read through.
var (
	unseen = map[atom.Atom]bool{
		atom.Script: true, atom.Style: true, atom.Template: true, atom.Noscript: true, atom.Title: true, atom.Svg: true, atom.Math: true, atom.Nav: true, atom.Button: true,
		atom.Select: true, atom.Textarea: true, atom.Iframe: true, atom.Object: true, atom.Audio: true, atom.Video: true, atom.Canvas: true, atom.Pre: true, atom.Dialog: true,
	}
	voids = map[atom.Atom]bool{
		atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true, atom.Link: true, atom.Meta: true, atom.Source: true, atom.Track: true, atom.Wbr: true,
	}
	paragraphs = map[atom.Atom]bool{
		atom.P: true, atom.Div: true, atom.Section: true, atom.Article: true, atom.Main: true, atom.Header: true, atom.Footer: true, atom.Aside: true, atom.Blockquote: true, atom.Address: true, atom.Figure: true,
		atom.Figcaption: true, atom.Details: true, atom.Summary: true, atom.Hr: true, atom.Body: true, atom.Center: true, atom.Fieldset: true, atom.Caption: true, atom.Dl: true,
	}
	headings = map[atom.Atom]int{atom.H1: 1, atom.H2: 2, atom.H3: 3, atom.H4: 4, atom.H5: 5, atom.H6: 6}

	invisible = lazyregexp.New(`(?i)(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?:px|pt|em|rem|%)?\s*(?:;|$)|opacity\s*:\s*0(?:\.0*)?\s*(?:;|$))`)
)

// html reads the tokens of HTML as they come. No tree is built, so that memory does not depend on how deep elements are nested.
func (p *reader) html() {
	h := &htmlReader{reader: p, start: -1}
	z := nethtml.NewTokenizer(bytes.NewReader(p.doc.Source))
	z.SetMaxBuf(MaxSource)
	at := 0
	for {
		kind := z.Next()
		raw := z.Raw()
		from := at
		at += len(raw)
		switch kind {
		case nethtml.ErrorToken:
			h.flush()
			h.row()
			if len(p.items) == 0 && len(bytes.TrimSpace(p.doc.Source)) > 0 {
				p.report(0, CodeNoText, "the page shows no text", "if a program in it writes the text, save what the browser shows")
			}
			return
		case nethtml.TextToken:
			if h.skip == 0 {
				h.text(string(raw), from)
			}
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			name, more := z.TagName()
			tag := atom.Lookup(name)
			hidden := false
			for more {
				var k, v []byte
				k, v, more = z.TagAttr()
				hidden = hidden || string(k) == "hidden" || string(k) == "style" && invisible.Match(v)
			}
			h.startTag(tag, hidden, kind == nethtml.SelfClosingTagToken)
		case nethtml.EndTagToken:
			name, _ := z.TagName()
			h.endTag(atom.Lookup(name))
		}
	}
}

type htmlReader struct {
	*reader
	skip     int       // how deep we are in what is not shown
	skipping atom.Atom // the element that began it
	heard    strings.Builder
	start    int // of the words in the source; -1 for none yet
	end      int
	level    int // of the heading that is being read
	open     []frame
	lead     *item // the paragraph before a list or table, where it ends in a colon
	cells    []string
	rowStart int
	rowEnd   int
}

// frame is a list, an item of one, a term of a glossary, or a table.
type frame struct {
	tag  atom.Atom
	item *item // of an item or term: its clause; of a table: the row of names
	lead *item // of a list or table
}

func (h *htmlReader) top() *frame {
	if len(h.open) == 0 {
		return nil
	}
	return &h.open[len(h.open)-1]
}

func (h *htmlReader) text(raw string, from int) {
	words := html.UnescapeString(raw)
	if trimmed := strings.TrimSpace(raw); trimmed != "" {
		lead := strings.Index(raw, trimmed)
		if h.start < 0 {
			h.start = from + lead
		}
		h.end = from + lead + len(trimmed)
	}
	h.heard.WriteString(words)
}

func (h *htmlReader) startTag(tag atom.Atom, hidden, closed bool) {
	if h.skip > 0 {
		if tag == h.skipping && !closed {
			h.skip++
		}
		return
	}
	if (unseen[tag] || hidden) && !voids[tag] {
		if !closed && tag != 0 {
			h.skip, h.skipping = 1, tag
		}
		return
	}
	switch {
	case tag == atom.Br:
		h.heard.WriteByte('\n')
	case headings[tag] > 0:
		h.flush()
		h.level = headings[tag]
	case tag == atom.Ul, tag == atom.Ol:
		h.flush()
		h.push(frame{tag: atom.Ul, lead: h.lead})
	case tag == atom.Li:
		h.flush()
		h.close(atom.Li, atom.Ul)
		lead := (*item)(nil)
		if t := h.top(); t != nil {
			lead = t.lead
		}
		h.push(frame{tag: atom.Li, lead: lead})
	case tag == atom.Dt, tag == atom.Dd:
		h.flush()
		if tag == atom.Dt {
			h.close(atom.Dt, atom.Dl)
			h.push(frame{tag: atom.Dt})
		}
	case tag == atom.Table:
		h.flush()
		h.row()
		h.push(frame{tag: atom.Table, lead: h.lead})
	case tag == atom.Tr:
		h.flush()
		h.row()
	case tag == atom.Td, tag == atom.Th:
		h.cell()
	case paragraphs[tag]:
		h.flush()
		h.level = 0
	}
}

func (h *htmlReader) endTag(tag atom.Atom) {
	if h.skip > 0 {
		if tag == h.skipping {
			h.skip--
		}
		return
	}
	switch {
	case headings[tag] > 0:
		h.flush()
		h.level = 0
	case tag == atom.Ul, tag == atom.Ol:
		h.flush()
		h.close(atom.Ul, atom.Table)
	case tag == atom.Li:
		h.flush()
		h.close(atom.Li, atom.Ul)
	case tag == atom.Dl:
		h.flush()
		h.close(atom.Dt, atom.Table)
	case tag == atom.Table:
		h.flush()
		h.row()
		h.close(atom.Table, 0)
	case tag == atom.Tr:
		h.row()
	case tag == atom.Td, tag == atom.Th:
		h.cell()
	case paragraphs[tag]:
		h.flush()
	}
}

func (h *htmlReader) push(f frame) {
	if len(h.open) < 4*maxNesting {
		h.open = append(h.open, f)
	}
}

// close ends the innermost element of a kind that is open, and what is open in it; an element of the other kind around keeps it open.
func (h *htmlReader) close(tag, within atom.Atom) {
	for i := len(h.open) - 1; i >= 0; i-- {
		switch h.open[i].tag {
		case tag:
			h.open = h.open[:i]
			return
		case within, atom.Table:
			return
		}
	}
}

// inTable reports whether a cell would take the words.
func (h *htmlReader) inTable() bool {
	for i := len(h.open) - 1; i >= 0; i-- {
		if h.open[i].tag == atom.Table {
			return true
		}
	}
	return false
}

// flush ends a paragraph or heading. In a table paragraphs are parts of the row.
func (h *htmlReader) flush() {
	if h.inTable() {
		h.heard.WriteByte('\n')
		return
	}
	words := h.heard.String()
	h.heard.Reset()
	start, end := h.start, h.end
	h.start = -1
	if start < 0 || normalise(words) == "" {
		return
	}
	if h.level > 0 {
		h.reader.open(h.level, normalise(words), start)
		h.open, h.lead = h.open[:0], nil
		return
	}
	t := h.top()
	if t == nil {
		it := h.words(words, start, end, nil, nil)
		h.introduce(it)
		return
	}
	it := h.words(words, start, end, h.around(), t.lead)
	if t.item == nil && (t.tag == atom.Li || t.tag == atom.Dt) {
		t.item = it
	}
	h.introduce(it)
}

func (h *htmlReader) introduce(it *item) {
	h.lead = nil
	if it != nil && strings.HasSuffix(it.text, ":") {
		h.lead = it
	}
}

// around is the clause that the next one stands in.
func (h *htmlReader) around() *item {
	for i := len(h.open) - 1; i >= 0; i-- {
		if h.open[i].item != nil {
			return h.open[i].item
		}
	}
	return nil
}

// cell ends a cell of the row.
func (h *htmlReader) cell() {
	if !h.inTable() {
		h.flush()
		return
	}
	words := normalise(h.heard.String())
	h.heard.Reset()
	if words == "" {
		return
	}
	if len(h.cells) == 0 {
		h.rowStart = h.start
	}
	h.cells = append(h.cells, words)
	h.rowEnd = h.end
	h.start = -1
}

// row ends a row. The first one of a table names the columns, and the others stand under it.
func (h *htmlReader) row() {
	if !h.inTable() {
		return
	}
	h.cell()
	if len(h.cells) == 0 || h.rowStart < 0 {
		h.cells = nil
		return
	}
	i := len(h.open) - 1
	for h.open[i].tag != atom.Table {
		i--
	}
	t := &h.open[i]
	words := strings.Join(h.cells, " | ")
	h.cells = nil
	if t.item != nil {
		h.words(words, h.rowStart, h.rowEnd, t.item, nil)
		return
	}
	rest := h.open
	h.open = h.open[:i]
	in := h.around()
	h.open = rest
	t.item = h.words(words, h.rowStart, h.rowEnd, in, t.lead)
	h.lead = nil
}
