package learning

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/dataset"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/prove"
	"github.com/proviso-dev/proviso/prove/report"
	"github.com/proviso-dev/proviso/train"
	"github.com/proviso-dev/proviso/world"
)

// Internalize is `proviso internalize`.
type Internalize struct {
	From []string `arg:"" help:"Packs (folders): those of proviso gen with their tasks, others with their cases and generated ones." placeholder:"PACK"`
	Out  string   `required:"" help:"Folder of the work: the same command goes on where it was stopped." placeholder:"DIR" env:"-"`

	Tasks   []string `help:"Files of tasks, in place of those of the packs." placeholder:"FILE" env:"-"`
	Model   string   `help:"Folder of the base model." placeholder:"DIR" env:"-"`
	New     string   `help:"Size of a new model: small, 0.5 M parameters. The default where there is no --model." enum:",small" default:"" placeholder:"SIZE" env:"-"`
	Recipes []string `help:"Recipes of the data, or kinds of them; without rl there is no practice." default:"cpt,sft,rl" placeholder:"NAME,..." env:"-"`
	Seed    uint64   `help:"Of every choice." default:"1" placeholder:"N" env:"-"`
	Terse   bool     `help:"Texts in marks and quoted words, for small vocabularies." env:"-"`

	Engine    string `help:"Train on a server that speaks the Tinker protocol; --model is the folder of its tokenizer." placeholder:"URL"`
	BaseModel string `name:"base-model" help:"What the server calls the base model." placeholder:"NAME" env:"-"`

	Gate    string `help:"Release gate (YAML). Default: DIR/gate.yaml, which is made for you to edit." placeholder:"FILE" env:"-"`
	DryRun  bool   `name:"dry-run" help:"Say what would be done: rows, tokens, steps, expected time. Nothing is written." env:"-"`
	Prepare bool   `help:"Stop when run.yaml is written, to read and edit it." env:"-"`
	Jobs    int    `short:"j" help:"Requests at the same time." default:"8" placeholder:"N"`
}

// Help is the long help of the command.
func (Internalize) Help() string {
	return `Takes a policy to a model that follows it without being shown it, and to a proof of how far: tasks and cases; data sets, held-out cases, and the checks for leaks; DIR/run.yaml, which says how it is learnt and why each number is what it is; training; the same held-out tasks before and after, with the policy and without; proof.html, proof.json and the release gate.

Every step is skipped that was done with the same inputs, and goes on where it was stopped or killed. A run.yaml that you edited is left as it is. Exit code 1: something leaks, or the gate stays closed; 2: too little data, or something else to mend; 3: it could not be completed. See docs/train.md.`
}

// The codes of this command.
const (
	codeFew    = "PV967" // too little data
	codeFolder = "PV968" // a folder that is no work of this command
	codeAfar   = "PV969" // weights that are not here to be proved
)

// The files of a work, beside those of training and proof.
const (
	workFile   = "internalize.json"
	settings   = "run.yaml"
	trainTasks = "tasks/train.jsonl"
	testTasks  = "tasks/test.jsonl"
)

// workForm changes where an older work would be misread.
const workForm = 1

// work is what was done in a folder.
type work struct {
	Form    int               `json:"proviso_internalize"`
	Done    map[string]string `json:"done"`              // step → digest of what it was made from
	Written []string          `json:"written,omitempty"` // SHA-256 of each run.yaml that was written: any other was edited
	Recipe  recipe            `json:"recipe"`
	Weights string            `json:"weights,omitempty"` // from the folder of the work, or where the server has them
}

// internalizing is the command under way.
type internalizing struct {
	*Internalize
	e     *Env
	work  work
	set   *dataset.Set
	vol   volume
	base  *learner
	prove Prove // for opening models and packs
}

