package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/train/objective"
)

// progress is progress.json: all that a run needs to go on, beside the weights of Path.
type progress struct {
	Format      int               `json:"format"`
	Settings    string            `json:"settings"`   // digest
	Stage       int               `json:"stage"`      // index of the present stage
	StageStep   int               `json:"stage_step"` // batches of it that are done
	Step        int               `json:"step"`       // optimizer steps of the run
	Path        string            `json:"path"`       // of the weights
	Final       string            `json:"final"`      // of the weights of the last finished stage
	Finals      map[string]string `json:"finals"`     // of those of every stage, and of the start where a stage names it
	Reference   string            `json:"reference"`
	Average     string            `json:"average"`
	Past        string            `json:"past"`
	Data        string            `json:"data"` // digest of the stage's files
	Tokens      int64             `json:"tokens"`
	MetricsSize int64             `json:"metrics_size"`
	EventsSize  int64             `json:"events_size"`
	Lambda      float64           `json:"lambda"`
	KL          float64           `json:"kl"`
	Rewards     objective.Moments `json:"rewards"`
	Smooth      float64           `json:"smooth"`
	Best        float64           `json:"best"`
	Saves       int               `json:"saves"`
	Drawing     drawing           `json:"drawing,omitzero"`
}

const (
	progressFile   = "progress.json"
	progressFormat = 1
	lockFile       = "lock"
	maxProgress    = 1 << 20
)

// nextStage keeps what lives longer than a stage.
func (p progress) nextStage() progress {
	return progress{Format: p.Format, Settings: p.Settings, Stage: p.Stage + 1, Step: p.Step, Path: p.Path, Final: p.Final, Finals: p.Finals, Tokens: p.Tokens, MetricsSize: p.MetricsSize, EventsSize: p.EventsSize, Saves: p.Saves}
}

// save keeps the weights under the one of two names that the last checkpoint does not have, then progress.json, which names them, in one rename.
func (r *run) save(ctx context.Context) error {
	r.at.Saves++
	path, err := r.h.Engine.SaveWeights(ctx, fmt.Sprintf("last-%d", r.at.Saves%2))
	if err != nil {
		return err
	}
	if err := r.log.sync(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	r.moved = false
	r.at.Path, r.at.MetricsSize, r.at.EventsSize = path, r.log.linesSize, r.log.eventsSize
	written := r.at.paths(func(p string) string { return inside(r.dir, p) })
	b, err := json.MarshalIndent(&written, "", "  ")
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if err := durable.Replace(filepath.Join(r.dir, progressFile), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// here begins paths of progress.json that lie in the run's folder, so that the folder can be moved and be named from elsewhere.
const here = "./"

// inside writes a path as progress.json has it.
func inside(dir, path string) string {
	if rel, ok := strings.CutPrefix(path, filepath.Clean(dir)+string(filepath.Separator)); ok {
		return here + filepath.ToSlash(rel)
	}
	return path
}

// outside is the opposite of inside.
func outside(dir, path string) string {
	if rel, ok := strings.CutPrefix(path, here); ok {
		return filepath.Join(dir, filepath.FromSlash(rel))
	}
	return path
}

// paths returns a copy with every path changed.
func (p progress) paths(change func(string) string) progress {
	for _, path := range []*string{&p.Path, &p.Final, &p.Reference, &p.Average, &p.Past} {
		*path = change(*path)
	}
	finals := map[string]string{}
	for stage, path := range p.Finals {
		finals[stage] = change(path)
	}
	p.Finals = finals
	return p
}

// Begun reports whether a folder holds a run with a checkpoint to go on from: its settings and its model then stay as they are.
func Begun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, progressFile))
	return err == nil
}

// readProgress returns nil where there is none.
func readProgress(dir string) (*progress, error) {
	name := filepath.Join(dir, progressFile)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProgress))
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	var p progress
	err = proviso.DecodeStrict(b, &p)
	if err == nil && p.Format != progressFormat {
		err = fmt.Errorf("it has format %d, this program reads %d", p.Format, progressFormat)
	}
	if err != nil {
		return nil, proviso.Diagnostic{Pos: proviso.Pos{File: name}, Code: CodeResume, Msg: err.Error(), Hint: "remove the folder to begin anew"}
	}
	p = p.paths(func(path string) string { return outside(dir, path) })
	return &p, nil
}

// digest identifies what decides a run: everything but where it is written and how often it is saved.
func (s *Settings) digest() string {
	c := *s
	c.Output, c.Checkpoint = "", Checkpoint{}
	return digest(settingsJSON(c))
}

// digest identifies what decides a step of a stage. 16 digits tell the stages of a handful of runs apart.
func (g *Stage) digest(seed uint64, data string) string {
	c := *g
	c.Data = nil // named by its contents
	return digest(fmt.Appendf(settingsJSON(c), "%d %s", seed, data))[:16]
}

func settingsJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("train: settings are always JSON: " + err.Error()) // cannot happen: numbers were checked to be finite
	}
	return b
}

func digestFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", proviso.Diagnostic{Pos: proviso.Pos{File: name}, Code: CodeRow, Msg: "the file cannot be read: " + plainError(err)}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
