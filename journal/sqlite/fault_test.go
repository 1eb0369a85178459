package sqlite_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

var ctx = context.Background()

// call is record number seq of a session.
func call(session string, seq uint64) proviso.Record {
	return proviso.Record{
		Event: proviso.Event{Session: session, Seq: seq, Time: time.Date(2026, 3, 1, 12, 0, int(seq%60), 0, time.UTC), Point: proviso.ToolCallPoint,
			Body: &proviso.ToolCall{ID: fmt.Sprint(seq), Tool: "refund", Args: proviso.JSON(fmt.Sprintf(`{"id":"R1","amount":%d,"note":"%s"}`, seq, strings.Repeat("x", 500)))}},
		Decision: proviso.Decision{Outcome: proviso.Allow, Policy: "d"},
		Phase:    proviso.Released,
	}
}

func add(t testing.TB, s *sqlite.Store, records ...proviso.Record) {
	t.Helper()
	if err := s.Append(ctx, records...); err != nil {
		t.Fatal(err)
	}
}

func seqs(t testing.TB, s *sqlite.Store, session string) (out []uint64) {
	t.Helper()
	for r, err := range s.Read(ctx, session, 1) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Event.Seq)
	}
	return out
}

// wantError compares the whole message; PATH stands for the folder of the test.
func wantError(t testing.TB, err error, dir, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want)
	}
	if got := strings.ReplaceAll(err.Error(), dir, "PATH"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func wantSound(t testing.TB, s *sqlite.Store, kept ...[]byte) *journal.Report {
	t.Helper()
	rep := verify(t, s, kept...)
	if len(rep.Findings) > 0 {
		t.Fatalf("%+v", rep.Findings)
	}
	return rep
}

func TestTwoWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "j.db")
	s := open(t, path)
	add(t, s, call("a", 1))
	const want = "journal: open PATH/j.db: another process writes this store; stop it, or open the store for reading [PV544]"
	_, err := sqlite.Open(path, sqlite.Options{})
	wantError(t, err, dir, want)

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childStore+"="+path)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(strings.ReplaceAll(string(out), dir, "PATH"), want) {
		t.Errorf("another process: %v: %s", err, out)
	}

	r, err := sqlite.Open(path, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	add(t, s, call("a", 2))
	if got := seqs(t, r, "a"); len(got) != 2 {
		t.Errorf("a reader sees %v", got)
	}
	wantError(t, r.Append(ctx, call("a", 3)), dir, "journal: append: the store was opened for reading; open it without ReadOnly [PV543]")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// A full disk fails what is waited for; what was enqueued is written when there is room, and nothing is lost or out of order.
func TestDiskFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	add(t, s, call("a", 1))
	if err := s.Exec("PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	fill := call("a", 2)
	fill.Event.Body.(*proviso.ToolCall).Args = proviso.JSON(`{"note":"` + strings.Repeat("x", 1<<20) + `"}`)
	const want = "journal: append: the disk is full; make room; what waits is written then [PV546]"
	wantError(t, s.Append(ctx, fill), "-", want)
	if err := s.Enqueue(ctx, fill); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Flush(ctx), "-", want)
	wantError(t, s.Append(ctx, call("a", 3)), "-", want)
	if st := s.Stats(); st.Waiting != 1 || st.Lost != 0 || st.Failed < 3 {
		t.Errorf("%+v", st)
	}
	var full *sqlite.Error
	for _, err := range s.Read(ctx, "a", 1) {
		if !errors.As(err, &full) || full.Code != sqlite.CodeFull {
			t.Errorf("a session is read without what was enqueued for it: %v", err)
		}
	}
	if err := s.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	add(t, s, call("a", 3))
	if got := seqs(t, s, "a"); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("records %v", got)
	}
	wantSound(t, s)
}

func TestReadOnlyDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	add(t, s, call("a", 1))
	if err := s.Exec("PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Append(ctx, call("a", 2)), "-", "journal: append: the disk or the file cannot be written; make it writable again; what waits is written then [PV546]")
	if err := s.Exec("PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	add(t, s, call("a", 2))
	wantSound(t, s)
}

// After a sync that failed nobody knows what the disk holds: the append counts as not written, and the store is shut until it is opened again.
func TestSyncFails(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written=%v", written), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "j.db")
			s := open(t, path)
			add(t, s, call("a", 1))
			s.FailCommits(func(commit func() error) error {
				if written {
					if err := commit(); err != nil {
						return err
					}
				}
				return errors.New("fsync: input/output error")
			})
			const want = "journal: append: fsync: input/output error; check the disk and open the store again [PV547]"
			if !written {
				if err := s.Enqueue(ctx, call("b", 1)); err != nil {
					t.Fatal(err)
				}
			}
			wantError(t, s.Append(ctx, call("a", 2)), dir, want)
			wantError(t, s.Append(ctx, call("a", 2)), dir, want)
			wantError(t, s.Enqueue(ctx, call("c", 1)), dir, want)
			if written {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			} else {
				wantError(t, s.Close(), dir, "journal: close PATH/j.db: 1 records that were enqueued could not be written; look at the disk [PV547]")
			}
			again := open(t, path)
			n := len(seqs(t, again, "a"))
			if want := map[bool]int{false: 1, true: 2}[written]; n != want {
				t.Errorf("%d records, want %d", n, want)
			}
			add(t, again, call("a", uint64(n)+1))
			wantSound(t, again)
		})
	}
}

// Times order nothing: a clock that jumps back and forth changes neither the chain nor the order of reading.
func TestClockJumps(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "j.db"), sqlite.Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var kept [][]byte
	for i, jump := range []time.Duration{0, -365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour, -time.Nanosecond} {
		now = now.Add(jump)
		r := call("a", uint64(i)+1)
		r.Event.Time = now
		add(t, s, r)
		c, err := s.Checkpoint(ctx, testKey())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c.Text)
	}
	if got := seqs(t, s, "a"); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("records %v", got)
	}
	if rep := wantSound(t, s, kept...); rep.Kept != 4 {
		t.Errorf("%+v", rep)
	}
}

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) }

// A line that is full makes Enqueue fail and Append wait; neither loses anything.
func TestFullLine(t *testing.T) {
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "j.db"), sqlite.Options{Queue: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hold := make(chan bool)
	s.FailCommits(func(commit func() error) error { <-hold; return commit() })
	first := make(chan error, 1)
	go func() { first <- s.Append(ctx, call("a", 1)) }()
	for s.Stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	for seq := range uint64(3) {
		if err := s.Enqueue(ctx, call("b", seq+1)); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, s.Enqueue(ctx, call("b", 4)), "-", "journal: append: 4 records wait to be written already; try again, or look at what keeps the disk [PV548]")
	waits, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := s.Append(waits, call("b", 4)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { add(t, s, call("b", 4)) })
	close(hold)
	wg.Wait()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := seqs(t, s, "b"); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("records %v", got)
	}
	if st := s.Stats(); st.Refused != 1 || st.Lost != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// A record that follows one which could not be written is not written either: it would leave a gap.
