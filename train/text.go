package train

import (
	"errors"
	"fmt"

	"github.com/proviso-dev/proviso"
)

// Text turns words into tokens and back. Implementations are safe for concurrent use.
type Text interface {
	// Vocab is the number of tokens.
	Vocab() int
	// Encode returns the tokens of ordinary text: what looks like a control token has no meaning in it.
	Encode(text string) []int32
	// Decode returns the text of tokens, control tokens left out.
	Decode(tokens []int32) string
	// Begin is the token that begins a text, End the one that ends an answer; −1 where there is none.
	Begin() int32
	End() int32
	// Conversation returns the tokens of messages, a JSON array as chat completion APIs have it, with the tools on offer (may be nil), and which of them the assistant says. generate ends it where the assistant begins to speak.
	Conversation(messages, tools proviso.JSON, generate bool) (tokens []int32, said []bool, err error)
}

// Bytes is the Text whose tokens are bytes, with two more for the beginning and the end. It needs no file and knows every language badly.
type Bytes struct{}

// The control tokens of Bytes.
const (
	bytesBegin = 256
	bytesEnd   = 257
)

// Vocab is 258.
func (Bytes) Vocab() int { return 258 }

// Encode returns one token per byte.
func (Bytes) Encode(text string) []int32 {
	out := make([]int32, len(text))
	for i := range len(text) {
		out[i] = int32(text[i])
	}
	return out
}

// Decode joins bytes.
func (Bytes) Decode(tokens []int32) string {
	out := make([]byte, 0, len(tokens))
	for _, t := range tokens {
		if t >= 0 && t < bytesBegin {
			out = append(out, byte(t))
		}
	}
	return string(out)
}

// Begin is token 256.
func (Bytes) Begin() int32 { return bytesBegin }

// End is token 257.
func (Bytes) End() int32 { return bytesEnd }

// Conversation writes each message as its role, a colon, its text and the end token. Tools and calls have no form here.
func (b Bytes) Conversation(messages, tools proviso.JSON, generate bool) (tokens []int32, said []bool, err error) {
	var list []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	if err := proviso.DecodeStrict(messages, &list); err != nil {
		return nil, nil, fmt.Errorf("messages: %w; byte models know role and content, and no tools", err)
	}
	if len(tools) > 0 {
		return nil, nil, errors.New("byte models know no tools")
	}
	add := func(t []int32, mine bool) {
		for _, x := range t {
			tokens, said = append(tokens, x), append(said, mine)
		}
	}
	add([]int32{bytesBegin}, false)
	for _, m := range list {
		add(b.Encode(m.Role+": "), false)
		mine := m.Role == "assistant"
		add(append(b.Encode(m.Content), bytesEnd), mine)
	}
	if generate {
		add(b.Encode("assistant: "), false)
	}
	return tokens, said, nil
}
