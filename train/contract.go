package train

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/proviso-dev/proviso"
)

// TestText is the contract of a Text. open returns one that knows conversations; control are texts that its control tokens are spelled as, which have no meaning in what people write.
func TestText(t *testing.T, open func(testing.TB) Text, control ...string) {
	texts := append([]string{"", "a", "Refunds within 24 hours: yes.", "née naïve 字 🙂", " two  spaces\n\nand lines\t"}, control...)
	t.Run("text comes back from its tokens", func(t *testing.T) {
		x := open(t)
		for _, want := range texts {
			tokens := x.Encode(want)
			if got := x.Decode(tokens); got != want {
				t.Errorf("%q comes back as %q", want, got)
			}
			for _, token := range tokens {
				if token < 0 || int(token) >= x.Vocab() {
					t.Errorf("%q has the token %d in a vocabulary of %d", want, token, x.Vocab())
				}
				if token == x.End() || token == x.Begin() {
					t.Errorf("%q has the control token %d", want, token)
				}
			}
		}
	})
	t.Run("control tokens are in the vocabulary", func(t *testing.T) {
		x := open(t)
		for _, token := range []int32{x.Begin(), x.End()} {
			if token < -1 || int(token) >= x.Vocab() {
				t.Errorf("control token %d in a vocabulary of %d", token, x.Vocab())
			}
			if token >= 0 && x.Decode([]int32{token}) != "" {
				t.Errorf("control token %d reads as %q", token, x.Decode([]int32{token}))
			}
		}
	})
	const question = `{"role":"user","content":"May I?"}`
	t.Run("a conversation marks what the assistant says", func(t *testing.T) {
		x := open(t)
		tokens, said, err := x.Conversation(proviso.JSON("["+question+`,{"role":"assistant","content":"Yes, you may."}]`), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(said) != len(tokens) {
			t.Fatalf("%d marks for %d tokens", len(said), len(tokens))
		}
		var mine []int32
		for i, token := range tokens {
			if said[i] {
				mine = append(mine, token)
			}
		}
		if got := x.Decode(mine); !strings.Contains(got, "Yes, you may.") || strings.Contains(got, "May I?") {
			t.Errorf("the assistant is heard to say %q", got)
		}
		if x.End() >= 0 && (len(mine) == 0 || mine[len(mine)-1] != x.End()) {
			t.Errorf("what the assistant says ends with %v, not with %d", mine, x.End())
		}
		prompt, quiet, err := x.Conversation(proviso.JSON("["+question+"]"), nil, true)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(quiet, true) {
			t.Error("the assistant is heard in a prompt")
		}
		if first := slices.Index(said, true); first < 0 || !slices.Equal(prompt, tokens[:first]) {
			t.Errorf("what stands before the answer is not the prompt:\n%v\n%v", tokens, prompt)
		}
	})
	t.Run("what is no conversation is refused", func(t *testing.T) {
		x := open(t)
		for _, bad := range []string{"{}", `[{"role":"user","content":[{"type":"image_url"}]}]`, `[{"role":"user"`} {
			if _, _, err := x.Conversation(proviso.JSON(bad), nil, false); err == nil {
				t.Errorf("%s was taken", bad)
			}
		}
	})
	t.Run("many use it at the same time", func(t *testing.T) {
		x := open(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, want := range texts {
					if got := x.Decode(x.Encode(want)); got != want {
						t.Errorf("%q comes back as %q", want, got)
					}
				}
			})
		}
		wg.Wait()
	})
}
