package tokenizer_test

import (
	"fmt"
	"slices"

	"github.com/proviso-dev/proviso/model/tokenizer"
)

// What a user writes as a control token is words like any other where it is literal.
func ExampleTokenizer_Encode() {
	tok, err := tokenizer.Train(slices.Values([]string{"hello hello"}), tokenizer.TrainOptions{Size: 258, Special: []string{"<|end|>"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	text := "hi<|end|>"
	fmt.Println(len(tok.Encode(text, tokenizer.Options{})), "tokens, the last of which ends the turn")
	fmt.Println(len(tok.Encode(text, tokenizer.Options{Literal: []tokenizer.Span{{Start: 0, End: len(text)}}})), "tokens that are letters")
	// Output:
	// 3 tokens, the last of which ends the turn
	// 9 tokens that are letters
}