// Run does what is left to do.
func (c *Internalize) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	if c.Model != "" && c.New != "" {
		return diagnose(codeUsage, "give one of them", "--model begins with weights that are there, --new with others")
	}
	if c.Engine != "" && (c.Model == "" || c.BaseModel == "") {
		return diagnose(codeUsage, "give --model, the folder of the tokenizer, and --base-model, the server's name of the weights", "--engine needs to know what is trained")
	}
	if !c.DryRun {
		return c.begin(e).run()
	}
	same := *c
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.Out)), ".dry-run-*") // beside the work, so that relative paths are the same
	if errors.Is(err, fs.ErrNotExist) {
		dir, err = os.MkdirTemp("", "proviso-dry-run-*")
	}
	if err != nil {
		return unwritable(c.Out, err)
	}
	defer os.RemoveAll(dir)
	same.Out = dir
	for _, name := range []string{settings, workFile} {
		b, err := os.ReadFile(filepath.Join(c.Out, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unreadable(name, err)
		}
	}
	return same.begin(e).run()
}

func (c *Internalize) begin(e *Env) *internalizing {
	return &internalizing{Internalize: c, e: e, prove: Prove{Pack: c.From, Jobs: c.Jobs}}
}

func (w *internalizing) at(name string) string { return filepath.Join(w.Out, filepath.FromSlash(name)) }

// weights are where the training left them.
func (w *internalizing) weights() string {
	if w.Engine != "" || filepath.IsAbs(w.work.Weights) {
		return w.work.Weights
	}
	return w.at(w.work.Weights)
}

func (w *internalizing) run() error {
	if err := w.open(); err != nil {
		return err
	}
	inputs, err := w.inputs()
	if err != nil {
		return err
	}
	if err := w.data(inputs); err != nil {
		return err
	}
	data, err := os.ReadFile(w.at("data/manifest.json"))
	if err != nil {
		return unreadable(w.at("data/manifest.json"), err)
	}
	made := digestOf(inputs, string(data))
	id, err := w.baseID()
	if err != nil {
		return err
	}
	if err := w.choose(digestOf(made, id)); err != nil {
		return err
	}
	text, err := w.plan()
	if err != nil {
		return err
	}
	switch {
	case w.DryRun:
		return w.forecast(text)
	case w.Prepare:
		return w.prepared()
	}
	key := digestOf(made, id, text)
	if err := w.train(key, text); err != nil {
		return err
	}
	return w.proof(key)
}

// open reads what was done in the folder before.
func (w *internalizing) open() error {
	w.work = work{Form: workForm, Done: map[string]string{}}
	text, err := os.ReadFile(w.at(workFile))
	switch {
	case err == nil:
		if err = proviso.DecodeStrict(text, &w.work); err == nil && w.work.Form != workForm {
			err = fmt.Errorf("it has form %d, and this program reads %d", w.work.Form, workForm)
		}
		if err != nil {
			return proviso.Diagnostic{Pos: proviso.Pos{File: w.at(workFile)}, Code: codeFolder, Msg: err.Error(), Hint: "name another --out; or remove the file, and keep your run.yaml elsewhere"}
		}
		if w.work.Done == nil {
			w.work.Done = map[string]string{}
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return unreadable(w.at(workFile), err)
	}
	found, err := os.ReadDir(w.Out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(w.Out, err)
	}
	for _, f := range found {
		if !slices.Contains([]string{settings, "gate.yaml"}, f.Name()) && !strings.HasPrefix(f.Name(), ".new-") {
			return diagnose(codeFolder, "name a folder that is empty or not there", "%s holds other files, such as %s", w.e.Short(w.Out), f.Name())
		}
	}
	if err := os.MkdirAll(w.Out, 0o755); err != nil {
		return unwritable(w.Out, err)
	}
	return w.keep() // before anything else is there, so that the folder is known for a work
}

// keep writes down what is done.
func (w *internalizing) keep() error {
	b, err := json.MarshalIndent(w.work, "", "  ")
	if err == nil {
		err = durable.Replace(w.at(workFile), append(b, '\n'), 0o644)
	}
	if err != nil {
		return unwritable(w.at(workFile), err)
	}
	return nil
}

func (w *internalizing) done(step, key string) error {
	w.work.Done[step] = key
	return w.keep()
}

// relative is a path as run.yaml has it.
func (w *internalizing) relative(name string) (string, error) {
	to, err := filepath.Abs(name)
	if err != nil {
		return "", unreadable(name, err)
	}
	from, err := filepath.Abs(w.Out)
	if err != nil {
		return "", unreadable(w.Out, err)
	}
	if rel, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(rel), nil
	}
	return filepath.ToSlash(to), nil
}

