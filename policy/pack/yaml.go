package pack

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/proviso-dev/proviso"
)

// The limits of one YAML file. A file of a hand-written policy is far below them; what is above them is an attack or a mistake.
const (
	maxYAMLBytes = 1 << 20
	maxYAMLDepth = 64
	maxYAMLNodes = 100_000

	// The parser needs quadratic time for these.
	maxBlankLines  = 100  // in a row
	maxBlanks      = 1000 // spaces and tabs in a row
	maxEmptyValues = 1000 // keys and list entries without a value
	maxBlockKeys   = 5000 // of one map that is not written in braces
)

// yamlKind is the kind of a YAML value.
type yamlKind uint8

const (
	yamlNull yamlKind = iota
	yamlBool
	yamlInt
	yamlFloat
	yamlText
	yamlList
	yamlMap
)

var kindNames = [...]string{"nothing", "true or false", "a whole number", "a number", "a text", "a list", "a map"}

func (k yamlKind) String() string { return kindNames[k] }

// yamlStyle is how a scalar or a collection is written.
type yamlStyle uint8

const (
	plainStyle yamlStyle = iota
	singleStyle
	doubleStyle
	literalStyle
	foldedStyle
	flowStyle
)

// yamlNode is one value of a YAML file with its place in the file.
type yamlNode struct {
	kind   yamlKind
	style  yamlStyle
	off    int    // offset of the first byte in the file
	text   string // scalars: the text, or a number or boolean as it is spelled
	num    any    // int64 or float64
	items  []*yamlNode
	dashes []int // of a list in lines: the offsets of the dashes of its items
	fields []yamlField
	file   *yamlFile
}

// yamlField is one key of a map and its value.
type yamlField struct{ key, value *yamlNode }

// get returns the value of a key, nil where the map has none.
func (n *yamlNode) get(key string) *yamlNode {
	for _, f := range n.fields {
		if f.key.text == key {
			return f.value
		}
	}
	return nil
}

// keys lists the keys of a map.
func (n *yamlNode) keys() []string {
	out := make([]string, len(n.fields))
	for i, f := range n.fields {
		out[i] = f.key.text
	}
	return out
}

func (n *yamlNode) pos() proviso.Pos { return n.file.pos(n.off) }

// asText returns a scalar as a text of a pack. The map of its offsets is built only when somebody asks for a position.
func (n *yamlNode) asText() Text {
	t := Text{S: n.text, Pos: n.file.pos(n.contentStart())}
	if n.style != plainStyle || strings.ContainsRune(n.file.text[n.off:min(len(n.file.text), n.off+len(n.text))], '\n') {
		t.Map = func(offset int) proviso.Pos {
			_, offs, _ := n.file.scalar(n.off, n.style, n.text)
			if len(offs) == 0 {
				return n.pos()
			}
			return n.file.pos(int(offs[max(0, min(offset, len(offs)-1))]))
		}
	}
	return t
}

// contentStart is the offset of the first byte of a scalar's text, behind its quote or block header.
func (n *yamlNode) contentStart() int {
	switch n.style {
	case singleStyle, doubleStyle:
		return n.off + 1
	case literalStyle, foldedStyle:
		if _, offs, ok := n.file.scalar(n.off, n.style, n.text); ok && len(offs) > 0 {
			return int(offs[0])
		}
	}
	return n.off
}

// value returns the node as plain data: map[string]any, []any, string, bool, int64, float64 or nil.
func (n *yamlNode) value() any {
	switch n.kind {
	case yamlBool:
		return strings.EqualFold(n.text, "true")
	case yamlInt, yamlFloat:
		return n.num
	case yamlText:
		return n.text
	case yamlList:
		out := make([]any, len(n.items))
		for i, x := range n.items {
			out[i] = x.value()
		}
		return out
	case yamlMap:
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			out[f.key.text] = f.value.value()
		}
		return out
	}
	return nil
}

