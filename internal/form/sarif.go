package form

import (
	"io"
	"net/url"
)

// SARIF is the part of a log of version 2.1.0 (OASIS) that code hosts read: one run of one tool.
type SARIF struct {
	Rules   []SARIFRule
	Results []SARIFResult
}

// SARIFRule is a kind of findings. A rule without a text is named by its id.
type SARIFRule struct {
	ID   string     `json:"id"`
	Text *SARIFText `json:"shortDescription,omitempty"`
}

// SARIFText is a message.
type SARIFText struct {
	Text string `json:"text"`
}

// SARIFResult is a finding. Level is "error", "warning" or "note".
type SARIFResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   SARIFText       `json:"message"`
	Locations []SARIFLocation `json:"locations,omitempty"`
}

// SARIFLocation is a place in a file, or a thing that has a name.
type SARIFLocation struct {
	Physical *SARIFPhysical `json:"physicalLocation,omitempty"`
	Logical  []SARIFLogical `json:"logicalLocations,omitempty"`
}

// SARIFPhysical is a place in a file; without a region it is the whole file.
type SARIFPhysical struct {
	Artifact SARIFArtifact `json:"artifactLocation"`
	Region   *SARIFRegion  `json:"region,omitempty"`
}

// SARIFArtifact names a file by a relative URI.
type SARIFArtifact struct {
	URI string `json:"uri"`
}

// SARIFRegion is a line, counted from 1, and a column where Col is not 0.
type SARIFRegion struct {
	Line int `json:"startLine"`
	Col  int `json:"startColumn,omitempty"`
}

// SARIFLogical is a thing with a name, such as a session.
type SARIFLogical struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// SARIFPlace is a line of a file; line 0 is the whole file, and no file is no place.
func SARIFPlace(file string, line, col int) *SARIFPhysical {
	if file == "" {
		return nil
	}
	p := &SARIFPhysical{Artifact: SARIFArtifact{(&url.URL{Path: file}).String()}}
	if line > 0 {
		p.Region = &SARIFRegion{line, col}
	}
	return p
}

// Write writes the log.
func (s *SARIF) Write(w io.Writer) error {
	type driver struct {
		Name  string      `json:"name"`
		Rules []SARIFRule `json:"rules"`
	}
	type tool struct {
		Driver driver `json:"driver"`
	}
	type oneRun struct {
		Tool    tool          `json:"tool"`
		Results []SARIFResult `json:"results"`
	}
	rules, results := append([]SARIFRule{}, s.Rules...), append([]SARIFResult{}, s.Results...)
	return WriteIndented(w, struct {
		Schema  string   `json:"$schema"`
		Version string   `json:"version"`
		Runs    []oneRun `json:"runs"`
	}{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []oneRun{{tool{driver{"proviso", rules}}, results}}})
}
