package model

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/proviso-dev/proviso/model/grammar"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

// ErrBusy is returned where more requests wait than a Generator takes.
var ErrBusy = errors.New("too many requests wait; try again later")

// ErrClosed is returned by a Generator that was closed.
var ErrClosed = errors.New("the generator is closed")

// Request asks for the continuation of a prompt.
type Request struct {
	Prompt    []int32   // at least one token; nn.PatchInput stands for the next patch
	Patches   []float32 // the values of the patches in the prompt, in order
	MaxTokens int       // 0: as many as the context has room for
	Sampling
	Stop   []string       // texts that end the answer and are not part of it
	End    []int32        // tokens that end it; nil: those of the model
	Top    int            // how many of the likeliest tokens to report at each position
	Within *grammar.Bound // what may be written; nil: anything. From Generator.Schema or Generator.Grammar
}

// maxTop bounds Request.Top.
const maxTop = 100

// Token is one token of an answer. LogProb is what the network gave it, before masks, temperature and cuts; Drawn is that of the distribution that it was drawn from, or, with temperature 0, of temperature 1 over the tokens that were allowed.
type Token struct {
	ID      int32
	LogProb float64
	Drawn   float64
	Top     []Choice // the likeliest first; nil where none were asked for
}

// Piece is what has become known of an answer: tokens, and the text that can no longer change. Text lags behind the tokens where a character or a text that ends the answer may be half written.
type Piece struct {
	Text   string
	Tokens []Token
}

// Why an answer ended.
const (
	StopEnd    = "end"    // with a token that ends a text, or where nothing more may follow
	StopText   = "stop"   // with a text of Request.Stop
	StopLength = "length" // it was cut off by MaxTokens or the context
)

// Answer is a whole continuation. Tokens include the one that ended it.
type Answer struct {
	Text   string
	Tokens []Token
	Stop   string
	Reused int // tokens of the prompt that another request had read before, so that they cost nothing; it changes no answer
}

// IDs returns the ids of the tokens.
func (a Answer) IDs() []int32 {
	ids := make([]int32, len(a.Tokens))
	for i, t := range a.Tokens {
		ids[i] = t.ID
	}
	return ids
}

// GeneratorOptions bound what a Generator does at once.
type GeneratorOptions struct {
	Slots int // requests that are answered at the same time; 0 is 8
	Queue int // requests that may wait beside them; 0 is 256
}

// Generator answers requests with one network. All methods are safe for concurrent use. The weights must not change while it runs.
type Generator struct {
	m        *Model
	dec      *nn.Decoder
	queue    chan *job
	quit     chan struct{}
	done     chan struct{}
	closing  sync.Once
	vocab    func() *grammar.Vocab
	mu       sync.Mutex
	grammars map[string]*grammar.Bound
}

// NewGenerator starts a generator. It has to be closed.
func NewGenerator(m *Model, o GeneratorOptions) *Generator {
	if o.Slots <= 0 {
		o.Slots = 8
	}
	if o.Queue <= 0 {
		o.Queue = 256
	}
	g := &Generator{m: m, dec: m.Net.NewDecoder(o.Slots), queue: make(chan *job, o.Queue), quit: make(chan struct{}), done: make(chan struct{}), grammars: map[string]*grammar.Bound{}}
	g.vocab = sync.OnceValue(func() *grammar.Vocab {
		return grammar.NewVocab(m.Config.Net.Vocab, func(id int32) string {
			if m.Tokenizer.Special(id) {
				return ""
			}
			return m.Tokenizer.Bytes(id)
		})
	})
	go g.run()
	return g
}

// Model returns the model that answers.
func (g *Generator) Model() *Model { return g.m }

// Close ends the generator. Requests that are not answered fail with ErrClosed.
func (g *Generator) Close() error {
	g.closing.Do(func() { close(g.quit) })
	<-g.done
	return nil
}

// grammarsKept bounds the grammars that are remembered.
const grammarsKept = 64

// Schema returns what may be written to be JSON of a schema, given as JSON text.
func (g *Generator) Schema(text []byte) (*grammar.Bound, error) {
	return g.bind("schema "+string(text), func() (*grammar.Grammar, error) { return grammar.Schema(text) })
}

// Grammar returns what may be written to be a sentence of a grammar in the notation of grammar.Parse.
func (g *Generator) Grammar(text string) (*grammar.Bound, error) {
	return g.bind("grammar "+text, func() (*grammar.Grammar, error) { return grammar.Parse(text) })
}

// OneOf returns what may be written to be one of several texts with JSON of a schema inside, such as calls of tools.
func (g *Generator) OneOf(list []grammar.Framed) (*grammar.Bound, error) {
	return g.bind(fmt.Sprintf("one of %q", list), func() (*grammar.Grammar, error) { return grammar.OneOf(list) })
}

