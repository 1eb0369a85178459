package learning

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/audit"
	"github.com/proviso-dev/proviso/dataset"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/llm/endpoint"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/policy/pack"
	"github.com/proviso-dev/proviso/prove"
	"github.com/proviso-dev/proviso/prove/report"
	"github.com/proviso-dev/proviso/rollout"
	"github.com/proviso-dev/proviso/world"
	"github.com/proviso-dev/proviso/world/paths"
	"github.com/proviso-dev/proviso/world/scene"
)

// Prove is `proviso prove`.
type Prove struct {
	Model    string `arg:"" optional:"" help:"Folder of a checkpoint, or with --endpoint the name of the model there." placeholder:"MODEL"`
	Endpoint string `help:"Address of a model API instead of a folder: .../v1/chat/completions or .../v1/messages. Its key is PROVISO_MODEL_KEY." placeholder:"URL"`

	Tasks     []string `help:"Files of tasks, as proviso gen writes them. Default: what calls the packs permit, by their cases and by generated ones." placeholder:"FILE" env:"-"`
	Pack      []string `help:"Packs of the policies, by their names: what does the guard still catch? Tasks with a user are played under them." placeholder:"DIR" env:"-"`
	Split     string   `help:"Measure only the tasks of this split; default: all but train." placeholder:"NAME" env:"-"`
	Former    []string `help:"Tasks of the version of the policy before: how often are its answers still given?" placeholder:"FILE" env:"-"`
	General   []string `help:"Tasks that have nothing to do with the policy: what was forgotten?" placeholder:"FILE" env:"-"`
	Questions []string `help:"Files of questions about clauses. Default: choices, made from the tasks; taught: the questions of the training rows." placeholder:"FILE" env:"-"`
	Beside    []string `help:"Proofs (proof.json) of models with other numbers of policies, for the interference curve." placeholder:"FILE" env:"-"`
	Before    string   `help:"The model before it was taught: a folder, or with --endpoint a name." placeholder:"MODEL" env:"-"`
	Gate      string   `help:"Release gate (YAML); what does not hold ends with exit code 1." placeholder:"FILE" env:"-"`

	Out       string        `help:"Folder for proof.json, proof.html and the answers: the same command goes on where it was stopped." placeholder:"DIR" env:"-"`
	Update    string        `help:"How an edited policy is announced, with {name} and {text}." placeholder:"TEXT" env:"-"`
	Chat      string        `help:"Chat family of a checkpoint whose template is not known." placeholder:"NAME"`
	Plain     bool          `help:"Give a checkpoint that has no chat form the messages as one text, with blank lines between them." env:"-"`
	MaxTokens int           `name:"max-tokens" help:"Longest answer; 0: as the model has it." placeholder:"N" env:"-"`
	Timeout   time.Duration `help:"How long to wait for an answer of an endpoint." default:"1m"`
	Jobs      int           `short:"j" help:"Requests at the same time." default:"8" placeholder:"N"`
}

// Help is the long help of the command.
func (Prove) Help() string {
	return `Measures how far a model follows a policy that is not in its prompt: right answers by depth and leaf, with the policy and without; what it knows against what it does; the clauses that it cites; edited policies from the system, and the same words from a user; answers of a former version; several policies in one model; what it forgot; what is saved. See docs/prove.md.

Every number has an interval, and a gate compares the side of it that is worse, such as accuracy.no_policy.lower >= 0.9. The exit code is 1 where the gate stays closed, 3 where requests failed; nothing to measure is 2.`
}

// maxTasks is how many bytes a file of tasks may have.
const maxTasks = 1 << 30

// Run measures, prints and keeps.
func (c *Prove) Run(e *Env) error {
	if err := e.formats("pretty", "json", "html"); err != nil {
		return err
	}
	gate, err := c.gate(e)
	if err != nil {
		return err
	}
	tasks, err := c.tasks(e)
	if err != nil {
		return err
	}
	cfg := prove.Config{Workers: c.Jobs, Split: c.Split, MaxTokens: c.MaxTokens, Update: c.Update}
	for _, f := range []struct {
		to    *[]world.Task
		names []string
	}{{&cfg.Former, c.Former}, {&cfg.General, c.General}} {
		if *f.to, err = readTasks(e, f.names); err != nil {
			return err
		}
	}
	if cfg.Questions, err = c.questions(e, tasks); err != nil {
		return err
	}
	if cfg.Play, err = c.play(e, tasks); err != nil {
		return err
	}
	for _, name := range c.Beside {
		text, err := e.Read(name, maxTasks)
		if err != nil {
			return err
		}
		other, err := prove.ReadProof(name, text)
		if err != nil {
			return err
		}
		cfg.Beside = append(cfg.Beside, other)
	}
	subject, end, err := c.subject(e, c.Model)
	if err != nil {
		return err
	}
	defer end()
	if c.Before != "" {
		before, end, err := c.subject(e, c.Before)
		if err != nil {
			return err
		}
		defer end()
		cfg.Before = &before
	}
	return c.measure(e, subject, tasks, cfg, gate)
}

