package audit

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
)

// Markdown is for a comment on a change or a page of a report.
var Markdown = &Renderer{
	Name:   "markdown",
	Doc:    "a summary, the findings with quotes, and a table of clauses in Markdown",
	Render: renderMarkdown,
}

func renderMarkdown(w io.Writer, r *Report) error {
	var b bytes.Buffer
	t := r.Totals
	fmt.Fprintf(&b, "## Audit: %s\n\n%s with %s: %d violated, %d error, %d unknown, %d satisfied, %d dormant.\n", r.Status(), plural(t.Sessions, "session"), plural(t.Events, "event"), t.Violated, t.Errors, t.Unknown, t.Satisfied, t.Dormant)
	if more := t.beside(); more != "" {
		fmt.Fprintf(&b, "Besides: %s.\n", more)
	}
	_ = findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		fmt.Fprintf(&b, "\n- **%s** %s in session %s (%s), %s\n", v.Status, code(v.Clause.ID), code(s.Session), code(s.Source), place(e))
		if v.Clause.Text != "" {
			fmt.Fprintf(&b, "  > %s\n", oneLine(v.Clause.Text))
		}
		if e.Quote != "" {
			fmt.Fprintf(&b, "\n  %s\n", code(oneLine(e.Quote)))
		}
		for _, line := range because(e) {
			fmt.Fprintf(&b, "  - %s\n", code(oneLine(line)))
		}
		return nil
	})
	for i := range r.Sessions {
		for j := range r.Sessions[i].NearMisses {
			m := &r.Sessions[i].NearMisses[j]
			fmt.Fprintf(&b, "\n- **%s** in session %s: %s\n", m.label(), code(r.Sessions[i].Session), code(oneLine(m.text())))
		}
	}
	fmt.Fprint(&b, "\n| clause | violated | error | unknown | satisfied | dormant |\n|---|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Clauses {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", strings.ReplaceAll(code(c.Clause.ID), "|", `\|`), c.Violated, c.Errors, c.Unknown, c.Satisfied, c.Dormant)
	}
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "\n- %s\n", code(oneLine(d.Error())))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// code quotes text so that nothing in it is read as Markdown.
func code(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if fence == "`" {
		return fence + s + fence
	}
	return fence + " " + s + " " + fence
}
