// Package testkit holds what tests share: golden files, txtar archives, expectations in comments, outside data, processes that are killed, and the one -update flag that rewrites what a test recorded.
package testkit

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files and archives with what the tests produced")

// Update reports whether the test run was started with -update (go test ./pkg -args -update, or go test ./pkg -update).
func Update() bool { return *update }

// Golden compares got with the file at path, relative to the test's folder, and fails the test with a line diff where they differ.
// With -update it writes the file instead. A file that does not exist is a failure that says how to make it.
func Golden(t testing.TB, path string, got []byte) {
	t.Helper()
	if Update() {
		if err := writeFile(path, got); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s: does not exist; run the test with -update to make it\ngot:\n%s", path, got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(want, got); d != "" {
		t.Errorf("%s: result differs (- want, + got); run with -update when the new result is right\n%s", path, d)
	}
}

// File is one file of an archive.
type File = txtar.File

// Archive is a txtar file: a comment, and files that a test reads and may replace.
type Archive struct {
	Path    string // as found, slash or system separators as the glob had them
	Comment string
	Files   []File
	changed bool
}

// File returns the bytes of the named file; ok is false where the archive has none of that name.
func (a *Archive) File(name string) (data []byte, ok bool) {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data, true
		}
	}
	return nil, false
}

// Set replaces the named file, or appends it. The archive on disk is rewritten after the test, and only with -update.
func (a *Archive) Set(name string, data []byte) {
	if n := len(data); n > 0 && data[n-1] != '\n' {
		data = append(append([]byte(nil), data...), '\n') // txtar ends every file with a newline
	}
	for i, f := range a.Files {
		if f.Name == name {
			a.changed = a.changed || !bytes.Equal(f.Data, data)
			a.Files[i].Data = data
			return
		}
	}
	a.changed = true
	a.Files = append(a.Files, File{Name: name, Data: data})
}

// Expect compares got with the named file and fails the test with a line diff where they differ. With -update it sets the file instead.
// A missing final newline does not count as a difference.
func (a *Archive) Expect(t testing.TB, name string, got []byte) {
	t.Helper()
	if Update() {
		a.Set(name, got)
		return
	}
	want, ok := a.File(name)
	if !ok {
		t.Errorf("%s: has no file %q; run the test with -update to add it\ngot:\n%s", a.Path, name, got)
		return
	}
	if d := Diff(bytes.TrimSuffix(want, []byte("\n")), bytes.TrimSuffix(got, []byte("\n"))); d != "" {
		t.Errorf("%s: %s differs (- want, + got); run with -update when the new result is right\n%s", a.Path, name, d)
	}
}

// Archives runs f as a subtest for each archive that the glob finds, in the order of their names. A glob that finds none fails the test.
// With -update, archives that f changed with Set are written back, unless the subtest failed.
func Archives(t *testing.T, glob string, f func(t *testing.T, a *Archive)) {
	t.Helper()
	paths, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("%s: no archive found", glob)
	}
	for _, p := range paths {
		name := strings.TrimSuffix(filepath.Base(p), filepath.Ext(p))
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			x := txtar.Parse(b)
			a := &Archive{Path: p, Comment: string(x.Comment), Files: x.Files}
			f(t, a)
			if Update() && a.changed && !t.Failed() {
				x.Files = a.Files
				if err := writeFile(p, txtar.Format(x)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var wantComment = regexp.MustCompile(`(?:#|//) want ((?:"(?:[^"\\]|\\.)*"\s*)+)`)
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Want collects the expectations of a source text by line, counted from 1: comments of the form `# want "part of the message"` or `// want "…"`.
// Several quoted texts after one want are joined with a newline.
func Want(src []byte) map[int]string {
	out := map[int]string{}
	for i, line := range strings.Split(string(src), "\n") {
		m := wantComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var texts []string
		for _, q := range quoted.FindAllString(m[1], -1) {
			if s, err := strconv.Unquote(q); err == nil {
				q = s
			}
			texts = append(texts, q)
		}
		out[i+1] = strings.Join(texts, "\n")
	}
	return out
}

func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
