package main

import (
	"bytes"
	"context"
	_ "embed" // the settings of the run
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
	"github.com/proviso-dev/proviso/train"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/scene"
)

// picturedSettings are the stages of the multimodal variant: one base that sees, and from it branches for each depth.
//
//go:embed multimodal.yaml
var picturedSettings []byte

// pictured is the multimodal variant of the experiment (arXiv 2510.09474, ClevrPolicy-M): scenes are only shown as pictures, the values in the text of the policy are crops, and the loss covers the text of the policy but no image.
type pictured struct {
	dir string
	out io.Writer
}

func (x pictured) say(format string, args ...any) {
	fmt.Fprintf(x.out, format+"\n", args...)
}

// The size of the variant. The base sees many scenes of few objects, because an object alone says which of its looks has which name.
const (
	picturedBase  = 20000 // rows of the base
	picturedTests = 400   // scenes of the test split for each depth
	picturedSeed  = 11
)

// picturedLevel is a depth with how many scenes of each leaf are learnt: with the text of the policy, without it, and without it where there are few.
type picturedLevel struct{ depth, read, imitate, few int }

var picturedLevels = []picturedLevel{{2, 20, 120, 4}, {4, 8, 60, 4}}

// picturedWays are the stages whose weights are measured; the last one is the figure.
var picturedWays = []struct{ stage, doc string }{
	{"think-few", "CoT SFT, few scenes"},
	{"imitate-few", "CPT + CoT SFT, few scenes"},
	{"answer", "direct SFT"},
	{"think", "CoT SFT"},
	{"imitate", "CPT + CoT SFT"},
}

var picturedObjects = scene.Range{Min: 3, Max: 6}

// picturedNames are what the policies of a depth are called, all of them in one model.
var picturedNames = []string{"Alder", "Basil", "Cedar", "Dahlia"}

// multimodal carries the variant out in a folder and prints its figures. Called again it goes on where it was.
func multimodal(ctx context.Context, dir string, out io.Writer) error {
	x := pictured{dir, out}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	start := filepath.Join(dir, "start")
	if _, err := os.Stat(start); errors.Is(err, fs.ErrNotExist) {
		if err := x.begin(start); err != nil {
			return err
		}
	}
	if err := x.data(); err != nil {
		return err
	}
	if err := x.train(ctx, start); err != nil {
		return err
	}
	x.say("\n| depth | trained | right | with exactly the clauses of the way | shown another picture | scenes |\n|---|---|---|---|---|---|")
	var figures []string
	for _, l := range picturedLevels {
		var right float64
		var n int
		for _, w := range picturedWays {
			var err error
			if right, n, err = x.measure(ctx, l, w.stage, w.doc); err != nil {
				return err
			}
		}
		figures = append(figures, fmt.Sprintf("figure: internalize.multimodal_n%d = %.4f (n=%d)", l.depth, right, n))
	}
	x.say("\n%s", strings.Join(figures, "\n"))
	return nil
}

// begin makes the model: every word of the language is one token.
func (x pictured) begin(dir string) error {
	words := []string{"?", " <image>", world.ThinkOpen, world.ThinkClose, " :", " yes", " no"}
	for _, n := range picturedNames {
		words = append(words, n)
	}
	for _, a := range scene.Attributes {
		words = append(words, " "+a.Name)
		for _, v := range a.Values {
			words = append(words, " "+string(v))
		}
	}
	for i := range 31 {
		words = append(words, fmt.Sprintf(" [C%d]", i+1))
	}
	for i := range 99 {
		words = append(words, fmt.Sprintf(" Case %d", i+1))
	}
	const end = "<|im_end|>"
	tok, err := tokenizer.Train(slices.Values(append(words, words...)), tokenizer.TrainOptions{Pattern: tokenizer.Blanks, Size: 1 << 14, Special: []string{end}})
	if err != nil {
		return err
	}
	m, err := model.New(model.Config{Family: "qwen3", Begin: -1, Net: nn.Config{Layers: 3, Hidden: 96, Heads: 4, FFN: 256, Context: 256, QKNorm: true, Patch: 3 * scene.Cell * scene.Cell}}, tok, nil, picturedSeed)
	if err != nil {
		return err
	}
	id, _ := tok.ID(end)
	m.Config.End = []int32{id}
	x.say("multimodal: %d parameters, %d tokens", m.Params(), tok.Size())
	return m.Save(dir, model.SaveOptions{})
}

// picturedText is the tokenizer as training needs it, with sight.
type picturedText struct{ m *model.Model }