// yamlFile is a file of the pack with the offsets of its lines.
// CRLF has become LF and a byte order mark is gone; neither changes a line or a column that a person sees.
type yamlFile struct {
	name  string
	text  string
	lines []int
	last  struct{ line, column, off int } // where the place asked for last is, since counting characters of one long line again and again is slow
}

func newYAMLFile(name string, b []byte) *yamlFile {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	s := &yamlFile{name: name, text: strings.ReplaceAll(string(b), "\r\n", "\n"), lines: []int{0}}
	for i := 0; i < len(s.text); i++ {
		if s.text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// pos translates an offset into line and column, both from 1, columns in bytes.
func (s *yamlFile) pos(off int) proviso.Pos {
	line := sort.SearchInts(s.lines, off+1) - 1
	return proviso.Pos{File: s.name, Line: line + 1, Col: off - s.lines[line] + 1}
}

// offset translates the parser's line and column, which counts characters from 1, into an offset.
func (s *yamlFile) offset(p *token.Position) int {
	if p == nil || p.Line < 1 {
		return 0
	}
	if p.Line > len(s.lines) {
		return len(s.text)
	}
	column, off := 1, s.lines[p.Line-1]
	if s.last.line == p.Line && s.last.column <= p.Column {
		column, off = s.last.column, s.last.off
	}
	for ; column < p.Column && off < len(s.text) && s.text[off] != '\n'; column++ {
		_, w := utf8.DecodeRuneInString(s.text[off:])
		off += w
	}
	s.last.line, s.last.column, s.last.off = p.Line, column, off
	return off
}

// parseYAML reads one document. The node is nil where the file is empty or cannot be read at all.
// Everything that goes wrong inside of the parser, panics included, becomes a diagnostic here and nowhere else.
func parseYAML(name string, b []byte) (root *yamlNode, ds proviso.Diagnostics) {
	src := newYAMLFile(name, b)
	fail := func(off int, code, msg, hint string) (*yamlNode, proviso.Diagnostics) {
		return nil, proviso.Diagnostics{{Pos: src.pos(off), Code: code, Msg: msg, Hint: hint}}
	}
	if len(b) > maxYAMLBytes {
		return fail(0, CodeLimit, fmt.Sprintf("file has %d bytes, at most %d are read", len(b), maxYAMLBytes), "split the file")
	}
	if off, msg := badText(src.text); msg != "" {
		return fail(off, CodeSyntax, msg, "save the file as UTF-8 text")
	}
	if off := blankRun(src.text); off >= 0 {
		return fail(off, CodeLimit, fmt.Sprintf("more than %d blank lines, or %d blanks, in a row", maxBlankLines, maxBlanks), "delete them")
	}
	defer func() {
		if r := recover(); r != nil {
			root, ds = fail(0, CodeSyntax, "the YAML of this file cannot be parsed", "check indentation and quotes, and bisect the file if need be")
		}
	}()
	tokens := lexer.Tokenize(src.text)
	if d := scanTokens(src, tokens); d != nil {
		return nil, d
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &at) && at.GetToken() != nil {
			return fail(src.offset(at.GetToken().Position), CodeSyntax, "broken YAML: "+at.GetMessage(), "check the indentation and the quotes around this place")
		}
		return fail(0, CodeSyntax, "broken YAML: "+err.Error(), "check indentation and quotes")
	}
	r := &yamlReader{src: src}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			root = r.node(doc.Body)
		}
	}
	r.ds.Sort()
	if r.ds.Worst(proviso.Error) {
		return nil, r.ds
	}
	return root, r.ds
}

// badText finds the first byte that YAML text may not hold.
func badText(s string) (off int, msg string) {
	for i, c := range s {
		switch {
		case c == utf8.RuneError:
			if _, w := utf8.DecodeRuneInString(s[i:]); w == 1 {
				return i, fmt.Sprintf("byte 0x%02x is not valid UTF-8", s[i])
			}
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			return i, fmt.Sprintf("control character U+%04X", c)
		}
	}
	return 0, ""
}

