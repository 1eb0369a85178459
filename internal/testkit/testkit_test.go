package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	Archives(t, "testdata/diff/*.txtar", func(t *testing.T, a *Archive) {
		want, _ := a.File("want")
		got, _ := a.File("got")
		a.Expect(t, "diff", []byte(Diff(want, got)))
	})
}

// A diff must carry both texts: dropping the added lines gives want, dropping the removed ones gives got.
func TestDiffIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a\n", "b\n", "c\n"})).Draw(t, "lines"), "")
		})
		a, b := text.Draw(t, "want"), text.Draw(t, "got")
		var want, got strings.Builder
		for _, e := range middle(lines([]byte(a)), lines([]byte(b)), 1) {
			if e.op != '+' {
				want.WriteString(e.text)
			}
			if e.op != '-' {
				got.WriteString(e.text)
			}
		}
		if want.String() != a || got.String() != b {
			t.Fatalf("diff of %q and %q rebuilds %q and %q", a, b, want.String(), got.String())
		}
		if d := Diff([]byte(a), []byte(b)); (d == "") != (a == b) {
			t.Fatalf("diff of %q and %q is %q", a, b, d)
		}
	})
}

func TestWant(t *testing.T) {
	got := Want([]byte("a: 1\nb: 2  # want \"unknown key \\\"b\\\"\"\nc: 3 # want \"one\" \"two\"\nx // want \"three\"\n# wants \"nothing\"\n"))
	want := map[int]string{2: `unknown key "b"`, 3: "one\ntwo", 4: "three"}
	if len(got) != len(want) {
		t.Errorf("got %d expectations, want %d: %v", len(got), len(want), got)
	}
	for l, w := range want {
		if got[l] != w {
			t.Errorf("line %d: got %q, want %q", l, got[l], w)
		}
	}
}

func TestLinesOfAnyLength(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var got []string
	n, err := eachLine(strings.NewReader("{\"a\":1}\n\n"+long+"\n{}"), func(l []byte) { got = append(got, string(l)) })
	if err != nil || n != 3 || len(got) != 3 || got[0] != `{"a":1}` || got[1] != long || got[2] != "{}" {
		t.Fatalf("read %d lines, %v", n, err)
	}
}

func TestDataNamesWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(DataVariable, dir)
	if err := os.WriteFile(filepath.Join(dir, "here.jsonl"), []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Data(t, "here.jsonl"); got != filepath.Join(dir, "here.jsonl") {
		t.Errorf("got %s", got)
	}
	var skipped bool
	t.Run("absent", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		Data(t, "absent/decisions.jsonl")
	})
	if !skipped {
		t.Error("a test without its data was not skipped")
	}
}

func TestSetOnlyCountsChanges(t *testing.T) {
	a := &Archive{Files: []File{{Name: "f", Data: []byte("x\n")}}}
	a.Set("f", []byte("x"))
	if a.changed {
		t.Error("setting the same text counts as a change")
	}
	a.Set("g", []byte("y"))
	if got, ok := a.File("g"); !ok || string(got) != "y\n" || !a.changed {
		t.Errorf("got %q, %v, changed %v", got, ok, a.changed)
	}
}