func (t picturedText) Vocab() int { return t.m.Config.Net.Vocab }
func (t picturedText) Encode(s string) []int32 {
	return t.m.Tokenizer.Encode(s, tokenizer.Options{Literal: []tokenizer.Span{{Start: 0, End: len(s)}}})
}
func (t picturedText) Decode(tokens []int32) string { return t.m.Tokenizer.Decode(tokens, true) }
func (t picturedText) Begin() int32                 { return -1 }
func (t picturedText) End() int32                   { return t.m.Config.End[0] }
func (t picturedText) Conversation(proviso.JSON, proviso.JSON, bool) ([]int32, []bool, error) {
	return nil, nil, errors.New("this language has no conversations; write prompts as texts")
}
func (t picturedText) Patches(p image.Image) ([]float32, int) { return model.Patches(p, scene.Cell) }

// picturedRow is a line of training data with images.
type picturedRow struct {
	Segments   []picturedSegment `json:"segments,omitempty"`
	Text       string            `json:"text,omitempty"`
	Prompt     string            `json:"prompt,omitempty"`
	Completion string            `json:"completion,omitempty"`
	Images     [][]byte          `json:"images"`
}

type picturedSegment struct {
	Text string `json:"text"`
	Loss bool   `json:"loss"`
}

// data writes the rows of all stages.
func (x pictured) data() error {
	err := x.write("base", picturedBase, x.lookRow)
	for _, l := range picturedLevels {
		read, imitate, few := x.tasks(l, l.read, scene.Train), x.tasks(l, l.imitate, scene.Train), x.tasks(l, l.few, scene.Train)
		err = errors.Join(err,
			x.write(fmt.Sprintf("read-%d", l.depth), len(read), func(i int) picturedRow { return x.readRow(&read[i]) }),
			x.write(fmt.Sprintf("imitate-%d", l.depth), len(imitate), func(i int) picturedRow { return x.imitateRow(&imitate[i], x.answer(&imitate[i])) }),
			x.write(fmt.Sprintf("imitate-few-%d", l.depth), len(few), func(i int) picturedRow { return x.imitateRow(&few[i], x.answer(&few[i])) }),
			x.write(fmt.Sprintf("answer-%d", l.depth), len(imitate), func(i int) picturedRow { return x.imitateRow(&imitate[i], " "+imitate[i].Gold.Answer) }))
	}
	return err
}

// write makes a file of n rows, whole or not at all; one that is there is whole.
func (x pictured) write(name string, n int, row func(i int) picturedRow) error {
	file := filepath.Join(x.dir, name+".jsonl")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return keepLines(file, func(yield func(picturedRow) bool) {
		for i := range n {
			if !yield(row(i)) {
				return
			}
		}
	})
}

// tasks are those of the policies of a level, so many for each leaf.
func (x pictured) tasks(l picturedLevel, leaf int, split string) (out []world.Task) {
	for i, name := range picturedNames {
		p := scene.Generate(picturedSeed+uint64(100*l.depth+i), l.depth, scene.Options{Name: name, Objects: picturedObjects})
		out = append(out, scene.Tasks(p, leaf*len(p.Leaves()), scene.TaskOptions{Seed: uint64(leaf), Split: split, Pictures: true, Compact: true})...)
	}
	return out
}

// lookRow teaches to see: a picture, and for each value whether there is an object that has it; or crops with the names of what they have.
func (x pictured) lookRow(i int) (r picturedRow) {
	dice := rand.New(rand.NewPCG(picturedSeed, uint64(i)))
	add := func(text string, loss bool) { r.Segments = append(r.Segments, picturedSegment{text, loss}) }
	if i%16 == 0 {
		add("?", false)
		for range 10 {
			a := scene.Attributes[dice.IntN(len(scene.Attributes))]
			v := a.Values[dice.IntN(len(a.Values))]
			add(" "+a.Name+" <image>", false)
			add(" "+string(v), true)
			r.Images = append(r.Images, scene.PNG(scene.Crop(v, dice.Uint64(), scene.Cell)))
		}
		return r
	}
	s := x.anyScene(dice)
	for scene.SplitOf(s) != scene.Train {
		s = x.anyScene(dice)
	}
	r.Images = [][]byte{scene.PNG(scene.Draw(s, dice.Uint64(), scene.Cell))}
	add("? <image>", false)
	var values []scene.Value
	for _, a := range scene.Attributes {
		values = append(values, a.Values...)
	}
	for _, k := range dice.Perm(len(values)) {
		add(" "+string(values[k]), false)
		add(map[bool]string{true: " yes", false: " no"}[scene.Literal{values[k]}.Holds(s)], true)
	}
	return r
}

// anyScene is one of few objects, or one made for a leaf of some policy: in random scenes of many objects nearly every value occurs.
func (x pictured) anyScene(dice *rand.Rand) scene.Scene {
	if dice.IntN(2) == 0 {
		return scene.Random(dice, scene.Range{Min: 1, Max: picturedObjects.Max})
	}
	p := scene.Generate(dice.Uint64(), 3, scene.Options{Objects: picturedObjects})
	leaves := p.Leaves()
	s, _ := p.At(dice, leaves[dice.IntN(len(leaves))].Number)
	return s
}

