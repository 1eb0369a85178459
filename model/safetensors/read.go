package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/proviso-dev/proviso"
)

// CodeMalformed is the code of a file that is no safetensors file: cut off, or with a header that contradicts itself or the size of the file.
const CodeMalformed = "PV702"

// MaxHeader is how long a header may be, in bytes; the format's own limit.
const MaxHeader = 100_000_000

// DType is the type of a tensor's values, as the header spells it.
type DType string

// The types that ReadFloat32 converts. Tensors of other types are listed and cannot be read.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// sizes are the bytes of a value of each type of the format.
var sizes = map[DType]int64{F64: 8, F32: 4, F16: 2, BF16: 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}

// Tensor says what a tensor is and where it lies.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // rows first; none for a single value
	begin int64 // in the file
	end   int64
}

// Len returns the number of values.
func (t Tensor) Len() int64 { return (t.end - t.begin) / sizes[t.DType] }

// File is an open file. It is safe for concurrent use where its reader is.
type File struct {
	r        io.ReaderAt
	name     string
	tensors  []Tensor
	byName   map[string]int
	metadata map[string]string
}

func refuse(file, format string, args ...any) error {
	return proviso.Diagnostic{Pos: proviso.Pos{File: file}, Code: CodeMalformed, Msg: fmt.Sprintf(format, args...), Hint: "the file is cut off or damaged; fetch or save it again"}
}

// Open reads and checks the header of a file of size bytes; name is for messages. The reader stays in use. The error is a proviso.Diagnostic with CodeMalformed, or that of the reader.
func Open(name string, r io.ReaderAt, size int64) (*File, error) {
	var head [8]byte
	if size < int64(len(head)) {
		return nil, refuse(name, "%d bytes are too few for a safetensors file", size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%s: read: %w", name, err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > MaxHeader || int64(n) > size-int64(len(head)) {
		return nil, refuse(name, "the header claims %d bytes, and the file has %d", n, size)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, int64(len(head))); err != nil {
		return nil, fmt.Errorf("%s: read: %w", name, err)
	}
	doc, err := proviso.DecodeResultJSON(header)
	if err != nil {
		return nil, refuse(name, "the header is no JSON: %v", err)
	}
	m, ok := doc.(map[string]any)
	if !ok {
		return nil, refuse(name, "the header is no object")
	}
	f := &File{r: r, name: name, byName: map[string]int{}, metadata: map[string]string{}}
	if err := f.header(m, int64(len(head))+int64(n), size); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) header(m map[string]any, data, size int64) error {
	for name, v := range m {
		e, ok := v.(map[string]any)
		if !ok {
			return refuse(f.name, "the entry %.80q is no object", name)
		}
		if name == "__metadata__" {
			for k, v := range e {
				s, ok := v.(string)
				if !ok {
					return refuse(f.name, "the metadata %.80q is no text", k)
				}
				f.metadata[k] = s
			}
			continue
		}
		t, err := f.entry(name, e, data, size)
		if err != nil {
			return err
		}
		f.tensors = append(f.tensors, t)
	}
	sort.Slice(f.tensors, func(i, j int) bool {
		a, b := f.tensors[i], f.tensors[j]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		return a.end < b.end || a.end == b.end && a.Name < b.Name
	})
	at := data
	for i, t := range f.tensors {
		if t.begin != at {
			return refuse(f.name, "the tensor %.80q begins at byte %d, and the one before it ends at %d", t.Name, t.begin, at)
		}
		at = t.end
		f.byName[t.Name] = i
	}
	if at != size {
		return refuse(f.name, "the tensors end at byte %d, and the file at %d", at, size)
	}
	return nil
}

func (f *File) entry(name string, e map[string]any, data, size int64) (Tensor, error) {
	t := Tensor{Name: name}
	dtype, _ := e["dtype"].(string)
	t.DType = DType(dtype)
	width, ok := sizes[t.DType]
	if !ok {
		return t, refuse(f.name, "the tensor %.80q has the type %.20q, which is not known", name, dtype)
	}
	shape, ok := e["shape"].([]any)
	if !ok {
		return t, refuse(f.name, "the tensor %.80q has no shape", name)
	}
	bytes := width
	for _, v := range shape {
		d, ok := v.(int64)
		if !ok || d < 0 || d > 0 && bytes > math.MaxInt64/d {
			return t, refuse(f.name, "the tensor %.80q has an impossible shape", name)
		}
		bytes *= d
		t.Shape = append(t.Shape, int(d))
	}
	offsets, ok := e["data_offsets"].([]any)
	if !ok || len(offsets) != 2 {
		return t, refuse(f.name, "the tensor %.80q has no data_offsets", name)
	}
	begin, ok := offsets[0].(int64)
	end, ok2 := offsets[1].(int64)
	if !ok || !ok2 || begin < 0 || end < begin || end > size-data {
		return t, refuse(f.name, "the tensor %.80q lies outside of the file", name)
	}
	if end-begin != bytes {
		return t, refuse(f.name, "the tensor %.80q has %d bytes, and its shape needs %d", name, end-begin, bytes)
	}
	t.begin, t.end = data+begin, data+end
	return t, nil
}

// Tensors lists the tensors in the order in which they lie. The slice is the caller's.
func (f *File) Tensors() []Tensor { return append([]Tensor(nil), f.tensors...) }

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (t Tensor, ok bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns the texts of the header, which programs use for notes such as the framework. The map is the file's own.
func (f *File) Metadata() map[string]string { return f.metadata }

// chunk is how many bytes are read or written at once.
const chunk = 1 << 18

// ReadFloat32 fills dst with the values of a tensor, which must be as many as dst is long.
func (f *File) ReadFloat32(name string, dst []float32) error {
	t, ok := f.Tensor(name)
	if !ok {
		return refuse(f.name, "there is no tensor %.80q", name)
	}
	decode, ok := decoders[t.DType]
	if !ok {
		return refuse(f.name, "the tensor %.80q is of type %s, which cannot be read as numbers of 32 bits", name, t.DType)
	}
	if t.Len() != int64(len(dst)) {
		return refuse(f.name, "the tensor %.80q has %d values, not %d", name, t.Len(), len(dst))
	}
	width := int(sizes[t.DType])
	buf := make([]byte, min(chunk, len(dst)*width))
	for at := t.begin; len(dst) > 0; {
		n := min(len(buf)/width, len(dst))
		if _, err := f.r.ReadAt(buf[:n*width], at); err != nil {
			return fmt.Errorf("%s: read %s: %w", f.name, name, err)
		}
		decode(dst[:n], buf)
		dst, at = dst[n:], at+int64(n*width)
	}
	return nil
}
