package conformance

import (
	"os"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/policy"
)

// The packs of testdata do what their own cases say; this needs no outside data.
func TestPackCases(t *testing.T) {
	pack, ds := policy.Load(os.DirFS("testdata"), "tau-retail")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	if len(pack.Tests) == 0 {
		t.Fatal("the pack has no cases")
	}
	for _, c := range audit.Test(loadPack(t, "tau-retail"), pack.Tests) {
		if !c.Passed() {
			t.Errorf("%s:\n%v", c.Name, c.Failures)
		}
	}
}
