package proviso

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Pos is a place in a file. Line and Col count from 1; Col counts bytes. The zero Pos is nowhere.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String returns file:line:col, leaving out what is not known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Severity orders diagnostics. The zero value is the most severe.
type Severity uint8

// The severities: errors stop a pack from compiling; warnings and notes are findings of lint.
const (
	Error Severity = iota
	Warning
	Note
)

func (s Severity) String() string { return [...]string{"error", "warning", "note"}[s] }

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Diagnostic tells a person what is wrong where, and what to do next. Code is stable and explained by `proviso explain CODE`.
type Diagnostic struct {
	Pos      Pos      `json:"pos"`
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Msg      string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// Error returns position, message, hint and code in one line.
func (d Diagnostic) Error() string {
	var b strings.Builder
	if p := d.Pos.String(); p != "" {
		b.WriteString(p)
		b.WriteString(": ")
	}
	b.WriteString(d.Msg)
	if d.Hint != "" {
		b.WriteString("; ")
		b.WriteString(d.Hint)
	}
	fmt.Fprintf(&b, " [%s]", d.Code)
	return b.String()
}

// Diagnostics is a list of findings; as an error it prints one per line.
type Diagnostics []Diagnostic

// Error prints one diagnostic per line.
func (ds Diagnostics) Error() string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = d.Error()
	}
	return strings.Join(s, "\n")
}

// Sort orders by file, line, column and code.
func (ds Diagnostics) Sort() {
	sort.SliceStable(ds, func(i, j int) bool {
		a, b := ds[i], ds[j]
		if a.Pos.File != b.Pos.File {
			return a.Pos.File < b.Pos.File
		}
		if a.Pos.Line != b.Pos.Line {
			return a.Pos.Line < b.Pos.Line
		}
		if a.Pos.Col != b.Pos.Col {
			return a.Pos.Col < b.Pos.Col
		}
		return a.Code < b.Code
	})
}

// Worst reports whether the list holds a diagnostic at least as severe as s.
func (ds Diagnostics) Worst(s Severity) bool {
	for _, d := range ds {
		if d.Severity <= s {
			return true
		}
	}
	return false
}

// AsDiagnostics returns the diagnostics that err carries, or one with the given code and position where it carries none; nil for nil.
func AsDiagnostics(err error, code string, pos Pos) Diagnostics {
	if err == nil {
		return nil
	}
	var ds Diagnostics
	if errors.As(err, &ds) {
		return ds
	}
	var d Diagnostic
	if errors.As(err, &d) {
		return Diagnostics{d}
	}
	return Diagnostics{{Pos: pos, Code: code, Msg: err.Error()}}
}

// Nearest returns the candidate that a person most likely meant by name, by edit distance with transpositions; empty where none is near.
// A candidate is near when at most a third of the longer name, and at least one letter, has to be changed, or when one name begins with the other.
func Nearest(name string, candidates []string) string {
	best, bestD := "", 1<<30
	for _, c := range candidates {
		d := editDistance(strings.ToLower(name), strings.ToLower(c))
		limit := max(1, max(len(name), len(c))/3)
		if short := min(len(name), len(c)); short >= 3 && strings.EqualFold(name[:short], c[:short]) {
			d = min(d, limit)
		}
		if d <= limit && (d < bestD || d == bestD && c < best) {
			best, bestD = c, d
		}
	}
	return best
}

// DidYouMean returns a hint naming the nearest candidate, or listing the candidates where none is near and they are few.
func DidYouMean(name string, candidates []string) string {
	if n := Nearest(name, candidates); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	c := append([]string(nil), candidates...)
	sort.Strings(c)
	return "one of: " + strings.Join(c, ", ")
}

// editDistance is the optimal string alignment distance (Damerau 1964, without overlapping edits).
func editDistance(a, b string) int {
	p2, p1, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range p1 {
		p1[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(p1[j]+1, cur[j-1]+1, p1[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, p2[j-2]+1)
			}
			cur[j] = d
		}
		p2, p1, cur = p1, cur, p2
	}
	return p1[len(b)]
}

func unknownName(kind, got string, names []string) error {
	hint := DidYouMean(got, names)
	if hint != "" {
		hint = "; " + hint
	}
	return fmt.Errorf("unknown %s %q%s", kind, got, hint)
}
