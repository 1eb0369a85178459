package pack

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// TestFormat lays out the file "in" of each archive and compares the result with the file "out"; an archive whose "out" equals "in" with an error has the file "error" as well.
func TestFormat(t *testing.T) {
	testkit.Archives(t, "testdata/fmt/*.txtar", func(t *testing.T, a *testkit.Archive) {
		in, _ := a.File("in")
		out, err := Format("in", in)
		if err != nil {
			if string(out) != string(in) {
				t.Error("an input that cannot be laid out was changed")
			}
			a.Expect(t, "error", []byte(err.Error()))
			return
		}
		a.Expect(t, "out", out)
	})
}

// drawnYAML draws the text of a YAML file: nested maps and lists in every style, with comments and blank lines wherever they may stand.
type drawnYAML struct {
	*rapid.T
	b strings.Builder
}

func (g *drawnYAML) one(of ...string) string { return rapid.SampledFrom(of).Draw(g.T, "choice") }

func (g *drawnYAML) number(n int) int { return rapid.IntRange(0, n).Draw(g.T, "n") }

func (g *drawnYAML) scalar() string {
	return g.one("a", "b c", "12", "-1.5", "true", "~", "''", "'it''s'", `"x\ty"`, `"#no"`, "a#b", "é ü", "args.x == 'a' && b", "'a: b'", `"a, b"`, "2025-01-01", "1e3", "x:y")
}

func (g *drawnYAML) flow(depth int) string {
	switch g.number(3) {
	case 0:
		return g.scalar()
	case 1:
		return "[]"
	}
	var parts []string
	isMap := g.number(1) == 0
	for i := range g.number(3) + 1 {
		part := g.scalar()
		if depth > 0 {
			part = g.flow(depth - 1)
		}
		if part == "x:y" || strings.Contains(part, "&&") && isMap {
			part = "z"
		}
		if isMap {
			part = fmt.Sprintf("k%d:%s", i, g.one(" ", "  ")) + part
		}
		parts = append(parts, part)
	}
	sep := g.one(",", ", ", ",  ")
	if isMap {
		return "{" + g.one("", " ") + strings.Join(parts, sep) + g.one("", " ") + "}"
	}
	return "[" + strings.Join(parts, sep) + g.one("", " ") + "]"
}

// between draws what may stand between two entries.
func (g *drawnYAML) between(indent int) {
	for range g.number(2) {
		switch g.number(5) {
		case 0:
			g.b.WriteString("\n")
		case 1:
			g.b.WriteString(strings.Repeat(" ", indent) + "# c" + fmt.Sprint(g.number(99)) + "\n")
		case 2:
			g.b.WriteString(strings.Repeat(" ", g.number(indent)) + "#!" + "  \n")
		}
	}
}

func (g *drawnYAML) trailing() string { return g.one("", "", "", " # t", "   #t", "  ") }

func (g *drawnYAML) block(indent, depth int) {
	isMap, step := g.number(1) == 0, 1+g.number(3)
	for i := range 1 + g.number(3) {
		g.between(indent)
		g.b.WriteString(strings.Repeat(" ", indent))
		lead, below := "-", step
		if isMap {
			lead = g.one("k", "key", "'q'", `"d"`) + fmt.Sprint(i) + ":"
			lead = strings.Replace(strings.Replace(lead, "'"+fmt.Sprint(i), fmt.Sprint(i)+"'", 1), `"`+fmt.Sprint(i), fmt.Sprint(i)+`"`, 1)
		}
		g.b.WriteString(lead)
		switch n := g.number(6); {
		case n == 0 && depth > 0:
			g.b.WriteString(g.trailing() + "\n")
			g.block(indent+below, depth-1)
		case n == 1:
			g.b.WriteString(" " + g.one("|", "|-", ">", ">-", "| # header") + "\n")
			for range 1 + g.number(3) {
				g.b.WriteString(strings.Repeat(" ", indent+below+1) + g.one("text", "# no comment", "a: b", "more  ") + "\n" + g.one("", "", "\n"))
			}
		case n == 2:
			g.b.WriteString(" " + g.flow(2) + g.trailing() + "\n")
		case n == 3:
			g.b.WriteString(g.trailing() + "\n")
		case n == 4:
			g.b.WriteString(" [a," + g.trailing() + "\n" + strings.Repeat(" ", indent+below) + g.one("b", "{c: d}", "# c\n"+strings.Repeat(" ", indent+below)+"e") + "]\n")
		default:
			g.b.WriteString(" " + g.scalar() + g.trailing() + "\n")
		}
	}
	g.between(indent)
}

// TestFormatProperties draws files and checks that they are read, that layout never fails, is a fixpoint, keeps every comment in order, and changes nothing that the library of the YAML parser reads.
func TestFormatProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &drawnYAML{T: t}
		g.block(0, 3)
		src := []byte(g.b.String())
		if _, ds := parseYAML("f.yaml", src); ds != nil {
			t.Fatalf("not read: %v\n%s", ds, src)
		}
		out, err := Format("f.yaml", src)
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		again, err := Format("f.yaml", out)
		if err != nil || string(again) != string(out) {
			t.Fatalf("not a fixpoint (%v):\n%s\n---\n%s", err, out, again)
		}
		var before, after any
		if yaml.Unmarshal(src, &before) == nil {
			if err := yaml.Unmarshal(out, &after); err != nil || !reflect.DeepEqual(before, after) {
				t.Fatalf("reads differently (%v):\n%s\n---\n%s", err, src, out)
			}
		}
		if a, b := strings.Count(string(src), "# c")+strings.Count(string(src), "#t"), strings.Count(string(out), "# c")+strings.Count(string(out), "#t"); a != b {
			t.Fatalf("%d comments became %d:\n%s\n---\n%s", a, b, src, out)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.HasSuffix(line, " ") && !strings.HasSuffix(line, "more  ") {
				t.Fatalf("a blank at the end of %q", line)
			}
		}
	})
}

// FuzzFormat lays out arbitrary bytes: no panic, no change of meaning, and an input that is refused comes back as it was.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"a: 1\n", "- a\n-   b # c\n", "# only\n", "a: {b: [c,\n d]}\n", "a: |\n  x\n\n# c\nb: >-\n  y\n", "k:\n- x\n# about l\nl:\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		out, err := Format("f.yaml", src)
		if err != nil {
			if string(out) != string(src) {
				t.Fatalf("refused with %v, and changed", err)
			}
			return
		}
		a, _ := parseYAML("f.yaml", src)
		b, ds := parseYAML("f.yaml", out)
		if ds != nil || (a == nil) != (b == nil) || a != nil && !reflect.DeepEqual(a.value(), b.value()) {
			t.Fatalf("reads differently (%v):\n%s\n---\n%s", ds, src, out)
		}
	})
}
