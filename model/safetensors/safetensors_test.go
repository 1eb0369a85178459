package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

func open(b []byte) (*File, error) { return Open("x.safetensors", bytes.NewReader(b), int64(len(b))) }

// file makes a file of a header and data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom([]DType{F32, F16, BF16}).Draw(t, "dtype")
		var tensors []Source
		for i := range rapid.IntRange(0, 5).Draw(t, "tensors") {
			shape := rapid.SliceOfN(rapid.IntRange(0, 7), 0, 3).Draw(t, "shape")
			n := 1
			for _, d := range shape {
				n *= d
			}
			data := make([]float32, n)
			for j := range data {
				data[j] = float32(rapid.IntRange(-64, 64).Draw(t, "value")) / 8 // exact in every type
			}
			tensors = append(tensors, Source{Name: fmt.Sprintf("t%d.wéight", i), Shape: shape, Data: data})
		}
		var b bytes.Buffer
		n, err := Write(&b, tensors, dtype, map[string]string{"format": "pt"})
		if err != nil || n != int64(b.Len()) {
			t.Fatalf("wrote %d of %d bytes: %v", n, b.Len(), err)
		}
		f, err := open(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Tensors()) != len(tensors) || f.Metadata()["format"] != "pt" {
			t.Fatalf("got %v, %v", f.Tensors(), f.Metadata())
		}
		for _, s := range tensors {
			got := make([]float32, len(s.Data))
			if err := f.ReadFloat32(s.Name, got); err != nil {
				t.Fatal(err)
			}
			if info, ok := f.Tensor(s.Name); !ok || info.DType != dtype || fmt.Sprint(info.Shape) != fmt.Sprint(s.Shape) || info.Len() != int64(len(got)) {
				t.Fatalf("%s is %v, want the shape %v", s.Name, info, s.Shape)
			}
			if !reflect.DeepEqual(got, s.Data) && len(got) > 0 {
				t.Fatalf("%s is %v, want %v", s.Name, got, s.Data)
			}
		}
	})
}

// Every float16 and bfloat16 survives, and rounding is to nearest, ties to even: the reference goes through all neighbours.
func TestHalfPrecision(t *testing.T) {
	for u := range 1 << 16 {
		h := uint16(u)
		x := fromHalf(h)
		if x != x {
			if back := toHalf(x); back&0x7c00 != 0x7c00 || back&0x3ff == 0 {
				t.Fatalf("the NaN %04x became %04x", h, back)
			}
			continue
		}
		if back := toHalf(x); back != h {
			t.Fatalf("%04x is %g, which became %04x", h, x, back)
		}
		if h&0x7fff >= 0x7bff { // no finite neighbour above
			continue
		}
		next := fromHalf(h + 1)
		mid := (float64(x) + float64(next)) / 2
		even := h + h&1
		for _, c := range []struct {
			x    float64
			want uint16
		}{{mid, even}, {math.Nextafter(mid, float64(x)), h}, {math.Nextafter(mid, float64(next)), h + 1}} {
			if f := float32(c.x); float64(f) == c.x && toHalf(f) != c.want {
				t.Fatalf("%g became %04x, want %04x", f, toHalf(f), c.want)
			}
		}
		if f := math.Nextafter32(float32(mid), next); toHalf(f) != h+1 {
			t.Fatalf("%g became %04x, want %04x", f, toHalf(f), h+1)
		}
	}
	for _, c := range []struct {
		x    float32
		want uint16
	}{{1, 0x3f80}, {-2.5, 0xc020}, {1 + 1.0/256, 0x3f80}, {1 + 3.0/256, 0x3f82}, {float32(math.Inf(1)), 0x7f80}, {1 + 1.0/256 + 1.0/65536, 0x3f81}} {
		if got := toBrain(c.x); got != c.want {
			t.Errorf("%g became %04x, want %04x", c.x, got, c.want)
		}
	}
	if nan := toBrain(float32(math.NaN())); nan&0x7f80 != 0x7f80 || nan&0x7f == 0 {
		t.Errorf("NaN became %04x", nan)
	}
	if math.Float32bits(fromHalf(0xbc00)) != math.Float32bits(-1) || fromHalf(0x0001) != 0x1p-24 || fromHalf(0x7bff) != 65504 {
		t.Error("known values of float16 are wrong")
	}
}

