package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/nn"
)

// The codes of errors of this package.
const (
	CodeConfig   = "PV701" // a config.json of another architecture, or with a setting that is not done
	CodeMismatch = "PV703" // files of a checkpoint that do not belong together
	CodeAdapter  = "PV706" // an adapter that cannot be used
	CodeSave     = "PV707" // a checkpoint that could not be written
	CodeTooLong  = "PV708" // a prompt that the context does not hold
	CodeRequest  = "PV710" // a request for text that contradicts itself
)

// Config says what network a checkpoint holds, and which of its tokens begin and end a text.
type Config struct {
	Family string // "llama", "qwen2" or "qwen3", as model_type in config.json
	Net    nn.Config
	Begin  int32   // the token that begins a text; -1 for none
	End    []int32 // tokens that end one
}

// family is what the architectures differ in.
type family struct {
	architecture string
	context      int     // where config.json does not say
	eps          float64 // of RMSNorm, where config.json does not say
	headDim      int     // where config.json does not say; 0: Hidden/Heads
	qkNorm       bool
	qkvBias      bool
}

// families are the architectures, by model_type. The values that stand for absent ones are those of Hugging Face transformers.
var families = map[string]family{
	"llama": {architecture: "LlamaForCausalLM", context: 2048, eps: 1e-6},
	"qwen2": {architecture: "Qwen2ForCausalLM", context: 32768, eps: 1e-6, qkvBias: true},
	"qwen3": {architecture: "Qwen3ForCausalLM", context: 32768, eps: 1e-6, headDim: 128, qkNorm: true},
}

// configFile is the name of the configuration in a checkpoint.
const configFile = "config.json"

func familyNames() string { return "llama, qwen2, qwen3" }

