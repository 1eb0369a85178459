package pdf

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"errors"
	"io"
	"strconv"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// What is wrong with a file.
var (
	ErrBroken    = errors.New("it is no PDF file, or it has no pages")
	ErrEncrypted = errors.New("it is encrypted")
	ErrLarge     = errors.New("it unpacks to more than is read")
	ErrNoText    = errors.New("there is no text in it, only pictures")
	ErrNoCodes   = errors.New("its fonts do not say which letters they draw")
)

// The bounds of what is read of one file.
const (
	maxUnpacked  = 64 << 20
	maxObjects   = 500_000
	maxPages     = 5_000
	maxOperators = 5_000_000
	maxText      = 8 << 20
)

// file is the objects of a PDF by their number.
type file struct {
	src      []byte
	offsets  map[int]int // in src
	packed   map[int]any // from object streams
	unpacked int         // bytes so far
	err      error       // the first bound that was met
	root     any
}

var objectStart = lazyregexp.New(`(?:^|[\s>])(\d{1,9})[ \t\r\n]+\d{1,5}[ \t\r\n]+obj\b`)

func open(src []byte) (*file, error) {
	f := &file{src: src, offsets: map[int]int{}, packed: map[int]any{}}
	if !bytes.Contains(src[:min(len(src), 1024)], []byte("%PDF-")) {
		return nil, ErrBroken
	}
	var streams []int
	for _, m := range objectStart.FindAllSubmatchIndex(src, maxObjects) {
		n, _ := strconv.Atoi(string(src[m[2]:m[3]]))
		f.offsets[n] = m[1]
		if head := src[m[1]:min(len(src), m[1]+400)]; bytes.Contains(head, []byte("ObjStm")) {
			streams = append(streams, n)
		}
	}
	for at := 0; ; {
		i := bytes.Index(src[at:], []byte("trailer"))
		if i < 0 {
			break
		}
		at += i + len("trailer")
		l := &lexer{src: src, at: at}
		if d, ok := l.next(); ok {
			if d, ok := d.(map[string]any); ok {
				f.trailer(d)
			}
		}
	}
	for n := range f.offsets {
		if s, ok := f.get(ref(n)).(*stream); ok && s.dict["Type"] == name("XRef") {
			f.trailer(s.dict)
		}
	}
	if errors.Is(f.err, ErrEncrypted) {
		return nil, f.err
	}
	for _, n := range streams {
		f.unpackObjects(n)
	}
	return f, f.err
}

func (f *file) trailer(d map[string]any) {
	if d["Encrypt"] != nil {
		f.err = ErrEncrypted
	}
	if d["Root"] != nil {
		f.root = d["Root"]
	}
}

// unpackObjects reads an object stream: pairs of numbers and offsets, then the objects.
func (f *file) unpackObjects(n int) {
	s, ok := f.get(ref(n)).(*stream)
	if !ok || s.dict["Type"] != name("ObjStm") {
		return
	}
	first, _ := f.get(s.dict["First"]).(float64)
	count, _ := f.get(s.dict["N"]).(float64)
	b := f.data(s)
	if int(first) > len(b) || first < 0 {
		return
	}
	head := &lexer{src: b[:int(first)]}
	for range min(int(count), maxObjects) {
		num, ok1 := head.next()
		at, ok2 := head.next()
		i, isNum := num.(float64)
		o, isAt := at.(float64)
		if !ok1 || !ok2 || !isNum || !isAt || o < 0 || int(first+o) > len(b) || len(f.packed) > maxObjects {
			return
		}
		l := &lexer{src: b, at: int(first + o)}
		v, _ := l.next()
		f.packed[int(i)] = v
	}
}