func (c *Prove) measure(e *Env, subject prove.Subject, tasks []world.Task, cfg prove.Config, gate *prove.Gate) error {
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return unwritable(c.Out, err)
		}
		cfg.File = filepath.Join(c.Out, "answers.jsonl")
	}
	cfg.Progress = func(p prove.Progress) {
		e.Status(fmt.Sprintf("%d of %d answers, %d failed", p.Done, p.Questions, p.Errors))
	}
	proof, err := prove.Measure(e.Context, subject, tasks, cfg)
	e.Status("")
	if err != nil {
		return c.failed(e, err)
	}
	rep := &report.Report{Proof: proof}
	if gate != nil {
		rep.Gate = gate.Check(proof)
	}
	if err := c.keep(rep); err != nil {
		return err
	}
	if err := c.print(e, rep); err != nil {
		return err
	}
	switch {
	case gate != nil && !prove.Open(rep.Gate):
		return e.Fail(exitFindings, proviso.Diagnostic{Code: prove.CodeReleased, Msg: "the release gate stays closed", Hint: "the report says what does not hold"})
	case !proof.Complete():
		return e.Fail(exitIncomplete, proviso.Diagnostic{Code: prove.CodeAsk, Msg: fmt.Sprintf("%d of %d requests failed; the first: %s", proof.Errors, proof.Asked, cmp.Or(proof.Failure, "no reason was given")), Hint: "the same command with --out asks them again"})
	}
	return nil
}

// gate reads the release gate; nil where there is none.
func (c *Prove) gate(e *Env) (*prove.Gate, error) {
	if c.Gate == "" {
		return nil, nil
	}
	text, err := e.Read(c.Gate, 1<<20)
	if err != nil {
		return nil, err
	}
	return prove.ParseGate(c.Gate, text)
}

