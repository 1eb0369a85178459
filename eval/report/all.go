package report

import (
	"io"

	"github.com/proviso-dev/proviso"
)

// Renderer prints a report in one form. Render writes nothing but that form, and its error is that of the writer.
type Renderer struct {
	Name   string // as it is asked for on a command line
	Doc    string
	Render func(w io.Writer, r *Report) error
}

// All lists the renderers by name.
var All = []*Renderer{
	GitHub,
	HTML,
	JSON,
	JSONLines,
	JUnit,
	Markdown,
	Pretty,
	SARIF,
}

// ByName returns the renderer of that name; ok is false where there is none, and hint then says what was probably meant.
func ByName(name string) (r *Renderer, hint string, ok bool) {
	names := make([]string, len(All))
	for i, r := range All {
		if r.Name == name {
			return r, "", true
		}
		names[i] = r.Name
	}
	return nil, proviso.DidYouMean(name, names), false
}
