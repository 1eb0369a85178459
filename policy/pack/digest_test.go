package pack

import (
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// completePack loads the archive that uses every key of the format.
func completePack(t testing.TB) *Pack {
	t.Helper()
	b, err := os.ReadFile("testdata/load/complete.txtar")
	if err != nil {
		t.Fatal(err)
	}
	m := fstest.MapFS{}
	for _, f := range txtar.Parse(b).Files {
		m[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	p, ds := Load(m, ".")
	if ds != nil {
		t.Fatal(ds)
	}
	return p
}

// TestDigestIgnoresOrder shuffles everything in a pack whose order means nothing.
func TestDigestIgnoresOrder(t *testing.T) {
	a, b := completePack(t), &Pack{Name: "b", Rules: []Rule{{ID: Text{S: "r"}}}}
	want := Digest([]*Pack{a, b})
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		p := *a
		shuffle(r, &p.Tools)
		shuffle(r, &p.Rules)
		shuffle(r, &p.Grants)
		shuffle(r, &p.Facts)
		shuffle(r, &p.Lets)
		shuffle(r, &p.Tables)
		shuffle(r, &p.Session)
		shuffle(r, &p.Reads)
		shuffle(r, &p.Rules[0].Tools)
		shuffle(r, &p.Rules[0].Clauses)
		shuffle(r, &p.Rules[0].On)
		p.Tests, p.Files, p.DocFile, p.Version = nil, nil, "elsewhere.md", "9"
		packs := []*Pack{&p, b}
		shuffle(r, &packs)
		if got := Digest(packs); got != want {
			t.Fatalf("digest is %s, want %s", got, want)
		}
	})
}

func shuffle[T any](r *rand.Rand, list *[]T) {
	out := append([]T(nil), *list...)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	*list = out
}

// TestDigestSeesEveryField changes each value of a pack in turn, found by reflection so that a field added later is not forgotten.
func TestDigestSeesEveryField(t *testing.T) {
	p := completePack(t)
	before, changes := Digest([]*Pack{p}), 0
	ignored := map[string]bool{"Pos": true, "Map": true, "FS": true, "Files": true, "DocFile": true, "Tests": true, "Version": true, "Document": true}
	var walk func(path string, v reflect.Value)
	changed := func(path string) {
		changes++
		if Digest([]*Pack{p}) == before {
			t.Errorf("a change of %s does not change the digest", path)
		}
	}
	walk = func(path string, v reflect.Value) {
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			old := *at
			*at = old.Add(time.Second)
			changed(path)
			*at = old
			return
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); !ignored[f.Name] {
					walk(path+"."+f.Name, v.Field(i))
				}
			}
			return
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
			if v.Len() == 0 {
				return
			}
			v.Set(v.Slice(0, v.Len()-1))
		case reflect.Pointer:
			if v.IsNil() {
				return
			}
			walk(path, v.Elem())
			v.SetZero()
		case reflect.Map:
			for _, k := range v.MapKeys() {
				x := v.MapIndex(k)
				v.SetMapIndex(k, reflect.Value{})
				if !strings.HasSuffix(path, "OnError") || x.Uint() != 0 { // an error denies anyway
					changed(fmt.Sprintf("%s[%v]", path, k))
				}
				v.SetMapIndex(k, x)
			}
			return
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Uint8:
			v.SetUint((v.Uint() + 1) % 3)
		case reflect.Interface:
			v.Set(reflect.ValueOf(any("other")))
		default:
			t.Fatalf("%s: no change known for %s", path, v.Kind())
		}
		changed(path)
		v.Set(old)
	}
	walk("pack", reflect.ValueOf(p).Elem())
	if changes < 150 {
		t.Errorf("only %d changes were tried", changes)
	}
	if Digest([]*Pack{p}) != before {
		t.Error("the pack was not restored")
	}
}

// TestDigestSeesClauses changes the owner's text.
func TestDigestSeesClauses(t *testing.T) {
	load := func(text string) string {
		p, ds := Load(fstest.MapFS{ManifestFile: {Data: []byte("name: a\nversion: '1'\n")}, "policy.md": {Data: []byte(text)}}, ".")
		if ds != nil {
			t.Fatal(ds)
		}
		return Digest([]*Pack{p})
	}
	base := load("# A\n\n- one\n- two\n")
	if load("# A\n\n- one\n- too\n") == base {
		t.Error("another clause, the same digest")
	}
	if load("\n# A\n\n-   one\n-   two\n\n") != base {
		t.Error("white space changed the digest")
	}
}
