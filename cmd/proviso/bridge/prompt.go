package bridge

import (
	"fmt"
	"strings"

	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// Prompt writes the clauses of a policy for a model to read, with their ids, and says which of them rules enforce and about which questions are judged. It depends on what the packs say alone, in the order of their documents.
func Prompt(p *policy.Policy) []byte {
	var b strings.Builder
	b.WriteString("# Policy\n\nYou act under this policy. Each clause has an id in brackets; name it when you explain yourself.\n\n" +
		"- A clause marked *enforced* is checked whenever you call a tool or speak, and what breaks it is stopped. Do not try again unchanged: do what the message says.\n" +
		"- A clause marked *judged* rests on a question that somebody answers about the conversation.\n" +
		"- All others are for you alone to follow, and hold no less.\n")
	for _, pk := range p.Packs() {
		clauses(&b, pk)
	}
	return []byte(b.String())
}

// clauses writes the clauses of one pack below its name.
func clauses(b *strings.Builder, pk *pack.Pack) {
	if pk.Document == nil || len(pk.Document.Clauses) == 0 {
		return
	}
	enforced, judged := map[string]bool{}, map[string]bool{}
	for _, r := range pk.Rules {
		for _, c := range r.Clauses {
			enforced[c.S] = enforced[c.S] || r.Mode == pack.Enforce
		}
	}
	for _, q := range pk.Questions {
		for _, c := range q.Clause {
			judged[c.S] = true
		}
	}
	fmt.Fprintf(b, "\n## %s %s\n", pk.Name, pk.Version)
	heading := ""
	for i, c := range pk.Document.Clauses {
		if h := strings.Join(c.Heading, " › "); h != heading || i == 0 {
			if heading = h; h != "" {
				fmt.Fprintf(b, "\n### %s\n", h)
			}
			b.WriteString("\n")
		}
		var marks []string
		if enforced[c.ID] {
			marks = append(marks, "*enforced*")
		}
		if judged[c.ID] {
			marks = append(marks, "*judged*")
		}
		says := strings.ReplaceAll(c.Text, "<!-- proviso:", "<!- proviso:") // the marks around the text are ours
		fmt.Fprintf(b, "%s- [%s] %s", strings.Repeat("  ", c.Depth), c.ID, says)
		if len(marks) > 0 {
			fmt.Fprintf(b, " (%s)", strings.Join(marks, ", "))
		}
		b.WriteString("\n")
	}
}
