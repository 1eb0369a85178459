package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/importer"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/session"
)

// cedarRequest is one request of the hand-written integration tests of Cedar, with the decision and the policies that determine it.
type cedarRequest struct {
	Description                 string
	Principal, Action, Resource struct{ Type, ID string }
	Context                     json.RawMessage
	Decision                    string
	Reason, Errors              []string
}

// cedarFiles reads the archive of the tests.
func cedarFiles(t *testing.T) map[string][]byte {
	f, err := os.Open(testkit.Data(t, "engines/cedar_handwritten.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// cedarDecides imports policies with their entities and decides a request.
func cedarDecides(t *testing.T, policies, entities, tools []byte, r cedarRequest) proviso.Decision {
	t.Helper()
	got := importer.Cedar.Import(fstest.MapFS{"p.cedar": {Data: policies}, "entities.json": {Data: entities}, "tools.json": {Data: tools}}, "p.cedar", importer.Options{})
	if got.Files == nil {
		t.Fatalf("%s: %v", policies, got.Found)
	}
	pk, ds := pack.Load(testkit.FS(got.Files), ".")
	if ds.Worst(proviso.Error) {
		t.Fatalf("%v\n%s", ds, got.Files["rules.yaml"])
	}
	p, ds := policy.Compile(pk)
	if p == nil {
		t.Fatalf("%v\n%s", ds, got.Files["rules.yaml"])
	}
	state := session.New(p, "s")
	uid := func(t, id string) string { return t + `::"` + id + `"` }
	for _, ev := range []proviso.Event{
		{Session: "s", Seq: 1, Point: proviso.SessionStart, Body: &proviso.Lifecycle{Kind: "start", Attributes: map[string]any{"principal": uid(r.Principal.Type, r.Principal.ID), "resource": uid(r.Resource.Type, r.Resource.ID)}}},
		{Session: "s", Seq: 2, Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "c", Tool: r.Action.ID, Args: proviso.JSON(r.Context)}},
	} {
		in := state.Bind(&ev)
		d := p.Decide(in, state.View(in))
		if ev.Seq == 2 {
			return d
		}
		record := state.Record(in, d)
		if err := state.Apply(in, &record); err != nil {
			t.Fatal(err)
		}
	}
	return proviso.Decision{}
}

// Cedar's own integration tests, imported: what is decided, and which policies determine it. A policy determines a permission if it alone, without the others, permits; and a denial if its rule is among the reasons.
func TestCedarHandwritten(t *testing.T) {
	files := cedarFiles(t)
	decisions, reasons, n := 0, 0, 0
	for name, b := range files {
		if !strings.HasSuffix(name, ".json") || !strings.HasPrefix(name, "tests/") {
			continue
		}
		var suite struct {
			Policies, Entities string
			Requests           []cedarRequest
		}
		if err := json.Unmarshal(b, &suite); err != nil {
			t.Fatal(err)
		}
		var tools []map[string]string
		for _, r := range suite.Requests {
			tools = append(tools, map[string]string{"name": r.Action.ID})
		}
		slices.SortFunc(tools, func(a, b map[string]string) int { return strings.Compare(a["name"], b["name"]) })
		tools = slices.CompactFunc(tools, func(a, b map[string]string) bool { return a["name"] == b["name"] })
		list, _ := json.Marshal(tools)
		for _, r := range suite.Requests {
			n++
			r.Context = cedarExtension.ReplaceAll(r.Context, []byte("$1"))
			d := cedarDecides(t, files[suite.Policies], files[suite.Entities], list, r)
			if got := d.Outcome.String(); got == r.Decision {
				decisions++
			} else {
				t.Errorf("%s: %s: %s, want %s %v: %v", name, r.Description, got, r.Decision, r.Reason, d.Reasons)
			}
			var determine []string
			for i, one := range cedarSplit(files[suite.Policies]) {
				alone := cedarDecides(t, one, files[suite.Entities], list, r)
				forbids := bytes.HasPrefix(bytes.TrimSpace(one), []byte("forbid"))
				fired := slices.ContainsFunc(alone.Reasons, func(r proviso.Reason) bool { return r.Rule == "policy0" })
				if forbids && fired || !forbids && r.Decision == "allow" && alone.Outcome == proviso.Allow {
					determine = append(determine, fmt.Sprintf("policy%d", i))
				}
			}
			if r.Decision == "deny" && len(r.Errors) > 0 {
				determine = slices.DeleteFunc(determine, func(p string) bool { return slices.Contains(r.Errors, p) })
			}
			slices.Sort(r.Reason)
			if slices.Equal(determine, r.Reason) || len(determine)+len(r.Reason) == 0 {
				reasons++
			} else {
				t.Errorf("%s: %s: determined by %v, want %v", name, r.Description, determine, r.Reason)
			}
		}
	}
	if n == 0 {
		t.Fatal("the archive has no request")
	}
	fmt.Printf("figure: cedar.decisions_equal = %.4f (n=%d)\n", float64(decisions)/float64(n), n)
	fmt.Printf("figure: cedar.reasons_equal = %.4f (n=%d)\n", float64(reasons)/float64(n), n)
}

// cedarExtension is an address or a decimal number as Cedar's JSON writes it. A tool's arguments have a plain text there.
var cedarExtension = regexp.MustCompile(`\{\s*"__extn"\s*:\s*\{\s*"fn"\s*:\s*"[a-z]+"\s*,\s*"arg"\s*:\s*("[^"]*")\s*\}\s*\}`)

// cedarSplit cuts policies apart, without their comments.
func cedarSplit(src []byte) (out [][]byte) {
	var lines []string
	for _, l := range strings.Split(string(src), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(l), "//") {
			lines = append(lines, l)
		}
	}
	for _, p := range strings.SplitAfter(strings.Join(lines, "\n"), ";") {
		if strings.TrimSpace(p) != "" {
			out = append(out, []byte(p))
		}
	}
	return out
}
