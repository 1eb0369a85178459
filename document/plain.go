package document

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// plain reads text whose outline shows in its lines: blank lines, indents, marks and numbers.
func (p *reader) plain() {
	o := &outline{reader: p}
	o.cut()
	o.run()
}

// outline is the lines of a text and what is open while they are read.
type outline struct {
	*reader
	lines []line
	large map[int]int // lines that are headings by the size of their letters, with their level

	para  []line // the lines of the paragraph that is being read
	label string
	in    *item
	open  []mark
	lead  *item // a paragraph that ends in a colon, for the list that follows
}

// line is one line of the text. Its start and end are offsets without the white space around.
type line struct {
	start, end int
	indent     int
	text       string
}

// mark is an item that is open, with the kind of mark that began it.
type mark struct {
	kind   string
	indent int
	label  string
	item   *item
}

func (o *outline) cut() {
	src := o.doc.Source
	for i, start := range o.starts {
		end := len(src)
		if i+1 < len(o.starts) {
			end = o.starts[i+1]
		}
		raw := src[start:end]
		indent := 0
		for _, r := range string(raw[:min(len(raw), 200)]) {
			if r == '\t' {
				indent += 4 - indent%4
			} else if r == ' ' || r == '\u00a0' {
				indent++
			} else if r != '\f' && r != '\ufeff' {
				break
			}
		}
		trimmed := bytes.TrimLeftFunc(raw, blank)
		start += len(raw) - len(trimmed)
		trimmed = bytes.TrimRightFunc(trimmed, blank)
		o.lines = append(o.lines, line{start, start + len(trimmed), indent, string(trimmed)})
	}
}

func blank(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }

var (
	markPattern   = lazyregexp.New(`^(?:([-*•‣–·◦▪●])|((?:\d{1,4}\.)+\d{1,4}|\d{1,4})([.)]?)|\(?(\d{1,3}|[ivxlcIVXLC]{1,6}|[a-zA-Z])[.)])[ \t\x{a0}]+(\S)`)
	namedSection  = lazyregexp.New(`^(?i:(part|chapter|title)|article|section|clause|rule|schedule|annex|appendix|§)\s*(?:\d{1,4}(?:\.\d{1,4})*|[IVXLC]{1,6}|[A-Z])\b[.:)–—-]*\s*`)
	underline     = lazyregexp.New(`^(?:={3,}|-{3,}|_{3,}|\*{3,})$`)
	sayingWord    = lazyregexp.New(`(?i)\b(?:must|shall|may|should|can|cannot|will|is|are|has|have|not|if|unless)\b`)
	lettersInside = lazyregexp.New(`\pL`)
)

func (o *outline) run() {
	fresh := true // a block begins here
	for i := 0; i < len(o.lines); i++ {
		l := o.lines[i]
		if l.text == "" {
			o.flush()
			fresh = true
			continue
		}
		if underline.MatchString(l.text) {
			o.flush()
			fresh = true
			continue
		}
		if level, name := o.heading(i, fresh); level > 0 {
			o.flush()
			o.open, o.lead = nil, nil
			o.named(level, l.text, name, l.start)
			fresh = true
			continue
		}
		if kind, label, rest := o.marked(l, fresh || len(o.para) == 0 || len(o.open) > 0 || strings.HasSuffix(o.para[len(o.para)-1].text, ":") || strings.HasSuffix(o.para[len(o.para)-1].text, ";")); kind != "" {
			o.flush()
			o.begin(kind, label, l, rest)
			fresh = false
			continue
		}
		if fresh {
			for len(o.open) > 0 && l.indent <= o.open[len(o.open)-1].indent {
				o.open = o.open[:len(o.open)-1]
			}
			o.in = nil
			if n := len(o.open); n > 0 {
				o.in = o.open[n-1].item
			}
			o.label = ""
		}
		o.para = append(o.para, l)
		fresh = false
	}
	o.flush()
}

// flush ends the paragraph.
func (o *outline) flush() {
	if len(o.para) == 0 {
		return
	}
	var b strings.Builder
	for i, l := range o.para {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l.text)
	}
	lead := o.lead
	if o.label == "" && len(o.open) == 0 || o.in != nil {
		lead = nil
	}
	it := o.words(b.String(), o.para[0].start, o.para[len(o.para)-1].end, o.in, lead)
	if it != nil {
		it.label = strings.TrimLeft(o.label, "-*•‣–·◦▪●")
		if n := len(o.open); n > 0 && o.open[n-1].item == nil {
			o.open[n-1].item = it
		} else if n == 0 {
			o.lead = nil
			if strings.HasSuffix(it.text, ":") {
				o.lead = it
			}
		}
	}
	o.para, o.label = o.para[:0], ""
}

// begin opens an item. Items of the kind that is open already stand beside it, others in it.
func (o *outline) begin(kind, label string, l line, rest int) {
	at := -1
	for i, m := range o.open {
		if m.kind == kind && (kind != "bullet" || l.indent <= m.indent+1) {
			at = i
			break
		}
		if kind == "bullet" && m.kind != "bullet" && l.indent < m.indent {
			at = i
			break
		}
	}
	if at >= 0 {
		o.open = o.open[:at]
	}
	o.in = nil
	if n := len(o.open); n > 0 {
		o.in = o.open[n-1].item
	}
	o.open = append(o.open, mark{kind, l.indent, label, nil})
	o.label = label
	l.start += rest
	l.text = l.text[rest:]
	o.para = append(o.para, l)
}

