package audit

import (
	"io"

	"github.com/proviso-dev/proviso"
)

// SARIF is version 2.1.0 of the format that code scanning reads: a rule per clause, a result per finding.
var SARIF = &Renderer{
	Name:   "sarif",
	Doc:    "SARIF 2.1.0: a rule per clause, a result per violated, erring or unknown clause of a session",
	Render: renderSARIF,
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// sarifLevels maps a status to the level of its results.
var sarifLevels = map[proviso.Status]string{proviso.Violated: "error", proviso.Errored: "warning", proviso.Undetermined: "note"}

func renderSARIF(w io.Writer, r *Report) error {
	rules, results := []sarifRule{}, []sarifResult{}
	for _, c := range r.Clauses {
		text := c.Clause.Text
		if text == "" {
			text = c.Clause.ID
		}
		rules = append(rules, sarifRule{c.Clause.ID, sarifText{text}})
	}
	err := findings(r, func(s *Session, v *proviso.Verdict, e *proviso.Evidence) error {
		text := statement(s, v, e)
		if v.Clause.Text != "" {
			text += "\nClause: " + v.Clause.Text
		}
		results = append(results, sarifResult{v.Clause.ID, sarifLevels[v.Status], sarifText{text}, sarifAt(s.Session, s.Source, s.Line)})
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
		results = append(results, sarifResult{id, "note", sarifText{m.label() + " in session " + s.Session + " at " + m.text()}, sarifAt(s.Session, s.Source, s.Line)})
		return nil
	})
	return writeSARIF(w, rules, results)
}

// sarifAt is the place of a result: where the conversation begins in its source.
func sarifAt(session, source string, line int) []sarifLocation {
	l := sarifLocation{Logical: []sarifLogical{{session, "session"}}}
	l.Physical.Artifact.URI = source
	if line > 0 {
		l.Physical.Region = &sarifRegion{line}
	}
	return []sarifLocation{l}
}

// writeSARIF writes a log of one run.
func writeSARIF(w io.Writer, rules []sarifRule, results []sarifResult) error {
	type driver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	type tool struct {
		Driver driver `json:"driver"`
	}
	type oneRun struct {
		Tool    tool          `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	return writeIndented(w, struct {
		Schema  string   `json:"$schema"`
		Version string   `json:"version"`
		Runs    []oneRun `json:"runs"`
	}{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []oneRun{{tool{driver{"proviso", rules}}, results}}})
}
