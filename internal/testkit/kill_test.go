package testkit

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A process is killed when its file has grown, and one that ends by itself is told from it.
func TestKill(t *testing.T) {
	const variable = "PROVISO_TESTKIT_CHILD"
	if name := os.Getenv(variable); name != "" {
		for range 3 {
			f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString("a line\n")
			f.Close()
		}
		if filepath.Base(name) == "long" {
			time.Sleep(time.Minute)
		}
		return
	}
	long, short := filepath.Join(t.TempDir(), "long"), filepath.Join(t.TempDir(), "short")
	for range 2 {
		if !Kill(t, "TestKill", variable+"="+long, Grown(long, 21)) {
			t.Error("it was not killed")
		}
	}
	if b, err := os.ReadFile(long); err != nil || len(b) != 42 {
		t.Errorf("%q, %v", b, err)
	}
	if Kill(t, "TestKill", variable+"="+short, func() bool { return false }) {
		t.Error("it was killed although it ended")
	}
}

func TestFS(t *testing.T) {
	if b, err := FS(map[string][]byte{"a/b": []byte("c")}).ReadFile("a/b"); err != nil || string(b) != "c" {
		t.Errorf("%q, %v", b, err)
	}
}
