package journal

import (
	"strings"
	"testing"

	"github.com/proviso-dev/proviso"
)

// A record whose facts are nested as deeply as a record may be comes back, although it stands inside of the line of its entry.
func TestDeepRecordComesBack(t *testing.T) {
	for depth := proviso.MaxJSONDepth - 8; depth <= proviso.MaxJSONDepth-3; depth++ {
		v, err := proviso.DecodeResultJSON(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if err != nil {
			t.Fatal(err)
		}
		r := call("a", 1)
		r.Facts = []proviso.FactValue{{FactKey: proviso.FactKey{Fact: "f"}, Value: v}}
		e, err := Seal(&r, Hash{})
		if err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func() (proviso.Record, error){"record": e.Record, "peek": e.Peek, "after": func() (proviso.Record, error) { return e.RecordAfter(Tip{}) }} {
			got, err := read()
			if err != nil {
				t.Errorf("depth %d: %s: %v", depth, name, err)
			} else if string(proviso.CanonicalJSON(got.Facts[0].Value)) != string(proviso.CanonicalJSON(v)) {
				t.Errorf("depth %d: %s gives another fact", depth, name)
			}
		}
	}
}

// Values that decided and are nested too deeply to stand in a record are told in words.
func TestDeepCauseComesBack(t *testing.T) {
	for _, depth := range []int{3, proviso.MaxJSONDepth - 4, proviso.MaxJSONDepth} {
		text := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		v, err := proviso.DecodeResultJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		r := call("a", 1)
		r.Event.Body = &proviso.ToolCall{ID: "1", Tool: "get", Args: proviso.JSON(`{"a":` + text[1:len(text)-1] + `,"b":"]\\\"}"}`)}
		r.Decision.Reasons = []proviso.Reason{{Rule: "r", Because: []proviso.Cause{{Expr: "e", Inputs: []proviso.Value{{Path: "p", Val: v}}}}}}
		e, err := Seal(&r, Hash{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Record()
		if err != nil {
			t.Errorf("depth %d: %v", depth, err)
			continue
		}
		val := got.Decision.Reasons[0].Because[0].Inputs[0].Val
		if words, inWords := val.(string); inWords != (depth > 3) || inWords && words != text {
			t.Errorf("depth %d: %v", depth, val)
		}
		if string(got.Event.Body.(*proviso.ToolCall).Args) != string(r.Event.Body.(*proviso.ToolCall).Args) {
			t.Errorf("depth %d: other arguments", depth)
		}
	}
}
