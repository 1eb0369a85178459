package form

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever a text holds, a line of it moves no cursor and begins no second line, and wrapped lines are as long as they may be.
func TestLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		line := Line(s)
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }); i >= 0 {
			t.Fatalf("%q keeps %q", line, line[i:])
		}
		for _, l := range strings.Split(Wrap(line, "  ", 20), "\n") {
			if utf8.RuneCountInString(l) > 20 {
				t.Fatalf("%q is longer than 20", l)
			}
		}
		if n := utf8.RuneCountInString(Clip(line, 5)); n > 5 {
			t.Fatalf("%d characters are left of 5", n)
		}
	})
	if got := Line("a\nb\x1b[31m\u202e"); got != "a b\uFFFD[31m\uFFFD" {
		t.Errorf("got %q", got)
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		Plural(1, "case"):     "1 case",
		Plural(0, "case"):     "0 cases",
		Code("a"):             "`a`",
		Code("a `b` ``"):      "``` a `b` `` ```",
		Clip("four", 4):       "four",
		Wrap("a b", "> ", 80): "> a b",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The counts of a document are those of its tests, and hostile text stays text.
func TestJUnit(t *testing.T) {
	bad := &JUnitText{Message: `"<x>&`, Text: "]]>\x00"}
	var s JUnitSuite
	s.Add(JUnitCase{Name: "good"})
	s.Add(JUnitCase{Name: "bad", Failure: bad})
	s.Add(JUnitCase{Name: "broken", Error: bad})
	s.Add(JUnitCase{Name: "left", Skipped: bad})
	j := &JUnit{Name: "n"}
	j.Add(s)
	j.Add(s)
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		t.Fatal(err)
	}
	var back JUnit
	if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Tests != 8 || back.Failures != 2 || back.Errors != 2 || back.Skipped != 2 || len(back.Suites) != 2 || back.Suites[0].Cases[1].Failure.Message != `"<x>&` {
		t.Errorf("%+v", back)
	}
}

// An empty log has lists that are empty, not null, and a place is a URI.
func TestSARIF(t *testing.T) {
	for _, log := range []*SARIF{{}, {Rules: []SARIFRule{{ID: "r"}}, Results: []SARIFResult{{RuleID: "r", Level: "error", Locations: []SARIFLocation{{Physical: SARIFPlace("a b.yaml", 3, 0)}}}}}} {
		var b bytes.Buffer
		if err := log.Write(&b); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b.Bytes()) || strings.Contains(b.String(), "null") {
			t.Errorf("%s", b.String())
		}
		if len(log.Results) > 0 && !strings.Contains(b.String(), `"uri": "a%20b.yaml"`) {
			t.Errorf("%s", b.String())
		}
	}
	if SARIFPlace("", 3, 1) != nil {
		t.Error("no file is no place")
	}
}

// A text cannot end the command or begin another.
func TestAnnotation(t *testing.T) {
	var b bytes.Buffer
	if err := (Annotation{Level: "error", Title: "a,b:c", File: "x%", Line: 2, Col: 3, Text: "one\n::error::two"}).Write(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "::error file=x%25,line=2,col=3,title=a%2Cb%3Ac::one%0A::error::two\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The parts of a bar fill it, each with its count in the label.
func TestBar(t *testing.T) {
	b := NewBar(Tile{"good", "satisfied", 3}, Tile{"none", "error", 0}, Tile{"bad", "violated", 1})
	if b.Label != "3 good, 1 bad" || len(b.Parts) != 2 || b.Parts[1] != (BarPart{"violated", 75, 25}) {
		t.Errorf("%+v", b)
	}
}

// A page that cannot be made leaves nothing behind.
func TestPage(t *testing.T) {
	p := NewPage(`{{define "x"}}{{template "head" .}}<p>{{.Text}}</p>{{template "bar" .Bar}}{{template "foot"}}{{end}}{{define "y"}}{{template "head" .}}{{.None}}{{end}}`)
	data := struct {
		Title, Text string
		Bar         Bar
	}{"t", "<script>", NewBar(Tile{"good", "satisfied", 1})}
	var b bytes.Buffer
	if err := p.Write(&b, "x", data); err != nil || !strings.Contains(b.String(), "&lt;script&gt;") || !strings.HasSuffix(b.String(), "</html>\n") {
		t.Errorf("%v: %s", err, b.String())
	}
	b.Reset()
	if err := p.Write(&b, "y", data); err == nil || b.Len() > 0 {
		t.Errorf("%v: %s", err, b.String())
	}
}
