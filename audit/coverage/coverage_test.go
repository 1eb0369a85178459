package coverage

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/document"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
)

func shop(t *testing.T) (*policy.Policy, *pack.Pack) {
	t.Helper()
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"proviso.yaml": "name: shop\nversion: \"1\"\n",
		"policy.md":    "# Cancel\n\nThese orders are cancelled:\n\n- orders of today\n- orders of <b>friends</b>\n\nBe kind:\n\n- say hello\n\nNo refunds.\n",
		"tools.json":   `[{"name": "cancel", "inputSchema": {"type": "object", "properties": {"hours": {"type": "integer"}}, "required": ["hours"]}}]`,
		"rules.yaml": "grants: [{tools: [cancel]}]\nrules:\n  - {id: today, clause: [cancel/2], tools: [cancel], require: args.hours < 24}\n" +
			"unenforceable:\n  - {clause: [cancel/4], reason: taste}\n",
		"tests/cases.yaml": "cases:\n  - name: early\n    steps: [{call: cancel, args: {hours: 1}, want: allow}]\n  - name: late <i>\n    steps: [{call: cancel, args: {hours: 30}, want: deny today}]\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	pk, ds := pack.Load(files, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	return p, pk
}

// A rule for an item holds for the words that introduce the list, not for its siblings; a reason for a clause holds for what belongs to it.
func TestStates(t *testing.T) {
	p, pk := shop(t)
	r := Of(p, []*pack.Pack{pk}, audit.Test(p, pk.Tests))
	var got []string
	for _, c := range r.Clauses {
		got = append(got, c.ID+" "+string(c.State))
	}
	want := "cancel/1 enforced, cancel/2 enforced, cancel/3 open, cancel/4 unenforceable, cancel/5 unenforceable, cancel/6 open"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
	if r.Settled != 4 || r.Total != 6 || r.Count(Open) != 2 || r.RulePercent() != 100 {
		t.Errorf("%+v", r)
	}
	if rule := r.Rules[0]; !rule.Both() || rule.StopsIn[0] != "late <i>" || rule.PassesIn[0] != "early" {
		t.Errorf("%+v", rule)
	}
	// Without cases nothing is shown.
	if r := Of(p, []*pack.Pack{pk}, nil); r.Count(Enforced) != 0 || r.Count(Untested) != 2 {
		t.Errorf("without cases: %+v", r)
	}
	if (&Report{}).Percent() != 100 {
		t.Error("nothing is not covered")
	}
}

// What documents and cases say is text on the page, whatever is in it.
func TestPageEscapes(t *testing.T) {
	p, pk := shop(t)
	var b bytes.Buffer
	if err := Of(p, []*pack.Pack{pk}, audit.Test(p, pk.Tests)).HTML(&b, "shop <script>"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<b>friends", "late <i>", "shop <script>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if !strings.Contains(b.String(), "&lt;b&gt;friends") {
		t.Error("the clause is not on the page")
	}
}

func TestStaleSince(t *testing.T) {
	p, pk := shop(t)
	before, _ := document.Parse("old.md", []byte("# Cancel\n\nThese orders are cancelled:\n\n- orders of today and of yesterday\n- orders of <b>friends</b>\n\nBe kind:\n\n- say hello\n"))
	stale := StaleSince(p, pk, before, pk.Document)
	if len(stale) != 1 || stale[0].Rule != "today" || stale[0].Change.Kind != document.Reworded {
		t.Fatalf("%+v", stale)
	}
	if d := stale[0].Diagnostic("policy.md"); d.Pos.Line != 5 || !strings.Contains(d.Msg, `"orders of today and of yesterday" became "orders of today"`) {
		t.Errorf("%+v", d)
	}
	if again := StaleSince(p, pk, pk.Document, pk.Document); again != nil {
		t.Errorf("against itself: %+v", again)
	}
}
