// Command figures reads what the tests of package conformance and the comparisons of module bench print, holds every figure against what is wanted of it, and writes
// the tables of docs/conformance.md and a page with plots.
//
//	go test -v ./conformance | go run ./conformance/figures -doc docs/conformance.md -html figures.html
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/proviso-dev/proviso/conformance"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/eval/report"
)

func main() {
	if err := run(os.Stdin, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

// run shows the lines that matter as they come, and the table at the end. Its error is that of a file, or says what is not as wanted.
func run(in io.Reader, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("figures", flag.ContinueOnError)
	doc := flags.String("doc", "", "page of documentation whose tables are written anew")
	page := flags.String("html", "", "page with plots that is written")
	form := flags.String("o", report.Pretty.Name, "form of the table that is printed at the end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	renderer, hint, ok := report.ByName(*form)
	if !ok {
		return fmt.Errorf("no form %q; %s", *form, hint)
	}
	printed, failures, err := follow(in, out)
	if err != nil {
		return err
	}
	figures, err := eval.ReadFigures(strings.NewReader(printed))
	if err != nil {
		return err
	}
	if len(figures) == 0 {
		return errors.New("there is no figure in the input; give it what go test -v ./conformance prints")
	}
	r := &report.Report{Title: "Agreement with outside suites, and speed", Tables: eval.Tabulate(measured(figures), figures)}
	if len(failures) > 0 {
		r.Title += " (" + failures[0] + ")"
	}
	if err := renderer.Render(out, r); err != nil {
		return err
	}
	if *doc != "" {
		if err := rewrite(*doc, r.Tables); err != nil {
			return err
		}
	}
	if *page != "" {
		var b bytes.Buffer
		if err := report.HTML.Render(&b, r); err != nil {
			return err
		}
		if err := os.WriteFile(*page, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			if row.Mark.Bad() {
				failures = append(failures, row.Name+" is "+row.Mark.String())
			}
		}
	}
	if len(failures) > 0 {
		return errors.New(strings.Join(failures, "; "))
	}
	return nil
}

// follow copies the lines of figures, of suites that are not there, and of failures. It returns the figures and the failures.
func follow(in io.Reader, out io.Writer) (figures string, failures []string, err error) {
	var b strings.Builder
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := lines.Text()
		_, isFigure := eval.ParseFigure(line)
		trimmed := strings.TrimSpace(line)
		failed := strings.HasPrefix(trimmed, "--- FAIL") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "panic:")
		switch {
		case isFigure:
			line = line[strings.Index(line, "figure:"):]
			b.WriteString(line + "\n")
		case failed:
			failures = append(failures, trimmed)
		case !strings.Contains(line, "skipped: needs"):
			continue
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return "", nil, err
		}
	}
	return b.String(), failures, lines.Err()
}

// measured leaves out the sections none of whose figures were printed: the data of the suite is not there, or another part was run. A test that failed is told by its own line.
func measured(figures []eval.Figure) []eval.Section {
	seen := map[string]bool{}
	for _, f := range figures {
		seen[f.Name] = true
	}
	var out []eval.Section
	for _, s := range conformance.Sections {
		for _, w := range s.Figures {
			if seen[w.Name] {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// The lines between which a table stands in the documentation, where NAME is that of its section.
const (
	tableBegin = "<!-- figures NAME, written by make figures -->\n"
	tableEnd   = "<!-- end -->\n"
)

// rewrite writes the tables of a page anew. What was not measured keeps its row.
func rewrite(name string, tables []eval.Table) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	text, err := tabled(string(b), tables)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if text == string(b) {
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// tabled puts tables into a text at their places. Tables without a place are passed over.
func tabled(text string, tables []eval.Table) (string, error) {
	for i := range tables {
		before, old, after, found, err := place(text, tables[i].Name)
		if err != nil {
			return "", err
		}
		if found {
			text = before + keep(old, report.MarkdownTable(&tables[i])) + after
		}
	}
	return text, nil
}

// place finds the table of a section.
func place(text, section string) (before, table, after string, found bool, err error) {
	begin := strings.Replace(tableBegin, "NAME", section, 1)
	at := strings.Index(text, begin)
	if section == "" || at < 0 {
		return "", "", "", false, nil
	}
	at += len(begin)
	end := strings.Index(text[at:], tableEnd)
	if end < 0 {
		return "", "", "", false, fmt.Errorf("the table of %s has no line %q", section, strings.TrimSpace(tableEnd))
	}
	return text[:at], text[at : at+end], text[at+end:], true, nil
}

// keep puts the value and the count of the old table into the rows of figures that were not measured.
func keep(old, now string) string {
	was := map[string]string{}
	for line := range strings.Lines(old) {
		name, _ := cut(line)
		was[name] = line
	}
	var b strings.Builder
	for line := range strings.Lines(now) {
		name, rest := cut(line)
		if before, ok := was[name]; ok && strings.HasPrefix(strings.TrimLeft(rest, " *"), report.NotMeasured) {
			line = values(line, before)
		}
		b.WriteString(line)
	}
	return b.String()
}

// cut splits a row of a table behind its first cell.
func cut(line string) (name, rest string) {
	parts := strings.SplitN(line, "|", 3)
	if len(parts) < 3 {
		return "", ""
	}
	return strings.TrimSpace(parts[1]), parts[2]
}

// values gives a row the second and third cell of another.
func values(line, from string) string {
	a, b := strings.SplitN(line, "|", 5), strings.SplitN(from, "|", 5)
	if len(a) < 5 || len(b) < 5 {
		return line
	}
	return strings.Join([]string{a[0], a[1], b[2], b[3], a[4]}, "|")
}
