package document

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// docx reads the main text of an Office Open XML document (ECMA-376): paragraphs, headings, lists and tables. The text that spans are about is made here, one paragraph or row a line.
// Nothing outside of the file is read: a part with a document type declaration, the only place where XML names entities, is refused. What is unpacked is bounded by MaxSource, whatever the archive says about itself.
func (p *reader) docx() {
	src := p.doc.Source
	p.doc.Source = nil
	if len(src) > MaxFile {
		p.unread(CodeSource, fmt.Sprintf("the file has %d bytes, more than %d", len(src), MaxFile), "leave pictures out, or save it as text")
		return
	}
	z, err := zip.NewReader(bytes.NewReader(src), int64(len(src)))
	if err != nil {
		p.unread(CodeBroken, "it is no DOCX file: "+err.Error(), "save it again as .docx; .doc files of old versions are another format")
		return
	}
	styles := map[string]wordStyle{}
	if b, err := unzip(z, "word/styles.xml"); err == nil {
		styles = readStyles(b)
	}
	b, err := unzip(z, "word/document.xml")
	if err != nil {
		p.unread(codeOf(err), err.Error(), "save it again as .docx")
		return
	}
	blocks, err := readWords(b, styles)
	if err != nil {
		p.unread(codeOf(err), "word/document.xml: "+err.Error(), "save it again as .docx")
		return
	}
	if len(blocks) == 0 {
		p.unread(CodeNoText, "there is no text in the file", "if it holds pictures of pages, run a text recognition over them first")
		return
	}
	p.wordBlocks(blocks)
}

// unread reports that a packed file gives no text.
func (p *reader) unread(code, msg, hint string) {
	p.starts = nil
	p.report(0, code, msg, hint)
}

// errLarge says that a part unpacks to more than is read.
var errLarge = errors.New("unpacks to more than is read")

func codeOf(err error) string {
	if errors.Is(err, errLarge) {
		return CodeSource
	}
	return CodeBroken
}

// unzip returns one part of the archive.
func unzip(z *zip.Reader, name string) ([]byte, error) {
	for _, f := range z.File {
		if f.Name != name {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, 4*MaxSource+1))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(b) > 4*MaxSource {
			return nil, fmt.Errorf("%s: %w: %d bytes", name, errLarge, 4*MaxSource)
		}
		return b, nil
	}
	return nil, fmt.Errorf("the archive has no %s", name)
}

// wordStyle is what a paragraph's style says about the outline. Level is 0 for body text, else that of the heading; List is -1 for no list, else the depth.
type wordStyle struct {
	level, list int
}

// wordBlock is a paragraph or a row of a table.
type wordBlock struct {
	text  string
	style wordStyle
	table int // the table that it is a row of, from 1; 0 for none
}

var headingStyle = lazyregexp.New(`(?i)^(?:heading|title)\s*([1-9]?)$`)

// tokens reads the tokens of a part and refuses declarations.
func wordTokens(b []byte, f func(xml.Token) error) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(label string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it is written in %s; only UTF-8 is read", label)
	}
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := t.(xml.Directive); ok {
			return errors.New("it has a document type declaration, which could name files and addresses to be read")
		}
		if err := f(t); err != nil {
			return err
		}
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func readStyles(b []byte) map[string]wordStyle {
	out := map[string]wordStyle{}
	id, s := "", wordStyle{}
	// A part of styles that cannot be read leaves headings to their outline levels.
	_ = wordTokens(b, func(t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "style":
				id, s = attr(t, "styleId"), wordStyle{list: -1}
			case "name":
				if m := headingStyle.FindStringSubmatch(attr(t, "val")); m != nil {
					s.level = 1
					if n, err := strconv.Atoi(m[1]); err == nil {
						s.level = n
					}
				}
			case "basedOn":
				if base, ok := out[attr(t, "val")]; ok && s.level == 0 && s.list < 0 {
					s = base
				}
			default:
				s.paragraph(t)
			}
		case xml.EndElement:
			if t.Name.Local == "style" && len(out) < MaxClauses {
				out[id] = s
			}
		}
		return nil
	})
	return out
}

