package proviso

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// What is written by hand is what the tags of the fields say, byte for byte, whatever it holds and however it is reached.
func TestByHandAsByTags(t *testing.T) {
	types := []reflect.Type{reflect.TypeFor[Record](), reflect.TypeFor[Decision](), reflect.TypeFor[Kept](), eventType}
	for _, k := range bodyKinds {
		types = append(types, k.typ)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := reflect.New(rapid.SampledFrom(types).Draw(t, "type"))
		if rapid.Bool().Draw(t, "filled") {
			fill(t, at.Elem(), 3)
		}
		want, err := appendFields([]byte("x"), planOf(at.Elem().Type()), at.Elem())
		if err != nil {
			t.Fatal(err)
		}
		for how, v := range map[string]any{"pointer": at.Interface(), "value": at.Elem().Interface()} {
			got, err := AppendJSON([]byte("x"), v)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("by %s: %v\n%s, want\n%s", how, err, got, want)
			}
		}
	})
}

// A body is written under the name of its kind; one that is not there is null, and one of no kind an error.
func TestBodiesByKind(t *testing.T) {
	for _, k := range bodyKinds {
		at := reflect.New(k.typ)
		want, err := appendFields([]byte(`{"`+k.name+`":`), planOf(k.typ), at.Elem())
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendJSON(nil, &Event{Body: at.Interface().(Body)})
		if err != nil || !bytes.HasSuffix(got, append([]byte(`,"body":`), append(want, "}}"...)...)) {
			t.Errorf("%s: %v in %s, want %s", k.name, err, got, want)
		}
		none := reflect.Zero(reflect.PointerTo(k.typ)).Interface().(Body)
		if got, err = AppendJSON(nil, &none); err != nil || string(got) != "null" {
			t.Errorf("no %s: %v, %s", k.name, err, got)
		}
	}
	type other struct{ *Message }
	if b, err := AppendJSON(nil, &Event{Body: other{}}); err == nil {
		t.Errorf("a body of no kind: %s", b)
	}
}

// An error inside of what is written by hand is told, wherever it stands.
func TestByHandFails(t *testing.T) {
	late := Event{}.Time.AddDate(12000, 0, 0)
	for name, v := range map[string]any{
		"time of an event":    &Record{Event: Event{Time: late}},
		"time of a record":    &Record{DecidedAt: late},
		"fact":                &Record{Facts: []FactValue{{Value: math.NaN()}}},
		"kept":                &Record{Kept: &Kept{Args: []FactValue{{Value: math.Inf(1)}}}},
		"edit":                &Record{Decision: Decision{Edits: []Edit{{Value: func() {}}}}},
		"attribute in a body": &Record{Event: Event{Body: &Lifecycle{Attributes: map[string]any{"a": math.NaN()}}}},
	} {
		if b, err := AppendJSON(nil, v); err == nil {
			t.Errorf("%s: written as %s", name, b)
		}
	}
}

// A text is written as each of its bytes is alone, wherever in it those stand that have to be escaped.
func TestTextByBytes(t *testing.T) {
	for c := range 256 {
		for n := 1; n < 20; n++ {
			for at := range n {
				in := bytes.Repeat([]byte("é"), n)[:n]
				in[at], in[n-1-at/2] = byte(c), byte(c)
				want := []byte{'"'}
				for i := range in {
					one := appendText(nil, string(in[i:i+1]))
					want = append(want, one[1:len(one)-1]...)
				}
				want = append(want, '"')
				if got := appendText(nil, string(in)); !bytes.Equal(got, want) {
					t.Fatalf("%q is %q, want %q", in, got, want)
				}
			}
		}
	}
}
