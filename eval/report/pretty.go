package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/form"
)

// Pretty is for a terminal of 80 columns.
var Pretty = &Renderer{
	Name:   "pretty",
	Doc:    "what is not as it should be, then the numbers, in 80 columns",
	Render: renderPretty,
}

const columns = 80

// maxShown is how many cases of a kind are told one by one where people read; forms for machines have all.
const maxShown = 20

func renderPretty(w io.Writer, r *Report) error {
	var b bytes.Buffer
	if r.Run != nil {
		prettyRun(&b, r.Run)
	}
	if r.Comparison != nil {
		prettyComparison(&b, r.Comparison)
	}
	for i := range r.Tables {
		prettyTable(&b, &r.Tables[i])
	}
	text, _ := r.verdict()
	fmt.Fprintf(&b, "%s: %s\n", form.Line(r.Title), text)
	_, err := w.Write(b.Bytes())
	return err
}

func prettyRun(b *bytes.Buffer, r *eval.Run) {
	shown := 0
	for i := range r.Results {
		res := &r.Results[i]
		if res.Status == eval.Passed {
			continue
		}
		if shown++; shown > maxShown {
			continue
		}
		head := "FAIL  "
		if res.Status == eval.Errored {
			head = "ERROR "
		}
		prettyCase(b, head, res)
	}
	if shown > maxShown {
		fmt.Fprintf(b, "… and %s more; -o jsonl has all\n", eval.FormatCount(shown-maxShown))
	}
	if shown > 0 {
		b.WriteByte('\n')
	}
	s := r.Summary()
	line := func(name, text string) { fmt.Fprintf(b, "%-18s %s\n", name, text) }
	line("cases passed", share(s.Passed))
	if s.Counts.Errors > 0 {
		line("in error", eval.FormatCount(s.Counts.Errors))
	}
	if s.Counts.Left > 0 {
		line("not played", eval.FormatCount(s.Counts.Left))
	}
	if s.Wrongful != nil {
		line("wrongful denials", share(*s.Wrongful))
	}
	if s.Missed != nil {
		line("missed violations", share(*s.Missed))
	}
	for _, v := range s.Values {
		line(form.Clip(form.Line(v.Name), 18), fmt.Sprintf("%s on average (%s), n=%s", eval.FormatValue(v.Mean), interval(v.Range), eval.FormatCount(v.N)))
	}
	if len(r.Took) > 0 {
		line("time per case", fmt.Sprintf("%s in the middle, %s at 99 %%", short(r.Percentile(0.5)), short(r.Percentile(0.99))))
	}
	if s.Confusion != nil && len(s.Confusion.Labels) > 1 {
		b.WriteByte('\n')
		prettyConfusion(b, s.Confusion)
	}
	if len(s.Groups) > 0 {
		fmt.Fprintf(b, "\n%-40s %s\n", "group", "passed")
		for _, g := range s.Groups {
			fmt.Fprintf(b, "%s %s\n", padded(g.Group, 40), share(g.Passed))
		}
	}
	b.WriteByte('\n')
}

// short writes a duration with three digits.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

func padded(s string, n int) string {
	s = form.Clip(form.Line(s), n)
	return s + strings.Repeat(" ", n-utf8.RuneCountInString(s))
}

func prettyCase(b *bytes.Buffer, head string, r *eval.Result) {
	where := ""
	if p := r.Pos.String(); p != "" {
		where = "  " + p
	}
	fmt.Fprintln(b, form.Clip(head+form.Line(r.ID+where), columns))
	for line := range strings.Lines(why(r)) {
		fmt.Fprintln(b, form.Wrap(form.Line(line), "      ", columns))
	}
}

func prettyConfusion(b *bytes.Buffer, m *eval.Confusion) {
	const wide = 11
	fmt.Fprintf(b, "%-19s", "wanted \\ got")
	for _, l := range m.Labels {
		fmt.Fprintf(b, "%*s", wide, form.Clip(form.Line(l), wide-1))
	}
	b.WriteByte('\n')
	for i, l := range m.Labels {
		b.WriteString(padded(l, 19))
		for _, n := range m.Counts[i] {
			fmt.Fprintf(b, "%*s", wide, eval.FormatCount(n))
		}
		b.WriteByte('\n')
	}
}

func prettyComparison(b *bytes.Buffer, c *eval.Comparison) {
	for _, part := range []struct {
		head  string
		flips []eval.Flip
	}{{"BROKEN  ", c.Broken}, {"failing ", c.Failing}, {"fixed   ", c.Fixed}} {
		for i := range part.flips {
			if i == maxShown {
				fmt.Fprintf(b, "… and %s more %s; -o jsonl has all\n", eval.FormatCount(len(part.flips)-maxShown), strings.ToLower(strings.TrimSpace(part.head)))
				break
			}
			prettyCase(b, part.head, &part.flips[i].New)
		}
		if len(part.flips) > 0 {
			b.WriteByte('\n')
		}
	}
	for _, line := range [][2]string{
		{"before", share(c.Before)}, {"after", share(c.After)}, {"gain", gain(c)},
		{"flips", fmt.Sprintf("%d fixed, %d broken, %d still failing, %d still passing", len(c.Fixed), len(c.Broken), len(c.Failing), c.Passing)},
	} {
		fmt.Fprintf(b, "%-18s %s\n", line[0], line[1])
	}
	if len(c.Groups) > 1 {
		fmt.Fprintf(b, "\n%-40s %8s %8s %8s %8s\n", "group", "before", "after", "fixed", "broken")
		for _, g := range c.Groups {
			fmt.Fprintf(b, "%s %8s %8s %8d %8d\n", padded(g.Group, 40), eval.FormatValue(g.Before.Value()), eval.FormatValue(g.After.Value()), g.Fixed, g.Broken)
		}
	}
	b.WriteByte('\n')
}

func prettyTable(b *bytes.Buffer, t *eval.Table) {
	fmt.Fprintf(b, "%s\n", form.Clip(form.Line(t.Title), columns))
	for i := range t.Rows {
		r := &t.Rows[i]
		value, n := "-", ""
		if r.N > 0 {
			value, n = eval.FormatValue(r.Value), eval.FormatCount(r.N)
		}
		glyph := map[eval.Mark]string{eval.Met: "ok", eval.Unmet: "NO", eval.Missing: "NO", eval.Slow: "~"}[r.Mark]
		fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("  %-2s %s %9s %9s  %s", glyph, padded(r.Name, 42), value, n, r.Want), " "))
	}
	b.WriteByte('\n')
}