// paragraph takes what a property of a paragraph says about the outline.
func (s *wordStyle) paragraph(t xml.StartElement) {
	n, err := strconv.Atoi(attr(t, "val"))
	if err != nil {
		return
	}
	switch t.Name.Local {
	case "outlineLvl":
		if n >= 0 && n < 9 {
			s.level = n + 1
		}
	case "ilvl":
		s.list = min(max(n, 0), maxNesting)
	case "numId":
		if n == 0 {
			s.list = -1
		} else {
			s.list = max(s.list, 0)
		}
	}
}

// notText are elements whose words are not part of the document: what a tracked change removed, the codes of fields, and the second form of a drawing.
var notText = map[string]bool{"del": true, "moveFrom": true, "instrText": true, "Fallback": true, "delText": true}

func readWords(b []byte, styles map[string]wordStyle) ([]wordBlock, error) {
	var out []wordBlock
	var words, row strings.Builder
	var style wordStyle
	tables, depth, skip, size := 0, 0, 0, 0
	hidden, inText := false, false
	emit := func(text string, style wordStyle, table int) error {
		if text = normalise(text); text == "" {
			return nil
		}
		if size += len(text) + 1; size > MaxSource {
			return fmt.Errorf("%w: %d bytes of text", errLarge, MaxSource)
		}
		out = append(out, wordBlock{text, style, table})
		if len(out) > 2*MaxClauses {
			return fmt.Errorf("%w: %d paragraphs", errLarge, 2*MaxClauses)
		}
		return nil
	}
	err := wordTokens(b, func(t xml.Token) error {
		switch t := t.(type) {
		case xml.StartElement:
			if skip > 0 || notText[t.Name.Local] {
				skip++
				return nil
			}
			switch t.Name.Local {
			case "p":
				style = wordStyle{list: -1}
			case "pStyle":
				if s, ok := styles[attr(t, "val")]; ok {
					style = s
				}
			case "r":
				hidden = false
			case "vanish":
				hidden = attr(t, "val") != "0" && attr(t, "val") != "false"
			case "t":
				inText = true
			case "tab", "br", "cr":
				words.WriteByte(' ')
			case "noBreakHyphen":
				words.WriteByte('-')
			case "tbl":
				if depth++; depth == 1 {
					tables++
				}
			default:
				style.paragraph(t)
			}
		case xml.EndElement:
			if skip > 0 {
				skip--
				return nil
			}
			switch t.Name.Local {
			case "t":
				inText = false
			case "p":
				if depth > 0 {
					words.WriteByte(' ')
					return nil
				}
				text := words.String()
				words.Reset()
				return emit(text, style, 0)
			case "tc":
				if depth == 1 {
					if row.Len() > 0 {
						row.WriteString(" | ")
					}
					row.WriteString(normalise(words.String()))
					words.Reset()
				}
			case "tr":
				if depth == 1 {
					text := row.String()
					row.Reset()
					return emit(text, wordStyle{list: -1}, tables)
				}
			case "tbl":
				depth--
			}
		case xml.CharData:
			if skip == 0 && inText && !hidden {
				words.Write(t)
			}
		}
		return nil
	})
	return out, err
}

// wordBlocks writes the text and reads its outline.
func (p *reader) wordBlocks(blocks []wordBlock) {
	var b strings.Builder
	at := make([]int, len(blocks))
	for i, k := range blocks {
		at[i] = b.Len()
		b.WriteString(k.text)
		b.WriteByte('\n')
	}
	p.doc.Source = []byte(b.String())
	p.lineStarts()
	var open []mark
	var lead, head *item
	table := 0
	for i, k := range blocks {
		end := at[i] + len(k.text)
		switch {
		case k.table > 0:
			if k.table == table && head != nil {
				p.words(k.text, at[i], end, head, nil)
				continue
			}
			table = k.table
			head = p.words(k.text, at[i], end, nil, lead)
			lead, open = nil, nil
		case k.style.level > 0:
			p.open(k.style.level, k.text, at[i])
			lead, open = nil, nil
		case k.style.list >= 0:
			for len(open) > 0 && open[len(open)-1].indent >= k.style.list {
				open = open[:len(open)-1]
			}
			var in *item
			if len(open) > 0 {
				in = open[len(open)-1].item
			}
			from := lead
			if in != nil {
				from = nil
			}
			it := p.words(k.text, at[i], end, in, from)
			open = append(open, mark{indent: k.style.list, item: it})
		default:
			open = nil
			lead = p.words(k.text, at[i], end, nil, nil)
			if lead != nil && !strings.HasSuffix(lead.text, ":") {
				lead = nil
			}
		}
	}
}