// blankRun finds a run of too many blank lines or blanks; -1 where there is none.
func blankRun(s string) int {
	lines, blanks, start := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\n':
			lines, blanks = lines+1, 0
		case ' ', '\t':
			blanks++
		default:
			lines, blanks, start = 0, 0, i
		}
		if lines > maxBlankLines || blanks > maxBlanks {
			return start
		}
	}
	return -1
}

// bannedTokens are features that hide what a file says, or let a small file grow without bound.
var bannedTokens = map[token.Type]struct{ what, hint string }{
	token.AnchorType:      {"anchors (&name)", "write the value out, or put it in quotes if it is a text"},
	token.AliasType:       {"aliases (*name)", "write the value out, or put it in quotes if it is a text"},
	token.MergeKeyType:    {"merge keys (<<)", "write the keys out"},
	token.TagType:         {"tags (!name)", "leave the tag out, or put the value in quotes if it is a text"},
	token.DirectiveType:   {"directives (%NAME)", "leave the line out"},
	token.MappingKeyType:  {"complex keys (?)", "write key: value"},
	token.DocumentEndType: {"document ends (...)", "leave the line out"},
}

// blockColumn is a block collection that is being read, and how many entries it has so far.
type blockColumn struct{ column, entries int }

// scanTokens refuses what must not reach the recursive parser: banned features, too much depth, too many values.
func scanTokens(src *yamlFile, tokens token.Tokens) proviso.Diagnostics {
	fail := func(t *token.Token, code, msg, hint string) proviso.Diagnostics {
		return proviso.Diagnostics{{Pos: src.pos(src.offset(t.Position)), Code: code, Msg: msg, Hint: hint}}
	}
	var open []blockColumn
	flow, nodes, empty, content := 0, 0, 0, false
	for _, t := range tokens {
		if b, banned := bannedTokens[t.Type]; banned {
			return fail(t, CodeYAMLFeature, b.what+" are not allowed in a pack", b.hint)
		}
		switch t.Type {
		case token.InvalidType:
			return fail(t, CodeSyntax, "broken YAML: "+t.Error, "check the indentation and the quotes around this place")
		case token.DocumentHeaderType:
			if content {
				return fail(t, CodeYAMLFeature, "several documents (---) are not allowed in a pack", "put the second document into a file of its own")
			}
			content = true
			continue
		case token.CommentType:
			continue
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingValueType:
			if flow > 0 {
				break
			}
			col := t.Position.Column
			if t.Type == token.MappingValueType && t.Prev != nil {
				col = t.Prev.Position.Column
			}
			for len(open) > 0 && open[len(open)-1].column > col {
				open = open[:len(open)-1]
			}
			if len(open) == 0 || open[len(open)-1].column < col {
				open = append(open, blockColumn{column: col})
			}
			top := &open[len(open)-1]
			if top.entries++; t.Type == token.MappingValueType && top.entries > maxBlockKeys {
				return fail(t, CodeLimit, fmt.Sprintf("more than %d keys in one map", maxBlockKeys), "write it as JSON, or as a list")
			}
		}
		content = true
		if isEmptyValue(t) {
			if empty++; empty > maxEmptyValues {
				return fail(t, CodeLimit, fmt.Sprintf("more than %d keys or list entries without a value", maxEmptyValues), "give them a value, or leave them out")
			}
		}
		if len(open)+flow > maxYAMLDepth {
			return fail(t, CodeLimit, fmt.Sprintf("nested deeper than %d levels", maxYAMLDepth), "flatten the structure")
		}
		if nodes++; nodes > 4*maxYAMLNodes {
			return fail(t, CodeLimit, fmt.Sprintf("more than %d values in one file", maxYAMLNodes), "split the file")
		}
	}
	return nil
}

