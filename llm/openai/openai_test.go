package openai

import (
	"testing"

	"github.com/proviso-dev/proviso/llm/formattest"
)

var format = &formattest.Format{
	Detect: Detect,
	Read:   Read,
	Others: []string{`{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x"}]}]}`},
	Always: true,
	Args:   []string{`{}`, `{"a": 1}`, `{"a":"\\u00e9", "b":[]}`, `{cut`, `[1,1.0]`, "null"},
}

func TestRead(t *testing.T)        { format.Archives(t) }
func TestOtherValues(t *testing.T) { format.OtherValues(t) }
func FuzzRead(f *testing.F)        { format.Fuzz(f) }

func TestRoundTrip(t *testing.T) {
	t.Run("messages", func(t *testing.T) { format.RoundTrip(t, Write) })
	t.Run("items", func(t *testing.T) { format.RoundTrip(t, WriteItems) })
}
