package main

import (
	"context"
	_ "embed" // the settings of the run
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/train"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/service"
)

// serviceSettings are the stages of the service variant.
//
//go:embed service.yaml
var serviceSettings []byte

// The size of the variant.
const (
	serviceLevel = 2
	serviceSeed  = 21   // of the service that is learnt; those of the base follow it
	serviceBase  = 24   // other services, of the same trade or another
	serviceEach  = 120  // plays of each of them
	serviceTrain = 2000 // plays of the service that is learnt
	serviceTest  = 200
)

// serving is the service variant of the experiment: a small model has one policy by heart and plays its workflows through the guard.
type serving struct {
	dir string
	out io.Writer
}

func (x serving) say(format string, args ...any) { fmt.Fprintf(x.out, format+"\n", args...) }

// services carries the variant out in a folder and prints its figures. Called again it goes on where it was.
func services(ctx context.Context, dir string, out io.Writer) error {
	x := serving{dir, out}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	own, err := makeService(serviceSeed)
	if err != nil {
		return err
	}
	acts, tests, err := own.Tasks(service.TaskOptions{Train: serviceTrain, Test: serviceTest, Terse: true})
	if err != nil {
		return err
	}
	var others []world.Task
	for i := range serviceBase {
		s, err := makeService(serviceSeed + 1 + uint64(i))
		if err != nil {
			return err
		}
		tasks, _, err := s.Tasks(service.TaskOptions{Train: serviceEach, Terse: true})
		if err != nil {
			return err
		}
		others = append(others, tasks...)
	}
	start := filepath.Join(dir, "start")
	if _, err := os.Stat(start); errors.Is(err, fs.ErrNotExist) {
		if err := x.begin(start, own, slices.Concat(acts, tests, others)); err != nil {
			return err
		}
	}
	err = errors.Join(x.write("base", others, ""), x.write("read", acts[:len(acts)/4], spaced(own.Compact())), x.write("act", acts, ""))
	if err != nil {
		return err
	}
	if err := x.train(ctx, start); err != nil {
		return err
	}
	return x.measure(ctx, own, tests)
}

func makeService(seed uint64) (*service.Service, error) {
	k, err := service.Level(serviceLevel)
	if err != nil {
		return nil, err
	}
	return service.Generate(service.Options{Seed: seed, Knobs: k})
}

// spaced is a text as tokens have it: every word with one space before it.
func spaced(text string) string {
	for _, mark := range []string{world.ThinkOpen, world.ThinkClose} {
		text = strings.ReplaceAll(text, mark, " "+mark+" ")
	}
	return " " + strings.Join(strings.Fields(text), " ")
}

// before is the part of a play that comes before a line of the model.
func before(talk []llm.Message) string {
	var b strings.Builder
	for _, m := range talk {
		b.WriteString(spaced(m.Text) + " :")
	}
	return b.String()
}

// begin makes the model: every word that occurs is one token.
func (x serving) begin(dir string, own *service.Service, tasks []world.Task) error {
	known := map[string]bool{}
	var words []string
	learn := func(text string) {
		for _, w := range strings.Fields(spaced(text)) {
			if !known[w] {
				known[w] = true
				words = append(words, " "+w)
			}
		}
	}
	learn(": " + own.Compact())
	for i := range tasks {
		learn(service.Script(&tasks[i]))
	}
	const end = "<|im_end|>"
	tok, err := tokenizer.Train(slices.Values(append(words, words...)), tokenizer.TrainOptions{Pattern: tokenizer.Blanks, Size: 1 << 14, Special: []string{end}})
	if err != nil {
		return err
	}
	m, err := model.New(model.Config{Family: "qwen3", Begin: -1, Net: nn.Config{Layers: 3, Hidden: 96, Heads: 4, FFN: 256, Context: 512, QKNorm: true}}, tok, nil, serviceSeed)
	if err != nil {
		return err
	}
	id, _ := tok.ID(end)
	m.Config.End = []int32{id}
	x.say("service: %d parameters, %d tokens", m.Params(), tok.Size())
	return m.Save(dir, model.SaveOptions{})
}

// spoken is a part of a play: what the model reads, or what it says.
type spoken struct {
	Text string `json:"text"`
	Loss bool   `json:"loss"`
	End  bool   `json:"end,omitempty"`
}

// lines are the parts of the gold play of a task.
func lines(t *world.Task) (out []spoken) {
	said := 0
	for _, l := range service.Lessons(t) {
		out = append(out, spoken{Text: before(l.Before[said:])}, spoken{Text: spaced(l.Line), Loss: true, End: true})
		said = len(l.Before) + 1
	}
	return out
}