func TestNothingFollowsALoss(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	bad := call("a", 1)
	bad.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f"}, Value: make(chan int)}}
	if err := s.Append(ctx, bad); err == nil || !strings.Contains(err.Error(), `journal: record 1 of session "a" cannot be written: `) {
		t.Errorf("append: %v", err)
	}
	if err := s.Enqueue(ctx, bad, call("b", 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var gap *journal.SeqError
	if err := s.Append(ctx, call("a", 2)); !errors.As(err, &gap) || gap.Want != 1 {
		t.Errorf("append: %v", err)
	}
	if st := s.Stats(); st.Lost != 2 || len(seqs(t, s, "b")) != 0 {
		t.Errorf("%+v", st)
	}
	add(t, s, call("a", 1))
}

// tampered closes the store, has somebody else change its file, and opens it again.
func tampered(t *testing.T, s *sqlite.Store, statements ...string) *sqlite.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, q := range statements {
		change(t, s.Path(), q)
	}
	return open(t, s.Path())
}

// What is read for a fold is checked first: a session that was forged is not decided on.
func TestForgedSessionIsNotRead(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	add(t, s, call("a", 1), call("a", 2), call("a", 3))
	s = tampered(t, s, `UPDATE records SET body = replace(body, '"amount":2', '"amount":0') WHERE seq = 2`)
	n := 0
	var last error
	for _, err := range s.Read(ctx, "a", 1) {
		n, last = n+1, err
	}
	var forged *journal.ChainError
	if n != 2 || !errors.As(last, &forged) || forged.Kind != "edited" || forged.Seq != 2 {
		t.Errorf("%d records, %v", n, last)
	}
	s = tampered(t, s, `DELETE FROM records WHERE seq = 2`)
	for r, err := range s.Read(ctx, "a", 1) {
		if err != nil {
			wantError(t, err, "-", `journal: record 2 of session "a" is missing; keep a copy of the store and find out who changed it [PV545]`)
		} else if r.Event.Seq != 1 {
			t.Errorf("record %d was read", r.Event.Seq)
		}
	}
}

// Each change of the file that somebody else makes is found, and named.
func TestTampering(t *testing.T) {
	for name, c := range map[string]struct{ change, want string }{
		"forged":     {`UPDATE records SET head = replace(head, '"released"', '"denied"') WHERE session = 'a' AND seq = 2`, `edited: record 2 of session "a" was edited: its bytes have the hash`},
		"cut":        {`DELETE FROM records WHERE session = 'a' AND seq > 1`, `cut: session "a" was cut off behind record 1: checkpoint 1 has seen 3`},
		"gone":       {`DELETE FROM records WHERE session = 'b'`, `cut: session "b" is gone: checkpoint 1 has seen 1 record, and no act says that it was forgotten`},
		"reordered":  {`UPDATE records SET n = n + 100 WHERE session = 'a' AND seq = 2`, `order: record 2 of session "a" stands behind record 3: the order was changed`},
		"renamed":    {`UPDATE records SET session = 'c' WHERE session = 'b'`, `moved: record 1 of session "c" was moved: its bytes say that it is record 1 of session "b"`},
		"act":        {`UPDATE acts SET text = replace(text, '"to":3', '"to":2')`, `edited: act 1 was edited: its bytes have the hash`},
		"acts":       {`DELETE FROM acts`, `cut: the acts were cut off behind act 0: checkpoint 1 has seen 1`},
		"snapshot":   {`UPDATE snapshots SET state = x'00'`, `snapshot: the snapshot after record 3 of session "a" is not the one that was kept`},
		"trigger":    {`CREATE TRIGGER quiet AFTER INSERT ON records BEGIN DELETE FROM records WHERE session = 'x'; END`, `damaged: PATH/j.db: the file holds other tables, triggers or views than a journal has`},
		"checkpoint": {`UPDATE checkpoints SET text = CAST(replace(text, '"length":3', '"length":2') AS BLOB)`, `checkpoint: in the store: the checkpoint was edited: its signature does not hold`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, filepath.Join(dir, "j.db"))
			add(t, s, call("a", 1), call("b", 1), call("a", 2), call("a", 3))
			if err := s.PutSnapshot(ctx, "a", 3, "d", []byte("state")); err != nil {
				t.Fatal(err)
			}
			kept, err := s.Checkpoint(ctx, testKey())
			if err != nil {
				t.Fatal(err)
			}
			wantSound(t, s, kept.Text)
			s = tampered(t, s, c.change)
			rep := verify(t, s, kept.Text)
			if !slices.ContainsFunc(rep.Findings, func(f journal.Finding) bool {
				return strings.HasPrefix(strings.ReplaceAll(f.Kind+": "+f.Msg, dir, "PATH"), c.want)
			}) {
				t.Errorf("found %+v\nwant %s", rep.Findings, c.want)
			}
		})
	}
}

