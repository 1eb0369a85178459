package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

// desk compiles the pack under testdata.
func desk(t testing.TB) (*policy.Policy, *pack.Pack) {
	t.Helper()
	pk, diags := pack.Load(os.DirFS("testdata/pack"), ".")
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	p, diags := policy.Compile(pk)
	if p == nil {
		t.Fatal(diags)
	}
	return p, pk
}

// lay writes files into a new folder and makes it the current one, so that sources are named as the archive names them.
func lay(t *testing.T, files []testkit.File) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), bytes.TrimSuffix(f.Data, []byte("\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// absolute keeps a path right after lay.
func absolute(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// recordings are the files of an archive that are no expectations.
func recordings(a *testkit.Archive) []testkit.File {
	var out []testkit.File
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want") {
			out = append(out, f)
		}
	}
	return out
}

func TestRun(t *testing.T) {
	p, _ := desk(t)
	testkit.Archives(t, absolute(t, "testdata/runs/*.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordings(a))
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"."}})
		if err != nil {
			t.Fatal(err)
		}
		check(t, r)
		var b bytes.Buffer
		if err := Pretty.Render(&b, r); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if n := len([]rune(line)); n > columns {
				t.Errorf("a line of %d columns: %s", n, line)
			}
		}
		a.Expect(t, "want", b.Bytes())
	})
}

// check holds what is true of every report.
func check(t *testing.T, r *Report) {
	t.Helper()
	var sum Counts
	for _, s := range r.Sessions {
		worst := proviso.Dormant
		for _, v := range s.Verdicts {
			worst = max(worst, v.Status)
			if len(v.Evidence) > MaxEvidence || (v.Status > proviso.Dormant) != (len(v.Evidence) > 0) {
				t.Errorf("%s %s: %v with %d pieces of evidence", s.Session, v.Clause.ID, v.Status, len(v.Evidence))
			}
			for i, e := range v.Evidence {
				if i == 0 && e.Status != v.Status || i > 0 && e.Status > v.Evidence[i-1].Status {
					t.Errorf("%s %s: evidence %d is %v of a verdict %v", s.Session, v.Clause.ID, i, e.Status, v.Status)
				}
			}
		}
		if worst != s.Status {
			t.Errorf("%s: status %v, worst verdict %v", s.Session, s.Status, worst)
		}
		sum.add(s.Status)
	}
	if r.Totals.Counts != sum || r.Totals.Sessions != len(r.Sessions) {
		t.Errorf("totals %+v over %+v", r.Totals, sum)
	}
}

// Evidence must be an exact quote of the event that it points at.
func TestQuotesAreExact(t *testing.T) {
	p, _ := desk(t)
	testkit.Archives(t, absolute(t, "testdata/runs/*.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordings(a))
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"."}, Traces: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Sessions {
			texts := map[string]bool{}
			for _, rec := range s.Trace.Records {
				b, err := proviso.AppendJSON(nil, &rec.Event)
				if err != nil {
					t.Fatal(err)
				}
				var ev proviso.Event
				if err := proviso.DecodeStrict(b, &ev); err != nil {
					t.Fatal(err)
				}
				switch x := ev.Body.(type) {
				case *proviso.ToolCall:
					texts[string(x.Args)] = true
				case *proviso.Message:
					texts[x.Text] = true
				case *proviso.ToolResult:
					texts[string(x.Content)+x.Text] = true
				case *proviso.Lifecycle:
					texts[x.Kind] = true
				}
			}
			for _, v := range s.Verdicts {
				for _, e := range v.Evidence {
					if !texts[e.Quote] {
						t.Errorf("%s %s: %q is in no event", s.Session, v.Clause.ID, e.Quote)
					}
				}
			}
		}
	})
}

