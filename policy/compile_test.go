package policy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"cel.dev/cel-go/cel"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy/condition"
	"github.com/proviso-dev/proviso/policy/pack"
)

// TestCompileErrors compiles each archive under testdata/compile and compares its diagnostics with the comments # want "…" on the faulty lines:
// every comment must be met by a diagnostic of its line, and every diagnostic must stand on a line that wants one. A want is a part of the message, the hint or the code.
func TestCompileErrors(t *testing.T) {
	testkit.Archives(t, "testdata/compile/*.txtar", func(t *testing.T, a *testkit.Archive) {
		fsys := fstest.MapFS{"proviso.yaml": {Data: []byte("name: test\nversion: \"1\"\n")}}
		for _, f := range sharedFiles(t) {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
		}
		want := map[string]map[int]string{}
		for _, f := range a.Files {
			fsys[f.Name] = &fstest.MapFile{Data: f.Data}
			want[f.Name] = testkit.Want(f.Data)
		}
		pk, ds := pack.Load(fsys, ".")
		if pk != nil && !ds.Worst(proviso.Error) {
			_, more := Compile(pk)
			ds = append(ds, more...)
		}
		for _, d := range ds {
			w, ok := want[d.Pos.File][d.Pos.Line]
			if !ok {
				t.Errorf("unwanted: %v", d)
				continue
			}
			if !strings.Contains(d.Error(), w) {
				t.Errorf("%v\n\twant %q", d, w)
			}
			if d.Pos.Col == 0 {
				t.Errorf("%v has no column", d)
			}
			delete(want[d.Pos.File], d.Pos.Line)
		}
		for f, lines := range want {
			for l, w := range lines {
				t.Errorf("%s:%d: no diagnostic, want %q", f, l, w)
			}
		}
	})
}

// sharedFiles are the tools that the archives share, kept in one archive of their own.
func sharedFiles(t *testing.T) []testkit.File {
	var out []testkit.File
	testkit.Archives(t, "testdata/shared.txtar", func(t *testing.T, a *testkit.Archive) { out = a.Files })
	return out
}

// TestColumns pins the columns of errors in every kind of YAML text.
func TestColumns(t *testing.T) {
	src := `grants:
  - {tools: [get_order], when: args.oder_id == 'x'}
  - {tools: [refund], when: "args.amuont > 1.0"}
  - {tools: [refund], when: 'session.usr == ''x'''}
  - tools: [refund]
    when: |
      args.amount > 1.0 &&
        args.resaon == 'x'
  - tools: [refund]
    when: "args.order_id == \"x\" && args.nots == 'y'"
`
	fsys := fstest.MapFS{"proviso.yaml": {Data: []byte("name: test\nversion: \"1\"\n")}, "rules.yaml": {Data: []byte(src)}}
	for _, f := range sharedFiles(t) {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	pk, ds := pack.Load(fsys, ".")
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	_, ds = Compile(pk)
	for i, name := range []string{"oder_id", "amuont", "usr", "resaon", "nots"} {
		if i >= len(ds) {
			t.Fatalf("%d diagnostics, want 5:\n%v", len(ds), ds)
		}
		p := ds[i].Pos
		line := bytes.Split([]byte(src), []byte("\n"))[p.Line-1]
		// CEL points at the dot before a field.
		if at := bytes.Index(line, []byte(name)); p.Col != at && p.Col != at+1 {
			t.Errorf("%v: %s stands at column %d", ds[i], name, at+1)
		}
	}
}

// TestZonesAreCELs compares calendar parts in a zone with CEL's own, which read the zone from disk.
func TestZonesAreCELs(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("now", cel.TimestampType))
	if err != nil {
		t.Fatal(err)
	}
	for part := range condition.CalendarParts {
		for _, z := range []string{"America/New_York", "Asia/Kolkata", "UTC", "+02:00", "-09:30", "02:00"} {
			text := "now." + part + "('" + z + "')"
			a, iss := env.Compile(text)
			if iss.Err() != nil {
				t.Fatal(iss.Err())
			}
			prg, err := env.Program(a)
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := prg.Eval(map[string]any{"now": testNow})
			if err != nil {
				t.Fatal(err)
			}
			pk := basePack()
			pk.Grants = append(pk.Grants, pack.Grant{Tools: txts("act"), When: leaf(fmt.Sprintf("%s == %d", text, want.Value()))})
			p := mustCompile(t, pk)
			in := p.Bind(call("act", map[string]any{"id": "x", "other": "y", "amount": 20.0, "count": int64(3), "ok": true, "at": "2025-01-01T00:00:00Z", "tags": []any{}, "maybe": nil}), nil)
			if d := p.Decide(in, &View{Now: testNow}); d.Outcome != proviso.Allow {
				t.Errorf("%s is not %v: %s", text, want.Value(), dump(d))
			}
		}
	}
}

// overlay is a pack without tools of its own.
func overlay(name string, rank pack.Rank, rules ...pack.Rule) *pack.Pack {
	return &pack.Pack{Name: name, Version: "1", Rank: rank, Rules: rules}
}

// TestOverrideMeansTheLowerRank lifts a rule of an overlay by a name that the overriding pack gives to a rule of its own as well.
func TestOverrideMeansTheLowerRank(t *testing.T) {
	own := func() pack.Rule {
		return pack.Rule{ID: txt("limit"), Tools: txts("get_user"), Require: leaf("args.name != ''")}
	}
	base := basePack()
	base.Grants = append(base.Grants, pack.Grant{Tools: txts("act")})
	base.Rules = []pack.Rule{own()}
	base.Overrides = []pack.Override{{Lifts: txt("limit"), By: txt("lead"), Until: testNow.AddDate(1, 0, 0)}}
	night := overlay("night", pack.Task, pack.Rule{ID: txt("limit"), Tools: txts("act"), Require: leaf("args.amount < 1.0")})
	p := mustCompile(t, base, night)
	if d := p.Decide(p.Bind(call("act", fullArgs()), nil), &View{Now: testNow}); d.Outcome != proviso.Allow {
		t.Error(dump(d))
	}
	if _, ds := Compile(base); !ds.Worst(proviso.Error) {
		t.Error("a pack lifted a rule of its own rank")
	}
}

// TestScopeGrantsOfAnOverlay gives a scope's grants to the rank that speaks, whatever the names of its packs.
func TestScopeGrantsOfAnOverlay(t *testing.T) {
	base := basePack()
	base.Grants = append(base.Grants, pack.Grant{Tools: txts("act")})
	desk := overlay("a-desk", pack.Task)
	desk.Scopes = []pack.Scope{{Name: txt("desk"), Push: []pack.Matcher{{Kind: "handoff", Name: "desk"}}, Grants: []pack.Grant{{Tools: txts("act")}}}}
	narrow := overlay("b-narrow", pack.Task)
	narrow.HasGrants, narrow.Grants = true, []pack.Grant{{Tools: txts("get_*")}}
	p := mustCompile(t, base, desk, narrow)
	for scope, want := range map[string]proviso.Outcome{"": proviso.Deny, "desk": proviso.Allow} {
		if d := p.Decide(p.Bind(call("act", fullArgs()), nil), &View{Now: testNow, Scope: scope}); d.Outcome != want {
			t.Errorf("in scope %q: %s", scope, dump(d))
		}
	}
}

func fullArgs() map[string]any {
	return map[string]any{"id": "x", "other": "y", "amount": 20.0, "count": int64(3), "ok": true, "at": "2025-01-01T00:00:00Z", "tags": []any{}, "maybe": nil}
}
