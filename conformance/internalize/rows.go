package main

import (
	"encoding/json"
	"io"
	"iter"
	"slices"

	"github.com/proviso-dev/proviso/internal/durable"
)

// row is a line of training data, in the form that docs/train.md describes.
type row struct {
	ID         string    `json:"id,omitempty"`
	Segments   []segment `json:"segments,omitempty"`
	Prompt     string    `json:"prompt,omitempty"`
	Completion string    `json:"completion,omitempty"`
	Policy     string    `json:"policy,omitempty"`
	Want       string    `json:"want,omitempty"` // the regular expression of a right answer
}

// segment is a part of a text.
type segment struct {
	Text string `json:"text"`
	Loss *bool  `json:"loss,omitempty"`
	End  bool   `json:"end,omitempty"`
}

var masked = new(bool)

// read is a segment that only gives context.
func read(s string) segment { return segment{Text: s, Loss: masked} }

// answer is a segment that is learnt, with its end.
func answer(s string) segment { return segment{Text: s, End: true} }

// write makes a file of rows, whole or not at all.
func write(name string, rows []row) error {
	return keepLines(name, slices.Values(rows))
}

// keepLines makes a file of JSON lines, whole or not at all.
func keepLines[T any](name string, lines iter.Seq[T]) error {
	return durable.Write(name, 0o644, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for l := range lines {
			if err := e.Encode(l); err != nil {
				return err
			}
		}
		return nil
	})
}
