package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/train"
)

// lab carries a plan out in a folder. Whatever is finished there is not done again.
type lab struct {
	plan     *plan
	dir      string // start, base, and a folder for each set
	examples string // base.yaml and run.yaml
	out      io.Writer
	now      func() time.Time
}

// exactness is how far two computations of one log-probability differ in 32-bit numbers.
const exactness = 1e-4

// resultFile is what a finished set leaves.
const resultFile = "result.json"

// result is what was measured of one set.
type result struct {
	Depth    int            `json:"depth"`
	Seed     uint64         `json:"seed"`
	Policies int            `json:"policies"`
	Leaves   int            `json:"leaves"` // of all policies
	Thoughts int            `json:"thoughts"`
	Asked    int            `json:"asked"` // scenes that the base was asked for a thought about
	Kept     map[string]int `json:"kept"`  // thoughts kept, by leaf; leaves with none of those asked are absent
	Tasks    int            `json:"tasks"`
	Prompt   tokens         `json:"prompt"`
	Majority int            `json:"majority"` // test scenes of the most frequent response of their policy
	Cells    []cell         `json:"cells"`

	part string // of the plan
}

// tokens are those of all test prompts: without the policy, with it as the network reads it, and with the document that an owner would write.
type tokens struct {
	Plain    int `json:"plain"`
	Informed int `json:"informed"`
	Document int `json:"document"`
}

// run does what is left, and returns what all sets found.
func (l *lab) run(ctx context.Context) ([]result, error) {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	base, err := l.base(ctx)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	var out []result
	for _, p := range l.plan.sets {
		r, err := l.set(ctx, p, base)
		if err != nil {
			return nil, fmt.Errorf("depth %d, seed %d: %w", p.level.Depth, p.seed, err)
		}
		r.part = p.part
		out = append(out, *r)
	}
	return out, nil
}

// base trains the network that every set begins with, and returns its folder.
func (l *lab) base(ctx context.Context) (string, error) {
	last := phases[l.plan.phases-1].name
	path := filepath.Join(l.dir, "base", "checkpoints", last)
	if exists(path) {
		return path, nil
	}
	start := filepath.Join(l.dir, "start")
	if !exists(start) {
		m, err := newModel(1)
		if err != nil {
			return "", err
		}
		if err := m.Save(start, model.SaveOptions{}); err != nil {
			return "", err
		}
	}
	for _, f := range phases[:l.plan.phases] {
		f.rows = int(float64(f.rows) * l.plan.share)
		if err := write(filepath.Join(l.dir, f.name+".jsonl"), baseRows(f, 1)); err != nil {
			return "", err
		}
	}
	s, err := l.settings("base.yaml", l.dir, "base", 1)
	if err != nil {
		return "", err
	}
	s.Stages = s.Stages[:l.plan.phases]
	final := &s.Stages[len(s.Stages)-1].Optimizer
	final.Schedule, final.Floor = "cosine", .05
	return path, l.train(ctx, s, start)
}

// settings reads a file of examples/scenes with the folders of this lab in place of its own.
func (l *lab) settings(name, dir, output string, seed uint64) (*train.Settings, error) {
	b, err := os.ReadFile(filepath.Join(l.examples, name))
	if err != nil {
		return nil, err
	}
	s, err := train.Parse(name, b)
	if err != nil {
		return nil, err
	}
	s.Seed, s.Output = seed, filepath.Join(dir, output)
	for i := range s.Stages {
		for j, file := range s.Stages[i].Data {
			s.Stages[i].Data[j] = filepath.Join(dir, filepath.Base(file))
		}
	}
	return s, nil
}

// train carries settings out, beginning with the weights of a folder.
func (l *lab) train(ctx context.Context, s *train.Settings, path string) error {
	return l.trainFrom(ctx, s, path, "")
}

