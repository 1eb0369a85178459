package proviso

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What any redaction covers is gone, what none covers stays, and the order in which rules gave them does not matter.
func TestRedactionsUnite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z]{0,20}`).Draw(t, "text")
		hidden := make([]bool, len(text))
		var edits []Edit
		for range rapid.IntRange(0, 5).Draw(t, "edits") {
			from := rapid.IntRange(0, len(text)).Draw(t, "from")
			to := rapid.IntRange(from, len(text)).Draw(t, "to")
			if from == to {
				continue
			}
			for i := from; i < to; i++ {
				hidden[i] = true
			}
			edits = append(edits, Edit{Start: from, End: to, Text: "#"})
		}
		var want strings.Builder
		for i := range len(text) {
			if !hidden[i] {
				want.WriteByte(text[i])
			}
		}
		got := RedactText(text, UniteEdits(rapid.Permutation(edits).Draw(t, "order")))
		if plain := strings.ReplaceAll(got, "#", ""); plain != want.String() {
			t.Fatalf("%q with %v becomes %q", text, edits, got)
		}
	})
}

// Spans that do not fit the text change nothing.
func TestRedactTextLeavesOutWhatDoesNotFit(t *testing.T) {
	for _, e := range []Edit{{Start: -1, End: 2}, {Start: 2, End: 1}, {Start: 1, End: 9}, {Start: 7, End: 9}, {Start: 9, End: 3}} {
		if got := RedactText("abc", []Edit{e}); got != "abc" {
			t.Errorf("%+v gives %q", e, got)
		}
	}
}

func TestEditConflict(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b Edit
		want string
	}{
		{"the same value twice", Edit{Rule: "r", Path: "a", Value: int64(1)}, Edit{Rule: "s", Path: "a", Value: int64(1)}, ""},
		{"two values", Edit{Rule: "r", Path: "a", Value: int64(1)}, Edit{Rule: "s", Path: "a", Value: "1"}, "a is set to two values by r and s"},
		{"one below the other", Edit{Rule: "r", Path: "a.b", Value: int64(1)}, Edit{Rule: "s", Path: "a", Value: "1"}, "a.b and a are both set by r and s"},
		{"names that only begin alike", Edit{Rule: "r", Path: "ab"}, Edit{Rule: "s", Path: "a"}, ""},
		{"redactions never", Edit{Rule: "r", Start: 1, End: 3, Text: "x"}, Edit{Rule: "s", Start: 2, End: 4, Text: "y"}, ""},
	} {
		if got := EditConflict([]Edit{c.a, c.b}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
