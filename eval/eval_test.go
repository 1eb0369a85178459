package eval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// sums is a suite that asks whether small numbers are even; every seventh answer is wrong.
func sums(n int) *Suite {
	s := &Suite{Name: "sums", Subject: "v1"}
	for i := range n {
		s.Cases = append(s.Cases, Case{ID: fmt.Sprint("case ", i), Group: []string{"low", "high"}[2*i/n], Want: []string{parity(i)}, Digest: fmt.Sprint(i)})
	}
	s.Play = func(_ context.Context, i int) (Answer, error) {
		got := parity(i)
		if i%7 == 3 {
			got = parity(i + 1)
		}
		return Answer{Got: []string{got}, Pass: got == parity(i), Values: map[string]float64{"size": float64(i) / 3}}, nil
	}
	return s
}

func parity(i int) string { return []string{"even", "odd"}[i%2] }

func play(t *testing.T, s *Suite, cfg Config) *Run {
	t.Helper()
	r, err := Play(context.Background(), s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// However many workers there are, a run says the same, in the order of the cases.
func TestPlay(t *testing.T) {
	var digest string
	for _, workers := range []int{1, 2, 7, 100} {
		var last Progress
		r := play(t, sums(50), Config{Workers: workers, Progress: func(p Progress) { last = p }})
		if c := r.Counts(); c != (Counts{Passed: 43, Failed: 7}) || !r.Complete() {
			t.Errorf("%+v", c)
		}
		if last != (Progress{Cases: 50, Done: 50, Failed: 7}) {
			t.Errorf("progress ends at %+v", last)
		}
		for i := range r.Results {
			if r.Results[i].ID != fmt.Sprint("case ", i) {
				t.Fatalf("result %d is of %s", i, r.Results[i].ID)
			}
		}
		if digest == "" {
			digest = r.Digest()
		}
		if r.Digest() != digest {
			t.Error("another number of workers gives another run")
		}
		if g := r.Groups(); !slices.Equal(g, []string{"low", "high"}) {
			t.Errorf("groups %q", g)
		}
	}
}

// What a case does wrong makes it an error of its own, and the others go on.
func TestPlayErrors(t *testing.T) {
	s := sums(5)
	right := s.Play
	s.Play = func(ctx context.Context, i int) (Answer, error) {
		switch i {
		case 0:
			panic("no such thing")
		case 1:
			return Answer{}, errors.New("no such file")
		case 2:
			return Answer{Pass: true}, nil
		case 4:
			return Answer{Got: []string{"even"}, Pass: true, Values: map[string]float64{"x": math.NaN()}}, nil
		}
		return right(ctx, i)
	}
	r := play(t, s, Config{})
	var notes []string
	for _, res := range r.Results {
		notes = append(notes, res.Status.String()+" "+res.Note)
	}
	want := []string{"error panic: no such thing", "error no such file", "error 0 answers for 1 wanted", "fail ", "error a value is not a number"}
	if !slices.Equal(notes, want) {
		t.Errorf("got %q", notes)
	}
	if r.Complete() || len(r.Digest()) != 64 {
		t.Error("a run with errors is not complete")
	}
	if _, err := Play(context.Background(), &Suite{}, Config{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty suite gives %v", err)
	}
	s.Cases[1].ID = s.Cases[0].ID
	if _, err := Play(context.Background(), s, Config{}); err == nil || !strings.Contains(err.Error(), `case "case 0" occurs twice`) {
		t.Errorf("equal ids give %v", err)
	}
}

// A run that is stopped keeps what was finished, leaves out what was cut short, and goes on behind it. Cases in error are played again.
func TestPlayGoesOn(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.jsonl")
	whole := play(t, sums(40), Config{})
	s := sums(40)
	right := s.Play
	ctx, stop := context.WithCancel(context.Background())
	s.Play = func(ctx context.Context, i int) (Answer, error) {
		switch {
		case i == 5:
			return Answer{}, errors.New("not today")
		case i == 10:
			stop()
			return Answer{}, ctx.Err()
		}
		return right(ctx, i)
	}
	r, err := Play(ctx, s, Config{File: name, Workers: 1})
	if !errors.Is(err, context.Canceled) || len(r.Results) != 10 || r.Counts() != (Counts{Passed: 8, Failed: 1, Errors: 1, Left: 30}) {
		t.Fatalf("%v, %+v", err, r.Counts())
	}
	var played atomic.Int32
	s.Play = func(ctx context.Context, i int) (Answer, error) { played.Add(1); return right(ctx, i) }
	var first Progress
	r = play(t, s, Config{File: name, Progress: func(p Progress) {
		if first.Done == 0 {
			first = p
		}
	}})
	if n := played.Load(); n != 31 || first.Resumed != 1 {
		t.Errorf("%d cases were played again, first progress %+v", n, first)
	}
	if r.Digest() != whole.Digest() {
		t.Error("the run that was stopped says something else")
	}
	read, err := ReadRun(name)
	if err != nil || read.Digest() != whole.Digest() || len(read.Took) != 40 {
		t.Errorf("read %v, %v", read, err)
	}
	played.Store(0)
	if again := play(t, s, Config{File: name}); played.Load() != 0 || again.Digest() != whole.Digest() {
		t.Error("a finished run is not left as it is")
	}
}

// After a crash at any byte of the file the run goes on and ends as if nothing had happened.
func TestPlayAfterCrashAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "run.jsonl")
	whole := play(t, sums(6), Config{File: name, Workers: 1})
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		cut := filepath.Join(dir, "cut.jsonl")
		if err := os.WriteFile(cut, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r := play(t, sums(6), Config{File: cut})
		read, err := ReadRun(cut)
		if err != nil || r.Digest() != whole.Digest() || read.Digest() != whole.Digest() {
			t.Fatalf("cut at byte %d: %v", n, err)
		}
	}
}

// Files that a run must not be written into, or that are not what was written, are refused and left alone.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "run.jsonl")
	play(t, sums(4), Config{File: name, Workers: 1})
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	lines := strings.SplitAfter(good, "\n")
	other, subject := sums(4), sums(4)
	other.Cases[2].Want = []string{"odd"}
	subject.Subject = "v2"
	renamed := sums(4)
	renamed.Name = "other"
	for _, c := range []struct {
		name, text string
		suite      *Suite
		want       string
		damaged    bool
	}{
		{"a letter", "Dear all,\n", sums(4), "is not the file of a run", false},
		{"a letter without an end", "Dear all", sums(4), "is not the file of a run", false},
		{"other JSON", `{"a":1}` + "\n", sums(4), "is not the file of a run", false},
		{"a later form", strings.Replace(good, `"proviso_eval":1`, `"proviso_eval":2`, 1), sums(4), "is a run of form 2 with 4 cases", false},
		{"other cases", good, other, "holds a run over other cases", false},
		{"another subject", good, subject, "holds a run of another subject", false},
		{"another suite", good, renamed, "holds a run of suite sums, not of other", false},
		{"a line changed", lines[0] + strings.Replace(lines[1], "{", "[", 1) + lines[2], sums(4), "line 2: ", true},
		{"a line twice", lines[0] + lines[1] + lines[1], sums(4), "line 3: case 0 was finished before", true},
		{"a case too many", lines[0] + strings.Replace(lines[1], `"case":0`, `"case":4`, 1), sums(4), "line 2: case 4 of 4", true},
		{"another case's line", lines[0] + strings.Replace(lines[1], `"id":"case 0"`, `"id":"case 1"`, 1), sums(4), `case 0 is "case 1", and "case 0" in the suite`, true},
		{"a result changed", strings.Replace(good, `"status":"fail"`, `"status":"pass"`, 1), sums(4), "the results are not those that the run ended with", true},
		{"a result made an error", strings.Replace(good, `"status":"pass"`, `"status":"error"`, 1), sums(4), "the results are not those that the run ended with", true},
		{"something behind the end", good + lines[1], sums(4), "line 7: follows the end of the run", true},
	} {
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Play(context.Background(), c.suite, Config{File: name})
		var fe *FileError
		if !errors.As(err, &fe) || fe.Damaged != c.damaged || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fe.Code()) {
			t.Errorf("%s: %v", c.name, err)
		}
		if left, _ := os.ReadFile(name); !bytes.Equal(left, []byte(c.text)) {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	changed := strings.Replace(good, `"status":"fail"`, `"status":"pass"`, 1)
	if changed == good {
		t.Fatal("nothing was changed")
	}
	if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	var fe *FileError
	if _, err := ReadRun(name); !errors.As(err, &fe) || !fe.Damaged {
		t.Errorf("a result that was changed afterwards gives %v", err)
	}
	if _, err := Play(context.Background(), sums(4), Config{File: filepath.Join(dir, "none", "run.jsonl")}); !errors.As(err, &fe) || fe.Code() != CodeFile {
		t.Errorf("a file in no folder gives %v", err)
	}
	if _, err := Play(context.Background(), sums(4), Config{File: dir}); !errors.As(err, &fe) || fe.Code() != CodeFile {
		t.Errorf("a folder as a file gives %v", err)
	}
	if _, err := ReadRun(filepath.Join(dir, "none")); !errors.As(err, &fe) || fe.Damaged || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file gives %v", err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(name); err == nil {
		t.Error("an empty file was read as a run")
	}
}

