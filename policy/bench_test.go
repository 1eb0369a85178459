package policy

import (
	"fmt"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// bigPack has n tools with five rules each, like a company's whole tool park.
func bigPack(n int) *pack.Pack {
	p := basePack()
	for i := range n {
		name := fmt.Sprintf("tool_%d", i)
		p.Tools = append(p.Tools, pack.Tool{Name: name, Args: obj{"type": "object", "properties": obj{
			"amount": sch("number"), "recipient": sch("string"), "currency": sch("string"), "note": sch("string"), "order": sch("string"),
		}, "required": []any{"amount", "recipient", "currency", "note", "order"}}})
		tools := txts(name)
		p.Grants = append(p.Grants, pack.Grant{Tools: tools, When: leaf("session.user != ''")})
		rule := func(k int, c *pack.Cond) {
			p.Rules = append(p.Rules, pack.Rule{ID: txt(fmt.Sprintf("r%d-%d", i, k)), Tools: tools, Require: c, Lets: []pack.Let{{Name: txt("r"), Expr: txt("record[args.order]")}}})
		}
		rule(0, leaf("args.amount <= 1000"))
		rule(1, leaf(fmt.Sprintf("args.recipient.endsWith('@corp%d.example')", i)))
		rule(2, leaf("args.currency in ['USD', 'EUR', 'GBP']"))
		rule(3, &pack.Cond{Op: tree.Any, Kids: []*pack.Cond{leaf("r.created > now - duration('24h')"), leaf("r.total < 100 && r.open"), leaf("r.owner == session.user")}})
		rule(4, leaf("!args.note.contains('password') && size(args.note) < 500"))
	}

	return p
}

func bigCall(i int) *proviso.Event {
	return call(fmt.Sprintf("tool_%d", i), obj{"amount": 250.0, "recipient": fmt.Sprintf("bob@corp%d.example", i), "currency": "EUR",
		"note": "invoice 4711 for services rendered in March", "order": "x"})
}

func bigView(p *Policy, known bool) *View {
	facts := fakeFacts{}
	if known {
		i, _ := p.FactNumber("record")
		facts[factKey(i, Key{N: 1, Part: [pack.MaxKey]string{"x"}})] = obj{"owner": "u1", "total": 50.0, "bags": int64(1), "open": true, "created": testNow, "items": []any{}, "next": "y"}
	}
	return &View{Now: testNow, Session: obj{"user": "u1", "id": "s", "turns": int64(1), "started": testNow}, Facts: mapFacts{facts, p}}
}

// mapFacts answers as fast as a session does, so that the benchmark measures the decision.
type mapFacts struct {
	f fakeFacts
	p *Policy
}

var benchRecord = obj{"owner": "u1", "total": 50.0, "bags": int64(1), "open": true, "created": testNow, "items": []any{}, "next": "y"}

func (m mapFacts) Fact(i int, k Key) (any, FactState) {
	if len(m.f) == 0 || k.Part[0] != "x" {
		return nil, Unobserved
	}
	return benchRecord, Observed
}

func BenchmarkDecide(b *testing.B) {
	p := mustCompile(b, bigPack(200))
	for _, c := range []struct {
		name  string
		known bool
		want  proviso.Outcome
	}{{"allow", true, proviso.Allow}, {"needs_info", false, proviso.NeedInfo}} {
		in, v := p.Bind(bigCall(100), nil), bigView(p, c.known)
		if d := p.Decide(in, v); d.Outcome != c.want {
			b.Fatal(dump(d))
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(in, v)
			}
		})
	}
	ev := bigCall(100)
	v := bigView(p, true)
	b.Run("bind+allow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Decide(p.Bind(ev, nil), v)
		}
	})
	denied := call("tool_100", obj{"amount": 2500.0, "recipient": "eve@evil.example", "currency": "EUR", "note": "", "order": "x"})
	in := p.Bind(denied, nil)
	b.Run("deny", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Decide(in, v)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	pk := bigPack(200)
	for b.Loop() {
		mustCompile(b, pk)
	}
}
