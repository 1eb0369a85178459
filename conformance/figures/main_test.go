package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/conformance"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/eval/report"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// what go test prints, with all figures of the smallest section
const printed = `=== RUN   TestX
figure: tau_retail.gold_allowed = 1.000 (n=168)
figure: tau_retail.mean_steps = 3.274 (n=168)
figure: tau_retail.gold_allowed_v1 = 0.951 (n=941)
    tau_test.go:9: figure: tau_retail.mutants_denied = 1.000 (n=14583)
figure: new.suite = 0.5 (n=4)
--- SKIP: TestOther (0.00s)
    data.go:30: skipped: needs ../shared/data/other.jsonl, which is not present
PASS
`

const docBefore = `# A page

<!-- figures tau_retail, written by make figures -->
| figure | value | n | what it means |
|---|---|---|---|
| ` + "`tau_retail.gold_allowed`" + ` | 0.5 | 2 | old |
<!-- end -->

Text stays.
`

// The command shows what matters, writes the tables of the page where they stand, and a page with plots.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	doc, page := filepath.Join(dir, "doc.md"), filepath.Join(dir, "page.html")
	if err := os.WriteFile(doc, []byte(docBefore), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(strings.NewReader(printed), &out, []string{"-doc", doc, "-html", page}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nfigure: tau_retail.mutants_denied = 1.000 (n=14583)\n", "skipped: needs", "new.suite", "all as wanted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "=== RUN") || strings.Contains(out.String(), "ShARC") {
		t.Errorf("the output says too much:\n%s", out.String())
	}
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if !strings.HasPrefix(text, "# A page\n\n<!-- figures") || !strings.HasSuffix(text, "<!-- end -->\n\nText stays.\n") || !strings.Contains(text, "| `tau_retail.mutants_denied` | 1 | 14,583 | = 1 | broken writes") || strings.Contains(text, "| old |") {
		t.Errorf("the page is now\n%s", text)
	}
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<!doctype html>") {
		t.Errorf("%v: %.100s", err, b)
	}
}

// What is not as wanted, is missing, or failed, fails; so does an input without figures.
func TestRunFails(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unmet":   {strings.Replace(printed, "gold_allowed = 1.000", "gold_allowed = 0.994", 1), "tau_retail.gold_allowed is unmet"},
		"missing": {strings.Replace(printed, "figure: tau_retail.mean_steps", "figur", 1), "tau_retail.mean_steps is missing"},
		"failed":  {printed + "--- FAIL: TestY (0.1s)\n", "--- FAIL: TestY"},
		"broken":  {printed + "FAIL\tgithub.com/proviso-dev/proviso/conformance [build failed]\n", "build failed"},
		"twice":   {printed + "figure: tau_retail.mean_steps = 4 (n=168)\n", "give each a name of its own"},
		"empty":   {"PASS\n", "there is no figure"},
	} {
		var out strings.Builder
		if err := run(strings.NewReader(c.in), &out, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := run(strings.NewReader(printed), &strings.Builder{}, []string{"-o", "markdwon"}); err == nil || !strings.Contains(err.Error(), "markdown") {
		t.Errorf("a wrong form gives %v", err)
	}
}

// What was not measured keeps the row that it had, with the meaning and the wish of today.
func TestKeep(t *testing.T) {
	now := eval.Tabulate([]eval.Section{{Name: "s", Figures: []eval.Wanted{
		{Name: "s.a", Meaning: "new meaning", Want: eval.AtLeast(1), Rare: true},
		{Name: "s.b", Meaning: "b"},
	}}}, []eval.Figure{{Name: "s.b", Value: 2, N: 5}})
	old := "| `s.a` | 123 | 7 | ≥ 9 | old meaning |\n| `s.b` | 1 | 1 |  | b |\n"
	want := "| `s.a` | 123 | 7 | ≥ 1 | new meaning |\n| `s.b` | 2 | 5 |  | b |\n"
	if got := keep(old, report.MarkdownTable(&now[0])); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := tabled("<!-- figures s, written by make figures -->\n| no end\n", now); err == nil {
		t.Error("a table without an end was written")
	}
}

var tableOf = regexp.MustCompile(`<!-- figures (\w+), written by make figures -->`)

// The tables of the documentation list what the sections list, and say of it what they say; values are those of the last run.
func TestDocumentationHasTheTables(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testkit.Root(t), "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	tables := map[string]eval.Table{}
	for _, table := range eval.Tabulate(conformance.Sections, nil) {
		tables[table.Name] = table
	}
	found := tableOf.FindAllStringSubmatch(text, -1)
	if len(found) < 5 {
		t.Errorf("%d tables are marked", len(found))
	}
	for _, m := range found {
		table, ok := tables[m[1]]
		if !ok {
			t.Errorf("no section is called %s", m[1])
			continue
		}
		_, old, _, _, err := place(text, m[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := keep(old, report.MarkdownTable(&table)); strings.ReplaceAll(got, "*", "") != strings.ReplaceAll(old, "*", "") {
			t.Errorf("the table of %s is not what conformance/table.go lists; run make figures\n%s", m[1], testkit.Diff([]byte(got), []byte(old)))
		}
	}
}

// Every figure of a section has the section's name in front, a meaning, and a name of its own.
func TestSections(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range conformance.Sections {
		for _, w := range s.Figures {
			if seen[w.Name] || w.Meaning == "" || s.Name != "speed" && !strings.HasPrefix(w.Name, s.Name+".") {
				t.Errorf("%s: %+v", s.Name, w)
			}
			seen[w.Name] = true
		}
	}
}
