// Package models is the subcommands of proviso model: what a checkpoint is, its tokens, other precisions, new ones, and serving one.
//
// Each is a struct of flags with a Run method. What they need of the program around them is in an Env: the flags, the environment and the clock stay the business of the command line.
package models

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/safetensors"
	"github.com/proviso-dev/proviso/model/serve"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

// Env is what a command gets from the program around it. All fields are set.
type Env struct {
	Context   context.Context // ends with a signal
	Stdout    io.Writer
	JSON      bool                                           // results are printed as JSON
	Print     func(v any) error                              // prints a result as JSON
	Say       func(format string, args ...any)               // talks to a person
	Read      func(name string, limit int64) ([]byte, error) // a file, or standard input for "-"
	Listen    func(addr string) (net.Listener, error)        // opens an address
	Server    func(h http.Handler) *http.Server              // with the limits of the program
	Patience  func(d time.Duration)                          // how long to wait for the command after a signal
	Now       func() time.Time
	Printable func(s string) string // makes control characters harmless
}

// usage refuses flags that cannot be.
func usage(hint, format string, args ...any) error {
	return proviso.Diagnostic{Code: model.CodeRequest, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// Info is `proviso model info`.
type Info struct {
	Dir string `arg:"" help:"Folder of a checkpoint."`
}

// info is how a checkpoint is printed as JSON.
type info struct {
	Name      string              `json:"name"`
	Family    string              `json:"family"`
	Params    int64               `json:"parameters"`
	Layers    int                 `json:"layers"`
	Hidden    int                 `json:"hidden"`
	Heads     int                 `json:"heads"`
	KVHeads   int                 `json:"kv_heads"`
	HeadDim   int                 `json:"head_dim"`
	FFN       int                 `json:"ffn"`
	Vocab     int                 `json:"vocabulary"`
	Context   int                 `json:"context"`
	Tied      bool                `json:"tied"`
	DTypes    []safetensors.DType `json:"types"`
	Files     int                 `json:"files"`
	Memory    int64               `json:"memory_bytes"`
	Tokens    int                 `json:"tokens,omitempty"`
	Pattern   string              `json:"pattern,omitempty"`
	Chat      string              `json:"chat,omitempty"`
	ChatError string              `json:"chat_error,omitempty"`
}

// Run prints what the files say.
func (c *Info) Run(e *Env) error {
	found, err := model.Inspect(c.Dir)
	if err != nil {
		return err
	}
	n := found.Config.Net
	kv, hd := n.KVHeads, n.HeadDim
	if hd == 0 {
		hd = n.Hidden / n.Heads
	}
	m := info{found.Name, found.Config.Family, n.Params(), n.Layers, n.Hidden, n.Heads, kv, hd, n.FFN, n.Vocab, n.Context, n.Tied, found.DTypes, found.Files, 4 * n.Params(), found.Tokens, found.Pattern, found.Chat, found.ChatError}
	if e.JSON {
		return e.Print(m)
	}
	fmt.Fprintf(e.Stdout, "%s\n", e.Printable(m.Name))
	for _, row := range [][2]string{
		{"family", m.Family},
		{"parameters", short(m.Params)},
		{"layers", fmt.Sprintf("%d of width %d, feed-forward %d", m.Layers, m.Hidden, m.FFN)},
		{"heads", fmt.Sprintf("%d for queries, %d for keys, width %d", m.Heads, m.KVHeads, m.HeadDim)},
		{"context", fmt.Sprintf("%d tokens", m.Context)},
		{"vocabulary", fmt.Sprintf("%d, %s", m.Vocab, map[bool]string{true: "input and output tied", false: "input and output apart"}[m.Tied])},
		{"weights", fmt.Sprintf("%v in %s, %sB in memory", m.DTypes, plural(m.Files, "file"), short(m.Memory))},
		{"tokenizer", orNone(m.Tokens > 0, fmt.Sprintf("%d tokens, pattern %s", m.Tokens, m.Pattern))},
		{"chat", orNone(m.Chat != "" || m.ChatError != "", m.Chat+m.ChatError)},
	} {
		fmt.Fprintf(e.Stdout, "  %-12s%s\n", row[0], e.Printable(row[1]))
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func orNone(there bool, text string) string {
	if there {
		return text
	}
	return "none"
}

// short writes a number with three digits or so and a unit.
func short(n int64) string {
	x := float64(n)
	for _, u := range []string{"", "k", "M", "G"} {
		if x < 1000 {
			if u == "" {
				return fmt.Sprint(n)
			}
			return fmt.Sprintf("%.3g %s", x, u)
		}
		x /= 1000
	}
	return fmt.Sprintf("%.3g T", x)
}

// Tokenize is `proviso model tokenize`.
type Tokenize struct {
	From    string  `arg:"" name:"checkpoint" help:"Folder of a checkpoint, or a tokenizer.json."`
	Text    string  `arg:"" optional:"" help:"The text; left out or -: standard input."`
	IDs     []int32 `name:"ids" help:"Show the text of these ids instead." placeholder:"ID,…" env:"-"`
	Special bool    `help:"Put the tokens around the text that the tokenizer adds by itself."`
	Literal bool    `help:"Spell out control tokens in the text, as is done with what users and tools say."`
}

// Run prints tokens or a text.
func (c *Tokenize) Run(e *Env) error {
	tok, err := model.LoadTokenizer(c.From)
	if err != nil {
		return err
	}
	ids := c.IDs
	if len(ids) == 0 {
		if c.Text == "" || c.Text == "-" {
			b, err := e.Read("-", 64<<20)
			if err != nil {
				return err
			}
			c.Text = string(b)
		}
		o := tokenizer.Options{Special: c.Special}
		if c.Literal {
			o.Literal = []tokenizer.Span{{Start: 0, End: len(c.Text)}}
		}
		ids = tok.Encode(c.Text, o)
	}
	text := tok.Decode(ids, false)
	pieces := make([]string, len(ids))
	for i, id := range ids {
		pieces[i] = tok.Bytes(id)
	}
	if e.JSON {
		valid := make([]string, len(pieces))
		for i, p := range pieces {
			valid[i] = strings.ToValidUTF8(p, "\uFFFD")
		}
		return e.Print(map[string]any{"ids": ids, "tokens": valid, "text": text, "count": len(ids)})
	}
	w := bufio.NewWriter(e.Stdout)
	if len(c.IDs) > 0 {
		fmt.Fprintln(w, e.Printable(text))
	} else {
		for i, id := range ids {
			fmt.Fprintf(w, "%7d  %q\n", id, pieces[i])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	e.Say("%s", plural(len(ids), "token"))
	return nil
}

// Convert is `proviso model convert`.
type Convert struct {
	Dir     string `arg:"" help:"Folder of a checkpoint."`
	Out     string `arg:"" help:"Folder to write, which does not exist yet."`
	DType   string `name:"dtype" help:"Precision of the weights: ${enum}." enum:"f32,f16,bf16" default:"bf16" placeholder:"TYPE"`
	Adapter string `help:"Folder of a LoRA adapter in the layout of PEFT, merged into the weights." placeholder:"DIR" env:"-"`
	Shard   int64  `help:"Deal the weights to files of so many megabytes." default:"5000" placeholder:"MB"`
	Chat    string `help:"Chat family, for a checkpoint whose template is not known." placeholder:"NAME"`
}

// dtypes are the precisions by the names of the flag.
var dtypes = map[string]safetensors.DType{"f32": safetensors.F32, "f16": safetensors.F16, "bf16": safetensors.BF16}

// Run reads, merges and writes.
func (c *Convert) Run(e *Env) error {
	m, err := model.Load(c.Dir, model.LoadOptions{Chat: c.Chat})
	if err != nil {
		return err
	}
	if c.Adapter != "" {
		if err := m.LoadAdapter(c.Adapter); err != nil {
			return err
		}
		m.Net.MergeLoRA()
	}
	if err := m.Save(c.Out, model.SaveOptions{DType: dtypes[c.DType], ShardBytes: c.Shard * 1e6}); err != nil {
		return err
	}
	e.Say("wrote %s: %s parameters as %s", c.Out, short(m.Params()), c.DType)
	return nil
}

// New is `proviso model new`.
type New struct {
	Out     string   `arg:"" help:"Folder to write, which does not exist yet."`
	Text    []string `required:"" help:"Files whose text the tokenizer learns from." type:"existingfile" placeholder:"FILE" env:"-"`
	Family  string   `help:"Architecture: ${enum}." enum:"llama,qwen2,qwen3" default:"qwen3" placeholder:"NAME"`
	Layers  int      `help:"Blocks." default:"4" placeholder:"N"`
	Hidden  int      `help:"Width." default:"256" placeholder:"N"`
	Heads   int      `help:"Query heads." default:"4" placeholder:"N"`
	KVHeads int      `name:"kv-heads" help:"Key heads; 0: as many as query heads." default:"2" placeholder:"N"`
	HeadDim int      `name:"head-dim" help:"Width of a head; 0: width by heads." default:"0" placeholder:"N"`
	FFN     int      `name:"ffn" help:"Width of the feed-forward layer; 0: three times the width." default:"0" placeholder:"N"`
	Context int      `help:"Longest text, in tokens." default:"2048" placeholder:"N"`
	Vocab   int      `help:"Tokens that the tokenizer learns at most." default:"4096" placeholder:"N"`
	Pattern string   `help:"How the tokenizer cuts words: ${enum}." enum:"qwen,cl100k,gpt2" default:"qwen" placeholder:"NAME"`
	Untied  bool     `help:"Give the output layer weights of its own."`
	Seed    uint64   `help:"Of the random weights." default:"1" placeholder:"N"`
}

// Run trains the tokenizer, draws the weights and writes both.
func (c *New) Run(e *Env) error {
	var pattern *tokenizer.Pattern
	for _, p := range tokenizer.Patterns {
		if p.Name == c.Pattern {
			pattern = p
		}
	}
	var texts []string
	for _, name := range c.Text {
		b, err := e.Read(name, 1<<30)
		if err != nil {
			return err
		}
		texts = append(texts, string(b))
	}
	tok, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{Pattern: pattern, Size: c.Vocab, Special: chat.ChatML.Control})
	if err != nil {
		return usage("give more text, or another --vocab", "%v", err)
	}
	if c.FFN == 0 {
		c.FFN = 3 * c.Hidden
	}
	m, err := model.New(model.Config{Family: c.Family, Begin: -1, Net: nn.Config{
		Layers: c.Layers, Hidden: c.Hidden, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, FFN: c.FFN, Context: c.Context, NormEps: 1e-6, Tied: !c.Untied,
	}}, tok, chat.ChatML, c.Seed)
	if err != nil {
		return err
	}
	if err := m.Save(c.Out, model.SaveOptions{}); err != nil {
		return err
	}
	e.Say("wrote %s: %s parameters, %d tokens; it has learnt nothing yet", c.Out, short(m.Params()), tok.Size())
	return nil
}

// Serve is `proviso model serve`.
type Serve struct {
	Dir     string        `arg:"" help:"Folder of a checkpoint."`
	Listen  string        `help:"Address, on this machine only: there is no login." default:"127.0.0.1:7080" placeholder:"HOST:PORT"`
	Adapter string        `help:"Folder of a LoRA adapter in the layout of PEFT." placeholder:"DIR" env:"-"`
	Name    string        `help:"Name by which clients ask for the model; default: that of the folder." placeholder:"NAME" env:"-"`
	Chat    string        `help:"Chat family, for a checkpoint whose template is not known." placeholder:"NAME"`
	Slots   int           `help:"Requests that are answered at the same time." default:"8" placeholder:"N"`
	Drain   time.Duration `help:"How long requests may go on after SIGTERM." default:"10s"`
}

// Help is the long help of the command.
func (Serve) Help() string {
	return `Speaks the chat completions of the OpenAI API, streamed and not: tools and tool_choice, response_format with a JSON Schema that every answer keeps to, grammar (rules in the notation of llama.cpp), logprobs, seed and stop. What users and tools write as control tokens is spelled out, so that nobody ends a turn but the model.

Point a client at it with OPENAI_BASE_URL, or a proviso serve in front of it as an upstream.`
}

// Run serves until a signal ends it.
func (c *Serve) Run(e *Env) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage("use 127.0.0.1:PORT, and put proviso serve in front of it for others", "--listen %s is no address of this machine alone", c.Listen)
	}
	m, err := model.Load(c.Dir, model.LoadOptions{Chat: c.Chat})
	if err != nil {
		return err
	}
	if m.Chat == nil || m.Tokenizer == nil {
		return usage("name the family it was trained on with --chat", "the checkpoint has no tokenizer or no chat template")
	}
	if c.Adapter != "" {
		if err := m.LoadAdapter(c.Adapter); err != nil {
			return err
		}
	}
	l, err := e.Listen(c.Listen)
	if err != nil {
		return err
	}
	if c.Name != "" {
		m.Name = c.Name
	}
	g := model.NewGenerator(m, model.GeneratorOptions{Slots: c.Slots})
	defer g.Close()
	door := e.Server(serve.New(g, serve.Options{Now: e.Now}))
	e.Patience(c.Drain + time.Second)
	if e.JSON {
		e.Print(map[string]any{"listening": "http://" + l.Addr().String(), "model": m.Name, "family": m.Config.Family, "chat": m.Chat.Name})
	} else {
		e.Say("proviso model serve: %s, %s parameters, %s kernels, on http://%s", m.Name, short(m.Params()), nn.SIMD(), l.Addr())
		e.Say("export OPENAI_BASE_URL=http://%s/v1", l.Addr())
	}
	failed := make(chan error, 1)
	go func() { failed <- door.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-e.Context.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Drain)
	defer cancel()
	if door.Shutdown(ctx) != nil {
		e.Say("proviso model serve: requests were still on their way after %s and were ended", c.Drain)
	}
	return door.Close()
}
