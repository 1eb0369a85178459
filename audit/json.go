package audit

import (
	"io"

	"github.com/proviso-dev/proviso"
)

// JSON is the whole report as one object.
var JSON = &Renderer{
	Name:   "json",
	Doc:    "the whole report as one JSON object",
	Render: renderJSON,
}

func renderJSON(w io.Writer, r *Report) error {
	b, err := proviso.AppendJSON(nil, r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// JSONLines is one verdict per line.
var JSONLines = &Renderer{
	Name:   "jsonl",
	Doc:    "one verdict per line, with the source of its session",
	Render: renderJSONLines,
}

// lineOfVerdict is what a line holds.
type lineOfVerdict struct {
	Source string `json:"source"`
	Line   int    `json:"line,omitempty"`
	Would  bool   `json:"would,omitempty"`
	proviso.Verdict
}

func renderJSONLines(w io.Writer, r *Report) error {
	for i := range r.Sessions {
		s := &r.Sessions[i]
		for n, list := range [][]proviso.Verdict{s.Verdicts, s.Would} {
			for _, v := range list {
				b, err := proviso.AppendJSON(nil, lineOfVerdict{s.Source, s.Line, n == 1, v})
				if err != nil {
					return err
				}
				if _, err := w.Write(append(b, '\n')); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
