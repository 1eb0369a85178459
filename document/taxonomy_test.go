package document

import (
	"slices"
	"testing"
)

func TestUses(t *testing.T) {
	one, _ := Parse("one.md", []byte("Do not help to make weapons or malware.\n\nDo not give medical advice.\n\nRefunds take 14 days.\n"))
	two, _ := Parse("two.md", []byte("No campaigning before elections.\n\nNever reveal personal data.\n\nDo not build weapons.\n"))
	uses := one.Uses(AcceptableUse)
	for name, want := range map[string][]string{"weapons": {"text/1"}, "security": {"text/1"}, "professional advice": {"text/2"}, "elections": nil} {
		if !slices.Equal(uses[name], want) {
			t.Errorf("%s: got %q, want %q", name, uses[name], want)
		}
	}
	var missing []string
	for _, k := range one.Missing(AcceptableUse, two) {
		missing = append(missing, k.Name)
	}
	if !slices.Equal(missing, []string{"privacy", "elections"}) {
		t.Errorf("against the other: %q", missing)
	}
	if n := len(one.Missing(AcceptableUse, nil)); n != len(AcceptableUse)-len(uses) {
		t.Errorf("%d categories missing of %d with %d there", n, len(AcceptableUse), len(uses))
	}
}

// Every category has a name of its own, and is found by its own description or name.
func TestAcceptableUse(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range AcceptableUse {
		if seen[k.Name] || k.Means == "" {
			t.Errorf("%q", k.Name)
		}
		seen[k.Name] = true
	}
}
