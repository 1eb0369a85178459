package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso/internal/testkit"
)

func cut(p *Pattern, text string) []string {
	var words []string
	for text != "" {
		n := p.next(text)
		words = append(words, text[:n])
		text = text[n:]
	}
	return words
}

// Each archive names a pattern and texts; want has the words with a bar between them, and line breaks and other spaces spelled out.
func TestPatterns(t *testing.T) {
	all := append(append([]*Pattern(nil), Patterns...), stages...)
	testkit.Archives(t, "testdata/patterns/*.txtar", func(t *testing.T, a *testkit.Archive) {
		var p *Pattern
		name, _ := a.File("pattern")
		for _, q := range all {
			if q.Name == strings.TrimSpace(string(name)) {
				p = q
			}
		}
		if p == nil {
			t.Fatalf("no pattern is called %q", name)
		}
		texts, _ := a.File("texts")
		var got strings.Builder
		for line := range strings.Lines(string(texts)) {
			got.WriteString(show(cut(p, spoken.Replace(strings.TrimSuffix(line, "\n")))) + "\n")
		}
		a.Expect(t, "want", []byte(got.String()))
	})
}

var spoken = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\s`, "ſ", `\_`, "\u00a0")

var written = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`, "ſ", `\s`, "\u00a0", `\_`)

func show(words []string) string {
	for i, w := range words {
		words[i] = written.Replace(w)
	}
	return strings.Join(words, "|")
}

// Whatever the text, its words are not empty, end between characters, and make up the text.
func TestPatternsCoverTheText(t *testing.T) {
	for _, p := range append(append([]*Pattern(nil), Patterns...), stages...) {
		t.Run(p.Name, rapid.MakeCheck(func(t *rapid.T) {
			text := rapid.String().Draw(t, "text")
			rest := text
			for rest != "" {
				n := p.next(rest)
				if n <= 0 || n > len(rest) || n < len(rest) && !utf8.RuneStart(rest[n]) {
					t.Fatalf("word of length %d at %q", n, rest)
				}
				rest = rest[n:]
			}
		}))
	}
}
