package learning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/policy"
	"github.com/proviso-dev/proviso/reward"
	"github.com/proviso-dev/proviso/reward/serve"
	"github.com/proviso-dev/proviso/world"
)

// Reward is `proviso reward`.
type Reward struct {
	Serve    RewardServe    `cmd:"" help:"Answer trainers over HTTP: OpenRLHF, NeMo Gym, OpenEnv, and the shims of verl and TRL."`
	Score    RewardScore    `cmd:"" help:"Score recorded answers, with reasons."`
	Propose  RewardPropose  `cmd:"" help:"Turn sentences about what is worth what into terms for review."`
	Simulate RewardSimulate `cmd:"" help:"Say what terms would change over recorded answers."`
	Shim     RewardShim     `cmd:"" help:"Print a Python file by which verl or TRL asks proviso reward serve."`
}

// judged are the flags of commands that judge.
type judged struct {
	Pack   []string `help:"Folder of a compiled policy; again for further policies. Tasks name them by the pack's name." placeholder:"DIR" env:"-"`
	Tasks  []string `help:"Files of tasks, as proviso gen writes them. The cases of packs are tasks as well." placeholder:"FILE" env:"-"`
	Reward string   `help:"Terms of the reward (YAML); default: the formula without wishes." placeholder:"FILE" env:"-"`
}

// maxTerms is how many bytes a file of terms may have.
const maxTerms = 1 << 20

// bench opens policies and terms. The cases are those of the tasks and of the packs.
func (c *judged) bench(e *Env) (*opened, error) {
	o := &opened{spec: reward.Default()}
	if c.Reward != "" {
		text, err := e.Read(c.Reward, maxTerms)
		if err != nil {
			return nil, err
		}
		s, err := reward.Parse(c.Reward, text)
		if err != nil {
			return nil, err
		}
		o.spec = *s
	}
	for _, dir := range c.Pack {
		p, err := e.Compile([]string{dir})
		if err != nil {
			return nil, err
		}
		o.policies = append(o.policies, p)
		for _, k := range p.Packs() {
			for _, x := range reward.FromPack(p, k.Tests) {
				x.Policy = p.Packs()[0].Name
				o.fromPacks = append(o.fromPacks, x)
			}
		}
	}
	var err error
	if o.bench, err = reward.NewBench(o.spec, o.policies...); err != nil {
		return nil, err
	}
	if o.tasks, err = readTasks(e, c.Tasks); err != nil {
		return nil, err
	}
	if len(o.tasks)+len(o.policies) == 0 {
		return nil, diagnose(codeUsage, "give --tasks, --pack or both", "there is nothing to judge by")
	}
	o.cases = append(o.cases, o.fromPacks...)
	for i := range o.tasks {
		o.cases = append(o.cases, reward.Of(&o.tasks[i]))
	}
	return o, nil
}

// opened is what answers are judged by.
type opened struct {
	spec      reward.Spec
	bench     *reward.Bench
	policies  []*policy.Policy
	tasks     []world.Task
	fromPacks []reward.Case
	cases     []reward.Case
}

// RewardServe is `proviso reward serve`.
type RewardServe struct {
	judged
	Listen  string        `help:"Address to listen on." default:"127.0.0.1:8090" placeholder:"HOST:PORT" env:"-"`
	KeyFile string        `help:"File with the key that clients have to send; needed on an address that others reach." placeholder:"FILE" env:"-"`
	Mask    bool          `help:"Answer /verify for what cannot be judged with mask_sample instead of an error; older versions of NeMo Gym read it as 0." env:"-"`
	Timeout time.Duration `help:"How long a request may take." default:"30s" env:"-"`
	Drain   time.Duration `help:"How long requests may go on after a signal." default:"10s" env:"-"`
}

// Help is the long help of the command.
func (RewardServe) Help() string {
	return `Answers trainers with rewards of compiled policies: POST /get_reward (OpenRLHF), /seed_session, /{tool}, /verify, /aggregate_metrics and /reverify_mode (NeMo Gym), /reset, /step, /state, /schema, /metadata, /health and the WebSocket /ws (OpenEnv, TRL), and POST /score, which the files of proviso reward shim ask. See docs/rewards.md.

Labels and rows name a task by its id, or bring their gold. What is unknown is refused, never worth 0. Nothing of tasks, prompts or answers is logged.`
}

