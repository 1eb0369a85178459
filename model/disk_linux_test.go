package model

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullVariable makes the test binary save with little room on the disk.
const fullVariable = "PROVISO_TEST_FULL"

// A disk that is full while a checkpoint is saved leaves an error that says so, and nothing else. The limit on the size of files stands for the disk.
func TestDiskFullWhileSaving(t *testing.T) {
	if dir := os.Getenv(fullVariable); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		m := made(t, "llama")
		for _, room := range []uint64{0, 100, 10_000, 60_000} {
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: 1 << 30}); err != nil {
				t.Fatal(err)
			}
			err := m.Save(filepath.Join(dir, "c"), SaveOptions{})
			if err == nil || !strings.Contains(err.Error(), "file too large") || !strings.Contains(err.Error(), CodeSave) {
				t.Errorf("with %d bytes of room: %v", room, err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("with %d bytes of room, %v was left", room, entries)
			}
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDiskFullWhileSaving$")
	cmd.Env = append(os.Environ(), fullVariable+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
