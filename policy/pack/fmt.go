package pack

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Format returns a YAML file of a pack in the canonical layout: two spaces for each level, lists below their key indented, one space around what stands in braces,
// at most one blank line in a row. What is written in braces stays so, with its line breaks; spellings, quotes, order and comments stay.
// Format is idempotent, and the result reads as the input did: both are checked on every call. Where the file is broken, or something of it could not be kept, src is returned unchanged together with the error, a proviso.Diagnostics.
func Format(file string, src []byte) ([]byte, error) {
	out, ds := formatOnce(file, src)
	if ds != nil {
		return src, ds
	}
	again, ds := formatOnce(file, out)
	if ds != nil || string(again) != string(out) {
		return src, proviso.Diagnostics{{Pos: proviso.Pos{File: file, Line: 1, Col: 1}, Code: CodeLayout, Severity: proviso.Warning,
			Msg: "this file cannot be laid out without changing what it says", Hint: "move the comments that stand between brackets to lines of their own"}}
	}
	return out, nil
}

// formatOnce lays a file out and compares what was read with what is read back.
func formatOnce(file string, src []byte) ([]byte, proviso.Diagnostics) {
	root, ds := parseYAML(file, src)
	if ds != nil {
		return nil, ds
	}
	f := &formatter{src: newYAMLFile(file, src)}
	f.comments = f.src.comments(root)
	if root != nil {
		f.document(root)
	}
	f.flush(1<<30, -1, 0)
	out := []byte(f.out.String())
	back, ds := parseYAML(file, out)
	if ds == nil && sameNode(root, back) && sameComments(f.comments, newYAMLFile(file, out).comments(back)) {
		return out, nil
	}
	return nil, proviso.Diagnostics{{Pos: proviso.Pos{File: file, Line: 1, Col: 1}, Code: CodeLayout, Severity: proviso.Warning,
		Msg: "this file cannot be laid out without losing something", Hint: "write it in plain indented YAML, with comments on lines of their own"}}
}

// comment is a comment of a YAML file, from its '#' to the end of the line.
type comment struct {
	line, column int // from 1
	text         string
}

// comments finds the comments of a file: every '#' outside of the scalars.
func (s *yamlFile) comments(root *yamlNode) (out []comment) {
	skip := map[int]int{} // start of a scalar → its end
	if root != nil {
		s.spans(root, skip)
	}
	for i := 0; i < len(s.text); i++ {
		if end, ok := skip[i]; ok && end > i {
			i = end - 1
			continue
		}
		if s.text[i] != '#' {
			continue
		}
		end := strings.IndexByte(s.text[i:], '\n')
		if end < 0 {
			end = len(s.text) - i
		}
		p := s.pos(i)
		out = append(out, comment{p.Line, p.Col, strings.TrimRight(s.text[i:i+end], " \t")})
		i += end
	}
	return out
}

// spans collects where the bytes of scalars stand. The header of a block text does not count: a comment may follow it.
func (s *yamlFile) spans(n *yamlNode, skip map[int]int) {
	for _, x := range n.items {
		s.spans(x, skip)
	}
	for _, x := range n.fields {
		s.spans(x.key, skip)
		s.spans(x.value, skip)
	}
	if n.kind == yamlList || n.kind == yamlMap || n.kind == yamlNull && n.text == "" {
		return
	}
	start, end := s.extent(n)
	skip[start] = end
}

// extent is the range of bytes of a scalar's text, with its quotes and without its block header.
func (s *yamlFile) extent(n *yamlNode) (start, end int) {
	_, offs, _ := s.scalar(n.off, n.style, n.text)
	end = int(offs[len(offs)-1])
	switch n.style {
	case singleStyle, doubleStyle:
		return n.off, end + 1
	case literalStyle, foldedStyle:
		if eol := strings.IndexByte(s.text[n.off:], '\n'); eol >= 0 {
			return n.off + eol + 1, max(end, n.off+eol+1)
		}
		return len(s.text), len(s.text)
	}
	return n.off, end
}

func sameComments(a, b []comment) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].text != b[i].text {
			return false
		}
	}
	return true
}

// sameNode reports whether two files say the same: kinds, texts, numbers, and the order of keys.
func sameNode(a, b *yamlNode) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.kind != b.kind || a.text != b.text || a.num != b.num || len(a.items) != len(b.items) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.items {
		if !sameNode(a.items[i], b.items[i]) {
			return false
		}
	}
	for i := range a.fields {
		if a.fields[i].key.text != b.fields[i].key.text || !sameNode(a.fields[i].value, b.fields[i].value) {
			return false
		}
	}
	return true
}

