package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
)

func TestPointers(t *testing.T) {
	const doc = ` { "a" : [1, {"b": "x,]}\""}, [ ] ] , "\u0063": {"d/e":null}, "f": {} } `
	for _, c := range []struct{ at, want string }{
		{"", strings.TrimSpace(doc)}, {"/a/0", "1"}, {"/a/1/b", `"x,]}\""`}, {"/a/2", "[ ]"}, {"/c/d~1e", "null"}, {"/f", "{}"},
	} {
		if got, ok := Get([]byte(doc), c.at); !ok || string(got) != c.want {
			t.Errorf("%s is %q, %v", c.at, got, ok)
		}
	}
	for _, at := range []string{"/b", "/a/3", "/a/x", "/a/0/0", "/f/g"} {
		if got, ok := Get([]byte(doc), at); ok {
			t.Errorf("%s is %q", at, got)
		}
	}
	for _, c := range []struct{ op, doc, at, value, want string }{
		{"set", `{"a": 1, "b":2}`, "/a", `"x"`, `{"a": "x", "b":2}`},
		{"set", `{}`, "/a", `1`, `{"a":1}`},
		{"set", `{"b":2 }`, "/a", `1`, `{"b":2 ,"a":1}`},
		{"set", `{"b":[]}`, "/b/0", `1`, `{"b":[1]}`},
		{"set", `{"b":[0]}`, "/b/1", `1`, `{"b":[0,1]}`},
		{"set", `{"b":3}`, "/b/c", `1`, `{"b":3}`},
		{"set", `{"b":3}`, "/c/d", `1`, `{"b":3}`},
		{"delete", `{"a":1,"b":2,"c":3}`, "/b", "", `{"a":1,"c":3}`},
		{"delete", `{"a":1,"b":2}`, "/b", "", `{"a":1}`},
		{"delete", `{"a":1, "b":2}`, "/a", "", `{ "b":2}`},
		{"delete", `{"a":1}`, "/a", "", `{}`},
		{"delete", `[[1],[2]]`, "/1", "", `[[1]]`},
		{"delete", `[1]`, "/1", "", `[1]`},
	} {
		got := Delete([]byte(c.doc), c.at)
		if c.op == "set" {
			got = Set([]byte(c.doc), c.at, []byte(c.value))
		}
		if string(got) != c.want {
			t.Errorf("%s %s %s gives %s, want %s", c.op, c.doc, c.at, got, c.want)
		}
	}
}

// Whatever is changed, what comes out is JSON that the strict decoder reads as the same document with that change, and everything else is byte for byte as it was.
func TestChangesArePrecise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var draw func(depth int) any
		key := rapid.StringMatching(`[a-z"\\/~é]{1,4}`)
		draw = func(depth int) any {
			kind := rapid.IntRange(0, 5).Draw(t, "kind")
			if depth > 3 {
				kind %= 4
			}
			switch kind {
			case 0:
				return nil
			case 1:
				return rapid.Int64().Draw(t, "int")
			case 2:
				return rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\ufffd") }).Draw(t, "text")
			case 3:
				return rapid.Bool().Draw(t, "bool")
			case 4:
				l := []any{}
				for range rapid.IntRange(0, 3).Draw(t, "n") {
					l = append(l, draw(depth+1))
				}
				return l
			}
			m := map[string]any{}
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				m[key.Draw(t, "key")] = draw(depth + 1)
			}
			return m
		}
		doc := map[string]any{"root": draw(0), "other": draw(0)}
		raw, err := proviso.AppendJSON(nil, doc)
		if err != nil {
			t.Skip()
		}
		root, _ := Get(raw, "/root")
		other, _ := Get(raw, "/other")
		set := Set(raw, "/root", []byte(`"new"`))
		v, err := proviso.DecodeResultJSON(set)
		if err != nil || !reflect.DeepEqual(v, map[string]any{"root": "new", "other": doc["other"]}) {
			t.Fatalf("%s became %s: %v", raw, set, err)
		}
		if back := Set(set, "/root", root); !bytes.Equal(back, raw) {
			t.Fatalf("%s came back as %s", raw, back)
		}
		gone := Delete(raw, "/root")
		if w, err := proviso.DecodeResultJSON(gone); err != nil || !reflect.DeepEqual(w, map[string]any{"other": doc["other"]}) {
			t.Fatalf("%s became %s: %v", raw, gone, err)
		}
		if kept, _ := Get(gone, "/other"); !bytes.Equal(kept, other) {
			t.Fatalf("%s in %s", kept, gone)
		}
	})
}

// events reads all events of a text, given by pieces as the reader has them.
func events(r io.Reader) (out []Event, raw []byte, err error) {
	rd := NewReader(r)
	for {
		ev, err := rd.Next()
		raw = append(raw, ev.Raw...)
		if err != nil {
			return out, raw, err
		}
		if ev.Name != "" || len(ev.Data) > 0 {
			out = append(out, Event{Name: ev.Name, Data: append([]byte(nil), ev.Data...)})
		}
	}
}