// small is a disk with room for so many bytes.
type small struct {
	*os.File
	room int
}

func (s *small) Write(b []byte) (int, error) {
	n := min(len(b), s.room)
	s.room -= n
	written, err := s.File.Write(b[:n])
	if err == nil && n < len(b) {
		err = &os.PathError{Op: "write", Path: s.Name(), Err: errors.New("no space left")}
	}
	return written, err
}

// A disk that is full in the middle of a line ends the run with an error; nothing is written behind the torn line, and with room again the run goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	whole := play(t, sums(20), Config{})
	for room := 200; room < 2400; room += 97 {
		name := filepath.Join(dir, fmt.Sprint(room))
		s := sums(20)
		head, err := s.head()
		if err != nil {
			t.Fatal(err)
		}
		p := &player{suite: s, done: make([]*line, len(s.Cases)), cfg: Config{Workers: 3}}
		if _, p.log, err = openFile(name, s, head); err != nil {
			t.Fatal(err)
		}
		p.log.File = &small{p.log.File.(*os.File), room}
		err = p.play(context.Background())
		p.log.Close()
		var fe *FileError
		if !errors.As(err, &fe) || fe.Damaged || !strings.Contains(err.Error(), "no space left") {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
		if _, err := ReadRun(name); err != nil {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
		if r := play(t, s, Config{File: name}); r.Digest() != whole.Digest() {
			t.Fatalf("with room for %d bytes the run says something else", room)
		}
	}
}

// TestMain plays the suite of the kill test where the variable names its file.
func TestMain(m *testing.M) {
	if name := os.Getenv("PROVISO_TEST_RUN"); name != "" {
		s := sums(400)
		right := s.Play
		s.Play = func(ctx context.Context, i int) (Answer, error) { time.Sleep(time.Millisecond); return right(ctx, i) }
		if _, err := Play(context.Background(), s, Config{File: name, Workers: 4}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A run that is killed again and again ends as one that was never interrupted.
func TestKill(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.jsonl")
	kills := 0
	for kills < 4 && testkit.Kill(t, "TestKill", "PROVISO_TEST_RUN="+name, testkit.Grown(name, 5000)) {
		kills++
	}
	testkit.Kill(t, "TestKill", "PROVISO_TEST_RUN="+name, func() bool { return false })
	if kills == 0 {
		t.Error("the run was never killed")
	}
	r, err := ReadRun(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := play(t, sums(400), Config{}); r.Digest() != want.Digest() {
		t.Errorf("after %d kills the run says something else", kills)
	}
}

func FuzzRunFile(f *testing.F) {
	f.Add([]byte(`{"proviso_eval":1,"suite":"s","cases":1,"digest":"d"}` + "\n" + `{"case":0,"result":{"id":"a","want":[],"got":[],"status":"pass"},"took_ns":1}` + "\n" + `{"end":"x"}` + "\n"))
	f.Add([]byte(`{"proviso_eval":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseFile(b)
		if err == nil && (p.whole > len(b) || p.whole > 0 && len(p.lines) != p.head.Cases) {
			t.Fatalf("%d bytes of %d, %d cases of %d", p.whole, len(b), len(p.lines), p.head.Cases)
		}
	})
}

// Who can write the file of a run can write another end: the digest finds accidents, not forgers.
func TestForgedRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.jsonl")
	run := play(t, sums(8), Config{File: name, Workers: 1})
	old := run.Digest()
	run.Results[3].Status = Passed
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.NewReplacer(`"status":"fail"`, `"status":"pass"`, old, run.Digest()).Replace(string(b))
	if err := os.WriteFile(name, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadRun(name); err != nil || r.Counts().Failed != 0 {
		t.Errorf("%v, %v", r, err)
	}
}
