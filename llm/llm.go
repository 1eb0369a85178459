// Package llm holds what Proviso asks of a language model, and the nouns of a conversation as it reads one.
//
// A Model completes a conversation; Echo and Script are its twins without a network, and TestModel is the contract that every implementation passes.
// A Conversation is what the sub-packages read from recordings: each knows one vendor's JSON and turns it into events, and events back into it.
package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/proviso-dev/proviso"
)

// Model answers a conversation. Implementations are safe for concurrent use and return an error that wraps the context's where the context ends.
type Model interface {
	Complete(ctx context.Context, req Request) (Response, error)
}

// Request is a conversation that a model is to continue. The zero values of the sampling fields leave the choice to the model.
// The model does not keep or change anything that the request refers to.
type Request struct {
	Model       string
	Messages    []Message
	Tools       []Tool
	Temperature *float64
	Seed        *int64
	MaxTokens   int
	Stop        []string
	// Schema asks for an answer that is JSON of this schema. A model that cannot promise that answers as well as it can.
	Schema map[string]any
}

// Message is one turn. Results stand in a turn of the user, Calls in one of the assistant.
type Message struct {
	Role    proviso.Role
	Text    string
	Calls   []proviso.ToolCall
	Results []proviso.ToolResult
}

// Tool is offered to a model. Args is the JSON Schema of its arguments.
type Tool struct {
	Name        string
	Description string
	Args        map[string]any
}

// Response is what a model answered. Stop says why it stopped: "end", "calls", "length" or "refusal".
type Response struct {
	ID    string
	Text  string
	Calls []proviso.ToolCall
	Stop  string
	Usage Usage
}

// Usage counts tokens; both are 0 where the model does not say.
type Usage struct{ Input, Output int }

// ErrRequest is wrapped by the error for a request that no model could answer, such as one without messages.
var ErrRequest = errors.New("nothing to answer")

// ErrScript is wrapped by the error of a Script that has no answers left.
var ErrScript = errors.New("the script has no answers left")

func begin(ctx context.Context, req Request) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("complete: %w", err)
	}
	if len(req.Messages) == 0 {
		return fmt.Errorf("complete: %w: the request has no messages", ErrRequest)
	}
	return nil
}

// Echo is a model that answers with the text of the last message. Its zero value is ready to use.
type Echo struct{}

// Complete returns the text of the last message.
func (Echo) Complete(ctx context.Context, req Request) (Response, error) {
	if err := begin(ctx, req); err != nil {
		return Response{}, err
	}
	return Response{Text: req.Messages[len(req.Messages)-1].Text, Stop: "end"}, nil
}

// Script is a model that gives prepared answers, one per request and in order, and remembers what it was asked. Its zero value has no answers.
type Script struct {
	mu      sync.Mutex
	answers []Response
	asked   []Request
}

// NewScript returns a script of these answers.
func NewScript(answers ...Response) *Script { return &Script{answers: answers} }

// Complete returns the next answer. It fails with ErrScript where none is left.
func (s *Script) Complete(ctx context.Context, req Request) (Response, error) {
	if err := begin(ctx, req); err != nil {
		return Response{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) == 0 {
		return Response{}, fmt.Errorf("complete: %w after %d; add one", ErrScript, len(s.asked))
	}
	next := s.answers[0]
	s.answers = s.answers[1:]
	s.asked = append(s.asked, req)
	return next, nil
}

// Asked returns the requests that were answered, in order.
func (s *Script) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.asked...)
}
