package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// DataVariable names the environment variable that says where outside data sets lie.
const DataVariable = "PROVISO_DATA"

// defaultData is where outside data lies when the variable is not set, relative to the module's root.
const defaultData = "../shared/data"

// Data returns the path of a file or folder of the outside data, where rel is slash-separated and relative to the folder that PROVISO_DATA names.
// Where it does not exist the test is skipped with a message that says what it needs.
func Data(t testing.TB, rel string) string {
	t.Helper()
	dir, shown := os.Getenv(DataVariable), os.Getenv(DataVariable)
	if dir == "" {
		dir, shown = filepath.Join(Root(t), filepath.FromSlash(defaultData)), defaultData
	}
	p := filepath.Join(dir, filepath.FromSlash(rel))
	if _, err := os.Stat(p); err != nil {
		t.Skipf("skipped: needs %s/%s, which is not present; set %s", filepath.ToSlash(shown), rel, DataVariable)
	}
	return p
}

// Lines calls f with every line of a JSON-lines file of the outside data, without its newline and without empty lines; lines may be of any length.
// The bytes are valid only during the call. The test is skipped where the file does not exist, and fails where it cannot be read or has no line.
func Lines(t testing.TB, rel string, f func(line []byte)) {
	t.Helper()
	file, err := os.Open(Data(t, rel))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n, err := eachLine(file, f)
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("%s: has no line", rel)
	}
}

func eachLine(src io.Reader, f func(line []byte)) (n int, err error) {
	r := bufio.NewReaderSize(src, 1<<16)
	var long []byte // only for lines that do not fit the reader's buffer
	for {
		part, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if err != nil && err != io.EOF {
			return n, err
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			n++
			f(line)
		}
		long = long[:0]
		if err == io.EOF {
			return n, nil
		}
	}
}

// Root returns the folder of the module that the test runs in, found by walking up to go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("testkit: no go.mod above the test's folder; run the test inside the module")
		}
		dir = up
	}
}
