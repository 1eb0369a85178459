package builtin

import (
	"strings"
	"testing"
)

func TestPatternProblem(t *testing.T) {
	for pattern, want := range map[string]string{
		"^[a-z]+$": "", "": "", "a{1000}": "", "(unclosed": "missing closing )", "^(?=x)": "invalid or unsupported Perl syntax",
		"a{1001}": "invalid repeat count", "(a{1,1000}){1,2}": "more than the 1500 that are allowed",
	} {
		got := PatternProblem(pattern, 1500)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
