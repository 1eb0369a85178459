package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/llm"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
)

// Prompt returns the tokens of a conversation in the form of the model's chat family. Control tokens that a message contains are spelled out.
// The error is a proviso.Diagnostic of package chat, or with CodeRequest where the model has no tokenizer or chat family.
func (m *Model) Prompt(messages []chat.Message, o chat.Options) ([]int32, error) {
	if m.Tokenizer == nil || m.Chat == nil {
		return nil, diagnose("", CodeRequest, "use a checkpoint with a tokenizer and a chat template, or name its chat family", "the model cannot hold a conversation")
	}
	if o.Begin == "" && m.Config.Begin >= 0 {
		o.Begin = m.Tokenizer.Bytes(m.Config.Begin)
	}
	p, err := m.Chat.Render(messages, o)
	if err != nil {
		return nil, err
	}
	return m.Encode(p), nil
}

// Encode returns the tokens of a rendered conversation. The model has a tokenizer.
func (m *Model) Encode(p chat.Prompt) []int32 {
	var literal []tokenizer.Span
	at := 0
	for _, part := range p {
		if part.Literal {
			literal = append(literal, tokenizer.Span{Start: at, End: at + len(part.Text)})
		}
		at += len(part.Text)
	}
	return m.Tokenizer.Encode(p.String(), tokenizer.Options{Literal: literal})
}

// Complete answers a conversation, as llm.Model. A temperature that is not given is that of the checkpoint, and 0 where it has none; a seed that is not given is drawn.
func (g *Generator) Complete(ctx context.Context, req llm.Request) (llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return llm.Response{}, fmt.Errorf("complete: %w", err)
	}
	if len(req.Messages) == 0 {
		return llm.Response{}, fmt.Errorf("complete: %w: the request has no messages", llm.ErrRequest)
	}
	o := chat.Options{Generate: true}
	for _, t := range req.Tools {
		raw, err := toolJSON(t)
		if err != nil {
			return llm.Response{}, fmt.Errorf("complete: tool %s: %w", t.Name, err)
		}
		o.Tools = append(o.Tools, raw)
	}
	prompt, err := g.m.Prompt(Messages(req.Messages), o)
	if err != nil {
		return llm.Response{}, fmt.Errorf("complete: %w", err)
	}
	r := Request{Prompt: prompt, MaxTokens: req.MaxTokens, Stop: req.Stop, Sampling: g.Sampling(req.Temperature, nil, nil, req.Seed)}
	if req.Schema != nil {
		raw, err := proviso.AppendJSON(nil, req.Schema)
		if err == nil {
			r.Within, err = g.Schema(raw)
		}
		if err != nil {
			return llm.Response{}, fmt.Errorf("complete: %w", err)
		}
	}
	a, err := g.Generate(ctx, r, nil)
	if err != nil {
		return llm.Response{}, fmt.Errorf("complete: %w", err)
	}
	return g.response(a, len(prompt), req.Schema != nil), nil
}

// response turns an answer into that of package llm. Where it keeps to a schema it is text as a whole.
func (g *Generator) response(a Answer, prompt int, whole bool) llm.Response {
	said := chat.Answer{Text: a.Text}
	if !whole {
		said = g.m.Chat.Parse(a.Text)
	}
	id := strconv.FormatUint(rand.Uint64(), 36)
	r := llm.Response{ID: "chatcmpl-" + id, Text: said.Text, Stop: StopEnd, Usage: llm.Usage{Input: prompt, Output: len(a.Tokens)}}
	for i, c := range said.Calls {
		r.Calls = append(r.Calls, proviso.ToolCall{ID: fmt.Sprintf("call-%s-%d", id, i), Tool: c.Name, Args: c.Args, Response: r.ID, Index: i})
	}
	switch {
	case a.Stop == StopLength:
		r.Stop = StopLength
	case len(r.Calls) > 0:
		r.Stop = "calls"
	}
	return r
}

// Sampling fills in what a request leaves to the model.
func (g *Generator) Sampling(temperature, topP *float64, topK *int, seed *int64) Sampling {
	d := g.m.Defaults
	s := Sampling{Temperature: d.Temperature, TopP: d.TopP, TopK: d.TopK, Seed: rand.Uint64()}
	if temperature != nil {
		s.Temperature = *temperature
	}
	if topP != nil {
		s.TopP = *topP
	}
	if topK != nil {
		s.TopK = *topK
	}
	if seed != nil {
		s.Seed = uint64(*seed)
	}
	return s
}

// Messages turns the messages of package llm into those of package chat: each result of a tool becomes a message of its own, before the text of its turn.
func Messages(in []llm.Message) []chat.Message {
	var out []chat.Message
	for _, m := range in {
		for i := range m.Results {
			out = append(out, chat.Message{Role: chat.ToolRole, Text: llm.TextOf(&m.Results[i])})
		}
		if len(m.Results) > 0 && m.Text == "" && len(m.Calls) == 0 {
			continue
		}
		c := chat.Message{Role: string(m.Role), Text: m.Text}
		for _, call := range m.Calls {
			c.Calls = append(c.Calls, chat.Call{Name: call.Tool, Args: call.Args})
		}
		out = append(out, c)
	}
	return out
}

// toolJSON writes a tool as templates expect it. The keys of its schema are sorted, because package llm does not keep their order.
func toolJSON(t llm.Tool) (proviso.JSON, error) {
	type function struct {
		Name        string         `json:"name"`
		Description string         `json:"description,omitempty"`
		Parameters  map[string]any `json:"parameters,omitempty"`
	}
	return proviso.AppendJSON(nil, &struct {
		Type     string   `json:"type"`
		Function function `json:"function"`
	}{"function", function{t.Name, t.Description, t.Args}})
}
