package document

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

func TestParse(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		name, src := source(t, a)
		d, diags := Read(name, src)
		check(t, d)
		var b strings.Builder
		for _, c := range d.Clauses {
			fmt.Fprintf(&b, "%s  (line %d; %s", c.ID, c.Span.Line, strings.Join(c.Heading, " > "))
			if c.Parent != "" {
				fmt.Fprintf(&b, "; under %s", c.Parent)
			}
			if c.Label != "" {
				fmt.Fprintf(&b, "; label %s", c.Label)
			}
			fmt.Fprintf(&b, "; depth %d)\n    %s\n", c.Depth, c.Text)
		}
		for _, x := range diags {
			fmt.Fprintln(&b, x.Error())
		}
		a.Expect(t, "want", []byte(b.String()))
	})
}

// source returns the document of an archive: policy.md, policy.txt or policy.html, or a DOCX file made of the parts under word/.
func source(t *testing.T, a *testkit.Archive) (string, []byte) {
	t.Helper()
	parts := map[string]string{}
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "policy.") {
			return f.Name, f.Data
		}
		if strings.HasPrefix(f.Name, "word/") {
			parts[f.Name] = string(f.Data)
		}
	}
	if len(parts) == 0 {
		t.Fatal("no policy.* and no word/*")
	}
	return "policy.docx", zipped(t, parts)
}

// zipped packs parts in the order of their names.
func zipped(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(parts[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// squeeze drops white space, and what a block quote puts between the lines of a clause.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '>' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// check holds what is true of every document, whatever the source.
func check(t interface{ Fatalf(string, ...any) }, d *Document) {
	seen := map[string]bool{}
	for i, c := range d.Clauses {
		quote := d.Quote(c.Span)
		plain := d.Format != HTML || !strings.ContainsAny(quote, "<&") // tags and entities stand between the words of HTML
		if plain && squeeze(quote) != squeeze(c.Text) {
			t.Fatalf("%s: span %+v quotes %q, text is %q", c.ID, c.Span, quote, c.Text)
		}
		if c.Text == "" || c.ID == "" || c.Ordinal < 1 || strings.ContainsAny(c.ID, " \n") {
			t.Fatalf("clause %d: %+v", i, c)
		}
		if line := 1 + strings.Count(string(d.Source[:c.Span.Start]), "\n"); line != c.Span.Line {
			t.Fatalf("%s: line %d, want %d", c.ID, c.Span.Line, line)
		}
		if i > 0 && d.Clauses[i-1].Span.End > c.Span.Start {
			t.Fatalf("%s: begins before %s ends", c.ID, d.Clauses[i-1].ID)
		}
		if seen[c.ID] {
			t.Fatalf("id %s occurs twice", c.ID)
		}
		seen[c.ID] = true
		if c.Parent != "" && !seen[c.Parent] {
			t.Fatalf("%s: its parent %s does not come before it", c.ID, c.Parent)
		}
		if (c.Parent == "") != (c.Depth == 0) {
			t.Fatalf("%s: parent %q at depth %d", c.ID, c.Parent, c.Depth)
		}
		if found, ok := d.Find(c.ID); !ok || found.Span != c.Span {
			t.Fatalf("Find(%s) = %+v, %v", c.ID, found, ok)
		}
		if got := c.Cite(); got.ID != c.ID || got.Text != c.Text || got.Span != c.Span {
			t.Fatalf("Cite of %s = %+v", c.ID, got)
		}
	}
	if len(d.IDs()) != len(d.Clauses) {
		t.Fatalf("%d ids for %d clauses", len(d.IDs()), len(d.Clauses))
	}
}

func TestRefusedSources(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"not UTF-8", "a\nb\xff", "p.md:2:2: byte 0xff is not valid UTF-8; save the file as UTF-8 [PV023]"},
		{"too large", strings.Repeat("x", MaxSource+1), "p.md:1:1: the text has 8388609 bytes, more than 8388608; split it into several packs [PV023]"},
	} {
		d, diags := Parse("p.md", []byte(c.src))
		if d == nil || len(d.Clauses) != 0 || diags.Error() != c.want {
			t.Errorf("%s: %q", c.name, diags.Error())
		}
	}
}

func TestNilDocument(t *testing.T) {
	var d *Document
	if _, ok := d.Find("x"); ok || d.IDs() != nil {
		t.Error("a nil document has clauses")
	}
	if _, ok := new(Document).Find("x"); ok {
		t.Error("an empty document has clauses")
	}
}

func TestHashFollowsWords(t *testing.T) {
	one, _ := Parse("a", []byte("A rule that\nholds."))
	two, _ := Parse("b", []byte("# H\n\n- x\n\n  A rule   that holds. {#id}"))
	three, _ := Parse("c", []byte("A rule that held."))
	if one.Clauses[0].Hash != two.Clauses[1].Hash {
		t.Error("wrapping lines anew, moving or naming a clause changes its hash")
	}
	if one.Clauses[0].Hash == three.Clauses[0].Hash || len(one.Clauses[0].Hash) != 64 {
		t.Error("changing a word does not change the hash")
	}
}

// block draws one block of Markdown that no white space around it turns into another.
func block(t *rapid.T) string {
	word := rapid.StringMatching(`[a-z]{1,6}`)
	text := strings.Join(rapid.SliceOfN(word, 1, 5).Draw(t, "words"), " ")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return strings.Repeat("#", rapid.IntRange(1, 3).Draw(t, "level")) + " " + text
	case 1:
		return "- " + text + "\n  - " + rapid.StringMatching(`[a-z ]{1,9}[a-z]`).Draw(t, "nested") + "\n- " + text
	case 2:
		return text + ":"
	case 3:
		return "| " + text + " | b |\n|---|---|\n| " + text + " | d |"
	}
	return text + "."
}

func TestIDsSurviveWhiteSpace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.SliceOfN(rapid.Custom(block), 1, 12).Draw(t, "blocks")
		plain, diags := Parse("p", []byte(strings.Join(blocks, "\n\n")))
		if len(diags) > 0 {
			t.Fatalf("%v", diags)
		}
		var b strings.Builder
		for _, x := range blocks {
			b.WriteString(strings.Repeat("\n", rapid.IntRange(1, 3).Draw(t, "gap")))
			for _, line := range strings.Split(x, "\n") {
				b.WriteString(line + strings.Repeat(" ", rapid.IntRange(0, 3).Draw(t, "tail")) + rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "newline"))
			}
		}
		spaced, _ := Parse("p", []byte(b.String()))
		if len(plain.Clauses) != len(spaced.Clauses) {
			t.Fatalf("%d clauses, %d with more white space", len(plain.Clauses), len(spaced.Clauses))
		}
		for i, c := range plain.Clauses {
			if s := spaced.Clauses[i]; s.ID != c.ID || s.Hash != c.Hash || s.Parent != c.Parent || s.Depth != c.Depth {
				t.Fatalf("%+v became %+v", c, s)
			}
		}
		check(t, spaced)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"# a\n\nb {#c}\n", "- a\n  - b\n\n    c\n", "|a|b|\n|-|-|\n|c|d|\n", "> - a:\n>   1. b\n", "---\na: b\n---\nc", "a\n{#b}\n", "* \tx\n\n\ty", "\ufeff# x\r\n\r\ny\r\n", "# a/1\n\n# a\n\nx\n\n- {#a/1.1} y {#a/1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, _ := Parse("p.md", src)
		check(t, d)
	})
}