// baseID identifies the weights that are begun with.
func (w *internalizing) baseID() (string, error) {
	if w.Model == "" {
		return fmt.Sprintf("new %d", w.Seed), nil
	}
	id, err := weights(w.Model)
	if err != nil {
		return "", unreadable(w.Model, err)
	}
	return id + w.Engine + w.BaseModel, nil
}

// asked is how many tasks the base is asked with the policy in its prompt.
const asked = 64

// choose decides how practice samples: with the policy in half of the prompts where the base follows it there, which is measured on tasks of the training split.
func (w *internalizing) choose(key string) error {
	_, with := w.vol.needs()
	window := w.base.windowOf(w.vol)
	switch {
	case w.work.Done["choose"] == key:
		return nil
	case w.plays():
		w.work.Recipe = recipe{Why: "No practice: the tasks are dialogues, and a run file plays none; train.Worlds does, from Go."}
	case window > 0 && window < with:
		w.work.Recipe = recipe{Why: fmt.Sprintf("GRPO: the policy and a task have %d tokens, and the model reads %d, so that no sample can be shown the policy.", with, window)}
	case w.Model == "":
		w.work.Recipe = recipe{Why: "GRPO: a new model cannot follow a policy in its prompt, so that samples that are shown it would show nothing."}
	case w.Engine != "":
		w.work.Recipe = recipe{Why: "GRPO: the weights are elsewhere, so that nobody measured whether they follow the policy in the prompt. If they do, in 60 % of tasks or more, take recipe policy-rollout with sample {plain: 8, informed: 8}."}
	case w.DryRun:
		w.work.Recipe = recipe{Informed: true, Why: "PolicyRollout, if the base follows the policy in its prompt in 60 % of training tasks or more, which a dry run does not measure; otherwise GRPO."}
		return nil
	default:
		r, err := w.inContext(key)
		if err != nil {
			return err
		}
		w.work.Recipe = r
	}
	w.e.Say("%s", w.work.Recipe.Why)
	return w.done("choose", key)
}

// inContext measures how well the base follows the policy in its prompt.
func (w *internalizing) inContext(key string) (recipe, error) {
	all, err := readTasks(w.e, []string{w.at(trainTasks)})
	if err != nil {
		return recipe{}, err
	}
	var tasks []world.Task
	for i := range min(asked, len(all)) { // spread over all
		tasks = append(tasks, all[i*len(all)/min(asked, len(all))])
	}
	s, end, err := w.prove.subject(w.e, w.Model)
	if err != nil {
		return recipe{}, err
	}
	defer end()
	cfg := prove.Config{File: w.at("choice-" + key[:8] + ".jsonl"), Split: dataset.Train, Sections: []*prove.Section{prove.Accuracy}, MaxTokens: w.vol.room(), Workers: w.Jobs,
		Progress: func(p prove.Progress) {
			w.e.Status(fmt.Sprintf("the base with the policy in its prompt: %d of %d answers", p.Done, p.Questions))
		}}
	if cfg.Play, err = w.prove.play(w.e, tasks); err != nil {
		return recipe{}, err
	}
	proof, err := prove.Measure(w.e.Context, s, tasks, cfg)
	w.e.Status("")
	if err != nil {
		return recipe{}, w.prove.failed(w.e, err)
	}
	m, ok := proof.Metric("accuracy.with_policy")
	r := recipe{Informed: ok && m.Value >= followed}
	if r.Informed {
		r.Why = fmt.Sprintf("PolicyRollout: half of the samples are shown the policy, because the base follows it there in %.0f %% of %d tasks of the training split.", 100*m.Value, m.N)
	} else {
		r.Why = fmt.Sprintf("GRPO: no sample is shown the policy, because the base follows it there in %.0f %% of %d tasks of the training split, and less than %.0f %% shows too little.", 100*m.Value, m.N, 100*followed)
	}
	return r, nil
}

