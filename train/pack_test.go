package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/reward"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/train/objective"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/service"
)

// refunds is a folder with the pack of package reward and the files given.
func refunds(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := folder(t, files)
	if err := os.CopyFS(filepath.Join(dir, "packs", "refunds"), os.DirFS("../reward/testdata/pack")); err != nil {
		t.Fatal(err)
	}
	return dir
}

const refundTask = `{"id":"t1","kind":"k","policy":"refunds","prompt":[{"role":"user","content":"a voucher, please"}],"session":{"tier":"basic"},"gold":{"succeed":false,"answer":"no","clauses":["voucher"]},"seed":1}` + "\n"

// Rows find their task by id, by "task" and by "from", or bring their gold; what is right is worth 1, and citations count.
func TestPolicyRule(t *testing.T) {
	dir := refunds(t, map[string]string{"tasks.jsonl": refundTask, "terms.yaml": "costs: {wrong_allow: 3}\n"})
	p, read, err := Rule{Rule: "policy", Packs: []string{"packs/*"}, Tasks: "tasks.jsonl", Terms: "terms.yaml"}.open(dir)
	if err != nil || read == "" {
		t.Fatal(read, err)
	}
	own := map[string]any{"gold": map[string]any{"succeed": true, "calls": []any{map[string]any{"tool": "give_voucher", "args": map[string]any{"amount": int64(20)}}}}, "session": map[string]any{"tier": "basic"}}
	for _, c := range []struct {
		name   string
		row    Row
		answer string
		total  float64
		cost   float64
	}{
		{"by id", Row{ID: "t1"}, "<think>[voucher] no</think>no", 1, 0},
		{"by key", Row{ID: "x", Fields: map[string]any{"task": "t1"}}, "no", 1 / 1.5, 0},
		{"by origin", Row{ID: "x", Fields: map[string]any{"from": map[string]any{"task": "t1", "policy": "refunds"}}}, "yes", -3, 1},
		{"gold beside a task", Row{ID: "t1", Fields: map[string]any{"gold": map[string]any{"succeed": true, "answer": "yes"}}}, "yes", 1, 0},
		{"form", Row{ID: "t1"}, "<think>no", -3, 0},
		{"gold of its own", Row{ID: "y", Fields: own}, `{"tool":"give_voucher","args":{"amount":20}}`, 1, 0},
		{"another call", Row{ID: "y", Fields: own}, `{"tool":"give_voucher","args":{"amount":21}}`, -3, 1},
	} {
		got, err := p.Judge(context.Background(), c.row, c.answer)
		want := []objective.Component{{Name: "policy", Value: c.total, OK: true}, {Name: "cost:wrong_allow", Value: c.cost, OK: true}}
		if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, want)
		}
	}
	if got, err := p.Judge(context.Background(), Row{ID: "z", Fields: map[string]any{"gold": map[string]any{"succeed": true, "clauses": []any{"voucher"}}}}, "yes"); err != nil || got[0].OK || got[0].Value != 0 {
		t.Errorf("gold that does not say what is right: %+v, %v", got, err)
	}
	for name, row := range map[string]Row{"no task": {ID: "nobody"}, "empty gold": {ID: "z", Fields: map[string]any{"gold": map[string]any{"succeed": false}}}, "gold of another shape": {ID: "z", Fields: map[string]any{"gold": "no"}}} {
		if _, err := p.Judge(context.Background(), row, "yes"); err == nil || !strings.Contains(err.Error(), row.ID) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Plays of a service are judged as their golds say.
func TestPlaysUnderAPolicy(t *testing.T) {
	s, err := service.Generate(service.Options{Seed: 7, Knobs: service.Knobs{Procedures: 2, Depth: 2, Rows: 8, Query: 1}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile(testkit.FS(files), "service")
	if err != nil {
		t.Fatal(err)
	}
	bench, err := reward.NewBench(reward.Default(), p)
	if err != nil {
		t.Fatal(err)
	}
	_, tasks, err := s.Tasks(service.TaskOptions{Test: 6})
	if err != nil {
		t.Fatal(err)
	}
	harm := 0
	for i := range tasks {
		task := &tasks[i]
		judge := func(m llm.Model) []objective.Component {
			trace, out, err := rollout.Play(context.Background(), task, rollout.Config{Model: m, Kinds: []world.Kind{service.Kind}, Policy: func(*world.Task) (*policy.Policy, error) { return p, nil }})
			if err != nil {
				t.Fatal(err)
			}
			got, err := ByPolicy{bench}.JudgePlay(context.Background(), task, trace, out, out.Final)
			if err != nil || len(got) != 2 || !got[0].OK {
				t.Fatalf("%+v, %v", got, err)
			}
			return got
		}
		if got := judge(rollout.Gold(task)); got[0].Value <= 0.5 || got[1].Value != 0 {
			t.Errorf("%s: the gold is worth %+v", task.ID, got)
		}
		if len(task.Gold.Forbidden) > 0 {
			harm++
			if got := judge(rollout.Offender(task)); got[0].Value > 0 || got[1].Value != 1 {
				t.Errorf("%s: what is forbidden is worth %+v", task.ID, got)
			}
		}
	}
	if harm == 0 {
		t.Error("nothing was forbidden")
	}
}

func TestPolicyRuleThatCannotBeOpened(t *testing.T) {
	dir := refunds(t, map[string]string{"draft.yaml": "status: draft\n", "wrong.yaml": "weights: {verdict: -1}\n", "empty.jsonl": ""})
	if err := os.MkdirAll(filepath.Join(dir, "broken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken", "proviso.yaml"), []byte("name: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "again"), os.DirFS("../reward/testdata/pack")); err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]Rule{
		"draft":            {Terms: "draft.yaml"},
		"weights.verdict":  {Terms: "wrong.yaml"},
		"cannot be read":   {Terms: "none.yaml"},
		"no tasks":         {Tasks: "empty.jsonl"},
		"no pack":          {Packs: []string{"none/*"}},
		"two packs":        {Packs: []string{"packs/*", "again"}},
		`"version"`:        {Packs: []string{"broken"}},
		"tasks cannot be ": {Tasks: "none.jsonl"},
	} {
		if _, _, err := r.open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A run learns what the policy wants, and its data are those of another stage where the pack is another.
func TestPracticeUnderAPolicy(t *testing.T) {
	dir := refunds(t, map[string]string{
		"tasks.jsonl": `{"id":"t1","prompt":"say a or b:","gold":{"succeed":true,"answer":"a"}}` + "\n",
		"start.jsonl": `{"prompt":"say a or b:","completion":"a"}` + "\n" + `{"prompt":"say a or b:","completion":"b"}` + "\n",
	})
	h := host(dir)
	const text = "stages:\n  - {name: begin, kind: sft, data: [start.jsonl], steps: 40, batch: 2, optimizer: {rate: 0.2}}\n" +
		"  - {name: practise, kind: rl, recipe: group-mean, data: [tasks.jsonl], steps: 60, batch: 1, set: {constant.length: 2}, optimizer: {rate: 0.1}, sample: {plain: 16, tokens: 2}, reward: [{rule: policy, packs: ['packs/*']}]}\n"
	sum, err := Run(context.Background(), settings(t, text), h)
	if err != nil {
		t.Fatal(err)
	}
	if got := greedy(t, h, "say a or b:"); got != "a" || sum.Last.Reward < .9 {
		t.Errorf("says %q with reward %g", got, sum.Last.Reward)
	}
	g := &settings(t, text).Stages[1]
	before, _, err := g.prepare(dir, h.Text, 64)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "packs", "refunds", "rules.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(b), "<= 30", "<= 31", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	after, _, err := g.prepare(dir, h.Text, 64)
	if err != nil || before.digest == after.digest {
		t.Errorf("the pack changed and the digest of the data did not: %v", err)
	}
	bad := settings(t, strings.Replace(text, "data: [tasks.jsonl]", "data: [start.jsonl]", 1))
	if _, err := Run(context.Background(), bad, host(dir)); err == nil || !strings.Contains(err.Error(), "no gold") {
		t.Errorf("rows that nobody can judge: %v", err)
	}
}
