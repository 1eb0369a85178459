package policy

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/tree"
)

// This file makes random policies, events and views for the differential and property tests.

func txt(s string) pack.Text {
	return pack.Text{S: s, Pos: proviso.Pos{File: "test.yaml", Line: 1, Col: 1}}
}

func txts(ss ...string) []pack.Text {
	var out []pack.Text
	for _, s := range ss {
		out = append(out, txt(s))
	}
	return out
}

type obj = map[string]any

func sch(kind string, more ...any) obj {
	o := obj{"type": kind}
	for i := 0; i+1 < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

// basePack has one tool of every argument type, facts with one, two and no keys, a question and a table, and no rules.
func basePack() *pack.Pack {
	args := obj{"type": "object", "properties": obj{
		"id": sch("string"), "other": sch("string"), "amount": sch("number"), "count": sch("integer"), "ok": sch("boolean"),
		"at": sch("string", "format", "date-time"), "note": sch("string"), "tags": sch("array", "items", sch("string")),
		"mode": sch("string", "enum", []any{"a", "b"}, "default", "a"), "maybe": obj{"anyOf": []any{sch("string"), sch("null")}},
	}, "required": []any{"id", "other", "amount", "count", "ok", "at", "tags", "maybe"}}
	record := obj{"type": "object", "properties": obj{
		"owner": sch("string"), "total": sch("number"), "bags": sch("integer"), "open": sch("boolean"), "created": sch("string", "format", "date-time"),
		"insurance": sch("string"), "items": sch("array", "items", sch("string")), "next": sch("string"),
	}, "required": []any{"owner", "total", "bags", "open", "created", "items", "next"}}
	id := func(n string) obj {
		return obj{"type": "object", "properties": obj{n: sch("string")}, "required": []any{n}}
	}
	key := func(n string) pack.KeyPart { return pack.KeyPart{Name: txt(n), Type: "string"} }
	value := txt("result")
	return &pack.Pack{
		Name: "random", Version: "1", HasGrants: true,
		Tools: []pack.Tool{
			{Name: "act", Args: args}, {Name: "get_record", Args: id("id")}, {Name: "get_user", Args: id("name")},
			{Name: "get_leg", Args: obj{"type": "object", "properties": obj{"no": sch("string"), "day": sch("integer")}, "required": []any{"no", "day"}}},
			{Name: "hidden_read", Args: id("id")},
		},
		Reads: txts("get_*", "hidden_*"),
		Facts: []pack.Fact{
			{Name: txt("record"), Schema: pack.Schema{Doc: record}, Key: []pack.KeyPart{key("id")}, From: []pack.Source{{Tool: txt("get_record"), Keys: map[string]pack.Text{"id": txt("args.id")}, Value: &value}}},
			{Name: txt("leg"), Schema: pack.Schema{Doc: record}, Key: []pack.KeyPart{key("no"), {Name: txt("day"), Type: "integer"}}, From: []pack.Source{{Tool: txt("get_leg"), Keys: map[string]pack.Text{"no": txt("args.no"), "day": txt("args.day")}, Value: &value}}},
			{Name: txt("auth"), Schema: pack.Schema{Doc: record}, From: []pack.Source{{Tool: txt("get_user"), Value: &value}}},
			{Name: txt("secret"), Schema: pack.Schema{Doc: record}, Key: []pack.KeyPart{key("id")}, From: []pack.Source{{Tool: txt("hidden_read"), Keys: map[string]pack.Text{"id": txt("args.id")}, Value: &value}}},
		},
		Questions: []pack.Question{{ID: txt("fair"), Ask: txt("Is it fair?")}, {ID: txt("kind"), Ask: txt("Is it kind?"), About: txts("record[args.id].owner")}},
		Tables:    []pack.Table{{Name: "fees", Value: obj{"a": 10.0, "b": int64(20)}}, {Name: "mixed", Value: obj{"limit": int64(3), "names": []any{"x", "y"}}}},
		Grants:    []pack.Grant{{Tools: txts("get_*")}},
	}
}

// conditions are the leaves of random rules: every form that has a native closure, and forms that only CEL has.
var conditions = []string{
	"args.id == 'x'", "args.id != args.other", "args.other == args.id", "args.amount > 100", "args.amount <= 100.0", "args.amount >= data.fees[args.mode]",
	"args.count < 3", "args.count + 1 > data.mixed.limit", "args.count == record[args.id].bags", "args.ok", "args.at > now - duration('24h')",
	"args.at + duration('1h') < now", "now - args.at < duration('2h')", "has(args.note)", "has(args.note) && args.note.startsWith('x')",
	"has(args.note) ? args.note.contains('y') : args.ok", "args.id in ['x', 'y']", "args.id in args.tags", "args.mode in data.fees", "size(args.tags) > 1",
	"args.tags.exists(t, t == args.id)", "args.tags.all(t, t in ['x', 'y', 'z'])", "args.maybe == null", "args.maybe != 'x'", "args.id.matches('^x+$')",
	"record[args.id].owner == session.user", "record[args.id].total < 100", "record[args.id].open", "record[args.id].created > now - duration('24h')",
	"has(record[args.id].insurance)", "has(record[args.id].insurance) && record[args.id].insurance == 'yes'", "args.other in record[args.id].items",
	"record[record[args.id].next].open", "record[args.other].total + record[args.id].total < 200.0", "record[args.id].bags + args.count > 4",
	"leg[args.id][args.count].open", "leg[args.other][3].total >= 10", "auth.owner == args.id", "auth.open", "auth.items.exists(i, i == args.other)",
	"secret[args.id].open", "judged.fair", "judged.kind", "!judged.fair", "confirmed(call)", "called('get_record', {'id': args.id})", "count('act', {}) < 2",
	"sum('act', 'amount', {'id': args.id}) + args.amount <= 500", "total('act', 'amount', {}, {'within': duration('1h')}) > 100", "since('act', {}) > duration('5m')",
	"last('act', {}, {'phase': 'attempted'}) < now - duration('1m')", "session.turns > 1", "session.user != ''", "tool == 'act'", "true", "false",
	"args.count / (args.count - 3) > 1", "args.tags[0] == 'x'", "data.fees[args.id] > 5", "string(args.count) == '2'", "[args.id, args.other].exists(k, record[k].open)",
	"args.?note.orValue('none') == 'none'", "args.ok == record[args.id].open", "args.amount * 2 > record[args.id].total - 1",
}

func genCond(t *rapid.T, depth int, leaves []string) *pack.Cond {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return leaf(rapid.SampledFrom(leaves).Draw(t, "condition"))
	}
	op := rapid.SampledFrom([]tree.Op{tree.All, tree.Any, tree.Not, tree.Chain, tree.Gate}).Draw(t, "op")
	n := 1
	if op != tree.Not {
		n = rapid.IntRange(1, 3).Draw(t, "kids")
	}
	c := &pack.Cond{Op: op, Pos: txt("").Pos}
	for range n {
		c.Kids = append(c.Kids, genCond(t, depth-1, leaves))
	}
	return c
}

