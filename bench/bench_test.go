package bench

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// The engines agree on every call before any is timed; a rule left out of one of them would make it look fast.
func TestEnginesAgree(t *testing.T) {
	if _, err := Open(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// The figures of one run: go test -run Figures -v.
func TestFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: takes some ten seconds; run without -short")
	}
	var out bytes.Buffer
	if err := Figures(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		fmt.Print(line)
	}
}

// The figures of the binary alone, without a minute of others: go test -run BinaryFigures -v.
func TestBinaryFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: builds the binary and takes ten seconds; run without -short")
	}
	figures, err := binaryFigures(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		fmt.Printf("figure: %s = %.1f (n=%d)\n", f.name, f.value, f.n)
	}
}

func BenchmarkDecide(b *testing.B) {
	ctx := context.Background()
	e, err := Open(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, call := range []Call{Calls()[0], Denied()} {
		all, err := e.contestants(ctx, call)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range all {
			b.Run(call.Name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.run()
				}
			})
		}
	}
}

// A recording of 1 kB records, on as many cores as -cpu says.
func BenchmarkAudit(b *testing.B) {
	r, err := NewRecording(b.TempDir(), 50, 60)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Audit(context.Background(), runtime.GOMAXPROCS(0)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(r.Events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// A step is everything that the guard does but writing down: bind, view, decide, record, fold.
func BenchmarkSession(b *testing.B) {
	p, err := StoryPolicy()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{short, 1000, long} {
		s, err := NewStory(p, n)
		if err != nil {
			b.Fatal(err)
		}
		in := s.Ask()
		b.Run(fmt.Sprintf("decide/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.Decide(in).Outcome != proviso.Allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
	b.Run("step", func(b *testing.B) {
		s, err := NewStory(p, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Play(1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Loading is done once for each version of a pack, and on every keystroke of an editor.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := NewProviso(); err != nil {
			b.Fatal(err)
		}
	}
}
