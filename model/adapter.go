package model

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/nn"
)

// The names of the files of an adapter.
const (
	adapterConfigFile = "adapter_config.json"
	adapterFile       = "adapter_model.safetensors"
)

// peftPrefix is what PEFT puts before the names of the base model.
const peftPrefix = "base_model.model."

func peftName(name string) string { return peftPrefix + name }

func isAdapter(name string) bool {
	return strings.HasSuffix(name, ".lora_A.weight") || strings.HasSuffix(name, ".lora_B.weight")
}

// SaveAdapter writes the network's LoRA adapters to a folder that does not exist yet, in the layout of PEFT, whole or not at all. base is the name of the model that they belong to; it may be empty.
func (m *Model) SaveAdapter(dir, base string) error {
	l := m.Net.LoRA()
	if l.Rank == 0 {
		return diagnose(dir, CodeAdapter, "add adapters first, or save the model", "the network has no adapters")
	}
	var adapters []*nn.Param
	for _, p := range m.Net.Params() {
		if isAdapter(p.Name) {
			adapters = append(adapters, p)
		}
	}
	config := map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "inference_mode": true,
		"r": l.Rank, "lora_alpha": l.Alpha, "target_modules": l.Targets, "lora_dropout": 0.0, "bias": "none",
		"fan_in_fan_out": false, "use_rslora": false, "use_dora": false, "modules_to_save": nil,
	}
	return saveFolder(dir, func(tmp string) error {
		if err := writeJSON(tmp, adapterConfigFile, config); err != nil {
			return err
		}
		return writeTensors(tmp, adapterFile, sources(adapters, peftName), safetensors.F32)
	})
}

// LoadAdapter gives the network the LoRA adapters of a folder in the layout of PEFT. The network must have none. The error is a proviso.Diagnostic with CodeAdapter or a code of the files; then the network is as before.
func (m *Model) LoadAdapter(dir string) error {
	b, err := readText(dir, adapterConfigFile)
	if err != nil {
		return fmt.Errorf("load an adapter: %w", err)
	}
	l, err := parseAdapter(b)
	if err != nil {
		return err
	}
	weights := &shards{in: map[string]*safetensors.File{}}
	defer weights.Close()
	if err := weights.add(dir, adapterFile, nil); err != nil {
		return err
	}
	if err := m.Net.AddLoRA(l); err != nil {
		return diagnose(filepath.Join(dir, adapterConfigFile), CodeAdapter, "the adapter is of another model", "%v", err)
	}
	err = m.fillAdapter(weights)
	if err != nil {
		m.Net.RemoveLoRA()
	}
	return err
}

func (m *Model) fillAdapter(weights *shards) error {
	wanted := map[string]*nn.Param{}
	for _, p := range m.Net.Params() {
		if isAdapter(p.Name) {
			wanted[peftName(p.Name)] = p
		}
	}
	for name := range weights.in {
		if wanted[name] == nil {
			return diagnose(adapterFile, CodeAdapter, "the adapter is of another model, or of another kind than LoRA of projections", "it has a tensor %.80q, which the network has no place for", name)
		}
	}
	for name, p := range wanted {
		f, ok := weights.in[name]
		if !ok {
			return diagnose(adapterFile, CodeAdapter, "the adapter is of another model", "it has no tensor %s", name)
		}
		if t, _ := f.Tensor(name); !slices.Equal(t.Shape, p.Shape) {
			return diagnose(adapterFile, CodeAdapter, "the adapter is of another model", "the tensor %s has the shape %v, and the network needs %v", name, t.Shape, p.Shape)
		}
		if err := f.ReadFloat32(name, p.Data); err != nil {
			return err
		}
		for _, x := range p.Data {
			if d := float64(x); math.IsNaN(d) || math.IsInf(d, 0) {
				return diagnose(adapterFile, CodeAdapter, "the training that made it diverged", "the tensor %s has a value %g", name, x)
			}
		}
	}
	return nil
}

// parseAdapter reads an adapter_config.json. What would make another network is refused.
func parseAdapter(b []byte) (nn.LoRA, error) {
	f, err := readObject(adapterConfigFile, CodeAdapter, b)
	if err != nil {
		return nn.LoRA{}, err
	}
	hint := "only plain LoRA of projections is supported"
	if kind := f.text("peft_type", ""); kind != "LORA" {
		f.refuse(hint, "peft_type %.20q is not supported", kind)
	}
	if bias := f.text("bias", "none"); bias != "none" {
		f.refuse(hint, "bias %.20q is not supported", bias)
	}
	for _, key := range []string{"use_dora", "fan_in_fan_out"} {
		if f.flag(key) {
			f.refuse(hint, "%s is not supported", key)
		}
	}
	for _, key := range []string{"rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "exclude_modules", "target_parameters"} {
		switch v := f.m[key].(type) {
		case nil:
		case map[string]any:
			if len(v) > 0 {
				f.refuse(hint, "%s is not supported", key)
			}
		default:
			f.refuse(hint, "%s is not supported", key)
		}
	}
	l := nn.LoRA{Rank: f.whole("r", 8), Alpha: f.number("lora_alpha", 8)}
	switch v := f.m["target_modules"].(type) {
	case []any:
		for _, t := range v {
			s, _ := t.(string)
			l.Targets = append(l.Targets, s)
		}
		slices.Sort(l.Targets)
	case string:
		if v != "all-linear" {
			f.refuse("list the names of projections", "target_modules as a pattern is not supported")
		}
	default:
		f.wrong("target_modules", "a list of names")
	}
	if f.flag("use_rslora") { // scaled by alpha/√r (Kalajdzievski 2023)
		l.Alpha *= math.Sqrt(float64(l.Rank))
	}
	return l, f.err
}
