package local

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/proviso-dev/proviso/engine"
)

// On a disk that is full a save fails in words, the earlier checkpoint is whole, and there is no debris; with room again the same save succeeds.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=100k"); err != nil {
		t.Skipf("skipped: mounting a file system of our own: %v; run as root", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	e := tinyEngine(t, dir, nil)
	train(t, e, 0, 1)
	path, err := e.SaveWeights(context.Background(), "x")
	if err != nil {
		t.Fatal(err)
	}
	then := fingerprint(e)
	train(t, e, 1, 3)
	_, err = e.SaveWeights(context.Background(), "x")
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "nothing was replaced") {
		t.Fatalf("saving on a full disk: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("debris: %v", entries)
	}
	later := fingerprint(e)
	if err := e.LoadWeights(context.Background(), path); err != nil || fingerprint(e) != then {
		t.Errorf("the earlier checkpoint: %v", err)
	}
	train(t, e, 1, 3)
	if fingerprint(e) != later {
		t.Error("training after it is not what it was")
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=400k"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SaveWeights(context.Background(), "x"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := e.LoadWeights(context.Background(), path); err != nil || fingerprint(e) != later {
		t.Errorf("the new checkpoint: %v", err)
	}
	if _, err := e.LogProbs(context.Background(), "elsewhere", []engine.Datum{row(1, 2)}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a path that is not there: %v", err)
	}
}
