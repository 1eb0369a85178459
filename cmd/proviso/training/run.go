package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine/local"
	"github.com/proviso-dev/proviso/engine/tinker"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/nn"
	"github.com/proviso-dev/proviso/train"
)

// Launch is `proviso train run`.
type Launch struct {
	File    string `arg:"" help:"Settings of the run (YAML); see docs/train.md." placeholder:"FILE"`
	DryRun  bool   `help:"Say what would be done: parameters, memory, steps, tokens, expected time." env:"-"`
	KeyFile string `help:"File with the key of a remote engine." placeholder:"FILE"`
}

// Help is the long help of the command.
func (Launch) Help() string {
	return `Trains a model in stages: cpt (texts), sft (answers), preference (pairs), rl (tasks and rewards). The run's folder gets metrics.jsonl, an event file for TensorBoard, and checkpoints; a run that was interrupted or killed goes on from the last of them when it is started again.

The engine is this process, or a server that speaks the Tinker protocol (engine: {url: ...}).`
}

// maxSettings is how many bytes a file of settings may have.
const maxSettings = 1 << 20

// exactness is how far two computations of one log-probability differ in 32-bit numbers.
const exactness = 1e-4

// batchPatience is how long a batch may go on after a signal.
const batchPatience = 30 * time.Minute

// Run trains.
func (c *Launch) Run(e *Env) error {
	if err := e.formats("pretty", "json"); err != nil {
		return err
	}
	text, err := e.Read(c.File, maxSettings)
	if err != nil {
		return err
	}
	s, err := train.Parse(c.File, text)
	if err != nil {
		return err
	}
	h := train.Host{Dir: filepath.Dir(c.File), Now: e.Now, Exact: exactness}
	o, err := c.open(e, s, &h)
	if err != nil {
		return err
	}
	defer o.close()
	if c.DryRun {
		return e.plan(s, h, o)
	}
	e.Patience(batchPatience)
	quiet := context.AfterFunc(e.Context, func() { e.Say("the batch under way is finished and saved; once more to stop at once") })
	defer quiet()
	w := &watch{e: e, last: e.Now()}
	h.Watch, h.Say = w.step, func(what string) { e.Say("%s", what) }
	sum, err := train.Run(e.Context, s, h)
	if err != nil {
		return failed(err)
	}
	if e.Format == "json" {
		return e.Print(map[string]any{"folder": sum.Dir, "steps": sum.Steps, "weights": sum.Path, "last": sum.Last})
	}
	return e.write(fmt.Appendf(nil, "%d steps; weights in %s\nmetrics in %s\n", sum.Steps, e.Short(sum.Path), e.Short(sum.Dir)))
}

// failed gives the errors of engines their code.
func failed(err error) error {
	var d proviso.Diagnostic
	var ds proviso.Diagnostics
	if errors.Is(err, context.Canceled) || errors.As(err, &d) || errors.As(err, &ds) {
		return err
	}
	return diagnose(codeEngine, err.Error(), "the run goes on from its last checkpoint when it is started again")
}

// opened is the model and the engine of a run.
type opened struct {
	m      *model.Model
	remote bool
	close  func()
}

// open fills in engine and text.
func (c *Launch) open(e *Env, s *train.Settings, h *train.Host) (*opened, error) {
	at := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(h.Dir, filepath.FromSlash(p))
	}
	m, files, err := begin(s, at, c.DryRun)
	if err != nil {
		return nil, err
	}
	h.Text = modelText{m}
	if s.Engine.URL != "" {
		return c.dial(e, s, h, m)
	}
	if l := s.Model.LoRA; l != nil {
		alpha := l.Alpha
		if alpha == 0 {
			alpha = 2 * float64(l.Rank)
		}
		if err := local.Adapt(m.Net, nn.LoRA{Rank: l.Rank, Alpha: alpha, Targets: l.Targets}, s.Seed); err != nil {
			return nil, diagnose(train.CodeSettings, c.File+": model.lora: "+err.Error(), "see docs/train.md")
		}
	}
	folder := filepath.Join(at(s.Output), "checkpoints")
	if c.DryRun {
		if folder, err = os.MkdirTemp("", "proviso-dry-run-*"); err != nil {
			return nil, diagnose(codeWrite, "a temporary folder: "+err.Error(), "check the disk and the permissions")
		}
	}
	eng, err := local.New(local.Options{Net: m.Net, Name: m.Name, Dir: folder, Files: files})
	if err != nil {
		return nil, diagnose(codeEngine, err.Error(), "check output and its permissions")
	}
	h.Engine = eng
	return &opened{m, false, func() {
		if c.DryRun {
			os.RemoveAll(folder)
		}
	}}, nil
}

// dial opens an engine behind HTTP.
func (c *Launch) dial(e *Env, s *train.Settings, h *train.Host, m *model.Model) (*opened, error) {
	key, err := readKey(c.KeyFile)
	if err != nil {
		return nil, err
	}
	o := tinker.Options{URL: s.Engine.URL, BaseModel: s.Engine.BaseModel, Key: key}
	if s.Model.LoRA != nil {
		o.LoRARank = s.Model.LoRA.Rank
	}
	client, err := tinker.Dial(e.Context, o)
	if err != nil {
		return nil, diagnose(codeEngine, "engine "+s.Engine.URL+": "+err.Error(), "check engine.url and whether the server runs")
	}
	h.Engine = client
	return &opened{m, true, func() { client.Close(context.WithoutCancel(e.Context)) }}, nil
}

// readKey reads a secret from a file; an empty name is no secret.
func readKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", diagnose(codeInput, "the key cannot be read: "+err.Error(), "check the name and its permissions")
	}
	return strings.TrimSpace(string(b)), nil
}