func TestRenderers(t *testing.T) {
	p, _ := desk(t)
	testkit.Archives(t, absolute(t, "testdata/forms.txtar"), func(t *testing.T, a *testkit.Archive) {
		lay(t, recordings(a))
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"."}})
		if err != nil {
			t.Fatal(err)
		}
		r.Policy = "digest"
		for i, f := range All {
			if i > 0 && All[i-1].Name >= f.Name || f.Doc == "" {
				t.Errorf("renderer %q is out of order or without a doc", f.Name)
			}
			if got, _, ok := ByName(f.Name); !ok || got != f {
				t.Errorf("ByName(%q) = %v, %v", f.Name, got, ok)
			}
			var b bytes.Buffer
			if err := f.Render(&b, r); err != nil {
				t.Fatal(err)
			}
			if f != HTML { // TestHTML looks at pages
				a.Expect(t, "want."+f.Name, b.Bytes())
			}
			if err := f.Render(failing{}, r); err == nil {
				t.Errorf("%s: the error of the writer was lost", f.Name)
			}
		}
		if _, hint, ok := ByName("sarfi"); ok || hint != `did you mean "sarif"?` {
			t.Errorf("hint %q", hint)
		}
	})
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestNothingIsNoPass(t *testing.T) {
	p, _ := desk(t)
	lay(t, []testkit.File{{Name: "empty.json"}, {Name: "blank.jsonl", Data: []byte("\n\n")}, {Name: "none.json", Data: []byte(`{"messages":[]}`)}, {Name: "list.json", Data: []byte(`[]`)}})
	for _, paths := range [][]string{{"."}, {"empty.json"}, {"list.json"}} {
		if _, err := Run(context.Background(), Config{Policy: p, Paths: paths}); !errors.Is(err, ErrEmpty) {
			t.Errorf("%v: %v", paths, err)
		}
	}
	for _, paths := range [][]string{nil, {"missing.json"}} {
		if _, err := Run(context.Background(), Config{Policy: p, Paths: paths}); err == nil || errors.Is(err, ErrEmpty) {
			t.Errorf("%v: %v", paths, err)
		}
	}
	if _, err := Run(context.Background(), Config{Paths: []string{"."}}); err == nil {
		t.Error("an audit without a policy")
	}
}

func TestCompressed(t *testing.T) {
	p, _ := desk(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 100 {
		_, _ = z.Write([]byte(`{"messages":[{"role":"user","content":"hello"}]}` + "\n"))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	lay(t, []testkit.File{{Name: "whole", Data: append(bytes.Clone(b.Bytes()), '\n')}, {Name: "cut.gz", Data: b.Bytes()[:b.Len()-9]}})
	if err := os.WriteFile("whole", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"whole"}})
	if err != nil || r.Totals.Sessions != 100 || len(r.Diagnostics) > 0 {
		t.Errorf("%v, %+v", err, r.Diagnostics)
	}
	r, err = Run(context.Background(), Config{Policy: p, Paths: []string{"cut.gz"}})
	if err != nil || len(r.Diagnostics) != 1 || r.Diagnostics[0].Code != "PV402" {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestBoundAndCancel(t *testing.T) {
	p, _ := desk(t)
	short := `{"messages":[{"role":"user","content":"hello"}]}`
	long := `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 500) + `"}]}`
	lay(t, []testkit.File{{Name: "a.jsonl", Data: []byte(short + "\n" + long + "\n" + short)}, {Name: "b.json", Data: []byte("[\n" + short + ",\n" + long + ",\n" + short + "]")}})
	for _, f := range []string{"a.jsonl", "b.json"} {
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{f}, MaxBytes: 200})
		if err != nil || r.Totals.Sessions != 2 || len(r.Diagnostics) != 1 || r.Diagnostics[0].Code != CodeUnreadable {
			t.Errorf("%s: %v, %+v", f, err, r)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Config{Policy: p, Paths: []string{"."}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled audit: %v", err)
	}
}

// However many workers there are, the report is the same.
func TestWorkersDoNotMatter(t *testing.T) {
	p, _ := desk(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), traffic(t, 40, 30), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	var want []byte
	for _, n := range []int{1, 2, 7} {
		events := 0
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{"log.jsonl"}, Workers: n, Progress: func(p Progress) { events = p.Events }})
		if err != nil {
			t.Fatal(err)
		}
		if events != r.Totals.Events {
			t.Errorf("progress counted %d of %d events", events, r.Totals.Events)
		}
		var b bytes.Buffer
		if err := JSON.Render(&b, r); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = b.Bytes()
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("with %d workers the report differs", n)
		}
	}
}