// write makes a file of plays, whole or not at all, each behind a text; one that is there is whole.
func (x serving) write(name string, tasks []world.Task, text string) error {
	file := filepath.Join(x.dir, name+".jsonl")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return keepLines(file, func(yield func(map[string]any) bool) {
		for i := range tasks {
			var row []spoken
			if text != "" {
				row = append(row, spoken{Text: text + " :", Loss: true})
			}
			if !yield(map[string]any{"segments": append(row, lines(&tasks[i])...)}) {
				return
			}
		}
	})
}

func (x serving) train(ctx context.Context, start string) error {
	s, err := train.Parse("service.yaml", serviceSettings)
	if err != nil {
		return err
	}
	m, e, err := engineOf("service", start, filepath.Join(x.dir, s.Output, "checkpoints"))
	if err != nil {
		return err
	}
	_, err = train.Run(ctx, s, train.Host{Engine: e, Text: picturedText{m}, Dir: x.dir, Exact: 1e-4, Say: func(what string) { x.say("%s", what) }, Watch: func(m *train.Metrics) {
		if m.StageStep%20 == 0 || m.StageStep == m.StageSteps {
			x.say("%-6s %4d/%d loss %.4f %6.0f tokens/s", m.Stage, m.StageStep, m.StageSteps, m.Loss, m.TokensPerSecond)
		}
	}})
	return err
}

// liner is a small model that goes on with the lines of a play.
type liner struct {
	g    *model.Generator
	text picturedText
}

// Complete says the next line; what is no text of the language comes out as the model makes of it.
func (l liner) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	if len(req.Messages) == 0 {
		return llm.Response{}, llm.ErrRequest
	}
	prompt := l.prompt(req.Messages)
	a, err := l.g.Generate(ctx, model.Request{Prompt: prompt, MaxTokens: 64}, nil)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Response{Text: strings.TrimSpace(a.Text), Stop: "end", Usage: llm.Usage{Input: len(prompt), Output: len(strings.Fields(a.Text))}}, nil
}

// prompt is a conversation as the rows of training have it.
func (l liner) prompt(talk []llm.Message) []int32 {
	var out []int32
	for _, m := range talk {
		if m.Role == proviso.Assistant {
			out = append(append(out, l.text.Encode(spaced(m.Text))...), l.text.End())
			continue
		}
		out = append(out, l.text.Encode(before([]llm.Message{m}))...)
	}
	return out
}

// measure plays the test tasks under the guard, with the model before it was taught the policy and after.
func (x serving) measure(ctx context.Context, own *service.Service, tests []world.Task) error {
	files, err := own.Files()
	if err != nil {
		return err
	}
	fsys := fstest.MapFS{}
	for n, b := range files {
		fsys[n] = &fstest.MapFile{Data: b}
	}
	loaded, found := pack.Load(fsys, ".")
	pol, more := policy.Compile(loaded)
	if pol == nil {
		return errors.Join(found, more)
	}
	x.say("\n| model | right | should succeed | should refuse | interventions per 1,000 actions | forbidden calls carried out | plays |\n|---|---|---|---|---|---|---|")
	var figures []string
	for _, w := range []struct{ stage, doc, name string }{{"base", "before", "before"}, {"act", "after", "after"}} {
		m, err := model.Load(filepath.Join(x.dir, "run", "checkpoints", w.stage), model.LoadOptions{})
		if err != nil {
			return err
		}
		g := model.NewGenerator(m, model.GeneratorOptions{Slots: 16, Queue: len(tests)})
		results, err := rollout.Run(ctx, tests, rollout.RunConfig{Subject: w.stage, Workers: 16, Config: rollout.Config{
			Model: service.Terse{Model: liner{g, picturedText{m}}}, Kinds: []world.Kind{service.Kind}, Policy: func(*world.Task) (*policy.Policy, error) { return pol, nil },
		}})
		g.Close()
		if err != nil {
			return err
		}
		sum := rollout.Total(results)
		var right, all [2]int
		for i := range results {
			k := 0
			if tests[i].Gold.Succeed {
				k = 1
			}
			all[k]++
			if results[i].Outcome.Right {
				right[k]++
			}
			if results[i].Error != "" {
				x.say("%s: %s", results[i].Task, results[i].Error)
			}
		}
		x.say("| %s | %d | %d of %d | %d of %d | %.1f | %d of %d | %d, %d failed |", w.doc, sum.Right, right[1], all[1], right[0], all[0], sum.PerThousand(), sum.Forbidden.Escaped, sum.Forbidden.Attempted, sum.Plays, sum.Errors)
		figures = append(figures,
			fmt.Sprintf("figure: internalize.service_right_%s = %.4f (n=%d)", w.name, float64(sum.Right)/float64(len(tests)), len(tests)),
			fmt.Sprintf("figure: internalize.service_interventions_%s = %.1f (n=%d)", w.name, sum.PerThousand(), sum.Actions),
			fmt.Sprintf("figure: internalize.service_escaped_%s = %d (n=%d)", w.name, sum.Forbidden.Escaped, sum.Plays))
	}
	x.say("\n%s", strings.Join(figures, "\n"))
	return nil
}
