package model

import (
	"fmt"
	"path/filepath"
	"sort"

	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/model/tokenizer"
)

// Info is what the files of a checkpoint say about it.
type Info struct {
	Name      string
	Config    Config
	DTypes    []safetensors.DType // of the weights, sorted
	Tensors   int
	Values    int64  // numbers in the weights
	Files     int    // of weights
	Tokens    int    // of the tokenizer; 0 where there is none
	Pattern   string // by which the tokenizer cuts words
	Chat      string // the chat family; empty where there is no template
	ChatError string // why the template is not known
}

// Inspect reads what a checkpoint is, without its weights. Errors are those of Load.
func Inspect(dir string) (Info, error) {
	info := Info{Name: filepath.Base(filepath.Clean(dir))}
	b, err := readText(dir, configFile)
	if err != nil {
		return Info{}, fmt.Errorf("load: %w", err)
	}
	if info.Config, err = ParseConfig(b); err != nil {
		return Info{}, err
	}
	weights, err := openShards(dir)
	if err != nil {
		return Info{}, err
	}
	defer weights.Close()
	seen := map[safetensors.DType]bool{}
	for name, f := range weights.in {
		t, _ := f.Tensor(name)
		seen[t.DType] = true
	}
	for d := range seen {
		info.DTypes = append(info.DTypes, d)
	}
	sort.Slice(info.DTypes, func(i, j int) bool { return info.DTypes[i] < info.DTypes[j] })
	info.Tensors, info.Values, info.Files = len(weights.in), weights.values(), len(weights.files)
	m := &Model{Config: info.Config}
	if b, err = optional(dir, tokenizerFile); err != nil {
		return Info{}, err
	}
	if b != nil {
		if m.Tokenizer, err = tokenizer.Parse(b); err != nil {
			return Info{}, err
		}
		info.Tokens, info.Pattern = m.Tokenizer.Size(), m.Tokenizer.Pattern()
	}
	if err := m.loadTemplate(dir); err != nil {
		return Info{}, err
	}
	if m.template != "" {
		if f, err := chat.Recognize(m.template); err != nil {
			info.ChatError = err.Error()
		} else {
			info.Chat = f.Name
		}
	}
	return info, nil
}

// LoadTokenizer reads only the tokenizer of a checkpoint, or a tokenizer.json itself.
func LoadTokenizer(path string) (*tokenizer.Tokenizer, error) {
	dir, name := path, tokenizerFile
	if filepath.Ext(path) == ".json" {
		dir, name = filepath.Split(path)
	}
	b, err := readText(dir, name)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return tokenizer.Parse(b)
}
