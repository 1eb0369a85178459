package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/proviso-dev/proviso/nn"
)

// gguf writes a model in the format of llama.cpp (GGUF version 3), in 32 bits and without a tokenizer. It exists to ask another program for its logits.
type gguf struct {
	bytes.Buffer
}

func (g *gguf) u32(v uint32) { binary.Write(g, binary.LittleEndian, v) }
func (g *gguf) u64(v uint64) { binary.Write(g, binary.LittleEndian, v) }
func (g *gguf) text(s string) {
	g.u64(uint64(len(s)))
	g.WriteString(s)
}

// The types of values of the format.
const (
	ggufU32  = 4
	ggufF32  = 6
	ggufText = 8
)

// ggufPair is a setting.
type ggufPair struct {
	key string
	v   any
}

func (g *gguf) pair(key string, v any) {
	g.text(key)
	switch v := v.(type) {
	case int:
		g.u32(ggufU32)
		g.u32(uint32(v))
	case float64:
		g.u32(ggufF32)
		g.u32(math.Float32bits(float32(v)))
	case string:
		g.u32(ggufText)
		g.text(v)
	default:
		panic(v)
	}
}

func (g *gguf) align() {
	for g.Len()%32 != 0 {
		g.WriteByte(0)
	}
}

// ggufNames are the names of the tensors of a block, by the ones of checkpoints.
var ggufNames = map[string]string{
	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}

func ggufName(name string) string {
	switch name {
	case "model.embed_tokens.weight":
		return "token_embd.weight"
	case "model.norm.weight":
		return "output_norm.weight"
	case "lm_head.weight":
		return "output.weight"
	}
	var layer int
	if _, err := fmt.Sscanf(name, "model.layers.%d.", &layer); err != nil {
		panic(name)
	}
	rest := strings.TrimPrefix(name, fmt.Sprintf("model.layers.%d.", layer))
	i := strings.LastIndexByte(rest, '.')
	return fmt.Sprintf("blk.%d.%s%s", layer, ggufNames[rest[:i]], rest[i:])
}

// paired reorders the rows of a projection: llama.cpp rotates neighbouring values of Llama's heads, checkpoints the two halves.
func paired(data []float32, heads, rows int) []float32 {
	out := make([]float32, len(data))
	hd, cols := rows/heads, len(data)/rows
	for r := range rows {
		h, i := r/hd, r%hd
		to := h*hd + i%(hd/2)*2 + i/(hd/2)
		copy(out[to*cols:(to+1)*cols], data[r*cols:(r+1)*cols])
	}
	return out
}

func writeGGUF(m *Model) []byte {
	type tensor struct {
		name  string
		shape []int
		data  []float32
	}
	c := m.Net.Config()
	var list []tensor
	for _, p := range m.Net.Params() {
		t := tensor{ggufName(p.Name), p.Shape, p.Data}
		if m.Config.Family == "llama" && strings.HasSuffix(p.Name, "q_proj.weight") {
			t.data = paired(p.Data, c.Heads, p.Shape[0])
		}
		if m.Config.Family == "llama" && strings.HasSuffix(p.Name, "k_proj.weight") {
			t.data = paired(p.Data, c.KVHeads, p.Shape[0])
		}
		list = append(list, t)
	}
	if c.Rope.Scaling == nn.Llama3Scaling {
		list = append(list, tensor{"rope_freqs.weight", []int{c.HeadDim / 2}, ropeFactors(c)})
	}
	arch := m.Config.Family
	pairs := []ggufPair{
		{"general.architecture", arch}, {arch + ".context_length", c.Context}, {arch + ".embedding_length", c.Hidden}, {arch + ".block_count", c.Layers}, {arch + ".feed_forward_length", c.FFN},
		{arch + ".attention.head_count", c.Heads}, {arch + ".attention.head_count_kv", c.KVHeads}, {arch + ".attention.layer_norm_rms_epsilon", c.NormEps}, {arch + ".attention.key_length", c.HeadDim},
		{arch + ".attention.value_length", c.HeadDim}, {arch + ".rope.dimension_count", c.HeadDim}, {arch + ".rope.freq_base", c.Rope.Theta}, {arch + ".vocab_size", c.Vocab}, {"tokenizer.ggml.model", "none"},
	}
	if s := c.Rope; s.Scaling == nn.LinearScaling || s.Scaling == nn.YarnScaling {
		pairs = append(pairs, ggufPair{arch + ".rope.scaling.type", string(s.Scaling)}, ggufPair{arch + ".rope.scaling.factor", s.Factor}, ggufPair{arch + ".rope.scaling.original_context_length", s.OriginalContext})
	}
	g := &gguf{}
	g.WriteString("GGUF")
	g.u32(3)
	g.u64(uint64(len(list)))
	g.u64(uint64(len(pairs)))
	for _, p := range pairs {
		g.pair(p.key, p.v)
	}
	at := 0
	for _, t := range list {
		g.text(t.name)
		g.u32(uint32(len(t.shape)))
		for i := len(t.shape) - 1; i >= 0; i-- {
			g.u64(uint64(t.shape[i]))
		}
		g.u32(0) // F32
		g.u64(uint64(at))
		at += (4*len(t.data) + 31) / 32 * 32
	}
	for _, t := range list {
		g.align()
		binary.Write(g, binary.LittleEndian, t.data)
	}
	g.align()
	return g.Bytes()
}

