package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Source is a tensor to write. Data is row-major and is not kept.
type Source struct {
	Name  string
	Shape []int
	Data  []float32
}

// entryJSON is an entry of the header.
type entryJSON struct {
	DType   DType    `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Write writes tensors as values of the type, which is F32, F16 or BF16, with texts for the header; metadata may be nil. It returns the bytes written.
// A value that the type cannot hold (not finite, or beyond 65504 in F16) is an error that names its tensor, because a file with it would be loaded as a broken model.
func Write(w io.Writer, tensors []Source, dtype DType, metadata map[string]string) (int64, error) {
	encode, ok := encoders[dtype]
	if !ok {
		return 0, fmt.Errorf("write tensors: the type %q cannot be written; use F32, F16 or BF16", dtype)
	}
	header := make(map[string]any, len(tensors)+1)
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	var at int64
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if n != len(t.Data) {
			return 0, fmt.Errorf("write tensors: %s has %d values, and its shape needs %d", t.Name, len(t.Data), n)
		}
		if _, twice := header[t.Name]; twice {
			return 0, fmt.Errorf("write tensors: two are called %s", t.Name)
		}
		end := at + int64(n)*sizes[dtype]
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		header[t.Name] = entryJSON{dtype, shape, [2]int64{at, end}}
		at = end
	}
	head, err := json.Marshal(header)
	if err != nil {
		return 0, fmt.Errorf("write tensors: %w", err)
	}
	for len(head)%8 != 0 { // values stay aligned for readers that map the file
		head = append(head, ' ')
	}
	buf := binary.LittleEndian.AppendUint64(make([]byte, 0, chunk), uint64(len(head)))
	buf = append(buf, head...)
	var written int64
	flush := func() error {
		n, err := w.Write(buf)
		written += int64(n)
		buf = buf[:0]
		return err
	}
	if err := flush(); err != nil {
		return written, fmt.Errorf("write tensors: %w", err)
	}
	for _, t := range tensors {
		for rest := t.Data; len(rest) > 0; {
			n := min(len(rest), chunk/4)
			for i, x := range rest[:n] {
				if x != x || math.Abs(float64(x)) > largest[dtype] {
					return written, fmt.Errorf("write tensors: value %d of %s is %g, which %s does not hold", len(t.Data)-len(rest)+i, t.Name, x, dtype)
				}
			}
			buf = encode(buf, rest[:n])
			if err := flush(); err != nil {
				return written, fmt.Errorf("write tensors: %s: %w", t.Name, err)
			}
			rest = rest[n:]
		}
	}
	return written, nil
}

// largest are the largest numbers that do not round to infinity.
var largest = map[DType]float64{F32: math.MaxFloat32, F16: 65519, BF16: 3.39e38}
