package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

// Model is a network with what it needs to speak. Its fields may be read at any time, and changed while no Generator runs.
type Model struct {
	Name      string
	Config    Config
	Net       *nn.Net
	Tokenizer *tokenizer.Tokenizer // nil: the checkpoint has none, and the model takes and gives ids only
	Chat      *chat.Family         // nil: the checkpoint has no chat template
	Defaults  Defaults

	template string // the Jinja text as it was read
}

// Defaults are the settings of generation that a checkpoint recommends (generation_config.json), 0 where it does not.
type Defaults struct {
	Temperature float64
	TopP        float64
	TopK        int
}

// LoadOptions say how a checkpoint is read. The zero value takes all from the checkpoint.
type LoadOptions struct {
	Chat string // the name of the chat family, for a checkpoint whose template is not known
}

// The names of the files beside config and weights.
const (
	tokenizerFile       = "tokenizer.json"
	tokenizerConfigFile = "tokenizer_config.json"
	templateFile        = "chat_template.jinja"
	generationFile      = "generation_config.json"
)

// maxText bounds the files that are read whole.
const maxText = 256 << 20

// Load reads a checkpoint from a folder. It holds the weights as 32-bit numbers, whatever they are stored as.
// Errors are proviso.Diagnostic with a code of this package or of the rooms below, or those of the file system.
func Load(dir string, o LoadOptions) (*Model, error) {
	b, err := readText(dir, configFile)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	m := &Model{Name: filepath.Base(filepath.Clean(dir))}
	if m.Config, err = ParseConfig(b); err != nil {
		return nil, err
	}
	weights, err := openShards(dir)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	// Memory is taken for what the files hold, not for what a configuration claims.
	if have, want := weights.values(), m.Config.Net.Params(); have < want {
		return nil, diagnose(configFile, CodeMismatch, "config.json and the weights do not belong together", "it describes %d parameters, and the weights have %d", want, have)
	}
	if m.Net, err = nn.New(m.Config.Net); err != nil {
		return nil, diagnose(configFile, CodeConfig, "the file is damaged or of another program", "%v", err)
	}
	for name := range weights.in {
		if m.Net.Param(name) == nil && !spare(name, m.Config.Net) {
			return nil, diagnose("", CodeMismatch, "the checkpoint is of another architecture", "the weights have a tensor %.80q, which %s has no place for", name, m.Config.Family)
		}
	}
	if err := weights.fill(m.Net, same); err != nil {
		return nil, err
	}
	if err := m.loadTexts(dir, o); err != nil {
		return nil, err
	}
	return m, nil
}

func readText(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxText {
		return nil, fmt.Errorf("%s: %d bytes are more than %d", name, info.Size(), maxText)
	}
	return os.ReadFile(path)
}