// readTasks reads the tasks of files, nil for none.
func readTasks(e *Env, names []string) ([]world.Task, error) {
	var out []world.Task
	for _, name := range names {
		text, err := e.Read(name, maxTasks)
		if err != nil {
			return nil, err
		}
		tasks, err := world.ReadTasks(name, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		out = append(out, tasks...)
	}
	return out, nil
}

// tasks are those of files, or else of packs.
func (c *Prove) tasks(e *Env) ([]world.Task, error) {
	if len(c.Tasks) > 0 {
		return readTasks(e, c.Tasks)
	}
	var out []world.Task
	for _, dir := range c.Pack {
		tasks, err := fromPack(e, dir)
		if err != nil {
			return nil, err
		}
		out = append(out, tasks...)
	}
	if len(out) == 0 {
		return nil, diagnose(codeUsage, "give --tasks, or --pack with a pack that has cases", "there is nothing to measure")
	}
	return out, nil
}

// fromPack asks of every call that the pack's cases decide, and of those that are generated by the paths of its rules, what the policy says to it.
func fromPack(e *Env, dir string) ([]world.Task, error) {
	src, err := sourceOf(e, dir)
	if err != nil {
		return nil, err
	}
	return src.Tasks, nil
}

// sourceOf is what a pack and its cases, its own and generated ones, can be taught and measured with.
func sourceOf(e *Env, dir string) (*dataset.Source, error) {
	pol, err := e.Compile([]string{dir})
	if err != nil {
		return nil, err
	}
	var more []pack.Case
	made, err := paths.Generate(pol.Packs(), paths.Config{Play: tested, Progress: func(done, all int, rule, _ string) {
		e.Status(fmt.Sprintf("cases of rule %s, %d of %d", rule, done, all))
	}})
	e.Status("")
	if err != nil {
		e.Say("%s: no cases are generated: %v", e.Short(dir), err)
	} else {
		more = made.Cases()
	}
	src, err := dataset.FromPack(os.DirFS(dir), ".", more...)
	if err != nil {
		return nil, err
	}
	for i := range src.Tasks {
		t := &src.Tasks[i]
		t.Text = src.Policy(t.Policy).Text
		t.Gold.Steps = nil // they name rules, which a question about a clause must not
	}
	return src, nil
}

// tested plays cases as proviso test does, and names the first that fails.
func tested(p *policy.Policy, cases []pack.Case) (failed string, ok bool) {
	for _, r := range audit.Test(p, cases) {
		if !r.Passed() {
			return r.Name, false
		}
	}
	return "", true
}

// questions are those of files, or of a kind that has a name; nil: the default.
func (c *Prove) questions(e *Env, tasks []world.Task) ([]world.Task, error) {
	if len(c.Questions) == 1 {
		switch c.Questions[0] {
		case "choices":
			return nil, nil
		case "taught":
			return prove.AsTaught(tasks), nil
		}
	}
	return readTasks(e, c.Questions)
}

// play says how tasks are decided and played by packs: a task's is the one with its policy's name, or the only one. nil without packs.
func (c *Prove) play(e *Env, tasks []world.Task) (*rollout.Config, error) {
	if len(c.Pack) == 0 {
		return nil, nil
	}
	byName := map[string]*policy.Policy{}
	var only *policy.Policy
	for _, dir := range c.Pack {
		p, err := e.Compile([]string{dir})
		if err != nil {
			return nil, err
		}
		only = p
		byName[strings.ToLower(p.Packs()[0].Name)] = p
	}
	if len(c.Pack) > 1 {
		only = nil
	}
	of := func(t *world.Task) (*policy.Policy, error) {
		if p := cmp.Or(byName[strings.ToLower(t.Policy)], only); p != nil {
			return p, nil
		}
		return nil, diagnose(codeUsage, "give the pack of each policy with --pack", "no pack has the name of policy %s", t.Policy)
	}
	for i := range tasks {
		if _, err := of(&tasks[i]); err != nil {
			return nil, err
		}
	}
	return &rollout.Config{Kinds: Kinds, Policy: of, Answer: acts}, nil
}

// acts is the call that a single answer stands for: that of a scene responds with it, and others are calls in JSON.
func acts(t *world.Task, said world.Said) (proviso.ToolCall, bool) {
	call := world.Call{Tool: scene.ToolRespond, Args: map[string]any{"case": said.Final}}
	if t.Kind != scene.Kind.Name && proviso.DecodeStrict(said.Final, &call) != nil {
		return proviso.ToolCall{}, false
	}
	args, err := proviso.AppendJSON(nil, call.Args)
	return proviso.ToolCall{Tool: call.Tool, Args: args}, err == nil
}

// named asks an endpoint for a model of a name.
type named struct {
	llm.Model
	name string
}

// Complete asks for the model of that name.
func (n named) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	req.Model = n.name
	return n.Model.Complete(ctx, req)
}

// modelKeys are the environment variables that may hold the key of an endpoint.
var modelKeys = []string{"PROVISO_MODEL_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"}

// key is the secret of an endpoint; none is fine for local ones.
func key(e *Env) string {
	for _, name := range modelKeys {
		if k := e.Getenv(name); k != "" {
			return k
		}
	}
	return ""
}

// subject opens a model. end closes it.
func (c *Prove) subject(e *Env, name string) (s prove.Subject, end func(), err error) {
	if c.Endpoint != "" {
		m, err := endpoint.Open(endpoint.Options{URL: c.Endpoint, Key: key(e), Timeout: c.Timeout})
		if err != nil {
			return s, nil, diagnose(prove.CodeAsk, "give --endpoint, such as http://127.0.0.1:7080/v1", "%v", err)
		}
		return prove.Subject{Name: strings.TrimPrefix(name+" at "+c.Endpoint, " at "), Model: named{m, name}}, func() { m.Close() }, nil
	}
	if name == "" {
		return s, nil, diagnose(codeUsage, "name the folder of a checkpoint, or give --endpoint", "there is no model to measure")
	}
	id, err := weights(name)
	if err != nil {
		return s, nil, unreadable(name, err)
	}
	m, err := model.Load(name, model.LoadOptions{Chat: c.Chat})
	var d proviso.Diagnostic
	switch {
	case errors.As(err, &d):
		return s, nil, err
	case err != nil:
		return s, nil, diagnose(codeInput, "name the folder of a checkpoint with config.json and model.safetensors", "%s: %s", name, because(err))
	}
	if m.Tokenizer == nil || m.Chat == nil && !c.Plain {
		return s, nil, diagnose(prove.CodeAsk, "name the family it was trained on with --chat, or give --plain", "%s has no tokenizer or no chat template", name)
	}
	g := model.NewGenerator(m, model.GeneratorOptions{Slots: max(c.Jobs, 1), Queue: 4 * max(c.Jobs, 64)})
	alone := model.NewGenerator(m, model.GeneratorOptions{Slots: 1})
	s = prove.Subject{Name: m.Name, ID: id, Model: g, Prefill: prefill(alone, prompt)}
	if c.Plain {
		s.Model, s.Prefill = texts{g}, prefill(alone, plain)
	}
	return s, func() { g.Close(); alone.Close() }, nil
}

