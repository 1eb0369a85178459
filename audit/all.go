package audit

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

// misses calls f for every near miss.
func misses(r *Report, f func(s *Session, m *NearMiss) error) error {
	for i := range r.Sessions {
		for j := range r.Sessions[i].NearMisses {
			if err := f(&r.Sessions[i], &r.Sessions[i].NearMisses[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// findings calls f for every verdict that is worse than satisfied, with the piece of evidence of its status that stands first.
func findings(r *Report, f func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error) error {
	for i := range r.Sessions {
		s := &r.Sessions[i]
		for j := range s.Verdicts {
			v := &s.Verdicts[j]
			if v.Status <= proviso.Satisfied {
				continue
			}
			e := &proviso.Evidence{}
			if len(v.Evidence) > 0 {
				e = &v.Evidence[0]
			}
			if err := f(s, v, e); err != nil {
				return err
			}
		}
	}
	return nil
}
