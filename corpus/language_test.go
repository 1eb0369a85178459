package corpus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"cel.dev/cel-go/common/types"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy/builtin"
	"github.com/proviso-dev/proviso/policy/pack"
)

// languagePage is the reference whose sentences the cases show.
const languagePage = "../docs/language.md"

// sentence is one numbered sentence of the page with the cases that it names.
type sentence struct {
	id, text string
	cases    []string
}

var (
	sentenceLine = regexp.MustCompile(`^- \*\*(S\d+[a-z]?)\.\*\* (.+) \((\[.+\))\)$`)
	caseLink     = regexp.MustCompile(`^\[([a-z0-9/-]+)\]\(\.\./corpus/([a-z0-9/-]+)\.txtar\)$`)
	// What needs a guard with stores and effects is shown by its stories, which its own test plays.
	storyLink = regexp.MustCompile(`^\[([a-z0-9_]+)\]\((\.\./guard/testdata/([a-z0-9_]+)\.txtar)\)$`)
)

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(languagePage)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sentences(t *testing.T) []sentence {
	t.Helper()
	var out []sentence
	for i, l := range strings.Split(page(t), "\n") {
		if !strings.HasPrefix(l, "- **S") {
			continue
		}
		m := sentenceLine.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("%s:%d: a sentence is written `- **S1.** text ([case](../corpus/case.txtar))`", languagePage, i+1)
			continue
		}
		s := sentence{id: m[1], text: m[2]}
		for _, link := range strings.Split(m[3], ", ") {
			if st := storyLink.FindStringSubmatch(link); st != nil && st[1] == st[3] {
				if _, err := os.Stat(st[2]); err != nil {
					t.Errorf("%s:%d: %v", languagePage, i+1, err)
				}
				continue
			}
			c := caseLink.FindStringSubmatch(link)
			if c == nil || c[1] != c[2] {
				t.Errorf("%s:%d: %q is no link to a case", languagePage, i+1, link)
				continue
			}
			s.cases = append(s.cases, c[1])
		}
		out = append(out, s)
	}
	return out
}

// TestEverySentenceHasACase compares the page with the archives: each sentence names cases that exist, each case is named, and the comment of a case begins with its sentences, word for word.
func TestEverySentenceHasACase(t *testing.T) {
	begins := map[string]string{}
	seen := map[string]bool{}
	for _, s := range sentences(t) {
		if seen[s.id] {
			t.Errorf("%s is given twice", s.id)
		}
		seen[s.id] = true
		for _, c := range s.cases {
			begins[c] += s.id + ". " + s.text + "\n"
		}
	}
	if len(seen) == 0 {
		t.Fatal("the page has no sentence")
	}
	testkit.Archives(t, corpusGlob, func(t *testing.T, a *testkit.Archive) {
		name := strings.TrimSuffix(filepath.ToSlash(a.Path), ".txtar")
		want, named := begins[name]
		delete(begins, name)
		if !named {
			t.Errorf("no sentence of %s names %s", languagePage, name)
			return
		}
		reason, ok := strings.CutPrefix(a.Comment, want+"\n")
		if !ok {
			t.Errorf("the comment of %s has to begin with its sentences:\n%s", name, testkit.Diff([]byte(want), []byte(a.Comment)))
		}
		if strings.TrimSpace(reason) == "" {
			t.Errorf("the comment of %s gives no reason", name)
		}
	})
	for c, s := range begins {
		t.Errorf("there is no case %s, which is to show\n%s", c, s)
	}
}

// TestFunctionsOfThePage keeps the table of functions as the functions document themselves.
func TestFunctionsOfThePage(t *testing.T) {
	const begin, end = "<!-- functions: go test ./corpus -args -update -->\n", "<!-- end of functions -->"
	head, rest, ok := strings.Cut(page(t), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s: the marks of the table of functions are missing", languagePage)
	}
	testkit.Golden(t, languagePage, []byte(head+begin+functions()+end+tail))
}

func functions() string {
	var b strings.Builder
	b.WriteString("| function | what it gives | example |\n|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, f := range builtin.All {
		var forms []string
		for _, o := range f.Overloads {
			var in []string
			for _, p := range o.In {
				in = append(in, typeName(p))
			}
			forms = append(forms, fmt.Sprintf("`%s(%s)` %s", f.Name, strings.Join(in, ", "), typeName(o.Out)))
		}
		example := f.Examples()[0]
		fmt.Fprintf(&b, "| %s | %s | `%s` is `%s` |\n", strings.Join(forms, "<br>"), cell.Replace(f.Contract()), cell.Replace(example.Expr), cell.Replace(example.Result))
	}
	return b.String()
}

func typeName(t *types.Type) string {
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration", "string", "text", "dyn", "any").Replace(t.String())
}

var fileBlock = regexp.MustCompile("(?ms)^```(?:yaml|markdown) ([a-z./]+)\n(.*?)^```$")

// TestExampleOfThePage loads the example of the page, which must have no finding, and plays its tests.
func TestExampleOfThePage(t *testing.T) {
	files := fstest.MapFS{}
	for _, f := range sharedFiles(t) {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	n := 0
	for _, m := range fileBlock.FindAllStringSubmatch(page(t), -1) {
		files[m[1]] = &fstest.MapFile{Data: []byte(m[2])}
		n++
		if strings.HasSuffix(m[1], ".yaml") {
			if b, err := pack.Format(m[1], []byte(m[2])); err != nil || !bytes.Equal(b, []byte(m[2])) {
				t.Errorf("%s is not laid out as the formatter does it: %v\n%s", m[1], err, testkit.Diff([]byte(m[2]), b))
			}
		}
	}
	if n < 4 {
		t.Fatalf("the example has %d files", n)
	}
	packs, ds := load(files)
	p, ds := compile(packs, ds)
	if p == nil || len(ds) > 0 {
		t.Fatalf("the example has findings:\n%v", ds)
	}
	if len(packs[0].Tests) == 0 {
		t.Fatal("the example has no tests")
	}
	for i := range packs[0].Tests {
		sc := fromCase(&packs[0].Tests[i])
		intended(t, sc, play(t, p, nil, sc, way{}))
	}
}
