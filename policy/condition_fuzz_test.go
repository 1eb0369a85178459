package policy

import (
	"testing"
	"time"

	"github.com/proviso-dev/proviso/policy/pack"
)

// FuzzCondition compiles any text as a condition: it never panics, every error has a position, and what compiles is decided as the reference decides it.
func FuzzCondition(f *testing.F) {
	for _, c := range conditions {
		f.Add(c, true)
	}
	for _, c := range []string{"", "(", "a.b.c", "args", "record", "judged.x", "\x00", "args.id.matches('(')", "duration('1d') > duration('1h')", "[1,2,3].map(x, x*x).exists(y, y > args.count)",
		"{'a': 1}.a == 1", "args.tags.filter(t, t > 'a').size() == 0", "dyn(args).id == 'x'", "1/0 == 1", "timestamp('x') < now", "args.?note.hasValue()", "origin(args.id) == ['user']"} {
		f.Add(c, false)
	}
	in := map[string]any{"id": "x", "other": "y", "amount": 20.0, "count": int64(3), "ok": true, "at": testNow.Format(time.RFC3339), "tags": []any{"x"}, "maybe": nil}
	record := obj{"owner": "u1", "total": 50.0, "bags": int64(1), "open": true, "created": testNow, "items": []any{"y"}, "next": "x"}
	f.Fuzz(func(t *testing.T, text string, known bool) {
		if len(text) > 300 {
			return
		}
		pk := basePack()
		pk.Grants = append(pk.Grants, pack.Grant{Tools: txts("act"), When: leaf(text)})
		p, ds := Compile(pk)
		for _, d := range ds {
			if d.Pos.Line == 0 || d.Code == "" || d.Msg == "" {
				t.Fatalf("%q: %+v", text, d)
			}
		}
		if p == nil {
			return
		}
		facts := fakeFacts{}
		if known {
			for i, fi := range p.Facts() {
				facts[factKey(i, Key{N: len(fi.Keys), Part: [pack.MaxKey]string{"x", "3"}})] = record
			}
		}
		v := &View{Now: testNow, Session: obj{"user": "u1", "id": "s", "turns": int64(1), "started": testNow}, Facts: facts, History: fakeHistory{{}, {Count: 2, Sum: 10, Last: testNow}}}
		agree(t, p, p.Bind(call("act", in), nil), v)
	})
}
