package eval

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

const packCases = `cases:
  - name: a
    steps:
      - {call: pay, args: {amount: 5}, result: {}, want: allow, result_want: allow}
      - {call: pay, args: {amount: 50}, want: deny limit}
  - name: a
    steps:
      - {call: pay, args: {amount: 50}, want: deny other}
  - name: b
    steps:
      - {call: pay, args: {amount: 50}, result: {}, want: allow, result_want: allow}
`

// A pack's cases become a suite with a label for each outcome that is wanted; names behind outcomes decide as well, and a result that was never played has no outcome.
func TestOfPack(t *testing.T) {
	p, ds := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("name: shop\nversion: '1'\n")},
		"tools.json":   {Data: []byte(`[{"name": "pay", "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}}]`)},
		"rules.yaml":   {Data: []byte("grants: [{tools: [pay]}]\nrules: [{id: limit, tools: [pay], require: args.amount <= 10}]\n")},
	}, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	pol, ds := policy.Compile(p)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	cases, ds := pack.ReadCases("x/held.yaml", []byte(packCases))
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	s := OfPack("shop", pol, cases)
	r := play(t, s, Config{})
	for i, want := range []struct {
		id     string
		status Status
		got    []string
	}{
		{"a", Passed, []string{"allow", "allow", "deny"}},
		{"a #2", Failed, []string{"deny"}},
		{"b", Failed, []string{"deny", "not played"}},
	} {
		res := r.Results[i]
		if res.ID != want.id || res.Status != want.status || !slices.Equal(res.Got, want.got) || res.Group != "held.yaml" || (res.Note == "") != (want.status == Passed) {
			t.Errorf("%+v", res)
		}
	}
	m := r.Confusion()
	if m.WrongfulDenials() != (Share{2, 4}) || m.MissedViolations() != (Share{0, 2}) {
		t.Errorf("wrongful %+v, missed %+v", m.WrongfulDenials(), m.MissedViolations())
	}
	// Where a case stands does not matter, what it plays and wants does.
	moved, _ := pack.ReadCases("y.yaml", []byte("\n\n"+packCases))
	if a, b := headOf(t, s), headOf(t, OfPack("shop", pol, moved)); a != b {
		t.Errorf("moved cases are other cases: %+v, %+v", a, b)
	}
	moved[0].Steps[0].Args["amount"] = int64(6)
	if a, b := headOf(t, s), headOf(t, OfPack("shop", pol, moved)); a.Digest == b.Digest {
		t.Error("other arguments are the same cases")
	}
}

func headOf(t *testing.T, s *Suite) Head {
	t.Helper()
	h, err := s.head()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
