package importer

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

// compile compiles what was imported.
func compile(files map[string][]byte) (*policy.Policy, proviso.Diagnostics) {
	pk, ds := pack.Load(testkit.FS(files), ".")
	if ds.Worst(proviso.Error) {
		return nil, ds
	}
	return policy.Compile(pk)
}

func load(files map[string][]byte) proviso.Diagnostics {
	_, ds := compile(files)
	return ds
}

// decide decides one call in a session that has shown nothing; attributes are those of the session.
func decide(t testing.TB, p *policy.Policy, tool, args string, attributes map[string]any) proviso.Decision {
	t.Helper()
	state := session.New(p, "s")
	if attributes != nil {
		begin := proviso.Event{Session: "s", Seq: 1, Point: proviso.SessionStart, Body: &proviso.Lifecycle{Kind: "start", Attributes: attributes}}
		in := state.Bind(&begin)
		r := state.Record(in, p.Decide(in, state.View(in)))
		if err := state.Apply(in, &r); err != nil {
			t.Fatal(err)
		}
	}
	ev := proviso.Event{Session: "s", Seq: state.Next(), Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "c", Tool: tool, Args: proviso.JSON(args)}}
	in := state.Bind(&ev)
	return p.Decide(in, state.View(in))
}

// play plays the cases of an archive.
func play(t *testing.T, p *policy.Policy, src []byte) {
	cases, ds := pack.ReadCases("cases.yaml", src)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	for _, r := range audit.Test(p, cases) {
		for _, f := range r.Failures {
			t.Errorf("%s: %v", r.Name, f)
		}
	}
}

// Every archive is a policy of another system, named after its format, and the pack that it becomes. What is imported compiles and is laid out as fmt lays it out.
func TestImport(t *testing.T) {
	testkit.Archives(t, "testdata/*.txtar", func(t *testing.T, a *testkit.Archive) {
		name := strings.TrimSuffix(strings.TrimPrefix(a.Path, "testdata/"), ".txtar")
		var f *Format
		for _, each := range All {
			if strings.HasPrefix(name, each.Name+"-") {
				f = each
			}
		}
		if f == nil {
			t.Fatalf("%s begins with the name of no format", name)
		}
		src, o := fstest.MapFS{}, Options{}
		for _, file := range a.Files {
			switch file.Name {
			case "want", "cases.yaml":
			case "options":
				for _, field := range strings.Fields(string(file.Data)) {
					key, value, _ := strings.Cut(field, "=")
					var err error
					switch key {
					case "observe":
						o.Observe, err = strconv.ParseBool(value)
					case "holes":
						o.Holes, err = strconv.ParseBool(value)
					case "max":
						o.MaxBytes, err = strconv.Atoi(value)
					default:
						err = fmt.Errorf("no option %q", key)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			case "opa.json":
				o.Rego = func([]byte) ([]byte, error) { return file.Data, nil }
			default:
				src[file.Name] = &fstest.MapFile{Data: file.Data}
			}
		}
		got := f.Import(src, a.Files[0].Name, o)
		var b bytes.Buffer
		for _, d := range got.Found {
			fmt.Fprintf(&b, "%s: %s\n", d.Severity, d.Error())
		}
		for _, n := range slices.Sorted(maps.Keys(got.Files)) {
			fmt.Fprintf(&b, "== %s\n%s", n, got.Files[n])
			if out, err := pack.Format(n, got.Files[n]); strings.HasSuffix(n, ".yaml") && (err != nil || !bytes.Equal(out, got.Files[n])) {
				t.Errorf("%s is not laid out as fmt does: %v", n, err)
			}
		}
		a.Expect(t, "want", b.Bytes())
		if got.Files != nil {
			p, ds := compile(got.Files)
			if ds.Worst(proviso.Error) {
				t.Fatalf("what was imported is no pack: %v", ds)
			}
			if cases, has := a.File("cases.yaml"); has {
				play(t, p, cases)
			}
		} else if !got.Found.Worst(proviso.Error) {
			t.Error("nothing was imported, and nothing says why")
		}
	})
}

// A verdict is read strictly: whatever is not one of the five decisions with its parts is none, and none stops.
func TestVerdict(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"decision": "allow"}`, "allow"},
		{`{"decision": "deny", "reason": "no"}`, "deny"},
		{`{"decision": "transform", "transform": {"path": "$policy_target.x", "value": null}}`, "transform"},
		{`{"decision": "transform"}`, ""},
		{`{"decision": "transform", "transform": {"path": "$policy_target.x"}}`, ""},
		{`{"decision": "allow", "transform": {"path": "$policy_target.x", "value": 1}}`, ""},
		{`{"decision": "allow", "effects": []}`, ""},
		{`{"decision": "ALLOW"}`, ""},
		{`{"decision": true}`, ""},
		{`{"decision": "allow", "decision": "deny"}`, ""},
		{`{"decision": "allow", "reason": 5}`, ""},
		{`{"reason": "x"}`, ""},
		{`"allow"`, ""},
		{`[]`, ""},
		{``, ""},
	} {
		if got := normalise([]byte(c.in)); got.Decision != c.want || c.want == "" && got.Reason == "" {
			t.Errorf("%s: %+v, want %q", c.in, got, c.want)
		}
	}
}

// Whatever the file holds, importing it ends, and ends in a pack that compiles or in an error.
func FuzzACS(f *testing.F) {
	f.Add("agent_control_specification_version: 0.3.1\npolicies: {p: {type: rego, query: data.a.b}}\nintervention_points: {input: {policy: {id: p}, policy_target: $snap.input}}\n", `package a
default b := {"decision": "deny", "reason": "x"}`)
	f.Add("agent_control_specification_version: 0.3.1\npolicies: {p: {type: x}}\ntools: {a: {}, b.c: {}}\nannotators: {k: {}}\nintervention_points: {pre_tool_call: {policy: {id: p}, policy_target: $snap.tool_call.args, annotations: {k: {from: x}}}}\n", "")
	f.Fuzz(func(t *testing.T, manifest, rego string) {
		got := ACS.Import(fstest.MapFS{"m.yaml": {Data: []byte(manifest)}, "m.rego": {Data: []byte(rego)}}, "m.yaml", Options{})
		switch {
		case got.Files == nil && !got.Found.Worst(proviso.Error):
			t.Error("no pack and no error")
		case got.Files != nil:
			if ds := load(got.Files); ds.Worst(proviso.Error) {
				t.Errorf("%q becomes no pack: %v\n%s", manifest, ds, got.Files["rules.yaml"])
			}
		}
	})
}

// FuzzFormats: whatever a file holds, importing it ends, and ends in a pack that compiles or in an error.
func FuzzFormats(f *testing.F) {
	for i, format := range All {
		names, err := filepath.Glob("testdata/" + format.Name + "-*.txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			a, err := txtar.ParseFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(i, a.Files[0].Data, false)
		}
	}
	tools := []byte(`[{"name": "a"}, {"name": "b_c"}]`)
	f.Fuzz(func(t *testing.T, n int, src []byte, holes bool) {
		format := All[uint(n)%uint(len(All))]
		got := format.Import(fstest.MapFS{"policy": {Data: src}, "tools.json": {Data: tools}}, "policy", Options{Holes: holes})
		switch {
		case got.Files == nil && !got.Found.Worst(proviso.Error):
			t.Errorf("%s: no pack and no error", format.Name)
		case got.Files != nil:
			if ds := load(got.Files); ds.Worst(proviso.Error) {
				t.Errorf("%s: %q becomes no pack: %v\n%s", format.Name, src, ds, got.Files["rules.yaml"])
			}
		}
	})
}
