package audit

import (
	"io"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/internal/form"
)

// SARIF is version 2.1.0 of the format that code scanning reads: a rule per clause, a result per finding.
var SARIF = &Renderer{
	Name:   "sarif",
	Doc:    "SARIF 2.1.0: a rule per clause, a result per violated, erring or unknown clause of a session",
	Render: renderSARIF,
}

// sarifLevels maps a status to the level of its results.
var sarifLevels = map[proviso.Status]string{proviso.Violated: "error", proviso.Errored: "warning", proviso.Undetermined: "note"}

func renderSARIF(w io.Writer, r *Report) error {
	var log form.SARIF
	for _, c := range r.Clauses {
		text := c.Clause.Text
		if text == "" {
			text = c.Clause.ID
		}
		log.Rules = append(log.Rules, form.SARIFRule{ID: c.Clause.ID, Text: &form.SARIFText{Text: text}})
	}
	err := findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		text := statement(s, v, e)
		if v.Clause.Text != "" {
			text += "\nClause: " + v.Clause.Text
		}
		log.Results = append(log.Results, sarifResult(v.Clause.ID, sarifLevels[v.Status], text, s.Session, s.Source, s.Line))
		return nil
	})
	if err != nil {
		return err
	}
	_ = misses(r, func(s *Session, m *NearMiss) error {
		id := "(near miss)"
		if len(m.Clauses) > 0 {
			id = m.Clauses[0].ID
		}
		log.Results = append(log.Results, sarifResult(id, "note", m.label()+" in session "+s.Session+" at "+m.text(), s.Session, s.Source, s.Line))
		return nil
	})
	return log.Write(w)
}

// sarifResult is a finding in a session, at the place where the conversation begins in its source.
func sarifResult(rule, level, text, session, source string, line int) form.SARIFResult {
	at := form.SARIFLocation{Physical: form.SARIFPlace(source, line, 0), Logical: []form.SARIFLogical{{Name: session, Kind: "session"}}}
	return form.SARIFResult{RuleID: rule, Level: level, Message: form.SARIFText{Text: text}, Locations: []form.SARIFLocation{at}}
}
