package proviso

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// FuzzDecodeJSON checks that what the strict decoder accepts is what encoding/json understands by it, that the canonical form is a fixed point, and that nothing panics.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u00e9",null,true]}`, `{"a":1,"A":2}`, `"\ud83d\ude00"`, `1e400`, `[[[]]]`, "\"\xff\"", `-0`, `{"a":1,"a":2}`, string(sample)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeJSON(b)
		loose, lerr := DecodeResultJSON(b)
		if err != nil {
			je, ok := err.(*JSONError)
			if !ok || je.Offset < 0 || je.Offset > len(b) || je.Code == "" || je.Msg == "" {
				t.Fatalf("%q: bad error %#v", b, err)
			}
			if lerr == nil && je.Code != CodeFoldedTwin {
				t.Fatalf("%q: only the result decoder accepts, but %v", b, err)
			}
			return
		}
		if lerr != nil || !reflect.DeepEqual(got, loose) {
			t.Fatalf("%q: the result decoder differs: %v", b, lerr)
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q: accepted, but encoding/json: %v", b, err)
		}
		if !agrees(got, want) {
			t.Fatalf("%q: %#v, encoding/json %#v", b, got, want)
		}
		canon := CanonicalJSON(got)
		again, err := DecodeJSON(canon)
		if err != nil || !bytes.Equal(CanonicalJSON(again), canon) {
			// A float beyond int64 may be written as a plain integer, which reads as out of range.
			if je, ok := err.(*JSONError); !ok || je.Code != CodeNumberRange {
				t.Fatalf("%q: canonical form %q is not stable: %v", b, canon, err)
			}
		}
	})
}

func agrees(got, want any) bool {
	switch w := want.(type) {
	case json.Number:
		switch g := got.(type) {
		case int64:
			n, err := w.Int64()
			return err == nil && n == g
		case float64:
			x, err := w.Float64()
			return err == nil && math.Float64bits(x) == math.Float64bits(g)
		}
		return false
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !agrees(g[i], w[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if !agrees(g[k], w[k]) {
				return false
			}
		}
		return true
	}
	return got == want
}

// FuzzDecodeOutline checks that an outline is refused exactly where the whole is, and is the whole but for what was left.
func FuzzDecodeOutline(f *testing.F) {
	for _, s := range []string{`{"a":{"b":{"x":1}}}`, `{"a":[{"b":[1,2.5,"x\u00e9",null,true,{}]}]}`, `{"a":{"b":{"x":1,"x":2}}}`, `{"a":{"b":1,"b":2}}`, `{"a":{"b":"\ud83d"}}`, `{"b":{"a":1e400}}`, `{"a":{"b":{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"10":0,"11":0,"12":0,"13":0,"\u0031":0}}}`, `{"a":{"b":[01]}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := DecodeResultJSON(text)
		if got := CheckResultJSON(text); !reflect.DeepEqual(got, err) {
			t.Fatalf("%q: reading it: %v, checking it: %v", text, err, got)
		}
		outline, oerr := DecodeOutline(text, func(top, key string) bool { return top == "a" && key == "b" })
		if !reflect.DeepEqual(err, oerr) {
			t.Fatalf("%q: the whole: %v, the outline: %v", text, err, oerr)
		}
		if m, ok := whole.(map[string]any); ok {
			leaveOut(m["a"])
		}
		if !reflect.DeepEqual(whole, outline) {
			t.Fatalf("%q: the outline is %#v, want %#v", text, outline, whole)
		}
	})
}

func leaveOut(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			leaveOut(e)
		}
	case map[string]any:
		for k, e := range v {
			if k == "b" {
				v[k] = nil
			} else {
				leaveOut(e)
			}
		}
	}
}