// prompt is the name of the policy and the picture; answer is the way through the policy and the response.
func (x pictured) prompt(t *world.Task) string { return t.Policy + " : <image>" }

func (x pictured) answer(t *world.Task) string {
	return world.ThinkOpen + " " + scene.Thought(t.Gold.Steps) + world.ThinkClose + " " + t.Gold.Answer
}

// readRow is a text with the policy, its crops, a scene, the thought and the answer: x = (P_T, P_I, I, Q, C, A).
func (x pictured) readRow(t *world.Task) (r picturedRow) {
	marked, names := scene.Marked(t.Text, "<image>")
	for _, n := range names {
		r.Images = append(r.Images, t.Crops[n])
	}
	r.Images = append(r.Images, t.Images[scene.PictureFile])
	r.Text = strings.Join(strings.Fields(marked), " ") + " : <image>" + x.answer(t)
	return r
}

// imitateRow is the prompt without the policy, and what to say.
func (x pictured) imitateRow(t *world.Task, say string) picturedRow {
	return picturedRow{Prompt: x.prompt(t), Completion: say, Images: [][]byte{t.Images[scene.PictureFile]}}
}

func (x pictured) train(ctx context.Context, start string) error {
	s, err := train.Parse("multimodal.yaml", picturedSettings)
	if err != nil {
		return err
	}
	m, e, err := engineOf("scenes", start, filepath.Join(x.dir, s.Output, "checkpoints"))
	if err != nil {
		return err
	}
	_, err = train.Run(ctx, s, train.Host{Engine: e, Text: picturedText{m}, Dir: x.dir, Exact: 1e-4, Say: func(what string) { x.say("%s", what) }, Watch: func(m *train.Metrics) {
		if m.StageStep%50 == 0 || m.StageStep == m.StageSteps {
			x.say("%-10s %4d/%d loss %.4f %6.0f tokens/s", m.Stage, m.StageStep, m.StageSteps, m.Loss, m.TokensPerSecond)
		}
	}})
	return err
}

// measure asks about scenes of the test split without the policy, and once more with the picture of another scene, which tells how much of the answers is seen.
func (x pictured) measure(ctx context.Context, l picturedLevel, stage, doc string) (share float64, n int, err error) {
	m, err := model.Load(filepath.Join(x.dir, "run", "checkpoints", fmt.Sprintf("%s-%d", stage, l.depth)), model.LoadOptions{})
	if err != nil {
		return 0, 0, err
	}
	tasks := x.tasks(l, picturedTests/len(picturedNames)>>l.depth, scene.Test)
	right, cited, err := x.play(ctx, m, tasks, 0)
	if err != nil {
		return 0, 0, err
	}
	blind, _, err := x.play(ctx, m, tasks, 1)
	if err != nil {
		return 0, 0, err
	}
	n = len(tasks)
	percent := func(k int) float64 { return 100 * float64(k) / float64(n) }
	x.say("| %d | %s | %.1f %% | %.1f %% | %.1f %% | %d |", l.depth, doc, percent(right), percent(cited), percent(blind), n)
	return float64(right) / float64(n), n, nil
}

// play answers all tasks, each with the picture of the task so many places further on.
func (x pictured) play(ctx context.Context, m *model.Model, tasks []world.Task, other int) (right, cited int, err error) {
	g := model.NewGenerator(m, model.GeneratorOptions{Slots: 16, Queue: len(tasks)})
	defer g.Close()
	t := picturedText{m}
	said, errs := make([]string, len(tasks)), make([]error, len(tasks))
	var all sync.WaitGroup
	for i := range tasks {
		all.Go(func() {
			picture, err := png.Decode(bytes.NewReader(tasks[(i+other)%len(tasks)].Images[scene.PictureFile]))
			if err != nil {
				errs[i] = err
				return
			}
			values, n := t.Patches(picture)
			prompt := t.Encode(strings.TrimSuffix(x.prompt(&tasks[i]), " <image>"))
			a, err := g.Generate(ctx, model.Request{Prompt: append(prompt, slices.Repeat([]int32{engine.PatchInput}, n)...), Patches: values, MaxTokens: 4*tasks[i].Depth + 12}, nil)
			said[i], errs[i] = a.Text, err
		})
	}
	all.Wait()
	for i := range tasks {
		if s, err := world.Read(said[i]); err == nil && s.Final == tasks[i].Gold.Answer {
			right++
			if slices.Equal(s.Cited, tasks[i].Gold.Clauses) {
				cited++
			}
		}
	}
	return right, cited, errors.Join(errs...)
}
