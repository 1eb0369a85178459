package conformance

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// The suite recorded what its own tools answered and changed; our small shop must agree with it, or the replay proves nothing.
func TestTauShop(t *testing.T) {
	for _, src := range tauSources {
		t.Run(src.name, func(t *testing.T) {
			s := readStock(t, src.db)
			compared := 0
			for _, k := range readTasks(t, src.name, s) {
				db := s.open()
				for _, c := range k.calls {
					if read, ok := reads[c.Name]; ok && c.OK != nil {
						compared++
						raw, err := read(db, c.Args)
						if (err == nil) != *c.OK {
							t.Errorf("task %s call %d %s: we answer %v, the suite ok=%v", k.id, c.I, c.Name, err, *c.OK)
						} else if err == nil && c.Result != nil && canonical(t, raw) != canonical(t, c.Result) {
							t.Errorf("task %s call %d %s: answers differ\nours:   %s\nsuite's: %s", k.id, c.I, c.Name, raw, c.Result)
						}
					}
					if !c.write() {
						continue
					}
					db.write(t, c)
					for _, ch := range c.Changes {
						part := strings.Split(ch.Path, "/")
						if part[1] != "users" || part[len(part)-1] != "balance" {
							continue
						}
						compared++
						if got := *db.user(t, part[2]).Methods[part[4]].Balance; got != ch.New {
							t.Errorf("task %s call %d: %s is %v with us, %v in the suite", k.id, c.I, ch.Path, got, ch.New)
						}
					}
				}
			}
			if compared == 0 {
				t.Error("nothing was compared")
			}
			t.Logf("%d answers and balances compared", compared)
		})
	}
}

func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	v, err := proviso.DecodeResultJSON(raw)
	must(t, err)
	return string(proviso.CanonicalJSON(v))
}

// Making mutants leaves the gold write and its database as they are, gives the same mutant every time, and every kind finds writes to work on.
func TestTauMutantsAreMade(t *testing.T) {
	src := tauSources[0]
	s := readStock(t, src.db)
	made := map[string]int{}
	for _, k := range readTasks(t, src.name, s) {
		db := s.open()
		for _, w := range k.calls {
			if !w.write() {
				continue
			}
			args, before := string(encode(t, w.Args)), db.clone()
			for _, kind := range mutations {
				if !slices.Contains(kind.tools, w.Name) {
					continue
				}
				m, twin := newMutant(t, k, w, db), newMutant(t, k, w, db)
				if !kind.make(m) {
					continue
				}
				made[kind.name]++
				if !kind.make(twin) || string(encode(t, m.args)) != string(encode(t, twin.args)) {
					t.Errorf("%s: not the same twice: %s and %s", kind.name, encode(t, m.args), encode(t, twin.args))
				}
			}
			if now := string(encode(t, w.Args)); now != args {
				t.Fatalf("task %s call %d: its arguments were changed from %s to %s", k.id, w.I, args, now)
			}
			if !reflect.DeepEqual(db, before) {
				t.Fatalf("task %s call %d: its database was changed", k.id, w.I)
			}
			db.write(t, w)
		}
	}
	for _, kind := range mutations {
		if made[kind.name] == 0 {
			t.Errorf("%s: no mutant of %s", kind.name, src.name)
		}
		t.Logf("%4d %s", made[kind.name], kind.name)
	}
}