// What a file may have wrong with it, and what is said about it.
func TestRefused(t *testing.T) {
	entry := `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for want, b := range map[string][]byte{
		"7 bytes are too few":                make([]byte, 7),
		"claims 1099511627776 bytes":         append(binary.LittleEndian.AppendUint64(nil, 1<<40), '{', '}'),
		"claims 100 bytes":                   append(binary.LittleEndian.AppendUint64(nil, 100), '{', '}'),
		"is no JSON":                         file(`{"a"`, 0),
		"is no object":                       file(`[]`, 0),
		`the entry "a" is no object`:         file(`{"a":1}`, 0),
		`the metadata "k" is no text`:        file(`{"__metadata__":{"k":1}}`, 0),
		`the type "F31"`:                     file(`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, 8),
		"has no shape":                       file(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8),
		"an impossible shape":                file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}`, 8),
		`"b" has an impossible`:              file(`{"b":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8),
		"has no data_offsets":                file(`{"a":{"dtype":"F32","shape":[2]}}`, 8),
		"outside of the file":                file(entry+`}`, 4),
		`"c" lies outside`:                   file(`{"c":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8),
		"has 8 bytes, and its shape needs 4": file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8),
		"the tensors end at byte":            file(entry+`}`, 12),
		`the tensor "d" begins at`:           file(entry+`,"d":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}`, 16),
		`the tensor "e" begins at`:           file(entry+`,"e":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
	} {
		_, err := open(b)
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != CodeMalformed || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s … [%s]", err, want, CodeMalformed)
		}
	}
	f, err := open(file(entry+`,"i":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}`, 16))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"there is no tensor":      f.ReadFloat32("z", nil),
		"has 2 values, not 3":     f.ReadFloat32("a", make([]float32, 3)),
		"is of type I64":          f.ReadFloat32("i", make([]float32, 1)),
		"cannot be written":       write([]Source{}, "I64"),
		"its shape needs 2":       write([]Source{{Name: "a", Shape: []int{2}, Data: []float32{1}}}, F32),
		"two are called a":        write([]Source{{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}}, F32),
		"value 1 of a is NaN":     write([]Source{{Name: "a", Shape: []int{2}, Data: []float32{1, float32(math.NaN())}}}, F32),
		"is 70000, which F16":     write([]Source{{Name: "a", Data: []float32{70000}}}, F16),
		"is +Inf, which BF16":     write([]Source{{Name: "a", Data: []float32{float32(math.Inf(1))}}}, BF16),
		"is 3.4e+38, which BF16 ": write([]Source{{Name: "a", Data: []float32{3.4e38}}}, BF16),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func write(tensors []Source, dtype DType) error {
	_, err := Write(&bytes.Buffer{}, tensors, dtype, nil)
	return err
}

// full takes n bytes and then is a disk without space.
type full struct{ n int }

func (f *full) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, os.ErrClosed
	}
	return len(b), nil
}

func TestDiskFull(t *testing.T) {
	s := []Source{{Name: "a", Shape: []int{100_000}, Data: make([]float32, 100_000)}}
	for _, n := range []int{0, 1000, 300_000} {
		if _, err := Write(&full{n}, s, F32, nil); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// A file that is cut off anywhere is refused when it is opened.
func TestCutOff(t *testing.T) {
	var b bytes.Buffer
	if _, err := Write(&b, []Source{{Name: "a", Shape: []int{3}, Data: []float32{1, 2, 3}}, {Name: "b", Shape: []int{1}, Data: []float32{4}}}, F32, nil); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		if _, err := open(b.Bytes()[:n]); err == nil {
			t.Errorf("%d of %d bytes were read as a file", n, b.Len())
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}`, 4))
	f.Add(file(`{}`, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := open(b)
		if err != nil {
			return
		}
		for _, x := range file.Tensors() {
			if n := x.Len(); n <= int64(len(b)) {
				file.ReadFloat32(x.Name, make([]float32, n))
			} else {
				t.Fatalf("%s claims %d values in %d bytes", x.Name, n, len(b))
			}
		}
	})
}
