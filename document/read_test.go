package document

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// printed makes a PDF of one page for each content stream, packed, as a printer driver writes it.
func printed(contents ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n3 0 obj <</Type/Font/Subtype/Type1/BaseFont/Times/FirstChar 32/Widths[250]>> endobj\n")
	kids := ""
	for i, c := range contents {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write([]byte(c))
		w.Close()
		page := 10 + 2*i
		kids += fmt.Sprintf("%d 0 R ", page)
		fmt.Fprintf(&b, "%d 0 obj <</Type/Page/Parent 2 0 R/Contents %d 0 R>> endobj\n%d 0 obj <</Filter/FlateDecode/Length %d>> stream\n", page, page+1, page+1, z.Len())
		b.Write(z.Bytes())
		b.WriteString("\nendstream endobj\n")
	}
	fmt.Fprintf(&b, "2 0 obj <</Type/Pages/Count %d/Resources<</Font<</F1 3 0 R>>>>/Kids[%s]>> endobj\ntrailer <</Root 1 0 R>>\n%%%%EOF\n", len(contents), kids)
	return b.Bytes()
}

func TestReadPDF(t *testing.T) {
	page := func(n int, body string) string {
		return fmt.Sprintf("BT /F1 8 Tf 72 800 Td (Halcyon Air) Tj ET %s BT /F1 8 Tf 300 20 Td (page %d of 3) Tj ET", body, n)
	}
	src := printed(
		page(1, `BT /F1 18 Tf 72 760 Td (Refunds) Tj /F1 10 Tf 0 -30 Td (A refund is paid with-) Tj 0 -12 Td (in 14 days \(no more\).) Tj 0 -24 Td [(1. T) 20 (he agent) -300 (must not promise one.)] TJ ET`),
		page(2, `BT /F1 10 Tf 72 760 Td (2. A manager may, where) Tj ET`),
		page(3, `BT /F1 10 Tf 72 760 Td (there is cause.) Tj 0 -24 Td (3. The desk decides the rest of all the cases that nobody thought of.) Tj ET`),
	)
	d, ds := Read("policy.pdf", src)
	check(t, d)
	if len(ds) > 0 || d.Format != PDF {
		t.Fatalf("%v, %s", ds, d.Format)
	}
	var got []string
	for _, c := range d.Clauses {
		got = append(got, c.ID+" "+c.Label+" "+c.Text)
	}
	want := []string{
		"refunds/1  A refund is paid within 14 days (no more).",
		"refunds/2 1 The agent must not promise one.",
		"refunds/3 2 A manager may, where there is cause.",
		"refunds/4 3 The desk decides the rest of all the cases that nobody thought of.",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// Every document that cannot be read has a clear outcome, in time and memory that do not depend on what it says about itself.
func TestHostileDocuments(t *testing.T) {
	deep := func(s string, n int) string { return strings.Repeat(s, n) }
	word := func(body string) string { return `<w:document xmlns:w="w"><w:body>` + body + `</w:body></w:document>` }
	for _, c := range []struct {
		name, file string
		src        []byte
		want       string // the code, and a part of the message; empty where it is read
	}{
		{"five megabytes of Markdown", "p.md", []byte(deep("A clause of some words that say what must not be done by the agent, whoever asks for it, in all the cases that nobody thought of before.\n\n", 38_000)), ""},
		{"more than eight megabytes", "p.md", []byte(deep("A clause.\n\n", 800_000)), "PV023"},
		{"more clauses than are read", "p.md", []byte(deep("A\n\n", 150_000)), "PV023"},
		{"five megabytes in long clauses", "p.md", []byte(deep(deep("word ", 2_000)+"\n\n", 520)), ""},
		{"quotes in quotes", "p.md", []byte(deep(">", 2_000_000)), "PV023"},
		{"lists in lists", "p.md", []byte(deep("- ", 1_000_000) + "x"), "PV023"},
		{"brackets", "p.md", []byte(deep("[a](", 1_000_000)), ""},
		{"link definitions", "p.md", []byte(deep("[a]: b\n", 500_000)), ""},
		{"headings", "p.md", []byte(deep("# a\n", 300_000)), "PV023"},
		{"HTML elements in one another", "p.html", []byte(deep("<ul><li>a", 300_000)), "PV023"},
		{"HTML that never ends", "p.html", []byte("<p>Read me.</p><p title=\"" + deep("x", 3_000_000)), ""},
		{"HTML tables in tables", "p.html", []byte(deep("<table><tr><td>", 300_000)), "PV024"},
		{"HTML hidden in the hidden", "p.html", []byte(deep("<div hidden>", 300_000) + "x"), "PV024"},
		{"a page that a program writes", "p.html", []byte("<body><script>document.write('<p>Hello.')</script></body>"), "PV024"},
		{"no archive", "p.docx", []byte("PK\x03\x04 and nothing"), "PV025"},
		{"an archive of something else", "p.docx", zipped(t, map[string]string{"mimetype": "x"}), "PV025"},
		{"zip bomb", "p.docx", zipped(t, map[string]string{"word/document.xml": word("<w:p><w:r><w:t>" + deep("a", 100<<20) + "</w:t></w:r></w:p>")}), "PV023"},
		{"many paragraphs", "p.docx", zipped(t, map[string]string{"word/document.xml": word(deep("<w:p><w:r><w:t>a</w:t></w:r></w:p>", 300_000))}), "PV023"},
		{"external entity", "p.docx", zipped(t, map[string]string{"word/document.xml": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + word("<w:p><w:r><w:t>&e;</w:t></w:r></w:p>")}), "PV025"},
		{"entity without a declaration", "p.docx", zipped(t, map[string]string{"word/document.xml": word("<w:p><w:r><w:t>&e;</w:t></w:r></w:p>")}), "PV025"},
		{"pictures only", "p.docx", zipped(t, map[string]string{"word/document.xml": word("<w:p><w:drawing/></w:p>")}), "PV024"},
		{"XML in XML", "p.docx", zipped(t, map[string]string{"word/document.xml": word(deep("<w:p>", 1_000_000))}), "PV024"},
		{"scan", "p.pdf", printed("q 600 0 0 800 0 0 cm /Im1 Do Q"), "PV024"},
		{"no pages", "p.pdf", []byte("%PDF-1.4\n%%EOF"), "PV025"},
		{"encrypted", "p.pdf", []byte(string(printed("BT (x) Tj ET")) + "trailer <</Encrypt 9 0 R>>"), "PV025"},
		{"PDF bomb", "p.pdf", printed(deep("BT ET ", 15<<20)), "PV023"},
		{"pages that hold each other", "p.pdf", []byte("%PDF-1.4\n1 0 obj <</Pages 2 0 R>> endobj 2 0 obj <</Kids[2 0 R 2 0 R 3 0 R]>> endobj 3 0 obj <</Kids[2 0 R]>> endobj trailer <</Root 1 0 R>>"), "PV025"},
		{"brackets in a PDF", "p.pdf", []byte("%PDF-1.4\n1 0 obj " + deep("[", 3_000_000)), "PV025"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			done := make(chan struct{})
			var got string
			go func() {
				defer close(done)
				d, ds := Read(c.file, c.src)
				if len(d.Clauses) < 1000 { // it costs the square of the text
					check(t, d)
				}
				if len(ds) > 0 {
					got = ds.Error()
				}
			}()
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("still reading after a minute")
			}
			runtime.ReadMemStats(&after)
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %s", got, c.want)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 1500 {
				t.Errorf("took %d MB in all", mb)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("p.txt", []byte("A\n===\n\n1. x\n(a) y\n  - z\n\nB C\n\nw"))
	f.Add("p.html", []byte("<h1>a<ul><li>b<table><tr><td>c</table><p>d"))
	f.Add("p.pdf", printed("BT /F1 9 Tf (a) Tj [(b) -400 (c)] TJ T* <41> ' ET q Q"))
	f.Add("p.docx", zipped(f, map[string]string{"word/document.xml": "<w:p><w:r><w:t>a</w:t></w:r></w:p>"}))
	f.Fuzz(func(t *testing.T, name string, src []byte) {
		if len(name) > 20 {
			return
		}
		d, _ := Read(name, src)
		check(t, d)
	})
}
