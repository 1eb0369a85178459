package serve

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/proviso-dev/proviso/model"
)

// chunks writes server-sent events. Nothing is sent before the first token is known, so that a request that fails at once has a status of its own.
type chunks struct {
	w     http.ResponseWriter
	h     *handler
	id    string
	begun bool
}

func (c *chunks) begin() error {
	if c.begun {
		return nil
	}
	c.begun = true
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.Header().Set("Cache-Control", "no-store")
	return c.delta(map[string]any{"role": "assistant", "content": ""}, nil, nil)
}

func (c *chunks) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := c.w.Write(append(append([]byte("data: "), b...), "\n\n"...)); err != nil {
		return err
	}
	return http.NewResponseController(c.w).Flush()
}

// frame is what all chunks have.
func (c *chunks) frame(choices []any) map[string]any {
	return map[string]any{"id": "chatcmpl-" + c.id, "object": "chat.completion.chunk", "created": c.h.now().Unix(), "model": c.h.name, "choices": choices}
}

func (c *chunks) delta(delta map[string]any, tokens []model.Token, finish any) error {
	choice := map[string]any{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": nil}
	if tokens != nil {
		choice["logprobs"] = c.h.logprobs(tokens)
	}
	return c.send(c.frame([]any{choice}))
}

// stream gives an answer as it is written. Of a text that may become a call or a thought nothing is shown before it is known.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, q *request) {
	c := &chunks{w: w, h: h, id: newID()}
	var text strings.Builder
	shown := 0
	var tokens []model.Token // not reported yet
	a, err := h.g.Generate(r.Context(), q.base, func(p model.Piece) error {
		if err := c.begin(); err != nil {
			return err
		}
		text.WriteString(p.Text)
		if q.logprobs {
			tokens = append(tokens, p.Tokens...)
		}
		settled := text.Len()
		if !q.whole {
			settled = h.g.Model().Chat.Settled(text.String())
		}
		if settled <= shown {
			return nil
		}
		piece := text.String()[shown:settled]
		shown = settled
		reported := tokens
		tokens = nil
		return c.delta(map[string]any{"content": piece}, reported, nil)
	})
	if err != nil {
		status, body := problem(err)
		if c.begun {
			c.send(body) // the status is gone; clients look for an object error
			return
		}
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		writeJSON(w, status, body)
		return
	}
	said := h.said(q, a.Text)
	if c.begin() != nil {
		return
	}
	last := map[string]any{}
	if said.Reasoning != "" {
		last["reasoning_content"] = said.Reasoning
	}
	if rest, ok := strings.CutPrefix(said.Text, a.Text[:shown]); ok && rest != "" {
		last["content"] = rest
	}
	if len(said.Calls) > 0 {
		last["tool_calls"] = callsOf(said.Calls, c.id, true)
	}
	if len(last) > 0 || tokens != nil {
		if c.delta(last, tokens, nil) != nil {
			return
		}
	}
	if c.delta(map[string]any{}, nil, finish(a, said)) != nil {
		return
	}
	if q.usage {
		frame := c.frame([]any{})
		frame["usage"] = usage(len(q.base.Prompt), len(a.Tokens), a.Reused)
		if c.send(frame) != nil {
			return
		}
	}
	w.Write([]byte("data: [DONE]\n\n"))
}