// Run serves until a signal ends it.
func (c *RewardServe) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	key := ""
	if c.KeyFile != "" {
		b, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return unreadable(c.KeyFile, err)
		}
		if key = strings.TrimSpace(string(b)); key == "" {
			return diagnose(codeInput, "write the key into it", "%s is empty", c.KeyFile)
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	if err != nil || key == "" && host != "localhost" && !(ip != nil && ip.IsLoopback()) {
		return diagnose(codeUsage, "give --key-file, or listen on 127.0.0.1", "--listen %s can be reached by others, or is no address, and nothing asks who they are", c.Listen)
	}
	o, err := c.bench(e)
	if err != nil {
		return err
	}
	if o.spec.Status == reward.Draft {
		return diagnose(reward.CodeSpec, "look at proviso reward simulate, and set status: reviewed", "%s is a draft; nothing is trained with it", c.Reward)
	}
	s, err := serve.New(serve.Config{Bench: o.bench, Tasks: o.tasks, Cases: o.fromPacks, Kinds: Kinds, Key: key, Mask: c.Mask, Timeout: c.Timeout, Now: e.Now, Log: func(x serve.Served) {
		if x.Status >= http.StatusInternalServerError {
			e.Say("proviso reward serve: %s: status %d after %s", x.Route, x.Status, x.Took.Round(time.Millisecond))
		}
	}})
	if err != nil {
		return err
	}
	l, err := e.Listen(c.Listen)
	if err != nil {
		return err
	}
	e.Patience(c.Drain + time.Second)
	url := "http://" + l.Addr().String()
	if e.Format == "json" {
		if err := e.Print(map[string]any{"listening": url, "tasks": len(o.cases), "policies": len(o.policies)}); err != nil {
			return err
		}
	}
	e.Say("proviso reward serve: %s rewards answers to %s under %s", url, quantity(len(o.cases), "task", "tasks"), quantity(len(o.policies), "policy", "policies"))
	server := e.Server(s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return e.Fail(exitIncomplete, proviso.Diagnostic{Code: serve.CodeBusy, Msg: "serve: " + err.Error(), Hint: "start it again"})
	case <-e.Context.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Drain)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		e.Say("proviso reward serve: requests were still on their way after %s and were ended", c.Drain)
	}
	server.Close()
	return nil
}

// RewardScore is `proviso reward score`.
type RewardScore struct {
	judged
	Answers string `help:"Answers: one {\"task\", \"text\"} on each line; - is standard input." placeholder:"FILE" env:"-"`
	Task    string `help:"Id of the task of --text." placeholder:"ID" env:"-"`
	Text    string `help:"One answer." placeholder:"TEXT" env:"-"`
}

// Help is the long help of the command.
func (RewardScore) Help() string {
	return `Scores answers as a trainer would have them scored, and says why. The exit code is 1 where an answer cannot be judged: it has no reward, which is not a reward of 0.`
}

// maxAnswers is how many bytes a file of answers may have.
const maxAnswers = 1 << 30

// Run scores and prints.
func (c *RewardScore) Run(e *Env) error {
	if err := e.formats("pretty", "json", "jsonl"); err != nil {
		return err
	}
	if (c.Answers == "") == (c.Task == "") {
		return diagnose(codeUsage, "give --answers FILE, or --task ID and --text ANSWER", "there are no answers, or two kinds of them")
	}
	o, err := c.bench(e)
	if err != nil {
		return err
	}
	answers := []reward.Answer{{Task: c.Task, Text: c.Text}}
	if c.Answers != "" {
		if answers, err = readAnswers(e, c.Answers); err != nil {
			return err
		}
	}
	cases, err := reward.Find(o.cases, answers)
	if err != nil {
		return err
	}
	total := scored{By: map[reward.Verdict]int{}}
	for i := range answers {
		r, err := o.bench.Score(cases[i], answers[i].Attempt())
		if err != nil {
			return err
		}
		total.add(r)
	}
	if err := total.print(e); err != nil {
		return err
	}
	if total.Unjudged > 0 {
		return e.Exit(exitFindings)
	}
	return nil
}

func readAnswers(e *Env, name string) ([]reward.Answer, error) {
	b, err := e.Read(name, maxAnswers)
	if err != nil {
		return nil, err
	}
	return reward.ReadAnswers(name, bytes.NewReader(b))
}

// scored is what came of answers.
type scored struct {
	Reports  []reward.Report        `json:"answers"`
	Mean     *float64               `json:"mean"` // of those that were judged; null where none was
	Unjudged int                    `json:"unjudged"`
	By       map[reward.Verdict]int `json:"verdicts"`
	sum      float64
}

func (s *scored) add(r reward.Report) {
	s.Reports = append(s.Reports, r)
	s.By[r.Verdict]++
	if !r.OK || math.IsNaN(r.Total) {
		s.Unjudged++
		return
	}
	s.sum += r.Total
	mean := s.sum / float64(len(s.Reports)-s.Unjudged)
	s.Mean = &mean
}

// RewardPropose is `proviso reward propose`.
type RewardPropose struct {
	Sentences []string `arg:"" optional:"" help:"What is worth what, in sentences; - reads standard input." placeholder:"TEXT"`
	Forms     bool     `help:"List the forms of sentences that are read." env:"-"`
	Out       string   `help:"File to write the draft to; one that exists is left alone." placeholder:"FILE" env:"-"`
}

