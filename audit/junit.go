package audit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
)

// JUnit is XML that continuous integration shows as tests: a suite per session, a test per clause.
var JUnit = &Renderer{
	Name:   "junit",
	Doc:    "JUnit XML: a suite per session, a test per clause; unknown and dormant clauses are skipped tests",
	Render: renderJUnit,
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	File     string      `xml:"file,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func renderJUnit(w io.Writer, r *Report) error {
	out := junitSuites{Name: "proviso audit"}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		suite := junitSuite{Name: s.Session, File: s.Source}
		for j := range s.Verdicts {
			suite.add(s, &s.Verdicts[j])
		}
		for j := range s.NearMisses {
			m := &s.NearMisses[j]
			suite.Cases = append(suite.Cases, junitCase{Class: s.Source, Name: fmt.Sprintf("%s, event %d", m.label(), m.Seq), Skipped: &junitText{Message: m.text(), Text: oneLine(m.Quote)}})
			suite.Tests++
			suite.Skipped++
		}
		out.Suites = append(out.Suites, suite)
		out.Tests += suite.Tests
		out.Failures += suite.Failures
		out.Errors += suite.Errors
		out.Skipped += suite.Skipped
	}
	return writeXML(w, out)
}

func (j *junitSuite) add(s *Session, v *proviso.Verdict) {
	c := junitCase{Class: s.Source, Name: v.Clause.ID}
	text := &junitText{Message: v.Status.String()}
	var lines []string
	for i := range v.Evidence {
		e := &v.Evidence[i]
		lines = append(append(lines, statement(s, v, e)), because(e)...)
	}
	if len(v.Evidence) > 0 {
		text.Message = statement(s, v, &v.Evidence[0])
	}
	text.Text = strings.Join(lines, "\n")
	j.Tests++
	switch v.Status {
	case proviso.Violated:
		c.Failure = text
		j.Failures++
	case proviso.Errored:
		c.Error = text
		j.Errors++
	case proviso.Undetermined, proviso.Dormant:
		c.Skipped = text
		j.Skipped++
	}
	j.Cases = append(j.Cases, c)
}
