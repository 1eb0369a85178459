package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

var control = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}

// tinyTokenizer knows bytes, a few merges and the control tokens of ChatML.
func tinyTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	text := "the reservation may be cancelled within 24 hours of booking, and the agent must ask the user"
	tok, err := tokenizer.Train(slices.Values([]string{text, text}), tokenizer.TrainOptions{Size: 290, Special: control})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// tiny is a network of each family with every part that the family has.
func tiny(name string) Config {
	return Config{Family: name, Begin: -1, Net: nn.Config{Layers: 2, Hidden: 32, Heads: 4, KVHeads: 2, HeadDim: 8, FFN: 48, Context: 256, NormEps: 1e-6, Rope: nn.Rope{Theta: 10000}, Tied: name == "qwen3"}}
}

// made is a model with random weights that are large enough to say something definite.
func made(t testing.TB, name string) *Model {
	t.Helper()
	m, err := New(tiny(name), tinyTokenizer(t), chat.ChatML, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Net.Params() {
		for i := range p.Data {
			p.Data[i] *= 5
		}
	}
	return m
}

func saved(t testing.TB, m *Model, o SaveOptions) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := m.Save(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// logits of what follows a few tokens.
func logits(t testing.TB, m *Model) []float32 {
	t.Helper()
	out, err := m.Net.NewDecoder(1).Step([]nn.Input{{Tokens: []int32{1, 2, 3, 4, 5}}})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out[0])
}

func TestSaveAndLoad(t *testing.T) {
	for name := range families {
		for _, o := range []SaveOptions{{}, {ShardBytes: 9000}, {DType: safetensors.BF16}, {DType: safetensors.F16, ShardBytes: 5000}} {
			m := made(t, name)
			dir := saved(t, m, o)
			got, err := Load(dir, LoadOptions{})
			if err != nil {
				t.Fatalf("%s %+v: %v", name, o, err)
			}
			if !reflect.DeepEqual(got.Config, m.Config) {
				t.Errorf("%s: the configuration came back as\n%+v, want\n%+v", name, got.Config, m.Config)
			}
			if got.Chat != chat.ChatML || !bytes.Equal(got.Tokenizer.JSON(), m.Tokenizer.JSON()) {
				t.Errorf("%s: tokenizer or chat family did not come back", name)
			}
			exact := o.DType == ""
			for i, p := range m.Net.Params() {
				for j, x := range got.Net.Params()[i].Data {
					if exact && x != p.Data[j] || math.Abs(float64(x-p.Data[j])) > 0.01*math.Abs(float64(p.Data[j]))+1e-6 {
						t.Fatalf("%s %+v: value %d of %s is %g, was %g", name, o, j, p.Name, x, p.Data[j])
					}
				}
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); o.ShardBytes > 0 && len(files) < 3 || o.ShardBytes == 0 && len(files) != 1 {
				t.Errorf("%s %+v: %d files of weights", name, o, len(files))
			}
			// A second save of what was loaded is the same, byte for byte.
			again := saved(t, got, o)
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				a, _ := os.ReadFile(filepath.Join(dir, e.Name()))
				b, err := os.ReadFile(filepath.Join(again, e.Name()))
				if err != nil || !bytes.Equal(a, b) {
					t.Errorf("%s %+v: %s differs when saved again (%v)", name, o, e.Name(), err)
				}
			}
		}
	}
}

