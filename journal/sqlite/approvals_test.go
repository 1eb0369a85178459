package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/guard"
)

var _ guard.Approvals = (*Approvals)(nil)

func openApprovals(t testing.TB, path string) *Approvals {
	t.Helper()
	a, err := OpenApprovals(path, true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestApprovals(t *testing.T) {
	guard.TestApprovals(t, func(t testing.TB) (guard.Approvals, func() guard.Approvals) {
		path := filepath.Join(t.TempDir(), "approvals")
		a := openApprovals(t, path)
		t.Cleanup(func() { a.Close() })
		return a, func() guard.Approvals {
			a.Close()
			return openApprovals(t, path)
		}
	})
}

// What one process files another one answers, and a third one spends, without any of them closing the file.
func TestApprovalsAreShared(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "approvals")
	asks, answers, spends := openApprovals(t, path), openApprovals(t, path), openApprovals(t, path)
	defer asks.Close()
	defer answers.Close()
	defer spends.Close()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := proviso.NewApproval(proviso.Binding{Caller: "mia", Tool: "pay", Hash: "h", Policy: "p"}, []string{"large"}, proviso.JSON(`{}`), "s", 1, at, at.Add(time.Hour))
	if _, err := asks.File(ctx, r); err != nil {
		t.Fatal(err)
	}
	if _, err := answers.Resolve(ctx, r.ID, proviso.Resolution{Grant: true, By: "boss", At: at}); err != nil {
		t.Fatal(err)
	}
	if _, err := spends.Spend(ctx, r.ID, r.Binding, at); err != nil {
		t.Fatal(err)
	}
	if _, err := asks.Spend(ctx, r.ID, r.Binding, at); err == nil {
		t.Error("spent twice")
	}
}

// A file that is something else is refused and left as it is.
func TestApprovalsAreNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("this is a letter and no database at all, and it is long enough to have a header"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "journal")
	s, err := Open(log, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for name, create := range map[string]bool{path: true, log: true, filepath.Join(t.TempDir(), "none"): false} {
		_, err := OpenApprovals(name, create)
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeStore {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
}
