package audit

import (
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// JUnit is XML that continuous integration shows as tests: a suite per session, a test per clause.
var JUnit = &Renderer{
	Name:   "junit",
	Doc:    "JUnit XML: a suite per session, a test per clause; unknown and dormant clauses are skipped tests",
	Render: renderJUnit,
}

func renderJUnit(w io.Writer, r *Report) error {
	out := &form.JUnit{Name: "proviso audit"}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		suite := form.JUnitSuite{Name: s.Session, File: s.Source}
		for j := range s.Verdicts {
			suite.Add(junitOf(s, &s.Verdicts[j]))
		}
		for j := range s.NearMisses {
			m := &s.NearMisses[j]
			suite.Add(form.JUnitCase{Class: s.Source, Name: fmt.Sprintf("%s, event %d", m.label(), m.Seq), Skipped: &form.JUnitText{Message: m.text(), Text: form.Line(m.Quote)}})
		}
		out.Add(suite)
	}
	return out.Write(w)
}

// junitOf is the test of a verdict.
func junitOf(s *Session, v *proviso.Verdict) form.JUnitCase {
	c := form.JUnitCase{Class: s.Source, Name: v.Clause.ID}
	text := &form.JUnitText{Message: v.Status.String()}
	var lines []string
	for i := range v.Evidence {
		e := &v.Evidence[i]
		lines = append(append(lines, statement(s, v, e)), because(e)...)
	}
	if len(v.Evidence) > 0 {
		text.Message = statement(s, v, &v.Evidence[0])
	}
	text.Text = strings.Join(lines, "\n")
	switch v.Status {
	case proviso.Violated:
		c.Failure = text
	case proviso.Errored:
		c.Error = text
	case proviso.Undetermined, proviso.Dormant:
		c.Skipped = text
	}
	return c
}
