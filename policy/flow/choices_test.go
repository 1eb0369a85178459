package flow

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// What goes out of the choices of an answer is each text with what is replaced in it, whatever the other says; a second part of a text is not followed.
func TestChoices(t *testing.T) {
	text := Of(compiled(t, `{id: a, on: output, else: {redact: ['1{2,4}'], with: "[no]"}}`))
	c := text.Choices()
	texts := [2]string{"ab11c and so on and so on", "1111 and so on and 11, so on"}
	var out, so [2]string
	for i := range max(len(texts[0]), len(texts[1])) {
		for n, whole := range texts {
			if i >= len(whole) {
				continue
			}
			so[n] += whole[i : i+1]
			if !c.Add(n, 0, whole[i:i+1]) {
				t.Fatalf("%q is held", so[n])
			}
			if c.Edited(n) {
				var edits []proviso.Edit
				for _, m := range text.patterns[0].any[0].FindAllStringIndex(so[n], -1) {
					edits = append(edits, proviso.Edit{Start: m[0], End: m[1], Text: "[no]"})
				}
				c.Replace(n, edits)
			}
		}
	}
	for n, whole := range texts {
		safe := c.Safe(n)
		for at := range safe {
			out[n] += c.Piece(n, at, whole[at:at+1])
		}
		want := strings.NewReplacer("1111", "[no]", "11", "[no]").Replace(whole[:safe])
		if out[n] != want || safe < len(whole)-4 || c.Len(n) != len(whole) {
			t.Errorf("%q: %d bytes go out: %q, want %q", whole, safe, out[n], want)
		}
	}
	if c.Add(0, 1, "more") || c.Denied() || c.Safe(2)+c.Len(2) != 0 || c.Edited(2) || c.Piece(2, 0, "x") != "x" {
		t.Error("a second part is followed, or a choice is known of which nothing came")
	}
}
