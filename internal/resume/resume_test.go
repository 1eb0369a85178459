package resume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
)

var squares = &Form{Key: "squares", Noun: "a table of squares", Refused: Trouble{"PV001", "name another file"}, Damaged: Trouble{"PV002", "restore it"}}

type squaresHead struct {
	Form  int `json:"squares"`
	Items int `json:"items"`
}

type square struct {
	Item   int  `json:"item"`
	Square int  `json:"square"`
	Failed bool `json:"failed"`
}

// table is a run that squares numbers.
type table struct {
	items   int
	workers int
	do      func(ctx context.Context, i int) *square // nil: squareOf
	disk    func(*Log)                               // may put another disk under the file

	done    []*square
	resumed int
	seen    int
}

func squareOf(_ context.Context, i int) *square { return &square{Item: i, Square: i * i} }

// run carries the table out, with a file unless name is empty.
func (r *table) run(ctx context.Context, name string) error {
	r.done = make([]*square, r.items)
	var log *Log
	if name != "" {
		now := squaresHead{1, r.items}
		size, err := squares.Read(name, func(text []byte) error {
			var old squaresHead
			if err := squares.Head(text, &old); err != nil {
				return err
			}
			if old != now {
				return errors.New("is a larger or smaller one")
			}
			return nil
		}, func(text []byte) error {
			x := &square{}
			if err := proviso.DecodeStrict(text, x); err != nil {
				return err
			}
			if x.Item < 0 || x.Item >= r.items || r.done[x.Item] != nil && !r.done[x.Item].Failed {
				return fmt.Errorf("item %d of %d", x.Item, r.items)
			}
			r.done[x.Item] = x
			return nil
		})
		if err != nil {
			return err
		}
		if log, err = squares.Append(name, size, now); err != nil {
			return err
		}
		defer log.Close()
		if r.disk != nil {
			r.disk(log)
		}
	}
	if r.do == nil {
		r.do = squareOf
	}
	w := Work[square]{Workers: r.workers, Do: r.do, Failed: func(x *square) bool { return x.Failed }, Keep: func(_ int, x *square) error { return log.Write(x) }, Seen: func(_ *square, resumed bool) {
		r.seen++
		if resumed {
			r.resumed++
		}
	}}
	err := w.Run(ctx, r.done)
	if err == nil {
		err = log.Sync()
	}
	return err
}

