package strictyaml

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// settings is a type with a value of each kind.
type settings struct {
	Name  string         `yaml:"name"`
	Size  int            `yaml:"size"`
	Share float64        `yaml:"share"`
	On    bool           `yaml:"on"`
	List  []string       `yaml:"list"`
	Map   map[string]any `yaml:"map"`
	Under *settings      `yaml:"under"`
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		text string
		want *Error // nil: it is read
	}{
		{"", nil},
		{"# only words\n", nil},
		{"---\nname: a\n", nil},
		{"name: a & b * c\nlist: ['!x', \"&y\"]\nmap: {a: b!c}\nunder: {size: 3, share: 1}\n", nil},
		{"name: &n a\n", &Error{1, 7, "anchors, aliases and tags are not read here", "write the value out"}},
		{"name: a\nlist: *n\n", &Error{2, 7, "anchors, aliases and tags are not read here", "write the value out"}},
		{"map:\n  <<: {a: 1}\n", &Error{2, 3, "anchors, aliases and tags are not read here", "write the value out"}},
		{"name: !!str a\n", &Error{1, 7, "anchors, aliases and tags are not read here", "write the value out"}},
		{"list:\n  ! 000000\n", &Error{2, 3, "anchors, aliases and tags are not read here", "write the value out"}},
		{"---\nname: a\n---\nname: b\n", &Error{0, 0, "want one document, this file has 2", "put the others into files of their own"}},
		{"name: a\x00\n", &Error{0, 0, "byte 7 is no character of a text", "save the file as UTF-8"}},
		{"name: \xff\n", &Error{0, 0, "byte 6 is no character of a text", "save the file as UTF-8"}},
		{"name: a\nnome: b\n", &Error{2, 1, `unknown field "nome"`, ""}},
		{"name: a\nname: b\n", &Error{2, 1, `mapping key "name" already defined at [1:1]`, ""}},
		{"size: many\n", &Error{1, 7, "the value is of another type", "write a whole number"}},
		{"under: {share: [1]}\n", &Error{1, 16, "the value is of another type", "write a number"}},
		{"list: {a: b}\n", &Error{1, 7, "mapping was used where sequence is expected", ""}},
		{"on: 'x", &Error{1, 5, "could not find end character of single-quoted text", ""}},
	} {
		var s settings
		err := Decode([]byte(c.text), &s, true)
		if c.want == nil {
			if err != nil {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !reflect.DeepEqual(e, c.want) {
			t.Errorf("%q: got %+v, want %+v", c.text, e, c.want)
		}
	}
	s := settings{Name: "before"}
	if err := Decode([]byte("nome: b\n"), &s, false); err != nil || s.Name != "before" {
		t.Errorf("unknown keys are read over: %+v, %v", s, err)
	}
	if got := (&Error{Line: 3, Msg: "m"}).Error() + (&Error{Msg: "m"}).Error(); got != "line 3: mm" {
		t.Error(got)
	}
}

// No text makes the reader panic, and no error names a type of Go.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: a\n", "list:\n  ! 000000\n", "a: &a [*a]\n", "size: [1, {a: 2}]\n", "? a\n: b\n", "%YAML 1.2\n---\nname: a\n...\n", "map: {a: {b: [1, 2.5, null, ~, 0x1]}}\n", "name: |\n  a\n  b\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{&settings{}, &map[string]any{}} {
			if err := Decode(b, v, true); err != nil && strings.Contains(err.Error(), "strictyaml.") {
				t.Fatal(err)
			}
		}
	})
}