// formatter prints nodes in order and weaves the comments in by their lines.
type formatter struct {
	src      *yamlFile
	comments []comment
	next     int // of comments, the first that is not printed yet
	out      strings.Builder
	opened   bool // the last line opened a collection: no blank line follows
	kept     bool // the last line ended a block text that keeps its blank lines: none is added
}

func (f *formatter) line(n *yamlNode) int { return f.src.pos(n.off).Line }

// lastLine is the line on which the last byte of a node stands.
func (f *formatter) lastLine(n *yamlNode) int {
	switch {
	case len(n.items) > 0:
		return f.lastLine(n.items[len(n.items)-1])
	case len(n.fields) > 0:
		last := n.fields[len(n.fields)-1]
		return max(f.lastLine(last.key), f.lastLine(last.value))
	case n.kind == yamlNull && n.text == "":
		return 0
	case n.kind == yamlList || n.kind == yamlMap:
		return f.line(n)
	}
	start, end := f.src.extent(n)
	return f.src.pos(max(start, end-1)).Line
}

func (f *formatter) document(root *yamlNode) {
	if f.isBlock(root) {
		f.block(root, 0, 0, 1<<30)
		return
	}
	f.flush(f.line(root), -1, 0)
	f.blank(f.line(root))
	f.out.WriteString(f.flow(root, 2))
	f.endLine(f.lastLine(root))
}

// isBlock reports whether a node is printed as indented lines: a collection that is written so, or that is in braces with comments between them.
func (f *formatter) isBlock(n *yamlNode) bool {
	if len(n.items)+len(n.fields) == 0 {
		return false
	}
	if n.style != flowStyle {
		return true
	}
	first, last := f.line(n), f.lastLine(n)
	for _, c := range f.comments[f.next:] {
		if c.line >= first && c.line < last {
			return true
		}
	}
	return false
}

// entry is one member of a collection: a key with its value, or an item of a list.
type entry struct {
	key, value *yamlNode
	off        int // of the key, the dash, or the item where no dash stands
}

func entriesOf(n *yamlNode) []entry {
	out := make([]entry, 0, len(n.fields)+len(n.items))
	for _, x := range n.fields {
		out = append(out, entry{x.key, x.value, x.key.off})
	}
	for i, x := range n.items {
		off := x.off
		if i < len(n.dashes) {
			off = n.dashes[i]
		}
		out = append(out, entry{nil, x, off})
	}
	return out
}

func (f *formatter) entryLine(e entry) int { return f.src.pos(e.off).Line }

// block prints the entries of a collection. owner is the column of the key or dash that it belongs to; limit is the line of what follows it in the file.
func (f *formatter) block(n *yamlNode, indent, owner, limit int) {
	list := entriesOf(n)
	for i, e := range list {
		until := limit
		if i+1 < len(list) {
			until = f.entryLine(list[i+1])
		}
		f.entry(e, indent, until, i == 0 && f.dashed())
	}
	f.flush(limit, owner, indent)
}

// dashed reports whether the line so far ends with the dash of a list entry, behind which the first entry of a nested block stands.
func (f *formatter) dashed() bool { return strings.HasSuffix(f.out.String(), "- ") }

func (f *formatter) entry(e entry, indent, until int, behindDash bool) {
	line := f.entryLine(e)
	if !behindDash {
		f.flush(line, -1, indent)
		f.blank(line)
		f.out.WriteString(strings.Repeat(" ", indent))
	}
	f.kept = false
	column := f.src.pos(e.off).Col
	head := "-"
	if e.key != nil {
		head = f.spelled(e.key) + ":"
	}
	f.out.WriteString(head)
	switch {
	case !f.isBlock(e.value):
		first, body := f.inline(e.value, indent+2)
		f.out.WriteString(first)
		f.endLine(f.endOf(e))
		f.out.WriteString(body)
	case e.key == nil && !f.commentBefore(f.entryLine(entriesOf(e.value)[0])):
		f.out.WriteString(" ")
		f.block(e.value, indent+2, column, until)
	default:
		f.endLine(line)
		f.opened = true
		f.block(e.value, indent+2, column, until)
	}
}

// commentBefore reports whether a comment is waiting that stands before a line.
func (f *formatter) commentBefore(line int) bool {
	return f.next < len(f.comments) && f.comments[f.next].line < line
}

// endOf is the line on which the printed line of an entry ends in the file: behind its value, or at the header of a block text.
func (f *formatter) endOf(e entry) int {
	if e.value.style == literalStyle || e.value.style == foldedStyle {
		return f.line(e.value)
	}
	return max(f.lastLine(e.value), f.entryLine(e))
}

// endLine ends a line of output, with the comment that stands behind it in the file.
func (f *formatter) endLine(line int) {
	if f.commentBefore(line + 1) {
		f.out.WriteString(" " + f.comments[f.next].text)
		f.next++
	}
	f.out.WriteString("\n")
	f.opened = false
}

