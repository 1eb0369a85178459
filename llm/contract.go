package llm

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/proviso-dev/proviso"
)

// TestModel is the contract of a Model. open returns a model that answers at least ten requests; each subtest opens its own.
func TestModel(t *testing.T, open func(testing.TB) Model) {
	hello := Request{Messages: []Message{{Role: proviso.User, Text: "Say hello."}}}
	t.Run("answers", func(t *testing.T) {
		r, err := open(t).Complete(context.Background(), hello)
		if err != nil {
			t.Fatal(err)
		}
		if r.Text == "" && len(r.Calls) == 0 {
			t.Error("the answer has neither text nor calls")
		}
		switch r.Stop {
		case "end", "calls", "length", "refusal":
		default:
			t.Errorf("stop is %q", r.Stop)
		}
		for _, c := range r.Calls {
			if c.Tool == "" {
				t.Error("a call names no tool")
			}
		}
	})
	t.Run("refuses a request without messages", func(t *testing.T) {
		if _, err := open(t).Complete(context.Background(), Request{}); !errors.Is(err, ErrRequest) {
			t.Errorf("error is %v, want one that wraps ErrRequest", err)
		}
	})
	t.Run("obeys its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := open(t).Complete(ctx, hello); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want one that wraps context.Canceled", err)
		}
	})
	t.Run("leaves the request alone", func(t *testing.T) {
		messages := []Message{{Role: proviso.System, Text: "Be brief."}, {Role: proviso.User, Text: "Say hello."}}
		if _, err := open(t).Complete(context.Background(), Request{Messages: messages}); err != nil {
			t.Fatal(err)
		}
		if messages[0].Text != "Be brief." || messages[1].Text != "Say hello." || len(messages[1].Calls) > 0 {
			t.Errorf("the messages became %+v", messages)
		}
	})
	t.Run("answers at the same time", func(t *testing.T) {
		m := open(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := m.Complete(context.Background(), hello); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
