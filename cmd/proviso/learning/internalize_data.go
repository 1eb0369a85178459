package learning

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/dataset"
	"github.com/proviso-dev/proviso/dataset/export"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/prove"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/service"
)

// inputs identifies what the data are made of.
func (w *internalizing) inputs() (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %d %v %v %q\n", workForm, w.Seed, w.Recipes, w.Terse, w.Model)
	for _, root := range append(slices.Clone(w.From), w.Tasks...) {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(sum, "%s\n", name)
			_, err = io.Copy(sum, f)
			return errors.Join(err, f.Close())
		})
		if err != nil {
			return "", unreadable(root, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func digestOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// data makes tasks, rows and, for a new model, the tokenizer.
func (w *internalizing) data(inputs string) error {
	if w.work.Done["data"] == inputs {
		set, _, err := export.Read(w.at("data"))
		if err != nil {
			return err
		}
		w.set = set
		text, err := os.ReadFile(filepath.Join(cmp.Or(w.Model, w.Out), "tokenizer.json"))
		if err != nil {
			return unreadable(cmp.Or(w.Model, w.Out), err)
		}
		return w.learner(text)
	}
	src, err := w.source()
	if err != nil {
		return err
	}
	recipes, err := dataset.Find(w.Recipes)
	if err != nil {
		return err
	}
	if !slices.Contains(recipes, dataset.Practice) { // it has the split of every case
		recipes = append(recipes, dataset.Practice)
	}
	cfg := dataset.Config{Seed: w.Seed, Terse: w.Terse, Demonstrate: service.Demonstration, Progress: func(recipe string, rows int) { w.e.Status(fmt.Sprintf("%s: %d rows", recipe, rows)) }}
	if !slices.ContainsFunc(src.Tasks, func(t world.Task) bool { return t.Split != "" && t.Split != dataset.Train }) {
		cfg.Split, cfg.Held = "case", 0.25
	}
	if chats, err := w.chats(); err != nil {
		return err
	} else if !chats {
		cfg.Plain = "\n\n"
	}
	if w.set, err = dataset.Build(w.e.Context, recipes, src, cfg); err != nil {
		return err
	}
	if w.Terse {
		for i := range w.set.Rows {
			w.set.Rows[i].Completion = apart.Replace(w.set.Rows[i].Completion)
		}
	}
	trains, tests := divided(src, w.set)
	if n, m := len(trains), len(prove.Measured(tests, "")); n < leastTrain || m < leastTest {
		return diagnose(codeFew, "write more cases in the pack's tests, or make more tasks: proviso gen ... --tasks 200 --test 100", "there are %d cases to learn from and %d held out; at least %d and %d are needed", n, m, leastTrain, leastTest)
	}
	words, err := w.tokenizer()
	if err != nil {
		return err
	}
	if err := w.learner(words); err != nil {
		return err
	}
	if _, with := w.vol.needs(); w.base.windowOf(w.vol) > 0 && w.base.windowOf(w.vol) < with {
		trains, tests = w.hide(trains), w.hide(tests)
	}
	delete(w.work.Done, "data") // from here until it is done anew, the folder is neither the old data nor the new
	if err := w.keep(); err != nil {
		return err
	}
	if err := os.RemoveAll(w.at("data")); err != nil {
		return unwritable(w.at("data"), err)
	}
	if err := os.MkdirAll(w.at("tasks"), 0o755); err != nil {
		return unwritable(w.at("tasks"), err)
	}
	w.e.Status("looking for leaks")
	m, err := export.Write(w.at("data"), w.set, export.Proviso)
	w.e.Status("")
	if err != nil {
		return leaks(w.e, err)
	}
	for name, tasks := range map[string][]world.Task{trainTasks: trains, testTasks: tests} {
		var b bytes.Buffer
		if err := world.WriteTasks(&b, tasks); err != nil {
			return err
		}
		if err := durable.Replace(w.at(name), b.Bytes(), 0o644); err != nil {
			return unwritable(name, err)
		}
	}
	if w.Model == "" {
		if err := durable.Replace(w.at("tokenizer.json"), words, 0o644); err != nil {
			return unwritable("tokenizer.json", err)
		}
	}
	w.e.Say("data: %s of %s, no leak", quantity(m.Rows(), "row", "rows"), quantity(len(m.Policies), "policy", "policies"))
	return w.done("data", inputs)
}

// source reads packs and tasks. A pack without tasks gives its cases and generated ones.
func (w *internalizing) source() (*dataset.Source, error) {
	from := append(slices.Clone(w.From), w.Tasks...)
	all := &dataset.Source{}
	var worlds []string
	for _, name := range w.From {
		made, err := filepath.Glob(filepath.Join(name, "tasks", "*.jsonl"))
		if err != nil {
			return nil, unreadable(name, err)
		}
		if len(w.Tasks) > 0 || len(made) > 0 {
			worlds = append(worlds, name)
			continue
		}
		src, err := sourceOf(w.e, name)
		if err != nil {
			return nil, err
		}
		all.Join(src)
	}
	if len(w.Tasks) == 0 {
		from = worlds
	}
	if len(from) > 0 && (len(worlds) > 0 || len(w.Tasks) > 0) {
		src, err := w.told(from)
		if err != nil {
			return nil, err
		}
		all.Join(src)
	}
	for i := range all.Tasks {
		if t := &all.Tasks[i]; t.Text == "" && t.Override == 0 {
			t.Text = all.Policy(t.Policy).Text
		}
	}
	return all, nil
}

// told reads tasks that stand in files; packs beside them say what they know of the policies.
func (w *internalizing) told(from []string) (*dataset.Source, error) {
	if len(w.Tasks) == 0 {
		return (&DataBuild{From: from}).source(w.e)
	}
	tasks, err := readTasks(w.e, w.Tasks)
	if err != nil {
		return nil, err
	}
	src, err := dataset.FromTasks(tasks)
	if err != nil {
		return nil, err
	}
	for _, name := range w.From {
		p, err := dataset.FromPack(os.DirFS(name), ".")
		if err != nil {
			return nil, under(name, err)
		}
		if !src.Compiled(&p.Policies[0]) {
			return nil, diagnose(dataset.CodeSource, "give the packs that --tasks is about", "no task names the policy %s of its pack", p.Policies[0].ID)
		}
	}
	return src, nil
}

// apart sets the marks of thoughts off from the words, so that a tokenizer of words knows each. Nobody who reads answers minds.
var apart = strings.NewReplacer(world.ThinkOpen, world.ThinkOpen+" ", world.ThinkClose, world.ThinkClose+" ")

// divided are the tasks that rows were made of, for training and for the proof. Those of edited policies are only measured.
func divided(src *dataset.Source, set *dataset.Set) (trains, tests []world.Task) {
	splits := map[string]string{}
	for i := range set.Rows {
		if r := &set.Rows[i]; r.Kind == dataset.RL {
			splits[r.From.Task] = r.From.Split
		}
	}
	for _, t := range src.Tasks {
		split, used := splits[t.ID]
		switch {
		case t.Override > 0:
			tests = append(tests, t)
		case used && split == dataset.Train:
			t.Split = split
			trains = append(trains, t)
		case used:
			t.Split = split
			tests = append(tests, t)
		}
	}
	return trains, tests
}

// vocabulary is how many tokens a new model has at most.
const vocabulary = 2048

// hide takes the policy out of what does not fit into the context with it. Tasks of edited policies are nothing without.
func (w *internalizing) hide(tasks []world.Task) []world.Task {
	for i := range w.set.Rows {
		w.set.Rows[i].Policy = ""
	}
	for i := range tasks {
		if tasks[i].Override == 0 {
			tasks[i].Text = ""
		}
	}
	return slices.DeleteFunc(tasks, func(t world.Task) bool { return t.Override > 0 })
}

// tokenizer is that of the base; that of a new model is trained on what it is going to read and say.
func (w *internalizing) tokenizer() ([]byte, error) {
	if w.Model != "" {
		b, err := os.ReadFile(filepath.Join(w.Model, "tokenizer.json"))
		if err != nil {
			return nil, unreadable(w.Model, err)
		}
		return b, nil
	}
	var texts []string
	for i := range w.set.Rows {
		if r := &w.set.Rows[i]; r.From.Split == dataset.Train {
			texts = append(texts, r.Shown(), r.Learnt())
		}
	}
	for i := range w.set.Policies {
		texts = append(texts, w.set.Policies[i].Text)
	}
	tok, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{Size: vocabulary, Special: chat.ChatML.Control})
	if err != nil {
		return nil, err
	}
	return tok.JSON(), nil
}

// chats tells whether the base has a form of conversations. A new one has.
func (w *internalizing) chats() (bool, error) {
	if w.Model == "" {
		return true, nil
	}
	if _, err := os.Stat(filepath.Join(w.Model, "tokenizer.json")); err != nil {
		return false, diagnose(codeInput, "name the folder of a checkpoint with config.json and tokenizer.json", "read %s: %s", w.Model, because(err))
	}
	if _, err := os.Stat(filepath.Join(w.Model, "chat_template.jinja")); err == nil {
		return true, nil
	}
	b, err := os.ReadFile(filepath.Join(w.Model, "tokenizer_config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(w.Model, err)
	}
	v, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return false, proviso.Diagnostic{Pos: proviso.Pos{File: filepath.Join(w.Model, "tokenizer_config.json")}, Code: codeInput, Msg: err.Error()}
	}
	fields, _ := v.(map[string]any)
	return fields["chat_template"] != nil, nil
}

// learner reads what the plan has to know of the base, with the words of its tokenizer.
func (w *internalizing) learner(words []byte) error {
	w.base = &learner{}
	tok, err := tokenizer.Parse(words)
	if err != nil {
		return err
	}
	w.base.tokens = func(text string) int { return len(tok.Encode(text, tokenizer.Options{})) }
	if w.base.chat, err = w.chats(); err != nil {
		return err
	}
	w.prove.Plain = !w.base.chat
	if w.Model != "" {
		if w.base.path, err = w.relative(w.Model); err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(w.Model, "config.json"))
		if err != nil {
			return unreadable(w.Model, err)
		}
		c, err := model.ParseConfig(b)
		if err != nil {
			return err
		}
		w.base.context, w.base.params = c.Net.Context, c.Net.Params()
	}
	w.vol = measured(w.set, w.base)
	if without, _ := w.vol.needs(); w.Model != "" && w.base.context > 0 && w.base.context < without {
		return diagnose(codeFew, "take a base with a longer context, or shorter tasks", "the base reads %d tokens at most, and the longest task with its answer has %d", w.base.context, without)
	}
	return nil
}
