package report

import (
	"io"

	"github.com/proviso-dev/proviso"
	"github.com/proviso-dev/proviso/eval"
	"github.com/proviso-dev/proviso/internal/form"
)

// JSON is the whole report as one object.
var JSON = &Renderer{
	Name:   "json",
	Doc:    "the whole report as one JSON object",
	Render: renderJSON,
}

func renderJSON(w io.Writer, r *Report) error {
	type run struct {
		*eval.Run
		Summary eval.Summary `json:"summary"`
		Digest  string       `json:"digest"`
	}
	out := struct {
		Title      string           `json:"title"`
		Verdict    string           `json:"verdict"`
		OK         bool             `json:"ok"`
		Run        *run             `json:"run,omitempty"`
		Comparison *eval.Comparison `json:"comparison,omitempty"`
		Tables     []eval.Table     `json:"tables,omitempty"`
	}{Title: r.Title, Comparison: r.Comparison, Tables: r.Tables}
	out.Verdict, out.OK = r.verdict()
	if r.Run != nil {
		out.Run = &run{r.Run, r.Run.Summary(), r.Run.Digest()}
	}
	return writeLine(w, out)
}

func writeLine(w io.Writer, v any) error {
	b, err := proviso.AppendJSON(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// JSONLines is one result, changed case or figure per line.
var JSONLines = &Renderer{
	Name:   "jsonl",
	Doc:    "one result of a run, case of a comparison, or figure per line",
	Render: renderJSONLines,
}

func renderJSONLines(w io.Writer, r *Report) error {
	if r.Run != nil {
		for i := range r.Run.Results {
			if err := writeLine(w, &r.Run.Results[i]); err != nil {
				return err
			}
		}
	}
	if c := r.Comparison; c != nil {
		for _, part := range []struct {
			change string
			flips  []eval.Flip
		}{{"broken", c.Broken}, {"fixed", c.Fixed}, {"failing", c.Failing}} {
			for i := range part.flips {
				err := writeLine(w, struct {
					Change string `json:"change"`
					eval.Flip
				}{part.change, part.flips[i]})
				if err != nil {
					return err
				}
			}
		}
	}
	for _, t := range r.Tables {
		for i := range t.Rows {
			if err := writeLine(w, &t.Rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// JUnit is XML that continuous integration shows as tests.
var JUnit = &Renderer{
	Name:   "junit",
	Doc:    "JUnit XML: a test per case, per case of a comparison that does not pass in both runs, and per figure",
	Render: renderJUnit,
}

func renderJUnit(w io.Writer, r *Report) error {
	out := &form.JUnit{Name: "proviso eval"}
	var suites []*form.JUnitSuite
	for _, c := range r.checks() {
		if n := len(suites); n == 0 || suites[n-1].Name != c.suite {
			suites = append(suites, &form.JUnitSuite{Name: c.suite})
		}
		test := form.JUnitCase{Class: c.suite, Name: c.name, File: c.pos.File, Line: c.pos.Line}
		text := &form.JUnitText{Message: kinds[c.kind].doc, Type: string(c.kind), Text: form.Line(c.text)}
		switch c.kind {
		case good:
		case errored, left, missing:
			test.Error = text
		case absent, failing, slow:
			test.Skipped = text
		default:
			test.Failure = text
		}
		suites[len(suites)-1].Add(test)
	}
	for _, s := range suites {
		out.Add(*s)
	}
	return out.Write(w)
}

// SARIF is version 2.1.0 of the format that code scanning reads.
var SARIF = &Renderer{
	Name:   "sarif",
	Doc:    "SARIF 2.1.0: a result per case or figure that is not as it should be",
	Render: renderSARIF,
}

func renderSARIF(w io.Writer, r *Report) error {
	var log form.SARIF
	seen := map[kind]bool{}
	for _, c := range r.findings() {
		if !seen[c.kind] {
			seen[c.kind] = true
			log.Rules = append(log.Rules, form.SARIFRule{ID: string(c.kind), Text: &form.SARIFText{Text: kinds[c.kind].doc}})
		}
		at := form.SARIFLocation{Physical: form.SARIFPlace(c.pos.File, c.pos.Line, c.pos.Col), Logical: []form.SARIFLogical{{Name: c.name, Kind: "case"}}}
		log.Results = append(log.Results, form.SARIFResult{RuleID: string(c.kind), Level: kinds[c.kind].sarif, Message: form.SARIFText{Text: sentence(c)}, Locations: []form.SARIFLocation{at}})
	}
	return log.Write(w)
}

// sentence tells a check on one line.
func sentence(c check) string {
	return form.Line(c.suite + ": " + c.name + ": " + c.text)
}

// GitHub is workflow commands, which GitHub Actions shows as annotations.
var GitHub = &Renderer{
	Name:   "github",
	Doc:    "workflow commands of GitHub Actions: an annotation per case or figure that is not as it should be",
	Render: renderGitHub,
}

func renderGitHub(w io.Writer, r *Report) error {
	for _, c := range r.findings() {
		a := form.Annotation{Level: kinds[c.kind].github, Title: string(c.kind), File: c.pos.File, Line: c.pos.Line, Col: c.pos.Col, Text: sentence(c)}
		if err := a.Write(w); err != nil {
			return err
		}
	}
	return nil
}
