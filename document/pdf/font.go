package pdf

import (
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// font tells letters and widths of codes.
type font struct {
	bytes  int // of a code
	letter map[int]string
	width  map[int]float64 // thousandths of the size
	normal float64
	codes  bool // its letters are known
}

func (f *file) readFont(v any) *font {
	d := f.dict(v)
	out := &font{bytes: 1, letter: map[int]string{}, width: map[int]float64{}, normal: 500, codes: true}
	if d == nil {
		return out
	}
	composite := d["Subtype"] == name("Type0")
	if composite {
		out.bytes, out.normal, out.codes = 2, 1000, false
		if kids, ok := f.get(d["DescendantFonts"]).([]any); ok && len(kids) > 0 {
			f.wide(out, f.dict(kids[0]))
		}
	} else {
		f.simple(out, d)
	}
	if s, ok := f.get(d["ToUnicode"]).(*stream); ok {
		out.codeTable(f.data(s))
	}
	return out
}

// simple reads encoding and widths of a font with codes of one byte.
func (f *file) simple(out *font, d map[string]any) {
	table := charmap.Windows1252
	encoding := f.get(d["Encoding"])
	base := encoding
	if e, ok := encoding.(map[string]any); ok {
		base = f.get(e["BaseEncoding"])
	}
	if base == name("MacRomanEncoding") {
		table = charmap.Macintosh
	}
	for c := 32; c < 256; c++ {
		out.letter[c] = string(table.DecodeByte(byte(c)))
	}
	if e, ok := encoding.(map[string]any); ok {
		differences, _ := f.get(e["Differences"]).([]any)
		code := 0
		for _, x := range differences {
			switch x := x.(type) {
			case float64:
				code = int(x)
			case name:
				if l := glyph(string(x)); l != "" {
					out.letter[code] = l
				}
				code++
			}
		}
	}
	first, _ := f.get(d["FirstChar"]).(float64)
	widths, _ := f.get(d["Widths"]).([]any)
	for i, w := range widths {
		if n, ok := f.get(w).(float64); ok {
			out.width[int(first)+i] = n
		}
	}
}

// wide reads the widths of a composite font: "c [w …]" and "first last w".
func (f *file) wide(out *font, d map[string]any) {
	if n, ok := f.get(d["DW"]).(float64); ok {
		out.normal = n
	}
	list, _ := f.get(d["W"]).([]any)
	for i := 0; i+1 < len(list); {
		first, _ := f.get(list[i]).(float64)
		if ws, ok := f.get(list[i+1]).([]any); ok {
			for k, w := range ws {
				if n, ok := f.get(w).(float64); ok {
					out.width[int(first)+k] = n
				}
			}
			i += 2
			continue
		}
		if i+2 >= len(list) {
			return
		}
		last, _ := f.get(list[i+1]).(float64)
		w, _ := f.get(list[i+2]).(float64)
		for c := int(first); c <= int(last) && c-int(first) < 1<<16; c++ {
			out.width[c] = w
		}
		i += 3
	}
}

// codeTable reads a ToUnicode map.
func (out *font) codeTable(b []byte) {
	if len(b) == 0 {
		return
	}
	l := &lexer{src: b}
	var args []any
	for {
		o, ok := l.next()
		if !ok {
			return
		}
		w, isWord := o.(word)
		if !isWord {
			if args = append(args, o); len(args) > 3*maxCodes {
				return
			}
			continue
		}
		switch w {
		case "endcodespacerange":
			for _, a := range args {
				if s, ok := a.(text); ok && len(s) > 0 && len(s) <= 4 {
					out.bytes = len(s)
				}
			}
		case "endbfchar":
			for i := 0; i+1 < len(args); i += 2 {
				out.set(args[i], 0, args[i+1])
			}
		case "endbfrange":
			for i := 0; i+2 < len(args); i += 3 {
				lo, hi := code(args[i]), code(args[i+1])
				if list, ok := args[i+2].([]any); ok {
					for k, x := range list {
						out.set(args[i], k, x)
					}
					continue
				}
				for k := 0; lo+k <= hi && k < maxCodes; k++ {
					out.set(args[i], k, step(args[i+2], k))
				}
			}
		}
		args = args[:0]
	}
}

const maxCodes = 1 << 16

func code(v any) int {
	s, _ := v.(text)
	n := 0
	for i := 0; i < len(s) && i < 4; i++ {
		n = n<<8 | int(s[i])
	}
	return n
}

// step is a letter of a range: k is added to its last byte pair.
func step(v any, k int) any {
	s, ok := v.(text)
	if !ok || len(s) < 2 {
		return v
	}
	b := []byte(s)
	n := int(b[len(b)-2])<<8 | int(b[len(b)-1])
	n += k
	b[len(b)-2], b[len(b)-1] = byte(n>>8), byte(n)
	return text(b)
}

func (out *font) set(from any, k int, to any) {
	s, ok := to.(text)
	if !ok || len(out.letter) > 2*maxCodes {
		return
	}
	var units []uint16
	for i := 0; i+1 < len(s); i += 2 {
		units = append(units, uint16(s[i])<<8|uint16(s[i+1]))
	}
	if len(s) == 1 {
		units = []uint16{uint16(s[0])}
	}
	out.letter[code(from)+k] = string(utf16.Decode(units))
	out.codes = true
}

var accents = map[string]rune{"acute": '\u0301', "grave": '\u0300', "circumflex": '\u0302', "dieresis": '\u0308', "tilde": '\u0303', "ring": '\u030a', "cedilla": '\u0327', "caron": '\u030c'}

// glyphs are the names of signs that texts use (Adobe Glyph List); letters and digits below carry their own.
var glyphs = map[string]string{
	"space": " ", "exclam": "!", "quotedbl": `"`, "numbersign": "#", "dollar": "$", "percent": "%", "ampersand": "&", "quotesingle": "'", "parenleft": "(", "parenright": ")", "asterisk": "*", "plus": "+",
	"comma": ",", "hyphen": "-", "period": ".", "slash": "/", "colon": ":", "semicolon": ";", "less": "<", "equal": "=", "greater": ">", "question": "?", "at": "@", "bracketleft": "[", "backslash": `\`,
	"bracketright": "]", "asciicircum": "^", "underscore": "_", "grave": "`", "braceleft": "{", "bar": "|", "braceright": "}", "asciitilde": "~", "quoteleft": "‘", "quoteright": "’", "quotedblleft": "“",
	"quotedblright": "”", "quotedblbase": "„", "quotesinglbase": "‚", "endash": "–", "emdash": "—", "bullet": "•", "ellipsis": "…", "fi": "fi", "fl": "fl", "ff": "ff", "ffi": "ffi", "ffl": "ffl", "section": "§",
	"paragraph": "¶", "copyright": "©", "registered": "®", "trademark": "™", "degree": "°", "plusminus": "±", "multiply": "×", "divide": "÷", "Euro": "€", "sterling": "£", "cent": "¢", "yen": "¥", "germandbls": "ß",
	"ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "oslash": "ø", "Oslash": "Ø", "minus": "−", "nbspace": " ", "sfthyphen": "-", "guillemotleft": "«", "guillemotright": "»", "periodcentered": "·", "dotlessi": "ı",
	"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}

func glyph(s string) string {
	s, _, _ = strings.Cut(s, ".")
	if l, ok := glyphs[s]; ok {
		return l
	}
	if len(s) == 1 {
		return s
	}
	for _, prefix := range []string{"uni", "u"} {
		if hex, ok := strings.CutPrefix(s, prefix); ok && len(hex) >= 4 && len(hex) <= 6 {
			if n, err := strconv.ParseUint(hex, 16, 32); err == nil && n <= 0x10ffff {
				return string(rune(n))
			}
		}
	}
	if len(s) > 1 {
		if a, ok := accents[s[1:]]; ok {
			return norm.NFC.String(s[:1] + string(a))
		}
	}
	return ""
}
