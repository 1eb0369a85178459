package proviso

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxJSONDepth is how deep objects and arrays may nest before the strict decoder refuses them.
const MaxJSONDepth = 128

// The codes of a JSONError.
const (
	CodeJSON        = "PV001" // not JSON
	CodeDuplicate   = "PV002" // a key occurs twice in one object
	CodeFoldedTwin  = "PV003" // two keys of one object differ only by case
	CodeTooDeep     = "PV004" // nested deeper than MaxJSONDepth
	CodeNumberRange = "PV005" // a number that neither int64 nor float64 holds
	CodeText        = "PV006" // invalid UTF-8, or half of a surrogate pair
	CodeUnknownKey  = "PV007" // a key that the type being read does not have
	CodeJSONType    = "PV008" // a value of another type than the one being read
)

// JSONError tells where untrusted JSON was refused and why. Offset counts bytes from 0; at a cut-off text it is the length of the text.
// Code is one of PV001 to PV008.
type JSONError struct {
	Offset    int
	Code, Msg string
}

// Error returns offset, message and code in one line.
func (e *JSONError) Error() string {
	return fmt.Sprintf("offset %d: %s [%s]", e.Offset, e.Msg, e.Code)
}

// LineCol returns the line and the column, both from 1 and the column in bytes, of an offset into b. An offset outside of b counts as the nearest one inside.
func LineCol(b []byte, offset int) (line, col int) {
	offset = max(0, min(offset, len(b)))
	line, col = 1, 1
	for _, c := range b[:offset] {
		col++
		if c == '\n' {
			line, col = line+1, 1
		}
	}
	return line, col
}

// DecodeJSON reads one JSON value (RFC 8259) that nobody has vouched for, such as the arguments of a tool call.
// It returns map[string]any, []any, string, bool, nil, int64 for every integer literal, and float64 for other numbers.
// What two readers could understand differently is refused with a *JSONError: keys that occur twice or differ only by case, integers beyond int64, numbers beyond float64, invalid UTF-8 and half surrogate pairs, nesting beyond MaxJSONDepth, and anything after the value.
// The strings of the result share the memory of a text given as a string, and one copy of bytes; bytes are not kept.
func DecodeJSON[T ~string | ~[]byte](text T) (any, error) { return decodeAny(string(text), false) }

// DecodeResultJSON is DecodeJSON for the results of tools, where keys that differ only by case are honest data (a table of tickers, say) and allowed.
func DecodeResultJSON[T ~string | ~[]byte](text T) (any, error) {
	return decodeAny(string(text), true)
}

func decodeAny(text string, twins bool) (any, error) {
	d := newDecoder(text, twins)
	defer d.release()
	return d.whole()
}

func (d *decoder) whole() (any, error) {
	if !d.start() {
		return nil, d.err
	}
	v, ok := d.value()
	if !ok || !d.finish() {
		return nil, d.err
	}
	return v, nil
}

// decoders are between two texts. One is made for every argument object and every result, and would be the largest thing that is.
var decoders = sync.Pool{New: func() any { return &decoder{keys: make([]keyAt, 0, 24)} }}

func newDecoder(text string, twins bool) *decoder {
	d := decoders.Get().(*decoder)
	d.s, d.twins = text, twins
	return d
}

// release gives the decoder back without anything of its text, unless a text of unusual size has made it large.
func (d *decoder) release() {
	if cap(d.keys) > 256 || cap(d.buf) > 1<<12 {
		return
	}
	clear(d.keys[:cap(d.keys)])
	*d = decoder{keys: d.keys[:0], buf: d.buf[:0]}
	decoders.Put(d)
}

// decoder is the one reader of JSON text. Its methods return false after setting err.
type decoder struct {
	s     string
	i     int
	depth int
	twins bool
	err   *JSONError
	// keys is a stack of the keys of the open objects that need a look at their case.
	keys []keyAt
	// buf is scratch space for unescaping.
	buf []byte
	// leave is that of DecodeOutline, and top the key of the whole object's member that is being read.
	leave func(top, key string) bool
	top   string
}

type keyAt struct {
	key string
	at  int
}

func (d *decoder) fail(at int, code, msg string) bool {
	if d.err == nil {
		d.err = &JSONError{Offset: at, Code: code, Msg: msg}
	}
	return false
}