// traffic writes records of a guard, about 1,000 bytes each, the sessions interleaved.
func traffic(t testing.TB, sessions, rounds int) []byte {
	t.Helper()
	var out []byte
	note := strings.Repeat("the customer writes at some length about the journey ", 11)
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	add := func(r *proviso.Record) {
		r.Decision = proviso.Decision{Outcome: proviso.Allow, Policy: strings.Repeat("ab", 32)}
		r.DecidedAt = r.Event.Time
		b, err := proviso.AppendJSON(out, r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(b, '\n')
	}
	seq := make([]uint64, sessions)
	for round := range rounds {
		for s := range sessions {
			event := func(p proviso.Point, b proviso.Body) proviso.Event {
				seq[s]++
				return proviso.Event{Session: "session-" + strings.Repeat("0", s%3) + string(rune('a'+s%26)) + strings.Repeat("x", s/26), Seq: seq[s], Time: at.Add(time.Duration(seq[s]) * time.Second), Point: p, Body: b}
			}
			id := "c" + string(rune('0'+round%10)) + strings.Repeat("x", round/10)
			add(&proviso.Record{Event: event(proviso.Input, &proviso.Message{Role: proviso.User, Text: note + note})})
			add(&proviso.Record{Event: event(proviso.ToolCallPoint, &proviso.ToolCall{ID: id, Tool: "get_booking", Args: proviso.JSON(`{"id":"B` + id + `"}`)}), Phase: proviso.Released, ArgsHash: strings.Repeat("cd", 32)})
			add(&proviso.Record{Event: event(proviso.ToolResultPoint, &proviso.ToolResult{CallID: id, Tool: "get_booking", Content: proviso.JSON(`{"group":false,"note":"` + note + `","total":50.0}`)}), Phase: proviso.OK})
			add(&proviso.Record{Event: event(proviso.Output, &proviso.Message{Role: proviso.Assistant, Text: note + " Shall I refund B" + id + "? " + note})})
			add(&proviso.Record{Event: event(proviso.Input, &proviso.Message{Role: proviso.User, Text: "Yes."})})
			add(&proviso.Record{Event: event(proviso.ToolCallPoint, &proviso.ToolCall{ID: id + "r", Tool: "refund", Args: proviso.JSON(`{"id":"B` + id + `","note":"` + note + `"}`)}), Phase: proviso.Released, ArgsHash: strings.Repeat("cd", 32)})
			add(&proviso.Record{Event: event(proviso.ToolResultPoint, &proviso.ToolResult{CallID: id + "r", Tool: "refund", Text: note + note}), Phase: proviso.OK})
			if round == rounds-1 {
				add(&proviso.Record{Event: event(proviso.ToolCallPoint, &proviso.ToolCall{ID: "last", Tool: "close_case", Args: proviso.JSON(`{}`)}), Phase: proviso.Released})
				add(&proviso.Record{Event: event(proviso.ToolResultPoint, &proviso.ToolResult{CallID: "last", Tool: "close_case", Text: "closed"}), Phase: proviso.OK})
			}
		}
	}
	return out
}

// BenchmarkAudit measures one core: reading, deciding and collecting garbage share it.
func BenchmarkAudit(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p, _ := desk(b)
	lines := traffic(b, 50, 60)
	file := filepath.Join(b.TempDir(), "log.jsonl")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		b.Fatal(err)
	}
	n := bytes.Count(lines, []byte("\n"))
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Run(context.Background(), Config{Policy: p, Paths: []string{file}, Workers: 1})
		if err != nil || r.Totals.Events != n || r.Status() > proviso.Satisfied {
			b.Fatal(err, r.Totals, r.Status())
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(len(lines))/float64(n), "B/event")
}

// FuzzStream reads any bytes as a file: it ends, and hands on no more than it was given.
func FuzzStream(f *testing.F) {
	for _, s := range []string{"{\"messages\":[]}\n{\"a\":\n", "[{\"role\":\"user\"},{\"x\":1}]", "[[1],{\"messages\":[", "{\"event\":{\"session\":\"a\"}}\n", "\"a\" 1 tru", "[1,\n2,,]]{", "{\n}\n{\n\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &run{cfg: Config{MaxBytes: 1000}, sessions: map[string]int{}, shared: make(chan work, len(b)+1), own: []chan work{make(chan work, len(b)+1)}}
		s := &stream{run: r, ctx: context.Background(), source: "f", in: bufio.NewReaderSize(bytes.NewReader(b), 16), batches: make([]work, 1)}
		if err := s.values(); err != nil {
			t.Fatal(err)
		}
		if err := s.flush(0); err != nil {
			t.Fatal(err)
		}
		close(r.shared)
		n := 0
		for w := range r.shared {
			n += len(w.text)
			if len(w.text) == 0 || len(w.text) > 1000+1 || w.line < 1 || w.line > 1+bytes.Count(b, []byte("\n")) {
				t.Fatalf("%q gives %+v", b, w)
			}
		}
		if n > len(b) {
			t.Fatalf("%q gives %d bytes", b, n)
		}
	})
}