func leaf(s string) *pack.Cond { return &pack.Cond{Expr: txt(s), Pos: txt("").Pos} }

func genRule(t *rapid.T, i int, leaves []string) pack.Rule {
	r := pack.Rule{ID: txt(fmt.Sprintf("r%d", i)), Tools: txts("act"), Pos: txt("").Pos}
	if rapid.Bool().Draw(t, "escalates") {
		r.Else.Outcome = proviso.Escalate
	}
	if rapid.IntRange(0, 2).Draw(t, "when") == 0 {
		r.When = genCond(t, 1, leaves)
	}
	r.Require = genCond(t, 2, leaves)
	return r
}

func genPack(t *rapid.T) *pack.Pack {
	p := basePack()
	// Few different leaves, so that atoms repeat.
	n := rapid.IntRange(2, 8).Draw(t, "leaves")
	leaves := rapid.SliceOfN(rapid.SampledFrom(conditions), n, n).Draw(t, "pool")
	g := pack.Grant{Tools: txts("act"), Pos: txt("").Pos}
	if rapid.Bool().Draw(t, "conditional grant") {
		g.When = genCond(t, 1, leaves)
	}
	p.Grants = append(p.Grants, g)
	for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
		p.Rules = append(p.Rules, genRule(t, i, leaves))
	}
	return p
}

// fakeFacts, fakeHistory and the others are views made of drawn values.
type fakeFacts map[string]any

type brokenFact struct{}

func factKey(i int, k Key) string { return fmt.Sprint(i, k.Part[:k.N]) }

func (f fakeFacts) Fact(i int, k Key) (any, FactState) {
	v, ok := f[factKey(i, k)]
	if !ok {
		return nil, Unobserved
	}
	if _, bad := v.(brokenFact); bad {
		return nil, Broken
	}
	return v, Observed
}

type fakeHistory []Past

func (h fakeHistory) Past(q int, values []any, now time.Time) Past {
	n := q
	for _, v := range values {
		n += len(fmt.Sprint(v))
	}
	return h[n%len(h)]
}

type fakeAnswers map[string]proviso.Tri

func (a fakeAnswers) Answer(q string, about []any) proviso.Tri {
	v, ok := a[q]
	if !ok {
		return proviso.Unknown
	}
	return v
}

type fakeConsent proviso.Tri

func (c fakeConsent) Confirmed(*Input) proviso.Tri { return proviso.Tri(c) }

var testNow = time.Date(2025, 3, 1, 10, 0, 0, 0, time.UTC)

