package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// play plays a suite whose cases want and get these outcomes, written as a letter each: a allow, d deny, n needs_info, ! an error.
func play(t *testing.T, subject, want, got string) *eval.Run {
	t.Helper()
	names := map[byte]string{'a': "allow", 'd': "deny", 'n': "needs_info"}
	s := &eval.Suite{Name: "desk", Subject: subject}
	for i := range len(want) {
		s.Cases = append(s.Cases, eval.Case{ID: fmt.Sprintf("case %c", 'A'+i), Group: []string{"tests/cancel.yaml", "tests/refund.yaml"}[2*i/len(want)], Pos: proviso.Pos{File: "tests/desk.yaml", Line: 3 * i, Col: 5}, Want: []string{names[want[i]]}})
	}
	s.Play = func(_ context.Context, i int) (eval.Answer, error) {
		if got[i] == '!' {
			return eval.Answer{}, errors.New("no such table: \x1b[31m<script>alert(1)</script> | `x`")
		}
		a := eval.Answer{Got: []string{names[got[i]]}, Pass: want[i] == got[i], Values: map[string]float64{"steps": float64(1 + i%3)}}
		if i == 2 && !a.Pass {
			a.Note = "step 2: wanted " + names[want[i]] + " because the reservation R1 was booked less than a day before, and its owner asked for it in so many words"
		}
		return a, nil
	}
	r, err := eval.Play(context.Background(), s, eval.Config{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Took {
		r.Took[i] = time.Duration(i*i+1) * 137 * time.Microsecond
	}
	return r
}

// reports are one report of each sort, with everything in it that a form has to handle.
func reports(t *testing.T) map[string]*Report {
	t.Helper()
	const want = "aaaaddddnnaaaaddddnn"
	old, now := play(t, "v1", want, "aaddddaannaaaaddddnn"), play(t, "v2", want, "aaaad!ddadaaadddddna")
	c, err := eval.Compare(old, now)
	if err != nil {
		t.Fatal(err)
	}
	part := *old
	part.Results, part.Took = part.Results[:4], nil
	sections := []eval.Section{{Name: "desk", Title: "Desk", Doc: "A desk & its calls.", Figures: []eval.Wanted{
		{Name: "desk.agreement", Meaning: "calls that are decided as the desk decided", Want: eval.AtLeast(0.99), Share: true},
		{Name: "desk.missed", Meaning: "forbidden calls | that are <allowed>", Want: eval.Exactly(0), Share: true},
		{Name: "desk.speed", Meaning: "decisions a second", Want: eval.AtLeast(200000)},
		{Name: "desk.slow", Meaning: "events a second", Want: eval.AtLeast(50000), Speed: true},
		{Name: "desk.gone", Meaning: "is not there", Want: eval.AtLeast(1)},
		{Name: "desk.long", Meaning: "is there with -long", Share: true, Rare: true},
	}}}
	tables := eval.Tabulate(sections, []eval.Figure{{Name: "desk.agreement", Value: 0.9975, N: 400}, {Name: "desk.missed", Value: 0.0025, N: 400}, {Name: "desk.speed", Value: 312345.6, N: 10}, {Name: "desk.slow", Value: 43210, N: 10}, {Name: "other.mean", Value: 3.25, N: 4}})
	return map[string]*Report{
		"run":        {Title: "desk", Run: now},
		"good":       {Title: "desk", Run: play(t, "v1", "aadd", "aadd")},
		"part":       {Title: "desk", Run: &part},
		"comparison": {Title: "desk, v1 to v2", Comparison: c},
		"figures":    {Title: "Agreement", Tables: tables},
		"empty":      {Title: "nothing"},
	}
}

// Every form of every report is as the file under testdata has it.
func TestRenderers(t *testing.T) {
	for name, r := range reports(t) {
		for _, form := range All {
			if form == HTML && name != "figures" {
				continue // checked by TestHTML; one page is enough to see what changes
			}
			t.Run(name+"/"+form.Name, func(t *testing.T) {
				testkit.Golden(t, "testdata/"+name+"."+form.Name, rendered(t, form, r))
			})
		}
	}
}

func rendered(t *testing.T, form *Renderer, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := form.Render(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What people read on a terminal is at most 80 columns wide and moves no cursor.
func TestPretty(t *testing.T) {
	for name, r := range reports(t) {
		for line := range strings.Lines(string(rendered(t, Pretty, r))) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns || strings.ContainsRune(line, '\x1b') {
				t.Errorf("%s: %d columns: %q", name, n, line)
			}
		}
	}
}

var outside = regexp.MustCompile(`(?i)(src|href)\s*=\s*"[^#"]|url\(|@import|https?://`)

// A page is whole, asks for nothing outside of itself, shows text as text, and can be read without its script.
func TestHTML(t *testing.T) {
	for name, r := range reports(t) {
		text := string(rendered(t, HTML, r))
		if m := outside.FindString(text); m != "" {
			t.Errorf("%s: reaches outside: %q", name, m)
		}
		if strings.Contains(text, "ZgotmplZ") || !strings.HasSuffix(text, "</html>\n") || strings.Contains(text, "<script>alert") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: the page is not whole", name)
		}
		if n, labels := strings.Count(text, `role="img"`), strings.Count(text, "aria-label="); n > labels {
			t.Errorf("%s: %d drawings, %d labels", name, n, labels)
		}
		if r.Run != nil {
			for i := range r.Run.Results {
				if res := &r.Run.Results[i]; res.Status != eval.Passed && !strings.Contains(text, res.ID) {
					t.Errorf("%s: %s is not on the page", name, res.ID)
				}
			}
		}
	}
	many := &Report{Title: "many", Run: play(t, "v1", strings.Repeat("a", MaxPage+7), strings.Repeat("d", MaxPage+7))}
	if text := string(rendered(t, HTML, many)); !strings.Contains(text, "7 further cases") {
		t.Error("the page does not say what it leaves out")
	}
}

// The forms for machines are what they claim to be.
func TestMachines(t *testing.T) {
	for name, r := range reports(t) {
		for _, form := range []*Renderer{JSON, SARIF} {
			if b := rendered(t, form, r); !json.Valid(b) {
				t.Errorf("%s.%s: %s", name, form.Name, b)
			}
		}
		for line := range bytes.Lines(rendered(t, JSONLines, r)) {
			if !json.Valid(line) {
				t.Errorf("%s.jsonl: %s", name, line)
			}
		}
		if err := xml.Unmarshal(rendered(t, JUnit, r), new(struct{})); err != nil {
			t.Errorf("%s.junit: %v", name, err)
		}
		for line := range strings.Lines(string(rendered(t, GitHub, r))) {
			if !strings.HasPrefix(line, "::") {
				t.Errorf("%s.github: %q", name, line)
			}
		}
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestRenderErrors(t *testing.T) {
	for name, r := range reports(t) {
		for _, form := range All {
			if name != "empty" && (name != "good" || form != GitHub) && form.Render(full{}, r) == nil {
				t.Errorf("%s.%s: an error of the writer is not told", name, form.Name)
			}
		}
	}
}

func TestByName(t *testing.T) {
	for _, r := range All {
		if got, _, ok := ByName(r.Name); !ok || got != r {
			t.Errorf("%s is not found", r.Name)
		}
	}
	if _, hint, ok := ByName("markdwon"); ok || !strings.Contains(hint, "markdown") {
		t.Errorf("hint %q", hint)
	}
}
