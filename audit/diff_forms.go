package audit

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// DiffForm prints a comparison in one form. Render writes nothing but that form, and its error is that of the writer.
type DiffForm struct {
	Name   string // as it is asked for on a command line
	Doc    string
	Render func(w io.Writer, r *DiffReport) error
}

// DiffForms are the forms of a comparison by name.
var DiffForms = []*DiffForm{
	{"github", "workflow commands of GitHub Actions: an annotation per decision that changed", diffGitHub},
	{"html", "one HTML page that needs nothing else", diffHTML},
	{"json", "the whole comparison as one JSON object", diffJSON},
	{"jsonl", "one changed decision per line", diffLines},
	{"junit", "JUnit XML: a test per decision that changed", diffJUnit},
	{"markdown", "a summary, the rules and the decisions that changed in Markdown", diffMarkdown},
	{"pretty", "the decisions that changed, then a table of rules, in 80 columns", diffPretty},
	{"sarif", "SARIF 2.1.0: a rule per rule, a result per decision that changed", diffSARIF},
}

// DiffFormByName returns the form of that name; ok is false where there is none, and hint then says what was probably meant.
func DiffFormByName(name string) (f *DiffForm, hint string, ok bool) {
	names := make([]string, len(DiffForms))
	for i, f := range DiffForms {
		if f.Name == name {
			return f, "", true
		}
		names[i] = f.Name
	}
	return nil, proviso.DidYouMean(name, names), false
}

// change names what happened to a decision.
func (f *Flip) change() string {
	if f.Direction == Reworded {
		return "allow, edited otherwise"
	}
	return f.Old.Outcome.String() + " → " + f.New.Outcome.String()
}

func (f *Flip) where() string {
	s := fmt.Sprintf("event %d, %s", f.Seq, f.Point)
	if f.Tool != "" {
		s += " " + f.Tool
	}
	return s
}

// rule is the first rule of the stricter side.
func (f *Flip) rule() string {
	if r := f.stricter().Rules; len(r) > 0 {
		return r[0]
	}
	return "(no rule)"
}

func (f *Flip) sentence() string {
	return fmt.Sprintf("%s in session %s at %s: %s", f.change(), f.Session, f.where(), form.Line(f.Quote))
}

// lines tells both sides, a line each, and what decided.
func (f *Flip) lines() []string {
	var out []string
	for _, side := range []struct {
		name string
		r    *Ruling
	}{{"old", &f.Old}, {"new", &f.New}} {
		s := side.name + ": " + side.r.Outcome.String()
		if len(side.r.Rules) > 0 {
			s += " by " + strings.Join(side.r.Rules, ", ")
		}
		if len(side.r.Clauses) > 0 {
			s += " [" + strings.Join(ids(side.r.Clauses), ", ") + "]"
		}
		if len(side.r.Missing) > 0 {
			s += ", missing " + strings.Join(side.r.Missing, ", ")
		}
		out = append(out, s)
		for _, line := range because(&proviso.Evidence{Cause: side.r.Because}) {
			out = append(out, "  "+line)
		}
	}
	return out
}

func (t *DiffTotals) sentence() string {
	return fmt.Sprintf("%d from deny to allow, %d widened, %d narrowed, %d edited, %d lack inputs", t.Opened, t.Widened, t.Narrowed, t.Edited, t.Lacking)
}

func (l *Lack) sentence() string {
	var parts []string
	for _, side := range []struct {
		name string
		what []string
	}{{"old", l.Old}, {"new", l.New}} {
		if len(side.what) > 0 {
			parts = append(parts, side.name+" policy: "+strings.Join(side.what, ", "))
		}
	}
	return fmt.Sprintf("session %s (%s), event %d, %s lacks %s", l.Session, l.Source, l.Seq, l.Tool, strings.Join(parts, "; "))
}

func diffPretty(w io.Writer, r *DiffReport) error {
	var b bytes.Buffer
	for i := range r.Flips {
		f := &r.Flips[i]
		fmt.Fprintln(&b, form.Clip(form.Line(strings.ToUpper(f.change())+"  session "+f.Session+"  "+f.Source), columns))
		fmt.Fprintln(&b, form.Wrap(f.where(), "    ", columns))
		fmt.Fprintln(&b, form.Wrap(form.Line(f.Quote), "      > ", columns))
		for _, l := range f.lines() {
			fmt.Fprintln(&b, form.Wrap(form.Line(l), "    "+l[:len(l)-len(strings.TrimLeft(l, " "))], columns))
		}
		fmt.Fprintln(&b)
	}
	for i := range r.Lacking {
		fmt.Fprintln(&b, form.Wrap(form.Line(r.Lacking[i].sentence()), "", columns))
	}
	if len(r.Lacking) > 0 {
		fmt.Fprintln(&b)
	}
	if len(r.Rules) > 0 {
		width := columns - 44
		fmt.Fprintf(&b, "%-*s%14s%10s%10s%10s\n", width, "rule", "deny → allow", "widened", "narrowed", "edited")
		for _, c := range r.Rules {
			name := form.Clip(c.Rule, width-1)
			fmt.Fprintf(&b, "%s%s%14s%10s%10s%10s\n", name, strings.Repeat(" ", width-len([]rune(name))), count(c.Opened), count(c.Widened), count(c.Narrowed), count(c.Edited))
		}
		fmt.Fprintln(&b)
	}
	for _, d := range r.Diagnostics {
		fmt.Fprintln(&b, form.Wrap(form.Line(d.Error()), "", columns))
	}
	t := &r.Totals
	fmt.Fprintf(&b, "%s, %s, %s, %s\n%s\n", form.Plural(t.Sessions, "session"), form.Plural(t.Events, "event"), form.Plural(t.Calls, "call"), form.Plural(t.Files, "file"), t.sentence())
	_, err := w.Write(b.Bytes())
	return err
}