// isEmptyValue reports whether t is the ':' or '-' of an entry that may have no value: what follows does not stand behind it on its line, nor deeper below.
func isEmptyValue(t *token.Token) bool {
	if t.Type != token.MappingValueType && t.Type != token.SequenceEntryType {
		return false
	}
	next := t.Next
	for next != nil && next.Type == token.CommentType {
		next = next.Next
	}
	switch {
	case next == nil:
		return true
	case next.Type == token.CollectEntryType, next.Type == token.MappingEndType, next.Type == token.SequenceEndType:
		return true
	case next.Position.Line == t.Position.Line:
		return false
	case t.Type == token.MappingValueType && t.Prev != nil:
		return next.Position.Column < t.Prev.Position.Column || next.Position.Column == t.Prev.Position.Column && next.Type != token.SequenceEntryType
	}
	return next.Position.Column <= t.Position.Column
}

// yamlReader turns the parser's tree into nodes.
type yamlReader struct {
	src   *yamlFile
	ds    proviso.Diagnostics
	nodes int
	depth int
}

func (r *yamlReader) fail(off int, code, msg, hint string) {
	r.ds = append(r.ds, proviso.Diagnostic{Pos: r.src.pos(off), Code: code, Msg: msg, Hint: hint})
}

func (r *yamlReader) node(a ast.Node) *yamlNode {
	r.depth++
	defer func() { r.depth-- }()
	n := &yamlNode{file: r.src}
	if t := a.GetToken(); t != nil {
		n.off = r.src.offset(t.Position)
	}
	if r.nodes++; r.nodes > maxYAMLNodes || r.depth > maxYAMLDepth+1 {
		if r.nodes == maxYAMLNodes+1 || r.nodes <= maxYAMLNodes {
			r.fail(n.off, CodeLimit, fmt.Sprintf("more than %d values or %d levels in one file", maxYAMLNodes, maxYAMLDepth), "split the file")
		}
		return n
	}
	switch a := a.(type) {
	case *ast.MappingNode:
		n.kind = yamlMap
		if a.IsFlowStyle {
			n.style = flowStyle
		}
		r.fields(n, a.Values)
	case *ast.MappingValueNode:
		n.kind = yamlMap
		r.fields(n, []*ast.MappingValueNode{a})
	case *ast.SequenceNode:
		n.kind = yamlList
		if a.IsFlowStyle {
			n.style = flowStyle
		}
		for i, v := range a.Values {
			if !a.IsFlowStyle && i < len(a.Entries) {
				n.dashes = append(n.dashes, r.src.offset(a.Entries[i].Start.Position))
			}
			n.items = append(n.items, r.node(v))
		}
	case *ast.LiteralNode:
		n.kind, n.style, n.text = yamlText, literalStyle, a.Value.Value
		if strings.HasPrefix(a.Start.Value, ">") {
			n.style = foldedStyle
		}
		r.located(n)
	case *ast.StringNode:
		n.kind, n.text = yamlText, a.Value
		switch a.Token.Type {
		case token.SingleQuoteType:
			n.style = singleStyle
		case token.DoubleQuoteType:
			n.style = doubleStyle
		default:
			n.text = a.Token.Value
			r.plain(n)
		}
		r.located(n)
	case *ast.NullNode:
		if t := a.GetToken(); t.Type == token.NullType && strings.TrimSpace(t.Origin) != "" {
			n.text = t.Value
		}
	case *ast.CommentGroupNode, *ast.CommentNode:
	case ast.ScalarNode:
		n.kind, n.text = yamlText, a.GetToken().Value
		r.plain(n)
		r.located(n)
	default:
		r.fail(n.off, CodeYAMLFeature, "this YAML construct is not allowed in a pack", "use maps, lists, texts, numbers and booleans only")
	}
	return n
}

func (r *yamlReader) fields(n *yamlNode, values []*ast.MappingValueNode) {
	seen := make(map[string]int, len(values))
	for i, v := range values {
		key := r.node(v.Key)
		if key.kind == yamlList || key.kind == yamlMap {
			r.fail(key.off, CodeYAMLFeature, "a key must be one word or text", "put it in quotes")
			continue
		}
		if i == 0 && n.style != flowStyle {
			n.off = key.off
		}
		if first, dup := seen[key.text]; dup {
			r.fail(key.off, CodeDuplicate, fmt.Sprintf("key %q is given twice", key.text), fmt.Sprintf("the first is on line %d; keep one of them", r.src.pos(first).Line))
			continue
		}
		seen[key.text] = key.off
		n.fields = append(n.fields, yamlField{key, r.node(v.Value)})
	}
}