// plan writes run.yaml, unless it was edited, and returns what it says.
func (w *internalizing) plan() (string, error) {
	var packs []string
	for _, name := range w.From {
		rel, err := w.relative(name)
		if err != nil {
			return "", err
		}
		packs = append(packs, rel)
	}
	v := w.vol
	if recipes, err := dataset.Find(w.Recipes); err != nil {
		return "", err
	} else if w.plays() || !slices.ContainsFunc(recipes, func(r *dataset.Recipe) bool { return r.Kind == dataset.RL }) {
		v.Practise = 0
	}
	var names []string
	for i := range w.set.Policies {
		names = append(names, w.set.Policies[i].ID)
	}
	text, err := settingsOf(stagesOf{Name: strings.Join(names, ", "), Seed: w.Seed, URL: w.Engine, Engine: w.BaseModel, V: v, Packs: packs}, w.base, w.work.Recipe)
	if err != nil {
		return "", err
	}
	there, err := os.ReadFile(w.at(settings))
	switch {
	case err == nil && string(there) == text:
		return text, nil
	case err == nil && !slices.Contains(w.work.Written, digestOf(string(there))):
		w.e.Say("%s is as you edited it", w.e.Short(w.at(settings)))
		return string(there), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", unreadable(w.at(settings), err)
	}
	w.work.Written = append(w.work.Written, digestOf(text)) // before the file, so that a kill between the two does not make it look edited
	if err := w.keep(); err != nil {
		return "", err
	}
	if err := durable.Replace(w.at(settings), []byte(text), 0o644); err != nil {
		return "", unwritable(settings, err)
	}
	return text, nil
}

// plays tells whether tasks are dialogues, which a run file cannot practise: one answer is not a play.
func (w *internalizing) plays() bool {
	tasks, err := readTasks(w.e, []string{w.at(trainTasks)})
	return err == nil && slices.ContainsFunc(tasks, func(t world.Task) bool { return t.User != nil })
}

func (w *internalizing) prepared() error {
	w.e.Say("read and edit %s; the same command without --prepare goes on", w.e.Short(w.at(settings)))
	if w.e.Format == "json" {
		return w.e.Print(map[string]any{"folder": w.Out, "settings": w.at(settings), "data": w.vol, "recipe": w.work.Recipe})
	}
	return nil
}

// forecast prints what would be done.
func (w *internalizing) forecast(text string) error {
	var plan struct {
		Params  int64             `json:"parameters"`
		Memory  int64             `json:"memory_bytes"`
		Seconds float64           `json:"seconds"`
		Stages  []train.StagePlan `json:"stages"`
	}
	if err := w.e.training(w.at(settings), true, &plan); err != nil {
		return err
	}
	if w.e.Format == "json" {
		return w.e.Print(map[string]any{"data": w.vol, "recipe": w.work.Recipe, "training": plan, "settings": text})
	}
	var b strings.Builder
	v := w.vol
	fmt.Fprintf(&b, "data      %d texts (%d tokens), %d answers, %d tasks to practise, %d held out\n", v.Read, v.Texts, v.Answer, v.Practise, v.Test)
	fmt.Fprintf(&b, "prompts   at most %d tokens, %d with the policy (%d), answers %d\n", v.Prompt, v.Informed, v.Policy, v.Said)
	b.WriteString(wrapped(w.work.Recipe.Why, 70, "          ")) // below its heading
	fmt.Fprintf(&b, "training  %.2g M parameters", float64(plan.Params)/1e6)
	if plan.Seconds > 0 { // not known of an engine elsewhere
		fmt.Fprintf(&b, ", about %.0f MB, about %s on this machine", float64(plan.Memory)/1e6, time.Duration(plan.Seconds*float64(time.Second)).Round(time.Second))
	}
	b.WriteByte('\n')
	for _, g := range plan.Stages {
		fmt.Fprintf(&b, "  %-10s %d rows, %d steps by %s, %d tokens\n", g.Name, g.Rows, g.Steps, g.Recipe, g.Learned)
	}
	fmt.Fprintf(&b, "proof     %d tasks, before and after, with the policy and without\n", v.Test)
	_, err := w.e.Stdout.Write([]byte(b.String()))
	return err
}