func diagnose(file, code, hint, format string, args ...any) error {
	return proviso.Diagnostic{Pos: proviso.Pos{File: file}, Code: code, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// fields reads the settings of a JSON object; the first that is wrong stays in err. Absent and null are the same.
type fields struct {
	file, code string
	m          map[string]any
	err        error
}

func (f *fields) refuse(hint, format string, args ...any) {
	if f.err == nil {
		f.err = diagnose(f.file, f.code, hint, format, args...)
	}
}

func (f *fields) wrong(key, want string) {
	f.refuse("the file is damaged or of another program", "%s is not %s", key, want)
}

func (f *fields) number(key string, absent float64) float64 {
	switch v := f.m[key].(type) {
	case nil:
		return absent
	case int64:
		return float64(v)
	case float64:
		return v
	}
	f.wrong(key, "a number")
	return 0
}

func (f *fields) whole(key string, absent int) int {
	switch v := f.m[key].(type) {
	case nil:
		return absent
	case int64:
		if int64(int(v)) == v {
			return int(v)
		}
	}
	f.wrong(key, "a whole number")
	return 0
}

func (f *fields) flag(key string) bool {
	switch v := f.m[key].(type) {
	case nil:
		return false
	case bool:
		return v
	}
	f.wrong(key, "true or false")
	return false
}

func (f *fields) text(key, absent string) string {
	switch v := f.m[key].(type) {
	case nil:
		return absent
	case string:
		return v
	}
	f.wrong(key, "a text")
	return ""
}

// ids returns a list of token ids, which may be given as a single one.
func (f *fields) ids(key string) []int32 {
	var ids []int32
	list, ok := f.m[key].([]any)
	if !ok && f.m[key] != nil {
		list = []any{f.m[key]}
	}
	for _, v := range list {
		n, ok := v.(int64)
		if !ok || n < 0 || n > 1<<30 {
			f.wrong(key, "a token id or a list of them")
			return nil
		}
		ids = append(ids, int32(n))
	}
	return ids
}

func (f *fields) object(key string) *fields {
	switch v := f.m[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return &fields{file: f.file, code: f.code, m: v}
	}
	f.wrong(key, "an object")
	return nil
}

// readObject decodes a file of settings.
func readObject(file, code string, b []byte) (*fields, error) {
	doc, err := proviso.DecodeResultJSON(b)
	if err != nil {
		return nil, diagnose(file, code, "the file is damaged or of another program", "%v", err)
	}
	m, ok := doc.(map[string]any)
	if !ok {
		return nil, diagnose(file, code, "the file is damaged or of another program", "it is no object")
	}
	return &fields{file: file, code: code, m: m}, nil
}

// ParseConfig reads a config.json. The error is a proviso.Diagnostic with CodeConfig: settings that change what a network computes and that are not done exactly are refused, not left out.
func ParseConfig(b []byte) (Config, error) {
	f, err := readObject(configFile, CodeConfig, b)
	if err != nil {
		return Config{}, err
	}
	c := Config{Family: f.text("model_type", "")}
	fam, ok := families[c.Family]
	if !ok {
		f.refuse("supported are "+familyNames(), "the architecture %.40q is not known", c.Family)
		return Config{}, f.err
	}
	f.unsupported(c.Family)
	n := &c.Net
	n.Layers, n.Hidden, n.Heads = f.whole("num_hidden_layers", 0), f.whole("hidden_size", 0), f.whole("num_attention_heads", 0)
	n.KVHeads, n.HeadDim = f.whole("num_key_value_heads", n.Heads), f.whole("head_dim", fam.headDim)
	n.FFN, n.Vocab = f.whole("intermediate_size", 0), f.whole("vocab_size", 0)
	n.Context, n.NormEps = f.whole("max_position_embeddings", fam.context), f.number("rms_norm_eps", fam.eps)
	n.Tied, n.QKNorm, n.QKVBias = f.flag("tie_word_embeddings"), fam.qkNorm, fam.qkvBias
	n.Rope = f.rope()
	if own := f.object("proviso"); own != nil {
		n.Patch = own.whole("patch", 0)
		f.err = firstOf(f.err, own.err)
	}
	c.Begin = -1
	if ids := f.ids("bos_token_id"); len(ids) > 0 {
		c.Begin = ids[0]
	}
	c.End = f.ids("eos_token_id")
	if f.err != nil {
		return Config{}, f.err
	}
	if err := n.Check(); err != nil {
		return Config{}, diagnose(configFile, CodeConfig, "the file is damaged or of another program", "%s", strings.TrimPrefix(err.Error(), "nn: "))
	}
	return c, nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// unsupported refuses what would change the numbers.
func (f *fields) unsupported(name string) {
	hint := "a network with this setting computes something else"
	for _, key := range []string{"attention_bias", "mlp_bias", "use_sliding_window"} {
		if f.flag(key) && !(key == "attention_bias" && families[name].qkvBias) {
			f.refuse(hint, "%s is not supported for %s", key, name)
		}
	}
	if act := f.text("hidden_act", "silu"); act != "silu" {
		f.refuse(hint, "hidden_act %.20q is not supported", act)
	}
	if r := f.number("partial_rotary_factor", 1); r != 1 {
		f.refuse(hint, "partial_rotary_factor is not supported")
	}
	if f.m["quantization_config"] != nil {
		f.refuse("take the checkpoint that is not quantised", "quantised weights are not supported")
	}
	if types, ok := f.m["layer_types"].([]any); ok && slices.ContainsFunc(types, func(t any) bool { return t != "full_attention" }) {
		f.refuse(hint, "layer_types other than full_attention are not supported")
	}
}

// rope reads the rotary embedding in either spelling: rope_theta and rope_scaling, or rope_parameters.
func (f *fields) rope() nn.Rope {
	r := nn.Rope{Theta: f.number("rope_theta", 10000)}
	s := f.object("rope_parameters")
	if s != nil {
		r.Theta = s.number("rope_theta", r.Theta)
	} else if s = f.object("rope_scaling"); s == nil {
		return r
	}
	kind := s.text("rope_type", s.text("type", "default"))
	switch kind {
	case "default":
		f.err = firstOf(f.err, s.err)
		return r
	case "linear", "llama3", "yarn":
		r.Scaling = nn.Scaling(kind)
	default:
		f.refuse("supported are linear, llama3 and yarn", "rope scaling %.20q is not supported", kind)
		return r
	}
	for _, key := range []string{"mscale", "mscale_all_dim"} {
		if s.m[key] != nil {
			f.refuse("a network with this setting computes something else", "rope scaling with %s is not supported", key)
		}
	}
	r.Factor = s.number("factor", 1)
	r.OriginalContext = s.whole("original_max_position_embeddings", f.whole("max_position_embeddings", 0))
	r.LowFreqFactor, r.HighFreqFactor = s.number("low_freq_factor", 0), s.number("high_freq_factor", 0)
	r.BetaFast, r.BetaSlow, r.AttentionFactor = s.number("beta_fast", 0), s.number("beta_slow", 0), s.number("attention_factor", 0)
	f.err = firstOf(f.err, s.err)
	return r
}

// dtypes are the names of types in config.json.
var dtypes = map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16", safetensors.BF16: "bfloat16"}

// JSON returns the config.json for weights of a type, which ParseConfig reads back as c.
func (c Config) JSON(dtype safetensors.DType) ([]byte, error) {
	type m = map[string]any
	n := c.Net
	kv, hd := n.KVHeads, n.HeadDim
	if kv == 0 {
		kv = n.Heads
	}
	if hd == 0 && n.Heads > 0 {
		hd = n.Hidden / n.Heads
	}
	out := m{
		"architectures": []string{families[c.Family].architecture}, "model_type": c.Family, "torch_dtype": dtypes[dtype],
		"num_hidden_layers": n.Layers, "hidden_size": n.Hidden, "num_attention_heads": n.Heads, "num_key_value_heads": kv, "head_dim": hd,
		"intermediate_size": n.FFN, "vocab_size": n.Vocab, "max_position_embeddings": n.Context, "rms_norm_eps": n.NormEps,
		"rope_theta": n.Rope.Theta, "tie_word_embeddings": n.Tied, "hidden_act": "silu", "attention_bias": n.QKVBias,
		"attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": true,
	}
	if s := n.Rope; s.Scaling != nn.NoScaling {
		scaling := m{"rope_type": s.Scaling, "factor": s.Factor, "original_max_position_embeddings": s.OriginalContext}
		for key, v := range map[string]float64{"low_freq_factor": s.LowFreqFactor, "high_freq_factor": s.HighFreqFactor, "beta_fast": s.BetaFast, "beta_slow": s.BetaSlow, "attention_factor": s.AttentionFactor} {
			if v != 0 {
				scaling[key] = v
			}
		}
		out["rope_scaling"] = scaling
	}
	if c.Begin >= 0 {
		out["bos_token_id"] = c.Begin
	}
	switch len(c.End) {
	case 0:
	case 1:
		out["eos_token_id"] = c.End[0]
	default:
		out["eos_token_id"] = c.End
	}
	if n.Patch > 0 {
		out["proviso"] = m{"patch": n.Patch}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	return append(b, '\n'), err
}
