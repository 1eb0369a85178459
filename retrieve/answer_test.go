package retrieve

import (
	"os"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// Questions about the airline example: each line is the id of the clause that has to be among the answers, or "-" for a question that the policy does not answer, and the question.
func TestAnswers(t *testing.T) {
	src, err := os.ReadFile("../examples/airline/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	d, _ := document.Parse("policy.md", src)
	ix := New(Passages(d))
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		lines, _ := a.File("questions")
		for line := range strings.Lines(string(lines)) {
			want, question, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok {
				continue
			}
			hits, answered := ix.Answer(question, 3)
			found := want == "-"
			for _, h := range hits {
				found = found || h.ID == want
				if q := ix.Quote(question, h); q == "" || !strings.Contains(d.Clauses[h.Passage].Text, q) {
					t.Errorf("%s: %q is not a part of %s", question, q, h.ID)
				}
			}
			if answered == (want == "-") || answered && !found {
				t.Errorf("%s: answered %v with %+v", question, answered, hits)
			}
		}
	})
}