// Help is the long help of the command.
func (RewardPropose) Help() string {
	return `Reads sentences such as "never reveal \"GOLD-42\"; prefer short answers; a wrong allow costs three times as much as a wrong deny" by a table of forms, and writes terms of a reward as YAML with status: draft. What no form reads is said and never guessed; the exit code is then 1. Look at proviso reward simulate before you set status: reviewed.`
}

// Run reads sentences.
func (c *RewardPropose) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	if c.Forms {
		return printForms(e)
	}
	text := strings.Join(c.Sentences, "\n")
	if text == "-" {
		b, err := e.Read("-", maxTerms)
		if err != nil {
			return err
		}
		text = string(b)
	}
	if strings.TrimSpace(text) == "" {
		return diagnose(codeUsage, `such as: proviso reward propose "prefer short answers"; --forms lists what is read`, "there are no sentences")
	}
	p := reward.Propose(text)
	y, err := p.Spec.Write()
	if err != nil {
		return err
	}
	if len(p.Readings) == 0 {
		return diagnose(reward.CodeSpec, "see proviso reward propose --forms", "no sentence could be read")
	}
	if c.Out != "" {
		if err := durable.Create(c.Out, y, 0o644); err != nil {
			return unwritable(c.Out, err)
		}
	}
	if e.Format == "json" {
		if err := e.Print(p); err != nil {
			return err
		}
	} else if err := printProposal(e, p, y, c.Out); err != nil {
		return err
	}
	if len(p.Spec.Unread) > 0 {
		return e.Exit(exitFindings)
	}
	return nil
}

// RewardSimulate is `proviso reward simulate`.
type RewardSimulate struct {
	Terms   string   `arg:"" help:"Terms of the reward (YAML)." placeholder:"FILE"`
	Answers string   `required:"" help:"Answers: one {\"task\", \"text\"} on each line, several for a task." placeholder:"FILE" env:"-"`
	Pack    []string `help:"Folder of a compiled policy; again for further policies." placeholder:"DIR" env:"-"`
	Tasks   []string `help:"Files of tasks, as proviso gen writes them." placeholder:"FILE" env:"-"`
	Against string   `help:"Terms to compare with; default: the formula without wishes." placeholder:"FILE" env:"-"`
	Page    string   `help:"Also write a page to this file." placeholder:"FILE" env:"-"`
}

// Help is the long help of the command.
func (RewardSimulate) Help() string {
	return `Scores recorded answers by the default terms and by those of the file, and shows what would be learnt otherwise: mean rewards and advantages of each group, how many tasks have no signal, whether long answers are paid, which answers change their order. Nothing is trained.`
}

// Run simulates and prints.
func (c *RewardSimulate) Run(e *Env) error {
	if err := e.formats("pretty", "json", "html"); err != nil {
		return err
	}
	after, err := (&judged{Pack: c.Pack, Tasks: c.Tasks, Reward: c.Terms}).bench(e)
	if err != nil {
		return err
	}
	old := reward.Default()
	if c.Against != "" {
		text, err := e.Read(c.Against, maxTerms)
		if err != nil {
			return err
		}
		s, err := reward.Parse(c.Against, text)
		if err != nil {
			return err
		}
		old = *s
	}
	before, err := reward.NewBench(old, after.policies...)
	if err != nil {
		return err
	}
	answers, err := readAnswers(e, c.Answers)
	if err != nil {
		return err
	}
	cases, err := reward.Find(after.cases, answers)
	if err != nil {
		return err
	}
	s, err := reward.Simulate(before, after.bench, cases, answers)
	if err != nil {
		return err
	}
	if c.Page != "" {
		var b bytes.Buffer
		if err := writePage(&b, c.Terms, &after.spec, s); err != nil {
			return err
		}
		if err := os.WriteFile(c.Page, b.Bytes(), 0o644); err != nil {
			return unwritable(c.Page, err)
		}
	}
	switch e.Format {
	case "json":
		return e.Print(s)
	case "html":
		return writePage(e.Stdout, c.Terms, &after.spec, s)
	}
	return printSimulation(e, s)
}

// RewardShim is `proviso reward shim`.
type RewardShim struct {
	Trainer string `arg:"" help:"verl or trl." placeholder:"TRAINER"`
	URL     string `help:"Address of proviso reward serve." default:"http://127.0.0.1:8090" placeholder:"URL" env:"-"`
}

// Help is the long help of the command.
func (RewardShim) Help() string {
	var b strings.Builder
	b.WriteString("Prints a Python file that needs Python's own library only:\n")
	for _, s := range serve.Shims {
		fmt.Fprintf(&b, "\n%s: %s\n", s.Name, s.Doc)
	}
	return b.String()
}

// Run prints the file.
func (c *RewardShim) Run(e *Env) error {
	var names []string
	for _, s := range serve.Shims {
		if s.Name == c.Trainer {
			_, err := fmt.Fprint(e.Stdout, s.Text(c.URL))
			return err
		}
		names = append(names, s.Name)
	}
	return diagnose(codeUsage, proviso.DidYouMean(c.Trainer, names), "there is no shim for %q", c.Trainer)
}
