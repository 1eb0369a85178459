package reward_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/reward"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/scene"
	"github.com/proviso-dev/proviso/world/service"
	"github.com/proviso-dev/proviso/world/version"
)

func compileFiles(t *testing.T, files map[string][]byte) *policy.Policy {
	t.Helper()
	k, found := pack.Load(testkit.FS(files), ".")
	p, more := policy.Compile(k)
	if p == nil {
		t.Fatal(append(found, more...))
	}
	return p
}

func bench(t *testing.T, policies ...*policy.Policy) *reward.Bench {
	t.Helper()
	spec := reward.Default()
	spec.Costs = reward.Costs{WrongAllow: 3, WrongDeny: 1}
	b, err := reward.NewBench(spec, policies...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cited(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString("[" + id + "] ")
	}
	return b.String()
}

// Scenes of several policies: the gold with its thought is worth 1, another answer 0, an id of a deeper policy is invented.
func TestScenes(t *testing.T) {
	a, b := scene.Generate(1, 2, scene.Options{}), scene.Generate(2, 4, scene.Options{})
	judge := bench(t, compileFiles(t, a.Pack()), compileFiles(t, b.Pack()))
	for _, p := range []scene.Policy{a, b} {
		for i, task := range scene.Tasks(p, 12, scene.TaskOptions{Seed: 3}) {
			c := reward.Of(&task)
			score := func(text string) reward.Report {
				r, err := judge.Score(&c, reward.Attempt{Text: text})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := score(world.Write(scene.Thought(task.Gold.Steps), task.Gold.Answer)); r.Total != 1 {
				t.Errorf("%s task %d: the gold is worth %g: %+v", p.Name, i, r.Total, r)
			}
			if r := score(world.Write(scene.Thought(task.Gold.Steps), "Case 0")); r.Verdict != reward.Wrong || r.Total != 0 {
				t.Errorf("%s task %d: another answer: %+v", p.Name, i, r)
			}
			if r := score(world.Write("[C4096] yes "+scene.Thought(task.Gold.Steps), task.Gold.Answer)); len(r.Invented) != 1 || r.Total >= 1 {
				t.Errorf("%s task %d: an invented clause: %+v", p.Name, i, r)
			}
		}
	}
}

// Tools with versions: the gold call is worth 1 in any order of its keys, another version of the tool is a wrong allow, because the compiled pack denies it.
func TestVersions(t *testing.T) {
	p, err := version.Generate(version.Options{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	judge := bench(t, compileFiles(t, files))
	_, tests, err := p.Tasks(0, 30)
	if err != nil {
		t.Fatal(err)
	}
	others := 0
	for i := range tests {
		c, gold := reward.Of(&tests[i]), tests[i].Gold.Calls[0]
		call := func(tool string) string {
			args, err := json.Marshal(gold.Args)
			if err != nil {
				t.Fatal(err)
			}
			return world.Write(cited(tests[i].Gold.Clauses), `{"args": `+string(args)+`, "tool": "`+tool+`"}`)
		}
		if r, err := judge.Score(&c, reward.Attempt{Text: call(gold.Tool)}); err != nil || math.Abs(r.Total-1) > 1e-9 {
			t.Errorf("%s: the gold is worth %g: %+v %v", c.ID, r.Total, r, err)
		}
		base, _, _ := strings.Cut(gold.Tool, "_v")
		for _, other := range judge.Policies()[strings.ToLower(p.Name())].Tools() {
			if strings.HasPrefix(other, base+"_v") && other != gold.Tool {
				others++
				if r, err := judge.Score(&c, reward.Attempt{Text: call(other)}); err != nil || r.Verdict != reward.WrongAllow || r.Total != -3 {
					t.Errorf("%s: %s in place of %s: %+v %v", c.ID, other, gold.Tool, r, err)
				}
			}
		}
	}
	if others == 0 {
		t.Error("no other version was tried")
	}
}

// A service: plays of the gold under the guard are worth 1 with their clauses cited, plays that do what is forbidden cost.
func TestServices(t *testing.T) {
	knobs, err := service.Level(1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Generate(service.Options{Seed: 7, Knobs: knobs})
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	p := compileFiles(t, files)
	judge := bench(t, p)
	_, tests, err := s.Tasks(service.TaskOptions{Test: 12})
	if err != nil {
		t.Fatal(err)
	}
	harm := 0
	for i := range tests {
		task := &tests[i]
		c := reward.Of(task)
		score := func(m llm.Model, end string) reward.Report {
			trace, _, err := rollout.Play(context.Background(), task, rollout.Config{Model: m, Kinds: []world.Kind{service.Kind}, Policy: func(*world.Task) (*policy.Policy, error) { return p, nil }})
			if err != nil {
				t.Fatal(err)
			}
			w, err := service.Kind.Open(task)
			if err != nil {
				t.Fatal(err)
			}
			state := task.Gold.State
			if end == "" { // what the offender left behind is not looked at
				if state, err = w.State(); err != nil {
					t.Fatal(err)
				}
			}
			r, err := judge.Score(&c, reward.FromTrace(&trace, world.Write(cited(task.Gold.Clauses), task.Gold.Answer), state))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		if r := score(rollout.Gold(task), "gold"); r.Verdict != reward.Right || math.Abs(r.Total-1) > 1e-9 {
			t.Errorf("%s: the gold play is worth %g: %+v", c.ID, r.Total, r)
		}
		if len(task.Gold.Forbidden) > 0 {
			harm++
			if r := score(rollout.Offender(task), ""); r.Verdict == reward.Right || r.Total >= 0 {
				t.Errorf("%s: the forbidden play is worth %g: %+v", c.ID, r.Total, r)
			}
		}
	}
	if harm == 0 {
		t.Error("nothing was forbidden in any task")
	}
}