// located checks that our own reading of the scalar's bytes gives the parser's text, so that positions inside of it can be trusted.
func (r *yamlReader) located(n *yamlNode) {
	got, _, ok := r.src.scalar(n.off, n.style, n.text)
	if n.style == plainStyle && (!ok || got != n.text) {
		n.off = r.src.beforeBlanks(n.off, n.text)
		got, _, ok = r.src.scalar(n.off, n.style, n.text)
	}
	switch {
	case !ok && n.style == doubleStyle:
		r.fail(n.off, CodeSyntax, "this quoted text has an escape that stands for no character", "write the character itself, or \\uXXXX of a real one")
	case !ok || got != n.text:
		r.fail(n.off, CodeSyntax, "this text can be read in two ways", "put it in quotes on one line, or use a block text (|)")
	}
}

// beforeBlanks corrects the parser's place of an unquoted scalar that blanks follow, which is too far to the right. Where no place on the line fits, off comes back.
func (s *yamlFile) beforeBlanks(off int, text string) int {
	for at := off - 1; at >= 0 && s.text[at] != '\n'; at-- {
		if _, offs, ok := s.scalar(at, plainStyle, text); ok {
			if end := int(offs[len(offs)-1]); strings.HasPrefix(s.text[end:], " ") || strings.HasPrefix(s.text[end:], "\t") {
				return at
			}
		}
	}
	return off
}

// plain gives an unquoted scalar its kind, by the YAML 1.2 core schema; spellings on which YAML readers differ are errors rather than guesses.
func (r *yamlReader) plain(n *yamlNode) {
	s := n.text
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind = yamlBool
		return
	case "null", "Null", "NULL", "~":
		n.kind = yamlNull
		return
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN":
		r.fail(n.off, CodeValue, s+" is not a number that a policy can compare", "write the largest number that is meant, or put it in quotes")
		return
	}
	if s == "" || !strings.ContainsRune("+-.0123456789", rune(s[0])) {
		return
	}
	digits := strings.TrimLeft(s, "+-")
	switch {
	case isNumber(s):
		if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			r.fail(n.off, CodeValue, fmt.Sprintf("number %s begins with 0, which some readers take for octal", s), "put it in quotes if it is a text, or leave the 0 out")
			return
		}
		r.number(n, s)
	case strings.Trim(digits, "0123456789_") == "" && strings.Contains(digits, "_") && digits[0] != '_',
		len(digits) > 2 && digits[0] == '0' && strings.ContainsRune("xob", rune(digits[1])) && isPrefixed(digits):
		r.fail(n.off, CodeValue, fmt.Sprintf("%s is a number to some readers and a text to others", s), "put it in quotes, or write it in decimal digits")
	}
}

func isPrefixed(s string) bool {
	_, err := strconv.ParseUint(s, 0, 64)
	return err == nil
}

// isNumber reports whether s is a decimal number of the core schema.
func isNumber(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	intPart := len(s) - len(strings.TrimLeft(s, "0123456789"))
	s = s[intPart:]
	frac := 0
	if strings.HasPrefix(s, ".") {
		rest := strings.TrimLeft(s[1:], "0123456789")
		frac = len(s) - 1 - len(rest)
		s = rest
	}
	if intPart+frac == 0 {
		return false
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (r *yamlReader) number(n *yamlNode, s string) {
	if !strings.ContainsAny(s, ".eE") {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			r.fail(n.off, CodeValue, fmt.Sprintf("whole number %s does not fit into 64 bits", s), "put it in quotes if it is an identifier, or write it as 1.0e20 if it need not be exact")
			return
		}
		n.kind, n.num = yamlInt, v
		return
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		r.fail(n.off, CodeValue, fmt.Sprintf("number %s is out of range", s), "write a number below 1.8e308, or put it in quotes")
		return
	}
	n.kind, n.num = yamlFloat, v
}
