package policy

import (
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// A door sends the arguments of a supplier as they are: a call without arguments is {}, never null.
func TestSuppliersAlwaysHaveArguments(t *testing.T) {
	pk := basePack()
	pk.Tools = append(pk.Tools, pack.Tool{Name: "get_hours", Args: obj{"type": "object", "properties": obj{}}})
	value := txt("result")
	pk.Facts = append(pk.Facts, pack.Fact{Name: txt("hours"), Schema: pack.Schema{Doc: sch("object", "properties", obj{"open": sch("boolean")}, "required", []any{"open"})},
		From: []pack.Source{{Tool: txt("get_hours"), Value: &value}}})
	pk.Grants = append(pk.Grants, pack.Grant{Tools: txts("act")})
	pk.Rules = []pack.Rule{{ID: txt("hours"), Tools: txts("act"), Require: leaf("hours.open")}, {ID: txt("auth"), Tools: txts("act"), Require: leaf("auth.open")}}
	p := mustCompile(t, pk)
	d := p.Decide(p.Bind(call("act", obj{"id": "x", "other": "y", "amount": 1.0, "count": int64(1), "ok": true, "at": "2026-01-05T09:00:00Z", "tags": []any{}, "maybe": nil}), nil), &View{Now: testNow})
	if d.Outcome != proviso.NeedInfo || len(d.Missing) != 2 {
		t.Fatal(dump(d))
	}
	for _, m := range d.Missing {
		for _, s := range m.Suppliers {
			if got := string(proviso.CanonicalJSON(s.Args)); got != "{}" || s.Args == nil {
				t.Errorf("%s is supplied by %s with arguments %s", m.Fact, s.Tool, got)
			}
		}
	}
}
