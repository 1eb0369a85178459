package policy

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/policy/pack"
)

// oneFact is what a session knows of the only fact of a policy.
type oneFact struct {
	value any
	state FactState
}

// Fact returns the fact, whatever is asked for.
func (f oneFact) Fact(int, Key) (any, FactState) { return f.value, f.state }

// A fact that is made of its former value grows up to a bound and is in error from there on, as is one whose former value nobody knows.
func TestObserveFormer(t *testing.T) {
	pk, ds := pack.Load(fstest.MapFS{
		"proviso.yaml": {Data: []byte("{name: p, version: \"1\"}")},
		"tools.json":   {Data: []byte(`[{"name": "look", "parameters": {"type": "object", "properties": {}}}]`)},
		"rules.yaml":   {Data: []byte("grants: [{tools: [look]}]\nfacts:\n  trail: {schema: {type: string}, initial: x, from: [{tool: look, value: former + former}]}\n")},
	}, ".")
	if ds.Worst(proviso.Error) {
		t.Fatal(ds)
	}
	p, ds := Compile(pk)
	if p == nil {
		t.Fatal(ds)
	}
	call := p.Bind(&proviso.Event{Point: proviso.ToolCallPoint, Body: &proviso.ToolCall{ID: "1", Tool: "look", Args: proviso.JSON("{}")}}, nil)
	result := p.Bind(&proviso.Event{Point: proviso.ToolResultPoint, Body: &proviso.ToolResult{CallID: "1", Tool: "look", Text: "done"}}, call)
	so := oneFact{p.Facts()[0].Initial, Observed}
	for size := 2; size < MaxGrown; size *= 2 {
		got := p.Observe(result, so)
		if len(got) != 1 || got[0].Err != "" || got[0].Value != strings.Repeat("x", size) {
			t.Fatalf("of %d bytes: %d facts, %v", size, len(got), got[0].Err)
		}
		so.value = got[0].Value
	}
	for _, so := range []Facts{so, oneFact{nil, Broken}, oneFact{nil, Unobserved}, nil} {
		if got := p.Observe(result, so); len(got) != 1 || got[0].Err == "" || got[0].Value != nil {
			t.Errorf("%.20v: %v", so, got)
		}
	}
}
