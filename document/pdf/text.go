package pdf

import (
	"math"
	"strings"
)

// Line is a line of text as it stands on a page.
type Line struct {
	Page int     // from 0
	X, Y float64 // of its beginning, in points from the lower left corner
	Size float64 // of the letters, in points
	Text string
}

// Lines returns the text of a file in the order in which it is drawn. It is one of the errors of this package where there is no text to be had.
func Lines(src []byte) ([]Line, error) {
	f, err := open(src)
	if err != nil {
		return nil, err
	}
	pages := f.pages()
	if len(pages) == 0 {
		return nil, ErrBroken
	}
	r := &reader{file: f, fonts: map[any]*font{}}
	for i, p := range pages {
		r.page = i
		r.start()
		r.read(r.contents(p.dict["Contents"]), p.resources, 0)
		r.endLine()
		if f.err != nil {
			return nil, f.err
		}
	}
	switch {
	case r.unknown > r.known:
		return nil, ErrNoCodes
	case len(r.lines) == 0:
		return nil, ErrNoText
	}
	return r.lines, nil
}

func (r *reader) contents(v any) []byte {
	var b []byte
	switch v := r.get(v).(type) {
	case *stream:
		return r.data(v)
	case []any:
		for _, x := range v[:min(len(v), 1000)] {
			if s, ok := r.get(x).(*stream); ok {
				b = append(append(b, r.data(s)...), '\n')
			}
		}
	}
	return b
}

// matrix is a, b, c, d, e, f of the transformation (x, y) → (ax+cy+e, bx+dy+f).
type matrix [6]float64

func (m matrix) times(n matrix) matrix {
	return matrix{
		m[0]*n[0] + m[1]*n[2], m[0]*n[1] + m[1]*n[3],
		m[2]*n[0] + m[3]*n[2], m[2]*n[1] + m[3]*n[3],
		m[4]*n[0] + m[5]*n[2] + n[4], m[4]*n[1] + m[5]*n[3] + n[5],
	}
}

var identity = matrix{1, 0, 0, 1, 0, 0}

// state is what q saves.
type state struct {
	ctm                                           matrix
	font                                          *font
	size, charSpace, wordSpace, scale, lead, rise float64
}

type reader struct {
	*file
	fonts map[any]*font
	page  int
	lines []Line
	total int // bytes of text
	ops   int

	state
	saved      []state
	text, line matrix

	now            strings.Builder
	x, y, end      float64 // of the line that is being written
	height         float64
	known, unknown int // letters
}

func (r *reader) start() {
	r.state = state{ctm: identity, scale: 1}
	r.saved = r.saved[:0]
	r.text, r.line = identity, identity
}

// read carries out the operators of a content stream that matter to text.
func (r *reader) read(b []byte, resources map[string]any, depth int) {
	l := &lexer{src: b}
	var args []any
	for {
		o, ok := l.next()
		if !ok || r.err != nil {
			return
		}
		w, isWord := o.(word)
		if !isWord {
			if len(args) < 64 {
				args = append(args, o)
			}
			continue
		}
		if r.ops++; r.ops > maxOperators || r.total > maxText {
			r.err = ErrLarge
			return
		}
		switch w {
		case "BI": // a picture in the stream
			i := strings.Index(string(l.src[l.at:min(len(l.src), l.at+1<<20)]), "EI")
			if i < 0 {
				return
			}
			l.at += i + 2
		case "Do":
			r.form(args, resources, depth)
		default:
			r.operate(string(w), args, resources)
		}
		args = args[:0]
	}
}

// form draws a form, which is a content stream with resources of its own.
func (r *reader) form(args []any, resources map[string]any, depth int) {
	if len(args) != 1 || depth > 8 {
		return
	}
	n, _ := args[0].(name)
	s, ok := r.get(r.dict(resources["XObject"])[string(n)]).(*stream)
	if !ok || s.dict["Subtype"] != name("Form") {
		return
	}
	own := r.dict(s.dict["Resources"])
	if own == nil {
		own = resources
	}
	before := r.state
	if m, ok := numbers(r.array(s.dict["Matrix"]), 6); ok {
		r.ctm = matrix(m).times(r.ctm)
	}
	r.read(r.data(s), own, depth+1)
	r.state = before
}

func (r *reader) array(v any) []any {
	list, _ := r.get(v).([]any)
	return list
}

func numbers(args []any, n int) ([]float64, bool) {
	if len(args) < n {
		return nil, false
	}
	out := make([]float64, n)
	for i, a := range args[len(args)-n:] {
		f, ok := a.(float64)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		out[i] = f
	}
	return out, true
}

