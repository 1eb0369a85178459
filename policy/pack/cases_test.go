package pack

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// Cases are read without a pack, with their positions, and what is wrong in them is told as in a pack.
func TestReadCases(t *testing.T) {
	cases, ds := ReadCases("held/back.yaml", []byte("cases:\n  - name: a\n    steps:\n      - {call: get_order, args: {id: X}, want: deny late}\n"))
	if len(ds) > 0 || len(cases) != 1 || cases[0].Pos.File != "held/back.yaml" || cases[0].Steps[0].Want.Outcome != proviso.Deny {
		t.Errorf("%+v, %v", cases, ds)
	}
	for src, want := range map[string]string{
		"cases:\n  - name: a\n    steps: [{cal: x}]\n": "back.yaml:3",
		"cases: [": "back.yaml:1",
		"":         "",
	} {
		cases, ds := ReadCases("back.yaml", []byte(src))
		if src != "" && (!ds.Worst(proviso.Error) || !strings.HasPrefix(ds[0].Error(), want)) || src == "" && len(cases) > 0 {
			t.Errorf("%q gives %+v, %v", src, cases, ds)
		}
	}
}
