package audit

import (
	"fmt"
	"io"
	"strings"

	"github.com/proviso-dev/proviso"
)

// GitHub is workflow commands, which GitHub Actions shows as annotations.
var GitHub = &Renderer{
	Name:   "github",
	Doc:    "workflow commands of GitHub Actions: an annotation per finding",
	Render: renderGitHub,
}

// githubCommands maps a status to the command that annotates it.
var githubCommands = map[proviso.Status]string{proviso.Violated: "error", proviso.Errored: "warning", proviso.Undetermined: "notice"}

var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func renderGitHub(w io.Writer, r *Report) error {
	err := findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,title=%s::%s\n", githubCommands[v.Status], githubProperty.Replace(s.Source), max(1, s.Line), githubProperty.Replace(v.Clause.ID), githubData.Replace(statement(s, v, e)+"\n"+v.Clause.Text))
		return err
	})
	if err != nil {
		return err
	}
	err = misses(r, func(s *Session, m *NearMiss) error {
		_, err := fmt.Fprintf(w, "::notice file=%s,line=%d,title=%s::%s\n", githubProperty.Replace(s.Source), max(1, s.Line), m.label(), githubData.Replace("session "+s.Session+", "+m.text()))
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range r.Diagnostics {
		if _, err := fmt.Fprintf(w, "::error file=%s,line=%d,title=%s::%s\n", githubProperty.Replace(d.Pos.File), max(1, d.Pos.Line), d.Code, githubData.Replace(d.Error())); err != nil {
			return err
		}
	}
	return nil
}
