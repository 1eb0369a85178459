package local

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/engine"
	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/nn"
)

// The files of a checkpoint.
const (
	stateFile     = "state.json"
	weightsFile   = "model.safetensors"
	adapterFile   = "adapter_model.safetensors" // PEFT
	adapterConfig = "adapter_config.json"       // PEFT
	adapterPrefix = "base_model.model."         // PEFT
	optimizerFile = "optimizer.safetensors"
	maxState      = 1 << 20 // bytes of state.json that are read
)

// The suffixes of a checkpoint that is being put in place of another.
const (
	incoming = ".new"
	outgoing = ".old"
)

// state is state.json.
type state struct {
	Format  int               `json:"format"` // 1
	Steps   int               `json:"steps"`
	Moments bool              `json:"moments"` // optimizer.safetensors is there
	Files   map[string]string `json:"files"`   // SHA-256 in hex of every other file
}

func makeDir(dir string) error {
	if dir == "" {
		return fmt.Errorf("local engine: %w: no folder for checkpoints", engine.ErrInput)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("local engine: %w", err)
	}
	return nil
}

// SaveWeights writes a checkpoint of that name below Dir; the path is the folder.
func (e *Engine) SaveWeights(ctx context.Context, name string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := cmp.Or(ctx.Err(), engine.CheckName(name)); err != nil {
		return "", err
	}
	live := make([][]float32, len(e.trained))
	for i, p := range e.trained {
		live[i] = p.Data
	}
	return e.write(name, live, e.adam.Steps, e.adam.Moments)
}

// MergeWeights writes a checkpoint with mixed weights and no moments.
func (e *Engine) MergeWeights(ctx context.Context, name string, parts []engine.Part) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := cmp.Or(ctx.Err(), engine.CheckName(name)); err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("merge weights: %w: no parts", engine.ErrInput)
	}
	mixed := make([][]float32, len(e.trained))
	for i, p := range e.trained {
		mixed[i] = make([]float32, len(p.Data))
	}
	for _, part := range parts {
		from := make([][]float32, len(e.trained))
		if part.Path == "" {
			for i, p := range e.trained {
				from[i] = p.Data
			}
		} else {
			v, err := e.visit(part.Path)
			if err != nil {
				return "", err
			}
			from = v.data
		}
		for i := range mixed {
			for j, x := range from[i] {
				mixed[i][j] += float32(part.Lambda * float64(x))
			}
		}
	}
	return e.write(name, mixed, 0, nil)
}

// write makes a folder beside the final one, complete and on disk, and exchanges the two.
func (e *Engine) write(name string, trained [][]float32, steps int, moments []nn.Moments) (string, error) {
	final := filepath.Join(e.o.Dir, name)
	if err := settle(final); err != nil {
		return "", fmt.Errorf("save weights: %w", err)
	}
	fresh := hidden(final, incoming)
	if err := os.RemoveAll(fresh); err != nil {
		return "", fmt.Errorf("save weights: %w", err)
	}
	err := e.fill(fresh, trained, steps, moments)
	if err == nil {
		err = replace(final)
	}
	if err != nil {
		os.RemoveAll(fresh)
		return "", fmt.Errorf("save weights: %s: %w; nothing was replaced", final, err)
	}
	e.forget(final)
	return final, nil
}

// hidden is the name of a checkpoint on its way in or out.
func hidden(final, suffix string) string {
	return filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+suffix)
}

// replace puts the incoming folder in the place of the final one. Where it is cut short, settle finishes or undoes it.
func replace(final string) error {
	fresh, stale := hidden(final, incoming), hidden(final, outgoing)
	if err := os.RemoveAll(stale); err != nil {
		return err
	}
	if err := os.Rename(final, stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, final); err != nil {
		return err
	}
	if err := durable.Sync(filepath.Dir(final)); err != nil {
		return err
	}
	return os.RemoveAll(stale)
}

// settle puts right what a process that was killed between the two renames of replace left behind: there is no folder of the name, but the old one is complete, and the new one too.
func settle(final string) error {
	if _, err := os.Stat(final); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, suffix := range []string{incoming, outgoing} {
		from := hidden(final, suffix)
		if _, err := os.Stat(filepath.Join(from, stateFile)); err == nil {
			return os.Rename(from, final)
		}
	}
	return nil
}

// fill writes the files of a checkpoint, state.json last.
func (e *Engine) fill(dir string, trained [][]float32, steps int, moments []nn.Moments) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	s := state{Format: 1, Steps: steps, Moments: moments != nil, Files: map[string]string{}}
	put := func(name string, write func(io.Writer) error) error {
		sum, err := writeFile(filepath.Join(dir, name), write)
		s.Files[name] = sum
		return err
	}
	raw := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		}
	}
	file, prefix := weightsFile, ""
	if e.info.LoRARank > 0 {
		file, prefix = adapterFile, adapterPrefix
		if err := put(adapterConfig, raw(e.peft())); err != nil {
			return err
		}
	}
	var tensors []safetensors.Source
	for i, p := range e.trained {
		tensors = append(tensors, safetensors.Source{Name: prefix + p.Name, Shape: p.Shape, Data: trained[i]})
	}
	if err := put(file, tensorWriter(tensors)); err != nil {
		return err
	}
	if moments != nil {
		tensors = tensors[:0]
		for i, m := range moments {
			shape := e.trained[i].Shape
			tensors = append(tensors, safetensors.Source{Name: m.Name + ".m", Shape: shape, Data: m.M}, safetensors.Source{Name: m.Name + ".v", Shape: shape, Data: m.V})
		}
		if err := put(optimizerFile, tensorWriter(tensors)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.o.Files)) {
		if err := put(name, raw(e.o.Files[name])); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if _, err := writeFile(filepath.Join(dir, stateFile), raw(append(b, '\n'))); err != nil {
		return err
	}
	return durable.Sync(dir)
}

