package audit

import (
	"io"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// GitHub is workflow commands, which GitHub Actions shows as annotations.
var GitHub = &Renderer{
	Name:   "github",
	Doc:    "workflow commands of GitHub Actions: an annotation per finding",
	Render: renderGitHub,
}

// githubCommands maps a status to the command that annotates it.
var githubCommands = map[proviso.Status]string{proviso.Violated: "error", proviso.Errored: "warning", proviso.Undetermined: "notice"}

func renderGitHub(w io.Writer, r *Report) error {
	err := findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		return form.Annotation{Level: githubCommands[v.Status], Title: v.Clause.ID, File: s.Source, Line: max(1, s.Line), Text: statement(s, v, e) + "\n" + v.Clause.Text}.Write(w)
	})
	if err != nil {
		return err
	}
	err = misses(r, func(s *Session, m *NearMiss) error {
		return form.Annotation{Level: "notice", Title: m.label(), File: s.Source, Line: max(1, s.Line), Text: "session " + s.Session + ", " + m.text()}.Write(w)
	})
	if err != nil {
		return err
	}
	for _, d := range r.Diagnostics {
		if err := (form.Annotation{Level: "error", Title: d.Code, File: d.Pos.File, Line: max(1, d.Pos.Line), Text: d.Error()}).Write(w); err != nil {
			return err
		}
	}
	return nil
}
