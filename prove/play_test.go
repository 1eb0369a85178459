package prove_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/testkit"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/prove"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/scene"
	"github.com/proviso-dev/proviso/world/service"
)

func compiled(t *testing.T, files map[string][]byte) *policy.Policy {
	t.Helper()
	return compile(t, testkit.FS(files))
}

func compile(t *testing.T, fsys fs.FS) *policy.Policy {
	t.Helper()
	p, found := pack.Load(fsys, ".")
	if found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	pol, found := policy.Compile(p)
	if found.Worst(proviso.Error) {
		t.Fatal(found)
	}
	return pol
}

// byTask answers each task as a model of its own would: requests are told apart by what the user says first.
type byTask struct {
	tasks []world.Task
	of    func(*world.Task) llm.Model
}

func (m byTask) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	for i := range m.tasks {
		t := &m.tasks[i]
		opening := t.Prompt[len(t.Prompt)-1].Text
		if t.User != nil {
			opening = t.User.Opening
		}
		for _, msg := range req.Messages {
			if msg.Role == proviso.User && strings.Contains(msg.Text, opening) {
				return m.of(t).Complete(ctx, req)
			}
		}
	}
	return llm.Response{}, errors.New("no task has this request")
}

// The compiled pack of a scene lets right answers through and stops every wrong one: what escapes is nothing.
func TestShieldOfScenes(t *testing.T) {
	p := scene.Generate(3, 2, scene.Options{})
	tasks := scene.Tasks(p, 24, scene.TaskOptions{Seed: 1, Split: scene.Test})
	pol := compiled(t, p.Pack())
	play := &rollout.Config{Kinds: []world.Kind{scene.Kind}, Policy: func(*world.Task) (*policy.Policy, error) { return pol, nil },
		Answer: func(_ *world.Task, said world.Said) (proviso.ToolCall, bool) {
			args, err := proviso.AppendJSON(nil, map[string]any{"case": said.Final})
			return proviso.ToolCall{Tool: scene.ToolRespond, Args: args}, err == nil
		}}
	wrong := func(task *world.Task) llm.Model {
		for _, c := range p.Cases() {
			if c != task.Gold.Answer {
				return llm.NewScript(llm.Response{Text: c, Stop: "end"})
			}
		}
		return nil
	}
	for _, c := range []struct {
		name            string
		of              func(*world.Task) llm.Model
		interventions   float64
		caught, exactly string
	}{
		{name: "right", of: func(task *world.Task) llm.Model {
			return llm.NewScript(llm.Response{Text: world.Write(scene.Thought(task.Gold.Steps), task.Gold.Answer)})
		}},
		{name: "wrong", of: wrong, interventions: 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			proof, err := prove.Measure(context.Background(), prove.Subject{Name: c.name, Model: byTask{tasks, c.of}}, tasks, prove.Config{Play: play, Sections: []*prove.Section{prove.Accuracy, prove.ShieldGap}})
			if err != nil {
				t.Fatal(err)
			}
			metric(t, proof, "shield.interventions", c.interventions, len(tasks))
			metric(t, proof, "shield.escaped", 0, len(tasks))
			metric(t, proof, "accuracy.no_policy", 1-c.interventions/1000, len(tasks))
		})
	}
}

// metric wants a value of a proof.
func metric(t *testing.T, p *prove.Proof, name string, value float64, n int) {
	t.Helper()
	m, ok := p.Metric(name)
	if !ok || m.Value != value || m.N != n {
		t.Errorf("%s is %v of %d (measured %v), want %v of %d", name, m.Value, m.N, ok, value, n)
	}
}

// What a shield cannot decide is counted and said, and is neither an intervention nor an escape.
func TestUndecided(t *testing.T) {
	shield := func(task *world.Task, text string, right bool) (prove.Catch, error) {
		switch task.Leaf {
		case "C4":
			return prove.Catch{}, errors.New("the pack has no such tool")
		case "C5":
			return prove.Catch{}, nil
		}
		return exactShield(task, text, right)
	}
	proof, err := prove.Measure(context.Background(), prove.Subject{Name: "m", Model: scripted{models["knows-not-does"]}}, fixture(), prove.Config{Shield: shield, Sections: []*prove.Section{prove.ShieldGap}})
	if err != nil {
		t.Fatal(err)
	}
	metric(t, proof, "shield.interventions", 1000, 6)
	metric(t, proof, "shield.escaped", 0, 6)
	notes := strings.Join(proof.Parts[0].Notes, "\n")
	if !strings.Contains(notes, "3 answers of this model could not be decided, the first because of this: the pack has no such tool.") || !strings.Contains(notes, "3 answers of this model stand for no action") {
		t.Errorf("the notes say %q", notes)
	}
}

// Tasks with a user are played: a model that knows what is right is never stopped, and one that does what is forbidden is stopped each time, so that nothing escapes.
func TestServiceIsPlayed(t *testing.T) {
	knobs, err := service.Level(1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := service.Generate(service.Options{Seed: 5, Knobs: knobs})
	if err != nil {
		t.Fatal(err)
	}
	_, tasks, err := s.Tasks(service.TaskOptions{Train: 4, Test: 16})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{} // twins say the same; the models of this test tell tasks apart by what is said
	tasks = slices.DeleteFunc(tasks, func(t world.Task) bool {
		twice := seen[t.User.Opening]
		seen[t.User.Opening] = true
		return twice
	})
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	pol := compiled(t, files)
	play := &rollout.Config{Kinds: []world.Kind{service.Kind}, Policy: func(*world.Task) (*policy.Policy, error) { return pol, nil }}
	sections := []*prove.Section{prove.Accuracy, prove.ShieldGap}
	if _, err := prove.Measure(context.Background(), prove.Subject{Name: "x", Model: llm.Echo{}}, tasks, prove.Config{Sections: sections}); err == nil || !strings.Contains(err.Error(), "has to be played") {
		t.Errorf("without a pack: %v", err)
	}
	good, err := prove.Measure(context.Background(), prove.Subject{Name: "gold", Model: byTask{tasks, rollout.Gold}}, tasks, prove.Config{Play: play, Sections: sections})
	if err != nil {
		t.Fatal(err)
	}
	metric(t, good, "accuracy.no_policy", 1, len(tasks))
	metric(t, good, "shield.escaped", 0, len(tasks))
	bad, err := prove.Measure(context.Background(), prove.Subject{Name: "offender", Model: byTask{tasks, rollout.Offender}}, tasks, prove.Config{Play: play, Sections: sections})
	if err != nil {
		t.Fatal(err)
	}
	metric(t, bad, "shield.escaped", 0, len(tasks))
	if a, b := interventions(good), interventions(bad); b <= a {
		t.Errorf("the offender is stopped %v times in 1,000, the gold %v times", b, a)
	}
}

func interventions(p *prove.Proof) float64 {
	m, _ := p.Metric("shield.interventions")
	return m.Value
}
