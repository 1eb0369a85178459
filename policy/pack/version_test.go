package pack

import "testing"

// Versions are compared as numbers where they are numbers, and not at all where they are not.
func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.2.9", "1.3.0", true}, {"1.9", "1.10", true}, {"1.99.99", "v2", true}, {"1", "1.0.1", true},
		{"1.3.0", "1.2.9", false}, {"1", "1.0.0", false}, {"1.0.0", "1", false}, {"1.0.0-rc1", "1.0.0-rc2", false}, {"spring", "autumn", false}, {"2", "spring", false}, {"", "1", false}, {"1", "", false}, {"-", "+", false},
	} {
		if got := Older(c.a, c.b); got != c.want {
			t.Errorf("%q before %q: %v", c.a, c.b, got)
		}
	}
}
