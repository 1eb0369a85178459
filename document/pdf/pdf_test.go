package pdf

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestObjects(t *testing.T) {
	for src, want := range map[string]any{
		"/Na#6de":           name("Name"),
		`(a\(b\)\101\n(c))`: text("a(b)A\n(c)"),
		"<48 65 6>":         text("He`"),
		"-12.5":             -12.5,
		"[1 0 R 3 0 R 7]":   []any{ref(1), ref(3), 7.0},
		"<</A 1/B[/C]>>":    map[string]any{"A": 1.0, "B": []any{name("C")}},
		"% comment\ntrue":   true,
	} {
		l := &lexer{src: []byte(src)}
		got, ok := l.next()
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", src, got, want)
		}
	}
}

func TestGlyphs(t *testing.T) {
	for name, want := range map[string]string{"A": "A", "eacute": "é", "uni20AC": "€", "u1F600": "😀", "fi": "fi", "quoteright": "’", "a.alt": "a", "nothing": ""} {
		if got := glyph(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A code table maps codes of two bytes, ranges and ligatures.
func TestCodeTable(t *testing.T) {
	cmap := "1 begincodespacerange <0000><ffff> endcodespacerange 1 beginbfchar <0003><0020> endbfchar 2 beginbfrange <0010><0012><0061> <0020><0021>[<00660069><0078>] endbfrange"
	src := fmt.Sprintf("%%PDF-1.4\n1 0 obj <</Pages 2 0 R>> endobj 2 0 obj <</Kids[3 0 R]>> endobj 3 0 obj <</Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>> endobj "+
		"4 0 obj <</Length 60>> stream\nBT /F 10 Tf 1 0 0 1 50 700 Tm <001000110003001200200021> Tj ET\nendstream endobj "+
		"5 0 obj <</Subtype/Type0/ToUnicode 6 0 R>> endobj 6 0 obj <</Length %d>> stream\n%s\nendstream endobj trailer <</Root 1 0 R>>", len(cmap), cmap)
	lines, err := Lines([]byte(src))
	if err != nil || len(lines) != 1 || lines[0].Text != "ab cfix" || lines[0].X != 50 || lines[0].Y != 700 || lines[0].Size != 10 {
		t.Errorf("got %+v, %v", lines, err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := Lines([]byte("hello")); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
	noCodes := "%PDF-1.4\n1 0 obj <</Pages 2 0 R>> endobj 2 0 obj <</Kids[3 0 R]>> endobj 3 0 obj <</Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>> endobj 4 0 obj <<>> stream\nBT /F 10 Tf <00100011> Tj ET\nendstream endobj 5 0 obj <</Subtype/Type0>> endobj trailer <</Root 1 0 R>>"
	if _, err := Lines([]byte(noCodes)); !errors.Is(err, ErrNoCodes) {
		t.Error(err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("%PDF-1.4\n1 0 obj <</Pages 2 0 R>> endobj 2 0 obj <</Kids[3 0 R]>> endobj 3 0 obj <</Contents 4 0 R>> endobj 4 0 obj <</Length 3>> stream\nBT ET\nendstream endobj trailer <</Root 1 0 R>>"))
	f.Fuzz(func(t *testing.T, src []byte) {
		lines, err := Lines(src)
		if (err == nil) != (len(lines) > 0) {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
}