// optional reads a file that may be absent.
func optional(dir, name string) ([]byte, error) {
	b, err := readText(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return b, nil
}

// loadTexts reads what is beside config and weights.
func (m *Model) loadTexts(dir string, o LoadOptions) error {
	b, err := optional(dir, tokenizerFile)
	if err != nil {
		return err
	}
	if b != nil {
		if m.Tokenizer, err = tokenizer.Parse(b); err != nil {
			return err
		}
		if have, room := m.Tokenizer.Size(), m.Config.Net.Vocab; have > room {
			return diagnose(tokenizerFile, CodeMismatch, "tokenizer.json and the weights do not belong together", "it has %d tokens, and the network %d", have, room)
		}
	}
	if err := m.loadTemplate(dir); err != nil {
		return err
	}
	switch {
	case o.Chat != "":
		if m.Chat, err = chat.Lookup(o.Chat); err != nil {
			return err
		}
	case m.template != "":
		if m.Chat, err = chat.Recognize(m.template); err != nil {
			return err
		}
	}
	if err := m.loadDefaults(dir); err != nil {
		return err
	}
	m.endTurns()
	return nil
}

// endTurns adds the tokens that end a turn in the model's chat form to those that end a text: checkpoints that were trained on from a base model often name the base's only.
func (m *Model) endTurns() {
	if m.Chat == nil || m.Tokenizer == nil {
		return
	}
	for _, end := range m.Chat.End {
		if id, ok := m.Tokenizer.ID(end); ok && !slices.Contains(m.Config.End, id) {
			m.Config.End = append(m.Config.End, id)
		}
	}
}

// loadTemplate finds the chat template: in a file of its own, or in tokenizer_config.json.
func (m *Model) loadTemplate(dir string) error {
	b, err := optional(dir, templateFile)
	if err != nil {
		return err
	}
	if m.template = string(b); b != nil {
		return nil
	}
	if b, err = optional(dir, tokenizerConfigFile); b == nil {
		return err
	}
	f, err := readObject(tokenizerConfigFile, tokenizer.CodeUnsupported, b)
	if err != nil {
		return err
	}
	if list, ok := f.m["chat_template"].([]any); ok { // several templates by name
		for _, v := range list {
			if e, ok := v.(map[string]any); ok && e["name"] == "default" {
				m.template, _ = e["template"].(string)
			}
		}
		return nil
	}
	m.template = f.text("chat_template", "")
	return f.err
}

func (m *Model) loadDefaults(dir string) error {
	b, err := optional(dir, generationFile)
	if b == nil {
		return err
	}
	f, err := readObject(generationFile, CodeConfig, b)
	if err != nil {
		return err
	}
	m.Defaults = Defaults{Temperature: f.number("temperature", 0), TopP: f.number("top_p", 0), TopK: f.whole("top_k", 0)}
	if sample, given := f.m["do_sample"]; given && sample == false {
		m.Defaults = Defaults{} // the other settings are not meant then
	}
	for _, id := range f.ids("eos_token_id") {
		if !slices.Contains(m.Config.End, id) {
			m.Config.End = append(m.Config.End, id)
		}
	}
	return f.err
}

// texts returns the files beside config and weights.
func (m *Model) texts() map[string][]byte {
	out := map[string][]byte{}
	if m.Tokenizer != nil {
		out[tokenizerFile] = m.Tokenizer.JSON()
		out[tokenizerConfigFile] = m.tokenizerConfig()
	}
	type generation struct {
		Temperature float64 `json:"temperature,omitempty"`
		TopP        float64 `json:"top_p,omitempty"`
		TopK        int     `json:"top_k,omitempty"`
		Begin       *int32  `json:"bos_token_id,omitempty"`
		End         []int32 `json:"eos_token_id,omitempty"`
		Sample      bool    `json:"do_sample"`
	}
	g := generation{Temperature: m.Defaults.Temperature, TopP: m.Defaults.TopP, TopK: m.Defaults.TopK, End: m.Config.End, Sample: m.Defaults.Temperature > 0}
	if m.Config.Begin >= 0 {
		g.Begin = &m.Config.Begin
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		panic(err) // numbers only
	}
	out[generationFile] = append(b, '\n')
	return out
}

func (m *Model) tokenizerConfig() []byte {
	out := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": m.Config.Net.Context, "clean_up_tokenization_spaces": false}
	switch {
	case m.template != "":
		out["chat_template"] = m.template
	case m.Chat != nil && m.Chat.Template != "":
		out["chat_template"] = m.Chat.Template
	}
	if m.Config.Begin >= 0 {
		out["bos_token"] = m.Tokenizer.Bytes(m.Config.Begin)
	}
	if len(m.Config.End) > 0 {
		out["eos_token"] = m.Tokenizer.Bytes(m.Config.End[0])
		out["pad_token"] = m.Tokenizer.Bytes(m.Config.End[0])
	}
	b, err := proviso.AppendJSON(nil, out)
	if err != nil {
		panic(err) // texts and numbers only
	}
	return append(b, '\n')
}

// New returns a model with random weights, drawn from seed, for a tokenizer and a chat family; either may be nil. The vocabulary of the configuration is that of the tokenizer where it is 0, and the tokens that end a turn are those of the family.
func New(c Config, tok *tokenizer.Tokenizer, form *chat.Family, seed uint64) (*Model, error) {
	if _, ok := families[c.Family]; !ok {
		return nil, diagnose("", CodeConfig, "supported are "+familyNames(), "the architecture %.40q is not known", c.Family)
	}
	fam := families[c.Family]
	c.Net.QKNorm, c.Net.QKVBias = fam.qkNorm, fam.qkvBias
	if tok != nil && c.Net.Vocab == 0 {
		c.Net.Vocab = tok.Size()
	}
	if tok != nil && tok.Size() > c.Net.Vocab {
		return nil, diagnose("", CodeMismatch, "make the vocabulary as large as the tokenizer", "the tokenizer has %d tokens, and the network %d", tok.Size(), c.Net.Vocab)
	}
	net, err := nn.New(c.Net)
	if err != nil {
		return nil, diagnose("", CodeConfig, "change the size of the network", "%v", err)
	}
	net.Init(seed)
	c.Net = net.Config()
	m := &Model{Name: "new", Config: c, Net: net, Tokenizer: tok, Chat: form}
	m.endTurns()
	if form != nil && tok != nil && len(m.Config.End) == 0 {
		return nil, diagnose("", CodeMismatch, "train the tokenizer with the tokens that end a turn", "the tokenizer has none of the tokens %q of %s", form.End, form.Name)
	}
	return m, nil
}

// Params is the number of parameters, adapters not counted.
func (m *Model) Params() int64 { return m.Config.Net.Params() }
