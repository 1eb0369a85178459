package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/proviso-dev/proviso/internal/durable"
	"github.com/proviso-dev/proviso/model/safetensors"
)

// SaveOptions say how weights are written. The zero value is one file of 32-bit numbers for up to 5 GB.
type SaveOptions struct {
	DType      safetensors.DType // F32, F16 or BF16; empty is F32
	ShardBytes int64             // the size from which weights are dealt to several files; 0 is 5 GB
}

func (o SaveOptions) withDefaults() SaveOptions {
	if o.DType == "" {
		o.DType = safetensors.F32
	}
	if o.ShardBytes <= 0 {
		o.ShardBytes = 5e9
	}
	return o
}

// Save writes a checkpoint to a folder that does not exist yet: whole, or not at all, whatever happens to the process. Adapters are not written with it; see SaveAdapter and nn.Net.MergeLoRA.
// The files are written to a hidden folder beside it, forced to the disk, and the folder gets its name at last. A process that is killed can leave that hidden folder (.NAME.partial-…) behind, which nothing reads.
// The error is a proviso.Diagnostic with CodeSave.
func (m *Model) Save(dir string, o SaveOptions) error {
	o = o.withDefaults()
	if _, ok := widths[o.DType]; !ok {
		return diagnose(dir, CodeSave, "use F32, F16 or BF16", "weights cannot be written as %q", o.DType)
	}
	return saveFolder(dir, func(tmp string) error { return m.write(tmp, o) })
}

// saveFolder makes a folder appear with what write puts into it.
func saveFolder(dir string, write func(tmp string) error) error {
	dir = filepath.Clean(dir)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return diagnose(dir, CodeSave, "name a folder that does not exist", "there is something already")
	}
	failed := func(err error) error {
		return diagnose(dir, CodeSave, "nothing was written; check space and permissions", "save: %v", err)
	}
	if err := durable.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return failed(err)
	}
	switch err := durable.Folder(dir, write); {
	case errors.Is(err, durable.ErrUnsettled):
		return diagnose(dir, CodeSave, "it is complete, and a power cut now may lose it", "save: %v", err)
	case err != nil:
		return failed(err)
	}
	return nil
}

// writeFile writes a file and forces it to the disk.
func writeFile(dir, name string, write func(io.Writer) error) error {
	if err := durable.File(filepath.Join(dir, name), 0o644, write); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func writeBytes(dir, name string, b []byte) error {
	return writeFile(dir, name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func writeJSON(dir, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeBytes(dir, name, append(b, '\n'))
}

// tensorNote is the metadata that readers of Hugging Face expect.
var tensorNote = map[string]string{"format": "pt"}

func writeTensors(dir, name string, tensors []safetensors.Source, dtype safetensors.DType) error {
	return writeFile(dir, name, func(w io.Writer) error {
		_, err := safetensors.Write(w, tensors, dtype, tensorNote)
		return err
	})
}

func (m *Model) write(dir string, o SaveOptions) error {
	config, err := m.Config.JSON(o.DType)
	if err != nil {
		return err
	}
	if err := writeBytes(dir, configFile, config); err != nil {
		return err
	}
	params := m.Net.Params()
	base := params[:0:0]
	for _, p := range params {
		if !isAdapter(p.Name) {
			base = append(base, p)
		}
	}
	if err := writeWeights(dir, sources(base, same), o); err != nil {
		return err
	}
	for name, b := range m.texts() {
		if err := writeBytes(dir, name, b); err != nil {
			return err
		}
	}
	return nil
}

func writeWeights(dir string, tensors []safetensors.Source, o SaveOptions) error {
	files := split(tensors, widths[o.DType], o.ShardBytes)
	if len(files) == 1 {
		return writeTensors(dir, weightsFile, files[0], o.DType)
	}
	places := map[string]string{}
	var total int64
	for i, list := range files {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(files))
		for _, t := range list {
			places[t.Name] = name
			total += int64(len(t.Data)) * widths[o.DType]
		}
		if err := writeTensors(dir, name, list, o.DType); err != nil {
			return err
		}
	}
	return writeJSON(dir, indexFile, map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": places})
}
