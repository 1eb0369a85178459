package conformance

import (
	"os"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy/pack"
)

// The packs of testdata do what their own cases say; this needs no outside data.
func TestPackCases(t *testing.T) {
	pk, ds := pack.Load(os.DirFS("testdata"), "tau-retail")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	if len(pk.Tests) == 0 {
		t.Fatal("the pack has no cases")
	}
	for _, c := range audit.Test(loadPack(t, "tau-retail"), pk.Tests) {
		if !c.Passed() {
			t.Errorf("%s:\n%v", c.Name, c.Failures)
		}
	}
}