var manyForms = []struct{ name, text string }{
	{"LF", "event: a\ndata: 1\n\ndata: 2\n\n"},
	{"CRLF", "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n"},
	{"CR", "event: a\rdata: 1\r\rdata: 2\r\r"},
	{"mixed", "event: a\r\ndata: 1\n\r\ndata: 2\r\r"},
	{"byte order mark", "\ufeffevent: a\ndata: 1\n\ndata: 2\n\n"},
	{"comments and keep-alives", ": hello\n\nevent: a\n: between\ndata: 1\n\n:\n\n: ping\n\ndata: 2\n\n"},
	{"no space after the colon", "event:a\ndata:1\n\ndata:2\n\n"},
	{"other fields", "id: 7\nretry: 10\nevent: a\nfoo\ndata: 1\n\ndata: 2\n\n"},
	{"nothing ends the last one", "event: a\ndata: 1\n\ndata: 2"},
	{"empty lines before", "\n\n\nevent: a\ndata: 1\n\n\n\ndata: 2\n\n"},
}

func TestEventsInEveryForm(t *testing.T) {
	want := []Event{{Name: "a", Data: []byte("1")}, {Data: []byte("2")}}
	for _, c := range manyForms {
		got, raw, err := events(strings.NewReader(c.text))
		if err != io.EOF || !reflect.DeepEqual(got, want) || string(raw) != c.text {
			t.Errorf("%s: %q %v\n%q", c.name, got, err, raw)
		}
	}
	if got, _, _ := events(strings.NewReader("data: a\ndata:\ndata: b\n\n")); len(got) != 1 || string(got[0].Data) != "a\n\nb" {
		t.Errorf("several lines give %q", got)
	}
}

// An event is the same wherever the network cuts it, and is returned as soon as its last byte has come.
func TestEventsCutAtEveryByte(t *testing.T) {
	for _, c := range manyForms {
		want, _, _ := events(strings.NewReader(c.text))
		for cut := range c.text {
			r := io.MultiReader(strings.NewReader(c.text[:cut]), iotest.OneByteReader(strings.NewReader(c.text[cut:])))
			if got, raw, _ := events(r); !reflect.DeepEqual(got, want) || string(raw) != c.text {
				t.Fatalf("%s cut at %d: %q", c.name, cut, got)
			}
		}
	}
	r, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, "data: 1\r\r")
	if ev, err := NewReader(r).Next(); err != nil || string(ev.Data) != "1" {
		t.Errorf("%q %v", ev.Data, err)
	}
}

func TestEventsThatAreTooLarge(t *testing.T) {
	_, _, err := events(strings.NewReader("data: " + strings.Repeat("x", MaxFrame) + "\n\n"))
	var bad *FormatError
	if !errors.As(err, &bad) || bad.Code != CodeEvent {
		t.Errorf("%v", err)
	}
	broken := errors.New("broken")
	if _, _, err := events(io.MultiReader(strings.NewReader("data: 1\n"), iotest.ErrReader(broken))); err != broken {
		t.Errorf("%v", err)
	}
}

func TestRedactSegments(t *testing.T) {
	list := []Segment{{"/a", "one 1111"}, {"/b", "22 two"}}
	got := RedactSegments(list, []proviso.Edit{{Start: 4, End: 11, Text: "[n]"}})
	if !reflect.DeepEqual(got, []string{"one [n]", " two"}) {
		t.Errorf("%q", got)
	}
	if got := RedactSegments(list, nil); !reflect.DeepEqual(got, []string{"one 1111", "22 two"}) {
		t.Errorf("%q", got)
	}
}

func FuzzEvents(f *testing.F) {
	for _, c := range manyForms {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, raw, _ := events(bytes.NewReader(b))
		if !bytes.Equal(raw, b) {
			t.Fatalf("%q came as %q", b, raw)
		}
		if got, _, _ := events(iotest.OneByteReader(bytes.NewReader(b))); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %q in pieces, %q in one", b, got, want)
		}
	})
}

func FuzzPointers(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"c"}]}`), "/a/1/b")
	f.Fuzz(func(t *testing.T, b []byte, at string) {
		if _, err := proviso.DecodeResultJSON(b); err != nil {
			return
		}
		for _, out := range [][]byte{Set(b, at, []byte(`"x"`)), Delete(b, at)} {
			if _, err := proviso.DecodeResultJSON(out); err != nil && !(at == "" && len(out) == 0) {
				var je *proviso.JSONError
				if errors.As(err, &je) && (je.Code == proviso.CodeTooDeep || je.Code == proviso.CodeDuplicate || je.Code == proviso.CodeText) {
					continue
				}
				t.Fatalf("%q at %q became %q: %v", b, at, out, err)
			}
		}
	})
}

func TestEmpty(t *testing.T) {
	for _, c := range []struct {
		doc, at string
		want    bool
	}{
		{`{"a":[ ]}`, "/a", true}, {`{"a":{}}`, "/a", true}, {`{"a":[0]}`, "/a", false}, {`{"a":[[]]}`, "/a", false}, {`{"a":""}`, "/a", false}, {`{"a":null}`, "/a", false}, {`{}`, "/a", false}, {`[]`, "", true},
	} {
		if got := Empty([]byte(c.doc), c.at); got != c.want {
			t.Errorf("%s at %q: %v", c.doc, c.at, got)
		}
	}
}