func diffMarkdown(w io.Writer, r *DiffReport) error {
	var b bytes.Buffer
	t := &r.Totals
	fmt.Fprintf(&b, "## Policy diff\n\n%s with %s: %s.\n", form.Plural(t.Sessions, "session"), form.Plural(t.Events, "event"), t.sentence())
	if len(r.Rules) > 0 {
		fmt.Fprint(&b, "\n| rule | clauses | deny → allow | widened | narrowed | edited |\n|---|---|--:|--:|--:|--:|\n")
		for _, c := range r.Rules {
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d |\n", cell(c.Rule), cell(strings.Join(ids(c.Clauses), ", ")), c.Opened, c.Widened, c.Narrowed, c.Edited)
		}
	}
	for i := range r.Flips {
		f := &r.Flips[i]
		fmt.Fprintf(&b, "\n- **%s** in session %s (%s), %s\n\n  %s\n", f.change(), form.Code(f.Session), form.Code(f.Source), f.where(), form.Code(form.Line(f.Quote)))
		for _, l := range f.lines() {
			fmt.Fprintf(&b, "  - %s\n", form.Code(form.Line(strings.TrimSpace(l))))
		}
	}
	for i := range r.Lacking {
		fmt.Fprintf(&b, "\n- %s\n", form.Code(form.Line(r.Lacking[i].sentence())))
	}
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "\n- %s\n", form.Code(form.Line(d.Error())))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// cell quotes text for a cell of a table.
func cell(s string) string {
	if s == "" {
		return ""
	}
	return strings.ReplaceAll(form.Code(form.Line(s)), "|", `\|`)
}

func diffJSON(w io.Writer, r *DiffReport) error {
	b, err := proviso.AppendJSON(nil, r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func diffLines(w io.Writer, r *DiffReport) error {
	for i := range r.Flips {
		b, err := proviso.AppendJSON(nil, &r.Flips[i])
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func diffJUnit(w io.Writer, r *DiffReport) error {
	suite := form.JUnitSuite{Name: "policy diff"}
	for i := range r.Flips {
		f := &r.Flips[i]
		suite.Add(form.JUnitCase{Class: f.Source, Name: fmt.Sprintf("%s event %d %s", f.Session, f.Seq, f.rule()), Failure: &form.JUnitText{Message: f.sentence(), Text: strings.Join(f.lines(), "\n")}})
	}
	if len(suite.Cases) == 0 {
		suite.Add(form.JUnitCase{Class: "policy diff", Name: "no decision changed"})
	}
	out := &form.JUnit{Name: "proviso diff"}
	out.Add(suite)
	return out.Write(w)
}

// flipLevels maps a direction to what code scanning and annotations call it.
var flipLevels = map[Direction]struct{ sarif, github string }{Widened: {"error", "error"}, Narrowed: {"warning", "warning"}, Reworded: {"note", "notice"}}

func diffSARIF(w io.Writer, r *DiffReport) error {
	var log form.SARIF
	for _, c := range r.Rules {
		text := "Decisions that rule " + c.Rule + " changed."
		if len(c.Clauses) > 0 && c.Clauses[0].Text != "" {
			text = c.Clauses[0].Text
		}
		log.Rules = append(log.Rules, form.SARIFRule{ID: c.Rule, Text: &form.SARIFText{Text: text}})
	}
	for i := range r.Flips {
		f := &r.Flips[i]
		log.Results = append(log.Results, sarifResult(f.rule(), flipLevels[f.Direction].sarif, f.sentence()+"\n"+strings.Join(f.lines(), "\n"), f.Session, f.Source, f.Line))
	}
	return log.Write(w)
}

func diffGitHub(w io.Writer, r *DiffReport) error {
	for i := range r.Flips {
		f := &r.Flips[i]
		if err := (form.Annotation{Level: flipLevels[f.Direction].github, Title: f.rule(), File: f.Source, Line: max(1, f.Line), Text: f.sentence() + "\n" + strings.Join(f.lines(), "\n")}).Write(w); err != nil {
			return err
		}
	}
	return nil
}
