package audit

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

// A page is whole: it asks for nothing outside of itself, and every link in it leads somewhere.
func TestHTML(t *testing.T) {
	p, _ := desk(t)
	testkit.Archives(t, absolute(t, "testdata/runs/*.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordings(a))
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"."}, Traces: true})
		if err != nil {
			t.Fatal(err)
		}
		text := rendered(t, func(w io.Writer) error { return HTML.Render(w, r) })
		for _, s := range r.Sessions {
			if !strings.Contains(text, s.Session) {
				t.Errorf("session %s is not on the page", s.Session)
			}
		}
	})
	t.Run("diff", func(t *testing.T) {
		flip := Flip{Session: "<s>", Direction: Widened, Old: Ruling{Rules: []string{"r"}}, New: Ruling{Outcome: proviso.Allow}, Quote: "<script>alert(1)</script>"}
		text := rendered(t, func(w io.Writer) error {
			return diffHTML(w, &DiffReport{Flips: []Flip{flip}, Lacking: []Lack{{Session: "x"}}})
		})
		if strings.Contains(text, "<script>alert") || !strings.Contains(text, "deny → allow") {
			t.Error("the page is not as it should be")
		}
	})
}

var (
	linkIn    = regexp.MustCompile(`href="#([^"]+)"`)
	outsideIn = regexp.MustCompile(`(?i)(src|href)\s*=\s*"[^#"]|url\(|@import|https?://`)
)

// rendered renders a page and checks what is true of every page.
func rendered(t *testing.T, render func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := render(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if m := outsideIn.FindString(text); m != "" {
		t.Errorf("the page reaches outside: %q", m)
	}
	for _, m := range linkIn.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `id="`+m[1]+`"`) {
			t.Errorf("a link to %q leads nowhere", m[1])
		}
	}
	if strings.Contains(text, "ZgotmplZ") || !strings.HasSuffix(text, "</html>\n") {
		t.Error("the page is not whole")
	}
	return text
}

// What a recording says is text on the page, never markup, and quotes and values are marked where they stand.
func TestHTMLMarks(t *testing.T) {
	got := marked("pay <b>90</b> to 90", []string{"<b>90</b> to"}, []string{"90"})
	want := []passage{{"pay ", ""}, {"<b>", "quote"}, {"90", "value"}, {"</b> to", "quote"}, {" ", ""}, {"90", "value"}}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("passage %d is %q, want %q", i, got[i], want[i])
		}
	}
	r := &Report{Sessions: []Session{{Session: "<script>", Status: proviso.Violated, Verdicts: []proviso.Verdict{{Clause: proviso.Clause{ID: "c", Text: "</style>"}, Status: proviso.Violated, Evidence: []proviso.Evidence{{Seq: 1, Quote: "<img onerror=x>"}}}},
		Trace: &proviso.Trace{Records: []proviso.Record{{Event: proviso.Event{Seq: 1, Body: &proviso.Message{Text: "see <img onerror=x>"}}}}}}}}
	text := rendered(t, func(w io.Writer) error { return HTML.Render(w, r) })
	if strings.Contains(text, "<img") || !strings.Contains(text, "see <mark>&lt;img onerror=x&gt;</mark>") {
		t.Error("recorded text is not shown as text")
	}
}

// Beyond the bound the worst sessions are shown and the others counted.
func TestHTMLIsBounded(t *testing.T) {
	r := &Report{Sessions: make([]Session, MaxPage+7)}
	r.Sessions[MaxPage+6] = Session{Session: "the worst", Status: proviso.Violated}
	text := rendered(t, func(w io.Writer) error { return HTML.Render(w, r) })
	if !strings.Contains(text, "the worst") || !strings.Contains(text, "7 further sessions") {
		t.Error("the worst session is not on the page")
	}
}
