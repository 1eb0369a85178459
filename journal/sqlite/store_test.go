package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/proviso-dev/proviso/guard"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	journal.TestStore(t, func(t testing.TB) journal.Store { return open(t, filepath.Join(t.TempDir(), "a?b#c %.db")) })
}

func TestKeeper(t *testing.T) {
	guard.TestKeeper(t, func(t testing.TB) guard.Keeper { return open(t, filepath.Join(t.TempDir(), "j.db")) })
}

func TestTaker(t *testing.T) {
	guard.TestTaker(t, func(t testing.TB) guard.Taker { return open(t, filepath.Join(t.TempDir(), "j.db")) })
}