// A bit that flips in the file of a journal is found, unless it lies where nothing is kept: then every record reads as it did.
func TestFlippedBits(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	for seq := range uint64(200) {
		add(t, s, call("a", seq+1))
	}
	c, err := s.Checkpoint(ctx, testKey())
	if err != nil {
		t.Fatal(err)
	}
	want := sealed(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := 100; i < len(whole); i += len(whole) / 60 {
		b := slices.Clone(whole)
		b[i] ^= 0x10
		path := filepath.Join(t.TempDir(), "flipped.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := sqlite.Open(path, sqlite.Options{ReadOnly: true})
		if err != nil {
			found++
			continue
		}
		var v journal.Verifier
		v.Store(f.ID())
		v.Checkpoint("kept", c.Text)
		if err := f.Verify(ctx, &v); err != nil || len(v.Report().Findings) > 0 {
			found++
		} else if sealed(t, f) != want {
			t.Errorf("byte %d of page %d: the journal reads otherwise, and nothing was found", i%4096, i/4096+1)
		}
		f.Close()
	}
	if found < 20 {
		t.Errorf("%d of 60 flips were found; the test shows little", found)
	}
}

// sealed is all that a store keeps of its records.
func sealed(t testing.TB, s *sqlite.Store) string {
	t.Helper()
	var b strings.Builder
	for e, err := range s.Entries(ctx, 0) {
		if err == nil {
			err = journal.WriteEntry(&b, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// A write-ahead log that ends in the middle of a transaction is a torn end; one that is unreadable in the middle is more than that.
func TestTornLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "j.db"))
	for seq := range uint64(20) {
		add(t, s, call("a", seq+1))
	}
	log, err := os.ReadFile(s.Path() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, log []byte) *journal.Report {
		t.Helper()
		path := filepath.Join(dir, name)
		for n, b := range map[string][]byte{path: file, path + "-wal": log} {
			if err := os.WriteFile(n, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, path)
		return verify(t, s)
	}
	if rep := try("whole.db", log); len(rep.Findings) > 0 || len(rep.Notes) > 0 || rep.Records != 20 {
		t.Errorf("%+v", rep)
	}
	rep := try("torn.db", log[:len(log)-100])
	if len(rep.Findings) > 0 || rep.Records != 19 || len(rep.Notes) != 1 || !strings.HasPrefix(rep.Notes[0], "the end is torn, as by a crash: ") {
		t.Errorf("%+v", rep)
	}
	flipped := slices.Clone(log)
	flipped[len(log)/2] ^= 1
	rep = try("flipped.db", flipped)
	if len(rep.Findings) != 1 || rep.Findings[0].Kind != "damaged" || !strings.Contains(rep.Findings[0].Msg, "complete transactions behind it are lost") {
		t.Errorf("%+v", rep)
	}
}

// A flush behind records that are written already, but not synced, has to write something, because SQLite syncs no commit that changes nothing.
func TestFlushSyncs(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	if err := s.Enqueue(ctx, call("a", 1)); err != nil {
		t.Fatal(err)
	}
	for s.Stats().Committed == 0 {
		time.Sleep(time.Millisecond)
	}
	size := func() int64 {
		st, err := os.Stat(s.Path() + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	for i, grows := range []bool{true, false} {
		before, synced := size(), s.Stats().Synced
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if size() > before != grows || s.Stats().Synced > synced != grows {
			t.Errorf("flush %d: the log went from %d to %d bytes", i, before, size())
		}
	}
}

// Closing the store writes what is in line.
func TestCloseFlushes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	for seq := range uint64(100) {
		if err := s.Enqueue(ctx, call("a", seq+1)); err != nil {
			t.Fatal(err)
		}
	}
	s = tampered(t, s)
	if n := len(seqs(t, s, "a")); n != 100 {
		t.Errorf("%d records", n)
	}
}

// change runs a statement on a file, as somebody would who wants to change what was written.
func change(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