// engineOf is an engine in this process over the weights of a folder, which its checkpoints go on from. The model is what the engine trains.
func engineOf(name, start, checkpoints string) (*model.Model, *local.Engine, error) {
	m, err := model.Load(start, model.LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	files := map[string][]byte{}
	for _, beside := range []string{"config.json", "tokenizer.json"} {
		if files[beside], err = os.ReadFile(filepath.Join(start, beside)); err != nil {
			return nil, nil, err
		}
	}
	e, err := local.New(local.Options{Net: m.Net, Name: name, Dir: checkpoints, Files: files})
	return m, e, err
}

// trainFrom begins with the weights and the optimizer's state of another folder, where one is named.
func (l *lab) trainFrom(ctx context.Context, s *train.Settings, path, begin string) error {
	s.Model.Path = path
	m, e, err := engineOf("scenes", path, filepath.Join(s.Output, "checkpoints"))
	if err != nil {
		return err
	}
	if begin != "" {
		if err := e.LoadWeights(ctx, begin); err != nil {
			return err
		}
	}
	told := l.now()
	watch := func(x *train.Metrics) {
		if now := l.now(); now.Sub(told) > 5*time.Second || x.StageStep == x.StageSteps {
			told = now
			fmt.Fprintf(l.out, "%s %-20s %5d/%d  loss %7.4f  reward %.3f  entropy %.3f  %6.0f tokens/s\n", filepath.Base(filepath.Dir(s.Output)), x.Stage, x.StageStep, x.StageSteps, x.Loss, x.Reward, x.Entropy, x.TokensPerSecond)
		}
	}
	_, err = train.Run(ctx, s, train.Host{Engine: e, Text: text{m}, Now: l.now, Exact: exactness, Watch: watch, Say: func(what string) { fmt.Fprintln(l.out, what) }})
	return err
}

// set trains and measures one model.
func (l *lab) set(ctx context.Context, p setPlan, base string) (*result, error) {
	dir := filepath.Join(l.dir, p.folder())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if b, err := os.ReadFile(filepath.Join(dir, resultFile)); err == nil {
		var r result
		return &r, json.Unmarshal(b, &r)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	began := l.now()
	s := newSet(p.level, p.seed)
	a, err := newAsker(dir, base)
	if err != nil {
		return nil, err
	}
	r, taught, err := l.data(ctx, a, s, dir)
	if err != nil {
		return nil, err
	}
	settings, err := l.settings(p.file(), dir, "run", p.seed)
	if err != nil {
		return nil, err
	}
	p.choose(settings)
	begin := ""
	if begins[p.part] != "" {
		begin = filepath.Join(l.dir, p.main(), "run", "checkpoints", begins[p.part])
	}
	if err := l.trainFrom(ctx, settings, base, begin); err != nil {
		return nil, err
	}
	trained := l.now()
	test := s.items("test", s.Test, forTest)
	rows := []string{""} // the base
	for i := range settings.Stages {
		rows = append(rows, settings.Stages[i].Name)
	}
	for _, name := range rows {
		path := filepath.Join(settings.Output, "checkpoints", name)
		if name == "" {
			name, path = "base", base
		}
		if a, err = newAsker(dir, path); err != nil {
			return nil, err
		}
		c, err := a.measure(ctx, name, s, test, taught)
		if err != nil {
			return nil, err
		}
		r.Cells = append(r.Cells, c)
	}
	r.count(a, test)
	fmt.Fprintf(l.out, "%s: trained in %s, measured in %s\n", filepath.Base(dir), trained.Sub(began).Round(time.Second), l.now().Sub(trained).Round(time.Second))
	return r, keepJSON(filepath.Join(dir, resultFile), r)
}

// data writes the rows of a set. taught are the leaves that a thought leads to.
func (l *lab) data(ctx context.Context, a *asker, s *set, dir string) (*result, map[string]bool, error) {
	tasks := s.items("train", s.Tasks, forTasks)
	asked := s.items("train", s.level.Thoughts, forThoughts)
	answers, err := a.ask(ctx, prompts(asked, informed), most(s.Depth))
	if err != nil {
		return nil, nil, err
	}
	thoughts := thoughtRows(asked, answers)
	r := &result{Depth: s.Depth, Seed: s.seed, Policies: len(s.policies), Asked: len(asked), Thoughts: len(thoughts), Tasks: len(tasks), Kept: map[string]int{}}
	for _, p := range s.policies {
		r.Leaves += len(p.Leaves())
	}
	taught := map[string]bool{}
	for i := range asked {
		x := &asked[i]
		r.Kept[x.leaf()] += 0
		if right(x, answers[i]) {
			r.Kept[x.leaf()]++
			taught[x.leaf()] = true
		}
	}
	for _, f := range []struct {
		name string
		rows []row
	}{
		{"tasks", taskRows(tasks)}, {"direct", directRows(tasks)}, {"thoughts", thoughts}, {"replay", replayRows(s)}, {"reading", readingRows(s, thoughts, asked)},
	} {
		if err := write(filepath.Join(dir, f.name+".jsonl"), f.rows); err != nil {
			return nil, nil, err
		}
	}
	return r, taught, nil
}

// count counts what does not depend on weights.
func (r *result) count(a *asker, test []item) {
	most := map[string]map[string]int{}
	for i := range test {
		x := &test[i]
		plain := len(a.t.Encode(ask(x.policy, x.scene)))
		r.Prompt.Plain += plain
		r.Prompt.Informed += len(a.t.Encode(informed(x.policy, x.scene)))
		r.Prompt.Document += plain + wordsOf(x.policy.Text())
		if most[x.policy.Name] == nil {
			most[x.policy.Name] = map[string]int{}
		}
		most[x.policy.Name][response(x.steps)]++
	}
	for _, counts := range most {
		top := 0
		for _, n := range counts {
			top = max(top, n)
		}
		r.Majority += top
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// keepJSON writes a file whole or not at all.
func keepJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(name, append(b, '\n'), 0o644)
}
