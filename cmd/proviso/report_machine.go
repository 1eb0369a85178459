package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/proviso-dev/proviso"
)

func jsonReport(w io.Writer, _ style, r *report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// jsonlReport writes one line for each finding and case and a last one with the summary.
func jsonlReport(w io.Writer, _ style, r *report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range r.Findings {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			finding
		}{"finding", f}); err != nil {
			return err
		}
	}
	for _, c := range r.Cases {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			caseLine
		}{"case", c}); err != nil {
			return err
		}
	}
	return e.Encode(struct {
		Kind    string `json:"kind"`
		Command string `json:"command"`
		Policy  string `json:"policy,omitempty"`
		tally
	}{"summary", r.Command, r.Policy, r.Tally})
}

// problems lists findings and failed cases as one kind of thing, for formats that know only that.
func (r *report) problems() []finding {
	out := append([]finding(nil), r.Findings...)
	for _, c := range r.Cases {
		for _, m := range c.Failed {
			out = append(out, finding{"test", proviso.Diagnostic{Pos: m.Pos, Code: m.Code, Msg: m.Msg}})
		}
	}
	return out
}

// The part of SARIF 2.1.0 (OASIS) that code hosts read.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name    string      `json:"name"`
			Version string      `json:"semanticVersion,omitempty"`
			Rules   []sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifRule struct {
	ID string `json:"id"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifRegion struct {
	Line int `json:"startLine"`
	Col  int `json:"startColumn,omitempty"`
}

func sarifReport(w io.Writer, _ style, r *report) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver.Name = "proviso"
	run.Tool.Driver.Rules = []sarifRule{}
	seen := map[string]bool{}
	for _, f := range r.problems() {
		if !seen[f.Code] {
			seen[f.Code] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{f.Code})
		}
		res := sarifResult{RuleID: f.Code, Level: f.Severity.String(), Message: sarifText{sentence(f.Diagnostic)}}
		if f.Pos.File != "" {
			var l sarifLocation
			l.Physical.Artifact.URI = (&url.URL{Path: f.Pos.File}).String()
			if f.Pos.Line > 0 {
				l.Physical.Region = &sarifRegion{f.Pos.Line, f.Pos.Col}
			}
			res.Locations = []sarifLocation{l}
		}
		run.Results = append(run.Results, res)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

func sentence(d proviso.Diagnostic) string {
	if d.Hint == "" {
		return d.Msg
	}
	return d.Msg + "; " + d.Hint
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	File    string     `xml:"file,attr,omitempty"`
	Line    int        `xml:"line,attr,omitempty"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// junitReport writes the cases as they are, each finding that counts as a failed case, and notes not at all.
func junitReport(w io.Writer, _ style, r *report) error {
	s := junitSuite{Name: "proviso " + r.Command}
	for _, c := range r.Cases {
		j := junitCase{Name: c.Name, Class: strings.Join(r.Packs, "+"), File: c.Pos.File, Line: c.Pos.Line}
		if !c.Passed {
			var lines []string
			for _, m := range c.Failed {
				lines = append(lines, m.Pos.String()+": "+m.Msg)
			}
			j.Failure = &junitText{Message: "not as wanted", Text: printableLines(lines)}
			s.Failures++
		}
		s.Cases = append(s.Cases, j)
	}
	for _, f := range r.Findings {
		if f.Severity == proviso.Note {
			continue
		}
		t := &junitText{Message: sentence(f.Diagnostic), Type: f.Code, Text: f.Diagnostic.Error()}
		j := junitCase{Name: f.Code + " " + f.Pos.String(), Class: f.Check, File: f.Pos.File, Line: f.Pos.Line}
		if f.Severity == proviso.Error {
			j.Error = t
			s.Errors++
		} else {
			j.Failure = t
			s.Failures++
		}
		s.Cases = append(s.Cases, j)
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func printableLines(lines []string) string {
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// githubReport writes workflow commands, which become annotations of a pull request.
func githubReport(w io.Writer, _ style, r *report) error {
	level := map[proviso.Severity]string{proviso.Error: "error", proviso.Warning: "warning", proviso.Note: "notice"}
	// The runner takes these characters for its own; it undoes the escapes.
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, f := range r.problems() {
		place := []string{"title=" + property.Replace("proviso "+f.Code)}
		if f.Pos.File != "" {
			place = append(place, "file="+property.Replace(f.Pos.File))
		}
		if f.Pos.Line > 0 {
			place = append(place, fmt.Sprintf("line=%d", f.Pos.Line))
		}
		if f.Pos.Col > 0 {
			place = append(place, fmt.Sprintf("col=%d", f.Pos.Col))
		}
		if _, err := fmt.Fprintf(w, "::%s %s::%s\n", level[f.Severity], strings.Join(place, ","), data.Replace(printable(sentence(f.Diagnostic)))); err != nil {
			return err
		}
	}
	return nil
}

func markdownReport(w io.Writer, _ style, r *report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### proviso %s: %s\n", r.Command, r.Tally)
	if ps := r.problems(); len(ps) > 0 {
		b.WriteString("\n| where | what | code |\n|---|---|---|\n")
		for _, f := range ps {
			fmt.Fprintf(&b, "| %s | %s: %s | %s |\n", cell(f.Pos.String()), f.Severity, cell(sentence(f.Diagnostic)), cell(f.Code))
		}
	}
	if r.Coverage != nil {
		r.Coverage.Markdown(&b, r.clauses)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell makes text safe inside of a table of GitHub's Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[").Replace(printable(text))
}
