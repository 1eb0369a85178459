package session

import (
	"bytes"
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// Whatever a snapshot holds, Restore fails or gives a state that works and that is written the same way again.
func FuzzRestore(f *testing.F) {
	p := play(f)
	p.call("1", "pay", `{"to":"ann","amount":1.5}`)
	p.result("1", factResult("reservation", "v", "R1"))
	p.sibling("m", 0, "2", "cancel", `{"id":"R1"}`)
	p.result("2", `{}`)
	p.assistant("Cancel R1?")
	p.user("yes")
	f.Add(snap(f, p.s))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Restore(script{"d1"}, b)
		if err != nil {
			return
		}
		once := snap(t, s)
		again, err := Restore(script{"d1"}, once)
		if err != nil {
			t.Fatalf("%v: %s", err, once)
		}
		if twice := snap(t, again); !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s", once, twice)
		}
		in := s.Bind(&proviso.Event{Session: s.ID(), Body: &proviso.ToolCall{Tool: "pay", Args: proviso.JSON(`{"to":"ann","amount":1}`)}})
		v := s.View(in)
		v.Consent.Confirmed(in)
		for q := range scriptQueries {
			v.History.Past(q, []any{"ann"}, v.Now)
		}
	})
}

// Reading what people say never panics, and a message that begins with a refusal never agrees.
func FuzzTalk(f *testing.F) {
	f.Add("yes, please", "R1")
	f.Add("I'd 1,234.50—“no”?", "1,2")
	f.Fuzz(func(t *testing.T, text, value string) {
		if stanceOf("No, "+text) == agrees {
			t.Errorf("%q agrees", "No, "+text)
		}
		folded := fold(text)
		if n, ok := textNeedle(value); ok {
			n.in(folded)
			if hasToken(folded, "123") && !strings.Contains(folded, "123") {
				t.Error("a token that is not there")
			}
		}
		hasNumber(folded, 12)
	})
}
