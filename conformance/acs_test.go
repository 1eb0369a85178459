package conformance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/importer"
	"github.com/proviso-dev/proviso/policy/pack"
)

// acsCase is one case of the suite: a manifest, what the policy behind it answers, what happens, and what has to come of it.
type acsCase struct {
	Suite, ID, Operation, Mode string
	Manifest                   string `json:"manifest_yaml"`
	Point                      string `json:"intervention_point"`
	Snapshot                   map[string]json.RawMessage
	Response                   json.RawMessage            `json:"policy_response"`
	Behavior                   string                     `json:"policy_behavior"`
	Annotated                  map[string]json.RawMessage `json:"annotator_outputs"`
	Limits                     map[string]int
	Expected                   *struct {
		Decision, Reason string
		Transformed      json.RawMessage `json:"transformed_policy_target"`
	}
	ExpectedReason string `json:"expected_reason"`
	Data           json.RawMessage
}

// files are the manifest and, where the policy is in Rego, a module that answers what the case says that it does.
func (c *acsCase) files() fstest.MapFS {
	files := fstest.MapFS{"acs/manifest.yaml": {Data: []byte(c.Manifest)}}
	for line := range strings.Lines(c.Manifest) {
		if query, ok := strings.CutPrefix(strings.TrimSpace(line), "query: data."); ok && c.Response != nil && c.Behavior != "error" {
			at := strings.LastIndexByte(query, '.')
			files["acs/policy.rego"] = &fstest.MapFile{Data: fmt.Appendf(nil, "package %s\nimport rego.v1\ndefault %s := %s\n", query[:at], query[at+1:], c.Response)}
		}
	}
	return files
}

// Answer says what the policy and the annotators of the case say; whatever fails, or says something that is no verdict, has not answered.
func (c *acsCase) Answer(question string, _ []any) proviso.Tri {
	for name := range c.Annotated {
		if strings.HasSuffix(question, "_"+name) {
			return proviso.True
		}
	}
	var verdict struct{ Decision string }
	if question != acsOurs[c.Point].String() || c.Behavior == "error" || json.Unmarshal(c.Response, &verdict) != nil || verdict.Decision == "" {
		return proviso.Unknown
	}
	return proviso.TriOf(verdict.Decision == "allow" || verdict.Decision == "warn")
}

// acsOurs are our names for the points of the suite.
var acsOurs = map[string]proviso.Point{"input": proviso.Input, "output": proviso.Output, "pre_model_call": proviso.ModelRequestPoint,
	"post_model_call": proviso.ModelResponsePoint, "pre_tool_call": proviso.ToolCallPoint, "post_tool_call": proviso.ToolResultPoint}

// event is what happens, as our doors would say it. A part that is not of the kind that it has to be is left empty, as a door would find it.
func (c *acsCase) event(t testing.TB) (ev proviso.Event, call *proviso.Event) {
	text := func(key string) string {
		var plain string
		var parts struct{ Text, Content string }
		if raw := c.Snapshot[key]; json.Unmarshal(raw, &plain) == nil {
			return plain
		} else if json.Unmarshal(raw, &parts) == nil && parts.Text+parts.Content != "" {
			return parts.Text + parts.Content
		}
		return string(c.Snapshot[key])
	}
	var tool struct {
		Name any
		Args json.RawMessage
	}
	if raw := c.Snapshot["tool_call"]; raw != nil {
		must(t, json.Unmarshal(raw, &tool))
	}
	name, _ := tool.Name.(string)
	called := proviso.Event{Session: "s", Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "1", Tool: name, Args: proviso.JSON(tool.Args)}}
	ev = proviso.Event{Session: "s", Point: acsOurs[c.Point]}
	switch c.Point {
	case "input":
		ev.Body = &proviso.Message{Role: proviso.User, Text: text("input")}
	case "output":
		ev.Body = &proviso.Message{Role: proviso.Assistant, Text: text("output")}
	case "pre_model_call":
		ev.Body = &proviso.ModelRequest{Text: text("model_request")}
	case "post_model_call":
		ev.Body = &proviso.ModelResponse{Text: text("model_response")}
	case "pre_tool_call":
		return called, nil
	case "post_tool_call":
		ev.Body = &proviso.ToolResult{CallID: "1", Tool: name, Content: proviso.JSON(c.Snapshot["tool_result"])}
		return ev, &called
	}
	return ev, nil
}

// imported is the pack that a manifest becomes; nil where it is refused.
func imported(t testing.TB, files fs.FS, o importer.Options) *policy.Policy {
	got := importer.ACS.Import(files, "acs/manifest.yaml", o)
	if got.Found.Worst(proviso.Error) {
		if got.Files != nil {
			t.Errorf("files beside errors: %v", got.Found)
		}
		return nil
	}
	written := fstest.MapFS{}
	for n, b := range got.Files {
		written[path.Join("p", n)] = &fstest.MapFile{Data: b}
	}
	pk, ds := pack.Load(written, "p")
	if ds.Worst(proviso.Error) {
		t.Fatalf("the imported pack does not load: %v", ds)
	}
	p, ds := policy.Compile(pk)
	if ds.Worst(proviso.Error) {
		t.Fatalf("the imported pack does not compile: %v\n%s", ds, got.Files["rules.yaml"])
	}
	for _, one := range audit.Test(p, pk.Tests) {
		if !one.Passed() {
			t.Errorf("a case of the imported pack fails: %s: %v", one.Name, one.Failures)
		}
	}
	return p
}

