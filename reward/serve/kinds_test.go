package serve

import (
	"context"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/reward"
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

// The kinds that proviso gen makes, served together: what the gold does, by words or by tools, step by step, earns everything, and silence does not.
func TestKinds(t *testing.T) {
	sc := scene.Generate(1, 2, scene.Options{})
	ve, err := version.Generate(version.Options{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	knobs, err := service.Level(1)
	if err != nil {
		t.Fatal(err)
	}
	se, err := service.Generate(service.Options{Seed: 7, Knobs: knobs})
	if err != nil {
		t.Fatal(err)
	}
	vFiles, err := ve.Files()
	if err != nil {
		t.Fatal(err)
	}
	sFiles, err := se.Files()
	if err != nil {
		t.Fatal(err)
	}
	bench, err := reward.NewBench(reward.Default(), compileFiles(t, sc.Pack()), compileFiles(t, vFiles), compileFiles(t, sFiles))
	if err != nil {
		t.Fatal(err)
	}
	all := scene.Tasks(sc, 4, scene.TaskOptions{Seed: 3})
	_, vTasks, err := ve.Tasks(0, 4)
	if err != nil {
		t.Fatal(err)
	}
	_, sTasks, err := se.Tasks(service.TaskOptions{Test: 6})
	if err != nil {
		t.Fatal(err)
	}
	all = append(append(all, vTasks...), sTasks...)
	s, err := New(Config{Bench: bench, Tasks: all, Kinds: []world.Kind{scene.Kind, version.Kind, service.Kind}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range all {
		task := &all[i]
		var cites strings.Builder
		for _, id := range task.Gold.Clauses {
			cites.WriteString("[" + id + "] ")
		}
		play := func(calls []world.Call, final string) float64 {
			p, _, err := s.begin(ctx, map[string]any{"task": task.ID})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range calls {
				if out, err := s.act(ctx, p, map[string]any{"tool": c.Tool, "args": c.Args}); err != nil || out.Observation["error"] == true {
					t.Fatalf("%s: %s: %v %v", task.ID, c.Tool, out, err)
				}
			}
			out, err := s.act(ctx, p, map[string]any{"text": final})
			if err != nil || out.Reward == nil {
				t.Fatalf("%s: %+v %v", task.ID, out, err)
			}
			return *out.Reward
		}
		if got := play(task.Gold.Plan, world.Write(cites.String(), task.Gold.Answer)); got < 1-1e-9 {
			t.Errorf("%s: the gold earns %g", task.ID, got)
		}
		if got := play(nil, "I do not know."); got > 0 {
			t.Errorf("%s: nothing earns %g", task.ID, got)
		}
	}
}