// peft is adapter_config.json, as far as PEFT needs it to load the adapters.
func (e *Engine) peft() []byte {
	l := e.o.Net.LoRA()
	b, _ := json.MarshalIndent(map[string]any{ // a map of these types is always JSON
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": e.info.Name,
		"r": l.Rank, "lora_alpha": l.Alpha, "target_modules": l.Targets, "lora_dropout": 0, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
	}, "", "  ")
	return append(b, '\n')
}

func tensorWriter(tensors []safetensors.Source) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := safetensors.Write(w, tensors, safetensors.F32, nil)
		return err
	}
}

// writeFile writes a file, waits until it is on disk, and returns its digest.
func writeFile(name string, write func(io.Writer) error) (digest string, err error) {
	h := sha256.New()
	err = durable.File(name, 0o644, func(w io.Writer) error {
		b := bufio.NewWriterSize(io.MultiWriter(w, h), 1<<20)
		return cmp.Or(write(b), b.Flush())
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// broken says what is wrong with a checkpoint.
func broken(path, format string, args ...any) error {
	return fmt.Errorf("checkpoint %s: "+format, append([]any{path}, args...)...)
}

// open reads state.json of a checkpoint and holds every file against its digest.
func open(path string) (s state, err error) {
	if err := settle(path); err != nil {
		return s, broken(path, "%w", err)
	}
	f, err := os.Open(filepath.Join(path, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, broken(path, "%w: there is no %s", engine.ErrNotFound, stateFile)
	}
	if err != nil {
		return s, broken(path, "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return s, broken(path, "%w", err)
	}
	if err := proviso.DecodeStrict(b, &s); err != nil {
		return s, broken(path, "%s: %w", stateFile, err)
	}
	if s.Format != 1 || s.Steps < 0 {
		return s, broken(path, "%s has format %d and %d steps; this program reads format 1", stateFile, s.Format, s.Steps)
	}
	for name, want := range s.Files {
		if name != filepath.Base(name) {
			return s, broken(path, "%s names %q, which is not beside it", stateFile, name)
		}
		got, err := digestOf(filepath.Join(path, name))
		if err != nil {
			return s, broken(path, "%w", err)
		}
		if got != want {
			return s, broken(path, "%s is not the file that was saved: its digest is %.12s…, want %.12s…; go back to an earlier checkpoint", name, got, want)
		}
	}
	return s, nil
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readTensors fills slices with the tensors of a file.
func readTensors(path, name string, names []string, into [][]float32) (err error) {
	f, err := os.Open(filepath.Join(path, name))
	if err != nil {
		return broken(path, "%w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return broken(path, "%w", err)
	}
	t, err := safetensors.Open(name, f, st.Size())
	if err != nil {
		return broken(path, "%w", err)
	}
	for i, n := range names {
		if err := t.ReadFloat32(n, into[i]); err != nil {
			return broken(path, "%s: %w; it was saved by a run over another network", name, err)
		}
	}
	return nil
}

// readWeights fills data, parallel to trained, from a checkpoint.
func (e *Engine) readWeights(path string, data [][]float32) (state, error) {
	s, err := open(path)
	if err != nil {
		return s, err
	}
	file, prefix := weightsFile, ""
	if e.info.LoRARank > 0 {
		file, prefix = adapterFile, adapterPrefix
	}
	names := make([]string, len(e.trained))
	for i, p := range e.trained {
		names[i] = prefix + p.Name
	}
	return s, readTensors(path, file, names, data)
}

// LoadWeights goes back to a checkpoint. Where it fails the weights and the optimizer are as before.
func (e *Engine) LoadWeights(ctx context.Context, path string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("load weights: %w", err)
	}
	data := make([][]float32, len(e.trained))
	for i, p := range e.trained {
		data[i] = make([]float32, len(p.Data))
	}
	s, err := e.readWeights(path, data)
	if err != nil {
		return fmt.Errorf("load weights: %w", err)
	}
	var moments []nn.Moments
	if s.Moments {
		var names []string
		var into [][]float32
		for _, p := range e.trained {
			m := nn.Moments{Name: p.Name, M: make([]float32, len(p.Data)), V: make([]float32, len(p.Data))}
			moments = append(moments, m)
			names, into = append(names, p.Name+".m", p.Name+".v"), append(into, m.M, m.V)
		}
		if err := readTensors(path, optimizerFile, names, into); err != nil {
			return fmt.Errorf("load weights: %w", err)
		}
	}
	for i, p := range e.trained {
		copy(p.Data, data[i])
	}
	e.adam = nn.AdamW{Steps: s.Steps, Moments: moments}
	e.clear()
	return nil
}

// Checkpoints lists the complete checkpoints below a folder by name, sorted.
func Checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var out []string
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(dir, entry.Name(), stateFile)); err == nil && entry.IsDir() && entry.Name()[0] != '.' {
			out = append(out, entry.Name())
		}
	}
	return out, nil
}