// prompt is what a model reads in its chat form, and plain without one.
func prompt(m *model.Model, messages []llm.Message) ([]int32, error) {
	return m.Prompt(model.Messages(messages), chat.Options{Generate: true})
}

func plain(m *model.Model, messages []llm.Message) ([]int32, error) {
	parts := make([]string, len(messages))
	for i, msg := range messages {
		parts[i] = msg.Text
	}
	return m.Tokenizer.Encode(strings.Join(parts, "\n\n"), tokenizer.Options{Special: true}), nil
}

// texts is a model that continues a text.
type texts struct{ g *model.Generator }

// Complete continues the messages as one text.
func (t texts) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	ids, err := plain(t.g.Model(), req.Messages)
	if err != nil {
		return llm.Response{}, err
	}
	a, err := t.g.Generate(ctx, model.Request{Prompt: ids, MaxTokens: req.MaxTokens, Stop: req.Stop, Sampling: t.g.Sampling(req.Temperature, nil, nil, req.Seed)}, nil)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Response{Text: a.Text, Stop: a.Stop, Usage: llm.Usage{Input: len(ids), Output: len(a.Tokens)}}, nil
}

// prefill times how long a model reads a prompt. Its generator answers one request at a time and remembers only the last prompt, so that turns of two different ones are read whole.
func prefill(g *model.Generator, read func(*model.Model, []llm.Message) ([]int32, error)) func(context.Context, []llm.Message) (time.Duration, error) {
	return func(ctx context.Context, messages []llm.Message) (time.Duration, error) {
		ids, err := read(g.Model(), messages)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		_, err = g.Generate(ctx, model.Request{Prompt: ids, MaxTokens: 1}, nil)
		return time.Since(start), err
	}
}

// weights identifies a checkpoint by the bytes of its files, so that answers of other weights are never taken for its own.
func weights(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range names {
		if ext := filepath.Ext(name); ext != ".safetensors" && ext != ".json" && ext != ".jinja" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\n", filepath.Base(name))
		_, err = io.Copy(sum, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// failed is an error of measuring.
func (c *Prove) failed(e *Env, err error) error {
	var d proviso.Diagnostic
	var file *eval.FileError
	switch {
	case errors.Is(err, context.Canceled):
		if c.Out == "" {
			e.Say("stopped; with --out DIR the next run would go on from here")
		}
		return err
	case errors.As(err, &file):
		code := 2
		if file.Damaged {
			code = exitIntegrity
		}
		return e.Fail(code, proviso.Diagnostic{Code: file.Code(), Msg: fmt.Sprintf("%s: %s", e.Short(file.Name), file.Err), Hint: file.Hint()})
	case errors.As(err, &d) && d.Code == prove.CodeAsk:
		return e.Fail(exitIncomplete, d)
	case errors.As(err, &d):
		return err
	}
	return e.Fail(exitIncomplete, proviso.Diagnostic{Code: prove.CodeAsk, Msg: err.Error(), Hint: "check that the model runs and answers"})
}

// keep writes the proof and its page where a folder was named.
func (c *Prove) keep(rep *report.Report) error {
	if c.Out == "" {
		return nil
	}
	text, err := proviso.AppendJSON(nil, rep.Proof)
	if err != nil {
		return unwritable("proof.json", err)
	}
	var page bytes.Buffer
	if err := report.HTML(&page, rep); err != nil {
		return unwritable("proof.html", err)
	}
	for _, f := range []struct {
		name  string
		bytes []byte
	}{{"proof.json", append(text, '\n')}, {"proof.html", page.Bytes()}} {
		if err := durable.Replace(filepath.Join(c.Out, f.name), f.bytes, 0o644); err != nil {
			return unwritable(f.name, err)
		}
	}
	return nil
}

// print writes the report in the format that was asked for.
func (c *Prove) print(e *Env, rep *report.Report) error {
	var err error
	switch e.Format {
	case "json":
		return e.Print(rep)
	case "html":
		err = report.HTML(e.Stdout, rep)
	default:
		err = report.Pretty(e.Stdout, rep)
	}
	if err != nil {
		return unwritable("standard output", err)
	}
	if c.Out != "" {
		e.Say("the proof is in %s", e.Short(c.Out))
	}
	return nil
}
