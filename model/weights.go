package model

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/nn"
)

// The names of the files that hold weights.
const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// shards are the open files of a checkpoint's weights.
type shards struct {
	files []*os.File
	in    map[string]*safetensors.File // by tensor
}

func (s *shards) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// openShards opens the weights of a folder: one file, or those that the index names.
func openShards(dir string) (*shards, error) {
	s := &shards{in: map[string]*safetensors.File{}}
	err := s.open(dir)
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *shards) open(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s.add(dir, weightsFile, nil)
	}
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	f, err := readObject(indexFile, safetensors.CodeMalformed, b)
	if err != nil {
		return err
	}
	places := f.object("weight_map")
	if places == nil {
		f.refuse("the file is damaged or of another program", "there is no weight_map")
		return f.err
	}
	byFile := map[string][]string{}
	for name := range places.m {
		file := places.text(name, "")
		// A name from the file must not lead out of the folder.
		if file != filepath.Base(file) || !strings.HasSuffix(file, ".safetensors") {
			places.refuse("the file is damaged or of another program", "the tensor %.80q is said to be in %.80q, which is no file of the folder", name, file)
		}
		byFile[file] = append(byFile[file], name)
	}
	if places.err != nil {
		return places.err
	}
	for file, names := range byFile {
		if err := s.add(dir, file, names); err != nil {
			return err
		}
	}
	return nil
}

// add opens a file; names are those that it should have, nil for all.
func (s *shards) add(dir, name string, names []string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	s.files = append(s.files, f)
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	t, err := safetensors.Open(name, f, info.Size())
	if err != nil {
		return err
	}
	if names == nil {
		for _, x := range t.Tensors() {
			names = append(names, x.Name)
		}
	}
	for _, n := range names {
		if _, ok := t.Tensor(n); !ok {
			return diagnose(name, CodeMismatch, "fetch the checkpoint again", "the index says that the tensor %.80q is here, and it is not", n)
		}
		s.in[n] = t
	}
	return nil
}

// values counts what the files hold, in numbers.
func (s *shards) values() int64 {
	var n int64
	for name, f := range s.in {
		t, _ := f.Tensor(name)
		n += t.Len()
	}
	return n
}

// spare reports whether a tensor may be in a checkpoint without being a parameter: what other programs store and compute anew.
func spare(name string, c nn.Config) bool {
	return strings.HasSuffix(name, ".rotary_emb.inv_freq") || name == "lm_head.weight" && c.Tied
}

// fill reads every parameter. All names and shapes are checked before the first is read.
func (s *shards) fill(net *nn.Net, rename func(string) string) error {
	params := net.Params()
	for _, p := range params {
		name := rename(p.Name)
		f, ok := s.in[name]
		if !ok {
			return diagnose("", CodeMismatch, "the checkpoint is of another architecture, or incomplete", "the weights have no tensor %s", name)
		}
		t, _ := f.Tensor(name)
		if !slices.Equal(t.Shape, p.Shape) {
			return diagnose("", CodeMismatch, "config.json and the weights do not belong together", "the tensor %s has the shape %v, and the configuration needs %v", name, t.Shape, p.Shape)
		}
	}
	for _, p := range params {
		name := rename(p.Name)
		if err := s.in[name].ReadFloat32(name, p.Data); err != nil {
			return err
		}
		for i, x := range p.Data {
			if d := float64(x); math.IsNaN(d) || math.IsInf(d, 0) {
				return diagnose("", CodeMismatch, "the training that made it diverged; take an earlier checkpoint", "value %d of the tensor %s is %g", i, name, x)
			}
		}
	}
	return nil
}

// sources lists parameters for writing.
func sources(params []*nn.Param, rename func(string) string) []safetensors.Source {
	out := make([]safetensors.Source, len(params))
	for i, p := range params {
		out[i] = safetensors.Source{Name: rename(p.Name), Shape: p.Shape, Data: p.Data}
	}
	return out
}

func same(name string) string { return name }

// widths are the bytes of a value as written.
var widths = map[safetensors.DType]int64{safetensors.F32: 4, safetensors.F16: 2, safetensors.BF16: 2}

// split deals tensors to files of at most limit bytes each, in order; one that is larger has a file of its own.
func split(tensors []safetensors.Source, width, limit int64) [][]safetensors.Source {
	var out [][]safetensors.Source
	var size int64
	for _, t := range tensors {
		n := int64(len(t.Data)) * width
		if len(out) == 0 || size+n > limit {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], t)
		size += n
	}
	return out
}
