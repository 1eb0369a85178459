package anthropic

import (
	"testing"

	"github.com/proviso-dev/proviso/llm/formattest"
)

var format = &formattest.Format{
	Detect:    Detect,
	Read:      Read,
	Others:    []string{`{"messages":[{"role":"user","content":"hi"}]}`, `{"model":"claude-x","messages":[{"role":"tool","content":"hi"}]}`, `[{"type":"function_call","name":"f"}]`},
	UserFirst: true,
	Failures:  true,
	Args:      []string{`{}`, `{"a":1}`, `{"a":"é","b":[]}`, `{cut`, `[1,1.0]`},
}

func TestRead(t *testing.T)        { format.Archives(t) }
func TestOtherValues(t *testing.T) { format.OtherValues(t) }
func TestRoundTrip(t *testing.T)   { format.RoundTrip(t, Write) }
func FuzzRead(f *testing.F)        { format.Fuzz(f) }
