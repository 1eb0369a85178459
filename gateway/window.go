package gateway

import (
	"github.com/proviso-dev/proviso/llm/wire"
	"github.com/proviso-dev/proviso/policy/flow"
)

// window follows the streamed text of an answer, choice by choice.
type window struct {
	*flow.Text
	choices []textSoFar
}

// textSoFar is the text of one choice. Its parts are joined to one when the answer is whole, so that it is followed for the first of them only.
type textSoFar struct {
	flow.Window
	part int
	lost bool
}

// add takes the text of a chunk. It is false where something may match, or where the text cannot be followed; then everything that was not let go yet has to be held.
func (w *window) add(c wire.Chunk) bool {
	if c.Mixed || c.Text == "" {
		return !c.Mixed
	}
	for len(w.choices) <= c.Choice {
		w.choices = append(w.choices, textSoFar{Window: w.Window()})
	}
	t := &w.choices[c.Choice]
	if t.Len() > 0 && t.part != c.Part {
		t.lost = true
		return false
	}
	t.part = c.Part
	return t.Add(c.Text)
}

// end is how much text of a choice there was so far; safe is how much of it may go out.
func (w *window) end(choice int) int {
	if choice >= len(w.choices) {
		return 0
	}
	return w.choices[choice].Len()
}

func (w *window) safe(choice int) int {
	if choice >= len(w.choices) {
		return 0
	}
	return w.choices[choice].Safe()
}

// denied reports whether a rule denies the first choice whatever follows, where it applies.
func (w *window) denied() bool {
	return len(w.choices) == 1 && !w.choices[0].lost && w.choices[0].Denied()
}
