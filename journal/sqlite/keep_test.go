package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/journal"
	"github.com/proviso-dev/proviso/journal/sqlite"
)

// secret stands for what people want to have forgotten.
const secret = "4111-1111-1111-1111"

func said(session string, seq uint64, text string) proviso.Record {
	r := call(session, seq)
	r.Event.Point, r.Event.Body, r.Phase = proviso.Input, &proviso.Message{Role: proviso.User, Text: text}, ""
	return r
}

// A redaction takes the words out of the file, keeps what the fold needs, and leaves the chain and every checkpoint as they were.
func TestRedact(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "j.db"))
	r := said("a", 2, "my card is "+secret)
	r.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f"}, Value: "kept"}}
	r.Kept = &proviso.Kept{Known: "d"}
	add(t, s, said("a", 1, "hello"), r, said("a", 3, "bye"))
	c, err := s.Checkpoint(ctx, testKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutSnapshot(ctx, "a", 3, "d", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{2, 0} {
		if n, err := s.Redact(ctx, "a", 2, 0, "asked by the customer"); err != nil || n != want {
			t.Fatalf("redaction %d: %d bodies, %v", i, n, err)
		}
	}
	if rep := wantSound(t, s, c.Text); rep.Redacted != 2 {
		t.Errorf("%+v", rep)
	}
	var got []proviso.Record
	for r, err := range s.Read(ctx, "a", 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if m := got[1].Event.Body.(*proviso.Message); m.Text != "" || m.Role != proviso.User || !got[1].Redacted || got[0].Redacted {
		t.Errorf("%+v", got)
	}
	if got[1].Facts[0].Value != "kept" || got[1].Kept.Known != "d" {
		t.Errorf("%+v", got[1])
	}
	if _, _, ok, err := s.Snapshot(ctx, "a", "d", 0); ok || err != nil {
		t.Errorf("a snapshot with the words is there: %v", err)
	}
	add(t, s, said("a", 4, "again"))
	// A guard that has the session at hand since before knows the words.
	if err := s.PutSnapshot(ctx, "a", 4, "d", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := s.Snapshot(ctx, "a", "d", 0); ok || err != nil {
		t.Errorf("a snapshot with the words came back: %v", err)
	}
	for _, name := range []string{"j.db", "j.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%s still holds the words", name)
		}
	}
	s = tampered(t, s, `DELETE FROM acts WHERE n = 2`)
	if rep := verify(t, s, c.Text); len(rep.Findings) != 2 || rep.Findings[0].Kind != "body" {
		t.Errorf("%+v", rep.Findings)
	}
}

// Old sessions go as a whole; an act says so, checkpoints that have seen them hold, and a session of the same name may begin anew.
func TestForget(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	old, young := call("old", 1), call("young", 1)
	old.Event.Time = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	revived := call("revived", 1)
	revived.Event.Time = old.Event.Time
	add(t, s, old, young, revived, call("revived", 2))
	before, err := s.Checkpoint(ctx, testKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Forget(ctx, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), "older than a year")
	if err != nil || n != 1 {
		t.Fatalf("%d sessions, %v", n, err)
	}
	var ids []string
	for id := range s.Sessions(ctx) {
		ids = append(ids, id)
	}
	if !slices.Equal(ids, []string{"revived", "young"}) {
		t.Errorf("sessions %v", ids)
	}
	rep := wantSound(t, s, before.Text)
	if rep.Forgotten != 1 || !slices.Contains(rep.Notes, "1 act is on record behind checkpoint 1; no checkpoint vouches for what they took away") {
		t.Errorf("%+v", rep)
	}
	add(t, s, call("old", 1))
	after, err := s.Checkpoint(ctx, testKey())
	if err != nil {
		t.Fatal(err)
	}
	wantSound(t, s, before.Text, after.Text)
	s = tampered(t, s, `DELETE FROM records WHERE session = 'old'`)
	if rep := verify(t, s, after.Text); len(rep.Findings) != 1 || rep.Findings[0].Kind != "cut" {
		t.Errorf("the act of an earlier life excuses what is missing now: %+v", rep.Findings)
	}
}

func TestSnapshots(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	add(t, s, call("a", 1), call("a", 2), call("a", 3))
	for seq, state := range []string{"one", "two", "three"} {
		if err := s.PutSnapshot(ctx, "a", uint64(seq)+1, "d", []byte(state)); err != nil {
			t.Fatal(err)
		}
	}
	for before, want := range map[uint64]string{0: "three", 9: "three", 3: "two", 2: ""} {
		seq, state, ok, err := s.Snapshot(ctx, "a", "d", before)
		if err != nil || string(state) != want || ok != (want != "") || ok && before != 0 && seq >= before {
			t.Errorf("before %d: %d %q %v %v", before, seq, state, ok, err)
		}
	}
	if _, _, ok, _ := s.Snapshot(ctx, "a", "other", 0); ok {
		t.Error("a snapshot under another policy was given")
	}
	wantSound(t, s)
	s = tampered(t, s, `UPDATE snapshots SET state = x'61' WHERE seq = 3`)
	var forged *journal.ChainError
	if _, _, _, err := s.Snapshot(ctx, "a", "d", 0); !errors.As(err, &forged) || forged.Kind != "snapshot" {
		t.Errorf("%v", err)
	}
}

// Queries read the whole journal, or what contains their texts; both find the same.
func TestEntries(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	for seq := range uint64(600) {
		r := call("a", seq+1)
		if seq%7 == 0 {
			r = said("a", seq+1, "hello")
		}
		if err := s.Enqueue(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	q := journal.Query{Tool: "refund"}
	count := func(texts ...string) (n int) {
		for e, err := range s.Entries(ctx, 0, texts...) {
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Peek()
			if err != nil {
				t.Fatal(err)
			}
			if q.Match(&r) {
				n++
			}
		}
		return n
	}
	if all, some := count(), count(q.Texts()...); all != 514 || some != all {
		t.Errorf("%d and %d records, want 514", all, some)
	}
	for n, want := range map[int]int64{5: 595, 600: 0, 1000: 0} {
		if at, err := s.Position(ctx, n); err != nil || at != want {
			t.Errorf("the last %d stand behind %d, want %d: %v", n, at, want, err)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no journal ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text:                           "journal: open PATH/text: the file is not a journal of Proviso; check the name [PV543]",
		filepath.Join(dir, "no", "db"): "journal: lock PATH/no/db: the file cannot be opened; check the name and the permissions of its folder [PV543]",
	} {
		_, err := sqlite.Open(path, sqlite.Options{})
		wantError(t, err, dir, want)
	}
	_, err := sqlite.Open(filepath.Join(dir, "none"), sqlite.Options{ReadOnly: true})
	wantError(t, err, dir, "journal: open PATH/none: the file cannot be opened: no such file or directory; check the name and its permissions [PV543]")
	other := filepath.Join(dir, "other.db")
	change(t, other, "CREATE TABLE x (y)")
	_, err = sqlite.Open(other, sqlite.Options{})
	wantError(t, err, dir, "journal: open PATH/other.db: the file is not a journal of Proviso; check the name and its permissions [PV543]")
	s := open(t, filepath.Join(dir, "j.db"))
	s.Close()
	change(t, s.Path(), "PRAGMA user_version = 2")
	_, err = sqlite.Open(s.Path(), sqlite.Options{})
	wantError(t, err, dir, "journal: open PATH/j.db: the file is a journal of version 2, this program knows version 1; check the name and its permissions [PV543]")
}

// What would be taken out is what is taken out, and one session goes without the others.
func TestForgetSession(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "j.db"))
	add(t, s, said("a", 1, secret), said("a", 2, secret), said("b", 1, secret))
	for _, c := range []struct {
		from, to uint64
		want     int64
	}{{1, 0, 2}, {0, 1, 1}, {2, 9, 1}, {3, 0, 0}} {
		if n, err := s.Bodies(ctx, "a", c.from, c.to); err != nil || n != c.want {
			t.Errorf("records %d to %d: %d bodies, %v, want %d", c.from, c.to, n, err, c.want)
		}
	}
	for _, want := range []bool{true, false} {
		if gone, err := s.ForgetSession(ctx, "a", "asked by the customer"); err != nil || gone != want {
			t.Errorf("%v, %v, want %v", gone, err, want)
		}
	}
	if rep := wantSound(t, s); rep.Records != 1 || rep.Forgotten != 1 {
		t.Errorf("%+v", rep)
	}
	add(t, s, said("a", 1, "again"))
	wantSound(t, s)
	var ids []string
	for id, err := range s.Expired(ctx, said("b", 1, "").Event.Time.Add(time.Hour)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("expired: %v", ids)
	}
}

// Words are taken out while another process writes; the sessions go on, and nothing of the words is left.
func TestRedactBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "j.db")
	s := open(t, path)
	add(t, s, said("a", 1, secret), said("a", 2, secret), said("b", 1, "hello"))
	if err := s.PutSnapshot(ctx, "a", 2, "d", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	beside, err := sqlite.Open(path, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	stop, done := make(chan bool), make(chan error)
	go func() {
		for seq := uint64(2); ; seq++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := s.Append(ctx, said("b", seq, "and so on")); err != nil {
				done <- err
				return
			}
		}
	}()
	for i, want := range []int64{1, 1, 0} {
		to := uint64(i) + 1
		var busy *sqlite.Error
		if n, err := beside.Redact(ctx, "a", 0, to, "asked by the customer"); n != want || err != nil && (!errors.As(err, &busy) || busy.Code != sqlite.CodeBusy) {
			t.Errorf("redaction %d: %d bodies, %v", i, n, err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	add(t, s, said("a", 3, "again"))
	if _, err := beside.Redact(ctx, "a", 0, 2, ""); err != nil {
		t.Fatal(err)
	}
	if rep := wantSound(t, s); rep.Redacted != 2 {
		t.Errorf("%+v", rep)
	}
	if _, _, ok, err := s.Snapshot(ctx, "a", "d", 0); ok || err != nil {
		t.Errorf("a snapshot with the words is there: %v", err)
	}
	for _, name := range []string{"j.db", "j.db-wal"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || strings.Contains(string(b), secret) {
			t.Errorf("%s still holds the words: %v", name, err)
		}
	}
}