func (r *table) whole() bool {
	for i, x := range r.done {
		if x == nil || *x != *squareOf(context.Background(), i) {
			return false
		}
	}
	return len(r.done) == r.items
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// However many workers there are, whatever failed before and wherever the file was cut, a run ends whole, and does nothing again that the file has.
func TestRunEndsWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "squares.jsonl")
	rapid.Check(t, func(t *rapid.T) {
		_ = os.Remove(name)
		bad := rapid.SliceOfNDistinct(rapid.IntRange(0, 30), 0, 8, rapid.ID[int]).Draw(t, "bad")
		first := &table{items: rapid.IntRange(1, 30).Draw(t, "items"), workers: rapid.IntRange(0, 5).Draw(t, "workers")}
		first.do = func(ctx context.Context, i int) *square {
			if slices.Contains(bad, i) {
				return &square{Item: i, Failed: true}
			}
			return squareOf(ctx, i)
		}
		if err := first.run(context.Background(), name); err != nil || first.seen != first.items {
			t.Fatalf("%d of %d seen: %v", first.seen, first.items, err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		if err := os.WriteFile(name, b[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		kept := bytes.Count(b[:cut], []byte("\n")) - bytes.Count(b[:bytes.LastIndexByte(b[:cut], '\n')+1], []byte(`"failed":true`))
		var did atomic.Int32
		second := &table{items: first.items, workers: rapid.IntRange(0, 5).Draw(t, "workers again"), do: func(ctx context.Context, i int) *square { did.Add(1); return squareOf(ctx, i) }}
		if err := second.run(context.Background(), name); err != nil || !second.whole() {
			t.Fatalf("%v: %v", err, second.done)
		}
		if kept = max(0, kept-1); second.resumed != kept || int(did.Load()) != first.items-kept || second.seen != first.items {
			t.Fatalf("%d resumed and %d done of %d, with %d in the file", second.resumed, did.Load(), first.items, kept)
		}
		third := &table{items: first.items}
		if err := third.run(context.Background(), name); err != nil || third.resumed != first.items || !third.whole() {
			t.Fatalf("a finished run is not left as it is: %v", err)
		}
	})
}

// What was cut short by the end of the context is no result; what was finished by then is.
func TestContextEnds(t *testing.T) {
	name := filepath.Join(t.TempDir(), "squares.jsonl")
	ctx, stop := context.WithCancel(context.Background())
	r := &table{items: 20, workers: 1, do: func(ctx context.Context, i int) *square {
		if i == 7 {
			stop()
			return &square{Item: i, Failed: true}
		}
		return squareOf(ctx, i)
	}}
	if err := r.run(ctx, name); err != nil || r.seen != 7 || r.done[6] == nil || r.done[7] != nil {
		t.Errorf("%d seen: %v", r.seen, err)
	}
	if n := bytes.Count(read(t, name), []byte("\n")); n != 8 {
		t.Errorf("%d lines", n)
	}
}

// A run without a file keeps nothing and is a run all the same.
func TestNilLog(t *testing.T) {
	r := &table{items: 9}
	if err := r.run(context.Background(), ""); err != nil || !r.whole() {
		t.Error(err)
	}
}

// What is no file of the run, or not what was written, is refused with its code and what to do, and left as it is.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "squares.jsonl")
	head, one := `{"squares":1,"items":3}`+"\n", `{"item":1,"square":1,"failed":false}`+"\n"
	for _, c := range []struct{ text, want string }{
		{"Dear all", "is not a table of squares; name another file [PV001]"},
		{"Dear all,\n", "is not a table of squares; name another file [PV001]"},
		{`{"squares":`, ""},
		{`{"squares":1,"it`, ""},
		{"", ""},
		{"\n", "is not a table of squares; name another file [PV001]"},
		{`{"cubes":1}` + "\n", "is not a table of squares; name another file [PV001]"},
		{`{"squares":1,"cubes":1}` + "\n", "is not a table of squares; name another file [PV001]"},
		{`{"squares":1,"items":4}` + "\n" + one, "is a larger or smaller one; name another file [PV001]"},
		{head + one, ""},
		{head + one + `{"item":2`, ""},
		{head + one + one, "line 3: item 1 of 3; restore it [PV002]"},
		{head + "\n" + one, "line 2: "},
		{head + `{"item":2` + "\n", "line 2: "},
		{head + `{"item":7,"square":49,"failed":false}` + "\n", "line 2: item 7 of 3; restore it [PV002]"},
	} {
		write(t, name, []byte(c.text))
		err := (&table{items: 3}).run(context.Background(), name)
		if c.want == "" {
			if err != nil {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		var fe *FileError
		if !errors.As(err, &fe) || !strings.HasPrefix(err.Error(), name+": "+c.want) || fe.Damaged != strings.HasPrefix(c.want, "line") || fe.Unwrap() == nil {
			t.Errorf("%q: %v", c.text, err)
		}
		if left := read(t, name); string(left) != c.text {
			t.Errorf("%q became %q", c.text, left)
		}
	}
	for _, bad := range []string{dir, filepath.Join(dir, "none", "squares.jsonl")} {
		var fe *FileError
		if err := (&table{items: 3}).run(context.Background(), bad); !errors.As(err, &fe) || fe.Code() != "PV001" || strings.Count(err.Error(), bad) != 1 {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if e := (&FileError{Name: "x", Err: errors.New("y")}); e.Error() != "x: y;  []" {
		t.Errorf("the zero form says %q", e)
	}
}

// small is a disk with room for so many bytes; what does not fit is cut.
type small struct {
	Appender
	room int
	err  error
}

func (s *small) Write(b []byte) (int, error) {
	n, err := s.Appender.Write(b[:min(len(b), s.room)])
	if s.room -= n; err == nil && n < len(b) {
		err = s.err
	}
	return n, err
}

func (s *small) Sync() error { return s.err }

// A disk that is full in the middle of a line ends the run; although there is room again for a later line, nothing is written behind the torn one, and the next run goes on.
func TestFullDisk(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "x", Err: errors.New("no space left")}
	for room := 0; room < 200; room += 3 {
		name := filepath.Join(t.TempDir(), "squares.jsonl")
		disk := &small{room: room, err: full}
		r := &table{items: 8, workers: 3, disk: func(l *Log) { disk.Appender, l.File = l.File, disk }}
		err := r.run(context.Background(), name)
		var fe *FileError
		if !errors.As(err, &fe) || fe.Damaged || !strings.HasPrefix(err.Error(), name+": no space left; ") {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
		again := &table{items: 8}
		if err := again.run(context.Background(), name); err != nil || !again.whole() {
			t.Fatalf("with room for %d bytes the run does not go on: %v", room, err)
		}
	}
	l, err := squares.Append(filepath.Join(t.TempDir(), "squares.jsonl"), 0, squaresHead{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	disk := &small{Appender: l.File, room: 3, err: full}
	l.File = disk
	first := l.Write(1234)
	disk.room = 100
	if again := l.Write(5); first == nil || again != first || l.Sync() != first || disk.room != 100 {
		t.Errorf("after %v: %v", first, again)
	}
	if err := (*Log)(nil).Write(func() {}); err != nil {
		t.Error(err)
	}
}

// A value without a JSON form is told and writes nothing, so that the file can be gone on with.
func TestNoJSON(t *testing.T) {
	name := filepath.Join(t.TempDir(), "squares.jsonl")
	l, err := squares.Append(name, 0, squaresHead{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := read(t, name)
	if err := l.Write(func() {}); err == nil || !bytes.Equal(read(t, name), before) {
		t.Error(err)
	}
	if err := errors.Join(l.Write(1), l.Sync()); err != nil {
		t.Error(err)
	}
}

const childFile = "PROVISO_RESUME_CHILD"

// A process that is killed again and again, at moments of the file's growth, leaves a prefix that the next one goes on from.
func TestKill(t *testing.T) {
	slow := func(ctx context.Context, i int) *square { time.Sleep(time.Millisecond); return squareOf(ctx, i) }
	if name := os.Getenv(childFile); name != "" {
		if err := (&table{items: 300, workers: 4, do: slow}).run(context.Background(), name); err != nil {
			t.Fatal(err)
		}
		return
	}
	name := filepath.Join(t.TempDir(), "squares.jsonl")
	for range 3 {
		if !testkit.Kill(t, "TestKill", childFile+"="+name, testkit.Grown(name, 1500)) {
			t.Fatal("it ended before it was killed")
		}
	}
	kept := bytes.Count(read(t, name), []byte("\n")) - 1
	if kept < 30 || kept >= 300 {
		t.Fatalf("%d of 300 lines were kept; the test kills too early or too late", kept)
	}
	r := &table{items: 300}
	if err := r.run(context.Background(), name); err != nil || !r.whole() || r.resumed != kept {
		t.Errorf("%d of %d lines went on: %v", r.resumed, kept, err)
	}
}

// Whatever a file holds, at most its whole lines are taken, and a line that was taken stands there.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"", `{"squares":`, `{"squares":1}` + "\n", `{"squares":1}` + "\n1\n2\n3", "x\ny\n", "\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var lines [][]byte
		take := func(text []byte) error { lines = append(lines, text); return nil }
		n, err := squares.Scan(b, take, take)
		if err != nil {
			if n != 0 || len(lines) != 0 {
				t.Fatalf("refused after %d lines: %v", len(lines), err)
			}
			return
		}
		var again []byte
		for _, l := range lines {
			again = append(append(again, l...), '\n')
		}
		if !bytes.Equal(again, b[:n]) || bytes.IndexByte(b[n:], '\n') >= 0 {
			t.Fatalf("%q of %q", again, b)
		}
	})
}
