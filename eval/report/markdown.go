package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/form"
)

// Markdown is for a comment on a change or a page of documentation.
var Markdown = &Renderer{
	Name:   "markdown",
	Doc:    "the numbers, what is not as it should be, and tables in Markdown",
	Render: renderMarkdown,
}

func renderMarkdown(w io.Writer, r *Report) error {
	var b bytes.Buffer
	text, _ := r.verdict()
	fmt.Fprintf(&b, "## %s: %s\n", cell(r.Title), text)
	if r.Run != nil {
		markdownRun(&b, r.Run)
	}
	if r.Comparison != nil {
		markdownComparison(&b, r.Comparison)
	}
	for i := range r.Tables {
		fmt.Fprintf(&b, "\n### %s\n\n", cell(r.Tables[i].Title))
		if r.Tables[i].Doc != "" {
			fmt.Fprintf(&b, "%s\n\n", r.Tables[i].Doc)
		}
		b.WriteString(MarkdownTable(&r.Tables[i]))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// MarkdownTable is the rows of a table of figures alone: figure, value, how many, what is wanted, and what it means. Meanings are Markdown.
func MarkdownTable(t *eval.Table) string {
	var b strings.Builder
	b.WriteString("| figure | value | n | wanted | what it means |\n|---|--:|--:|---|---|\n")
	for i := range t.Rows {
		b.WriteString(markdownRow(&t.Rows[i]))
	}
	return b.String()
}

// NotMeasured is the value of a figure in a table that was not printed.
const NotMeasured = "not measured"

func markdownRow(r *eval.Row) string {
	value, n, want := NotMeasured, "", r.Want.String()
	if r.N > 0 {
		value, n = eval.FormatValue(r.Value), eval.FormatCount(r.N)
	}
	if r.Mark.Bad() {
		value = "**" + value + "**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", form.Code(r.Name), value, n, want, strings.ReplaceAll(r.Meaning, "|", `\|`))
}

func markdownRun(b *bytes.Buffer, r *eval.Run) {
	s := r.Summary()
	fmt.Fprintf(b, "\n| | |\n|---|---|\n| cases passed | %s |\n", share(s.Passed))
	if s.Counts.Errors+s.Counts.Left > 0 {
		fmt.Fprintf(b, "| in error, not played | %d, %d |\n", s.Counts.Errors, s.Counts.Left)
	}
	if s.Wrongful != nil {
		fmt.Fprintf(b, "| wrongful denials | %s |\n", share(*s.Wrongful))
	}
	if s.Missed != nil {
		fmt.Fprintf(b, "| missed violations | %s |\n", share(*s.Missed))
	}
	for _, v := range s.Values {
		fmt.Fprintf(b, "| %s | %s (%s), n=%s |\n", cell(v.Name), eval.FormatValue(v.Mean), interval(v.Range), eval.FormatCount(v.N))
	}
	var rows []eval.Result
	for i := range r.Results {
		if r.Results[i].Status != eval.Passed {
			rows = append(rows, r.Results[i])
		}
	}
	markdownCases(b, "Not passed", rows)
	if len(s.Groups) > 0 {
		b.WriteString("\n| group | passed |\n|---|---|\n")
		for _, g := range s.Groups {
			fmt.Fprintf(b, "| %s | %s |\n", cell(g.Group), share(g.Passed))
		}
	}
}

func markdownCases(b *bytes.Buffer, title string, rows []eval.Result) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n**%s: %s**\n\n", title, eval.FormatCount(len(rows)))
	for i := range rows[:min(len(rows), maxShown)] {
		r := &rows[i]
		where := ""
		if p := r.Pos.String(); p != "" {
			where = " (" + form.Code(form.Line(p)) + ")"
		}
		fmt.Fprintf(b, "- %s%s", form.Code(form.Line(r.ID)), where)
		if text := why(r); text != "" {
			fmt.Fprintf(b, ": %s", form.Code(form.Line(text)))
		}
		b.WriteByte('\n')
	}
	if n := len(rows) - maxShown; n > 0 {
		fmt.Fprintf(b, "- and %s more\n", eval.FormatCount(n))
	}
}

func markdownComparison(b *bytes.Buffer, c *eval.Comparison) {
	fmt.Fprintf(b, "\n| | |\n|---|---|\n| before | %s |\n| after | %s |\n| gain | %s |\n| flips | %d fixed, %d broken, %d still failing, %d still passing |\n",
		share(c.Before), share(c.After), gain(c), len(c.Fixed), len(c.Broken), len(c.Failing), c.Passing)
	markdownCases(b, "Broken", after(c.Broken))
	markdownCases(b, "Fixed", after(c.Fixed))
	markdownCases(b, "Still failing", after(c.Failing))
	if len(c.Groups) > 1 {
		b.WriteString("\n| group | before | after | fixed | broken |\n|---|--:|--:|--:|--:|\n")
		for _, g := range c.Groups {
			fmt.Fprintf(b, "| %s | %s | %s | %d | %d |\n", cell(g.Group), eval.FormatValue(g.Before.Value()), eval.FormatValue(g.After.Value()), g.Fixed, g.Broken)
		}
	}
}

// after is the new side of flips.
func after(flips []eval.Flip) []eval.Result {
	out := make([]eval.Result, len(flips))
	for i := range flips {
		out[i] = flips[i].New
	}
	return out
}

// cell makes text safe inside of a table of GitHub's Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`).Replace(form.Line(text))
}