// start checks the text as a whole, so that the readers of single strings need not.
func (d *decoder) start() bool {
	if strings.HasPrefix(d.s, "\ufeff") {
		return d.fail(0, CodeJSON, "the text starts with a byte order mark; save it without one")
	}
	if !utf8.ValidString(d.s) {
		for i := 0; i < len(d.s); {
			r, n := utf8.DecodeRuneInString(d.s[i:])
			if r == utf8.RuneError && n == 1 {
				return d.fail(i, CodeText, fmt.Sprintf("byte 0x%02x is not valid UTF-8; send the text as UTF-8", d.s[i]))
			}
			i += n
		}
	}
	return true
}

func (d *decoder) finish() bool {
	d.space()
	if d.i < len(d.s) {
		return d.fail(d.i, CodeJSON, "something follows the value; send exactly one JSON value")
	}
	return true
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		if c := d.s[d.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		d.i++
	}
}

// peek skips white space and returns the next byte, 0 at the end of the text.
func (d *decoder) peek() byte {
	d.space()
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

func (d *decoder) unexpected(want string) bool {
	if d.i >= len(d.s) {
		return d.fail(len(d.s), CodeJSON, "the text ends where "+want+" is expected; it was probably cut off")
	}
	rest := d.s[d.i:]
	for _, h := range notJSON {
		if strings.HasPrefix(rest, h.prefix) {
			return d.fail(d.i, CodeJSON, h.msg)
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return d.fail(d.i, CodeJSON, fmt.Sprintf("%q where %s is expected", r, want))
}

// notJSON names what people and other languages write and JSON does not have.
var notJSON = []struct{ prefix, msg string }{
	{"NaN", "NaN is not a JSON value; send null or leave the key out"},
	{"Infinity", "Infinity is not a JSON value; send null or leave the key out"},
	{"-Infinity", "-Infinity is not a JSON value; send null or leave the key out"},
	{"undefined", "undefined is not a JSON value; send null or leave the key out"},
	{"None", "None is not a JSON value; send null"},
	{"True", "True is not a JSON value; write true"},
	{"False", "False is not a JSON value; write false"},
	{"'", "strings are written in double quotes"},
	{"//", "JSON has no comments; remove it"},
	{"/*", "JSON has no comments; remove it"},
}

func (d *decoder) value() (any, bool) {
	switch c := d.peek(); {
	case c == '"':
		return d.boxed(d.text())
	case c == '{':
		return d.object()
	case c == '[':
		return d.array()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.literal("true")
	case c == 'f':
		return false, d.literal("false")
	case c == 'n':
		return nil, d.literal("null")
	}
	return nil, d.unexpected("a value")
}

func (d *decoder) boxed(s string, ok bool) (any, bool) {
	if !ok {
		return nil, false
	}
	return s, true
}

func (d *decoder) literal(want string) bool {
	if !strings.HasPrefix(d.s[d.i:], want) {
		if strings.HasPrefix(want, d.s[d.i:]) {
			d.i = len(d.s)
		}
		return d.unexpected("a value")
	}
	d.i += len(want)
	return true
}

// enter opens an object or array at the current byte and reports whether it may.
func (d *decoder) enter() bool {
	if d.depth++; d.depth > MaxJSONDepth {
		return d.fail(d.i, CodeTooDeep, fmt.Sprintf("nested deeper than %d; flatten the value", MaxJSONDepth))
	}
	d.i++
	return true
}

func (d *decoder) array() (any, bool) {
	if !d.enter() {
		return nil, false
	}
	out := []any{}
	for first := true; ; first = false {
		more, ok := d.more(']', first)
		if !ok {
			return nil, false
		}
		if !more {
			return out, true
		}
		v, ok := d.value()
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
}

func (d *decoder) object() (any, bool) {
	if !d.enter() {
		return nil, false
	}
	out := make(map[string]any)
	base, odd := len(d.keys), false
	for first := true; ; first = false {
		more, ok := d.more('}', first)
		if !ok {
			return nil, false
		}
		if !more {
			if odd && !d.distinct(base) {
				return nil, false
			}
			d.keys = d.keys[:base]
			return out, true
		}
		at := d.i
		key, ok := d.key()
		if !ok {
			return nil, false
		}
		if !d.twins {
			odd = odd || caseMatters(key)
			d.keys = append(d.keys, keyAt{key, at})
		}
		v, ok := d.member(key)
		if !ok {
			return nil, false
		}
		n := len(out)
		if out[key] = v; len(out) == n {
			return nil, d.duplicate(at, key)
		}
	}
}

func (d *decoder) duplicate(at int, key string) bool {
	return d.fail(at, CodeDuplicate, fmt.Sprintf("key %q occurs twice in one object; keep one", key))
}

// more moves to the next element of an object or array, past its comma, and reports whether there is one; it closes the container where there is none.
func (d *decoder) more(end byte, first bool) (more, ok bool) {
	c := d.peek()
	if c == end {
		d.i++
		d.depth--
		return false, true
	}
	if first {
		return true, true
	}
	if c != ',' {
		return false, d.unexpected("',' or '" + string(end) + "'")
	}
	comma := d.i
	d.i++
	if d.peek() == end {
		return false, d.fail(comma, CodeJSON, "a comma before the end; remove it")
	}
	return true, true
}

// key reads a key and its colon.
func (d *decoder) key() (string, bool) {
	if d.peek() != '"' {
		return "", d.unexpected("a key in double quotes")
	}
	k, ok := d.text()
	if !ok {
		return "", false
	}
	if d.peek() != ':' {
		return "", d.unexpected("':'")
	}
	d.i++
	return k, true
}

// caseMatters reports whether a key could be equal to another one but for case. Two keys without such letters can only be equal outright.
func caseMatters(k string) bool {
	for i := 0; i < len(k); i++ {
		if c := k[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

// distinct looks for twins among the keys from base on. Equal keys are left to the map.
func (d *decoder) distinct(base int) bool {
	keys := d.keys[base:]
	if len(keys) <= 12 {
		for i := range keys {
			for j := range i {
				if keys[i].key != keys[j].key && strings.EqualFold(keys[i].key, keys[j].key) {
					return d.twin(keys[i], keys[j].key)
				}
			}
		}
		return true
	}
	seen := make(map[string]string, len(keys))
	for _, k := range keys {
		f := foldCase(k.key)
		if other, ok := seen[f]; ok && other != k.key {
			return d.twin(k, other)
		}
		seen[f] = k.key
	}
	return true
}

func (d *decoder) twin(k keyAt, other string) bool {
	return d.fail(k.at, CodeFoldedTwin, fmt.Sprintf("keys %q and %q differ only by case, and readers disagree which one counts; keep one", other, k.key))
}

// foldCase maps all strings that strings.EqualFold holds equal to one.
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// text reads a string; the current byte is its opening quote.
func (d *decoder) text() (string, bool) {
	plain, unescaped, ok := d.quoted()
	if unescaped != nil {
		return string(unescaped), ok
	}
	return plain, ok
}

// quoted is text without an allocation: where something is escaped the text is in unescaped, which is good until the next string is read.
func (d *decoder) quoted() (plain string, unescaped []byte, ok bool) {
	d.i++
	start := d.i
	s := d.s
	for i := start; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			d.i = i + 1
			return s[start:i], nil, true
		case c == '\\':
			unescaped, ok = d.escaped(start, i)
			return "", unescaped, ok
		case c < ' ':
			return "", nil, d.fail(i, CodeJSON, fmt.Sprintf("control character 0x%02x in a string; escape it", c))
		}
	}
	return "", nil, d.cutString()
}

func (d *decoder) cutString() bool {
	return d.fail(len(d.s), CodeJSON, "the text ends inside a string; it was probably cut off")
}

// simpleEscapes maps the byte after a backslash to what it stands for.
var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped goes on with a string at its first backslash.
func (d *decoder) escaped(start, i int) ([]byte, bool) {
	s := d.s
	buf := append(d.buf[:0], s[start:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"':
			d.i, d.buf = i+1, buf
			return buf, true
		case c < ' ':
			return nil, d.fail(i, CodeJSON, fmt.Sprintf("control character 0x%02x in a string; escape it", c))
		case c != '\\':
			buf = append(buf, c)
			i++
		case i+1 >= len(s):
			return nil, d.cutString()
		case simpleEscapes[s[i+1]] != 0:
			buf = append(buf, simpleEscapes[s[i+1]])
			i += 2
		case s[i+1] == 'u':
			r, n, ok := d.codePoint(i)
			if !ok {
				return nil, false
			}
			buf = utf8.AppendRune(buf, r)
			i += n
		default:
			return nil, d.fail(i, CodeJSON, fmt.Sprintf("unknown escape \\%c; write \\\\ for a backslash", s[i+1]))
		}
	}
	return nil, d.cutString()
}

// codePoint reads \uXXXX, or a pair of them, at i and returns its length in bytes.
func (d *decoder) codePoint(i int) (r rune, n int, ok bool) {
	hi, ok := d.hex4(i)
	if !ok {
		return 0, 0, false
	}
	if !utf16.IsSurrogate(hi) {
		return hi, 6, true
	}
	if strings.HasPrefix(d.s[i+6:], `\u`) {
		lo, ok := d.hex4(i + 6)
		if !ok {
			return 0, 0, false
		}
		if r := utf16.DecodeRune(hi, lo); r != unicode.ReplacementChar {
			return r, 12, true
		}
	}
	return 0, 0, d.fail(i, CodeText, fmt.Sprintf("\\u%04x is half of a surrogate pair; send both halves or the character itself", hi))
}

func (d *decoder) hex4(i int) (rune, bool) {
	if i+6 > len(d.s) {
		return 0, d.cutString()
	}
	var r rune
	for _, c := range []byte(d.s[i+2 : i+6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, d.fail(i, CodeJSON, "\\u needs four hexadecimal digits")
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (d *decoder) number() (any, bool) {
	at := d.i
	lit, integer, ok := d.numberText()
	if !ok {
		return nil, false
	}
	if integer {
		n, ok := d.integer(at, lit)
		return n, ok
	}
	f, ok := d.float(at, lit)
	return f, ok
}

func (d *decoder) integer(at int, lit string) (int64, bool) {
	n, err := strconv.ParseInt(lit, 10, 64)
	if err != nil {
		return 0, d.fail(at, CodeNumberRange, "integer "+short(lit)+" does not fit 64 bits; send it as a string")
	}
	return n, true
}

func (d *decoder) float(at int, lit string) (float64, bool) {
	f, err := strconv.ParseFloat(lit, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, d.fail(at, CodeNumberRange, "number "+short(lit)+" is out of range; send it as a string")
	}
	return f, true
}

func short(lit string) string {
	if len(lit) > 24 {
		return lit[:24] + "…"
	}
	return lit
}

// numberText takes a number literal and reports whether it has neither fraction nor exponent.
func (d *decoder) numberText() (lit string, integer, ok bool) {
	s, start := d.s, d.i
	i := start
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		d.i = i
		return i > from
	}
	if s[i] == '-' {
		i++
	}
	first := i
	if !digits() {
		if strings.HasPrefix(s[start:], "-I") {
			d.i = start
		}
		return "", false, d.unexpected("a digit")
	}
	if s[first] == '0' && i > first+1 {
		return "", false, d.fail(first, CodeJSON, "a number may not start with 0; remove the zeros")
	}
	integer = true
	if i < len(s) && s[i] == '.' {
		integer = false
		i++
		if !digits() {
			return "", false, d.unexpected("a digit after the point")
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		integer = false
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return "", false, d.unexpected("a digit of the exponent")
		}
	}
	return s[start:i], integer, true
}

// CanonicalJSON writes a value in the one form that hashes are taken of: keys sorted by bytes, no spaces, integers exact, other numbers in the shortest form that reads back the same, so that 1 and 1.0 are one value; only what must be escaped is.
// It takes what DecodeJSON returns, and Go's other integers and time.Time (RFC 3339 in UTC) besides.
// What JSON cannot hold is written so that it equals no JSON value: NaN and infinities by their bare names, other types as their Go syntax in angle brackets.
func CanonicalJSON(v any) []byte { return AppendCanonical(nil, v) }

// AppendCanonical appends the canonical form of v to b.
func AppendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return appendText(b, v.UTC().Format(time.RFC3339Nano))
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendCanonical(b, e)
		}
		return append(b, ']')
	case map[string]any:
		var few [16]string // most objects have few keys: sort those without allocation
		keys := few[:0]
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, k), ':')
			b = AppendCanonical(b, v[k])
		}
		return append(b, '}')
	}
	return fmt.Appendf(b, "<%#v>", v)
}

func appendFloat(b []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case f == 0:
		return append(b, '0')
	case math.IsNaN(f) || math.IsInf(f, 0) || abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'e', -1, 64)
}

const hexDigits = "0123456789abcdef"

// shortEscapes maps control characters to the letter of their two-byte escape.
var shortEscapes = [' ']byte{'\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		n := min(8, len(s)-i)
		if n == 8 && bare(s[i:i+8]) {
			i += 8
			continue
		}
		for range n {
			c := s[i]
			i++
			if c >= ' ' && c != '"' && c != '\\' {
				continue
			}
			b = append(b, s[from:i-1]...)
			from = i
			switch {
			case c >= ' ':
				b = append(b, '\\', c)
			case shortEscapes[c] != 0:
				b = append(b, '\\', shortEscapes[c])
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// bare reports whether none of eight bytes has to be escaped. It looks at all of them at once: x-1 borrows into the high bit of a byte x that is zero (Warren, Hacker's Delight, 6-1), and x-32 into that of one below 32.
func bare(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((w-ones*' ')&^w|(quote-ones)&^quote|(slash-ones)&^slash)&highs == 0
}