func genRecord(t *rapid.T) any {
	if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
		return brokenFact{}
	}
	r := obj{
		"owner": rapid.SampledFrom([]string{"x", "y", "u1"}).Draw(t, "owner"), "total": rapid.SampledFrom([]float64{0, 50, 100, 150.5}).Draw(t, "total"),
		"bags": int64(rapid.IntRange(0, 4).Draw(t, "bags")), "open": rapid.Bool().Draw(t, "open"), "next": rapid.SampledFrom([]string{"x", "z"}).Draw(t, "next"),
		"created": testNow.Add(-time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour), "items": []any{"x", "q"},
	}
	if rapid.Bool().Draw(t, "insured") {
		r["insurance"] = rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "insurance")
	}
	return r
}

func genArgs(t *rapid.T) obj {
	a := obj{
		"id": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "id"), "other": rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "other"),
		"amount": rapid.SampledFrom([]float64{0, 20, 100, 100.5, 1000}).Draw(t, "amount"), "count": int64(rapid.IntRange(0, 4).Draw(t, "count")),
		"ok": rapid.Bool().Draw(t, "ok"), "at": testNow.Add(-time.Duration(rapid.IntRange(-1, 30).Draw(t, "age")) * time.Hour).Format(time.RFC3339),
		"tags": []any{}, "maybe": nil,
	}
	for _, s := range []string{"x", "y", "w"} {
		if rapid.Bool().Draw(t, "tag") {
			a["tags"] = append(a["tags"].([]any), s)
		}
	}
	if rapid.Bool().Draw(t, "noted") {
		a["note"] = rapid.SampledFrom([]string{"x", "xy", ""}).Draw(t, "note")
	}
	if rapid.Bool().Draw(t, "given") {
		a["maybe"] = rapid.SampledFrom([]string{"x", "m"}).Draw(t, "maybe")
	}
	if rapid.Bool().Draw(t, "moded") {
		a["mode"] = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "mode")
	}
	return a
}

func genView(t *rapid.T, p *Policy) *View {
	facts := fakeFacts{}
	for i, f := range p.Facts() {
		switch len(f.Keys) {
		case 0:
			if rapid.Bool().Draw(t, "auth") {
				facts[factKey(i, Key{})] = genRecord(t)
			}
		case 1:
			for _, k := range []string{"x", "y", "z"} {
				if rapid.Bool().Draw(t, "record") {
					facts[factKey(i, Key{N: 1, Part: [pack.MaxKey]string{k}})] = genRecord(t)
				}
			}
		default:
			for _, k := range []string{"x", "y", "z"} {
				for d := range 5 {
					if rapid.Bool().Draw(t, "leg") {
						facts[factKey(i, Key{N: 2, Part: [pack.MaxKey]string{k, fmt.Sprint(d)}})] = genRecord(t)
					}
				}
			}
		}
	}
	answers := fakeAnswers{}
	for _, q := range []string{"fair", "kind"} {
		answers[q] = proviso.Tri(rapid.IntRange(0, 2).Draw(t, "answer"))
	}
	hist := fakeHistory{{}, {Count: 1, Sum: 80, Last: testNow.Add(-2 * time.Minute)}, {Count: 3, Sum: 450.25, Last: testNow.Add(-time.Hour)}}
	return &View{
		Now: testNow, Session: obj{"user": rapid.SampledFrom([]string{"", "u1", "x"}).Draw(t, "user"), "id": "s", "turns": int64(rapid.IntRange(0, 3).Draw(t, "turns")), "started": testNow},
		Facts: facts, History: hist, Answers: answers, Consent: fakeConsent(rapid.IntRange(0, 2).Draw(t, "consent")),
	}
}

func call(tool string, args any) *proviso.Event {
	b, _ := args.(proviso.JSON)
	if b == nil {
		b = proviso.CanonicalJSON(args)
	}
	return &proviso.Event{Session: "s", Seq: 1, Time: testNow, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "c1", Tool: tool, Args: b}}
}

func mustCompile(t interface{ Fatalf(string, ...any) }, packs ...*pack.Pack) *Policy {
	p, ds := Compile(packs...)
	if p == nil {
		t.Fatalf("does not compile:\n%v", ds)
	}
	return p
}

// TestEveryConditionCompiles makes sure that no leaf of the random policies is dead.
func TestEveryConditionCompiles(t *testing.T) {
	for _, c := range conditions {
		p := basePack()
		p.Grants = append(p.Grants, pack.Grant{Tools: txts("act"), When: leaf(c)})
		if _, ds := Compile(p); ds.Worst(proviso.Error) {
			t.Errorf("%s: %v", c, ds)
		}
	}
}

func factPrefix(i int) string { return fmt.Sprint(i) + " " }

func fscan(k string, n *int, rest *string) (int, error) { return fmt.Sscanf(k, "%d %s", n, rest) }
