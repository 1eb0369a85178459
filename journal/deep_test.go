package journal

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// A record whose facts are nested as deeply as a record may be comes back, although it stands inside of the line of its entry.
func TestDeepRecordComesBack(t *testing.T) {
	for depth := proviso.MaxJSONDepth - 8; depth <= proviso.MaxJSONDepth-3; depth++ {
		v, err := proviso.DecodeResultJSON(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if err != nil {
			t.Fatal(err)
		}
		r := call("a", 1)
		r.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f"}, Value: v}}
		e, err := Seal(&r, Hash{})
		if err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func() (proviso.Record, error){"record": e.Record, "peek": e.Peek, "after": func() (proviso.Record, error) { return e.RecordAfter(Tip{}) }} {
			got, err := read()
			if err != nil {
				t.Errorf("depth %d: %s: %v", depth, name, err)
			} else if string(proviso.CanonicalJSON(got.Facts[0].Value)) != string(proviso.CanonicalJSON(v)) {
				t.Errorf("depth %d: %s gives another fact", depth, name)
			}
		}
	}
}
