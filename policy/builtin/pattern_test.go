package builtin

import (
	"strings"
	"testing"
)

func TestPatternProblem(t *testing.T) {
	for pattern, want := range map[string]string{
		"^[a-z]+$": "", "": "", "a{100}": "", "(unclosed": "missing closing )", "^(?=x)": "invalid or unsupported Perl syntax",
		"a{1001}": "invalid repeat count", "a{1000}": "more than the 500 that are allowed",
	} {
		got := PatternProblem(pattern, 500)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
