package audit

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// Pretty is for a terminal of 80 columns.
var Pretty = &Renderer{
	Name:   "pretty",
	Doc:    "findings with quotes and reasons, then a table of clauses, in 80 columns",
	Render: renderPretty,
}

const columns = 80

func renderPretty(w io.Writer, r *Report) error {
	var b bytes.Buffer
	for i := range r.Sessions {
		prettySession(&b, &r.Sessions[i])
	}
	prettyTable(&b, r)
	for _, d := range r.Diagnostics {
		fmt.Fprintln(&b, form.Wrap(form.Line(d.Error()), "", columns))
	}
	t := r.Totals
	fmt.Fprintf(&b, "%s, %s, %s, %s\n", form.Plural(t.Sessions, "session"), form.Plural(t.Events, "event"), form.Plural(t.Calls, "call"), form.Plural(t.Files, "file"))
	if more := t.beside(); more != "" {
		fmt.Fprintln(&b, more)
	}
	fmt.Fprintf(&b, "%d violated, %d error, %d unknown, %d satisfied, %d dormant\n", t.Violated, t.Errors, t.Unknown, t.Satisfied, t.Dormant)
	if n := len(r.Uncited); n > 0 {
		fmt.Fprintf(&b, "%s of the policy cited by no rule: nothing is said about them\n", form.Plural(n, "clause"))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func prettySession(b *bytes.Buffer, s *Session) {
	if s.Status <= proviso.Satisfied && len(s.Notes)+len(s.Would)+len(s.NearMisses) == 0 {
		return
	}
	where := s.Source
	if s.Line > 1 {
		where = fmt.Sprintf("%s:%d", s.Source, s.Line)
	}
	fmt.Fprintln(b, form.Clip(form.Line("session "+s.Session+"  "+where), columns))
	for _, list := range []struct {
		would    string
		verdicts []proviso.Verdict
	}{{"", s.Verdicts}, {"would be ", s.Would}} {
		for j := range list.verdicts {
			if v := &list.verdicts[j]; v.Status > proviso.Satisfied {
				prettyVerdict(b, list.would, v)
			}
		}
	}
	for j := range s.NearMisses {
		m := &s.NearMisses[j]
		fmt.Fprintf(b, "  %s  %s\n", m.label(), form.Clip(strings.Join(ids(m.Clauses), ", "), 60))
		fmt.Fprintln(b, form.Wrap(m.text(), "    ", columns))
		fmt.Fprintln(b, form.Wrap(form.Line(m.Quote), "      > ", columns))
	}
	for _, d := range s.Notes {
		fmt.Fprintln(b, form.Wrap(form.Line(d.Severity.String()+": "+d.Error()), "  ", columns))
	}
	fmt.Fprintln(b)
}

func prettyVerdict(b *bytes.Buffer, would string, v *proviso.Verdict) {
	fmt.Fprintf(b, "  %s%s  %s\n", would, v.Status, form.Clip(v.Clause.ID, 50))
	if v.Clause.Text != "" {
		fmt.Fprintln(b, form.Wrap(v.Clause.Text, "    | ", columns))
	}
	for k := range v.Evidence {
		e := &v.Evidence[k]
		fmt.Fprintln(b, form.Wrap(place(e)+", rule "+e.Rule, "    ", columns))
		if e.Quote != "" {
			fmt.Fprintln(b, form.Wrap(form.Line(e.Quote), "      > ", columns))
		}
		for _, line := range because(e) {
			fmt.Fprintln(b, form.Wrap(form.Line(line), "      ", columns))
		}
	}
}

func prettyTable(b *bytes.Buffer, r *Report) {
	if len(r.Clauses) == 0 {
		return
	}
	const numbers = "%9s%7s%9s%11s%9s\n"
	width := columns - 45
	fmt.Fprintf(b, "%-*s"+numbers, width, "clause", "violated", "error", "unknown", "satisfied", "dormant")
	for _, c := range r.Clauses {
		id := form.Clip(c.Clause.ID, width-1)
		pad := strings.Repeat(" ", width-len([]rune(id)))
		fmt.Fprintf(b, "%s%s"+numbers, id, pad, count(c.Violated), count(c.Errors), count(c.Unknown), count(c.Satisfied), count(c.Dormant))
	}
	fmt.Fprintln(b)
}

// count leaves zeros out, so that what is there stands out.
func count(n int) string {
	if n == 0 {
		return "."
	}
	return fmt.Sprint(n)
}