// get resolves references, up to a few in a row.
func (f *file) get(v any) any {
	for range 8 {
		r, ok := v.(ref)
		if !ok {
			return v
		}
		at, ok := f.offsets[int(r)]
		if !ok {
			v = f.packed[int(r)]
			continue
		}
		l := &lexer{src: f.src, at: at}
		v, _ = l.next()
		if n, ok := v.(float64); ok { // an object that is a number, or a reference
			g, _ := l.next()
			if w, _ := l.next(); w == word("R") && g != nil {
				v = ref(n)
			}
		}
		if d, ok := v.(map[string]any); ok {
			if w, _ := l.next(); w == word("stream") {
				return f.stream(d, l.at)
			}
		}
	}
	return v
}

func (f *file) dict(v any) map[string]any {
	switch v := f.get(v).(type) {
	case map[string]any:
		return v
	case *stream:
		return v.dict
	}
	return nil
}

func (f *file) stream(d map[string]any, at int) *stream {
	if at < len(f.src) && f.src[at] == '\r' {
		at++
	}
	if at < len(f.src) && f.src[at] == '\n' {
		at++
	}
	rest := f.src[min(at, len(f.src)):]
	length := -1
	switch n := d["Length"].(type) {
	case float64:
		length = int(n)
	case ref:
		if o, ok := f.offsets[int(n)]; ok {
			l := &lexer{src: f.src, at: o}
			if v, _ := l.next(); v != nil {
				if x, ok := v.(float64); ok {
					length = int(x)
				}
			}
		}
	}
	if length < 0 || length > len(rest) || !bytes.HasPrefix(bytes.TrimLeft(rest[length:min(len(rest), length+20)], "\r\n \t"), []byte("endstream")) {
		if length = bytes.Index(rest, []byte("endstream")); length < 0 {
			length = len(rest)
		}
	}
	return &stream{d, rest[:length]}
}

// data unpacks a stream; what is damaged ends where the damage is, and a filter that is not known gives nothing.
func (f *file) data(s *stream) []byte {
	b := s.raw
	filters, ok := f.get(s.dict["Filter"]).([]any)
	if !ok && s.dict["Filter"] != nil {
		filters = []any{s.dict["Filter"]}
	}
	if len(filters) > 4 {
		return nil
	}
	for _, x := range filters {
		var r io.Reader
		switch f.get(x) {
		case name("FlateDecode"), name("Fl"):
			z, err := zlib.NewReader(bytes.NewReader(b))
			if err != nil {
				return nil
			}
			r = z
		case name("ASCII85Decode"), name("A85"):
			if i := bytes.Index(b, []byte("~>")); i >= 0 {
				b = b[:i]
			}
			r = ascii85.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("<~"))))
		case name("ASCIIHexDecode"), name("AHx"):
			l := &lexer{src: append([]byte("<"), b...)}
			r = bytes.NewReader([]byte(l.hex()))
		default:
			return nil
		}
		left := maxUnpacked - f.unpacked
		out, _ := io.ReadAll(io.LimitReader(r, int64(left)+1))
		f.unpacked += len(out)
		if len(out) > left {
			f.err = ErrLarge
			return nil
		}
		b = out
	}
	return b
}

// page is a dictionary with its own or inherited resources.
type page struct {
	dict, resources map[string]any
}

func (f *file) pages() []page {
	var out []page
	seen := map[int]bool{}
	var walk func(v any, resources map[string]any, depth int)
	walk = func(v any, resources map[string]any, depth int) {
		if r, ok := v.(ref); ok {
			if seen[int(r)] {
				return
			}
			seen[int(r)] = true
		}
		d := f.dict(v)
		if d == nil || depth > maxDepth || len(out) >= maxPages {
			return
		}
		if own := f.dict(d["Resources"]); own != nil {
			resources = own
		}
		kids, ok := f.get(d["Kids"]).([]any)
		if !ok {
			out = append(out, page{d, resources})
			return
		}
		for _, k := range kids {
			walk(k, resources, depth+1)
		}
	}
	if root := f.dict(f.root); root != nil && root["Pages"] != nil {
		walk(root["Pages"], nil, 0)
	}
	return out
}
