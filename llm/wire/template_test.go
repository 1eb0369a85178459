package wire

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestTemplate(t *testing.T) {
	const first = `{"i": 3, "d":{"c":"one"},"x":[1]}`
	for _, c := range []struct {
		data, text string
		number     int64
		ok         bool
	}{
		{`{"i": 3, "d":{"c":"one"},"x":[1]}`, "one", 3, true},
		{`{"i": 0, "d":{"c":""},"x":[1]}`, "", 0, true},
		{`{"i": 41, "d":{"c":"é€😀"},"x":[1]}`, "é€😀", 41, true},
		{`{"i": 3, "d":{"c":"a\nb"},"x":[1]}`, "", 0, false},           // an escape
		{"{\"i\": 3, \"d\":{\"c\":\"a\nb\"},\"x\":[1]}", "", 0, false}, // no JSON
		{"{\"i\": 3, \"d\":{\"c\":\"a\xffb\"},\"x\":[1]}", "", 0, false},
		{`{"i": 03, "d":{"c":"one"},"x":[1]}`, "", 0, false},
		{`{"i": -3, "d":{"c":"one"},"x":[1]}`, "", 0, false},
		{`{"i": , "d":{"c":"one"},"x":[1]}`, "", 0, false},
		{`{"i": 1234567890123456789, "d":{"c":"one"},"x":[1]}`, "", 0, false},
		{`{"i": 3, "d":{"c":"one","c":"two"},"x":[1]}`, "", 0, false},
		{`{"i": 3, "d":{"c":"one"},"x":[2]}`, "", 0, false},
		{`{"i": 3, "d":{"c":"one"},"x":[1]} `, "", 0, false},
		{`{"i": 3, "d":{"c":"one`, "", 0, false},
		{``, "", 0, false},
	} {
		l := NewTemplate([]byte(first), "/d/c", "/i", "/none")
		if ok := l.Match([]byte(c.data)); ok != c.ok || ok && (string(l.Text(0)) != c.text || l.Number(1) != c.number || l.Text(2) != nil || l.Number(2) != 0) {
			t.Errorf("%s: %v, %q, %d", c.data, ok, l.Text(0), l.Number(1))
		}
	}
	for _, data := range []string{`{"i":-1}`, `{"i":1.5}`, `{"i":null}`, `{"i":[]}`, `{"i":true}`} {
		if NewTemplate([]byte(data), "/i") != nil {
			t.Errorf("%s makes a template", data)
		}
	}
	if (*Template)(nil).Match([]byte(first)) {
		t.Error("no template matches")
	}
}

// What matches a template is what the strict decoder accepts, with the values of the template everywhere but in the holes.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"i":0,"d":{"c":"one"}}`), []byte(`{"i":7,"d":{"c":"two"}}`))
	f.Add([]byte(`{"d":{"c":"\u00e9"}}`), []byte(`{"d":{"c":"é"}}`))
	f.Add([]byte(`{"d":{"\u0063":"x"},"i":1}`), []byte(`{"d":{"\u0063":"x","c":""},"i":1}`))
	f.Fuzz(func(t *testing.T, first, data []byte) { likeDecoded(t, first, data) })
}

func TestTemplateIsStrict(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first := []byte(`{"i":12,"d":{"c":"some text"},"more":["a",{"b":null}]}`)
		data := append([]byte{}, first...)
		for range rapid.IntRange(0, 4).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(data)-1).Draw(rt, "at")
			switch b := rapid.SampledFrom([]byte("\"\\{}:,0159a \x00\xff\xc3\xa9")).Draw(rt, "byte"); rapid.IntRange(0, 2).Draw(rt, "how") {
			case 0:
				data[at] = b
			case 1:
				data = append(data[:at], append([]byte{b}, data[at:]...)...)
			default:
				data = append(data[:at], data[at+1:]...)
			}
		}
		likeDecoded(rt, first, data)
	})
}

func likeDecoded(t interface{ Fatalf(string, ...any) }, first, data []byte) {
	want, err := Decode(first)
	if err != nil {
		return
	}
	l := NewTemplate(first, "/d/c", "/i")
	if !l.Match(data) {
		return
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatalf("%q matches %q: %v", data, first, err)
	}
	if d, ok := want["d"].(map[string]any); ok {
		if _, ok := d["c"].(string); ok && l.found[0] != nil {
			d["c"] = string(l.Text(0))
		} else if _, number := d["c"].(int64); number {
			d["c"] = l.Number(0)
		}
	}
	if l.found[1] != nil {
		if _, text := want["i"].(string); text {
			want["i"] = string(l.Text(1))
		} else {
			want["i"] = l.Number(1)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q matches %q: %v, want %v", data, first, got, want)
	}
}