// training carries out a file of settings and reads what it came to.
func (e *Env) training(file string, dry bool, into any) error {
	out, err := e.Train(file, dry)
	if err != nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// train carries run.yaml out. The folder of a run with other inputs is moved aside.
func (w *internalizing) train(key, text string) error {
	s, err := train.Parse(w.at(settings), []byte(text))
	if err != nil {
		return err
	}
	if w.work.Done["train"] == key {
		w.e.Say("trained before: %s", w.e.Short(w.weights()))
		return nil
	}
	run := w.at(s.Output)
	if _, err := os.Stat(run); err == nil && w.work.Done["begun"] != key && s.Output == "run" {
		aside := run
		for n := 1; ; n++ {
			aside = fmt.Sprintf("%s-%d", run, n)
			if _, err := os.Stat(aside); errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if err := os.Rename(run, aside); err != nil {
			return unwritable(run, err)
		}
		w.e.Say("data or settings changed: the former run is in %s", w.e.Short(aside))
	}
	if err := w.done("begun", key); err != nil {
		return err
	}
	var sum struct {
		Steps   int    `json:"steps"`
		Weights string `json:"weights"`
	}
	if err := w.e.training(w.at(settings), false, &sum); err != nil {
		return err
	}
	w.work.Weights = sum.Weights
	if w.Engine == "" {
		if w.work.Weights, err = w.relative(sum.Weights); err != nil {
			return err
		}
	}
	w.e.Say("trained in %d steps: %s", sum.Steps, w.e.Short(sum.Weights))
	return w.done("train", key)
}

// gateText is the gate of those who brought none.
const gateText = `# What the model has to show before it may be released: each line compares the worse end of an interval of 95 %.
# docs/prove.md lists what can be required. With 35 held-out tasks or fewer, not even all right answers reach 0.9.
require:
  - accuracy.no_policy.lower >= 0.9
`

// proof measures and decides.
func (w *internalizing) proof(key string) error {
	if w.Engine != "" {
		return w.e.Fail(exitIncomplete, proviso.Diagnostic{Code: codeAfar, Msg: fmt.Sprintf("trained, and not proved: the weights are at %s", w.work.Weights), Hint: fmt.Sprintf("serve them, then: proviso prove NAME --endpoint URL --tasks %s --tasks %s --out %s", w.at(trainTasks), w.at(testTasks), w.Out)})
	}
	if w.Gate == "" {
		w.prove.Gate = w.at("gate.yaml")
		if _, err := os.Stat(w.prove.Gate); errors.Is(err, fs.ErrNotExist) {
			if err := durable.Replace(w.prove.Gate, []byte(gateText), 0o644); err != nil {
				return unwritable(w.prove.Gate, err)
			}
		}
	} else {
		w.prove.Gate = w.Gate
	}
	gate, err := w.prove.gate(w.e)
	if err != nil {
		return err
	}
	var proof *prove.Proof
	if text, err := os.ReadFile(w.at("proof.json")); err == nil && w.work.Done["prove"] == key {
		if proof, err = prove.ReadProof(w.at("proof.json"), text); err != nil {
			return err
		}
	} else if proof, err = w.measure(key); err != nil {
		return err
	}
	rep := &report.Report{Proof: proof, Gate: gate.Check(proof)}
	w.prove.Out = w.Out
	if err := w.prove.keep(rep); err != nil {
		return err
	}
	if proof.Complete() {
		if err := w.done("prove", key); err != nil {
			return err
		}
	}
	if err := w.tell(rep); err != nil {
		return err
	}
	switch {
	case !prove.Open(rep.Gate):
		return w.e.Fail(exitFindings, proviso.Diagnostic{Code: prove.CodeReleased, Msg: "the release gate stays closed", Hint: "the report says what does not hold"})
	case !proof.Complete():
		return w.e.Fail(exitIncomplete, proviso.Diagnostic{Code: prove.CodeAsk, Msg: fmt.Sprintf("%d of %d requests failed", proof.Errors, proof.Asked), Hint: "the same command asks them again"})
	}
	return nil
}

// measure asks the model before and after.
func (w *internalizing) measure(key string) (*prove.Proof, error) {
	tasks, err := readTasks(w.e, []string{w.at(trainTasks), w.at(testTasks)})
	if err != nil {
		return nil, err
	}
	cfg := prove.Config{File: w.at("answers-" + key[:8] + ".jsonl"), MaxTokens: w.vol.room(), Workers: w.Jobs, Progress: func(p prove.Progress) {
		w.e.Status(fmt.Sprintf("%d of %d answers, %d failed", p.Done, p.Questions, p.Errors))
	}}
	if cfg.Play, err = w.prove.play(w.e, tasks); err != nil {
		return nil, err
	}
	subject, end, err := w.prove.subject(w.e, w.weights())
	if err != nil {
		return nil, err
	}
	defer end()
	before, ends, err := w.prove.subject(w.e, cmp.Or(w.Model, w.at("run/start")))
	if err != nil {
		return nil, err
	}
	defer ends()
	cfg.Before = &before
	proof, err := prove.Measure(w.e.Context, subject, tasks, cfg)
	w.e.Status("")
	if err != nil {
		return nil, w.prove.failed(w.e, err)
	}
	proof.Parts[0].Notes = append(w.notes(proof), proof.Parts[0].Notes...)
	return proof, nil
}

// notes are what has to be known to read a proof of this work.
func (w *internalizing) notes(p *prove.Proof) []string {
	out := []string{"Practice, as run.yaml was written: " + w.work.Recipe.Why}
	if said := verdict(p); said != "" {
		out = append(out, said)
	}
	return out
}

// verdict says where nothing was learnt that shows.
func verdict(p *prove.Proof) string {
	now, measured := p.Metric("accuracy.no_policy")
	most, baseline := p.Metric("accuracy.majority")
	if !measured || !baseline || now.Low > most.Value {
		return ""
	}
	return fmt.Sprintf("Nothing was learnt that shows: %.0f %% of the held-out tasks are right without the policy, and always giving the answer that is most frequent would have %.0f %%.", 100*now.Value, 100*most.Value)
}

// tell prints what came of it.
func (w *internalizing) tell(rep *report.Report) error {
	if w.e.Format == "json" {
		return w.e.Print(map[string]any{"folder": w.Out, "data": w.vol, "recipe": w.work.Recipe, "weights": w.weights(), "proof": rep.Proof, "gate": rep.Gate})
	}
	var b bytes.Buffer
	err := report.Pretty(&b, rep)
	for _, note := range w.notes(rep.Proof) {
		b.WriteString(wrapped(note, 80, ""))
	}
	if err == nil {
		_, err = w.e.Stdout.Write(b.Bytes())
	}
	if err != nil {
		return unwritable("standard output", err)
	}
	w.e.Say("the weights are in %s, the proof in %s", w.e.Short(w.weights()), w.e.Short(w.at("proof.html")))
	return nil
}