// ropeFactors are what llama.cpp divides the frequencies by: the scaling of Llama 3.1, written down anew from its description.
func ropeFactors(c nn.Config) []float32 {
	out := make([]float32, c.HeadDim/2)
	low, high := float64(c.Rope.OriginalContext)/c.Rope.LowFreqFactor, float64(c.Rope.OriginalContext)/c.Rope.HighFreqFactor
	for i := range out {
		wave := 2 * math.Pi * math.Pow(c.Rope.Theta, float64(2*i)/float64(c.HeadDim))
		switch {
		case wave < high:
			out[i] = 1
		case wave > low:
			out[i] = float32(c.Rope.Factor)
		default:
			smooth := (float64(c.Rope.OriginalContext)/wave - c.Rope.LowFreqFactor) / (c.Rope.HighFreqFactor - c.Rope.LowFreqFactor)
			out[i] = float32(1 / ((1-smooth)/c.Rope.Factor + smooth))
		}
	}
	return out
}

// llamacpp builds the program that asks llama.cpp. The test is skipped where the libraries or a C compiler are absent.
func llamacpp(t *testing.T) (program string, libraries []string) {
	t.Helper()
	modules := os.Getenv("PROVISO_NODE_MODULES")
	dir := filepath.Join(modules, "@node-llama-cpp", "linux-x64", "bins", "linux-x64")
	ggml, _ := filepath.Glob(filepath.Join(dir, "libggml.v*.so"))
	llama, _ := filepath.Glob(filepath.Join(dir, "libllama.v*.so"))
	if modules == "" || len(ggml) == 0 || len(llama) == 0 {
		t.Skip("skipped: set PROVISO_NODE_MODULES to a node_modules folder with @node-llama-cpp/linux-x64 to compare with llama.cpp")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("skipped: needs a C compiler")
	}
	program = filepath.Join(t.TempDir(), "llamacpp")
	if out, err := exec.Command(cc, "-O1", "-o", program, "testdata/llamacpp.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program, []string{ggml[0], llama[0], dir}
}

// A checkpoint that we wrote and read again gives the logits of llama.cpp, at every position.
func TestLogitsOfLlamaCpp(t *testing.T) {
	program, libraries := llamacpp(t)
	llama3 := nn.Rope{Theta: 500000, Scaling: nn.Llama3Scaling, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalContext: 64}
	compared, most := 0, 0.0
	for _, x := range []struct {
		name   string
		change func(*Config)
	}{
		{"llama", func(c *Config) { c.Net.KVHeads = 4 }},
		{"llama with shared heads", func(c *Config) { c.Net.Heads = 8 }},
		{"llama with scaled positions", func(c *Config) { c.Net.Rope = llama3 }},
		{"llama with stretched positions", func(c *Config) { c.Net.Rope = nn.Rope{Theta: 10000, Scaling: nn.LinearScaling, Factor: 4} }},
		{"llama tied", func(c *Config) { c.Net.Tied = true }},
		{"qwen3 with yarn", func(c *Config) {
			c.Net.Rope = nn.Rope{Theta: 10000, Scaling: nn.YarnScaling, Factor: 4, OriginalContext: 128}
		}},
		{"qwen2", func(c *Config) {}},
		{"qwen2 tied", func(c *Config) { c.Net.Tied = true }},
		{"qwen3", func(c *Config) { c.Net.HeadDim = 64 }},
		{"qwen3 untied", func(c *Config) { c.Net.Tied = false }},
	} {
		t.Run(x.name, func(t *testing.T) {
			family, _, _ := strings.Cut(x.name, " ")
			c := Config{Family: family, Begin: -1, Net: nn.Config{Layers: 3, Hidden: 128, Heads: 4, KVHeads: 2, HeadDim: 32, FFN: 256, Vocab: 320, Context: 512, NormEps: 1e-6, Rope: nn.Rope{Theta: 10000}, Tied: family == "qwen3"}}
			x.change(&c)
			m, err := New(c, nil, nil, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Net.Params() { // every part has to count, biases and norms included
				for i := range p.Data {
					p.Data[i] = p.Data[i]*2 + float32(math.Sin(float64(i)*0.7))*0.05
				}
			}
			if m, err = Load(saved(t, m, SaveOptions{ShardBytes: 200_000}), LoadOptions{}); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "model.gguf")
			if err := os.WriteFile(file, writeGGUF(m), 0o644); err != nil {
				t.Fatal(err)
			}
			tokens := make([]int32, 40)
			args := append(slices.Clone(libraries), file)
			for i := range tokens {
				tokens[i] = int32(i * 37 % c.Net.Vocab)
				args = append(args, fmt.Sprint(tokens[i]))
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, args...)
			var log bytes.Buffer
			cmd.Stderr = &log
			b, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, log.Bytes())
			}
			want := make([]float32, len(tokens)*c.Net.Vocab)
			if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, want); err != nil && err != io.EOF {
				t.Fatalf("%d bytes for %d logits: %v", len(b), len(want), err)
			}
			d := m.Net.NewDecoder(1)
			for i, token := range tokens {
				out, err := d.Step([]nn.Input{{Tokens: []int32{token}}})
				if err != nil {
					t.Fatal(err)
				}
				for j, x := range out[0] {
					diff := math.Abs(float64(x - want[i*c.Net.Vocab+j]))
					most = max(most, diff)
					compared++
					if diff > 1e-3 || math.IsNaN(diff) {
						t.Fatalf("position %d, token %d: logit %g, and %g there", i, j, x, want[i*c.Net.Vocab+j])
					}
				}
			}
			if spread := slices.Max(want) - slices.Min(want); spread < 1 {
				t.Errorf("the logits lie within %g; the test says too little", spread)
			}
		})
	}
	if compared > 0 {
		t.Logf("figure: model.llamacpp_largest_difference = %.6f (n=%d)", most, compared)
	}
}