// Configurations as others write them.
func TestParseConfig(t *testing.T) {
	base := `"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":300,"max_position_embeddings":4096`
	for _, c := range []struct {
		text string
		want func(c *Config)
	}{
		{`{"model_type":"llama",` + base + `,"rms_norm_eps":1e-05,"rope_theta":500000.0,"bos_token_id":1,"eos_token_id":[2,3],"rope_scaling":{"factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":1024,"rope_type":"llama3"},"attention_bias":false}`,
			func(c *Config) {
				c.Family, c.Begin, c.End = "llama", 1, []int32{2, 3}
				c.Net.NormEps = 1e-5
				c.Net.Rope = nn.Rope{Theta: 500000, Scaling: nn.Llama3Scaling, Factor: 8, HighFreqFactor: 4, LowFreqFactor: 1, OriginalContext: 1024}
			}},
		{`{"model_type":"qwen2",` + base + `,"tie_word_embeddings":true,"rope_theta":1000000,"use_sliding_window":false,"sliding_window":4096,"eos_token_id":7}`,
			func(c *Config) {
				c.Family, c.End, c.Net.Tied, c.Net.QKVBias, c.Net.Rope.Theta = "qwen2", []int32{7}, true, true, 1e6
			}},
		{`{"model_type":"qwen3",` + base + `,"rope_parameters":{"rope_type":"default","rope_theta":5000000},"layer_types":["full_attention","full_attention"],"rope_scaling":null}`,
			func(c *Config) {
				c.Family, c.Net.HeadDim, c.Net.QKNorm, c.Net.Rope.Theta = "qwen3", 128, true, 5e6
			}},
		{`{"model_type":"qwen3",` + base + `,"head_dim":32,"rope_scaling":{"type":"yarn","factor":4.0,"original_max_position_embeddings":1024},"proviso":{"patch":48}}`,
			func(c *Config) {
				c.Family, c.Net.HeadDim, c.Net.QKNorm, c.Net.Patch = "qwen3", 32, true, 48
				c.Net.Rope = nn.Rope{Theta: 10000, Scaling: nn.YarnScaling, Factor: 4, OriginalContext: 1024}
			}},
	} {
		want := Config{Begin: -1, Net: nn.Config{Hidden: 64, FFN: 128, Layers: 2, Heads: 4, KVHeads: 2, Vocab: 300, Context: 4096, NormEps: 1e-6, Rope: nn.Rope{Theta: 10000}}}
		c.want(&want)
		got, err := ParseConfig([]byte(c.text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nis %+v\nwant %+v (%v)", c.text, got, want, err)
			continue
		}
		b, err := got.JSON(safetensors.BF16)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseConfig(b)
		if want.Net.HeadDim == 0 {
			want.Net.HeadDim = 16
		}
		if err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("written as %s\nit is %+v (%v)", b, back, err)
		}
	}
	good := `"model_type":"llama",` + base
	for want, text := range map[string]string{
		`the architecture "gemma2"`:                  `{"model_type":"gemma2"}`,
		`the architecture ""`:                        `{}`,
		"it is no object":                            `[]`,
		"attention_bias is not supported":            `{` + good + `,"attention_bias":true}`,
		"mlp_bias is not supported":                  `{` + good + `,"mlp_bias":true}`,
		"use_sliding_window is not":                  `{` + good + `,"use_sliding_window":true}`,
		`hidden_act "gelu"`:                          `{` + good + `,"hidden_act":"gelu"}`,
		"quantised weights":                          `{` + good + `,"quantization_config":{"bits":4}}`,
		"layer_types other than":                     `{` + good + `,"layer_types":["sliding_attention"]}`,
		`rope scaling "longrope"`:                    `{` + good + `,"rope_scaling":{"rope_type":"longrope"}}`,
		"rope scaling with mscale":                   `{` + good + `,"rope_scaling":{"rope_type":"yarn","factor":2,"mscale":0.7}}`,
		"partial_rotary_factor":                      `{` + good + `,"partial_rotary_factor":0.5}`,
		"num_hidden_layers is not a whole number":    `{"model_type":"llama","num_hidden_layers":"2"}`,
		"tie_word_embeddings is not true or false":   `{` + good + `,"tie_word_embeddings":1}`,
		"bos_token_id is not a token id":             `{` + good + `,"bos_token_id":"x"}`,
		"rope_scaling is not an object":              `{` + good + `,"rope_scaling":3}`,
		"Layers is 0":                                `{"model_type":"llama"}`,
		"must be from 1 to":                          strings.Replace(`{`+good+`}`, `"hidden_size":64`, `"hidden_size":1099511627776`, 1),
		"multiple of KVHeads":                        strings.Replace(`{`+good+`}`, `"num_key_value_heads":2`, `"num_key_value_heads":3`, 1),
		"rope_theta is not a number":                 `{` + good + `,"rope_theta":"big"}`,
		"head_dim is not a whole number":             `{` + good + `,"head_dim":8.5}`,
		"original_max_position_embeddings is not a ": `{` + good + `,"rope_scaling":{"rope_type":"llama3","original_max_position_embeddings":"x"}}`,
	} {
		_, err := ParseConfig([]byte(text))
		var d proviso.Diagnostic
		if !errors.As(err, &d) || d.Code != CodeConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s … [%s]", text, err, want, CodeConfig)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	b, err := tiny("llama").JSON(safetensors.F32)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseConfig(b); err == nil {
			if err := c.Net.Check(); err != nil {
				t.Fatalf("a configuration that cannot be was taken: %v", err)
			}
		}
	})
}

func FuzzAdapterConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj"],"rank_pattern":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) { parseAdapter(b) })
}

// rewrite changes a file of a checkpoint.
func rewrite(t *testing.T, dir, name string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), f(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tensors replaces the weights of a checkpoint.
func tensors(t *testing.T, dir string, m *Model, change func([]safetensors.Source) []safetensors.Source) {
	t.Helper()
	rewrite(t, dir, weightsFile, func([]byte) []byte {
		var b bytes.Buffer
		if _, err := safetensors.Write(&b, change(sources(m.Net.Params(), same)), safetensors.F32, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	})
}

// What may be wrong with a folder, and what is said about it. Nothing panics.
func TestLoadRefuses(t *testing.T) {
	type sources = []safetensors.Source
	m := made(t, "llama")
	for want, spoil := range map[string]func(dir string){
		"config.json: no such file":  func(dir string) { os.Remove(filepath.Join(dir, configFile)) },
		"model.safetensors: no such": func(dir string) { os.Remove(filepath.Join(dir, weightsFile)) },
		"[PV701]":                    func(dir string) { rewrite(t, dir, configFile, func(b []byte) []byte { return b[:len(b)/2] }) },
		"[PV702]":                    func(dir string) { rewrite(t, dir, weightsFile, func(b []byte) []byte { return b[:len(b)-1] }) },
		"have no tensor model.norm": func(dir string) {
			tensors(t, dir, m, func(s sources) sources {
				for i := range s {
					s[i].Name = strings.Replace(s[i].Name, "model.norm.weight", "x.rotary_emb.inv_freq", 1)
				}
				return s
			})
		},
		"and the weights have": func(dir string) {
			rewrite(t, dir, configFile, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"intermediate_size": 48`), []byte(`"intermediate_size": 4800`), 1)
			})
		},
		"and the configuration needs": func(dir string) {
			rewrite(t, dir, configFile, func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"intermediate_size": 48`), []byte(`"intermediate_size": 47`), 1)
			})
		},
		"has no place for": func(dir string) {
			tensors(t, dir, m, func(s sources) sources {
				return append(s, safetensors.Source{Name: "model.layers.9.norm", Shape: []int{1}, Data: []float32{1}})
			})
		},
		"[PV704]": func(dir string) { rewrite(t, dir, tokenizerFile, func(b []byte) []byte { return b[:100] }) },
		"the chat template with the ": func(dir string) {
			rewrite(t, dir, tokenizerConfigFile, func([]byte) []byte { return []byte(`{"chat_template":"{{ x }}"}`) })
		},
		"tokenizer_config.json: chat_": func(dir string) {
			rewrite(t, dir, tokenizerConfigFile, func([]byte) []byte { return []byte(`{"chat_template":1}`) })
		},
		"generation_config.json: top_": func(dir string) {
			rewrite(t, dir, generationFile, func([]byte) []byte { return []byte(`{"top_k":"x"}`) })
		},
		"which is no file of the": func(dir string) {
			os.WriteFile(filepath.Join(dir, indexFile), []byte(`{"weight_map":{"a":"../other/model.safetensors"}}`), 0o644)
		},
		"there is no weight_map": func(dir string) { os.WriteFile(filepath.Join(dir, indexFile), []byte(`{}`), 0o644) },
		"the index says that": func(dir string) {
			os.WriteFile(filepath.Join(dir, indexFile), []byte(`{"weight_map":{"a":"model.safetensors"}}`), 0o644)
		},
	} {
		t.Run(want, func(t *testing.T) {
			dir := saved(t, m, SaveOptions{})
			spoil(dir)
			if _, err := Load(dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	if _, err := Load(saved(t, m, SaveOptions{}), LoadOptions{Chat: "gpt"}); err == nil || !strings.Contains(err.Error(), "PV705") {
		t.Errorf("an unknown chat family gives %v", err)
	}
	if got, err := Load(saved(t, m, SaveOptions{}), LoadOptions{Chat: "qwen3"}); err != nil || got.Chat != chat.Qwen3 {
		t.Errorf("a chat family by name gives %v", err)
	}
}

func TestLoadRefusesValues(t *testing.T) {
	m := made(t, "qwen3")
	dir := saved(t, m, SaveOptions{})
	rewrite(t, dir, weightsFile, func(b []byte) []byte {
		copy(b[len(b)-4:], []byte{0, 0, 0xc0, 0x7f}) // NaN
		return b
	})
	if _, err := Load(dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "is NaN") || !strings.Contains(err.Error(), CodeMismatch) {
		t.Errorf("a NaN gives %v", err)
	}
	m.Net.Params()[0].Data[3] = float32(math.NaN())
	dir = filepath.Join(t.TempDir(), "nan")
	if err := m.Save(dir, SaveOptions{}); err == nil || !strings.Contains(err.Error(), CodeSave) {
		t.Errorf("saving a NaN gives %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 0 {
		t.Errorf("a save that failed left %v", entries)
	}
	// A tokenizer of more tokens than the network has.
	c := tiny("llama")
	c.Net.Vocab = 280
	if _, err := New(c, tinyTokenizer(t), nil, 1); err == nil || !strings.Contains(err.Error(), "the tokenizer has 290 tokens") {
		t.Errorf("got %v", err)
	}
	small, err := New(c, nil, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	dir = saved(t, small, SaveOptions{})
	if err := os.WriteFile(filepath.Join(dir, tokenizerFile), tinyTokenizer(t).JSON(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "it has 290 tokens, and the network 280") {
		t.Errorf("got %v", err)
	}
}

func TestSaveRefuses(t *testing.T) {
	m := made(t, "llama")
	dir := saved(t, m, SaveOptions{})
	if err := m.Save(dir, SaveOptions{}); err == nil || !strings.Contains(err.Error(), "there is something already") {
		t.Errorf("saving over a checkpoint gives %v", err)
	}
	if err := m.Save(filepath.Join(t.TempDir(), "x"), SaveOptions{DType: "I64"}); err == nil || !strings.Contains(err.Error(), CodeSave) {
		t.Errorf("saving as I64 gives %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(file, "x"), SaveOptions{}); err == nil || !strings.Contains(err.Error(), CodeSave) {
		t.Errorf("saving below a file gives %v", err)
	}
}

// childVariable makes the test binary save checkpoints until it is killed.
const childVariable = "PROVISO_TEST_SAVE"

// A process that is killed while it saves leaves a whole checkpoint or none.
func TestKilledWhileSaving(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		m := made(t, "llama")
		for i := 0; ; i++ {
			if err := m.Save(filepath.Join(dir, "c", string(rune('a'+i%26))+time.Now().Format("150405.000000000")), SaveOptions{ShardBytes: 10_000}); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole, partial := 0, 0
	for round := range 6 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for { // until it has begun, then a moment that differs from round to round
			entries, err := os.ReadDir(filepath.Join(dir, "c"))
			if err == nil && len(entries) > round {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the child does not save")
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(round) * 1300 * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		entries, err := os.ReadDir(filepath.Join(dir, "c"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				partial++
				continue
			}
			whole++
			if _, err := Load(filepath.Join(dir, "c", e.Name()), LoadOptions{}); err != nil {
				t.Errorf("a checkpoint with a name is not whole: %v", err)
			}
		}
	}
	t.Logf("%d whole checkpoints, %d that were not finished", whole, partial)
	if whole == 0 {
		t.Error("no checkpoint was finished; the test says nothing")
	}
}

func TestAdapter(t *testing.T) {
	m := made(t, "qwen3")
	plain := logits(t, m)
	if err := m.SaveAdapter(filepath.Join(t.TempDir(), "none"), ""); err == nil || !strings.Contains(err.Error(), CodeAdapter) {
		t.Errorf("saving no adapter gives %v", err)
	}
	if err := m.Net.AddLoRA(nn.LoRA{Rank: 4, Alpha: 8, Targets: []string{"q_proj", "v_proj", "down_proj"}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Net.Params() {
		if isAdapter(p.Name) {
			for i := range p.Data {
				p.Data[i] = float32(i%7-3) / 20
			}
		}
	}
	adapted := logits(t, m)
	if slices.Equal(plain, adapted) {
		t.Fatal("the adapter changes nothing")
	}
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := m.SaveAdapter(dir, "base"); err != nil {
		t.Fatal(err)
	}
	// The names are those of PEFT.
	b, err := os.ReadFile(filepath.Join(dir, adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(adapterFile, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := f.Tensor("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"); !ok || !slices.Equal(x.Shape, []int{4, 32}) {
		t.Errorf("lora_A is %v", x)
	}
	if x, ok := f.Tensor("base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"); !ok || !slices.Equal(x.Shape, []int{32, 4}) {
		t.Errorf("lora_B is %v", x)
	}
	// The model itself is saved without it.
	base, err := Load(saved(t, m, SaveOptions{}), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits(t, base), plain) {
		t.Error("the base was saved with its adapter")
	}
	if err := base.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits(t, base), adapted) {
		t.Error("the adapter came back as another")
	}
	base.Net.MergeLoRA()
	for i, x := range logits(t, base) {
		if d := math.Abs(float64(x - adapted[i])); d > 1e-3 {
			t.Fatalf("merged, logit %d differs by %g", i, d)
		}
	}
	other := made(t, "qwen2")
	other.Net.MergeLoRA()
	for want, config := range map[string]string{
		`peft_type "IA3"`:               `{"peft_type":"IA3"}`,
		"use_dora is not supported":     `{"peft_type":"LORA","use_dora":true,"target_modules":["q_proj"]}`,
		`bias "all"`:                    `{"peft_type":"LORA","bias":"all","target_modules":["q_proj"]}`,
		"rank_pattern is not supported": `{"peft_type":"LORA","rank_pattern":{"q":4},"target_modules":["q_proj"]}`,
		"as a pattern":                  `{"peft_type":"LORA","target_modules":".*_proj"}`,
		"not a list of names":           `{"peft_type":"LORA"}`,
		`LoRA has no target "c_attn"`:   `{"peft_type":"LORA","target_modules":["c_attn"]}`,
		"it has a tensor":               `{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"]}`,
		"it has no tensor":              `{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj","v_proj","k_proj","down_proj"]}`,
		"has the shape":                 `{"peft_type":"LORA","r":3,"lora_alpha":8,"target_modules":["q_proj","v_proj","down_proj"]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, adapterConfigFile), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := other.LoadAdapter(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), CodeAdapter) {
			t.Errorf("%s: got %v, want %s … [%s]", config, err, want, CodeAdapter)
		}
		if other.Net.LoRA().Rank != 0 {
			t.Fatalf("%s: half an adapter is left", config)
		}
	}
	l, err := parseAdapter([]byte(`{"peft_type":"LORA","r":16,"lora_alpha":4,"use_rslora":true,"target_modules":"all-linear"}`))
	if err != nil || l.Alpha != 16 || len(l.Targets) != 0 {
		t.Errorf("rank-stabilised: %+v, %v", l, err)
	}
}

// A checkpoint whose configuration names only the base model's end of a text still ends its turns.
func TestTurnsEnd(t *testing.T) {
	m := made(t, "llama")
	end, _ := m.Tokenizer.ID("<|im_end|>")
	base, _ := m.Tokenizer.ID("<|endoftext|>")
	m.Config.End = []int32{base}
	got, err := Load(saved(t, m, SaveOptions{}), LoadOptions{})
	if err != nil || !slices.Equal(got.Config.End, []int32{base, end}) {
		t.Errorf("ends are %v, want %v and %v (%v)", got.Config.End, base, end, err)
	}
	bytesOnly, err := tokenizer.Train(slices.Values([]string{"a"}), tokenizer.TrainOptions{Size: 256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(tiny("llama"), bytesOnly, chat.ChatML, 1); err == nil || !strings.Contains(err.Error(), "none of the tokens") {
		t.Errorf("a tokenizer without ends of turns gives %v", err)
	}
}

// The files beside the weights are what other programs look for.
func TestFilesOfOthers(t *testing.T) {
	m := made(t, "llama")
	m.Defaults = Defaults{Temperature: 0.7, TopP: 0.8, TopK: 20}
	dir := saved(t, m, SaveOptions{})
	b, err := os.ReadFile(filepath.Join(dir, tokenizerConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if c["chat_template"] != chat.ChatML.Template || c["eos_token"] != "<|im_end|>" {
		t.Errorf("tokenizer_config.json is %s", b)
	}
	got, err := Load(dir, LoadOptions{})
	if err != nil || got.Defaults != m.Defaults {
		t.Errorf("the defaults came back as %+v, %v", got.Defaults, err)
	}
	rewrite(t, dir, generationFile, func([]byte) []byte {
		return []byte(`{"do_sample":false,"temperature":0.6,"top_k":5,"eos_token_id":3}`)
	})
	if got, err = Load(dir, LoadOptions{}); err != nil || got.Defaults != (Defaults{}) || !slices.Contains(got.Config.End, 3) {
		t.Errorf("where nothing is to be drawn, the defaults are %+v, ends %v, %v", got.Defaults, got.Config.End, err)
	}
	// A template in a file of its own goes before.
	if err := os.WriteFile(filepath.Join(dir, templateFile), []byte("{{ unknown }}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "PV705") {
		t.Errorf("got %v", err)
	}
	rewrite(t, dir, tokenizerConfigFile, func([]byte) []byte {
		return []byte(`{"chat_template":[{"name":"tool_use","template":"x"},{"name":"default","template":` + string(must(json.Marshal(chat.ChatML.Template))) + `}]}`)
	})
	os.Remove(filepath.Join(dir, templateFile))
	if got, err := Load(dir, LoadOptions{}); err != nil || got.Chat != chat.ChatML {
		t.Errorf("several templates by name give %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestInspect(t *testing.T) {
	m := made(t, "qwen2")
	dir := saved(t, m, SaveOptions{DType: safetensors.BF16, ShardBytes: 9000})
	info, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Config.Family != "qwen2" || info.Values != m.Params() || info.Tensors != len(m.Net.Params()) || !slices.Equal(info.DTypes, []safetensors.DType{safetensors.BF16}) ||
		info.Files < 2 || info.Tokens != m.Tokenizer.Size() || info.Pattern != "qwen" || info.Chat != "chatml" {
		t.Errorf("%+v", info)
	}
	if err := os.WriteFile(filepath.Join(dir, templateFile), []byte("{{ x }}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err = Inspect(dir); err != nil || info.Chat != "" || !strings.Contains(info.ChatError, "PV705") {
		t.Errorf("%+v, %v", info, err)
	}
	if tok, err := LoadTokenizer(dir); err != nil || tok.Size() != m.Tokenizer.Size() {
		t.Error(err)
	}
	if tok, err := LoadTokenizer(filepath.Join(dir, tokenizerFile)); err != nil || tok.Size() != m.Tokenizer.Size() {
		t.Error(err)
	}
	if _, err := Inspect(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder gives %v", err)
	}
}