func (r *reader) operate(op string, args []any, resources map[string]any) {
	set := func(to *float64, factor float64) {
		if n, ok := numbers(args, 1); ok {
			*to = n[0] * factor
		}
	}
	switch op {
	case "q":
		if len(r.saved) < 1000 {
			r.saved = append(r.saved, r.state)
		}
	case "Q":
		if n := len(r.saved); n > 0 {
			r.state, r.saved = r.saved[n-1], r.saved[:n-1]
		}
	case "cm":
		if m, ok := numbers(args, 6); ok {
			r.ctm = matrix(m).times(r.ctm)
		}
	case "BT":
		r.text, r.line = identity, identity
	case "Tf":
		if len(args) == 2 {
			n, _ := args[0].(name)
			r.font = r.fontOf(r.dict(resources["Font"])[string(n)])
			r.size, _ = args[1].(float64)
		}
	case "Tc":
		set(&r.charSpace, 1)
	case "Tw":
		set(&r.wordSpace, 1)
	case "Tz":
		set(&r.scale, .01)
	case "TL":
		set(&r.lead, 1)
	case "Ts":
		set(&r.rise, 1)
	case "Td", "TD":
		if n, ok := numbers(args, 2); ok {
			if op == "TD" {
				r.lead = -n[1]
			}
			r.move(n[0], n[1])
		}
	case "Tm":
		if m, ok := numbers(args, 6); ok {
			r.text, r.line = matrix(m), matrix(m)
		}
	case "T*":
		r.move(0, -r.lead)
	case "\"":
		if n, ok := numbers(args[:max(0, len(args)-1)], 2); ok {
			r.wordSpace, r.charSpace = n[0], n[1]
		}
		r.move(0, -r.lead)
		r.show(args)
	case "'":
		r.move(0, -r.lead)
		r.show(args)
	case "Tj", "TJ":
		r.show(args)
	}
}

func (r *reader) fontOf(v any) *font {
	key := v
	if _, ok := v.(ref); !ok {
		return r.file.readFont(v)
	}
	if r.fonts[key] == nil {
		r.fonts[key] = r.file.readFont(v)
	}
	return r.fonts[key]
}

func (r *reader) move(x, y float64) {
	r.line = matrix{1, 0, 0, 1, x, y}.times(r.line)
	r.text = r.line
}

// show draws strings, and moves by the numbers between them.
func (r *reader) show(args []any) {
	if len(args) == 0 || r.font == nil {
		return
	}
	list, ok := args[len(args)-1].([]any)
	if !ok {
		list = args[len(args)-1:]
	}
	for _, x := range list {
		switch x := x.(type) {
		case float64:
			r.text = matrix{1, 0, 0, 1, -x / 1000 * r.size * r.scale, 0}.times(r.text)
		case text:
			r.draw(string(x))
		}
	}
}

func (r *reader) draw(s string) {
	for i := 0; i+r.font.bytes <= len(s); i += r.font.bytes {
		c := code(text(s[i : i+r.font.bytes]))
		letter, ok := r.font.letter[c]
		if !ok || !r.font.codes {
			r.unknown++
			letter = ""
		} else if strings.TrimSpace(letter) != "" {
			r.known++
		}
		w, ok := r.font.width[c]
		if !ok {
			w = r.font.normal
		}
		advance := w/1000*r.size + r.charSpace
		if r.font.bytes == 1 && c == ' ' {
			advance += r.wordSpace
		}
		m := matrix{r.size * r.scale, 0, 0, r.size, 0, r.rise}.times(r.text).times(r.ctm)
		r.text = matrix{1, 0, 0, 1, advance * r.scale, 0}.times(r.text)
		after := r.text.times(r.ctm)
		r.put(letter, m[4], m[5], after[4], math.Hypot(m[2], m[3]))
	}
}

// put writes a letter. One that stands on another height, or left of what is written, begins a line; a gap is a space.
func (r *reader) put(letter string, x, y, end, height float64) {
	if letter == "" {
		return
	}
	if r.now.Len() > 0 && (math.Abs(y-r.y) > .5*math.Max(height, r.height) || x < r.end-2*height) {
		r.endLine()
	}
	if r.now.Len() == 0 {
		if strings.TrimSpace(letter) == "" {
			return
		}
		r.x, r.y, r.height = x, y, height
	} else if gap := x - r.end; gap > .2*height && letter != " " && !strings.HasSuffix(r.now.String(), " ") {
		r.now.WriteByte(' ')
	}
	r.now.WriteString(letter)
	r.end = end
}

// ligatures are letters that printers join, as the words have them.
var ligatures = strings.NewReplacer("ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "\u00ad", "")

func (r *reader) endLine() {
	if t := ligatures.Replace(strings.Join(strings.Fields(strings.ToValidUTF8(r.now.String(), "")), " ")); t != "" {
		r.lines = append(r.lines, Line{r.page, r.x, r.y, r.height, t})
		r.total += len(t) + 1
	}
	r.now.Reset()
}