func (g *Generator) bind(key string, make func() (*grammar.Grammar, error)) (*grammar.Bound, error) {
	if g.m.Tokenizer == nil {
		return nil, diagnose("", CodeRequest, "use a checkpoint with a tokenizer", "a model without a tokenizer cannot keep to a grammar")
	}
	g.mu.Lock()
	b, ok := g.grammars[key]
	g.mu.Unlock()
	if ok {
		return b, nil
	}
	compiled, err := make()
	if err != nil {
		return nil, err
	}
	b = compiled.Bind(g.vocab())
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.grammars) >= grammarsKept {
		clear(g.grammars)
	}
	g.grammars[key] = b
	return b, nil
}

// job is a request on its way.
type job struct {
	Request
	ctx     context.Context
	sampler *sampler
	stream  *tokenizer.Stream // nil without a tokenizer
	state   *grammar.State
	read    int // tokens of the prompt that the slot holds
	reused  int // tokens of the prompt that were there already
	patches int // values of patches among those read
	count   int // tokens written
	last    int32
	held    string // text that may still become one of Stop

	mu    sync.Mutex
	out   Piece // what the asker has not taken yet
	stop  string
	err   error
	wake  chan struct{} // has room for one
	ended chan struct{}
}

// Generate answers a request. emit gets the pieces in order, as they become known; it may be nil. An error of emit ends the request and is returned.
// Errors wrap the context's, ErrBusy, ErrClosed, nn.ErrNotFinite, or are a proviso.Diagnostic with CodeRequest or CodeTooLong.
func (g *Generator) Generate(ctx context.Context, req Request, emit func(Piece) error) (Answer, error) {
	if err := g.check(&req); err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j := &job{Request: req, ctx: ctx, sampler: newSampler(req.Sampling), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if g.m.Tokenizer != nil {
		j.stream = g.m.Tokenizer.Stream(true)
	}
	if req.Within != nil {
		j.state = req.Within.Start()
	}
	select {
	case <-g.quit:
		return Answer{}, ErrClosed
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("generate: %w", ctx.Err())
	default:
	}
	select {
	case g.queue <- j:
	default:
		return Answer{}, ErrBusy
	}
	var a Answer
	var text strings.Builder
	for ended := false; !ended; {
		select {
		case <-j.wake:
		case <-j.ended:
			ended = true
		case <-ctx.Done(): // it may wait for a slot still
			return Answer{}, fmt.Errorf("generate: %w", ctx.Err())
		case <-g.done:
			select {
			case <-j.ended:
				ended = true
			default:
				return Answer{}, ErrClosed
			}
		}
		p := j.take()
		text.WriteString(p.Text)
		a.Tokens = append(a.Tokens, p.Tokens...)
		if emit != nil && (p.Text != "" || len(p.Tokens) > 0) {
			if err := emit(p); err != nil {
				return Answer{}, err
			}
		}
	}
	if j.err != nil {
		return Answer{}, j.err
	}
	a.Text, a.Stop, a.Reused = text.String(), j.stop, j.reused
	return a, nil
}

// check refuses what cannot be answered, and fills in what is left to the model.
func (g *Generator) check(req *Request) error {
	room := g.m.Config.Net.Context - len(req.Prompt)
	switch {
	case len(req.Prompt) == 0:
		return diagnose("", CodeRequest, "give at least the token that begins a text", "the prompt is empty")
	case room < 1:
		return diagnose("", CodeTooLong, "shorten the conversation", "the prompt has %d tokens, and the context of the model holds %d with the answer", len(req.Prompt), g.m.Config.Net.Context)
	case req.MaxTokens < 0:
		return diagnose("", CodeRequest, "change the setting", "max_tokens is %d", req.MaxTokens)
	case req.Top < 0 || req.Top > maxTop:
		return diagnose("", CodeRequest, "change the setting", "%d alternatives are asked for; at most %d are given", req.Top, maxTop)
	case len(req.Stop) > 0 && g.m.Tokenizer == nil:
		return diagnose("", CodeRequest, "use tokens that end the answer", "a model without a tokenizer does not know texts")
	}
	for _, s := range req.Stop {
		if s == "" {
			return diagnose("", CodeRequest, "leave it out", "a text that ends the answer is empty")
		}
	}
	patches := 0
	for _, t := range req.Prompt {
		if t == nn.PatchInput {
			patches++
		}
	}
	if want := patches * g.m.Config.Net.Patch; len(req.Patches) != want {
		return diagnose("", CodeRequest, "give the values of each patch in the prompt", "there are %d values for %d patches of %d", len(req.Patches), patches, g.m.Config.Net.Patch)
	}
	if req.MaxTokens == 0 || req.MaxTokens > room {
		req.MaxTokens = room
	}
	if req.End == nil {
		req.End = g.m.Config.End
	}
	return req.Sampling.check()
}

// take returns what has become known since the last time.
func (j *job) take() Piece {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.out
	j.out = Piece{}
	return p
}

// give makes a piece known.
func (j *job) give(text string, tokens ...Token) {
	j.mu.Lock()
	j.out.Text += text
	j.out.Tokens = append(j.out.Tokens, tokens...)
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *job) end(stop string, err error) {
	if err == nil && j.stream != nil && stop != StopText {
		if text := j.held + j.stream.Flush(); text != "" {
			j.give(text)
		}
	}
	j.stop, j.err = stop, err
	close(j.ended)
}