// decide is what comes of the case, in the suite's words, and what is said about it.
func (c *acsCase) decide(t testing.TB) (decision, said string) {
	p := imported(t, c.files(), importer.Options{Observe: c.Mode == "evaluate_only", MaxBytes: c.Limits["max_snapshot_bytes"]})
	if p == nil {
		return "deny", "the manifest is refused"
	}
	if c.Operation == "build" {
		return "allow", ""
	}
	ev, called := c.event(t)
	var call *policy.Input
	if called != nil {
		call = p.Bind(called, nil)
	}
	d := p.Decide(p.Bind(&ev, call), &policy.View{Now: time.Unix(0, 0).UTC(), Session: p.SessionDefaults(), Answers: c})
	decision = d.Outcome.String()
	for _, r := range d.Reasons {
		said += r.Rule + " " + r.Agent + "\n"
		if r.Mode == "audit" {
			decision = "transform" // the only one that the suite evaluates without enforcing
		}
	}
	for _, e := range d.Errors {
		said += e.Msg + "\n"
	}
	for _, m := range d.Missing {
		said += m.Question + "\n"
	}
	switch {
	case d.Outcome == proviso.NeedInfo:
		decision = "deny"
	case d.Outcome == proviso.Allow && len(d.Edits) > 0:
		decision = "transform"
		edited, err := policy.Apply(p.Bind(&ev, call), d.Edits)
		must(t, err)
		if want := c.Expected; want != nil && len(want.Transformed) > 0 && string(want.Transformed) != "null" {
			var target struct{ Text string }
			must(t, json.Unmarshal(want.Transformed, &target))
			if m, ok := edited.Body.(*proviso.Message); !ok || m.Text != target.Text {
				t.Errorf("%s: %+v is sent, %q has to be", c.ID, edited.Body, target.Text)
			}
		}
	case d.Outcome == proviso.Allow && len(d.Notices) > 0:
		decision = "warn"
	}
	return decision, said
}

// acsVerdicts are the rows of the suite's table of verdicts, as cases of their own about a call with an argument to change.
func acsVerdicts(t testing.TB, data json.RawMessage) (out []acsCase) {
	for _, r := range parse[struct {
		Rows []struct {
			ID         string
			Input      json.RawMessage
			Normalized *string `json:"normalized_decision"`
		}
	}](t, data).Rows {
		c := acsCase{Suite: "parity", ID: "verdict " + r.ID, Operation: "evaluate", Point: "pre_tool_call", Response: r.Input,
			Manifest: "agent_control_specification_version: 0.3.1\npolicies: {p: {type: rego, query: data.acs.verdict}}\n" +
				"intervention_points: {pre_tool_call: {tool_name_from: $snap.tool_call.name, policy: {id: p}, policy_target: $snap.tool_call.args}}\ntools: {search: {type: Tool}}\n"}
		// The query has to stand on a line of its own, where files looks for it.
		c.Manifest = strings.Replace(c.Manifest, "policies: {p: {type: rego, query: data.acs.verdict}}", "policies:\n  p:\n    type: rego\n    query: data.acs.verdict", 1)
		c.Snapshot = map[string]json.RawMessage{"tool_call": json.RawMessage(`{"name": "search", "args": {"flag": false}}`)}
		c.Expected = &struct {
			Decision, Reason string
			Transformed      json.RawMessage `json:"transformed_policy_target"`
		}{Decision: "deny"}
		if r.Normalized != nil {
			c.Expected.Decision = *r.Normalized
		} else {
			c.Expected.Reason = "runtime_error:policy_output_invalid"
		}
		out = append(out, c)
	}
	return out
}

// Every manifest becomes a pack that decides as the specification says: what has to be stopped is stopped and says why, and what may pass passes, with the same warning, approval or change.
func TestACS(t *testing.T) {
	var cases []acsCase
	var agree, manifests, missed, wrongful tally
	testkit.Lines(t, "engines/acs_conformance.jsonl", func(line []byte) {
		c := parse[acsCase](t, line)
		if c.Suite != "parity" {
			cases = append(cases, c)
			return
		}
		cases = append(cases, acsVerdicts(t, c.Data)...)
		for _, m := range parse[struct {
			Cases []struct {
				Name, Manifest string
				Rego           map[string]string
				Valid          bool
			}
		}](t, c.Data).Cases {
			files := fstest.MapFS{"acs/manifest.yaml": {Data: []byte(m.Manifest)}}
			for n, src := range m.Rego {
				files["acs/"+n] = &fstest.MapFile{Data: []byte(src)}
			}
			right := (imported(t, files, importer.Options{}) != nil) == m.Valid
			manifests.add(right)
			if !right {
				t.Errorf("manifest %s: valid is %v in the suite", m.Name, m.Valid)
			}
		}
	})
	for _, c := range cases {
		want, reason := "deny", c.ExpectedReason
		if c.Expected != nil {
			want, reason = c.Expected.Decision, c.Expected.Reason
		}
		got, said := c.decide(t)
		// A fault of the runtime has to stop the event, in whatever way, and say so; a verdict of the policy has to be given with its reason.
		right := got == want
		if strings.HasPrefix(reason, "runtime_error:") {
			right = (got == "deny" || got == "escalate") && said != ""
		} else if want == "deny" || want == "escalate" {
			right = right && strings.Contains(said, reason)
		}
		if stops := map[string]bool{"deny": true, "escalate": true}; stops[want] {
			missed.add(!stops[got])
		} else {
			wrongful.add(stops[got])
		}
		agree.add(right)
		if !right {
			t.Errorf("%s %s: %s (%s), the suite says %s %s", c.Suite, c.ID, got, said, want, reason)
		}
	}
	agree.join(manifests)
	exactly("acs.cases", agree)
	exactly("acs.missed_violations", missed)
	exactly("acs.wrongful_denials", wrongful)
}
