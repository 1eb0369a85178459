package eval

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// Figure is a number that a test or a comparison printed as a line "figure: suite.name = value (n=count)".
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	N     int     `json:"n"` // of what it was taken: cases, calls, repetitions
}

// figureLine is a figure anywhere in a line, such as behind the file name that go test puts before a log.
var figureLine = lazyregexp.New(`\bfigure: ([a-z0-9][a-z0-9_.-]*) = (\S+) \(n=(\d+)[^)]*\)`)

// ParseFigure reads the figure of a line; ok is false where it has none.
func ParseFigure(line string) (f Figure, ok bool) {
	m := figureLine.FindStringSubmatch(line)
	if m == nil {
		return Figure{}, false
	}
	v, err := strconv.ParseFloat(m[2], 64)
	n, err2 := strconv.Atoi(m[3])
	return Figure{m[1], v, n}, err == nil && err2 == nil
}

// ReadFigures reads the figures of a text and passes over everything else. The error is that of the reader, or a figure that was printed twice with different values.
func ReadFigures(r io.Reader) ([]Figure, error) {
	var out []Figure
	at := map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		f, ok := ParseFigure(lines.Text())
		if !ok {
			continue
		}
		if i, again := at[f.Name]; again {
			if out[i] != f {
				return nil, fmt.Errorf("figure %s is %v (n=%d) and %v (n=%d); give each a name of its own", f.Name, out[i].Value, out[i].N, f.Value, f.N)
			}
			continue
		}
		at[f.Name] = len(out)
		out = append(out, f)
	}
	return out, lines.Err()
}

// Bound is what is wanted of a figure. The zero value wants nothing.
type Bound struct {
	op    string
	value float64
}

// AtLeast wants v or more.
func AtLeast(v float64) Bound { return Bound{"≥", v} }

// AtMost wants v or less.
func AtMost(v float64) Bound { return Bound{"≤", v} }

// Exactly wants v.
func Exactly(v float64) Bound { return Bound{"=", v} }

// Set reports whether anything is wanted.
func (b Bound) Set() bool { return b.op != "" }

// Value is the number that the bound compares with; ok is false where nothing is wanted.
func (b Bound) Value() (v float64, ok bool) { return b.value, b.Set() }

// Holds reports whether v is as wanted. What is not a number never is, unless nothing is wanted.
func (b Bound) Holds(v float64) bool {
	switch b.op {
	case "":
		return true
	case "≥":
		return v >= b.value
	case "≤":
		return v <= b.value
	}
	return v == b.value
}

// String is the bound as it is printed, such as "≥ 0.99"; empty where nothing is wanted.
func (b Bound) String() string {
	if !b.Set() {
		return ""
	}
	v := strconv.FormatFloat(b.value, 'f', -1, 64)
	if math.Abs(b.value) >= 10_000 {
		v = FormatValue(b.value)
	}
	return b.op + " " + v
}

// MarshalText writes the bound as it is printed.
func (b Bound) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Section is the figures of one suite, as a table lists them.
type Section struct {
	Name    string // the first part of its figures' names
	Title   string
	Doc     string // what the suite judges, in a sentence
	Figures []Wanted
}

// Wanted is a figure that a table lists.
type Wanted struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Want    Bound  `json:"want,omitzero"`
	Share   bool   `json:"share,omitempty"` // it is the share of N cases, so that it has an interval
	Rare    bool   `json:"rare,omitempty"`  // not every run measures it, so that it may be missing
	Speed   bool   `json:"speed,omitempty"` // it depends on the machine and on what else runs there
}

// Mark says how a figure stands to what is wanted of it. The zero value is a figure that is missing.
type Mark uint8

// The marks.
const (
	Missing Mark = iota // a figure that is wanted was not printed
	Unmet               // it is not as wanted
	Met                 // it is as wanted
	Told                // nothing is wanted of it
	Absent              // it was not printed, and need not be
	Slow                // it is not as wanted on this machine, at this time
)

var markNames = [...]string{"missing", "unmet", "met", "told", "absent", "slow"}

// String returns "missing", "unmet", "met", "told", "absent" or "slow".
func (m Mark) String() string { return markNames[m] }

// MarshalText writes the name.
func (m Mark) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Bad reports whether the mark is a reason to fail.
func (m Mark) Bad() bool { return m <= Unmet }

// Row is a figure with what is wanted of it.
type Row struct {
	Wanted
	Value float64   `json:"value"`
	N     int       `json:"n"` // 0: the figure was not printed
	Range *Interval `json:"interval,omitempty"`
	Mark  Mark      `json:"mark"`
}

// Table is the rows of one suite.
type Table struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Doc   string `json:"doc,omitempty"`
	Rows  []Row  `json:"rows"`
}

// Tabulate holds figures against what is wanted of them. Figures that no section lists come in the order in which they were printed, as a last table without a name.
func Tabulate(sections []Section, figures []Figure) []Table {
	byName := map[string]Figure{}
	for _, f := range figures {
		byName[f.Name] = f
	}
	var out []Table
	for _, s := range sections {
		t := Table{Name: s.Name, Title: s.Title, Doc: s.Doc}
		for _, w := range s.Figures {
			f, ok := byName[w.Name]
			delete(byName, w.Name)
			t.Rows = append(t.Rows, rowOf(w, f, ok))
		}
		out = append(out, t)
	}
	rest := Table{Title: "Other figures"}
	for _, f := range figures {
		if _, ok := byName[f.Name]; ok {
			rest.Rows = append(rest.Rows, rowOf(Wanted{Name: f.Name}, f, true))
		}
	}
	if len(rest.Rows) > 0 {
		out = append(out, rest)
	}
	return out
}

func rowOf(w Wanted, f Figure, ok bool) Row {
	r := Row{Wanted: w, Value: f.Value, N: f.N}
	switch {
	case !ok && w.Rare:
		r.Mark = Absent
	case !ok:
		r.Mark = Missing
	case !w.Want.Set():
		r.Mark = Told
	case w.Want.Holds(f.Value) && f.N > 0:
		r.Mark = Met
	case w.Speed && f.N > 0:
		r.Mark = Slow
	default:
		r.Mark = Unmet
	}
	if ok && w.Share && f.N > 0 {
		in := Wilson(int(math.Round(f.Value*float64(f.N))), f.N)
		r.Range = &in
	}
	return r
}

// FormatValue writes a number for a table: shares with up to four digits behind the point, as many as tell them from 0 and 1, and numbers from ten thousand with commas.
func FormatValue(v float64) string {
	if math.Abs(v) >= 10_000 {
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	}
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	for digits := 3; ; digits++ {
		s := strconv.FormatFloat(v, 'f', digits, 64)
		back, _ := strconv.ParseFloat(s, 64)
		if back != math.Trunc(back) && (digits >= 4 || math.Abs(back-v) < 5e-5) || digits == 8 {
			return strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
	}
}

// FormatCount writes a whole number with commas.
func FormatCount(n int) string { return grouped(strconv.Itoa(n)) }

// grouped puts commas between groups of three digits.
func grouped(s string) string {
	first := 0
	if s[0] == '-' {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
