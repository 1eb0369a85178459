package audit

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
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
	fmt.Fprintf(&b, "## Audit: %s\n\n%s with %s: %d violated, %d error, %d unknown, %d satisfied, %d dormant.\n", r.Status(), form.Plural(t.Sessions, "session"), form.Plural(t.Events, "event"), t.Violated, t.Errors, t.Unknown, t.Satisfied, t.Dormant)
	if more := t.beside(); more != "" {
		fmt.Fprintf(&b, "Besides: %s.\n", more)
	}
	_ = findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		fmt.Fprintf(&b, "\n- **%s** %s in session %s (%s), %s\n", v.Status, form.Code(v.Clause.ID), form.Code(s.Session), form.Code(s.Source), place(e))
		if v.Clause.Text != "" {
			fmt.Fprintf(&b, "  > %s\n", form.Line(v.Clause.Text))
		}
		if e.Quote != "" {
			fmt.Fprintf(&b, "\n  %s\n", form.Code(form.Line(e.Quote)))
		}
		for _, line := range because(e) {
			fmt.Fprintf(&b, "  - %s\n", form.Code(form.Line(line)))
		}
		return nil
	})
	for i := range r.Sessions {
		for j := range r.Sessions[i].NearMisses {
			m := &r.Sessions[i].NearMisses[j]
			fmt.Fprintf(&b, "\n- **%s** in session %s: %s\n", m.label(), form.Code(r.Sessions[i].Session), form.Code(form.Line(m.text())))
		}
	}
	fmt.Fprint(&b, "\n| clause | violated | error | unknown | satisfied | dormant |\n|---|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Clauses {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d |\n", strings.ReplaceAll(form.Code(c.Clause.ID), "|", `\|`), c.Violated, c.Errors, c.Unknown, c.Satisfied, c.Dormant)
	}
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "\n- %s\n", form.Code(form.Line(d.Error())))
	}
	_, err := w.Write(b.Bytes())
	return err
}