// flush prints the comments that stand before a line of the file and to the right of a column, each on a line of its own.
func (f *formatter) flush(line, right, indent int) {
	for f.commentBefore(line) && f.comments[f.next].column > right {
		c := f.comments[f.next]
		f.next++
		f.blank(c.line)
		f.out.WriteString(strings.Repeat(" ", indent) + c.text + "\n")
		f.opened, f.kept = false, false
	}
}

// blank keeps one blank line that stands before a line of the file.
func (f *formatter) blank(line int) {
	if line < 2 || f.out.Len() == 0 || f.opened || f.kept {
		return
	}
	above := f.src.text[f.src.lines[line-2]:f.src.lines[line-1]]
	if strings.TrimSpace(above) == "" {
		f.out.WriteString("\n")
	}
}

// inline returns what stands behind a key or a dash on its line, and the lines of a block text that follow.
func (f *formatter) inline(n *yamlNode, indent int) (first, body string) {
	switch {
	case n.kind == yamlNull && n.text == "":
		return "", ""
	case n.style == literalStyle || n.style == foldedStyle:
		return f.blockText(n, indent)
	}
	return " " + f.flow(n, indent), ""
}

// flow prints a node in braces or a scalar. Where the file breaks the line between two members, it stays broken, with the members at the given indentation.
func (f *formatter) flow(n *yamlNode, indent int) string {
	opening, closing := "[", "]"
	switch n.kind {
	case yamlMap:
		opening, closing = "{", "}"
	case yamlList:
	default:
		return f.spelled(n)
	}
	var b strings.Builder
	b.WriteString(opening)
	line, hanging := f.line(n), false
	for i, e := range entriesOf(n) {
		start := f.entryLine(e)
		switch {
		case start > line:
			hanging = hanging || i == 0
			b.WriteString("\n" + strings.Repeat(" ", indent))
		case i > 0:
			b.WriteString(" ")
		}
		text := f.flow(e.value, indent+2)
		if e.key != nil {
			text = strings.TrimRight(f.spelled(e.key)+": "+text, " ")
		}
		b.WriteString(text)
		if i < len(n.items)+len(n.fields)-1 {
			b.WriteString(",")
		}
		line = max(start, f.lastLine(e.value))
	}
	if hanging {
		b.WriteString("\n" + strings.Repeat(" ", max(0, indent-2)))
	}
	b.WriteString(closing)
	return b.String()
}

// spelled returns a scalar as it is written, or, where it spreads over lines, on one line.
func (f *formatter) spelled(n *yamlNode) string {
	if n.kind == yamlNull && n.text == "" {
		return ""
	}
	start, end := f.src.extent(n)
	raw := f.src.text[start:end]
	switch {
	case !strings.Contains(raw, "\n") && n.style != literalStyle && n.style != foldedStyle:
		return raw
	case n.style == plainStyle && !strings.Contains(n.text, "\n"):
		return n.text
	case n.style == singleStyle && !strings.Contains(n.text, "\n"):
		return "'" + strings.ReplaceAll(n.text, "'", "''") + "'"
	}
	return doubleQuoted(n.text)
}

// blockText prints a literal or folded text: its header, and its lines at the new indentation.
func (f *formatter) blockText(n *yamlNode, indent int) (first, body string) {
	if strings.Trim(n.text, "\n ") == "" {
		return " " + doubleQuoted(n.text), ""
	}
	r := scalarReader{src: f.src.text, i: n.off + strings.IndexByte(f.src.text[n.off:], '\n') + 1}
	header := strings.TrimRight(f.src.text[n.off:r.i], "\n")
	if i := strings.IndexAny(header, " \t#"); i >= 0 {
		header = header[:i]
	}
	lines, old := r.blockLines()
	keep := strings.Contains(header, "+")
	for !keep && lines[len(lines)-1].empty {
		lines = lines[:len(lines)-1]
	}
	var b strings.Builder
	for _, l := range lines {
		if text := f.src.text[min(l.start+old, l.end):l.end]; !l.empty && text != "" {
			b.WriteString(strings.Repeat(" ", indent) + text)
		}
		b.WriteString("\n")
	}
	f.kept = keep
	return " " + header, b.String()
}

// doubleQuoted writes a text as one double-quoted line.
func doubleQuoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString("\\n")
		case c == '\t':
			b.WriteString("\\t")
		case c <= 0xff && !strconv.IsPrint(c):
			fmt.Fprintf(&b, "\\x%02x", c)
		case c <= 0xffff && !strconv.IsPrint(c):
			fmt.Fprintf(&b, "\\u%04x", c)
		case !strconv.IsPrint(c):
			fmt.Fprintf(&b, "\\U%08x", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
