package model_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso/model"
	"github.com/proviso-dev/proviso/model/chat"
	"github.com/proviso-dev/proviso/model/tokenizer"
	"github.com/proviso-dev/proviso/nn"
)

// A small model is made, asked a question, and held to an answer that is JSON of a schema.
func Example() {
	text := "May the customer cancel the reservation? The customer may cancel."
	tok, err := tokenizer.Train(slices.Values([]string{text}), tokenizer.TrainOptions{Size: 280, Special: []string{"<|im_start|>", "<|im_end|>"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := model.New(model.Config{Family: "qwen3", Begin: -1, Net: nn.Config{Layers: 1, Hidden: 32, Heads: 2, FFN: 64, Context: 256}}, tok, chat.ChatML, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	g := model.NewGenerator(m, model.GeneratorOptions{Slots: 4})
	defer g.Close()

	prompt, err := m.Prompt([]chat.Message{{Role: chat.User, Text: "May I cancel?"}}, chat.Options{Generate: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	within, err := g.Schema([]byte(`{"type": "object", "properties": {"clause": {"const": "cancel/2"}}, "required": ["clause"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := g.Generate(context.Background(), model.Request{Prompt: prompt, Within: within, Stop: []string{"/"}}, nil)
	fmt.Println(answer.Stop, err)
	answer, err = g.Generate(context.Background(), model.Request{Prompt: prompt, Within: within}, nil)
	fmt.Println(answer.Stop, len(answer.Text) >= len(`{"clause":"cancel/2"}`), err)
	// Output:
	// stop <nil>
	// end true <nil>
}
