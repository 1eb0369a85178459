package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
)

// webStep is one step of a trajectory of the suite; parts may be absent.
type webStep struct {
	Action struct {
		Type string `json:"action_type"`
		Args []any  `json:"action_args"`
	}
	State struct {
		Info struct {
			Text string `json:"element_text"`
		}
		Observation struct {
			URL   string   `json:"url"`
			Pages []string `json:"open_pages_urls"`
		}
	}
}

// args are the arguments of the step as a call of the tool act.
func (s webStep) args(t testing.TB) json.RawMessage {
	values := []string{}
	for _, a := range s.Action.Args {
		if v, ok := a.(string); ok {
			values = append(values, v)
		} else {
			values = append(values, string(encode(t, a)))
		}
	}
	return encode(t, map[string]any{"action": s.Action.Type, "values": values, "element": s.State.Info.Text})
}

// page is the result of the step: what the browser shows.
func (s webStep) page(t testing.TB) json.RawMessage {
	return webPage(t, s.State.Observation.URL, s.State.Observation.Pages)
}

func webPage(t testing.TB, url string, pages []string) json.RawMessage {
	return encode(t, map[string]any{"url": url, "open_pages_urls": append([]string{}, pages...)})
}

// webCase is one trajectory with what the suite says about one policy.
type webCase struct {
	id      string
	policy  webPolicy
	Steps   []webStep `json:"trajectory"`
	PageURL *string   `json:"page_url"`
	webVerdict
}

// webVerdict is what an evaluator says of a policy: whether it was violated, whether it never came into play, and at which step, where the check is about one.
type webVerdict struct {
	Violated bool
	Dormant  bool
	Step     *int `json:"violating_step"`
}

func (v webVerdict) String() string {
	step := "no step"
	if v.Step != nil {
		step = fmt.Sprint("step ", *v.Step)
	}
	return fmt.Sprintf("violated %v, dormant %v, %s", v.Violated, v.Dormant, step)
}

// webKinds are the checks that the evaluators of the unit cases make, by name.
var webKinds = map[string]string{
	"SafetyURLEvaluator":          "is_url_match",
	"ActionEvaluator":             "element_action_match",
	"AskUserConsentEvaluator":     "is_ask_the_user",
	"SensitiveDataEvaluator":      "is_sensitive_data",
	"InputHallucinationEvaluator": "is_input_hallucination",
	"CountActionEvaluator":        "is_action_count",
	"SequenceEvaluator":           "is_sequence_match",
}

// readWeb reads the policies of the suite by id, and its cases: the authors' unit tests and the differential ones.
// Left out are unit cases without a verdict on a policy, those whose verdict depends on a page that is not recorded, and those that the authors' own test fails.
func readWeb(t testing.TB) (policies []webPolicy, cases []webCase) {
	byID := map[string]webPolicy{}
	testkit.Lines(t, "stwab/policies.jsonl", func(line []byte) {
		p := parse[webPolicy](t, line)
		byID[p.ID] = p
		policies = append(policies, p)
	})
	unit := 0
	testkit.Lines(t, "stwab/harness_unit_cases.jsonl", func(line []byte) {
		c := parse[webCase](t, line)
		x := parse[struct {
			Test      string
			Evaluator string
			Policy    *struct {
				Template string `json:"policy_template_id"`
				webPolicy
			}
			Violated *bool
			UsesPage bool  `json:"uses_page"`
			Passed   *bool `json:"test_passed"`
		}](t, line)
		if x.Policy == nil || x.Violated == nil || x.UsesPage || x.Passed != nil && !*x.Passed {
			return
		}
		unit++
		c.id, c.policy = x.Test, x.Policy.webPolicy
		c.policy.ID, c.policy.Template = fmt.Sprintf("unit/%d", unit), x.Policy.Template
		if c.policy.Eval.Types = []string{webKinds[x.Evaluator]}; c.policy.kind() == "" {
			t.Fatalf("%s: no kind of check is known for %s", x.Test, x.Evaluator)
		}
		cases = append(cases, c)
	})
	testkit.Lines(t, "stwab/harness_differential_cases.jsonl", func(line []byte) {
		c := parse[webCase](t, line)
		x := parse[struct {
			Policy string `json:"policy_id"`
			Kind   string `json:"eval_type"`
		}](t, line)
		p, ok := byID[x.Policy]
		if !ok || p.kind() != x.Kind {
			t.Fatalf("a case speaks of policy %s with a check of kind %s; there is none", x.Policy, x.Kind)
		}
		c.id, c.policy = fmt.Sprintf("differential/%d of %s", len(cases)-unit, p.ID), p
		cases = append(cases, c)
	})
	return policies, cases
}

// conversation is the trajectory as an agent's log has it, in the form of OpenAI's chat completions: every step is a call of act and its result what the browser shows; the page at the end is the result of a last look.
func (c webCase) conversation(t testing.TB) json.RawMessage {
	messages := []any{map[string]any{"role": "user", "content": "Do the task."}}
	say := func(tool string, args, result json.RawMessage) {
		id := fmt.Sprintf("call-%d", len(messages))
		messages = append(messages,
			map[string]any{"role": "assistant", "content": nil, "tool_calls": []any{map[string]any{"id": id, "type": "function", "function": map[string]any{"name": tool, "arguments": string(args)}}}},
			map[string]any{"role": "tool", "tool_call_id": id, "content": string(result)})
	}
	for _, s := range c.Steps {
		say("act", s.args(t), s.page(t))
	}
	if c.PageURL != nil {
		say("look", json.RawMessage("{}"), webPage(t, *c.PageURL, nil))
	}
	return encode(t, map[string]any{"messages": messages, "created": 1_750_000_000})
}

// writeConversations writes the conversations of cases as one file of JSON lines and returns its name.
func writeConversations(t testing.TB, cases []webCase) string {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		b.Write(c.conversation(t))
		b.WriteByte('\n')
	}
	name := filepath.Join(t.TempDir(), "runs.jsonl")
	must(t, os.WriteFile(name, []byte(b.String()), 0o600))
	return name
}

// webLine is one step of an archive: the action, its arguments in quotes, the element in brackets, and behind @ the pages.
var webLine = regexp.MustCompile(`^(\S+)((?:\s+"[^"]*")*)(?:\s+\[(.*)\])?(?:\s+@\s*(.*))?$`)

// webRuns reads the runs of an archive.
func webRuns(t testing.TB, p webPolicy, text string) (cases []webCase) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if name, begins := strings.CutSuffix(line, ":"); begins {
			cases = append(cases, webCase{id: name, policy: p})
			continue
		}
		c := &cases[len(cases)-1]
		if url, ends := strings.CutPrefix(line, "page "); ends {
			c.PageURL = &url
			continue
		}
		m := webLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%q is no step", line)
		}
		var s webStep
		s.Action.Type, s.State.Info.Text = m[1], m[3]
		for i, v := range strings.Split(m[2], `"`) {
			if i%2 == 1 {
				s.Action.Args = append(s.Action.Args, v)
			}
		}
		if urls := strings.Fields(m[4]); len(urls) > 0 {
			s.State.Observation.URL, s.State.Observation.Pages = urls[0], urls[1:]
		}
		c.Steps = append(c.Steps, s)
	}
	return cases
}