// marked tells the kind of mark that a line begins with, the mark, and where the words begin. A number without a point or bracket is a mark only where an item may begin.
func (o *outline) marked(l line, may bool) (kind, label string, rest int) {
	m := markPattern.FindStringSubmatchIndex(l.text)
	if m == nil {
		return "", "", 0
	}
	rest = m[10]
	label = strings.TrimSpace(l.text[:rest])
	group := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return l.text[m[2*i]:m[2*i+1]]
	}
	switch {
	case group(1) != "":
		if !may {
			return "", "", 0
		}
		return "bullet", label, rest
	case group(2) != "":
		levels := strings.Count(group(2), ".")
		if levels == 0 && group(3) == "" || !may && levels == 0 {
			return "", "", 0
		}
		return "number" + string(rune('0'+min(levels, 9))), strings.TrimRight(label, "."), rest
	}
	letter := group(4)
	upper := unicode.IsUpper(rune(letter[0]))
	kind = "letter"
	if unicode.IsDigit(rune(letter[0])) {
		kind = "digit"
	} else if roman(letter) && !o.follows(letter) {
		kind = "roman"
	} else if len(letter) > 1 {
		return "", "", 0
	}
	if upper {
		kind = "upper " + kind
		if !strings.HasPrefix(l.text, "(") && !may {
			return "", "", 0 // an initial at the start of a line
		}
	}
	return kind, label, rest
}

func roman(s string) bool { return strings.Trim(strings.ToLower(s), "ivxlc") == "" }

// follows reports whether a letter continues the letters of an open list, as (i) behind (h).
func (o *outline) follows(letter string) bool {
	if len(letter) != 1 {
		return false
	}
	for _, m := range o.open {
		if strings.HasSuffix(m.kind, "letter") && strings.Trim(m.label, "().") == string(letter[0]-1) {
			return true
		}
	}
	return false
}

// heading tells the level of a line that is one and its name without a number; 0 for other lines.
func (o *outline) heading(i int, fresh bool) (level int, name string) {
	l := o.lines[i]
	next := line{}
	if i+1 < len(o.lines) {
		next = o.lines[i+1]
	}
	name = l.text
	if m := markPattern.FindStringSubmatchIndex(l.text); m != nil {
		name = l.text[m[10]:]
	}
	short := utf8.RuneCountInString(name) <= 90 && len(strings.Fields(name)) <= 12 && lettersInside.MatchString(name)
	if !short {
		return 0, ""
	}
	if level := o.large[i]; level > 0 {
		return level, orName(namedSection.ReplaceAllString(name, ""), name)
	}
	if len(o.para) == 0 && underline.MatchString(next.text) && len(next.text)+2 >= len(l.text)/2 && next.text[0] != '_' && next.text[0] != '*' {
		if next.text[0] == '=' {
			return 1, name
		}
		return 2, name
	}
	first, _ := utf8.DecodeRuneInString(name)
	if !fresh && next.text != "" || strings.ContainsRune(".;:,?!", rune(l.text[len(l.text)-1])) || !unicode.IsUpper(first) && !unicode.IsDigit(first) {
		return 0, ""
	}
	if s := namedSection.FindStringSubmatchIndex(l.text); s != nil && !sayingWord.MatchString(l.text[s[1]:]) {
		level = 2
		if s[2] >= 0 {
			level = 1
		}
		return level, orName(l.text[s[1]:], l.text)
	}
	if m := markPattern.FindStringSubmatch(l.text); m != nil {
		if m[2] == "" || strings.Count(m[2], ".") == 0 && m[3] == "" || sayingWord.MatchString(name) {
			return 0, ""
		}
		if after := o.after(i); after != "" {
			if n := markPattern.FindStringSubmatch(after); n != nil && n[2] != "" && strings.Count(n[2], ".") == strings.Count(m[2], ".") {
				return 0, "" // a list of short items
			}
		}
		if next.text != "" {
			if n := markPattern.FindStringSubmatch(next.text); n == nil || !strings.HasPrefix(n[2], m[2]+".") {
				return 0, ""
			}
		}
		return strings.Count(m[2], ".") + 2, name
	}
	if strings.ToUpper(name) == name && strings.ToLower(name) != name && utf8.RuneCountInString(name) > 2 && fresh {
		return 1, name
	}
	if fresh && next.text == "" && len(strings.Fields(name)) <= 6 && !sayingWord.MatchString(name) && o.after(i) != "" && titled(name) {
		return 2, name
	}
	return 0, ""
}

// titled reports whether a short line alone looks like a title: it has no figures, commas or brackets, as addresses, dates and signatures have.
func titled(name string) bool { return !strings.ContainsAny(name, "0123456789,()@|") }

// after is the first line that is not blank below a line.
func (o *outline) after(i int) string {
	for _, l := range o.lines[i+1:] {
		if l.text != "" {
			return l.text
		}
	}
	return ""
}

func orName(name, other string) string {
	if strings.TrimSpace(name) == "" {
		return other
	}
	return name
}
