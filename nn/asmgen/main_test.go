package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What lies in nn is what asmgen writes; who changes one and forgets the other finds out here.
func TestWritten(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what asmgen writes; run go generate in nn", name)
		}
	}
}
